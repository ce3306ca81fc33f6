"""What the model says, whichever dialect it is asked in: a shell script, a last word, or no. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

LAST_WORD = "All of it is handed in."
IN, OUT = 100, 10  # tokens that every call is said to have taken and made
# mini-swe-agent knows no last word: a command that begins its output so is its end, as its prompt says.
SUBMIT = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"

# auth: 401. rate_limit: 429 that names its end. error: 500. overflow: the prompt is too long. hang: no answer at all.
Refusal = Literal["auth", "rate_limit", "error", "overflow", "hang"]
Script = Callable[[str], str]

# The shell tools of the programs, and the arguments of each that runs a script for as long as it takes.
SHELLS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "exec_command": lambda script: {"cmd": script, "yield_time_ms": 30_000},
    "Bash": lambda script: {"command": script, "description": "report", "timeout": 300_000},
    "bash": lambda script: {"command": script, "description": "report"},
    "run_shell_command": lambda script: {"command": script, "description": "report", "is_background": False},
    "exec": lambda script: {"command": script},
}


@dataclass(frozen=True)
class Asked:
    """One request, whatever its dialect. `answered`: whether a tool has answered already."""

    prompt: str
    tools: Collection[str]
    answered: bool
    model: str
    streamed: bool


@dataclass(frozen=True)
class Turn:
    """One answer: the call of a tool, or the last word. `id` is never used again: a program drops what it has seen."""

    tool: str | None = None
    arguments: Mapping[str, Any] | None = None
    id: str = field(default_factory=lambda: f"call_{uuid4().hex}")

    @property
    def words(self) -> str:
        return json.dumps(self.arguments)


@dataclass(frozen=True)
class No:
    """An answer that is a refusal: HTTP status, headers, JSON body."""

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str]


def turn(asked: Asked, script: Script) -> Turn:
    """A tool call as long as no tool has answered. A request without a shell is one beside the work, a title say."""
    shell = next((name for name in SHELLS if name in asked.tools), None)
    if shell and asked.answered and SUBMIT in asked.prompt:
        return Turn(shell, SHELLS[shell](f"echo {SUBMIT} && echo '{LAST_WORD}'"))
    if shell is None or asked.answered:
        return Turn()
    return Turn(shell, SHELLS[shell](script(asked.prompt)))


def _calls(prompt: str) -> Callable[[str, Mapping[str, object]], str]:
    """The curl command for one report, by the address and the token's file that the prompt names."""
    confs = re.findall(r"/[^\s\"'`]+/attempts/\d+/curl\.conf", prompt)
    tasks = re.findall(r"http://[^\s\"'`]+/api/projects/[\w.-]+/tasks/\d+", prompt)
    assert confs and tasks, f"the prompt names both: {prompt}"
    curl = f"curl -sS --fail-with-body --config {confs[-1]} -H 'Content-Type: application/json'"
    return lambda route, body: f"{curl} --data '{json.dumps(body)}' {tasks[-1]}/{route}"


def hand_in(prompt: str) -> str:
    """A shell script that reports the work's begin, hands a result in, and asks for review."""
    call = _calls(prompt)
    output = {"type": "document", "title": "Result", "content": "hello\n"}
    return " && ".join(
        (call("status", {"status": "working"}), call("outputs", output), call("status", {"status": "review"}))
    )


def wait_then_hand_in(prompt: str) -> str:
    """The same, but for a wait in the middle, by a child in a process group of its own."""
    call = _calls(prompt)
    review = call("status", {"status": "review"})
    return f"{call('status', {'status': 'working'})} && {{ timeout 120 tail -f /dev/null; {review}; }}"
