"""Which way a sink of the configuration is. Another type is a row of `_WAYS` and a module of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from blackboard.board import Board
from orchestrator.config import Settings
from orchestrator.config_sinks import SinkConfig, Type, folder_of
from orchestrator.sinks.commands import CommandWay
from orchestrator.sinks.files import FileWay
from orchestrator.sinks.openclaw import OpenclawWay
from orchestrator.sinks.tasks import TaskWay
from orchestrator.sinks.way import Way
from orchestrator.sinks.webhooks import WebhookWay

Made = Callable[[str, SinkConfig, Board, Settings], Way]


def _task(_name: str, config: SinkConfig, board: Board, settings: Settings) -> Way:
    return TaskWay(config, board, settings)


def _file(_name: str, config: SinkConfig, _board: Board, _settings: Settings) -> Way:
    return FileWay(config.folder or Path())


def _command(name: str, config: SinkConfig, board: Board, settings: Settings) -> Way:
    return CommandWay(name, config, board, folder_of(settings.state_dir) / name)


def _openclaw(name: str, config: SinkConfig, board: Board, settings: Settings) -> Way:
    return OpenclawWay(name, config, board, folder_of(settings.state_dir) / name)


def _webhook(_name: str, config: SinkConfig, board: Board, _settings: Settings) -> Way:
    return WebhookWay(config, board)


_WAYS: Mapping[Type, Made] = {
    "task": _task, "file": _file, "command": _command, "openclaw": _openclaw, "webhook": _webhook,
}  # fmt: skip


def way_of(name: str, config: SinkConfig, board: Board, settings: Settings) -> Way:
    """The way of a sink."""
    return _WAYS[config.type](name, config, board, settings)
