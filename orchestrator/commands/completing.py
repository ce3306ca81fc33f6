"""Completion of the command line in a shell: the script to install, and names taken from the board.

A board that cannot be read completes nothing, and is no error: a person is in the middle of typing.
"""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ZshComplete

from orchestrator.commands.frame import Call, Flags, command

KINDS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
MOST = 50
RECENT_TASKS = 1000  # the newest: a long history is not looked through at a keystroke

AGENT_NAMES = "SELECT id AS name, runner AS about FROM agents ORDER BY id"
ACCOUNT_NAMES = "SELECT id AS name, coalesce(limit_reason, '') AS about FROM accounts ORDER BY id"
PROJECT_NAMES = "SELECT id AS name, title AS about FROM projects ORDER BY id"
TASK_NUMBERS = f"""
SELECT id AS name, status || ' ' || title AS about FROM tasks WHERE id > (SELECT max(id) FROM tasks) - {RECENT_TASKS}
 ORDER BY status IN ('done', 'failed', 'cancelled'), id DESC
"""  # noqa: S608 - our own constants

Items = list[CompletionItem]


def _flags(context: click.Context) -> Flags:
    above = context.find_root().params
    return Flags(*(context.params.get(name) or above.get(name) for name in ("config", "board")))


def _from_board(context: click.Context, sql: str, begun: str) -> Items:
    from blackboard.errors import BlackboardError
    from orchestrator.exits import Exit

    try:
        with Call(_flags(context), as_json=False).board() as board:
            rows = board.all(sql)
    except (BlackboardError, Exit, OSError):
        return []
    found = [(str(row["name"]), " ".join(str(row["about"]).split())[:60]) for row in rows]
    return [CompletionItem(name, help=about) for name, about in found if name.startswith(begun)][:MOST]


def agents(context: click.Context, _parameter: click.Parameter, begun: str) -> Items:
    """Agents of the board."""
    return _from_board(context, AGENT_NAMES, begun)


def accounts(context: click.Context, _parameter: click.Parameter, begun: str) -> Items:
    """Accounts of the board."""
    return _from_board(context, ACCOUNT_NAMES, begun)


def projects(context: click.Context, _parameter: click.Parameter, begun: str) -> Items:
    """Projects of the board."""
    return _from_board(context, PROJECT_NAMES, begun)


def sinks(context: click.Context, _parameter: click.Parameter, begun: str) -> Items:
    """Sinks of the configuration."""
    from blackboard.errors import BlackboardError
    from orchestrator.exits import Exit

    try:
        found = Call(_flags(context), as_json=False).settings.sinks
    except (BlackboardError, Exit, OSError):
        return []
    return [CompletionItem(name, help=sink.type) for name, sink in found.items() if name.startswith(begun)][:MOST]


def tasks(context: click.Context, _parameter: click.Parameter, begun: str) -> Items:
    """Tasks of the board, open ones first, the newest first."""
    return _from_board(context, TASK_NUMBERS, begun)


@command("completion", short_help="The script that completes commands in your shell.")
@click.argument("shell", type=click.Choice(list(KINDS)))
def completion(call: Call, shell: str) -> None:
    """Print the script that makes SHELL complete commands, options, agents, projects and tasks.

    \b
    bash  echo 'eval "$(orchestrator completion bash)"' >>~/.bashrc
    zsh   echo 'eval "$(orchestrator completion zsh)"' >>~/.zshrc
    fish  echo 'orchestrator completion fish | source' >>~/.config/fish/config.fish
    """
    root = click.get_current_context().find_root().command
    script = KINDS[shell](root, {}, "orchestrator", "_ORCHESTRATOR_COMPLETE").source()
    call.screen.answer({"shell": shell, "script": script}, script.splitlines())


COMMANDS = (completion,)
