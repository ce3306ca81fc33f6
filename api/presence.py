"""Routes of where an agent stands: it says so itself, or a person for it; and what is known of it.

Whether the token may is decided inside the transaction. Claims nothing: that is the gate's and the tick's.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api import agent_schemas, answers, callers
from api.endpoints import Call, Endpoint, answer
from api.refusals import counted
from blackboard import agents, presence, presence_reports
from blackboard.board import Rows
from blackboard.gates import Room
from blackboard.presence_reports import Word

LONGEST = 31 * 86400.0


class PresenceReport(BaseModel):
    """Where an agent stands, and for how long that holds."""

    model_config = ConfigDict(extra="forbid")
    status: Annotated[Word, Field(description="What it is.")]
    expires_in: Annotated[
        float | None, Field(ge=1, le=LONGEST, description="Seconds for which this holds; 3600 when left out.")
    ] = None
    source: Annotated[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None,
        Field(description="For operators: a name for where the word comes from; the agent's own when left out."),
    ] = None
    detail: Annotated[
        Annotated[str, Field(max_length=1000)] | None, Field(description="Why; shown wherever it holds work up.")
    ] = None


async def report_presence(call: Call) -> Response:
    """An agent's word, kept until it expires."""

    async def work(token: bytes) -> Response:
        agent = call.agent
        said = await call.report(PresenceReport)
        stored = await answers.stored(
            call, said, 200, presence_reports.report, token, agent, said.status,
            expires_in=said.expires_in, source=said.source, reason=said.detail,
        )  # fmt: skip
        call.api.wake()
        return answers.response(stored)

    return await counted(call, work)


async def read_presence(call: Call) -> Response:
    """Where an agent stands, and everything that is said of it."""

    async def read(token: bytes) -> Response:
        now = call.api.board.clock.now()
        return answer(await call.api.board.read(_presence, token, call.agent, now, call.api.config.room(now)))

    return await counted(call, read)


CLAIM_WHEN = "SELECT claim_when FROM agents WHERE id = :agent"


def _presence(rows: Rows, token: bytes, agent: str, now: str, room: Room) -> dict[str, Any]:
    presence_reports.own(callers.who(rows, token), agent, scope="read")
    agents.must_exist(rows, agent)
    row = rows.one(CLAIM_WHEN, agent=agent)
    found = presence.of_all(rows, now, room)[agent]
    return {
        "agent": agent, "status": found.word, "source": found.source, "reported_at": found.said_at, "because": found.because,
        "claim_when": row["claim_when"].split() if row else [],
        "reports": [
            {"status": each.status, "source": each.source, "reported_at": each.reported_at, "expires_at": each.expires_at, "detail": each.reason}
            for each in presence_reports.of_agent(rows, agent, now)
        ],
    }  # fmt: skip


PATH = "/api/agents/{agent}/status"
ENDPOINTS = (
    Endpoint(
        "POST",
        PATH,
        report_presence,
        ("executor", "reviewer", "agent", "operate"),
        "Where the agent stands, until it expires: work is given to it, or not, accordingly. Of another agent: with the permission `presence`.",
        PresenceReport,
        "status",
        answers=agent_schemas.PresenceTaken,
        errors=("fenced", "not_found"),
        example={"status": "busy", "expires_in": 600},
    ),
    Endpoint(
        "GET",
        PATH,
        read_presence,
        ("executor", "reviewer", "agent", "read"),
        "Where the agent stands, who says so, and everything that is said of it.",
        answers=agent_schemas.Presence,
        errors=("fenced", "not_found"),
    ),
)
