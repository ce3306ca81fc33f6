"""Many agents at once under one real `orchestrator run`: how fast they begin, and what each of them costs.

All live at one moment: each says that it has begun, waits for a file, hands in and ends. `due_to_started` is from
the instant all are due until the agent's own first call is on the board; `call` is a heartbeat while all live.
The baseline of the same run is what the agents themselves (a shell and its sleep) take of the memory.

    python -m bench.many_agents [--agents 200]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.crowd import Crowd, shown
from tests.daemon import House


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
    print(shown(found))


if __name__ == "__main__":
    main()
