"""Rules about what is paused, an agent, an account, a project, everything, and about what limits an account; each is as the last event about it says.

A board that was paused before version 2 told nothing of it, so silence is no fault.
"""

from __future__ import annotations

import sqlite3

from orchestrator.doctor.rule import FORGED, RESTORE, Rule, Said, into, query

RULES: list[Rule] = []
rule = into(RULES)

ROWS = "SELECT (SELECT count(*) FROM whole_board)"


@rule
def everything_has_its_row(connection: sqlite3.Connection) -> Said:
    """I14: the one row that says whether everything is paused is there."""
    for (count,) in query(connection, ROWS):
        if count != 1:
            yield "whole_board", f"The table whole_board has {count} rows, instead of 1. {RESTORE}"


UNLIKE_TOLD = """
WITH now_paused(what, is_paused) AS (
  SELECT 'agent ' || id, paused_at IS NOT NULL FROM agents UNION ALL
  SELECT 'account ' || id, paused_at IS NOT NULL FROM accounts UNION ALL
  SELECT 'project ' || id, paused_at IS NOT NULL FROM projects UNION ALL
  SELECT 'everything', paused_at IS NOT NULL FROM whole_board),
 told(id, what, is_paused) AS (   -- beside max(id), a bare column is of that very row
  SELECT max(id), CASE WHEN verb GLOB 'agent_*' THEN 'agent ' || agent_id WHEN verb GLOB 'account_*' THEN 'account ' || json_extract(data, '$.account')
                  WHEN verb GLOB 'project_*' THEN 'project ' || json_extract(data, '$.project')
                  ELSE 'everything' END, verb GLOB '*_paused'
    FROM events WHERE verb IN ('agent_paused','agent_resumed','account_paused','account_resumed','project_paused','project_resumed','board_paused','board_resumed')
   GROUP BY 2)
SELECT n.what, n.is_paused, last.id FROM now_paused n JOIN told last ON last.what = n.what AND last.is_paused <> n.is_paused
"""


@rule
def pauses_are_as_told(connection: sqlite3.Connection) -> Said:
    """I4: what is paused or not is what the last event about it says."""
    for what, is_paused, event in query(connection, UNLIKE_TOLD):
        said = f"{what} is {'paused' if is_paused else 'not paused'}, but event {event} says otherwise."
        yield str(what), f"{said[0].upper()}{said[1:]} {FORGED}"


UNLIVED = """
SELECT c.id, c.canary_id, a.ended_at FROM accounts c JOIN attempts a ON a.id = c.canary_id WHERE a.ended_at IS NOT NULL
"""


@rule
def accounts_are_tried_by_the_living(connection: sqlite3.Connection) -> Said:
    """I7: the attempt that goes first on an account has not ended: else its agents would wait for ever."""
    for account, attempt, ended in query(connection, UNLIVED):
        mend = "Set its canary_id to NULL: the next attempt goes first then."
        yield f"account {account}", f"Account {account} waits for attempt {attempt}, which ended at {ended}. {mend}"


UNLIKE_LIMITED = """
WITH told(id, account, until) AS (   -- beside max(id), a bare column is of that very row
  SELECT max(id), json_extract(data, '$.account'), json_extract(data, '$.until') FROM events
   WHERE verb IN ('account_limited','account_open','account_resumed') GROUP BY 2)
SELECT c.id, c.limited_until, t.id FROM accounts c JOIN told t ON t.account = c.id
 WHERE c.limited_until IS NOT t.until
"""


@rule
def limits_are_as_told(connection: sqlite3.Connection) -> Said:
    """I4: until when an account is limited, or that it is not, is what the last event about it says."""
    for account, until, event in query(connection, UNLIKE_LIMITED):
        found = f"limited until {until}" if until else "not limited"
        yield f"account {account}", f"Account {account} is {found}, but event {event} says otherwise. {FORGED}"
