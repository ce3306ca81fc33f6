"""Facts about processes, and the stop of a whole attempt, with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest
import uvloop

from orchestrator import processes
from orchestrator.processes import Identity, Status
from tests.torture.harness import PATH, Attempt, until


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Attempt]:
    one = Attempt(tmp_path / "attempt")
    yield one
    assert not one.clear(), "processes were left behind"


@pytest.fixture
def stranger() -> Iterator[Identity]:
    """A process of nobody's attempt, leader of its own session."""
    process = subprocess.Popen(["sleep", "30"], start_new_session=True)
    one = processes.identity(process.pid)
    assert one is not None
    yield one
    process.kill()
    process.wait()


async def ready(attempt: Attempt) -> Status:
    """Wait until the agent has said so on its stdout."""
    await asyncio.to_thread(until, lambda: attempt.stdout.startswith(b"ready"))
    return attempt.reach("running")


async def stop(attempt: Attempt, status: Status, **changes: object) -> bool:
    told = {"grace": 0.3, "give_up": 5.0} | changes
    return await processes.stop(attempt.marker, status.launcher, status.agent, **told)  # type: ignore[arg-type]


# --- Who is who -------------------------------------------------------------------------------------------------


def test_nobody_has_the_identity_of_a_zombie_or_of_an_absent_process() -> None:
    child = subprocess.Popen(["true"])
    until(lambda: "Z" in Path(f"/proc/{child.pid}/stat").read_text())
    assert processes.identity(child.pid) is None
    child.wait()
    assert processes.identity(child.pid) is None


def test_a_process_without_its_main_thread_is_alive(attempt: Attempt) -> None:
    status = attempt.start("loses_main_thread.py")
    assert status.agent is not None
    until(lambda: attempt.stdout and ") Z " in Path(f"/proc/{status.agent and status.agent.pid}/stat").read_text())
    assert processes.alive(status.agent)
    assert status.agent in attempt.members()
    attempt.clear()


def test_a_stranger_with_the_same_pid_is_not_alive_and_is_never_signalled(stranger: Identity) -> None:
    former = Identity(stranger.pid, stranger.start - 1)
    assert not processes.alive(former)
    assert not processes.signal_safely(former, signal.SIGKILL)
    time.sleep(0.05)
    assert processes.alive(stranger)


def test_a_signal_to_nobody_is_told() -> None:
    child = subprocess.Popen(["sleep", "30"])
    one = processes.identity(child.pid)
    assert one is not None
    assert processes.signal_safely(one, signal.SIGKILL)
    child.wait()
    assert not processes.signal_safely(one, signal.SIGKILL)


def test_the_boot_has_a_name() -> None:
    assert len(processes.boot_id()) == 36


# --- Members ----------------------------------------------------------------------------------------------------


async def test_members_are_the_tree_the_session_and_who_carries_the_marker(attempt: Attempt) -> None:
    attempt.start("hides.sh")
    status = await ready(attempt)
    members = attempt.members()
    assert {status.launcher, status.agent} < members
    assert len(members) == 6, "the launcher, the agent, two shells and their sleeps"
    assert processes.members("another", None) == set()
    attempt.clear()


async def test_with_the_launcher_killed_all_others_are_still_found(attempt: Attempt) -> None:
    attempt.start("hides.sh")
    status = await ready(attempt)
    whole = attempt.members()
    assert status.launcher is not None
    processes.signal_safely(status.launcher, signal.SIGKILL)
    attempt.finish()
    assert attempt.members() == whole - {status.launcher}
    assert await stop(attempt, status)


def test_the_marker_finds_the_launcher_too(attempt: Attempt) -> None:
    status = attempt.start("sleep", "20")
    assert processes.members(attempt.marker, None) == {status.launcher, status.agent}
    attempt.clear()


def test_a_marker_counts_only_as_a_whole(attempt: Attempt) -> None:
    def marked(value: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sleep", "30"], env={"A": "b", processes.MARKER: value})

    marker = f"{attempt.marker}:1"
    one, longer, shorter = marked(marker), marked(f"{marker}1"), marked(attempt.marker)
    other = subprocess.Popen(["sleep", "30"], env={"X" + processes.MARKER: marker})
    try:
        until(lambda: processes.members(marker, None))
        assert processes.members(marker, None) == {processes.identity(one.pid)}
    finally:
        for process in (one, longer, shorter, other):
            process.kill()
            process.wait()


def test_a_mark_is_seen_from_the_moment_of_the_start(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of an exec the kernel shows an empty environment: on an idle machine to one look of fifteen."""
    for _ in range(300):
        fresh = subprocess.Popen(["sleep", "30"], env={"PATH": PATH, processes.MARKER: attempt.marker})
        try:
            with monkeypatch.context() as alone:  # a look at all others first would come too late to meet it
                alone.setattr(os, "listdir", lambda folder, pid=fresh.pid: [str(pid)])
                assert [one.pid for one in processes.members(attempt.marker, None)] == [fresh.pid]
        finally:
            fresh.kill()
            fresh.wait()


async def test_who_carries_the_mark_and_is_older_than_the_launcher_is_a_stranger(attempt: Attempt) -> None:
    def marked() -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sleep", "30"], env={"PATH": PATH, processes.MARKER: attempt.marker})

    older = marked()
    try:
        until(lambda: processes.members(attempt.marker, None))
        one = processes.identity(older.pid)
        assert one is not None
        await asyncio.sleep(0.02)  # a start is told in hundredths of a second
        status = attempt.start("sleep", "20")
        newer = marked()
        try:
            assert await stop(attempt, status)
            assert newer.wait() == -signal.SIGTERM, "it cannot be told from one of ours"
            assert processes.alive(one)
        finally:
            newer.kill()
            newer.wait()
    finally:
        older.kill()
        older.wait()


def test_the_session_of_a_stranger_that_got_the_launchers_pid_does_not_count(stranger: Identity) -> None:
    launcher = Identity(stranger.pid, stranger.start - 1)
    assert processes.members("nobody", launcher) == set()


def test_a_session_whose_leader_is_gone_counts_as_alive_and_is_not_signalled() -> None:
    command = "read line; sleep 30 >/dev/null & echo $!"
    shell = subprocess.Popen(
        ["sh", "-c", command], start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    leader = processes.identity(shell.pid)
    out, _ = shell.communicate(b"\n")
    sleeper = processes.identity(int(out))
    assert leader is not None
    assert sleeper is not None
    assert processes.members("nobody", leader) == {sleeper}
    assert not asyncio.run(processes.stop("nobody", leader, None, grace=0, give_up=0.3))
    assert processes.signal_safely(sleeper, signal.SIGKILL), "it was spared"


# --- Stopping ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("graceful", "code"), [(signal.SIGINT, 3), (signal.SIGTERM, 4)])
async def test_a_polite_agent_ends_by_the_graceful_signal(attempt: Attempt, graceful: int, code: int) -> None:
    attempt.start("ends_politely.sh")
    status = await ready(attempt)
    signals: list[tuple[int, set[Identity]]] = []
    assert await stop(attempt, status, graceful=graceful, grace=5.0, on_signal=lambda *told: signals.append(told))
    assert attempt.finish().code == code
    assert [number for number, _ in signals] == [graceful]
    assert status.agent in signals[0][1]
    assert status.launcher not in signals[0][1]


async def test_an_agent_that_ignores_term_is_killed_after_its_grace_and_the_end_is_recorded(attempt: Attempt) -> None:
    attempt.start("ignores_term.sh")
    status = await ready(attempt)
    began = time.monotonic()
    assert await stop(attempt, status)
    assert 0.3 < time.monotonic() - began < 5
    ended = attempt.finish()
    assert (ended.phase, ended.signal) == ("signal", signal.SIGKILL)


async def test_a_stopped_agent_is_killed_all_the_same(attempt: Attempt) -> None:
    status = attempt.start("sleep", "20")
    assert status.agent is not None
    processes.signal_safely(status.agent, signal.SIGSTOP)
    agent = f"/proc/{status.agent.pid}/stat"
    await asyncio.to_thread(until, lambda: ") T " in Path(agent).read_text())
    assert await stop(attempt, status)
    assert attempt.finish().signal == signal.SIGKILL


@pytest.mark.parametrize("script", ["hops.py", "breeds.py"])
async def test_an_agent_that_forks_all_the_time_is_ended(attempt: Attempt, script: str) -> None:
    status = attempt.start(script, leftovers="keep")
    await asyncio.sleep(0.2)
    assert await stop(attempt, status)


async def test_hidden_descendants_and_a_daemon_are_ended(attempt: Attempt) -> None:
    attempt.start("leaves_daemon.sh", leftovers="keep")
    status = attempt.reach("exit")
    daemon = processes.identity(int((attempt.folder / "daemon.pid").read_text()))
    assert daemon is not None
    assert await stop(attempt, status)
    assert not processes.alive(daemon)
    assert attempt.finish() == status


async def test_with_the_launcher_killed_the_agent_is_ended(attempt: Attempt) -> None:
    status = attempt.start("sleep", "20")
    assert status.launcher is not None
    processes.signal_safely(status.launcher, signal.SIGKILL)
    attempt.finish()
    assert await stop(attempt, status)


async def test_without_a_status_the_marker_is_enough(attempt: Attempt) -> None:
    attempt.start("ignores_term.sh")
    await ready(attempt)
    assert await processes.stop(attempt.marker, None, None, grace=0.1)


async def test_a_launcher_that_does_not_leave_is_killed_last(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "LAUNCHER_SECONDS", 0.2)
    status = attempt.start("sleep", "20")
    assert status.launcher is not None
    processes.signal_safely(status.launcher, signal.SIGSTOP)
    signals: list[tuple[int, set[Identity]]] = []
    assert await stop(attempt, status, on_signal=lambda *told: signals.append(told))
    assert signals == [(signal.SIGTERM, {status.agent}), (signal.SIGKILL, {status.launcher})]


async def test_with_the_launcher_killed_its_session_counts_because_the_agent_is_in_it(attempt: Attempt) -> None:
    attempt.start("sh", "-c", "(env -i sleep 20 &); echo ready; sleep 20", env={"PATH": PATH})
    status = await ready(attempt)
    whole = attempt.members()
    assert status.launcher is not None
    processes.signal_safely(status.launcher, signal.SIGKILL)
    attempt.finish()
    assert attempt.members() == whole - {status.launcher}
    assert len(whole) == 4
    assert await stop(attempt, status)


async def test_one_empty_scan_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody: set[Identity] = set()
    late = {Identity(1 << 22, 1)}
    scans = [(nobody, nobody), (nobody, nobody), (late, nobody), (nobody, nobody), (nobody, nobody)]
    monkeypatch.setattr(processes, "_scan", lambda *attempt: scans.pop(0))
    assert await processes.stop("m", None, None, grace=5.0)
    assert scans == []


async def test_the_launcher_has_time_to_leave_once_it_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    launcher, other = Identity(3, 9), Identity(5, 11)
    scans = [{launcher, other}] * 8 + [{launcher}] * 3
    sent: list[int] = []
    monkeypatch.setattr(processes, "LAUNCHER_SECONDS", 0.4)  # less than the first eight scans take
    monkeypatch.setattr(processes, "_scan", lambda *attempt: (scans.pop(0) if scans else set(), set()))
    monkeypatch.setattr(processes, "signal_safely", lambda one, number: not sent.append(number))
    assert await processes.stop("m", launcher, None, grace=5.0)
    assert sent == [signal.SIGTERM]


async def test_all_are_frozen_then_the_newest_is_killed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []

    def record(one: Identity, number: int) -> bool:
        sent.append((one.pid, number))
        return True

    old, young, launcher = Identity(7, 10), Identity(5, 11), Identity(3, 9)
    monkeypatch.setattr(
        processes, "_scan", lambda *attempt: ({old, young, launcher} if len(sent) < 6 else set(), set())
    )
    monkeypatch.setattr(processes, "signal_safely", record)
    assert await processes.stop("m", launcher, None, graceful=signal.SIGINT, grace=0)
    expected = [signal.SIGINT, signal.SIGSTOP, signal.SIGKILL]
    assert sent == [(pid, number) for number in expected for pid in (5, 7)]


async def test_a_stop_of_what_is_gone_is_proof_and_signals_nobody(attempt: Attempt, stranger: Identity) -> None:
    attempt.start("true")
    attempt.finish()
    former = Identity(stranger.pid, stranger.start - 1)
    assert await processes.stop(attempt.marker, former, former, grace=0)
    assert processes.alive(stranger)


async def test_who_cannot_be_killed_is_not_called_gone(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    status = attempt.start("sleep", "20")
    with monkeypatch.context() as patch:
        patch.setattr(processes, "signal_safely", lambda one, number: False)
        assert not await stop(attempt, status, grace=0.0, give_up=0.3)
    assert await stop(attempt, status)


async def test_the_loop_goes_on_while_an_attempt_is_stopped(attempt: Attempt) -> None:
    attempt.start("ignores_term.sh")
    status = await ready(attempt)
    stopping = asyncio.create_task(stop(attempt, status))
    turns = 0
    while not stopping.done():
        await asyncio.sleep(0.005)
        turns += 1
    assert await stopping
    assert turns > 20


# --- Waiting for an end -----------------------------------------------------------------------------------------


def run_with(loop: Callable[[], asyncio.AbstractEventLoop], main: Coroutine[object, object, None]) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(main)


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_an_end_is_seen_of_a_process_that_is_no_child(
    attempt: Attempt, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    status = attempt.start("sleep", "20")
    assert status.agent is not None
    agent = status.agent

    async def main() -> None:
        files = len(os.listdir("/proc/self/fd"))
        waiting = [asyncio.create_task(processes.exited(agent)) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert not any(one.done() for one in waiting)
        processes.signal_safely(agent, signal.SIGKILL)
        async with asyncio.timeout(1):
            await asyncio.gather(*waiting)
        await processes.exited(agent)
        assert len(os.listdir("/proc/self/fd")) <= files + 1

    run_with(loop, main())
    attempt.finish()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_cancelled_wait_leaves_no_file_open(
    stranger: Identity, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def main() -> None:
        files = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            waiting = asyncio.create_task(processes.exited(stranger))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
        assert len(os.listdir("/proc/self/fd")) <= files + 1

    run_with(loop, main())


async def test_a_pid_that_went_to_a_stranger_means_exited(stranger: Identity) -> None:
    async with asyncio.timeout(1):
        await processes.exited(Identity(stranger.pid, stranger.start - 1))


async def test_a_collected_launcher_leaves_no_zombie(attempt: Attempt) -> None:
    attempt.start("true")
    assert attempt.launcher is not None
    assert await processes.collect(attempt.launcher) == 0
    assert str(attempt.launcher.pid) not in os.listdir("/proc")


# --- The status file --------------------------------------------------------------------------------------------

LAUNCHER, AGENT = Identity(10, 20), Identity(11, 21)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("starting 10 20", Status("starting", LAUNCHER)),
        ("running 10 20 11 21", Status("running", LAUNCHER, AGENT)),
        ("exit 7 10 20 11 21", Status("exit", LAUNCHER, AGENT, code=7)),
        ("signal 9 10 20 11 21", Status("signal", LAUNCHER, AGENT, signal=9)),
        ("spawn_failed 10 20 no  such é", Status("spawn_failed", LAUNCHER, message="no  such é")),
        ("void", Status("void")),
        ("", Status("unknown")),
        ("running 10 20 11", Status("unknown")),
        ("running 10 20 11 21 9", Status("unknown")),
        ("exit x 10 20 11 21", Status("unknown")),
        ("starting", Status("unknown")),
        ("\0" * 400, Status("unknown")),
    ],
)
def test_each_status_is_read(tmp_path: Path, text: str, status: Status) -> None:
    (tmp_path / "status").write_bytes(text.encode().ljust(511) + b"\n")
    assert processes.read_status(tmp_path) == status


def test_a_torn_status_is_unknown_and_a_missing_one_is_none(tmp_path: Path) -> None:
    assert processes.read_status(tmp_path) is None
    (tmp_path / "status").write_bytes(b"")
    assert processes.read_status(tmp_path) == Status("unknown")
    (tmp_path / "status").write_bytes(b"running 10 20 11 21")
    assert processes.read_status(tmp_path) == Status("unknown")


def test_only_the_first_void_wins(tmp_path: Path) -> None:
    assert processes.void(tmp_path)
    assert not processes.void(tmp_path)
    assert processes.read_status(tmp_path) == Status("void")


def test_a_launcher_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no-such-python"):
        processes.launch(tmp_path, "/no-such-python")
