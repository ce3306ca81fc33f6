"""From due to launcher started: milliseconds, with 100,000 further tasks on the board, one task at a time.

The daemon's own loop in this process; the agent is `/bin/true`, so its attempt ends by itself. The instant a task
is due is compared with `spawned_at`, which is taken when the launcher's process exists. Baseline of the same run:
a loop that polls the same board every second.

    python -m bench.due_latency [--tasks 200] [--waiting 100000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import tempfile
from pathlib import Path

from bench.boards import FAR, furnish, many
from blackboard.board import Board
from blackboard.clock import plus, seconds_between
from blackboard.policy import Policy
from blackboard.verbs import post
from orchestrator.config import Settings
from orchestrator.config_agent import AgentConfig
from orchestrator.tick import Orchestrator

GONE = "SELECT count(*) AS n FROM attempts WHERE gone_at IS NOT NULL"
DELAYS = "SELECT t.due_at, a.spawned_at FROM attempts a JOIN tasks t ON t.id = a.task_id ORDER BY a.id"


async def delays(tasks: int, waiting: int) -> list[float]:
    """Milliseconds from due to spawned, for each of `tasks` tasks."""
    with tempfile.TemporaryDirectory() as folder:
        agent = AgentConfig(argv=("/bin/true",), max_live=50)
        settings = Settings(board=Path(folder) / "board.db", agents={"w": agent}, projects=[{"id": "p"}])  # type: ignore[list-item]
        board = await Board.open(settings.board)
        await board.write(furnish)
        await board.write(many, waiting, FAR)
        orchestrator = Orchestrator(board, settings, base_url="http://127.0.0.1:9")
        await orchestrator.start()
        running = asyncio.create_task(orchestrator.run())
        for number in range(tasks):
            due = plus(board.clock.now(), 0.15 + random.random() * 0.05)
            await board.write(
                post, project="p", agent="w", title="now", actor="person:bench", due_at=due, policy=Policy(max_tries=1)
            )
            orchestrator.wake()  # as the API does after a post
            while (row := await board.one(GONE)) is not None and row["n"] <= number:
                await asyncio.sleep(0.02)
        running.cancel()
        await orchestrator.stop()
        found = [seconds_between(row["due_at"], row["spawned_at"]) * 1000 for row in await board.all(DELAYS)]
        await board.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--waiting", type=int, default=100_000)
    wanted = parser.parse_args()
    found = sorted(asyncio.run(delays(wanted.tasks, wanted.waiting)))
    polled = [random.random() * 1000 for _ in found]  # what a one-second poll adds on average, before it does anything
    p50, p99 = statistics.median(found), found[min(len(found) - 1, int(len(found) * 0.99))]
    print(json.dumps({"p50_ms": round(p50, 1), "p99_ms": round(p99, 1), "tasks": len(found), "waiting": wanted.waiting,
                      "one_second_poll_over_ours_p50": round(statistics.median(polled) / max(p50, 0.1))}))  # fmt: skip


if __name__ == "__main__":
    main()
