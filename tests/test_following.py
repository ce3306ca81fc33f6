"""`events --follow`, with a daemon, without one, and over its end and its next start: every event, in order, once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from tests.daemon import House, until


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    made.agent("idle", "exit 0\n", enabled=False)
    made.configure()
    assert made.call("run", "--once").returncode == 0  # makes board and token
    yield made
    made.ends()


class Follower:
    """The command as a process of its own; its lines as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)

    def event(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.lines.get(timeout=20))
        return told

    def until(self, task: int) -> list[int]:
        """The numbers of the events up to the post of this task."""
        seen: list[int] = []
        while True:
            event = self.event()
            seen.append(event["id"])
            if (event["task_id"], event["verb"]) == (task, "post"):
                return seen

    def interrupted(self) -> str:
        """Ctrl-C; what stood on stderr."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=20) == 0
        assert self.process.stderr is not None
        return self.process.stderr.read()


@contextmanager
def following(house: House, *words: str) -> Iterator[Follower]:
    with subprocess.Popen(
        house.command("events", "--follow", *words), env=house.environment, cwd="/", text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield Follower(process)
        finally:
            process.kill()


def posted(house: House, title: str = "do it") -> int:
    done = house.call("post", title, "--agent", "idle", "--project", "p", "--json")
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout)["task"])


def streams(process: subprocess.Popen[Any]) -> bool:
    """Whether a process has a TCP connection: it follows a daemon, not the file."""
    links = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{process.pid}/fd") if os.path.lexists(entry.path)]
    return any(link.startswith("socket:") for link in links)


def test_every_event_comes_once_and_in_order_over_daemons_that_come_and_go(house: House) -> None:
    first = posted(house)
    with following(house, "--json", "--after", "0") as follower:
        seen = follower.until(first)  # nobody holds the board: the file tells
        assert not streams(follower.process)
        house.start()
        until(lambda: streams(follower.process))
        seen += follower.until(posted(house))  # the daemon tells
        house.kill()
        seen += follower.until(posted(house))  # the file again
        house.start()
        until(lambda: streams(follower.process))
        seen += follower.until(posted(house))
        assert house.stop() == 0
        seen += follower.until(posted(house))
        errors = follower.interrupted()

    assert seen == list(range(1, len(seen) + 1))
    assert errors.count("has ended the stream") == 2
    assert len(errors.splitlines()) == 2


def test_a_daemons_stream_is_shown_as_the_file_is(house: House) -> None:
    """Also what Unicode takes for the end of a line, and what could steer a terminal."""
    house.start()
    task = posted(house, "a\u2028b\x85c 🎉")
    listed = house.call("events", "--after", "0").stdout.splitlines()
    as_json = house.call("events", "--after", "0", "--json").stdout.splitlines()
    for words, expected in (((), listed), (("--json",), as_json)):
        with following(house, "--after", "0", *words) as follower:
            assert [follower.lines.get(timeout=20).rstrip("\n") for _ in expected] == expected
            assert streams(follower.process)
            assert follower.interrupted() == ""
    assert task == 1


def test_only_a_tasks_events_and_no_more_than_asked_for(house: House) -> None:
    house.start()
    posted(house)
    second = posted(house)
    with following(house, "--json", "--task", str(second), "--limit", "2") as follower:
        assert follower.event()["task_id"] == second
        posted(house)
        house.operate(second, "cancel")
        told = follower.event()
        assert (told["task_id"], told["verb"]) == (second, "cancel")
        assert follower.process.wait(timeout=20) == 0


def test_a_reader_that_goes_away_ends_it_quietly(house: House) -> None:
    house.start()
    posted(house)
    process = subprocess.Popen(
        house.command("events", "--follow"),
        env=house.environment,
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    posted(house)
    assert (process.wait(timeout=20), process.stderr.read()) == (0, b"")
    process.stderr.close()


def test_without_a_token_the_file_tells_and_it_is_said_once(house: House) -> None:
    house.start()
    first = posted(house)
    (house.folder / "operator.token").rename(house.folder / "away")
    with following(house, "--json") as follower:
        assert follower.event()["task_id"] == first
        (house.folder / "away").rename(house.folder / "operator.token")
        time.sleep(1.5)  # it has looked for a daemon again, and does not ask the same one
        second = posted(house)
        assert follower.event()["task_id"] == second
        with pytest.raises(Empty):
            follower.lines.get(timeout=0.5)
        errors = follower.interrupted()
    assert errors.count("streams no events to us") == 1
    assert len(errors.splitlines()) == 1
