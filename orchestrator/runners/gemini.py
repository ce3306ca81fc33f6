"""Gemini CLI: prompt on standard input, one JSON object back; an error comes as one on standard error.

Without NO_RELAUNCH a launcher stands before the program and ignores TERM. It exits with 0 when a signal ended it.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.runners.failures import kind_of
from orchestrator.runners.found import last_object, less, table, whole, word
from orchestrator.runners.program import ARGS, MODEL, SESSION, Program, unreadable
from orchestrator.runners.result import FailureKind, Result
from orchestrator.runners.runner import MIB, Ended

# An HTTP status as exit code, less 256: what is left of it. 42: what it was asked with cannot be, such as the session.
OF_CODE: Mapping[int, FailureKind] = {42: "session", 145: "auth", 147: "auth", 173: "rate_limit", 247: "network"}


def parse(ended: Ended) -> Result:
    """The object on standard output, else the error on standard error."""
    found = last_object(ended.stdout)
    if found is not None and "response" in found and not found.get("error"):
        return _good(found)
    error = table((found or last_object(ended.stderr) or {}).get("error"))
    kind = OF_CODE.get(ended.code or 0)
    if not error and kind is None:
        return unreadable(ended)
    text = word(error.get("message"))
    said = " ".join(filter(None, (text, str(error.get("code", "")), word(error.get("type")))))
    return Result("error", final=True, text=text, failure_kind=kind_of(said) or kind or "crash")


def _good(found: dict[str, object]) -> Result:
    models = table(table(found.get("stats")).get("models"))
    tokens = [table(table(each).get("tokens")) for each in models.values()]
    return Result(
        status="ok",
        final=True,
        text=word(found["response"]),
        session_id=word(found.get("session_id")),
        model=next(iter(models)) if len(models) == 1 else None,
        input_tokens=whole(less(each.get("prompt"), each.get("cached")) for each in tokens),
        cached_tokens=whole(each.get("cached") for each in tokens),
        output_tokens=whole(each.get(name) for each in tokens for name in ("candidates", "thoughts")),
    )


GEMINI = Program(
    binary="gemini",
    words=(
        "--output-format", "json", "--approval-mode", "yolo", "--skip-trust", MODEL, "--session-id", SESSION, ARGS,
        "--prompt=",
    ),
    parse=parse,
    tried=(0, 61, 0),
    package="npm install -g @google/gemini-cli",
    memory=740 * MIB,
    writes=("~/.gemini",),
    env={"GEMINI_CLI_NO_RELAUNCH": "true"},
    resume=(
        "--output-format", "json", "--approval-mode", "yolo", "--skip-trust", MODEL, "--resume", SESSION, ARGS, "--prompt=",
    ),
    same_folder=True,
)  # fmt: skip
