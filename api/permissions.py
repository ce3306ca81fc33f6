"""What agents may change beyond their own tasks: an administrator's routes to grant and revoke it, and what holds now.

Whether the token may is decided inside the transaction. Judges nothing: that is `blackboard.permissions`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api import agent_schemas, answers, bodies, callers
from api.endpoints import Call, Endpoint, answer
from api.refusals import counted
from blackboard import grants, people, permissions
from blackboard.board import Rows
from blackboard.errors import Forbidden, NotFound
from blackboard.forms import Slug
from blackboard.grants import PermissionForm


class EndReport(BaseModel):
    """Nothing is to be said: the path names it."""

    model_config = ConfigDict(extra="forbid")


class ListQuery(BaseModel):
    """Which permissions."""

    model_config = ConfigDict(extra="forbid")
    all: Annotated[bool, Field(description="The revoked ones too.")] = False


class MayQuery(BaseModel):
    """Who would change what of whom."""

    model_config = ConfigDict(extra="forbid")
    agent: Annotated[Slug | None, Field(description="Who; of an agent's token that agent when left out.")] = None
    type: Annotated[permissions.Type, Field(description="What.")] = "presence"
    target: Annotated[Slug | None, Field(description="Whose; its own when left out.")] = None


async def grant(call: Call) -> Response:
    """Have a permission hold."""

    async def work(token: bytes) -> Response:
        form = await call.report(PermissionForm)
        return answers.response(await answers.stored(call, form, 200, grants.grant, token, form))

    return await counted(call, work)


async def revoke(call: Call) -> Response:
    """Have a permission end."""

    async def work(token: bytes) -> Response:
        report = await call.report(EndReport)
        return answers.response(await answers.stored(call, report, 200, grants.revoke, token, call.permission))

    return await counted(call, work)


async def listed(call: Call) -> Response:
    """The permissions that hold."""

    async def read(token: bytes) -> Response:
        query = bodies.parse(ListQuery, None, {}, call.query, b"")
        return answer(await call.api.board.read(_listed, token, query.all))

    return await counted(call, read)


def _listed(rows: Rows, token: bytes, everything: bool) -> dict[str, Any]:
    people.must_reach(callers.who(rows, token), "read")
    return {"permissions": grants.listed(rows, everything=everything)}


async def test(call: Call) -> Response:
    """Whether an agent may, and why."""

    async def read(token: bytes) -> Response:
        query = bodies.parse(MayQuery, None, {}, call.query, b"")
        return answer(await call.api.board.read(_tested, token, query))

    return await counted(call, read)


def _tested(rows: Rows, token: bytes, query: MayQuery) -> dict[str, Any]:
    caller = callers.who(rows, token)
    if caller.kind != "agent":
        people.must_reach(caller, "read")
    elif query.agent not in (None, caller.agent_id):
        raise Forbidden(f"this token is agent {caller.agent_id}'s: ask what that one may, or leave `agent` out")
    agent = query.agent or caller.agent_id
    if agent is None:
        raise NotFound("an operator is no agent: say which one, ?agent=ID, with type= what, and target= whose")
    return grants.tested(rows, agent, query.type, query.target or agent)


PATH = "/api/permissions"
ENDPOINTS = (
    Endpoint(
        "GET",
        PATH,
        listed,
        ("read",),
        "What agents may change beyond their own tasks, and what is denied them.",
        ListQuery,
        answers=agent_schemas.Permissions,
        errors=(),
    ),
    Endpoint(
        "POST",
        PATH,
        grant,
        ("admin",),
        "Grant an agent, or all that have a role, to change what is not theirs; or deny it.",
        PermissionForm,
        answers=agent_schemas.PermissionGranted,
        errors=("not_found",),
        example={"subject": "agent:writer", "type": "slots", "scope": "self"},
    ),
    Endpoint(
        "GET",
        f"{PATH}/test",
        test,
        ("agent", "read"),
        "Whether an agent may change something, and which permission says so.",
        MayQuery,
        answers=agent_schemas.PermissionTested,
        errors=("not_found",),
        example={"agent": "writer", "type": "slots", "target": "writer"},
    ),
    Endpoint(
        "POST",
        PATH + "/{permission}/revoke",
        revoke,
        ("admin",),
        "From here a permission decides nothing.",
        EndReport,
        answers=agent_schemas.PermissionGranted,
        errors=("not_found",),
    ),
)
