"""Qwen Code: prompt on standard input, a JSON array back whose last element is the result."""

from __future__ import annotations

import dataclasses

from orchestrator.runners import result_object
from orchestrator.runners.found import less, table
from orchestrator.runners.program import ARGS, MODEL, SESSION, Program, unreadable
from orchestrator.runners.result import Result
from orchestrator.runners.runner import MIB, Ended


def parse(ended: Ended) -> Result:
    """The result object; its input tokens hold the cached ones too."""
    found = result_object.found_in(ended.stdout)
    if found is None:
        return unreadable(ended)
    usage = table(found.get("usage"))
    own = less(usage.get("input_tokens"), usage.get("cache_read_input_tokens"))
    return dataclasses.replace(result_object.read(found, ended), input_tokens=own)


QWEN = Program(
    binary="qwen",
    words=("--output-format", "json", "--approval-mode", "yolo", MODEL, "--session-id", SESSION, ARGS),
    parse=parse,
    tried=(0, 24, 4),
    package="npm install -g @qwen-code/qwen-code",
    resume=("--output-format", "json", "--approval-mode", "yolo", MODEL, "--resume", SESSION, ARGS),
    same_folder=True,
    totals=("input_tokens", "cached_tokens", "output_tokens"),
    memory=2150 * MIB,
    writes=("~/.qwen",),
)
