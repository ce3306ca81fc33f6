"""Real attempts for tests: a directory, its launcher, and the proof afterwards that no process of it is left."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestrator import processes
from orchestrator.processes import Identity, Status

SCRIPTS = {script.name: str(script) for script in Path(__file__).parent.iterdir() if script.suffix in (".sh", ".py")}
PATH = f"{Path(sys.executable).parent}:/usr/bin:/bin"


def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Poll until `condition()` is true, and return what it returned."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
    return value


class Attempt:
    """One attempt on the disk; `start` runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marker = f"test:{uuid.uuid4()}"
        self.launcher: subprocess.Popen[bytes] | None = None
        self.seen: set[Identity] = set()
        folder.mkdir(mode=0o700, exist_ok=True)

    def write(self, argv: list[str], **changes: object) -> None:
        """Write launch.json; a word that names a script of this folder becomes its path."""
        spec: dict[str, object] = {
            "argv": [SCRIPTS.get(word, word) for word in argv],
            "cwd": str(self.folder),
            "env": {"PATH": PATH, processes.MARKER: self.marker},
            "stdin": None,
            "stdout": str(self.folder / "stdout.log"),
            "stderr": str(self.folder / "stderr.log"),
            "log_cap": 1 << 20,
            "leftovers": "end",
            "leftover_grace": 0.0,
        }
        (self.folder / "launch.json").write_text(json.dumps(spec | changes))

    def launch(self) -> None:
        self.launcher = processes.launch(self.folder, marker=self.marker)
        self.seen |= {one for one in [processes.identity(self.launcher.pid)] if one}

    def start(self, *argv: str, **changes: object) -> Status:
        """Run the agent; returns when it runs, has ended or could not be started."""
        self.write(list(argv), **changes)
        self.launch()
        return self.reach("running", "exit", "signal", "spawn_failed")

    def reach(self, *phases: str) -> Status:
        """Wait until the status says one of these."""

        def reached() -> Status | None:
            status = processes.read_status(self.folder)
            return status if status and status.phase in phases else None

        status: Status = until(reached)
        self.seen |= {one for one in (status.launcher, status.agent) if one}
        return status

    def finish(self) -> Status:
        """Wait for the launcher's end; returns the last status."""
        assert self.launcher is not None
        self.launcher.wait(timeout=20)
        status = processes.read_status(self.folder)
        assert status is not None
        return status

    @property
    def stdout(self) -> bytes:
        return (self.folder / "stdout.log").read_bytes()

    def members(self) -> set[Identity]:
        status = processes.read_status(self.folder)
        return processes.members(self.marker, status and status.launcher, status and status.agent)

    def left(self) -> set[Identity]:
        """Whoever lives: by the scan under test, by identity, and (independent of it) by working directory."""
        found = self.members() | {one for one in self.seen if processes.alive(one)}
        for entry in Path("/proc").iterdir():
            try:
                here = entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(self.folder)
            except OSError:
                continue
            if here and (one := processes.identity(int(entry.name))):
                found.add(one)
        return found

    def clear(self) -> set[Identity]:
        """Kill whoever is left, by identity; returns those of the first look."""
        first = left = self.left()
        while left:
            for one in left:
                processes.signal_safely(one, 9)
            time.sleep(0.02)
            left = self.left()
        if self.launcher is not None:
            self.launcher.wait(timeout=5)
        return first
