"""Operators' routes about notices: dead letters are tried again or dismissed, and a sink is tried. Sends nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from api import agent_schemas, answers
from api.endpoints import Call, Endpoint, Handler
from api.refusals import counted
from blackboard import notice_orders
from blackboard.notice_orders import DismissForm, RetryForm, TestForm


def _orders(form: type[RetryForm | TestForm], verb: Callable[..., dict[str, Any]]) -> Handler:
    """What an operator says, field by field, to a verb of the board."""

    async def handler(call: Call) -> Response:
        async def work(token: bytes) -> Response:
            report = await call.report(form)
            said = await answers.stored(call, report, 200, verb, token, *report.model_dump().values())
            return answers.response(said)

        return await counted(call, work)

    return handler


ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/notices/retry",
        _orders(RetryForm, notice_orders.retry),
        ("operate",),
        "Try dead letters of notices again: those of a notice, or all of a sink, which is opened again.",
        RetryForm,
        answers=agent_schemas.Counted,
        errors=("not_found",),
        example={"sink": "office"},
    ),
    Endpoint(
        "POST",
        "/api/notices/dismiss",
        _orders(DismissForm, notice_orders.dismiss),
        ("operate",),
        "Tell nobody any more: a notice, dead or waiting, or all dead letters of a sink.",
        DismissForm,
        answers=agent_schemas.Counted,
        errors=("not_found",),
        example={"sink": "office"},
    ),
    Endpoint(
        "POST",
        "/api/notices/test",
        _orders(TestForm, notice_orders.test),
        ("operate",),
        "Send a notice to a sink, at once: `orchestrator notices` tells how it goes.",
        TestForm,
        answers=agent_schemas.Tried,
        example={"sink": "office"},
    ),
)
