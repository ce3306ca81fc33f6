"""Every value in force with where it came from: a flag, an environment variable, a line of the file, or the default.

Reads nothing but what `config_loading` kept of its layers. Secrets are masked as in `Settings.shown`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from orchestrator.config_environment import Tree, names_in, variable_of

Loc = tuple[str, ...]


@dataclass(frozen=True)
class Layers:
    """What each source said, before they were laid over one another; and the file's text, for its lines."""

    flags: Tree = field(default_factory=dict)
    variables: Tree = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    from_file: Tree = field(default_factory=dict)
    file: Path | None = None
    text: str = ""


class Effective(NamedTuple):
    """One value: its full key, the value ready for JSON, and its origin in words."""

    key: str
    value: Any
    origin: str


def effective(shown: Tree, layers: Layers) -> list[Effective]:
    """Every value of `Settings.shown`, in the order of the configuration; the file's own name is none of them."""
    shown = {key: value for key, value in shown.items() if key != "config_file"}
    lines = lines_of(layers.text, layers.from_file)
    return [_resolved(loc, value, shown, layers, lines) for loc, value in _leaves(shown)]


def _leaves(value: Any, loc: Loc = ()) -> Iterator[tuple[Loc, Any]]:
    if isinstance(value, dict) and (value or not loc):
        for key, below in value.items():
            yield from _leaves(below, (*loc, key))
    else:
        yield loc, value


def _resolved(loc: Loc, value: Any, shown: Tree, layers: Layers, lines: Mapping[Loc, int]) -> Effective:
    origin = _origin(loc, layers, lines)
    if (
        origin == "default" and loc[0] == "agents" and loc[2:3] == ("policy",)
    ):  # an agent's policy falls back to [policy]
        value, origin = shown["policy"][loc[3]], _origin(("policy", loc[3]), layers, lines)
    return Effective(".".join(loc), value, origin)


def _origin(loc: Loc, layers: Layers, lines: Mapping[Loc, int]) -> str:
    if _holds(layers.flags, loc):
        return f"flag --{loc[0]}"
    if _holds(layers.variables, loc):
        return f"environment {variable_of(layers.environ, names_in(layers.from_file), loc)}"
    if _holds(layers.from_file, loc):
        line = next((lines[loc[:most]] for most in range(len(loc), 0, -1) if loc[:most] in lines), None)
        return f"{layers.file}:{line}" if line else str(layers.file)
    return "default"


def _holds(tree: Any, loc: Loc) -> bool:
    for key in loc:
        if not isinstance(tree, dict) or key not in tree:
            return False
        tree = tree[key]
    return True


_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_PATH = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER = re.compile(rf"\s*\[\[?\s*({_PATH})\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(rf"\s*({_PATH})\s*=")


def lines_of(text: str, tree: Tree) -> dict[Loc, int]:
    """The line, from 1, on which each key and each table of a TOML text begins; of a repeated table, the first.

    The text is known to be good TOML and `tree` is what it says: what only looks like a key is none of its keys.
    """
    found: dict[Loc, int] = {}
    table: Loc = ()
    inside = None  # the quotes of a text over several lines
    for number, line in enumerate(text.splitlines(), start=1):
        if inside is None:
            header, key = _HEADER.match(line), _KEY.match(line)
            if header and _reaches(tree, _parts(header[1])):
                table = _parts(header[1])
                found.setdefault(table, number)
            elif key and _reaches(tree, (*table, *_parts(key[1]))):
                found.setdefault((*table, *_parts(key[1])), number)
        for quotes in ('"""', "'''"):
            if inside in (None, quotes) and line.count(quotes) % 2:
                inside = None if inside else quotes
    return found


def _parts(path: str) -> Loc:
    return tuple(part.strip("\"'") for part in re.findall(_PART, path))


def _reaches(tree: Tree, loc: Loc) -> bool:
    """Whether the keys are there; of a repeated table only its name is looked at."""
    first = tree.get(loc[0]) if loc else None
    return isinstance(first, list) or _holds(tree, loc)
