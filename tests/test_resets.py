"""When a limit ends, in the words of programs and providers."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from orchestrator.runners.resets import reset_in

SAID = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)  # a Saturday
T = "2026-11-21T"


@pytest.mark.parametrize(
    ("words", "until"),
    [
        ("429 Too Many Requests\nretry-after: 30", T + "09:00:30.000Z"),
        ("Retry-After: Sat, 21 Nov 2026 09:05:00 GMT", T + "09:05:00.000Z"),
        ('{"retry_after": 1.5}', T + "09:00:01.500Z"),
        ('{"retry-after-ms": "2500"}', T + "09:00:02.500Z"),
        ('"retryDelay": "34s"', T + "09:00:34.000Z"),
        ('{"retryDelay":"34.074824224s"}', T + "09:00:34.074Z"),
        ('{"resets_in_seconds": 120}', T + "09:02:00.000Z"),
        ("Rate limit reached. Please try again in 20s.", T + "09:00:20.000Z"),
        ("try again in 1m30s", T + "09:01:30.000Z"),
        ("Please try again in 1h2m3.5s.", T + "10:02:03.500Z"),
        ("try again in 250ms", T + "09:00:00.250Z"),
        ("You've hit your usage limit. Try again in 2 hours", T + "11:00:00.000Z"),
        ("try again in 1 day 3 hours and 5 minutes", "2026-11-22T12:05:00.000Z"),
        ("retry in 5 minutes", T + "09:05:00.000Z"),
        ("quota resets in about 3 min", T + "09:03:00.000Z"),
        ("please wait 45 seconds", T + "09:00:45.000Z"),
        ("Your limit resets at 3pm (Europe/Berlin)", T + "14:00:00.000Z"),
        ("limit reached, resets 3:30pm (UTC)", T + "15:30:00.000Z"),
        ("resets at 8am (UTC)", "2026-11-22T08:00:00.000Z"),
        ("resets 12am (UTC)", "2026-11-22T00:00:00.000Z"),
        ("try again at 14:20 UTC", T + "14:20:00.000Z"),
        ("try again at Nov 23rd, 2026 10:15 AM.", "2026-11-23T10:15:00.000Z"),
        ("resets Nov 23, 3pm (Europe/Berlin)", "2026-11-23T14:00:00.000Z"),
        ("resets 2026-11-21T10:00:00Z", T + "10:00:00.000Z"),
        ("limit until 2026-11-21T10:00:00+01:00; sorry", None),  # now
        ("limit until 2026-11-21T12:00:00+0100", T + "11:00:00.000Z"),
        ("limit until 2026-11-21 10:00 UTC", T + "10:00:00.000Z"),
        ('{"resetsAt": 1795255200}', "2026-11-21T10:00:00.000Z"),
        ('{"reset_at":1795255200000}', "2026-11-21T10:00:00.000Z"),
        ('{"rate_limit_reset": "2026-11-21T10:00:00Z"}', T + "10:00:00.000Z"),
        ("Claude AI usage limit reached|1795255200", "2026-11-21T10:00:00.000Z"),
        ("try again in 5s\nlater: try again in 9s", T + "09:00:09.000Z"),
        # nothing that can be believed
        ("rate limit exceeded", None),
        ("resets 2026-11-21T08:59:59Z", None),
        ("resets 2026-11-29T09:00:01Z", None),
        ("resets 2026-13-40T10:00:00Z", None),
        ("retry-after: 999999999999999999999", None),
        ("try again in 0s", None),
        ("resets at 25:99", None),
        ("resets at 3pm (Middle/Earth)", None),
        ("error 429 at line 12 of 40", None),
        ("try again later", None),
        ('{"resetsAt": 12}', None),
        ("", None),
    ],
)  # fmt: skip
def test_the_end_of_a_limit_is_read(words: str, until: str | None) -> None:
    assert reset_in([words], SAID) == until


def test_a_time_without_a_zone_is_meant_where_it_was_said() -> None:
    assert reset_in(["resets at 3pm"], SAID.astimezone(ZoneInfo("Europe/Berlin"))) == "2026-11-21T14:00:00.000Z"


def test_the_first_text_that_says_it_is_believed() -> None:
    assert reset_in(["limited", "retry-after: 5", "retry-after: 50"], SAID) == "2026-11-21T09:00:05.000Z"


def test_a_long_text_is_read_quickly() -> None:
    begun = time.process_time()
    for hostile in ("1 day " * 20000, "resets " * 20000, "1m" * 40000, "retry-after" + " " * 60000, "limit" * 20000):
        reset_in([hostile[-16384:]], SAID)
    assert time.process_time() - begun < 5
