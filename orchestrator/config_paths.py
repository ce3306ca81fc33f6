"""Relative paths of the configuration, made absolute from where they were written.

Those in the file are relative to its folder, those of the environment and of flags to the current one. Never
looks at the disk, and leaves values of a wrong type for the types to refuse.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from orchestrator.config_workspaces import HOOKS

Tree = dict[str, Any]


def anchored(values: Tree, folder: Path) -> Tree:
    """A copy of the values with every relative path begun at `folder`."""
    values = copy.deepcopy(values)
    for table, key in _places(values):
        if isinstance(table[key], str | Path) and str(table[key]):
            table[key] = folder / Path(table[key]).expanduser()
    for agent in _tables(values.get("agents")):
        agent["argv"] = _program(agent["argv"], folder)
    for agent in _tables(values.get("agents"), having="wrap"):
        agent["wrap"] = _program(agent["wrap"], folder)
    for kind in ("presence", "watches"):
        for table in _tables(values.get(kind), having="token_command"):
            table["token_command"] = _program(table["token_command"], folder)
    for sink in _tables(values.get("sinks"), having="argv"):
        sink["argv"] = _program(sink["argv"], folder)
    for sink in _tables(values.get("sinks"), having="binary"):
        sink["binary"] = _program([sink["binary"]], folder)[0]
    for agent in _tables(values.get("agents"), having="openclaw"):
        for table, key in _held(agent["openclaw"], "probe", "cancel"):
            table[key] = _program(table[key], folder)
        for table, key in _held(agent["openclaw"], "binary"):
            table[key] = _program([table[key]], folder)[0]
    for agent in _tables(values.get("agents"), having="program"):
        for table, key in _held(agent["program"], "binary"):
            table[key] = _program([table[key]], folder)[0]
    for agent in _tables(values.get("agents"), having="hooks"):
        for table, key in _held(agent["hooks"], *HOOKS):
            table[key] = _program(table[key], folder)
    return values


def _places(values: Tree) -> Iterator[tuple[Any, Any]]:
    """Every (container, key or index) that holds a path."""
    yield from _held(values, "board", "state_dir")
    yield from _held(values.get("api"), "tls_cert", "tls_key")
    yield from _held(values.get("prompts"), "templates")
    for agent in _tables(values.get("agents"), having="workspace"):
        yield agent, "workspace"
    for agent in _tables(values.get("agents"), having="openclaw"):
        yield from _held(agent["openclaw"], "state_dir")
    for agent in _tables(values.get("agents"), having="worktree"):
        yield from _held(agent["worktree"], "repository")
    for agent in _tables(values.get("agents"), having="heartbeat"):
        yield from _held(agent["heartbeat"], "checklist_file")
    for agent in _tables(values.get("agents"), having=""):
        yield from _listed(agent, "writable", "hidden")
    for calendar in _tables(values.get("calendars"), having="file"):
        yield calendar, "file"
    for kind in ("calendars", "presence", "backends", "watches"):
        for table in _tables(values.get(kind), having="token_file"):
            yield table, "token_file"
    for sink in _tables(values.get("sinks"), having=""):
        yield from _held(sink, "folder", "secret_file")
    slots = values.get("slots")
    if isinstance(slots, dict):
        yield from _listed(slots, "files")


def _held(table: Any, *keys: str) -> Iterator[tuple[Tree, str]]:
    if isinstance(table, dict):
        yield from ((table, key) for key in keys if key in table)


def _listed(table: Tree, *keys: str) -> Iterator[tuple[list[Any], int]]:
    for key in keys:
        if isinstance(found := table.get(key), list):
            yield from ((found, index) for index in range(len(found)))


def _tables(agents: Any, having: str = "argv") -> Iterator[Tree]:
    """The agents that have this key, all of them without one."""
    if isinstance(agents, dict):
        yield from (agent for agent in agents.values() if isinstance(agent, dict) and (not having or having in agent))


def _program(argv: Any, folder: Path) -> Any:
    """`./bin/agent` is the one beside the file: an agent's working folder is another."""
    if isinstance(argv, list) and argv and isinstance(argv[0], str) and "/" in argv[0] and not argv[0].startswith("{"):
        return [str(folder / Path(argv[0]).expanduser()), *argv[1:]]
    return argv
