"""Agents' routes: status, outputs, comments, heartbeat, children.

Each makes one report and hands it to `blackboard.reports` in one write: who calls and what may be done is decided
there, inside the transaction. Never answers before that write is durable.

Read next: ARCHITECTURE.md (the whole; when something goes wrong it is orchestrator/monitor.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.responses import Response

from api import answers, files, schemas, uploads
from api.endpoints import Call, Endpoint
from api.refusals import counted
from blackboard import reports
from blackboard.forms import ChildReport, CommentReport, HeartbeatReport, OutputReport, StatusReport

BASE = "/api/projects/{project}/tasks/{task}"


async def _heard(call: Call, work: Callable[[bytes], Awaitable[Response]]) -> Response:
    """What `work` answers, with the tick woken at the first word of a token: it may prove an account."""

    async def heard(token: bytes) -> Response:
        answer = await work(token)
        if call.api.heard.first(token):
            call.api.wake()
        return answer

    return await counted(call, heard)


async def status(call: Call) -> Response:
    """The hot path: a status, and with it outputs and a comment if the agent likes."""

    async def work(token: bytes) -> Response:
        report = await call.report(StatusReport)
        if (said := await answers.before(call, token, report)) is not None:
            return answers.response(said)
        held = await files.held(call.api, token, report.handed_in())
        said = await answers.stored(call, report, 200, reports.status, token, call.project, call.task, report, held)
        if report.status != "working" and not said.content.get("already"):
            call.api.wake()
        return answers.response(said)

    return await _heard(call, work)


async def output(call: Call) -> Response:
    """One output, by content, by path, or as a file that is sent whole."""

    async def work(token: bytes) -> Response:
        if uploads.is_upload(call.scope):
            return answers.response(await uploads.hand_in(call, token))
        report = await call.report(OutputReport)
        if (said := await answers.before(call, token, report)) is not None:
            return answers.response(said)
        held = await files.held(call.api, token, [report])
        said = await answers.stored(call, report, 201, reports.output, token, call.project, call.task, report, held)
        return answers.response(said)

    return await _heard(call, work)


async def comment(call: Call) -> Response:
    """One comment, by agents or by people."""

    async def work(token: bytes) -> Response:
        report = await call.report(CommentReport)
        said = await answers.stored(call, report, 201, reports.comment, token, call.project, call.task, report)
        return answers.response(said)

    return await _heard(call, work)


async def heartbeat(call: Call) -> Response:
    """A sign of life: it holds the idle limit off."""

    async def work(token: bytes) -> Response:
        report = await call.report(HeartbeatReport)
        said = await answers.stored(call, report, 200, reports.heartbeat, token, call.project, call.task, report)
        return answers.response(said)

    return await _heard(call, work)


async def child(call: Call) -> Response:
    """A task that this one makes and may wait for."""

    async def work(token: bytes) -> Response:
        report = await call.report(ChildReport)
        policies = call.api.config.policies
        said = await answers.stored(call, report, 201, reports.child, token, call.project, call.task, report, policies)
        call.api.wake()
        return answers.response(said)

    return await _heard(call, work)


# The status route stands first: routes are tried in order, and this is the one that is hot.
ENDPOINTS = (
    Endpoint(
        "POST",
        f"{BASE}/status",
        status,
        ("executor", "reviewer", "operate"),
        "Say how the task stands; outputs and a comment may come along.",
        StatusReport,
        "detail",
        answers=schemas.Reported,
        example={"status": "working"},
    ),
    Endpoint(
        "POST",
        f"{BASE}/heartbeat",
        heartbeat,
        ("executor", "reviewer"),
        "A sign of life.",
        HeartbeatReport,
        "detail",
        answers=schemas.Reported,
        errors=("fenced",),
        example={"detail": "reading the sources"},
    ),
    Endpoint(
        "POST",
        f"{BASE}/outputs",
        output,
        ("executor",),
        "Hand in one output; a file may be sent whole, as `multipart/form-data` or as bytes of its own type.",
        OutputReport,
        "content",
        success=201,
        answers=schemas.HandedIn,
        errors=("fenced",),
        example={"type": "document", "title": "Report", "content": "All is well."},
    ),
    Endpoint(
        "POST",
        f"{BASE}/comments",
        comment,
        ("executor", "reviewer", "operate"),
        "Add a comment.",
        CommentReport,
        "body",
        success=201,
        answers=schemas.Commented,
        errors=("fenced",),
        example={"body": "The second part is missing."},
    ),
    Endpoint(
        "POST",
        f"{BASE}/children",
        child,
        ("executor",),
        "Post a task that belongs to this one.",
        ChildReport,
        "description",
        success=201,
        answers=schemas.Born,
        errors=("fenced", "refused"),
        example={"title": "Part", "priority": 7, "description": "Do the first half."},
    ),
)
