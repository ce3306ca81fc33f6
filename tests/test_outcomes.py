"""What becomes of every kind of agent: one defined outcome each, no process left, and nothing begun beside it.

One daemon runs all of them at once, as real processes; each test looks at one task.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from blackboard.clock import seconds_between
from orchestrator import processes
from tests.daemon import House, until
from tests.raw_board import shell

TORTURE = Path(__file__).parent / "torture"
HAND_IN = "echo hello > out.txt; bb output document T out.txt && bb submit\n"
ONCE = {"max_tries": 1}

# name: (the shell script, its configuration)
AGENTS: dict[str, tuple[str, dict[str, object]]] = {
    "good": (f"bb start; {HAND_IN}", {}),
    "ignores-term": (
        # The second try looks whether anything of the first still lives.
        "[ ! -e pid ] || ! kill -0 $(cat pid) || touch overlap\n"
        "trap '' TERM INT HUP; echo $$ > pid; bb start; sleep 1000 & while :; do sleep 0.1; done\n",
        {"policy": {"max_tries": 2, "wall_seconds": 1.5}},
    ),
    "double-forks": (f"(setsid sh -c 'echo $$ > daemon; sleep 1000' &) & wait; {HAND_IN}", {}),
    "hides": (
        f"(env -i setsid sh -c 'trap \"\" TERM; echo $$ > daemon; while :; do sleep 0.1; done' &) & wait\n"
        f"while [ ! -s daemon ]; do sleep 0.01; done; {HAND_IN}",
        {},
    ),
    "hides-and-crashes": ("", {"argv": ["/bin/sh", str(TORTURE / "leaves_daemon.sh")], "policy": ONCE}),
    "floods": (
        "echo begun; dd if=/dev/zero bs=1M count=1024 2>/dev/null; echo over; exit 4\n",
        {"log_cap_bytes": 1 << 20, "policy": ONCE},
    ),
    "silent": ("exit 0\n", {"policy": ONCE}),
    "crashes": ("echo broken >&2; exit 3\n", {"policy": ONCE}),
    "killed": ("kill -9 $$\n", {"policy": ONCE}),
    "kills-its-launcher": ("kill -9 $PPID; exit 0\n", {"policy": ONCE}),
    "reports-twice": (f"{HAND_IN} bb submit > second; echo $? > code\n", {}),
    "reports-late": (
        "trap 'bb submit > late 2>&1; echo $? > code; exit 0' TERM\n"
        "bb start; echo hello > out.txt; bb output document T out.txt; while :; do sleep 0.1; done\n",
        {"grace_seconds": 20, "policy": {"max_tries": 1, "wall_seconds": 3}},
    ),
    "hangs": ("bb start; sleep 1000 & sleep 1000 & wait\n", {"policy": {"max_tries": 1, "wall_seconds": 5}}),
    "idles": ("sleep 0.5; bb start; sleep 1000\n", {"policy": {"max_tries": 1, "idle_seconds": 4}}),
    "never-stirs": ("sleep 1000\n", {"policy": {"max_tries": 1, "startup_seconds": 4}}),
    "prints": ("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.25; done\n" + HAND_IN, {"policy": {"idle_seconds": 1.5}}),
    "missing": ("", {"argv": ["/no/such/program"]}),
    "not-in-path": ("", {"argv": ["no-such-program-anywhere"]}),
    "asks": (
        "bb start\n"
        'if grep -q "use the blue one" "$directory/prompt.md"; then ' + HAND_IN + "else "
        "echo 'which one?' | bb block needs_input -; fi\n",
        {},
    ),
    "prints-its-result": ("printf 'caf\\303\\251 of %s' \"$task\"\n", {"calls_back": False}),
    "prints-and-fails": ("echo half; exit 1\n", {"calls_back": False, "policy": ONCE}),
    "lingers": (f"{HAND_IN} exec sleep 1000\n", {"policy": {"settle_seconds": 0.5}}),
    "leaves-one": (f"sleep 2 & {HAND_IN}", {"leftovers": "keep", "policy": {"settle_seconds": 0.2}}),
    "leaves-one-to-end": (f"sleep 1000 & {HAND_IN}", {"leftovers": "end", "policy": {"settle_seconds": 60}}),
    "gives-up": ("echo 'no way' | bb fail --final -\n", {}),
    "fails-once": (
        "bb start\n[ -e tried ] || { touch tried; echo 'not yet' | bb fail -; exit 0; }\n" + HAND_IN,
        {"policy": {"backoff_seconds": 0.2}},
    ),
    "works-on": ("bb start; sleep 1000 & wait\n", {}),
    "cancelled-by-sql": ("bb start; sleep 1000 & wait\n", {}),
    "breeds": ("", {"argv": ["python3", str(TORTURE / "breeds.py")], "policy": {"max_tries": 1, "wall_seconds": 1}}),
    "signalled-politely": (
        "trap 'echo polite > polite; exit 0' USR1; bb start; while :; do sleep 0.05; done\n",
        {"graceful_signal": "USR1", "grace_seconds": 20, "policy": {"max_tries": 1, "wall_seconds": 1.5}},
    ),
}  # fmt: skip


class Running:
    """The daemon with all its agents, and the task of each; three tasks for those that cannot be started."""

    def __init__(self, house: House) -> None:
        self.house = house
        for name, (script, config) in AGENTS.items():
            house.agent(name, script, **config)
        house.start()
        self.tasks = {name: house.post(name) for name in AGENTS}
        self.more = {name: [house.post(name) for _ in range(2)] for name in ("missing", "not-in-path")}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    house = House(tmp_path_factory.mktemp("outcomes") / "it's a house", tick={"max_live": 50})
    try:
        yield Running(house)
        house.ends()
    finally:
        house.clear()


def ended(running: Running, name: str, *states: str) -> tuple[House, int]:
    """The house and the agent's task, once the task is in one of these states and nothing of its attempts is left."""
    house, task = running.house, running.tasks[name]
    house.reaches(task, *states)
    assert not house.left_of(task), house.story(task)
    return house, task


# --- Those that report ------------------------------------------------------------------------------------------


def test_a_good_agent_is_done_at_the_first_try(running: Running) -> None:
    house, task = ended(running, "good", "done")
    (attempt,) = house.attempts(task)
    assert (attempt["outcome"], attempt["exit_code"]) == ("submitted", 0)
    assert [event["verb"] for event in house.events(task)] == [
        "post", "claim", "workspace_made", "spawned", "start", "output", "submit", "ended", "approve", "gone",
    ]  # fmt: skip


def test_the_report_that_ended_it_said_again_changes_nothing(running: Running) -> None:
    house, task = ended(running, "reports-twice", "done")
    assert (house.workspace(task) / "code").read_text() == "0\n"
    assert house.outcomes(task) == ["submitted"]
    assert len(house.events(task, "submit")) == 1
    assert house.rows("SELECT * FROM refusals WHERE attempt_id = :a", a=house.attempts(task)[0]["id"]) == []


def test_a_late_report_with_the_old_token_changes_nothing_and_is_kept(running: Running) -> None:
    house, task = ended(running, "reports-late", "failed")
    assert (house.workspace(task) / "code").read_text() == "1\n"
    assert "has ended (timed_out)" in (house.workspace(task) / "late").read_text()
    assert house.outcomes(task) == ["timed_out"]
    (refusal,) = house.rows("SELECT * FROM refusals WHERE attempt_id = :a", a=house.attempts(task)[0]["id"])
    assert (refusal["reason"], refusal["count"]) == ("fenced", 1)
    assert "review" in refusal["body"]


def test_an_agent_that_asks_goes_on_with_the_answer(running: Running) -> None:
    house, task = running.house, running.tasks["asks"]
    blocked = house.reaches(task, "blocked")
    assert (blocked["blocked_kind"], blocked["reason"]) == ("needs_input", "which one?\n")
    house.operate(task, "answer", "use the blue one")
    ended(running, "asks", "done")
    assert house.outcomes(task) == ["blocked", "submitted"]


def test_a_failure_is_tried_again_after_the_backoff(running: Running) -> None:
    house, task = ended(running, "fails-once", "done")
    first, second = house.attempts(task)
    assert (first["outcome"], first["detail"], second["outcome"]) == ("failed", "not yet\n", "submitted")
    assert seconds_between(first["ended_at"], second["claimed_at"]) >= 0.15  # 0.2 s less the jitter
    assert "not yet" in house.attempt_file(second["id"], "prompt.md").read_text()


def test_a_final_failure_is_not_tried_again(running: Running) -> None:
    house, task = ended(running, "gives-up", "failed")
    assert house.outcomes(task) == ["failed"]


def test_an_agent_that_lingers_after_its_report_is_stopped_when_it_has_settled(running: Running) -> None:
    house, task = ended(running, "lingers", "done")
    (attempt,) = house.attempts(task)
    assert (attempt["outcome"], attempt["exit_signal"]) == ("submitted", 15)
    assert seconds_between(attempt["ended_at"], attempt["stopped_at"]) >= 0.49
    assert len(house.events(task, "stopping")) == 1


# --- Those that never call --------------------------------------------------------------------------------------


def test_what_a_program_printed_is_its_result(running: Running) -> None:
    house, task = ended(running, "prints-its-result", "done")
    (output,) = house.rows("SELECT * FROM outputs WHERE task_id = :task", task=task)
    assert (output["type"], output["content"]) == ("other", f"café of {task}")
    assert house.outcomes(task) == ["submitted"]
    assert [event["actor"] for event in house.events(task, "start", "submit")] == ["engine:monitor"] * 2


def test_a_program_that_fails_hands_nothing_in(running: Running) -> None:
    house, task = ended(running, "prints-and-fails", "failed")
    assert house.rows("SELECT * FROM outputs WHERE task_id = :task", task=task) == []
    assert house.outcomes(task) == ["crashed"]


# --- Those that just end ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "outcome", "code", "number"),
    [
        ("silent", "no_report", 0, None),
        ("crashes", "crashed", 3, None),
        ("killed", "killed", None, 9),
        ("kills-its-launcher", "lost", None, None),
        ("hides-and-crashes", "crashed", 6, None),
        ("floods", "crashed", 4, None),
    ],
)
def test_an_end_without_a_report_has_its_outcome(
    running: Running, name: str, outcome: str, code: int | None, number: int | None
) -> None:
    house, task = ended(running, name, "failed")
    (attempt,) = house.attempts(task)
    assert (attempt["outcome"], attempt["exit_code"], attempt["exit_signal"]) == (outcome, code, number)
    assert attempt["gone_at"]


def test_a_flood_on_stdout_leaves_a_bounded_log_with_its_beginning_and_its_end(running: Running) -> None:
    house, task = ended(running, "floods", "failed")
    log = house.attempt_file(house.attempts(task)[0]["id"], "stdout.log")
    assert log.stat().st_size <= 1 << 20
    text = log.read_bytes()
    assert text.startswith(b"begun\n")
    assert text.endswith(b"over\n")


# --- Those that are stopped -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "outcome", "limit"),
    [("hangs", "timed_out", 5), ("idles", "idle", 4), ("never-stirs", "no_start", 4)],
)
def test_a_limit_ends_the_attempt_with_all_its_children(
    running: Running, name: str, outcome: str, limit: float
) -> None:
    house, task = ended(running, name, "failed")
    (attempt,) = house.attempts(task)
    assert attempt["outcome"] == outcome
    assert seconds_between(attempt["spawned_at"], attempt["ended_at"]) >= limit - 0.01
    steps = [event["verb"] for event in house.events(task, "warned", "ended", "stopping", "gone")]
    assert steps == ["warned", "ended", "stopping", "gone"]


def test_who_ignores_term_is_killed_and_tried_again_only_after_that(running: Running) -> None:
    house, task = ended(running, "ignores-term", "failed")
    first, second = house.attempts(task)
    assert [first["outcome"], second["outcome"]] == ["timed_out", "timed_out"]
    assert (first["exit_signal"], second["exit_signal"]) == (9, 9)
    assert not (house.workspace(task) / "overlap").exists()
    order = [(event["attempt_id"], event["verb"]) for event in house.events(task, "claim", "gone")]
    assert order == [(each["id"], verb) for each in (first, second) for verb in ("claim", "gone")]


def test_who_forks_faster_than_it_is_killed_is_ended_all_the_same(running: Running) -> None:
    house, task = ended(running, "breeds", "failed")
    assert house.outcomes(task) == ["timed_out"]


def test_an_agent_gets_its_own_graceful_signal_and_time_to_obey(running: Running) -> None:
    house, task = ended(running, "signalled-politely", "failed")
    assert (house.workspace(task) / "polite").exists()
    (attempt,) = house.attempts(task)
    assert (attempt["outcome"], attempt["exit_code"]) == ("timed_out", 0)


def test_output_holds_the_idle_limit_off(running: Running) -> None:
    house, task = ended(running, "prints", "done")
    assert house.outcomes(task) == ["submitted"]


def test_a_cancelled_task_loses_its_processes(running: Running) -> None:
    house, task = running.house, running.tasks["works-on"]
    house.reaches(task, "working")
    assert house.left_of(task)
    house.operate(task, "cancel", "never mind")
    ended(running, "works-on", "cancelled")
    assert house.outcomes(task) == ["cancelled"]


def test_a_task_that_is_cancelled_in_a_plain_sqlite3_shell_loses_its_processes_too(running: Running) -> None:
    house, task = running.house, running.tasks["cancelled-by-sql"]
    house.reaches(task, "working")

    said = shell(house.board, f"UPDATE tasks SET status = 'cancelled' WHERE id = {task};")

    assert (said.returncode, said.stderr) == (0, "")
    ended(running, "cancelled-by-sql", "cancelled")
    assert house.outcomes(task) == ["cancelled"]
    assert [event["actor"] for event in house.events(task, "cancel")] == ["sql"]


# --- What is left behind ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["double-forks", "hides"])
def test_a_daemon_left_behind_is_ended_with_its_attempt(running: Running, name: str) -> None:
    house, task = ended(running, name, "done")
    assert house.outcomes(task) == ["submitted"]
    daemon = int((house.workspace(task) / "daemon").read_text())
    assert processes.identity(daemon) is None


def test_leftovers_that_are_to_be_kept_end_by_themselves_before_the_attempt_is_gone(running: Running) -> None:
    house, task = ended(running, "leaves-one", "done")
    (attempt,) = house.attempts(task)
    assert attempt["stopped_at"] is None
    assert seconds_between(attempt["spawned_at"], attempt["gone_at"]) >= 1.99


def test_leftovers_that_are_to_be_ended_do_not_hold_the_attempt_up(running: Running) -> None:
    house, task = ended(running, "leaves-one-to-end", "done")
    (attempt,) = house.attempts(task)
    assert seconds_between(attempt["ended_at"], attempt["gone_at"]) < 30


# --- Those that cannot be started -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["missing", "not-in-path"])
def test_a_program_that_is_not_there_is_not_charged_and_the_third_in_a_row_pauses_the_agent(
    running: Running, name: str
) -> None:
    house = running.house
    tasks = [running.tasks[name], *running.more[name]]

    def paused() -> bool:
        return house.value("SELECT paused_at IS NOT NULL FROM agents WHERE id = :agent", agent=name) == 1

    until(paused, story=lambda: house.story(tasks[-1]))

    assert [house.outcomes(task) for task in tasks] == [["spawn_failed"]] * 3
    assert [house.task(task)["status"] for task in tasks] == ["pending"] * 3
    assert all(house.task(task)["not_before"] > house.attempts(task)[0]["ended_at"] for task in tasks)
    (event,) = house.rows("SELECT * FROM events WHERE verb = 'agent_paused' AND agent_id = :agent", agent=name)
    assert (event["actor"], "spawn_failed" in event["reason"]) == ("engine:breaker", True)
    why = json.loads(house.call("why", str(tasks[0]), "--json").stdout)
    assert "paused" in why["sentence"] or "waits until" in why["sentence"]


# --- All of them ------------------------------------------------------------------------------------------------


def test_no_attempt_of_a_task_begins_before_the_former_is_gone(running: Running) -> None:
    for name, task in running.tasks.items():
        order = [event["verb"] for event in running.house.events(task, "claim", "gone")]
        assert order == ["claim", "gone"] * (len(order) // 2) + ["claim"] * (len(order) % 2), name


def test_no_token_is_in_any_file_but_the_attempts_own(running: Running) -> None:
    house = running.house
    for file in house.folder.rglob("*"):
        if file.is_file() and file.name not in ("curl.conf", "operator.token") and not file.name.startswith("board.db"):
            assert b"bbt_" not in file.read_bytes(), file
