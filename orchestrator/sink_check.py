"""What `check` says of a sink: whether its program, its folder, its secret and its address are there. Tells it nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from orchestrator.asking import NoAnswer
from orchestrator.config import Settings
from orchestrator.config_sinks import SinkConfig
from orchestrator.sinks import addresses, files, signing

Said = Iterator[tuple[Literal["ok", "warn", "fail"], str]]


def looked_at(name: str, settings: Settings) -> Said:
    """The findings about one sink."""
    config = settings.sinks[name]
    for variable in config.pass_env:
        if variable not in os.environ:
            yield "warn", f"pass_env names {variable}, which is not set here"
    if config.type == "task":
        yield from _task(config, settings)
    elif config.type == "file":
        yield from _folder(config.folder)
    elif config.type == "webhook":
        yield from _webhook(config)
    else:
        yield from _program(config.binary if config.type == "openclaw" else config.argv[0], config)


def _task(config: SinkConfig, settings: Settings) -> Said:
    whom = f"agent {config.agent}" if config.agent is not None else f"role {config.role}"
    able = [
        name for name, agent in settings.agents.items()
        if agent.enabled and (name == config.agent or (config.role is not None and config.role in agent.roles))
    ]  # fmt: skip
    if able:
        yield "ok", f"tasks for {whom}"
    else:
        yield "warn", f"tasks for {whom}, and no enabled agent is that: they will wait"


def _folder(folder: Path | None) -> Said:
    try:
        yield from _of_its_own(folder) if folder is not None else ()
    except OSError as error:  # it is in a folder that we may not look into, or its name is too long
        yield "fail", f"{folder} cannot be looked at: {error.strerror}: name another folder"


def _of_its_own(folder: Path) -> Said:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        yield "fail", f"{folder} is no folder of its own: name one, or take away what is there"
    elif folder.exists() and (problem := files.problem_of(folder.stat(), folder)):
        yield "fail", problem
    else:
        above = next(each for each in (folder, *folder.parents) if each.exists())
        writable = above.is_dir() and os.access(above, os.W_OK | os.X_OK)
        yield (
            ("ok", str(folder))
            if writable
            else ("fail", f"{above} cannot be written by this user: name another folder")
        )


def _program(program: str, config: SinkConfig) -> Said:
    if "{" in program:
        return
    found = shutil.which(program, path=config.env.get("PATH"))
    if found is None:
        where = "is not an executable file" if "/" in program else "is not in PATH"
        yield "fail", f"its program {program} {where}: install it, or name another"
    else:
        yield "ok", found


def _webhook(config: SinkConfig) -> Said:
    if config.secret_file is None:
        return
    try:
        count = len(signing.secrets(config.secret_file))
        yield "ok", f"signs with {count} secret" + ("s" if count > 1 else "")
    except NoAnswer as error:
        yield "fail", str(error)
    found = urlsplit(str(config.url))
    try:
        there = addresses.resolved(str(found.hostname), found.port or 443, allow_private=config.allow_private)
        yield "ok", f"{found.hostname} is {', '.join(asyncio.run(there))}"
    except NoAnswer as error:
        yield "warn", str(error)
