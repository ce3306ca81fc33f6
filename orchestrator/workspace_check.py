"""What `check` looks at of an agent's workspaces: git, the repository, the base, the branch's name, each hook's program."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from orchestrator import exits, worktrees
from orchestrator.config_agent import AgentConfig
from orchestrator.config_workspaces import HOOKS, branch_of

Said = Iterator[tuple[Literal["ok", "warn", "fail"], str, int]]


def looked_at(name: str, agent: AgentConfig) -> Said:
    """The findings about one agent, with the exit code of a failure."""
    if agent.worktree.repository is not None:
        yield from _repository(name, agent, agent.worktree.repository)
    for hook in HOOKS:
        argv = getattr(agent.hooks, hook)
        if argv and "{" not in argv[0] and shutil.which(argv[0], path=agent.env.get("PATH")) is None:
            where = "is not an executable file" if "/" in argv[0] else "is not in PATH"
            yield (
                "fail",
                f"the program of its hook {hook}, {argv[0]}, {where}: install it, or mend hooks.{hook}",
                exits.MISSING,
            )


def _repository(name: str, agent: AgentConfig, repository: Path) -> Said:
    if shutil.which("git") is None:
        yield "fail", "git is not in PATH, and its worktrees are made by git: install it", exits.MISSING
        return
    if problem := worktrees.repository_problem(repository):
        yield "fail", f"{problem}: mend worktree.repository", exits.USAGE
        return
    branch = branch_of(agent, name=name, task=1, project="project")
    if not worktrees.is_branch_name(branch):
        yield "fail", f"git takes no branch of the name {branch}: mend worktree.branch", exits.USAGE
    if not worktrees.has_commit(repository, agent.worktree.base):
        sentence = f"{agent.worktree.base} leads to no commit of {repository}: mend worktree.base, or commit something"
        yield "fail", sentence, exits.USAGE
    else:
        yield "ok", f"worktrees of {repository} from {agent.worktree.base}", exits.OK
