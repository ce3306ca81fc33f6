"""The keys of `[backends.NAME]`: where a calendar backend is, who we are to it, and how often it is spoken to."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field, field_validator

from orchestrator.config_types import File, Name, Part, SomeSeconds, Word, Zone, web_address

Said = Annotated[str, Field(pattern=r"^[!-~]{1,200}$")]  # it is sent in a header


class BackendConfig(Part):
    """One calendar backend. There is no default address: nobody's calendar is everybody's."""

    url: Word
    identifier: Said | None = None
    token_file: File | None = None
    time_zone: Zone = "UTC"
    project: Name | None = None
    agents: dict[Said, Name] = Field(default_factory=dict)
    sync_seconds: SomeSeconds = 300
    max_schedule_age_seconds: SomeSeconds = 3600
    heartbeat_seconds: SomeSeconds = 60
    write_back: bool = True

    @field_validator("url")
    @classmethod
    def _can_be_asked(cls, url: str) -> str:
        found = web_address(url, "url begins with https:// or http://, e.g. https://calendar.example.org/api")
        if found.query or found.fragment or found.username or found.password:
            raise ValueError("url is an address without ?, # or a password: a token goes into token_file")
        return url.rstrip("/")

    @field_validator("agents")
    @classmethod
    def _each_is_one(cls, agents: dict[str, str]) -> dict[str, str]:
        twice = [name for name, count in Counter(agents.values()).items() if count > 1]
        if twice:
            raise ValueError(f"{twice[0]!r} stands for two agents of the backend: each of ours is one of theirs")
        return agents

    @property
    def instance(self) -> str:
        """Who we are to it."""
        return self.identifier or socket.gethostname()

    def ours(self, theirs: str) -> str:
        """Our name of an agent of theirs."""
        return self.agents.get(theirs, theirs)

    def theirs(self, ours: str) -> str:
        """Their name of an agent of ours."""
        return next((name for name, agent in self.agents.items() if agent == ours), ours)

    def agents_named(self) -> Iterable[str]:
        """Every agent of ours that it names."""
        return self.agents.values()

    def project_named(self) -> str | None:
        """The project its slots are of, where it says so."""
        return self.project
