"""Heartbeats that are due become tasks, and what came of each becomes a line of the log and perhaps a notice.

A run and its task are one transaction, and so are a run's end and its notice: a crash leaves both or neither, and two
processes cannot double them (index one_heartbeat_at_once). The task passes the same gates as every other.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from blackboard import heartbeats, journal, notices, verbs
from blackboard.board import Rows, Tx
from blackboard.claims import agent_facts
from blackboard.clock import plus, seconds_between
from blackboard.gates import AGENT_GATES, AgentFacts, Room
from blackboard.heartbeat_answers import acknowledged, is_empty, summary
from blackboard.heartbeat_times import hours_end, is_within
from blackboard.heartbeats import ENGINE, given_of, is_sound, settings_of
from blackboard.policy import Policies, Policy
from blackboard.record import Record

PRIORITY = -1000  # after everything else the agent has to do
TASK_TYPE = "heartbeat"
NOTHING: Mapping[str, str] = {}
PASSING = frozenset({"free", "room", "memory"})  # gates that a task waits at for a moment; the others hold a beat back

DUE = """
SELECT h.*, p.paused_at AS project_paused_at,
       EXISTS (SELECT 1 FROM heartbeat_runs r WHERE r.agent_id = h.agent_id AND r.status = 'running') AS runs
  FROM heartbeats h INDEXED BY heartbeats_due JOIN projects p ON p.id = h.project_id
 WHERE h.enabled = 1 AND h.next_run_at <= :now ORDER BY h.next_run_at, h.agent_id
"""
NEXT = """
SELECT next_run_at FROM heartbeats INDEXED BY heartbeats_free WHERE enabled = 1 AND held_by IS NULL ORDER BY next_run_at LIMIT 1
"""
OVER = """
SELECT r.id, r.agent_id, r.task_id, r.started_at, t.status, t.reason, t.actor, t.attempt_id
  FROM heartbeat_runs r INDEXED BY one_heartbeat_at_once JOIN tasks t ON t.id = r.task_id
 WHERE r.status = 'running' AND t.status IN ('done','failed','cancelled','blocked')
   AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.task_id = t.id AND a.gone_at IS NULL)
 ORDER BY r.id
"""


def next_time(rows: Rows) -> str | None:
    """The next instant at which a heartbeat is due; None when none is. What is due and held is looked at each time."""
    row = rows.one(NEXT)
    return row["next_run_at"] if row else None


def to_do(rows: Rows, now: str, room: Room) -> list[str] | None:
    """The agents whose heartbeat is due, held or not; None when `beat` has nothing to write.

    Held ones too: what holds a beat may be over when `beat` has settled, or the moment after this.
    """
    looked = list(_looked_at(rows, now, room))
    if is_over(rows) or any(found is None or row["held_by"] is None for row, found in looked):
        return [row["agent_id"] for row, _ in looked]
    return None


def is_over(rows: Rows) -> bool:
    """Whether a run waits to be settled."""
    return rows.one(OVER) is not None


def settle(tx: Tx) -> None:
    """Settle the runs that are over."""
    for run in tx.all(OVER):
        _settle(tx, run)


def beat(
    tx: Tx,
    room: Room,
    policies: Policies,
    unreadable: Mapping[str, str] = NOTHING,
    among: Collection[str] | None = None,
) -> list[int]:
    """Settle the runs that are over, then post a task for each heartbeat that is due and held by nothing; the tasks.

    `unreadable`: agents whose checklist is in a file that cannot be read, with the reason. What it held last is old news.
    `among`: those that `to_do` named, whose files were read; one that is due since then is of the next pass. None: all.
    """
    settle(tx)
    posted = []
    for row, held in _looked_at(tx, tx.now, room):
        if among is not None and row["agent_id"] not in among:
            continue
        why = unreadable.get(row["agent_id"])
        if held is None and why is not None and passed_over(row, tx.now) != "active_hours":
            held = "checklist_file"
        if held is None:
            posted += _begin(tx, row, policies)
        elif row["held_by"] is None or (held == "checklist_file" and row["held_by"] != held):
            heartbeats.release(tx, row["agent_id"])  # a file waits for a person, whatever it was that held it before
            _hold(tx, row, held, why if held == "checklist_file" else None)
    return posted


def _looked_at(rows: Rows, now: str, room: Room) -> Iterable[tuple[Record, str | None]]:
    """Each heartbeat that is due, with what holds it: None for nothing, so that it is run or passed over now."""
    due = rows.all(DUE, now=now)
    if not due:
        return []
    facts = {each.agent["id"]: each for each in agent_facts(rows, now, room)}
    return [(row, held_by(row, facts[row["agent_id"]], now)) for row in due]


def held_by(row: Record, facts: AgentFacts, now: str) -> str | None:
    """Why a heartbeat cannot run now, in one word: of one that would be passed over, and of one that may run, None."""
    if not is_sound(row):
        return "settings"
    if passed_over(row, now) is not None:
        return None
    if row["runs"]:
        return "running"
    if row["project_paused_at"] is not None:
        return "project"
    closed = [gate.name for gate in AGENT_GATES if gate.name not in PASSING and gate.closed(facts) is not None]
    return closed[0] if closed else "busy" if facts.live else None


def passed_over(row: Record, now: str) -> str | None:
    """Why a beat does not count: outside of the hours, or nothing to do."""
    if not is_within(settings_of(row).hours, now):
        return "active_hours"
    return "empty_checklist" if is_empty(row["checklist"]) else None


# --- beginning --------------------------------------------------------------------------------------------------------

RUN = """
INSERT INTO heartbeat_runs (agent_id, task_id, status, reason, error, started_at, ended_at)
VALUES (:agent, :task, :status, :reason, :error, :now, :ended)
"""
ADVANCE = "UPDATE heartbeats SET next_run_at = :next, beat_at = :next WHERE agent_id = :agent"
HOLD = "UPDATE heartbeats SET held_by = :held WHERE agent_id = :agent"
LAST = "SELECT id, status, reason FROM heartbeat_runs WHERE agent_id = :agent ORDER BY id DESC LIMIT 1"
AGAIN = "UPDATE heartbeat_runs SET times = times + 1, ended_at = :now WHERE id = :id"


def _begin(tx: Tx, row: Record, policies: Policies) -> list[int]:
    """Post the task of a beat that nothing holds, or pass it over; the next one is set in any case."""
    agent = row["agent_id"]
    heartbeats.release(tx, agent)
    following = heartbeats.following_run(row, tx.now)
    reason = passed_over(row, tx.now)
    made = [_post(tx, row, following, policies)] if reason is None else []
    if reason is not None:
        _skip(tx, agent, reason)
    tx.run(ADVANCE, agent=agent, next=following)
    return made


def _post(tx: Tx, row: Record, following: str, policies: Policies) -> int:
    agent, wanted = row["agent_id"], settings_of(row)
    until = hours_end(wanted.hours, tx.now)
    begin_by = min(filter(None, (following, plus(tx.now, wanted.interval_seconds), until)))
    task = verbs.post(
        tx, project=row["project_id"], title=f"Heartbeat of {agent}", actor=ENGINE, agent=agent, task_type=TASK_TYPE, priority=PRIORITY,
        series=series(agent), begin_by=begin_by,
        policy=_policy(policies.of(agent), wanted.max_retries, wanted.interval_seconds),
    )  # fmt: skip
    tx.insert(RUN, agent=agent, task=task, status="running", reason=None, error=None, now=tx.now, ended=None)
    return task


def series(agent: str) -> str:
    """What the tasks of an agent's heartbeat are one after the other of. A slot that names this series waits its turn among them."""
    return f"heartbeat {agent}"


def _policy(policy: Policy, retries: int, interval: int) -> Policy:
    """The agent's policy for a look around: nobody reviews it, nothing has to be handed in, and it is over before the next."""
    return replace(
        policy, max_tries=retries + 1, backoff_seconds=1.0, review="auto", needs_output=False,
        wall_seconds=min(policy.wall_seconds, float(interval)), idle_seconds=min(policy.idle_seconds, float(interval)),
    )  # fmt: skip


def _hold(tx: Tx, row: Record, reason: str, error: str | None) -> None:
    """A beat waits: one row and one event, however long."""
    tx.run(HOLD, agent=row["agent_id"], held=reason)
    tx.insert(
        RUN, agent=row["agent_id"], task=None, status="skipped", reason=reason, error=error, now=tx.now, ended=None
    )
    _tell_skip(tx, row["agent_id"], reason, error)


def _skip(tx: Tx, agent: str, reason: str) -> None:
    """A beat is passed over: one row and one event for as many in a row as have the same reason."""
    last = tx.one(LAST, agent=agent)
    if last is not None and (last["status"], last["reason"]) == ("skipped", reason):
        tx.run(AGAIN, id=last["id"], now=tx.now)
        return
    tx.insert(RUN, agent=agent, task=None, status="skipped", reason=reason, error=None, now=tx.now, ended=tx.now)
    _tell_skip(tx, agent, reason)


def _tell_skip(tx: Tx, agent: str, reason: str, error: str | None = None) -> None:
    said = error or SKIPS[reason]
    journal.tell(
        tx, "heartbeat_skipped", actor=ENGINE, agent_id=agent, reason=said, data=json.dumps({"reason": reason})
    )


SKIPS = {
    "active_hours": "it is outside of its active hours", "empty_checklist": "its checklist is empty",
    "running": "the one before it is not finished", "busy": "the agent is at work", "project": "its project is paused",
    "board_paused": "everything is paused", "enabled": "the agent is disabled", "paused": "the agent is paused",
    "account": "the agent's account is paused or limited", "budget": "the day's budget is spent",
    "presence": "the agent's presence gives it no work", "missed": "it could not begin before the next one was due",
    "cancelled": "its task was cancelled", "settings": "it cannot beat as it is set: orchestrator heartbeat set says why",
    "checklist_file": "the file with its checklist cannot be read",
}  # fmt: skip


# --- settling ---------------------------------------------------------------------------------------------------------

SETTLE = """
UPDATE heartbeat_runs SET status = :status, reason = :reason, summary = :summary, error = :error, ended_at = :now,
       input_tokens = :input_tokens, output_tokens = :output_tokens, duration_seconds = :duration
 WHERE id = :id AND status = 'running'
"""
COUNT = """
UPDATE heartbeats SET last_run_at = :at, last_status = :status, run_count = run_count + 1,
       suppress_count = suppress_count + (:status = 'suppressed'), last_error = :error
 WHERE agent_id = :agent
"""
USED = """
SELECT min(claimed_at) AS began, max(coalesce(ended_at, gone_at)) AS ended, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens
  FROM attempts WHERE task_id = :task
"""


def _settle(tx: Tx, run: Record) -> None:
    """Say what came of a run whose task is final and whose last process is gone, and tell it where it matters."""
    row = heartbeats.get(tx, run["agent_id"])
    status, text, reason = _found(tx, run, row)
    used = tx.one(USED, task=run["task_id"])
    began = used["began"] if used else None
    tx.run(
        SETTLE, id=run["id"], status=status, reason=reason, now=tx.now, error=text if status == "error" else None,
        summary=summary(text) if status in ("ok", "suppressed") else None,
        input_tokens=used["input_tokens"] if used else None, output_tokens=used["output_tokens"] if used else None,
        duration=round(seconds_between(began, used["ended"]), 3) if used and began and used["ended"] else None,
    )  # fmt: skip
    if run["status"] == "blocked":
        verbs.cancel(
            tx, run["task_id"], actor=ENGINE, reason="a heartbeat waits for no answer: the next one begins anew"
        )
    if status == "skipped":
        return _tell_skip(tx, run["agent_id"], reason or "cancelled")
    tx.run(COUNT, agent=run["agent_id"], at=run["started_at"], status=status, error=text if status == "error" else None)
    journal.tell(tx, "heartbeat_run", actor=ENGINE, agent_id=run["agent_id"], task_id=run["task_id"], reason=status,
                 data=json.dumps({"status": status, "run": run["id"]}))  # fmt: skip
    if status in ("ok", "error"):
        _notify(tx, run, row, status, text)
    return None


def _found(tx: Tx, run: Record, row: Record) -> tuple[str, str, str | None]:
    """The status of a run, what is said of it, and why it was skipped."""
    if run["status"] == "cancelled":
        return "skipped", "", "missed" if run["attempt_id"] is None and run["actor"] == "engine:slots" else "cancelled"
    if run["status"] != "done":
        said = run["reason"] or "it said nothing"
        return "error", f"it asks: {said}" if run["status"] == "blocked" else said, None
    text, whole = _answer(tx, run["attempt_id"])
    quiet = whole and acknowledged(text, row["ack_word"], row["ack_max_chars"])
    return "suppressed" if quiet else "ok", text, None


COMMENTS = "SELECT body FROM comments WHERE attempt_id = :attempt ORDER BY id"
OUTPUTS = "SELECT title, summary, content FROM outputs WHERE attempt_id = :attempt ORDER BY id"
SUBMITTED = "SELECT actor, reason FROM events WHERE attempt_id = :attempt AND verb = 'submit' ORDER BY id DESC LIMIT 1"
LAST_WORDS = "SELECT result FROM attempts WHERE id = :attempt"
MOST_ANSWER = 20_000  # characters


def _answer(tx: Tx, attempt_id: int) -> tuple[str, bool]:
    """What an attempt answered, and whether that is all it made: its own reports first, else its program's last words.

    Outputs beside a report, or more than one, are never passed over as an acknowledgement.
    """
    submitted = tx.one(SUBMITTED, attempt=attempt_id)
    by_engine = submitted is not None and submitted["actor"].startswith(
        "engine:"
    )  # for a program that never calls back
    detail = submitted["reason"] if submitted is not None and not by_engine else None
    reported = "\n".join(filter(None, [*(row["body"] for row in tx.all(COMMENTS, attempt=attempt_id)), detail]))
    outputs = tx.all(OUTPUTS, attempt=attempt_id)
    row = tx.one(LAST_WORDS, attempt=attempt_id)
    result = (row["result"] if row else None) or ""
    made = "\n".join(each["content"] or f"{each['title']}: {each['summary']}" for each in outputs)
    if reported:
        return _cut(f"{reported}\n{made}" if made else reported, whole=not outputs)
    if by_engine and result:  # the one output is all that it printed
        return _cut(result, whole=True)
    return _cut(made or result, whole=len(outputs) < 2)


def _cut(text: str, *, whole: bool) -> tuple[str, bool]:
    """The part of an answer that is looked at. One that is longer is never an acknowledgement: nobody has read its end."""
    return text[:MOST_ANSWER], whole and len(text) <= MOST_ANSWER


def _notify(tx: Tx, run: Record, row: Record, status: str, text: str) -> None:
    agent = run["agent_id"]
    line = text.strip().split("\n")[0]
    title = (
        f"Heartbeat of {agent} failed: {line}" if status == "error" else f"Heartbeat of {agent}: {line or 'no answer'}"
    )
    notices.post(
        tx, key=f"heartbeat-run:{run['id']}", kind="heartbeat", topic=f"agent:{agent}", title=title, body=text, agent_id=agent,
        task_id=run["task_id"], data={"run": run["id"], "status": status}, sinks=given_of(row)["sinks"],
    )  # fmt: skip


TOLD = """
SELECT h.checklist, h.prompt, h.ack_word, h.ack_max_chars, h.light_context, h.isolated_session, h.model
  FROM heartbeat_runs r JOIN heartbeats h ON h.agent_id = r.agent_id WHERE r.task_id = :task
"""


def told(rows: Rows, task_id: int) -> dict[str, object] | None:
    """What the prompt of a heartbeat's task says; None for every other task."""
    row = rows.one(TOLD, task=task_id)
    if row is None:
        return None
    return dict(row) | {name: bool(row[name]) for name in ("light_context", "isolated_session")}


# --- looking ----------------------------------------------------------------------------------------------------------

LOGS = """
SELECT id, task_id AS task, status, reason, times, summary, error, duration_seconds, input_tokens, output_tokens, started_at, ended_at
  FROM heartbeat_runs WHERE agent_id = :agent ORDER BY id DESC LIMIT :most
"""


def logs(rows: Rows, agent: str, most: int = 20) -> list[dict[str, object]]:
    """The latest runs and skips of an agent's heartbeat, the newest first."""
    heartbeats.get(rows, agent)
    return [dict(row) for row in rows.all(LOGS, agent=agent, most=most)]
