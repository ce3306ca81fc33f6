"""A slot's record as its source gives it: its fields, when it is due, and what it says of the contract. Pure.

What becomes of it on the board is blackboard/slots.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blackboard import recurring
from blackboard.checks import Checks
from blackboard.clock import to_text
from blackboard.errors import Invalid
from blackboard.forms import Review

OPEN_STATUSES = frozenset({"not_started", "deferred"})  # the source's words for "still to be done"
DROPPED_STATUSES = frozenset({"cancelled", "canceled", "aborted", "skipped", "finished"})


class SlotRecord(BaseModel):
    """A slot as its source gives it; fields we do not know are kept. `estimated_duration` is in minutes, `missed_within` in seconds."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: int | None = None
    virtual_id: str | None = None
    slot_type: str = ""
    estimated_duration: Annotated[float, Field(gt=0, le=1e6)] | None = None
    scheduled_at: str = ""
    repeat: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    missed: Literal["run_once", "run_all", "skip"] = "run_once"
    missed_within: Annotated[float, Field(gt=0, le=1e8)] | None = None
    overlap: Literal["queue", "skip", "replace"] = "queue"
    deadline: Literal["none", "start", "end"] = "none"
    series: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    status: str = "not_started"
    priority: Annotated[int, Field(ge=-(2**31), lt=2**31)] = 0
    event_type: str | None = None
    event_data: dict[str, Any] | None = None

    @property
    def uid(self) -> str:
        """What the slot is known by: `id:N` for a real one, `virtual:V` for one of a recurring plan."""
        if self.id is not None:
            return f"id:{self.id}"
        if self.virtual_id:
            return f"virtual:{self.virtual_id}"
        raise Invalid("a slot needs an id or a virtual_id: without one it cannot be recognised the next time")


class Wish(BaseModel):
    """What event_data may say about the task; anything else in it is the task's data."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    title: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    description: str = ""
    must_haves: str = ""
    checks: Checks = Field(default_factory=list)
    type: str | None = None
    project: str | None = None
    review: Review | None = None
    max_review_tries: Annotated[int, Field(ge=1, le=1000)] | None = None
    max_tries: Annotated[int, Field(ge=1, le=1000)] | None = None
    backoff_seconds: Annotated[float, Field(ge=0, le=1e8)] | None = None
    backoff_cap_seconds: Annotated[float, Field(ge=0, le=1e8)] | None = None
    wall_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None
    idle_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None
    startup_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None
    settle_seconds: Annotated[float, Field(ge=0, le=1e8)] | None = None
    max_rejections: Annotated[int, Field(ge=0, le=1000)] | None = None
    needs_output: bool | None = None
    waits_for_children: bool | None = None
    max_same: Annotated[int, Field(ge=1, le=1000)] | None = None
    attempt_usd: Annotated[float, Field(gt=0, le=1e9)] | None = None
    attempt_tokens: Annotated[int, Field(ge=1, le=2**53)] | None = None
    task_usd: Annotated[float, Field(gt=0, le=1e9)] | None = None
    task_tokens: Annotated[int, Field(ge=1, le=2**53)] | None = None
    wake_after: Annotated[bool, Field(strict=True)] | None = None  # of the agent's heartbeat, when the task has ended


_CLOCK_TIME = re.compile(r"^\d{2}:\d{2}(:\d{2})?$")


def due(scheduled_at: str, zone: ZoneInfo, day: date) -> tuple[str, str]:
    """When a slot is due, as UTC text, and which occurrence that is.

    `HH:MM` and `HH:MM:SS` are wall time of `day` in the schedule's zone; ISO 8601 without an offset is wall time
    too. Where the clocks jump forward a time that does not exist is read with the offset before the jump (02:30
    becomes 03:30); where they fall back the first of the two is meant. Invalid for anything else.
    """
    if _CLOCK_TIME.match(scheduled_at):
        try:
            return to_text(datetime.combine(day, time.fromisoformat(scheduled_at), zone)), day.isoformat()
        except (ValueError, OverflowError):
            raise Invalid(
                f"scheduled_at {scheduled_at!r} is no time of a day: write HH:MM from 00:00 to 23:59"
            ) from None
    try:
        instant = datetime.fromisoformat(scheduled_at)
        if "T" not in scheduled_at.upper() and " " not in scheduled_at:
            raise ValueError
        return to_text(instant if instant.tzinfo else instant.replace(tzinfo=zone)), "once"
    except (ValueError, OverflowError):
        raise Invalid(
            f"scheduled_at {scheduled_at!r} is not a time: write HH:MM, HH:MM:SS or ISO 8601 with a date and a time"
        ) from None


def zone_of(name: str) -> ZoneInfo:
    """The IANA zone of this name; Invalid."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Invalid(f"{name!r} is not an IANA time zone: write one such as Europe/Berlin, or UTC") from None


def read(given: Mapping[str, Any]) -> SlotRecord:
    """The record of a slot; Invalid with a sentence about the first thing that is wrong."""
    try:
        record = SlotRecord.model_validate(given)
        Wish.model_validate(record.event_data or {})
        json.dumps(given, default=str, allow_nan=False, ensure_ascii=False).encode()
    except ValidationError as error:
        raise Invalid(_first_fault(error)) from None
    except ValueError:
        raise Invalid("it holds what is not JSON (NaN, infinity, half of a surrogate pair): leave that out") from None
    _can_be_kept(record)
    return record


def _first_fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in fault['loc']) or 'the slot'}: {fault['msg']}"


def _can_be_kept(record: SlotRecord) -> None:
    if record.repeat is not None:
        recurring.check(record.repeat, first(record.scheduled_at))
    elif not record.scheduled_at:
        raise Invalid("scheduled_at: Field required")
    if record.deadline != "none" and record.estimated_duration is None:
        raise Invalid(f'deadline = "{record.deadline}" needs estimated_duration: without it the slot has no end')


def first(scheduled_at: str) -> datetime | None:
    """The first time of a slot that repeats, as wall time without a zone; None when it names none. Invalid."""
    if not scheduled_at:
        return None
    try:
        found = datetime.fromisoformat(scheduled_at)
        if (
            _CLOCK_TIME.match(scheduled_at)
            or ("T" not in scheduled_at.upper() and " " not in scheduled_at)
            or found.tzinfo
        ):
            raise ValueError
    except ValueError:
        raise Invalid(
            f"scheduled_at {scheduled_at!r} of a slot that repeats is its first time: write a date and a time without an offset, "
            "2026-01-31T09:00, in the schedule's zone"
        ) from None
    if found.year not in recurring.YEARS:
        raise Invalid(f"scheduled_at {scheduled_at!r} is too far away: a slot that repeats begins from 1900 on")
    return found
