"""schema.sql holds the state machine by itself: every state × verb × role, asked of a plain sqlite3 shell and of Python.

What is expected is written here by hand, from the table of verbs in the design, and not read from `moves`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from orchestrator.doctor import check, check_connection
from tests.raw_board import SCHEMA, RawBoard, shell

# verb | from | to | by. A verb may stand in two rows.
DESIGN = """
claim    | pending                                 | claimed   | engine
block    | pending                                 | blocked   | engine
start    | claimed                                 | working   | executor engine
release  | claimed                                 | pending   | engine
retry    | claimed working                         | pending   | executor engine
submit   | claimed working                         | review    | executor engine
fail     | claimed working                         | failed    | executor engine
block    | claimed working                         | blocked   | executor engine
approve  | review                                  | done      | reviewer person engine
reject   | review                                  | pending   | reviewer person engine
unblock  | blocked                                 | pending   | person engine
cancel   | pending claimed working review blocked  | cancelled | person engine
reopen   | failed done cancelled                   | pending   | person
"""
# What a bare UPDATE of an arrow is called. Not among them: claimed, working and review are never reached so.
BARE = {
    ("pending", "blocked"): "block",
    ("pending", "cancelled"): "cancel",
    ("claimed", "pending"): "release",
    ("claimed", "failed"): "fail",
    ("claimed", "blocked"): "block",
    ("claimed", "cancelled"): "cancel",
    ("working", "pending"): "retry",
    ("working", "failed"): "fail",
    ("working", "blocked"): "block",
    ("working", "cancelled"): "cancel",
    ("review", "done"): "approve",
    ("review", "pending"): "reject",
    ("review", "cancelled"): "cancel",
    ("blocked", "pending"): "unblock",
    ("blocked", "cancelled"): "cancel",
    ("failed", "pending"): "reopen",
    ("done", "pending"): "reopen",
    ("cancelled", "pending"): "reopen",
}
OUTCOME = {
    "release": "released",
    "retry": "failed",
    "submit": "submitted",
    "fail": "failed",
    "block": "blocked",
    "cancel": "cancelled",
    "approve": "approved",
    "reject": "rejected",
}
STATES = ("pending", "claimed", "working", "review", "done", "failed", "blocked", "cancelled")
ROLES = ("executor", "reviewer", "person", "engine", "agent", "sql")


def allowed() -> set[tuple[str, str, str, str]]:
    """(verb, from, to, role) of the design."""
    rows = [[cell.split() for cell in line.split("|")] for line in DESIGN.strip().splitlines()]
    return {(verb, s, dst, role) for [verb], sources, [dst], by in rows for s in sources for role in by}


ALLOWED = allowed()
GOAL = {verb: dst for verb, _, dst, _ in ALLOWED}

# A task of each state to try it on, and a second one in review, which a reviewer has begun to look at.
PLACES = (*STATES, "reviewed")


def state_of(place: str) -> str:
    return "review" if place == "reviewed" else place


def reach(b: RawBoard, task: int, status: str) -> None:
    """Bring a pending task to a state, by legal moves."""
    if status in ("claimed", "working", "failed", "blocked"):
        attempt = b.claim(task)
        b.hand_in(attempt)
    if status == "working":
        b.move(task, "start", "working", "executor:ada")
    if status in ("failed", "blocked"):
        b.move(task, status.removesuffix("ed"), status, "executor:ada")
        b.gone(attempt)
    if status in ("review", "done"):
        b.hands_in(task)
    if status == "done":
        b.move(task, "approve", "done", "person:root")
    if status == "cancelled":
        b.move(task, "cancel", "cancelled", "person:root")


def set_table(path: Path) -> None:
    """A board whose task n+1 stands at PLACES[n]."""
    b = RawBoard(path)
    for place in PLACES:
        task = b.post()
        reach(b, task, state_of(place))
        if place == "reviewed":
            b.claim(task, "eve", "reviewer")
    b.connection.close()


class Try(NamedTuple):
    """One UPDATE: where, and what it says. `rev`: what it makes of rev."""

    place: str
    dst: str
    verb: str = ""
    role: str = ""
    rev: str = "rev + 1"

    @property
    def task(self) -> int:
        return PLACES.index(self.place) + 1

    @property
    def sql(self) -> str:
        if not self.verb:
            return f"UPDATE tasks SET status = '{self.dst}' WHERE id = {self.task}"
        actor = self.role if self.role == "sql" else f"{self.role}:x"
        return (f"UPDATE tasks SET status = '{self.dst}', rev = {self.rev}, verb = '{self.verb}', actor = '{actor}',"
                f" reason = 'so', moved_at = '2026-03-01T00:00:00.000Z' WHERE id = {self.task}")  # fmt: skip

    @property
    def expected(self) -> str | None:
        """The verb that the move is told by; None where it is refused."""
        src = state_of(self.place)
        if not self.verb:
            return BARE.get((src, self.dst))
        legal = (self.verb, src, self.dst, self.role) in ALLOWED and self.rev == "rev + 1" and self.verb != "claim"
        return self.verb if legal and (self.role != "reviewer" or self.place == "reviewed") else None


def tries() -> list[Try]:
    """Every state × verb × role towards the verb's goal; every state × verb × goal; bare; and with a forged rev."""
    verbs = (*GOAL, "post", "vanish")
    found = {Try(place, GOAL.get(verb, "pending"), verb, role) for place in PLACES for verb in verbs for role in ROLES}
    found |= {Try(place, dst, verb, "engine") for place in PLACES for verb in verbs for dst in STATES}
    found |= {Try(place, dst) for place in PLACES for dst in (*STATES, "gone")}
    for rev in ("rev", "rev + 2", "rev - 1", "0"):
        found |= {Try(place, GOAL[verb], verb, "engine", rev) for place in PLACES for verb in GOAL}
    return sorted(t for t in found if not bare_after_all(t))


def bare_after_all(t: Try) -> bool:
    """A rev that stays as it was makes a bare UPDATE, whatever else it says; those are tried without saying more."""
    stays = t.rev == "rev" or (t.rev == "0" and t.place == "pending")
    return stays and ((state_of(t.place), t.dst) in BARE or state_of(t.place) == t.dst)


TRIES = tries()

SEEN = """
SELECT json_array(t.status, t.rev - :rev, t.verb, t.actor, t.ended_at IS NOT NULL, t.blocked_kind,
    (SELECT json_array(e.verb, e.src, e.dst, e.actor) FROM events e WHERE e.task_id = t.id AND e.dst IS NOT NULL ORDER BY e.id DESC LIMIT 1),
    (SELECT count(*) FROM events) - :events,
    (SELECT count(*) FROM attempts a WHERE a.task_id = t.id AND a.ended_at IS NULL),
    (SELECT outcome FROM attempts a WHERE a.id = t.attempt_id))
  FROM tasks t WHERE t.id = :task
"""


class Before(NamedTuple):
    """What a task's row was before it was tried."""

    rev: int
    verb: str
    actor: str
    ended: int
    kind: str | None
    event: list[str | None]
    live: int
    outcome: str | None


def befores(path: Path) -> tuple[int, dict[str, Before]]:
    """How many events there are, and each task as it stands."""
    connection = sqlite3.connect(path)
    (events,) = connection.execute("SELECT count(*) FROM events").fetchone()
    found = {}
    for number, place in enumerate(PLACES, 1):
        asked = connection.execute(SEEN, {"rev": 0, "events": events, "task": number}).fetchone()[0]
        status, rev, verb, actor, ended, kind, event, _, live, outcome = json.loads(asked)
        assert status == state_of(place)
        found[place] = Before(rev, verb, actor, ended, kind, event, live, outcome)
    connection.close()
    return events, found


def expectation(t: Try, before: Before) -> list[object]:
    """What SEEN must answer after a try."""
    src, verb = state_of(t.place), t.expected
    if verb is None:
        return [src, 0, before.verb, before.actor, before.ended, before.kind, before.event, 0, before.live, before.outcome]  # fmt: skip
    actor = f"{t.role}:x" if t.verb else "sql"
    ends = before.live and t.dst not in ("claimed", "working")
    final = int(t.dst in ("done", "failed", "cancelled"))
    kind = "needs_input" if t.dst == "blocked" else None
    outcome = OUTCOME[verb] if ends else before.outcome
    if t.place == "reviewed" and ends and not actor.startswith("reviewer:"):
        outcome = "cancelled"  # somebody was faster than the reviewer
    return [t.dst, 1, verb, actor, final, kind, [verb, src, t.dst, actor], 2 if ends else 1, 0 if ends else before.live, outcome]  # fmt: skip


def by_python(path: Path, statements: Iterable[tuple[str, str]]) -> list[list[object]]:
    """Try each statement in a savepoint of Python's sqlite3, and look."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN")
    seen = []
    for change, look in statements:
        connection.execute("SAVEPOINT try")
        try:
            connection.execute(change)
        except sqlite3.IntegrityError as error:
            assert str(error), change
        seen.append(json.loads(connection.execute(look).fetchone()[0]))
        connection.execute("ROLLBACK TO try")
        connection.execute("RELEASE try")
    connection.close()
    return seen


def by_shell(path: Path, statements: Iterable[tuple[str, str]], *pragmas: str) -> list[list[object]]:
    """The same in one process of the sqlite3 shell, as it is without any settings of ours."""
    script = [".bail off", "PRAGMA foreign_keys = OFF;", *pragmas, "BEGIN;"]
    for change, look in statements:
        script += ["SAVEPOINT try;", f"{change};", f"{look.strip()};", "ROLLBACK TO try; RELEASE try;"]
    return [json.loads(line) for line in shell(path, "\n".join(script)).stdout.splitlines() if line.startswith("[")]


def by_shell_with_recursive_triggers(path: Path, statements: Iterable[tuple[str, str]]) -> list[list[object]]:
    return by_shell(path, statements, "PRAGMA recursive_triggers = ON;")


@pytest.mark.parametrize("ask", [by_python, by_shell, by_shell_with_recursive_triggers])
def test_every_state_verb_and_role_moves_exactly_as_designed(
    tmp_path: Path, ask: Callable[[Path, Iterable[tuple[str, str]]], list[list[object]]]
) -> None:
    path = tmp_path / "board"
    set_table(path)
    events, before = befores(path)
    named = SEEN.replace(":events", str(events)).replace(":rev", "{rev}").replace(":task", "{task}")
    statements = [(t.sql, named.format(rev=before[t.place].rev, task=t.task)) for t in TRIES]

    seen = ask(path, statements)

    assert len(seen) == len(TRIES) > 1500
    wrong = [(t, found) for t, found in zip(TRIES, seen, strict=True) if found != expectation(t, before[t.place])]
    assert wrong == []
    assert check(path, SCHEMA) == []


def test_the_grid_reaches_every_arrow_that_an_update_can_make() -> None:
    made = {(t.verb, state_of(t.place), t.dst, t.role) for t in TRIES if t.expected and t.verb}
    assert made == {arrow for arrow in ALLOWED if arrow[0] != "claim"}
    assert {(state_of(t.place), t.dst) for t in TRIES if t.expected and not t.verb} == set(BARE)


@pytest.mark.parametrize(("src", "dst"), [*BARE])
def test_an_operators_bare_update_is_whole(src: str, dst: str) -> None:
    """Status, event, both ends and end time follow, and the doctor agrees."""
    b = RawBoard()
    target = b.post()
    reach(b, target, src)

    b.run(f"UPDATE tasks SET status = '{dst}' WHERE id = {target}")

    row = b.connection.execute(
        "SELECT status, verb, actor, reason, rev > 0 FROM tasks WHERE id = ?", (target,)
    ).fetchone()
    assert row == (dst, BARE[src, dst], "sql", None, 1)
    assert b.value("SELECT count(*) FROM attempts WHERE ended_at IS NULL") == 0
    assert check_connection(b.connection, SCHEMA) == []


def test_the_schema_piped_into_the_shell_makes_a_board(tmp_path: Path) -> None:
    done = shell(tmp_path / "board", SCHEMA)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert check(tmp_path / "board", SCHEMA) == []
    views = shell(tmp_path / "board", "SELECT name FROM sqlite_master WHERE type = 'view';").stdout.split()
    assert {"v_board", "v_running", "v_stuck", "v_agent_load", "v_task_story"} <= set(views)
    assert shell(tmp_path / "board", "".join(f"SELECT * FROM {view};" for view in views)).stderr == ""


def test_the_board_is_readable_by_the_shell_of_an_operator(tmp_path: Path) -> None:
    set_table(tmp_path / "board")

    story = shell(tmp_path / "board", "SELECT verb, move FROM v_task_story WHERE task_id = 5;").stdout.splitlines()
    stuck = shell(tmp_path / "board", "SELECT id, why, next FROM v_stuck;").stdout

    assert story[:3] == ["post|pending", "claim|pending → claimed", "start|claimed → working"]
    assert story[-1] == "approve|review → done"
    assert "7|blocked (needs_input): " in stuck and "4|waits for a person's review" in stuck


def test_moves_and_outcomes_are_the_same_in_sql_and_in_python() -> None:
    from blackboard import states

    rows = RawBoard().connection.execute("SELECT verb, src, dst, by, by_sql, is_default, outcome FROM moves").fetchall()
    moves = {(v, s, d, frozenset(by.split()), bool(sql), bool(default), out) for v, s, d, by, sql, default, out in rows}
    assert moves == {(m.verb, m.src, m.dst, m.by, m.by_sql, m.is_default, m.outcome) for m in states.MOVES}

    rows = RawBoard().connection.execute("SELECT outcome, charged, settles, meaning FROM outcomes").fetchall()
    outcomes = {name: (bool(charged), bool(settles), meaning) for name, charged, settles, meaning in rows}
    assert outcomes == {name: (o.charged, o.settles, o.meaning) for name, o in states.OUTCOMES.items()}


def test_python_knows_the_states_and_words_that_sql_checks() -> None:
    from blackboard import states

    assert set(states.STATES) == set(STATES)
    for words, column in (
        (states.STATES, "status"),
        (states.BLOCKED_KINDS, "blocked_kind"),
        (states.OUTPUT_TYPES, "type"),
    ):
        assert f"{column} IN ({','.join(repr(word) for word in words)})" in SCHEMA, column
