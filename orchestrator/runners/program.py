"""One agent program we know, as a row of data, and the runner that is made of it. Pure.

The words of a row are told as they stand, but for the places below. A program whose words hold no `PROMPT` gets the
prompt on its standard input, which ends there; every other finds its standard input closed.
"""

from __future__ import annotations

import signal
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.config import AgentConfig
from orchestrator.runners.failures import kind_of
from orchestrator.runners.result import Result, Usage
from orchestrator.runners.runner import QUIET, Ended, Run, Runner, Stop, graceful

MODEL, ARGS = "{model}", "{args}"  # `--model X` where one is set; the operator's own words
SESSION, PROMPT, REPORT = "{session}", "{prompt}", "{report}"  # a fresh UUID; the text; the path of the report file
MOST_ARGUMENT = 131_071  # bytes of one argument: the kernel starts no program with more


@dataclass(frozen=True)
class Program:
    """What is known of a program. `grace`: seconds it may take to end after `signal`, its best one.

    `tried`: the version all of this was measured with. `package`: how a person gets it. `env`: what it gets beside QUIET.
    `version_flag`: what makes it tell its version and end. `spent`: what its output says it has used while it still runs.
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

    @property
    def quiet(self) -> dict[str, str]:
        """Every variable of its own that a call of it gets."""
        return {**QUIET, **self.env}


def own_session(run: Run) -> str:
    """A UUID that belongs to this attempt alone: a program that met one before refuses it."""
    once = f"{run.brief['session_key']} {run.brief['attempt']} {run.brief['claimed_at']}"
    return str(uuid.uuid5(uuid.NAMESPACE_OID, once))


def runner(program: Program) -> Runner:
    """The runner of a program we know."""

    def argv(run: Run) -> list[str]:
        return [_binary(run.agent), *(said for word in program.words for said in _said(word, run))]

    def _binary(agent: AgentConfig) -> str:
        return agent.program.binary or program.binary

    def _said(word: str, run: Run) -> Iterator[str]:
        asked = run.agent.program
        if word == MODEL:
            yield from ("--model", asked.model) if asked.model else ()
        elif word == ARGS:
            yield from asked.args
        else:
            places = {SESSION: lambda: own_session(run), PROMPT: lambda: run.prompt}
            places[REPORT] = lambda: str(run.place.directory / (program.report_file or ""))
            yield places[word]() if word in places else word

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
        most_prompt_bytes=MOST_ARGUMENT if PROMPT in program.words else None,
        report_file=program.report_file,
        install=program.package,
    )


def unreadable(ended: Ended) -> Result:
    """Nothing of a result was printed: the exit code alone says how it ended, and zero says nothing at all."""
    return Result(failure_kind=kind_of(ended.stderr) or "crash")
