"""The demo's reviewer does what its prompt says: it approves, rejects with what is missing, or says that it cannot tell."""

from __future__ import annotations

import io
import shlex
from pathlib import Path

import pytest

from orchestrator.demo import critic
from prompts import samples
from prompts.render import render

TOTAL = "The output must end with a line 'Total: …'."


@pytest.mark.parametrize(
    ("condition", "content", "code", "said"),
    [
        (TOTAL, "x\nTotal: 7\n", 0, [["heartbeat"], ["approve", "-"], "It meets every condition.\n"]),
        (TOTAL, "Total: 7\nx\n", 0, [["heartbeat"], ["reject", "-"], f"Not yet: {TOTAL}\n"]),
        ("", "anything", 0, [["heartbeat"], ["approve", "-"], "It meets every condition.\n"]),
        ("It must be beautiful.", "x", 3, [["heartbeat"], ["comment", "-"], "I cannot check this condition: It must be beautiful.\n"]),
    ],
)  # fmt: skip
def test_the_critic_judges_by_the_conditions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, condition: str, content: str, code: int, said: list[object]
) -> None:
    brief = samples.for_review(samples.smallest(), content)
    brief["task"]["must_haves"] = condition
    bb = tmp_path / "it's bb"
    bb.write_text(
        f'#!/bin/sh\necho "$*" >> {shlex.quote(str(tmp_path / "said"))}\n[ $# -lt 2 ] || cat >> {shlex.quote(str(tmp_path / "text"))}\n'
    )
    bb.chmod(0o700)
    prompt = render(dict(brief), base_url="http://h", curl_conf="/c", bb=str(bb), workspace="/w", tail=None)
    monkeypatch.setattr("sys.stdin", io.StringIO(prompt))

    assert critic.main([]) == code

    told = [line.split() for line in (tmp_path / "said").read_text().splitlines()]
    assert [*told, (tmp_path / "text").read_text()] == said
