"""The configurations of docs/openclaw.md are right, and wrong ones are told with what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.config_loading import ConfigError, load
from tests.layer_rules import ROOT

BLOCKS = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/openclaw.md").read_text(encoding="utf-8"), re.DOTALL)


def problems(folder: Path, text: str) -> list[str]:
    file = folder / "orchestrator.toml"
    file.write_text(text)
    try:
        load(file, environ={})
    except ConfigError as error:
        return error.problems
    return []


@pytest.mark.parametrize("block", BLOCKS, ids=["gateway", "local", "exec"])
def test_each_form_has_a_configuration_that_is_right(tmp_path: Path, block: str) -> None:
    assert problems(tmp_path, block) == []


@pytest.mark.parametrize(
    ("keys", "openclaw", "sentence"),
    [
        ('argv = ["x"]', "", "argv is made by the runner openclaw"),
        ("calls_back = false", "", "an openclaw agent reports by itself"),
        ("max_live = 2", 'mode = "local"', "set max_live = 1"),
        ("", 'mode = "exec"\nprobe = ["x"]', 'are for mode = "gateway"'),
        ("", 'mode = "local"\nhold_seconds = 5', 'are for mode = "gateway"'),
        ("", 'mode = "exec"\nagent = "a"', "belongs to no agent"),
        ("", 'agent = "A.b"', "set openclaw.agent to its id there"),
        ("", 'probe = ["x", "{prompt_file}"]', "is no placeholder here"),
        ("", 'mod = "exec"', "did you mean mode?"),
        ("", "probe_every_seconds = 0", "greater than"),
    ],
)
def test_what_cannot_be_together_is_told(tmp_path: Path, keys: str, openclaw: str, sentence: str) -> None:
    (problem,) = problems(tmp_path, f'[agents.a]\nrunner = "openclaw"\n{keys}\n[agents.a.openclaw]\n{openclaw}\n')
    assert sentence in problem


def test_two_agents_do_not_share_a_state_folder_of_embedded_runs(tmp_path: Path) -> None:
    one = '[agents.{}]\nrunner = "openclaw"\n[agents.{}.openclaw]\nmode = "local"\nstate_dir = "s"\n'
    (problem,) = problems(tmp_path, one.format("a", "a") + one.format("b", "b"))
    assert "a and b would run in one state folder" in problem


def test_the_table_without_its_runner_is_told(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, '[agents.a]\nargv = ["x"]\n[agents.a.openclaw]\nmode = "exec"\n')
    assert "set that, or leave the table out" in problem
