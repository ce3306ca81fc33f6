"""Policy numbers of a task, and what they decide: try again, and when.

Pure: takes values, returns values. The numbers are resolved when a task is posted and are columns of the task.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from blackboard.record import Record
from blackboard.states import OUTCOMES

REVIEW = "auto|human|(agent|role):[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


def review_word(text: str) -> str:
    """Who accepts the result, as it may be written; ValueError for anything else."""
    if not re.fullmatch(REVIEW, text):
        raise ValueError(f"review is auto, human, agent:ID or role:NAME, not {text[:80]!r}")
    return text


@dataclass(frozen=True)
class Policy:
    """The policy columns of a task, with the defaults of schema.sql. Durations in seconds."""

    max_tries: int = 3
    backoff_seconds: float = 30.0
    backoff_cap_seconds: float = 3600.0
    wall_seconds: float = 3600.0
    idle_seconds: float = 900.0
    startup_seconds: float = 300.0
    settle_seconds: float = 30.0
    review: str = "human"  # auto, human, agent:ID, role:NAME
    max_review_tries: int = 2
    max_rejections: int = 3
    needs_output: bool = True
    waits_for_children: bool = True
    max_same: int = 3
    attempt_usd: float | None = None  # None: no limit
    attempt_tokens: int | None = None
    task_usd: float | None = None
    task_tokens: int | None = None

    def but(self, overrides: Mapping[str, Any]) -> Policy:
        """This policy with some numbers replaced; None and unknown names are passed over."""
        known = {name: value for name, value in overrides.items() if name in FIELDS and value is not None}
        return dataclasses.replace(self, **known)

    def columns(self) -> dict[str, object]:
        """The policy as columns of a task: booleans as 0 and 1; an agent's review is a person's with a reviewer first."""
        values = {name: int(v) if isinstance(v := getattr(self, name), bool) else v for name in FIELDS}
        asked = ":" in self.review
        return values | {"review": "human" if asked else self.review, "reviewer": self.review if asked else None}


FIELDS = tuple(f.name for f in dataclasses.fields(Policy))


@dataclass(frozen=True)
class Policies:
    """The policy for each agent, else the default."""

    default: Policy = Policy()
    agents: Mapping[str, Policy] = field(default_factory=dict)

    def of(self, agent: str | None) -> Policy:
        """The policy a task of this agent (or of a role: None) is posted with."""
        return self.agents.get(agent, self.default) if agent is not None else self.default


def backoff(base: float, cap: float, failures: int, seed: str) -> float:
    """Seconds to wait after the n-th failure: base · 2^(n-1), at most cap, less up to a quarter.

    The jitter comes from `seed` (task and attempt), not from chance: the same write run again says the same.
    """
    spread = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big") / 2**32
    return min(cap, base * 2.0 ** min(failures - 1, 60)) * (1.0 - spread / 4)


# Reasons that will not go away by waiting less long than this many seconds.
AT_LEAST = {"spawn_failed": 10.0, "prompt_failed": 10.0, "rate_limited": 60.0, "not_authorised": 60.0, "busy": 10.0}


def next_try(
    task: Record, outcome: str, tries: int, *, final: bool = False, most: int | None = None, gated: bool = False
) -> float | None:
    """Seconds until the next try, or None when there is none.

    `tries`: charged attempts that ended badly so far, this one included. An outcome that is not charged always
    leaves another try: at once when nothing was started, else after the backoff of a first failure. `most`: how
    many tries there are, if not the task's max_tries. `gated`: its agent's account holds the next try, so that the
    task, which may be another agent's too, waits for no time of its own.
    """
    if gated or outcome in ("released", "dry_run", "stopped", "no_session"):
        return 0.0
    charged = OUTCOMES[outcome].charged
    if final or (charged and tries >= (most or task["max_tries"])):
        return None
    wait = backoff(
        task["backoff_seconds"], task["backoff_cap_seconds"], max(1, tries), f"{task['id']}/{task['attempt_id']}"
    )
    return max(wait, AT_LEAST.get(outcome, 0.0))
