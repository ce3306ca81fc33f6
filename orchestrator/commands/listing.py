"""Lists of what the board works with: agents, accounts, and slots. All read the file itself, with a daemon or without one."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands.completing import agents as agent_names
from orchestrator.commands.frame import Call, command

if TYPE_CHECKING:
    from blackboard.presence import Presence

AGENTS = """
SELECT l.agent, l.enabled, l.live, l.max_live, l.ready, l.waiting, l.in_review, l.blocked, l.seen_at, l.paused_at, g.pause_reason,
       w.paused_at AS all_paused_at, w.pause_reason AS all_pause_reason,
       (SELECT group_concat(role, ' ') FROM (SELECT role FROM agent_roles r WHERE r.agent_id = l.agent ORDER BY role)) AS roles
  FROM v_agent_load l JOIN agents g ON g.id = l.agent CROSS JOIN whole_board w ORDER BY l.agent
"""


@command("agents", short_help="The agents: what each does, and whether it is paused.")
def agents(call: Call) -> None:
    """The agents: where each stands and who says so, attempts that live, tasks that wait, why one is paused, when each was last heard of."""
    from blackboard import presence
    from blackboard.clock import SystemClock
    from orchestrator import account
    from orchestrator.machine import room

    now = SystemClock().now()
    with call.board() as board:
        found = presence.of_all(board, now, room(call.settings, now))
        rows = [_agent(row, found[row["agent"]]) for row in board.all(AGENTS)]
    columns = {
        name: name.replace("_", " ")
        for name in ("agent", "presence", "state", "live", "ready", "waiting", "in_review", "blocked")
    }
    columns |= {"roles": "roles", "seen_at": "last seen", "reason": "reason"}
    if not call.as_json:
        rows = [
            row
            | {
                "live": f"{row['live']} of {row['max_live']}",
                "roles": " ".join(row["roles"]),
                "presence": account.standing(row, now),
            }
            for row in rows
        ]
    call.screen.table(rows, columns, empty="there are no agents yet: add [agents.NAME] to the configuration")


def _agent(row: sqlite3.Row, where: Presence) -> dict[str, Any]:
    told = dict(row) | {"presence": where.word, "presence_source": where.source, "said_at": where.said_at}
    all_since, all_reason = told.pop("all_paused_at"), told.pop("all_pause_reason")
    reason = told.pop("pause_reason")
    told["roles"] = (told["roles"] or "").split()
    told["state"] = _state(row, where)
    since = row["paused_at"] or all_since
    said = (reason if row["paused_at"] else all_reason) or "no reason given"
    told["reason"] = f"{'' if row['paused_at'] else 'everything '}since {since}: {said}" if since else None
    if where.word == "exhausted" or where.source != "board":
        told["reason"] = where.because
    return told


def _state(row: sqlite3.Row, where: Presence) -> str:
    if not row["enabled"]:
        return "disabled"
    if row["paused_at"] or row["all_paused_at"]:
        return "paused"
    if where.word == "exhausted":
        return "exhausted"
    return "busy" if row["live"] >= row["max_live"] else "working" if row["live"] else "free"


@command("accounts", short_help="The accounts that agents draw on: which are limited, until when, and why.")
def accounts(call: Call) -> None:
    """The accounts: the agents of each, whether its provider refuses, until when, why, and how often in a row.

    state: paused (a person resumes it), limited (until a time), tried (one attempt goes first), unproved (the next
    attempt goes first), open.
    """
    from blackboard.accounts import listed
    from blackboard.clock import SystemClock

    with call.board() as board:
        rows = listed(board, SystemClock().now())
    if not call.as_json:
        rows = [
            row
            | {
                "agents": " ".join(row["agents"]),
                "limited_until": row["limited_until"] if row["state"] == "limited" else None,
                "limit_reason": row["pause_reason"] if row["state"] == "paused" else row["limit_reason"],
            }
            for row in rows
        ]
    columns = {"account": "account", "state": "state", "limited_until": "until", "strikes": "strikes"}
    columns |= {"agents": "agents", "limit_reason": "reason"}
    call.screen.table(rows, columns, empty="no agent draws on an account yet: add [agents.NAME] to the configuration")


@command("slots", short_help="What is planned: slots, their tasks, when each is due next.")
@click.option("--agent", help="Only slots of this agent.", shell_complete=agent_names)
@click.option("--times", "all_times", is_flag=True, help="The next five times of each, not only the next one.")
@click.option("--all", "everything", is_flag=True, help="Also those that are over or have left their source.")
def slots(call: Call, agent: str | None, all_times: bool, everything: bool) -> None:
    """What is planned: each slot with its latest task and when it is due next, in UTC."""
    from blackboard import pauses
    from blackboard.clock import SystemClock
    from blackboard.planned import planned

    with call.board() as board:
        if agent is not None:
            pauses.state(board, pauses.Target("agent", agent))  # or there is no such agent
        rows = planned(board, SystemClock().now(), agent=agent, everything=everything)
    if not call.as_json:
        rows = [
            row | {"next": "\n".join(row["times"]) if all_times else row["next"], "scheduled_at": _when(row)}
            for row in rows
        ]
    names = ("agent", "uid", "scheduled_at", "time_zone", "status", "task", "task_status", "next", "source")
    empty = "there are no slots" if everything else "nothing is planned: `orchestrator slots --all` shows what was"
    call.screen.table(rows, {name: name.replace("_", " ") for name in names}, empty=empty)


def _when(row: dict[str, Any]) -> str:
    """When a slot is, as it was written: its rule says more than the first time."""
    return str(row["repeat"] or row["scheduled_at"])


COMMANDS = (agents, accounts, slots)
