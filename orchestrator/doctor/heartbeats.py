"""Rules about heartbeats: a run and its task belong together, and a beat that is held back has its one open line."""

from __future__ import annotations

import sqlite3

from orchestrator.doctor.rule import FORGED, Rule, Said, into, query

RULES: list[Rule] = []
rule = into(RULES)

STRAY_RUNS = """
SELECT r.id, r.agent_id, r.task_id FROM heartbeat_runs r JOIN tasks t ON t.id = r.task_id
 WHERE t.series IS NOT 'heartbeat ' || r.agent_id OR (r.status = 'running') <> (r.ended_at IS NULL)
"""


@rule
def beats_have_their_task(connection: sqlite3.Connection) -> Said:
    """I13: a heartbeat's run has a task of that heartbeat, and is over exactly when it says how it went."""
    for run, agent, task in query(connection, STRAY_RUNS):
        said = f"Run {run} of the heartbeat of agent {agent} does not fit its task {task}, or ended without a status."
        yield f"heartbeat run {run}", f"{said} {FORGED}"


HELD = """
SELECT h.agent_id, h.held_by, count(r.id) AS n FROM heartbeats h
  LEFT JOIN heartbeat_runs r ON r.agent_id = h.agent_id AND r.status = 'skipped' AND r.ended_at IS NULL
 GROUP BY h.agent_id HAVING n <> (h.held_by IS NOT NULL)
"""


@rule
def held_beats_have_their_line(connection: sqlite3.Connection) -> Said:
    """I4: a beat that is held back has one open line in the log, and no other has one."""
    for agent, held, count in query(connection, HELD):
        stands = f"is held back ({held})" if held else "is held back by nothing"
        mend = "Set held_by to NULL and the ended_at of its skipped runs: the next tick looks anew."
        yield (
            f"heartbeat of {agent}",
            f"The heartbeat of agent {agent} {stands}, but {count} of its skips go on. {mend}",
        )
