"""The task of a slot's occurrence: posted once, moved while nobody has begun it, cancelled when its slot says so.

Called by blackboard/slots.py (a schedule came in) and blackboard/repeating.py (a rule goes on).
"""

from __future__ import annotations

from dataclasses import dataclass

from blackboard import verbs
from blackboard.board import Tx
from blackboard.clock import plus
from blackboard.policy import Policy
from blackboard.slot_records import DROPPED_STATUSES, OPEN_STATUSES, SlotRecord, Wish

SKIP_AFTER = 300.0  # seconds: what `missed = "skip"` means by late when missed_within is not given


@dataclass(frozen=True)
class Slot:
    """A slot on the board with all that its tasks need. `policy`: its agent's."""

    id: int
    agent: str
    project: str
    record: SlotRecord
    wish: Wish
    policy: Policy
    actor: str

    @property
    def series(self) -> str:
        """Whose occurrences come one after the other: its own, or those of all that are one event."""
        return self.record.series or f"slot {self.id}"

    def times(self, due_at: str) -> dict[str, str | None]:
        """begin_by and end_by of an occurrence: until when it may begin, and when what runs is ended."""
        record = self.record
        ends = plus(due_at, record.estimated_duration * 60) if record.estimated_duration is not None else None
        late = record.missed_within or (SKIP_AFTER if record.missed == "skip" else None)
        begin = [plus(due_at, late)] if late is not None else []
        begin += [ends] if ends is not None and record.deadline != "none" else []
        return {"begin_by": min(begin, default=None), "end_by": ends if record.deadline == "end" else None}


TASK_OF = "SELECT * FROM tasks WHERE slot_id = :slot AND occurrence = :occurrence"
REPLAN = """
UPDATE tasks SET due_at = :due_at, priority = :priority, begin_by = :begin_by, end_by = :end_by, series = :series,
       plan_rev = plan_rev + 1, planned_by = :actor
 WHERE id = :id AND status = 'pending'
   AND (due_at, priority, begin_by, end_by, series) IS NOT (:due_at, :priority, :begin_by, :end_by, :series)
"""


def put(tx: Tx, slot: Slot, due_at: str, occurrence: str, *, news: bool = True) -> list[int]:
    """Have an occurrence on the board as its slot says now; the task, if it is a new one.

    `news`: its status is another word than the last time. The same word again cancels nothing: who reopened the task
    since then knew it.
    """
    task = tx.one(TASK_OF, slot=slot.id, occurrence=occurrence)
    if slot.record.status in DROPPED_STATUSES:
        if news:
            cancel_pending(tx, slot.id, slot.actor, f"its slot is {slot.record.status}")
    elif task is None and slot.record.status in OPEN_STATUSES:
        return [post(tx, slot, due_at, occurrence)]
    elif task is not None:
        tx.run(
            REPLAN, id=task["id"], due_at=due_at, priority=slot.record.priority, actor=slot.actor, series=slot.series,
            **slot.times(due_at),
        )  # fmt: skip
    return []


def post(tx: Tx, slot: Slot, due_at: str, occurrence: str) -> int:
    """Post the task of an occurrence; its id."""
    record, wish = slot.record, slot.wish
    times = slot.times(due_at)
    return verbs.post(
        tx, project=slot.project, agent=slot.agent, actor=slot.actor, slot_id=slot.id, occurrence=occurrence, due_at=due_at,
        title=title_of(record, wish), description=wish.description, must_haves=wish.must_haves, checks=wish.checks,
        task_type=wish.type or "general", priority=record.priority, data=record.event_data, series=slot.series,
        policy=policy_of(record, wish, slot.policy), begin_by=times["begin_by"], end_by=times["end_by"],
    )  # fmt: skip


def title_of(record: SlotRecord, wish: Wish) -> str:
    """What the tasks of a slot are called."""
    return wish.title or f"{record.event_type or record.slot_type or 'slot'} {record.uid}"


def policy_of(record: SlotRecord, wish: Wish, policy: Policy) -> Policy:
    """The agent's policy with what the slot says; the planned duration is the limit unless it names another."""
    if record.estimated_duration is not None:
        policy = policy.but({"wall_seconds": record.estimated_duration * 60})
    return policy.but(wish.model_dump())


PENDING_OF = "SELECT id FROM tasks WHERE slot_id = :slot AND status = 'pending' ORDER BY id"


def cancel_pending(tx: Tx, slot_id: int, actor: str, reason: str) -> None:
    """Cancel every task of a slot that nobody works on."""
    for task in tx.all(PENDING_OF, slot=slot_id):
        verbs.cancel(tx, task["id"], actor=actor, reason=reason)
