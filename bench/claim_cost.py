"""The cost of one claim at 1,000, 100,000 and 1,000,000 waiting tasks, without ANALYZE.

Three shapes: every task due and ready; the worst one for a naive index, 99 % not due with the due ones at the
lowest priority; and 99 % in a paused project with the others at the lowest priority. Each claim is rolled back, so that the board stays. Medians in microseconds, last against first.

    python -m bench.claim_cost [--largest 1000000] [--claims 300]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import tempfile
import time
from pathlib import Path

from bench.boards import FAR, PAST, READY, furnish, many
from blackboard.agents import put_project
from blackboard.board import Board, Tx
from blackboard.claims import claim_due
from blackboard.gates import Room
from blackboard.pauses import Target, pause
from blackboard.tokens import digest, mint


class _Undo(Exception):
    """Takes a measured claim back."""


def _timed_claim(tx: Tx, token_hash: bytes, times: list[float]) -> None:
    begun = time.perf_counter()
    claimed = claim_due(tx, [token_hash], Room(1_000_000_000))
    times.append((time.perf_counter() - begun) * 1e6)
    if len(claimed) != 1:
        raise SystemExit("nothing was claimed")
    raise _Undo


def _fill(tx: Tx, count: int, shape: str) -> None:
    furnish(tx)
    if shape == "all due":
        many(tx, count, PAST)
    elif shape == "99 % not due":
        many(tx, count - count // 100, FAR)
        many(tx, count // 100, PAST)
        tx.run("UPDATE tasks SET priority = -1 WHERE due_at = :past", past=PAST)
    else:
        put_project(tx, "paused")
        many(tx, count - count // 100, PAST, project="paused")
        many(tx, count // 100, PAST)
        tx.run("UPDATE tasks SET priority = -1 WHERE project_id <> 'paused'")
        pause(tx, Target("project", "paused"), reason="bench", actor="engine:bench")
    tx.run(READY, now=tx.now)


async def cost(count: int, shape: str, claims: int) -> float:
    """Median microseconds of one claim on a board of this size."""
    with tempfile.TemporaryDirectory() as folder:
        board = await Board.open(Path(folder) / "board.db")
        await board.write(_fill, count, shape)
        times: list[float] = []
        for _ in range(claims + 20):
            with contextlib.suppress(_Undo):
                await board.write(_timed_claim, digest(mint()), times)
        await board.close()
    return statistics.median(times[20:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--largest", type=int, default=1_000_000)
    parser.add_argument("--claims", type=int, default=300)
    wanted = parser.parse_args()
    sizes = [size for size in (1_000, 100_000, 1_000_000) if size <= wanted.largest]
    for shape in ("all due", "99 % not due", "99 % in a paused project"):
        costs = {size: asyncio.run(cost(size, shape, wanted.claims)) for size in sizes}
        print(json.dumps({"shape": shape} | {f"us_at_{size}": round(us, 1) for size, us in costs.items()}
                         | {"last_to_first": round(costs[sizes[-1]] / costs[sizes[0]], 2)}))  # fmt: skip


if __name__ == "__main__":
    main()
