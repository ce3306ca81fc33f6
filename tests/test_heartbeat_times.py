"""The times of heartbeats: the vectors that were given, the hours of a day, and the days on which a clock changes."""

from __future__ import annotations

import uuid

import pytest

from blackboard.clock import plus, seconds_between
from blackboard.errors import Invalid
from blackboard.heartbeat_times import Hours, fnv1a, hours, hours_end, is_within, next_run, offset, within

NOW = "2026-01-31T09:00:00.000Z"
ONE = "00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(("data", "hash_"), [(b"", 2166136261), (b"a", 3826002220), (uuid.UUID(ONE).bytes, 1751717746)])
def test_the_hash_is_the_one_that_was_given(data: bytes, hash_: int) -> None:
    assert fnv1a(data) == hash_


def test_the_offset_is_of_the_uuid_or_of_the_name_and_below_a_tenth() -> None:
    assert offset(ONE, 1800) == 46 == offset(ONE.upper(), 1800)
    assert offset("ada", 1800) == fnv1a(b"ada") % 180
    assert offset("ada", 5) == 0, "an interval without a tenth"


@pytest.mark.parametrize(
    ("anchor", "expected"), [(-420, 180), (-31 * 60, 300), (0, 300), (-300, 300), (-301, 299), (60, 360), (-600, 300)]
)
def test_the_next_run_is_anchored_and_nothing_is_made_up_for(anchor: float, expected: float) -> None:
    assert seconds_between(NOW, next_run(plus(NOW, anchor), 300, NOW)) == expected


@pytest.mark.parametrize(
    ("text", "zone", "now", "expected"),
    [
        ("09:00-17:00", "UTC", "2026-01-31T09:00:00.000Z", True),  # the start is in
        ("09:00-17:00", "UTC", "2026-01-31T08:59:59.999Z", False),
        ("09:00-17:00", "UTC", "2026-01-31T17:00:00.000Z", False),  # the end is not
        ("09:00-17:00", "Asia/Tokyo", "2026-01-31T00:00:00.000Z", True),
        ("22:00-06:00", "UTC", "2026-01-31T23:00:00.000Z", True),
        ("22:00-06:00", "UTC", "2026-01-31T05:59:59.999Z", True),
        ("22:00-06:00", "UTC", "2026-01-31T06:00:00.000Z", False),
        ("22:00-24:00", "UTC", "2026-01-31T23:59:59.999Z", True),
        ("22:00-24:00", "UTC", "2026-02-01T00:00:00.000Z", False),
        ("00:00-24:00", "UTC", "2026-01-31T00:00:00.000Z", True),
        ("07:30-07:30", "UTC", "2026-01-31T03:00:00.000Z", True),  # equal: always
        # Berlin jumps from 02:00 to 03:00 on 29 March: 02:30 is read as 03:30 ...
        ("02:30-04:00", "Europe/Berlin", "2026-03-29T01:29:59.999Z", False),
        ("02:30-04:00", "Europe/Berlin", "2026-03-29T01:30:00.000Z", True),
        ("02:30-04:00", "Europe/Berlin", "2026-03-29T02:00:00.000Z", False),
        # ... and hours that would end before they begin then are left out that day.
        ("02:45-03:15", "Europe/Berlin", "2026-03-29T01:50:00.000Z", False),
        # On 25 October 02:30 is there twice, and the first is meant: 00:30 UTC.
        ("02:30-04:00", "Europe/Berlin", "2026-10-25T00:30:00.000Z", True),
        ("01:00-02:30", "Europe/Berlin", "2026-10-25T00:30:00.000Z", False),
        ("01:00-02:30", "Europe/Berlin", "2026-10-25T00:29:59.999Z", True),
    ],
)
def test_the_hours_of_a_day(text: str, zone: str, now: str, expected: bool) -> None:
    assert is_within(hours(text, zone), now) is expected


def test_without_hours_it_is_always() -> None:
    assert is_within(None, NOW) and hours_end(None, NOW) is None
    assert hours_end(hours("08:00-08:00", "UTC"), NOW) is None
    assert hours_end(hours("08:00-10:00", "UTC"), NOW) == "2026-01-31T10:00:00.000Z"


@pytest.mark.parametrize(
    "text", ["", "9-17", "09:00", "24:00-25:00", "24:00-24:00", "09:60-10:00", "09:00-10:00-11:00", "\uff109:00-10:00"]
)
def test_hours_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Invalid):
        hours(text, "UTC")


def test_a_zone_that_is_none_is_refused() -> None:
    with pytest.raises(Invalid, match="IANA"):
        Hours("09:00", "17:00", "Berlin")


def test_a_beat_outside_of_the_hours_goes_to_the_first_of_its_grid_inside() -> None:
    day = hours("08:00-22:00", "Europe/Berlin")
    assert within(day, "2026-01-31T22:13:00.000Z", 1800, 46) == "2026-02-01T07:13:00.000Z", "its minutes are kept"
    assert within(day, "2026-01-31T12:00:00.000Z", 1800, 46) == "2026-01-31T12:00:00.000Z"
    over_jump = within(day, "2026-03-28T22:13:00.000Z", 1800, 46)
    assert over_jump == "2026-03-29T06:13:00.000Z", "the next day has its hours an hour earlier"


def test_where_the_grid_never_meets_the_hours_they_begin_it_anew() -> None:
    assert within(hours("09:00-10:00", "UTC"), "2026-01-31T15:00:00.000Z", 86400, 46) == "2026-02-01T09:00:46.000Z"
