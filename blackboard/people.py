"""What a person may say to the board, and applying it: post tasks and slots, approve, reject, answer, cancel, reopen.

Each function is one transaction and looks the token up in it. Answers are small dicts ready for JSON.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from blackboard import pauses, permissions, rechecks, slot_records, slots, verbs
from blackboard.board import Tx
from blackboard.errors import Forbidden, Invalid, NotFound, Refused
from blackboard.forms import ChildReport, TaskReport
from blackboard.move import get
from blackboard.policy import Policies, Policy
from blackboard.tokens import Caller, identify

Answer = dict[str, Any]
DEFAULTS = Policies()


def _operator(tx: Tx, token_hash: bytes, scope: str) -> Caller:
    caller = identify(tx, token_hash)
    must_reach(caller, scope)
    return caller


def must_reach(caller: Caller, scope: str) -> None:
    """Forbidden unless the caller is an operator with this scope."""
    if not caller.may(scope):
        raise Forbidden(f"this needs an operator's token with scope {scope}: it is in the operator token file")


def in_project(tx: Tx, project: str, task_id: int) -> None:
    """NotFound unless the task is one of this project."""
    if get(tx, task_id)["project_id"] != project:
        raise NotFound(f"there is no task {task_id} in project {project}", task=task_id)


def post_form(
    tx: Tx, project: str, report: ChildReport, actor: str, policies: Policies, agent: str | None, **more: Any
) -> int:
    """Post what a form describes; the task's id."""
    return verbs.post(
        tx, project=project, title=report.title, actor=actor, agent=agent, role=report.role, description=report.description,
        task_type=report.type, priority=report.priority, must_haves=report.must_haves, checks=report.checks, due_at=report.due_at,
        needs=report.needs, policy=policies.of(agent).but(report.model_dump()), **more,
    )  # fmt: skip


def post_task(tx: Tx, token_hash: bytes, project: str, report: TaskReport, policies: Policies = DEFAULTS) -> Answer:
    """A person posts a task."""
    caller = _operator(tx, token_hash, "operate")
    made = post_form(tx, project, report, caller.actor, policies, report.agent, parent_id=report.parent,
                 not_before=report.not_before, data=report.data)  # fmt: skip
    task = get(tx, made)
    return {
        "task": made,
        "project": project,
        "status": task["status"],
        "next": f"orchestrator why {made} tells when it starts",
    }


def post_slots(
    tx: Tx,
    token_hash: bytes,
    document: Mapping[str, Any],
    *,
    project: str,
    time_zone: str,
    source: str = "api",
    policies: Policies = DEFAULTS,
) -> Answer:
    """A person posts slots: each becomes one task. What is not named stays: this is no complete schedule.

    So does an agent, of those whose slots it may change: under its own name, so that it changes no slots but what it posted.
    """
    caller = identify(tx, token_hash)
    if caller.attempt is not None:
        raise Forbidden(
            "the token of an attempt is for its task: post children of it, or slots with the agent's own token"
        )
    if caller.agent_id is None:
        must_reach(caller, "operate")
    _known_zone(str(document.get("time_zone", time_zone)))
    source, actor = _names(caller, source)
    schedule = slots.read_schedule(document, source=source, project=project, time_zone=time_zone, complete=False)
    if caller.agent_id is not None:
        _must_be_permitted(tx, caller, caller.agent_id, schedule)
    taken = slots.take_in(tx, schedule, policies, actor=actor)
    if taken.refused and not taken.tasks and not taken.added and not taken.changed:
        which, why = taken.refused[0]
        raise Refused(f"{which}: {why}", refused=[{"slot": w, "why": y} for w, y in taken.refused])
    return {
        "added": taken.added,
        "changed": taken.changed,
        "tasks": taken.tasks,
        "refused": [{"slot": which, "why": why} for which, why in taken.refused],
        "next": f"{len(taken.tasks)} tasks posted; orchestrator tasks lists them",
    }


def _names(caller: Caller, source: str) -> tuple[str, str]:
    """Source and actor of what a caller posts. The engine acts at an agent's word: what an agent may not, such as to cancel
    the task of a slot that is cancelled, follows from the slot."""
    if caller.agent_id is None:
        return source, caller.actor
    if source != "api":
        raise Forbidden("source is for operators: the slots an agent posts are kept under its own name")
    return caller.actor, f"engine:{caller.actor}"


def _must_be_permitted(tx: Tx, caller: Caller, agent: str, schedule: slots.Schedule) -> None:
    """All of it or nothing. A slot lends nobody's rights: no command for another agent, no place in others' series."""
    for target in sorted({target for target, _ in schedule.slots}):
        permissions.must_allow(tx, caller, "slots", target.encode("utf-8", "replace").decode())
    for target, given in schedule.slots:
        if given.get("series") is not None:
            raise Forbidden("series is for operators: an agent's slots follow and replace none but their own")
        wish = _wish(given)
        if limits := sorted(LIMITS & wish.model_dump(exclude_none=True).keys()):
            raise Forbidden(
                f"{limits[0]} is for operators: the work that an agent plans has the limits and the review of its agent"
            )
        if target != agent and any(check.run is not None for check in wish.checks):
            raise Forbidden(
                "a check with a command is only for slots of your own, for it runs as the agent of the slot: give files (path) "
                "instead, or say in must_haves what proves it"
            )


LIMITS = frozenset(slot_records.Wish.model_fields) & {field.name for field in dataclasses.fields(Policy)}


def _wish(given: Mapping[str, Any]) -> slot_records.Wish:
    """What a slot wishes of its task; nothing where it cannot be read: taking it in refuses it, and says why."""
    try:
        return slot_records.Wish.model_validate(slot_records.read(given).event_data or {})
    except Invalid:
        return slot_records.Wish()


def _known_zone(name: str) -> None:
    """NotFound for a zone that is not installed: the name may be well written, as that of an agent may."""
    try:
        slot_records.zone_of(name)
    except Invalid as unknown:
        raise NotFound(unknown.sentence) from None


OPERATIONS = ("approve", "reject", "answer", "cancel", "reopen", "recheck")


def operate(tx: Tx, token_hash: bytes, project: str, task_id: int, verb: str, detail: str | None = None) -> Answer:
    """A person moves a task: approve, reject (remark), answer (text), cancel, reopen; or has its checks run again."""
    return operate_as(tx, identify(tx, token_hash), project, task_id, verb, detail)


def operate_as(tx: Tx, caller: Caller, project: str, task_id: int, verb: str, detail: str | None) -> Answer:
    """The same for a caller that is known."""
    must_reach(caller, "operate")
    in_project(tx, project, task_id)
    status = _apply(tx, task_id, verb, caller.actor, detail)
    return {"task": task_id, "project": project, "status": status, "next": f"task {task_id} is {status} now"}


def _apply(tx: Tx, task_id: int, verb: str, actor: str, detail: str | None) -> str:
    if verb == "approve":
        return verbs.approve(tx, task_id, actor=actor, reason=detail)
    if verb == "reject":
        return verbs.reject(tx, task_id, actor=actor, remark=detail or "")
    if verb == "answer":
        return verbs.unblock(tx, task_id, actor=actor, answer=detail or "")
    if verb == "cancel":
        return verbs.cancel(tx, task_id, actor=actor, reason=detail)
    if verb == "reopen":
        return verbs.reopen(tx, task_id, actor=actor, reason=detail)
    if verb == "recheck":
        return rechecks.recheck(tx, task_id, actor=actor, reason=detail)
    raise NotFound(f"there is no verb {verb!r}: a person may " + ", ".join(OPERATIONS))


def switch(tx: Tx, token_hash: bytes, target: pauses.Target, verb: str, reason: str | None = None) -> Answer:
    """A person pauses or resumes an agent, a project or everything. Saying it twice changes nothing and is told."""
    caller = _operator(tx, token_hash, "operate")
    change = pauses.pause if verb == "pause" else pauses.resume
    changed = change(tx, target, reason=reason, actor=caller.actor)
    since, why = pauses.state(tx, target)
    live = len(pauses.living(tx, target))
    return {
        "kind": target.kind, "name": target.name, "paused": since is not None, "changed": changed,
        "since": since, "reason": why if since else None, "live": live, "next": _after_switch(target, changed, since, why, live),
    }  # fmt: skip


def _after_switch(target: pauses.Target, changed: bool, since: str | None, why: str | None, live: int) -> str:
    if since is None:
        return f"{target} is resumed" if changed else f"{target} was not paused"
    goes_on = (
        f"; {live} of its attempts live and go on: orchestrator drain {target.option} waits for them" if live else ""
    )
    if changed:
        return f"{target} is paused{goes_on}"
    return f"{target} was paused already, since {since} ({why or 'no reason given'}): that stays{goes_on}"


def verb_for(tx: Tx, task_id: int, status: str) -> str:
    """The person's verb that leads from where the task is to `status`."""
    found = get(tx, task_id)["status"]
    if status == "done":
        return "approve"
    if status == "cancelled":
        return "cancel"
    if status == "pending":
        return "reject" if found == "review" else "answer" if found == "blocked" else "reopen"
    raise Forbidden(f"only the attempt that works on the task says {status}")
