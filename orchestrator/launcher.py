"""Starts one agent, stays its parent, and writes down how it ended: `python -I -S launcher.py ATTEMPT_DIRECTORY`.

It must never know the board, never end before its descendants, and never start an agent it cannot answer for.

The daemon may be killed and replaced meanwhile, so everything passes through files: `launch.json` in, `status` out.
As child subreaper this process inherits every descendant that loses its parent: "no child" means "nobody is left".
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import sys
import time

TYPE_CHECKING = False  # importing typing, or pathlib, would take longer than all the rest
if TYPE_CHECKING:
    from collections.abc import Iterator

STATUS_BYTES = 512  # the whole file from the first write on: a disk that fills up later cannot lose the answer
TERM_SECONDS = 2.0  # between TERM and KILL for what the agent left behind
BUSY, QUIET = 0.02, 0.5  # seconds between two looks at the logs: one that grows fast, one that does not
BATCH = 256  # children reaped before anything else gets its turn, so that a fork storm cannot starve the rest
CHUNK = 1 << 20
SPLICE = "\n… {:>20} bytes cut …\n"
NEVER = float("inf")
LIBC = ctypes.CDLL(None)
PR_SET_CHILD_SUBREAPER = 36  # the kernel's numbers
OOM_SCORE = 500  # of 1000: the kernel ends an agent before it ends the daemon
KINDS = {"file_bytes": resource.RLIMIT_FSIZE, "open_files": resource.RLIMIT_NOFILE}
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE = 1, 2


class Status:
    """The attempt's `status` file. Who creates it has decided: FileExistsError means that the attempt was voided."""

    def __init__(self) -> None:
        self.file = os.open("status", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self.who = f"{os.getpid()} {start_of(os.getpid())}"
        self.unwritten = ""

    def write(self, text: str) -> None:
        """Raises OSError; the former text then counts."""
        line = text.encode("utf-8", "backslashreplace").replace(b"\n", b" ")[: STATUS_BYTES - 1]
        os.pwrite(self.file, line.ljust(STATUS_BYTES - 1) + b"\n", 0)
        os.fsync(self.file)

    def record(self, text: str) -> None:
        """Write, or remember what the disk refused; called again with nothing new it tries once more."""
        self.unwritten = text
        try:
            self.write(text)
        except OSError:
            return
        self.unwritten = ""


def punch(file: int, begin: int, end: int) -> bool:
    """Give the disk space of this range back; the file keeps its length. False where the file system cannot."""
    mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
    return bool(LIBC.fallocate(file, mode, ctypes.c_long(begin), ctypes.c_long(end - begin)) == 0)


class Log:
    """One output file, which the agent appends to. Whatever is written, about `cap` bytes of disk (0: no cap) hold it.

    Past `cap` its first quarter and its newest half stay. While somebody writes, the middle becomes a hole, for
    that alone cannot lose what is appended meanwhile; when nobody is left, one line that counts takes its place.
    """

    def __init__(self, path: str, cap: int) -> None:
        self.file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)  # not O_APPEND: Linux would append every pwrite
        self.cap = max(cap, 4096) if cap else sys.maxsize
        self.head = self.hole_end = self.cap // 4
        self.size = self.lost = 0

    def grew_fast(self) -> bool:
        """Look at the size, and make a hole if need be."""
        former, self.size = self.size, os.fstat(self.file).st_size
        if self.size < former:  # the agent itself began anew
            self.hole_end = self.head
        newest = self.size - self.cap // 2
        if self.head + self.size - self.hole_end > self.cap:
            if punch(self.file, self.hole_end, newest):
                self.hole_end = newest
            else:
                self.close_up()
        return self.size - former > self.cap // 64

    def close_up(self) -> None:
        """Put one line that counts in the place of the middle. With a writer, its last bytes may be lost."""
        try:
            size = os.fstat(self.file).st_size
            if size > self.cap:
                self.move(size - self.cap // 2)
        except OSError:
            pass  # on a full disk it stays as it is, with the hole

    def move(self, source: int) -> None:
        splice = len(SPLICE.format(0).encode())
        begin, target = self.head + (splice if self.lost else 0), self.head + splice
        limit = source + self.cap  # a flood has no end to reach
        while source < limit and (chunk := os.pread(self.file, CHUNK, source)):
            os.pwrite(self.file, chunk, target)
            source, target = source + len(chunk), target + len(chunk)
        self.lost += os.fstat(self.file).st_size - begin - (target - self.head - splice)
        os.ftruncate(self.file, target)
        os.pwrite(self.file, SPLICE.format(self.lost).encode(), self.head)
        self.size, self.hole_end = target, self.head


def stat_of(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat behind the name: 0 state, 1 parent, 19 start time in clock ticks."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def start_of(pid: int) -> int:
    return int(stat_of(pid)[19])


def descendants() -> list[tuple[int, int]]:
    """(start time, pid) of every descendant, the newest first."""
    parent, start = {}, {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        pid = int(name)
        try:
            stat = stat_of(pid)
        except OSError:  # gone meanwhile
            continue
        parent[pid], start[pid] = int(stat[1]), int(stat[19])
    ours: set[int] = set()
    fresh = {os.getpid()}
    while fresh := {pid for pid, above in parent.items() if above in fresh}:
        ours |= fresh
    return sorted(((start[pid], pid) for pid in ours), reverse=True)


def signal_descendants(number: int) -> None:
    """Signal each one by a handle; its start time is compared after taking it, so a reused pid is never hit."""
    for start, pid in descendants():
        try:
            handle = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            if start_of(pid) == start:
                signal.pidfd_send_signal(handle, number)
        except OSError:
            pass  # gone, or it runs as somebody else
        finally:
            os.close(handle)


def end_leftovers(grace: float) -> Iterator[float]:
    """Each step acts, then tells how many seconds to leave the descendants until the next one."""
    yield grace
    signal_descendants(signal.SIGTERM)
    yield TERM_SECONDS
    while True:
        signal_descendants(signal.SIGKILL)
        yield BUSY


def found(program: str, env: dict[str, str]) -> str:
    """Where PATH, the agent's and not ours, leads."""
    if "/" in program:
        return program
    for path in (os.path.join(place, program) for place in os.get_exec_path(env)):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(f"no program {program!r} in PATH")


def start(
    argv: list[str], cwd: str, env: dict[str, str], stdin: str, stdout: str, stderr: str, limits: dict[str, int]
) -> int:
    """The agent's pid. It gets these and a process group; no other file, no signal mask, no handler of ours.

    Its limits are inherited: the soft ones are ours for that moment, the hard ones are made as low behind it.
    """
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files = os.open(stdin, os.O_RDONLY), os.open(stdout, append, 0o600), os.open(stderr, append, 0o600)
    program = found(argv[0], env)
    os.chdir(cwd)
    ours = {kind: resource.getrlimit(kind) for kind in map(KINDS.__getitem__, limits)}
    lower = {KINDS[name]: least(most, *ours[KINDS[name]]) for name, most in limits.items()}
    try:
        for kind, most in lower.items():
            resource.setrlimit(kind, (most, ours[kind][1]))
        agent = os.posix_spawn(
            program,
            argv,
            env,
            file_actions=[(os.POSIX_SPAWN_DUP2, file, number) for number, file in enumerate(files)],
            setpgroup=0,
            setsigmask=[],
            setsigdef=signal.valid_signals(),
        )
    finally:
        for kind, former in ours.items():
            resource.setrlimit(kind, former)
    hold(agent, lower)
    os.chdir("/")
    for file in files:
        os.close(file)
    return agent


def least(wanted: int, *former: int) -> int:
    """The lowest limit: nobody gets more than we have ourselves."""
    return min([wanted, *(each for each in former if each != resource.RLIM_INFINITY)])


def hold(agent: int, lower: dict[int, int]) -> None:
    """What the agent inherited as its limits it can no longer raise."""
    try:
        for kind, most in lower.items():
            resource.prlimit(agent, kind, (most, most))
    except OSError:
        return  # it has ended, or runs as somebody else


def give_way(agent: int, nice: int) -> None:
    """Have the agent come after the daemon: for processor time, and when the kernel must end somebody."""
    try:
        os.setpriority(os.PRIO_PROCESS, agent, min(19, os.getpriority(os.PRIO_PROCESS, agent) + nice))
        file = os.open(f"/proc/{agent}/oom_score_adj", os.O_RDWR)
    except OSError:
        return  # it has ended, or this kernel has no such file
    try:
        if int(os.read(file, 16)) < OOM_SCORE:
            os.pwrite(file, b"%d" % OOM_SCORE, 0)
    except OSError:
        return
    finally:
        os.close(file)


def used() -> str:
    """Processor seconds of all that was reaped, and the bytes that the largest of them held."""
    all_of_them = resource.getrusage(resource.RUSAGE_CHILDREN)
    return f"{all_of_them.ru_utime + all_of_them.ru_stime:.3f} {all_of_them.ru_maxrss * 1024}"


def reap() -> tuple[dict[int, int], bool]:
    """Exit codes (negative: the signal) by pid of children that ended, and whether no child is left at all."""
    codes: dict[int, int] = {}
    while len(codes) < BATCH:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return codes, True
        if pid == 0:
            break
        codes[pid] = os.waitstatus_to_exitcode(status)
    return codes, False


def tend(agent: int, who: str, status: Status, logs: list[Log], leftovers: Iterator[float]) -> None:
    """Stay until the last descendant has ended and the answer is on the disk."""
    look = pause = 0.0
    act = NEVER  # the next step against leftovers: not before the agent has ended
    while True:
        codes, alone = reap()
        now = time.monotonic()
        if agent in codes:
            code = codes[agent]
            status.record(f"exit {code} {who} {used()}" if code >= 0 else f"signal {-code} {who} {used()}")
            agent, act, look = 0, now, now  # 0: an adopted child may get the same pid later
        elif status.unwritten:
            status.record(status.unwritten)
        if alone and not status.unwritten:
            return
        if now >= look:
            pause = BUSY if any([log.grew_fast() for log in logs]) else min(QUIET, pause * 2 or BUSY)
            look = now + pause
        if now >= act:
            act = now + next(leftovers, NEVER)
        if len(codes) < BATCH:
            signal.sigtimedwait([signal.SIGCHLD], max(0.0, min(act, look) - time.monotonic()))


def main(directory: str) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # TERM, INT, HUP, QUIT wait for ever
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a parent that ignores it would have hidden every exit code
    os.chdir(directory)
    try:
        status = Status()
    except FileExistsError:
        return
    try:
        status.write(f"starting {status.who}")
    except OSError:
        os.unlink("status")  # nothing was started, and whoever creates the file now may rely on that
        raise
    try:
        if LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
            raise OSError("cannot become child subreaper")
        with open("launch.json", "rb") as file:
            spec = json.load(file)
        logs = [Log(path, spec["log_cap"]) for path in {spec["stdout"], spec["stderr"]}]
        leftovers = end_leftovers(spec["leftover_grace"]) if spec["leftovers"] == "end" else iter(())
        files = spec["stdin"] or os.devnull, spec["stdout"], spec["stderr"]
        agent = start(spec["argv"], spec["cwd"], spec["env"], *files, spec.get("rlimits") or {})
        give_way(agent, spec.get("nice") or 0)
    except Exception as error:
        status.record(f"spawn_failed {status.who} {type(error).__name__}: {error}")
        return
    who = f"{status.who} {agent} {start_of(agent)}"
    status.record(f"running {who}")
    tend(agent, who, status, logs, leftovers)
    for log in logs:
        log.close_up()


if __name__ == "__main__":
    main(sys.argv[1])
