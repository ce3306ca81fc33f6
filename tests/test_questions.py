"""Reads: a task with its story, what a prompt needs, how the board stands; the same from every reader, and no hash in any."""

from __future__ import annotations

import json
from typing import Any

import pytest

from blackboard import agents, attempts, briefs, explaining, journal, move, pauses, questions, reports, verbs
from blackboard.board import Board, ReadOnly, Rows, Tx
from blackboard.content import Held
from blackboard.errors import NotFound
from blackboard.forms import CommentReport
from blackboard.gates import Room
from blackboard.pauses import Target
from blackboard.tokens import digest
from tests import scenes
from tests.fake_clock import START, FakeClock


def a_rich_task(tx: Tx) -> int:
    """A task with a parent, a need, a child, three attempts, outputs, comments, a rejection and an answer."""
    need, parent = scenes.post_at(tx, "done", title="smelt"), scenes.post(tx, title="a fence")
    task = scenes.post(
        tx, title="nail", description="long", must_haves="sharp", data={"a": [1]}, needs=[need], parent_id=parent
    )
    scenes.post(tx, title="a head", parent_id=task)
    scenes.reach(tx, 4, "done")
    verbs.end_badly(tx, scenes.work(tx, task), "crashed", actor="engine:monitor", detail="core dumped", exit_code=3)
    scenes.see_off(tx, task)
    scenes.submit(tx, task)
    verbs.reject(tx, task, actor="person:root", remark="too short")
    verbs.block(tx, scenes.work(tx, task), actor="executor:ada", kind="needs_input", question="how long?")
    scenes.see_off(tx, task)
    verbs.unblock(tx, task, actor="person:root", answer="ten inches")
    journal.add_comment(tx, task, author="person:root", body="carefully")
    return task


# --- A task -------------------------------------------------------------------------------------------------------------


async def test_a_task_is_told_with_what_it_needs_and_has(board: Board) -> None:
    task = await board.write(a_rich_task)
    told = await board.read(questions.task, task)
    assert told.items() >= {"id": 3, "title": "nail", "status": "pending", "data": {"a": [1]}, "attempt": 3, "worker": "ada",
                            "answer": "ten inches", "parent_id": 2}.items()  # fmt: skip
    assert told["needs"] == [{"id": 1, "title": "smelt", "status": "done"}]
    assert told["children"] == [{"id": 4, "title": "a head", "status": "done"}]
    assert not {"rev", "plan_rev", "planned_by"} & set(told)


@pytest.mark.parametrize("parts", [(), ("outputs",), ("comments", "events"), ("attempts", "links"), ("all",)])
async def test_a_task_comes_with_the_parts_asked_for(board: Board, parts: tuple[str, ...]) -> None:
    task = await board.write(a_rich_task)
    told = await board.read(questions.expanded, task, parts)
    expected = set(questions.EXPANSIONS) if parts == ("all",) else set(parts)
    assert set(told) - set(await board.read(questions.task, task)) == expected
    if parts == ("all",):
        assert [(row["number"], row["outcome"], row["exit_code"]) for row in told["attempts"]] == [
            (1, "crashed", 3), (2, "submitted", None), (3, "blocked", None)
        ]  # fmt: skip
        assert [row["title"] for row in told["outputs"]] == ["a nail"] * 3
        assert [row["body"] for row in told["comments"]] == ["carefully"]
        assert [event["id"] for event in told["events"]] == sorted(event["id"] for event in told["events"])
        assert told["events"][0]["verb"] == "post" and told["events"][0]["data"]["priority"] == 5
        assert told["links"]["status"] == "/api/projects/forge/tasks/3/status"


async def test_of_a_long_story_the_newest_part_is_told(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "EVENTS_SHOWN", 2)
    task = await board.write(a_rich_task)
    told = await board.read(questions.expanded, task, ["events"])
    assert [event["verb"] for event in told["events"]] == ["unblock", "comment"]


async def test_every_reader_tells_the_same(board: Board) -> None:
    task = await board.write(a_rich_task)

    def ask(rows: Rows) -> list[Any]:
        last = scenes.latest(rows, task)["id"]
        return [questions.expanded(rows, task, ["all"]), explaining.why(rows, task, START, Room(9)), briefs.brief(rows, last),
                briefs.preview(rows, task), questions.overview(rows), questions.events(rows)]  # fmt: skip

    by_writer, by_pool = await board.write(ask), await board.read(ask)
    with ReadOnly(board.path) as reader:
        by_command_line = ask(reader)
    for answers in (by_writer, by_pool, by_command_line):
        answers[4]["running"] = [{**row, "seconds": 0} for row in answers[4]["running"]]
    assert by_writer == by_pool == by_command_line


async def test_no_answer_shows_a_token_or_its_hash_and_all_are_json(board: Board) -> None:
    def ask(rows: Rows) -> str:
        tasks = [row["id"] for row in rows.all("SELECT id FROM tasks")]
        all_attempts = [row["id"] for row in rows.all("SELECT id FROM attempts")]
        said: list[Any] = [questions.overview(rows), questions.events(rows, limit=10_000)]
        said += [questions.expanded(rows, task, ["all"]) for task in tasks] + [
            explaining.why(rows, task, START, Room(9)) for task in tasks
        ]
        said += [briefs.preview(rows, task) for task in tasks] + [
            briefs.brief(rows, attempt) for attempt in all_attempts
        ]
        return json.dumps(said)  # fails on bytes

    await board.write(a_rich_task)
    for status in scenes.STATES:
        await board.write(scenes.post_at, status)
    said = await board.read(ask)
    assert "hash" not in said and "bbt_" not in said


@pytest.mark.parametrize(
    "ask",
    [questions.task, questions.expanded, briefs.preview, lambda rows, task: explaining.why(rows, task, START, Room(9))],
)
async def test_a_task_that_is_not_there_is_not_found(board: Board, ask: Any) -> None:
    with pytest.raises(NotFound, match="no task 77"):
        await board.read(ask, 77)
    with pytest.raises(NotFound, match="no attempt 77"):
        await board.read(briefs.brief, 77)
    with pytest.raises(NotFound, match="no attempt 77"):
        await board.read(attempts.get, 77)


# --- Events ---------------------------------------------------------------------------------------------------------------


async def test_events_go_on_where_they_ended(board: Board) -> None:
    task = await board.write(a_rich_task)
    every = await board.read(questions.events, 0, 1000)
    assert [event["id"] for event in every] == list(range(1, len(every) + 1))
    in_portions, after = [], 0
    while found := await board.read(questions.events, after, 7):
        in_portions += found
        after = found[-1]["id"]
    assert in_portions == every
    of_task = await board.read(questions.events, 5, 1000, task)
    assert of_task == [event for event in every if event["task_id"] == task and event["id"] > 5] != []


# --- What a prompt needs -----------------------------------------------------------------------------------------------------


async def test_the_brief_of_a_retry_tells_what_was_tried(board: Board) -> None:
    task = await board.write(a_rich_task)
    attempt = await board.write(scenes.claim, task)
    brief = await board.read(briefs.brief, attempt["id"])
    assert brief.items() >= {
        "project": "forge", "project_title": "The forge", "agent": "ada", "role": "executor", "attempt": 4, "max_tries": 3,
        "needs_output": True, "answer": "ten inches", "question": "how long?", "parent": {"id": 2, "title": "a fence"},
        "children": [{"id": 4, "title": "a head", "status": "done"}],
        "limits": {"wall_seconds": 3600.0, "idle_seconds": 900.0, "startup_seconds": 300.0},
    }.items()  # fmt: skip
    assert (
        brief["task"].items()
        >= {"id": 3, "title": "nail", "must_haves": "sharp", "status": "claimed", "data": {"a": [1]}}.items()
    )
    assert [(former["number"], former["outcome"], former["detail"], former["exit_code"], former["remark"]) for former in brief["history"]] == [
        (1, "crashed", "core dumped", 3, None), (2, "submitted", "made it", None, "too short"), (3, "blocked", "how long?", None, None)
    ]  # fmt: skip
    assert brief["history"][0]["meaning"] == "the process ended with another exit code"
    assert brief["history"][1]["outputs"] == [{"type": "code", "title": "a nail", "summary": "", "content_path": None}]
    assert [comment["body"] for comment in brief["comments"]] == ["carefully"]
    assert brief["needs"][0]["outputs"][0]["title"] == "a nail"


async def test_the_first_brief_has_no_history(board: Board) -> None:
    attempt = await board.write(lambda tx: scenes.claim(tx, scenes.post(tx)))
    brief = await board.read(briefs.brief, attempt["id"])
    assert (brief["attempt"], brief["history"], brief["answer"], brief["question"], brief["parent"]) == (
        1,
        [],
        None,
        None,
        None,
    )


async def test_history_and_comments_are_the_latest_few_the_newest_last(board: Board) -> None:
    def life(tx: Tx) -> int:
        task = scenes.post(tx)
        for number in range(7):
            verbs.end_badly(tx, scenes.claim(tx, task), "stopped", actor="engine:monitor", detail=f"stop {number}")
            scenes.see_off(tx, task)
        for number in range(12):
            journal.add_comment(tx, task, author="person:root", body=f"remark {number}")
        for outcome in ("released", "dry_run"):  # nothing was ever tried
            verbs.end_badly(tx, scenes.claim(tx, task), outcome, actor="engine:tick")
            scenes.see_off(tx, task)
        return int(scenes.claim(tx, task)["id"])

    brief = await board.read(briefs.brief, await board.write(life))
    assert [former["detail"] for former in brief["history"]] == [f"stop {number}" for number in range(2, 7)]
    assert [comment["body"] for comment in brief["comments"]] == [f"remark {number}" for number in range(2, 12)]


async def test_why_a_person_reopened_a_task_reaches_the_next_prompt(board: Board) -> None:
    def reopened(tx: Tx) -> int:
        task = scenes.post_at(tx, "done")
        verbs.reopen(tx, task, actor="person:root", reason="the other end, too")
        return task

    brief = await board.read(briefs.preview, await board.write(reopened))

    assert [former["remark"] for former in brief["history"]] == ["the other end, too"]


async def test_the_remark_of_a_reviewing_agent_reaches_the_next_prompt(board: Board) -> None:
    def life(tx: Tx) -> int:
        task = scenes.post_at(tx, "review")
        scenes.claim_review(tx, task)
        token = digest(scenes.token_of(task, 2))
        reports.comment(tx, token, scenes.PROJECT, task, CommentReport(body="look at the tip"))
        verbs.reject(tx, task, actor="reviewer:eve", remark="blunt")
        scenes.see_off(tx, task)
        return int(scenes.claim(tx, task)["id"])

    brief = await board.read(briefs.brief, await board.write(life))
    assert [(former["agent"], former["outcome"], former["remark"]) for former in brief["history"]] == [
        ("ada", "submitted", None), ("eve", "rejected", "blunt")
    ]  # fmt: skip
    assert brief["comments"][0]["body"] == "look at the tip"


async def test_a_file_handed_in_is_told_where_it_lies(board: Board) -> None:
    def life(tx: Tx) -> int:
        need = scenes.post(tx, title="smelt")
        attempt = scenes.claim(tx, need)
        journal.add_output(tx, attempt, type="data", title="ore", summary="red", held=Held("ore.bin", 3, "abc"))
        verbs.submit(tx, attempt, actor="executor:ada")
        verbs.approve(tx, need, actor="person:root")
        return int(scenes.claim(tx, scenes.post(tx, needs=[need]))["id"])

    brief = await board.read(briefs.brief, await board.write(life))
    assert brief["needs"][0]["outputs"] == [
        {"type": "data", "title": "ore", "summary": "red", "content_path": "ore.bin"}
    ]


async def test_a_preview_claims_nothing_and_tells_the_next_attempt(board: Board) -> None:
    task = await board.write(a_rich_task)
    before = await board.read(scenes.everything)
    preview = await board.read(briefs.preview, task)
    assert await board.read(scenes.everything) == before
    attempt = await board.write(scenes.claim, task)
    assert preview == await board.read(briefs.brief, attempt["id"]) | {"attempt_id": preview["attempt_id"]}


async def test_a_preview_of_a_roles_task_names_one_who_may_take_it(board: Board) -> None:
    task = await board.write(scenes.post, role="smith")
    assert (await board.read(briefs.preview, task))["agent"] == "ada"
    for agent in ("ada", "bob"):
        await board.write(agents.put_agent, agent)
    assert (await board.read(briefs.preview, task))["agent"] == "one with the role smith"


# --- The board at a glance ------------------------------------------------------------------------------------------------------


async def test_the_overview_counts_what_there_is(board: Board, clock: FakeClock) -> None:
    for status in scenes.STATES:
        await board.write(scenes.post_at, status)
    await board.write(scenes.post, due_at="2026-02-01T00:00:00.000Z")
    await board.write(pauses.pause, Target("agent", "eve"), reason="rest", actor="person:root")
    told = await board.read(questions.overview)
    assert told["tasks"] == {status: 1 for status in scenes.STATES} | {"pending": 2}
    ada = next(row for row in told["agents"] if row["agent"] == "ada")
    assert (ada["live"], ada["in_review"], ada["blocked"], ada["waiting"]) == (2, 1, 1, 2)
    assert [(row["status"], row["phase"]) for row in told["running"]] == [
        ("claimed", "starting"),
        ("working", "starting"),
    ]
    assert {row["status"] for row in told["stuck"]} == {"review", "blocked", "paused"}
    assert told["next_due"] == START and told["last_event"] == len(await board.all("SELECT 1 FROM events"))


async def test_the_load_of_all_agents_reads_the_tasks_once(board: Board) -> None:
    """Not once for each agent: of a hundred thousand tasks and fifty agents that were two seconds."""
    plan = [row["detail"] for row in await board.all(f"EXPLAIN QUERY PLAN {questions.LOAD}")]
    scans = [step for step in plan if step.startswith(("SCAN t", "SCAN a"))]
    assert scans == ["SCAN tasks"] and plan.index("SCAN tasks") < plan.index(
        next(s for s in plan if s.startswith("SCAN g"))
    )


async def test_an_empty_board_has_an_overview(board: Board) -> None:
    told = await board.read(questions.overview)
    assert (told["tasks"], told["running"], told["stuck"], told["next_due"]) == ({}, [], [], None)


async def test_an_attempt_that_is_not_gone_is_shown_as_stopping(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = scenes.post_at(tx, "working")
        attempts.spawned(tx, scenes.latest(tx, task)["id"], pid=1, start=2, boot_id="b")
        verbs.cancel(tx, task, actor="person:root")
        assert move.get(tx, task)["status"] == "cancelled"

    await board.write(life)
    told = await board.read(questions.overview)
    assert [row["phase"] for row in told["running"]] == ["stopping"]
    assert "not proved gone" in told["stuck"][0]["why"]
