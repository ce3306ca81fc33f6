"""Watches from end to end on a hand-wound clock: what is asked when, what is seen, what is told to whom and when."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.watches import ChangesQuery
from api.watches import _changes as reading
from blackboard import (
    attempts,
    dead_letters,
    deliveries,
    notices,
    pauses,
    presence_reports,
    sources,
    tokens,
    watch_gate,
    watch_pushes,
    watches,
)
from blackboard.board import Board, Tx
from blackboard.clock import plus
from blackboard.errors import NotFound
from blackboard.watch_diff import canonical
from orchestrator import exits
from orchestrator.asking import Asking
from orchestrator.config import Settings
from orchestrator.config_loading import load
from orchestrator.config_watches import WatchConfig, problem_of
from orchestrator.noticing import Noticing
from orchestrator.watch_check import looked_at
from orchestrator.watch_pushing import Watches
from tests import scenes
from tests.daemon import free_port
from tests.fake_clock import START, FakeClock
from tests.watched_hub import Hub

CONFIG = """
projects = [{{ id = "forge" }}]
[agents.ada]
argv = ["x"]
max_live = 9
roles = ["smith"]
[agents.bob]
argv = ["x"]
max_live = 9
roles = ["smith"]
[tick]
max_live = 9
memory_share = 0
[sinks.office]
type = "file"
folder = "office"

[watches.tickets]
url = "{url}"
items = "/tickets"
id = ["id"]
{keys}
"""
TO_ADA, TO_OFFICE = 'agent = "ada"', 'sinks = ["office"]'


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    yield made
    made.close()


class House:
    """One life of a daemon, as far as watches go; `office` stands in for a sink."""

    def __init__(self, board: Board, hub: Hub, tmp_path: Path, keys: str = TO_ADA) -> None:
        file = tmp_path / "orchestrator.toml"
        file.write_text(CONFIG.format(url=hub.url, keys=keys))
        self.settings: Settings = load(file, environ={})
        self.board, self.hub = board, hub
        self.woken: list[int] = []
        self.watches = Watches(board, self.settings, lambda: self.woken.append(1))
        self.asking = Asking(board, self.watches.sources, lambda: None)

    async def look(self) -> None:
        """Ask what is to be asked, and tell what may be told."""
        await self.asking.once()
        await self.watches.once()

    async def changes(self, state: str | None = None) -> list[str]:
        rows = await self.board.all("SELECT * FROM watch_changes ORDER BY id")
        return [f"{row['kind']} {row['item']}" for row in rows if state in (None, row["state"])]

    async def pushes(self) -> list[tuple[Any, ...]]:
        rows = await self.board.all("SELECT id, state, task_id, notice_id FROM watch_pushes ORDER BY id")
        return [tuple(row) for row in rows]

    async def next_in(self) -> float:
        row = await self.board.one("SELECT next_at FROM sources WHERE name = 'watch:tickets'")
        assert row is not None
        return round((await self.asking._left(self.asking._sources[0])), 3)


async def begun(board: Board, hub: Hub, tmp_path: Path, keys: str = TO_ADA) -> House:
    """A house whose baseline is one open ticket."""
    hub.items = {"1": {"status": "open"}}
    house = House(board, hub, tmp_path, keys)
    await house.watches.start()
    await house.look()
    return house


def told_lines(task: Any) -> list[str]:
    """What a task says of the changes themselves."""
    return str(task["description"]).removeprefix(watch_pushes.PREFACE).splitlines()


async def told(board: Board, verb: str) -> list[str]:
    return [row["reason"] for row in await board.all("SELECT reason FROM events WHERE verb = :v ORDER BY id", v=verb)]


def route(tx: Tx) -> None:
    """As a sink's part does: every notice has a delivery to each sink it names."""
    for row in tx.all("SELECT id, sinks FROM notices WHERE routed_at IS NULL"):
        for sink in json.loads(row["sinks"]):
            tx.run("INSERT INTO deliveries (notice_id, sink, next_at) VALUES (:n, :s, :now)", n=row["id"], s=sink, now=tx.now)  # fmt: skip
        tx.run("UPDATE notices SET routed_at = :now WHERE id = :n", n=row["id"], now=tx.now)


def deliver(tx: Tx, state: str = "delivered") -> None:
    route(tx)
    tx.run("UPDATE deliveries SET state = :state, settled_at = :now, error = :error, message = 'msg_' || id WHERE state = 'waiting'",
           state=state, now=tx.now, error="the office is closed" if state == "dead" else None)  # fmt: skip


# --- asking -----------------------------------------------------------------------------------------------------------


async def test_the_first_answer_is_what_later_ones_are_compared_with(board: Board, hub: Hub, tmp_path: Path) -> None:
    house = await begun(board, hub, tmp_path)
    assert await house.changes() == await house.pushes() == []
    assert await told(board, "watch_baseline") == ["watch:tickets: its first answer, 1 items: later answers are compared with them"]  # fmt: skip

    hub.items["1"]["status"] = "done"  # while no daemon ran
    board.clock.go_on(86400)  # type: ignore[attr-defined]
    again = House(board, hub, tmp_path)
    await again.watches.start()
    await again.look()
    assert await again.changes() == ["changed 1"]


async def test_the_first_answer_is_told_where_that_is_wanted(board: Board, hub: Hub, tmp_path: Path) -> None:
    house = await begun(board, hub, tmp_path, TO_ADA + "\nnotify_on_first_run = true")
    assert await house.changes("acknowledged") == ["added 1"]


async def test_other_items_are_a_new_baseline_and_no_changes(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    await begun(board, hub, tmp_path, TO_ADA + "\nnotify_on_first_run = true")
    clock.go_on(60)
    house = House(board, hub, tmp_path, TO_ADA + '\nignore = ["status"]\nnotify_on_first_run = true')
    await house.watches.start()
    await house.look()
    assert await house.changes() == ["added 1"]
    assert len(await told(board, "watch_baseline")) == 2


async def test_it_is_asked_sooner_after_a_change(board: Board, hub: Hub, tmp_path: Path, clock: FakeClock) -> None:
    house = await begun(board, hub, tmp_path)
    assert await house.next_in() == 30
    hub.items["1"]["status"] = "done"
    clock.go_on(29.9)
    await house.look()
    assert await house.changes() == []
    clock.go_on(0.1)
    await house.look()
    assert (await house.changes(), await house.next_in()) == (["changed 1"], 5)
    clock.go_on(5)
    await house.look()
    assert await house.next_in() == 30


async def test_a_server_that_knows_tags_is_asked_with_them(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    hub.tags = True
    house = await begun(board, hub, tmp_path)
    for _ in range(2):
        clock.go_on(30)
        await house.look()
    assert hub.statuses == [200, 304, 304]
    del hub.items["1"]
    for _ in range(3):
        clock.go_on(30)
        await house.look()
    assert hub.statuses[3:] == [200, 200, 304]  # while an item is only missing, the answer itself is wanted
    assert await house.changes() == ["removed 1"]


@pytest.mark.parametrize("tag", ['"d\xe9j\xe0"', '"' + "x" * 30_000 + '"'])
async def test_a_tag_that_cannot_be_sent_back_is_let_go(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock, tag: str
) -> None:
    hub.tags, hub.odd_tag = True, tag
    house = await begun(board, hub, tmp_path)
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    assert (await told(board, "source_failed"), await house.changes()) == ([], ["added 2"])
    assert not any("if-none-match" in headers for headers in hub.asked)


async def test_garbage_changes_nothing_and_is_told_once(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path)
    for fault in (b"<html>", b"<html>", b'{"tickets": null}', 503, b'{"tickets": [{"id": 1}, {"id": 1}]}'):
        hub.fault = fault
        clock.go_on(30)
        await house.look()
    assert await house.changes() == []
    assert await told(board, "source_failed") == [
        f"watch:tickets: {said}; what it said before stays"
        for said in (
            "its answer is no JSON", "what is at /tickets is neither a list nor an object", "it answers 503",
            "two items are called '1': id names the fields that tell them apart",
        )
    ]  # fmt: skip
    row = await board.one(sources.FOUND, name="watch:tickets")
    assert row is not None and (row["failures"], row["failed"]) == (5, 5)
    hub.fault = None
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    assert await house.changes() == ["added 2"]


async def test_a_source_that_is_empty_for_a_moment_lost_nothing(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path)
    kept, hub.items = hub.items, {}
    clock.go_on(30)
    await house.look()
    assert await house.next_in() == 5  # it is looked at soon
    hub.items = kept
    clock.go_on(5)
    await house.look()
    assert await house.changes() == []
    hub.items = {}
    for _ in range(2):
        clock.go_on(30)
        await house.look()
    assert await house.changes() == ["removed 1"]


async def test_one_that_hangs_holds_no_other_up(board: Board, hub: Hub, tmp_path: Path) -> None:
    slow = Hub()
    slow.holds.clear()
    try:
        keys = f'{TO_ADA}\n[watches.slow]\nurl = "{slow.url}"\nagent = "bob"\ntimeout_seconds = 0.3\n'
        house = await begun(board, hub, tmp_path, keys)
        assert await told(board, "source_failed") == [
            "watch:slow: 127.0.0.1 gave no whole answer within 0.3 s; what it said before stays"
        ]
        assert (await board.all("SELECT watch FROM watch_items"))[0]["watch"] == "tickets"
        assert house.settings.watches["slow"].target == "agent:bob"
    finally:
        slow.close()


async def test_who_wants_it_asked_now_is_not_put_off_with_an_earlier_answer(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    await board.write(tokens.create, "bbo_1", kind="operator", name="eve", scope="operate")
    hub.tags = True
    house = await begun(board, hub, tmp_path)
    for change in (
        lambda: None,
        lambda: hub.items.update({"2": {}}),
    ):  # an earlier answer that says 304, and one with items
        clock.go_on(30)
        count = len(hub.asked)
        change()
        hub.holds.clear()
        under_way = asyncio.create_task(house.asking.once())
        while len(hub.asked) == count:
            await asyncio.sleep(0.01)
        await board.write(watch_pushes.poll, tokens.digest("bbo_1"), "tickets")
        clock.go_on(1)
        hub.holds.set()
        await under_way
        await house.asking.once()
        await house.asking.once()
        assert len(hub.asked) == count + 2  # the one under way, the one that was wanted, and no more
        assert await house.next_in() > 0


async def test_a_token_is_sent_and_read_again_when_it_is_refused(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    (tmp_path / "hub.token").write_text("old")
    house = await begun(board, hub, tmp_path, TO_ADA + '\ntoken_file = "hub.token"\nheaders = { X-Team = "forge" }')
    assert [(one["authorization"], one["x-team"]) for one in hub.asked] == [("Bearer old", "forge")]
    (tmp_path / "hub.token").write_text("new")
    hub.fault = 401
    clock.go_on(30)
    await house.look()
    assert [one["authorization"] for one in hub.asked] == ["Bearer old", "Bearer old", "Bearer new"]
    assert (await told(board, "source_failed"))[0].startswith(
        "watch:tickets: it answers 401: it does not take the token"
    )


async def test_a_check_asks_it_and_keeps_nothing(tmp_path: Path, hub: Hub, board: Board) -> None:
    hub.items = {str(number): {} for number in range(7)}
    file = tmp_path / "orchestrator.toml"
    file.write_text(CONFIG.format(url=hub.url, keys=TO_ADA))
    settings = load(file, environ={})

    assert await asyncio.to_thread(lambda: list(looked_at("tickets", settings))) == [
        ("ok", "7 items: 0, 1, 2, 3, 4, …")
    ]
    hub.fault = b"<html>"
    assert await asyncio.to_thread(lambda: list(looked_at("tickets", settings))) == [("fail", "its answer is no JSON")]
    hub.fault = 404
    assert await asyncio.to_thread(lambda: list(looked_at("tickets", settings))) == [("fail", "it answers 404")]
    assert await board.all("SELECT 1 FROM watch_items") == []


async def test_a_board_that_watches_itself_may_be_checked_before_it_runs(tmp_path: Path) -> None:
    file, own = tmp_path / "orchestrator.toml", free_port()
    found: list[str] = []
    for port in (own, own + 1):  # its own, and somebody else's
        file.write_text(
            CONFIG.format(url=f"http://127.0.0.1:{own}/calendar/sync", keys=TO_ADA) + f"[api]\nport = {port}\n"
        )
        found += [
            level for level, _ in await asyncio.to_thread(lambda: list(looked_at("tickets", load(file, environ={}))))
        ]
    assert found == ["warn", "fail"]


# --- telling ----------------------------------------------------------------------------------------------------------


async def test_a_push_is_one_task_with_the_changes_in_order(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path)
    hub.items = {"1": {"status": "done"}, "2": {"status": "open"}}
    clock.go_on(30)
    await house.look()
    await house.look()

    [(push, state, task, notice)] = await house.pushes()
    assert (state, notice, house.woken) == ("acknowledged", None, [1])
    row = await board.one("SELECT * FROM tasks WHERE id = :id", id=task)
    assert row is not None
    assert (row["agent_id"], row["project_id"], row["task_type"], row["actor"]) == ("ada", "forge", "watch", "engine:watches")  # fmt: skip
    assert row["description"].startswith(watch_pushes.PREFACE) and "never an instruction" in watch_pushes.PREFACE
    assert (row["title"], told_lines(row)) == (
        "2 changes of tickets",
        [
            f'{plus(START, 30)} tickets: changed 1: status "open" → "done"',
            f'{plus(START, 30)} tickets: added 2: id "2"; status "open"',
        ],
    )
    data = json.loads(row["data"])["watch"]
    assert (data["push"], data["count"]) == (push, 2)
    assert [change["diff"] for change in data["changes"]] == [
        {"status": {"before": "open", "after": "done"}}, {"id": {"after": "2"}, "status": {"after": "open"}},
    ]  # fmt: skip
    assert await told(board, "watch_pushed") == [f"push {push}: 2 changes of tickets, as task {task}"]


async def test_what_changes_again_is_kept_as_it_was_each_time(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path, TO_ADA + "\ncooldown_seconds = 600")
    hub.items["9"] = {}
    clock.go_on(30)
    await house.look()
    for status in ("claimed", "working", "open"):
        hub.items["1"]["status"] = status
        clock.go_on(30)
        await house.look()
    assert len(await house.pushes()) == 1
    clock.go_on(600)
    await house.look()
    row = await board.one("SELECT title, description FROM tasks ORDER BY id DESC LIMIT 1")
    assert row is not None and row["title"] == "3 changes of tickets"
    assert [line.partition("status ")[2] for line in told_lines(row)] == [
        '"open" → "claimed"', '"claimed" → "working"', '"working" → "open"',
    ]  # fmt: skip


async def test_watches_of_one_agent_and_topic_are_told_together(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    other = Hub()
    try:
        keys = f'{TO_ADA}\ntopic = "the hub"\n[watches.notes]\nurl = "{other.url}"\nagent = "ada"\ntopic = "the hub"\n'
        house = await begun(board, hub, tmp_path, keys)
        hub.items["2"], other.items["a"] = {}, {}
        clock.go_on(30)
        await house.look()
        rows = await board.all("SELECT watch, push_id FROM watch_changes ORDER BY watch")
        assert [tuple(row) for row in rows] == [("notes", 1), ("tickets", 1)]
        row = await board.one("SELECT title FROM tasks")
        assert row is not None and row["title"] == "2 changes of the hub"
    finally:
        other.close()


async def test_the_cooldown_merges_and_what_is_urgent_goes_through(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path, TO_ADA + '\nurgent_when = { status = ["down"] }')
    hub.items["1"]["status"] = "a"
    clock.go_on(30)
    await house.look()
    assert len(await house.pushes()) == 1
    hub.items["1"]["status"] = "b"
    clock.go_on(5)
    await house.look()
    assert (len(await house.pushes()), await house.changes("waiting")) == (1, ["changed 1"])
    lane = house.watches._lanes[0]
    wait = await board.read(watch_pushes.why, lane, clock.now(), watch_room())
    assert wait == (f"cooldown until {plus(START, 90)}", plus(START, 90))
    assert await house.watches.once() == 5.0  # looked at again long before
    hub.items["1"]["status"] = "down"
    clock.go_on(5)
    await house.look()
    assert (len(await house.pushes()), await house.changes("waiting")) == (2, [])
    row = await board.one("SELECT description FROM tasks ORDER BY id DESC LIMIT 1")
    assert row is not None and "urgent: changed 1" in told_lines(row)[1]


def watch_room() -> Any:
    from blackboard.gates import Room

    return Room(9)


async def test_a_clock_that_was_set_back_does_not_hold_a_push_for_days(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path)
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    clock.go_on(-86400)
    hub.items["3"] = {}
    await house.look()
    assert len(await house.pushes()) == 2
    hub.items["4"] = {}
    clock.go_on(5)
    await house.look()
    assert len(await house.pushes()) == 2  # from here the cooldown counts as it does ever


async def test_too_few_free_places_hold_a_push_back_and_say_so(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path, TO_ADA + "\nmin_available = 9\nurgent_kinds = ['added']")
    task = await board.write(scenes.post)
    await board.write(scenes.claim, task)
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    lane = house.watches._lanes[0]

    async def because() -> str | None:
        wait = await board.read(watch_pushes.why, lane, clock.now(), watch_room())
        return wait and wait.because

    assert await because() == "agent ada has 8 free places, and 9 are wanted"
    await board.write(pauses.pause, pauses.Target("agent", "ada"), reason="lunch", actor="person:root")
    assert (await because() or "").startswith("agent ada is paused since")
    await board.write(pauses.resume, pauses.Target("agent", "ada"), reason=None, actor="person:root")
    await board.write(_let_go, task)
    await board.write(presence_reports.put, "ada", "hub", "offline", actor="person:root", good_for=60.0)
    assert "offline" in (await because() or "")
    await house.watches.once()
    assert await house.pushes() == []
    clock.go_on(60)
    await house.watches.once()
    assert len(await house.pushes()) == 1


async def test_while_its_project_is_paused_no_tasks_pile_up(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path)
    forge = pauses.Target("project", "forge")
    await board.write(pauses.pause, forge, reason="holidays", actor="person:root")
    for item in "2345":
        hub.items[item] = {}
        clock.go_on(120)
        await house.look()
    assert (await house.pushes(), len(await house.changes("waiting"))) == ([], 4)
    wait = await board.read(watch_pushes.why, house.watches._lanes[0], clock.now(), watch_room())
    assert wait is not None and wait.because == f"project forge is paused since {START}: holidays"
    await board.write(pauses.resume, forge, reason=None, actor="person:root")
    await house.look()
    row = await board.one("SELECT title FROM tasks")
    assert row is not None and row["title"] == "4 changes of tickets"


def _let_go(tx: Tx, task: int) -> None:
    from blackboard import verbs

    verbs.cancel(tx, task, actor="person:root")
    attempts.gone(tx, scenes.latest(tx, task)["id"])


async def test_a_role_has_the_places_of_all_that_fill_it(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path, 'role = "smith"\nmin_available = 9')
    for agent in ("ada", "bob"):
        await board.write(pauses.pause, pauses.Target("agent", agent), reason="lunch", actor="person:root")
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    assert await house.pushes() == []
    await board.write(pauses.resume, pauses.Target("agent", "bob"), reason=None, actor="person:root")
    await house.look()
    row = await board.one("SELECT role, agent_id FROM tasks")
    assert row is not None and tuple(row) == ("smith", None)


async def test_a_notice_is_acknowledged_when_a_sink_has_taken_it(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path, TO_OFFICE)
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    assert await house.pushes() == [(1, "open", None, 1)]
    row = await board.one("SELECT * FROM notices")
    assert row is not None
    assert (row["key"], row["kind"], row["title"], row["sinks"]) == ("watch-push:1", "watch", "1 change of tickets", '["office"]')  # fmt: skip
    for _ in range(5):  # while nobody has it, later changes wait, and are told after it
        hub.items["1"]["status"] = f"at {clock.go_on(120)}"
        await house.look()
    await board.write(route)
    await house.look()
    assert (len(await house.pushes()), len(await house.changes("waiting"))) == (1, 5)
    wait = await board.read(watch_pushes.why, house.watches._lanes[0], clock.now(), watch_room())
    assert wait == (f"push 1 of {plus(START, 30)} is not acknowledged yet", None)
    assert house.watches._faults == {}
    await board.write(deliver)
    await house.look()
    assert [push[:2] for push in await house.pushes()] == [(1, "acknowledged"), (2, "open")]
    assert (await house.changes("acknowledged"), len(await house.changes("pushed"))) == (["added 2"], 5)


async def test_what_no_sink_takes_waits_again_and_is_left_in_the_end(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path, TO_OFFICE + "\nmax_tries = 2")
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    await board.write(deliver, "dead")
    hub.items["3"] = {}
    clock.go_on(60)
    await house.look()
    assert await house.changes("pushed") == ["added 2", "added 3"]
    await board.write(deliver, "dead")
    clock.go_on(60)
    await house.look()
    assert (await house.changes("left"), await house.changes("pushed")) == (["added 2"], ["added 3"])
    assert await told(board, "watch_push_failed") == [
        "push 1: 1 change of tickets: the office is closed", "push 2: 2 changes of tickets: the office is closed",
    ]  # fmt: skip
    assert await told(board, "watch_left") == [
        "push 2: 1 change of tickets reached nobody: orchestrator watches retry tells them again"
    ]
    await board.write(deliver)
    await board.write(lambda tx: tx.run(watch_pushes.RETRY, watch="tickets"))
    clock.go_on(60)
    await house.look()
    await board.write(deliver)
    await house.look()
    assert await house.changes("acknowledged") == ["added 2", "added 3"]


async def test_what_a_person_dismisses_is_known_to_somebody(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path, TO_OFFICE)
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    await board.write(deliver, "dead")
    await board.write(lambda tx: dead_letters.dismiss(tx, notice=1, sink=None, actor="person:root"))
    clock.go_on(60)
    await house.look()
    assert await house.changes("acknowledged") == ["added 2"]


async def test_a_notice_that_goes_to_no_sink_is_not_taken_for_told(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path, TO_OFFICE + "\nmax_tries = 1")
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    await board.write(lambda tx: tx.run("UPDATE notices SET routed_at = :now", now=tx.now))
    await house.look()
    assert await house.changes("left") == ["added 2"]


async def test_a_task_is_told_to_sinks_too(board: Board, hub: Hub, tmp_path: Path, clock: FakeClock) -> None:
    house = await begun(board, hub, tmp_path, f"{TO_ADA}\n{TO_OFFICE}")
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    row = await board.one("SELECT agent_id, task_id FROM notices")
    assert row is not None
    assert await house.pushes() == [(1, "acknowledged", row["task_id"], 1)]


async def test_one_who_is_configured_otherwise_is_told_otherwise(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path, TO_ADA + "\ncooldown_seconds = 600")
    for item in "23":
        hub.items[item] = {}
        clock.go_on(30)
        await house.look()
    assert await house.changes("waiting") == ["added 3"]
    other = House(board, hub, tmp_path, 'agent = "bob"')
    await other.watches.start()
    await other.look()
    row = await board.one("SELECT agent_id FROM tasks ORDER BY id DESC LIMIT 1")
    assert row is not None and row["agent_id"] == "bob"


async def test_what_failed_for_one_is_told_to_whom_it_is_for_by_then(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path, TO_OFFICE)
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    other = House(board, hub, tmp_path, TO_ADA)  # the office takes nothing, so the operator names somebody else
    await other.watches.start()
    await board.write(deliver, "dead")
    await other.look()
    await other.look()
    assert await house.changes("acknowledged") == ["added 2"]
    row = await board.one("SELECT agent_id, title FROM tasks")
    assert row is not None and tuple(row) == ("ada", "1 change of tickets")


async def test_a_watch_that_is_configured_no_more_leaves_what_waited(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path, TO_ADA + "\ncooldown_seconds = 600")
    for item in "23":
        hub.items[item] = {}
        clock.go_on(30)
        await house.look()
    await board.write(watches.agree, [])
    assert (await house.changes("left"), await board.all("SELECT * FROM watch_items")) == (["added 3"], [])
    assert await board.one(sources.FOUND, name="watch:tickets") is None
    assert await told(board, "watch_left") == [
        "watch:tickets is configured no more: 1 of its changes were told to nobody"
    ]


async def test_what_a_watch_saw_can_be_read_when_it_is_configured_no_more(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path)
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    await board.write(watches.agree, [])
    await board.write(tokens.create, "bbo_1", kind="operator", name="eve", scope="read")
    token = tokens.digest("bbo_1")
    page = await board.read(reading, token, "tickets", ChangesQuery(after=0))
    assert [each["item"] for each in page["changes"]] == ["2"]
    assert (await board.read(reading, token, "tickets", ChangesQuery(after=page["next"])))["changes"] == []
    with pytest.raises(NotFound):
        await board.read(reading, token, "others", ChangesQuery())


async def test_a_push_that_cannot_be_made_is_made_later_and_holds_no_other_up(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await begun(board, hub, tmp_path)
    hub.items["2"] = {}
    clock.go_on(30)

    def broken(*_: object, **__: object) -> int:
        raise KeyError("nothing")

    with monkeypatch.context() as patch:
        patch.setattr(watch_pushes.verbs, "post", broken)
        await house.look()
    assert (await house.changes("waiting"), await house.pushes()) == (["added 2"], [])
    await house.look()
    assert await house.changes("acknowledged") == ["added 2"]


async def test_a_long_list_is_cut_in_the_task_and_whole_on_the_board(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path)
    hub.items |= {f"t{n:03}": {"text": "x" * 400} for n in range(900)}
    clock.go_on(30)
    await house.look()
    row = await board.one("SELECT title, description, data FROM tasks")
    assert row is not None
    lines = told_lines(row)
    assert row["title"] == "900 changes of tickets" and len(row["description"]) < 13_000
    assert lines[-1] == f"… and {900 - len(lines) + 1} changes more: orchestrator watches changes tickets"
    assert len(row["data"]) < 60_000
    found = await board.read(watch_pushes.changes, "tickets", after=0, most=1000)
    assert [each["item"] for each in found] == [f"t{n:03}" for n in range(900)]


async def test_of_a_change_that_is_too_long_to_be_told_whole_the_beginning_is_told(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path)
    hub.items["2"] = {f"field {n}": "x" * 450 for n in range(30)}
    clock.go_on(30)
    await house.look()
    row = await board.one("SELECT description FROM tasks")
    [line] = told_lines(row)
    assert 'added 2: field 0 "xxx' in line and line.endswith("…")


@pytest.mark.parametrize(
    "sql",
    [
        watch_gate.SOME, watch_gate.URGENT, watch_pushes.WATCHES, watch_pushes.TO_TELL, watch_pushes.PUSHED, watch_pushes.ACKNOWLEDGED, watch_pushes.ANY_OPEN,
        watch_pushes.STANDING, watch_pushes.RETRY, watch_pushes.SEEN, watch_pushes.CHANGES, watch_pushes.LATEST, watch_pushes.STANDS,
        watch_gate.OPEN, watch_gate.LAST, watches.ITEMS, watches.LEAVE,
    ],
)  # fmt: skip
async def test_however_long_the_history_is_only_what_is_asked_for_is_read(board: Board, sql: str) -> None:
    names = {"target", "topic", "push", "watch", "after", "most", "now"}
    plan = await board.all(f"EXPLAIN QUERY PLAN {sql}", **dict.fromkeys(names, 1))
    scans = [each for row in plan if (each := row["detail"]).startswith("SCAN") and each != "SCAN CONSTANT ROW"]
    partial = [
        each for each in scans if "USING INDEX watch_changes_waiting" in each or "one_watch_push_at_once" in each
    ]
    assert [each for each in scans if each not in partial and "subquery" not in each.lower()] == [], scans
    of_watch = [row["detail"] for row in plan if "watch_changes_of_watch" in row["detail"]]
    assert sql != watch_pushes.STANDS or all("COVERING" in each for each in of_watch), of_watch
    assert sql != watch_gate.URGENT or "watch_changes_urgent" in plan[0]["detail"]


async def test_however_much_waits_no_more_is_read_than_is_told(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await begun(board, hub, tmp_path, TO_ADA + "\nurgent_when = { text = ['899'] }")
    hub.items |= {f"t{n:03}": {"text": str(n)} for n in range(900)}
    clock.go_on(30)
    await house.asking.once()
    read: list[Any] = []
    told_of = watch_pushes._told
    monkeypatch.setattr(watch_pushes, "_told", lambda row: read.append(row) or told_of(row))
    await house.watches.once()
    row = await board.one("SELECT t.title, p.urgent FROM watch_pushes p JOIN tasks t ON t.id = p.task_id")
    assert row is not None and tuple(row) == ("900 changes of tickets", 1)
    assert len(read) == watch_pushes.MOST_SHOWN


# --- an hour ----------------------------------------------------------------------------------------------------------


def replayed(rows: list[Any], before: dict[str, Any]) -> dict[str, Any]:
    """What the changes make of a state, one after the other; each has to fit what is there."""
    state = json.loads(json.dumps(before))
    for row in rows:
        item, diff = row["item"], json.loads(row["diff"])
        assert (item in state) == (row["kind"] != "added"), dict(row)
        fields = state.setdefault(item, {})
        for name, sides in diff.items():
            assert fields.get(name) == sides.get("before")
            fields.pop(name, None)
            if "after" in sides:
                fields[name] = sides["after"]
        if row["kind"] == "removed":
            assert state.pop(item) == {}
    return state


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("keys", [TO_ADA, TO_OFFICE], ids=["task", "notice"])
async def test_an_hour_of_a_source_and_a_sink_that_come_and_go(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock, seed: int, keys: str
) -> None:
    """It flaps, restarts empty, answers garbage; the sink is down for the hour; the daemon dies again and again."""
    dice = random.Random(seed)
    house = await begun(board, hub, tmp_path, keys)
    noticing = Noticing(board, house.settings)
    await noticing.start()
    before = {"1": {"id": "1", "status": "open"}}
    office = tmp_path / "office"
    office.mkdir(mode=0o755)  # others could look into it, so nothing is put there
    for step in range(380):
        if step == 360:
            office.chmod(0o700)
        if dice.random() < 0.3:
            name = dice.choice("123456")
            hub.items[name] = {"status": dice.choice(["open", "done"]), "n": step}
        if dice.random() < 0.05 and hub.items:
            del hub.items[dice.choice(list(hub.items))]
        hub.fault = dice.choice([None] * 6 + [503, b"<html>", b"{", b'{"tickets": {}, "t'])
        kept, hub.items = hub.items, {} if dice.random() < 0.05 else hub.items
        clock.go_on(10)
        await house.asking.once()
        hub.items = kept
        if dice.random() < 0.1:  # killed between the poll and the push
            house = House(board, hub, tmp_path, keys)
            await house.watches.start()
        else:
            await house.watches.once()
        if dice.random() < 0.1:  # killed before the sink was told, or while it was
            noticing = Noticing(board, house.settings)
            await noticing.start()
        else:
            await noticing.once()
    hub.fault = None
    for _ in range(30):
        clock.go_on(60)
        await house.look()
        await noticing.once()
    await house.look()

    rows = await board.all("SELECT * FROM watch_changes ORDER BY id")
    assert {row["state"] for row in rows} == {"acknowledged"}
    assert len(rows) > 40
    pushes = [row["push_id"] for row in rows]
    assert pushes == sorted(pushes)  # in order, from push to push
    if keys == TO_ADA:
        told_of = [json.loads(row["data"])["watch"] for row in await board.all("SELECT data FROM tasks ORDER BY id")]
    else:
        files = [json.loads(file.read_text()) for file in sorted(office.glob("*.json"))]
        told_of = [notice["data"] for file in files for notice in file["data"]["notices"] if notice["kind"] == "watch"]
    assert [each["push"] for each in told_of] == list(dict.fromkeys(pushes))
    for each in told_of:  # as many as fit, and how many there are
        ids = [row["id"] for row in rows if row["push_id"] == each["push"]]
        assert each["count"] == len(ids)
        assert [change["id"] for change in each["changes"]] == ids[:100]
    assert canonical(replayed(rows, before)) == canonical(
        {name: {"id": name, **each} for name, each in hub.items.items()}
    )
    assert notices.MOST_BODY >= watch_pushes.MOST_TEXT


@pytest.mark.parametrize(("became", "state"), [(deliver, "acknowledged"), (None, "left")], ids=["taken", "for nobody"])
async def test_a_notice_stays_until_it_is_known_who_has_taken_it(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock, became: Any, state: str
) -> None:
    """However long no daemon ran, or whatever the clock says: what goes to nobody is not taken for told."""
    house = await begun(board, hub, tmp_path, TO_OFFICE + "\nmax_tries = 1")
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    await board.write(became or (lambda tx: tx.run("UPDATE notices SET routed_at = :now", now=tx.now)))
    clock.go_on(40 * 86400)
    assert await board.write(deliveries.drop_old, clock.now()) == 0
    await house.watches.once()
    assert await house.changes(state) == ["added 2"]
    assert await board.write(deliveries.drop_old, clock.now()) == 1


async def test_what_a_notice_said_that_was_deleted_by_hand_is_told_again(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path, TO_OFFICE)
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    await board.write(lambda tx: tx.run("DELETE FROM notices"))
    await house.watches.once()
    assert (await house.pushes(), await house.changes("acknowledged")) == ([(1, "failed", None, 1)], [])
    assert await told(board, "watch_push_failed") == ["push 1: 1 change of tickets: its notice is there no more"]
    clock.go_on(60)
    await house.watches.once()
    await board.write(deliver)
    await house.watches.once()
    assert await house.changes("acknowledged") == ["added 2"]


async def test_a_push_is_settled_though_nothing_is_watched_any_more(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock
) -> None:
    house = await begun(board, hub, tmp_path, TO_OFFICE)
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    nothing = Watches(board, house.settings.model_copy(update={"watches": {}}), lambda: None)
    await nothing.start()
    running = asyncio.create_task(nothing.run())
    await board.write(deliver)
    async with asyncio.timeout(20):
        await running  # it ends by itself: there is nothing more to do
    assert await house.pushes() == [(1, "acknowledged", None, 1)]


async def test_a_push_is_settled_though_the_board_could_not_be_read_for_a_moment(
    board: Board, hub: Hub, tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await begun(board, hub, tmp_path, TO_OFFICE)
    hub.items["2"] = {}
    clock.go_on(30)
    await house.look()
    await board.write(deliver)
    nothing = Watches(board, house.settings.model_copy(update={"watches": {}}), lambda: None)
    read, failed = board.read, []

    async def once_not(*given: Any) -> Any:
        if not failed:
            failed.append(1)
            raise sqlite3.OperationalError("disk I/O error")
        return await read(*given)

    monkeypatch.setattr(board, "read", once_not)
    async with asyncio.timeout(20):
        await nothing.run()
    assert failed and await house.pushes() == [(1, "acknowledged", None, 1)]


# --- wrong configurations ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ('url = "ftp://hub"\nagent = "ada"', "url begins with https:// or http://"),
        ('url = "http://u:p@hub"\nagent = "ada"', "without # or a password"),
        ('agent = "ada"', "url"),
        ('url = "http://hub"', "nobody is told: give agent or role, who gets a task, or sinks"),
        ('url = "http://hub"\nagent = "ada"\nrole = "smith"', "a task is for an agent or for a role"),
        ('url = "http://hub"\nagent = "ada"\nitems = "tickets"', "items is a JSON pointer and begins with /, e.g. /tickets"),
        ('url = "http://hub"\nagent = "ada"\nheaders = { Authorization = "x" }', "Authorization is a header of our own"),
        ('url = "http://hub"\nagent = "ada"\nheaders = { "a b" = "x" }', "headers"),
        ('url = "http://hub"\nagent = "ada"\ntoken_file = "x"\ntoken_command = ["y"]', "give one of both"),
        ('url = "http://hub"\nagent = "zoe"', "names the agent 'zoe', which is not in agents"),
        ('url = "http://hub"\nrole = "baker"', "names the role 'baker', which no agent has"),
        ('url = "http://hub"\nagent = "ada"\nproject = "moon"', "names the project 'moon'"),
        ('url = "http://hub"\nagent = "ada"\nmin_available = 10', "wants 10 free places, and there are 9 at most"),
        ('url = "http://hub"\nagent = "ada"\nurgent_kinds = ["new"]', "added"),
        ('url = "http://hub"\nagent = "ada"\nconfirm_removals = 0', "confirm_removals"),
        ('url = "http://hub"\nagent = "ada"\ntopic = "tickets"\ncooldown_seconds = 1', "are told together, so both say the same of cooldown_seconds"),
        ('url = "http://hub"\nagent = "ada"\ncolour = "red"', "colour"),
    ],
)  # fmt: skip
def test_a_wrong_watch_has_a_sentence(tmp_path: Path, keys: str, words: str) -> None:
    file = tmp_path / "orchestrator.toml"
    file.write_text(CONFIG.format(url="http://hub", keys=f"{TO_ADA}\n[watches.second]\n{keys}\n"))

    with pytest.raises(exits.Exit) as caught:
        load(file, environ={})

    assert words in caught.value.sentence


def test_a_watch_names_a_sink_that_there_is() -> None:
    given = WatchConfig(url="http://h", sinks=("office",))
    assert problem_of({"x": given}, {}, 8, ["desk"]) == "watches.x names the sink 'office': sinks are desk"
    assert problem_of({"x": given}, {}, 8, ["office"]) is None


def test_what_it_sends_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "orchestrator.toml"
    keys = 'agent = "ada"\nheaders = { X-Key = "s3cret" }\ntoken_command = ["./get", "--token", "s3cret"]'
    more = (
        '[calendars.team]\nurl = "https://cal/s3cret.ics"\n[presence.desk]\nurl = "https://desk/{agent}?key=s3cret"\n'
    )
    file.write_text(CONFIG.format(url="http://hub:81/x?key=s3cret", keys=f"{keys}\n{more}"))
    settings = load(file, environ={})

    assert "s3cret" not in json.dumps(settings.shown())
    assert settings.shown()["watches"]["tickets"]["url"] == "http://hub:81/***"
    assert settings.watches["tickets"].url == "http://hub:81/x?key=s3cret"
    assert settings.watches["tickets"].token_command[0] == str(tmp_path / "get")


def test_every_key_of_a_watch_can_be_set_by_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "orchestrator.toml"
    file.write_text(CONFIG.format(url="http://hub", keys='agent = "ada"'))
    values: dict[str, Any] = {
        "url": "http://other", "token_file": "/t", "headers": {"X-A": "b"}, "items": "/x", "id": ["n"], "ignore": ["at"],
        "sinks": ["office"], "topic": "t", "project": "forge", "urgent_kinds": ["added"], "urgent_when": {"s": ["down"]},
        "notify_on_first_run": True, "agent": "bob", "max_bytes": 4096,
    }  # fmt: skip
    skipped = {"role", "token_command"}  # where there is an agent and a token_file
    for key in WatchConfig.model_fields.keys() - skipped:
        value = values.get(key, 7)
        text = json.dumps(value) if not isinstance(value, str) else value
        found = load(file, environ={f"ORCH_WATCHES__TICKETS__{key.upper()}": text})
        assert found.watches["tickets"].model_dump(mode="json")[key] == value, key
