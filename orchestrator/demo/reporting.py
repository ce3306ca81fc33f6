"""Reports with the commands of a prompt, run in a real shell: what an agent's hands do.

Chooses among the commands it was told and puts its words in the places marked for them; makes up no command, no
address and no path of its own. Never reads the `curl` file.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from orchestrator.demo.orders import Orders

_HEREDOC = re.compile(r" <<'\w+'$")
_PLAIN = re.compile(r"[A-Za-z0-9.-]+")
_NO_ANSWER = frozenset({7, 28, 52, 56})  # of curl, as the prompt says
_TRIES = 5  # as the prompt says


class Refused(Exception):
    """The API has refused: nothing has changed, and the sentence says what to do."""


class Unsent(Exception):
    """The API gave no answer, whatever was tried."""


@dataclass(frozen=True)
class Handed:
    """What was made: a file in the folder, to hand in by its content or by its path."""

    type: str
    title: str
    summary: str
    file: str
    by_path: bool = False


@dataclass
class Reporter:
    """`way` is `bb` or `curl`; `pause` in seconds, between two tries when the API does not answer."""

    orders: Orders
    way: str = "bb"
    pause: float = 30.0

    def start(self) -> None:
        self._say(self._one("start", "status=working"))

    def heartbeat(self) -> None:
        self._say(self._one("heartbeat", "/heartbeat"))

    def submit(self) -> None:
        self._say(self._one("submit", "status=review"))

    def answer(self, text: str | None) -> None:
        """What a heartbeat found; None: nothing, in the word its prompt has for that."""
        command = self._one("submit", "status=review")
        self._say(command if text is None else _with_text(command, text))

    def approve(self, text: str) -> None:
        self._say(_with_text(self._one("approve", "status=done"), text))

    def reject(self, text: str) -> None:
        self._say(_with_text(self._one("reject", "status=pending"), text))

    def comment(self, text: str) -> None:
        self._say(_with_text(self._one("comment", "/comments"), text))

    def fail(self, text: str, *, final: bool = False) -> None:
        command = self._one("fail", "status=failed")
        if final:
            command = command.replace(" fail -", " fail --final -", 1).replace("final=false", "final=true", 1)
        self._say(_with_text(command, text))

    def block(self, kind: str, text: str) -> None:
        self._say(_with_text(self._one("block", "status=blocked").replace("KIND", kind, 1), text))

    def hand_in(self, made: Handed) -> None:
        if self.way == "bb":
            self._say(self._hand_in_by_bb(made))
        elif made.by_path or not _PLAIN.fullmatch(made.title):
            self._say(self._hand_in_by_json(made))
        else:
            command = self._one("", "text/plain").replace("=TYPE&title=PLAIN-TITLE", f"={made.type}&title={made.title}")
            self._say(command.replace("/FILE", "/" + made.file, 1))

    def _hand_in_by_bb(self, made: Handed) -> str:
        command = self._one("path" if made.by_path else "output", "").replace(" TYPE ", f" {made.type} ", 1)
        return _with_text(command.replace("/FILE", "/" + made.file, 1), f"{made.title}\n{made.summary}")

    def _hand_in_by_json(self, made: Handed) -> str:
        """Two commands of the prompt: the one that writes the JSON to a file, and the one that sends it."""
        write = next(command for command in self.orders.commands if command.startswith("cat >"))
        fields = json.loads(write.split("\n")[1])
        path = fields["content_path"].replace("/FILE", "/" + made.file)
        fields |= {"type": made.type, "title": made.title, "summary": made.summary, "content_path": path}
        return _with_text(write, json.dumps(fields, ensure_ascii=False)) + self._one("", "application/json")

    def _one(self, word: str, part: str) -> str:
        """The command to choose: with `bb`, the one of this word; with curl, the one with this part in a word."""
        if self.way == "bb":
            return next(each for each in self.orders.commands if _words(each)[1] == word and not _is_curl(each))
        return next(each for each in self.orders.commands if _is_curl(each) and any(part in w for w in _words(each)))

    def _say(self, command: str) -> None:
        """Run it until the API has answered, or give up and leave the words where the next attempt finds them."""
        for tries_left in reversed(range(_TRIES)):
            done = subprocess.run(["/bin/sh"], input=command, text=True, capture_output=True)
            print(done.stdout + done.stderr, end="", flush=True)
            if done.returncode == 0:
                return
            if not self._unanswered(done):
                raise Refused((done.stderr + done.stdout).strip())
            if tries_left:
                time.sleep(self.pause)
        Path(self.orders.folder, "UNSENT.md").write_text(command, encoding="utf-8")
        raise Unsent

    def _unanswered(self, done: subprocess.CompletedProcess[str]) -> bool:
        if self.way == "bb":
            return done.returncode == 75
        return done.returncode in _NO_ANSWER or (done.returncode == 22 and _status(done.stdout) >= 500)


def _is_curl(command: str) -> bool:
    return command.startswith("curl ")


def _words(command: str) -> list[str]:
    return shlex.split(_HEREDOC.sub("", command.split("\n")[0]))


def _with_text(command: str, text: str) -> str:
    """The command with this text between its heredoc's marks."""
    first, *_, end = command.rstrip("\n").split("\n")
    return f"{first}\n{text}\n{end}\n"


def _status(answer: str) -> int:
    """The `status` of a problem document; 500 when it is none, as from a proxy."""
    try:
        return int(json.loads(answer)["status"])
    except (ValueError, KeyError, TypeError):
        return 500
