"""A start takes a board over: what an earlier run, or another configuration, left there is carried on, left or removed.

Each part may be done again: a kill between two of them leaves the rest to the next start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection

from blackboard import contracts, families, presence_reports, repeating, slots, sources, uploads
from blackboard.board import Board, Tx
from blackboard.clock import from_text
from blackboard.errors import Refused
from orchestrator import backends, config_slots, heartbeating
from orchestrator.config import Settings
from orchestrator.sources import leave

log = logging.getLogger(__name__)

BASE_URL = "SELECT value FROM meta WHERE key = 'base_url'"


async def fix_base_url(board: Board, base_url: str, living: Callable[[], Awaitable[Collection[str]]]) -> None:
    """The address agents were told stays while any of them lives."""
    row = await board.one(BASE_URL)
    if row is not None and row["value"] != base_url and (alive := await living()):
        raise Refused(
            f"attempts that still live were told to report to {row['value']}, not {base_url}: start on that "
            f"address, or end them first. They are: {', '.join(alive)}"
        )
    await board.write(_put_base_url, base_url)


PUT_BASE_URL = """
INSERT INTO meta (key, value) VALUES ('base_url', :url) ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""


def _put_base_url(tx: Tx, url: str) -> None:
    tx.run(PUT_BASE_URL, url=url)


async def carry_on(board: Board, settings: Settings, *, presence_of: list[str]) -> None:
    """Go on with families, rules, slots and heartbeats; leave the sources that the configuration names no more."""
    await board.write(families.sweep)
    await board.write(_plan_on, settings)
    named = {
        "calendar": [f"calendar:{name}" for name in settings.calendars],
        "backend": backends.names(settings),
    }
    for kind, names in named.items():
        for name in await board.read_first(sources.unnamed, kind, names):
            await board.write(leave, name, settings.policies())
    await board.write(presence_reports.forget_others, presence_of)
    await heartbeating.take_over(board, settings)


def _plan_on(tx: Tx, settings: Settings) -> None:
    """Take the configuration's own slots in, go on with every rule, and decide on what an outage passed over."""
    project = settings.slots.project or settings.projects[0].id
    sources.answered(tx, config_slots.SOURCE)
    slots.take_in(
        tx, config_slots.schedule_of(settings.slots.recurring, project, settings.slots.time_zone), settings.policies()
    )
    repeating.go_on(tx, settings.policies())
    contracts.after_outage(tx, settings.slots.catch_up)


async def sweep_uploads(board: Board, settings: Settings) -> None:
    """Remove the files that a crash left between their arrival and the output that would have named them."""
    names = await board.read_first(uploads.named)
    now = from_text(board.clock.now()).timestamp()
    if gone := await asyncio.to_thread(uploads.sweep, settings.uploads_dir, names, now):
        log.info("%d uploads that no output names were removed", len(gone))
