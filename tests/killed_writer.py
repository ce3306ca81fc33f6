"""Kills writing processes at a random moment after an acknowledged write, and looks whether the board has kept it.

`python -m tests.killed_writer BOARD ROUNDS SEED`: prints one line of JSON, `{"acknowledged": n, "lost": [...]}`.
The parent only forks, kills and looks; it never has the board open while a child lives.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import select
import signal
import sys
import time
from pathlib import Path

from blackboard.board import Board, ReadOnly, Tx

CALLERS = 4


def keep(tx: Tx, key: str) -> None:
    tx.run("INSERT INTO meta (key, value) VALUES (:key, :big)", key=key, big="x" * 500)


async def write_for_ever(path: Path, acks: int, prefix: str) -> None:
    """Some callers at once; each prints a key as soon as its write was answered."""
    board = await Board.open(path)

    async def caller(name: int) -> None:
        number = 0
        while True:
            number += 1
            key = f"{prefix}-{name}-{number}"
            await board.write(keep, key)
            os.write(acks, f"{key}\n".encode())

    await asyncio.gather(*map(caller, range(CALLERS)))


def one_round(path: Path, number: int, chance: random.Random) -> list[str]:
    """Start a writer, kill it after so many acknowledgements and a moment; what it had acknowledged."""
    acks, child_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(acks)
        asyncio.run(write_for_ever(path, child_end, f"r{number}"))
    os.close(child_end)
    received, wanted = b"", chance.randint(1, 60)
    while received.count(b"\n") < wanted and select.select([acks], [], [], 20)[0]:
        received += os.read(acks, 65536)
    time.sleep(chance.random() * 0.002)  # anywhere in the writer's next batches
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(acks, 65536):
        received += more
    os.close(acks)
    return received.decode().rpartition("\n")[0].split("\n")


def main(path: Path, rounds: int, seed: int) -> None:
    chance, acknowledged = random.Random(seed), list[str]()
    for number in range(rounds):
        acknowledged += one_round(path, number, chance)
    with ReadOnly(path) as board:
        kept = {row["key"] for row in board.all("SELECT key FROM meta")}
    print(json.dumps({"acknowledged": len(acknowledged), "lost": sorted(set(acknowledged) - kept)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
