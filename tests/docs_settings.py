"""The table of settings for docs/configuration.md: shape from the code, meanings from here.

A key without a meaning, and a meaning without a key, are a KeyError or a failing test: nothing is left out.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from orchestrator.config import Project, Prompts, Settings, Tick
from orchestrator.config_accounts import Account
from orchestrator.config_agent import AgentConfig
from orchestrator.config_api import Api
from orchestrator.config_backends import BackendConfig
from orchestrator.config_budget import AgentBudget, BoardBudget
from orchestrator.config_calendars import CalendarConfig
from orchestrator.config_contain import Limits
from orchestrator.config_heartbeat import HeartbeatConfig
from orchestrator.config_openclaw import Openclaw
from orchestrator.config_policy import PolicyNumbers
from orchestrator.config_presence import PresenceConfig
from orchestrator.config_program import Program
from orchestrator.config_sinks import Notices, SinkConfig
from orchestrator.config_slots import Slots
from orchestrator.config_watches import WatchConfig
from orchestrator.config_workspaces import Hooks, Workspaces, Worktree

# The tables of the file, in its order: heading, what stands before the key, the model, how its keys begin.
TABLES: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("Top level", "", Settings),
    ("`[api]`", "api.", Api),
    ("`[tick]`", "tick.", Tick),
    ("`[policy]`", "policy.", PolicyNumbers),
    ("`[budget]`", "budget.", BoardBudget),
    ("`[[projects]]`", "projects.", Project),
    ("`[agents.NAME]`", "agents.NAME.", AgentConfig),
    ("`[agents.NAME.limits]`", "agents.NAME.limits.", Limits),
    ("`[agents.NAME.openclaw]`", "agents.NAME.openclaw.", Openclaw),
    ("`[agents.NAME.program]`", "agents.NAME.program.", Program),
    ("`[agents.NAME.budget]`", "agents.NAME.budget.", AgentBudget),
    ("`[agents.NAME.worktree]`", "agents.NAME.worktree.", Worktree),
    ("`[agents.NAME.hooks]`", "agents.NAME.hooks.", Hooks),
    ("`[agents.NAME.heartbeat]`", "agents.NAME.heartbeat.", HeartbeatConfig),
    ("`[accounts.NAME]`", "accounts.NAME.", Account),
    ("`[slots]`", "slots.", Slots),
    ("`[calendars.NAME]`", "calendars.NAME.", CalendarConfig),
    ("`[presence.NAME]`", "presence.NAME.", PresenceConfig),
    ("`[backends.NAME]`", "backends.NAME.", BackendConfig),
    ("`[notices]`", "notices.", Notices),
    ("`[sinks.NAME]`", "sinks.NAME.", SinkConfig),
    ("`[watches.NAME]`", "watches.NAME.", WatchConfig),
    ("`[prompts]`", "prompts.", Prompts),
    ("`[workspaces]`", "workspaces.", Workspaces),
)
INSIDE = frozenset(
    {
        "api",
        "tick",
        "policy",
        "budget",
        "projects",
        "agents",
        "accounts",
        "slots",
        "calendars",
        "presence",
        "backends",
        "notices",
        "sinks",
        "watches",
        "prompts",
        "workspaces",
    }
)  # keys of the top level that are tables

MEANINGS: Mapping[str, str] = {
    "board": "The blackboard: one SQLite file.",
    "state_dir": "Where `attempts/`, `uploads/`, `workspaces/` and `operator.token` are.",
    "on_exit": "What becomes of agents that run when the daemon ends: stopped (not charged), or left to the next start.",
    "api.host": "The address to listen on. One that other machines reach needs TLS or `allow_insecure_bind`.",
    "api.port": "The port to listen on; 0 takes any free one.",
    "api.public_base_url": "The address agents are told, when it is not host and port.",
    "api.max_body_bytes": "The largest body of a request.",
    "api.head_seconds": "How long the first line and the headers of a request may take to arrive; then 408, and the connection ends.",
    "api.max_connections": "Connections open at once. One more ends the one that has waited longest for a request.",
    "api.max_upload_bytes": "The largest file that an agent may send whole; 0: none.",
    "api.tls_cert": "A certificate in PEM; goes with `tls_key`.",
    "api.tls_key": "Its private key in PEM.",
    "api.allow_insecure_bind": "Listen on a reachable address without TLS, because something else encrypts.",
    "api.calendar_open_to": "Instances on this machine that may speak the calendar's protocol without a token: every program here may then ([which](calendar-server.md#who-may)).",
    "tick.max_live": "Attempts not gone at once, all agents together.",
    "tick.memory_share": "What all living attempts together may be known to need, as a share of the machine's memory; also nothing starts without free memory for it. 0: nobody looks.",
    "tick.longest_pause_seconds": "The longest sleep when nothing is due.",
    "tick.foreign_poll_seconds": "How often the daemon looks whether somebody else wrote to the board.",
    "tick.max_checks": "Checks of what was handed in that are run at once, all tasks together.",
    "tick.source_poll_seconds": "How often it looks whether a slot file has changed.",
    "policy.max_tries": "Charged attempts before a task has failed.",
    "policy.backoff_seconds": "The wait before the second try; it doubles each time, less up to a quarter.",
    "policy.backoff_cap_seconds": "The longest such wait.",
    "policy.wall_seconds": "The longest an attempt may take. A slot's `estimated_duration` wins over it.",
    "policy.idle_seconds": "The longest an attempt may go without a call and without printing anything.",
    "policy.startup_seconds": "The longest until its first call or its first output.",
    "policy.settle_seconds": "How long an agent that has reported may take to end by itself.",
    "policy.review": "Who accepts what was handed in: a person, nobody (`auto`: done at once), or an agent before a person is asked: `agent:ID`, `role:NAME`.",
    "policy.max_review_tries": "Charged reviews without a verdict before an agent's review is a person's.",
    "policy.max_rejections": "More rejections than this in a row block the task: a person is asked how to go on.",
    "policy.needs_output": "Nothing is handed in without an output.",
    "policy.waits_for_children": "Nothing is handed in while a child task is open.",
    "policy.max_same": "So many attempts in a row that end alike block the task: a person is asked ([how](operating.md#loops-and-budgets)).",
    "policy.attempt_usd": "What one attempt may spend: then it is ended.",
    "policy.attempt_tokens": "The same in tokens: input and output, without those from a cache.",
    "policy.task_usd": "What all attempts of a task may spend together: then a person is asked.",
    "policy.task_tokens": "The same in tokens.",
    "budget.day_usd": "What all agents together may spend on one day ([how](operating.md#loops-and-budgets)).",
    "budget.day_tokens": "The same in tokens: input and output, without those from a cache.",
    "budget.action": "When it is spent: only tell (`warn`), begin nothing more until the next day (`pause`), or also end what runs (`stop`).",
    "budget.time_zone": "The IANA zone whose midnight begins a day, for every budget of a day.",
    "projects.id": "What tasks call it: letters, digits, `.`, `_`, `-`; at most 64.",
    "projects.title": "What people call it.",
    "agents.NAME.runner": "How it is started: any command, `openclaw` ([how](openclaw.md)), or a program we know ([which](runners.md)).",
    "agents.NAME.argv": "The program and its arguments; needed while the agent is enabled. See the placeholders below.",
    "agents.NAME.session_scope": "What shares one conversation, for agents that keep them: `{session_key}` is its name.",
    "agents.NAME.session_max_attempts": "So many attempts go on with one conversation; the next begins a new one.",
    "agents.NAME.session_max_tokens": "A conversation that has used so many tokens is not gone on with.",
    "agents.NAME.roles": "Roles of the team it fills: it takes tasks that ask for one of them.",
    "agents.NAME.account": "What it draws on together with others, a login or a key: a limit that one of them meets holds for all.",
    "accounts.NAME.cold_after_seconds": "So long without a sign of life on it, one attempt goes first and the others wait for its first call; 0: never.",
    "agents.NAME.max_live": "Attempts of this agent not gone at once.",
    "agents.NAME.enabled": "Whether anything is claimed for it.",
    "agents.NAME.env": "Variables it gets; `{deadline_seconds}` is filled in. Their values are never shown.",
    "agents.NAME.pass_env": "Names of the daemon's own variables that it gets too.",
    "agents.NAME.calls_back": "`false`: it knows nothing of us; its exit status is its result and its stdout the output.",
    "agents.NAME.prompt": "How it gets the prompt: on stdin, or only as the file `{prompt_file}`.",
    "agents.NAME.graceful_signal": "The first signal of a stop.",
    "agents.NAME.grace_seconds": "Between that signal and KILL.",
    "agents.NAME.leftovers": "Processes it leaves behind when it ends: end them, or let them finish.",
    "agents.NAME.log_cap_bytes": "The most disk space of each log; beginning and end are kept.",
    "agents.NAME.workspace": "One fixed folder of your own to work in, which must exist; it is never removed.",
    "agents.NAME.workspace_per": "A folder for each task, or one for all tasks of the agent: [workspaces](workspaces.md).",
    "agents.NAME.worktree": "A git worktree in the place of a plain folder: its own table, below.",
    "agents.NAME.worktree.repository": "The git repository to make it of.",
    "agents.NAME.worktree.base": "Where a new branch begins: a branch, a tag or a commit.",
    "agents.NAME.worktree.branch": "The branch's name, with `{task}`, `{agent}`, `{project}`.",
    "agents.NAME.worktree.seconds": "The longest that making one may take.",
    "agents.NAME.hooks": "Commands around the agent's work: [hooks](workspaces.md#hooks).",
    "agents.NAME.hooks.after_create": "Run in a workspace that was just made; if it fails, the attempt does not start.",
    "agents.NAME.hooks.before_run": "Run before each attempt; if it fails, the attempt does not start.",
    "agents.NAME.hooks.after_run": "Run when nothing of an attempt lives any more; its failure is only told.",
    "agents.NAME.hooks.before_remove": "Run before the workspace is removed; if it fails, the workspace is kept.",
    "agents.NAME.hooks.seconds": "The longest that one hook may take.",
    "agents.NAME.wake": "`true`: it is only woken and fetches its task itself: [templates](templates.md#agents-that-are-only-woken).",
    "agents.NAME.wake_ack": "What a woken agent answers, alone on the last line it prints.",
    "agents.NAME.policy": "Keys of `[policy]` for this agent's tasks; `[agents.NAME.policy]` is the same as a table.",
    "agents.NAME.wrap": 'A sandbox: `"bwrap"`, or words put before the program ([how](operating.md#containment)).',
    "agents.NAME.require_sandbox": "`true`: where the sandbox does not work, nothing is started.",
    "agents.NAME.writable": 'With `wrap = "bwrap"`: what else it may write to.',
    "agents.NAME.hidden": 'With `wrap = "bwrap"`: what else it does not see.',
    "agents.NAME.limits": "What one attempt may use: its own table, below.",
    "agents.NAME.memory": 'The memory one attempt is known to need, in bytes or as `"2 GiB"`, for [the memory gate](operating.md#containment). 0: not looked at.',
    "agents.NAME.nice": "How much it steps back for others when the processor is busy.",
    "agents.NAME.limits.memory_bytes": 'Memory of all its processes together, in bytes or as `"2 GiB"`.',
    "agents.NAME.limits.processes": "Processes at once; a sandbox has two of its own.",
    "agents.NAME.limits.cpu_seconds": "Processor time of all its processes together.",
    "agents.NAME.limits.file_bytes": "The largest file it may write; its logs are files too.",
    "agents.NAME.limits.open_files": "Files that one process may have open.",
    "agents.NAME.openclaw": 'Only for `runner = "openclaw"`: its own table, below.',
    "agents.NAME.openclaw.mode": "A turn through a running gateway, an embedded one (`--local`), or a headless one (`agent exec`).",
    "agents.NAME.openclaw.binary": "The program.",
    "agents.NAME.openclaw.agent": "The agent's id in openclaw.",
    "agents.NAME.openclaw.state_dir": "Its state folder (`OPENCLAW_STATE_DIR`), where its `openclaw.json` is too.",
    "agents.NAME.openclaw.model": "`--model`.",
    "agents.NAME.openclaw.thinking": "`--thinking`.",
    "agents.NAME.openclaw.probe": "A command that tells whether a run goes on in the gateway: exit 0 yes, 1 no, else unknown.",
    "agents.NAME.openclaw.cancel": "A command that ends a run in the gateway, run when its process is gone without its end.",
    "agents.NAME.openclaw.probe_every_seconds": "Between two probes.",
    "agents.NAME.openclaw.hold_seconds": "Without a probe: such a run counts as gone after so long; 0: when a person says so.",
    "agents.NAME.program": "Only for the other runners with a name of their own: its own table, below.",
    "agents.NAME.program.binary": "The program, where it is not in the PATH under its usual name.",
    "agents.NAME.program.model": "`--model`.",
    "agents.NAME.program.args": "More words for the program, as they stand but for `{deadline_seconds}`: [runners](runners.md).",
    "agents.NAME.heartbeat": "When the agent looks around by itself, and at what: its own table, below, and [heartbeats](heartbeats.md).",
    "agents.NAME.heartbeat.enabled": "Whether it beats.",
    "agents.NAME.heartbeat.project": "The project that its tasks belong to.",
    "agents.NAME.heartbeat.interval_seconds": "From one beat to the next.",
    "agents.NAME.heartbeat.active_hours": "`HH:MM-HH:MM`: begins with the first, before the second; `24:00` may be the end. Two equal times: always.",
    "agents.NAME.heartbeat.time_zone": "The IANA zone of the active hours.",
    "agents.NAME.heartbeat.checklist": "What to look at, as text. Empty, or only headings: the beat is passed over.",
    "agents.NAME.heartbeat.checklist_file": "The same in a file, which is read at each start and before each beat.",
    "agents.NAME.heartbeat.prompt": "What the agent is asked, in the place of our own sentence.",
    "agents.NAME.heartbeat.isolated_session": "Each beat in a conversation of its own; `false`: all of them in one.",
    "agents.NAME.heartbeat.model": 'The program\'s model for its beats; not for `runner = "command"`.',
    "agents.NAME.heartbeat.light_context": "Tell only the checklist and how to report.",
    "agents.NAME.heartbeat.ack_word": 'The word that says "nothing to tell".',
    "agents.NAME.heartbeat.ack_max_chars": "How many characters may stand beside that word.",
    "agents.NAME.heartbeat.max_retries": "How often a beat that failed is tried again.",
    "agents.NAME.heartbeat.wake_after": "Beat at once when a task of the agent is done or has failed.",
    "agents.NAME.heartbeat.sinks": "Names of the sinks that what it finds is for.",
    "agents.NAME.budget": "What this agent may spend on one day: its own table, below.",
    "agents.NAME.budget.day_usd": "What it may spend on one day.",
    "agents.NAME.budget.day_tokens": "The same in tokens.",
    "agents.NAME.budget.action": "As in `[budget]`; with `warn`, its attempts are not ended over their own budget either.",
    "slots.files": "Files with slots, `.toml` or `.json`.",
    "slots.time_zone": "The IANA zone their `HH:MM` is meant in.",
    "calendars.NAME.file": "An `.ics` file, or ... ([calendars](calendars.md#real-calendars))",
    "calendars.NAME.url": "... an address: `https://`, `http://` or `webcal://`. Only its host is shown: it may hold a secret.",
    "calendars.NAME.token_file": "A file with the bearer token that the address wants.",
    "calendars.NAME.agent": "Whose work an event is that names nobody.",
    "calendars.NAME.attendees": "Addresses or names of those who attend, and the agent each is.",
    "calendars.NAME.project": "The project of its tasks.",
    "calendars.NAME.time_zone": "The IANA zone of times without one, and of whole days.",
    "calendars.NAME.all_day_at": "When an event of a whole day is due.",
    "calendars.NAME.every_seconds": "How often an address is asked. A file is looked at all the time.",
    "notices.keep_days": "How long a notice that is told everywhere stays on the board. What waits, and what is dead, stays.",
    "sinks.NAME.type": "What it is ([sinks](notices.md#sinks)).",
    "sinks.NAME.kinds": "Which notices it gets ([kinds](notices.md#which-notices-there-are)).",
    "sinks.NAME.about_agents": "Only those about these agents.",
    "sinks.NAME.about_projects": "Only those about tasks of these projects.",
    "sinks.NAME.dedupe_seconds": "The same words about the same thing are not told again for so long; how often they were left out is said with the next. 0: always told.",
    "sinks.NAME.quiet_hours": "Hours of every day in which only what is urgent goes, such as `22:00-07:00`; the rest goes when they end.",
    "sinks.NAME.time_zone": "Whose clock the quiet hours are meant by.",
    "sinks.NAME.digest_seconds": "What is not urgent is gathered for so long, and goes as one message. 0: each by itself.",
    "sinks.NAME.timeout_seconds": "For one try.",
    "sinks.NAME.retry_seconds": "The wait before the second try; it doubles each time, less up to a quarter.",
    "sinks.NAME.retry_most_seconds": "The longest such wait.",
    "sinks.NAME.max_tries": "Tries before a message is given up as a dead letter.",
    "sinks.NAME.agent": "`task`: who gets the tasks, or ...",
    "sinks.NAME.role": "`task`: ... which role.",
    "sinks.NAME.project": "`task`: of which project they are.",
    "sinks.NAME.priority": "`task`: their priority.",
    "sinks.NAME.folder": "`file`: the folder; made with mode 0700, and refused when others can look into it.",
    "sinks.NAME.argv": "`command`: the program and its words, no shell ([placeholders](notices.md#command)).",
    "sinks.NAME.env": "`command`, `openclaw`: variables it gets besides the usual ones.",
    "sinks.NAME.pass_env": "`command`, `openclaw`: names of variables it gets from ours.",
    "sinks.NAME.binary": "`openclaw`: the program.",
    "sinks.NAME.channel": "`openclaw`: `--channel`, needed where it has more than one.",
    "sinks.NAME.target": "`openclaw`: `--target`, who or which chat it goes to.",
    "sinks.NAME.account": "`openclaw`: `--account`.",
    "sinks.NAME.url": "`webhook`: the address.",
    "sinks.NAME.secret_file": "`webhook`: a file of mode 0600 with lines `whsec_...`; each of them signs.",
    "sinks.NAME.allow_private": "`webhook`: it may lead to this machine or a private network.",
    "sinks.NAME.allow_http": "`webhook`: it may be http to another machine: anybody on the way reads along.",
    "backends.NAME.url": "Where a calendar backend is: `http://` or `https://` ([calendars](calendars.md#a-calendar-backend)).",
    "backends.NAME.identifier": "Who we are to it: its `claw_identifier`.",
    "backends.NAME.token_file": "A file with the bearer token that it wants. It is read anew for every question.",
    "backends.NAME.time_zone": "The IANA zone that its `HH:MM` and its days are meant in.",
    "backends.NAME.project": "The project of its tasks.",
    "backends.NAME.agents": "Its names of agents, and the agent each is here. An agent that is not named has the same name here.",
    "backends.NAME.sync_seconds": "How often it is asked for its schedule.",
    "backends.NAME.max_schedule_age_seconds": "Without a good answer for so long, nothing it planned is claimed until there is one.",
    "backends.NAME.heartbeat_seconds": "How often it is told that we live.",
    "backends.NAME.write_back": "Whether it is told how its slots are doing.",
    "calendars.NAME.max_schedule_age_seconds": "Without a good answer for so long, nothing it planned is claimed until there is one.",
    "slots.project": "The project of slots that name none.",
    "presence.NAME.url": "Where each agent's presence is told, with `{agent}` in it, and/or ... ([presence](presence.md)). Only its host is shown.",
    "presence.NAME.method": "How it is told.",
    "presence.NAME.read_url": "... where it is asked for, with `{agent}` in it.",
    "presence.NAME.token_file": "A file with the bearer token that the address wants; read again when that is refused.",
    "presence.NAME.token_command": "Or a command that prints it; run again when that is refused.",
    "presence.NAME.identifier": "Who we are to a calendar backend: with it every call bears `X-Claw-Identifier`, and the agent's name there as `X-Agent-ID`.",
    "presence.NAME.source": "What the told words are said to come from.",
    "presence.NAME.agents": "What our agents are called there, and only these; without it all, under their own names.",
    "presence.NAME.push": "Which presences are told; while an agent has another one, nothing is.",
    "presence.NAME.map": 'What a presence is called there, where that is another word: `map = {on_call = "working"}`.',
    "presence.NAME.every_seconds": "Between two looks; a change is told at once. Between two questions to `read_url`.",
    "presence.NAME.full_every_seconds": "All is told again after so long, changed or not.",
    "presence.NAME.timeout_seconds": "For one call.",
    "agents.NAME.claim_when": "It gets work while it says, or others say, one of these of it, and when nobody says anything.",
    "workspaces.keep_done_days": 'How long the workspace of a task that is done or cancelled is kept, in days; `"never"`: it is never removed.',
    "workspaces.keep_failed_days": "The same for a task that has failed.",
    "slots.recurring": "Slots that repeat, a table each: `[slots.recurring.NAME]`, see [below](#slots-that-repeat).",
    "slots.catch_up": "How many tasks of slots are made up for, at most, when the daemon was away; the newest.",
    "watches.NAME.url": "What is asked with GET; its answer is JSON ([how](watches.md)). Only its host is shown: it may hold a secret.",
    "watches.NAME.token_file": "A file with a bearer token; read again when it is refused.",
    "watches.NAME.token_command": "Or a command that prints it; run again when that is refused.",
    "watches.NAME.headers": "More headers to send. Their values are never shown.",
    "watches.NAME.items": "A JSON pointer to the list or object of items in the answer, such as `/tickets`; empty: the answer itself.",
    "watches.NAME.id": "The fields that name an item, together. Empty: an object's keys do; an answer that `items` does not lead into is one item.",
    "watches.NAME.ignore": "Fields of an item whose change is none.",
    "watches.NAME.agent": "The agent that gets a task with the changes.",
    "watches.NAME.role": "Or the role whose agents get it.",
    "watches.NAME.sinks": "The sinks that get a notice with the changes; with `agent` or `role` beside the task.",
    "watches.NAME.topic": "What the changes are about: watches with one agent and topic are told together.",
    "watches.NAME.project": "The project of the tasks.",
    "watches.NAME.idle_seconds": "Between two questions.",
    "watches.NAME.active_seconds": "The same after an answer that had changes, or without an item that was there before.",
    "watches.NAME.cooldown_seconds": "Between two pushes of one agent and topic; what changes meanwhile is told together.",
    "watches.NAME.min_available": "So many places must be free before a push: of the agent, of the role's agents, else of `tick.max_live`.",
    "watches.NAME.urgent_kinds": "Changes that go through the cooldown, by kind: `added`, `changed`, `removed`.",
    "watches.NAME.urgent_when": "The same by what an item holds: a field, and the values that are urgent.",
    "watches.NAME.notify_on_first_run": "Whether every item of the first answer is told as added; else it is only what later ones are compared with.",
    "watches.NAME.confirm_removals": "An item was removed when so many good answers in a row are without it.",
    "watches.NAME.max_tries": "Pushes that no sink took before a change is left to a person.",
    "watches.NAME.max_items": "An answer with more items is a failure.",
    "watches.NAME.max_bytes": "A longer answer is one, too.",
    "watches.NAME.timeout_seconds": "For one answer.",
    "prompts.templates": "A folder with templates in the place of ours: [templates](templates.md).",
}

# Where the code computes a default, or None means something.
DEFAULTS: Mapping[str, str] = {
    "state_dir": "the board's folder",
    "api.public_base_url": "host and port",
    "api.tls_cert": "no TLS",
    "api.tls_key": "no TLS",
    "policy.attempt_usd": "no limit",
    "policy.attempt_tokens": "no limit",
    "policy.task_usd": "no limit",
    "policy.task_tokens": "no limit",
    "budget.day_usd": "no limit",
    "budget.day_tokens": "no limit",
    "projects.id": 'one project, `"default"`',
    "agents.NAME.account": "one of its own, `agent:NAME`, never cold",
    "agents.NAME.workspace": "a folder for each task, kept between its attempts",
    "agents.NAME.worktree": "a plain folder",
    "agents.NAME.worktree.repository": "a plain folder",
    "agents.NAME.worktree.branch": "`task/{task}`, or `agent/{agent}` for one of the agent's own",
    "agents.NAME.hooks": "none",
    "agents.NAME.wrap": "none",
    "agents.NAME.limits": "see below",
    "agents.NAME.memory": "as known of the runner",
    **{f"agents.NAME.limits.{name}": "no limit" for name in Limits.model_fields},
    "agents.NAME.openclaw": "see below",
    "agents.NAME.openclaw.agent": "the same name",
    "agents.NAME.openclaw.state_dir": "openclaw's own",
    "agents.NAME.openclaw.model": "openclaw's own",
    "agents.NAME.openclaw.thinking": "openclaw's own",
    "agents.NAME.program": "see below",
    "agents.NAME.program.binary": "its usual name",
    "agents.NAME.program.model": "the program's own",
    "agents.NAME.budget": "see below",
    "agents.NAME.heartbeat": "none",
    "agents.NAME.heartbeat.project": "the first of `[[projects]]`",
    "agents.NAME.heartbeat.active_hours": "always",
    "agents.NAME.heartbeat.checklist": "empty",
    "agents.NAME.heartbeat.checklist_file": "none",
    "agents.NAME.heartbeat.model": "the agent's own",
    "agents.NAME.heartbeat.prompt": "our own",
    "agents.NAME.heartbeat.sinks": "whoever wants heartbeats",
    "agents.NAME.budget.day_usd": "no limit",
    "agents.NAME.budget.day_tokens": "no limit",
    "agents.NAME.budget.action": "what `[budget]` says",
    "agents.NAME.policy": "what `[policy]` says",
    "slots.project": "the first project",
    "calendars.NAME.file": "",
    "calendars.NAME.url": "",
    "calendars.NAME.token_file": "none",
    "calendars.NAME.agent": "nobody",
    "calendars.NAME.project": "that of `[slots]`",
    "backends.NAME.identifier": "the machine's name",
    "backends.NAME.token_file": "none",
    "backends.NAME.project": "that of `[slots]`",
    "calendars.NAME.max_schedule_age_seconds": "for ever",
    "presence.NAME.url": "",
    "presence.NAME.read_url": "",
    "presence.NAME.token_file": "none",
    "presence.NAME.identifier": "none",
    "sinks.NAME.kinds": "every kind",
    "sinks.NAME.about_agents": "any",
    "sinks.NAME.about_projects": "any",
    "sinks.NAME.quiet_hours": "none",
    **{f"sinks.NAME.{key}": "" for key in ("agent", "role", "folder", "target", "url", "secret_file")},
    "sinks.NAME.project": "that of `[slots]`",
    "sinks.NAME.channel": "the only one",
    "sinks.NAME.account": "openclaw's own",
    "presence.NAME.push": '`["idle", "on_call", "busy", "offline"]`',
    "agents.NAME.claim_when": '`["idle", "on_call"]`',
    "watches.NAME.token_file": "none",
    "watches.NAME.agent": "nobody",
    "watches.NAME.role": "nobody",
    "watches.NAME.topic": "its NAME",
    "watches.NAME.project": "that of `[slots]`",
    "watches.NAME.min_available": "1; 0 without agent and role",
    "prompts.templates": "ours",
}


class Row(NamedTuple):
    """One key of the configuration."""

    key: str
    type: str
    default: str
    unit: str
    meaning: str
    variable: str


def rows(prefix: str, model: type[BaseModel]) -> Iterator[Row]:
    """The keys of one table, in the order of the code."""
    for name, field in model.model_fields.items():
        key = prefix + name
        if key not in INSIDE:
            yield Row(key, _type(field), _default(key, field), _unit(name), MEANINGS[key], variable(key))


def every_row() -> list[Row]:
    """All keys."""
    return [row for _, prefix, model in TABLES for row in rows(prefix, model)]


def variable(key: str) -> str:
    """The environment variable that sets a key. A list of tables has one variable for the whole list, as JSON."""
    if key.startswith("projects."):
        return "ORCH_PROJECTS"
    name = "ORCH_" + "__".join(part.upper() for part in key.split("."))
    return f"{name}__VARIABLE" if key == "agents.NAME.env" else name


def _type(field: FieldInfo) -> str:
    return _word(field.annotation) + _bounds(field)


def _word(annotation: Any) -> str:
    """The TOML word for a type."""
    while get_origin(annotation) in (Union, types.UnionType):
        annotation = next(each for each in get_args(annotation) if each is not types.NoneType)
    origin = get_origin(annotation) or annotation
    if origin is Literal:
        return " or ".join(f'`"{each}"`' for each in get_args(annotation))
    if origin is tuple:
        return f"list of {_word(get_args(annotation)[0])}s"
    if hasattr(annotation, "__metadata__"):  # Annotated
        return _word(get_args(annotation)[0])
    words = {bool: "true or false", int: "integer", float: "number", str: "string", Path: "path", dict: "table"}
    return words.get(origin, "table")


_SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
UNTOLD = 10**8  # a limit beyond this is only there so that time can be counted with; the page names it once


def _bounds(field: FieldInfo) -> str:
    """The lowest and highest value, as far as somebody may meet them."""
    found = [(sign, getattr(each, name, None)) for name, sign in _SIGNS.items() for each in field.metadata]
    told = [f"{sign} {value}" for sign, value in found if value is not None and value < UNTOLD]
    return f", {', '.join(told)}" if told else ""


def _default(key: str, field: FieldInfo) -> str:
    if key in DEFAULTS:
        return DEFAULTS[key]
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "must be given"
    return f"`{_toml(value)}`"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | Path):
        return f'"{value}"'
    if isinstance(value, dict):
        return "{}"
    return "[]" if value == () else f"{value:g}" if isinstance(value, float) else str(value)


def _unit(name: str) -> str:
    return next((unit for unit in ("seconds", "bytes") if name.endswith(unit)), "")


def settings() -> str:
    """Every table of the configuration, key by key."""
    return "\n\n".join(_table(heading, list(rows(prefix, model))) for heading, prefix, model in TABLES)


def _table(heading: str, found: list[Row]) -> str:
    lines = [
        f"### {heading}",
        "",
        "| key | type | default | unit | meaning | environment |",
        "|---|---|---|---|---|---|",
    ]
    for row in found:
        name = row.key.rpartition(".")[2]
        lines.append(f"| `{name}` | {row.type} | {row.default} | {row.unit} | {row.meaning} | `{row.variable}` |")
    return "\n".join(lines)
