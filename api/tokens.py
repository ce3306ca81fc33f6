"""Tokens that hold until they are revoked: an administrator's routes to have one known and to have one forgotten.

What comes is a hash, what goes out holds none: the token itself never travels.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from api import answers, schemas
from api.endpoints import Call, Endpoint
from api.refusals import counted
from blackboard import standing_tokens
from blackboard.standing_tokens import TokenForm


class RevokeReport(BaseModel):
    """Nothing is to be said: the path names it."""

    model_config = ConfigDict(extra="forbid")


async def add(call: Call) -> Response:
    """Have a token known."""

    async def work(token: bytes) -> Response:
        form = await call.report(TokenForm)
        return answers.response(await answers.stored(call, form, 200, standing_tokens.add, token, form))

    return await counted(call, work)


async def revoke(call: Call) -> Response:
    """Have a token forgotten."""

    async def work(token: bytes) -> Response:
        report = await call.report(RevokeReport)
        return answers.response(await answers.stored(call, report, 200, standing_tokens.revoke, token, call.token))

    return await counted(call, work)


ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/tokens",
        add,
        ("admin",),
        "Have a new token known by its hash: an operator's, an agent's, or the secret of a calendar feed.",
        TokenForm,
        answers=schemas.Told,
        errors=("refused", "conflict", "not_found"),
        example={"name": "bert", "kind": "operator", "scope": "operate", "hash": "0" * 64},
    ),
    Endpoint(
        "POST",
        "/api/tokens/{token}/revoke",
        revoke,
        ("admin",),
        "From here every token of this name is unknown.",
        RevokeReport,
        answers=schemas.Told,
        errors=(),
    ),
)
