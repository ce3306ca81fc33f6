"""The unit of docs/systemd.md: what it says is what the page promises, and a stop by it leaves agents to the next start."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import processes
from tests.daemon import ROOT, WAIT, House, until

PAGE = ROOT / "docs" / "systemd.md"
WAITS = 'bb start; touch "$here/at-work"; while [ ! -e "$here/go" ]; do sleep 0.05; done; echo x >out.txt; bb output data T out.txt; bb submit'


def unit_text() -> str:
    (block,) = re.findall(r"^```ini\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return str(block)


def service() -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit_text())
    assert parser.sections() == ["Unit", "Service", "Install"]
    return dict(parser["Service"])


def test_the_unit_says_what_a_takeover_needs_and_nothing_that_breaks_it() -> None:
    said = service()
    assert {key: said[key] for key in ("KillMode", "Restart", "UMask", "OOMPolicy", "TimeoutStopSec")} == {
        "KillMode": "process", "Restart": "on-failure", "UMask": "0077", "OOMPolicy": "continue", "TimeoutStopSec": "60"
    }  # fmt: skip
    assert said["ExecStart"].endswith(" run --on-exit leave")
    left_out = re.findall(r"^- ((?:`[^`]+`(?:, )?)+):", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    names = {name for line in left_out for name in re.findall(r"`(\w+)=", line)}
    assert len(names) == 6 and names.isdisjoint(said)


def test_systemd_itself_finds_nothing_wrong(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:  # not on every machine; what the unit says is held above without it
        return
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", unit_text(), flags=re.MULTILINE)
    unit = tmp_path / "blackboard.service"
    unit.write_text(text.replace("User=blackboard", "User=root").replace("=/srv/blackboard\n", f"={tmp_path}\n"))
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    complaints = [line for line in (done.stdout + done.stderr).splitlines() if "blackboard.service" in line]
    assert complaints == []


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "house")
    made.agent("ada", WAITS)
    yield made
    if made.daemon is not None:
        made.stop()


def as_the_unit_starts(house: House) -> subprocess.Popen[bytes]:
    """ExecStart with this house's program and configuration in the place of the page's."""
    program, *words = shlex.split(service()["ExecStart"])
    assert program.endswith("/bin/orchestrator")
    words = [str(house.config) if word.endswith("/orchestrator.toml") else word for word in words]
    house.configure()
    with (house.folder / "daemon.log").open("ab") as log:
        house.daemon = subprocess.Popen([sys.executable, "-m", "orchestrator", *words], env=house.environment, cwd=house.folder, stdout=log, stderr=log, umask=int(service()["UMask"], 8))  # fmt: skip
    until(house.listens, story=house.told)
    return house.daemon


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stop", "after TimeoutStopSec"])
def test_a_restart_by_the_unit_leaves_the_agent_at_work_and_takes_it_over(house: House, how: signal.Signals) -> None:
    daemon = as_the_unit_starts(house)
    task = house.post("ada")
    until((house.folder / "at-work").exists, story=house.told)
    (attempt,) = until(lambda: [row for row in house.attempts(task) if row["agent_pid"]])
    alive = [processes.identity(attempt[who]) for who in ("launcher_pid", "agent_pid")]

    daemon.send_signal(how)  # KillMode=process: to the daemon and to nobody else
    code = daemon.wait(timeout=min(WAIT, float(service()["TimeoutStopSec"])))
    house.daemon = None

    assert code == (0 if how == signal.SIGTERM else -how)
    assert all(each is not None and processes.alive(each) for each in alive), "the agent and its launcher live on"
    as_the_unit_starts(house)
    (house.folder / "go").touch()
    house.reaches(task, "done")
    assert house.outcomes(task) == ["submitted"], "the very attempt that was at work, and no other"
