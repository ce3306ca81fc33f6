"""A calendar backend's answer to a sync: a whole schedule, or what changed since a token, applied to the last whole one.

    {"full": true, "schedules": {"<agent>": [slot, …]}, "syncToken": "…"}
    {"schedules": {"<agent>": [slot, …]}, "date": "YYYY-MM-DD"}                           an older backend: no token
    {"full": false, "diff": [{"op": "add", "agent", "slot"}, {"op": "update", "agent", "slotId", "patch"},
                             {"op": "remove", "agent", "slotId"}], "syncToken": "…"}

Pure: opens nothing, knows no board. Whole schedules are read by blackboard/calendars.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from blackboard import calendars
from blackboard.errors import Invalid

Schedules = Mapping[str, Sequence[Mapping[str, Any]]]


@dataclass(frozen=True)
class Answer:
    """What was answered: `schedules` of a whole one, else `changes` to the one that its question's token stands for.

    `token`: what to ask with next; None: the next answer is a whole one. `day`: which day HH:MM means, where it says.
    """

    schedules: Schedules | None
    changes: tuple[Mapping[str, Any], ...]
    token: str | None
    day: str | None


def read(document: object) -> Answer:
    """The answer that a document is; Invalid with the place in it."""
    if not isinstance(document, Mapping):
        raise Invalid(f"the answer is {calendars.kind(document)}: it is an object with schedules, or with a diff")
    document = {str(_OTHER_FORM.get(key, key)): value for key, value in document.items()}
    if document.get("full", True) is not False and "diff" not in document:
        placed = calendars.read(document)
        schedules: dict[str, list[Mapping[str, Any]]] = {agent: [] for agent in document["schedules"]}
        for each in placed.slots:
            schedules[each.agent].append(each.record)
        return Answer(schedules, (), _token(document), placed.day)
    if document.get("full", False) is not False:
        raise Invalid("the answer has a diff and is not full: false: it is either whole or it changes another one")
    changes = document.get("diff")
    if not isinstance(changes, list):
        raise Invalid(f"diff is {calendars.kind(changes)}: it is the list of what changed, empty for nothing")
    for index, change in enumerate(changes):
        if not isinstance(change, Mapping):
            raise Invalid(f"diff[{index}] is {calendars.kind(change)}: a change is an object with op and agent")
    return Answer(None, tuple(changes), _token(document), None)


_OTHER_FORM = {"sync_token": "syncToken"}


def _token(document: Mapping[str, Any]) -> str | None:
    token = document.get("syncToken")
    if token is not None and not isinstance(token, str):
        raise Invalid(f"syncToken is {calendars.kind(token)}: it is the text to ask with the next time, or null")
    return token or None


def applied(schedules: Schedules, changes: Sequence[Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The schedules after the changes, in their order; Invalid for the first that does not fit, and then none counts."""
    now = {agent: [dict(slot) for slot in slots] for agent, slots in schedules.items()}
    for index, change in enumerate(changes):
        try:
            _apply(now, change)
        except Invalid as refusal:
            raise Invalid(f"diff[{index}]: {refusal.sentence}") from None
    return now


def _apply(schedules: dict[str, list[dict[str, Any]]], change: Mapping[str, Any]) -> None:
    op, agent = change.get("op"), change.get("agent")
    if not isinstance(agent, str):
        raise Invalid(f"agent is {calendars.kind(agent)}: it is the name of an agent")
    if op == "add":
        slot = _object(change, "slot")
        found = _found(schedules.get(agent, []), slot.get("id"), slot.get("virtual_id"))
        if found is not None:  # said twice
            schedules[agent].pop(found)
        schedules.setdefault(agent, []).append(dict(slot))
        return
    if op not in ("update", "remove"):
        raise Invalid(f"op {op!r} is not known: there are add, update and remove")
    if agent not in schedules:
        raise Invalid(f"there is no agent {agent!r} in the schedule that it changes")
    named = change.get("slotId", change.get("slot_id"))
    found = _found(schedules[agent], named, named)
    if found is None:
        raise Invalid(f"there is no slot {named!r} of agent {agent!r} in the schedule that it changes")
    if op == "remove":
        schedules[agent].pop(found)
    else:
        schedules[agent][found] |= _object(change, "patch")


def _object(change: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = change.get(key)
    if not isinstance(value, Mapping):
        raise Invalid(f"{key} is {calendars.kind(value)}: it is an object with fields of the slot")
    return value


def _found(slots: Sequence[Mapping[str, Any]], number: object, virtual: object) -> int | None:
    """Where the slot with this id, or else this virtual_id, stands."""
    for index, slot in enumerate(slots):
        if slot.get("id") is not None and number is not None and str(slot["id"]) == str(number):
            return index
    for index, slot in enumerate(slots):
        if slot.get("virtual_id") and virtual is not None and slot["virtual_id"] == virtual:
            return index
    return None


def noted(schedules: Schedules, agent: str, slot: tuple[object, object], fields: Mapping[str, Any]) -> Schedules:
    """The schedules with what the backend just agreed to: `fields` of the slot with this (id, virtual_id), if it is there."""
    found = _found(schedules.get(agent, []), *slot)
    if found is None:
        return schedules
    slots = [dict(each) for each in schedules[agent]]
    slots[found] |= fields
    return {**schedules, agent: slots}
