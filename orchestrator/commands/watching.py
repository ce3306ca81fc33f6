"""`events` and `logs`: what happened, and what an agent printed, as it comes.

Both end cleanly on Ctrl-C. Following asks the daemon that holds the board, or reads the file: see `following`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands.completing import tasks as task_numbers
from orchestrator.commands.frame import Call, command

if TYPE_CHECKING:
    from blackboard.board import ReadOnly

PAGE = 500


@command("events", short_help="What happened, oldest first.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@click.option("--after", type=click.IntRange(min=0), help="Only events after this id; without it the latest 50.")
@click.option("--task", type=click.IntRange(min=1), help="Only events of this task.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.")
def events(call: Call, follow: bool, after: int | None, task: int | None, limit: int | None) -> None:
    """What happened, oldest first. In JSON one event a line."""
    from orchestrator import narration

    shown, titles = 0, narration.Titles(call.settings.board)
    with call.board() as board, suppress(KeyboardInterrupt):
        if task is not None:
            _must_exist(board, task)
        after = _latest(board, task, limit or 50) if after is None else after
        for event in _following(call, board, after, task) if follow else _pages(board, after, task):
            line = _line(event, "" if call.as_json else titles.of(event["task_id"]))
            call.screen.stream(narration.as_value(event), line, narration.style_of(event))
            shown += 1
            if limit is not None and shown == limit:
                break
    if not shown and not follow:
        call.screen.line("nothing has happened yet" if not after else "nothing happened after that")


def _line(event: dict[str, Any], title: str) -> str:
    from orchestrator import narration

    return f"{event['id']:>6} {str(event['at'])[:10]} {narration.as_line(event, title)}"


def _must_exist(board: ReadOnly, task: int) -> None:
    from blackboard import questions

    questions.task(board, task)


LATEST = """
SELECT min(id) AS id FROM (SELECT id FROM events WHERE :task IS NULL OR task_id = :task ORDER BY id DESC LIMIT :most)
"""


def _latest(board: ReadOnly, task: int | None, most: int) -> int:
    """The id before the latest events."""
    row = board.one(LATEST, task=task, most=most)
    return int(row["id"]) - 1 if row and row["id"] is not None else 0


def _pages(board: ReadOnly, after: int, task: int | None) -> Iterator[dict[str, Any]]:
    from blackboard import questions

    while page := questions.events(board, after, PAGE, task):
        after = int(page[-1]["id"])
        yield from page


def _following(call: Call, board: ReadOnly, after: int, task: int | None) -> Iterator[dict[str, Any]]:
    from orchestrator.following import Following

    return Following(call.settings, board, after, task, _aside).events()


def _aside(sentence: str) -> None:
    """A sentence for a person, out of the way of the answer."""
    click.echo(f"orchestrator: {sentence}", err=True)


@command("logs", short_help="What the agent of a task printed.")
@click.argument("task", type=click.IntRange(min=1), shell_complete=task_numbers)
@click.option("--attempt", type=click.IntRange(min=1), help="The attempt's number; without it the latest.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the attempt is gone, or Ctrl-C.")
@click.option("--stderr", is_flag=True, help="What it printed to stderr instead of stdout.")
def logs(call: Call, task: int, attempt: int | None, follow: bool, stderr: bool) -> None:
    """What the agent of a task printed, with tokens masked. In JSON one line a line."""
    from orchestrator import logfile

    with call.board() as board, suppress(KeyboardInterrupt):
        _must_exist(board, task)
        found = logfile.attempt(board, task, attempt)
        file = logfile.path(call.settings.attempts_dir, found, stderr)
        call.screen.line(f"# attempt {found['number']} by {found['agent_id']}: {file}")
        value = {"task": task, "attempt": found["number"], "stream": "stderr" if stderr else "stdout"}
        for line in logfile.lines(file, (lambda: logfile.is_live(board, found)) if follow else lambda: False):
            call.screen.stream(value | {"line": line}, line)


COMMANDS = (events, logs)
