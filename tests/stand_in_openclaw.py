"""Stands in for the program `openclaw` in tests: its arguments, its JSON, its processes and how they take signals.

`agent` through a gateway hands the turn to another process and waits; `agent --local` and `agent exec` have a worker in
a session of its own. What the "model" does stands in the prompt as `scenario-NAME`. The folder is OPENCLAW_STATE_DIR.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any, NoReturn

STATE = Path(os.environ["OPENCLAW_STATE_DIR"])
POLL = 0.02
USAGE = {"input": 100, "output": 20, "cacheRead": 7, "cacheWrite": 0, "total": 127}
ABOUT = {"sessionId": "s-1", "provider": "stub", "model": "M", "usage": USAGE, "costUsd": 0.5}


def written(path: Path, value: object) -> None:
    """Whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value))
    temporary.rename(path)


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else ""


def ends(code: int, value: object = None, complaint: str = "") -> NoReturn:
    if value is not None:
        print(json.dumps(value, indent=2), flush=True)
    if complaint:
        print(complaint, file=sys.stderr, flush=True)
    os._exit(code)


# --- the model's work -------------------------------------------------------------------------------------------------


def work(message: Path) -> str:
    """One turn; its last words."""
    scenario = re.search(r"scenario-([a-z]+)", message.read_text())
    name = scenario[1] if scenario else "good"
    bb = str(message.parent / "bb")
    first = not (STATE / "tried").exists()
    (STATE / "tried").touch()
    subprocess.run([bb, "start"], stdout=subprocess.DEVNULL)
    if name == "slow" and first:
        while not (STATE / "enough").exists():
            code = subprocess.run([bb, "comment", "still at it"], capture_output=True).returncode
            with (STATE / "calls.log").open("a") as log:
                log.write(f"{code}\n")
            time.sleep(0.1)
    elif name != "silent":
        out = STATE / f"{uuid.uuid4()}.txt"
        out.write_text("hello")
        subprocess.run([bb, "output", "document", "T", "-"], stdin=out.open(), stdout=subprocess.DEVNULL)
        subprocess.run([bb, "submit"], stdout=subprocess.DEVNULL)
    return f"did {name}"


# --- the gateway ------------------------------------------------------------------------------------------------------


def gateway() -> NoReturn:
    """Runs what is asked for, until it is killed: `NAME.ask` begins, `NAME.abort` ends, `NAME.said` is its result."""
    runs: dict[str, subprocess.Popen[bytes]] = {}
    (STATE / "up").touch()
    while True:
        for ask in STATE.glob("*.ask"):
            order = json.loads(ask.read_text())
            ask.unlink()
            runs[ask.stem] = subprocess.Popen([sys.executable, __file__, "turn", order["message"], ask.stem])
        for name, run in list(runs.items()):
            if (STATE / f"{name}.abort").exists():
                run.kill()
            if run.poll() is not None:
                written(STATE / f"{name}.over", run.returncode)
                del runs[name]
        time.sleep(POLL)


def turn() -> None:
    written(STATE / f"{sys.argv[3]}.said", work(Path(sys.argv[2])))


def through_gateway() -> NoReturn:
    """The command: ask, wait, and on TERM or INT have the run ended first. KILL ends only this process."""
    if not (STATE / "up").exists():
        ends(1, {"ok": False, "error": {"type": "cli_error", "message": "gateway not reachable: connect ECONNREFUSED"}})
    name = str(uuid.uuid4())

    def aborted(number: int, _frame: object) -> None:
        (STATE / f"{name}.abort").touch()
        while not (STATE / f"{name}.over").exists():
            time.sleep(POLL)
        os._exit(128 + number)

    signal.signal(signal.SIGTERM, aborted)
    signal.signal(signal.SIGINT, aborted)
    written(STATE / f"{name}.ask", {"message": option("--message-file")})
    while not (STATE / f"{name}.over").exists():
        if (STATE / "cut").exists():  # the connection is lost, and the run goes on
            error = {"type": "cli_error", "message": "gateway closed: socket hang up"}
            ends(1, {"ok": False, "error": error, "runId": name, "origin": "gateway"})
        time.sleep(POLL)
    said = STATE / f"{name}.said"
    result = turn_result(json.loads(said.read_text()) if said.exists() else "")
    ends(0, {"runId": name, "status": "ok", "summary": "completed", "result": result})


def turn_result(text: str) -> dict[str, Any]:
    return {"payloads": [{"text": text}], "meta": {"agentMeta": ABOUT, "finalPromptText": "{" * 100_000}}


# --- without a gateway ------------------------------------------------------------------------------------------------


def alone() -> NoReturn:
    """A worker in a session of its own does the turn. TERM ends both; KILL ends only this process."""
    name = f"{STATE}/{uuid.uuid4()}"
    worker = subprocess.Popen(
        [sys.executable, __file__, "turn", option("--message-file"), Path(name).name], start_new_session=True
    )

    def told(number: int, _frame: object) -> None:
        worker.kill()
        os._exit(128 + number)

    signal.signal(signal.SIGTERM, told)
    worker.wait()
    text = json.loads(Path(f"{name}.said").read_text())
    if "exec" in sys.argv:
        ends(0, {"ok": True, "status": "ok", "final": text, "payloads": [{"text": text}], **ABOUT})
    ends(0, turn_result(text), "[diagnostics] go to stderr")


def agent() -> NoReturn:
    with (STATE / "argv.log").open("a") as log:
        log.write(json.dumps(sys.argv[1:]) + "\n")
    prompt = Path(option("--message-file")).read_text()
    if "scenario-busy" in prompt:
        ends(1, complaint="Error: failed to acquire gateway state ownership")
    if "scenario-limited" in prompt:
        meta = {"agentMeta": {**ABOUT, "usage": None}, "error": {"kind": "rate_limit", "message": "429"}}
        ends(1, {"runId": "r", "status": "error", "summary": "failed", "result": {"payloads": [], "meta": meta}})
    if "scenario-nobody" in prompt:
        ends(1, {"ok": False, "error": {"type": "cli_error", "message": 'Unknown agent id "nobody"'}})
    if "--local" in sys.argv or "exec" in sys.argv:
        alone()
    through_gateway()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--version"]:
            print("OpenClaw 2026.9.6 (stand-in)")
        case ["gateway", *_]:
            gateway()
        case ["turn", *_]:
            turn()
        case ["agent", *_]:
            agent()
