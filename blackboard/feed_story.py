"""What an entry of a feed says in words: how a task stands and why, and what each attempt of it came to. Pure."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from blackboard.agenda import Word

LONGEST_REASON = 300
MOST_TOLD = 10  # attempts of one task, the latest
PROOF = {"passed": ", verified by its checks", "failed": ", its checks did not pass", "wanted": ", not verified yet"}
NOTHING_RAN = frozenset({"released", "spawn_failed", "prompt_failed", "dry_run"})
SAID = {"claimed": "working", "working": "working", "review": "in review"}


def ran(attempt: sqlite3.Row) -> bool:
    """Whether something was started for it, or is about to be."""
    return attempt["outcome"] not in NOTHING_RAN


def begin(attempt: sqlite3.Row) -> str:
    """When it really began."""
    found: str = attempt["spawned_at"] or attempt["started_at"] or attempt["claimed_at"]
    return found


def latest(task: sqlite3.Row, attempts: Sequence[sqlite3.Row]) -> sqlite3.Row | None:
    """The attempt that is where the task stands; None while it waits for one."""
    if task["status"] == "pending":
        return None
    return next((each for each in reversed(attempts) if each["role"] == "executor"), None)


def title(task: sqlite3.Row) -> str:
    """The task's title, with how it stands before it once it has begun or is over."""
    if task["status"] == "pending":
        return str(task["title"])
    return f"{SAID.get(task['status'], task['status'])}: {task['title']}"


def title_of_attempt(task: sqlite3.Row, attempt: sqlite3.Row) -> str:
    """Of an attempt by itself: what it came to."""
    what = "review" if attempt["role"] == "reviewer" else f"attempt {attempt['number']}"
    return f"{what}, {_outcome(attempt)}: {task['title']}"


def story(task: sqlite3.Row, word: Word, attempts: Sequence[sqlite3.Row]) -> str:
    """How it stands, what was tried, and what it is about."""
    lines = []
    if word != "not_started" or attempts:
        said = SAID.get(task["status"], task["status"] if task["status"] != "pending" else "waits for another try")
        lines.append(
            f"{said}{PROOF.get(task['proof'] or '', '')}{_because((task['reason'] or '').removeprefix(f'{said}: '))}"
        )
        lines += [line(each) for each in attempts[-MOST_TOLD:]]
    return "\n\n".join(filter(None, ("\n".join(lines), task["description"])))


def line(attempt: sqlite3.Row) -> str:
    """An attempt in a line."""
    what = "Review" if attempt["role"] == "reviewer" else f"Attempt {attempt['number']}"
    ended = f" to {_clock(attempt['ended_at'])}" if attempt["ended_at"] else ""
    return f"{what} by {attempt['agent_id']}, {_clock(begin(attempt))}{ended} UTC: {_outcome(attempt)}{_because(attempt['detail'])}"


def _outcome(attempt: sqlite3.Row) -> str:
    return str(attempt["outcome"] or "running").replace("_", " ")


def _clock(instant: str) -> str:
    return f"{instant[:10]} {instant[11:16]}"


def _because(reason: str | None) -> str:
    text = " ".join((reason or "").split())
    return f": {text[:LONGEST_REASON]}" if text else ""
