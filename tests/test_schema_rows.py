"""What schema.sql keeps of rows, whoever writes: nothing is deleted, replaced or undone, and every change is told.

Each refusal is asked of Python and of the sqlite3 shell, without and with recursive triggers, foreign keys off.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from orchestrator.doctor import check, check_connection
from tests.raw_board import SCHEMA, RawBoard, shell

NOW = "2026-03-01T00:00:00.000Z"


def small(path: Path | str = ":memory:") -> RawBoard:
    """1: working, attempt 1, output 1, comment 1. 2: pending, needs 3. 3: in review by eve, attempts 2 and 3.
    4: rejected, attempt 4 ended and not gone. 5: pending, of slot 1. 6: done.
    7: in review, check 1 ended, check 2 is being run. 8: in review, its check is to be run.
    Permission 1 holds, 2 is revoked. A watch saw change 1; push 1 told it."""
    b = RawBoard(path)
    for columns in ({}, {}, {}, {}, {"slot_id": 1, "occurrence": "once"}, {}):
        b.post(**columns)
    b.hand_in(b.works(1))
    b.comment(1, 1)
    b.run("INSERT INTO dependencies VALUES (2, 3)")
    b.hands_in(3)
    b.claim(3, "eve", "reviewer")
    b.hand_in(b.works(4))
    b.move(4, "submit", "review", "executor:ada")
    b.move(4, "reject", "pending", "person:root", reason="no")
    b.hands_in(6)
    b.move(6, "approve", "done", "person:root")
    for _ in range(2):
        b.hands_in(b.post(checks='[{"run":["make"]}]'))
    b.check(7, 1, "interrupted")
    b.check(7, 1, None)
    b.run(
        "INSERT INTO permissions (subject, type, scope) VALUES ('group:smith', 'slots', '*'), ('agent:eve', 'slots', '*')"
    )
    b.run("INSERT INTO heartbeats (agent_id, project_id) VALUES ('ada', 'forge')")
    b.run(
        "INSERT INTO heartbeat_runs (agent_id, status, started_at, ended_at) VALUES ('ada', 'skipped', :now, :now)",
        now=NOW,
    )
    b.run("UPDATE permissions SET revoked_at = created_at WHERE id = 2")
    b.run(
        "INSERT INTO watch_pushes VALUES (1, 'agent:ada', 'hub', 0, 'acknowledged', 1, NULL, :now, :now, NULL)", now=NOW
    )
    b.run(
        "INSERT INTO watch_changes VALUES (1, 'hub', 'agent:ada', 'hub', 'a', 'added', '{}', 0, :now, 'acknowledged', 0, 1)",
        now=NOW,
    )
    return b


@pytest.fixture
def board() -> Iterator[RawBoard]:
    b = small()
    yield b
    b.connection.close()


def content(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in tables}


def claim_of(task: str, **columns: str) -> str:
    row = {"task_id": task, "number": "1", "role": "'executor'", "agent_id": "'ada'", "token_hash": "x'0102'",
           "claimed_at": f"'{NOW}'", "claimed_by": "'engine:tick'", **columns}  # fmt: skip
    return f"INSERT INTO attempts ({', '.join(row)}) VALUES ({', '.join(row.values())})"


def check_of(task: int, **columns: str) -> str:
    attempt = f"(SELECT attempt_id FROM tasks WHERE id = {task})"
    what = '\'{"run":["make"]}\''
    row = {
        "task_id": str(task),
        "attempt_id": attempt,
        "position": "1",
        "what": what,
        "started_at": f"'{NOW}'",
        **columns,
    }
    return f"INSERT INTO checks ({', '.join(row)}) VALUES ({', '.join(row.values())})"


def moved(task: int, verb: str, dst: str, actor: str, more: str = "") -> str:
    return (f"UPDATE tasks SET status = '{dst}', rev = rev + 1, verb = '{verb}', actor = '{actor}', moved_at = '{NOW}'"
            f"{more} WHERE id = {task}")  # fmt: skip


NEW_TASK = "INTO tasks (id, project_id, agent_id, title) VALUES"
NEW_SLOT_TASK = "INTO tasks (project_id, agent_id, title, slot_id, occurrence) VALUES ('forge', 'ada', 'x', 1, 'once')"
NEW_EVENT = "INTO events (id, at, verb, actor) VALUES"
NEW_OUTPUT = "INTO outputs (id, task_id, attempt_id, type, title, content, size, sha256, created_at) VALUES"
NEW_COMMENT = "INTO comments (id, task_id, attempt_id, author, body, created_at) VALUES"

REFUSED = [
    # Nothing is deleted.
    ("DELETE FROM tasks WHERE id = 1", "cancel it instead"),
    ("DELETE FROM attempts", "attempts are kept"),
    ("DELETE FROM events WHERE id = 1", "append-only"),
    ("DELETE FROM outputs", "append-only"),
    ("DELETE FROM comments", "append-only"),
    ("DELETE FROM checks", "what a check found stays"),
    # What a watch saw is kept until somebody has it, and after.
    ("DELETE FROM watch_changes", "what a watch saw is kept"),
    ("INSERT OR REPLACE INTO watch_changes (id, watch, target, topic, item, kind, diff, seen_at) VALUES (1, 'hub', 'sinks', 'hub', 'a', 'removed', '{}', '')", "a change with this id exists"),
    ("UPDATE watch_changes SET state = 'waiting'", "somebody has this change"),
    ("UPDATE watch_changes SET push_id = NULL", "CHECK"),
    ("DELETE FROM heartbeats", "a heartbeat is kept"),
    ("UPDATE OR REPLACE heartbeats SET agent_id = 'eve'", "a heartbeat stays its agent''s"),
    ("DELETE FROM heartbeat_runs", "what came of heartbeats is kept"),
    ("UPDATE watch_pushes SET settled_at = NULL", "CHECK"),
    # Nothing is proved but by checks that ran, and nothing of them is altered.
    ("UPDATE checks SET result = 'passed' WHERE id = 1", "what a check found stays"),
    ("UPDATE checks SET what = '{}' WHERE id = 2", "what a check found stays"),
    (check_of(7), "a check of this task is still being run"),
    (check_of(7, id="1"), "a check with this id exists"),
    (check_of(8, result="'passed'", ended_at=f"'{NOW}'"), "begins without a result"),
    (check_of(3), "wants proof is checked"),
    (check_of(8, position="2"), "not the check at that position"),
    (check_of(8, attempt_id="1"), "the work of the latest executor"),
    ("UPDATE tasks SET proof = 'passed' WHERE id = 8", "not every check of it has passed"),
    ("UPDATE tasks SET proof = 'failed' WHERE id = 8", "no check of it has failed"),
    ("UPDATE tasks SET proof = NULL WHERE id = 8", "a task with checks wants proof"),
    ("UPDATE tasks SET proof = 'wanted' WHERE id = 1", "only a task in review is proved"),
    (claim_of("8", number="2", role="'reviewer'", agent_id="'eve'"), "its checks have not passed yet"),
    (claim_of("7", number="2", role="'reviewer'", agent_id="'eve'"), "a check of this task is still being run"),
    # Nothing is replaced, by whichever conflict clause.
    *[
        (f"INSERT {how} {what}", word)
        for how in ("", "OR REPLACE", "OR IGNORE", "OR FAIL", "OR ROLLBACK")
        for what, word in [
            (f"{NEW_TASK} (1, 'forge', 'ada', 'x')", "not replaced"),
            (NEW_SLOT_TASK, "slot occurrence has its task"),
            (f"{NEW_EVENT} (1, '{NOW}', 'x', 'y')", "append-only"),
            (f"{NEW_OUTPUT} (1, 1, 1, 'code', 'x', 'y', 1, '', '{NOW}')", "append-only"),
            (f"{NEW_COMMENT} (1, 1, 1, 'x', 'y', '{NOW}')", "append-only"),
            (claim_of("2", id="1")[7:], "not replaced"),
            (claim_of("2", token_hash="(SELECT token_hash FROM attempts WHERE id = 2)")[7:], "not replaced"),
            ("INTO dependencies VALUES (2, 3)", "needs that one already"),
        ]
    ],
    (f"INSERT {NEW_TASK} (1, 'forge', 'ada', 'x') ON CONFLICT (id) DO UPDATE SET title = 'y'", "not replaced"),
    # Nothing is renamed, by whichever of its names.
    *[
        (f"UPDATE {how} {table} SET {name} = {to} WHERE id = 1", word)
        for how in ("", "OR REPLACE", "OR IGNORE")
        for name in ("id", "rowid", "oid", "_rowid_")
        for to in (2, 99)
        for table, word in [("tasks", "keeps its id"), ("attempts", "change hands"), ("events", "append-only"),
                            ("outputs", "append-only"), ("comments", "append-only")]
    ],
    ("UPDATE OR REPLACE attempts SET token_hash = (SELECT token_hash FROM attempts WHERE id = 2) WHERE id = 1", "change hands"),
    ("UPDATE OR REPLACE tasks SET slot_id = 1, occurrence = 'once' WHERE id = 1", "keeps its id, project, slot"),
    *[(f"UPDATE tasks SET {what} WHERE id = 2", "keeps its id") for what in
      ("project_id = 'x'", "parent_id = 1", "posted_at = 'x'", "parent_id = 2")],
    *[(f"UPDATE attempts SET {what} WHERE id = 1", "change hands") for what in
      ("task_id = 2", "number = 2", "role = 'reviewer'", "agent_id = 'bob'", "claimed_at = 'x'", "claimed_by = 'x'")],
    # Said is said.
    ("UPDATE events SET reason = 'x'", "append-only"),
    ("UPDATE outputs SET summary = 'x'", "append-only"),
    ("UPDATE comments SET body = 'x'", "append-only"),
    (f"INSERT {NEW_EVENT} (-1, '{NOW}', 'x', 'y')", "id > 0"),
    (f"INSERT {NEW_EVENT} (9223372036854775807, '{NOW}', 'x', 'y')", "without a gap"),
    (f"INSERT {NEW_EVENT} (5000, '{NOW}', 'x', 'y')", "without a gap"),
    (f"INSERT {NEW_TASK} (-1, 'forge', 'ada', 'x')", "id > 0"),
    (f"INSERT {NEW_TASK} (0, 'forge', 'ada', 'x')", "id > 0"),
    (claim_of("2", id="-1"), "id > 0"),
    # A task begins at its beginning.
    *[(f"INSERT INTO tasks (project_id, agent_id, title, {name}) VALUES ('forge', 'ada', 'x', {value})", "begins as pending")
      for name, value in [("status", "'done'"), ("ready", "1"), ("attempt_id", "1"), ("rev", "1"), ("verb", "'x'"),
                          ("ended_at", "'x'"), ("deps_open", "1"), ("blocked_kind", "'transient'")]],
    ("INSERT INTO tasks (project_id, agent_id, title) VALUES ('nowhere', 'ada', 'x')", "no such project"),
    ("INSERT INTO tasks (project_id, agent_id, title) VALUES ('forge', 'nobody', 'x')", "no such agent"),
    ("INSERT INTO tasks (project_id, agent_id, title, parent_id) VALUES ('forge', 'ada', 'x', 99)", "no such parent"),
    ("INSERT INTO tasks (id, project_id, agent_id, title, parent_id) VALUES (99, 'forge', 'ada', 'x', 99)", "no such parent"),
    ("INSERT INTO tasks (project_id, title) VALUES ('forge', 'x')", "CHECK"),
    ("INSERT INTO tasks (project_id, agent_id, role, title) VALUES ('forge', 'ada', 'smith', 'x')", "CHECK"),
    ("INSERT INTO tasks (project_id, agent_id, title) VALUES ('forge', 'ada', '')", "CHECK"),
    ("INSERT INTO tasks (project_id, agent_id, title, due_at) VALUES ('forge', 'ada', 'x', '2026-01-31 09:00')", "CHECK"),
    # Claims.
    (claim_of("1", number="2"), "not proved gone"),
    (claim_of("4", number="2"), "not proved gone"),
    (claim_of("2", number="2"), "without a gap"),
    (claim_of("2", number="0"), "without a gap"),
    (claim_of("99"), "claims a pending task"),
    (claim_of("6", number="2"), "claims a pending task"),
    (claim_of("6", number="2", role="'reviewer'"), "claims a pending task"),
    (claim_of("2", role="'reviewer'"), "claims a pending task"),
    (claim_of("2", agent_id="'eve'"), "not for this agent"),
    (claim_of("2", agent_id="'nobody'"), "no such agent"),
    (claim_of("2", claimed_by="'person:root'"), "made by the engine"),
    (claim_of("2", claimed_by="'sql'"), "made by the engine"),
    (claim_of("2", claimed_by="'engine:'"), "made by the engine"),
    (claim_of("2", claimed_at="'yesterday'"), "a claim has its time"),
    (claim_of("2", claimed_at="NULL"), "a claim has its time"),
    *[(claim_of("2", **{name: f"'{NOW}'"}), "begins live") for name in ("ended_at", "gone_at", "outcome")],
    (moved(2, "claim", "claimed", "engine:tick", ", attempt_id = 1"), "attempt_id is the latest"),
    (moved(2, "claim", "claimed", "engine:tick"), "a claim is an INSERT"),
    ("UPDATE tasks SET attempt_id = NULL WHERE id = 1", "attempt_id is the latest"),
    ("UPDATE tasks SET attempt_id = 2 WHERE id = 3", "attempt_id is the latest"),
    ("UPDATE tasks SET handed_over = 'so' WHERE id = 2", "only a task in review"),
    # Both ends of an attempt.
    (f"UPDATE attempts SET outcome = 'lost', ended_at = '{NOW}' WHERE id = 1", "by moving its task"),
    (f"UPDATE attempts SET gone_at = '{NOW}' WHERE id = 1", "set ended_at first"),
    (f"UPDATE OR IGNORE attempts SET gone_at = '{NOW}' WHERE id = 1", "set ended_at first"),
    (f"UPDATE attempts SET outcome = 'lost', ended_at = '{NOW}', gone_at = '{NOW}' WHERE id = 3", "set ended_at first"),
    ("UPDATE attempts SET ended_at = NULL WHERE id = 2", "stays ended"),
    (f"UPDATE attempts SET ended_at = '{NOW}' WHERE id = 2", "stays ended"),
    (f"UPDATE attempts SET ended_at = '{NOW}' WHERE id = 3", "CHECK"),
    ("UPDATE attempts SET gone_at = NULL WHERE id = 2", "gone stays gone"),
    (f"UPDATE attempts SET gone_at = '{NOW}' WHERE id = 2", "gone stays gone"),
    ("UPDATE attempts SET outcome = 'lost' WHERE id = 2", "of an ended attempt stays"),
    ("UPDATE attempts SET outcome = NULL WHERE id = 2", "of an ended attempt stays"),
    ("UPDATE attempts SET outcome = 'vapour' WHERE id = 1", "no such outcome"),
    # Moves that are not whole. OR IGNORE would swallow what the event's own constraints say.
    *[(moved(1, "block", "blocked", "engine:x").replace("UPDATE", f"UPDATE {how}").replace(f"'{NOW}'", time), "a move has its time")
      for how in ("", "OR IGNORE", "OR REPLACE") for time in ("NULL", "'now'", "'2026-03-01 00:00:00'")],
    *[(moved(2, "cancel", "cancelled", actor), word) for actor, word in
      [("person", "role:name"), ("person:", "role:name"), ("person engine:x", "role:name"), ("", "role:name"),
       ("sql", "role:name"), ("root", "role:name"), ("executor:ada", "no such move for this actor"), ("reviewer:eve", "reviewer''s")]],
    (moved(2, "reject", "pending", "person:x"), "in this state already"),
    (moved(4, "approve", "done", "reviewer:eve"), "reviewer''s"),
    (moved(6, "reopen", "pending", "engine:x"), "no such move for this actor"),
    ("UPDATE tasks SET status = 'done' WHERE id = 2", "no such move by SQL"),
    ("UPDATE tasks SET status = 'claimed' WHERE id = 2", "a claim is an INSERT"),
    (moved(2, "cancel", "cancelled", "person:x", ", ended_at = '2001-01-01T00:00:00.000Z'"), "ended_at follows"),
    (f"UPDATE tasks SET ended_at = '{NOW}' WHERE id = 2", "ended_at follows"),
    (f"UPDATE tasks SET ended_at = '{NOW}' WHERE id = 6", "ended_at follows"),
    ("UPDATE tasks SET ended_at = NULL WHERE id = 6", "ended_at follows"),
    ("UPDATE tasks SET ready = 1 WHERE id = 1", "can be ready"),
    ("UPDATE tasks SET ready = 1 WHERE id = 2", "can be ready"),
    ("UPDATE tasks SET not_before = 'tomorrow' WHERE id = 2", "CHECK"),
    # What an attempt hands in, and to whom.
    (f"INSERT {NEW_OUTPUT} (99, 6, 2, 'code', 'x', 'y', 1, '', '{NOW}')", "hands nothing in"),
    (f"INSERT {NEW_OUTPUT} (99, 3, 2, 'code', 'x', 'y', 1, '', '{NOW}')", "hands nothing in"),
    (f"INSERT {NEW_OUTPUT} (99, 3, 3, 'code', 'x', 'y', 1, '', '{NOW}')", "hands nothing in"),
    (f"INSERT {NEW_OUTPUT} (99, 99, NULL, 'code', 'x', 'y', 1, '', '{NOW}')", "no such task"),
    (f"INSERT {NEW_OUTPUT} (99, 1, 1, 'poem', 'x', 'y', 1, '', '{NOW}')", "CHECK"),
    (f"INSERT {NEW_OUTPUT} (99, 1, 1, 'code', 'x', NULL, 1, '', '{NOW}')", "CHECK"),
    (f"INSERT {NEW_COMMENT} (99, 99, NULL, 'x', 'y', '{NOW}')", "no such task"),
    (f"INSERT {NEW_COMMENT} (99, 2, 1, 'x', 'y', '{NOW}')", "on its own task"),
    (f"INSERT {NEW_COMMENT} (99, 1, NULL, 'x', '', '{NOW}')", "CHECK"),
    # Needs.
    ("INSERT INTO dependencies VALUES (2, 2)", "cannot need itself"),
    ("INSERT OR IGNORE INTO dependencies VALUES (2, 2)", "cannot need itself"),
    ("INSERT INTO dependencies VALUES (2, 99)", "no such task"),
    ("INSERT INTO dependencies VALUES (1, 2)", "only a pending or blocked task"),
    ("INSERT INTO dependencies VALUES (99, 2)", "only a pending or blocked task"),
    ("UPDATE dependencies SET needs_id = 5", "delete the dependency"),
    # What agents may change.
    ("DELETE FROM permissions", "permissions are kept"),
    *[(f"INSERT {how} INTO permissions (subject, type, scope) VALUES ('group:smith', 'slots', '*')", "there already")
      for how in ("", "OR REPLACE", "OR IGNORE")],
    ("INSERT OR REPLACE INTO permissions (id, subject, type, scope) VALUES (2, 'agent:bob', '*', '*')", "there already"),
    (f"INSERT INTO permissions (subject, type, scope, revoked_at) VALUES ('agent:bob', '*', '*', '{NOW}')", "begins as one that holds"),
    *[(f"UPDATE OR REPLACE permissions SET {what} WHERE id = 2", "only the effect") for what in
      ("subject = 'agent:ada'", "scope = 'self'", "type = '*'", "rowid = 1", "revoked_at = NULL", "effect = 'deny'", "created_at = 'x'")],
    # Everything at once.
    ("DELETE FROM whole_board", "this row stays"),
    ("INSERT INTO whole_board (one) VALUES (2)", "CHECK"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "word"), REFUSED, ids=[sql[:70] for sql, _ in REFUSED])
def test_it_is_refused_with_a_sentence_and_nothing_changes(board: RawBoard, statement: str, word: str) -> None:
    before = content(board.connection)

    with pytest.raises(sqlite3.IntegrityError, match=word.replace("''", "'").replace("(", r"\(")):
        board.run(statement)

    assert content(board.connection) == before


@pytest.mark.parametrize("pragma", ["", "PRAGMA recursive_triggers = ON;"])
def test_the_shell_is_refused_the_same(tmp_path: Path, pragma: str) -> None:
    b = small(tmp_path / "board")
    before = content(b.connection)
    script = "".join(f"{statement};\n" for statement, _ in REFUSED)

    done = shell(tmp_path / "board", f".bail off\nPRAGMA foreign_keys = OFF;\n{pragma}\n{script}")

    refusals = done.stderr.splitlines()
    assert len(refusals) == len(REFUSED)
    for (statement, word), refusal in zip(REFUSED, refusals, strict=True):
        assert word.replace("''", "'") in refusal, (statement, refusal)
    assert content(b.connection) == before
    assert check(tmp_path / "board", SCHEMA) == []


def test_every_sentence_of_the_schema_is_heard_here() -> None:
    said = {part.split("')")[0] for part in SCHEMA.split("RAISE(ABORT, '")[1:]}
    heard = {sentence for sentence in said if any(word in sentence for _, word in REFUSED)}
    assert len(said) > 30
    assert {sentence.split(":")[0] for sentence in said - heard} == {
        "this attempt has no output yet", "a child task is not final yet", "nobody reviews their own work"}  # fmt: skip


# --- What is allowed, and what it brings with it ------------------------------------------------------------------------


def test_an_attempt_without_an_output_cannot_be_submitted(board: RawBoard) -> None:
    attempt = board.works(2)
    with pytest.raises(sqlite3.IntegrityError, match="no output yet"):
        board.move(2, "submit", "review", "executor:ada")
    board.hand_in(attempt)
    board.move(2, "submit", "review", "executor:ada")


def test_an_output_of_a_former_attempt_does_not_count(board: RawBoard) -> None:
    board.gone(board.value("SELECT attempt_id FROM tasks WHERE id = 4"))
    board.works(4)
    with pytest.raises(sqlite3.IntegrityError, match="no output yet"):
        board.move(4, "submit", "review", "executor:ada")
    board.run("UPDATE tasks SET needs_output = 0 WHERE id = 4")
    board.move(4, "submit", "review", "executor:ada")


def test_a_parent_waits_for_its_children(board: RawBoard) -> None:
    child = board.post(parent_id=1)
    with pytest.raises(sqlite3.IntegrityError, match="child task is not final"):
        board.move(1, "submit", "review", "executor:ada")
    board.move(child, "cancel", "cancelled", "person:root")
    board.move(1, "submit", "review", "executor:ada")


def test_nobody_reviews_their_own_work(board: RawBoard) -> None:
    board.run("UPDATE attempts SET outcome = 'lost', ended_at = :now WHERE id = 3", now=board.now())
    board.gone(3)
    with pytest.raises(sqlite3.IntegrityError, match="own work"):
        board.claim(3, "ada", "reviewer")
    board.claim(3, "bob", "reviewer")


def test_a_review_that_ends_alone_leaves_its_task_in_review(board: RawBoard) -> None:
    board.run("UPDATE attempts SET outcome = 'lost', ended_at = :now WHERE id = 3", now=board.now())

    assert board.value("SELECT status FROM tasks WHERE id = 3") == "review"
    assert board.value("SELECT actor FROM events WHERE verb = 'ended' ORDER BY id DESC") == "engine:monitor"


def test_a_role_lets_its_agents_claim_and_no_other(board: RawBoard) -> None:
    task = board.post(agent_id=None, role="smith")
    with pytest.raises(sqlite3.IntegrityError, match="not for this agent"):
        board.claim(task, "eve")
    board.claim(task, "bob")


@pytest.mark.parametrize("length", [2, 3, 6])
def test_a_circle_of_needs_is_refused_at_its_last_link(board: RawBoard, length: int) -> None:
    ring = [board.post() for _ in range(length)]
    for task, needed in pairwise(ring):
        board.run(f"INSERT INTO dependencies VALUES ({task}, {needed})")

    with pytest.raises(sqlite3.IntegrityError, match="not even by way of others"):
        board.run(f"INSERT INTO dependencies VALUES ({ring[-1]}, {ring[0]})")


def test_open_needs_follow_what_is_needed(board: RawBoard) -> None:
    def open_and_ready() -> tuple[int, int]:
        return board.connection.execute("SELECT deps_open, ready FROM tasks WHERE id = 2").fetchone()

    assert open_and_ready() == (1, 0)
    board.run("UPDATE tasks SET status = 'done' WHERE id = 3")
    assert open_and_ready() == (0, 0)
    board.run("UPDATE tasks SET ready = 1 WHERE id = 2")
    board.run("UPDATE tasks SET status = 'pending' WHERE id = 3")
    assert open_and_ready() == (1, 0)
    board.run("DELETE FROM dependencies")
    board.run("UPDATE tasks SET ready = 1 WHERE id = 2")
    assert open_and_ready() == (0, 1)
    board.run("INSERT INTO dependencies VALUES (2, 1)")
    assert open_and_ready() == (1, 0)
    assert check_connection(board.connection, SCHEMA) == []


def told(b: RawBoard, task: int) -> list[tuple[str, str, dict[str, object]]]:
    """Verb, actor and data of a task's events, newest first."""
    rows = b.connection.execute("SELECT verb, actor, data FROM events WHERE task_id = ? ORDER BY id DESC", (task,))
    return [(verb, actor, json.loads(data or "{}")) for verb, actor, data in rows]


def test_what_a_move_changes_of_the_plan_is_told_too(board: RawBoard) -> None:
    board.run(
        "UPDATE tasks SET status = 'blocked', due_at = :now, not_before = :now, priority = 9 WHERE id = 2", now=NOW
    )
    board.move(5, "cancel", "cancelled", "person:root", agent_id="bob", title="new")

    assert {verb: (data.get("due_at"), data.get("not_before"), data.get("priority")) for verb, _, data in told(board, 2)[:2]} == {
        "block": (None, None, None), "replan": (NOW, NOW, 9)}  # fmt: skip
    assert {(verb, actor) for verb, actor, _ in told(board, 5)[:3]} == {
        ("cancel", "person:root"), ("replan", "sql"), ("edit", "person:root")}  # fmt: skip
    assert check_connection(board.connection, SCHEMA) == []


def test_a_replan_makes_a_ready_task_wait_again_and_names_its_planner(board: RawBoard) -> None:
    board.run("UPDATE tasks SET ready = 1 WHERE id = 5")
    board.run(
        "UPDATE tasks SET due_at = :now, plan_rev = plan_rev + 1, planned_by = 'engine:slots' WHERE id = 5", now=NOW
    )

    assert board.value("SELECT ready FROM tasks WHERE id = 5") == 0
    assert told(board, 5)[0][:2] == ("replan", "engine:slots")


def test_a_planner_without_a_name_is_told_as_sql(board: RawBoard) -> None:
    board.run("UPDATE OR IGNORE tasks SET priority = 8, plan_rev = plan_rev + 1 WHERE id = 5")

    assert told(board, 5)[0][:2] == ("replan", "sql")


@pytest.mark.parametrize(
    ("column", "value"),
    [("title", "new"), ("description", "d"), ("task_type", "t"), ("must_haves", "m"), ("data", '{"a":1}'), ("max_tries", 9),
     ("backoff_seconds", 1.5), ("backoff_cap_seconds", 2.5), ("wall_seconds", 3.5), ("idle_seconds", 4.5),
     ("startup_seconds", 5.5), ("settle_seconds", 6.5), ("review", "auto"), ("max_rejections", 7), ("needs_output", 0),
     ("waits_for_children", 0)],
)  # fmt: skip
def test_an_edit_tells_what_it_changed_and_only_then(board: RawBoard, column: str, value: object) -> None:
    board.run(f"UPDATE tasks SET {column} = :value WHERE id = 2", value=value)
    board.run(f"UPDATE tasks SET {column} = :value WHERE id = 2", value=value)

    edits = [entry for entry in told(board, 2) if entry[0] == "edit"]
    assert edits == [("edit", "sql", {column: value})]


def test_a_verb_that_blocks_without_a_kind_asks_for_input(board: RawBoard) -> None:
    board.move(2, "block", "blocked", "engine:x")
    assert board.value("SELECT blocked_kind FROM tasks WHERE id = 2") == "needs_input"
    board.move(2, "unblock", "pending", "person:root")
    assert board.value("SELECT blocked_kind FROM tasks WHERE id = 2") is None
    assert check_connection(board.connection, SCHEMA) == []


def test_an_agents_pause_is_told(board: RawBoard) -> None:
    board.run("UPDATE agents SET paused_at = :now, pause_reason = 'rest' WHERE id = 'ada'", now=NOW)
    board.run("UPDATE agents SET paused_at = NULL, rev = rev + 1, actor = 'person:root' WHERE id = 'ada'")
    board.run("UPDATE agents SET enabled = 0 WHERE id = 'ada'")

    rows = board.connection.execute("SELECT verb, actor, reason FROM events WHERE agent_id = 'ada' AND task_id IS NULL")
    assert rows.fetchall() == [("agent_paused", "sql", "rest"), ("agent_resumed", "person:root", None), ("agent_disabled", "sql", None)]  # fmt: skip
