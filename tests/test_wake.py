"""Agents that are only woken: what they are told, what they do by themselves, and the word they must answer with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.acknowledging import missing
from orchestrator.demo.orders import commands
from orchestrator.processes import Status
from prompts import samples
from prompts.render import compose, render
from tests.daemon import House

PATHS = {"curl_conf": "/s/curl.conf", "bb": "/s/bb", "workspace": "/w"}


def woken(ack: str = "WAKEUP_OK", **changes: object) -> str:
    return render({**samples.smallest(), **changes}, base_url="http://127.0.0.1:8083", tail=None, ack=ack, **PATHS)


# --- the prompt ---------------------------------------------------------------------------------------------------


def test_a_wake_up_is_short_and_says_how_to_fetch_and_what_to_answer() -> None:
    text = woken("AWAKE")

    assert len(text.splitlines()) < 40
    assert text.rstrip().endswith("\nAWAKE")
    assert commands(text) == [
        "/s/bb show\n",
        "curl --config /s/curl.conf 'http://127.0.0.1:8083/api/projects/demo/tasks/1?expand=all'\n",
        "/s/bb start\n",
    ]


def test_a_title_cannot_pass_for_the_word(tmp_path: Path) -> None:
    brief = samples.largest()

    text = render(dict(brief), base_url="http://h", tail=None, ack="AWAKE", **PATHS)

    assert text.rstrip().endswith("\nAWAKE")
    assert samples.TOKEN not in text


def test_a_review_is_always_told_in_full() -> None:
    assert compose(dict(samples.smallest()), base_url="http://h", tail=None, ack=None, **PATHS).sources[0].name == (
        "executor.md.j2"
    )
    with pytest.raises(Exception, match="stranger"):
        woken(role="stranger")


# --- the word -----------------------------------------------------------------------------------------------------


def left(folder: Path, said: bytes, *, ack: str | None = "WAKEUP_OK", phase: str = "exit") -> str | None:
    (folder / "launch.json").write_text(json.dumps({"argv": ["x"], "ack": ack}))
    (folder / "stdout.log").write_bytes(said)
    return missing(folder, Status(phase=phase, launcher=None, agent=None))


@pytest.mark.parametrize(
    "said",
    [b"WAKEUP_OK", b"WAKEUP_OK\n", b"  WAKEUP_OK \r\n\n", b"did it\nWAKEUP_OK\n\n", b"x" * 9_999 + b"\nWAKEUP_OK"],
)
def test_the_word_alone_on_the_last_line_counts(tmp_path: Path, said: bytes) -> None:
    assert left(tmp_path, said) is None


@pytest.mark.parametrize(
    "said",
    [b"", b"\n\n", b"OK", b"wakeup_ok", b"WAKEUP_OK.", b"WAKEUP_OK: done", b"I say WAKEUP_OK", b"WAKEUP_OK\nand more",
     b"`WAKEUP_OK`", b"\xff\xfe", b"x" * 9_999],
)  # fmt: skip
def test_the_word_elsewhere_or_otherwise_does_not(tmp_path: Path, said: bytes) -> None:
    told = left(tmp_path, said)

    assert told is not None
    assert told.startswith("it was woken and did not answer with WAKEUP_OK alone on its last line; it said")
    assert len(told) < 300


def test_last_words_that_the_runner_knows_win_over_the_output(tmp_path: Path) -> None:
    assert left(tmp_path, b'{"json": 1}') is not None
    status = Status(phase="exit", launcher=None, agent=None)

    assert missing(tmp_path, status, "done\n\nWAKEUP_OK\n") is None
    assert "it said nothing" in str(missing(tmp_path, status, ""))


def test_a_token_in_what_was_said_is_masked(tmp_path: Path) -> None:
    assert samples.TOKEN not in str(left(tmp_path, samples.TOKEN.encode()))


def test_nobody_is_waited_for_who_was_not_woken_or_never_ran(tmp_path: Path) -> None:
    assert left(tmp_path, b"", ack=None) is None
    assert left(tmp_path, b"", phase="spawn_failed") is None
    assert missing(tmp_path / "none", None) is None


# --- from outside -------------------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "house")
    yield house
    house.ends()


# It is told nothing of its task but where to look: it fetches the description, and hands that in.
WORKS = """
bb start
bb show | sed -n 's/.*"description": *"\\([^"]*\\)".*/\\1/p' | bb output other fetched -
bb submit >/dev/null
"""


def test_a_woken_agent_fetches_its_task_and_acknowledges(house: House) -> None:
    house.agent("ada", WORKS + "echo AWAKE", wake=True, wake_ack="AWAKE")
    house.start()

    task = house.post("ada", description="count the geese")
    house.reaches(task, "done")

    prompt = house.attempt_file(house.attempts(task)[0]["id"], "prompt.md").read_text()
    assert prompt.startswith("You are the agent `ada`. You have due work")
    assert "count the geese" not in prompt
    assert "geese" in house.value("SELECT content FROM outputs WHERE task_id = :task", task=task)
    assert house.events(task, "wake_unacknowledged") == []
    assert json.loads(house.events(task, "spawned")[0]["data"])["templates"][0]["name"] == "wake.md.j2"


def test_a_missing_answer_is_an_event_and_the_report_still_counts(house: House) -> None:
    house.agent("ada", WORKS + "echo 'all WAKEUP_OK here'", wake=True)
    house.agent("eve", "echo WAKEUP_OK", wake=True, policy={"max_tries": 1})
    house.start()

    done, silent = house.post("ada"), house.post("eve")
    house.reaches(done, "done")
    house.reaches(silent, "failed")

    [event] = house.events(done, "wake_unacknowledged")
    assert event["reason"].endswith("it said: all WAKEUP_OK here")
    assert event["attempt_id"] == house.attempts(done)[0]["id"]
    assert house.events(silent, "wake_unacknowledged") == []  # it answered, and reported nothing: that is its outcome
    assert house.outcomes(silent) == ["no_report"]


def test_an_agent_that_is_told_in_full_is_not_waited_for(house: House) -> None:
    house.agent("ada", WORKS)
    house.start()

    task = house.post("ada")
    house.reaches(task, "done")

    assert house.events(task, "wake_unacknowledged") == []
