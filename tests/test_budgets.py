"""Budgets: what is spent is counted once, told once, and ends or holds what it must, on the hand-wound clock."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest
from pydantic import ValidationError

from blackboard import (
    accounting,
    attempts,
    budgets,
    claims,
    day_budgets,
    explaining,
    move,
    presence,
    reports,
    standing,
    tokens,
    verbs,
)
from blackboard.board import Board, Rows, Tx
from blackboard.budgets import Budget, Spent
from blackboard.days import day_of
from blackboard.forms import HeartbeatReport, StatusReport
from blackboard.gates import Room
from blackboard.policy import Policy
from orchestrator.ends import end, gone
from orchestrator.runners.result import Result
from orchestrator.verdict import Verdict
from tests import scenes
from tests.fake_clock import START, FakeClock

AGAIN = Policy(max_tries=1000, backoff_seconds=0)
ZONES = {"UTC": "2026-02-01T00:00:00.000Z", "Pacific/Auckland": "2026-01-31T11:00:00.000Z"}  # the midnights after START


# --- What a day is ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "zone", "since", "until"),
    [
        (START, "UTC", "2026-01-31T00:00:00.000Z", "2026-02-01T00:00:00.000Z"),
        (START, "Pacific/Auckland", "2026-01-30T11:00:00.000Z", "2026-01-31T11:00:00.000Z"),
        ("2026-03-29T12:00:00.000Z", "Europe/Berlin", "2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z"),  # 23 hours
        ("2026-10-25T12:00:00.000Z", "Europe/Berlin", "2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z"),  # 25 hours
        ("2026-01-31T00:00:00.000Z", "UTC", "2026-01-31T00:00:00.000Z", "2026-02-01T00:00:00.000Z"),
        ("2026-01-30T23:59:59.999Z", "UTC", "2026-01-30T00:00:00.000Z", "2026-01-31T00:00:00.000Z"),
        ("2018-11-04T12:00:00.000Z", "America/Sao_Paulo", "2018-11-04T03:00:00.000Z", "2018-11-05T02:00:00.000Z"),  # no 00:00
    ],
)  # fmt: skip
def test_a_day_goes_from_midnight_to_midnight_of_its_zone(now: str, zone: str, since: str, until: str) -> None:
    assert day_of(now, zone) == (since, until)


# --- What is said of the numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "spent", "share", "told"),
    [
        (Budget(5.0, None), Spent(10, 5.02), 1.004, "5.02 of 5 USD"),
        (Budget(None, 1000), Spent(800, 99.0), 0.8, "800 of 1000 tokens"),
        (Budget(5.0, 1000), Spent(900, 1.0), 0.9, "900 of 1000 tokens"),
        (Budget(0.01, 1000), Spent(5, 0.0042), 0.42, "0.0042 of 0.01 USD"),
    ],
)
def test_a_budget_tells_its_nearer_limit(budget: Budget, spent: Spent, share: float, told: str) -> None:
    assert budget.share(spent) == pytest.approx(share)
    assert budget.told(spent) == told


# --- An attempt and its task ---------------------------------------------------------------------------------------------


def running(tx: Tx, *, usd: float = 0.0, tokens: int = 0, agent: str = "ada", **policy: object) -> sqlite3.Row:
    """A working attempt that has used so much, on a task with this policy."""
    attempt = scenes.work(tx, scenes.post(tx, agent=agent, policy=AGAIN.but(policy)), agent)
    spends(tx, attempt, usd=usd, tokens=tokens)
    return attempts.get(tx, attempt["id"])


def spends(tx: Tx, attempt: sqlite3.Row, *, usd: float = 0.0, tokens: int = 0) -> None:
    attempts.used(
        tx, attempt["id"], {"input_tokens": tokens, "cached_tokens": 10**9, "output_tokens": 0, "cost_usd": usd}
    )


def told(rows: Rows, verb: str) -> list[str]:
    return [row["reason"] for row in rows.all("SELECT reason FROM events WHERE verb = :verb ORDER BY id", verb=verb)]


TODAY = day_of(START, "UTC")


@pytest.mark.parametrize("action", ["warn", "pause", "stop"])
@pytest.mark.parametrize(
    ("policy", "spent", "sentence"),
    [
        ({"attempt_usd": 0.5}, {"usd": 0.6}, "the attempt has spent 0.6 of 0.5 USD"),
        ({"attempt_tokens": 100}, {"tokens": 100}, "the attempt has spent 100 of 100 tokens"),
        ({"task_usd": 0.5}, {"usd": 0.5}, "the attempts of task 1 have spent 0.5 of 0.5 USD"),
        ({"task_tokens": 100}, {"tokens": 101}, "the attempts of task 1 have spent 101 of 100 tokens"),
    ],
)
async def test_a_running_attempt_over_a_budget_is_to_be_ended_unless_it_is_only_told(
    board: Board, action: str, policy: dict[str, Any], spent: dict[str, Any], sentence: str
) -> None:
    def life(tx: Tx) -> None:
        day_budgets.put_agent(tx, "ada", Budget(), action)
        attempt = running(tx, **spent, **policy)
        assert standing.is_watched(tx, attempt["id"])
        look = standing.look(tx, attempt["id"], TODAY)
        assert look.over == (None if action == "warn" else ("over_budget", sentence))
        assert look.untold
        standing.tell(tx, attempt["id"])
        standing.tell(tx, attempt["id"])
        assert told(tx, "budget_spent") == [sentence] and not standing.look(tx, attempt["id"], TODAY).untold

    await board.write(life)


async def test_a_warning_comes_once_before(board: Board) -> None:
    def life(tx: Tx) -> None:
        attempt = running(tx, usd=0.3, attempt_usd=0.5)
        assert standing.look(tx, attempt["id"], TODAY) == (None, False)
        for usd in (0.4, 0.45):
            spends(tx, attempt, usd=usd)
            standing.tell(tx, attempt["id"])
        assert told(tx, "budget_warned") == ["the attempt has spent 0.4 of 0.5 USD"]
        assert standing.look(tx, attempt["id"], TODAY).over is None

    await board.write(life)


async def test_an_attempt_that_no_budget_bounds_is_not_looked_at(board: Board) -> None:
    def life(tx: Tx) -> list[bool]:
        attempt = running(tx, usd=1000.0)
        seen = [standing.is_watched(tx, attempt["id"])]
        for table in ("agents", "whole_board"):
            tx.run(f"UPDATE {table} SET day_tokens = 1")
            seen.append(standing.is_watched(tx, attempt["id"]))
            tx.run(f"UPDATE {table} SET day_tokens = NULL")
        return seen

    assert await board.write(life) == [False, True, True]


async def test_over_its_budget_is_charged_and_not_settled(board: Board) -> None:
    def life(tx: Tx) -> tuple[int, str]:
        attempt = running(tx, usd=1.0, attempt_usd=0.5)
        assert end(tx, attempt["id"], Verdict("over_budget", "the attempt has spent 1 of 0.5 USD"))
        return verbs.tries(tx, attempt["task_id"]), scenes.status_of(tx, attempt["task_id"])

    assert await board.write(life) == (1, "pending")


def held(tx: Tx, task: int) -> tuple[str, str]:
    row = move.get(tx, task)
    return row["status"], row["reason"] or ""


@pytest.mark.parametrize("action", ["warn", "pause", "stop"])
async def test_a_task_that_has_spent_its_budget_asks_a_person_instead_of_a_retry(board: Board, action: str) -> None:
    def life(tx: Tx) -> None:
        day_budgets.put_agent(tx, "ada", Budget(), action)
        task = scenes.post(tx, policy=AGAIN.but({"task_usd": 5.0}))
        for number in range(3):
            attempt = scenes.claim(tx, task)
            spends(tx, attempt, usd=2.0)
            verbs.end_badly(tx, attempt, "crashed", actor="engine:monitor", detail=f"{'x' * (number + 1)}")
            scenes.see_off(tx, task)
        status, reason = held(tx, task)
        if action == "warn":
            assert status == "pending"
            return
        assert status == "blocked" and "its attempts have spent 6 of 5 USD" in reason
        assert [row["kind"] for row in tx.all("SELECT blocked_kind AS kind FROM tasks")] == ["needs_input"]
        assert verbs.unblock(tx, task, actor="person:root", answer="go on") == "blocked"  # nothing was raised
        remedy = reason.partition("(")[2].partition(")")[0]
        assert remedy == f"UPDATE tasks SET task_usd = 11 WHERE id = {task}"
        tx.run(remedy)
        assert verbs.unblock(tx, task, actor="person:root", answer="go on") == "pending"

    await board.write(life)


async def test_what_a_program_tells_at_its_end_holds_the_task_too(board: Board) -> None:
    """It reported failure first; its numbers are known when its process has ended."""

    def life(tx: Tx) -> tuple[str, list[str]]:
        task = scenes.post(tx, policy=AGAIN.but({"task_usd": 5.0}))
        attempt = scenes.work(tx, task)
        verbs.end_badly(tx, attempt, "failed", actor="executor:ada", detail="no")
        assert scenes.status_of(tx, task) == "pending"
        gone(tx, attempt["id"], None, Result(status="ok", cost_usd=6.0))
        return scenes.status_of(tx, task), told(tx, "budget_spent")

    assert await board.write(life) == ("blocked", ["the attempts of task 1 have spent 6 of 5 USD"])


async def test_a_rejection_and_a_review_cost_no_more_than_the_task_may(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = scenes.post(tx, policy=AGAIN.but({"task_usd": 5.0, "review": "agent:eve"}))
        attempt = scenes.work(tx, task)
        spends(tx, attempt, usd=6.0)
        verbs.submit(tx, attempt, actor="executor:ada")
        assert "have spent 6 of 5 USD" in move.get(tx, task)["handed_over"]
        scenes.see_off(tx, task)
        assert verbs.reject(tx, task, actor="person:root", remark="no") == "blocked"

    await board.write(life)


# --- A day of an agent and of all ------------------------------------------------------------------------------------------


def claim_all(tx: Tx, zone: str) -> list[str]:
    """Claim what can be claimed; for which agents."""
    hashes = [tokens.digest(f"{tx.now}/{number}") for number in range(9)]
    made = claims.claim_due(tx, hashes, Room(99, day_of(tx.now, zone)))
    return sorted(attempts.get(tx, each)["agent_id"] for each in made)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("action", ["warn", "pause", "stop"])
@pytest.mark.parametrize("whose", ["agent", "board"])
async def test_a_day_that_is_spent_lasts_until_midnight(
    board: Board, clock: FakeClock, whose: str, action: str, zone: str
) -> None:
    def begin(tx: Tx) -> tuple[int, int]:
        if whose == "agent":
            day_budgets.put_agent(tx, "ada", Budget(5.0), action)
        else:
            day_budgets.put_board(tx, Budget(5.0), action)
        attempt = running(tx, usd=5.02)
        scenes.post(tx)
        scenes.post(tx, agent="bob")
        return attempt["id"], attempt["task_id"]

    midnight, now = ZONES[zone], day_of(START, zone)
    attempt, _ = await board.write(begin)
    who = "agent ada has" if whose == "agent" else "all agents together have"
    sentence = f"{who} spent 5.02 of 5 USD today; the next day begins at {midnight}"

    look = await board.read(standing.look, attempt, now)
    assert look.over == (("stopped", sentence) if action == "stop" else None)
    others = ["bob"] if whose == "agent" else []
    assert await board.write(claim_all, zone) == (["ada", "bob"] if action == "warn" else others)
    told_now = await board.read(told, "budget_spent")
    assert [each.partition("; nothing")[0] for each in told_now] == [sentence]

    if action != "warn":
        why = await board.read(explaining.why, 2, clock.now(), Room(99, now))
        assert not why["claimable"] and sentence in why["sentence"]
        clock.jump_to(midnight[:-5] + ".000Z")
        clock.go_on(-0.001)
        assert await board.write(claim_all, zone) == []
        clock.go_on(0.001)
        assert await board.write(claim_all, zone) == (["ada"] if whose == "agent" else ["ada", "bob"])
        assert await board.read(told, "budget_spent") == told_now, "a day is told once"


async def test_a_day_is_told_once_at_each_mark_and_the_next_day_again(board: Board, clock: FakeClock) -> None:
    def spend(tx: Tx, usd: float) -> None:
        running(tx, usd=usd)
        claim_all(tx, "UTC")
        claim_all(tx, "UTC")

    await board.write(day_budgets.put_agent, "ada", Budget(5.0), "pause")
    for usd in (3.0, 1.0, 0.5, 1.0, 1.0):
        await board.write(spend, usd)
    assert len(await board.read(told, "budget_warned")) == len(await board.read(told, "budget_spent")) == 1
    clock.go_on(86400)
    await board.write(spend, 4.5)
    assert len(await board.read(told, "budget_warned")) == 2
    await board.write(day_budgets.put_agent, "ada", Budget(5.1), "pause")  # another budget is told anew
    await board.write(spend, 0.0)
    assert len(await board.read(told, "budget_warned")) == 3


async def test_saying_the_same_budget_again_changes_nothing(board: Board) -> None:
    def life(tx: Tx) -> bool:
        day_budgets.put_agent(tx, "ada", Budget(5.0, 7), "stop")
        day_budgets.put_board(tx, Budget(50.0), "warn")
        before = scenes.everything(tx)
        day_budgets.put_agent(tx, "ada", Budget(5.0, 7), "stop")
        day_budgets.put_board(tx, Budget(50.0), "warn")
        return scenes.everything(tx) == before

    assert await board.write(life)


class Listening:
    """Rows that remember what they were asked."""

    def __init__(self, rows: Rows) -> None:
        self.rows, self.asked = rows, list[str]()

    def one(self, sql: str, **params: object) -> sqlite3.Row | None:
        self.asked.append(sql)
        return self.rows.one(sql, **params)

    def all(self, sql: str, **params: object) -> list[sqlite3.Row]:
        self.asked.append(sql)
        return self.rows.all(sql, **params)


async def test_sums_are_asked_only_where_a_budget_is_set(board: Board) -> None:
    def asked(tx: Tx) -> bool:
        rows = Listening(tx)
        claims.agent_facts(rows, START, Room(9, TODAY))
        return day_budgets.SPENT_ON in rows.asked

    assert not await board.write(asked)
    await board.write(day_budgets.put_board, Budget(None, 7), "pause")
    assert await board.write(asked)


# --- Where the numbers come from ------------------------------------------------------------------------------------------


def used(tx: Tx, attempt: int) -> tuple[object, ...]:
    row = attempts.get(tx, attempt)
    return tuple(row[name] for name in ("input_tokens", "cached_tokens", "output_tokens", "cost_usd"))


def call(tx: Tx, attempt: sqlite3.Row, report: HeartbeatReport | StatusReport) -> object:
    says = reports.heartbeat if isinstance(report, HeartbeatReport) else reports.status
    token = tokens.digest(scenes.token_of(attempt["task_id"], attempt["number"]))
    return says(tx, token, scenes.PROJECT, attempt["task_id"], report)  # type: ignore[operator]


async def test_a_heartbeat_and_a_status_tell_what_was_used_and_it_never_goes_down(board: Board) -> None:
    def life(tx: Tx) -> None:
        attempt = scenes.work(tx, scenes.post(tx))
        call(tx, attempt, HeartbeatReport.model_validate({"usage": {"input_tokens": 10, "cost_usd": 0.5}}))
        assert used(tx, attempt["id"]) == (10, None, None, 0.5)
        call(
            tx,
            attempt,
            HeartbeatReport.model_validate(
                {"usage": {"input_tokens": 7, "output_tokens": 3, "cached_tokens": 0, "cost_usd": 0.1}}
            ),
        )
        assert used(tx, attempt["id"]) == (10, 0, 3, 0.5)
        call(tx, attempt, StatusReport.model_validate({"status": "review", "usage": {"cost_usd": 0.75}}))
        assert used(tx, attempt["id"]) == (10, 0, 3, 0.75)
        attempts.used(
            tx, attempt["id"], dict.fromkeys(("input_tokens", "cached_tokens", "output_tokens"), 99) | {"cost_usd": 9.0}
        )
        assert used(tx, attempt["id"]) == (10, 0, 3, 0.75), "it has ended"

    await board.write(life)


@pytest.mark.parametrize(
    "usage",
    [{"input_tokens": -1}, {"input_tokens": 0.5}, {"output_tokens": "many"}, {"cost_usd": -0.01}, {"cost_usd": float("nan")},
     {"cost_usd": float("inf")}, {"cached_tokens": 2**60}, {"dollars": 1}, []],
)  # fmt: skip
def test_numbers_that_cannot_be_are_refused(usage: object) -> None:
    for report in ({"usage": usage}, {"status": "working", "usage": usage}):
        with pytest.raises(ValidationError):
            (StatusReport if "status" in report else HeartbeatReport).model_validate(report)


async def test_what_the_program_says_at_its_end_wins_where_it_says_something(board: Board) -> None:
    def life(tx: Tx) -> tuple[object, ...]:
        attempt = running(tx, usd=0.9, tokens=900)
        end(tx, attempt["id"], Verdict("crashed", "x"), Result(status="error", input_tokens=500, cost_usd=0.4))
        gone(tx, attempt["id"], None, None)
        return used(tx, attempt["id"])

    assert await board.write(life) == (500, 10**9, 0, 0.4)


# --- Presence and the account of a day ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "word", "because"),
    [
        ("SELECT 1", "idle", None),
        ("UPDATE agents SET enabled = 0", "offline", "agent ada is disabled"),
        ("UPDATE agents SET paused_at = 'noon', pause_reason = 'lunch'", "offline", "lunch"),
        ("UPDATE whole_board SET paused_at = 'noon', pause_reason = 'fire'", "offline", "fire"),
        ("UPDATE agents SET day_usd = 1", "exhausted", "agent ada has spent 5 of 1 USD today"),
        ("UPDATE agents SET day_usd = 1, budget_action = 'warn'", "idle", None),
        ("UPDATE whole_board SET day_usd = 1", "exhausted", "all agents together have spent 5 of 1 USD today"),
        (
            "UPDATE agents SET account = 'a'",
            "exhausted",
            "account a is limited until 2026-01-31T10:00:00.000Z: no more",
        ),
        ("UPDATE agents SET max_live = 0", "busy", "agent ada is busy"),
        ("UPDATE agents SET max_live = 0, day_usd = 1", "exhausted", "spent"),
        ("UPDATE agents SET enabled = 0, day_usd = 1", "offline", "disabled"),
    ],
)
async def test_presence_is_derived(board: Board, statement: str, word: str, because: str | None) -> None:
    def life(tx: Tx) -> presence.Presence:
        scenes.post_at(tx, "done")
        tx.run("UPDATE attempts SET cost_usd = 5")
        tx.run(
            "INSERT INTO accounts (id, limited_at, limited_until, limit_reason) VALUES ('a', :now, '2026-01-31T10:00:00.000Z', 'no more')",
            now=tx.now,
        )
        tx.run(statement)
        return presence.of_all(tx, tx.now, Room(9, TODAY))["ada"]

    found = await board.write(life)
    assert found.word == word
    assert found.because is None if because is None else because in str(found.because)


async def test_a_limit_that_is_over_exhausts_nobody(board: Board, clock: FakeClock) -> None:
    def limited(tx: Tx) -> None:
        tx.run(
            "INSERT INTO accounts (id, limited_at, limited_until) VALUES ('a', '2026-01-31T09:00:00.000Z', '2026-01-31T10:00:00.000Z')"
        )
        tx.run("UPDATE agents SET account = 'a'")

    await board.write(limited)
    assert (await board.read(presence.of_all, START, Room(9, TODAY)))["ada"].word == "exhausted"
    assert (await board.read(presence.of_all, clock.go_on(3600), Room(9, TODAY)))["ada"].word == "idle"


async def test_the_account_of_a_day_adds_up(board: Board) -> None:
    def life(tx: Tx) -> dict[str, Any]:
        day_budgets.put_agent(tx, "ada", Budget(4.0), "pause")
        for agent, usd in (("ada", 1.0), ("ada", 2.0), ("bob", 4.0)):
            running(tx, usd=usd, tokens=10, agent=agent)
        return accounting.spending(tx, TODAY)

    found = await board.write(life)
    assert [(row["agent"], row["attempts"], row["cost_usd"], row["share"]) for row in found["agents"]] == [
        ("ada", 2, 3.0, 0.75), ("bob", 1, 4.0, None), ("eve", 0, 0.0, None)
    ]  # fmt: skip
    assert (found["total"]["attempts"], found["total"]["tokens"], found["total"]["cost_usd"]) == (3, 30, 7.0)
    tomorrow = day_of("2026-02-01T09:00:00.000Z", "UTC")
    assert (await board.read(accounting.spending, tomorrow))["total"]["attempts"] == 0
    [row] = await board.read(accounting.bounded, TODAY)
    assert (row["agent"], row["of_budget"]) == ("ada", "3 of 4 USD")


async def test_what_is_spent_later_counts_to_no_day_before(board: Board, clock: FakeClock) -> None:
    await board.write(day_budgets.put_board, Budget(9.0), "pause")
    await board.write(running, usd=1.0)
    clock.go_on(86400)
    await board.write(running, usd=2.0)
    assert (await board.read(day_budgets.today, TODAY)).total.usd == 1.0
    assert (await board.read(day_budgets.today, day_of(clock.now(), "UTC"))).total.usd == 2.0


async def test_a_task_tells_what_it_has_spent(board: Board) -> None:
    def life(tx: Tx) -> Spent:
        task = scenes.post(tx, policy=AGAIN)
        for usd in (1.0, 2.5):
            attempt = scenes.claim(tx, task)
            spends(tx, attempt, usd=usd, tokens=7)
            verbs.end_badly(tx, attempt, "crashed", actor="engine:monitor")
            scenes.see_off(tx, task)
        return budgets.spent_on_task(tx, task)

    assert await board.write(life) == Spent(14, 3.5)


async def test_what_was_spent_reads_the_days_attempts_once(board: Board) -> None:
    given = {"since": TODAY.since, "until": TODAY.until}
    plan = [row["detail"] for row in await board.all(f"EXPLAIN QUERY PLAN {accounting.SPENDING}", **given)]
    read = [step for step in plan if "attempts_by_claim" in step]
    assert len(read) == 1 and plan.index(read[0]) < plan.index(next(step for step in plan if step.startswith("SCAN g")))


async def test_an_absurd_number_of_tokens_stops_no_claim(board: Board) -> None:
    def life(tx: Tx) -> None:
        day_budgets.put_agent(tx, "ada", Budget(None, 1000), "pause")
        verbs.end_badly(tx, running(tx), "failed", actor="executor:ada", detail="no")
        scenes.see_off(tx, 1)
        scenes.claim(tx, 1)
        tx.run("UPDATE attempts SET input_tokens = :most, cached_tokens = :most", most=2**62)
        scenes.post(tx, agent="bob")
        assert claims.claim_due(tx, [b"x" * 32], Room(9, TODAY))
        assert accounting.spending(tx, TODAY)["total"]["input_tokens"] >= 2**62
        assert budgets.spent_on_task(tx, 1).tokens >= 2**62

    await board.write(life)
