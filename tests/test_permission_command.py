"""`permission` as it is typed, beside a daemon and without one: granted, denied, listed, tested and revoked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from blackboard.board import ReadOnly
from blackboard.migrations import schema_text
from orchestrator import beginning, exits
from orchestrator.cli import cli
from orchestrator.config import Settings
from orchestrator.config_loading import load
from orchestrator.doctor import check
from tests.test_cli import daemon

CONFIG = """
[api]
port = 0
[agents.ada]
argv = ["true"]
roles = ["leads"]
[agents.bob]
argv = ["true"]
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A folder of its own with a board, and nothing of this machine's environment; the doctor looks at it afterwards."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("ORCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    (tmp_path / "orchestrator.toml").write_text(CONFIG)
    settings = load()
    beginning.board_made(settings)
    yield settings
    assert check(settings.board, schema_text()) == []


def said(*words: str) -> Result:
    return CliRunner().invoke(cli, ["permission", *words])


def ok(*words: str) -> str:
    result = said(*words)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def refused(code: int, *words: str) -> str:
    """It fails with this code, and says why in one line on stderr alone."""
    result = said(*words)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert result.stderr.startswith("orchestrator: ") and result.stderr.count("\n") == 1
    return result.stderr


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a daemon"])
def test_granted_denied_and_revoked_by_whichever_road_is_open(here: Settings, beside: bool) -> None:
    road: AbstractContextManager[Any] = daemon() if beside else nullcontext()
    with road:
        assert ok("grant", "group:leads", "slots", "*") == "permission 1: group:leads may change slots of everybody\n"
        assert ok("grant", "group:leads", "slots", "*").endswith(", as before\n")
        told = json.loads(ok("deny", "agent:ada", "slots", "agent:bob", "--json"))
        assert (told["permission"], told["effect"], told["changed"]) == (2, "deny", True)
        no = said("test", "ada", "slots", "bob")
        assert no.exit_code == exits.FAILED
        why = "permission 2 (agent:ada deny slots agent:bob) says so"
        assert no.stdout == f"agent ada may not change agent bob's slots: {why}\n"
        assert json.loads(ok("test", "ada", "slots", "ada", "--json"))["permission"] == 1
        assert ok("revoke", "2") == "permission 2 is revoked\n"
        assert ok("revoke", "2") == "permission 2 was revoked already\n"
        assert ok("test", "ada", "slots", "bob").startswith("agent ada may change agent bob's slots: permission 1")
        assert "no agent has the role nobodies" in refused(exits.NOT_FOUND, "grant", "group:nobodies", "slots", "*")
        assert "there is no permission 9" in refused(exits.NOT_FOUND, "revoke", "9")
    with ReadOnly(here.board) as board:
        actors = {row["actor"] for row in board.all("SELECT actor FROM events WHERE verb GLOB 'permission_*'")}
    assert len(actors) == 1 and actors.pop().startswith("person:")


def test_the_list_has_what_holds_and_with_all_what_was_revoked(here: Settings) -> None:
    assert ok("list").startswith("nothing is granted or denied")
    assert json.loads(ok("list", "--json")) == []
    ok("grant", "agent:ada", "*", "self")
    ok("grant", "agent:bob", "checklist", "self")
    ok("revoke", "2")
    (only,) = json.loads(ok("list", "--json"))
    assert {name: only[name] for name in ("permission", "subject", "effect", "type", "scope", "revoked_at")} == {
        "permission": 1, "subject": "agent:ada", "effect": "allow", "type": "*", "scope": "self", "revoked_at": None,
    }  # fmt: skip
    assert [row["permission"] for row in json.loads(ok("list", "--all", "--json"))] == [1, 2]
    assert "agent:ada" in ok("list") and "agent:bob" not in ok("list") and "agent:bob" in ok("list", "--all")


def test_an_agents_word_on_itself_needs_no_permission(here: Settings) -> None:
    assert "says where it stands itself" in ok("test", "ada", "presence", "ada")
    ok("deny", "agent:ada", "presence", "self")
    assert "permission 1 (agent:ada deny presence self) says so" in said("test", "ada", "presence", "ada").stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["grant", "agent:ada", "slots"], "say: orchestrator permission grant WHO WHAT WHOSE"),
        (["revoke"], "say: orchestrator permission revoke NUMBER"),
        (["list", "1"], "say: orchestrator permission list"),
        (["test", "ada"], "say: orchestrator permission test AGENT WHAT TARGET"),
        (["grant", "ada", "slots", "*"], "'ada' is not agent:ID or group:ROLE: say who may"),
        (["grant", "agent:*", "slots", "*"], "'agent:*' is not agent:ID or group:ROLE: say who may"),
        (["grant", "agent:ada", "everything", "*"], "'everything' is not heartbeat, checklist, slots, presence or '*'"),
        (["deny", "agent:ada", "slots", "bob"], "'bob' is not self, agent:ID"),
        (["test", "ada", "*", "bob"], "'*' is not heartbeat, checklist, slots, presence: say what"),
        (["revoke", "1", "--all"], "--all goes with: orchestrator permission list"),
    ],
)
def test_what_is_typed_wrong_is_told(words: list[str], sentence: str) -> None:
    assert sentence in refused(exits.USAGE, *words)


@pytest.mark.parametrize(
    "words", [["revoke", "one"], ["revoke", "0"], ["revoke", "٣"], ["test", "ada", "slots", "nobody"]]
)
def test_what_is_not_there_is_told(words: list[str]) -> None:
    assert "list" in refused(exits.NOT_FOUND, *words)
