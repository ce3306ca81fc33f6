"""pause, resume, drain: what claims nothing new, and waiting until nothing of it lives.

Pausing is one write by `orchestrator.roads`; a drain reads the file until the last attempt is proved gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from orchestrator import exits
from orchestrator.commands.completing import accounts as account_names
from orchestrator.commands.completing import agents as agent_names
from orchestrator.commands.completing import projects as project_names
from orchestrator.commands.frame import Call, command

if TYPE_CHECKING:
    from blackboard.pauses import Target

LOOK_SECONDS = 0.2


def targeted(fn: Callable[..., None]) -> Callable[..., None]:
    """Add what names the target, and the reason."""
    fn = click.argument("reason", required=False)(fn)
    fn = click.option("--all", "everything", is_flag=True, help="Everything: no agent claims anything.")(fn)
    fn = click.option("--project", help="A project.", shell_complete=project_names)(fn)
    fn = click.option("--account", help="An account.", shell_complete=account_names)(fn)
    return click.option("--agent", help="An agent.", shell_complete=agent_names)(fn)


def _target(agent: str | None, account: str | None, project: str | None, everything: bool) -> Target:
    from blackboard.pauses import EVERYTHING, Target

    if (agent is not None) + (account is not None) + (project is not None) + everything != 1:
        raise exits.Exit(
            "say what: --agent NAME, --account NAME, --project NAME or --all, exactly one of them", exits.USAGE
        )
    if agent is not None:
        return Target("agent", agent)
    if account is not None:
        return Target("account", account)
    return Target("project", project) if project is not None else EVERYTHING


def _switch(call: Call, target: Target, verb: str, reason: str | None) -> dict[str, Any]:
    """Say it, once the target is known to be there: a name that is none would make a path that is none."""
    from blackboard import pauses
    from orchestrator import roads

    with call.board() as board:
        pauses.state(board, target)
    return roads.switch(call.settings, target, verb, reason)


@command("pause", short_help="Claim nothing new for an agent, an account, a project or everything.")
@targeted
def pause(
    call: Call, agent: str | None, account: str | None, project: str | None, everything: bool, reason: str | None
) -> None:
    """Claim nothing new for an agent, an account, a project or everything; what runs goes on.

    REASON is shown while it lasts. An account is what several agents draw on together.
    """
    said = _switch(call, _target(agent, account, project, everything), "pause", reason)
    call.screen.answer(said, [said["next"]])


@command("resume", short_help="Undo a pause.")
@targeted
def resume(
    call: Call, agent: str | None, account: str | None, project: str | None, everything: bool, reason: str | None
) -> None:
    """Undo a pause: claim again for an agent, an account, a project or everything.

    Of an account the limit of its provider is lifted too: one attempt goes first, the others wait for its sign of life.
    """
    said = _switch(call, _target(agent, account, project, everything), "resume", reason)
    call.screen.answer(said, [said["next"]])


@command("drain", short_help="Pause, and wait until nothing of it lives.")
@targeted
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Wait no longer than this; exit 75.")
def drain(
    call: Call, agent: str | None, account: str | None, project: str | None, everything: bool, reason: str | None,
    timeout: float | None,
) -> None:  # fmt: skip
    """Pause an agent, an account, a project or everything, and wait until none of its attempts lives. It stays paused after.

    Ends with 0 when nothing lives, 75 when the time is over, 130 on Ctrl-C. With --json one line a change.
    """
    target = _target(agent, account, project, everything)
    said = _switch(call, target, "pause", reason)
    if not call.as_json:
        call.screen.line(said["next"])
    try:
        _wait(call, target, timeout)
    except KeyboardInterrupt:
        raise exits.Exit(f"stopped waiting; {_stays(target)}", exits.INTERRUPTED) from None
    call.screen.stream({"live": [], "drained": True}, f"nothing of {target} lives any more; {_stays(target)}")


def _stays(target: Target) -> str:
    return f"{target} stays paused: orchestrator resume {target.option}"


def _wait(call: Call, target: Target, timeout: float | None) -> None:
    """Until no attempt of the target lives, telling each change; Exit 75 when the time is over."""
    from blackboard import pauses

    until = None if timeout is None else time.monotonic() + timeout
    told: list[int] = []
    with call.board() as board:
        while live := [dict(row) for row in pauses.living(board, target)]:
            if told != (told := [row["attempt_id"] for row in live]):
                _tell(call, live)
            if until is not None and time.monotonic() >= until:
                raise exits.Exit(
                    f"{len(live)} attempts still live after {timeout:g} s; {_stays(target)}", exits.TRY_AGAIN
                )
            time.sleep(LOOK_SECONDS)


def _tell(call: Call, live: Sequence[dict[str, Any]]) -> None:
    from blackboard.lock import holder

    names = ", ".join(f"task {row['task_id']} ({row['agent']}, attempt {row['number']})" for row in live)
    alone = (
        "" if (holder(call.settings.board) or {}).get("url") else "; no daemon runs to see them end: orchestrator run"
    )
    call.screen.stream({"live": live, "drained": False}, f"waits for {len(live)}: {names}{alone}")


COMMANDS = (pause, resume, drain)
