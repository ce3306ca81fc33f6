"""A furnished board, and short words for the steps of a task's life, all by the product's own verbs.

The steps are plain functions over a transaction, for `board.write`; the same write run again does the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from blackboard import agents, attempts, claims, journal, move, tokens, verbs
from blackboard.board import Board, Rows, Tx
from blackboard.policy import Policy

T = TypeVar("T")
PROJECT = "forge"
STATES = ("pending", "claimed", "working", "review", "done", "failed", "blocked", "cancelled")
TABLES = "agents agent_roles attempts comments dependencies events meta outputs projects refusals slots tasks tokens whole_board"


def furnish(tx: Tx) -> None:
    """A project, two smiths and one who is none; each may have nine attempts live."""
    agents.put_project(tx, PROJECT, "The forge")
    for agent, roles in {"ada": ["smith"], "bob": ["smith"], "eve": []}.items():
        agents.put_agent(tx, agent, max_live=9, roles=roles)


def post(tx: Tx, **given: Any) -> int:
    """A task, for ada unless said otherwise; its id."""
    whose: dict[str, Any] = {} if "role" in given else {"agent": "ada"}
    return verbs.post(tx, **{"project": PROJECT, "title": "nail", "actor": "person:root", "policy": Policy(), **whose, **given})  # fmt: skip


def token_of(task: int, number: int) -> str:
    """The token of an attempt that `claim` made."""
    return tokens.PREFIX + hashlib.sha256(f"{task}/{number}".encode()).hexdigest()


def claim(tx: Tx, task: int, agent: str = "ada") -> sqlite3.Row:
    """Claim a task for an agent; the attempt."""
    number = len(tx.all("SELECT 1 FROM attempts WHERE task_id = :task", task=task)) + 1
    return attempts.get(tx, claims.claim(tx, task, agent, tokens.digest(token_of(task, number))))


REVIEW = """
INSERT INTO attempts (task_id, number, role, agent_id, token_hash, claimed_at, claimed_by)
VALUES (:task, :number, 'reviewer', :agent, :hash, :now, 'engine:tick')
"""


def claim_review(tx: Tx, task: int, agent: str = "eve") -> sqlite3.Row:
    """A reviewer begins to look at a task; the attempt."""
    number = len(tx.all("SELECT 1 FROM attempts WHERE task_id = :task", task=task)) + 1
    given = {"number": number, "agent": agent, "hash": tokens.digest(token_of(task, number)), "now": tx.now}
    return attempts.get(tx, tx.insert(REVIEW, task=task, **given))


def work(tx: Tx, task: int, agent: str = "ada") -> sqlite3.Row:
    """Claim, start and hand an output in; the attempt."""
    attempt = claim(tx, task, agent)
    verbs.start(tx, attempt, actor=f"executor:{agent}")
    journal.add_output(tx, attempt, type="code", title="a nail", content="iron")
    return attempt


def submit(tx: Tx, task: int, agent: str = "ada") -> sqlite3.Row:
    """Work, hand in for review, be gone; the attempt as it is then."""
    attempt = work(tx, task, agent)
    verbs.submit(tx, attempt, actor=f"executor:{agent}", detail="made it")
    return see_off(tx, task)


def see_off(tx: Tx, task: int) -> sqlite3.Row:
    """The latest attempt's processes are proved gone; the attempt as it is then."""
    attempts.gone(tx, latest(tx, task)["id"])
    return latest(tx, task)


def reach(tx: Tx, task: int, status: str) -> int:
    """Bring a pending task to a state, with an attempt on its way wherever it can have one; the task."""
    match status:
        case "claimed":
            claim(tx, task)
        case "working":
            work(tx, task)
        case "review":
            submit(tx, task)
        case "done":
            submit(tx, task)
            verbs.approve(tx, task, actor="person:root")
        case "failed":
            verbs.end_badly(tx, work(tx, task), "failed", actor="executor:ada", detail="broke", final=True)
            see_off(tx, task)
        case "blocked":
            verbs.block(tx, work(tx, task), actor="executor:ada", kind="needs_input", question="how long?")
            see_off(tx, task)
        case "cancelled":
            work(tx, task)
            verbs.cancel(tx, task, actor="person:root")
            see_off(tx, task)
    return task


def post_at(tx: Tx, status: str, **given: Any) -> int:
    """Post a task and bring it to a state; its id."""
    return reach(tx, post(tx, **given), status)


def latest(rows: Rows, task: int) -> sqlite3.Row:
    """The latest attempt of a task."""
    row = rows.one("SELECT * FROM attempts WHERE task_id = :task ORDER BY number DESC LIMIT 1", task=task)
    assert row is not None, f"task {task} has no attempt"
    return row


def status_of(tx: Tx, task: int) -> str:
    return str(move.get(tx, task)["status"])


def story(rows: Rows, task: int) -> list[str]:
    """Every event of a task, as `actor verb`."""
    found = rows.all("SELECT actor, verb FROM events WHERE task_id = :task ORDER BY id", task=task)
    return [f"{row['actor']} {row['verb']}" for row in found]


def everything(rows: Rows, but: str = "") -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table; `but`: tables left out."""
    tables = [table for table in TABLES.split() if table not in but.split()]
    return {table: [tuple(row) for row in rows.all(f"SELECT * FROM {table}")] for table in tables}


# --- How items meet the writer ------------------------------------------------------------------------------------


class _Undone(Exception):
    def __init__(self, result: object) -> None:
        self.result = result


async def tried(board: Board, fn: Callable[[Tx], object]) -> Any:
    """What a transaction gives, and then it is undone: its result, or the error its caller would see."""

    def undone(tx: Tx) -> None:
        raise _Undone(fn(tx))

    try:
        await board.write(undone)
    except _Undone as seen:
        return seen.result
    except Exception as error:
        return error


async def in_one_batch(board: Board, *items: Callable[[Tx], object]) -> list[Any]:
    """Write items in one batch, whatever the machine does: the writer is held until all of them wait.

    Each one's answer, or the error its caller saw.
    """
    held, let_go, batches = threading.Event(), threading.Event(), list[int]()

    def hold(_tx: Tx) -> None:
        held.set()
        assert let_go.wait(30)

    do = board._writer._do

    def counting(batch: list[Any]) -> None:
        batches.append(len(batch))
        do(batch)

    board._writer._do = counting  # type: ignore[method-assign]
    first = asyncio.create_task(board.write(hold))
    await asyncio.to_thread(held.wait, 30)
    waiting = [asyncio.create_task(board.write(item)) for item in items]
    await asyncio.sleep(0)  # every task runs to where it waits for its answer
    let_go.set()
    await first
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    board._writer._do = do  # type: ignore[method-assign]
    assert batches[1:] == [len(items)], f"meant to be one batch, and was {batches[1:]}"
    return answers
