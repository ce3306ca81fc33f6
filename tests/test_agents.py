"""Agents and projects on the board: what the configuration says of them, pausing, and the breaker."""

from __future__ import annotations

import pytest

from blackboard import agents, claims, pauses, tokens, verbs
from blackboard.board import Board, Rows, Tx
from blackboard.gates import Room
from blackboard.pauses import Target
from tests import scenes
from tests.fake_clock import START, FakeClock


def row_of(rows: Rows, agent: str) -> dict[str, object]:
    row = rows.one("SELECT * FROM agents WHERE id = :agent", agent=agent)
    assert row is not None
    return dict(row)


def roles_of(rows: Rows, agent: str) -> list[str]:
    return [row["role"] for row in rows.all(claims.ROLES, agent=agent)]


def agent_events(rows: Rows) -> list[tuple[str, str, str, str | None]]:
    found = rows.all("SELECT actor, verb, agent_id, reason FROM events WHERE verb GLOB 'agent_*' ORDER BY id")
    return [(row["actor"], row["verb"], row["agent_id"], row["reason"]) for row in found]


async def test_an_agent_is_as_the_configuration_says(board: Board) -> None:
    await board.write(agents.put_agent, "zoe", runner="codex", max_live=3, roles=["smith", "baker", "smith"])
    row = await board.read(row_of, "zoe")
    assert (row["runner"], row["enabled"], row["max_live"], row["paused_at"], row["created_at"]) == (
        "codex",
        1,
        3,
        None,
        START,
    )
    assert await board.read(roles_of, "zoe") == ["baker", "smith"]


async def test_saying_the_same_again_changes_nothing(board: Board) -> None:
    await board.write(agents.put_agent, "ada", max_live=2, roles=["smith"])
    await board.write(agents.put_project, scenes.PROJECT, "The forge")
    before = await board.read(scenes.everything)
    await board.write(agents.put_agent, "ada", max_live=2, roles=["smith"])
    await board.write(agents.put_project, scenes.PROJECT, "The forge")
    assert await board.read(scenes.everything) == before


async def test_a_change_of_the_configuration_is_told_and_keeps_the_history(board: Board) -> None:
    def life(tx: Tx) -> None:
        scenes.post_at(tx, "done")
        agents.put_agent(tx, "ada", max_live=1, roles=["baker"])
        agents.put_agent(tx, "ada", max_live=1, enabled=False, roles=["baker"])
        agents.put_agent(tx, "ada", max_live=1, enabled=True, roles=["baker"])
        agents.put_project(tx, scenes.PROJECT, "Another title")

    await board.write(life)
    assert await board.read(roles_of, "ada") == ["baker"]
    assert [verb for _, verb, _, _ in await board.read(agent_events)] == [
        "agent_changed",
        "agent_disabled",
        "agent_enabled",
    ]
    assert {actor for actor, *_ in await board.read(agent_events)} == {"engine:config"}
    assert (await board.all("SELECT title FROM projects"))[0][0] == "Another title"
    assert len(await board.all("SELECT * FROM attempts WHERE agent_id = 'ada'")) == 1


async def test_a_configuration_that_changes_does_not_resume_who_is_paused(board: Board) -> None:
    await board.write(pauses.pause, Target("agent", "ada"), reason="so", actor="person:root")
    await board.write(agents.put_agent, "ada", max_live=5)
    assert (await board.read(row_of, "ada"))["paused_at"] == START


async def test_who_is_not_named_any_more_is_disabled_and_kept(board: Board) -> None:
    assert await board.write(agents.disable_others, ["ada", "nobody"]) == ["bob", "eve"]
    assert await board.write(agents.disable_others, ["ada"]) == []
    assert [row["id"] for row in await board.all("SELECT id FROM agents WHERE enabled")] == ["ada"]
    assert await board.read(agent_events) == [
        ("engine:config", "agent_disabled", "bob", None), ("engine:config", "agent_disabled", "eve", None)
    ]  # fmt: skip


async def test_an_agent_is_paused_once_with_a_reason(board: Board, clock: FakeClock) -> None:
    assert await board.write(pauses.pause, Target("agent", "ada"), reason="no paper", actor="person:root")
    clock.go_on(60)
    assert not await board.write(pauses.pause, Target("agent", "ada"), reason="no ink", actor="engine:breaker")
    row = await board.read(row_of, "ada")
    assert (row["paused_at"], row["pause_reason"]) == (START, "no paper")
    assert await board.read(agent_events) == [("person:root", "agent_paused", "ada", "no paper")]


def ends(tx: Tx, outcome: str) -> bool:
    """ada tries once more, and it ends so; whether the breaker tripped."""
    task = scenes.post(tx)
    attempt = scenes.claim(tx, task)
    verbs.end_badly(tx, attempt, outcome, actor="engine:monitor", detail="no such file")
    tripped = pauses.state(tx, Target("agent", "ada")).since is not None
    scenes.see_off(tx, task)
    return tripped


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (["spawn_failed"] * 3, [False, False, True]),
        (["prompt_failed"] * 3, [False, False, True]),
        (["spawn_failed", "prompt_failed", "spawn_failed", "spawn_failed", "spawn_failed"], [False] * 4 + [True]),
        (["spawn_failed", "spawn_failed", "crashed", "spawn_failed", "spawn_failed"], [False] * 5),
    ],
)
async def test_the_third_failure_to_start_in_a_row_pauses_the_agent(
    board: Board, outcomes: list[str], expected: list[bool]
) -> None:
    seen = [await board.write(ends, outcome) for outcome in outcomes]
    assert seen == expected
    told = await board.read(agent_events)
    assert len(told) == sum(expected)
    if told:
        actor, verb, agent, reason = told[0]
        assert (actor, verb, agent) == ("engine:breaker", "agent_paused", "ada")
        assert f"({outcomes[-1]}: no such file)" in str(reason) and "mend the configuration" in str(reason)


async def test_one_agents_failures_do_not_pause_another(board: Board) -> None:
    def life(tx: Tx) -> list[bool]:
        seen = []
        for agent in ("ada", "bob", "ada", "bob"):
            task = scenes.post(tx, agent=agent)
            attempt = scenes.claim(tx, task, agent)
            verbs.end_badly(tx, attempt, "spawn_failed", actor="engine:monitor")
            seen.append(pauses.state(tx, Target("agent", agent)).since is not None)
        return seen

    assert await board.write(life) == [False] * 4


async def test_a_paused_agent_claims_nothing_and_a_resumed_one_goes_on(board: Board) -> None:
    await board.write(scenes.post)
    await board.write(pauses.pause, Target("agent", "ada"), reason="so", actor="person:root")
    assert await board.write(claims.claim_due, [tokens.digest("bbt_1")], Room(9)) == []
    await board.write(lambda tx: tx.run("UPDATE agents SET paused_at = NULL WHERE id = 'ada'"))
    assert await board.write(claims.claim_due, [tokens.digest("bbt_1")], Room(9)) == [1]
