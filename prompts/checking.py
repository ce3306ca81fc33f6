"""Renders every template against the smallest and the largest brief, before anything is started.

Looks at what must hold for any prompt, whatever its words are. Changes nothing and starts nothing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import cast

from jinja2 import TemplateError

from prompts import samples
from prompts.needed import lacking
from prompts.render import ENVIRONMENT, PromptError, render

_BLOCK = re.compile(r"^(`{3,})(\w*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
_PATHS = {"curl_conf": "/state dir/attempts/1/curl.conf", "bb": "/state dir/attempts/1/bb", "workspace": "/work"}


def check() -> list[str]:
    """One sentence for each problem of the templates, none when all is well."""
    problems = [f"prompts/{name} cannot be read: {error}" for name, error in _unreadable()]
    small, large = samples.smallest(), samples.largest()
    for name, brief in {
        "smallest": small,
        "largest": large,
        "smallest review's": samples.for_review(small),
        "largest review's": samples.for_review(large, samples.UNFRIENDLY),
    }.items():
        values = cast(Mapping[str, object], brief)
        try:
            text = render(values, base_url="http://127.0.0.1:8083", tail="x" * 9_999, **_PATHS)
        except PromptError as error:
            problems.append(f"{error} (with the {name} brief)")
        else:
            found = faults(text, role=brief["role"], **_PATHS)
            problems += [f"prompts: the {name} brief gives a prompt {fault}" for fault in found]
            problems += _of_wake(values, name) if brief["role"] == "executor" else []
    return problems


def _of_wake(brief: Mapping[str, object], name: str) -> list[str]:
    try:
        text = render(brief, base_url="http://127.0.0.1:8083", tail=None, ack="WAKEUP_OK", **_PATHS)
    except PromptError as error:
        return [f"{error} (with the {name} brief)"]
    missing = lacking(text, reports=True, bb=_PATHS["bb"], curl_conf=_PATHS["curl_conf"], ack="WAKEUP_OK")
    return [f"prompts/wake.md.j2: {fault}" for fault in missing]


# What the commands of a prompt say with `bb`, and where they report to.
_WANTED = {
    "executor": (("start",), ("/status", "/outputs", "?expand=all")),
    "reviewer": (("heartbeat", "approve", "reject"), ("/status", "/comments", "?expand=all")),
}


def faults(text: str, *, bb: str, curl_conf: str, workspace: str, role: str = "executor") -> list[str]:
    """What is wrong with a rendered prompt, as ends of the sentence "a prompt …"."""
    commands = "".join(body for _, kind, body in _BLOCK.findall(text) if kind == "sh")
    words, addresses = _WANTED[role]
    wanted = [*(f"{shlex.quote(bb)} {word}" for word in words), f"--config {shlex.quote(curl_conf)}", *addresses]
    found = [f"whose commands never say {word}" for word in wanted if word not in commands]
    if samples.TOKEN in text:
        found.append("with a token in it")
    if not text.startswith("You are "):
        found.append("that does not begin with our own words")
    if workspace not in text:
        found.append("that never names the workspace")
    return found


def _unreadable() -> list[tuple[str, TemplateError]]:
    """The templates with a fault of syntax, whether a brief reaches them or not."""
    found = []
    for name in ENVIRONMENT.list_templates(extensions=["j2"]):
        try:
            ENVIRONMENT.get_template(name)
        except TemplateError as error:
            found.append((name, error))
    return found
