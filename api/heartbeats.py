"""Routes of agents' heartbeats: how they are set and stand, what came of them, and changing it.

Whether the token may is decided inside the transaction. Runs nothing: a beat is the tick's.
"""

from __future__ import annotations

from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api import agent_schemas, answers, bodies
from api.endpoints import Call, Endpoint, Handler, answer
from api.refusals import counted
from blackboard import heartbeat_callers
from blackboard.board import Rows
from blackboard.heartbeat_times import LEAST_SECONDS
from blackboard.heartbeats import ACK_WORD, MODEL, MOST_BESIDE, MOST_CHECKLIST, MOST_PROMPT, MOST_SECONDS

Checklist = Annotated[str, Field(max_length=MOST_CHECKLIST, description="What to look at, as text.")]


class HeartbeatChange(BaseModel):
    """What is to be set of a heartbeat; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")
    enabled: Annotated[bool | None, Field(description="Whether it beats.")] = None
    interval_seconds: Annotated[
        int | None, Field(ge=LEAST_SECONDS, le=MOST_SECONDS, description="From one beat to the next.")
    ] = None
    active_hours: Annotated[
        Annotated[str, Field(max_length=40)] | None,
        Field(description="`HH:MM-HH:MM`; two equal times, or nothing between the quotes: always."),
    ] = None
    time_zone: Annotated[
        Annotated[str, Field(max_length=100)] | None, Field(description="The IANA zone of the hours.")
    ] = None
    checklist: Checklist | None = None
    prompt: Annotated[
        Annotated[str, Field(max_length=MOST_PROMPT)] | None,
        Field(description="What the agent is asked, in the place of our sentence."),
    ] = None
    model: Annotated[
        Annotated[str, Field(pattern=f"{MODEL}|^$")] | None,
        Field(description="Of the agent's program, for beats; nothing between the quotes: the one it has anyway."),
    ] = None
    isolated_session: Annotated[bool | None, Field(description="Each beat in a conversation of its own.")] = None
    light_context: Annotated[bool | None, Field(description="Only the checklist and how to report.")] = None
    ack_word: Annotated[
        Annotated[str, Field(pattern=ACK_WORD)] | None, Field(description='Says "nothing to tell".')
    ] = None
    ack_max_chars: Annotated[
        Annotated[int, Field(ge=0, le=MOST_BESIDE)] | None, Field(description="How much may stand beside that word.")
    ] = None
    max_retries: Annotated[
        Annotated[int, Field(ge=0, le=10)] | None, Field(description="How often a beat that failed is tried again.")
    ] = None
    wake_after: Annotated[bool | None, Field(description="It follows each task of the agent that ends.")] = None
    sinks: Annotated[
        Annotated[list[Annotated[str, Field(min_length=1, max_length=64)]], Field(max_length=100)] | None,
        Field(description="Whom what it finds is for; none in the list: whoever wants heartbeats."),
    ] = None

    def given(self) -> dict[str, Any]:
        """What is to be set."""
        return self.model_dump(exclude_none=True)


class HeartbeatToggle(BaseModel):
    """On or off."""

    model_config = ConfigDict(extra="forbid")
    enabled: Annotated[bool | None, Field(description="Left out: what it is not.")] = None


class HeartbeatList(BaseModel):
    """The checklist, whole."""

    model_config = ConfigDict(extra="forbid")
    checklist: Checklist


class HeartbeatWake(BaseModel):
    """Nothing needs to be said."""

    model_config = ConfigDict(extra="forbid")


class HeartbeatLogsQuery(BaseModel):
    """How many."""

    model_config = ConfigDict(extra="forbid")
    limit: Annotated[int, Field(ge=1, le=1000, description="At most so many, the newest first.")] = 20


class _Reading(Protocol):
    """A function that reads of one agent's heartbeat."""

    def __call__(self, rows: Rows, token_hash: bytes, agent: str, /) -> dict[str, Any]: ...


def _reads(read: _Reading) -> Handler:
    async def handler(call: Call) -> Response:
        async def work(token: bytes) -> Response:
            return answer(await call.api.board.read(read, token, call.agent))

        return await counted(call, work)

    return handler


async def rehearse(call: Call) -> Response:
    """What would happen now, and when it is due."""

    async def work(token: bytes) -> Response:
        now = call.api.board.clock.now()
        room = call.api.config.room(now)
        return answer(await call.api.board.read(heartbeat_callers.rehearse, token, call.agent, now, room))

    return await counted(call, work)


async def logs(call: Call) -> Response:
    """The latest runs and skips."""

    async def work(token: bytes) -> Response:
        asked = bodies.parse(HeartbeatLogsQuery, None, {}, call.query, b"")
        return answer(await call.api.board.read(heartbeat_callers.logs, token, call.agent, asked.limit))

    return await counted(call, work)


async def _said(call: Call, token: bytes, report: BaseModel, verb: Any, *args: Any) -> Response:
    stored = await answers.stored(call, report, 200, verb, token, call.agent, *args)
    call.api.wake()
    return answers.response(stored)


async def change(call: Call) -> Response:
    """Set what is given."""

    async def work(token: bytes) -> Response:
        said = await call.report(HeartbeatChange)
        return await _said(call, token, said, heartbeat_callers.change, said.given(), call.api.config.sinks)

    return await counted(call, work)


async def toggle(call: Call) -> Response:
    """On or off."""

    async def work(token: bytes) -> Response:
        said = await call.report(HeartbeatToggle)
        return await _said(call, token, said, heartbeat_callers.toggle, said.enabled)

    return await counted(call, work)


async def put_checklist(call: Call) -> Response:
    """Another checklist."""

    async def work(token: bytes) -> Response:
        said = await call.report(HeartbeatList)
        return await _said(call, token, said, heartbeat_callers.put_checklist, said.checklist)

    return await counted(call, work)


async def wake(call: Call) -> Response:
    """A beat now."""

    async def work(token: bytes) -> Response:
        return await _said(call, token, await call.report(HeartbeatWake), heartbeat_callers.wake)

    return await counted(call, work)


PATH = "/api/agents/{agent}/heartbeat"
READERS = ("executor", "reviewer", "agent", "read")
CHANGERS = ("agent", "operate")  # an agent by permission
ENDPOINTS = (
    Endpoint("GET", PATH, _reads(heartbeat_callers.get), READERS, "How an agent's heartbeat is set and stands.",
             answers=agent_schemas.Heartbeat, errors=("fenced", "not_found")),
    Endpoint("POST", PATH, change, CHANGERS, "Set what is given of it; what is left out stays.", HeartbeatChange,
             answers=agent_schemas.HeartbeatChanged, errors=("refused", "fenced", "not_found"),
             example={"enabled": True, "interval_seconds": 1800, "active_hours": "08:00-22:00"}),
    Endpoint("POST", f"{PATH}/toggle", toggle, CHANGERS, "Switch it on or off.", HeartbeatToggle,
             answers=agent_schemas.HeartbeatChanged, errors=("refused", "fenced", "not_found"), example={"enabled": True}),
    Endpoint("GET", f"{PATH}/checklist", _reads(heartbeat_callers.checklist), READERS, "What it looks at.",
             answers=agent_schemas.HeartbeatChecklist, errors=("fenced", "not_found")),
    Endpoint("POST", f"{PATH}/checklist", put_checklist, CHANGERS, "Another checklist, whole.", HeartbeatList, "checklist",
             answers=agent_schemas.HeartbeatChanged, errors=("refused", "fenced", "not_found"), example={"checklist": "- is the disk full?"}),
    Endpoint("GET", f"{PATH}/test", rehearse, READERS, "Whether it would run now and why not, and its next runs; nothing is started.",
             answers=agent_schemas.HeartbeatTest, errors=("fenced", "not_found")),
    Endpoint("GET", f"{PATH}/logs", logs, READERS, "What came of its latest beats, the newest first.", HeartbeatLogsQuery,
             answers=agent_schemas.HeartbeatLogs, errors=("fenced", "not_found")),
    Endpoint("POST", f"{PATH}/wake", wake, CHANGERS, "Have it beat now, through its hours and every gate.", HeartbeatWake,
             answers=agent_schemas.HeartbeatWoken, errors=("refused", "fenced", "not_found")),
)  # fmt: skip
