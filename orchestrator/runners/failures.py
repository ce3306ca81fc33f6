"""What the words of a failure mean, whichever program said them. Pure."""

from __future__ import annotations

import re

from orchestrator.runners.result import FailureKind

KINDS: tuple[tuple[FailureKind, str], ...] = (
    (
        "busy",
        r"state ownership|owned by another|state (?:dir\w*|folder) is (?:locked|in use)|already running|in_flight",
    ),
    ("unknown_agent", r"unknown agent"),
    (
        "session",
        r"no .{0,20}(?:session|conversation|thread|rollout) .{0,20}found|(?:session|conversation|thread)\b.{0,80}"
        r"(?:not found|does not exist|already (?:in use|exists))|invalid session|error resuming",
    ),
    ("rate_limit", r"(?:rate|usage).?limit|too many requests|\b429\b|quota|overloaded|\b529\b|temporarily disabled"),
    ("auth", r"\b401\b|\b403\b|unauthori[sz]ed|authentication|api.?key|no credentials|forbidden|auth_"),
    ("context", r"context.{0,12}(?:overflow|length|window|limit)|prompt is too long|maximum context"),
    ("timeout", r"time(?:d )?.?out|deadline"),
    ("network", r"econn|enotfound|network|socket|connection|gateway (?:closed|not|is not|unreachable)|fetch failed"),
    ("refused", r"refus|rejected|not allowed|denied|admin"),
)


def kind_of(text: str) -> FailureKind | None:
    """The first kind whose words are in the text; None when none is."""
    return next((kind for kind, words in KINDS if re.search(words, text, re.IGNORECASE)), None)
