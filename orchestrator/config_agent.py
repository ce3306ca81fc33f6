"""The keys of `[agents.NAME]`: how an agent is started, watched and stopped, and what of them cannot be together."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, ValidationInfo, field_validator, model_validator

from blackboard.presence_reports import Word as Presence
from blackboard.session_keys import Scope
from orchestrator import config_contain, config_openclaw, config_program, config_session, config_workspaces
from orchestrator.config_budget import AgentBudget
from orchestrator.config_contain import Limits, Wrap
from orchestrator.config_heartbeat import HeartbeatConfig
from orchestrator.config_openclaw import Openclaw
from orchestrator.config_policy import PolicyNumbers
from orchestrator.config_program import Program, ProgramName
from orchestrator.config_types import MOST, Bytes, File, Name, Part, Seconds, Word, judge_placeholders
from orchestrator.config_workspaces import Hooks, Worktree

PLACEHOLDERS = frozenset(
    (
        "prompt_file",
        "workspace",
        "directory",
        "task",
        "attempt",
        "agent",
        "project",
        "base_url",
        "session_key",
        "deadline_seconds",
    )
)
OUR_VARIABLE = "BLACKBOARD_ATTEMPT"  # the mark of processes.MARKER; a test holds that


class AgentConfig(Part):
    """One agent: how it is started, watched and stopped, and what it takes."""

    runner: Literal["command", "openclaw", ProgramName] = "command"
    argv: tuple[Word, ...] = ()
    session_scope: Scope = "attempt"
    session_max_attempts: int = Field(20, ge=1, le=MOST)
    session_max_tokens: int | None = Field(None, ge=1, le=2**53)
    roles: tuple[Name, ...] = ()
    account: Name | None = None
    max_live: int = Field(1, ge=0, le=MOST)
    claim_when: tuple[Presence, ...] = Field(("idle", "on_call"), min_length=1)
    enabled: bool = True
    env: dict[Word, Word] = Field(default_factory=dict, repr=False)
    pass_env: tuple[Word, ...] = ()
    calls_back: bool = True
    prompt: Literal["stdin", "file"] = "stdin"
    graceful_signal: Literal["TERM", "INT", "HUP", "QUIT", "USR1", "USR2"] = "TERM"
    grace_seconds: Seconds = 10
    leftovers: Literal["end", "keep"] = "end"
    log_cap_bytes: int = Field(10 * 1024 * 1024, ge=4096, le=2**53)
    workspace: File | None = None
    workspace_per: Literal["task", "agent"] = "task"
    worktree: Worktree = Worktree()
    hooks: Hooks = Hooks()
    wake: bool = False
    wake_ack: str = Field("WAKEUP_OK", pattern=r"^[!-~]{1,100}$")  # one word: it is looked for alone on a line
    wrap: Wrap = ()
    require_sandbox: bool = False
    writable: tuple[File, ...] = ()
    hidden: tuple[File, ...] = ()
    limits: Limits = Limits()
    memory: Bytes | None = Field(None, ge=0, le=2**53)  # what one attempt is known to need; None: as the runner says
    nice: int = Field(0, ge=0, le=19)
    openclaw: Openclaw = Openclaw()
    program: Program = Program()
    policy: PolicyNumbers = PolicyNumbers()  # only the keys that were set override
    budget: AgentBudget = AgentBudget()
    heartbeat: HeartbeatConfig = HeartbeatConfig()

    @property
    def ack(self) -> str | None:
        """What it answers when it was only woken; None when it is told its task in full."""
        return self.wake_ack if self.wake else None

    @field_validator("argv", "wrap")
    @classmethod
    def _placeholders_are_known(cls, argv: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        places = PLACEHOLDERS | {"home"} if info.field_name == "wrap" else PLACEHOLDERS
        for word in argv:
            judge_placeholders(word, places)
        return argv

    @model_validator(mode="after")
    def _can_start(self) -> AgentConfig:
        problem = self._problem_of_runner() or config_workspaces.problem_of(self) or config_contain.problem_of(self)
        if problem:
            raise ValueError(problem)
        if self.runner == "command" and self.enabled and (not self.argv or not self.argv[0]):
            raise ValueError('argv says which program to start, e.g. ["my-agent", "--prompt", "{prompt_file}"]')
        if any("=" in name or not name for name in (*self.env, *self.pass_env)):
            raise ValueError("a name in env or pass_env is empty or holds '=': variables have names like HTTP_PROXY")
        if OUR_VARIABLE in (*self.env, *self.pass_env):
            raise ValueError(f"{OUR_VARIABLE} in env or pass_env is set by the orchestrator itself: use another name")
        if self.wake and not self.calls_back:
            raise ValueError(
                "wake and calls_back = false contradict each other: who is only woken fetches its task by a call"
            )
        return self

    def _problem_of_runner(self) -> str | None:
        if problem := config_session.problem_of(self):
            return problem
        if self.runner != "openclaw" and "openclaw" in self.model_fields_set:
            return 'the table openclaw is for runner = "openclaw": set that, or leave the table out'
        if self.runner == "openclaw":
            if "program" in self.model_fields_set:
                return "the table program is not for the runner openclaw: its keys are in the table openclaw"
            return config_openclaw.problem_of(self)
        if self.runner == "command":
            known = ", ".join(get_args(ProgramName))
            return f"the table program is for runner = one of {known}" if "program" in self.model_fields_set else None
        return config_program.problem_of(self)

    def with_model(self, model: str) -> AgentConfig:
        """The same agent with another model of its program, which one of the runner `command` has not."""
        table = "openclaw" if self.runner == "openclaw" else "program"
        return self.model_copy(update={table: getattr(self, table).model_copy(update={"model": model})})

    def known_as(self, name: str) -> str:
        """What the agent's own program calls it, given its name here."""
        return (self.openclaw.agent if self.runner == "openclaw" else None) or name
