"""What answers about agents' time hold: presence, permissions, heartbeats, notices, watches. For the document only.

As in `api.schemas`, an answer may hold more than is named here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas import Answer, Instant, Next, Number, Told
from blackboard.presence_reports import WORDS

Standing = Annotated[str, Field(json_schema_extra={"enum": list(WORDS)}, description="Where an agent stands.")]


class PresenceTaken(Answer):
    """What is kept, and until when."""

    agent: str
    status: Standing
    source: str
    reported_at: Instant
    expires_at: Instant
    next: Next


class Said(Answer):
    """One word of one source."""

    status: Standing
    source: Annotated[
        str,
        Field(
            description="`agent`, a name of an operator's, `presence:NAME`, `instance:NAME`, or `agent:NAME`: another agent."
        ),
    ]
    reported_at: Instant
    expires_at: Instant
    detail: str | None


class Presence(Answer):
    """Where an agent stands."""

    agent: str
    status: Standing
    source: Annotated[str, Field(description="`board`: its own attempts and gates; else who said so.")]
    reported_at: Annotated[str | None, Field(description="Null where the board says it.")]
    because: Annotated[str | None, Field(description="One sentence; null where there is nothing to say.")]
    claim_when: Annotated[list[Standing], Field(description="With which of the reported words it gets work.")]
    reports: Annotated[list[Said], Field(description="Everything that is said of it and has not expired.")]


class Permission(Answer):
    """A permission: who may, or may not, change what of whom."""

    permission: Number
    subject: Annotated[str, Field(description="`agent:ID`, or `group:ROLE`.")]
    effect: Literal["allow", "deny"]
    type: Annotated[str, Field(description="`heartbeat`, `checklist`, `slots`, `presence`, or `*`.")]
    scope: Annotated[str, Field(description="Whose.")]
    by: Annotated[str, Field(description="Who made the last change.")]
    created_at: Instant
    revoked_at: Instant | None


class Permissions(Answer):
    """Every permission that was asked for."""

    permissions: list[Permission]


class PermissionGranted(Permission):
    """A permission as it is now; `changed` is false when it was so before."""

    changed: bool
    next: Next


class PermissionTested(Answer):
    """Whether an agent may."""

    agent: str
    type: str
    target: str
    allowed: bool
    permission: Annotated[int | None, Field(description="The one that says so; null where none does.")]
    because: str


class Heartbeat(Answer):
    """How an agent's heartbeat is set, and how it stands."""

    agent: str
    enabled: bool
    interval_seconds: int
    active_hours: Annotated[str | None, Field(description="`HH:MM-HH:MM` in `time_zone`; null: always.")]
    checklist: str
    model: Annotated[str | None, Field(description="Of the agent's program, for beats; null: the one it has anyway.")]
    next_run_at: Annotated[str | None, Field(description="Null while it is off.")]
    held_by: Annotated[str | None, Field(description="Why the one that is due does not run yet, in one word.")]
    last_status: Annotated[str | None, Field(description="`ok`, `suppressed` or `error`; null before the first.")]


class HeartbeatChanged(Heartbeat):
    """The same after a change."""

    changed: Annotated[list[str], Field(description="What has changed.")]
    next: Next


class HeartbeatChecklist(Answer):
    """What an agent's heartbeat looks at."""

    agent: str
    checklist: str


class HeartbeatTest(Answer):
    """What would happen if it were due now."""

    agent: str
    would_run: bool
    because: Annotated[str | None, Field(description="Why not.")]
    next_runs: Annotated[list[Instant], Field(description="When it is due next.")]


class HeartbeatLogs(Answer):
    """What came of its beats."""

    agent: str
    runs: Annotated[
        list[dict[str, Any]], Field(description="`status`, `reason`, `summary`, `error`, `task`, the newest first.")
    ]


class HeartbeatWoken(Told):
    """Whether it was woken, or was due already."""

    agent: str
    woken: bool


class Counted(Answer):
    """What was done about notices."""

    count: Annotated[
        int, Field(ge=0, description="How many notices are told again, or no more, counted for each sink.")
    ]
    next: Next


class Tried(Answer):
    """A sink is tried."""

    notice: Number
    next: Next


class Watch(Answer):
    """One address that is watched."""

    watch: str
    asked_at: Annotated[str | None, Field(description="When it was asked last.")]
    ok_at: Annotated[str | None, Field(description="Its last good answer.")]
    next_at: Annotated[str | None, Field(description="Not asked again before.")]
    failures: Annotated[int, Field(ge=0, description="Tries since its last good answer.")]
    error: Annotated[str | None, Field(description="Why the last try was one; null: it was not.")]
    items: Annotated[int, Field(ge=0)]
    changes: Annotated[int, Field(ge=0, description="All that it ever saw.")]
    waiting: Annotated[int, Field(ge=0, description="Those that are not told yet.")]
    pushed: Annotated[int, Field(ge=0, description="Those that are told, and nobody has said yet that they have them.")]
    left: Annotated[int, Field(ge=0, description="Those that nobody took.")]


class Watches(Answer):
    """Every watch."""

    watches: list[Watch]


class Change(Answer):
    """What a watch saw of one item."""

    id: Number
    watch: str
    item: str
    kind: Annotated[str, Field(json_schema_extra={"enum": ["added", "changed", "removed"]})]
    diff: Annotated[dict[str, Any], Field(description="By field, what it was `before` and is `after`.")]
    urgent: bool
    seen_at: Instant
    state: Annotated[str, Field(json_schema_extra={"enum": ["waiting", "pushed", "acknowledged", "left"]})]
    failures: Annotated[int, Field(ge=0, description="Pushes of it that nobody took.")]
    push_id: Annotated[int | None, Field(description="The last push it was part of.")]


class Changes(Answer):
    """A page of changes."""

    changes: list[Change]
    next: Annotated[int, Field(ge=0, description="Ask for more with this as `after`.")]
    more: Annotated[bool, Field(description="Whether the page was full.")]
