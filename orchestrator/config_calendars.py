"""The keys of `[calendars.NAME]`: where a calendar is, whose work its events are, and how its times are meant."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import time
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from orchestrator.config_types import File, Name, Part, SomeSeconds, Word, Zone, web_address


class CalendarConfig(Part):
    """One calendar: a file or an address, exactly one of both."""

    file: File | None = None
    url: Word | None = Field(None, repr=False)  # it may hold a secret
    token_file: File | None = None
    agent: Name | None = None
    attendees: dict[Word, Name] = Field(default_factory=dict)
    project: Name | None = None
    time_zone: Zone = "UTC"
    all_day_at: str = Field("00:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    every_seconds: SomeSeconds = 300
    max_schedule_age_seconds: SomeSeconds | None = None

    @field_validator("url")
    @classmethod
    def _can_be_asked(cls, url: str | None) -> str | None:
        if url is None:
            return None
        url = f"https:{url[7:]}" if url.lower().startswith("webcal:") else url
        web_address(url, "url begins with https://, http:// or webcal://")
        return url

    @model_validator(mode="after")
    def _is_one(self) -> CalendarConfig:
        if (self.file is None) == (self.url is None):
            raise ValueError("a calendar is a file or a url: give exactly one of both")
        if self.token_file is not None and self.url is None:
            raise ValueError("token_file is for a calendar with a url")
        return self

    @property
    def day_begins(self) -> time:
        """When an event of whole days is due."""
        return time.fromisoformat(self.all_day_at)

    def agents_named(self) -> Iterable[str]:
        """Every agent of ours that it names."""
        return filter(None, (self.agent, *self.attendees.values()))

    def project_named(self) -> str | None:
        """The project its slots are of, where it says so."""
        return self.project


def folder(state_dir: Path) -> Path:
    """Where the last good text of each calendar with a url is kept."""
    return state_dir / "calendars"
