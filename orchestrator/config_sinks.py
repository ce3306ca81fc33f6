"""The keys of `[notices]` and `[sinks.NAME]`: whom notices reach, which, and when."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from blackboard import quiet_hours
from blackboard.deliveries import Retry
from blackboard.notice_kinds import Kind
from blackboard.notice_routes import Route
from orchestrator.config_types import (
    MOST,
    File,
    Name,
    Part,
    Seconds,
    SomeSeconds,
    Word,
    Zone,
    judge_placeholders,
    web_address,
)

PLACEHOLDERS = frozenset(("id", "kind", "title", "text", "topic", "task", "agent", "project", "sink", "urgent"))
LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
Type = Literal["task", "file", "command", "openclaw", "webhook"]

# The keys that only one type has.
OF_TYPE: Mapping[Type, tuple[str, ...]] = {
    "task": ("agent", "role", "project", "priority"),
    "file": ("folder",),
    "command": ("argv", "env", "pass_env"),
    "openclaw": ("binary", "channel", "target", "account", "env", "pass_env"),
    "webhook": ("url", "secret_file", "allow_private", "allow_http"),
}
NEEDS: Mapping[Type, tuple[str, ...]] = {
    "task": (), "file": ("folder",), "command": ("argv",), "openclaw": ("target",), "webhook": ("url", "secret_file"),
}  # fmt: skip


class Notices(Part):
    """What holds for all notices."""

    keep_days: float = Field(30, gt=0, le=3660)


def _known(word: str) -> str:
    judge_placeholders(word, PLACEHOLDERS)
    return word


class SinkConfig(Part):
    """One sink: what it is, what it wants, and when."""

    type: Type
    kinds: tuple[Kind, ...] | None = None
    about_agents: tuple[Name, ...] | None = None
    about_projects: tuple[Name, ...] | None = None
    dedupe_seconds: Seconds = 600
    quiet_hours: str | None = None
    time_zone: Zone = "UTC"
    digest_seconds: Seconds = 0
    timeout_seconds: SomeSeconds = 30
    retry_seconds: SomeSeconds = 5
    retry_most_seconds: SomeSeconds = 600
    max_tries: int = Field(50, ge=1, le=MOST)

    agent: Name | None = None
    role: Name | None = None
    project: Name | None = None
    priority: int = Field(5, ge=-MOST, le=MOST)
    folder: File | None = None
    argv: tuple[Annotated[Word, AfterValidator(_known)], ...] = ()
    env: dict[Word, Word] = Field(default_factory=dict, repr=False)
    pass_env: tuple[Word, ...] = ()
    binary: Word = Field("openclaw", min_length=1)
    channel: Word | None = None
    target: Word | None = None
    account: Word | None = None
    url: Word | None = Field(None, repr=False)  # it may hold a secret
    secret_file: File | None = None
    allow_private: bool = False
    allow_http: bool = False

    @field_validator("quiet_hours")
    @classmethod
    def _are_hours(cls, text: str | None) -> str | None:
        if text is not None:
            quiet_hours.read(text, "UTC")
        return text

    @field_validator("kinds", "about_agents", "about_projects")
    @classmethod
    def _names_something(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if names is not None and not names:
            raise ValueError("is empty, so nothing would ever be told: name some, or take the key out")
        return names

    @field_validator("env")
    @classmethod
    def _are_variables(cls, env: dict[str, str]) -> dict[str, str]:
        if odd := [name for name in env if not name or "=" in name]:
            raise ValueError(f"{odd[0]!r} is no name of a variable")
        return env

    @field_validator("channel", "target", "account")
    @classmethod
    def _is_no_option(cls, word: str | None) -> str | None:
        if word is not None and (not word or (word.startswith("-") and not re.fullmatch(r"-\d[\d:a-z]*", word))):
            raise ValueError("is empty or begins with a dash, and would be read as an option")
        return word

    @model_validator(mode="after")
    def _is_of_its_type(self) -> SinkConfig:
        foreign = {key for keys in OF_TYPE.values() for key in keys} - {*OF_TYPE[self.type]}
        fields = type(self).model_fields
        said = {
            key
            for key in self.model_fields_set
            if getattr(self, key) != fields[key].get_default(call_default_factory=True)
        }
        if odd := sorted(foreign & said):
            theirs = ", ".join(sorted(kind for kind, keys in OF_TYPE.items() if odd[0] in keys))
            raise ValueError(f"{odd[0]} is for a sink of type {theirs}, and this is a {self.type}: take it out")
        if missing := [key for key in NEEDS[self.type] if not getattr(self, key)]:
            raise ValueError(f"a sink of type {self.type} needs {' and '.join(missing)}")
        if self.type == "task" and (self.agent is None) == (self.role is None):
            raise ValueError("a task is for one agent or for one role: give agent or role")
        if self.retry_most_seconds < self.retry_seconds:
            raise ValueError("retry_most_seconds is the longest wait: it cannot be below retry_seconds")
        if self.url is not None:
            self._can_be_called(self.url)
        return self

    def _can_be_called(self, url: str) -> None:
        found = web_address(url, "url begins with https:// or http://")
        if found.username or found.password:
            raise ValueError("url holds a name or password: the signature proves who calls, take them out")
        if found.scheme == "http" and not self.allow_http and found.hostname not in LOOPBACK:
            raise ValueError(
                "url is http, where anybody on the way could read along: use https, or say allow_http = true"
            )

    def route(self) -> Route:
        """Which notices it wants, and when."""
        quiet = quiet_hours.read(self.quiet_hours, self.time_zone) if self.quiet_hours is not None else None
        return Route(
            self.kinds, self.about_agents, self.about_projects, self.dedupe_seconds, self.digest_seconds, quiet,
            makes_tasks=self.type == "task",
        )  # fmt: skip

    @property
    def retry(self) -> Retry:
        """How it is tried again."""
        return Retry(self.retry_seconds, self.retry_most_seconds, self.max_tries)

    def agents_named(self) -> Iterable[str]:
        """Every agent of ours that it names."""
        return filter(None, (self.agent, *(self.about_agents or ())))

    def project_named(self) -> str | None:
        """The project its tasks are of, where it says so."""
        return self.project


def folder_of(state_dir: Path) -> Path:
    """Where the commands of sinks are run, each in a directory of its own."""
    return state_dir / "sinks"
