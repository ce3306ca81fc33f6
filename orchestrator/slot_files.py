"""A file with slots, TOML or JSON, read into the document `blackboard.slots.read_schedule` takes.

Only reading: what a slot means, and which are refused, is the board's affair. Errors are Invalid, one sentence.
"""

from __future__ import annotations

import json
import tomllib
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from blackboard.errors import Invalid

MOST_BYTES = 16 * 1024 * 1024


def read(file: Path) -> dict[str, Any]:
    """The file's document; TOML's own dates and times become the text a slot is written with."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise Invalid(f"{file} holds more than {MOST_BYTES} bytes: that is no file of slots")
        text = raw.decode("utf-8-sig")
        document = json.loads(text) if file.suffix.lower() == ".json" else tomllib.loads(text)
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise Invalid(f"{file} is not valid {'JSON' if file.suffix.lower() == '.json' else 'TOML'}: {error}") from None
    if isinstance(document, list):
        document = {"slots": document}
    if not isinstance(document, dict):
        raise Invalid(f"{file} holds no slots: a table with slots or schedules, or a list of slots")
    plain: dict[str, Any] = _plain(document)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_plain(below) for below in value]
    return value.isoformat() if isinstance(value, datetime | date | time) else value
