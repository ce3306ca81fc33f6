"""Asks a program for its version, within a bounded time."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from typing import Literal, NamedTuple

SECONDS = 30.0  # a cold start on a busy machine
Version = tuple[int, int, int]


class NoVersion(NamedTuple):
    """Why a program told none. warn: no answer, which a busy machine may be; fail: it cannot run here."""

    level: Literal["warn", "fail"]
    sentence: str


def asked(program: str, env: Mapping[str, str]) -> Version | NoVersion:
    """What `PROGRAM --version` says."""
    try:
        said = subprocess.run(  # noqa: S603 - the operator's own program, no shell
            [program, "--version"], env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=SECONDS, check=False, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return NoVersion("warn", f"{program} --version gave no answer: {error}")
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", said.stdout)
    if said.returncode or found is None:
        complaint = (said.stderr or said.stdout).strip().splitlines()
        words = complaint[-1] if complaint else "no word"
        return NoVersion("fail", f"{program} --version ended with exit code {said.returncode}: {words}")
    return int(found[1]), int(found[2]), int(found[3])


def told(version: Version) -> str:
    """A version as people write it."""
    return ".".join(map(str, version))
