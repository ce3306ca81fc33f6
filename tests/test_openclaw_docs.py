"""The configurations of docs/openclaw.md are right, and wrong ones are told with what to do."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from orchestrator import openclaw_check
from orchestrator.config_agent import AgentConfig
from orchestrator.config_loading import ConfigError, load
from orchestrator.config_openclaw import Openclaw
from orchestrator.runners import openclaw
from orchestrator.runners.runner import deadline
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


@pytest.mark.parametrize("prompt", ["/compact", "$skill now", "\ufeff  /new", "\n$x"])
def test_a_prompt_is_never_a_command_or_a_skill(prompt: str) -> None:
    assert openclaw.plain(prompt) == f"Your task:\n\n{prompt}"
    assert openclaw.plain(f"# Task\n{prompt}") == f"# Task\n{prompt}"


@pytest.mark.parametrize(("wall", "seconds"), [(3600, 3540), (240, 180), (120, 90), (1, 1), (0.2, 1)])
def test_the_deadline_of_the_program_is_before_ours(wall: float, seconds: int) -> None:
    assert deadline(wall) == seconds


# --- check ------------------------------------------------------------------------------------------------------------


def program(folder: Path, script: str) -> str:
    file = folder / "openclaw"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


def told(agent: AgentConfig, found: str) -> list[tuple[str, str]]:
    return [*openclaw_check.looked_at("a", agent, found)]


@pytest.mark.parametrize(
    ("script", "level", "sentence"),
    [
        ("echo OpenClaw 2026.9.6 '(eb377ac)'", "ok", "openclaw 2026.9.6"),
        ("echo OpenClaw 2026.5.1", "fail", "has no --session-key"),
        ("echo needs a newer node >&2; exit 1", "fail", "exit code 1: needs a newer node"),
        ("echo hello", "fail", "exit code 0: hello"),
    ],
)
def test_check_asks_the_version(tmp_path: Path, script: str, level: str, sentence: str) -> None:
    ((found, said),) = told(AgentConfig(runner="openclaw", openclaw=Openclaw(mode="exec")), program(tmp_path, script))
    assert found == level
    assert sentence in said


def test_check_looks_for_gateway_folder_and_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claw = program(tmp_path, "echo 2026.9.6")
    monkeypatch.setenv("OPENCLAW_SHELL", "exec")
    local = AgentConfig(runner="openclaw", openclaw=Openclaw(mode="local", state_dir=tmp_path))
    shell, _, folder = told(local, claw)
    assert "shell tool of an agent" in shell[1]
    assert "no openclaw.json" in folder[1]
    monkeypatch.delenv("OPENCLAW_SHELL")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        (tmp_path / "openclaw.json").write_text(json.dumps({"gateway": {"port": port}}))
        assert [level for level, _ in told(local, claw)] == ["ok"]
        away = AgentConfig(runner="openclaw", openclaw=Openclaw(state_dir=tmp_path, hold_seconds=60))
        assert told(away, claw)[-1] == ("ok", f"its gateway listens at 127.0.0.1:{port}")
    level, sentence = told(away, claw)[-1]
    assert level == "warn"
    assert "openclaw gateway run" in sentence
    held = AgentConfig(
        runner="openclaw", openclaw=Openclaw(state_dir=tmp_path), env={"OPENCLAW_GATEWAY_URL": "ws://[::1]:1"}
    )
    assert "::1:1" in told(held, claw)[-2][1]
    assert "waits for a person" in told(held, claw)[-1][1]
