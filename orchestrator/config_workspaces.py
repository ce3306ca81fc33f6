"""The settings of workspaces: worktrees, hooks, how long they are kept, and what cannot be together."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, Field

from orchestrator.config_types import File, Part, SomeSeconds, Word, judge_placeholders

BRANCH_PLACEHOLDERS = ("agent", "project", "task")
HOOK_PLACEHOLDERS = ("agent", "attempt", "outcome", "project", "task", "workspace")
HOOKS = ("after_create", "before_run", "after_run", "before_remove")


def _branch(word: str) -> str:
    judge_placeholders(_revision(word), BRANCH_PLACEHOLDERS)
    return word


def _revision(word: str) -> str:
    if not word or word.startswith("-"):
        raise ValueError(f"{word!r} is no name for git: it is empty or begins with '-'")
    return word


def _command(argv: tuple[str, ...]) -> tuple[str, ...]:
    for word in argv:
        judge_placeholders(word, HOOK_PLACEHOLDERS)
    if argv and not argv[0]:
        raise ValueError("the first word is the program: name one, or take the hook out")
    return argv


Command = Annotated[tuple[Word, ...], AfterValidator(_command)]


class Worktree(Part):
    """A git worktree for each workspace, on a branch of its own."""

    repository: File | None = None
    base: Annotated[Word, AfterValidator(_revision)] = "HEAD"
    branch: Annotated[Word, AfterValidator(_branch)] | None = None
    seconds: SomeSeconds = 300


class Hooks(Part):
    """Commands of the operator's, at four moments of a workspace."""

    after_create: Command = ()
    before_run: Command = ()
    after_run: Command = ()
    before_remove: Command = ()
    seconds: SomeSeconds = 60


Days = Annotated[float, Field(ge=0, le=36600, allow_inf_nan=False)]


class Workspaces(Part):
    """How long what agents have worked in is kept, in days from the end of the task."""

    keep_done_days: Days | Literal["never"] = 7.0
    keep_failed_days: Days | Literal["never"] = 30.0


class Agent(Protocol):
    """What is looked at of an agent's configuration."""

    @property
    def max_live(self) -> int: ...
    @property
    def workspace(self) -> object: ...
    @property
    def workspace_per(self) -> str: ...
    @property
    def worktree(self) -> Worktree: ...
    @property
    def model_fields_set(self) -> set[str]: ...


def problem_of(agent: Agent) -> str | None:
    """What about an agent's workspaces cannot be."""
    if agent.workspace is not None:
        for key in ("workspace_per", "worktree"):
            if key in agent.model_fields_set:
                return f"workspace is a folder of your own, used as it is: leave it out, or leave {key} out"
    if "worktree" in agent.model_fields_set and agent.worktree.repository is None:
        return "the table worktree needs repository: the path of a git repository"
    if agent.workspace_per == "agent":
        if agent.max_live > 1:
            return (
                f'workspace_per = "agent" is one folder for all its tasks, and max_live = {agent.max_live} would have that '
                'many attempts in it at once: set max_live = 1, or workspace_per = "task"'
            )
        if agent.worktree.branch and "{task}" in agent.worktree.branch:
            return (
                'worktree.branch names {task}, and workspace_per = "agent" is one branch for all its tasks: use {agent}'
            )
    return None


def branch_of(agent: Agent, *, name: str, task: int, project: str) -> str:
    """The branch of a worktree."""
    default = "task/{task}" if agent.workspace_per == "task" else "agent/{agent}"
    return (agent.worktree.branch or default).format_map({"agent": name, "task": str(task), "project": project})
