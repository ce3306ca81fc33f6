"""The claim: the most urgent task for each free agent, at once for all, and at a cost that no history raises."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing

import pytest

from blackboard import (
    accounting,
    agents,
    attempts,
    breaker,
    briefs,
    budgets,
    claims,
    contracts,
    day_budgets,
    explaining,
    families,
    handed_in,
    journal,
    loops,
    move,
    occurrences,
    pauses,
    planned,
    questions,
    repeating,
    reviews,
    sessions,
    slot_names,
    sources,
    standing,
    tokens,
    verbs,
)
from blackboard.board import Board, Tx
from blackboard.clock import plus
from blackboard.errors import Refused
from blackboard.gates import Room
from blackboard.policy import Policy
from tests import scenes
from tests.fake_clock import START, FakeClock
from tests.raw_board import SCHEMA
from tests.scenes import tried


def hashes(many: int, first: int = 0) -> list[bytes]:
    return [tokens.digest(f"bbt_{number}") for number in range(first, first + many)]


def claimed(tx: Tx, many: int = 99, most: int = 99) -> list[tuple[int, str]]:
    """Claim; (task, agent) in the order they were claimed."""
    first = len(tx.all("SELECT 1 FROM attempts"))
    made = claims.claim_due(tx, hashes(many, first), Room(most))
    return [(attempts.get(tx, one)["task_id"], attempts.get(tx, one)["agent_id"]) for one in made]


def due(minutes: int) -> str:
    return plus(START, 60 * minutes)


# --- Which, and for whom --------------------------------------------------------------------------------------------------


async def test_the_order_is_priority_then_due_time_then_id(board: Board) -> None:
    def life(tx: Tx) -> list[int]:
        for priority, minutes in [(5, -1), (9, -1), (5, -2), (9, 0), (-3, -90), (5, -2), (9, -1)]:
            scenes.post(tx, priority=priority, due_at=due(minutes))
        return [task for task, _ in claimed(tx)]

    assert await board.write(life) == [2, 7, 4, 3, 6, 1, 5]


async def test_own_tasks_and_those_of_a_role_stand_in_one_line(board: Board) -> None:
    posted: list[tuple[int, int, dict[str, str]]] = [
        (1, -1, {"role": "smith"}), (2, -1, {"agent": "ada"}), (3, -1, {"role": "baker"}), (4, -1, {"agent": "eve"}),
        (0, -1, {"agent": "ada"}), (1, -2, {"agent": "ada"}), (1, -1, {"agent": "ada"}),
    ]  # fmt: skip

    def life(tx: Tx) -> list[tuple[int, str]]:
        agents.put_agent(tx, "bob", enabled=False)
        agents.put_agent(tx, "ada", max_live=9, roles=["smith", "baker"])
        for priority, minutes, whose in posted:
            scenes.post(tx, priority=priority, due_at=due(minutes), **whose)
        return claimed(tx)

    assert await board.write(life) == [
        (4, "eve"),
        (3, "ada"),
        (2, "ada"),
        (6, "ada"),
        (1, "ada"),
        (7, "ada"),
        (5, "ada"),
    ]


async def test_a_task_is_claimed_by_nobody_it_is_not_for(board: Board) -> None:
    own, of_role = await board.write(scenes.post), await board.write(scenes.post, role="smith")
    for task, agent in [(own, "bob"), (own, "eve"), (of_role, "eve")]:
        seen = await tried(board, lambda tx, task=task, agent=agent: scenes.claim(tx, task, agent))  # type: ignore[misc]
        assert type(seen) is Refused and "not for this agent" in seen.sentence
    assert isinstance(await tried(board, lambda tx: scenes.claim(tx, of_role, "bob")), sqlite3.Row)


async def test_free_agents_share_the_tasks_of_a_role(board: Board) -> None:
    def life(tx: Tx) -> list[tuple[int, str]]:
        agents.put_agent(tx, "ada", max_live=1, roles=["smith"])
        agents.put_agent(tx, "bob", max_live=2, roles=["smith"])
        for _ in range(5):
            scenes.post(tx, role="smith")
        return claimed(tx)

    assert await board.write(life) == [(1, "ada"), (2, "bob"), (3, "bob")]


@pytest.mark.parametrize(("max_live", "most", "tokens_given", "expected"), [(0, 9, 9, 0), (1, 9, 9, 1), (3, 9, 9, 3), (9, 2, 9, 2), (9, 0, 9, 0), (9, 9, 4, 4)])  # fmt: skip
async def test_capacity_is_that_of_the_agent_of_all_and_of_the_tokens(
    board: Board, max_live: int, most: int, tokens_given: int, expected: int
) -> None:
    def life(tx: Tx) -> int:
        agents.put_agent(tx, "ada", max_live=max_live)
        for _ in range(9):
            scenes.post(tx)
        return len(claimed(tx, tokens_given, most))

    assert await board.write(life) == expected


async def test_capacity_comes_back_when_an_attempt_is_gone_and_not_when_it_has_ended(board: Board) -> None:
    def life(tx: Tx) -> list[int]:
        agents.put_agent(tx, "ada", max_live=1)
        for _ in range(3):
            scenes.post(tx, policy=Policy(max_tries=1))
        seen = [len(claimed(tx))]
        verbs.end_badly(tx, scenes.latest(tx, 1), "crashed", actor="engine:monitor")
        seen.append(len(claimed(tx)))
        scenes.see_off(tx, 1)
        return [*seen, len(claimed(tx))]

    assert await board.write(life) == [1, 0, 1]


async def test_a_reviewers_attempt_takes_a_place_too(board: Board) -> None:
    def life(tx: Tx) -> list[tuple[int, str]]:
        scenes.claim_review(tx, scenes.post_at(tx, "review"))
        agents.put_agent(tx, "eve", max_live=1)
        scenes.post(tx, agent="eve")
        return claimed(tx)

    assert await board.write(life) == []


async def test_a_claim_moves_the_task_and_says_so_in_one_statement(board: Board) -> None:
    def life(tx: Tx) -> list[object]:
        task = scenes.post(tx, not_before=START)
        [(_, agent)] = claimed(tx)
        row, attempt = move.get(tx, task), scenes.latest(tx, task)
        story = scenes.story(tx, task)
        return [
            agent,
            row["status"],
            row["attempt_id"] == attempt["id"],
            row["not_before"],
            attempt["number"],
            attempt["claimed_at"],
            story,
        ]

    assert await board.write(life) == [
        "ada",
        "claimed",
        True,
        None,
        1,
        START,
        ["person:root post", "engine:tick claim"],
    ]


async def test_the_same_token_claims_once(board: Board) -> None:
    await board.write(scenes.post)
    await board.write(scenes.post)
    await board.write(claims.claim_due, hashes(1), Room(9))
    seen = await tried(board, lambda tx: claims.claim_due(tx, hashes(1), Room(9)))
    assert "exists: attempts are not replaced" in str(seen)


async def test_an_agent_with_nothing_to_do_does_not_hold_the_others_up(board: Board) -> None:
    assert await board.write(claimed) == []
    await board.write(scenes.post, agent="eve")
    assert await board.write(claimed) == [(1, "eve")]


# --- When -------------------------------------------------------------------------------------------------------------------


async def test_what_is_due_becomes_ready_and_the_next_time_is_known(board: Board, clock: FakeClock) -> None:
    for given in (
        {"due_at": due(1)},
        {"not_before": due(2)},
        {"due_at": due(3), "not_before": due(1)},
        {"due_at": due(-1)},
    ):
        await board.write(scenes.post, **given)
    await board.write(scenes.post, needs=[1])

    async def next_due() -> object:
        row = await board.one(claims.NEXT_DUE)
        return row and row["earliest_at"]

    assert (await board.write(claims.promote), await next_due()) == (1, due(1))
    clock.go_on(59.999)
    assert (await board.write(claims.promote), await next_due()) == (0, due(1))
    clock.go_on(0.001)
    assert (await board.write(claims.promote), await next_due()) == (1, due(2))
    clock.go_on(600)
    assert (await board.write(claims.promote), await next_due()) == (2, None)


async def test_a_clock_set_back_takes_nothing_early(board: Board, clock: FakeClock) -> None:
    await board.write(scenes.post, due_at=due(1))
    clock.go_on(61)
    assert await board.write(claims.promote) == 1
    clock.jump_to(START)
    assert await board.write(claimed) == []
    clock.jump_to(due(1))
    assert await board.write(claimed) == [(1, "ada")]


async def test_a_flood_is_promoted_in_portions(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "PROMOTE_AT_ONCE", 3)

    def life(tx: Tx) -> list[int]:
        for _ in range(7):
            scenes.post(tx)
        return [claims.promote(tx) for _ in range(4)]

    assert await board.write(life) == [3, 3, 1, 0]


# --- At what cost -------------------------------------------------------------------------------------------------------------

# Queries that run at every tick, claim or call, and the index that makes each independent of how much there is.
HOT = {
    claims.BEST_OF_AGENT: "tasks_ready_for_agent (agent_id=? AND project_id=?)",
    claims.BEST_OF_ROLE: "tasks_ready_for_role (role=? AND project_id=?)",
    pauses.LIVING["agent"]: "attempts_not_gone",
    pauses.LIVING["project"]: "one_attempt_not_gone",
    pauses.LIVING["board"]: "one_attempt_not_gone",
    claims.BEST_REVIEW: "tasks_to_review (reviewer=?)",
    claims.NEXT_REVIEW: "reviews_waiting_for_time (not_before>?)",
    reviews.HOPELESS: "tasks_to_review",
    reviews.HOPELESS_ONE: "INTEGER PRIMARY KEY (rowid=?)",
    reviews.TRIES: "(task_id=?)",
    reviews.WAIT: "INTEGER PRIMARY KEY (rowid=?)",
    reviews.HAND_OVER: "INTEGER PRIMARY KEY (rowid=?)",
    handed_in.LAST_WORK: "(task_id=?",
    handed_in.OUTPUTS: "outputs_of_attempt (attempt_id=?)",
    claims.PROMOTE: "tasks_waiting_for_time",
    claims.NEXT_DUE: "tasks_waiting_for_time",
    claims.AGENTS: "attempts_not_gone",
    claims.ALL_LIVE: "one_attempt_not_gone",
    claims.ROLES: "PRIMARY KEY (agent_id=?)",
    claims.CLAIM: "(task_id=?)",
    attempts.NOT_GONE: "one_attempt_not_gone",
    attempts.ONE_NOT_GONE: "INTEGER PRIMARY KEY (rowid=?)",
    attempts.SEEN: "INTEGER PRIMARY KEY (rowid=?)",
    attempts.GONE: "INTEGER PRIMARY KEY (rowid=?)",
    attempts.TOLD: "INTEGER PRIMARY KEY (rowid=?)",
    breaker.LATEST: "attempts_of_agent (agent_id=?)",
    breaker.LATEST_TOLD: "attempts_of_agent (agent_id=?)",
    breaker.FINGERPRINT: "INTEGER PRIMARY KEY (rowid=?)",
    attempts.FAILURE_KIND: "INTEGER PRIMARY KEY (rowid=?)",
    loops.ENDED: "(task_id=?)",
    loops.SUBMITTED: "(task_id=?)",
    loops.ASKED: "(task_id=?)",
    day_budgets.SPENT_ON: "attempts_by_claim (claimed_at>? AND claimed_at<?)",
    accounting.SPENDING: "attempts_by_claim (claimed_at>? AND claimed_at<?)",
    budgets.SPENT_ON_TASK: "(task_id=?)",
    budgets.OF_TASK: "INTEGER PRIMARY KEY (rowid=?)",
    standing.STANDING: "INTEGER PRIMARY KEY (rowid=?)",
    standing.TOLD_ATTEMPT: "INTEGER PRIMARY KEY (rowid=?)",
    attempts.USED: "INTEGER PRIMARY KEY (rowid=?)",
    attempts.RESULT: "INTEGER PRIMARY KEY (rowid=?)",
    tokens.ATTEMPT: "(token_hash=?)",
    tokens.STANDING: "PRIMARY KEY (hash=?)",
    move.TASK: "INTEGER PRIMARY KEY (rowid=?)",
    move.MOVE: "INTEGER PRIMARY KEY (rowid=?)",
    verbs.ENDS: "INTEGER PRIMARY KEY (rowid=?)",
    verbs.TRIES: "(task_id=?)",
    verbs.REJECTIONS: "events_of_task (task_id=? AND id>?)",
    verbs.BROKEN_NEED: "PRIMARY KEY (task_id=?)",
    families.DEPENDENTS_TO_BLOCK: "dependencies_needed (needs_id=?)",
    families.DEPENDENTS_TO_FREE: "dependencies_needed (needs_id=?)",
    families.CHILDREN_TO_CANCEL: "tasks_parent (parent_id=?)",
    slot_names.SLOT: "(source=? AND agent_id=? AND uid=?)",
    occurrences.TASK_OF: "one_task_an_occurrence (slot_id=? AND occurrence=?)",
    occurrences.PENDING_OF: "one_task_an_occurrence (slot_id=?)",
    questions.TASK: "INTEGER PRIMARY KEY (rowid=?)",
    explaining.REVIEW: "INTEGER PRIMARY KEY (rowid=?)",
    explaining.IS_NO_AUTHOR: "INTEGER PRIMARY KEY (rowid=?)",
    explaining.GATES: "INTEGER PRIMARY KEY (rowid=?)",
    questions.OUTPUTS: "outputs_of_task (task_id=?)",
    briefs.SUMMARIES: "outputs_of_attempt (attempt_id=?)",
    questions.COMMENTS: "comments_of_task (task_id=?)",
    questions.ATTEMPTS: "(task_id=?)",
    sessions.FORMER: "attempts_of_session (session_key=?",
    sessions.AT_WORK: "attempts_of_session (session_key=?",
    sessions.SO_FAR: "attempts_of_session (session_key=?",
    questions.EVENTS: "events_of_task (task_id=?)",
    questions.EVENTS_AFTER: "INTEGER PRIMARY KEY (rowid>?)",
    questions.EVENTS_OF_TASK_AFTER: "events_of_task (task_id=? AND id>?)",
    questions.CHILDREN: "tasks_parent (parent_id=?)",
    questions.NEEDS: "PRIMARY KEY (task_id=?)",
    planned.PLANNED: "one_task_an_occurrence (slot_id=?)",
    planned.PENDING: "one_task_an_occurrence (slot_id=?)",
    planned.UPCOMING: "tasks_of_slots_by_time (due_at>?)",
    contracts.BEFORE: "tasks_of_series (series=? AND due_at<?)",
    repeating.ENDING: "slots_that_repeat (posted_until<?)",
    repeating.NOT_BEGUN: "one_task_an_occurrence (slot_id=?)",
    repeating.TAKEN: "one_task_an_occurrence (slot_id=? AND occurrence>?)",
    sources.FOUND: "PRIMARY KEY (name=?)",
    questions.RUNNING: "one_attempt_not_gone",
    journal.REFUSED: "",
}
# Sorted in passing: never more than the attempts alive, or the few rows of one task or slot.
MAY_SORT = {
    *pauses.LIVING.values(),
    planned.PLANNED,
    attempts.NOT_GONE,
    questions.RUNNING,
    occurrences.PENDING_OF,
    planned.PENDING,
    questions.NEEDS,
    verbs.BROKEN_NEED,
    loops.ENDED,  # the outputs of one attempt
    loops.SUBMITTED,
    day_budgets.SPENT_ON,  # one row an agent
    accounting.SPENDING,  # the same
}
GROWING = r"(tasks|attempts|events|outputs|comments|dependencies|t|a|e|d|n|f|r)"
FEW_ROWS = (
    "one_attempt_not_gone",
    "attempts_not_gone",
    "tasks_waiting_for_time",
    "tasks_to_review",
)  # partial: hold what is open only


def plan(query: str) -> list[str]:
    """SQLite's plan on a new board: no ANALYZE, no rows."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA)
        named = dict.fromkeys(re.findall(r":([a-z_0-9]+)", query))
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", named)]


@pytest.mark.parametrize("query", HOT, ids=[re.sub(r"\s+", " ", query).strip()[:60] for query in HOT])
def test_a_hot_query_has_its_index(query: str) -> None:
    lines = plan(query)
    assert HOT[query] in "\n".join(lines)
    scans = [line for line in lines if re.match(rf"SCAN {GROWING}\b", line)]
    assert [line for line in scans if not line.endswith(FEW_ROWS)] == []
    # Over a table: it is missing an index. Over what was just summed up by agent: a few rows, looked up once each.
    assert [each for each in lines if "AUTOMATIC" in each and f"MATERIALIZE {each.split()[1]}" not in lines] == []
    assert query in MAY_SORT or "TEMP B-TREE" not in "\n".join(lines)


def test_a_planted_scan_would_be_seen() -> None:
    assert plan("SELECT * FROM tasks t WHERE t.title = 'x' ORDER BY priority") == [
        "SCAN t",
        "USE TEMP B-TREE FOR ORDER BY",
    ]


@pytest.mark.parametrize(("view", "never"), [("v_running", "SCAN a"), ("v_stuck", "SCAN t")])
def test_what_operators_ask_all_day_reads_no_history(view: str, never: str) -> None:
    assert never not in plan(f"SELECT * FROM {view}")
