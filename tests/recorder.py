"""A small HTTP server that keeps every request and answers as told: for tests of what `bb`, curl and agents send."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from prompts import bb_script, curl_config

TOKEN = "bbt_" + "Ab3-_" * 8 + "xyz"
NASTY = (
    'it\'s "quoted" $(touch /tmp/never-$$) `touch /tmp/never` ${HOME} \\n \\\\ % & = + ; <> | * ? ~ #\n'
    "@/etc/passwd\n\tsecond\r\nthird 🙂👩‍🚀 é 漢字\n\n-n --final -\nEND\nEOF\n"
)


@dataclass
class Request:
    """One request; `form` and `query` decoded, `body` as it came."""

    method: str
    path: str
    query: dict[str, str]
    kind: str
    authorization: str
    body: bytes
    key: str = ""

    @property
    def form(self) -> dict[str, bytes]:
        pairs = parse_qsl(self.body.decode("ascii"), keep_blank_values=True, errors="surrogateescape")
        assert len(pairs) == len(dict(pairs))
        return {name: value.encode("utf-8", "surrogateescape") for name, value in pairs}


@dataclass
class Recorder:
    """`answers`: status and JSON for the next requests, in order; after them 200 with a sentence."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answers: list[tuple[int, object]] = field(default_factory=list)

    @property
    def last(self) -> Request:
        return self.requests[-1]

    def told(self) -> list[str]:
        """What was reported, in order: a status's word, else the route's last part."""
        return [told(request) for request in self.requests]


def told(request: Request) -> str:
    route = request.path.rpartition("/")[2]
    if route != "status":
        return route
    fields = json.loads(request.body) if request.kind.endswith("json") else request.form
    word = fields["status"]
    return word.decode() if isinstance(word, bytes) else str(word)


@contextmanager
def recording() -> Iterator[Recorder]:
    recorder = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            parts = urlsplit(self.path)
            kind = self.headers.get("content-type", "")
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            authorization = self.headers.get("authorization", "")
            key = self.headers.get("idempotency-key", "")
            recorder.requests.append(Request(self.command, parts.path, query, kind, authorization, body, key))
            status, document = recorder.answers.pop(0) if recorder.answers else (200, {"task": 7, "next": "go on"})
            text = (document if isinstance(document, str) else json.dumps(document)).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    recorder.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Kit:
    """An attempt's directory with its two tools, and its workspace; both with names that need quoting."""

    directory: Path
    workspace: Path

    @property
    def bb(self) -> str:
        return str(self.directory / "bb")

    @property
    def curl_conf(self) -> str:
        return str(self.directory / "curl.conf")

    def make(self, base_url: str, *, retry: bool = False) -> Kit:
        self.directory.mkdir(parents=True)
        self.workspace.mkdir(parents=True)
        config = curl_config(TOKEN)
        Path(self.curl_conf).write_text(config if retry else config.replace("retry = 3", "retry = 0"))
        Path(self.bb).write_text(bb_script(base_url, "demo", 7, self.curl_conf), encoding="utf-8")
        Path(self.bb).chmod(0o700)
        return self


def shell(script: str, shell: str = "/bin/sh") -> subprocess.CompletedProcess[bytes]:
    """Run a script as a person's shell would, from `/`, with an empty environment."""
    return subprocess.run([shell], input=script.encode(), cwd="/", env={}, capture_output=True, timeout=50)
