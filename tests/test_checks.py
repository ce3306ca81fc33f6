"""What a check may be, wherever it is posted, and the sentence for what it may not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from blackboard import checks, people, slots
from blackboard.board import Board, Tx
from blackboard.forms import ChildReport, TaskReport
from blackboard.move import get
from blackboard.policy import Policies
from tests import scenes
from tests.scenes import tried

GOOD: list[dict[str, Any]] = [
    {"run": ["pytest", "-q"], "seconds": 12.5, "name": "tests"},
    {"run": "make test && ./lint"},
    {"path": "out/report.md", "min_bytes": 0},
]


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({}, "exactly one of run and path"),
        ({"run": ["x"], "path": "y"}, "exactly one of run and path"),
        ({"run": []}, "at least 1 item"),
        ({"run": [" "]}, "the first word of run is the program"),
        ({"run": "  "}, "run is empty"),
        ({"run": "a\0b"}, "pattern"),
        ({"run": ["x"], "seconds": 0}, "greater than 0"),
        ({"run": ["x"], "min_bytes": 3}, "min_bytes is for a file"),
        ({"path": "/etc/passwd"}, "leads outside the workspace"),
        ({"path": "a/../../b"}, "leads outside the workspace"),
        ({"path": "a", "seconds": 3}, "seconds is for a command"),
        ({"path": "a", "shell": True}, "Extra inputs"),
        ({"run": ["x"], "name": "two\nlines"}, "pattern"),
    ],
)
def test_what_is_no_check_is_refused_with_a_sentence(what: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        TaskReport.model_validate({"title": "x", "agent": "ada", "checks": [what]})


def test_a_task_has_at_most_twenty() -> None:
    ChildReport.model_validate({"title": "x", "checks": [GOOD[0]] * checks.MOST})
    with pytest.raises(ValidationError, match="at most 20 items"):
        ChildReport.model_validate({"title": "x", "checks": [GOOD[0]] * (checks.MOST + 1)})


def kept(tx: Tx, task: int) -> object:
    return json.loads(get(tx, task)["checks"])


async def test_the_same_checks_are_kept_from_every_side(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = scenes.post(tx, checks=TaskReport.model_validate({"title": "x", "agent": "ada", "checks": GOOD}).checks)
        assert kept(tx, task) == GOOD
        record = {"id": 7, "scheduled_at": "09:00", "event_data": {"checks": GOOD, "other": 1}}
        schedule = slots.Schedule("file:x", [("ada", record)], "forge")
        taken = slots.take_in(tx, schedule, Policies())
        assert taken.refused == [] and kept(tx, taken.tasks[0]) == GOOD
        wrong = {"id": 8, "scheduled_at": "09:00", "event_data": {"checks": [{"run": ["x"], "path": "y"}]}}
        refused = slots.take_in(tx, slots.Schedule("file:x", [("ada", wrong)], "forge"), Policies()).refused
        assert "exactly one of run and path" in refused[0][1] and "checks" in refused[0][1]
        attempt = scenes.work(tx, task)
        made = people.post_form(
            tx, "forge", ChildReport.model_validate({"title": "c", "checks": GOOD}), "executor:ada", Policies(), "ada",
            parent_id=attempt["task_id"],
        )  # fmt: skip
        assert kept(tx, made) == GOOD

    assert await tried(board, life) is None


def test_what_people_read_of_a_check() -> None:
    assert [checks.read(json.dumps(each)).title for each in GOOD] == ["tests", "make test && ./lint", "out/report.md"]
    assert checks.read('{"run":["a b","c"]}').command == "'a b' c"
    assert checks.told({"shell": 1})["problem"]
