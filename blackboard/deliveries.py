"""Telling the sinks: what goes next, and how it went. The message is on the board before the first try.

A sink is told in order: what was begun goes before all others, until it is taken or given up. A message keeps its id and
its notices at every try, so that a sink can know one that it has taken already.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NamedTuple

from blackboard import journal
from blackboard.board import Rows, Tx
from blackboard.clock import plus
from blackboard.notice_routes import ENGINE
from blackboard.policy import backoff
from blackboard.record import Record

MOST_IN_DIGEST = 50  # notices of one message
FOR_EVER = "9999-12-31T23:59:59.999Z"


class Retry(NamedTuple):
    """How a sink is tried again, in seconds: the first wait, the longest; and how often, before a notice is given up."""

    first: float
    longest: float
    most_tries: int


class Head(NamedTuple):
    """What a sink is told next: from when, and the message if it was begun already."""

    next_at: str
    message: str | None


BEGUN = """
SELECT d.next_at, d.message FROM deliveries d JOIN notices n ON n.id = d.notice_id
 WHERE d.sink = :sink AND d.state = 'waiting' AND d.message IS NOT NULL AND n.urgent >= :urgent ORDER BY d.id LIMIT 1
"""
FIRST = """
SELECT d.id, d.next_at, d.message, n.urgent FROM deliveries d JOIN notices n ON n.id = d.notice_id
 WHERE d.sink = :sink AND d.state = 'waiting' AND n.urgent >= :urgent ORDER BY d.next_at, d.id LIMIT 1
"""


def head(rows: Rows, sink: str, *, urgent: bool = False) -> Head | None:
    """What a sink is told next, and when; None when nothing waits. `urgent`: of what is urgent."""
    row = rows.one(BEGUN, sink=sink, urgent=urgent) or rows.one(FIRST, sink=sink, urgent=urgent)
    return Head(row["next_at"], row["message"]) if row is not None else None


FIRST_DUE = FIRST.replace("ORDER BY", "AND d.message IS NULL AND d.next_at <= :until ORDER BY")
DUE = """
SELECT d.id FROM deliveries d JOIN notices n ON n.id = d.notice_id
 WHERE d.sink = :sink AND d.state = 'waiting' AND d.message IS NULL AND d.next_at <= :until AND n.urgent = 0
 ORDER BY d.next_at, d.id LIMIT :most
"""
BEGIN = (
    "UPDATE deliveries SET message = :message, next_at = :now WHERE id = :id AND message IS NULL AND state = 'waiting'"
)


def begin(tx: Tx, sink: str, board_id: str, *, digest: bool, until: str, urgent: bool = False) -> str | None:
    """Fix the next message of a sink, or find the one that was fixed before; its id, None when nothing is due.

    `until`: what was to wait longer than that waits. `digest`: all that is due and not urgent goes as one. `urgent`: only
    what is urgent is looked at.
    """
    row = tx.one(BEGUN, sink=sink, urgent=urgent)
    if row is not None:
        return str(row["message"])
    first = tx.one(FIRST_DUE, sink=sink, until=until, urgent=urgent)
    if first is None:
        return None
    ids = [first["id"]]
    if digest and not first["urgent"]:
        ids = [each["id"] for each in tx.all(DUE, sink=sink, until=until, most=MOST_IN_DIGEST)]
    # With its time: the board gives a number again after old rows went, or a backup came back, and an id is never another's.
    message = f"msg_{board_id}_{min(ids)}_{''.join(filter(str.isalnum, tx.now))}"
    for each in ids:
        tx.run(BEGIN, id=each, message=message, now=tx.now)
    return message


PARTS = """
SELECT d.id AS delivery, d.failures, d.next_at, n.*, t.project_id FROM deliveries d JOIN notices n ON n.id = d.notice_id
  LEFT JOIN tasks t ON t.id = n.task_id
 WHERE d.message = :message AND d.sink = :sink AND d.state = 'waiting' ORDER BY d.id
"""


def parts(rows: Rows, sink: str, message: str) -> list[Record]:
    """The notices of a message, each with how often it was tried (`failures`) and the project of its task."""
    return list(rows.all(PARTS, sink=sink, message=message))


WANTED = "SELECT 1 FROM deliveries WHERE message = :message AND sink = :sink AND state = 'waiting' LIMIT 1"


def wanted(rows: Rows, sink: str, message: str) -> bool:
    """Whether a message is still to be told, and nobody has settled it since."""
    return rows.one(WANTED, sink=sink, message=message) is not None


BEFORE = """
SELECT count(*) AS n FROM notices n INDEXED BY notices_alike JOIN deliveries d ON d.notice_id = n.id AND d.sink = :sink
 WHERE n.kind = :kind AND n.topic = :topic AND n.id < :id AND d.state = 'repeated' AND n.title = :title AND n.body = :body
   AND n.id > coalesce((SELECT max(o.id) FROM notices o INDEXED BY notices_alike JOIN deliveries e ON e.notice_id = o.id AND e.sink = :sink
                         WHERE o.kind = :kind AND o.topic = :topic AND o.id < :id AND e.state <> 'repeated' AND o.title = :title
                           AND o.body = :body), 0)
"""


def repeated_before(rows: Rows, sink: str, notice: Record) -> int:
    """How often its like was left out since it was told last: older notices only, so that every try says the same."""
    row = rows.one(
        BEFORE, sink=sink, kind=notice["kind"], topic=notice["topic"], id=notice["id"], title=notice["title"],
        body=notice["body"],
    )  # fmt: skip
    return int(row["n"]) if row is not None else 0


# --- how it went --------------------------------------------------------------------------------------------------

SINK = "SELECT * FROM sinks WHERE name = :sink"
DELIVERED = """
UPDATE deliveries SET state = 'delivered', settled_at = :now, error = NULL WHERE sink = :sink AND message = :message AND state = 'waiting'
"""
WORKS = """
INSERT INTO sinks (name, ok_at) VALUES (:sink, :now)
ON CONFLICT (name) DO UPDATE SET ok_at = :now, failures = 0, failing_since = NULL, error = NULL, closed_at = NULL
"""


def delivered(tx: Tx, sink: str, message: str) -> None:
    """A sink has taken a message. Event `sink_back` when it is the first one after failures."""
    row = tx.one(SINK, sink=sink)
    tx.run(DELIVERED, sink=sink, message=message, now=tx.now)
    tx.run(WORKS, sink=sink, now=tx.now)
    if row is not None and row["failures"]:
        since = f"since {row['failing_since']}"
        said = f"sink {sink} takes notices again: it had not {since} ({row['error']})"
        journal.tell(tx, "sink_back", actor=ENGINE, reason=said, data=json.dumps({"sink": sink}))


FAILED = """
UPDATE deliveries SET failures = failures + 1, error = :error, next_at = :next WHERE sink = :sink AND message = :message AND state = 'waiting'
"""
FAILS = """
INSERT INTO sinks (name, failures, failing_since, error) VALUES (:sink, 1, :now, :error)
ON CONFLICT (name) DO UPDATE SET failures = failures + 1, failing_since = coalesce(failing_since, :now), error = :error
"""


def failed(tx: Tx, sink: str, message: str, sentence: str, retry: Retry, *, after: float = 0.0) -> None:
    """A sink has not taken a message, or has and did not say so: again later, or given up after the last try.

    `after`: seconds that the sink wants to be left alone. Event `sink_failed`, once while it fails in the same way.
    """
    found = parts(tx, sink, message)
    if not found:
        return
    row = tx.one(SINK, sink=sink)
    if row is None or row["error"] != sentence:
        _tell_failed(tx, sink, sentence)
    failures = found[0]["failures"] + 1
    wait = max(after, backoff(retry.first, retry.longest, failures, f"{message}/{failures}"))
    tx.run(FAILED, sink=sink, message=message, error=sentence, next=plus(tx.now, wait))
    tx.run(FAILS, sink=sink, now=tx.now, error=sentence)
    if failures >= retry.most_tries:
        _give_up(tx, sink, found, f"given up after {failures} tries: {sentence}")


def _tell_failed(tx: Tx, sink: str, sentence: str) -> None:
    journal.tell(tx, "sink_failed", actor=ENGINE, reason=f"sink {sink}: {sentence}", data=json.dumps({"sink": sink}))


CLOSED = "UPDATE sinks SET closed_at = :now, error = :error WHERE name = :sink"


def closed(tx: Tx, sink: str, message: str, sentence: str) -> None:
    """A sink says that it wants nothing any more: what waits for it is dead, and so is what comes, until a person says retry."""
    tx.run(FAILS, sink=sink, now=tx.now, error=sentence)
    tx.run(CLOSED, sink=sink, now=tx.now, error=sentence)
    tx.run(FAILED, sink=sink, message=message, error=sentence, next=tx.now)
    waiting = tx.all(WAITING, sink=sink)
    if waiting:
        _give_up(tx, sink, waiting, f"it wants nothing any more: {sentence}")
    else:  # a person has dismissed the message meanwhile: that it is closed is told all the same
        _tell_failed(tx, sink, sentence)


WAITING = "SELECT d.id AS delivery, n.* FROM deliveries d JOIN notices n ON n.id = d.notice_id WHERE d.sink = :sink AND d.state = 'waiting' ORDER BY d.id"
DEAD = "UPDATE deliveries SET state = 'dead', settled_at = :now, error = :error WHERE id = :id AND state = 'waiting'"


def _give_up(tx: Tx, sink: str, found: Collection[Record], sentence: str) -> None:
    """These are dead letters. Event `notice_dead`, one for all; nobody is told of one that is about sinks itself."""
    for each in found:
        tx.run(DEAD, id=each["delivery"], now=tx.now, error=sentence)
    ids = [each["id"] for each in found]
    named = ", ".join(map(str, ids[:10])) + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")
    data = json.dumps({"sink": sink, "notices": ids[:100], "quiet": all(each["kind"] == "sink" for each in found)})
    which = "notice" if len(ids) == 1 else "notices"
    journal.tell(tx, "notice_dead", actor=ENGINE, reason=f"{which} {named} at sink {sink}: {sentence}", data=data)


# --- sinks that are not there any more ----------------------------------------------------------------------------

SINKS_WAITING = "SELECT DISTINCT sink FROM deliveries WHERE state = 'waiting' ORDER BY sink"


def unnamed(rows: Rows, named: Collection[str]) -> list[str]:
    """The sinks that something waits for and that the configuration does not name."""
    return [row["sink"] for row in rows.all(SINKS_WAITING) if row["sink"] not in named]


def leave(tx: Tx, named: Collection[str]) -> None:
    """Give up what waits for sinks that the configuration names no more."""
    for sink in unnamed(tx, named):
        sentence = f"there is no sink {sink!r} in the configuration any more: add [sinks.{sink}], then say retry"
        _give_up(tx, sink, tx.all(WAITING, sink=sink), sentence)


FORGET = "DELETE FROM sinks WHERE name = :sink"


def forget_others(tx: Tx, named: Collection[str]) -> None:
    """The configuration names only these sinks now: how another one did is of no use any more."""
    for row in tx.all(STANDING):
        if row["sink"] not in named:
            tx.run(FORGET, sink=row["sink"])


# --- for who asks -------------------------------------------------------------------------------------------------

LISTED = """
SELECT n.id, n.created_at AS at, n.kind, n.topic, n.urgent, n.agent_id AS agent, n.task_id AS task, n.title, n.body,
       d.sink, d.state, d.failures, d.error, CASE WHEN d.state = 'waiting' THEN d.next_at END AS next_at, d.settled_at, d.message
  FROM notices n LEFT JOIN deliveries d ON d.notice_id = n.id
 WHERE (:sink IS NULL OR d.sink = :sink) AND (:state IS NULL OR d.state = :state) AND (:notice IS NULL OR n.id = :notice)
 ORDER BY n.id DESC, d.id LIMIT :most
"""


def listed(
    rows: Rows, *, sink: str | None = None, state: str | None = None, notice: int | None = None, most: int = 50
) -> list[dict[str, object]]:
    """Notices, the newest first, one line for each sink; `sink` is null for one that reaches nobody."""
    return [dict(row) for row in rows.all(LISTED, sink=sink, state=state, notice=notice, most=most)]


STANDING = """
SELECT s.name AS sink, s.ok_at, s.failures, s.failing_since, s.error, s.closed_at FROM sinks s ORDER BY s.name
"""
WAIT_AND_DEAD = """
SELECT sink, sum(state = 'waiting') AS waiting, sum(state = 'dead') AS dead, min(CASE WHEN state = 'waiting' THEN next_at END) AS next_at
  FROM (SELECT sink, state, next_at FROM deliveries WHERE state = 'waiting' UNION ALL SELECT sink, state, next_at FROM deliveries WHERE state = 'dead')
 GROUP BY sink
"""


def standing(rows: Rows) -> list[dict[str, object]]:
    """Every sink that has something, or was told something: how it does, what waits and what is dead."""
    found: dict[str, dict[str, object]] = {}
    for row in rows.all(STANDING):
        found[row["sink"]] = {**dict(row), "waiting": 0, "dead": 0, "next_at": None}
    for row in rows.all(WAIT_AND_DEAD):
        empty = {
            "sink": row["sink"],
            "ok_at": None,
            "failures": 0,
            "failing_since": None,
            "error": None,
            "closed_at": None,
        }
        found[row["sink"]] = {**found.get(row["sink"], empty), **dict(row)}
    return [found[name] for name in sorted(found)]


# --- what is old --------------------------------------------------------------------------------------------------

OLD = """
SELECT n.id FROM notices n WHERE n.created_at < :before AND n.routed_at IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.notice_id = n.id
                    AND (d.state IN ('waiting','dead') OR d.settled_at >= :before))
   AND NOT EXISTS (SELECT 1 FROM watch_pushes p WHERE p.notice_id = n.id AND p.state = 'open')
 ORDER BY n.created_at LIMIT :most
"""
DROP_DELIVERIES = "DELETE FROM deliveries WHERE notice_id = :id"
DROP = "DELETE FROM notices WHERE id = :id"


def old(rows: Rows, before: str) -> bool:
    """Whether something was settled so long ago that it may go."""
    return bool(rows.all(OLD, before=before, most=1))


def drop_old(tx: Tx, before: str, most: int = 500) -> int:
    """Drop what was settled before; how many notices. What waits, and what is dead, stays, and so does what a push waits for."""
    found = tx.all(OLD, before=before, most=most)
    for row in found:
        tx.run(DROP_DELIVERIES, id=row["id"])
        tx.run(DROP, id=row["id"])
    return len(found)
