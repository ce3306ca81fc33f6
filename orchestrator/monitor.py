"""One life per attempt, from its start (or adoption) to the proof that it is gone.

Every attempt that is not gone on the board has exactly one `_life` here; the tick's reconcile begins the lives
that are missing, so that adoption after a restart and an ordinary start are one path. Ending an attempt is
always a move on the board first; only then is anything signalled. Nothing is counted in memory.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from blackboard import attempts
from blackboard.board import Board
from blackboard.errors import BlackboardError
from blackboard.record import Record
from orchestrator import processes
from orchestrator.config import Settings
from orchestrator.config_agent import AgentConfig
from orchestrator.ends import end, start_for, stop_all
from orchestrator.exitwork import hand_in_stdout
from orchestrator.farewell import Farewell
from orchestrator.processes import Identity, Status
from orchestrator.purse import Purse
from orchestrator.runners.reading import result_of
from orchestrator.runners.table import runner_of
from orchestrator.spawner import Spawner, SpawnError, last_line
from orchestrator.spool import Spools
from orchestrator.traces import (
    Printed,
    agent_of,
    launcher_of,
    leave_to,
    never_started,
    of_another_boot,
    prepared,
    told_from,
)
from orchestrator.verdict import Limit, Verdict, between_looks, beyond_a_file, limits, slot_end, verdict
from orchestrator.waiting import first_of, looks
from orchestrator.weighing import Scales

log = logging.getLogger(__name__)

LOOK_AGAIN = 5.0  # seconds between two tries after something went wrong
STATUS_SECONDS = 5.0  # the launcher writes its first status in some 15 ms


class Monitor:
    """Watches every attempt of one board."""

    def __init__(self, board: Board, settings: Settings, spawner: Spawner, wake: Callable[[], None]) -> None:
        self._board = board
        self._settings = settings
        self._spawner = spawner
        self._wake = wake
        self._lives: dict[int, asyncio.Task[None]] = {}
        self._news: dict[int, asyncio.Event] = {}
        self._said: dict[int, set[tuple[str, str | None]]] = {}
        self._farewell = Farewell(board, settings, spawner, self._told)
        self._spools = Spools(board, settings, spawner.directory, wake)
        self._scales = Scales(board, settings, spawner.marker, self._over_limit, self._told)

    def begin(self, attempt_id: int, token: str | None = None) -> None:
        """Begin the life of an attempt: start it (a claim's token) or adopt it (None)."""
        if attempt_id not in self._lives:
            self._news[attempt_id] = asyncio.Event()
            self._lives[attempt_id] = asyncio.create_task(
                self._guarded(attempt_id, token), name=f"attempt {attempt_id}"
            )
            self._scales.begin(lambda: bool(self._lives))

    async def reconcile(self) -> None:
        """Begin the lives that are missing, and tell those whose attempt has ended on the board."""
        for row in await self._board.read_first(attempts.not_gone):
            self.begin(row["id"])
            if row["ended_at"] is not None:
                self._news[row["id"]].set()

    async def living(self) -> list[str]:
        """The attempts that may still report and of which a process lives, in words."""
        rows = [row for row in await self._board.read(attempts.not_gone) if row["ended_at"] is None]
        return [
            f"{row['id']} (task {row['task_id']}, {row['agent_id']})"
            for row in rows
            if await asyncio.to_thread(self._lives_still, row)
        ]

    def _lives_still(self, row: Record) -> bool:
        directory = self._spawner.directory(row["id"])
        if of_another_boot(directory, row["boot_id"], self._board.clock.boot_id()):
            return False
        launcher = launcher_of(row, processes.read_status(directory))
        return bool(processes.members(self._spawner.marker(row["id"]), launcher, agent_of(row)))

    async def quiet(self) -> None:
        """Wait until no attempt lives."""
        while self._lives:
            await asyncio.wait(list(self._lives.values()))

    async def stop(self) -> None:
        """End every living attempt, not charged, and wait until all are gone or known not to be provable."""
        self._farewell.hurry()
        for row in await self._board.read(attempts.not_gone):
            with suppress(BlackboardError):
                await self._spools.take(row["id"], final=False)
        await self._board.write(stop_all)  # a write sees the claims that were queued before it; a read might not
        await self.reconcile()
        for news in self._news.values():
            news.set()
        team = self._settings.agents.values()
        longest = max((runner_of(agent).stop(agent).grace + _parting(agent) for agent in team), default=0.0)
        if self._lives:
            await asyncio.wait(list(self._lives.values()), timeout=longest + processes.GIVE_UP_SECONDS + 5)
        await self.leave()

    async def leave(self) -> None:
        """Watch no longer; what runs goes on and is adopted by the next start."""
        await self._scales.leave()
        for life in list(self._lives.values()):
            life.cancel()
        await asyncio.gather(*self._lives.values(), return_exceptions=True)

    # --- a life ------------------------------------------------------------------------------------------

    async def _guarded(self, attempt_id: int, token: str | None) -> None:
        """A life that fails is told and looked at again by the next reconcile; it never takes others along."""
        try:
            await self._life(attempt_id, token)
        except Exception as error:
            ours = isinstance(error, BlackboardError)
            log.error("attempt %s: its watch failed; looking again: %s", attempt_id, error, exc_info=not ours)
            await self._told(attempt_id, "watch_failed", f"{type(error).__name__}: {error}")
            await asyncio.sleep(LOOK_AGAIN)
        finally:
            self._lives.pop(attempt_id, None)
            self._news.pop(attempt_id, None)
            self._wake()

    async def _life(self, attempt_id: int, token: str | None) -> None:
        launcher = await self._started(attempt_id, token) if token else await self._adopted(attempt_id)
        if launcher is not None:
            agent = await self._agent_of(attempt_id, launcher)
            await self._watch(attempt_id, launcher, agent)
        pause = await self._farewell.see_off(attempt_id, launcher)
        if pause is None:
            await self._spools.take(attempt_id, final=True)  # what came too late is refused, and told
            self._said.pop(attempt_id, None)
        else:
            await self._farewell.rest(pause)

    async def _started(self, attempt_id: int, token: str) -> Identity | None:
        """Start a claimed attempt; None when it could not be started, which is on the board then."""
        try:
            popen = await self._spawner.start(attempt_id, token)
        except SpawnError as error:
            await self._board.write(end, attempt_id, Verdict(error.outcome, str(error)))
            return None
        self._reap(popen)
        return processes.identity(popen.pid) or Identity(popen.pid, 0)

    def _reap(self, popen: subprocess.Popen[bytes]) -> None:
        """Keep a reference until our own child is reaped, whatever becomes of its life."""
        task = asyncio.create_task(processes.collect(popen))
        _REAPERS.add(task)
        task.add_done_callback(_REAPERS.discard)

    async def _adopted(self, attempt_id: int) -> Identity | None:
        """Find what a former daemon started; None when nothing of it runs any more."""
        directory = self._spawner.directory(attempt_id)
        row = await self._board.one(attempts.ONE_NOT_GONE, id=attempt_id)
        if row is None:
            return None
        await asyncio.to_thread(leave_to, directory, row["claimed_at"])
        if row["launcher_pid"] is not None and not await asyncio.to_thread(prepared, directory):
            await self._board.write(end, attempt_id, Verdict("lost", f"its directory {directory} is gone"))
            return None
        if await asyncio.to_thread(never_started, directory):
            await self._board.write(end, attempt_id, Verdict("released", "nothing was ever started"))
            return None
        status = await asyncio.to_thread(processes.read_status, directory)
        if await asyncio.to_thread(of_another_boot, directory, row["boot_id"], self._board.clock.boot_id()):
            await self._judge(attempt_id, status)
            return None
        launcher = launcher_of(row, status) or await self._late_launcher(directory)
        if launcher is None:
            if not await processes.present(self._spawner.marker(attempt_id), None):
                await self._judge(attempt_id, status)
            return None
        if row["spawned_at"] is None:
            await self._board.write(
                attempts.spawned,
                attempt_id,
                pid=launcher.pid,
                start=launcher.start,
                boot_id=self._board.clock.boot_id(),
                data=await asyncio.to_thread(told_from, directory),
            )
        await self._told(attempt_id, "adopted")
        return launcher

    async def _late_launcher(self, directory: Path) -> Identity | None:
        """A launcher that has created its status file and not yet written it."""
        async for _ in looks(within=STATUS_SECONDS):
            status = await asyncio.to_thread(processes.read_status, directory)
            if status is not None and status.launcher is not None:
                return status.launcher
        return None

    async def _agent_of(self, attempt_id: int, launcher: Identity) -> Identity | None:
        """Wait until the launcher has told who the agent is; None when it never started one."""
        directory = self._spawner.directory(attempt_id)
        async for _ in looks():
            alive = processes.alive(launcher)
            status = await asyncio.to_thread(processes.read_status, directory)
            if status is not None and status.agent is not None:
                await self._board.write(
                    attempts.agent_process, attempt_id, pid=status.agent.pid, start=status.agent.start
                )
                return status.agent
            if not alive or (status is not None and status.phase == "spawn_failed"):
                return None
        return None

    async def _watch(self, attempt_id: int, launcher: Identity, agent: Identity | None) -> None:
        """Return when the attempt has ended on the board: by its report, its process's end or a limit."""
        if agent is None:
            return await self._judge(attempt_id, await self._last_status(attempt_id, launcher))
        if not self._calls_back(await self._agent_config(attempt_id)):
            await self._board.write(start_for, attempt_id)
        ended = asyncio.create_task(processes.exited(agent))
        spooling = asyncio.create_task(self._spools.watch(attempt_id))
        try:
            await self._spools.take(attempt_id, final=False)  # before any limit: it may have reported long ago
            printed = Printed(self._spawner.directory(attempt_id))
            purse = Purse(self._board, self._settings, self._spawner.directory(attempt_id))
            while not ended.done() and processes.alive(agent):
                row = await self._board.one(attempts.ONE_NOT_GONE, id=attempt_id)
                if row is None or row["ended_at"] is not None:
                    return
                grown_at = await asyncio.to_thread(printed.grown_at, self._board.clock.boot())
                ends = slot_end(row, self._board.clock.now(), self._board.clock.boot())
                pause = await self._within_limits(
                    row, sorted([*limits(row, grown_at), *ends], key=lambda each: each.at)
                )
                if pause is not None:
                    pause = await self._within_budgets(row, purse, pause)
                if pause is not None:
                    await first_of(ended, self._news[attempt_id].wait(), within=pause)
            if ended.done():
                ended.result()
            await self._judge(attempt_id, await self._last_status(attempt_id, launcher))
        finally:
            ended.cancel()
            spooling.cancel()

    async def _within_limits(self, row: Record, found: list[Limit]) -> float | None:
        """Warn, or end the attempt at a limit; seconds until the next look, None when it has ended."""
        attempt_id, warned_at = row["id"], row["warned_at"]
        now = self._board.clock.boot()
        over = next((limit for limit in found if limit.at <= now), None)
        if over is not None:
            if await self._spools.take(attempt_id, final=False):
                return 0.0
            await self._board.write(end, attempt_id, Verdict(over.outcome, f"{over.sentence} is over"))
            return None
        near = next((limit for limit in found if limit.warn_at <= now), None)
        if near is not None and warned_at is None:
            await self._board.write(
                attempts.warned, attempt_id, f"{near.sentence} is near: {near.at - now:.0f} s are left"
            )
        times = [limit.at for limit in found] + (
            [limit.warn_at for limit in found if limit.warn_at > now] if warned_at is None else []
        )
        return max(0.005, min(min(times) - now, between_looks(row)))

    async def _within_budgets(self, row: Record, purse: Purse, pause: float) -> float | None:
        """End the attempt when a budget is spent; seconds until the next look, None when it has ended."""
        over, soon = await purse.look(row)
        if over is None:
            return pause if soon is None else min(pause, soon)
        if await self._spools.take(row["id"], final=False):
            return 0.0
        await self._board.write(end, row["id"], over)
        return None

    async def _over_limit(self, attempt_id: int, sentence: str) -> None:
        """End an attempt whose processes use too much, unless it has reported meanwhile."""
        if not await self._spools.take(attempt_id, final=False):
            await self._board.write(end, attempt_id, Verdict("over_limit", sentence))
        if attempt_id in self._news:
            self._news[attempt_id].set()

    async def _last_status(self, attempt_id: int, launcher: Identity) -> Status | None:
        """The status once it is final, or as it is when the launcher is gone."""
        directory = self._spawner.directory(attempt_id)
        async for _ in looks():
            alive = processes.alive(launcher)
            status = await asyncio.to_thread(processes.read_status, directory)
            if not alive or (status is not None and status.phase in ("exit", "signal", "spawn_failed", "void")):
                return status
        return None

    async def _judge(self, attempt_id: int, status: Status | None) -> None:
        """Say on the board how a process ended whose attempt has not ended by itself, nor by what it left to say."""
        await self._spools.take(attempt_id, final=True)
        config = await self._agent_config(attempt_id)
        directory = self._spawner.directory(attempt_id)
        result = await asyncio.to_thread(result_of, config, directory, status.code if status else None)
        found = beyond_a_file(verdict(status, result), config.limits.file_bytes if config else None)
        if found.outcome == "no_report" and not self._calls_back(config):
            await hand_in_stdout(self._board, attempt_id, directory)
        if found.outcome in ("crashed", "killed", "lost", "no_report"):
            found = found.saying(await asyncio.to_thread(last_line, directory))
        await self._board.write(end, attempt_id, found, result)

    # --- small things ------------------------------------------------------------------------------------

    async def _agent_config(self, attempt_id: int) -> AgentConfig | None:
        row = await self._board.one(attempts.GET, id=attempt_id)
        return self._settings.agents.get(row["agent_id"]) if row else None

    @staticmethod
    def _calls_back(config: AgentConfig | None) -> bool:
        return config is None or config.calls_back

    async def _told(self, attempt_id: int, verb: str, reason: str | None = None) -> None:
        """Write an event, once as long as it would say the same."""
        said = self._said.setdefault(attempt_id, set())
        if (verb, reason) in said:
            return
        said.add((verb, reason))
        try:
            await self._board.write(attempts.tell, attempt_id, verb, reason)
        except BlackboardError as error:
            said.discard((verb, reason))
            log.warning("attempt %s: %s could not be told: %s", attempt_id, verb, error)


def _parting(agent: AgentConfig) -> float:
    """Seconds that the hook after an agent's run may take, and be stopped in."""
    return agent.hooks.seconds + processes.GIVE_UP_SECONDS if agent.hooks.after_run else 0.0


_REAPERS: set[asyncio.Task[int]] = set()
