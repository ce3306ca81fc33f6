"""How an agent's heartbeat is set: interval, hours, checklist, what counts as an acknowledgement; and when it is due.

The configuration's word is taken over when it has changed; what a person set since stays until then. Runs are
blackboard/heartbeat_runs.py.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from blackboard import journal, verbs
from blackboard.agents import must_exist
from blackboard.board import Rows, Tx
from blackboard.clock import plus, seconds_between
from blackboard.errors import Invalid, NotFound, Refused
from blackboard.heartbeat_times import HORIZON_DAYS, LEAST_SECONDS, Hours, hours, next_run, offset, within
from blackboard.record import Record
from blackboard.slot_records import zone_of

ENGINE = "engine:heartbeat"
MOST_CHECKLIST = 65536  # bytes
MOST_SECONDS = 31 * 86400
MOST_PROMPT = 4000  # characters
MOST_BESIDE = 20_000  # characters
MOST_RETRIES = 10
MODEL = r"^[!-,.-~][!-~]{0,199}$"  # one word, and no option
ACK_WORD = r"^[A-Za-z0-9_-]{1,100}$"


@dataclass(frozen=True)
class HeartbeatSettings:
    """What can be set of a heartbeat, with the defaults of schema.sql. `active_hours`: `HH:MM-HH:MM`; None: always."""

    enabled: bool = False
    interval_seconds: int = 1800
    active_hours: str | None = None
    time_zone: str = "UTC"
    checklist: str = ""
    prompt: str = ""
    model: str | None = None  # of the agent's program; None: the one it has anyway
    isolated_session: bool = True
    light_context: bool = False
    ack_word: str = "HEARTBEAT_OK"
    ack_max_chars: int = 300
    max_retries: int = 2
    wake_after: bool = False
    sinks: tuple[str, ...] | None = None  # None: every sink that wants heartbeats

    def __post_init__(self) -> None:
        if not LEAST_SECONDS <= self.interval_seconds <= MOST_SECONDS:
            raise Invalid(f"interval_seconds is from {LEAST_SECONDS} to {MOST_SECONDS}, not {self.interval_seconds}")
        zone_of(self.time_zone)
        self.hours  # noqa: B018 - Invalid for hours that are none
        if re.fullmatch(ACK_WORD, self.ack_word) is None or self.ack_word.endswith("\n"):
            raise Invalid("ack_word is one word of letters, digits, - and _, at most 100 characters")
        if not 0 <= self.ack_max_chars <= MOST_BESIDE:
            raise Invalid(f"ack_max_chars is from 0 to {MOST_BESIDE}, not {self.ack_max_chars}")
        if not 0 <= self.max_retries <= MOST_RETRIES:
            raise Invalid(f"max_retries is from 0 to {MOST_RETRIES}, not {self.max_retries}")
        if self.model is not None and re.fullmatch(MODEL, self.model) is None:
            raise Invalid("model is one word as the agent's program knows it, at most 200 characters, no option")
        if len(self.prompt) > MOST_PROMPT:
            raise Invalid(f"a prompt has at most {MOST_PROMPT} characters: put what is longer into the checklist")
        for name in ("prompt", "checklist"):
            if "\0" in getattr(self, name):
                raise Invalid(f"the {name} holds a NUL character: text cannot")
        if len(self.checklist.encode("utf-8", "surrogatepass")) > MOST_CHECKLIST:
            raise Invalid(f"a checklist has at most {MOST_CHECKLIST} bytes: put what is longer into a file and name it")

    @property
    def hours(self) -> Hours | None:
        """Its active hours; None: always."""
        return None if self.active_hours is None else hours(self.active_hours, self.time_zone)

    def columns(self) -> dict[str, Any]:
        """As columns of `heartbeats`."""
        plain = {name: int(value) if isinstance(value, bool) else value for name, value in asdict(self).items()}
        return plain | {"sinks": None if self.sinks is None else json.dumps(list(self.sinks))}


NAMES = tuple(HeartbeatSettings.__dataclass_fields__)


def given_of(row: Record) -> dict[str, Any]:
    """What a row of `heartbeats` says of how it is set, as it stands there: an operator's SQL may have put anything into it."""
    given = {name: row[name] for name in NAMES}
    for name in ("enabled", "isolated_session", "light_context", "wake_after"):
        given[name] = bool(given[name])
    sinks = None if row["sinks"] is None else json.loads(row["sinks"])
    given["sinks"] = tuple(map(str, sinks)) if isinstance(sinks, list) else None
    return given


def settings_of(row: Record) -> HeartbeatSettings:
    """The same as settings; Invalid for what cannot be."""
    try:
        return HeartbeatSettings(**given_of(row))
    except Invalid as error:
        raise Invalid(f"the heartbeat of agent {row['agent_id']} cannot beat as it is set: {error.sentence}") from None


def is_sound(row: Record) -> bool:
    """Whether a row of `heartbeats` can be taken as settings."""
    try:
        settings_of(row)
    except Invalid:
        return False
    return True


ROW = "SELECT * FROM heartbeats WHERE agent_id = :agent"


def find(rows: Rows, agent: str) -> sqlite3.Row | None:
    """The heartbeat of an agent; None where nothing was ever set. NotFound when there is no such agent."""
    must_exist(rows, agent)
    return rows.one(ROW, agent=agent)


def get(rows: Rows, agent: str) -> sqlite3.Row:
    """The heartbeat of an agent; NotFound."""
    row = find(rows, agent)
    if row is None:
        raise NotFound(f"agent {agent} has no heartbeat: orchestrator heartbeat set {agent} makes one")
    return row


PUT = """
INSERT INTO heartbeats (agent_id, project_id, enabled, interval_seconds, active_hours, time_zone, checklist, prompt, model, isolated_session,
  light_context, ack_word, ack_max_chars, max_retries, wake_after, sinks, config, next_run_at, beat_at, actor)
VALUES (:agent, :project, :enabled, :interval_seconds, :active_hours, :time_zone, :checklist, :prompt, :model, :isolated_session,
  :light_context, :ack_word, :ack_max_chars, :max_retries, :wake_after, :sinks, :config, :next, :next, :actor)
ON CONFLICT (agent_id) DO UPDATE SET project_id = excluded.project_id, enabled = excluded.enabled, interval_seconds = excluded.interval_seconds,
  active_hours = excluded.active_hours, time_zone = excluded.time_zone, checklist = excluded.checklist, prompt = excluded.prompt,
  model = excluded.model, isolated_session = excluded.isolated_session, light_context = excluded.light_context, ack_word = excluded.ack_word,
  ack_max_chars = excluded.ack_max_chars, max_retries = excluded.max_retries, wake_after = excluded.wake_after, sinks = excluded.sinks,
  config = excluded.config, next_run_at = excluded.next_run_at, beat_at = excluded.beat_at, rev = rev + 1, actor = excluded.actor
"""
UNBEGUN = """
SELECT t.id FROM heartbeat_runs r JOIN tasks t ON t.id = r.task_id WHERE r.agent_id = :agent AND r.status = 'running' AND t.status = 'pending'
"""
OF_COMMAND = "SELECT 1 FROM agents WHERE id = :agent AND runner = 'command'"
FIRST_PROJECT = "SELECT id FROM projects ORDER BY rowid LIMIT 1"


def _put(
    tx: Tx, agent: str, wanted: HeartbeatSettings, *, actor: str, project: str | None, config: str | None
) -> list[str]:
    """Have a heartbeat set as it is wanted, and told; the names of what has changed."""
    row = tx.one(ROW, agent=agent)
    before = given_of(row) if row is not None else asdict(HeartbeatSettings())
    if wanted.model and wanted.model != before["model"] and tx.all(OF_COMMAND, agent=agent):
        raise Refused(f"agent {agent} is of the runner command, whose argv says everything: leave model out")
    changed = [name for name in NAMES if before[name] != getattr(wanted, name)]
    first = tx.one(FIRST_PROJECT)
    project = project or (row["project_id"] if row is not None else first["id"] if first is not None else None)
    if project is None:
        raise Refused(
            "a heartbeat's tasks belong to a project, and there is none on this board: start `orchestrator run` once"
        )
    moved = row is None or {"enabled", "interval_seconds", "active_hours", "time_zone"} & set(changed)
    following = row["next_run_at"] if row is not None and not moved else first_run(agent, wanted, tx.now)
    tx.run(PUT, agent=agent, project=project, actor=actor, config=config, next=following, **wanted.columns())
    if row is not None and moved:
        release(tx, agent)
    for unbegun in tx.all(UNBEGUN, agent=agent) if not wanted.enabled else ():
        verbs.cancel(tx, unbegun["id"], actor=ENGINE, reason="its heartbeat was switched off")
    if changed or row is None:
        journal.tell(tx, "heartbeat_set", actor=actor, agent_id=agent, data=json.dumps({"changed": changed}),
                     reason=f"heartbeat {'on' if wanted.enabled else 'off'}, every {wanted.interval_seconds} s")  # fmt: skip
    return changed


def first_run(agent: str, wanted: HeartbeatSettings, now: str) -> str | None:
    """The first beat of a heartbeat that begins now: after an interval and the agent's own offset; None when it is off."""
    if not wanted.enabled:
        return None
    shift = offset(agent, wanted.interval_seconds)
    return within(wanted.hours, plus(now, wanted.interval_seconds + shift), wanted.interval_seconds, shift)


def following_run(row: Record, now: str) -> str:
    """The beat after the one that is due: on the same grid, inside of the hours.

    A grid that begins anew, for the old one is more than an interval behind, begins at the agent's offset: what held it
    back may have held back all.
    """
    wanted = settings_of(row)
    interval, shift = wanted.interval_seconds, offset(row["agent_id"], wanted.interval_seconds)
    beat = row["beat_at"] if row["beat_at"] > now else next_run(row["beat_at"], interval, now)
    if seconds_between(row["beat_at"], now) > 2 * interval:
        beat = plus(beat, shift)
    return within(wanted.hours, beat, interval, shift)


RELEASE = "UPDATE heartbeats SET held_by = NULL WHERE agent_id = :agent AND held_by IS NOT NULL"
END_SKIP = "UPDATE heartbeat_runs SET ended_at = :now, times = :times WHERE id = :id"
OPEN_SKIP = """
SELECT id, started_at FROM heartbeat_runs WHERE agent_id = :agent AND status = 'skipped' AND ended_at IS NULL ORDER BY id DESC LIMIT 1
"""


def release(tx: Tx, agent: str) -> None:
    """Nothing holds a heartbeat any more: end the row of the skip, with how many beats fell into it."""
    row = tx.one(ROW, agent=agent)
    if row is None or row["held_by"] is None:
        return  # without a look at the log, which goes on for years: only what is held has an open skip
    skip = tx.one(OPEN_SKIP, agent=agent)
    tx.run(RELEASE, agent=agent)
    if skip is not None:
        from_start = max(0.0, seconds_between(skip["started_at"], tx.now))
        tx.run(END_SKIP, id=skip["id"], now=tx.now, times=1 + int(from_start // row["interval_seconds"]))


# --- what the configuration says --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Configured:
    """A heartbeat as the configuration has it; `unread`: but for its checklist, whose file cannot be read now."""

    agent: str
    project: str
    settings: HeartbeatSettings
    unread: bool = False

    @property
    def fingerprint(self) -> str:
        """What is compared with the configuration's last word: that of its table, and that of the checklist."""
        return f"{self.table}:{_hash(self.settings.checklist)}"

    @property
    def table(self) -> str:
        """The same without the checklist."""
        return _hash(json.dumps([self.project, asdict(replace(self.settings, checklist=""))], sort_keys=True))

    def beside(self, row: Record | None) -> tuple[str, HeartbeatSettings]:
        """What is compared and how it is set, where a file that cannot be read counts as one that is as it was."""
        if row is None or not self.unread:
            return self.fingerprint, self.settings
        kept = row["checklist"] if is_sound(row) else ""
        return f"{self.table}:{(row['config'] or '').partition(':')[2]}", replace(self.settings, checklist=kept)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


NAMED = "SELECT agent_id FROM heartbeats WHERE config IS NOT NULL ORDER BY agent_id"
CONFIG = "engine:config"


def take_over(tx: Tx, configured: Sequence[Configured]) -> None:
    """Set what the configuration says anew, where its own word has changed; switch off what it names no more."""
    for each in configured:
        row = tx.one(ROW, agent=each.agent)
        word, wanted = each.beside(row)
        if row is None or row["config"] != word:
            _put(tx, each.agent, wanted, actor=CONFIG, project=each.project, config=word)
    named = {each.agent for each in configured}
    for row in tx.all(NAMED):
        if row["agent_id"] not in named and is_sound(found := get(tx, row["agent_id"])):
            off = HeartbeatSettings(**given_of(found) | {"enabled": False})
            _put(tx, row["agent_id"], off, actor=CONFIG, project=None, config=None)


def take_over_checklist(tx: Tx, configured: Configured) -> None:
    """Have the checklist of a file that has changed since the start; whatever else was set since then stays."""
    row = get(tx, configured.agent)
    if row["config"] == configured.fingerprint or not is_sound(row):
        return
    wanted = HeartbeatSettings(**given_of(row) | {"checklist": configured.settings.checklist})
    _put(tx, configured.agent, wanted, actor=CONFIG, project=None, config=configured.fingerprint)


EVERY = "SELECT * FROM heartbeats WHERE enabled = 1 ORDER BY agent_id"


def after_clock_set_back(tx: Tx) -> int:
    """Begin anew what was set while the clock was far ahead, and would be due in years; how many."""
    far = [row for row in tx.all(EVERY) if is_sound(row) and _is_far(row, tx.now)]
    for row in far:
        tx.run(PUT_OFF, agent=row["agent_id"], next=first_run(row["agent_id"], settings_of(row), tx.now))
    return len(far)


def _is_far(row: Record, now: str) -> bool:
    """Whether a beat is later than one that is set now can be: an interval, its offset, and the days that hours are looked for."""
    return str(row["beat_at"]) > plus(now, 1.1 * row["interval_seconds"] + (HORIZON_DAYS + 2) * 86400)


OVERDUE = "SELECT * FROM heartbeats WHERE enabled = 1 AND next_run_at < :now ORDER BY agent_id"
PUT_OFF = "UPDATE heartbeats SET next_run_at = :next, beat_at = :next WHERE agent_id = :agent"


def after_outage(tx: Tx) -> int:
    """Spread the heartbeats that an outage of more than an interval passed over, each by its own offset; how many."""
    late = [
        row
        for row in tx.all(OVERDUE, now=tx.now)
        if plus(row["next_run_at"], row["interval_seconds"]) < tx.now and is_sound(row)
    ]
    for row in late:
        wanted = settings_of(row)
        shift = offset(row["agent_id"], wanted.interval_seconds)
        following = within(wanted.hours, plus(tx.now, shift), wanted.interval_seconds, shift)
        tx.run(PUT_OFF, agent=row["agent_id"], next=following)
    return len(late)


# --- what a person says -----------------------------------------------------------------------------------------------


def change(tx: Tx, agent: str, given: Mapping[str, Any], *, actor: str) -> list[str]:
    """Change what is given of a heartbeat, and make one where there is none; the names of what has changed. Invalid."""
    row = find(tx, agent)
    before = given_of(row) if row is not None else {}
    wanted = HeartbeatSettings(**before | dict(given))
    return _put(tx, agent, wanted, actor=actor, project=None, config=row["config"] if row is not None else None)


WAKE = "UPDATE heartbeats SET next_run_at = :now WHERE agent_id = :agent AND next_run_at > :now"
RUNNING = "SELECT id, task_id FROM heartbeat_runs WHERE agent_id = :agent AND status = 'running'"


def wake(tx: Tx, agent: str, *, actor: str) -> bool:
    """Have a heartbeat run now, through the same hours and gates; False when it is due or under way already."""
    row = get(tx, agent)
    if not row["enabled"]:
        raise Refused(f"the heartbeat of {agent} is off: orchestrator heartbeat toggle {agent} on")
    if tx.one(RUNNING, agent=agent) is not None or not tx.run(WAKE, agent=agent, now=tx.now):
        return False
    journal.tell(tx, "heartbeat_woken", actor=actor, agent_id=agent)
    return True
