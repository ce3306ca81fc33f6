"""Reviews by agents, on the board: who is asked, in which order, how a review without a verdict goes on, and to whom."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from blackboard import (
    agents,
    attempts,
    briefs,
    claims,
    explaining,
    handed_in,
    journal,
    move,
    pauses,
    reports,
    reviews,
    tokens,
    verbs,
)
from blackboard.board import Board, Tx
from blackboard.clock import plus
from blackboard.errors import Forbidden, Refused
from blackboard.forms import ChildReport, OutputReport, StatusReport, TaskReport
from blackboard.gates import Room
from blackboard.pauses import Target
from blackboard.policy import Policies, Policy
from orchestrator import preflight
from orchestrator.config_loading import load
from tests import scenes
from tests.fake_clock import START, FakeClock
from tests.scenes import PROJECT, tried

EVE = Policy(review="agent:eve", backoff_seconds=60, backoff_cap_seconds=60)


def for_review(tx: Tx, review: str = "agent:eve", agent: str = "ada", **policy: Any) -> int:
    """A task in review whose agent is gone."""
    rules = EVE.but({"review": review, **policy})
    task = scenes.post(tx, agent=agent, policy=rules)
    scenes.submit(tx, task, agent)
    return task


def due(tx: Tx) -> list[tuple[int, str, str]]:
    """Claim what can be claimed; (task, role, agent) in order."""
    first = len(tx.all("SELECT 1 FROM attempts"))
    hashes = [tokens.digest(f"bbt_{number}") for number in range(first, first + 50)]
    rows = [attempts.get(tx, one) for one in claims.claim_due(tx, hashes, Room(99))]
    return [(row["task_id"], row["role"], row["agent_id"]) for row in rows]


def ends(tx: Tx, task: int, outcome: str = "crashed", detail: str | None = None) -> str:
    """The latest attempt ends without a verdict, and is gone."""
    status = verbs.end_badly(tx, scenes.latest(tx, task), outcome, actor="engine:monitor", detail=detail)
    scenes.see_off(tx, task)
    return status


def over(tx: Tx, task: int) -> str | None:
    found: str | None = move.get(tx, task)["handed_over"]
    return found


def say(tx: Tx, task: int, status: str, **fields: Any) -> dict[str, Any]:
    """The latest attempt reports."""
    token = scenes.latest(tx, task)["token_hash"]
    return reports.status(tx, token, PROJECT, task, StatusReport(status=status, **fields))


# --- What is posted -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "columns"),
    [("auto", ("auto", None)), ("human", ("human", None)), ("agent:eve", ("human", "agent:eve")), ("role:smith", ("human", "role:smith"))],
)  # fmt: skip
async def test_the_word_becomes_columns(board: Board, word: str, columns: tuple[str, str | None]) -> None:
    task = await board.write(scenes.post, policy=Policy().but({"review": word, "max_review_tries": 5}))
    row = await board.one("SELECT * FROM tasks WHERE id = :id", id=task)
    assert row and ((row["review"], row["reviewer"]), row["max_review_tries"]) == (columns, 5)


@pytest.mark.parametrize(
    "word", ["nobody", "agent:", "agent:a b", "role:-x", "AGENT:eve", "agent:eve\n", "role:" + "x" * 65]
)
def test_any_other_word_is_refused_with_a_sentence(word: str) -> None:
    with pytest.raises(ValueError, match="review is auto, human, agent:ID or role:NAME"):
        TaskReport(title="x", agent="ada", review=word)


async def test_a_child_has_its_agents_review(board: Board) -> None:
    task = await board.write(scenes.post_at, "working")
    policies = Policies(Policy(), {"ada": EVE})
    token = tokens.digest(scenes.token_of(task, 1))
    said = await board.write(reports.child, token, PROJECT, task, ChildReport(title="a head"), policies)
    row = await board.one("SELECT reviewer FROM tasks WHERE id = :id", id=said["child"])
    assert row and row["reviewer"] == "agent:eve"


# --- Who, and when ----------------------------------------------------------------------------------------------------------


async def test_a_review_begins_when_its_maker_is_gone_and_is_no_move(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = scenes.post(tx, policy=EVE)
        verbs.submit(tx, scenes.work(tx, task), actor="executor:ada")
        assert due(tx) == [], "its maker is not gone"
        scenes.see_off(tx, task)
        rev = move.get(tx, task)["rev"]
        assert due(tx) == [(task, "reviewer", "eve")]
        row = move.get(tx, task)
        assert (row["status"], row["rev"], row["attempt_id"]) == ("review", rev, scenes.latest(tx, task)["id"])
        assert scenes.story(tx, task)[-1] == "engine:tick claim_review"
        assert due(tx) == [], "one at a time"

    assert await tried(board, life) is None


async def test_reviews_and_tasks_stand_in_one_line(board: Board) -> None:
    def life(tx: Tx) -> list[tuple[int, str, str]]:
        low = for_review(tx)
        tx.run("UPDATE tasks SET priority = 1 WHERE id = :id", id=low)
        scenes.post(tx, agent="eve", priority=3)
        high = for_review(tx)
        tx.run("UPDATE tasks SET priority = 9 WHERE id = :id", id=high)
        return due(tx)

    assert await board.write(life) == [(3, "reviewer", "eve"), (2, "executor", "eve"), (1, "reviewer", "eve")]


async def test_a_role_reviews_by_whoever_has_not_made_it(board: Board) -> None:
    def life(tx: Tx) -> None:
        for agent in ("ada", "bob"):
            task = for_review(tx, "role:smith", agent)
            assert due(tx) == [(task, "reviewer", {"ada": "bob", "bob": "ada"}[agent])]

    assert await tried(board, life) is None


async def test_a_reviewers_attempt_is_capped_like_any_other(board: Board) -> None:
    def life(tx: Tx) -> list[tuple[int, str, str]]:
        agents.put_agent(tx, "eve", max_live=2)
        for _ in range(3):
            for_review(tx)
        return due(tx)

    assert [role for _, role, _ in await board.write(life)] == ["reviewer", "reviewer"]


async def test_the_schema_refuses_a_review_by_somebody_else(board: Board) -> None:
    task = await board.write(for_review)
    assert "not for this agent" in str(await tried(board, lambda tx: scenes.claim_review(tx, task, "bob")))
    assert "own work" in str(
        await tried(board, lambda tx: scenes.claim_review(tx, for_review(tx, "role:smith"), "ada"))
    )
    await board.write(reviews.hand_over, task, "so")
    seen = await tried(board, lambda tx: scenes.claim_review(tx, task, "eve"))
    assert type(seen) is Refused and "not for this agent" in seen.sentence
    assert isinstance(await tried(board, lambda tx: scenes.claim_review(tx, for_review(tx), "eve")), sqlite3.Row)


# --- Without a verdict ------------------------------------------------------------------------------------------------------------


async def test_a_review_without_a_verdict_is_tried_again_later_and_then_a_persons(
    board: Board, clock: FakeClock
) -> None:
    task = await board.write(for_review)
    assert await board.write(due) == [(task, "reviewer", "eve")]
    assert await board.write(ends, task, "crashed", "no eyes") == "review"
    row = await board.one("SELECT * FROM tasks WHERE id = :id", id=task)
    assert row and START < row["not_before"] <= plus(START, 60)
    assert await board.write(due) == []
    assert await board.read(claims.next_time, clock.now()) == row["not_before"], "the tick wakes for it"
    clock.go_on(60)
    assert await board.read(claims.next_time, clock.now()) is None, "and does not spin when it has come"
    assert await board.write(due) == [(task, "reviewer", "eve")]
    assert await board.write(ends, task, "idle") == "review"
    reason = "2 reviews ended without a verdict, the last one idle: no call and no output for idle_seconds"
    assert await board.write(over, task) == reason
    clock.go_on(3600)
    assert await board.write(due) == []
    story = await board.read(scenes.story, task)
    assert story[-3:] == ["engine:monitor ended", "engine:reviews hand_over", "engine:monitor gone"]


@pytest.mark.parametrize("outcome", ["released", "stopped", "dry_run", "spawn_failed", "prompt_failed"])
async def test_what_is_nobodys_fault_is_not_charged(board: Board, clock: FakeClock, outcome: str) -> None:
    task = await board.write(for_review, max_review_tries=1)
    for _ in range(4):
        assert await board.write(due) == [(task, "reviewer", "eve")]
        await board.write(ends, task, outcome)
        await board.write(pauses.resume, Target("agent", "eve"), reason=None, actor="person:root")  # after the third
        clock.go_on(60)
    assert await board.write(over, task) is None


async def test_what_was_handed_in_anew_has_all_its_reviews_again(board: Board, clock: FakeClock) -> None:
    def a_round(tx: Tx, task: int) -> None:
        assert due(tx) == [(task, "reviewer", "eve")]
        ends(tx, task)

    task = await board.write(for_review)
    await board.write(a_round, task)
    clock.go_on(60)
    await board.write(a_round, task)
    assert await board.write(over, task)
    await board.write(verbs.reject, task, actor="person:root", remark="do it again")
    assert await board.write(over, task) is None
    await board.write(scenes.submit, task)
    clock.go_on(60)
    await board.write(a_round, task)
    assert await board.write(over, task) is None, "one of two"


async def test_more_rejections_than_allowed_ask_a_person_whoever_rejected(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = for_review(tx, max_rejections=1)
        for number, expected in enumerate(["pending", "blocked"]):
            assert due(tx) == [(task, "reviewer", "eve")]
            assert say(tx, task, "pending", detail=f"blunt {number}")["status"] == expected
            scenes.see_off(tx, task)
            if expected == "pending":
                scenes.submit(tx, task)
        assert "rejected 2 times" in move.get(tx, task)["reason"]

    assert await tried(board, life) is None


# --- Nobody --------------------------------------------------------------------------------------------------------------------------


async def test_every_reason_why_nobody_can_review(board: Board) -> None:
    def life(tx: Tx) -> None:
        expected = {
            "agent:zoe": "agent zoe, is not on the board", "agent:ada": "agent ada, has worked on it",
            "role:baker": "no agent has the role baker", "role:cook": "nobody but who has worked on it has the role cook",
        }  # fmt: skip
        agents.put_agent(tx, "ada", max_live=9, roles=["smith", "cook"])
        for review, words in expected.items():
            task = for_review(tx, review)
            assert words in str(over(tx, task)), review
            assert scenes.story(tx, task)[-2:] == ["engine:reviews hand_over", "engine:monitor gone"], "at once"
        waiting = [for_review(tx), for_review(tx, "role:smith")]
        assert [over(tx, task) for task in waiting] == [None, None]
        for agent in ("eve", "bob", "ada"):
            tx.run("UPDATE agents SET enabled = 0 WHERE id = :id", id=agent)
        assert due(tx) == []
        assert "agent eve, is disabled" in str(over(tx, waiting[0]))
        assert "every agent with the role smith" in str(over(tx, waiting[1]))

    assert await tried(board, life) is None


async def test_one_that_is_paused_or_busy_is_waited_for_and_why_says_so(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = for_review(tx)
        pauses.pause(tx, Target("agent", "eve"), reason="lunch", actor="person:root")
        assert due(tx) == [] and over(tx, task) is None
        sentence = explaining.why(tx, task, tx.now, Room(9))["sentence"]
        assert "waits for a review by agent:eve: agent eve is paused" in sentence
        assert f"orchestrator approve {task}" in sentence
        assert tx.all("SELECT 1 FROM v_stuck WHERE id = :id", id=task) == []

    assert await tried(board, life) is None


async def test_a_living_review_is_not_handed_over(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = for_review(tx)
        assert len(due(tx)) == 1
        tx.run("UPDATE agents SET enabled = 0 WHERE id = 'eve'")
        assert due(tx) == [] and over(tx, task) is None
        ends(tx, task)
        assert "is disabled" in str(over(tx, task)), "at once"

    assert await tried(board, life) is None


async def test_an_operator_may_give_it_back_or_take_the_reviewer_away(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = for_review(tx, "agent:zoe")
        agents.put_agent(tx, "zoe")
        assert due(tx) == [], "it is a person's"
        tx.run("UPDATE tasks SET handed_over = NULL WHERE id = :id", id=task)
        assert due(tx) == [(task, "reviewer", "zoe")]
        other = for_review(tx)
        tx.run("UPDATE tasks SET reviewer = NULL WHERE id = :id", id=other)
        assert due(tx) == []
        assert [row["id"] for row in tx.all("SELECT id FROM v_stuck")] == [other]
        assert "sql hand_back" in scenes.story(tx, task) and "sql edit" in scenes.story(tx, other)

    assert await tried(board, life) is None


# --- Verdicts ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "detail", "outcome", "other"),
    [("done", None, "approved", "x"), ("done", "good", "approved", None), ("pending", "blunt", "rejected", "x")],
)
async def test_the_same_verdict_again_changes_nothing_and_another_is_fenced(
    board: Board, status: str, detail: str | None, outcome: str, other: str | None
) -> None:
    def life(tx: Tx) -> None:
        task = for_review(tx)
        due(tx)
        first = say(tx, task, status, detail=detail, comment="looked at it")
        assert first["comment"] == 1 and scenes.latest(tx, task)["outcome"] == outcome
        before = scenes.everything(tx)
        assert say(tx, task, status, detail=detail, comment="looked at it")["already"] is True
        assert scenes.everything(tx) == before
        with pytest.raises(Exception, match="has ended"):
            say(tx, task, status, detail=other)

    assert await tried(board, life) is None


async def test_a_verdict_carries_no_outputs(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = for_review(tx)
        due(tx)
        say(tx, task, "done", output=OutputReport(type="code", title="x", content="y"))

    assert type(await tried(board, life)) is Forbidden


@pytest.mark.parametrize("sql", [False, True])
async def test_who_is_faster_than_the_reviewer_cancels_its_attempt(board: Board, sql: bool) -> None:
    def life(tx: Tx) -> str:
        task = for_review(tx)
        due(tx)
        if sql:
            tx.run("UPDATE tasks SET status = 'done' WHERE id = :id", id=task)
        else:
            verbs.approve(tx, task, actor="person:root")
        return str(scenes.latest(tx, task)["outcome"])

    assert await tried(board, life) == "cancelled"


# --- What the reviewer is told ------------------------------------------------------------------------------------------------------------


async def test_the_brief_of_a_review_shows_what_was_handed_in_last_within_bounds(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = for_review(tx)
        due(tx)
        say(tx, task, "pending", detail="blunt")
        scenes.see_off(tx, task)
        attempt = scenes.claim(tx, task)
        for number in range(handed_in.MOST_OUTPUTS + 2):
            journal.add_output(tx, attempt, type="data", title=f"nail {number}", content="x" * 5000)
        verbs.submit(tx, attempt, actor="executor:ada", detail="sharper")
        scenes.see_off(tx, task)
        assert briefs.preview(tx, task)["role"] == "reviewer"
        due(tx)
        brief = briefs.brief(tx, scenes.latest(tx, task)["id"])
        work = brief["work"]
        assert (brief["attempt"], brief["reviews"]) == (4, 1)
        assert (work["number"], work["agent"], work["detail"], work["left_out"]) == (3, "ada", "sharper", 2)
        assert {(len(each["content"]), each["cut"]) for each in work["outputs"]} == {(3000, True)}
        assert [former["remark"] for former in brief["history"]] == [None, "blunt", None]
        assert brief["role"] == "reviewer" and brief["task"]["status"] == "review"

    assert await tried(board, life) is None


# --- What `check` says of them before ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("general", "own", "said"),
    [
        ("human", "auto", []),
        ("agent:eve", "role:critic", []),
        ("agent:bob", "human", ["the review of tasks is asked of agent:bob"]),  # disabled
        ("role:painter", "human", ["the review of tasks is asked of role:painter"]),
        ("human", "agent:ada", ["the review of agent ada's tasks is asked of agent:ada"]),
        ("agent:zoe", "role:smith", ["the review of tasks", "the review of agent ada's tasks"]),  # the others are disabled
    ],
)  # fmt: skip
def test_check_warns_of_a_review_that_is_asked_of_nobody(
    tmp_path: Path, general: str, own: str, said: list[str]
) -> None:
    (tmp_path / "orchestrator.toml").write_text(
        f"[policy]\nreview = '{general}'\n[agents.ada]\nargv = ['true']\nroles = ['smith']\npolicy = {{review = '{own}'}}\n"
        "[agents.bob]\nargv = ['true']\nenabled = false\npolicy = {review = 'agent:eve'}\nroles = ['smith']\n"
        "[agents.eve]\nargv = ['true']\nroles = ['critic']\npolicy = {review = 'human'}\n"
    )
    found = [each for each in preflight.all_findings(load(cwd=tmp_path, environ={})) if each.what == "reviews"]
    assert [each.level for each in found] == ["warn"] * len(found)
    assert [words for words, each in zip(said, found, strict=True) if words not in each.sentence] == []
