"""Where agents stand: who is believed in which order, what it does to a claim, and who may say it."""

from __future__ import annotations

import itertools
import json

import pytest

from blackboard import agents, attempts, claims, presence, presence_reports, tokens, verbs
from blackboard.board import Board, Tx
from blackboard.clock import plus
from blackboard.errors import Fenced, Forbidden, NotFound
from blackboard.gates import Room
from blackboard.presence import Presence, stands
from blackboard.presence_reports import WORDS, Said, Word, holding
from tests import scenes
from tests.fake_clock import START, FakeClock

HOUR = 3600.0
ROOM = Room(9)


def said(source: str, status: Word | None, left: float) -> list[Said]:
    """What a source says, `left` seconds before it expires; nothing for None."""
    return [Said("ada", status, source, START, plus(START, left))] if status else []


# --- Who is believed -----------------------------------------------------------------------------------------------

ANSWERS: list[tuple[Word | None, float]] = [(None, 0), *((word, left) for word in WORDS for left in (-1.0, 0.0, 0.001))]


@pytest.mark.parametrize("own", ["idle", "on_call", "busy", "exhausted", "offline"])
@pytest.mark.parametrize("agent", ANSWERS, ids=str)
def test_every_combination(own: Word, agent: tuple[Word | None, float]) -> None:
    """Our own attempts, the agent, two others: 5 x 19 x 19 x 19, each against the rule in other words."""
    for first, second in itertools.product(ANSWERS, repeat=2):
        words = [*said("agent", *agent), *said("presence:a", *first), *said("presence:b", *second)]
        found = stands(Presence(own, "because"), holding(reversed(words), START))
        current = [(each.source, each.status) for each in words if each.expires_at > START]
        known = [each for each in current if each[1] != "unknown"]
        expected = ("board", own)
        if own == "idle" and current:
            expected = (known or current)[0]
        assert (found.source, found.word) == expected


FULL = "UPDATE agents SET max_live = 1 WHERE id = 'ada'"


@pytest.mark.parametrize(
    ("statement", "live", "expected"),
    [
        ("SELECT 1", 0, ("idle", "board")),
        ("SELECT 1", 1, ("on_call", "board")),
        (FULL, 1, ("busy", "board")),
        ("UPDATE agents SET paused_at = 'noon' WHERE id = 'ada'", 1, ("offline", "board")),
    ],
)
async def test_our_own_attempts_are_looked_at_first(
    board: Board, statement: str, live: int, expected: tuple[str, str]
) -> None:
    def life(tx: Tx) -> tuple[str, str]:
        for _ in range(live):
            scenes.post_at(tx, "working")
        tx.run(statement)
        found = presence.of_all(tx, tx.now, ROOM)["ada"]
        return found.word, found.source

    assert await board.write(life) == expected


async def test_a_report_counts_until_it_expires_and_then_the_next_one(board: Board, clock: FakeClock) -> None:
    def report(tx: Tx) -> None:
        presence_reports.put(tx, "ada", "agent", "busy", actor="agent:ada", good_for=60)
        presence_reports.put(tx, "ada", "presence:hub", "offline", actor="engine:slots", good_for=120)

    await board.write(report)

    async def stand() -> tuple[str, str]:
        found = (await board.read(presence.of_all, clock.now(), ROOM))["ada"]
        return found.word, found.source

    assert await stand() == ("busy", "agent")
    clock.go_on(60)
    assert await stand() == ("offline", "presence:hub")
    clock.go_on(60)
    assert await stand() == ("idle", "board")


# --- What it does to a claim ----------------------------------------------------------------------------------------


def claimed(tx: Tx) -> int:
    hashes = [tokens.digest(f"bbt_{tx.now}/{n}") for n in range(9)]
    return len(claims.claim_due(tx, hashes, ROOM))


async def test_the_next_time_is_when_a_word_expires(board: Board, clock: FakeClock) -> None:
    def report(tx: Tx) -> None:
        scenes.post(tx)
        presence_reports.put(tx, "ada", "agent", "busy", actor="agent:ada", good_for=60)

    await board.write(report)
    assert await board.write(claimed) == 0
    assert await board.read(claims.next_time, clock.now()) == plus(START, 60)
    clock.go_on(60)
    assert await board.write(claimed) == 1


async def test_an_agent_that_says_idle_takes_a_second_task_and_no_more_than_it_may(board: Board) -> None:
    """`max_live` is the only bound of what runs at once: our own turns are not taken for somebody's word."""

    def life(tx: Tx) -> int:
        tx.run("UPDATE agents SET max_live = 2 WHERE id = 'ada'")
        for _ in range(3):
            scenes.post(tx)
        presence_reports.put(tx, "ada", "agent", "idle", actor="agent:ada", good_for=60)
        return claimed(tx)

    assert await board.write(life) == 2


async def test_a_late_word_touches_nothing_that_runs_and_makes_no_second_claim(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = scenes.post(tx)
        assert claimed(tx) == 1
        for word in ("busy", "idle"):
            presence_reports.put(tx, "ada", "agent", word, actor="agent:ada", good_for=60)  # type: ignore[arg-type]
            assert claimed(tx) == 0
        assert scenes.latest(tx, task)["ended_at"] is None

    await board.write(life)


# --- What is told ---------------------------------------------------------------------------------------------------


async def told(board: Board) -> list[tuple[object, ...]]:
    rows = await board.all("SELECT data FROM events WHERE verb = 'presence_changed' ORDER BY id")
    data = [json.loads(row["data"]) for row in rows]
    return [(each["agent"], each["from"], each["to"], each["source"]) for each in data]


async def test_changes_are_told_once_and_what_has_expired_is_dropped(board: Board, clock: FakeClock) -> None:
    async def note(everything: bool = False) -> None:
        if await board.read(presence.to_note, clock.now(), ROOM, everything):
            await board.write(presence.note, ROOM, everything)

    await note()
    assert await told(board) == []
    await board.write(presence_reports.put, "ada", "agent", "busy", actor="agent:ada", good_for=60)
    await note()
    await note()
    assert await told(board) == [("ada", None, "busy", "agent")]
    clock.go_on(60)
    await note()
    assert (await told(board))[1:] == [("ada", "busy", "idle", "board")]
    assert await board.all("SELECT * FROM presence_reports") == []
    assert not await board.read(presence.to_note, clock.now(), ROOM, False)
    await note(everything=True)
    assert (await told(board))[2:] == [("bob", None, "idle", "board"), ("eve", None, "idle", "board")]


# --- Who may say it -------------------------------------------------------------------------------------------------


def with_tokens(tx: Tx) -> None:
    tokens.create(tx, "bbt_ada", kind="agent", name="ada", agent_id="ada")
    tokens.create(tx, "bbt_root", kind="operator", name="root", scope="operate")
    tokens.create(tx, "bbt_reader", kind="operator", name="reader", scope="read")
    scenes.work(tx, scenes.post(tx))


def report(tx: Tx, token: str, agent: str = "ada", **more: object) -> dict[str, object]:
    return presence_reports.report(tx, tokens.digest(token), agent, "busy", **more)  # type: ignore[arg-type]


async def test_who_may_say_where_an_agent_stands(board: Board) -> None:
    await board.write(with_tokens)
    attempt = scenes.token_of(1, 1)
    for token in ("bbt_ada", "bbt_root", attempt):
        answer = await board.write(report, token, expires_in=60.0)
        assert (answer["source"], answer["expires_at"]) == ("agent", plus(START, 60))
    assert (await board.write(report, "bbt_root", source="desk"))["expires_at"] == plus(START, HOUR)
    for token, agent, more, error in [
        ("bbt_ada", "bob", {}, Forbidden), (attempt, "bob", {}, Forbidden), ("bbt_reader", "ada", {}, Forbidden),
        ("bbt_root", "nobody", {}, NotFound), ("bbt_ada", "ada", {"source": "desk"}, Forbidden),
    ]:  # fmt: skip
        with pytest.raises(error):
            await board.write(report, token, agent, **more)

    def end(tx: Tx) -> None:
        verbs.end_badly(tx, attempts.get(tx, 1), "crashed", actor="engine:monitor")

    await board.write(end)
    with pytest.raises(Fenced):
        await board.write(report, attempt)


async def test_what_the_configuration_no_longer_asks_says_nothing(board: Board) -> None:
    for source in ("presence:old", "presence:new", "agent", "desk"):
        await board.write(presence_reports.put, "ada", source, "busy", actor="x:y", good_for=60)
    await board.write(presence_reports.forget_others, ["presence:new"])
    rows = await board.all("SELECT source FROM presence_reports ORDER BY source")
    assert [row["source"] for row in rows] == ["agent", "desk", "presence:new"]


async def test_claim_when_comes_from_the_configuration(board: Board) -> None:
    def life(tx: Tx) -> str:
        agents.put_agent(tx, "ada", claim_when=["busy", "unknown"])
        scenes.post(tx)
        presence_reports.put(tx, "ada", "agent", "unknown", actor="agent:ada", good_for=60)
        assert claimed(tx) == 1
        row = tx.one("SELECT claim_when FROM agents WHERE id = 'ada'")
        return str(row["claim_when"] if row else None)

    assert await board.write(life) == "busy unknown"
