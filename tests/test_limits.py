"""Limits of an attempt, with a real daemon: each has one defined outcome and a sentence with numbers; the daemon is fine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest

from blackboard.sizes import in_words
from orchestrator.config_contain import Limits
from orchestrator.processes import Identity
from orchestrator.weighing import Seen, Weight, near, weigh
from tests.daemon import House, until

HAND_IN = "echo hello > out.txt; bb output document T out.txt && bb submit\n"
ONCE = {"max_tries": 1}
MIB = 2**20
HOARD = 'bb start; exec python3 -c "import time; held = bytearray({} * 2**20); time.sleep(1000)"\n'
ALLOWS = """bb start
python3 - <<'END' > allowed
import os, resource
print(resource.getrlimit(resource.RLIMIT_FSIZE), resource.getrlimit(resource.RLIMIT_NOFILE))
print(open('/proc/self/oom_score_adj').read().strip(), os.getpriority(os.PRIO_PROCESS, 0))
END
"""
# name: (the shell script, its configuration)
AGENTS: dict[str, tuple[str, dict[str, object]]] = {
    "hoards": (HOARD.format(150), {"policy": ONCE, "limits": {"memory_bytes": "100 MiB"}}),
    "nears": (HOARD.format(90), {"policy": ONCE, "limits": {"memory_bytes": "110 MiB"}}),
    "breeds": (
        "bb start; while :; do sleep 1000 & n=$((n + 1)); [ $n -lt 60 ] || { wait; }; done\n",
        {"policy": ONCE, "limits": {"processes": 20}},
    ),
    "burns": ("bb start; while :; do :; done\n", {"policy": ONCE, "limits": {"cpu_seconds": 0.8}}),
    "writes": ("bb start; exec dd if=/dev/zero of=big bs=64k count=1000\n", {"policy": ONCE, "limits": {"file_bytes": "1 MiB"}}),
    "writes-in-a-shell": (
        "bb start; dd if=/dev/zero of=big bs=64k count=1000; exit $?\n", {"policy": ONCE, "limits": {"file_bytes": "1 MiB"}},
    ),
    "prints": ("yes | head -c 4194304\n", {"policy": ONCE, "limits": {"file_bytes": "1 MiB"}}),
    "allows": (ALLOWS + HAND_IN, {"nice": 3, "limits": {"file_bytes": "3 MiB", "open_files": 99}}),
    "good": (HAND_IN, {}),
}  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("limits") / "house", tick={"max_live": 20})
    for name, (script, config) in AGENTS.items():
        house.agent(name, script, **config)
    try:
        house.start()
        yield house
        house.ends()
    finally:
        house.clear()


def ended(house: House, name: str, *states: str) -> tuple[int, str, str]:
    """A task of the agent, once it is over; the outcome of its only attempt and what was said."""
    task = house.post(name)
    house.reaches(task, *(states or ("failed",)))
    (attempt,) = house.attempts(task)
    return task, attempt["outcome"], attempt["detail"] or ""


def test_too_much_memory_ends_the_attempt(house: House) -> None:
    task, outcome, detail = ended(house, "hoards")
    assert outcome == "over_limit"
    assert "of memory" not in detail and detail.endswith("MiB, the limit is 100 MiB") and "held 1" in detail
    (attempt,) = house.attempts(task)
    peak = attempt["peak_rss_bytes"]
    assert 100 * MIB < peak < 200 * MIB  # it may be seen while it still grows
    said = re.search(r"held ([\d.]+) MiB", detail)
    assert said is not None and 100 < float(said[1]) <= peak / MIB + 0.1
    assert f"held at most {in_words(peak)}," in house.call("show", str(task)).stdout


def test_a_limit_that_is_near_is_warned_of_once(house: House) -> None:
    task = house.post("nears")
    until(lambda: house.events(task, "warned"), story=house.told)
    (running,) = house.rows("SELECT * FROM v_running WHERE task_id = :task", task=task)
    assert running["peak_rss_bytes"] > 90 * MIB
    house.operate(task, "cancel", "seen")
    house.reaches(task, "cancelled")
    (warned,) = house.events(task, "warned")
    assert warned["reason"].endswith("MiB, the limit is 110 MiB")


def test_a_fork_storm_ends_at_the_number_of_processes(house: House) -> None:
    _, outcome, detail = ended(house, "breeds")
    assert outcome == "over_limit"
    assert detail.startswith("it had ") and detail.endswith(" processes, the limit is 20")


def test_too_much_processor_time_ends_the_attempt(house: House) -> None:
    task, outcome, detail = ended(house, "burns")
    assert outcome == "over_limit"
    assert detail.endswith("s of processor time, the limit is 0.8 s")
    assert house.attempts(task)[0]["cpu_seconds"] > 0.8


@pytest.mark.parametrize("name", ["writes", "writes-in-a-shell"])
def test_a_file_beyond_its_limit_ends_the_attempt(house: House, name: str) -> None:
    task, outcome, detail = ended(house, name)
    assert (outcome, detail) == (
        "over_limit",
        "it wrote a file beyond the limit of 1 MiB for one file (its logs count too)",
    )
    assert (house.workspace(task) / "big").stat().st_size == MIB


def test_its_log_is_a_file_too_and_the_launcher_writes_on(house: House) -> None:
    task, outcome, _ = ended(house, "prints")
    assert outcome == "over_limit"
    (attempt,) = house.attempts(task)
    assert house.attempt_file(attempt["id"], "stdout.log").stat().st_size == MIB
    assert house.attempt_file(attempt["id"], "launcher.log").read_text() == ""


def test_what_the_kernel_holds_cannot_be_raised_and_the_agent_gives_way(house: House) -> None:
    task, *_ = ended(house, "allows", "done")
    allowed = (house.workspace(task) / "allowed").read_text()
    assert allowed == f"({3 * MIB}, {3 * MIB}) (99, 99)\n500 {os.getpriority(os.PRIO_PROCESS, 0) + 3}\n"


def test_a_short_attempt_leaves_what_it_used(house: House) -> None:
    task, *_ = ended(house, "good", "done")
    (attempt,) = house.attempts(task)
    assert attempt["peak_rss_bytes"] > MIB and 0 < attempt["cpu_seconds"] < 10


# --- Weighing, from a table ------------------------------------------------------------------------------------------

LAUNCHER = Identity(10, 1)
TABLE = {
    1: Seen(0, 0, 7, 7.0, 7.0), 10: Seen(1, 1, 100, 50.0, 2.0), 11: Seen(2, 10, 1000, 3.0, 4.0), 12: Seen(3, 11, 2000, 5.0, 0.0),
    20: Seen(4, 1, 5000, 6.0, 0.0),
}  # fmt: skip


def test_a_tree_weighs_all_but_the_launcher_and_what_it_reaped_counts() -> None:
    assert weigh(TABLE, LAUNCHER, ()) == Weight(3000, 2, 14.0)
    assert weigh(TABLE, LAUNCHER, {Identity(20, 4)}) == Weight(8000, 3, 20.0)


def test_a_pid_of_somebody_else_weighs_nothing() -> None:
    assert weigh(TABLE, Identity(10, 9), {Identity(20, 3)}) == Weight(0, 0, 0)


def test_only_what_is_near_is_told() -> None:
    limits = Limits(memory_bytes=1000, processes=10, cpu_seconds=10)
    assert list(near(Weight(799, 7, 7.9), limits)) == []
    assert [(met.limit, met.share) for met in near(Weight(800, 20, 8), limits)] == [
        ("memory", 0.8),
        ("processes", 2.0),
        ("cpu", 0.8),
    ]
    assert [met.sentence for met in near(Weight(2000, 1, 1), limits)] == [
        "its process held 1.953 KiB, the limit is 1000 bytes"
    ]


def test_who_has_no_limit_is_never_near_one() -> None:
    assert list(near(Weight(2**60, 10**6, 1e9), Limits())) == []
    assert not Limits(file_bytes=MIB, open_files=99).sampled and Limits(processes=1).sampled
