"""`post`: a task, or a file of slots, put on the board by hand.

Reads what the person gave and says it by `orchestrator.roads`; what is allowed is decided by the board.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator.commands.frame import Call, command
from orchestrator.exits import OK, REFUSED, USAGE, Exit

if TYPE_CHECKING:
    from blackboard.board import Tx

PROJECT = click.option("--project", help="The project's id; without it the configuration's [slots] project.")


@command("post", short_help="Put a task on the board, or a file of slots.")
@click.argument("title", required=False)
@click.option(
    "--slots", "slots", type=click.Path(path_type=Path), help="Take in the slots of a .toml or .json FILE instead."
)
@click.option("--agent", help="Whose task it is, or ...")
@click.option("--role", help="... which role of the team may take it.")
@click.option("--description", default="", help="What is to be done; `-` reads it from stdin.")
@PROJECT
@click.option("--priority", type=click.IntRange(-1000, 1000), default=5, show_default=True, help="Higher goes first.")
@click.option("--type", "type", default="general", show_default=True, help="What kind of task it is.")
@click.option("--must", "musts", multiple=True, help="A required condition; may be given several times.")
@click.option(
    "--check", "commands", multiple=True, help="A command that must pass before the review; may be given several times."
)
@click.option("--check-path", "paths", multiple=True, help="A file that must be in the workspace then.")
@click.option("--check-seconds", type=float, help="The longest each --check may take; 300 without it.")
@click.option("--data", help="Anything more, as a JSON object.")
@click.option("--due", help="When: 2026-01-31T09:00, 09:00, or +10m (s, m, h, d).")
@click.option("--not-before", help="Not to be claimed earlier; written like --due.")
@click.option(
    "--needs",
    type=click.IntRange(min=1),
    multiple=True,
    help="A task that must be done first; may be given several times.",
)
@click.option("--parent", type=click.IntRange(min=1), help="The task this one is a child of.")
@click.option("--review", help="Who accepts the result: auto, human, agent:ID or role:NAME.")
@click.option("--max-tries", type=click.IntRange(1, 1000), help="Attempts before it has failed.")
@click.option("--wall-seconds", type=float, help="The longest an attempt may take.")
@click.option("--idle-seconds", type=float, help="The longest an attempt may be silent.")
@click.option("--startup-seconds", type=float, help="The longest until its first sign of life.")
def post(call: Call, title: str | None, slots: Path | None, project: str | None, **given: Any) -> None:
    """Put a task on the board: TITLE, and who is to do it (--agent or --role)."""
    if (title is None) == (slots is None):
        raise Exit("give a TITLE, or --slots FILE: exactly one of them", USAGE)
    if slots is not None:
        said = _post_slots(call, slots, project)
        call.screen.answer(said, _told(said))
        raise SystemExit(REFUSED if said["refused"] else OK)
    if title is not None:
        said = _post_task(call, project or str(call.settings.slots.project), {"title": title, **given})
        call.screen.answer(said, [f"task {said['task']} is {said['status']}", str(said.get("next", ""))])


def _post_task(call: Call, project: str, given: dict[str, Any]) -> dict[str, Any]:
    from pydantic import ValidationError

    from blackboard import forms, people
    from orchestrator import roads

    if (given["agent"] is None) == (given["role"] is None):
        raise Exit("say whose task it is: --agent or --role, exactly one of them", USAGE)
    body = _body(call, given)
    try:
        report = forms.TaskReport.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise Exit(f"--{'.'.join(map(str, first['loc'])).replace('_', '-')}: {first['msg']}", USAGE) from None
    policies = call.settings.policies()

    def direct(tx: Tx, token_hash: bytes) -> dict[str, Any]:
        return people.post_task(tx, token_hash, project, report, policies)

    return roads.write(call.settings, f"/api/projects/{project}/tasks", body, direct)


def _body(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    """The options as a report: only what was said."""
    from orchestrator.instants import instant

    zone = call.settings.slots.time_zone
    body = {
        name: value
        for name, value in given.items()
        if value is not None
        and name not in ("musts", "due", "not_before", "data", "commands", "paths", "check_seconds")
    }
    if body["description"] == "-":
        body["description"] = sys.stdin.read()
    body["needs"] = list(given["needs"])
    body["must_haves"] = "\n".join(given["musts"])
    body["checks"] = _checks(given["commands"], given["paths"], given["check_seconds"])
    if given["data"] is not None:
        body["data"] = _object(given["data"])
    for option, name in (("due", "due_at"), ("not_before", "not_before")):
        if given[option] is not None:
            body[name] = instant(given[option], zone, f"--{option.replace('_', '-')}")
    return body


def _checks(commands: tuple[str, ...], paths: tuple[str, ...], seconds: float | None) -> list[dict[str, Any]]:
    """The checks as a report has them: a command is one text for a shell, as it was typed."""
    if seconds is not None and not commands:
        raise Exit("--check-seconds is for commands: give a --check", USAGE)
    limit = {} if seconds is None else {"seconds": seconds}
    return [{"run": command} | limit for command in commands] + [{"path": path} for path in paths]


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Exit(f"--data: not JSON: {error}", USAGE) from None
    if not isinstance(value, dict):
        raise Exit('--data: a JSON object is wanted, e.g. {"ticket": 7}', USAGE)
    return value


def _post_slots(call: Call, file: Path, project: str | None) -> dict[str, Any]:
    from blackboard import people, slots
    from orchestrator import roads, slot_files

    settings = call.settings
    document = slot_files.read(file) | ({"project": project} if project else {})
    schedule = slots.read_schedule(
        document, source="cli", project=str(settings.slots.project), time_zone=settings.slots.time_zone, complete=False
    )
    body = {
        "source": schedule.source,
        "project": schedule.project,
        "time_zone": schedule.time_zone,
        "slots": [{**record, "agent": agent} for agent, record in schedule.slots],
    } | ({"date": schedule.day} if schedule.day else {})
    policies = settings.policies()

    def direct(tx: Tx, token_hash: bytes) -> dict[str, Any]:
        return people.post_slots(
            tx,
            token_hash,
            body,
            project=schedule.project,
            time_zone=schedule.time_zone,
            source="cli",
            policies=policies,
        )

    return roads.write(settings, "/api/slots", body, direct)


def _told(said: dict[str, Any]) -> list[str]:
    numbers = ", ".join(map(str, said["tasks"]))
    lines = [f"{said['added']} slots added, {said['changed']} changed; tasks: {numbers or 'none new'}"]
    return lines + [f"refused: {each['slot']}: {each['why']}" for each in said["refused"]]


COMMANDS = (post,)
