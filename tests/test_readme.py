"""What the README tells a newcomer to type does what it says: the block is taken out of the page and run.

In a folder of its own, by a real shell, with a real daemon and the agent of the page.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blackboard.migrations import schema_text
from orchestrator.doctor import check
from tests.daemon import ROOT, free_port

MARK = "<!-- run by tests/test_readme.py -->\n```sh\n"


def block() -> str:
    """The commands of the page."""
    return (ROOT / "README.md").read_text(encoding="utf-8").partition(MARK)[2].partition("```\n")[0]


@pytest.fixture
def newcomer(tmp_path: Path) -> dict[str, str]:
    """An environment that has little but a shell and the command `orchestrator`."""
    program = tmp_path / "bin" / "orchestrator"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m orchestrator "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    return {
        "PATH": f"{program.parent}:{os.environ['PATH']}", "HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT),
        "ORCH_API__PORT": str(free_port()),
    }  # fmt: skip


def away_from_midnight() -> None:
    """The page writes the minute it is; at the end of the day the next command could find it a day ahead."""
    while datetime.now(UTC).strftime("%H:%M") == "23:59":
        time.sleep(0.5)


@pytest.mark.timeout(150)
def test_a_newcomers_own_slot_goes_all_the_way_to_done(tmp_path: Path, newcomer: dict[str, str]) -> None:
    checkout, first = tmp_path / "checkout", tmp_path / "first"
    checkout.mkdir()
    away_from_midnight()

    done = subprocess.run(
        ["/bin/sh", "-eu"], input=block(), cwd=checkout, env=newcomer, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^1 +review +greeter +1 .*Say hello$", done.stdout, re.MULTILINE)
    assert "task 1 is done now" in done.stdout
    with closing(sqlite3.connect(f"{(first / 'board.db').as_uri()}?mode=ro", uri=True)) as board:
        moves = board.execute("SELECT verb FROM events WHERE dst IS NOT NULL ORDER BY id").fetchall()
        outputs = board.execute("SELECT title, content FROM outputs").fetchall()
    assert [verb for (verb,) in moves] == ["post", "claim", "start", "submit", "approve"]
    assert outputs == [("Greeting", (first / "workspaces/default/1/greeting.txt").read_text())]
    assert check(first / "board.db", schema_text()) == []


def test_the_page_still_has_its_commands() -> None:
    assert block().count("orchestrator ") >= 6
