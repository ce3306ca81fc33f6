"""What openclaw prints becomes one result: every form of its JSON, whole, cut off, or with noise around it.

And what becomes of the attempt then: the outcome of a program that is gone.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config_agent import AgentConfig
from orchestrator.processes import Status
from orchestrator.runners import reading
from orchestrator.runners.openclaw_output import last_object, parse
from orchestrator.runners.result import Result
from orchestrator.runners.runner import Ended
from orchestrator.verdict import verdict

USAGE = {"input": 120, "output": 8, "cacheRead": 30, "cacheWrite": 0, "total": 158}
ABOUT = {"sessionId": "s1", "provider": "stub", "model": "m", "usage": USAGE, "costUsd": 0.25}
META = {"durationMs": 3, "agentMeta": ABOUT, "finalAssistantVisibleText": "shown", "systemPromptReport": {"x": "}{"}}
TURN = {"payloads": [{"text": "first"}, {"text": "all done", "mediaUrl": None}], "meta": META}
SPENT = {"session_id": "s1", "provider": "stub", "model": "m", "input_tokens": 120, "cached_tokens": 30, "output_tokens": 8, "cost_usd": 0.25}  # fmt: skip
GATEWAY = {"runId": "r1", "status": "ok", "summary": "completed", "result": TURN}
EXEC = {"ok": True, "status": "ok", "final": "all done", "payloads": [{"text": "all done"}], "usage": USAGE, "costUsd": 0.25,
        "model": "m", "provider": "stub", "sessionId": "s1"}  # fmt: skip


def read(value: object, code: int | None = 0, stderr: str = "", indent: int | None = 2) -> Result:
    text = value if isinstance(value, str) else json.dumps(value, indent=indent)
    return parse(Ended(text, stderr, code))


def error(message: str, kind: str = "cli_error", **more: object) -> dict[str, object]:
    return {"ok": False, "error": {"type": kind, "message": message}, **more}


@pytest.mark.parametrize(
    ("value", "run_id"), [(GATEWAY, "r1"), (TURN, None), (EXEC, None)], ids=["gateway", "local", "exec"]
)
def test_the_three_forms_say_the_same(value: object, run_id: str | None) -> None:
    assert read(value) == Result("ok", True, "all done", run_id=run_id, **SPENT)
    assert read(value, indent=None) == read(value)


def test_diagnostics_before_and_after_are_passed_over() -> None:
    noise = "[warn] {not json}\n{ broken\n" + '{"event": "progress"}\n'
    assert read(noise + json.dumps(GATEWAY, indent=2) + "\nbye {\n") == read(GATEWAY)


def test_a_meta_part_of_megabytes_is_read() -> None:
    huge = {**GATEWAY, "result": {**TURN, "meta": {**META, "finalPromptText": "{\n" * 1_000_000}}}
    assert read(huge) == read(GATEWAY)


@pytest.mark.parametrize("code", [0, 1])
def test_the_status_of_the_json_goes_before_the_exit_code(code: int) -> None:
    assert read(GATEWAY, code).status == "ok"
    assert read({**GATEWAY, "status": "timeout", "summary": "aborted"}, code).failure_kind == "timeout"
    assert read({**GATEWAY, "status": "cancelled"}, code).status == "cancelled"
    failed = {**TURN, "meta": {**META, "error": {"kind": "auth_error", "message": "401 from the provider"}}}
    assert read(failed, code).status == "error"
    assert read(failed, code).failure_kind == "auth"


@pytest.mark.parametrize("status", ["in_flight", "accepted", "something new"])
def test_a_run_that_goes_on_is_not_final(status: str) -> None:
    found = read({"runId": "r1", "status": status, "summary": "", "result": {"payloads": [], "meta": {}}}, 1)
    assert (found.status, found.final, found.run_id) == ("unknown", False, "r1")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("failed to acquire gateway state ownership: /s is owned by another process", "busy"),
        ('Unknown agent id "nobody"', "unknown_agent"),
        ("HTTP 429 Too Many Requests", "rate_limit"),
        ("provider temporarily disabled", "rate_limit"),
        ("HTTP 401 invalid api key", "auth"),
        ("context window exceeded: context overflow", "context"),
        ("gateway not reachable: connect ECONNREFUSED 127.0.0.1:18789", "network"),
        ("/compact is not allowed here", "refused"),
        ("what a day", "crash"),
    ],
)
def test_a_failure_has_a_kind(message: str, kind: str) -> None:
    found = read(error(message), 1)
    assert (found.status, found.final, found.failure_kind, found.text) == ("error", True, kind, message)
    assert (
        read({**EXEC, "ok": False, "status": "error", "error": {"message": message, "kind": "x"}}, 1).failure_kind
        == kind
    )


def test_a_failure_that_the_gateway_may_outlive_is_not_final() -> None:
    assert not read(error("connection lost", origin="gateway", runId="r1"), 1).final
    assert not read(error("connection lost", runId="r1"), 1).final


def test_an_exec_that_reached_its_deadline() -> None:
    late = {**EXEC, "ok": False, "status": "timeout", "final": "", "error": {"message": "deadline", "kind": "timeout"}}
    assert (read(late, 2).status, read(late, 2).failure_kind) == ("timeout", "timeout")
    nothing_yet = {"ok": False, "status": "error", "final": None, "payloads": [], "model": None, "provider": None,
                   "sessionId": None, "error": {"message": "bad config", "kind": "x"}}  # fmt: skip
    assert read(nothing_yet, 1) == Result("error", True, failure_kind="crash")


@pytest.mark.parametrize("text", ["", "hello", json.dumps(GATEWAY, indent=2)[:-40], "[1]", '"x"', "{" * 100_000])
def test_what_cannot_be_read_is_unknown(text: str) -> None:
    assert read(text, 0).status == "unknown"
    assert not read(text, 0).final
    assert (read(text, 1).status, read(text, 1).final) == ("unknown", False)
    assert not read(text, None).final


def test_without_json_the_exit_status_and_the_last_words_are_read() -> None:
    assert read("", 143) == Result("cancelled", True)
    assert read("", 130).final
    refused = read("", 1, "Error: failed to acquire gateway state ownership")
    assert (refused.status, refused.final, refused.failure_kind) == ("error", True, "busy")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["ok", "status", "result", "meta", "agentMeta", "usage", "payloads", "error", "final", "text", "costUsd", "input", "runId"]),
        inner, max_size=6,
    ),
    max_leaves=12,
)  # fmt: skip


@given(JSON, st.sampled_from([0, 1, 2, 143, None]))
def test_any_json_at_all_is_read_without_a_fault(value: Any, code: int | None) -> None:
    found = read(value, code)
    assert found.columns().keys() == Result().columns().keys()
    assert found.final or found.status in ("unknown", "error")


@given(st.text(alphabet='{}[]"\n,:a1 ', max_size=60))
def test_any_text_is_looked_through(text: str) -> None:
    assert last_object(text) is None or isinstance(last_object(text), dict)


# --- what becomes of the attempt --------------------------------------------------------------------------------------

EXITED = Status("exit", code=1)


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (Result("ok", True), "no_report"),
        (Result("error", True, failure_kind="auth"), "not_authorised"),
        (Result("error", True, failure_kind="network"), "crashed"),
        (Result("error", True, failure_kind="rate_limit"), "rate_limited"),
        (Result("error", True, failure_kind="busy"), "busy"),
        (Result("error", True, failure_kind="unknown_agent"), "spawn_failed"),
        (Result("timeout", True, failure_kind="timeout"), "timed_out"),
        (Result("cancelled", True), "crashed"),
        (Result(), "crashed"),
        (None, "crashed"),
    ],
)
def test_what_the_program_says_decides_the_outcome(result: Result | None, outcome: str) -> None:
    assert verdict(EXITED, result).outcome == outcome
    assert verdict(EXITED, result).code == 1


def test_nothing_to_read_with_exit_code_0_stays_no_report() -> None:
    assert verdict(Status("exit", code=0), Result()).outcome == "no_report"


def test_a_program_that_never_began_says_nothing() -> None:
    assert verdict(Status("spawn_failed", message="no such file"), Result("ok", True)).outcome == "spawn_failed"


def test_its_words_are_bounded_and_without_tokens(tmp_path: Path) -> None:
    token = "bbt_" + "a" * 43
    said = {**GATEWAY, "result": {**TURN, "payloads": [{"text": f"used {token} " + "x" * 20_000}]}}
    (tmp_path / "stdout.log").write_text(json.dumps(said))
    found = reading.result_of(AgentConfig(runner="openclaw"), tmp_path, 0)
    assert found is not None
    assert found.text is not None
    assert token not in found.text
    assert len(found.text) < 8100
    assert reading.result_of(AgentConfig(argv=("x",)), tmp_path, 0) is None


def test_beginnings_without_an_end_are_not_read_to_the_end_each() -> None:
    def seconds(depth: int) -> float:
        text = '{"a": [\n' * depth + '{"b": 1},\n' * 30_000
        began = time.process_time()
        last_object(text)
        return time.process_time() - began

    assert seconds(300) < 15 * seconds(1)
