"""The agent programs we know under a real daemon: told, read, stopped, and looked at by `check`.

The programs are the stand-in of `stand_in_program.py`, which reads, refuses, prints and exits as the real ones do.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator import exits
from orchestrator.runners.table import PROGRAMS
from tests.daemon import ROOT, House, until

NAMES = list(PROGRAMS)
PRICED = {"claude", "opencode", "pi", "mini-swe-agent"}


def stand_in(folder: Path, name: str) -> Path:
    file = folder / PROGRAMS[name].binary  # type: ignore[index]
    file.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/stand_in_program.py {file.name} "$@"\n')
    file.chmod(0o755)
    return file


@contextmanager
def living(folder: Path, name: str, **agent: object) -> Iterator[House]:
    house = House(folder / "house")
    program = {"binary": str(stand_in(house.folder, name)), "model": "stub/M"}
    house.agents["ada"] = {"runner": name, "program": program, **agent}
    try:
        house.start()
        yield house
        house.ends()
    finally:
        house.clear()


def told(house: House, task: int) -> list[str]:
    words = json.loads((house.workspace(task) / "argv.json").read_text())
    assert isinstance(words, list)
    return words


@pytest.mark.parametrize("name", ["claude", "codex"])
def test_a_heartbeat_may_have_a_model_of_its_own(tmp_path: Path, name: str) -> None:
    beats = {"enabled": True, "checklist": "scenario-good", "model": "stub/small"}
    over = "SELECT max(task_id) FROM heartbeat_runs WHERE status <> 'running'"
    with living(tmp_path, name, heartbeat=beats) as house:
        for number, (said, model) in enumerate(((None, "stub/small"), ("", "stub/M"), ("stub/other", "stub/other")), 1):
            if said is not None:
                assert house.call("heartbeat", "set", "ada", "--model", said).returncode == exits.OK
            house.call("heartbeat", "wake", "ada")
            until(lambda number=number: house.value(over) == number, story=house.told)  # type: ignore[misc]
            assert [word for word in told(house, number) if word.startswith("stub/")] == [model]
            assert house.ended_attempt(number)["program"] == f"{name} {model}"
        task = house.post("ada", "scenario-good")
        house.reaches(task, "done")
        assert "stub/M" in told(house, task), "its other work keeps its own"


def test_beats_in_one_conversation_begin_it_anew_with_another_model_and_only_then(tmp_path: Path) -> None:
    beats = {"enabled": True, "checklist": "scenario-good", "model": "stub/small", "isolated_session": False}
    over = "SELECT max(task_id) FROM heartbeat_runs WHERE status <> 'running'"
    with living(tmp_path, "claude", heartbeat=beats, workspace_per="agent") as house:
        for number, (model, resumes) in enumerate((("stub/small", None), ("stub/small", 1), ("stub/other", None)), 1):
            assert house.call("heartbeat", "set", "ada", "--model", model).returncode == exits.OK
            house.call("heartbeat", "wake", "ada")
            until(lambda number=number: house.value(over) == number, story=house.told)  # type: ignore[misc]
            assert house.ended_attempt(number)["resumes"] == resumes


@pytest.mark.parametrize("name", NAMES)
def test_a_run_goes_to_its_end_and_tells_what_it_cost(tmp_path: Path, name: str) -> None:
    with living(tmp_path, name) as house:
        task = house.post("ada", "scenario-good")
        house.reaches(task, "done")
        (attempt,) = house.attempts(task)
        assert (attempt["outcome"], attempt["exit_code"], attempt["result"]) == ("submitted", 0, "did it")
        assert (attempt["failure_kind"], attempt["cost_usd"]) == (None, 0.5 if name in PRICED else None)
        if name != "mini-swe-agent":
            assert (attempt["input_tokens"], attempt["cached_tokens"], attempt["output_tokens"]) == (100, 7, 20)
            own = next((word for word in told(house, task) if word.count("-") == 4 and len(word) == 36), None)
            assert attempt["session_id"] == (own or f"ses_{PROGRAMS[name].binary}")  # type: ignore[index]
        assert "stub/M" in told(house, task)


@pytest.mark.parametrize("name", NAMES)
def test_a_failing_run_tells_why(tmp_path: Path, name: str) -> None:
    with living(tmp_path, name) as house:
        task = house.post("ada", "scenario-auth", max_tries=1)
        until(lambda: house.outcomes(task) == ["not_authorised"], story=house.told)
        (attempt,) = house.attempts(task)
        assert (attempt["failure_kind"], house.task(task)["status"]) == ("auth", "pending"), house.story(task)
        assert "401 invalid api key" in attempt["detail"]
        assert "does not accept the login or key" in house.call("why", str(task)).stdout
        if "{session}" in PROGRAMS[name].words:  # type: ignore[index]
            assert uuid.UUID(told(house, task)[told(house, task).index("--session-id") + 1])


@pytest.mark.parametrize("name", ["codex", "pi", "gemini"])
def test_a_rate_limit_is_not_charged(tmp_path: Path, name: str) -> None:
    with living(tmp_path, name) as house:
        task = house.post("ada", "scenario-limited")
        until(lambda: house.outcomes(task) == ["rate_limited"], story=house.told)
        house.operate(task, "cancel")


@pytest.mark.parametrize("name", NAMES)
def test_a_stop_begins_with_its_best_signal_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    with living(tmp_path, name) as house:
        task = house.post("ada", "scenario-hang")
        until((house.workspace(task) / "hangs").exists, story=house.told)
        house.operate(task, "cancel")
        house.reaches(task, "cancelled")
        word = "INT" if name == "codex" else "TERM"
        assert (house.workspace(task) / "signalled").read_text() == word
        until(lambda: not house.left())


def test_all_well_without_a_report_is_no_report(tmp_path: Path) -> None:
    with living(tmp_path, "pi") as house:
        task = house.post("ada", "scenario-silent", max_tries=1)
        house.reaches(task, "failed")
        assert house.outcomes(task) == ["no_report"]


# --- check ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_check_tells_the_version_or_how_to_get_it(tmp_path: Path, name: str) -> None:
    house = House(tmp_path / "house")
    house.agents["ada"] = {"runner": name, "program": {"binary": str(stand_in(house.folder, name))}}
    house.configure()
    tried = ".".join(map(str, PROGRAMS[name].tried))  # type: ignore[index]
    assert f"{name} {tried}" in house.call("check").stdout
    house.agents["ada"] = {"runner": name, "program": {"binary": "/nowhere/x"}}
    house.configure()
    checked = house.call("check")
    assert checked.returncode == exits.MISSING
    assert f"/nowhere/x is not an executable file: install it (`{PROGRAMS[name].package}`)" in checked.stdout  # type: ignore[index]


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        ("echo 2.0.1", "claude 2.0.1 is older than 2.1.329"),
        ("echo no native binary >&2; exit 1", "no native binary; it may be a half installation: npm install"),
        ("exit 1", "set program.binary to node_modules/@anthropic-ai/claude-code-linux-x64/claude"),
    ],
)
def test_check_tells_of_an_old_one_and_of_half_an_installation(tmp_path: Path, script: str, sentence: str) -> None:
    house = House(tmp_path / "house")
    file = house.folder / "claude"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    house.agents["ada"] = {"runner": "claude", "program": {"binary": str(file)}}
    house.configure()
    assert sentence in house.call("check").stdout
