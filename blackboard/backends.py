"""A calendar backend's answers on the board: whole or as changes, each with its token in one transaction.

The last whole schedule is kept with the token it belongs to, so that changes are applied to what they were made for.
Never fetches anything.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from blackboard import journal, slot_names, slot_records, slots, sources, synced
from blackboard.board import Tx
from blackboard.clock import from_text, to_text
from blackboard.errors import Conflict, Invalid
from blackboard.policy import Policies
from blackboard.slot_records import SlotRecord, zone_of
from blackboard.write_backs import ENGINE


@dataclass(frozen=True)
class Backend:
    """One backend as the configuration has it. `agents`: its names of agents that have another name here.

    `every`: seconds between two questions; `good_for`: seconds for which an answer is good.
    """

    source: str
    project: str
    time_zone: str
    every: float
    good_for: float
    agents: Mapping[str, str] = field(default_factory=dict)

    def ours(self, theirs: str) -> str:
        """Our name of an agent of theirs."""
        return self.agents.get(theirs, theirs)

    def today(self, now: str) -> str:
        """Which day it is in its zone."""
        return from_text(now).astimezone(zone_of(self.time_zone)).date().isoformat()

    @property
    def reading(self) -> list[object]:
        """What decides on how an answer is read: with another one, the last answer is not what it was."""
        return [self.project, self.time_zone, dict(sorted(self.agents.items()))]


def since(state: Mapping[str, Any], backend: Backend, now: str) -> str | None:
    """The token to ask with; None for a whole schedule: there is no token, a new day has begun, or we read otherwise."""
    fits = state.get("asked_on") == backend.today(now) and state.get("reading") == backend.reading
    token = state.get("token")
    return str(token) if token and fits else None


def answered(
    tx: Tx, backend: Backend, answer: synced.Answer, asked_with: str | None, policies: Policies
) -> slots.Taken:
    """Bring the board up to an answer; Invalid or Conflict, and nothing is changed, when it does not fit what was kept."""
    state = sources.state_of(tx, backend.source)
    if answer.schedules is not None:
        schedules, day, asked_on = answer.schedules, answer.day or backend.today(tx.now), backend.today(tx.now)
    elif asked_with is None or state.get("token") != asked_with:
        raise Conflict("it changes a schedule that is not the one kept here")
    else:
        schedules, day = synced.applied(state["schedules"], answer.changes), state["day"]
        asked_on = state["asked_on"]
    same = (state.get("schedules"), state.get("day"), state.get("reading")) == (schedules, day, backend.reading)
    refused = state.get("refused", [])
    taken = slots.Taken()
    if not same:
        told = frozenset((which, why) for which, why in refused)
        _make_real(tx, backend, schedules, day)
        taken = slots.take_in(tx, schedule_of(backend, schedules, day, told), policies, ENGINE)
        refused = taken.refused
    kept = {
        "token": answer.token, "schedules": schedules, "day": day, "asked_on": asked_on, "reading": backend.reading,
        "refused": refused,
    }  # fmt: skip
    sources.answered(tx, backend.source, state=kept, every=backend.every, stale_after=backend.good_for)
    if taken.added or taken.changed or taken.removed:
        _tell(tx, backend, schedules, taken)
    return taken


def schedule_of(
    backend: Backend, schedules: synced.Schedules, day: str, told: frozenset[tuple[str, str]] = frozenset()
) -> slots.Schedule:
    """The whole schedule of a day. What was planned for an earlier one is over, not gone."""
    placed = [
        (backend.ours(agent), slot, f"schedules.{agent}[{index}]")
        for agent, listed in schedules.items()
        for index, slot in enumerate(listed)
    ]
    begins = to_text(datetime.combine(date.fromisoformat(day), time(), zone_of(backend.time_zone)))
    return slots.Schedule(
        backend.source, [(agent, slot) for agent, slot, _ in placed], backend.project, backend.time_zone, day,
        complete=True, places=tuple(place for _, _, place in placed), since=begins, told=told,
    )  # fmt: skip


def _tell(tx: Tx, backend: Backend, schedules: synced.Schedules, taken: slots.Taken) -> None:
    count = sum(len(listed) for listed in schedules.values())
    journal.tell(
        tx, "schedule_synced", actor=ENGINE,
        reason=f"{backend.source}: {len(schedules)} agents, {count} slots: {taken.added} added, {taken.changed} changed, "
        f"{taken.removed} removed",
        data=json.dumps({"added": taken.added, "changed": taken.changed, "removed": taken.removed, "agents": len(schedules), "slots": count}),
    )  # fmt: skip


def _make_real(tx: Tx, backend: Backend, schedules: synced.Schedules, day: str) -> None:
    """Planned slots that are not there any more, each with one new real slot that is the same in all but its name."""
    zone, of_source = zone_of(backend.time_zone), slot_names.all_of(tx, backend.source)
    for agent, listed in schedules.items():
        given = [record for slot in listed if (record := _readable(slot)) is not None]
        named = {record.uid for record in given} | {f"virtual:{record.virtual_id}" for record in given}
        rows = [row for row in of_source if row["agent_id"] == backend.ours(agent)]
        known = {row["uid"] for row in rows}
        gone, new = defaultdict[object, list[sqlite3.Row]](list), defaultdict[object, list[SlotRecord]](list)
        for row in rows:
            if row["uid"].startswith("virtual:") and row["uid"] not in named:
                gone[_traits_of(row)].append(row)
        for record in given:
            if record.id is not None and record.uid not in known and not record.virtual_id:
                new[_traits(record, zone, day)].append(record)
        for traits, former in gone.items():
            alike = new.get(traits, [])
            if len(former) == len(alike) == 1 and alike[0].id is not None:
                slot_names.become_real(tx, former[0], alike[0].id)


def _readable(slot: Mapping[str, Any]) -> SlotRecord | None:
    try:
        record = slot_records.read(slot)
        return record if record.uid and record.repeat is None else None
    except Invalid:
        return None


# What makes two slots the same in all but their name; looked up, for a backend may make a whole week real at once.
def _traits(record: SlotRecord, zone: ZoneInfo, day: str) -> tuple[object, ...] | None:
    try:
        when, _ = slot_records.due(record.scheduled_at, zone, date.fromisoformat(day))
    except Invalid:
        return None
    data = json.dumps(record.event_data or {}, sort_keys=True, default=str)
    return when, record.slot_type, record.estimated_duration, record.event_type, data


def _traits_of(row: sqlite3.Row) -> tuple[object, ...]:
    when = slot_names.planned_at(row)
    return when, row["slot_type"], row["estimated_duration"], row["event_type"], row["event_data"]
