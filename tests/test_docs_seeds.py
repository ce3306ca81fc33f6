"""The tables of the seeds' capabilities: no row is missing, and every file and test they name exists."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "seeds.md").read_text(encoding="utf-8")
ROWS = {cells[0]: cells for line in re.findall(r"^\| ([A-Z]{2}-.*) \|$", TEXT, re.M) if (cells := line.split(" | "))}
LAST = {"MZ": 33, "HF": 40, "PX": 16, "OG": 22, "GC": 36}
REFUSED = frozenset({"HF-17"})
SPAN = re.compile(r"`([^`]+)`")


@cache
def functions_in(file: str) -> frozenset[str]:
    """The test functions of a file."""
    source = (ROOT / file).read_text(encoding="utf-8")
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)", source, re.M))


def lost(cell: str) -> list[str]:
    """What a cell names that is not there: files, and tests as FILE::NAME."""
    named = [span.partition("::") for span in SPAN.findall(cell)]
    return [
        file + sign + test
        for file, sign, test in named
        if not (ROOT / file).is_file() or (sign and test not in functions_in(file))
    ]


def test_every_row_of_the_seeds_is_there_once_and_in_order() -> None:
    ids = re.findall(r"^\| ([A-Z]{2}-\d+) ", TEXT, re.M)
    assert ids == [f"{seed}-{number:02}" for seed, last in LAST.items() for number in range(1, last + 1)]


@pytest.mark.parametrize("row", sorted(REFUSED))
def test_what_is_refused_names_nothing_and_says_why(row: str) -> None:
    _, _, where, held_by, note = ROWS[row]
    assert (where, held_by) == ("—", "—")
    assert note.startswith("Refused: ")


@pytest.mark.parametrize("row", sorted(ROWS.keys() - REFUSED))
def test_what_a_row_names_is_there(row: str) -> None:
    _, capability, where, held_by, note = ROWS[row]

    assert SPAN.findall(where) != [] != SPAN.findall(held_by)
    assert all("::" in span for span in SPAN.findall(held_by))
    assert lost(where) + lost(held_by) == []
    assert capability.endswith(".")
    assert note.endswith(".")


def test_what_is_done_otherwise_says_so() -> None:
    otherwise = {row for row, cells in ROWS.items() if cells[4].startswith("Done differently: ")}
    assert {
        "MZ-06",
        "MZ-17",
        "MZ-18",
        "MZ-23",
        "MZ-25",
        "HF-19",
        "HF-22",
        "HF-25",
        "HF-31",
        "PX-01",
        "PX-12",
        "OG-03",
        "OG-05",
        "OG-07",
        "OG-09",
        "OG-10",
        "OG-12",
    } <= otherwise


def test_a_name_that_is_not_there_is_seen() -> None:
    cell = "`schema.sql`, `gone.py`, `tests/test_docs_seeds.py::test_never`, `tests/test_docs_seeds.py::test_what_a_row_names_is_there`"
    assert lost(cell) == ["gone.py", "tests/test_docs_seeds.py::test_never"]
