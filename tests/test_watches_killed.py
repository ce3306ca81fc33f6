"""A real daemon that watches a real server: the commands beside it, and kill -9 between poll, push and acknowledgement."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from blackboard.watch_diff import canonical
from tests.daemon import House, until
from tests.test_watches import replayed
from tests.watched_hub import Hub


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    yield made
    made.close()


@pytest.fixture
def house(tmp_path: Path, hub: Hub) -> Iterator[House]:
    made = House(tmp_path)
    made.agent("ada", "exit 0\n", enabled=False)  # what is told stays to be looked at
    made.tables["watches.tickets"] = {
        "url": hub.url, "items": "/tickets", "id": ["id"], "agent": "ada", "min_available": 0, "idle_seconds": 0.2,
        "active_seconds": 0.1, "cooldown_seconds": 0.5,
    }  # fmt: skip
    try:
        yield made
        made.ends()
    finally:
        made.clear()


def changes(house: House) -> list[Any]:
    return list(house.rows("SELECT * FROM watch_changes ORDER BY id"))


def settled(house: House, hub: Hub) -> bool:
    rows = house.rows("SELECT item, content FROM watch_items WHERE missing = 0")
    seen = {row["item"]: json.loads(row["content"]) for row in rows}
    return seen == {name: {"id": name, **item} for name, item in hub.items.items()} and all(
        row["state"] == "acknowledged" for row in changes(house)
    )


def told_of(house: House, whom: str) -> list[dict[str, Any]]:
    """What was told, in the order in which it came; a file sink has one file a message, however often it was tried."""
    if whom == "task":
        return [json.loads(row["data"])["watch"] for row in house.rows("SELECT data FROM tasks ORDER BY id")]
    files = [json.loads(file.read_text()) for file in sorted((house.folder / "inbox").glob("*.json"))]
    found = [notice for file in files for notice in file["data"]["notices"]]
    return [notice["data"] for notice in found if notice["kind"] == "watch"]


@pytest.mark.parametrize("whom", ["task", "notice"])
def test_kills_while_a_source_comes_and_goes_lose_no_change_and_tell_none_twice(
    house: House, hub: Hub, whom: str
) -> None:
    """With a notice its sink is down at first, so that the kills come before it has acknowledged anything."""
    if whom == "notice":
        watch = {key: value for key, value in house.tables["watches.tickets"].items() if key != "agent"}
        house.tables["watches.tickets"] = {**watch, "sinks": ["inbox"]}
        folder = house.folder / "inbox"
        folder.mkdir(mode=0o755)
        house.tables["sinks.inbox"] = {
            "type": "file", "folder": str(folder), "retry_seconds": 0.1, "retry_most_seconds": 0.3, "max_tries": 1000,
        }  # fmt: skip
    dice = random.Random(6)
    hub.items = {"1": {"status": "open"}}
    house.start()
    until(lambda: house.rows("SELECT 1 FROM events WHERE verb = 'watch_baseline'"))
    over = threading.Event()

    def live() -> None:
        for step in range(10_000):
            if over.is_set():
                break
            items = json.loads(json.dumps(hub.items))
            items[dice.choice("123456")] = {"status": dice.choice(["open", "done"]), "n": step}
            if dice.random() < 0.1:
                items.pop(dice.choice("123456"), None)
            hub.items = items
            hub.fault = dice.choice([None, None, None, 503, b"<html>", b'{"tickets": []}'])
            time.sleep(0.03)
        hub.fault = None

    living = threading.Thread(target=live)
    living.start()
    try:
        for kill in range(5):
            before = len(changes(house))
            until(lambda: len(changes(house)) > before, story=house.told)  # noqa: B023
            time.sleep(dice.random() * 0.3)
            house.kill()
            if whom == "notice" and kill == 2:
                (house.folder / "inbox").chmod(0o700)
            house.start()
    finally:
        over.set()
        living.join()
    until(lambda: settled(house, hub), story=lambda: str([dict(row) for row in changes(house)][-5:]))

    rows = changes(house)
    assert len(rows) > 20
    assert replayed(rows, {"1": {"id": "1", "status": "open"}}).keys() == hub.items.keys()
    assert canonical(replayed(rows, {"1": {"id": "1", "status": "open"}})) == canonical(
        {name: {"id": name, **item} for name, item in hub.items.items()}
    )
    told = told_of(house, whom)
    assert [change["id"] for push in told for change in push["changes"]] == [row["id"] for row in rows]
    assert len({push["push"] for push in told}) == len(told) > 3
    assert len(house.rows("SELECT 1 FROM events WHERE verb = 'watch_baseline'")) == 1


def test_the_commands_with_a_daemon_and_without_one(house: House, hub: Hub) -> None:
    house.tables["watches.tickets"] |= {"idle_seconds": 3600, "active_seconds": 3600, "cooldown_seconds": 3600}  # type: ignore[operator]
    hub.items = {"1": {"status": "open"}}
    house.configure()
    house.call("init", str(house.folder))

    def said(*words: str, code: int = 0) -> str:
        done = house.call("watches", *words)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout if not code else done.stderr

    assert "it was not asked yet" in said()
    assert said("poll", "tickets") == "tickets was asked: 0 changes since\n"  # nobody runs: it is asked here
    hub.items["2"] = {"status": "open"}
    assert said("poll", "tickets") == "tickets was asked: 1 change since\n"
    assert "the daemon tells it at once" in said()
    hub.fault = 503
    assert "tickets was asked: it answers 503" in said("poll", "tickets", code=1)
    hub.fault = None
    house.start()
    until(lambda: house.rows("SELECT 1 FROM tasks"))  # told by the next daemon
    until(
        lambda: house.rows("SELECT 1 FROM sources WHERE name = 'watch:tickets' AND error IS NULL")
    )  # which has asked again
    hub.items["2"] = {"status": "done"}
    assert said("poll", "tickets") == "tickets was asked: 1 change since\n"  # and now by the daemon, at once
    [row] = json.loads(said("--json"))
    assert (row["watch"], row["for"], row["items"], row["waiting"], row["error"]) == ("tickets", "agent:ada", 2, 1, None)  # fmt: skip
    assert row["waits_for"].startswith("cooldown until ")
    assert "cooldown until" in said()
    found = json.loads(said("changes", "tickets", "--json"))
    assert [(each["item"], each["kind"], each["state"]) for each in found] == [
        ("2", "added", "acknowledged"), ("2", "changed", "waiting"),
    ]  # fmt: skip
    assert [each["id"] for each in json.loads(said("changes", "tickets", "--after", "1", "--json"))] == [2]
    assert house.http("/api/watches/tickets/changes?after=1")["changes"] == found[1:]
    assert house.http("/api/watches")["watches"][0]["waiting"] == 1
    assert 'status "open" → "done"' in said("changes", "tickets")
    hub.items["open: all"] = {"status": "open"}
    said("poll", "tickets")
    assert json.loads(said("changes", "tickets", "--json"))[-1]["item"] == "open: all"
    assert "all: id" not in said("changes", "tickets")  # what differs, and no end of the item's name
    assert said("retry", "tickets") == "nothing of tickets was left\n"
    for words in (["changes", "none"], ["poll", "none"], ["retry", "none"], ["retry", "no/ne"]):
        assert "watches" in said(*words, code=3), words
    assert "say which" in said("poll", code=2)
    assert "--after goes with changes" in said("retry", "tickets", "--after", "1", code=2)
    house.stop()
    assert said("retry", "tickets") == "nothing of tickets was left\n"
    assert "watch:tickets" in house.call("status", "--json").stdout


def test_without_watches_the_list_says_how_to_have_one(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.configure()
    house.call("init", str(house.folder))
    assert house.call("watches").stdout == "nothing is watched yet: add [watches.NAME] to the configuration\n"
    assert house.call("watches", "--json").stdout == "[]\n"
