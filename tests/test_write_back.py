"""A calendar backend is told how its slots are doing: from events, in order, at least once, whatever it answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from blackboard import agents, attempts, journal, sources, verbs, write_backs
from blackboard.board import Board, Tx
from blackboard.states import STATES
from orchestrator import sources as slot_files
from orchestrator.write_back import WriteBack
from tests import scenes, stand_in_backend
from tests.fake_clock import FakeClock
from tests.stand_in_backend import Backend, fault, serving
from tests.test_backend_sync import Client, slot

HOUR = 3600.0
PERSON = "person:operator"


class Told(Client):
    """A client that also tells. Each `tells` is a new daemon."""

    async def start(self) -> None:
        await WriteBack(self.board, self.settings).start()
        await self.turn(0)

    async def tells(self, after: float = 0) -> list[tuple[str, str]]:
        self.clock.go_on(after)
        writing = WriteBack(self.board, self.settings)
        await writing.start()
        await writing.once()
        return self.backend.told

    async def does(self, *steps: Any) -> None:
        for step in steps:
            self.clock.go_on(90)
            await self.board.write(step)

    async def queued(self) -> list[tuple[str, str]]:
        rows = await self.board.all("SELECT slot_id, status FROM write_backs ORDER BY id")
        return [(f"slot {row['slot_id']}", row["status"]) for row in rows]


@pytest.fixture
async def told(tmp_path: Path, board: Board, clock: FakeClock) -> AsyncIterator[Told]:
    backend = Backend({"ada": [slot(1, "09:00"), slot(2, "09:00")], "bob": [slot(None, "09:00", virtual_id="p/7")]})
    with serving(backend) as url:
        client = Told(backend, board, clock, url, tmp_path)
        await client.start()
        yield client


def work(task: int = 1, agent: str = "ada") -> Any:
    return lambda tx: scenes.work(tx, task, agent)


def hand_in(task: int) -> Any:
    def step(tx: Tx) -> None:
        attempt = scenes.latest(tx, task)
        journal.add_output(tx, attempt, type="other", title="it", content="done")
        verbs.submit(tx, attempt, actor=f"executor:{attempt['agent_id']}")

    return step


def approve(task: int) -> Any:
    return lambda tx: verbs.approve(tx, task, actor=PERSON)


def cancel(task: int) -> Any:
    return lambda tx: verbs.cancel(tx, task, actor=PERSON, reason="no")


def fails(task: int) -> Any:
    return lambda tx: verbs.end_badly(
        tx, scenes.latest(tx, task), "failed", actor="executor:ada", detail="no", final=True
    )


def gone(task: int) -> Any:
    return lambda tx: attempts.gone(tx, scenes.latest(tx, task)["id"])


def blocks(task: int) -> Any:
    return lambda tx: verbs.block(tx, scenes.latest(tx, task), actor="executor:ada", kind="needs_input", question="?")


def reopen(task: int = 1) -> Any:
    return lambda tx: verbs.reopen(tx, task, actor=PERSON, reason="again")


# --- which words ------------------------------------------------------------------------------------------------------


def test_every_state_has_its_word() -> None:
    words = {state: (write_backs.word(state, False), write_backs.word(state, True)) for state in STATES}
    assert words == {
        "pending": ("deferred", "deferred"), "claimed": ("ongoing", "ongoing"), "working": (None, None), "review": (None, None),
        "done": ("finished", "finished"), "failed": ("aborted", "aborted"), "blocked": ("paused", "paused"),
        "cancelled": ("skipped", "aborted"),
    }  # fmt: skip


async def test_a_slot_is_told_from_its_claim_to_its_end_with_the_time_it_took(told: Told) -> None:
    await told.does(work(), hand_in(1), approve(1))
    assert await told.tells() == [("1", "ongoing"), ("1", "finished")]
    began, ended = (each.body for each in told.backend.of("/agent-update", "PATCH"))
    assert began == {"status": "ongoing", "started_at": "2026-01-31T09:01:30.000Z"}
    assert ended == {"status": "finished", "started_at": "2026-01-31T09:01:30.000Z", "actual_duration": 2}
    request = told.backend.of("/agent-update")[0]
    assert (request.headers["x-claw-identifier"], request.headers["x-agent-id"]) == ("claw-1", "ada")
    assert await told.tells(HOUR) == told.backend.told[:2] and await told.queued() == []


async def test_a_reject_a_block_an_answer_a_failure_and_a_reopening(told: Told) -> None:
    await told.does(work(), hand_in(1), lambda tx: verbs.reject(tx, 1, actor=PERSON, remark="no"))
    await told.does(gone(1), work(), blocks(1))
    await told.does(lambda tx: verbs.unblock(tx, 1, actor=PERSON, answer="yes"))
    await told.does(gone(1), work(), fails(1), reopen())
    assert [status for _, status in await told.tells()] == [
        "ongoing", "deferred", "ongoing", "paused", "deferred", "ongoing", "aborted", "deferred",
    ]  # fmt: skip


async def test_one_cancelled_before_it_began_is_skipped_and_one_at_work_aborted(told: Told) -> None:
    await told.does(work(1), cancel(1), cancel(2))
    assert sorted(await told.tells()) == [("1", "aborted"), ("1", "ongoing"), ("2", "skipped")]
    assert [each.body for each in told.backend.of("/slots/2/")] == [{"status": "skipped"}]


async def test_what_the_backend_caused_it_is_not_told(told: Told) -> None:
    told.backend.old, told.backend.schedules = True, {"ada": [slot(1, "09:00", status="skipped")]}
    assert [status for _, _, status in await told.turn()] == ["cancelled"] * 3
    assert await told.tells() == []


async def test_what_we_had_to_say_is_no_news_once_the_backend_has_decided(told: Told) -> None:
    told.backend.broken_paths["/agent-update"] = fault(503)
    await told.does(work(), fails(1), reopen())
    await told.tells()
    assert [status for _, status in await told.queued()] == ["ongoing", "aborted", "deferred"]
    told.backend.old = True
    told.backend.slot("ada", 1)["status"] = "skipped"
    assert (await told.turn())[0][2] == "cancelled"
    told.backend.broken_paths.clear()
    before = len(told.backend.told)
    assert (await told.tells(HOUR))[before:] == []


async def test_our_own_word_that_comes_back_cancels_nothing(told: Told) -> None:
    """The backend has heard "aborted", its answer was lost, and a person reopened the task meanwhile."""
    await told.does(work(), fails(1), reopen())
    told.backend.broken_paths["/agent-update"] = fault(503)
    await told.tells()
    told.backend.old = True
    told.backend.slot("ada", 1)["status"] = "aborted"
    assert (await told.turn())[0][2] == "pending"
    told.backend.broken_paths.clear()
    await told.tells(HOUR)
    assert told.backend.slot("ada", 1)["status"] == "deferred"
    assert (await told.turn())[0][2] == "pending"


async def test_an_occurrence_of_an_earlier_day_says_nothing_of_todays(told: Told) -> None:
    await told.does(work())
    await told.tells()
    told.backend.slot("ada", 1)["status"] = "not_started"  # of the next day
    assert len(await told.turn(86400)) == 6
    await told.does(fails(1), cancel(4))
    assert await told.tells() == [("1", "ongoing"), ("1", "skipped")]


async def test_tasks_of_others_are_nobodys_slots(told: Told) -> None:
    task = await told.board.write(scenes.post)
    await told.does(work(task))
    assert await told.tells() == []


# --- a planned slot ---------------------------------------------------------------------------------------------------


async def test_a_planned_slot_is_told_by_its_virtual_id_and_then_by_the_id_it_got(told: Told) -> None:
    told.backend.real = {"p/7": 70}
    await told.does(work(3, "bob"))
    await told.tells()
    await told.does(hand_in(3), approve(3))
    assert await told.tells() == [("virtual/p/7", "ongoing"), ("70", "finished")]
    assert told.backend.of("/agent-update")[0].path == "/calendar/slots/virtual/p%2F7/agent-update"
    told.backend.change({"op": "update", "agent": "bob", "slotId": 70, "patch": {"virtual_id": None}})
    assert len(await told.turn()) == 3 and told.backend.synced == [None, "t0"]


async def test_one_that_became_real_behind_our_back_stays_one_task(told: Told) -> None:
    """Its answer was lost, and the next schedule knows only the id."""
    told.backend.old = True
    told.backend.schedules["bob"] = [slot(70, "09:00", event_data=slot(None)["event_data"])]
    assert len(await told.turn()) == 3
    assert [row["uid"] for row in await told.board.all("SELECT uid FROM slots WHERE agent_id = 'bob'")] == ["id:70"]


# --- an answer that is none ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", [fault(503), fault(401), stand_in_backend.drops, stand_in_backend.half])
async def test_an_hour_without_the_backend_loses_nothing_and_its_order_stays(told: Told, broken: Any) -> None:
    told.backend.broken = broken
    await told.does(work(1), work(2))
    for _ in range(60):
        await told.tells(60)
    asked = len(told.backend.of("/agent-update"))
    assert 12 <= asked <= 22, "backed off, up to the usual pause, and not for each slot"
    await told.does(fails(1), reopen())
    (row,) = [row for row in await told.board.read(sources.listed) if row["name"] == "backend:hf:write-back"]
    assert row["failures"] == asked and row["error"]
    told.backend.broken = None
    assert (await told.tells(400))[asked:] == [("1", "ongoing"), ("2", "ongoing"), ("1", "aborted"), ("1", "deferred")]
    (row,) = [row for row in await told.board.read(sources.listed) if row["name"] == "backend:hf:write-back"]
    assert row["failures"] == 0 and await told.queued() == []
    assert len(await told.told("source_failed")) == 1


async def test_one_slot_that_breaks_the_backend_holds_no_other_up(told: Told) -> None:
    told.backend.broken_paths["/slots/1/"] = fault(500, {"detail": "IntegrityError"})
    await told.does(work(1), work(2), fails(1))
    await told.tells()
    assert told.backend.told == [("1", "ongoing"), ("2", "ongoing")]
    assert (await told.told("source_failed")) == [
        "backend:hf:write-back: it answers 500 (IntegrityError) to id:1 is ongoing; what it said before stays"
    ]
    told.backend.broken_paths.clear()
    assert (await told.tells(400))[2:] == [("1", "ongoing"), ("1", "aborted")]


@pytest.mark.parametrize("status", [400, 404, 409, 422, 423])
async def test_what_the_backend_will_not_take_is_told_once_and_the_rest_goes_on(told: Told, status: int) -> None:
    await told.does(work(1), fails(1))
    told.backend.faults = [fault(status, {"detail": "slot is locked"})]
    assert [word for _, word in await told.tells()] == ["ongoing", "aborted"]
    (said,) = await told.told("write_back_refused")
    assert said == (
        f"backend:hf was told that id:1 is ongoing: it answers {status} (slot is locked) to id:1 is ongoing"
    )
    assert await told.queued() == []


async def test_a_refusal_in_words_that_no_board_can_keep_holds_nobody_up(told: Told) -> None:
    told.backend.faults = [fault(422, {"detail": "half \ud800"})]
    await told.does(work(1), work(2))
    await told.tells()
    assert await told.queued() == []
    (said,) = await told.told("write_back_refused")
    assert said.endswith("it answers 422 (half ?) to id:1 is ongoing")


async def test_a_planned_slot_that_is_not_there_for_a_moment_is_tried_again(told: Told) -> None:
    await told.does(work(3, "bob"))
    told.backend.faults = [fault(404)]
    await told.tells()
    assert await told.told("write_back_refused") == [] and len(await told.queued()) == 1
    assert await told.tells(400) == [("virtual/p/7", "ongoing")] * 2 and await told.queued() == []


# --- kill -9 and configuration --------------------------------------------------------------------------------------------


async def test_a_kill_after_the_answer_tells_the_same_again(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    await told.does(work(1))
    monkeypatch.setattr(write_backs, "taken", lambda *_: 1 / 0)
    await told.tells()
    monkeypatch.undo()
    assert await told.tells(HOUR) == [("1", "ongoing"), ("1", "ongoing")] and await told.queued() == []


async def test_what_happened_before_the_first_start_and_while_it_was_off_is_not_told(
    tmp_path: Path, board: Board, clock: FakeClock
) -> None:
    backend = Backend({"ada": [slot(1, "09:00")]})
    with serving(backend) as url:
        off = Told(backend, board, clock, url, tmp_path, write_back=False)
        await off.start()
        await off.does(work(1))
        assert await off.tells() == []
        on = Told(backend, board, clock, url, tmp_path)
        await on.does(fails(1))
        assert await on.tells() == [], "the first start begins here"
        await on.does(reopen())
        assert await on.tells() == [("1", "deferred")]


async def test_a_backend_that_leaves_the_configuration_takes_its_queue_with_it(told: Told) -> None:
    told.backend.broken = fault(500)
    await told.does(work(1))
    await told.tells()
    assert len(await told.queued()) == 1
    for name in ("backend:hf", "backend:hf:write-back"):
        await told.board.write(slot_files.leave, name, told.settings.policies())
    assert await told.queued() == [] and await told.board.read(sources.listed) == []


async def test_many_events_are_gathered_piece_by_piece(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_backs, "MOST", 3)
    monkeypatch.setattr(write_backs, "LAG", 5)

    def noise(tx: Tx) -> None:
        for n in range(10):
            agents.put_agent(tx, "eve", max_live=n + 1)

    await told.does(noise, work(1), noise, fails(1), noise)
    assert await told.tells() == [("1", "ongoing"), ("1", "aborted")]
    assert not await told.board.read(write_backs.news, "backend:hf")
