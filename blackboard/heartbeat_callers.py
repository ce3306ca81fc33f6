"""What callers read and say of heartbeats, each as one transaction that looks the token up. Answers are ready for JSON.

An operator changes every heartbeat; an agent reads its own, and changes what an operator has granted it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Any, cast

from blackboard import heartbeat_runs, heartbeats, permissions
from blackboard.board import Rows, Tx
from blackboard.claims import agent_facts
from blackboard.errors import Forbidden, Refused
from blackboard.gates import Room
from blackboard.heartbeat_runs import SKIPS
from blackboard.heartbeat_times import next_run, offset, within
from blackboard.heartbeats import HeartbeatSettings, given_of, settings_of
from blackboard.notice_routes import problem_of_names
from blackboard.record import Record
from blackboard.tokens import Caller, identify

Answer = dict[str, Any]
STANDS = (
    "project_id",
    "next_run_at",
    "held_by",
    "last_run_at",
    "last_status",
    "last_error",
    "run_count",
    "suppress_count",
)
MOST_RUNS = 5


# --- who may ----------------------------------------------------------------------------------------------------------


def _known(rows: Rows, token_hash: bytes, agent: str) -> Caller:
    """The caller, if it may read an agent's heartbeat: operators all, an agent or its living attempt its own."""
    caller = identify(cast(Tx, rows), token_hash)
    permissions.must_live(caller)
    if caller.may("read") or caller.agent_id == agent:
        return caller
    raise Forbidden(
        f"this token reads the heartbeat of agent {caller.agent_id}: that of {agent} needs an operator's token"
    )


def _changing(tx: Tx, token_hash: bytes, agent: str, type: permissions.Type) -> Caller:
    caller = identify(tx, token_hash)
    permissions.must_allow(tx, caller, type, agent)
    return caller


# --- reading ----------------------------------------------------------------------------------------------------------


def shown(agent: str, row: Record | None) -> Answer:
    """An agent's heartbeat as it is set and as it stands; the defaults where nothing was ever set."""
    found = given_of(row) if row is not None else asdict(HeartbeatSettings())
    told = found | {"sinks": None if found["sinks"] is None else list(found["sinks"])}
    stands = (
        {name: row[name] for name in STANDS}
        if row is not None
        else dict.fromkeys(STANDS) | {"run_count": 0, "suppress_count": 0}
    )
    return {"agent": agent, **told, **stands}


def get(rows: Rows, token_hash: bytes, agent: str) -> Answer:
    """How an agent's heartbeat is set and stands."""
    _known(rows, token_hash, agent)
    return shown(agent, heartbeats.find(rows, agent))


def checklist(rows: Rows, token_hash: bytes, agent: str) -> Answer:
    """What an agent's heartbeat looks at."""
    return {"agent": agent, "checklist": get(rows, token_hash, agent)["checklist"]}


def logs(rows: Rows, token_hash: bytes, agent: str, most: int) -> Answer:
    """The latest runs and skips, the newest first."""
    _known(rows, token_hash, agent)
    return {"agent": agent, "runs": heartbeat_runs.logs(rows, agent, most) if heartbeats.find(rows, agent) else []}


def rehearse(rows: Rows, token_hash: bytes, agent: str, now: str, room: Room) -> Answer:
    """What would happen if the heartbeat were due now, and when it is; nothing is started."""
    _known(rows, token_hash, agent)
    return rehearsal(rows, agent, now, room)


RUNNING = "SELECT 1 FROM heartbeat_runs WHERE agent_id = :agent AND status = 'running'"
PROJECT = "SELECT paused_at FROM projects WHERE id = :project"


def rehearsal(rows: Rows, agent: str, now: str, room: Room, checklist: str | None = None) -> Answer:
    """The same for a caller that may read. `checklist`: what its file holds now; None: what the board has."""
    row = heartbeats.find(rows, agent)
    if row is None:
        reason = "it was never set"
        return {
            "agent": agent,
            "would_run": False,
            "reason": "off",
            "because": reason,
            "next_runs": [],
            "checklist": "",
        }
    project = rows.one(PROJECT, project=row["project_id"])
    asked: dict[str, Any] = {
        **dict(row),
        "checklist": row["checklist"] if checklist is None else checklist,
        "runs": rows.one(RUNNING, agent=agent) is not None,
        "project_paused_at": project["paused_at"] if project else None,
    }
    facts = next(each for each in agent_facts(rows, now, room) if each.agent["id"] == agent)
    held = heartbeat_runs.held_by(asked, facts, now) or heartbeat_runs.passed_over(asked, now)
    if held is None and checklist is None and row["held_by"] == "checklist_file":
        held = "checklist_file"
    off = None if row["enabled"] else "off"
    because = SKIPS[held] if held else "it is off" if off else None
    return {
        "agent": agent, "would_run": because is None, "reason": held or off, "because": because, "next_runs": next_runs(row),
        "checklist": asked["checklist"],
    }  # fmt: skip


def next_runs(row: Record) -> list[str]:
    """The next beats of a heartbeat, up to five; none of one that is off."""
    wanted, due = settings_of(row), row["next_run_at"]
    shift = offset(row["agent_id"], wanted.interval_seconds)
    found: list[str] = []
    while due is not None and len(found) < MOST_RUNS:
        found.append(due)
        following = row["beat_at"] if row["beat_at"] > due else next_run(due, wanted.interval_seconds, due)
        due = within(wanted.hours, following, wanted.interval_seconds, shift)
    return found


# --- changing ---------------------------------------------------------------------------------------------------------


def as_set(said: Mapping[str, Any]) -> dict[str, Any]:
    """What a caller said as the board takes it: an empty word, or an empty list, is for none."""
    found = dict(said)
    for name in ("active_hours", "model"):
        if name in found:
            found[name] = found[name].strip() or None
    if "sinks" in found:
        found["sinks"] = tuple(found["sinks"]) or None
    return found


def change(
    tx: Tx, token_hash: bytes, agent: str, given: Mapping[str, Any], known: Collection[str] | None = None
) -> Answer:
    """Set what is given, as `as_set` reads it; what is not given stays.

    `known`: the sinks that there are; None where nobody knows. Refused for another one.
    """
    given = as_set(given)
    caller = _changing(tx, token_hash, agent, "heartbeat")
    if known is not None and (problem := problem_of_names(given.get("sinks") or (), known)):
        raise Refused(f"the heartbeat of {agent} {problem}")
    if "checklist" in given:
        permissions.must_allow(tx, caller, "checklist", agent)
    return _changed(tx, agent, heartbeats.change(tx, agent, given, actor=caller.actor))


def toggle(tx: Tx, token_hash: bytes, agent: str, enabled: bool | None = None) -> Answer:
    """Switch it on or off; None: to what it is not."""
    caller = _changing(tx, token_hash, agent, "heartbeat")
    row = heartbeats.find(tx, agent)
    wanted = enabled if enabled is not None else not (row is not None and row["enabled"])
    return _changed(tx, agent, heartbeats.change(tx, agent, {"enabled": wanted}, actor=caller.actor))


def put_checklist(tx: Tx, token_hash: bytes, agent: str, text: str) -> Answer:
    """Set what it looks at."""
    caller = _changing(tx, token_hash, agent, "checklist")
    return _changed(tx, agent, heartbeats.change(tx, agent, {"checklist": text}, actor=caller.actor))


def _changed(tx: Tx, agent: str, changed: list[str]) -> Answer:
    found = shown(agent, heartbeats.get(tx, agent))
    return found | {"changed": changed, "next": sentence(found, changed)}


def sentence(found: Mapping[str, Any], changed: list[str] | None = None) -> str:
    """One sentence about how a heartbeat stands."""
    agent = found["agent"]
    if not found["enabled"]:
        stands = f"the heartbeat of {agent} is off: orchestrator heartbeat toggle {agent} on"
    else:
        held = f", held back: {SKIPS[found['held_by']]}" if found["held_by"] else ""
        stands = (
            f"the heartbeat of {agent} beats every {found['interval_seconds']} s, next at {found['next_run_at']}{held}"
        )
    return f"nothing has changed: {stands}" if changed == [] else stands


def wake(tx: Tx, token_hash: bytes, agent: str) -> Answer:
    """Have it run now, through its hours and every gate."""
    caller = _changing(tx, token_hash, agent, "heartbeat")
    woken = heartbeats.wake(tx, agent, actor=caller.actor)
    said = (
        "is due now: it runs when its hours, its gates and its agent's work allow it"
        if woken
        else "is due or under way already"
    )
    return {
        "agent": agent,
        "woken": woken,
        "next": f"the heartbeat of {agent} {said}; orchestrator heartbeat logs {agent}",
    }
