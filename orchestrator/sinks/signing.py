"""Signing a webhook as Standard Webhooks 1.0 says (https://www.standardwebhooks.com): HMAC-SHA256 over id, time and body.

Secrets are lines `whsec_…` of a private file; with several, while one replaces another, each makes a signature.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import stat
from collections.abc import Sequence
from pathlib import Path

from orchestrator import small_files
from orchestrator.asking import NoAnswer

PREFIX = "whsec_"
LEAST, MOST = 24, 64  # bytes of a secret
MOST_FILE = 65536  # bytes


def secrets(file: Path) -> list[bytes]:
    """The secrets in a file, the newest first. NoAnswer, without a word of what is in it, when there is none to sign with."""
    try:
        raw, mode = small_files.read(file, MOST_FILE)
        if stat.S_IMODE(mode) & 0o077:
            raise NoAnswer(f"others can read its secret_file {file}: chmod 600 {file}")
        return secrets_in(raw.decode("ascii"), file)
    except OSError as error:
        raise NoAnswer(f"its secret_file {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise NoAnswer(f"its secret_file {file} holds something else than lines of {PREFIX}...") from None


def secrets_in(text: str, file: Path) -> list[bytes]:
    """The secrets of its lines; an empty one, or one that begins with #, is none."""
    lines = [line.strip() for line in text.splitlines()]
    found = [_secret(line, file) for line in lines if line and not line.startswith("#")]
    if not found:
        raise NoAnswer(f"its secret_file {file} is empty: write a line {PREFIX} and 24 to 64 random bytes in base64")
    return found


def _secret(line: str, file: Path) -> bytes:
    try:
        raw = base64.b64decode(line.removeprefix(PREFIX), validate=True) if line.startswith(PREFIX) else b""
    except binascii.Error:
        raw = b""
    if not LEAST <= len(raw) <= MOST:
        raise NoAnswer(
            f"a line of its secret_file {file} is no secret: write {PREFIX} and {LEAST} to {MOST} random bytes in base64"
        )
    return raw


def headers(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a signed message. `timestamp`: seconds since 1970, of this try."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys)
    return {
        "webhook-id": message_id, "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{each}" for each in signatures),
    }  # fmt: skip
