"""The file: one writer that commits waiting transactions together, and a pool of readers.

A verb is a plain function over a `Tx`; the caller says `await board.write(verb, …)` and gets its answer after
the commit: what was answered is durable. Verbs may run twice (see `blackboard.writer`), so they have no effect outside
`tx`. Never hands a connection out, and never opens the board with ordinary file calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, Protocol, TypeVar

import aiosqlite

from blackboard import migrations
from blackboard.clock import Clock, SystemClock
from blackboard.commits import Commits
from blackboard.errors import BadBoard, BlackboardError, NotFound, Unavailable
from blackboard.writer import Item, Writer, answer

T = TypeVar("T")
P = ParamSpec("P")

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
        self._writer = Writer(writer, self._settle)
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
        self._writer.put(Item(lambda connection: fn(Tx(connection, now, boot), *args, **kwargs), future))
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

    def _settle(self, batch: list[Item], changed: bool) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self._loop.call_soon_threadsafe(answer, batch)
            if changed:
                self._loop.call_soon_threadsafe(self.commits.tell)


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
