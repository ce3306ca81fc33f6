"""A real daemon and a calendar backend on real HTTP: due slots become work, work is told back, over kill -9 and outages."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import House, free_port, until
from tests.stand_in_backend import Backend, fault, says, serving

WORK = "bb start; echo it > f; bb output other T f; bb submit\n"


def due(number: int, seconds: float = -1.0) -> dict[str, Any]:
    when = datetime.now(UTC) + timedelta(seconds=seconds)
    return {"id": number, "virtual_id": None, "scheduled_at": when.isoformat(), "status": "not_started"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path / "house")
    yield built
    built.ends()


def spoken_to(house: House, url: str, **more: object) -> None:
    house.tables["backends.hf"] = {
        "url": url, "identifier": "claw-1", "sync_seconds": 0.3, "heartbeat_seconds": 0.3, **more,
    }  # fmt: skip


def test_a_due_slot_is_worked_on_and_told_finished(house: House) -> None:
    house.agent("ada", WORK)
    backend = Backend({"ada": [due(1)], "bob": []})
    with serving(backend) as url:
        spoken_to(house, url)
        house.start()
        until(lambda: ("1", "finished") in backend.told, story=house.told)
        until(lambda: len(backend.of("/monitor/server/heartbeat", "POST")) >= 2, story=house.told)
        backend.change({"op": "add", "agent": "ada", "slot": due(2)})
        until(lambda: ("2", "finished") in backend.told, story=house.told)
        assert backend.told == [("1", "ongoing"), ("1", "finished"), ("2", "ongoing"), ("2", "finished")]
        house.reaches(1, "done")
        house.reaches(2, "done")
        listed = house.call("status", "--json").stdout
        assert "backend:hf:write-back" in listed and "backend:hf:heartbeat" in listed


def test_a_kill_between_the_backends_answer_and_the_board_loses_and_doubles_nothing(house: House) -> None:
    """The daemon is killed while the backend, which has applied the word, does not answer."""
    house.agent("ada", WORK)
    backend = Backend({"ada": [due(1)]})
    heard, answer = threading.Event(), threading.Event()

    def hangs(request: Any) -> None:
        backend.slot("ada", 1)["status"] = backend.asked[-1].body["status"]
        heard.set()
        answer.wait(60)
        says(request, 200, {})

    with serving(backend) as url:
        spoken_to(house, url)
        backend.broken_paths["/agent-update"] = hangs
        house.start()
        assert heard.wait(40), house.told()
        house.reaches(1, "done")
        house.kill()
        assert [row["status"] for row in house.rows("SELECT status FROM write_backs ORDER BY id")][:1] == ["ongoing"]
        backend.broken_paths.clear()
        answer.set()
        before = len(backend.told)
        house.start()
        until(lambda: ("1", "finished") in backend.told[before:], story=house.told)
        assert backend.told[before:] == [("1", "ongoing"), ("1", "finished")]
        assert house.value("SELECT count(*) FROM tasks") == 1 and len(house.attempts(1)) == 1


def test_a_backend_that_is_gone_stops_claims_at_its_age_and_they_go_on_with_it(house: House) -> None:
    house.agent("ada", WORK)
    port = free_port()
    backend = Backend({"ada": [due(1)]})
    with serving(backend, port) as url:
        spoken_to(house, url, max_schedule_age_seconds=1.5)
        house.start()
        until(lambda: ("1", "finished") in backend.told, story=house.told)
        backend.change({"op": "add", "agent": "ada", "slot": due(2, 6.0)})
        until(lambda: house.value("SELECT count(*) FROM tasks") == 2, story=house.told)
        backend.broken = fault(500)  # long before it is due
        until(lambda: house.call("why", "2").stdout.count("its schedule is too old"), story=house.told)
    until(lambda: house.value("SELECT failures FROM sources WHERE name = 'backend:hf'") > 3, story=house.told)
    assert house.task(2)["status"] == "pending"
    backend.broken = None
    with serving(backend, port):
        until(lambda: ("2", "finished") in backend.told, story=house.told)
        house.reaches(2, "done")
    assert backend.told == [("1", "ongoing"), ("1", "finished"), ("2", "ongoing"), ("2", "finished")]


def test_run_once_tells_what_it_did(house: House) -> None:
    house.agent("ada", WORK)
    backend = Backend({"ada": [due(1)]})
    with serving(backend) as url:
        spoken_to(house, url)
        house.configure()
        ended = house.call("run", "--once")
    assert ended.returncode == 0, ended.stderr
    assert backend.told == [("1", "ongoing"), ("1", "finished")]


def test_check_says_what_the_backend_plans(house: House) -> None:
    house.agent("ada", WORK)
    with serving(Backend({"ada": [due(1)]})) as url:
        spoken_to(house, url)
        house.configure()
        assert "1 slots of 1 agents for claw-1; it gives a sync token" in house.call("check").stdout
    gone = house.call("check")
    assert gone.returncode != 0 and "gave no answer" in gone.stdout + gone.stderr
