"""The shape of the file: made new, recognised, brought up with a backup before; anything else is refused with a sentence."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from blackboard import migrations
from blackboard.board import Board, ReadOnly, Tx
from blackboard.errors import BadBoard
from blackboard.migrations import backup, schema_text
from blackboard.states import MOVES
from orchestrator.doctor import check
from tests import scenes
from tests.fake_clock import FakeClock
from tests.raw_board import SCHEMA, RawBoard


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "board.sqlite"


def opened_and_closed(path: Path, *writes: Callable[[Tx], object]) -> str:
    """Open the board, write, close it; its id."""

    async def run() -> str:
        board = await Board.open(path, clock=FakeClock())
        try:
            for write in writes:
                await board.write(write)
        finally:
            await board.close()
        return board.board_id

    return asyncio.run(run())


def value(path: Path, sql: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchone()[0]


def shape(path: Path) -> dict[str, str]:
    """Every table, index, trigger and view with its text."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return dict(rows.fetchall())


def test_the_shipped_schema_is_the_one_of_the_checkout() -> None:
    assert schema_text() == SCHEMA
    assert f"PRAGMA application_id = {migrations.APPLICATION_ID};" in SCHEMA
    assert f"PRAGMA user_version = {migrations.VERSION};" in SCHEMA
    assert SCHEMA.count(migrations.CODE_MARK) == 1
    assert set(migrations.STEPS) == set(range(2, migrations.VERSION + 1))


# --- A new file -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("empty", [False, True])
def test_a_new_file_becomes_a_board(path: Path, empty: bool) -> None:
    if empty:
        path.touch()
    opened_and_closed(path)
    assert check(path, schema_text()) == []
    assert value(path, "SELECT value FROM meta WHERE key = 'created_at'") == "2026-01-31T09:00:00.000Z"
    assert [found.name for found in path.parent.iterdir()] == [path.name]


def test_opening_again_changes_nothing(path: Path) -> None:
    opened_and_closed(path)
    before = path.read_bytes()
    opened_and_closed(path)
    assert path.read_bytes() == before


def test_a_board_made_by_the_sqlite3_shell_is_a_board(path: Path) -> None:
    done = subprocess.run(["sqlite3", str(path)], input=SCHEMA, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    identity = opened_and_closed(path, scenes.furnish, lambda tx: scenes.post_at(tx, "done"))
    assert len(identity) == 16
    assert value(path, "SELECT value FROM meta WHERE key = 'board_id'") == identity
    assert value(path, "SELECT status FROM tasks") == "done"
    assert opened_and_closed(path) == identity


@pytest.mark.spoils_board
def test_a_board_half_made_by_a_shell_is_refused(path: Path) -> None:
    subprocess.run(
        ["sqlite3", str(path)], input=SCHEMA[: len(SCHEMA) // 2] + ";", text=True, capture_output=True, check=False
    )
    assert value(path, "SELECT count(*) FROM sqlite_master") != 0
    with pytest.raises(BadBoard, match=r"never finished: delete it, or restore a backup"):
        opened_and_closed(path)
    with pytest.raises(BadBoard, match="never finished"):
        ReadOnly(path)


# --- What is not ours ---------------------------------------------------------------------------------------------------


def newer(path: Path) -> None:
    RawBoard(path).connection.execute(f"PRAGMA user_version = {migrations.VERSION + 1}").connection.close()


def another_program(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE tasks (id INTEGER PRIMARY KEY)")


def another_program_without_a_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA application_id = 42")
        connection.execute("VACUUM")


def a_letter(path: Path) -> None:
    path.write_text("Dear orchestrator, " * 500, encoding="utf-8")


def half_a_page(path: Path) -> None:
    RawBoard(path).connection.close()
    os.truncate(path, 1000)


def overwritten(path: Path) -> None:
    RawBoard(path).connection.close()
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xa5" * 4000)


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.spoils_board
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (newer, "newer version of the orchestrator.*upgrade the program"),
        (another_program, "not a board: name another file"),
        (another_program_without_a_table, "not a board: name another file"),
        (a_letter, "damaged or not a board.*restore a backup"),
        (half_a_page, "damaged or not a board.*restore a backup"),
        (overwritten, "damaged or not a board.*restore a backup"),
        (a_folder, "cannot be opened as a board"),
    ],
)
def test_what_is_no_board_of_ours_is_refused_and_left_as_it_was(path: Path, make: object, words: str) -> None:
    make(path)  # type: ignore[operator]
    before = path.read_bytes() if path.is_file() else None

    with pytest.raises(BadBoard, match=words) as refusal:
        opened_and_closed(path)

    assert str(path) in refusal.value.sentence
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadBoard, match="cannot be opened as a board"):
        opened_and_closed(tmp_path / "nowhere" / "board.sqlite")


# --- A step -------------------------------------------------------------------------------------------------------------


NOW = migrations.VERSION
NEXT = NOW + 1
STEP = "ALTER TABLE tasks ADD COLUMN mood TEXT; UPDATE meta SET value = value || '-2' WHERE key = 'created_at';"


def a_program_of_the_next_version(monkeypatch: pytest.MonkeyPatch) -> str:
    """One column more, and another sentence in its code; its schema."""
    text = SCHEMA.replace("tasks are not deleted: cancel it instead", "no, never")
    text = text.replace(f"PRAGMA user_version = {NOW}", f"PRAGMA user_version = {NEXT}")
    monkeypatch.setattr(migrations, "VERSION", NEXT)
    monkeypatch.setattr(migrations, "STEPS", {NEXT: STEP})
    monkeypatch.setattr(migrations, "schema_text", lambda: text)
    return text


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> None:
    a_program_of_the_next_version(monkeypatch)


def a_lively_board(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """A board of this version with a history; everything on it."""
    opened_and_closed(path, scenes.furnish, lambda tx: [scenes.post_at(tx, status) for status in scenes.STATES])
    return everything(path)


def everything(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with ReadOnly(path) as reader:
        return scenes.everything(reader)


@pytest.mark.spoils_board  # the doctor does not know the next version
def test_a_step_changes_tables_and_makes_the_code_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = a_lively_board(path)
    text = a_program_of_the_next_version(monkeypatch)

    opened_and_closed(path, lambda tx: scenes.post_at(tx, "done"))  # and it goes on

    after = everything(path)
    assert [row[:-1] for row in after["tasks"][:-1]] == before["tasks"]
    assert after["outputs"][: len(before["outputs"])] == before["outputs"] and after["agents"] == before["agents"]
    assert value(path, "PRAGMA user_version") == NEXT
    assert "no, never" in shape(path)["trigger task_stays"]
    assert code(shape(path)) == code(shape_of(text)) != code(shape_of(SCHEMA))
    assert value(path, "SELECT count(*) FROM moves") == len(MOVES)


def code(found: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in found.items() if name.split()[0] in ("trigger", "view")}


def shape_of(schema: str) -> dict[str, str]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(schema)
        return dict(
            connection.execute("SELECT type || ' ' || name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        )


@pytest.mark.spoils_board
def test_before_a_step_the_file_is_backed_up(path: Path, next_version: None) -> None:
    RawBoard(path).connection.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO meta VALUES ('board_id', 'me')")
    before = shape(path)
    opened_and_closed(path)
    [copy] = [found for found in path.parent.iterdir() if found != path]
    assert copy.name == f"board.sqlite.before-{NEXT}-2026-01-31T090000.000Z"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert shape(copy) == before and value(copy, "PRAGMA user_version") == NOW
    assert check(copy, SCHEMA) == []


@pytest.mark.spoils_board
@pytest.mark.parametrize(
    "broken", ["ALTER TABLE tasks ADD COLUMN mood TEXT; SELECT nonsense;", "DROP TABLE meta; nonsense"]
)
def test_a_step_that_fails_leaves_the_old_shape(
    path: Path, next_version: None, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    RawBoard(path).connection.close()
    before = shape(path)
    monkeypatch.setattr(migrations, "STEPS", {NEXT: broken})
    with pytest.raises(BadBoard):
        opened_and_closed(path)
    assert shape(path) == before and value(path, "PRAGMA user_version") == NOW
    assert check(path, SCHEMA) == []


@pytest.mark.parametrize("version", range(1, NOW))
def test_an_older_board_becomes_what_schema_sql_says(path: Path, version: int) -> None:
    """The real steps, on a board with a history that only that version's own rules wrote."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            (Path(__file__).parent / "versions" / f"schema-{version}.sql").read_text(encoding="utf-8")
        )
        connection.executescript(OLD_STORY)
    opened_and_closed(path, lambda tx: scenes.furnish(tx))
    assert value(path, "PRAGMA user_version") == NOW
    assert value(path, "SELECT group_concat(status) FROM tasks") == "working,cancelled"
    assert value(path, "SELECT review || max_review_tries FROM tasks WHERE id = 1") == "human2"
    assert check(path, SCHEMA) == []


OLD_STORY = """
INSERT INTO projects (id) VALUES ('old');
INSERT INTO agents (id) VALUES ('old-hand');
INSERT INTO tasks (project_id, agent_id, title) VALUES ('old', 'old-hand', 'begun'), ('old', 'old-hand', 'dropped');
INSERT INTO attempts (task_id, number, role, agent_id, token_hash, claimed_at, claimed_by)
VALUES (1, 1, 'executor', 'old-hand', x'01', '2026-01-31T08:00:00.000Z', 'engine:tick');
UPDATE tasks SET status = 'working', rev = rev + 1, verb = 'start', actor = 'executor:old-hand',
                 moved_at = '2026-01-31T08:00:01.000Z' WHERE id = 1;
UPDATE attempts SET started_at = '2026-01-31T08:00:01.000Z';
UPDATE tasks SET status = 'cancelled' WHERE id = 2;
"""


# --- Backup -------------------------------------------------------------------------------------------------------------


def test_a_backup_is_the_board_and_a_board(path: Path, tmp_path: Path) -> None:
    before = a_lively_board(path)
    copies = tmp_path / "copies"
    copies.mkdir()
    copy = backup(path, copies / "copy.sqlite")
    assert [found.name for found in copies.iterdir()] == ["copy.sqlite"]
    assert copy.stat().st_mode & 0o777 == 0o600
    assert check(copy, schema_text()) == []
    assert everything(copy) == before
    assert opened_and_closed(copy, lambda tx: scenes.post_at(tx, "done")) == value(
        path, "SELECT value FROM meta WHERE key = 'board_id'"
    )


async def test_a_backup_while_it_is_written_is_of_one_moment(path: Path, tmp_path: Path) -> None:
    def pair(tx: Tx, number: int) -> None:
        for half in "ab":
            tx.run("INSERT INTO meta (key, value) VALUES (:key, :value)", key=f"{half}{number}", value="x" * 2000)

    board = await Board.open(path)
    numbers = iter(range(10_000_000))

    async def writes() -> None:
        while True:
            await board.write(pair, next(numbers))

    writing = [asyncio.create_task(writes()) for _ in range(4)]
    sizes = []
    for copy in range(5):
        made = await asyncio.to_thread(backup, path, tmp_path / f"copy{copy}")
        assert check(made, schema_text()) == []
        halves = [value(made, f"SELECT count(*) FROM meta WHERE key GLOB '{half}[0-9]*'") for half in "ab"]
        assert halves[0] == halves[1]
        sizes.append(halves[0])
    for task in writing:
        task.cancel()
    await asyncio.gather(*writing, return_exceptions=True)
    await board.close()
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]  # it was written, all the time


def test_a_backup_replaces_the_last_one_of_that_name(path: Path, tmp_path: Path) -> None:
    opened_and_closed(path)
    target = tmp_path / "copy"
    target.write_text("the last one")
    backup(path, target)
    assert check(target) == []


def test_what_a_killed_backup_left_is_not_in_the_way(path: Path, tmp_path: Path) -> None:
    """A program in a container has the same pid after a restart."""
    opened_and_closed(path)
    leftover = tmp_path / f".copy.{os.getpid()}.tmp"
    leftover.write_text("half a copy")
    assert check(backup(path, tmp_path / "copy")) == []
    assert not leftover.exists()


@pytest.mark.spoils_board
def test_a_backup_that_fails_its_check_leaves_nothing(path: Path, tmp_path: Path) -> None:
    a_lively_board(path)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(b"\xa5" * 12000)
    with pytest.raises((BadBoard, sqlite3.DatabaseError), match=r"did not pass its check|malformed"):
        backup(path, tmp_path / "copy")
    assert {found.name for found in tmp_path.iterdir()} <= {"board.sqlite", "board.sqlite-wal", "board.sqlite-shm"}


def test_a_backup_of_nothing_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        backup(tmp_path / "nowhere.sqlite", tmp_path / "copy")
    assert list(tmp_path.iterdir()) == []
