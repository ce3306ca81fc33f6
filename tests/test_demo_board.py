"""The demo's board is a board like any other, and its desk decides as its conditions say, by the command line."""

from __future__ import annotations

import json
import stat
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blackboard import slots
from blackboard.board import Board
from blackboard.policy import Policies
from orchestrator.calendars import CalendarSource
from orchestrator.config_loading import load
from orchestrator.demo import board, desk
from orchestrator.demo.crafts import CRAFTS
from orchestrator.roster import enrol
from tests.fake_clock import FakeClock

NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    folder = tmp_path / 'it\'s a "{demo}" é'
    board.write_demo(folder, NOW)
    return folder


def schedule(demo: Path) -> slots.Schedule:
    document = tomllib.loads((demo / "slots.toml").read_text(encoding="utf-8"))
    return slots.read_schedule(document, source="file:slots.toml", project="demo", time_zone="UTC", complete=True)


async def test_every_slot_becomes_a_task_with_its_own_policy(demo: Path, tmp_path: Path) -> None:
    settings = load(demo / "orchestrator.toml", environ={})
    opened = await Board.open(tmp_path / "board.db", readers=1)
    try:
        await opened.write(enrol, settings)
        taken = await opened.write(slots.take_in, schedule(demo), Policies(settings.policy_for()))
        watched = await opened.one("SELECT * FROM tasks WHERE title = 'Watch the outbox'")
        report = await opened.one("SELECT * FROM tasks WHERE title = 'Report on the handbook'")
    finally:
        await opened.close()

    assert taken.refused == []
    assert taken.added == len(taken.tasks) == len(board.plan(demo))
    assert watched and (watched["wall_seconds"], watched["max_tries"], watched["backoff_seconds"]) == (12, 2, 8)
    assert report and (report["review"], report["must_haves"]) == (
        "human",
        "The output must end with a line 'Total: …'.",
    )


async def test_the_calendar_is_a_task_an_event_and_time_once_however_often_it_is_read(
    demo: Path, tmp_path: Path
) -> None:
    settings = load(demo / "orchestrator.toml", environ={})
    opened = await Board.open(tmp_path / "board.db", readers=1, clock=FakeClock("2026-01-31T09:00:00.000Z"))
    tasks = "SELECT agent_id, title, due_at, description FROM tasks ORDER BY due_at"
    try:
        await opened.write(enrol, settings)
        for _ in range(2):  # a second start
            await CalendarSource("demo", settings.calendars["demo"], opened, settings).ask()
            board.write_demo(demo, NOW + timedelta(days=1))
        found = await opened.all(tasks)
    finally:
        await opened.close()

    assert [(row["agent_id"], row["title"], row["due_at"][5:19]) for row in found] == [
        ("casey", "Weekly notes", "01-31T09:00:14"), ("dora", "Letter of the day", "01-31T09:00:31"),
        ("dora", "Letter of the day", "02-01T09:00:31"), ("dora", "Letter of the day", "02-02T09:00:31"),
        ("casey", "Weekly notes", "02-07T09:00:14"), ("casey", "Weekly notes", "02-14T09:00:14"), ("casey", "Weekly notes", "02-21T09:00:14"),
    ]  # fmt: skip
    works = [row["description"].partition(' "') for row in found]
    assert {words for words, _, _ in works} <= set(CRAFTS)
    assert {rest.rpartition('"')[0] for _, _, rest in works} == {
        str(demo / "files" / name) for name in ("handbook.md", "letter.txt")
    }


def test_the_calendar_keeps_to_short_lines(demo: Path) -> None:
    lines = (demo / "team.ics").read_bytes().split(b"\r\n")
    assert max(map(len, lines)) <= 75 and b"\n" not in b"".join(lines)


def test_everything_begins_within_the_minute_or_soon_after(demo: Path) -> None:
    times = [datetime.fromisoformat(str(record["scheduled_at"])) for _, record in schedule(demo).slots]

    assert min(times) >= NOW + timedelta(seconds=2)
    assert sum(time <= NOW + timedelta(seconds=60) for time in times) >= 15
    assert max(times) <= NOW + timedelta(minutes=3)


def test_every_description_names_a_piece_of_work_and_a_file_that_is_there(demo: Path) -> None:
    for agent, record in schedule(demo).slots:
        description = record["event_data"]["description"]
        if agent != "desk":
            words, _, rest = description.partition(' "')
            assert words in CRAFTS
            assert Path(rest.rpartition('"')[0]).exists()


def test_the_agents_are_started_with_this_python_and_the_desk_with_this_configuration(demo: Path) -> None:
    agents = load(demo / "orchestrator.toml", environ={}).agents

    assert set(agents) == {"ada", "brook", "casey", "dora", "finn", "desk"}
    assert all(agent.argv[0] == sys.executable for agent in agents.values())
    assert agents["desk"].argv[-1].replace("{{", "{").replace("}}", "}") == str(demo / "orchestrator.toml")
    assert not agents["desk"].calls_back


def test_both_ways_to_report_are_played(demo: Path) -> None:
    words = [" ".join(agent.argv) for agent in load(demo / "orchestrator.toml", environ={}).agents.values()]

    assert sum("--by bb" in word for word in words) == sum("--by curl" in word for word in words) == 2


def test_a_demo_that_is_there_is_left_as_it_is(demo: Path) -> None:
    before = {path: path.read_bytes() for path in demo.rglob("*") if path.is_file()}
    (demo / "slots.toml").unlink()

    board.write_demo(demo, NOW + timedelta(days=1))

    assert not (demo / "slots.toml").exists()
    assert (demo / "orchestrator.toml").read_bytes() == before[demo / "orchestrator.toml"]


def test_a_demo_without_a_configuration_begins_anew(demo: Path) -> None:
    (demo / "orchestrator.toml").unlink()

    board.write_demo(demo, NOW + timedelta(days=1))

    assert "2026-02-01T09:00:03Z" in (demo / "slots.toml").read_text(encoding="utf-8")


# --- The desk ----------------------------------------------------------------------------------------------------


class Line:
    """A command line that answers from files and writes down what it was told to do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "orchestrator"
        self.program.write_text(
            f"#!{sys.executable}\nimport sys, json, pathlib\n"
            f"folder = pathlib.Path({str(folder)!r})\n"
            "words = sys.argv[1:]\n"
            "asked = folder / (words[0] + (words[1] if words[0] == 'show' else '') + '.json')\n"
            "if asked.exists(): print(asked.read_text())\n"
            "else:\n"
            "  with open(folder / 'told', 'a') as file: file.write(json.dumps(words) + '\\n')\n"
            "  sys.exit(4)\n"
        )
        self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)

    def waiting(self, *tasks: dict[str, Any]) -> None:
        (self.folder / "tasks.json").write_text(json.dumps([{"id": task["id"]} for task in tasks]))
        for task in tasks:
            (self.folder / f"show{task['id']}.json").write_text(json.dumps(task))

    @property
    def told(self) -> list[list[str]]:
        lines = (self.folder / "told").read_text().splitlines() if (self.folder / "told").exists() else []
        return [json.loads(line) for line in lines]


def task(number: int, must_haves: str, *contents: str, **more: Any) -> dict[str, Any]:
    outputs = [{"attempt_id": 9, "content": content, "content_path": None} for content in contents]
    attempts = [{"id": 9, "workspace": "/nowhere"}]
    return {"id": number, "must_haves": must_haves, "attempt_id": 9, "outputs": outputs, "attempts": attempts} | more


TOTAL = "The output must end with a line 'Total: …'."


@pytest.mark.parametrize(
    ("must_haves", "content", "told"),
    [
        (TOTAL, "a\nTotal: 7\n", ["approve", "3"]),
        (TOTAL, "Total: 7\nmore", ["reject", "3", "--", f"Not yet: {TOTAL}"]),
        (TOTAL, "", ["reject", "3", "--", f"Not yet: {TOTAL}"]),
        ("", "anything", ["approve", "3"]),
        ('It must contain "oars"\n' + TOTAL, "oars\nTotal: 1", ["approve", "3"]),
        ('It must contain "oars"\n' + TOTAL, "Total: 1", ["reject", "3", "--", 'Not yet: It must contain "oars"']),
    ],
)
def test_the_desk_approves_what_meets_the_conditions_and_rejects_with_what_is_missing(
    tmp_path: Path, must_haves: str, content: str, told: list[str]
) -> None:
    line = Line(tmp_path)
    line.waiting(task(3, must_haves, content))

    assert desk.main([str(line.program)]) == 0
    assert line.told == [told]


def test_the_desk_leaves_to_a_person_what_it_cannot_check(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.waiting(task(3, "It must be beautiful", "x"), task(4, "", "x"))

    assert desk.main([str(line.program)]) == 0
    assert line.told == [["approve", "4"]]


def test_the_desk_leaves_to_an_agent_what_is_asked_of_one(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.waiting(
        task(3, "", "x", reviewer="role:critic", handed_over=None),
        task(4, "", "x", reviewer="role:critic", handed_over="gone"),
    )

    assert desk.main([str(line.program)]) == 0
    assert line.told == [["approve", "4"]]


def test_the_desk_looks_at_the_latest_attempt_and_into_files(tmp_path: Path) -> None:
    line = Line(tmp_path)
    (tmp_path / "made.md").write_text("Total: 1\n")
    by_path = {"attempt_id": 9, "content": None, "content_path": "made.md"}
    old = {"attempt_id": 8, "content": "Total: 1", "content_path": None}
    attempts = [{"id": 8, "workspace": "/nowhere"}, {"id": 9, "workspace": str(tmp_path)}]
    line.waiting(
        task(3, TOTAL, outputs=[old, by_path], attempts=attempts),
        task(4, TOTAL, outputs=[old], attempts=attempts),
    )

    desk.main([str(line.program)])

    assert [words[:2] for words in line.told] == [["approve", "3"], ["reject", "4"]]


def test_the_desk_has_nothing_to_do_when_nothing_waits(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.waiting()

    assert desk.main([str(line.program)]) == 0
    assert line.told == []
