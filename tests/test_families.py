"""What a task's end means for its relatives: dependents are blocked or freed, children cancelled; after raw SQL too."""

from __future__ import annotations

import random
import sqlite3
import subprocess

import pytest

from blackboard import claims, explaining, families, move, verbs
from blackboard.board import Board, Tx
from blackboard.errors import Refused
from blackboard.gates import Room
from blackboard.policy import Policy
from tests import scenes
from tests.fake_clock import FakeClock
from tests.scenes import status_of, tried


def states(tx: Tx, *tasks: int) -> list[str]:
    return [status_of(tx, task) for task in tasks]


def fails(tx: Tx, task: int) -> None:
    verbs.end_badly(tx, scenes.work(tx, task), "failed", actor="executor:ada", detail="broke", final=True)
    scenes.see_off(tx, task)


def succeeds(tx: Tx, task: int) -> None:
    scenes.submit(tx, task)
    verbs.approve(tx, task, actor="person:root")


def by_hand(board: Board, statement: str) -> None:
    """What an operator types into the sqlite3 shell."""
    done = subprocess.run(["sqlite3", str(board.path), statement], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# --- Dependencies -----------------------------------------------------------------------------------------------------


async def test_a_task_waits_until_all_it_needs_is_done(board: Board, clock: FakeClock) -> None:
    def life(tx: Tx) -> list[object]:
        first, second = scenes.post(tx), scenes.post(tx)
        last = scenes.post(tx, needs=[first, second, first], agent="bob")
        said: list[object] = []
        for task in (first, second):
            claims.promote(tx)
            said.append(claims.best(tx, "bob"))
            succeeds(tx, task)
        claims.promote(tx)
        best = claims.best(tx, "bob")
        return [*said, best["id"] if best else None, last]

    assert await board.write(life) == [None, None, 3, 3]


@pytest.mark.parametrize(("end", "word"), [("failed", "failed"), ("cancelled", "cancelled")])
async def test_a_need_that_ends_badly_blocks_what_waits_for_it(board: Board, end: str, word: str) -> None:
    def life(tx: Tx) -> list[object]:
        need = scenes.post(tx)
        waiting, other = scenes.post(tx, needs=[need]), scenes.post(tx)
        scenes.reach(tx, need, end)
        row = move.get(tx, waiting)
        return [row["status"], row["blocked_kind"], row["reason"], row["actor"], status_of(tx, other)]

    status, kind, reason, actor, other = await board.write(life)
    assert (status, kind, actor, other) == ("blocked", "dependency", "engine:families", "pending")
    assert f"task 1, which it needs, was {word}" in str(reason)


async def test_a_need_that_is_done_after_all_frees_what_it_blocked(board: Board) -> None:
    def life(tx: Tx) -> list[list[str]]:
        need, second = scenes.post(tx), scenes.post(tx)
        waiting = scenes.post(tx, needs=[need, second])
        fails(tx, need)
        seen = [states(tx, need, waiting)]
        verbs.reopen(tx, need, actor="person:root")
        seen.append(states(tx, need, waiting))
        succeeds(tx, need)
        seen.append(states(tx, need, waiting))  # the second is still open
        succeeds(tx, second)
        return [*seen, states(tx, need, waiting)]

    assert await board.write(life) == [
        ["failed", "blocked"],
        ["pending", "blocked"],
        ["done", "blocked"],
        ["done", "pending"],
    ]


async def test_a_chain_stops_where_it_broke_and_goes_on_link_by_link(board: Board) -> None:
    def life(tx: Tx) -> list[list[str]]:
        chain = [scenes.post(tx)]
        for _ in range(3):
            chain.append(scenes.post(tx, needs=[chain[-1]]))
        fails(tx, chain[0])
        seen = [states(tx, *chain)]
        verbs.cancel(tx, chain[1], actor="person:root")
        seen.append(states(tx, *chain))
        for task in chain[:2]:
            verbs.reopen(tx, task, actor="person:root")
        seen.append(states(tx, *chain))
        for task in chain:
            succeeds(tx, task)
        return [*seen, states(tx, *chain)]

    broken, cancelled, reopened, done = await board.write(life)
    assert broken == [
        "failed",
        "blocked",
        "pending",
        "pending",
    ]  # the third waits for the second, which may yet be answered
    assert cancelled == ["failed", "cancelled", "blocked", "pending"]
    assert reopened == ["pending", "pending", "blocked", "pending"]
    assert done == ["done"] * 4


async def test_an_answer_does_not_mend_a_need_that_failed(board: Board) -> None:
    def life(tx: Tx) -> list[object]:
        need = scenes.post(tx)
        waiting = scenes.post(tx, needs=[need])
        fails(tx, need)
        status = verbs.unblock(tx, waiting, actor="person:root", answer="go on")
        reason = move.get(tx, waiting)["reason"]
        tx.run("DELETE FROM dependencies WHERE task_id = :task", task=waiting)
        return [status, reason, verbs.unblock(tx, waiting, actor="person:root", answer="go on without")]

    status, reason, afterwards = await board.write(life)
    assert (status, afterwards) == ("blocked", "pending")
    assert "DELETE FROM dependencies WHERE task_id = 2 AND needs_id = 1" in str(reason)


async def test_posting_after_the_need_has_ended_is_no_different(board: Board) -> None:
    def life(tx: Tx) -> list[str]:
        ended = {state: scenes.post_at(tx, state) for state in ("done", "failed", "cancelled", "blocked")}
        return [status_of(tx, scenes.post(tx, needs=[task])) for task in ended.values()]

    assert await board.write(life) == ["pending", "blocked", "blocked", "pending"]


@pytest.mark.parametrize("way", ["retry", "reject", "release", "unblock", "reopen"])
async def test_a_task_that_comes_back_to_a_need_that_failed_meanwhile_is_blocked_too(board: Board, way: str) -> None:
    """Its need was done when it was claimed, was reopened and failed then: it must not wait for ever in silence."""

    def life(tx: Tx) -> str:
        need = scenes.post_at(tx, "done")
        task = scenes.post(tx, needs=[need])
        scenes.reach(tx, task, {"reject": "review", "unblock": "blocked", "reopen": "failed"}.get(way, "claimed"))
        verbs.reopen(tx, need, actor="person:root")
        fails(tx, need)
        match way:
            case "retry" | "release":
                outcome = "crashed" if way == "retry" else "released"
                return verbs.end_badly(tx, scenes.latest(tx, task), outcome, actor="engine:monitor")
            case "reject":
                return verbs.reject(tx, task, actor="person:root", remark="again")
            case "unblock":
                return verbs.unblock(tx, task, actor="person:root", answer="so")
            case _:
                return verbs.reopen(tx, task, actor="person:root")

    assert await tried(board, life) == "blocked"


async def test_a_block_that_an_agent_asked_for_is_answered_by_a_person_only(board: Board) -> None:
    """Also when it called it a dependency, and everything that the board knows it needs is done."""

    def life(tx: Tx) -> list[object]:
        need = scenes.post_at(tx, "done")
        task = scenes.post(tx, needs=[need])
        verbs.block(tx, scenes.work(tx, task), actor="executor:ada", kind="dependency", question="no iron in the shop")
        scenes.see_off(tx, task)
        swept = families.sweep(tx)
        verbs.reopen(tx, need, actor="person:root")
        succeeds(tx, need)
        return [swept, status_of(tx, task)]

    assert await board.write(life) == [0, "blocked"]


@pytest.mark.parametrize("length", [1, 2, 5])
async def test_needs_never_run_in_a_circle(board: Board, length: int) -> None:
    def life(tx: Tx) -> None:
        chain = [scenes.post(tx)]
        for _ in range(length - 1):
            chain.append(scenes.post(tx, needs=[chain[-1]]))
        tx.run(verbs.NEED, task=chain[0], needs=chain[-1])

    seen = await tried(board, life)
    assert type(seen) is Refused and "not even by way of others" in seen.sentence


# --- Parents and children ----------------------------------------------------------------------------------------------


async def test_a_cancelled_parent_takes_its_children_along(board: Board) -> None:
    def life(tx: Tx) -> list[object]:
        parent = scenes.post_at(tx, "working")
        children = [scenes.post_at(tx, state, parent_id=parent) for state in scenes.STATES]
        grandchild = scenes.post(tx, parent_id=children[0])
        stranger = scenes.post(tx)
        verbs.cancel(tx, parent, actor="person:root")
        return [
            states(tx, *children),
            status_of(tx, grandchild),
            status_of(tx, stranger),
            move.get(tx, children[0])["reason"],
        ]

    children, grandchild, stranger, reason = await board.write(life)
    kept = {"done", "failed", "cancelled"}
    assert children == [state if state in kept else "cancelled" for state in scenes.STATES]
    assert (grandchild, stranger, reason) == ("cancelled", "pending", "its parent, task 1, was cancelled")


@pytest.mark.parametrize("end", ["done", "failed"])
async def test_a_parent_that_ends_otherwise_leaves_its_children(board: Board, end: str) -> None:
    def life(tx: Tx) -> str:
        parent = scenes.post(tx, policy=Policy(waits_for_children=False))
        child = scenes.post(tx, parent_id=parent)
        scenes.reach(tx, parent, end)
        return status_of(tx, child)

    assert await board.write(life) == "pending"


@pytest.mark.parametrize("first", [0, 1])
async def test_children_that_need_each_other_are_cancelled_with_their_parent(board: Board, first: int) -> None:
    """The first child's end blocks the second, which is then cancelled all the same."""

    def life(tx: Tx) -> list[str]:
        parent = scenes.post_at(tx, "working")
        children = [scenes.post(tx, parent_id=parent) for _ in range(2)]
        tx.run(verbs.NEED, task=children[1 - first], needs=children[first])
        child = scenes.post(tx, parent_id=parent, needs=children)
        verbs.cancel(tx, parent, actor="person:root")
        return states(tx, parent, *children, child)

    assert await board.write(life) == ["cancelled"] * 4


async def test_a_long_line_of_children_is_cancelled(board: Board) -> None:
    def life(tx: Tx) -> set[str]:
        line = [scenes.post(tx)]
        for _ in range(2000):
            line.append(scenes.post(tx, parent_id=line[-1]))
        verbs.cancel(tx, line[0], actor="person:root")
        return {status_of(tx, task) for task in line}

    assert await board.write(life) == {"cancelled"}


# --- What an operator changed by SQL --------------------------------------------------------------------------------------


async def test_what_raw_sql_ended_is_followed_by_the_next_sweep(board: Board) -> None:
    def family(tx: Tx) -> None:
        for _ in range(3):
            scenes.post(tx)  # 1, 2, 3
        scenes.post(tx, needs=[1])  # 4
        scenes.post(tx, parent_id=2)  # 5
        scenes.post(tx, needs=[5])  # 6
        scenes.post(tx, needs=[3])  # 7
        scenes.reach(tx, 3, "failed")

    await board.write(family)
    by_hand(board, "UPDATE tasks SET status = 'cancelled' WHERE id IN (1, 2)")
    assert await board.write(states, 4, 5, 6, 7) == ["pending", "pending", "pending", "blocked"]
    assert await board.write(families.sweep) == 2
    assert await board.write(states, 4, 5, 6, 7) == ["blocked", "cancelled", "blocked", "blocked"]
    assert await board.write(families.sweep) == 0

    by_hand(board, "UPDATE tasks SET status = 'pending' WHERE id = 3; DELETE FROM dependencies WHERE task_id = 4")
    assert await board.write(families.sweep) == 0
    await board.write(succeeds, 3)
    assert await board.write(states, 7) == ["pending"]


async def test_a_need_done_by_raw_sql_frees_what_it_blocked(board: Board) -> None:
    def family(tx: Tx) -> None:
        need = scenes.post_at(tx, "failed")
        scenes.post(tx, needs=[need])
        verbs.reopen(tx, need, actor="person:root")
        scenes.submit(tx, need)

    await board.write(family)
    by_hand(board, "UPDATE tasks SET status = 'done' WHERE id = 1")
    assert await board.write(states, 2) == ["blocked"]
    assert await board.write(families.sweep) == 1
    assert await board.write(states, 2) == ["pending"]


async def test_a_random_family_never_waits_for_what_has_ended_badly(board: Board) -> None:
    """After every move: nobody pending needs a task that failed or was cancelled, nobody is blocked for one that is done."""

    def grow(tx: Tx, chance: random.Random) -> None:
        tasks = [scenes.post(tx, policy=Policy(waits_for_children=False, max_tries=2))]
        for _ in range(25):
            needs = chance.sample(tasks, min(len(tasks), chance.randrange(3)))
            parent = chance.choice([None, *tasks])
            tasks.append(
                scenes.post(tx, needs=needs, parent_id=parent, policy=Policy(waits_for_children=False, max_tries=2))
            )
        for _ in range(400):
            one_step(tx, chance.choice(tasks), chance)
            tx.run("UPDATE attempts SET gone_at = ended_at WHERE ended_at IS NOT NULL AND gone_at IS NULL")
            assert stranded(tx) == [], f"seed {seed}"

    def one_step(tx: Tx, task: int, chance: random.Random) -> None:
        status = status_of(tx, task)
        if status == "pending" and move.get(tx, task)["deps_open"] == 0:
            scenes.reach(tx, task, chance.choice(["working", "review", "failed", "blocked", "done"]))
        elif status == "working":
            outcome = chance.choice(["crashed", "stopped", "failed"])
            verbs.end_badly(tx, scenes.latest(tx, task), outcome, actor="engine:monitor", detail="x")
        elif status == "review":
            chance.choice([reject, approve, cancel])(tx, task)
        elif status == "blocked":
            chance.choice([answer, cancel])(tx, task)
        elif chance.random() < 0.7:
            cancel(tx, task) if status == "pending" and chance.random() < 0.3 else reopen(tx, task)

    def stranded(tx: Tx) -> list[sqlite3.Row]:
        return tx.all("""
            SELECT t.id, t.status, n.id AS need, n.status AS need_status FROM dependencies d
              JOIN tasks t ON t.id = d.task_id JOIN tasks n ON n.id = d.needs_id
             WHERE (t.status = 'pending' AND n.status IN ('failed', 'cancelled'))
                OR (t.status = 'blocked' AND t.blocked_kind = 'dependency' AND t.deps_open = 0)
        """)

    seed = random.randrange(2**32)
    await board.write(grow, random.Random(seed))
    assert await board.write(families.sweep) == 0


def reject(tx: Tx, task: int) -> None:
    verbs.reject(tx, task, actor="person:root", remark="again")


def approve(tx: Tx, task: int) -> None:
    verbs.approve(tx, task, actor="person:root")


def cancel(tx: Tx, task: int) -> None:
    verbs.cancel(tx, task, actor="person:root")


def answer(tx: Tx, task: int) -> None:
    verbs.unblock(tx, task, actor="person:root", answer="so")


def reopen(tx: Tx, task: int) -> None:
    parent = move.get(tx, task)["parent_id"]
    if parent is not None and status_of(tx, parent) == "cancelled":
        return  # the next sweep would cancel it again
    if status_of(tx, task) in ("done", "failed", "cancelled"):
        verbs.reopen(tx, task, actor="person:root")


async def test_a_blocked_dependent_says_what_would_free_it(board: Board, clock: FakeClock) -> None:
    def life(tx: Tx) -> str:
        need = scenes.post_at(tx, "failed")
        task = scenes.post(tx, needs=[need])
        return str(explaining.why(tx, task, tx.now, Room(9))["sentence"])

    assert "task 1, which it needs, was failed" in await board.write(life)
