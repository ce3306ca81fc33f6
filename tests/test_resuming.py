"""Sessions of the agent programs under a real daemon: gone on with where that is sound, begun anew where it is not.

The programs are the stand-in of `stand_in_program.py`: what is known of a session is in files of its HOME, and what it
says it has used counts the whole session where the real one does.
"""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from blackboard.session_keys import Scope
from orchestrator.runners.table import PROGRAMS
from tests.daemon import House, until
from tests.test_programs import PRICED, living, told

NAMES = [name for name, program in PROGRAMS.items() if program.resume]
BY_FOLDER = [name for name in NAMES if PROGRAMS[name].same_folder]
ANYWHERE = [name for name in NAMES if not PROGRAMS[name].same_folder]


def handed_in(house: House, task: int, number: int) -> sqlite3.Row:
    """The attempt of this number, once it waits for a person and nothing of it lives."""
    until(lambda: len(house.attempts(task)) == number, story=lambda: house.story(task))
    house.reaches(task, "review")
    return house.attempts(task)[-1]


def spawned(house: House, attempt: sqlite3.Row) -> dict[str, Any]:
    (event,) = [e for e in house.events(attempt["task_id"], "spawned") if e["attempt_id"] == attempt["id"]]
    data: dict[str, Any] = json.loads(event["data"])
    return data


def used(attempt: sqlite3.Row) -> tuple[object, ...]:
    return tuple(attempt[name] for name in ("input_tokens", "cached_tokens", "output_tokens", "cost_usd"))


@pytest.mark.parametrize("name", NAMES)
def test_a_rejected_attempt_is_gone_on_with_and_each_has_its_own_numbers(tmp_path: Path, name: str) -> None:
    with living(tmp_path, name, session_scope="task", policy={"review": "human"}) as house:
        task = house.post("ada", "scenario-good")
        first = handed_in(house, task, 1)
        assert spawned(house, first)["fresh"] == "no attempt before it has this session"
        house.operate(task, "reject", "shorter")
        second = handed_in(house, task, 2)
        house.operate(task, "reject", "shorter still")
        third = handed_in(house, task, 3)
        house.operate(task, "approve")
        assert house.outcomes(task) == ["submitted"] * 3, "each reported with the commands of its own prompt"
        for former, later in ((first, second), (second, third)):
            assert later["resumes"] == former["id"] == spawned(house, later)["resumed"]
        assert first["session_id"] in told(house, task)
        assert {each["session_id"] for each in (first, second, third)} == {first["session_id"]}
        spent = (100, 7, 20, 0.5 if name in PRICED else None)
        assert [used(each) for each in (first, second, third)] == [spent] * 3
        whole = json.loads(third["session_totals"] or "{}")
        assert whole == {
            "claude": {"cost_usd": 1.5},
            **{key: {"input_tokens": 300, "cached_tokens": 21, "output_tokens": 60} for key in ("codex", "qwen")},
        }.get(name, {})


@pytest.mark.parametrize("name", NAMES)
def test_a_full_context_is_not_met_again(tmp_path: Path, name: str) -> None:
    with living(tmp_path, name, session_scope="task") as house:
        task = house.post("ada", "scenario-poison")
        house.reaches(task, "done")
        first, second = house.attempts(task)
        assert (first["outcome"], first["failure_kind"]) == ("crashed", "context"), house.story(task)
        assert second["resumes"] is None
        assert second["session_id"] != first["session_id"]
        assert "ended with context" in spawned(house, second)["fresh"]


@pytest.mark.parametrize("name", NAMES)
def test_a_session_that_is_not_there_is_not_charged_and_begun_anew(tmp_path: Path, name: str) -> None:
    with living(tmp_path, name, session_scope="task", policy={"review": "human", "max_tries": 1}) as house:
        task = house.post("ada", "scenario-forgets")
        first = handed_in(house, task, 1)
        house.operate(task, "reject", "again")
        third = handed_in(house, task, 3)
        house.operate(task, "approve")
        _, second, _ = house.attempts(task)
        assert (second["outcome"], second["resumes"]) == ("no_session", first["id"]), house.story(task)
        assert f"could not go on with the session of attempt {first['id']}" in second["detail"]
        assert third["resumes"] is None
        assert third["session_id"] != first["session_id"] or name in ("codex", "pi", "opencode")
        assert "ended with no_session" in spawned(house, third)["fresh"]


@pytest.mark.parametrize("name", NAMES)
def test_another_folder_begins_anew_where_sessions_are_found_by_it(tmp_path: Path, name: str) -> None:
    with living(tmp_path, name, session_scope="agent") as house:
        one, two = house.post("ada", "scenario-good"), 0
        house.reaches(one, "done")
        two = house.post("ada", "scenario-good")
        house.reaches(two, "done")
        (first,), (second,) = house.attempts(one), house.attempts(two)
        assert first["session_key"] == second["session_key"]
        assert (second["resumes"] == first["id"]) is (name in ANYWHERE), house.story(two)
        if name in BY_FOLDER:
            assert "worked in another folder" in spawned(house, second)["fresh"]


def test_who_was_stopped_before_its_end_has_told_its_session_and_is_begun_anew(tmp_path: Path) -> None:
    with living(tmp_path, "codex", session_scope="task") as house:
        task = house.post("ada", "scenario-hang")
        until((house.workspace(task) / "hangs").exists, story=house.told)
        house.kill()
        house.start()
        house.operate(task, "cancel")
        house.reaches(task, "cancelled")
        (first,) = house.attempts(task)
        assert first["session_id"] == "ses_codex", "it told it, then a crash of ours, then it was stopped"
        (house.workspace(task) / "hangs").unlink()
        house.operate(task, "reopen")
        until((house.workspace(task) / "hangs").exists, story=house.told)
        second = house.attempts(task)[1]
        assert "ended with cancelled" in spawned(house, second)["fresh"]
        house.operate(task, "cancel")
        house.reaches(task, "cancelled")


@pytest.mark.parametrize("wake", [False, True])
@pytest.mark.parametrize("scope", ["task", "slot", "project", "agent"])
def test_a_session_that_goes_on_is_told_every_command_whole(tmp_path: Path, scope: Scope, wake: bool) -> None:
    with living(tmp_path, "claude", session_scope=scope, wake=wake, policy={"review": "human"}) as house:
        task = house.post("ada", "scenario-good")
        handed_in(house, task, 1)
        house.operate(task, "reject", "shorter")
        second = handed_in(house, task, 2)
        house.operate(task, "approve")
        assert second["resumes"] == house.attempts(task)[0]["id"]
        prompt = house.attempt_file(second["id"], "prompt.md").read_text()
        own = str(house.attempt_file(second["id"], ""))
        assert f"{own}/bb start" in prompt
        assert f"curl --config {own}/curl.conf" in prompt
        assert str(house.attempt_file(second["resumes"], "")) + "/" not in prompt, "nothing of the former's"


def test_a_long_session_is_left_and_the_reason_told(tmp_path: Path) -> None:
    policy = {"review": "human", "max_rejections": 9}
    with living(tmp_path, "codex", session_scope="task", session_max_attempts=2, policy=policy) as house:
        task = house.post("ada", "scenario-good")
        for number in (1, 2):
            handed_in(house, task, number)
            house.operate(task, "reject", "again")
        third = handed_in(house, task, 3)
        house.operate(task, "approve")
        assert (third["resumes"], used(third)[0]) == (None, 100)
        assert "has had 2 attempts, and session_max_attempts is 2" in spawned(house, third)["fresh"]


def test_an_agents_program_is_told_the_deadline(tmp_path: Path) -> None:
    house = House(tmp_path / "house", policy={"wall_seconds": 30.0})
    house.agent(
        "ada", "echo $3 $FOR > out.txt; bb output document T out.txt && bb submit\n", env={"FOR": "{deadline_seconds}"}
    )
    house.agents["ada"]["argv"].append("{deadline_seconds}")
    try:
        house.start()
        task = house.post("ada")
        house.reaches(task, "done")
        assert (house.workspace(task) / "out.txt").read_text() == "22 22\n"
    finally:
        house.ends()
