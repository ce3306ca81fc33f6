"""Files that agents send whole: to the board's own folder, bounded, private, and never for a token that may not."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from api import ApiConfig
from blackboard import attempts, verbs
from blackboard.board import Tx
from tests.api_house import Attempt, House, open_house, problem
from tests.asgi_by_hand import ask_in_parts
from tests.test_api_curl import Served, serving

BYTES = bytes(range(256)) * 1000
FIELDS = {"type": "data", "title": "Picture"}
LIMIT = 300_000


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, ApiConfig(uploads=tmp_path / "uploads", max_upload_bytes=LIMIT)) as opened:
        yield opened


@pytest.fixture
async def attempt(house: House) -> Attempt:
    return await house.attempt()


def kept(house: House) -> list[Path]:
    folder = house.board.path.parent / "uploads"
    return sorted(folder.iterdir()) if folder.exists() else []


async def rows(house: House) -> list[tuple[object, ...]]:
    found = await house.board.all("SELECT type, title, summary, content_path, kept, size, sha256 FROM outputs")
    return [tuple(row) for row in found]


WAYS = ("multipart", "octet-stream", "image/png")


async def send(house: House, attempt: Attempt, way: str, content: bytes, token: str | None = None) -> object:
    token = token or attempt.token
    url = f"{attempt.url}/outputs"
    if way == "multipart":
        return await house.post(url, token, data=FIELDS, files={"file": ("a.png", content)})
    kind = {"content-type": "application/octet-stream" if way == "octet-stream" else way}
    return await house.post(f"{url}?type=data&title=Picture", token, content=content, headers=kind)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("content", [BYTES, b"", b"\r\n--x\r\n" * 1000], ids=["bytes", "empty", "like a boundary"])
async def test_a_file_arrives_byte_for_byte_and_private(
    house: House, attempt: Attempt, way: str, content: bytes
) -> None:
    answer = await send(house, attempt, way, content)
    assert answer.status_code == 201, answer.text  # type: ignore[attr-defined]
    digest = hashlib.sha256(content).hexdigest()
    assert await rows(house) == [("data", "Picture", "", digest, 1, len(content), digest)]
    (file,) = kept(house)
    assert (file.name, file.read_bytes()) == (digest, content)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert answer.json()["sha256"] == digest  # type: ignore[attr-defined]


async def test_a_file_without_a_title_has_its_name(house: House, attempt: Attempt) -> None:
    files = {"file": ("C:\\dir\\ré sumé.pdf", b"x")}
    answer = await house.post(f"{attempt.url}/outputs", attempt.token, data={"type": "data"}, files=files)
    assert answer.status_code == 201, answer.text
    assert (await rows(house))[0][1] == "ré sumé.pdf"


async def test_the_same_bytes_are_kept_once_and_named_twice(house: House, attempt: Attempt) -> None:
    for way in WAYS:
        await send(house, attempt, way, BYTES)
    assert (len(await rows(house)), len(kept(house))) == (3, 1)


async def test_a_file_sent_again_with_its_key_is_one_output_and_another_file_is_refused(
    house: House, attempt: Attempt
) -> None:
    async def sent(content: bytes) -> httpx.Response:
        headers = {"content-type": "image/png", "idempotency-key": "once"}
        return await house.post(
            f"{attempt.url}/outputs?type=data&title=T", attempt.token, content=content, headers=headers
        )

    first, again, other = await sent(b"one\0"), await sent(b"one\0"), await sent(b"two\0")
    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content), again.text
    assert again.headers["idempotency-replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert len(await rows(house)) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_file_above_the_limit_leaves_nothing(house: House, attempt: Attempt, way: str) -> None:
    problem(await send(house, attempt, way, b"x" * (LIMIT + 1)), 413, "too_large")  # type: ignore[arg-type]
    assert (await rows(house), kept(house)) == ([], [])


async def test_a_file_that_hides_its_length_is_stopped_while_it_arrives(house: House, attempt: Attempt) -> None:
    headers = [("host", "127.0.0.1"), ("authorization", f"Bearer {attempt.token}"), ("content-type", "image/png")]
    pieces = [b"x" * 50_000] * 100
    status, _, _ = await ask_in_parts(
        house.app, headers, pieces, path=f"{attempt.url}/outputs", query=b"type=data&title=T"
    )
    assert status == 413
    assert (await rows(house), kept(house)) == ([], [])


async def test_a_file_that_stops_arriving_leaves_nothing(house: House, attempt: Attempt) -> None:
    headers = [("host", "127.0.0.1"), ("authorization", f"Bearer {attempt.token}"), ("content-type", "image/png")]
    waiting = [{"type": "http.request", "body": b"x" * 1000, "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, object]:
        return waiting.pop(0)

    async def send_nothing(message: object) -> None:
        raise AssertionError(message)

    raw = [(name.encode(), value.encode()) for name, value in headers]
    scope = {"type": "http", "method": "POST", "path": f"{attempt.url}/outputs", "query_string": b"type=data&title=T"}
    await house.app({**scope, "headers": raw}, receive, send_nothing)  # type: ignore[arg-type]
    assert (waiting, await rows(house), kept(house)) == ([], [], [])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("who", ["nobody", "unknown", "other task", "operator", "reviewer", "ended"])
async def test_who_may_not_hand_in_is_refused_before_a_byte_is_read(
    house: House, attempt: Attempt, way: str, who: str
) -> None:
    tokens = {"nobody": "none", "unknown": "bbt_" + "x" * 43, "other task": (await house.attempt()).token,
              "operator": await house.operator("admin"), "ended": attempt.token, "reviewer": ""}  # fmt: skip
    if who == "reviewer":
        output = {"type": "data", "title": "T", "content": "C"}
        await house.post(f"{attempt.url}/status", attempt.token, {"status": "review", "output": output})
        tokens["reviewer"] = (await house.attempt(attempt.task, agent="painter", role="reviewer")).token
    if who == "ended":
        await house.board.write(crash, attempt.id)
    before = await rows(house)
    read: list[None] = []

    async def receive() -> dict[str, object]:
        read.append(None)
        return {"type": "http.request", "body": b"x", "more_body": False}

    sent: list[dict[str, object]] = []

    async def keep(message: dict[str, object]) -> None:
        sent.append(message)

    kind = {"multipart": "multipart/form-data; boundary=x", "octet-stream": "application/octet-stream"}.get(way, way)
    headers = [("host", "127.0.0.1"), ("authorization", f"Bearer {tokens[who]}"), ("content-type", kind)]
    scope = {"type": "http", "method": "POST", "path": f"{attempt.url}/outputs", "query_string": b"type=data&title=T",
             "headers": [(name.encode(), value.encode()) for name, value in headers]}  # fmt: skip
    await house.app(scope, receive, keep)  # type: ignore[arg-type]

    assert sent[0]["status"] in (401, 403, 409)
    assert (read, await rows(house), kept(house)) == ([], before, [])


def crash(tx: Tx, attempt: int) -> None:
    verbs.end_badly(tx, attempts.get(tx, attempt), "crashed", actor="engine:monitor", detail="exit 1")


async def test_an_attempt_that_ends_while_its_file_arrives_hands_nothing_in(house: House, attempt: Attempt) -> None:
    headers = [("host", "127.0.0.1"), ("authorization", f"Bearer {attempt.token}"), ("content-type", "image/png")]
    pieces = [b"first", b"last"]

    async def receive() -> dict[str, object]:
        if len(pieces) == 1:
            await house.board.write(crash, attempt.id)
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    sent: list[dict[str, object]] = []

    async def keep(message: dict[str, object]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": f"{attempt.url}/outputs", "query_string": b"type=data&title=T",
             "headers": [(name.encode(), value.encode()) for name, value in headers]}  # fmt: skip
    await house.app(scope, receive, keep)  # type: ignore[arg-type]

    assert (sent[0]["status"], await rows(house)) == (409, [])


FORM = b'--x\r\nContent-Disposition: form-data; name="type"\r\n\r\ndata\r\n'
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nabc\r\n'
TITLE = b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nT\r\n'
BAD = {
    "cut off": FORM + FILE,
    "not one": b"hello",
    "empty": b"",
    "no file": FORM + TITLE + b"--x--\r\n",
    "two files": FORM + FILE + FILE + b"--x--\r\n",
    "no type": FILE + b"--x--\r\n",
    "a field twice": FORM + FORM + FILE + b"--x--\r\n",
    "an unknown field": FORM + FILE + FORM.replace(b"type", b"colour") + b"--x--\r\n",
    "not UTF-8": FORM + TITLE.replace(b"T\r", b"\xff\r") + FILE + b"--x--\r\n",
    "NUL": FORM + TITLE.replace(b"T\r", b"\0\r") + FILE + b"--x--\r\n",
    "no name": FORM + FILE.replace(b'name="file"; ', b"") + b"--x--\r\n",
    "file by another name": FORM + FILE.replace(b'"file"', b'"upload"') + b"--x--\r\n",
    "too many parts": FORM * 40 + FILE + b"--x--\r\n",
    "too many headers": FORM + FILE.replace(b"\r\n\r\n", b"\r\n" + b"A: b\r\n" * 50 + b"\r\n") + b"--x--\r\n",
    "a long header": FORM + FILE.replace(b"\r\n\r\n", b"\r\nA: " + b"b" * 9000 + b"\r\n\r\n") + b"--x--\r\n",
    "long fields": FORM + FILE + TITLE.replace(b"T\r", b"T" * 1_100_000 + b"\r") + b"--x--\r\n",
}


@pytest.mark.parametrize("fault", BAD)
@pytest.mark.parametrize("size", [1, 7, 10**9])
async def test_a_bad_form_is_told_in_a_sentence_and_leaves_nothing(
    house: House, attempt: Attempt, fault: str, size: int
) -> None:
    body = BAD[fault]
    if len(body) > 100_000:
        size *= 1024  # a piece costs the same however small it is
    headers = [("host", "127.0.0.1"), ("authorization", f"Bearer {attempt.token}"),
               ("content-type", "multipart/form-data; boundary=x")]  # fmt: skip
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    status, _, answer = await ask_in_parts(house.app, headers, pieces, path=f"{attempt.url}/outputs")
    assert (status, b'"code": "invalid"' in answer) == (422, True), answer
    assert (await rows(house), kept(house)) == ([], [])


async def test_a_form_without_a_boundary_or_compressed_is_refused(house: House, attempt: Attempt) -> None:
    url = f"{attempt.url}/outputs"
    kind = {"content-type": "multipart/form-data"}
    problem(await house.post(url, attempt.token, content=FORM, headers=kind), 422, "invalid")
    kind = {"content-type": "image/png", "content-encoding": "gzip"}
    url += "?type=data&title=T"
    problem(await house.post(url, attempt.token, content=b"x", headers=kind), 415, "unsupported")


async def test_other_routes_take_no_file(house: House, attempt: Attempt) -> None:
    answer = await house.post(f"{attempt.url}/status", attempt.token, data={"status": "working"}, files={"file": b"x"})
    problem(answer, 415, "unsupported")


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path, ApiConfig(uploads=tmp_path / "uploads")) as up:
        yield up


@pytest.mark.parametrize("way", ["-F type=data -F title=T -F file=@$big", "-H 'Content-Type: image/png' -T $big"])
async def test_a_large_file_does_not_grow_the_server(served: Served, way: str) -> None:
    attempt = await served.house.attempt()
    big = served.folder / "big"
    size = 100 * 1024 * 1024
    with big.open("wb") as file:
        file.truncate(size)
    names = {"conf": served.conf(attempt.token), "task": served.base + attempt.url, "big": big}
    query = "" if "-F" in way else "?type=data&title=T"
    sampling = asyncio.create_task(most_memory())
    before = memory()

    code, out, err = await served.sh(f'curl --config $conf -X POST {way} "$task/outputs{query}"', **names)

    sampling.cancel()
    (most,) = await asyncio.gather(sampling, return_exceptions=True)
    assert code == 0, out + err
    (row,) = await rows(served.house)
    assert row[5] == size
    assert isinstance(most, int)
    assert most - before < 24 * 1024 * 1024


def memory() -> int:
    """Bytes of this process that are in memory, the server's among them."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def most_memory() -> int:
    most = 0
    try:
        while True:
            most = max(most, memory())
            await asyncio.sleep(0.005)
    except asyncio.CancelledError:
        return most
