"""The doctor: silent about a board with a rich history, and each planted fault is named by its own rule alone."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.doctor import check, check_connection, file, shape, stories
from tests.raw_board import SCHEMA, RawBoard

LATER = "2026-02-01T00:00:00.000Z"


def rich() -> RawBoard:
    """Everything that can happen, by verbs and by bare SQL. Task n of the comments is the id n."""
    b = RawBoard()
    b.post()  # 1: done at the second try, after a rejection
    b.hands_in(1)
    b.comment(1)
    b.move(1, "reject", "pending", "person:root", reason="too short")
    attempt = b.works(1)
    b.comment(1, attempt)
    b.hand_in(attempt)
    b.move(1, "submit", "review", "executor:ada")
    b.gone(attempt)
    b.move(1, "approve", "done", "person:root", reason="good")
    b.post(agent_id=None, role="smith")  # 2: reviewed by agents: one without a verdict, one approves
    b.hands_in(2, "bob")
    review = b.claim(2, "eve", "reviewer")
    b.run("UPDATE attempts SET outcome = 'lost', ended_at = :now WHERE id = :id", id=review, now=b.now())
    b.gone(review)
    b.claim(2, "ada", "reviewer")
    b.move(2, "approve", "done", "reviewer:ada")
    b.post()  # 3: released, retried later, failed, reopened, blocked, answered, blocked again
    attempt = b.claim(3)
    b.move(3, "release", "pending", "engine:tick", reason="no shell", not_before=LATER)
    b.gone(attempt)
    attempt = b.works(3)
    b.run("UPDATE attempts SET outcome = 'idle' WHERE id = :id", id=attempt)
    b.move(3, "retry", "pending", "engine:monitor", reason="idle", not_before=LATER)
    b.gone(attempt)
    attempt = b.works(3)
    b.move(3, "fail", "failed", "executor:ada", reason="cannot")
    b.gone(attempt)
    b.move(3, "reopen", "pending", "person:root")
    attempt = b.works(3)
    b.move(3, "block", "blocked", "executor:ada", reason="which?", blocked_kind="needs_input")
    b.gone(attempt)
    b.move(3, "unblock", "pending", "person:root", reason="that one", answer="that one", blocked_kind=None)
    attempt = b.works(3)
    b.move(3, "block", "blocked", "executor:ada", reason="how?", blocked_kind="capability")
    b.gone(attempt)
    b.post(parent_id=3)  # 4: pending, needs 5 and no longer 1
    b.post(parent_id=4)  # 5: working
    b.run("INSERT INTO dependencies VALUES (4, 5), (4, 1)")
    b.run("DELETE FROM dependencies WHERE needs_id = 1")
    attempt = b.works(5)
    b.run(
        "INSERT INTO events (at, verb, actor, task_id, attempt_id) VALUES (:now, 'spawned', 'engine:x', 5, :a)",
        now=b.now(),
        a=attempt,
    )
    b.hand_in(attempt)
    b.post(slot_id=1, occurrence="2026-01-31", not_before=LATER)  # 6: replanned and edited, by a verb and by hand
    b.run(
        "UPDATE tasks SET priority = 9, wall_seconds = 60, plan_rev = plan_rev + 1, planned_by = 'engine:slots' WHERE id = 6"
    )
    b.run("UPDATE tasks SET due_at = :later, title = 'two nails' WHERE id = 6", later=LATER)
    b.run("UPDATE tasks SET ready = 1 WHERE id = 6")
    b.post(slot_id=1, occurrence="2026-02-01")  # 7: an operator's bare moves; and what they change beside
    attempt = b.works(7)
    b.run("UPDATE tasks SET status = 'blocked', priority = 1, title = 'bent' WHERE id = 7")
    b.gone(attempt)
    b.run("UPDATE tasks SET status = 'cancelled', not_before = :later WHERE id = 7", later=LATER)
    b.run("UPDATE tasks SET status = 'pending', agent_id = 'bob' WHERE id = 7")
    b.post()  # 8: in review, with a reviewer at it
    b.hands_in(8)
    b.claim(8, "eve", "reviewer")
    b.comment(8)
    b.post()  # 9: claimed
    b.claim(9)
    b.post(reviewer="agent:eve")  # 10: a review handed over, back by an operator, and over again
    b.hands_in(10)
    over = "UPDATE tasks SET handed_over = :why, plan_rev = plan_rev + 1, planned_by = 'engine:reviews' WHERE id = 10"
    b.run(over, why="nobody is free")
    b.run("UPDATE tasks SET handed_over = NULL WHERE id = 10")
    review = b.claim(10, "eve", "reviewer")
    b.run("UPDATE attempts SET outcome = 'lost', ended_at = :now WHERE id = :id", id=review, now=b.now())
    b.gone(review)
    b.run(over, why="it was lost")
    b.run("UPDATE agents SET paused_at = :now, pause_reason = 'rest' WHERE id = 'eve'", now=b.now())
    b.post(checks='[{"run":["make"]},{"path":"x"}]')  # 11: sent back by a check, verified the second time, and done
    b.hands_in(11)
    b.check(11, 1, "interrupted")
    b.check(11, 1, "failed")
    b.run("UPDATE tasks SET proof = 'failed' WHERE id = 11")
    b.move(11, "reject", "pending", "engine:proofs", reason="check 'make' failed")
    b.hands_in(11)
    b.check(11, 1)
    b.check(11, 2)
    b.run("UPDATE tasks SET proof = 'passed' WHERE id = 11")
    b.move(11, "approve", "done", "engine:policy")
    b.post(checks='[{"run":["make"]}]')  # 12: in review, while its check is being run
    b.hands_in(12)
    b.check(12, 1, None)
    b.run(
        "INSERT INTO watch_pushes VALUES (1, 'agent:ada', 'hub', 0, 'acknowledged', 1, NULL, :now, :now, NULL)",
        now=b.now(),
    )
    b.run("INSERT INTO watch_pushes VALUES (2, 'agent:ada', 'hub', 0, 'open', 1, NULL, :now, NULL, NULL)", now=b.now())
    b.run(
        "INSERT INTO watch_changes VALUES (1, 'hub', 'agent:ada', 'hub', 'a', 'added', '{}', 0, :now, 'acknowledged', 0, 1),"
        " (2, 'hub', 'agent:ada', 'hub', 'b', 'added', '{}', 0, :now, 'pushed', 0, 2),"
        " (3, 'hub', 'agent:ada', 'hub', 'c', 'added', '{}', 0, :now, 'waiting', 0, NULL)",
        now=b.now(),
    )
    b.run("INSERT INTO accounts (id) VALUES ('shared'), ('free'), ('shut')")  # limited, limited no more, paused
    limit = "UPDATE accounts SET limited_at = :now, limited_until = :later WHERE id <> 'shut'"
    b.run(limit, now=b.now(), later=LATER)
    b.run("UPDATE accounts SET limited_at = NULL, limited_until = NULL WHERE id = 'free'")
    b.run("UPDATE accounts SET canary_id = (SELECT id FROM attempts WHERE task_id = 5) WHERE id = 'shared'")
    b.run("UPDATE accounts SET paused_at = :now WHERE id = 'shut'", now=b.now())
    for scope in ("*", "self"):  # granted, then denied; granted, then revoked
        b.run("INSERT INTO permissions (subject, type, scope) VALUES ('agent:ada', 'slots', :scope)", scope=scope)
    b.run("UPDATE permissions SET effect = 'deny' WHERE id = 1")
    b.run("UPDATE permissions SET revoked_at = :now WHERE id = 2", now=b.now())
    b.run(
        "INSERT INTO notices (key, kind, topic, title, created_at, routed_at) VALUES ('k', 'blocked', 'task:3', 'stuck', :now, :now)",
        now=b.now(),
    )
    b.run(
        "INSERT INTO deliveries (notice_id, sink, state, message, next_at, settled_at) VALUES (1, 'a', 'delivered', 'msg_x_1', :now, :now)",
        now=b.now(),
    )
    b.run("INSERT INTO deliveries (notice_id, sink, message, next_at) VALUES (1, 'b', 'msg_x_2', :now)", now=b.now())
    return b


@pytest.fixture(scope="module")
def history() -> RawBoard:
    return rich()


@pytest.fixture
def board(history: RawBoard) -> Iterator[sqlite3.Connection]:
    """A copy of the rich board, to spoil."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    history.connection.backup(copy)
    yield copy
    copy.close()


def past_the_rules(board: sqlite3.Connection, script: str) -> None:
    """Run a script with every trigger, CHECK and foreign key out of the way, then put the triggers back."""
    triggers = board.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        board.execute(f"DROP TRIGGER {name}")
    board.executescript(f"PRAGMA ignore_check_constraints = ON; {script}; PRAGMA ignore_check_constraints = OFF;")
    for _, sql in triggers:
        board.execute(sql)


def named(board: sqlite3.Connection, schema: str | None = SCHEMA) -> set[str]:
    return {finding.rule for finding in check_connection(board, schema)}


def test_a_board_with_a_rich_history_has_nothing_wrong(board: sqlite3.Connection) -> None:
    assert check_connection(board, SCHEMA) == []
    assert {status for (status,) in board.execute("SELECT DISTINCT status FROM tasks")} >= {"done", "blocked", "review"}


def test_an_empty_board_has_nothing_wrong() -> None:
    assert check_connection(RawBoard().connection, SCHEMA) == []


# --- Every rule, and a fault that it alone names ----------------------------------------------------------------------

EVENT = "INSERT INTO events (at, verb, actor, task_id, attempt_id, src, dst, data) VALUES"
NOW = "2026-01-31T12:00:00.000Z"

FAULTS: list[tuple[str, str]] = [
    ("integrity", "UPDATE tasks SET needs_output = 7 WHERE id = 1"),
    ("foreign_keys", "UPDATE tasks SET project_id = 'nowhere' WHERE id = 1"),
    (
        "working_has_an_executor",
        f"UPDATE attempts SET outcome = 'lost', ended_at = '{NOW}' WHERE task_id = 9;"
        f"{EVENT} ('{NOW}', 'ended', 'engine:x', 9, (SELECT id FROM attempts WHERE task_id = 9), NULL, NULL,"
        """ '{"number":1,"outcome":"lost"}')""",
    ),
    (
        "executor_only_where_work_is",
        f"UPDATE tasks SET status = 'pending', rev = rev + 1, verb = 'release', actor = 'engine:x', moved_at = '{NOW}' WHERE id = 9;"
        f"{EVENT} ('{NOW}', 'release', 'engine:x', 9, NULL, 'claimed', 'pending', NULL)",
    ),
    (
        "reviewer_only_in_review",
        f"UPDATE tasks SET status = 'done', rev = rev + 1, verb = 'approve', actor = 'person:x', reason = NULL, moved_at = '{NOW}', ended_at = '{NOW}' WHERE id = 8;"
        f"{EVENT} ('{NOW}', 'approve', 'person:x', 8, NULL, 'review', 'done', NULL)",
    ),
    (
        "one_attempt_not_gone",
        "DROP INDEX one_attempt_not_gone; UPDATE attempts SET gone_at = NULL WHERE task_id = 3;"
        "UPDATE events SET verb = 'forgotten' WHERE verb = 'gone' AND task_id = 3",
    ),
    (
        "attempts_count_up",
        "UPDATE attempts SET number = 7 WHERE task_id = 9;"
        "UPDATE events SET data = json_set(data, '$.number', 7) WHERE task_id = 9 AND verb = 'claim'",
    ),
    ("task_names_its_latest_attempt", "UPDATE tasks SET attempt_id = 1 WHERE id = 1"),
    ("task_names_its_latest_attempt", "UPDATE tasks SET attempt_id = NULL WHERE id = 1"),
    ("final_has_an_end", "UPDATE tasks SET ended_at = NULL WHERE id = 1"),
    ("final_has_an_end", "UPDATE tasks SET ended_at = moved_at WHERE id = 9"),
    ("ready_can_be_claimed", "UPDATE tasks SET ready = 1 WHERE id = 3"),
    ("ready_can_be_claimed", "UPDATE tasks SET ready = 1 WHERE id = 4"),
    ("open_needs_are_counted", "UPDATE tasks SET deps_open = 0 WHERE id = 4"),
    (
        "needs_form_no_circle",
        "INSERT INTO dependencies VALUES (5, 4); UPDATE tasks SET deps_open = 1 WHERE id = 5;"
        f"""{EVENT} ('{NOW}', 'need', 'sql', 5, NULL, NULL, NULL, '{{"needs":4}}')""",
    ),
    ("parents_form_no_circle", "UPDATE tasks SET parent_id = 5 WHERE id = 3"),
    ("one_task_an_occurrence", "DROP INDEX one_task_an_occurrence; UPDATE tasks SET occurrence = 'once' WHERE slot_id = 1"),
    (
        "attempts_end_whole",
        "UPDATE attempts SET outcome = 'vapour' WHERE outcome = 'idle';"
        "UPDATE events SET data = json_set(data, '$.outcome', 'vapour') WHERE json_extract(data, '$.outcome') = 'idle'",
    ),
    (
        "nobody_reviews_own_work",
        "UPDATE attempts SET agent_id = 'ada' WHERE task_id = 8;"
        "UPDATE events SET data = json_set(data, '$.agent', 'ada') WHERE verb = 'claim_review' AND task_id = 8",
    ),
    ("outputs_are_of_their_task", "UPDATE outputs SET attempt_id = 1 WHERE task_id = 5"),
    ("uploads_are_named_by_their_content", "UPDATE outputs SET content = NULL, content_path = '../x', kept = 1 WHERE id = 1"),
    ("comments_are_of_their_task", "UPDATE comments SET attempt_id = 1 WHERE task_id = 8"),
    ("nothing_runs_beside_a_check", "UPDATE attempts SET gone_at = NULL WHERE task_id = 12; UPDATE events SET verb = 'note' WHERE verb = 'gone' AND task_id = 12"),
    ("proof_has_its_evidence", "UPDATE checks SET position = 1 WHERE position = 2"),
    ("proof_has_its_evidence", "UPDATE tasks SET proof = 'failed' WHERE id = 11"),
    ("proof_has_its_evidence", "UPDATE tasks SET proof = NULL WHERE id = 12"),
    ("proof_has_its_evidence", "UPDATE tasks SET proof = 'wanted' WHERE id = 8"),
    ("checks_are_told", "UPDATE checks SET result = 'passed', ended_at = started_at WHERE result IS NULL"),
    ("checks_are_told", "UPDATE checks SET result = 'timed_out' WHERE result = 'failed'"),
    ("checks_are_told", "DELETE FROM checks WHERE result = 'interrupted'"),
    ("times_sort", "UPDATE outputs SET created_at = '31.1.2026' WHERE id = 1"),
    ("times_sort", "UPDATE tasks SET begin_by = '2026-01-31 09:00' WHERE id = 6"),
    ("times_sort", "UPDATE tasks SET end_by = '2026-01-31T09:00:00Z' WHERE id = 6"),
    ("times_sort", "UPDATE slots SET posted_until = '2026-01-31T09:00:00Z'"),
    ("times_sort", "UPDATE accounts SET proved_at = 'today' WHERE id = 'free'"),
    ("times_sort", "INSERT INTO sources (name, next_at) VALUES ('x', 'soon')"),
    ("times_sort", "INSERT INTO sources (name, stale_at) VALUES ('x', '2026-01-31')"),
    ("times_sort", f"INSERT INTO presence_reports VALUES ('eve', 'agent', 'busy', 'agent:eve', NULL, '{NOW}', 'late')"),
    ("times_sort", "INSERT INTO presence_pushes (agent_id, sink, next_at) VALUES ('eve', 'x', 'soon')"),
    ("times_sort", "UPDATE agents SET budget_warned_at = '2026-01-31', budget_spent_at = '2026-01-31'"),
    (
        "times_sort",
        "INSERT INTO idempotency VALUES (x'01', 'k', 'POST /x', x'02', 200, '{}', '31.1.2026')",
    ),
    ("events_count_up", "DELETE FROM events WHERE verb = 'spawned'"),
    ("events_have_their_task", f"{EVENT} ('{NOW}', 'post', 'sql', 999, NULL, NULL, 'pending', NULL)"),
    ("begins_with_its_post", "UPDATE events SET verb = 'note', dst = NULL WHERE verb = 'post' AND task_id = 1"),
    ("begins_with_its_post", "UPDATE events SET slot_id = NULL WHERE verb = 'post' AND task_id = 6"),
    ("begins_with_its_post", "UPDATE events SET verb = 'post', dst = NULL WHERE verb = 'spawned'"),
    ("moves_follow_each_other", "UPDATE events SET src = 'claimed' WHERE verb = 'retry'"),
    ("moves_are_legal", "UPDATE events SET actor = 'person:x' WHERE verb = 'retry'"),
    ("moves_are_legal", "UPDATE events SET actor = 'sql' WHERE verb = 'start' AND task_id = 1"),
    ("moves_are_legal", "UPDATE events SET verb = 'release' WHERE verb = 'retry'"),
    ("only_the_living_report", "UPDATE events SET actor = 'reviewer:eve' WHERE verb = 'reject' AND task_id = 1"),
    (
        "only_the_living_report",
        "INSERT INTO outputs SELECT 99, task_id, attempt_id, agent_id, type, title, content, content_path, kept, size, sha256, summary, created_at FROM outputs WHERE id = 1;"
        f"""{EVENT} ('{NOW}', 'output', 'executor:ada', 1, 1, NULL, NULL, '{{"id":99}}')""",
    ),
    ("status_is_told", "UPDATE tasks SET status = 'blocked' WHERE id = 4"),
    ("rev_counts_moves", "UPDATE tasks SET rev = 99 WHERE id = 1"),
    ("plan_rev_counts_replans", "UPDATE tasks SET plan_rev = 0 WHERE id = 6"),
    ("plan_rev_counts_replans", "UPDATE tasks SET planned_by = 'person:eve' WHERE id = 6"),
    ("last_move_is_told", "UPDATE tasks SET actor = 'person:eve' WHERE id = 1"),
    ("last_move_is_told", "UPDATE tasks SET verb = 'reject' WHERE id = 1"),
    ("last_move_is_told", "UPDATE tasks SET reason = 'because' WHERE id = 1"),
    ("last_move_is_told", f"UPDATE tasks SET moved_at = '{NOW}' WHERE id = 1"),
    ("end_is_told", f"UPDATE tasks SET ended_at = '{NOW}' WHERE id = 1"),
    ("plan_is_told", "UPDATE tasks SET priority = 77 WHERE id = 6"),
    ("plan_is_told", f"UPDATE tasks SET due_at = '{NOW}' WHERE id = 4"),
    ("plan_is_told", f"UPDATE tasks SET not_before = '{NOW}' WHERE id = 9"),
    ("plan_is_told", "UPDATE tasks SET agent_id = 'ada' WHERE id = 7"),
    ("plan_is_told", "UPDATE tasks SET role = 'clerk' WHERE id = 2"),
    ("hand_over_is_told", "UPDATE tasks SET handed_over = NULL WHERE id = 10"),
    ("hand_over_is_told", "UPDATE tasks SET handed_over = 'so' WHERE id = 8"),
    ("reviews_begin_in_review", "UPDATE events SET verb = 'note' WHERE verb = 'hand_back'"),
    ("block_is_told", "UPDATE tasks SET blocked_kind = 'transient' WHERE id = 3"),
    ("block_is_told", "UPDATE tasks SET blocked_kind = 'transient' WHERE id = 4"),
    ("claims_are_told", "UPDATE attempts SET claimed_by = 'engine:y' WHERE task_id = 9"),
    ("claims_are_told", "UPDATE attempts SET agent_id = 'bob' WHERE task_id = 9"),
    ("claims_are_told", f"UPDATE attempts SET claimed_at = '{NOW}' WHERE task_id = 9"),
    ("ends_are_told", "UPDATE attempts SET outcome = 'crashed' WHERE outcome = 'idle'"),
    ("ends_are_told", f"UPDATE attempts SET ended_at = '{NOW}' WHERE outcome = 'idle'"),
    ("gone_is_told", f"UPDATE attempts SET gone_at = '{NOW}' WHERE outcome = 'idle'"),
    ("abroad_is_told", f"UPDATE attempts SET abroad_at = '{NOW}' WHERE outcome = 'idle'"),
    ("abroad_is_told", f"{EVENT} ('{NOW}', 'abroad', 'engine:monitor', 1, 1, NULL, NULL, NULL)"),
    (
        "attempts_end_in_order",
        "UPDATE events SET verb = CASE verb WHEN 'ended' THEN 'gone' ELSE 'ended' END, at = CASE verb WHEN 'ended' THEN"
        " (SELECT gone_at FROM attempts WHERE id = 1) ELSE (SELECT ended_at FROM attempts WHERE id = 1) END,"
        """ data = '{"number":1,"outcome":"submitted"}' WHERE attempt_id = 1 AND verb IN ('ended', 'gone')""",
    ),
    ("outputs_are_told", "UPDATE events SET data = '{}' WHERE verb = 'output' AND task_id = 5"),
    ("outputs_are_told", "UPDATE events SET data = '[1, {}]' WHERE verb = 'output' AND task_id = 5"),
    ("comments_are_told", "DELETE FROM comments WHERE id = 1"),
    ("needs_are_told", "DELETE FROM dependencies; UPDATE tasks SET deps_open = 0 WHERE id = 4"),
    ("everything_has_its_row", "DELETE FROM whole_board"),
    ("pauses_are_as_told", "UPDATE agents SET paused_at = NULL WHERE id = 'eve'"),
    ("pauses_are_as_told", "UPDATE accounts SET paused_at = NULL WHERE id = 'shut'"),
    ("permissions_are_as_told", "UPDATE permissions SET effect = 'allow' WHERE id = 1"),
    ("permissions_are_as_told", "UPDATE permissions SET subject = 'agent:eve' WHERE id = 1"),
    ("permissions_are_as_told", "UPDATE permissions SET revoked_at = NULL WHERE id = 2"),
    ("permissions_are_as_told", "DELETE FROM permissions WHERE id = 1"),
    ("permissions_are_as_told", "INSERT INTO permissions (subject, type, scope) VALUES ('agent:eve', '*', '*')"),
    ("permissions_have_their_mark", "DELETE FROM meta WHERE key = 'permissions'"),
    ("times_sort", "UPDATE permissions SET revoked_at = 'today' WHERE id = 2"),
    ("times_sort", "UPDATE permissions SET created_at = 'today' WHERE id = 1"),
    ("accounts_are_tried_by_the_living", "UPDATE accounts SET canary_id = 1 WHERE id = 'shared'"),
    ("limits_are_as_told", "UPDATE accounts SET limited_until = '2026-02-02T00:00:00.000Z' WHERE id = 'shared'"),
    ("limits_are_as_told", "UPDATE accounts SET limited_at = NULL, limited_until = NULL WHERE id = 'shared'"),
    ("limits_are_as_told", f"UPDATE accounts SET limited_at = '{NOW}', limited_until = '{LATER}' WHERE id = 'free'"),
    ("changes_are_as_their_push", "UPDATE watch_changes SET state = 'pushed' WHERE id = 1"),
    ("changes_are_as_their_push", "UPDATE watch_changes SET state = 'acknowledged' WHERE id = 2"),
    ("changes_are_as_their_push", "UPDATE watch_changes SET state = 'waiting' WHERE id = 1"),
    ("pushes_tell_somebody", "UPDATE watch_pushes SET task_id = NULL"),
    ("times_sort", "UPDATE watch_pushes SET posted_at = 'today'"),
    ("times_sort", "UPDATE watch_changes SET seen_at = 'today' WHERE id = 3"),
    ("deliveries_settle_whole", "UPDATE deliveries SET settled_at = NULL WHERE state = 'delivered'"),
    ("deliveries_settle_whole", f"UPDATE deliveries SET settled_at = '{NOW}' WHERE state = 'waiting'"),
    ("deliveries_are_of_a_notice", "UPDATE notices SET routed_at = NULL"),
    ("deliveries_are_of_a_notice", "UPDATE deliveries SET message = NULL WHERE state = 'delivered'"),
    ("messages_are_of_one_sink", "UPDATE deliveries SET message = 'msg_x_1'"),
    ("notices_follow_the_events", "INSERT INTO meta VALUES ('notices_event', '100000')"),
    ("times_sort", "UPDATE deliveries SET next_at = 'soon' WHERE state = 'waiting'"),
    ("times_sort", "UPDATE notices SET created_at = '2026-01-31'"),
    ("times_sort", "INSERT INTO sinks (name, failing_since) VALUES ('x', 'long ago')"),
    ("beats_have_their_task", f"INSERT INTO heartbeat_runs (agent_id, task_id, status, started_at) VALUES ('ada', 1, 'running', '{NOW}')"),
    ("held_beats_have_their_line", "INSERT INTO heartbeats (agent_id, project_id, held_by) VALUES ('ada', 'forge', 'busy')"),
    ("times_sort", "INSERT INTO heartbeat_runs (agent_id, status, started_at, ended_at) VALUES ('ada', 'skipped', 'soon', 'late')"),
    ("events_name_its_attempts", "UPDATE events SET attempt_id = 1 WHERE verb = 'spawned'"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "fault"), FAULTS, ids=[f"{rule}-{n}" for n, (rule, _) in enumerate(FAULTS)])
def test_a_planted_fault_is_named_by_its_own_rule_alone(board: sqlite3.Connection, rule: str, fault: str) -> None:
    past_the_rules(board, fault)

    findings = check_connection(board)

    assert {finding.rule for finding in findings} == {rule}, findings
    assert all(finding.subject and finding.sentence.endswith(".") for finding in findings)


def test_every_rule_has_a_planted_fault() -> None:
    rules = {each.__name__ for each in (*file.RULES, *stories.STORIES)}
    assert rules == {rule for rule, _ in FAULTS}


def test_every_rule_names_its_invariant() -> None:
    for each in (*file.RULES, shape.differences, *stories.STORIES):
        assert each.__doc__ and each.__doc__.startswith("I"), each.__name__


@pytest.mark.parametrize("fault", ["UPDATE attempts SET gone_at = '2026-01-31T00:00:00.000Z' WHERE task_id = 9",
                                   "UPDATE attempts SET outcome = NULL WHERE outcome = 'idle'"])  # fmt: skip
def test_an_attempt_that_ended_by_halves_is_named(board: sqlite3.Connection, fault: str) -> None:
    past_the_rules(board, fault)

    assert "attempts_end_whole" in named(board)


@pytest.mark.parametrize(
    "change",
    [
        "DROP TRIGGER task_stays",
        "DROP TRIGGER task_stays; CREATE TRIGGER task_stays BEFORE DELETE ON tasks BEGIN SELECT 1; END",
        "DROP VIEW v_board",
        "DROP VIEW v_board; CREATE VIEW v_board AS SELECT * FROM tasks",
        "DROP INDEX tasks_open",
        "CREATE TABLE notes (a)",
        "CREATE TRIGGER mine AFTER INSERT ON meta BEGIN SELECT 1; END",
        "ALTER TABLE agents ADD COLUMN mood TEXT",
        "UPDATE moves SET by = by || ' sql'",
        "DELETE FROM outcomes WHERE outcome = 'dry_run'",
    ],
)
def test_a_board_whose_rules_differ_from_the_shipped_ones_is_named(board: sqlite3.Connection, change: str) -> None:
    board.executescript(change)

    assert named(board) == {"schema"}
    assert named(board, None) == set()


def test_a_comment_or_another_line_break_is_no_difference(board: sqlite3.Connection) -> None:
    (text,) = board.execute("SELECT sql FROM sqlite_master WHERE name = 'v_running'").fetchone()
    board.executescript("DROP VIEW v_running;" + text.replace("\n", "   -- so\n\n "))

    assert named(board) == set()


def test_a_missing_table_is_told_and_does_not_end_the_examination(board: sqlite3.Connection) -> None:
    board.executescript("PRAGMA legacy_alter_table = ON; ALTER TABLE outputs RENAME TO results")

    findings = check_connection(board, SCHEMA)

    assert "table outputs" in {finding.subject for finding in findings}
    assert any("could not be asked" in finding.sentence for finding in findings)


def test_a_fault_in_every_task_does_not_flood_the_answer() -> None:
    b = RawBoard()
    for _ in range(80):
        b.post()
    past_the_rules(b.connection, "UPDATE tasks SET rev = 7, ended_at = moved_at")

    findings = check_connection(b.connection)

    for rule in ("rev_counts_moves", "final_has_an_end"):
        said = [finding for finding in findings if finding.rule == rule]
        assert len(said) == 51 and said[-1].subject == "board", rule


def test_text_that_is_no_text_is_told(board: sqlite3.Connection) -> None:
    past_the_rules(board, "UPDATE tasks SET reason = CAST(x'ff' AS TEXT) WHERE id = 1")

    assert any("could not be asked" in finding.sentence for finding in check_connection(board))


# --- The file ---------------------------------------------------------------------------------------------------------


def written(path: Path, history: RawBoard, wal: bool = True) -> Path:
    """The rich board as a closed file."""
    target = sqlite3.connect(path)
    history.connection.backup(target)
    if wal:
        target.execute("PRAGMA journal_mode = WAL")
    target.close()
    return path


def look(folder: Path) -> dict[str, tuple[str, int, int]]:
    """Every file of a folder: content, mode, time of the last write."""
    return {
        found.name: (hashlib.sha256(found.read_bytes()).hexdigest(), found.stat().st_mode, found.stat().st_mtime_ns)
        for found in folder.iterdir()
    }


def test_the_doctor_knows_the_version_that_is_shipped() -> None:
    assert f"PRAGMA user_version = {max(file.VERSIONS)};" in SCHEMA
    assert f"PRAGMA application_id = {file.APPLICATION_ID};" in SCHEMA


@pytest.mark.parametrize("wal", [True, False])
def test_a_closed_board_is_checked_without_a_trace(tmp_path: Path, history: RawBoard, wal: bool) -> None:
    path = written(tmp_path / "board ?#%.db", history, wal)
    path.chmod(0o400)
    before = look(tmp_path)

    assert check(path, SCHEMA) == []
    assert check(str(path)) == []

    assert look(tmp_path) == before


def test_a_fault_in_a_file_is_found(tmp_path: Path, history: RawBoard) -> None:
    path = written(tmp_path / "board", history)
    with sqlite3.connect(path) as spoiler:
        spoiler.execute("UPDATE tasks SET rev = 99 WHERE id = 1")
    spoiler.close()

    assert [(found.rule, found.subject) for found in check(path, SCHEMA)] == [("rev_counts_moves", "task 1")]


def test_a_board_is_checked_beside_its_writer(tmp_path: Path, history: RawBoard) -> None:
    path = written(tmp_path / "board", history)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("UPDATE tasks SET rev = 99 WHERE id = 1")  # committed, and only in the -wal
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE tasks SET rev = 98 WHERE id = 2")  # not committed
    files = {name: content for name, (content, _, _) in look(tmp_path).items() if not name.endswith("-shm")}

    assert [found.subject for found in check(path, SCHEMA)] == ["task 1"]

    assert {name: content for name, (content, _, _) in look(tmp_path).items() if not name.endswith("-shm")} == files
    writer.execute("COMMIT")
    writer.close()


def test_a_copy_with_its_log_is_checked_whole_and_without_a_trace(tmp_path: Path, history: RawBoard) -> None:
    path = written(tmp_path / "board", history)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("UPDATE tasks SET rev = 99 WHERE id = 1")
    folder = tmp_path / "copy"
    folder.mkdir()
    for suffix in ("", "-wal"):
        (folder / f"board{suffix}").write_bytes((tmp_path / f"board{suffix}").read_bytes())
    writer.close()
    before = look(folder)

    assert [found.rule for found in check(folder / "board")] == ["rev_counts_moves"]

    assert look(folder) == before


def test_a_board_opened_while_it_was_looked_at_is_looked_at_again(
    tmp_path: Path, history: RawBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "board", history)
    asked: list[str] = []
    connect = file._connect

    def connect_beside_a_writer(board: Path, how: str) -> sqlite3.Connection:
        asked.append(how)
        if len(asked) == 1:
            monkeypatch.setattr(file, "writer", sqlite3.connect(board, isolation_level=None), raising=False)
            file.writer.execute("UPDATE tasks SET rev = 99 WHERE id = 1")
        return connect(board, how)

    monkeypatch.setattr(file, "_connect", connect_beside_a_writer)

    assert [found.rule for found in check(path)] == ["rev_counts_moves"]

    assert asked == ["mode=ro&immutable=1", "mode=ro"]
    file.writer.close()


def test_a_log_in_a_folder_that_is_read_only_is_told(
    tmp_path: Path, history: RawBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "board", history)
    (tmp_path / "board-wal").touch()
    (tmp_path / "board-shm").touch()

    def refuse(board: Path, how: str) -> sqlite3.Connection:
        raise sqlite3.OperationalError("unable to open database file")

    monkeypatch.setattr(file, "_connect", refuse)
    monkeypatch.setattr(file.os, "access", lambda *_: False)

    [found] = check(path)

    assert found.rule == "file" and "-wal" in found.sentence and "Copy" in found.sentence


def missing(path: Path) -> None:
    pass


def a_folder(path: Path) -> None:
    path.mkdir()


def empty(path: Path) -> None:
    path.touch()


def a_letter(path: Path) -> None:
    path.write_text("Dear doctor, " * 500, encoding="utf-8")


def another_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE tasks (id); PRAGMA user_version = 1")
    connection.close()


def newer(path: Path) -> None:
    RawBoard(path).connection.execute(f"PRAGMA user_version = {max(file.VERSIONS) + 1}").connection.close()


def half_made(path: Path) -> None:
    RawBoard(path).connection.execute("PRAGMA user_version = 0").connection.close()


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (missing, "no board at"),
        (a_folder, "no board at"),
        (empty, "is empty"),
        (a_letter, "no SQLite file"),
        (another_database, "not a board"),
        (newer, "Upgrade"),
        (half_made, "Start the orchestrator"),
    ],
)
def test_what_is_no_board_is_one_finding_and_no_error(tmp_path: Path, make: Callable[[Path], None], word: str) -> None:
    path = tmp_path / "board"
    make(path)
    before = look(tmp_path) if not path.is_dir() else {}

    [found] = check(path, SCHEMA)

    assert found.rule == "file" and word in found.sentence
    assert path.is_dir() or look(tmp_path) == before


@pytest.mark.parametrize("where", [0.3, 0.5, 0.9])
def test_a_damaged_file_is_named_and_raises_nothing(tmp_path: Path, history: RawBoard, where: float) -> None:
    path = written(tmp_path / "board", history)
    content = bytearray(path.read_bytes())
    middle = int(len(content) * where)
    content[middle : middle + 12000] = b"\xa5" * 12000
    path.write_bytes(content[: len(content)])

    rules = {found.rule for found in check(path, SCHEMA)}

    assert rules & {"integrity", "file"}, rules


def test_a_file_cut_short_is_named_and_raises_nothing(tmp_path: Path, history: RawBoard) -> None:
    path = written(tmp_path / "board", history)
    path.write_bytes(path.read_bytes()[:9000])

    assert {found.rule for found in check(path, SCHEMA)} <= {"integrity", "file", "schema"}
    assert check(path, SCHEMA) != []


# --- A connection -----------------------------------------------------------------------------------------------------


def test_a_connection_is_left_as_it_was(board: sqlite3.Connection) -> None:
    board.row_factory = sqlite3.Row

    assert check_connection(board, SCHEMA) == []

    assert not board.in_transaction and board.row_factory is sqlite3.Row


def test_a_transaction_is_checked_from_inside(board: sqlite3.Connection) -> None:
    board.execute("BEGIN")
    board.execute("UPDATE tasks SET rev = 99 WHERE id = 1")

    assert named(board) == {"rev_counts_moves"}

    assert board.in_transaction
    board.execute("ROLLBACK")
    assert named(board) == set()
