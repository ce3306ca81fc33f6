"""What a heartbeat's answer means: nothing to tell, or something that somebody is to read. Pure.

An answer is acknowledged by one word and little else. Where it stands is what counts: a word that is only mentioned
acknowledges nothing, so that "I can not say HEARTBEAT_OK, the disk is full" is delivered.
"""

from __future__ import annotations

import re

SUMMARY = 500  # characters

_MARKUP = "*_~`#> \t"
# Of one line: over several, blank lines would cost their square.
_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})\w*[ \t]*$", re.MULTILINE)


def acknowledged(answer: str, word: str, most: int) -> bool:
    """Whether the answer says that there is nothing to tell.

    It begins with the word, and a full stop or the end of its line follows; or it ends with the word, which is alone on
    its line or follows the end of a sentence. Markdown around the word does not count. `most`: how many characters the
    rest may have.
    """
    text = plain(answer)
    rest = _behind(text, word) if text.startswith(word) else _before(text, word)
    return rest is not None and len(rest) <= most


def _behind(text: str, word: str) -> str | None:
    """What follows a word at the beginning; None where the word is part of a sentence."""
    rest = text[len(word) :]
    line, _, more = rest.partition("\n")
    ended = line.strip(_MARKUP + ".!") == "" or re.match(rf"[{re.escape(_MARKUP)}]*[.!]+[{re.escape(_MARKUP)}]", rest)
    return _rest(f"{line}\n{more}") if ended else None


def _before(text: str, word: str) -> str | None:
    """What comes before a word at the end; None where it is part of a sentence, or not there."""
    text = text.rstrip(_MARKUP + ".!\n")
    if not text.endswith(word):
        return None
    before = text[: -len(word)].rstrip(_MARKUP)
    return _rest(before) if before == "" or before.endswith(("\n", ".", "!", "?")) else None


def _rest(text: str) -> str:
    return text.strip(_MARKUP + ".!\n")


def plain(answer: str) -> str:
    """The answer without the markdown around it: fences, emphasis, quotes, blank lines at both ends."""
    text = _FENCE.sub("", answer.replace("\r\n", "\n"))
    return "\n".join(line.strip(_MARKUP) for line in text.split("\n")).strip()


def summary(text: str) -> str:
    """The beginning of an answer, for the log."""
    return text if len(text) <= SUMMARY else text[:SUMMARY] + "…"


def is_empty(checklist: str) -> bool:
    """Whether a checklist has nothing to do in it: only blank lines, headings and comments."""
    text = _without_comments(checklist)
    return all(not line.strip() or line.lstrip().startswith("#") for line in text.split("\n"))


def _without_comments(text: str) -> str:
    """The text without `<!-- -->`, read once: others write it, and a regular expression looks for each end anew."""
    kept, at = [], 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept.append(text[at:start])
        at = end + 3
    return "".join(kept) + text[at:]
