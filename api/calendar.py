"""The calendar's own protocol, served from the board: what a gateway's plugin asks for and reports.

Its paths, headers and words are those such a plugin uses, so that it is pointed here unchanged but for a token. It is a
reader of the board and a reporter: nothing here starts anything, and whoever may say what is decided on the board.
"""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Callable
from datetime import date
from typing import Any, Concatenate, ParamSpec

from pydantic import BaseModel
from starlette.responses import Response

from api import answers, bodies
from api import calendar_forms as forms
from api.callers import without_any
from api.endpoints import Call, Endpoint, answer
from api.refusals import counted
from blackboard import agenda, calendar_callers, instances, reported_slots, sync_chain, told_presence
from blackboard.agenda import Day as Span
from blackboard.board import Rows, Tx
from blackboard.errors import Invalid
from blackboard.slot_records import zone_of

P = ParamSpec("P")

INSTANCE_HEADER, AGENT_HEADER = b"x-claw-identifier", b"x-agent-id"


def _agreed(call: Call, header: bytes, said: str | None, pattern: str, field: str) -> str | None:
    """What a header and a field say; Invalid when they differ, or when the header is no such name."""
    values = {value for name, value in call.scope["headers"] if name == header}
    name = header.decode().title()
    if len(values) > 1:
        raise Invalid(f"{name} is given twice: give it once")
    text = next((value.decode("utf-8", "replace").strip() for value in values), "") or None
    if text is not None and re.fullmatch(pattern, text) is None:
        raise Invalid(f"{name} is no name: write letters and digits, at most 255")
    if text is not None and said is not None and text != said:
        raise Invalid(f"{name} and `{field}` differ: say one of them, or the same in both")
    return text or said


def _instance(call: Call, said: str | None) -> str | None:
    return _agreed(call, INSTANCE_HEADER, said, forms.NAME, "claw_identifier")


def _agent(call: Call, said: str | None) -> str | None:
    return _agreed(call, AGENT_HEADER, said, forms.AGENT_NAME, "agent_id")


def _let_in(call: Call) -> bool:
    """Whether the caller needs no token: one of the instances that the configuration names, on this very machine."""
    if not call.api.config.calendar_open_to or not without_any(call.scope):
        return False
    said = call.headers.get(INSTANCE_HEADER, b"").decode("utf-8", "replace").strip()
    client = call.scope.get("client")
    forwarded = any(name in (b"forwarded", b"x-forwarded-for", b"via") for name, _ in call.scope["headers"])
    return said in call.api.config.calendar_open_to and client is not None and not forwarded and _is_here(client[0])


def _is_here(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


async def _asked(call: Call, work: Callable[[bytes | None], Any]) -> Response:
    """What `work` answers to a caller with a token, or to one that is let in without."""
    response: Response = await work(None) if _let_in(call) else await counted(call, work)
    return response


async def _written(
    call: Call,
    report: BaseModel,
    verb: Callable[Concatenate[Tx, Any, P], dict[str, Any]],
    token: bytes | None,
    *args: P.args,
    **more: P.kwargs,
) -> Response:
    """Write once for the call's key; a caller without a token has none."""
    if token is None:
        said = answer(await call.api.board.write(verb, None, *args, **more))
    else:
        said = answers.response(await answers.stored(call, report, 200, verb, token, *args, **more))
    call.api.wake()
    return said


async def sync(call: Call) -> Response:
    """The agenda of the day, or the difference to the last answer."""

    async def work(token: bytes | None) -> Response:
        query = bodies.parse(forms.SyncQuery, None, {}, call.query, b"")
        instance, new = _instance(call, query.claw_identifier), secrets.token_urlsafe(18)
        zone = zone_of(call.api.config.time_zone)

        def told(tx: Tx) -> dict[str, Any]:
            asker = calendar_callers.asker(tx, token, instance, "read")
            return sync_chain.answer(tx, asker.instance, asker.agent, Span.now(tx.now, zone), query.since, new)

        return answer(await call.api.board.write(told))

    return await _asked(call, work)


async def day(call: Call) -> Response:
    """All slots of a day, in any status."""

    async def work(token: bytes | None) -> Response:
        query = bodies.parse(forms.DayQuery, None, {}, call.query, b"")
        instance, agent = _instance(call, query.claw_identifier), _agent(call, query.agent_id)
        zone, now = zone_of(call.api.config.time_zone), call.api.board.clock.now()
        span = Span.of(date.fromisoformat(query.date), zone) if query.date else Span.now(now, zone)

        def told(rows: Rows) -> dict[str, Any]:
            asker = calendar_callers.asker(rows, token, instance, "read")
            if agent is not None:
                calendar_callers.must_reach(rows, asker, agent)
            found = agenda.of_day(rows, now, span, agent=agent or asker.agent)
            return {"date": span.name, "slots": [each for records in found.values() for each in records]}

        return answer(await call.api.board.read(told))

    return await _asked(call, work)


async def report_slot(call: Call) -> Response:
    """How a slot stands that is worked on elsewhere."""

    async def work(token: bytes | None) -> Response:
        report = await call.report(forms.SlotReport)
        which = call.slot if "slot" in call.scope["path_params"] else call.virtual
        return await _written(
            call, report, reported_slots.report, token, _instance(call, report.claw_identifier), which, report.status,
            started_at=report.started_at, actual_duration=report.actual_duration,
        )  # fmt: skip

    return await _asked(call, work)


async def beat(call: Call) -> Response:
    """An instance lives."""

    async def work(token: bytes | None) -> Response:
        report = await call.report(forms.BeatReport)
        return await _written(call, report, instances.beat, token, _instance(call, report.claw_identifier))

    return await _asked(call, work)


async def read_standing(call: Call) -> Response:
    """Where an agent stands."""

    async def work(token: bytes | None) -> Response:
        query = bodies.parse(forms.StandingQuery, None, {}, call.query, b"")
        instance, agent = _instance(call, query.claw_identifier), _agent(call, query.agent_id)
        now = call.api.board.clock.now()
        room = call.api.config.room(now)
        return answer(await call.api.board.read(told_presence.read, token, instance, agent, now, room))

    return await _asked(call, work)


async def report_standing(call: Call) -> Response:
    """An instance's word on an agent."""

    async def work(token: bytes | None) -> Response:
        report = await call.report(forms.StandingReport)
        instance, agent = _instance(call, report.claw_identifier), _agent(call, report.agent_id)
        return await _written(call, report, told_presence.report, token, instance, agent, report.status)

    return await _asked(call, work)


async def notify(call: Call) -> Response:
    """A message to an agent."""

    async def work(token: bytes | None) -> Response:
        report = await call.report(forms.NotifyReport)
        agent = _agent(call, report.agent_id)
        return await _written(
            call, report, instances.notify, token, _instance(call, report.claw_identifier), str(agent), report.message,
            report.slot_id, report.task_description,
        )  # fmt: skip

    return await _asked(call, work)


READS, WRITES = ("agent", "read"), ("agent", "operate")


def _of_report(path: str, said: str) -> Endpoint:
    return Endpoint(
        "PATCH",
        path,
        report_slot,
        WRITES,
        said,
        forms.SlotReport,
        answers=forms.CalendarSlot,
        errors=("illegal_move", "not_found"),
        example={"status": "finished", "actual_duration": 25},
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/calendar/sync",
        sync,
        READS,
        "Today's slots of every agent, with what waits from before; `?since=` the last `syncToken` only the difference.",
        forms.SyncQuery,
        answers=forms.Synced,
        errors=(),
        example={"claw_identifier": "gateway-1"},
    ),
    Endpoint(
        "GET",
        "/calendar/day",
        day,
        READS,
        "All slots of a day in any status: of the agent that X-Agent-ID names, of an agent's token its own.",
        forms.DayQuery,
        answers=forms.DaySlots,
        errors=("not_found",),
        example={"date": "2026-01-31"},
    ),
    _of_report(
        "/calendar/slots/{slot}/agent-update",
        "How a slot stands that is worked on elsewhere: its task here is held, or settled.",
    ),
    _of_report(
        "/calendar/slots/virtual/{virtual}/agent-update",
        "The same for one time of a slot that repeats.",
    ),
    Endpoint(
        "GET",
        "/calendar/agent/status",
        read_standing,
        READS,
        "Where an agent stands, in one word.",
        forms.StandingQuery,
        answers=forms.Stands,
        errors=("not_found",),
        example={"agent_id": "writer"},
    ),
    Endpoint(
        "POST",
        "/calendar/agent/status",
        report_standing,
        WRITES,
        "An instance's word on where an agent stands; it holds for an hour.",
        forms.StandingReport,
        answers=forms.StandingKept,
        errors=("not_found",),
        example={"agent_id": "writer", "status": "busy"},
    ),
    Endpoint(
        "POST",
        "/calendar/agent/notify",
        notify,
        WRITES,
        "A message to an agent: an event, and on a slot's task a comment. It starts nothing.",
        forms.NotifyReport,
        answers=forms.Notified,
        errors=("not_found",),
        example={"agent_id": "writer", "message": "You have due slots."},
    ),
    Endpoint(
        "POST",
        "/monitor/server/heartbeat",
        beat,
        WRITES,
        "An instance lives: kept with its time, shown by `orchestrator status`.",
        forms.BeatReport,
        errors=(),
        example={"claw_identifier": "gateway-1"},
    ),
)
