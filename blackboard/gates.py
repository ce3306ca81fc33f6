"""The gates: every condition a pending task, or a review, and a free agent must pass for a claim.

The claim's WHERE and `why` are both built from these lists, so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from blackboard import day_budgets
from blackboard.days import Day
from blackboard.presence_reports import Said
from blackboard.record import Record
from blackboard.sizes import in_words


class TaskGate(NamedTuple):
    """A condition on a task `t` at `:now`, as an SQL predicate, and its sentence when it does not pass."""

    name: str
    predicate: str
    closed: str


_NOT_BEFORE = "(t.not_before IS NULL OR t.not_before <= :now)"
_PROJECT = TaskGate(
    "project",
    "NOT EXISTS (SELECT 1 FROM projects p WHERE p.id = t.project_id AND p.paused_at IS NOT NULL)",
    "its project {project_id} is paused since {project_paused_at}: {project_pause_reason}",
)
_SOURCE = TaskGate(
    "source",
    "NOT EXISTS (SELECT 1 FROM slots s JOIN sources o ON o.name = s.source WHERE s.id = t.slot_id AND o.stale_at <= :now)",
    "its schedule is too old: {source_name} gave its last good answer {source_ok_at} ({source_error})",
)
_FORMER_ATTEMPT = TaskGate(
    "former_attempt",
    "NOT EXISTS (SELECT 1 FROM attempts f WHERE f.task_id = t.id AND f.gone_at IS NULL)",
    "the process of its former attempt is not proved gone yet",
)
_CHECK_RUNNING = TaskGate(
    "check_running",
    "NOT EXISTS (SELECT 1 FROM checks c WHERE c.task_id = t.id AND c.ended_at IS NULL)",
    "a check of it is being run",
)

TASK_GATES: tuple[TaskGate, ...] = (
    TaskGate("pending", "t.status = 'pending'", "it is {status}, not pending"),
    TaskGate("due", "t.due_at <= :now", "it is not due before {due_at}"),
    TaskGate("not_before", _NOT_BEFORE, "it waits until {not_before} before the next try"),
    TaskGate("needs", "t.deps_open = 0", "{deps_open} of the tasks it needs are not done"),
    _PROJECT,
    _SOURCE,
    TaskGate(
        "begin_by",
        "(t.begin_by IS NULL OR t.begin_by > :now OR t.attempt_id IS NOT NULL)",
        "it was to begin by {begin_by}, and is about to be skipped",
    ),
    TaskGate(
        "end_by", "(t.end_by IS NULL OR t.end_by > :now)", "its slot has ended: it was to be finished by {end_by}"
    ),
    TaskGate(
        "overlap",
        "NOT EXISTS (SELECT 1 FROM tasks e WHERE e.series = t.series AND e.due_at < t.due_at AND e.status IN ('pending','claimed','working'))",
        "the one before it of the same slot is not finished",
    ),
    # A heartbeat waits for its agent to be at rest, whatever `max_live` says.
    TaskGate(
        "heartbeat",
        "(t.slot_id IS NOT NULL OR t.series IS NULL OR t.series NOT GLOB 'heartbeat *' OR NOT EXISTS ("
        "SELECT 1 FROM attempts h INDEXED BY attempts_not_gone WHERE h.agent_id = t.agent_id AND h.gone_at IS NULL))",
        "a heartbeat waits until agent {agent_id} is at rest",
    ),
    _FORMER_ATTEMPT,
    _CHECK_RUNNING,
)

REVIEW_GATES: tuple[TaskGate, ...] = (
    TaskGate("review", "t.status = 'review'", "it is {status}, not in review"),
    TaskGate("reviewer", "t.reviewer IS NOT NULL", "a person reviews it"),
    TaskGate("handed_over", "t.handed_over IS NULL", "a person reviews it: {handed_over}"),
    TaskGate("not_before", _NOT_BEFORE, "it waits until {not_before} before the next review"),
    TaskGate("proof", "t.proof IS NOT 'wanted'", "its checks have not passed yet"),
    _PROJECT,
    _FORMER_ATTEMPT,
    _CHECK_RUNNING,
)

# What must be so before the next check of a task is run.
PROOF_GATES: tuple[TaskGate, ...] = (
    TaskGate("review", "t.status = 'review'", "it is {status}, not in review"),
    TaskGate("proof", "t.proof = 'wanted'", "its checks are settled"),
    TaskGate("handed_over", "t.handed_over IS NULL", "a person decides: {handed_over}"),
    _PROJECT,
    TaskGate(
        "board_paused",
        "NOT EXISTS (SELECT 1 FROM whole_board w WHERE w.paused_at IS NOT NULL)",
        "everything is paused",
    ),
    _FORMER_ATTEMPT,
    _CHECK_RUNNING,
)

# A condition on a review and one agent, `:agent`.
AUTHOR = TaskGate(
    "author",
    "NOT EXISTS (SELECT 1 FROM attempts e WHERE e.task_id = t.id AND e.role = 'executor' AND e.agent_id = :agent)",
    "agent {agent} has worked on it, and nobody reviews their own work",
)


def _each(gates: tuple[TaskGate, ...]) -> str:
    return ", ".join(f"({gate.predicate}) AS gate_{gate.name}" for gate in gates)


# What the claim asks of a task, and what `why` shows gate by gate; and the same of a review.
OPEN = " AND ".join(gate.predicate for gate in TASK_GATES)
EACH = _each(TASK_GATES)
OPEN_PROOF = " AND ".join(gate.predicate for gate in PROOF_GATES)
EACH_PROOF = _each(PROOF_GATES)
OPEN_REVIEW = " AND ".join(gate.predicate for gate in (*REVIEW_GATES, AUTHOR))
EACH_REVIEW = _each(REVIEW_GATES)


@dataclass(frozen=True)
class Memory:
    """The machine's memory in bytes. `most`: what all agents together may be promised; `available`: free for new
    programs now; `reserve`: what of that is left alone."""

    most: int
    available: int
    reserve: int


@dataclass(frozen=True)
class Room:
    """What bounds all agents together, as it is now. `max_live`: attempts not gone. `day`: today, for what is spent on it.

    `memory`: None where nobody looks.
    """

    max_live: int
    day: Day | None = None
    memory: Memory | None = None


@dataclass(frozen=True)
class AgentFacts:
    """What the agent gates look at. `live`: attempts not gone, of the agent and of all agents. `today`: what is spent.

    `canary`: the attempt that goes first on the agent's account; `account_*` of the agent's row say how that stands.
    `promised`: bytes that all living attempts are known to need; `claimed`: those of them that began just now, whose
    need the machine does not show yet.
    `said`: what counts of what is reported of it.
    """

    agent: Record
    live: int
    all_live: int
    room: Room
    today: day_budgets.Today = day_budgets.NOTHING
    canary: int | None = None
    promised: int = 0
    claimed: int = 0
    said: Said | None = None


class AgentGate(NamedTuple):
    """A condition on an agent; `closed` gives the sentence when it does not pass, else None."""

    name: str
    closed: Callable[[AgentFacts], str | None]


def _board(facts: AgentFacts) -> str | None:
    if facts.agent["board_paused_at"] is None:
        return None
    return f"everything is paused since {facts.agent['board_paused_at']}: {facts.agent['board_pause_reason'] or 'no reason given'}"


def _enabled(facts: AgentFacts) -> str | None:
    return None if facts.agent["enabled"] else f"agent {facts.agent['id']} is disabled"


def _paused(facts: AgentFacts) -> str | None:
    if facts.agent["paused_at"] is None:
        return None
    return f"agent {facts.agent['id']} is paused since {facts.agent['paused_at']}: {facts.agent['pause_reason'] or 'no reason given'}"


def _account(facts: AgentFacts) -> str | None:
    agent, name = facts.agent, facts.agent["account"]
    if agent["account_paused_at"] is not None:
        return f"account {name} is paused since {agent['account_paused_at']}: {agent['account_pause_reason'] or 'no reason given'}"
    if agent["account_limited"]:
        return f"account {name} is limited until {agent['account_limited_until']}: {agent['account_limit_reason'] or 'no reason given'}"
    return f"account {name} is tried by attempt {facts.canary} first" if facts.canary is not None else None


def _presence(facts: AgentFacts) -> str | None:
    said, takes = facts.said, facts.agent["claim_when"].split()
    if said is None or said.status in takes:
        return None
    return f"{said.sentence}; it gets work when {' or '.join(takes)}"


def _free(facts: AgentFacts) -> str | None:
    if facts.live < facts.agent["max_live"]:
        return None
    return f"agent {facts.agent['id']} is busy: {facts.live} of {facts.agent['max_live']} attempts live"


def _room(facts: AgentFacts) -> str | None:
    if facts.all_live < facts.room.max_live:
        return None
    return f"all {facts.room.max_live} places are taken: {facts.all_live} attempts live"


def _memory(facts: AgentFacts) -> str | None:
    need, memory = facts.agent["memory_bytes"], facts.room.memory
    if memory is None or not need:
        return None
    needs = f"agent {facts.agent['id']} needs {in_words(need)} of memory"
    if never_fits(need, memory):
        return f"{needs}, and all agents together may have {in_words(memory.most)} here: it never fits"
    if facts.promised + need > memory.most:
        return (
            f"{needs}, and living attempts are promised {in_words(facts.promised)} of the "
            f"{in_words(memory.most)} for all agents"
        )
    free = memory.available - facts.claimed
    if free < need + memory.reserve:
        return f"{needs} and {in_words(memory.reserve)} are kept in reserve, but only {in_words(max(0, free))} are free now"
    return None


def never_fits(need: int, memory: Memory) -> bool:
    """Whether an agent is too large for this machine even alone."""
    return need > memory.most


def waits_for_memory(facts: AgentFacts) -> bool:
    """Whether only the memory gate is closed, and may open without anything that happens on the board."""
    closed = [gate.name for gate in AGENT_GATES if gate.closed(facts) is not None]
    return closed == ["memory"] and not _is_full(facts)


def _is_full(facts: AgentFacts) -> bool:
    memory = facts.room.memory
    return memory is not None and facts.promised + facts.agent["memory_bytes"] > memory.most


AGENT_GATES: tuple[AgentGate, ...] = (
    AgentGate("board_paused", _board),
    AgentGate("enabled", _enabled),
    AgentGate("paused", _paused),
    AgentGate("account", _account),
    AgentGate("budget", lambda facts: day_budgets.closed(facts.agent, facts.today)),
    AgentGate("presence", _presence),
    AgentGate("free", _free),
    AgentGate("room", _room),
    AgentGate("memory", _memory),
)


def agent_open(facts: AgentFacts) -> bool:
    """Whether an agent passes every gate."""
    return all(gate.closed(facts) is None for gate in AGENT_GATES)
