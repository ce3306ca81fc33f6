"""Who gets a sandbox, who goes without, and who is not started: with sandboxes that are missing, broken, or words of one's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator import sandbox, wrapping
from orchestrator.config import Settings
from orchestrator.config_agent import AgentConfig
from orchestrator.config_loading import load
from orchestrator.runners.runner import Place
from tests.daemon import House

HAND_IN = "bb start; echo hello > out.txt; bb output document T out.txt && bb submit\n"


def without_bwrap(house: House, broken: bool = False) -> None:
    """A PATH with everything this machine has but bwrap; or with one that refuses to work."""
    shelf = house.folder / "shelf"
    shelf.mkdir()
    for folder in os.environ["PATH"].split(":"):
        for program in Path(folder).iterdir() if Path(folder).is_dir() else ():
            if program.name != "bwrap" and not (shelf / program.name).exists():
                (shelf / program.name).symlink_to(program)
    if broken:
        (shelf / "bwrap").write_text("#!/bin/sh\necho 'no new namespaces here' >&2\nexit 1\n")
        (shelf / "bwrap").chmod(0o755)
    house.path = str(shelf)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "house", policy={"max_tries": 1})


@pytest.mark.parametrize(("broken", "why"), [(False, "is not in PATH"), (True, "no new namespaces here")])
def test_what_requires_a_sandbox_is_not_started_without(house: House, broken: bool, why: str) -> None:
    without_bwrap(house, broken)
    house.agent("ada", f"touch $here/ran; {HAND_IN}", wrap="bwrap", require_sandbox=True)
    try:
        house.start()
        task = house.post("ada")
        house.reaches(task, "pending")
        attempt = house.ended_attempt(task)
        assert attempt["outcome"] == "spawn_failed"
        assert why in attempt["detail"] and attempt["detail"].endswith(
            "nothing is started, because require_sandbox = true"
        )
        assert not (house.folder / "ran").exists()
        checked = house.call("check")
        assert checked.returncode == 69
        assert "fail agent ada" in " ".join(checked.stdout.split()) and why in checked.stdout
        assert why in house.told(), "run says so before it begins"
        house.operate(task, "cancel", "seen")
        house.ends()
    finally:
        house.clear()


def test_what_only_wishes_for_one_runs_and_an_event_says_so(house: House) -> None:
    without_bwrap(house)
    house.agent("ada", HAND_IN, wrap="bwrap")
    try:
        house.start()
        task = house.post("ada")
        house.reaches(task, "done")
        (event,) = house.events(task, "unsandboxed")
        assert event["reason"].startswith("it runs without its sandbox: the sandbox's program bwrap is not in PATH")
        checked = house.call("check")
        assert checked.returncode == 0 and "it will run without (require_sandbox = true refuses that)" in checked.stdout
        house.ends()
    finally:
        house.clear()


def test_words_of_ones_own_stand_before_the_program(house: House) -> None:
    box = house.folder / "box"
    box.write_text('#!/bin/sh\necho "$1 $2" > "$1/boxed"; shift 2; exec "$@"\n')
    box.chmod(0o755)
    house.agent("ada", HAND_IN, wrap=["./box", "{workspace}", "{home}"])
    house.agent("eve", HAND_IN, wrap=["no-such-box"])
    try:
        house.start()
        task, lost = house.post("ada"), house.post("eve")
        house.reaches(task, "done")
        assert (house.workspace(task) / "boxed").read_text() == f"{house.workspace(task)} {house.folder}\n"
        assert "no-such-box" in house.ended_attempt(lost)["detail"]
        house.operate(lost, "cancel", "seen")
        house.ends()
    finally:
        house.clear()


# --- The words of the preset ------------------------------------------------------------------------------------------


def settings(folder: Path, agent: str) -> Settings:
    (folder / "orchestrator.toml").write_text(f"[agents.ada]\nargv = ['x']\nwrap = 'bwrap'\n{agent}\n")
    return load(folder / "orchestrator.toml", environ={"HOME": str(folder)})


def said(found: Settings, folder: Path, workspace: Path) -> list[tuple[str, ...]]:
    """The words as bwrap reads them: an option with what belongs to it."""
    place = Place(folder / "attempts/7", workspace)
    told: list[tuple[str, ...]] = []
    for word in sandbox.words(found.agents["ada"], found, place, str(folder)):
        told = [*told, (word,)] if word.startswith("--") else [*told[:-1], (*told[-1], word)]
    return told


def test_a_folder_with_secrets_is_shown_without_them(tmp_path: Path) -> None:
    for name in ("board.db", "board.db-wal", "board.db.lock", "board.db.before-3-x", "operator.token", "notes"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("notes")
    (tmp_path / "attempts/7").mkdir(parents=True)
    told = said(settings(tmp_path, ""), tmp_path, tmp_path / "workspaces/p/1")
    here = str(tmp_path)
    assert ("--tmpfs", here) in told and ("--remount-ro", here) in told
    shown = {
        words[-1] for words in told[told.index(("--tmpfs", here)) + 1 :] if words[0] in ("--ro-bind-try", "--symlink")
    }
    assert {path for path in shown if Path(path).parent == tmp_path} == {f"{here}/notes", f"{here}/link"}
    assert told[-2:] == [("--chdir", f"{here}/workspaces/p/1"), ("--",)]


def test_a_workspace_that_holds_the_board_hides_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "board.db").touch()
    (tmp_path / "attempts/7").mkdir(parents=True)
    told = said(settings(tmp_path, ""), tmp_path, tmp_path)
    here = str(tmp_path)
    work = told.index(("--bind", here, here))
    assert told.index(("--ro-bind", "/dev/null", f"{here}/board.db")) > work
    assert (
        work
        < told.index(("--tmpfs", f"{here}/attempts"))
        < told.index(("--bind", f"{here}/attempts/7", f"{here}/attempts/7"))
    )


def test_what_is_writable_never_shows_a_secret(tmp_path: Path) -> None:
    (tmp_path / "attempts/7").mkdir(parents=True)
    above = tmp_path.parent
    told = said(settings(tmp_path, f"writable = ['{above}', 'cache']"), tmp_path, tmp_path / "workspaces/p/1")
    covered = told.index(("--tmpfs", str(tmp_path)))
    assert told.index(("--bind-try", str(above), str(above))) < covered
    assert told.index(("--bind-try", f"{tmp_path}/cache", f"{tmp_path}/cache")) > covered


def test_a_folder_too_full_to_be_shown_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "MOST_ENTRIES", 3)
    for name in "abcd":
        (tmp_path / name).touch()
    with pytest.raises(sandbox.TooFull, match="a folder of its own"):
        said(settings(tmp_path, ""), tmp_path, tmp_path / "workspaces/p/1")


def test_its_program_keeps_its_own_folder() -> None:
    agent = AgentConfig.model_validate({"runner": "opencode", "wrap": "bwrap"})
    assert sandbox.own_folders(agent, "/h")[0] == Path("/h/.local/share/opencode")


def test_a_sandbox_is_tried_before_it_is_believed() -> None:
    assert "is not in PATH: install it" in str(wrapping.tried("no-such-box"))
    assert "does not work here: exit code 1" in str(wrapping.tried("false"))
