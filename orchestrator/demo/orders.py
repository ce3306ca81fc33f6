"""Reads a prompt as an agent does: what is to be done, what was tried before, and the commands to report with.

Takes nothing from the environment and nothing from the product: only the prompt's text. What stands inside a `data`
block is never read as a command.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_FENCE = re.compile(r"(`{3,})(\w*)\s*")
_HEREDOC = re.compile(r"<<'(\w+)'$")
_FOLDER = re.compile(
    r"^(?:(?:- )?Your folder is `(?P<own>.+)`: write there|You are in `(?P<work>.+)`, the folder)", re.MULTILINE
)
_MARGIN = "    "


@dataclass(frozen=True)
class Block:
    """A fenced block: the line before it, the word behind its fence, and what is inside."""

    label: str
    kind: str
    text: str


def blocks(prompt: str) -> list[Block]:
    """The fenced blocks of a prompt. A fence is closed only by one at least as long, and bare."""
    found: list[Block] = []
    label, ticks, kind = "", "", ""
    inside: list[str] = []
    for line in prompt.split("\n"):
        fence = _FENCE.fullmatch(line)
        if not ticks and fence:
            ticks, kind, inside = fence[1], fence[2], []
        elif ticks and fence and len(fence[1]) >= len(ticks) and not fence[2]:
            found.append(Block(label, kind, "\n".join(inside)))
            ticks = ""
        elif ticks:
            inside.append(line)
        elif line.strip():
            label = line
    return found


def commands(prompt: str) -> list[str]:
    """Every command of the prompt's `sh` blocks, in order, each with its heredoc and its newline."""
    return [command for block in blocks(prompt) if block.kind == "sh" for command in _commands(block.text)]


def _commands(script: str) -> Iterator[str]:
    lines = iter(script.split("\n"))
    for line in lines:
        if not line.strip():
            continue
        heredoc = _HEREDOC.search(line)
        command = [line]
        if heredoc:
            for inner in lines:
                command.append(inner)
                if inner == heredoc[1]:
                    break
        yield "\n".join(command) + "\n"


@dataclass(frozen=True)
class Orders:
    """What one prompt asks for. `record` is what was tried before, `remark` the newest reviewer's remark in it.

    `contents`: the outputs a reviewer looks at. `checklist`: of a heartbeat; None for a task.
    """

    title: str
    description: str
    required: str
    folder: str
    record: str = ""
    remark: str = ""
    answer: str = ""
    commands: list[str] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    checklist: str | None = None


def read(prompt: str) -> Orders:
    """The orders in a prompt. ValueError when this is no prompt of the blackboard."""
    folder = _FOLDER.search(prompt)
    told = commands(prompt)
    if folder is None or not told:
        raise ValueError("this is not a prompt of the blackboard: it names no folder or no commands")
    data = [block for block in blocks(prompt) if block.kind == "data"]
    record = _labelled(data, "are still there")
    return Orders(
        title=_labelled(data, "Title"),
        description=_labelled(data, "Description"),
        required=_labelled(data, "Required conditions"),
        folder=folder["own"] or folder["work"],
        record=record,
        remark=_last_remark(record),
        answer=_labelled(data, "The answer"),
        commands=told,
        contents=[block.text for block in data if block.label.startswith("Content of output")],
        checklist=_labelled(data, "Go through your checklist") or None,
    )


def _labelled(data: list[Block], label: str) -> str:
    return next((block.text for block in data if block.label.startswith(label)), "")


def _last_remark(record: str) -> str:
    """The lines under the last "reviewer's remark:", which are the ones behind a deeper margin."""
    _, found, after = record.rpartition("\n  reviewer's remark:\n")
    lines: list[str] = []
    for line in after.split("\n") if found else []:
        if not line.startswith(_MARGIN):
            break
        lines.append(line.removeprefix(_MARGIN))
    return "\n".join(lines)
