"""What a person does about notices that a sink did not take: have them tried again, or told nobody any more.

Of a message all goes together: it would be another one without a part of it, under the same id.
"""

from __future__ import annotations

import json

from blackboard import journal
from blackboard.board import Tx
from blackboard.record import Record

DEAD_OF_NOTICE = "SELECT id, sink, message FROM deliveries WHERE notice_id = :notice AND state = 'dead' AND (:sink IS NULL OR sink = :sink)"
_AGAIN = "UPDATE deliveries SET state = 'waiting', settled_at = NULL, failures = 0, next_at = :now"
ONE_AGAIN = _AGAIN + " WHERE id = :id AND state = 'dead'"
MESSAGE_AGAIN = _AGAIN + " WHERE message = :message AND state = 'dead'"
SINK_AGAIN = _AGAIN + " WHERE sink = :sink AND state = 'dead'"
REOPEN = "UPDATE sinks SET closed_at = NULL WHERE name = :sink AND closed_at IS NOT NULL"


def retry(tx: Tx, *, notice: int | None, sink: str | None, actor: str) -> int:
    """Bring dead letters back: those of a notice, or all of a sink, which is opened again; how many. Event `notices_retried`.

    What went out as one message with a notice comes back with it.
    """
    sinks = {sink} if sink is not None else set[str]()
    if notice is None:
        count = tx.run(SINK_AGAIN, sink=sink, now=tx.now)
    else:
        found = tx.all(DEAD_OF_NOTICE, notice=notice, sink=sink)
        count = sum(_with_its_message(tx, row, ONE_AGAIN, MESSAGE_AGAIN) for row in found)
        sinks = {row["sink"] for row in found}
    opened = sum(tx.run(REOPEN, sink=name) for name in sorted(sinks))
    if count or opened:
        said = f"{count} dead notices at {', '.join(sorted(sinks))} are tried again"
        journal.tell(tx, "notices_retried", actor=actor, reason=said)
    return count


def _with_its_message(tx: Tx, row: Record, one: str, message: str) -> int:
    """Change a delivery, or all that is one message with it, which would be another one without it; how many."""
    if row["message"] is None:
        return tx.run(one, id=row["id"], now=tx.now)
    return tx.run(message, message=row["message"], now=tx.now)


OPEN_OF_NOTICE = """
SELECT id, sink, message FROM deliveries WHERE notice_id = :notice AND state IN ('waiting','dead') AND (:sink IS NULL OR sink = :sink)
"""
_DISMISS = "UPDATE deliveries SET state = 'dismissed', settled_at = :now"
DISMISS_ONE = _DISMISS + " WHERE id = :id AND state IN ('waiting','dead')"
DISMISS_MESSAGE = _DISMISS + " WHERE message = :message AND state IN ('waiting','dead')"
DISMISS_SINK = _DISMISS + " WHERE sink = :sink AND state = 'dead'"


def dismiss(tx: Tx, *, notice: int | None, sink: str | None, actor: str) -> int:
    """Nobody is to be told any more: of a notice, what waits too; of a sink, its dead letters; how many. Event `notices_dismissed`.

    What is one message with a notice goes with it.
    """
    if notice is None:
        sinks, count = {str(sink)}, tx.run(DISMISS_SINK, sink=sink, now=tx.now)
    else:
        found = tx.all(OPEN_OF_NOTICE, notice=notice, sink=sink)
        sinks = {row["sink"] for row in found}
        count = sum(_with_its_message(tx, row, DISMISS_ONE, DISMISS_MESSAGE) for row in found)
    if count:
        each = ", counted for each sink," if len(sinks) > 1 else ""
        said = f"{count} notices{each} for {', '.join(sorted(sinks))} are dismissed"
        journal.tell(
            tx, "notices_dismissed", actor=actor, reason=said, data=json.dumps({"notice": notice, "sink": sink})
        )
    return count
