"""Reading a watched answer: its items by name, with what counts of them. Pure; NoAnswer says what is wrong with it.

An answer that is not well formed is no answer: it changes nothing of what was seen before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from blackboard.watch_diff import canonical
from orchestrator.asking import NoAnswer
from orchestrator.config_watches import WatchConfig

THE_ANSWER = "answer"  # the name of the one item where the whole answer is one
MOST_ID = 200  # characters
MOST_ITEM = 64 * 1024  # characters of one item as JSON
MOST_DEPTH = 100  # of lists and objects in each other
TOO_DEEP = "its answer is nested too deeply"


def items_of(body: bytes, watch: WatchConfig) -> dict[str, str]:
    """The items of an answer in its order: by name, what counts of each as canonical JSON."""
    told = _told(body)
    found = {name: canonical(_counted(content, watch)) for name, content in _named(told, watch)}
    for name, text in found.items():
        if len(text) > MOST_ITEM:
            raise NoAnswer(f"item {name!r} is too large: {len(text)} characters, at most {MOST_ITEM}")
    return found


def _told(body: bytes) -> Any:
    """What an answer says, once it is sure that all of it can be kept."""
    try:
        told = json.loads(body)
        canonical(told).encode()  # ValueError for half a character, and for a number that is none
    except RecursionError:
        raise NoAnswer(TOO_DEEP) from None
    except ValueError:
        raise NoAnswer("its answer is no JSON") from None
    if _is_deep(told):
        raise NoAnswer(TOO_DEEP)
    return told


def _is_deep(told: Any) -> bool:
    level = [told]
    for _ in range(MOST_DEPTH):
        level = [inner for each in level if isinstance(each, dict | list)
                 for inner in (each.values() if isinstance(each, dict) else each)]  # fmt: skip
    return bool(level)


def _named(told: Any, watch: WatchConfig) -> Iterable[tuple[str, Any]]:
    """Each item with its name."""
    place = _at(told, watch.items)
    if not watch.items and not watch.id:
        return [(THE_ANSWER, place)]
    if isinstance(place, dict) and not watch.id:
        found = list(place.items())
    elif isinstance(place, list | dict):
        each = place if isinstance(place, list) else place.values()
        naming = _by_fields(watch.id) if watch.id else _by_itself
        found = [(naming(content), content) for content in each]
    else:
        raise NoAnswer(f"{_where(watch)} is neither a list nor an object")
    if len(found) > watch.max_items:
        raise NoAnswer(f"it has {len(found)} items, at most {watch.max_items}: raise max_items, or ask for fewer")
    seen: set[str] = set()
    for name, _ in found:
        if not name or len(name) > MOST_ID or not name.isprintable():
            raise NoAnswer(f"the name of an item is one line of 1 to {MOST_ID} characters, and not {name[:MOST_ID]!r}")
        if name in seen:
            raise NoAnswer(f"two items are called {name!r}: id names the fields that tell them apart")
        seen.add(name)
    return found


def _where(watch: WatchConfig) -> str:
    return f"what is at {watch.items}" if watch.items else "its answer"


def _by_itself(content: Any) -> str:
    """The name of an item of a list where no field is named: the item, where it is a plain word."""
    if isinstance(content, dict | list):
        raise NoAnswer("its items are a list: say in id which field names one")
    return content if isinstance(content, str) else canonical(content)


def _by_fields(fields: tuple[str, ...]) -> Callable[[Any], str]:
    def name(content: Any) -> str:
        values = [content.get(field) if isinstance(content, dict) else None for field in fields]
        if any(value is None or isinstance(value, dict | list) for value in values):
            raise NoAnswer(f"an item has no plain {' and '.join(fields)}, which would name it")
        return "/".join(value if isinstance(value, str) else canonical(value) for value in values)

    return name


def _at(told: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) leads to."""
    found = told
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            raise NoAnswer(f"there is nothing at {pointer} in its answer")
    return found


def _counted(content: Any, watch: WatchConfig) -> Any:
    if not watch.ignore or not isinstance(content, dict):
        return content
    return {field: value for field, value in content.items() if field not in watch.ignore}
