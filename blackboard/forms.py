"""The bodies of reports: what may be said, field by field, and nothing else.

`agent` and `author` are taken and not believed: who calls is decided by the token.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from blackboard.checks import Checks
from blackboard.policy import REVIEW, review_word

# The days there are from the year 1000 on, as a pattern: what the OpenAPI document forbids is what we refuse.
_YEAR = "[1-9][0-9]{3}"
_LEAP = "(?:[1-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:[2468][048]|[13579][26])00)"
_DAY = (
    f"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    f"|02-(?:0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29)"
)
_INSTANT = rf"{_DAY}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{{3}}Z"


def _matching(pattern: str, sentence: str) -> AfterValidator:
    """Refuse what does not match in full, with a sentence: nobody reads such a pattern in a message."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text) is None:
            raise ValueError(sentence)
        return text

    return AfterValidator(check)


Text = Annotated[str, Field(max_length=2_000_000)]
Line = Annotated[str, Field(min_length=1, max_length=500)]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Number = Annotated[int, Field(ge=1, lt=2**63)]
Instant = Annotated[
    str,
    _matching(_INSTANT, "should be an instant of UTC like 2026-01-31T09:00:00.000Z"),
    WithJsonSchema({"type": "string", "pattern": f"^{_INSTANT}$"}),
]
Day = Annotated[
    str,
    _matching(_DAY, "should be a day like 2026-01-31"),
    WithJsonSchema({"type": "string", "pattern": f"^{_DAY}$"}),
]


Count = Annotated[int, Field(ge=0, le=2**53)]
# When to try again: an instant with its offset, or seconds from now.
_MOMENT = rf"{_DAY}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{{1,6}})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
_RETRY = rf"(?:{_MOMENT}|[0-9]{{1,9}}(?:\.[0-9]{{1,3}})?)"
RetryAt = Annotated[
    str,
    _matching(_RETRY, "should be seconds from now, like 90, or an instant like 2026-01-31T09:00:00Z"),
    WithJsonSchema({"type": "string", "pattern": f"^{_RETRY}$"}),
]


Believed = Annotated[str | None, Field(description="Taken, not believed: the token says who calls.")]


def _by(name: str, least: int = 0) -> dict[str, Any]:
    """JSON schema for: this text field is given."""
    return {"required": [name], "properties": {name: {"type": "string", "minLength": least}}}


# Who accepts the result: nobody, a person, or an agent before a person is asked.
Review = Annotated[str, AfterValidator(review_word), WithJsonSchema({"type": "string", "pattern": f"^({REVIEW})$"})]


class _Report(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OutputReport(_Report):
    """What an agent hands in: by `content` or by `content_path`, a file of its workspace."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [_by("content"), _by("content_path", 1)]})

    type: Literal["code", "document", "data", "config", "other"]
    title: Annotated[Line, Field(description="One line.")]
    content: Annotated[Text | None, Field(description="The text itself; or else `content_path`.")] = None
    content_path: Annotated[
        Annotated[str, Field(min_length=1, max_length=4096)] | None,
        Field(description="A regular file of the workspace, by its path there or in full; or else `content`."),
    ] = None
    summary: Annotated[Text, Field(description="What a later attempt should know.")] = ""
    agent: Believed = None

    @model_validator(mode="after")
    def _one_of_two(self) -> OutputReport:
        if (self.content is None) == (self.content_path is None):
            raise ValueError("give exactly one of content and content_path")
        return self


class UploadReport(_Report):
    """What an agent says of a file that it sends whole."""

    type: Literal["code", "document", "data", "config", "other"]
    title: Line
    summary: Text = ""
    agent: str | None = None


class Usage(_Report):
    """What the attempt has used so far, in all: numbers that only grow. A smaller one than before changes nothing."""

    input_tokens: Annotated[Count | None, Field(description="Without those read from a cache.")] = None
    cached_tokens: Annotated[Count | None, Field(description="Read from a cache; they count to no budget.")] = None
    output_tokens: Count | None = None
    cost_usd: Annotated[float, Field(ge=0, le=1e9)] | None = None


Used = Annotated[Usage | None, Field(description="What the attempt has used so far, for its budgets.")]


class StatusReport(_Report):
    """Where the task stands; outputs and a comment may come along in the same call."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"properties": {"status": {"enum": ["working", "review", "done", "pending", "cancelled"]}}},
                _by("detail", 1),
            ],
            "not": {
                "required": ["status", "kind"],
                "properties": {"status": {"const": "blocked"}, "kind": {"const": "rate_limit"}},
            },
        }
    )

    status: Annotated[
        Literal["working", "review", "failed", "blocked", "done", "pending", "cancelled"],
        Field(
            description="An executor says working, review, failed or blocked; a reviewer done or pending; "
            "an operator done, pending or cancelled."
        ),
    ]
    detail: Annotated[
        Text | None, Field(description="Why; needed for failed, blocked and a rejection: the next attempt reads it.")
    ] = None
    final: Annotated[bool, Field(description="With failed: no later attempt could succeed.")] = False
    kind: Annotated[
        Literal["needs_input", "dependency", "capability", "transient", "rate_limit"],
        Field(
            description="With blocked: what is missing. With failed, rate_limit: the model's provider refuses for now."
        ),
    ] = "needs_input"
    retry_at: Annotated[
        RetryAt | Annotated[float, Field(ge=0, le=1e9)] | None,
        Field(description="With rate_limit: when the limit ends; seconds from now, or an instant with its offset."),
    ] = None
    output: Annotated[OutputReport | None, Field(description="An output to hand in with it.")] = None
    outputs: Annotated[list[OutputReport], Field(max_length=100, description="Several of them.")] = Field(
        default_factory=list
    )
    comment: Annotated[Text | None, Field(description="A remark to add with it.")] = None
    usage: Used = None
    agent: Believed = None

    @model_validator(mode="after")
    def _limits_end_attempts(self) -> StatusReport:
        if self.status == "blocked" and self.kind == "rate_limit":
            raise ValueError("kind rate_limit goes with failed: the task is tried again when the limit is over")
        return self

    @property
    def limited(self) -> bool:
        """Whether it ends the attempt because the model's provider refuses for now."""
        return self.status == "failed" and self.kind == "rate_limit"

    def handed_in(self) -> list[OutputReport]:
        """Every output of the call."""
        return ([self.output] if self.output else []) + self.outputs


class CommentReport(_Report):
    """A remark on the task."""

    body: Annotated[str, Field(min_length=1, max_length=2_000_000, description="The remark.")]
    author: Believed = None
    agent: Believed = None


class HeartbeatReport(_Report):
    """A sign of life during long work."""

    detail: Annotated[
        Annotated[str, Field(max_length=2000)] | None, Field(description="What is being done; kept as an event.")
    ] = None
    usage: Used = None
    agent: Believed = None


class ChildReport(_Report):
    """A child task: for an agent or a role; for the same agent when neither is named."""

    model_config = ConfigDict(json_schema_extra={"not": {"allOf": [_by("agent"), _by("role")]}})

    title: Annotated[Line, Field(description="One line.")]
    description: Annotated[Text, Field(description="What is to be done.")] = ""
    agent: Annotated[Slug | None, Field(description="For this agent; or else `role`.")] = None
    role: Annotated[Slug | None, Field(description="For any agent with this role; or else `agent`.")] = None
    type: Annotated[str, Field(max_length=64, description="A word of your own.")] = "general"
    priority: Annotated[int, Field(ge=-1000, le=1000, description="Higher goes first.")] = 5
    must_haves: Annotated[Text, Field(description="Required conditions, as text.")] = ""
    checks: Checks = Field(default_factory=list)
    due_at: Annotated[Instant | None, Field(description="Not to be claimed earlier; UTC. At once when left out.")] = (
        None
    )
    needs: Annotated[list[Number], Field(max_length=1000, description="Numbers of tasks that must be done first.")] = (
        Field(default_factory=list)
    )


class TaskReport(ChildReport):
    """A task posted by a person; the policy numbers override the configuration's."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [_by("agent"), _by("role")]})

    parent: Annotated[Number | None, Field(description="The task it belongs to.")] = None
    not_before: Annotated[Instant | None, Field(description="Not to be claimed earlier, whenever it is due.")] = None
    data: Annotated[dict[str, Any], Field(description="An object the agent gets as it is.")] = Field(
        default_factory=dict
    )
    review: Annotated[Review | None, Field(description="Who reviews it.")] = None
    max_review_tries: Annotated[int, Field(ge=1, le=1000)] | None = None
    max_tries: Annotated[int, Field(ge=1, le=1000)] | None = None
    backoff_seconds: Annotated[float, Field(ge=0, le=1e6)] | None = None
    wall_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None
    idle_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None
    startup_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None
    max_rejections: Annotated[int, Field(ge=0, le=1000)] | None = None
    needs_output: bool | None = None
    max_same: Annotated[int, Field(ge=1, le=1000)] | None = None
    attempt_usd: Annotated[float, Field(gt=0, le=1e9)] | None = None
    attempt_tokens: Annotated[int, Field(ge=1, le=2**53)] | None = None
    task_usd: Annotated[float, Field(gt=0, le=1e9)] | None = None
    task_tokens: Annotated[int, Field(ge=1, le=2**53)] | None = None
