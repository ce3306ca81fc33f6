"""The command that is asked about a run elsewhere: its answer, and that nothing of it outlives its time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator import abroad
from tests.test_bearer import is_gone


@pytest.mark.parametrize(("script", "code"), [("exit 0", 0), ("exit 1", 1), ("kill -9 $$", -9)])
def test_its_exit_code_is_the_answer(script: str, code: int) -> None:
    assert abroad._code(["sh", "-c", script], dict(os.environ), 30) == code


def test_one_that_is_not_there_gives_no_answer() -> None:
    assert abroad._code(["/no/such/program"], {}, 30) is None


async def test_one_that_does_not_answer_takes_along_what_it_started(tmp_path: Path) -> None:
    script = f"sleep 1000 & echo $! > {tmp_path}/pid; wait"
    assert abroad._code(["sh", "-c", script], dict(os.environ), 1) is None
    await is_gone(tmp_path / "pid")
