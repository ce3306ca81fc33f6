"""What a calendar program is told: what happened on the board, and what is planned, as entries with names that stay.

One entry a task, or a time that has no task yet, under one uid from the plan to the end; and one for each other attempt
that ran. Bounded in time and in number. What it looks like as iCalendar is blackboard/feed_text.py. Only reads.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal, NamedTuple

from blackboard import agenda, agents, feed_coming, feed_story
from blackboard.agenda import Word
from blackboard.board import Rows
from blackboard.clock import from_text, plus, seconds_between, to_text

BACK_DAYS, AHEAD_DAYS = 30, 36  # whole days; a calendar that reads it looks 35 days ahead
MOST = 2_000  # entries of one feed: the nearest to today

Standing = Literal["CONFIRMED", "TENTATIVE", "CANCELLED"]
Own = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a feed. Times are UTC text; `ends` None is a point in time. `own`: properties for another board."""

    uid: str
    starts: str
    ends: str | None
    title: str
    said: str
    standing: Standing
    agent: str | None
    changed_at: str
    sequence: int
    own: Own


class Window(NamedTuple):
    """The time a feed tells of, as UTC text: whole days, so that it says the same all day long."""

    begin: str
    today: str
    now: str
    until: str

    @classmethod
    def at(cls, now: str) -> Window:
        """The window around an instant."""
        today = datetime.combine(from_text(now).date(), time(), UTC)
        begin, until = today - timedelta(days=BACK_DAYS), today + timedelta(days=AHEAD_DAYS)
        return cls(to_text(begin), to_text(today), now, to_text(until))


@dataclass(frozen=True, slots=True)
class Found:
    """The entries of a feed in order of time. `cut`: there were more. `board`: the mark of this board. `as_of`: the last
    change it can tell of."""

    entries: tuple[Entry, ...]
    cut: bool
    board: str
    as_of: str


class Seen(NamedTuple):
    """How far a board is: while this is the same, nothing that a feed tells has changed but by the time of day."""

    event: int
    at: str


LAST = "SELECT id, at FROM events ORDER BY id DESC LIMIT 1"


def seen(rows: Rows) -> Seen:
    """How far the board is now."""
    row = rows.one(LAST)
    return Seen(row["id"], row["at"]) if row is not None else Seen(0, "")


BOARD = "SELECT value FROM meta WHERE key = 'board_id'"


def mark(rows: Rows) -> str:
    """By what a board knows its own events when they come back. Not its id: that marks its processes."""
    row = rows.one(BOARD)
    return hashlib.sha256(f"feed of {row['value'] if row is not None else ''}".encode()).hexdigest()[:16]


def read(rows: Rows, now: str, agent: str | None = None) -> Found:
    """What happened and what is planned, of one agent or of all; NotFound when there is no such agent."""
    if agent is not None:
        agents.must_exist(rows, agent)
    window, board = Window.at(now), mark(rows)
    tasks = {row["id"]: row for row in rows.all(TASKS, ids=json.dumps(_ids(rows, window, agent)))}
    entries = list(_of_tasks(rows, tasks, agent, board))
    taken = {(row["slot_id"], row["occurrence"]) for row in tasks.values()}
    of_slot: Counter[int] = Counter()
    for slot, name, due_at in feed_coming.times(rows, window.now, window.until, agent):
        of_slot[slot["id"]] += 1
        if (slot["id"], name) not in taken and not _has_task(rows, slot, name):
            entries.append(_coming(slot, name, due_at, board))
    within = [each for each in entries if (each.ends or each.starts) >= window.begin and each.starts < window.until]
    within.sort(key=lambda each: (abs(seconds_between(window.today, each.starts)), each.uid))
    kept = sorted(within[:MOST], key=lambda each: (each.starts, each.uid))
    cut = len(within) > MOST or feed_coming.MOST in of_slot.values()
    return Found(tuple(kept), cut, board, max(seen(rows).at, window.today))


def _has_task(rows: Rows, slot: sqlite3.Row, name: str) -> bool:
    """Whether a time to come has its task already. Of a rule only those have that are posted, which are not asked for."""
    return slot["repeat"] is None and rows.one(agenda.TASK, slot=slot["id"], occurrence=name) is not None


# --- which tasks --------------------------------------------------------------------------------------------------------

# Each by an index of its own, so that a long history costs nothing; what was never begun, was no slot's and is over is left
# out for want of one.
_NO_BEAT = "NOT EXISTS (SELECT 1 FROM heartbeat_runs h WHERE h.task_id = {})"  # a look around is on nobody's calendar
_MINE = "(:agent IS NULL OR agent_id = :agent)"
_IDS = tuple(
    sql.format(mine=_MINE, no_beat=_NO_BEAT.format("a.task_id"))
    for sql in (
        "SELECT id FROM tasks WHERE slot_id IS NOT NULL AND due_at >= :begin AND due_at < :today AND {mine}"
        " ORDER BY due_at DESC LIMIT :most",
        "SELECT id FROM tasks WHERE slot_id IS NOT NULL AND due_at >= :today AND due_at < :until AND {mine}"
        " ORDER BY due_at LIMIT :most",
        "SELECT DISTINCT task_id AS id FROM attempts a WHERE claimed_at >= :begin AND {mine} AND {no_beat}"
        " ORDER BY claimed_at DESC LIMIT :most",
        "SELECT id FROM tasks WHERE status = 'pending' AND ready = 1 AND agent_id IS NOT NULL AND {mine}"
        " AND due_at BETWEEN :begin AND :until LIMIT :most",
        "SELECT id FROM tasks WHERE status = 'pending' AND ready = 1 AND role IS NOT NULL AND {mine}"
        " AND due_at BETWEEN :begin AND :until LIMIT :most",
        "SELECT id FROM tasks WHERE status = 'pending' AND ready = 0 AND deps_open = 0 AND {mine}"
        " AND max(due_at, coalesce(not_before, '')) BETWEEN :begin AND :until ORDER BY max(due_at, coalesce(not_before, '')) LIMIT :most",
        "SELECT id FROM tasks WHERE status NOT IN ('pending','done','cancelled','failed')"
        " AND (:agent IS NULL OR agent_id = :agent OR role IS NOT NULL) AND due_at BETWEEN :begin AND :until LIMIT :most",
    )
)
TASKS = f"""
SELECT t.id, t.slot_id, t.occurrence, t.agent_id, t.role, t.title, substr(t.description, 1, 2000) AS description, t.status,
       t.rev, t.plan_rev, t.actor, t.reason, t.attempt_id, t.due_at, t.not_before, t.proof, t.priority, t.wall_seconds, t.posted_at,
       (SELECT e.at FROM events e WHERE e.task_id = t.id ORDER BY e.id DESC LIMIT 1) AS changed_at,
       s.estimated_duration, s.status AS slot_status, s.missed, s.overlap, s.deadline, s.extra, r.status AS reported
  FROM tasks t LEFT JOIN slots s ON s.id = t.slot_id
  LEFT JOIN slot_reports r ON r.slot_id = t.slot_id AND r.occurrence = t.occurrence
 WHERE t.id IN (SELECT value FROM json_each(:ids))
   AND {_NO_BEAT.format("t.id")}
"""  # noqa: S608 - our own constants


def _ids(rows: Rows, window: Window, agent: str | None) -> list[int]:
    """The tasks that may have something to tell; one more of each kind than can be told, so that a cut is seen."""
    given = {"begin": window.begin, "today": window.today, "until": window.until, "agent": agent, "most": MOST + 1}
    return sorted(
        {row["id"] for sql in _IDS for row in rows.all(sql, **{k: v for k, v in given.items() if f":{k}" in sql})}
    )


# --- what each is -------------------------------------------------------------------------------------------------------

ATTEMPTS = """
SELECT id, task_id, number, role, agent_id, claimed_at, spawned_at, started_at, ended_at, outcome, detail
  FROM attempts WHERE task_id IN (SELECT value FROM json_each(:ids)) ORDER BY task_id, number
"""


def _of_tasks(rows: Rows, tasks: dict[int, sqlite3.Row], agent: str | None, board: str) -> Iterator[Entry]:
    attempts: dict[int, list[sqlite3.Row]] = {}
    for attempt in rows.all(ATTEMPTS, ids=json.dumps(list(tasks))):
        if feed_story.ran(attempt):
            attempts.setdefault(attempt["task_id"], []).append(attempt)
    for task in tasks.values():
        ran = attempts.get(task["id"], [])
        latest = feed_story.latest(task, ran)
        if agent in (None, latest["agent_id"] if latest is not None else task["agent_id"]):
            yield _of_task(task, latest, ran, board)
        for attempt in ran:
            if attempt is not latest and agent in (None, attempt["agent_id"]):
                yield _of_attempt(task, attempt, board)


def _of_task(task: sqlite3.Row, latest: sqlite3.Row | None, ran: list[sqlite3.Row], board: str) -> Entry:
    """A task where it stands: at its attempt's time when one has it or had it last, else where it is planned."""
    word = agenda.word_of(task, task["reported"], task["slot_status"] or "")
    minutes, ends = task["estimated_duration"], None
    if latest is not None:
        starts, ends = _span(latest, minutes * 60 if minutes else task["wall_seconds"])
        agent = latest["agent_id"]
    else:
        starts = max(task["due_at"], task["not_before"] or "")
        ends, agent = plus(starts, minutes * 60) if minutes else None, task["agent_id"]
    return Entry(
        uid=f"{_name(task)}@{board}", starts=starts, ends=ends, title=feed_story.title(task), said=feed_story.story(task, word, ran),
        standing=_standing(word, begun=latest is not None), agent=agent, changed_at=task["changed_at"] or task["posted_at"],
        sequence=task["rev"] + task["plan_rev"], own=_own(word, agent, board, task),
    )  # fmt: skip


def _of_attempt(task: sqlite3.Row, attempt: sqlite3.Row, board: str) -> Entry:
    """An attempt that is not where its task stands now: a former try, a review."""
    starts, ends = _span(attempt, task["wall_seconds"])
    word: Word = "ongoing" if attempt["ended_at"] is None else "finished"
    return Entry(
        uid=f"attempt-{attempt['id']}@{board}", starts=starts, ends=ends, title=feed_story.title_of_attempt(task, attempt),
        said=feed_story.line(attempt), standing="CONFIRMED", agent=attempt["agent_id"], changed_at=attempt["ended_at"] or starts,
        sequence=int(attempt["ended_at"] is not None), own=_own(word, attempt["agent_id"], board, None),
    )  # fmt: skip


def _coming(slot: sqlite3.Row, name: str, due_at: str, board: str) -> Entry:
    """A time of a slot that has no task yet."""
    title, description = feed_coming.words(slot)
    minutes, word = slot["estimated_duration"], agenda.word_of(None, None, slot["status"])
    return Entry(
        uid=f"{_name({'slot_id': slot['id'], 'occurrence': name})}@{board}", starts=due_at,
        ends=plus(due_at, minutes * 60) if minutes else None, title=title, said=description,
        standing=_standing(word, begun=False), agent=slot["agent_id"], changed_at=slot["created_at"], sequence=0,
        own=_own(word, slot["agent_id"], board, slot),
    )  # fmt: skip


def _name(task: sqlite3.Row | dict[str, object]) -> str:
    """The same for a slot's time before it has a task and after."""
    if task["slot_id"] is None:
        return f"task-{task['id']}"
    return f"slot-{agenda.virtual_id(int(str(task['slot_id'])), str(task['occurrence']))}"


def _span(attempt: sqlite3.Row, most_seconds: float) -> tuple[str, str]:
    """When an attempt ran; while it runs, its end is where its time will be over."""
    begin = feed_story.begin(attempt)
    return begin, attempt["ended_at"] or plus(begin, most_seconds)


def _standing(word: Word, *, begun: bool) -> Standing:
    if word == "skipped":
        return "CANCELLED"
    return "CONFIRMED" if begun or word in ("ongoing", "finished", "aborted") else "TENTATIVE"


_USUAL = {"missed": "run_once", "overlap": "queue", "deadline": "none"}


def _own(word: Word, agent: str | None, board: str, of: sqlite3.Row | None) -> Own:
    """What another board of ours reads: whose it is, how it stands, through which boards it came, what its slot promises."""
    said = {"agent": agent or "", "status": word, "board": " ".join([board, *_former_boards(of)])}
    if of is not None:
        said["priority"] = str(of["priority"])
        said |= {name: of[name] or "" for name, usual in _USUAL.items() if of[name] != usual}
    return tuple((name, value) for name, value in said.items() if value)


def _former_boards(of: sqlite3.Row | None) -> Iterable[str]:
    """The boards from whose feeds a slot came here, as its source kept them."""
    extra = json.loads(of["extra"] or "{}") if of is not None else {}
    said = extra.get("boards")
    return said.split() if isinstance(said, str) else ()
