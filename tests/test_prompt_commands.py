"""Every command line of a prompt, run as it stands by a real shell from `/` with an empty environment."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.demo.orders import commands
from prompts import render, samples
from tests.recorder import NASTY, TOKEN, Kit, Recorder, recording, shell


def prompt(url: str, kit: Kit) -> str:
    """A prompt for the task of this kit."""
    brief = samples.smallest()
    brief["task"]["id"] = 7
    return render(
        dict(brief), base_url=url, curl_conf=kit.curl_conf, bb=kit.bb, workspace=str(kit.workspace), tail=None
    )


@pytest.fixture
def server() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture
def kit(tmp_path: Path, server: Recorder) -> Kit:
    kit = Kit(tmp_path / "it's a=b" / "attempts 1", tmp_path / "work 'space' \"$(x)\" 1").make(server.url)
    (kit.workspace / "FILE").write_text(NASTY, newline="")
    return kit


def filled(command: str, text: str) -> str:
    """A command of the prompt with this text in the place of its words in capitals, but for a title."""
    if "<<'" not in command:
        return command
    first, *words, end = command.rstrip("\n").split("\n")
    title = [word for word in words if word.startswith("TITLE")]
    return "\n".join([first, *title, text.rstrip("\n"), end, ""])


def test_every_command_line_of_the_prompt_reports_byte_for_byte(server: Recorder, kit: Kit) -> None:
    seen = []
    for command in commands(prompt(server.url, kit)):
        if command.startswith("cat >"):  # the JSON file: made here as it stands, with its words for values
            assert shell(command).returncode == 0
            continue
        done = shell(filled(command, NASTY))
        assert (done.returncode, done.stderr) == (0, b""), command
        assert b"go on" in done.stdout
        seen.append((server.last.path.rpartition("/")[2], server.last))

    routes = [route for route, _ in seen]
    reports = ["status", "outputs", "outputs", "status", "status", "status"]
    uploads = ["outputs"]
    by_bb, by_curl = ["heartbeat", "comments", "children", "7"], ["comments", "heartbeat", "children", "7"]
    assert routes == [*reports[:2], *uploads, *reports[2:], *by_bb, *reports, *by_curl]
    text = NASTY.encode()
    for route, request in seen:
        if request.method == "GET":
            assert request.query == {"expand": "all"}
        elif request.kind.startswith("text/plain"):
            assert request.body == text
            assert request.query.get("summary", NASTY) == NASTY
        elif request.kind.startswith("multipart/form-data"):
            assert text in request.body
        elif request.kind == "application/json":
            assert json.loads(request.body)["content_path"] == str(kit.workspace / "FILE")
        elif route == "status" and request.form["status"] in (b"failed", b"blocked"):
            assert request.form["detail"] == text
        elif route in ("comments", "children"):
            assert request.form["body" if route == "comments" else "description"] == text
        assert request.authorization == f"Bearer {TOKEN}"


def test_a_text_of_a_megabyte_goes_through_the_commands_of_the_prompt(server: Recorder, kit: Kit) -> None:
    big = (NASTY + "é🙂'\"`$(x)\n") * 6_000
    (kit.workspace / "FILE").write_text(big, newline="")
    assert len(big.encode()) > 1_000_000

    for command in commands(prompt(server.url, kit)):
        if " output " in command or "text/plain" in command:
            assert shell(command).returncode == 0
            assert server.last.body == big.encode()
        elif " fail -" in command or "status=failed" in command:
            assert shell(filled(command, big)).returncode == 0
            assert server.last.form["detail"] == big.encode()


def test_no_command_of_the_prompt_runs_a_text(server: Recorder, kit: Kit, tmp_path: Path) -> None:
    trap = (
        f"'; touch {tmp_path}/never; $(touch {tmp_path}/never) `touch {tmp_path}/never` \" ; touch {tmp_path}/never #"
    )

    for command in commands(prompt(server.url, kit)):
        shell(filled(command, trap))

    assert not (tmp_path / "never").exists()


def test_every_command_names_only_absolute_paths_and_its_own_configuration() -> None:
    for command in commands(prompt("http://h", Kit(Path("/s/attempts/1"), Path("/w")))):
        words = shlex.split(command.split("\n")[0].replace("<<'", "'"))
        assert words[0].startswith("/") or words[0] in ("curl", "cat")
        if words[0] == "curl":
            assert words[1:3] == ["--config", "/s/attempts/1/curl.conf"]
