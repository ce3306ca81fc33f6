"""kill -9 of the daemon at random moments under load: nothing lost, nothing twice, nothing stuck, the living adopted.

The agents prove it themselves, twice: each holds a file lock of its task for as long as any process of it lives, and
writes a line with its pid and CLOCK_BOOTTIME when it begins and, if it gets that far, one when it ends.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from blackboard.lock import holder
from tests.crowd import doubled
from tests.daemon import FINAL, House, until
from tests.vitals import zombies

# 9 is inherited by every child, so the lock is free only when the whole tree is gone. 75: the daemon was not there.
PROOF = """
exec 9>>lock
flock --nonblock 9 || { echo "task $task attempt $attempt" >> "$here/overlaps"; exit 8; }
log() { read now rest < /proc/uptime; echo "$1 $task $attempt $$ $now" >> "$here/agents.log"; }
log begin
trap 'log end' EXIT
said() { while :; do bb "$@"; code=$?; [ $code = 75 ] || break; sleep 0.1; done; return $code; }
hand_in() { echo "$attempt" > out.txt; said output document T out.txt && said submit; }
"""
AGENTS: dict[str, tuple[str, dict[str, object]]] = {
    "quick": ("said start; hand_in\n", {"max_live": 3}),
    "slow": ("said start; sleep 0.$((RANDOM_TENTHS)); sleep 1 & wait; hand_in\n", {"max_live": 3}),
    "littering": ("said start; setsid sleep 1000 & env -i setsid sleep 1000 & hand_in\n", {"max_live": 2}),
    "failing": ("said start; said fail cannot\n", {"max_live": 2}),
    "crashing": ("said start; exit 3\n", {"max_live": 2}),
    "silent": ("sleep 0.2; exit 0\n", {"max_live": 2}),
    "hanging": (
        "trap '' TERM; said start; sleep 1000 & while :; do sleep 0.1; done\n",
        {"max_live": 2, "policy": {"wall_seconds": 1.5}},
    ),
    "asking": ("said start; said block needs_input which\n", {"max_live": 1}),
    "printing": ("echo $attempt; sleep 0.3\n", {"max_live": 2, "calls_back": False}),
    "reviewed": ("said start; hand_in\n", {"max_live": 2, "policy": {"review": "agent:critic"}}),
}
CRITIC = "sleep 0.2; said approve well\n"
ENDS = {"quick": "done", "slow": "done", "littering": "done", "failing": "failed", "crashing": "failed", "silent": "failed",
        "hanging": "failed", "asking": "blocked", "printing": "done", "reviewed": "done"}  # fmt: skip
CHARGED = {"failing": "failed", "crashing": "crashed", "silent": "no_report", "hanging": "timed_out"}


PHASES = """
SELECT CASE WHEN ended_at IS NOT NULL THEN 'ended' WHEN spawned_at IS NULL THEN 'claimed'
            WHEN agent_pid IS NULL THEN 'spawned' ELSE 'running' END AS phase FROM attempts WHERE gone_at IS NULL
"""


class Load:
    """A house under load, whose daemon is killed again and again."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.house = House(
            folder, tick={"max_live": 12}, policy={"max_tries": 2, "settle_seconds": 2.0, "wall_seconds": 600}
        )
        for name, (script, config) in AGENTS.items():
            body = script.replace("RANDOM_TENTHS", "$$ % 9")
            self.house.agent(name, PROOF + body, **{"grace_seconds": 0.2, **config})
        self.house.agent("critic", PROOF + CRITIC, grace_seconds=0.2, max_live=2)
        self.tasks: dict[int, str] = {}
        self.found: Counter[str] = Counter()  # in which phases the kills caught attempts

    def post(self, *names: str) -> None:
        for name in names:
            self.tasks[self.house.post(name)] = name

    def wave(self) -> None:
        """Start, give it work, and kill it at a moment of one of three kinds."""
        kind = self.random.choice(["early", "late", "late", "claim", "claim"])
        house = self.house
        daemon = house.launch()
        if kind == "early":  # while it takes over what the former left
            until(lambda: (found := holder(house.board)) and found.get("pid") == daemon.pid, story=house.told)
            time.sleep(self.random.uniform(0, 0.1))
        else:
            until(house.listens, story=house.told)
            house.resume_agents()
            self.post(*self.random.choices(list(AGENTS), k=3))
            if kind == "claim":  # between a claim and what follows it
                before = self.claims()
                deadline = time.monotonic() + 1
                while self.claims() == before and time.monotonic() < deadline:
                    pass
                time.sleep(self.random.uniform(0, 0.06))
            else:
                time.sleep(self.random.uniform(0, 0.4))
        house.kill()
        self.found.update(row["phase"] for row in house.rows(PHASES))

    def claims(self) -> int:
        return int(self.house.value("SELECT count(*) FROM attempts"))

    def settled(self) -> bool:
        """Whether every task is final or waits for a person, and every attempt is gone."""
        self.house.resume_agents()
        waiting = self.house.value(f"SELECT count(*) FROM tasks WHERE status NOT IN {(*FINAL, 'blocked', 'review')}")
        living = self.house.value("SELECT count(*) FROM attempts WHERE gone_at IS NULL")
        return waiting == living == 0

    def story(self) -> str:
        rows = self.house.rows(f"SELECT * FROM tasks WHERE status NOT IN {(*FINAL, 'blocked', 'review')}")
        return "\n".join(self.house.story(row["id"]) for row in rows[:2]) or self.house.told()


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Load]:
    load = Load(tmp_path / "house", seed=random.SystemRandom().randrange(10**6))
    try:
        yield load
        load.house.ends()
    finally:
        load.house.clear()


def recovers(load: Load, kills: int) -> None:
    """Kill the daemon so often, let the last one finish, and look at everything."""
    house = load.house
    house.start()
    load.post(*AGENTS, *AGENTS)
    house.kill()
    for _ in range(kills - 1):
        load.wave()
    house.start()
    until(load.settled, seconds=240, story=load.story)

    print(f"{kills} kills, {len(load.tasks)} tasks; attempts caught in their phases: {dict(load.found)}")
    nothing_is_lost(load)
    nothing_ran_twice(load)
    the_living_were_adopted(load)
    assert house.daemon is not None
    nobody_is_unreaped(house.daemon.pid)


def nobody_is_unreaped(daemon: int) -> None:
    until(lambda: not zombies({daemon}), seconds=5, story=lambda: f"zombies of the daemon: {zombies({daemon})}")


def nothing_is_lost(load: Load) -> None:
    house = load.house
    assert house.value("SELECT count(*) FROM tasks") == len(load.tasks)
    for task, name in load.tasks.items():
        assert house.task(task)["status"] == ENDS[name], house.story(task)
        outcomes = [outcome for outcome in house.outcomes(task) if outcome != "released"]
        expected = [CHARGED[name]] * 2 if name in CHARGED else ["blocked" if name == "asking" else "submitted"]
        expected += ["approved"] if name == "reviewed" else []
        assert outcomes == expected, house.story(task)


def nothing_ran_twice(load: Load) -> None:
    overlaps = load.house.folder / "overlaps"
    assert not overlaps.exists(), overlaps.read_text()
    assert doubled(agents_log(load)) == []
    begun = Counter(line.split()[2] for line in agents_log(load) if line.startswith("begin"))
    assert set(begun.values()) == {1}, "an attempt was started twice"
    released = load.house.rows("SELECT id FROM attempts WHERE outcome = 'released'")
    assert not {str(row["id"]) for row in released} & begun.keys(), "an attempt was released that had begun"


def agents_log(load: Load) -> list[str]:
    return (load.house.folder / "agents.log").read_text().splitlines()


def the_living_were_adopted(load: Load) -> None:
    """At least one agent went on from one daemon to the next, and it is the same process."""
    house = load.house
    adopted = {
        str(row["attempt_id"]): row["agent_pid"]
        for row in house.rows(
            "SELECT e.attempt_id, a.agent_pid FROM events e JOIN attempts a ON a.id = e.attempt_id"
            " WHERE e.verb = 'adopted' AND a.outcome = 'submitted'"
        )
    }
    pids = {line.split()[2]: int(line.split()[3]) for line in agents_log(load) if line.startswith("begin")}
    assert adopted
    assert all(pids[attempt] == pid for attempt, pid in adopted.items())


@pytest.mark.timeout(400)
def test_twenty_five_kills_lose_nothing_and_start_nothing_twice(load: Load) -> None:
    recovers(load, 25)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_three_hundred_kills_lose_nothing_and_start_nothing_twice(load: Load) -> None:
    recovers(load, 300)
