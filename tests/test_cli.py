"""The command line: every command with and without a daemon, pure JSON, exit codes, clean ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from blackboard import tokens
from blackboard.lock import BoardLock, holder
from blackboard.migrations import schema_text
from orchestrator import beginning, exits, filesystem, instants, logfile, preflight, slot_files, spoken
from orchestrator.cli import cli
from orchestrator.commands.boardfile import statements
from orchestrator.config import Settings
from orchestrator.config_loading import load
from orchestrator.doctor import check
from orchestrator.narration import Narrator
from orchestrator.screen import Screen, as_json, harmless

ROOT = Path(__file__).resolve().parent.parent
CONFIG = """
[api]
port = 0
[policy]
review = "auto"
needs_output = false
[agents.worker]
argv = ["sh", "-c", "cat >/dev/null; echo working in $PWD; sleep 0.2"]
calls_back = false
roles = ["dev"]
"""
LATER = "2999-01-01T00:00"  # nothing of a test's daemon touches a task that is due then


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own, and nothing of this machine's environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("ORCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Settings]:
    """The current folder with a configuration, a board and a token; the doctor looks at the board afterwards."""
    (tmp_path / "orchestrator.toml").write_text(CONFIG)
    settings = load()
    beginning.board_made(settings)
    yield settings
    assert check(settings.board, schema_text()) == []


def said(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(cli, list(words), input=stdin)


def ok(*words: str, stdin: str | None = None) -> str:
    result = said(*words, stdin=stdin)
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    return result.stdout


def refused(code: int, *words: str) -> str:
    """The command fails with this code, and says why in one line on stderr alone."""
    result = said(*words)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert result.stderr.startswith("orchestrator: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def post(title: str = "a task", *options: str) -> int:
    return int(json.loads(ok("post", title, "--agent", "worker", "--due", LATER, *options, "--json"))["task"])


def sql(board: Path, *statements: str) -> None:
    """What an operator does in a shell of their own."""
    with closing(sqlite3.connect(board)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


@contextmanager
def process(*words: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a process of its own; killed at the end if it still runs."""
    command = [sys.executable, "-m", "orchestrator", *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def line_of(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    return running.stdout.readline()


@contextmanager
def daemon(*words: str) -> Iterator[dict[str, Any]]:
    """A running one: what it said when it was ready."""
    with process("run", "--json", *words) as running:
        yield {**json.loads(line_of(running)), "process": running}
        running.terminate()
        _, errors = running.communicate(timeout=20)
    assert (running.returncode, errors) == (0, "")


def until(condition: Any, seconds: float = 15) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- the whole -------------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    heavy = "pydantic pydantic_settings httpx starlette uvicorn jinja2 rich aiosqlite asyncio api orchestrator.config"
    code = f"import sys, orchestrator.cli; print(sorted(set({heavy.split()!r}) & set(sys.modules)))"

    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert shown.stdout == "[]\n"


EVERY = sorted(cli.commands)


def test_the_commands_are_the_ordered_ones() -> None:
    ordered = "init check feed token audit config completion run status agents accounts slots tasks show output events logs post approve reject answer cancel reopen recheck gone pause resume drain permission why doctor prompt backup spending workspaces sql watches notices heartbeat"
    assert sorted(ordered.split()) == EVERY


@pytest.mark.parametrize("name", EVERY)
def test_every_command_has_json_config_board_and_help(name: str) -> None:
    options = {option for parameter in cli.commands[name].params for option in parameter.opts}

    assert {"--json", "--config", "--board"} <= options
    assert said(name, "--help").exit_code == 0
    assert cli.commands[name].short_help
    for parameter in cli.commands[name].params:
        assert not isinstance(parameter, click.Option) or parameter.help, parameter.name


READS = (
    ["status"], ["agents"], ["slots"], ["config"], ["tasks"], ["tasks", "--status", "done"], ["show", "1"], ["why", "1"], ["prompt", "1"], ["doctor"], ["check"],
    ["sql", "SELECT 1 AS one"], ["backup"],
)  # fmt: skip


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_with_json_stdout_is_one_json_value_and_nothing_else(here: Settings, words: list[str]) -> None:
    post("\x1b]0;title\x07 'quotes' \u202e \x9b31m")

    shown = ok(*words, "--json")

    json.loads(shown)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown)


def test_reading_works_beside_a_daemon(here: Settings) -> None:
    post()

    with daemon():
        for words in READS:
            ok(*words)


@pytest.mark.parametrize(
    "words",
    [*[words for words in READS[:10] if words != ["config"]], ["events"], ["logs", "1"], ["cancel", "1"], ["sql", "x"]],
    ids=" ".join,
)
def test_without_a_board_init_is_named(words: list[str]) -> None:
    if words == ["doctor"]:
        assert "There is no board" in said(*words).stdout
    else:
        assert "`orchestrator init` makes one" in refused(exits.NOT_FOUND, *words)


@pytest.mark.parametrize(
    "words", [["show"], ["why"], ["prompt"], ["logs"], ["events", "--task"], ["cancel"], ["reopen"]]
)
def test_a_task_that_does_not_exist_is_exit_3_with_a_sentence(here: Settings, words: list[str]) -> None:
    assert "there is no task 99" in refused(exits.NOT_FOUND, *words, "99")


@pytest.mark.parametrize("words", [["show", "0"], ["show", "x"], ["tasks", "--status", "gone"], ["nonsense"]])
def test_a_wrong_command_line_is_exit_2(here: Settings, words: list[str]) -> None:
    assert said(*words).exit_code == exits.USAGE


def test_a_wrong_configuration_is_exit_2_with_a_line_for_each_problem(tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text("bord = 1\n[api]\nprt = 2\n")

    result = said("status")

    assert result.exit_code == exits.USAGE
    assert [line.split(": ")[2] for line in result.stderr.splitlines()] == ["api.prt", "bord"]


def test_config_and_board_may_stand_before_or_after_the_command(tmp_path: Path) -> None:
    ok("init", "elsewhere")
    file = str(tmp_path / "elsewhere" / "orchestrator.toml")

    assert "elsewhere" in ok("status", "--config", file)
    assert "elsewhere" in ok("--config", file, "status")
    assert "elsewhere" in ok("--board", "elsewhere/board.db", "status")


def test_a_file_that_is_no_board_is_refused_with_a_sentence(here: Settings, tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a board at all" * 100)
    sql(tmp_path / "other.db", "CREATE TABLE t (a)")

    assert "text.db" in refused(exits.FAILED, "status", "--board", "text.db")
    assert "not a board" in refused(exits.FAILED, "status", "--board", "other.db")


# --- init and check --------------------------------------------------------------------------------------------


def test_init_makes_everything_private_and_check_is_content(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        ok("init", "new/folder")
    finally:
        os.umask(before)

    folder = tmp_path / "new" / "folder"
    assert {path.name: mode(path) for path in folder.iterdir() if "-" not in path.name} == {
        "orchestrator.toml": 0o600, "operator.token": 0o600, "board.db": mode(folder / "board.db"), "board.db.lock": 0o600,
    }  # fmt: skip
    assert said("check", "--config", "new/folder/orchestrator.toml").exit_code == 0


def test_a_second_init_changes_nothing_and_says_so(tmp_path: Path) -> None:
    ok("init")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file() and path.suffix != ".lock"}

    shown = json.loads(ok("init", "--json"))

    assert {name: each["new"] for name, each in shown.items()} == {"config": False, "board": False, "token": False}
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name in before}


def test_init_fresh_moves_aside_and_deletes_nothing(here: Settings, tmp_path: Path) -> None:
    post("old")

    ok("init", "--fresh")

    (aside,) = tmp_path.glob("before-*")
    assert {"board.db", "operator.token", "orchestrator.toml"} <= {path.name for path in aside.iterdir()}
    assert "old" in ok("tasks", "--board", str(aside / "board.db"))
    assert "no tasks yet" in ok("tasks")


def test_init_fresh_moves_the_calendars_of_the_folder_too(here: Settings, tmp_path: Path) -> None:
    (tmp_path / "team.ics").write_text("")
    config = tmp_path / "orchestrator.toml"
    config.write_text(config.read_text() + '\n[calendars.team]\nfile = "team.ics"\nagent = "worker"\n')

    ok("init", "--fresh")

    (aside,) = tmp_path.glob("before-*")
    assert (aside / "team.ics").exists() and not (tmp_path / "team.ics").exists()


def test_init_fresh_leaves_a_board_that_is_held_alone(here: Settings) -> None:
    with daemon():
        assert "holds the board" in refused(exits.TRY_AGAIN, "init", "--fresh")


def test_init_beside_a_daemon_says_what_is_there(here: Settings) -> None:
    with daemon():
        assert json.loads(ok("init", "--json"))["token"]["new"] is False


def test_the_starter_shows_every_key_with_its_default(tmp_path: Path) -> None:
    text = beginning.starter()
    words = {
        "public_base_url", "tls_cert", "tls_key", "workspace", "templates",
        "attempt_usd", "attempt_tokens", "task_usd", "task_tokens", "day_usd", "day_tokens", "budget",
        "session_max_attempts", "session_max_tokens", "memory",
    }  # those without a default  # fmt: skip
    spoken_out = re.sub(r"^#(?=\S)", "", text, flags=re.MULTILINE)
    spoken_out = "\n".join(line for line in spoken_out.splitlines() if line.split(" ")[0] not in words)
    (tmp_path / "all.toml").write_text(spoken_out)

    shown = load(Path("all.toml"), environ={}).shown()
    defaults = load(environ={}).shown()

    shown["agents"]["worker"]["argv"] = []
    assert (
        shown
        | {
            "config_file": None,
            **{key: {} for key in ("agents", "accounts", "calendars", "backends", "presence", "sinks", "watches")},
        }
        == defaults
    )
    from orchestrator.config_agent import AgentConfig

    assert shown["agents"]["worker"] == AgentConfig(enabled=False).model_dump(mode="json") | {
        "enabled": True,
        "account": "a-name",
    }
    assert load(environ={}).shown().keys() - set(re.findall(r"^#?\[*([a-z_]+)", text, re.MULTILINE)) == {
        "config_file",
    }


def test_check_names_what_is_missing(here: Settings, tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text(
        CONFIG
        + 'pass_env = ["NOT_SET_HERE"]\n[agents.lost]\nargv = ["no-such-program-anywhere"]\n[slots]\nfiles = ["none.toml"]\n'
    )

    result = said("check")

    assert result.exit_code == exits.MISSING
    assert "no-such-program-anywhere is not in PATH" in result.stdout
    assert "NOT_SET_HERE" in result.stdout
    assert "none.toml cannot be read" in result.stdout


def test_check_reports_a_bad_slot_with_its_sentence(here: Settings, tmp_path: Path) -> None:
    (tmp_path / "day.toml").write_text('[[slots]]\nagent = "worker"\nid = 1\nscheduled_at = "25:00"\n')
    (tmp_path / "orchestrator.toml").write_text(CONFIG + '[slots]\nfiles = ["day.toml"]\n')

    result = said("check")

    assert result.exit_code == exits.USAGE
    assert "25:00" in result.stdout


def test_check_finds_a_token_that_others_can_read(here: Settings) -> None:
    here.token_file.chmod(0o644)

    result = said("check")

    assert result.exit_code == exits.FAILED
    assert f"chmod 600 {here.token_file}" in result.stdout


def test_check_shows_no_secret(here: Settings, tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text(CONFIG + '[agents.worker.env]\nAPI_KEY = "hidden-from-all"\n')

    for words in (["--json"], ["--settings"]):
        result = said("check", *words)
        assert "hidden-from-all" not in result.output
        assert "API_KEY" in result.output


@pytest.mark.parametrize(
    ("version", "has"),
    [
        ((3, 6, 23), False), ((3, 7, 0), True), ((3, 40, 1), True), ((3, 44, 5), True), ((3, 44, 6), False), ((3, 45, 0), True),
        ((3, 50, 6), True), ((3, 50, 7), False), ((3, 51, 0), True), ((3, 51, 2), True), ((3, 51, 3), False), ((3, 52, 0), False),
    ],
)  # fmt: skip
def test_the_releases_with_the_reset_bug_are_known(version: tuple[int, int, int], has: bool) -> None:
    assert preflight.has_reset_bug(version) is has


def test_a_network_file_system_is_refused_by_check_and_run(
    here: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"1 0 0:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / {tmp_path} rw shared:1 - nfs4 server:/x rw\n")
    monkeypatch.setattr(filesystem, "MOUNTS", mounts)

    assert filesystem.kind_of(here.board) == "nfs4"
    assert "network file system (nfs4)" in said("check").stdout
    assert "network file system" in refused(exits.USAGE, "run")


def test_the_mount_nearest_to_a_path_decides(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "1 0 0:1 / / rw - ext4 a rw\n2 1 0:2 / /net rw - nfs s rw\n3 2 0:3 / /net/local\\040disk rw - xfs b rw\n"
        "4 1 0:4 / /over rw - cifs c rw\n5 1 0:5 / /over rw - tmpfs d rw\n"
    )

    kinds = [
        filesystem.kind_of(Path(path), mounts)
        for path in ("/a", "/net/b", "/net/local disk/b.db", "/network", "/over/x")
    ]

    assert kinds == ["ext4", "nfs", "xfs", "ext4", "tmpfs"]
    assert filesystem.kind_of(Path("/a"), tmp_path / "no such file") is None


def test_elsewhere_than_on_linux_run_refuses_and_check_says_so(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    post()
    monkeypatch.setattr(preflight.sys, "platform", "darwin")

    assert "needs Linux" in refused(exits.MISSING, "run")
    assert "needs Linux" in said("check").stdout
    ok("tasks")
    ok("sql", "SELECT 1")


# --- looking ---------------------------------------------------------------------------------------------------


def test_an_empty_board_has_a_sentence_for_everything(here: Settings) -> None:
    assert "no tasks yet" in ok("tasks")
    assert "no task is like that" in ok("tasks", "--status", "done")
    assert "nothing has happened yet" in ok("events")
    assert "none yet" in ok("status")
    assert "no rows" in ok("sql", "SELECT * FROM tasks")
    assert json.loads(ok("tasks", "--json")) == []


def test_tasks_are_narrowed_by_state_agent_and_project(here: Settings) -> None:
    first, second = post("one"), post("two")
    ok("cancel", str(first))

    def ids(*words: str) -> list[int]:
        return [row["id"] for row in json.loads(ok("tasks", "--json", *words))]

    assert ids() == [second, first]
    assert ids("--status", "cancelled") == [first]
    assert ids("--agent", "worker", "--limit", "1") == [second]
    assert ids("--agent", "nobody") == ids("--project", "nothing") == []


def test_a_title_steers_no_terminal(here: Settings) -> None:
    post("red \x1b[31malert\x1b]0;owned\x07 \u202egnp.exe")

    for words in (
        ["tasks"],
        ["status"],
        ["show", "1"],
        ["events"],
        ["sql", "SELECT title FROM tasks"],
        ["prompt", "1"],
    ):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", ok(*words)), words


def test_harmless_keeps_what_people_write() -> None:
    assert harmless("Grüße 👋 “x” [red] \t\n") == "Grüße 👋 “x” [red] \t\n"
    assert json.loads(as_json({"a": "\x9b\x7fü"})) == {"a": "\x9b\x7fü"}


def test_show_tells_the_whole_story(here: Settings) -> None:
    parent = post("the parent")
    task = post(
        "the child",
        "--parent",
        str(parent),
        "--needs",
        str(parent),
        "--description",
        "do\nthis",
        "--must",
        "so",
        "--must",
        "and so",
    )
    ok("cancel", str(parent), "not wanted")

    shown = ok("show", str(task))

    for part in (
        "the child",
        "do",
        "this",
        "so",
        "and so",
        "needs",
        "cancelled  the parent",
        f"parent      {parent}",
        "events",
        "post by person",
    ):
        assert part in shown, part


def test_why_shows_the_closed_gate_and_that_nobody_runs_the_board(here: Settings) -> None:
    later = post()
    now = json.loads(ok("post", "now", "--agent", "worker", "--json"))["task"]

    assert "CLOSED  due" in ok("why", str(later))
    assert "no daemon runs this board" in ok("why", str(now))


def test_prompt_starts_nothing_and_holds_no_token(here: Settings) -> None:
    task = post("say hello")

    shown = ok("prompt", str(task))

    assert "say hello" in shown
    assert tokens.PREFIX not in shown
    assert not here.attempts_dir.exists()


# --- posting and deciding --------------------------------------------------------------------------------------


def test_post_takes_all_its_options(here: Settings) -> None:
    needed = post("needed")
    task = post("all of it", "--needs", str(needed), "--review", "human", "--wall-seconds", "5", "--max-tries", "2",
                "--priority", "9", "--type", "code", "--data", '{"ticket": 7}', "--not-before", "2999-01-02T00:00+01:00")  # fmt: skip

    shown = json.loads(ok("show", str(task), "--json"))

    assert (shown["review"], shown["wall_seconds"], shown["max_tries"], shown["priority"]) == ("human", 5, 2, 9)
    assert (shown["task_type"], shown["data"], shown["not_before"]) == (
        "code",
        {"ticket": 7},
        "2999-01-01T23:00:00.000Z",
    )
    assert [need["id"] for need in shown["needs"]] == [needed]


def test_post_reads_a_description_from_stdin_as_it_is(here: Settings) -> None:
    text = 'it\'s "$(quoted)" `x`\nüñí 👋\n'

    task = json.loads(ok("post", "t", "--agent", "worker", "--description", "-", "--due", LATER, "--json", stdin=text))[
        "task"
    ]

    assert json.loads(ok("show", str(task), "--json"))["description"] == text


def test_a_posted_task_gets_the_policy_of_its_agent(here: Settings, tmp_path: Path) -> None:
    (tmp_path / "orchestrator.toml").write_text(CONFIG + "[agents.worker.policy]\nmax_tries = 7\n")

    task = post()

    assert json.loads(ok("show", str(task), "--json"))["max_tries"] == 7


@pytest.mark.parametrize(
    "words",
    [
        [], ["t"], ["t", "--agent", "worker", "--role", "dev"], ["t", "--agent", "worker", "--slots", "f.toml"],
        ["t", "--agent", "worker", "--due", "tomorrow"], ["t", "--agent", "worker", "--data", "[1]"],
        ["t", "--agent", "worker", "--data", "{"], ["t", "--agent", "worker", "--wall-seconds", "0"], ["", "--agent", "worker"],
    ],
)  # fmt: skip
def test_post_refuses_what_it_cannot_mean(here: Settings, words: list[str]) -> None:
    refused(exits.USAGE, "post", *words)


def test_post_for_an_agent_nobody_knows_says_so(here: Settings) -> None:
    assert "no agent 'nobody'" in refused(exits.NOT_FOUND, "post", "t", "--agent", "nobody")


SLOTS = {
    "day.toml": '[[slots]]\nagent = "worker"\nid = 1\nscheduled_at = 2999-01-01T09:00:00\n',
    "day.json": '[{"agent": "worker", "id": 1, "scheduled_at": "2999-01-01T09:00"}]',
    "days.json": '{"schedules": {"worker": [{"id": 1, "scheduled_at": "2999-01-01T09:00"}]}, "time_zone": "UTC"}',
}


@pytest.mark.parametrize("name", SLOTS)
def test_a_file_of_slots_makes_each_task_once_on_both_roads(here: Settings, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(SLOTS[name])

    assert json.loads(ok("post", "--slots", name, "--json"))["tasks"] == [1]
    with daemon():
        assert json.loads(ok("post", "--slots", name, "--json"))["tasks"] == []

    assert json.loads(ok("show", "1", "--json"))["due_at"] == "2999-01-01T09:00:00.000Z"


def test_a_bad_slot_is_refused_and_the_others_go_in(here: Settings, tmp_path: Path) -> None:
    (tmp_path / "day.toml").write_text(
        SLOTS["day.toml"] + '[[slots]]\nagent = "nobody"\nid = 2\nscheduled_at = "2999-01-01T09:00"\n'
    )

    result = said("post", "--slots", "day.toml")

    assert result.exit_code == exits.REFUSED
    assert "tasks: 1" in result.stdout
    assert "nobody" in result.stdout


@pytest.mark.parametrize("text", ["[[slots]", "slots = 1", "stots = []", "\ud800".encode("utf-8", "surrogatepass")])
def test_a_broken_file_of_slots_is_refused(here: Settings, tmp_path: Path, text: str | bytes) -> None:
    (tmp_path / "day.toml").write_bytes(text if isinstance(text, bytes) else text.encode())

    assert "day.toml" in refused(exits.REFUSED, "post", "--slots", "day.toml") or "cli" in refused(
        exits.REFUSED, "post", "--slots", "day.toml"
    )


def test_a_slot_file_keeps_times_as_text(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text("a = 09:00:00\nb = 2026-01-02\nc = [2026-01-02T03:04:05Z]\n")

    assert slot_files.read(tmp_path / "x.toml") == {
        "a": "09:00:00",
        "b": "2026-01-02",
        "c": ["2026-01-02T03:04:05+00:00"],
    }


@pytest.mark.parametrize(
    ("text", "zone", "meant"),
    [
        ("2026-01-31T09:00", "Europe/Berlin", "2026-01-31T08:00:00.000Z"),
        ("2026-01-31T09:00:00.123Z", "Europe/Berlin", "2026-01-31T09:00:00.123Z"),
        ("2026-01-31 09:00+05:30", "UTC", "2026-01-31T03:30:00.000Z"),
        ("23:30", "America/New_York", "2026-07-02T03:30:00.000Z"),
        ("+90s", "UTC", "2026-07-01T12:01:30.000Z"),
        ("+1.5h", "UTC", "2026-07-01T13:30:00.000Z"),
        ("+2d", "UTC", "2026-07-03T12:00:00.000Z"),
    ],
)
def test_times_are_meant_as_people_type_them(text: str, zone: str, meant: str) -> None:
    from blackboard.clock import from_text

    assert instants.instant(text, zone, "--due", from_text("2026-07-01T12:00:00.000Z")) == meant


@pytest.mark.parametrize("text", ["", "soon", "25:00", "2026-13-01T00:00", "+5", "-5m", "+999999999d"])
def test_a_time_that_is_none_is_a_usage_error(text: str) -> None:
    with pytest.raises(exits.Exit) as told:
        instants.instant(text, "UTC", "--due")
    assert told.value.code == exits.USAGE


def test_a_blocked_task_is_answered_a_cancelled_one_reopened(here: Settings) -> None:
    task = str(post())
    sql(here.board, f"UPDATE tasks SET status = 'blocked' WHERE id = {task}")

    assert "answer" in ok("status")
    ok("answer", task, "by name")
    ok("cancel", task)
    ok("reopen", task, "after all")

    assert json.loads(ok("show", task, "--json"))["answer"] == "by name"
    assert json.loads(ok("tasks", "--json"))[0]["status"] == "pending"


def test_what_the_state_does_not_allow_is_exit_4_and_says_what_it_allows(here: Settings) -> None:
    task = str(post())

    assert "cancel" in refused(exits.REFUSED, "approve", task)
    assert "cancel" in refused(exits.REFUSED, "reject", task, "no")


# --- watching --------------------------------------------------------------------------------------------------


def test_events_come_in_order_narrowed_and_after_an_id(here: Settings) -> None:
    first, second = post(), post()

    def lines(*words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in ok("events", "--json", *words).splitlines()]

    every = lines("--after", "0")
    assert [event["id"] for event in every] == sorted(event["id"] for event in every)
    assert {event["task_id"] for event in lines("--task", str(second))} == {second}
    assert lines("--after", str(every[0]["id"])) == every[1:]
    assert lines("--limit", "1") == every[-1:]
    assert isinstance(every[0]["data"], dict)
    assert f"task {first}" in ok("events")


def test_events_follow_shows_what_happens_and_ends_cleanly(here: Settings) -> None:
    post()
    with process("events", "--follow", "--json") as following:
        assert json.loads(line_of(following))["task_id"] == 1
        post()
        assert json.loads(line_of(following))["task_id"] == 2
        following.send_signal(signal.SIGINT)
        _, errors = following.communicate(timeout=10)

    assert (following.returncode, errors) == (0, "")


def test_a_reader_that_goes_away_ends_the_command_quietly(here: Settings) -> None:
    post()
    with process("events", "--follow") as following:
        line_of(following)
        assert following.stdout is not None
        following.stdout.close()
        post()
        assert following.wait(timeout=10) == 0
        assert following.stderr is not None
        assert following.stderr.read() == ""


def attempted(settings: Settings) -> int:
    """A task the worker has done."""
    task = int(json.loads(ok("post", "do it", "--agent", "worker", "--json"))["task"])
    with process("run", "--once", "--json") as running:
        running.communicate(timeout=30)
    assert running.returncode == 0
    return task


def test_once_does_what_is_due_waits_for_it_and_ends(here: Settings) -> None:
    task = attempted(here)

    shown = json.loads(ok("show", str(task), "--json"))
    assert shown["status"] == "done"
    assert shown["attempts"][0]["gone_at"]
    assert holder(here.board) is None


def test_logs_are_shown_with_tokens_masked(here: Settings) -> None:
    task = attempted(here)
    file = here.attempts_dir / "1" / "stdout.log"
    token = tokens.mint()
    with file.open("a") as log:
        log.write(f"token={token} \x1b[31mred\n")

    shown = ok("logs", str(task))

    assert "working in " in shown
    assert token not in shown and "bbt_***" in shown and "\x1b" not in shown
    assert json.loads(ok("logs", str(task), "--json").splitlines()[-1])["attempt"] == 1
    assert "has no attempt 2" in refused(exits.NOT_FOUND, "logs", str(task), "--attempt", "2")
    assert "was not attempted yet" in refused(exits.NOT_FOUND, "logs", str(post()))
    assert ok("logs", str(task), "--stderr").count("\n") == 1  # only whose log it is


@pytest.mark.parametrize("before", range(0, 200, 7))
def test_no_token_is_cut_in_two_in_a_line_without_an_end(tmp_path: Path, before: int) -> None:
    token, file = tokens.mint(), tmp_path / "log"
    filler = b"x" * (logfile.LONGEST_LINE - before)
    file.write_bytes(filler + token.encode() + b" " * logfile.LONGEST_LINE)

    shown = "".join(logfile.lines(file, lambda: False))

    assert token[8:] not in shown and token[:20] not in shown
    assert "bbt_***" in shown


def test_a_log_is_followed_until_its_attempt_is_gone_even_when_it_is_cut(tmp_path: Path) -> None:
    file = tmp_path / "log"
    steps = iter(
        [lambda: file.write_text("one\n"), lambda: file.write_text("one\ntwo\nthr"), lambda: file.write_text("4\n")]
    )
    turns = 0

    def more() -> bool:
        nonlocal turns
        turns += 1
        step = next(steps, None)
        if step:
            step()
        return turns < 4

    assert list(logfile.lines(file, more)) == ["one", "two", "thr4"]


# --- the board as a file ---------------------------------------------------------------------------------------


def test_doctor_is_silent_on_a_good_board_and_exit_1_on_a_bad_one(here: Settings, tmp_path: Path) -> None:
    post()
    assert "no findings" in ok("doctor")
    ok("backup", "copy.db")
    sql(tmp_path / "copy.db", "DROP TRIGGER task_stays", "DELETE FROM tasks")

    result = said("doctor", "copy.db", "--json")

    assert result.exit_code == exits.FAILED
    assert json.loads(result.stdout)["findings"]


def test_a_backup_is_whole_private_and_never_overwrites(here: Settings, tmp_path: Path) -> None:
    post("kept")
    with daemon():
        shown = json.loads(ok("backup", "copy.db", "--json"))

    assert shown["backup"] == "copy.db"
    assert mode(tmp_path / "copy.db") == 0o600
    assert check(tmp_path / "copy.db", schema_text()) == []
    assert "kept" in ok("tasks", "--board", "copy.db")
    assert "exists" in refused(exits.FAILED, "backup", "copy.db")
    assert "cannot be written" in refused(exits.FAILED, "backup", "no/such/folder/x.db")
    assert list(tmp_path.glob(".*.tmp")) == []


def test_sql_answers_as_table_json_and_csv(here: Settings) -> None:
    query = "SELECT 1 AS a, NULL AS b, 'x,\"y' AS c, x'00ff' AS d"

    assert ok("sql", query).splitlines()[0].split() == ["a", "b", "c", "d"]
    assert json.loads(ok("sql", query, "--json")) == [{"a": 1, "b": None, "c": 'x,"y', "d": "00ff"}]
    assert ok("sql", query, "--format", "csv") == 'a,b,c,d\n1,,"x,""y",00ff\n'
    assert (
        ok("sql", "--format", "csv", stdin="SELECT 1 AS a; SELECT ';' AS b;\nSELECT\n 2 AS c") == "a\n1\nb\n;\nc\n2\n"
    )


@pytest.mark.parametrize(
    "query",
    [
        "UPDATE tasks SET title = 'x'", "DELETE FROM tasks", "ATTACH 'other.db' AS o", "VACUUM INTO 'copy.db'", "BEGIN",
        "PRAGMA journal_mode = DELETE", "PRAGMA query_only = 0", "CREATE TEMP TABLE t (a)", "SELECT * FROM nothing", "nonsense",
        "SELECT 1; SELECT 2",
    ],
)  # fmt: skip
def test_sql_only_reads(here: Settings, tmp_path: Path, query: str) -> None:
    before = sorted(path.name for path in tmp_path.iterdir() if "-" not in path.name)

    assert "sql: " in refused(exits.USAGE, "sql", query)

    assert sorted(path.name for path in tmp_path.iterdir() if "-" not in path.name) == before


def test_statements_end_at_their_semicolon() -> None:
    lines = ["SELECT 1; SELECT ';'", " AS x;\n", "-- a remark;\n", "SELECT 3"]

    assert [text.strip() for text in statements(lines)] == ["SELECT 1;", "SELECT ';' AS x;", "-- a remark;\nSELECT 3"]


# --- run -------------------------------------------------------------------------------------------------------


def test_run_says_where_everything_is(here: Settings) -> None:
    with process("run") as running:
        text = ""
        while "Ctrl-C" not in text:
            text += line_of(running)
        running.terminate()
        running.communicate(timeout=20)

    for part in (
        str(here.board),
        "http://127.0.0.1:",
        str(here.token_file),
        str(here.attempts_dir),
        "worker",
        "status",
        "post",
    ):
        assert part in text, part
    assert running.returncode == 0


def test_run_tells_each_event_once_in_order(here: Settings) -> None:
    with daemon() as running:
        task = int(json.loads(ok("post", "do it", "--agent", "worker", "--json"))["task"])
        until(lambda: json.loads(ok("tasks", "--json"))[0]["status"] == "done")
        until(lambda: json.loads(ok("show", str(task), "--json"))["attempts"][0]["gone_at"])
        running["process"].terminate()
        told = [json.loads(line) for line in running["process"].communicate(timeout=20)[0].splitlines()]

    events = [event for event in told if "verb" in event]
    stored = [json.loads(line) for line in ok("events", "--after", "0", "--json").splitlines()]
    assert [event["id"] for event in events] == [event["id"] for event in stored]


def test_a_second_run_is_refused_with_pid_and_url(here: Settings) -> None:
    with daemon() as first:
        sentence = refused(exits.TRY_AGAIN, "run")

    assert str(first["pid"]) in sentence
    assert first["url"] in sentence


def test_a_taken_port_is_said_before_anything_is_claimed(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    task = json.loads(ok("post", "now", "--agent", "worker", "--json"))["task"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("ORCH_API__PORT", str(taken.getsockname()[1]))
        assert "ORCH_API__PORT" in refused(exits.MISSING, "run")

    assert json.loads(ok("show", str(task), "--json"))["attempts"] == []
    assert holder(here.board) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_run_cleanly(here: Settings, number: signal.Signals) -> None:
    with process("run", "--json") as running:
        assert json.loads(line_of(running))["ready"]
        running.send_signal(number)
        out, errors = running.communicate(timeout=20)

    assert (running.returncode, errors) == (0, "")
    assert [json.loads(line) for line in out.splitlines()] == [{"stopping": True}, {"stopped": True}]
    lock = BoardLock.try_take(here.board)
    assert lock is not None
    lock.release()


def test_one_signal_passed_on_twice_is_one_signal(here: Settings) -> None:
    with process("run", "--json") as running:
        line_of(running)
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGINT)
        running.communicate(timeout=20)

    assert running.returncode == 0


def test_agents_left_running_keep_their_address_and_are_taken_over(
    here: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "orchestrator.toml").write_text(CONFIG.replace("sleep 0.2", "exec sleep 300"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    task = json.loads(ok("post", "long", "--agent", "worker", "--json"))["task"]

    def attempt() -> dict[str, Any]:
        attempts = json.loads(ok("show", str(task), "--json"))["attempts"]
        return dict(attempts[0]) if attempts else {}

    monkeypatch.setenv("ORCH_API__PORT", port)
    with daemon("--on-exit", "leave"):
        until(lambda: attempt().get("agent_pid"))
    assert attempt()["ended_at"] is None
    os.kill(attempt()["agent_pid"], 0)  # it lives on

    monkeypatch.setenv("ORCH_API__PORT", "0")
    sentence = refused(exits.REFUSED, "run")
    assert port in sentence and f"task {task}" in sentence

    monkeypatch.setenv("ORCH_API__PORT", port)
    with daemon():
        pass
    assert (attempt()["outcome"], attempt()["gone_at"] is not None) == ("stopped", True)
    with pytest.raises(ProcessLookupError):
        os.kill(attempt()["agent_pid"], 0)


def test_a_dry_run_renders_and_starts_nothing(here: Settings) -> None:
    task = json.loads(ok("post", "now", "--agent", "worker", "--json"))["task"]

    with process("run", "--dry-run", "--json") as running:
        running.communicate(timeout=20)

    shown = json.loads(ok("show", str(task), "--json"))
    assert running.returncode == 0
    assert (shown["status"], [attempt["outcome"] for attempt in shown["attempts"]]) == ("pending", ["dry_run"])
    assert "now" in (here.attempts_dir / "1" / "prompt.md").read_text()
    assert not (here.attempts_dir / "1" / "stdout.log").exists()


def test_the_whole_way_with_a_person(here: Settings, tmp_path: Path) -> None:
    with daemon():
        task = str(json.loads(ok("post", "check it", "--agent", "worker", "--review", "human", "--json"))["task"])

        def status() -> Any:
            return json.loads(ok("show", task, "--json"))["status"]

        until(lambda: status() == "review")
        assert f"approve {task}" in ok("status")
        ok("reject", task, "once more")
        until(lambda: status() == "review" and len(json.loads(ok("show", task, "--json"))["attempts"]) == 2)
        ok("approve", task)
        assert status() == "done"


def test_a_terminal_that_takes_nothing_never_holds_events_up(here: Settings) -> None:
    class Stuck(Screen):
        def stream(self, value: object, line: str, style: str = "") -> None:
            time.sleep(60)

    say = Narrator(Stuck(as_json=True), "orchestrator", here.board, most=10)
    begun = time.monotonic()

    for number in range(1000):
        say.say(number, "")

    assert time.monotonic() - begun < 5


def test_a_blocked_task_and_a_review_say_what_to_type(here: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    base = {"id": 1, "at": "2026-01-31T09:00:00.000Z", "actor": "executor:w", "slot_id": None, "agent_id": "w", "src": "working", "reason": None, "data": None}  # fmt: skip
    with Narrator(Screen(as_json=False), "./o --config x", here.board) as say:
        say.event({**base, "task_id": 1, "verb": "block", "dst": "blocked"})
        for task, verbs in ((2, ("submit", "approve")), (3, ("submit",))):
            for verb in verbs:
                say.event({**base, "task_id": task, "verb": verb, "dst": {"submit": "review", "approve": "done"}[verb]})
            say.event({**base, "task_id": task, "verb": "gone", "src": None, "dst": None})

    told = [line.strip() for line in capsys.readouterr().out.splitlines() if "./o" in line]
    assert told == ['./o --config x answer 1 "..."', './o --config x show 3, then approve 3 or reject 3 "..."']


def test_the_command_is_spoken_so_that_it_works_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub dir").mkdir()
    (tmp_path / "sub dir" / "orchestrator.toml").write_text("")
    (tmp_path / "orchestrator").write_text("")
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "orchestrator")])

    assert (
        spoken.command(load(Path("sub dir/orchestrator.toml"))) == "./orchestrator --config 'sub dir/orchestrator.toml'"
    )
    monkeypatch.chdir(tmp_path / "sub dir")
    assert spoken.command(load()) == str(tmp_path / "orchestrator")
    monkeypatch.setattr(sys, "argv", ["/x/orchestrator/__main__.py"])
    assert spoken.command(load()).endswith(" -m orchestrator")
