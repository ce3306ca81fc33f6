"""Whether the daemon lives (`/healthz`) and whether it does its work (`/readyz`). No token: they tell no secrets.

Ready means that a real write was committed just now and that the composition root has nothing against it. Never
starts a second proof while one is under way, so that nobody can load the board by asking.
"""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from api import schemas
from api.endpoints import Api, Call, Endpoint, answer
from blackboard.board import Board, Tx
from blackboard.errors import BlackboardError, Unavailable

PATIENCE = 2.0  # seconds: how long /readyz waits for its own write


async def alive(call: Call) -> Response:
    """The process answers, and tells how late its loop is: nothing of a loop that has not begun."""
    return answer({"alive": True, "tick": dict(call.api.lateness()) or None})


class Readiness:
    """Asks the board for a write now and then, and remembers when one was last durable."""

    def __init__(self, fresh_seconds: float) -> None:
        self._fresh = fresh_seconds
        self._written_at: float | None = None
        self._writing: asyncio.Task[None] | None = None

    async def __call__(self, call: Call) -> Response:
        reasons = [*await self._board(call.api.board), *_daemon(call.api)]
        if reasons:
            raise Unavailable("not ready: " + "; ".join(reasons), reasons=reasons)
        return answer({"ready": True})

    async def _board(self, board: Board) -> list[str]:
        now = asyncio.get_running_loop().time()
        if self._written_at is not None and now - self._written_at < self._fresh:
            return []
        if self._writing is None:
            self._writing = asyncio.create_task(board.write(prove_writable))
        writing = self._writing
        done, _ = await asyncio.wait({writing}, timeout=PATIENCE)
        if not done:
            return [f"the board has not answered a write for {PATIENCE:g} seconds"]
        if self._writing is writing:
            self._writing = None
        error = writing.exception()
        if error is not None:
            return [error.sentence if isinstance(error, BlackboardError) else "the board cannot be written"]
        self._written_at = asyncio.get_running_loop().time()
        return []


PROVE = """
INSERT INTO meta (key, value) VALUES ('written_at', :now)
ON CONFLICT (key) DO UPDATE SET value = excluded.value
"""


def prove_writable(tx: Tx) -> None:
    """The smallest write there is: the time of the last proof, kept in `meta`."""
    tx.run(PROVE, now=tx.now)


def _daemon(api: Api) -> list[str]:
    return list(api.ready())


def endpoints(fresh_seconds: float) -> tuple[Endpoint, ...]:
    """The two routes; /readyz remembers its last proof."""
    return (
        Endpoint("GET", "/healthz", alive, ("anyone",), "The process is alive.", answers=schemas.Alive),
        Endpoint(
            "GET",
            "/readyz",
            Readiness(fresh_seconds),
            ("anyone",),
            "The board takes writes and the daemon does its work; else 503 with the reasons.",
            answers=schemas.Ready,
        ),
    )
