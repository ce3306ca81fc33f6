"""The idle daemon's processor time, in percent of one core, with waiting tasks on the board and nothing due.

A real `orchestrator run` in a process of its own; its user and system time are read from /proc before and after.
Baseline of the same run: a shell-like loop that asks the same board for due tasks ten times a second.

    python -m bench.idle_cpu [--seconds 30] [--waiting 10000]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.boards import FAR, furnish, many
from blackboard.board import Board

CONFIG = """
[api]
port = 0
[[projects]]
id = "p"
[agents.w]
argv = ["/bin/true"]
max_live = 1
"""
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def _fill(path: Path, waiting: int) -> None:
    board = await Board.open(path)
    await board.write(furnish)
    await board.write(many, waiting, FAR)
    await board.close()


def daemon_percent(folder: Path, seconds: float) -> float:
    """Percent of one core the daemon takes."""
    command = [sys.executable, "-m", "orchestrator", "--config", str(folder / "orchestrator.toml"), "run"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        try:
            time.sleep(3)  # what it does to start is not idling
            before = cpu_seconds(daemon.pid)
            time.sleep(seconds)
            return (cpu_seconds(daemon.pid) - before) / seconds * 100
        finally:
            daemon.terminate()


def polling_percent(board: Path, seconds: float) -> float:
    """Percent of one core a loop takes that asks ten times a second, with a plan that sorts."""
    connection = sqlite3.connect(board)
    before, until = time.process_time(), time.monotonic() + seconds
    while time.monotonic() < until:
        connection.execute(
            "SELECT id FROM tasks WHERE status = 'pending' AND due_at <= '2026' ORDER BY priority DESC LIMIT 1"
        ).fetchall()
        time.sleep(0.1)
    connection.close()
    return (time.process_time() - before) / seconds * 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--waiting", type=int, default=10_000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "orchestrator.toml").write_text(CONFIG)
        asyncio.run(_fill(folder / "board.db", wanted.waiting))
        ours = daemon_percent(folder, wanted.seconds)
        polling = polling_percent(folder / "board.db", min(10.0, wanted.seconds))
    print(json.dumps({"idle_percent": round(ours, 3), "polling_percent": round(polling, 2), "seconds": wanted.seconds,
                      "waiting": wanted.waiting}))  # fmt: skip


if __name__ == "__main__":
    main()
