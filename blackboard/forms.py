"""The bodies of reports: what may be said, field by field, and nothing else.

`agent` and `author` are taken and not believed: who calls is decided by the token.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from blackboard.clock import from_text


def _real_instant(text: str) -> str:
    from_text(text)  # a month 99 has the right form and is no instant
    return text


Text = Annotated[str, Field(max_length=2_000_000)]
Line = Annotated[str, Field(min_length=1, max_length=500)]
Slug = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Instant = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"), AfterValidator(_real_instant)]


class _Report(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OutputReport(_Report):
    """What an agent hands in: by `content` or by `content_path`, a file of its workspace."""

    type: Literal["code", "document", "data", "config", "other"]
    title: Line
    content: Text | None = None
    content_path: Annotated[str, Field(max_length=4096)] | None = None
    summary: Text = ""
    agent: str | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> OutputReport:
        if (self.content is None) == (self.content_path is None):
            raise ValueError("give exactly one of content and content_path")
        return self


class StatusReport(_Report):
    """Where the task stands; outputs and a comment may come along in the same call."""

    status: Literal["working", "review", "failed", "blocked", "done", "pending", "cancelled"]
    detail: Text | None = None
    final: bool = False
    kind: Literal["needs_input", "dependency", "capability", "transient"] = "needs_input"
    output: OutputReport | None = None
    outputs: list[OutputReport] = Field(default_factory=list, max_length=100)
    comment: Text | None = None
    agent: str | None = None

    def handed_in(self) -> list[OutputReport]:
        """Every output of the call."""
        return ([self.output] if self.output else []) + self.outputs


class CommentReport(_Report):
    """A remark on the task."""

    body: Annotated[str, Field(min_length=1, max_length=2_000_000)]
    author: str | None = None
    agent: str | None = None


class HeartbeatReport(_Report):
    """A sign of life during long work."""

    detail: Annotated[str, Field(max_length=2000)] | None = None
    agent: str | None = None


class ChildReport(_Report):
    """A child task: for an agent or a role; for the same agent when neither is named."""

    title: Line
    description: Text = ""
    agent: Slug | None = None
    role: Slug | None = None
    type: Annotated[str, Field(max_length=64)] = "general"
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 5
    must_haves: Text = ""
    due_at: Instant | None = None
    needs: list[Annotated[int, Field(ge=1, lt=2**63)]] = Field(default_factory=list, max_length=1000)


class TaskReport(ChildReport):
    """A task posted by a person; the policy numbers override the configuration's."""

    parent: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    not_before: Instant | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    review: Literal["auto", "human"] | None = None
    max_tries: Annotated[int, Field(ge=1, le=1000)] | None = None
    backoff_seconds: Annotated[float, Field(ge=0, le=1e6)] | None = None
    wall_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None
    idle_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None
    startup_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None
    max_rejections: Annotated[int, Field(ge=0, le=1000)] | None = None
    needs_output: bool | None = None
