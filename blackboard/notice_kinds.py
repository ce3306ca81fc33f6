"""What a person may be told: the kinds of notices, and which event becomes one, in which words.

Pure but for the titles of tasks it reads. Who posts them is blackboard/notice_events.py; whom they reach is decided later.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from blackboard.board import Rows
from blackboard.clock import seconds_between
from blackboard.record import Record

Kind = Literal[
    "blocked", "failed", "review", "agent_paused", "account", "budget", "late", "fault", "not_gone", "source", "missed",
    "sink", "watch", "heartbeat", "test",
]  # fmt: skip

MEANINGS: Mapping[Kind, str] = {
    "blocked": "a task waits for an answer",
    "failed": "a task has failed for good",
    "review": "a task waits for a person's review",
    "agent_paused": "an agent was paused because it goes on failing",
    "account": "an account is paused, limited for long, or refuses again and again",
    "budget": "a budget is nearly spent, or is",
    "late": "the orchestrator cannot keep up",
    "fault": "a step of the orchestrator fails",
    "not_gone": "an attempt has ended and cannot be proved gone",
    "source": "a calendar, a backend or a presence server fails, is stale, or is back",
    "missed": "a slot was missed",
    "sink": "a sink fails, is back, or has given a notice up: told to the others",
    "watch": "a watch saw something",
    "heartbeat": "a check-in of an agent has something to say",
    "test": "a person tries a sink",
}

# What comes again, in whatever words, only after somebody has acted on the former one: it is news each time, never left out.
NEVER_REPEATED = frozenset(("blocked", "failed", "review", "agent_paused", "account", "test"))
KINDS_WITHOUT_EVENTS = frozenset(("watch", "heartbeat", "test"))  # posted by who sees, hears or tries

LONG_LIMIT_SECONDS = 3600.0  # a shorter limit of an account is no news: it ends by itself
TITLE = 120  # characters of a task's title in ours


class Draft(NamedTuple):
    """A notice before it is posted. `urgent`: it goes through quiet hours."""

    kind: Kind
    topic: str
    title: str
    body: str = ""
    urgent: bool = False


# A heartbeat tells itself how it went, by blackboard/heartbeat_runs.py; a person may reopen its task after that.
TOLD_BY_HEARTBEATS = frozenset(("blocked", "failed", "missed"))
OF_A_BEAT = "SELECT 1 FROM heartbeat_runs WHERE task_id = :task AND (ended_at IS NULL OR ended_at >= :at)"


def draft(rows: Rows, event: Record) -> Draft | None:
    """What is told of an event; None when nothing is."""
    made = TOLD[event["verb"]](rows, event)
    if made is not None and made.kind in TOLD_BY_HEARTBEATS and event["task_id"] is not None:
        return None if rows.one(OF_A_BEAT, task=event["task_id"], at=event["at"]) is not None else made
    return made


def _data(event: Record) -> dict[str, Any]:
    found = json.loads(event["data"]) if event["data"] else {}
    return found if isinstance(found, dict) else {}


TASK = "SELECT * FROM tasks WHERE id = :task"


def _title(rows: Rows, event: Record) -> str:
    row = rows.one(TASK, task=event["task_id"])
    return row["title"][:TITLE] if row is not None else ""


def _body(event: Record, next_step: str = "") -> str:
    said = event["reason"] or ""
    return "\n\n".join(filter(None, (said, f"Next: {next_step}" if next_step else "")))


def _blocked(rows: Rows, event: Record) -> Draft | None:
    if (
        event["dst"] != "blocked" or event["actor"] == "engine:calendar"
    ):  # whoever works on its slot elsewhere unblocks it
        return None
    task = event["task_id"]
    kind = _data(event).get("kind", "needs_input")
    of_family = event["actor"] == "engine:families"
    step = "reopen the task it needs, or drop the dependency" if of_family else f'orchestrator answer {task} "..."'
    return Draft(
        "blocked", f"task:{task}", f"task {task} is blocked ({kind}): {_title(rows, event)}", _body(event, step)
    )


def _failed(rows: Rows, event: Record) -> Draft | None:
    if event["dst"] != "failed":
        return None
    task = event["task_id"]
    title = f"task {task} has failed: {_title(rows, event)}"
    return Draft("failed", f"task:{task}", title, _body(event, f"orchestrator show {task}; orchestrator reopen {task}"))


def _review(rows: Rows, event: Record) -> Draft | None:
    """A review that is a person's now. One that an agent makes, or that waits for its checks, becomes one when it is handed over."""
    row = rows.one(TASK, task=event["task_id"])
    if row is None or row["status"] != "review":
        return None
    if event["verb"] == "hand_over":
        asked = row["handed_over"] is not None
    else:
        waits = event["verb"] == "submit" and _data(event).get("checks")
        asked = row["handed_over"] is None and row["reviewer"] is None and row["review"] == "human" and not waits
    if not asked:
        return None
    task = event["task_id"]
    step = f'orchestrator show {task}; orchestrator approve {task}   or   orchestrator reject {task} "..."'
    title = f"task {task} waits for your review: {_title(rows, event)}"
    return Draft("review", f"task:{task}", title, _body(event, step))


def _agent_paused(_rows: Rows, event: Record) -> Draft | None:
    if not event["actor"].startswith("engine:"):
        return None
    agent = event["agent_id"]
    step = f"orchestrator resume --agent {agent}"
    return Draft("agent_paused", f"agent:{agent}", f"agent {agent} is paused", _body(event, step), urgent=True)


def _account(_rows: Rows, event: Record) -> Draft | None:
    data, verb = _data(event), event["verb"]
    name, until = data.get("account"), data.get("until")
    topic, step = f"account:{name}", f"orchestrator accounts; orchestrator resume --account {name}"
    if verb == "account_paused":
        if not event["actor"].startswith(("engine:", "executor:", "reviewer:")):
            return None
        return Draft("account", topic, f"account {name} is paused", _body(event, step), urgent=True)
    if verb == "account_refuses":
        return Draft("account", topic, f"account {name} refuses again and again", _body(event, step))
    if until is None or seconds_between(event["at"], until) < LONG_LIMIT_SECONDS:
        return None
    return Draft("account", topic, f"account {name} is limited until {until}", _body(event, step))


def _budget(_rows: Rows, event: Record) -> Draft | None:
    spent = event["verb"] == "budget_spent"
    task, agent = event["task_id"], event["agent_id"]
    whose = f"task {task}" if task else f"agent {agent}" if agent else "the whole board"
    topic = f"task:{task}" if task else f"agent:{agent}" if agent else "board"
    title = f"the budget of {whose} is {'spent' if spent else 'nearly spent'}"
    return Draft("budget", topic, title, _body(event), urgent=spent and not task)


def _late(_rows: Rows, event: Record) -> Draft | None:
    return Draft("late", "tick", "the orchestrator cannot keep up", _body(event))


def _fault(_rows: Rows, event: Record) -> Draft | None:
    name = (event["reason"] or "").partition(":")[0]
    return Draft("fault", f"step:{name}", f"a step of the orchestrator fails: {name}", _body(event), urgent=True)


def _abroad(rows: Rows, event: Record) -> Draft | None:
    task = event["task_id"]
    step = f'orchestrator gone {event["attempt_id"]} "how you know that it is over"'
    title = f"task {task} is held: a run of it may go on elsewhere: {_title(rows, event)}"
    return Draft("not_gone", f"task:{task}", title, _body(event, step))


def _source(_rows: Rows, event: Record) -> Draft | None:
    name = _named(event["reason"] or "")
    what = "answers again" if event["verb"] in ("source_back", "presence_sink_back") else "does not answer as it should"
    return Draft("source", f"source:{name}", f"{name} {what}", _body(event))


def _named(reason: str) -> str:
    """The name that a sentence about a source begins with, such as `calendar:team`: up to its first space, or `: `."""
    return reason.split(" ")[0].rstrip(":")[:100]


def _refused(_rows: Rows, event: Record) -> Draft | None:
    verb = event["verb"]
    what = "a slot was refused" if verb == "slot_refused" else "a backend does not take how a slot went"
    return Draft("source", f"{verb}:{event['agent_id'] or ''}", what, _body(event))


def _missed(rows: Rows, event: Record) -> Draft | None:
    if event["verb"] == "slot_missed":
        return Draft("missed", f"slot:{event['slot_id']}", f"slot {event['slot_id']} was missed", _body(event))
    said = event["reason"] or ""
    if event["actor"] != "engine:slots" or not said.startswith(("missed", "its slot has ended")):
        return None
    task = event["task_id"]
    return Draft("missed", f"task:{task}", f"task {task} was missed: {_title(rows, event)}", _body(event))


def _sink(_rows: Rows, event: Record) -> Draft | None:
    data = _data(event)
    name, verb = data.get("sink"), event["verb"]
    if verb == "notice_dead" and data.get("quiet"):
        return None
    titles = {"sink_failed": "does not take notices", "sink_back": "takes notices again"}
    title = f"sink {name} {titles.get(verb, 'has given notices up')}"
    step = f"orchestrator notices retry --sink {name}" if verb == "notice_dead" else ""
    return Draft("sink", f"sink:{name}", title, _body(event, step))


# A verb that is not here tells nobody anything: it is on the board, and `orchestrator events` shows it.
TOLD: Mapping[str, Callable[[Rows, Record], Draft | None]] = {
    "block": _blocked, "fail": _failed, "submit": _review, "hand_over": _review, "verified": _review, "not_verified": _review,
    "agent_paused": _agent_paused, "account_paused": _account, "account_refuses": _account, "account_limited": _account,
    "budget_warned": _budget, "budget_spent": _budget, "tick_late": _late, "step_failed": _fault, "abroad": _abroad,
    "source_failed": _source, "source_back": _source, "presence_push_failed": _source, "presence_sink_back": _source,
    "slot_refused": _refused, "write_back_refused": _refused, "slot_missed": _missed, "cancel": _missed,
    "sink_failed": _sink, "sink_back": _sink, "notice_dead": _sink,
}  # fmt: skip
