"""What the operator set: the top of orchestrator.toml. Its larger tables are in `config_NAME.py`, with every default and limit.

Frozen once loaded, and never reads the board or starts anything. Where values come from and how a bad one is
told is in `orchestrator.config_loading`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from blackboard.policy import Policies, Policy
from orchestrator import (
    config_accounts,
    config_heartbeat,
    config_naming,
    config_openclaw,
    config_shown,
    config_watches,
)
from orchestrator.config_accounts import Account
from orchestrator.config_agent import AgentConfig
from orchestrator.config_api import Api
from orchestrator.config_backends import BackendConfig
from orchestrator.config_budget import BoardBudget
from orchestrator.config_calendars import CalendarConfig
from orchestrator.config_naming import Naming
from orchestrator.config_origins import Layers
from orchestrator.config_policy import PolicyNumbers
from orchestrator.config_presence import PresenceConfig
from orchestrator.config_sinks import Notices, SinkConfig
from orchestrator.config_slots import Slots
from orchestrator.config_types import MOST, File, Name, Part, SomeSeconds
from orchestrator.config_watches import WatchConfig
from orchestrator.config_workspaces import Workspaces


class Tick(Part):
    """How much runs at once, and how long the loop may sleep."""

    max_live: int = Field(8, ge=0, le=MOST)  # attempts not gone, all agents together
    memory_share: float = Field(0.8, ge=0, le=1)  # of the machine's memory, for all of them; 0: never looked at
    longest_pause_seconds: SomeSeconds = 30
    foreign_poll_seconds: SomeSeconds = 0.5
    source_poll_seconds: SomeSeconds = 5
    max_checks: int = Field(2, ge=1, le=MOST)  # checks of what was handed in that are run at once


class Project(Part):
    """A project tasks belong to."""

    id: Name
    title: str = ""


class Prompts(Part):
    """Templates of the operator's own."""

    templates: File | None = None


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
    notices: Notices = Notices()
    sinks: dict[Name, SinkConfig] = Field(default_factory=dict)
    watches: dict[Name, WatchConfig] = Field(default_factory=dict)
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
    def _agents_go_together(cls, agents: dict[str, AgentConfig], info: ValidationInfo) -> dict[str, AgentConfig]:
        plain = {name: name.lower().replace("-", "_").replace(".", "_") for name in agents}
        counts = Counter(plain.values())
        alike = [name for name in agents if counts[plain[name]] > 1]
        if alike:
            raise ValueError(f"{' and '.join(alike)} have the same name for a variable: rename one")
        if problem := config_openclaw.problem_of_all(agents):
            raise ValueError(problem)
        ids = [project.id for project in info.data.get("projects", ())]
        if ids and (problem := config_heartbeat.problem_of(agents, ids)):
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

    @field_validator("calendars", "presence", "backends", "sinks", "watches")
    @classmethod
    def _name_what_there_is(cls, tables: Mapping[str, Naming], info: ValidationInfo) -> Mapping[str, Naming]:
        projects = [project.id for project in info.data["projects"]] if "projects" in info.data else None
        if problem := config_naming.problem_of(str(info.field_name), tables, info.data.get("agents"), projects):
            raise ValueError(problem)
        return tables

    @field_validator("sinks")
    @classmethod
    def _heartbeats_name_sinks(cls, sinks: dict[str, SinkConfig], info: ValidationInfo) -> dict[str, SinkConfig]:
        if problem := config_heartbeat.problem_of_sinks(info.data.get("agents", {}), sinks):
            raise ValueError(problem)
        return sinks

    @field_validator("sinks")
    @classmethod
    def _sinks_name_what_there_is(cls, sinks: dict[str, SinkConfig], info: ValidationInfo) -> dict[str, SinkConfig]:
        known = [project.id for project in info.data.get("projects", ())]
        roles = {role for agent in info.data.get("agents", {}).values() for role in agent.roles}
        for name, sink in sinks.items():
            if "agents" in info.data and sink.role is not None and sink.role not in roles:
                raise ValueError(f"sinks.{name} names the role {sink.role!r}, which no agent has")
            if known and (odd := [each for each in sink.about_projects or () if each not in known]):
                raise ValueError(f"sinks.{name} names the project {odd[0]!r}: projects are {', '.join(known)}")
        return sinks

    @field_validator("watches")
    @classmethod
    def _watches_can_tell(cls, watches: dict[str, WatchConfig], info: ValidationInfo) -> dict[str, WatchConfig]:
        tick, sinks = info.data.get("tick"), info.data.get("sinks")
        if problem := config_watches.problem_of(watches, info.data.get("agents"), tick and tick.max_live, sinks):
            raise ValueError(problem)
        return watches

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
        return config_shown.masked(self.model_dump(mode="json")) | {
            "config_file": self.config_file and str(self.config_file)
        }
