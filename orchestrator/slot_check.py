"""What would be refused of a slot file, found by taking it in on a passing board: the same code says the same.

Touches neither the real board nor the file.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from blackboard import slots
from blackboard.board import Board, Tx
from orchestrator import slot_files
from orchestrator.config import Settings
from orchestrator.roster import enrol


def refused(settings: Settings, file: Path) -> list[str]:
    """A sentence for each slot that would be refused; Invalid when the file as a whole would be."""
    schedule = slots.read_schedule(
        slot_files.read(file),
        source=file.name,
        project=str(settings.slots.project),
        time_zone=settings.slots.time_zone,
        complete=True,
    )
    return asyncio.run(rehearsed(settings, schedule))


async def rehearsed(settings: Settings, schedule: slots.Schedule) -> list[str]:
    """A sentence for each slot of a schedule that would be refused."""
    with tempfile.TemporaryDirectory(prefix="slots-") as folder:
        board = await Board.open(Path(folder, "board.db"), readers=0)
        try:
            return await board.write(_refused, settings, schedule)
        finally:
            await board.close()


def _refused(tx: Tx, settings: Settings, schedule: slots.Schedule) -> list[str]:
    enrol(tx, settings)
    taken = slots.take_in(tx, schedule, settings.policies())
    return [f"{which}: {why}" for which, why in taken.refused]
