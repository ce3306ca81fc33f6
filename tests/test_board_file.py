"""The board as a file: what was answered survives a kill, readers see it, and nobody touches it but SQLite's one library."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from blackboard import migrations
from blackboard.board import Board, ReadOnly, Rows, Tx
from blackboard.errors import BadBoard, NotFound
from blackboard.migrations import schema_text
from orchestrator.doctor import check
from tests.fake_clock import FakeClock

ROOT = Path(__file__).resolve().parent.parent
COUNT = "SELECT count(*) AS n FROM projects"


def add(tx: Tx, project: str) -> None:
    tx.run("INSERT INTO projects (id) VALUES (:id)", id=project)


def count(rows: Rows) -> int:
    row = rows.one(COUNT)
    return row["n"] if row else 0


# --- What was answered is durable -----------------------------------------------------------------------------------


def killed(path: Path, rounds: int) -> None:
    seed = random.randrange(2**32)
    command = [sys.executable, "-m", "tests.killed_writer", str(path), str(rounds), str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["acknowledged"] > rounds and said["lost"] == [], f"seed {seed}: {said}"
    assert check(path, schema_text()) == []


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    killed(tmp_path / "board.sqlite", 30)


@pytest.mark.long
def test_what_was_acknowledged_survives_many_kills(tmp_path: Path) -> None:
    killed(tmp_path / "board.sqlite", 300)


async def test_a_board_is_whole_as_schema_sql_wrote_it(board: Board) -> None:
    assert check(board.path, schema_text()) == []
    found = {
        name: (await board.all(f"PRAGMA {name}"))[0][0] for name in ("journal_mode", "application_id", "user_version")
    }
    assert found == {"journal_mode": "wal", "application_id": 1111639857, "user_version": migrations.VERSION}
    assert board._connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert board._connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


async def test_a_board_keeps_its_identity(tmp_path: Path, clock: FakeClock) -> None:
    first = await Board.open(tmp_path / "board.sqlite", clock=clock)
    await first.close()
    again = await Board.open(tmp_path / "board.sqlite", clock=clock)
    other = await Board.open(tmp_path / "other.sqlite", clock=clock)
    assert again.board_id == first.board_id != other.board_id
    assert len(first.board_id) == 16
    await again.close()
    await other.close()


async def test_a_closed_board_is_one_file(tmp_path: Path, clock: FakeClock) -> None:
    """An operator who copies it then has all of it: nothing is left in a log beside it."""
    board = await Board.open(tmp_path / "board.sqlite", clock=clock)
    await asyncio.gather(
        *(board.write(add, f"p{number}") for number in range(100)), *(board.read(count) for _ in range(9))
    )
    await board.close()
    assert os.listdir(tmp_path) == ["board.sqlite"]


# --- Readers --------------------------------------------------------------------------------------------------------


async def test_every_reader_sees_what_was_committed(board: Board) -> None:
    for number in range(20):
        await board.write(add, f"p{number}")
        seen = await asyncio.gather(*(board.one(COUNT) for _ in range(4)))
        assert [row["n"] for row in seen if row] == [number + 2] * 4
        assert await board.read(count) == number + 2


async def test_nobody_sees_what_is_not_committed(board: Board) -> None:
    written, let_go = threading.Event(), threading.Event()

    def half_done(tx: Tx) -> None:
        add(tx, "half-done")
        written.set()
        assert let_go.wait(30)

    waiting = asyncio.create_task(board.write(half_done))
    await asyncio.to_thread(written.wait, 30)
    assert await board.read(count) == 1
    with ReadOnly(board.path) as reader:
        assert count(reader) == 1
    let_go.set()
    await waiting
    assert await board.read(count) == 2


async def test_a_question_of_several_queries_sees_one_board(board: Board) -> None:
    looked, written = threading.Event(), threading.Event()

    def twice(rows: Rows) -> tuple[int, int]:
        first = count(rows)
        looked.set()
        assert written.wait(30)
        return first, count(rows)

    asking = asyncio.create_task(board.read(twice))
    await asyncio.to_thread(looked.wait, 30)
    await board.write(add, "meanwhile")
    written.set()
    assert await asking == (1, 1)
    assert await board.read(count) == 2


async def test_a_question_that_fails_leaves_its_reader_usable(board: Board) -> None:
    def fails(rows: Rows) -> None:
        count(rows)
        raise KeyError("x")

    for _ in range(4):
        with pytest.raises(KeyError):
            await board.read(fails)
        with pytest.raises(sqlite3.OperationalError):
            await board.all("SELECT nothing FROM nowhere")
    assert await board.read(count) == 1


async def test_a_cancelled_reader_comes_back(board: Board) -> None:
    let_go = threading.Event()
    asking = [asyncio.create_task(board.read(lambda rows: let_go.wait(30))) for _ in range(2)]
    await asyncio.sleep(0)
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    let_go.set()
    assert await asyncio.gather(*(board.read(count) for _ in range(8))) == [1] * 8


@pytest.mark.parametrize("statement", ["DELETE FROM projects", "CREATE TABLE t (a)", "PRAGMA user_version = 2"])
async def test_a_reader_cannot_write(board: Board, statement: str) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await board.all(statement)
    with ReadOnly(board.path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.all(statement)
    assert check(board.path, schema_text()) == []


async def test_the_command_line_reads_beside_the_daemon_and_without_it(tmp_path: Path, clock: FakeClock) -> None:
    board = await Board.open(tmp_path / "bo ard?#%.sqlite", clock=clock)
    await board.write(add, "a")
    with ReadOnly(board.path) as reader:
        assert count(reader) == 1
    await board.close()
    with ReadOnly(board.path) as reader:
        assert count(reader) == 1 and reader.one("SELECT id FROM projects WHERE id = :id", id="b") is None


def test_a_reader_never_makes_a_board(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="orchestrator init"):
        ReadOnly(tmp_path / "board.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_refuses_what_is_no_board(tmp_path: Path) -> None:
    path = tmp_path / "letter"
    path.write_text("Dear board, " * 100, encoding="utf-8")
    with pytest.raises(BadBoard, match="cannot be read as a board"):
        ReadOnly(path)


# --- Only by SQLite, and only by one ------------------------------------------------------------------------------------

WATCHED = """
import asyncio, json, os, sys
from pathlib import Path

path, opened = sys.argv[1], []

def hook(event, args):
    if event in ("open", "os.open", "shutil.copyfile", "os.truncate", "os.rename", "os.remove") and args:
        opened.append((event, os.fsdecode(args[0]) if isinstance(args[0], (str, bytes, os.PathLike)) else str(args[0])))

sys.addaudithook(hook)

from blackboard import lock, migrations, reports, tokens
from blackboard.board import Board, ReadOnly
from tests import scenes

async def daemon():
    taken = lock.BoardLock.try_take(Path(path))
    for _ in range(2):
        board = await Board.open(Path(path))
        await board.write(scenes.furnish)
        await board.write(scenes.post_at, "done")
        await board.all("SELECT * FROM tasks")
        await board.read(scenes.everything)
        await board.foreign_commits()
        with ReadOnly(Path(path)) as reader:
            reader.all("SELECT * FROM tasks")
        lock.holder(Path(path))
        migrations.backup(Path(path), Path(path + ".copy"))
        await board.close()
    taken.release()

asyncio.run(daemon())
libraries = {line.split()[-1] for line in open("/proc/self/maps") if "sqlite3.so" in line and "_sqlite3" not in line}
print(json.dumps({"opened": opened, "libraries": sorted(libraries)}))
"""


def test_the_board_is_never_opened_as_a_file_nor_by_a_second_library(tmp_path: Path) -> None:
    board = str(tmp_path / "board.sqlite")
    done = subprocess.run([sys.executable, "-c", WATCHED, board], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    mine = [path for _, path in said["opened"] if path.startswith(board)]
    assert board + ".lock" in mine, "the hook sees what is opened"
    assert [path for path in mine if path in (board, board + "-wal", board + "-shm", board + "-journal")] == []
    assert len(said["libraries"]) <= 1  # none when it is linked into the interpreter


# Where blackboard/ opens files, reads or changes them, and which: never a board.
FILE_CALLS = {
    "clock.py": {"read_text"},  # the boot id
    "content.py": {"open", "read", "close", "fstat"},  # what agents hand in
    "downloads.py": {"open", "close", "fstat"},  # what was handed in, read back
    "uploads.py": {"open", "close", "fsync", "mkdir", "rename", "unlink"},  # files that agents send whole
    "lock.py": {"open", "close", "pread", "pwrite"},  # the lock beside the board
    "migrations.py": {
        "read_text",
        "open",
        "close",
        "fsync",
        "unlink",
        "replace",
    },  # schema.sql; the copy that a backup makes
}
TOUCHES = FILE_CALLS["content.py"] | FILE_CALLS["migrations.py"] | {
    "read_bytes", "write_text", "write_bytes", "touch", "rename", "remove", "truncate", "chmod", "copy", "copyfile", "move",
    "pread", "pwrite", "mmap", "link", "symlink", "rmtree", "mkdir", "fsync",
}  # fmt: skip
OF_ORDINARY_VALUES = {"replace", "copy", "read"}  # of a str, a dict, a board: counted only on `os` and `shutil`


def file_calls(source: str) -> set[str]:
    """Names of calls that touch files."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        match node.func:
            case ast.Name(id="open"):
                found.add("open")
            case ast.Attribute(value=ast.Name(id="os" | "shutil" | "mmap"), attr=name):
                found.add(name)
            case ast.Attribute(attr=name) if name in TOUCHES - OF_ORDINARY_VALUES - {"open", "close", "move"}:
                found.add(name)
    return found & TOUCHES


def test_the_package_touches_files_only_where_it_says_so() -> None:
    found = {path.name: file_calls(path.read_text(encoding="utf-8")) for path in (ROOT / "blackboard").glob("*.py")}
    assert {name: calls for name, calls in found.items() if calls} == FILE_CALLS


@pytest.mark.parametrize(
    "planted", ["open(board)", "board.read_bytes()", "os.open(board, 0)", "shutil.copyfile(board, x)"]
)
def test_a_planted_file_call_would_be_found(planted: str) -> None:
    assert file_calls(f"import os\n{planted}") != set()


def test_nothing_in_sql_takes_a_whole_transaction_down() -> None:
    """OR ROLLBACK and RAISE(ROLLBACK) would undo the neighbours of an item; FAIL and IGNORE leave half of a statement."""
    assert schema_text().count("RAISE(ABORT, ") == schema_text().count("RAISE(") > 30
    sources = [path for package in ("blackboard", "orchestrator", "api") for path in (ROOT / package).rglob("*.py")]
    for text in [schema_text(), *(path.read_text(encoding="utf-8") for path in sources)]:
        assert "OR ROLLBACK" not in text.upper() and "DEFERRABLE" not in text.upper()
