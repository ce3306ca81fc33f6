"""The errors of the board: each has a machine code and one sentence that says what to do.

Never maps to HTTP statuses or exit codes: that is done once in `api.problems` and once in the command line.
"""

from __future__ import annotations

from typing import ClassVar


class BlackboardError(Exception):
    """Something the caller asked for cannot be done; `facts` holds what a program may want to read."""

    code: ClassVar[str] = "error"

    def __init__(self, sentence: str, **facts: object) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.facts = facts


class NotFound(BlackboardError):
    """There is no such thing."""

    code = "not_found"


class Unauthorized(BlackboardError):
    """The token is missing or unknown."""

    code = "unauthorized"


class Forbidden(BlackboardError):
    """The token is good but does not reach this."""

    code = "forbidden"


class Invalid(BlackboardError):
    """The request itself is wrong; repeating it will not help."""

    code = "invalid"


class IllegalMove(BlackboardError):
    """The task's state does not allow this move; facts: `found`, `allowed`."""

    code = "illegal_move"


class Fenced(BlackboardError):
    """The token's attempt has ended: it writes nothing any more."""

    code = "fenced"


class Refused(BlackboardError):
    """A rule of the schema refused the change; the sentence is the rule's own."""

    code = "refused"


class Conflict(BlackboardError):
    """Something with this identity exists already."""

    code = "conflict"


class KeyReused(BlackboardError):
    """The key of this request was used for another one."""

    code = "key_reused"


class Unavailable(BlackboardError):
    """The board cannot be written just now; try again after `retry_after` seconds."""

    code = "unavailable"

    def __init__(self, sentence: str, retry_after: int = 5, **facts: object) -> None:
        super().__init__(sentence, **facts)
        self.retry_after = retry_after


class BadBoard(BlackboardError):
    """The file is not a board this program can use."""

    code = "bad_board"
