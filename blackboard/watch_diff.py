"""What has changed between two looks at a list of items: added, changed and removed, with what differs. Pure.

What becomes of a change is blackboard/watches.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple

Kind = Literal["added", "changed", "removed"]
MOST_FIELDS = 30  # of one change
MOST_VALUE = 500  # characters of one value, as JSON
AROUND = 60  # of them that are alike and shown before what differs far inside
MOST_NAME = 100  # characters of a field's name
WHOLE = "value"  # the name of what has no fields
MORE = "…"  # the name under which fields are counted that are not shown
_NO_LINE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # what ends a line somewhere, or steers a terminal


class Known(NamedTuple):
    """An item as it was seen last. `content`: what counts of it, as canonical JSON; `missing`: good answers without it."""

    content: str
    missing: int = 0


class Change(NamedTuple):
    """One item that is other than it was. `diff`: by field, `before` and `after`, where there was or is one."""

    item: str
    kind: Kind
    diff: dict[str, dict[str, Any]]
    content: Any  # what it is now; what it was, when it was removed


class Seen(NamedTuple):
    """What one answer makes of a snapshot: the changes in order, and the items that are to be put or dropped."""

    changes: list[Change]
    put: dict[str, Known]
    dropped: list[str]


def canonical(content: Any) -> str:
    """The one text of a JSON value, whatever the order of its fields; ValueError for what is no number."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def compared(known: Mapping[str, Known], items: Mapping[str, str], confirm: int) -> Seen:
    """Compare an answer with a snapshot: what it has in its own order, then what it has no more.

    `items`: canonical JSON by name. `confirm`: an item was removed when so many good answers in a row are without it;
    one that comes back before that was never away.
    """
    seen = Seen([], {}, [])
    for item, text in items.items():
        before = known.get(item)
        if before is None or before.content != text:
            seen.changes.append(_other(item, before, text))
        if before != Known(text):
            seen.put[item] = Known(text)
    for item, before in known.items():
        if item in items:
            continue
        if before.missing + 1 < confirm:
            seen.put[item] = before._replace(missing=before.missing + 1)
        else:
            content = json.loads(before.content)
            seen.changes.append(Change(item, "removed", _diff(_fields(content), {}), content))
            seen.dropped.append(item)
    return seen


def _other(item: str, before: Known | None, text: str) -> Change:
    content = json.loads(text)
    if before is None:
        return Change(item, "added", _diff({}, _fields(content)), content)
    was = json.loads(before.content)
    diff = _diff(_fields(was), _fields(content)) or _diff({WHOLE: was}, {WHOLE: content})  # 5 is not {"value": 5}
    return Change(item, "changed", diff, content)


def _fields(content: Any) -> Mapping[str, Any]:
    return content if isinstance(content, dict) else {WHOLE: content}


def _diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    differ = [name for name in {**before, **after} if _text(before, name) != _text(after, name)]
    told: dict[str, dict[str, Any]] = {}
    for name in differ[:MOST_FIELDS]:
        sides = {"before": before, "after": after}
        told[_name(name, told)] = _bounded({side: values[name] for side, values in sides.items() if name in values})
    if len(differ) > MOST_FIELDS:
        told[MORE] = {side: f"{len(differ) - MOST_FIELDS} more fields" for side in ("before", "after")}
    return told


def _name(name: str, taken: Collection[str]) -> str:
    """A field's name, cut; counted where the cut has made it one that is taken, or where it is the one that stands for more."""
    short = name[:MOST_NAME]
    names = (short, *(f"{short}{MORE}{number}" for number in range(2, MOST_FIELDS + 3)))
    return next(each for each in names if each not in taken and each != MORE)


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    """A field as JSON, where `true` and `1` are two things; None where it is not there."""
    return canonical(fields[name]) if name in fields else None


def _bounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by side; of one that is too long that part of its JSON in which it differs from the other."""
    texts = {side: canonical(value) for side, value in values.items()}
    begin = max(0, _alike(*texts.values()) - AROUND) if len(texts) > 1 else 0
    return {
        side: value if len(texts[side]) <= MOST_VALUE else _part(texts[side], begin) for side, value in values.items()
    }


def _alike(before: str, after: str) -> int:
    """How many characters two texts have in common at their beginning."""
    pairs = enumerate(zip(before, after, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(before), len(after)))


def _part(text: str, begin: int) -> str:
    end = begin + MOST_VALUE
    return f"{'…' if begin else ''}{text[begin:end]}{'…' if end < len(text) else ''}"


def urgent(change: Change, kinds: tuple[str, ...], when: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a change is urgent: by its kind, or because one of these fields has one of these values.

    A value that is no text is compared as its JSON: `true`, `3`.
    """
    fields = _fields(change.content)
    return change.kind in kinds or any(name in fields and _word(fields[name]) in words for name, words in when.items())


def _word(value: Any) -> str:
    return value if isinstance(value, str) else canonical(value)


def in_words(item: str, kind: str, diff: Mapping[str, Mapping[str, Any]]) -> str:
    """A change in one line, whatever its fields are called, as JSON values: `changed 7: status "open" → "done"`."""
    said = differs_in_words(kind, diff)
    return _line(f"{kind} {item}") + (f": {said}" if said else "")


def differs_in_words(kind: str, diff: Mapping[str, Mapping[str, Any]]) -> str:
    """What differs, in one line: `status "open" → "done"`; empty where nothing of it has a field."""
    sides = ("before", "after") if kind == "changed" else ("before",) if kind == "removed" else ("after",)
    parts = (
        f"{name} " + " → ".join(canonical(each[side]) if side in each else "nothing" for side in sides)
        for name, each in diff.items()
    )
    return _line("; ".join(parts))


def _line(text: str) -> str:
    return _NO_LINE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
