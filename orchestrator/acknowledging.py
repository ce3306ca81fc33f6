"""Whether an agent that was only woken gave the word that was waited for: alone, on its last line.

What was waited for is in the attempt's launch plan, so a changed configuration changes nothing for one that runs.
Says only what is recorded; the task's outcome is what was reported.
"""

from __future__ import annotations

import json
from pathlib import Path

from blackboard.tokens import redact
from orchestrator.logfile import end_of
from orchestrator.processes import Status

MOST = 4096  # bytes of the end of the output, in which the last line is looked for


def missing(directory: Path, status: Status | None, words: str | None = None) -> str | None:
    """The sentence for a woken agent that ran and did not acknowledge; None for every other attempt.

    `words`: its last words where its runner knows them; else they are at the end of its standard output.
    """
    ack = _waited_for(directory)
    if ack is None or status is None or status.phase not in ("exit", "signal"):
        return None
    said = _last_line(words if words is not None else end_of(directory / "stdout.log", MOST))
    if said == ack:
        return None
    told = f"it said: {redact(said)[:200]}" if said else "it said nothing"
    return f"it was woken and did not answer with {ack} alone on its last line; {told}"


def _waited_for(directory: Path) -> str | None:
    try:
        ack = json.loads((directory / "launch.json").read_text(encoding="utf-8")).get("ack")
    except (OSError, ValueError, AttributeError):
        return None
    return ack if isinstance(ack, str) else None


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
