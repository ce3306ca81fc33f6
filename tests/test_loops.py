"""Loops: what goes round in a circle costs its cap of attempts, and a person is told once."""

from __future__ import annotations

import pytest

from blackboard import claims, journal, move, proofs, tokens, verbs
from blackboard.board import Board, Rows, Tx
from blackboard.checks import Check
from blackboard.gates import Room
from blackboard.policy import Policy
from tests import scenes
from tests.fake_clock import FakeClock

FOR_EVER = Policy(max_tries=1000, max_same=3, max_rejections=1000, backoff_seconds=0)


def once(tx: Tx, task: int, outcome: str = "crashed", *, detail: str = "exit code 1", output: str | None = None) -> str:
    """One more attempt that ends so; the task's status."""
    attempt = scenes.claim(tx, task)
    if output is not None:
        journal.add_output(tx, attempt, type="code", title="a nail", content=output)
    status = verbs.end_badly(tx, attempt, outcome, actor="engine:monitor", detail=detail)
    scenes.see_off(tx, task)
    return status


def blocks(rows: Rows) -> list[str]:
    return [row["reason"] for row in rows.all("SELECT reason FROM events WHERE verb = 'block' ORDER BY id")]


@pytest.mark.parametrize("most", [1, 2, 3, 7])
async def test_so_many_ends_alike_ask_a_person_once_and_cost_no_more(board: Board, most: int) -> None:
    task = await board.write(scenes.post, policy=FOR_EVER.but({"max_same": most}))
    ended = [await board.write(once, task, detail=f"cannot read /tmp/{number}") for number in range(most)]
    assert ended == ["pending"] * (most - 1) + ["blocked"]
    row = await board.read(move.get, task)  # type: ignore[arg-type]
    assert (row["actor"], row["blocked_kind"]) == ("engine:policy", "needs_input")
    [sentence] = await board.read(blocks)
    assert (
        f"(crashed: cannot read /tmp/{most - 1}) and handed in nothing" in sentence
        and "answer how to go on" in sentence
    )
    assert await board.write(claims.claim_due, [tokens.digest("bbt_x")], Room(9)) == []
    stuck = await board.all("SELECT next FROM v_stuck")
    assert [row["next"] for row in stuck] == [f'orchestrator answer {task} "..."']


async def test_an_answer_begins_the_count_anew_and_so_does_reopen(board: Board) -> None:
    def life(tx: Tx) -> list[str]:
        task = scenes.post(tx, policy=FOR_EVER)
        seen = [once(tx, task) for _ in range(3)]
        verbs.unblock(tx, task, actor="person:root", answer="go on")
        seen += [once(tx, task) for _ in range(3)]
        verbs.cancel(tx, task, actor="person:root")
        verbs.reopen(tx, task, actor="person:root")
        return seen + [once(tx, task) for _ in range(3)]

    assert await board.write(life) == ["pending", "pending", "blocked"] * 3


async def test_whoever_gets_on_is_not_asked_about(board: Board) -> None:
    def life(tx: Tx) -> list[str]:
        task = scenes.post(tx, policy=FOR_EVER)
        seen = [once(tx, task, detail=f"no {what}") for what in ("paper", "ink") * 3]
        other = scenes.post(tx, policy=FOR_EVER)
        return seen + [once(tx, other, output=f"{number} lines") for number in range(6)]

    assert set(await board.write(life)) == {"pending"}


async def test_the_same_failure_with_the_same_outputs_is_no_progress(board: Board) -> None:
    task = await board.write(scenes.post, policy=FOR_EVER)
    assert [await board.write(once, task, output="iron") for _ in range(3)] == ["pending", "pending", "blocked"]
    [sentence] = await board.read(blocks)
    assert "handed in the same outputs" in sentence


@pytest.mark.parametrize("between", ["rate_limited", "stopped", "released", "busy"])
async def test_who_only_waited_between_is_passed_over(board: Board, between: str) -> None:
    def life(tx: Tx) -> str:
        task = scenes.post(tx, policy=FOR_EVER)
        return [once(tx, task, each) for each in ("crashed", between, "crashed", between, "crashed")][-1]

    assert await board.write(life) == "blocked"


async def test_a_task_without_another_try_has_failed_as_ever(board: Board) -> None:
    task = await board.write(scenes.post, policy=FOR_EVER.but({"max_tries": 3}))
    assert [await board.write(once, task) for _ in range(3)] == ["pending", "pending", "failed"]
    assert await board.read(blocks) == []


@pytest.mark.parametrize("outcome", ["busy", "spawn_failed", "prompt_failed"])
async def test_ends_that_are_not_charged_ask_a_person_at_the_tenth_in_a_row(board: Board, outcome: str) -> None:
    task = await board.write(scenes.post, policy=FOR_EVER)
    ended = [await board.write(once, task, outcome, detail=f"lane {number} is taken") for number in range(10)]
    assert ended == ["pending"] * 9 + ["blocked"]
    [sentence] = await board.read(blocks)
    assert f"10 attempts in a row were not even tried, the last one {outcome}: lane 9 is taken" in sentence


async def test_a_try_between_begins_the_count_of_the_uncharged_anew(board: Board) -> None:
    task = await board.write(scenes.post, policy=FOR_EVER)
    ended = [await board.write(once, task, outcome) for outcome in ["busy"] * 9 + ["crashed"] + ["busy"] * 9]
    assert set(ended) == {"pending"}


async def test_reviews_that_are_never_begun_are_a_persons_at_the_tenth(board: Board, clock: FakeClock) -> None:
    task = await board.write(scenes.post, policy=Policy(review="agent:eve", backoff_seconds=0))
    await board.write(scenes.submit, task)

    def reviewed(tx: Tx) -> object:
        verbs.end_badly(tx, scenes.claim_review(tx, task), "busy", actor="engine:monitor", detail="taken")
        scenes.see_off(tx, task)
        return move.get(tx, task)["handed_over"]

    seen = []
    for _ in range(10):
        clock.go_on(60)
        seen.append(await board.write(reviewed))
    assert seen[:9] == [None] * 9 and "10 reviews in a row were not even begun, the last one busy: taken" in str(
        seen[9]
    )


def handed_in(tx: Tx, task: int, *contents: str) -> None:
    attempt = scenes.claim(tx, task)
    verbs.start(tx, attempt, actor="executor:ada")
    for content in contents:
        journal.add_output(tx, attempt, type="code", title=f"at {tx.now}", content=content)
    verbs.submit(tx, attempt, actor="executor:ada")
    scenes.see_off(tx, task)


def passes_its_checks(tx: Tx) -> None:
    for check in proofs.begin(tx, 9):
        proofs.finish(tx, check, proofs.Found("passed", exit_code=0))


@pytest.mark.parametrize("checks", [[], [Check(run="true")]])
@pytest.mark.parametrize("review", ["human", "agent:eve"])
async def test_the_second_unchanged_round_is_a_persons(
    board: Board, clock: FakeClock, review: str, checks: list[Check]
) -> None:
    task = await board.write(scenes.post, policy=FOR_EVER.but({"review": review}), checks=checks)
    seen = []
    for contents in (("iron", "wood"), ("wood", "iron"), ("iron", "wood")):
        clock.go_on(1)
        await board.write(handed_in, task, *contents)
        await board.write(passes_its_checks)
        seen.append((await board.read(move.get, task))["handed_over"])  # type: ignore[arg-type]
        if not seen[-1]:
            await board.write(verbs.reject, task, actor="person:root", remark="no")
    assert seen[:2] == [None, None]
    assert seen[2] == "attempt 3 handed in exactly what attempts 1 and 2 did, and that was sent back both times"
    [stuck] = await board.all("SELECT why, next FROM v_stuck")
    assert stuck["why"].endswith(seen[2]) and "reject" in stuck["next"]


async def test_a_changed_round_is_reviewed_as_ever(board: Board) -> None:
    def life(tx: Tx) -> object:
        task = scenes.post(tx, policy=FOR_EVER.but({"review": "agent:eve"}))
        for number in range(6):
            handed_in(tx, task, "iron" if number % 3 else "wood")
            verbs.reject(tx, task, actor="person:root", remark="no")
        handed_in(tx, task, "wood")
        return move.get(tx, task)["handed_over"]

    assert await board.write(life) is None


async def test_a_question_that_was_answered_says_so_when_it_is_asked_again(board: Board) -> None:
    task = await board.write(scenes.post)

    def asks(tx: Tx, question: str) -> object:
        verbs.block(tx, scenes.claim(tx, task), actor="executor:ada", kind="needs_input", question=question)
        scenes.see_off(tx, task)
        reason = move.get(tx, task)["reason"]
        verbs.unblock(tx, task, actor="person:root", answer="as long as it was")
        return reason

    assert await board.write(asks, "How long?") == "How long?"
    assert "(asked 2 times now, although it was answered" in str(await board.write(asks, "how  LONG?"))
    assert "(asked 3 times now" in str(await board.write(asks, "How long?"))
    assert await board.write(asks, "How wide?") == "How wide?"
