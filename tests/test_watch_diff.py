"""Reading a watched answer and comparing it with a snapshot: tables, and every kind of garbage with its sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest

from blackboard.watch_diff import (
    MORE,
    MOST_FIELDS,
    MOST_NAME,
    MOST_VALUE,
    Change,
    Known,
    canonical,
    compared,
    in_words,
    urgent,
)
from orchestrator.asking import NoAnswer
from orchestrator.config_watches import WatchConfig
from orchestrator.watch_reading import MOST_DEPTH, MOST_ITEM, items_of


def watch(**keys: Any) -> WatchConfig:
    return WatchConfig.model_validate({"url": "https://hub.example/x", "sinks": ["office"], **keys})


def read(told: Any, **keys: Any) -> dict[str, Any]:
    return {name: json.loads(text) for name, text in items_of(json.dumps(told).encode(), watch(**keys)).items()}


@pytest.mark.parametrize(
    ("told", "keys", "items"),
    [
        ({"a": 1}, {}, {"answer": {"a": 1}}),
        ([1, 2], {}, {"answer": [1, 2]}),
        ({"t": {"7": {"s": "open"}, "8": 1}}, {"items": "/t"}, {"7": {"s": "open"}, "8": 1}),
        ({"t": [{"id": 7, "s": 1}, {"id": "8"}]}, {"items": "/t", "id": ["id"]}, {"7": {"id": 7, "s": 1}, "8": {"id": "8"}}),
        ([{"p": "x", "n": 1}, {"p": "x", "n": 2}], {"id": ["p", "n"]}, {"x/1": {"p": "x", "n": 1}, "x/2": {"p": "x", "n": 2}}),
        ({"k": {"n": "a"}}, {"id": ["n"]}, {"a": {"n": "a"}}),
        ({"x/y": [["b", "a"]]}, {"items": "/x~1y/0"}, {"b": "b", "a": "a"}),
        ({"t": [{"id": 1, "at": "now", "s": 1}]}, {"items": "/t", "id": ["id"], "ignore": ["at"]}, {"1": {"id": 1, "s": 1}}),
        ([], {"id": ["id"]}, {}),
        ({"t": {}}, {"items": "/t"}, {}),
    ],
)  # fmt: skip
def test_items_have_their_names(told: Any, keys: dict[str, Any], items: dict[str, Any]) -> None:
    assert read(told, **keys) == items
    assert list(read(told, **keys)) == list(items)


def deep(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("body", "keys", "words"),
    [
        ("", {}, "no JSON"),
        ("<html>", {}, "no JSON"),
        ('{"a": 1', {}, "no JSON"),
        ('{"a": NaN}', {}, "no JSON"),
        ('{"a": 1e999}', {}, "no JSON"),
        (r'{"a": "\ud800"}', {}, "no JSON"),
        (deep(MOST_DEPTH + 1), {}, "too deeply"),
        (deep(100_000), {}, "too deeply"),
        ("null", {"items": "/t"}, "nothing at /t"),
        ('{"t": []}', {"items": "/t/0"}, "nothing at /t/0"),
        ('{"t": null}', {"items": "/t"}, "what is at /t is neither a list nor an object"),
        ('"down"', {"id": ["id"]}, "its answer is neither a list nor an object"),
        ('{"t": [{"id": 1}]}', {"items": "/t"}, "say in id which field"),
        ('{"t": [{"no": 1}]}', {"items": "/t", "id": ["id"]}, "no plain id"),
        ('{"t": [7]}', {"items": "/t", "id": ["id"]}, "no plain id"),
        ('{"t": [{"id": [1]}]}', {"items": "/t", "id": ["id"]}, "no plain id"),
        ('[{"id": 1}, {"id": "1"}]', {"id": ["id"]}, "two items are called '1'"),
        ('[{"id": ""}]', {"id": ["id"]}, "the name of an item"),
        ('{"t": {"a\\nb": 1}}', {"items": "/t"}, "the name of an item"),
        (json.dumps({"t": {str(n): n for n in range(11)}}), {"items": "/t", "max_items": 10}, "11 items, at most 10"),
        (json.dumps({"t": {"a": "x" * MOST_ITEM}}), {"items": "/t"}, "item 'a' is too large"),
    ],
)
def test_garbage_is_no_answer_and_has_a_sentence(body: str, keys: dict[str, Any], words: str) -> None:
    with pytest.raises(NoAnswer, match=words):
        items_of(body.encode(), watch(**keys))


def test_bytes_that_are_no_text_are_no_answer() -> None:
    with pytest.raises(NoAnswer, match="no JSON"):
        items_of(b"\xff\x00\xfe", watch())


def known(**items: Any) -> dict[str, Known]:
    return {name: Known(canonical(content)) for name, content in items.items()}


def texts(**items: Any) -> dict[str, str]:
    return {name: canonical(content) for name, content in items.items()}


def said(changes: list[Change]) -> list[str]:
    return [in_words(each.item, each.kind, each.diff) for each in changes]


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ({"a": {"s": 1}}, {"a": {"s": 1}}, []),
        ({"a": {"s": 1, "t": 2}}, {"a": {"t": 2, "s": 1}}, []),
        ({}, {"a": {"s": "open"}}, ['added a: s "open"']),
        ({"a": 5}, {"a": {"value": 5}}, ['changed a: value 5 → {"value":5}']),
        ({"a": {"s": "open", "n": 1}}, {"a": {"s": "done", "n": 1}}, ['changed a: s "open" → "done"']),
        ({"a": {"s": 1}}, {"a": {}}, ["changed a: s 1 → nothing"]),
        ({"a": {"s": [True]}}, {"a": {"s": [1]}}, ["changed a: s [true] → [1]"]),
        ({"a": {"s": 1}}, {"a": None}, ["changed a: s 1 → nothing; value nothing → null"]),
        ({"a": 1}, {"a": 2}, ["changed a: value 1 → 2"]),
        ({"a": {"s": 1}, "b": 1}, {"b": 1}, ["removed a: s 1"]),
        ({"a": {}}, {}, ["removed a"]),
        ({"a": 1, "b": 1, "c": 1}, {"z": 0, "b": 2, "d": 0}, ["added z: value 0", "changed b: value 1 → 2", "added d: value 0", "removed a: value 1", "removed c: value 1"]),
    ],
)  # fmt: skip
def test_what_differs_is_told_in_the_answers_order(before: dict[str, Any], after: dict[str, Any], changes: list[str]) -> None:  # fmt: skip
    seen = compared(known(**before), texts(**after), 1)

    assert said(seen.changes) == changes
    snapshot = known(**before) | seen.put
    assert {name: each.content for name, each in snapshot.items() if name not in seen.dropped} == texts(**after)


def test_a_change_is_one_line_whatever_it_quotes() -> None:
    seen = compared({}, texts(a={"s\nremoved b": "x\u2028removed c\x85removed d\x9b31m"}), 1)

    assert said(seen.changes) == [r'added a: s\u000aremoved b "x\u2028removed c\u0085removed d\u009b31m"']


def test_what_is_away_is_removed_only_when_it_stays_away() -> None:
    first = compared(known(a=1), {}, 3)
    assert (first.changes, first.put, first.dropped) == ([], {"a": Known("1", 1)}, [])
    second = compared(first.put, {}, 3)
    assert (second.changes, second.put) == ([], {"a": Known("1", 2)})
    back = compared(second.put, texts(a=1), 3)
    assert (back.changes, back.put) == ([], {"a": Known("1", 0)})
    changed = compared(second.put, texts(a=2), 3)
    assert said(changed.changes) == ["changed a: value 1 → 2"]
    gone = compared(second.put, {}, 3)
    assert (said(gone.changes), gone.dropped) == (["removed a: value 1"], ["a"])


def test_a_diff_is_bounded() -> None:
    content = {f"f{n}": "x" * 10_000 for n in range(MOST_FIELDS + 5)}
    [change] = compared({}, texts(a=content), 2).changes

    assert len(change.diff) == MOST_FIELDS + 1
    assert change.diff[MORE]["after"] == "5 more fields"
    assert len(canonical(change.diff)) < MOST_FIELDS * (MOST_VALUE + 100)
    assert change.content == content


def test_fields_whose_names_are_cut_alike_are_told_each() -> None:
    long = "n" * MOST_NAME
    [change] = compared(
        known(a={}), texts(a={f"{long}a": 1, f"{long}b": 2, f"{long}c": 3, MORE: 4, f"{MORE}2": 5}), 2
    ).changes

    assert list(change.diff.values()) == [{"after": value} for value in (1, 2, 3, 4, 5)]
    assert MORE not in change.diff  # that name says how many fields are not shown


def test_what_differs_far_inside_a_long_value_is_told() -> None:
    before = [{"id": n, "status": "open"} for n in range(200)]
    after = [each | {"status": "done"} if each["id"] == 150 else each for each in before]
    [change] = compared(known(a=before), texts(a=after), 2).changes
    told = change.diff["value"]

    assert '{"id":150,"status":"open"}' in told["before"] and '{"id":150,"status":"done"}' in told["after"]
    assert all(each[0] == each[-1] == "…" and len(each) == MOST_VALUE + 2 for each in told.values())
    [change] = compared(known(a={"s": before}), texts(a={"s": before[:-1]}), 2).changes
    assert '"id":199' in change.diff["s"]["before"] and not change.diff["s"]["after"].endswith("…")


@pytest.mark.parametrize(
    ("kinds", "when", "is_urgent"),
    [
        ((), {}, False),
        (("changed",), {}, True),
        (("added", "removed"), {}, False),
        ((), {"s": ("down", "lost")}, True),
        ((), {"s": ("up",)}, False),
        ((), {"n": ("3",), "flag": ("true",)}, True),
        ((), {"gone": ("x",)}, False),
    ],
)
def test_what_is_urgent_is_said_by_kind_or_by_a_value(
    kinds: tuple[str, ...], when: dict[str, tuple[str, ...]], is_urgent: bool
) -> None:
    [change] = compared(known(a={"s": "up"}), texts(a={"s": "down", "n": 4, "flag": True}), 2).changes
    assert urgent(change, kinds, when) is is_urgent


def test_a_removed_one_is_urgent_by_what_it_was() -> None:
    [change] = compared(known(a={"s": "up"}), {}, 1).changes
    assert urgent(change, (), {"s": ("up",)})
