"""How an agent's program is started: its argument list and its environment, as values.

Pure: starts nothing, reads nothing. The runner so far is any command; a further one is a further function here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.config import AgentConfig
from orchestrator.processes import MARKER

# What an agent inherits of our own environment: never a secret of the orchestrator's.
INHERITED = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "LC_MESSAGES", "TZ", "TMPDIR",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME",
)  # fmt: skip


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
    def launch(self) -> Path:
        return self.directory / "launch.json"


def argv(agent: AgentConfig, name: str, brief: Mapping[str, Any], place: Place, base_url: str) -> list[str]:
    """The program and its arguments, with the placeholders of the configuration filled in."""
    values = {
        "prompt_file": str(place.prompt), "workspace": str(place.workspace), "directory": str(place.directory),
        "task": str(brief["task"]["id"]), "attempt": str(brief["attempt"]), "agent": name, "project": brief["project"],
        "base_url": base_url, "session_key": brief["session_key"],
    }  # fmt: skip
    return [word.format_map(values) for word in agent.argv]


def environment(agent: AgentConfig, ours: Mapping[str, str], marker: str) -> dict[str, str]:
    """The allow-listed part of our environment, what the configuration adds, and the attempt's marker."""
    passed = {name: ours[name] for name in (*INHERITED, *agent.pass_env) if name in ours}
    return passed | dict(agent.env) | {MARKER: marker}


def launch_plan(
    agent: AgentConfig, words: list[str], env: Mapping[str, str], place: Place, boot_id: str, claimed_at: str
) -> dict[str, object]:
    """What the launcher reads, and two marks for a later daemon: `boot_id` tells whether the pids in `status` still
    mean something, `claimed_at` whose directory it is (after a restored backup, attempt numbers come again)."""
    return {
        "argv": words,
        "cwd": str(place.workspace),
        "env": dict(env),
        "stdin": str(place.prompt) if agent.prompt == "stdin" else None,
        "stdout": str(place.stdout),
        "stderr": str(place.stderr),
        "log_cap": agent.log_cap_bytes,
        "leftovers": agent.leftovers,
        "leftover_grace": min(agent.grace_seconds, 5.0),
        "boot_id": boot_id,
        "claimed_at": claimed_at,
    }
