"""The product as people install it: built, put into an empty environment, and run far from the checkout.

Never looks at the packages of the environment the tests themselves run in.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("blackboard", "orchestrator", "api", "prompts")


def ran(*argv: str | Path, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Run to the end and return what was printed; anything but exit code 0 fails with it."""
    done = subprocess.run(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"{argv} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def a_free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution, so that both are known to be whole."""
    out = tmp_path_factory.mktemp("dist")
    ran(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    [built] = out.glob("blackboard_orchestrator-*.whl")
    return built


@pytest.mark.timeout(120)
def test_the_wheel_holds_every_file_the_product_reads(wheel: Path) -> None:
    held = zipfile.ZipFile(wheel).namelist()
    files = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and not any(part.startswith((".", "__pycache__")) for part in path.relative_to(ROOT).parts)
    }
    assert files | {"blackboard/schema.sql"} == {name for name in held if ".dist-info/" not in name}
    assert any(name.startswith("prompts/") and not name.endswith(".py") for name in held)


@pytest.mark.timeout(120)
def test_the_schema_in_the_wheel_is_the_one_people_read(wheel: Path) -> None:
    assert zipfile.ZipFile(wheel).read("blackboard/schema.sql") == (ROOT / "schema.sql").read_bytes()


@pytest.mark.timeout(240)  # downloads what the product depends on
def test_an_installed_wheel_runs_from_anywhere(wheel: Path, tmp_path: Path) -> None:
    venv, board, home = tmp_path / "venv", tmp_path / "board", tmp_path / "home"
    home.mkdir()
    ran(sys.executable, "-m", "venv", "--without-pip", venv, cwd=tmp_path)
    install = (sys.executable, "-m", "pip", "--python", venv / "bin/python", "install", "-q")
    ran(*install, "-c", ROOT / "constraints.txt", wheel, cwd=tmp_path)

    root, nearly_empty = Path("/"), {"PATH": os.defpath, "HOME": str(home), "LANG": "C.UTF-8"}
    nearly_empty["ORCH_API__PORT"] = str(a_free_port())  # `check` asks whether the daemon could listen
    orchestrator, config = venv / "bin/orchestrator", board / "orchestrator.toml"
    assert "init" in ran(orchestrator, "--help", cwd=root, env=nearly_empty)
    ran(orchestrator, "init", board, cwd=root, env=nearly_empty)
    assert config.is_file()
    ran(orchestrator, "check", "--config", config, cwd=root, env=nearly_empty)
    ran(orchestrator, "doctor", "--config", config, cwd=root, env=nearly_empty)


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert {re.split(r"[^\w-]", name)[0] for name in asked} - set(pinned) == set()
