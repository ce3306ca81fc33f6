"""What can happen to a task, on one screen: the same table as `moves` in schema.sql, as data.

Imports nothing of the project. `tests/test_schema.py` proves that the two tables agree.

Read next: blackboard/verbs.py (how a row moves).
"""

from __future__ import annotations

from typing import NamedTuple

STATES = ("pending", "claimed", "working", "review", "done", "failed", "blocked", "cancelled")
FINAL = frozenset({"done", "failed", "cancelled"})
LIVE = frozenset({"claimed", "working"})
OUTPUT_TYPES = ("code", "document", "data", "config", "other")
BLOCKED_KINDS = ("needs_input", "dependency", "capability", "transient")


class Move(NamedTuple):
    """One arrow. `by`: the roles of an actor that may; `outcome`: what it makes of the attempt it ends."""

    verb: str
    src: str
    dst: str
    by: frozenset[str]
    by_sql: bool = True
    is_default: bool = True
    outcome: str | None = None


class Outcome(NamedTuple):
    """How an attempt can end. `charged`: counts as a try; `settles`: its agent gets settle_seconds to finish."""

    charged: bool
    settles: bool
    meaning: str


def _by(roles: str) -> frozenset[str]:
    return frozenset(roles.split())


_AGENT = _by("executor engine")
_PERSON = _by("person engine")

MOVES: tuple[Move, ...] = (
    Move("claim", "pending", "claimed", _by("engine"), by_sql=False),
    Move("block", "pending", "blocked", _by("engine")),
    Move("cancel", "pending", "cancelled", _PERSON),
    Move("start", "claimed", "working", _AGENT, by_sql=False),
    Move("release", "claimed", "pending", _by("engine"), outcome="released"),
    Move("retry", "claimed", "pending", _AGENT, is_default=False, outcome="failed"),
    Move("submit", "claimed", "review", _AGENT, by_sql=False, outcome="submitted"),
    Move("fail", "claimed", "failed", _AGENT, outcome="failed"),
    Move("block", "claimed", "blocked", _AGENT, outcome="blocked"),
    Move("cancel", "claimed", "cancelled", _PERSON, outcome="cancelled"),
    Move("retry", "working", "pending", _AGENT, outcome="failed"),
    Move("submit", "working", "review", _AGENT, by_sql=False, outcome="submitted"),
    Move("fail", "working", "failed", _AGENT, outcome="failed"),
    Move("block", "working", "blocked", _AGENT, outcome="blocked"),
    Move("cancel", "working", "cancelled", _PERSON, outcome="cancelled"),
    Move("approve", "review", "done", _by("reviewer person engine"), outcome="approved"),
    Move("reject", "review", "pending", _by("reviewer person engine"), outcome="rejected"),
    Move("cancel", "review", "cancelled", _PERSON, outcome="cancelled"),
    Move("unblock", "blocked", "pending", _PERSON),
    Move("cancel", "blocked", "cancelled", _PERSON),
    Move("reopen", "failed", "pending", _by("person")),
    Move("reopen", "done", "pending", _by("person")),
    Move("reopen", "cancelled", "pending", _by("person")),
)

OUTCOMES: dict[str, Outcome] = {
    "submitted": Outcome(True, True, "the agent handed the task in"),
    "failed": Outcome(True, True, "the agent said that it could not"),
    "blocked": Outcome(False, True, "the agent asked for something it needs"),
    "approved": Outcome(True, True, "the reviewer approved"),
    "rejected": Outcome(True, True, "the reviewer rejected"),
    "cancelled": Outcome(False, False, "a person, or a cancelled parent, took the task away"),
    "released": Outcome(False, False, "nothing was ever started"),
    "spawn_failed": Outcome(False, False, "the program could not be started: a fault of the configuration"),
    "prompt_failed": Outcome(False, False, "the prompt could not be rendered: a fault of the template"),
    "dry_run": Outcome(False, False, "rendered and recorded, not started"),
    "rate_limited": Outcome(False, False, "the model's provider asked to come back later: its account waits"),
    "not_authorised": Outcome(
        False, False, "the model's provider did not accept the login or key: its account is paused"
    ),
    "busy": Outcome(False, False, "what the program needs alone was in use by another run"),
    "no_session": Outcome(False, False, "the conversation it should go on with was not to be had"),
    "stopped": Outcome(
        False, False, "the orchestrator took the agent with it when it stopped, or when a day's budget was spent"
    ),
    "no_report": Outcome(True, False, "the process ended with exit 0 and never reported a result"),
    "crashed": Outcome(True, False, "the process ended with another exit code"),
    "killed": Outcome(True, False, "a signal that was not ours ended the process"),
    "lost": Outcome(True, False, "the process is gone and left no exit status"),
    "no_start": Outcome(True, False, "no sign of life within startup_seconds"),
    "idle": Outcome(True, False, "no call and no output for idle_seconds"),
    "timed_out": Outcome(True, False, "longer than wall_seconds"),
    "over_budget": Outcome(True, False, "it, or its task, has spent more than it may"),
    "over_limit": Outcome(True, False, "its processes used more than its limits allow"),
}


def sources(verb: str) -> tuple[str, ...]:
    """The states a verb leads out of, in the order of the table."""
    return tuple(move.src for move in MOVES if move.verb == verb)


def allowed(src: str, role: str) -> list[Move]:
    """The arrows out of `src` for an actor of `role` (executor, reviewer, person, engine)."""
    return [move for move in MOVES if move.src == src and role in move.by]


_DRAWING = """\
pending ──> claimed ──> working ──> review ──> done
   ^           │           │           │
   ├───────────┴───────────┤           └──> pending   (rejected: do it again, with the remark)
   │   release, retry      ├──> failed
   │                       ├──> blocked ──> pending   (answered)
   └── reopen              └──> cancelled             (from every state that is not final)"""


def drawing(current: str | None = None, role: str = "executor") -> str:
    """The state machine for a prompt: the picture, then the arrows out of `current` for a role, from the table."""
    if current is None:
        return _DRAWING
    ways = [f"  {m.src} ──> {m.dst}   ({m.verb})" for m in allowed(current, role)]
    return _DRAWING + f"\n\nfrom {current} you can go:\n" + ("\n".join(ways) or "  nowhere: it is not yours any more")
