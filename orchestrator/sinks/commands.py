"""The sink `command`: a program of the operator's is run for each message, contained and without a shell.

It gets the message as JSON on its standard input, and what its words name in braces. Exit 0 means that it was taken. A
program that was running when the daemon was killed is waited for by the next one, not run a second time; it is ended
where nobody is to be told any more.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from blackboard import deliveries
from blackboard.board import Board
from orchestrator import steps
from orchestrator.asking import NoAnswer
from orchestrator.config_sinks import SinkConfig
from orchestrator.processes import MARKER
from orchestrator.runners.runner import INHERITED
from orchestrator.sinks.message import Message


class CommandWay:
    """One program. `folder`: each run has a directory in it, which stays until the next message."""

    def __init__(self, name: str, config: SinkConfig, board: Board, folder: Path) -> None:
        self._config = config
        self._board = board
        self._folder = folder
        self._marker = marker_of(board, name)
        self._step: steps.Step | None = None

    async def send(self, message: Message) -> None:
        step = self._made(message)
        self._step = step
        await _forget_others(step)
        failed = await steps.run(
            step, self._board.clock, lambda: self._board.read(deliveries.wanted, message.sink, message.id)
        )
        self._step = None
        if failed is not None:
            raise NoAnswer(failed)

    async def stop(self) -> None:
        """End the program of a `send` that was cancelled; the next start runs it again."""
        if self._step is not None:
            await steps.break_off(self._step)
            self._step = None

    def words(self, message: Message) -> list[str]:
        """The command with its placeholders filled in."""
        return filled(self._config.argv, message.placeholders)

    def _made(self, message: Message) -> steps.Step:
        directory = self._folder / f"{message.number}-{message.tries}"
        env = environment(self._config, os.environ) | {MARKER: self._marker}
        argv = self.words(message)
        plan = {
            "argv": argv, "cwd": str(directory), "env": env, "rlimits": {}, "nice": 0, "sandboxed": False,
            "claimed_at": f"{message.id}/{message.tries}/{message.due}",
        }  # fmt: skip
        return steps.Step(
            Path(argv[0]).name, directory, self._marker, plan, directory / "output.log", self._config.timeout_seconds,
            stdin=message.json,
        )  # fmt: skip


def filled(argv: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """Words with their placeholders filled in. A word that is all placeholder never becomes an option: what others wrote
    and begins with a dash gets a blank before it."""
    words = [word.format_map(values) for word in argv]
    return [
        f" {now}" if word.startswith("{") and now.startswith("-") else now
        for word, now in zip(argv, words, strict=True)
    ]


def environment(config: SinkConfig, ours: Mapping[str, str]) -> dict[str, str]:
    """The allow-listed part of our environment, and what the configuration adds."""
    passed = {name: ours[name] for name in (*INHERITED, *config.pass_env) if name in ours}
    return passed | config.env


async def _forget_others(step: steps.Step) -> None:
    """What former messages have left, and a program of one that was overtaken: never two at once. Of this one's try it
    may say how it ended."""
    if step.directory.parent.is_dir():
        for each in list(step.directory.parent.iterdir()):
            if each != step.directory:
                if steps.began(each):
                    await steps.end(each, step.marker)
                shutil.rmtree(each, ignore_errors=True)


def marker_of(board: Board, sink: str) -> str:
    """What all processes of a sink carry."""
    return f"{board.board_id}:sink-{sink}"


async def end_unwanted(folder: Path, board: Board, sinks: Collection[str]) -> None:
    """End the programs of a former life that nobody waits for: a person has dismissed what they tell, or their sink is
    not among these any more. Before a sink has its turn: a sink's programs are known by what they all carry."""
    for directory, message in await asyncio.to_thread(_begun_in, folder):
        sink = directory.parent.name
        if sink not in sinks or not await board.read(deliveries.wanted, sink, message):
            await steps.end(directory, marker_of(board, sink))


def _begun_in(folder: Path) -> list[tuple[Path, str]]:
    """The directory of each run that was begun, and the message that it told."""
    found = ((each, steps.claimed_at(each).partition("/")[0]) for each in folder.glob("*/*"))
    return [(each, message) for each, message in found if message]
