"""What `check` looks at of an openclaw agent: the program's version, its state folder, whether its gateway answers.

Asks the program for its version and opens one connection to the gateway; changes nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from orchestrator.config_agent import AgentConfig
from orchestrator.runners import openclaw
from orchestrator.runners.runner import environment
from orchestrator.versions import NoVersion, asked, told

Said = Iterator[tuple[Literal["ok", "warn", "fail"], str]]
CONNECT_SECONDS = 2.0
OLDEST = (2026, 5, 21)  # has --session-key
PORT = 18789


def looked_at(name: str, agent: AgentConfig, program: str) -> Said:
    """The findings about an agent whose program was found."""
    if os.environ.get("OPENCLAW_SHELL") == "exec":
        yield (
            "warn",
            (
                "OPENCLAW_SHELL=exec is set here: this is the shell tool of an agent, where openclaw refuses to start another; "
                "start the daemon from a shell or a service of your own"
            ),
        )
    env = environment(agent, os.environ, "", openclaw.environment(agent))
    yield from _version(program, env)
    if agent.openclaw.mode == "gateway":
        yield from _gateway(name, agent, env)
    elif (folder := agent.openclaw.state_dir) is not None and not (folder / "openclaw.json").is_file():
        yield (
            "warn",
            f"there is no openclaw.json in its state folder {folder}: openclaw knows no model and no agent there",
        )


def _version(program: str, env: Mapping[str, str]) -> Said:
    found = asked(program, env)
    if isinstance(found, NoVersion):
        yield found.level, found.sentence
    elif found < OLDEST:
        yield "fail", f"openclaw {told(found)} has no --session-key: it needs {told(OLDEST)} or later"
    else:
        yield "ok", f"openclaw {told(found)}"


def _gateway(name: str, agent: AgentConfig, env: Mapping[str, str]) -> Said:
    host, port = _address(env)
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
        yield "ok", f"its gateway listens at {host}:{port}"
    except OSError as error:
        yield "warn", f"its gateway does not answer at {host}:{port} ({error}): start it with `openclaw gateway run`"
    if not agent.openclaw.probe and not agent.openclaw.hold_seconds:
        yield (
            "warn",
            (
                "without probe and hold_seconds, a run that loses its process waits for a person (`orchestrator gone`): set one "
                f"in [agents.{name}.openclaw]"
            ),
        )


def _address(env: Mapping[str, str]) -> tuple[str, int]:
    """Where the gateway is, as openclaw would find it: a variable, its configuration, else the usual port."""
    if url := env.get("OPENCLAW_GATEWAY_URL"):
        with contextlib.suppress(ValueError):
            parts = urlsplit(url)
            return parts.hostname or "127.0.0.1", parts.port or (443 if parts.scheme in ("wss", "https") else 80)
    port: object = env.get("OPENCLAW_GATEWAY_PORT")
    folder = Path(env.get("OPENCLAW_STATE_DIR") or Path(env.get("HOME", "/")) / ".openclaw")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        port = port or json.loads((folder / "openclaw.json").read_text(encoding="utf-8"))["gateway"]["port"]
    return "127.0.0.1", int(port) if isinstance(port, int) or (isinstance(port, str) and port.isdigit()) else PORT
