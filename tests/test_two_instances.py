"""Two boards of ours, each with its real daemon: one serves the calendar, the other works it off and says how it went.

The agents of the one are claimed nowhere here (`max_live = 0`): they are woken at the other one, which is let in by name.
Each run of an agent leaves a line in a file, so that runs are counted by who ran and not by a board.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import House, until

SAID = 'said() { while :; do bb "$@"; code=$?; [ $code = 75 ] || break; sleep 0.1; done; }\n'
BEGIN = SAID + 'echo "$task" >> "$here/runs"; said start\n'
HAND_IN = "echo it > f; said output other T f; said submit\n"
WAIT_FOR_GO = "while [ ! -e go ]; do sleep 0.05; done\n"
HOUR = 3600.0
pytestmark = pytest.mark.timeout(240)  # daemons are started up to a dozen times


def noon_zone() -> str:
    """A zone in which it is about noon now, so that no day ends while a test runs."""
    hours = 12 - datetime.now(UTC).hour
    return "Etc/GMT" if hours == 0 else f"Etc/GMT{-hours:+d}"  # their signs are the other way round


def slot(number: int, agent: str, seconds: float = -1.0, **more: Any) -> dict[str, Any]:
    when = datetime.now(UTC) + timedelta(seconds=seconds)
    return {
        "id": number,
        "agent": agent,
        "scheduled_at": when.isoformat(),
        "event_data": {"title": f"S{number}"},
        **more,
    }


class Two:
    """The board that plans, and the one whose agents do it."""

    def __init__(self, folder: Path) -> None:
        self.zone = noon_zone()
        self.plans, self.works = House(folder / "plans"), House(folder / "works")
        for agent in ("ada", "bob", "eve"):
            self.plans.agent(agent, "echo here >> $here/runs\n", max_live=0)
        self.plans.tables["slots"] = {"files": ["day.json"], "time_zone": self.zone}
        self.plans.tables["api"] = {"calendar_open_to": ["annex"]}
        self.day: dict[str, dict[str, Any]] = {}
        self.works.agent("writer", BEGIN + HAND_IN, max_live=2)
        self.works.agent("bob", BEGIN + WAIT_FOR_GO + HAND_IN, max_live=3)
        self.works.agent("eve", BEGIN + "said fail cannot\n", policy={"max_tries": 1})
        self.works.tables["backends.main"] = {
            "url": f"http://127.0.0.1:{self.plans.port}", "identifier": "annex", "time_zone": self.zone,
            "sync_seconds": 0.3, "heartbeat_seconds": 0.3,
        }  # fmt: skip
        self.works.tables["backends.main.agents"] = {"ada": "writer"}

    def plan(self, *slots: dict[str, Any]) -> None:
        """Plan these slots, or plan them otherwise."""
        self.day |= {str(each.get("id") or each["virtual_id"]): each for each in slots}
        self._write()

    def drop(self, number: int) -> None:
        del self.day[str(number)]
        self._write()

    def _write(self) -> None:
        new = self.plans.folder / "day.json.new"
        new.write_text(json.dumps({"slots": list(self.day.values())}))
        new.rename(self.plans.folder / "day.json")

    def start(self) -> None:
        self.plans.start()
        self.works.start()

    def taken(self) -> None:
        """Wait until the other side has every slot of the day."""
        until(lambda: len(self.tasks()) == len(self.day), story=self.story)

    def tasks(self) -> dict[str, Any]:
        """The tasks of the working side, by their titles."""
        if not self.works.board.exists():
            return {}
        return {row["title"]: row for row in self.works.rows("SELECT * FROM tasks")}

    def told(self) -> dict[str, dict[str, Any]]:
        """How the planning side says today's slots stand, by their titles."""
        found = [each for agent in ("ada", "bob", "eve") for each in self._day_of(agent)]
        return {each["event_data"]["title"]: each for each in found}

    def _day_of(self, agent: str) -> list[dict[str, Any]]:
        return list(self.plans.http(f"/calendar/day?agent_id={agent}")["slots"])

    def words(self) -> dict[str, str]:
        return {title: each["status"] for title, each in self.told().items()}

    def runs(self) -> Counter[str]:
        """How often each slot was run, by its title."""
        titles = {row["id"]: title for title, row in self.tasks().items()}
        file = self.works.folder / "runs"
        return Counter(titles[int(line)] for line in file.read_text().split()) if file.exists() else Counter()

    def moves(self) -> dict[str, list[str]]:
        """What was done to each task of the planning side because of a report, by titles."""
        found: dict[str, list[str]] = {}
        for row in self.plans.rows(
            "SELECT t.title, e.dst FROM events e JOIN tasks t ON t.id = e.task_id WHERE e.actor = 'engine:calendar' ORDER BY e.id"
        ):
            found.setdefault(row["title"], []).append(row["dst"])
        return found

    def token(self) -> tuple[str, str]:
        """The last token of the chain, as each side keeps it."""
        kept = json.loads(self.works.value("SELECT state FROM sources WHERE name = 'backend:main'"))
        return str(self.plans.value("SELECT token FROM sync_clients WHERE instance = 'annex'")), str(kept["token"])

    def asked(self) -> str:
        return str(self.plans.value("SELECT asked_at FROM sync_clients WHERE instance = 'annex'"))

    def calm(self) -> tuple[str, str]:
        """Wait until there is no news for either side; the token by then."""
        for _ in range(50):
            token, asked = self.token(), self.asked()
            until(lambda: self.asked() > asked, story=self.story)  # noqa: B023 - called before the next round
            if token == self.token() and len(set(token)) == 1 and not self.queued():
                return token
        raise AssertionError(f"there is always something new\n{self.story()}")

    def queued(self) -> int:
        return int(self.works.value("SELECT count(*) FROM write_backs"))

    def go(self, title: str) -> None:
        self.works.let_go(self.tasks()[title]["id"])

    def story(self) -> str:
        return f"plans:\n{self.plans.told()}\nworks:\n{self.works.told()}"


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    both = Two(tmp_path)
    try:
        yield both
    finally:
        try:
            both.works.ends()
        finally:
            both.plans.ends()
    assert not (both.plans.folder / "runs").exists(), "what is worked on there began here too"


def test_a_days_slots_go_over_are_run_there_and_how_it_went_comes_back(two: Two) -> None:
    local = datetime.now(UTC) + timedelta(hours=12 - datetime.now(UTC).hour)
    daily = {
        "virtual_id": "daily",
        "agent": "ada",
        "scheduled_at": local.strftime("%H:00"),
        "event_data": {"title": "D"},
    }
    two.plan(slot(1, "ada", estimated_duration=25), slot(2, "bob"), slot(3, "eve"), slot(4, "ada", HOUR), daily)
    two.start()
    until(lambda: two.words().get("S2") == "ongoing", story=two.story)
    two.go("S2")
    ends = {"S1": "finished", "S2": "finished", "S3": "aborted", "S4": "not_started", "D": "finished"}
    until(lambda: two.words() == ends, story=two.story)
    assert two.runs() == {"S1": 1, "S2": 1, "S3": 1, "D": 1}
    assert {title: row["agent_id"] for title, row in two.tasks().items()} == {
        "S1": "writer", "S2": "bob", "S3": "eve", "S4": "writer", "D": "writer",
    }  # fmt: skip
    over = ["blocked", "cancelled"]
    assert two.moves() == {"S1": over, "S2": over, "S3": over, "D": over}
    for title, record in two.told().items():
        if title != "S4":
            assert (record["actual_duration"], record["started_at"]) == (1, began(two, title))
    assert [row["name"] for row in two.plans.rows("SELECT name FROM instances")] == ["annex"]
    audit = two.works.call("audit", "main")
    assert audit.returncode == 0, audit.stdout


def began(two: Two, title: str) -> str:
    task = two.tasks()[title]["id"]
    return str(two.works.value("SELECT min(claimed_at) FROM attempts WHERE task_id = :task", task=task))


def test_what_is_cancelled_or_moved_reaches_the_other_side_before_it_begins(two: Two) -> None:
    two.plan(*(slot(number, "ada", HOUR) for number in (1, 2, 3, 4, 5)))
    two.start()
    two.taken()
    two.drop(1)
    two.plan(slot(2, "ada", HOUR, status="cancelled"), slot(3, "ada"), moved := slot(4, "ada", HOUR / 2))
    two.plans.operate(5, "cancel", "not today")
    until(
        lambda: two.words() == {"S2": "skipped", "S3": "finished", "S4": "not_started", "S5": "skipped"},
        story=two.story,
    )
    ends = {"S1": "cancelled", "S2": "cancelled", "S3": "done", "S4": "pending", "S5": "cancelled"}
    until(lambda: {title: row["status"] for title, row in two.tasks().items()} == ends, story=two.story)
    until(lambda: two.tasks()["S4"]["due_at"][:19] == moved["scheduled_at"][:19], story=two.story)
    assert two.runs() == {"S3": 1}


def test_a_kill_of_the_working_side_while_slots_run_and_words_wait_loses_and_doubles_nothing(two: Two) -> None:
    two.plan(*(slot(number, "bob") for number in (1, 2, 3)), slot(4, "ada", HOUR))
    two.start()
    until(lambda: list(two.words().values()).count("ongoing") == 3, story=two.story)
    token = two.calm()
    two.plans.kill()
    two.go("S1")
    until(lambda: two.tasks()["S1"]["status"] == "done" and two.queued() == 1, story=two.story)
    two.works.kill()  # S1 is done and not told, S2 and S3 run
    two.go("S2")
    two.works.start()
    until(lambda: two.tasks()["S2"]["status"] == "done" and two.queued() == 2, story=two.story)
    assert two.token() == token
    two.works.kill()
    two.plans.start()
    two.works.start()
    until(lambda: list(two.words().values()).count("finished") == 2, story=two.story)
    two.go("S3")
    ends = {"S1": "finished", "S2": "finished", "S3": "finished", "S4": "not_started"}
    until(lambda: two.words() == ends and not two.queued(), story=two.story)
    assert two.runs() == {"S1": 1, "S2": 1, "S3": 1}
    assert set(map(tuple, two.moves().values())) == {("blocked", "cancelled")}
    assert len(two.tasks()) == 4


def test_a_kill_of_the_planning_side_leaves_the_chain_as_it_was(two: Two) -> None:
    two.plan(slot(1, "bob"), slot(2, "ada", HOUR))
    two.start()
    until(lambda: two.words().get("S1") == "ongoing", story=two.story)
    token, asked = two.calm(), two.asked()
    two.plans.kill()
    failures = "SELECT failures FROM sources WHERE name = 'backend:main'"
    until(lambda: two.works.value(failures) > 0, story=two.story)
    two.plans.start()
    until(lambda: two.asked() > asked, story=two.story)
    until(lambda: two.works.value(failures) == 0, story=two.story)
    assert two.token() == token, "it was told the difference, which is none, and not everything anew"
    two.plan(slot(3, "ada"))
    two.go("S1")
    until(lambda: two.words() == {"S1": "finished", "S2": "not_started", "S3": "finished"}, story=two.story)
    assert two.runs() == {"S1": 1, "S3": 1}


def test_where_an_agent_stands_is_asked_there_and_our_own_word_that_comes_back_holds_nobody_up(two: Two) -> None:
    """The other side is told that bob is busy while he is, and asked for it: he is idle when he has done it."""
    two.works.agent("bob", BEGIN + WAIT_FOR_GO + HAND_IN)
    two.works.tables["presence.main"] = {
        "read_url": f"http://127.0.0.1:{two.plans.port}/calendar/agent/status?agent_id={{agent}}", "identifier": "annex",
        "every_seconds": 2,
    }  # fmt: skip
    two.works.tables["presence.main.agents"] = {"writer": "ada", "bob": "bob"}
    two.start()
    two.plans.http("/api/agents/ada/status", {"status": "busy"})
    says = "SELECT 1 FROM presence_reports WHERE source = 'presence:main' AND agent_id = :agent AND status = 'busy'"
    until(lambda: two.works.rows(says, agent="writer"), story=two.story)
    two.plan(slot(1, "ada"), slot(2, "bob"), slot(3, "bob"))
    until(lambda: sorted(two.words().values()) == ["not_started", "not_started", "ongoing"], story=two.story)
    until(lambda: two.works.rows(says, agent="bob"), story=two.story)
    assert (
        "presence:main says of agent writer that it is busy"
        in two.works.call("why", str(two.tasks()["S1"]["id"])).stdout
    )
    for title in ("S2", "S3"):
        two.go(title)
    until(lambda: list(two.words().values()).count("finished") == 2, story=two.story)
    assert two.runs() == {"S2": 1, "S3": 1}
    two.plans.http("/api/agents/ada/status", {"status": "idle"})
    until(lambda: two.words()["S1"] == "finished", story=two.story)


def test_kills_of_both_at_any_moment_lose_and_double_nothing(two: Two) -> None:
    chance = random.Random(seed := random.SystemRandom().randrange(10**6))
    two.start()
    # Eve fails each time in the same way: after a third time the breaker would pause her, and a fourth slot waits.
    agents = chance.sample(("ada", "ada", "ada", "bob", "bob", "eve", "eve"), 5)
    for number, agent in enumerate(agents, start=1):
        two.plan(slot(number, agent, chance.choice((-1.0, 0.5))))
        time.sleep(chance.uniform(0, 0.8))
        for house in chance.sample((two.plans, two.works), chance.randrange(3)):
            house.kill()
            house.start()
        for title, row in two.tasks().items():
            if row["agent_id"] == "bob" and chance.random() < 0.5:
                two.go(title)
    two.taken()
    for title in two.tasks():
        two.go(title)
    ends = {
        title: "aborted" if each["agent"] == "eve" else "finished"
        for title, each in ((f"S{n}", s) for n, s in two.day.items())
    }
    until(lambda: two.words() == ends and not two.queued(), story=lambda: f"seed {seed}: {two.words()}\n{two.story()}")
    assert two.runs() == dict.fromkeys(ends, 1), f"seed {seed}"
    assert all(moves[-1] == "cancelled" and moves.count("cancelled") == 1 for moves in two.moves().values()), seed
