"""Settings from the environment: `ORCH_API__PORT=9001` becomes `{"api": {"port": "9001"}}`.

A name nobody knows becomes a key nobody knows, so it is refused with its path like one in the file. Never
reads anything but the names that begin with the prefix.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

PREFIX = "ORCH_"
CONFIG_VARIABLE = "ORCH_CONFIG"  # names the file itself, so it is no key of it
Tree = dict[str, Any]


NAMED = (
    "agents",
    "accounts",
    "calendars",
    "presence",
    "watches",
    "backends",
    "sinks",
)  # tables whose keys are names: a variable cannot hold all their letters


def tree(environ: Mapping[str, str], agents: tuple[str, ...]) -> Tree:
    """All variables with the prefix as nested keys. `agents`: `names_in` the file, matched without regard to case."""
    found: Tree = {}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name != CONFIG_VARIABLE:
            _put(found, _keys(name, agents), _value(environ[name]))
    return found


def names_in(from_file: Tree) -> tuple[str, ...]:
    """The names that tables of a file have, and the accounts that an agent names."""
    tables = {key: each if isinstance(each := from_file.get(key), dict) else {} for key in NAMED}
    agents = tables["agents"]
    named = [agent["account"] for agent in agents.values() if isinstance(agent, dict) and "account" in agent]
    return (*(name for table in tables.values() for name in table), *(name for name in named if isinstance(name, str)))


def variable_of(environ: Mapping[str, str], agents: tuple[str, ...], loc: tuple[str, ...]) -> str | None:
    """The variable that set the key at `loc`, else something above or below it; None when none did."""
    best, most = None, 0
    for name in sorted(environ):
        if name.startswith(PREFIX) and name != CONFIG_VARIABLE:
            keys = _keys(name, agents)
            shared = min(len(keys), len(loc))
            if keys[:shared] == loc[:shared] and shared > most:
                best, most = name, shared
    return best


def _keys(name: str, agents: tuple[str, ...]) -> tuple[str, ...]:
    parts = name.removeprefix(PREFIX).split("__")
    keys = [part.lower() for part in parts]
    if keys[0] in NAMED and len(keys) > 1:
        keys[1] = _agent(parts[1], agents)
        if keys[0] == "agents" and keys[2:3] == ["env"]:
            keys[3:] = ["__".join(parts[3:])] if parts[3:] else []  # the agent's own variable: its name as it is
    return tuple(keys)


def _agent(part: str, agents: tuple[str, ...]) -> str:
    """A shell variable's name holds neither `-` nor `.`, and most people write it in capitals."""
    plain = part.lower()
    return next((name for name in agents if name.lower().replace("-", "_").replace(".", "_") == plain), plain)


def _value(text: str) -> Any:
    """Lists and tables are JSON; everything else is read by the key's own type."""
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _put(found: Tree, keys: tuple[str, ...], value: Any) -> None:
    for key in keys[:-1]:
        below = found.setdefault(key, {})
        if not isinstance(below, dict):
            return  # ORCH_API=… and ORCH_API__PORT=… together: the first is refused by its type
        found = below
    if isinstance(value, dict) and isinstance(found.get(keys[-1]), dict):
        value = {**value, **found[keys[-1]]}
    found[keys[-1]] = value
