"""`agents`, `slots` and `completion`: what is there, what is planned, and what a shell completes."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from blackboard.migrations import schema_text
from orchestrator import beginning, exits
from orchestrator.cli import cli
from orchestrator.config import Settings
from orchestrator.config_loading import load
from orchestrator.doctor import check

ROOT = Path(__file__).resolve().parent.parent
CONFIG = """
projects = [{ id = "main" }, { id = "side" }]
[agents.ada]
argv = ["true"]
roles = ["smith", "baker"]
[agents.bob]
argv = ["true"]
enabled = false
[slots]
files = ["day.json"]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("ORCH_")]:
        monkeypatch.delenv(name)
    (tmp_path / "orchestrator.toml").write_text(CONFIG)
    (tmp_path / "day.json").write_text("[]")
    settings = load()
    beginning.board_made(settings)
    yield settings
    assert check(settings.board, schema_text()) == []


def said(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def ok(*words: str) -> str:
    result = said(*words)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def told(*words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(ok(*words, "--json"))
    return found


# --- agents --------------------------------------------------------------------------------------------------------


def test_agents_tells_state_roles_work_and_why_one_is_paused(here: Settings) -> None:
    ok("post", "a task", "--agent", "ada", "--due", "2999-01-01T00:00")
    ada, bob = told("agents")
    assert (ada["agent"], ada["state"], ada["live"], ada["waiting"], ada["roles"]) == (
        "ada",
        "free",
        0,
        1,
        ["baker", "smith"],
    )
    assert (bob["agent"], bob["state"], ada["reason"], ada["seen_at"]) == ("bob", "disabled", None, None)
    ok("pause", "--agent", "ada", "its model is away")
    ada = told("agents")[0]
    assert (
        ada["state"] == "paused" and ada["reason"].endswith(": its model is away") and ada["paused_at"] in ada["reason"]
    )
    ok("resume", "--agent", "ada")
    ok("pause", "--all", "moving house")
    assert "everything since 20" in told("agents")[0]["reason"]
    assert "moving house" in ok("agents") and "0 of 1" in ok("agents")


def test_without_agents_a_sentence_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "orchestrator.toml").write_text("")
    beginning.board_made(load())
    assert "add [agents.NAME] to the configuration" in ok("agents")
    assert "nothing is planned" in ok("slots") and "there are no slots" in ok("slots", "--all")
    assert told("agents") == told("slots") == []


# --- slots ---------------------------------------------------------------------------------------------------------


def slot(number: int, when: str, **more: object) -> dict[str, object]:
    return {"agent": "ada", "id": number, "scheduled_at": when, **more}


def taken_in(folder: Path, *slots: dict[str, object]) -> None:
    """One pass of a daemon that starts nothing takes the file in."""
    (folder / "day.json").write_text(json.dumps(slots))
    subprocess.run([sys.executable, "-m", "orchestrator", "run", "--dry-run"], check=True, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT), "ORCH_API__PORT": "0"})  # fmt: skip


def test_slots_tells_what_is_planned_and_when_it_is_due_next(here: Settings, tmp_path: Path) -> None:
    ok("pause", "--all")  # nothing is claimed: what is planned stays so
    taken_in(
        tmp_path, slot(1, "23:59:59"), slot(2, "2999-01-01T10:00+02:00"), slot(3, "2020-01-01T10:00", status="finished")
    )
    first, second = told("slots")
    today = datetime.now(UTC).date()
    assert first["uid"] == "id:1" and first["next"] in {
        f"{today + timedelta(days=d)}T23:59:59.000Z" for d in (-1, 0, 1)
    }
    assert (second["uid"], second["next"], second["task_status"]) == ("id:2", "2999-01-01T08:00:00.000Z", "pending")
    assert {row["uid"]: row["next"] for row in told("slots", "--all")}["id:3"] is None
    assert second["source"] == "file:day.json" and "2999-01-01T08:00:00.000Z" in ok("slots")


def test_a_daily_slot_whose_task_is_over_is_due_tomorrow_and_one_that_left_never(
    here: Settings, tmp_path: Path
) -> None:
    ok("pause", "--all")
    taken_in(tmp_path, slot(1, "00:00"), slot(2, "00:00"))
    ok("cancel", "1")
    with closing(sqlite3.connect(here.board)) as board:
        (due,) = board.execute("SELECT due_at FROM tasks WHERE id = 1").fetchone()
    after = datetime.fromisoformat(due) + timedelta(days=1)
    assert told("slots")[0]["next"] == after.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    taken_in(tmp_path, slot(2, "00:00"))
    assert [row["uid"] for row in told("slots")] == ["id:2"]
    gone = next(row for row in told("slots", "--all") if row["uid"] == "id:1")
    assert gone["removed_at"] and gone["next"] is None


def test_slots_of_one_agent_and_of_nobody(here: Settings, tmp_path: Path) -> None:
    taken_in(tmp_path, slot(1, "2999-01-01T10:00"))
    assert len(told("slots", "--agent", "ada")) == 1 and told("slots", "--agent", "bob") == []
    result = said("slots", "--agent", "nobody")
    assert (result.exit_code, result.stdout) == (exits.NOT_FOUND, "") and "there is no agent nobody" in result.stderr


# --- completion ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_of_each_shell_is_printed_and_is_good_shell(shell: str) -> None:
    if shell == "bash":
        script = ok("completion", "bash")
        assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    assert "_ORCHESTRATOR_COMPLETE" in ok("completion", shell)
    assert "orchestrator completion" in ok("completion", "--help")
    assert json.loads(ok("completion", shell, "--json"))["shell"] == shell


def completed(*words: str) -> list[str]:
    """What bash would be offered for the last word, asked as click's own script asks."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "_ORCHESTRATOR_COMPLETE": "bash_complete", "COMP_WORDS": " ".join(("orchestrator", *words)), "COMP_CWORD": str(len(words))}  # fmt: skip
    code = "import orchestrator.cli as c; c.main()"
    shown = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=30, check=True
    )
    assert shown.stderr == ""
    return [line.partition(",")[2] for line in shown.stdout.splitlines() if line]


def test_commands_agents_projects_and_tasks_complete_from_the_board(here: Settings) -> None:
    ok("post", "one", "--agent", "ada", "--due", "2999-01-01T00:00")
    ok("post", "two", "--agent", "ada", "--due", "2999-01-01T00:00")
    ok("cancel", "2")
    assert completed("pa") == ["pause"]
    assert completed("pause", "--agent", "") == ["ada", "bob"]
    assert completed("drain", "--project", "si") == ["side"]
    assert completed("why", "") == ["1", "2"]
    here.board.rename(here.board.with_name("away.db"))
    try:
        assert completed("why", "") == completed("slots", "--agent", "") == []
        assert completed("--board", "away.db", "slots", "--agent", "a") == ["ada"]
    finally:
        here.board.with_name("away.db").rename(here.board)


def test_a_real_bash_completes_with_the_script(here: Settings, tmp_path: Path) -> None:
    tool = tmp_path / "bin" / "orchestrator"
    tool.parent.mkdir()
    tool.write_text(
        f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -c "import orchestrator.cli as c; c.main()" "$@"\n'
    )
    tool.chmod(0o755)
    script = 'eval "$(orchestrator completion bash)"; COMP_WORDS=(orchestrator pause --agent a); COMP_CWORD=3; _orchestrator_completion orchestrator; echo "${COMPREPLY[@]}"'
    shown = subprocess.run(["bash", "-c", script], env={**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}"}, capture_output=True, text=True, check=False)  # fmt: skip
    assert (shown.stdout, shown.stderr) == ("ada\n", "")


@pytest.mark.parametrize("words", ["show", "why", "events --limit", "notices --limit"])
def test_a_number_that_no_board_holds_is_a_sentence(here: Settings, words: str) -> None:
    refused = said(*words.split(), "9" * 30)
    assert (refused.exit_code, refused.stdout) == (exits.USAGE, "")
    assert refused.stderr == "orchestrator: a number is larger than a board can hold: give a smaller one\n"
