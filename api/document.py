"""Serving the contract of the routes: the OpenAPI document and the page for people, made once from the table.

Both are for anyone, without a token: they say what this program can do and hold nothing of any board. Never made
anew for a request; an unchanged one is 304.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable

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
    served = _Served()
    own = tuple(
        Endpoint("GET", path, served.at(path), ("anyone",), SAYS[path], media=(kind,), kept=True)
        for path, kind in PATHS.items()
    )
    told = openapi.document((*others, *own), base_url)
    html = page.rendered((*others, *own), told)
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
    served.keep("/openapi.json", text, {})
    for path in ("/docs", "/api/contract"):
        served.keep(path, html, {"content-security-policy": page.CSP})
    return own


class _Served:
    """Texts that never change while the program runs, with their ETags."""

    def __init__(self) -> None:
        self._texts: dict[str, tuple[bytes, dict[str, str]]] = {}

    def keep(self, path: str, text: str, headers: dict[str, str]) -> None:
        raw = text.encode()
        etag = f'"{hashlib.sha256(raw).hexdigest()[:32]}"'
        self._texts[path] = raw, {"etag": etag, **_CACHE, **headers}

    def at(self, path: str) -> Callable[[Call], Awaitable[Response]]:
        async def text(call: Call) -> Response:
            raw, headers = self._texts[path]
            known = call.headers.get(b"if-none-match", b"").decode("latin-1")
            if headers["etag"] in (tag.strip().removeprefix("W/") for tag in known.split(",")):
                return Response(status_code=304, headers=headers)
            return Response(raw, headers=headers, media_type=PATHS[path])

        return text
