"""Foreign callers, on every route there is and every method: made from the table, so that a later route is asked too."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api import ApiConfig, create_app
from api.app import table
from blackboard.board import Board
from tests.asgi_by_hand import ask

BASE = "http://127.0.0.1:8083"
OURS = "127.0.0.1:8083"
PATHS = sorted(
    {
        endpoint.path.format(
            project="demo",
            agent="writer",
            account="agent:writer",
            task=1,
            output=1,
            slot=1,
            virtual="1-20260131",
            permission=1,
            watch="nothing",
            token="ann",
            feed="bbt_" + "x" * 43,
        )
        for endpoint in table(ApiConfig())
    }
)
UNKNOWN = [
    "/",
    "/nowhere",
    "/api",
    "/openapi.json/..",
    "/api/projects/demo/tasks/1/status/",
    "*",
    "//evil.example/healthz",
]
METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "BREW",
    "get",
    "POST ",
]

HOSTS = [
    "evil.example", "evil.example:8083", "EVIL.EXAMPLE", "127.0.0.1.evil.example", "localhost.evil.example:8083", "127.0.0.1.nip.io",
    "7f000001.rbndr.us", "localtest.me", "host.docker.internal", "localhost.", "127.0.0.1.", "LOCALHOST.:8083", "localhost.localdomain",
    "0.0.0.0:8083", "0", "0x7f000001", "017700000001", "2130706433", "127.1", "127.0.1", "128.0.0.1", "169.254.169.254", "192.168.0.1:8083",
    "[::]:8083", "[::2]", "[::ffff:127.0.0.1]:8083", "[::1%25lo]:8083", "[fe80::1]", "::1", "[::1", "::1]", "[::1]evil.example", "[::1]:x",
    "user@127.0.0.1:8083", "127.0.0.1:8083@evil.example", "127.0.0.1:8083/", "127.0.0.1:8083#x", "127.0.0.1:8083?x", "127.0.0.1:8083,evil.example",
    "127.0.0.1:8083 evil.example", " 127.0.0.1:8083", "127.0.0.1:8083 ", "127.0.0.1\t:8083", "127.0.0.1:8083\r\n evil.example", "127.0.0.1:",
    "127.0.0.1:65536", "127.0.0.1:-8083", "127.0.0.1:8083:8083", "http://127.0.0.1:8083", "", " ", "null", "*", "%6cocalhost", "l\xf6calhost",
]  # fmt: skip
ORIGINS = [
    "null", "NULL", "", " ", "*", "http://evil.example", "https://evil.example:8083", "http://127.0.0.1.evil.example:8083", "http://127.0.0.1",
    "http://127.0.0.1:80", "http://127.0.0.1:8084", "http://localhost:8083", "http://[::1]:8083", "http://127.0.0.1.:8083",
    "http://user@127.0.0.1:8083", "http://127.0.0.1:8083@evil.example", "http://127.0.0.1:8083/", "http://127.0.0.1:8083/x", "http://127.0.0.1:8083#x",
    "http://127.0.0.1:8083 http://evil.example", "http://evil.example http://127.0.0.1:8083", "http://127.0.0.1:8083,http://evil.example",
    "http://127.0.0.1:8083\r\n http://evil.example", " http://127.0.0.1:8083", "http://127.0.0.1:8083 ", "file://", "file:///etc/passwd",
    "file://127.0.0.1:8083", "data:text/html,x", "blob:http://127.0.0.1:8083/x", "about:blank", "chrome-extension://abcdef", "moz-extension://x",
    "vscode-webview://x", "ws://127.0.0.1:8083", "ftp://127.0.0.1:8083", "javascript://127.0.0.1:8083", "//127.0.0.1:8083", "127.0.0.1:8083",
    "http:/127.0.0.1:8083", "http:127.0.0.1:8083", "http://", "http://2130706433:8083", "http://127.1:8083", "http://[::ffff:127.0.0.1]:8083",
    "http://[::1%25lo]:8083", "http://\xe9vil.example",
]  # fmt: skip
SITES = [
    "cross-site", "same-site", "CROSS-SITE", "Same-Origin", "SAME-ORIGIN", "None", "NONE", "", " ", "null", "same-origin ", " same-origin",
    "same-origin, cross-site", "cross-site, same-origin", "none;x", "same-origin\r\n cross-site", "same-origin\t", "same_origin", "sameorigin", "*",
]  # fmt: skip
FOREIGN = [
    *(("Host", [("Host", host)]) for host in HOSTS),
    *(("Origin", [("Host", OURS), ("Origin", origin)]) for origin in ORIGINS),
    *(("Sec-Fetch-Site", [("Host", OURS), ("Sec-Fetch-Site", site)]) for site in SITES),
    ("Origin", [("Host", OURS), ("Origin", BASE), ("Origin", "http://evil.example")]),
    ("Origin", [("Host", OURS), ("Origin", "http://evil.example"), ("Origin", BASE)]),
    ("Sec-Fetch-Site", [("Host", OURS), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")]),
    ("Sec-Fetch-Site", [("Host", OURS), ("Origin", BASE), ("Sec-Fetch-Site", "same-site")]),
    ("Origin", [("Host", OURS), ("Origin", "http://evil.example"), ("Sec-Fetch-Site", "same-origin")]),
    (None, [("Host", OURS), ("Host", OURS)]),
    (None, [("Host", OURS), ("Host", "evil.example")]),
    (None, []),
]


@pytest.fixture
async def board(tmp_path: Path) -> AsyncIterator[Board]:
    opened = await Board.open(tmp_path / "board.db")
    yield opened
    await opened.close()


@pytest.mark.parametrize("path", [*PATHS, *UNKNOWN])
async def test_a_foreign_caller_is_refused_with_every_method(board: Board, path: str) -> None:
    app = create_app(board, ApiConfig(public_base_url=BASE))
    for method in METHODS:
        for header, headers in FOREIGN:
            status, answered, body = await ask(app, headers, method, path)
            told = json.loads(body)
            where = (method, headers, told)
            if header is None:
                assert (status, told["code"]) == (400, "bad_request"), where
            else:
                assert (status, told.get("code"), told.get("header")) == (403, "foreign", header), where
            assert not [name for name in answered if name.startswith("access-control")], where
            assert "allow" not in answered, where


@pytest.mark.parametrize("path", PATHS)
async def test_our_own_callers_are_not_refused(board: Board, path: str) -> None:
    """The matrix above would pass on a server that refuses everybody."""
    app = create_app(board, ApiConfig(public_base_url=BASE))
    for headers in ([("Host", OURS)], [("Host", OURS), ("Origin", BASE), ("Sec-Fetch-Site", "same-origin")]):
        for method in METHODS:
            assert (await ask(app, headers, method, path))[0] not in (400, 403)


def test_the_lists_are_long_enough() -> None:
    assert len(FOREIGN) >= 120
    assert min(len(set(HOSTS)), len(set(ORIGINS))) >= 40
