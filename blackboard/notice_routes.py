"""Whom a notice reaches: each once, by what the configuration says of its sinks, in the transaction that says so.

Never sends anything. What it leaves is a row of `deliveries` for each sink: waiting, with the time from which it may go;
repeated, where its like was told just before; dead, where it can reach nobody.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from blackboard import journal
from blackboard.board import Rows, Tx
from blackboard.clock import plus
from blackboard.notice_kinds import NEVER_REPEATED
from blackboard.quiet_hours import QuietHours
from blackboard.record import Record

ENGINE = "engine:notices"
AT_ONCE = 100  # notices of one transaction


class Route(NamedTuple):
    """What a sink wants. `kinds`, `agents`, `projects`: None is every one. `makes_tasks`: it posts a task for each."""

    kinds: Collection[str] | None = None
    agents: Collection[str] | None = None
    projects: Collection[str] | None = None
    dedupe_seconds: float = 0.0
    digest_seconds: float = 0.0
    quiet: QuietHours | None = None
    makes_tasks: bool = False


def problem_of_names(named: Collection[str], known: Collection[str]) -> str | None:
    """What is against naming these sinks: one that there is not, which would get nothing. The end of a sentence."""
    unknown = [sink for sink in named if sink not in known]
    return f"names the sink {unknown[0]!r}: sinks are {', '.join(known) or 'none'}" if unknown else None


TO_ROUTE = """
SELECT n.*, t.project_id FROM notices n LEFT JOIN tasks t ON t.id = n.task_id WHERE n.routed_at IS NULL ORDER BY n.id LIMIT :most
"""
ROUTED = "UPDATE notices SET routed_at = :now WHERE id = :id"
DELIVERY = """
INSERT INTO deliveries (notice_id, sink, state, error, next_at, settled_at) VALUES (:notice, :sink, :state, :error, :next, :settled)
ON CONFLICT (notice_id, sink) DO NOTHING
"""


def waiting(rows: Rows) -> bool:
    """Whether a notice has not been routed yet."""
    return bool(rows.all(TO_ROUTE, most=1))


def route(tx: Tx, routes: Mapping[str, Route]) -> bool:
    """Decide for the next notices whom they reach; whether there are more."""
    found = tx.all(TO_ROUTE, most=AT_ONCE)
    times = {name: _Times(tx, name, each) for name, each in routes.items()}
    for notice in found:
        for sink, problem in _reached(tx, notice, routes):
            if problem is not None:
                _put(tx, notice, sink, "dead", error=problem)
                _tell_dead(tx, sink, notice, problem)
            elif _was_told(tx, notice, sink, routes[sink].dedupe_seconds):
                _put(tx, notice, sink, "repeated")
            else:
                _put(tx, notice, sink, "waiting", next_at=times[sink].of(notice))
        tx.run(ROUTED, id=notice["id"], now=tx.now)
    return len(found) == AT_ONCE


def _put(
    tx: Tx, notice: Record, sink: str, state: str, *, next_at: str | None = None, error: str | None = None
) -> None:
    settled = None if state == "waiting" else tx.now
    tx.run(DELIVERY, notice=notice["id"], sink=sink, state=state, error=error, next=next_at or tx.now, settled=settled)


def _tell_dead(tx: Tx, sink: str, notice: Record, problem: str) -> None:
    data = json.dumps({"sink": sink, "notices": [notice["id"]], "quiet": notice["kind"] == "sink"})
    journal.tell(
        tx, "notice_dead", actor=ENGINE, reason=f"notice {notice['id']} ({notice['title']}): {problem}", data=data
    )


CLOSED = "SELECT closed_at, error FROM sinks WHERE name = :sink"


def _reached(tx: Tx, notice: Record, routes: Mapping[str, Route]) -> Iterator[tuple[str, str | None]]:
    """The sinks of a notice, each with what is against it."""
    named = _named(notice)
    makes_no_task = any(route.makes_tasks for route in routes.values()) and _is_of_a_notice(tx, notice)
    for sink in dict.fromkeys(named) if named is not None else routes:
        if sink not in routes:
            yield sink, f"there is no sink {sink!r} in the configuration: add [sinks.{sink}], or name another"
        elif (named is not None or _wants(sink, routes[sink], notice)) and not (
            routes[sink].makes_tasks and makes_no_task
        ):
            row = tx.one(CLOSED, sink=sink)
            shut = row is not None and row["closed_at"] is not None
            yield sink, f"it wants nothing any more: {row['error']}" if row is not None and shut else None


def _named(notice: Record) -> list[str] | None:
    """The sinks that it is for; None for whoever wants it, as when a person's SQL has put something else there."""
    found = json.loads(notice["sinks"]) if notice["sinks"] is not None else None
    return list(map(str, found)) if isinstance(found, list) else None


def _wants(name: str, route: Route, notice: Record) -> bool:
    """Whether a sink wants a notice that is for nobody in particular. That it fails itself, it is not told."""
    if notice["kind"] == "sink" and notice["topic"] == f"sink:{name}":
        return False
    return (
        (route.kinds is None or notice["kind"] in route.kinds)
        and (route.agents is None or notice["agent_id"] in route.agents)
        and (route.projects is None or notice["project_id"] in route.projects)
    )


# A task that a notice made, or one of its children: a notice about it makes no task, or there would be no end of them.
OF_A_NOTICE = """
WITH RECURSIVE up(id, parent_id, data) AS (
  SELECT id, parent_id, data FROM tasks WHERE id = :task
  UNION ALL SELECT t.id, t.parent_id, t.data FROM up JOIN tasks t ON t.id = up.parent_id)
SELECT 1 FROM up WHERE json_extract(data, '$.notice') IS NOT NULL LIMIT 1
"""


def _is_of_a_notice(rows: Rows, notice: Record) -> bool:
    return notice["task_id"] is not None and rows.one(OF_A_NOTICE, task=notice["task_id"]) is not None


# The same words about the same thing: what says something else is never taken for a repetition.
TOLD = """
SELECT 1 FROM notices n INDEXED BY notices_alike JOIN deliveries d ON d.notice_id = n.id AND d.sink = :sink
 WHERE n.kind = :kind AND n.topic = :topic AND n.id < :id AND n.title = :title AND n.body = :body
   AND n.created_at > :since AND n.created_at <= :now AND d.state IN ('waiting','delivered') LIMIT 1
"""


def _was_told(rows: Rows, notice: Record, sink: str, within: float) -> bool:
    if within <= 0 or notice["kind"] in NEVER_REPEATED:
        return False
    try:
        since = plus(notice["created_at"], -within)
    except ValueError:  # a time that a person's SQL wrote: it must not hold up those after it
        return False
    return rows.one(
        TOLD, sink=sink, kind=notice["kind"], topic=notice["topic"], id=notice["id"], title=notice["title"], body=notice["body"],
        since=since, now=notice["created_at"],
    ) is not None  # fmt: skip


OPEN_DIGEST = """
SELECT max(d.next_at) AS next_at FROM deliveries d JOIN notices n ON n.id = d.notice_id
 WHERE d.sink = :sink AND d.state = 'waiting' AND d.message IS NULL AND d.next_at > :now AND n.urgent = 0
"""


class _Times:
    """From when what is for one sink may go, worked out once a transaction."""

    def __init__(self, tx: Tx, sink: str, route: Route) -> None:
        self._tx, self._sink, self._route = tx, sink, route
        self._later: str | None = None

    def of(self, notice: Record) -> str:
        """At once what is urgent; else at the end of the digest that is being gathered, and of the quiet hours."""
        if notice["urgent"]:
            return self._tx.now
        if self._later is None:
            self._later = self._next()
        return self._later

    def _next(self) -> str:
        now, route = self._tx.now, self._route
        if route.digest_seconds > 0:
            row = self._tx.one(OPEN_DIGEST, sink=self._sink, now=now)
            if row is not None and row["next_at"] is not None:
                return str(row["next_at"])
            now = plus(now, route.digest_seconds)
        return route.quiet.over(now) if route.quiet is not None else now
