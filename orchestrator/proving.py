"""Runs the checks of what was handed in: each a process of its own, contained like the agent, proved gone before it counts.

A check's row is on the board before it starts. What a former daemon began is ended and run again: nothing is adopted.
What a result means for the task is decided by blackboard/proofs.py.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from blackboard import checks, proofs
from blackboard.board import Board
from blackboard.checks import Check
from blackboard.errors import BlackboardError, Invalid
from blackboard.proofs import Found
from blackboard.record import Record
from orchestrator import evidence, processes, traces
from orchestrator.config import Settings
from orchestrator.config_agent import AgentConfig
from orchestrator.config_contain import is_preset
from orchestrator.processes import Identity, Status
from orchestrator.runners.runner import Place, environment, launch_plan
from orchestrator.waiting import first_of
from orchestrator.wrapping import NoSandbox, Wrapping

log = logging.getLogger(__name__)

GRACE = 2.0  # seconds between TERM and KILL for a check that is ended
LOOK_AGAIN = 5.0  # seconds between two tries after something went wrong
INTERRUPTED = Found("interrupted")
FINAL = ("exit", "signal", "spawn_failed")


class Proving:
    """The checks of one board."""

    def __init__(self, board: Board, settings: Settings, wake: Callable[[], None]) -> None:
        self._board = board
        self._settings = settings
        self._wake = wake
        self._wrapping = Wrapping(settings)
        self._runs: dict[int, asyncio.Task[None]] = {}
        self._unwanted: dict[int, asyncio.Event] = {}
        self._ending = asyncio.Event()

    async def reconcile(self) -> None:
        """End what a former daemon left, end what nobody wants any more, and begin what there is room for."""
        found = await self._board.read_first(proofs.unfinished)
        for row in found:
            if row["id"] not in self._runs:
                self._run(row, fresh=False)
            elif not row["wanted"]:
                self._unwanted[row["id"]].set()
        room = self._settings.tick.max_checks - len(found)
        if room <= 0 or self._ending.is_set() or not await self._board.read_first(proofs.due, room):
            return
        begun = await self._board.write(proofs.begin, room)
        for row in await self._board.read_first(proofs.unfinished):
            if row["id"] in begun:
                self._run(row, fresh=True)
        self._wake()  # a task may have been settled without another check

    async def quiet(self) -> None:
        """Wait until no check is run and none is left to run."""
        while self._runs or bool(await self._board.read_first(proofs.due, 1)):
            self._wake()
            await first_of(*self._runs.values(), asyncio.sleep(0.05), within=None)

    async def stop(self) -> None:
        """End what is run; the next start runs it again."""
        self._ending.set()
        if self._runs:
            await asyncio.wait(list(self._runs.values()), timeout=GRACE + processes.GIVE_UP_SECONDS + 5)
        for run in list(self._runs.values()):
            run.cancel()
        await asyncio.gather(*self._runs.values(), return_exceptions=True)

    # --- one check ----------------------------------------------------------------------------------------

    def _run(self, row: Record, *, fresh: bool) -> None:
        self._unwanted[row["id"]] = asyncio.Event()
        self._runs[row["id"]] = asyncio.create_task(self._guarded(row, fresh), name=f"check {row['id']}")

    async def _guarded(self, row: Record, fresh: bool) -> None:
        """A check whose watch fails is ended and run again after a pause; it never takes others along."""
        try:
            found = await self._ran(row) if fresh else INTERRUPTED
            if await self._proved_gone(row, started_here=fresh):
                found = await self._judged(row, found)
                await self._board.write(proofs.finish, row["id"], found)
            else:
                log.warning("check %s of task %s: a process of it could not be ended", row["id"], row["task_id"])
                await first_of(self._ending.wait(), within=LOOK_AGAIN)
        except Exception as error:
            ours = isinstance(error, BlackboardError)
            log.error("check %s: its watch failed; looking again: %s", row["id"], error, exc_info=not ours)
            await first_of(self._ending.wait(), within=LOOK_AGAIN)
        finally:
            self._runs.pop(row["id"], None)
            self._unwanted.pop(row["id"], None)
            self._wake()

    async def _ran(self, row: Record) -> Found | None:
        """Start a check and wait for its end, its limit, or that nobody wants to know; None: its status tells how it ended."""
        try:
            check = checks.read(row["what"])
        except Invalid as wrong:
            return Found("not_run", output=f"it is no check ({wrong.sentence})")
        agent = self._settings.agents.get(row["agent_id"])
        if agent is None:
            return Found(
                "not_run", output=f"agent {row['agent_id']}, in whose place it is run, is not in the configuration"
            )
        if not row["workspace"] or not await asyncio.to_thread(os.path.isdir, row["workspace"]):
            return Found("not_run", output=f"the workspace {row['workspace']} is gone")
        if check.path is not None:
            return await asyncio.to_thread(evidence.of_file, Path(row["workspace"]), check)
        if (missing := await asyncio.to_thread(_no_program, check, agent)) is not None:
            return Found("not_run", output=missing)
        try:
            popen = await asyncio.to_thread(self._launch, row, check, agent)
        except OSError as error:
            return Found("not_run", output=f"its files or its launcher could not be made: {error}")
        except NoSandbox as error:
            return Found("not_run", output=str(error))
        _reap(popen)
        launcher = processes.identity(popen.pid) or Identity(popen.pid, 0)
        await self._board.write(
            proofs.started, row["id"], pid=launcher.pid, start=launcher.start, boot_id=self._board.clock.boot_id()
        )
        await first_of(
            processes.exited(launcher), self._unwanted[row["id"]].wait(), self._ending.wait(), within=check.seconds
        )
        if self._unwanted[row["id"]].is_set() or self._ending.is_set():
            return INTERRUPTED
        status = await asyncio.to_thread(processes.read_status, self._directory(row))
        over = status is not None and status.phase in FINAL
        return Found("timed_out") if processes.alive(launcher) and not over else None

    def _launch(self, row: Record, check: Check, agent: AgentConfig) -> subprocess.Popen[bytes]:
        """Write the check's files and start its launcher: the agent's environment, and nothing to report with. Blocking."""
        place, marker = Place(self._directory(row), Path(row["workspace"])), self._marker(row)
        traces.leave_to(place.directory, row["started_at"])
        place.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        env = environment(agent, os.environ, marker)
        wrapped = self._wrapping.wrapped(
            agent, place, _values(row, place, check), env.get("HOME", "/"), self._board.clock.boot()
        )
        plan = launch_plan(
            agent, wrapped.words + check.argv, env, place, self._board.clock.boot_id(), row["started_at"], stdin=False,
            sandboxed=is_preset(agent) and bool(wrapped.words),
        )  # fmt: skip
        own = {"stderr": plan["stdout"], "leftovers": "end", "leftover_grace": 0.0}
        file = os.open(place.launch, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "w", encoding="utf-8", errors="surrogateescape") as opened:
            json.dump(plan | own, opened)
        return processes.launch(place.directory, marker=marker)

    async def _proved_gone(self, row: Record, *, started_here: bool) -> bool:
        """Stop whatever is left of a check; False when something cannot be proved gone."""
        directory = self._directory(row)
        if not started_here:
            await asyncio.to_thread(traces.leave_to, directory, row["started_at"])
            await asyncio.to_thread(traces.never_started, directory)  # and never will be
        elif not await asyncio.to_thread(directory.exists):
            return True  # a file, or what could not be started
        if await asyncio.to_thread(traces.of_another_boot, directory, row["boot_id"], self._board.clock.boot_id()):
            return True
        status = await asyncio.to_thread(processes.read_status, directory)
        launcher = traces.launcher_of(row, status)
        agent = status.agent if status else None
        return await processes.stop(self._marker(row), launcher, agent, graceful=signal.SIGTERM, grace=GRACE)

    async def _judged(self, row: Record, found: Found | None) -> Found:
        """What the status and the log of a check say; `found` says how it ended where they do not decide."""
        if (found is not None and found.result in ("passed", "failed", "not_run")) or found is INTERRUPTED:
            return found
        directory = self._directory(row)
        status = await asyncio.to_thread(processes.read_status, directory)
        return await asyncio.to_thread(evidence.of_command, directory, checks.read(row["what"]), _ended(status, found))

    def _directory(self, row: Record) -> Path:
        return self._settings.attempts_dir / str(row["attempt_id"]) / "checks" / str(row["id"])

    def _marker(self, row: Record) -> str:
        """What every process of a check has in its environment: no attempt has the same."""
        return f"{self._board.board_id}:check:{row['id']}"


def _values(row: Record, place: Place, check: Check) -> dict[str, str]:
    """The placeholders that words before the program may hold; a check has neither prompt nor session nor an address to call."""
    return {
        "workspace": str(place.workspace), "directory": str(place.directory), "task": str(row["task_id"]),
        "attempt": str(row["number"]), "agent": row["agent_id"], "project": row["project_id"], "prompt_file": "",
        "session_key": "", "base_url": "", "deadline_seconds": f"{check.seconds:g}",
    }  # fmt: skip


def _no_program(check: Check, agent: AgentConfig) -> str | None:
    """The sentence for a program that this machine lacks: asked before, for what it is wrapped in would end with a code of its own."""
    name = check.argv[0]
    if "/" in name and not name.startswith("/"):
        return None  # of the workspace: the agent's own to make
    path = environment(agent, os.environ, "").get("PATH", os.defpath)
    return None if shutil.which(name, path=path) else f"there is no program {name!r} on this machine"


def _ended(status: Status | None, found: Found | None) -> Status | None:
    """How it ended by itself; None when its time was over."""
    return None if found is not None else status or Status("unknown")


def _reap(popen: subprocess.Popen[bytes]) -> None:
    """Keep a reference until our own child is reaped."""
    task = asyncio.create_task(processes.collect(popen))
    _REAPERS.add(task)
    task.add_done_callback(_REAPERS.discard)


_REAPERS: set[asyncio.Task[int]] = set()
