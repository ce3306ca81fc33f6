"""Speaking to a running daemon over HTTP, with the operator's token. Like `web`, it may import httpx.

Turns every answer into what the direct road would have given: a dict, or an error with its sentence and exit code.
Never goes through a proxy and never follows a redirect: the token is for the daemon on this machine.
"""

from __future__ import annotations

import json
import ssl
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from orchestrator import exits

SILENCE = httpx.Timeout(40.0, connect=3.0)  # of a stream: the daemon says something every 15 seconds
TIMEOUT = httpx.Timeout(30.0, connect=3.0)
AGAIN_SECONDS = 0.5  # before a lost answer is asked for again
_CODES = {
    401: exits.FAILED,
    403: exits.FAILED,
    404: exits.NOT_FOUND,
    409: exits.REFUSED,
    422: exits.REFUSED,
    503: exits.TRY_AGAIN,
}


class NotListening(Exception):
    """Nobody took the connection: nothing was sent."""


def post(url: str, path: str, body: dict[str, Any], *, token: str, certificate: Path | None = None) -> dict[str, Any]:
    """POST a JSON body; the answer's JSON. Exit with the server's sentence, NotListening when nothing was sent.

    An answer that is lost is asked for again under the same key: the daemon does it once.
    """
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": str(uuid.uuid4())}
    with httpx.Client(verify=_trust(url, certificate), trust_env=False, timeout=TIMEOUT) as client:
        try:
            return _understood(client.post(url + path, json=body, headers=headers), url)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NotListening(str(error)) from error
        except httpx.TransportError:
            time.sleep(AGAIN_SECONDS)
        try:
            return _understood(client.post(url + path, json=body, headers=headers), url)
        except httpx.TransportError as error:
            raise exits.Exit(
                f"the daemon at {url} took the request but gave no answer ({type(error).__name__}): "
                "look at the task before saying it again",
                exits.UNREACHABLE,
            ) from error


def events(
    url: str, after: int, task: int | None, *, token: str, certificate: Path | None = None
) -> Iterator[dict[str, Any]]:
    """Events after one, as the daemon streams them, until the stream ends or is silent for too long.

    NotListening when nobody took the connection; Exit with the server's sentence when it refuses.
    """
    query = {"after": str(after)} | ({"task": str(task)} if task is not None else {})
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    try:
        with (
            httpx.Client(verify=_trust(url, certificate), trust_env=False, timeout=SILENCE) as client,
            client.stream("GET", url + "/api/events/stream", params=query, headers=headers) as answer,
        ):
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                answer.read()
                _understood(answer, url)
                raise exits.Exit(f"{url} answers, but streams no events: does something else listen there?")
            yield from _told(answer.iter_bytes())
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise NotListening(str(error)) from error
    except httpx.TransportError:
        return


def _told(chunks: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """The events of a stream. Each is one `data` line of JSON, whole or not there; the rest repeats what is in it."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")  # not by splitlines: JSON may hold U+2028 and its kin
        for line in lines:
            if line.startswith(b"data: "):
                yield json.loads(line.removeprefix(b"data: "))


def _trust(url: str, certificate: Path | None) -> ssl.SSLContext | bool:
    """With TLS of our own the daemon on this machine shows exactly our certificate, whatever name it was made for."""
    if not url.startswith("https:"):
        return False  # nothing to verify, and reading all of the system's certificates takes longer than the request
    if certificate is None:
        return True
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    return context


def _understood(answer: httpx.Response, url: str) -> dict[str, Any]:
    try:
        content = answer.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise exits.Exit(
            f"{url} answered {answer.status_code} but not as a board does: does something else listen there?"
        )
    if answer.is_success:
        return content
    sentence = content.get("detail") or content.get("title") or f"the daemon answered {answer.status_code}"
    if answer.status_code in (401, 403):
        sentence = f"{sentence} (the token file: `orchestrator check` says where; without one stop the daemon and `orchestrator init`)"
    raise exits.Exit(str(sentence), _CODES.get(answer.status_code, exits.FAILED))
