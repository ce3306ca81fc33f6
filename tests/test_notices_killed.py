"""A real daemon, a webhook that is down, hangs or answers too late, and kill -9 in between: all is told, in order."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import House, free_port, until
from tests.hook_server import SECRET, HookServer

BLOCKS = "echo 'which one?' | bb block needs_input -\n"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path / "house")
    secret = built.folder / "hook.secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    built.agent("ada", BLOCKS)
    yield built
    built.ends()


def hooked(house: House, port: int, **more: object) -> None:
    # An hour in small: the wait doubles up to its longest, and all of it stands on the board.
    house.tables["sinks.hook"] = {
        "type": "webhook", "url": f"http://127.0.0.1:{port}/", "secret_file": "hook.secret", "allow_private": True,
        "kinds": ["blocked"], "retry_seconds": 0.05, "retry_most_seconds": 0.4, "timeout_seconds": 5, "max_tries": 1000, **more,
    }  # fmt: skip


def waiting(house: House) -> int:
    return int(house.value("SELECT count(*) FROM deliveries WHERE state = 'waiting'"))


def blocked(house: House, count: int, done: int = 0) -> None:
    for _ in range(count):
        house.reaches(house.post("ada"), "blocked")
    until(lambda: house.value("SELECT count(*) FROM deliveries") == done + count, story=house.told)


def in_order_of_their_notices(house: House) -> list[str]:
    """The messages that were to be told, as the board has them."""
    rows = house.rows("SELECT DISTINCT message FROM deliveries ORDER BY notice_id")
    return [row["message"] for row in rows]


def first_heard(server: HookServer) -> list[str]:
    return list(dict.fromkeys(str(told["id"]) for told in server.told()))


def test_a_sink_that_is_down_over_kills_gets_everything_in_order(house: House) -> None:
    port = free_port()
    hooked(house, port)
    house.start()
    blocked(house, 3)
    until(lambda: house.value("SELECT max(failures) FROM deliveries") >= 3, story=house.told)
    house.kill()
    assert waiting(house) == 3
    house.start()
    blocked(house, 2, done=3)
    assert house.value("SELECT failures FROM sinks WHERE name = 'hook'") >= 3  # it goes on counting
    house.kill()
    server = HookServer(port)
    try:
        house.start()
        until(lambda: waiting(house) == 0, story=house.told)
        assert first_heard(server) == in_order_of_their_notices(house)
        assert len(first_heard(server)) == 5
        assert house.value("SELECT count(*) FROM deliveries WHERE state = 'delivered'") == 5
        assert house.value("SELECT count(*) FROM events WHERE verb = 'sink_failed'") == 1
        assert house.value("SELECT count(*) FROM events WHERE verb = 'sink_back'") == 1
    finally:
        server.close()


def test_kills_while_the_server_hears_it_lose_nothing_and_what_comes_again_is_the_same(house: House) -> None:
    server = HookServer()
    gate = threading.Event()
    held = threading.Event()

    def hold() -> None:
        held.set()
        gate.wait(20)

    server.before = hold
    hooked(house, server.port)
    try:
        house.start()
        blocked(house, 2)
        for _ in range(3):
            until(held.is_set, story=house.told)
            house.kill()  # it has heard the message, and the board does not know
            held.clear()
            house.start()
        until(held.is_set, story=house.told)
        server.before = None
        gate.set()
        until(lambda: waiting(house) == 0, story=house.told)
        bodies: dict[str, set[bytes]] = {}
        for each in server.heard:
            bodies.setdefault(each.headers["webhook-id"], set()).add(each.body)
        assert list(bodies) == in_order_of_their_notices(house)
        assert [len(each) for each in bodies.values()] == [1, 1]
        assert len(server.heard) >= 5
    finally:
        gate.set()
        server.close()


def test_a_file_sink_and_a_task_sink_over_kills(house: House) -> None:
    house.tables["sinks.inbox"] = {"type": "file", "folder": "inbox", "kinds": ["blocked"]}
    house.tables["sinks.desk"] = {"type": "task", "agent": "eve", "kinds": ["blocked"]}
    house.agent("eve", "bb start; echo it > f; bb output other T f; bb submit\n")
    house.start()
    for _ in range(3):
        house.post("ada")
        house.kill()
        house.start()
    until(lambda: house.value("SELECT count(*) FROM tasks WHERE status = 'blocked'") == 3, story=house.told)
    until(lambda: house.value("SELECT count(*) FROM deliveries WHERE state = 'delivered'") == 6, story=house.told)
    until(lambda: house.value("SELECT count(*) FROM tasks WHERE status = 'done'") == 3, story=house.told)
    told = [json.loads(file.read_text()) for file in sorted((house.folder / "inbox").iterdir())]
    assert [each["id"] for each in told] == [
        row["message"] for row in house.rows("SELECT message FROM deliveries WHERE sink = 'inbox' ORDER BY id")
    ]
    assert house.value("SELECT count(*) FROM tasks") == 6  # one each: exactly once
