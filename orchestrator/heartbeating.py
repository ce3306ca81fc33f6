"""The heartbeats' step of the tick: what is over is settled, what is due becomes a task. Also their part of a start.

Looks first and writes only where there is something to write, so that agents at work cost no row.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Sequence
from pathlib import Path

from blackboard import heartbeat_runs, heartbeats
from blackboard.board import Board, Tx
from blackboard.errors import Invalid
from blackboard.gates import Room
from blackboard.heartbeats import MOST_CHECKLIST, Configured
from blackboard.record import Record
from blackboard.tokens import redact
from orchestrator import small_files
from orchestrator.config import Settings
from orchestrator.machine import room

log = logging.getLogger(__name__)


async def beat(board: Board, settings: Settings) -> None:
    """Settle and post what is to be settled and posted now."""
    bounds = room(settings, board.clock.now())
    agents = await board.read_first(heartbeat_runs.to_do, board.clock.now(), bounds)
    if agents is not None:
        read, unreadable = await asyncio.to_thread(_read_again, settings, agents)
        await board.write(_beat, bounds, settings, agents, read, unreadable)


def _beat(
    tx: Tx,
    bounds: Room,
    settings: Settings,
    agents: list[str],
    read: list[Configured],
    unreadable: dict[str, str],
) -> None:
    for each in read:
        heartbeats.take_over_checklist(tx, each)
    heartbeat_runs.beat(tx, bounds, settings.policies(), unreadable, agents)


async def settle(board: Board) -> None:
    """Only settle: of one pass, what it started is over when it ends."""
    if await board.read_first(heartbeat_runs.is_over):
        await board.write(heartbeat_runs.settle)


async def take_over(board: Board, settings: Settings) -> None:
    """Have the board's heartbeats as the configuration says, and none that is set for a time that a wrong clock told."""
    configured = await asyncio.to_thread(_as_far_as_read, settings)
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
        _configured(settings, name) for name, agent in settings.agents.items() if "heartbeat" in agent.model_fields_set
    ]


def _as_far_as_read(settings: Settings) -> list[Configured]:
    """The same for a start, which a checklist that an agent may have spoilt does not hold up: its beats wait, and say why."""
    found = []
    for name, agent in settings.agents.items():
        if "heartbeat" in agent.model_fields_set:
            try:
                found.append(_configured(settings, name))
            except Invalid as error:
                log.warning("%s; its heartbeat waits", error.sentence)
                found.append(Configured(name, _project(settings, name), agent.heartbeat.settings(None), unread=True))
    return found


def _configured(settings: Settings, name: str) -> Configured:
    table = settings.agents[name].heartbeat
    return Configured(name, _project(settings, name), table.settings(_checklist(name, table.checklist_file)))


def _project(settings: Settings, name: str) -> str:
    return settings.agents[name].heartbeat.project or settings.projects[0].id


def has_file(settings: Settings, agent: str) -> bool:
    """Whether an agent's checklist is kept in a file."""
    return agent in settings.agents and settings.agents[agent].heartbeat.checklist_file is not None


def checklist_now(settings: Settings, row: Record | None) -> str | None:
    """What the next beat will look at, where a file that was changed says so; None: what the board has. Invalid."""
    if row is None or not has_file(settings, row["agent_id"]):
        return None
    found = _configured(settings, row["agent_id"])
    return None if found.fingerprint == row["config"] else found.settings.checklist


def _read_again(settings: Settings, agents: Sequence[str]) -> tuple[list[Configured], dict[str, str]]:
    """The heartbeats of these agents whose checklists are in files, and why files cannot be read, by their agents."""
    read, unreadable = [], {}
    for name in agents:
        if has_file(settings, name):
            try:
                read.append(_configured(settings, name))
            except Invalid as error:
                unreadable[name] = error.sentence
    return read, unreadable


def _checklist(agent: str, file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        # An agent may be allowed to write it: no link leads it to what it must not read.
        raw, _ = small_files.read(file, MOST_CHECKLIST + 1, follow=False)
    except OSError as error:
        why = "it is a symbolic link: name the file it leads to" if error.errno == errno.ELOOP else error.strerror
        raise Invalid(f"{file}, the checklist of agent {agent}, cannot be read: {why}") from None
    if len(raw) > MOST_CHECKLIST:
        raise Invalid(f"{file}, the checklist of agent {agent}, has more than {MOST_CHECKLIST} bytes: make it shorter")
    if b"\0" in raw:
        raise Invalid(f"{file}, the checklist of agent {agent}, holds a NUL character: write it as text")
    try:
        return redact(raw.decode("utf-8-sig").replace("\r\n", "\n"))  # whoever reads the board reads it too
    except UnicodeDecodeError:
        raise Invalid(f"{file}, the checklist of agent {agent}, cannot be read: it is not UTF-8") from None
