"""The result of a program that never calls back: exit code 0 hands its standard output in.

For agents with `calls_back = false`. Reads the attempt's log file, never the board's.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from blackboard import attempts, journal, verbs
from blackboard.board import Board, Tx
from blackboard.errors import BlackboardError
from blackboard.tokens import redact

log = logging.getLogger(__name__)

MOST = 1_000_000  # bytes of output kept as content; the whole is in the log file


async def hand_in_stdout(board: Board, attempt_id: int, directory: Path) -> None:
    """Make the output of the program the attempt's output, and submit. A refusal is left to the monitor's verdict."""
    text = await asyncio.to_thread(_read, directory / "stdout.log")
    try:
        await board.write(_hand_in, attempt_id, text)
    except BlackboardError as error:
        log.info("attempt %s could not be handed in: %s", attempt_id, error)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return redact(opened.read(MOST).decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}"))
    except OSError:
        return ""


def _hand_in(tx: Tx, attempt_id: int, text: str) -> None:
    attempt = attempts.get(tx, attempt_id)
    if attempt["ended_at"] is not None or attempt["role"] != "executor":  # a reviewer gives a verdict, or none
        return
    summary = f"what the program printed, {len(text)} characters" if text else "the program printed nothing"
    journal.add_output(tx, attempt, type="other", title="stdout", content=text, summary=summary)
    verbs.submit(tx, attempt, actor="engine:monitor", detail="the program ended with exit code 0")
