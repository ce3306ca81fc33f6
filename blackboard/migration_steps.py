"""What changed from one version of the board to the next, as SQL; `blackboard.migrations` runs it.

A step changes tables and indexes only. One that was released is never changed again.
"""

from __future__ import annotations

VERSION = 4
# Version reached → SQL that changes tables. A column is added in the words that schema.sql has for it.
STEPS: dict[int, str] = {
    2: """
ALTER TABLE projects ADD COLUMN pause_reason TEXT;
ALTER TABLE projects ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;
ALTER TABLE projects ADD COLUMN actor TEXT NOT NULL DEFAULT 'sql';
ALTER TABLE tasks ADD COLUMN reviewer TEXT CHECK (reviewer GLOB 'agent:?*' OR reviewer GLOB 'role:?*');
ALTER TABLE tasks ADD COLUMN max_review_tries INTEGER NOT NULL DEFAULT 2 CHECK (max_review_tries >= 1);
ALTER TABLE tasks ADD COLUMN handed_over TEXT;
CREATE INDEX tasks_to_review ON tasks(reviewer, priority DESC, due_at, id) WHERE status = 'review' AND reviewer IS NOT NULL AND handed_over IS NULL;
CREATE INDEX reviews_waiting_for_time ON tasks(not_before) WHERE status = 'review' AND reviewer IS NOT NULL AND handed_over IS NULL AND not_before IS NOT NULL;
CREATE INDEX agents_of_role ON agent_roles(role);
ALTER TABLE attempts ADD COLUMN run_id TEXT;
ALTER TABLE attempts ADD COLUMN result TEXT;
ALTER TABLE attempts ADD COLUMN failure_kind TEXT;
ALTER TABLE attempts ADD COLUMN provider TEXT;
ALTER TABLE attempts ADD COLUMN model TEXT;
ALTER TABLE attempts ADD COLUMN input_tokens INTEGER;
ALTER TABLE attempts ADD COLUMN cached_tokens INTEGER;
ALTER TABLE attempts ADD COLUMN output_tokens INTEGER;
ALTER TABLE attempts ADD COLUMN cost_usd REAL;
ALTER TABLE attempts ADD COLUMN session_id TEXT;
ALTER TABLE attempts ADD COLUMN abroad_at TEXT;
ALTER TABLE outputs ADD COLUMN kept INTEGER NOT NULL DEFAULT 0 CHECK (kept IN (0, 1));
CREATE TABLE idempotency (
  caller BLOB NOT NULL, key TEXT NOT NULL, route TEXT NOT NULL, body_hash BLOB NOT NULL, status INTEGER NOT NULL,
  answer TEXT NOT NULL CHECK (json_valid(answer)), created_at TEXT NOT NULL, PRIMARY KEY (caller, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency(created_at);
CREATE TABLE whole_board (
  one INTEGER PRIMARY KEY CHECK (one = 1), paused_at TEXT, pause_reason TEXT, rev INTEGER NOT NULL DEFAULT 0,
  actor TEXT NOT NULL DEFAULT 'sql'
) STRICT;
INSERT INTO whole_board (one) VALUES (1);
ALTER TABLE slots ADD COLUMN day TEXT;
DROP INDEX tasks_ready_for_agent;
DROP INDEX tasks_ready_for_role;
CREATE INDEX tasks_ready_for_agent ON tasks(agent_id, project_id, priority DESC, due_at, id) WHERE status = 'pending' AND ready = 1 AND agent_id IS NOT NULL;
CREATE INDEX tasks_ready_for_role ON tasks(role, project_id, priority DESC, due_at, id) WHERE status = 'pending' AND ready = 1 AND role IS NOT NULL;
CREATE TABLE spooled (
  attempt_id INTEGER NOT NULL REFERENCES attempts(id), name TEXT NOT NULL, taken_at TEXT NOT NULL, code TEXT, said TEXT,
  PRIMARY KEY (attempt_id, name)
) STRICT, WITHOUT ROWID;
""",
    3: """
ALTER TABLE slots ADD COLUMN repeat TEXT;
ALTER TABLE slots ADD COLUMN missed TEXT NOT NULL DEFAULT 'run_once' CHECK (missed IN ('run_once','run_all','skip'));
ALTER TABLE slots ADD COLUMN missed_within REAL CHECK (missed_within > 0);
ALTER TABLE slots ADD COLUMN overlap TEXT NOT NULL DEFAULT 'queue' CHECK (overlap IN ('queue','skip','replace'));
ALTER TABLE slots ADD COLUMN deadline TEXT NOT NULL DEFAULT 'none' CHECK (deadline IN ('none','start','end'));
ALTER TABLE slots ADD COLUMN series TEXT;
ALTER TABLE slots ADD COLUMN virtual_id TEXT;
ALTER TABLE slots ADD COLUMN posted_until TEXT;
CREATE INDEX slots_not_queued ON slots(id) WHERE overlap <> 'queue';
CREATE INDEX slots_that_repeat ON slots(posted_until) WHERE repeat IS NOT NULL AND removed_at IS NULL;
ALTER TABLE tasks ADD COLUMN series TEXT;
ALTER TABLE tasks ADD COLUMN begin_by TEXT;
ALTER TABLE tasks ADD COLUMN end_by TEXT;
CREATE INDEX tasks_to_begin ON tasks(begin_by) WHERE status = 'pending' AND begin_by IS NOT NULL;
CREATE INDEX tasks_to_end ON tasks(end_by) WHERE status = 'pending' AND end_by IS NOT NULL;
CREATE INDEX tasks_of_series ON tasks(series, due_at) WHERE series IS NOT NULL AND status IN ('pending','claimed','working');
CREATE TABLE write_backs (
  id              INTEGER PRIMARY KEY,
  source          TEXT NOT NULL,
  slot_id         INTEGER NOT NULL REFERENCES slots(id),
  task_id         INTEGER NOT NULL REFERENCES tasks(id),
  event_id        INTEGER NOT NULL,
  status          TEXT NOT NULL,
  started_at      TEXT,
  actual_duration INTEGER,
  failures        INTEGER NOT NULL DEFAULT 0,
  error           TEXT,
  next_at         TEXT
) STRICT;
CREATE INDEX write_backs_of_slot ON write_backs(slot_id, id);
CREATE INDEX tasks_of_slots_by_time ON tasks(due_at) WHERE slot_id IS NOT NULL;
CREATE TABLE slot_reports (
  slot_id         INTEGER NOT NULL REFERENCES slots(id),
  occurrence      TEXT NOT NULL,
  status          TEXT NOT NULL CHECK (status IN ('not_started','ongoing','deferred','skipped','paused','finished','aborted')),
  started_at      TEXT,
  actual_duration REAL CHECK (actual_duration >= 0),
  instance        TEXT NOT NULL,
  actor           TEXT NOT NULL,
  reported_at     TEXT NOT NULL,
  PRIMARY KEY (slot_id, occurrence)
) STRICT, WITHOUT ROWID;
CREATE TABLE sync_clients (
  instance  TEXT NOT NULL,
  reach     TEXT NOT NULL,
  token     TEXT NOT NULL,
  date      TEXT NOT NULL,
  known     TEXT NOT NULL CHECK (json_valid(known)),
  asked_at  TEXT NOT NULL,
  PRIMARY KEY (instance, reach)
) STRICT, WITHOUT ROWID;
CREATE TABLE instances (
  name    TEXT PRIMARY KEY,
  seen_at TEXT NOT NULL,
  actor   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE sources (
  name TEXT PRIMARY KEY, tried_at TEXT, ok_at TEXT, failures INTEGER NOT NULL DEFAULT 0,
  failed INTEGER NOT NULL DEFAULT 0, error TEXT, next_at TEXT, stale_at TEXT,
  state TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(state))
) STRICT, WITHOUT ROWID;
CREATE TABLE presence_reports (
  agent_id    TEXT NOT NULL REFERENCES agents(id),
  source      TEXT NOT NULL,
  status      TEXT NOT NULL CHECK (status IN ('idle','on_call','busy','exhausted','offline','unknown')),
  actor       TEXT NOT NULL,
  reason      TEXT,
  reported_at TEXT NOT NULL,
  expires_at  TEXT NOT NULL,
  PRIMARY KEY (agent_id, source)
) STRICT, WITHOUT ROWID;
CREATE TABLE presences (
  agent_id TEXT PRIMARY KEY REFERENCES agents(id),
  status   TEXT NOT NULL,
  source   TEXT NOT NULL,
  reason   TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE presence_pushes (
  agent_id      TEXT NOT NULL REFERENCES agents(id),
  sink          TEXT NOT NULL,
  status        TEXT,
  pushed_at     TEXT,
  again         INTEGER NOT NULL DEFAULT 0 CHECK (again IN (0, 1)),
  failures      INTEGER NOT NULL DEFAULT 0,
  failing_since TEXT,
  error         TEXT,
  next_at       TEXT,
  PRIMARY KEY (agent_id, sink)
) STRICT, WITHOUT ROWID;
ALTER TABLE whole_board ADD COLUMN day_usd REAL CHECK (day_usd > 0);
ALTER TABLE whole_board ADD COLUMN day_tokens INTEGER CHECK (day_tokens > 0);
ALTER TABLE whole_board ADD COLUMN budget_action TEXT NOT NULL DEFAULT 'pause' CHECK (budget_action IN ('warn','pause','stop'));
ALTER TABLE whole_board ADD COLUMN budget_warned_at TEXT;
ALTER TABLE whole_board ADD COLUMN budget_spent_at TEXT;
CREATE TABLE accounts (
  id            TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 70 AND id NOT GLOB '*[^A-Za-z0-9._:-]*'),
  paused_at     TEXT,
  pause_reason  TEXT,
  cold_after_seconds REAL NOT NULL DEFAULT 0 CHECK (cold_after_seconds >= 0),
  limited_at    TEXT,
  limited_until TEXT,
  limit_reason  TEXT,
  limited_by    INTEGER REFERENCES attempts(id),
  strikes       INTEGER NOT NULL DEFAULT 0,
  canary_id     INTEGER REFERENCES attempts(id),
  proved_at     TEXT,
  rev           INTEGER NOT NULL DEFAULT 0,
  actor         TEXT NOT NULL DEFAULT 'sql',
  created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  CHECK ((limited_at IS NULL) = (limited_until IS NULL))
) STRICT;
CREATE INDEX accounts_tried ON accounts(canary_id) WHERE canary_id IS NOT NULL;
ALTER TABLE agents ADD COLUMN account TEXT REFERENCES accounts(id);
ALTER TABLE agents ADD COLUMN claim_when TEXT NOT NULL DEFAULT 'idle on_call';
ALTER TABLE agents ADD COLUMN memory_bytes INTEGER NOT NULL DEFAULT 0 CHECK (memory_bytes >= 0);
ALTER TABLE agents ADD COLUMN day_usd REAL CHECK (day_usd > 0);
ALTER TABLE agents ADD COLUMN day_tokens INTEGER CHECK (day_tokens > 0);
ALTER TABLE agents ADD COLUMN budget_action TEXT NOT NULL DEFAULT 'pause' CHECK (budget_action IN ('warn','pause','stop'));
ALTER TABLE agents ADD COLUMN budget_warned_at TEXT;
ALTER TABLE agents ADD COLUMN budget_spent_at TEXT;
ALTER TABLE tasks ADD COLUMN checks TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(checks));
ALTER TABLE tasks ADD COLUMN proof TEXT CHECK (proof IN ('wanted','passed','failed'));
ALTER TABLE tasks ADD COLUMN max_same INTEGER NOT NULL DEFAULT 3 CHECK (max_same >= 1);
ALTER TABLE tasks ADD COLUMN attempt_usd REAL CHECK (attempt_usd > 0);
ALTER TABLE tasks ADD COLUMN attempt_tokens INTEGER CHECK (attempt_tokens > 0);
ALTER TABLE tasks ADD COLUMN task_usd REAL CHECK (task_usd > 0);
ALTER TABLE tasks ADD COLUMN task_tokens INTEGER CHECK (task_tokens > 0);
ALTER TABLE attempts ADD COLUMN program TEXT;
ALTER TABLE attempts ADD COLUMN resumes INTEGER REFERENCES attempts(id);
ALTER TABLE attempts ADD COLUMN session_totals TEXT CHECK (session_totals IS NULL OR json_valid(session_totals));
ALTER TABLE attempts ADD COLUMN reset_at TEXT;
ALTER TABLE attempts ADD COLUMN fingerprint TEXT;
ALTER TABLE attempts ADD COLUMN budget_told INTEGER NOT NULL DEFAULT 0;
ALTER TABLE attempts ADD COLUMN peak_rss_bytes INTEGER;
ALTER TABLE attempts ADD COLUMN cpu_seconds REAL;
CREATE TABLE checks (
  id           INTEGER PRIMARY KEY CHECK (id > 0),
  task_id      INTEGER NOT NULL REFERENCES tasks(id),
  attempt_id   INTEGER NOT NULL REFERENCES attempts(id),
  position     INTEGER NOT NULL,
  what         TEXT NOT NULL CHECK (json_valid(what)),
  started_at   TEXT NOT NULL,
  boot_id      TEXT,
  launcher_pid INTEGER,
  launcher_start INTEGER,
  result       TEXT CHECK (result IN ('passed','failed','timed_out','not_run','interrupted')),
  exit_code    INTEGER,
  exit_signal  INTEGER,
  output       TEXT,
  output_size  INTEGER,
  output_sha256 TEXT,
  ended_at     TEXT,
  CHECK ((ended_at IS NULL) = (result IS NULL))
) STRICT;
CREATE TABLE workspaces (
  id         INTEGER PRIMARY KEY CHECK (id > 0),
  path       TEXT NOT NULL,
  kind       TEXT NOT NULL CHECK (kind IN ('folder','worktree')),
  task_id    INTEGER REFERENCES tasks(id),
  agent_id   TEXT REFERENCES agents(id),
  maker      TEXT NOT NULL,
  repository TEXT,
  branch     TEXT,
  wanted_at  TEXT NOT NULL,
  begun_at   TEXT,
  ready_at   TEXT,
  looked_at  TEXT,
  kept       TEXT,
  removing_at TEXT,
  removed_at TEXT,
  CHECK ((task_id IS NULL) <> (agent_id IS NULL)),
  CHECK ((kind = 'worktree') = (repository IS NOT NULL AND branch IS NOT NULL))
) STRICT;
CREATE INDEX attempts_by_claim ON attempts(claimed_at);
CREATE INDEX checks_of_task ON checks(task_id, id);
CREATE INDEX attempts_of_session ON attempts(session_key, id) WHERE session_key IS NOT NULL;
CREATE UNIQUE INDEX one_check_at_once ON checks(task_id) WHERE ended_at IS NULL;
CREATE INDEX tasks_to_prove ON tasks(moved_at, id) WHERE status = 'review' AND proof = 'wanted' AND handed_over IS NULL;
CREATE UNIQUE INDEX one_workspace_a_path ON workspaces(path) WHERE removed_at IS NULL;
CREATE INDEX workspaces_of_task ON workspaces(task_id) WHERE task_id IS NOT NULL;
""",
    4: """
CREATE TABLE notices (
  id         INTEGER PRIMARY KEY CHECK (id > 0),
  key        TEXT NOT NULL UNIQUE,
  kind       TEXT NOT NULL,
  topic      TEXT NOT NULL,
  urgent     INTEGER NOT NULL DEFAULT 0 CHECK (urgent IN (0, 1)),
  agent_id   TEXT REFERENCES agents(id),
  task_id    INTEGER REFERENCES tasks(id),
  title      TEXT NOT NULL CHECK (title <> ''),
  body       TEXT NOT NULL DEFAULT '',
  data       TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(data)),
  sinks      TEXT CHECK (sinks IS NULL OR json_valid(sinks)),
  created_at TEXT NOT NULL,
  routed_at  TEXT
) STRICT;
CREATE INDEX notices_to_route ON notices(id) WHERE routed_at IS NULL;
CREATE INDEX notices_alike ON notices(kind, topic, id);
CREATE INDEX notices_by_age ON notices(created_at);
CREATE TABLE deliveries (
  id           INTEGER PRIMARY KEY CHECK (id > 0),
  notice_id    INTEGER NOT NULL REFERENCES notices(id),
  sink         TEXT NOT NULL,
  state        TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting','delivered','repeated','dead','dismissed')),
  message      TEXT,
  failures     INTEGER NOT NULL DEFAULT 0,
  error        TEXT,
  next_at      TEXT NOT NULL,
  settled_at   TEXT,
  UNIQUE (notice_id, sink)
) STRICT;
CREATE INDEX deliveries_waiting ON deliveries(sink, next_at, id) WHERE state = 'waiting';
CREATE INDEX deliveries_begun ON deliveries(sink, id) WHERE state = 'waiting' AND message IS NOT NULL;
CREATE INDEX deliveries_of_message ON deliveries(message) WHERE message IS NOT NULL;
CREATE INDEX deliveries_dead ON deliveries(sink, id) WHERE state = 'dead';
CREATE TABLE sinks (
  name          TEXT PRIMARY KEY,
  ok_at         TEXT,
  failures      INTEGER NOT NULL DEFAULT 0,
  failing_since TEXT,
  error         TEXT,
  closed_at     TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE watch_items (
  watch   TEXT NOT NULL,
  item    TEXT NOT NULL,
  content TEXT NOT NULL CHECK (json_valid(content)),
  missing INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (watch, item)
) STRICT, WITHOUT ROWID;
CREATE TABLE watch_pushes (
  id         INTEGER PRIMARY KEY CHECK (id > 0),
  target     TEXT NOT NULL,
  topic      TEXT NOT NULL,
  urgent     INTEGER NOT NULL DEFAULT 0 CHECK (urgent IN (0, 1)),
  state      TEXT NOT NULL CHECK (state IN ('open','acknowledged','failed')),
  task_id    INTEGER REFERENCES tasks(id),
  notice_id  INTEGER,
  posted_at  TEXT NOT NULL,
  settled_at TEXT,
  error      TEXT,
  CHECK ((state = 'open') = (settled_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX one_watch_push_at_once ON watch_pushes(target, topic) WHERE state = 'open';
CREATE INDEX watch_pushes_of ON watch_pushes(target, topic, id);
CREATE TABLE watch_changes (
  id       INTEGER PRIMARY KEY CHECK (id > 0),
  watch    TEXT NOT NULL,
  target   TEXT NOT NULL,
  topic    TEXT NOT NULL,
  item     TEXT NOT NULL,
  kind     TEXT NOT NULL CHECK (kind IN ('added','changed','removed')),
  diff     TEXT NOT NULL CHECK (json_valid(diff)),
  urgent   INTEGER NOT NULL DEFAULT 0 CHECK (urgent IN (0, 1)),
  seen_at  TEXT NOT NULL,
  state    TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting','pushed','acknowledged','left')),
  failures INTEGER NOT NULL DEFAULT 0,
  push_id  INTEGER REFERENCES watch_pushes(id),
  CHECK (state NOT IN ('pushed','acknowledged') OR push_id IS NOT NULL)
) STRICT;
CREATE INDEX watch_changes_waiting ON watch_changes(target, topic, id) WHERE state = 'waiting';
CREATE INDEX watch_changes_urgent ON watch_changes(target, topic) WHERE state = 'waiting' AND urgent = 1;
CREATE INDEX watch_changes_left ON watch_changes(watch, id) WHERE state = 'left';
CREATE INDEX watch_changes_of_push ON watch_changes(push_id, id) WHERE push_id IS NOT NULL;
CREATE INDEX watch_changes_of_watch ON watch_changes(watch, id);

CREATE TABLE heartbeats (
  agent_id         TEXT PRIMARY KEY REFERENCES agents(id),
  project_id       TEXT NOT NULL REFERENCES projects(id),
  enabled          INTEGER NOT NULL DEFAULT 0 CHECK (enabled IN (0, 1)),
  interval_seconds INTEGER NOT NULL DEFAULT 1800 CHECK (interval_seconds >= 300),
  active_hours     TEXT,
  time_zone        TEXT NOT NULL DEFAULT 'UTC',
  checklist        TEXT NOT NULL DEFAULT '' CHECK (length(CAST(checklist AS BLOB)) <= 65536),
  prompt           TEXT NOT NULL DEFAULT '',
  model            TEXT CHECK (model <> ''),
  isolated_session INTEGER NOT NULL DEFAULT 1 CHECK (isolated_session IN (0, 1)),
  light_context    INTEGER NOT NULL DEFAULT 0 CHECK (light_context IN (0, 1)),
  ack_word         TEXT NOT NULL DEFAULT 'HEARTBEAT_OK' CHECK (ack_word <> ''),
  ack_max_chars    INTEGER NOT NULL DEFAULT 300 CHECK (ack_max_chars >= 0),
  max_retries      INTEGER NOT NULL DEFAULT 2 CHECK (max_retries >= 0),
  wake_after       INTEGER NOT NULL DEFAULT 0 CHECK (wake_after IN (0, 1)),
  sinks            TEXT CHECK (sinks IS NULL OR json_valid(sinks)),
  config           TEXT,
  next_run_at      TEXT
                   CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', next_run_at, '+0 days') IS next_run_at AND coalesce(next_run_at, '0001') >= '0001'),
  beat_at          TEXT
                   CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', beat_at, '+0 days') IS beat_at AND coalesce(beat_at, '0001') >= '0001'),
  held_by          TEXT,
  last_run_at      TEXT,
  last_status      TEXT,
  last_error       TEXT,
  run_count        INTEGER NOT NULL DEFAULT 0,
  suppress_count   INTEGER NOT NULL DEFAULT 0,
  rev              INTEGER NOT NULL DEFAULT 0,
  actor            TEXT NOT NULL DEFAULT 'sql',
  CHECK ((enabled = 1) = (next_run_at IS NOT NULL)),
  CHECK ((next_run_at IS NULL) = (beat_at IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX heartbeats_due ON heartbeats(next_run_at) WHERE enabled = 1;
CREATE INDEX heartbeats_free ON heartbeats(next_run_at) WHERE enabled = 1 AND held_by IS NULL;
CREATE TABLE heartbeat_runs (
  id            INTEGER PRIMARY KEY CHECK (id > 0),
  agent_id      TEXT NOT NULL REFERENCES agents(id),
  task_id       INTEGER REFERENCES tasks(id),
  status        TEXT NOT NULL CHECK (status IN ('running','ok','suppressed','error','skipped')),
  reason        TEXT,
  times         INTEGER NOT NULL DEFAULT 1,
  summary       TEXT,
  error         TEXT,
  input_tokens  INTEGER,
  output_tokens INTEGER,
  duration_seconds REAL,
  started_at    TEXT NOT NULL,
  ended_at      TEXT,
  CHECK (status <> 'running' OR (task_id IS NOT NULL AND ended_at IS NULL)),
  CHECK (status IN ('running','skipped') OR ended_at IS NOT NULL)
) STRICT;
CREATE INDEX heartbeat_runs_of_agent ON heartbeat_runs(agent_id, id);
CREATE UNIQUE INDEX one_run_a_task ON heartbeat_runs(task_id) WHERE task_id IS NOT NULL;
CREATE UNIQUE INDEX one_heartbeat_at_once ON heartbeat_runs(agent_id) WHERE status = 'running';

CREATE TABLE permissions (
  id         INTEGER PRIMARY KEY CHECK (id > 0),
  subject    TEXT NOT NULL CHECK (subject GLOB 'agent:[A-Za-z0-9]*' OR subject GLOB 'group:?*'),
  type       TEXT NOT NULL CHECK (type IN ('heartbeat','checklist','slots','presence','*')),
  scope      TEXT NOT NULL CHECK (scope IN ('*','self') OR scope GLOB 'agent:?*' OR scope GLOB 'group:?*'),
  effect     TEXT NOT NULL DEFAULT 'allow' CHECK (effect IN ('allow','deny')),
  rev        INTEGER NOT NULL DEFAULT 0,
  actor      TEXT NOT NULL DEFAULT 'sql',
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  revoked_at TEXT
) STRICT;
CREATE UNIQUE INDEX one_permission ON permissions(subject, type, scope) WHERE revoked_at IS NULL;

""",
}
