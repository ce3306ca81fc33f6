"""`prompt`: what the next attempt of a task would be told, without claiming or starting anything."""

from __future__ import annotations

import click

from orchestrator.commands.completing import tasks as task_numbers
from orchestrator.commands.frame import Call, command
from orchestrator.exits import FAILED, Exit


@command("prompt", short_help="What the next attempt of a task would be told.")
@click.argument("task", type=click.IntRange(min=1), shell_complete=task_numbers)
def prompt(call: Call, task: int) -> None:
    """What the next attempt of a task would be told. Its paths are those of an attempt that does not exist yet."""
    from blackboard import briefs
    from orchestrator.workspaces import branch_at, place_of, planned
    from prompts.render import PromptError, compose

    settings = call.settings
    with call.board() as board:
        brief = briefs.preview(board, task)
        agent = settings.agents.get(brief["agent"])
        plan = planned(board, settings, brief, agent)
        workspace = place_of(plan, brief, agent)
        brief["branch"] = branch_at(board, plan, workspace)
    directory = settings.attempts_dir / "NEXT"
    try:
        made = compose(
            brief,
            base_url=settings.base_url(),
            curl_conf=str(directory / "curl.conf"),
            bb=str(directory / "bb"),
            workspace=str(workspace),
            tail=None,
            folder=settings.prompts.templates,
            ack=agent.ack if agent else None,
            reports=agent is None or agent.calls_back,
        )
    except PromptError as error:
        raise Exit(str(error), FAILED) from None
    value = {"task": task, "agent": brief["agent"], "attempt": brief["attempt"], "prompt": made.text}
    call.screen.answer(value | {"templates": [each._asdict() for each in made.sources]}, made.text.splitlines())


COMMANDS = (prompt,)
