"""Occurrences of a calendar as slots of agents: whose each is, and what it says of the task. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blackboard.feed_text import boards
from orchestrator.config_calendars import CalendarConfig
from orchestrator.ics_events import Found, Occurrence, short

PROMISES = ("missed", "overlap", "deadline")
OF_TASK = ("must_haves", "review", "type", "project")
LONGEST_TITLE = 500


def slots_of(
    name: str, found: Found, config: CalendarConfig, agents: Mapping[str, Any], ours: str = ""
) -> tuple[list[tuple[str, dict[str, Any]]], list[tuple[str, str]]]:
    """(agent, record) of every occurrence that is for one, and (which event, why) of events that are for nobody.

    `ours`: the mark of this board, whose own events come back in nobody's name.
    """
    slots, refused = [], dict[str, str]()
    for each in found.occurrences:
        agent = whose(each, config, agents)
        if ours in _boards(each):
            refused[OURS] = CAME_BACK
        elif agent is None:
            refused[_name(each)] = NOBODY
        else:
            slots.append((agent, _record(name, each)))
    return slots, [*found.refused, *refused.items()]


OURS = "events of this board's own feed"
CAME_BACK = "they are left out, or its tasks would make tasks of themselves without an end"
NOBODY = (
    "it is for no agent: name one in X-BLACKBOARD-AGENT, in a category, by an attendee (calendars.NAME.attendees), or "
    "give the calendar an agent"
)


def _boards(each: Occurrence) -> frozenset[str]:
    """The boards whose feeds it came through, by their marks."""
    return boards(each.uid, each.own.get("board", "").split())


def _through(each: Occurrence) -> dict[str, str]:
    """The same, kept on the slot: the feed of this board says it on."""
    through = " ".join(sorted(_boards(each)))
    return {"boards": through} if through else {}


def _name(each: Occurrence) -> str:
    return f"event {each.uid}" + (f" ({each.summary})" if each.summary else "")


def whose(each: Occurrence, config: CalendarConfig, agents: Mapping[str, Any]) -> str | None:
    """The agent of an occurrence: by our property, by category, by who attends, else the calendar's own."""
    named = [each.own.get("agent", ""), *(word.removeprefix("agent:") for word in each.categories)]
    attending = {address.lower(): agent for address, agent in config.attendees.items()}
    for person in each.people:
        named += [attending.get(person.lower(), ""), person, person.partition("@")[0]]
    same = {name.lower(): name for name in agents}
    return next((same[word.lower()] for word in named if word.lower() in same), config.agent)


def _record(name: str, each: Occurrence) -> dict[str, Any]:
    own = dict(each.own)
    where = f"Where: {each.location}" if each.location else ""
    task = {"title": each.summary[:LONGEST_TITLE], "description": "\n\n".join(filter(None, (each.description, where)))}
    task |= {key: own[key] for key in OF_TASK if own.get(key)}
    return (
        {
            "virtual_id": "/".join(filter(None, (short(each.uid), each.recurrence))),
            "scheduled_at": each.starts,
            "estimated_duration": each.minutes,
            "status": "cancelled" if each.cancelled else own.get("status") or "not_started",
            "priority": _number(own.get("priority", "0")),
            "event_type": "event",
            "event_data": {key: value for key, value in task.items() if value},
            "series": f"calendar:{name} {short(each.uid)}",
        }
        | {key: own[key] for key in PROMISES if own.get(key)}
        | _through(each)
    )


def _number(text: str) -> int | str:
    """A whole number, or the text as it is: whoever reads the record says what is wrong with it."""
    try:
        return int(text)
    except ValueError:
        return text
