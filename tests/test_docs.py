"""The documents say what the code does: what is made from it is made anew and compared, what is named exists.

Runs nothing a document tells people to type; test_readme.py does.
"""

from __future__ import annotations

import re
import shlex
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path

import pytest

from blackboard import slot_records, states
from blackboard.migrations import schema_text
from orchestrator import config_environment, exits
from orchestrator.cli import cli
from orchestrator.config import Settings
from tests import docs_made, docs_settings
from tests.layer_rules import ROOT

DOCUMENTS = docs_made.documents()
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")


def text_of(document: Path | str) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


def fenced(text: str, kind: str) -> list[str]:
    """The fenced blocks of one kind."""
    return [found[2] for found in FENCE.finditer(text) if found[1] == kind]


def spans(text: str) -> list[str]:
    """What stands between single backticks outside of blocks."""
    return SPAN.findall(FENCE.sub("", text))


every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


# --- Made from the code -----------------------------------------------------------------------------------------------


@every_document
def test_what_is_made_from_the_code_is_as_the_code_makes_it(document: Path) -> None:
    text = text_of(document)
    assert text == docs_made.remade(text), "python tests/docs_made.py --write"


def test_every_part_is_in_one_document_and_every_mark_names_a_part() -> None:
    marks = [mark for document in DOCUMENTS for mark in re.findall(r"^<!-- made:(.*) -->$", text_of(document), re.M)]
    ends = sum(len(re.findall("^<!-- /made -->$", text_of(document), re.M)) for document in DOCUMENTS)
    assert sorted(docs_made.PARTS) == sorted(marks)
    assert len(marks) == ends


def test_a_changed_part_is_seen() -> None:
    stale = "before\n<!-- made:states -->\npending is a fine state\n<!-- /made -->\nafter\n"
    assert docs_made.diagram() in docs_made.remade(stale)
    assert docs_made.remade(stale).startswith("before\n<!--")
    assert docs_made.remade(stale).endswith("-->\nafter\n")


def test_two_parts_stay_two() -> None:
    empty = "<!-- made:states -->\n<!-- /made -->\nbetween\n<!-- made:moves -->\n<!-- /made -->\n"
    assert "\nbetween\n" in docs_made.remade(empty)


def test_the_diagram_has_every_arrow_and_no_other() -> None:
    [diagram] = [block for block in fenced(text_of("ARCHITECTURE.md"), "mermaid") if "stateDiagram" in block]
    drawn = re.findall(r"^ +(\w+) --> (\w+): (.+)$", diagram, re.MULTILINE)
    assert {(src, dst, verb) for src, dst, verbs in drawn for verb in verbs.split(", ")} == {
        (move.src, move.dst, move.verb) for move in states.MOVES
    }


# --- Settings and slots -------------------------------------------------------------------------------------------------


def test_every_setting_has_a_meaning_and_every_meaning_a_setting() -> None:
    told = [row.key for row in docs_settings.every_row()]
    assert sorted(told) == sorted(docs_settings.MEANINGS)
    assert docs_settings.DEFAULTS.keys() <= docs_settings.MEANINGS.keys()


def test_no_table_of_the_configuration_is_left_out() -> None:
    tables = {prefix.split(".")[0] for _, prefix, _ in docs_settings.TABLES if prefix}
    assert tables == docs_settings.INSIDE
    assert docs_settings.INSIDE.issubset(Settings.model_fields)


@pytest.mark.parametrize("row", docs_settings.every_row(), ids=lambda row: row.key)
def test_the_variable_of_a_setting_sets_that_setting(row: docs_settings.Row) -> None:
    found = config_environment.tree({row.variable: "x"}, ("NAME",))
    path = []
    while isinstance(found, dict):
        [(key, found)] = found.items()
        path.append(key)
    told = ["projects"] if row.key.startswith("projects.") else row.key.split(".")
    assert [key for key in path if key != "VARIABLE"] == told


def test_every_field_of_a_slot_is_told() -> None:
    text = text_of("docs/configuration.md")
    assert first_column(text, "field") == {"agent", *slot_records.SlotRecord.model_fields}
    assert first_column(text, "in `event_data`") == {*slot_records.Wish.model_fields}


def first_column(text: str, head: str) -> set[str]:
    """The names in the first column of the table with this head."""
    [rows] = re.findall(rf"^\| {re.escape(head)} \|.*\n\|[-| ]+\n((?:\|.*\n)+)", text, re.MULTILINE)
    return {name for row in rows.splitlines() for name in SPAN.findall(row.split(" | ")[0])}


# --- What can be typed ------------------------------------------------------------------------------------------------


def test_every_command_has_its_help() -> None:
    headings = re.findall(r"^## (.+)$", text_of("docs/commands.md"), re.MULTILINE)
    assert headings == sorted(cli.commands)


def typed(text: str, program: str) -> list[list[str]]:
    """The words behind a program's name, wherever a document says what to type."""
    lines = [line.strip() for block in fenced(text, "sh") for line in block.splitlines()] + spans(text)
    found = [re.match(rf"(?:\S*/)?{re.escape(program)} (.+)$", line) for line in lines]
    return [shlex.split(each[1].partition(" #")[0]) for each in found if each]


def complaint(words: list[str]) -> str | None:
    """What is wrong with a command of ours; None when it and its options exist."""
    group, rest = {name for param in cli.params for name in param.opts} | {"-h", "--help"}, list(words)
    while rest and rest[0].startswith("-"):
        if rest[0] not in group:
            return f"there is no option {rest[0]}"
        del rest[: 2 if rest[0] in ("--config", "--board") else 1]
    if not rest:
        return None
    command = cli.commands.get(rest[0])
    if command is None:
        return f"there is no command {rest[0]}"
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | group
    unknown = [word for word in rest[1:] if word.startswith("-") and word.partition("=")[0] not in known]
    return f"{rest[0]} takes no {unknown[0]}" if unknown else None


@every_document
def test_every_command_a_document_names_exists(document: Path) -> None:
    told = [(words, complaint(words)) for words in typed(text_of(document), "orchestrator")]
    assert [each for each in told if each[1]] == []


def test_commands_are_named_at_all() -> None:
    named = {words[0] for document in DOCUMENTS for words in typed(text_of(document), "orchestrator")}
    assert {"init", "check", "run", "tasks", "approve", "show", "why", "sql", "answer", "doctor"} <= named


def test_a_command_that_is_not_there_is_seen() -> None:
    assert complaint(["frobnicate"]) == "there is no command frobnicate"
    assert complaint(["--config", "x", "run", "--twice"]) == "run takes no --twice"
    assert complaint(["--colour"]) == "there is no option --colour"
    assert complaint(["logs", "7", "--follow"]) is None


@every_document
def test_every_word_of_dev_a_document_names_exists(document: Path) -> None:
    known = set(re.findall(r"^([a-z]+)\)$", text_of("dev"), re.MULTILINE)) | {"help"}
    assert {words[0] for words in typed(text_of(document), "./dev")} <= known


def test_the_exit_codes_are_those_of_the_program() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", text_of("docs/operating.md"), re.MULTILINE)}
    assert told == {value for name, value in vars(exits).items() if name.isupper() and isinstance(value, int)}


# --- What is named --------------------------------------------------------------------------------------------------------


@every_document
def test_every_link_leads_somewhere(document: Path) -> None:
    dead = [target for target in links(text_of(document)) if not leads_somewhere(document, target)]
    assert dead == []


def links(text: str) -> list[str]:
    """The targets of links that stay in the repository."""
    found = re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", FENCE.sub("", text))
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def leads_somewhere(document: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = (document.parent / name).resolve() if name else document
    if not file.exists():
        return False
    return not anchor or anchor in {slug(heading) for heading in headings_of(file)}


def headings_of(file: Path) -> list[str]:
    return re.findall(r"^#+ (.+)$", FENCE.sub("", file.read_text(encoding="utf-8")), re.MULTILINE)


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_a_dead_link_is_seen(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("# One Thing\n[x](a.md#one-thing) [y](#two) [z](b.md)\n")
    assert [leads_somewhere(document, target) for target in links(document.read_text())] == [True, False, False]


@every_document
def test_every_file_a_document_names_exists(document: Path) -> None:
    inside = re.compile(r"(?:blackboard|prompts|orchestrator|api|tests|bench|docs)/[\w./-]*")
    named = {span for span in spans(text_of(document)) if inside.fullmatch(span) and "NAME" not in span}
    assert {name for name in named if not (ROOT / name).exists()} == set()


@every_document
def test_every_sql_a_document_tells_runs_on_a_board(document: Path) -> None:
    with closing(sqlite3.connect(":memory:")) as board:
        board.executescript(schema_text())
        for block in fenced(text_of(document), "sql"):
            board.executescript(block)


@every_document
def test_every_toml_a_document_shows_can_be_read(document: Path) -> None:
    for block in fenced(text_of(document), "toml"):
        tomllib.loads(block)


# --- The tour, the decisions, the changes -------------------------------------------------------------------------------


def test_the_tour_leads_through_six_files_to_the_report() -> None:
    files = docs_made.tour_files()
    assert files == [
        "blackboard/slots.py",
        "blackboard/states.py",
        "blackboard/verbs.py",
        "orchestrator/tick.py",
        "orchestrator/spawner.py",
        "api/callbacks.py",
    ]
    following = [docs_made.read_next(file) for file in files]
    assert following == [*files[1:], "ARCHITECTURE.md"]


DECISIONS = sorted((ROOT / "docs/adr").glob("*.md"))


@pytest.mark.parametrize("decision", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_has_its_five_parts_on_half_a_page(decision: Path) -> None:
    text = text_of(decision)
    head = re.match(r"# (\d+)\. .+\n\nDate: \d{4}-\d\d-\d\d\n\nStatus: (accepted|superseded by \d+)\n", text)
    assert head is not None
    assert int(head[1]) == int(decision.name[:4])
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)[1:]
    assert parts[::2] == ["Context", "Decision", "Consequences"]
    assert all(part.strip() for part in parts[1::2])
    assert len(text.splitlines()) <= 45


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    assert len(DECISIONS) > 0


def test_the_changelog_begins_with_what_is_not_released() -> None:
    versions = re.findall(r"^## (.+)$", text_of("CHANGELOG.md"), re.MULTILINE)
    assert versions[0].startswith("[Unreleased]")
