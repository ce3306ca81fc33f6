"""The operator's token: a 0600 file beside the state, its hash on the board.

Never shows the token, never overwrites the file, and never trusts one that others can read.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from blackboard import tokens
from blackboard.board import Tx
from orchestrator.exits import Exit

NAME = "operator"


def read(file: Path) -> str:
    """The token in the file; Exit with what to do when there is none to use."""
    try:
        text = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        raise Exit(f"there is no operator token at {file}: `orchestrator init` makes one") from None
    except (OSError, UnicodeError) as error:
        raise Exit(f"the operator token {file} cannot be read: {error}") from None
    if not text.startswith(tokens.PREFIX):
        raise Exit(f"{file} holds no token of a board: move it away, then `orchestrator init` makes one")
    return text


def made(file: Path, text: str | None = None) -> bool:
    """Make the file with a new token, or with this text, unless it exists; whether it was made."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="ascii") as opened:
        opened.write((text or tokens.mint()) + "\n")
        opened.flush()
        os.fsync(opened.fileno())
    return True


def is_private(file: Path) -> bool:
    """Whether nobody but its owner can read the file."""
    return stat.S_IMODE(file.stat().st_mode) & 0o077 == 0


KNOWN = "SELECT 1 FROM tokens WHERE hash = :hash"


def known(tx: Tx, token: str) -> None:
    """Have the token's hash on the board; a revoked one stays revoked."""
    if tx.one(KNOWN, hash=tokens.digest(token)) is None:
        tokens.create(tx, token, kind="operator", name=NAME, scope="admin")
