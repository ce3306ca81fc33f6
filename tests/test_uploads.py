"""The folder of uploads: whole files under their hash, and what a crash leaves is swept."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from blackboard.errors import Invalid, Unavailable
from blackboard.uploads import Arriving, sweep
from tests.daemon import House


def arrived(folder: Path, content: bytes) -> str:
    arriving = Arriving(folder, 1000)
    arriving.write(content)
    held = arriving.keep()
    arriving.discard()
    return held.path


def test_a_file_is_kept_under_its_hash_only_when_it_is_whole(tmp_path: Path) -> None:
    arriving = Arriving(tmp_path / "u", 1000)
    arriving.write(b"ab")
    digest = hashlib.sha256(b"abc").hexdigest()
    assert digest not in os.listdir(tmp_path / "u")
    arriving.write(b"c")
    assert arriving.keep() == (digest, 3, digest)
    arriving.discard()
    assert os.listdir(tmp_path / "u") == [digest]


def test_what_is_discarded_or_too_large_leaves_nothing(tmp_path: Path) -> None:
    arriving = Arriving(tmp_path / "u", 3)
    with pytest.raises(Invalid):
        arriving.write(b"four")
    arriving.discard()
    assert os.listdir(tmp_path / "u") == []


def test_a_folder_that_cannot_be_written_is_a_try_again(tmp_path: Path) -> None:
    (tmp_path / "u").write_text("a file")
    with pytest.raises(Unavailable):
        Arriving(tmp_path / "u", 3)


def test_the_sweep_takes_old_files_that_nobody_names_and_nothing_else(tmp_path: Path) -> None:
    named, orphan, fresh = (arrived(tmp_path, text) for text in (b"named", b"orphan", b"fresh"))
    for name in ("arriving-x", "board-id", "a" * 64 + ".mine"):
        (tmp_path / name).write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "board-id")
    now = (tmp_path / fresh).stat().st_mtime + 1
    for name in os.listdir(tmp_path):
        if name != fresh:
            os.utime(tmp_path / name, (now - 4000, now - 4000), follow_symlinks=False)

    gone = sweep(tmp_path, {named}, now)

    assert sorted(gone) == sorted(["arriving-x", orphan])
    assert sorted(os.listdir(tmp_path)) == sorted([named, fresh, "board-id", "a" * 64 + ".mine", "link"])
    assert sweep(tmp_path / "none", set(), now) == []


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "house")
    house.agent("sends", "bb start; printf 'a\\000b' >f; bb upload f --type data; bb submit\n")
    try:
        yield house
        house.ends()
    finally:
        house.clear()


def test_a_start_sweeps_what_a_crash_left_and_nothing_of_another_board(house: House) -> None:
    house.start()
    house.reaches(house.post("sends"), "done")
    house.kill()
    folder = house.folder / "uploads"
    (named,) = [path for path in folder.iterdir() if path.name != "board-id"]
    for name in ("arriving-x", "b" * 64):
        (folder / name).write_text("x")
    for path in folder.iterdir():
        os.utime(path, (1, 1))

    house.start()
    assert house.stop() == 0

    assert sorted(path.name for path in folder.iterdir()) == sorted([named.name, "board-id"])
    assert named.read_bytes() == b"a\0b"
    for name in ("board.db", "board.db-wal", "board.db-shm"):
        (house.folder / name).unlink(missing_ok=True)
    house.start()  # another board: it does not know the file, and must not remove it
    (aside,) = house.folder.glob("uploads-of-*")
    assert (aside / named.name).read_bytes() == b"a\0b"


def test_a_kill_while_a_file_arrives_leaves_only_what_the_sweep_takes(tmp_path: Path) -> None:
    script = (
        "import sys, os, signal; from pathlib import Path; from blackboard.uploads import Arriving\n"
        "a = Arriving(Path(sys.argv[1]), 1000); a.write(b'x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], env={"PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.returncode == -signal.SIGKILL
    (left,) = os.listdir(tmp_path)
    assert sweep(tmp_path, set(), (tmp_path / left).stat().st_mtime + 4000) == [left]
