"""SECURITY.md: every promise is there, and the test it names exists. And the promise that has no file of its own."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.api_house import open_house
from tests.layer_rules import ROOT

PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (S\d+) \|(.*)\|$", PAGE, re.MULTILINE))


def test_every_promise_has_its_row() -> None:
    assert list(ROWS) == [f"S{number}" for number in range(1, 20)]


@pytest.mark.parametrize("promise", ROWS)
def test_every_promise_names_a_test_that_exists(promise: str) -> None:
    named = re.findall(r"`(tests/\w+\.py)::(\w+)`", ROWS[promise])
    assert named
    for file, function in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert function in found, (promise, file, function)


SQL = (
    "'; DROP TABLE tasks; --",
    '" OR 1=1 --',
    "x') UNION SELECT hash FROM tokens --",
    "%' OR title LIKE '%",
    ":now",
    "?1",
    "$1",
)


async def test_what_looks_like_sql_is_kept_as_text(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        attempt, operator = await house.attempt(), await house.operator()
        before = await house.board.all("SELECT name FROM sqlite_master ORDER BY name")
        for text in SQL:
            said = await house.post(f"{attempt.url}/comments", attempt.token, {"body": text})
            assert said.status_code == 201
            assert (await house.board.all("SELECT body FROM comments ORDER BY id DESC LIMIT 1"))[0]["body"] == text
            made = await house.post(f"{attempt.url}/children", attempt.token, {"title": text, "type": text[:64]})
            row = await house.board.one("SELECT title, task_type FROM tasks WHERE id = :id", id=made.json()["child"])
            assert row is not None
            assert tuple(row) == (text, text[:64])
            for query in ({"expand": text}, {"after": text}, {text: "1"}):
                for url in (attempt.url, "/api/events"):
                    assert (await house.get(url, operator, params=query)).status_code == 422
        assert await house.board.all("SELECT name FROM sqlite_master ORDER BY name") == before
