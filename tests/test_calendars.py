"""A calendar backend's saved answer as a slot file: both shapes, what leaves, and one sentence for each wrong shape."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blackboard import agents, calendars, slots
from blackboard.board import Board, Tx
from blackboard.errors import Invalid
from blackboard.policy import Policies
from orchestrator import slot_check
from orchestrator.config_loading import load
from orchestrator.sources import SlotFiles
from tests import scenes
from tests.fake_clock import FakeClock

PAGE = Path(__file__).resolve().parent.parent / "docs" / "calendars.md"


def real(number: int, at: str = "10:00", **more: object) -> dict[str, Any]:
    return {
        "id": number,
        "virtual_id": None,
        "scheduled_at": at,
        "status": "not_started",
        "estimated_duration": 25,
    } | more


def full(**schedules: list[Any]) -> dict[str, Any]:
    return {"full": True, "schedules": schedules, "syncToken": "abc123"}


def day(date: str, **schedules: list[Any]) -> dict[str, Any]:
    return {"schedules": schedules, "date": date}


class Source:
    """One file, written and taken in by the daemon's own source."""

    def __init__(self, board: Board, file: Path, zone: str = "UTC") -> None:
        self.board, self.file = board, file
        self.files = SlotFiles(board, [file], project=scenes.PROJECT, time_zone=zone, policies=Policies())

    async def says(self, answer: object) -> None:
        new = self.file.with_suffix(".new")
        new.write_text(answer if isinstance(answer, str) else json.dumps(answer))
        new.rename(self.file)
        await self.files.take_in()

    async def tasks(self) -> list[tuple[str, str, str]]:
        """Agent, due time, status."""
        return [tuple(row) for row in await self.board.all("SELECT agent_id, due_at, status FROM tasks ORDER BY id")]

    async def told(self, verb: str) -> list[str]:
        return [
            row["reason"]
            for row in await self.board.all("SELECT reason FROM events WHERE verb = :verb ORDER BY id", verb=verb)
        ]


@pytest.fixture
def source(board: Board, tmp_path: Path) -> Source:
    return Source(board, tmp_path / "today.json")


# --- Both shapes ---------------------------------------------------------------------------------------------------


async def test_a_full_answer_becomes_tasks_once(source: Source) -> None:
    answer = full(
        ada=[real(1), {"id": None, "virtual_id": "plan-7", "scheduled_at": "11:30:15"}],
        bob=[real(1, "2026-02-03T04:05:00+01:00")],
    )
    await source.says(answer)
    await source.says(answer | {"syncToken": "def456"})
    assert await source.tasks() == [
        ("ada", "2026-01-31T10:00:00.000Z", "pending"),
        ("ada", "2026-01-31T11:30:15.000Z", "pending"),
        ("bob", "2026-02-03T03:05:00.000Z", "pending"),
    ]
    rows = await source.board.all(
        "SELECT uid, wall_seconds FROM slots s JOIN tasks t ON t.slot_id = s.id ORDER BY t.id"
    )
    assert [row["uid"] for row in rows] == ["id:1", "virtual:plan-7", "id:1"] and rows[0]["wall_seconds"] == 25 * 60


async def test_the_answer_for_a_day_says_which_day_hh_mm_means_in_the_zone(board: Board, tmp_path: Path) -> None:
    source = Source(board, tmp_path / "today.json", "Asia/Shanghai")
    await source.says(day("2026-02-07", ada=[real(1, "09:00")]))
    assert await source.tasks() == [("ada", "2026-02-07T01:00:00.000Z", "pending")]
    assert [row["day"] for row in await board.all("SELECT day FROM slots")] == ["2026-02-07"]


async def test_an_old_day_makes_no_second_task_and_a_new_one_does(source: Source, clock: FakeClock) -> None:
    await source.says(day("2026-01-31", ada=[real(1)]))
    clock.go_on(86400)
    await source.files.take_in()
    assert len(await source.tasks()) == 1
    await source.says(day("2026-02-01", ada=[real(1)]))
    assert [due for _, due, _ in await source.tasks()] == ["2026-01-31T10:00:00.000Z", "2026-02-01T10:00:00.000Z"]


async def test_a_full_answer_without_a_date_means_every_day(source: Source, clock: FakeClock) -> None:
    await source.says(full(ada=[real(1)]))
    clock.go_on(86400)
    await source.files.take_in()
    assert len(await source.tasks()) == 2


# --- What it decides -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [full, lambda **given: day("2026-01-31", **given)], ids=["full", "day"])
async def test_what_is_absent_has_left_and_what_has_begun_goes_on(source: Source, shape: Callable[..., Any]) -> None:
    await source.says(shape(ada=[real(1), real(2)], bob=[real(1)], eve=[real(9)]))
    await source.board.write(scenes.claim, 4, "eve")
    await source.says(shape(ada=[real(2)]))
    assert [status for _, _, status in await source.tasks()] == ["cancelled", "pending", "cancelled", "claimed"]
    await source.says(shape())
    assert [status for _, _, status in await source.tasks()] == ["cancelled", "cancelled", "cancelled", "claimed"]


async def test_another_source_keeps_its_slots(source: Source, tmp_path: Path) -> None:
    other = Source(source.board, tmp_path / "other.json")
    files = SlotFiles(
        source.board, [source.file, other.file], project=scenes.PROJECT, time_zone="UTC", policies=Policies()
    )
    source.files = other.files = files
    source.file.write_text(json.dumps(full()))
    await other.says(full(ada=[real(1)]))
    await source.says(full(bob=[real(1)]))
    await source.says(full())
    assert [(agent, status) for agent, _, status in await source.tasks()] == [("ada", "pending"), ("bob", "cancelled")]


@pytest.mark.parametrize("status", ["not_started", "deferred"])
async def test_these_statuses_are_to_be_done(source: Source, status: str) -> None:
    await source.says(full(ada=[real(1, status=status)]))
    assert len(await source.tasks()) == 1


@pytest.mark.parametrize("status", ["ongoing", "paused", "skipped", "finished", "aborted", "anything"])
async def test_no_other_status_is(source: Source, status: str) -> None:
    await source.says(full(ada=[real(1, status=status)]))
    assert await source.tasks() == [] and len(await source.board.all("SELECT 1 FROM slots")) == 1


@pytest.mark.parametrize(
    ("status", "then"), [("finished", "cancelled"), ("skipped", "cancelled"), ("ongoing", "pending")]
)
async def test_what_a_later_status_does_to_a_pending_task(source: Source, status: str, then: str) -> None:
    await source.says(full(ada=[real(1)]))
    await source.says(full(ada=[real(1, status=status)]))
    assert [status for _, _, status in await source.tasks()] == [then]


async def test_what_nobody_here_knows_is_kept(source: Source) -> None:
    await source.says(
        full(ada=[real(1, plan_id=3, attended=False, event_type=None, event_data=None)]) | {"generatedAt": "now"}
    )
    (row,) = await source.board.all("SELECT extra, event_data FROM slots")
    assert (json.loads(row["extra"]), row["event_data"]) == ({"plan_id": 3, "attended": False}, "{}")


# --- What is wrong with it -----------------------------------------------------------------------------------------


WRONG: list[tuple[object, str]] = [
    ({"full": False, "diff": [], "syncToken": "x"}, "state of the sync it belongs to; ask the backend without `since`"),
    ({"full": False, "schedules": {}}, "this answer only changes an earlier one"),
    ({"diff": [{"op": "add"}], "syncToken": "x"}, "this answer only changes an earlier one"),
    ({"full": "yes", "schedules": {}}, "full is a text: it is true for a whole schedule"),
    ({"full": True, "syncToken": "x"}, 'there is no "schedules"'),
    ({"full": True, "schedules": None}, "schedules is null: it is an object"),
    ({"schedules": [real(1)], "date": "2026-01-31"}, "schedules is a list: it is an object"),
    (full(ada={"id": 1}), "schedules.ada is an object: it is the list of the agent's slots"),  # type: ignore[arg-type]
    (full(ada=None), "schedules.ada is null: it is the list of the agent's slots"),  # type: ignore[arg-type]
    (full(eve=[], ada=[real(1), "09:00"]), "schedules.ada[1] is a text: a slot is an object"),
    (full(ada=[[real(1)]]), "schedules.ada[0] is a list: a slot is an object"),
    (full() | {"syncToken": 7}, "syncToken is a number"),
    (day("tomorrow"), "date 'tomorrow' is not a day: write YYYY-MM-DD"),
    (day("2026-02-30"), "date '2026-02-30' is not a day"),
    (day("0001-01-01"), "from the year 1000 on"),
    (day("2026-01-31") | {"dat": 1}, "unknown key 'dat'"),
    ('{"full": true, "schedules": {"ada": [', "is not valid JSON"),
    ("7", "holds no slots"),
]


@pytest.mark.parametrize(("answer", "words"), WRONG, ids=[words[:40] for _, words in WRONG])
async def test_a_wrong_shape_is_told_and_the_last_good_one_stays(source: Source, answer: object, words: str) -> None:
    await source.says(full(ada=[real(1)]))
    await source.says(answer)
    (reason,) = await source.told("source_failed")
    assert reason.startswith("file:today.json: ") and words in reason and reason.endswith("; what it said before stays")
    assert [status for _, _, status in await source.tasks()] == ["pending"]
    await source.says(full(ada=[real(1), real(2)]))
    assert len(await source.tasks()) == 2


BAD_SLOTS: list[tuple[dict[str, Any], str]] = [
    ({"id": None, "scheduled_at": "09:00"}, "a slot needs an id or a virtual_id"),
    (real(7, "25:99"), "scheduled_at '25:99' is no time of a day"),
    (real(7, "9:00"), "scheduled_at '9:00' is not a time"),
    (real(7, "24:00:00"), "is no time of a day"),
    ({"id": 7}, "scheduled_at: Field required"),
    (real(7, estimated_duration=0), "estimated_duration: "),
    (real(7, priority="high"), "priority: "),
    (real(7, event_data=[1]), "event_data: "),
]


@pytest.mark.parametrize(("bad", "words"), BAD_SLOTS, ids=[words[:30] for _, words in BAD_SLOTS])
async def test_a_bad_slot_is_refused_by_agent_and_place_and_the_others_go_in(
    source: Source, bad: dict[str, Any], words: str
) -> None:
    await source.says(full(bob=[real(1)], ada=[real(1), bad, real(3)]))
    (reason,) = await source.told("slot_refused")
    assert "of agent ada (file:today.json, schedules.ada[1])" in reason and words in reason
    assert len(await source.tasks()) == 3


async def test_an_agent_nobody_knows_is_told_and_the_others_go_in(source: Source) -> None:
    await source.says(full(stranger=[real(1)], ada=[real(1)]))
    assert "there is no agent 'stranger'" in (await source.told("slot_refused"))[0]
    assert [agent for agent, _, _ in await source.tasks()] == ["ada"]


def test_check_reads_an_answer_as_the_daemon_does(tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text('[agents.ada]\nargv = ["true"]\n')
    settings, file = load(tmp_path / "orchestrator.toml", environ={}), tmp_path / "today.json"
    file.write_text(json.dumps(full(ada=[real(1)])))
    assert slot_check.refused(settings, file) == []
    file.write_text(json.dumps(full(ada=[real(1), real(2, "noon")])))
    (sentence,) = slot_check.refused(settings, file)
    assert "schedules.ada[1]" in sentence
    file.write_text(json.dumps({"full": False, "diff": []}))
    with pytest.raises(Invalid, match=r"today\.json: full is false"):
        slot_check.refused(settings, file)


# --- The page ------------------------------------------------------------------------------------------------------


async def test_the_shapes_of_the_page_are_read_and_taken_in(source: Source) -> None:
    blocks = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert [calendars.is_signed(json.loads(block)) for block in blocks] == [True, False]

    def enrol(tx: Tx) -> None:
        agents.put_agent(tx, "greeter")
        agents.put_agent(tx, "painter")

    await source.board.write(enrol)
    for block in blocks:
        await source.says(block)
    assert await source.told("slot_refused") == await source.told("source_failed") == []
    assert [(due, status) for _, due, status in await source.tasks()] == [
        ("2026-01-31T09:00:00.000Z", "pending"), ("2026-01-31T13:00:00.000Z", "cancelled"),
    ]  # fmt: skip


def test_the_page_tells_the_sentences_that_are_said() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == 5
    for given, sentence in rows:
        text = (
            "{"
            + (given if given.startswith(('"schedules"', '"date"', '"syncToken"')) else f'"schedules": {{{given}}}')
            + "}"
        )
        document = {"schedules": {}} | json.loads(text)
        with pytest.raises(Invalid) as refused:
            slots.read_schedule(document, source="f", project="p", time_zone="UTC", complete=True)
        assert sentence in refused.value.sentence
