"""One writer a board: the kernel holds the lock, and gives it back with the process, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from blackboard.lock import BoardLock, holder, lock_path

HOLD = """
import sys
from pathlib import Path
from blackboard.lock import BoardLock
lock = BoardLock.try_take(Path(sys.argv[1]))
if lock is not None:
    lock.tell(url="http://127.0.0.1:8083")
print("taken" if lock is not None else "held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(board: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that tries to take the lock and then waits; what it said."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(board)], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.fixture
def board(tmp_path: Path) -> Path:
    return tmp_path / "board.sqlite"


def test_two_processes_cannot_both_hold_it(board: Path) -> None:
    with another_process(board) as (first, said):
        assert said == "taken"
        assert BoardLock.try_take(board) is None
        assert holder(board) == {"pid": first.pid, "url": "http://127.0.0.1:8083"}
        with another_process(board) as (_, second_said):
            assert second_said == "held"


def test_a_killed_holder_leaves_nothing_to_clean_up(board: Path) -> None:
    with another_process(board) as (first, _):
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert holder(board) is None
        lock = BoardLock.try_take(board)
        assert lock is not None
        lock.release()


def test_a_released_lock_can_be_taken_and_its_file_stays(board: Path) -> None:
    lock = BoardLock.try_take(board)
    assert lock is not None
    assert BoardLock.try_take(board) is None  # not even by the same process
    assert holder(board) == {"pid": os.getpid(), "url": None}
    lock.release()
    assert lock_path(board).exists() and holder(board) is None
    with another_process(board) as (_, said):
        assert said == "taken"


def test_what_was_told_last_is_what_is_read(board: Path) -> None:
    lock = BoardLock.try_take(board)
    assert lock is not None
    lock.tell(url="http://" + "a" * 180)
    lock.tell(url="http://b")
    found = holder(board)
    lock.release()
    assert found == {"pid": os.getpid(), "url": "http://b"}


def test_a_look_does_not_keep_a_writer_out(board: Path) -> None:
    """`holder` locks for an instant to find out; whoever takes the lock then waits that instant."""
    lock_path(board).touch()
    for _ in range(50):
        assert holder(board) is None
        lock = BoardLock.try_take(board)
        assert lock is not None
        lock.release()


def test_a_holder_that_has_not_told_yet_is_a_holder(board: Path) -> None:
    lock = BoardLock.try_take(board)
    assert lock is not None
    os.truncate(lock_path(board), 0)
    found = holder(board)
    lock.release()
    assert found == {"pid": None, "url": None}


def test_nobody_holds_a_board_that_never_was(board: Path) -> None:
    assert holder(board) is None and not lock_path(board).exists()


def test_the_lock_is_beside_the_board_and_never_the_board_itself(board: Path) -> None:
    lock = BoardLock.try_take(board)
    assert lock is not None
    lock.release()
    assert [path.name for path in board.parent.iterdir()] == ["board.sqlite.lock"]
    assert lock_path(board).stat().st_mode & 0o777 == 0o600


def test_a_child_does_not_inherit_the_lock(board: Path) -> None:
    lock = BoardLock.try_take(board)
    assert lock is not None
    with subprocess.Popen(["sleep", "30"], close_fds=False) as child:
        lock.release()
        try:
            again = BoardLock.try_take(board)
        finally:
            child.kill()
    assert again is not None
    again.release()
