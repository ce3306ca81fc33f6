"""An attempt's spool: reports it could not deliver, one file each, taken in by their order, each once.

Looked at while the attempt lives, and before it is judged. Whatever lies there was written by the agent: it is
opened without following links, bounded, and what is no report is noted and left aside; it never holds the rest up.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from blackboard import attempts, content, spooled
from blackboard.board import Board
from blackboard.clock import from_text
from blackboard.content import Held
from blackboard.errors import BlackboardError, Invalid, Unavailable
from blackboard.spooled import NotJson, Spooled
from blackboard.tokens import redact
from blackboard.uploads import Arriving
from orchestrator.config import Settings

log = logging.getLogger(__name__)

NAME = "spool"
MOST_FILES = 1000  # of one attempt
MOST_LISTED = 10_000
MOST_BYTES = 16 * 1024 * 1024  # of one report
MOST_HELD = 64 * 1024 * 1024  # of a file named by its path: it is read once, for its hash
SETTLED_SECONDS = 2.0  # a file that is no JSON yet may still be growing for so long
LOOK_SECONDS = 1.0
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Spools:
    """The spools of one board's attempts. `wake` is called when a report was applied."""

    def __init__(
        self, board: Board, settings: Settings, directory: Callable[[int], Path], wake: Callable[[], None]
    ) -> None:
        self._board = board
        self._settings = settings
        self._directory = directory
        self._wake = wake

    async def watch(self, attempt_id: int) -> None:
        """Take in what comes, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.take(attempt_id, final=False)
            except BlackboardError as error:
                log.warning("attempt %s: its spool waits: %s", attempt_id, error)

    async def take(self, attempt_id: int, *, final: bool) -> int:
        """Take in what lies there; how many reports were applied. `final`: nothing can still be half written.

        Raises Unavailable when the board or the disk takes nothing just now: then nobody should be judged by it.
        """
        folder = self._directory(attempt_id) / NAME
        names = await asyncio.to_thread(waiting, folder)
        if not names:
            return 0
        done = await self._board.read(spooled.taken, attempt_id)
        applied = 0
        for name in names:
            shown = name if _SAFE.fullmatch(name) else ascii(name)[:100]
            if shown not in done:
                if len(done) >= MOST_FILES:
                    await self._refuse(attempt_id, "(more)", Invalid(f"it holds more than {MOST_FILES} reports"))
                    break
                took = await self._take_one(attempt_id, folder, name, shown, final)
                if took is None:
                    break
                applied += took
                done.add(shown)
            await asyncio.to_thread(_put_aside, folder, name)
        if applied:
            self._wake()
        return applied

    async def _take_one(self, attempt_id: int, folder: Path, name: str, shown: str, final: bool) -> int | None:
        """Apply or refuse one report; None when it may still be growing."""
        raw, route = b"", NAME
        try:
            if shown != name:
                raise Invalid("a report is called like 1.json: letters, digits, dots, dashes")
            raw = await asyncio.to_thread(_read, folder, name)
            told = spooled.understood(raw)
            route = told.route
            return await self._apply(attempt_id, folder, name, told)
        except Unavailable:
            raise
        except NotJson as error:
            if not final and await asyncio.to_thread(self._is_young, folder / name):
                return None
            refusal: BlackboardError = error
        except BlackboardError as error:
            refusal = error
        except Exception as error:
            log.exception("attempt %s: report %s of its spool", attempt_id, shown)
            refusal = Invalid(f"it could not be taken in ({type(error).__name__})")
        await self._refuse(attempt_id, shown, refusal, route, _text(raw))
        return 0

    async def _refuse(
        self, attempt_id: int, name: str, refusal: BlackboardError, route: str = NAME, body: str | None = None
    ) -> None:
        await self._board.write(
            spooled.refuse, attempt_id, name, route=route, code=refusal.code, sentence=refusal.sentence, body=body
        )

    async def _apply(self, attempt_id: int, folder: Path, name: str, told: Spooled) -> int:
        row = await self._board.one(attempts.GET, id=attempt_id)
        workspace = Path(row["workspace"]) if row and row["workspace"] else folder
        held = await asyncio.to_thread(
            lambda: {path: content.resolve(workspace, path, MOST_HELD) for path in told.paths()}
        )
        file = await asyncio.to_thread(self._kept, folder, told.file) if told.file is not None else None
        policies = self._settings.policies()
        return int(await self._board.write(spooled.apply, attempt_id, name, told, held, file, policies))

    def _kept(self, folder: Path, name: str) -> Held:
        """A file of the spool, copied to the uploads. Again after a crash it is the same file under the same name."""
        if not _SAFE.fullmatch(name):
            raise Invalid(f"its file {name[:100]!r} is not the name of a file beside it")
        arriving = Arriving(self._settings.uploads_dir, self._settings.api.max_upload_bytes)
        try:
            with _opened(folder, name) as fd:
                while piece := os.read(fd, 1 << 20):
                    arriving.write(piece)
            return arriving.keep()
        finally:
            arriving.discard()

    def _is_young(self, path: Path) -> bool:
        try:
            age = from_text(self._board.clock.now()).timestamp() - path.lstat().st_mtime
        except OSError:
            return False
        return age < SETTLED_SECONDS


def waiting(folder: Path) -> list[str]:
    """The names of reports in a spool, by the numbers they begin with; nothing when it is no folder of ours."""
    found: list[str] = []
    try:
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        with os.scandir(at) as entries:
            for number, entry in enumerate(entries):
                if number >= MOST_LISTED:
                    break
                if entry.name.endswith(".json") and not entry.name.startswith("."):
                    found.append(entry.name)
    finally:
        os.close(at)
    return sorted(found, key=_order)


def _order(name: str) -> tuple[int, str]:
    number = re.match(r"[0-9]{1,18}", name, re.ASCII)
    return (int(number[0]) if number else 0, name)


@contextmanager
def _opened(folder: Path, name: str) -> Iterator[int]:
    """A regular file of a spool, open; Invalid for anything else."""
    try:
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fd = os.open(name, _OPEN, dir_fd=at)
        finally:
            os.close(at)
    except OSError as error:
        raise Invalid(f"{name} cannot be read ({error.strerror}; links are not followed)") from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Invalid(f"{name} is not a regular file")
        yield fd
    finally:
        os.close(fd)


def _read(folder: Path, name: str) -> bytes:
    with _opened(folder, name) as fd:
        if os.fstat(fd).st_size > MOST_BYTES:
            raise Invalid(f"it has more than {MOST_BYTES} bytes: leave a large file in your workspace")
        pieces, left = [], MOST_BYTES
        while left and (piece := os.read(fd, min(left, 1 << 20))):
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)


def _put_aside(folder: Path, name: str) -> None:
    """Give a report that is done with a name that is not listed. If a crash comes before, its row says it is done."""
    with suppress(OSError):
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.rename(name, f"{name}.taken", src_dir_fd=at, dst_dir_fd=at)
        finally:
            os.close(at)


def _text(raw: bytes) -> str | None:
    """The beginning of a report as text the board can keep, without tokens."""
    return redact(raw[: 64 * 1024].decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")) or None
