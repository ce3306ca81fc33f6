"""`feed` and `token` as they are typed: the same feed as a file, and secrets that are made, listed and revoked."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from blackboard.migrations import schema_text
from orchestrator import beginning, exits
from orchestrator.cli import cli
from orchestrator.config import Settings
from orchestrator.config_loading import load
from orchestrator.doctor import check
from tests.feed_reading import short, sound

CONFIG = """
[api]
port = 0
[agents.ada]
argv = ["true"]
[agents.bob]
argv = ["true"]
"""
LATER = "2999-01-01T00:00"


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
    return CliRunner().invoke(cli, list(words))


def ok(*words: str) -> str:
    result = said(*words)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def refused(code: int, *words: str) -> str:
    result = said(*words)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    return result.stderr


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- feed -----------------------------------------------------------------------------------------------------------------


def test_the_feed_is_printed_byte_for_byte() -> None:
    ok("post", "Wörk", "--agent", "ada")
    ok("post", "other", "--agent", "bob")
    assert short(sound(said("feed").stdout_bytes), "title") == {"task-1": ("Wörk",), "task-2": ("other",)}
    assert short(sound(said("feed", "--agent", "bob").stdout_bytes), "title") == {"task-2": ("other",)}
    told = json.loads(ok("feed", "--agent", "ada", "--json"))
    assert (told["agent"], told["events"], told["cut"]) == ("ada", 1, False)
    assert set(sound(told["calendar"].encode())) == {"task-1"}


def test_a_file_is_written_whole_and_left_alone_while_it_says_the_same(tmp_path: Path) -> None:
    ok("post", "a", "--agent", "ada")
    file = tmp_path / "all.ics"
    assert ok("feed", "--out", str(file)) == f"1 events in {file}\n"
    assert mode(file) == 0o600 and set(sound(file.read_bytes())) == {"task-1"}
    file.chmod(0o644)
    first = file.stat()
    assert json.loads(ok("feed", "--out", str(file), "--json"))["changed"] is False
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    ok("post", "b", "--agent", "ada")
    assert ok("feed", "--out", str(file)) == f"2 events in {file}\n"
    assert mode(file) == 0o644 and file.stat().st_ino != first.st_ino
    assert [path.name for path in tmp_path.iterdir() if ".part" in path.name] == []


def test_a_feed_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    assert "there is no agent mallory" in refused(exits.NOT_FOUND, "feed", "--agent", "mallory")
    assert "cannot be written" in refused(exits.FAILED, "feed", "--out", str(tmp_path / "none" / "all.ics"))


def test_a_feed_that_is_cut_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blackboard.feed.MOST", 1)
    for title in "ab":
        ok("post", title, "--agent", "ada")
    assert "There is more in this time" in said("feed", "--json").stderr
