"""Rules become instants: cron lines and RRULEs, in five zones on both change days, and what is no rule is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr

from blackboard import recurring
from blackboard.errors import Invalid


def wall(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def of(rule: str, zone: str, after: str, until: str, starts: str | None = None) -> list[str]:
    found = recurring.times(
        rule, ZoneInfo(zone), wall(starts), datetime.fromisoformat(after), datetime.fromisoformat(until)
    )
    assert all(each.tzinfo is UTC for each in found) and all(a < b for a, b in pairwise(found))
    return [each.strftime("%d %H:%M") for each in found]


# zone, night of the jump forward (wall 02:30 or the like is missing), night of the way back; instants in UTC.
NIGHTS = [
    # zone, wall time that is hit, the three days around the jump, cron's UTC times, HH:MM-like (RRULE) UTC times
    ("Europe/Berlin", "02:30", "2026-03-27", ["28 01:30", "29 01:00", "30 00:30"], ["28 01:30", "29 01:30", "30 00:30"]),
    ("America/New_York", "02:30", "2026-03-06", ["07 07:30", "08 07:00", "09 06:30"], ["07 07:30", "08 07:30", "09 06:30"]),
    ("Australia/Lord_Howe", "02:15", "2026-10-02", ["02 15:45", "03 15:30", "04 15:15"], ["02 15:45", "03 15:45", "04 15:15"]),
    ("America/Santiago", "00:30", "2026-09-04", ["05 04:30", "06 04:00", "07 03:30"], ["05 04:30", "06 04:30", "07 03:30"]),
    ("Africa/Cairo", "00:30", "2026-04-22", ["22 22:30", "23 22:00", "24 21:30"], ["22 22:30", "23 22:30", "24 21:30"]),
]  # fmt: skip


@pytest.mark.parametrize(("zone", "at", "day", "cron", "rrule"), NIGHTS, ids=[night[0] for night in NIGHTS])
def test_a_time_that_does_not_exist_runs_once_by_the_documented_rule(
    zone: str, at: str, day: str, cron: list[str], rrule: list[str]
) -> None:
    hour, minute = (int(part) for part in at.split(":"))
    begin = datetime.fromisoformat(f"{day}T12:00+00:00")
    until = begin.replace(day=begin.day + 3).isoformat()
    assert of(f"{minute} {hour} * * *", zone, begin.isoformat(), until) == cron
    assert of("FREQ=DAILY", zone, begin.isoformat(), until, starts=f"2026-01-01T{at}") == rrule


BACK = [
    ("Europe/Berlin", "02:30", "2026-10-23", ["24 00:30", "25 00:30", "26 01:30"]),
    ("America/New_York", "01:30", "2026-10-30", ["31 05:30", "01 05:30", "02 06:30"]),
    ("Australia/Lord_Howe", "01:45", "2026-04-03", ["03 14:45", "04 14:45", "05 15:15"]),
    ("America/Santiago", "23:30", "2026-04-03", ["04 02:30", "05 02:30", "06 03:30"]),
    ("Africa/Cairo", "23:30", "2026-10-28", ["28 20:30", "29 20:30", "30 21:30"]),
]


@pytest.mark.parametrize(("zone", "at", "day", "times"), BACK, ids=[night[0] for night in BACK])
def test_a_time_that_comes_twice_runs_the_first_time_only(zone: str, at: str, day: str, times: list[str]) -> None:
    hour, minute = (int(part) for part in at.split(":"))
    begin = datetime.fromisoformat(f"{day}T12:00+00:00")
    until = datetime.fromtimestamp(begin.timestamp() + 3 * 86400, UTC).isoformat()
    assert of(f"{minute} {hour} * * *", zone, begin.isoformat(), until) == times
    assert of("FREQ=DAILY", zone, begin.isoformat(), until, starts=f"2026-01-01T{at}") == times


def test_a_cron_line_with_a_step_goes_on_by_real_time_through_both_hours() -> None:
    found = of("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:59+00:00", "2026-10-25T02:00+00:00")
    assert found == ["25 00:00", "25 00:30", "25 01:00", "25 01:30", "25 02:00"]


@pytest.mark.parametrize(
    ("rule", "starts", "times"),
    [
        ("0 9 * * 1-5", None, ["02 09:00", "03 09:00", "04 09:00", "05 09:00", "06 09:00", "09 09:00"]),
        ("0 9 * * 1-5", "2026-02-05T00:00", ["05 09:00", "06 09:00", "09 09:00"]),
        ("0 9 5 2 *", "2026-02-05T09:00", ["05 09:00"]),
        ("RRULE:FREQ=WEEKLY;BYDAY=MO,TH", "2026-01-05T14:00", ["02 14:00", "05 14:00", "09 14:00"]),
        ("freq=weekly;interval=2;byday=mo", "2026-01-05T14:00", ["02 14:00"]),
        ("FREQ=DAILY;COUNT=3", "2026-02-01T08:00", ["01 08:00", "02 08:00", "03 08:00"]),
        ("FREQ=DAILY;UNTIL=20260203T080000Z", "2026-02-01T08:00", ["01 08:00", "02 08:00", "03 08:00"]),
        ("FREQ=DAILY;UNTIL=20260202", "2026-02-01T08:00", ["01 08:00", "02 08:00"]),
        ("FREQ=MONTHLY;BYDAY=-1FR", "2026-01-30T10:00", []),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "2026-01-01T10:00", []),
    ],
)
def test_what_a_rule_means(rule: str, starts: str | None, times: list[str]) -> None:
    assert of(rule, "UTC", "2026-01-31T12:00+00:00", "2026-02-10T00:00+00:00", starts) == times


@pytest.mark.parametrize(
    ("rule", "starts", "words"),
    [
        ("every day", None, "neither a cron line"),
        ("* * * * * *", None, "neither a cron line"),
        ("61 9 * * *", None, "is no cron line: Bad minute"),
        ("30 9 30 2 *", None, "is no cron line: Bad day-of-month"),
        ("FREQ=DAILY", None, "give scheduled_at with a date and a time"),
        ("FREQ=SECONDLY", "2026-01-01T00:00", "FREQ is one of HOURLY"),
        ("FREQ=DAILY;BYHOUR=25", "2026-01-01T00:00", "is no RRULE"),
        ("FREQ=DAILY;WHAT=1", "2026-01-01T00:00", "is no RRULE"),
        ("FREQ=DAILY;UNTIL=tomorrow", "2026-01-01T00:00", "is no RRULE"),
        ("FREQ=DAILY;INTERVAL=0", "2026-01-01T00:00", "INTERVAL is a whole number from 1 to 10000"),
        ("FREQ=DAILY;INTERVAL=-1", "2026-01-01T00:00", "INTERVAL is a whole number"),
        ("FREQ=DAILY;COUNT=0", "2026-01-01T00:00", "COUNT is a whole number from 1 to 10000"),
        ("FREQ=HOURLY;COUNT=99999", "2026-01-01T00:00", "COUNT is a whole number"),
        ("FREQ=HOURLY;BYSETPOS=2", "2026-01-01T00:00", "an hour has no BYSETPOS"),
        ("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "2026-01-01T00:00", "its time never comes"),
        ("FREQ=HOURLY;COUNT=5;BYMONTH=2;BYMONTHDAY=30", "2026-01-01T00:00", "its time never comes"),
        ("FREQ=DAILY;INTERVAL=7;BYDAY=TU", "2026-01-05T00:00", "its time never comes"),
    ],
)
def test_what_is_no_rule_is_refused_with_a_sentence(rule: str, starts: str | None, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        recurring.check(rule, wall(starts))


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
@pytest.mark.parametrize("until", ["99991231T235959Z", "99991231T235959", "99991231", "00010101T000000Z"])
def test_an_end_at_the_end_of_time_is_an_end(zone: str, until: str) -> None:
    rule, starts = f"FREQ=DAILY;UNTIL={until}", "2026-01-01T12:00"
    recurring.check(rule, wall(starts))
    found = of(rule, zone, "2026-02-01T00:00+00:00", "2026-02-02T23:00+00:00", starts=starts)
    assert len(found) == (2 if until.startswith("9") else 0)


@pytest.mark.parametrize(
    ("rule", "starts"),
    [
        ("FREQ=HOURLY;INTERVAL=5", "1971-03-04T01:30"),
        ("FREQ=HOURLY;INTERVAL=7;BYDAY=MO,TU;BYMINUTE=0,20", "1999-12-31T23:10"),
        ("FREQ=DAILY;INTERVAL=3", "1980-02-29T06:00"),
        ("FREQ=DAILY;BYMONTH=2,3;BYHOUR=4,9", "2001-01-01T00:00"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO,FR;WKST=SU", "1990-05-18T05:00"),
        ("FREQ=WEEKLY;INTERVAL=3;BYDAY=SU,MO;WKST=MO", "1990-05-20T05:00"),
        ("FREQ=MONTHLY;INTERVAL=2;BYDAY=2WE", "1970-01-14T08:00"),
    ],
)
def test_a_rule_that_began_long_ago_means_the_same_and_is_not_counted_from_there(
    rule: str, starts: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[datetime] = []

    def asked(text: str, *, dtstart: datetime) -> object:
        begun.append(dtstart)
        return rrulestr(text, dtstart=dtstart)

    monkeypatch.setattr(recurring, "rrulestr", asked)
    for begin in ("2026-01-30T00:00+00:00", "2026-02-10T17:31+00:00", "2026-03-01T12:00+00:00"):
        first = datetime.fromisoformat(begin)
        last = first + timedelta(days=60)
        whole = rrulestr(rule, dtstart=datetime.fromisoformat(starts))
        expected = whole.between(first.replace(tzinfo=None), last.replace(tzinfo=None))
        found = recurring.times(rule, ZoneInfo("UTC"), wall(starts), first, last)
        assert [each.replace(tzinfo=None) for each in found] == expected != []
    if "MONTHLY" not in rule:
        assert min(begun) > datetime(2025, 12, 1)
