"""A daemon that is killed, or stopped, while checks are run: each task is verified once, and nothing is left or runs beside."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import House, until

WORKS = "bb start; echo hello > out.txt; bb output document T out.txt && bb submit\n"
# Takes the folder for itself; what finds it taken was run beside another. Leaves somebody behind, who must be ended.
ALONE = """
mkdir busy || { echo beside >> "$HOME/beside"; exit 1; }
(setsid sleep 1000 &)
sleep 0.15; rmdir busy
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "house", tick={"max_live": 20, "max_checks": 3})
    house.agent("works", WORKS, max_live=9)
    try:
        yield house
        house.ends()
    finally:
        house.clear()


@pytest.mark.timeout(300)
def test_twenty_kills_during_checks_verify_each_task_once_and_leave_nothing(house: House) -> None:
    dice = random.Random(20261121)
    check = {"run": f"rmdir busy 2>/dev/null; {ALONE}", "seconds": 60}  # a killed one had no time to leave the folder
    house.start()
    tasks = [house.post("works", checks=[check] * 4) for _ in range(6)]
    for _ in range(20):
        running = "SELECT count(*) FROM checks WHERE ended_at IS NULL"
        done = "SELECT count(*) FROM tasks WHERE status = 'done'"
        until(lambda: house.value(running) or house.value(done) == len(tasks))  # noqa: B023
        time.sleep(dice.random() * 0.2)
        house.kill()
        house.start()
    for task in tasks:
        assert house.reaches(task, "done")["proof"] == "passed"

    assert house.value("SELECT count(*) FROM checks WHERE result = 'interrupted'") > 3
    for task in tasks:
        assert len(house.events(task, "verified")) == len(house.events(task, "submit")) == 1, house.story(task)
        passed = "SELECT position FROM checks WHERE task_id = :task AND result = 'passed' ORDER BY id"
        assert [row["position"] for row in house.rows(passed, task=task)] == [1, 2, 3, 4]
        assert not house.rows("SELECT 1 FROM checks WHERE task_id = :task AND result = 'failed'", task=task)
    assert not (house.folder / "beside").exists()
    until(lambda: not house.left())


@pytest.mark.parametrize("on_exit", ["stop", "leave"])
def test_a_daemon_that_stops_ends_its_checks_and_the_next_one_runs_them_again(house: House, on_exit: str) -> None:
    house.start("--on-exit", on_exit)
    task = house.post("works", checks=[{"run": "[ -e go ] || { touch begun; exec sleep 1000; }"}])
    until(lambda: (house.workspace(task) / "begun").exists(), story=lambda: house.story(task))
    assert house.stop() == 0
    assert house.left() == set()
    assert house.value("SELECT result FROM checks") == "interrupted"
    house.let_go(task)
    house.start()
    house.reaches(task, "done")
    assert [row["result"] for row in house.rows("SELECT result FROM checks ORDER BY id")] == ["interrupted", "passed"]


def test_one_pass_waits_for_its_checks(house: House) -> None:
    house.start()
    assert house.stop() == 0
    made = house.call("post", "T", "--agent", "works", "--review", "auto", "--check", "sleep 0.3; test -s out.txt")
    assert made.returncode == 0, made.stderr
    house.launch("--once")
    assert house.daemon is not None and house.daemon.wait(timeout=60) == 0, house.told()
    house.daemon = None
    assert (house.task(1)["status"], house.task(1)["proof"]) == ("done", "passed")
