"""`init` makes what a new orchestrator needs, `check` looks at it before anything starts, `config` shows it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from orchestrator.commands.frame import Call, command
from orchestrator.exits import NOT_FOUND, OK, Exit


@command("init", short_help="Make a configuration, a board and the operator's token.")
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--demo", is_flag=True, help="A board to watch, with built-in agents.")
@click.option("--fresh", is_flag=True, help="Move what is there into DIR/before-TIME first.")
def init(call: Call, folder: Path, demo: bool, fresh: bool) -> None:
    """Make a commented orchestrator.toml, the board and the operator's token in DIR. Overwrites nothing."""
    from orchestrator import beginning
    from orchestrator.config_loading import FILE_NAME, load

    folder = folder.absolute()
    file = folder / FILE_NAME
    if fresh and file.exists():
        aside = beginning.set_aside(folder, load(file, flags=call.flags.values))
        call.screen.line(f"moved what was there to {aside}" if aside else "there was nothing to move aside")
    if demo:
        from orchestrator.demo.board import write_demo

        existed = file.exists()
        write_demo(folder)
        made = [beginning.Made("config", file, not existed)]
    else:
        made = [beginning.config_written(file)]
    made += beginning.board_made(load(file, flags=call.flags.values))
    value = {each.what: {"path": str(each.path), "new": each.new} for each in made}
    lines = [f"{each.what:8}{each.path}{'' if each.new else '   (was there, left as it is)'}" for each in made]
    call.screen.answer(value, [*lines, "", *_next(folder)])


def _next(folder: Path) -> list[str]:
    from orchestrator.spoken import in_folder

    return [f"next: {in_folder(folder)} check", f"then: {in_folder(folder)} run"]


@command("check", short_help="Look at everything `run` needs, without starting anything.")
@click.option("--settings", "show", is_flag=True, help="Show the settings in force too, secrets masked.")
def check(call: Call, show: bool) -> None:
    """Look at the configuration, templates, slot files, programs, versions, folders and permissions."""
    from orchestrator import preflight

    findings = list(preflight.all_findings(call.settings))
    shown = call.settings.shown()
    value = {"findings": [finding._asdict() for finding in findings], "settings": shown}
    if call.as_json:
        call.screen.answer(value, ())
    else:
        for finding in findings:
            call.screen.line(f"{finding.level:5}{finding.what:16} {finding.sentence}", _style(finding.level))
        if show:
            _show_settings(call, shown)
    raise SystemExit(next((finding.code for finding in findings if finding.level == "fail"), OK))


def _style(level: str) -> str:
    from orchestrator.screen import STYLES

    return "" if level == "ok" else STYLES[level]


def _show_settings(call: Call, value: object, path: str = "") -> None:
    """Each setting on its line, by its full name."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            _show_settings(call, below, f"{path}.{key}" if path else key)
    else:
        call.screen.line(f"{path} = {value}")


@command("config", short_help="Every setting in force, and where it came from.")
@click.argument("keys", metavar="[KEY]...", nargs=-1)
def config(call: Call, keys: tuple[str, ...]) -> None:
    """Every setting in force with its origin: the default, a line of the file, a variable or a flag.

    KEY narrows it: `config api.port`, or a whole table, `config agents.writer`. Secrets are masked.
    """
    from orchestrator.config_origins import effective

    found = effective(call.settings.shown(), call.settings.layers)
    for key in keys:
        if not any(_is_of(each.key, key) for each in found):
            raise Exit(f"there is no setting {key}: `config` without a KEY shows them all", NOT_FOUND)
    wanted = [each for each in found if not keys or any(_is_of(each.key, key) for key in keys)]
    rows: list[dict[str, Any]] = [each._asdict() for each in wanted]
    if not call.as_json:
        rows = [row | {"value": _in_words(row["value"])} for row in rows]
    call.screen.table(rows, {"key": "key", "value": "value", "origin": "origin"}, empty="there are no settings")


def _is_of(key: str, asked: str) -> bool:
    return key == asked or key.startswith(f"{asked}.")


def _in_words(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


COMMANDS = (init, check, config)
