"""Wrong configurations, from outside: each has a sentence of its own that names the place and says what to do.

None of them may touch a board that is there, make one that is not, or end in a traceback.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner

from blackboard.board import Board
from orchestrator import processes
from orchestrator.cli import cli
from orchestrator.config_agent import OUR_VARIABLE
from orchestrator.exits import FAILED, MISSING, USAGE

ROOT = Path(__file__).resolve().parent.parent
AGENT = '[agents.ada]\nargv = ["true"]\n'


@dataclass(frozen=True)
class Wrong:
    """A configuration that cannot be used. `place`: the key or path the sentence names; `to_do`: words of its cure.

    `run`: whether `run` refuses it too, before anything is made; what it passes it tells at its attempt or as an event.
    """

    text: str | bytes
    place: str
    to_do: str
    code: int = USAGE
    run: bool = True
    environ: dict[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    before: Callable[[Path], object] | None = None


def agent(line: str, name: str = "ada") -> str:
    return f'[agents."{name}"]\nargv = ["true"]\n{line}\n'


def sink(lines: str) -> str:
    return f"{AGENT}[sinks.out]\n{lines}\n"


def argv(words: str) -> str:
    return f"[agents.ada]\nargv = {words}\n"


def template(name: str, text: str) -> Callable[[Path], object]:
    def made(folder: Path) -> None:
        file = folder / "templates" / name
        file.parent.mkdir(parents=True)
        file.write_text(text)

    return made


def open_folder(folder: Path) -> None:
    (folder / "attempts").mkdir()
    (folder / "attempts").chmod(0o755)


TEMPLATES = AGENT + '[prompts]\ntemplates = "templates"\n'
GOOD = "{{ bb }}"

WRONG = {
    # the file itself
    "not TOML": Wrong("{}\n", "orchestrator.toml", "not valid TOML: Invalid statement (at line 1"),
    "a key without a value": Wrong("board =\n", "orchestrator.toml", "Invalid value (at line 1, column 8)"),
    "a key twice": Wrong("[api]\nport = 1\nport = 2\n", "orchestrator.toml", "Cannot overwrite a value (at line 3"),
    "not UTF-8": Wrong(b'board = "\xff"\n', "orchestrator.toml", "byte 9): save it as UTF-8"),
    "UTF-16": Wrong("board = 'x'".encode("utf-16"), "orchestrator.toml", "byte 0): save it as UTF-8"),
    "a NUL in it": Wrong(b'board = "a\0b"\n', "orchestrator.toml", r"Illegal character '\x00' (at line 1"),
    "a file that is not there": Wrong("", "none.toml", "cannot be read: No such file", words=("--config", "none.toml")),
    "a folder for a file": Wrong("", "folder", "cannot be read: Is a directory", words=("--config", "folder"),
                                 before=lambda here: (here / "folder").mkdir()),
    # keys
    "an unknown key": Wrong("bord = 'x'\n", "bord", "did you mean board?"),
    "an unknown table": Wrong("[webhooks]\nurl = 'x'\n", "webhooks", "known are accounts, agents, api, backends"),
    "an unknown key of an agent": Wrong(agent("grace_second = 1"), "agents.ada.grace_second", "mean grace_seconds?"),
    "an unknown key of a policy": Wrong("[policy]\nmax_try = 1\n", "policy.max_try", "did you mean max_tries?"),
    "a value for a table": Wrong("api = 1\n", "api", "input should be a table"),
    "a list for a table": Wrong("agents = []\n", "agents", "input should be a table"),
    "an account of nobody": Wrong("[accounts.openai]\n", "accounts", "no agent draws on 'openai': set account = \"openai\" on its agents"),
    "an account's name": Wrong(agent('account = "agent:ada"'), "agents.ada.account", "is made of letters, digits"),
    "an unknown key of an account": Wrong("[accounts.a]\ncold = 1\n", "accounts.a.cold", "known are cold_after_seconds"),
    # what holds an agent in
    "a sandbox nobody knows": Wrong(agent('wrap = "jail"'), "agents.ada.wrap", 'write "bwrap", or a list of words'),
    "an unknown key of a backend": Wrong("[backends.hf]\nurl = 'http://h'\ntoken = 'x'\n", "backends.hf.token", "did you mean token_file?"),
    "an unknown hook": Wrong(agent("hooks = { before_rum = ['x'] }"), "agents.ada.hooks.before_rum", "did you mean before_run?"),
    "an unknown key of what is kept": Wrong("[workspaces]\nfor_ever = 1\n", "workspaces.for_ever", "known are keep_done_days, keep_failed_days"),
    "a placeholder a sandbox does not have": Wrong(agent('wrap = ["box", "{hom}"]'), "agents.ada.wrap", "known are {agent}"),
    "a sandbox that is required and not named": Wrong(agent("require_sandbox = true"), "agents.ada", 'set wrap = "bwrap"'),
    "folders for a sandbox of their own": Wrong(agent('wrap = ["box"]\nhidden = ["/x"]'), "agents.ada", 'for wrap = "bwrap"'),
    "a sandbox whose program is not there": Wrong(agent('wrap = ["no-such-box"]'), "ada", "is not in PATH: install it, or mend wrap",
                                                  69, run=False),
    "a size in other words": Wrong(agent('memory = "much"'), "agents.ada.memory", 'a text such as "512 MiB"'),
    "an unknown limit": Wrong(agent("limits = { memory = 1 }"), "agents.ada.limits.memory", "did you mean memory_bytes?"),
    "no process at all": Wrong(agent("limits = { processes = 0 }"), "agents.ada.limits.processes", "greater than or equal to 1"),
    "more than all the memory": Wrong("[tick]\nmemory_share = 1.5\n", "tick.memory_share", "less than or equal to 1"),
    # sinks
    "an unknown key of a sink": Wrong(sink('type = "file"\nfolder = "x"\nfoldr = 1'), "sinks.out.foldr", "did you mean folder?"),
    "an unknown key of the notices": Wrong("[notices]\nkeep = 1\n", "notices.keep", "did you mean keep_days?"),
    "a sink without a type": Wrong(sink('folder = "x"'), "sinks.out.type", "field required"),
    "a sink of an unknown type": Wrong(sink('type = "pager"'), "sinks.out.type", "should be 'task', 'file'"),
    "a sink that lacks what its type needs": Wrong(sink('type = "webhook"\nurl = "https://h"'), "sinks.out", "a sink of type webhook needs secret_file"),
    "a key for another type": Wrong(sink('type = "file"\nfolder = "x"\nurl = "https://h"'), "sinks.out", "url is for a sink of type webhook, and this is a file"),
    "a task for two": Wrong(sink('type = "task"\nagent = "ada"\nrole = "r"'), "sinks.out", "for one agent or for one role"),
    "a task for nobody we know": Wrong(sink('type = "task"\nagent = "eve"'), "sinks", "names the agent 'eve', which is not in agents"),
    "a sink about a project nobody knows": Wrong(sink('type = "file"\nfolder = "x"\nabout_projects = ["q"]'), "sinks", "names the project 'q'"),
    "a task for nobody": Wrong(sink('type = "task"\nrole = "smith"'), "sinks", "sinks.out names the role 'smith', which no agent has"),
    "a kind nobody knows": Wrong(sink('type = "file"\nfolder = "x"\nkinds = ["all"]'), "sinks.out.kinds", "should be 'blocked', 'failed'"),
    "a sink that wants nothing": Wrong(sink('type = "file"\nfolder = "x"\nkinds = []'), "sinks.out.kinds", "nothing would ever be told"),
    "quiet hours in words": Wrong(sink('type = "file"\nfolder = "x"\nquiet_hours = "nights"'), "sinks.out.quiet_hours", "write them as 22:00-07:00"),
    "quiet hours all day": Wrong(sink('type = "file"\nfolder = "x"\nquiet_hours = "07:00-07:00"'), "sinks.out.quiet_hours", "write two different ones"),
    "a placeholder a sink does not have": Wrong(sink('type = "command"\nargv = ["x", "{body}"]'), "sinks.out.argv", "known are {agent}"),
    "a target that is an option": Wrong(sink('type = "openclaw"\ntarget = "--media=/etc/passwd"'), "sinks.out.target", "read as an option"),
    "a webhook over http": Wrong(sink('type = "webhook"\nsecret_file = "s"\nurl = "http://hooks.example/"'), "sinks.out", "use https, or say allow_http"),
    "a webhook with a password": Wrong(sink('type = "webhook"\nsecret_file = "s"\nurl = "https://a:b@hooks.example/"'), "sinks.out", "take them out"),
    "a webhook at a port that is none": Wrong(sink('type = "webhook"\nsecret_file = "s"\nurl = "https://hooks.example:99999/"'), "sinks.out", "no number from 0 to 65535"),
    "a webhook of another kind": Wrong(sink('type = "webhook"\nsecret_file = "s"\nurl = "file:///x"'), "sinks.out", "url begins with https://"),
    "a longest wait below the first": Wrong(sink('type = "file"\nfolder = "x"\nretry_most_seconds = 1'), "sinks.out", "cannot be below retry_seconds"),
    # paths
    "an empty board": Wrong('board = ""\n', "board", "name a path, or take the key out"),
    "a NUL in a path": Wrong('board = "a\\u0000b"\n', "board", "a NUL byte cannot be part of it"),
    "a board that is a folder": Wrong('board = "folder"\n', "/folder", "name a file, e.g. board.db in it",
                                      before=lambda here: (here / "folder").mkdir()),
    "a board that is the configuration": Wrong('board = "orchestrator.toml"\n', "/orchestrator.toml", "name another file"),
    "a state folder that is a file": Wrong('state_dir = "orchestrator.toml"\n', "/orchestrator.toml", "name another path"),
    "attempts that others can look into": Wrong("", "/attempts", "chmod 700", FAILED, run=False, before=open_folder),
    "an operator token that others can read": Wrong(
        "", "/operator.token", "chmod 600", FAILED, run=False,
        before=lambda here: ((here / "operator.token").write_text("bbt_x"), (here / "operator.token").chmod(0o644)),
    ),
    # numbers
    "a duration in words": Wrong("[policy]\nwall_seconds = '1h'\n", "policy.wall_seconds", "a number of seconds, like 90"),
    "a negative wait": Wrong("[policy]\nbackoff_seconds = -1\n", "policy.backoff_seconds", "greater than or equal to 0"),
    "no time at all": Wrong("[policy]\nidle_seconds = 0\n", "policy.idle_seconds", "should be greater than 0"),
    "endless time": Wrong("[policy]\nstartup_seconds = inf\n", "policy.startup_seconds", "should be a finite number"),
    "no number": Wrong("[policy]\nsettle_seconds = nan\n", "policy.settle_seconds", "should be a finite number"),
    "more than ten years": Wrong("[policy]\nwall_seconds = 1e12\n", "policy.wall_seconds", "less than or equal to 316224000"),
    "no try": Wrong("[policy]\nmax_tries = 0\n", "policy.max_tries", "greater than or equal to 1"),
    "half a try": Wrong("[policy]\nmax_tries = 1.5\n", "policy.max_tries", "should be a valid integer"),
    "more tries than a board can count": Wrong(f"[policy]\nmax_tries = {10**30}\n", "policy.max_tries", "to 2147483647"),
    "fewer than no attempts": Wrong("[tick]\nmax_live = -1\n", "tick.max_live", "greater than or equal to 0"),
    "a log of one byte": Wrong(agent("log_cap_bytes = 1"), "agents.ada.log_cap_bytes", "greater than or equal to 4096"),
    "a body of one byte": Wrong("[api]\nmax_body_bytes = 1\n", "api.max_body_bytes", "greater than or equal to 1024"),
    "a maybe": Wrong("[policy]\nneeds_output = 'maybe'\n", "policy.needs_output", "should be a valid boolean"),
    # words
    "an unknown reviewer": Wrong("[policy]\nreview = 'boss'\n", "policy.review", "agent:ID or role:NAME"),
    "an unknown end": Wrong("on_exit = 'maybe'\n", "on_exit", "should be 'stop' or 'leave'"),
    "an unknown runner": Wrong(agent("runner = 'magic'"), "agents.ada.runner", "should be 'command', 'openclaw', 'codex'"),
    "a program's own argv": Wrong("[agents.ada]\nrunner = 'codex'\nargv = ['x']\n", "agents.ada", "set program.args"),
    "a program that is not called back": Wrong("[agents.ada]\nrunner = 'pi'\ncalls_back = false\n", "agents.ada", "reports by itself"),
    "a program's prompt elsewhere": Wrong("[agents.ada]\nrunner = 'qwen'\nprompt = 'file'\n", "agents.ada", "prompt is chosen by"),
    "a program's keys for a command": Wrong(agent("program = { model = 'm' }"), "agents.ada", "the table program is for runner"),
    "a program's keys for openclaw": Wrong("[agents.ada]\nrunner = 'openclaw'\nprogram = { model = 'm' }\n", "agents.ada", "in the table openclaw"),
    "openclaw's keys for a program": Wrong("[agents.ada]\nrunner = 'pi'\nopenclaw = { mode = 'exec' }\n", "agents.ada", "leave the table out"),
    "a key no program has": Wrong("[agents.ada]\nrunner = 'pi'\nprogram = { modle = 'm' }\n", "agents.ada.program.modle", "did you mean model"),
    "a signal nobody can catch": Wrong(agent("graceful_signal = 'KILL'"), "agents.ada.graceful_signal", "should be 'TERM'"),
    "a zone that does not exist": Wrong("[slots]\ntime_zone = 'Mars/Base'\n", "slots.time_zone", "e.g. Europe/Berlin"),
    "a budget's zone that does not exist": Wrong("[budget]\ntime_zone = 'Mars/Base'\n", "budget.time_zone", "e.g. Europe/Berlin"),
    "a budget of nothing": Wrong("[budget]\nday_usd = 0\n", "budget.day_usd", "greater than 0"),
    "a budget without an end": Wrong("[budget]\nday_usd = inf\n", "budget.day_usd", "finite"),
    "a budget that does something else": Wrong("[budget]\naction = 'kill'\n", "budget.action", "'warn', 'pause' or 'stop'"),
    "half a token": Wrong("[policy]\nattempt_tokens = 0.5\n", "policy.attempt_tokens", "integer"),
    "a zone that is a path": Wrong("[slots]\ntime_zone = '../x'\n", "slots.time_zone", "no IANA time zone"),
    "a role with a space": Wrong(agent("roles = ['a b']"), "agents.ada.roles.0", "made of letters, digits"),
    "an agent with a slash": Wrong(agent("", "a/b"), "agents.a/b", "made of letters, digits"),
    "two agents told apart by case alone": Wrong(AGENT + agent("", "Ada"), "agents: ada and Ada", "rename one"),
    "a project twice": Wrong('[[projects]]\nid="a"\n[[projects]]\nid="a"\n', "projects", "each id only once"),
    "slots for a project that is not there": Wrong("[slots]\nproject = 'x'\n", "slots", "not in projects: default"),
    # the address
    "a port that is a word": Wrong("[api]\nport = 'x'\n", "api.port", "should be a valid integer"),
    "a port beyond all": Wrong("[api]\nport = 65536\n", "api.port", "less than or equal to 65535"),
    "a negative port": Wrong("[api]\nport = -1\n", "api.port", "greater than or equal to 0"),
    "an open address": Wrong("[api]\nhost = '0.0.0.0'\n", "api: host 0.0.0.0", "set tls_cert and tls_key, or allow_insecure_bind"),
    "a host of somebody else": Wrong("[api]\nhost = '192.0.2.1'\nallow_insecure_bind = true\nport = 0\n", "api.host '192.0.2.1'",
                                     "no address of this machine", MISSING),
    "a base without a scheme": Wrong("[api]\npublic_base_url = 'board'\n", "api.public_base_url", "like https://"),
    "a base with no such port": Wrong("[api]\npublic_base_url = 'http://h:99999'\n", "api.public_base_url", "0-65535"),
    "half of TLS": Wrong("[api]\ntls_cert = 'c'\n", "api: tls_cert and tls_key", "set both or neither"),
    "TLS without its files": Wrong("[api]\ntls_cert = 'c'\ntls_key = 'orchestrator.toml'\n", "/c of the TLS", "not a file"),
    "TLS with other files": Wrong("[api]\ntls_cert = 'orchestrator.toml'\ntls_key = 'orchestrator.toml'\n", "tls_cert /",
                                  "a certificate and its key in PEM"),
    # agents
    "an argv that is a text": Wrong(argv("'true'"), "agents.ada.argv", 'should be a list, like ["a", "b"]'),
    "an empty argv": Wrong(argv("[]"), "agents.ada", "argv says which program to start"),
    "an unknown placeholder": Wrong(argv("['true', '{nope}']"), "agents.ada.argv", "known are {agent}"),
    "a lonely brace": Wrong(argv("['true', '{']"), "agents.ada.argv", "write {{ }} for braces"),
    "a program that is not there": Wrong(argv("['no-such-program']"), "agent ada", "is not in PATH: install it", MISSING, run=False),
    "a program nobody may run": Wrong(argv("['./orchestrator.toml']"), "agent ada", "not an executable file: install it", MISSING,
                                      run=False),
    "a workspace that is a file": Wrong(agent("workspace = 'orchestrator.toml'"), "/orchestrator.toml", "make it, or name another",
                                        run=False),
    "a variable with a sign in its name": Wrong(agent('env = {"A=B" = "x"}'), "agents.ada", "names like HTTP_PROXY"),
    "a variable that is a number": Wrong(agent("env = {A = 1}"), "agents.ada.env.A", "should be a valid string"),
    "a variable of ours": Wrong(agent(f"pass_env = ['{OUR_VARIABLE}']"), OUR_VARIABLE, "use another name"),
    "woken without a way to call": Wrong(agent("wake = true\ncalls_back = false"), "agents.ada: wake", "contradict each other"),
    "an answer of two words": Wrong(agent("wake_ack = 'I am up'"), "agents.ada.wake_ack", "one word"),
    # slots
    "slots that are not there": Wrong("[slots]\nfiles = ['day.toml']\n", "/day.toml", "take it out of slots.files", run=False),
    "slots that are none": Wrong("[slots]\nfiles = ['orchestrator.toml']\n", "orchestrator.toml: slots is a list",
                                 "mend the file", run=False),
    "a slot of no hour": Wrong(
        AGENT + "[slots]\nfiles = ['day.toml']\n", "slot 1 of agent ada (day.toml, slots[0])", "write HH:MM", run=False,
        before=lambda here: (here / "day.toml").write_text('[[slots]]\nagent = "ada"\nid = 1\nscheduled_at = "25:00"\n'),
    ),
    # the environment
    "a variable that is no key": Wrong("", "environment (ORCH_API__PRT)", "did you mean port?", environ={"ORCH_API__PRT": "1"}),
    "a variable with a wrong value": Wrong("[api]\nport = 1\n", "environment (ORCH_API__PORT): api.port", "valid integer",
                                           environ={"ORCH_API__PORT": "many"}),
    "a variable that is no JSON": Wrong("", "environment (ORCH_SLOTS__FILES)", "should be a list",
                                        environ={"ORCH_SLOTS__FILES": "[day.toml"}),
    # templates
    "templates that are not there": Wrong(TEMPLATES, "/templates is not a folder", "make it, or take"),
    "a template of nobody": Wrong(TEMPLATES, "/templates/agents/eve/executor.md.j2", "rename the folder",
                                  before=template("agents/eve/executor.md.j2", GOOD)),
    "a template that does not compile": Wrong(TEMPLATES, "executor.md.j2, line 1", "Expected an expression",
                                              before=template("executor.md.j2", "{% if %}")),
    "a template with an unknown name": Wrong(TEMPLATES, "executor.md.j2, line 1", "docs/templates.md lists the variables",
                                             before=template("executor.md.j2", GOOD + "{{ titel }}")),
    "a template without commands": Wrong(TEMPLATES, "executor.md.j2: the agent is never told how to report", "add {% include",
                                         before=template("executor.md.j2", "Do it.")),
}  # fmt: skip


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A board that is there already."""
    file = tmp_path_factory.mktemp("board") / "board.db"

    async def made() -> None:
        await (await Board.open(file, readers=0)).close()

    asyncio.run(made())
    return file.read_bytes()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, and nothing of this machine's environment."""
    folder = tmp_path / "here"
    folder.mkdir(mode=0o700)
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("ORCH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    return folder


def set_up(here: Path, wrong: Wrong, monkeypatch: pytest.MonkeyPatch) -> None:
    text = wrong.text if isinstance(wrong.text, bytes) else wrong.text.encode()
    (here / "orchestrator.toml").write_bytes(text)
    for name, value in wrong.environ.items():
        monkeypatch.setenv(name, value)
    if wrong.before:
        wrong.before(here)


def files(here: Path) -> dict[str, bytes]:
    """What is there, but for the lock: it is taken before the port is, and belongs to no board's content."""
    found = {str(path.relative_to(here)): path for path in here.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.endswith((".lock", "-shm", "-wal"))}


def told(output: str, wrong: Wrong) -> str:
    """The one line that tells of it."""
    [line] = [line for line in output.splitlines() if line.startswith(("orchestrator: ", "fail "))][:1]
    assert wrong.place in line
    assert wrong.to_do in line
    return line


@pytest.mark.parametrize("name", WRONG)
def test_check_tells_it_and_touches_nothing(
    here: Path, board: bytes, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = WRONG[name]
    set_up(here, wrong, monkeypatch)
    (here / "board.db").write_bytes(board)
    before = files(here)

    result = CliRunner().invoke(cli, ["check", *wrong.words])

    assert isinstance(result.exception, SystemExit), result.exception
    told(result.stdout + result.stderr, wrong)
    assert result.exit_code == wrong.code
    assert "Traceback" not in result.output
    assert files(here) == before


@pytest.mark.parametrize("name", [name for name, wrong in WRONG.items() if wrong.run])
def test_run_refuses_it_and_makes_no_board(here: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = WRONG[name]
    set_up(here, wrong, monkeypatch)
    before = files(here)

    result = CliRunner().invoke(cli, ["run", "--once", *wrong.words])

    assert isinstance(result.exception, SystemExit), result.exception
    told(result.stderr, wrong)
    assert (result.exit_code, result.stdout) == (wrong.code, "")
    assert files(here) == before


AS_A_PROCESS = ["not UTF-8", "a NUL in a path", "a base with no such port", "TLS without its files", "an open address"]


@pytest.mark.parametrize("name", AS_A_PROCESS)
def test_the_installed_command_says_the_same(
    here: Path, board: bytes, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = WRONG[name]
    set_up(here, wrong, monkeypatch)
    (here / "board.db").write_bytes(board)

    ran = subprocess.run(
        [sys.executable, "-m", "orchestrator", "run", "--once"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=50,
    )  # fmt: skip

    assert (ran.returncode, ran.stdout) == (wrong.code, "")
    assert "Traceback" not in ran.stderr
    told(ran.stderr, wrong)
    assert (here / "board.db").read_bytes() == board


@pytest.mark.timeout(240)
def test_each_has_a_sentence_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    for number, (name, wrong) in enumerate(WRONG.items()):
        folder = tmp_path / str(number)
        folder.mkdir(mode=0o700)
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            set_up(folder, wrong, patch)
            result = CliRunner().invoke(cli, ["check", *wrong.words])
        line = told(result.stdout + result.stderr, WRONG[name])
        said.append(line.replace(str(folder), ""))

    assert len(said) == len(set(said))
    assert len(said) >= 40


def test_a_command_that_only_reads_refuses_it_as_well(here: Path, board: bytes) -> None:
    (here / "orchestrator.toml").write_text("bord = 1\n")
    (here / "board.db").write_bytes(board)

    result = CliRunner().invoke(cli, ["status"])

    assert (result.exit_code, result.stdout) == (USAGE, "")
    assert (here / "board.db").read_bytes() == board


def test_our_own_variable_is_the_mark_of_an_attempt() -> None:
    assert OUR_VARIABLE == processes.MARKER
