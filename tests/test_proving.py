"""Proof before done, with real processes: what fails is sent back, what hangs is ended, what is verified goes on."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator

import pytest

from orchestrator import processes
from tests.daemon import House, until

WORKS = 'bb start; cp "$directory/prompt.md" "$here/prompt.$attempt"; echo hello > out.txt; bb output document T out.txt && bb submit\n'
# Does what the last check asked for: only with its output in the prompt does it make the file.
LEARNS = """
cp "$directory/prompt.md" "$here/prompt.$attempt"; bb start
grep -q "missing: made.txt, 42" "$directory/prompt.md" && echo yes > made.txt
echo hello > out.txt; bb output document T out.txt && bb submit
"""
APPROVES = 'bb heartbeat; cp "$directory/prompt.md" "$here/review.$task"; bb approve "well done"\n'
NEEDS_MADE = 'test -e made.txt || { echo "missing: made.txt, $((6*7))"; exit 3; }'


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("proving") / "it's a house", tick={"max_live": 50, "max_checks": 4})
    house.agent("works", WORKS, max_live=30, env={"OWN": "own value"})
    house.agent("waits", WORKS.replace("bb output", "while [ ! -e go ]; do sleep 0.05; done; bb output"))
    house.agent("wrapped", WORKS, wrap=["/usr/bin/env"])
    house.agent("learns", LEARNS, max_live=9)
    house.agent("approves", APPROVES, max_live=9)
    try:
        house.start()
        yield house
        house.ends()
    finally:
        house.clear()


def evidence(house: House, task: int) -> list[sqlite3.Row]:
    return house.rows("SELECT * FROM checks WHERE task_id = :task ORDER BY id", task=task)


def results(house: House, task: int) -> list[str | None]:
    return [row["result"] for row in evidence(house, task)]


def asked(house: House, task: int) -> str:
    """Wait until a person must decide; what the task stands at and why."""
    stuck = "SELECT why FROM v_stuck WHERE id = :task AND why NOT LIKE 'attempt %'"
    until(lambda: house.rows(stuck, task=task), story=lambda: house.story(task))
    return str(house.value(stuck, task=task))


# --- The whole way ------------------------------------------------------------------------------------------------


def test_what_fails_is_done_again_with_its_output_and_approved_when_it_is_verified(house: House) -> None:
    checks = [{"path": "out.txt"}, {"name": "made", "run": ["/bin/sh", "-c", NEEDS_MADE]}]
    task = house.post("learns", checks=checks)

    assert house.reaches(task, "done")["proof"] == "passed"

    assert house.outcomes(task) == ["submitted", "submitted"]
    assert results(house, task) == ["passed", "failed", "passed", "passed"]
    (rejection,) = house.events(task, "reject")
    assert rejection["actor"] == "engine:proofs"
    assert rejection["reason"].startswith("check 'made' failed: exit code 3\n")
    first, second = house.attempts(task)
    told = (house.folder / f"prompt.{first['id']}").read_text()
    assert NEEDS_MADE.split(";")[0] in told and "out.txt" in told  # it knew from the beginning what would be run
    again = (house.folder / f"prompt.{second['id']}").read_text()
    assert "missing: made.txt, 42" in again and "check 'made' failed: exit code 3" in again
    story = [event["verb"] for event in house.events(task, "submit", "not_verified", "verified", "reject", "approve")]
    assert story == ["submit", "not_verified", "reject", "submit", "verified", "approve"]
    assert json.loads(house.events(task, "approve")[0]["data"]) == {"verified": True}
    (failed,) = [row for row in evidence(house, task) if row["result"] == "failed"]
    assert failed["output_sha256"] == hashlib.sha256(b"missing: made.txt, 42\n").hexdigest()
    assert (failed["exit_code"], failed["output_size"]) == (3, 22)


@pytest.mark.parametrize("review", ["human", "agent:approves"])
def test_what_is_verified_is_then_reviewed(house: House, review: str) -> None:
    task = house.post("works", review=review, checks=[{"name": "greets", "run": "grep -q hello out.txt"}])
    if review == "human":
        assert "waits for a person's review" in asked(house, task)
        assert house.task(task)["proof"] == "passed"
        assert house.operate(task, "approve") == "done"
    house.reaches(task, "done")
    order = [
        event["verb"]
        for event in house.events(task, "submit", "gone", "checked", "verified", "claim_review", "approve")
    ]
    wanted = ["submit", "gone", "checked", "verified", "approve"]
    assert order[:5] == (wanted if review == "human" else [*wanted[:4], "claim_review"])
    if review != "human":
        assert "greets" in (house.folder / f"review.{task}").read_text()


def test_a_reviewer_that_nobody_is_is_handed_over_only_when_it_is_verified(house: House) -> None:
    task = house.post("works", review="role:nobody", checks=[{"run": "sleep 0.3"}])
    until(lambda: house.task(task)["handed_over"], story=lambda: house.story(task))
    order = [event["verb"] for event in house.events(task, "verified", "hand_over")]
    assert order == ["verified", "hand_over"]
    house.operate(task, "approve")


def test_what_never_passes_is_a_persons_after_max_rejections(house: House) -> None:
    task = house.post("works", checks=[{"name": "never", "run": ["false"]}], max_rejections=1)
    house.reaches(task, "blocked")
    assert "rejected 2 times" in asked(house, task)
    assert results(house, task) == ["failed", "failed"]
    assert "its checks" not in house.call("why", str(task)).stdout
    house.operate(task, "cancel")


# --- Checks that misbehave ------------------------------------------------------------------------------------------


def test_a_check_that_hangs_costs_its_seconds_and_no_more(house: House) -> None:
    script = "trap '' TERM; echo $$ > hangs; echo here I stand; while :; do sleep 1; done"
    task = house.post("works", max_rejections=0, checks=[{"run": ["/bin/sh", "-c", script], "seconds": 0.7}])
    house.reaches(task, "blocked")
    (row,) = evidence(house, task)
    assert (row["result"], row["output"]) == ("timed_out", "here I stand\n")
    assert "took longer than its 0.7 s" in house.events(task, "reject")[0]["reason"]
    pid = int((house.workspace(task) / "hangs").read_text())
    assert processes.identity(pid) is None
    house.operate(task, "cancel")


def test_what_a_check_leaves_behind_is_ended_before_it_counts(house: House) -> None:
    script = (
        "(setsid sh -c 'trap \"\" TERM; echo $$ > left; exec sleep 1000' &) ; until [ -s left ]; do sleep 0.02; done"
    )
    task = house.post("works", checks=[{"run": script}])
    house.reaches(task, "done")
    assert results(house, task) == ["passed"]
    assert processes.identity(int((house.workspace(task) / "left").read_text())) is None


def test_a_flood_is_bounded_and_the_end_of_it_is_kept(house: House) -> None:
    script = "yes 'all the same' | head -c 104857600; echo the last words; exit 1"
    task = house.post("works", max_rejections=0, checks=[{"run": script, "seconds": 60}])
    house.reaches(task, "blocked")
    (row,) = evidence(house, task)
    assert row["result"] == "failed" and row["output"].endswith("the last words\n") and len(row["output"]) <= 4000
    log = house.attempt_file(row["attempt_id"], f"checks/{row['id']}/stdout.log")
    assert row["output_size"] == log.stat().st_size < 11 * 1024 * 1024
    assert row["output_sha256"] == hashlib.sha256(log.read_bytes()).hexdigest()
    assert len(house.events(task, "reject")[0]["reason"]) < 3500
    house.operate(task, "cancel")


def test_a_check_that_a_signal_ends_has_failed(house: House) -> None:
    task = house.post("works", max_rejections=0, checks=[{"run": ["/bin/sh", "-c", "kill -11 $$"]}])
    house.reaches(task, "blocked")
    (row,) = evidence(house, task)
    assert (row["result"], row["exit_code"], row["exit_signal"]) == ("failed", None, 11)
    assert "was ended by signal 11" in house.events(task, "reject")[0]["reason"]
    house.operate(task, "cancel")


@pytest.mark.parametrize(
    ("agent", "run"),
    [
        ("works", ["no-such-program-anywhere", "-q"]),
        ("works", "no-such-program-anywhere -q"),
        ("works", ["/no-such-program-anywhere"]),
        ("wrapped", ["no-such-program-anywhere"]),
    ],
    ids=["by name", "in a shell", "by path", "behind a wrapper"],
)
def test_a_program_that_is_not_there_is_nobodys_fault(house: House, agent: str, run: object) -> None:
    task = house.post(agent, checks=[{"run": run}])
    why = asked(house, task)
    assert "could not be run" in why and "no-such-program-anywhere" in why
    row = house.task(task)
    assert (row["status"], row["proof"]) == ("review", "wanted") and "could not be run" in row["handed_over"]
    assert results(house, task) == ["not_run"] and not house.events(task, "reject")
    assert "could not be run" in house.call("why", str(task)).stdout
    assert house.operate(task, "approve") == "done"
    assert json.loads(house.events(task, "approve")[0]["data"]) == {"verified": False}
    assert "not verified" in house.call("show", str(task)).stdout


def test_a_program_that_the_agent_was_to_make_is_sent_back(house: House) -> None:
    task = house.post("works", max_rejections=0, checks=[{"run": ["./tests.sh"]}])
    house.reaches(task, "blocked")
    assert results(house, task) == ["failed"] and "tests.sh" in house.events(task, "reject")[0]["reason"]
    house.operate(task, "cancel")


@pytest.mark.parametrize(
    ("make", "path", "passes"),
    [
        ("echo x > f", "f", True),
        ("mkdir d; echo x > d/f", "d/f", True),
        ("true", "f", False),
        (": > f", "f", False),
        ("mkdir f", "f", False),
        ("mkfifo f", "f", False),
        ("ln -s /etc/passwd f", "f", False),
        ("ln -s /etc d", "d/passwd", False),
        ("echo x > g; ln -s g f", "f", False),
    ],
)
def test_a_path_is_a_file_of_the_workspace(house: House, make: str, path: str, passes: bool) -> None:
    task = house.post("works", review="human", max_rejections=0, checks=[{"run": make}, {"path": path}])
    asked(house, task)
    assert results(house, task) == ["passed", "passed" if passes else "failed"]
    house.operate(task, "cancel")


# --- What a check can see ---------------------------------------------------------------------------------------------


def test_a_check_has_the_agents_environment_no_token_and_no_input(house: House) -> None:
    checks = [
        {"run": 'env > env.txt; pwd > pwd.txt; cat; ls "$HOME"; test -z "$(ls /proc/self/fd | grep -v "^[0123]$")"'}
    ]
    task = house.post("works", checks=checks, review="human", max_rejections=0)
    asked(house, task)
    assert results(house, task) == ["passed"], [row["output"] for row in evidence(house, task)]
    env = dict(
        line.split("=", 1) for line in (house.workspace(task) / "env.txt").read_text().splitlines() if "=" in line
    )
    (row,) = evidence(house, task)
    assert (
        env["BLACKBOARD_ATTEMPT"]
        == f"{house.value('SELECT value FROM meta WHERE key = :k', k='board_id')}:check:{row['id']}"
    )
    assert env["OWN"] == "own value"
    assert "bbt_" not in (house.workspace(task) / "env.txt").read_text()
    assert (house.workspace(task) / "pwd.txt").read_text().strip() == str(house.workspace(task))
    house.operate(task, "cancel")


def test_tokens_in_what_a_check_prints_are_masked(house: House) -> None:
    task = house.post("works", max_rejections=0, checks=[{"run": "printf 'bbt_%043d\\n' 7; exit 1"}])
    house.reaches(task, "blocked")
    (row,) = evidence(house, task)
    assert row["output"] == "bbt_***\n" and "0000007" not in str(house.events(task, "reject")[0]["reason"])
    house.operate(task, "cancel")


# --- People ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("verb", "status"), [("cancel", "cancelled"), ("reject", "pending"), ("approve", "done")])
def test_a_person_who_decides_ends_the_check(house: House, verb: str, status: str) -> None:
    task = house.post("works", review="human", checks=[{"name": "slow", "run": "echo $$ > slow; exec sleep 1000"}])
    until(lambda: (house.workspace(task) / "slow").exists() and (house.workspace(task) / "slow").read_text())
    pid = int((house.workspace(task) / "slow").read_text())
    running = processes.identity(pid)
    assert running is not None
    assert "its check is being run" in house.call("why", str(task)).stdout
    assert not house.rows("SELECT 1 FROM v_stuck WHERE id = :task", task=task)

    assert house.operate(task, verb, "so" if verb == "reject" else None) == status

    until(lambda: results(house, task)[:1] == ["interrupted"], story=lambda: house.story(task))
    assert not processes.alive(running)
    if verb == "reject":  # nothing was claimed beside the check
        claim = house.events(task, "claim")
        until(lambda: len(house.events(task, "claim")) == 2)
        ended = [event["id"] for event in house.events(task, "checked")]
        assert ended[0] < house.events(task, "claim")[1]["id"] and len(claim) >= 1
        house.operate(task, "cancel")
    if verb == "approve":
        assert json.loads(house.events(task, "approve")[0]["data"]) == {"verified": False}


def test_show_why_and_the_api_tell_the_conditions_and_the_evidence(house: House) -> None:
    said = house.call("post", "T", "--json", "--agent", "works", "--review", "human", "--check", "echo fine && exit 0",
                      "--check", "true", "--check-seconds", "9", "--check-path", "out.txt")  # fmt: skip
    assert said.returncode == 0, said.stderr
    task = int(json.loads(said.stdout)["task"])
    asked(house, task)
    told = house.http(f"/api/projects/p/tasks/{task}?expand=all")
    assert told["checks"] == [
        {"run": "echo fine && exit 0", "seconds": 9}, {"run": "true", "seconds": 9}, {"path": "out.txt"},
    ]  # fmt: skip
    assert told["proof"] == "passed"
    assert [(e["check"], e["result"], e["exit_code"]) for e in told["evidence"]] == [
        ("echo fine && exit 0", "passed", 0), ("true", "passed", 0), ("out.txt", "passed", None),
    ]  # fmt: skip
    shown = house.call("show", str(task)).stdout
    assert "verified: its 3 checks have passed" in shown and "echo fine && exit 0" in shown and "fine" in shown
    assert json.loads(house.call("show", str(task), "--json").stdout)["evidence"] == told["evidence"]
    assert "verified" in house.call("events", "--task", str(task)).stdout
    house.operate(task, "approve")


def test_at_most_so_many_at_once_and_the_board_goes_on_meanwhile(house: House) -> None:
    tasks = [house.post("works", checks=[{"run": "while [ ! -e go ]; do sleep 0.05; done"}]) for _ in range(6)]
    until(lambda: house.value("SELECT count(*) FROM checks WHERE ended_at IS NULL") == 4)
    other = house.post("works")
    house.reaches(other, "done")
    assert house.value("SELECT count(*) FROM checks WHERE ended_at IS NULL") == 4
    for task in tasks:
        house.let_go(task)
    for task in tasks:
        assert house.reaches(task, "done")["proof"] == "passed"


def test_a_paused_project_starts_no_check(house: House) -> None:
    task = house.post("waits", checks=[{"run": "true"}], review="human")
    house.reaches(task, "working")
    house.http("/api/projects/p/pause", {})
    try:
        house.let_go(task)
        house.reaches(task, "review")
        assert "its check is run when this is over: its project p is paused" in house.call("why", str(task)).stdout
        assert results(house, task) == []
    finally:
        house.http("/api/projects/p/resume", {})
    asked(house, task)
    assert results(house, task) == ["passed"]
    house.operate(task, "cancel")
