"""A brief becomes the prompt of one attempt: one renderer, strict, sandboxed.

Values are never template source; a name a template does not find is an error, not an empty place. Writes nothing,
and never holds a token: the prompt names the file that has it.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from jinja2 import FileSystemLoader, PrefixLoader, StrictUndefined
from jinja2.loaders import ChoiceLoader
from jinja2.sandbox import ImmutableSandboxedEnvironment

from prompts.brief import Brief
from prompts.mistakes import sentence
from prompts.needed import lacking
from prompts.quoting import cut, fence, indent, one_line, redact
from prompts.shelf import HERE, OURS, Shelf, Source
from prompts.variables import values


class Prompt(NamedTuple):
    """A prompt, and the texts it was made from: its template first, then every part that is not ours."""

    text: str
    sources: list[Source]


class PromptError(ValueError):
    """A prompt could not be rendered: a fault of a template or of the brief, not of the agent."""


def duration(seconds: float) -> str:
    """Seconds in words: `90` → "1 minute 30 seconds", `0.5` → "0.5 seconds"."""
    if seconds < 60 or seconds != int(seconds):
        return _count(seconds, "second")
    parts, rest = [], int(seconds)
    for name, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        count, rest = divmod(rest, size)
        parts += [_count(count, name)] if count else []
    return " ".join(parts)


def _count(number: float, name: str) -> str:
    return f"{number:g} {name}" + ("" if number == 1 else "s")


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=ChoiceLoader([FileSystemLoader(HERE), PrefixLoader({OURS: FileSystemLoader(HERE)})]),
        undefined=StrictUndefined,
        autoescape=False,  # a prompt is not HTML; text of others is fenced instead
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        {"data": fence, "one_line": one_line, "cut": cut, "indented": indent, "sh": shlex.quote, "json": _json}
        | {"duration": duration}
    )
    return environment


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)


ENVIRONMENT = _environment()


def render(brief: Mapping[str, object], **given: Any) -> str:
    """The text of `compose` alone."""
    return compose(brief, **given).text


def compose(
    brief: Mapping[str, object],
    *,
    base_url: str,
    curl_conf: str,
    bb: str,
    workspace: str,
    tail: str | None,
    folder: Path | None = None,
    ack: str | None = None,
    reports: bool = True,
) -> Prompt:
    """The prompt of an attempt.

    `brief` as in prompts/brief.py; `curl_conf`, `bb` and `workspace` are absolute paths; `tail` is the end of what
    the attempt before printed, None without one; `folder` holds the operator's templates; `ack` is what an agent
    answers that is only woken, None for one that is told all; `reports` says whether it must be told how to report.
    Raises PromptError.
    """
    role = brief.get("role", "executor")
    beat = cast(Brief, brief).get("heartbeat") if role == "executor" else None
    ack = ack if role == "executor" and beat is None else None
    name = "heartbeat.md.j2" if beat else f"{role}.md.j2" if ack is None else "wake.md.j2"
    shelf = Shelf(folder, str(brief.get("agent", "")), str(brief.get("project", "")))
    environment = ENVIRONMENT if folder is None else ENVIRONMENT.overlay(loader=shelf)
    paths = {"base_url": base_url, "curl_conf": curl_conf, "bb": bb, "workspace": workspace}
    try:
        told = values(cast(Brief, brief), **paths, tail=tail, ack=ack or "")
        text = redact(environment.get_template(name).render(told))
    except Exception as error:  # an operator's template may divide by zero; whatever it is, it is told and not hidden
        raise PromptError(sentence(error, name)) from error
    sources = [each for n, each in enumerate(shelf.used or [_ours(name)]) if n == 0 or each.source != OURS]
    changed = next((each.source for each in sources if each.source != OURS), None)
    if folder is not None and changed is not None:
        for fault in lacking(text, reports=reports, bb=bb, curl_conf=curl_conf, ack=beat["ack_word"] if beat else ack):
            raise PromptError(f"{folder / changed}: {fault}")
    return Prompt(text, sources)


def _ours(name: str) -> Source:
    return Source(name, OURS, hashlib.sha256((HERE / name).read_bytes()).hexdigest())
