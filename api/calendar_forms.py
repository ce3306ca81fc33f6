"""What the calendar's routes take and answer, as models: whoever speaks this protocol may say more than we know."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from api.agent_schemas import Standing
from api.schemas import Answer, Instant, Next
from blackboard import agenda
from blackboard.agenda import Word
from blackboard.forms import Day
from blackboard.presence_reports import Word as StandingWord

NAME = r"[^\u0000-\u001f\u007f]{1,255}"
Instance = Annotated[
    Annotated[str, Field(pattern=f"^{NAME}$")] | None,
    Field(description="Who asks, as X-Claw-Identifier says it too; the token's name when neither does."),
]
AGENT_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
AgentName = Annotated[str, Field(pattern=f"^{AGENT_NAME}$")]
Of = Annotated[AgentName | None, Field(description="Which agent, as X-Agent-ID says it too.")]
_TOLERANT = ConfigDict(extra="ignore")
SlotWord = Annotated[str, Field(json_schema_extra={"enum": list(agenda.WORDS)}, description="How a slot stands.")]


class SyncQuery(BaseModel):
    """`?claw_identifier=…&since=TOKEN`."""

    model_config = _TOLERANT
    claw_identifier: Instance = None
    since: Annotated[
        Annotated[str, Field(max_length=255)] | None,
        Field(description="The `syncToken` of the last answer: then only the difference to it is told."),
    ] = None


class DayQuery(BaseModel):
    """`?date=YYYY-MM-DD`."""

    model_config = _TOLERANT
    date: Annotated[Day | None, Field(description="Which day, in the configured time zone; today when left out.")] = (
        None
    )
    agent_id: Of = None
    claw_identifier: Instance = None


class SlotReport(BaseModel):
    """How a slot stands that is worked on elsewhere."""

    model_config = _TOLERANT
    status: Annotated[Word, Field(description="How it stands.")]
    started_at: Annotated[
        Annotated[str, Field(max_length=64)] | None, Field(description="When it was begun; kept as it is.")
    ] = None
    actual_duration: Annotated[float | None, Field(ge=0, le=1e6, description="How many minutes it took.")] = None
    claw_identifier: Instance = None


class BeatReport(BaseModel):
    """A sign of life."""

    model_config = _TOLERANT
    claw_identifier: Instance = None


class StandingQuery(BaseModel):
    """`?agent_id=NAME`."""

    model_config = _TOLERANT
    agent_id: Annotated[AgentName, Field(description="Which agent, as X-Agent-ID may say it too.")]
    claw_identifier: Instance = None


class StandingReport(BaseModel):
    """Where an agent stands."""

    model_config = _TOLERANT
    agent_id: Annotated[AgentName, Field(description="Which agent, as X-Agent-ID may say it too.")]
    status: Annotated[StandingWord, Field(description="Where it stands.")]
    claw_identifier: Instance = None


class NotifyReport(BaseModel):
    """A message to an agent."""

    model_config = _TOLERANT
    agent_id: Annotated[AgentName, Field(description="For whom.")]
    message: Annotated[str, Field(min_length=1, max_length=64 * 1024, description="What is said.")]
    slot_id: Annotated[
        Annotated[int, Field(ge=1, lt=2**63)] | Annotated[str, Field(max_length=255)] | None,
        Field(description="The `id` or `virtual_id` of a slot: the message is kept on its task too."),
    ] = None
    task_description: Annotated[
        Annotated[str, Field(max_length=1000)] | None, Field(description="What it is about.")
    ] = None
    claw_identifier: Instance = None


class CalendarSlot(Answer):
    """A slot as it stands."""

    id: Annotated[int | None, Field(description="Null of a slot that repeats.")]
    virtual_id: Annotated[str | None, Field(description="Of one time of a slot that repeats, else null.")]
    agent_id: str
    slot_type: str
    estimated_duration: Annotated[float, Field(ge=0, description="Minutes.")]
    scheduled_at: Instant
    status: SlotWord
    priority: int
    event_type: str | None
    event_data: dict[str, Any] | None
    task_id: Annotated[int | None, Field(description="Its task on the board.")]
    started_at: Annotated[str | None, Field(description="As it was reported from elsewhere.")]
    actual_duration: Annotated[float | None, Field(description="Minutes, as it was reported from elsewhere.")]


class Synced(Answer):
    """The slots, or the difference: to be applied in its order."""

    full: Annotated[bool, Field(description="Whether `schedules` holds everything; else `diff` what has changed.")]
    schedules: dict[str, list[CalendarSlot]] = Field(default_factory=dict)
    diff: list[dict[str, Any]] = Field(default_factory=list)
    syncToken: Annotated[str, Field(min_length=1, description="The `since` of the next question.")]
    date: Annotated[str, Field(description="The day.")]


class DaySlots(Answer):
    """The slots of a day."""

    date: str
    slots: list[CalendarSlot]


class Stands(Answer):
    """Where an agent stands."""

    agent_id: str
    status: Standing
    because: Annotated[str | None, Field(description="One sentence; null where there is nothing to say.")]


class StandingKept(Answer):
    """What is kept, and until when."""

    agent_id: str
    status: Standing
    expires_at: Instant


class Notified(Answer):
    """Where the message is kept."""

    agent: str
    task: Annotated[int | None, Field(description="The task it is a comment of.")]
    next: Next
