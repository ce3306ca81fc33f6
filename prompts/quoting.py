"""Text of others made harmless for a prompt: cleaned of what cannot be seen, cut to a bound, fenced.

Pure functions over text. Nothing here decides what is shown; it decides only how, so that no text can leave its
fence, hide from the person who reads the prompt, or carry a token.
"""

from __future__ import annotations

import re

# What no reader sees, and what moves text about: C0 and C1 controls but tab and newline, bidirectional overrides
# and isolates, zero-width spaces and marks (the joiners stay: emoji and scripts need them), the tag characters.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_BACKTICKS = re.compile("`+")
# The same as blackboard.tokens.redact, which a test compares: this package may not import it.
_TOKEN = re.compile("bbt_[A-Za-z0-9_-]{8,}")


def redact(text: str) -> str:
    """The text with every token masked."""
    return _TOKEN.sub("bbt_***", text)


def clean(text: str) -> str:
    """The text as a reader sees it: newlines as `\\n`, nothing invisible, nothing that UTF-8 cannot hold, no token.

    Tokens are masked last: something invisible inside one must not hide it.
    """
    text = _UNSEEN.sub("", _LINE_ENDS.sub("\n", text))
    return redact(_SURROGATES.sub("\ufffd", text))


def one_line(text: str, limit: int = 200) -> str:
    """The text cleaned, on one line, cut to `limit` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def cut(text: str, limit: int, margin: str = "") -> str:
    """The first `limit` characters, with a mark behind `margin` that says how many are missing."""
    if len(text) <= limit:
        return text
    return f"{text[:limit].rstrip()}\n{margin}[… cut here: {len(text) - limit:,} more characters]"


def cut_front(text: str, limit: int, margin: str = "") -> str:
    """The last `limit` characters, with a mark that says how many are missing: for logs, whose end matters."""
    if len(text) <= limit:
        return text
    missing = len(text) - limit
    return f"{margin}[… cut here: {missing:,} characters before this]\n{margin}{text[missing:].lstrip()}"


def fence(text: str) -> str:
    """The text cleaned and between two fences that are longer than any run of backticks in it."""
    body = clean(text).strip("\n")
    runs = (len(run) for run in _BACKTICKS.findall(body))
    ticks = "`" * max(3, 1 + max(runs, default=0))
    return f"{ticks}data\n{body or '(none)'}\n{ticks}"


def indent(text: str, margin: str) -> str:
    """Every line of the cleaned text behind a margin, so that no line of it can pass for a label at the left."""
    return "\n".join(margin + line for line in clean(text).strip("\n").split("\n"))
