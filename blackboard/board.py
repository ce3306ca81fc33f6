"""The file: one writer thread that commits waiting transactions together, and a pool of readers.

A verb is a plain function over a `Tx`; the caller says `await board.write(verb, …)` and gets its answer after
the commit: what was answered is durable. Verbs may run twice (see `_Writer`), so they have no effect outside
`tx`. Never hands a connection out, and never opens the board with ordinary file calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import aiosqlite

from blackboard import migrations
from blackboard.clock import Clock, SystemClock
from blackboard.commits import Commits
from blackboard.errors import BadBoard, BlackboardError, Conflict, Invalid, NotFound, Refused, Unavailable

T = TypeVar("T")
P = ParamSpec("P")

BATCH = 256  # items of one commit: bounds the wait of the first caller
BUSY_SECONDS = 5.0  # how long an operator's open transaction may hold us up

_WRITER_PRAGMAS = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
PRAGMA temp_store = MEMORY;
PRAGMA foreign_keys = ON;
PRAGMA cache_size = -65536;
PRAGMA journal_size_limit = 67108864;
"""


class Rows(Protocol):
    """Anything that answers a query: a transaction, or a read-only connection."""

    def one(self, sql: str, **params: object) -> sqlite3.Row | None: ...

    def all(self, sql: str, **params: object) -> list[sqlite3.Row]: ...


class _Connection:
    """The three ways to run a statement."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def one(self, sql: str, **params: object) -> sqlite3.Row | None:
        """The first row, or None."""
        row: sqlite3.Row | None = self._connection.execute(sql, params).fetchone()
        return row

    def all(self, sql: str, **params: object) -> list[sqlite3.Row]:
        """Every row."""
        return self._connection.execute(sql, params).fetchall()


class Tx(_Connection):
    """One transaction. `now` and `boot` are fixed before it runs, so that it says the same when it runs again."""

    def __init__(self, connection: sqlite3.Connection, now: str, boot: float) -> None:
        super().__init__(connection)
        self.now = now
        self.boot = boot

    def run(self, sql: str, **params: object) -> int:
        """Change rows; how many."""
        return self._connection.execute(sql, params).rowcount

    def insert(self, sql: str, **params: object) -> int:
        """Insert one row; its id."""
        return self._connection.execute(sql, params).lastrowid or 0


class _Item:
    """A transaction that waits for the writer."""

    __slots__ = ("boot", "error", "fn", "future", "now", "result")

    def __init__(self, fn: Callable[[Tx], Any], now: str, boot: float, future: asyncio.Future[Any]) -> None:
        self.fn, self.now, self.boot, self.future = fn, now, boot, future
        self.result: Any = None
        self.error: BaseException | None = None


class _Writer(threading.Thread):
    """The only writing connection. Takes everything that waits and commits it together.

    Each item runs in a savepoint of its own: its error undoes only itself. Some errors end the whole
    transaction behind our back (disk full, RAISE(ROLLBACK), interrupt), and COMMIT itself can fail: then
    nothing of the batch counts, and its items run again one by one, each with its own commit.
    """

    def __init__(self, connection: sqlite3.Connection, settle: Callable[[list[_Item], bool], None]) -> None:
        super().__init__(name="board-writer", daemon=True)
        self._connection = connection
        self._settle = settle
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._in_item = False
        connection.set_authorizer(self._authorize)

    def put(self, item: _Item | None) -> None:
        self._queue.put(item)

    def run(self) -> None:
        while (batch := self._waiting()) is not None:
            before = self._connection.total_changes
            try:
                self._do(batch)
            except BaseException as error:  # nobody may wait for ever on a writer that fell over
                with contextlib.suppress(sqlite3.Error):
                    self._rollback()
                for item in batch:
                    item.error = item.error or error
            self._settle(batch, self._connection.total_changes != before)
        self._connection.close()

    def _do(self, batch: list[_Item]) -> None:
        if not self._together(batch):
            for item in batch:
                self._alone(item)

    def _waiting(self) -> list[_Item] | None:
        """Everything in the queue, at most BATCH; None when the writer is to end."""
        first = self._queue.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < BATCH:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                self._queue.put(None)  # end after this batch
                break
            batch.append(item)
        return batch

    def _together(self, batch: list[_Item]) -> bool:
        """Run a batch in one transaction; False when it has to be done again item by item."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE -- batch")
        except sqlite3.Error as error:  # nothing ran, and each alone would only wait as long again
            for item in batch:
                item.error = _told(error)
            return True
        try:
            for item in batch:
                if not self._in_savepoint(item):
                    return False
            connection.execute("COMMIT -- batch")
        except sqlite3.Error as error:
            self._rollback()
            if len(batch) > 1:
                return False
            batch[0].error = _told(error)
        return True

    def _in_savepoint(self, item: _Item) -> bool:
        """Run one item; False when it took the whole transaction down."""
        connection = self._connection
        connection.execute("SAVEPOINT item -- batch")
        self._call(item)
        if not connection.in_transaction:
            return False
        if item.error is not None:
            connection.execute("ROLLBACK TO item -- batch")
        connection.execute("RELEASE item -- batch")
        return True

    def _alone(self, item: _Item) -> None:
        """Run one item again, with its own commit."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE -- batch")
            self._call(item)
            if item.error is None:
                connection.execute("COMMIT -- batch")
        except sqlite3.Error as error:
            item.error = _told(error)
        self._rollback()

    def _call(self, item: _Item) -> None:
        item.result, item.error = None, None
        self._in_item = True
        try:
            item.result = item.fn(Tx(self._connection, item.now, item.boot))
        except sqlite3.Error as error:
            item.error = _told(error)
        except StopIteration as error:  # the one error that a future does not take
            item.error = RuntimeError(f"a transaction raised StopIteration: {error}")
        except BaseException as error:  # the caller's own fault is the caller's own answer
            item.error = error
        finally:
            self._in_item = False

    def _rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK -- batch")

    def _authorize(self, action: int, name: str | None, *_more: object) -> int:
        """Keep BEGIN, COMMIT, ROLLBACK, SAVEPOINT, ATTACH and PRAGMA out of items.

        Asked when a statement is prepared; the comments in our own texts keep them apart in the statement cache.
        """
        denied = self._in_item and action in _NOT_IN_ITEMS and name != "data_version"
        return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK


_NOT_IN_ITEMS = frozenset(
    {
        sqlite3.SQLITE_TRANSACTION,
        sqlite3.SQLITE_SAVEPOINT,
        sqlite3.SQLITE_ATTACH,
        sqlite3.SQLITE_DETACH,
        sqlite3.SQLITE_PRAGMA,
    }
)

_UNIQUE = {
    "attempts.task_id": "the former attempt of this task is not proved gone",
    "tasks.slot_id, tasks.occurrence": "this slot occurrence has its task already",
    "slots.source, slots.agent_id, slots.uid": "this slot is on the board already",
}
_DATATYPE = 3091  # SQLITE_CONSTRAINT_DATATYPE, a STRICT column's type: Python 3.11 has no name for it
_TRY_LATER = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
                        sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY})  # fmt: skip


def _told(error: sqlite3.Error) -> BaseException:
    """What the caller is told of SQLite's error, decided once: a bug stays the error it is."""
    code = getattr(error, "sqlite_errorcode", 0)
    text = str(error)
    if code == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
        return Refused(text)
    if code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
        columns = text.rpartition(": ")[2]
        return Conflict(_UNIQUE.get(columns, f"there is one already: {columns}"))
    if code == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY:
        return NotFound("something this names is not on the board: a project, an agent or a task")
    if code in (sqlite3.SQLITE_CONSTRAINT_CHECK, sqlite3.SQLITE_CONSTRAINT_NOTNULL, _DATATYPE):
        return Invalid(f"the board does not take this value: {text}")
    if code & 0xFF in _TRY_LATER:
        return Unavailable(f"the board cannot be written just now ({text}); try again", cause=text)
    return error


class Board:
    """The open board. The caller holds its `BoardLock`."""

    def __init__(
        self, path: Path, clock: Clock, writer: sqlite3.Connection, readers: list[aiosqlite.Connection]
    ) -> None:
        self.path = path
        self.clock = clock
        self.board_id: str = writer.execute("SELECT value FROM meta WHERE key = 'board_id'").fetchone()[0]
        self.commits = Commits()  # told of every change, another process's too once `foreign_commits` has seen it
        self._loop = asyncio.get_running_loop()
        self._readers: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        self._all_readers = readers
        self._loops_own, *shared = readers
        for reader in shared:
            self._readers.put_nowait(reader)
        self._data_version: int | None = None
        self._closed = False
        self._connection = writer
        self._writer = _Writer(writer, self._settle)
        self._writer.start()

    @classmethod
    async def open(cls, path: Path, *, clock: Clock | None = None, readers: int = 2) -> Board:
        """Open the board, making or migrating the file; BadBoard when it is not one we can use."""
        clock = clock or SystemClock()
        writer = await asyncio.to_thread(_open_writer, path, clock)
        pool = [await _open_reader(path) for _ in range(1 + readers)]
        return cls(path, clock, writer, pool)

    async def write(self, fn: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `fn(tx, …)` as one transaction; returns after the commit, raises the item's own error.

        Runs to its end even if the caller is cancelled meanwhile. `fn` must be re-runnable.
        """
        if self._closed:
            raise Unavailable("the board is closed: the orchestrator is ending")
        future: asyncio.Future[T] = self._loop.create_future()
        now, boot = self.clock.now(), self.clock.boot()
        self._writer.put(_Item(lambda tx: fn(tx, *args, **kwargs), now, boot, future))
        return await future

    async def one(self, sql: str, **params: object) -> sqlite3.Row | None:
        """The first row of a read-only query, or None."""
        rows = await self.all(sql, **params)
        return rows[0] if rows else None

    async def all(self, sql: str, **params: object) -> list[sqlite3.Row]:
        """Every row of a read-only query; one hop to a reader's thread."""
        reader = await self._readers.get()
        try:
            return list(await reader.execute_fetchall(sql, params))
        finally:
            self._readers.put_nowait(reader)

    async def read(self, fn: Callable[Concatenate[Rows, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a question `fn(rows, …)` of several queries in one snapshot, on a reader's thread."""
        reader = await self._readers.get()
        try:
            return await _on_thread(reader, lambda rows: fn(rows, *args, **kwargs))
        finally:
            self._readers.put_nowait(reader)

    async def read_first(self, fn: Callable[Concatenate[Rows, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same on a connection kept for the loop's own questions: a crowd of callers does not hold them up."""
        return await _on_thread(self._loops_own, lambda rows: fn(rows, *args, **kwargs))

    async def foreign_commits(self) -> bool:
        """Whether another process has committed since the last time this was asked."""
        version: int = await self.write(_data_version, self._connection)
        changed = self._data_version is not None and version != self._data_version
        self._data_version = version
        if changed:
            self.commits.tell()
        return changed

    async def close(self) -> None:
        """Finish what waits, then close every connection; the writer last, so that the file is whole without its log."""
        self._closed = True
        for reader in self._all_readers:
            await reader.close()
        self._writer.put(None)
        await asyncio.to_thread(self._writer.join)

    def _settle(self, batch: list[_Item], changed: bool) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self._loop.call_soon_threadsafe(_answer, batch)
            if changed:
                self._loop.call_soon_threadsafe(self.commits.tell)


def _answer(batch: list[_Item]) -> None:
    for item in batch:
        if item.future.done():  # its caller was cancelled meanwhile: what it asked for is done all the same
            continue
        if item.error is not None:
            item.future.set_exception(item.error)
        else:
            item.future.set_result(item.result)


def _data_version(_tx: Tx, connection: sqlite3.Connection) -> int:
    version: int = connection.execute(_DATA_VERSION).fetchone()[0]
    return version


_DATA_VERSION = "SELECT data_version FROM pragma_data_version"


async def _on_thread(reader: aiosqlite.Connection, fn: Callable[[Rows], T]) -> T:
    """Run several queries as one snapshot in one hop: aiosqlite's own public calls hop once a statement."""
    result: T = await reader._execute(_in_snapshot, reader._conn, fn)  # type: ignore[no-untyped-call]
    return result


def _in_snapshot(connection: sqlite3.Connection, fn: Callable[[Rows], T]) -> T:
    connection.execute("BEGIN")
    try:
        return fn(_Connection(connection))
    finally:
        connection.execute("ROLLBACK")


def _open_writer(path: Path, clock: Clock) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        connection.row_factory = sqlite3.Row
        migrations.recognise(connection, path)
        connection.executescript(_WRITER_PRAGMAS)
        migrations.apply(connection, path, clock.now())
    except sqlite3.OperationalError as error:
        raise BadBoard(f"{path} cannot be opened as a board: {error}") from error
    except sqlite3.DatabaseError as error:
        raise BadBoard(f"{path} is damaged or not a board: {error}; restore a backup, or name another file") from error
    return connection


async def _open_reader(path: Path) -> aiosqlite.Connection:
    reader = await aiosqlite.connect(
        read_only_uri(path), uri=True, timeout=BUSY_SECONDS, isolation_level=None, cached_statements=512
    )
    reader.row_factory = sqlite3.Row
    await reader.execute_fetchall("PRAGMA temp_store = MEMORY")
    return reader


def read_only_uri(path: Path) -> str:
    """The URI that opens a board without being able to write or checkpoint it."""
    return f"{path.absolute().as_uri()}?mode=ro"


class ReadOnly(_Connection):
    """A reader for the command line: `with ReadOnly(path) as board: board.all(…)`."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise NotFound(f"there is no board at {path}: `orchestrator init` makes one")
        try:
            connection = sqlite3.connect(read_only_uri(path), uri=True, timeout=BUSY_SECONDS, isolation_level=None)
            connection.row_factory = sqlite3.Row
            migrations.recognise(connection, path)
        except sqlite3.Error as error:
            raise BadBoard(f"{path} cannot be read as a board: {error}") from error
        super().__init__(connection)

    @property
    def connection(self) -> sqlite3.Connection:
        """The read-only connection itself, for `orchestrator sql` and `backup`."""
        return self._connection

    def __enter__(self) -> ReadOnly:
        return self

    def __exit__(self, *_error: object) -> None:
        self._connection.close()


__all__ = ["BlackboardError", "Board", "ReadOnly", "Rows", "Tx", "read_only_uri"]
