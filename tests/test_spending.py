"""Loops and budgets from the outside: real daemons, real agents, and what a person sees of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import House, until

USES = """
uses() {{ curl -sq --config "$directory/curl.conf" -H 'Content-Type: application/json' -d "{{\\"usage\\": {{\\"cost_usd\\": $1}}}}" \
    "http://127.0.0.1:{port}/api/projects/p/tasks/$task/heartbeat" >/dev/null; }}
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.ends()


def spender(house: House, name: str, script: str, **config: object) -> None:
    """An agent with the word `uses USD`: it reports what it has used so far."""
    house.agent(name, USES.format(port=house.port) + script, **config)


def told(house: House, verb: str) -> list[str]:
    return [row["reason"] for row in house.rows("SELECT reason FROM events WHERE verb = :verb ORDER BY id", verb=verb)]


def test_a_loop_costs_its_cap_and_a_person_is_told_once(house: House) -> None:
    house.agent("ada", 'bb start; bb fail "no paper in tray $task-$$ at $(date)"')
    house.start()
    task = house.post("ada", max_tries=1000, max_same=4, backoff_seconds=0)
    house.reaches(task, "blocked")
    house.post("ada", "another", max_tries=1)  # the daemon goes on, and so would the loop
    until(
        lambda: len(house.rows("SELECT 1 FROM attempts WHERE task_id > :task AND gone_at IS NOT NULL", task=task)) == 1
    )
    assert len(house.attempts(task)) == 4
    [sentence] = told(house, "block")
    assert "4 attempts in a row ended alike (failed: no paper in tray" in sentence
    assert f'answer {task} "..."' in house.call("status").stdout


def test_one_failure_on_three_tasks_pauses_its_agent_and_nobody_else(house: House) -> None:
    house.agent("ada", 'bb start; bb fail "cannot log in: attempt $attempt"')
    house.agent("bob", "bb start; echo done | bb output document it -; bb submit")
    house.start()
    tasks = [house.post("ada", f"number {number}", max_tries=2, backoff_seconds=0.2) for number in range(4)]
    until(lambda: told(house, "agent_paused"))
    assert house.reaches(house.post("bob"), "done")
    [notice] = told(house, "agent_paused")
    assert "ended alike (failed: cannot log in" in notice and "orchestrator resume --agent ada" in notice
    untouched = [task for task in tasks if not house.attempts(task)]
    assert untouched, "the fourth was not even begun"
    assert json.loads(house.call("agents", "--json").stdout)[0]["presence"] == "offline"


def test_an_attempt_that_reports_more_than_it_may_spend_is_ended(house: House) -> None:
    spender(house, "ada", "bb start; uses 0.1; uses 0.6; sleep 300")
    house.start()
    task = house.post("ada", max_tries=1, attempt_usd=0.5)
    house.reaches(task, "failed")
    [attempt] = house.attempts(task)
    assert (attempt["outcome"], attempt["cost_usd"]) == ("over_budget", 0.6)
    assert attempt["detail"] == "the attempt has spent 0.6 of 0.5 USD"
    assert "0.6 USD" in house.call("show", str(task)).stdout


def test_a_program_whose_output_tells_what_it_uses_is_ended_while_it_runs(house: House, tmp_path: Path) -> None:
    program = tmp_path / "fake-pi"
    usage = {"input": 90, "output": 20, "cacheRead": 100000, "cost": {"total": 0.2}}
    line = json.dumps(
        {"type": "message_end", "message": {"role": "assistant", "stopReason": "toolUse", "usage": usage}}
    )
    program.write_text(f"#!/bin/sh\ncat >/dev/null\nwhile :; do echo '{line}'; sleep 0.2; done\n")
    program.chmod(0o755)
    house.agents["ada"] = {"runner": "pi", "program": {"binary": str(program)}, "grace_seconds": 0.3}
    house.start()
    task = house.post("ada", max_tries=1, attempt_tokens=300)
    house.reaches(task, "failed")
    [attempt] = house.attempts(task)
    assert attempt["outcome"] == "over_budget" and attempt["input_tokens"] + attempt["output_tokens"] >= 300
    assert attempt["cached_tokens"] >= 100000, "told, and not counted"


def test_a_day_that_is_spent_stops_its_agent_and_nobody_else(house: House) -> None:
    budget = {"day_usd": 1.0, "action": "stop"}
    spender(house, "ada", "bb start; uses 1.5; sleep 300", budget=budget)
    house.agent("bob", "bb start; echo done | bb output document it -; bb submit")
    house.start()
    task = house.post("ada")
    until(lambda: told(house, "budget_spent"), story=lambda: house.story(task))
    house.reaches(task, "pending")
    [attempt] = house.attempts(task)
    assert attempt["outcome"] == "stopped" and "agent ada has spent 1.5 of 1 USD today" in attempt["detail"]
    house.reaches(house.post("bob"), "done")
    assert len(house.attempts(task)) == 1
    assert "agent ada has spent 1.5 of 1 USD today; the next day begins at" in house.call("why", str(task)).stdout

    [ada, bob] = json.loads(house.call("agents", "--json").stdout)
    assert (ada["presence"], ada["state"], bob["presence"]) == ("exhausted", "exhausted", "idle")
    assert "agent ada: 1.5 of 1 USD today; nothing more is begun until" in house.call("status").stdout
    spent = json.loads(house.call("spending", "--json").stdout)
    assert [(row["agent"], row["attempts"], row["share"]) for row in spent["agents"]] == [
        ("ada", 1, 1.5),
        ("bob", 1, None),
    ]
    assert spent["total"]["cost_usd"] == 1.5
    lines = house.call("spending", "--agent", "ada").stdout.splitlines()
    assert lines[1].split()[:2] == ["ada", "1"] and "1.5 of 1 USD" in lines[1] and "150%" in lines[1]


def test_spending_says_so_when_there_is_nothing_and_refuses_what_cannot_be(house: House) -> None:
    house.agent("ada", "true")
    house.start()
    assert house.call("spending", "--day", "2020-01-31").stdout == "nothing was attempted on 2020-01-31 (UTC)\n"
    assert json.loads(house.call("spending", "--day", "2020-01-31", "--json").stdout)["total"]["attempts"] == 0
    wrong = house.call("spending", "--agent", "nobody")
    assert wrong.returncode == 3 and "there is no agent nobody" in wrong.stderr
    assert house.call("spending", "--day", "soon").returncode == 2
