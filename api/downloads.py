"""Outputs read back: facts with a page of text, and the bytes themselves, safe to open whatever an agent put in them.

A browser saves the bytes and never shows them: attachment, no type that runs, no sniffing, a sandbox. Never sends a
file that is not what was handed in.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path, PurePosixPath
from typing import Annotated
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api import bodies, callers, schemas
from api.callbacks import BASE
from api.endpoints import Call, Endpoint, answer
from api.refusals import counted
from blackboard import downloads
from blackboard.board import Rows
from blackboard.record import Record

PIECE = 256 * 1024  # bytes sent at once


class OutputQuery(BaseModel):
    """`?offset=BYTES&limit=BYTES`."""

    model_config = ConfigDict(extra="forbid")
    offset: Annotated[int, Field(ge=0, lt=2**63)] = 0
    limit: Annotated[int, Field(ge=downloads.LEAST_PAGE, le=downloads.MOST_PAGE)] = 16 * 1024


async def read_output(call: Call) -> Response:
    """The facts of one output, with a page of its text."""

    async def read(token: bytes) -> Response:
        query = bodies.parse(OutputQuery, None, {}, call.query, b"")
        row, raw = await call.api.board.read(_found, token, call, query.offset, query.limit)
        if not row["on_board"]:
            async with call.api.reading_files:
                raw = await asyncio.to_thread(_read, row, call.api.uploads, query.offset, query.limit)
        where = f"{call.scope['path']}/content"
        return answer(downloads.facts(row) | downloads.page(raw, query.offset, row["size"]) | {"content_url": where})

    return await counted(call, read)


async def read_content(call: Call) -> Response:
    """The bytes of one output."""

    async def read(token: bytes) -> Response:
        row, raw = await call.api.board.read(_found, token, call, 0, None)
        if row["on_board"]:
            return Response(raw, headers=_headers(row, text=True))
        async with call.api.reading_files:
            fd = await asyncio.to_thread(downloads.opened, row, call.api.uploads)
        return _File(fd, row)

    return await counted(call, read)


def _found(rows: Rows, token: bytes, call: Call, offset: int, limit: int | None) -> tuple[Record, bytes]:
    """The output, if the caller may read it, and some bytes of it if they are on the board."""
    callers.may_read(rows, token, call.project, call.task)
    row = downloads.one(rows, call.output, call.task)
    most = row["size"] if limit is None else limit
    return row, downloads.piece(rows, row["id"], offset, most) if row["on_board"] else b""


def _read(row: Record, uploads: Path, offset: int, limit: int) -> bytes:
    fd = downloads.opened(row, uploads)
    try:
        return os.pread(fd, limit, offset)
    finally:
        os.close(fd)


class _File(Response):
    """A file, sent piece by piece from its descriptor, which it closes."""

    def __init__(self, fd: int, row: Record) -> None:
        self._fd, self._left = fd, int(row["size"])
        beginning = os.pread(fd, 4096, 0)
        super().__init__(headers=_headers(row, text=downloads.is_text(beginning, self._left)))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            while self._left and (piece := await asyncio.to_thread(os.read, self._fd, min(self._left, PIECE))):
                self._left -= len(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            # A file that has shrunk meanwhile ends short of its length: the server hangs up, and the caller sees it.
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            os.close(self._fd)


def _headers(row: Record, *, text: bool) -> dict[str, str]:
    return {
        "content-type": "text/plain; charset=utf-8" if text else "application/octet-stream",
        "content-length": str(row["size"]),
        "content-disposition": disposition(_name(row)),
        "content-security-policy": "sandbox",  # beside the one every answer has
        "cross-origin-resource-policy": "same-origin",
        "etag": f'"{row["sha256"]}"',
    }


def _name(row: Record) -> str:
    """What the file is called: as in the workspace, else by its title."""
    if row["content_path"] is not None and not row["kept"]:
        return PurePosixPath(row["content_path"]).name
    return str(row["title"]) if row["kept"] else f"{row['title']}.txt"


# Characters that end a name, lead elsewhere, or turn it round on the screen.
_BAD = re.compile(r"[\x00-\x1f\x7f-\x9f/\\:*?\"<>|\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
LONGEST = 150  # bytes


def disposition(name: str) -> str:
    """The Content-Disposition that has a file saved under a harmless form of this name (RFC 6266, RFC 8187)."""
    stem, dot, suffix = _BAD.sub("_", name).strip(" ._").rpartition(".")
    if not stem or len(suffix) > 20:
        stem, dot, suffix = stem + dot + suffix, "", ""
    stem = stem.encode()[: LONGEST - len(suffix.encode())].decode(errors="ignore")
    safe = f"{stem}{dot}{suffix}" or "output"
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", safe)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(safe, safe='')}"


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        f"{BASE}/outputs/{{output}}",
        read_output,
        ("executor", "reviewer", "read"),
        "One output with a page of its text: `?offset=&limit=` in bytes.",
        OutputQuery,
        answers=schemas.OutputPage,
        errors=("fenced",),
        example={"offset": 0, "limit": 1000},
    ),
    Endpoint(
        "GET",
        f"{BASE}/outputs/{{output}}/content",
        read_content,
        ("executor", "reviewer", "read"),
        "The bytes of one output, to be saved.",
        media=("text/plain", "application/octet-stream"),
        errors=("fenced", "refused", "conflict"),
    ),
)
