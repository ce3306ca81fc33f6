"""The writer thread: takes everything that waits, runs it as one transaction, commits once, answers after the commit.

Knows a connection and items, and nothing of what an item does. An item may run twice, so it has no effect but on the
connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

from blackboard.errors import Conflict, Invalid, NotFound, Refused, Unavailable

BATCH = 256  # items of one commit: bounds the wait of the first caller


class Item:
    """A transaction that waits for the writer, and the future of who waits for it."""

    __slots__ = ("error", "fn", "future", "result")

    def __init__(self, fn: Callable[[sqlite3.Connection], Any], future: asyncio.Future[Any]) -> None:
        self.fn, self.future = fn, future
        self.result: Any = None
        self.error: BaseException | None = None


class Writer(threading.Thread):
    """The only writing connection. Takes everything that waits and commits it together.

    Each item runs in a savepoint of its own: its error undoes only itself. Some errors end the whole
    transaction behind our back (disk full, RAISE(ROLLBACK), interrupt), and COMMIT itself can fail: then
    nothing of the batch counts, and its items run again one by one, each with its own commit.
    """

    def __init__(self, connection: sqlite3.Connection, settle: Callable[[list[Item], bool], None]) -> None:
        super().__init__(name="board-writer", daemon=True)
        self._connection = connection
        self._settle = settle
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._in_item = False
        connection.set_authorizer(self._authorize)

    def put(self, item: Item | None) -> None:
        """Have it run with what waits; None: end after what waits."""
        self._queue.put(item)

    def run(self) -> None:
        """Until the None."""
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

    def _do(self, batch: list[Item]) -> None:
        if not self._together(batch):
            for item in batch:
                self._alone(item)

    def _waiting(self) -> list[Item] | None:
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

    def _together(self, batch: list[Item]) -> bool:
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

    def _in_savepoint(self, item: Item) -> bool:
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

    def _alone(self, item: Item) -> None:
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

    def _call(self, item: Item) -> None:
        item.result, item.error = None, None
        self._in_item = True
        try:
            item.result = item.fn(self._connection)
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


def answer(batch: list[Item]) -> None:
    """Hand each caller what became of its item; on the loop's own thread."""
    for item in batch:
        if item.future.done():  # its caller was cancelled meanwhile: what it asked for is done all the same
            continue
        if item.error is not None:
            item.future.set_exception(item.error)
        else:
            item.future.set_result(item.result)


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
