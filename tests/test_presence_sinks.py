"""Telling others where agents stand: a server that hangs, fails, refuses, goes away; nothing twice, never two at once."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from blackboard import presence_reports
from blackboard.board import Board, Tx
from blackboard.clock import plus
from orchestrator.asking import Asking
from orchestrator.config_loading import load
from orchestrator.presence_sinks import Sink, Sinks
from orchestrator.presence_sources import PresenceSource
from tests.fake_clock import START, FakeClock

CONFIG = """
{more}
[agents.ada]
argv = ["x"]
[agents.bob]
argv = ["x"]
[presence.office]
url = "{url}/agents/{{agent}}/presence"
"""


class Office:
    """A server that keeps what it is told, and does what it is told to do."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str, dict[str, Any]]] = []  # method, path, token, body
        self.does: Callable[[str, str], int] = lambda path, token: 204
        self.at_once = self.most_at_once = 0
        self.holds = threading.Event()
        self.holds.set()
        self.says: dict[str, object] = {}
        self.named: list[tuple[str | None, str | None]] = []  # who called about whom, by the two headers
        self._lock = threading.Lock()
        office = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                with office._lock:
                    office.at_once += 1
                    office.most_at_once = max(office.most_at_once, office.at_once)
                office.named.append((self.headers["X-Claw-Identifier"], self.headers["X-Agent-ID"]))
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                token = self.headers.get("Authorization", "")
                with office._lock:
                    office.heard.append((self.command, self.path, token, body))
                office.holds.wait(20)
                status = office.does(self.path, token)
                with office._lock:
                    office.at_once -= 1
                self.answer(status)

            do_POST = do_PUT

            def do_GET(self) -> None:
                office.heard.append((self.command, self.path, self.headers.get("Authorization", ""), {}))
                office.named.append((self.headers["X-Claw-Identifier"], self.headers["X-Agent-ID"]))
                office.holds.wait(20)
                told = office.says.get(self.path.split("/")[2])
                self.answer(office.does(self.path, "") if told else 404, json.dumps(told).encode())

            def answer(self, status: int, body: bytes = b"") -> None:
                try:
                    self.send_response(200 if status == 204 and body else status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # it did not wait for the answer

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.holds.set()
        self._server.shutdown()
        self._server.server_close()

    def told(self) -> list[tuple[str, str]]:
        """Whom it heard of and what, since it was asked last; in the order of names."""
        found = sorted((path.split("/")[2], body.get("status", "")) for _, path, _, body in self.heard)
        self.heard.clear()
        return found


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.close()


def sinks(board: Board, office: Office, tmp_path: Path, text: str = "", more: str = "") -> Sinks:
    file = tmp_path / "orchestrator.toml"
    file.write_text(CONFIG.format(url=office.url, more=more) + text)
    return Sinks(board, load(file, environ={}))


def sink(board: Board, office: Office, tmp_path: Path, text: str = "") -> Sink:
    [found] = sinks(board, office, tmp_path, text).all
    return found


async def says(board: Board, status: str, agent: str = "ada") -> None:
    await board.write(presence_reports.put, agent, "agent", status, actor="agent:ada", good_for=30 * 86400.0)  # type: ignore[arg-type]


async def told(board: Board, verb: str) -> list[str]:
    return [row["reason"] for row in await board.all("SELECT reason FROM events WHERE verb = :v ORDER BY id", v=verb)]


BOTH_IDLE = [("ada", "idle"), ("bob", "idle")]


async def test_only_what_has_changed_is_told_and_all_of_it_after_a_while(
    board: Board, office: Office, tmp_path: Path, clock: FakeClock
) -> None:
    found = sink(board, office, tmp_path)
    await found.round()
    assert office.heard[0][0] == "PUT" and office.heard[0][3] == {"status": "idle", "source": "blackboard"}
    assert office.told() == BOTH_IDLE
    await found.round()
    assert office.told() == []
    await says(board, "busy")
    await found.round()
    assert office.told() == [("ada", "busy")]
    clock.go_on(599)
    await found.round()
    assert office.told() == []
    clock.go_on(1)
    await found.round()
    assert office.told() == [("ada", "busy"), ("bob", "idle")]


async def test_a_restart_tells_nothing_twice_and_all_when_its_time_has_come(
    board: Board, office: Office, tmp_path: Path, clock: FakeClock
) -> None:
    await sink(board, office, tmp_path).round()
    office.told()
    await sink(board, office, tmp_path).round()
    assert office.told() == []
    clock.go_on(600)
    await sink(board, office, tmp_path).round()
    assert office.told() == BOTH_IDLE
    clock.go_on(-86400)  # a clock that was set back must not silence it for a day
    await sink(board, office, tmp_path).round()
    assert office.told() == BOTH_IDLE


async def test_names_words_and_what_is_told_at_all_are_the_configurations(
    board: Board, office: Office, tmp_path: Path
) -> None:
    text = 'agents = {ada = "user/7"}\nmap = {busy = "working"}\nmethod = "POST"\nsource = "forge"\n'
    found = sink(board, office, tmp_path, text)
    await says(board, "busy")
    await found.round()
    assert office.heard == [("POST", "/agents/user%2F7/presence", "", {"status": "working", "source": "forge"})]
    office.told()
    for word in ("exhausted", "unknown"):  # told only where `push` says so
        await says(board, word)
        await found.round()
        assert office.told() == []
    await sink(board, office, tmp_path, text + 'push = ["unknown"]\n').round()
    assert office.told() == [("user%2F7", "unknown")]


async def test_one_that_hangs_is_given_up_and_holds_no_other_up(board: Board, office: Office, tmp_path: Path) -> None:
    slow = Office()
    slow.holds.clear()
    try:
        text = f'[presence.slow]\nurl = "{slow.url}/agents/{{agent}}/presence"\ntimeout_seconds = 0.3\n'
        both = sinks(board, office, tmp_path, text)
        async with asyncio.timeout(10):
            await asyncio.gather(*(each.round() for each in both.all))
        assert office.told() == BOTH_IDLE
        assert await told(board, "presence_push_failed") == [
            "presence:slow: 127.0.0.1 gave no whole answer within 0.3 s"
        ]
        rows = await board.all("SELECT sink, failures FROM presence_pushes ORDER BY sink, agent_id")
        assert [tuple(row) for row in rows] == [("office", 0), ("office", 0), ("slow", 1), ("slow", 1)]
    finally:
        slow.close()


async def test_one_agent_that_is_not_taken_is_tried_again_alone_and_told_once(
    board: Board, office: Office, tmp_path: Path, clock: FakeClock
) -> None:
    office.does = lambda path, token: 500 if "ada" in path else 204
    found = sink(board, office, tmp_path)
    tries = 0
    for _ in range(20):
        await found.round()
        tries += office.told().count(("ada", "idle"))
        clock.go_on(30)
    assert 3 < tries < 10, "backed off"
    assert await told(board, "presence_push_failed") == ["presence:office: it answers 500"]
    office.does = lambda path, token: 204
    clock.go_on(301)
    await found.round()
    assert ("ada", "idle") in office.told()
    assert await told(board, "presence_sink_back") == [], "it had taken the other all the time"


async def test_a_server_that_was_away_and_forgot_is_told_everything(
    board: Board, office: Office, tmp_path: Path, clock: FakeClock
) -> None:
    found = sink(board, office, tmp_path, "full_every_seconds = 1e6\n")
    await found.round()
    office.told()
    clock.go_on(30)
    office.does = lambda path, token: 503
    await says(board, "busy")
    for _ in range(120):
        await found.round()
        clock.go_on(30)
    assert {agent for agent, _ in office.told()} == {"ada"}, "nothing of bob has changed"
    office.does = lambda path, token: 204
    clock.go_on(300)
    await found.round()
    await found.round()
    assert office.told() == [("ada", "busy"), ("bob", "idle")]
    await found.round()
    assert office.told() == []
    assert await told(board, "presence_sink_back") == ["presence:office takes presences again: it is told all of them"]


async def test_a_word_that_was_perhaps_heard_is_told_again_though_it_is_as_before(
    board: Board, office: Office, tmp_path: Path, clock: FakeClock
) -> None:
    found = sink(board, office, tmp_path, "timeout_seconds = 0.3\n")
    await found.round()
    office.holds.clear()
    await says(board, "busy")
    await found.round()  # it hears it, and does not say so in time
    office.holds.set()
    await says(board, "idle")
    clock.go_on(100)
    office.told()
    await found.round()
    assert office.told() == [("ada", "idle")]


# --- the token ------------------------------------------------------------------------------------------------------


async def test_a_token_that_is_refused_is_read_again_once_for_all(board: Board, office: Office, tmp_path: Path) -> None:
    file = tmp_path / "office.token"
    file.write_text("old\n")
    office.does = lambda path, token: 204 if token == "Bearer new" else 401
    found = sink(board, office, tmp_path, 'token_file = "office.token"\nagents = {ada = "ada"}\n')
    await found._bearer.header()
    file.write_text("new\n")
    await found.round()
    assert [token for _, _, token, _ in office.heard] == ["Bearer old", "Bearer new"]
    assert await told(board, "presence_push_failed") == []
    office.heard.clear()
    await says(board, "busy")
    await found.round()
    assert [token for _, _, token, _ in office.heard] == ["Bearer new"], "kept"


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_for_ever_costs_two_calls_and_one_line(
    board: Board, office: Office, tmp_path: Path, clock: FakeClock, status: int
) -> None:
    ran = tmp_path / "ran"
    command = tmp_path / "token"
    command.write_text(f"#!/bin/sh\necho again >> {ran}\necho secret\n")
    command.chmod(0o755)
    office.does = lambda path, token: status
    found = sink(board, office, tmp_path, 'token_command = ["./token"]\n')
    await found.round()
    assert len(office.heard) == 4 and {token for _, _, token, _ in office.heard} == {"Bearer secret"}
    assert ran.read_text() == "again\nagain\n", "once for the first call, once more for both agents"
    clock.go_on(3600)
    await found.round()
    assert await told(board, "presence_push_failed") == [f"presence:office: it answers {status}: it does not take the token"]  # fmt: skip


async def test_any_other_refusal_reads_no_token(board: Board, office: Office, tmp_path: Path) -> None:
    (tmp_path / "office.token").write_text("old")
    office.does = lambda path, token: 500
    found = sink(board, office, tmp_path, 'token_file = "office.token"\n')
    await found.round()
    assert len(office.heard) == 2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('token_file = "nothing.token"', "nothing.token cannot be read"),
        ('token_command = ["false"]', "its token_command false ended with exit code 1"),
        ('token_command = ["true"]', "true holds no token"),
        ('token_command = ["no-such-program"]', "no-such-program cannot be run"),
    ],
)
async def test_a_token_that_cannot_be_had_is_told(
    board: Board, office: Office, tmp_path: Path, text: str, sentence: str
) -> None:
    await sink(board, office, tmp_path, f"{text}\n").round()
    [line] = await told(board, "presence_push_failed")
    assert sentence in line and office.heard == []


# --- rounds, and the end --------------------------------------------------------------------------------------------


async def test_rounds_never_overlap_and_calls_are_bounded(board: Board, office: Office, tmp_path: Path) -> None:
    office.holds.clear()
    many = "".join(f'[agents.n{number}]\nargv = ["x"]\n' for number in range(20))

    def enrol(tx: Tx) -> None:
        for number in range(20):
            tx.run("INSERT INTO agents (id) VALUES (:id)", id=f"n{number}")

    await board.write(enrol)
    [found] = sinks(board, office, tmp_path, more=many).all
    first = asyncio.create_task(found.round())
    while office.at_once < 8:
        await asyncio.sleep(0.01)
    async with asyncio.timeout(5):
        await asyncio.gather(*(found.round() for _ in range(3)))  # dropped: at once over, and nothing told
    office.holds.set()
    await first
    assert len({path for _, path, _, _ in office.heard}) == len(office.heard) == 22
    assert office.most_at_once == 8


async def test_at_the_end_all_it_knows_of_are_offline_and_the_next_start_says_what_is(
    board: Board, office: Office, tmp_path: Path
) -> None:
    both = sinks(board, office, tmp_path)
    running = asyncio.create_task(both.run())
    while len(office.heard) < 2 or office.at_once:
        await asyncio.sleep(0.01)
    while len(await board.all("SELECT 1 FROM presence_pushes")) < 2:
        await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    office.told()
    await both.farewell()
    assert office.told() == [("ada", "offline"), ("bob", "offline")]
    await both.farewell()
    assert office.told() == [], "once"
    await sink(board, office, tmp_path).round()
    assert office.told() == BOTH_IDLE


async def test_a_farewell_that_nobody_hears_is_short_and_the_next_start_tells_all(
    board: Board, office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.presence_sinks.FAREWELL_SECONDS", 0.3)
    both = sinks(board, office, tmp_path)
    [found] = both.all
    await found.round()
    found._began = True
    office.told()
    office.holds.clear()
    async with asyncio.timeout(5):
        await both.farewell()
    office.holds.set()
    await sink(board, office, tmp_path).round()
    assert {*BOTH_IDLE} <= {*office.told()}, "it may have heard that they are offline"


async def test_what_the_configuration_no_longer_names_is_forgotten(
    board: Board, office: Office, tmp_path: Path
) -> None:
    await sink(board, office, tmp_path).round()
    await sinks(board, office, tmp_path, 'agents = {bob = "bob"}\n').start()
    rows = await board.all("SELECT agent_id FROM presence_pushes")
    assert [row["agent_id"] for row in rows] == ["bob"]


# --- asking ---------------------------------------------------------------------------------------------------------


def source(board: Board, office: Office, tmp_path: Path, text: str = "") -> PresenceSource:
    file = tmp_path / "orchestrator.toml"
    config = CONFIG.format(url=office.url, more="").replace("\nurl =", "\nread_url =")
    file.write_text(config + "every_seconds = 60\n" + text)
    settings = load(file, environ={})
    return PresenceSource("office", settings.presence["office"], board, settings)


async def said(board: Board) -> list[tuple[str, str, str]]:
    rows = await board.all("SELECT agent_id, status, expires_at FROM presence_reports ORDER BY agent_id")
    return [tuple(row) for row in rows]  # type: ignore[misc]


async def test_what_a_server_says_is_kept_for_three_rounds(
    board: Board, office: Office, tmp_path: Path, clock: FakeClock
) -> None:
    office.says = {"ada": {"status": "working"}, "bob": {"status": "dancing"}}
    asked = source(board, office, tmp_path, 'map = {busy = "working"}\n')
    woken: list[int] = []
    asking = Asking(board, [asked], lambda: woken.append(1))
    await asking.once()
    assert await said(board) == [("ada", "busy", plus(START, 180))] and woken == [1]
    clock.go_on(60)
    await asking.once()
    assert await said(board) == [("ada", "busy", plus(START, 240))] and woken == [1], "nothing new: nobody is woken"
    office.does = lambda path, token: 500
    clock.go_on(60)
    await asking.once()
    assert await said(board) == [("ada", "busy", plus(START, 240))]
    assert await told(board, "source_failed") == ["presence:office: it answers 500; what it said before stays"]
    office.does = lambda path, token: 200
    office.says = {}
    clock.go_on(60)
    await asking.once()
    assert await said(board) == [], "404: it does not know her any more"


async def test_one_agent_that_cannot_be_asked_for_holds_no_other_up(
    board: Board, office: Office, tmp_path: Path
) -> None:
    office.says = {"ada": ["busy"], "bob": {"status": "busy"}}
    await Asking(board, [source(board, office, tmp_path)], lambda: None).once()
    assert [agent for agent, _, _ in await said(board)] == ["bob"]
    [line] = await told(board, "source_failed")
    assert 'its answer is not {"status": "..."} of ada' in line


async def test_a_calendar_backend_is_told_in_two_headers_who_calls_and_about_whom(
    board: Board, office: Office, tmp_path: Path
) -> None:
    """It refuses who does not say so; one that is no such backend is told nothing of it."""
    office.says = {"u-7": {"status": "busy"}}
    office.does = lambda path, token: 200 if office.named[-1] == ("claw-1", "u-7") else 400
    agents = 'agents = {ada = "u-7"}\n'
    await Asking(board, [source(board, office, tmp_path, agents)], lambda: None).once()
    assert office.named == [(None, None)] and await said(board) == []
    asked = source(board, office, tmp_path, f'identifier = "claw-1"\n{agents}')
    await asked.ask()
    assert [(agent, word) for agent, word, _ in await said(board)] == [("ada", "busy")]
    [telling] = sinks(board, office, tmp_path, f'identifier = "claw-1"\n{agents}').all
    await telling.round()
    assert office.named[-1] == ("claw-1", "u-7") and office.heard[-1][0] == "PUT"


async def test_what_a_server_said_that_is_asked_is_not_told_on(board: Board, office: Office, tmp_path: Path) -> None:
    """It may be the server that is told: our own word would come back as its word, and hold for ever."""
    await board.write(presence_reports.put, "ada", "presence:office", "busy", actor="engine:source", good_for=900.0)
    await board.write(presence_reports.put, "bob", "desk", "busy", actor="person:ann", good_for=900.0)
    await sink(board, office, tmp_path).round()
    assert office.told() == [("ada", "idle"), ("bob", "busy")]
