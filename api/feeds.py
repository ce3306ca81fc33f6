"""The calendar feed over HTTP, for programs that can send nothing but an address: the secret stands in it.

It opens one feed to read and nothing else. Whether a secret never was or is revoked, the answer is the same.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from starlette.responses import Response

from api.endpoints import Call, Endpoint
from api.kept_feeds import Kept
from blackboard import feed, tokens
from blackboard.board import Rows
from blackboard.clock import from_text
from blackboard.feed import Seen
from blackboard.feed_text import MEDIA_TYPE

# Kept, but asked about each time, and by its reader alone: what stands in it is not for a proxy's other callers.
_CACHE = "private, no-cache"


async def read(call: Call) -> Response:
    """The feed that the secret opens, or that the reader has it already."""
    agent, seen = await call.api.board.read(_opened, call.feed)
    kept = await call.api.feeds.get(call.api.board, agent, seen)
    headers = {
        "etag": kept.etag,
        "last-modified": format_datetime(_modified(kept), usegmt=True),
        "cache-control": _CACHE,
    }
    if _is_known(call, kept):
        return Response(status_code=304, headers=headers)
    return Response(kept.body, headers=headers, media_type=f"{MEDIA_TYPE}; charset=utf-8")


def _opened(rows: Rows, secret: str) -> tuple[str | None, Seen]:
    """Whose feed it is, and how far the board is; NotFound."""
    return tokens.feed_agent(rows, secret), feed.seen(rows)


def _modified(kept: Kept) -> datetime:
    return from_text(kept.modified).replace(microsecond=0)


def _is_known(call: Call, kept: Kept) -> bool:
    """Whether the reader has this one: by its tag, else by its time."""
    tags = call.headers.get(b"if-none-match")
    if tags is not None:
        known = {tag.strip().removeprefix("W/") for tag in tags.decode("latin-1").split(",")}
        return bool(known & {kept.etag, "*"})
    since = call.headers.get(b"if-modified-since")
    try:
        return since is not None and parsedate_to_datetime(since.decode("latin-1")) >= _modified(kept).astimezone(UTC)
    except (ValueError, TypeError):  # no date, or one without a zone
        return False


ENDPOINTS = (
    Endpoint(
        "GET",
        "/calendar/feed/{feed}.ics",
        read,
        ("anyone",),
        "What happened and what is planned, as iCalendar, for whoever has the secret in the address.",
        media=(MEDIA_TYPE,),
        kept=True,
    ),
)
