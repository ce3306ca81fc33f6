"""Reading the board: status, tasks, show, why. All read the file itself, with a daemon running or without one."""

from __future__ import annotations

from typing import Any

import click

from orchestrator.commands.completing import agents as agent_names
from orchestrator.commands.completing import projects as project_names
from orchestrator.commands.completing import tasks as task_numbers
from orchestrator.commands.frame import Call, command

TASK = click.argument("task", type=click.IntRange(min=1), shell_complete=task_numbers)


@command("status", short_help="How the board stands, what runs, what is stuck.")
def status(call: Call) -> None:
    """How the board stands: the daemon, tasks by status, agents, what runs, what waits for a person."""
    from blackboard import accounting, accounts, deliveries, presence, presence_pushes, questions
    from blackboard.clock import SystemClock
    from blackboard.lock import holder
    from orchestrator import account
    from orchestrator.machine import room
    from orchestrator.spoken import command as command_here

    now = SystemClock().now()
    bounds = room(call.settings, now)
    with call.board() as board:
        value = questions.overview(board)
        found = presence.of_all(board, now, bounds)
        value["budgets"] = accounting.bounded(board, bounds.day) if bounds.day else []
        value["sinks"] = presence_pushes.listed(board)
        value["notices"] = deliveries.standing(board)
        value["accounts"] = [each for each in accounts.listed(board, now) if each["state"] in HELD]
    for agent in value["agents"]:
        where = found[agent["agent"]]
        agent |= {
            "presence": where.word,
            "because": where.because,
            "presence_source": where.source,
            "said_at": where.said_at,
        }
    value = {"board": str(call.settings.board), "now": now, "daemon": holder(call.settings.board), **value}
    call.screen.answer(value, account.of_board(value, command_here(call.settings)))


HELD = ("paused", "limited", "tried")  # states of an account that hold its agents


LISTED = """
SELECT t.id, t.status, t.project_id AS project, coalesce(a.agent_id, t.agent_id, 'role ' || t.role) AS agent, t.priority,
       coalesce(a.number, 0) AS attempt, t.due_at AS due, t.title
  FROM tasks t LEFT JOIN attempts a ON a.id = t.attempt_id
 WHERE (:status IS NULL OR t.status = :status) AND (:agent IS NULL OR :agent IN (t.agent_id, a.agent_id))
   AND (:project IS NULL OR t.project_id = :project)
 ORDER BY t.id DESC LIMIT :most
"""
STATES = ("pending", "claimed", "working", "review", "done", "failed", "blocked", "cancelled")


@command("tasks", short_help="List tasks, the newest first.")
@click.option("--status", type=click.Choice(STATES), help="Only tasks in this state.")
@click.option("--agent", help="Only tasks of this agent.", shell_complete=agent_names)
@click.option("--project", help="Only tasks of this project.", shell_complete=project_names)
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="At most so many.")
def tasks(call: Call, status: str | None, agent: str | None, project: str | None, limit: int) -> None:
    """List tasks, the newest first."""
    with call.board() as board:
        rows = [dict(row) for row in board.all(LISTED, status=status, agent=agent, project=project, most=limit)]
    narrowed = any(each is not None for each in (status, agent, project))
    empty = "no task is like that" if narrowed else 'there are no tasks yet: orchestrator post "TITLE" --agent NAME'
    columns = ("id", "status", "agent", "attempt", "priority", "due", "title")
    call.screen.table(rows, {name: name for name in columns}, empty=empty)


@command("show", short_help="A task with everything that belongs to it.")
@TASK
def show(call: Call, task: int) -> None:
    """A task with its attempts, outputs, comments and events."""
    from blackboard import questions, workspaces
    from orchestrator import account

    with call.board() as board:
        value = questions.expanded(board, task, {"all"})
        value["workspaces"] = [dict(row) for row in workspaces.of_attempts(board, task)]
    call.screen.answer(value, account.of_task(value))


@command("why", short_help="Why a task is where it is: every gate, passed or not.")
@TASK
def why(call: Call, task: int) -> None:
    """Why a task is where it is: every gate between it and the next attempt, passed or not."""
    from blackboard import explaining
    from blackboard.clock import SystemClock
    from blackboard.lock import holder
    from orchestrator.machine import room

    with call.board() as board:
        now = SystemClock().now()
        value = explaining.why(board, task, now, room(call.settings, now))
    value["daemon"] = holder(call.settings.board)
    call.screen.answer(value, _reasons(value))


def _reasons(value: dict[str, Any]) -> list[str]:
    lines = [value["sentence"]]
    if value["status"] != "pending":
        return lines
    lines += [_gate(gate) for gate in value["gates"]]
    for agent in value["agents"]:
        lines += [f"  agent {agent['agent']}", *(f"  {_gate(gate)}" for gate in agent["gates"])]
    if value["claimable"] and not (value["daemon"] or {}).get("url"):
        lines.append("no daemon runs this board: orchestrator run")
    return lines


def _gate(gate: dict[str, Any]) -> str:
    return f"  {'passes' if gate['passed'] else 'CLOSED'}  {gate['gate']}" + (
        f": {gate['sentence']}" if gate["sentence"] else ""
    )


COMMANDS = (status, tasks, show, why)
