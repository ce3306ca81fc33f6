"""Whether two bad ends are the same failure: the fingerprint of how an attempt ended.

What differs from one run to the next (numbers, ids, times, paths, tokens) is taken out of the sentence first. Pure.
"""

from __future__ import annotations

import hashlib
import re

from blackboard.states import OUTCOMES
from blackboard.tokens import redact

# The ends that say something about the work or the agent; whoever waits for a provider or a place has only waited.
ALIKE = frozenset(
    ("failed", "spawn_failed", "prompt_failed", "no_report", "crashed", "killed", "lost", "no_start", "idle", "timed_out", "over_budget",
     "over_limit")
)  # fmt: skip
LONGEST = 1000  # characters of a sentence that are looked at

# Each begins where a word does, or looks at a bounded part of it: one long word takes no longer than many short ones.
_TAKEN_OUT = (
    re.compile(r"[a-z][a-z0-9+.-]{0,30}://[^\s'\"<>)]+"),  # addresses
    re.compile(r"(?:[a-z]:|(?<![\w.~-])[\w.~-]+)?(?:[\\/][\w.@%+~:-]+)+[\\/]?"),  # paths
    re.compile(r"\d{4}-\d\d-\d\d(?:[t ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?: ?(?:z|[+-]\d\d:?\d\d)\b)?"),  # times
    re.compile(r"\b[0-9a-f]{8,}\b"),
    re.compile(r"\b[\w-]{32,}\b"),
    re.compile(
        r"(?:(?<![a-z_-])[a-z_-]+)?\d(?:[\w-]|[.,:+](?=\d))*"
    ),  # numbers, and words with a number in them: ids, UUIDs, hex
)
_SEVERAL = re.compile(r"#(?:[\s,;:*-]*#)+")


def normalised(sentence: str) -> str:
    """The sentence without what differs from one run to the next: `#` stands where something was."""
    text = redact(sentence[: 4 * LONGEST]).casefold()
    for pattern in _TAKEN_OUT:
        text = pattern.sub("#", text)
    return " ".join(_SEVERAL.sub("#", text).split())[:LONGEST]


TOLD = 500  # characters of a sentence that are told again


def said(outcome: str, detail: str | None) -> str:
    """How an attempt ended, short enough to stand in another sentence."""
    sentence = detail or OUTCOMES[outcome].meaning
    return f"{outcome}: {sentence if len(sentence) <= TOLD else sentence[:TOLD] + '…'}"


def fingerprint(outcome: str, failure_kind: str | None, sentence: str | None) -> str | None:
    """Equal for the same failure, sixteen hexadecimal digits; None where an end says nothing about the work."""
    if outcome not in ALIKE:
        return None
    told = "\n".join((outcome, failure_kind or "", normalised(sentence or "")))
    return hashlib.sha256(told.encode()).hexdigest()[:16]
