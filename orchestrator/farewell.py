"""From an attempt's end on the board to the proof that nothing of it lives.

An agent that reported gets its time, every other is stopped at once; only what was proved is said to be gone.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from blackboard import attempts
from blackboard.board import Board
from blackboard.clock import seconds_between
from blackboard.record import Record
from blackboard.states import OUTCOMES
from orchestrator import processes
from orchestrator.abroad import Abroad
from orchestrator.acknowledging import missing
from orchestrator.config import Settings
from orchestrator.ends import gone
from orchestrator.processes import Identity
from orchestrator.runners.reading import result_of
from orchestrator.runners.runner import Stop
from orchestrator.runners.table import runner_of
from orchestrator.spawner import Spawner
from orchestrator.traces import agent_of, launcher_of, of_another_boot, sandbox_of
from orchestrator.waiting import first_of

LOOK_AGAIN = 5.0  # seconds between two tries to prove an attempt gone
NOT_GONE = "a process of this attempt could not be ended: look at it with ps; nothing is claimed beside it"
LAUNCHER_LOST = (
    "its launcher was killed: what it left was looked for by session and by the mark in its environment, so a process "
    "that has shed both is not found; look with ps"
)
Tell = Callable[[int, str, str], Awaitable[None]]


class Farewell:
    """Sees off the attempts of one board. `tell` writes an event about an attempt: its id, verb and reason."""

    def __init__(self, board: Board, settings: Settings, spawner: Spawner, tell: Tell) -> None:
        self._board = board
        self._settings = settings
        self._spawner = spawner
        self._tell = tell
        self._hurry = asyncio.Event()
        self._abroad = Abroad(board, settings)

    def hurry(self) -> None:
        """From now on nobody is waited for: the orchestrator stops."""
        self._hurry.set()

    async def rest(self, seconds: float) -> None:
        """Wait, but not while the orchestrator stops."""
        await first_of(self._hurry.wait(), within=seconds)

    async def see_off(self, attempt_id: int, launcher: Identity | None) -> float | None:
        """Let an attempt that reported finish, stop any other, and prove that nothing of it is left.

        None when it is gone. Else the seconds until the next look: it has not ended, somebody could not be ended, or
        its run may go on elsewhere.
        """
        row = await self._board.one(attempts.ONE_NOT_GONE, id=attempt_id)
        if row is None or row["ended_at"] is None:
            return None if row is None else LOOK_AGAIN
        directory = self._spawner.directory(attempt_id)
        status = await asyncio.to_thread(processes.read_status, directory)
        launcher = launcher or launcher_of(row, status)
        # Proved even where nothing should have been started: its directory may be another one than it was.
        if not await asyncio.to_thread(of_another_boot, directory, row["boot_id"], self._board.clock.boot_id()):
            if launcher is not None:
                await self._settle(row, launcher)
            if not await self._proved_gone(attempt_id, launcher):
                return LOOK_AGAIN
            status = await asyncio.to_thread(processes.read_status, directory)
            if status is not None and status.phase in ("starting", "running"):
                await self._tell(attempt_id, "launcher_lost", LAUNCHER_LOST)
        config = self._settings.agents.get(row["agent_id"])
        result = await asyncio.to_thread(result_of, config, directory, status.code if status else None)
        # Looked at again: while it was stopped, its launcher may have told who the agent was.
        row = await self._board.one(attempts.ONE_NOT_GONE, id=attempt_id)
        if row is None:
            return None
        if (pause := await self._abroad.keeps(row, status, result)) is not None:
            return pause
        unacknowledged = await asyncio.to_thread(missing, directory, status, result.text if result else None)
        await self._spawner.workspaces.after_run(row)
        await self._board.write(gone, attempt_id, status, result, unacknowledged)
        return None

    async def _settle(self, row: Record, launcher: Identity) -> None:
        """Give an agent that reported by itself its time to finish, and then its leftovers theirs."""
        agent = agent_of(row)
        if agent is not None and processes.alive(agent):
            if not OUTCOMES[row["outcome"]].settles:
                return
            await first_of(processes.exited(agent), self._hurry.wait(), within=self._settling(row))
            if processes.alive(agent):
                return
        config = self._settings.agents.get(row["agent_id"])
        keep = config is not None and config.leftovers == "keep"
        await first_of(processes.exited(launcher), self._hurry.wait(), within=None if keep else self._settling(row))

    def _settling(self, row: Record) -> float:
        """Seconds that are left of settle_seconds, which began when the attempt ended: a restart begins nothing anew."""
        gone_by = seconds_between(row["ended_at"], self._board.clock.now())
        return float(max(0.0, row["settle_seconds"] - max(0.0, gone_by)))

    async def _proved_gone(self, attempt_id: int, launcher: Identity | None) -> bool:
        """Stop whatever is left; False (and a notice) when something cannot be proved gone."""
        row = await self._board.one(attempts.ONE_NOT_GONE, id=attempt_id)
        if row is None:
            return False
        config = self._settings.agents.get(row["agent_id"])
        how = runner_of(config).stop(config) if config else Stop(signal.SIGTERM, 10.0)
        agent = agent_of(row)
        marker = self._spawner.marker(attempt_id)
        if await processes.present(marker, launcher, agent):
            await self._board.write(attempts.stopped, attempt_id)
        proved = await processes.stop(
            marker, launcher, agent,
            graceful=how.signal,
            grace=how.grace,
            spared=await asyncio.to_thread(sandbox_of, self._spawner.directory(attempt_id), agent),
        )  # fmt: skip
        if not proved:
            await self._tell(attempt_id, "not_gone", NOT_GONE)
        return proved
