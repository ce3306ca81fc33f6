"""`orchestrator config`: every value in force, and exactly where it came from."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from orchestrator import beginning, exits
from orchestrator.cli import cli
from orchestrator.config_origins import lines_of

CONFIG = """\
board = "other.db"   # line 1

[api]
port = 1001
host = "127.0.0.2"

[policy]
max_tries = 9

[agents.night-shift]
argv = ["true", "--api-key", "sesame", "--token=mellon",
  "port = 7"]
env.TOKEN = "sesame"
policy = { wall_seconds = 60 }

["agents"."a.b"]
argv = ["true"]
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("ORCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    (tmp_path / "orchestrator.toml").write_text(CONFIG)
    return tmp_path


def said(*words: str) -> Result:
    return CliRunner().invoke(cli, ["config", *words])


def origins(*words: str) -> dict[str, tuple[Any, str]]:
    result = said("--json", *words)
    assert (result.exit_code, result.stderr) == (0, "")
    return {row["key"]: (row["value"], row["origin"]) for row in json.loads(result.stdout)}


def test_each_value_has_its_origin(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCH_API__HOST", "127.0.0.3")
    monkeypatch.setenv("ORCH_AGENTS__NIGHT_SHIFT__MAX_LIVE", "3")
    file = here / "orchestrator.toml"

    found = origins()

    assert found["board"] == (str(here / "other.db"), f"{file}:1")
    assert found["api.port"] == (1001, f"{file}:4")
    assert found["api.host"] == ("127.0.0.3", "environment ORCH_API__HOST")
    assert found["agents.night-shift.max_live"] == (3, "environment ORCH_AGENTS__NIGHT_SHIFT__MAX_LIVE")
    assert found["agents.night-shift.policy.wall_seconds"] == (60, f"{file}:14")
    assert found["agents.a.b.argv"] == (["true"], f"{file}:17")
    assert found["tick.max_live"] == (8, "default")
    assert origins("--board", "x.db")["board"] == (str(here / "x.db"), "flag --board")


def test_what_an_agent_leaves_out_of_its_policy_is_that_of_all(here: Path) -> None:
    found = origins("agents.night-shift.policy")

    assert found["agents.night-shift.policy.max_tries"] == (9, f"{here / 'orchestrator.toml'}:8")
    assert found["agents.night-shift.policy.idle_seconds"] == (900, "default")


def test_secrets_are_masked() -> None:
    assert "sesame" not in said().stdout and "mellon" not in said("agents.night-shift.argv").stdout
    assert origins("agents.night-shift.env.TOKEN")["agents.night-shift.env.TOKEN"][0] == "***"


def test_a_key_narrows_it_and_an_unknown_one_is_exit_3() -> None:
    assert set(origins("api.port", "tick")) == {
        "api.port", "tick.max_live", "tick.longest_pause_seconds", "tick.foreign_poll_seconds", "tick.source_poll_seconds",
        "tick.memory_share", "tick.max_checks",
    }  # fmt: skip
    result = said("api.prt")
    assert (result.exit_code, result.stdout) == (exits.NOT_FOUND, "")
    assert "there is no setting api.prt" in result.stderr


def test_a_person_gets_a_table() -> None:
    first, line, *rest = said("api.port").stdout.splitlines()
    assert first.split() == ["key", "value", "origin"] and rest == []
    assert line.split()[:2] == ["api.port", "1001"] and line.endswith("orchestrator.toml:4")


def test_every_key_of_the_starter_is_found_on_its_line() -> None:
    text = beginning.starter().replace("#port = 8083", "port = 8083")
    tree = tomllib.loads(text)
    lines = lines_of(text, tree)
    for table, keys in tree.items():
        if isinstance(keys, dict):
            for key in keys:
                if not isinstance(keys[key], dict):
                    assert text.splitlines()[lines[(table, key)] - 1].startswith(key)
    assert ("api", "port") in lines


def test_what_only_looks_like_a_key_is_none() -> None:
    text = 'a = """\nb = 1\n[c]\n"""\nb = 2\n[c]\nd = [\n  "e = 1",\n  ["f"]\n]\ng = 3\n'
    assert lines_of(text, tomllib.loads(text)) == {("a",): 1, ("b",): 5, ("c",): 6, ("c", "d"): 7, ("c", "g"): 11}
