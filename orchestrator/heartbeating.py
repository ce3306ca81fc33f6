"""The heartbeats' step of the tick: what is over is settled, what is due becomes a task. Also their part of a start.

Looks first and writes only where there is something to write, so that agents at work cost no row.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from blackboard import heartbeat_runs, heartbeats
from blackboard.board import Board, Tx
from blackboard.errors import Invalid
from blackboard.heartbeats import MOST_CHECKLIST, Configured
from orchestrator.config import Settings
from orchestrator.machine import room


async def beat(board: Board, settings: Settings) -> None:
    """Settle and post what is to be settled and posted now."""
    bounds = room(settings, board.clock.now())
    if await board.read_first(heartbeat_runs.to_do, board.clock.now(), bounds):
        await board.write(heartbeat_runs.beat, bounds, settings.policies())


async def settle(board: Board) -> None:
    """Only settle: of one pass, what it started is over when it ends."""
    if await board.read_first(heartbeat_runs.is_over):
        await board.write(heartbeat_runs.settle)


async def take_over(board: Board, settings: Settings) -> None:
    """Have the board's heartbeats as the configuration says, and none that is set for a time that a wrong clock told."""
    configured = await asyncio.to_thread(configured_by, settings)
    await board.write(_take_over, configured)


def _take_over(tx: Tx, configured: list[Configured]) -> None:
    heartbeats.take_over(tx, configured)
    heartbeats.after_clock_set_back(tx)


async def spread(board: Board) -> None:
    """Spread what an outage passed over. Not before a single pass, which would never see what it puts off."""
    await board.write(heartbeats.after_outage)


def configured_by(settings: Settings) -> list[Configured]:
    """The heartbeats of the configuration, with the checklists of their files; Invalid for a file that cannot be read."""
    return [
        Configured(name, agent.heartbeat.project or settings.projects[0].id, agent.heartbeat.settings(_checklist(name, agent.heartbeat.checklist_file)))
        for name, agent in settings.agents.items()
        if "heartbeat" in agent.model_fields_set
    ]  # fmt: skip


def _checklist(agent: str, file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        with file.open("rb") as opened:
            raw = opened.read(MOST_CHECKLIST + 1)
        if len(raw) > MOST_CHECKLIST:
            raise Invalid(
                f"{file}, the checklist of agent {agent}, has more than {MOST_CHECKLIST} bytes: make it shorter"
            )
        if b"\0" in raw:
            raise Invalid(f"{file}, the checklist of agent {agent}, holds a NUL character: write it as text")
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise Invalid(f"{file}, the checklist of agent {agent}, cannot be read: {why}") from None
