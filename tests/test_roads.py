"""The two roads of a command that writes: one answer, never a write beside the daemon that holds the board."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from blackboard.board import Tx
from blackboard.errors import IllegalMove, NotFound
from blackboard.lock import BoardLock, holder
from blackboard.migrations import schema_text
from orchestrator import beginning, exits, remote, roads
from orchestrator.config import Settings
from orchestrator.config_loading import load
from orchestrator.doctor import check

CONFIG = """
[api]
port = 0
[agents.worker]
argv = ["true"]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    file = tmp_path / "orchestrator.toml"
    file.write_text(CONFIG)
    settings = load(file, environ={})
    beginning.board_made(settings)
    yield settings
    assert check(settings.board, schema_text()) == []


def posted(settings: Settings, title: str = "a task", **more: Any) -> dict[str, Any]:
    from blackboard import forms, people

    # Far in the future: a daemon of a test leaves it alone.
    body = {"title": title, "agent": "worker", "due_at": "2999-01-01T00:00:00.000Z", **more}

    def direct(tx: Tx, token_hash: bytes) -> dict[str, Any]:
        return people.post_task(tx, token_hash, "default", forms.TaskReport.model_validate(body))

    return roads.write(settings, "/api/projects/default/tasks", body, direct)


@contextmanager
def daemon(settings: Settings) -> Iterator[str]:
    """A real one; its address."""
    command = [sys.executable, "-m", "orchestrator", "run", "--json", "--config", str(settings.config_file)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ORCH_")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        try:
            assert process.stdout is not None
            first = json.loads(process.stdout.readline())
            assert first["ready"]
            yield first["url"]
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=20)
            process.kill()
    assert process.returncode == 0


class Answers(BaseHTTPRequestHandler):
    """Answers every POST as the test says, and remembers what came."""

    status, content, came = 200, b"{}", list[tuple[str, str | None, Any]]()
    keys, hangs_up = list[str | None](), 0

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.came.append((self.path, self.headers["Authorization"], body))
        self.keys.append(self.headers["Idempotency-Key"])
        if len(self.keys) <= self.hangs_up:
            self.close_connection = True
            return
        self.send_response(self.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def answering(status: int, content: bytes) -> Iterator[tuple[str, list[tuple[str, str | None, Any]]]]:
    class Handler(Answers):
        came: list[tuple[str, str | None, Any]] = []  # noqa: RUF012

    Handler.status, Handler.content = status, content
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", Handler.came
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def held(settings: Settings, url: str | None) -> Iterator[None]:
    """The lock in other hands, as a daemon (with an address) or a command (without one)."""
    lock = BoardLock.try_take(settings.board)
    assert lock is not None
    lock.tell(url=url)
    try:
        yield
    finally:
        lock.release()


def test_a_free_board_is_written_directly_and_given_back(settings: Settings) -> None:
    said = posted(settings)

    assert (said["task"], said["status"]) == (1, "pending")
    assert holder(settings.board) is None


def test_both_roads_give_the_same_answers(settings: Settings) -> None:
    def both() -> list[dict[str, Any]]:
        made = posted(settings)
        return [
            made,
            roads.operate(settings, made["task"], "cancel", "no"),
            roads.operate(settings, made["task"], "reopen", None),
        ]

    directly = both()
    with daemon(settings):
        by_http = both()

    first, second = str(directly[0]["task"]), str(by_http[0]["task"])
    assert json.dumps(directly).replace(first, "N") == json.dumps(by_http).replace(second, "N")


def test_both_roads_refuse_with_the_same_sentence_and_code(settings: Settings) -> None:
    task = posted(settings)["task"]

    with pytest.raises(IllegalMove) as directly:
        roads.operate(settings, task, "approve", None)
    with daemon(settings), pytest.raises(exits.Exit) as by_http:
        roads.operate(settings, task, "approve", None)

    assert by_http.value.sentence == directly.value.sentence
    assert by_http.value.code == exits.code_of(directly.value) == exits.REFUSED


def test_a_task_that_does_not_exist_is_not_found_on_both_roads(settings: Settings) -> None:
    with pytest.raises(NotFound):
        roads.operate(settings, 77, "cancel", None)
    with daemon(settings), pytest.raises(NotFound):
        roads.operate(settings, 77, "cancel", None)


def test_a_held_board_is_never_written_directly(settings: Settings) -> None:
    with answering(200, b'{"task": 9, "next": "said"}') as (url, came), held(settings, url):
        said = posted(settings, "by http")

    assert said == {"task": 9, "next": "said"}
    ((path, authorization, body),) = came
    assert path == "/api/projects/default/tasks"
    assert authorization == "Bearer " + settings.token_file.read_text().strip()
    assert body["title"] == "by http"
    with sqlite3.connect(settings.board) as board:
        assert board.execute("SELECT count(*) FROM tasks").fetchone() == (0,)
    board.close()


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, 1), (401, 1), (403, 1), (404, 3), (409, 4), (413, 1), (422, 4), (500, 1), (503, 75)],
)
def test_a_problem_becomes_its_sentence_and_an_exit_code(settings: Settings, status: int, code: int) -> None:
    problem = json.dumps({"status": status, "title": "No", "detail": "do this first"}).encode()

    with answering(status, problem) as (url, _), held(settings, url), pytest.raises(exits.Exit) as told:
        posted(settings)

    assert told.value.code == code
    assert told.value.sentence.startswith("do this first")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_says_where_the_token_comes_from(settings: Settings, status: int) -> None:
    with (
        answering(status, b'{"detail": "no"}') as (url, _),
        held(settings, url),
        pytest.raises(exits.Exit, match="init"),
    ):
        posted(settings)


@pytest.mark.parametrize(("status", "content"), [(200, b"<html>"), (200, b"[1]"), (302, b"{}"), (502, b"bad gateway")])
def test_something_else_on_the_port_is_said(settings: Settings, status: int, content: bytes) -> None:
    with answering(status, content) as (url, came), held(settings, url), pytest.raises(exits.Exit) as told:
        posted(settings)

    assert told.value.code == exits.FAILED
    assert len(came) == 1  # no redirect was followed: the token is not for others


def test_the_token_goes_through_no_proxy(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200, b"{}") as (proxy, caught), answering(200, b'{"task": 1}') as (url, came), held(settings, url):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        posted(settings)

    assert (len(caught), len(came)) == (0, 1)


def test_a_daemon_that_does_not_listen_is_named_by_its_pid(settings: Settings) -> None:
    with held(settings, "http://127.0.0.1:1"), pytest.raises(exits.Exit) as told:
        posted(settings)

    assert told.value.code == exits.UNREACHABLE
    assert f"process {os.getpid()} holds the board" in told.value.sentence


def test_an_answer_that_never_comes_warns_against_saying_it_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "TIMEOUT", 0.2)
    with held_silently() as url, held(settings, url), pytest.raises(exits.Exit) as told:
        posted(settings)

    assert told.value.code == exits.UNREACHABLE
    assert "before saying it again" in told.value.sentence


def test_a_lost_answer_is_asked_for_again_under_the_same_key(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(Answers, "hangs_up", 1)
    keys: list[str | None] = []
    monkeypatch.setattr(Answers, "keys", keys)
    with answering(200, b'{"task": 9}') as (url, came), held(settings, url):
        assert posted(settings) == {"task": 9}
        assert posted(settings) == {"task": 9}

    first, again, other = keys
    assert first == again != other
    assert first
    assert other
    assert came[0] == came[1]


def test_two_commands_that_say_the_same_are_two(settings: Settings) -> None:
    with daemon(settings):
        assert [posted(settings)["task"], posted(settings)["task"]] == [1, 2]


@contextmanager
def held_silently() -> Iterator[str]:
    """An address that takes connections and says nothing."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_another_command_is_waited_for(settings: Settings) -> None:
    lock = BoardLock.try_take(settings.board)
    assert lock is not None
    release = threading.Timer(0.3, lock.release)
    release.start()

    assert posted(settings)["task"] == 1
    release.join()


def test_a_command_that_never_ends_is_not_waited_for_for_ever(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roads, "WAIT_SECONDS", 0.2)
    begun = time.monotonic()

    with held(settings, None), pytest.raises(exits.Exit) as told:
        posted(settings)

    assert told.value.code == exits.TRY_AGAIN
    assert str(os.getpid()) in told.value.sentence
    assert time.monotonic() - begun < 3


def test_no_board_is_made_by_writing_to_one(settings: Settings, tmp_path: Path) -> None:
    other = load(settings.config_file, environ={}, flags={"board": tmp_path / "typo.db"})

    with pytest.raises(NotFound, match="init"):
        posted(other)

    assert not (tmp_path / "typo.db").exists()


def test_without_a_token_file_nothing_is_written_and_init_is_named(settings: Settings) -> None:
    settings.token_file.unlink()

    with pytest.raises(exits.Exit, match="`orchestrator init` makes one"):
        posted(settings)


def test_an_unknown_token_is_refused_on_the_direct_road_too(settings: Settings) -> None:
    settings.token_file.write_text("bbt_" + "x" * 43 + "\n")

    with pytest.raises(Exception, match="not known here"):
        posted(settings)


def test_a_command_introduces_new_agents_and_touches_no_others(settings: Settings) -> None:
    assert settings.config_file is not None
    posted(settings)
    settings.config_file.write_text(CONFIG.replace("agents.worker", "agents.fresh"))
    changed = load(settings.config_file, environ={})

    posted(changed, agent="fresh")

    with sqlite3.connect(settings.board) as board:
        assert board.execute("SELECT id, enabled FROM agents ORDER BY id").fetchall() == [("fresh", 1), ("worker", 1)]
    board.close()


def test_many_commands_at_once_all_get_through(settings: Settings) -> None:
    errors: list[BaseException] = []

    def work() -> None:
        try:
            posted(settings)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    with sqlite3.connect(settings.board) as board:
        assert board.execute("SELECT count(*) FROM tasks").fetchone() == (8,)
    board.close()
