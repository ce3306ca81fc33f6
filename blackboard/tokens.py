"""Tokens: minting, hashing, finding out who calls, and keeping them out of everything that is shown.

Three kinds: an attempt's (dead in the transaction that ends it), an agent's, an operator's. Beside them the secret of a
calendar feed, which stands in the feed's address and opens nothing else. Only hashes are stored. Never logs or returns a token it was not just asked to mint.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Any

from blackboard.board import Rows, Tx
from blackboard.errors import Conflict, NotFound, Unauthorized
from blackboard.record import Record

PREFIX = "bbt_"
_TOKEN = re.compile(PREFIX + r"[A-Za-z0-9_-]{8,}")
SCOPES = ("read", "operate", "admin")  # each includes the ones before it
FEED = "feed:"  # before the name of a feed's secret, and before the secret itself in its hash


def mint() -> str:
    """A new token: the prefix and 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """What the board stores of a token. Plain SHA-256 is enough: 256 random bits cannot be guessed."""
    return hashlib.sha256(token.encode()).digest()


def feed_digest(secret: str) -> bytes:
    """What the board stores of a feed's secret: as a token it is unknown, and no token opens a feed."""
    return digest(FEED + secret)


def redact(text: str) -> str:
    """The text with every token masked."""
    return _TOKEN.sub(PREFIX + "***", text) if PREFIX in text else text


def masked(value: Any) -> Any:
    """A report's fields without tokens: an agent that writes its own into one does not hand it to whoever reads the board."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(name): masked(item) for name, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Caller:
    """Who holds a token. `actor` is what goes into events; `attempt` is the row of an attempt's token."""

    kind: str  # attempt, agent or operator
    actor: str
    name: str
    agent_id: str | None = None
    scope: str | None = None
    attempt: Record | None = None

    def may(self, scope: str) -> bool:
        """Whether an operator's token reaches this scope."""
        return self.scope is not None and SCOPES.index(self.scope) >= SCOPES.index(scope)


ATTEMPT = "SELECT * FROM attempts WHERE token_hash = :hash"
STANDING = """
SELECT kind, agent_id, scope, name FROM tokens WHERE hash = :hash AND revoked_at IS NULL AND name NOT GLOB 'feed:*'
"""
UNKNOWN = "this token is not known here: use the curl file of your attempt, or the operator's token file"


def attempt_caller(row: Record) -> Caller:
    """The caller behind a row of `attempts`, ended or not: whether it may still write is the report's question."""
    return Caller("attempt", f"{row['role']}:{row['agent_id']}", row["agent_id"], row["agent_id"], attempt=row)


def standing_caller(row: Record) -> Caller:
    """The caller behind a row of `tokens`."""
    if row["kind"] == "agent":
        return Caller("agent", f"agent:{row['agent_id']}", row["name"], row["agent_id"])
    return Caller("operator", f"person:{row['name']}", row["name"], scope=row["scope"])


def identify(tx: Tx, token_hash: bytes) -> Caller:
    """Who calls, looked up on the board every time: a revoked or ended token is never cached."""
    row = tx.one(ATTEMPT, hash=token_hash)
    if row is not None:
        return attempt_caller(row)
    row = tx.one(STANDING, hash=token_hash)
    if row is None:
        raise Unauthorized(UNKNOWN)
    return standing_caller(row)


CREATE = """
INSERT INTO tokens (hash, kind, agent_id, scope, name, created_at)
VALUES (:hash, :kind, :agent_id, :scope, :name, :now)
ON CONFLICT (hash) DO NOTHING
"""


def create(tx: Tx, token: str, *, kind: str, name: str, scope: str | None = None, agent_id: str | None = None) -> None:
    """Store the hash of a token of an agent or an operator."""
    put(tx, digest(token), kind=kind, name=name, scope=scope, agent_id=agent_id)


def put(tx: Tx, token_hash: bytes, *, kind: str, name: str, scope: str | None, agent_id: str | None) -> None:
    """The same for who has only the hash."""
    if not tx.run(CREATE, hash=token_hash, kind=kind, agent_id=agent_id, scope=scope, name=name, now=tx.now):
        raise Conflict("this token is on the board already")


FEED_OF = "SELECT agent_id FROM tokens WHERE hash = :hash AND revoked_at IS NULL AND name GLOB 'feed:*'"
NO_FEED = "there is no such feed (any more): `orchestrator token new --feed` makes an address"


def feed_agent(rows: Rows, secret: str) -> str | None:
    """Whose feed a secret opens, None for everybody's. NotFound alike for one that never was and one that is revoked."""
    row = rows.one(FEED_OF, hash=feed_digest(secret))
    if row is None:
        raise NotFound(NO_FEED)
    agent: str | None = row["agent_id"]
    return agent


REVOKE = "UPDATE tokens SET revoked_at = :now WHERE name = :name AND kind = :kind AND revoked_at IS NULL"


def revoke(tx: Tx, *, kind: str, name: str) -> int:
    """Revoke every live token of this name; how many there were."""
    return tx.run(REVOKE, now=tx.now, name=name, kind=kind)
