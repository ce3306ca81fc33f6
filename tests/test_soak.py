"""Sixteen agents for ten minutes, faults among them: what the daemon holds does not grow. `--long` only."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.daemon import House, until
from tests.torture.corpus import CORPUS
from tests.vitals import Vitals, vitals

SECONDS = 600.0
LOOK_SECONDS = 5.0
WARM_SECONDS = 90.0  # what is filled once (caches, pools, the page cache of SQLite) is no growth
KINDS = [name for name in CORPUS if name not in ("fork-storm", "hops")]  # these two leave no processor for the others


BOARD_BYTES = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"


class Look(NamedTuple):
    """What was seen at one moment, seconds after the beginning; sizes in bytes."""

    at: float
    daemon: Vitals
    wal: int
    board: int


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "house", tick={"max_live": 16, "foreign_poll_seconds": 0.5})
    for name in KINDS:
        kind = CORPUS[name]
        script = kind.script.replace("count=1024", "count=64")
        house.agent(name, script, **{"max_live": 4, **kind.config})
    house.agent("good", "bb start; sleep 2; echo x > out.txt; bb output document T out.txt && bb submit\n", max_live=8)
    try:
        yield house
        house.ends()
    finally:
        house.clear()


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """The growth a second of the straight line through these points (least squares)."""
    middle, mean = sum(times) / len(times), sum(values) / len(values)
    spread = sum((at - middle) ** 2 for at in times)
    return sum((at - middle) * (value - mean) for at, value in zip(times, values, strict=True)) / spread


def test_the_slope_of_a_line_is_found() -> None:
    assert slope([0.0, 1.0, 2.0, 3.0], [5.0, 7.0, 9.0, 11.0]) == pytest.approx(2.0)
    assert slope([0.0, 1.0, 2.0], [4.0, 4.0, 4.0]) == 0.0


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 300)
def test_ten_minutes_with_sixteen_agents_and_mixed_faults_leave_no_trace(house: House) -> None:
    daemon = house.start().pid
    pick = random.Random(7)
    looks: list[Look] = []
    tasks: dict[int, str] = {}
    began = time.monotonic()
    while (now := time.monotonic() - began) < SECONDS:
        house.resume_agents()
        waiting = house.value("SELECT count(*) FROM tasks WHERE status IN ('pending', 'claimed', 'working')")
        for _ in range(24 - int(waiting)):
            name = pick.choice([*KINDS, *["good"] * 10])
            tasks[house.post(name)] = name
        wal = house.board.with_name("board.db-wal")
        board = int(house.value(BOARD_BYTES))
        looks.append(Look(now, vitals(daemon), wal.stat().st_size if wal.exists() else 0, board))
        time.sleep(LOOK_SECONDS)
    until(lambda: settled_down(house), seconds=120)
    until(lambda: house.value("SELECT count(*) FROM attempts WHERE gone_at IS NULL") == 0, seconds=60)
    settled = vitals(daemon)
    found = figures(looks)
    ends = Counter(house.outcomes(task)[-1] for task in tasks)
    print(f"{len(tasks)} tasks, {dict(ends)}, {found}, afterwards {settled}, {house.http('/healthz')['tick']}")

    for task, name in tasks.items():
        assert house.outcomes(task) == [CORPUS[name].outcome if name in CORPUS else "submitted"], house.story(task)
    # The writer keeps the pages it has written in its cache, at most 64 MB of them: a board that grows is no leak.
    assert found["rss_per_minute"] - found["board_per_minute"] < 1 << 20
    assert abs(found["files_per_minute"]) < 1
    assert abs(found["threads_per_minute"]) < 1
    assert found["zombies_at_most"] <= 16 and settled.zombies == 0
    assert found["wal_at_most"] <= 64 << 20


def settled_down(house: House) -> bool:
    house.resume_agents()
    return bool(house.value("SELECT count(*) FROM tasks WHERE status NOT IN ('done', 'failed')") == 0)


def figures(looks: Sequence[Look]) -> dict[str, float]:
    """Growth a minute after the warm-up, and the most there was."""
    warm = [look for look in looks if look.at >= WARM_SECONDS]
    times = [look.at for look in warm]

    def growth(values: Sequence[float]) -> float:
        return round(slope(times, values) * 60, 2)

    return {
        "rss_per_minute": growth([look.daemon.rss for look in warm]),
        "rss_at_most": max(look.daemon.rss for look in warm),
        "board_per_minute": growth([look.board for look in warm]),
        "files_per_minute": growth([look.daemon.files for look in warm]),
        "threads_per_minute": growth([look.daemon.threads for look in warm]),
        "zombies_at_most": max(look.daemon.zombies for look in looks),
        "wal_at_most": max(look.wal for look in looks),
        "wal_per_minute": growth([look.wal for look in warm]),
    }
