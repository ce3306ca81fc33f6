"""Whose first word was heard: it may be what the other agents of its account wait for, so the tick is woken once.

In memory and bounded: who was forgotten, or spoke to a daemon before this one, wakes it once more.
"""

from __future__ import annotations

MOST = 10_000  # tokens


class Heard:
    """The tokens that called last, by their hashes."""

    def __init__(self) -> None:
        self._tokens: dict[bytes, None] = {}

    def first(self, token: bytes) -> bool:
        """Whether it is the first word of this token."""
        if token in self._tokens:
            return False
        if len(self._tokens) >= MOST:
            del self._tokens[next(iter(self._tokens))]
        self._tokens[token] = None
        return True
