"""docs/runners.md says of every program what the code does."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from blackboard.sizes import in_words
from orchestrator.config_agent import AgentConfig
from orchestrator.config_loading import load
from orchestrator.runners.program import MODEL
from orchestrator.runners.table import PROGRAMS, RUNNERS, memory_of
from tests.layer_rules import ROOT
from tests.programs.getting import SOURCES
from tests.test_programs_real import REFUSED

PAGE = (ROOT / "docs/runners.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PROGRAMS)
def test_its_words_its_prompt_and_its_package_are_told(name: str) -> None:
    program = PROGRAMS[name]  # type: ignore[index]
    called = {"{args}": "ARGS", "{session}": "UUID", "{report}": "FILE", "{prompt}": "PROMPT"}
    words = " ".join(called.get(word, word) for word in (program.binary, *program.words) if word != MODEL)
    prompt = "an argument, at most 131,071 bytes" if "{prompt}" in program.words else "stdin"
    assert f"| `{name}` | `{words}` | {prompt} | `{program.package}` |" in PAGE


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_was_seen_is_of_the_version_that_is_fetched(name: str) -> None:
    version = ".".join(map(str, PROGRAMS[name].tried))  # type: ignore[index]
    assert SOURCES[name].packages[0].endswith((f"@{version}", f"=={version}"))
    (row,) = re.findall(rf"^\| `{name}` \| {re.escape(version)} \| yes \|.*\|$", PAGE, re.MULTILINE)
    for kind in REFUSED[name].values():
        assert f"`{kind}`" in row


def test_signals_and_seconds_are_told() -> None:
    assert {name for name, program in PROGRAMS.items() if program.signal == signal.SIGINT} == {"codex"}
    assert {program.grace for program in PROGRAMS.values()} == {10}
    assert "INT for codex" in PAGE
    assert "`grace_seconds` (10)" in PAGE


def test_its_configuration_is_right(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    file = tmp_path / "orchestrator.toml"
    file.write_text(block)
    assert load(file, environ={}).agents["ben"].program.model == "gpt-5-codex"


@pytest.mark.parametrize("name", [name for name in RUNNERS if name != "command"])
def test_its_memory_and_its_folders_are_told(name: str) -> None:
    agent = AgentConfig.model_validate({"runner": name})
    (row,) = re.findall(rf"^\| `{name}` \| (.* [MG]iB\b.*)$", PAGE, re.MULTILINE)
    assert in_words(memory_of(agent)) in row
    assert ", ".join(f"`{path}`" for path in RUNNERS[name].writes(agent)) in row
