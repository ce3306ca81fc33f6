"""Try again, and when: by table, and within bounds that no seed leaves."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blackboard.policy import FIELDS, Policies, Policy, backoff, next_try
from blackboard.states import OUTCOMES
from tests.raw_board import SCHEMA

TASK = {"id": 7, "attempt_id": 70, "max_tries": 3, "backoff_seconds": 100.0, "backoff_cap_seconds": 300.0}
GOES_ON = ["released", "dry_run", "stopped"]
CHARGED = [
    "submitted",
    "failed",
    "approved",
    "rejected",
    "no_report",
    "crashed",
    "killed",
    "lost",
    "no_start",
    "idle",
    "timed_out",
    "over_budget",
    "over_limit",
]


def test_which_outcomes_count_as_a_try() -> None:
    assert {name for name, outcome in OUTCOMES.items() if outcome.charged} == set(CHARGED)


@pytest.mark.parametrize("outcome", GOES_ON)
@pytest.mark.parametrize("tries", [0, 1, 3, 99])
def test_what_never_started_or_was_stopped_by_us_goes_on_at_once(outcome: str, tries: int) -> None:
    assert next_try(TASK, outcome, tries) == 0.0


@pytest.mark.parametrize("outcome", CHARGED)
@pytest.mark.parametrize(
    ("tries", "longest"),
    [(1, 100.0), (2, 200.0), (3, None), (4, None)],
)
def test_a_charged_end_is_tried_again_until_max_tries(outcome: str, tries: int, longest: float | None) -> None:
    wait = next_try(TASK, outcome, tries)
    assert wait is None if longest is None else longest * 0.75 <= (wait or 0) <= longest


@pytest.mark.parametrize("outcome", ["spawn_failed", "prompt_failed"])
@pytest.mark.parametrize("tries", [0, 1, 3, 99])
def test_a_fault_of_the_configuration_uses_up_no_try(outcome: str, tries: int) -> None:
    wait = next_try(TASK, outcome, tries)
    assert wait is not None and 75.0 <= wait <= 300.0


@pytest.mark.parametrize("outcome", ["spawn_failed", "prompt_failed"])
def test_a_fault_of_the_configuration_waits_at_least_ten_seconds(outcome: str) -> None:
    assert next_try(TASK | {"backoff_seconds": 0.0}, outcome, 0) == 10.0
    assert next_try(TASK | {"backoff_seconds": 0.0}, "failed", 1) == 0.0


@pytest.mark.parametrize("outcome", ["failed", "timed_out", "spawn_failed"])
def test_final_leaves_no_try(outcome: str) -> None:
    assert next_try(TASK, outcome, 1, final=True) is None


def test_one_try_means_none_again() -> None:
    assert next_try(TASK | {"max_tries": 1}, "crashed", 1) is None


NUMBERS = st.floats(min_value=0, max_value=1e9)


@settings(deadline=None)
@given(NUMBERS, NUMBERS, st.integers(1, 10_000), st.text(max_size=5))
def test_a_wait_doubles_up_to_its_cap_less_at_most_a_quarter(base: float, cap: float, failures: int, seed: str) -> None:
    whole = min(cap, base * 2.0 ** min(failures - 1, 60))
    wait = backoff(base, cap, failures, seed)
    assert whole * 0.75 - 1e-6 <= wait <= whole + 1e-6
    assert wait == backoff(base, cap, failures, seed)  # a write that runs again says the same


def test_tasks_that_failed_together_do_not_come_back_together() -> None:
    waits = [backoff(100, 1000, 1, f"{task}/1") for task in range(1000)]
    assert len({round(wait, 3) for wait in waits}) > 900
    assert all(sum(low <= wait < low + 5 for wait in waits) > 100 for low in (75, 80, 85, 90, 95))


def test_the_wait_differs_from_attempt_to_attempt() -> None:
    flat = TASK | {"backoff_cap_seconds": 100.0}
    assert len({next_try(flat | {"attempt_id": number}, "failed", 2) for number in range(10)}) == 10


def test_the_defaults_are_those_of_the_schema() -> None:
    columns = sqlite3.connect(":memory:").executescript(SCHEMA).execute("PRAGMA table_info(tasks)").fetchall()
    defaults = {name: str(default).strip("'") for _, name, _, _, default, _ in columns if name in FIELDS}
    assert Policy().columns().pop("reviewer") is None
    assert {name: str(value) for name, value in Policy().columns().items() if name != "reviewer"} == {
        name: str(float(text)) if isinstance(getattr(Policy(), name), float) else text
        for name, text in defaults.items()
    }


def test_a_policy_takes_what_it_knows_and_is_given() -> None:
    policy = Policy().but({"max_tries": 5, "review": None, "title": "nail", "needs_output": False})
    assert policy == Policy(max_tries=5, needs_output=False)
    assert policy.columns()["needs_output"] == 0 and policy.columns()["max_tries"] == 5


def test_an_agent_has_its_own_policy_or_the_default() -> None:
    own = Policy(max_tries=9)
    policies = Policies(Policy(max_tries=2), {"ada": own})
    assert policies.of("ada") is own
    assert policies.of("bob").max_tries == policies.of(None).max_tries == 2
