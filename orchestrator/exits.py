"""How a command ends: the exit codes, and the one error that carries a code and its sentence.

Never prints; `commands.frame` does, once for all commands.
"""

from __future__ import annotations

from blackboard.errors import BlackboardError

OK = 0
FAILED = 1  # it was tried and did not work, or a check found something
USAGE = 2  # the command line or the configuration is wrong
NOT_FOUND = 3
REFUSED = 4  # a rule of the board says no
UNREACHABLE = 5  # the daemon holds the board and does not answer
MISSING = 69  # something of the environment is missing
TRY_AGAIN = 75
INTERRUPTED = 130  # Ctrl-C while it waited

_CODES = {
    "not_found": NOT_FOUND,
    "illegal_move": REFUSED,
    "fenced": REFUSED,
    "refused": REFUSED,
    "conflict": REFUSED,
    "invalid": REFUSED,
    "key_reused": REFUSED,
    "unavailable": TRY_AGAIN,
}


class Exit(Exception):
    """End the command with this code; `sentence` goes to stderr, one line each."""

    def __init__(self, sentence: str, code: int = FAILED) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code


def code_of(error: BlackboardError) -> int:
    """The exit code of an error of the board."""
    return _CODES.get(error.code, FAILED)
