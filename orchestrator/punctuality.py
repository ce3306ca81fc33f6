"""How late the loop is: seconds from the moment a step was to begin until it was done.

Measures only, and says when it is time to tell somebody. Its clock stands still while the machine sleeps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 3  # late steps in a row before somebody is told


class Punctuality:
    """The lateness of one loop's steps. `interval`: seconds a step may be late."""

    def __init__(self, interval: float, now: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._now = now
        self._late = self._worst = 0.0
        self._in_a_row = 0
        self._wanted_at: float | None = None

    def want(self, within: float = 0.0) -> None:
        """The next step is wanted so many seconds from now; of several wishes the earliest counts."""
        at = self._now() + within
        self._wanted_at = at if self._wanted_at is None else min(self._wanted_at, at)

    @contextmanager
    def step(self) -> Iterator[None]:
        """The step that was wanted. What is wished for meanwhile is the next one."""
        at, self._wanted_at = self._wanted_at, None
        yield
        self._note(0.0 if at is None else self._now() - at)

    @contextmanager
    def after(self, pause: float) -> Iterator[None]:
        """A pause of so many seconds and the step behind it."""
        at = self._now() + pause
        yield
        self._note(self._now() - at)

    def told(self) -> dict[str, float]:
        """The figures: of the last step, the worst since the start, and what a step may be late."""
        return {
            "late_seconds": round(self._late, 4),
            "worst_late_seconds": round(self._worst, 4),
            "interval_seconds": self._interval,
        }

    def alarm(self) -> str | None:
        """A sentence when PATIENCE steps in a row were late; once, until one was in time again."""
        if self._in_a_row != PATIENCE:
            return None
        self._in_a_row += 1
        return (
            f"{PATIENCE} steps in a row were done more than {self._interval:g} s late, the last one {self._late:.1f} s"
        )

    def _note(self, late: float) -> None:
        self._late = max(0.0, late)
        self._worst = max(self._worst, self._late)
        if self._late <= self._interval:
            self._in_a_row = 0
        elif self._in_a_row < PATIENCE:
            self._in_a_row += 1
