"""A calendar backend is told where agents stand, and its day is compared with the board's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from blackboard import sources
from blackboard.board import Board
from orchestrator.asking import Asking
from orchestrator.backend_agents import Agents
from tests import scenes
from tests.daemon import House
from tests.fake_clock import FakeClock
from tests.stand_in_backend import Backend, fault, serving
from tests.test_backend_sync import Client, slot


class Standing(Client):
    """A client that says where the agents stand. Each `says` is a new daemon."""

    async def says(self, after: float = 60) -> list[tuple[str, str]]:
        """Who was said to be what since the last time."""
        before = len(self.backend.of("/calendar/agent/status"))
        self.clock.go_on(after)
        source = Agents("hf", self.settings.backends["hf"], self.board, self.settings)
        await Asking(self.board, [source], lambda: None).once()
        return [
            (each.body["agent_id"], each.body["status"]) for each in self.backend.of("/calendar/agent/status")[before:]
        ]


@pytest.fixture
async def standing(tmp_path: Path, board: Board, clock: FakeClock) -> AsyncIterator[Standing]:
    backend = Backend({"developer": [slot(1, "09:00")], "bob": [], "zoe": []})
    with serving(backend) as url:
        client = Standing(backend, board, clock, url, tmp_path, agents={"developer": "ada"})
        await client.turn(0)
        yield client


async def test_agents_are_told_by_their_names_there_on_change_and_once_an_hour(standing: Standing) -> None:
    assert await standing.says() == [("bob", "idle"), ("developer", "idle")]
    request = standing.backend.of("/calendar/agent/status")[1]
    assert request.method == "POST" and request.body["claw_identifier"] == "claw-1"
    assert (request.headers["x-agent-id"], request.headers["x-claw-identifier"]) == ("developer", "claw-1")
    assert await standing.says() == []
    await standing.board.write(lambda tx: tx.run("UPDATE agents SET max_live = 1 WHERE id = 'ada'"))
    await standing.board.write(lambda tx: scenes.work(tx, 1, "ada"))
    assert await standing.says() == [("developer", "busy")]
    await standing.board.write(lambda tx: tx.run("UPDATE agents SET enabled = 0 WHERE id = 'bob'"))
    assert await standing.says() == [("bob", "offline")]
    assert await standing.says(3700) == [("bob", "offline"), ("developer", "busy")]


async def test_a_word_that_was_not_taken_is_said_again_and_others_are_not(standing: Standing) -> None:
    standing.backend.faults = [fault(404)]
    assert await standing.says() == [("bob", "idle"), ("developer", "idle")]
    assert await standing.told("source_failed") == [
        "backend:hf:agents: it answers 404 to agent bob is idle; what it said before stays"
    ]
    standing.backend.faults = [fault(503)]
    assert await standing.says() == [("bob", "idle")]
    assert await standing.says() == [("bob", "idle")] and await standing.says() == []
    (row,) = [row for row in await standing.board.read(sources.listed) if row["name"] == "backend:hf:agents"]
    assert (row["failures"], row["failed"]) == (0, 2)


# --- the audit --------------------------------------------------------------------------------------------------------


def test_an_audit_tells_what_is_missing_extra_or_different_and_mends_nothing(tmp_path: Path) -> None:
    house = House(tmp_path / "house")
    house.agent("ada", "true")
    far = {"ada": [slot(n, f"2031-05-05T1{n}:00:00Z") for n in range(4)]}
    backend = Backend(far)
    with serving(backend) as url:
        house.tables["backends.hf"] = {"url": url, "identifier": "claw-1"}
        house.configure()
        assert house.call("run", "--once").returncode == 0
        agree = house.call("audit", "hf", "--date", "2031-05-05")
        assert agree.returncode == 0 and agree.stdout == "2031-05-05: the board and backend hf agree\n"
        asked = backend.of("/calendar/day")[-1]
        assert (asked.query, asked.headers["x-agent-id"]) == ({"date": "2031-05-05"}, "ada")
        backend.schedules = {
            "ada": [
                slot(0, "2031-05-05T10:00:00Z"), slot(1, "2031-05-05T11:30:00Z", status="ongoing", priority=4),
                slot(3, "2031-05-05T13:00:00Z"), slot(8, "18:00"), slot(9, "19:00", status="finished"), slot(7, "noon"),
            ]
        }  # fmt: skip
        found = house.call("audit", "hf", "--date", "2031-05-05", "--json")
        tasks = house.rows("SELECT status, due_at FROM tasks")
        backend.broken = fault(500)
        broken = house.call("audit", "hf")
        wrong = house.call("audit", "hf", "--date", "tomorrow"), house.call("audit", "nobody")
    assert found.returncode == 1
    assert [(each["slot"], each["kind"], each["sentence"]) for each in json.loads(found.stdout)["differences"]] == [
        ("id:1", "different", "scheduled_at is 2031-05-05T11:30:00.000Z there and 2031-05-05T11:00:00.000Z here; status is ongoing there and not_started here; priority is 4 there and 0 here"),
        ("id:8", "missing", "it is planned at 2031-05-05T18:00:00.000Z, and is not on the board"),
        ("slots[5]", "unreadable", "scheduled_at 'noon' is not a time: write HH:MM, HH:MM:SS or ISO 8601 with a date and a time"),
        ("id:2", "extra", "it is on the board, and not there"),
    ]  # fmt: skip
    assert {row["status"] for row in tasks} == {"pending"} and len(tasks) == 4
    assert broken.returncode == 1 and broken.stderr == "orchestrator: backend hf: it answers 500\n"
    assert [each.returncode for each in wrong] == [2, 3] and "there is hf" in wrong[1].stderr
    house.ends()
