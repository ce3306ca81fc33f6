"""What the agent programs print becomes one result each: good, failed, cut off, empty or garbage; and how they are called."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.config_agent import AgentConfig
from orchestrator.config_program import Program
from orchestrator.config_session import RESUMING
from orchestrator.processes import Status
from orchestrator.runners.program import MOST_ARGUMENT
from orchestrator.runners.result import Result
from orchestrator.runners.runner import Ended, Place, Run, environment
from orchestrator.runners.table import PROGRAMS, RUNNERS
from orchestrator.verdict import verdict

NAMES = list(PROGRAMS)


def lines(*values: object) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def read(name: str, stdout: str = "", code: int | None = 0, stderr: str = "", report: str = "") -> Result:
    return PROGRAMS[name].parse(Ended(stdout, stderr, code, report))  # type: ignore[index]


# --- every one --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, None])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", ["", "\0{", "[1, 2", "{}\n[]\n", '"x"\n7\n{"type": 7}\n', "[" * 100_000])
def test_nothing_readable_says_nothing_whatever_the_exit_code(name: str, text: str, code: int | None) -> None:
    found = read(name, text, code, report=text)
    assert (found.status, found.final, found.failure_kind) == ("unknown", False, "crash")


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["type", "result", "usage", "item", "part", "tokens", "error", "message", "stats", "models", "info", "cost", "role",
         "is_error", "response", "stopReason", "exit_status", "modelUsage", "content"]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
TYPES = st.sampled_from(
    ["result", "error", "turn.completed", "turn.failed", "step_finish", "message_end", "session", "x"]
)


@settings(deadline=None)
@given(st.lists(st.tuples(TYPES, json_values), max_size=4), st.sampled_from(NAMES))
def test_any_json_at_all_is_read_without_a_fault(values: list[tuple[str, Any]], name: str) -> None:
    text = lines(
        *({"type": kind, **(value if isinstance(value, dict) else {"result": value})} for kind, value in values)
    )
    read(name, text, 1, text, text)


@pytest.mark.parametrize("name", NAMES)
def test_words_variables_and_place_of_the_prompt(name: str) -> None:
    agent = AgentConfig(runner=name, program=Program(binary="/x/p", model="m/1", args=("--more", "{not} a place")))
    brief = {"session_key": "k", "attempt": 1, "claimed_at": "2026-01-01T00:00:00.000Z"}
    run = Run("ada", agent, brief, Place(Path("/a"), Path("/w")), "http://x", "# Task $(x) {task}")
    runner = RUNNERS[name]
    words = runner.argv(run)
    assert words[0] == runner.program(agent) == "/x/p"
    assert words[words.index("--model") + 1] == "m/1"
    assert words[words.index("--more") + 1] == "{not} a place"
    assert ("# Task $(x) {task}" in words, runner.stdin(agent)) == (
        (True, False) if name == "mini-swe-agent" else (False, True)
    )
    assert runner.most_prompt_bytes == (MOST_ARGUMENT if name == "mini-swe-agent" else None)
    assert runner.environment(run)["CI"] == "1"
    if "--session-id" in words:
        own = words[words.index("--session-id") + 1]
        assert str(uuid.UUID(own)) == own
        again = Run("ada", agent, {**brief, "claimed_at": "2026-01-02T00:00:00.000Z"}, run.place, "http://x", "")
        assert own not in runner.argv(again)
        assert own in runner.argv(run)
    bare = RUNNERS[name].argv(Run("ada", AgentConfig(runner=name), brief, run.place, "http://x", "p"))
    assert bare[0] == PROGRAMS[name].binary  # type: ignore[index]
    assert "--model" not in bare


def test_the_operators_signal_and_seconds_go_before_the_programs_own() -> None:
    asked = AgentConfig(runner="codex", graceful_signal="HUP", grace_seconds=3)
    assert [(stop.signal, stop.grace) for stop in map(RUNNERS["codex"].stop, (AgentConfig(runner="codex"), asked))] == [
        (2, 10),
        (1, 3),
    ]


def test_secrets_in_the_operators_words_are_masked(tmp_path: Path) -> None:
    from orchestrator.config_loading import load

    file = tmp_path / "orchestrator.toml"
    file.write_text('[agents.a]\nrunner = "pi"\nprogram = { args = ["--api-key", "hush"] }\n')
    assert load(file, environ={}).shown()["agents"]["a"]["program"]["args"] == ["--api-key", "***"]


# --- one by one -------------------------------------------------------------------------------------------------------

START = ({"type": "thread.started", "thread_id": "t"}, {"type": "turn.started"})
MESSAGE = {"type": "item.completed", "item": {"type": "agent_message", "text": "a\u2028b"}}


def test_codex() -> None:
    usage = {"input_tokens": 10, "cached_input_tokens": 4, "output_tokens": 2, "reasoning_output_tokens": 1}
    other = {"type": "item.completed", "item": {"type": "reasoning", "text": "hm"}}
    good = lines(*START, MESSAGE, other, {"type": "turn.completed", "usage": usage})
    spent = {"input_tokens": 6, "cached_tokens": 4, "output_tokens": 2}
    assert read("codex", good) == Result("ok", True, "a\u2028b", session_id="t", **spent)
    failed = read(
        "codex", lines(*START, {"type": "turn.failed", "error": {"message": "HTTP 429 Too Many Requests"}}), 1
    )
    assert (failed.status, failed.failure_kind, failed.session_id) == ("error", "rate_limit", "t")
    assert read("codex", lines(*START, {"type": "error", "message": "401 Unauthorized"}), 1).failure_kind == "auth"
    assert read("codex", lines(*START, MESSAGE), 1).status == "unknown", "cut off"
    again = lines(
        *START, {"type": "error", "message": "stream lost; trying again"}, {"type": "turn.completed", "usage": {}}
    )
    assert read("codex", again).status == "ok"


def result(**more: object) -> dict[str, object]:
    usage = {"input_tokens": 10, "cache_creation_input_tokens": 5, "cache_read_input_tokens": 4, "output_tokens": 2}
    said = {
        "type": "result",
        "subtype": "success",
        "is_error": False,
        "result": "done",
        "session_id": "s",
        "usage": usage,
    }
    return said | more


def test_claude() -> None:
    priced = {"total_cost_usd": 0.5, "modelUsage": {"small": {"outputTokens": 1}, "big": {"outputTokens": 9}}}
    spent = {"input_tokens": 15, "cached_tokens": 4, "output_tokens": 2, "cost_usd": 0.5}
    assert read("claude", lines(result(**priced))) == Result("ok", True, "done", session_id="s", model="big", **spent)
    interrupted = read("claude", lines(result(is_error=True, subtype="error_during_execution", result=None)))
    assert (interrupted.status, interrupted.text, interrupted.failure_kind) == (
        "error",
        "error_during_execution",
        "crash",
    )
    assert (
        read("claude", lines(result(is_error=True, result="API Error: 529 overloaded")), 1).failure_kind == "rate_limit"
    )
    assert (
        read("claude", lines(result(is_error=True, result="Claude AI usage limit reached|1")), 1).failure_kind
        == "rate_limit"
    )
    assert read("claude", lines(result(is_error=True, result="Invalid API key")), 1).failure_kind == "auth"
    assert read("claude", lines(result(is_error=True, result="Prompt is too long")), 1).failure_kind == "context"
    denied = read("claude", lines(result(permission_denials=[{"tool_name": "Bash"}])))
    assert (denied.status, denied.failure_kind) == ("ok", "refused")
    assert read("claude", lines(result())[:-20]).status == "unknown", "cut off"


def test_qwen() -> None:
    array = [{"type": "system"}, result(usage={"input_tokens": 10, "cache_read_input_tokens": 4, "output_tokens": 2})]
    spent = {"input_tokens": 6, "cached_tokens": 4, "output_tokens": 2}
    assert read("qwen", "noise\n" + lines(array)) == Result("ok", True, "done", session_id="s", **spent)
    failed = [result(is_error=True, result=None, error={"message": "connect ECONNREFUSED"})]
    assert read("qwen", lines(failed), 1).failure_kind == "network"


def test_opencode() -> None:
    def step(reason: str) -> dict[str, object]:
        tokens = {"input": 5, "output": 2, "reasoning": 1, "cache": {"read": 3}}
        return {"type": "step_finish", "sessionID": "ses_1", "part": {"reason": reason, "tokens": tokens, "cost": 0.25}}

    text = {"type": "text", "sessionID": "ses_1", "part": {"text": "done"}}
    spent = {"input_tokens": 10, "cached_tokens": 6, "output_tokens": 6, "cost_usd": 0.5}
    good = read("opencode", lines(step("tool-calls"), text, step("stop")))
    assert good == Result("ok", True, "done", session_id="ses_1", **spent)
    assert read("opencode", lines(text, step("tool-calls"))).status == "unknown", "cut off"
    error = {"type": "error", "sessionID": "ses_1", "error": {"name": "APIError", "data": {"message": "Unauthorized"}}}
    failed = read("opencode", lines(error), 1)
    assert (failed.status, failed.text, failed.failure_kind) == ("error", "APIError: Unauthorized", "auth")


def test_gemini() -> None:
    tokens = {"prompt": 10, "cached": 4, "candidates": 2, "thoughts": 1, "total": 13}
    said = {"session_id": "s", "response": "done", "stats": {"models": {"g": {"tokens": tokens}}}}
    spent = {"input_tokens": 6, "cached_tokens": 4, "output_tokens": 3}
    assert read("gemini", json.dumps(said, indent=2)) == Result("ok", True, "done", session_id="s", model="g", **spent)
    error = json.dumps({"error": {"type": "Error", "message": "no such key", "code": 401}}, indent=2)
    assert read("gemini", "", 145, f"YOLO mode\n{error}\n").failure_kind == "auth"
    assert read("gemini", "", 145).failure_kind == "auth", "401 less 256"
    assert read("gemini", "", 173).failure_kind == "rate_limit"


def test_pi() -> None:
    def answer(**more: object) -> dict[str, object]:
        usage = {"input": 5, "output": 2, "cacheRead": 3, "cacheWrite": 1, "cost": {"total": 0.25}}
        said = {"role": "assistant", "provider": "p", "model": "m", "content": [], "usage": usage}
        return {"type": "message_end", "message": said | more}

    first = ({"type": "session", "id": "s"}, answer(stopReason="toolUse"))
    good = lines(*first, answer(stopReason="stop", content=[{"type": "thinking"}, {"type": "text", "text": "done"}]))
    spent = {"input_tokens": 12, "cached_tokens": 6, "output_tokens": 4, "cost_usd": 0.5}
    assert read("pi", good) == Result("ok", True, "done", session_id="s", provider="p", model="m", **spent)
    failed = read("pi", lines(*first, answer(stopReason="error", errorMessage="401 bad key")), 0)
    assert (failed.status, failed.failure_kind, failed.text) == ("error", "auth", "401 bad key")
    assert read("pi", lines(*first, answer(stopReason="aborted"))).status == "cancelled"
    assert read("pi", lines(*first, answer(stopReason="length"))).failure_kind == "context"
    assert read("pi", lines(*first)).status == "unknown", "cut off"


def test_mini() -> None:
    def info(status: str, submission: str, cost: float) -> str:
        stats = {"api_calls": 3, "instance_cost": cost}
        return json.dumps({"info": {"exit_status": status, "submission": submission, "model_stats": stats}})

    assert read("mini-swe-agent", "people\n", report=info("Submitted", "done", 0.5)) == Result(
        "ok", True, "done", cost_usd=0.5
    )
    assert read("mini-swe-agent", report=info("Submitted", "done", 0)).cost_usd is None
    spent = {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 30}}
    answers = [{"role": "assistant", "extra": {"response": {"usage": each}}} for each in (spent, {"prompt_tokens": 5})]
    told = {"info": {"exit_status": "Submitted", "submission": "done\n"}, "messages": [{"role": "user"}, *answers]}
    assert read("mini-swe-agent", report=json.dumps(told)) == Result(
        "ok", True, "done", input_tokens=75, cached_tokens=30, output_tokens=10
    )
    failed = read("mini-swe-agent", "", 1, report=info("AuthenticationError", "", 0))
    assert (failed.status, failed.text, failed.failure_kind) == ("error", "AuthenticationError", "auth")
    assert read("mini-swe-agent", report=info("RateLimitError", "", 0)).failure_kind == "rate_limit"
    assert read("mini-swe-agent", report=info("LimitsExceeded", "", 0)).failure_kind == "crash"


# --- ends as they were measured: (runner, what it printed, exit code, its complaint) → what is understood ------------------

THREAD = lines(*START)
SESSION_LINE = lines({"type": "session", "id": "s"})
PI_FAILED = {"role": "assistant", "content": [], "stopReason": "error", "errorMessage": "500 oops", "usage": {}}
NO_CONVERSATION = lines(result(is_error=True, result=None, subtype="error_during_execution", errors=["No conversation found with session ID: x"]))  # fmt: skip
OPENCODE_500 = lines(
    {"type": "error", "sessionID": "ses_1", "error": {"name": "APIError", "data": {"message": "oops"}}}
)
MEASURED: list[tuple[str, str, int, str, str, str | None, str | None]] = [
    # runner, stdout, code, stderr, status, kind of failure, session
    ("codex", THREAD, 1, "", "unknown", "crash", "t"),  # INT in the middle
    ("codex", THREAD + lines({"type": "turn.failed", "error": {"message": "500 Internal"}}), 1, "", "error", "crash", "t"),
    ("codex", "", 1, "Error: no rollout found for thread id x", "unknown", "session", None),
    ("claude", lines(result(is_error=True, subtype="error_during_execution", result=None)), 0, "", "error", "crash", "s"),  # INT
    ("claude", "", 0, "", "unknown", "crash", None),  # INT while it waits for the model
    ("claude", "", 143, "", "unknown", "crash", None),  # TERM
    ("claude", lines(result(is_error=True, subtype="error_max_turns", result=None)), 1, "", "error", "crash", "s"),
    ("claude", lines(result(permission_denials=[{"tool_name": "Bash"}])), 0, "", "ok", "refused", "s"),
    ("claude", "", 1, "Error: Session ID x is already in use.", "unknown", "session", None),
    ("claude", NO_CONVERSATION, 1, "", "error", "session", "s"),
    ("opencode", lines({"type": "step_start", "sessionID": "ses_1"}), 143, "", "unknown", "crash", "ses_1"),
    ("opencode", OPENCODE_500, 1, "", "error", "crash", "ses_1"),
    ("opencode", "", 1, "Error: Session not found", "unknown", "session", None),
    ("gemini", "", 0, "", "unknown", "crash", None),  # TERM or INT
    ("gemini", "", 145, "", "error", "auth", None),
    ("gemini", "", 42, "", "error", "session", None),
    ("pi", SESSION_LINE, 143, "", "unknown", "crash", "s"),  # TERM
    ("pi", SESSION_LINE + lines({"type": "message_end", "message": PI_FAILED}), 0, "", "error", "crash", "s"),
    ("pi", "Session found in a different project. Fork? [y/N]\n", 0, "", "unknown", "crash", None),
    ("qwen", lines([result(is_error=True, result="[API Error: 401 bad key]")]), 1, "", "error", "auth", "s"),
    ("qwen", "", 1, "Session ID x is already in use", "unknown", "session", None),
    ("mini-swe-agent", "people\n", 1, "", "unknown", "crash", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "stdout", "code", "stderr", "status", "kind", "session"), MEASURED)
def test_every_end_that_was_measured_is_understood(
    name: str, stdout: str, code: int, stderr: str, status: str, kind: str | None, session: str | None
) -> None:
    found = read(name, stdout, code, stderr)
    assert (found.status, found.failure_kind, found.session_id) == (status, kind, session)
    if status == "unknown":  # whatever the exit code, it is no success
        assert verdict(Status("exit", code=code), found).outcome == ("no_report" if code == 0 else "crashed")


# --- sessions and the deadline -----------------------------------------------------------------------------------------------

RESUMED = {
    "codex": "exec resume --json --skip-git-repo-check --dangerously-bypass-approvals-and-sandbox -c model=\"m\" --more ID -",
    "claude": "-p --output-format json --model m --allowedTools Bash --resume ID --more",
    "opencode": "run --format json --model m --session ID --more",
    "gemini": "--output-format json --approval-mode yolo --skip-trust --model m --resume ID --more --prompt=",
    "pi": "--print --mode json --offline --model m --session ID --more",
    "qwen": "--output-format json --approval-mode yolo --model m --resume ID --more",
}  # fmt: skip
BRIEF = {"session_key": "k", "attempt": 2, "claimed_at": "x", "limits": {"wall_seconds": 100}}


def asked(name: str, brief: dict[str, object], **agent: object) -> Run:
    program = Program(model="m", args=("--more",))
    return Run("ada", AgentConfig(runner=name, program=program, **agent), {**BRIEF, **brief}, Place(Path("/a"), Path("/w")), "http://x", "p")  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize("name", RESUMED)
def test_the_words_that_go_on_with_a_session(name: str) -> None:
    words = RUNNERS[name].argv(asked(name, {"session_id": "ID", "resumes": 1}))
    assert " ".join(words[1:]) == RESUMED[name]
    assert set(RESUMED) == {each for each in NAMES if PROGRAMS[each].resume} == set(RESUMING)  # type: ignore[index]


@pytest.mark.parametrize("name", [each for each in RESUMED if each != "codex"])
def test_a_resumed_call_says_all_that_a_fresh_one_says(name: str) -> None:
    fresh, resumed = PROGRAMS[name].words, PROGRAMS[name].resume  # type: ignore[index]
    assert [word for word in fresh if word not in ("--session-id", "{session}")] == [
        word for word in resumed if word not in ("--resume", "--session", "{session}")
    ]


def test_the_deadline_is_told_in_words_and_variables_and_nothing_else_is_filled_in() -> None:
    program = Program(args=("--for={deadline_seconds}", '{"a": 1}'))
    agent = AgentConfig(runner="pi", program=program, env={"FOR": "{deadline_seconds} s", "OTHER": "{task}"})
    run = Run("ada", agent, BRIEF, Place(Path("/a"), Path("/w")), "http://x", "p")
    assert RUNNERS["pi"].argv(run)[-2:] == ["--for=75", '{"a": 1}']
    told = environment(agent, {}, "m", {}, run.told)
    assert (told["FOR"], told["OTHER"]) == ("75 s", "{task}")
