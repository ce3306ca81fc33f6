"""A calendar backend's answer, as it was saved in a file: read into records for each agent, or one clear sentence.

Two shapes, and both are whole schedules:

    {"full": true, "schedules": {"<agent>": [slot, …]}, "syncToken": "…"}      the answer to a full sync
    {"schedules": {"<agent>": [slot, …]}, "date": "YYYY-MM-DD"}                the answer for a day

Pure: opens nothing, knows no board. What a single slot means, and whether it is good, is `blackboard.slots`' affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from blackboard.errors import Invalid

_KEYS = frozenset({"full", "schedules", "syncToken", "diff", "date"})
_NAMES = {dict: "an object", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number", type(None): "null"}  # fmt: skip


@dataclass(frozen=True)
class Placed:
    """One slot's record as given, its agent, and where in the answer it stands: `schedules.NAME[INDEX]`."""

    agent: str
    record: Mapping[str, Any]
    place: str


@dataclass(frozen=True)
class Calendar:
    """What an answer says. `day`: which day HH:MM means; every day when None."""

    slots: tuple[Placed, ...]
    day: str | None


def is_answer(document: Mapping[str, Any]) -> bool:
    """Whether a document is of a calendar's shape, and not a list of slots that each name their agent."""
    return "slots" not in document and not _KEYS.isdisjoint(document) and document.keys() != {"date"}


def is_signed(document: Mapping[str, Any]) -> bool:
    """Whether it bears a backend's own marks: then keys that nobody knows here are the backend's, and no mistake."""
    return not {"full", "syncToken"}.isdisjoint(document)


def read(document: Mapping[str, Any]) -> Calendar:
    """The slots of an answer, in its order; Invalid, with the place in the document."""
    _refuse_diff(document)
    if "schedules" not in document:
        raise Invalid('there is no "schedules": an answer has a list of slots for each agent in it')
    schedules = document["schedules"]
    if not isinstance(schedules, Mapping):
        raise Invalid(f"schedules is {kind(schedules)}: it is an object with a list of slots for each agent")
    token = document.get("syncToken")
    if token is not None and not isinstance(token, str):
        raise Invalid(f"syncToken is {kind(token)}: it is the text the backend gave, or null")
    return Calendar(tuple(_placed(schedules)), _day(document.get("date")))


def _refuse_diff(document: Mapping[str, Any]) -> None:
    full = document.get("full", True)
    if not isinstance(full, bool):
        raise Invalid(f"full is {kind(full)}: it is true for a whole schedule")
    if not full or "diff" in document:
        raise Invalid(
            "full is false: this answer only changes an earlier one, and a file does not hold the state of the sync it "
            "belongs to; ask the backend without `since` and save that answer, which has full: true"
        )


def _placed(schedules: Mapping[str, Any]) -> list[Placed]:
    placed = []
    for agent, slots in schedules.items():
        if not isinstance(slots, list):
            raise Invalid(f"schedules.{agent} is {kind(slots)}: it is the list of the agent's slots, empty for none")
        for index, slot in enumerate(slots):
            place = f"schedules.{agent}[{index}]"
            if not isinstance(slot, Mapping):
                raise Invalid(
                    f"{place} is {kind(slot)}: a slot is an object with scheduled_at and an id or a virtual_id"
                )
            placed.append(Placed(agent, slot, place))
    return placed


def _day(value: object) -> str | None:
    if value is None:
        return None
    try:
        day = date.fromisoformat(str(value))
    except ValueError:
        raise Invalid(f"date {value!r} is not a day: write YYYY-MM-DD") from None
    if day.year < 1000:  # in some zones the midnight of the first day there is would be before it
        raise Invalid(f"date {value!r} is not a day of ours: write YYYY-MM-DD, from the year 1000 on")
    return day.isoformat()


def kind(value: object) -> str:
    """What a JSON value is, in words for a sentence."""
    return _NAMES.get(type(value), type(value).__name__)
