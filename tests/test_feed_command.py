"""`feed` and `token` as they are typed: the same feed as a file, and secrets that are made, listed and revoked."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result

from blackboard import standing_tokens, tokens
from blackboard.board import ReadOnly, Tx
from blackboard.errors import NotFound, Unauthorized
from blackboard.migrations import schema_text
from blackboard.standing_tokens import TokenForm
from orchestrator import beginning, exits, roads
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


# --- token ----------------------------------------------------------------------------------------------------------------


def made(*words: str) -> dict[str, Any]:
    return cast(dict[str, Any], json.loads(ok("token", "new", *words, "--json")))


def who(settings: Settings, token: str) -> tuple[str, str | None]:
    """As whom a token is known on the board; its scope."""
    with ReadOnly(settings.board) as board:
        caller = tokens.identify(cast(Tx, board), tokens.digest(token))
    return caller.actor, caller.scope


@pytest.mark.parametrize(
    ("words", "actor", "scope"),
    [
        (("--operator", "ann"), "person:ann", "read"),
        (("--operator", "ann", "--may", "admin"), "person:ann", "admin"),
        (("--agent", "ada"), "agent:ada", None),
        (("laptop", "--agent", "ada"), "agent:ada", None),
    ],
)
def test_a_new_token_is_shown_once_and_is_what_was_asked_for(
    here: Settings, words: tuple[str, ...], actor: str, scope: str | None
) -> None:
    told = made(*words)
    assert who(here, told["token"]) == (actor, scope) and told["new"] is True
    assert told["token"] not in ok("token", "list", "--json")
    assert [file for file in here.board.parent.glob("board.db*") if told["token"].encode() in file.read_bytes()] == []


def test_the_list_names_them_and_revoking_ends_them(here: Settings) -> None:
    ann, ada = made("--operator", "ann", "--may", "operate"), made("laptop", "--agent", "ada")
    feed = made("--feed"), made("phone", "--feed", "bob")
    rows = json.loads(ok("token", "list", "--json"))
    assert [(row["name"], row["kind"], row["agent"], row["scope"]) for row in rows[1:]] == [
        ("ann", "operator", None, "operate"), ("laptop", "agent", "ada", None), ("feed-all", "feed", None, None),
        ("phone", "feed", "bob", None),
    ]  # fmt: skip
    assert ok("token", "revoke", "ann") == "operator token ann is revoked\n"
    assert ok("token", "revoke", "ann") == "token ann was revoked already\n"
    ok("token", "revoke", "phone")
    with pytest.raises(Unauthorized):
        who(here, ann["token"])
    assert who(here, ada["token"])[0] == "agent:ada"
    with ReadOnly(here.board) as board:
        assert tokens.feed_agent(board, feed[0]["token"]) is None
        with pytest.raises(NotFound):
            tokens.feed_agent(board, feed[1]["token"])
    names = [row["name"] for row in json.loads(ok("token", "list", "--json"))]
    assert names == ["operator", "laptop", "feed-all"]
    assert [row["name"] for row in json.loads(ok("token", "list", "--all", "--json")) if row["revoked_at"]] == [
        "ann",
        "phone",
    ]
    told = [
        row["reason"] for row in json.loads(ok("sql", "SELECT reason FROM events WHERE verb GLOB 'token_*'", "--json"))
    ]
    assert told == [
        "operator token ann may operate", "agent token laptop speaks for agent ada", "feed token feed-all reads the feed of all agents",
        "feed token phone reads the feed of bob", "operator token ann is revoked", "feed token phone is revoked",
    ]  # fmt: skip


def test_a_feeds_secret_is_no_token_and_a_token_opens_no_feed(here: Settings) -> None:
    token, secret = made("--operator", "ann")["token"], made("--feed")["token"]
    with pytest.raises(Unauthorized):
        who(here, secret)
    with ReadOnly(here.board) as board, pytest.raises(NotFound, match="no such feed"):
        tokens.feed_agent(board, token)


def test_a_feed_is_kept_so_that_even_its_hash_opens_nothing_else(here: Settings) -> None:
    """A row of a feed never makes a caller, whatever its hash was made of."""
    token = tokens.mint()
    form = TokenForm(name="odd", kind="feed", hash=tokens.digest(token).hex())
    roads.write(here, "/api/tokens", {}, lambda tx, caller: standing_tokens.add(tx, caller, form))
    with pytest.raises(Unauthorized):
        who(here, token)


def test_a_file_holds_it_for_this_user_only_and_the_same_again_goes_on_with_it(here: Settings, tmp_path: Path) -> None:
    file = tmp_path / "ann.token"
    told = made("--operator", "ann", "--out", str(file))
    assert mode(file) == 0o600 and "token" not in told and told["file"] == str(file)
    assert who(here, file.read_text().strip())[0] == "person:ann"
    again = made("--operator", "ann", "--out", str(file))
    assert (again["new"], told["new"]) == (False, True)
    (tmp_path / "feed.url").write_text("")
    assert "holds no token" in refused(exits.REFUSED, "token", "new", "--feed", "--out", "feed.url")
    (tmp_path / "feed.url").unlink()
    made("--feed", "--out", "feed.url")
    url = (tmp_path / "feed.url").read_text().strip()
    assert re.fullmatch(r"http://\S+/calendar/feed/bbt_[\w-]{43}\.ics", url)
    assert made("--feed", "--out", "feed.url")["new"] is False


def test_a_token_in_a_file_that_the_board_never_heard_of_is_made_known(here: Settings, tmp_path: Path) -> None:
    """What a kill between the two leaves behind."""
    file, token = tmp_path / "ann.token", tokens.mint()
    file.write_text(token + "\n")
    assert made("--operator", "ann", "--out", str(file))["new"] is True
    assert who(here, token)[0] == "person:ann"


def test_a_name_is_given_once_while_it_holds(here: Settings, tmp_path: Path) -> None:
    made("--operator", "ann")
    file = tmp_path / "second"
    for words in (("--operator", "ann"), ("ann", "--agent", "ada"), ("ann", "--feed", "--out", str(file))):
        assert "there is a token named ann already" in refused(exits.REFUSED, "token", "new", *words)
    assert not file.exists()
    ok("token", "revoke", "ann")
    made("--operator", "ann")


def test_a_revoked_token_stays_revoked(here: Settings, tmp_path: Path) -> None:
    made("--operator", "ann", "--out", "ann.token")
    ok("token", "revoke", "ann")
    assert "revoked" in refused(exits.REFUSED, "token", "new", "--operator", "ann", "--out", "ann.token")
    assert (tmp_path / "ann.token").exists()


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("new",), exits.USAGE, "say for whom"),
        (("new", "--agent", "ada", "--feed"), exits.USAGE, "exactly one of them"),
        (("new", "--agent", "mallory"), exits.NOT_FOUND, "there is no agent mallory"),
        (("new", "--feed", "mallory"), exits.NOT_FOUND, "there is no agent mallory"),
        (("new", "--operator", "a b"), exits.USAGE, "'a b' is no name"),
        (("new", "ann", "--operator", "bob"), exits.USAGE, "gives the name"),
        (("new", "--agent", "ada", "--may", "read"), exits.USAGE, "--may goes with --operator"),
        (("new", "--feed", "--all"), exits.USAGE, "--all goes with"),
        (("list", "ann"), exits.USAGE, "takes no name"),
        (("list", "--agent", "ada"), exits.USAGE, "go with: orchestrator token new"),
        (("revoke",), exits.USAGE, "say which one"),
        (("revoke", "ann"), exits.NOT_FOUND, "there is no token named ann"),
        (("revoke", "feed:ann"), exits.NOT_FOUND, "there is no token named 'feed:ann'"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, tuple) else "",
)
def test_what_cannot_be_is_told_and_changes_nothing(words: tuple[str, ...], code: int, sentence: str) -> None:
    assert sentence in refused(code, "token", *words)
    assert [row["name"] for row in json.loads(ok("token", "list", "--json"))] == ["operator"]


def test_the_operators_own_token_can_be_revoked_and_the_next_command_is_told(here: Settings) -> None:
    ok("token", "revoke", "operator")
    assert "not known here" in refused(exits.FAILED, "token", "new", "--operator", "ann")
