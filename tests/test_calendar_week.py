"""A week of a real team's calendars, in the shapes three programs export: each occurrence is one task, at its instant."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from blackboard import sources
from blackboard.board import Board
from blackboard.clock import to_text
from blackboard.errors import Invalid
from orchestrator import calendar_reading, ics_events, preflight
from orchestrator.asking import Asking
from orchestrator.calendars import CalendarSource
from orchestrator.config import Settings
from orchestrator.config_agent import AgentConfig
from orchestrator.config_calendars import CalendarConfig
from tests import scenes
from tests.fake_clock import START, FakeClock
from tests.test_asking import says, serving

HERE = Path(__file__).parent / "calendars"
WEEK = datetime(2026, 3, 23, tzinfo=UTC)

# agent, UTC instant, minutes, title: the week from Monday 2026-03-23; on Sunday the clocks of Berlin jump.
GOOGLE = {
    ("ada", "23 08:30", 15, "Stand-up notes"), ("ada", "24 08:30", 15, "Stand-up notes"),
    ("ada", "26 10:00", 15, "Stand-up notes (later today)"),  # Wednesday is taken out, Thursday moved, Friday cancelled
    ("bob", "24 13:00", 90, "Weekly report"), ("eve", "24 23:00", None, "Inventory day"), ("eve", "23 13:00", 30, "Call overseas"),
    ("eve", "28 01:30", 15, "Night shift"), ("eve", "29 01:30", 15, "Night shift"),
}  # fmt: skip
APPLE = {
    ("bob", "23 07:00", 30, "Water the plants"), ("bob", "25 07:00", 30, "Water the plants"), ("bob", "27 07:00", 30, "Water the plants"),
    ("bob", "24 17:00", 30, "Water the plants"), ("ada", "26 06:00", 20, "Morning pages (floating)"),
    ("ada", "23 23:00", None, "On duty"), ("ada", "24 23:00", None, "On duty"), ("ada", "25 23:00", None, "On duty"),
    ("eve", "28 22:30", 240, "Long night"),
}  # fmt: skip
OUTLOOK = {
    ("eve", "25 13:00", 30, "Triage, moved to the afternoon"), ("eve", "29 07:00", 30, "Triage"),
    ("eve", "26 23:00", None, "Quarter closes"), ("bob", "26 23:00", 30, "Hand-over"),
}  # fmt: skip
ALL = {"google": GOOGLE, "apple": APPLE, "outlook": OUTLOOK}


def settings(tmp_path: Path, **calendars: CalendarConfig) -> Settings:
    agents = {name: AgentConfig(argv=("true",)) for name in ("ada", "bob", "eve")}
    return Settings(
        board=tmp_path / "board.sqlite", projects=[{"id": scenes.PROJECT}], agents=agents, calendars=calendars
    )


def calendar(file: Path, **more: object) -> CalendarConfig:
    given = {"agent": "eve", "time_zone": "Europe/Berlin", "attendees": {"Robert.Bob@example.org": "bob"}, **more}
    return CalendarConfig.model_validate({"file": file, **given})


@pytest.fixture
def clock() -> FakeClock:
    clock = FakeClock()
    clock.go_on((WEEK - datetime.fromisoformat(START)).total_seconds() - 43200)  # Sunday noon
    return clock


async def tasks(board: Board) -> list[tuple[str, str, float | None, str]]:
    rows = await board.all(
        "SELECT t.agent_id, t.due_at, s.estimated_duration AS minutes, t.title, t.status FROM tasks t JOIN slots s ON s.id = t.slot_id "
        "WHERE t.status <> 'cancelled' AND t.due_at BETWEEN '2026-03-22T20' AND '2026-03-30' ORDER BY t.id"
    )
    return [
        (row["agent_id"], f"{row['due_at'][8:10]} {row['due_at'][11:16]}", row["minutes"], row["title"]) for row in rows
    ]


@pytest.mark.parametrize("shape", sorted(ALL))
async def test_a_week_in_each_shape_is_a_task_an_occurrence(
    tmp_path: Path, board: Board, clock: FakeClock, shape: str
) -> None:
    config = settings(tmp_path, team=calendar(HERE / f"{shape}.ics"))
    await Asking(board, [CalendarSource("team", config.calendars["team"], board, config)], lambda: None).once()
    found = await tasks(board)
    assert len(found) == len(set(found)) and set(found) == ALL[shape]


async def test_the_whole_team_for_a_week_looked_at_all_the_time_and_restarted(
    tmp_path: Path, board: Board, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def here(text: bytes, **asked: Any) -> ics_events.Found:
        return ics_events.read(text, **asked)

    monkeypatch.setattr(calendar_reading, "read", here)  # sixty processes would take long
    config = settings(tmp_path, **{shape: calendar(HERE / f"{shape}.ics") for shape in ALL})

    def daemon() -> Asking:
        return Asking(
            board, [CalendarSource(name, each, board, config) for name, each in config.calendars.items()], lambda: None
        )

    asking = daemon()
    for turn in range((7 * 24 + 12) // 4):
        await asking.once()
        clock.go_on(4 * 3600)
        if turn % 5 == 0:
            asking = daemon()
    found = await tasks(board)
    assert len(found) == len(GOOGLE) + len(APPLE) + len(OUTLOOK) and set(found) == GOOGLE | APPLE | OUTLOOK
    refused = await board.all("SELECT reason FROM events WHERE verb = 'slot_refused'")
    assert [row["reason"] for row in refused] == [
        "calendar:outlook: event nowhere (Nobody knows when): DTSTART: the zone 'Nowhere/Land' is not known, and the "
        "calendar does not describe it"
    ]


async def test_what_an_event_says_of_the_task_is_on_it(tmp_path: Path, board: Board, clock: FakeClock) -> None:
    config = settings(tmp_path, a=calendar(HERE / "apple.ics"), g=calendar(HERE / "google.ics"))
    sources_ = [CalendarSource(name, each, board, config) for name, each in config.calendars.items()]
    await Asking(board, sources_, lambda: None).once()
    duty = await board.one(
        "SELECT t.*, s.overlap FROM tasks t JOIN slots s ON s.id = t.slot_id WHERE t.title = 'On duty' LIMIT 1"
    )
    report = await board.one("SELECT * FROM tasks WHERE title = 'Weekly report'")
    assert duty is not None and report is not None
    assert (duty["priority"], duty["must_haves"], duty["overlap"]) == (7, "The log is read.", "skip")
    assert report["description"] == "Numbers of last week, with a chart.\nSend it to the team.\n\nWhere: Room 2"
    assert (report["wall_seconds"], duty["series"]) == (5400, "calendar:a ALLDAY-SERIES")


# --- changes ----------------------------------------------------------------------------------------------------------


def ics(*events: str) -> bytes:
    body = "".join(f"BEGIN:VEVENT\nDTSTAMP:20260101T000000Z\n{each}\nEND:VEVENT\n" for each in events)
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\n{body}END:VCALENDAR\n".replace("\n", "\r\n").encode()


def event(uid: str, at: str, more: str = "") -> str:
    return f"UID:{uid}\nDTSTART:{at}\nDURATION:PT30M\nSUMMARY:{uid}{more}"


class Watched:
    """A calendar file that a test writes, and its source."""

    def __init__(self, board: Board, config: Settings, file: Path) -> None:
        self.board, self.file = board, file
        self._asking = Asking(board, [CalendarSource("team", config.calendars["team"], board, config)], lambda: None)

    async def says(self, text: bytes) -> list[tuple[str, str, str]]:
        self.file.write_bytes(text)
        return await self.looked_at()

    async def looked_at(self) -> list[tuple[str, str, str]]:
        await self._asking.once()
        rows = await self.board.all("SELECT title, due_at, status FROM tasks ORDER BY id")
        return [(row["title"], row["due_at"][8:16], row["status"]) for row in rows]

    async def told(self, verb: str) -> list[str]:
        return [
            row["reason"]
            for row in await self.board.all("SELECT reason FROM events WHERE verb = :verb ORDER BY id", verb=verb)
        ]


@pytest.fixture
async def watched(tmp_path: Path, board: Board) -> AsyncIterator[Watched]:
    file = tmp_path / "team.ics"
    yield Watched(board, settings(tmp_path, team=calendar(file)), file)


async def test_a_changed_event_moves_a_cancelled_or_deleted_one_cancels_and_one_begun_goes_on(watched: Watched) -> None:
    first = [event(uid, "20260323T090000Z") for uid in ("moves", "cancelled", "deleted", "begun")]
    assert len(await watched.says(ics(*first))) == 4
    await watched.board.write(lambda tx: scenes.work(tx, 1, "eve"))
    found = await watched.says(
        ics(event("moves", "20260323T110000Z"), event("cancelled", "20260323T090000Z", "\nSTATUS:CANCELLED"))
    )
    assert found == [
        ("begun", "23T09:00", "working"), ("cancelled", "23T09:00", "cancelled"), ("deleted", "23T09:00", "cancelled"),
        ("moves", "23T11:00", "pending"),
    ]  # fmt: skip


async def test_a_broken_calendar_keeps_the_last_good_one_and_says_so(watched: Watched) -> None:
    good = ics(event("a", "20260323T090000Z"))
    before = await watched.says(good)
    for text, words in [
        (good[:-20], "only a part of it arrived"),
        (b"<html>sign in</html>", "holds no BEGIN:VCALENDAR"),
        (b"", "holds no BEGIN:VCALENDAR"),
        (b"BEGIN:VCALENDAR\r\nX\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n", "no iCalendar text"),
    ]:
        assert await watched.says(text) == before
        assert words in (await watched.told("source_failed"))[-1]
    watched.file.unlink()
    assert await watched.looked_at() == before and "cannot be read" in (await watched.told("source_failed"))[-1]
    assert len(await watched.says(ics(event("a", "20260323T090000Z"), event("b", "20260323T100000Z")))) == 2
    assert len(await watched.told("source_back")) == 1


async def test_a_bad_event_is_refused_by_itself(watched: Watched) -> None:
    found = await watched.says(
        ics(
            event("good", "20260323T090000Z"), event("bad", "rubbish"), event("bomb", "20260323T090000Z", "\nRRULE:FREQ=SECONDLY"),
            event("lists", "20260323T090000Z", "\nRRULE:FREQ=DAILY;BYHOUR=1,2,3,4,5;BYMINUTE=" + ",".join(map(str, range(60)))),
            "DTSTART:20260323T090000Z\nSUMMARY:no uid",
            event("loud", "20260323T090000Z", "\nX-BLACKBOARD-PRIORITY:very"),
        )
    )  # fmt: skip
    assert [title for title, _, _ in found] == ["good"]
    told = "\n".join(await watched.told("slot_refused"))
    assert all(word in told for word in ("event bad", "event bomb", "event lists", "no uid", "priority: "))
    assert len(await watched.told("slot_refused")) == 5
    await watched.looked_at()
    assert len(await watched.told("slot_refused")) == 5


@pytest.mark.parametrize(
    ("at", "rule", "words"),
    [
        ("20260323T090000Z", "FREQ=DAILY;INTERVAL=-1", "INTERVAL is a whole number from 1"),
        ("20260323T090000Z", "FREQ=DAILY;INTERVAL=0", "INTERVAL is a whole number from 1"),
        ("20260323T090000Z", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "its time never comes"),
        ("00010101T000000", "FREQ=HOURLY", "its DTSTART 1-01-01 is too far away"),
    ],
)
def test_an_event_whose_next_time_would_be_looked_for_without_end_is_refused(at: str, rule: str, words: str) -> None:
    text = ics(event("bomb", at, f"\nRRULE:{rule}"), event("good", "20260323T090000Z"))
    found = ics_events.read(text, zone=ZoneInfo("UTC"), begin=WEEK, until=WEEK + timedelta(days=2))
    assert [each.uid for each in found.occurrences] == ["good"]
    ((which, why),) = found.refused
    assert which == "event bomb (bomb)" and words in why


async def test_an_event_for_nobody_is_told_once(tmp_path: Path, board: Board, clock: FakeClock) -> None:
    file = tmp_path / "team.ics"
    watched = Watched(board, settings(tmp_path, team=calendar(file, agent=None)), file)
    assert await watched.says(ics(event("lonely", "20260323T090000Z", "\nRRULE:FREQ=DAILY;COUNT=5"))) == []
    clock.go_on(7 * 3600)
    await watched.looked_at()
    (said,) = await watched.told("slot_refused")
    assert said.startswith("calendar:team: event lonely (lonely): it is for no agent")


async def test_what_is_past_is_left_alone_when_the_window_moves(watched: Watched, clock: FakeClock) -> None:
    daily = ics(event("daily", "20260323T090000Z", "\nRRULE:FREQ=DAILY"))
    assert len(await watched.says(daily)) == 35 and (await watched.board.read(sources.listed))[0]["slots"] == 35
    clock.go_on(3 * 86400)
    found = await watched.looked_at()
    assert len(found) == 38 and {status for _, _, status in found} == {"pending"}


def test_a_text_may_hold_several_calendars_and_odd_bytes() -> None:
    text = ics(event("a", "20260323T090000Z")) + ics(event("b", "20260323T100000Z")).replace(b"UID:b", b"UID:b\xff")
    found = ics_events.read(text, zone=ZoneInfo("UTC"), begin=WEEK, until=WEEK + timedelta(days=2))
    assert [each.starts for each in found.occurrences] == [to_text(WEEK + timedelta(hours=hour)) for hour in (9, 10)]


def test_more_than_anyone_works_is_no_calendar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ics_events, "MOST", 100)
    many = ics(event("e", "20260101T000000Z", "\nRRULE:FREQ=HOURLY"))
    with pytest.raises(Invalid, match="more than 100 times"):
        ics_events.read(many, zone=ZoneInfo("UTC"), begin=WEEK, until=WEEK + timedelta(days=36))


# --- from an address --------------------------------------------------------------------------------------------------


class Hub:
    """A calendar at an address: what it says, and what it was asked."""

    def __init__(self) -> None:
        self.text, self.etag, self.status = b"", '"1"', 200
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append({name.lower(): value for name, value in request.headers.items()})
        if request.headers.get("If-None-Match") == self.etag:
            says(304)(request)
        else:
            says(self.status, self.text, ETag=self.etag)(request)


async def test_an_address_is_asked_for_what_is_new_and_time_goes_on_without_it(
    tmp_path: Path, board: Board, clock: FakeClock
) -> None:
    hub, secret = Hub(), tmp_path / "token"
    secret.write_text("s3cret\n")
    hub.text = ics(event("daily", "20260323T090000Z", "\nRRULE:FREQ=DAILY"))
    with serving(hub) as url:
        config = settings(
            tmp_path, team=CalendarConfig(url=f"{url}/team.ics?key=hidden", token_file=secret, agent="ada")
        )

        def daemon() -> Asking:
            return Asking(board, [CalendarSource("team", config.calendars["team"], board, config)], lambda: None)

        async def count(after: float = 0) -> int:
            clock.go_on(after)
            await daemon().once()
            row = await board.one("SELECT count(*) AS n FROM tasks WHERE status = 'pending'")
            assert row is not None
            return int(row["n"])

        assert await count() == 35
        assert await count(100) == 35 and len(hub.asked) == 1
        assert await count(200) == 35 and hub.asked[-1]["if-none-match"] == '"1"'
        assert hub.asked[-1]["authorization"] == "Bearer s3cret"
        assert await count(86400) == 36, "a day later, by an answer that says only 304"
        hub.text, hub.etag = ics(event("once", "20260328T090000Z")), '"2"'
        assert await count(300) == 1
        hub.status, hub.etag, hub.text = 403, '"3"', b"no"
        assert await count(300) == 1
    for _ in range(3):
        assert await count(3600) == 1
    (row,) = await board.read(sources.listed)
    assert row["failures"] == 4 and "gave no answer" in row["error"]
    said = " ".join(each["reason"] or "" for each in await board.all("SELECT reason FROM events"))
    assert "the address or its token is not good" in said and "hidden" not in said and "s3cret" not in said
    assert (tmp_path / "calendars/team.ics").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("tag", ['"d\xe9j\xe0"', '"' + "x" * 30_000 + '"'])
async def test_a_tag_that_cannot_be_sent_back_is_let_go(
    tmp_path: Path, board: Board, clock: FakeClock, tag: str
) -> None:
    hub = Hub()
    hub.text, hub.etag = ics(event("once", "20260328T090000Z")), tag
    with serving(hub) as url:
        config = settings(tmp_path, team=CalendarConfig(url=f"{url}/team.ics", agent="ada"))
        asking = Asking(board, [CalendarSource("team", config.calendars["team"], board, config)], lambda: None)
        await asking.once()
        clock.go_on(300)
        await asking.once()
    (row,) = await board.read(sources.listed)
    assert (row["error"], len(hub.asked)) == (None, 2)
    assert "if-none-match" not in hub.asked[-1]


@pytest.mark.parametrize("text", ["", "\n", "one\ntwo\n", "schlüssel\n"])
async def test_a_token_that_cannot_be_sent_is_told_and_nobody_asked(tmp_path: Path, board: Board, text: str) -> None:
    hub, secret = Hub(), tmp_path / "token"
    secret.write_text(text)
    with serving(hub) as url:
        config = settings(tmp_path, team=CalendarConfig(url=f"{url}/team.ics", token_file=secret, agent="ada"))
        await Asking(board, [CalendarSource("team", config.calendars["team"], board, config)], lambda: None).once()
    (row,) = await board.read(sources.listed)
    assert f"{secret} holds no token" in row["error"] and hub.asked == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "a calendar is a file or a url"),
        ({"file": "a.ics", "url": "http://h/"}, "a calendar is a file or a url"),
        ({"url": "ftp://h/a.ics"}, "url begins with"),
        ({"file": "a.ics", "token_file": "t"}, "token_file is for a calendar with a url"),
        ({"file": "a.ics", "time_zone": "Mars/Base"}, "no IANA time zone"),
        ({"file": "a.ics", "all_day_at": "9"}, "all_day_at"),
        ({"file": "a.ics", "agent": "zoe"}, "names the agent 'zoe', which is not in agents"),
        ({"file": "a.ics", "attendees": {"z@h": "zoe"}}, "names the agent 'zoe'"),
        ({"file": "a.ics", "project": "moon"}, "names the project 'moon'"),
    ],
)
def test_a_wrong_calendar_has_a_sentence(tmp_path: Path, given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings(tmp_path, team=given)  # type: ignore[arg-type]


@pytest.mark.parametrize("kept", ["a-secret\nof two lines", "a-secret-ä", "a-secret\0x", ""])
async def test_a_token_that_is_none_is_told_without_its_words(
    tmp_path: Path, board: Board, caplog: pytest.LogCaptureFixture, kept: str
) -> None:
    (tmp_path / "token").write_text(kept)
    with serving(says(200)) as url:
        config = CalendarConfig(url=url, token_file=tmp_path / "token", agent="eve")
        await Watched(board, settings(tmp_path, team=config), tmp_path / "team.ics").looked_at()
    (row,) = await board.all("SELECT reason FROM events WHERE verb = 'source_failed'")
    said = row["reason"]
    assert f"{tmp_path / 'token'} holds no token: one line of plain text" in said
    assert "a-secret" not in said + caplog.text


def test_webcal_is_https() -> None:
    assert CalendarConfig(url="webcal://h/a.ics").url == "https://h/a.ics"


def test_check_says_what_a_calendar_plans_or_what_is_wrong_with_it(tmp_path: Path) -> None:
    soon = f"{datetime.now(UTC) + timedelta(days=1):%Y%m%dT%H%M%SZ}"
    (tmp_path / "good.ics").write_bytes(ics(event("a", soon), event("lonely", "rubbish")))
    (tmp_path / "bad.ics").write_bytes(b"hello")
    config = settings(tmp_path, good=calendar(tmp_path / "good.ics"), bad=calendar(tmp_path / "bad.ics"))
    found = {
        (each.what, each.level): each.sentence for each in preflight.all_findings(config) if "calendar" in each.what
    }
    assert found["calendar good", "ok"] == "1 planned in the next 7 days"
    assert "event lonely" in found["calendar good", "warn"]
    assert "holds no BEGIN:VCALENDAR" in found["calendar bad", "fail"]
