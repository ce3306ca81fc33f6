"""What only a person says: approve, reject, answer, cancel or reopen a task, run its checks again; that a run elsewhere is gone.

Each is one write by `orchestrator.roads`; what is allowed is decided by the board.
"""

from __future__ import annotations

import click

from orchestrator.commands.completing import tasks as task_numbers
from orchestrator.commands.frame import Call, command

TASK = click.argument("task", type=click.IntRange(min=1), shell_complete=task_numbers)


def decide(call: Call, task: int, verb: str, detail: str | None = None) -> None:
    """Say a verb and show what became of the task."""
    from orchestrator import roads

    said = roads.operate(call.settings, task, verb, detail)
    call.screen.answer(said, [said["next"]])


@command("approve", short_help="A review is good: the task is done.")
@TASK
def approve(call: Call, task: int) -> None:
    """A task in review is good: it is done."""
    decide(call, task, "approve")


@command("reject", short_help="A review is not good enough: do it again.")
@TASK
@click.argument("remark")
def reject(call: Call, task: int, remark: str) -> None:
    """A task in review is not good enough: it is done again, and REMARK is in the next prompt."""
    decide(call, task, "reject", remark)


@command("answer", short_help="Give a blocked task what it asked for.")
@TASK
@click.argument("text")
def answer(call: Call, task: int, text: str) -> None:
    """Give a blocked task what it asked for; TEXT is in the next prompt."""
    decide(call, task, "answer", text)


@command("cancel", short_help="Take a task away; a running agent is stopped.")
@TASK
@click.argument("reason", required=False)
def cancel(call: Call, task: int, reason: str | None) -> None:
    """Take a task and its children away; a running agent is stopped."""
    decide(call, task, "cancel", reason)


@command("reopen", short_help="Do a finished task once more.")
@TASK
@click.argument("reason", required=False)
def reopen(call: Call, task: int, reason: str | None) -> None:
    """Do a task once more that is done, failed or cancelled."""
    decide(call, task, "reopen", reason)


@command("recheck", short_help="Run the checks of a task in review again.")
@TASK
@click.argument("reason", required=False)
def recheck(call: Call, task: int, reason: str | None) -> None:
    """Run all checks of a task in review again: you have installed what was missing, or something has changed since.

    What had passed counts no more. A review that is yours because a check could not be run begins anew.
    """
    decide(call, task, "recheck", reason)


@command("gone", short_help="Say that a run which may go on elsewhere is over.")
@click.argument("attempt", type=click.IntRange(min=1))
@click.argument("why")
def gone(call: Call, attempt: int, why: str) -> None:
    """A run that may have gone on in a gateway is over, and WHY says how you know; its task goes on then.

    ATTEMPT is the number that `status` and `why` name. Kept with your name; a run that does go on would work beside
    the next one.
    """
    from orchestrator import roads

    said = roads.declare_gone(call.settings, attempt, why)
    call.screen.answer(said, [said["next"]])


COMMANDS = (approve, reject, answer, cancel, reopen, recheck, gone)
