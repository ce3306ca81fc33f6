"""A brief becomes the prompt of one attempt: one renderer, strict, sandboxed.

Values are never template source; a name a template does not find is an error, not an empty place. Writes nothing,
and never holds a token: the prompt names the file that has it.
"""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import cast
from urllib.parse import quote

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from blackboard import states
from prompts.brief import Brief
from prompts.history import retold
from prompts.quoting import cut, fence, indent, one_line, redact

TEMPLATES = Path(__file__).parent
LONGEST = {"description": 100_000, "must_haves": 20_000, "data": 8_000}  # characters
# What a slot's event_data says of the task itself or of its policy: told in its own place, or nothing to the agent.
NOT_MORE = frozenset(
    [
        "title",
        "description",
        "must_haves",
        "type",
        "project",
        "review",
        "max_tries",
        "backoff_seconds",
        "backoff_cap_seconds",
        "wall_seconds",
        "idle_seconds",
        "startup_seconds",
        "settle_seconds",
        "max_rejections",
        "needs_output",
        "waits_for_children",
    ]
)


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
        loader=FileSystemLoader(TEMPLATES),
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


def render(
    brief: Mapping[str, object], *, base_url: str, curl_conf: str, bb: str, workspace: str, tail: str | None
) -> str:
    """The prompt of an executor's attempt.

    `brief` as in prompts/brief.py; `curl_conf`, `bb` and `workspace` are absolute paths; `tail` is the end of what
    the attempt before printed, None without one. Raises PromptError.
    """
    known = cast(Brief, brief)
    template = f"{brief.get('role', 'executor')}.md.j2"
    try:
        task = known["task"]
        url = f"{base_url.rstrip('/')}/api/projects/{quote(known['project'])}/tasks/{task['id']}"
        text = ENVIRONMENT.get_template(template).render(
            brief,
            url=url,
            curl=f"curl --config {shlex.quote(curl_conf)}",
            bb=shlex.quote(bb),
            workspace=workspace,
            more={key: value for key, value in task["data"].items() if key not in NOT_MORE},
            end=f"END_{secrets.token_hex(8)}",  # nobody who wrote a text could know it, so no text can contain it
            drawing=states.drawing(task["status"]),
            output_types=states.OUTPUT_TYPES,
            blocked_kinds=states.BLOCKED_KINDS,
            longest=LONGEST,
            retold=retold(known["history"], tail),
        )
    except (TemplateError, KeyError, TypeError, AttributeError) as error:
        raise PromptError(f"{template}: {type(error).__name__}: {error}") from error
    return redact(text)
