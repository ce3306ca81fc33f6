"""The folders of attempts, uploads and workspaces belong to one board: another board's are moved aside.

Attempt numbers begin anew with a new board; without this a fresh attempt 1 would find the status file of an
old one and be judged by it. Never deletes.
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import count
from pathlib import Path

from orchestrator.config import Settings

NAME = "board-id"


def keep_to_one_board(settings: Settings, board_id: str) -> list[Path]:
    """Have all folders, belonging to this board; what was moved aside."""
    return [moved for folder in _folders(settings) if (moved := _keep(folder, board_id))]


def _folders(settings: Settings) -> tuple[Path, ...]:
    return settings.attempts_dir, settings.uploads_dir, settings.workspaces_dir


def _keep(folder: Path, board_id: str) -> Path | None:
    moved = None
    owner = _owner(folder)
    if owner is not None and owner != board_id:
        moved = _free(folder.with_name(f"{folder.name}-of-{owner}"))
        os.rename(folder, moved)
        with suppress(FileNotFoundError):  # this board's own, moved aside earlier, comes back
            os.rename(folder.with_name(f"{folder.name}-of-{board_id}"), folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if owner != board_id:
        (folder / NAME).write_text(board_id + "\n", encoding="utf-8")
    return moved


def _free(path: Path) -> Path:
    """This path, or the first with a number behind it that nobody has."""
    numbered = (path.with_name(f"{path.name}.{number}") for number in count(2))
    return path if not path.exists() else next(each for each in numbered if not each.exists())


def _owner(folder: Path) -> str | None:
    """Which board it says it belongs to; None when it says nothing (a crash may have cut the file short)."""
    try:
        return (folder / NAME).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None
