"""What `check` looks at before anything starts: one function a subject, each giving findings in plain sentences.

Changes nothing, and starts no agent. `run` asks only what it must refuse: `refusals`.
"""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import ssl
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from blackboard.board import ReadOnly
from blackboard.errors import BlackboardError
from blackboard.heartbeat_answers import is_empty
from blackboard.lock import holder
from orchestrator import exits, heartbeating, operator_token, slot_check
from orchestrator.config import Settings
from orchestrator.config_agent import AgentConfig
from orchestrator.filesystem import NETWORK, kind_of
from orchestrator.runners.table import PROGRAMS, runner_of

Level = Literal["ok", "warn", "fail"]


class Finding(NamedTuple):
    """What was looked at and what is to be said. `code`: the exit code when it fails."""

    level: Level
    what: str
    sentence: str
    code: int = exits.FAILED


Findings = Iterator[Finding]


def all_findings(settings: Settings) -> Findings:
    """Everything, in the order a person would mend it."""
    for look in LOOKS:
        yield from look(settings)


def refusals(settings: Settings) -> list[Finding]:
    """What `run` must not begin with."""
    found = [*_platform(settings), *_templates(settings), *_board_place(settings), *_tls(settings)]
    return [finding for finding in found if finding.level == "fail"]


def _platform(_settings: Settings) -> Findings:
    if sys.platform != "linux":
        yield Finding(
            "fail",
            "platform",
            f"`run` needs Linux, this is {platform.system()}: reading, `check` and `sql` work",
            exits.MISSING,
        )
    yield Finding("ok", "python", platform.python_version())


RESET_BUG = ((3, 7, 0), (3, 51, 2))  # the WAL-reset bug, in every release between but the backports
BACKPORTS = ((3, 50, 7), (3, 44, 6))


def has_reset_bug(version: tuple[int, int, int]) -> bool:
    """Whether an SQLite release has the WAL-reset bug (3.7.0 to 3.51.2, mended in 3.50.7+ and 3.44.6+ too)."""
    mended = any(version[:2] == backport[:2] and version >= backport for backport in BACKPORTS)
    return RESET_BUG[0] <= version <= RESET_BUG[1] and not mended


def _sqlite(_settings: Settings) -> Findings:
    major, minor, patch = (int(part) for part in sqlite3.sqlite_version.split("."))
    if (major, minor, patch) < (3, 37, 0):
        yield Finding("fail", "sqlite", f"{sqlite3.sqlite_version} is too old: 3.37 has STRICT tables", exits.MISSING)
    elif has_reset_bug((major, minor, patch)):
        yield Finding(
            "warn",
            "sqlite",
            f"{sqlite3.sqlite_version} has the WAL-reset bug (3.7.0 to 3.51.2, mended in 3.51.3, 3.50.7 and 3.44.6): very "
            "rarely two writers at one moment can damage a file; write with one process at a time, keep backups",
        )
    else:
        yield Finding("ok", "sqlite", sqlite3.sqlite_version)


def _config(settings: Settings) -> Findings:
    file = settings.config_file
    if file is None:
        yield Finding("warn", "config", "no file found, only defaults: `orchestrator init` writes one")
        return
    yield Finding("ok", "config", str(file))
    if any(agent.env for agent in settings.agents.values()) and _is_open(file):
        yield Finding("warn", "config", f"others can read {file}, and it holds values for agents: chmod 600 {file}")


def _prompts(settings: Settings) -> Findings:
    from prompts.checking import check

    problems = check()
    yield from (Finding("fail", "prompts", problem) for problem in problems)
    if not problems:
        yield Finding("ok", "prompts", "every template renders")
    yield from _templates(settings)


def _templates(settings: Settings) -> Findings:
    folder = settings.prompts.templates
    if folder is None:
        return
    from prompts.overrides import Reader, check_folder

    agents = {name: Reader(agent.calls_back, agent.ack) for name, agent in settings.agents.items()}
    problems = check_folder(folder, agents, [project.id for project in settings.projects])
    yield from (Finding("fail", "templates", problem, exits.USAGE) for problem in problems)
    if not problems:
        yield Finding("ok", "templates", str(folder))


def _agents(settings: Settings) -> Findings:
    enabled = {name: agent for name, agent in settings.agents.items() if agent.enabled}
    if not enabled:
        yield Finding("warn", "agents", "none is enabled, so nothing will be claimed: add [agents.NAME] with argv")
    for name, agent in enabled.items():
        yield from _agent(name, agent)


def _agent(name: str, agent: AgentConfig) -> Findings:
    program = runner_of(agent).program(agent)
    found = program if "{" in program else shutil.which(program, path=agent.env.get("PATH"))
    if found is None:
        where = "is not an executable file" if "/" in program else "is not in PATH"
        sentence = f"its program {program} {where}: {_how_to_get(agent)}"
        yield Finding("fail", f"agent {name}", sentence, exits.MISSING)
    else:
        yield Finding("ok", f"agent {name}", found)
        said = _looked_at(name, agent, found)
        yield from (Finding(level, f"agent {name}", sentence, exits.MISSING) for level, sentence in said)
    for variable in agent.pass_env:
        if variable not in os.environ:
            yield Finding("warn", f"agent {name}", f"pass_env names {variable}, which is not set here")
    from orchestrator import workspace_check

    yield from (
        Finding(level, f"agent {name}", said, code) for level, said, code in workspace_check.looked_at(name, agent)
    )
    if agent.workspace is not None and not agent.workspace.is_dir():
        yield Finding(
            "fail",
            f"agent {name}",
            f"its workspace {agent.workspace} is not a folder: make it, or name another",
            exits.USAGE,
        )


def _how_to_get(agent: AgentConfig) -> str:
    install = runner_of(agent).install
    if install is None:
        return "install it, or mend argv"
    table = "openclaw" if agent.runner == "openclaw" else "program"
    return f"install it (`{install}`), or set {table}.binary"


def _looked_at(name: str, agent: AgentConfig, found: str) -> Iterator[tuple[Level, str]]:
    """What is to be said of the program that was found, for the runners that know theirs."""
    if agent.runner == "openclaw":
        from orchestrator import openclaw_check

        yield from openclaw_check.looked_at(name, agent, found)
    elif agent.runner != "command":
        from orchestrator import program_check

        yield from program_check.looked_at(agent, PROGRAMS[agent.runner], found)


def _containment(settings: Settings) -> Findings:
    from orchestrator import containment_check

    for level, agent, sentence in containment_check.looked_at(settings):
        yield Finding(level, f"agent {agent}", sentence, exits.MISSING)


def _reviewers(settings: Settings) -> Findings:
    """Reviews that are asked of nobody: they become a person's, which may not be what was meant."""
    for agent in (None, *settings.agents):
        review = settings.policy_for(agent).review
        kind, _, name = review.partition(":")
        able = {
            other for other, config in settings.agents.items()
            if config.enabled and (other == name if kind == "agent" else name in config.roles)
        }  # fmt: skip
        if kind in ("agent", "role") and not able - {agent}:
            whose = f"of agent {agent}'s tasks" if agent else "of tasks"
            said = f"the review {whose} is asked of {review}, and no other enabled agent is that: a person will review"
            yield Finding("warn", "reviews", said)


def _slots(settings: Settings) -> Findings:
    for file in settings.slots.files:
        try:
            sentences = slot_check.refused(settings, file)
        except BlackboardError as error:
            sentences = [f"{error.sentence}; mend the file, or take it out of slots.files"]
        yield from (Finding("fail", "slots", sentence, exits.USAGE) for sentence in sentences)
        if not sentences:
            yield Finding("ok", "slots", str(file))


def _heartbeats(settings: Settings) -> Findings:
    try:
        for each in heartbeating.configured_by(settings):
            if each.settings.enabled and is_empty(each.settings.checklist):
                sentence = f"agent {each.agent}: its checklist is empty, so every beat is passed over; give it checklist or checklist_file"
                yield Finding("warn", "heartbeats", sentence)
    except BlackboardError as error:
        yield Finding("fail", "heartbeats", error.sentence, exits.USAGE)


def _calendars(settings: Settings) -> Findings:
    if not settings.calendars:
        return
    from orchestrator.calendar_check import looked_at

    for name in settings.calendars:
        for level, sentence in looked_at(name, settings):
            yield Finding(level, f"calendar {name}", sentence)


def _backends(settings: Settings) -> Findings:
    if not settings.backends:
        return
    from orchestrator.backend_check import looked_at

    for name in settings.backends:
        for level, sentence in looked_at(name, settings):
            yield Finding(level, f"backend {name}", sentence)


def _sinks(settings: Settings) -> Findings:
    if not settings.sinks:
        return
    from orchestrator.sink_check import looked_at

    for name in settings.sinks:
        for level, sentence in looked_at(name, settings):
            yield Finding(level, f"sink {name}", sentence, exits.MISSING)


def _watches(settings: Settings) -> Findings:
    if not settings.watches:
        return
    from orchestrator.watch_check import looked_at

    for name in settings.watches:
        for level, sentence in looked_at(name, settings):
            yield Finding(level, f"watch {name}", sentence)


def _board_place(settings: Settings) -> Findings:
    if settings.board == settings.config_file:
        yield Finding("fail", "board", f"{settings.board} is the configuration itself: name another file", exits.USAGE)
    elif settings.board.is_dir():
        yield Finding("fail", "board", f"{settings.board} is a folder: name a file, e.g. board.db in it", exits.USAGE)
    for what, path in (("board", settings.board), ("state", settings.state_dir)):
        kind = kind_of(path)
        if kind in NETWORK:
            yield Finding(
                "fail",
                what,
                f"{path} is on a network file system ({kind}), where SQLite's locks do not hold: use a local disk",
                exits.USAGE,
            )
        folder = next(each for each in (path if what == "state" else path.parent, *path.parents) if each.exists())
        if not folder.is_dir():
            yield Finding("fail", what, f"{folder} is a file, and a folder is needed: name another path", exits.USAGE)
        elif not os.access(folder, os.W_OK | os.X_OK):
            yield Finding("fail", what, f"{folder} cannot be written by this user", exits.FAILED)


def _board(settings: Settings) -> Findings:
    yield from _board_place(settings)
    board = settings.board
    if board.is_dir() or board == settings.config_file:
        return
    if not board.exists():
        yield Finding("warn", "board", f"there is none at {board} yet: `orchestrator init` or `run` makes it")
        return
    try:
        with ReadOnly(board):
            yield Finding("ok", "board", str(board))
    except BlackboardError as error:
        yield Finding("fail", "board", error.sentence)
    if _is_open(board):
        yield Finding("warn", "board", f"others can read {board}: chmod 600 {board}")


def _state(settings: Settings) -> Findings:
    for folder in (settings.attempts_dir, settings.workspaces_dir):
        if folder.exists() and _is_open(folder):
            yield Finding("fail", "state", f"others can look into {folder}, where agents work: chmod 700 {folder}")


def _token(settings: Settings) -> Findings:
    file = settings.token_file
    try:
        operator_token.read(file)
    except exits.Exit as error:
        yield Finding("warn", "token", error.sentence)
        return
    if operator_token.is_private(file):
        yield Finding("ok", "token", str(file))
    else:
        yield Finding("fail", "token", f"others can read the operator token: chmod 600 {file}")


def _tls(settings: Settings) -> Findings:
    cert, key = settings.api.tls_cert, settings.api.tls_key
    if cert is None or key is None:
        return
    lost = [file for file in (cert, key) if not file.is_file()]
    yield from (Finding("fail", "api", f"{file} of the TLS settings is not a file", exits.USAGE) for file in lost)
    if not lost:
        try:
            ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(cert, key)
        except (OSError, ssl.SSLError) as error:
            told = f"tls_cert {cert} and tls_key {key} cannot be used: {error}; give a certificate and its key in PEM"
            yield Finding("fail", "api", told, exits.USAGE)


def _api(settings: Settings) -> Findings:
    api = settings.api
    yield from _tls(settings)
    if not api.tls_cert and not api.is_loopback:
        yield Finding("warn", "api", f"{api.host} is reachable from other machines without TLS (allow_insecure_bind)")
    found = holder(settings.board)
    if found:
        yield Finding(
            "ok",
            "api",
            f"process {found.get('pid')} holds the board" + (f", {found['url']}" if found.get("url") else ""),
        )
        return
    try:
        from orchestrator.listening import bound

        bound(api).close()
        yield Finding("ok", "api", f"{api.local_url()} is free")
    except exits.Exit as error:
        yield Finding("fail", "api", error.sentence, error.code)


def _is_open(path: Path) -> bool:
    return stat.S_IMODE(path.stat().st_mode) & 0o077 != 0


LOOKS: tuple[Callable[[Settings], Findings], ...] = (
    _platform, _sqlite, _config, _prompts, _agents, _containment, _reviewers, _slots, _heartbeats, _calendars, _backends, _sinks, _watches, _board, _state, _token,
    _api,
)  # fmt: skip
