"""Operators' routes: post a task, take slots in, the verbs of a person, pausing and resuming.

Each is one write; whether the token may do it is decided inside. Never moves a task by itself.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import Response

from api import answers, media, schemas
from api.callbacks import BASE
from api.endpoints import Call, Endpoint
from api.refusals import counted
from blackboard import abroad, people, workspaces
from blackboard.forms import Day, TaskReport
from blackboard.pauses import EVERYTHING, Target

Words = Annotated[str, Field(max_length=64 * 1024)]


class VerbReport(BaseModel):
    """What a person says with a verb: the reason."""

    model_config = ConfigDict(extra="forbid")
    detail: Annotated[Words | None, Field(description="Why; kept as the reason.")] = None


class RemarkReport(VerbReport):
    """The same where the next attempt reads it: a remark, an answer."""

    detail: Annotated[str, Field(min_length=1, max_length=64 * 1024, description="What the next attempt reads.")]


async def post_task(call: Call) -> Response:
    """A task without a slot."""

    async def work(token: bytes) -> Response:
        project = call.project
        report = await call.report(TaskReport)
        said = await answers.stored(
            call, report, 201, people.post_task, token, project, report, call.api.config.policies
        )
        call.api.wake()
        return answers.response(said)

    return await counted(call, work)


async def operate(call: Call) -> Response:
    """One verb of a person: the last word of the path."""

    async def work(token: bytes) -> Response:
        verb = call.endpoint.name
        report: VerbReport = await call.report(RemarkReport if verb in _NEEDS_WORDS else VerbReport)
        said = await answers.stored(
            call, report, 200, people.operate, token, call.project, call.task, verb, report.detail
        )
        call.api.wake()
        return answers.response(said)

    return await counted(call, work)


async def switch(call: Call) -> Response:
    """Pause or resume what the path names: an agent, an account, a project, or everything."""

    async def work(token: bytes) -> Response:
        report = await call.report(VerbReport)
        verb = call.endpoint.name
        said = await answers.stored(call, report, 200, people.switch, token, _target(call), verb, report.detail)
        call.api.wake()
        return answers.response(said)

    return await counted(call, work)


def _target(call: Call) -> Target:
    parts = call.scope["path_params"]
    if "agent" in parts:
        return Target("agent", call.agent)
    if "account" in parts:
        return Target("account", call.account)
    return Target("project", call.project) if "project" in parts else EVERYTHING


class GoneReport(BaseModel):
    """Which run is over, and how the person knows."""

    model_config = ConfigDict(extra="forbid")
    attempt: Annotated[
        int, Field(ge=1, lt=2**63, description="The id of the attempt, as `why` and the events name it.")
    ]
    detail: Annotated[str, Field(min_length=1, max_length=64 * 1024, description="How you know; kept with your name.")]


async def declare_gone(call: Call) -> Response:
    """A run that may have gone on elsewhere is over."""

    async def work(token: bytes) -> Response:
        report = await call.report(GoneReport)
        said = await answers.stored(
            call, report, 200, abroad.declare_gone, token, call.project, call.task, report.attempt, report.detail
        )
        call.api.wake()
        return answers.response(said)

    return await counted(call, work)


class CleanReport(BaseModel):
    """Nothing is to be said: what may go is in the configuration."""

    model_config = ConfigDict(extra="forbid")


async def clean(call: Call) -> Response:
    """Look at every workspace whose time has come, now."""

    async def work(token: bytes) -> Response:
        report = await call.report(CleanReport)
        said = await answers.stored(call, report, 200, workspaces.ask_again, token)
        call.api.wake()
        return answers.response(said)

    return await counted(call, work)


class SlotsReport(BaseModel):
    """Slot records: of several agents in one list, each with its `agent`, or a list for each agent."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "anyOf": [
                {"required": ["slots"], "properties": {"slots": {"type": "array"}}},
                {"required": ["schedules"], "properties": {"schedules": {"type": "object"}}},
            ]
        },
    )
    # Without a colon: no caller takes the slots of `file:NAME` over.
    source: Annotated[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None,
        Field(description="A name of your own for where they come from: the same `id` of another is another slot."),
    ] = None
    project: Annotated[str | None, Field(description="Of slots that name none.")] = None
    time_zone: Annotated[str | None, Field(description="An IANA name, like Europe/Berlin.")] = None
    date: Annotated[Day | None, Field(description="The day that HH:MM means; today when left out.")] = None
    slots: Annotated[
        list[dict[str, Any]] | None,
        Field(description="Records, each with its `agent`, `id` or `virtual_id`, and `scheduled_at`."),
    ] = None
    schedules: Annotated[
        dict[str, list[dict[str, Any]]] | None, Field(description="Or a list of records for each agent.")
    ] = None

    @model_validator(mode="after")
    def _says_something(self) -> SlotsReport:
        if self.slots is None and self.schedules is None:
            raise ValueError("give slots, a list of records, or schedules, such a list for each agent")
        return self


async def post_slots(call: Call) -> Response:
    """Slots become tasks, once each. What is not named stays as it is."""

    async def work(token: bytes) -> Response:
        report = await call.report(SlotsReport)
        config = call.api.config
        said = await answers.stored(
            call,
            report,
            200,
            people.post_slots,
            token,
            report.model_dump(exclude_none=True, exclude={"source"}),
            project=config.project,
            time_zone=config.time_zone,
            source=report.source or "api",
            policies=config.policies,
        )
        call.api.wake()
        return answers.response(said)

    return await counted(call, work)


_NEEDS_WORDS = frozenset({"reject", "answer"})

# What each verb does, in the words of the contract.
VERBS = {
    "approve": "review → done.",
    "reject": "review → pending; `detail` is the remark for the next attempt.",
    "answer": "blocked → pending; `detail` is the answer.",
    "cancel": "Any state that is not final → cancelled, children too; the agent is stopped.",
    "reopen": "done, failed or cancelled → pending.",
    "recheck": "All checks of a task in review are run again; it stays there.",
}


def _verb(verb: str, says: str) -> Endpoint:
    model = RemarkReport if verb in _NEEDS_WORDS else VerbReport
    return Endpoint(
        "POST",
        f"{BASE}/{verb}",
        operate,
        ("operate",),
        says,
        model,
        "detail",
        answers=schemas.Moved,
        errors=("illegal_move", "refused"),
        example={"detail": "the second part is missing"},
    )


# What can be paused, as paths, and in words.
SWITCHED = {
    "/api/agents/{agent}": "an agent",
    "/api/accounts/{account}": "an account",
    "/api/projects/{project}": "a project",
    "/api": "everything",
}


def _switches(path: str, what: str) -> tuple[Endpoint, Endpoint]:
    pause, resume = f"Claim nothing new for {what}; what runs goes on.", f"Claim for {what} again."
    return (
        Endpoint("POST", f"{path}/pause", switch, ("operate",), pause, VerbReport, "detail"),
        Endpoint("POST", f"{path}/resume", switch, ("operate",), resume, VerbReport, "detail"),
    )


ENDPOINTS = (
    Endpoint(
        "POST",
        "/api/workspaces/clean",
        clean,
        ("operate",),
        "Look now at every workspace whose time has come: each is removed, or kept for a reason.",
        CleanReport,
        answers=schemas.Told,
    ),
    Endpoint(
        "POST",
        "/api/projects/{project}/tasks",
        post_task,
        ("operate",),
        "Post a task for an agent or for a role.",
        TaskReport,
        "description",
        success=201,
        answers=schemas.Posted,
        errors=("refused",),
        example={"title": "Write the report", "agent": "writer", "priority": 9, "data": {"pages": 3}},
    ),
    Endpoint(
        "POST",
        "/api/slots",
        post_slots,
        ("agent", "operate"),
        "Take slots in: each becomes one task, however often it is sent. An agent needs the permission `slots`.",
        SlotsReport,
        answers=schemas.SlotsTaken,
        errors=("refused", "not_found"),
        example={
            "project": "demo",
            "date": "2026-01-31",
            "time_zone": "Europe/Berlin",
            "slots": [{"id": 1, "agent": "writer", "scheduled_at": "09:00", "event_data": {"title": "Stand-up"}}],
        },
        takes=(media.JSON,),
    ),
    *(_verb(verb, says) for verb, says in VERBS.items()),
    *(endpoint for path, what in SWITCHED.items() for endpoint in _switches(path, what)),
    Endpoint(
        "POST",
        f"{BASE}/gone",
        declare_gone,
        ("operate",),
        "A run that may have gone on elsewhere, such as in a gateway, is over; `detail` says how you know.",
        GoneReport,
        "detail",
        errors=("illegal_move", "refused"),
        example={"attempt": 1, "detail": "its session is idle"},
    ),
)
