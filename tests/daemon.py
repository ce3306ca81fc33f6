"""A whole orchestrator for tests: a folder, a configuration, a real daemon on a real port, and the proof at the end.

Reads the board only by read-only connections, speaks to the daemon only by HTTP and signals, and signals only
processes it started itself or has recognised by pid and start time.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from blackboard.lock import holder
from orchestrator import doctor, processes
from orchestrator.processes import Identity

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = (ROOT / "schema.sql").read_text(encoding="utf-8")
FINAL = ("done", "failed", "cancelled")
WAIT = 40.0  # seconds until a condition counts as never fulfilled: a busy machine is slow, not wrong


def until(condition: Callable[[], T], seconds: float = WAIT, story: Callable[[], str] = str) -> T:
    """Poll until `condition()` is true, and give what it returned; on failure `story()` tells the state."""
    end = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        if value := condition():
            return value
        assert time.monotonic() < end, f"waited {seconds:g} s in vain\n{story()}"
        time.sleep(pause(began))


def pause(began: float) -> float:
    """Seconds to wait after a look that began then: what is waited for needs the processor more than those who wait."""
    return max(0.01, 4 * (time.monotonic() - began))


def free_port() -> int:
    """A port nobody listens on, outside the range from which outgoing connections take theirs."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class House:
    """One folder with a configuration and a board, and the daemons that run on it, one after the other."""

    def __init__(self, folder: Path, **tables: Mapping[str, object]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.path = os.environ["PATH"]
        self.daemon: subprocess.Popen[bytes] | None = None
        self.agents: dict[str, dict[str, Any]] = {}
        self.tables: dict[str, dict[str, object]] = {
            "tick": {
                "foreign_poll_seconds": 0.2,
                "source_poll_seconds": 0.2,
                "memory_share": 0,
            },  # not this machine's load
            "policy": {"review": "auto", "backoff_seconds": 0.05, "settle_seconds": 5.0},
        }
        for name, table in tables.items():
            self.tables.setdefault(name, {}).update(table)

    # --- configuration ----------------------------------------------------------------------------------

    @property
    def config(self) -> Path:
        return self.folder / "orchestrator.toml"

    @property
    def board(self) -> Path:
        return self.folder / "board.db"

    def agent(self, name: str, script: str, **config: object) -> None:
        """An agent that is a shell script; in it `bb` is the attempt's helper, `$here` this house's folder."""
        program = self.folder / f"{name}.sh"
        head = f"""#!/bin/sh
helper=$1 task=$2 here={shlex.quote(str(self.folder))}
directory=${{helper%/bb}} attempt=${{directory##*/}}
bb() {{ "$helper" "$@"; }}
"""
        program.write_text(head + script, encoding="utf-8")
        argv = ["/bin/sh", str(program), "{directory}/bb", "{task}"]
        self.agents[name] = {"argv": argv, "grace_seconds": 0.3, **config}

    def configure(self) -> None:
        """Write the configuration file."""
        lines = ['projects = [{ id = "p" }]']
        tables: dict[str, Mapping[str, object]] = {
            **self.tables,
            "api": {"port": self.port, **self.tables.get("api", {})},
        }
        for name, agent in self.agents.items():
            tables[f"agents.{name}"] = {key: value for key, value in agent.items() if not isinstance(value, dict)}
            tables |= {f"agents.{name}.{key}": value for key, value in agent.items() if isinstance(value, dict)}
        for name, table in tables.items():
            lines += [f"[{name}]"] + [
                f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()
            ]
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    # --- the daemon -------------------------------------------------------------------------------------

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "orchestrator", "--config", str(self.config), *words]

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": self.path, "HOME": str(self.folder), "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8"}

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the orchestrator to its end."""
        return subprocess.run(
            self.command(*words), env=self.environment, cwd="/", capture_output=True, text=True, timeout=60
        )

    def launch(self, *words: str) -> subprocess.Popen[bytes]:
        """Start the daemon, and do not wait for it."""
        assert self.daemon is None, "one daemon at a time"
        self.configure()
        with (self.folder / "daemon.log").open("ab") as log:
            self.daemon = subprocess.Popen(
                self.command("run", *words),
                env=self.environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        return self.daemon

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start the daemon; returns when it listens."""
        daemon = self.launch(*words)
        until(self.listens, story=self.told)
        return daemon

    def listens(self) -> bool:
        """Whether our daemon says in its lock file where it listens."""
        assert self.daemon is not None
        assert self.daemon.poll() is None, f"the daemon ended\n{self.told()}"
        found = holder(self.board)
        return bool(found and found.get("pid") == self.daemon.pid and found.get("url"))

    def kill(self) -> None:
        """kill -9, as a crash does."""
        self._ends(signal.SIGKILL)

    def stop(self) -> int:
        """TERM, as an operator does; the exit code."""
        return self._ends(signal.SIGTERM)

    def _ends(self, number: int) -> int:
        assert self.daemon is not None
        self.daemon.send_signal(number)
        code = self.daemon.wait(timeout=WAIT)
        self.daemon = None
        return code

    # --- HTTP -------------------------------------------------------------------------------------------

    def http(self, path: str, body: Mapping[str, object] | None = None, *, token: str | None = None) -> dict[str, Any]:
        """One call with the operator's token; the answer of a 2xx."""
        token = token or (self.folder / "operator.token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)) as connection:
            content = None if body is None else json.dumps(body)
            connection.request("GET" if body is None else "POST", path, content, headers)
            answer = connection.getresponse()
            text = answer.read()
        assert 200 <= answer.status < 300, (answer.status, text)
        told: dict[str, Any] = json.loads(text)
        return told

    def post(self, agent: str, title: str = "do it", **fields: object) -> int:
        """Post a task; its id."""
        return int(self.http("/api/projects/p/tasks", {"title": title, "agent": agent, **fields})["task"])

    def operate(self, task: int, verb: str, detail: str | None = None) -> str:
        """A person's verb; the task's new status."""
        return str(self.http(f"/api/projects/p/tasks/{task}/{quote(verb)}", {"detail": detail})["status"])

    def resume_agents(self) -> None:
        """Let every agent go on that the breaker has paused, as a person does for whom three failures alike are no news."""
        for row in self.rows("SELECT id FROM agents WHERE paused_at IS NOT NULL"):
            self.http(f"/api/agents/{row['id']}/resume", {})

    # --- the board --------------------------------------------------------------------------------------

    def rows(self, sql: str, **params: object) -> list[sqlite3.Row]:
        """The rows of a query."""
        with closing(sqlite3.connect(f"{self.board.as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql, params).fetchall()

    def row(self, sql: str, **params: object) -> sqlite3.Row:
        return self.rows(sql, **params)[0]

    def value(self, sql: str, **params: object) -> Any:
        return self.row(sql, **params)[0]

    def task(self, task: int) -> sqlite3.Row:
        return self.row("SELECT * FROM tasks WHERE id = :task", task=task)

    def attempts(self, task: int) -> list[sqlite3.Row]:
        return self.rows("SELECT * FROM attempts WHERE task_id = :task ORDER BY number", task=task)

    def outcomes(self, task: int) -> list[str | None]:
        return [attempt["outcome"] for attempt in self.attempts(task)]

    def ended_attempt(self, task: int) -> sqlite3.Row:
        """The first attempt of a task, once it has ended."""
        until(lambda: self.attempts(task) and self.attempts(task)[0]["ended_at"], story=lambda: self.story(task))
        return self.attempts(task)[0]

    def events(self, task: int, *verbs: str) -> list[sqlite3.Row]:
        found = self.rows("SELECT * FROM events WHERE task_id = :task ORDER BY id", task=task)
        return [event for event in found if not verbs or event["verb"] in verbs]

    def reaches(self, task: int, *states: str) -> sqlite3.Row:
        """Wait until a task is in one of these states and its latest attempt, if it is over, is gone."""

        def reached() -> sqlite3.Row | None:
            row = self.task(task)
            assert row["status"] not in FINAL or row["status"] in states, f"it is {row['status']}\n{self.story(task)}"
            over = row["status"] in ("claimed", "working") or all(each["gone_at"] for each in self.attempts(task))
            return row if row["status"] in states and over else None

        found: sqlite3.Row | None = until(reached, story=lambda: self.story(task))
        assert found is not None
        return found

    def attempt_file(self, attempt: int, name: str) -> Path:
        return self.folder / "attempts" / str(attempt) / name

    def workspace(self, task: int) -> Path:
        return self.folder / "workspaces" / "p" / str(task)

    def let_go(self, task: int) -> None:
        """Make the file `go` in a task's folder, for which some agents wait."""
        self.workspace(task).mkdir(parents=True, exist_ok=True)
        (self.workspace(task) / "go").touch()

    def story(self, task: int) -> str:
        """A task's events, for a person who looks at a failure."""
        lines = [
            f"{event['at'][11:]} {event['actor']} {event['verb']} {event['dst'] or ''} {event['reason'] or ''} {event['data']}"
            for event in self.events(task)
        ]
        return "\n".join([*lines, self.told()])

    def told(self) -> str:
        """The end of what the daemons printed."""
        return (self.folder / "daemon.log").read_text(encoding="utf-8", errors="replace")[-4000:]

    # --- processes --------------------------------------------------------------------------------------

    def left(self) -> set[Identity]:
        """Every living process of any attempt: by the board's marker, and, independent of it, by folder and arguments."""
        marker = f"{processes.MARKER}={self._board_id()}:".encode()
        ours = {os.getpid(), *([self.daemon.pid] if self.daemon else [])}
        pids = {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()} - ours
        found = {processes.identity(pid) for pid in pids if self._belongs(pid, marker)}
        return {one for one in found if one is not None}

    def _belongs(self, pid: int, marker: bytes) -> bool:
        here = Path(f"/proc/{pid}")
        try:
            if (here / "cwd").readlink().is_relative_to(self.folder / "workspaces"):
                return True
            attempts = str(self.folder / "attempts").encode()
            return marker in b"\0" + (here / "environ").read_bytes() or attempts in (here / "cmdline").read_bytes()
        except OSError:  # gone meanwhile
            return False

    def _board_id(self) -> str:
        if not self.board.exists():
            return "none"
        return str(self.value("SELECT value FROM meta WHERE key = 'board_id'"))

    def left_of(self, task: int) -> set[Identity]:
        """Every living process that works in a task's folder or carries the marker of one of its attempts."""
        found: set[Identity] = set()
        for attempt in self.attempts(task):
            found |= processes.members(f"{self._board_id()}:{attempt['id']}", None)
        return found | {one for one in self.left() if _works_in(one, self.workspace(task))}

    def ends(self) -> None:
        """The end of every test: the daemon is stopped, nothing is left of any attempt, and the doctor is silent."""
        try:
            if self.daemon is not None:
                assert self.stop() == 0, self.told()
            left = self.left()
            assert not left, f"processes were left: {[_arguments(one) for one in left]}\n{self.told()}"
            if self.board.exists():
                assert doctor.check(self.board, SCHEMA) == []
        finally:
            self.clear()

    def clear(self) -> None:
        """Kill whoever is left, by pid and start time: for a test that has failed, or has left somebody on purpose."""
        if self.daemon is not None:
            self.kill()
        while left := self.left():
            for one in left:
                processes.signal_safely(one, signal.SIGKILL)
            time.sleep(0.02)


def _works_in(one: Identity, folder: Path) -> bool:
    try:
        return Path(f"/proc/{one.pid}/cwd").readlink().is_relative_to(folder)
    except OSError:
        return False


def _arguments(one: Identity) -> str:
    try:
        return Path(f"/proc/{one.pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return "gone meanwhile"
