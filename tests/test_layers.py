"""Holds the layers: who may import whom, who may touch the database and the network, and what a file may be called.

Each rule of `layer_rules.py` is asked about the real tree and about a small tree with one planted violation, so
that no rule can fall asleep.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.layer_rules import (
    LEANS_ON,
    MAY_ALSO_IMPORT,
    MAY_IMPORT,
    ONLY_IN,
    PACKAGES,
    ROOT,
    Import,
    Imports,
    broken_layers,
    cycles,
    empty_names,
    imports_of,
    leaning,
    real_tree,
    strayed_libraries,
    undeclared,
)


@pytest.fixture(scope="module")
def tree() -> Imports:
    return real_tree()


def test_every_package_is_read(tree: Imports) -> None:
    assert {module.split(".")[0] for module in tree} == set(PACKAGES)


def test_packages_import_only_upward(tree: Imports) -> None:
    assert broken_layers(tree) == []


def test_no_module_reaches_itself(tree: Imports) -> None:
    assert cycles(tree) == []


def test_the_database_and_the_network_have_one_door_each(tree: Imports) -> None:
    assert strayed_libraries(tree) == []


def test_lean_modules_lean_on_nothing_else(tree: Imports) -> None:
    assert leaning(tree) == []


def test_every_module_a_rule_names_exists(tree: Imports) -> None:
    named = LEANS_ON.keys() | MAY_ALSO_IMPORT.keys() | set().union(*ONLY_IN.values(), *MAY_IMPORT.values())
    assert named - tree.keys() == set()


def test_what_is_imported_is_declared(tree: Imports) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert undeclared(tree, project["dependencies"]) == []


def test_every_file_has_a_duty() -> None:
    assert empty_names(path for folder in (*PACKAGES, "tests") for path in (ROOT / folder).rglob("*.*")) == []


# --- Every rule can fail --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "target"),
    [
        ("blackboard.verbs", "prompts.render"),
        ("blackboard.verbs", "orchestrator"),
        ("blackboard.verbs", "api.app"),
        ("prompts.render", "blackboard.board"),
        ("prompts.render", "blackboard"),
        ("api.app", "orchestrator.tick"),
        ("api.app", "prompts.render"),
        ("orchestrator.tick", "api.app"),
        ("orchestrator.cli_run", "api"),
    ],
)
def test_a_downward_import_is_seen(module: str, target: str) -> None:
    assert broken_layers({module: [Import(target)]}) == [f"{module} imports {target}"]


def test_an_upward_import_is_left_alone() -> None:
    upward = {
        "prompts.render": [Import("blackboard.states"), Import("prompts.words")],
        "api.app": [Import("blackboard.reports"), Import("starlette.routing")],
        "orchestrator.cli": [Import("api.app"), Import("blackboard"), Import("prompts.render")],
    }
    assert broken_layers(upward) == []


def test_a_cycle_is_seen_also_through_a_function() -> None:
    ring = {
        "blackboard.a": [Import("blackboard.b")],
        "blackboard.b": [Import("blackboard.c", "function")],
        "blackboard.c": [Import("blackboard.a", "types")],
        "blackboard.d": [Import("blackboard.a")],
    }
    assert cycles(ring) == ["blackboard.a → blackboard.b → blackboard.c → blackboard.a"]


def test_two_ways_to_one_module_are_no_cycle() -> None:
    diamond = {"a": [Import("b"), Import("c")], "b": [Import("d")], "c": [Import("d")], "d": []}
    assert cycles(diamond) == []


@pytest.mark.parametrize("library", ["sqlite3.connect", "aiosqlite", "httpx", "httpx2", "starlette.routing"])
def test_a_strayed_library_is_seen(library: str) -> None:
    assert strayed_libraries({"blackboard.verbs": [Import(library, "function")]}) == [
        f"blackboard.verbs imports {library}"
    ]


def test_naming_a_type_of_a_library_is_no_use_of_it() -> None:
    named = {"blackboard.verbs": [Import("sqlite3"), Import("aiosqlite", "types")]}
    assert strayed_libraries(named) == []


@pytest.mark.parametrize(
    ("module", "target"),
    [
        ("orchestrator.doctor", "blackboard.states"),
        ("orchestrator.launcher", "orchestrator.config"),
        ("orchestrator.launcher", "psutil"),
        ("prompts.render", "pydantic"),
        ("blackboard.reports", "starlette.requests"),
    ],
)
def test_a_lean_module_that_leans_on_something_is_seen(module: str, target: str) -> None:
    assert leaning({module: [Import("os"), Import(target)]}) == [f"{module} imports {target}"]


def test_an_undeclared_import_is_seen() -> None:
    planted = {"api.app": [Import("psutil"), Import("pydantic_settings"), Import("os.path"), Import("uvloop")]}
    declared = ["pydantic-settings>=2.7", "uvloop; sys_platform == 'linux'"]
    assert undeclared(planted, declared) == ["api.app imports psutil"]


@pytest.mark.parametrize("name", ["utils.py", "task_helpers.py", "common.py", "manager.py", "service_types.py"])
def test_an_empty_name_is_seen(name: str) -> None:
    assert empty_names([Path("api") / name]) == [str(Path("api") / name)]


def test_a_name_with_a_duty_is_left_alone() -> None:
    assert empty_names([Path("api/callbacks.py"), Path("api/commonwealth.py")]) == []


def test_the_reader_finds_imports_wherever_they_stand() -> None:
    source = """
import os.path
from . import errors
from .clock import now
from blackboard import board, Row
if TYPE_CHECKING:
    import sqlite3
try:
    import uvloop
except ImportError:
    pass
class A:
    async def f(self):
        from sqlite3 import Row, connect
        return sqlite3.connect("x")
"""
    known = {"blackboard", "blackboard.errors", "blackboard.clock", "blackboard.board"}
    assert set(imports_of(source, "blackboard.verbs", is_package=False, known=known)) == {
        Import("os.path"),
        Import("blackboard.errors"),
        Import("blackboard.clock"),
        Import("blackboard.board"),
        Import("blackboard"),
        Import("sqlite3", "types"),
        Import("uvloop"),
        Import("sqlite3", "function"),
        Import("sqlite3.connect", "function"),
    }


def test_a_package_reads_its_own_relative_imports() -> None:
    known = {"blackboard", "blackboard.board"}
    assert list(imports_of("from .board import Board", "blackboard", is_package=True, known=known)) == [
        Import("blackboard.board")
    ]
