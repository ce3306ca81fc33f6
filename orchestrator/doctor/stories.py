"""Rules about what was told: the events of a task, replayed, explain its row, its attempts and what they handed in.

One small function a rule, asked of every task. I4 is behind all of them: each change has its event, each event
its change.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import TypeAlias

from orchestrator.doctor.life import Event, Fact, Life, lives
from orchestrator.doctor.rule import FORGED, MOST, Finding, into, more

Story: TypeAlias = Callable[[Life], Iterator[str]]
STORIES: list[Story] = []
story = into(STORIES)


def findings(connection: sqlite3.Connection) -> Iterator[Finding]:
    """Ask every rule of every task; at most MOST findings of each."""
    counts: Counter[str] = Counter()
    for life in lives(connection):
        for asked in STORIES:
            name = asked.__name__
            if counts[name] > MOST:
                continue
            for sentence in asked(life):
                counts[name] += 1
                yield Finding(name, f"task {life.task.id}", sentence) if counts[name] <= MOST else more(name)


@story
def begins_with_its_post(life: Life) -> Iterator[str]:
    """I4: the first event of a task is its post, for its slot, and there is no other."""
    posts = life.told("post")
    if len(posts) != 1 or posts[0] != life.events[0] or (posts[0].src, posts[0].dst) != (None, "pending"):
        yield f"Task {life.task.id} has {len(posts)} posts among its events, instead of 1 at their beginning. {FORGED}"
    elif posts[0].slot != life.task.slot:
        yield f"Task {life.task.id} is of slot {life.task.slot}, but was posted for {posts[0].slot}. {FORGED}"


@story
def moves_follow_each_other(life: Life) -> Iterator[str]:
    """I2: each move leaves the state that the one before it reached."""
    for former, move in pairwise(life.moves):
        if move.src != former.dst:
            said = (
                f"Event {move.id} moves task {move.task} from {move.src}, but event {former.id} left it {former.dst}."
            )
            yield f"{said} {FORGED}"


@story
def moves_are_legal(life: Life) -> Iterator[str]:
    """I1, I3: each move is an arrow of `moves`, by a role that may make it."""
    for move in life.moves:
        if move.verb != "post" and move.actor_role not in life.arrows.get((move.src, move.dst, move.verb), ()):
            said = f"Event {move.id}: {move.actor} may not {move.verb} task {move.task} from {move.src} to {move.dst}."
            yield f"{said} {FORGED}"


@story
def only_the_living_report(life: Life) -> Iterator[str]:
    """I8: an executor's or reviewer's move, and every output of an attempt, comes before that attempt's end."""
    living: dict[int | None, str] = {}
    for event in life.events:
        if event.verb in ("claim", "claim_review"):
            living[event.attempt] = "executor" if event.verb == "claim" else "reviewer"
        elif event.verb == "ended":
            living.pop(event.attempt, None)
        elif not _may_report(event, living):
            said = f"Event {event.id}: {event.actor} reports ({event.verb}) on task {event.task}"
            yield f"{said} without a live attempt. {FORGED}"


def _may_report(event: Event, living: dict[int | None, str]) -> bool:
    if event.verb == "output":
        return event.attempt is None or event.attempt in living
    if event.src is None or event.actor_role not in ("executor", "reviewer"):
        return True
    return living.get(event.attempt) == event.actor_role


@story
def status_is_told(life: Life) -> Iterator[str]:
    """I4: the status is where the last move led."""
    if life.moves and life.moves[-1].dst != life.task.status:
        yield f"Task {life.task.id} is {life.task.status}, but its last event led to {life.moves[-1].dst}. {FORGED}"


@story
def rev_counts_moves(life: Life) -> Iterator[str]:
    """I2: rev is the number of moves: each was applied once."""
    moves = [move for move in life.moves if move.verb != "post"]
    if life.task.rev != len(moves):
        yield f"Task {life.task.id} has rev {life.task.rev}, but {len(moves)} moves. Set rev to that. {FORGED}"


@story
def plan_rev_counts_replans(life: Life) -> Iterator[str]:
    """I4: plan_rev is the number of replans and hand-overs that named their planner, planned_by the last of them."""
    planners = [event.actor for event in life.told("replan", "hand_over", "hand_back") if event.actor != "sql"]
    if (life.task.plan_rev, life.task.planned_by) != (len(planners), planners[-1] if planners else None):
        said = f"Task {life.task.id} was planned {life.task.plan_rev} times, last by {life.task.planned_by},"
        yield f"{said} but its events tell of {len(planners)} times by {planners[-1:] or 'nobody'}. {FORGED}"


@story
def last_move_is_told(life: Life) -> Iterator[str]:
    """I4, I5: who, why, when and by which verb: the row says what its last move says."""
    for move in life.moves[-1:]:
        told = {"actor": move.actor, "reason": move.reason, "moved_at": move.at, "verb": move.verb}
        for name, value in told.items():
            found = getattr(life.task, name)
            if found != value:
                yield f"Task {life.task.id} has {name} {found!r}, but its last move, {move.id}, {value!r}. {FORGED}"


@story
def end_is_told(life: Life) -> Iterator[str]:
    """I4: a task ended when its last move says."""
    task = life.task
    for move in life.moves[-1:]:
        if task.ended_at and move.dst == task.status and move.at != task.ended_at:
            yield f"Task {task.id} ended at {task.ended_at}, but its last event, {move.id}, was at {move.at}. {FORGED}"


@story
def plan_is_told(life: Life) -> Iterator[str]:
    """I4: due_at, not_before, agent, role and priority are what the last event that set them says."""
    told: dict[str, Fact] = {}
    for event in life.events:
        if event.verb in ("post", "replan") or event.dst == "pending":
            told.update(event.facts)
        elif event.verb == "claim":
            told["not_before"] = None
    for name in ("due_at", "not_before", "agent", "role", "priority"):
        value = getattr(life.task, name)
        if told.get(name, value) != value:
            yield f"Task {life.task.id} has {name} {value!r}, but its events say {told[name]!r}. {FORGED}"


@story
def hand_over_is_told(life: Life) -> Iterator[str]:
    """I4: a review is handed over to a person exactly while its events say so, and for the reason they give."""
    told: str | None = None
    for event in life.events:
        if event.dst is not None or event.verb == "hand_back":
            told = None
        elif event.verb == "hand_over":
            told = event.reason
    if told != life.task.handed_over:
        yield f"Task {life.task.id} has handed_over {life.task.handed_over!r}, but its events say {told!r}. {FORGED}"


@story
def reviews_begin_in_review(life: Life) -> Iterator[str]:
    """I7: a reviewer's attempt begins on a task in review that is not a person's to decide."""
    where, handed_over = None, False
    for event in life.events:
        if event.dst is not None:
            where, handed_over = event.dst, False
        elif event.verb in ("hand_over", "hand_back"):
            handed_over = event.verb == "hand_over"
        elif event.verb == "claim_review" and (where != "review" or handed_over):
            found = "was handed over to a person" if handed_over else f"was {where}"
            yield f"Event {event.id} begins a review of task {life.task.id}, which {found} then. {FORGED}"


@story
def block_is_told(life: Life) -> Iterator[str]:
    """I4: what a blocked task waits for is what its last move says; every other waits for nothing."""
    for move in life.moves[-1:]:
        kind = move.facts.get("kind") if move.dst == "blocked" else None
        if move.dst == life.task.status and kind != life.task.blocked_kind:
            said = f"Task {life.task.id} has blocked_kind {life.task.blocked_kind}, but its last event says {kind}."
            yield f"{said} {FORGED}"


@story
def claims_are_told(life: Life) -> Iterator[str]:
    """I4, I7: each attempt has its claim, with the same number, role, agent, time and claimant."""
    verbs = {"executor": "claim", "reviewer": "claim_review"}
    rows = [(a.id, verbs.get(a.role), a.number, a.role, a.agent, a.claimed_at, a.claimed_by) for a in life.attempts]
    told = [(e, e.facts) for e in life.told("claim", "claim_review")]
    events = [(e.attempt, e.verb, f.get("number"), f.get("role"), f.get("agent"), e.at, e.actor) for e, f in told]
    yield from _unequal(life, "claims", rows, events)


@story
def ends_are_told(life: Life) -> Iterator[str]:
    """I4: each attempt that ended has its event, with the same outcome and time."""
    rows = [(a.id, a.number, a.outcome, a.ended_at) for a in life.attempts if a.ended_at is not None]
    told = [(e, e.facts) for e in life.told("ended")]
    yield from _unequal(life, "ends", rows, [(e.attempt, f.get("number"), f.get("outcome"), e.at) for e, f in told])


@story
def gone_is_told(life: Life) -> Iterator[str]:
    """I4: each attempt that is gone has its event, with the same time."""
    rows = [(a.id, a.number, a.gone_at) for a in life.attempts if a.gone_at is not None]
    yield from _unequal(life, "gone", rows, [(e.attempt, e.facts.get("number"), e.at) for e in life.told("gone")])


@story
def abroad_is_told(life: Life) -> Iterator[str]:
    """I4, I6: each attempt whose run may have gone on elsewhere has ended, and has its event, with the same time."""
    rows = [(a.id, a.abroad_at) for a in life.attempts if a.abroad_at is not None and a.ended_at is not None]
    told = [(e.attempt, e.at) for e in life.told("abroad")]
    yield from _unequal(life, "runs elsewhere", rows, told)


STEPS = {"claim": "claimed", "claim_review": "claimed", "ended": "ended", "gone": "gone"}  # sorted as they follow


@story
def attempts_end_in_order(life: Life) -> Iterator[str]:
    """I7: claimed, ended, gone: in the order of their events, whose ids cannot step back as a clock's times can."""
    steps: dict[int | None, list[str]] = {}
    for event in life.told(*STEPS):
        steps.setdefault(event.attempt, []).append(STEPS[event.verb])
    for attempt, said in steps.items():
        if said != sorted(said):
            yield f"Attempt {attempt} of task {life.task.id} was, in this order, {', '.join(said)}. {FORGED}"


@story
def outputs_are_told(life: Life) -> Iterator[str]:
    """I4: each output has its event, and each event its output."""
    yield from _unequal(life, "outputs", life.outputs, [e.facts.get("id") for e in life.told("output")])


@story
def comments_are_told(life: Life) -> Iterator[str]:
    """I4: each comment has its event, and each event its comment."""
    yield from _unequal(life, "comments", life.comments, [e.facts.get("id") for e in life.told("comment")])


@story
def checks_are_told(life: Life) -> Iterator[str]:
    """I4: each check that has ended has its event, with the same result and time."""
    told = [(e.facts.get("id"), e.facts.get("result"), e.at) for e in life.told("checked")]
    yield from _unequal(life, "checks", life.checks, told)


@story
def needs_are_told(life: Life) -> Iterator[str]:
    """I4: a task needs what its events added and did not drop again."""
    told: Counter[Fact] = Counter(e.facts.get("needs") for e in life.told("need"))
    told.subtract(e.facts.get("needs") for e in life.told("unneed"))
    yield from _unequal(life, "needs", life.needs, told.elements())


@story
def events_name_its_attempts(life: Life) -> Iterator[str]:
    """I5: an event of a task names an attempt of that task, or none."""
    known = {attempt.id for attempt in life.attempts}
    for event in life.events:
        if event.attempt is not None and event.attempt not in known:
            said = f"Event {event.id} ({event.verb}) of task {event.task} names attempt {event.attempt} of another."
            yield f"{said} {FORGED}"


def _unequal(life: Life, what: str, rows: Iterable[object], events: Iterable[object]) -> Iterator[str]:
    """Where rows and events say different things of the same."""
    made, told = Counter(rows), Counter(events)
    if made != told:
        said = f"The {what} of task {life.task.id}: only its rows say {_listed(made - told)},"
        yield f"{said} only its events {_listed(told - made)}. {FORGED}"


def _listed(things: Iterable[object]) -> str:
    return "; ".join(" ".join(map(str, x)) if isinstance(x, tuple) else str(x) for x in things) or "nothing more"
