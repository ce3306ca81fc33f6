"""The token that another server wants, as the header it is sent in: read for each call, or once until it is refused."""

from __future__ import annotations

import asyncio
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from orchestrator import small_files
from orchestrator.asking import NoAnswer

COMMAND_SECONDS = 10.0
MOST = 64 * 1024  # bytes of a token


class Bearer:
    """The header with the token of a file, of a command's output, or of neither.

    Its number grows with every renewal, so that many who are refused at once renew it once.
    """

    def __init__(self, token_file: Path | None = None, token_command: Sequence[str] = ()) -> None:
        self._file = token_file
        self._command = tuple(token_command)
        self._header: dict[str, str] | None = None
        self._number = 0
        self._lock = asyncio.Lock()

    @property
    def can_be_renewed(self) -> bool:
        """Whether there is a token at all."""
        return self._file is not None or bool(self._command)

    async def header(self, refused: int | None = None) -> tuple[dict[str, str], int]:
        """The header and its number. `refused`: the number of the one that was not taken; NoAnswer when it cannot be had."""
        async with self._lock:
            if self._header is None or refused == self._number:
                self._header = None
                self._header = await asyncio.to_thread(self._read)
                self._number += 1
            return self._header, self._number

    def _read(self) -> dict[str, str]:
        if self._command:
            return _header(_printed(self._command), self._command[0])
        return authorization(self._file)


def authorization(token_file: Path | None) -> dict[str, str]:
    """The header with the token that a file holds now; none without a file. NoAnswer when it cannot be had."""
    return {} if token_file is None else _header(_kept(token_file), token_file)


def _header(text: str, place: object) -> dict[str, str]:
    token = text.strip()
    if not token or len(token) > MOST or not token.isascii() or not token.isprintable():
        raise NoAnswer(f"{place} holds no token: one line of plain text")
    return {"Authorization": f"Bearer {token}"}


def _kept(file: Path) -> str:
    try:
        return small_files.read(file, MOST + 2)[0].decode()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise NoAnswer(f"its token file {file} cannot be read: {why}") from None


def _printed(command: tuple[str, ...]) -> str:
    """What a command prints; one that takes too long or prints too much is ended with all it has started."""
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own command, no shell
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/",
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise NoAnswer(f"its token_command {command[0]} cannot be run: {error.strerror}") from None
    until = time.monotonic() + COMMAND_SECONDS
    with process:
        told = _read(process, until)
        if told is None or not _has_ended(process, until):
            os.killpg(process.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
            gave = f"no token of at most {MOST} bytes within {COMMAND_SECONDS:g} s"
            raise NoAnswer(f"its token_command {command[0]} gave {gave}")
    if process.returncode:
        raise NoAnswer(f"its token_command {command[0]} ended with exit code {process.returncode}")
    return told.decode("utf-8", "replace")


def _has_ended(process: subprocess.Popen[bytes], until: float) -> bool:
    try:
        process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _read(process: subprocess.Popen[bytes], until: float) -> bytes | None:
    """All it prints; None when that is too much, or does not end in time."""
    told = b""
    with selectors.DefaultSelector() as selector:
        pipe = process.stdout
        if pipe is None:
            return told
        selector.register(pipe, selectors.EVENT_READ)
        while len(told) <= MOST and selector.select(max(0.0, until - time.monotonic())):
            piece = os.read(pipe.fileno(), MOST)
            if not piece:
                return told
            told += piece
    return None
