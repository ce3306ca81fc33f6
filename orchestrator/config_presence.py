"""The keys of `[presence.NAME]`: whom to tell where agents stand, whom to ask, and by which names and words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Literal, get_args
from urllib.parse import quote

from pydantic import Field, field_validator, model_validator

from blackboard.presence_reports import WORDS
from blackboard.presence_reports import Word as Presence
from orchestrator.config_backends import Said
from orchestrator.config_types import File, Name, Part, SomeSeconds, Word, fields, web_address

PUSHED: tuple[Presence, ...] = ("idle", "on_call", "busy", "offline")


class PresenceConfig(Part):
    """One server: told at `url`, asked at `read_url`, or both."""

    url: Word | None = Field(None, repr=False)  # both may hold a secret
    method: Literal["PUT", "POST", "PATCH"] = "PUT"
    read_url: Word | None = Field(None, repr=False)
    token_file: File | None = None
    token_command: tuple[Word, ...] = ()
    identifier: Said | None = None
    source: Word = Field("blackboard", pattern=r"^[!-~]{1,64}$")
    agents: dict[Name, Word] = Field(default_factory=dict)
    push: tuple[Presence, ...] = PUSHED
    map: dict[Presence, Word] = Field(default_factory=dict)
    every_seconds: SomeSeconds = 30
    full_every_seconds: SomeSeconds = 600
    timeout_seconds: SomeSeconds = 10

    @field_validator("url", "read_url")
    @classmethod
    def _is_of_each_agent(cls, url: str | None) -> str | None:
        if url is None:
            return None
        web_address(url, "an address begins with https:// or http://")
        names = [name for _, name, form, conversion in fields(url) if name is not None or form or conversion]
        if not names or set(names) != {"agent"}:
            raise ValueError("an address holds {agent}, which is each agent in its turn, and no other braces")
        return url

    @field_validator("push")
    @classmethod
    def _says_something(cls, push: tuple[Presence, ...]) -> tuple[Presence, ...]:
        if not push:
            raise ValueError(f"is empty: name what is to be told, of {', '.join(WORDS)}, or take url out")
        return push

    @model_validator(mode="after")
    def _can_be_done(self) -> PresenceConfig:
        if self.url is None and self.read_url is None:
            raise ValueError("give url, an address that is told, or read_url, one that is asked, or both")
        if self.token_file is not None and self.token_command:
            raise ValueError("the token is in token_file or printed by token_command: give one of both")
        if alike := [word for word, count in Counter(self.agents.values()).items() if count > 1]:
            raise ValueError(f"two agents are called {alike[0]!r} there: each has a name of its own")
        if self.identifier and (odd := [word for word in self.agents.values() if not re.fullmatch("[!-~]+", word)]):
            raise ValueError(f"with identifier a name is sent in a header, which cannot hold {odd[0]!r}")
        if self.read_url is not None and (alike := [w for w, n in Counter(self.map.values()).items() if n > 1]):
            raise ValueError(f"map says {alike[0]!r} for two words: what is read there could mean either")
        return self

    def called(self, agents: Collection[str]) -> dict[str, str]:
        """What each agent is called there: those of `agents`, or all of the configuration under their own names."""
        return dict(self.agents) or {agent: agent for agent in agents}

    def named(self, agent: str) -> dict[str, str]:
        """The headers of a call about an agent of theirs that say who calls and whom it is about."""
        return {"X-Claw-Identifier": self.identifier, "X-Agent-ID": agent} if self.identifier else {}

    def word(self, presence: Presence) -> str:
        """What a presence is called there."""
        return self.map.get(presence, presence)

    def read(self, word: object) -> Presence | None:
        """The presence that a word of theirs means; None for one that nobody knows."""
        back = {theirs: ours for ours, theirs in self.map.items()}
        found = back.get(str(word), word)
        return next((each for each in get_args(Presence) if each == found), None)

    def agents_named(self) -> Iterable[str]:
        """Every agent of ours that it names."""
        return self.agents

    def project_named(self) -> str | None:
        """None: where agents stand is of no project."""
        return None


def filled(url: str, agent: str) -> str:
    """The address of one agent."""
    return url.format(agent=quote(agent, safe=""))
