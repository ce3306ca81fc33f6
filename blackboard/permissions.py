"""What an agent may change beyond its own task: heartbeats, checklists, slots and presence, its own or others'.

An operator grants it, by rows (blackboard/grants.py). The first of these that fits decides: a deny of the agent itself, an
allow of it, a deny of a role it has, an allow of one; else nothing is allowed but to say where it stands itself. Rows are
remembered by a mark that every change of them replaces, so nothing that was revoked is allowed for a moment longer.

Read next: blackboard/grants.py (how rows come and go).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, get_args

from blackboard.board import Rows
from blackboard.errors import Fenced, Forbidden
from blackboard.tokens import Caller

Type = Literal["heartbeat", "checklist", "slots", "presence"]
TYPES: tuple[Type, ...] = get_args(Type)
ALL = "*"  # any type, anybody
SELF = "self"  # as a scope: whoever asks
ORDER = (("agent", "deny"), ("agent", "allow"), ("group", "deny"), ("group", "allow"))


class Permission(NamedTuple):
    """A row: who (`agent:ID`, `group:ROLE`), what (a type or `*`), whose (see `fits`), and `allow` or `deny`."""

    id: int
    subject: str
    type: str
    scope: str
    effect: str

    def __str__(self) -> str:
        return f"permission {self.id} ({self.subject} {self.effect} {self.type} {self.scope})"


class Decision(NamedTuple):
    """Whether it is allowed, and by which row: None is the rule for what no row decides."""

    allowed: bool
    by: Permission | None


def fits(pattern: str, name: str) -> bool:
    """Whether a scope means a name: `*` any, `prefix:*` the prefix itself and what stands behind it, else the very name."""
    if pattern in (ALL, name):
        return True
    prefix, wild = pattern[:-2], pattern.endswith(":*")
    return wild and (name == prefix or name.startswith(f"{prefix}:"))


def decide(rows: Iterable[Permission], agent: str, roles: Iterable[str], type: str, names: Sequence[str]) -> Decision:
    """What these rows say of an agent that has these roles and would change the `type` of one that has these names. Pure.

    `names`: `agent:ID`, `group:ROLE` for each of its roles, and `self` where it is the same agent.
    """
    who = {f"agent:{agent}", *(f"group:{role}" for role in roles)}
    found = [
        row for row in rows
        if row.subject in who and row.type in (ALL, type) and any(fits(row.scope, name) for name in names)
    ]  # fmt: skip
    for kind, effect in ORDER:
        for row in found:
            if row.effect == effect and row.subject.startswith(f"{kind}:"):
                return Decision(effect == "allow", row)
    return Decision(type == "presence" and SELF in names, None)


MARK = "SELECT value FROM meta WHERE key = 'permissions'"
# The mark in the same statement: of the same state of the board, also where each statement sees another.
HOLDING = """
SELECT p.id, p.subject, p.type, p.scope, p.effect, m.value AS mark FROM meta m JOIN permissions p
 WHERE m.key = 'permissions' AND p.revoked_at IS NULL ORDER BY p.id
"""
_remembered: tuple[str, tuple[Permission, ...]] = ("", ())  # replaced whole: readers and the writer are threads


def holding(rows: Rows) -> tuple[Permission, ...]:
    """Every permission that holds, by id: from memory while their mark on the board is the one they were read with."""
    global _remembered
    mark, known = _remembered
    now = rows.one(MARK)
    if now is None:  # nobody was ever granted anything
        return ()
    if now["value"] != mark:
        read = rows.all(HOLDING)
        known = tuple(Permission(*row[:5]) for row in read)
        if read:
            _remembered = (read[0]["mark"], known)
    return known


ROLES = "SELECT role FROM agent_roles WHERE agent_id = :agent ORDER BY role"


def _roles(rows: Rows, agent: str) -> list[str]:
    return [row["role"] for row in rows.all(ROLES, agent=agent)]


def explain(rows: Rows, agent: str, type: Type, target: str) -> Decision:
    """Whether an agent may change the `type` of a target, and which row says so."""
    roles = _roles(rows, agent)
    of_target = roles if target == agent else _roles(rows, target)
    names = [f"agent:{target}", *(f"group:{role}" for role in of_target), *([SELF] if target == agent else [])]
    return decide(holding(rows), agent, roles, type, names)


def allows(rows: Rows, agent: str, type: Type, target: str) -> bool:
    """Whether an agent may change the `type` of a target, both by their ids."""
    return explain(rows, agent, type, target).allowed


def must_allow(rows: Rows, caller: Caller, type: Type, target: str, *, scope: str = "operate") -> None:
    """Forbidden unless the caller may change the `type` of a target; Fenced for an attempt that has ended.

    An operator's token with `scope` may, and an agent's own as the rows say. That of an attempt is for its task: of all
    this it says only where its agent stands, and not where that is denied.
    """
    if caller.may(scope):
        return
    if caller.agent_id is None:
        raise Forbidden(f"this needs an operator's token with scope {scope}: it is in the operator token file")
    must_live(caller)
    if caller.attempt is not None and (type != "presence" or caller.agent_id != target):
        raise Forbidden(
            f"the token of an attempt is for its task: the {type} of agent {target} is changed with an agent's own token, or an "
            "operator's"
        )
    found = explain(rows, caller.agent_id, type, target)
    if not found.allowed:
        raise Forbidden(refusal(caller.agent_id, type, target, found))


def must_live(caller: Caller) -> None:
    """Fenced for the token of an attempt that has ended."""
    attempt = caller.attempt
    if attempt is not None and attempt["ended_at"] is not None:
        raise Fenced(
            f"attempt {attempt['number']} has ended ({attempt['outcome']}): stop working, its token is dead",
            outcome=attempt["outcome"],
        )


def refusal(agent: str, type: Type, target: str, found: Decision) -> str:
    """Why it may not, and what an operator does about it."""
    whose = "its own" if agent == target else f"agent {target}'s"
    if found.by is not None:
        return f"agent {agent} may not change {whose} {type}: {found.by} says so, and an operator may revoke it"
    how = f"orchestrator permission grant agent:{agent} {type} {SELF if agent == target else f'agent:{target}'}"
    return f"agent {agent} may not change {whose} {type}: an operator grants it with `{how}`"
