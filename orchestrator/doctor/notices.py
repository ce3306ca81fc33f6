"""Rules about notices: whom they reach is decided whole, and what is settled was told as one message of one sink."""

from __future__ import annotations

import sqlite3

from orchestrator.doctor.rule import FORGED, RESTORE, Rule, Said, into, query

RULES: list[Rule] = []
rule = into(RULES)

UNSETTLED = """
SELECT id, state, settled_at FROM deliveries WHERE (state = 'waiting') <> (settled_at IS NULL)
"""


@rule
def deliveries_settle_whole(connection: sqlite3.Connection) -> Said:
    """I12: a delivery has a settled_at exactly when it waits no more."""
    for delivery, state, settled in query(connection, UNSETTLED):
        said = f"Delivery {delivery} is {state} and its settled_at is {settled or 'not set'}."
        yield f"delivery {delivery}", f"{said} Set it to the time of its end if it waits no more, else to NULL."


UNMADE = """
SELECT d.id, d.state, d.message, n.routed_at FROM deliveries d LEFT JOIN notices n ON n.id = d.notice_id
 WHERE n.id IS NULL OR n.routed_at IS NULL OR (d.state = 'delivered' AND d.message IS NULL)
"""


@rule
def deliveries_are_of_a_notice(connection: sqlite3.Connection) -> Said:
    """I13: a delivery is of a notice that was routed; one that is delivered went out with a message."""
    for delivery, state, message, routed in query(connection, UNMADE):
        said = f"Delivery {delivery} is {state}, its message is {message or 'not set'}, its notice was routed: {routed or 'never'}."
        yield f"delivery {delivery}", f"{said} {FORGED}"


SHARED = """
SELECT message, count(DISTINCT sink) FROM deliveries WHERE message IS NOT NULL GROUP BY message HAVING count(DISTINCT sink) > 1
"""


@rule
def messages_are_of_one_sink(connection: sqlite3.Connection) -> Said:
    """I13: a message goes to one sink: its id is what that sink knows it by."""
    for message, count in query(connection, SHARED):
        yield f"message {message}", f"Message {message} goes to {count} sinks. {FORGED}"


AHEAD = """
SELECT value, (SELECT coalesce(max(id), 0) FROM events) FROM meta
 WHERE key = 'notices_event' AND CAST(value AS INTEGER) > (SELECT coalesce(max(id), 0) FROM events)
"""


@rule
def notices_follow_the_events(connection: sqlite3.Connection) -> Said:
    """I13: notices were made of events up to one that there is: else what comes next would be told nobody."""
    for value, last in query(connection, AHEAD):
        said = f"Events are told up to {value}, and the last one is {last}."
        yield "notices", f"{said} Set notices_event in meta to {last}, or: {RESTORE}"
