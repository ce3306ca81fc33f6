"""One line for each event, for the terminal of `run` and for `events`; slow terminals never hold the daemon up.

Only words: what happened is in the event.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from orchestrator.screen import STYLES, Screen

Event = Mapping[str, Any]


def as_value(event: Event) -> dict[str, Any]:
    """An event for a program: the row, its data as an object."""
    value = dict(event)
    if isinstance(value.get("data"), str):
        value["data"] = json.loads(value["data"])
    return value


def as_line(event: Event) -> str:
    """An event for a person: `09:00:00 task 7 claimed → working  start by executor:worker: reason`."""
    value = as_value(event)
    data = value.get("data") if isinstance(value.get("data"), dict) else {}
    words = [
        value["at"][11:19],
        _about(value),
        _move(value),
        value["verb"],
        f"by {value['actor']}",
        *_facts(value, data or {}),
    ]
    line = " ".join(word for word in words if word)
    return f"{line}: {_short(value['reason'])}" if value.get("reason") else line


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
)


def _facts(value: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    shown = {
        "claim": ("agent", "number"),
        "claim_review": ("agent", "number"),
        "post": ("agent", "role"),
        "replan": ("due_at",),
    }
    names = shown.get(value["verb"], _FACTS)
    found = [f"{name}={_short(str(data[name]), 60)}" for name in names if data.get(name) is not None]
    return [f"({', '.join(found)})"] if found else []


def _short(text: str, most: int = 200) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


class Narrator:
    """Prints events from a thread of its own. A terminal that takes nothing costs lines, never the daemon's time."""

    def __init__(self, screen: Screen, most: int = 10_000) -> None:
        self._screen = screen
        self._waiting: queue.Queue[tuple[object, str, str] | None] = queue.Queue(most)
        self._thread = threading.Thread(target=self._print, name="narrator", daemon=True)
        self._thread.start()

    def event(self, event: Event) -> None:
        """Tell one event; at once, from any thread."""
        self.say(as_value(event), as_line(event), style_of(event))

    def say(self, value: object, line: str, style: str = "") -> None:
        """Tell something else: `value` in JSON, `line` for a person."""
        with suppress(queue.Full):  # the events are on the board; `orchestrator events` shows them
            self._waiting.put_nowait((value, line, style))

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
        while (told := self._waiting.get()) is not None:
            try:
                self._screen.stream(*told)
            except (OSError, ValueError):  # nobody reads any more
                return
