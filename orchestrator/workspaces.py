"""Where an attempt works: made before the first one, used again by the later ones, with the operator's hooks around it.

What is made is on the board before it is begun and after it is ready, so a crash in between is mended by the next
attempt. Removing is in `orchestrator.cleaning`; both hold the path's lock while they work.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from blackboard import attempts, workspaces
from blackboard.board import Board, Rows, Tx
from blackboard.record import Record
from blackboard.workspaces import Plan
from orchestrator import hooks, removal, steps, traces, worktrees
from orchestrator.config import Settings
from orchestrator.config_agent import AgentConfig
from orchestrator.config_workspaces import branch_of
from orchestrator.runners.runner import Place
from orchestrator.worktrees import GitError

OF_AGENTS = "_agents"  # beside the projects' folders, whose names begin with a letter or a digit
BEFORE = ("worktree", "after_create", "before_run")


class NotReady(Exception):
    """The workspace cannot be worked in; str() is the sentence."""


def planned(rows: Rows, settings: Settings, brief: Mapping[str, Any], agent: AgentConfig | None) -> Plan | None:
    """The workspace of the task's next attempt; None where it is a folder of the operator's own or another's work.

    The one that a former attempt had is the task's, whatever the configuration says meanwhile.
    """
    task, name = int(brief["task"]["id"]), str(brief["agent"])
    if (agent and agent.workspace) or (brief["work"] and brief["work"]["workspace"]):
        return None
    if agent is not None and agent.workspace_per == "agent":
        whose: dict[str, Any] = {"task": None, "agent": name}
        path = settings.workspaces_dir / OF_AGENTS / name
    else:
        whose = {"task": task, "agent": None}
        path = settings.workspaces_dir / brief["project"] / str(task)
    if row := workspaces.live(rows, str(path)):
        return Plan(str(path), **whose, maker=row["maker"], repository=row["repository"], branch=row["branch"])
    if agent is None or agent.worktree.repository is None:
        return Plan(str(path), **whose, maker=name)
    branch = branch_of(agent, name=name, task=task, project=brief["project"])
    return Plan(str(path), **whose, maker=name, repository=str(agent.worktree.repository), branch=branch)


def place_of(plan: Plan | None, brief: Mapping[str, Any], agent: AgentConfig | None) -> Path:
    """The folder an attempt works in. A reviewer looks at the work where it was made."""
    if brief["work"] and brief["work"]["workspace"]:
        return Path(brief["work"]["workspace"])
    if agent is not None and agent.workspace is not None:
        return agent.workspace
    if plan is None:
        raise ValueError("an attempt works somewhere")
    return Path(plan.path)


BRANCH = "SELECT branch FROM workspaces WHERE path = :path AND removed_at IS NULL"


def branch_at(rows: Rows, plan: Plan | None, path: Path) -> str | None:
    """The branch of the worktree at a path, also where a reviewer looks at another's."""
    if plan is not None:
        return plan.branch
    row = rows.one(BRANCH, path=str(path))
    return row["branch"] if row else None


class Workspaces:
    """Makes and hands over the workspaces of one board. `finish` ends a removal that was begun (a row)."""

    def __init__(self, board: Board, settings: Settings) -> None:
        self._board = board
        self._settings = settings
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # as long as somebody has it
        self.finish: Callable[[Record], Awaitable[None]] | None = None

    def lock(self, path: str) -> asyncio.Lock:
        """Held by whoever makes, hands over or removes what is at this path."""
        return self._locks.setdefault(path, asyncio.Lock())

    def repository_lock(self, repository: Path) -> asyncio.Lock:
        """Held by whoever adds a worktree to a repository, or takes one from it: git's own notes are one at a time."""
        return self.lock(os.path.realpath(repository))

    async def hand_over(self, attempt_id: int, brief: Mapping[str, Any], place: Place, agent: AgentConfig) -> None:
        """Have the attempt's workspace made, and its hooks before the run passed; NotReady."""
        await asyncio.to_thread(traces.leave_to, place.directory, brief["claimed_at"])
        plan: Plan | None = brief["plan"]
        if plan is not None:
            async with self.lock(plan.path):
                await self._have(plan, attempt_id, brief, place, agent)
        await self._hook("before_run", attempt_id, brief, place, agent)
        if not await self._wanted(attempt_id):
            raise NotReady("it was ended before it was started")

    async def after_run(self, row: Record) -> None:
        """Run the hook of an attempt of which nothing lives any more; how it fails is told and changes nothing."""
        config = self._settings.agents.get(row["agent_id"])
        if config is None or not config.hooks.after_run or row["workspace"] is None:
            return
        place = Place(self._settings.attempts_dir / str(row["id"]), Path(row["workspace"]))
        if not await asyncio.to_thread(_was_handed_over, place.directory):
            return
        argv = hooks.words(config.hooks.after_run, hooks.values(
            place.workspace, task=row["task_id"], agent=row["agent_id"], project=row["project_id"], attempt=row["number"],
            outcome=row["outcome"],
        ))  # fmt: skip
        # A marker of its own: what is left of the attempt is ended by the attempt's.
        step = hooks.step(
            "after_run", argv, config, place, marker=f"{self._board.board_id}:{row['id']}:after_run",
            boot_id=self._board.clock.boot_id(), claimed_at=row["claimed_at"], seconds=config.hooks.seconds,
        )  # fmt: skip
        try:
            failed = await steps.run(step, self._board.clock)
        except OSError as error:
            failed = f"after_run: it could not be started: {error}"
        if failed:
            await self._board.write(workspaces.hook_failed, row, failed)

    # --- making ------------------------------------------------------------------------------------------

    async def _have(
        self, plan: Plan, attempt_id: int, brief: Mapping[str, Any], place: Place, agent: AgentConfig
    ) -> None:
        row = await self._board.write(workspaces.want, plan)
        if row["removing_at"] is not None and self.finish is not None:
            await self.finish(row)
            row = await self._board.write(workspaces.want, plan)
            if row["removing_at"] is not None:
                raise NotReady(f"its former workspace {plan.path} is being removed and cannot be: {row['kept']}")
        path = Path(plan.path)
        if await asyncio.to_thread(path.is_symlink):
            raise NotReady(f"{path} is a symbolic link, and not the folder that was made: remove it")
        if row["ready_at"] is not None:
            if await asyncio.to_thread(path.is_dir):
                return
            await self._board.write(workspaces.lost, row["id"])
        elif row["begun_at"] is None:
            if await asyncio.to_thread(_holds_something, path):
                await self._found(plan)
                await self._board.write(workspaces.ready, row["id"], attempt_id, found=True)
                return
            await self._may_begin(plan)
            await self._board.write(workspaces.begun, row["id"])
        try:
            await self._make(row["id"], plan, attempt_id, brief, place, agent)
        except (OSError, GitError, removal.NotOurs) as error:
            raise NotReady(f"the workspace {path} could not be made: {error}") from error
        await self._hook("after_create", attempt_id, brief, place, agent)
        await self._board.write(workspaces.ready, row["id"], attempt_id, found=False)

    async def _found(self, plan: Plan) -> None:
        """What is there already is used as it is, if it is what was wanted."""
        if plan.repository is None:
            return
        try:
            known = await asyncio.to_thread(worktrees.knows, Path(plan.repository), Path(plan.path))
        except GitError as error:
            raise NotReady(f"the worktree {plan.path} could not be made: {error}") from error
        if not known:
            raise NotReady(
                f"{plan.path} is there already and is no worktree of {plan.repository}: move it away, it is not ours"
            )

    async def _may_begin(self, plan: Plan) -> None:
        """A branch that is there already may be somebody's: only this task's own is worked on again."""
        if plan.repository is None or plan.branch is None:
            return
        repository = Path(plan.repository)
        if problem := await asyncio.to_thread(worktrees.repository_problem, repository):
            raise NotReady(f"{problem}: mend worktree.repository")
        try:
            taken = await asyncio.to_thread(worktrees.has_branch, repository, plan.branch)
        except GitError as error:
            raise NotReady(f"the worktree {plan.path} could not be made: {error}") from error
        if taken and not await self._board.read(workspaces.had_branch, plan):
            raise NotReady(
                f"the branch {plan.branch} is in {repository} already and was not made for this task: rename or delete "
                "it, or set another worktree.branch"
            )

    async def _make(
        self, workspace: int, plan: Plan, attempt_id: int, brief: Mapping[str, Any], place: Place, agent: AgentConfig
    ) -> None:
        """Make the folder anew: what is there is of a making that was not finished, and nobody has worked in it."""
        path, root = Path(plan.path), self._settings.workspaces_dir
        aside = f".removed-{workspace}"
        await asyncio.to_thread(removal.empty_aside, root, aside)  # of a making that was killed right here
        await asyncio.to_thread(removal.put_aside, root, path, aside)
        await asyncio.to_thread(removal.empty_aside, root, aside)
        if plan.repository is None or plan.branch is None:
            await asyncio.to_thread(path.mkdir, mode=0o700, parents=True, exist_ok=True)
            return
        repository = Path(plan.repository)
        async with self.repository_lock(repository):
            await asyncio.to_thread(worktrees.forget, repository, path)
            exists = await asyncio.to_thread(worktrees.has_branch, repository, plan.branch)
            await asyncio.to_thread(path.parent.mkdir, mode=0o700, parents=True, exist_ok=True)
            argv = worktrees.adding(repository, path, branch=plan.branch, base=agent.worktree.base, exists=exists)
            await self._step("worktree", argv, attempt_id, brief, place, agent, agent.worktree.seconds)
            await asyncio.to_thread(path.chmod, 0o700)

    # --- hooks -------------------------------------------------------------------------------------------

    async def _hook(
        self, name: str, attempt_id: int, brief: Mapping[str, Any], place: Place, agent: AgentConfig
    ) -> None:
        argv = getattr(agent.hooks, name)
        if argv:
            told = hooks.values(
                place.workspace, task=brief["task"]["id"], agent=brief["agent"], project=brief["project"],
                attempt=brief["attempt"],
            )  # fmt: skip
            await self._step(name, hooks.words(argv, told), attempt_id, brief, place, agent, agent.hooks.seconds)

    async def _step(
        self, name: str, argv: list[str], attempt_id: int, brief: Mapping[str, Any], place: Place, agent: AgentConfig,
        seconds: float,
    ) -> None:  # fmt: skip
        """Run a program before the agent's own; NotReady when it fails."""
        git = name == "worktree"
        step = hooks.step(
            name, argv, agent, place, marker=f"{self._board.board_id}:{attempt_id}", boot_id=self._board.clock.boot_id(),
            claimed_at=brief["claimed_at"], seconds=seconds, added=worktrees.NO_QUESTIONS if git else None,
            cwd=Path("/") if git else None,
        )  # fmt: skip
        failed = await steps.run(step, self._board.clock, lambda: self._wanted(attempt_id))
        if failed:
            if not git and await self._wanted(attempt_id):
                await self._board.write(_tell_failed, attempt_id, failed)
            raise NotReady(failed)

    async def _wanted(self, attempt_id: int) -> bool:
        row = await self._board.one(attempts.GET, id=attempt_id)
        return row is not None and row["ended_at"] is None


def _tell_failed(tx: Tx, attempt_id: int, sentence: str) -> None:
    workspaces.hook_failed(tx, attempts.get(tx, attempt_id), sentence)


def _holds_something(path: Path) -> bool:
    try:
        with os.scandir(path) as found:
            return next(found, None) is not None
    except FileNotFoundError:
        return False


def _was_handed_over(directory: Path) -> bool:
    """Whether the run, or the hook before it, was ever begun."""
    return traces.prepared(directory) or steps.began(directory / "before_run")
