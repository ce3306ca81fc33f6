"""Reads an iCalendar text in a process of its own, which may take so much time and memory and no more.

A rule can mean any number of times before the first that counts, and a thread that counts them could not be ended: it
would hold one of the daemon's few threads, the processor and every stop. Never writes anything but its answer.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import resource
import sys
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from blackboard.errors import Invalid
from orchestrator import ics_events
from orchestrator.asking import NoAnswer
from orchestrator.ics_events import Found, Occurrence

SECONDS = 50.0  # for one calendar
MEMORY = 1 << 30  # bytes
NICE = 10  # the daemon goes first
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "PYTHONTZPATH")
COMMAND = (sys.executable, "-P", "-m", __name__)  # -P: nothing is imported from the folder we were started in


async def read(text: bytes, *, zone: ZoneInfo, begin: datetime, until: datetime, all_day_at: time = time()) -> Found:
    """The same as `ics_events.read`; Invalid, and NoAnswer when it takes too much."""
    asked = {"zone": zone.key, "begin": begin.isoformat(), "until": until.isoformat(), "all_day_at": all_day_at.isoformat()}  # fmt: skip
    env = {name: os.environ[name] for name in KEPT if name in os.environ}
    try:
        reader = await asyncio.create_subprocess_exec(
            *COMMAND, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=env,
        )  # fmt: skip
    except OSError as error:
        raise NoAnswer(f"the process that would read it cannot be started: {error.strerror}") from None
    try:
        async with asyncio.timeout(SECONDS):
            told, complaint = await reader.communicate(json.dumps(asked).encode() + b"\n" + text)
    except TimeoutError:
        raise NoAnswer(f"reading it took longer than {SECONDS:g} s: a rule in it means too many times") from None
    finally:
        if reader.returncode is None:
            reader.kill()
            await reader.wait()
    if reader.returncode:
        last = complaint.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
        raise NoAnswer(f"it could not be read: {last or f'the reading ended with {reader.returncode}'}")
    return await asyncio.to_thread(_understood, told)


def _understood(told: bytes) -> Found:
    found = json.loads(told)
    if "invalid" in found:
        raise Invalid(found["invalid"])
    return Found(
        tuple(Occurrence(**_tuples(each)) for each in found["occurrences"]),
        tuple((which, why) for which, why in found["refused"]),
    )


def _tuples(given: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}


def main() -> None:
    """The other process: a line that says what is asked, then the text; the answer is JSON."""
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_CPU, (int(SECONDS), int(SECONDS) + 1))  # also when nobody waits any more
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    asked = json.loads(sys.stdin.buffer.readline())
    try:
        found = ics_events.read(
            sys.stdin.buffer.read(), zone=ZoneInfo(asked["zone"]), begin=datetime.fromisoformat(asked["begin"]),
            until=datetime.fromisoformat(asked["until"]), all_day_at=time.fromisoformat(asked["all_day_at"]),
        )  # fmt: skip
        answer: dict[str, Any] = dataclasses.asdict(found)
    except Invalid as refusal:
        answer = {"invalid": refusal.sentence}
    except MemoryError:
        answer = {"invalid": f"reading it takes more than {MEMORY >> 20} MiB of memory"}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
