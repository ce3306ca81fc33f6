"""Files that agents send whole: a multipart form or a raw body that is not text, straight to the board's own folder.

Nobody's file is taken in before the token is known to be one that hands in on this task; whether it still is, is
asked again in the transaction that names the file. Never holds more of it than one piece.
"""

from __future__ import annotations

import asyncio
import os.path
import re
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Any

from pydantic import BaseModel
from starlette.types import Receive, Scope

from api import answers, bodies, multipart
from api.endpoints import ApiConfig, Call
from api.guard import Limits, too_large
from api.multipart import FileForm
from blackboard import reports
from blackboard.content import Held
from blackboard.errors import Invalid
from blackboard.forms import UploadReport
from blackboard.repeats import Said
from blackboard.uploads import Arriving

_PATH = re.compile(r"/api/projects/[^/]+/tasks/[^/]+/outputs")
_KIND = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
MULTIPART = "multipart/form-data"


def is_upload(scope: Scope) -> bool:
    """Whether a request sends a file: to the route of outputs, as a form with a file or as bytes that are no text."""
    return scope["method"] == "POST" and _PATH.fullmatch(scope["path"]) is not None and _sends_file(_type(scope))


def limits(config: ApiConfig, scope: Scope) -> Limits:
    """What the body of this request may be."""
    if not is_upload(scope):
        return Limits(config.max_body_bytes, config.body_seconds)
    beside = multipart.MAX_FIELDS if _kind(_type(scope)) == MULTIPART else 0
    return Limits(config.max_upload_bytes + beside, config.upload_seconds)


def _type(scope: Scope) -> bytes:
    return next((value for name, value in scope["headers"] if name == b"content-type"), b"")[:300]


def _kind(content_type: bytes) -> str:
    return content_type.decode("latin-1").partition(";")[0].strip().lower()


@lru_cache(maxsize=64)  # the same few types come with every request
def _sends_file(content_type: bytes) -> bool:
    kind = _kind(content_type)
    text = kind.startswith("text/") or kind.endswith("+json")
    known = kind in ("application/json", "application/x-www-form-urlencoded")
    return _KIND.fullmatch(kind) is not None and not text and not known


class _Sent(BaseModel):
    """What makes a repeated call the same one: what is said of the file, and which file it is."""

    report: UploadReport
    sha256: str


async def hand_in(call: Call, token: bytes) -> Said:
    """Take the file in and hand it in as one output."""
    await call.api.board.read(reports.may_hand_in, token, call.project, call.task)
    bodies.not_encoded(call.headers)
    report, held = await _taken_in(call)
    sent = _Sent(report=report, sha256=held.sha256)
    return await answers.stored(call, sent, 201, reports.upload, token, call.project, call.task, report, held)


async def _taken_in(call: Call) -> tuple[UploadReport, Held]:
    """The file, kept under its SHA-256, and what is said of it. Nothing stays of one that is refused."""
    arriving = await asyncio.to_thread(Arriving, call.api.uploads, call.api.config.max_upload_bytes)
    try:
        incoming = _Incoming(arriving, call.api.config.max_upload_bytes)
        if _kind(_type(call.scope)) == MULTIPART:
            fields = await _by_form(call, incoming)
        else:
            fields = await _by_body(call, incoming)
        report = bodies.checked(UploadReport, fields, bodies.FORM)
        return report, await asyncio.to_thread(arriving.keep)
    finally:
        await asyncio.to_thread(arriving.discard)


class _Incoming:
    """Where the file's bytes go; 413 as soon as there are too many."""

    def __init__(self, arriving: Arriving, limit: int) -> None:
        self._arriving, self._limit = arriving, limit

    def write(self, piece: bytes) -> None:
        if self._arriving.size + len(piece) > self._limit:
            raise too_large(self._limit)
        self._arriving.write(piece)


async def _by_form(call: Call, incoming: _Incoming) -> dict[str, Any]:
    form = FileForm(call.headers[b"content-type"], incoming.write)
    async for piece in _pieces(call.receive):
        await asyncio.to_thread(form.write, piece)
    fields: dict[str, Any] = {**form.end()}
    for name, value in bodies.in_query(UploadReport, call.query).items():
        if name in fields:
            raise Invalid(f"`{name[:60]}` is in the query and in the body: give it once")
        fields[name] = value
    if name := os.path.basename(form.file_name.replace("\\", "/")):
        fields.setdefault("title", name)
    return fields


async def _by_body(call: Call, incoming: _Incoming) -> dict[str, Any]:
    fields = bodies.in_query(UploadReport, call.query)
    bodies.checked(UploadReport, fields, bodies.RAW)  # before a byte is read
    async for piece in _pieces(call.receive):
        await asyncio.to_thread(incoming.write, piece)
    return fields


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        if piece := message.get("body", b""):
            yield piece
