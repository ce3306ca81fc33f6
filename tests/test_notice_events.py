"""What happens becomes a notice by the product's own verbs: each kind of event, in its own words, once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blackboard import abroad, agenda, journal, notice_events, pauses, presence_pushes, reviews, sources, verbs
from blackboard.board import Board, Tx
from blackboard.clock import plus
from blackboard.move import get, move
from blackboard.pauses import Target
from tests import scenes
from tests.fake_clock import FakeClock

Does = Callable[[Tx], object]


async def told(board: Board, *does: Does) -> list[tuple[str, str, str, bool]]:
    """Kind, topic, title and urgency of every notice after these writes."""
    await board.write(notice_events.begin)
    for each in does:
        await board.write(each)
    while await board.write(notice_events.gather) is None:
        pass
    await board.write(notice_events.post_lasting)
    rows = await board.all("SELECT * FROM notices ORDER BY id")
    return [(row["kind"], row["topic"], row["title"], bool(row["urgent"])) for row in rows]


def post(**given: Any) -> Does:
    return lambda tx: scenes.post(tx, **given)


def works_and(fn: Callable[..., object], **given: Any) -> Does:
    def does(tx: Tx) -> None:
        fn(tx, scenes.work(tx, 1), actor="executor:ada", **given)

    return does


def event(verb: str, **given: Any) -> Does:
    return lambda tx: journal.tell(tx, verb, actor=given.pop("actor", "engine:x"), **given)


def review(policy: str = "human") -> Does:
    from blackboard.policy import Policy

    return post(policy=Policy(review=policy))


async def test_a_blocked_and_a_failed_task_are_told_with_what_to_do(board: Board) -> None:
    found = await told(
        board, post(), post(),
        lambda tx: verbs.block(tx, scenes.work(tx, 1), actor="executor:ada", kind="needs_input", question="iron or steel?"),
        lambda tx: verbs.end_badly(tx, scenes.work(tx, 2), "failed", actor="executor:ada", detail="no fire", final=True),
    )  # fmt: skip
    assert found == [
        ("blocked", "task:1", "task 1 is blocked (needs_input): nail", False),
        ("failed", "task:2", "task 2 has failed: nail", False),
    ]
    bodies = [row["body"] for row in await board.all("SELECT body, agent_id, task_id FROM notices ORDER BY id")]
    assert bodies[0] == 'iron or steel?\n\nNext: orchestrator answer 1 "..."'
    assert "no fire" in bodies[1]


async def test_a_task_that_is_worked_on_elsewhere_asks_nobody(board: Board) -> None:
    def blocked(tx: Tx) -> None:
        move(tx, get(tx, 1), "block", actor=agenda.ENGINE, kind="dependency", reason="it is worked on elsewhere")

    assert await told(board, post(), blocked) == []


async def test_a_review_is_told_when_it_is_a_persons(board: Board) -> None:
    waits = ("review", "task:1", "task 1 waits for your review: nail", False)
    assert await told(board, review(), lambda tx: scenes.submit(tx, 1)) == [waits]
    assert await told(board, lambda tx: verbs.reject(tx, 1, actor="person:root", remark="no")) == [waits]
    assert await told(board, lambda tx: scenes.submit(tx, 1)) == [waits, waits]


async def test_a_review_that_an_agent_makes_is_told_only_when_it_is_handed_over(board: Board) -> None:
    assert await told(board, review("agent:bob"), lambda tx: scenes.submit(tx, 1)) == []
    found = await told(board, lambda tx: reviews.hand_over(tx, 1, "it went in circles"))
    assert found == [("review", "task:1", "task 1 waits for your review: nail", False)]


async def test_a_review_that_nobody_makes_is_not_told(board: Board) -> None:
    assert await told(board, review("auto"), lambda tx: scenes.submit(tx, 1)) == []


async def test_a_pause_is_told_when_the_engine_made_it(board: Board) -> None:
    def pause(kind: str, name: str, actor: str) -> Does:
        return lambda tx: pauses.pause(tx, Target(kind, name), reason="so", actor=actor)  # type: ignore[arg-type]

    found = await told(
        board, pause("agent", "ada", "person:root"), pause("agent", "bob", "engine:breaker"),
        pause("account", "agent:eve", "engine:accounts"), pause("account", "agent:ada", "person:root"),
    )  # fmt: skip
    assert found == [
        ("agent_paused", "agent:bob", "agent bob is paused", True),
        ("account", "account:agent:eve", "account agent:eve is paused", True),
    ]


@pytest.mark.parametrize(("seconds", "count"), [(60.0, 0), (3599.0, 0), (3600.0, 1)])
async def test_a_limit_is_told_when_it_is_long(board: Board, clock: FakeClock, seconds: float, count: int) -> None:
    until = plus(clock.now(), seconds)
    data = json.dumps({"account": "shared", "until": until})
    found = await told(board, event("account_limited", data=data))
    assert found == [("account", "account:shared", f"account shared is limited until {until}", False)] * count


async def test_other_events_have_their_words(board: Board) -> None:
    found = await told(
        board, post(),
        event("account_refuses", data='{"account": "shared"}'),
        event("budget_warned", reason="80 %"), event("budget_spent", agent_id="ada"), event("budget_spent", task_id=1),
        event("tick_late", reason="by 3 s"), event("step_failed", reason="claim: OSError: no"),
        event("slot_refused", reason="file x: no"), event("write_back_refused", agent_id="ada", reason="no"),
        event("slot_missed", slot_id=4, reason="it was to begin"),
        lambda tx: sources.failed(tx, "calendar:team", "it answers 500"),
        lambda tx: sources.answered(tx, "calendar:team"),
        lambda tx: presence_pushes.failed(tx, "desk", "ada", "it answers 500", 1.0),
        event("sink_failed", data='{"sink": "out"}', reason="no"), event("sink_back", data='{"sink": "out"}'),
        event("notice_dead", data='{"sink": "out", "quiet": false}'), event("notice_dead", data='{"sink": "out", "quiet": true}'),
        event("presence_changed"), event("heartbeat"),
    )  # fmt: skip
    assert found == [
        ("account", "account:shared", "account shared refuses again and again", False),
        ("budget", "board", "the budget of the whole board is nearly spent", False),
        ("budget", "agent:ada", "the budget of agent ada is spent", True),
        ("budget", "task:1", "the budget of task 1 is spent", False),
        ("late", "tick", "the orchestrator cannot keep up", False),
        ("fault", "step:claim", "a step of the orchestrator fails: claim", True),
        ("source", "slot_refused:", "a slot was refused", False),
        ("source", "write_back_refused:ada", "a backend does not take how a slot went", False),
        ("missed", "slot:4", "slot 4 was missed", False),
        ("source", "source:calendar:team", "calendar:team does not answer as it should", False),
        ("source", "source:calendar:team", "calendar:team answers again", False),
        ("source", "source:presence:desk", "presence:desk does not answer as it should", False),
        ("sink", "sink:out", "sink out does not take notices", False),
        ("sink", "sink:out", "sink out takes notices again", False),
        ("sink", "sink:out", "sink out has given notices up", False),
    ]


async def test_what_was_missed_is_told_and_what_a_person_cancels_is_not(board: Board) -> None:
    found = await told(
        board, post(), post(), post(),
        lambda tx: verbs.cancel(tx, 1, actor="engine:slots", reason="missed: it was to begin by then"),
        lambda tx: verbs.cancel(tx, 2, actor="engine:slots", reason="skipped: task 1 is still working (overlap = skip)"),
        lambda tx: verbs.cancel(tx, 3, actor="person:root", reason="missed it"),
    )  # fmt: skip
    assert found == [("missed", "task:1", "task 1 was missed: nail", False)]


async def test_an_attempt_that_is_not_gone_is_told_once_and_not_too_soon(board: Board, clock: FakeClock) -> None:
    assert (
        await told(board, post(), lambda tx: verbs.cancel(tx, scenes.claim(tx, 1)["task_id"], actor="person:root"))
        == []
    )
    clock.go_on(600)
    assert await told(board) == []  # settle_seconds come on top
    clock.go_on(60)
    for _ in range(2):
        assert [each[:2] for each in await told(board)] == [("not_gone", "task:1")]


async def test_a_run_that_may_go_on_elsewhere_is_told_with_what_to_type(board: Board) -> None:
    def left(tx: Tx) -> None:
        attempt = scenes.claim(tx, 1)
        verbs.cancel(tx, 1, actor="person:root")
        abroad.left(tx, attempt["id"], until=None, sentence="the gateway was not asked")

    assert [each[:2] for each in await told(board, post(), left)] == [("not_gone", "task:1")]
    [row] = await board.all("SELECT body FROM notices")
    assert 'orchestrator gone 1 "' in row["body"]


async def test_a_source_that_is_stale_is_told_once(board: Board, clock: FakeClock) -> None:
    await board.write(sources.answered, "calendar:team", stale_after=60.0)
    assert await told(board) == []
    clock.go_on(60)
    assert await told(board) == []  # after a long stop: it may well answer
    await board.write(sources.failed, "calendar:team", "gone")
    failed = ("source", "source:calendar:team", "calendar:team does not answer as it should", False)
    for _ in range(2):
        assert await told(board) == [failed, ("source", "source:calendar:team", "calendar:team is stale", False)]


async def test_a_token_in_a_reason_is_masked_before_it_is_kept(board: Board) -> None:
    token = "bbt_" + "a" * 43
    await told(board, post(title=f"see {token}"), lambda tx: verbs.block(
        tx, scenes.work(tx, 1), actor="executor:ada", kind="needs_input", question=f"is it {token}?"))  # fmt: skip
    [row] = await board.all("SELECT title, body FROM notices")
    assert token not in row["title"] + row["body"]


@pytest.mark.spoils_board
async def test_odd_events_of_an_operators_sql_stop_nothing(board: Board) -> None:
    found = await told(
        board, event("account_limited", data='{"account": "a", "until": 7}'), event("account_limited", data="[]"),
        event("budget_spent", agent_id="nobody", task_id=999), event("block", task_id=999), event("step_failed"),
    )  # fmt: skip
    assert [each[0] for each in found] == ["fault", "budget", "fault"]


async def test_thousands_of_events_are_told_in_pieces_and_none_twice(board: Board, tmp_path: Path) -> None:
    def many(tx: Tx) -> None:
        for number in range(250):
            journal.tell(tx, "step_failed", actor="engine:x", reason=f"n{number}: it broke")

    assert len(await told(board, many)) == 250
    assert len(await told(board)) == 250
