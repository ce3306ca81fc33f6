"""The real pi, as npm has it, under a real daemon: a task to its end with a model of our own, and one that is refused.

Long, and needs npm once: set PI_INSTALLED to a folder in which `npm install --ignore-scripts
@mariozechner/pi-coding-agent@0.73.1` was run, or let the test do that (200 MB). Only loopback is reached while it runs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.daemon import House
from tests.model_stub import LAST_WORD, model

pytestmark = pytest.mark.long
PACKAGE = "@mariozechner/pi-coding-agent@0.73.1"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if folder := os.environ.get("PI_INSTALLED"):
        return Path(folder)
    if shutil.which("npm") is None:
        pytest.skip("npm is not here")
    made = tmp_path_factory.mktemp("npm")
    words = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(made), PACKAGE]
    subprocess.run(words, check=True, timeout=600)
    return made


def house_of(folder: Path, installed: Path, port: int) -> House:
    house = House(folder, policy={"startup_seconds": 60.0, "wall_seconds": 100.0, "max_tries": 1})
    offered = {
        "id": "M",
        "name": "M",
        "reasoning": False,
        "input": ["text"],
        "contextWindow": 200000,
        "maxTokens": 8192,
    }
    offered["cost"] = {"input": 1, "output": 2, "cacheRead": 0, "cacheWrite": 0}
    provider = {
        "baseUrl": f"http://127.0.0.1:{port}/v1",
        "api": "openai-completions",
        "apiKey": "k",
        "models": [offered],
    }
    settings = folder / ".pi/agent/models.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"providers": {"stub": provider}}))
    binary = str(installed / "node_modules/.bin/pi")
    program = {"binary": binary, "model": "M", "args": ["--provider", "stub"]}
    house.agents["ada"] = {"runner": "pi", "program": program}
    return house


def test_a_real_run_is_read_to_its_cost(tmp_path: Path, installed: Path) -> None:
    with model() as (port, _):
        house = house_of(tmp_path / "house", installed, port)
        try:
            house.start()
            task = house.post("ada")
            house.reaches(task, "done")
            (attempt,) = house.attempts(task)
            assert (attempt["outcome"], attempt["result"], attempt["model"]) == ("submitted", LAST_WORD, "M")
            assert (attempt["input_tokens"], attempt["output_tokens"], attempt["provider"]) == (200, 20, "stub")
            assert attempt["cost_usd"] == pytest.approx(0.00024)
            house.ends()
        finally:
            house.clear()


def test_a_model_that_is_not_there_is_told_though_it_exits_with_zero(tmp_path: Path, installed: Path) -> None:
    house = house_of(tmp_path / "house", installed, 1)
    try:
        house.start()
        task = house.post("ada")
        house.reaches(task, "failed")
        (attempt,) = house.attempts(task)
        assert (attempt["outcome"], attempt["exit_code"], attempt["failure_kind"]) == ("crashed", 0, "network"), (
            attempt["detail"]
        )
        house.ends()
    finally:
        house.clear()
