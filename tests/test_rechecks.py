"""A person has the checks of a task in review run again: all of them, and only where that is of use."""

from __future__ import annotations

import pytest

from blackboard import attempts, people, proofs, tokens, verbs
from blackboard.board import Board, Tx
from blackboard.checks import Check
from blackboard.errors import Forbidden, IllegalMove, NotFound, Refused
from blackboard.move import get
from blackboard.policy import Policy
from tests import scenes
from tests.scenes import tried

CHECKS = [Check(run="one"), Check(run="two")]
PASSED, NOT_RUN = proofs.Found("passed", exit_code=0), proofs.Found("not_run", output="no such program")
OPERATOR, READER = (tokens.PREFIX + scope * 5 for scope in ("operate", "reading"))


def handed_in(tx: Tx, review: str = "human", checks: list[Check] = CHECKS) -> int:
    """A task that was handed in, and people who may and may not say something about it."""
    tokens.create(tx, OPERATOR, kind="operator", scope="operate", name="ann")
    tokens.create(tx, READER, kind="operator", scope="read", name="tim")
    task = scenes.post(tx, checks=checks, policy=Policy(review=review))
    scenes.submit(tx, task)
    return task


def recheck(tx: Tx, task: int, token: str = OPERATOR) -> people.Answer:
    return people.operate(tx, tokens.digest(token), scenes.PROJECT, task, "recheck", "it is installed")


def run(tx: Tx, *found: proofs.Found) -> list[int]:
    """Let as many checks end, each so; their positions."""
    positions = []
    for each in found:
        (check,) = proofs.begin(tx, 1)
        row = tx.one("SELECT position FROM checks WHERE id = :id", id=check)
        positions.append(row["position"] if row else 0)
        proofs.finish(tx, check, each)
    return positions


async def test_what_could_not_be_run_is_run_again_and_what_had_passed_too(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = handed_in(tx)
        assert run(tx, PASSED, NOT_RUN) == [1, 2] and "could not be run" in get(tx, task)["handed_over"]
        assert recheck(tx, task)["status"] == "review"
        row = get(tx, task)
        assert (row["status"], row["proof"], row["handed_over"]) == ("review", "wanted", None)
        assert run(tx, PASSED, PASSED) == [1, 2]
        assert get(tx, task)["proof"] == "passed" and proofs.begin(tx, 9) == []
        told = scenes.story(tx, task)
        again = told.index("person:ann recheck")
        assert told[again + 1] == "person:ann hand_back" and told[-1] == "engine:proofs verified"
        (event,) = tx.all("SELECT reason, data FROM events WHERE verb = 'recheck'")
        assert tuple(event) == ("it is installed", '{"after": 2}')

    await board.write(life)


async def test_what_was_verified_may_fail_the_second_time_and_is_sent_back(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = handed_in(tx)
        run(tx, PASSED, PASSED)
        recheck(tx, task)
        assert "hand_back" not in " ".join(scenes.story(tx, task))
        run(tx, PASSED, proofs.Found("failed", exit_code=1))
        assert scenes.status_of(tx, task) == "pending"
        scenes.submit(tx, task)
        run(tx, PASSED, PASSED)
        assert get(tx, task)["proof"] == "passed"

    await board.write(life)


async def test_a_reviewer_is_asked_again_only_when_all_have_passed_again(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = handed_in(tx, "agent:eve")
        run(tx, PASSED, PASSED)
        review = scenes.claim_review(tx, task)
        with pytest.raises(Refused, match=f"attempt {review['number']} reviews task {task} at this moment"):
            recheck(tx, task)
        verbs.end_badly(tx, review, "lost", actor="engine:monitor")
        attempts.gone(tx, review["id"])
        recheck(tx, task)
        with pytest.raises(Refused, match="have not passed yet"):
            scenes.claim_review(tx, task)

    with pytest.raises(Refused, match="have not passed yet"):
        await board.write(life)


async def test_a_refusal_says_what_to_do(board: Board) -> None:
    task = await board.write(handed_in)

    async def refusal(which: int, token: str = OPERATOR) -> tuple[type[BaseException], str]:
        error = await tried(board, lambda tx: recheck(tx, which, token))
        return type(error), str(error)

    assert await refusal(task) == (
        Refused, f"the checks of task {task} are still to be run: orchestrator why {task} says for what they wait"
    )  # fmt: skip
    await board.write(proofs.begin, 1)
    assert await refusal(task) == (Refused, f"check 1 of task {task} is being run: wait until it has ended")
    assert (await refusal(task, READER))[0] is Forbidden and (await refusal(99))[0] is NotFound
    bare = await board.write(scenes.post_at, "review")
    assert await refusal(bare) == (Refused, f"task {bare} has no checks: approve it, or reject it with a remark")
    for status in scenes.STATES:
        if status != "review":
            kind, said = await refusal(await board.write(scenes.post_at, status))
            assert kind is IllegalMove and f"is {status}: only what was handed in" in said
