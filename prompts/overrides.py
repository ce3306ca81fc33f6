"""Looks at an operator's folder of templates before anything is started: is every file somebody's, does each render?

Changes nothing and starts nothing. What it finds here would end an attempt as `prompt_failed` later.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from jinja2 import TemplateSyntaxError, meta, nodes

from prompts import samples
from prompts.mistakes import sentence
from prompts.render import ENVIRONMENT, PromptError, compose
from prompts.shelf import OURS, SUFFIX, names, read
from prompts.variables import NAMES

_PATHS = {"curl_conf": "/state dir/attempts/1/curl.conf", "bb": "/state dir/attempts/1/bb", "workspace": "/work"}
_ADDRESS = "http://127.0.0.1:8083"
_KINDS = ("agents", "projects")
_KINDS_OF_PROMPT = (("executor", None), ("reviewer", None), ("heartbeat", None), ("executor", "WAKEUP_OK"))


class Reader(NamedTuple):
    """What an agent must find in a prompt. `reports`: it calls back; `ack`: as in `compose`."""

    reports: bool = True
    ack: str | None = None


def check_folder(folder: Path, agents: Mapping[str, Reader], projects: Collection[str]) -> list[str]:
    """One sentence for each problem of the folder, none when every prompt made from it is well."""
    if not folder.is_dir():
        return [f"{folder} is not a folder: make it, or take prompts.templates out of the configuration"]
    known = {"agents": agents.keys(), "projects": frozenset(projects)}
    files = sorted(_files(folder))
    problems = [found for file in files for found in _nobodys(folder, file, known)]
    problems += [found for file in files if file.endswith(SUFFIX) for found in _static(folder, file)]
    return problems or list(dict.fromkeys(_rendered(folder, files, agents)))


def _files(folder: Path) -> Iterator[str]:
    """Every file by its path below the folder. Names that begin with a dot are left to editors and to git."""
    for place, below, found in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        inside = [name for name in below if Path(place, name).is_symlink()]  # os.walk does not go into these
        yield from (
            str(Path(place, name).relative_to(folder)) for name in [*found, *inside] if not name.startswith(".")
        )


def _nobodys(folder: Path, file: str, known: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Why no attempt would ever use a file."""
    *above, name = file.split("/")
    where = folder / file
    if not (above == [] or (len(above) == 2 and above[0] in _KINDS)):
        yield f"{where}: no template is looked for there: put it in {folder}, agents/NAME/ or projects/NAME/"
    elif above and above[1] not in known[above[0]]:
        one = above[0].removesuffix("s")
        told = ", ".join(sorted(known[above[0]])) or "none"
        yield f"{where}: there is no {one} {above[1]} (known: {told}): rename the folder, or add it to the configuration"
    elif name not in names():
        yield f"{where}: there is no template of this name: known are {', '.join(names())}"


def _static(folder: Path, file: str) -> Iterator[str]:
    """What can be seen without values: syntax, names nobody knows, templates that are not there."""
    name = Path(file).name
    try:
        text = read(folder, file)
        tree = ENVIRONMENT.parse(text, name, str(folder / file))
        ENVIRONMENT.compile(tree, name, str(folder / file))  # filters and tests that do not exist
    except TemplateSyntaxError as error:
        yield sentence(error, name)
        return
    set_here = {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}
    for unknown in sorted(meta.find_undeclared_variables(tree) - NAMES - set_here):
        lines = [node.lineno for node in tree.find_all(nodes.Name) if node.name == unknown]
        yield f"{folder / file}, line {min(lines)}: nobody knows {unknown!r}; docs/templates.md lists the variables"
    for wanted in meta.find_referenced_templates(tree):
        if wanted is None or wanted.removeprefix(f"{OURS}/") not in names():
            line = next(iter(re.findall(r"\A(?:.*\n)*?.*?" + re.escape(wanted or "include"), text)), "").count("\n") + 1
            told = repr(wanted) if wanted else "a name that is only known later"
            yield f"{folder / file}, line {line}: {told} cannot be included: known are {', '.join(names())}"


class _Scope(NamedTuple):
    """Prompts that are made from the same files. None: any agent, any project, without files of its own."""

    agent: str | None
    project: str | None
    reader: Reader


def _scopes(files: Collection[str], agents: Mapping[str, Reader]) -> Iterator[_Scope]:
    mine = {kind: sorted({file.split("/")[1] for file in files if file.startswith(f"{kind}/")}) for kind in _KINDS}
    if not files:
        return
    any_reports = not agents or any(reader.reports for reader in agents.values())
    for agent in (None, *mine["agents"]):
        for project in (None, *mine["projects"]):
            yield _Scope(agent, project, agents[agent] if agent else Reader(any_reports, None))


def _rendered(folder: Path, files: Collection[str], agents: Mapping[str, Reader]) -> Iterator[str]:
    """What is wrong with the prompts themselves, made from made-up tasks: the smallest and the largest."""
    for scope in _scopes(files, agents):
        for role, ack in _KINDS_OF_PROMPT:
            if f"{role}{SUFFIX}" in names():
                yield from _faults(folder, scope, role, (scope.reader.ack or ack) if ack else None)


def _faults(folder: Path, scope: _Scope, role: str, ack: str | None) -> Iterator[str]:
    for brief in (samples.smallest(), samples.largest()):
        made = {"reviewer": samples.for_review, "heartbeat": samples.for_heartbeat}.get(role)
        told = cast(dict[str, Any], made(brief) if made else brief)
        about = told | {"agent": scope.agent or "-", "project": scope.project or "-"}  # no name of a folder
        try:
            compose(
                about, base_url=_ADDRESS, tail="x" * 9_999, folder=folder, ack=ack, reports=scope.reader.reports, **_PATHS
            )  # fmt: skip
        except PromptError as error:
            yield str(error)
            return
