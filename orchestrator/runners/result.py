"""What a program says of its own run, in one shape for all programs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "error", "timeout", "cancelled", "unknown"]
FailureKind = Literal[
    "auth", "rate_limit", "context", "network", "refused", "timeout", "busy", "session", "unknown_agent", "crash"
]  # fmt: skip


@dataclass(frozen=True)
class Usage:
    """What a run has used so far; None where the program does not say. Input tokens without those from a cache."""

    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True)
class Result:
    """How a run ended and what it cost; None where the program does not say.

    `reset_at`: when the limit that stopped it ends, UTC text.
    `status` unknown: it left nothing that can be read, or its run was not over. `final`: the run itself is over, wherever
    it lives. `text`: its last words. `of_session`: names of the numbers that count all of the session, not this run alone.
    """

    status: Status = "unknown"
    final: bool = False
    text: str | None = None
    failure_kind: FailureKind | None = None
    run_id: str | None = None
    session_id: str | None = None
    provider: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    of_session: tuple[str, ...] = ()
    reset_at: str | None = None

    def columns(self) -> dict[str, str | int | float | None]:
        """What the board keeps of it."""
        return {name: value for name, value in vars(self).items() if name not in ("status", "final", "of_session")}
