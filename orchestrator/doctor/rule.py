"""What a rule is: a function over a connection that says what breaks it, each with the sentence a person reads.

A rule's docstring begins with the invariant it holds, I1 to I14. Never decides what is asked, or when.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias, TypeVar

MOST = 50  # findings of one rule; a board with more of them needs a backup, not a longer list

# How the sentences end: what a person can do.
RESTORE = "Stop the orchestrator and restore the newest backup in which doctor finds nothing."
FORGED = "Somebody wrote past the rules: find out which is true; if nobody knows, restore a backup."


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `rule`: its name; `subject`: what it is about; `sentence`: what, and what to do."""

    rule: str
    subject: str
    sentence: str


Said: TypeAlias = Iterator[tuple[str, str]]  # subject, sentence
Rule: TypeAlias = Callable[[sqlite3.Connection], Said]
Function = TypeVar("Function", bound=Callable[..., object])


def into(registry: list[Function]) -> Callable[[Function], Function]:
    """A decorator that adds a rule to a list; the rule's name is the function's."""

    def register(function: Function) -> Function:
        registry.append(function)
        return function

    return register


def told(name: str, said: Said) -> Iterator[Finding]:
    """What a rule said, up to MOST."""
    yield from (Finding(name, subject, sentence) for subject, sentence in islice(said, MOST))
    if next(said, None) is not None:
        yield more(name)


def more(name: str) -> Finding:
    """The last finding of a rule that would say too much."""
    return Finding(name, "board", f"Only the first {MOST} of {name} are told. Mend these, then ask again.")


def query(connection: sqlite3.Connection, sql: str) -> Iterator[tuple[Any, ...]]:
    """The plain tuples of a query, whatever rows the connection's owner is used to."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor.execute(sql)
