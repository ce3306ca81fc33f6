"""Runs that may outlive their process, because they live in another one: whether such a run is still going on.

The state is on the board (abroad_at, lease_until), so a restart goes on where it was. An answer that is neither yes
nor no is no proof: the attempt stays not gone, and nothing is claimed for its task.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Sequence

from blackboard import abroad, attempts
from blackboard.board import Board, Tx
from blackboard.clock import plus, seconds_between
from blackboard.record import Record
from orchestrator.config import Settings
from orchestrator.config_agent import AgentConfig
from orchestrator.processes import Status
from orchestrator.runners.result import Result
from orchestrator.runners.runner import Elsewhere, environment
from orchestrator.runners.table import runner_of

ASKING_SECONDS = 30.0  # for a probe to answer
CANCEL_SECONDS = 10.0
LOOK_AGAIN = 5.0  # whether a person has said so
LONGEST = 60.0
ALIVE, GONE = 0, 1  # exit codes of a probe; any other is no answer


class Abroad:
    """Watches the runs of one board that may go on elsewhere."""

    def __init__(self, board: Board, settings: Settings) -> None:
        self._board = board
        self._settings = settings

    async def keeps(self, row: Record, status: Status | None, result: Result | None) -> float | None:
        """None when nothing of the attempt can go on elsewhere, else the seconds until the next look.

        `row`: an attempt that has ended, and of which no process is left here.
        """
        config = self._settings.agents.get(row["agent_id"])
        where = runner_of(config).elsewhere(config) if config is not None else None
        if row["abroad_at"] is None:
            if config is None or where is None or not _began(row, status) or (result is not None and result.final):
                return None
            return await self._leaves(row, config, where, result)
        if config is None or where is None:  # configured away meanwhile: what the board says still holds
            return self._until(row["lease_until"])
        if where.probe:
            return await self._asks(row, config, where)
        return self._until(plus(row["abroad_at"], where.hold) if where.hold else None)

    async def _leaves(self, row: Record, config: AgentConfig, where: Elsewhere, result: Result | None) -> float:
        """Say that it is abroad, after the one try to end it: a crash in between tries again."""
        if where.cancel:
            code = await self._call(where.cancel, row, config, where, CANCEL_SECONDS)
            said = "no answer in time" if code is None else f"exit code {code}"
            await self._board.write(attempts.tell, row["id"], "cancel_sent", f"{where.cancel[0]}: {said}")
        until = plus(self._board.clock.now(), where.hold) if where.hold and not where.probe else None
        if result is not None:
            await self._board.write(attempts.result, row["id"], result.columns())
        await self._board.write(abroad.left, row["id"], until=until, sentence=_sentence(row["id"], where))
        return 0.0 if where.probe else min(where.hold, LONGEST) if where.hold else LOOK_AGAIN

    async def _asks(self, row: Record, config: AgentConfig, where: Elsewhere) -> float | None:
        """Ask the probe when its time has come."""
        left = seconds_between(self._board.clock.now(), row["lease_until"]) if row["lease_until"] else 0.0
        if 0 < left <= where.every:
            return float(left)
        code = await self._call(where.probe, row, config, where, ASKING_SECONDS)
        if code == GONE:
            return None
        if code != ALIVE:
            answer = "did not answer in time" if code is None else f"answered with exit code {code}"
            await self._board.write(
                _tell_once, row["id"], f"the probe {where.probe[0]} {answer}: {_by_hand(row['id'])}"
            )
        await self._board.write(abroad.renewed, row["id"], until=plus(self._board.clock.now(), where.every))
        return where.every

    def _until(self, until: str | None) -> float | None:
        """The seconds to wait for an instant, None when it is over; without one a person is waited for."""
        if until is None:
            return LOOK_AGAIN
        left = float(seconds_between(self._board.clock.now(), until))
        return min(left, LONGEST) if left > 0 else None

    async def _call(
        self, argv: Sequence[str], row: Record, config: AgentConfig, where: Elsewhere, seconds: float
    ) -> int | None:
        """The exit code of a command about a run; None when it could not be had."""
        values = {
            "session_key": row["session_key"] or "", "run_id": row["run_id"] or "", "agent": config.known_as(row["agent_id"]),
            "task": str(row["task_id"]), "attempt": str(row["number"]), "project": row["project_id"],
        }  # fmt: skip
        words = [word.format_map(values) for word in argv]
        env = environment(config, os.environ, "", where.environment)
        return await asyncio.to_thread(_code, words, env, seconds)


def _code(words: list[str], env: dict[str, str], seconds: float) -> int | None:
    """The exit code; None when there is none in time, and then all that the command has started is ended."""
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own command, no shell
            words, env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    except OSError:
        return None
    with process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
            return None


def _began(row: Record, status: Status | None) -> bool:
    """Whether its program was ever started: else nothing can go on."""
    return row["agent_pid"] is not None or (status is not None and status.agent is not None)


def _by_hand(attempt_id: int) -> str:
    return f'when you know that it is over: orchestrator gone {attempt_id} "how you know"'


def _sentence(attempt_id: int, where: Elsewhere) -> str:
    if where.probe:
        waits = f"{where.probe[0]} is asked every {where.every:g} s"
    else:
        waits = (
            f"it counts as gone after {where.hold:g} s"
            if where.hold
            else "nothing but a person can tell when it is over"
        )
    return f"its process left without the run's end, which may go on elsewhere; {waits}; {_by_hand(attempt_id)}"


LAST_ANSWER = "SELECT reason FROM events WHERE task_id = :task AND attempt_id = :id AND verb = 'no_answer' ORDER BY id DESC LIMIT 1"


def _tell_once(tx: Tx, attempt_id: int, sentence: str) -> None:
    """Tell that a probe gave no answer, once as long as it would say the same."""
    last = tx.one(LAST_ANSWER, task=attempts.get(tx, attempt_id)["task_id"], id=attempt_id)
    if last is None or last["reason"] != sentence:
        attempts.tell(tx, attempt_id, "no_answer", sentence)
