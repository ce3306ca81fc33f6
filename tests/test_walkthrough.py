"""One task from a due slot in a file to done, by a real shell with real curl that follows nothing but the prompt."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blackboard.clock import from_text, seconds_between, to_text
from tests.daemon import House, until

OBEYS = Path(__file__).with_name("obeys.py")
WAYS = ("bb", "curl")

# CANARY becomes a path that must never come to be.
NASTY = (
    "it's \"quoted\" $(touch CANARY) `touch CANARY` ${HOME} $((1+1)) \\n \\\\ \\' % & = + ; | < > * ? ~ # ! {} []\n"
    "'; touch CANARY; echo '\n\"; touch CANARY; echo \"\n'\"'\"'$(touch CANARY)'\"'\"'\n"
    "```\n```sh\ntouch CANARY\n```\n````data\n\t@/etc/passwd -n --final - <<'EOF'\nEOF\nEND\n"
    "emoji 🙂👩‍🚀 é 漢字 {{ 7 * 7 }} {% raw %}\n\nlast line, with spaces at its end  \n"
)


class Walk:
    """A house with one agent a way, one slot for each, and the texts they hand in."""

    def __init__(self, folder: Path) -> None:
        self.canary = folder / "canary"
        words = folder / "words"
        words.mkdir()
        self.text = NASTY.replace("CANARY", str(self.canary))
        self.title = " ".join(self.text.split("\n")[:4]).strip()
        self.big = self.text * (1_050_000 // len(self.text.encode()) + 1)
        for name, content in (("title", self.title), ("text", self.text), ("big", self.big)):
            (words / name).write_bytes(content.encode())
        self.due = to_text(datetime.now(UTC) + timedelta(seconds=2.5))
        self.slots = folder / "plan.toml"
        self.house = House(folder / "a 'house' $(x)", policy={"review": "human"}, slots={"files": [str(self.slots)]})
        for way in WAYS:
            self.house.agents[way] = {"argv": [sys.executable, str(OBEYS), way, str(words)]}
        self.slots.write_text("".join(self._slot(number, way) for number, way in enumerate(WAYS, 1)), encoding="utf-8")

    def _slot(self, number: int, way: str) -> str:
        data = {"title": self.title, "description": self.text, "must_haves": self.text}
        fields = ", ".join(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in data.items())
        return (
            f'[[slots]]\nagent = "{way}"\nid = {number}\nscheduled_at = "{self.due}"\nestimated_duration = 10\n'
            f"event_data = {{ {fields} }}\n"
        )

    def task_of(self, way: str) -> int:
        found = until(
            lambda: self.house.rows("SELECT id FROM tasks WHERE agent_id = :way", way=way), story=self.house.told
        )
        return int(found[0]["id"])


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    walk = Walk(tmp_path_factory.mktemp("walk"))
    try:
        walk.house.start()
        yield walk
        walk.house.ends()
        assert not walk.canary.exists()
    finally:
        walk.house.clear()


@pytest.mark.parametrize("way", WAYS)
def test_a_due_slot_is_worked_on_in_time_by_an_agent_that_knows_only_its_prompt(walk: Walk, way: str) -> None:
    house, task = walk.house, walk.task_of(way)
    house.reaches(task, "review")

    (attempt,) = house.attempts(task)
    printed = (
        house.attempt_file(attempt["id"], "stdout.log").read_text()
        + house.attempt_file(attempt["id"], "stderr.log").read_text()
    )
    assert (attempt["outcome"], attempt["exit_code"]) == ("submitted", 0), printed
    assert [event["dst"] for event in house.events(task) if event["dst"]] == ["pending", "claimed", "working", "review"]
    assert 0 <= seconds_between(walk.due, attempt["claimed_at"]) < 5
    assert house.task(task)["wall_seconds"] == 600


@pytest.mark.parametrize("way", WAYS)
def test_no_byte_of_any_text_is_lost_and_none_is_executed(walk: Walk, way: str) -> None:
    house, task = walk.house, walk.task_of(way)
    row = house.reaches(task, "review", "done")

    assert (row["title"], row["description"], row["must_haves"]) == (walk.title, walk.text, walk.text)
    content, path = house.rows("SELECT * FROM outputs WHERE task_id = :task ORDER BY id", task=task)
    big = walk.big.encode()
    assert len(big) > 1_000_000
    assert content["content"].encode() == big
    assert content["title"] == (walk.title if way == "bb" else "plain-1.0")
    assert content["summary"] == (walk.text if way == "bb" else "")
    assert (path["content"], path["content_path"]) == (None, "FILE")
    assert (path["title"], path["summary"]) == (walk.title, walk.text)
    for output in (content, path):
        assert (output["size"], output["sha256"]) == (len(big), hashlib.sha256(big).hexdigest())
    (comment,) = house.rows("SELECT * FROM comments WHERE task_id = :task", task=task)
    assert (comment["body"], comment["author"]) == (walk.text, f"executor:{way}")
    assert not walk.canary.exists()


def test_a_person_approves_and_the_task_is_done(walk: Walk) -> None:
    house, task = walk.house, walk.task_of("bb")
    house.reaches(task, "review")

    said = house.call("approve", str(task), "--json")

    assert (said.returncode, json.loads(said.stdout)["status"]) == (0, "done"), said.stderr
    assert house.task(task)["status"] == "done"
    (event,) = house.events(task, "approve")
    assert (event["src"], event["dst"], event["actor"]) == ("review", "done", "person:operator")


def test_a_rejection_begins_a_second_attempt_whose_prompt_has_the_remark(walk: Walk) -> None:
    house, task = walk.house, walk.task_of("curl")
    house.reaches(task, "review")
    remark = f"not yet: {walk.text}"

    said = house.call("reject", str(task), remark)

    assert said.returncode == 0, said.stderr
    until(lambda: len(house.attempts(task)) == 2, story=lambda: house.story(task))
    house.reaches(task, "review")
    assert house.outcomes(task) == ["submitted", "submitted"]
    prompt = house.attempt_file(house.attempts(task)[1]["id"], "prompt.md").read_text()
    assert "reviewer's remark" in prompt
    lines = {line.strip() for line in prompt.split("\n")}
    assert {line.strip() for line in remark.split("\n")} <= lines
    assert house.operate(task, "approve") == "done"
    assert from_text(house.task(task)["ended_at"])
