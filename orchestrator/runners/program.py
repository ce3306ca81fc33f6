"""One agent program we know, as a row of data, and the runner that is made of it. Pure.

The words of a row are told as they stand, but for the places below. A program whose words hold no `PROMPT` gets the
prompt on its standard input, which ends there; every other finds its standard input closed.
"""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.config_agent import AgentConfig
from orchestrator.runners.failures import kind_of
from orchestrator.runners.result import Result, Usage
from orchestrator.runners.runner import MIB, QUIET, Ended, Run, Runner, Sessions, Stop, graceful

MODEL, ARGS = "{model}", "{args}"  # `--model X` where one is set; the operator's own words
SETTING = "{setting}"  # the model as a setting, `-c model="X"`
SESSION, PROMPT, REPORT = "{session}", "{prompt}", "{report}"  # the session's id; the text; the path of the report file
MOST_ARGUMENT = 131_071  # bytes of one argument: the kernel starts no program with more


@dataclass(frozen=True)
class Program:
    """What is known of a program. `grace`: seconds it may take to end after `signal`, its best one.

    `tried`: the version all of this was measured with. `package`: how a person gets it. `env`: what it gets beside QUIET.
    `version_flag`: what makes it tell its version and end. `spent`: what its output says it has used while it still runs.
    `resume`: the words that go on with a session, none where it
    cannot; `same_folder`, `totals`: as in `Sessions`. `native`: where the package's installation leaves a stub when scripts
    are off, the program that is meant, under node_modules on Linux. `memory`: the most bytes that its processes held in a
    small run. `writes`: where it keeps sessions, settings and caches.
    """

    binary: str
    words: tuple[str, ...]
    parse: Callable[[Ended], Result]
    tried: tuple[int, int, int]
    package: str
    env: Mapping[str, str] = field(default_factory=dict)
    signal: int = signal.SIGTERM
    grace: float = 10.0
    report_file: str | None = None
    version_flag: str = "--version"
    spent: Callable[[str], Usage] | None = None
    resume: tuple[str, ...] = ()
    same_folder: bool = False
    totals: tuple[str, ...] = ()
    native: str | None = None
    memory: int = 256 * MIB
    writes: tuple[str, ...] = ()

    @property
    def quiet(self) -> dict[str, str]:
        """Every variable of its own that a call of it gets."""
        return {**QUIET, **self.env}


def own_session(brief: Mapping[str, Any]) -> str:
    """A UUID that belongs to this attempt alone: a program that met one before refuses it."""
    once = f"{brief['session_key']} {brief['attempt']} {brief['claimed_at']}"
    return str(uuid.uuid5(uuid.NAMESPACE_OID, once))


def runner(program: Program) -> Runner:
    """The runner of a program we know."""

    def argv(run: Run) -> list[str]:
        words = program.resume if run.brief.get("resumes") else program.words
        return [_binary(run.agent), *(said for word in words for said in _said(word, run))]

    def _binary(agent: AgentConfig) -> str:
        return agent.program.binary or program.binary

    def _said(word: str, run: Run) -> Iterator[str]:
        asked = run.agent.program
        if word == MODEL:
            yield from ("--model", asked.model) if asked.model else ()
        elif word == SETTING:
            yield from ("-c", f"model={json.dumps(asked.model)}") if asked.model else ()
        elif word == ARGS:
            yield from map(run.told, asked.args)
        else:
            yield _filled(word, run)

    def _filled(word: str, run: Run) -> str:
        if word == SESSION:
            return str(run.brief.get("session_id") or own_session(run.brief))
        if word == REPORT:
            return str(run.place.directory / (program.report_file or ""))
        return run.prompt if word == PROMPT else word

    def stop(agent: AgentConfig) -> Stop:
        asked, own = graceful(agent), agent.model_fields_set
        return Stop(
            asked.signal if "graceful_signal" in own else program.signal,
            asked.grace if "grace_seconds" in own else program.grace,
        )

    return Runner(
        program=_binary,
        argv=argv,
        environment=lambda _run: program.quiet,
        stdin=lambda _agent: PROMPT not in program.words,
        stop=stop,
        parse=program.parse,
        spent=program.spent,
        memory=lambda _agent: program.memory,
        writes=lambda _agent: program.writes,
        most_prompt_bytes=MOST_ARGUMENT if PROMPT in program.words else None,
        report_file=program.report_file,
        install=program.package,
        sessions=Sessions(SESSION in program.words, program.same_folder, program.totals) if program.resume else None,
    )


def unreadable(ended: Ended, session_id: str | None = None) -> Result:
    """Nothing of a result was printed: the exit code alone says how it ended, and zero says nothing at all.

    `session_id`: where it was told before, so that a run that was cut off can be gone on with.
    """
    return Result(failure_kind=kind_of(ended.stderr) or "crash", session_id=session_id)
