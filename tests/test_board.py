"""The writer: everybody gets their own answer, what one item does reaches no other, and it never dies.

Most tests put items a, b, c into one batch for sure (`in_one_batch`), with b the one that goes wrong.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from blackboard import board as module
from blackboard import families, slots, verbs
from blackboard.board import Board, Tx
from blackboard.errors import Conflict, Invalid, NotFound, Refused, Unavailable
from blackboard.policy import Policies
from tests import scenes
from tests.fake_clock import FakeClock
from tests.scenes import in_one_batch, tried

PROJECT = "INSERT INTO projects (id) VALUES (:id)"


class Item:
    """Inserts a project, then does `more`; counts how often it ran."""

    def __init__(self, name: str, more: Callable[[Tx], object] = lambda tx: None) -> None:
        self.name, self.more, self.runs = name, more, 0

    def __call__(self, tx: Tx) -> str:
        self.runs += 1
        tx.run(PROJECT, id=self.name)
        self.more(tx)
        return self.name


async def projects(board: Board) -> set[str]:
    return {row["id"] for row in await board.all("SELECT id FROM projects")} - {scenes.PROJECT}


# --- Every way an item can go wrong (prototypes §1) ----------------------------------------------------------------

_OPEN_CURSORS: list[sqlite3.Cursor] = []

SPOILERS = """
CREATE TEMP TRIGGER fails BEFORE INSERT ON main.projects WHEN new.id = 'fail' BEGIN SELECT RAISE(FAIL, 'halfway'); END;
CREATE TEMP TRIGGER rolls BEFORE INSERT ON main.projects WHEN new.id = 'roll' BEGIN SELECT RAISE(ROLLBACK, 'all of it'); END;
CREATE TEMP TABLE parent (id INTEGER PRIMARY KEY);
CREATE TEMP TABLE child (parent_id REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED);
"""


def raises_abort(tx: Tx) -> None:
    tx.run("DELETE FROM tasks")


def raises_fail(tx: Tx) -> None:
    tx.run("INSERT INTO projects (id) VALUES ('b2'), ('fail')")


def raises_rollback(tx: Tx) -> None:
    tx.run("INSERT INTO projects (id) VALUES ('b2'), ('roll')")


def is_not_unique(tx: Tx) -> None:
    tx.run("INSERT INTO projects (id) VALUES ('b2'), ('forge')")


def or_rollback(tx: Tx) -> None:
    tx.run("INSERT OR ROLLBACK INTO projects (id) VALUES ('b2'), ('forge')")


def has_a_cursor_open(tx: Tx) -> None:
    cursor = tx._connection.execute("SELECT * FROM moves, projects")
    next(cursor)
    _OPEN_CURSORS.append(cursor)
    raise KeyError("a bug of the verb")


def fills_the_disk(tx: Tx) -> None:
    tx.run("INSERT INTO meta (key, value) VALUES ('big', :big)", big="x" * 1_000_000)


def fills_the_disk_by_a_trigger(tx: Tx) -> None:
    tx.run("INSERT INTO comments (task_id, author, body, created_at) VALUES (1, 'person:x', :big, '')", big="x" * 1_000_000)  # fmt: skip


def is_interrupted(tx: Tx) -> None:
    timer = threading.Timer(0.05, tx._connection.interrupt)
    timer.start()
    try:
        tx.run(
            "INSERT INTO meta SELECT 'x', count(*) FROM moves a, moves b, moves c, moves d, moves e, moves f, moves g"
        )
    finally:
        timer.join()


def breaks_a_deferred_key(tx: Tx) -> None:
    tx.run("INSERT INTO temp.child VALUES (7)")


def breaks_a_key(tx: Tx) -> None:
    tx.run("INSERT INTO agent_roles (agent_id, role) VALUES ('nobody', 'smith')")


def breaks_a_check(tx: Tx) -> None:
    tx.run("UPDATE agents SET max_live = -1")


def takes_a_wrong_type(tx: Tx) -> None:
    tx.run("UPDATE agents SET max_live = 'many'")


def misspells(tx: Tx) -> None:
    tx.run("UPDTE agents SET max_live = 1")


class Case(NamedTuple):
    b: Callable[[Tx], object]
    error: type[BaseException]
    words: str
    runs: tuple[int, int, int]  # of a, b, c: twice for those of a whole transaction that was lost and done again


ONCE, LOST_AT_B, LOST_AT_COMMIT = (1, 1, 1), (2, 2, 1), (2, 2, 2)
CASES = [
    Case(raises_abort, Refused, "tasks are not deleted: cancel it instead", ONCE),
    Case(raises_fail, Refused, "halfway", ONCE),
    Case(raises_rollback, Refused, "all of it", LOST_AT_B),
    Case(is_not_unique, Conflict, "projects.id", ONCE),
    Case(or_rollback, Conflict, "projects.id", LOST_AT_B),
    Case(has_a_cursor_open, KeyError, "a bug of the verb", ONCE),
    Case(fills_the_disk, Unavailable, "full", LOST_AT_B),
    Case(fills_the_disk_by_a_trigger, Unavailable, "full", ONCE),
    Case(is_interrupted, Unavailable, "interrupted", LOST_AT_B),
    Case(breaks_a_deferred_key, NotFound, "not on the board", LOST_AT_COMMIT),
    Case(breaks_a_key, NotFound, "not on the board", ONCE),
    Case(breaks_a_check, Invalid, "max_live >= 0", ONCE),
    Case(takes_a_wrong_type, Invalid, "TEXT value in INTEGER column", ONCE),
    Case(misspells, sqlite3.OperationalError, "syntax error", ONCE),
]


@pytest.mark.parametrize("case", CASES, ids=[case.b.__name__ for case in CASES])
async def test_what_goes_wrong_in_one_item_is_its_own_affair(board: Board, case: Case) -> None:
    await board.write(scenes.post)
    writer = board._connection
    writer.executescript(SPOILERS)
    pages = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count = {pages + 20}")
    a, b, c = Item("a"), Item("b", case.b), Item("c")

    answers = await in_one_batch(board, a, b, c)

    assert (answers[0], answers[2]) == ("a", "c")
    assert type(answers[1]) is case.error and case.words in str(answers[1])
    assert await projects(board) == {"a", "c"}
    assert (a.runs, b.runs, c.runs) == case.runs
    assert await board.write(Item("afterwards")) == "afterwards"
    _OPEN_CURSORS.clear()


@pytest.mark.parametrize("case", CASES, ids=[case.b.__name__ for case in CASES])
async def test_an_item_that_goes_wrong_alone_is_told_the_same(board: Board, case: Case) -> None:
    await board.write(scenes.post)
    writer = board._connection
    writer.executescript(SPOILERS)
    writer.execute(f"PRAGMA max_page_count = {writer.execute('PRAGMA page_count').fetchone()[0] + 20}")

    [answer] = await in_one_batch(board, Item("b", case.b))

    assert type(answer) is case.error and case.words in str(answer)
    assert await projects(board) == set()
    assert await board.write(Item("afterwards")) == "afterwards"
    _OPEN_CURSORS.clear()


NOT_FOR_ITEMS = [
    "COMMIT", "END", "ROLLBACK", "BEGIN", "BEGIN IMMEDIATE", "SAVEPOINT mine", "RELEASE item", "ROLLBACK TO item",
    "ATTACH ':memory:' AS other", "DETACH temp", "PRAGMA foreign_keys = OFF", "PRAGMA user_version = 9", "PRAGMA journal_mode",
    "SELECT * FROM pragma_table_info('tasks')",
]  # fmt: skip


@pytest.mark.parametrize("statement", NOT_FOR_ITEMS)
async def test_an_item_has_no_say_over_its_transaction(board: Board, statement: str) -> None:
    a, b, c = Item("a"), Item("b", lambda tx: tx.run(statement)), Item("c")

    answers = await in_one_batch(board, a, b, c)

    assert (answers[0], answers[2]) == ("a", "c")
    assert isinstance(answers[1], sqlite3.DatabaseError) and "not authorized" in str(answers[1])
    assert await projects(board) == {"a", "c"}
    assert (a.runs, b.runs, c.runs) == (1, 1, 1)


@pytest.mark.parametrize("way", ["commit", "rollback", "executescript"])
async def test_an_item_cannot_commit_by_the_connection_either(board: Board, way: str) -> None:
    def sneaks(tx: Tx) -> None:
        method = getattr(tx._connection, way)
        method("SELECT 1") if way == "executescript" else method()

    answers = await in_one_batch(board, Item("a"), Item("b", sneaks), Item("c"))

    assert isinstance(answers[1], sqlite3.DatabaseError) and "not authorized" in str(answers[1])
    assert await projects(board) == {"a", "c"}


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, RecursionError])
async def test_no_error_of_an_item_ends_the_writer(board: Board, error: type[BaseException]) -> None:
    def throws(tx: Tx) -> None:
        raise error("out")

    with pytest.raises(error):
        await board.write(Item("b", throws))
    assert await board.write(Item("afterwards")) == "afterwards"
    assert await projects(board) == {"afterwards"}


async def test_an_error_that_no_future_can_hold_is_answered_too(board: Board) -> None:
    answers = await in_one_batch(board, Item("a"), Item("b", lambda tx: next(iter(()))), Item("c"))
    assert (answers[0], answers[2]) == ("a", "c")
    assert isinstance(answers[1], RuntimeError) and "StopIteration" in str(answers[1])


# --- The commit itself ----------------------------------------------------------------------------------------------


async def test_a_batch_is_one_commit(board: Board) -> None:
    said: list[str] = []
    board._connection.set_trace_callback(said.append)
    await in_one_batch(board, *[Item(f"p{number}") for number in range(20)])
    board._connection.set_trace_callback(None)
    of_batch = said[[text.startswith("COMMIT") for text in said].index(True) + 1 :]  # what held the writer went before
    assert sum(text.startswith("BEGIN IMMEDIATE") for text in of_batch) == 1
    assert sum(text.startswith("COMMIT") for text in of_batch) == 1
    assert sum(text.startswith("INSERT INTO projects") for text in of_batch) == 20


class Faulty:
    """The writer's connection, whose statements fail as told: `fails(sql)` gives the error to raise, or None."""

    def __init__(self, connection: sqlite3.Connection, fails: Callable[[str], BaseException | None]) -> None:
        self._real, self._fails = connection, fails

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
        error = self._fails(sql)
        if error is not None:
            raise error
        return self._real.execute(sql, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def disk_fault() -> sqlite3.Error:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


@contextmanager
def faulty(
    board: Board, *which: int, at: str = "COMMIT", error: Callable[[], BaseException] = disk_fault
) -> Iterator[None]:
    """The n-th statements that begin with `at` fail, counted from 1 after the one that held the writer."""
    count = -1  # the holder's own is the 0th

    def fails(sql: str) -> BaseException | None:
        nonlocal count
        count += sql.startswith(at)
        return error() if sql.startswith(at) and count in which else None

    real = board._writer._connection
    board._writer._connection = Faulty(real, fails)  # type: ignore[assignment]
    yield
    board._writer._connection = real


async def test_a_batch_whose_commit_fails_is_done_again_one_by_one(board: Board) -> None:
    items = [Item("a"), Item("b"), Item("c")]
    with faulty(board, 1):
        assert await in_one_batch(board, *items) == ["a", "b", "c"]
    assert [item.runs for item in items] == [2, 2, 2]
    assert await projects(board) == {"a", "b", "c"}


async def test_nobody_is_told_done_whose_commit_failed(board: Board) -> None:
    with faulty(board, 1, 3):
        answers = await in_one_batch(board, Item("a"), Item("b"), Item("c"))
    assert (answers[0], answers[2]) == ("a", "c")
    assert isinstance(answers[1], Unavailable) and answers[1].retry_after > 0
    assert await projects(board) == {"a", "c"}


async def test_while_no_commit_succeeds_everybody_is_told_to_try_later(board: Board) -> None:
    with faulty(board, *range(1, 100)):
        answers = await in_one_batch(board, *[Item(name) for name in "abc"])
        assert [type(answer) for answer in answers] == [Unavailable] * 3
        with pytest.raises(Unavailable, match="disk I/O error"):
            await board.write(Item("d"))
    assert await projects(board) == set()
    assert await board.write(Item("e")) == "e"


@pytest.mark.parametrize("at", ["BEGIN", "SAVEPOINT", "RELEASE", "COMMIT"])
async def test_a_writer_that_stumbles_answers_everybody_and_goes_on(board: Board, at: str) -> None:
    with faulty(board, *range(1, 100), at=at, error=MemoryError):
        answers = await in_one_batch(board, *[Item(name) for name in "abc"])
    assert [type(answer) for answer in answers] == [MemoryError] * 3
    assert await projects(board) == set()
    assert await board.write(Item("d")) == "d"  # at once: nothing of the failed batch is still open


# --- Busy ------------------------------------------------------------------------------------------------------------


@contextmanager
def held_by_a_shell(board: Board) -> Iterator[Callable[[], None]]:
    """A real sqlite3 shell with a write transaction open, in which it inserts a project; call to let it commit."""
    with subprocess.Popen(["sqlite3", "-batch", str(board.path)], stdin=-1, stdout=-1, text=True, bufsize=1) as shell:
        assert shell.stdin is not None and shell.stdout is not None
        shell.stdin.write("BEGIN IMMEDIATE; INSERT INTO projects (id) VALUES ('by-hand'); SELECT 'held';\n")
        assert shell.stdout.readline() == "held\n"

        def commit() -> None:
            assert shell.stdin is not None
            shell.stdin.write("COMMIT;\n")
            shell.stdin.close()
            assert shell.wait(20) == 0

        try:
            yield commit
        finally:
            shell.kill()


async def test_a_board_held_too_long_is_unavailable_to_all_and_once_for_all(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.2)
    board = await Board.open(tmp_path / "board.sqlite", clock=clock)
    with held_by_a_shell(board) as commit:
        items = [Item(f"p{number}") for number in range(50)]
        loop = asyncio.get_running_loop()
        started = loop.time()
        answers = await asyncio.gather(*map(board.write, items), return_exceptions=True)
        waited = loop.time() - started
        assert {type(answer) for answer in answers} == {Unavailable}
        assert "locked" in str(answers[0])
        assert waited < 50 * 0.2 / 2, "each of a batch waited for itself"
        commit()
    assert await board.write(items[0]) == "p0"
    assert await projects(board) == {"p0", "by-hand"}
    await board.close()


async def test_an_operators_short_transaction_only_holds_us_up(board: Board) -> None:
    with held_by_a_shell(board) as commit:
        waiting = asyncio.create_task(board.write(Item("a")))
        await asyncio.sleep(0)
        assert await projects(board) == set()  # readers are not held up, and see nothing half done
        commit()
        assert await waiting == "a"
    assert await projects(board) == {"a", "by-hand"}


async def test_a_foreign_commit_is_noticed_once_and_ours_are_not(board: Board) -> None:
    assert not await board.foreign_commits()
    await board.write(Item("ours"))
    assert not await board.foreign_commits()
    done = await asyncio.to_thread(
        subprocess.run, ["sqlite3", str(board.path), "INSERT INTO projects (id) VALUES ('theirs')"], check=False
    )
    assert done.returncode == 0
    await board.write(Item("ours-too"))
    assert await board.foreign_commits()
    assert not await board.foreign_commits()
    assert await projects(board) == {"ours", "theirs", "ours-too"}


# --- Many callers, cancelled callers, the end -------------------------------------------------------------------------


async def test_two_thousand_writes_at_once_each_get_their_own_answer(board: Board) -> None:
    def numbered(tx: Tx, number: int) -> tuple[int, int]:
        if number % 7 == 0:
            raise Invalid(f"not {number}")
        tx.run(PROJECT, id=f"p{number}")
        row = tx.one("SELECT count(*) AS n FROM projects")
        return number, row["n"] if row else 0

    answers = await asyncio.gather(*(board.write(numbered, n) for n in range(2000)), return_exceptions=True)

    assert [str(a) for a in answers if isinstance(a, Invalid)] == [f"not {n}" for n in range(0, 2000, 7)]
    done = [answer for answer in answers if isinstance(answer, tuple)]
    assert [number for number, _ in done] == [n for n in range(2000) if n % 7]
    assert [count for _, count in done] == list(range(2, len(done) + 2))  # one after the other, in the order asked
    assert await projects(board) == {f"p{number}" for number, _ in done}


async def test_what_a_cancelled_caller_asked_for_is_done_all_the_same(board: Board) -> None:
    held, let_go = threading.Event(), threading.Event()

    def hold(tx: Tx) -> None:
        held.set()
        let_go.wait(30)

    first = asyncio.create_task(board.write(hold))
    await asyncio.to_thread(held.wait, 30)
    second = asyncio.create_task(board.write(Item("b")))
    third = asyncio.create_task(board.write(Item("c")))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    let_go.set()
    assert await third == "c"
    await first
    assert await projects(board) == {"b", "c"}


async def test_a_caller_cancelled_between_commit_and_answer_disturbs_nobody(board: Board) -> None:
    loop, tasks = asyncio.get_running_loop(), list[asyncio.Task[str]]()

    def cancel_everybody_else(tx: Tx) -> None:
        for task in tasks[1:]:
            loop.call_soon_threadsafe(task.cancel)

    for item in (Item("a", cancel_everybody_else), Item("b"), Item("c")):
        tasks.append(asyncio.create_task(board.write(item)))
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert answers[0] == "a"
    await board.write(lambda tx: None)
    assert await projects(board) == {"a", "b", "c"}


async def test_closing_finishes_what_waits(tmp_path: Path, clock: FakeClock) -> None:
    board = await Board.open(tmp_path / "board.sqlite", clock=clock)
    waiting = [asyncio.create_task(board.write(Item(f"p{number}"))) for number in range(1000)]
    await asyncio.sleep(0)
    await board.close()
    assert await asyncio.gather(*waiting) == [f"p{number}" for number in range(1000)]
    assert not board._writer.is_alive()
    again = await Board.open(tmp_path / "board.sqlite", clock=clock)
    assert len(await projects(again)) == 1000
    await again.close()


async def test_a_closed_board_is_unavailable_and_nobody_waits_for_it(tmp_path: Path, clock: FakeClock) -> None:
    board = await Board.open(tmp_path / "board.sqlite", clock=clock)
    await board.close()
    async with asyncio.timeout(5):
        with pytest.raises(Unavailable, match="closed"):
            await board.write(Item("a"))


# --- The same again --------------------------------------------------------------------------------------------------


def whole_life(tx: Tx) -> list[object]:
    """One of nearly everything the verbs can do."""
    first = scenes.post(tx, title="first")
    second = scenes.post(tx, title="second", needs=[first])
    child = scenes.post(tx, title="child", parent_id=second)
    said: list[object] = [first, second, child, scenes.status_of(tx, second)]
    said.append(verbs.end_badly(tx, scenes.work(tx, first), "crashed", actor="engine:monitor", exit_code=3))
    scenes.see_off(tx, first)
    said.append(verbs.end_badly(tx, scenes.work(tx, first), "failed", actor="executor:ada", detail="no", final=True))
    scenes.see_off(tx, first)
    said.append(verbs.reopen(tx, first, actor="person:root"))
    scenes.submit(tx, first)
    said.append(verbs.reject(tx, first, actor="person:root", remark="again"))
    scenes.submit(tx, first)
    said.append(verbs.approve(tx, first, actor="person:root"))
    said.append(verbs.cancel(tx, second, actor="person:root"))
    schedule = slots.Schedule(
        "api", [("ada", {"id": 1, "scheduled_at": "10:00"}), ("ada", {"id": 2})], "forge", complete=True
    )
    said.append(vars(slots.take_in(tx, schedule, Policies())))
    said.append(families.sweep(tx))
    return said


async def test_a_write_that_runs_again_says_and_does_the_same(board: Board) -> None:
    seen: list[object] = []

    def looked_at(tx: Tx) -> list[object]:
        said = whole_life(tx)
        seen.append((said, scenes.everything(tx)))
        return said

    def takes_all_down(tx: Tx) -> None:
        with_it = "INSERT OR ROLLBACK INTO projects (id) VALUES ('forge')"
        tx.run(with_it)

    answers = await in_one_batch(board, looked_at, takes_all_down)

    assert isinstance(answers[1], Conflict)
    assert len(seen) == 2 and seen[0] == seen[1]
    assert answers[0] == seen[0][0]  # type: ignore[index]


async def test_every_item_of_a_batch_has_the_time_it_was_asked_at(board: Board, clock: FakeClock) -> None:
    held = threading.Event()
    first = asyncio.create_task(board.write(lambda tx: held.wait(30)))
    await asyncio.sleep(0)
    early = asyncio.create_task(board.write(lambda tx: (tx.now, tx.boot)))
    await asyncio.sleep(0)
    clock.go_on(60)
    late = asyncio.create_task(board.write(lambda tx: (tx.now, tx.boot)))
    await asyncio.sleep(0)
    held.set()
    assert await early == ("2026-01-31T09:00:00.000Z", 1000.0)
    assert await late == ("2026-01-31T09:01:00.000Z", 1060.0)
    await first


async def test_what_is_tried_and_undone_leaves_no_trace(board: Board) -> None:
    before = await board.read(scenes.everything)
    assert await tried(board, lambda tx: scenes.post_at(tx, "done")) == 1
    assert await board.read(scenes.everything) == before
