"""More than sixty wrong requests to a real daemon: each gets its own sentence, and the board is as it was."""

from __future__ import annotations

import http.client
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.daemon import House

UNKNOWN = "bbt_" + "x" * 43
TASKS = "/api/projects/p/tasks"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
TEXT = "text/plain"


@dataclass(frozen=True)
class Wrong:
    """A request and what it is answered. In `path`, {own}, {other} and {done} are tasks."""

    says: str
    status: int
    code: str
    path: str
    body: object = None  # text and bytes as they are, anything else as JSON
    method: str = "POST"
    type: str | None = JSON
    who: str | None = "own"  # own, ended, operator; else the Authorization header itself
    headers: tuple[tuple[str, str], ...] = field(default_factory=tuple)


def own(says: str, body: object, route: str = "status", **more: Any) -> Wrong:
    """422 by the own attempt on its own task."""
    return Wrong(says, more.pop("status", 422), more.pop("code", "invalid"), f"{TASKS}/{{own}}/{route}", body, **more)


def person(says: str, body: object, path: str = TASKS, **more: Any) -> Wrong:
    """422 by an operator."""
    return Wrong(says, more.pop("status", 422), more.pop("code", "invalid"), path, body, who="operator", **more)


def path(says: str, named: str) -> Wrong:
    return own(says, {"type": "data", "title": "T", "content_path": named}, "outputs")


OUTPUT = {"type": "data", "title": "T", "content": "x"}
WRONG = (
    # who
    Wrong("no token", 401, "unauthorized", f"{TASKS}/{{own}}/status", {"status": "working"}, who=None),
    Wrong("a token of another kind", 401, "unauthorized", f"{TASKS}/{{own}}/status", {}, who="Basic YTpi"),
    Wrong("an unknown token", 401, "unauthorized", f"{TASKS}/{{own}}/status", {}, who=f"Bearer {UNKNOWN}"),
    Wrong("two tokens", 401, "unauthorized", f"{TASKS}/{{own}}/status", {}, headers=(("Authorization", f"Bearer {UNKNOWN}"),)),
    Wrong("another task's token", 403, "forbidden", f"{TASKS}/{{other}}/status", {"status": "working"}),
    Wrong("another task is read", 403, "forbidden", f"{TASKS}/{{other}}", method="GET", type=None),
    Wrong("another task's events", 403, "forbidden", "/api/events?task={other}", method="GET", type=None),
    Wrong("an agent posts a task", 403, "forbidden", TASKS, {"title": "T", "agent": "quick"}),
    Wrong("an agent approves", 409, "illegal_move", f"{TASKS}/{{own}}/status", {"status": "done"}),
    Wrong("an agent rejects", 409, "illegal_move", f"{TASKS}/{{own}}/status", {"status": "pending"}),
    Wrong("an agent cancels", 409, "illegal_move", f"{TASKS}/{{own}}/status", {"status": "cancelled"}),
    Wrong("an ended attempt reports", 409, "fenced", f"{TASKS}/{{done}}/status", {"status": "failed", "detail": "x"}, who="ended"),
    Wrong("an ended attempt reads", 409, "fenced", f"{TASKS}/{{done}}", method="GET", type=None, who="ended"),
    Wrong("a person sends a sign of life", 403, "forbidden", f"{TASKS}/{{own}}/heartbeat", {}, who="operator"),
    Wrong("a person says working", 403, "forbidden", f"{TASKS}/{{own}}/status", {"status": "working"}, who="operator"),
    # from where
    Wrong("a foreign host", 403, "foreign", "/healthz", method="GET", type=None, headers=(("Host", "evil.example"),)),
    Wrong("a foreign page", 403, "foreign", "/healthz", method="GET", type=None, headers=(("Origin", "null"),)),
    Wrong("a foreign fetch", 403, "foreign", "/healthz", method="GET", type=None, headers=(("Sec-Fetch-Site", "cross-site"),)),
    # which route
    Wrong("no such route", 404, "not_found", "/api/nothing", {}),
    Wrong("no such project", 404, "not_found", "/api/projects/p%20p/tasks/{own}/status", {"status": "working"}),
    Wrong("no such number", 404, "not_found", f"{TASKS}/0x1/status", {"status": "working"}),
    Wrong("no such task", 404, "not_found", f"{TASKS}/987654/cancel", {}, who="operator"),
    Wrong("a task of another project", 404, "not_found", "/api/projects/q/tasks/{own}/cancel", {}, who="operator"),
    Wrong("a method that is not there", 405, "method_not_allowed", f"{TASKS}/{{own}}/status", method="DELETE"),
    Wrong("another method that is not there", 405, "method_not_allowed", "/healthz", {}),
    # which kind of body
    own("a body that is an image", b"\x89PNG", status=415, code="unsupported", type="image/png"),
    own("a body in UTF-16", b"x", status=415, code="unsupported", type="text/plain; charset=utf-16"),
    own("a compressed body", b"x", status=415, code="unsupported", headers=(("Content-Encoding", "gzip"),)),
    person("plain text where only JSON is", "slots", "/api/slots", status=415, code="unsupported", type=TEXT),
    own("too large a body", "x" * 70_000, "comments", status=413, code="too_large", type=TEXT),
    # which JSON
    own("no JSON", "{status: working}"),
    own("JSON that ends early", '{"status": "wor'),
    own("a list", ["working"]),
    own("NaN", '{"status": "working", "detail": NaN}'),
    own("JSON that is too deep", '{"a":' * 5000),
    own("half a character", '{"status": "working", "detail": "\\ud800"}'),
    own("bytes that are no UTF-8", b'{"status": "w\xff"}'),
    own("a field that is there twice", '{"status": "working", "status": "failed"}'),
    own("NUL", {"status": "failed", "detail": "a\0b"}),
    own("NUL in a name", {"a\0b": 1}),
    own("a number of 64 bits and one", {"status": "working", "final": 2**63}),
    # which fields
    own("nothing at all", {}),
    own("an unknown field", {"status": "working", "staus": "x"}),
    own("an unknown status", {"status": "finished"}),
    own("a detail that is no text", {"status": "failed", "detail": 7}),
    own("an unknown kind", {"status": "blocked", "detail": "x", "kind": "whim"}),
    own("failed without a word", {"status": "failed"}),
    own("blocked without a question", {"status": "blocked"}),
    own("review without an output", {"status": "review"}, status=409, code="refused"),
    own("outputs that are no list", {"status": "working", "outputs": "x"}),
    own("too many outputs", {"status": "working", "outputs": [OUTPUT] * 101}),
    own("an output of no type", OUTPUT | {"type": "poem"}, "outputs"),
    own("an output without a title", {"type": "data", "content": "x"}, "outputs"),
    own("an empty title", OUTPUT | {"title": ""}, "outputs"),
    own("a title that is too long", OUTPUT | {"title": "x" * 501}, "outputs"),
    own("an output both ways", OUTPUT | {"content_path": "x"}, "outputs"),
    own("an empty comment", {"body": ""}, "comments"),
    own("no comment", {}, "comments"),
    own("a sign of life that is a book", {"detail": "x" * 2001}, "heartbeat"),
    # forms and queries
    own("a field of a form twice", "status=working&status=failed", type=FORM),
    own("a bare percent sign", "status=working&detail=100%", type=FORM),
    own("a form that is no UTF-8", "status=working&detail=%ff", type=FORM),
    own("an unknown field of a form", "body=x&smell=y", "comments", type=FORM),
    own("too many fields of a form", "&".join(f"a{n}=1" for n in range(101)), type=FORM),
    own("a part and the whole", "status=working&output=x&output.title=y", type=FORM),
    own("a raw body that is no text", b"\xff\xfe", "comments?author=x", type=TEXT),
    own("query and body", {"status": "working"}, "status?status=failed"),
    Wrong("an unknown part of a task", 422, "invalid", f"{TASKS}/{{own}}?expand=secrets", method="GET", type=None),
    Wrong("a limit that is too high", 422, "invalid", "/api/events?limit=501", method="GET", type=None),
    Wrong("an event that is none", 422, "invalid", "/api/events?after=-1", method="GET", type=None),
    # content_path
    path("a file that leads out", "../../orchestrator.toml"),
    path("a file elsewhere", "/etc/passwd"),
    path("a link", "link"),
    path("a link on the way", "way/passwd"),
    path("a pipe", "pipe"),
    path("a folder", "folder"),
    path("a file that is too large", "large"),
    path("a file that is not there", "missing"),
    path("no name", ""),
    path("the workspace itself", "."),
    path("NUL in a name", "a\0b"),
    path("a name that is too long", "x" * 5000),
    # tasks
    person("a task for nobody", {"title": "T"}),
    person("an unknown agent", {"title": "T", "agent": "nobody"}, status=404, code="not_found"),
    person("a name that is none", {"title": "T", "agent": "../x"}),
    person("a day that is none", {"title": "T", "agent": "quick", "due_at": "2026-02-30T00:00:00.000Z"}),
    person("a date in words", {"title": "T", "agent": "quick", "not_before": "tomorrow"}),
    person("an unknown need", {"title": "T", "agent": "quick", "needs": [987655]}, status=404, code="not_found"),
    person("an unknown parent", {"title": "T", "agent": "quick", "parent": 987656}, status=404, code="not_found"),
    person("a priority beyond all", {"title": "T", "agent": "quick", "priority": 1001}),
    person("no tries", {"title": "T", "agent": "quick", "max_tries": 0}),
    person("a reviewer that is none", {"title": "T", "agent": "quick", "review": "maybe"}),
    person("data that is no object", {"title": "T", "agent": "quick", "data": [1]}),
    person("needs that are text", {"title": "T", "agent": "quick", "needs": ["x"]}),
    own("a child that needs its parent", {"title": "T", "needs": ["{own}"]}, "children", status=403, code="forbidden"),
    own("a child of nobody", {"title": "T", "agent": "no-one"}, "children", status=404, code="not_found"),
    # moves
    person("approving what is at work", {}, f"{TASKS}/{{own}}/approve", status=409, code="illegal_move"),
    person("rejecting without a word", {}, f"{TASKS}/{{own}}/reject"),
    person("answering what is done", {"detail": "x"}, f"{TASKS}/{{done}}/answer", status=409, code="illegal_move"),
    person("cancelling what is done", {}, f"{TASKS}/{{done}}/cancel", status=409, code="illegal_move"),
    person("reopening what is at work", {}, f"{TASKS}/{{own}}/reopen", status=409, code="illegal_move"),
    # slots
    person("slots of nothing", {}, "/api/slots"),
    person("a slot without a time", {"slots": [{"id": 1, "agent": "quick"}]}, "/api/slots", status=409, code="refused"),
    person("a time zone that is none", {"time_zone": "Mars/Base", "slots": []}, "/api/slots", status=404, code="not_found"),
    person("a day that is no day", {"date": "31.1.2026", "slots": []}, "/api/slots"),
)  # fmt: skip


WEIGHED = {"peak_rss_bytes", "cpu_seconds"}


@dataclass
class Scene:
    """A daemon with a task at work, another one, one that is done, and the tokens."""

    house: House
    numbers: Mapping[str, int]
    tokens: Mapping[str, str]

    def send(self, wrong: Wrong) -> tuple[int, Mapping[str, str], bytes]:
        """Exactly these bytes, over HTTP."""
        path, body = self._filled(wrong.path), self._body(wrong.body)
        with closing(http.client.HTTPConnection("127.0.0.1", self.house.port, timeout=20)) as connection:
            connection.putrequest(wrong.method, path, skip_host=True, skip_accept_encoding=True)
            given = {name for name, _ in wrong.headers}
            if "Host" not in given:
                connection.putheader("Host", f"127.0.0.1:{self.house.port}")
            if wrong.who is not None:
                known = self.tokens.get(wrong.who)
                connection.putheader("Authorization", f"Bearer {known}" if known else wrong.who)
            if wrong.type is not None and body is not None:
                connection.putheader("Content-Type", wrong.type)
            for name, value in wrong.headers:
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body or b"")))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def _filled(self, text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: str(self.numbers[match[1]]), text)

    def _body(self, body: object) -> bytes | None:
        if body is None or isinstance(body, bytes):
            return body
        if isinstance(body, str):
            return body.encode()
        text = json.dumps(body)
        return text.replace('"{own}"', str(self.numbers["own"])).encode()

    def board(self) -> dict[str, list[tuple[object, ...]]]:
        """Every row of every table but the refusals, and but what the daemon weighs meanwhile, whoever asks what."""
        with closing(sqlite3.connect(f"{self.house.board.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("BEGIN")
            names = "SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'refusals' ORDER BY name"
            tables = [name for (name,) in connection.execute(names)]
            return {name: sorted(self._rows(connection, name), key=repr) for name in tables}

    @staticmethod
    def _rows(connection: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
        columns = [row[1] for row in connection.execute("SELECT * FROM pragma_table_info(?)", (table,))]
        told = ", ".join(f'"{name}"' for name in columns if name not in WEIGHED)
        rows = connection.execute(f'SELECT {told} FROM "{table}"').fetchall()
        return [row for row in rows if row[0] != "notices_event"]  # up to where notices were made of what happened


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    house = House(tmp_path_factory.mktemp("wrong"), api={"max_body_bytes": 65536})
    hand_in = "echo x > f; bb output data T f; bb submit\n"
    house.agent("patient", f"bb start; while [ ! -e go ]; do sleep 0.1; done; {hand_in}", max_live=2)
    house.agent("quick", f'cp "$directory/curl.conf" "$here/ended.conf"; bb start; {hand_in}')
    house.start()
    numbers = {"own": house.post("patient"), "other": house.post("patient"), "done": house.post("quick")}
    for name in ("own", "other"):
        house.reaches(numbers[name], "working")
    house.reaches(numbers["done"], "done")
    furnish(house.workspace(numbers["own"]))
    yield Scene(house, numbers, _tokens(house, numbers))

    for name in ("own", "other"):
        house.let_go(numbers[name])
        house.reaches(numbers[name], "done")
    house.ends()


def _tokens(house: House, numbers: Mapping[str, int]) -> dict[str, str]:
    def inside(file: Path) -> str:
        match = re.search(r"bbt_[\w-]{43}", file.read_text())
        assert match is not None
        return match[0]

    (attempt,) = house.attempts(numbers["own"])
    return {
        "own": inside(house.attempt_file(attempt["id"], "curl.conf")),
        "ended": inside(house.folder / "ended.conf"),
        "operator": inside(house.folder / "operator.token"),
    }


def furnish(workspace: Path) -> None:
    """What the wrong paths name."""
    (workspace / "link").symlink_to("/etc/passwd")
    (workspace / "way").symlink_to("/etc")
    (workspace / "folder").mkdir()
    os.mkfifo(workspace / "pipe")
    with (workspace / "large").open("wb") as file:
        file.truncate(65 * 1024 * 1024)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.says.replace(" ", "-"))
def test_a_wrong_request_is_told_what_is_wrong_and_changes_nothing(scene: Scene, wrong: Wrong) -> None:
    before = scene.board()
    status, headers, raw = scene.send(wrong)
    told = json.loads(raw)
    assert (status, told["code"], told["status"]) == (wrong.status, wrong.code, wrong.status), told
    assert headers["content-type"] == "application/problem+json"
    assert 15 < len(told["detail"]) < 600, told["detail"]
    assert not [secret for secret in scene.tokens.values() if secret in raw.decode()]
    assert scene.board() == before


def test_more_than_sixty_sentences_and_no_two_alike(scene: Scene) -> None:
    told: dict[str, list[str]] = {}
    for wrong in WRONG:
        told.setdefault(json.loads(scene.send(wrong)[2])["detail"], []).append(wrong.says)
    assert {sentence: rows for sentence, rows in told.items() if len(rows) > 1} == {}
    assert len(told) >= 60
    assert "Traceback" not in scene.house.told()


def test_the_refusals_of_an_attempt_are_counted(scene: Scene) -> None:
    before = scene.house.value("SELECT coalesce(sum(count), 0) FROM refusals")
    scene.send(own("an unknown status", {"status": "finished"}))
    assert scene.house.value("SELECT coalesce(sum(count), 0) FROM refusals") == before + 1
