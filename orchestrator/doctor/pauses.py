"""Rules about what is paused: an agent, a project, everything; each is as the last event about it says.

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
  SELECT 'project ' || id, paused_at IS NOT NULL FROM projects UNION ALL
  SELECT 'everything', paused_at IS NOT NULL FROM whole_board),
 told(id, what, is_paused) AS (   -- beside max(id), a bare column is of that very row
  SELECT max(id), CASE WHEN verb GLOB 'agent_*' THEN 'agent ' || agent_id WHEN verb GLOB 'project_*' THEN 'project ' || json_extract(data, '$.project')
                  ELSE 'everything' END, verb GLOB '*_paused'
    FROM events WHERE verb IN ('agent_paused','agent_resumed','project_paused','project_resumed','board_paused','board_resumed')
   GROUP BY 2)
SELECT n.what, n.is_paused, last.id FROM now_paused n JOIN told last ON last.what = n.what AND last.is_paused <> n.is_paused
"""


@rule
def pauses_are_as_told(connection: sqlite3.Connection) -> Said:
    """I4: what is paused or not is what the last event about it says."""
    for what, is_paused, event in query(connection, UNLIKE_TOLD):
        said = f"{what} is {'paused' if is_paused else 'not paused'}, but event {event} says otherwise."
        yield str(what), f"{said[0].upper()}{said[1:]} {FORGED}"
