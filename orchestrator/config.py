"""What the operator set: the shape of orchestrator.toml, with every default and limit.

Frozen once loaded, and never reads the board or starts anything. Where values come from and how a bad one is
told is in `orchestrator.config_loading`.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from blackboard.forms import Review
from blackboard.policy import Policies, Policy
from blackboard.presence_reports import Word as Presence
from blackboard.session_keys import Scope
from orchestrator import (
    config_accounts,
    config_backends,
    config_calendars,
    config_contain,
    config_openclaw,
    config_presence,
    config_program,
    config_session,
    config_slots,
    config_workspaces,
)
from orchestrator.config_accounts import Account
from orchestrator.config_backends import BackendConfig
from orchestrator.config_budget import AgentBudget, BoardBudget
from orchestrator.config_calendars import CalendarConfig
from orchestrator.config_contain import Limits, Wrap
from orchestrator.config_openclaw import Openclaw
from orchestrator.config_origins import Layers
from orchestrator.config_presence import PresenceConfig
from orchestrator.config_program import Program, ProgramName
from orchestrator.config_types import (
    MOST,
    Bytes,
    File,
    Name,
    Part,
    Seconds,
    SomeSeconds,
    Tokens,
    Usd,
    Word,
    Zone,
    judge_placeholders,
)
from orchestrator.config_workspaces import HOOKS, Hooks, Workspaces, Worktree

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
SECRET_NAME = re.compile(r"key|token|secret|passw|credential|auth", re.IGNORECASE)
MASK = "***"
OUR_VARIABLE = "BLACKBOARD_ATTEMPT"  # the mark of processes.MARKER; a test holds that


class Api(Part):
    """Where agents and people reach the board."""

    host: str = "127.0.0.1"
    port: int = Field(8083, ge=0, le=65535)  # 0: any free one
    public_base_url: str | None = Field(None, pattern=r"^https?://[^/\s?#@]+(/[^\s?#]*)?$")
    max_body_bytes: int = Field(8 * 1024 * 1024, ge=1024, le=MOST)
    head_seconds: SomeSeconds = 10
    max_connections: int = Field(500, ge=1, le=MOST)
    max_upload_bytes: int = Field(256 * 1024 * 1024, ge=0, le=2**53)
    tls_cert: File | None = None
    tls_key: File | None = None
    allow_insecure_bind: bool = False
    calendar_open_to: list[Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[!-~]+$")]] = Field(
        default_factory=list
    )

    @field_validator("public_base_url")
    @classmethod
    def _no_slash(cls, url: str | None) -> str | None:
        try:
            urlsplit(url or "").port  # noqa: B018 - it is read only when it is asked for
        except ValueError as error:
            raise ValueError(f"is no address: {error}") from None
        return url.rstrip("/") if url else None

    @model_validator(mode="after")
    def _is_safe(self) -> Api:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together: set both or neither")
        if not self.is_loopback and not self.tls_cert and not self.allow_insecure_bind:
            raise ValueError(
                f"host {self.host} is reachable from other machines and tokens would travel in the clear: set tls_cert "
                "and tls_key, or allow_insecure_bind = true where something else encrypts"
            )
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", self.host) is not None

    def local_url(self, port: int | None = None) -> str:
        """The address on this machine, for the port really bound."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)  # noqa: S104
        name = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls_cert else 'http'}://{name}:{self.port if port is None else port}"


class Tick(Part):
    """How much runs at once, and how long the loop may sleep."""

    max_live: int = Field(8, ge=0, le=MOST)  # attempts not gone, all agents together
    memory_share: float = Field(0.8, ge=0, le=1)  # of the machine's memory, for all of them; 0: never looked at
    longest_pause_seconds: SomeSeconds = 30
    foreign_poll_seconds: SomeSeconds = 0.5
    source_poll_seconds: SomeSeconds = 5
    max_checks: int = Field(2, ge=1, le=MOST)  # checks of what was handed in that are run at once


class PolicyNumbers(Part):
    """The policy columns of a task (same defaults as schema.sql; a test holds that)."""

    max_tries: int = Field(3, ge=1, le=MOST)
    backoff_seconds: Seconds = 30
    backoff_cap_seconds: Seconds = 3600
    wall_seconds: SomeSeconds = 3600
    idle_seconds: SomeSeconds = 900
    startup_seconds: SomeSeconds = 300
    settle_seconds: Seconds = 30
    review: Review = "human"
    max_review_tries: int = Field(2, ge=1, le=MOST)
    max_rejections: int = Field(3, ge=0, le=MOST)
    needs_output: bool = True
    waits_for_children: bool = True
    max_same: int = Field(3, ge=1, le=MOST)
    attempt_usd: Usd | None = None
    attempt_tokens: Tokens | None = None
    task_usd: Usd | None = None
    task_tokens: Tokens | None = None


class Project(Part):
    """A project tasks belong to."""

    id: Name
    title: str = ""


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

    def known_as(self, name: str) -> str:
        """What the agent's own program calls it, given its name here."""
        return (self.openclaw.agent if self.runner == "openclaw" else None) or name


class Prompts(Part):
    """Templates of the operator's own."""

    templates: File | None = None


class Slots(Part):
    """Files with slot records, and how their times are meant."""

    files: tuple[File, ...] = ()
    time_zone: Zone = "UTC"
    project: Name | None = None  # None in the file: the first project
    recurring: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    catch_up: int = Field(20, ge=0, le=MOST)  # tasks of slots made up for after an outage, at most

    @field_validator("recurring")
    @classmethod
    def _recurring_slots_can_be_read(cls, slots: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, given in slots.items():
            if problem := config_slots.problem_of(given):
                raise ValueError(f"{name}: {problem}")
        return slots


class Settings(BaseSettings):
    """Everything the operator set; paths are absolute."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=True)

    board: File = Path("board.db")
    state_dir: File = Field(default_factory=lambda earlier: earlier.get("board", Path()).parent)
    on_exit: Literal["stop", "leave"] = "stop"
    api: Api = Api()
    tick: Tick = Tick()
    policy: PolicyNumbers = PolicyNumbers()
    budget: BoardBudget = BoardBudget()
    projects: tuple[Project, ...] = (Project(id="default"),)
    agents: dict[Name, AgentConfig] = Field(default_factory=dict)
    accounts: dict[Name, Account] = Field(default_factory=dict)
    slots: Slots = Slots()
    calendars: dict[Name, CalendarConfig] = Field(default_factory=dict)
    presence: dict[Name, PresenceConfig] = Field(default_factory=dict)
    backends: dict[Name, BackendConfig] = Field(default_factory=dict)
    prompts: Prompts = Prompts()
    workspaces: Workspaces = Workspaces()
    _layers: Layers = PrivateAttr(default_factory=Layers)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed in: `config_loading` puts the sources in order."""
        return (init_settings,)

    @field_validator("projects")
    @classmethod
    def _projects_are_told_apart(cls, projects: tuple[Project, ...]) -> tuple[Project, ...]:
        ids = [project.id for project in projects]
        if not ids or len(ids) != len(set(ids)):
            raise ValueError("there is at least one project, and each id only once")
        return projects

    @field_validator("agents")
    @classmethod
    def _agents_go_together(cls, agents: dict[str, AgentConfig]) -> dict[str, AgentConfig]:
        plain = {name: name.lower().replace("-", "_").replace(".", "_") for name in agents}
        counts = Counter(plain.values())
        alike = [name for name in agents if counts[plain[name]] > 1]
        if alike:
            raise ValueError(f"{' and '.join(alike)} have the same name for a variable: rename one")
        if problem := config_openclaw.problem_of_all(agents):
            raise ValueError(problem)
        return agents

    @field_validator("accounts")
    @classmethod
    def _accounts_are_drawn_on(cls, accounts: dict[str, Account], info: ValidationInfo) -> dict[str, Account]:
        if "agents" in info.data and (problem := config_accounts.problem_of(accounts, info.data["agents"])):
            raise ValueError(problem)
        return accounts

    @field_validator("slots")
    @classmethod
    def _slots_have_a_project(cls, slots: Slots, info: ValidationInfo) -> Slots:
        ids = [project.id for project in info.data.get("projects", ())]
        if slots.project is None and ids:
            return slots.model_copy(update={"project": ids[0]})
        if ids and slots.project not in ids:
            raise ValueError(f"project {slots.project!r} is not in projects: {', '.join(ids)}")
        return slots

    @field_validator("calendars")
    @classmethod
    def _calendars_name_what_there_is(
        cls, calendars: dict[str, CalendarConfig], info: ValidationInfo
    ) -> dict[str, CalendarConfig]:
        projects = [project.id for project in info.data.get("projects", ())]
        if problem := config_calendars.problem_of_all(calendars, info.data.get("agents", {}), projects):
            raise ValueError(problem)
        return calendars

    @field_validator("presence")
    @classmethod
    def _presence_names_what_there_is(
        cls, tables: dict[str, PresenceConfig], info: ValidationInfo
    ) -> dict[str, PresenceConfig]:
        if problem := config_presence.problem_of_all(tables, info.data.get("agents", {})):
            raise ValueError(problem)
        return tables

    @field_validator("backends")
    @classmethod
    def _backends_name_what_there_is(
        cls, backends: dict[str, BackendConfig], info: ValidationInfo
    ) -> dict[str, BackendConfig]:
        projects = [project.id for project in info.data.get("projects", ())]
        if problem := config_backends.problem_of_all(backends, info.data.get("agents", {}), projects):
            raise ValueError(problem)
        return backends

    @property
    def config_file(self) -> Path | None:
        """The file the values came from; None when there was none."""
        return self._layers.file

    @property
    def layers(self) -> Layers:
        """What each source said, for who asks where a value came from."""
        return self._layers

    def policy_for(self, agent: str | None = None, **overrides: Any) -> Policy:
        """The policy of a task: `[policy]`, then the agent's own, then the overrides that are not None."""
        numbers = self.policy.model_dump()
        if agent is not None and agent in self.agents:
            numbers |= self.agents[agent].policy.model_dump(exclude_unset=True)
        numbers |= {name: value for name, value in overrides.items() if value is not None}
        return Policy(**PolicyNumbers(**numbers).model_dump())

    def account(self, name: str) -> Account:
        """What is set for an account; the defaults where it has no table."""
        return self.accounts.get(name, Account())

    def policies(self) -> Policies:
        """The policy for each agent's tasks, and the one for all others."""
        return Policies(self.policy_for(), {agent: self.policy_for(agent) for agent in self.agents})

    def base_url(self, port: int | None = None) -> str:
        """The address agents are told; `port` is the one really bound."""
        return self.api.public_base_url or self.api.local_url(port)

    @property
    def token_file(self) -> Path:
        """The operator's token, mode 0600."""
        return self.state_dir / "operator.token"

    @property
    def attempts_dir(self) -> Path:
        """One directory an attempt."""
        return self.state_dir / "attempts"

    @property
    def uploads_dir(self) -> Path:
        """The files that agents sent whole, each under its SHA-256."""
        return self.state_dir / "uploads"

    @property
    def workspaces_dir(self) -> Path:
        """One working folder a task, kept between its attempts."""
        return self.state_dir / "workspaces"

    def shown(self) -> dict[str, Any]:
        """All values ready for JSON, with every value of an agent's env and every secret in its argv masked."""
        values = self.model_dump(mode="json") | {"config_file": self.config_file and str(self.config_file)}
        for agent in values["agents"].values():
            agent["env"] = dict.fromkeys(agent["env"], MASK)
            agent["argv"] = _masked_words(agent["argv"])
            agent["program"]["args"] = _masked_words(agent["program"]["args"])
            agent["hooks"] |= {hook: _masked_words(agent["hooks"][hook]) for hook in HOOKS}
        for table in values["presence"].values():
            table["token_command"] = _masked_words(table["token_command"])
        return values


def _masked_words(argv: list[str]) -> list[str]:
    shown: list[str] = []
    hide_next = False
    for word in argv:
        flag, sign, _ = word.partition("=")
        secret = flag.startswith("-") and SECRET_NAME.search(flag) is not None
        shown.append(MASK if hide_next else f"{flag}={MASK}" if secret and sign else word)
        hide_next = secret and not sign
    return shown
