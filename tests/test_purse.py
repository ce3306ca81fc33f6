"""How often what an attempt spends is read from its output."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackboard.board import Board
from blackboard.policy import Policy
from orchestrator import purse
from orchestrator.config import AgentConfig, Settings
from tests import scenes
from tests.fake_clock import FakeClock


@pytest.mark.parametrize(("takes", "pause"), [(0.01, 3.0), (2.0, 40.0)])
async def test_an_output_that_takes_long_to_read_is_read_seldom(
    board: Board, clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes: float, pause: float
) -> None:
    task = await board.write(lambda tx: scenes.post(tx, policy=Policy(attempt_tokens=1000)))
    row = await board.write(lambda tx: scenes.claim(tx, task))
    settings = Settings(
        board=board.path, projects=[{"id": scenes.PROJECT}], agents={"ada": AgentConfig(argv=("true",))}
    )
    log, reads = tmp_path / "stdout.log", []

    def used_so_far(agent: AgentConfig | None, directory: Path) -> None:
        reads.append(clock.boot())
        clock.go_on(takes)

    monkeypatch.setattr(purse, "used_so_far", used_so_far)
    found = purse.Purse(board, settings, tmp_path)
    for _ in range(2):
        log.write_text(f"{log.read_text() if log.exists() else ''}more\n")
        over, soon = await found.look(row)
        assert over is None
        assert soon == pytest.approx(pause)
        clock.go_on(pause - 0.1)
        assert (await found.look(row))[1] == pytest.approx(0.1)
        clock.go_on(0.2)
    assert len(reads) == 2
