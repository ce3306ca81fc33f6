"""Rules about rows as they stand: which states, attempts, ends and times may be together on a board.

One constant query a rule, which finds what breaks it. What events have to say about the rows is in stories.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter

from orchestrator.doctor.rule import FORGED, RESTORE, Rule, Said, into, query

RULES: list[Rule] = []
rule = into(RULES)

WITHOUT_EXECUTOR = """
SELECT t.id, t.status, count(a.id)
  FROM tasks t LEFT JOIN attempts a ON a.task_id = t.id AND a.role = 'executor' AND a.ended_at IS NULL
 WHERE t.status IN ('claimed', 'working')
 GROUP BY t.id HAVING count(a.id) <> 1
"""


@rule
def working_has_an_executor(connection: sqlite3.Connection) -> Said:
    """I7: a claimed or working task has exactly one executor's attempt that has not ended."""
    for task, status, count in query(connection, WITHOUT_EXECUTOR):
        said = f"Task {task} is {status}, but {count} executors' attempts of it have not ended, instead of 1."
        yield f"task {task}", f"{said} Cancel and reopen it."


EXECUTOR_ELSEWHERE = """
SELECT t.id, t.status, a.id FROM attempts a JOIN tasks t ON t.id = a.task_id
 WHERE a.role = 'executor' AND a.ended_at IS NULL AND t.status NOT IN ('claimed', 'working')
"""


@rule
def executor_only_where_work_is(connection: sqlite3.Connection) -> Said:
    """I7: in every other state no executor's attempt is live."""
    for task, status, attempt in query(connection, EXECUTOR_ELSEWHERE):
        said = f"Task {task} is {status}, but the executor's attempt {attempt} has not ended."
        yield f"attempt {attempt}", f"{said} Stop its process, then set its outcome and ended_at."


REVIEWER_ELSEWHERE = """
SELECT t.id, t.status, a.id FROM attempts a JOIN tasks t ON t.id = a.task_id
 WHERE a.role = 'reviewer' AND a.ended_at IS NULL AND t.status <> 'review'
"""


@rule
def reviewer_only_in_review(connection: sqlite3.Connection) -> Said:
    """I7: a reviewer's attempt is live only while its task is in review."""
    for task, status, attempt in query(connection, REVIEWER_ELSEWHERE):
        said = f"Task {task} is {status}, but the reviewer's attempt {attempt} has not ended."
        yield f"attempt {attempt}", f"{said} Stop its process, then set its outcome and ended_at."


# NOT INDEXED: the unique index is what is being doubted.
NOT_GONE = """
SELECT task_id, group_concat(id, ', ') FROM attempts NOT INDEXED
 WHERE gone_at IS NULL GROUP BY task_id HAVING count(*) > 1
"""


@rule
def one_attempt_not_gone(connection: sqlite3.Connection) -> Said:
    """I6: nothing runs beside a process that is not proved gone."""
    for task, attempts in query(connection, NOT_GONE):
        said = f"Task {task} has several attempts that are not gone: {attempts}."
        yield f"task {task}", f"{said} Look for their processes, stop them, and set gone_at of all but the latest."


MISNUMBERED = """
SELECT task_id, group_concat(number, ', ') FROM attempts
 GROUP BY task_id HAVING min(number) <> 1 OR max(number) <> count(*)
"""


@rule
def attempts_count_up(connection: sqlite3.Connection) -> Said:
    """I6: the attempts of a task are numbered 1, 2, 3: none is lost, none made up."""
    for task, numbers in query(connection, MISNUMBERED):
        yield f"task {task}", f"The attempts of task {task} are numbered {numbers}: one is lost or made up. {RESTORE}"


NOT_THE_LATEST = """
SELECT id, attempt_id, latest FROM (
  SELECT id, attempt_id, (SELECT id FROM attempts WHERE task_id = t.id ORDER BY number DESC LIMIT 1) AS latest
    FROM tasks t)
 WHERE attempt_id IS NOT latest
"""


@rule
def task_names_its_latest_attempt(connection: sqlite3.Connection) -> Said:
    """I7: a task's attempt_id is its attempt with the highest number."""
    for task, named, latest in query(connection, NOT_THE_LATEST):
        yield f"task {task}", f"Task {task} names attempt {named}, but its latest is {latest}. Set attempt_id to that."


ENDLESS = """
SELECT id, status, ended_at FROM tasks
 WHERE (status IN ('done', 'failed', 'cancelled')) <> (ended_at IS NOT NULL)
"""


@rule
def final_has_an_end(connection: sqlite3.Connection) -> Said:
    """I3: a task has an ended_at exactly while it is done, failed or cancelled."""
    for task, status, ended in query(connection, ENDLESS):
        said = f"Task {task} is {status} and its ended_at is {ended or 'not set'}."
        yield f"task {task}", f"{said} Set it to the time of its last move if it is final, else to NULL."


NOT_CLAIMABLE = "SELECT id, status, deps_open FROM tasks WHERE ready = 1 AND (status <> 'pending' OR deps_open <> 0)"


@rule
def ready_can_be_claimed(connection: sqlite3.Connection) -> Said:
    """I13: ready only where a claim is right: pending, with nothing open that it needs."""
    for task, status, needs in query(connection, NOT_CLAIMABLE):
        said = f"Task {task} is marked ready, but is {status} and {needs} of its needs are open."
        yield f"task {task}", f"{said} Set ready to 0: the tick sets it when the time has come."


MISCOUNTED = """
SELECT id, deps_open, counted FROM (
  SELECT t.id, t.deps_open, (SELECT count(*) FROM dependencies d JOIN tasks n ON n.id = d.needs_id
                              WHERE d.task_id = t.id AND n.status <> 'done') AS counted
    FROM tasks t)
 WHERE deps_open <> counted
"""


@rule
def open_needs_are_counted(connection: sqlite3.Connection) -> Said:
    """I13: deps_open counts the tasks it needs that are not done: if it is wrong, it runs too early or never."""
    for task, said, counted in query(connection, MISCOUNTED):
        yield f"task {task}", f"Task {task} has deps_open {said}, but {counted} of its needs are open. Set it to that."


NEEDS = "SELECT task_id, needs_id FROM dependencies"


@rule
def needs_form_no_circle(connection: sqlite3.Connection) -> Said:
    """I13: no task waits for itself by way of others."""
    for circle in _circle(query(connection, NEEDS)):
        said = f"Each of these tasks needs the next, in a circle: {circle}; none of them can begin."
        yield "dependencies", f"{said} Delete one of these rows of dependencies."


PARENTS = "SELECT id, parent_id FROM tasks WHERE parent_id IS NOT NULL"


@rule
def parents_form_no_circle(connection: sqlite3.Connection) -> Said:
    """I13: no task is its own ancestor."""
    for circle in _circle(query(connection, PARENTS)):
        yield "tasks", f"Each of these tasks is a child of the next, in a circle: {circle}. {RESTORE}"


def _circle(edges: Iterable[tuple[int, int]]) -> Iterator[str]:
    """One circle, if there is any: '3 → 5 → 3'."""
    graph: dict[int, list[int]] = {}
    for source, target in edges:
        graph.setdefault(source, []).append(target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as found:
        yield " → ".join(map(str, reversed(found.args[1])))


DOUBLED = """
SELECT slot_id, occurrence, group_concat(id, ', ') FROM tasks NOT INDEXED WHERE slot_id IS NOT NULL
 GROUP BY slot_id, occurrence HAVING count(*) > 1
"""


@rule
def one_task_an_occurrence(connection: sqlite3.Connection) -> Said:
    """I13: a slot's occurrence makes one task, however often it is taken in."""
    for slot, occurrence, tasks in query(connection, DOUBLED):
        said = f"The occurrence {occurrence} of slot {slot} has several tasks: {tasks}."
        yield f"slot {slot}", f"{said} Cancel all but one."


HALF_ENDED = """
SELECT id, CASE WHEN gone_at IS NOT NULL AND ended_at IS NULL THEN 'is gone and has not ended'
                WHEN outcome IS NULL THEN 'has ended without an outcome'
                ELSE 'has the outcome ' || outcome || ', which is not in the table outcomes' END
  FROM attempts
 WHERE (gone_at IS NOT NULL AND ended_at IS NULL) OR (ended_at IS NOT NULL AND outcome IS NULL)
    OR outcome NOT IN (SELECT outcome FROM outcomes)
"""


@rule
def attempts_end_whole(connection: sqlite3.Connection) -> Said:
    """I7: an attempt that is gone has ended; one that has ended has an outcome, and a known one."""
    for attempt, how in query(connection, HALF_ENDED):
        yield f"attempt {attempt}", f"Attempt {attempt} {how}. {FORGED}"


OWN_WORK = """
SELECT r.id, r.task_id, r.agent_id FROM attempts r
 WHERE r.role = 'reviewer' AND EXISTS (
   SELECT 1 FROM attempts e
    WHERE e.task_id = r.task_id AND e.role = 'executor' AND e.agent_id = r.agent_id AND e.number < r.number)
"""


@rule
def nobody_reviews_own_work(connection: sqlite3.Connection) -> Said:
    """I7: a reviewer has not executed the task before."""
    for attempt, task, agent in query(connection, OWN_WORK):
        said = f"Attempt {attempt} is {agent}'s review of task {task}, which {agent} has executed."
        yield f"attempt {attempt}", f"{said} Let somebody else review it."


FOREIGN_OUTPUTS = """
SELECT o.id, o.task_id, a.id FROM outputs o JOIN attempts a ON a.id = o.attempt_id
 WHERE a.task_id <> o.task_id OR a.role <> 'executor'
"""


MISKEPT = """
SELECT id, content_path, sha256 FROM outputs
 WHERE kept = 1 AND (content_path IS NOT sha256 OR length(sha256) <> 64 OR sha256 GLOB '*[^0-9a-f]*' OR size < 0)
"""


@rule
def uploads_are_named_by_their_content(connection: sqlite3.Connection) -> Said:
    """I8: a file that was sent whole is kept under its SHA-256: another name could lead anywhere."""
    for output, name, sha256 in query(connection, MISKEPT):
        said = f"Output {output} is kept in uploads/ as {name}, but its SHA-256 is {sha256}."
        yield f"output {output}", f"{said} {FORGED}"


@rule
def outputs_are_of_their_task(connection: sqlite3.Connection) -> Said:
    """I8: an output comes from an executor's attempt of its own task."""
    for output, task, attempt in query(connection, FOREIGN_OUTPUTS):
        said = f"Output {output} of task {task} names attempt {attempt}, which is not an executor's of that task."
        yield f"output {output}", f"{said} {FORGED}"


BESIDE_A_CHECK = """
SELECT c.id, c.task_id, a.id FROM checks c JOIN attempts a ON a.task_id = c.task_id AND a.gone_at IS NULL WHERE c.ended_at IS NULL
"""


@rule
def nothing_runs_beside_a_check(connection: sqlite3.Connection) -> Said:
    """I6: while a check of a task is run, no attempt of that task lives."""
    for check, task, attempt in query(connection, BESIDE_A_CHECK):
        said = f"Check {check} of task {task} has not ended, and attempt {attempt} is not gone: both could run."
        yield f"check {check}", f"{said} {FORGED}"


UNPROVED = """
SELECT t.id, t.proof, CASE
         WHEN t.proof = 'passed' THEN 'not every check of it has passed'
         WHEN t.proof = 'failed' THEN 'no check of it has failed'
         WHEN t.proof IS NULL THEN 'it has checks'
         ELSE 'it has no checks' END
  FROM tasks t JOIN attempts e ON e.id = (SELECT max(id) FROM attempts WHERE task_id = t.id AND role = 'executor')
 WHERE (t.status = 'review' AND (t.proof IS NULL) <> (json_array_length(t.checks) = 0))
    OR (t.proof = 'failed' AND NOT EXISTS (SELECT 1 FROM checks c WHERE c.attempt_id = e.id AND c.result IN ('failed','timed_out')))
    OR (t.proof = 'passed' AND (SELECT count(DISTINCT c.position) FROM checks c WHERE c.attempt_id = e.id AND c.result = 'passed')
                             < (SELECT json_extract(v.data, '$.checks') FROM events v WHERE v.task_id = t.id AND v.verb = 'verified' ORDER BY v.id DESC LIMIT 1))
"""


@rule
def proof_has_its_evidence(connection: sqlite3.Connection) -> Said:
    """I4: what is said to be proved was proved, by checks of the work that was handed in last."""
    for task, proof, why in query(connection, UNPROVED):
        yield f"task {task}", f"Task {task} has proof {proof or 'NULL'}, but {why}. {FORGED}"


FOREIGN_COMMENTS = """
SELECT c.id, c.task_id, a.id FROM comments c JOIN attempts a ON a.id = c.attempt_id WHERE a.task_id <> c.task_id
"""


@rule
def comments_are_of_their_task(connection: sqlite3.Connection) -> Said:
    """I8: an attempt comments on its own task."""
    for comment, task, attempt in query(connection, FOREIGN_COMMENTS):
        said = f"Comment {comment} on task {task} names attempt {attempt} of another task."
        yield f"comment {comment}", f"{said} {FORGED}"


MISWRITTEN = """
WITH times(subject, name, value) AS (
            SELECT 'task ' || id, 'posted_at', posted_at FROM tasks
  UNION ALL SELECT 'task ' || id, 'moved_at', moved_at FROM tasks
  UNION ALL SELECT 'task ' || id, 'ended_at', ended_at FROM tasks
  UNION ALL SELECT 'task ' || id, 'due_at', due_at FROM tasks
  UNION ALL SELECT 'task ' || id, 'not_before', not_before FROM tasks
  UNION ALL SELECT 'task ' || id, 'begin_by', begin_by FROM tasks
  UNION ALL SELECT 'task ' || id, 'end_by', end_by FROM tasks
  UNION ALL SELECT 'slot ' || id, 'posted_until', posted_until FROM slots
  UNION ALL SELECT 'account ' || id, 'limited_until', limited_until FROM accounts
  UNION ALL SELECT 'account ' || id, 'proved_at', proved_at FROM accounts
  UNION ALL SELECT 'source ' || name, 'next_at', next_at FROM sources
  UNION ALL SELECT 'source ' || name, 'stale_at', stale_at FROM sources
  UNION ALL SELECT 'presence of agent ' || agent_id, 'expires_at', expires_at FROM presence_reports
  UNION ALL SELECT 'presence of agent ' || agent_id, 'next_at', next_at FROM presence_pushes
  UNION ALL SELECT 'heartbeat of agent ' || agent_id, 'next_run_at', next_run_at FROM heartbeats
  UNION ALL SELECT 'heartbeat of agent ' || agent_id, 'beat_at', beat_at FROM heartbeats
  UNION ALL SELECT 'heartbeat run ' || id, 'started_at', started_at FROM heartbeat_runs
  UNION ALL SELECT 'heartbeat run ' || id, 'ended_at', ended_at FROM heartbeat_runs
  UNION ALL SELECT 'write_back ' || id, 'next_at', next_at FROM write_backs
  UNION ALL SELECT 'watch change ' || id, 'seen_at', seen_at FROM watch_changes
  UNION ALL SELECT 'watch push ' || id, 'posted_at', posted_at FROM watch_pushes
  UNION ALL SELECT 'notice ' || id, 'created_at', created_at FROM notices
  UNION ALL SELECT 'delivery ' || id, 'next_at', next_at FROM deliveries
  UNION ALL SELECT 'delivery ' || id, 'settled_at', settled_at FROM deliveries
  UNION ALL SELECT 'sink ' || name, 'failing_since', failing_since FROM sinks
  UNION ALL SELECT 'workspace ' || id, 'looked_at', looked_at FROM workspaces
  UNION ALL SELECT 'agent ' || id, 'budget_warned_at', budget_warned_at FROM agents
  UNION ALL SELECT 'agent ' || id, 'budget_spent_at', budget_spent_at FROM agents
  UNION ALL SELECT 'attempt ' || id, 'claimed_at', claimed_at FROM attempts
  UNION ALL SELECT 'attempt ' || id, 'ended_at', ended_at FROM attempts
  UNION ALL SELECT 'attempt ' || id, 'gone_at', gone_at FROM attempts
  UNION ALL SELECT 'output ' || id, 'created_at', created_at FROM outputs
  UNION ALL SELECT 'comment ' || id, 'created_at', created_at FROM comments
  UNION ALL SELECT 'check ' || id, 'started_at', started_at FROM checks
  UNION ALL SELECT 'check ' || id, 'ended_at', ended_at FROM checks
  UNION ALL SELECT 'key ' || key, 'created_at', created_at FROM idempotency
  UNION ALL SELECT 'permission ' || id, 'created_at', created_at FROM permissions
  UNION ALL SELECT 'permission ' || id, 'revoked_at', revoked_at FROM permissions
  UNION ALL SELECT 'event ' || id, 'at', at FROM events)
SELECT subject, name, value FROM times
 WHERE value NOT GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9].[0-9][0-9][0-9]Z'
"""


@rule
def times_sort(connection: sqlite3.Connection) -> Said:
    """I5: every time is UTC text of one form; another would not sort among them."""
    for subject, name, value in query(connection, MISWRITTEN):
        yield subject, f"The {name} of {subject} is '{value}'. Write it like 2026-01-31T09:00:00.000Z, in UTC."


MISSING_EVENTS = "SELECT max(id) - count(*), max(id) FROM events HAVING count(*) > 0 AND max(id) <> count(*)"


@rule
def events_count_up(connection: sqlite3.Connection) -> Said:
    """I5: events are numbered 1, 2, 3: none was taken out."""
    for missing, last in query(connection, MISSING_EVENTS):
        yield "events", f"{missing} of the {last} events are missing: they were taken out. {RESTORE}"


STRAY_EVENTS = """
SELECT id, verb, task_id FROM events WHERE task_id IS NOT NULL AND task_id NOT IN (SELECT id FROM tasks)
"""


@rule
def events_have_their_task(connection: sqlite3.Connection) -> Said:
    """I4: an event tells of a task that is there: none was deleted."""
    for event, verb, task in query(connection, STRAY_EVENTS):
        yield f"event {event}", f"Event {event} ({verb}) tells of task {task}, which is not there. {RESTORE}"
