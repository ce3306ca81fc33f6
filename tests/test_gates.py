"""The gates: `why` passes every one of them exactly when the claim takes the task, and each says what it waits for."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import pytest

from blackboard import (
    accounts,
    agents,
    attempts,
    claims,
    explaining,
    heartbeat_runs,
    move,
    pauses,
    presence_reports,
    proofs,
    reviews,
    slots,
    sources,
    tokens,
    verbs,
)
from blackboard.board import Board, Tx
from blackboard.checks import Check
from blackboard.clock import plus
from blackboard.days import day_of
from blackboard.gates import AGENT_GATES, AUTHOR, PROOF_GATES, REVIEW_GATES, TASK_GATES, Memory, Room
from blackboard.pauses import EVERYTHING, Target
from blackboard.policy import Policies, Policy
from tests import scenes
from tests.fake_clock import START
from tests.scenes import tried

HOUR = 3600.0


def hashes(many: int) -> list[bytes]:
    return [tokens.digest(f"bbt_{number}") for number in range(many)]


def fresh(tx: Tx) -> list[bytes]:
    """One hash that no attempt has."""
    return [tokens.digest(f"bbt_{len(tx.all('SELECT 1 FROM attempts'))}")]


def room(most: int, memory: Memory | None = None) -> Room:
    """Places for so many attempts, on the day on which every clock here starts."""
    return Room(most, day_of(START, "UTC"), memory)


def later(tx: Tx, seconds: float) -> Tx:
    """The same transaction, so much later."""
    return Tx(tx._connection, plus(tx.now, seconds), tx.boot + seconds)


# --- One gate at a time -----------------------------------------------------------------------------------------------


class Gate(NamedTuple):
    """`closes` makes the only task of the board wait for this gate alone; `opens` opens it. `most`: places for all."""

    name: str
    closes: Callable[[Tx], int]
    opens: Callable[[Tx], Tx]
    says: str
    most: tuple[int, int] = (99, 99)
    memory: tuple[Memory | None, Memory | None] = (None, None)


def sql(*statements: str) -> Callable[[Tx], Tx]:
    def run(tx: Tx) -> Tx:
        for statement in statements:
            tx.run(statement)
        return tx

    return run


def task_and(*statements: str) -> Callable[[Tx], int]:
    def make(tx: Tx) -> int:
        task = scenes.post(tx)
        sql(*statements)(tx)
        return task

    return make


def task_with_need(tx: Tx) -> int:
    return scenes.post(tx, needs=[scenes.post(tx, agent="bob", due_at="2999-01-01T00:00:00.000Z")])


def task_of_an_old_schedule(tx: Tx) -> int:
    schedule = slots.Schedule("backend:hub", [("ada", {"id": 1, "scheduled_at": "08:00"})], scenes.PROJECT)
    sources.answered(tx, "backend:hub", stale_after=0)
    [task] = slots.take_in(tx, schedule, Policies()).tasks
    sources.failed(tx, "backend:hub", "the hub is down")
    return task


def second_of_a_series(tx: Tx) -> int:
    first = scenes.post(tx, series="standup", due_at=plus(tx.now, -HOUR))
    tx.run("UPDATE agents SET max_live = 2 WHERE id = 'ada'")
    scenes.work(tx, first)
    return scenes.post(tx, series="standup")


def heartbeat_of_a_busy_agent(tx: Tx) -> int:
    scenes.post_at(tx, "working")
    return scenes.post(tx, series=heartbeat_runs.series("ada"))


def task_not_gone(tx: Tx) -> int:
    task = scenes.post(tx, policy=Policy(backoff_seconds=0))
    verbs.end_badly(tx, scenes.work(tx, task), "crashed", actor="engine:monitor")
    return task


def checked(tx: Tx) -> int:
    """A task in review whose check is being run."""
    task = scenes.post(tx, policy=Policy(review="agent:eve"), checks=[Check(run=["make"])])
    scenes.submit(tx, task)
    assert proofs.begin(tx, 1)
    return task


def task_in_check(tx: Tx) -> int:
    task = checked(tx)
    verbs.reject(tx, task, actor="person:root", remark="again")
    return task


ENDS = "UPDATE checks SET result = 'interrupted', ended_at = started_at WHERE ended_at IS NULL"


def task_of_a_busy_agent(tx: Tx) -> int:
    tx.run("UPDATE agents SET max_live = 1")
    scenes.post_at(tx, "working")
    return scenes.post(tx)


def task_of_who_has_spent(*budget: str) -> Callable[[Tx], int]:
    """A task of an agent whose first attempt of the day cost 5.02 USD."""

    def make(tx: Tx) -> int:
        scenes.post_at(tx, "done")
        return task_and("UPDATE attempts SET cost_usd = 5.02", *budget)(tx)

    return make


def task_of_a_tried_account(tx: Tx) -> int:
    """The first of two tasks goes first; the second, of another agent, waits for its sign of life."""
    accounts.put_account(tx, "shared", 900)
    for agent in ("ada", "bob"):
        agents.put_agent(tx, agent, max_live=9, roles=["smith"], account="shared")
    scenes.claim(tx, scenes.post(tx, agent="bob"), "bob")
    return scenes.post(tx)


def first_call(tx: Tx) -> Tx:
    attempts.seen(tx, attempts.get(tx, 1))
    return tx


LIMITED = f"UPDATE accounts SET limited_at = '{START}', limited_until = '{plus(START, HOUR)}', limit_reason = '429' WHERE id = 'agent:ada'"
REVIEW_LIMITED = LIMITED.replace("ada", "eve")
GIB = 2**30
ROOMY = Memory(most=8 * GIB, available=99 * GIB, reserve=GIB // 2)
PRESSED = Memory(most=8 * GIB, available=2 * GIB, reserve=GIB // 2)

SAID_BUSY = f"""INSERT INTO presence_reports (agent_id, source, status, actor, reason, reported_at, expires_at)
  VALUES ('ada', 'agent', 'busy', 'agent:ada', 'at lunch', '{START}', '{plus(START, HOUR)}')"""

GATES = [
    Gate("pending", lambda tx: scenes.post_at(tx, "blocked"), sql("UPDATE tasks SET status = 'pending'"), "it is blocked, not pending"),
    Gate("due", lambda tx: scenes.post(tx, due_at=plus(START, HOUR)), lambda tx: later(tx, HOUR), "not due before 2026-01-31T10:00:00.000Z"),
    Gate("not_before", lambda tx: scenes.post(tx, not_before=plus(START, HOUR)), lambda tx: later(tx, HOUR), "waits until 2026-01-31T10:00:00.000Z"),
    Gate("needs", task_with_need, sql("DELETE FROM dependencies"), "1 of the tasks it needs are not done"),
    Gate("project", task_and("UPDATE projects SET paused_at = created_at"), sql("UPDATE projects SET paused_at = NULL"), "its project forge is paused since 20"),
    Gate("source", task_of_an_old_schedule, sql("UPDATE sources SET stale_at = NULL"), "backend:hub gave its last good answer 2026-01-31T09:00:00.000Z (the hub is down)"),
    Gate("begin_by", task_and(f"UPDATE tasks SET begin_by = '{START}'"), sql("UPDATE tasks SET begin_by = NULL"), f"it was to begin by {START}"),
    Gate("end_by", task_and(f"UPDATE tasks SET end_by = '{START}'"), sql("UPDATE tasks SET end_by = NULL"), f"it was to be finished by {START}"),
    Gate("overlap", second_of_a_series, sql("UPDATE tasks SET status = 'cancelled' WHERE id = 1"), "the one before it of the same slot is not finished"),
    Gate("heartbeat", heartbeat_of_a_busy_agent, sql("UPDATE tasks SET status = 'cancelled' WHERE id = 1", "UPDATE attempts SET gone_at = ended_at"), "waits until agent ada is at rest"),
    Gate("former_attempt", task_not_gone, sql("UPDATE attempts SET gone_at = ended_at"), "not proved gone"),
    Gate("check_running", task_in_check, sql(ENDS), "a check of it is being run"),
    Gate("board_paused", task_and("UPDATE whole_board SET paused_at = 'noon', pause_reason = 'fire'"), sql("UPDATE whole_board SET paused_at = NULL"), "everything is paused since noon: fire"),
    Gate("enabled", task_and("UPDATE agents SET enabled = 0"), sql("UPDATE agents SET enabled = 1"), "agent ada is disabled"),
    Gate("paused", task_and("UPDATE agents SET paused_at = 'noon', pause_reason = 'lunch'"), sql("UPDATE agents SET paused_at = NULL"), "ada is paused since noon: lunch"),
    Gate("account", task_and(LIMITED), lambda tx: later(tx, HOUR), "account agent:ada is limited until 2026-01-31T10:00:00.000Z: 429"),
    Gate("account", task_and("UPDATE accounts SET paused_at = 'noon', pause_reason = 'no key' WHERE id = 'agent:ada'"), sql("UPDATE accounts SET paused_at = NULL"), "account agent:ada is paused since noon: no key"),
    Gate("account", task_of_a_tried_account, first_call, "account shared is tried by attempt 1 first"),
    Gate("budget", task_of_who_has_spent("UPDATE agents SET day_usd = 5 WHERE id = 'ada'"), sql("UPDATE agents SET day_usd = 6 WHERE id = 'ada'"),
         "agent ada has spent 5.02 of 5 USD today; the next day begins at 2026-02-01T00:00:00.000Z"),
    Gate("presence", task_and(SAID_BUSY), lambda tx: later(tx, HOUR),
         "agent ada says that it is busy, until 2026-01-31T10:00:00.000Z: at lunch; it gets work when idle or on_call"),
    Gate("presence", task_and(SAID_BUSY), sql("UPDATE agents SET claim_when = 'idle busy'"), "it gets work when idle or on_call"),
    Gate("presence", task_and(SAID_BUSY.replace("'agent'", "'presence:hub'").replace("busy", "unknown")), sql("DELETE FROM presence_reports"),
         "presence:hub says of agent ada that it is unknown"),
    Gate("free", task_of_a_busy_agent, sql("UPDATE agents SET max_live = 2"), "ada is busy: 1 of 1 attempts live"),
    Gate("room", task_of_a_busy_agent, sql("UPDATE agents SET max_live = 2"), "all 1 places are taken", (1, 2)),
    Gate("memory", task_and("UPDATE agents SET memory_bytes = 2 << 30"), sql(), "ada needs 2 GiB of memory", memory=(PRESSED, ROOMY)),
]  # fmt: skip


def review_of(agent: str = "agent:eve", **policy: object) -> Callable[[Tx], int]:
    """A task in review whose maker is gone."""

    def make(tx: Tx) -> int:
        task = scenes.post(tx, policy=Policy(backoff_seconds=3600).but({"review": agent, **policy}))
        scenes.submit(tx, task)
        return task

    return make


def and_then(make: Callable[[Tx], int], *statements: str) -> Callable[[Tx], int]:
    def run(tx: Tx) -> int:
        task = make(tx)
        sql(*statements)(tx)
        return task

    return run


def review_not_gone(tx: Tx) -> int:
    task = scenes.post(tx, policy=Policy(review="agent:eve"))
    verbs.submit(tx, scenes.work(tx, task), actor="executor:ada")
    return task


def review_of_a_busy_agent(tx: Tx) -> int:
    agents.put_agent(tx, "eve", max_live=1)
    scenes.work(tx, scenes.post(tx, agent="eve"), "eve")
    return review_of()(tx)


WAITING = "UPDATE tasks SET not_before = '2026-01-31T10:00:00.000Z'"
REVIEWS = [
    Gate("reviewer", review_of("human"), sql("UPDATE tasks SET reviewer = 'agent:eve'"), "a person"),
    Gate("handed_over", and_then(review_of(), "UPDATE tasks SET handed_over = 'no eyes'"), sql("UPDATE tasks SET handed_over = NULL"), "no eyes"),
    Gate("not_before", and_then(review_of(), WAITING), lambda tx: later(tx, HOUR), "waits until 2026-01-31T10:00:00.000Z before the next review"),
    Gate("project", and_then(review_of(), "UPDATE projects SET paused_at = created_at"), sql("UPDATE projects SET paused_at = NULL"), "its project forge is paused"),
    Gate("former_attempt", review_not_gone, sql("UPDATE attempts SET gone_at = ended_at"), "not proved gone"),
    Gate("paused", and_then(review_of(), "UPDATE agents SET paused_at = 'noon', pause_reason = 'lunch'"), sql("UPDATE agents SET paused_at = NULL"), "eve is paused since noon: lunch"),
    Gate("account", and_then(review_of(), REVIEW_LIMITED), lambda tx: later(tx, HOUR), "account agent:eve is limited until 2026-01-31T10:00:00.000Z: 429"),
    Gate("free", review_of_a_busy_agent, sql("UPDATE agents SET max_live = 2"), "eve is busy: 1 of 1 attempts live"),
    Gate("room", review_of_a_busy_agent, sql("UPDATE agents SET max_live = 2"), "all 1 places are taken", (1, 2)),
    Gate("memory", and_then(review_of(), "UPDATE agents SET memory_bytes = 2 << 30"), sql(), "eve needs 2 GiB of memory", memory=(PRESSED, ROOMY)),
    Gate("author", and_then(review_of("role:smith"), "UPDATE agents SET enabled = 0 WHERE id = 'bob'", "INSERT INTO agent_roles VALUES ('eve', 'cook')"),
         sql("UPDATE tasks SET reviewer = 'role:cook'"), "agent ada has worked on it"),
]  # fmt: skip


@pytest.mark.parametrize("gate", REVIEWS, ids=[gate.name for gate in REVIEWS])
async def test_a_closed_gate_holds_a_review_and_says_so(board: Board, gate: Gate) -> None:
    def life(tx: Tx) -> None:
        task = gate.closes(tx)
        if gate.name == "room":
            tx.run("UPDATE agents SET max_live = 2")
        told = explaining.why(tx, task, tx.now, room(gate.most[0], gate.memory[0]))
        assert closed(told) == ({gate.name, "enabled"} if gate.name == "author" else {gate.name})
        assert gate.says in told["sentence"] and not told["claimable"]
        assert f"orchestrator approve {task}" in told["sentence"]
        if gate.name != "author":  # that one is handed over to a person
            assert claims.claim_due(tx, hashes(9), room(gate.most[0], gate.memory[0])) == []

        tx = gate.opens(tx)
        told = explaining.why(tx, task, tx.now, room(gate.most[1], gate.memory[1]))
        assert closed(told) == set() and told["claimable"]
        assert "passes every gate" in told["sentence"]
        [attempt] = claims.claim_due(tx, hashes(9), room(gate.most[1], gate.memory[1]))
        assert (scenes.latest(tx, task)["id"], scenes.latest(tx, task)["role"]) == (attempt, "reviewer")

    assert await tried(board, life) is None


def closed(told: dict[str, object]) -> set[str]:
    """The gates that do not pass, of the task and of every agent."""
    of_task = [gate["gate"] for gate in told["gates"] if not gate["passed"]]  # type: ignore[attr-defined]
    of_agents = [gate["gate"] for agent in told["agents"] for gate in agent["gates"] if not gate["passed"]]  # type: ignore[attr-defined]
    return {*of_task, *of_agents}


def sentences(told: dict[str, object]) -> list[str]:
    """What the gates that do not pass say."""
    each = [*told["gates"], *(gate for agent in told["agents"] for gate in agent["gates"])]  # type: ignore[misc, attr-defined]
    return [gate["sentence"] for gate in each if not gate["passed"]]


def test_every_gate_is_closed_here() -> None:
    assert list(dict.fromkeys(gate.name for gate in GATES)) == [gate.name for gate in (*TASK_GATES, *AGENT_GATES)]


@pytest.mark.parametrize("gate", GATES, ids=[gate.name for gate in GATES])
async def test_a_closed_gate_holds_its_task_and_says_so(board: Board, gate: Gate) -> None:
    def life(tx: Tx) -> None:
        task = gate.closes(tx)
        if gate.name == "room":
            tx.run("UPDATE agents SET max_live = 2")
        told = explaining.why(tx, task, tx.now, room(gate.most[0], gate.memory[0]))
        assert closed(told) == {gate.name}
        assert gate.says in " ".join(sentences(told)) and not told["claimable"]
        assert gate.name == "pending" or gate.says in told["sentence"]
        assert claims.claim_due(tx, hashes(9), room(gate.most[0], gate.memory[0])) == []

        tx = gate.opens(tx)
        told = explaining.why(tx, task, tx.now, room(gate.most[1], gate.memory[1]))
        assert closed(told) == set() and told["claimable"]
        assert "passes every gate" in told["sentence"]
        [attempt] = claims.claim_due(tx, hashes(9), room(gate.most[1], gate.memory[1]))
        assert scenes.latest(tx, task)["id"] == attempt

    assert await tried(board, life) is None


async def test_a_role_nobody_has_is_told(board: Board) -> None:
    def life(tx: Tx) -> object:
        task = scenes.post(tx, role="smith")
        agents.put_agent(tx, "ada", max_live=9)
        agents.put_agent(tx, "bob", max_live=9)
        told = explaining.why(tx, task, tx.now, room(9))
        return told["agents"], told["claimable"], told["sentence"]

    assert await board.write(life) == ([], False, "task 1 is pending: no agent has the role smith")


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("claimed", "agent ada is on attempt 1"), ("working", "agent ada is on attempt 1"), ("review", "orchestrator approve 1"),
        ("blocked", "(needs_input): how long?. To go on: orchestrator answer 1"), ("done", "is done since 2026-01-31T09:00:00.000Z"),
        ("failed", "(failed: broke)"), ("cancelled", "is cancelled since"),
    ],
)  # fmt: skip
async def test_why_says_what_a_person_can_do(board: Board, status: str, words: str) -> None:
    def life(tx: Tx) -> str:
        return str(explaining.why(tx, scenes.post_at(tx, status), tx.now, room(9))["sentence"])

    assert words in await board.write(life)


# --- Before the checks ----------------------------------------------------------------------------------------------------


def to_check(tx: Tx) -> int:
    task = scenes.post(tx, policy=Policy(review="human"), checks=[Check(run=["make"]), Check(path="x")])
    scenes.submit(tx, task)
    return task


def to_check_not_gone(tx: Tx) -> int:
    task = scenes.post(tx, policy=Policy(review="human"), checks=[Check(run=["make"]), Check(path="x")])
    verbs.submit(tx, scenes.work(tx, task), actor="executor:ada")
    return task


CHECKS = [
    Gate("project", and_then(to_check, "UPDATE projects SET paused_at = created_at"), sql("UPDATE projects SET paused_at = NULL"), "its project forge is paused"),
    Gate("board_paused", and_then(to_check, "UPDATE whole_board SET paused_at = 'noon'"), sql("UPDATE whole_board SET paused_at = NULL"), "everything is paused"),
    Gate("former_attempt", to_check_not_gone, sql("UPDATE attempts SET gone_at = ended_at"), "not proved gone"),
]  # fmt: skip


@pytest.mark.parametrize("gate", CHECKS, ids=[gate.name for gate in CHECKS])
async def test_a_closed_gate_holds_the_checks_and_says_so(board: Board, gate: Gate) -> None:
    def life(tx: Tx) -> None:
        task = gate.closes(tx)
        told = explaining.why(tx, task, tx.now, Room(9))
        assert closed(told) == {gate.name} and not told["claimable"]
        assert "its 2 checks are run when this is over: " in told["sentence"] and gate.says in told["sentence"]
        assert proofs.begin(tx, 9) == []

        tx = gate.opens(tx)
        told = explaining.why(tx, task, tx.now, Room(9))
        assert closed(told) == set() and "its 2 checks are run next" in told["sentence"] and not told["claimable"]
        [check] = proofs.begin(tx, 9)
        told = explaining.why(tx, task, tx.now, Room(9))
        assert closed(told) == {"check_running"} and "its 2 checks are being run (now 1 of 2)" in told["sentence"]
        assert f"orchestrator approve {task}" in told["sentence"]
        proofs.finish(tx, check, proofs.Found("failed", 2, None, "no rule"))
        assert "(check 'make' failed: exit code 2)" in explaining.why(tx, task, tx.now, Room(9))["sentence"]

    assert await tried(board, life) is None


async def test_a_review_that_nobody_can_make_waits_for_its_checks_all_the_same(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = scenes.post(tx, policy=Policy(review="role:nobody"), checks=[Check(run=["make"])])
        scenes.submit(tx, task)
        assert reviews.hand_over_hopeless(tx) == 0
        proofs.finish(tx, proofs.begin(tx, 1)[0], proofs.Found("passed", 0))
        assert "no agent has the role nobody" in str(move.get(tx, task)["handed_over"])

    assert await tried(board, life) is None


# --- All of them, at random ----------------------------------------------------------------------------------------------

ROLES = ("smith", "baker")
NAMES = tuple("abcdef")


def populate(tx: Tx, chance: random.Random) -> None:
    """Projects, agents, tasks in every state, some with an attempt that is not proved gone."""
    for project in ("p", "q"):
        agents.put_project(tx, project)
        if chance.random() < 0.25:
            tx.run("UPDATE projects SET paused_at = :now WHERE id = :id", id=project, now=tx.now)
    for name in NAMES:
        agents.put_agent(tx, name, max_live=9, roles=[role for role in ROLES if chance.random() < 0.5])
    shared = random_accounts(tx, chance)
    say_something(tx, chance)
    for role in ROLES:
        tx.run("INSERT OR IGNORE INTO agent_roles VALUES ('a', :role)", role=role)
    tasks: list[int] = []
    for _ in range(chance.randrange(5, 30)):
        tasks.append(random_task(tx, chance, tasks))
    if chance.random() < 0.05:
        pauses.pause(tx, EVERYTHING, reason="so", actor="person:root")
    tx.run("UPDATE attempts SET cost_usd = id % 4")
    for name in NAMES:
        if chance.random() < 0.3:
            tx.run("UPDATE agents SET day_usd = :usd WHERE id = :id", id=name, usd=chance.randrange(1, 6))
        if chance.random() < 0.2:
            pauses.pause(tx, Target("agent", name), reason="so", actor="person:root")
        agents.put_agent(tx, name, max_live=chance.randrange(4), enabled=chance.random() < 0.8, account=shared[name],
                         memory_bytes=chance.choice([0, 0, GIB, 3 * GIB]),
                         roles=[row["role"] for row in tx.all(claims.ROLES, agent=name)])  # fmt: skip


def random_accounts(tx: Tx, chance: random.Random) -> dict[str, str | None]:
    """Accounts that some share: cold or warm, limited, just over, paused; which each agent will draw on."""
    for account in ("x", "y"):
        accounts.put_account(tx, account, chance.choice([0, 0.001, 30, 900]))
        if chance.random() < 0.5:
            tx.run("UPDATE accounts SET limited_at = :now, limited_until = :until WHERE id = :id", id=account,
                   now=tx.now, until=plus(tx.now, chance.choice([-1, 0, 0.001, 30])))  # fmt: skip
        elif chance.random() < 0.5:
            tx.run("UPDATE accounts SET proved_at = :now WHERE id = :id", id=account, now=plus(tx.now, -20))
        if chance.random() < 0.2:
            pauses.pause(tx, Target("account", account), reason="so", actor="person:root")
    shared = {name: chance.choice([None, "x", "y"]) for name in NAMES}
    for name, account in shared.items():
        if chance.random() < 0.8:
            tx.run("UPDATE agents SET account = coalesce(:account, account) WHERE id = :id", id=name, account=account)
    return shared


def say_something(tx: Tx, chance: random.Random) -> None:
    """Some agents say where they stand, and somebody says something of some of them; some of it has expired."""
    for name in NAMES:
        for source in ("agent", "presence:hub"):
            if chance.random() < 0.2:
                word = chance.choice(presence_reports.WORDS)
                presence_reports.put(tx, name, source, word, actor="agent:x", good_for=chance.choice([-1, 0, 30]))


def who_reviews(chance: random.Random) -> str:
    """Nobody, a person, somebody, a role, or one that is not there."""
    return chance.choice(
        ["auto", "human", *(f"agent:{name}" for name in (*NAMES, "z")), *(f"role:{role}" for role in ROLES)]
    )


def some_slot(tx: Tx, chance: random.Random) -> dict[str, object]:
    """Nothing, or an occurrence of a slot whose schedule is good, or too old."""
    if chance.random() < 0.7:
        return {}
    name = chance.choice(["backend:fresh", "backend:old"])
    sources.answered(tx, name, stale_after=0 if name == "backend:old" else 3600)
    taken = tx.insert(
        "INSERT INTO slots (source, agent_id, project_id, uid, scheduled_at) VALUES (:name, 'a', 'p', :uid, 'noon')",
        name=name, uid=f"id:{chance.randrange(2**40)}",
    )  # fmt: skip
    promise = {name: chance.choice([None, plus(tx.now, -1), plus(tx.now, 20)]) for name in ("begin_by", "end_by")}
    return {"slot_id": taken, "occurrence": "once", "series": chance.choice(["daily", "weekly", None]), **promise}


def random_task(tx: Tx, chance: random.Random, others: list[int]) -> int:
    given: dict[str, object] = (
        {"role": chance.choice(ROLES)} if chance.random() < 0.4 else {"agent": chance.choice(NAMES)}
    )
    slot = some_slot(tx, chance)
    if not slot and "agent" in given and chance.random() < 0.2:
        slot = {"series": heartbeat_runs.series(str(given["agent"]))}
    task = scenes.post(
        tx, project=chance.choice("pq"), priority=chance.randrange(3), due_at=plus(tx.now, chance.choice([-60, -30, -30, 0, 0.001, 30])),
        not_before=chance.choice([None, None, plus(tx.now, -1), plus(tx.now, 30)]), policy=Policy(backoff_seconds=chance.choice([0, 60]), review=who_reviews(chance)),
        needs=chance.sample(others, min(len(others), chance.choice([0, 0, 0, 1]))), **given, **slot,
        checks=[Check(run=["make"])] if chance.random() < 0.2 else [],
    )  # fmt: skip
    row = tx.one("SELECT status, deps_open, coalesce(agent_id, 'a') AS whose FROM tasks WHERE id = :id", id=task)
    assert row is not None
    if row["deps_open"] == 0 and row["status"] == "pending" and chance.random() < 0.5:
        begin(tx, chance, task, row["whose"])
    return task


def begin(tx: Tx, chance: random.Random, task: int, agent: str) -> None:
    attempt = scenes.work(tx, task, agent)
    end = chance.choice(["working", "done", "review", "review", "review", "blocked", "retry", "retry", "failed"])
    if end in ("done", "review"):
        verbs.submit(tx, attempt, actor=f"executor:{agent}")
    if end == "done" and tx.one("SELECT 1 FROM tasks WHERE id = :id AND status = 'review'", id=task):
        verbs.approve(tx, task, actor="person:root")
    if end == "blocked":
        verbs.block(tx, attempt, actor=f"executor:{agent}", kind="needs_input", question="?")
    if end in ("retry", "failed"):
        verbs.end_badly(tx, attempt, "crashed", actor="engine:monitor", final=end == "failed")
    if end != "working" and chance.random() < (0.9 if end == "review" else 0.6):
        scenes.see_off(tx, task)
        if end == "review" and chance.random() < 0.5:
            check_some(tx, chance)
        if end == "review" and chance.random() < 0.3:
            begin_review(tx, chance, task)


def check_some(tx: Tx, chance: random.Random) -> None:
    """Checks that are run: some passed, some are still at it, some of these on a task that a person sent back."""
    for check in proofs.begin(tx, 3):
        row = next(row for row in proofs.unfinished(tx) if row["id"] == check)
        if chance.random() < 0.6:
            proofs.finish(tx, check, proofs.Found("passed", 0))
        elif chance.random() < 0.5:
            verbs.reject(tx, row["task_id"], actor="person:root", remark="again")


def begin_review(tx: Tx, chance: random.Random, task: int) -> None:
    """A reviewer's attempt that is live, or has ended without a verdict."""
    free = "status = 'review' AND handed_over IS NULL AND proof IS NOT 'wanted'"
    row = tx.one(f"SELECT reviewer FROM tasks WHERE id = :id AND {free}", id=task)
    asked = str(row["reviewer"] or "")[6:] if row else ""
    if asked not in NAMES or tx.one(
        "SELECT 1 FROM attempts WHERE task_id = :id AND agent_id = :agent", id=task, agent=asked
    ):
        return
    attempt = scenes.claim_review(tx, task, asked)
    if chance.random() < 0.7:
        verbs.end_badly(tx, attempt, chance.choice(["crashed", "stopped"]), actor="engine:monitor")
        scenes.see_off(tx, task)


def claimable(tx: Tx, place: Room, seen: Counter[str]) -> list[tuple[int, str, int]]:
    """What `why` says can be claimed now: (-priority, due time, id), the most urgent first."""
    found = []
    for row in tx.all("SELECT id, priority, due_at FROM tasks"):
        told = explaining.why(tx, row["id"], tx.now, place)
        seen.update(closed(told))
        if told["claimable"]:
            found.append((-row["priority"], row["due_at"], row["id"]))
    return sorted(found)


def one_by_one(tx: Tx, place: Room, seen: Counter[str]) -> list[str]:
    """Claim until nothing can be claimed, each the most urgent of those that `why` calls claimable; their roles."""
    taken: list[str] = []
    while True:
        expected = claimable(tx, place, seen)
        attempts = claims.claim_due(tx, fresh(tx), place)
        if not attempts:
            assert expected == []
            return taken
        row = tx.one("SELECT task_id, role FROM attempts WHERE id = :id", id=attempts[0])
        assert row is not None and expected and row["task_id"] == expected[0][2]
        taken.append(row["role"])


async def test_why_passes_every_gate_exactly_when_the_claim_takes_the_task(board: Board) -> None:
    seen: Counter[str] = Counter()
    claimed: list[str] = []

    def a_random_board(tx: Tx, seed: int) -> None:
        chance = random.Random(seed)
        populate(tx, chance)
        free = chance.choice([GIB, 3 * GIB, 9 * GIB])
        place = room(chance.randrange(12), Memory(most=chance.choice([4, 40]) * GIB, available=free, reserve=GIB // 2))
        for pause in (0.0, 0.001, 30.0, 60.0):
            claimed.extend(one_by_one(later(tx, pause), place, seen))

    seeds = random.randrange(2**32)
    for seed in range(seeds, seeds + 200):
        error = await tried(board, lambda tx, seed=seed: a_random_board(tx, seed))  # type: ignore[misc]
        assert error is None, f"seed {seed}: {error!r}"
    assert claimed.count("executor") > 30 and claimed.count("reviewer") > 10
    gates = {gate.name for gate in (*TASK_GATES, *REVIEW_GATES, *PROOF_GATES, *AGENT_GATES, AUTHOR)} - {"proof"}
    assert set(seen) == gates - {"review"}, "every gate was closed at least once; the reviews' are asked of a review"


async def test_claiming_many_at_once_claims_the_same_as_one_by_one(board: Board) -> None:
    def singly(tx: Tx, seed: int, most: int) -> list[tuple[int, str]]:
        populate(tx, random.Random(seed))
        made: list[int] = []
        while more := claims.claim_due(tx, fresh(tx), room(most, ROOMY)):
            made += more
        return whose(tx, made)

    def together(tx: Tx, seed: int, most: int) -> list[tuple[int, str]]:
        populate(tx, random.Random(seed))
        return whose(tx, claims.claim_due(tx, hashes(99), room(most, ROOMY)))

    def whose(tx: Tx, made: list[int]) -> list[tuple[int, str]]:
        rows = {row["id"]: (row["task_id"], row["agent_id"]) for row in tx.all("SELECT * FROM attempts")}
        return [rows[attempt] for attempt in made]

    seeds, claimed = random.randrange(2**32), 0
    for seed in range(seeds, seeds + 60):
        most = seed % 13
        one = await tried(board, lambda tx, s=seed, m=most: singly(tx, s, m))  # type: ignore[misc]
        all_at_once = await tried(board, lambda tx, s=seed, m=most: together(tx, s, m))  # type: ignore[misc]
        assert one == all_at_once, f"seed {seed}"
        claimed += len(one)
    assert claimed > 20
