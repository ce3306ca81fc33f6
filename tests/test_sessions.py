"""When a conversation is gone on with, and what of its numbers is one run's."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from blackboard import attempts, sessions, verbs
from blackboard.board import Board, Tx
from blackboard.sessions import Found, Wish, of_this_run, poisoned, resumable
from blackboard.states import OUTCOMES
from tests import scenes

WISH = Wish(program="codex m", same_folder=True, workspace="/w", most_attempts=3, most_tokens=100)
FORMER: dict[str, Any] = {
    "id": 4, "outcome": "submitted", "failure_kind": None, "session_id": "s", "program": "codex m", "workspace": "/w",
    "result": "did it",
}  # fmt: skip


def found(**former: object) -> Found:
    return Found({**FORMER, **former}, None, 1, 10)


def test_a_sound_session_is_gone_on_with() -> None:
    chosen = resumable(found(), WISH)
    assert (chosen.session_id, chosen.resumes, chosen.fresh) == ("s", 4, None)


@pytest.mark.parametrize(
    ("known", "wish", "reason"),
    [
        (Found(), WISH, "no attempt before it"),
        (replace(found(), at_work=9), WISH, "attempt 9 uses the session at this moment"),
        (found(session_id=None), WISH, "attempt 4 told no session"),
        (found(program="codex"), WISH, "was run by codex, this one by codex m"),
        (found(program=None), WISH, "was run by another program"),
        (found(workspace="/x"), WISH, "another folder"),
        (found(result=None), WISH, "before its program had told how it went"),
        (replace(found(), attempts=3), WISH, "had 3 attempts, and session_max_attempts is 3"),
        (replace(found(), tokens=100), WISH, "used 100 tokens, and session_max_tokens is 100"),
    ],
)
def test_what_makes_a_fresh_one_and_the_reason(known: Found, wish: Wish, reason: str) -> None:
    chosen = resumable(known, wish)
    assert (chosen.session_id, chosen.resumes) == (None, None)
    assert reason in str(chosen.fresh)


def test_what_does_not_count_is_not_asked() -> None:
    assert resumable(found(workspace="/x"), replace(WISH, same_folder=False)).resumes == 4
    assert resumable(replace(found(), tokens=10**9), replace(WISH, most_tokens=None)).resumes == 4


SOUND = {"submitted", "failed", "blocked", "approved", "rejected", "no_report", "rate_limited"}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_is_sound_or_not(outcome: str) -> None:
    assert (poisoned({**FORMER, "outcome": outcome}) is None) is (outcome in SOUND)
    for kind in ("context", "refused"):
        assert poisoned({**FORMER, "outcome": outcome, "failure_kind": kind}) is not None


@pytest.mark.parametrize(
    ("kind", "sound"), [("auth", True), ("network", True), ("rate_limit", True), ("crash", False), (None, False)]
)
def test_a_crash_that_came_from_outside_leaves_the_session_sound(kind: str | None, sound: bool) -> None:
    assert (poisoned({**FORMER, "outcome": "crashed", "failure_kind": kind}) is None) is sound


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "before", "own"),
    [
        ({"input_tokens": 300}, {"input_tokens": 200}, {"input_tokens": 100}),
        ({"cost_usd": 0.3}, {"cost_usd": 0.1}, {"cost_usd": 0.2}),
        ({"input_tokens": 7}, {}, {"input_tokens": 7}),
        ({"input_tokens": None, "output_tokens": 5}, {"output_tokens": 5}, {"input_tokens": None, "output_tokens": 0}),
        ({"input_tokens": 50, "output_tokens": 9}, {"input_tokens": 60, "output_tokens": 3}, {"input_tokens": 50, "output_tokens": 9}),
    ],
)  # fmt: skip
def test_totals_become_differences_and_never_less_than_nothing(
    said: dict[str, Any], before: dict[str, Any], own: dict[str, Any]
) -> None:
    assert of_this_run(said, before) == own


TOKENS = ("input_tokens", "cached_tokens", "output_tokens")
NOTHING = dict.fromkeys(
    (*TOKENS, "run_id", "session_id", "text", "failure_kind", "provider", "model", "cost_usd", "reset_at")
)


def goes_on(tx: Tx, task: int) -> int:
    """Another attempt in the session of the task; its id."""
    attempt = scenes.work(tx, task)
    attempts.prepared(tx, attempt["id"], workspace="/w", session_key="agent:ada:main")
    sessions.choose(tx, attempts.get(tx, attempt["id"]), replace(WISH, most_tokens=None), "own")
    return int(attempt["id"])


def tells(tx: Tx, attempt: int, total: int | None) -> None:
    said = {**NOTHING, "input_tokens": total, "text": "did it"}
    for _ in range(2):  # once when it is judged, once when it is gone
        attempts.result(tx, attempt, said, TOKENS)


def hands_in(tx: Tx, task: int, attempt: int) -> None:
    verbs.submit(tx, attempts.get(tx, attempt), actor="executor:ada", detail="made it")
    scenes.see_off(tx, task)


async def test_a_run_that_told_no_total_is_in_the_next_ones_difference(board: Board) -> None:
    def run(tx: Tx) -> list[tuple[int | None, str | None]]:
        scenes.furnish(tx)
        made = []
        for total in (100, None, 350):
            task = scenes.post(tx)
            made.append(goes_on(tx, task))
            tells(tx, made[-1], total)
            hands_in(tx, task, made[-1])
        rows = [attempts.get(tx, each) for each in made]
        assert [row["resumes"] for row in rows] == [None, made[0], made[1]]
        assert {row["session_id"] for row in rows} == {"own"}
        return [(row["input_tokens"], row["session_totals"]) for row in rows]

    told = await board.write(run)
    assert [number for number, _ in told] == [100, None, 250]
    assert [json.loads(totals)["input_tokens"] if totals else None for _, totals in told] == [100, None, 350]


async def test_two_at_once_never_have_one_session(board: Board) -> None:
    def run(tx: Tx) -> tuple[int | None, int | None]:
        scenes.furnish(tx)
        task = scenes.post(tx)
        first = goes_on(tx, task)
        tells(tx, first, 1)
        hands_in(tx, task, first)
        second, third = goes_on(tx, scenes.post(tx)), goes_on(tx, scenes.post(tx))
        return attempts.get(tx, second)["resumes"], attempts.get(tx, third)["resumes"]

    second, third = await board.write(run)
    assert (second, third) == (1, None)
