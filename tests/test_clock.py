"""Instants are text that sorts as time does; the clock of a test stands still."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackboard.clock import SystemClock, from_text, plus, seconds_between, to_text
from tests.fake_clock import START, FakeClock

INSTANTS = st.datetimes(
    min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)
).map(lambda found: found.replace(microsecond=found.microsecond // 1000 * 1000))  # fmt: skip


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (datetime(2026, 1, 31, 9, tzinfo=UTC), "2026-01-31T09:00:00.000Z"),
        (datetime(2026, 1, 31, 9, 0, 0, 999_999, tzinfo=UTC), "2026-01-31T09:00:00.999Z"),  # cut, not rounded
        (datetime(2026, 1, 31, 9, tzinfo=timezone(timedelta(hours=5, minutes=30))), "2026-01-31T03:30:00.000Z"),
        (datetime(31, 1, 1, tzinfo=UTC), "0031-01-01T00:00:00.000Z"),
    ],
)
def test_an_instant_is_utc_text_with_three_decimals(instant: datetime, text: str) -> None:
    assert to_text(instant) == text


@settings(deadline=None)
@given(INSTANTS, INSTANTS)
def test_texts_sort_as_the_instants_do_and_lead_back(one: datetime, other: datetime) -> None:
    assert (to_text(one) < to_text(other)) == (one < other)
    assert from_text(to_text(one)) == one
    assert seconds_between(to_text(one), to_text(other)) == pytest.approx((other - one).total_seconds())


@pytest.mark.parametrize("text", ["", "2026-01-31", "2026-01-31T09:00:00Z", "2026-01-31T09:00:00.000", "2026-13-01T09:00:00.000Z"])  # fmt: skip
def test_another_form_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not match|unconverted"):
        from_text(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0015, "2026-01-31T09:00:00.001Z"),
        (86400.0, "2026-02-01T09:00:00.000Z"),
        (-3600.0, "2026-01-31T08:00:00.000Z"),
        (1e300, "9999-12-31T23:59:59.999Z"),
        (float("inf"), "9999-12-31T23:59:59.999Z"),
        (-1e300, "0001-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_later_never_leaves_the_calendar(seconds: float, text: str) -> None:
    assert plus(START, seconds) == text


def test_the_real_clock_tells_the_time_and_the_boot() -> None:
    clock = SystemClock()
    assert abs(seconds_between(to_text(datetime.now(UTC)), clock.now())) < 5
    assert abs(clock.boot() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 5
    assert len(clock.boot_id()) == 36 and clock.boot_id() == SystemClock().boot_id()


def test_a_wound_clock_moves_both_times_and_a_jump_only_one() -> None:
    clock = FakeClock()
    assert (clock.now(), clock.boot()) == (START, 1000.0)
    assert clock.go_on(1.5) == clock.now() == "2026-01-31T09:00:01.500Z"
    clock.jump_to("2020-01-01T00:00:00.000Z")
    assert (clock.now(), clock.boot()) == ("2020-01-01T00:00:00.000Z", 1001.5)
