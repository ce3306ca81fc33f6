"""Whatever an agent does: one defined outcome, no process left, bounded logs, and the loop in time all the while.

The kinds are `tests.torture.corpus`, which is also the table in docs/operating.md. One real daemon runs them beside
each other; `--long` runs each twenty times.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from blackboard.clock import from_text
from orchestrator import doctor, processes
from tests.daemon import SCHEMA, House, until
from tests.torture.corpus import CORPUS, ONCE, OTHER_USER
from tests.vitals import vitals

LOG_CAP = 1 << 20  # of the kinds that print much
INTERVAL = 1.0  # seconds: the loop's shortest period here, and the most a step of it may be late


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "house", tick={"max_live": 8, "foreign_poll_seconds": INTERVAL})
    try:
        yield house
        house.ends()
    finally:
        house.clear()


def survives(house: House, times: int) -> None:
    """Every kind so many times, all mixed, on one daemon."""
    for name, kind in CORPUS.items():
        for number in range(1 + times // 2):  # three tasks that end alike would pause an agent
            house.agent(f"{name}-{number}", kind.script, **{"max_live": 2, **kind.config})
    daemon = house.start().pid
    house.reaches(house.post(f"silent-{times // 2}"), "failed")  # what the daemon opens for its first agent it keeps
    before = vitals(daemon)
    tasks = [(name, house.post(f"{name}-{number // 2}")) for number in range(times) for name in CORPUS]
    for name, task in tasks:
        house.reaches(task, "done", "failed")
        ended_as_it_should(house, name, task)
    late = house.http("/healthz")["tick"]
    assert late["worst_late_seconds"] <= late["interval_seconds"] == INTERVAL, late
    assert (
        house.rows("SELECT * FROM events WHERE verb IN ('tick_late', 'step_failed', 'watch_failed', 'not_gone')") == []
    )
    until(
        lambda: vitals(daemon).zombies == 0 and vitals(daemon).files <= before.files,
        story=lambda: f"{before} {vitals(daemon)}",
    )
    grown = vitals(daemon).rss - before.rss
    print(f"{len(tasks)} attempts, worst lateness {late['worst_late_seconds']} s, the daemon grew by {grown >> 10} KiB")
    assert grown < 32 << 20


def ended_as_it_should(house: House, name: str, task: int) -> None:
    kind = CORPUS[name]
    story = f"{name}\n{house.story(task)}"
    (attempt,) = house.attempts(task)
    assert (attempt["outcome"], attempt["exit_code"], attempt["exit_signal"]) == (
        kind.outcome,
        kind.code,
        kind.signal,
    ), story
    assert house.task(task)["status"] == ("done" if kind.outcome == "submitted" else "failed"), story
    assert not house.left_of(task), story
    assert (kind.told is None) == (not house.events(task, "launcher_lost")), story
    refusals = house.rows("SELECT * FROM refusals WHERE attempt_id = :id", id=attempt["id"])
    assert [(row["reason"], row["count"]) for row in refusals] == [("fenced", 1)] * kind.refused, story
    for log in ("stdout.log", "stderr.log"):
        assert house.attempt_file(attempt["id"], log).stat().st_size <= LOG_CAP, story
    assert len(attempt["detail"] or "") < 400, story


@pytest.mark.timeout(300)
def test_every_kind_of_agent_ends_as_the_table_says(house: House) -> None:
    survives(house, 2)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_kind_of_agent_ends_as_the_table_says_twenty_times(house: House) -> None:
    survives(house, 20)


# --- The limit --------------------------------------------------------------------------------------------------


def test_who_kills_the_launcher_and_sheds_every_mark_is_told_of_and_not_found(house: House) -> None:
    """The one thing that cannot be seen without a control group or a sandbox: it is said, and nothing else breaks."""
    house.agent(
        "vanishes",
        f'{OTHER_USER}(env -i setsid $as sh -c \'echo $$ > "$1"; exec sleep 1000\' sh "$here/vanished" &)\n'
        f'while [ ! -s "$here/vanished" ]; do sleep 0.02; done; kill -9 $PPID; exit 0\n'.replace("$as sh", "sh"),
        policy=ONCE,
    )
    house.start()
    task = house.post("vanishes")
    house.reaches(task, "failed")
    vanished = processes.identity(int((house.folder / "vanished").read_text()))
    assert vanished is not None, "it was found after all: the document promises less than is true"
    processes.signal_safely(vanished, signal.SIGKILL)
    assert house.outcomes(task) == ["lost"]
    (event,) = house.events(task, "launcher_lost")
    assert "ps" in event["reason"]
    assert doctor.check(house.board, SCHEMA) == []


# --- I19: an end is seen, and output is bounded ---------------------------------------------------------------------


@pytest.mark.timeout(120)
def test_an_end_is_seen_within_a_second_though_a_descendant_holds_stdout(house: House) -> None:
    for number in range(3):
        house.agent(f"holds{number}", "bb start; sleep 1000 & date -u +%s.%N > ended; exit 3\n", policy=ONCE)
    house.start()
    for number in range(6):
        task = house.post(f"holds{number // 2}")
        house.reaches(task, "failed")
        (attempt,) = house.attempts(task)
        ended = float((house.workspace(task) / "ended").read_text())
        assert from_text(attempt["ended_at"]).timestamp() - ended < 1.0, house.story(task)


@pytest.mark.timeout(120)
def test_a_gigabyte_of_output_blocks_nobody_and_takes_no_memory_of_ours(house: House) -> None:
    house.agent(
        "floods",
        "bb start; dd if=/dev/zero bs=1M count=1024 2> dd.txt; echo hello > out.txt; bb output document T out.txt && bb submit\n",
        log_cap_bytes=LOG_CAP,
    )
    daemon = house.start().pid
    task = house.post("floods")
    house.reaches(task, "working", "done")
    before, grown, disk = vitals(daemon), 0, 0
    log = house.attempt_file(house.attempts(task)[0]["id"], "stdout.log")
    began = time.monotonic()
    while house.task(task)["status"] != "done":
        assert time.monotonic() - began < 60, house.story(task)
        grown = max(grown, vitals(daemon).rss - before.rss)
        disk = max(disk, os.stat(log).st_blocks * 512 if log.exists() else 0)
        time.sleep(0.01)
    house.reaches(task, "done")
    assert "1073741824 bytes" in (house.workspace(task) / "dd.txt").read_text(), "all of it was taken"
    assert log.stat().st_size <= LOG_CAP
    print(f"the daemon grew by {grown >> 10} KiB, the log took at most {disk >> 20} MiB of the disk")
    assert grown < 16 << 20
    assert house.outcomes(task) == ["submitted"]
