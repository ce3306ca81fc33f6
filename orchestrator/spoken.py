"""How a person calls this very program with this very configuration from where they are.

Only words for sentences that tell what to type next; nothing is run by them.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.config_loading import FILE_NAME, find

if TYPE_CHECKING:
    from orchestrator.config import Settings

NAME = "orchestrator"


def command(settings: Settings) -> str:
    """`orchestrator`, or the path of the program that runs; with `--config FILE` where another would be found."""
    file, here = settings.config_file, Path.cwd()
    if file is None or file == find(None, os.environ, here):
        return program()
    return f"{program()} --config {shlex.quote(near(file))}"


def program() -> str:
    """What to type for the program itself: its bare name only if the shell would find this very one."""
    ours = Path(sys.argv[0])
    if ours.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m {NAME}"
    found = shutil.which(NAME)
    same = found is not None and ours.exists() and Path(found).samefile(ours)
    if same or ours.name != NAME:
        return NAME
    return shlex.quote(near(ours) if "/" in near(ours) else f"./{near(ours)}")


def near(path: Path) -> str:
    """A path as short as it can be said from here."""
    here = Path.cwd()
    absolute = here / path
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(absolute)


def in_folder(folder: Path) -> str:
    """The command with the configuration of a folder."""
    if folder == Path.cwd():
        return program()
    return f"{program()} --config {shlex.quote(near(folder / FILE_NAME))}"
