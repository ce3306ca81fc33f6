"""A calendar plugin as the tests need one: asks as such plugins do, and keeps what it was told as they do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx

Agenda = dict[str, list[dict[str, Any]]]


@dataclass
class Plugin:
    """One instance. `schedules`: what it knows, by agent; `heard`: the last answer."""

    client: httpx.AsyncClient
    token: str | None
    name: str = "gateway-1"
    schedules: Agenda = field(default_factory=dict)
    since: str | None = None
    heard: dict[str, Any] = field(default_factory=dict)

    def headers(self, agent: str | None = None) -> dict[str, str]:
        told = {"X-Claw-Identifier": self.name}
        if self.token:
            told["Authorization"] = f"Bearer {self.token}"
        return told | ({"X-Agent-ID": agent} if agent else {})

    async def sync(self) -> bool:
        """Ask for what is new and take it over; whether the answer was a full one."""
        query = {"since": self.since} if self.since else {}
        answer = await self.client.get("/calendar/sync", params=query, headers=self.headers())
        assert answer.status_code == 200, answer.text
        self.heard = answer.json()
        if self.heard["full"]:
            self.schedules = self.heard["schedules"]
        else:
            for change in self.heard["diff"]:
                self._take(change)
        self.since = self.heard["syncToken"]
        return bool(self.heard["full"])

    def _take(self, change: dict[str, Any]) -> None:
        slots = self.schedules[change["agent"]]
        if change["op"] == "add":
            slots.append(change["slot"])
            return
        (found,) = (slot for slot in slots if known_by(slot) == change["slotId"])
        if change["op"] == "remove":
            slots.remove(found)
        else:
            assert change["op"] == "update"
            found.update(change["patch"])

    async def day(self, day: str, agent: str) -> list[dict[str, Any]]:
        answer = await self.client.get("/calendar/day", params={"date": day}, headers=self.headers(agent))
        assert answer.status_code == 200, answer.text
        slots: list[dict[str, Any]] = answer.json()["slots"]
        return slots

    async def update(self, slot: dict[str, Any], status: str, **more: object) -> httpx.Response:
        kind = "" if slot["id"] is not None else "virtual/"
        url = f"/calendar/slots/{kind}{known_by(slot)}/agent-update"
        return await self.client.patch(url, json={"status": status, **more}, headers=self.headers(slot["agent_id"]))

    def due(self, now: str) -> list[tuple[str, int]]:
        """The slots that it would wake an agent for, as (agent, task)."""
        return [
            (agent, slot["task_id"])
            for agent, slots in self.schedules.items()
            for slot in slots
            if slot["status"] in ("not_started", "deferred") and slot["scheduled_at"] <= now
        ]


def known_by(slot: dict[str, Any]) -> int | str:
    return slot["id"] if slot["id"] is not None else slot["virtual_id"]  # type: ignore[no-any-return]


def sorted_(schedules: Agenda) -> Agenda:
    """The same whatever order it was learned in."""
    return {agent: sorted(slots, key=lambda slot: str(known_by(slot))) for agent, slots in schedules.items()}
