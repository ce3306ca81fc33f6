"""A step beside an attempt: how its launcher's first words are waited for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from blackboard.clock import SystemClock
from orchestrator import processes, steps
from orchestrator.census import MARKER

# Creates its status, is not given the processor for a while, then says how the program ended.
SLOW_LAUNCHER = """
import os, sys, time
os.chdir(sys.argv[1])
file = os.open("status", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
time.sleep(0.5)
start = open("/proc/self/stat").read().rpartition(")")[2].split()[19]
who = f"{os.getpid()} {start}"
os.write(file, f"exit 0 {who} {who}".encode().ljust(511) + b"\\n")
"""


async def test_a_launcher_that_is_slow_to_say_who_it_is_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def launch(directory: Path, *, marker: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-I", "-S", "-c", SLOW_LAUNCHER, str(directory)], env={MARKER: marker})

    monkeypatch.setattr(processes, "launch", launch)
    plan = {"claimed_at": "now"}
    step = steps.Step("hook", tmp_path / "hook", "a-board:1", plan, tmp_path / "hooks.log", seconds=20)
    assert await steps.run(step, SystemClock()) is None
