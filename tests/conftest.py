"""What every test finds: `--long`, a hand-wound clock, a furnished board, and the doctor's visit afterwards.

Every board a test opens with `Board.open` is looked at by the doctor when the test is over, whether it used the
fixtures below or not; one that spoils its board on purpose is marked `spoils_board`.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from blackboard.board import Board
from orchestrator.doctor import check
from tests.fake_clock import FakeClock
from tests.scenes import furnish

_LEFT = pytest.StashKey[list[Path]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the tests that take minutes, too")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "spoils_board: leaves a board that the doctor would find fault with")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's `&`; what the tests start would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    long_ones = [item for item in items if item.get_closest_marker("long")]
    if long_ones:  # left out and said so by pytest, not "skipped": nothing that a run is for is missing in it
        config.hook.pytest_deselected(items=long_ones)
        items[:] = [item for item in items if item not in long_ones]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that fails says where its boards are; pytest keeps them for its next three runs."""
    report = yield
    boards = [str(path) for path in item.stash.get(_LEFT, []) if path.exists()]
    if report.failed and boards:
        report.sections.append(("the boards it left", "\n".join(boards)))
    return report


@pytest.fixture(autouse=True)
def left_boards(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Path]]:
    """The boards this test opened; it may add those that other processes made. The doctor looks at each."""
    boards = request.node.stash[_LEFT] = list[Path]()
    opened = Board.open

    async def remembering(path: Path, **given: Any) -> Board:
        if path not in boards:
            boards.append(path)
        return await opened(path, **given)

    monkeypatch.setattr(Board, "open", remembering)
    yield boards
    if request.node.get_closest_marker("spoils_board"):
        return
    findings = {str(path): found for path in boards if path.exists() and (found := check(path))}
    if findings:
        pytest.fail(f"the doctor finds fault with what this test left: {findings}")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def board(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Board]:
    """A furnished board in a real file (see `tests.scenes`), on the hand-wound clock."""
    opened = await Board.open(tmp_path / "board.sqlite", clock=clock)
    await opened.write(furnish)
    yield opened
    await opened.close()
