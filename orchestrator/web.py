"""Asking other servers over HTTP: bounded in time and size, with every failure as one sentence.

Goes through no proxy, and follows redirects only on the same host and never from https to http, so that what a header
proves goes to nobody else.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx

from orchestrator.asking import NoAnswer

REDIRECTS = 3
CONNECT_SECONDS = 10.0
MOST_SENT_BACK = 500  # characters of what a server wants sent back, such as a tag
MOST_QUOTED = 200  # characters of what a server made up, in a sentence of ours
OURS = {"Accept-Encoding": "gzip", "User-Agent": "blackboard-orchestrator"}  # sent with every question


@dataclass(frozen=True)
class Answered:
    """A server's answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def ask(
    method: str, url: str, *, headers: Mapping[str, str] | None = None, params: Mapping[str, str] | None = None,
    body: Any = None, content: bytes | None = None, seconds: float = 30.0, most_bytes: int = 16 * 1024 * 1024, at: str | None = None,
) -> Answered:  # fmt: skip
    """One question; the answer, whatever its status. NoAnswer when none came whole.

    `body`: sent as JSON; `content`: sent as it is. `most_bytes`: of the answer; 0: only its status is waited for. `at`: the
    address that is connected to, whatever the host's name leads to by now.
    """
    try:
        trust = await asyncio.to_thread(_trust)
        async with asyncio.timeout(seconds):
            given: dict[str, Any] = {
                "headers": {**OURS, **(headers or {})},
                "params": params,
                "json": body,
                "content": content,
            }
            return await _asked(
                lambda client: _pinned(client.build_request(method, url, **given), at), trust, most_bytes
            )
    except TimeoutError:
        raise NoAnswer(f"{_host(url)} gave no whole answer within {seconds:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:  # the last: no host's name
        raise NoAnswer(f"{_host(url)} gave no answer: {_quoted(str(error) or type(error).__name__)}") from error


def sendable(told: str | None) -> str | None:
    """A server's word, where a header can send it back; else None: one that could never be sent would end all asking."""
    fits = told and len(told) <= MOST_SENT_BACK and told.isascii() and told.isprintable()
    return told if fits else None


def _pinned(request: httpx.Request, at: str | None) -> httpx.Request:
    """The request so that it goes to this address. Its `Host`, and whose certificate is wanted, stay those of its name."""
    if at is not None:
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host=at)
    return request


async def _asked(
    built: Callable[[httpx.AsyncClient], httpx.Request], trust: ssl.SSLContext, most_bytes: int
) -> Answered:
    timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)  # the whole is bounded by the caller
    async with httpx.AsyncClient(timeout=timeout, trust_env=False, verify=trust) as client:
        request = built(client)
        for _ in range(REDIRECTS + 1):
            answer = await client.send(request, stream=True)
            if answer.next_request is None or request.method != "GET":
                told = {name.lower(): value for name, value in answer.headers.items()}
                return Answered(answer.status_code, told, await _whole(answer, most_bytes))
            await answer.aclose()
            there = answer.next_request.url
            if there.netloc != request.url.netloc:
                raise NoAnswer(f"it leads to another host, {_quoted(there.host)}: name that one yourself")
            if there.scheme != "https" and request.url.scheme == "https":
                raise NoAnswer(f"it leads from https to {_quoted(there.scheme)}, where anybody could read along")
            request = answer.next_request
    raise NoAnswer(
        f"{request.url.host or 'the server'} leads from one address to the next, more than {REDIRECTS} times"
    )


@cache
def _trust() -> ssl.SSLContext:
    """Whom we believe over https: read once, for it takes 70 ms."""
    return httpx.create_ssl_context(trust_env=False)


async def _whole(answer: httpx.Response, most: int) -> bytes:
    """The body, unless it is longer than `most` bytes."""
    parts, size = [], 0
    if most == 0:
        await answer.aclose()
        return b""
    try:
        packed = _packed(answer.headers.get("content-encoding", ""))
        async for raw in answer.aiter_raw():
            part = packed.decompress(raw, most - size + 1) if packed is not None else raw
            size += len(part)
            if size > most:
                raise NoAnswer(f"its answer has more than {most} bytes")
            parts.append(part)
        if packed is not None and parts and not packed.eof:
            raise zlib.error("it was cut")
    except zlib.error:
        raise NoAnswer("its answer is no whole gzip, though it says so") from None
    finally:
        await answer.aclose()
    return b"".join(parts)


def _packed(encoding: str) -> zlib._Decompress | None:
    """What makes plain bytes of packed ones, at most so many at a time: a few may stand for gigabytes. None: they are plain."""
    if encoding.strip().lower() in ("", "identity"):
        return None
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        raise NoAnswer(f"its answer is encoded as {encoding[:50]!r}, and it was asked for gzip or none")
    return zlib.decompressobj(zlib.MAX_WBITS | 16)


def _quoted(text: str) -> str:
    """What may be a server's own words, bounded: a sentence stands on the board, and in an event whenever it is another one."""
    return text if len(text) <= MOST_QUOTED else f"{text[:MOST_QUOTED]}…"


def _host(url: str) -> str:
    """Who was asked, without what the address may hold of a secret."""
    try:
        return httpx.URL(url).host or "the server"
    except (httpx.InvalidURL, UnicodeError):
        return "the server"
