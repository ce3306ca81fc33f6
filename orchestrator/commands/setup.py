"""`init` makes what a new orchestrator needs, `check` looks at it before anything starts."""

from __future__ import annotations

from pathlib import Path

import click

from orchestrator.commands.frame import Call, command
from orchestrator.exits import OK


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


COMMANDS = (init, check)
