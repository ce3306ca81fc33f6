"""A daemon that ends and one that begins: what lives goes on, what does not is judged, and no timer begins anew."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from blackboard import claims
from blackboard.board import Board, Tx
from blackboard.clock import seconds_between
from blackboard.tokens import digest, mint
from orchestrator import processes
from tests.daemon import House, free_port, until

WAITS = """
echo $$ > pid; bb start; echo hello > out.txt; bb output document T out.txt
while [ ! -e go ]; do sleep 0.05; done
until bb submit; do [ $? = 75 ] || exit 9; sleep 0.1; done
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "house")
    house.agent("waits", WAITS)
    try:
        yield house
        house.ends()
    finally:
        house.clear()


def working(house: House, agent: str = "waits") -> int:
    """A task of this agent that is being worked on, its output handed in."""
    task = house.post(agent)
    until(lambda: house.events(task, "output"), story=lambda: house.story(task))
    return task


def pid_of(house: House, task: int) -> int:
    return int((house.workspace(task) / "pid").read_text())


def write(house: House, fn: Callable[[Tx], object]) -> None:
    """Run one transaction on the board of a daemon that is not there."""

    async def run() -> None:
        board = await Board.open(house.board, readers=0)
        try:
            await board.write(fn)
        finally:
            await board.close()

    asyncio.run(run())


def sql(house: House, statement: str) -> None:
    """What an operator types into a plain sqlite3 shell."""
    with closing(sqlite3.connect(house.board, isolation_level=None)) as connection:
        connection.execute(statement)


# --- Leaving and adopting ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["left", "killed"])
def test_a_living_agent_is_adopted_and_reports_to_the_new_daemon(house: House, way: str) -> None:
    house.start("--on-exit", "leave")
    task = working(house)
    agent = processes.identity(pid_of(house, task))
    assert agent is not None

    if way == "left":
        assert house.stop() == 0
    else:
        house.kill()
    assert processes.alive(agent)
    house.start()
    until(lambda: house.events(task, "adopted"), story=lambda: house.story(task))
    assert processes.alive(agent)
    house.let_go(task)

    house.reaches(task, "done")
    (attempt,) = house.attempts(task)
    assert (attempt["outcome"], attempt["exit_code"], attempt["agent_pid"]) == ("submitted", 0, agent.pid)


def test_what_ended_while_no_daemon_was_there_is_judged_by_its_exit_status(house: House) -> None:
    house.agent(
        "ends",
        "bb start; touch began; while [ ! -e go ]; do sleep 0.05; done; exit 3\n",
        policy={"max_tries": 1, "wall_seconds": 1.5},
    )
    house.start()
    task = house.post("ends")
    until(lambda: (house.workspace(task) / "began").exists())  # it has the answer, and repeats nothing
    (attempt,) = house.attempts(task)
    house.kill()
    house.let_go(task)
    until(lambda: not house.left_of(task))
    until(lambda: now_minus(attempt["spawned_boot"]) > 2.0)  # its wall limit is over too, but it ended before

    house.start()

    house.reaches(task, "failed")
    (attempt,) = house.attempts(task)
    assert (attempt["outcome"], attempt["exit_code"]) == ("crashed", 3)


def now_minus(boot: float) -> float:
    """Seconds since an instant of CLOCK_BOOTTIME."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - boot


def test_the_wall_limit_and_the_time_to_settle_go_on_from_the_board(house: House) -> None:
    house.agent("hangs", "bb start; sleep 1000\n", policy={"max_tries": 1, "wall_seconds": 6})
    house.agent("lingers", "echo x > f; bb output data T f; bb submit; sleep 1000\n", policy={"settle_seconds": 6})
    house.start()
    hanging, lingering = house.post("hangs"), house.post("lingers")
    house.reaches(hanging, "working")
    until(lambda: house.task(lingering)["status"] == "done")
    house.kill()
    (attempt,) = house.attempts(hanging)
    until(lambda: now_minus(attempt["spawned_boot"]) > 4.5)

    house.start()

    house.reaches(hanging, "failed")
    house.reaches(lingering, "done")
    (hung,), (lingered,) = house.attempts(hanging), house.attempts(lingering)
    assert hung["outcome"] == "timed_out"
    assert seconds_between(hung["spawned_at"], hung["ended_at"]) >= 5.99
    assert seconds_between(adopted_at(house, hanging), hung["ended_at"]) < 5, "it did not begin anew"
    assert seconds_between(lingered["ended_at"], lingered["stopped_at"]) >= 5.99
    assert seconds_between(adopted_at(house, lingering), lingered["stopped_at"]) < 5, "it did not begin anew"


def adopted_at(house: House, task: int) -> str:
    return str(house.events(task, "adopted")[0]["at"])


# --- Stopping ---------------------------------------------------------------------------------------------------


def test_a_stop_takes_the_agents_with_it_and_charges_nobody(house: House) -> None:
    house.agent("stubborn", "trap '' TERM; bb start; sleep 1000 & while :; do sleep 0.1; done\n")
    house.agent("reported", "echo x > f; bb output data T f; bb submit; sleep 1000\n", policy={"settle_seconds": 1000})
    house.start()
    tasks = [working(house), house.post("stubborn")]
    house.reaches(tasks[1], "working")
    lingering = house.post("reported")
    until(lambda: house.task(lingering)["status"] == "done")

    assert house.stop() == 0, house.told()

    assert not house.left()
    for task in tasks:
        (attempt,) = house.attempts(task)
        assert (attempt["outcome"], house.task(task)["status"]) == ("stopped", "pending")
        assert attempt["gone_at"]
        assert house.value("SELECT charged FROM outcomes WHERE outcome = 'stopped'") == 0
    assert house.outcomes(lingering) == ["submitted"]


def test_the_second_signal_ends_at_once_and_the_next_start_takes_over(house: House) -> None:
    house.agent("slow", "trap '' TERM; bb start; while :; do sleep 0.1; done\n", grace_seconds=30)
    daemon = house.start()
    task = house.post("slow")
    house.reaches(task, "working")
    daemon.send_signal(signal.SIGINT)
    until(lambda: house.events(task, "stopping"))
    until(lambda: daemon.poll() is not None or daemon.send_signal(signal.SIGINT))
    assert daemon.returncode == 1
    house.daemon = None
    assert house.left_of(task)
    house.agents["slow"]["grace_seconds"] = 0.2

    house.start()

    until(lambda: house.attempts(task)[0]["gone_at"], story=lambda: house.story(task))
    assert house.attempts(task)[0]["outcome"] == "stopped"
    house.operate(task, "cancel")


# --- One board, one daemon, one address -------------------------------------------------------------------------


def test_a_second_daemon_on_the_board_is_refused_and_told_who_holds_it(house: House) -> None:
    daemon = house.start()

    refused = house.call("run")

    assert refused.returncode == 75
    assert str(daemon.pid) in refused.stderr
    assert str(house.port) in refused.stderr


def test_another_port_is_refused_while_an_agent_lives_that_was_told_the_first(house: House) -> None:
    house.start("--on-exit", "leave")
    task = working(house)
    assert house.stop() == 0
    first, house.port = house.port, free_port()
    house.configure()

    refused = house.call("run")

    assert refused.returncode == 4, refused.stderr
    assert f":{first}" in refused.stderr
    assert f"(task {task}, waits)" in refused.stderr
    assert house.outcomes(task) == [None]

    house.port = first
    house.start()
    house.let_go(task)
    house.reaches(task, "done")


def test_another_port_is_taken_when_nothing_lives_any_more(house: House) -> None:
    house.start()
    task = working(house)
    house.kill()
    for one in house.left_of(task):
        processes.signal_safely(one, signal.SIGKILL)
    until(lambda: not house.left_of(task))
    house.port = free_port()
    house.let_go(task)

    house.start()

    house.reaches(task, "done")
    first, second = house.outcomes(task)
    assert (first in ("lost", "killed"), second) == (True, "submitted")


# --- What a crash leaves ----------------------------------------------------------------------------------------


def test_a_claim_that_was_never_started_is_released_and_claimed_again(house: House) -> None:
    house.start()
    task = house.post("waits", due_at="2999-01-01T00:00:00.000Z")
    assert house.stop() == 0
    sql(house, f"UPDATE tasks SET due_at = '2026-01-01T00:00:00.000Z' WHERE id = {task}")
    write(house, lambda tx: claims.claim(tx, task, "waits", digest(mint())))
    assert house.task(task)["status"] == "claimed"

    house.start()

    until(lambda: (house.workspace(task) / "pid").exists(), story=lambda: house.story(task))
    house.let_go(task)
    house.reaches(task, "done")
    assert house.outcomes(task) == ["released", "submitted"]
    assert house.attempts(task)[0]["spawned_at"] is None


def test_a_launcher_that_comes_late_finds_its_attempt_voided(house: House) -> None:
    """The daemon was killed between writing the files and starting the launcher, which is started now all the same."""
    house.start()
    task = house.post("waits", due_at="2999-01-01T00:00:00.000Z")
    assert house.stop() == 0
    sql(house, f"UPDATE tasks SET due_at = '2026-01-01T00:00:00.000Z' WHERE id = {task}")
    write(house, lambda tx: claims.claim(tx, task, "waits", digest(mint())))
    house.start()
    until(lambda: house.outcomes(task)[:1] == ["released"])
    directory = house.attempt_file(house.attempts(task)[0]["id"], "")
    ran = house.folder / "ran"
    spec = {"argv": ["/bin/touch", str(ran)], "cwd": "/", "env": {}, "stdin": None, "log_cap": 4096, "leftovers": "end",
            "leftover_grace": 0, "stdout": str(directory / "stdout.log"), "stderr": str(directory / "stderr.log")}  # fmt: skip
    (directory / "launch.json").write_text(json.dumps(spec))

    assert processes.launch(directory).wait(timeout=20) == 0

    assert not ran.exists()
    house.let_go(task)
    house.reaches(task, "done")


@pytest.mark.parametrize("recorded", [True, False])
def test_a_living_agent_whose_directory_is_gone_is_stopped_before_the_next_begins(house: House, recorded: bool) -> None:
    """An operator has moved the attempts away, or has configured another place for them."""
    house.agent("proves", "exec 9>>lock; flock --nonblock 9 || touch overlap\n" + WAITS)
    house.start()
    task = working(house, "proves")
    agent = processes.identity(pid_of(house, task))
    assert agent is not None
    house.kill()
    (house.folder / "attempts").rename(house.folder / "elsewhere")
    (house.folder / "attempts").mkdir()
    if not recorded:  # the daemon was killed before it could record what it had started
        sql(house, "UPDATE attempts SET spawned_at = NULL, launcher_pid = NULL, agent_pid = NULL, boot_id = NULL")

    house.start()

    until(lambda: len(house.attempts(task)) == 2, story=lambda: house.story(task))
    assert not processes.alive(agent)
    house.let_go(task)
    house.reaches(task, "done")
    assert house.outcomes(task) == ["lost" if recorded else "released", "submitted"]
    assert not (house.workspace(task) / "overlap").exists()


def test_an_attempt_of_another_boot_is_judged_without_a_signal_to_anybody(house: House) -> None:
    house.start()
    task = working(house)
    house.kill()
    stranger = processes.identity(pid_of(house, task))  # in the other boot this pid was somebody else's
    (attempt,) = house.attempts(task)
    sql(house, f"UPDATE attempts SET boot_id = 'another boot' WHERE id = {attempt['id']}")
    launch = house.attempt_file(attempt["id"], "launch.json")
    launch.write_text(re.sub(r'"boot_id": "[^"]*"', '"boot_id": "another boot"', launch.read_text()))

    house.start()

    until(lambda: house.outcomes(task)[:1] == ["lost"], story=lambda: house.story(task))
    until(lambda: house.attempts(task)[0]["gone_at"])
    assert stranger is not None
    assert processes.alive(stranger)
    processes.signal_safely(stranger, signal.SIGKILL)
    house.let_go(task)
    house.reaches(task, "done")
    assert house.outcomes(task) == ["lost", "submitted"]


def test_a_launcher_killed_before_it_wrote_anything_does_not_hold_the_task_up(house: House) -> None:
    """The daemon and the launcher die at one moment: an empty status file, nothing recorded, nobody alive."""
    house.start()
    task = house.post("waits", due_at="2999-01-01T00:00:00.000Z")
    assert house.stop() == 0
    sql(house, f"UPDATE tasks SET due_at = '2026-01-01T00:00:00.000Z' WHERE id = {task}")
    write(house, lambda tx: claims.claim(tx, task, "waits", digest(mint())))
    (attempt,) = house.attempts(task)
    directory = house.attempt_file(attempt["id"], "")
    directory.mkdir(parents=True)
    (directory / "status").touch()

    house.start()

    until(lambda: (house.workspace(task) / "pid").exists(), story=lambda: house.story(task))
    house.let_go(task)
    house.reaches(task, "done")
    assert house.outcomes(task) == ["lost", "submitted"]


def test_the_folders_of_another_board_are_moved_aside_and_come_back(house: House) -> None:
    house.start()
    first = working(house)
    house.let_go(first)
    house.reaches(first, "done")
    assert house.stop() == 0
    one, other = house.folder / "one.db", house.folder / "other.db"
    house.board.rename(one)
    for mine, theirs in ((one, other), (other, one), (one, other)):
        house.start()  # another board, whose attempts are numbered from 1 again
        task = working(house)
        house.let_go(task)
        house.reaches(task, "done")
        assert set(house.outcomes(task)) == {"submitted"}
        assert house.stop() == 0
        house.board.rename(theirs)
        if mine.exists():
            mine.rename(house.board)
    aside = [path.name for path in house.folder.iterdir() if path.name.startswith("attempts-of-")]
    assert len(aside) == 1
    first_prompt = house.attempt_file(1, "prompt.md")
    assert first_prompt.exists()


def test_after_a_restored_backup_an_attempt_is_not_judged_by_an_older_one_of_its_number(house: House) -> None:
    house.start()
    assert house.stop() == 0
    assert house.call("backup", str(house.folder / "kept.db")).returncode == 0
    house.start()
    first = working(house)
    house.let_go(first)
    house.reaches(first, "done")
    assert house.stop() == 0
    for name in ("board.db", "board.db-wal", "board.db-shm"):
        (house.folder / name).unlink(missing_ok=True)
    (house.folder / "kept.db").rename(house.board)
    (house.workspace(first) / "go").unlink()

    house.start()
    task = working(house)
    house.let_go(task)
    house.reaches(task, "done")

    assert house.outcomes(task) == ["submitted"]
    assert any("-claimed-" in path.name for path in (house.folder / "attempts").iterdir())
