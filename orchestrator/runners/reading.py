"""Reads what an attempt's program left in its logs, and has its runner's parser make a Result of it. Blocking.

The launcher cuts the middle out of a log that grew too long, never its end.
"""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

from blackboard.tokens import redact
from orchestrator.config_agent import AgentConfig
from orchestrator.logfile import end_of
from orchestrator.runners.resets import reset_in
from orchestrator.runners.result import Result, Usage
from orchestrator.runners.runner import Ended, Place
from orchestrator.runners.table import runner_of

MOST = 16 * 1024 * 1024  # bytes of standard output; openclaw's meta part alone may have some hundred thousand
MOST_COMPLAINTS = 16 * 1024  # bytes of standard error, its end
MOST_OF_A_LIMIT = 16 * 1024  # characters of standard output, its end, in which the end of a limit is looked for
MOST_TEXT = 8000  # characters of the result kept on the board; all of it is in the log


def result_of(agent: AgentConfig | None, directory: Path, code: int | None) -> Result | None:
    """What the program says of its run; None when its runner reads nothing."""
    runner = runner_of(agent) if agent is not None else None
    if runner is None or runner.parse is None:
        return None
    place = Place(directory, directory)
    report = end_of(directory / runner.report_file, MOST) if runner.report_file else ""
    ended = Ended(end_of(place.stdout, MOST), end_of(place.stderr, MOST_COMPLAINTS), code, report)
    found = runner.parse(ended)
    if found.failure_kind == "rate_limit":
        texts = (found.text or "", ended.stderr, report[-MOST_OF_A_LIMIT:], ended.stdout[-MOST_OF_A_LIMIT:])
        found = dataclasses.replace(found, reset_at=reset_in(texts, _last_word(place)))
    of_session = runner.sessions.totals if runner.sessions else ()
    return dataclasses.replace(found, text=_bounded(redact(found.text)) if found.text else None, of_session=of_session)


def used_so_far(agent: AgentConfig | None, directory: Path) -> Usage | None:
    """What a program that still runs says it has used; None when its runner reads nothing of that."""
    runner = runner_of(agent) if agent is not None else None
    if runner is None or runner.spent is None:
        return None
    return runner.spent(end_of(Place(directory, directory).stdout, MOST))


def _last_word(place: Place) -> datetime:
    """When the program wrote last, in this machine's zone: "in 20 s" counts from there, however late we read it."""
    written = [log.stat().st_mtime for log in (place.stdout, place.stderr) if log.exists()]
    return (datetime.fromtimestamp(max(written), UTC) if written else datetime.now(UTC)).astimezone()


def _bounded(text: str) -> str:
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}… ({len(text)} characters)"
