"""Putting an agent into its sandbox: the words before its program, or the sentence why there are none.

It must never start an agent unwrapped that may only run wrapped, and never let it go unsaid that one runs so.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from orchestrator import sandbox
from orchestrator.config import Settings
from orchestrator.config_agent import AgentConfig
from orchestrator.config_contain import is_preset
from orchestrator.runners.runner import Place
from orchestrator.worktrees import GitError

TRIED_FOR = 300.0  # seconds that a sandbox which worked is believed to work
TRY_SECONDS = 10.0


class NoSandbox(Exception):
    """The agent may not be started; str() is the sentence."""


class Wrapped(NamedTuple):
    """The words put before the program, empty when it runs as it is; `without`: why there is no sandbox, though asked."""

    words: list[str]
    without: str | None = None


def tried(program: str) -> str | None:
    """Try the preset on `true`: None when it works here, else the sentence why not. Blocking, some 20 ms."""
    found = shutil.which(program)
    if found is None:
        return f"the sandbox's program {program} is not in PATH: install it (Debian: apt-get install bubblewrap)"
    try:
        done = subprocess.run(  # noqa: S603 - words of ours, no shell
            [found, *sandbox.cage(), "--die-with-parent", "--", "true"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TRY_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        return f"the sandbox {found} could not be tried: {error}"
    if done.returncode == 0:
        return None
    said = " ".join(done.stderr.split())[:200] or f"exit code {done.returncode}"
    return f"the sandbox {found} does not work here: {said}"


class Wrapping:
    """Wraps the agents of one daemon, and remembers for a while that the sandbox works."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._worked_at: float | None = None

    def wrapped(
        self, agent: AgentConfig, place: Place, values: Mapping[str, str], home: str, now: float,
        repository: Path | None = None,
    ) -> Wrapped:  # fmt: skip
        """The words for one attempt, or a check of it. NoSandbox. Blocking.

        `values`: of the placeholders; `now`: seconds of a clock that never jumps; `repository`: whose worktree it works in.
        """
        if not agent.wrap:
            return Wrapped([])
        if not is_preset(agent):
            said = [word.format_map({**values, "home": home}) for word in agent.wrap]
            return Wrapped([found_program(said[0]), *said[1:]])
        if problem := self._problem(agent, now):
            if agent.require_sandbox:
                raise NoSandbox(f"{problem}; nothing is started, because require_sandbox = true")
            return Wrapped([], f"it runs without its sandbox: {problem}")
        _make_own_folders(agent, home)
        try:
            said = sandbox.words(agent, self._settings, place, home, repository)
            return Wrapped([found_program(agent.wrap[0]), *said])
        except (sandbox.TooFull, GitError) as error:
            raise NoSandbox(str(error)) from error

    def _problem(self, agent: AgentConfig, now: float) -> str | None:
        if self._worked_at is not None and 0 <= now - self._worked_at < TRIED_FOR and shutil.which(agent.wrap[0]):
            return None
        problem = tried(agent.wrap[0])
        self._worked_at = None if problem else now
        return problem


def found_program(word: str) -> str:
    """The absolute path of a wrapping program; NoSandbox."""
    found = word if "/" in word else shutil.which(word)
    if found is None:
        raise NoSandbox(f"the program {word!r} of wrap is not in PATH: install it, or give its path")
    return found


def _make_own_folders(agent: AgentConfig, home: str) -> None:
    """A program that has never run would have to make its folder inside, where HOME is read-only."""
    for folder in sandbox.own_folders(agent, home):
        if not folder.suffix and not folder.exists():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
