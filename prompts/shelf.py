"""Which text a template's name stands for: a file in the operator's folder, the most special first, or ours.

`agents/AGENT/NAME` before `projects/PROJECT/NAME` before `NAME` before ours; `ours/NAME` is always ours. Reads only
inside of the folder, each time anew, and remembers what it gave. Renders nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jinja2 import BaseLoader, Environment, TemplateNotFound, TemplateSyntaxError

HERE = Path(__file__).parent
SUFFIX = ".md.j2"
OURS = "ours"  # where a text comes from that no file stands in for
MOST_BYTES = 1024 * 1024


class Source(NamedTuple):
    """A text that was used. `source`: its path below the operator's folder, or `ours`."""

    name: str
    source: str
    sha256: str


def names() -> list[str]:
    """The names of our templates: each may be stood in for."""
    return sorted(path.name for path in HERE.glob(f"*{SUFFIX}"))


class Shelf(BaseLoader):
    """The templates one attempt sees. `folder` None: only ours."""

    def __init__(self, folder: Path | None, agent: str | None = None, project: str | None = None) -> None:
        self._folder = folder
        special = [("agents", agent), ("projects", project)]
        self._places = [*(f"{kind}/{name}/" for kind, name in special if name), ""]
        self.used: list[Source] = []

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """The text for a name, where it stands, and that it is not to be kept; TemplateError when it cannot be read."""
        plain = template.removeprefix(f"{OURS}/")
        if plain not in names():
            raise TemplateNotFound(
                template, f"there is no template {template!r}: known are {', '.join(names())}, and each as {OURS}/NAME"
            )
        source, file = self._found(plain) if plain == template else (OURS, HERE / plain)
        text = file.read_text(encoding="utf-8") if source == OURS else read(self._folder or HERE, source)
        self.used.append(Source(plain, source, hashlib.sha256(text.encode()).hexdigest()))
        return text, str(file), lambda: False

    def _found(self, name: str) -> tuple[str, Path]:
        if self._folder is not None:
            for place in self._places:
                if os.path.lexists(self._folder / f"{place}{name}"):
                    return f"{place}{name}", self._folder / f"{place}{name}"
        return OURS, HERE / name


def read(folder: Path, source: str) -> str:
    """The text of a file in the folder; TemplateSyntaxError when it leads out of it or holds no text."""
    file = folder / source
    try:
        real = file.resolve(strict=True)
        if not real.is_relative_to(folder.resolve()):
            raise _unreadable(file, f"it leads to {real}, outside of {folder}: put the file itself there")
        if not real.is_file():
            raise _unreadable(file, "it is not a file")
        with real.open("rb") as opened:
            raw = opened.read(MOST_BYTES + 1)
    except (OSError, RuntimeError) as error:
        raise _unreadable(file, f"it cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > MOST_BYTES:
        raise _unreadable(file, f"it holds more than {MOST_BYTES} bytes")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _unreadable(file, f"it is not UTF-8 (byte {error.start}): save it as UTF-8", line) from None


def _unreadable(file: Path, sentence: str, line: int = 1) -> TemplateSyntaxError:
    return TemplateSyntaxError(sentence, line, file.name, str(file))
