"""Writes the demo's board: a configuration, a slot file and a calendar that begin now, and the files the work is about.

What it writes is read by the same code as any other configuration. Overwrites nothing of a demo that is there.
"""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

from orchestrator.demo.calendar import Event, text_of

PORT = 8083

CONFIG = """\
# The demo's configuration. It differs from one of your own only in what the agents run.
board = "board.db"

[api]
port = {port}

[policy]
max_tries = 3
backoff_seconds = 3
wall_seconds = 60
idle_seconds = 30
startup_seconds = 15
settle_seconds = 5
review = "auto"

[[projects]]
id = "demo"
title = "A minute to watch"

[slots]
files = ["slots.toml"]

# A calendar as calendar programs write it: each event is a task of the agent its category names.
[calendars.demo]
file = "team.ics"

# What you must know is put into a folder, a file each.
[sinks.drawer]
type = "file"
folder = "drawer"

# Another program's answer, asked again and again: here the plan that this board itself serves. When it has changed, the
# desk has a task to look, and the drawer a notice with every change.
[watches.plan]
url = "http://127.0.0.1:{port}/calendar/sync?claw_identifier=demo-watch"
token_file = "operator.token"
items = "/schedules"
agent = "desk"
sinks = ["drawer"]
idle_seconds = 5
active_seconds = 2
cooldown_seconds = 20

# Four workers: the same small program at its own pace. Two report with `bb`, two with plain curl.
[agents.ada]
argv = {ada}
roles = ["worker"]

# Besides, two of them look around by themselves: every five minutes, and after a task that says so, or after each one.
[agents.ada.heartbeat]
enabled = true
interval_seconds = 300
checklist = {adas_checklist}

[agents.brook]
argv = {brook}
roles = ["worker"]

[agents.casey]
argv = {casey}
roles = ["worker"]

[agents.casey.heartbeat]
enabled = true
interval_seconds = 300
wake_after = true
checklist = {caseys_checklist}

[agents.dora]
argv = {dora}
roles = ["worker"]

# Reviews as an agent: it reads its prompt and says approve or reject with `bb`.
[agents.finn]
argv = {finn}
roles = ["critic"]

# Stands in for you at the review: it approves and rejects with the command line. It knows nothing of the API and
# reports nothing: its exit status is its result.
[agents.desk]
argv = {desk}
calls_back = false

[agents.desk.policy]
needs_output = false
max_tries = 1
"""


@dataclass(frozen=True)
class Planned:
    """One slot: due `after` seconds from the beginning, for `minutes`; `more` goes into event_data."""

    after: float
    agent: str
    title: str
    description: str = ""
    minutes: float = 1.0
    more: Mapping[str, object] = field(default_factory=dict)


ENDS_WITH_TOTAL = {"review": "human", "must_haves": "The output must end with a line 'Total: …'."}
REVIEWED = {**ENDS_WITH_TOTAL, "review": "role:critic"}
ROUND = {"wake_after": True}
WATCHED = {"max_tries": 2, "backoff_seconds": 8}


def plan(files: Path) -> list[Planned]:
    """What happens, in the order it becomes due. `FILE` names stand for files of the demo."""

    def on(words: str, name: str = "", after: str = "") -> str:
        return f'{words} "{files / name}"{after}'

    look = "Look through what waits for review"
    return [
        Planned(3, "ada", "Count the words of the letter", on("Count the words of", "letter.txt"), more=ROUND),
        Planned(3, "brook", "Sum the catch of March", on("Sum the second column of", "numbers.csv")),
        Planned(4, "casey", "Watch the outbox", on("Watch", "outbox.txt", " until it changes."), 0.2, WATCHED),
        Planned(5, "dora", "Sort the guests", on("Sort", "guests.csv", ". Ask how."), more={"review": "human"}),
        Planned(9, "dora", "Contents of the handbook", on("Write a table of contents of", "handbook.md")),
        Planned(10, "ada", "Report on the handbook", on("Write a report on", "handbook.md"), more=ENDS_WITH_TOTAL),
        Planned(17, "desk", look),
        Planned(20, "brook", "Checksums of the files", on("Write the checksums of")),
        Planned(24, "dora", "Words of the handbook", on("Count the words of", "handbook.md")),
        Planned(28, "desk", look),
        Planned(34, "ada", "Report on the letter", on("Write a report on", "letter.txt"), more=REVIEWED),
        Planned(38, "brook", "Sum the harvest", on("Sum the second column of", "harvest.csv")),
        Planned(42, "desk", look),
        Planned(46, "dora", "Count the letter again", on("Count the words of", "letter.txt")),
        Planned(50, "casey", "Words of the handbook, again", on("Count the words of", "handbook.md")),
        Planned(54, "desk", look),
        Planned(90, "brook", "Checksums, a little later", on("Write the checksums of")),
        Planned(120, "ada", "Words of the handbook, later", on("Count the words of", "handbook.md")),
    ]


def events(files: Path) -> list[Event]:
    """What the calendar says, besides: the first times are within the minute, the others on days to come."""
    contents, words = (
        f'Write a table of contents of "{files / "handbook.md"}"',
        f'Count the words of "{files / "letter.txt"}"',
    )
    return [
        Event("weekly-notes@demo", 14, "casey", "Weekly notes", contents, "FREQ=WEEKLY;COUNT=4"),
        Event("letter-of-the-day@demo", 31, "dora", "Letter of the day", words, "FREQ=DAILY;COUNT=3"),
    ]


def write_demo(directory: Path, now: datetime | None = None) -> None:
    """Make the demo in `directory`, its slots beginning `now` (aware; the clock's when None).

    Where there is a configuration already, nothing is written: the demo goes on where it was.
    """
    config = directory / "orchestrator.toml"
    if config.exists():
        return
    files = directory / "files"
    files.mkdir(parents=True, exist_ok=True)
    for source in resources.files("orchestrator.demo").joinpath("files").iterdir():
        with resources.as_file(source) as path:
            shutil.copyfile(path, files / source.name)
    begin = (now or datetime.now(UTC)).astimezone(UTC)
    (directory / "team.ics").write_text(text_of(events(files.absolute()), begin), encoding="utf-8", newline="")
    (directory / "slots.toml").write_text(_slots(plan(files.absolute()), begin), encoding="utf-8")
    config.write_text(_config(config.absolute()), encoding="utf-8")  # last: until it is there, all is written again


def _config(config: Path) -> str:
    agent = [sys.executable, "-m", "orchestrator.demo.agent", "--pause", "5"]
    argv = {
        "ada": [*agent, "--by", "bb", "--pace", "0.8"],
        "brook": [*agent, "--by", "curl", "--pace", "0.8"],
        "casey": [*agent, "--by", "bb", "--pace", "0.5"],
        "dora": [*agent, "--by", "curl", "--pace", "0.5"],
        "finn": [sys.executable, "-m", "orchestrator.demo.critic", "--pace", "1"],
        "desk": [
            sys.executable,
            "-m",
            "orchestrator.demo.desk",
            sys.executable,
            "-m",
            "orchestrator",
            "--config",
            str(config),
        ],
    }
    files = config.parent / "files"
    return CONFIG.format(
        port=_port(),
        adas_checklist=_toml(f'- "{files / "handbook.md"}" says "Looked through on"'),
        caseys_checklist=_toml(f'- "{files / "outbox.txt"}" says "Nothing has been put here yet."'),
        **{name: _toml([_literal(word) for word in words]) for name, words in argv.items()},
    )


def _literal(word: str) -> str:
    """A word of an argv as it is: braces would be placeholders."""
    return word.replace("{", "{{").replace("}", "}}")


def _port() -> int:
    """The usual port, or the next free one: a demo must not stop at a neighbour."""
    for port in range(PORT, PORT + 20):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return PORT


def _slots(planned: list[Planned], begin: datetime) -> str:
    head = "# The demo's slots, as a calendar gives them. estimated_duration is in minutes.\n"
    return head + "".join(_slot(number, each, begin) for number, each in enumerate(planned, 1))


def _slot(number: int, planned: Planned, begin: datetime) -> str:
    at = (begin + timedelta(seconds=planned.after)).isoformat(timespec="seconds").replace("+00:00", "Z")
    record = {
        "agent": planned.agent,
        "id": number,
        "slot_type": "work",
        "scheduled_at": at,
        "estimated_duration": planned.minutes,
        "priority": 5,
        "event_type": "job",
    }
    data = {"title": planned.title, "description": planned.description, "project": "demo", **planned.more}
    lines = ["", "[[slots]]", *_pairs(record), "[slots.event_data]", *_pairs(data)]
    return "\n".join(lines) + "\n"


def _pairs(table: dict[str, object]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in table.items()]


def _toml(value: object) -> str:
    """JSON is TOML for text without DEL, numbers and lists of text, which is all there is here."""
    return json.dumps(value, ensure_ascii=False)
