"""Removing workspaces whose time has come, at every sweep: never live work, and never anything outside their root.

A removal is on the board before it is begun. Whatever a crash leaves of one is finished by the next sweep, or by the
attempt that needs the path.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from blackboard import workspaces
from blackboard.board import Board, Rows
from blackboard.clock import Clock, from_text, to_text
from blackboard.record import Record
from blackboard.workspaces import Limits
from orchestrator import hooks, removal, steps, worktrees
from orchestrator.config import Settings
from orchestrator.runners.runner import Place
from orchestrator.workspaces import Workspaces
from orchestrator.worktrees import GitError, Held

LOOK_AGAIN_SECONDS = 3600.0  # at what was kept
DAY = 86400.0


class Found(NamedTuple):
    """A workspace whose time has come; `why`: what is against its removal."""

    row: Record
    why: str | None


def limits(settings: Settings, clock: Clock) -> Limits:
    """Up to which end of a task its workspace may go now."""

    def until(days: float | str) -> str | None:
        return None if isinstance(days, str) else _before(clock, days * DAY)

    keep = settings.workspaces
    return Limits(until(keep.keep_done_days), until(keep.keep_failed_days), tuple(settings.agents))


def _before(clock: Clock, seconds: float) -> str:
    return to_text(from_text(clock.now()) - timedelta(seconds=seconds))


def looked_over(rows: Rows, settings: Settings, clock: Clock) -> list[Found]:
    """What a sweep would find now, without changing anything: for a person who asks before."""
    return [Found(row, why_kept(row, workspaces.only_there(rows, row["path"]))) for row in
            workspaces.ripe(rows, limits(settings, clock), clock.now())]  # fmt: skip


def why_kept(row: Record, only_there: list[Record]) -> str | None:
    """What in a workspace would be lost with it, and how to look at it; None: nothing. Blocking."""
    path = Path(row["path"])
    if not os.path.lexists(path):
        return None
    if row["repository"] and not Path(row["repository"]).is_dir():
        return f"its repository {row['repository']} is not there, and nobody knows what is committed: look at it with ls {path}"
    try:
        held: Held | None = worktrees.held(path) if worktrees.is_tree(path) else None
    except GitError as error:
        return f"git cannot tell what it holds ({error}): look at it with git -C {path} status"
    if held is not None:
        return f"{held.why}: look at it with {held.look}"
    for output in only_there:
        if (path / output["content_path"]).is_file():
            return f"the file of output {output['id']} is only in it: look at it with ls -l {path / output['content_path']}"
    return None


class Cleaner:
    """Sweeps the workspaces of one board."""

    def __init__(self, board: Board, settings: Settings, made: Workspaces) -> None:
        self._board = board
        self._settings = settings
        self._made = made
        made.finish = self._finish
        self._sweeping = asyncio.Lock()
        self._hook: steps.Step | None = None  # that is being run

    async def sweep(self) -> None:
        """Finish what was begun, and remove or keep every workspace whose time has come."""
        async with self._sweeping:
            for row in await self._board.read(workspaces.interrupted):
                await self._under_lock(row)
            looked = _before(self._board.clock, LOOK_AGAIN_SECONDS)
            for row in await self._board.read(workspaces.ripe, limits(self._settings, self._board.clock), looked):
                await self._under_lock(row)

    async def stop(self) -> None:
        """End the hook of a sweep that was cancelled: without us nobody counts its seconds. The next sweep runs it again."""
        if self._hook is not None:
            await steps.break_off(self._hook)

    async def _under_lock(self, listed: Record) -> None:
        async with self._made.lock(listed["path"]):
            row = await self._board.one(workspaces.GET, id=listed["id"])
            if row is None or row["removed_at"] is not None:
                return
            if row["removing_at"] is None and not await self._begin(row):
                return
            await self._finish(row)

    async def _begin(self, row: Record) -> bool:
        """Whether the removal has begun; what is against it is told."""
        if (why := await self._why_kept(row)) is not None:
            await self._board.write(workspaces.kept, row["id"], why)
            return False
        hook = self._place(row).directory
        await asyncio.to_thread(_forget_former, self._settings.attempts_dir, hook)
        return await self._board.write(workspaces.removing, row["id"], limits(self._settings, self._board.clock))

    async def _finish(self, row: Record) -> None:
        """Carry a begun removal to its end: the hook, a last look, the folder, git's note of it. Holds the path's lock."""
        path, root, aside = Path(row["path"]), self._settings.workspaces_dir, f".removed-{row['id']}"
        there = await asyncio.to_thread(os.path.lexists, path)
        begun = await asyncio.to_thread(os.path.lexists, root / aside)
        try:
            if there:
                if failed := await self._before_remove(row):
                    await self._board.write(workspaces.removal_hook_failed, row["id"], failed)
                    return
                if why := await self._why_kept(row):
                    await self._board.write(workspaces.kept, row["id"], why)
                    return
                await asyncio.to_thread(removal.put_aside, root, path, aside)
        except (removal.NotOurs, OSError) as error:
            await self._board.write(workspaces.kept, row["id"], f"it is not touched: {error}")
            return
        try:
            await asyncio.to_thread(removal.empty_aside, root, aside)
        except (removal.NotOurs, OSError) as error:
            await self._board.write(workspaces.stuck, row["id"], f"what was put aside as {root / aside} stays: {error}")
            return
        await self._forget(row, path)
        await self._board.write(
            workspaces.removed, row["id"], None if there or begun else "somebody else had removed it"
        )

    async def _forget(self, row: Record, path: Path) -> None:
        if row["repository"] is None:
            return
        repository = Path(row["repository"])
        async with self._made.repository_lock(repository):
            with suppress(GitError):  # the repository is gone, or a later `git worktree prune` does it
                await asyncio.to_thread(worktrees.forget, repository, path)

    async def _why_kept(self, row: Record) -> str | None:
        only_there = await self._board.read(workspaces.only_there, row["path"])
        return await asyncio.to_thread(why_kept, row, only_there)

    def _place(self, row: Record) -> Place:
        return Place(self._settings.attempts_dir / f"workspace-{row['id']}", Path(row["path"]))

    async def _before_remove(self, row: Record) -> str | None:
        config = self._settings.agents.get(row["maker"])
        if config is None or not config.hooks.before_remove:
            return None
        place = self._place(row)
        project = place.workspace.parent.name if row["task_id"] else ""
        told = hooks.values(place.workspace, task=row["task_id"] or "", agent=row["maker"], project=project)
        step = hooks.step(
            "before_remove", hooks.words(config.hooks.before_remove, told), config, place,
            marker=f"{self._board.board_id}:workspace-{row['id']}", boot_id=self._board.clock.boot_id(),
            claimed_at=row["wanted_at"], seconds=config.hooks.seconds,
        )  # fmt: skip
        self._hook = step
        failed = await steps.run(step, self._board.clock)
        self._hook = None
        return failed


def _forget_former(root: Path, directory: Path) -> None:
    """What the hook of a former try has left: it would be taken for this one's."""
    if directory.is_dir():
        removal.empty_aside(root, directory.name)
