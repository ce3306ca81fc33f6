"""Stands in for the seven agent programs in tests: reads its prompt, refuses, prints and exits as the real one does.

Called as `stand_in_program.py NAME WORD...`. What the "model" does stands in the prompt as `scenario-NAME`.
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
from typing import NoReturn

NAME, WORDS = sys.argv[1], sys.argv[2:]
VERSIONS = {
    "codex": "codex-cli 0.169.0", "claude": "2.1.329 (Claude Code)", "opencode": "1.18.33", "gemini": "0.61.0",
    "pi": "0.73.1", "qwen": "0.24.4", "mini": "mini-swe-agent version 2.4.6",
}  # fmt: skip
# What the real one needs to go on without a person, and what it knows.
NEEDS = {
    "codex": {"exec", "--json", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "-"},
    "claude": {"-p", "--allowedTools"},
    "opencode": {"run", "--format"},
    "gemini": {"--approval-mode", "--skip-trust", "--prompt="},
    "pi": {"--print", "--mode", "--offline"},
    "qwen": {"--approval-mode"},
    "mini": {"--yolo", "--exit-immediately", "--output", "--task"},
}
ENV = {
    "claude": "CLAUDE_CODE_MAX_RETRIES", "opencode": "OPENCODE_DISABLE_AUTOUPDATE", "gemini": "GEMINI_CLI_NO_RELAUNCH",
    "pi": "PI_OFFLINE", "mini": "MSWEA_CONFIGURED",
}  # fmt: skip


def ends(code: int, stdout: str = "", stderr: str = "") -> NoReturn:
    print(stdout, end="", flush=True)
    print(stderr, end="", file=sys.stderr, flush=True)
    os._exit(code)


def lines(*values: object) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def option(name: str) -> str:
    return WORDS[WORDS.index(name) + 1] if name in WORDS else ""


def prompt() -> str:
    if NAME == "mini":
        if sys.stdin.read():
            ends(1, stderr="standard input is not for me\n")
        return option("--task")
    return sys.stdin.read()


HOME = Path(os.environ.get("HOME", "/nowhere"))
UNKNOWN = {
    "codex": "no rollout found for thread id", "claude": "No conversation found with session ID:", "gemini":
    "Error resuming session: invalid session", "qwen": "No saved session found with ID", "opencode": "Session not found",
    "pi": "No session found matching",
}  # fmt: skip


def resumed() -> str:
    """The session it is to go on with; empty for a fresh one."""
    if NAME == "codex":
        return WORDS[-2] if WORDS[:2] == ["exec", "resume"] else ""
    return option("--session") if NAME in ("pi", "opencode") else option("--resume")


def session() -> tuple[str, int]:
    """Its session, and which run of it this is. An own id is taken once; what is not known cannot be gone on with."""
    if asked := resumed():
        known = HOME / f"session-{asked}"
        if not known.exists():
            ends(42 if NAME == "gemini" else 1, stderr=f"{UNKNOWN[NAME]} {asked}\n")
        folder, runs = known.read_text().rsplit(" ", 1)
        if folder != os.getcwd() and NAME == "gemini":
            ends(42, stderr="Error resuming session: not of this project\n")
        if folder != os.getcwd() and NAME == "pi":
            ends(0, "Session found in a different project. Fork it? [y/N]\n")
        if folder != os.getcwd() and NAME == "opencode":
            hang()
        return asked, int(runs) + 1
    own = option("--session-id")
    if own and (HOME / f"session-{uuid.UUID(own)}").exists():
        ends(42 if NAME == "gemini" else 1, stderr=f"Session ID {own} is already in use\n")
    begun = len(list(HOME.glob(f"session-ses_{NAME}*")))
    return own or f"ses_{NAME}{begun or ''}", 1


def work(told: str) -> None:
    """The calls of a good turn."""
    found = re.search(r"'?(/[^\s'`\"]+/bb)\b", told)
    assert found, told
    for words, text in ((["start"], ""), (["output", "document", "T", "-"], "hello"), (["submit"], "")):
        subprocess.run([found[1], *words], input=text, text=True, stdout=subprocess.DEVNULL, check=True)


def hang() -> NoReturn:
    """A tool call in a session of its own that the program leaves behind when TERM or INT ends it."""
    subprocess.Popen(["sleep", "600"], start_new_session=True, stdin=subprocess.DEVNULL)
    for number, word in ((signal.SIGTERM, "TERM"), (signal.SIGINT, "INT")):
        signal.signal(number, lambda _n, _f, word=word: _signalled(word))
    begins = {"codex": {"type": "thread.started", "thread_id": OWN}, "pi": {"type": "session", "id": OWN}}
    begins["opencode"] = {"type": "step_start", "sessionID": OWN}
    print(lines(begins[NAME]) if NAME in begins else "", end="", flush=True)
    Path("hangs").touch()
    while True:
        time.sleep(1)


def _signalled(word: str) -> NoReturn:
    Path("signalled").write_text(word)
    ends({"gemini": 0, "codex": 1}.get(NAME, 143))


def codex(own: str, failure: str) -> NoReturn:
    start = ({"type": "thread.started", "thread_id": own}, {"type": "turn.started"})
    if failure:
        said = {"message": failure}
        ends(1, lines(*start, {"type": "error", **said}, {"type": "turn.failed", "error": said}))
    message = {"type": "item.completed", "item": {"id": "i", "type": "agent_message", "text": "did it"}}
    usage = {"input_tokens": 107 * RUN, "cached_input_tokens": 7 * RUN, "output_tokens": 20 * RUN}
    ends(0, lines(*start, message, {"type": "turn.completed", "usage": usage}))


def result(own: str, failure: str) -> dict[str, object]:
    usage = {"input_tokens": 100, "cache_read_input_tokens": 7, "output_tokens": 20}
    if NAME == "qwen":  # of the whole session, and the cached ones among the others
        usage = {"input_tokens": 107 * RUN, "cache_read_input_tokens": 7 * RUN, "output_tokens": 20 * RUN}
    return {
        "type": "result", "subtype": "success", "is_error": bool(failure), "result": failure or "did it",
        "session_id": own, "usage": usage, "permission_denials": [],
    }  # fmt: skip


def claude(own: str, failure: str) -> NoReturn:
    priced = {"total_cost_usd": 0.5 * RUN, "modelUsage": {"M": {"outputTokens": 20}}}
    ends(int(bool(failure)), lines(result(own, failure) | priced))


def qwen(own: str, failure: str) -> NoReturn:
    ends(int(bool(failure)), lines([{"type": "system", "subtype": "init"}, result(own, failure)]))


def opencode(own: str, failure: str) -> NoReturn:
    if failure:
        ends(1, lines({"type": "error", "sessionID": own, "error": {"name": "APIError", "data": {"message": failure}}}))
    tokens = {"input": 50, "output": 8, "reasoning": 2, "cache": {"read": 3, "write": 0}}
    step = {"type": "step_finish", "sessionID": own, "part": {"tokens": tokens, "cost": 0.25}}
    step["part"] |= {"reason": "tool-calls"}  # type: ignore[operator]
    last = {**step, "part": {"tokens": {**tokens, "cache": {"read": 4}}, "cost": 0.25, "reason": "stop"}}
    text = {"type": "text", "sessionID": own, "part": {"type": "text", "text": "did it"}}
    ends(0, lines({"type": "step_start", "sessionID": own}, step, {"type": "step_start"}, text, last))


def gemini(own: str, failure: str) -> NoReturn:
    if failure:
        error = {"session_id": own, "error": {"type": "Error", "message": failure, "code": int(failure[:3])}}
        ends(int(failure[:3]) % 256, stderr="noise\n" + json.dumps(error, indent=2) + "\n")
    tokens = {"prompt": 107, "candidates": 20, "cached": 7, "total": 127}
    ends(
        0,
        json.dumps({"session_id": own, "response": "did it", "stats": {"models": {"M": {"tokens": tokens}}}}, indent=2),
    )


def pi(own: str, failure: str) -> NoReturn:
    answer = {"role": "assistant", "provider": "stub", "model": "M", "content": [{"type": "text", "text": "did it"}]}
    answer |= {"usage": {"input": 100, "output": 20, "cacheRead": 7, "cost": {"total": 0.5}}, "stopReason": "stop"}
    if failure:
        answer |= {"content": [], "stopReason": "error", "errorMessage": failure, "usage": {}}
    ends(0, lines({"type": "session", "id": own}, {"type": "message_end", "message": answer}, {"type": "agent_end"}))


def mini(_own: str, failure: str) -> NoReturn:
    stats = {"api_calls": 4, "instance_cost": 0.5}
    info = {"exit_status": "AuthenticationError", "submission": ""}
    messages = [{"role": "exit", "extra": {**info, "exception_str": failure}}]
    if not failure:
        info, messages = {"exit_status": "Submitted", "submission": "did it"}, []
    Path(option("--output")).write_text(json.dumps({"info": info | {"model_stats": stats}, "messages": messages}))
    ends(int(bool(failure)), "a transcript { for people\n")


FAILURES = {
    "auth": "401 invalid api key", "limited": "429 Too Many Requests", "poison": "400 maximum context length exceeded",
}  # fmt: skip
OWN, RUN = "", 1

if __name__ == "__main__":
    if NAME == "mini" and WORDS == ["--help"]:
        ends(0, f"{VERSIONS[NAME]}\nUsage: mini [OPTIONS]\n")
    if NAME != "mini" and WORDS == ["--version"]:
        ends(0, *(("", VERSIONS[NAME]) if NAME == "pi" else (VERSIONS[NAME], "")))
    if missing := NEEDS[NAME] - set(WORDS):
        ends(2, stderr=f"a person would be asked: {missing}\n")
    if NAME in ENV and not os.environ.get(ENV[NAME]):
        ends(2, stderr=f"{ENV[NAME]} is not set\n")
    told = prompt()
    scenario = re.search(r"scenario-([a-z]+)", told)
    name = scenario[1] if scenario else "good"
    OWN, RUN = session()
    Path("argv.json").write_text(json.dumps(WORDS))
    if name == "poison":
        name = "good" if Path("poisoned").exists() else name
        Path("poisoned").touch()
    if name != "forgets":
        (HOME / f"session-{OWN}").write_text(f"{os.getcwd()} {RUN}")
    if name == "hang":
        hang()
    if name in ("good", "forgets"):
        work(told)
    globals()[NAME](OWN, FAILURES.get(name, ""))
