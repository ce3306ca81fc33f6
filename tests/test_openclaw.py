"""openclaw's three forms under a real daemon: started, read, stopped, and waited for where a run outlives its process.

The program is the stand-in of `stand_in_openclaw.py`, which takes signals and leaves processes as the real one does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator import exits
from tests.daemon import ROOT, House, until


class Claws(House):
    """A house whose agents are openclaw's; `state` is the folder of the stand-in."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, policy={"startup_seconds": 60.0, "wall_seconds": 120.0})
        self.state = folder / "claw"
        self.state.mkdir()
        self.binary = folder / "openclaw"
        self.binary.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/stand_in_openclaw.py "$@"\n')
        self.binary.chmod(0o755)
        self.gateway: subprocess.Popen[bytes] | None = None

    def claw(self, name: str, mode: str, **openclaw: object) -> None:
        table = {"mode": mode, "binary": str(self.binary), "state_dir": str(self.state), **openclaw}
        self.agents[name] = {"runner": "openclaw", "openclaw": table}

    def open_gateway(self) -> None:
        env = {"PATH": os.environ["PATH"], "OPENCLAW_STATE_DIR": str(self.state)}
        self.gateway = subprocess.Popen([str(self.binary), "gateway", "run"], env=env, start_new_session=True)
        until((self.state / "up").exists)

    def close_gateway(self) -> None:
        (self.state / "enough").touch()
        if self.gateway is not None:
            until(lambda: not self.turns())
            self.gateway.kill()
            self.gateway.wait()

    def turns(self) -> list[int]:
        """The workers of the gateway."""
        assert self.gateway is not None
        children = Path(f"/proc/{self.gateway.pid}/task/{self.gateway.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def calls(self) -> list[str]:
        log = self.state / "calls.log"
        return log.read_text().split() if log.exists() else []

    def works(self, task: int) -> int:
        """Wait until the attempt has commented; the pid of its program."""
        until(lambda: len(self.calls()) > 1, story=lambda: self.story(task))
        return int(self.attempts(task)[-1]["agent_pid"])

    def abroad(self, task: int) -> None:
        until(lambda: self.attempts(task)[-1]["abroad_at"], story=lambda: self.story(task))

    def argv(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.state / "argv.log").read_text().splitlines()]


@contextmanager
def living(folder: Path, mode: str, **openclaw: object) -> Iterator[Claws]:
    house = Claws(folder / "house")
    house.claw("ops", mode, **openclaw)
    try:
        if mode == "gateway":
            house.open_gateway()
        house.start()
        yield house
        house.close_gateway()
        house.ends()
    finally:
        (house.state / "enough").touch()
        house.clear()
        if house.gateway is not None:
            house.gateway.kill()


@pytest.mark.parametrize("mode", ["gateway", "local", "exec"])
def test_each_form_runs_a_task_to_its_end_and_tells_what_it_cost(tmp_path: Path, mode: str) -> None:
    with living(tmp_path, mode, model="stub/M", thinking="low") as house:
        task = house.post("ops", "scenario-good")
        house.reaches(task, "done")
        (attempt,) = house.attempts(task)
        (argv,) = house.argv()
        assert (attempt["outcome"], attempt["exit_code"], attempt["result"]) == ("submitted", 0, "did good")
        assert (attempt["provider"], attempt["model"], attempt["session_id"]) == ("stub", "M", "s-1")
        assert (attempt["input_tokens"], attempt["cached_tokens"], attempt["output_tokens"]) == (100, 7, 20)
        assert (attempt["cost_usd"], attempt["failure_kind"], attempt["abroad_at"]) == (0.5, None, None)
        assert bool(attempt["run_id"]) == (mode == "gateway")
        assert argv[argv.index("--timeout") + 1] == "90"
        assert ("--local" in argv, "exec" in argv) == (mode == "local", mode == "exec")
        if mode != "exec":
            assert argv[argv.index("--agent") + 1] == "ops"
            assert argv[argv.index("--session-key") + 1] == attempt["session_key"]
            assert attempt["session_key"].startswith("agent:ops:bb-")
        shown = house.call("show", str(task)).stdout
        assert "stub/M, tokens 100 input, 7 cached, 20 output, 0.5 USD" in shown
        assert "said: did good" in shown
        told = house.http(f"/api/projects/p/tasks/{task}?expand=attempts")["attempts"][0]
        assert (told["cost_usd"], told["result"]) == (0.5, "did good")


@pytest.mark.parametrize(
    ("scenario", "outcome", "kind", "waits"),
    [("busy", "busy", "busy", 10), ("limited", "rate_limited", "rate_limit", None), ("nobody", "spawn_failed", "unknown_agent", 10)],
)  # fmt: skip
def test_what_is_nobodys_fault_is_not_charged_and_tried_again_later(
    tmp_path: Path, scenario: str, outcome: str, kind: str, waits: int | None
) -> None:
    with living(tmp_path, "gateway") as house:
        task = house.post("ops", f"scenario-{scenario}")
        row = until(lambda: house.outcomes(task) == [outcome] and house.reaches(task, "pending"), story=house.told)
        (attempt,) = house.attempts(task)
        assert attempt["failure_kind"] == kind
        assert attempt["abroad_at"] is None
        wait = house.value(
            "SELECT (julianday(not_before) - julianday(moved_at)) * 86400 FROM tasks WHERE id = :id", id=task
        )
        assert wait == (pytest.approx(waits, abs=0.1) if waits else None)  # a limit holds the account, not the task
        assert row["status"] == "pending"
        house.operate(task, "cancel")


def test_all_well_and_no_report_is_no_report(tmp_path: Path) -> None:
    with living(tmp_path, "exec") as house:
        task = house.post("ops", "scenario-silent", max_tries=1)
        house.reaches(task, "failed")
        assert house.outcomes(task) == ["no_report"]
        assert "all went well, and reported no result" in house.attempts(task)[0]["detail"]


def test_a_gateway_that_is_not_there_is_a_failure_and_nothing_goes_on(tmp_path: Path) -> None:
    with living(tmp_path, "gateway") as house:
        (house.state / "up").unlink()
        checked = house.call("check").stdout
        assert "openclaw 2026.9.6" in checked
        assert "its gateway does not answer" in checked
        task = house.post("ops", "scenario-good", max_tries=1)
        house.reaches(task, "failed")
        (attempt,) = house.attempts(task)
        assert (attempt["outcome"], attempt["failure_kind"], attempt["abroad_at"]) == ("crashed", "network", None)


# --- stopping ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["gateway", "local", "exec"])
def test_a_stop_ends_the_run_wherever_it_lives(tmp_path: Path, mode: str) -> None:
    with living(tmp_path, mode) as house:
        task = house.post("ops", "scenario-slow")
        house.works(task)
        house.operate(task, "cancel")
        house.reaches(task, "cancelled")
        until(lambda: house.attempts(task)[0]["gone_at"] is not None)  # the task moves first
        (attempt,) = house.attempts(task)
        assert (attempt["exit_code"], attempt["abroad_at"]) == (143, None)
        quiet = len(house.calls())
        time.sleep(0.4)
        assert len(house.calls()) == quiet


@pytest.mark.parametrize("mode", ["local", "exec"])
def test_a_worker_in_its_own_session_does_not_outlive_its_relay(tmp_path: Path, mode: str) -> None:
    with living(tmp_path, mode) as house:
        task = house.post("ops", "scenario-slow")
        os.kill(house.works(task), signal.SIGKILL)
        house.reaches(task, "done")
        assert house.outcomes(task) == ["killed", "submitted"]


# --- a run that goes on without us ------------------------------------------------------------------------------------


def cut_off(house: Claws, by: Callable[[int], None] | None = None) -> int:
    """A task whose program is gone while its run goes on in the gateway."""
    task = house.post("ops", "scenario-slow")
    pid = house.works(task)
    (by or (lambda number: os.kill(number, signal.SIGKILL)))(pid)
    house.abroad(task)
    return task


def test_a_run_goes_on_in_the_gateway_until_a_person_says_it_is_over(tmp_path: Path) -> None:
    with living(tmp_path, "gateway") as house:
        task = cut_off(house)
        said, comments = len(house.calls()), house.value("SELECT count(*) FROM comments")
        until(lambda: len(house.calls()) > said + 3)
        assert set(house.calls()[said + 1 :]) != {"0"}, "it is fenced"
        assert house.value("SELECT count(*) FROM comments") == comments
        assert house.outcomes(task) == ["killed"]
        assert house.task(task)["status"] == "pending"
        assert 'orchestrator gone 1 "' in house.call("why", str(task)).stdout
        assert "its run may go on elsewhere" in house.call("status").stdout
        house.kill()
        house.start()
        time.sleep(0.5)
        assert house.outcomes(task) == ["killed"], "a restart proves nothing"
        gone = house.call("gone", "1", "killed it by hand")
        assert gone.returncode == 0, gone.stderr
        (event,) = house.events(task, "declared_gone")
        assert (event["reason"], event["actor"].split(":")[0]) == ("killed it by hand", "person")
        house.reaches(task, "done")
        assert house.outcomes(task) == ["killed", "submitted"]
        assert house.call("gone", "1", "again").returncode == 0
        assert house.call("gone", "9", "x").returncode == exits.NOT_FOUND


def test_a_lost_connection_does_not_end_a_run(tmp_path: Path) -> None:
    with living(tmp_path, "gateway") as house:
        task = cut_off(house, lambda _pid: (house.state / "cut").touch())
        (attempt,) = house.attempts(task)
        assert (attempt["outcome"], attempt["failure_kind"]) == ("crashed", "network")
        assert attempt["run_id"]
        assert house.turns()
        (house.state / "cut").unlink()
        assert house.stop() == 0
        assert house.call("gone", "1", " ").returncode == exits.REFUSED
        gone = house.call("gone", "1", "looked into the gateway")  # no daemon: by itself
        assert gone.returncode == 0, gone.stderr
        house.start()
        house.reaches(task, "done")


def test_only_a_run_elsewhere_can_be_said_to_be_gone(tmp_path: Path) -> None:
    with living(tmp_path, "local") as house:
        task = house.post("ops", "scenario-slow")
        house.works(task)
        refused = house.call("gone", "1", "I think so")
        assert refused.returncode == exits.REFUSED
        assert "never said" in refused.stderr
        house.operate(task, "cancel")
        house.reaches(task, "cancelled")


def test_a_probe_tells_when_the_run_is_over_and_no_answer_is_no_proof(tmp_path: Path) -> None:
    folder = tmp_path / "house" / "claw"
    script = f'echo "$1 $2" >> {folder}/asked; exit $(cat {folder}/answer)'
    probe = ["/bin/sh", "-c", script, "probe", "{session_key}", "{agent}"]
    cancel = ["/bin/sh", "-c", f"echo {{session_key}} >> {folder}/cancelled"]
    with living(tmp_path, "gateway", probe=probe, cancel=cancel, probe_every_seconds=0.2, hold_seconds=0.1) as house:
        (folder / "answer").write_text("0")
        task = cut_off(house)
        asked = folder / "asked"
        until(lambda: asked.exists() and len(asked.read_text().splitlines()) > 2)
        key = house.attempts(task)[0]["session_key"]
        assert asked.read_text().splitlines()[0] == f"{key} ops"
        (folder / "answer").write_text("3")
        until(lambda: house.events(task, "no_answer"))
        house.kill()
        house.start()
        asked.unlink()
        until(lambda: asked.exists() and len(asked.read_text().splitlines()) > 2)
        assert house.outcomes(task) == ["killed"]
        assert len(house.events(task, "no_answer")) == 1
        (folder / "answer").write_text("1")
        house.reaches(task, "done")
        assert (folder / "cancelled").read_text() == f"{key}\n"
        assert house.outcomes(task) == ["killed", "submitted"]


def test_a_hold_is_waited_for_also_by_the_next_daemon(tmp_path: Path) -> None:
    with living(tmp_path, "gateway", hold_seconds=3) as house:
        task = cut_off(house)
        house.kill()
        house.start()
        assert house.outcomes(task) == ["killed"]
        house.reaches(task, "done")
        first, second = house.attempts(task)
        held = "SELECT (julianday(gone_at) - julianday(abroad_at)) * 86400 FROM attempts WHERE id = :id"
        assert 3 <= house.value(held, id=first["id"]) + 0.01 < 8
        assert second["claimed_at"] >= first["gone_at"]
