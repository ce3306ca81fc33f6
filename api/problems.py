"""Every error an answer can carry: its HTTP status, decided once, and its problem+json body (RFC 9457).

`detail` is one sentence that says what to do next; other facts stand beside it. Never shows a token, a stack or
anything else from inside.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.responses import Response

from blackboard import tokens
from blackboard.errors import BlackboardError, Unavailable

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:blackboard:problem:"


@dataclass(frozen=True, slots=True)
class Kind:
    """What one error code means over HTTP."""

    status: int
    title: str
    means: str  # for the contract: when it is sent, and whether repeating helps


# One row a code: the error table of docs/api-contract.md is this one.
KINDS: Mapping[str, Kind] = {
    "bad_request": Kind(
        400, "Not a request this server can read", "the HTTP itself is wrong: unreadable, no Host, or two"
    ),
    "unauthorized": Kind(401, "Who are you?", "no token, or one that is not known here"),
    "forbidden": Kind(403, "Not yours", "the token is good, but does not reach this"),
    "foreign": Kind(403, "Not from here", "Host, Origin or Sec-Fetch-Site belong to somebody else's page"),
    "not_found": Kind(404, "No such thing", "no such route, project or task"),
    "method_not_allowed": Kind(405, "Not with this method", "the route exists; `Allow` names its methods"),
    "slow": Kind(408, "Too slow", "the head or the body did not arrive in time; try again"),
    "illegal_move": Kind(409, "Not from this state", "the task's state does not allow it: see `found`, `allowed`"),
    "fenced": Kind(409, "This attempt has ended", "the attempt of this token writes nothing any more; stop working"),
    "refused": Kind(409, "A rule of the board forbids it", "do first what the sentence says"),
    "conflict": Kind(409, "There is one already", "something with this identity exists"),
    "too_large": Kind(413, "Too large", "hand a large file in with `content_path`"),
    "unsupported": Kind(415, "Not a kind of body we read", "send JSON, a form or raw text, in UTF-8, not compressed"),
    "invalid": Kind(422, "Not understood", "the content is unreadable or breaks a rule; mend it before you repeat"),
    "key_reused": Kind(
        422, "Another request has this key", "take a new `Idempotency-Key`: this one was another request's"
    ),
    "head_too_large": Kind(431, "Head too large", "what stands before the body is above 64 KiB: put it into the body"),
    "internal": Kind(500, "Our mistake", "a fault in the server, which has logged it"),
    "unavailable": Kind(503, "Not just now", "try again after `Retry-After` seconds"),
}


class HttpError(BlackboardError):
    """An error of the HTTP layer alone; the code stands in `KINDS`."""

    def __init__(self, code: str, sentence: str, headers: Mapping[str, str] | None = None, **facts: object) -> None:
        super().__init__(sentence, **facts)
        self.code = code  # type: ignore[misc]  # one class for all: the table says what each code is
        self.headers = dict(headers or {})


def kind_of(error: BlackboardError) -> tuple[str, Kind]:
    """The code an error is answered with, and its row; a code nobody put in the table is our mistake."""
    return (error.code, KINDS[error.code]) if error.code in KINDS else ("internal", KINDS["internal"])


def document(error: BlackboardError) -> dict[str, object]:
    """The problem's members. Facts never replace a member of the standard."""
    code, kind = kind_of(error)
    facts = {name: value for name, value in error.facts.items() if name not in _MEMBERS}
    sentence = error.sentence if code == error.code else INTERNAL
    return {
        "type": TYPE + code,
        "title": kind.title,
        "status": kind.status,
        "code": code,
        "detail": sentence,
        **(facts if code == error.code else {}),
    }


_MEMBERS = frozenset({"type", "title", "status", "detail", "instance", "code"})
INTERNAL = "the server made a mistake and has logged it: try once more, then tell the operator"


def answer(error: BlackboardError) -> Response:
    """The whole answer to an error."""
    code, kind = kind_of(error)
    headers = dict(error.headers) if isinstance(error, HttpError) else {}
    if code == "unauthorized":
        headers["www-authenticate"] = "Bearer"
    if kind.status == 503:
        headers["retry-after"] = str(_whole_seconds(error))
    text = tokens.redact(json.dumps(document(error), ensure_ascii=False, default=str))
    # A lone surrogate from a caller's text must not break the answer that complains about it.
    body = text.encode("utf-8", "backslashreplace") + b"\n"
    return Response(body, kind.status, headers, MEDIA_TYPE)


def _whole_seconds(error: BlackboardError) -> int:
    return max(1, math.ceil(error.retry_after)) if isinstance(error, Unavailable) else 5
