"""Proof before done: which check is run next, and what becomes of a task when one has ended.

"The agent says done" is the move to review; "verified" is the event of the same name, when every check has passed in
the workspace of the attempt that handed in. Starts nothing: orchestrator/proving.py does.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any, Literal

from blackboard import checks, reviews, verbs
from blackboard.board import Rows, Tx
from blackboard.errors import Invalid
from blackboard.gates import OPEN_PROOF
from blackboard.move import get
from blackboard.record import Record

ENGINE = "engine:proofs"
REMARK_MOST = 2400  # characters of output in a remark: the next prompt has room for them

Result = Literal["passed", "failed", "timed_out", "not_run", "interrupted"]


@dataclass(frozen=True)
class Found:
    """How a check ended. `output`: its end, without tokens; of one that could not be run, why. `size`: bytes."""

    result: Result
    exit_code: int | None = None
    exit_signal: int | None = None
    output: str = ""
    size: int | None = None
    sha256: str | None = None


# --- What is to be run ------------------------------------------------------------------------------------

DUE = f"""
SELECT t.id FROM tasks t INDEXED BY tasks_to_prove WHERE {OPEN_PROOF} ORDER BY t.moved_at, t.id LIMIT :most
"""  # noqa: S608 - our own constant text


def due(rows: Rows, most: int) -> list[int]:
    """Tasks of which a check may be run now, the longest waiting first."""
    return [row["id"] for row in rows.all(DUE, most=most)]


# The first condition without a passed check of the work that was handed in last, since a person asked for all of them again.
BEGIN = """
INSERT INTO checks (task_id, attempt_id, position, what, started_at)
SELECT t.id, e.id, w.key + 1, t.checks -> w.key, :now
  FROM tasks t JOIN attempts e ON e.id = (SELECT max(id) FROM attempts WHERE task_id = t.id AND role = 'executor')
  JOIN json_each(t.checks) w
 WHERE t.id = :task AND NOT EXISTS (
   SELECT 1 FROM checks c WHERE c.task_id = t.id AND c.attempt_id = e.id AND c.position = w.key + 1
      AND c.what = t.checks -> w.key AND c.result = 'passed'
      AND c.id > coalesce((SELECT json_extract(v.data, '$.after') FROM events v WHERE v.task_id = t.id AND v.verb = 'recheck' ORDER BY v.id DESC LIMIT 1), 0))
 ORDER BY w.key LIMIT 1
"""
BEGUN = "SELECT id, position FROM checks WHERE task_id = :task AND ended_at IS NULL"


def begin(tx: Tx, most: int) -> list[int]:
    """Begin the next check of up to `most` tasks: their rows, before anything runs. The checks' ids."""
    begun = []
    for task in due(tx, most):
        if tx.run(BEGIN, task=task, now=tx.now):
            row = tx.one(BEGUN, task=task)
            begun += [row["id"]] if row else []
        else:
            _verified(tx, task)  # what was left to prove is not asked for any more
    return begun


# `wanted`: it is still worth running; a person may have decided, or changed the check, meanwhile.
UNFINISHED = """
SELECT c.*, a.agent_id, a.workspace, a.number, t.project_id,
       coalesce(t.status = 'review' AND t.proof = 'wanted' AND t.handed_over IS NULL AND t.checks -> (c.position - 1) = c.what, 0) AS wanted
  FROM checks c INDEXED BY one_check_at_once JOIN attempts a ON a.id = c.attempt_id JOIN tasks t ON t.id = c.task_id
 WHERE c.ended_at IS NULL ORDER BY c.id
"""


def unfinished(rows: Rows) -> list[sqlite3.Row]:
    """Every check that has not ended, with whose work it looks at, and whether anybody still wants to know."""
    return rows.all(UNFINISHED)


STARTED = """
UPDATE checks SET launcher_pid = :pid, launcher_start = :start, boot_id = :boot_id WHERE id = :id AND ended_at IS NULL
"""


def started(tx: Tx, check_id: int, *, pid: int, start: int, boot_id: str) -> None:
    """Record the launcher's identity."""
    tx.run(STARTED, id=check_id, pid=pid, start=start, boot_id=boot_id)


# --- What it means ----------------------------------------------------------------------------------------

END = """
UPDATE checks SET result = :result, exit_code = :exit_code, exit_signal = :exit_signal, output = :output, output_size = :size,
       output_sha256 = :sha256, ended_at = :now
 WHERE id = :id AND ended_at IS NULL
"""
PROVED = "UPDATE tasks SET proof = :proof WHERE id = :id"
LEFT = BEGIN.replace("INSERT INTO checks (task_id, attempt_id, position, what, started_at)\n", "")


def finish(tx: Tx, check_id: int, found: Found) -> None:
    """A check has ended and nothing of it lives: keep the evidence, and let its task go on.

    The last one that passes verifies it: then it is approved (`review = auto`) or its reviewer is asked. One that fails
    sends it back. One that could not be run is nobody's fault: a person decides. An interrupted one is run again.
    """
    row = next((each for each in unfinished(tx) if each["id"] == check_id), None)
    if row is None:
        return
    tx.run(
        END, id=check_id, result=found.result, exit_code=found.exit_code, exit_signal=found.exit_signal,
        output=found.output, size=found.size, sha256=found.sha256, now=tx.now,
    )  # fmt: skip
    if not row["wanted"] or found.result == "interrupted":
        return
    if found.result == "passed":
        if tx.one(LEFT, task=row["task_id"], now=tx.now) is None:
            _verified(tx, row["task_id"])
    elif found.result == "not_run":
        reviews.hand_over(tx, row["task_id"], f"its {sentence(row, found)}")
    else:
        tx.run(PROVED, id=row["task_id"], proof="failed")
        verbs.reject(tx, row["task_id"], actor=ENGINE, remark=_remark(row, found))


def _verified(tx: Tx, task_id: int) -> None:
    """Every check has passed: what comes after a review without checks comes now."""
    tx.run(PROVED, id=task_id, proof="passed")
    if get(tx, task_id)["review"] == "auto":
        verbs.approve(tx, task_id, actor="engine:policy", reason="review = auto, and its checks have passed")
    verbs.begin_review(tx, task_id)


def sentence(row: Record, ended: Found | Record) -> str:
    """`check 'tests' failed: exit code 1`; `ended`: what was found, or the row that keeps it."""
    found = (
        ended
        if isinstance(ended, Found)
        else Found(*(ended[name] for name in ("result", "exit_code", "exit_signal", "output")))
    )
    try:
        check = checks.read(row["what"])
        title, limit = check.title, f"{check.seconds:g} s"
    except Invalid:
        title, limit = str(row["position"]), ""
    said = f"check {title!r} "
    if found.result == "timed_out":
        return f"{said}took longer than its {limit}"
    if found.result == "not_run":
        return f"{said}could not be run: {found.output}"
    if found.exit_signal is not None:
        return f"{said}was ended by signal {found.exit_signal}"
    if found.exit_code is not None:
        return f"{said}failed: exit code {found.exit_code}"
    return f"{said}failed"


def _remark(row: Record, found: Found) -> str:
    """What the next attempt reads: which check, how it ended, and the end of what it printed."""
    said = sentence(row, found)
    check = checks.read(row["what"])
    if check.command:
        said += f"\nIt was run as: {check.command[:600]}"
    output = found.output.strip()
    return f"{said}\nThe end of what it said:\n{output[-REMARK_MOST:]}" if output else f"{said}\nIt said nothing."


# --- What people read -------------------------------------------------------------------------------------


def waiting(rows: Rows, task: Record, gates: list[dict[str, Any]]) -> str:
    """Why a task in review waits for its checks; `gates`: PROOF_GATES, passed or not."""
    number, many = task["id"], len(json.loads(task["checks"]))
    decide = f'To decide yourself, without them: orchestrator approve {number}, or orchestrator reject {number} "..."'
    its = f"its {many} checks are" if many > 1 else "its check is"
    if (row := rows.one(BEGUN, task=number)) is not None:
        return f"task {number} is in review, and {its} being run (now {row['position']} of {many}). {decide}"
    closed = "; ".join(str(gate["sentence"]) for gate in gates if not gate["passed"])
    return f"task {number} is in review, and {its} run {f'when this is over: {closed}' if closed else 'next'}. {decide}"


LAST_FAILED = "SELECT * FROM checks WHERE task_id = :task AND result IN ('failed','timed_out') ORDER BY id DESC LIMIT 1"


def sent_back(rows: Rows, task: Record) -> str:
    """What to add to a sentence about a task that its checks have sent back; else nothing."""
    if task["proof"] != "failed" or task["status"] != "pending":
        return ""
    row = rows.one(LAST_FAILED, task=task["id"])
    return f" ({sentence(row, row)})" if row else ""


EVIDENCE = """
SELECT id, attempt_id, position, what, started_at, ended_at, result, exit_code, exit_signal, output, output_size, output_sha256
  FROM checks WHERE task_id = :id ORDER BY id DESC LIMIT :most
"""
EVIDENCE_SHOWN = 200  # of one task, the newest


def evidence(rows: Rows, task_id: int) -> list[dict[str, Any]]:
    """Each run of a task's checks, the oldest first; `check`: what it is called."""
    return [_shown(row) for row in reversed(rows.all(EVIDENCE, id=task_id, most=EVIDENCE_SHOWN))]


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    told = {key: row[key] for key in row.keys() if key != "what"}  # noqa: SIM118 - a Row iterates over values
    try:
        return told | {"check": checks.read(row["what"]).title}
    except Invalid:
        return told | {"check": f"check {row['position']}"}
