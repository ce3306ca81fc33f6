"""A calendar backend as a source: whole answers and changes, tokens, days, and every way it can fail; on real HTTP."""

from __future__ import annotations

import json
import threading
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from blackboard import backends as board_backends
from blackboard import claims, sources, synced, verbs
from blackboard.board import Board, Tx
from blackboard.clock import plus
from blackboard.errors import Invalid
from orchestrator import backend_calls, backends, preflight
from orchestrator.asking import Asking
from orchestrator.config import Settings
from orchestrator.config_agent import AgentConfig
from orchestrator.config_backends import BackendConfig
from tests import scenes, stand_in_backend
from tests.fake_clock import START, FakeClock
from tests.stand_in_backend import Backend, fault, half, serving, slow

DAY = 86400.0
RECORDED = Path(__file__).parent / "backends"


def slot(number: int | None, at: str = "10:00", **more: object) -> dict[str, Any]:
    """A slot as the backend's plugin knows it."""
    return {
        "id": number, "virtual_id": None, "slot_type": "work", "estimated_duration": 25, "scheduled_at": at,
        "status": "not_started", "priority": 0, "event_type": "job", "event_data": {"title": f"job {number}"},
    } | more  # fmt: skip


def settings(tmp_path: Path, url: str, **more: object) -> Settings:
    agents = {name: AgentConfig(argv=("true",)) for name in ("ada", "bob", "eve")}
    backend = BackendConfig.model_validate({"url": url, "identifier": "claw-1", **more})
    return Settings(
        board=tmp_path / "board.sqlite", projects=[{"id": scenes.PROJECT}], agents=agents, backends={"hf": backend}
    )


class Client:
    """What the daemon does with one backend, turn by turn on the hand-wound clock."""

    def __init__(
        self, backend: Backend, board: Board, clock: FakeClock, url: str, folder: Path, **more: object
    ) -> None:
        self.backend, self.board, self.clock, self.url, self.folder = backend, board, clock, url, folder
        self.settings = settings(folder, url, **more)

    async def turn(self, after: float = 300) -> list[tuple[str, str, str]]:
        """Let time pass and ask; (title, due time without the month, status) of every task. Each turn is a new daemon."""
        self.clock.go_on(after)
        config = self.settings.backends["hf"]
        await Asking(self.board, [backends.Schedule("hf", config, self.board, self.settings)], lambda: None).once()
        return await self.tasks()

    async def tasks(self) -> list[tuple[str, str, str]]:
        rows = await self.board.all("SELECT title, due_at, status FROM tasks ORDER BY id")
        return [(row["title"], row["due_at"][8:16], row["status"]) for row in rows]

    async def told(self, verb: str) -> list[str]:
        rows = await self.board.all("SELECT reason FROM events WHERE verb = :verb ORDER BY id", verb=verb)
        return [row["reason"] for row in rows]

    async def state(self) -> dict[str, Any]:
        return await self.board.read(sources.state_of, "backend:hf")


@pytest.fixture
async def client(tmp_path: Path, board: Board, clock: FakeClock) -> AsyncIterator[Client]:
    backend = Backend()
    with serving(backend) as url:
        yield Client(backend, board, clock, url, tmp_path)


# --- whole, and what changed -----------------------------------------------------------------------------------------


async def test_a_whole_schedule_then_changes_each_with_the_token_before(client: Client) -> None:
    backend = client.backend
    backend.schedules = {"ada": [slot(1), slot(2, "11:30:15", plan_id=7)], "bob": []}
    assert await client.turn() == [("job 1", "31T10:00", "pending"), ("job 2", "31T11:30", "pending")]
    backend.change(
        {"op": "add", "agent": "bob", "slot": slot(3, "2026-01-31T14:00:00+01:00")},
        {"op": "update", "agent": "ada", "slotId": 2, "patch": {"scheduled_at": "12:00", "priority": 9}},
        {"op": "remove", "agent": "ada", "slotId": 1},
    )
    assert await client.turn() == [
        ("job 1", "31T10:00", "cancelled"), ("job 2", "31T12:00", "pending"), ("job 3", "31T13:00", "pending"),
    ]  # fmt: skip
    assert await client.turn() == await client.tasks()
    assert backend.synced == [None, "t0", "t1"]
    first = backend.asked[0]
    assert first.query["claw_identifier"] == first.headers["x-claw-identifier"] == "claw-1"
    (extra,) = await client.board.all("SELECT extra, priority FROM slots WHERE uid = 'id:2'")
    assert tuple(extra) == ('{"plan_id": 7}', 9)
    assert await client.told("schedule_synced") == [
        "backend:hf: 2 agents, 2 slots: 2 added, 0 changed, 0 removed",
        "backend:hf: 2 agents, 2 slots: 1 added, 1 changed, 1 removed",
    ]


async def test_a_whole_schedule_is_all_there_is(client: Client) -> None:
    client.backend.schedules = {"ada": [slot(1), slot(2)], "bob": [slot(3)]}
    await client.turn()
    await client.board.write(lambda tx: scenes.work(tx, 2, "ada"))
    client.backend.schedules = {"ada": [slot(1)]}
    client.backend.old, client.backend.date = True, "2026-01-31"
    assert [status for _, _, status in await client.turn()] == ["pending", "working", "cancelled"]


async def test_an_older_backend_gives_a_date_and_no_token(client: Client) -> None:
    backend = client.backend
    backend.old, backend.date, backend.schedules = True, "2026-02-01", {"ada": [slot(1, "09:00")]}
    for _ in range(3):
        assert await client.turn() == [("job 1", "01T09:00", "pending")]
    assert backend.synced == [None, None, None]


async def test_the_recorded_shapes_one_after_the_other(client: Client) -> None:
    recorded = [json.loads((RECORDED / f"{name}.json").read_text()) for name in ("full", "diff", "diff_snake", "older")]
    client.backend.faults = [fault(200, document) for document in recorded]
    found = [await client.turn() for _ in recorded]
    assert client.backend.synced == [None, "abc", "def", "ghi"]
    assert found[0] == [
        ("five", "31T10:00", "pending"), ("on_call virtual:plan-9-2026-01-31", "31T11:30", "pending"), ("three", "31T12:00", "pending"),
    ]  # fmt: skip
    assert [(due[3:], status) for _, due, status in found[1]] == [
        ("16:00", "pending"), ("11:30", "pending"), ("12:00", "cancelled"), ("15:00", "pending"),
    ]  # fmt: skip
    assert found[2][1][1] == "31T12:30"
    assert [status for _, _, status in found[3]] == ["pending", "cancelled", "cancelled", "cancelled"]
    assert "token" in await client.state() and (await client.state())["token"] is None


FITS_NOT: list[tuple[list[Any], str]] = [
    ([{"op": "rename", "agent": "ada", "slotId": 1}], "an operation nobody knows"),
    ([{"op": "update", "agent": "ada", "slotId": 99, "patch": {}}], "a slot nobody knows"),
    ([{"op": "update", "agent": "zoe", "slotId": 1, "patch": {}}], "an agent nobody knows"),
    ([{"op": "remove", "agent": "ada", "slotId": 1}, {"op": "remove", "agent": "ada", "slotId": 1}], "half of it fits"),
    ([{"op": "add", "agent": "ada", "slot": "09:00"}], "a slot that is a text"),
    ([{"op": "update", "agent": "ada", "slotId": 1, "patch": None}], "no patch"),
    (["remove"], "a change that is a text"),
    ([{"op": "add", "slot": {}}], "no agent"),
]


@pytest.mark.parametrize(("diff", "_why"), FITS_NOT, ids=[why for _, why in FITS_NOT])
async def test_changes_that_do_not_fit_are_asked_for_as_a_whole_at_once_and_once(
    client: Client, diff: list[Any], _why: str
) -> None:
    client.backend.schedules = {"ada": [slot(1)]}
    await client.turn()
    client.backend.schedules = {"ada": [slot(1), slot(2)]}
    client.backend.faults = [fault(200, {"full": False, "diff": diff, "syncToken": "t9"})]
    assert len(await client.turn()) == 2
    assert client.backend.synced == [None, "t0", None]
    assert [status for _, _, status in await client.tasks()] == ["pending", "pending"]


@pytest.mark.parametrize("status", sorted(backend_calls.TOKEN_REFUSED))
async def test_a_refused_token_is_a_whole_schedule_at_once(client: Client, status: int) -> None:
    client.backend.schedules = {"ada": [slot(1)]}
    await client.turn()
    client.backend.faults = [fault(status, {"detail": "token expired"})]
    assert len(await client.turn()) == 1 and client.backend.synced == [None, "t0", None]
    assert await client.told("source_failed") == []


async def test_changes_and_their_token_are_one_transaction(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.backend.schedules = {"ada": [slot(1)]}
    await client.turn()
    client.backend.change({"op": "add", "agent": "ada", "slot": slot(2)})
    real = sources.answered

    def dies(*args: Any, **kwargs: Any) -> None:
        real(*args, **kwargs)
        raise OSError("the disk is gone")

    monkeypatch.setattr(sources, "answered", dies)
    assert len(await client.turn()) == 1 and (await client.state())["token"] == "t0"
    monkeypatch.undo()
    assert len(await client.turn()) == 2 and client.backend.synced == [None, "t0", "t0"]


async def test_a_backend_that_only_ever_changes_has_not_answered(client: Client) -> None:
    client.backend.faults = [fault(200, {"full": False, "diff": [], "syncToken": "x"})]
    assert await client.turn() == []
    assert "answers only with what changed" in (await client.told("source_failed"))[0]


async def test_a_bad_slot_is_told_once_and_the_others_go_in(client: Client) -> None:
    client.backend.schedules = {"ada": [slot(1), slot(2, "noon"), slot(3, priority="high")], "zoe": [slot(4)]}
    assert [title for title, _, _ in await client.turn()] == ["job 1"]
    client.backend.change({"op": "add", "agent": "ada", "slot": slot(5)})
    assert [title for title, _, _ in await client.turn()] == ["job 1", "job 5"]
    told = await client.told("slot_refused")
    assert len(told) == 3 and "schedules.ada[1]" in told[0] and "there is no agent 'zoe'" in told[2]
    client.backend.change({"op": "update", "agent": "ada", "slotId": 2, "patch": {"scheduled_at": "12:00"}})
    assert len(await client.turn()) == 3


async def test_their_agents_have_our_names(tmp_path: Path, board: Board, clock: FakeClock) -> None:
    backend = Backend({"developer": [slot(1)], "eve": [slot(1)]})
    with serving(backend) as url:
        client = Client(backend, board, clock, url, tmp_path, agents={"developer": "ada"})
        await client.turn()
        backend.change({"op": "update", "agent": "developer", "slotId": 1, "patch": {"scheduled_at": "17:00"}})
        await client.turn()
    assert [tuple(row) for row in await board.all("SELECT agent_id, substr(due_at, 12, 5) FROM tasks ORDER BY id")] == [
        ("ada", "17:00"), ("eve", "10:00"),
    ]  # fmt: skip


# --- days and zones ---------------------------------------------------------------------------------------------------


async def test_a_new_day_is_asked_for_as_a_whole_and_what_was_not_done_yesterday_stays(client: Client) -> None:
    client.backend.schedules = {"ada": [slot(1, "10:00"), slot(2, "2026-01-31T11:00:00Z"), slot(3, "23:59")]}
    await client.turn()
    await client.board.write(lambda tx: scenes.work(tx, 1, "ada"))
    client.backend.schedules = {"ada": [slot(4, "10:00")], "bob": [slot(5, "2026-02-01T00:00:00Z")]}
    found = await client.turn(DAY)
    assert client.backend.synced == [None, None]
    assert found == [
        ("job 1", "31T10:00", "working"), ("job 2", "31T11:00", "pending"), ("job 3", "31T23:59", "pending"),
        ("job 4", "01T10:00", "pending"), ("job 5", "01T00:00", "pending"),
    ]  # fmt: skip
    client.backend.schedules = {}
    client.backend.old = True
    assert [status for _, _, status in await client.turn()] == [
        "working", "pending", "pending", "cancelled", "cancelled",
    ]  # fmt: skip


async def test_the_same_slot_on_another_day_is_another_task_and_on_the_same_day_never(client: Client) -> None:
    client.backend.schedules = {"ada": [slot(None, virtual_id="plan-7")]}
    for _ in range(2):
        assert len(await client.turn(3600)) == 1
    for _ in range(2):
        found = await client.turn(DAY / 2)
    assert [due for _, due, _ in found] == ["31T10:00", "01T10:00"]


async def test_the_zone_is_the_backends(tmp_path: Path, board: Board, clock: FakeClock) -> None:
    clock.jump_to("2026-01-31T17:00:00.000Z")  # already the first of February in Shanghai
    backend = Backend({"ada": [slot(1, "09:00")]})
    with serving(backend) as url:
        assert await Client(backend, board, clock, url, tmp_path, time_zone="Asia/Shanghai").turn(0) == [
            ("job 1", "01T01:00", "pending")
        ]


async def test_hours_of_rollovers_without_an_answer_lose_nothing(client: Client) -> None:
    client.backend.schedules = {"ada": [slot(1, "10:00")]}
    await client.turn()
    client.backend.broken = fault(500)
    for _ in range(30):
        assert await client.turn(3600) == [("job 1", "31T10:00", "pending")]
    client.backend.broken, client.backend.schedules = None, {"ada": [slot(2, "10:00")]}
    assert await client.turn(3600) == [("job 1", "31T10:00", "pending"), ("job 2", "01T10:00", "pending")]


# --- a slot of a plan that becomes a real one -------------------------------------------------------------------------


async def test_a_planned_slot_that_becomes_real_stays_one_task(client: Client) -> None:
    client.backend.schedules = {"ada": [slot(None, virtual_id="plan-7-0131", event_data=None)]}
    await client.turn()
    real = slot(12, virtual_id="plan-7-0131", event_data=None, priority=3)
    for schedules in ([real], [real | {"virtual_id": None}], [slot(None, virtual_id="plan-7-0131", event_data=None)]):
        client.backend.old, client.backend.schedules = True, {"ada": schedules}
        assert len(await client.turn()) == 1
    assert [row["uid"] for row in await client.board.all("SELECT uid FROM slots")] == ["id:12"]


async def test_a_whole_plan_that_becomes_real_is_looked_at_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each slot's traits are asked for once, not once for each other slot: it is done inside one write."""
    asked, traits = 0, board_backends._traits

    def counted(*given: Any) -> object:
        nonlocal asked
        asked += 1
        return traits(*given)

    monkeypatch.setattr(board_backends, "_traits", counted)
    many = [f"{10 + n // 60}:{n % 60:02}" for n in range(90)]
    alike = [slot(None, "23:00", virtual_id=f"twin-{n}", event_data=None) for n in range(2)]
    plan = [slot(None, at, virtual_id=f"plan-{at}", event_data=None) for at in many]
    client.backend.schedules = {"ada": [*plan, *alike]}
    before = await client.turn()
    twins = [slot(900 + n, "23:00", event_data=None) for n in range(2)]
    client.backend.old, asked = True, 0
    client.backend.schedules = {"ada": [*(slot(n, at, event_data=None) for n, at in enumerate(many, 1)), *twins]}
    after = await client.turn()
    assert asked == 92
    # Which of two that are alike is which, nobody knows: they have left, and two others came.
    assert [status for _, _, status in after[90:]] == ["cancelled", "cancelled", "pending", "pending"]
    assert len(before) == 92 and {status for _, _, status in after[:90]} == {"pending"}


# --- failures ---------------------------------------------------------------------------------------------------------

FAULTS: list[tuple[Any, str]] = [
    (fault(500), "it answers 500"),
    (fault(503, "<html>maintenance</html>"), "it answers 503"),
    (fault(200, "<html>sign in</html>"), "its answer is not JSON"),
    (fault(200, '{"full": true, "schedules": {"ada": ['), "its answer is not JSON"),
    (fault(200, '{"schedules": {"ada": [{"id": NaN}]}}'), "its answer is not JSON"),
    (fault(200, "[" * 100_000), "its answer is not JSON"),
    (half, "gave no answer"),
    (stand_in_backend.drops, "gave no answer"),
    (fault(401), "the token in token_file is missing or not good"),
    (fault(200, []), "the answer is a list"),
    (fault(200, {"full": True}), 'there is no "schedules"'),
    (fault(200, {"full": True, "schedules": {"ada": {}}}), "schedules.ada is an object"),
    (fault(200, {"full": True, "schedules": {}, "syncToken": 7}), "syncToken is a number"),
    (fault(200, {"schedules": {}, "date": "tomorrow"}), "date 'tomorrow' is not a day"),
]


@pytest.mark.parametrize(("broken", "words"), FAULTS, ids=[f"{i} {words[:24]}" for i, (_, words) in enumerate(FAULTS)])
async def test_whatever_it_answers_what_was_good_stays_and_goes_on(client: Client, broken: Any, words: str) -> None:
    client.backend.schedules = {"ada": [slot(1)]}
    before = await client.turn()
    client.backend.change({"op": "add", "agent": "ada", "slot": slot(2)})
    client.backend.broken = broken
    for _ in range(3):
        assert await client.turn() == before
    told = await client.told("source_failed")
    assert len(told) == 1 and told[0].startswith("backend:hf: ") and words in told[0]
    client.backend.broken = None
    assert len(await client.turn()) == 2
    (row,) = await client.board.read(sources.listed)
    assert (row["failed"], row["failures"], row["error"], row["slots"]) == (3, 0, None, 2)


async def test_more_than_anyone_plans_is_no_schedule(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "MOST", 3)
    client.backend.schedules = {"ada": [slot(1), slot(2)], "bob": [slot(3), slot(4)]}
    assert await client.turn() == []
    assert "it tells of 4 slots at once, and 3 are the most" in (await client.told("source_failed"))[0]
    client.backend.schedules = {"ada": [slot(1)], "bob": [slot(3)]}
    before = await client.turn()
    client.backend.change(*({"op": "update", "agent": "ada", "slotId": 1, "patch": {"priority": 1}} for _ in range(4)))
    assert await client.turn() == before, "too many changes: asked for everything"
    assert len(await client.told("source_failed")) == 1


async def test_a_large_answer_is_read_beside_the_loop(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    read, threads = synced.read, []

    def noted(document: object) -> synced.Answer:
        threads.append(threading.current_thread())
        return read(document)

    def loaded(*given: Any, **more: Any) -> Any:
        threads.append(threading.current_thread())
        return json.loads(*given, **more)

    monkeypatch.setattr(synced, "read", noted)
    monkeypatch.setattr(backend_calls, "json", types.SimpleNamespace(loads=loaded))
    client.backend.schedules = {"ada": [slot(1)]}
    assert len(await client.turn()) == 1
    assert len(threads) == 2
    assert threading.main_thread() not in threads


async def test_a_slow_answer_is_left_at_its_limit(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client.backend.broken = slow(3)
    config = client.settings.backends["hf"]
    source = backends.Schedule("hf", config, client.board, client.settings)
    monkeypatch.setattr(source, "_calls", backend_calls.Calls(config, seconds=0.2))
    await Asking(client.board, [source], lambda: None).once()
    assert "127.0.0.1 gave no whole answer within 0.2 s" in (await client.told("source_failed"))[0]


async def test_failures_are_backed_off_up_to_the_usual_pause(client: Client) -> None:
    client.backend.broken = fault(500)
    waits = []
    for _ in range(10):
        await client.turn(300)
        (row,) = await client.board.read(sources.listed)
        waits.append(row["next_at"])
    assert waits[0] < plus(START, 306) and len(client.backend.asked) == 10 and waits[-1] > plus(START, 3000 + 200)


async def test_a_stale_schedule_stops_claims_and_an_answer_lets_them_go_on(client: Client) -> None:
    def claimable(tx: Tx) -> int:
        return len(claims.claim_due(tx, [b"x" * 32], claims.Room(max_live=9)))

    client.backend.schedules = {"ada": [slot(1, "09:00")]}
    await client.turn()
    client.backend.broken = fault(500)
    await client.turn(3500)
    await client.turn(200)
    assert await client.board.write(claimable) == 0
    client.backend.broken = None
    await client.turn(300)
    assert await client.board.write(claimable) == 1


async def test_who_reopens_a_task_is_not_undone_by_the_same_word_again(client: Client) -> None:
    client.backend.schedules = {"ada": [slot(1), slot(2)]}
    await client.turn()
    client.backend.schedules = {"ada": [slot(1, status="skipped"), slot(2)]}
    client.backend.old = True
    assert [status for _, _, status in await client.turn()] == ["cancelled", "pending"]
    await client.board.write(lambda tx: verbs.reopen(tx, 1, actor="person:operator", reason="do it"))
    client.backend.schedules = {"ada": [slot(1, status="skipped"), slot(2), slot(3)]}
    assert [status for _, _, status in await client.turn()] == ["pending", "pending", "pending"]


# --- who we are, and what is wrong with it ----------------------------------------------------------------------------


async def test_the_token_of_the_file_goes_with_every_question_as_it_is_then(
    tmp_path: Path, board: Board, clock: FakeClock
) -> None:
    backend, secret = Backend(), tmp_path / "token"
    with serving(backend) as url:
        client = Client(backend, board, clock, url, tmp_path, token_file=secret)
        for text in ("one\n", "two"):
            secret.write_text(text)
            await client.turn()
        secret.unlink()
        await client.turn()
    assert [each.headers["authorization"] for each in backend.asked] == ["Bearer one", "Bearer two"]
    assert "cannot be read" in (await client.told("source_failed"))[0]
    assert "two" not in str(await client.told("source_failed"))


async def test_a_heartbeat_says_who_lives(client: Client) -> None:
    config = client.settings.backends["hf"]
    for _ in range(3):
        await Asking(client.board, [backends.Heartbeat("hf", config, client.board)], lambda: None).once()
        client.clock.go_on(60)
    assert [each.body for each in client.backend.of("/monitor/server/heartbeat", "POST")] == [
        {"claw_identifier": "claw-1"}
    ] * 3


def test_without_an_identifier_we_are_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "smithy")
    assert BackendConfig(url="http://h").instance == "smithy"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "url"),
        ({"url": "ftp://h"}, "url begins with"),
        ({"url": "http://u:p@h/"}, "without"),
        ({"url": "http://h/?token=x"}, "a token goes into token_file"),
        ({"url": "http://h", "time_zone": "Mars/Base"}, "no IANA time zone"),
        ({"url": "http://h", "identifier": "two words"}, "identifier"),
        ({"url": "http://h", "agents": {"x": "zoe"}}, "names the agent 'zoe', which is not in agents"),
        ({"url": "http://h", "agents": {"x": "ada", "y": "ada"}}, "'ada' stands for two agents"),
        ({"url": "http://h", "project": "moon"}, "names the project 'moon'"),
    ],
)
def test_a_wrong_backend_has_a_sentence(tmp_path: Path, given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Settings(
            board=tmp_path / "b", projects=[{"id": scenes.PROJECT}], agents={"ada": AgentConfig(argv=("true",))},
            backends={"hf": given},
        )  # fmt: skip


def test_check_asks_once_and_says_what_it_found(tmp_path: Path) -> None:
    backend = Backend({"ada": [slot(1), slot(2, "noon")], "zoe": [slot(3)]})
    with serving(backend) as url:
        found = list(preflight._backends(settings(tmp_path, url)))
        backend.broken = fault(404)
        found += list(preflight._backends(settings(tmp_path, url)))
    assert [(each.level, each.sentence) for each in found] == [
        ("warn", "slot 2 of agent ada (backend:hf, schedules.ada[1]): scheduled_at 'noon' is not a time: write HH:MM, HH:MM:SS or ISO 8601 with a date and a time"),
        ("warn", "slot 3 of agent zoe (backend:hf, schedules.zoe[0]): there is no agent 'zoe': name one of the configuration"),
        ("ok", "3 slots of 2 agents for claw-1; it gives a sync token"),
        ("fail", "it answers 404: there is no calendar backend at this url"),
    ]  # fmt: skip
    assert len(backend.asked) == 2


# --- pure -------------------------------------------------------------------------------------------------------------


def test_changes_leave_what_they_were_applied_to_as_it_was() -> None:
    before = {"ada": [slot(1)]}
    with pytest.raises(Invalid, match=r"diff\[1\]: op 'x' is not known"):
        synced.applied(
            before,
            [{"op": "update", "agent": "ada", "slotId": 1, "patch": {"priority": 5}}, {"op": "x", "agent": "ada"}],
        )
    assert before == {"ada": [slot(1)]}


def test_the_same_addition_twice_is_one_and_ids_are_found_in_every_form() -> None:
    virtual = slot(None, virtual_id="p1")
    schedules = synced.applied(
        {}, [{"op": "add", "agent": "ada", "slot": each} for each in (virtual, virtual, slot(7))]
    )
    assert len(schedules["ada"]) == 2
    changes = [
        {"op": "update", "agent": "ada", "slot_id": "p1", "patch": {"priority": 2}},
        {"op": "remove", "agent": "ada", "slotId": "7"},
    ]
    assert synced.applied(schedules, changes) == {"ada": [virtual | {"priority": 2}]}
