"""Rules about what watches saw: each change is where its push says, and each push tells somebody."""

from __future__ import annotations

import sqlite3

from orchestrator.doctor.rule import FORGED, Rule, Said, into, query

RULES: list[Rule] = []
rule = into(RULES)

UNLIKE_PUSH = """
SELECT c.id, c.state, c.push_id, p.state FROM watch_changes c LEFT JOIN watch_pushes p ON p.id = c.push_id
 WHERE (c.state = 'pushed' AND p.state IS NOT 'open') OR (c.state = 'acknowledged' AND p.state IS NOT 'acknowledged')
    OR (c.state IN ('waiting', 'left') AND c.push_id IS NOT NULL AND p.state IS NOT 'failed')
 ORDER BY c.id
"""


@rule
def changes_are_as_their_push(connection: sqlite3.Connection) -> Said:
    """I14: a change that a watch saw is under way, told, or waits again, as the push is that told it last."""
    for change, state, push, found in query(connection, UNLIKE_PUSH):
        said = f"Change {change} is {state}, but push {push}, which told it, is {found or 'not there'}."
        yield f"watch change {change}", f"{said} {FORGED}"


TELLS_NOBODY = "SELECT id FROM watch_pushes WHERE task_id IS NULL AND notice_id IS NULL ORDER BY id"


@rule
def pushes_tell_somebody(connection: sqlite3.Connection) -> Said:
    """I14: a push of a watch is a task, a notice, or both: else nothing would ever acknowledge it."""
    for (push,) in query(connection, TELLS_NOBODY):
        yield f"watch push {push}", f"Push {push} is neither a task nor a notice. {FORGED}"
