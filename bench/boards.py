"""Boards of a given size for the measurements, filled fast by SQL under the same triggers."""

from __future__ import annotations

from pathlib import Path

from blackboard import agents
from blackboard.board import Board, Tx
from blackboard.tokens import digest, mint

MANY = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
INSERT INTO tasks (project_id, agent_id, title, priority, due_at)
SELECT :project, :agent, 'task ' || i, i % 10, :due FROM n
"""
FAR = "2099-01-01T00:00:00.000Z"
PAST = "2020-01-01T00:00:00.000Z"
CLAIM = """
INSERT INTO attempts (task_id, number, role, agent_id, token_hash, claimed_at, claimed_by)
VALUES (:task, 1, 'executor', 'w', :hash, :now, 'engine:bench')
"""
READY = "UPDATE tasks SET ready = 1 WHERE status = 'pending' AND due_at <= :now"


def furnish(tx: Tx) -> None:
    """A project and an agent."""
    agents.put_project(tx, "p")
    agents.put_agent(tx, "w", max_live=1_000_000_000)


def many(tx: Tx, count: int, due: str, agent: str = "w", project: str = "p") -> None:
    """So many pending tasks."""
    tx.run(MANY, count=count, due=due, agent=agent, project=project)


async def claimed_board(path: Path, count: int) -> list[tuple[int, str]]:
    """A board with `count` claimed tasks; each task with the token of its attempt."""
    board = await Board.open(path)
    tokens = [(task, mint()) for task in range(1, count + 1)]
    await board.write(furnish)
    await board.write(many, count, PAST)
    await board.write(_claim_all, tokens)
    await board.close()
    return tokens


def _claim_all(tx: Tx, tokens: list[tuple[int, str]]) -> None:
    for task, token in tokens:
        tx.run(CLAIM, task=task, hash=digest(token), now=tx.now)
