"""Who may speak to the server at all: Host, Origin and Sec-Fetch-Site, on every method. Every value is a row."""

from __future__ import annotations

import json

import pytest

from api.origins import Origins
from tests.asgi_by_hand import ask, guarded

OUR_HOSTS = [
    "127.0.0.1",
    "127.0.0.1:8083",
    "127.0.0.1:1",
    "127.255.1.9:65535",
    "localhost",
    "localhost:8083",
    "LOCALHOST:8083",
    "[::1]",
    "[::1]:8083",
    "[0:0:0:0:0:0:0:1]:8083",
    "board.example",
    "board.example:443",
    "BOARD.example",
]
FOREIGN_HOSTS = [
    "",
    " ",
    "evil.example",
    "evil.example:8083",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.board.example",
    "board.example.evil.example",
    "board.example.",
    "localhost.",
    "0.0.0.0",
    "0.0.0.0:8083",
    "10.0.0.1",
    "128.0.0.1",
    "127.1",
    "0x7f.0.0.1",
    "2130706433",
    "127.0.0.01",
    "127.0.0.1:",
    "127.0.0.1:99999",
    "127.0.0.1:-1",
    "127.0.0.1:80:80",
    "127.0.0.1:8o83",
    "127.0.0.1 ",
    "127.0.0.1, evil.example",
    "evil@127.0.0.1",
    "127.0.0.1/x",
    "127.0.0.1?x",
    "::1",
    "::1:8083",
    "[::]",
    "[::2]:8083",
    "[::1%eth0]",
    "[::ffff:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[::1",
    "[::1]x",
    "[127.0.0.1]",
    "[]",
    "loc\xe4lhost",
]


@pytest.mark.parametrize("host", OUR_HOSTS)
async def test_the_loopback_names_and_the_public_host_are_ours(host: str) -> None:
    assert (await ask(guarded(), [("Host", host)]))[0] == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("host", FOREIGN_HOSTS)
async def test_a_foreign_host_is_refused_with_every_method(host: str, method: str) -> None:
    status, _, body = await ask(guarded(), [("Host", host)], method)
    assert status == 403
    assert json.loads(body)["code"] == "foreign"


@pytest.mark.parametrize("hosts", [[], ["127.0.0.1", "127.0.0.1"], ["127.0.0.1", "evil.example"]])
async def test_a_missing_or_second_host_is_a_bad_request(hosts: list[str]) -> None:
    status, _, body = await ask(guarded(), [("Host", host) for host in hosts])
    assert (status, json.loads(body)["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:8083", "http://127.0.0.1:8083"),
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("localhost:8083", "http://LOCALHOST:8083"),
        ("[::1]:8083", "http://[::1]:8083"),
        ("127.0.0.1:8083", "https://board.example"),
        ("127.0.0.1:8083", "https://board.example:443"),
        ("board.example", "https://board.example"),
    ],
)
async def test_our_own_origins_pass(host: str, origin: str) -> None:
    assert (await ask(guarded(), [("Host", host), ("Origin", origin)]))[0] == 200


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "http://evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:3000",
        "http://localhost:8083",
        "http://[::1]:8083",
        "http://127.0.0.1:8083.evil.example",
        "http://127.0.0.1:8083@evil.example",
        "http://127.0.0.1:8083/",
        "http://board.example",
        "https://board.example:8443",
        "file://127.0.0.1:8083",
        "chrome-extension://abc",
        "127.0.0.1:8083",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
async def test_a_page_of_another_origin_is_refused_with_every_method(origin: str, method: str) -> None:
    status, _, body = await ask(guarded(), [("Host", "127.0.0.1:8083"), ("Origin", origin)], method)
    assert (status, json.loads(body)["header"]) == (403, "Origin")


async def test_one_foreign_origin_among_two_is_refused() -> None:
    headers = [("Host", "127.0.0.1"), ("Origin", "http://127.0.0.1"), ("Origin", "http://evil.example")]
    assert (await ask(guarded(), headers))[0] == 403


@pytest.mark.parametrize(
    ("site", "status"),
    [("same-origin", 200), ("none", 200), ("same-site", 403), ("cross-site", 403), ("", 403), ("None", 403)],
)
async def test_only_our_own_fetches_pass(site: str, status: int) -> None:
    assert (await ask(guarded(), [("Host", "127.0.0.1"), ("Sec-Fetch-Site", site)]))[0] == status


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8083", "ftp://x", "http://", "http://a b", "http://u@h", "http://h:99999"]
)
def test_a_base_url_without_a_usable_host_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="public_base_url"):
        Origins.of(url)
