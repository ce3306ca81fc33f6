"""What each sink was told of each agent: kept after the sink has taken it, so that a restart tells it nothing twice.

A target is one agent at one sink. One that fails is tried again after a while, alone; when a sink was away and takes
something again, it is told everything anew, for it may have forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from blackboard import journal
from blackboard.board import Rows, Tx
from blackboard.clock import plus, seconds_between
from blackboard.policy import backoff

ENGINE = "engine:presence"
LONGEST_WAIT = 300.0  # seconds between two tries of a target that fails

OF_SINK = "SELECT * FROM presence_pushes WHERE sink = :sink ORDER BY agent_id"


def due(rows: Rows, sink: str, wanted: Mapping[str, str], now: str, full_every: float) -> dict[str, str]:
    """Which agents a sink is to be told of now, of those it is wanted to know: their word there, by agent."""
    known = {row["agent_id"]: row for row in rows.all(OF_SINK, sink=sink)}

    def is_due(agent: str, word: str) -> bool:
        row = known.get(agent)
        if row is None:
            return True
        if row["next_at"] is not None and 0 < seconds_between(now, row["next_at"]) <= 2 * LONGEST_WAIT:
            return False
        if row["again"] or row["status"] != word:
            return True
        return not 0 <= seconds_between(row["pushed_at"], now) < full_every  # nor in the future: a clock was set back

    return {agent: word for agent, word in wanted.items() if is_due(agent, word)}


FOUND = "SELECT * FROM presence_pushes WHERE agent_id = :agent AND sink = :sink"
TAKEN = """
INSERT INTO presence_pushes (agent_id, sink, status, pushed_at) VALUES (:agent, :sink, :status, :now)
ON CONFLICT (agent_id, sink) DO UPDATE SET status = excluded.status, pushed_at = excluded.pushed_at, again = 0, failures = 0,
   failing_since = NULL, error = NULL, next_at = NULL
"""
ANSWERED_SINCE = "SELECT 1 FROM presence_pushes WHERE sink = :sink AND pushed_at >= :since LIMIT 1"
AGAIN = "UPDATE presence_pushes SET again = 1, next_at = NULL WHERE sink = :sink AND agent_id <> :agent"


def taken(tx: Tx, sink: str, agent: str, word: str) -> None:
    """A sink has taken what it was told. Event `presence_sink_back` when it is the first thing since it went away."""
    row = tx.one(FOUND, agent=agent, sink=sink)
    if row is not None and row["failures"] and tx.one(ANSWERED_SINCE, sink=sink, since=row["failing_since"]) is None:
        tx.run(AGAIN, sink=sink, agent=agent)
        journal.tell(tx, "presence_sink_back", actor=ENGINE, reason=f"presence:{sink} takes presences again: it is told all of them")  # fmt: skip
    tx.run(TAKEN, agent=agent, sink=sink, status=word, now=tx.now)


FAILED = """
INSERT INTO presence_pushes (agent_id, sink, failures, failing_since, error, next_at) VALUES (:agent, :sink, 1, :now, :error, :next)
ON CONFLICT (agent_id, sink) DO UPDATE SET status = NULL, failures = failures + 1, failing_since = coalesce(failing_since, :now),
   error = :error, next_at = :next
"""
SAME = "SELECT 1 FROM presence_pushes WHERE sink = :sink AND error = :error LIMIT 1"


def failed(tx: Tx, sink: str, agent: str, sentence: str, every: float) -> None:
    """A sink has not taken something, or has and did not say so. Event `presence_push_failed`, once for what is the same."""
    row = tx.one(FOUND, agent=agent, sink=sink)
    failures = (row["failures"] if row is not None else 0) + 1
    if tx.one(SAME, sink=sink, error=sentence) is None:
        journal.tell(tx, "presence_push_failed", actor=ENGINE, agent_id=agent, reason=f"presence:{sink}: {sentence}")
    wait = backoff(every, LONGEST_WAIT, failures, f"{sink}/{agent}/{failures}")
    tx.run(FAILED, agent=agent, sink=sink, now=tx.now, error=sentence, next=plus(tx.now, wait))


LEAVE = "UPDATE presence_pushes SET again = 1 WHERE sink = :sink"


def leaving(tx: Tx, sink: str) -> list[str]:
    """A sink is about to be told that all are offline; which agents it knows of. The next start tells it everything
    that it has not taken by then."""
    tx.run(LEAVE, sink=sink)
    return [row["agent_id"] for row in tx.all(OF_SINK, sink=sink) if row["pushed_at"] is not None]


FORGET = "DELETE FROM presence_pushes WHERE agent_id = :agent AND sink = :sink"
ALL = "SELECT agent_id, sink FROM presence_pushes"


def forget_others(tx: Tx, named: Collection[tuple[str, str]]) -> None:
    """The configuration names only these targets now, as (agent, sink)."""
    for row in tx.all(ALL):
        if (row["agent_id"], row["sink"]) not in named:
            tx.run(FORGET, agent=row["agent_id"], sink=row["sink"])


LISTED = """
SELECT sink, count(*) AS agents, max(pushed_at) AS pushed_at, sum(failures > 0) AS failing, max(error) AS error
  FROM presence_pushes GROUP BY sink ORDER BY sink
"""


def listed(rows: Rows) -> list[dict[str, object]]:
    """Every sink: how many agents it is told of, when it took something last, and what fails."""
    return [dict(row) for row in rows.all(LISTED)]
