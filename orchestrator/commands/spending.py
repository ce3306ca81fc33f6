"""`spending`: what the agents spent on one day. Reads the file itself, with a daemon or without one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import click

from orchestrator.commands.completing import agents as agent_names
from orchestrator.commands.frame import Call, command


@command("spending", short_help="What the agents spent on a day, and what is left.")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="YYYY-MM-DD in the zone of [budget]; today without it.")
@click.option("--agent", help="Only this agent.", shell_complete=agent_names)
def spending(call: Call, day: datetime | None, agent: str | None) -> None:
    """What the agents spent on one day: attempts, tokens, cost, and how much of their budgets that is."""
    from zoneinfo import ZoneInfo

    from blackboard import accounting, days, pauses
    from blackboard.clock import SystemClock, from_text

    zone = call.settings.budget.time_zone
    which = day.date() if day else from_text(SystemClock().now()).astimezone(ZoneInfo(zone)).date()
    with call.board() as board:
        if agent is not None:
            pauses.state(board, pauses.Target("agent", agent))  # or there is no such agent
        found = accounting.spending(board, days.day(which, zone), agent)
    value = {"day": which.isoformat(), "time_zone": zone, **found}
    if call.as_json or not found["total"]["attempts"]:
        call.screen.answer(value, [f"nothing was attempted on {which.isoformat()} ({zone})"])
        return
    call.screen.table(list(_rows(value)), COLUMNS, empty="")


COLUMNS = {
    "agent": "agent", "attempts": "attempts", "input_tokens": "input", "cached_tokens": "cached", "output_tokens": "output",
    "cost": "cost", "of_budget": "budget", "share": "share", "action": "action",
}  # fmt: skip


def _rows(value: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for row in [*value["agents"], {"agent": "all together", **value["total"]}]:
        bounded = row["share"] is not None
        yield row | {
            "cost": f"{row['cost_usd']:.4g} USD",
            "share": f"{row['share']:.0%}" if bounded else "",
            "of_budget": row["of_budget"] or "none",
            "action": row["action"] if bounded else "",
        }


COMMANDS = (spending,)
