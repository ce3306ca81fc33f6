"""Asking other servers over HTTP: bounded in time and size, with every failure as one sentence.

Goes through no proxy, and follows redirects only on the same host, so that what a header proves goes to nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from orchestrator.asking import NoAnswer

REDIRECTS = 3


@dataclass(frozen=True)
class Answered:
    """A server's answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def ask(
    method: str, url: str, *, headers: Mapping[str, str] | None = None, params: Mapping[str, str] | None = None,
    body: Any = None, seconds: float = 30.0, most_bytes: int = 16 * 1024 * 1024,
) -> Answered:  # fmt: skip
    """One question; the answer, whatever its status. NoAnswer when none came whole. `body`: sent as JSON."""
    timeout = httpx.Timeout(seconds, connect=min(seconds, 10.0))
    try:
        async with httpx.AsyncClient(timeout=timeout, trust_env=False) as client:
            request = client.build_request(method, url, headers=dict(headers or {}), params=params, json=body)
            for _ in range(REDIRECTS + 1):
                answer = await client.send(request, stream=True)
                if answer.next_request is None or method != "GET":
                    return Answered(
                        answer.status_code, {name.lower(): value for name, value in answer.headers.items()},
                        await _whole(answer, most_bytes),
                    )  # fmt: skip
                await answer.aclose()
                if answer.next_request.url.netloc != request.url.netloc:
                    raise NoAnswer(f"it leads to another host, {answer.next_request.url.host}: name that one yourself")
                request = answer.next_request
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoAnswer(f"{_host(url)} gave no answer: {str(error) or type(error).__name__}") from error
    raise NoAnswer(f"{_host(url)} leads from one address to the next, more than {REDIRECTS} times")


async def _whole(answer: httpx.Response, most: int) -> bytes:
    """The body, unless it is longer than `most` bytes."""
    parts, size = [], 0
    try:
        async for part in answer.aiter_bytes():
            size += len(part)
            if size > most:
                raise NoAnswer(f"its answer has more than {most} bytes")
            parts.append(part)
    finally:
        await answer.aclose()
    return b"".join(parts)


def _host(url: str) -> str:
    """Who was asked, without what the address may hold of a secret."""
    try:
        return httpx.URL(url).host or "the server"
    except httpx.InvalidURL:
        return "the server"
