"""What a calendar backend is asked and told over HTTP: one function a call, every failure one sentence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from orchestrator import web
from orchestrator.asking import NoAnswer
from orchestrator.bearer import authorization
from orchestrator.config_backends import BackendConfig

SECONDS = 20.0
MOST_BYTES = 32 * 1024 * 1024
TOKEN_REFUSED = frozenset({400, 404, 409, 410, 412, 422})  # ... by a backend that was asked since a token
LOGIN = frozenset({401, 403})


class TokenRefused(Exception):
    """The backend does not know the sync token (any more): str() says how it said so."""


class ThisRefused(Exception):
    """The backend does not take this one thing, whatever it does with others: str() says how it said so."""


class Said(NamedTuple):
    """An answer that came whole. `document`: what its JSON holds; None where it is none."""

    status: int
    document: Any


class Calls:
    """One backend. Every question bears who we are, and the token of its file as it is now."""

    def __init__(self, config: BackendConfig, seconds: float = SECONDS) -> None:
        self._config = config
        self._seconds = seconds

    async def sync(self, since: str | None) -> Any:
        """The schedules of all agents, or what changed since a token; TokenRefused, NoAnswer."""
        params = {"claw_identifier": self._config.instance} | ({"since": since} if since is not None else {})
        said = await self._ask("GET", "/calendar/sync", params=params)
        if since is not None and said.status in TOKEN_REFUSED:
            raise TokenRefused(f"it answers {said.status} to its own token")
        return _good(said)

    async def day(self, agent: str, day: str) -> list[Any]:
        """Every slot of an agent of theirs on a day, in any status."""
        document = _good(await self._ask("GET", "/calendar/day", agent=agent, params={"date": day}))
        slots = document.get("slots") if isinstance(document, dict) else None
        if not isinstance(slots, list):
            raise NoAnswer("its answer for a day has no list of slots")
        return slots

    async def heartbeat(self) -> None:
        """Say that we live."""
        _done(await self._ask("POST", "/monitor/server/heartbeat", body={"claw_identifier": self._config.instance}))

    async def put_status(self, agent: str, word: str) -> None:
        """Say where an agent of theirs stands; ThisRefused, NoAnswer."""
        body = {"agent_id": agent, "claw_identifier": self._config.instance, "status": word}
        said = await self._ask("POST", "/calendar/agent/status", agent=agent, body=body)
        if 400 <= said.status < 500 and said.status not in LOGIN and said.status != 429:
            raise ThisRefused(f"it answers {said.status}")
        _done(said)

    async def update(self, agent: str, uid: str, body: Mapping[str, Any]) -> Said:
        """Say how a slot is doing; the answer, whatever its status. `uid`: `id:N` or `virtual:V`."""
        kind, _, name = uid.partition(":")
        place = quote(name, safe="") if kind == "id" else f"virtual/{quote(name, safe='')}"
        return await self._ask("PATCH", f"/calendar/slots/{place}/agent-update", agent=agent, body=dict(body))

    async def _ask(
        self, method: str, path: str, *, agent: str | None = None, params: Mapping[str, str] | None = None, body: Any = None
    ) -> Said:  # fmt: skip
        headers = {"Accept": "application/json"}
        headers |= {"X-Claw-Identifier": self._config.instance} | ({"X-Agent-ID": agent} if agent is not None else {})
        headers |= await asyncio.to_thread(authorization, self._config.token_file)
        answer = await web.ask(
            method, self._config.url + path, headers=headers, params=params, body=body, seconds=self._seconds, most_bytes=MOST_BYTES,
        )  # fmt: skip
        return await asyncio.to_thread(_said, answer)


def _said(answer: web.Answered) -> Said:
    try:
        return Said(answer.status, json.loads(answer.body, parse_constant=_no_number))
    except (ValueError, RecursionError):
        return Said(answer.status, None)


def refusal(status: int) -> str:
    """What an answer that is no good one means."""
    if status in LOGIN:
        return f"it answers {status}: the token in token_file is missing or not good (any more)"
    if status in (404, 405):
        return f"it answers {status}: there is no calendar backend at this url"
    return f"it answers {status}"


def _good(said: Said) -> Any:
    _done(said)
    if said.document is None:
        raise NoAnswer("its answer is not JSON")
    return said.document


def _done(said: Said) -> None:
    if not 200 <= said.status < 300:
        raise NoAnswer(refusal(said.status))


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no JSON")
