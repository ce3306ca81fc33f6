"""The table `[agents.NAME.heartbeat]`: what it makes of the board, and what is wrong with it."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from blackboard import heartbeat_callers, heartbeat_runs, heartbeats, pauses, slots, verbs
from blackboard.board import Board
from blackboard.clock import plus
from blackboard.errors import Invalid, Refused
from blackboard.gates import Room
from blackboard.policy import Policies
from blackboard.tokens import mint
from orchestrator import heartbeating, preflight
from orchestrator.beginning import settle
from orchestrator.config import Settings
from tests import scenes
from tests.fake_clock import START, FakeClock
from tests.test_config import loaded, problems

ADA = "[agents.ada]\nargv = ['x']\n[agents.ada.heartbeat]\n"


def settings(tmp_path: Path, text: str) -> Settings:
    return loaded(tmp_path, ADA + text)


def listed(tmp_path: Path, more: str = "") -> tuple[Path, Settings]:
    """Ada beats by a checklist in this file."""
    file = tmp_path / "HEARTBEAT.md"
    file.write_text("- one")
    return file, settings(tmp_path, f"enabled = true\nchecklist_file = 'HEARTBEAT.md'\n{more}")


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
        ("model = 'small'", "ada.heartbeat.model is for an agent whose runner knows its program"),
        ("model = '--small'", "heartbeat.model"),
        ("model = 'a b'", "heartbeat.model"),
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


@asynccontextmanager
async def begun(made: Settings, clock: FakeClock) -> AsyncIterator[Board]:
    """The board of this configuration, as a start leaves it."""
    opened = await Board.open(made.board, clock=clock)
    try:
        await settle(opened, made)
        await heartbeating.take_over(opened, made)
        yield opened
    finally:
        await opened.close()


async def looked_at(opened: Board, made: Settings, clock: FakeClock) -> list[str]:
    """What the beat that is due now is told to look at; its task is over after that."""
    clock.go_on(1800 * 1.2)
    await heartbeating.beat(opened, made)
    tasks = [row["id"] for row in await opened.all("SELECT id FROM tasks WHERE status = 'pending'")]
    found = [str((await opened.read(heartbeat_runs.told, task) or {})["checklist"]) for task in tasks]
    for task in tasks:
        await opened.write(verbs.cancel, task, actor="person:root", reason="seen")
    await heartbeating.beat(opened, made)
    return found


async def test_a_checklist_in_a_file_is_looked_at_as_it_is_when_it_beats(tmp_path: Path, clock: FakeClock) -> None:
    file, made = listed(tmp_path)
    async with begun(made, clock) as opened:
        assert await looked_at(opened, made, clock) == ["- one"]
        await opened.write(heartbeats.change, "ada", {"light_context": True}, actor="person:root")
        file.write_text("- two")
        assert await looked_at(opened, made, clock) == ["- two"]
        assert (await opened.read(heartbeats.get, "ada"))["light_context"] == 1, "what else was set since then stays"
        await opened.write(heartbeats.change, "ada", {"checklist": "- by hand"}, actor="person:root")
        assert await looked_at(opened, made, clock) == ["- by hand"], "until the file changes"
        file.write_text("- three")
        assert await looked_at(opened, made, clock) == ["- three"]
        file.write_text("")
        assert await looked_at(opened, made, clock) == []
        events = await opened.all("SELECT actor, data FROM events WHERE verb = 'heartbeat_set' ORDER BY id")
        assert [(row["actor"], json.loads(row["data"])["changed"]) for row in events[2:4]] == [
            ("engine:config", ["checklist"]), ("person:root", ["checklist"])
        ]  # fmt: skip
    async with begun(made, clock) as opened:
        assert (await opened.read(heartbeats.get, "ada"))["light_context"] == 1, "nor does a start think it is news"


async def test_a_beat_that_waited_for_the_one_before_it_is_told_the_file_as_it_is(
    tmp_path: Path, clock: FakeClock
) -> None:
    file, made = listed(tmp_path)
    async with begun(made, clock) as opened:
        for _ in range(2):
            clock.go_on(1800 * 1.2)
            await heartbeating.beat(opened, made)
        assert (await opened.read(heartbeats.get, "ada"))["held_by"] == "running"
        file.write_text("- two")
        await opened.write(verbs.cancel, 1, actor="person:root", reason="seen")
        await heartbeating.beat(opened, made)  # it settles the one and begins the next
        told = await opened.read(heartbeat_runs.told, 2)
        assert told is not None and told["checklist"] == "- two"


async def test_one_that_is_due_only_after_the_files_were_read_waits_for_the_next_pass(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = "[agents.bob]\nargv = ['x']\n[agents.bob.heartbeat]\nenabled = true\nchecklist = 'look'"
    file, made = listed(tmp_path, bob)
    async with begun(made, clock) as opened:
        file.write_text("- two")
        await opened.write(heartbeats.wake, "bob", actor="person:root")
        reads = heartbeating._read_again

        def slowly(*args: Any) -> Any:
            clock.go_on(1800 * 1.2)
            return reads(*args)

        monkeypatch.setattr(heartbeating, "_read_again", slowly)
        await heartbeating.beat(opened, made)
        await heartbeating.beat(opened, made)
        told = await opened.read(heartbeat_runs.told, 2)
        assert told is not None and told["checklist"] == "- two"


async def test_a_file_that_cannot_be_read_holds_the_beat_and_says_so_once(tmp_path: Path, clock: FakeClock) -> None:
    file, made = listed(tmp_path)
    async with begun(made, clock) as opened:
        file.unlink()
        for _ in range(3):
            assert await looked_at(opened, made, clock) == []
        [run] = await opened.read(heartbeat_runs.logs, "ada")
        assert (run["status"], run["reason"], run["ended_at"]) == ("skipped", "checklist_file", None)
        assert f"{file}, the checklist of agent ada, cannot be read" in str(run["error"])
        [event] = await opened.all("SELECT reason FROM events WHERE verb = 'heartbeat_skipped'")
        assert "cannot be read: No such file" in event["reason"]
        asked = await opened.read(heartbeat_callers.rehearsal, "ada", clock.now(), Room(9))
        assert (asked["would_run"], asked["reason"]) == (False, "checklist_file")
        file.write_text("- mended")
        assert await looked_at(opened, made, clock) == ["- mended"]
        assert (await opened.read(heartbeats.get, "ada"))["held_by"] is None
        assert (await opened.read(heartbeat_runs.logs, "ada"))[-1]["times"] >= 3


async def test_a_file_that_cannot_be_read_is_told_also_of_a_beat_that_waited_for_something_else(
    tmp_path: Path, clock: FakeClock
) -> None:
    file, made = listed(tmp_path)
    async with begun(made, clock) as opened:
        await opened.write(pauses.pause, pauses.Target("agent", "ada"), reason=None, actor="person:root")
        assert await looked_at(opened, made, clock) == []
        file.unlink()
        await opened.write(pauses.resume, pauses.Target("agent", "ada"), reason=None, actor="person:root")
        for _ in range(2):
            assert await looked_at(opened, made, clock) == []
        runs = await opened.read(heartbeat_runs.logs, "ada")
        assert [(run["reason"], run["ended_at"] is None) for run in runs] == [
            ("checklist_file", True),
            ("paused", False),
        ]
        assert (await opened.read(heartbeats.get, "ada"))["held_by"] == "checklist_file"
        file.write_text("- mended")
        assert await looked_at(opened, made, clock) == ["- mended"]


async def test_a_start_does_without_a_file_that_cannot_be_read_and_keeps_what_was_set(
    tmp_path: Path, clock: FakeClock
) -> None:
    """The agent may be allowed to write it, and may spoil it: that must not keep the whole daemon away."""
    file = tmp_path / "HEARTBEAT.md"
    text = "enabled = true\nchecklist_file = 'HEARTBEAT.md'\n"
    file.write_text("- one")
    made = settings(tmp_path, text)
    async with begun(made, clock) as opened:
        await opened.write(heartbeats.change, "ada", {"light_context": True}, actor="person:root")
    file.unlink()
    file.symlink_to("/etc/passwd")
    async with begun(made, clock) as opened:
        row = await opened.read(heartbeats.get, "ada")
        assert (row["checklist"], row["light_context"], row["interval_seconds"]) == ("- one", 1, 1800)
    for interval in (600, 600):
        made = settings(tmp_path, f"{text}interval_seconds = {interval}")
        async with begun(made, clock) as opened:
            row = await opened.read(heartbeats.get, "ada")
            assert (row["checklist"], row["light_context"], row["interval_seconds"]) == ("- one", 0, 600)
            assert row["rev"] == 2, "of the start that found the table changed"
            assert await looked_at(opened, made, clock) == []
            assert (await opened.read(heartbeats.get, "ada"))["held_by"] == "checklist_file"
    async with begun(made, clock) as opened:
        await opened.write(heartbeats.change, "ada", {"light_context": True}, actor="person:root")
        file.unlink()
        file.write_text("- mended")
        assert await looked_at(opened, made, clock) == ["- mended"]
        assert (await opened.read(heartbeats.get, "ada"))["light_context"] == 1


async def test_a_first_start_without_the_file_has_the_beat_wait_for_it(tmp_path: Path, clock: FakeClock) -> None:
    made = settings(tmp_path, "enabled = true\nchecklist_file = 'HEARTBEAT.md'")
    async with begun(made, clock) as opened:
        assert await looked_at(opened, made, clock) == []
        assert (await opened.read(heartbeats.get, "ada"))["held_by"] == "checklist_file"
        (tmp_path / "HEARTBEAT.md").write_text("- look")
        assert await looked_at(opened, made, clock) == ["- look"]


async def test_a_model_for_an_agent_whose_argv_says_everything_is_refused(board: Board) -> None:
    with pytest.raises(Refused, match="whose argv says everything: leave model out"):
        await board.write(heartbeats.change, "ada", {"model": "small"}, actor="person:root")


def test_a_checklists_file_leads_nowhere_else_and_ends(tmp_path: Path) -> None:
    """The agent itself may be allowed to write it."""
    made = settings(tmp_path, "enabled = true\nchecklist_file = 'HEARTBEAT.md'")
    file = tmp_path / "HEARTBEAT.md"
    (tmp_path / "operator.token").write_text("bbo_secret")
    file.symlink_to("operator.token")
    with pytest.raises(Invalid, match=r"HEARTBEAT\.md.* cannot be read: it is a symbolic link"):
        heartbeating.configured_by(made)
    for make in (os.mkfifo, os.mkdir):
        file.unlink()
        make(file)
        with pytest.raises(Invalid, match="it is no regular file"):
            heartbeating.configured_by(made)


def test_a_token_in_a_checklists_file_does_not_reach_the_board(tmp_path: Path) -> None:
    """As it does not by a report: the file may be the agent's own."""
    (tmp_path / "HEARTBEAT.md").write_text(f"- look with {mint()}")
    [found] = heartbeating.configured_by(settings(tmp_path, "enabled = true\nchecklist_file = 'HEARTBEAT.md'"))
    assert found.settings.checklist == "- look with bbt_***"


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
