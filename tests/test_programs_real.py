"""The real programs, as their registries have them, under a real daemon, with a model of ours and nothing but loopback.

All of it is long but one task with codex and one with claude; `tests.programs.getting` says where they come from.
"""

from __future__ import annotations

import errno
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.runners.table import PROGRAMS
from tests.daemon import House, until
from tests.model import IN, LAST_WORD, OUT, Model, Refusal, model, wait_then_hand_in
from tests.programs.alone import alone, permitted, ways_out
from tests.programs.getting import SECONDS, got
from tests.programs.settings import TOLD, agent

pytestmark = pytest.mark.timeout(SECONDS)
ALWAYS = ("codex", "claude")  # native: they need nothing of the machine, and start in no time
EVERY = [pytest.param(name, marks=() if name in ALWAYS else pytest.mark.long) for name in TOLD]
LIMITS = {
    "startup_seconds": 100.0,
    "idle_seconds": 150.0,
    "wall_seconds": 200.0,
    "settle_seconds": 60.0,
    "max_tries": 1,
}
SLOW = 150.0  # seconds: a start takes up to ten on a busy machine, and some try again for a minute


# US dollars for two calls, by the prices that each was told, or has. The others tell none.
COST = {"claude": 0.0009, "opencode": 0.00024, "pi": 0.00024}
# What the model is refused with, and what each program lets us know of it.
REFUSED = {
    "codex": {"auth": "auth", "rate_limit": "rate_limit", "overflow": "context"},
    "claude": {"auth": "auth", "rate_limit": "rate_limit", "overflow": "context"},
    "opencode": {"auth": "auth", "overflow": "context"},  # tries again within the run
    "gemini": {"auth": "auth", "rate_limit": "rate_limit"},
    "pi": {"auth": "auth", "rate_limit": "rate_limit", "overflow": "context"},
    "qwen": {"auth": "auth"},  # waits within the run for as long as it is told, and says nothing
    "mini-swe-agent": {"auth": "auth"},
}


@contextmanager
def house_of(
    folder: Path, name: str, *, keys: Mapping[str, object] | None = None, **orders: object
) -> Iterator[tuple[House, Model]]:
    """A running house with one agent of this program, and its model; nothing of it is left afterwards.

    `keys`: more of the agent's table.
    """
    binary = got(name)
    with permitted(), alone(), model(**orders) as asked:
        house = House(folder, policy=LIMITS)
        table, files = agent(name, asked.url, str(binary))
        house.agents["ada"] = {**table, **(keys or {})}
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        try:
            house.start()
            yield house, asked
            house.ends()
        finally:
            house.clear()


def test_there_is_no_way_out_for_us_and_for_what_we_start() -> None:
    before = ways_out()
    with permitted(), alone():
        assert ways_out() == []
        with socket.socket() as one, pytest.raises(OSError) as refused:
            one.connect(("192.0.2.1", 80))
        assert refused.value.errno == errno.ENETUNREACH
        seen = subprocess.run(["cat", "/proc/net/dev", "/proc/net/route"], capture_output=True, text=True).stdout
        assert len(seen.splitlines()) == 4, f"two headings, loopback, one heading: {seen}"
    assert ways_out() == before


@pytest.mark.parametrize("name", EVERY)
def test_a_task_goes_to_its_end(tmp_path: Path, name: str) -> None:
    with house_of(tmp_path / "house", name) as (house, asked):
        task = house.post("ada", "Say hello")
        gone(house, task)
        (attempt,) = house.attempts(task)
        assert (attempt["outcome"], house.task(task)["status"]) == ("submitted", "done"), logs(house, attempt["id"])
        assert house.value("SELECT content FROM outputs") == "hello\n"
        assert (attempt["failure_kind"], attempt["result"]) == (None, LAST_WORD)
        assert (attempt["input_tokens"], attempt["output_tokens"]) == (2 * IN, 2 * OUT)
        assert (attempt["cost_usd"] or 0) == pytest.approx(COST.get(name, 0))
        assert bool(attempt["session_id"]) == (name != "mini-swe-agent")
        assert len(asked.requests) == (3 if name == "opencode" else 2), "opencode asks for a title beside the work"


@pytest.mark.long
@pytest.mark.parametrize(("name", "refuses"), [(name, each) for name in REFUSED for each in REFUSED[name]])
def test_a_refusal_of_the_model_is_known(tmp_path: Path, name: str, refuses: Refusal) -> None:
    with house_of(tmp_path / "house", name, refuses=refuses) as (house, _):
        task = house.post("ada", "Say hello")
        gone(house, task)
        (attempt,) = house.attempts(task)
        assert attempt["failure_kind"] == REFUSED[name][refuses], logs(house, attempt["id"])
        assert attempt["outcome"] == {"auth": "not_authorised", "rate_limit": "rate_limited"}.get(refuses, "crashed")


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, program in PROGRAMS.items() if program.resume])
def test_what_is_rejected_goes_on_with_its_conversation(tmp_path: Path, name: str) -> None:
    """The model is shown what was said before, with the commands of the new attempt, and each has its own numbers."""
    keys = {"session_scope": "task", "policy": {"review": "human"}}
    with house_of(tmp_path / "house", name, keys=keys) as (house, asked):
        task = house.post("ada", "Say hello")
        for number in (1, 2):
            until(lambda number=number: len(house.attempts(task)) == number, SLOW, story=lambda: house.story(task))
            house.reaches(task, "review")
            until(lambda: house.attempts(task)[-1]["gone_at"], SLOW, story=lambda: house.story(task))
            if number == 1:
                house.operate(task, "reject", "say it louder")
        first, second = house.attempts(task)
        assert house.outcomes(task) == ["submitted"] * 2, logs(house, second["id"])
        assert (second["resumes"], second["session_id"]) == (first["id"], first["session_id"])
        assert (second["input_tokens"], second["output_tokens"]) == (first["input_tokens"], first["output_tokens"])
        shown = [str(each) for each in asked.requests]
        both = [
            text
            for text in shown
            if all(str(house.attempt_file(each["id"], "curl.conf")) in text for each in (first, second))
        ]
        assert both, "one request holds the commands of both attempts: it is one conversation"
        assert "say it louder" in both[0]


@pytest.mark.long
@pytest.mark.parametrize("name", TOLD)
def test_a_stop_ends_the_tool_too(tmp_path: Path, name: str) -> None:
    """The tool waits in a process group of its own, and would ask for review as soon as the wait is over."""
    with house_of(tmp_path / "house", name, script=wait_then_hand_in) as (house, _):
        task = house.post("ada", "Say hello")
        until(lambda: waiting(house, task), SLOW, story=lambda: house.story(task))
        assert house.operate(task, "cancel", "enough") == "cancelled"
        gone(house, task)
        assert house.left_of(task) == set()
        assert house.task(task)["status"] == "cancelled"
        assert house.rows("SELECT id FROM outputs") == []


def gone(house: House, task: int) -> None:
    """Wait until the task's one attempt is proved gone."""
    until(lambda: house.attempts(task) and house.attempts(task)[0]["gone_at"], SLOW, story=lambda: house.story(task))


def waiting(house: House, task: int) -> bool:
    """Whether the shell tool has reached its wait."""
    marks = (Path(f"/proc/{one.pid}/cmdline") for one in house.left_of(task))
    return any(b"tail\0-f" in mark.read_bytes() for mark in marks if mark.exists())


def logs(house: House, attempt: int) -> str:
    return "\n".join(house.attempt_file(attempt, name).read_text() for name in ("stdout.log", "stderr.log"))
