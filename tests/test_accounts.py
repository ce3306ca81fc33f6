"""Accounts: one limit holds for all that draw on it, one attempt goes first when it is over, and nobody is charged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from blackboard import accounts, agents, attempts, claims, explaining, pauses, reports, tokens, verbs
from blackboard.board import Board, Tx
from blackboard.clock import plus, seconds_between
from blackboard.errors import NotFound
from blackboard.forms import StatusReport
from blackboard.gates import Room
from blackboard.pauses import Target
from blackboard.policy import Policy
from orchestrator import ends
from orchestrator.runners.result import Result
from orchestrator.verdict import Verdict
from tests import scenes
from tests.fake_clock import START, FakeClock

SHARED = "anthropic"
TEAM = ("ada", "bob", "eve")
ROOM = Room(99)


def share(tx: Tx, cold: float = 0.0) -> None:
    """The whole team draws on one account."""
    accounts.put_account(tx, SHARED, cold)
    for agent in TEAM:
        agents.put_agent(tx, agent, max_live=9, account=SHARED)


def account(tx: Tx, name: str = SHARED) -> sqlite3.Row:
    row = tx.one("SELECT * FROM accounts WHERE id = :id", id=name)
    assert row is not None
    return row


def claim_all(tx: Tx) -> list[int]:
    made = len(tx.all("SELECT 1 FROM attempts"))
    return claims.claim_due(tx, [tokens.digest(f"bbt_{made + n}") for n in range(50)], ROOM)


def meets_limit(tx: Tx, attempt: int, until: str | None = None, kind: str = "rate_limit") -> None:
    """The program of an attempt ends with a limit, as its runner reads it."""
    outcome = {"rate_limit": "rate_limited", "auth": "not_authorised", "crash": "crashed"}[kind]
    result = Result("error", True, "429", failure_kind=kind, reset_at=until)  # type: ignore[arg-type]
    ends.end(tx, attempt, Verdict(outcome, "429 Too Many Requests"), result)
    attempts.gone(tx, attempt)


def calls(tx: Tx, attempt: int) -> None:
    attempts.seen(tx, attempts.get(tx, attempt))


def works(tx: Tx, attempt: int) -> None:
    """Begins, hands in, is gone."""
    row = attempts.get(tx, attempt)
    calls(tx, attempt)
    verbs.start(tx, row, actor=f"executor:{row['agent_id']}")
    verbs.submit(tx, attempts.get(tx, attempt), actor=f"executor:{row['agent_id']}")
    attempts.gone(tx, attempt)


def told(tx: Tx) -> list[tuple[str, str | None]]:
    rows = tx.all("SELECT verb, reason FROM events WHERE verb GLOB 'account_*' ORDER BY id")
    return [(row["verb"], row["reason"]) for row in rows]


FREE = Policy(review="auto", needs_output=False)


# --- The storm, on the fake clock ----------------------------------------------------------------------------------


async def test_hundreds_of_tasks_start_once_before_a_limit_ends_and_once_at_its_end(
    board: Board, clock: FakeClock
) -> None:
    until = plus(START, 3600)

    def begin(tx: Tx) -> None:
        share(tx, cold=900)
        for number in range(300):
            scenes.post(tx, agent=TEAM[number % 3], policy=FREE)
        [first] = claim_all(tx)
        assert claim_all(tx) == []
        meets_limit(tx, first, until)
        assert (account(tx)["limited_until"], account(tx)["strikes"], account(tx)["canary_id"]) == (until, 1, None)

    await board.write(begin)
    for _ in range(10):
        clock.go_on(359.9)
        assert await board.write(claim_all) == []
    assert await board.read(lambda rows: claims.next_time(rows, clock.now())) == until
    clock.go_on(1.1)
    [canary] = await board.write(claim_all)
    assert await board.write(claim_all) == []
    await board.write(calls, canary)
    assert len(await board.write(claim_all)) == 26, "nine each, less the one that lives"

    def the_rest(tx: Tx) -> None:
        while made := [row["id"] for row in tx.all("SELECT id FROM attempts WHERE ended_at IS NULL")]:
            for attempt in made:
                works(tx, attempt)
            claim_all(tx)
        rows = tx.all("SELECT status, count(*) AS n FROM tasks GROUP BY status")
        assert [tuple(row) for row in rows] == [("done", 300)]
        charged = tx.all(
            "SELECT * FROM attempts JOIN outcomes USING (outcome) WHERE charged AND outcome <> 'submitted'"
        )
        assert charged == []
        assert told(tx) == [("account_limited", "429 Too Many Requests"), ("account_open", "429 Too Many Requests")]

    await board.write(the_rest)


# --- When a limit ends ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "least", "most"), [(None, 45, 60), (30, 30, 30), (0.1, 0.75, 1)], ids=["unsaid", "said", "at once"]
)
async def test_a_limit_lasts_as_long_as_was_said_else_a_minute(
    board: Board, said: float | None, least: float, most: float
) -> None:
    def life(tx: Tx) -> None:
        share(tx)
        task = scenes.post(tx)
        meets_limit(tx, scenes.claim(tx, task)["id"], plus(START, said) if said else None)
        assert least <= seconds_between(START, account(tx)["limited_until"]) <= most
        row = tx.one("SELECT status, not_before FROM tasks WHERE id = :id", id=task)
        assert row is not None and tuple(row) == ("pending", None), "the account waits, not the task"

    await board.write(life)


async def test_each_further_limit_in_a_row_doubles_the_wait_and_the_sixth_is_told_once(
    board: Board, clock: FakeClock
) -> None:
    def one(tx: Tx) -> float:
        [attempt] = claim_all(tx)
        meets_limit(tx, attempt)
        return seconds_between(tx.now, account(tx)["limited_until"])

    await board.write(share)
    await board.write(lambda tx: [scenes.post(tx) for _ in range(3)])
    waits = []
    await board.write(lambda tx: tx.run("UPDATE accounts SET limited_at = :now, limited_until = :now", now=tx.now))
    for _ in range(9):
        waits.append(await board.write(one))
        clock.go_on(waits[-1])
    assert all(45 * 2**n <= wait <= 60 * 2**n for n, wait in enumerate(waits[:6])), waits
    assert all(2700 <= wait <= 3600 for wait in waits[6:]), waits
    notices = [verb for verb, _ in await board.write(told) if verb == "account_refuses"]
    assert notices == ["account_refuses"]


async def test_attempts_that_ran_already_only_make_a_limit_longer(board: Board) -> None:
    def life(tx: Tx) -> None:
        share(tx)
        first, second, third, fourth = (scenes.claim(tx, scenes.post(tx))["id"] for _ in range(4))
        meets_limit(tx, first, plus(START, 600))
        meets_limit(tx, second)
        meets_limit(tx, third, plus(START, 300))
        assert (account(tx)["limited_until"], account(tx)["strikes"]) == (plus(START, 600), 1)
        meets_limit(tx, fourth, plus(START, 900))
        assert (account(tx)["limited_until"], account(tx)["strikes"]) == (plus(START, 900), 1)

    await board.write(life)


async def test_while_a_limit_holds_an_older_attempt_that_calls_proves_nothing(board: Board) -> None:
    def life(tx: Tx) -> None:
        share(tx)
        first, second = (scenes.claim(tx, scenes.post(tx))["id"] for _ in range(2))
        meets_limit(tx, first, plus(START, 600))
        calls(tx, second)
        assert account(tx)["limited_until"] == plus(START, 600) and claim_all(tx) == []

    await board.write(life)


# --- The one that goes first ----------------------------------------------------------------------------------------------


def tried_account(tx: Tx) -> int:
    """An account whose limit is just over, five tasks, and the attempt that goes first."""
    share(tx)
    for _ in range(5):
        scenes.post(tx, policy=Policy(needs_output=False, backoff_seconds=0, max_tries=9))
    tx.run("UPDATE accounts SET limited_at = :now, limited_until = :now WHERE id = :id", now=tx.now, id=SHARED)
    [canary] = claim_all(tx)
    assert account(tx)["canary_id"] == canary and claim_all(tx) == []
    return canary


def crashes(tx: Tx, attempt: int) -> None:
    meets_limit(tx, attempt, kind="crash")


def is_cancelled_by_sql(tx: Tx, attempt: int) -> None:
    tx.run("UPDATE tasks SET status = 'cancelled' WHERE attempt_id = :id", id=attempt)


def never_calls_and_submits(tx: Tx, attempt: int) -> None:
    verbs.submit(tx, attempts.get(tx, attempt), actor="engine:monitor")


@pytest.mark.parametrize(
    ("ends_so", "opened"),
    [(calls, True), (never_calls_and_submits, True), (crashes, False), (is_cancelled_by_sql, False)],
)
async def test_a_sign_of_life_opens_the_account_and_any_other_end_lets_the_next_go_first(
    board: Board, ends_so: Callable[[Tx, int], None], opened: bool
) -> None:
    def life(tx: Tx) -> None:
        canary = tried_account(tx)
        ends_so(tx, canary)
        assert account(tx)["canary_id"] is None
        assert (account(tx)["limited_until"] is None, account(tx)["proved_at"] is not None) == (opened, opened)
        assert (account(tx)["strikes"], len(claim_all(tx))) == (0, 4 if opened else 1)

    await board.write(life)


async def test_the_agent_may_have_another_account_by_then(board: Board) -> None:
    def life(tx: Tx) -> None:
        canary = tried_account(tx)
        agents.put_agent(tx, "ada", max_live=9)
        crashes(tx, canary)
        assert account(tx)["canary_id"] is None

    await board.write(life)


async def test_a_cold_account_is_tried_by_one_and_stays_warm_while_it_is_used(board: Board, clock: FakeClock) -> None:
    def life(tx: Tx, expected: int) -> None:
        made = claim_all(tx)
        assert len(made) == expected
        for attempt in made:
            calls(tx, attempt)

    await board.write(share, 900.0)
    await board.write(lambda tx: [scenes.post(tx) for _ in range(4)])
    await board.write(life, 1)
    await board.write(life, 3)
    clock.go_on(899.999)
    await board.write(lambda tx: [scenes.post(tx) for _ in range(2)])
    await board.write(life, 2)
    clock.go_on(900)
    await board.write(lambda tx: [scenes.post(tx) for _ in range(2)])
    await board.write(life, 1)


async def test_a_role_s_task_goes_at_once_to_an_agent_of_another_account(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = scenes.post(tx, role="smith")
        meets_limit(tx, scenes.claim(tx, task, "ada")["id"], plus(START, 600))
        [attempt] = claim_all(tx)
        assert attempts.get(tx, attempt)["agent_id"] == "bob"

    await board.write(life)


async def test_a_reviewer_s_limit_gates_the_account_too(board: Board) -> None:
    def life(tx: Tx) -> None:
        share(tx)
        task = scenes.post(tx, policy=Policy(review="agent:eve"))
        scenes.submit(tx, task)
        scenes.post(tx, agent="bob")
        meets_limit(tx, scenes.claim_review(tx, task)["id"], plus(START, 600))
        assert account(tx)["limited_until"] == plus(START, 600) and claim_all(tx) == []
        row = tx.one("SELECT status, not_before, handed_over FROM tasks WHERE id = :id", id=task)
        assert row is not None and tuple(row) == ("review", None, None)

    await board.write(life)


# --- Who is not let in, and who cannot ---------------------------------------------------------------------------------------


async def test_a_login_that_is_not_accepted_pauses_the_account_and_burns_no_try(board: Board) -> None:
    def life(tx: Tx) -> None:
        share(tx)
        tasks = [scenes.post(tx, agent=agent) for agent in TEAM]
        for task, agent in zip(tasks, TEAM, strict=True):
            scenes.claim(tx, task, agent)
        for attempt in (1, 2, 3):
            meets_limit(tx, attempt, kind="auth")
        assert [verbs.tries(tx, task) for task in tasks] == [0, 0, 0]
        assert [verb for verb, _ in told(tx)] == ["account_paused"], "one notice"
        [stuck] = tx.all("SELECT title, why, next FROM v_stuck")
        assert stuck["title"] == f"account {SHARED}" and "does not accept the login or key (429" in stuck["why"]
        assert stuck["next"] == f"orchestrator resume --account {SHARED}"
        assert "does not accept" in explaining.why(tx, tasks[0], tx.now, ROOM)["sentence"] and claim_all(tx) == []
        assert pauses.resume(tx, Target("account", SHARED), reason=None, actor="person:ann")
        assert len(claim_all(tx)) == 1, "one goes first"

    await board.write(life)


@pytest.mark.parametrize("kind", ["context", "refused"])
async def test_what_another_try_would_only_repeat_is_asked_of_a_person(board: Board, kind: Any) -> None:
    def life(tx: Tx) -> None:
        task = scenes.post(tx, policy=Policy(backoff_seconds=0))
        result = Result("error", True, "no", failure_kind=kind)
        if kind == "context":  # its session may have been full already: once it is begun anew
            ends.end(tx, scenes.work(tx, task)["id"], Verdict("crashed", "full"), result)
            scenes.see_off(tx, task)
        ends.end(tx, scenes.work(tx, task)["id"], Verdict("crashed", "the program said error"), result)
        row = tx.one("SELECT status, blocked_kind, reason FROM tasks WHERE id = :id", id=task)
        assert row is not None and (row["status"], row["blocked_kind"]) == ("blocked", "needs_input")
        assert "then answer (the program said error)" in row["reason"]
        assert (verbs.tries(tx, task), account(tx, "agent:ada")["limited_until"]) == (1 + (kind == "context"), None)

        if kind == "context":
            return
        reviewed = scenes.post(tx, policy=Policy(review="agent:eve"))
        scenes.submit(tx, reviewed)
        ends.end(tx, scenes.claim_review(tx, reviewed)["id"], Verdict("crashed", "no"), result)
        row = tx.one("SELECT status, handed_over FROM tasks WHERE id = :id", id=reviewed)
        assert row is not None and row["status"] == "review" and "then answer" in row["handed_over"]

    await board.write(life)


# --- People, and agents that say it themselves ---------------------------------------------------------------------------


async def test_resuming_lifts_a_limit_and_one_goes_first(board: Board) -> None:
    def life(tx: Tx) -> None:
        share(tx)
        for _ in range(3):
            scenes.post(tx)
        meets_limit(tx, claim_all(tx)[0], plus(START, 600))
        target = Target("account", SHARED)
        assert pauses.resume(tx, target, reason="the provider said so", actor="person:ann")
        assert not pauses.resume(tx, target, reason=None, actor="person:ann")
        assert len(claim_all(tx)) == 1
        assert [verb for verb, _ in told(tx)] == ["account_limited", "account_resumed"]
        with pytest.raises(NotFound, match="`orchestrator accounts` lists them"):
            pauses.pause(tx, Target("account", "nobody"), reason=None, actor="person:ann")

    await board.write(life)


@pytest.mark.parametrize("role", ["executor", "reviewer"])
@pytest.mark.parametrize(
    ("said", "least", "most"),
    [("90", 90, 90), (90, 90, 90), ("2026-01-31T10:00:00+00:30", 1800, 1800), ("2020-01-01T00:00:00Z", 45, 60), (None, 45, 60),
     ("9999-12-31T23:59:59-14:00", 45, 60)],
)  # fmt: skip
async def test_an_agent_may_say_that_it_is_limited(
    board: Board, role: str, said: Any, least: float, most: float
) -> None:
    def life(tx: Tx) -> None:
        task = scenes.post(tx, policy=Policy(review="agent:eve"))
        if role == "reviewer":
            scenes.submit(tx, task)
            scenes.claim_review(tx, task)
        else:
            scenes.claim(tx, task)
        token = tokens.digest(scenes.token_of(task, 1 if role == "executor" else 2))
        report = StatusReport(status="failed", kind="rate_limit", retry_at=said, detail="429")
        answer = reports.status(tx, token, scenes.PROJECT, task, report)
        assert answer["status"] == ("pending" if role == "executor" else "review")
        assert "finished" in answer["next"]
        assert reports.status(tx, token, scenes.PROJECT, task, report)["already"]
        assert scenes.latest(tx, task)["outcome"] == "rate_limited"
        row = account(tx, "agent:ada" if role == "executor" else "agent:eve")
        assert least <= seconds_between(START, row["limited_until"]) <= most and row["strikes"] == 1

    await board.write(life)


async def test_a_first_call_that_tells_of_a_limit_is_no_sign_of_life(board: Board) -> None:
    def life(tx: Tx) -> None:
        canary = tried_account(tx)
        tx.run("UPDATE accounts SET strikes = 3 WHERE id = :id", id=SHARED)
        row = attempts.get(tx, canary)
        report = StatusReport(status="failed", kind="rate_limit", detail="429")
        reports.status(tx, row["token_hash"], scenes.PROJECT, row["task_id"], report)
        assert (account(tx)["strikes"], account(tx)["proved_at"]) == (4, None)

    await board.write(life)


@pytest.mark.parametrize("said", ["soon", "", "2026-01-31T10:00:00", "-5", -5, "90s"])
def test_another_time_is_refused(said: Any) -> None:
    with pytest.raises(ValueError, match="retry_at"):
        StatusReport(status="failed", kind="rate_limit", retry_at=said, detail="429")


def test_a_limit_is_no_question() -> None:
    with pytest.raises(ValueError, match="kind rate_limit goes with failed"):
        StatusReport(status="blocked", kind="rate_limit", detail="429")


async def test_the_list_says_how_each_account_stands(board: Board, clock: FakeClock) -> None:
    def states(tx: Tx) -> dict[str, object]:
        return {str(each["account"]): each["state"] for each in accounts.listed(tx, tx.now)}

    def begin(tx: Tx) -> None:
        accounts.put_account(tx, "unused")
        accounts.put_account(tx, SHARED, 900)
        agents.put_agent(tx, "eve", account=SHARED)
        scenes.post(tx, agent="eve")
        meets_limit(tx, scenes.claim(tx, scenes.post(tx))["id"], plus(START, 60))
        pauses.pause(tx, Target("account", "agent:bob"), reason="so", actor="person:ann")

    await board.write(begin)
    assert await board.write(states) == {SHARED: "unproved", "agent:ada": "limited", "agent:bob": "paused"}
    clock.go_on(60)
    await board.write(claim_all)
    assert await board.write(states) == {SHARED: "tried", "agent:ada": "tried", "agent:bob": "paused"}
    await board.write(calls, 2)
    assert sorted(set((await board.write(states)).values())) == ["open", "paused", "tried"]
