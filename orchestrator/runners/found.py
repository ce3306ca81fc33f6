"""Values of a foreign JSON, taken as what they should be, else as nothing; and the JSON found in a program's output. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

ENOUGH = 2  # so many times its length is read of a text in objects that turn out not to be whole
DEEP = 10_000  # characters that one counts which is too deep to be read


def last_object(text: str) -> dict[str, Any] | None:
    """The last whole JSON object that begins a line; diagnostics around it are passed over.

    Beginnings without an end, one in the other, would be read to the end of the text each: of those not all are tried.
    """
    decoder = json.JSONDecoder()
    end, found, left = 0, None, max(DEEP, ENOUGH * len(text))
    for begin in _beginnings(text):
        if begin < end:
            continue
        try:
            value, end = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError) as error:
            left -= error.pos - begin if isinstance(error, json.JSONDecodeError) else DEEP
            if left < 0:
                break
            continue
        found = value if isinstance(value, dict) else found
    return found


def _beginnings(text: str) -> Iterator[int]:
    return (match.start() for match in re.finditer(r"^\{", text, re.MULTILINE))


def whole(values: Iterable[object]) -> int | None:
    """The sum of what are counts; None when none is."""
    counts = [each for each in map(count, values) if each is not None]
    return sum(counts) if counts else None


def less(most: object, part: object) -> int | None:
    """A count less the part of it that is told apart; None when there is no count."""
    every = count(most)
    return None if every is None else max(0, every - (count(part) or 0))


def objects(text: str) -> list[dict[str, Any]]:
    """The JSON objects of a program that prints one a line; every other line, and a half one, is passed over."""
    found: list[dict[str, Any]] = []
    for line in text.split("\n"):
        if line.lstrip().startswith("{"):
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            found.append(value)
    return found


def table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def word(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def count(value: object) -> int | None:
    whole = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 2**53
    return int(value) if whole and isinstance(value, int | float) else None


def cost(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9 else None
