"""What the end of a process says: its exit status becomes an outcome. And when a living one has had its time.

Pure: takes values, returns values.
"""

from __future__ import annotations

import signal
from typing import NamedTuple

from blackboard.clock import seconds_between
from blackboard.record import Record
from blackboard.sizes import in_words
from orchestrator.processes import Status
from orchestrator.runners.result import Result

WARN_AT = 0.8  # share of a limit after which it is told that the limit is near


class Verdict(NamedTuple):
    """How an attempt ended that did not report: outcome, sentence, exit status."""

    outcome: str
    detail: str
    code: int | None = None
    signal: int | None = None

    def saying(self, last_line: str) -> Verdict:
        """The same with the program's last words, if it had any."""
        return self._replace(detail=f"{self.detail}; its last words: {last_line}") if last_line else self


def verdict(status: Status | None, result: Result | None = None) -> Verdict:
    """The outcome of a process that is gone while its task is still claimed or working.

    What the program says of its own run counts before its exit status; where it says nothing, that counts alone.
    """
    found = _by_exit(status)
    if result is None or result.status == "unknown" or found.outcome in ("spawn_failed", "released"):
        return found
    return found._replace(outcome=_outcome(result), detail=_sentence(result))


def resumed_in_vain(found: Verdict, result: Result | None, attempt: Record) -> Verdict:
    """The same, unless it is that the session to go on with was not to be had: the program said so, or ended without a word.

    Only of an attempt that resumes and never called: every other has begun something.
    """
    if attempt["resumes"] is None or attempt["started_at"] is not None or found.outcome not in ("crashed", "no_report"):
        return found
    if result is None or (result.failure_kind != "session" and result.status != "unknown"):
        return found
    return found._replace(
        outcome="no_session",
        detail=f"it could not go on with the session of attempt {attempt['resumes']}: {found.detail}",
    )


BY_KIND = {"rate_limit": "rate_limited", "auth": "not_authorised", "busy": "busy", "unknown_agent": "spawn_failed"}
BY_STATUS = {"ok": "no_report", "timeout": "timed_out", "error": "crashed", "cancelled": "crashed"}
LONGEST = 400  # characters of the program's own words in a sentence


def _outcome(result: Result) -> str:
    return BY_KIND.get(result.failure_kind or "") or BY_STATUS[result.status]


def _sentence(result: Result) -> str:
    words = " ".join((result.text or "").split())
    said = f": {words[:LONGEST]}" if words else ""
    kind = f" ({result.failure_kind})" if result.failure_kind else ""
    if result.status == "ok":
        return f"the program said that all went well{kind}, and reported no result{said}"
    return f"the program said {result.status}{kind}{said}"


def _by_exit(status: Status | None) -> Verdict:
    if status is None:
        return Verdict("spawn_failed", "its launcher ended before it could start anything: launcher.log may say why")
    if status.phase == "void":
        return Verdict("released", "nothing was ever started")
    if status.phase == "spawn_failed":
        return Verdict("spawn_failed", status.message or "the program could not be started")
    if status.phase == "exit" and status.code == 0:
        return Verdict("no_report", "the program ended with exit code 0 and reported no result", code=0)
    if status.phase == "exit":
        return Verdict("crashed", f"the program ended with exit code {status.code}", code=status.code)
    if status.phase == "signal":
        return Verdict("killed", f"the program was ended by {_name(status.signal)}", signal=status.signal)
    return Verdict(
        "lost", "the program is gone and left no exit status: its launcher was killed, or the machine restarted"
    )


def _name(number: int | None) -> str:
    try:
        return signal.Signals(number or 0).name
    except ValueError:
        return f"signal {number}"


def beyond_a_file(found: Verdict, file_bytes: int | None) -> Verdict:
    """The same, unless the kernel ended it for writing beyond its limit; a shell or a sandbox tells that as 128 and more."""
    if file_bytes is None or (found.signal != signal.SIGXFSZ and found.code != 128 + signal.SIGXFSZ):
        return found
    return found._replace(
        outcome="over_limit",
        detail=f"it wrote a file beyond the limit of {in_words(file_bytes)} for one file (its logs count too)",
    )


class Limit(NamedTuple):
    """A time an attempt may take. `since` and `seconds` in CLOCK_BOOTTIME seconds."""

    outcome: str
    since: float
    seconds: float
    sentence: str

    @property
    def at(self) -> float:
        return self.since + self.seconds

    @property
    def warn_at(self) -> float:
        return self.since + self.seconds * WARN_AT


def limits(attempt: Record, printed_boot: float | None) -> list[Limit]:
    """The limits of a living attempt, the nearest first.

    `attempt`: its row with its task's limits; `printed_boot`: when its logs were last seen to grow.
    """
    begun = float(attempt["spawned_boot"] or 0.0)
    signs = [sign for sign in (attempt["seen_boot"], printed_boot) if sign is not None]
    found = [Limit("timed_out", begun, attempt["wall_seconds"], f"the limit of {attempt['wall_seconds']:g} s in all")]
    if signs:
        found.append(
            Limit(
                "idle",
                max(signs),
                attempt["idle_seconds"],
                f"the limit of {attempt['idle_seconds']:g} s without a call or output",
            )
        )
    else:
        found.append(
            Limit(
                "no_start",
                begun,
                attempt["startup_seconds"],
                f"the limit of {attempt['startup_seconds']:g} s until the first sign of life",
            )
        )
    return sorted(found, key=lambda limit: limit.at)


def slot_end(attempt: Record, now: str, boot: float) -> list[Limit]:
    """The end of the task's slot, if what runs is to be finished by then. `now`, `boot`: the same instant."""
    if attempt["end_by"] is None or attempt["role"] != "executor":
        return []
    begun = float(attempt["spawned_boot"] or boot)
    ends = boot + seconds_between(now, attempt["end_by"])
    return [Limit("timed_out", begun, max(0.0, ends - begun), f"the time of its slot, which ends {attempt['end_by']},")]


def between_looks(attempt: Record) -> float:
    """The most seconds between two looks: a quarter of the shortest limit, also of one that only begins with a call."""
    return float(min(attempt["wall_seconds"], attempt["idle_seconds"], attempt["startup_seconds"])) / 4
