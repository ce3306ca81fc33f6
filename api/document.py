"""Serving the contract of the routes: the OpenAPI document and the page for people, made once from the table.

Both are for anyone, without a token: they say what this program can do and hold nothing of any board. Made once, for
the first who asks; an unchanged one is 304.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from starlette.responses import Response

from api import openapi, page
from api.endpoints import Call, Endpoint

# `no-cache`: kept, but asked about each time, so that nobody reads the contract of a former release.
_CACHE = {"cache-control": "no-cache"}
PATHS = {"/openapi.json": "application/json", "/docs": "text/html", "/api/contract": "text/html"}
SAYS = {
    "/openapi.json": "This contract for programs, as OpenAPI 3.1.",
    "/docs": "This contract for people, with a `curl` line for every route.",
    "/api/contract": "The same page, where agents look for it.",
}


def endpoints(others: Iterable[Endpoint], base_url: str) -> tuple[Endpoint, ...]:
    """The rows of the contract itself; it tells of the other rows and of these."""
    served = _Served(base_url)
    own = tuple(
        Endpoint("GET", path, served.at(path), ("anyone",), SAYS[path], media=(kind,), kept=True)
        for path, kind in PATHS.items()
    )
    served.rows = (*others, *own)
    return own


class _Text(NamedTuple):
    """What a path gives, whole."""

    raw: bytes
    headers: dict[str, str]


class _Served:
    """Texts that never change while the program runs, with their ETags: made when the first one is asked for.

    Not at the start: they take longer than all else that a start does, and many a daemon is never asked.
    """

    def __init__(self, base_url: str) -> None:
        self.rows: tuple[Endpoint, ...] = ()
        self._base_url = base_url
        self._texts: dict[str, _Text] | None = None
        self._making = asyncio.Lock()

    def at(self, path: str) -> Callable[[Call], Awaitable[Response]]:
        async def text(call: Call) -> Response:
            raw, headers = (await self._made())[path]
            known = call.headers.get(b"if-none-match", b"").decode("latin-1")
            if headers["etag"] in (tag.strip().removeprefix("W/") for tag in known.split(",")):
                return Response(status_code=304, headers=headers)
            return Response(raw, headers=headers, media_type=PATHS[path])

        return text

    async def _made(self) -> dict[str, _Text]:
        async with self._making:
            if self._texts is None:
                self._texts = await asyncio.to_thread(_texts, self.rows, self._base_url)
        return self._texts


def _texts(rows: Sequence[Endpoint], base_url: str) -> dict[str, _Text]:
    """The document and the page, by their paths."""
    told = openapi.document(rows, base_url)
    html = _text(page.rendered(rows, told), {"content-security-policy": page.CSP})
    return {
        "/openapi.json": _text(json.dumps(told, ensure_ascii=False, separators=(",", ":")), {}),
        "/docs": html,
        "/api/contract": html,
    }


def _text(text: str, headers: dict[str, str]) -> _Text:
    raw = text.encode()
    etag = f'"{hashlib.sha256(raw).hexdigest()[:32]}"'
    return _Text(raw, {"etag": etag, **_CACHE, **headers})
