"""One life per attempt, from its start (or adoption) to the proof that it is gone.

Every attempt that is not gone on the board has exactly one `_life` here; the tick's reconcile begins the lives
that are missing, so that adoption after a restart and an ordinary start are one path. Ending an attempt is
always a move on the board first; only then is anything signalled. Nothing is counted in memory.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from blackboard import attempts, verbs
from blackboard.agents import trip_breaker
from blackboard.board import Board, Tx
from blackboard.clock import seconds_between
from blackboard.errors import BlackboardError
from blackboard.record import Record
from blackboard.states import OUTCOMES
from orchestrator import processes
from orchestrator.config import AgentConfig, Settings
from orchestrator.exitwork import hand_in_stdout
from orchestrator.processes import Identity, Status
from orchestrator.spawner import Spawner, SpawnError, last_line
from orchestrator.verdict import Limit, Verdict, between_looks, limits, verdict

log = logging.getLogger(__name__)

ENGINE = "engine:monitor"
LOOK_AGAIN = 5.0  # seconds between two tries after something went wrong, and to prove an attempt gone
STATUS_POLL = 0.01
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
        self._hurry = False

    def begin(self, attempt_id: int, token: str | None = None) -> None:
        """Begin the life of an attempt: start it (a claim's token) or adopt it (None)."""
        if attempt_id not in self._lives:
            self._news[attempt_id] = asyncio.Event()
            self._lives[attempt_id] = asyncio.create_task(
                self._guarded(attempt_id, token), name=f"attempt {attempt_id}"
            )

    async def reconcile(self) -> None:
        """Begin the lives that are missing, and tell those whose attempt has ended on the board."""
        for row in await self._board.read(attempts.not_gone):
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
        if _of_another_boot(directory, row["boot_id"], self._board.clock.boot_id()):
            return False
        launcher = _launcher_of(row, processes.read_status(directory))
        return bool(processes.members(self._spawner.marker(row["id"]), launcher, _agent_in(row)))

    async def quiet(self) -> None:
        """Wait until no attempt lives."""
        while self._lives:
            await asyncio.wait(list(self._lives.values()))

    async def stop(self) -> None:
        """End every living attempt, not charged, and wait until all are gone or known not to be provable."""
        self._hurry = True
        await self._board.write(_stop_all)  # a write sees the claims that were queued before it; a read might not
        await self.reconcile()
        for news in self._news.values():
            news.set()
        longest = max((agent.grace_seconds for agent in self._settings.agents.values()), default=0.0)
        if self._lives:
            await asyncio.wait(list(self._lives.values()), timeout=longest + processes.GIVE_UP_SECONDS + 5)
        await self.leave()

    async def leave(self) -> None:
        """Watch no longer; what runs goes on and is adopted by the next start."""
        for life in list(self._lives.values()):
            life.cancel()
        await asyncio.gather(*self._lives.values(), return_exceptions=True)

    # --- a life ------------------------------------------------------------------------------------------

    async def _guarded(self, attempt_id: int, token: str | None) -> None:
        """A life that fails is told and looked at again by the next reconcile; it never takes others along."""
        try:
            await self._life(attempt_id, token)
        except Exception as error:
            log.exception("attempt %s: its watch failed; looking again", attempt_id)
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
        await self._see_off(attempt_id, launcher)

    async def _started(self, attempt_id: int, token: str) -> Identity | None:
        """Start a claimed attempt; None when it could not be started, which is on the board then."""
        try:
            popen = await self._spawner.start(attempt_id, token)
        except SpawnError as error:
            await self._board.write(_end, attempt_id, Verdict(error.outcome, str(error)))
            return None
        self._reap(popen)
        return processes.identity(popen.pid) or Identity(popen.pid, 0)

    def _reap(self, popen: subprocess.Popen[bytes]) -> None:
        """Keep a reference until our own child is reaped, whatever becomes of its life."""
        task = asyncio.create_task(_collect(popen))
        _REAPERS.add(task)
        task.add_done_callback(_REAPERS.discard)

    async def _adopted(self, attempt_id: int) -> Identity | None:
        """Find what a former daemon started; None when nothing of it runs any more."""
        directory = self._spawner.directory(attempt_id)
        if await asyncio.to_thread(_never_started, directory):
            await self._board.write(_end, attempt_id, Verdict("released", "nothing was ever started"))
            return None
        row = await self._board.one(attempts.ONE_NOT_GONE, id=attempt_id)
        status = await asyncio.to_thread(processes.read_status, directory)
        if row is None or await asyncio.to_thread(
            _of_another_boot, directory, row["boot_id"], self._board.clock.boot_id()
        ):
            await self._judge(attempt_id, status)
            return None
        launcher = _launcher_of(row, status) or await self._late_launcher(directory)
        if launcher is None:
            if not await asyncio.to_thread(processes.members, self._spawner.marker(attempt_id), None):
                await self._judge(attempt_id, status)
            return None
        if row["spawned_at"] is None:
            await self._board.write(
                attempts.spawned,
                attempt_id,
                pid=launcher.pid,
                start=launcher.start,
                boot_id=self._board.clock.boot_id(),
            )
        await self._told(attempt_id, "adopted")
        return launcher

    async def _late_launcher(self, directory: Path) -> Identity | None:
        """A launcher that has created its status file and not yet written it."""
        for _ in range(int(STATUS_SECONDS / STATUS_POLL)):
            status = await asyncio.to_thread(processes.read_status, directory)
            if status is not None and status.launcher is not None:
                return status.launcher
            await asyncio.sleep(STATUS_POLL)
        return None

    async def _agent_of(self, attempt_id: int, launcher: Identity) -> Identity | None:
        """Wait until the launcher has told who the agent is; None when it never started one."""
        directory = self._spawner.directory(attempt_id)
        while True:
            alive = processes.alive(launcher)
            status = await asyncio.to_thread(processes.read_status, directory)
            if status is not None and status.agent is not None:
                await self._board.write(
                    attempts.agent_process, attempt_id, pid=status.agent.pid, start=status.agent.start
                )
                return status.agent
            if not alive or (status is not None and status.phase == "spawn_failed"):
                return None
            await asyncio.sleep(STATUS_POLL)

    async def _watch(self, attempt_id: int, launcher: Identity, agent: Identity | None) -> None:
        """Return when the attempt has ended on the board: by its report, its process's end or a limit."""
        if agent is None:
            return await self._judge(attempt_id, await self._last_status(attempt_id, launcher))
        if not self._calls_back(await self._agent_config(attempt_id)):
            await self._board.write(_start_for, attempt_id)
        ended = asyncio.create_task(processes.exited(agent))
        try:
            printed = _Printed(self._spawner.directory(attempt_id))
            while not ended.done() and processes.alive(agent):
                row = await self._board.one(attempts.ONE_NOT_GONE, id=attempt_id)
                if row is None or row["ended_at"] is not None:
                    return
                grown_at = await asyncio.to_thread(printed.grown_at, self._board.clock.boot())
                pause = await self._within_limits(row, limits(row, grown_at))
                if pause is not None:
                    await _first_of(ended, self._news[attempt_id].wait(), within=pause)
            if ended.done():
                ended.result()
            await self._judge(attempt_id, await self._last_status(attempt_id, launcher))
        finally:
            ended.cancel()

    async def _within_limits(self, row: Record, found: list[Limit]) -> float | None:
        """Warn, or end the attempt at a limit; seconds until the next look, None when it has ended."""
        attempt_id, warned_at = row["id"], row["warned_at"]
        now = self._board.clock.boot()
        over = next((limit for limit in found if limit.at <= now), None)
        if over is not None:
            await self._board.write(_end, attempt_id, Verdict(over.outcome, f"{over.sentence} is over"))
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

    async def _last_status(self, attempt_id: int, launcher: Identity) -> Status | None:
        """The status once it is final, or as it is when the launcher is gone."""
        directory = self._spawner.directory(attempt_id)
        while True:
            alive = processes.alive(launcher)
            status = await asyncio.to_thread(processes.read_status, directory)
            if not alive or (status is not None and status.phase in ("exit", "signal", "spawn_failed", "void")):
                return status
            await asyncio.sleep(STATUS_POLL)

    async def _judge(self, attempt_id: int, status: Status | None) -> None:
        """Say on the board how a process ended whose attempt has not ended by itself."""
        found = verdict(status)
        config = await self._agent_config(attempt_id)
        directory = self._spawner.directory(attempt_id)
        if found.outcome == "no_report" and not self._calls_back(config):
            await hand_in_stdout(self._board, attempt_id, directory)
        if found.outcome in ("crashed", "killed", "lost", "no_report"):
            found = found.saying(await asyncio.to_thread(last_line, directory))
        await self._board.write(_end, attempt_id, found)

    # --- to the proof that it is gone --------------------------------------------------------------------

    async def _see_off(self, attempt_id: int, launcher: Identity | None) -> None:
        """Let an attempt that reported finish, stop any other, and prove that nothing of it is left."""
        row = await self._board.one(attempts.ONE_NOT_GONE, id=attempt_id)
        if row is None or row["ended_at"] is None:
            return
        directory = self._spawner.directory(attempt_id)
        status = await asyncio.to_thread(processes.read_status, directory)
        launcher = launcher or _launcher_of(row, status)
        if await asyncio.to_thread(_may_live, directory, row, launcher, status, self._board.clock.boot_id()):
            if launcher is not None:
                await self._settle(row, launcher)
            if not await self._proved_gone(attempt_id, launcher):
                return
            status = await asyncio.to_thread(processes.read_status, directory)
        code, number = (status.code, status.signal) if status else (None, None)
        await self._board.write(attempts.gone, attempt_id, code=code, signal=number)
        self._said.pop(attempt_id, None)

    async def _settle(self, row: Record, launcher: Identity) -> None:
        """Give an agent that reported by itself its time to finish, and then its leftovers theirs."""
        if self._hurry:
            return
        agent = _agent_in(row)
        if agent is not None and processes.alive(agent):
            if not OUTCOMES[row["outcome"]].settles:
                return
            await _first_of(processes.exited(agent), self._hurried(row["id"]), within=self._settling(row))
            if processes.alive(agent):
                return
        config = self._settings.agents.get(row["agent_id"])
        keep = config is not None and config.leftovers == "keep"
        within = None if keep else self._settling(row)
        await _first_of(processes.exited(launcher), self._hurried(row["id"]), within=within)

    def _settling(self, row: Record) -> float:
        """Seconds that are left of settle_seconds, which began when the attempt ended: a restart does not begin them anew."""
        gone_by = seconds_between(row["ended_at"], self._board.clock.now())
        return float(max(0.0, row["settle_seconds"] - max(0.0, gone_by)))

    async def _hurried(self, attempt_id: int) -> None:
        while not self._hurry:
            self._news[attempt_id].clear()
            await self._news[attempt_id].wait()

    async def _proved_gone(self, attempt_id: int, launcher: Identity | None) -> bool:
        """Stop whatever is left; False (and a notice) when something cannot be proved gone."""
        row = await self._board.one(attempts.ONE_NOT_GONE, id=attempt_id)
        if row is None:
            return False
        config = self._settings.agents.get(row["agent_id"])
        agent = _agent_in(row)
        marker = self._spawner.marker(attempt_id)
        if await asyncio.to_thread(processes.members, marker, launcher, agent):
            await self._board.write(attempts.stopped, attempt_id)
        proved = await processes.stop(
            marker, launcher, agent,
            graceful=getattr(signal, f"SIG{config.graceful_signal}") if config else signal.SIGTERM,
            grace=config.grace_seconds if config else 10.0,
        )  # fmt: skip
        if not proved:
            await self._told(
                attempt_id,
                "not_gone",
                "a process of this attempt could not be ended: look at it with ps; nothing is claimed beside it",
            )
            await asyncio.sleep(LOOK_AGAIN)
        return proved

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
        except BlackboardError:
            log.exception("attempt %s: %s could not be told", attempt_id, verb)


_REAPERS: set[asyncio.Task[None]] = set()


async def _collect(popen: subprocess.Popen[bytes]) -> None:
    await processes.collect(popen)


class _Printed:
    """When an attempt's logs were last seen to grow, in CLOCK_BOOTTIME seconds: no wall clock is asked."""

    def __init__(self, directory: Path) -> None:
        self._files = [directory / "stdout.log", directory / "stderr.log"]
        self._sizes: list[int] | None = None
        self._grown_at: float | None = None

    def grown_at(self, now: float) -> float | None:
        sizes = [_size(file) for file in self._files]
        if sizes != (self._sizes or [0, 0]):
            self._grown_at = now
        self._sizes = sizes
        return self._grown_at


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _launcher_of(row: Record, status: Status | None) -> Identity | None:
    """The launcher as it says itself, or as it was recorded when it was started."""
    if status is not None and status.launcher is not None:
        return status.launcher
    return Identity(row["launcher_pid"], row["launcher_start"]) if row["launcher_pid"] else None


def _agent_in(row: Record) -> Identity | None:
    return Identity(row["agent_pid"], row["agent_start"]) if row["agent_pid"] else None


def _may_live(directory: Path, row: Record, launcher: Identity | None, status: Status | None, boot_id: str) -> bool:
    """Whether anything of an attempt could live: not if nothing was started, or before the machine was."""
    if launcher is None and (status is None or status.phase == "void"):
        return False
    return not _of_another_boot(directory, row["boot_id"], boot_id)


def _never_started(directory: Path) -> bool:
    """Whether the launcher never began; if so it never will: its status file is ours now."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if processes.void(directory):
        return True
    status = processes.read_status(directory)
    return status is not None and status.phase == "void"


def _of_another_boot(directory: Path, recorded: str | None, current: str) -> bool:
    """Whether the attempt was started before the machine was: then nothing of it lives."""
    if recorded is not None:
        return recorded != current
    try:
        return current not in (directory / "launch.json").read_text(encoding="utf-8")
    except OSError:
        return False


def _end(tx: Tx, attempt_id: int, found: Verdict) -> bool:
    """End an attempt that has not ended by itself; False when it has."""
    attempt = attempts.get(tx, attempt_id)
    if attempt["ended_at"] is not None:
        return False
    verbs.end_badly(
        tx, attempt, found.outcome, actor=ENGINE, detail=found.detail, exit_code=found.code, exit_signal=found.signal
    )
    if found.outcome in ("spawn_failed", "prompt_failed"):
        trip_breaker(tx, attempt, found.outcome, found.detail)
    return True


def _stop_all(tx: Tx) -> None:
    for row in attempts.not_gone(tx):
        _end(tx, row["id"], Verdict("stopped", "the orchestrator was told to stop"))


def _start_for(tx: Tx, attempt_id: int) -> None:
    """Say `start` for a program that never calls back."""
    attempt = attempts.get(tx, attempt_id)
    if attempt["ended_at"] is None and attempt["started_at"] is None:
        verbs.start(tx, attempt, actor=ENGINE)
        attempts.started(tx, attempt)


async def _first_of(*what: Awaitable[Any], within: float | None) -> None:
    """Wait until one of several is done, or the time is over. Futures handed in are left alone."""
    waiting = [asyncio.ensure_future(each) for each in what]
    try:
        await asyncio.wait(waiting, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for given, made in zip(what, waiting, strict=True):
            if made is not given:
                made.cancel()
