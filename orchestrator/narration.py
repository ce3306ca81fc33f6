"""One line for each event, for the terminal of `run` and for `events`; slow terminals never hold the daemon up.

Only words: what happened is in the event.
"""

from __future__ import annotations

import json
import queue
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from blackboard.board import ReadOnly
from blackboard.errors import BlackboardError
from orchestrator.screen import STYLES, Screen

Event = Mapping[str, Any]


def as_value(event: Event) -> dict[str, Any]:
    """An event for a program: the row, its data as an object."""
    value = dict(event)
    if isinstance(value.get("data"), str):
        value["data"] = json.loads(value["data"])
    return value


def as_line(event: Event, title: str = "") -> str:
    """An event for a person: `09:00:00  task 7  claimed → working  start by executor:worker "Title": reason`."""
    value = as_value(event)
    data = value.get("data") if isinstance(value.get("data"), dict) else {}
    head = f"{value['at'][11:19]}  {_about(value):<9} {_move(value):<20} {value['verb']} by {value['actor']}"
    words = [head, *([f'"{_short(title, 50)}"'] if title and value.get("dst") else []), *_facts(value, data or {})]
    told_before = value["verb"] == "ended"  # by the move that ended it
    return " ".join(words) + (f": {_short(value['reason'])}" if value.get("reason") and not told_before else "")


def next_line(slot: Mapping[str, Any], now: str) -> str:
    """What comes next, for a person: `next: 09:30:00 worker — Weekly notes (calendar team)`; with its day where that is another."""
    due_at, source = slot["due_at"], slot["source"].replace(":", " ", 1)
    when = due_at[11:19] if due_at[:10] == now[:10] else f"{due_at[:10]} {due_at[11:16]}"
    return f"next: {when} {slot['agent']} — {_short(slot['title'], 50)} ({source})"


def style_of(event: Event) -> str:
    """The colour of an event: that of the state it led to."""
    return STYLES.get(event["dst"] or "", "")


def _about(value: Mapping[str, Any]) -> str:
    if value.get("task_id"):
        return f"task {value['task_id']}"
    if value.get("slot_id"):
        return f"slot {value['slot_id']}"
    return f"agent {value['agent_id']}" if value.get("agent_id") else "board"


def _move(value: Mapping[str, Any]) -> str:
    if not value.get("dst"):
        return ""
    return f"{value['src']} → {value['dst']}" if value.get("src") else f"→ {value['dst']}"


_FACTS = (
    "agent",
    "number",
    "outcome",
    "kind",
    "not_before",
    "exit_code",
    "exit_signal",
    "type",
    "title",
    "size",
    "needs",
    "position",
    "result",
    "verified",
)


def _facts(value: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    shown = {
        "claim": ("agent", "number"),
        "claim_review": ("agent", "number"),
        "post": ("agent", "role"),
        "replan": ("due_at", "not_before"),
        "spawned": ("template", "resumed", "fresh"),
    }
    names = shown.get(value["verb"], _FACTS)
    found = [f"{name}={_short(str(data[name]), 60)}" for name in names if data.get(name) is not None]
    return [f"({', '.join(found)})"] if found else []


def _short(text: str, most: int = 200) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


# What a person at the terminal of `run` is not told line by line: it says what the moves around it say already.
ASIDE = frozenset({"slot_added", "spawned", "ended", "gone"})


class Narrator:
    """Prints events from a thread of its own. A terminal that takes nothing costs lines, never the daemon's time.

    `command`: how a person calls this program, for lines that say what to type; `board`: where titles are read.
    """

    def __init__(self, screen: Screen, command: str, board: Path, most: int = 10_000) -> None:
        self._screen = screen
        self._command = command
        self._titles = Titles(board)
        self._reviews: set[int] = set()
        self._proving: set[int] = set()
        self._waiting: queue.Queue[Event | tuple[object, str] | None] = queue.Queue(most)
        self._thread = threading.Thread(target=self._print, name="narrator", daemon=True)
        self._thread.start()

    def event(self, event: Event) -> None:
        """Tell one event; from any thread, at once."""
        self._put(event)

    def say(self, value: object, line: str) -> None:
        """Tell something else: `value` in JSON, `line` for a person."""
        self._put((value, line))

    def _put(self, told: Event | tuple[object, str]) -> None:
        with suppress(queue.Full):  # the events are on the board; `orchestrator events` shows them
            self._waiting.put_nowait(told)

    def __enter__(self) -> Narrator:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Print what waits, for a short while."""
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(timeout=2)

    def _print(self) -> None:
        with suppress(OSError, ValueError):  # nobody reads any more
            while (told := self._waiting.get()) is not None:
                if isinstance(told, tuple):
                    self._screen.stream(*told)
                else:
                    self._print_event(told)

    def _print_event(self, event: Event) -> None:
        title = "" if self._screen.as_json else self._titles.of(event["task_id"])
        if self._screen.as_json or event["verb"] not in ASIDE:
            self._screen.stream(as_value(event), as_line(event, title), style_of(event))
        hint = self._hint(event)
        if hint:
            self._screen.line(f"{'':10}{hint}", "bold")

    def _hint(self, event: Event) -> str:
        """What a person may type now. A review is offered once its agent is gone: until then it may be automatic.

        One that an agent is asked for is offered when it is handed over, one with checks when they have passed.
        """
        task = event["task_id"]
        data = as_value(event)["data"] or {}
        if event["dst"] == "review" and "reviewer" not in data:
            (self._proving if "checks" in data else self._reviews).add(task)
        elif event["dst"]:
            self._reviews.discard(task)
            self._proving.discard(task)
        if event["dst"] == "blocked":
            return f'{self._command} answer {task} "..."'
        verified = event["verb"] == "verified" and task in self._proving and data.get("review") == "human"
        if event["verb"] == "hand_over" or verified or (event["verb"] == "gone" and task in self._reviews):
            return f'{self._command} show {task}, then approve {task} or reject {task} "..."'
        return ""


class Titles:
    """Titles of tasks, read once each. A board that cannot be read has none."""

    TITLE = "SELECT title FROM tasks WHERE id = :id"

    def __init__(self, board: Path) -> None:
        self._board = board
        self._known: dict[int, str] = {}

    def of(self, task: int | None) -> str:
        """The title of a task, empty when there is none."""
        if task is None:
            return ""
        if task not in self._known:
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[task] = self._read(task)
        return self._known[task]

    def _read(self, task: int) -> str:
        try:
            with ReadOnly(self._board) as board:
                row = board.one(self.TITLE, id=task)
        except (BlackboardError, sqlite3.Error):
            return ""
        return str(row["title"]) if row else ""
