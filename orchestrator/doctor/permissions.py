"""Rules about what agents may change: each permission is as the last event about it says, and the mark of all is there."""

from __future__ import annotations

import sqlite3

from orchestrator.doctor.rule import FORGED, Rule, Said, into, query

RULES: list[Rule] = []
rule = into(RULES)

UNLIKE_TOLD = """
WITH told(id, permission, holds, data) AS (   -- beside max(id), a bare column is of that very row
  SELECT max(id), json_extract(data, '$.permission'), verb = 'permission_granted', data FROM events
   WHERE verb IN ('permission_granted','permission_revoked') GROUP BY 2)
SELECT p.id, p.subject || ' ' || p.effect || ' ' || p.type || ' ' || p.scope, p.revoked_at IS NULL, t.id
  FROM permissions p LEFT JOIN told t ON t.permission = p.id
 WHERE t.id IS NULL OR t.holds <> (p.revoked_at IS NULL)
    OR (json_extract(t.data, '$.subject'), json_extract(t.data, '$.effect'), json_extract(t.data, '$.type'), json_extract(t.data, '$.scope'))
       IS NOT (p.subject, p.effect, p.type, p.scope)
UNION ALL
SELECT t.permission, 'gone', 0, t.id FROM told t WHERE t.permission NOT IN (SELECT id FROM permissions)
"""


@rule
def permissions_are_as_told(connection: sqlite3.Connection) -> Said:
    """I4: who may change what, or what was revoked, is what the last event about it says."""
    for number, what, holds, event in query(connection, UNLIKE_TOLD):
        found = what if holds or what == "gone" else f"{what}, revoked"
        said = "no event tells of it" if event is None else f"event {event} says otherwise"
        yield f"permission {number}", f"Permission {number} is {found}, but {said}. {FORGED}"


UNMARKED = (
    "SELECT count(*) FROM permissions WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = 'permissions' AND value <> '')"
)


@rule
def permissions_have_their_mark(connection: sqlite3.Connection) -> Said:
    """I14: where there are permissions there is the mark by which they are remembered: without it none would count."""
    for (count,) in query(connection, UNMARKED):
        if count:
            mend = "INSERT OR REPLACE INTO meta VALUES ('permissions', hex(randomblob(16))) makes it."
            yield "meta", f"The mark of the {count} permissions is missing, so none of them counts. {mend}"
