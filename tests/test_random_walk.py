"""Random steps of raw SQL and of Python verbs, mixed, on some twenty tasks: after each hundred the doctor is silent.

Every walk is told by its seed. `pytest --long` walks 100,000 steps.
"""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from blackboard import attempts, claims, families, journal, move, proofs, reviews, verbs
from blackboard.board import Tx
from blackboard.checks import Check
from blackboard.errors import BlackboardError
from blackboard.gates import Room
from blackboard.policy import Policy
from blackboard.states import BLOCKED_KINDS, MOVES, OUTCOMES, STATES, allowed
from orchestrator.doctor import check_connection
from tests.raw_board import SCHEMA, RawBoard

TASKS = 20
AGENTS = ("ada", "bob", "eve")
ACTORS = ("executor:ada", "reviewer:eve", "person:root", "engine:tick", "sql")
GOALS = sorted({(m.verb, m.dst) for m in MOVES})


class Walk:
    """A board, the dice, and what was tried: `tried[name]` is (accepted, refused)."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.board = RawBoard()
        self.board.connection.row_factory = sqlite3.Row
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def step(self) -> str:
        """Try one thing; its name."""
        [chosen] = self.dice.choices(STEPS, WEIGHTS)
        connection = self.board.connection
        connection.execute("SAVEPOINT step")
        try:
            chosen.run(self)
        except (sqlite3.IntegrityError, BlackboardError) as refusal:
            assert str(refusal)
            connection.execute("ROLLBACK TO step")
            self.refused[chosen.name] += 1
        else:
            self.accepted[chosen.name] += 1
        connection.execute("RELEASE step")
        return chosen.name

    # --- what the steps are made of ---

    def tx(self) -> Tx:
        return Tx(self.board.connection, self.board.now(), 0.0)

    def any_task(self) -> int:
        return self.dice.randint(1, TASKS)

    def task_that_is(self, *statuses: str) -> int:
        """A task in one of these states, most of the time; else any."""
        sql = "SELECT id FROM tasks WHERE status = :status ORDER BY id"
        ids = [row[0] for s in statuses for row in self.board.connection.execute(sql, {"status": s})]
        return self.dice.choice(ids) if ids and self.dice.random() < 0.9 else self.any_task()

    def attempt(self, condition: str) -> int:
        """An attempt of which this is true, or 0."""
        ids = [
            row[0] for row in self.board.connection.execute(f"SELECT id FROM attempts WHERE {condition} ORDER BY id")
        ]
        return self.dice.choice(ids) if ids else 0

    def live(self) -> dict[str, Any]:
        """A row of an executor's attempt, mostly a live one; refused when there is none."""
        chosen = self.attempt("role = 'executor' AND ended_at IS NULL") or self.attempt("role = 'executor'")
        row = self.tx().one(attempts.GET, id=chosen)
        if row is None:
            raise BlackboardError("nobody works")
        return dict(row)

    def changed(self, sql: str, **params: object) -> None:
        """Run a raw UPDATE or DELETE; refused when it met no row."""
        if self.board.connection.execute(sql, params).rowcount == 0:
            raise BlackboardError("there is no such row")


class Step(NamedTuple):
    """One kind of thing to try, and how often."""

    name: str
    weight: int
    run: Callable[[Walk], object]


STEPS: list[Step] = []


def step(weight: int) -> Callable[[Callable[[Walk], object]], Callable[[Walk], object]]:
    def register(function: Callable[[Walk], object]) -> Callable[[Walk], object]:
        STEPS.append(Step(function.__name__, weight, function))
        return function

    return register


# --- Raw SQL: what is sensible --------------------------------------------------------------------------------------------


@step(8)
def raw_claim(w: Walk) -> None:
    w.board.claim(w.task_that_is("pending"), w.dice.choice(AGENTS))


FREE_FOR_REVIEW = """
SELECT id FROM tasks t WHERE status = 'review' AND handed_over IS NULL AND proof IS NOT 'wanted'
   AND NOT EXISTS (SELECT 1 FROM attempts WHERE task_id = t.id AND gone_at IS NULL) ORDER BY id DESC
"""


STRANGER = """
SELECT g.id FROM agents g JOIN tasks t ON t.id = :task
 WHERE g.id NOT IN (SELECT agent_id FROM attempts WHERE task_id = :task AND role = 'executor')
   AND (t.reviewer IS NULL OR t.reviewer = 'agent:' || g.id OR t.reviewer IN (SELECT 'role:' || role FROM agent_roles WHERE agent_id = g.id))
 ORDER BY g.id
"""


@step(56)
def raw_claim_review(w: Walk) -> None:
    task = w.board.value(FREE_FOR_REVIEW) or w.any_task()
    stranger = w.board.value(STRANGER, task=task) or "eve"
    w.board.claim(task, w.dice.choice((stranger, stranger, *AGENTS)), "reviewer")


@step(62)
def raw_verdict(w: Walk) -> None:
    reviewer = w.attempt("role = 'reviewer' AND ended_at IS NULL")
    task = w.board.value("SELECT task_id FROM attempts WHERE id = :id", id=reviewer) or w.any_task()
    verb, dst = w.dice.choice([("approve", "done"), ("reject", "pending"), ("cancel", "cancelled")])
    w.board.move(task, verb, dst, "reviewer:eve", reason="seen")


@step(40)
def raw_review_ends_alone(w: Walk) -> None:
    reviewer = w.attempt("role = 'reviewer' AND ended_at IS NULL")
    w.changed("UPDATE attempts SET outcome = 'lost', ended_at = :now WHERE id = :id", id=reviewer, now=w.board.now())


@step(12)
def raw_gone(w: Walk) -> None:
    chosen = w.attempt("gone_at IS NULL AND ended_at IS NOT NULL") or w.attempt("1")
    w.changed("UPDATE attempts SET gone_at = :now WHERE id = :id", id=chosen, now=w.board.now())


@step(6)
def raw_output(w: Walk) -> None:
    w.board.hand_in(w.attempt("ended_at IS NULL") or w.attempt("1"))


@step(2)
def raw_comment(w: Walk) -> None:
    w.board.comment(w.any_task(), w.dice.choice([None, w.attempt("1") or None]))


@step(4)
def raw_bare_move(w: Walk) -> None:
    w.changed(
        "UPDATE tasks SET status = :to WHERE id = :id AND status <> :to", id=w.any_task(), to=w.dice.choice(STATES)
    )


@step(2)
def raw_bare_move_with_more(w: Walk) -> None:
    w.changed(
        "UPDATE tasks SET status = :to, priority = priority + 1, not_before = :now, title = title || '.', blocked_kind = :kind"
        " WHERE id = :id AND status <> :to",
        id=w.any_task(), to=w.dice.choice(STATES), now=w.board.now(), kind=w.dice.choice([None, *BLOCKED_KINDS]),
    )  # fmt: skip


@step(20)
def raw_verb(w: Walk) -> None:
    """Any verb, by anybody, from wherever the task is."""
    verb, dst = w.dice.choice(GOALS)
    task = w.task_that_is(*(m.src for m in MOVES if m.verb == verb))
    w.board.move(task, verb, dst, w.dice.choice(ACTORS), reason=w.dice.choice([None, "so"]))


@step(6)
def raw_hand_over(w: Walk) -> None:
    w.changed("UPDATE tasks SET handed_over = 'so' WHERE id = :id AND handed_over IS NULL", id=w.task_that_is("review"))


@step(3)
def raw_hand_back(w: Walk) -> None:
    handed_over = w.board.value("SELECT id FROM tasks WHERE handed_over IS NOT NULL ORDER BY id DESC") or 0
    w.changed("UPDATE tasks SET handed_over = NULL WHERE id = :id", id=handed_over)


@step(4)
def raw_other_reviewer(w: Walk) -> None:
    reviewer = w.dice.choice([None, "agent:eve", "agent:bob", "role:smith", "role:nobody", "agent:nobody"])
    w.changed(
        "UPDATE tasks SET reviewer = :who WHERE id = :id AND reviewer IS NOT :who",
        id=w.task_that_is("review"),
        who=reviewer,
    )


@step(3)
def raw_replan(w: Walk) -> None:
    name = w.dice.choice(("due_at", "not_before"))
    w.changed(f"UPDATE tasks SET {name} = :now WHERE id = :id", id=w.any_task(), now=w.board.now())


@step(2)
def raw_planned(w: Walk) -> None:
    w.changed(
        "UPDATE tasks SET priority = priority + 1, plan_rev = plan_rev + 1, planned_by = 'engine:slots' WHERE id = :id",
        id=w.any_task(),
    )


@step(1)
def raw_give_away(w: Walk) -> None:
    w.changed(
        "UPDATE tasks SET agent_id = :agent, role = NULL WHERE id = :id",
        id=w.any_task(),
        agent=w.dice.choice(AGENTS[:2]),
    )


@step(1)
def raw_edit(w: Walk) -> None:
    w.changed("UPDATE tasks SET title = title || '!', needs_output = 1 - needs_output WHERE id = :id", id=w.any_task())


@step(4)
def raw_ready(w: Walk) -> None:
    w.changed("UPDATE tasks SET ready = 1 WHERE id = :id", id=w.task_that_is("pending"))


@step(4)
def raw_need(w: Walk) -> None:
    task, needed = w.task_that_is("pending", "blocked"), w.any_task()
    w.board.run("INSERT INTO dependencies VALUES (:task, :needed)", task=task, needed=needed)


@step(4)
def raw_unneed(w: Walk) -> None:
    w.changed("DELETE FROM dependencies WHERE task_id = :id OR needs_id = :id", id=w.any_task())


@step(2)
def raw_outcome(w: Walk) -> None:
    w.changed(
        "UPDATE attempts SET outcome = :outcome WHERE id = :id",
        id=w.attempt("ended_at IS NULL") or w.attempt("1"),
        outcome=w.dice.choice([*OUTCOMES, "vapour"]),
    )


# --- Raw SQL: what must never be ------------------------------------------------------------------------------------------

NEVER = (
    "DELETE FROM tasks WHERE id = :id",
    "DELETE FROM attempts WHERE task_id = :id OR 1",
    "DELETE FROM events WHERE task_id = :id",
    "UPDATE events SET task_id = 1 WHERE task_id = :id",
    "UPDATE OR REPLACE tasks SET rowid = :id % 20 + 1 WHERE id = :id",
    "REPLACE INTO tasks (id, project_id, agent_id, title) VALUES (:id, 'forge', 'ada', 'x')",
    "UPDATE tasks SET status = 'claimed', rev = rev + 1, verb = 'claim', actor = 'engine:x' WHERE id = :id",
    "UPDATE OR IGNORE tasks SET status = 'cancelled', rev = rev + 1, verb = 'cancel', actor = 'sql' WHERE id = :id AND status NOT IN ('cancelled')",
    "UPDATE OR IGNORE tasks SET ended_at = CASE WHEN ended_at IS NULL THEN 'x' END WHERE id = :id",
    "INSERT INTO dependencies VALUES (:id, :id)",
    "INSERT INTO events (id, at, verb, actor) VALUES (100000 + :id, '2026-01-01T00:00:00.000Z', 'x', 'y')",
)


@step(4)
def raw_crime(w: Walk) -> None:
    w.changed(w.dice.choice(NEVER), id=w.any_task())


# --- Python verbs -----------------------------------------------------------------------------------------------------------


@step(4)
def verb_claim(w: Walk) -> None:
    claims.claim(w.tx(), w.task_that_is("pending"), w.dice.choice(AGENTS), w.dice.randbytes(32))


@step(3)
def verb_claim_due(w: Walk) -> None:
    if not claims.claim_due(w.tx(), [w.dice.randbytes(32)], Room(99)):
        raise BlackboardError("nothing was due")


@step(6)
def verb_start(w: Walk) -> None:
    verbs.start(w.tx(), w.live(), actor="executor:ada")


@step(4)
def verb_output(w: Walk) -> None:
    journal.add_output(w.tx(), w.live(), type="data", title="ore", content="x")


@step(2)
def verb_comment(w: Walk) -> None:
    journal.add_comment(w.tx(), w.any_task(), author="person:root", body="hm")


@step(26)
def verb_submit(w: Walk) -> None:
    verbs.submit(w.tx(), w.live(), actor="executor:ada", detail="made it")


@step(3)
def verb_block(w: Walk) -> None:
    verbs.block(w.tx(), w.live(), actor="executor:ada", kind=w.dice.choice(BLOCKED_KINDS), question="which?")


@step(5)
def verb_end_badly(w: Walk) -> None:
    outcome = w.dice.choice([name for name in OUTCOMES if name not in ("submitted", "approved", "rejected")])
    verbs.end_badly(w.tx(), w.live(), outcome, actor="engine:monitor", final=w.dice.random() < 0.2)


def reviewing(w: Walk) -> dict[str, Any]:
    """A row of a reviewer's attempt, mostly a live one; refused when there is none."""
    row = w.tx().one(attempts.GET, id=w.attempt("role = 'reviewer' AND ended_at IS NULL") or 0)
    if row is None:
        raise BlackboardError("nobody reviews")
    return dict(row)


@step(80)
def verb_claim_review(w: Walk) -> None:
    task = w.board.value(FREE_FOR_REVIEW) or w.any_task()
    stranger = w.board.value(STRANGER, task=task) or "eve"
    claims.claim(w.tx(), task, stranger, w.dice.randbytes(32), "reviewer")


@step(56)
def verb_verdict(w: Walk) -> None:
    row = reviewing(w)
    verb = w.dice.choice(["approve", "reject"])
    verbs.give_verdict(w.tx(), row, verb, actor=f"reviewer:{row['agent_id']}", detail="seen")


@step(52)
def verb_review_ends_badly(w: Walk) -> None:
    outcome = w.dice.choice([name for name in OUTCOMES if name not in ("submitted", "approved", "rejected")])
    verbs.end_badly(w.tx(), reviewing(w), outcome, actor="engine:monitor")


@step(22)
def verb_hand_over(w: Walk) -> None:
    if not reviews.hand_over_hopeless(w.tx()):
        raise BlackboardError("somebody can review each of them")


@step(12)
def verb_gone(w: Walk) -> None:
    if not attempts.gone(w.tx(), w.attempt("gone_at IS NULL AND ended_at IS NOT NULL"), code=0):
        raise BlackboardError("it was gone already")


@step(2)
def verb_seen(w: Walk) -> None:
    row = w.live()
    attempts.spawned(w.tx(), row["id"], pid=1, start=1, boot_id="b")
    attempts.seen(w.tx(), row)
    attempts.warned(w.tx(), row["id"], "soon")


@step(2)
def verb_approve(w: Walk) -> None:
    verbs.approve(w.tx(), w.task_that_is("review"), actor="person:root")


@step(2)
def verb_reject(w: Walk) -> None:
    verbs.reject(w.tx(), w.task_that_is("review"), actor="person:root", remark="again")


@step(6)
def verb_unblock(w: Walk) -> None:
    verbs.unblock(w.tx(), w.task_that_is("blocked"), actor="person:root", answer="that one")


@step(1)
def verb_cancel(w: Walk) -> None:
    verbs.cancel(w.tx(), w.any_task(), actor="person:root", reason="no more")


@step(10)
def verb_reopen(w: Walk) -> None:
    verbs.reopen(w.tx(), w.task_that_is("done", "failed", "cancelled"), actor="person:root")


@step(1)
def verb_sweep(w: Walk) -> None:
    families.sweep(w.tx())


@step(2)
def verb_move(w: Walk) -> None:
    """Any verb, by anybody, through the one function that moves."""
    task, actor = move.get(w.tx(), w.any_task()), w.dice.choice(ACTORS[:-1])
    fitting = [m.verb for m in allowed(task["status"], actor.partition(":")[0])]
    move.move(w.tx(), task, w.dice.choice([w.dice.choice(GOALS)[0], *fitting]), actor=actor)


TO_PROVE = """
SELECT t.id FROM tasks t WHERE t.proof = 'wanted' AND t.status = 'review' AND t.handed_over IS NULL
   AND NOT EXISTS (SELECT 1 FROM attempts WHERE task_id = t.id AND gone_at IS NULL) ORDER BY t.id DESC
"""


@step(16)
def raw_check(w: Walk) -> None:
    """Begin a check, mostly where one is wanted, and perhaps end it at once."""
    task = w.board.value(TO_PROVE) or w.any_task()
    w.board.check(task, w.dice.choice([1, 1, 1, 2]), w.dice.choice([None, "passed", "failed", "interrupted"]))


@step(16)
def raw_check_ends(w: Walk) -> None:
    found = w.dice.choice(["passed", "passed", "failed", "timed_out", "not_run", "interrupted", "vapour"])
    running = "SELECT id FROM checks WHERE ended_at IS NULL ORDER BY id"
    w.changed(
        "UPDATE checks SET result = :found, ended_at = :now WHERE id = :id",
        id=w.board.value(running) or 1,
        found=found,
        now=w.board.now(),
    )


WITH_EVIDENCE = """
SELECT t.id FROM tasks t WHERE t.proof = 'wanted' AND t.status = 'review'
   AND EXISTS (SELECT 1 FROM checks WHERE task_id = t.id AND attempt_id = t.attempt_id) ORDER BY t.id DESC
"""


@step(24)
def raw_proof(w: Walk) -> None:
    task = w.board.value(WITH_EVIDENCE) or w.any_task()
    proof = w.dice.choice([None, "wanted", "passed", "passed", "failed", "failed", "failed"])
    w.changed("UPDATE tasks SET proof = :proof WHERE id = :id AND proof IS NOT :proof", id=task, proof=proof)


@step(2)
def raw_other_checks(w: Walk) -> None:
    checks = w.dice.choice(["[]", '[{"run":["make"]}]', '[{"run":["make"]},{"path":"x"}]', "{}", '["no check"]'])
    w.changed("UPDATE tasks SET checks = :checks WHERE id = :id AND checks <> :checks", id=w.any_task(), checks=checks)


@step(14)
def verb_check(w: Walk) -> None:
    if not proofs.begin(w.tx(), 1):
        raise BlackboardError("nothing is to be proved")


@step(14)
def verb_check_ends(w: Walk) -> None:
    running = [row["id"] for row in proofs.unfinished(w.tx())]
    if not running:
        raise BlackboardError("no check is being run")
    found = w.dice.choice(["passed"] * 5 + ["failed", "timed_out", "not_run", "interrupted"])
    proofs.finish(w.tx(), w.dice.choice(running), proofs.Found(found, 1 if found == "failed" else None))


WEIGHTS = [each.weight for each in STEPS]
REFUSED_ALWAYS = {"raw_crime"}


def settle(w: Walk) -> None:
    """Twenty tasks: some for a role, some of a slot, some children, some that need others."""
    for number in range(TASKS):
        parent = w.dice.randint(1, number) if number and w.dice.random() < 0.3 else None
        if number % 3 == 0:
            needs = [w.dice.randint(1, number)] if number else []
            verbs.post(w.tx(), project="forge", title="ore", actor="person:root", role="smith", needs=needs, parent_id=parent,
                       checks=[Check(run=["make"]), Check(path="x")][: number % 2], due_at=w.board.now(), policy=Policy(max_tries=4, backoff_seconds=1, review=w.dice.choice(["auto", "human", "agent:eve", "role:smith", "role:nobody"])))  # fmt: skip
        elif number % 3 == 1:
            w.board.post(slot_id=1, occurrence=str(number), parent_id=parent, agent_id=w.dice.choice(AGENTS[:2]))
        else:
            w.board.post(
                parent_id=parent,
                waits_for_children=0,
                checks='[{"run":["make"]}]' if number % 2 else "[]",
                agent_id=w.dice.choice(AGENTS[:2]),
            )


def walk(seed: int, steps: int) -> Walk:
    """Go so many steps from a fresh board, the doctor looking after each hundred."""
    w = Walk(seed)
    settle(w)
    lately: list[str] = []
    for number in range(1, steps + 1):
        lately.append(w.step())
        if number % 100 == 0:
            findings = check_connection(w.board.connection, SCHEMA if number % 5000 == 0 else None)
            assert findings == [], f"seed {seed}, steps {number - 99} to {number}: {findings}; they were {lately}"
            lately.clear()
    return w


def assert_everything_happened(accepted: Counter[str], refused: Counter[str], events: Counter[str], least: int) -> None:
    names = {each.name for each in STEPS}
    print({name: (accepted[name], refused[name]) for name in sorted(names)})
    assert {name for name in names - REFUSED_ALWAYS if accepted[name] < least} == set()
    assert {name for name in REFUSED_ALWAYS if accepted[name]} == set()
    expected = {m.verb for m in MOVES} | {
        "claim_review",
        "hand_over",
        "hand_back",
        "ended",
        "gone",
        "output",
        "comment",
        "need",
        "unneed",
        "replan",
        "edit",
        "checked",
        "verified",
        "not_verified",
    }
    assert {verb for verb in expected if events[verb] < least} == set()


EVENT_COUNTS = "SELECT verb, count(*) FROM events GROUP BY verb"


def test_thirty_thousand_random_steps_leave_a_board_in_which_nothing_is_wrong() -> None:
    seed = 20260131
    print("seed", seed)
    w = walk(seed, 30_000)

    assert_everything_happened(
        w.accepted, w.refused, Counter(dict(map(tuple, w.board.connection.execute(EVENT_COUNTS)))), 10
    )


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_hundred_thousand_random_steps_leave_boards_in_which_nothing_is_wrong() -> None:
    accepted: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    events: Counter[str] = Counter()
    for seed in range(12):
        w = walk(seed, 30_000)
        accepted += w.accepted
        refused += w.refused
        events += Counter(dict(map(tuple, w.board.connection.execute(EVENT_COUNTS))))

    assert_everything_happened(accepted, refused, events, 100)
