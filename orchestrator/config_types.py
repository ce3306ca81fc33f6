"""What tables and single settings are made of: numbers with their limits, names, words and paths.

Never looks at the disk.
"""

from __future__ import annotations

import string
from collections.abc import Collection
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from blackboard.sizes import from_words

Seconds = Annotated[float, Field(ge=0, le=10 * 366 * 86400, allow_inf_nan=False)]
SomeSeconds = Annotated[float, Field(gt=0, le=10 * 366 * 86400, allow_inf_nan=False)]
Usd = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Tokens = Annotated[int, Field(ge=1, le=2**53)]
MOST = 2**31 - 1  # of anything that is counted: the board keeps whole numbers of 64 bits, and nobody needs those
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Part(BaseModel):
    """A table of the file: frozen, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _zone_exists(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"{name!r} is no IANA time zone, e.g. Europe/Berlin") from error
    return name


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("a NUL byte cannot be part of it")
    return text


def _named(path: Path) -> Path:
    _no_nul(str(path))
    if path == Path():
        raise ValueError("is empty: name a path, or take the key out")
    return path


def _bytes(value: object) -> object:
    """A size in words as bytes. Anything but a text is left for the type to judge."""
    return from_words(value) if isinstance(value, str) else value


Zone = Annotated[str, AfterValidator(_zone_exists)]
Bytes = Annotated[int, BeforeValidator(_bytes)]
Word = Annotated[str, AfterValidator(_no_nul)]  # something handed to the operating system
File = Annotated[Path, AfterValidator(_named)]


def fields(word: str) -> list[tuple[str, str | None, str | None, str | None]]:
    """The places in braces of a word, as `string.Formatter` finds them; ValueError when a brace is alone."""
    try:
        return list(string.Formatter().parse(word))
    except ValueError as error:
        raise ValueError(f"{word!r} has a brace without its other half ({error}): write {{{{ }}}} for braces") from None


def judge_placeholders(word: str, known: Collection[str]) -> None:
    """ValueError when a word has something in braces that is not known there."""
    for _, name, form, conversion in fields(word):
        if name is not None and (name not in known or form or conversion):
            names = " ".join(f"{{{each}}}" for each in sorted(known))
            raise ValueError(f"{{{name}}} is no placeholder here: known are {names}; write {{{{ }}}} for braces")


def web_address(url: str, otherwise: str) -> SplitResult:
    """The parts of an address that can be asked over HTTP; ValueError with the sentence `otherwise` for any other."""
    found = urlsplit(url)
    if found.scheme not in ("http", "https") or not found.hostname:
        raise ValueError(otherwise)
    try:
        _ = found.port  # found out only when it is asked for
    except ValueError:
        raise ValueError("the port of its address is no number from 0 to 65535") from None
    return found
