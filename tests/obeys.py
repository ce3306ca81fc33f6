#!/usr/bin/env python3
"""An agent that knows nothing but its prompt: it runs the prompt's own commands, each by a real shell.

Usage: obeys.py bb|curl FOLDER, with the prompt on standard input and the texts to report in FOLDER (`title`, `text`
and `big`). Every command runs from `/` with an empty environment. It ends with 9 when one of them fails.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

BB = ("start", "output TYPE", "path TYPE", "comment", "heartbeat", "show", "submit")
CURL = (
    "status=working", "text/plain", "report.json' <<|report.json <<", "application/json", "/comments", "/heartbeat", "expand=all",
    "status=review",
)  # fmt: skip


def shell_blocks(prompt: str) -> list[str]:
    """What stands between ```sh and ```, where the fence is not inside a longer one."""
    found: list[str] = []
    fence, kind = "", ""
    for line in prompt.split("\n"):
        ticks = re.match(r"`{3,}", line)
        if not fence and ticks:
            fence, kind = ticks[0], line.strip("`")
            found.append("")
        elif fence and line == fence:
            fence = ""
        elif fence and kind == "sh":
            found[-1] += line + "\n"
    return [block for block in found if block]


def commands(block: str) -> list[str]:
    """The commands of a block: one line each, with the lines of its heredoc."""
    found: list[str] = []
    end = ""
    for line in block.splitlines(keepends=True):
        if end:
            found[-1] += line
            end = "" if line.strip() == end else end
        elif line.strip():
            found.append(line)
            here = re.search(r"<<'(\w+)'$", line.strip())
            end = here[1] if here else ""
    return found


def filled(command: str, title: str, text: str) -> str:
    """The command with our words in the place of those in capitals."""
    first, *rest = command.split("\n")
    first = first.replace(" TYPE ", " document ").replace("=TYPE&", "=document&").replace("PLAIN-TITLE", "plain-1.0")
    if "report.json" in first and rest:
        rest[0] = rest[0].replace('"TYPE"', '"document"').replace('"TITLE"', json.dumps(title))
        rest[0] = rest[0].replace('"SUMMARY"', json.dumps(text))
    elif len(rest) > 1:
        end = rest[-2]
        rest = [*([title] if rest[0].startswith("TITLE") else []), text.rstrip("\n"), end, ""]
    return "\n".join([first, *rest])


def main(way: str, words: Path) -> int:
    prompt = sys.stdin.read()
    title, text = (words / "title").read_bytes().decode(), (words / "text").read_bytes().decode()
    folder = re.search(r"^Your folder is `(.+)`", prompt, re.MULTILINE)
    assert folder, "the prompt names no folder"
    (Path(folder[1]) / "FILE").write_bytes((words / "big").read_bytes())
    known = [command for block in shell_blocks(prompt) for command in commands(block)]
    mine = [each for each in known if each.startswith(("curl ", "cat >")) == (way == "curl")]
    for wanted in CURL if way == "curl" else BB:
        command = next(each for each in mine if any(word in each.split("\n")[0] for word in wanted.split("|")))
        said = subprocess.run(
            ["/bin/sh"], input=filled(command, title, text).encode(), cwd="/", env={}, capture_output=True, check=False
        )
        print(wanted, said.returncode, said.stdout.decode()[:300], said.stderr.decode()[:300], flush=True)
        if said.returncode != 0:
            return 9
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
