"""Heartbeats on the board: a beat is one task, never two, never beside other work; what it answers is told or not."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from typing import Any

import pytest

from blackboard import (
    attempts,
    claims,
    contracts,
    feed,
    heartbeat_callers,
    heartbeat_runs,
    heartbeats,
    journal,
    notice_events,
    pauses,
    verbs,
)
from blackboard.board import Board, Rows, Tx
from blackboard.clock import plus, seconds_between
from blackboard.errors import Invalid, NotFound, Refused
from blackboard.gates import Room
from blackboard.heartbeat_answers import acknowledged, is_empty, summary
from blackboard.heartbeat_times import offset
from blackboard.heartbeats import Configured, HeartbeatSettings
from blackboard.move import get
from blackboard.policy import Policies, Policy
from blackboard.tokens import digest, mint
from tests import scenes
from tests.fake_clock import START, FakeClock

ROOM = Room(99)
ON = {"enabled": True, "checklist": "look at the disk"}
EVERY = 1800


def beat(tx: Tx) -> list[int]:
    """What the tick does: keep contracts, then beat."""
    contracts.keep(tx)
    assert (heartbeat_runs.to_do(tx, tx.now, ROOM) is not None) == bool(_writes(tx)), (
        "it writes exactly when there is something"
    )
    return heartbeat_runs.beat(tx, ROOM, Policies())


def _writes(tx: Tx) -> object:
    due = heartbeat_runs._looked_at(tx, tx.now, ROOM)
    return tx.all(heartbeat_runs.OVER) or [1 for row, held in due if held is None or row["held_by"] is None]


async def switched_on(board: Board, clock: FakeClock, **given: Any) -> None:
    """Ada's heartbeat is on, and its first beat is due now."""
    await board.write(heartbeats.change, "ada", ON | given, actor="person:root")
    row = await board.read(heartbeats.get, "ada")
    clock.go_on(seconds_between(clock.now(), row["next_run_at"]))


def answer(tx: Tx, task: int, said: str | None, *, last_words: str | None = None) -> None:
    """The agent works on its heartbeat's task, answers and is gone."""
    attempt = scenes.claim(tx, task)
    verbs.start(tx, attempt, actor="executor:ada")
    if said is not None:
        journal.add_comment(tx, task, author="executor:ada", body=said, attempt_id=attempt["id"])
    verbs.submit(tx, attempt, actor="executor:ada")
    if last_words is not None:
        tx.run("UPDATE attempts SET result = :said WHERE id = :id", said=last_words, id=attempt["id"])
    scenes.see_off(tx, task)


async def logs(board: Board) -> list[dict[str, Any]]:
    return await board.read(heartbeat_runs.logs, "ada", 99)


def verbs_of(rows: Rows) -> list[str]:
    found = rows.all("SELECT verb, reason FROM events WHERE verb GLOB 'heartbeat*' ORDER BY id")
    return [f"{row['verb']}: {row['reason']}" for row in found]


# --- The answer -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "quiet"),
    [
        ("HEARTBEAT_OK", True), (" HEARTBEAT_OK \n", True), ("**HEARTBEAT_OK**", True), ("`HEARTBEAT_OK`", True),
        ("```\nHEARTBEAT_OK\n```", True), ("> HEARTBEAT_OK", True), ("HEARTBEAT_OK.", True), ("HEARTBEAT_OK!", True),
        ("All quiet. HEARTBEAT_OK", True), ("All quiet.\n\n**HEARTBEAT_OK**.", True), ("HEARTBEAT_OK\nall quiet", True),
        ("HEARTBEAT_OK. All quiet", True), ("HEARTBEAT_OK\n" + "x" * 300, True), ("x" * 300 + "\nHEARTBEAT_OK", True),
        ("HEARTBEAT_OK\n" + "x" * 301, False), ("x" * 301 + "\nHEARTBEAT_OK", False),
        ("I can not say HEARTBEAT_OK, the disk is full", False), ("I can not say HEARTBEAT_OK", False),
        ("HEARTBEAT_OK is what I can not say", False), ("HEARTBEAT_OK, but the disk is full", False),
        ("HEARTBEAT_OKAY", False), ("NOT_HEARTBEAT_OK", False), ("heartbeat_ok", False), ("", False), ("the disk is full", False),
        ("not HEARTBEAT_OK\nat all", False), ("HEARTBEAT_OK HEARTBEAT_OK is wrong", False),
    ],
)  # fmt: skip
def test_only_a_word_of_its_own_at_one_end_acknowledges(said: str, quiet: bool) -> None:
    assert acknowledged(said, "HEARTBEAT_OK", 300) is quiet


def test_with_no_room_beside_it_the_word_stands_alone() -> None:
    assert acknowledged("*OK*", "OK", 0) and not acknowledged("fine.\nOK", "OK", 0)


@pytest.mark.parametrize(
    ("checklist", "empty"),
    [
        ("", True),
        (" \n\n", True),
        ("# Mine\n\n## Later", True),
        ("<!-- write\nhere -->", True),
        ("<!-- one -->\n<!-- two --> <!-- open", False),
        ("<!-->", False),
        ("# Mine\n- look", False),
    ],
)
def test_a_checklist_of_headings_is_empty(checklist: str, empty: bool) -> None:
    assert is_empty(checklist) is empty


def test_no_answer_and_no_checklist_keeps_the_board_waiting() -> None:
    """Both are an agent's words, and read by the one who writes."""
    before = time.process_time()
    assert not acknowledged("\n" * 20_000 + "x", "HEARTBEAT_OK", 300)
    assert not is_empty("<!--" * 16_384)
    assert time.process_time() - before < 1


def test_a_summary_is_the_beginning() -> None:
    assert summary("x" * 500) == "x" * 500 and summary("x" * 501) == "x" * 500 + "…"


# --- Setting it -------------------------------------------------------------------------------------------------------


async def test_the_defaults_are_the_same_in_sql_and_in_python(board: Board) -> None:
    await board.write(lambda tx: tx.run("INSERT INTO heartbeats (agent_id, project_id) VALUES ('ada', 'forge')"))
    assert heartbeats.settings_of(await board.read(heartbeats.get, "ada")) == HeartbeatSettings()


async def test_it_begins_an_interval_and_the_agents_offset_after_it_is_switched_on(board: Board) -> None:
    assert await board.write(heartbeats.change, "ada", ON, actor="person:root") == ["enabled", "checklist"]
    row = await board.read(heartbeats.get, "ada")
    assert row["next_run_at"] == row["beat_at"] == plus(START, EVERY + offset("ada", EVERY))

    await board.write(heartbeats.change, "ada", {"checklist": "look twice"}, actor="person:root")
    assert (await board.read(heartbeats.get, "ada"))["next_run_at"] == row["next_run_at"], "that is no new beginning"
    await board.write(heartbeats.change, "ada", {"enabled": False}, actor="person:root")
    assert (await board.read(heartbeats.get, "ada"))["next_run_at"] is None
    assert await board.read(heartbeat_runs.next_time) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [({"interval_seconds": 299}, "from 300"), ({"active_hours": "9-17"}, "HH:MM"), ({"time_zone": "Mars"}, "IANA"),
     ({"checklist": "ä" * 32769}, "65536 bytes"), ({"checklist": "disk\0"}, "NUL"), ({"prompt": "look\0"}, "NUL"),
     ({"prompt": "x" * 4001}, "4000"), ({"ack_word": ""}, "one word"), ({"ack_word": "all quiet"}, "one word"), ({"ack_word": "OK\n"}, "one word"),
     ({"ack_max_chars": 20_001}, "20000"), ({"max_retries": 11}, "from 0 to 10"), ({"max_retries": 2**64}, "from 0 to 10")],
)  # fmt: skip
async def test_what_cannot_be_is_refused(board: Board, given: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        await board.write(heartbeats.change, "ada", given, actor="person:root")


async def test_one_that_is_switched_off_begins_nothing_more_and_ends_nothing(board: Board, clock: FakeClock) -> None:
    await switched_on(board, clock)
    [waits] = await board.write(beat)
    await board.write(heartbeats.change, "ada", {"enabled": False}, actor="agent:ada")
    assert await board.read(scenes.status_of, waits) == "cancelled"
    await board.write(beat)
    assert [(run["status"], run["reason"]) for run in await logs(board)] == [("skipped", "cancelled")]

    await switched_on(board, clock)
    [begun] = await board.write(beat)
    await board.write(lambda tx: scenes.claim(tx, begun))
    await board.write(heartbeats.change, "ada", {"enabled": False}, actor="agent:ada")
    assert await board.read(scenes.status_of, begun) == "claimed"


async def test_an_agent_that_is_none_and_one_without_a_heartbeat_are_told_apart(board: Board) -> None:
    with pytest.raises(NotFound, match="no agent zoe"):
        await board.read(heartbeats.get, "zoe")
    with pytest.raises(NotFound, match="orchestrator heartbeat set ada"):
        await board.read(heartbeats.get, "ada")


async def test_the_board_keeps_what_was_set_until_the_configuration_says_something_else(board: Board) -> None:
    first = Configured("ada", scenes.PROJECT, HeartbeatSettings(enabled=True, checklist="one"))
    await board.write(heartbeats.take_over, [first])
    row = await board.read(heartbeats.get, "ada")
    await board.write(heartbeats.change, "ada", {"interval_seconds": 600}, actor="person:root")
    await board.write(heartbeats.take_over, [first])
    assert (await board.read(heartbeats.get, "ada"))["interval_seconds"] == 600

    second = Configured("ada", scenes.PROJECT, HeartbeatSettings(enabled=True, checklist="two"))
    await board.write(heartbeats.take_over, [second])
    assert heartbeats.settings_of(await board.read(heartbeats.get, "ada")) == second.settings
    await board.write(heartbeats.take_over, [second])
    assert (await board.read(heartbeats.get, "ada"))["rev"] == 2, "the same word again changes nothing"

    await board.write(heartbeats.take_over, [])
    gone = heartbeats.settings_of(await board.read(heartbeats.get, "ada"))
    assert asdict(gone) == asdict(second.settings) | {"enabled": False}
    assert row["config"] != second.fingerprint


# --- Beating ----------------------------------------------------------------------------------------------------------


async def test_a_beat_is_one_task_with_its_run_and_the_next_beat_is_on_the_grid(board: Board, clock: FakeClock) -> None:
    await switched_on(board, clock)
    due = clock.now()
    assert await board.read(heartbeat_runs.next_time) == due
    [task] = await board.write(beat)
    assert await board.write(beat) == [] == await board.write(beat)

    row = await board.one("SELECT * FROM tasks WHERE id = :id", id=task)
    assert row is not None
    told = {
        name: row[name] for name in ("agent_id", "task_type", "review", "needs_output", "max_tries", "backoff_seconds")
    }
    assert told == {
        "agent_id": "ada", "task_type": "heartbeat", "review": "auto", "needs_output": 0, "max_tries": 3, "backoff_seconds": 1.0,
    }  # fmt: skip
    assert row["begin_by"] == plus(due, EVERY) == (await board.read(heartbeats.get, "ada"))["next_run_at"]
    [run] = await logs(board)
    assert (run["task"], run["status"], run["started_at"]) == (task, "running", due)


async def test_what_it_answers_is_in_the_log_and_told_only_where_somebody_should_know(
    board: Board, clock: FakeClock
) -> None:
    await switched_on(board, clock, sinks=("phone",))
    for said in ("HEARTBEAT_OK", "the disk is full\nquite"):
        [task] = await board.write(beat)
        clock.go_on(5)
        await board.write(answer, task, said)
        await board.write(beat)
        assert await board.write(beat) == []
        clock.go_on(EVERY - 5)

    row = await board.read(heartbeats.get, "ada")
    assert (row["run_count"], row["suppress_count"], row["last_status"]) == (2, 1, "ok")
    assert [(run["status"], run["summary"]) for run in reversed(await logs(board))] == [
        ("suppressed", "HEARTBEAT_OK"), ("ok", "the disk is full\nquite"),
    ]  # fmt: skip
    [notice] = await board.all("SELECT * FROM notices")
    assert (notice["kind"], notice["key"], notice["topic"]) == ("heartbeat", "heartbeat-run:2", "agent:ada")
    assert (notice["title"], notice["sinks"]) == ("Heartbeat of ada: the disk is full", '["phone"]')
    assert await board.read(verbs_of) == [
        "heartbeat_set: heartbeat on, every 1800 s", "heartbeat_run: suppressed", "heartbeat_run: ok",
    ]  # fmt: skip


async def test_the_log_says_what_all_tries_of_a_beat_took(board: Board, clock: FakeClock) -> None:
    await switched_on(board, clock)
    [task] = await board.write(beat)
    used = "UPDATE attempts SET input_tokens = 100, output_tokens = 7 WHERE task_id = :task"

    def crash(tx: Tx) -> None:
        verbs.end_badly(tx, scenes.claim(tx, task), "crashed", actor="engine:monitor")
        scenes.see_off(tx, task)

    clock.go_on(5)  # not yet begun
    await board.write(crash)
    clock.go_on(20)
    await board.write(lambda tx: scenes.claim(tx, task))
    clock.go_on(10)

    def end(tx: Tx) -> None:
        attempt = attempts.get(tx, 2)
        verbs.submit(tx, attempt, actor="executor:ada", detail="HEARTBEAT_OK")
        scenes.see_off(tx, task)
        tx.run(used, task=task)

    await board.write(end)
    clock.go_on(40)  # nobody looked
    await board.write(beat)
    [run] = await logs(board)
    found = (run["status"], run["input_tokens"], run["output_tokens"], run["duration_seconds"], run["ended_at"])
    assert found == ("suppressed", 200, 14, 30.0, clock.now())


@pytest.mark.parametrize(
    ("said", "last_words", "status"),
    [
        (None, "HEARTBEAT_OK", "suppressed"), (None, "the disk is full", "ok"), (None, None, "ok"),
        ("the disk is full", "HEARTBEAT_OK", "ok"), ("HEARTBEAT_OK", "I have told them", "suppressed"),
    ],
)  # fmt: skip
async def test_a_report_counts_before_the_last_words(
    board: Board, clock: FakeClock, said: str | None, last_words: str | None, status: str
) -> None:
    await switched_on(board, clock)
    [task] = await board.write(beat)
    await board.write(lambda tx: answer(tx, task, said, last_words=last_words))
    await board.write(beat)
    assert (await logs(board))[0]["status"] == status


@pytest.mark.parametrize(
    ("made", "said", "status"),
    [(["HEARTBEAT_OK"], None, "suppressed"), (["disk full"], None, "ok"), (["disk full"], "HEARTBEAT_OK", "ok"),
     (["HEARTBEAT_OK", "disk full"], None, "ok"), ([], None, "suppressed")],
)  # fmt: skip
async def test_what_was_handed_in_is_never_passed_over(
    board: Board, clock: FakeClock, made: list[str], said: str | None, status: str
) -> None:
    await switched_on(board, clock)
    [task] = await board.write(beat)

    def life(tx: Tx) -> None:
        attempt = scenes.claim(tx, task)
        for content in made:
            journal.add_output(tx, attempt, type="other", title="found", content=content)
        if said:
            journal.add_comment(tx, task, author="executor:ada", body=said, attempt_id=attempt["id"])
        verbs.submit(tx, attempt, actor="executor:ada")
        tx.run("UPDATE attempts SET result = 'HEARTBEAT_OK' WHERE id = :id", id=attempt["id"])
        scenes.see_off(tx, task)
        beat(tx)

    await board.write(life)
    assert (await logs(board))[0]["status"] == status


@pytest.mark.parametrize(
    ("printed", "result", "status"),
    [("HEARTBEAT_OK", None, "suppressed"), ('{"result": "HEARTBEAT_OK"}', "HEARTBEAT_OK", "suppressed"), ("disk full", None, "ok"),
     ("", None, "ok")],
)  # fmt: skip
async def test_a_program_that_never_calls_back_answers_by_its_last_words(
    board: Board, clock: FakeClock, printed: str, result: str | None, status: str
) -> None:
    await switched_on(board, clock)
    [task] = await board.write(beat)

    def life(tx: Tx) -> None:
        attempt = scenes.claim(tx, task)
        journal.add_output(tx, attempt, type="other", title="stdout", content=printed)
        verbs.submit(tx, attempt, actor="engine:monitor", detail="the program ended with exit code 0")
        tx.run("UPDATE attempts SET result = :result WHERE id = :id", id=attempt["id"], result=result)
        scenes.see_off(tx, task)
        beat(tx)

    await board.write(life)
    assert (await logs(board))[0]["status"] == status


async def test_an_answer_that_is_longer_than_what_is_read_of_it_is_delivered(board: Board, clock: FakeClock) -> None:
    await switched_on(board, clock, ack_max_chars=20_000)
    [task] = await board.write(beat)
    await board.write(answer, task, "HEARTBEAT_OK\n" + "x" * 30_000)
    await board.write(beat)
    assert (await logs(board))[0]["status"] == "ok"


async def test_it_is_settled_only_when_no_process_of_it_lives_and_once(board: Board, clock: FakeClock) -> None:
    await switched_on(board, clock)
    [task] = await board.write(beat)

    def submit(tx: Tx) -> None:
        attempt = scenes.claim(tx, task)
        verbs.submit(tx, attempt, actor="executor:ada", detail="the disk is full")

    await board.write(submit)
    await board.write(beat)
    assert (await logs(board))[0]["status"] == "running"
    await board.write(scenes.see_off, task)
    for _ in range(3):
        await board.write(beat)
    assert (await logs(board))[0]["status"] == "ok"
    assert len(await board.all("SELECT * FROM notices")) == 1


def fail(tx: Tx, task: int) -> None:
    verbs.end_badly(tx, scenes.claim(tx, task), "failed", actor="executor:ada", detail="no disk", final=True)
    scenes.see_off(tx, task)


def block(tx: Tx, task: int) -> None:
    verbs.block(tx, scenes.claim(tx, task), actor="executor:ada", kind="needs_input", question="which disk?")
    scenes.see_off(tx, task)


@pytest.mark.parametrize(("ends", "error"), [(fail, "failed: no disk"), (block, "it asks: which disk?")])
async def test_a_failure_and_a_question_are_errors_and_told(
    board: Board, clock: FakeClock, ends: Callable[[Tx, int], None], error: str
) -> None:
    await switched_on(board, clock)
    await board.write(notice_events.begin)
    [task] = await board.write(beat)
    await board.write(ends, task)
    await board.write(notice_events.gather)  # before it is settled, and after
    await board.write(beat)
    await board.write(notice_events.gather)
    [run] = await logs(board)
    row = await board.read(heartbeats.get, "ada")
    assert (run["status"], run["error"], row["last_error"]) == ("error", error, error)
    assert (await board.read(scenes.status_of, task)) in ("failed", "cancelled"), "nothing waits for an answer"
    [notice] = await board.all("SELECT * FROM notices")
    assert notice["title"] == f"Heartbeat of ada failed: {error}"

    await board.write(heartbeats.change, "ada", {"checklist": ""}, actor="person:root")
    clock.go_on(EVERY)
    assert await board.write(beat) == []
    assert (await board.read(heartbeats.get, "ada"))["last_error"] == error, "a skip says nothing of it"
    await board.write(heartbeats.change, "ada", ON, actor="person:root")
    clock.go_on(EVERY)
    [task] = await board.write(beat)
    await board.write(answer, task, "HEARTBEAT_OK")
    await board.write(beat)
    assert (await board.read(heartbeats.get, "ada"))["last_error"] is None


async def test_one_that_a_person_has_done_again_is_a_task_like_others(board: Board, clock: FakeClock) -> None:
    await switched_on(board, clock)
    await board.write(notice_events.begin)
    [task] = await board.write(beat)
    await board.write(answer, task, "HEARTBEAT_OK")
    await board.write(beat)
    clock.go_on(60)
    await board.write(lambda tx: verbs.reopen(tx, task, actor="person:root"))
    await board.write(fail, task)
    await board.write(notice_events.gather)
    [notice] = await board.all("SELECT kind FROM notices")
    assert notice["kind"] == "failed", "its run was settled before"


async def test_a_failed_try_is_tried_again_after_a_second(board: Board, clock: FakeClock) -> None:
    await switched_on(board, clock, max_retries=1)
    [task] = await board.write(beat)

    def crash(tx: Tx) -> None:
        verbs.end_badly(tx, scenes.claim(tx, task), "crashed", actor="engine:monitor")
        scenes.see_off(tx, task)

    await board.write(crash)
    row = await board.one("SELECT status, not_before FROM tasks WHERE id = :id", id=task)
    assert row is not None and row["status"] == "pending"
    assert 0.75 <= seconds_between(clock.now(), row["not_before"]) <= 1
    clock.go_on(1)
    await board.write(crash)
    await board.write(beat)
    assert [run["status"] for run in await logs(board)] == ["error"]


async def test_beats_that_fail_alike_stop_no_other_work_and_are_on_no_calendar(board: Board, clock: FakeClock) -> None:
    await switched_on(board, clock)
    for _ in range(4):
        [task] = await board.write(beat)
        await board.write(fail, task)
        await board.write(beat)
        clock.go_on(EVERY)
    assert [run["status"] for run in await logs(board)] == ["error"] * 4
    await board.write(lambda tx: fail(tx, scenes.post(tx)))
    agent = await board.one("SELECT paused_at FROM agents WHERE id = 'ada'")
    assert agent is not None and agent["paused_at"] is None
    await board.write(beat)
    told = [entry.title for entry in (await board.read(feed.read, clock.now())).entries]
    assert len(told) == 1 and "nail" in told[0], "the other task alone"


# --- Waiting ----------------------------------------------------------------------------------------------------------


async def test_a_busy_agent_has_one_row_however_often_it_is_looked_at_and_beats_when_it_is_at_rest(
    board: Board, clock: FakeClock
) -> None:
    await switched_on(board, clock)
    work = await board.write(lambda tx: scenes.post_at(tx, "working"))
    due = (await board.read(heartbeats.get, "ada"))["next_run_at"]
    for _ in range(50):
        assert await board.write(beat) == []
        clock.go_on(100)
    [run] = await logs(board)
    assert (run["status"], run["reason"], run["ended_at"]) == ("skipped", "busy", None)
    assert (await board.read(heartbeats.get, "ada"))["next_run_at"] == due, "it is still due"
    assert await board.read(heartbeat_runs.next_time) is None, "and nobody wakes for it"
    assert (await board.read(verbs_of))[1:] == ["heartbeat_skipped: the agent is at work"]

    def end(tx: Tx) -> None:
        verbs.cancel(tx, work, actor="person:root")
        scenes.see_off(tx, work)

    await board.write(end)
    [task] = await board.write(beat)
    skip = (await logs(board))[1]
    assert (skip["times"], skip["ended_at"]) == (3, clock.now()), "three beats fell into 5000 seconds"
    assert (await board.one("SELECT task_id FROM heartbeat_runs WHERE status = 'running'"))["task_id"] == task  # type: ignore[index]


@pytest.mark.parametrize(
    ("close", "reason"),
    [
        ("UPDATE agents SET enabled = 0 WHERE id = 'ada'", "enabled"),
        ("UPDATE agents SET paused_at = 'noon' WHERE id = 'ada'", "paused"),
        ("UPDATE projects SET paused_at = 'noon'", "project"),
        ("UPDATE whole_board SET paused_at = 'noon'", "board_paused"),
        ("UPDATE accounts SET paused_at = 'noon' WHERE id = 'agent:ada'", "account"),
        (f"""INSERT INTO presence_reports (agent_id, source, status, actor, reported_at, expires_at)
             VALUES ('ada', 'agent', 'offline', 'agent:ada', '{START}', '9999')""", "presence"),
    ],
)  # fmt: skip
async def test_what_would_hold_its_task_holds_the_beat_without_a_task(
    board: Board, clock: FakeClock, close: str, reason: str
) -> None:
    await switched_on(board, clock)
    await board.write(lambda tx: tx.run(close))
    for _ in range(5):
        assert await board.write(beat) == []
        clock.go_on(EVERY)
    [run] = await logs(board)
    assert (run["status"], run["reason"]) == ("skipped", reason)
    await board.write(lambda tx: tx.run("DELETE FROM presence_reports"))  # the doctor looks at times


@pytest.mark.parametrize(
    ("odd", "wrong", "mends"),
    [
        ("active_hours = 'morning'", "HH:MM", {"active_hours": None}),
        ("time_zone = 'Mars'", "IANA", {"time_zone": "UTC"}),
        ("interval_seconds = 99999999", "2678400", {"interval_seconds": EVERY}),
        ("sinks = '5'", None, {}),
    ],
)  # fmt: skip
async def test_what_an_operators_sql_says_of_one_holds_no_other(
    board: Board, clock: FakeClock, odd: str, wrong: str | None, mends: dict[str, Any]
) -> None:
    await board.write(heartbeats.change, "bob", ON, actor="person:root")
    await switched_on(board, clock)
    clock.go_on(EVERY)
    await board.write(lambda tx: tx.run(f"UPDATE heartbeats SET {odd} WHERE agent_id = 'ada'"))
    tasks = [await board.write(beat), await board.write(beat)]
    agents = await board.all("SELECT agent_id FROM tasks ORDER BY agent_id")
    if wrong is None:
        return
    assert ([row["agent_id"] for row in agents], tasks[1]) == (["bob"], [])
    assert [run["reason"] for run in await logs(board)] == ["settings"]
    with pytest.raises(Invalid, match=f"(?s)agent ada .*{wrong}"):
        heartbeats.settings_of(await board.read(heartbeats.get, "ada"))
    assert (await board.read(lambda rows: heartbeat_callers.shown("ada", heartbeats.find(rows, "ada"))))["held_by"]

    await board.write(heartbeats.take_over, [])
    await board.write(heartbeats.after_outage)
    await board.write(heartbeats.change, "ada", mends, actor="person:root")
    row = await board.read(heartbeats.get, "ada")
    assert (row["held_by"], row["next_run_at"]) == (None, plus(clock.now(), EVERY + offset("ada", EVERY)))


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("DELETE FROM heartbeats WHERE agent_id = 'ada'", "toggle AGENT off"),
        ("UPDATE heartbeats SET agent_id = 'eve' WHERE agent_id = 'ada'", "stays its agent's"),
        ("DELETE FROM heartbeat_runs", "is kept"),
    ],
)
async def test_a_heartbeat_under_way_is_not_taken_from_under_the_others(
    board: Board, clock: FakeClock, sql: str, sentence: str
) -> None:
    await board.write(heartbeats.change, "bob", ON, actor="person:root")
    await switched_on(board, clock)
    clock.go_on(EVERY)
    tasks = await board.write(beat)
    [ada] = [task for task in tasks if (await board.read(get, task))["agent_id"] == "ada"]
    await board.write(answer, ada, "the disk is full")
    with closing(sqlite3.connect(board.path)) as foreign, pytest.raises(sqlite3.IntegrityError, match=sentence):
        foreign.execute(sql)
        foreign.commit()
    await board.write(beat)
    assert [run["status"] for run in await logs(board)] == ["ok"]


@pytest.mark.parametrize("odd", ["datetime('now')", "''", "'2020-01-01 10:00'", "'soon'", "'2026-02-30T00:00:00.000Z'"])
@pytest.mark.parametrize("name", ["next_run_at", "beat_at"])
async def test_a_time_that_is_none_is_refused_by_the_board_itself(
    board: Board, clock: FakeClock, name: str, odd: str
) -> None:
    """It is read by the loop that all work hangs on."""
    await switched_on(board, clock)
    with pytest.raises(Invalid, match="CHECK"):
        await board.write(lambda tx: tx.run(f"UPDATE heartbeats SET {name} = {odd}"))
    await board.write(lambda tx: tx.run(f"UPDATE heartbeats SET {name} = '2026-02-01T00:00:00.000Z'"))


async def test_a_beat_that_is_not_finished_holds_the_next(board: Board, clock: FakeClock) -> None:
    await switched_on(board, clock)
    [task] = await board.write(beat)
    await board.write(lambda tx: scenes.claim(tx, task))
    clock.go_on(EVERY)
    assert await board.write(beat) == []
    assert [run["reason"] for run in await logs(board)] == ["running", None]


async def test_one_that_could_not_begin_in_time_is_missed_and_the_next_one_follows(
    board: Board, clock: FakeClock
) -> None:
    await switched_on(board, clock)
    await board.write(notice_events.begin)
    [first] = await board.write(beat)
    clock.go_on(EVERY)
    [second] = await board.write(beat)
    await board.write(notice_events.gather)
    assert await board.read(scenes.status_of, first) == "cancelled"
    assert [(run["task"], run["status"], run["reason"]) for run in await logs(board)] == [
        (second, "running", None), (first, "skipped", "missed"),
    ]  # fmt: skip
    assert await board.all("SELECT * FROM notices") == []
    assert (await board.read(heartbeats.get, "ada"))["run_count"] == 0


async def test_an_empty_checklist_is_one_row_for_as_long_as_it_is(board: Board, clock: FakeClock) -> None:
    await switched_on(board, clock, checklist="# nothing yet")
    for _ in range(4):
        assert await board.write(beat) == []
        clock.go_on(EVERY)
    [run] = await logs(board)
    assert (run["reason"], run["times"]) == ("empty_checklist", 4)
    assert len(await board.read(verbs_of)) == 2


async def test_through_the_night_nothing_is_looked_at(board: Board, clock: FakeClock) -> None:
    await board.write(heartbeats.change, "ada", ON | {"active_hours": "08:00-18:00"}, actor="person:root")
    beats = []
    while clock.now() < plus(START, 86400):
        clock.jump_to(await board.read(heartbeat_runs.next_time))
        [task] = await board.write(beat)
        await board.write(answer, task, "HEARTBEAT_OK")
        await board.write(beat)
        beats.append(clock.now())
    assert all("08:00" <= each[11:16] < "18:00" for each in beats)
    assert {run["status"] for run in await logs(board)} == {"suppressed"}, "no row was written at night"


async def test_one_that_waited_until_its_hours_were_over_is_skipped(board: Board, clock: FakeClock) -> None:
    await switched_on(board, clock, active_hours="09:00-10:00")
    await board.write(pauses.pause, pauses.Target("agent", "ada"), reason=None, actor="person:root")
    assert await board.write(beat) == []
    clock.go_on(3600)
    await board.write(pauses.resume, pauses.Target("agent", "ada"), reason=None, actor="person:root")
    assert await board.write(beat) == []
    assert [run["reason"] for run in await logs(board)] == ["active_hours", "paused"]
    assert (await board.read(heartbeats.get, "ada"))["next_run_at"].startswith("2026-02-01T09:")


async def test_it_begins_only_when_nothing_of_its_agent_is_at_work_and_after_everything_else(
    board: Board, clock: FakeClock
) -> None:
    await switched_on(board, clock)

    def life(tx: Tx) -> list[int]:
        [task] = beat(tx)
        other = scenes.post(tx, priority=0)
        claimed = claims.claim_due(tx, [digest(mint()) for _ in range(9)], ROOM)
        assert [attempts.get(tx, each)["task_id"] for each in claimed] == [other]
        verbs.cancel(tx, other, actor="person:root")
        assert claims.claim_due(tx, [digest(mint()) for _ in range(9)], ROOM) == [], "its process may live yet"
        scenes.see_off(tx, other)
        claimed = claims.claim_due(tx, [digest(mint()) for _ in range(9)], ROOM)
        assert [attempts.get(tx, each)["task_id"] for each in claimed] == [task]
        return claimed

    await board.write(life)


# --- Waking -----------------------------------------------------------------------------------------------------------


async def test_it_can_be_woken_once_and_keeps_its_grid(board: Board, clock: FakeClock) -> None:
    await board.write(heartbeats.change, "ada", ON, actor="person:root")
    planned = (await board.read(heartbeats.get, "ada"))["next_run_at"]
    clock.go_on(60)
    assert await board.write(heartbeats.wake, "ada", actor="person:root")
    assert not await board.write(heartbeats.wake, "ada", actor="person:root"), "it is due already"
    assert [told.split(":")[0] for told in await board.read(verbs_of)] == ["heartbeat_set", "heartbeat_woken"]
    [task] = await board.write(beat)
    assert not await board.write(heartbeats.wake, "ada", actor="person:root"), "it runs already"
    assert (await board.read(heartbeats.get, "ada"))["next_run_at"] == planned
    await board.write(answer, task, "HEARTBEAT_OK")
    await board.write(beat)

    await board.write(heartbeats.change, "ada", {"enabled": False}, actor="person:root")
    with pytest.raises(Refused, match="is off"):
        await board.write(heartbeats.wake, "ada", actor="person:root")


@pytest.mark.parametrize(
    ("given", "data", "status", "woken"),
    [
        ({"wake_after": True}, {}, "done", True), ({"wake_after": True}, {}, "failed", True),
        ({"wake_after": True}, {}, "cancelled", False), ({}, {}, "done", False),
        ({}, {"wake_after": True}, "done", True), ({}, {"wake_after": "yes"}, "done", False),
    ],
)  # fmt: skip
async def test_it_follows_the_end_of_a_task_where_that_is_asked_for(
    board: Board, given: dict[str, Any], data: dict[str, Any], status: str, woken: bool
) -> None:
    await board.write(heartbeats.change, "ada", ON | given, actor="person:root")
    await board.write(lambda tx: scenes.post_at(tx, status, data=data))
    assert len(await board.write(beat)) == woken


@pytest.mark.parametrize("whose", [{"agent": "ada"}, {"role": "smith"}])
async def test_it_follows_the_end_of_what_its_agent_did_not_of_what_it_reviewed(
    board: Board, whose: dict[str, Any]
) -> None:
    for agent in ("ada", "bob", "eve"):
        await board.write(heartbeats.change, agent, ON | {"wake_after": True}, actor="person:root")

    def reviewed(tx: Tx) -> None:
        task = scenes.post(tx, **whose, policy=Policy(review="agent:eve"))
        scenes.submit(tx, task, "ada")
        scenes.claim_review(tx, task, "eve")
        verbs.approve(tx, task, actor="reviewer:eve")

    await board.write(reviewed)
    due = await board.all("SELECT agent_id FROM heartbeats WHERE next_run_at <= :now", now=board.clock.now())
    assert [row["agent_id"] for row in due] == ["ada"]


async def test_its_own_end_does_not_wake_it(board: Board, clock: FakeClock) -> None:
    await switched_on(board, clock, wake_after=True)
    [task] = await board.write(beat)
    await board.write(answer, task, "HEARTBEAT_OK")
    assert await board.write(beat) == []


async def test_an_outage_is_not_made_up_for_and_leaves_agents_apart(board: Board, clock: FakeClock) -> None:
    for agent in ("ada", "bob", "eve"):
        await board.write(heartbeats.change, agent, ON, actor="person:root")
    clock.go_on(86400)
    assert await board.write(heartbeats.after_outage) == 3
    rows = await board.all("SELECT agent_id, next_run_at FROM heartbeats")
    assert {row["agent_id"]: seconds_between(clock.now(), row["next_run_at"]) for row in rows} == {
        agent: offset(agent, EVERY) for agent in ("ada", "bob", "eve")
    }
    assert json.loads((await board.one("SELECT json_group_array(status) AS all_ FROM tasks"))["all_"]) == []  # type: ignore[index]


async def test_what_all_waited_for_leaves_them_apart_in_a_daemon_that_goes_on(board: Board, clock: FakeClock) -> None:
    for agent in ("ada", "bob", "eve"):
        await board.write(heartbeats.change, agent, ON, actor="person:root")
    clock.go_on(86400)  # asleep
    assert len(await board.write(beat)) == 3
    rows = await board.all("SELECT agent_id, next_run_at FROM heartbeats")
    assert {row["agent_id"]: seconds_between(clock.now(), row["next_run_at"]) for row in rows} == {
        agent: EVERY + offset(agent, EVERY) for agent in ("ada", "bob", "eve")
    }


@pytest.mark.parametrize("hours", [None, "08:00-08:05"])
@pytest.mark.parametrize("interval", [300, 31 * 86400])
async def test_a_start_forgets_what_a_clock_years_ahead_has_set(
    board: Board, clock: FakeClock, hours: str | None, interval: int
) -> None:
    set_ = ON | {"interval_seconds": interval, "active_hours": hours}
    await board.write(heartbeats.change, "ada", set_, actor="person:root")
    right = await board.read(heartbeats.get, "ada")
    assert await board.write(heartbeats.after_clock_set_back) == 0, "what is set by the right clock stays"
    clock.go_on(10 * 365 * 86400)
    await board.write(heartbeats.change, "ada", {"enabled": False}, actor="person:root")
    await board.write(heartbeats.change, "ada", {"enabled": True}, actor="person:root")
    clock.jump_to(START)
    assert await board.write(heartbeats.after_clock_set_back) == 1
    assert (await board.read(heartbeats.get, "ada"))["next_run_at"] == right["next_run_at"]


async def test_a_beat_that_nothing_held_reads_no_log(
    board: Board, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await switched_on(board, clock)
    monkeypatch.setattr(heartbeats, "OPEN_SKIP", "SELECT the log, which has a row for each beat of all years")
    assert len(await board.write(beat)) == 1
