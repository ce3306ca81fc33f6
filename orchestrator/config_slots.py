"""The keys of `[slots]`: files of slots, and the records of `[slots.recurring.NAME]`, each with a rule."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from blackboard import slot_records
from blackboard.errors import Invalid
from blackboard.slot_records import SlotRecord
from blackboard.slots import Schedule
from orchestrator.config_types import MOST, File, Name, Part, Zone

SOURCE = "config:recurring"


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
            if problem := _problem_of(given):
                raise ValueError(f"{name}: {problem}")
        return slots


def _problem_of(given: Mapping[str, Any]) -> str | None:
    """What about one of them cannot be."""
    if not isinstance(given.get("agent"), str):
        return "agent says whose slot it is"
    if "repeat" not in given:
        return 'repeat says when: a cron line such as "0 9 * * 1-5", or an RRULE such as "FREQ=WEEKLY;BYDAY=MO"'
    unknown = sorted(
        given.keys() - {"agent", "event_data", *SlotRecord.model_fields} | given.keys() & {"id", "virtual_id"}
    )
    if unknown:
        return f"unknown key {unknown[0]!r}: what is for the task, such as a title, goes into event_data"
    try:
        slot_records.read(_record("x", given))
    except Invalid as error:
        return error.sentence
    return None


def schedule_of(recurring: Mapping[str, Mapping[str, Any]], project: str, time_zone: str) -> Schedule:
    """All of them as one whole schedule."""
    slots: list[tuple[str, Mapping[str, Any]]] = [
        (str(given["agent"]), _record(name, given)) for name, given in recurring.items()
    ]
    return Schedule(
        SOURCE, slots, project, time_zone, complete=True, places=tuple(f"slots.recurring.{name}" for name in recurring)
    )


def _record(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return {"virtual_id": name, **{key: value for key, value in given.items() if key != "agent"}}
