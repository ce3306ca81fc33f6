"""What happens to an attempt beside its task's moves: process facts, signs of life, the stop list, gone.

Only the monitor calls `gone`, after proof. Ending an attempt is a move of its task (blackboard.verbs).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping

from blackboard.board import Rows, Tx
from blackboard.errors import NotFound
from blackboard.record import Record
from blackboard.sessions import own_numbers

# INDEXED BY: to sort by id, SQLite would rather read all attempts there ever were.
NOT_GONE = """
SELECT a.*, t.project_id, t.title, t.status AS task_status, t.wall_seconds, t.idle_seconds, t.startup_seconds, t.settle_seconds, t.end_by
  FROM attempts a INDEXED BY one_attempt_not_gone JOIN tasks t ON t.id = a.task_id WHERE a.gone_at IS NULL ORDER BY a.id
"""


def not_gone(rows: Rows) -> list[sqlite3.Row]:
    """Every attempt whose processes are not proved gone, with its task's limits."""
    return rows.all(NOT_GONE)


ONE_NOT_GONE = """
SELECT a.*, t.project_id, t.title, t.status AS task_status, t.wall_seconds, t.idle_seconds, t.startup_seconds, t.settle_seconds, t.end_by
  FROM attempts a JOIN tasks t ON t.id = a.task_id WHERE a.id = :id AND a.gone_at IS NULL
"""
GET = "SELECT * FROM attempts WHERE id = :id"


def get(rows: Rows, attempt_id: int) -> sqlite3.Row:
    """An attempt's row; NotFound."""
    row = rows.one(GET, id=attempt_id)
    if row is None:
        raise NotFound(f"there is no attempt {attempt_id}")
    return row


FAILURE_KIND = "SELECT failure_kind FROM attempts WHERE id = :id"


def kind_of_failure(rows: Rows, attempt_id: int) -> str | None:
    """What its program said why it failed, in one word; None where it said nothing."""
    row = rows.one(FAILURE_KIND, id=attempt_id)
    return row["failure_kind"] if row else None


PREPARED = "UPDATE attempts SET workspace = :workspace, session_key = :session_key WHERE id = :id"


def prepared(tx: Tx, attempt_id: int, *, workspace: str, session_key: str | None = None) -> None:
    """Record where the attempt will work, before anything starts."""
    tx.run(PREPARED, id=attempt_id, workspace=workspace, session_key=session_key)


SPAWNED = """
UPDATE attempts SET spawned_at = :now, spawned_boot = :boot, boot_id = :boot_id, launcher_pid = :pid, launcher_start = :start
 WHERE id = :id AND spawned_at IS NULL
"""
TOLD = """
INSERT INTO events (at, verb, actor, task_id, attempt_id, agent_id, reason, data)
SELECT :now, :verb, :actor, a.task_id, a.id, a.agent_id, :reason, :data FROM attempts a WHERE a.id = :id
"""


def spawned(tx: Tx, attempt_id: int, *, pid: int, start: int, boot_id: str, data: str | None = None) -> None:
    """Record the launcher's identity; event `spawned`, with JSON about what was started."""
    if tx.run(SPAWNED, id=attempt_id, now=tx.now, boot=tx.boot, boot_id=boot_id, pid=pid, start=start):
        tell(tx, attempt_id, "spawned", data=data)


def tell(
    tx: Tx,
    attempt_id: int,
    verb: str,
    reason: str | None = None,
    actor: str = "engine:monitor",
    data: str | None = None,
) -> None:
    """Write an event about an attempt."""
    tx.run(TOLD, id=attempt_id, now=tx.now, verb=verb, actor=actor, reason=reason, data=data)


AGENT_PROCESS = "UPDATE attempts SET agent_pid = :pid, agent_start = :start WHERE id = :id AND agent_pid IS NULL"


def agent_process(tx: Tx, attempt_id: int, *, pid: int, start: int) -> None:
    """Record the agent's own identity, once the launcher has told it."""
    tx.run(AGENT_PROCESS, id=attempt_id, pid=pid, start=start)


SEEN = """
UPDATE attempts SET seen_at = :now, seen_boot = :boot, started_at = coalesce(started_at, :now) WHERE id = :id
"""
STARTED = "UPDATE attempts SET started_at = :now WHERE id = :id AND started_at IS NULL"


def seen(tx: Tx, attempt: Record) -> None:
    """A call came with the attempt's token: it lives. The first one is its start."""
    tx.run(SEEN, id=attempt["id"], now=tx.now, boot=tx.boot)


def started(tx: Tx, attempt: Record) -> None:
    """A program that never calls was started."""
    tx.run(STARTED, id=attempt["id"], now=tx.now)


WARNED = "UPDATE attempts SET warned_at = :now WHERE id = :id AND warned_at IS NULL AND ended_at IS NULL"


def warned(tx: Tx, attempt_id: int, sentence: str) -> None:
    """Tell once that a limit is near; event `warned`."""
    if tx.run(WARNED, id=attempt_id, now=tx.now):
        tell(tx, attempt_id, "warned", sentence)


STOPPED = "UPDATE attempts SET stopped_at = :now WHERE id = :id AND stopped_at IS NULL AND ended_at IS NOT NULL"


def stopped(tx: Tx, attempt_id: int) -> None:
    """The first signal of the stop is about to be sent; event `stopping`."""
    if tx.run(STOPPED, id=attempt_id, now=tx.now):
        tell(tx, attempt_id, "stopping")


# Never down: what comes late, or from a log whose middle was cut out, is less than what is known.
USED = """
UPDATE attempts
   SET input_tokens = max(coalesce(input_tokens, :input_tokens), coalesce(:input_tokens, input_tokens)),
       cached_tokens = max(coalesce(cached_tokens, :cached_tokens), coalesce(:cached_tokens, cached_tokens)),
       output_tokens = max(coalesce(output_tokens, :output_tokens), coalesce(:output_tokens, output_tokens)),
       cost_usd = max(coalesce(cost_usd, :cost_usd), coalesce(:cost_usd, cost_usd))
 WHERE id = :id AND ended_at IS NULL
"""


def used(tx: Tx, attempt_id: int, usage: Mapping[str, int | float | None]) -> None:
    """Keep what a living attempt has used so far: absolute numbers, or None, for each name in USED."""
    tx.run(USED, id=attempt_id, **usage)


RESULT = """
UPDATE attempts
   SET run_id = coalesce(run_id, :run_id), session_id = coalesce(:session_id, session_id), result = coalesce(result, :text),
       failure_kind = coalesce(failure_kind, :failure_kind), provider = coalesce(provider, :provider),
       model = coalesce(model, :model), input_tokens = coalesce(:input_tokens, input_tokens),
       cached_tokens = coalesce(:cached_tokens, cached_tokens), output_tokens = coalesce(:output_tokens, output_tokens),
       cost_usd = coalesce(:cost_usd, cost_usd), session_totals = coalesce(:session_totals, session_totals),
       reset_at = coalesce(reset_at, :reset_at)
 WHERE id = :id
"""


def result(
    tx: Tx, attempt_id: int, found: Mapping[str, str | int | float | None], of_session: Collection[str] = ()
) -> None:
    """Keep what the program said of its own run at its end. `found`: a value or None for each name in RESULT.

    The first word stays, but for the name of the session; numbers win over those that were reported while it ran.
    `of_session`: the numbers that count all of the session; what this run has added to them is kept as its own.
    """
    tx.run(RESULT, id=attempt_id, **own_numbers(tx, attempt_id, found, of_session))


RESET = "UPDATE attempts SET reset_at = :at WHERE id = :id AND ended_at IS NULL"


def resets(tx: Tx, attempt_id: int, at: str | None) -> None:
    """Keep when the limit ends that stops the attempt, as its agent says; None: it does not say."""
    tx.run(RESET, id=attempt_id, at=at)


WEIGHED = """
UPDATE attempts SET peak_rss_bytes = max(coalesce(peak_rss_bytes, 0), :rss), cpu_seconds = max(coalesce(cpu_seconds, 0), :cpu)
 WHERE id = :id
"""


def weighed(tx: Tx, attempt_id: int, *, rss: int, cpu: float) -> None:
    """What its processes were seen to hold (bytes, together) and to have used (processor seconds); the most stays."""
    tx.run(WEIGHED, id=attempt_id, rss=rss, cpu=round(cpu, 3))


GONE = """
UPDATE attempts SET gone_at = :now, exit_code = coalesce(exit_code, :code), exit_signal = coalesce(exit_signal, :signal)
 WHERE id = :id AND gone_at IS NULL AND ended_at IS NOT NULL
"""


def gone(tx: Tx, attempt_id: int, *, code: int | None = None, signal: int | None = None) -> bool:
    """No process of the attempt lives: proved. False when it was told already."""
    return tx.run(GONE, id=attempt_id, now=tx.now, code=code, signal=signal) > 0
