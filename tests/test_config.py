"""The configuration: order of precedence, refusal of what nobody knows, paths, secrets, defaults of the schema."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.config import Settings
from orchestrator.config_agent import AgentConfig
from orchestrator.config_backends import BackendConfig
from orchestrator.config_calendars import CalendarConfig
from orchestrator.config_loading import ConfigError, load
from orchestrator.config_policy import PolicyNumbers
from orchestrator.config_sinks import SinkConfig
from orchestrator.config_watches import WatchConfig

ROOT = Path(__file__).resolve().parent.parent


def write(folder: Path, text: str, name: str = "orchestrator.toml") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def loaded(folder: Path, text: str = "", *, environ: dict[str, str] | None = None, **flags: Any) -> Settings:
    if text:
        write(folder, text)
    return load(cwd=folder, environ={"HOME": str(folder / "home"), **(environ or {})}, flags=flags)


def problems(folder: Path, text: str = "", **given: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text, **given)
    return caught.value.problems


def test_without_a_file_everything_has_a_default(tmp_path: Path) -> None:
    settings = loaded(tmp_path)

    assert settings.board == tmp_path / "board.db"
    assert settings.state_dir == tmp_path
    assert settings.api.local_url() == "http://127.0.0.1:8083"
    assert [project.id for project in settings.projects] == ["default"]
    assert settings.slots.project == "default"
    assert settings.config_file is None


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    text = '[api]\nport = 1001\nhost = "127.0.0.2"\nmax_body_bytes = 5000\n'
    environ = {"ORCH_API__PORT": "1002", "ORCH_API__HOST": "127.0.0.3"}

    api = loaded(tmp_path, text, environ=environ, api={"port": 1003}).api

    assert (api.port, api.host, api.max_body_bytes) == (1003, "127.0.0.3", 5000)


@pytest.mark.parametrize("present", [["named", "here", "user"], ["here", "user"], ["user"]])
def test_the_first_file_found_is_the_only_one_read(tmp_path: Path, present: list[str]) -> None:
    places = {
        "named": tmp_path / "elsewhere" / "x.toml",
        "here": tmp_path / "orchestrator.toml",
        "user": tmp_path / "xdg" / "orchestrator" / "config.toml",
    }
    for port, name in enumerate(present, start=2000):
        write(places[name].parent, f"[api]\nport = {port}\n", places[name].name)
    named = places["named"] if "named" in present else None

    settings = load(named, cwd=tmp_path, environ={"XDG_CONFIG_HOME": str(tmp_path / "xdg")})

    assert settings.api.port == 2000
    assert settings.config_file == places[present[0]]


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load(Path("none.toml"), cwd=tmp_path, environ={})


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "[api]\nport = 4711\n", "other.toml")

    assert loaded(tmp_path, environ={"ORCH_CONFIG": "other.toml"}).config_file == file


def test_bad_toml_names_the_file_and_the_line(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "[api\nport = 1\n")

    assert str(tmp_path / "orchestrator.toml") in problem
    assert "line 1" in problem


@pytest.mark.parametrize(
    ("text", "path", "hint"),
    [
        ("bord = 'x'", "bord", "did you mean board?"),
        ("[api]\nprt = 1", "api.prt", "did you mean port?"),
        ("[tick]\nmax_lives = 1", "tick.max_lives", "did you mean max_live?"),
        ("[agents.w]\nargv = ['x']\ngrace_second = 1", "agents.w.grace_second", "did you mean grace_seconds?"),
        ("[agents.w]\nargv = ['x']\n[agents.w.policy]\nmax_try = 1", "agents.w.policy.max_try", "max_tries?"),
        ("[[projects]]\nid = 'a'\nname = 'b'", "projects.0.name", "known are id, title"),
        ("config_file = 'x'", "config_file", "unknown key"),
    ],
)
def test_an_unknown_key_is_refused_with_its_path(tmp_path: Path, text: str, path: str, hint: str) -> None:
    (problem,) = problems(tmp_path, text)

    assert f"orchestrator.toml: {path}: unknown key" in problem
    assert hint in problem


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("[agents.w]\nargv = 3\n", "agent = 'w'"),
        ("[[projects]]\nid = 'not one'\n", "project = 'home'"),
    ],
)
def test_what_names_a_table_that_is_wrong_is_not_to_blame(tmp_path: Path, wrong: str, named: str) -> None:
    (problem,) = problems(tmp_path, f"{wrong}[calendars.team]\nfile = 'a.ics'\n{named}\n")

    assert "calendars" not in problem


def test_an_unknown_environment_variable_is_refused_by_its_name(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, environ={"ORCH_API__PRT": "1"})

    assert problem == "environment (ORCH_API__PRT): api.prt: unknown key; did you mean port?"


def test_a_bad_value_from_the_environment_names_the_variable(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "[api]\nport = 1\n", environ={"ORCH_API__PORT": "many"})

    assert problem.startswith("environment (ORCH_API__PORT): api.port: ")


def test_an_account_that_agents_name_needs_no_table_and_a_variable_sets_its_keys(tmp_path: Path) -> None:
    text = "[agents.w]\nargv = ['x']\naccount = 'Our-Key'\n"
    assert loaded(tmp_path, text).account("Our-Key").cold_after_seconds == 900
    found = loaded(tmp_path, text, environ={"ORCH_ACCOUNTS__OUR_KEY__COLD_AFTER_SECONDS": "5"})
    assert found.account("Our-Key").cold_after_seconds == 5


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    assert len(problems(tmp_path, "on_exit = 'maybe'\n[api]\nport = 70000\n[tick]\nmax_live = -1\n")) == 3


def keys(model: Any, *path: str) -> list[tuple[str, ...]]:
    found = []
    for name, field in model.model_fields.items():
        below = getattr(field.annotation, "model_fields", None)
        found += keys(field.annotation, *path, name) if below else [(*path, name)]
    return found


@pytest.mark.parametrize("path", keys(Settings) + keys(AgentConfig, "agents", "Code-Bot.1"), ids=".".join)
def test_every_key_can_be_set_by_the_environment(tmp_path: Path, path: tuple[str, ...]) -> None:
    values: dict[str, Any] = {
        "board": "/x/b.db", "state_dir": "/x", "on_exit": "leave", "host": "::1", "port": 9,
        "public_base_url": "https://a.example", "tls_cert": "/c", "tls_key": "/k", "review": "auto", "workspace": "/w",
        "projects": [{"id": "default", "title": "T"}], "agents": {"a": {"argv": ["x"]}}, "account": "a", "accounts": {"a": {"cold_after_seconds": 5.0}}, "argv": ["y", "{task}"],
        "roles": ["r"], "env": {"A": "b"}, "pass_env": ["P"], "prompt": "file", "graceful_signal": "INT",
        "leftovers": "keep", "files": ["/s.toml"], "time_zone": "Europe/Berlin", "project": "default", "runner": "command",
        "session_scope": "slot", "mode": "gateway", "binary": "/x/openclaw", "agent": "a", "model": "m", "thinking": "low",
        "probe": ["p", "{session_key}"], "cancel": ["c"], "args": ["-c", "x=y"],
        "max_body_bytes": 2048, "log_cap_bytes": 8192,
        "presence": {"hub": {"url": "https://hub/{agent}"}}, "claim_when": ["idle"],
        "templates": "/t", "wake": True, "wake_ack": "AWAKE", "action": "stop", "workspace_per": "agent", "repository": "/r",
        "base": "main", "branch": "b/{task}", "after_create": ["a"], "before_run": ["b", "{task}"], "after_run": ["c"], "before_remove": ["d"],
        "memory_share": 0.5, "calendar_open_to": ["gateway-1"], "file_bytes": 65536, "open_files": 16, "wrap": ["nice"], "writable": ["/a"], "hidden": ["/b"],
        "recurring": {"daily": {"agent": "a", "repeat": "0 9 * * *"}}, "calendars": {"team": CalendarConfig(file=Path("/c.ics"), agent="a").model_dump(mode="json")},
        "sinks": {"out": SinkConfig(type="file", folder=Path("/n")).model_dump(mode="json")},
        "backends": {"hf": BackendConfig(url="http://h").model_dump(mode="json")},
        "watches": {"hub": WatchConfig(url="http://h", agent="a").model_dump(mode="json")},
        "interval_seconds": 300, "active_hours": "08:00-22:00", "checklist": "look", "checklist_file": "/HEARTBEAT.md", "ack_word": "QUIET",
        "isolated_session": False, "light_context": True, "wake_after": True,
    }  # fmt: skip
    value = values.get(path[-1], False if "_" in path[-1] and path[-1].split("_")[0] in FLAGS else 7)
    value = "heartbeat" in path if path[-1] == "enabled" else value
    value = ["phone"] if path[-2:] == ("heartbeat", "sinks") else value
    variable = "ORCH_" + "__".join(part.upper().replace("-", "_").replace(".", "_") for part in path)
    environ = {variable: json.dumps(value) if isinstance(value, list | dict) else str(value)}
    if path[-1].startswith("tls_"):
        environ |= {"ORCH_API__TLS_CERT": "/c", "ORCH_API__TLS_KEY": "/k"}

    text = "[agents.'Code-Bot.1']\nargv = ['x']\n"
    if path in (("calendars",), ("watches",)):
        text += "[agents.a]\nargv = ['x']\n"
    if path[-2:] == ("heartbeat", "sinks"):
        text += "[sinks.phone]\ntype = 'file'\nfolder = '/n'\n"
    if path == ("accounts",):
        text += "account = 'a'\n"
    if path[-1] in ("writable", "hidden"):
        text += "wrap = 'bwrap'\n"
    if "openclaw" in path:
        text = "[agents.'Code-Bot.1']\nrunner = 'openclaw'\nopenclaw = { agent = 'x' }\n"
    if "program" in path or path[-2:] == ("heartbeat", "model"):
        text = "[agents.'Code-Bot.1']\nrunner = 'claude'\n"
    if path[-1].startswith("session_max"):
        text = "[agents.'Code-Bot.1']\nrunner = 'claude'\nsession_scope = 'task'\n"
    if "worktree" in path:
        text += "worktree = { repository = '/x' }\n"
    shown: Any = loaded(tmp_path, text, environ=environ).model_dump(mode="json")

    for part in path:
        shown = shown[part]
    if path == ("agents",):
        assert shown["a"]["argv"] == ["x"]
    elif path == ("presence",):
        assert shown["hub"]["url"] == "https://hub/{agent}"
    else:
        assert shown == value


FLAGS = ("allow", "needs", "waits", "calls", "require")


def test_the_name_of_an_agents_own_variable_keeps_its_case(tmp_path: Path) -> None:
    environ = {"ORCH_AGENTS__W__ENV__Http_Proxy": "p", "ORCH_AGENTS__W__ENV__A__B": "{not json"}

    settings = loaded(tmp_path, "[agents.w]\nargv = ['x']\n", environ=environ)

    assert settings.agents["w"].env == {"Http_Proxy": "p", "A__B": "{not json"}


def test_relative_paths_begin_where_they_were_written(tmp_path: Path) -> None:
    text = (
        "state_dir = 'state'\n[slots]\nfiles = ['day.toml', '/abs.json']\n[agents.w]\nargv = ['./run', './x']\n"
        "wrap = 'bwrap'\nwritable = ['cache', '~/mine']\n[agents.v]\nargv = ['x']\nwrap = ['./box', './y']\n"
    )
    file = write(tmp_path / "conf", text)

    settings = load(file, cwd=tmp_path, environ={"ORCH_BOARD": "here.db"})

    assert settings.board == tmp_path / "here.db"
    assert settings.state_dir == tmp_path / "conf" / "state"
    assert settings.slots.files == (tmp_path / "conf" / "day.toml", Path("/abs.json"))
    assert settings.agents["w"].argv == (str(tmp_path / "conf" / "run"), "./x")
    assert settings.agents["w"].wrap == ("bwrap",)
    assert settings.agents["w"].writable == (tmp_path / "conf" / "cache", Path.home() / "mine")
    assert settings.agents["v"].wrap == (str(tmp_path / "conf" / "box"), "./y")


def test_the_state_is_beside_the_board_unless_told_otherwise(tmp_path: Path) -> None:
    assert loaded(tmp_path, board="/elsewhere/b.db").state_dir == Path("/elsewhere")


def test_settings_are_frozen(tmp_path: Path) -> None:
    settings = loaded(tmp_path)

    with pytest.raises(ValidationError):
        settings.on_exit = "leave"
    with pytest.raises(ValidationError):
        settings.api.port = 1


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ("[]", "which program"),
        ("['']", "which program"),
        ("['x', '{token}']", "{token} is no placeholder"),
        ("['x', '{task.__class__}']", "is no placeholder"),
        ("['x', '{task!r}']", "is no placeholder"),
        ("['x', '{}']", "is no placeholder"),
        (r'["x", "a\u0000b"]', "NUL"),
    ],
)
def test_an_argv_that_cannot_work_is_refused(tmp_path: Path, argv: str, told: str) -> None:
    (problem,) = problems(tmp_path, f"[agents.w]\nargv = {argv}\n")

    assert "agents.w" in problem
    assert told in problem


def test_doubled_braces_are_braces(tmp_path: Path) -> None:
    assert (
        loaded(tmp_path, "[agents.w]\nargv = ['x', '{{\"task\": {task}}}']\n").agents["w"].argv[1]
        == '{{"task": {task}}}'
    )


def test_a_disabled_agent_needs_no_program(tmp_path: Path) -> None:
    assert not loaded(tmp_path, "[agents.w]\nenabled = false\n").agents["w"].enabled


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "board.example.org", "127.0.0.1.evil.org", ""])
def test_another_address_needs_tls_or_an_explicit_word(tmp_path: Path, host: str) -> None:
    (problem,) = problems(tmp_path, f"[api]\nhost = '{host}'\n")

    assert "allow_insecure_bind" in problem
    assert loaded(tmp_path, f"[api]\nhost = '{host}'\nallow_insecure_bind = true\n")
    assert (
        loaded(tmp_path, f"[api]\nhost = '{host}'\ntls_cert = 'c'\ntls_key = 'k'\n").api.local_url().startswith("https")
    )


@pytest.mark.parametrize("url", ["board.example.org", "http://", "ftp://x", "http://u:p@x", "http://x?y", "http://x y"])
def test_a_base_url_is_a_plain_http_address(tmp_path: Path, url: str) -> None:
    assert "public_base_url" in problems(tmp_path, f"[api]\npublic_base_url = '{url}'\n")[0]


def test_a_base_url_loses_its_last_slash(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "[api]\npublic_base_url = 'https://a.example/board/'\n")

    assert settings.base_url(1) == "https://a.example/board"


def test_the_port_really_bound_is_in_the_address(tmp_path: Path) -> None:
    assert loaded(tmp_path, "[api]\nport = 0\nhost = '::1'\n").base_url(4321) == "http://[::1]:4321"


def test_a_zone_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert "IANA" in problems(tmp_path, "[slots]\ntime_zone = 'Mars/Base'\n")[0]


def test_slots_go_to_a_project_that_exists(tmp_path: Path) -> None:
    two = "[[projects]]\nid = 'a'\n[[projects]]\nid = 'b'\n"

    assert loaded(tmp_path, two).slots.project == "a"
    assert "slots: project 'c' is not in projects: a, b" in problems(tmp_path, two + "[slots]\nproject = 'c'\n")[0]


@pytest.mark.parametrize("name", ["a b", ".a", "a/b", "ä", "x" * 65])
def test_names_are_those_the_board_accepts(tmp_path: Path, name: str) -> None:
    assert "letters, digits" in problems(tmp_path, f"[[projects]]\nid = '{name}'\n")[0]
    assert "letters, digits" in problems(tmp_path, f"[agents.'{name}']\nargv = ['x']\n")[0]


def test_no_secret_is_shown(tmp_path: Path) -> None:
    text = "[agents.w]\nargv = ['x', '--api-key', 'S1', '--token=S2', '-v']\nenv = {PLAIN = 'S3', API_KEY = 'S4'}\n"
    settings = loaded(tmp_path, text)

    shown = json.dumps(settings.shown())

    assert not [secret for secret in ("S1", "S2", "S3", "S4") if secret in shown]
    assert settings.shown()["agents"]["w"]["argv"] == ["x", "--api-key", "***", "--token=***", "-v"]
    assert "S4" not in repr(settings)


def test_policy_defaults_are_those_of_the_schema() -> None:
    board = sqlite3.connect(":memory:")
    board.executescript((ROOT / "schema.sql").read_text())
    columns = {row[1]: row[4] for row in board.execute("PRAGMA table_info(tasks)")}

    for name, value in PolicyNumbers().model_dump().items():
        said = columns[name] and json.loads(columns[name].replace("'", '"'))
        assert (None if said is None else type(value)(said)) == value, name


def test_a_policy_is_resolved_from_the_general_to_the_special(tmp_path: Path) -> None:
    text = "[policy]\nmax_tries = 5\nwall_seconds = 50\n[agents.w]\nargv = ['x']\npolicy = {wall_seconds = 60, review = 'auto'}\n"
    settings = loaded(tmp_path, text)

    policy = settings.policy_for("w", idle_seconds=7, startup_seconds=None)

    assert (policy.max_tries, policy.wall_seconds, policy.review) == (5, 60, "auto")
    assert (policy.idle_seconds, policy.startup_seconds) == (7, 300)
    assert settings.policy_for().wall_seconds == 50


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("argv = ['x']\nsession_max_attempts = 3", "session_max_attempts is for runners that go on with a session"),
        (
            "runner = 'codex'\nsession_max_tokens = 9",
            "session_max_tokens means nothing where each attempt has a session",
        ),
        ("runner = 'mini-swe-agent'\nsession_scope = 'task'", "mini-swe-agent keeps no sessions"),
    ],
)
def test_a_word_about_sessions_that_would_mean_nothing_is_refused(tmp_path: Path, table: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        loaded(tmp_path, f"[agents.a]\n{table}\n")
