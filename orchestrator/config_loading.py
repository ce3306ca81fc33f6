"""Reading the configuration: which file, in which order of precedence, and one sentence for each problem.

Order: flags, environment, one file, defaults. Never guesses: an unknown key is refused with its path.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource

from orchestrator.config import Settings
from orchestrator.config_environment import CONFIG_VARIABLE, Tree, names_in, tree, variable_of
from orchestrator.config_origins import Layers
from orchestrator.config_paths import anchored
from orchestrator.exits import USAGE, Exit

FILE_NAME = "orchestrator.toml"


class ConfigError(Exit):
    """The configuration cannot be used; `problems` holds one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems), USAGE)
        self.problems = problems


def load(
    config: Path | None = None,
    *,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Settings:
    """The settings in force. `config`: the file a person named; `flags`: values that win over everything."""
    environ, here = os.environ if environ is None else environ, cwd or Path.cwd()
    file = find(config, environ, here)
    text = _text(file) if file else ""
    from_file = anchored(_parsed(file, text), file.parent) if file else {}
    agents = names_in(from_file)
    base = {"board": (file.parent if file else here) / "board.db"}
    said, variables = anchored(dict(flags or {}), here), anchored(tree(environ, agents), here)
    try:
        settings = _layered([said, variables, from_file, base])
    except ValidationError as error:
        raise ConfigError(_sentences(error, file, environ, agents)) from None
    settings._layers = Layers(said, variables, environ, from_file, file, text)
    return settings


def find(config: Path | None, environ: Mapping[str, str], here: Path) -> Path | None:
    """The one file that is read: the named one, that of this folder, that of this user, or none."""
    named = config or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    if named is not None:
        return here / named.expanduser()
    home = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home(), ".config")
    candidates = (here / FILE_NAME, Path(home, "orchestrator", "config.toml"))
    return next((path for path in candidates if path.is_file()), None)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{file}: is not UTF-8 (byte {error.start}): save it as UTF-8"]) from None


def _parsed(file: Path, text: str) -> Tree:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{file}: is not valid TOML: {error}"]) from None


def _layered(layers: list[Tree]) -> Settings:
    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, layer) for layer in layers)

    return Layered()


def _sentences(
    error: ValidationError, file: Path | None, environ: Mapping[str, str], agents: tuple[str, ...]
) -> list[str]:
    """One for each problem, but none for a default that waits for another key to be well."""
    found = [each for each in error.errors() if each["type"] != "default_factory_not_called"]
    return [_sentence(each, file, environ, agents) for each in found]


def _sentence(error: ErrorDetails, file: Path | None, environ: Mapping[str, str], agents: tuple[str, ...]) -> str:
    loc = tuple(str(part) for part in error["loc"] if part != "[key]")
    variable = variable_of(environ, agents, loc)
    where = f"environment ({variable})" if variable else str(file or "flags")
    if error["type"] == "value_error" and file is not None and variable and len(loc) < variable.count("__") + 1:
        where = f"{file} or {where}"  # a whole table contradicts itself: either may be to blame
    return f"{where}: {'.'.join(loc) or 'settings'}: {_reason(error, loc)}"


# What pydantic says in Python's words, in the words of the file.
_IN_TOML = {"a valid tuple": 'a list, like ["a", "b"]', "a valid dictionary": "a table"}


def _reason(error: ErrorDetails, loc: tuple[str, ...]) -> str:
    if error["type"] == "extra_forbidden":
        known = _siblings(loc)
        close = difflib.get_close_matches(loc[-1], known, n=1)
        return f"unknown key; did you mean {close[0]}?" if close else f"unknown key; known are {', '.join(known)}"
    if error["type"] == "string_pattern_mismatch" and loc[-1] == "public_base_url":
        return "is an address like https://board.example.org"
    if error["type"] == "string_pattern_mismatch" and loc[-1] == "wake_ack":
        return "is one word of at most 100 visible ASCII characters, like WAKEUP_OK"
    if error["type"] == "string_pattern_mismatch":
        return "is made of letters, digits, '.', '_' and '-', at most 64, and begins with a letter or digit"
    if error["type"] in ("float_parsing", "float_type") and loc[-1].endswith("_seconds"):
        return f"is a number of seconds, like 90, and not {error['input']!r}"
    if error["type"] in ("model_type", "model_attributes_type"):
        return "input should be a table"
    message = error["msg"].removeprefix("Value error, ")
    for ours, toml in _IN_TOML.items():
        message = message.replace(ours, toml)
    return message[:1].lower() + message[1:] if error["type"] != "value_error" else message


def _siblings(loc: tuple[str, ...]) -> list[str]:
    """The keys that would have been known where an unknown one stood."""
    table: Any = Settings
    for part in loc[:-1]:
        table = table.model_fields[part].annotation if _is_table(table) else get_args(table)[get_origin(table) is dict]
    return sorted(table.model_fields)


def _is_table(kind: Any) -> bool:
    """Whether it is a table with keys that we know, not one of names or a list of tables."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)
