"""Many agents at once under one real `orchestrator run`: how fast they begin, and what each of them costs.

All live at one moment: each says that it has begun, waits for a file, hands in and ends. `due_to_started` is from
the instant all are due until the agent's own first call is on the board; `call` is a heartbeat while all live.
The baselines of the same run: the same number of bare shells started by a plain loop, and the memory of the shell
that is the agent.

    python -m bench.many_agents [--agents 200]
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

from tests.crowd import Crowd, shown
from tests.daemon import House


def plain_starts_per_second(count: int) -> float:
    """What a loop reaches that starts shells and does nothing else: no prompt, no directory, no record, no launcher."""
    shells = []
    began = time.monotonic()
    for _ in range(count):
        shells.append(subprocess.Popen(["/bin/sh", "-c", "read line"], stdin=subprocess.PIPE, start_new_session=True))
    took = time.monotonic() - began
    for shell in shells:
        shell.communicate(b"\n")
    return count / took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--agents", type=int, default=200)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder) / "house")
        try:
            found = Crowd(house, wanted.agents).run()
            house.ends()
        finally:
            house.clear()
    plain = plain_starts_per_second(wanted.agents)
    found |= {
        "plain_starts_per_second": round(plain, 1),
        "plain_over_our_starts": round(plain / found["starts_per_second"], 1),
        "launcher_over_shell_memory": round(found["launcher_pss_bytes"] / found["shell_pss_bytes"], 1),
    }
    print(shown(found))


if __name__ == "__main__":
    main()
