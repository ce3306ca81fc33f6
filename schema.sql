-- The blackboard: the whole database of the orchestrator, and its rules.
--
--   projects ─┐                        ┌─ dependencies (task needs task)
--   agents ───┼─ slots ──► tasks ──────┼─ attempts ──► outputs, comments, checks, refusals
--   tokens ───┘     one occurrence,    └─ events      (every change, one row, never altered)
--                   one task
--
-- How a task passes through: a slot (or a post) inserts it as `pending`; the tick marks it `ready` when
-- its time has come; a claim IS the insertion of an executor's attempt, whose trigger moves the task to
-- `claimed`; the agent starts, submits, fails or blocks it; a review approves or rejects it.
--
-- Rules that hold for everybody, a plain `sqlite3` shell included:
--   * only the arrows in `moves`, and only by the roles that row names;
--   * every change writes its event in the same transaction, by trigger;
--   * an executor's attempt ends exactly when its task leaves claimed/working; only proof sets `gone_at`;
--   * at most one attempt of a task is not gone, so nothing runs beside a living process;
--   * tasks, attempts, events, outputs and comments are never deleted or replaced.
--
-- A verb's UPDATE raises `rev` by one and names verb, actor and reason. A bare UPDATE leaves `rev` alone:
-- it gets the arrow's default verb and the actor 'sql'. An actor is `role:name`, with role one of
-- executor, reviewer, person, engine. Times are UTC text, `2026-01-31T09:00:00.000Z`: they sort.
-- Durations are seconds unless the name says otherwise. Booleans are 0 and 1. JSON columns hold objects.

PRAGMA application_id = 1111639857;

-- ---------------------------------------------------------------------------------------------------
-- Tables
-- ---------------------------------------------------------------------------------------------------

-- What this file is: board_id (the marker of its processes), base_url (fixed while attempts live).
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE projects (
  id         TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64 AND id NOT GLOB '*[^A-Za-z0-9._-]*' AND id GLOB '[A-Za-z0-9]*'),
  title      TEXT NOT NULL DEFAULT '',
  paused_at  TEXT,
  pause_reason TEXT,
  rev        INTEGER NOT NULL DEFAULT 0,
  actor      TEXT NOT NULL DEFAULT 'sql',             -- who made the last change
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now'))
) STRICT;

-- Everything at once: its only row is paused or not, like a project or an agent.
CREATE TABLE whole_board (
  one          INTEGER PRIMARY KEY CHECK (one = 1),
  paused_at    TEXT,
  pause_reason TEXT,
  day_usd      REAL    CHECK (day_usd > 0),           -- what all agents together may spend a day; null: no limit
  day_tokens   INTEGER CHECK (day_tokens > 0),
  budget_action TEXT NOT NULL DEFAULT 'pause' CHECK (budget_action IN ('warn','pause','stop')),
  budget_warned_at TEXT,                              -- last told that a day's budget is nearly spent, ...
  budget_spent_at TEXT,                               -- ... and that it is
  rev          INTEGER NOT NULL DEFAULT 0,
  actor        TEXT NOT NULL DEFAULT 'sql'            -- who made the last change
) STRICT;
INSERT INTO whole_board (one) VALUES (1);

-- What several agents draw on together: a login, a key. A limit that one of them meets holds for all of them.
CREATE TABLE accounts (
  id            TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 70 AND id NOT GLOB '*[^A-Za-z0-9._:-]*'),   -- 'agent:ID' is an agent's own
  paused_at     TEXT,
  pause_reason  TEXT,
  cold_after_seconds REAL NOT NULL DEFAULT 0 CHECK (cold_after_seconds >= 0),   -- so long without a sign of life, one attempt goes first; 0: never
  limited_at    TEXT,                                 -- since when its provider refuses
  limited_until TEXT,                                 -- until when; afterwards one attempt goes first
  limit_reason  TEXT,
  limited_by    INTEGER REFERENCES attempts(id),      -- the attempt that met it last
  strikes       INTEGER NOT NULL DEFAULT 0,           -- limits met in a row without a sign of life between
  canary_id     INTEGER REFERENCES attempts(id),      -- the attempt that goes first, while it does
  proved_at     TEXT,                                 -- last sign of life of an attempt on it
  rev           INTEGER NOT NULL DEFAULT 0,
  actor         TEXT NOT NULL DEFAULT 'sql',          -- who made the last change
  created_at    TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  CHECK ((limited_at IS NULL) = (limited_until IS NULL))
) STRICT;
CREATE INDEX accounts_tried ON accounts(canary_id) WHERE canary_id IS NOT NULL;

CREATE TABLE agents (
  id           TEXT PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 64 AND id NOT GLOB '*[^A-Za-z0-9._-]*' AND id GLOB '[A-Za-z0-9]*'),
  runner       TEXT NOT NULL DEFAULT 'command',
  enabled      INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
  max_live     INTEGER NOT NULL DEFAULT 1 CHECK (max_live >= 0),   -- attempts not gone at once
  claim_when   TEXT    NOT NULL DEFAULT 'idle on_call',            -- it gets work while it is said to be so, or nothing is said
  account      TEXT REFERENCES accounts(id),                       -- what it draws on, 'agent:ID' when it shares none
  memory_bytes INTEGER NOT NULL DEFAULT 0 CHECK (memory_bytes >= 0),   -- what one attempt of it is known to need
  paused_at    TEXT,
  pause_reason TEXT,
  day_usd      REAL    CHECK (day_usd > 0),                        -- what it may spend a day; null: no limit
  day_tokens   INTEGER CHECK (day_tokens > 0),
  budget_action TEXT NOT NULL DEFAULT 'pause' CHECK (budget_action IN ('warn','pause','stop')),
  budget_warned_at TEXT,                                           -- last told that a day's budget is nearly spent, ...
  budget_spent_at TEXT,                                            -- ... and that it is
  rev          INTEGER NOT NULL DEFAULT 0,
  actor        TEXT NOT NULL DEFAULT 'sql',                        -- who made the last change
  created_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now'))
) STRICT;

-- Which roles of the team an agent fills: a task may ask for a role instead of naming an agent.
CREATE TABLE agent_roles (
  agent_id TEXT NOT NULL REFERENCES agents(id),
  role     TEXT NOT NULL CHECK (length(role) BETWEEN 1 AND 64 AND role NOT GLOB '*[^A-Za-z0-9._-]*'),
  PRIMARY KEY (agent_id, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX agents_of_role ON agent_roles(role);

-- Where an agent stands, as it says itself or others say of it: the latest word of each, until it expires.
CREATE TABLE presence_reports (
  agent_id    TEXT NOT NULL REFERENCES agents(id),
  source      TEXT NOT NULL,                          -- 'agent', a name of a person's own, or 'presence:NAME'
  status      TEXT NOT NULL CHECK (status IN ('idle','on_call','busy','exhausted','offline','unknown')),
  actor       TEXT NOT NULL,                          -- who said it
  reason      TEXT,
  reported_at TEXT NOT NULL,
  expires_at  TEXT NOT NULL,                          -- from here it says nothing
  PRIMARY KEY (agent_id, source)
) STRICT, WITHOUT ROWID;
-- What was told last of where an agent stands: `presence_changed` says how it differs.
CREATE TABLE presences (
  agent_id TEXT PRIMARY KEY REFERENCES agents(id),
  status   TEXT NOT NULL,
  source   TEXT NOT NULL,                             -- 'board', or that of the report
  reason   TEXT
) STRICT, WITHOUT ROWID;
-- What each sink was told last of each agent, so that a restart tells it nothing twice.
CREATE TABLE presence_pushes (
  agent_id      TEXT NOT NULL REFERENCES agents(id),
  sink          TEXT NOT NULL,
  status        TEXT,                                 -- in the sink's word; null: not known
  pushed_at     TEXT,                                 -- last taken by the sink
  again         INTEGER NOT NULL DEFAULT 0 CHECK (again IN (0, 1)),    -- tell it whether it has changed or not
  failures      INTEGER NOT NULL DEFAULT 0,           -- tries since it took something
  failing_since TEXT,
  error         TEXT,
  next_at       TEXT,                                 -- not tried again before
  PRIMARY KEY (agent_id, sink)
) STRICT, WITHOUT ROWID;

-- Where slots come from, and how each was doing when it was last asked. Its name is that in slots.source.
CREATE TABLE sources (
  name       TEXT PRIMARY KEY,
  tried_at   TEXT,                                  -- last asked
  ok_at      TEXT,                                  -- last good answer, which the board was brought up to
  failures   INTEGER NOT NULL DEFAULT 0,            -- tries since then
  failed     INTEGER NOT NULL DEFAULT 0,            -- tries without a good answer, all of them
  error      TEXT,                                  -- why the last try was one; null: it was not
  next_at    TEXT,                                  -- not asked again before
  stale_at   TEXT,                                  -- from here nothing that it planned is claimed; null: never
  state      TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(state))   -- what its next question needs, such as a token
) STRICT, WITHOUT ROWID;

-- A planned piece of an agent's time, as its source gave it. `uid` is `id:N` or `virtual:V`.
CREATE TABLE slots (
  id                 INTEGER PRIMARY KEY,
  source             TEXT NOT NULL,                 -- 'api', 'cli' or 'file:NAME'
  agent_id           TEXT NOT NULL REFERENCES agents(id),
  project_id         TEXT NOT NULL REFERENCES projects(id),
  uid                TEXT NOT NULL,
  slot_type          TEXT NOT NULL DEFAULT '',
  estimated_duration REAL CHECK (estimated_duration > 0),   -- minutes
  scheduled_at       TEXT NOT NULL,                 -- as written: HH:MM, HH:MM:SS or ISO 8601; '' where `repeat` says all
  repeat             TEXT,                          -- a cron line or an RRULE: which times there are besides; null: none
  time_zone          TEXT NOT NULL DEFAULT 'UTC',   -- IANA name the wall time is meant in
  day                TEXT,                          -- the one day that HH:MM means; null: every day
  status             TEXT NOT NULL DEFAULT 'not_started',   -- the source's own word
  priority           INTEGER NOT NULL DEFAULT 0,
  event_type         TEXT,
  event_data         TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(event_data)),
  extra              TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(extra)),   -- fields we do not know, kept
  missed             TEXT NOT NULL DEFAULT 'run_once' CHECK (missed IN ('run_once','run_all','skip')),   -- what an outage passed over
  missed_within      REAL CHECK (missed_within > 0),   -- begun later than so many seconds after its time: missed for good
  overlap            TEXT NOT NULL DEFAULT 'queue' CHECK (overlap IN ('queue','skip','replace')),   -- when the one before is not finished
  deadline           TEXT NOT NULL DEFAULT 'none' CHECK (deadline IN ('none','start','end')),   -- what must be before the slot's end
  series             TEXT,                          -- what it is one of, such as an event that repeats; null: only itself
  virtual_id         TEXT,                          -- the name it had in its plan, before it became a real one
  posted_until       TEXT,                          -- of `repeat`: up to here every time has its task, or was passed over
  removed_at         TEXT,
  created_at         TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  UNIQUE (source, agent_id, uid)
) STRICT;
CREATE INDEX slots_not_queued  ON slots(id) WHERE overlap <> 'queue';
CREATE INDEX slots_that_repeat ON slots(posted_until) WHERE repeat IS NOT NULL AND removed_at IS NULL;

-- What a calendar backend is still to be told of its slots, in the order it happened.
CREATE TABLE write_backs (
  id              INTEGER PRIMARY KEY,
  source          TEXT NOT NULL,                    -- that of the slot
  slot_id         INTEGER NOT NULL REFERENCES slots(id),
  task_id         INTEGER NOT NULL REFERENCES tasks(id),
  event_id        INTEGER NOT NULL,                 -- the move that is told
  status          TEXT NOT NULL,                    -- in the backend's words
  started_at      TEXT,
  actual_duration INTEGER,                          -- minutes
  failures        INTEGER NOT NULL DEFAULT 0,
  error           TEXT,                             -- why the last try was one
  next_at         TEXT                              -- not tried again before
) STRICT;
CREATE INDEX write_backs_of_slot ON write_backs(slot_id, id);

CREATE TABLE tasks (
  id          INTEGER PRIMARY KEY CHECK (id > 0),
  project_id  TEXT NOT NULL REFERENCES projects(id),
  slot_id     INTEGER REFERENCES slots(id),
  occurrence  TEXT,                                 -- which occurrence of the slot: its date, or 'once'
  parent_id   INTEGER REFERENCES tasks(id),
  agent_id    TEXT REFERENCES agents(id),           -- whose task it is, or ...
  role        TEXT,                                 -- ... which role of the team may take it
  title       TEXT NOT NULL CHECK (title <> ''),
  description TEXT NOT NULL DEFAULT '',
  task_type   TEXT NOT NULL DEFAULT 'general',
  priority    INTEGER NOT NULL DEFAULT 5,           -- higher goes first
  must_haves  TEXT NOT NULL DEFAULT '',             -- required conditions, as text
  checks      TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(checks)),   -- ... and as commands and paths that prove them
  data        TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(data)),

  status      TEXT NOT NULL DEFAULT 'pending'
              CHECK (status IN ('pending','claimed','working','review','done','failed','blocked','cancelled')),
  rev         INTEGER NOT NULL DEFAULT 0,
  verb        TEXT NOT NULL DEFAULT 'post',
  actor       TEXT NOT NULL DEFAULT 'sql',
  reason      TEXT,
  moved_at    TEXT,
  ended_at    TEXT,                                 -- set exactly while done, failed or cancelled
  attempt_id  INTEGER,                              -- the latest attempt
  blocked_kind TEXT CHECK (blocked_kind IN ('needs_input','dependency','capability','transient')),
  answer      TEXT,                                 -- what a person answered when the task was last blocked
  proof       TEXT CHECK (proof IN ('wanted','passed','failed')),   -- of what was handed in last; null: nothing to prove, or begun anew

  due_at      TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now'))
              CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', due_at, '+0 days') IS due_at AND due_at >= '0001'),
  not_before  TEXT                                  -- back-off: not to be claimed earlier
              CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', not_before, '+0 days') IS not_before AND coalesce(not_before, '0001') >= '0001'),
  series      TEXT,                                 -- of a slot: whose occurrences are one after the other
  begin_by    TEXT,                                 -- of a slot: not begun by then, it is missed
  end_by      TEXT,                                 -- of a slot: what is not finished by then is ended
  ready       INTEGER NOT NULL DEFAULT 0 CHECK (ready IN (0, 1)),   -- the tick found it due with nothing open
  deps_open   INTEGER NOT NULL DEFAULT 0,           -- tasks it needs that are not done; kept by triggers
  plan_rev    INTEGER NOT NULL DEFAULT 0,           -- a planner raises it by one and names itself, as a verb does with rev
  planned_by  TEXT,

  -- policy, resolved when the task was posted
  max_tries         INTEGER NOT NULL DEFAULT 3     CHECK (max_tries >= 1),
  backoff_seconds   REAL    NOT NULL DEFAULT 30    CHECK (backoff_seconds >= 0),
  backoff_cap_seconds REAL  NOT NULL DEFAULT 3600  CHECK (backoff_cap_seconds >= 0),
  wall_seconds      REAL    NOT NULL DEFAULT 3600  CHECK (wall_seconds > 0),
  idle_seconds      REAL    NOT NULL DEFAULT 900   CHECK (idle_seconds > 0),
  startup_seconds   REAL    NOT NULL DEFAULT 300   CHECK (startup_seconds > 0),
  settle_seconds    REAL    NOT NULL DEFAULT 30    CHECK (settle_seconds >= 0),
  review            TEXT    NOT NULL DEFAULT 'human' CHECK (review IN ('auto','human')),
  reviewer          TEXT CHECK (reviewer GLOB 'agent:?*' OR reviewer GLOB 'role:?*'),   -- who reviews before a person is asked
  max_review_tries  INTEGER NOT NULL DEFAULT 2     CHECK (max_review_tries >= 1),
  handed_over       TEXT,                           -- in review: why a person must decide and no agent is asked any more
  max_rejections    INTEGER NOT NULL DEFAULT 3     CHECK (max_rejections >= 0),
  needs_output      INTEGER NOT NULL DEFAULT 1     CHECK (needs_output IN (0, 1)),
  waits_for_children INTEGER NOT NULL DEFAULT 1    CHECK (waits_for_children IN (0, 1)),
  max_same          INTEGER NOT NULL DEFAULT 3     CHECK (max_same >= 1),   -- attempts that end alike before a person is asked
  attempt_usd       REAL    CHECK (attempt_usd > 0),          -- what one attempt may spend; null: no limit
  attempt_tokens    INTEGER CHECK (attempt_tokens > 0),
  task_usd          REAL    CHECK (task_usd > 0),             -- ... and all of them together
  task_tokens       INTEGER CHECK (task_tokens > 0),

  posted_at   TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  CHECK ((agent_id IS NULL) <> (role IS NULL)),
  CHECK ((slot_id IS NULL) = (occurrence IS NULL))
) STRICT;

-- One task a slot occurrence, however often it is taken in.
CREATE UNIQUE INDEX one_task_an_occurrence ON tasks(slot_id, occurrence) WHERE slot_id IS NOT NULL;
-- A day of a calendar.
CREATE INDEX tasks_of_slots_by_time ON tasks(due_at) WHERE slot_id IS NOT NULL;
-- The slot's contract: what is missed, and which occurrence is before which.
CREATE INDEX tasks_to_begin ON tasks(begin_by) WHERE status = 'pending' AND begin_by IS NOT NULL;
CREATE INDEX tasks_to_end   ON tasks(end_by)   WHERE status = 'pending' AND end_by IS NOT NULL;
CREATE INDEX tasks_of_series ON tasks(series, due_at) WHERE series IS NOT NULL AND status IN ('pending','claimed','working');
-- The claim, for an agent's own tasks and for those of a role: holds only what can be claimed, project by
-- project, so that the tasks of a paused one are never looked at.
CREATE INDEX tasks_ready_for_agent ON tasks(agent_id, project_id, priority DESC, due_at, id) WHERE status = 'pending' AND ready = 1 AND agent_id IS NOT NULL;
CREATE INDEX tasks_ready_for_role  ON tasks(role, project_id, priority DESC, due_at, id)     WHERE status = 'pending' AND ready = 1 AND role IS NOT NULL;
-- The tick: what becomes ready next, and how long to sleep.
-- (An expression, not a generated column: SQLite 3.40 cannot VACUUM INTO a table that has one beside a CHECK.)
CREATE INDEX tasks_waiting_for_time ON tasks(max(due_at, coalesce(not_before, '')), id) WHERE status = 'pending' AND ready = 0 AND deps_open = 0;
-- The claim of a review, for `agent:ID` and for `role:NAME`, and when a wait before the next try of one is over.
CREATE INDEX tasks_to_review ON tasks(reviewer, priority DESC, due_at, id) WHERE status = 'review' AND reviewer IS NOT NULL AND handed_over IS NULL;
CREATE INDEX reviews_waiting_for_time ON tasks(not_before) WHERE status = 'review' AND reviewer IS NOT NULL AND handed_over IS NULL AND not_before IS NOT NULL;
-- Operators' lists of what is not final, and the reviews that wait.
CREATE INDEX tasks_open   ON tasks(status, moved_at) WHERE status NOT IN ('pending','done','cancelled','failed');
CREATE INDEX tasks_parent ON tasks(parent_id) WHERE parent_id IS NOT NULL;
-- What was handed in and is to be proved by the task's checks before anybody reviews it.
CREATE INDEX tasks_to_prove ON tasks(moved_at, id) WHERE status = 'review' AND proof = 'wanted' AND handed_over IS NULL;

CREATE TABLE dependencies (
  task_id  INTEGER NOT NULL REFERENCES tasks(id),
  needs_id INTEGER NOT NULL REFERENCES tasks(id),
  PRIMARY KEY (task_id, needs_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX dependencies_needed ON dependencies(needs_id);

CREATE TABLE attempts (
  id          INTEGER PRIMARY KEY CHECK (id > 0),
  task_id     INTEGER NOT NULL REFERENCES tasks(id),
  number      INTEGER NOT NULL,                     -- 1, 2, ... of its task; charged or not
  role        TEXT NOT NULL CHECK (role IN ('executor','reviewer')),
  agent_id    TEXT NOT NULL REFERENCES agents(id),
  token_hash  BLOB NOT NULL UNIQUE,                 -- SHA-256; the token itself is only in the attempt's 0600 curl file
  claimed_at  TEXT NOT NULL,
  claimed_by  TEXT NOT NULL DEFAULT 'sql',          -- actor of the claim
  session_key TEXT,
  workspace   TEXT,                                 -- its working folder: content_path is confined to it

  -- the process, as the spawner recorded it
  spawned_at     TEXT,
  boot_id        TEXT,                              -- pids and *_boot mean something only in this boot
  spawned_boot   REAL,                              -- CLOCK_BOOTTIME seconds
  launcher_pid   INTEGER,
  launcher_start INTEGER,                           -- start time in clock ticks since boot: with the pid, an identity
  agent_pid      INTEGER,
  agent_start    INTEGER,

  -- how it is going
  started_at  TEXT,                                 -- first call, or the tick for runners that never call
  seen_at     TEXT,                                 -- last call with its token
  seen_boot   REAL,                                 -- the same, CLOCK_BOOTTIME seconds
  warned_at   TEXT,                                 -- told that a limit is near
  lease_until TEXT,                                 -- only where no process can be seen

  -- how it ended
  outcome     TEXT,
  detail      TEXT,                                 -- the agent's or the monitor's sentence
  exit_code   INTEGER,
  exit_signal INTEGER,

  -- what its runner read of the program's own result; null where it says nothing
  run_id       TEXT,                                -- of a run that lives elsewhere, such as in a gateway
  result       TEXT,                                -- the program's last words, bounded
  failure_kind TEXT,                                -- auth, rate_limit, context, network, refused, timeout, crash, ...
  provider     TEXT,
  model        TEXT,
  input_tokens  INTEGER,
  cached_tokens INTEGER,
  output_tokens INTEGER,
  cost_usd      REAL,
  session_id    TEXT,                               -- as the program calls the session of session_key
  program       TEXT,                               -- runner and model it was started with, as the configuration had them
  resumes       INTEGER REFERENCES attempts(id),    -- whose session it goes on with
  session_totals TEXT CHECK (session_totals IS NULL OR json_valid(session_totals)),   -- as the program said them: of the whole session
  reset_at      TEXT,                               -- when a limit of the provider ends, as the program said
  fingerprint   TEXT,                               -- of how it ended badly: equal when it is the same failure
  peak_rss_bytes INTEGER,                           -- the most memory its processes were seen to hold together
  cpu_seconds   REAL,                               -- processor time its processes were seen to have used
  budget_told   INTEGER NOT NULL DEFAULT 0,         -- so many percent of its own or its task's budget: told
  abroad_at     TEXT,                               -- ended, but its run may go on elsewhere: nothing we see can prove it gone

  ended_at    TEXT,                                 -- from here its token writes nothing
  stopped_at  TEXT,                                 -- the first signal of the stop was sent
  gone_at     TEXT,                                 -- from here no process of it lives (proved)
  UNIQUE (task_id, number),
  CHECK (ended_at IS NULL OR outcome IS NOT NULL),
  CHECK (gone_at IS NULL OR ended_at IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX one_attempt_not_gone ON attempts(task_id) WHERE gone_at IS NULL;
-- Capacity and "busy": attempts not gone, per agent. Few rows, whatever the history.
CREATE INDEX attempts_not_gone ON attempts(agent_id) WHERE gone_at IS NULL;
-- The breaker: an agent's latest attempts.
CREATE INDEX attempts_of_agent ON attempts(agent_id, id);
-- What was spent on one day: only that day's attempts are read.
CREATE INDEX attempts_by_claim ON attempts(claimed_at);
-- Who shares a conversation, the latest last.
CREATE INDEX attempts_of_session ON attempts(session_key, id) WHERE session_key IS NOT NULL;

CREATE TABLE events (
  id         INTEGER PRIMARY KEY CHECK (id > 0),
  at         TEXT NOT NULL,
  verb       TEXT NOT NULL,                         -- a move's verb, or what else happened
  actor      TEXT NOT NULL,
  task_id    INTEGER,
  attempt_id INTEGER,
  agent_id   TEXT,
  slot_id    INTEGER,
  src        TEXT,
  dst        TEXT,
  reason     TEXT,
  data       TEXT CHECK (data IS NULL OR json_valid(data))
) STRICT;
CREATE INDEX events_of_task ON events(task_id, id) WHERE task_id IS NOT NULL;

CREATE TABLE outputs (
  id           INTEGER PRIMARY KEY CHECK (id > 0),
  task_id      INTEGER NOT NULL REFERENCES tasks(id),
  attempt_id   INTEGER REFERENCES attempts(id),
  agent_id     TEXT,
  type         TEXT NOT NULL CHECK (type IN ('code','document','data','config','other')),
  title        TEXT NOT NULL,
  content      TEXT,                                -- exactly one of content ...
  content_path TEXT,                                -- ... and a path inside the attempt's workspace, or ...
  kept         INTEGER NOT NULL DEFAULT 0 CHECK (kept IN (0, 1)),   -- ... with 1: inside the board's own folder of uploads
  size         INTEGER NOT NULL,                    -- bytes
  sha256       TEXT NOT NULL,
  summary      TEXT NOT NULL DEFAULT '',
  created_at   TEXT NOT NULL,
  CHECK ((content IS NULL) <> (content_path IS NULL))
) STRICT;
CREATE INDEX outputs_of_task    ON outputs(task_id, id);
CREATE INDEX outputs_of_attempt ON outputs(attempt_id);

CREATE TABLE comments (
  id         INTEGER PRIMARY KEY CHECK (id > 0),
  task_id    INTEGER NOT NULL REFERENCES tasks(id),
  attempt_id INTEGER REFERENCES attempts(id),
  author     TEXT NOT NULL,                         -- an actor
  body       TEXT NOT NULL CHECK (body <> ''),
  created_at TEXT NOT NULL
) STRICT;
CREATE INDEX comments_of_task ON comments(task_id, id);

-- The evidence: each run of a task's check in the workspace of the attempt that handed in.
CREATE TABLE checks (
  id           INTEGER PRIMARY KEY CHECK (id > 0),
  task_id      INTEGER NOT NULL REFERENCES tasks(id),
  attempt_id   INTEGER NOT NULL REFERENCES attempts(id),   -- whose work it looks at
  position     INTEGER NOT NULL,                    -- 1, 2, ... in the task's checks
  what         TEXT NOT NULL CHECK (json_valid(what)),
  started_at   TEXT NOT NULL,
  boot_id      TEXT,                                -- the process, as it was started
  launcher_pid INTEGER,
  launcher_start INTEGER,
  result       TEXT CHECK (result IN ('passed','failed','timed_out','not_run','interrupted')),
  exit_code    INTEGER,
  exit_signal  INTEGER,
  output       TEXT,                                -- its end, bounded; or why it could not be run
  output_size  INTEGER,                             -- bytes: of the log that is kept, or of the file that was looked at
  output_sha256 TEXT,
  ended_at     TEXT,
  CHECK ((ended_at IS NULL) = (result IS NULL))
) STRICT;
CREATE INDEX checks_of_task ON checks(task_id, id);
CREATE UNIQUE INDEX one_check_at_once ON checks(task_id) WHERE ended_at IS NULL;

-- Where agents work: plain folders and git worktrees that the orchestrator made, and what became of them.
-- wanted → begun_at → ready_at → removing_at → removed_at: whatever a crash leaves is between two of these.
CREATE TABLE workspaces (
  id         INTEGER PRIMARY KEY CHECK (id > 0),
  path       TEXT NOT NULL,
  kind       TEXT NOT NULL CHECK (kind IN ('folder','worktree')),
  task_id    INTEGER REFERENCES tasks(id),          -- whose it is: a task's, or ...
  agent_id   TEXT REFERENCES agents(id),            -- ... an agent's, for all its tasks
  maker      TEXT NOT NULL,                         -- the agent whose configuration made it: its hooks are run
  repository TEXT,                                  -- of a worktree
  branch     TEXT,
  wanted_at  TEXT NOT NULL,
  begun_at   TEXT,                                  -- nothing was there before: what is there since is ours
  ready_at   TEXT,                                  -- after_create has passed: agents may work in it
  looked_at  TEXT,                                  -- when it was last asked whether it can be removed, ...
  kept       TEXT,                                  -- ... and why it was not
  removing_at TEXT,                                 -- before_remove may have begun
  removed_at TEXT,
  CHECK ((task_id IS NULL) <> (agent_id IS NULL)),
  CHECK ((kind = 'worktree') = (repository IS NOT NULL AND branch IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX one_workspace_a_path ON workspaces(path) WHERE removed_at IS NULL;
CREATE INDEX workspaces_of_task ON workspaces(task_id) WHERE task_id IS NOT NULL;

-- What was refused, counted; the last body is kept as evidence.
CREATE TABLE refusals (
  attempt_id INTEGER NOT NULL REFERENCES attempts(id),
  route      TEXT NOT NULL,
  reason     TEXT NOT NULL,                         -- an error code
  count      INTEGER NOT NULL DEFAULT 1,
  first_at   TEXT NOT NULL,
  last_at    TEXT NOT NULL,
  body       TEXT,                                  -- bounded
  PRIMARY KEY (attempt_id, route, reason)
) STRICT, WITHOUT ROWID;

-- Answers to calls with an Idempotency-Key, kept for 24 hours: the same call again gets the same answer.
CREATE TABLE idempotency (
  caller     BLOB NOT NULL,                         -- hash of the token that called
  key        TEXT NOT NULL,
  route      TEXT NOT NULL,                         -- method and path
  body_hash  BLOB NOT NULL,                         -- SHA-256 of the report that was made
  status     INTEGER NOT NULL,
  answer     TEXT NOT NULL CHECK (json_valid(answer)),
  created_at TEXT NOT NULL,
  PRIMARY KEY (caller, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency(created_at);

-- Reports that an attempt left in its spool while the API was away: which were taken in, and how each went.
CREATE TABLE spooled (
  attempt_id INTEGER NOT NULL REFERENCES attempts(id),
  name       TEXT NOT NULL,                         -- of the spool's file
  taken_at   TEXT NOT NULL,
  code       TEXT,                                  -- null: applied; else the error code of the refusal
  said       TEXT,                                  -- the sentence of the answer, bounded
  PRIMARY KEY (attempt_id, name)
) STRICT, WITHOUT ROWID;

-- What an instance elsewhere, such as a gateway's plugin, reported of an occurrence that it worked on there.
CREATE TABLE slot_reports (
  slot_id         INTEGER NOT NULL REFERENCES slots(id),
  occurrence      TEXT NOT NULL,                    -- as in tasks.occurrence
  status          TEXT NOT NULL CHECK (status IN ('not_started','ongoing','deferred','skipped','paused','finished','aborted')),
  started_at      TEXT,                             -- as it was given
  actual_duration REAL CHECK (actual_duration >= 0),   -- minutes
  instance        TEXT NOT NULL,                    -- its claw_identifier
  actor           TEXT NOT NULL,
  reported_at     TEXT NOT NULL,
  PRIMARY KEY (slot_id, occurrence)
) STRICT, WITHOUT ROWID;

-- Instances that ask this board for the calendar: how far each is, so that the next answer is the difference.
CREATE TABLE sync_clients (
  instance  TEXT NOT NULL,                          -- its claw_identifier
  reach     TEXT NOT NULL,                          -- whose calendar it may see: 'all' or 'agent:ID'
  token     TEXT NOT NULL,                          -- of its last answer; it gives it back as `since`
  date      TEXT NOT NULL,                          -- the day of that answer
  known     TEXT NOT NULL CHECK (json_valid(known)),   -- what it knows since then: records by agent
  asked_at  TEXT NOT NULL,
  PRIMARY KEY (instance, reach)
) STRICT, WITHOUT ROWID;

-- When an instance said last that it lives.
CREATE TABLE instances (
  name    TEXT PRIMARY KEY,
  seen_at TEXT NOT NULL,
  actor   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Tokens of agents (presence, calendar) and operators. Those of attempts die with their row in `attempts`.
CREATE TABLE tokens (
  hash       BLOB PRIMARY KEY,
  kind       TEXT NOT NULL CHECK (kind IN ('agent','operator')),
  agent_id   TEXT REFERENCES agents(id),
  scope      TEXT CHECK (scope IN ('read','operate','admin')),
  name       TEXT NOT NULL,
  created_at TEXT NOT NULL,
  revoked_at TEXT,
  CHECK ((kind = 'agent') = (agent_id IS NOT NULL)),
  CHECK ((kind = 'operator') = (scope IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- What somebody is to be told: a task that is stuck, an agent that is paused, what a watch saw, what a heartbeat found.
-- Whom it goes to is decided once (`routed_at`), from the configuration; then each sink has its row in `deliveries`.
CREATE TABLE notices (
  id         INTEGER PRIMARY KEY CHECK (id > 0),
  key        TEXT NOT NULL UNIQUE,                  -- what is posted twice under one key is one notice
  kind       TEXT NOT NULL,                         -- as blackboard/notice_kinds.py names them
  topic      TEXT NOT NULL,                         -- what it is about, such as 'task:7' or 'watch:NAME'
  urgent     INTEGER NOT NULL DEFAULT 0 CHECK (urgent IN (0, 1)),   -- goes through quiet hours, and in no digest
  agent_id   TEXT REFERENCES agents(id),            -- whom it is about
  task_id    INTEGER REFERENCES tasks(id),
  title      TEXT NOT NULL CHECK (title <> ''),     -- one line
  body       TEXT NOT NULL DEFAULT '',
  data       TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(data)),
  sinks      TEXT CHECK (sinks IS NULL OR json_valid(sinks)),   -- the names of those it is for; null: whoever wants its kind
  created_at TEXT NOT NULL,
  routed_at  TEXT
) STRICT;
CREATE INDEX notices_to_route ON notices(id) WHERE routed_at IS NULL;
CREATE INDEX notices_alike ON notices(kind, topic, id);
CREATE INDEX notices_by_age ON notices(created_at);
-- One notice at one sink.
CREATE TABLE deliveries (
  id           INTEGER PRIMARY KEY CHECK (id > 0),
  notice_id    INTEGER NOT NULL REFERENCES notices(id),
  sink         TEXT NOT NULL,
  state        TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting','delivered','repeated','dead','dismissed')),   -- repeated: its like was told just before; dismissed: a person wants it told no more
  message      TEXT,                                -- the message it is part of, fixed before the first try and the same at every one
  failures     INTEGER NOT NULL DEFAULT 0,
  error        TEXT,                                -- why the last try was one
  next_at      TEXT NOT NULL,                       -- not before: quiet hours, a digest, a wait after a failure
  settled_at   TEXT,                                -- from here it is no longer waiting
  UNIQUE (notice_id, sink)
) STRICT;
CREATE INDEX deliveries_waiting ON deliveries(sink, next_at, id) WHERE state = 'waiting';
-- What goes before all others of its sink: a message that was begun.
CREATE INDEX deliveries_begun ON deliveries(sink, id) WHERE state = 'waiting' AND message IS NOT NULL;
CREATE INDEX deliveries_of_message ON deliveries(message) WHERE message IS NOT NULL;
CREATE INDEX deliveries_dead ON deliveries(sink, id) WHERE state = 'dead';
-- How each sink was doing when it was last told something.
CREATE TABLE sinks (
  name          TEXT PRIMARY KEY,
  ok_at         TEXT,                                 -- last took a message
  failures      INTEGER NOT NULL DEFAULT 0,           -- tries since then
  failing_since TEXT,
  error         TEXT,                                 -- why the last try was one; null: it was not
  closed_at     TEXT                                  -- it wants nothing any more, and gets nothing until a person says retry
) STRICT, WITHOUT ROWID;

-- What each watch saw last, item by item: its snapshot. Written in one transaction with the changes found against it.
CREATE TABLE watch_items (
  watch   TEXT NOT NULL,                             -- the NAME of [watches.NAME]
  item    TEXT NOT NULL,
  content TEXT NOT NULL CHECK (json_valid(content)), -- what counts of it
  missing INTEGER NOT NULL DEFAULT 0,                -- good answers in a row without it
  PRIMARY KEY (watch, item)
) STRICT, WITHOUT ROWID;

-- One telling of changes: at most one of a target and topic is under way.
CREATE TABLE watch_pushes (
  id         INTEGER PRIMARY KEY CHECK (id > 0),
  target     TEXT NOT NULL,                          -- 'agent:ID', 'role:NAME', or 'sinks'
  topic      TEXT NOT NULL,
  urgent     INTEGER NOT NULL DEFAULT 0 CHECK (urgent IN (0, 1)),
  state      TEXT NOT NULL CHECK (state IN ('open','acknowledged','failed')),
  task_id    INTEGER REFERENCES tasks(id),
  notice_id  INTEGER,                                -- in notices, while that is kept
  posted_at  TEXT NOT NULL,
  settled_at TEXT,                                   -- from here it is no longer open
  error      TEXT,                                   -- why it failed
  CHECK ((state = 'open') = (settled_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX one_watch_push_at_once ON watch_pushes(target, topic) WHERE state = 'open';
CREATE INDEX watch_pushes_of ON watch_pushes(target, topic, id);

-- Every change that a watch saw, in the order in which they were seen; kept until somebody has it, and after.
CREATE TABLE watch_changes (
  id       INTEGER PRIMARY KEY CHECK (id > 0),
  watch    TEXT NOT NULL,
  target   TEXT NOT NULL,
  topic    TEXT NOT NULL,
  item     TEXT NOT NULL,
  kind     TEXT NOT NULL CHECK (kind IN ('added','changed','removed')),
  diff     TEXT NOT NULL CHECK (json_valid(diff)),   -- by field: {"before": ..., "after": ...}, bounded
  urgent   INTEGER NOT NULL DEFAULT 0 CHECK (urgent IN (0, 1)),
  seen_at  TEXT NOT NULL,
  state    TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting','pushed','acknowledged','left')),   -- left: its tries are used up, or nobody watches any more
  failures INTEGER NOT NULL DEFAULT 0,               -- pushes of it that failed
  push_id  INTEGER REFERENCES watch_pushes(id),      -- the last push it was part of
  CHECK (state NOT IN ('pushed','acknowledged') OR push_id IS NOT NULL)
) STRICT;
CREATE INDEX watch_changes_waiting ON watch_changes(target, topic, id) WHERE state = 'waiting';
CREATE INDEX watch_changes_urgent ON watch_changes(target, topic) WHERE state = 'waiting' AND urgent = 1;
CREATE INDEX watch_changes_left ON watch_changes(watch, id) WHERE state = 'left';
CREATE INDEX watch_changes_of_push ON watch_changes(push_id, id) WHERE push_id IS NOT NULL;
CREATE INDEX watch_changes_of_watch ON watch_changes(watch, id);

-- An agent's heartbeat: how often and within which hours it looks at its checklist by itself, and how that goes.
CREATE TABLE heartbeats (
  agent_id         TEXT PRIMARY KEY REFERENCES agents(id),
  project_id       TEXT NOT NULL REFERENCES projects(id),   -- in which its tasks are
  enabled          INTEGER NOT NULL DEFAULT 0 CHECK (enabled IN (0, 1)),
  interval_seconds INTEGER NOT NULL DEFAULT 1800 CHECK (interval_seconds >= 300),
  active_hours     TEXT,                              -- HH:MM-HH:MM; null: always
  time_zone        TEXT NOT NULL DEFAULT 'UTC',       -- IANA name the hours are meant in
  checklist        TEXT NOT NULL DEFAULT '' CHECK (length(CAST(checklist AS BLOB)) <= 65536),
  prompt           TEXT NOT NULL DEFAULT '',          -- said in place of our own sentence
  model            TEXT CHECK (model <> ''),          -- the program's model for beats; null: the agent's own
  isolated_session INTEGER NOT NULL DEFAULT 1 CHECK (isolated_session IN (0, 1)),
  light_context    INTEGER NOT NULL DEFAULT 0 CHECK (light_context IN (0, 1)),
  ack_word         TEXT NOT NULL DEFAULT 'HEARTBEAT_OK' CHECK (ack_word <> ''),
  ack_max_chars    INTEGER NOT NULL DEFAULT 300 CHECK (ack_max_chars >= 0),
  max_retries      INTEGER NOT NULL DEFAULT 2 CHECK (max_retries >= 0),
  wake_after       INTEGER NOT NULL DEFAULT 0 CHECK (wake_after IN (0, 1)),   -- runs at once when a task of the agent has ended
  sinks            TEXT CHECK (sinks IS NULL OR json_valid(sinks)),   -- whom what it says is for; null: whoever wants heartbeats
  config           TEXT,                              -- hash of what the configuration said last; null: it names none
  next_run_at      TEXT                               -- looked at next; null while disabled
                   CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', next_run_at, '+0 days') IS next_run_at AND coalesce(next_run_at, '0001') >= '0001'),
  beat_at          TEXT                               -- where its beats are anchored: the same, but for one that was woken
                   CHECK (strftime('%Y-%m-%dT%H:%M:%fZ', beat_at, '+0 days') IS beat_at AND coalesce(beat_at, '0001') >= '0001'),
  held_by          TEXT,                              -- why the one that is due does not run yet
  last_run_at      TEXT,
  last_status      TEXT,
  last_error       TEXT,                              -- of the last run that was no good, until one is
  run_count        INTEGER NOT NULL DEFAULT 0,
  suppress_count   INTEGER NOT NULL DEFAULT 0,
  rev              INTEGER NOT NULL DEFAULT 0,
  actor            TEXT NOT NULL DEFAULT 'sql',       -- who made the last change of how it is set
  CHECK ((enabled = 1) = (next_run_at IS NOT NULL)),
  CHECK ((next_run_at IS NULL) = (beat_at IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX heartbeats_due ON heartbeats(next_run_at) WHERE enabled = 1;
CREATE INDEX heartbeats_free ON heartbeats(next_run_at) WHERE enabled = 1 AND held_by IS NULL;
-- The log: each run has its task; a skip is one row for as long as it lasts.
CREATE TABLE heartbeat_runs (
  id            INTEGER PRIMARY KEY CHECK (id > 0),
  agent_id      TEXT NOT NULL REFERENCES agents(id),
  task_id       INTEGER REFERENCES tasks(id),
  status        TEXT NOT NULL CHECK (status IN ('running','ok','suppressed','error','skipped')),
  reason        TEXT,                                 -- why it was skipped
  times         INTEGER NOT NULL DEFAULT 1,           -- beats in a row that were skipped for it
  summary       TEXT,                                 -- the beginning of what the agent answered
  error         TEXT,
  input_tokens  INTEGER,
  output_tokens INTEGER,
  duration_seconds REAL,                              -- from the first attempt's claim to the last one's end
  started_at    TEXT NOT NULL,
  ended_at      TEXT,                                 -- null: it runs, or the skip goes on
  CHECK (status <> 'running' OR (task_id IS NOT NULL AND ended_at IS NULL)),
  CHECK (status IN ('running','skipped') OR ended_at IS NOT NULL)
) STRICT;
CREATE INDEX heartbeat_runs_of_agent ON heartbeat_runs(agent_id, id);
CREATE UNIQUE INDEX one_run_a_task ON heartbeat_runs(task_id) WHERE task_id IS NOT NULL;
CREATE UNIQUE INDEX one_heartbeat_at_once ON heartbeat_runs(agent_id) WHERE status = 'running';

-- What an agent may change beyond its own task: heartbeats, checklists, slots and presence, its own or others'. Only the
-- rows that are not revoked count; in which order they do is blackboard/permissions.py.
CREATE TABLE permissions (
  id         INTEGER PRIMARY KEY CHECK (id > 0),
  subject    TEXT NOT NULL CHECK (subject GLOB 'agent:[A-Za-z0-9]*' OR subject GLOB 'group:?*'),   -- who: an agent, or all that have a role
  type       TEXT NOT NULL CHECK (type IN ('heartbeat','checklist','slots','presence','*')),
  scope      TEXT NOT NULL CHECK (scope IN ('*','self') OR scope GLOB 'agent:?*' OR scope GLOB 'group:?*'),   -- whose; 'agent:*' and 'group:*' are prefixes
  effect     TEXT NOT NULL DEFAULT 'allow' CHECK (effect IN ('allow','deny')),
  rev        INTEGER NOT NULL DEFAULT 0,
  actor      TEXT NOT NULL DEFAULT 'sql',             -- who made the last change
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  revoked_at TEXT
) STRICT;
CREATE UNIQUE INDEX one_permission ON permissions(subject, type, scope) WHERE revoked_at IS NULL;

-- ---------------------------------------------------------------------------------------------------
-- CODE: data of the rules, triggers and views. Dropped and made anew by every migration; `orchestrator
-- doctor` compares them with this text.
-- ---------------------------------------------------------------------------------------------------

-- The arrows of the state machine. `by`: who may, as roles of an actor. `is_default`: the verb a bare
-- UPDATE of that arrow gets. `by_sql`: whether it may. `outcome`: what it makes of the attempt it ends.
CREATE TABLE moves (
  verb       TEXT NOT NULL,
  src        TEXT NOT NULL,
  dst        TEXT NOT NULL,
  by         TEXT NOT NULL,
  by_sql     INTEGER NOT NULL,
  is_default INTEGER NOT NULL,
  outcome    TEXT,
  PRIMARY KEY (src, dst, verb)
) STRICT, WITHOUT ROWID;
INSERT INTO moves (verb, src, dst, by, by_sql, is_default, outcome) VALUES
  ('claim',   'pending',  'claimed',  'engine',                 0, 1, NULL),
  ('block',   'pending',  'blocked',  'engine',                 1, 1, NULL),
  ('cancel',  'pending',  'cancelled','person engine',          1, 1, NULL),
  ('start',   'claimed',  'working',  'executor engine',        0, 1, NULL),
  ('release', 'claimed',  'pending',  'engine',                 1, 1, 'released'),
  ('retry',   'claimed',  'pending',  'executor engine',        1, 0, 'failed'),
  ('submit',  'claimed',  'review',   'executor engine',        0, 1, 'submitted'),
  ('fail',    'claimed',  'failed',   'executor engine',        1, 1, 'failed'),
  ('block',   'claimed',  'blocked',  'executor engine',        1, 1, 'blocked'),
  ('cancel',  'claimed',  'cancelled','person engine',          1, 1, 'cancelled'),
  ('retry',   'working',  'pending',  'executor engine',        1, 1, 'failed'),
  ('submit',  'working',  'review',   'executor engine',        0, 1, 'submitted'),
  ('fail',    'working',  'failed',   'executor engine',        1, 1, 'failed'),
  ('block',   'working',  'blocked',  'executor engine',        1, 1, 'blocked'),
  ('cancel',  'working',  'cancelled','person engine',          1, 1, 'cancelled'),
  ('approve', 'review',   'done',     'reviewer person engine', 1, 1, 'approved'),
  ('reject',  'review',   'pending',  'reviewer person engine', 1, 1, 'rejected'),
  ('cancel',  'review',   'cancelled','person engine',          1, 1, 'cancelled'),
  ('unblock', 'blocked',  'pending',  'person engine',          1, 1, NULL),
  ('cancel',  'blocked',  'cancelled','person engine',          1, 1, NULL),
  ('reopen',  'failed',   'pending',  'person',                 1, 1, NULL),
  ('reopen',  'done',     'pending',  'person',                 1, 1, NULL),
  ('reopen',  'cancelled','pending',  'person',                 1, 1, NULL);

-- How an attempt can end. `charged`: it counts as a try. `settles`: its agent reported by itself and gets
-- settle_seconds to finish; every other is stopped at once.
CREATE TABLE outcomes (
  outcome TEXT PRIMARY KEY,
  charged INTEGER NOT NULL,
  settles INTEGER NOT NULL,
  meaning TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO outcomes (outcome, charged, settles, meaning) VALUES
  ('submitted',     1, 1, 'the agent handed the task in'),
  ('failed',        1, 1, 'the agent said that it could not'),
  ('blocked',       0, 1, 'the agent asked for something it needs'),
  ('approved',      1, 1, 'the reviewer approved'),
  ('rejected',      1, 1, 'the reviewer rejected'),
  ('cancelled',     0, 0, 'a person, or a cancelled parent, took the task away'),
  ('released',      0, 0, 'nothing was ever started'),
  ('spawn_failed',  0, 0, 'the program could not be started: a fault of the configuration'),
  ('prompt_failed', 0, 0, 'the prompt could not be rendered: a fault of the template'),
  ('dry_run',       0, 0, 'rendered and recorded, not started'),
  ('rate_limited',  0, 0, 'the model''s provider asked to come back later: its account waits'),
  ('not_authorised',0, 0, 'the model''s provider did not accept the login or key: its account is paused'),
  ('busy',          0, 0, 'what the program needs alone was in use by another run'),
  ('no_session',    0, 0, 'the conversation it should go on with was not to be had'),
  ('stopped',       0, 0, 'the orchestrator took the agent with it when it stopped, or when a day''s budget was spent'),
  ('no_report',     1, 0, 'the process ended with exit 0 and never reported a result'),
  ('crashed',       1, 0, 'the process ended with another exit code'),
  ('killed',        1, 0, 'a signal that was not ours ended the process'),
  ('lost',          1, 0, 'the process is gone and left no exit status'),
  ('no_start',      1, 0, 'no sign of life within startup_seconds'),
  ('idle',          1, 0, 'no call and no output for idle_seconds'),
  ('timed_out',     1, 0, 'longer than wall_seconds'),
  ('over_budget',   1, 0, 'it, or its task, has spent more than it may'),
  ('over_limit',    1, 0, 'its processes used more than its limits allow');

-- T1  Only legal moves. A verb names itself and its actor's role; a bare UPDATE gets the arrow's default verb.
CREATE TRIGGER task_move_is_legal BEFORE UPDATE OF status ON tasks
WHEN new.status IS NOT old.status AND new.rev = old.rev + 1
 AND NOT EXISTS (SELECT 1 FROM moves WHERE src = old.status AND dst = new.status AND verb = new.verb
                 AND instr(' ' || by || ' ', ' ' || substr(new.actor, 1, instr(new.actor || ':', ':') - 1) || ' '))
BEGIN SELECT RAISE(ABORT, 'no such move for this actor: SELECT * FROM moves shows what is allowed'); END;

-- OR IGNORE would swallow the event's own constraints, so what the event needs is looked at before.
CREATE TRIGGER task_move_is_whole BEFORE UPDATE OF status ON tasks
WHEN new.status IS NOT old.status AND new.rev = old.rev + 1
BEGIN
  SELECT RAISE(ABORT, 'a move has its time: set moved_at, like 2026-01-31T09:00:00.000Z')
   WHERE (new.moved_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9].[0-9][0-9][0-9]Z') IS NOT 1;
  SELECT RAISE(ABORT, 'an actor is role:name, the role one of executor, reviewer, person, engine')
   WHERE new.actor NOT GLOB 'executor:?*' AND new.actor NOT GLOB 'reviewer:?*' AND new.actor NOT GLOB 'person:?*' AND new.actor NOT GLOB 'engine:?*';
  SELECT RAISE(ABORT, 'a reviewer''s verdict needs a reviewer''s attempt that has not ended')
   WHERE new.actor GLOB 'reviewer:*' AND NOT EXISTS (SELECT 1 FROM attempts WHERE task_id = new.id AND role = 'reviewer' AND gone_at IS NULL AND ended_at IS NULL);
END;

CREATE TRIGGER task_sql_move_is_legal BEFORE UPDATE OF status ON tasks
WHEN new.status IS NOT old.status AND new.rev IS NOT old.rev + 1
 AND (new.rev IS NOT old.rev OR NOT EXISTS (SELECT 1 FROM moves WHERE src = old.status AND dst = new.status AND by_sql AND is_default))
BEGIN SELECT RAISE(ABORT, 'no such move by SQL: SELECT * FROM moves WHERE by_sql shows what is allowed'); END;

CREATE TRIGGER task_moves_elsewhere BEFORE UPDATE OF status ON tasks
WHEN new.status IS old.status AND new.rev IS NOT old.rev
BEGIN SELECT RAISE(ABORT, 'the task is in this state already'); END;

CREATE TRIGGER task_claim_needs_attempt BEFORE UPDATE OF status ON tasks
WHEN new.status = 'claimed' AND old.status IS NOT 'claimed'
 AND NOT EXISTS (SELECT 1 FROM attempts WHERE id = new.attempt_id AND task_id = new.id AND role = 'executor' AND ended_at IS NULL)
BEGIN SELECT RAISE(ABORT, 'a claim is an INSERT into attempts'); END;

CREATE TRIGGER task_submit_is_whole BEFORE UPDATE OF status ON tasks
WHEN new.status = 'review' AND old.status IN ('claimed','working')
BEGIN
  SELECT RAISE(ABORT, 'this attempt has no output yet: hand in an output first, then submit')
   WHERE old.needs_output AND NOT EXISTS (SELECT 1 FROM outputs WHERE attempt_id = old.attempt_id);
  SELECT RAISE(ABORT, 'a child task is not final yet: wait for it or cancel it, then submit')
   WHERE old.waits_for_children AND EXISTS (SELECT 1 FROM tasks WHERE parent_id = old.id AND status NOT IN ('done','failed','cancelled'));
END;

-- No column list: `SET rowid = ...` would pass by one that names `id`.
CREATE TRIGGER task_is_who BEFORE UPDATE ON tasks
WHEN new.id IS NOT old.id OR new.project_id IS NOT old.project_id OR new.slot_id IS NOT old.slot_id
  OR new.occurrence IS NOT old.occurrence OR new.parent_id IS NOT old.parent_id OR new.posted_at IS NOT old.posted_at
BEGIN SELECT RAISE(ABORT, 'a task keeps its id, project, slot, parent and posting time'); END;

CREATE TRIGGER task_keeps_attempt BEFORE UPDATE OF attempt_id ON tasks
WHEN new.attempt_id IS NOT old.attempt_id
 AND NOT EXISTS (SELECT 1 FROM attempts WHERE id = new.attempt_id AND task_id = new.id
                 AND number = (SELECT max(number) FROM attempts WHERE task_id = new.id))
BEGIN SELECT RAISE(ABORT, 'attempt_id is the latest attempt of the task; a claim sets it'); END;

-- T2  A verb's move (rev grew): the event, the end of the attempt, and what the new state brings with it.
CREATE TRIGGER task_move_is_told AFTER UPDATE OF status ON tasks
WHEN new.status IS NOT old.status AND new.rev = old.rev + 1
BEGIN
  INSERT INTO events (at, verb, actor, task_id, attempt_id, agent_id, src, dst, reason, data)
  VALUES (new.moved_at, new.verb, new.actor, new.id, new.attempt_id, new.agent_id, old.status, new.status, new.reason,
    CASE new.status
      WHEN 'claimed' THEN (SELECT json_object('number', number, 'role', role, 'agent', agent_id) FROM attempts WHERE id = new.attempt_id)
      WHEN 'pending' THEN json_object('not_before', new.not_before)
      WHEN 'review'  THEN nullif(json_patch('{}', json_object('reviewer', new.reviewer, 'checks', nullif(json_array_length(new.checks), 0))), '{}')
      WHEN 'done'    THEN CASE WHEN new.proof IS NOT NULL THEN json_object('verified', json(iif(new.proof = 'passed', 'true', 'false'))) END
      WHEN 'blocked' THEN json_object('kind', coalesce(new.blocked_kind, 'needs_input')) END);
  UPDATE attempts
     SET ended_at = new.moved_at,
         outcome = coalesce(outcome, CASE WHEN role = 'reviewer' AND new.actor NOT GLOB 'reviewer:*' THEN 'cancelled' END,   -- a person was faster
                            (SELECT m.outcome FROM moves m WHERE m.src = old.status AND m.dst = new.status AND m.verb = new.verb))
   WHERE task_id = new.id AND gone_at IS NULL AND ended_at IS NULL
     AND old.status IN ('claimed','working','review') AND new.status NOT IN ('claimed','working');
  UPDATE tasks
     SET ended_at = CASE WHEN new.status IN ('done','failed','cancelled') THEN new.moved_at END, ready = 0,
         blocked_kind = CASE new.status WHEN 'blocked' THEN coalesce(blocked_kind, 'needs_input') END, handed_over = NULL
   WHERE id = new.id AND (ready = 1 OR handed_over IS NOT NULL OR ended_at IS NOT CASE WHEN new.status IN ('done','failed','cancelled') THEN new.moved_at END
                          OR (blocked_kind IS NULL) = (new.status = 'blocked'));
END;

-- T3  An operator's bare move: the same, with the arrow's default verb and the actor 'sql'.
CREATE TRIGGER task_move_by_sql AFTER UPDATE OF status ON tasks
WHEN new.status IS NOT old.status AND new.rev = old.rev
BEGIN
  UPDATE tasks
     SET rev = rev + 1, actor = 'sql', reason = NULL, ready = 0, handed_over = NULL,
         moved_at = strftime('%Y-%m-%dT%H:%M:%fZ','now'),
         ended_at = CASE WHEN new.status IN ('done','failed','cancelled') THEN strftime('%Y-%m-%dT%H:%M:%fZ','now') END,
         blocked_kind = CASE new.status WHEN 'blocked' THEN coalesce(new.blocked_kind, 'needs_input') END,
         verb = (SELECT verb FROM moves WHERE src = old.status AND dst = new.status AND is_default)
   WHERE id = new.id;
  INSERT INTO events (at, verb, actor, task_id, attempt_id, agent_id, src, dst, data)
  SELECT moved_at, verb, actor, id, attempt_id, agent_id, old.status, new.status,
         CASE new.status WHEN 'pending' THEN json_object('not_before', not_before) WHEN 'blocked' THEN json_object('kind', blocked_kind)
           WHEN 'done' THEN CASE WHEN proof IS NOT NULL THEN json_object('verified', json(iif(proof = 'passed', 'true', 'false'))) END END
    FROM tasks WHERE id = new.id;
  UPDATE attempts
     SET ended_at = (SELECT moved_at FROM tasks WHERE id = new.id),
         outcome = coalesce(outcome, CASE WHEN role = 'reviewer' THEN 'cancelled' END,
                            (SELECT m.outcome FROM moves m WHERE m.src = old.status AND m.dst = new.status AND m.is_default))
   WHERE task_id = new.id AND gone_at IS NULL AND ended_at IS NULL
     AND old.status IN ('claimed','working','review') AND new.status NOT IN ('claimed','working');
END;

-- T4  What depends on a task follows it: how many of its needs are open decides whether a task can be ready.
CREATE TRIGGER task_frees_dependents AFTER UPDATE OF status ON tasks
WHEN (new.status = 'done') <> (old.status = 'done')
 AND EXISTS (SELECT 1 FROM dependencies WHERE needs_id = new.id)
BEGIN
  UPDATE tasks
     SET deps_open = (SELECT count(*) FROM dependencies d JOIN tasks n ON n.id = d.needs_id
                       WHERE d.task_id = tasks.id AND n.status <> 'done'),
         ready = ready AND new.status = 'done'
   WHERE id IN (SELECT task_id FROM dependencies WHERE needs_id = new.id);
END;

-- T5  End time, readiness and schedule follow the state.
CREATE TRIGGER task_end_follows BEFORE UPDATE OF ended_at ON tasks
WHEN new.status IS old.status AND new.ended_at IS NOT old.ended_at
 AND ((new.ended_at IS NULL) = (new.status IN ('done','failed','cancelled')) OR (old.ended_at IS NOT NULL AND new.ended_at IS NOT NULL))
BEGIN SELECT RAISE(ABORT, 'ended_at follows the status'); END;

CREATE TRIGGER task_ready_is_due BEFORE UPDATE OF ready ON tasks
WHEN new.ready = 1 AND old.ready = 0 AND (new.status <> 'pending' OR new.deps_open > 0)
BEGIN SELECT RAISE(ABORT, 'only a pending task whose needs are done can be ready'); END;

-- A move tells its own `not_before`; what else of the plan an UPDATE changes together with the status is told here.
CREATE TRIGGER task_is_replanned AFTER UPDATE OF due_at, not_before, begin_by, end_by, agent_id, role, priority ON tasks
WHEN new.due_at IS NOT old.due_at OR new.agent_id IS NOT old.agent_id OR new.role IS NOT old.role OR new.priority IS NOT old.priority
  OR new.begin_by IS NOT old.begin_by OR new.end_by IS NOT old.end_by OR (new.not_before IS NOT old.not_before AND (new.status IS old.status OR new.status NOT IN ('pending','claimed')))
BEGIN
  INSERT INTO events (at, verb, actor, task_id, agent_id, slot_id, data)
  VALUES (strftime('%Y-%m-%dT%H:%M:%fZ','now'), 'replan', CASE WHEN new.plan_rev = old.plan_rev + 1 THEN coalesce(new.planned_by, 'sql') ELSE 'sql' END,
    new.id, new.agent_id, new.slot_id,
    json_object('due_at', new.due_at, 'not_before', new.not_before, 'begin_by', new.begin_by, 'end_by', new.end_by, 'agent', new.agent_id, 'role', new.role, 'priority', new.priority));
  UPDATE tasks SET ready = 0 WHERE id = new.id AND ready = 1;
END;

CREATE TRIGGER task_is_edited AFTER UPDATE OF title, description, task_type, must_haves, checks, data, max_tries, backoff_seconds,
  backoff_cap_seconds, wall_seconds, idle_seconds, startup_seconds, settle_seconds, review, reviewer, max_review_tries,
  max_rejections, needs_output, waits_for_children, max_same, attempt_usd, attempt_tokens, task_usd, task_tokens ON tasks
WHEN (new.title, new.description, new.task_type, new.must_haves, new.checks, new.data, new.max_tries, new.backoff_seconds, new.backoff_cap_seconds,
      new.wall_seconds, new.idle_seconds, new.startup_seconds, new.settle_seconds, new.review, new.reviewer, new.max_review_tries, new.max_rejections, new.needs_output, new.waits_for_children,
      new.max_same, new.attempt_usd, new.attempt_tokens, new.task_usd, new.task_tokens)
  IS NOT (old.title, old.description, old.task_type, old.must_haves, old.checks, old.data, old.max_tries, old.backoff_seconds, old.backoff_cap_seconds,
      old.wall_seconds, old.idle_seconds, old.startup_seconds, old.settle_seconds, old.review, old.reviewer, old.max_review_tries, old.max_rejections, old.needs_output, old.waits_for_children,
      old.max_same, old.attempt_usd, old.attempt_tokens, old.task_usd, old.task_tokens)
BEGIN
  INSERT INTO events (at, verb, actor, task_id, agent_id, data)
  VALUES (strftime('%Y-%m-%dT%H:%M:%fZ','now'), 'edit',
    CASE WHEN new.rev = old.rev + 1 THEN new.actor WHEN new.plan_rev = old.plan_rev + 1 THEN coalesce(new.planned_by, 'sql') ELSE 'sql' END,
    new.id, new.agent_id, json_patch('{}', json_object(
    'title', CASE WHEN new.title IS NOT old.title THEN new.title END,
    'description', CASE WHEN new.description IS NOT old.description THEN substr(new.description, 1, 2000) END,
    'task_type', CASE WHEN new.task_type IS NOT old.task_type THEN new.task_type END,
    'must_haves', CASE WHEN new.must_haves IS NOT old.must_haves THEN substr(new.must_haves, 1, 2000) END,
    'checks', CASE WHEN new.checks IS NOT old.checks THEN substr(new.checks, 1, 2000) END,
    'data', CASE WHEN new.data IS NOT old.data THEN substr(new.data, 1, 2000) END,
    'max_tries', CASE WHEN new.max_tries IS NOT old.max_tries THEN new.max_tries END,
    'backoff_seconds', CASE WHEN new.backoff_seconds IS NOT old.backoff_seconds THEN new.backoff_seconds END,
    'backoff_cap_seconds', CASE WHEN new.backoff_cap_seconds IS NOT old.backoff_cap_seconds THEN new.backoff_cap_seconds END,
    'wall_seconds', CASE WHEN new.wall_seconds IS NOT old.wall_seconds THEN new.wall_seconds END,
    'idle_seconds', CASE WHEN new.idle_seconds IS NOT old.idle_seconds THEN new.idle_seconds END,
    'startup_seconds', CASE WHEN new.startup_seconds IS NOT old.startup_seconds THEN new.startup_seconds END,
    'settle_seconds', CASE WHEN new.settle_seconds IS NOT old.settle_seconds THEN new.settle_seconds END,
    'review', CASE WHEN new.review IS NOT old.review THEN new.review END,
    'reviewer', CASE WHEN new.reviewer IS NOT old.reviewer THEN coalesce(new.reviewer, 'none') END,
    'max_review_tries', CASE WHEN new.max_review_tries IS NOT old.max_review_tries THEN new.max_review_tries END,
    'max_rejections', CASE WHEN new.max_rejections IS NOT old.max_rejections THEN new.max_rejections END,
    'needs_output', CASE WHEN new.needs_output IS NOT old.needs_output THEN new.needs_output END,
    'waits_for_children', CASE WHEN new.waits_for_children IS NOT old.waits_for_children THEN new.waits_for_children END,
    'max_same', CASE WHEN new.max_same IS NOT old.max_same THEN new.max_same END,
    'attempt_usd', CASE WHEN new.attempt_usd IS NOT old.attempt_usd THEN coalesce(new.attempt_usd, 'none') END,
    'attempt_tokens', CASE WHEN new.attempt_tokens IS NOT old.attempt_tokens THEN coalesce(new.attempt_tokens, 'none') END,
    'task_usd', CASE WHEN new.task_usd IS NOT old.task_usd THEN coalesce(new.task_usd, 'none') END,
    'task_tokens', CASE WHEN new.task_tokens IS NOT old.task_tokens THEN coalesce(new.task_tokens, 'none') END)));
END;

-- A review is handed over to a person, or (by an operator) back to its reviewer. Leaving the review ends both.
CREATE TRIGGER task_hand_over_is_of_review BEFORE UPDATE OF handed_over ON tasks
WHEN new.handed_over IS NOT NULL AND new.status <> 'review'
BEGIN SELECT RAISE(ABORT, 'only a task in review is handed over to a person'); END;
CREATE TRIGGER task_hand_over_is_told AFTER UPDATE OF handed_over ON tasks
WHEN new.handed_over IS NOT old.handed_over AND new.status = 'review' AND old.status = 'review'
BEGIN
  INSERT INTO events (at, verb, actor, task_id, attempt_id, reason)
  VALUES (strftime('%Y-%m-%dT%H:%M:%fZ','now'), CASE WHEN new.handed_over IS NULL THEN 'hand_back' ELSE 'hand_over' END,
    CASE WHEN new.plan_rev = old.plan_rev + 1 THEN coalesce(new.planned_by, 'sql') ELSE 'sql' END, new.id, new.attempt_id, new.handed_over);
END;

-- T6  A task begins as pending, and stays.
CREATE TRIGGER task_begins BEFORE INSERT ON tasks
BEGIN
  SELECT RAISE(ABORT, 'a task begins as pending, not ready, without an attempt') WHERE new.status <> 'pending' OR new.ended_at IS NOT NULL
    OR new.ready <> 0 OR new.attempt_id IS NOT NULL OR new.rev <> 0 OR new.verb <> 'post' OR new.deps_open <> 0 OR new.blocked_kind IS NOT NULL OR new.handed_over IS NOT NULL
    OR new.proof IS NOT NULL;
  SELECT RAISE(ABORT, 'a task with this id exists: tasks are not replaced') WHERE EXISTS (SELECT 1 FROM tasks WHERE id = new.id);
  SELECT RAISE(ABORT, 'this slot occurrence has its task: tasks are not replaced') WHERE new.slot_id IS NOT NULL
    AND EXISTS (SELECT 1 FROM tasks WHERE slot_id = new.slot_id AND occurrence = new.occurrence);
  SELECT RAISE(ABORT, 'no such project: SELECT id FROM projects') WHERE NOT EXISTS (SELECT 1 FROM projects WHERE id = new.project_id);
  SELECT RAISE(ABORT, 'no such agent: SELECT id FROM agents') WHERE new.agent_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM agents WHERE id = new.agent_id);
  SELECT RAISE(ABORT, 'no such parent task') WHERE new.parent_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM tasks WHERE id = new.parent_id);
END;
CREATE TRIGGER task_is_posted AFTER INSERT ON tasks
BEGIN
  UPDATE tasks SET moved_at = coalesce(moved_at, posted_at) WHERE id = new.id AND moved_at IS NULL;
  INSERT INTO events (at, verb, actor, task_id, agent_id, slot_id, dst, reason, data)
  VALUES (coalesce(new.moved_at, new.posted_at), 'post', new.actor, new.id, new.agent_id, new.slot_id, 'pending', new.reason,
    json_object('due_at', new.due_at, 'not_before', new.not_before, 'agent', new.agent_id, 'role', new.role, 'priority', new.priority));
END;
CREATE TRIGGER task_stays BEFORE DELETE ON tasks BEGIN SELECT RAISE(ABORT, 'tasks are not deleted: cancel it instead'); END;

-- T7  Needs: no circles, and only of a task that nobody has begun.
CREATE TRIGGER dependency_begins BEFORE INSERT ON dependencies
BEGIN
  SELECT RAISE(ABORT, 'a task cannot need itself, not even by way of others') WHERE new.task_id = new.needs_id OR EXISTS (
    WITH RECURSIVE up(id) AS (SELECT new.needs_id UNION SELECT d.needs_id FROM dependencies d JOIN up ON d.task_id = up.id)
    SELECT 1 FROM up WHERE id = new.task_id);
  SELECT RAISE(ABORT, 'this task needs that one already') WHERE EXISTS (SELECT 1 FROM dependencies WHERE task_id = new.task_id AND needs_id = new.needs_id);
  SELECT RAISE(ABORT, 'no such task to depend on') WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE id = new.needs_id);
  SELECT RAISE(ABORT, 'only a pending or blocked task gets a new dependency') WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE id = new.task_id AND status IN ('pending','blocked'));
END;
CREATE TRIGGER dependency_counts AFTER INSERT ON dependencies
BEGIN
  UPDATE tasks SET deps_open = (SELECT count(*) FROM dependencies d JOIN tasks n ON n.id = d.needs_id WHERE d.task_id = tasks.id AND n.status <> 'done'),
                   ready = ready AND (SELECT status = 'done' FROM tasks n WHERE n.id = new.needs_id)
   WHERE id = new.task_id;
  INSERT INTO events (at, verb, actor, task_id, data)
  SELECT coalesce(t.moved_at, t.posted_at), 'need', t.actor, t.id, json_object('needs', new.needs_id) FROM tasks t WHERE t.id = new.task_id;
END;
CREATE TRIGGER dependency_is_dropped AFTER DELETE ON dependencies
BEGIN
  UPDATE tasks SET deps_open = (SELECT count(*) FROM dependencies d JOIN tasks n ON n.id = d.needs_id WHERE d.task_id = tasks.id AND n.status <> 'done')
   WHERE id = old.task_id;
  INSERT INTO events (at, verb, actor, task_id, data)
  VALUES (strftime('%Y-%m-%dT%H:%M:%fZ','now'), 'unneed', 'sql', old.task_id, json_object('needs', old.needs_id));
END;
CREATE TRIGGER dependency_stays BEFORE UPDATE ON dependencies BEGIN SELECT RAISE(ABORT, 'delete the dependency and insert another'); END;

-- T8  A claim: one statement, the task follows the attempt.
CREATE TRIGGER attempt_may_begin BEFORE INSERT ON attempts
BEGIN
  SELECT RAISE(ABORT, 'an attempt begins live') WHERE new.ended_at IS NOT NULL OR new.gone_at IS NOT NULL OR new.outcome IS NOT NULL;
  SELECT RAISE(ABORT, 'an attempt with this id or token exists: attempts are not replaced')
   WHERE EXISTS (SELECT 1 FROM attempts WHERE id = new.id OR token_hash = new.token_hash);
  SELECT RAISE(ABORT, 'the former attempt is not proved gone') WHERE EXISTS (SELECT 1 FROM attempts WHERE task_id = new.task_id AND gone_at IS NULL);
  SELECT RAISE(ABORT, 'attempts of a task are numbered 1, 2, 3 without a gap')
   WHERE new.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM attempts WHERE task_id = new.task_id);
  SELECT RAISE(ABORT, 'an executor claims a pending task, a reviewer one in review')
   WHERE (SELECT status FROM tasks WHERE id = new.task_id) IS NOT CASE new.role WHEN 'executor' THEN 'pending' ELSE 'review' END;
  SELECT RAISE(ABORT, 'a claim is made by the engine: claimed_by = ''engine:NAME''') WHERE new.claimed_by NOT GLOB 'engine:?*';
  SELECT RAISE(ABORT, 'a claim has its time: set claimed_at, like 2026-01-31T09:00:00.000Z')
   WHERE (new.claimed_at GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9].[0-9][0-9][0-9]Z') IS NOT 1;
  SELECT RAISE(ABORT, 'no such agent: SELECT id FROM agents') WHERE NOT EXISTS (SELECT 1 FROM agents WHERE id = new.agent_id);
  SELECT RAISE(ABORT, 'the task is not for this agent') WHERE new.role = 'executor' AND NOT EXISTS (
    SELECT 1 FROM tasks t WHERE t.id = new.task_id AND (t.agent_id = new.agent_id
      OR t.role IN (SELECT role FROM agent_roles WHERE agent_id = new.agent_id)));
  SELECT RAISE(ABORT, 'this review is not for this agent') WHERE new.role = 'reviewer' AND EXISTS (
    SELECT 1 FROM tasks t WHERE t.id = new.task_id AND (t.handed_over IS NOT NULL
       OR t.reviewer <> 'agent:' || new.agent_id AND NOT EXISTS (
          SELECT 1 FROM agent_roles r WHERE r.agent_id = new.agent_id AND t.reviewer = 'role:' || r.role)));
  SELECT RAISE(ABORT, 'a check of this task is still being run') WHERE EXISTS (SELECT 1 FROM checks WHERE task_id = new.task_id AND ended_at IS NULL);
  SELECT RAISE(ABORT, 'its checks have not passed yet: it is reviewed when they have') WHERE new.role = 'reviewer'
     AND (SELECT proof FROM tasks WHERE id = new.task_id) = 'wanted';
  SELECT RAISE(ABORT, 'nobody reviews their own work') WHERE new.role = 'reviewer'
     AND EXISTS (SELECT 1 FROM attempts WHERE task_id = new.task_id AND role = 'executor' AND agent_id = new.agent_id);
END;
CREATE TRIGGER attempt_claims AFTER INSERT ON attempts
BEGIN
  UPDATE tasks SET status = 'claimed', attempt_id = new.id, ready = 0, not_before = NULL, rev = rev + 1, verb = 'claim',
                   actor = new.claimed_by, reason = NULL, moved_at = new.claimed_at
   WHERE id = new.task_id AND new.role = 'executor';
  UPDATE tasks SET attempt_id = new.id WHERE id = new.task_id AND new.role = 'reviewer';
  INSERT INTO events (at, verb, actor, task_id, attempt_id, agent_id, data)
  SELECT new.claimed_at, 'claim_review', new.claimed_by, new.task_id, new.id, new.agent_id,
         json_object('number', new.number, 'role', new.role, 'agent', new.agent_id) WHERE new.role = 'reviewer';
END;

-- T9  Both ends of an attempt. An executor's ends only with its task's move, a reviewer's may end alone; nothing is undone.
CREATE TRIGGER attempt_end_follows BEFORE UPDATE OF ended_at ON attempts
WHEN new.ended_at IS NOT old.ended_at
BEGIN
  SELECT RAISE(ABORT, 'an ended attempt stays ended') WHERE old.ended_at IS NOT NULL;
  SELECT RAISE(ABORT, 'end an attempt by moving its task') WHERE old.role = 'executor' AND (SELECT status FROM tasks WHERE id = old.task_id) IN ('claimed','working');
END;
CREATE TRIGGER attempt_end_is_told AFTER UPDATE OF ended_at ON attempts
WHEN new.ended_at IS NOT NULL AND old.ended_at IS NULL
BEGIN
  INSERT INTO events (at, verb, actor, task_id, attempt_id, agent_id, reason, data)
  SELECT new.ended_at, 'ended', CASE WHEN new.role = 'reviewer' AND t.status = 'review' THEN 'engine:monitor' ELSE t.actor END, new.task_id, new.id, new.agent_id, new.detail,
         json_object('outcome', new.outcome, 'number', new.number) FROM tasks t WHERE t.id = new.task_id;
END;
CREATE TRIGGER attempt_outcome_is_known BEFORE UPDATE OF outcome ON attempts
WHEN new.outcome IS NOT old.outcome
BEGIN
  SELECT RAISE(ABORT, 'the outcome of an ended attempt stays') WHERE old.ended_at IS NOT NULL;
  SELECT RAISE(ABORT, 'no such outcome: SELECT * FROM outcomes') WHERE NOT EXISTS (SELECT 1 FROM outcomes WHERE outcome = new.outcome);
END;
CREATE TRIGGER attempt_gone_stays BEFORE UPDATE OF gone_at ON attempts
WHEN new.gone_at IS NOT old.gone_at
BEGIN
  SELECT RAISE(ABORT, 'gone stays gone') WHERE old.gone_at IS NOT NULL;
  SELECT RAISE(ABORT, 'an attempt is gone after it has ended: set ended_at first') WHERE old.ended_at IS NULL;
END;
CREATE TRIGGER attempt_gone_is_told AFTER UPDATE OF gone_at ON attempts
WHEN new.gone_at IS NOT NULL AND old.gone_at IS NULL
BEGIN
  INSERT INTO events (at, verb, actor, task_id, attempt_id, agent_id, data)
  VALUES (new.gone_at, 'gone', 'engine:monitor', new.task_id, new.id, new.agent_id,
    json_object('number', new.number, 'exit_code', new.exit_code, 'exit_signal', new.exit_signal));
END;
CREATE TRIGGER attempt_is_who BEFORE UPDATE ON attempts   -- no column list: see task_is_who
WHEN new.id IS NOT old.id OR new.task_id IS NOT old.task_id OR new.number IS NOT old.number OR new.role IS NOT old.role
  OR new.agent_id IS NOT old.agent_id OR new.token_hash IS NOT old.token_hash OR new.claimed_at IS NOT old.claimed_at OR new.claimed_by IS NOT old.claimed_by
BEGIN SELECT RAISE(ABORT, 'an attempt does not change hands'); END;
CREATE TRIGGER attempt_stays BEFORE DELETE ON attempts BEGIN SELECT RAISE(ABORT, 'attempts are kept'); END;

-- T10  What was said stays said: events, outputs and comments are only added.
CREATE TRIGGER event_is_new   BEFORE INSERT ON events WHEN EXISTS (SELECT 1 FROM events WHERE id = new.id) BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER event_is_next  AFTER INSERT ON events WHEN new.id > 1 AND NOT EXISTS (SELECT 1 FROM events WHERE id = new.id - 1)
BEGIN SELECT RAISE(ABORT, 'events are numbered 1, 2, 3 without a gap: leave the id out'); END;
CREATE TRIGGER event_is_kept  BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER event_stays    BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER output_is_new  BEFORE INSERT ON outputs
BEGIN
  SELECT RAISE(ABORT, 'outputs are append-only') WHERE EXISTS (SELECT 1 FROM outputs WHERE id = new.id);
  SELECT RAISE(ABORT, 'no such task') WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE id = new.task_id);
  SELECT RAISE(ABORT, 'this attempt has ended: it hands nothing in any more')
   WHERE new.attempt_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attempts WHERE id = new.attempt_id AND task_id = new.task_id AND role = 'executor' AND ended_at IS NULL);
END;
CREATE TRIGGER output_is_told AFTER INSERT ON outputs
BEGIN
  INSERT INTO events (at, verb, actor, task_id, attempt_id, agent_id, data)
  VALUES (new.created_at, 'output', coalesce('executor:' || new.agent_id, 'sql'), new.task_id, new.attempt_id, new.agent_id,
    json_object('id', new.id, 'type', new.type, 'title', substr(new.title, 1, 200), 'size', new.size));
END;
CREATE TRIGGER output_is_kept BEFORE UPDATE ON outputs BEGIN SELECT RAISE(ABORT, 'outputs are append-only'); END;
CREATE TRIGGER output_stays   BEFORE DELETE ON outputs BEGIN SELECT RAISE(ABORT, 'outputs are append-only'); END;
CREATE TRIGGER comment_is_new BEFORE INSERT ON comments
BEGIN
  SELECT RAISE(ABORT, 'comments are append-only') WHERE EXISTS (SELECT 1 FROM comments WHERE id = new.id);
  SELECT RAISE(ABORT, 'no such task') WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE id = new.task_id);
  SELECT RAISE(ABORT, 'an attempt comments on its own task')
   WHERE new.attempt_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM attempts WHERE id = new.attempt_id AND task_id = new.task_id);
END;
CREATE TRIGGER comment_is_told AFTER INSERT ON comments
BEGIN
  INSERT INTO events (at, verb, actor, task_id, attempt_id, data)
  VALUES (new.created_at, 'comment', new.author, new.task_id, new.attempt_id, json_object('id', new.id));
END;
CREATE TRIGGER comment_is_kept BEFORE UPDATE ON comments BEGIN SELECT RAISE(ABORT, 'comments are append-only'); END;
CREATE TRIGGER comment_stays   BEFORE DELETE ON comments BEGIN SELECT RAISE(ABORT, 'comments are append-only'); END;

-- T11  What is paused, resumed, enabled or disabled says so; also when an operator's SQL did it.
CREATE TRIGGER agent_change_is_told AFTER UPDATE OF enabled, paused_at, max_live ON agents
WHEN new.enabled IS NOT old.enabled OR (new.paused_at IS NULL) <> (old.paused_at IS NULL) OR new.max_live IS NOT old.max_live
BEGIN
  INSERT INTO events (at, verb, actor, agent_id, reason, data)   -- one for each change, though one UPDATE makes several
  SELECT strftime('%Y-%m-%dT%H:%M:%fZ','now'), c.verb, CASE WHEN new.rev = old.rev + 1 THEN new.actor ELSE 'sql' END, new.id,
         CASE WHEN new.paused_at IS NOT NULL OR new.pause_reason IS NOT old.pause_reason THEN new.pause_reason END, json_object('max_live', new.max_live)
    FROM (SELECT 'agent_disabled' AS verb WHERE new.enabled < old.enabled
          UNION ALL SELECT 'agent_enabled' WHERE new.enabled > old.enabled
          UNION ALL SELECT 'agent_paused' WHERE new.paused_at IS NOT NULL AND old.paused_at IS NULL
          UNION ALL SELECT 'agent_resumed' WHERE new.paused_at IS NULL AND old.paused_at IS NOT NULL
          UNION ALL SELECT 'agent_changed' WHERE new.enabled IS old.enabled AND (new.paused_at IS NULL) = (old.paused_at IS NULL)) c;
END;
CREATE TRIGGER project_pause_is_told AFTER UPDATE OF paused_at ON projects
WHEN (new.paused_at IS NULL) <> (old.paused_at IS NULL)
BEGIN
  INSERT INTO events (at, verb, actor, reason, data)
  VALUES (strftime('%Y-%m-%dT%H:%M:%fZ','now'), CASE WHEN new.paused_at IS NULL THEN 'project_resumed' ELSE 'project_paused' END,
    CASE WHEN new.rev = old.rev + 1 THEN new.actor ELSE 'sql' END,
    CASE WHEN new.paused_at IS NOT NULL OR new.pause_reason IS NOT old.pause_reason THEN new.pause_reason END, json_object('project', new.id));
END;
CREATE TRIGGER whole_board_pause_is_told AFTER UPDATE OF paused_at ON whole_board
WHEN (new.paused_at IS NULL) <> (old.paused_at IS NULL)
BEGIN
  INSERT INTO events (at, verb, actor, reason)
  VALUES (strftime('%Y-%m-%dT%H:%M:%fZ','now'), CASE WHEN new.paused_at IS NULL THEN 'board_resumed' ELSE 'board_paused' END,
    CASE WHEN new.rev = old.rev + 1 THEN new.actor ELSE 'sql' END,
    CASE WHEN new.paused_at IS NOT NULL OR new.pause_reason IS NOT old.pause_reason THEN new.pause_reason END);
END;

-- T12  An account: what is told of it, and how an attempt proves it.
CREATE TRIGGER account_is_told AFTER UPDATE OF paused_at, limited_until, strikes ON accounts
WHEN (new.paused_at IS NULL) <> (old.paused_at IS NULL) OR new.limited_until IS NOT old.limited_until OR new.strikes > old.strikes
BEGIN
  INSERT INTO events (at, verb, actor, reason, data)   -- one for each change, though one UPDATE makes several
  SELECT strftime('%Y-%m-%dT%H:%M:%fZ','now'), c.verb, CASE WHEN new.rev = old.rev + 1 THEN new.actor ELSE 'sql' END, c.reason,
         json_object('account', new.id, 'until', new.limited_until, 'strikes', new.strikes,
                     'attempt', CASE c.verb WHEN 'account_open' THEN old.canary_id WHEN 'account_paused' THEN NULL ELSE new.limited_by END)
    FROM (SELECT 'account_limited' AS verb, new.limit_reason AS reason WHERE new.limited_until IS NOT old.limited_until
             AND new.limited_until IS NOT NULL AND NOT (new.paused_at IS NULL AND (old.paused_at IS NOT NULL OR coalesce(new.limited_until < old.limited_until, 0)))
          UNION ALL SELECT 'account_refuses', 'its limit was met ' || new.strikes || ' times in a row without a sign of life between' WHERE new.strikes = 6 AND old.strikes < 6
          UNION ALL SELECT 'account_open', old.limit_reason WHERE new.limited_until IS NULL AND old.limited_until IS NOT NULL
          UNION ALL SELECT 'account_paused', new.pause_reason WHERE new.paused_at IS NOT NULL AND old.paused_at IS NULL
          UNION ALL SELECT 'account_resumed', CASE WHEN new.pause_reason IS NOT old.pause_reason THEN new.pause_reason END
           WHERE new.paused_at IS NULL AND (old.paused_at IS NOT NULL OR coalesce(new.limited_until < old.limited_until, 0))) c;
END;
-- A first call, or what was handed in by a program that never calls. While a limit holds only the attempt that went first proves anything.
CREATE TRIGGER attempt_proves_account AFTER UPDATE OF seen_at ON attempts
WHEN old.seen_at IS NULL AND new.seen_at IS NOT NULL
BEGIN
  UPDATE accounts SET proved_at = new.seen_at, limited_at = NULL, limited_until = NULL, limit_reason = NULL, limited_by = NULL, strikes = 0, canary_id = NULL,
         rev = rev + 1, actor = new.role || ':' || new.agent_id
   WHERE canary_id = new.id OR (limited_until IS NULL AND id = (SELECT account FROM agents WHERE id = new.agent_id));
END;
CREATE TRIGGER attempt_leaves_account AFTER UPDATE OF ended_at ON attempts
WHEN new.ended_at IS NOT NULL AND old.ended_at IS NULL
BEGIN
  UPDATE accounts SET proved_at = new.ended_at, limited_at = NULL, limited_until = NULL, limit_reason = NULL, limited_by = NULL, strikes = 0, canary_id = NULL,
         rev = rev + 1, actor = new.role || ':' || new.agent_id
   WHERE new.outcome = 'submitted' AND new.seen_at IS NULL
     AND (canary_id = new.id OR (limited_until IS NULL AND id = (SELECT account FROM agents WHERE id = new.agent_id)));
  UPDATE accounts SET canary_id = NULL WHERE canary_id = new.id;
END;
CREATE TRIGGER whole_board_stays BEFORE DELETE ON whole_board BEGIN SELECT RAISE(ABORT, 'this row stays: UPDATE whole_board SET paused_at = NULL resumes everything'); END;

-- T14  What a watch saw stays until somebody has it: nothing of it is dropped, and what was told is not untold.
CREATE TRIGGER watch_change_stays BEFORE DELETE ON watch_changes BEGIN SELECT RAISE(ABORT, 'what a watch saw is kept'); END;
CREATE TRIGGER watch_change_is_new BEFORE INSERT ON watch_changes WHEN EXISTS (SELECT 1 FROM watch_changes WHERE id = new.id)
BEGIN SELECT RAISE(ABORT, 'a change with this id exists: what a watch saw is not replaced'); END;
CREATE TRIGGER watch_change_is_told BEFORE UPDATE OF state ON watch_changes WHEN old.state = 'acknowledged' AND new.state <> 'acknowledged'
BEGIN SELECT RAISE(ABORT, 'somebody has this change: it is not told again'); END;

-- T12  Where an agent stands: each change is told.
CREATE TRIGGER presence_is_told AFTER INSERT ON presences
BEGIN
  INSERT INTO events (at, verb, actor, agent_id, reason, data)
  VALUES (strftime('%Y-%m-%dT%H:%M:%fZ','now'), 'presence_changed', 'engine:presence', new.agent_id, new.reason,
          json_object('agent', new.agent_id, 'from', NULL, 'to', new.status, 'source', new.source));
END;
CREATE TRIGGER presence_change_is_told AFTER UPDATE OF status, source ON presences
WHEN (new.status, new.source) IS NOT (old.status, old.source)
BEGIN
  INSERT INTO events (at, verb, actor, agent_id, reason, data)
  VALUES (strftime('%Y-%m-%dT%H:%M:%fZ','now'), 'presence_changed', 'engine:presence', new.agent_id, new.reason,
          json_object('agent', new.agent_id, 'from', old.status, 'to', new.status, 'source', new.source));
END;

-- T12  What agents may change: every change is told, and gives the rows a mark that no other rows ever have. Who remembers them
-- sees by the mark whether they are still so; a change that is rolled back has its former mark again. No conflict clause in
-- here: that of the statement outside would be used in its place.
CREATE TRIGGER permission_begins BEFORE INSERT ON permissions
BEGIN
  SELECT RAISE(ABORT, 'a permission begins as one that holds') WHERE new.revoked_at IS NOT NULL;
  SELECT RAISE(ABORT, 'this permission is there already: change its effect, or revoke it') WHERE EXISTS (SELECT 1 FROM permissions
   WHERE id = new.id OR (subject = new.subject AND type = new.type AND scope = new.scope AND revoked_at IS NULL));
END;
CREATE TRIGGER permission_is_told AFTER INSERT ON permissions
BEGIN
  INSERT INTO events (at, verb, actor, agent_id, reason, data)
  VALUES (strftime('%Y-%m-%dT%H:%M:%fZ','now'), 'permission_granted', new.actor, CASE WHEN new.subject GLOB 'agent:*' THEN substr(new.subject, 7) END,
          new.subject || ' ' || new.effect || ' ' || new.type || ' ' || new.scope,
          json_object('permission', new.id, 'subject', new.subject, 'type', new.type, 'scope', new.scope, 'effect', new.effect));
  INSERT INTO meta (key, value) SELECT 'permissions', '' WHERE NOT EXISTS (SELECT 1 FROM meta WHERE key = 'permissions');
  UPDATE meta SET value = lower(hex(randomblob(16))) WHERE key = 'permissions';
END;
CREATE TRIGGER permission_is_who BEFORE UPDATE ON permissions   -- no column list: see task_is_who
WHEN new.id IS NOT old.id OR new.subject IS NOT old.subject OR new.type IS NOT old.type OR new.scope IS NOT old.scope
  OR new.created_at IS NOT old.created_at OR (old.revoked_at IS NOT NULL AND (new.revoked_at IS NULL OR new.effect IS NOT old.effect))
BEGIN SELECT RAISE(ABORT, 'only the effect of a permission changes, and one that is revoked stays so: grant another'); END;
CREATE TRIGGER permission_change_is_told AFTER UPDATE ON permissions
WHEN new.effect IS NOT old.effect OR (new.revoked_at IS NULL) <> (old.revoked_at IS NULL)
BEGIN
  INSERT INTO events (at, verb, actor, agent_id, reason, data)
  VALUES (strftime('%Y-%m-%dT%H:%M:%fZ','now'), CASE WHEN new.revoked_at IS NULL THEN 'permission_granted' ELSE 'permission_revoked' END,
          CASE WHEN new.rev = old.rev + 1 THEN new.actor ELSE 'sql' END, CASE WHEN new.subject GLOB 'agent:*' THEN substr(new.subject, 7) END,
          new.subject || ' ' || new.effect || ' ' || new.type || ' ' || new.scope,
          json_object('permission', new.id, 'subject', new.subject, 'type', new.type, 'scope', new.scope, 'effect', new.effect));
  UPDATE meta SET value = lower(hex(randomblob(16))) WHERE key = 'permissions';
END;
CREATE TRIGGER permission_stays BEFORE DELETE ON permissions
BEGIN SELECT RAISE(ABORT, 'permissions are kept: revoke it, by revoked_at or by orchestrator permission revoke'); END;
-- A heartbeat may follow the end of a task: of each of its agent's, or of one whose data says so. Never of its own.
CREATE TRIGGER task_end_wakes_heartbeat AFTER UPDATE OF ended_at ON tasks
WHEN new.ended_at IS NOT NULL AND old.ended_at IS NULL AND new.status IN ('done','failed')
BEGIN
  UPDATE heartbeats SET next_run_at = new.ended_at
   WHERE enabled = 1 AND next_run_at > new.ended_at
     AND agent_id = coalesce((SELECT agent_id FROM attempts WHERE task_id = new.id AND role = 'executor' ORDER BY number DESC LIMIT 1), new.agent_id)
     AND (wake_after = 1 OR json_extract(new.data, '$.wake_after') = 1)
     AND NOT EXISTS (SELECT 1 FROM heartbeat_runs WHERE task_id = new.id);
END;
-- A run that is settled is looked up with its heartbeat: one that was not there would hold every other.
CREATE TRIGGER heartbeat_stays BEFORE DELETE ON heartbeats
BEGIN SELECT RAISE(ABORT, 'a heartbeat is kept: orchestrator heartbeat toggle AGENT off ends it'); END;
CREATE TRIGGER heartbeat_is_whose BEFORE UPDATE ON heartbeats WHEN new.agent_id IS NOT old.agent_id
BEGIN SELECT RAISE(ABORT, 'a heartbeat stays its agent''s: set that of the other agent'); END;
CREATE TRIGGER heartbeat_run_stays BEFORE DELETE ON heartbeat_runs
BEGIN SELECT RAISE(ABORT, 'what came of heartbeats is kept'); END;

-- T12  Proof before done: what is handed in wants proof where the task has checks; only checks that ran give it.
CREATE TRIGGER task_begun_proves_nothing AFTER UPDATE OF status ON tasks
WHEN new.status = 'claimed' AND old.status <> 'claimed' AND new.proof IS NOT NULL
BEGIN
  UPDATE tasks SET proof = NULL WHERE id = new.id;
END;
CREATE TRIGGER task_handed_in_wants_proof AFTER UPDATE OF status ON tasks
WHEN new.status = 'review' AND old.status <> 'review'
BEGIN
  UPDATE tasks SET proof = CASE WHEN json_array_length(new.checks) > 0 THEN 'wanted' END WHERE id = new.id AND (proof IS NOT NULL OR json_array_length(new.checks) > 0);
END;
CREATE TRIGGER task_other_checks_want_proof AFTER UPDATE OF checks ON tasks
WHEN new.checks IS NOT old.checks AND new.status = 'review' AND old.status = 'review'
BEGIN
  UPDATE tasks SET proof = CASE WHEN json_array_length(new.checks) > 0 THEN 'wanted' END WHERE id = new.id;
END;
CREATE TRIGGER task_proof_is_true BEFORE UPDATE OF proof ON tasks
WHEN new.proof IS NOT old.proof
BEGIN
  SELECT RAISE(ABORT, 'proof is of what was handed in: only a task in review is proved')
   WHERE (new.status <> 'review' OR old.status <> 'review') AND NOT (new.proof IS NULL AND new.status = 'claimed' AND old.status = 'claimed');
  SELECT RAISE(ABORT, 'a task with checks wants proof, one without has none') WHERE new.status = 'review' AND (new.proof IS NULL) <> (json_array_length(new.checks) = 0);
  SELECT RAISE(ABORT, 'not every check of it has passed: SELECT * FROM checks') WHERE new.proof = 'passed' AND EXISTS (
    SELECT 1 FROM json_each(new.checks) w WHERE NOT EXISTS (
      SELECT 1 FROM checks c WHERE c.task_id = new.id AND c.position = w.key + 1 AND c.what = new.checks -> w.key AND c.result = 'passed'
         AND c.attempt_id = (SELECT max(id) FROM attempts WHERE task_id = new.id AND role = 'executor')));
  SELECT RAISE(ABORT, 'no check of it has failed: SELECT * FROM checks') WHERE new.proof = 'failed' AND NOT EXISTS (
    SELECT 1 FROM checks c WHERE c.task_id = new.id AND c.result IN ('failed','timed_out')
       AND c.attempt_id = (SELECT max(id) FROM attempts WHERE task_id = new.id AND role = 'executor'));
END;
CREATE TRIGGER task_proof_is_told AFTER UPDATE OF proof ON tasks
WHEN new.proof IS NOT old.proof AND new.proof IN ('passed','failed')
BEGIN
  INSERT INTO events (at, verb, actor, task_id, attempt_id, agent_id, data)
  SELECT c.ended_at, CASE new.proof WHEN 'passed' THEN 'verified' ELSE 'not_verified' END, 'engine:proofs', new.id, c.attempt_id, new.agent_id,
         json_object('checks', json_array_length(new.checks), 'review', coalesce(new.reviewer, new.review))
    FROM checks c WHERE c.task_id = new.id AND c.ended_at IS NOT NULL ORDER BY c.id DESC LIMIT 1;
END;
CREATE TRIGGER check_may_begin BEFORE INSERT ON checks
BEGIN
  SELECT RAISE(ABORT, 'a check with this id exists: the evidence is only added') WHERE EXISTS (SELECT 1 FROM checks WHERE id = new.id);
  SELECT RAISE(ABORT, 'a check begins without a result') WHERE new.ended_at IS NOT NULL OR new.result IS NOT NULL;
  SELECT RAISE(ABORT, 'a check of this task is still being run') WHERE EXISTS (SELECT 1 FROM checks WHERE task_id = new.task_id AND ended_at IS NULL);
  SELECT RAISE(ABORT, 'only what was handed in and wants proof is checked')
   WHERE NOT EXISTS (SELECT 1 FROM tasks WHERE id = new.task_id AND status = 'review' AND proof = 'wanted' AND handed_over IS NULL);
  SELECT RAISE(ABORT, 'this is not the check at that position: SELECT checks FROM tasks')
   WHERE new.position < 1 OR new.what IS NOT (SELECT checks -> (new.position - 1) FROM tasks WHERE id = new.task_id);
  SELECT RAISE(ABORT, 'a check looks at the work of the latest executor')
   WHERE new.attempt_id IS NOT (SELECT max(id) FROM attempts WHERE task_id = new.task_id AND role = 'executor');
  SELECT RAISE(ABORT, 'the former attempt is not proved gone') WHERE EXISTS (SELECT 1 FROM attempts WHERE task_id = new.task_id AND gone_at IS NULL);
END;
CREATE TRIGGER check_is_kept BEFORE UPDATE ON checks   -- no column list: see task_is_who
WHEN old.ended_at IS NOT NULL OR new.id IS NOT old.id OR new.task_id IS NOT old.task_id OR new.attempt_id IS NOT old.attempt_id
  OR new.position IS NOT old.position OR new.what IS NOT old.what OR new.started_at IS NOT old.started_at
BEGIN SELECT RAISE(ABORT, 'what a check found stays: the evidence is only added'); END;
CREATE TRIGGER check_is_told AFTER UPDATE OF ended_at ON checks
WHEN new.ended_at IS NOT NULL AND old.ended_at IS NULL
BEGIN
  INSERT INTO events (at, verb, actor, task_id, attempt_id, reason, data)
  VALUES (new.ended_at, 'checked', 'engine:proofs', new.task_id, new.attempt_id, nullif(substr(json_extract(new.what, '$.name'), 1, 200), ''),
    json_object('id', new.id, 'position', new.position, 'result', new.result, 'exit_code', new.exit_code, 'exit_signal', new.exit_signal));
END;
CREATE TRIGGER check_stays BEFORE DELETE ON checks BEGIN SELECT RAISE(ABORT, 'what a check found stays: the evidence is only added'); END;

-- Views for operators.

-- What is on the board and not finished, most urgent first.
CREATE VIEW v_board AS
SELECT t.id, t.project_id AS project, t.status, coalesce(t.agent_id, 'role ' || t.role) AS for_whom, t.priority, t.title,
       t.due_at, t.not_before, t.blocked_kind, t.reason, a.number AS attempt, a.agent_id AS agent, t.moved_at AS since, t.proof
  FROM tasks t LEFT JOIN attempts a ON a.id = t.attempt_id
 WHERE t.status NOT IN ('done','failed','cancelled')
 ORDER BY CASE t.status WHEN 'blocked' THEN 0 WHEN 'review' THEN 1 WHEN 'working' THEN 2 WHEN 'claimed' THEN 3 ELSE 4 END, t.priority DESC, t.due_at, t.id;

-- Attempts whose processes are not proved gone.
CREATE VIEW v_running AS
SELECT a.id AS attempt_id, a.task_id, t.title, a.number, a.role, a.agent_id AS agent, t.status,
       CASE WHEN a.ended_at IS NOT NULL THEN 'stopping' WHEN a.spawned_at IS NULL THEN 'starting' ELSE 'running' END AS phase,
       a.agent_pid, a.claimed_at, a.seen_at, a.outcome, a.peak_rss_bytes, a.cpu_seconds,
       round((julianday('now') - julianday(a.claimed_at)) * 86400, 1) AS seconds
  FROM attempts a INDEXED BY one_attempt_not_gone JOIN tasks t ON t.id = a.task_id
 WHERE a.gone_at IS NULL;

-- What will not go on by itself, and what would make it.
CREATE VIEW v_stuck AS
SELECT t.id, t.project_id AS project, t.title, t.status, t.moved_at AS since,
       CASE WHEN t.status = 'blocked' THEN 'blocked (' || t.blocked_kind || '): ' || coalesce(t.reason, 'no reason given')
            WHEN t.handed_over IS NOT NULL THEN 'waits for a person''s review: ' || t.handed_over
            ELSE 'waits for a person''s review' END AS why,
       CASE WHEN t.status = 'blocked' AND t.actor = 'engine:families' THEN 'reopen the task it needs, or drop the dependency'
            WHEN t.status = 'blocked' THEN 'orchestrator answer ' || t.id || ' "..."'
            ELSE 'orchestrator approve ' || t.id || '   or   orchestrator reject ' || t.id || ' "..."' END AS next
  FROM tasks t
 WHERE t.status IN ('blocked','review') AND t.status NOT IN ('pending','done','cancelled','failed')   -- as tasks_open says it
   AND (t.status = 'blocked' OR t.reviewer IS NULL OR t.handed_over IS NOT NULL)                        -- else an agent is asked
   AND (t.status = 'blocked' OR t.proof IS NOT 'wanted' OR t.handed_over IS NOT NULL)                   -- else its checks are run
UNION ALL
SELECT t.id, t.project_id, t.title, t.status, coalesce(a.abroad_at, a.ended_at),
       CASE WHEN a.abroad_at IS NOT NULL THEN 'attempt ' || a.number || ' has ended, but its run may go on elsewhere'
              || CASE WHEN a.lease_until IS NOT NULL THEN ' (next looked at ' || a.lease_until || ')' ELSE '' END
            ELSE 'attempt ' || a.number || ' has ended but is not proved gone since ' || a.ended_at END,
       CASE WHEN a.abroad_at IS NOT NULL THEN 'orchestrator gone ' || a.id || ' "how you know that it is over"' ELSE 'orchestrator why ' || t.id END
  FROM attempts a JOIN tasks t ON t.id = a.task_id
 WHERE a.gone_at IS NULL AND a.ended_at IS NOT NULL
UNION ALL
SELECT NULL, NULL, 'agent ' || g.id, 'paused', g.paused_at, coalesce(g.pause_reason, 'paused'), 'orchestrator resume --agent ' || g.id
  FROM agents g WHERE g.paused_at IS NOT NULL
UNION ALL
SELECT NULL, NULL, 'account ' || c.id, 'paused', c.paused_at, coalesce(c.pause_reason, 'paused'), 'orchestrator resume --account ' || c.id
  FROM accounts c WHERE c.paused_at IS NOT NULL
UNION ALL
SELECT NULL, p.id, 'project ' || p.id, 'paused', p.paused_at, coalesce(p.pause_reason, 'paused'), 'orchestrator resume --project ' || p.id
  FROM projects p WHERE p.paused_at IS NOT NULL
UNION ALL
SELECT NULL, NULL, 'the whole board', 'paused', w.paused_at, coalesce(w.pause_reason, 'paused'), 'orchestrator resume --all'
  FROM whole_board w WHERE w.paused_at IS NOT NULL;

-- Who has how much to do.
CREATE VIEW v_agent_load AS
SELECT g.id AS agent, g.enabled, g.paused_at, g.max_live,
       (SELECT count(*) FROM attempts a INDEXED BY attempts_not_gone WHERE a.agent_id = g.id AND a.gone_at IS NULL) AS live,
       (SELECT count(*) FROM tasks t WHERE t.agent_id = g.id AND t.status = 'pending' AND t.ready = 1) AS ready,
       coalesce(w.waiting, 0) AS waiting,   -- counted once for all: no index holds what is not ready
       (SELECT count(*) FROM tasks t WHERE t.agent_id = g.id AND t.status = 'review' AND t.status NOT IN ('pending','done','cancelled','failed')) AS in_review,
       (SELECT count(*) FROM tasks t WHERE t.agent_id = g.id AND t.status = 'blocked' AND t.status NOT IN ('pending','done','cancelled','failed')) AS blocked,
       (SELECT a.seen_at FROM attempts a WHERE a.agent_id = g.id ORDER BY a.id DESC LIMIT 1) AS seen_at
  FROM agents g LEFT JOIN (
       SELECT agent_id, count(*) AS waiting FROM tasks WHERE status = 'pending' AND ready = 0 AND agent_id IS NOT NULL GROUP BY agent_id) w ON w.agent_id = g.id;

-- A task's life, line by line: SELECT * FROM v_task_story WHERE task_id = 7.
CREATE VIEW v_task_story AS
SELECT e.task_id, e.id AS event_id, e.at, e.actor, e.verb,
       CASE WHEN e.dst IS NOT NULL THEN coalesce(e.src || ' → ', '') || e.dst ELSE '' END AS move,
       (SELECT number FROM attempts a WHERE a.id = e.attempt_id) AS attempt, e.reason, e.data
  FROM events e WHERE e.task_id IS NOT NULL
 ORDER BY e.task_id, e.id;

PRAGMA user_version = 4;
