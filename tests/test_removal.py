"""Emptying a folder that was put aside: whatever an agent left in it, and nothing beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.removal import NotOurs, empty_aside

ASIDE = ".removed-1"


@pytest.fixture
def aside(tmp_path: Path) -> Path:
    folder = tmp_path / ASIDE
    folder.mkdir()
    return folder


def dig(folder: Path, depth: int) -> None:
    """Folders in each other, deeper than a path can say."""
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("a", dir_fd=handle)
        below = os.open("a", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = below
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=handle))
    os.close(handle)


def test_folders_in_each_other_thousands_deep_go(aside: Path) -> None:
    dig(aside, 5000)
    handles = len(os.listdir("/proc/self/fd"))
    empty_aside(aside.parent, ASIDE)
    assert not aside.exists()
    assert len(os.listdir("/proc/self/fd")) == handles


def test_all_kinds_of_entries_go_and_what_links_lead_to_stays(aside: Path) -> None:
    outside = aside.parent / "outside"
    (outside / "folder").mkdir(parents=True)
    (outside / "folder" / "precious").touch()
    for folder in (aside, aside / "a", aside / "a" / "b", aside / "c"):
        folder.mkdir(exist_ok=True)
        (folder / "file").touch()
        (folder / "to-folder").symlink_to(outside / "folder")
        (folder / "to-nothing").symlink_to("nowhere")
        os.link(outside / "folder" / "precious", folder / "hard")
        os.mkfifo(folder / "pipe")
    (aside / "a" / "b").chmod(0)
    (aside / "a").chmod(0o500)
    empty_aside(aside.parent, ASIDE)
    assert [each.name for each in aside.parent.iterdir()] == ["outside"]
    assert (outside / "folder" / "precious").exists()


def test_what_is_no_folder_of_its_own_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / ASIDE).symlink_to("kept")
    with pytest.raises(NotOurs, match="is no folder"):
        empty_aside(tmp_path, ASIDE)
    assert (tmp_path / "kept").is_dir()
    empty_aside(tmp_path, ".removed-2")  # nothing of this name is there
