"""Stands in for a person at the review of the demo: looks at what waits, checks it, approves or rejects.

Uses the real command line and nothing else, given as its arguments; one look, then it ends with exit code 0.
What it cannot check it leaves to a person.

    python -m orchestrator.demo.desk orchestrator --config FILE
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_LAST_LINE = re.compile(r"must end with a line ['\"](.+?)['\"]", re.IGNORECASE)
_CONTAINS = re.compile(r"must contain ['\"](.+?)['\"]", re.IGNORECASE)


def main(argv: Sequence[str] | None = None) -> int:
    """Look once through everything that waits for review; the exit code."""
    command = list(sys.argv[1:] if argv is None else argv)
    if not command:
        print("usage: desk COMMAND...: how to call the orchestrator", file=sys.stderr)
        return 2
    for waiting in _asked(command, "tasks", "--status", "review"):
        _review(command, int(waiting["id"]))
    return 0


def _review(command: list[str], task_id: int) -> None:
    task = _asked(command, "show", str(task_id))
    if task.get("reviewer") and not task.get("handed_over"):
        return  # an agent is asked before a person is
    conditions = [line for line in task["must_haves"].splitlines() if line.strip()]
    checks = [check_of(condition) for condition in conditions]
    if None in checks:
        print(f"task {task_id}: a person must look at this, I cannot check it", flush=True)
        return
    contents = _contents(task)
    missing = [
        condition
        for condition, check in zip(conditions, checks, strict=True)
        if check and not any(check(content) for content in contents)
    ]
    if missing:
        _say(command, "reject", str(task_id), "--", "Not yet: " + " ".join(missing))
    else:
        _say(command, "approve", str(task_id))


def check_of(condition: str) -> Callable[[str], bool] | None:
    """How to check a condition on an output's text; None when it takes a person."""
    last, contains = _LAST_LINE.search(condition), _CONTAINS.search(condition)
    if last:
        beginning = last[1].rstrip("…. ")
        return lambda text: text.rstrip().rpartition("\n")[2].startswith(beginning)
    if contains:
        return lambda text: contains[1] in text
    return None


def _contents(task: dict[str, Any]) -> list[str]:
    """The texts of the outputs of the latest attempt."""
    folders = {attempt["id"]: attempt["workspace"] for attempt in task["attempts"]}
    latest = [output for output in task["outputs"] if output["attempt_id"] == task["attempt_id"]]
    return [
        output["content"]
        if output["content"] is not None
        else Path(folders[output["attempt_id"]], output["content_path"]).read_text(errors="replace")
        for output in latest
    ]


def _asked(command: list[str], *words: str) -> Any:
    """The JSON answer of a command."""
    done = subprocess.run([*command, *words, "--json"], stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603  # our own argv
    return json.loads(done.stdout)


def _say(command: list[str], *words: str) -> None:
    """Run a command; when somebody was faster its refusal is only told."""
    subprocess.run([*command, *words], check=False)  # noqa: S603  # our own argv


if __name__ == "__main__":
    sys.exit(main())
