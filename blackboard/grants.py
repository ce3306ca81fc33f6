"""Granting and revoking what agents may change, as an administrator says; and the list of it.

Only an administrator: what is granted holds until it is revoked, like a token, and outlives the token that granted it.
How rows are judged is blackboard/permissions.py. The events are the schema's, so that plain SQL tells its changes too.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from blackboard import agents, people, permissions
from blackboard.board import Rows, Tx
from blackboard.errors import NotFound
from blackboard.record import Record
from blackboard.tokens import identify

Answer = dict[str, Any]
_AGENT, _ROLE = "agent:[A-Za-z0-9][A-Za-z0-9._-]{0,63}", "group:[A-Za-z0-9._-]{1,64}"
SUBJECT = rf"^(?:{_AGENT}|{_ROLE})$"
SCOPE = rf"^(?:\*|self|agent:\*|group:\*|{_AGENT}|{_ROLE})$"


class PermissionForm(BaseModel):
    """Who may change what of whom; or may not, whatever else is granted."""

    model_config = ConfigDict(extra="forbid")
    subject: Annotated[
        str, Field(pattern=SUBJECT, description="Who: `agent:ID`, or `group:ROLE`, all that have a role.")
    ]
    type: Annotated[Literal[permissions.Type, "*"], Field(description="What; `*` is all of it.")]
    scope: Annotated[
        str,
        Field(
            pattern=SCOPE,
            description="Whose: `self`, `agent:ID`, `group:ROLE`, `agent:*`, `group:*` (whoever has a role), or `*`.",
        ),
    ]
    effect: Annotated[Literal["allow", "deny"], Field(description="A deny goes before an allow.")] = "allow"


SAME = "SELECT * FROM permissions WHERE subject = :subject AND type = :type AND scope = :scope AND revoked_at IS NULL"
ADD = """
INSERT INTO permissions (subject, type, scope, effect, actor, created_at) VALUES (:subject, :type, :scope, :effect, :actor, :now)
"""
TURN = "UPDATE permissions SET effect = :effect, rev = rev + 1, actor = :actor WHERE id = :id"


def grant(tx: Tx, token_hash: bytes, form: PermissionForm) -> Answer:
    """Have a permission on the board. The same again changes nothing; of the same with the other effect this one counts now.

    NotFound for an agent or a role that nobody has.
    """
    caller = identify(tx, token_hash)
    people.must_reach(caller, "admin")
    _must_mean_somebody(tx, form.subject)
    _must_mean_somebody(tx, form.scope)
    row = tx.one(SAME, subject=form.subject, type=form.type, scope=form.scope)
    if row is None:
        made = tx.insert(ADD, **form.model_dump(), actor=caller.actor, now=tx.now)
        return _said(tx, made, changed=True)
    changed = row["effect"] != form.effect
    if changed:
        tx.run(TURN, id=row["id"], effect=form.effect, actor=caller.actor)
    return _said(tx, row["id"], changed=changed)


OF_ROLE = "SELECT 1 FROM agent_roles WHERE role = :role"


def _must_mean_somebody(rows: Rows, name: str) -> None:
    """A name that nobody has is a slip of the pen, and would grant nothing."""
    kind, _, rest = name.partition(":")
    if rest in ("", permissions.ALL):
        return
    if kind == "agent":
        agents.must_exist(rows, rest)
    elif rows.one(OF_ROLE, role=rest) is None:
        raise NotFound(f"no agent has the role {rest}: `orchestrator agents` shows their roles")


NAMED = "SELECT * FROM permissions WHERE id = :id"


def _said(rows: Rows, permission: int, *, changed: bool) -> Answer:
    shown = told(get(rows, permission))
    may = "may" if shown["effect"] == "allow" else "may not"
    what = "all" if shown["type"] == permissions.ALL else shown["type"]
    sentence = f"{shown['subject']} {may} change {what} of {_WHOSE.get(shown['scope'], shown['scope'])}"
    return {
        **shown,
        "changed": changed,
        "next": f"permission {permission}: {sentence}{'' if changed else ', as before'}",
    }


_WHOSE = {"*": "everybody", "self": "its own", "agent:*": "every agent", "group:*": "every agent with a role"}


def get(rows: Rows, permission: int) -> Record:
    """The row of a permission, revoked or not; NotFound."""
    row = rows.one(NAMED, id=permission)
    if row is None:
        raise NotFound(f"there is no permission {permission}: `orchestrator permission list` names them")
    return row


REVOKE = "UPDATE permissions SET revoked_at = :now, rev = rev + 1, actor = :actor WHERE id = :id AND revoked_at IS NULL"


def revoke(tx: Tx, token_hash: bytes, permission: int) -> Answer:
    """From here it decides nothing. Again, it changes nothing and is told; NotFound when there was none."""
    caller = identify(tx, token_hash)
    people.must_reach(caller, "admin")
    get(tx, permission)
    changed = bool(tx.run(REVOKE, id=permission, now=tx.now, actor=caller.actor))
    sentence = f"permission {permission} is revoked" if changed else f"permission {permission} was revoked already"
    return {**told(get(tx, permission)), "changed": changed, "next": sentence}


def told(row: Record) -> Answer:
    """A row as people know it; `by`: who granted it, or made the last change."""
    return {
        "permission": row["id"], "subject": row["subject"], "effect": row["effect"], "type": row["type"], "scope": row["scope"],
        "by": row["actor"], "created_at": row["created_at"], "revoked_at": row["revoked_at"],
    }  # fmt: skip


LIST = "SELECT * FROM permissions WHERE :everything OR revoked_at IS NULL ORDER BY subject, type, scope, id"


def listed(rows: Rows, *, everything: bool = False) -> list[Answer]:
    """The permissions that hold, by subject; `everything`: the revoked ones too."""
    return [told(row) for row in rows.all(LIST, everything=everything)]


def tested(rows: Rows, agent: str, type: permissions.Type, target: str) -> Answer:
    """Whether an agent may, and which permission says so. NotFound for an agent that is none."""
    agents.must_exist(rows, agent)
    agents.must_exist(rows, target)
    found = permissions.explain(rows, agent, type, target)
    if found.by is not None:
        why = f"{found.by} says so"
    elif found.allowed:
        why = "an agent says where it stands itself, and no permission denies it"
    else:
        why = "no permission says so"
    return {
        "agent": agent, "type": type, "target": target, "allowed": found.allowed,
        "permission": found.by.id if found.by else None, "because": why,
    }  # fmt: skip
