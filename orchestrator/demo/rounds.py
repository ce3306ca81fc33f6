"""The demo agent's heartbeat: looks at the files its checklist names, and says what somebody should know.

A line of a checklist that it understands is `"PATH" says "WORDS"`. What is so needs nobody; what is not is told. It never
writes into a file.
"""

from __future__ import annotations

import re
from pathlib import Path

_LINE = re.compile(r'^- "(?P<path>.+)" says "(?P<words>.+)"$', re.MULTILINE)


def found(checklist: str) -> list[str]:
    """What is not as the checklist says, a sentence each; empty when nobody needs to know anything."""
    return [sentence for line in _LINE.finditer(checklist) if (sentence := _looked(Path(line["path"]), line["words"]))]


def _looked(path: Path, words: str) -> str | None:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror}."
    if words in text:
        return None
    last = (text.strip().splitlines() or ["nothing"])[-1]
    return f'{path.name} does not say "{words}". Its last line is: {last[:200]}'
