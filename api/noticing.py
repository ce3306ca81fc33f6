"""Operators' routes about notices: dead letters are tried again or dismissed, and a sink is tried. Sends nothing itself."""

from __future__ import annotations

from starlette.responses import Response

from api import agent_schemas, answers
from api.endpoints import Call, Endpoint
from api.refusals import counted
from blackboard import notice_orders
from blackboard.notice_orders import DismissForm, RetryForm, TestForm


async def retry(call: Call) -> Response:
    """Try dead letters again."""

    async def work(token: bytes) -> Response:
        report = await call.report(RetryForm)
        said = await answers.stored(call, report, 200, notice_orders.retry, token, report.notice, report.sink)
        return answers.response(said)

    return await counted(call, work)


async def dismiss(call: Call) -> Response:
    """Tell something nobody any more."""

    async def work(token: bytes) -> Response:
        report = await call.report(DismissForm)
        said = await answers.stored(call, report, 200, notice_orders.dismiss, token, report.notice, report.sink)
        return answers.response(said)

    return await counted(call, work)


async def test(call: Call) -> Response:
    """Try a sink."""

    async def work(token: bytes) -> Response:
        report = await call.report(TestForm)
        said = await answers.stored(call, report, 200, notice_orders.test, token, report.sink)
        return answers.response(said)

    return await counted(call, work)


ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/notices/retry",
        retry,
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
        dismiss,
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
        test,
        ("operate",),
        "Send a notice to a sink, at once: `orchestrator notices` tells how it goes.",
        TestForm,
        answers=agent_schemas.Tried,
        example={"sink": "office"},
    ),
)
