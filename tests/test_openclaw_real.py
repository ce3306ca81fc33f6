"""The real openclaw, as npm has it, under a real daemon: each form runs a task to its end, with a model of our own.

Long; `tests.programs.getting` says where it comes from (830 MB). There is nothing but loopback while it runs.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import create_connection
from typing import Any

import pytest

from tests.daemon import House, free_port, until
from tests.model import LAST_WORD, Model, Refusal, model, wait_then_hand_in
from tests.programs.alone import alone, permitted
from tests.programs.getting import SECONDS, got
from tests.test_programs_real import waiting

pytestmark = [pytest.mark.long, pytest.mark.timeout(SECONDS)]
SLOW = 300.0  # seconds: a run takes ten on a quiet machine


class Real(House):
    """A house with one real agent, its state folder and its configuration."""

    def __init__(self, folder: Path, binary: Path, url: str) -> None:
        super().__init__(
            folder,
            policy={
                "startup_seconds": 240.0,
                "wall_seconds": 280.0,
                "idle_seconds": 240.0,
                "settle_seconds": 120.0,
                "max_tries": 1,
            },
        )
        self.state = folder / "claw"
        self.state.mkdir()
        self.gateway_port = free_port()
        self.binary = binary
        (self.state / "openclaw.json").write_text(json.dumps(self.configuration(url)))

    def configuration(self, url: str) -> dict[str, Any]:
        offered = {"id": "M", "name": "Stub", "reasoning": False, "input": ["text"], "contextWindow": 200000, "maxTokens": 8192,
                   "cost": {"input": 1, "output": 2, "cacheRead": 0.1, "cacheWrite": 0}}  # fmt: skip
        provider = {
            "baseUrl": f"{url}/v1",
            "apiKey": "stub",
            "api": "openai-completions",
            "models": [offered],
        }
        return {
            "agents": {
                "defaults": {
                    "model": {"primary": "stub/M"}, "models": {"stub/M": {}}, "workspace": str(self.state / "work"),
                    "skipBootstrap": True, "systemAgent": {"agentId": "ops"},
                },
                "ownership": "explicit", "entries": {"main": {}, "ops": {}},
            },
            "models": {"mode": "replace", "providers": {"stub": provider}},
            "update": {"checkOnStart": False},
            "telemetry": {"enabled": False},
            "gateway": {"mode": "local", "port": self.gateway_port, "bind": "loopback", "auth": {"mode": "token", "token": "t" * 32}},
        }  # fmt: skip

    @contextmanager
    def gateway(self) -> Iterator[None]:
        env = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "OPENCLAW_STATE_DIR": str(self.state), "NO_COLOR": "1",
            "OPENCLAW_NO_AUTO_UPDATE": "1", "OPENCLAW_DISABLE_BONJOUR": "1", "OPENCLAW_SKIP_CHANNELS": "1",
        }  # fmt: skip
        with (self.folder / "gateway.log").open("wb") as log:
            words = [str(self.binary), "gateway", "run", "--port", str(self.gateway_port)]
            process = subprocess.Popen(words, env=env, stdout=log, stderr=log, start_new_session=True)
        try:
            until(self.gateway_listens, SLOW, story=(self.folder / "gateway.log").read_text)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)

    def gateway_listens(self) -> bool:
        time.sleep(0.2)
        try:
            with closing(create_connection(("127.0.0.1", self.gateway_port), 1)):
                return True
        except OSError:
            return False

    def logs(self, attempt: int) -> str:
        return "\n".join(self.attempt_file(attempt, name).read_text() for name in ("stdout.log", "stderr.log"))


@contextmanager
def nothing() -> Iterator[None]:
    yield


@contextmanager
def working(folder: Path, mode: str, **orders: Any) -> Iterator[tuple[Real, int, Model]]:
    """A running house, a task that its one agent was given, and the model it asks."""
    binary = got("openclaw")
    with permitted(), alone(), model(**orders) as asked:
        house = Real(folder, binary, asked.url)
        house.agents["ops"] = {
            "runner": "openclaw", "openclaw": {"mode": mode, "binary": str(house.binary), "state_dir": str(house.state)},
        }  # fmt: skip
        try:
            with house.gateway() if mode == "gateway" else nothing():
                house.start()
                assert "openclaw 2026.9.6" in house.call("check").stdout
                yield house, house.post("ops", "Say hello"), asked
            house.ends()
        finally:
            house.clear()


def ended(house: Real, task: int) -> sqlite3.Row:
    """The task's one attempt, proved gone."""
    until(lambda: house.attempts(task) and house.attempts(task)[0]["gone_at"], SLOW, story=lambda: house.story(task))
    (attempt,) = house.attempts(task)
    return attempt


@pytest.mark.parametrize("mode", ["local", "exec", "gateway"])
def test_a_task_goes_to_its_end(tmp_path: Path, mode: str) -> None:
    with working(tmp_path / "house", mode) as (house, task, asked):
        attempt = ended(house, task)
        assert attempt["outcome"] == "submitted", house.logs(attempt["id"])
        assert house.task(task)["status"] == "done"
        assert house.value("SELECT content FROM outputs") == "hello\n"
        assert (attempt["provider"], attempt["model"], attempt["result"]) == ("stub", "M", LAST_WORD)
        assert (attempt["output_tokens"], attempt["failure_kind"], attempt["abroad_at"]) == (20, None, None)
        assert attempt["cost_usd"] > 0
        assert bool(attempt["run_id"]) == (mode == "gateway")
        assert len(asked.requests) == 2


@pytest.mark.parametrize("mode", ["local", "exec"])
def test_a_stop_ends_the_tool_too(tmp_path: Path, mode: str) -> None:
    with working(tmp_path / "house", mode, script=wait_then_hand_in) as (house, task, _):
        until(lambda: waiting(house, task), SLOW, story=lambda: house.story(task))
        assert house.operate(task, "cancel", "enough") == "cancelled"
        assert ended(house, task)["outcome"] == "cancelled"
        assert house.left_of(task) == set()


@pytest.mark.parametrize(
    ("refuses", "kind", "outcome"), [("auth", "auth", "not_authorised"), ("overflow", "context", "crashed")]
)
def test_a_refusal_of_the_model_is_known(tmp_path: Path, refuses: Refusal, kind: str, outcome: str) -> None:
    """A rate limit it waits out by itself, for as long as it is told, and says nothing."""
    with working(tmp_path / "house", "local", refuses=refuses) as (house, task, _):
        attempt = ended(house, task)
        assert (attempt["failure_kind"], attempt["outcome"]) == (kind, outcome), house.logs(attempt["id"])
