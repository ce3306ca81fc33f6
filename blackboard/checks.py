"""What a task's check may be: a command that must end with exit code 0, or a file that must be there.

Pure: the form, its words, and how it is read again from a task's row. Never runs anything.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from blackboard.errors import Invalid

MOST = 20  # checks of one task
SECONDS = 300.0
SHELL = ("/bin/sh", "-c")

# Something that can be seen: the program of a check is not a blank.
SOMETHING = r"^[^\x00]*[^\x00-\x20][^\x00]*$"
TOLD = {"pattern": SOMETHING}  # in the document; a blank is refused below, with a better sentence
Word = Annotated[str, Field(max_length=32_768, pattern=r"^[^\x00]*$", json_schema_extra=TOLD)]
Program = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]+$", json_schema_extra=TOLD)]
INSIDE = r"^(?!/)(?!(?:[\s\S]*/)?\.\.(?:/|$))[^\x00]*[^\x00-\x20][^\x00]*$"  # told in the document; looked at below
Inside = Annotated[str, Field(min_length=1, max_length=4096, json_schema_extra={"pattern": INSIDE})]


def _one_of(**lacks: str) -> dict[str, Any]:
    """JSON schema for: exactly one of these is given, and then not what it lacks."""
    other = {name: next(each for each in lacks if each != name) for name in lacks}
    return {
        "oneOf": [
            {
                "required": [name],
                "not": {"properties": {name: {"type": "null"}}},
                "properties": {lack: False, other[name]: {"type": "null"}},
            }
            for name, lack in lacks.items()
        ]
    }


class Check(BaseModel):
    """One condition that is proved: `run`, a command, or `path`, a file of the workspace."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_one_of(run="min_bytes", path="seconds"))

    name: Annotated[
        Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[^\x00-\x1f]+$")] | None,
        Field(description="What people call it, on one line."),
    ] = None
    run: Annotated[
        Annotated[list[Word], Field(min_length=1, max_length=200)] | Program | None,
        Field(
            description="A program and its words, without a shell; or one text for `/bin/sh -c`. Exit code 0 passes."
        ),
    ] = None
    seconds: Annotated[float, Field(gt=0, le=86_400, description="The longest the command may take.")] = SECONDS
    path: Annotated[
        Inside | None, Field(description="A regular file that must be in the workspace, by its path there.")
    ] = None
    min_bytes: Annotated[int, Field(ge=0, le=2**40, description="The least that file must hold.")] = 1

    @model_validator(mode="after")
    def _one_thing(self) -> Check:
        if (self.run is None) == (self.path is None):
            raise ValueError("a check is a command or a file: give exactly one of run and path")
        if isinstance(self.run, list) and not re.search(r"[^\x00-\x20]", self.run[0]):
            raise ValueError("the first word of run is the program: it is empty")
        if isinstance(self.run, str) and not re.search(r"[^\x00-\x20]", self.run):
            raise ValueError("run is empty: give a command")
        if self.path is not None and not re.search(r"[^\x00-\x20]", self.path):
            raise ValueError("path is blank: name a file")
        if self.path is not None and ("\0" in self.path or self.path.startswith("/") or ".." in self.path.split("/")):
            raise ValueError(f"path {self.path!r} leads outside the workspace: name a file in it, without '..'")
        if self.path is not None and "seconds" in self.model_fields_set:
            raise ValueError("seconds is for a command: a file is looked at once")
        if self.run is not None and "min_bytes" in self.model_fields_set:
            raise ValueError("min_bytes is for a file: a command passes by its exit code")
        return self

    @property
    def argv(self) -> list[str]:
        """The words of the command; empty for a file."""
        if self.run is None:
            return []
        return [*SHELL, self.run] if isinstance(self.run, str) else self.run

    @property
    def command(self) -> str:
        """The command as a person would type it, whole; empty for a file."""
        if self.run is None:
            return ""
        return self.run if isinstance(self.run, str) else shlex.join(self.run)

    @property
    def title(self) -> str:
        """What it is called in a sentence: its name, else a short form of what it looks at."""
        shown = " ".join((self.name or self.path or self.command).split())
        return shown if len(shown) <= 80 else f"{shown[:79]}…"


Checks = Annotated[
    list[Check],
    Field(max_length=MOST, description="What proves it: commands that are run and files that must be there."),
]


def stored(checks: Sequence[Check]) -> str:
    """Checks as a task's row keeps them: what was said, and nothing that was not."""
    return json.dumps([check.model_dump(mode="json", exclude_unset=True, exclude_none=True) for check in checks])


def read(what: str) -> Check:
    """One check as a row has it; Invalid with a sentence, for an operator's SQL may have written it."""
    try:
        return Check.model_validate_json(what)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, fault["loc"])) or "the check"
        raise Invalid(f"{where}: {fault['msg']}") from None


def told(what: object) -> dict[str, Any]:
    """One entry of a task's checks for people and prompts: `title`, `command` or `path`, and their limits."""
    try:
        check = read(json.dumps(what))
    except Invalid as wrong:
        return {"title": "a check that cannot be read", "command": None, "path": None, "problem": wrong.sentence}
    return {
        "title": check.title, "command": check.command or None, "path": check.path, "problem": None,
        "seconds": check.seconds if check.run is not None else None,
        "min_bytes": check.min_bytes if check.path is not None else None,
    }  # fmt: skip
