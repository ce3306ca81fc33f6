"""The command that prints a token: what it may take, and that nothing of it is left when it takes more."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from orchestrator import bearer
from orchestrator.asking import NoAnswer
from orchestrator.bearer import Bearer
from tests.daemon import House, until


def shell(script: str) -> Bearer:
    return Bearer(token_command=("sh", "-c", script))


def is_alive(file: Path) -> bool:
    try:
        stat = (Path("/proc") / file.read_text().strip() / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


async def is_gone(file: Path) -> None:
    async with asyncio.timeout(5):
        while is_alive(file):  # the kernel takes a moment
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("then", ["sleep 1000", "exit 0", "exec >&-; sleep 1000"])
async def test_one_that_does_not_end_takes_along_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    monkeypatch.setattr(bearer, "COMMAND_SECONDS", 1.0)
    with pytest.raises(NoAnswer, match="its token_command sh gave no token"):
        await shell(f"sleep 1000 & echo $! > {tmp_path}/pid; {then}").header()
    await is_gone(tmp_path / "pid")


async def test_one_that_prints_without_end_is_ended_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(NoAnswer, match="no token of at most 65536 bytes within 10 s"):
        await shell(f"echo $$ > {tmp_path}/pid; exec yes").header()
    assert time.monotonic() - began < bearer.COMMAND_SECONDS / 2
    await is_gone(tmp_path / "pid")


async def test_what_it_prints_is_the_token() -> None:
    assert await shell("sleep 0.1; printf 'a-token\\n'").header() == ({"Authorization": "Bearer a-token"}, 1)


async def test_a_token_file_that_is_none_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_text("x" * 100_000)
    for file, words in (("pipe", "it is no regular file"), ("long", "holds no token"), (".", "it is no regular file")):
        with pytest.raises(NoAnswer, match=words):
            async with asyncio.timeout(5):
                await Bearer(tmp_path / file).header()
    (tmp_path / "token").write_text("a-token\n")
    (tmp_path / "link").symlink_to("token")  # how secrets are mounted in containers
    assert await Bearer(tmp_path / "link").header() == ({"Authorization": "Bearer a-token"}, 1)


def test_many_that_hang_hold_nobody_up(tmp_path: Path) -> None:
    targets = range(12)  # more than there would be threads on a small machine
    tables = {
        f"presence.s{number}": {
            "url": f"http://127.0.0.1:9/{number}/{{agent}}",
            "token_command": ["sh", "-c", f"touch {tmp_path}/{number}; sleep 9; rm {tmp_path}/{number}; echo token"],
        }
        for number in targets
    }
    house = House(tmp_path / "house", **tables)
    house.agent("ada", "exit 0")
    try:
        house.start()
        until(lambda: all((tmp_path / str(number)).exists() for number in targets), story=house.told)
        house.stop()
        house.ends()
    finally:
        house.clear()
