"""Pausing an agent, a project, everything: what is claimed then, what is told, and at what cost."""

from __future__ import annotations

import sqlite3

import pytest

from blackboard import claims, explaining, pauses, people, tokens
from blackboard.board import Board, Rows, Tx
from blackboard.errors import Forbidden, NotFound
from blackboard.gates import Room
from blackboard.pauses import EVERYTHING, Pause, Target
from tests import scenes
from tests.fake_clock import START, FakeClock

ADA = Target("agent", "ada")
FORGE = Target("project", scenes.PROJECT)
ALL = [ADA, Target("account", "agent:ada"), FORGE, EVERYTHING]
WORDS = {"agent": "agent", "account": "account", "project": "project", "board": "board"}


def told(rows: Rows) -> list[tuple[object, ...]]:
    found = rows.all(
        "SELECT verb, actor, agent_id, reason, data ->> 'project' AS project FROM events WHERE task_id IS NULL ORDER BY id"
    )
    return [tuple(row) for row in found if "paused" in row["verb"] or "resumed" in row["verb"]]


@pytest.mark.parametrize("target", ALL, ids=str)
async def test_what_is_paused_claims_nothing_and_what_is_resumed_goes_on(board: Board, target: Target) -> None:
    def life(tx: Tx) -> None:
        task = scenes.post(tx)
        assert pauses.pause(tx, target, reason="lunch", actor="person:root")
        assert claims.claim_due(tx, [tokens.digest("bbt_1")], Room(9)) == []
        why = explaining.why(tx, task, tx.now, Room(9))
        assert not why["claimable"] and f"paused since {START}: lunch" in why["sentence"]
        assert pauses.resume(tx, target, reason=None, actor="person:root")
        assert explaining.why(tx, task, tx.now, Room(9))["claimable"]
        assert len(claims.claim_due(tx, [tokens.digest("bbt_1")], Room(9))) == 1

    await board.write(life)


@pytest.mark.parametrize("target", ALL, ids=str)
async def test_a_pause_is_made_once_and_told_with_actor_and_reason(
    board: Board, clock: FakeClock, target: Target
) -> None:
    assert await board.write(pauses.pause, target, reason="no paper", actor="person:ann")
    clock.go_on(60)
    assert not await board.write(pauses.pause, target, reason="no ink", actor="person:bob")
    assert await board.read(pauses.state, target) == Pause(START, "no paper")
    (row,) = await board.read(pauses.paused)
    assert tuple(row) == (target.kind, target.name, START, "no paper", "person:ann")
    assert await board.write(pauses.resume, target, reason="paper came", actor="person:bob")
    assert not await board.write(pauses.resume, target, reason=None, actor="person:bob")
    assert (await board.read(pauses.state, target)).since is None
    word, agent = WORDS[target.kind], "ada" if target == ADA else None
    project = scenes.PROJECT if target == FORGE else None
    assert await board.read(told) == [
        (f"{word}_paused", "person:ann", agent, "no paper", project),
        (f"{word}_resumed", "person:bob", agent, "paper came", project),
    ]


PLAIN = {
    "agent": "UPDATE agents SET paused_at = {at}, pause_reason = {why} WHERE id = 'ada'",
    "account": "UPDATE accounts SET paused_at = {at}, pause_reason = {why} WHERE id = 'agent:ada'",
    "project": "UPDATE projects SET paused_at = {at}, pause_reason = {why} WHERE id = 'forge'",
    "board": "UPDATE whole_board SET paused_at = {at}, pause_reason = {why}",
}


@pytest.mark.parametrize("kind", PLAIN)
async def test_an_operators_plain_sql_is_told_too(board: Board, kind: str) -> None:
    for at, why in (("'2026-01-31T09:00:00.000Z'", "'rest'"), ("NULL", "NULL")):
        await board.write(lambda tx, at=at, why=why: tx.run(PLAIN[kind].format(at=at, why=why)))  # type: ignore[misc]
    assert [(verb, actor, why) for verb, actor, _, why, _ in await board.read(told)] == [
        (f"{kind}_paused", "sql", "rest"), (f"{kind}_resumed", "sql", None),
    ]  # fmt: skip


@pytest.mark.parametrize("target", [Target("agent", "nobody"), Target("project", "nothing")], ids=str)
async def test_what_is_not_there_is_not_found(board: Board, target: Target) -> None:
    for verb in (pauses.pause, pauses.resume):
        with pytest.raises(NotFound, match=f"there is no {target}"):
            await board.write(verb, target, reason=None, actor="person:root")


async def test_what_still_lives_is_counted_for_each_target(board: Board) -> None:
    def life(tx: Tx) -> list[list[int]]:
        tx.run("INSERT INTO projects (id) VALUES ('mill')")
        scenes.claim(tx, scenes.post(tx))
        scenes.claim(tx, scenes.post(tx, agent="eve", project="mill"), "eve")
        done = scenes.post_at(tx, "done")
        assert done == 3
        return [[row["task_id"] for row in pauses.living(tx, target)] for target in ALL]

    assert await board.write(life) == [[1], [1], [1], [1, 2]]


async def test_saying_it_twice_changes_nothing_and_is_told(board: Board) -> None:
    token = tokens.digest("bbt_op")
    await board.write(tokens.create, "bbt_op", kind="operator", name="ann", scope="operate")
    said = [
        await board.write(people.switch, token, FORGE, verb, "so") for verb in ("pause", "pause", "resume", "resume")
    ]
    assert [(each["changed"], each["paused"]) for each in said] == [
        (True, True),
        (False, True),
        (True, False),
        (False, False),
    ]
    assert f"already, since {START} (so): that stays" in said[1]["next"] and "was not paused" in said[3]["next"]
    await board.write(tokens.create, "bbt_r", kind="operator", name="bob", scope="read")
    with pytest.raises(Forbidden):
        await board.write(people.switch, tokens.digest("bbt_r"), FORGE, "pause", None)


async def test_the_stuck_view_names_the_command_for_each(board: Board) -> None:
    for target in ALL:
        await board.write(pauses.pause, target, reason="so", actor="person:root")
    rows = await board.all("SELECT title, since, why, next FROM v_stuck ORDER BY title")
    assert [tuple(row) for row in rows] == [
        ("account agent:ada", START, "so", "orchestrator resume --account agent:ada"),
        ("agent ada", START, "so", "orchestrator resume --agent ada"),
        ("project forge", START, "so", "orchestrator resume --project forge"),
        ("the whole board", START, "so", "orchestrator resume --all"),
    ]


MANY = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
INSERT INTO tasks (project_id, agent_id, role, title, priority, due_at) SELECT 'asleep', :agent, :role, 'x', 9, :now FROM n
"""


def steps(tx: Tx) -> int:
    """How many steps of SQLite's machine it takes to find ada her next task."""
    connection: sqlite3.Connection = tx._connection
    count = 0

    def one_more() -> int:
        nonlocal count
        count += 1
        return 0

    connection.set_progress_handler(one_more, 1)
    try:
        found = claims.best(tx, "ada")
    finally:
        connection.set_progress_handler(None, 0)
    assert found is not None and found["priority"] == 0
    return count


async def test_the_ready_tasks_of_a_paused_project_are_not_looked_at(board: Board) -> None:
    def life(tx: Tx) -> tuple[int, int]:
        tx.run("INSERT INTO projects (id) VALUES ('asleep')")
        pauses.pause(tx, Target("project", "asleep"), reason="so", actor="person:root")
        scenes.post(tx, priority=0)
        claims.promote(tx)
        before = steps(tx)
        tx.run(MANY, count=2000, agent="ada", role=None, now=tx.now)
        tx.run(MANY, count=2000, agent=None, role="smith", now=tx.now)
        while claims.promote(tx):
            pass
        return before, steps(tx)

    before, after = await board.write(life)
    assert after < before * 1.5


async def test_one_update_that_changes_several_things_tells_each(board: Board) -> None:
    def life(tx: Tx) -> None:
        tx.run("UPDATE agents SET enabled = 0, paused_at = :now WHERE id = 'ada'", now=START)
        tx.run("UPDATE agents SET enabled = 1, paused_at = NULL, max_live = 7 WHERE id = 'ada'")
        tx.run("UPDATE agents SET max_live = 8 WHERE id = 'ada'")
        found = tx.all("SELECT verb FROM events WHERE agent_id = 'ada' AND task_id IS NULL ORDER BY id")
        assert [row["verb"] for row in found][-5:] == [
            "agent_disabled", "agent_paused", "agent_enabled", "agent_resumed", "agent_changed",
        ]  # fmt: skip

    await board.write(life)
