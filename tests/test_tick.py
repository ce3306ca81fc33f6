"""The tick over a real board with real programs, in this process: what it does, in which order, and what may fail."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blackboard import claims, verbs
from blackboard.board import Board, Tx
from blackboard.clock import SystemClock, from_text, plus, seconds_between, to_text
from blackboard.policy import Policies, Policy
from blackboard.tokens import digest, mint
from orchestrator import beginning, config_loading, farewell, monitor, processes, spawner
from orchestrator.sources import SlotFiles
from orchestrator.spawner import Spawner, SpawnError
from orchestrator.tick import Orchestrator
from prompts.render import PromptError
from tests.daemon import House, pause, until
from tests.fake_clock import FakeClock
from tests.raw_board import shell

PRINTS = {"calls_back": False}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house whose loop looks at nothing by itself for an hour, unless it is woken or knows the time."""
    house = House(tmp_path / "house", tick={"longest_pause_seconds": 3600})
    house.agent("prints", "echo done\n", **PRINTS)
    house.agent("waits", "echo $$ > pid; while [ ! -e go ]; do sleep 0.02; done; echo done\n", **PRINTS)
    try:
        yield house
        house.ends()
    finally:
        house.clear()


class Room:
    """An open board and the orchestrator on it."""

    def __init__(self, house: House, board: Board, orchestrator: Orchestrator, told: list[Mapping[str, Any]]) -> None:
        self.house, self.board, self.orchestrator, self.told = house, board, orchestrator, told

    async def post(self, agent: str = "prints", **given: Any) -> int:
        """Post a task and wake the loop, as the API does."""
        policy = Policy(review="auto", backoff_seconds=0.05).but(given)
        fields = {name: value for name, value in given.items() if not hasattr(policy, name)}
        task = await self.board.write(
            verbs.post, project="p", title="do it", actor="person:test", agent=agent, policy=policy, **fields
        )
        self.orchestrator.wake()
        return task

    async def reaches(self, task: int, *states: str) -> None:
        """Wait until a task is in one of these states with nothing of it left to see off."""

        def reached() -> bool:
            status = self.house.task(task)["status"]
            settled = status == "working" or all(each["gone_at"] for each in self.house.attempts(task))
            return status in states and settled

        await eventually(reached, lambda: self.house.story(task))

    async def claims(self, task: int, agent: str) -> tuple[int, str]:
        """Claim a task as the tick does: the attempt and its token."""
        token = mint()
        return await self.board.write(claims.claim, task, agent, digest(token)), token


async def eventually(condition: Callable[[], object], story: Callable[[], str] = str) -> None:
    """Wait until a condition of the board or of a file is true."""
    end = time.monotonic() + 30
    while True:
        began = time.monotonic()
        if condition():
            return
        assert time.monotonic() < end, f"waited in vain\n{story()}"
        await asyncio.sleep(pause(began))


@asynccontextmanager
async def opened(house: House, on_exit: str = "stop") -> AsyncIterator[Room]:
    """The board and an orchestrator that has started and does not run yet."""
    house.configure()
    (house.folder / "daemon.log").touch()
    settings = config_loading.load(house.config, environ={})
    board = await Board.open(settings.board)
    told: list[Mapping[str, Any]] = []
    try:
        await beginning.settle(board, settings)
        orchestrator = Orchestrator(board, settings, base_url="http://127.0.0.1:9", announce=told.append)
        await orchestrator.start()
        try:
            yield Room(house, board, orchestrator, told)
        finally:
            await orchestrator.stop(on_exit)
    finally:
        await board.close()


@asynccontextmanager
async def running(house: House, on_exit: str = "stop") -> AsyncIterator[Room]:
    """The same, ticking."""
    async with opened(house, on_exit) as room:
        loop = asyncio.create_task(room.orchestrator.run())
        try:
            yield room
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)


def kinds(house: House, *verbs: str) -> list[sqlite3.Row]:
    """Events of these kinds, of no matter what."""
    return [event for event in house.rows("SELECT * FROM events ORDER BY id") if event["verb"] in verbs]


# --- One pass ---------------------------------------------------------------------------------------------------


async def test_a_dry_run_renders_and_records_and_starts_nothing(house: House) -> None:
    async with opened(house) as room:
        task = await room.post()
        await room.orchestrator.once(dry_run=True)

    (attempt,) = house.attempts(task)
    assert (attempt["outcome"], attempt["spawned_at"]) == ("dry_run", None)
    assert attempt["gone_at"]
    assert house.task(task)["status"] == "pending"
    assert "do it" in house.attempt_file(attempt["id"], "prompt.md").read_text()
    assert not house.attempt_file(attempt["id"], "launch.json").exists()
    assert not house.attempt_file(attempt["id"], "curl.conf").exists()
    assert house.value("SELECT charged FROM outcomes WHERE outcome = 'dry_run'") == 0


async def test_a_dry_run_leaves_alone_what_an_earlier_daemon_left_running(house: House) -> None:
    async with running(house, "leave") as room:
        task = await room.post("waits")
        await eventually(lambda: house.workspace(task).joinpath("pid").exists())
    agent = processes.identity(int((house.workspace(task) / "pid").read_text()))
    assert agent is not None

    async with opened(house) as room:
        await room.orchestrator.once(dry_run=True)

    assert processes.alive(agent)
    assert house.outcomes(task) == [None]
    house.let_go(task)
    async with opened(house) as room:
        await room.orchestrator.once()
    assert house.outcomes(task) == ["submitted"]


async def test_once_is_one_pass_that_waits_for_what_it_started(house: House) -> None:
    house.agent("fails", "exit 1\n", **PRINTS)
    house.agent("many", "echo done\n", max_live=30, **PRINTS)
    house.tables["tick"]["max_live"] = 40
    async with opened(house) as room:
        later = await room.post(due_at="2999-01-01T00:00:00.000Z")
        good, bad = await room.post(), await room.post("fails")
        many = [await room.post("many") for _ in range(20)]
        await room.orchestrator.once()
        counts = Counter(house.task(task)["status"] for task in many)
        assert counts == {"done": 20}
        assert [house.task(task)["status"] for task in (later, good, bad)] == ["pending", "done", "pending"]
        assert house.outcomes(bad) == ["crashed"], "the next try is another pass"
        assert not house.left()


async def test_once_beats_however_long_ago_the_pass_before_it_was_and_says_what_came_of_it(house: House) -> None:
    house.agents["prints"]["heartbeat"] = {"enabled": True, "checklist": "- look"}
    async with opened(house):
        pass
    long_ago = "'2026-01-01T00:00:00.000Z'"
    shell(house.board, f"UPDATE heartbeats SET next_run_at = {long_ago}, beat_at = {long_ago}")
    async with opened(house) as room:
        await room.orchestrator.once()
    assert [row["status"] for row in house.rows("SELECT status FROM heartbeat_runs")] == ["ok"]

    shell(house.board, f"UPDATE heartbeats SET next_run_at = {long_ago}, beat_at = {long_ago}")
    async with running(house):
        await eventually(lambda: house.value("SELECT next_run_at FROM heartbeats") > "2026-01-02")
    assert house.value("SELECT count(*) FROM heartbeat_runs") == 1, (
        "one that stays puts it off by the agent's own offset"
    )


def test_a_dry_run_and_one_pass_by_the_command_line(house: House) -> None:
    house.start()
    assert house.stop() == 0
    said = house.call("post", "do it", "--agent", "prints", "--json")
    task = int(json.loads(said.stdout)["task"])

    dry = house.call("run", "--dry-run")
    assert (dry.returncode, house.task(task)["status"], house.outcomes(task)) == (0, "pending", ["dry_run"]), dry.stderr

    once = house.call("run", "--once")
    assert (once.returncode, house.outcomes(task)) == (0, ["dry_run", "submitted"]), once.stderr
    assert house.task(task)["status"] == "done"


async def test_once_sees_at_once_what_ends_on_the_board(house: House) -> None:
    async with opened(house) as room:
        task = await room.post("waits")
        once = asyncio.create_task(room.orchestrator.once())
        await eventually(lambda: house.events(task, "start"))
        await asyncio.sleep(0.3)  # now its watch sleeps until it would look by itself
        await room.board.write(verbs.cancel, task, actor="person:test")
        room.orchestrator.wake()
        async with asyncio.timeout(30):  # by itself it would look again after more than a minute
            await once
    assert house.outcomes(task) == ["cancelled"]


async def test_every_event_is_announced_once_and_in_order(house: House) -> None:
    async with running(house) as room:
        tasks = [await room.post() for _ in range(3)]
        for task in tasks:
            await room.reaches(task, "done")
    numbers = [event["id"] for event in room.told]
    assert numbers == sorted(set(numbers))
    assert set(numbers) >= {row["id"] for row in house.rows("SELECT id FROM events WHERE task_id IS NOT NULL")}


# --- When it wakes ----------------------------------------------------------------------------------------------


async def test_a_task_is_claimed_when_its_time_has_come(house: House) -> None:
    async with running(house) as room:
        due = to_text(datetime.now(UTC) + timedelta(seconds=0.7))
        task = await room.post(due_at=due)
        await room.reaches(task, "done")
    (attempt,) = house.attempts(task)
    assert 0 <= seconds_between(due, attempt["claimed_at"]) < 2


async def test_what_an_operator_inserts_with_sqlite3_is_taken_up(house: House) -> None:
    async with running(house) as room:
        await eventually(lambda: room.orchestrator.stale_for() is not None)
        said = shell(house.board, "INSERT INTO tasks (project_id, agent_id, title) VALUES ('p', 'prints', 'by hand');")
        assert (said.returncode, said.stderr) == (0, "")
        await room.reaches(1, "review")


async def test_the_next_try_begins_when_the_former_attempt_is_gone(house: House) -> None:
    house.agent("stubborn", "trap '' TERM; while :; do sleep 0.05; done\n", grace_seconds=0.5, **PRINTS)
    async with running(house) as room:
        task = await room.post("stubborn", wall_seconds=0.3, max_tries=2)
        await room.reaches(task, "failed")
    first, second = house.attempts(task)
    assert 0 <= seconds_between(first["gone_at"], second["claimed_at"]) < 10


async def test_a_crowd_of_callers_does_not_hold_the_tick_up(house: House) -> None:
    async with running(house) as room:
        await eventually(lambda: room.orchestrator.stale_for() is not None)
        readers = [await room.board._readers.get() for _ in range(2)]  # every one is busy with calls of agents
        try:
            task = await room.post()
            await eventually(lambda: house.events(task, "claim"), lambda: house.story(task))
            await eventually(lambda: "claim" in [event["verb"] for event in room.told])
        finally:
            for reader in readers:
                room.board._readers.put_nowait(reader)
        await room.reaches(task, "done")


async def test_what_may_not_be_signalled_is_told_once_and_nothing_is_claimed_beside_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a set-id child when the daemon is not root."""
    house.agent("another-users", "while :; do sleep 0.05; done\n", grace_seconds=0.1, **PRINTS)
    stop, tries = processes.stop, Counter[str]()

    async def impatient(marker: str, *who: Any, **how: Any) -> bool:
        tries[marker] += 1
        return await stop(marker, *who, **how, give_up=0.2)

    async with running(house) as room:
        with monkeypatch.context() as patch:
            patch.setattr(processes, "signal_safely", lambda one, number: False)
            patch.setattr(processes, "stop", impatient)
            patch.setattr(farewell, "LOOK_AGAIN", 0.1)
            task = await room.post("another-users", wall_seconds=0.3, max_tries=2)
            await eventually(lambda: max(tries.values(), default=0) > 2, lambda: house.story(task))
            (event,) = house.events(task, "not_gone")
            assert "look at it with ps" in event["reason"]
            assert len(house.attempts(task)) == 1
            (stuck,) = house.rows("SELECT why FROM v_stuck WHERE id = :task", task=task)
            assert "is not proved gone" in stuck["why"]
        await room.reaches(task, "failed")
    assert house.outcomes(task) == ["timed_out", "timed_out"]


# --- How much at once -------------------------------------------------------------------------------------------


async def test_never_more_live_than_allowed_for_an_agent_and_for_all(house: House) -> None:
    house.tables["tick"]["max_live"] = 3
    for name in ("one", "two"):
        house.agent(name, "sleep 0.1\n", max_live=2, **PRINTS)
    async with running(house) as room:
        tasks = [await room.post(name) for _ in range(5) for name in ("one", "two")]
        for task in tasks:
            await room.reaches(task, "done")
    live, most, most_of_one = Counter[str](), 0, 0
    for event in kinds(house, "claim", "gone"):
        live[event["agent_id"]] += 1 if event["verb"] == "claim" else -1
        most, most_of_one = max(most, live.total()), max(most_of_one, *live.values())
    assert (most, most_of_one) == (3, 2)


# --- What may fail ----------------------------------------------------------------------------------------------


async def test_a_step_that_fails_is_told_once_and_the_others_go_on(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_self: object) -> int:
        raise RuntimeError("no such luck")

    monkeypatch.setattr(SlotFiles, "take_in", broken)
    async with running(house) as room:
        tasks = [await room.post() for _ in range(2)]
        for task in tasks:
            await room.reaches(task, "done")
        await eventually(lambda: len(kinds(house, "step_failed")) == 2)
    assert {event["reason"] for event in kinds(house, "step_failed")} == {
        "slots: RuntimeError: no such luck", "take_in: RuntimeError: no such luck",
    }  # fmt: skip


async def test_a_prompt_that_cannot_be_rendered_is_not_charged_and_pauses_the_agent(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_named: object) -> str:
        raise PromptError("executor.md.j2: UndefinedError: 'moon' is undefined")

    monkeypatch.setattr(spawner, "compose", broken)
    async with running(house) as room:
        tasks = [await room.post() for _ in range(3)]
        await eventually(lambda: kinds(house, "agent_paused"))
        await eventually(lambda: all(house.attempts(task)[0]["gone_at"] for task in tasks))
    assert [house.outcomes(task) for task in tasks] == [["prompt_failed"]] * 3
    assert "'moon' is undefined" in kinds(house, "agent_paused")[0]["reason"]
    assert {house.task(task)["status"] for task in tasks} == {"pending"}


async def test_a_launcher_that_dies_at_once_is_a_failed_start_and_no_endless_loop(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LAUNCHER", Path("/no/such/launcher.py"))
    async with running(house) as room:
        tasks = [await room.post() for _ in range(3)]
        await eventually(lambda: kinds(house, "agent_paused"))
    assert [house.outcomes(task) for task in tasks] == [["spawn_failed"]] * 3


async def test_a_watch_that_fails_is_told_once_and_taken_up_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, asked = monitor.limits, []

    def sometimes(*args: Any) -> Any:
        asked.append(args)
        if len(asked) <= 3:
            raise RuntimeError("cannot count")
        return real(*args)

    monkeypatch.setattr(monitor, "limits", sometimes)
    monkeypatch.setattr(monitor, "LOOK_AGAIN", 0.05)
    async with running(house) as room:
        task = await room.post("waits")
        await eventually(lambda: len(asked) > 3)
        house.let_go(task)
        await room.reaches(task, "done")
    assert [event["reason"] for event in house.events(task, "watch_failed")] == ["RuntimeError: cannot count"]
    assert len(house.events(task, "adopted")) == 1
    assert house.outcomes(task) == ["submitted"]


async def test_what_is_not_proved_gone_holds_its_task_and_is_told_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, tries = processes.stop, iter(range(4))

    async def in_vain(*args: Any, **named: Any) -> bool:
        return False if next(tries, None) is not None else await real(*args, **named)

    monkeypatch.setattr(processes, "stop", in_vain)
    monkeypatch.setattr(farewell, "LOOK_AGAIN", 0.1)
    house.agent("crashes", "exit 1\n", **PRINTS)
    async with running(house) as room:
        task = await room.post("crashes", max_tries=2)
        await room.reaches(task, "failed")
    assert house.outcomes(task) == ["crashed", "crashed"]
    assert len(house.events(task, "not_gone")) == 1
    assert [event["verb"] for event in house.events(task, "claim", "not_gone", "gone")] == [
        "claim", "not_gone", "gone", "claim", "gone",
    ]  # fmt: skip


# --- Ends in the middle -----------------------------------------------------------------------------------------


async def test_what_was_ended_before_it_was_started_is_not_started(house: House) -> None:
    async with opened(house) as room:
        task = await room.post()
        attempt, token = await room.claims(task, "prints")
        await room.board.write(verbs.cancel, task, actor="person:test")
        starter = Spawner(room.board, config_loading.load(house.config, environ={}), "http://127.0.0.1:9")
        with pytest.raises(SpawnError):
            await starter.start(attempt, token)
        starter.close()
        assert not house.attempt_file(attempt, "launch.json").exists()
        await room.orchestrator.tick()
        await room.reaches(task, "cancelled")


async def test_a_stop_ends_also_the_claims_that_were_under_way(house: House) -> None:
    async with opened(house) as room:
        task = await room.post()

        def slowly(tx: Tx) -> None:
            time.sleep(0.3)

        under_way = [asyncio.create_task(room.board.write(slowly)), asyncio.create_task(room.claims(task, "prints"))]
        await asyncio.sleep(0)
        await room.orchestrator.stop()
        await asyncio.gather(*under_way)
        (attempt,) = house.attempts(task)
        assert attempt["outcome"] == "stopped"
        assert attempt["gone_at"]


async def test_kept_leftovers_do_not_hold_a_stop_up(house: House) -> None:
    house.agent("litters", "sleep 1000 & echo done\n", leftovers="keep", **PRINTS)
    async with running(house) as room:
        task = await room.post("litters")
        await eventually(lambda: house.task(task)["status"] == "done")
        assert house.left_of(task)
    assert not house.left_of(task)
    assert house.attempts(task)[0]["gone_at"]


# --- Slot files -------------------------------------------------------------------------------------------------


def slot(number: int, when: str, **more: object) -> dict[str, object]:
    return {"id": number, "agent": "prints", "scheduled_at": when, **more}


async def test_a_slot_file_is_followed_while_running(house: House, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    house.tables["slots"] = {"files": [str(plan)]}
    plan.write_text(json.dumps([slot(1, "2999-01-01T10:00"), slot(2, "2999-01-01T11:00")]))
    async with running(house) as room:
        await eventually(lambda: len(house.rows("SELECT * FROM tasks")) == 2)

        plan.write_text(json.dumps([slot(1, "2999-01-01T10:30"), slot(2, "2999-01-01T11:00")]))
        await eventually(lambda: house.task(1)["due_at"] == "2999-01-01T10:30:00.000Z")

        plan.write_text("[{")
        await eventually(lambda: len(kinds(house, "source_failed")) == 1)
        assert [house.task(task)["status"] for task in (1, 2)] == ["pending", "pending"]

        plan.unlink()
        await eventually(lambda: len(kinds(house, "source_failed")) == 2)
        assert [house.task(task)["status"] for task in (1, 2)] == ["pending", "pending"]

        plan.write_text(json.dumps([slot(2, "2026-01-01T00:00"), slot(3, "not a time")]))
        await eventually(lambda: house.task(1)["status"] == "cancelled")
        await room.reaches(2, "done", "review")
        (refused,) = kinds(house, "slot_refused")
        assert "not a time" in refused["reason"]
    assert len(kinds(house, "source_failed")) == 2


async def test_a_file_that_no_board_can_keep_does_not_hold_the_others_up(house: House, tmp_path: Path) -> None:
    bad, good = tmp_path / "bad.json", tmp_path / "good.json"
    house.tables["slots"] = {"files": [str(bad), str(good)]}
    bad.write_text(json.dumps([slot(1, "00:00") | {"agent": "half a \ud83d"}]))
    good.write_text(json.dumps([slot(2, "2999-01-01T10:00")]))
    async with running(house):
        await eventually(lambda: house.rows("SELECT * FROM tasks"))
        assert len(kinds(house, "source_failed", "slot_refused")) == 1
        assert not kinds(house, "step_failed")


async def test_a_file_that_the_configuration_names_no_more_has_left_with_its_slots(
    house: House, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps([slot(1, "2999-01-01T10:00")]))
    house.tables["slots"] = {"files": [str(plan)]}
    async with running(house):
        await eventually(lambda: house.rows("SELECT * FROM tasks"))
    house.tables["slots"] = {"files": []}
    async with running(house):
        await eventually(lambda: house.task(1)["status"] == "cancelled")


@pytest.mark.parametrize(("zone", "hours"), [("UTC", 15), ("Asia/Tokyo", 6), ("America/New_York", 20)])
async def test_a_new_day_begins_in_the_zone_of_the_file(
    tmp_path: Path, board: Board, clock: FakeClock, zone: str, hours: int
) -> None:
    """It is 2026-01-31T09:00Z: the next day begins in so many hours."""
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"time_zone": zone, "slots": [{"id": 1, "agent": "ada", "scheduled_at": "12:00"}]}))
    files = SlotFiles(board, [plan], project="forge", time_zone="UTC", policies=Policies())
    assert await files.take_in()
    assert files.next_day_in() == pytest.approx(hours * 3600)

    clock.go_on(hours * 3600 - 1)
    assert (files.new_day(), await files.take_in()) == (False, False)
    clock.go_on(1)
    assert (files.new_day(), await files.take_in()) == (True, True)
    assert (files.new_day(), await files.take_in()) == (False, False)

    first, second = await board.all("SELECT due_at FROM tasks ORDER BY id")
    assert second["due_at"] == plus(first["due_at"], 86400)


# --- The address ------------------------------------------------------------------------------------------------


async def test_a_stopped_agent_counts_as_living_for_the_address(house: House) -> None:
    """The refusal looks at processes, not at what the board has recorded of them."""
    async with running(house, "leave") as room:
        task = await room.post("waits")
        await eventually(lambda: house.workspace(task).joinpath("pid").exists())
        until(lambda: house.attempts(task)[0]["spawned_at"])
    agent = processes.identity(int((house.workspace(task) / "pid").read_text()))
    assert agent is not None
    processes.signal_safely(agent, signal.SIGSTOP)
    try:
        async with opened(house, "leave") as room:
            assert await room.orchestrator._monitor.living() == [f"1 (task {task}, waits)"]
    finally:
        processes.signal_safely(agent, signal.SIGCONT)
    house.let_go(task)
    async with opened(house) as room:
        await room.orchestrator.once()
        assert await room.orchestrator._monitor.living() == []


async def test_what_a_spent_day_held_is_claimed_at_midnight_of_the_budgets_zone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    shift = timedelta()

    def it_is(now: str) -> None:
        nonlocal shift
        shift = from_text(now) - datetime.now(UTC)

    it_is("2026-01-31T12:00:00.000Z")
    monkeypatch.setattr(SystemClock, "now", lambda _self: to_text(datetime.now(UTC) + shift))
    house.tables["budget"] = {"time_zone": "Asia/Kolkata"}
    house.agents["prints"]["budget"] = {"day_usd": 1.0}
    async with running(house) as room:
        await room.reaches(await room.post(), "done")
        await room.board.write(lambda tx: tx.run("UPDATE attempts SET cost_usd = 2"))
        it_is("2026-01-31T18:29:58.000Z")  # two seconds before midnight there
        second = await room.post()
        await room.reaches(second, "done")
    [held] = kinds(house, "budget_spent")
    assert "the next day begins at 2026-01-31T18:30:00.000Z" in held["reason"]
    assert house.attempts(second)[0]["claimed_at"] >= "2026-01-31T18:30:00.000Z"


def test_a_time_that_is_none_does_not_end_the_loop(house: House) -> None:
    house.agent("limited", "echo done\n", account="shared", **PRINTS)
    house.start()
    with closing(sqlite3.connect(house.board)) as foreign:
        foreign.execute(
            "UPDATE accounts SET limited_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), limited_until = '2036-01-01 10:00' WHERE id = 'shared'"
        )
        foreign.commit()
    for _ in range(2):  # the first may be claimed before the loop looks how long to sleep
        house.reaches(house.post("prints"), "review", "done")
    with closing(sqlite3.connect(house.board)) as foreign:  # or the proof at the end finds it
        foreign.execute("UPDATE accounts SET limited_at = NULL, limited_until = NULL")
        foreign.commit()
