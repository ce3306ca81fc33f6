"""Tokens that hold until they are revoked: making, listing and revoking them, as an administrator says.

Whoever wants a token mints it and hands in its hash: the token itself never comes here. Names are given once, so that a
token can be revoked by its name. A feed's secret is no token: it is kept under another hash, and opens its feed alone.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from blackboard import agents, journal, people, tokens
from blackboard.board import Rows, Tx
from blackboard.errors import Conflict, NotFound, Refused
from blackboard.forms import Slug
from blackboard.record import Record
from blackboard.tokens import FEED, identify

Kind = Literal["operator", "agent", "feed"]
Answer = dict[str, Any]


class TokenForm(BaseModel):
    """A new token: its hash, its name, and what it reaches."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[Slug, Field(description="How it is called in lists and events, and revoked.")]
    kind: Annotated[Kind, Field(description="An operator's, an agent's, or a calendar feed's.")]
    hash: Annotated[
        str,
        Field(
            pattern="^[0-9a-f]{64}$", description="SHA-256 of the token, in hex; of a feed's, of `feed:` and the token."
        ),
    ]
    scope: Annotated[Literal["read", "operate", "admin"], Field(description="What an operator's may.")] = "read"
    agent: Annotated[
        Slug | None,
        Field(description="Whose; of a feed: only this agent's. An agent's without it is that of its name."),
    ] = None


KNOWN = "SELECT * FROM tokens WHERE hash = :hash"
TAKEN = "SELECT 1 FROM tokens WHERE name IN (:name, :feed) AND revoked_at IS NULL"


def add(tx: Tx, token_hash: bytes, form: TokenForm) -> Answer:
    """Have a token on the board. The same one again changes nothing and is told; a revoked one stays revoked."""
    caller = identify(tx, token_hash)
    people.must_reach(caller, "admin")
    agent = form.agent or (form.name if form.kind == "agent" else None)
    if form.kind == "operator" and agent is not None:
        raise Refused("an operator's token is nobody's but its holder's: leave `agent` out, or make it an agent's")
    if agent is not None:
        agents.must_exist(tx, agent)
    hash_ = bytes.fromhex(form.hash)
    row, wanted = tx.one(KNOWN, hash=hash_), _columns(form, agent)
    if row is not None:
        if row["revoked_at"] is not None or any(row[name] != value for name, value in wanted.items()):
            raise Conflict("this token is on the board already, as another one or a revoked one: make a new one")
        return _said(row, new=False)
    if tx.one(TAKEN, name=form.name, feed=FEED + form.name) is not None:
        raise Conflict(
            f"there is a token named {form.name} already: revoke it first (orchestrator token revoke {form.name}), or give "
            "this one another name"
        )
    tokens.put(tx, hash_, **wanted)
    told = _said({**wanted, "created_at": tx.now, "revoked_at": None}, new=True)
    journal.tell(tx, "token_made", actor=caller.actor, agent_id=agent, reason=told["next"])
    return told


def _columns(form: TokenForm, agent: str | None) -> Answer:
    """Its row. A feed's is an agent's or an operator's that may read, known by its name: `identify` passes it over."""
    name = FEED + form.name if form.kind == "feed" else form.name
    if agent is not None:
        return {"kind": "agent", "agent_id": agent, "scope": None, "name": name}
    return {"kind": "operator", "agent_id": None, "scope": "read" if form.kind == "feed" else form.scope, "name": name}


def _said(row: Record, *, new: bool) -> Answer:
    shown = told(row)
    what = {
        "feed": f"reads the feed of {shown['agent'] or 'all agents'}",
        "agent": f"speaks for agent {shown['agent']}",
    }
    does = what.get(shown["kind"], f"may {shown['scope']}")
    return {**shown, "new": new, "next": f"{shown['kind']} token {shown['name']} {does}{'' if new else ', as before'}"}


def told(row: Record) -> Answer:
    """A row as people know it."""
    feed = row["name"].startswith(FEED)
    return {
        "name": row["name"].removeprefix(FEED), "kind": "feed" if feed else row["kind"], "agent": row["agent_id"],
        "scope": None if feed else row["scope"], "created_at": row["created_at"], "revoked_at": row["revoked_at"],
    }  # fmt: skip


LIST = "SELECT * FROM tokens WHERE :everything OR revoked_at IS NULL ORDER BY created_at, name"


def listed(rows: Rows, *, everything: bool = False) -> list[Answer]:
    """The tokens that hold; `everything`: the revoked ones too."""
    return [told(row) for row in rows.all(LIST, everything=everything)]


NAMED = "SELECT * FROM tokens WHERE name IN (:name, :feed) ORDER BY revoked_at IS NOT NULL"
REVOKE = "UPDATE tokens SET revoked_at = :now WHERE name IN (:name, :feed) AND revoked_at IS NULL"


def revoke(tx: Tx, token_hash: bytes, name: str) -> Answer:
    """From here every token of this name is unknown. Again, it changes nothing and is told; NotFound when there was none."""
    caller = identify(tx, token_hash)
    people.must_reach(caller, "admin")
    named = {"name": name, "feed": FEED + name}
    row = tx.one(NAMED, **named)
    if row is None:
        raise NotFound(f"there is no token named {name}: `orchestrator token list` names them")
    count = tx.run(REVOKE, now=tx.now, **named)
    said = f"{told(row)['kind']} token {name} is revoked" if count else f"token {name} was revoked already"
    if count:
        journal.tell(tx, "token_revoked", actor=caller.actor, agent_id=row["agent_id"], reason=said)
    return {"name": name, "revoked": count, "next": said}
