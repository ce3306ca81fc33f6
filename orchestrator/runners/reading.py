"""Reads what an attempt's program left in its logs, and has its runner's parser make a Result of it. Blocking.

The launcher cuts the middle out of a log that grew too long, never its end.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from blackboard.tokens import redact
from orchestrator.config import AgentConfig
from orchestrator.logfile import end_of
from orchestrator.runners.result import Result, Usage
from orchestrator.runners.runner import Ended, Place
from orchestrator.runners.table import runner_of

MOST = 16 * 1024 * 1024  # bytes of standard output; openclaw's meta part alone may have some hundred thousand
MOST_COMPLAINTS = 16 * 1024  # bytes of standard error, its end
MOST_TEXT = 8000  # characters of the result kept on the board; all of it is in the log


def result_of(agent: AgentConfig | None, directory: Path, code: int | None) -> Result | None:
    """What the program says of its run; None when its runner reads nothing."""
    runner = runner_of(agent) if agent is not None else None
    if runner is None or runner.parse is None:
        return None
    place = Place(directory, directory)
    report = end_of(directory / runner.report_file, MOST) if runner.report_file else ""
    found = runner.parse(Ended(end_of(place.stdout, MOST), end_of(place.stderr, MOST_COMPLAINTS), code, report))
    of_session = runner.sessions.totals if runner.sessions else ()
    return dataclasses.replace(found, text=_bounded(redact(found.text)) if found.text else None, of_session=of_session)


def used_so_far(agent: AgentConfig | None, directory: Path) -> Usage | None:
    """What a program that still runs says it has used; None when its runner reads nothing of that."""
    runner = runner_of(agent) if agent is not None else None
    if runner is None or runner.spent is None:
        return None
    return runner.spent(end_of(Place(directory, directory).stdout, MOST))


def _bounded(text: str) -> str:
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}… ({len(text)} characters)"
