"""The table `[agents.NAME.heartbeat]`: what it makes of the board, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackboard import heartbeat_runs, heartbeats, slots
from blackboard.board import Board
from blackboard.clock import plus
from blackboard.errors import Invalid
from blackboard.gates import Room
from blackboard.policy import Policies
from orchestrator import heartbeating, preflight
from orchestrator.config import Settings
from tests import scenes
from tests.fake_clock import START
from tests.test_config import loaded, problems

ADA = "[agents.ada]\nargv = ['x']\n[agents.ada.heartbeat]\n"


def settings(tmp_path: Path, text: str) -> Settings:
    return loaded(tmp_path, ADA + text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("interval_seconds = 299", "interval_seconds: input should be greater than or equal to 300"),
        ("active_hours = '9 to 5'", "active hours are HH:MM-HH:MM"),
        ("active_hours = '24:00-08:00'", "do not begin at 24:00"),
        ("time_zone = 'Berlin'", "no IANA time zone"),
        ("checklist = 'x'\nchecklist_file = 'y'", "give one of both"),
        ("project = 'nowhere'", "ada.heartbeat.project 'nowhere' is not in projects: default"),
        ("ack_word = 'all right'", "ack_word"),
        ("max_retries = 11", "max_retries"),
        ("every = '30m'", "unknown key"),
    ],
)
def test_what_is_wrong_is_told_in_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    (problem,) = problems(tmp_path, ADA + text)
    assert words in problem and "agents" in problem


def test_an_agent_without_the_table_has_no_heartbeat(tmp_path: Path) -> None:
    assert heartbeating.configured_by(loaded(tmp_path, "[agents.ada]\nargv = ['x']\n")) == []


def test_the_checklist_of_a_file_is_read_whole_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "HEARTBEAT.md"
    made = settings(tmp_path, "enabled = true\nchecklist_file = 'HEARTBEAT.md'")
    with pytest.raises(Invalid, match="cannot be read: No such file"):
        heartbeating.configured_by(made)
    assert any(found.level == "fail" and "HEARTBEAT.md" in found.sentence for found in preflight._heartbeats(made))
    file.write_bytes(b"- look\r\n- again\n")
    [found] = heartbeating.configured_by(made)
    assert (found.settings.checklist, found.settings.enabled, found.project) == ("- look\n- again\n", True, "default")
    file.write_bytes(b"x" * 65537)
    with pytest.raises(Invalid, match="more than 65536 bytes"):
        heartbeating.configured_by(made)
    file.write_bytes(b"\xff")
    with pytest.raises(Invalid, match="not UTF-8"):
        heartbeating.configured_by(made)
    file.write_bytes(b"look\0")
    with pytest.raises(Invalid, match=r"HEARTBEAT\.md.* NUL"):
        heartbeating.configured_by(made)


def test_an_empty_checklist_is_warned_of(tmp_path: Path) -> None:
    [found] = preflight._heartbeats(settings(tmp_path, "enabled = true"))
    assert found.level == "warn" and "every beat is passed over" in found.sentence


async def test_a_slot_may_have_its_agents_heartbeat_follow(board: Board) -> None:
    await board.write(heartbeats.change, "ada", {"enabled": True, "checklist": "look"}, actor="person:root")
    record = {"id": 1, "scheduled_at": plus(START, -60), "event_data": {"title": "nail", "wake_after": True}}
    [task] = (
        await board.write(slots.take_in, slots.Schedule("api", [("ada", record)], scenes.PROJECT), Policies())
    ).tasks
    assert await board.write(heartbeat_runs.beat, Room(9), Policies()) == []
    await board.write(scenes.reach, task, "done")
    assert len(await board.write(heartbeat_runs.beat, Room(9), Policies())) == 1
