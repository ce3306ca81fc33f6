"""The keys of `[agents.NAME.heartbeat]`: how often and when an agent looks around by itself, at what, and whom it tells."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from pydantic import Field, model_validator

from blackboard.errors import Invalid
from blackboard.heartbeat_times import LEAST_SECONDS, hours
from blackboard.heartbeats import (
    ACK_WORD,
    MODEL,
    MOST_BESIDE,
    MOST_CHECKLIST,
    MOST_PROMPT,
    MOST_RETRIES,
    MOST_SECONDS,
    HeartbeatSettings,
)
from blackboard.notice_routes import problem_of_names
from orchestrator.config_types import File, Name, Part, Word, Zone


class HeartbeatConfig(Part):
    """An agent's heartbeat. Taken over by the board at each start where it has changed since."""

    enabled: bool = False
    project: Name | None = None
    interval_seconds: int = Field(1800, ge=LEAST_SECONDS, le=MOST_SECONDS)
    active_hours: str | None = None
    time_zone: Zone = "UTC"
    checklist: Word = ""
    checklist_file: File | None = None
    prompt: Word = Field("", max_length=MOST_PROMPT)
    model: str | None = Field(None, pattern=MODEL)
    isolated_session: bool = True
    light_context: bool = False
    ack_word: str = Field("HEARTBEAT_OK", pattern=ACK_WORD)
    ack_max_chars: int = Field(300, ge=0, le=MOST_BESIDE)
    max_retries: int = Field(2, ge=0, le=MOST_RETRIES)
    wake_after: bool = False
    sinks: tuple[Name, ...] | None = None

    @model_validator(mode="after")
    def _can_be_kept(self) -> HeartbeatConfig:
        if self.checklist and self.checklist_file is not None:
            raise ValueError("the checklist is in checklist or in checklist_file: give one of both")
        if len(self.checklist.encode()) > MOST_CHECKLIST:
            raise ValueError(f"a checklist has at most {MOST_CHECKLIST} bytes: make it shorter")
        try:
            if self.active_hours is not None:
                hours(self.active_hours, self.time_zone)
        except Invalid as error:
            raise ValueError(error.sentence) from None
        return self

    def settings(self, checklist: str | None) -> HeartbeatSettings:
        """As the board keeps it; `checklist`: what its file holds, None without one."""
        given = {name: value for name, value in self if name not in ("project", "checklist_file")}
        return HeartbeatSettings(**given | ({} if checklist is None else {"checklist": checklist}))


class Agent(Protocol):
    """What is looked at of an agent's configuration."""

    @property
    def runner(self) -> str: ...
    @property
    def heartbeat(self) -> HeartbeatConfig: ...


def problem_of(agents: Mapping[str, Agent], projects: Collection[str]) -> str | None:
    """What about the heartbeats does not go together with the rest."""
    for name, agent in agents.items():
        if agent.heartbeat.model and agent.runner == "command":
            return f"{name}.heartbeat.model is for an agent whose runner knows its program: with command, argv says everything"
        project = agent.heartbeat.project
        if project is not None and project not in projects:
            return f"{name}.heartbeat.project {project!r} is not in projects: {', '.join(projects)}"
    return None


def problem_of_sinks(agents: Mapping[str, Agent], sinks: Collection[str]) -> str | None:
    """What a heartbeat is to tell that is not there."""
    for name, agent in agents.items():
        if problem := problem_of_names(agent.heartbeat.sinks or (), sinks):
            return f"the heartbeat of {name} {problem}"
    return None
