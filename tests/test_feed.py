"""The calendar feed: what happened and what is planned, each under one name from the plan to the end, in sound iCalendar."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from blackboard import feed, feed_coming, feed_text, repeating, slots, tokens, verbs
from blackboard.board import Board, Tx
from blackboard.errors import NotFound
from blackboard.policy import Policies
from blackboard.slots import Schedule
from tests import scenes
from tests.fake_clock import FakeClock
from tests.feed_reading import events_of, short, sound, text_of

MINUTE = 60.0


async def take(board: Board, *records: dict[str, Any], agent: str = "ada", source: str = "file:a.toml") -> None:
    schedule = Schedule(source, [(agent, record) for record in records], scenes.PROJECT, complete=True)
    await board.write(slots.take_in, schedule, Policies())


def once(number: int, at: str, minutes: float | None = 45, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "scheduled_at": at,
        "estimated_duration": minutes,
        "event_data": {"title": f"T{number}"},
        **more,
    }


# --- from the plan to what happened -------------------------------------------------------------------------------------


async def test_a_planned_event_turns_into_what_happened_under_the_same_name(board: Board, clock: FakeClock) -> None:
    await take(board, once(1, "2026-01-31T10:00:00Z"))
    (uid,) = planned = await events_of(board)
    assert uid == "slot-1-once"
    assert short(planned, "at", "until", "title", "is", "word") == {
        uid: ("31 10:00:00", "31 10:45:00", "T1", "TENTATIVE", "not_started")
    }
    clock.go_on(62 * MINUTE)
    await board.write(scenes.work, 1)
    assert short(await events_of(board), "at", "until", "title", "is", "word") == {
        uid: ("31 10:02:00", "31 10:47:00", "working: T1", "CONFIRMED", "ongoing")
    }
    clock.go_on(20 * MINUTE)
    await board.write(lambda tx: verbs.submit(tx, scenes.latest(tx, 1), actor="executor:ada", detail="made it"))
    await board.write(scenes.see_off, 1)
    clock.go_on(MINUTE)
    await board.write(lambda tx: verbs.approve(tx, 1, actor="person:root"))
    done = await events_of(board)
    assert short(done, "at", "until", "title", "is", "word") == {
        uid: ("31 10:02:00", "31 10:22:00", "done: T1", "CONFIRMED", "finished")
    }
    assert "Attempt 1 by ada, 2026-01-31 10:02 to 2026-01-31 10:22 UTC: submitted: made it" in done[uid]["said"]
    assert done[uid]["sequence"] > planned[uid]["sequence"] and done[uid]["uid"] == planned[uid]["uid"]
    assert planned[uid]["raw"]["DTSTAMP"].dt < done[uid]["raw"]["DTSTAMP"].dt


async def test_each_try_is_an_event_and_the_next_one_has_the_name(board: Board, clock: FakeClock) -> None:
    task = await board.write(lambda tx: scenes.post(tx, title="forge"))
    attempt = await board.write(scenes.work, task)
    clock.go_on(10 * MINUTE)
    await board.write(lambda tx: verbs.end_badly(tx, attempt, "crashed", actor="engine:monitor", detail="exit 1"))
    await board.write(scenes.see_off, task)
    found = await events_of(board)
    assert short(found, "until", "title", "is", "word") == {
        "attempt-1": ("31 09:10:00", "attempt 1, crashed: forge", "CONFIRMED", "finished"),
        "task-1": (None, "forge", "TENTATIVE", "deferred"),
    }
    assert found["attempt-1"]["at"] == "31 09:00:00" and found["task-1"]["at"] > "31 09:10:00"
    assert "waits for another try: crashed: exit 1" in found["task-1"]["said"]
    clock.go_on(MINUTE)
    await board.write(scenes.submit, task)
    await board.write(scenes.claim_review, task)
    found = await events_of(board)
    assert short(found, "agent", "title") == {
        "attempt-1": ("ada", "attempt 1, crashed: forge"), "task-1": ("ada", "in review: forge"),
        "attempt-3": ("eve", "review, running: forge"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "title", "standing", "word"),
    [
        ("pending", "nail", "TENTATIVE", "not_started"), ("claimed", "working: nail", "CONFIRMED", "ongoing"),
        ("working", "working: nail", "CONFIRMED", "ongoing"), ("review", "in review: nail", "CONFIRMED", "ongoing"),
        ("done", "done: nail", "CONFIRMED", "finished"), ("failed", "failed: nail", "CONFIRMED", "aborted"),
        ("blocked", "blocked: nail", "CONFIRMED", "paused"), ("cancelled", "cancelled: nail", "CONFIRMED", "aborted"),
    ],
)  # fmt: skip
async def test_every_status_has_its_word(board: Board, status: str, title: str, standing: str, word: str) -> None:
    await board.write(scenes.post_at, status)
    assert short(await events_of(board), "title", "is", "word") == {"task-1": (title, standing, word)}


async def test_a_reason_is_told(board: Board) -> None:
    await board.write(scenes.post_at, "blocked")
    await board.write(scenes.post_at, "failed")
    found = await events_of(board)
    assert found["task-1"]["said"].startswith("blocked: how long?\n")
    assert found["task-2"]["said"].startswith("failed: broke\n")


async def test_what_was_cancelled_before_it_began_or_left_its_source_is_cancelled(board: Board) -> None:
    await take(board, once(1, "2026-01-31T10:00:00Z"), once(2, "2026-01-31T11:00:00Z"), once(3, "2026-01-31T12:00:00Z"))
    before = await events_of(board)
    await take(board, once(2, "2026-01-31T11:00:00Z", status="skipped"), once(3, "2026-01-31T14:00:00Z"))
    after = await events_of(board)
    assert short(after, "at", "is", "word") == {
        "slot-1-once": ("31 10:00:00", "CANCELLED", "skipped"), "slot-2-once": ("31 11:00:00", "CANCELLED", "skipped"),
        "slot-3-once": ("31 14:00:00", "TENTATIVE", "not_started"),
    }  # fmt: skip
    assert all(after[uid]["sequence"] > before[uid]["sequence"] for uid in before)


# --- what is to come ----------------------------------------------------------------------------------------------------


async def test_what_repeats_is_told_ahead_and_keeps_its_name_when_it_gets_its_task(
    board: Board, clock: FakeClock
) -> None:
    await take(
        board,
        {
            "id": 1,
            "repeat": "0 8 * * *",
            "estimated_duration": 30,
            "event_data": {"title": "Daily", "description": "look"},
        },
    )
    first = await events_of(board)
    assert len(first) == feed.AHEAD_DAYS - 1  # today's has passed
    assert {(each["title"], each["word"], each["at"][3:], each["until"][3:]) for each in first.values()} == {
        ("Daily", "not_started", "08:00:00", "08:30:00")
    }
    clock.go_on(24 * 3600)
    await board.write(repeating.go_on, Policies())
    assert (await board.all("SELECT count(*) AS n FROM tasks"))[0]["n"] == 2
    second = await events_of(board)
    assert set(first) < set(second) and len(second) == len(first) + 1  # the window has moved on by a day
    assert short(second, "at", "until", "title", "said").items() >= short(first, "at", "until", "title", "said").items()


async def test_the_hh_mm_of_a_slot_file_comes_every_day(board: Board, clock: FakeClock) -> None:
    await take(board, once(1, "10:00"))
    first = await events_of(board)
    assert len(first) == feed.AHEAD_DAYS and first["slot-1-20260203"]["at"] == "03 10:00:00"
    clock.go_on(86400)
    await take(board, once(1, "10:00"))
    second = await events_of(board)
    assert set(first) < set(second) and second["slot-1-20260201"]["word"] == "not_started"


async def test_a_time_whose_task_was_moved_far_away_is_not_told_as_if_it_had_none(board: Board) -> None:
    await take(board, once(1, "10:00"))
    before = await events_of(board)
    await board.write(lambda tx: tx.run("UPDATE tasks SET due_at = '2026-05-01T10:00:00.000Z'"))
    assert set(before) - set(await events_of(board)) == {"slot-1-20260131"}


async def test_a_rule_for_every_minute_does_not_fill_the_feed(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_coming, "MOST", 7)
    await take(board, {"id": 1, "repeat": "*/5 * * * *"})
    posted = (await board.all("SELECT count(*) AS n FROM tasks"))[0]["n"]
    text = await text_of(board)
    assert len(sound(text)) == posted + 7 and b"X-WR-CALDESC:There is more" in text


# --- whose ----------------------------------------------------------------------------------------------------------------


async def test_an_agents_feed_has_what_it_did_and_is_to_do(board: Board) -> None:
    def story(tx: Tx) -> None:
        scenes.post(tx, title="ada's")
        scenes.post(tx, title="bob's", agent="bob")
        role = scenes.post(tx, title="a smith's", role="smith")
        tx.run("UPDATE tasks SET ready = 1 WHERE id = :id", id=role)
        scenes.submit(tx, role, "bob")
        scenes.claim_review(tx, role, "eve")
        scenes.post(tx, title="any smith's", role="smith")

    await board.write(story)
    assert {who: sorted(each["title"] for each in (await events_of(board, who)).values()) for who in (None, "ada", "bob", "eve")} == {
        None: ["ada's", "any smith's", "bob's", "in review: a smith's", "review, running: a smith's"],
        "ada": ["ada's"], "bob": ["bob's", "in review: a smith's"], "eve": ["review, running: a smith's"],
    }  # fmt: skip
    with pytest.raises(NotFound, match="orchestrator agents"):
        await events_of(board, "mallory")


# --- bounds, sameness, secrets -------------------------------------------------------------------------------------------


async def test_it_is_the_same_all_day_until_something_changes(board: Board, clock: FakeClock) -> None:
    await take(board, once(1, "10:00"), {"id": 2, "repeat": "0 8 * * 1-5"})
    await board.write(scenes.post_at, "working")
    first, seen = await text_of(board), await board.read(feed.seen)
    clock.go_on(13 * 3600)
    assert await text_of(board) == first and await board.read(feed.seen) == seen
    await board.write(lambda tx: tx.run("UPDATE tasks SET due_at = '2026-02-02T09:00:00.000Z' WHERE slot_id = 1"))
    assert await text_of(board) != first and await board.read(feed.seen) != seen


async def test_it_is_bounded_and_says_so(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST", 5)
    await take(board, *(once(day, f"2026-02-{day:02d}T10:00:00Z") for day in range(1, 9)))
    text = await text_of(board)
    assert sorted(sound(text)) == [f"slot-{day}-once" for day in range(1, 6)]
    assert b"X-WR-CALDESC:There is more" in text
    monkeypatch.setattr(feed, "MOST", 8)
    assert b"X-WR-CALDESC" not in await text_of(board)


async def test_what_is_too_long_ago_or_too_far_ahead_is_left_out(board: Board) -> None:
    days = {1: "2025-12-31T10:00:00Z", 2: "2026-01-02T10:00:00Z", 3: "2026-03-07T10:00:00Z", 4: "2026-03-08T10:00:00Z"}
    await take(board, *(once(number, at) for number, at in days.items()))
    for _ in "ab":
        far = await board.write(lambda tx: scenes.post(tx, due_at="2026-05-01T10:00:00.000Z"))
    await board.write(lambda tx: tx.run("UPDATE tasks SET status = 'blocked' WHERE id = :id", id=far))
    assert sorted(await events_of(board)) == ["slot-2-once", "slot-3-once"]


async def test_no_token_and_no_control_character_goes_out(board: Board) -> None:
    secret = tokens.mint()

    def story(tx: Tx) -> None:
        task = scenes.post(tx, title=f"use {secret}\x1b[1m\x07", description=f"it is {secret}\x00".replace("\x00", ""))
        verbs.block(tx, scenes.work(tx, task), actor="executor:ada", kind="needs_input", question=f"what is {secret}?")
        scenes.post(tx, title=f"plan {secret}", description=f"x {secret}")

    await board.write(story)
    text = await text_of(board)
    assert secret[4:12].encode() not in text.replace(b"\r\n ", b"") and b"bbt_***" in text.replace(b"\r\n ", b"")
    assert not any(byte < 32 and byte not in (10, 13) for byte in text)


async def test_what_was_shorter_than_a_second_ends_after_it_began(board: Board, clock: FakeClock) -> None:
    task = await board.write(scenes.post)
    clock.go_on(0.2)
    await board.write(scenes.work, task)
    clock.go_on(0.3)
    await board.write(lambda tx: verbs.cancel(tx, task, actor="person:root"))
    await board.write(scenes.see_off, task)
    assert short(await events_of(board), "at", "until") == {"task-1": ("31 09:00:00", "31 09:00:01")}


async def test_any_text_makes_a_sound_feed(board: Board, clock: FakeClock) -> None:
    chance = random.Random(5)
    letters = 'an;,:\\"\n\t é🎉\u202e\u2028='  # no capital N: the library takes one behind a backslash for a line's end

    def story(tx: Tx) -> None:
        for status in scenes.STATES * 12:
            words = ["".join(chance.choices(letters, k=chance.randrange(1, 120))) for _ in range(2)]
            scenes.post_at(tx, status, title=words[0].strip() or "x", description=words[1])

    await board.write(story)
    rows = await board.all("SELECT id, title FROM tasks")
    found = await events_of(board)
    assert len(found) == len(rows) == 96
    assert [row["title"] for row in rows if not found[f"task-{row['id']}"]["title"].endswith(row["title"])] == []


async def test_the_name_of_a_board_is_not_what_marks_its_processes(board: Board) -> None:
    await board.write(scenes.post)
    assert board.board_id.encode() not in await text_of(board)


def test_the_whole_of_it_is_written_quickly_again(tmp_path: Path) -> None:
    """Of a thousand events the second time nothing is made anew."""
    entry = feed.Entry(
        "a@b", "2026-01-31T09:00:00.000Z", None, "t", "", "CONFIRMED", None, "2026-01-31T09:00:00.000Z", 0, ()
    )
    feed_text._event.cache_clear()
    found = feed.Found((entry,) * 1000, False, "b", "")
    feed_text.rendered(found)
    assert (feed_text._event.cache_info().misses, feed_text._event.cache_info().hits) == (1, 999)


def test_the_boards_an_event_came_through_are_their_marks_and_nothing_else() -> None:
    ours, former = "0123456789abcdef", "fedcba9876543210"
    assert feed_text.boards(f"slot-1-once@{ours}.blackboard", [former, "x" * 9999, ""]) == {ours, former}
    assert feed_text.boards(f"{ours}@example.org", []) == feed_text.boards("", []) == frozenset()
