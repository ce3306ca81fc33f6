"""The breaker: one failure on three tasks pauses the agent, once, and nobody else."""

from __future__ import annotations

import pytest

from blackboard import attempts, pauses, verbs
from blackboard.board import Board, Rows, Tx
from blackboard.pauses import Target
from blackboard.policy import Policy
from tests import scenes


def ends(tx: Tx, outcome: str, task: int | None = None, *, agent: str = "ada", detail: str = "exit code 1") -> int:
    """An attempt of an agent ends so, on a task of its own or on this one; the task."""
    task = task or scenes.post(tx, agent=agent, policy=Policy(max_tries=1000, max_same=1000, backoff_seconds=0))
    attempt = scenes.claim(tx, task, agent)
    if outcome == "submitted":
        verbs.start(tx, attempt, actor=f"executor:{agent}")
        scenes.journal.add_output(tx, attempt, type="code", title="nail", content="iron")
        verbs.submit(tx, attempt, actor=f"executor:{agent}")
    else:
        verbs.end_badly(tx, attempt, outcome, actor="engine:monitor", detail=detail)
    scenes.see_off(tx, task)
    return task


def notices(rows: Rows) -> list[tuple[str, str]]:
    found = rows.all("SELECT agent_id, reason FROM events WHERE verb = 'agent_paused' ORDER BY id")
    return [(row["agent_id"], row["reason"]) for row in found]


@pytest.mark.parametrize(
    "outcome", ["failed", "crashed", "no_report", "killed", "idle", "timed_out", "no_start", "over_budget"]
)
async def test_one_failure_on_three_tasks_pauses_the_agent_with_one_notice(board: Board, outcome: str) -> None:
    def life(tx: Tx) -> list[int]:
        tasks = [ends(tx, outcome, detail=f"cannot read /tmp/{number}") for number in range(3)]
        ends(tx, outcome, detail="cannot read /tmp/9")  # one that was claimed before the pause
        return tasks

    tasks = await board.write(life)
    [(agent, reason)] = await board.read(notices)
    assert agent == "ada"
    assert f"tasks {tasks[0]}, {tasks[1]}, {tasks[2]} ended alike ({outcome}: cannot read /tmp/2)" in reason
    assert "orchestrator resume --agent ada" in reason
    stuck = await board.all("SELECT title, next FROM v_stuck WHERE status = 'paused'")
    assert [tuple(row) for row in stuck] == [("agent ada", "orchestrator resume --agent ada")]


@pytest.mark.parametrize("outcome", ["rate_limited", "busy", "stopped", "released", "lost"])
async def test_what_is_not_the_agents_doing_never_pauses_it(board: Board, outcome: str) -> None:
    await board.write(lambda tx: [ends(tx, outcome) for _ in range(6)])
    assert await board.read(notices) == []


@pytest.mark.parametrize("between", ["rate_limited", "stopped", "lost"])
async def test_who_only_waited_between_two_failures_is_passed_over(board: Board, between: str) -> None:
    await board.write(lambda tx: [ends(tx, each) for each in ("crashed", between, "crashed", between, "crashed")])
    assert [agent for agent, _ in await board.read(notices)] == ["ada"]


@pytest.mark.parametrize("between", ["submitted", "failed"])
async def test_anything_else_between_begins_anew(board: Board, between: str) -> None:
    await board.write(lambda tx: [ends(tx, each) for each in ("crashed", "crashed", between, "crashed", "crashed")])
    assert await board.read(notices) == []


async def test_three_tries_of_one_task_are_one_task(board: Board) -> None:
    def life(tx: Tx) -> list[int]:
        first = ends(tx, "crashed")
        second = ends(tx, "crashed", ends(tx, "crashed", first) and None)
        ends(tx, "crashed", second)
        before = len(notices(tx))
        ends(tx, "crashed")
        return [before, len(notices(tx))]

    assert await board.write(life) == [0, 1]


async def test_another_failure_or_another_agent_is_another_row(board: Board) -> None:
    def life(tx: Tx) -> None:
        for word in ("paper", "ink", "glue"):
            ends(tx, "crashed", detail=f"no {word}")
        for agent in ("bob", "eve", "bob", "eve"):
            ends(tx, "crashed", agent=agent)

    await board.write(life)
    assert await board.read(notices) == []


async def test_who_fails_alike_again_after_it_was_resumed_is_paused_at_once(board: Board) -> None:
    def life(tx: Tx) -> None:
        for _ in range(3):
            ends(tx, "crashed")
        pauses.resume(tx, Target("agent", "ada"), reason=None, actor="person:root")
        ends(tx, "crashed")

    await board.write(life)
    assert len(await board.read(notices)) == 2


async def test_a_reviewer_that_always_fails_alike_is_paused_too(board: Board) -> None:
    def life(tx: Tx) -> None:
        for _ in range(3):
            task = scenes.post(tx, policy=Policy(review="agent:eve"))
            scenes.submit(tx, task)
            verbs.end_badly(tx, scenes.claim_review(tx, task), "crashed", actor="engine:monitor", detail="no eyes")
            scenes.see_off(tx, task)

    await board.write(life)
    assert [agent for agent, _ in await board.read(notices)] == ["eve"]


async def test_the_fingerprint_is_of_what_the_program_said_too(board: Board) -> None:
    def life(tx: Tx) -> list[str]:
        made = []
        for kind in ("auth", "network"):
            attempt = scenes.claim(tx, scenes.post(tx))
            attempts.result(tx, attempt["id"], dict.fromkeys(
                ("run_id", "session_id", "text", "provider", "model", "input_tokens", "cached_tokens", "output_tokens", "cost_usd", "reset_at")
            ) | {"failure_kind": kind})  # fmt: skip
            verbs.end_badly(tx, attempt, "crashed", actor="engine:monitor", detail="x")
            made.append(attempts.get(tx, attempt["id"])["fingerprint"])
        return made

    one, another = await board.write(life)
    assert one and another and one != another
