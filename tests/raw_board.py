"""A board written by raw SQL alone, as an operator's shell would: no product code between a test and schema.sql."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = (ROOT / "schema.sql").read_text(encoding="utf-8")

PEOPLE = """
INSERT INTO projects (id) VALUES ('forge');
INSERT INTO agents (id, max_live) VALUES ('ada', 9), ('bob', 9), ('eve', 9);
INSERT INTO agent_roles (agent_id, role) VALUES ('ada', 'smith'), ('bob', 'smith');
INSERT INTO slots (id, source, agent_id, project_id, uid, scheduled_at) VALUES (1, 'api', 'ada', 'forge', 'id:1', '09:00');
"""
CLAIM = """
INSERT INTO attempts (task_id, number, role, agent_id, token_hash, claimed_at, claimed_by)
VALUES (:task, (SELECT coalesce(max(number), 0) + 1 FROM attempts WHERE task_id = :task), :role, :agent, randomblob(32),
        :now, 'engine:tick')
"""
OUTPUT = """
INSERT INTO outputs (task_id, attempt_id, agent_id, type, title, content, size, sha256, created_at)
SELECT task_id, id, agent_id, 'code', 'a nail', 'x', 1, '', :now FROM attempts WHERE id = :attempt
"""
COMMENT = """
INSERT INTO comments (task_id, attempt_id, author, body, created_at) VALUES (:task, :attempt, 'person:root', 'hm', :now)
"""

CHECK = """
INSERT INTO checks (task_id, attempt_id, position, what, started_at)
SELECT id, (SELECT max(id) FROM attempts WHERE task_id = t.id AND role = 'executor'), :position, checks -> (:position - 1), :now
  FROM tasks t WHERE id = :task
"""
CHECKED = "UPDATE checks SET result = :result, output = 'so', ended_at = :now WHERE id = :id"


class RawBoard:
    """A connection to a board with a project, three agents and a slot; its clock goes on a second with every look."""

    def __init__(self, path: Path | str = ":memory:") -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.executescript(SCHEMA + PEOPLE)
        self._seconds = 0

    def now(self) -> str:
        """The next second, counted from 2026-01-31."""
        self._seconds += 1
        minutes, seconds = divmod(self._seconds, 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        return f"2026-{1 + days // 28:02}-{1 + days % 28:02}T{hours:02}:{minutes:02}:{seconds:02}.000Z"

    def run(self, sql: str, **params: object) -> int:
        """Run one statement; the id of the row it inserted, if it did."""
        return self.connection.execute(sql, params).lastrowid or 0

    def value(self, sql: str, **params: object) -> Any:
        """The first column of the first row, or None."""
        row = self.connection.execute(sql, params).fetchone()
        return row[0] if row else None

    def post(self, **columns: object) -> int:
        """Insert a task, for ada unless said otherwise; its id."""
        now = self.now()
        row = {"project_id": "forge", "title": "nail", "agent_id": "ada", "actor": "person:root", "posted_at": now,
               "due_at": now, **columns}  # fmt: skip
        return self.run(f"INSERT INTO tasks ({', '.join(row)}) VALUES ({', '.join(':' + name for name in row)})", **row)

    def claim(self, task: int, agent: str = "ada", role: str = "executor") -> int:
        """Insert an attempt; its id."""
        return self.run(CLAIM, task=task, agent=agent, role=role, now=self.now())

    def move(self, task: int, verb: str, dst: str, actor: str, **columns: object) -> None:
        """A verb's UPDATE: rev grows, and verb, actor, reason and moved_at are named."""
        row = {"status": dst, "verb": verb, "actor": actor, "reason": None, "moved_at": self.now(), **columns}
        named = ", ".join(f"{name} = :{name}" for name in row)
        self.run(f"UPDATE tasks SET rev = rev + 1, {named} WHERE id = :task", task=task, **row)

    def hand_in(self, attempt: int) -> int:
        """Insert an output of an attempt; its id."""
        return self.run(OUTPUT, attempt=attempt, now=self.now())

    def comment(self, task: int, attempt: int | None = None) -> int:
        """Insert a comment; its id."""
        return self.run(COMMENT, task=task, attempt=attempt, now=self.now())

    def gone(self, attempt: int) -> None:
        """Say that no process of an attempt lives."""
        self.run("UPDATE attempts SET gone_at = :now WHERE id = :attempt", attempt=attempt, now=self.now())

    def works(self, task: int, agent: str = "ada") -> int:
        """Claim and start; the attempt's id."""
        attempt = self.claim(task, agent)
        self.move(task, "start", "working", f"executor:{agent}")
        return attempt

    def hands_in(self, task: int, agent: str = "ada") -> int:
        """Claim, start, hand an output in, submit, be gone; the attempt's id."""
        attempt = self.works(task, agent)
        self.hand_in(attempt)
        self.move(task, "submit", "review", f"executor:{agent}", reason="made it")
        self.gone(attempt)
        return attempt

    def check(self, task: int, position: int = 1, result: str | None = "passed") -> int:
        """Insert a check's row, and end it with a result; its id."""
        made = self.run(CHECK, task=task, position=position, now=self.now())
        if result is not None:
            self.run(CHECKED, id=made, result=result, now=self.now())
        return made


def shell(path: Path | str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in the sqlite3 shell, as an operator's machine has it: none of our settings."""
    program = shutil.which("sqlite3")
    assert program, "this test asks the sqlite3 shell: apt-get install sqlite3"
    return subprocess.run(
        [program, "-batch", "-init", "/dev/null", str(path)], input=script, capture_output=True, text=True
    )
