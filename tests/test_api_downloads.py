"""Outputs read back: text page by page, bytes safe to open, and never a file that is not what was handed in."""

from __future__ import annotations

import hashlib
import os
import pty
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from api import ApiConfig
from api.downloads import disposition
from blackboard import downloads
from tests.api_house import Attempt, House, open_house, problem
from tests.daemon import House as Daemon

TEXT = "é🙂漢'\"\n$(x)\r\n" * 20_000
BYTES = bytes(range(256)) * 1000
PAGE = b"<html><script>alert(1)</script>"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, ApiConfig(uploads=tmp_path / "uploads")) as opened:
        yield opened


@pytest.fixture
async def attempt(house: House) -> Attempt:
    return await house.attempt()


WAYS = ("content", "path", "upload")


async def handed_in(house: House, attempt: Attempt, way: str, raw: bytes, title: str = "T", name: str = "out.x") -> str:
    """The URL of a new output with these bytes."""
    url, fields = f"{attempt.url}/outputs", {"type": "data", "title": title}
    if way == "content":
        answer = await house.post(url, attempt.token, {**fields, "content": raw.decode()})
    elif way == "path":
        (attempt.workspace / name).write_bytes(raw)
        answer = await house.post(url, attempt.token, {**fields, "content_path": name})
    else:
        answer = await house.post(url, attempt.token, data=fields, files={"file": ("f", raw)})
    assert answer.status_code == 201, answer.text
    return f"{url}/{answer.json()['outputs'][0]}"


# --- Pages ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("limit", [5, 4099, 65536])
async def test_a_long_text_is_read_page_by_page(house: House, attempt: Attempt, way: str, limit: int) -> None:
    text = TEXT if limit > 1000 else TEXT[:60]
    url = await handed_in(house, attempt, way, text.encode())
    found, offset = [], 0
    while offset is not None:
        told = (await house.get(f"{url}?offset={offset}&limit={limit}", attempt.token)).json()
        assert len(told["text"].encode()) <= limit
        found.append(told["text"])
        offset = told["next"]
    assert "".join(found) == text
    assert (told["size"], told["sha256"]) == (len(text.encode()), hashlib.sha256(text.encode()).hexdigest())
    assert told["content_url"] == f"{url}/content"


@pytest.mark.parametrize("way", ["path", "upload"])
async def test_what_is_no_text_has_none(house: House, attempt: Attempt, way: str) -> None:
    url = await handed_in(house, attempt, way, BYTES)
    told = (await house.get(url, attempt.token)).json()
    assert (told["text"], told["next"], told["size"]) == (None, None, len(BYTES))


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=3", "limit=65537", "offset=-1", "offset=x", "what=1", f"offset={2**63}"]
)
async def test_a_wrong_page_is_told(house: House, attempt: Attempt, query: str) -> None:
    url = await handed_in(house, attempt, "content", b"text")
    problem(await house.get(f"{url}?{query}", attempt.token), 422, "invalid")


async def test_beyond_the_end_there_is_nothing(house: House, attempt: Attempt) -> None:
    for way in WAYS:
        url = await handed_in(house, attempt, way, b"text")
        told = (await house.get(f"{url}?offset=1000", attempt.token)).json()
        assert (told["text"], told["next"]) == ("", None)


async def test_a_task_shows_the_beginning_of_a_long_content_and_where_it_goes_on(
    house: House, attempt: Attempt
) -> None:
    await handed_in(house, attempt, "content", TEXT.encode())
    await handed_in(house, attempt, "content", b"short")
    long, short = (await house.get(f"{attempt.url}?expand=outputs", attempt.token)).json()["outputs"]
    assert (short["content"], short["next"]) == ("short", None)
    assert len(long["content"]) == 65536
    rest, url = "", long["next"]
    while url is not None:
        told = (await house.get(f"{url}&limit=65536", attempt.token)).json()
        rest, url = rest + told["text"], told["next"] and f"{url.split('?')[0]}?offset={told['next']}"
    assert long["content"] + rest == TEXT


# --- Bytes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("raw", [PAGE, TEXT.encode(), b""], ids=["a page", "text", "empty"])
async def test_the_bytes_come_back_and_nothing_opens_them(house: House, attempt: Attempt, way: str, raw: bytes) -> None:
    url = await handed_in(house, attempt, way, raw, title="x.html", name="evil.html")
    answer = await house.get(f"{url}/content", attempt.token)
    assert (answer.status_code, answer.content) == (200, raw)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["etag"] == f'"{hashlib.sha256(raw).hexdigest()}"'
    assert int(answer.headers["content-length"]) == len(raw)
    head = await house.client.head(f"{url}/content", headers={"authorization": f"Bearer {attempt.token}"})
    assert (head.status_code, head.headers["etag"]) == (200, answer.headers["etag"])


async def test_bytes_that_are_no_text_are_only_bytes(house: House, attempt: Attempt) -> None:
    for way in ("path", "upload"):
        answer = await house.get(f"{await handed_in(house, attempt, way, BYTES)}/content", attempt.token)
        assert (answer.content, answer.headers["content-type"]) == (BYTES, "application/octet-stream")


@pytest.mark.parametrize(
    "name",
    ['a"b\r\nSet-Cookie: x', "../../etc/passwd", "..", "", "é🙂.png", "x" * 400 + ".png", "a\u202egnp.exe", "a;b=c", "C:\\x\\y",
     "\ud800", ".bashrc"],
)  # fmt: skip
def test_a_name_leads_nowhere_and_breaks_no_header(name: str) -> None:
    header = disposition(name)
    assert header.isascii() and header.isprintable()
    plain = header.partition('filename="')[2].partition('"')[0]
    assert plain and not plain.startswith(".") and not set(plain) & set('/\\;"')
    assert header.count('"') == 2
    assert len(header) < 1000


@pytest.mark.parametrize("part", ["", "/content"])
async def test_a_file_that_changed_or_went_is_told(house: House, attempt: Attempt, part: str) -> None:
    url = await handed_in(house, attempt, "path", b"before", name="f")
    file = attempt.workspace / "f"
    for now in (b"behind", b"longer than before"):
        file.write_bytes(now)
        problem(await house.get(url + part, attempt.token), 409, "conflict")
    file.unlink()
    problem(await house.get(url + part, attempt.token), 404, "not_found")
    (attempt.workspace / "other").write_bytes(b"before")
    file.symlink_to(attempt.workspace / "other")
    problem(await house.get(url + part, attempt.token), 404, "not_found")
    file.unlink()
    os.mkfifo(file)
    problem(await house.get(url + part, attempt.token), 404, "not_found")
    file.unlink()
    file.write_bytes(b"before")
    assert (await house.get(url + part, attempt.token)).status_code == 200


@pytest.mark.parametrize("part", ["", "/content"])
async def test_an_upload_that_is_not_there_or_was_cut_is_told(house: House, attempt: Attempt, part: str) -> None:
    url = await handed_in(house, attempt, "upload", BYTES)
    (file,) = (house.board.path.parent / "uploads").iterdir()
    file.write_bytes(b"x")
    problem(await house.get(url + part, attempt.token), 409, "conflict")
    file.unlink()
    problem(await house.get(url + part, attempt.token), 404, "not_found")


@pytest.mark.parametrize("part", ["", "/content"])
async def test_an_output_is_reached_only_by_its_own_task(house: House, attempt: Attempt, part: str) -> None:
    other = await house.attempt()
    number = (await handed_in(house, attempt, "content", b"mine")).rpartition("/")[2]
    problem(await house.get(f"{attempt.url}/outputs/{number}{part}", other.token), 403, "forbidden")
    problem(await house.get(f"{other.url}/outputs/{number}{part}", other.token), 404, "not_found")
    operator = await house.operator("read")
    assert (await house.get(f"{attempt.url}/outputs/{number}{part}", operator)).status_code == 200
    for wrong in ("0", "999", "x", "-1", "1" * 30):
        problem(await house.get(f"{attempt.url}/outputs/{wrong}{part}", operator), 404, "not_found")
    child = (await house.post(f"{attempt.url}/children", attempt.token, {"title": "part"})).json()["child"]
    worker = await house.attempt(child)
    url = await handed_in(house, worker, "content", b"the child's")
    assert (await house.get(url + part, attempt.token)).status_code == 200


async def test_no_descriptor_stays_open(house: House, attempt: Attempt) -> None:
    urls = [await handed_in(house, attempt, way, BYTES, name=way) for way in ("path", "upload")]
    (attempt.workspace / "path").write_bytes(b"changed")
    before = len(os.listdir("/proc/self/fd"))
    for url in urls * 5:
        for part in ("", "/content"):
            await house.get(url + part, attempt.token)
    assert len(os.listdir("/proc/self/fd")) <= before + 1


def test_a_page_ends_before_half_a_character() -> None:
    raw = "aé".encode()
    assert downloads.page(raw[:2], 0, 3) == {"text": "a", "offset": 0, "next": 1}
    assert downloads.page(raw[:2], 0, 2)["text"] is None  # a file that ends in half a character is no text


# --- The command ----------------------------------------------------------------------------------------------------

HANDS_IN = """
bb start; printf '\\033[31mred\\033]0;title\\007\\nend' >f; printf 'a\\000b' >g; head -c 3000000 /dev/zero | tr '\\0' x >h
bb output data T f; bb upload g --type data --title G; bb path data H h; bb submit
"""


@pytest.fixture
def filled(tmp_path: Path) -> Daemon:
    """A board whose outputs 1, 2 and 3 are a text, a file that was sent whole, and one by path; nobody runs it."""
    house = Daemon(tmp_path / "house")
    house.agent("hands", HANDS_IN)
    try:
        house.start()
        house.reaches(house.post("hands"), "done")
        house.ends()
    finally:
        house.clear()
    return house


def test_an_output_is_printed_or_saved_byte_for_byte(filled: Daemon, tmp_path: Path) -> None:
    wanted = {1: b"\x1b[31mred\x1b]0;title\x07\nend", 2: b"a\0b", 3: b"x" * 3_000_000}
    for number, raw in wanted.items():
        done = subprocess.run(filled.command("output", str(number)), env=filled.environment, capture_output=True)
        assert (done.returncode, done.stdout, done.stderr) == (0, raw, b"")
        target = tmp_path / str(number)
        assert filled.call("output", str(number), "--to", str(target)).returncode == 0
        assert (target.read_bytes(), target.stat().st_mode & 0o777) == (raw, 0o600)
    again = filled.call("output", "1", "--to", str(tmp_path / "2"))
    assert (again.returncode, (tmp_path / "2").read_bytes()) == (4, b"a\0b")
    assert "--force" in again.stderr
    assert filled.call("output", "1", "--to", str(tmp_path / "2"), "--force").returncode == 0
    assert (tmp_path / "2").read_bytes() == wanted[1]
    assert filled.call("output", "99").returncode == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "3", "house"]
    (filled.workspace(1) / "h").write_text("changed")
    changed = filled.call("output", "3", "--to", str(tmp_path / "4"))
    assert (changed.returncode, (tmp_path / "4").exists()) == (4, False)
    assert "has changed" in changed.stderr


def test_on_a_terminal_an_output_steers_nothing(filled: Daemon) -> None:
    def on_terminal(*words: str) -> tuple[int, bytes]:
        ours, theirs = pty.openpty()
        with subprocess.Popen(filled.command(*words), env=filled.environment, stdout=theirs, stderr=theirs) as process:
            os.close(theirs)
            shown = b""
            try:
                while piece := os.read(ours, 4096):
                    shown += piece
            except OSError:  # the terminal is gone
                pass
        os.close(ours)
        return process.returncode, shown

    code, shown = on_terminal("output", "1")
    assert (code, shown.replace(b"\r", b"")) == (0, b"red\nend\n")
    code, shown = on_terminal("output", "2")
    assert (code, b"--to FILE" in shown, b"\0" in shown) == (4, True, False)
