"""Repeated writes at the board: whatever is repeated, in whatever order, has one effect and one answer."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from blackboard import repeats, tokens
from blackboard.board import Board, Tx
from blackboard.clock import plus
from blackboard.errors import IllegalMove, Invalid, KeyReused, Unauthorized
from blackboard.repeats import Asked, Said
from tests.fake_clock import FakeClock
from tests.scenes import furnish, in_one_batch

ANN, BOB = tokens.mint(), tokens.mint()
ROUTE = "POST /x"


def people(tx: Tx) -> None:
    for name, token in (("ann", ANN), ("bob", BOB)):
        tokens.create(tx, token, kind="operator", name=name, scope="operate")


@pytest.fixture
async def board(board: Board) -> Board:
    await board.write(people)
    return board


def asked(key: str = "k", body: bytes = b"1", token: str = ANN, route: str = ROUTE) -> Asked:
    return Asked(tokens.digest(token), key, route, body)


def note(tx: Tx, word: str = "once") -> dict[str, Any]:
    """An effect that doubles when it is done twice, with an answer that tells which one it was."""
    tx.run(
        "INSERT INTO events (at, verb, actor, reason) VALUES (:now, 'note', 'person:ann', :word)", now=tx.now, word=word
    )
    return {"notes": tx.all("SELECT count(*) AS n FROM events WHERE verb = 'note'")[0]["n"], "word": word}


async def notes(board: Board) -> list[str]:
    return [row["reason"] for row in await board.all("SELECT reason FROM events WHERE verb = 'note' ORDER BY id")]


async def keys(board: Board) -> list[str]:
    return [row["key"] for row in await board.all("SELECT key FROM idempotency ORDER BY key")]


async def test_a_repeated_call_gets_the_first_answer_and_does_nothing(board: Board) -> None:
    first = await board.write(repeats.once, asked(), 201, note)
    await board.write(note, "between")
    again = await board.write(repeats.once, asked(), 201, note)

    assert first == Said(201, {"notes": 1, "word": "once"})
    assert again == Said(201, {"notes": 1, "word": "once"}, replayed=True)
    assert await notes(board) == ["once", "between"]


@pytest.mark.parametrize("other", [asked(body=b"2"), asked(route="POST /y")])
async def test_a_key_is_not_used_for_something_else(board: Board, other: Asked) -> None:
    await board.write(repeats.once, asked(), 200, note)
    with pytest.raises(KeyReused, match="new key"):
        await board.write(repeats.once, other, 200, note)
    assert await notes(board) == ["once"]


async def test_a_key_belongs_to_its_token(board: Board) -> None:
    await board.write(repeats.once, asked(), 200, note, "ann's")
    said = await board.write(repeats.once, asked(token=BOB, body=b"2"), 200, note, "bob's")
    assert said.content["word"] == "bob's"
    assert await notes(board) == ["ann's", "bob's"]


async def test_a_refusal_is_not_remembered(board: Board) -> None:
    def refuses(tx: Tx) -> dict[str, Any]:
        note(tx)
        raise Invalid("mend it")

    with pytest.raises(Invalid):
        await board.write(repeats.once, asked(), 200, refuses)
    assert (await notes(board), await keys(board)) == ([], [])
    assert not (await board.write(repeats.once, asked(body=b"mended"), 200, note)).replayed


async def test_a_revoked_token_is_answered_nothing(board: Board) -> None:
    await board.write(repeats.once, asked(), 200, note)
    await board.write(tokens.revoke, kind="operator", name="ann")
    with pytest.raises(Unauthorized):
        await board.write(repeats.once, asked(), 200, note)


async def test_after_a_day_a_key_is_new_even_while_its_row_is_there(board: Board, clock: FakeClock) -> None:
    await board.write(repeats.once, asked(), 200, note, "old")
    clock.go_on(repeats.KEPT_SECONDS - 1)
    assert (await board.write(repeats.once, asked(), 200, note, "new")).replayed
    clock.go_on(1)
    said = await board.write(repeats.once, asked(body=b"2", route="POST /y"), 202, note, "new")
    assert (said.replayed, await notes(board)) == (False, ["old", "new"])
    assert await board.write(repeats.once, asked(body=b"2", route="POST /y"), 202, note) == Said(
        202, said.content, True
    )


async def test_old_answers_are_dropped_a_few_at_each_write(board: Board, clock: FakeClock) -> None:
    for number in range(repeats.DROPPED_AT_ONCE + 5):
        await board.write(repeats.once, asked(f"old-{number}"), 200, note)
    clock.go_on(repeats.KEPT_SECONDS)
    await board.write(repeats.once, asked("first"), 200, note)
    assert len(await keys(board)) == 6
    await board.write(repeats.once, asked("second"), 200, note)
    assert await keys(board) == ["first", "second"]


async def test_neither_looking_up_nor_dropping_reads_the_whole_table(board: Board) -> None:
    given = {"caller": b"c", "key": "k", "since": plus(board.clock.now(), 0), "most": 1}
    for sql in (repeats.KNOWN, repeats.DROP_OLD):
        plan = [
            row["detail"] for row in await board.write(lambda tx, sql=sql: tx.all("EXPLAIN QUERY PLAN " + sql, **given))
        ]
        assert plan
        assert not [step for step in plan if step.startswith("SCAN")], plan


async def test_repeats_in_one_batch_have_one_effect(board: Board) -> None:
    """Also when the batch falls and every item runs again by itself."""

    def falls(tx: Tx) -> None:
        raise IllegalMove("no")

    calls = [lambda tx: repeats.once(tx, asked(), 200, note)] * 5
    answers = await in_one_batch(board, *calls, falls, *calls)
    told = [answer for answer in answers if isinstance(answer, Said)]
    assert sorted(said.replayed for said in told) == [False] + [True] * 9
    assert {said.content["notes"] for said in told} == {1}
    assert await notes(board) == ["once"]


STEPS = some.lists(
    some.tuples(some.sampled_from("abc"), some.sampled_from([ANN, BOB]), some.sampled_from([b"1", b"2"]), some.booleans()),
    min_size=1, max_size=25,
)  # fmt: skip


@settings(deadline=None, max_examples=60)  # each opens a board of its own: a busy machine is slow, not wrong
@given(STEPS)
def test_any_interleaving_of_repeats_has_one_effect_a_key(steps: list[tuple[str, str, bytes, bool]]) -> None:
    """Keys, tokens and contents mixed; some calls fail at their first try. Held against a dict as the model."""
    asyncio.run(interleaved(steps))


async def interleaved(steps: list[tuple[str, str, bytes, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        board = await Board.open(Path(folder) / "board", clock=FakeClock(), readers=1)
        try:
            await board.write(furnish)
            await board.write(people)
            model: dict[tuple[str, str], tuple[bytes, dict[str, Any]]] = {}
            for key, token, body, fails in steps:
                known = model.get((key, token))
                call = asked(key, body, token)

                def verb(tx: Tx, fails: bool = fails) -> dict[str, Any]:
                    said = note(tx)
                    if fails:
                        raise Invalid("this time it fails")
                    return said

                if known is not None and known[0] != body:
                    with pytest.raises(KeyReused):
                        await board.write(repeats.once, call, 200, verb)
                elif known is not None:
                    assert await board.write(repeats.once, call, 200, verb) == Said(200, known[1], replayed=True)
                elif fails:
                    with pytest.raises(Invalid):
                        await board.write(repeats.once, call, 200, verb)
                else:
                    model[key, token] = (body, (await board.write(repeats.once, call, 200, verb)).content)
            assert len(await notes(board)) == len(model)
        finally:
            await board.close()
