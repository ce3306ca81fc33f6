"""Operators' routes: post a task, take slots in, and the verbs of a person.

Each is one write; whether the token may do it is decided inside. Never moves a task by itself.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.callbacks import BASE
from api.endpoints import Call, Endpoint, answer
from api.refusals import counted
from blackboard import people
from blackboard.forms import TaskReport


class VerbReport(BaseModel):
    """What a person says with a verb: the remark, the answer, the reason."""

    model_config = ConfigDict(extra="forbid")
    detail: Annotated[str, Field(max_length=64 * 1024)] | None = None


async def post_task(call: Call) -> Response:
    """A task without a slot."""

    async def work(token: bytes) -> Response:
        project = call.project
        report = await call.report(TaskReport)
        said = await call.api.board.write(people.post_task, token, project, report, call.api.config.policies)
        call.api.wake()
        return answer(said, 201)

    return await counted(call, work)


async def operate(call: Call) -> Response:
    """One verb of a person: the last word of the path."""

    async def work(token: bytes) -> Response:
        report = await call.report(VerbReport)
        verb = call.endpoint.name
        said = await call.api.board.write(people.operate, token, call.project, call.task, verb, report.detail)
        call.api.wake()
        return answer(said)

    return await counted(call, work)


class SlotsReport(BaseModel):
    """Slot records: of several agents in one list, each with its `agent`, or a list for each agent."""

    model_config = ConfigDict(extra="forbid")
    # Without a colon: no caller takes the slots of `file:NAME` over.
    source: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    project: str | None = None
    time_zone: str | None = None
    date: str | None = None
    slots: list[dict[str, Any]] | None = None
    schedules: dict[str, list[dict[str, Any]]] | None = None


async def post_slots(call: Call) -> Response:
    """Slots become tasks, once each. What is not named stays as it is."""

    async def work(token: bytes) -> Response:
        report = await call.report(SlotsReport)
        config = call.api.config
        said = await call.api.board.write(
            people.post_slots,
            token,
            report.model_dump(exclude_none=True, exclude={"source"}),
            project=config.project,
            time_zone=config.time_zone,
            source=report.source or "api",
            policies=config.policies,
        )
        call.api.wake()
        return answer(said)

    return await counted(call, work)


# What each verb does, in the words of the contract.
VERBS = {
    "approve": "review → done.",
    "reject": "review → pending; `detail` is the remark for the next attempt.",
    "answer": "blocked → pending; `detail` is the answer.",
    "cancel": "Any state that is not final → cancelled, children too; the agent is stopped.",
    "reopen": "done, failed or cancelled → pending.",
}


def _verb(verb: str, says: str) -> Endpoint:
    return Endpoint("POST", f"{BASE}/{verb}", operate, ("operate",), says, VerbReport, "detail")


ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/projects/{project}/tasks",
        post_task,
        ("operate",),
        "Post a task for an agent or for a role.",
        TaskReport,
        "description",
    ),
    Endpoint(
        "POST",
        "/api/slots",
        post_slots,
        ("operate",),
        "Take slots in: each becomes one task, however often it is sent.",
        SlotsReport,
    ),
    *(_verb(verb, says) for verb, says in VERBS.items()),
)
