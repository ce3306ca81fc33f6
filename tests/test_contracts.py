"""What a slot promises is kept, and every decision says why: what repeats, what is missed, what overlaps, what ends."""

from __future__ import annotations

from typing import Any

import pytest

from blackboard import claims, contracts, explaining, planned, recurring, repeating, slots, tokens, verbs
from blackboard.board import Board, Tx
from blackboard.clock import from_text, plus
from blackboard.gates import Room
from blackboard.policy import Policies
from orchestrator.verdict import slot_end
from tests import scenes
from tests.fake_clock import START, FakeClock

HOUR, DAY = 3600.0, 86400.0


async def take(board: Board, *records: dict[str, Any], complete: bool = True) -> slots.Taken:
    schedule = slots.Schedule("file:plan", [("ada", each) for each in records], scenes.PROJECT, complete=complete)
    return await board.write(slots.take_in, schedule, Policies())


def every(rule: str, number: int = 1, **more: Any) -> dict[str, Any]:
    return {"id": number, "repeat": rule, "event_data": {"review": "auto", "title": rule}, **more}


def at(hours: float, number: int, **more: Any) -> dict[str, Any]:
    return {"id": number, "scheduled_at": plus(START, hours * HOUR), **more}


async def times(board: Board, status: str = "pending") -> list[str]:
    """When tasks of a status are due, in hours from the start."""
    rows = await board.all("SELECT due_at FROM tasks WHERE status = :status ORDER BY due_at, id", status=status)
    return [f"{(from_text(row['due_at']) - from_text(START)).total_seconds() / 3600:g}" for row in rows]


async def reasons(board: Board, verb: str = "cancel") -> list[str]:
    rows = await board.all("SELECT reason FROM events WHERE verb = :verb ORDER BY id", verb=verb)
    return [row["reason"] for row in rows]


async def goes_on(board: Board, clock: FakeClock, hours: float) -> None:
    """Let time pass as it does under a daemon that ticks each quarter of an hour."""
    for _ in range(int(hours * 4)):
        clock.go_on(HOUR / 4)
        if await board.read(repeating.ending, board.clock.now()):
            await board.write(repeating.go_on, Policies())
        if await board.read(contracts.broken, board.clock.now()):
            await board.write(contracts.keep)
        await board.write(contracts.alive)


async def comes_back(board: Board, clock: FakeClock, hours: float, most: int = 99) -> None:
    """An outage, and what the next start decides."""
    await board.write(contracts.alive)
    clock.go_on(hours * HOUR)
    await board.write(repeating.go_on, Policies())
    await board.write(contracts.after_outage, most)
    await board.write(contracts.keep)


def begin(tx: Tx) -> None:
    """Claim and start what is claimable for ada."""
    for attempt in claims.claim_due(tx, [tokens.digest(f"bbt_{tx.now}{n}") for n in range(9)], Room(99)):
        verbs.start(tx, tx.one("SELECT * FROM attempts WHERE id = :id", id=attempt), actor="executor:ada")  # type: ignore[arg-type]


def finish(tx: Tx) -> None:
    tx.run("UPDATE tasks SET needs_output = 0")
    for row in tx.all("SELECT id FROM tasks WHERE status = 'working'"):
        verbs.submit(tx, scenes.latest(tx, row["id"]), actor="executor:ada")
        scenes.see_off(tx, row["id"])


# --- what repeats -----------------------------------------------------------------------------------------------------


async def test_a_rule_is_a_day_ahead_on_the_board_and_goes_on(board: Board, clock: FakeClock) -> None:
    await take(board, every("0 */6 * * *", missed="run_all"))
    assert await times(board) == ["3", "9", "15", "21"]  # it is nine o'clock
    await take(board, every("0 */6 * * *", missed="run_all"))
    assert await times(board) == ["3", "9", "15", "21"]
    await goes_on(board, clock, 72)
    rows = await board.all("SELECT due_at, occurrence FROM tasks ORDER BY due_at")
    assert len(rows) in (14, 15, 16) and len({row["due_at"] for row in rows}) == len(rows)
    assert all(row["occurrence"] == row["due_at"] for row in rows)


async def test_a_changed_rule_takes_back_what_nobody_has_begun_and_posts_anew(board: Board, clock: FakeClock) -> None:
    await take(board, every("0 */6 * * *"))
    clock.go_on(3 * HOUR)
    await board.write(begin)
    await take(board, every("0 */8 * * *"))
    assert await times(board, "working") == ["3"]
    assert await times(board, "cancelled") == ["9", "21"]
    assert await times(board) == ["7", "15", "23"]  # 15 was planned by both
    assert await reasons(board) == ["its slot is 0 */8 * * * now"] * 2


async def test_a_slot_that_left_or_rests_posts_nothing_more(board: Board, clock: FakeClock) -> None:
    await take(board, every("0 */6 * * *"), every("0 1 * * *", 2))
    await take(board, every("0 */6 * * *", status="paused"))
    assert await times(board, "cancelled") == ["16"]
    await goes_on(board, clock, 48)
    assert len(await times(board)) == 4
    await take(board, every("0 */6 * * *"))
    assert len(await times(board)) > 4


async def test_the_next_five_times_are_told_however_far(board: Board) -> None:
    await take(board, every("0 9 29 2 *", 1), every("0 10 * * *", 2), {"id": 3, "scheduled_at": "08:30"})
    leap, daily, wall = await board.read(planned.planned, START)
    assert leap["times"][0] == "2028-02-29T09:00:00.000Z" and len(leap["times"]) >= 1
    assert daily["times"] == [plus(START, HOUR + day * DAY) for day in range(5)] and daily["next"] == daily["times"][0]
    assert wall["times"] == [plus(START, -HOUR / 2 + day * DAY) for day in range(5)]


# --- what is missed ---------------------------------------------------------------------------------------------------

OUTAGES = [
    # missed, missed_within, which of the hourly times of a ten hours' outage are made up for
    ("run_once", None, ["10"]),
    ("run_all", None, [str(hour) for hour in range(1, 11)]),
    ("skip", None, ["10"]),  # just now: not late yet
    ("run_all", 2.5 * HOUR, ["8", "9", "10"]),
    ("run_once", 60.0, ["10"]),
]


@pytest.mark.parametrize(("missed", "within", "made_up"), OUTAGES)
async def test_an_outage_is_made_up_for_as_the_slot_says(
    board: Board, clock: FakeClock, missed: str, within: float | None, made_up: list[str]
) -> None:
    await take(board, every("0 * * * *", missed=missed, missed_within=within))
    await comes_back(board, clock, 10)
    due = [each for each in await times(board) if float(each) <= 10]
    assert due == made_up
    assert len(await reasons(board)) == 10 - len(made_up) and all("missed" in each for each in await reasons(board))


@pytest.mark.parametrize(("missed", "made_up"), [("run_once", 1), ("run_all", 72), ("skip", 1)])
async def test_times_that_were_not_even_posted_are_decided_on_too(
    board: Board, clock: FakeClock, missed: str, made_up: int
) -> None:
    """Three days: a day of it was on the board, two were not."""
    await take(board, every("0 * * * *", missed=missed))
    await comes_back(board, clock, 72)
    assert len([each for each in await times(board) if float(each) <= 72]) == made_up
    passed = await board.all("SELECT data FROM events WHERE verb = 'slot_missed'")
    assert len(passed) == (0 if missed == "run_all" else 1)


async def test_after_an_outage_of_more_times_than_are_looked_at_the_slot_goes_on(
    board: Board, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurring, "MOST", 150)  # a day of this rule has 96
    await take(board, every("*/15 * * * *", missed="run_all"))
    clock.go_on(30 * DAY)

    posted = await board.write(repeating.go_on, Policies())

    late = [each for each in await times(board) if float(each) > 24]
    assert len(late) == len(posted) == repeating.MOST_MADE_UP + 96
    assert [late[0], late[-1]] == ["695.25", "744"]  # the newest of what was missed, and all of the next day
    (said,) = await reasons(board, "slot_missed")
    assert "more than " in said and "2026-02-01T09:15:00.000Z to 2026-03-01T08:00:00.000Z" in said


async def test_a_day_of_more_times_than_are_looked_at_is_posted_one_part_after_the_other(
    board: Board, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recurring, "MOST", 30)
    await take(board, every("*/15 * * * *", missed="run_all"))
    while await board.read(repeating.ending, clock.now()):
        await board.write(repeating.go_on, Policies())
    assert len(await times(board)) >= 48
    await goes_on(board, clock, 24)
    assert [each for each in await times(board) if float(each) <= 24] == [f"{n / 4:g}" for n in range(1, 97)]


async def test_a_clock_that_was_ahead_and_was_set_back_stops_no_rule(board: Board, clock: FakeClock) -> None:
    clock.jump_to("2036-01-31T09:00:00.000Z")
    await take(board, every("0 * * * *"))
    clock.jump_to(START)

    assert await board.read(repeating.ending, clock.now())
    await board.write(repeating.go_on, Policies())

    assert (await times(board))[:24] == [str(hour) for hour in range(1, 25)]
    assert not await board.read(repeating.ending, clock.now())


async def test_at_most_so_many_of_all_are_made_up_for_and_the_newest(board: Board, clock: FakeClock) -> None:
    """A day of a whole team does not begin at once."""
    await take(board, *(at(number / 10, number, missed="run_all") for number in range(1, 31)))
    await comes_back(board, clock, 12, most=5)
    assert await times(board) == ["2.6", "2.7", "2.8", "2.9", "3"]
    assert set(await reasons(board)) == {
        f"missed in an outage: at most 5 are made up for (slots.catch_up); the orchestrator was away since {START}"
    }


async def test_what_was_due_before_the_outage_or_begun_is_left_alone(board: Board, clock: FakeClock) -> None:
    await take(board, at(1, 1), at(2, 2))
    clock.go_on(HOUR)
    await board.write(begin)
    clock.go_on(HOUR)
    await comes_back(board, clock, 5, most=0)
    assert (await times(board, "working"), await times(board)) == (["1"], ["2"])


async def test_a_first_start_has_no_outage(board: Board) -> None:
    await take(board, at(-5, 1))
    assert await board.write(contracts.after_outage, 0) == 0


# --- gates: the very instant -------------------------------------------------------------------------------------------


def claimed(tx: Tx) -> int:
    return len(claims.claim_due(tx, [tokens.digest(f"bbt_{tx.now}")], Room(99)))


@pytest.mark.parametrize(
    ("promise", "last", "says"),
    [
        ({"missed": "skip"}, 300, "it was to begin by"),
        ({"missed": "skip", "missed_within": 60}, 60, "it was to begin by"),
        ({"missed_within": 60}, 60, "it was to begin by"),
        ({"deadline": "start", "estimated_duration": 10}, 600, "it was to begin by"),
        ({"deadline": "end", "estimated_duration": 10}, 600, "its slot has ended"),
    ],
)
async def test_what_is_late_is_not_claimed_not_even_before_it_is_swept(
    board: Board, clock: FakeClock, promise: dict[str, Any], last: float, says: str
) -> None:
    await take(board, at(1, 1, **promise))
    clock.go_on(HOUR + last)
    assert not await board.write(claimed)
    told = await board.read(explaining.why, 1, board.clock.now(), Room(9))
    assert says in told["sentence"] and not told["claimable"]
    assert await board.read(contracts.broken, board.clock.now())
    await board.write(contracts.keep)
    assert await times(board, "cancelled") == ["1"]
    assert not await board.read(contracts.broken, board.clock.now())


async def test_what_is_just_in_time_is_claimed_and_may_be_tried_again_later(board: Board, clock: FakeClock) -> None:
    await take(board, at(1, 1, missed="skip", event_data={"backoff_seconds": 600}))
    clock.go_on(HOUR + 299)
    await board.write(begin)
    attempt = (await board.all("SELECT * FROM attempts"))[0]
    await board.write(lambda tx: verbs.end_badly(tx, attempt, "crashed", actor="engine:monitor"))
    await board.write(lambda tx: scenes.see_off(tx, 1))
    clock.go_on(HOUR)
    assert not await board.read(contracts.broken, board.clock.now())
    assert await board.write(claimed) == 1


async def test_a_try_after_the_slots_end_is_taken_off(board: Board, clock: FakeClock) -> None:
    await take(board, at(1, 1, deadline="end", estimated_duration=60, event_data={"backoff_seconds": 0}))
    clock.go_on(HOUR)
    await board.write(begin)
    clock.go_on(HOUR)
    attempt = (await board.all("SELECT * FROM attempts"))[0]
    await board.write(lambda tx: verbs.end_badly(tx, attempt, "timed_out", actor="engine:monitor"))
    await board.write(contracts.keep)
    assert await reasons(board) == [f"its slot has ended: it was to be finished by {plus(START, 2 * HOUR)}"]


def test_what_runs_at_the_slots_end_has_a_limit_there() -> None:
    attempt = {"end_by": plus(START, 100), "role": "executor", "spawned_boot": 40.0}
    (limit,) = slot_end(attempt, START, 50.0)  # type: ignore[arg-type]
    assert (limit.at, limit.outcome) == (150.0, "timed_out") and "its slot, which ends" in limit.sentence
    assert slot_end(attempt | {"end_by": None}, START, 50.0) == []  # type: ignore[arg-type]
    assert slot_end(attempt | {"role": "reviewer"}, START, 50.0) == []  # type: ignore[arg-type]


# --- what overlaps ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overlap", "working", "pending", "cancelled", "says"),
    [
        ("queue", ["1"], ["2"], [], None),
        ("skip", ["1"], [], ["2"], f"skipped: task 1, due {plus(START, HOUR)}, is still working (overlap = skip)"),
        ("replace", [], ["2"], ["1"], f"replaced by task 2, due {plus(START, 2 * HOUR)} (overlap = replace)"),
    ],
)
async def test_the_next_time_comes_while_the_one_before_runs(
    board: Board, clock: FakeClock, overlap: str, working: list[str], pending: list[str], cancelled: list[str], says: str | None
) -> None:  # fmt: skip
    await take(board, every("0 10,11 * * *", overlap=overlap))
    clock.go_on(HOUR)
    await board.write(begin)
    clock.go_on(HOUR - 1)
    assert not await board.read(contracts.broken, board.clock.now())
    clock.go_on(1)
    told = await board.read(explaining.why, 2, board.clock.now(), Room(9))
    assert "the one before it of the same slot is not finished" in told["sentence"]
    assert not await board.write(claimed)
    await board.write(contracts.keep)
    found = [await times(board, status) for status in ("working", "pending", "cancelled")]
    assert found == [working, pending, cancelled] and await reasons(board) == ([says] if says else [])
    if overlap == "queue":
        await board.write(finish)
        assert await board.write(claimed) == 1
    if overlap == "replace":
        await board.write(lambda tx: scenes.see_off(tx, 1))
        assert await board.write(claimed) == 1


@pytest.mark.parametrize("overlap", ["queue", "skip", "replace"])
async def test_slots_of_one_series_are_one_after_the_other(board: Board, clock: FakeClock, overlap: str) -> None:
    """An event of a calendar that was expanded by its source: a slot each."""
    await take(
        board, at(1, 1, series="standup", overlap=overlap), at(2, 2, series="standup", overlap=overlap), at(2, 3)
    )
    clock.go_on(HOUR)
    await board.write(begin)
    clock.go_on(HOUR)
    await board.write(contracts.keep)
    await board.write(begin)
    rows = await board.all("SELECT status FROM tasks ORDER BY id")
    second = {"queue": ["working", "pending"], "skip": ["working", "cancelled"], "replace": ["cancelled", "working"]}
    assert [row["status"] for row in rows] == [*second[overlap], "working"]


# --- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"id": 7, "repeat": "now and then"}, "neither a cron line"),
        ({"id": 7, "repeat": "FREQ=DAILY", "scheduled_at": "09:00"}, "is its first time: write a date and a time"),
        ({"id": 7, "repeat": "FREQ=DAILY", "scheduled_at": "2026-01-01T09:00Z"}, "without an offset"),
        ({"id": 7, "scheduled_at": "09:00", "deadline": "end"}, "needs estimated_duration"),
        ({"id": 7, "scheduled_at": "09:00", "missed": "always"}, "missed: "),
        ({"id": 7, "scheduled_at": "09:00", "overlap": "never"}, "overlap: "),
        ({"id": 7, "scheduled_at": "09:00", "missed_within": 0}, "missed_within: "),
        ({"id": 7}, "scheduled_at: Field required"),
    ],
)
async def test_a_promise_that_cannot_be_kept_is_refused(board: Board, record: dict[str, Any], words: str) -> None:
    taken = await take(board, record)
    ((_, sentence),) = taken.refused
    assert words in sentence


async def test_a_slot_that_repeats_begins_in_an_age_that_can_be_counted(board: Board) -> None:
    for year in ("0001", "1899", "9999"):
        taken = await take(board, every("0 9 * * *", scheduled_at=f"{year}-12-31T23:59"))
        assert "begins from 1900 on" in taken.refused[0][1]


async def test_the_questions_of_each_tick_read_only_what_they_must(board: Board) -> None:
    """No question walks through tasks that are over, however many there are."""
    for question in (
        contracts.MISSED,
        contracts.OVERLAPPING,
        contracts.BEFORE,
        repeating.ENDING,
    ):
        given = {
            name: START for name in ("now", "until", "beyond", "since", "due_at", "series") if f":{name}" in question
        }
        plan = [row["detail"] for row in await board.all(f"EXPLAIN QUERY PLAN {question}", **given)]
        assert not any(
            step.startswith("SCAN") and "slots_not_queued" not in step and "MERGE" not in step for step in plan
        ), plan
