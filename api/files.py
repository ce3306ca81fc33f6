"""Finding the files that a report hands in by `content_path`, before the write that records them.

Reads (for size and hash) off the event loop, a few files at once. What a path may be is `blackboard.content`'s rule.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

from api.endpoints import Api
from blackboard import content
from blackboard.content import Held
from blackboard.errors import Invalid
from blackboard.forms import OutputReport

WORKSPACE = "SELECT workspace FROM attempts WHERE token_hash = :token AND ended_at IS NULL"


async def held(api: Api, token: bytes, outputs: Iterable[OutputReport]) -> dict[str, Held]:
    """What each path holds. For a token of no living attempt nothing is read: the report itself refuses it."""
    paths = sorted({output.content_path for output in outputs if output.content_path is not None})
    if not paths:
        return {}
    row = await api.board.one(WORKSPACE, token=token)
    if row is None:
        return {}
    if row["workspace"] is None:
        raise Invalid("this attempt has no workspace: hand the text in as `content`")
    workspace = Path(row["workspace"])
    async with api.reading_files:
        return await asyncio.to_thread(_resolve, workspace, paths, api.config.max_content_bytes)


def _resolve(workspace: Path, paths: list[str], limit: int) -> dict[str, Held]:
    return {path: content.resolve(workspace, path, limit) for path in paths}
