"""A storm of due tasks on one limited account, with a real daemon and a stand-in of a program, also over a kill -9."""

from __future__ import annotations

import json
import shlex
import sqlite3
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blackboard.clock import to_text
from tests.daemon import House, until

TASKS = 50
AGENTS = ("ada", "bob", "eve")
ACCOUNT = "anthropic"

# As claude does: an object with its failure on a limit. Before the time in `until` it is limited, from then on it works.
PROGRAM = """\
import json, re, subprocess, sys, time
from pathlib import Path
here = Path({here!r})
if sys.argv[1:] == ["--version"]:
    print("2.1.329 (Claude Code)")
    sys.exit()
told = sys.stdin.read()
bb = re.search(r"'?(/[^\\s'`\\"]+/bb)\\b", told)[1]
with open(here / "starts", "a") as log:
    print(time.time(), file=log)
ends_at, text = (here / "until").read_text().split()
if time.time() < float(ends_at):
    said = "API Error: 429 rate limit, limit until " + text
    print(json.dumps({{"type": "result", "is_error": True, "result": said}}))
    sys.exit(1)
while (here / "hold").exists():
    time.sleep(0.02)
for words, given in ((["start"], ""), (["output", "document", "T", "-"], "hello"), (["submit"], "")):
    subprocess.run([bb, *words], input=given, text=True, stdout=subprocess.DEVNULL, check=True)
print(json.dumps({{"type": "result", "is_error": False, "result": "did it"}}))
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "house", tick={"max_live": 6})
    script = made.folder / "claude.py"
    script.write_text(PROGRAM.format(here=str(made.folder)))
    program = made.folder / "claude"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(script))} "$@"\n')
    program.chmod(0o755)
    for agent in AGENTS:
        made.agents[agent] = {
            "runner": "claude",
            "account": ACCOUNT,
            "max_live": 3,
            "program": {"binary": str(program)},
        }
    yield made
    made.clear()


def limit(house: House, seconds: float) -> float:
    """The program is limited for so long; until when, as seconds since 1970."""
    at = datetime.now(UTC) + timedelta(seconds=seconds)
    (house.folder / "until").write_text(f"{at.timestamp()} {to_text(at)}")
    return at.timestamp()


def starts(house: House) -> list[float]:
    log = house.folder / "starts"
    return [float(line) for line in log.read_text().splitlines()] if log.exists() else []


def account(house: House) -> sqlite3.Row:
    return house.row("SELECT * FROM accounts WHERE id = :id", id=ACCOUNT)


@pytest.mark.parametrize("killed", [False, True], ids=["one daemon", "a kill -9 between"])
def test_a_storm_on_a_limited_account_starts_once_before_its_end_and_once_at_it(house: House, killed: bool) -> None:
    (house.folder / "hold").touch()
    ends_at = limit(house, 3600)
    house.start()
    tasks = [house.post(AGENTS[number % 3], f"task {number}") for number in range(TASKS)]
    until(lambda: account(house)["limited_until"], story=house.told)
    assert len(starts(house)) == 1, "the account was cold: one went first"
    assert abs(datetime.fromisoformat(account(house)["limited_until"]).timestamp() - ends_at) < 0.01, "as it was said"
    listed = json.loads(house.call("accounts", "--json").stdout)
    assert [(each["account"], each["state"], each["strikes"]) for each in listed] == [(ACCOUNT, "limited", 1)]
    assert "is limited until" in house.call("status").stdout
    assert f"account {ACCOUNT} is limited until" in house.call("why", str(tasks[-1])).stdout
    if killed:
        house.kill()
    # The end comes nearer, as if the hour were over: what a person does who knows better, to the second.
    ends_at = limit(house, 6)
    soon = to_text(datetime.fromtimestamp(ends_at, UTC))
    with sqlite3.connect(house.board, timeout=10) as board:
        board.execute("UPDATE accounts SET limited_until = ? WHERE id = ?", (soon, ACCOUNT))
    board.close()
    if killed:
        house.start()
    until(lambda: len(starts(house)) == 2, story=house.told)
    assert 0 <= starts(house)[1] - ends_at < 5, "not before its end, and soon after it"
    until(lambda: account(house)["canary_id"], story=house.told)
    assert "is tried by attempt" in house.call("why", str(tasks[-1])).stdout
    time.sleep(0.5)  # a second start would come at once, not after a poll
    assert len(starts(house)) == 2, "exactly one went first"
    (house.folder / "hold").unlink()
    for task in tasks:
        house.reaches(task, "done")
    outcomes = house.rows("SELECT outcome, count(*) AS n FROM attempts GROUP BY outcome ORDER BY outcome")
    assert [tuple(row) for row in outcomes] == [("rate_limited", 1), ("submitted", TASKS)]
    assert (account(house)["strikes"], account(house)["limited_until"]) == (0, None)


def test_the_others_begin_at_the_first_call_not_at_the_end(tmp_path: Path) -> None:
    house = House(tmp_path / "house", tick={"longest_pause_seconds": 600})
    try:
        for name in ("ada", "bob"):
            house.agent(
                name,
                'bb start; while [ ! -e "$here/go" ]; do sleep 0.05; done; echo x | bb output data T - && bb submit\n',
                account=ACCOUNT,
            )
        house.start()
        tasks = [house.post(name) for name in ("ada", "bob")]
        for task in tasks:
            house.reaches(task, "working")
        (house.folder / "go").touch()
        for task in tasks:
            house.reaches(task, "done")
        steps = house.rows("SELECT attempt_id, verb FROM events WHERE verb IN ('claim','start','submit') ORDER BY id")
        first, second = sorted({row["attempt_id"] for row in steps})
        assert [tuple(row) for row in steps[:4]] == [
            (first, "claim"), (first, "start"), (second, "claim"), (second, "start"),
        ]  # fmt: skip
        house.ends()
    finally:
        (house.folder / "go").touch()
        house.clear()


def test_a_script_says_that_it_is_limited_and_until_when(tmp_path: Path) -> None:
    house = House(tmp_path / "house")
    try:
        house.agent(
            "ada",
            'if [ -e "$here/over" ]; then echo x | bb output data T - && bb submit; else bb limited "429, sorry" 3600; fi\n',
        )
        house.start()
        task = house.post("ada")
        until(lambda: house.outcomes(task) == ["rate_limited"], story=house.told)
        assert "429, sorry" in house.call("why", str(task)).stdout
        (house.folder / "over").touch()
        said = house.call("resume", "--account", "agent:ada", "it is over")
        assert (said.returncode, said.stdout) == (0, "account agent:ada is resumed\n")
        house.reaches(task, "done")
        assert house.outcomes(task) == ["rate_limited", "submitted"]
        house.ends()
    finally:
        house.clear()
