"""What a sink is told: one message of one notice or, as a digest, of several. The same at every try. Tokens are masked.

Pure.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from blackboard.record import Record
from blackboard.tokens import masked, redact

MOST_TEXT = 60_000  # bytes of a text for people; what is longer is cut and says so


@dataclass(frozen=True)
class Part:
    """One notice. `repeated`: how often its like was left out before it."""

    notice: Record
    repeated: int = 0

    @property
    def value(self) -> dict[str, Any]:
        """Ready for JSON."""
        row = self.notice
        return {
            "id": row["id"], "kind": row["kind"], "topic": row["topic"], "urgent": bool(row["urgent"]), "at": row["created_at"],
            "agent": row["agent_id"], "task": row["task_id"], "project": row["project_id"], "title": redact(row["title"]),
            "body": redact(row["body"]), "data": masked(json.loads(row["data"])), "repeated": self.repeated,
        }  # fmt: skip

    @property
    def text(self) -> str:
        """For a person."""
        again = f"\n(said {self.repeated} more times since it was told last)" if self.repeated else ""
        body = self.notice["body"].strip()
        return redact(self.notice["title"] + again + (f"\n\n{body}" if body else ""))


@dataclass(frozen=True)
class Message:
    """What goes out at once. `number`: counts up with what is newer; `tries`: those before this one; `due`: from when it
    may be, which tells this try from one with the same number before a person said retry.
    """

    id: str
    sink: str
    parts: Sequence[Part]
    number: int
    tries: int = 0
    due: str = ""

    @property
    def first(self) -> Record:
        return self.parts[0].notice

    @property
    def kind(self) -> str:
        """The kind of its notice; `digest` for several."""
        return str(self.first["kind"]) if len(self.parts) == 1 else "digest"

    @property
    def title(self) -> str:
        """One line."""
        if len(self.parts) == 1:
            return redact(self.first["title"])
        return f"{len(self.parts)} notices"

    @cached_property
    def text(self) -> str:
        """All of it for a person, bounded; without NUL."""
        text = "\n\n---\n\n".join(part.text for part in self.parts)
        if len(self.parts) > 1:
            text = f"{self.title}\n\n{text}"
        return cut(text.replace("\0", "�"), MOST_TEXT)

    @cached_property
    def value(self) -> dict[str, Any]:
        """For programs: the form of Standard Webhooks, `type`, `timestamp`, `data`."""
        return {
            "id": self.id, "type": f"notice.{self.kind}", "timestamp": self.first["created_at"],
            "data": {"sink": self.sink, "title": self.title, "notices": [part.value for part in self.parts]},
        }  # fmt: skip

    @cached_property
    def json(self) -> bytes:
        """The same, as bytes of JSON."""
        return json.dumps(self.value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")

    @property
    def placeholders(self) -> dict[str, str]:
        """For the words of a command."""
        row, one = self.first, len(self.parts) == 1

        def of(name: str) -> str:
            return str(row[name]) if one and row[name] is not None else ""

        return {
            "id": self.id, "kind": self.kind, "title": self.title.replace("\0", "�"), "text": self.text, "topic": of("topic"),
            "task": of("task_id"), "agent": of("agent_id"), "project": of("project_id"), "sink": self.sink,
            "urgent": str(int(any(part.notice["urgent"] for part in self.parts))),
        }  # fmt: skip


def cut(text: str, most: int) -> str:
    """At most so many bytes of UTF-8; what was left out is said."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= most:
        return raw.decode("utf-8")
    return raw[: most - 40].decode("utf-8", "ignore") + "\n… (cut: the rest is on the board)"
