"""pause, resume and drain from outside: over HTTP, by the command line with and without a daemon, beside a living process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from orchestrator import exits
from tests.api_house import House as ApiHouse
from tests.api_house import open_house, problem
from tests.daemon import ROOT, House, until

WAITS = 'bb start; touch "$here/at-work"; while [ ! -e "$here/go" ]; do sleep 0.05; done; echo x >out.txt; bb output data T out.txt; bb submit'


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ApiHouse]:
    async with open_house(tmp_path) as opened:
        await opened.task()
        yield opened


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "house")
    made.agent("ada", WAITS)
    made.configure()
    yield made
    if made.daemon is not None:
        (made.folder / "go").touch()
        made.stop()


def command(house: House, *words: str) -> list[str]:
    return [sys.executable, "-m", "orchestrator", "--config", str(house.config), *words]


def environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("ORCH_")} | {
        "PYTHONPATH": str(ROOT)
    }


def said(house: House, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(house, *words), capture_output=True, text=True, env=environ(), timeout=60, check=False
    )


def ok(house: House, *words: str) -> str:
    done = said(house, *words)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


# --- over HTTP ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/agents/writer", "/api/projects/demo", "/api"])
async def test_a_pause_over_http_is_made_once_and_undone(api: ApiHouse, path: str) -> None:
    operator = await api.operator()
    first = await api.post(f"{path}/pause", operator, {"detail": "lunch"})
    assert (first.status_code, first.json()["paused"], first.json()["changed"], first.json()["reason"]) == (
        200,
        True,
        True,
        "lunch",
    )
    assert (await api.post(f"{path}/pause", operator)).json()["changed"] is False
    assert (await api.post(f"{path}/resume", operator)).json()["paused"] is False
    assert len(api.wakes) == 3
    row = await api.board.one("SELECT actor, reason FROM events WHERE verb GLOB '*_paused'")
    assert row is not None
    assert tuple(row) == ("person:ann", "lunch")


@pytest.mark.parametrize(
    "path", ["/api/agents/nobody", "/api/projects/nothing", "/api/agents/a%20b", "/api/projects/%ff"]
)
async def test_who_is_not_there_cannot_be_paused(api: ApiHouse, path: str) -> None:
    for verb in ("pause", "resume"):
        problem(await api.post(f"{path}/{verb}", await api.operator(), {}), 404, "not_found")
    assert api.wakes == []


@pytest.mark.parametrize("path", ["/api/agents/writer", "/api/projects/demo", "/api"])
async def test_only_an_operator_pauses(api: ApiHouse, path: str) -> None:
    for token in ((await api.attempt()).token, await api.agent_token(), await api.operator("read", "eve")):
        problem(await api.post(f"{path}/pause", token, {}), 403, "forbidden")
    problem(await api.post(f"{path}/pause", None, {}), 401, "unauthorized")


# --- by the command line -------------------------------------------------------------------------------------------


TARGETS = (["--agent", "ada"], ["--project", "p"], ["--all"])


def paused_by(house: House) -> list[tuple[str, str, str]]:
    return [
        (each["kind"], each["name"], each["reason"]) for each in json.loads(ok(house, "status", "--json"))["paused"]
    ]


@pytest.mark.parametrize("running", [False, True], ids=["alone", "daemon"])
def test_the_commands_say_the_same_with_a_daemon_and_without(house: House, running: bool) -> None:
    ok(house, "init", str(house.folder))
    if running:
        house.start()
    for target in TARGETS:
        assert "is paused" in ok(house, "pause", *target, "lunch")
        assert "was paused already" in ok(house, "pause", *target, "supper")
    assert paused_by(house) == [("board", "", "lunch"), ("project", "p", "lunch"), ("agent", "ada", "lunch")]
    assert "everything since 20" in ok(house, "status")
    for target in TARGETS:
        assert "is resumed" in ok(house, "resume", *target)
        assert "was not paused" in ok(house, "resume", *target)
    assert paused_by(house) == []
    for words, code, sentence in (
        (["pause", "--agent", "nobody"], exits.NOT_FOUND, "there is no agent nobody"),
        (["resume", "--project", "a/../b"], exits.NOT_FOUND, "there is no project a/../b"),
        (["pause"], exits.USAGE, "exactly one of them"),
        (["drain", "--all", "--agent", "ada"], exits.USAGE, "exactly one of them"),
    ):
        done = said(house, *words)
        assert (done.returncode, done.stdout) == (code, "") and sentence in done.stderr


def at_work(house: House) -> int:
    """A daemon with ada at work on a task; the task."""
    house.start()
    task = house.post("ada")
    until(lambda: (house.folder / "at-work").exists() or None, story=house.told)
    return task


def test_a_pause_lets_run_what_runs_and_claims_nothing_new(house: House) -> None:
    first = at_work(house)
    assert "1 of its attempts live and go on" in ok(house, "pause", "--all", "moving house")
    second = house.post("ada", "another")
    (house.folder / "go").touch()
    house.reaches(first, "done")
    assert "everything is paused since" in ok(house, "why", str(second))
    assert house.task(second)["status"] == "pending" and house.attempts(second) == []
    ok(house, "resume", "--all")
    house.reaches(second, "done")


def test_a_drain_waits_until_the_last_process_is_gone(house: House) -> None:
    task = at_work(house)
    with subprocess.Popen(
        command(house, "drain", "--agent", "ada", "--json", "upgrade"), stdout=subprocess.PIPE, text=True, env=environ()
    ) as drain:
        assert drain.stdout is not None
        first = json.loads(drain.stdout.readline())
        assert [row["task_id"] for row in first["live"]] == [task] and drain.poll() is None
        (house.folder / "go").touch()
        last = json.loads(drain.stdout.read())
    assert (drain.returncode, last) == (0, {"live": [], "drained": True})
    assert all(row["gone_at"] for row in house.attempts(task))
    assert paused_by(house) == [("agent", "ada", "upgrade")]
    assert "nothing of agent ada lives" in ok(house, "drain", "--agent", "ada")


def test_a_drain_whose_time_is_over_says_what_stays(house: House) -> None:
    at_work(house)
    done = said(house, "drain", "--project", "p", "--timeout", "0.3")
    assert done.returncode == exits.TRY_AGAIN
    assert "1 attempts still live" in done.stderr and "stays paused: orchestrator resume --project p" in done.stderr
    assert "waits for 1: task" in done.stdout


def test_ctrl_c_leaves_a_drain_paused_and_says_so(house: House) -> None:
    at_work(house)
    with subprocess.Popen(
        command(house, "drain", "--all"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ()
    ) as drain:
        assert drain.stdout is not None and drain.stderr is not None
        assert "is paused" in drain.stdout.readline() and "waits for 1" in drain.stdout.readline()
        drain.send_signal(signal.SIGINT)
        assert "everything stays paused: orchestrator resume --all" in drain.stderr.read()
    assert drain.returncode == exits.INTERRUPTED
    assert [kind for kind, _, _ in paused_by(house)] == ["board"]
