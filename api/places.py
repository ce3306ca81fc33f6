"""How many streams may be open, in all and for each token. Knows nothing of what a stream is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from blackboard.errors import Unavailable


class Places:
    """The places that are taken now, by token."""

    def __init__(self) -> None:
        self._taken: Counter[bytes] = Counter()

    @contextmanager
    def taken(self, token: bytes, most_of_one: int, most: int) -> Iterator[None]:
        """Hold a place; Unavailable when the token has `most_of_one` already, or all have `most`."""
        if self._taken.total() >= most or self._taken[token] >= most_of_one:
            raise Unavailable(
                f"{self._taken.total()} event streams are open, {self._taken[token]} of them yours: "
                "close one, or read GET /api/events",
                retry_after=10,
            )
        self._taken[token] += 1
        try:
            yield
        finally:
            self._taken[token] -= 1
            if not self._taken[token]:
                del self._taken[token]
