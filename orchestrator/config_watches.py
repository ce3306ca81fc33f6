"""The keys of `[watches.NAME]`: what is asked for, what counts as an item of the answer, and who is told of its changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from blackboard.notice_routes import problem_of_names
from orchestrator.config_agent import AgentConfig
from orchestrator.config_types import MOST, Bytes, File, Name, Part, SomeSeconds, Word, web_address

Kind = Literal["added", "changed", "removed"]
SINKS = "sinks"  # the target of a watch that is told to sinks alone
OURS = frozenset({"authorization", "if-none-match", "accept", "accept-encoding", "host", "user-agent"})
# What watches that are told together must say alike.
SHARED = ("project", "sinks", "cooldown_seconds", "min_available", "max_tries")


class WatchConfig(Part):
    """One address that is asked again and again, and whom its changes are for."""

    url: Word = Field(repr=False)  # it may hold a secret
    token_file: File | None = None
    token_command: tuple[Word, ...] = ()
    headers: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")], Annotated[str, Field(pattern=r"^[ -~]{0,4096}$")]] = Field(default_factory=dict, repr=False)  # fmt: skip
    items: Word = ""
    id: tuple[Word, ...] = ()
    ignore: tuple[Word, ...] = ()
    agent: Name | None = None
    role: Name | None = None
    sinks: tuple[Name, ...] = ()
    topic: Annotated[str, Field(pattern=r"^[!-~]([ -~]{0,98}[!-~])?$")] | None = None
    project: Name | None = None
    idle_seconds: SomeSeconds = 30
    active_seconds: SomeSeconds = 5
    cooldown_seconds: Annotated[float, Field(ge=0, le=31 * 86400, allow_inf_nan=False)] = 60
    min_available: int | None = Field(None, ge=0, le=MOST)
    urgent_kinds: tuple[Kind, ...] = ()
    urgent_when: dict[Word, tuple[Word, ...]] = Field(default_factory=dict)
    notify_on_first_run: bool = False
    confirm_removals: int = Field(2, ge=1, le=1000)
    max_tries: int = Field(3, ge=1, le=1000)
    max_items: int = Field(1000, ge=1, le=10_000)  # one write compares all of them
    max_bytes: Bytes = Field(1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    timeout_seconds: SomeSeconds = 10

    @field_validator("url")
    @classmethod
    def _can_be_asked(cls, url: str) -> str:
        found = web_address(url, "url begins with https:// or http://, e.g. https://tickets.example.org/api/open")
        if found.fragment or found.username or found.password:
            raise ValueError("url is an address without # or a password: a token goes into token_file or token_command")
        return url

    @field_validator("headers")
    @classmethod
    def _are_not_ours(cls, headers: dict[str, str]) -> dict[str, str]:
        if taken := [name for name in headers if name.lower() in OURS]:
            raise ValueError(f"{taken[0]} is a header of our own: a token goes into token_file or token_command")
        return headers

    @field_validator("items")
    @classmethod
    def _points(cls, items: str) -> str:
        if items and not items.startswith("/"):
            raise ValueError(f"items is a JSON pointer and begins with /, e.g. /{items}; empty: the whole answer")
        return items

    @model_validator(mode="after")
    def _can_be_done(self) -> WatchConfig:
        if self.agent is not None and self.role is not None:
            raise ValueError("a task is for an agent or for a role: give one of both")
        if self.target == SINKS and not self.sinks:
            raise ValueError("nobody is told: give agent or role, who gets a task, or sinks")
        if self.token_file is not None and self.token_command:
            raise ValueError("the token is in token_file or printed by token_command: give one of both")
        return self

    @property
    def target(self) -> str:
        """Whom its changes are for: `agent:ID`, `role:NAME` or `sinks`."""
        if self.agent is not None:
            return f"agent:{self.agent}"
        return f"role:{self.role}" if self.role is not None else SINKS

    @property
    def free_wanted(self) -> int:
        """So many places are to be free before a push: one, unless it says otherwise or no agent is pushed to."""
        if self.min_available is not None:
            return self.min_available
        return 0 if self.target == SINKS else 1

    def agents_named(self) -> Iterable[str]:
        """The agent it is for."""
        return () if self.agent is None else (self.agent,)

    def project_named(self) -> str | None:
        """The project its tasks are of, where it says so."""
        return self.project


def topic_of(name: str, watch: WatchConfig) -> str:
    """What its changes are about: watches with one target and topic are told together."""
    return watch.topic or name


def problem_of(
    watches: Mapping[str, WatchConfig], agents: Mapping[str, AgentConfig] | None, max_live: int | None, sinks: Collection[str] | None
) -> str | None:  # fmt: skip
    """What watches want that cannot be. None for agents, max_live or sinks: they are wrong themselves."""
    first: dict[tuple[str, str], str] = {}
    for name, watch in watches.items():
        if sinks is not None and (problem := problem_of_names(watch.sinks, sinks)):
            return f"watches.{name} {problem}"
        if agents is not None and watch.role is not None and not _with_role(agents, watch.role):
            return f"watches.{name} names the role {watch.role!r}, which no agent has"
        if (
            agents is not None
            and max_live is not None
            and watch.free_wanted > (most := _places(watch, agents, max_live))
        ):
            return f"watches.{name} wants {watch.free_wanted} free places, and there are {most} at most: lower min_available"
        other = first.setdefault((watch.target, topic_of(name, watch)), name)
        if unlike := [key for key in SHARED if getattr(watch, key) != getattr(watches[other], key)]:
            return f"watches.{name} and watches.{other} are told together, so both say the same of {unlike[0]}"
    return None


def _with_role(agents: Mapping[str, AgentConfig], role: str) -> list[AgentConfig]:
    return [agent for agent in agents.values() if role in agent.roles]


def _places(watch: WatchConfig, agents: Mapping[str, AgentConfig], max_live: int) -> int:
    """The most places that can be free for it."""
    if watch.agent is not None:
        return min(max_live, agents[watch.agent].max_live) if watch.agent in agents else max_live
    return min(max_live, sum(each.max_live for each in _with_role(agents, watch.role))) if watch.role else max_live
