"""A dry run: claim what would be claimed now, render and record it, and give it back. Starts nothing."""

from __future__ import annotations

from blackboard import attempts, claims, verbs
from blackboard.board import Board, Tx
from blackboard.tokens import digest, mint
from orchestrator.config import Settings
from orchestrator.machine import room
from orchestrator.spawner import Spawner, SpawnError


async def rehearse(board: Board, settings: Settings, spawner: Spawner) -> None:
    """Rehearse every claim that is possible at once; what would be started stands in each attempt's directory."""
    tokens = [mint() for _ in range(max(1, settings.tick.max_live))]
    claimed = await board.write(
        claims.claim_due, [digest(token) for token in tokens], room(settings, board.clock.now())
    )
    for attempt_id, token in zip(claimed, tokens, strict=False):
        outcome, detail = "dry_run", f"rendered to {spawner.directory(attempt_id) / 'prompt.md'}"
        try:
            await spawner.rehearse(attempt_id, token)
        except SpawnError as error:
            outcome, detail = error.outcome, str(error)
        await board.write(_end, attempt_id, outcome, detail)


def _end(tx: Tx, attempt_id: int, outcome: str, detail: str) -> None:
    attempt = attempts.get(tx, attempt_id)
    if attempt["ended_at"] is None:  # a person may have cancelled the task meanwhile
        verbs.end_badly(tx, attempt, outcome, actor="engine:tick", detail=detail)
    attempts.gone(tx, attempt_id)
