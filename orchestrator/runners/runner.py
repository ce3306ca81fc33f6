"""What a runner is, and what every one of them has in common: an attempt's place, environment and launch plan.

Pure: starts nothing, reads nothing. The runners themselves are rows of `orchestrator.runners.table`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.config_agent import AgentConfig
from orchestrator.processes import MARKER
from orchestrator.runners.result import Result, Usage
from orchestrator.spool import NAME

# What an agent inherits of our own environment: never a secret of the orchestrator's.
INHERITED = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TZ", "TMPDIR",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME",
)  # fmt: skip

# What keeps programs from asking for updates, drawing on a terminal and telling others of us.
QUIET: Mapping[str, str] = {
    "NO_COLOR": "1", "TERM": "dumb", "CI": "1", "NO_UPDATE_NOTIFIER": "1", "DO_NOT_TRACK": "1",
}  # fmt: skip

MIB = 2**20


DEADLINE = "{deadline_seconds}"  # the one placeholder of program.args and env
EARLIER, SHARE = 60.0, 0.25  # our deadline less so many seconds, or less this share of it where that is less


def deadline(wall_seconds: float) -> int:
    """Whole seconds, at least one: earlier than ours, so that the program can still say how it went."""
    return max(1, int(wall_seconds - min(EARLIER, wall_seconds * SHARE)))


@dataclass(frozen=True)
class Place:
    """Where one attempt lives: its own directory, and the workspace it works in."""

    directory: Path
    workspace: Path

    @property
    def prompt(self) -> Path:
        return self.directory / "prompt.md"

    @property
    def stdout(self) -> Path:
        return self.directory / "stdout.log"

    @property
    def stderr(self) -> Path:
        return self.directory / "stderr.log"

    @property
    def curl_conf(self) -> Path:
        return self.directory / "curl.conf"

    @property
    def bb(self) -> Path:
        return self.directory / "bb"

    @property
    def spool(self) -> Path:
        return self.directory / NAME

    @property
    def launch(self) -> Path:
        return self.directory / "launch.json"


@dataclass(frozen=True)
class Run:
    """One attempt as its runner sees it: who, told what (`brief`; `prompt` is the text), where, what address it may call."""

    name: str
    agent: AgentConfig
    brief: Mapping[str, Any]
    place: Place
    base_url: str
    prompt: str

    @property
    def values(self) -> dict[str, str]:
        """The placeholders of the configuration, filled in."""
        return {
            "prompt_file": str(self.place.prompt), "workspace": str(self.place.workspace),
            "directory": str(self.place.directory), "task": str(self.brief["task"]["id"]),
            "attempt": str(self.brief["attempt"]), "agent": self.name, "project": self.brief["project"],
            "base_url": self.base_url, "session_key": self.brief["session_key"], "deadline_seconds": self.deadline,
        }  # fmt: skip

    @property
    def deadline(self) -> str:
        """The seconds a program may be told it has: it ends before we end it."""
        return str(deadline(self.brief["limits"]["wall_seconds"]))

    def told(self, word: str) -> str:
        """A word of the operator's that stands as it is, but for the deadline."""
        return word.replace(DEADLINE, self.deadline) if DEADLINE in word else word


@dataclass(frozen=True)
class Stop:
    """How a run is asked to end: the first signal, and the seconds until KILL."""

    signal: int
    grace: float


@dataclass(frozen=True)
class Ended:
    """What a program left: its standard output and the end of its standard error, and its exit code if it has one.

    `report`: the text of the file that it writes about its run, for a runner that asks for one.
    """

    stdout: str
    stderr: str
    code: int | None
    report: str = ""


@dataclass(frozen=True)
class Elsewhere:
    """How to know whether a run goes on in another process, and how to end it there. Seconds.

    `probe`: asked every `every`; without one the run counts as over after `hold`, with 0 when a person says so.
    """

    probe: tuple[str, ...]
    cancel: tuple[str, ...]
    every: float
    hold: float
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Sessions:
    """How a program goes on with a session. `own_id`: it takes one of ours at the start, else it tells one.

    `same_folder`: it finds its sessions only from the folder they began in. `totals`: the numbers of its result that
    count all of the session.
    """

    own_id: bool = False
    same_folder: bool = False
    totals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Runner:
    """One way to run agents, as data.

    `program`: what must be found before anything starts. `argv`, `environment`: of one run. `stdin`: whether the prompt
    goes there. `stop`: how it is ended. `parse`: what the program says of its own run, None where it says nothing.
    `elsewhere`: how to know of a run that lives in another process and may outlive the one we started; None where none does.
    `memory`: bytes that one run is known to need. `writes`: the folders of its own that it writes to, `~` for HOME.
    `most_prompt_bytes`: a longer prompt is refused before anything starts. `plain`: the prompt so that the program takes all
    of it as text. `report_file`: the file in the attempt's directory that the program writes about its run. `install`: how
    to get the program, for a person. `spent`: what its standard output says it has used so far, None where it says nothing
    before its end. `sessions`: how it goes on with one; None where every run begins anew, or where
    its own session key says all.
    """

    program: Callable[[AgentConfig], str]
    argv: Callable[[Run], list[str]]
    environment: Callable[[Run], dict[str, str]]
    stdin: Callable[[AgentConfig], bool]
    stop: Callable[[AgentConfig], Stop]
    parse: Callable[[Ended], Result] | None = None
    elsewhere: Callable[[AgentConfig], Elsewhere | None] = lambda _agent: None
    memory: Callable[[AgentConfig], int] = lambda _agent: 64 * MIB
    writes: Callable[[AgentConfig], tuple[str, ...]] = lambda _agent: ()
    most_prompt_bytes: int | None = None
    plain: Callable[[str], str] = lambda prompt: prompt
    report_file: str | None = None
    install: str | None = None
    spent: Callable[[str], Usage] | None = None
    sessions: Sessions | None = None


def graceful(agent: AgentConfig) -> Stop:
    """The stop as the configuration says it."""
    return Stop(getattr(signal, f"SIG{agent.graceful_signal}"), agent.grace_seconds)


def environment(
    agent: AgentConfig,
    ours: Mapping[str, str],
    marker: str,
    added: Mapping[str, str] | None = None,
    told: Callable[[str], str] = str,
) -> dict[str, str]:
    """The allow-listed part of our environment, what runner and configuration add, and the attempt's marker if it has one.

    `told`: fills in the placeholder of the configuration's values, where there is an attempt.
    """
    passed = {name: ours[name] for name in (*INHERITED, *agent.pass_env) if name in ours}
    return (
        passed
        | dict(added or {})
        | {name: told(value) for name, value in agent.env.items()}
        | ({MARKER: marker} if marker else {})
    )


def launch_plan(
    agent: AgentConfig,
    words: list[str],
    env: Mapping[str, str],
    place: Place,
    boot_id: str,
    claimed_at: str,
    *,
    stdin: bool,
    sandboxed: bool = False,
) -> dict[str, object]:
    """What the launcher reads, and two marks for a later daemon: `boot_id` tells whether the pids in `status` still
    mean something, `claimed_at` whose directory it is (after a restored backup, attempt numbers come again).
    `sandboxed`: the first process is the sandbox, with the agent inside."""
    return {
        "argv": words,
        "cwd": str(place.workspace),
        "env": dict(env),
        "stdin": str(place.prompt) if stdin else None,
        "stdout": str(place.stdout),
        "stderr": str(place.stderr),
        "log_cap": agent.log_cap_bytes,
        "leftovers": agent.leftovers,
        "leftover_grace": min(agent.grace_seconds, 5.0),
        "rlimits": agent.limits.held_by_the_kernel,
        "nice": agent.nice,
        "sandboxed": sandboxed,
        "boot_id": boot_id,
        "claimed_at": claimed_at,
    }
