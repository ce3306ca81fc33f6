"""Asks a program for its version, within a bounded time."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from typing import Literal, NamedTuple

SECONDS = 30.0  # a cold start on a busy machine
VERSION = r"(\d+)\.(\d+)\.(\d+)"
Version = tuple[int, int, int]


class NoVersion(NamedTuple):
    """Why a program told none. warn: no answer, which a busy machine may be; fail: it cannot run here."""

    level: Literal["warn", "fail"]
    sentence: str


def asked(program: str, env: Mapping[str, str], flag: str = "--version") -> Version | NoVersion:
    """What `PROGRAM --version` (or another flag that tells it) says; some say it on standard error."""
    try:
        said = subprocess.run(  # noqa: S603 - the operator's own program, no shell
            [program, flag], env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=SECONDS, check=False, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return NoVersion("warn", f"{program} {flag} gave no answer: {error}")
    found = re.search(VERSION, said.stdout) or re.search(VERSION, said.stderr)
    if said.returncode or found is None:
        complaint = (said.stderr or said.stdout).strip().splitlines()
        words = complaint[-1] if complaint else "no word"
        return NoVersion("fail", f"{program} {flag} ended with exit code {said.returncode}: {words}")
    return int(found[1]), int(found[2]), int(found[3])


def told(version: Version) -> str:
    """A version as people write it."""
    return ".".join(map(str, version))
