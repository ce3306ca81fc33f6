"""Bytes that somebody may send to an HTTP port: made from valid requests, by chance with a seed. Knows no server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import Literal

End = Literal["read", "half", "reset", "close"]
ENDS: Sequence[End] = ("read", "read", "read", "read", "half", "reset", "close")


@dataclass(frozen=True)
class Input:
    """What one connection sends, piece by piece, and how it ends: wait for an answer, half-close, reset or close."""

    kind: str
    pieces: tuple[bytes, ...]
    end: End


@dataclass(frozen=True)
class Aim:
    """Where the requests go: an address and a token that is good there."""

    host: str
    token: str
    task: str  # the path of the token's task


def inputs(aim: Aim, count: int, seed: int) -> Iterator[Input]:
    """`count` inputs, each kind as often as the others; the same ones for the same seed."""
    chance = Random(seed)
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        raw = kind(aim, chance)
        yield Input(kind.__name__.strip("_"), _pieces(raw, chance), chance.choice(ENDS))


def _pieces(raw: bytes, chance: Random) -> tuple[bytes, ...]:
    """Mostly whole; now and then cut at up to five places."""
    if chance.random() < 0.7 or len(raw) < 2:
        return (raw,)
    cuts = sorted({0, len(raw), *(chance.randrange(1, len(raw)) for _ in range(chance.randint(1, 5)))})
    return tuple(raw[begin:end] for begin, end in pairwise(cuts))


def _head(aim: Aim, first: bytes, *headers: bytes) -> bytes:
    own = (b"Host: " + aim.host.encode(), b"Authorization: Bearer " + aim.token.encode(), *headers)
    return b"\r\n".join((first, *own, b"", b""))


def _valid(aim: Aim, chance: Random) -> bytes:
    path = aim.task.encode()
    body = b'{"detail": "still here"}'
    return chance.choice(
        (
            _head(aim, b"GET /healthz HTTP/1.1"),
            _head(aim, b"GET " + path + b" HTTP/1.1"),
            _head(aim, b"GET /api/events?limit=2 HTTP/1.1", b"Connection: close"),
            _head(aim, b"POST " + path + b"/heartbeat HTTP/1.1", b"Content-Type: application/json",
                  b"Content-Length: %d" % len(body)) + body,
            _head(aim, b"POST " + path + b"/comments HTTP/1.1", b"Content-Type: text/plain",
                  b"Transfer-Encoding: chunked") + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        )
    )  # fmt: skip


# --- one function a kind ------------------------------------------------------------------------------------------


def _noise(aim: Aim, chance: Random) -> bytes:
    return chance.randbytes(chance.randrange(1, 2000))


def _flipped(aim: Aim, chance: Random) -> bytes:
    """A valid request with a few bytes changed."""
    raw = bytearray(_valid(aim, chance))
    for _ in range(chance.randint(1, 8)):
        raw[chance.randrange(len(raw))] = chance.randrange(256)
    return bytes(raw)


def _inserted(aim: Aim, chance: Random) -> bytes:
    """A valid request with something put in somewhere."""
    raw = _valid(aim, chance)
    at = chance.randrange(len(raw))
    odd = (
        b"\0",
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b":",
        b"\x80",
        b"\xff\xfe",
        b"%",
        b"%00",
        b"\x7f",
        b"..",
    )
    return raw[:at] + chance.choice(odd) * chance.randint(1, 3) + raw[at:]


def _cut(aim: Aim, chance: Random) -> bytes:
    raw = _valid(aim, chance)
    return raw[: chance.randrange(1, len(raw))]


def _doubled(aim: Aim, chance: Random) -> bytes:
    """A stretch of a valid request twice."""
    raw = _valid(aim, chance)
    begin, end = sorted(chance.randrange(len(raw)) for _ in range(2))
    return raw[:end] + raw[begin:]


def _first_line(aim: Aim, chance: Random) -> bytes:
    host = aim.host.encode()
    lines = (
        b"GET", b"GET ", b"GET /", b"GET /\r\n", b"GET  /healthz HTTP/1.1", b" GET /healthz HTTP/1.1", b"GET\t/healthz\tHTTP/1.1",
        b"GET /healthz HTTP/0.9", b"GET /healthz HTTP/1.0", b"GET /healthz HTTP/1.2", b"GET /healthz HTTP/2.0", b"GET /healthz HTTP/11",
        b"GET /healthz http/1.1", b"GET /healthz HTTP/1.1 x", b"GET /healthz FTP/1.1", b"get /healthz HTTP/1.1", b"GE\0T /healthz HTTP/1.1",
        b"BREW /healthz HTTP/1.1", b"CONNECT " + host + b" HTTP/1.1", b"CONNECT / HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET * HTTP/1.1",
        b"GET http://" + host + b"/healthz HTTP/1.1", b"GET http://evil.example/healthz HTTP/1.1", b"GET https:///x HTTP/1.1",
        b"GET //evil.example/healthz HTTP/1.1", b"GET healthz HTTP/1.1", b"GET ?x HTTP/1.1", b"GET /%zz HTTP/1.1", b"GET /%00 HTTP/1.1",
        b"GET /%ff%fe HTTP/1.1", b"GET /\xc3\xa4 HTTP/1.1", b"GET /a b HTTP/1.1", b"GET /#x HTTP/1.1", b"GET /healthz%0d%0aX:y HTTP/1.1",
        b"GET /../../etc/passwd HTTP/1.1", b"TRACE /healthz HTTP/1.1", b"PRI * HTTP/2.0", b"M-SEARCH * HTTP/1.1", b"SOURCE / ICE/1.0",
    )  # fmt: skip
    return _head(aim, chance.choice(lines))


def _header_line(aim: Aim, chance: Random) -> bytes:
    odd = (
        b"X", b"X:", b": x", b":", b" X: y", b"X : y", b"X\t: y", b"X: y\r\n z", b"X: y\n", b"X: y\rZ: a", b"X\0: y", b"X: \0", b"X: \x01\x7f",
        b"\xff\xfe: y", b"X: " + b"y" * chance.choice((10, 1000, 60000)), b"Host: evil.example", b"Host:", b"hOsT: [::1", b"Connection: upgrade\r\nUpgrade: websocket",
        b"Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", b"Connection: \xff", b"Expect: 100-continue", b"Expect: 200-maybe",
        b"Content-Encoding: gzip", b"Authorization: Bearer x", b"Content-Type: \xff/\xff", b"X-Forwarded-For: 1.2.3.4", b"X-HTTP-Method-Override: DELETE",
    )  # fmt: skip
    return _head(aim, b"POST " + aim.task.encode() + b"/heartbeat HTTP/1.1", chance.choice(odd), b"Content-Length: 0")


def _length(aim: Aim, chance: Random) -> bytes:
    """A Content-Length that lies, is no number, or is there twice."""
    values = (
        b"-1", b"+5", b"0x5", b"5.0", b"5e0", b" 5 ", b"5, 5", b"5 5", b"", b"five", b"05", b"\xd9\xa5", b"5\r\nContent-Length: 6",
        b"5\r\nContent-Length: 5", b"4", b"6", b"0", b"100000", b"9" * 10, b"9" * 19, b"9" * 30, b"18446744073709551616", b"9" * 5000,
    )  # fmt: skip
    line = b"Content-Length: " + chance.choice(values)
    return (
        _head(aim, b"POST " + aim.task.encode() + b"/comments HTTP/1.1", b"Content-Type: text/plain", line) + b"hello"
    )


def _chunked(aim: Aim, chance: Random) -> bytes:
    """A chunked body that lies, has no end, or carries what nobody asked for."""
    names = (b"chunked", b"chunked", b"Chunked", b"chunked, chunked", b"gzip, chunked", b"chunked, gzip", b"identity", b"xchunked",
             b" chunked", b"\x0bchunked", b"chunked\r\nContent-Length: 5", b"chunked\r\nTransfer-Encoding: chunked")  # fmt: skip
    bodies = (
        b"5\r\nhello\r\n", b"5\r\nhell", b"5\r\nhello0\r\n\r\n", b"g\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffff\r\nhello", b"10000000000000000\r\nhello", b"7fffffffffffffff\r\nhello", b"fffffff\r\n" + b"x" * 5000, b"\r\n", b"5\nhello\n0\n\n",
        b"5;ext=1\r\nhello\r\n0\r\n\r\n", b"5;" + b"e" * 3000 + b"\r\nhello\r\n0\r\n\r\n", b"0\r\nHost: evil.example\r\n\r\n", b"0\r\n" + b"T: x\r\n" * 500 + b"\r\n",
        b"00000000000000000005\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n", b"1\r\nx\r\n" * 300 + b"0\r\n\r\n", b"0\r\n\r", b"\0",
    )  # fmt: skip
    line = b"Transfer-Encoding: " + chance.choice(names)
    head = _head(aim, b"POST " + aim.task.encode() + b"/comments HTTP/1.1", b"Content-Type: text/plain", line)
    return head + chance.choice(bodies)


def _bare_ends(aim: Aim, chance: Random) -> bytes:
    raw = _valid(aim, chance)
    return raw.replace(b"\r\n", chance.choice((b"\n", b"\r", b"\n\r", b"\r\r\n")), chance.choice((-1, 1, 2)))


def _other_protocols(aim: Aim, chance: Random) -> bytes:
    """What other programs say first on a port."""
    return chance.choice(
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(200),
            b"\x05\x01\x00", b"SSH-2.0-x\r\n", b"EHLO x\r\n", b"*1\r\n$4\r\nPING\r\n", b"\0\0\0\x08\x04\xd2\x16\x2f",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"{}", b"\r\n" * 500, b"\n", b"\0" * 100, b"GET /healthz\r\n", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
        )
    )  # fmt: skip


def _large(aim: Aim, chance: Random) -> bytes:
    """Too much of everything that stands before a body."""
    return chance.choice(
        (
            lambda: _head(aim, b"GET /" + b"a" * 100_000 + b" HTTP/1.1"),
            lambda: _head(aim, b"GET /healthz?" + b"a=b&" * 30_000 + b" HTTP/1.1"),
            lambda: _head(aim, b"GET /healthz HTTP/1.1", *[b"X-%d: y" % number for number in range(20_000)]),
            lambda: _head(aim, b"GET /healthz HTTP/1.1", b"X: " + b"y" * 200_000),
            lambda: _head(aim, b"GET /healthz HTTP/1.1", b"y" * 200_000 + b": x"),
            lambda: b"A" * 200_000,
            lambda: _chunked_head(aim) + b"0\r\n" + b"T: x\r\n" * 40_000,
            lambda: _chunked_head(aim) + b"5;" + b"e" * 200_000,
        )
    )()


def _chunked_head(aim: Aim) -> bytes:
    return _head(aim, b"POST " + aim.task.encode() + b"/comments HTTP/1.1", b"Content-Type: text/plain",
                 b"Transfer-Encoding: chunked")  # fmt: skip


def _pipelined(aim: Aim, chance: Random) -> bytes:
    """Several at once, and then rubbish or nothing."""
    many = b"".join(_valid(aim, chance) for _ in range(chance.randint(2, 20)))
    return many + chance.choice((b"", b"\0\0", b"GET", _flipped(aim, chance), _chunked(aim, chance)))


def _wrong_body(aim: Aim, chance: Random) -> bytes:
    """Good HTTP with a bad body."""
    bodies = (
        b"", b"{", b"[" * 50_000, b'{"detail": "\\ud800"}', b'{"detail": "\\u0000"}', b"\xff\xfe", b'{"detail": 1e999}', b"NaN", b"null", b"\0",
        b'{"a":' * 5000, b'{"detail": "x", "detail": "y"}', b'{"__proto__": {}}', b"detail=%", b"detail=%ff", b"&&&=&", b"a=b&" * 5000,
    )  # fmt: skip
    types = (
        b"application/json",
        b"application/x-www-form-urlencoded",
        b"text/plain",
        b"multipart/form-data",
        b"x",
        b"application/json; charset=utf-16",
    )
    body = chance.choice(bodies)
    return (
        _head(
            aim,
            b"POST "
            + aim.task.encode()
            + chance.choice((b"/heartbeat", b"/comments", b"/outputs", b"/status"))
            + b" HTTP/1.1",
            b"Content-Type: " + chance.choice(types),
            b"Content-Length: %d" % len(body),
        )
        + body
    )


KINDS: Sequence[Callable[[Aim, Random], bytes]] = (
    _noise, _flipped, _flipped, _inserted, _inserted, _cut, _doubled, _first_line, _header_line, _length, _chunked, _bare_ends,
    _other_protocols, _large, _pipelined, _wrong_body,
)  # fmt: skip
