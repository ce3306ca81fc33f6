"""The launcher, with real agents: what they get, how their end is written down, and what it does with the rest."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator import launcher, processes
from orchestrator.processes import Identity, Status
from tests.torture.harness import PATH, Attempt, until

SPLICE = re.compile(rb"\n\xe2\x80\xa6 +(\d+) bytes cut \xe2\x80\xa6\n")


@pytest.fixture
def attempt(tmp_path: Path) -> Iterator[Attempt]:
    one = Attempt(tmp_path / "attempt")
    yield one
    assert not one.clear(), "processes were left behind"


# --- How an agent ends ------------------------------------------------------------------------------------------


def test_an_exit_code_is_recorded(attempt: Attempt) -> None:
    attempt.start("sh", "-c", "exit 7")
    status = attempt.finish()
    assert (status.phase, status.code, status.signal) == ("exit", 7, None)


def test_a_kill_is_told_from_exit_137(tmp_path: Path, attempt: Attempt) -> None:
    attempt.start("sh", "-c", "kill -9 $$")
    killed = attempt.finish()
    other = Attempt(tmp_path / "other")
    other.start("sh", "-c", "exit 137")
    exited = other.finish()
    assert (killed.phase, killed.signal, killed.code) == ("signal", 9, None)
    assert (exited.phase, exited.code, exited.signal) == ("exit", 137, None)


def test_term_to_the_agents_group_ends_the_agent_and_not_the_launcher(attempt: Attempt) -> None:
    status = attempt.start("sleep", "20")
    assert status.agent is not None
    os.killpg(status.agent.pid, signal.SIGTERM)
    assert attempt.finish().signal == signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_the_launcher_survives_polite_signals(attempt: Attempt, number: int) -> None:
    status = attempt.start("sh", "-c", "until [ -e go ]; do sleep 0.01; done; exit 5")
    assert status.launcher is not None
    assert processes.signal_safely(status.launcher, number)
    (attempt.folder / "go").touch()
    assert attempt.finish().code == 5


def test_running_names_both_processes_by_pid_and_start(attempt: Attempt) -> None:
    status = attempt.start("sleep", "20")
    assert attempt.launcher is not None
    assert status.phase == "running"
    assert status.launcher == processes.identity(attempt.launcher.pid)
    assert status.agent is not None
    assert processes.alive(status.agent)
    processes.signal_safely(status.agent, signal.SIGKILL)
    ended = attempt.finish()
    assert (ended.launcher, ended.agent) == (status.launcher, status.agent)


def test_an_agent_that_closes_its_files_is_seen_to_end(attempt: Attempt) -> None:
    attempt.start("closes_fds.py")
    assert attempt.finish().code == 4


def test_a_grandchild_that_holds_stdout_does_not_delay_the_answer(attempt: Attempt) -> None:
    attempt.start("holds_stdout.sh", leftovers="keep")
    began = time.monotonic()
    assert attempt.reach("exit").code == 3
    assert time.monotonic() - began < 1
    assert len(attempt.members()) == 2, "the launcher and the one kept"
    attempt.clear()


# --- Agents that cannot be started ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "changes", "message"),
    [
        (["no-such-program"], {}, "no-such-program"),
        (["./no-such-program"], {}, "No such file"),
        (["true"], {"cwd": "/no/such/folder"}, "/no/such/folder"),
        (["true", "x" * 200_000], {}, "too long"),
        (["/etc/passwd"], {}, "Permission denied"),
        (["true"], {"stdin": "/no/such/prompt"}, "/no/such/prompt"),
        (["true"], {"stdout": "/no/such/folder/log"}, "/no/such/folder/log"),
        (["true", "nul\0"], {}, "null"),
        ([], {}, "IndexError"),
        (["true"], {"env": {"A": 1}}, "TypeError"),
        (["no\nsuch" + "€" * 600], {}, "no"),
    ],
)
def test_a_failed_start_is_recorded(
    attempt: Attempt, argv: list[str], changes: dict[str, object], message: str
) -> None:
    attempt.start(*argv, **changes)
    status = attempt.finish()
    assert status.phase == "spawn_failed"
    assert status.message is not None
    assert message in status.message
    assert (attempt.folder / "status").stat().st_size == 512


def test_a_missing_description_is_a_failed_start(attempt: Attempt) -> None:
    attempt.launch()
    assert attempt.finish().phase == "spawn_failed"


# --- Voided -----------------------------------------------------------------------------------------------------


def test_a_voided_attempt_never_starts(attempt: Attempt) -> None:
    attempt.write(["touch", "ran"])
    assert processes.void(attempt.folder)
    attempt.launch()
    assert attempt.finish() == Status("void")
    assert not (attempt.folder / "ran").exists()
    assert attempt.launcher is not None
    assert attempt.launcher.returncode == 0


def test_of_launcher_and_void_exactly_one_wins(tmp_path: Path) -> None:
    def race(number: int) -> bool:
        one = Attempt(tmp_path / str(number))
        one.write(["touch", "ran"])
        one.launch()
        time.sleep(random.uniform(0, 0.06))
        voided = processes.void(one.folder)
        status = one.finish()
        ran = (one.folder / "ran").exists()
        assert ran != voided
        assert status.phase == ("void" if voided else "exit")
        assert not one.left()
        return voided

    with ThreadPoolExecutor(3) as pool:
        assert len(list(pool.map(race, range(60)))) == 60


# --- What an agent gets -----------------------------------------------------------------------------------------


def test_the_agent_gets_what_was_given_and_nothing_else(attempt: Attempt, tmp_path: Path) -> None:
    prompt = tmp_path / "prompt.md"
    prompt.write_text("do it, with é")
    env = {"PATH": PATH, "LANG": "C.UTF-8", "É": "ü", "EMPTY": ""}
    with open(prompt) as open_and_inheritable:
        os.set_inheritable(open_and_inheritable.fileno(), True)
        attempt.start("shows_itself.py", "a b", "$HOME", "é", "", stdin=str(prompt), env=env)
    assert attempt.finish().code == 0, (attempt.folder / "stderr.log").read_text()
    facts = json.loads(attempt.stdout)
    assert facts["argv"] == ["a b", "$HOME", "é", ""]
    assert facts["cwd"] == str(attempt.folder)
    assert facts["environ"].split("\0")[:-1] == [f"{name}={value}" for name, value in env.items()]
    assert facts["fds"] == [0, 1, 2]
    assert facts["stdin"] == "do it, with é"
    assert facts["group_is_own"]
    assert facts["session_is_parents"]


def test_the_agent_has_default_signals_and_an_empty_mask(attempt: Attempt) -> None:
    attempt.start("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status")
    attempt.finish()
    masks = [int(line.split()[1], 16) for line in attempt.stdout.splitlines()]
    of_the_c_library = 1 << 31 | 1 << 32  # signals 32 and 33: nobody else can set them
    assert [mask & ~of_the_c_library for mask in masks] == [0, 0]


def test_without_a_prompt_stdin_is_empty(attempt: Attempt) -> None:
    attempt.start("wc", "-c")
    attempt.finish()
    assert attempt.stdout.strip() == b"0"


def test_a_program_is_looked_for_in_the_agents_path(attempt: Attempt) -> None:
    program = attempt.folder / "own-program"
    program.write_text("#!/bin/sh\nexit 9\n")
    program.chmod(0o755)
    attempt.start("own-program", env={"PATH": f"/usr/bin:{attempt.folder}"})
    assert attempt.finish().code == 9


def test_files_are_private(attempt: Attempt) -> None:
    attempt.start("true")
    attempt.finish()
    for name in ("status", "stdout.log", "stderr.log", "launcher.log"):
        assert (attempt.folder / name).stat().st_mode & 0o777 == 0o600, name


# --- What an agent leaves behind --------------------------------------------------------------------------------


def test_a_daemon_left_behind_is_found_and_ended(attempt: Attempt) -> None:
    attempt.start("leaves_daemon.sh", leftover_grace=0.1)
    assert attempt.finish().code == 6
    daemon = int((attempt.folder / "daemon.pid").read_text())
    assert processes.identity(daemon) is None


def test_leftovers_that_end_within_their_grace_are_not_signalled(attempt: Attempt) -> None:
    attempt.start("sh", "-c", "(sleep 0.3; echo finished > finished) & exit 0", leftover_grace=10.0)
    began = time.monotonic()
    attempt.finish()
    assert (attempt.folder / "finished").exists()
    assert time.monotonic() - began < 5


def test_leftovers_get_term_before_kill(attempt: Attempt) -> None:
    polite = "trap 'echo polite > polite; exit' TERM; touch ready; while :; do sleep 0.01; done"
    attempt.start("sh", "-c", f'sh -c "{polite}" & until [ -e ready ]; do sleep 0.01; done')
    attempt.finish()
    assert (attempt.folder / "polite").exists()


def test_kept_leftovers_have_the_launcher_as_parent_until_the_last_has_ended(attempt: Attempt) -> None:
    attempt.start("sh", "-c", "(until [ -e go ]; do sleep 0.02; done) & exit 2", leftovers="keep")
    status = attempt.reach("exit")
    assert status.launcher is not None
    time.sleep(0.2)
    assert processes.alive(status.launcher)
    assert len(attempt.members()) >= 2
    (attempt.folder / "go").touch()
    assert attempt.finish() == status


def test_every_adopted_child_is_reaped(attempt: Attempt) -> None:
    status = attempt.start("sh", "-c", "for i in 1 2 3 4 5 6 7 8; do (sleep 0.01 &); done; sleep 0.3; sleep 20")
    assert status.launcher is not None
    children = Path(f"/proc/{status.launcher.pid}/task/{status.launcher.pid}/children")
    until(lambda: len(children.read_text().split()) > 1)
    until(lambda: len(children.read_text().split()) == 1)
    attempt.clear()


def test_leftovers_are_never_signalled_by_pid_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = subprocess.Popen(["sleep", "30"])
    start = launcher.start_of(stranger.pid)
    monkeypatch.setattr(launcher, "descendants", lambda: [(start - 1, stranger.pid)])
    launcher.signal_descendants(signal.SIGKILL)
    monkeypatch.setattr(launcher, "descendants", lambda: [(start, stranger.pid)])
    launcher.signal_descendants(signal.SIGTERM)
    assert stranger.wait(5) == -signal.SIGTERM


# --- Logs -------------------------------------------------------------------------------------------------------


def test_a_flood_of_1_gb_leaves_a_bounded_log_and_a_small_launcher(attempt: Attempt) -> None:
    status = attempt.start("floods.sh", "1024")
    until((attempt.folder / "flooded").exists, 20)
    assert status.launcher is not None
    until(lambda: (attempt.folder / "stdout.log").stat().st_blocks * 512 < 2 << 20)
    memory = Path(f"/proc/{status.launcher.pid}/status").read_text()
    (attempt.folder / "go").touch()
    assert attempt.finish().code == 0
    log = attempt.stdout
    splice = SPLICE.search(log)
    assert splice is not None
    assert 1 << 19 < len(log) <= 1 << 20
    assert log.startswith(b"first line\n\0")
    assert log.endswith(b"\0last line\n")
    assert int(splice[1]) == (1 << 30) + len("first line\nlast line\n") - len(log) + len(splice[0])
    assert int(re.findall(r"VmHWM:\s+(\d+) kB", memory)[0]) < 40_000


def test_a_cut_keeps_the_first_and_the_newest_lines_and_counts_the_rest(attempt: Attempt) -> None:
    attempt.start("overflows.py", log_cap=16384)
    assert attempt.finish().code == 0, (attempt.folder / "stderr.log").read_text()
    log = attempt.stdout
    splice = SPLICE.search(log)
    assert splice is not None
    head, tail = log[: splice.start()], log[splice.end() :]
    whole = b"".join(b"%09d %s\n" % (number, b"x" * 39) for number in range(3000))
    assert len(log) <= 16384
    assert head == whole[: len(head)]
    assert tail == whole[-len(tail) :]
    assert (len(head), len(tail)) == (4096, 8192)
    assert int(splice[1]) == len(whole) - len(head) - len(tail)
    assert len(SPLICE.findall(log)) == 1


def test_nothing_written_during_a_cut_is_lost(attempt: Attempt) -> None:
    lines = "import os\nfor number in range(100_000): os.write(1, b'%09d\\n' % number)"
    attempt.start("python", "-c", lines, log_cap=65536)
    attempt.finish()
    splice = SPLICE.search(attempt.stdout)
    assert splice is not None
    head, tail = attempt.stdout[: splice.start()], attempt.stdout[splice.end() :]
    assert tail == b"".join(b"%09d\n" % number for number in range(100_000))[-len(tail) :]
    assert len(head) + len(tail) + int(splice[1]) == 1_000_000


def test_while_somebody_may_write_the_middle_becomes_a_hole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = launcher.Log(str(path), 1 << 20)
    path.write_bytes(bytes(8192))
    if not launcher.punch(log.file, 0, 4096):
        pytest.skip("this file system makes no holes")
    for _ in range(2):  # the second time the agent itself has begun anew
        path.write_bytes(b"x" * (1 << 22))
        log.grew_fast()
        assert path.stat().st_size == 1 << 22
        assert path.stat().st_blocks * 512 <= 1 << 20
        path.write_bytes(b"")
        log.grew_fast()
    os.close(log.file)


def test_where_no_hole_can_be_made_the_newest_part_moves_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([True, True])  # at first it can
    monkeypatch.setattr(launcher, "punch", lambda file, begin, end: next(answers, False))
    monkeypatch.setattr(launcher, "CHUNK", 1000)
    path = tmp_path / "log"
    log = launcher.Log(str(path), 8192)
    whole = b""
    for number in range(6000):
        whole += (line := b"%09d\n" % number)
        with path.open("ab") as file:
            file.write(line)
        if number % 100 == 99:
            log.grew_fast()
            assert path.stat().st_size <= 16384
    os.close(log.file)
    splice = SPLICE.search(path.read_bytes())
    assert splice is not None
    head, tail = path.read_bytes()[: splice.start()], path.read_bytes()[splice.end() :]
    assert len(head) + len(tail) <= 8192
    assert head == whole[:2048]
    assert whole.endswith(tail)
    assert len(head) + len(tail) + int(splice[1]) == len(whole)


def test_a_log_below_its_cap_is_left_alone(attempt: Attempt) -> None:
    attempt.start("head", "-c", "1048576", "/dev/zero")
    attempt.finish()
    assert attempt.stdout == bytes(1 << 20)


def test_both_logs_may_be_one_file(attempt: Attempt) -> None:
    log = str(attempt.folder / "stdout.log")
    attempt.start("sh", "-c", "head -c 3000000 /dev/zero; echo oops >&2", stderr=log)
    attempt.finish()
    assert len(SPLICE.findall(attempt.stdout)) == 1
    assert attempt.stdout.endswith(b"oops\n")


def test_an_idle_launcher_rests(attempt: Attempt) -> None:
    status = attempt.start("sleep", "20")
    assert status.launcher is not None
    own = Path(f"/proc/{status.launcher.pid}")

    def used() -> tuple[int, int]:
        switches = re.findall(r"^voluntary_ctxt_switches:\s+(\d+)", (own / "status").read_text(), re.M)
        return int((own / "schedstat").read_text().split()[0]), int(switches[0])

    time.sleep(0.7)  # it looks at a new log often, then less and less
    nanoseconds, wakes = used()
    time.sleep(1.0)
    assert used()[0] - nanoseconds < 5e6
    assert used()[1] - wakes < 8
    attempt.clear()


# --- A full disk ------------------------------------------------------------------------------------------------


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tiny disk needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_does_not_lose_the_answer(tiny_disk: Path, attempt: Attempt) -> None:
    attempt.folder = tiny_disk
    attempt.start("sh", "-c", "cat /dev/zero > filler 2>/dev/null; echo x >> filler || exit 5")
    assert attempt.finish().code == 5
    with pytest.raises(OSError, match="No space"):
        (tiny_disk / "more").write_bytes(bytes(8192))


def test_a_disk_that_is_full_before_starts_nothing_and_can_be_voided(tiny_disk: Path, attempt: Attempt) -> None:
    attempt.folder = tiny_disk
    attempt.write(["touch", "ran"])
    with pytest.raises(OSError, match="No space"):
        (tiny_disk / "filler").write_bytes(bytes(1 << 17))
    attempt.launch()
    assert attempt.launcher is not None
    assert attempt.launcher.wait(10) != 0
    assert processes.read_status(tiny_disk) is None
    assert processes.void(tiny_disk)
    assert processes.read_status(tiny_disk) == Status("unknown")
    assert not (tiny_disk / "ran").exists()


def test_an_answer_that_the_disk_refuses_is_written_again(attempt: Attempt) -> None:
    attempt.write(["sh", "-c", "exit 5"])
    refusing = """if True:
        import sys
        from orchestrator import launcher
        write, refused = launcher.Status.write, iter([False, True, True, True])  # all but `starting`
        def fail(self, text):
            if next(refused, False):
                raise OSError("no space")
            write(self, text)
        launcher.Status.write = fail
        launcher.main(sys.argv[1])
        """
    command = [sys.executable, "-c", refusing, str(attempt.folder)]
    subprocess.run(command, check=True, start_new_session=True, cwd=processes.LAUNCHER.parents[1])
    status = processes.read_status(attempt.folder)
    assert status is not None
    assert status.code == 5


def test_a_parent_that_ignores_its_children_does_not_hide_the_answer(attempt: Attempt) -> None:
    attempt.write(["sh", "-c", "exit 5"])
    ignoring = """if True:
        import os, signal, sys
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        os.execv(sys.executable, [sys.executable, "-I", "-S", *sys.argv[1:]])
        """
    command = [sys.executable, "-c", ignoring, str(processes.LAUNCHER), str(attempt.folder)]
    subprocess.run(command, check=True, start_new_session=True)
    assert attempt.reach("exit").code == 5


def test_the_launcher_killed_leaves_running_and_a_living_agent(attempt: Attempt) -> None:
    status = attempt.start("sleep", "20")
    assert isinstance(status.launcher, Identity)
    processes.signal_safely(status.launcher, signal.SIGKILL)
    assert attempt.finish() == status
    assert attempt.members() == {status.agent}
    attempt.clear()
