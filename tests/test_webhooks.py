"""The sink `webhook`: signed so that the reference library believes it, tried again from the board, led nowhere private."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from blackboard import dead_letters, deliveries
from blackboard.clock import SystemClock, plus
from orchestrator import web
from orchestrator.asking import NoAnswer
from orchestrator.sinks import addresses, signing, webhooks
from tests.fake_clock import FakeClock
from tests.hook_server import SECRET, HookServer
from tests.notice_house import opened

OTHER = "whsec_bmV3ZXIgYW5kIGxvbmdlciB0aGFuIHRoZSBvdGhlcg=="


@pytest.fixture
def server() -> Iterator[HookServer]:
    made = HookServer()
    yield made
    made.close()


@pytest.fixture
def now() -> FakeClock:
    """Wound by hand, and near the real time: the reference library looks at its own clock."""
    return FakeClock(SystemClock().now())


def hook(folder: Path, server: HookServer, more: str = "", secrets: str = SECRET + "\n") -> str:
    file = folder / "hook.secret"
    file.write_text(secrets)
    file.chmod(0o600)
    return (
        f'[sinks.out]\ntype = "webhook"\nurl = "http://127.0.0.1:{server.port}/in?a=1"\nsecret_file = "hook.secret"\n'
        f"allow_private = true\nretry_seconds = 10\n{more}"
    )


async def test_a_message_is_one_that_the_reference_library_verifies(
    tmp_path: Path, server: HookServer, now: FakeClock
) -> None:
    async with opened(tmp_path, hook(tmp_path, server), now) as house:
        await house.post(
            "ein Dübel — \U0001f980 \x00 '\"$(x)\n", body="line\nline\x00" + "ö" * 15_000, data={"a": "\ud7ff"}
        )
        await house.tell()
        [told] = server.told()
        [notice] = told["data"]["notices"]  # type: ignore[index]
        assert notice["title"] == "ein Dübel — \U0001f980 \x00 '\"$(x)"
        assert notice["body"].endswith("ö" * 100)
        [heard] = server.heard
        assert heard.path == "/in?a=1"
        assert heard.headers["host"] == f"127.0.0.1:{server.port}"
        assert heard.headers["content-type"] == "application/json"
        assert heard.headers["webhook-id"] == told["id"]
        assert str(told["id"]).startswith(f"msg_{house.board.board_id}_1_")
        with pytest.raises(WebhookVerificationError):
            Webhook(OTHER).verify(heard.body, heard.headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(heard.body + b" ", heard.headers)


async def test_while_a_secret_is_replaced_both_are_signed_with(
    tmp_path: Path, server: HookServer, now: FakeClock
) -> None:
    text = hook(tmp_path, server, secrets=f"# the new one\n{OTHER}\n\n{SECRET}\n")
    async with opened(tmp_path, text, now) as house:
        await house.post()
        await house.tell()
        assert len(server.told(SECRET)) == len(server.told(OTHER)) == 1
        assert server.heard[0].headers["webhook-signature"].count("v1,") == 2


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (SECRET, 0o640, "others can read"), ("", 0o600, "is empty"), ("secret", 0o600, "is no secret"),
        ("whsec_c2hvcnQ=", 0o600, "is no secret"), ("whsec_" + "!" * 40, 0o600, "is no secret"), ("ö", 0o600, "something else"),
        (None, 0o600, "cannot be read"), (f"{SECRET}\nwhsec_", 0o600, "is no secret"),
    ],
)  # fmt: skip
async def test_without_a_good_secret_nothing_is_sent(
    tmp_path: Path, server: HookServer, now: FakeClock, content: str | None, mode: int, words: str
) -> None:
    async with opened(tmp_path, hook(tmp_path, server), now) as house:
        file = tmp_path / "hook.secret"
        if content is None:
            file.unlink()
        else:
            file.write_text(content, encoding="utf-8")
            file.chmod(mode)
        await house.post()
        await house.tell()
        assert server.heard == []
        [said] = await house.events("sink_failed")
        assert words in said and "whsec_M" not in said and "c2hvcnQ" not in said
        hook(tmp_path, server)
        now.go_on(10)
        await house.tell()
        assert [each["type"] for each in server.told()] == ["notice.blocked"]


async def test_a_try_that_fails_is_made_again_with_the_same_id_and_text_and_a_new_time(
    tmp_path: Path, server: HookServer, now: FakeClock
) -> None:
    async with opened(tmp_path, hook(tmp_path, server), now) as house:
        server.answers = [(500, {}), (404, {}), (301, {"Location": f"http://127.0.0.1:{server.port}/there"})]
        await house.post("a")
        await house.post("b")
        for _ in range(4):
            await house.tell()
            house.restart()
            now.go_on(50)
        assert [each.path for each in server.heard] == ["/in?a=1"] * 5  # and never /there
        assert len({each.headers["webhook-id"] for each in server.heard[:4]}) == 1
        assert len({each.body for each in server.heard[:4]}) == 1
        times = [int(each.headers["webhook-timestamp"]) for each in server.heard[:4]]
        assert times == [times[0], times[0] + 50, times[0] + 100, times[0] + 150]
        said = await house.events("sink_failed", "sink_back")
        assert [line.split(" ")[0] for line in said] == ["sink_failed:"] * 3 + ["sink_back:"]
        assert "301, which leads elsewhere" in said[2]


async def test_a_server_that_is_away_for_an_hour_hears_everything_in_order(tmp_path: Path, now: FakeClock) -> None:
    """With the waits as they are unless said otherwise, a notice every five minutes, and a restart every ten."""
    away = HookServer()
    away.close()
    now.jump_to(plus(now.now(), -4000))
    text = hook(tmp_path, away).replace("retry_seconds = 10\n", "")
    async with opened(tmp_path, text, now) as house:
        for step in range(360):
            if step % 30 == 0:
                await house.post(f"n{step // 30}")
            if step % 60 == 0:
                house.restart()
            await house.tell()
            now.go_on(10)
        assert await house.states() == ["waiting"] * 12
        row = await house.board.one("SELECT failures FROM deliveries ORDER BY id LIMIT 1")
        assert row is not None and 10 <= row["failures"] <= 25  # tried again and again, and not without a pause
        server = HookServer(away.port)
        now.go_on(600)  # the longest wait
        await house.tell()
        server.close()
        assert [told["data"]["title"] for told in server.told()] == [f"n{number}" for number in range(12)]  # type: ignore[index]
        assert len(await house.events("sink_failed")) == len(await house.events("sink_back")) == 1


async def test_a_server_may_ask_to_be_left_alone(tmp_path: Path, server: HookServer, now: FakeClock) -> None:
    async with opened(tmp_path, hook(tmp_path, server), now) as house:
        server.answers = [(429, {"Retry-After": "120"}), (503, {"Retry-After": "soon"})]
        await house.post()
        for seconds, heard in ((0, 1), (119, 1), (1, 2), (9, 2)):
            now.go_on(seconds)
            await house.tell()
            assert len(server.heard) == heard
        now.go_on(11)
        await house.tell()
        assert len(server.heard) == 3


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0), ("0", 0.0), ("999999999999", 86400.0), ("soon", None), ("", None), ("-5", None), ("1.5", None),
        ("Sat, 31 Jan 2026 09:01:00 GMT", 60.0), ("Sat, 31 Jan 2026 08:00:00 GMT", 0.0), ("٣", None),
    ],
)  # fmt: skip
def test_what_retry_after_says(text: str, seconds: float | None) -> None:
    assert webhooks.retry_after({"retry-after": text}, "2026-01-31T09:00:00.000Z") == seconds


async def test_a_server_that_is_gone_gets_nothing_more_until_a_person_says_so(
    tmp_path: Path, server: HookServer, now: FakeClock
) -> None:
    text = hook(tmp_path, server, "dedupe_seconds = 0\n") + '[sinks.file]\ntype = "file"\nfolder = "file"\n'
    async with opened(tmp_path, text, now) as house:
        server.always = (410, {})
        for title in "abc":
            await house.post(title)
        await house.tell()
        now.go_on(100)
        house.restart()
        await house.post("d")
        await house.tell()
        await house.tell()
        assert len(server.heard) == 1
        assert await house.states() == ["dead"] * 4
        assert [each[0] for each in house.titles("file")] == [*"abcd"] + ["sink out has given notices up"] * 2

        server.always = (200, {})
        await house.board.write(lambda tx: dead_letters.retry(tx, notice=None, sink="out", actor="person:x"))
        await house.tell()
        assert [told["data"]["title"] for told in server.told()[1:]] == [*"abcd"]  # type: ignore[index]


async def test_a_pipe_in_the_place_of_the_secret_is_not_waited_for(
    tmp_path: Path, server: HookServer, now: FakeClock
) -> None:
    async with opened(tmp_path, hook(tmp_path, server), now) as house:
        (tmp_path / "hook.secret").unlink()
        os.mkfifo(tmp_path / "hook.secret", 0o600)
        await house.post("a")
        await house.tell()
        assert "hook.secret cannot be read: it is no regular file" in (await house.events("sink_failed"))[0]


async def test_that_a_server_is_gone_is_told_where_its_message_was_dismissed_meanwhile(
    tmp_path: Path, server: HookServer, now: FakeClock
) -> None:
    text = hook(tmp_path, server) + '[sinks.file]\ntype = "file"\nfolder = "file"\nkinds = ["sink"]\n'
    async with opened(tmp_path, text, now) as house:
        server.always = (410, {})
        await house.post("a")
        await house.noticing.post()
        await house.board.write(deliveries.begin, "out", house.board.board_id, digest=False, until=now.now())
        message = (await house.board.read(deliveries.head, "out")).message  # type: ignore[union-attr]
        await house.board.write(lambda tx: dead_letters.dismiss(tx, notice=1, sink=None, actor="person:x"))
        await house.board.write(deliveries.closed, "out", str(message), "it answers 410, gone for good")
        await house.tell()
        assert await house.events("notice_dead", "sink_failed") == [
            "sink_failed: sink out: it answers 410, gone for good"
        ]
        assert [each[0] for each in house.titles("file")] == ["sink out does not take notices"]


async def test_an_answer_of_any_size_is_an_answer(tmp_path: Path, now: FakeClock) -> None:
    over: list[asyncio.StreamWriter] = []

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 100_000)
        over.append(writer)

    listening = await asyncio.start_server(endless, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    answer = await web.ask("POST", f"http://127.0.0.1:{port}/", content=b"{}", most_bytes=0, seconds=5)
    assert (answer.status, answer.body) == (200, b"")
    over[0].close()
    listening.close()


# --- where it may go --------------------------------------------------------------------------------------------------

NASTY = (
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "017700000001", "0", "0.0.0.0", "localhost", "LOCALHOST", "localhost.",
    "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:a00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::1]",
    "[2002:7f00:1::]", "[2001:0:7f00:1::80ff:fffe]", "[::127.0.0.1]", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1",
    "169.254.169.254", "[fd00:ec2::254]", "[fe80::1]", "[fec0::1]", "[fc00::1]", "224.0.0.1", "[ff02::1]", "255.255.255.255",
    "240.0.0.1", "192.0.2.1", "198.18.0.1", "[2001:db8::1]",
)  # fmt: skip


@pytest.mark.parametrize("host", NASTY)
async def test_a_private_address_is_not_gone_to(
    tmp_path: Path, server: HookServer, now: FakeClock, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    async def never(*_args: Any, **_more: Any) -> web.Answered:
        raise AssertionError("it was asked")

    monkeypatch.setattr(web, "ask", never)
    text = hook(tmp_path, server).replace("127.0.0.1", host).replace("allow_private = true", "allow_http = true")
    async with opened(tmp_path, text, now) as house:
        await house.post()
        await house.tell()
        [said] = await house.events("sink_failed")
        assert "allow_private" in said or "is not found" in said


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111"])
def test_addresses_of_the_internet_may_be_gone_to(address: str) -> None:
    assert addresses.is_public(address)


def answering(*rounds: tuple[str, ...]) -> Any:
    """A resolver that says something else each time it is asked."""
    left = list(rounds)

    async def getaddrinfo(_self: object, _host: str, port: int, **_more: Any) -> list[Any]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    return getaddrinfo


async def test_one_private_address_among_others_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(type(loop), "getaddrinfo", answering(("8.8.8.8", "10.0.0.1")))
    with pytest.raises(NoAnswer, match=r"10\.0\.0\.1"):
        await addresses.resolved("rebind.example", 443, allow_private=False)
    assert await addresses.resolved("rebind.example", 443, allow_private=True) == ["8.8.8.8", "10.0.0.1"]


async def test_what_was_judged_is_what_is_connected_to(
    tmp_path: Path, server: HookServer, now: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that means something public when it is judged and this machine a moment later."""
    connected: list[str] = []

    async def connect(_self: object, host: str, port: int, **_more: Any) -> Any:
        connected.append(host)
        raise OSError("not here")

    import anyio

    monkeypatch.setattr(
        anyio, "connect_tcp", lambda remote_host, remote_port, **more: connect(None, remote_host, remote_port)
    )
    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", answering(("8.8.8.8",), ("127.0.0.1",)))
    text = (
        hook(tmp_path, server)
        .replace("127.0.0.1", "rebind.example")
        .replace("allow_private = true", "allow_http = true")
    )
    async with opened(tmp_path, text, now) as house:
        await house.post()
        await house.tell()
    assert connected == ["8.8.8.8"]
    assert server.heard == []


async def test_over_tls_the_name_is_proved_and_not_the_address(
    tmp_path: Path, now: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []

    async def hello(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)  # type: ignore[assignment]
    listening = await asyncio.start_server(hello, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    with pytest.raises(NoAnswer):
        await web.ask("POST", f"https://hooks.example:{port}/", content=b"{}", seconds=5, at="127.0.0.1")
    assert asked == ["hooks.example"]
    listening.close()


def test_the_signature_is_the_one_of_the_specification() -> None:
    """The example of the reference implementation's own tests."""
    [key] = signing.secrets_in("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Path("x"))
    made = signing.headers([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_no_token_of_the_board_leaves(tmp_path: Path, server: HookServer, now: FakeClock) -> None:
    token = "bbt_" + "a" * 43
    async with opened(tmp_path, hook(tmp_path, server), now) as house:
        await house.post(f"t {token}", body=f"b {token}", data={token: [token]})
        await house.tell()
        assert len(server.heard) == 1 and token.encode() not in server.heard[0].body
        assert json.dumps("bbt_***").encode() in server.heard[0].body


async def test_a_clock_that_was_set_back_silences_nobody(tmp_path: Path, server: HookServer, now: FakeClock) -> None:
    async with opened(tmp_path, hook(tmp_path, server), now) as house:
        server.answers = [(500, {})]
        await house.post()
        await house.tell()
        now.jump_to(plus(now.now(), -30 * 86400))
        await house.tell()
        assert len(server.heard) == 2
