"""What agents do that a supervisor must survive, and how each of them ends: data for the test and for the document.

Scripts are of `tests.daemon.House.agent`: `bb` is the attempt's helper, `$here` the house's folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
ONCE: Mapping[str, object] = {"max_tries": 1}
SHORT: Mapping[str, object] = {"max_tries": 1, "wall_seconds": 2.0}
HAND_IN = "echo hello > out.txt; bb output document T out.txt && bb submit\n"
# As another user where we may become one, so that not even its environment could be read by a daemon that is not root.
OTHER_USER = 'as=; [ "$(id -u)" != 0 ] || as="setpriv --reuid 65534 --regid 65534 --clear-groups"\n'


@dataclass(frozen=True)
class Agent:
    """One kind. `ends` and `says` are the columns of the document; the rest is what the test compares.

    `signal`: the signal that ended it. `told`: an event that must be there. `refused`: reports that came too late.
    """

    does: str
    says: str
    script: str
    outcome: str
    code: int | None = None
    signal: int | None = None
    told: str | None = None
    refused: int = 0
    config: Mapping[str, object] = field(default_factory=lambda: {"policy": ONCE})


CORPUS: dict[str, Agent] = {
    "ignores-term": Agent(
        "ignores TERM, INT, HUP and QUIT",
        "KILL after `grace_seconds`",
        "trap '' TERM INT HUP QUIT; bb start; sleep 1000 & while :; do sleep 0.2; done\n",
        "timed_out", signal=9, config={"policy": SHORT},
    ),
    "double-forks": Agent(
        "leaves a process without a parent, and reports",
        "the process is ended after the report",
        f"bb start; (sleep 1000 &) ; (sh -c 'sleep 1000 & sleep 1000' &); {HAND_IN}",
        "submitted", code=0,
    ),
    "leaves-session": Agent(
        "leaves a process in a session of its own, and reports",
        "the same",
        f"bb start; setsid sleep 1000 & setsid setsid sleep 1000 & {HAND_IN}",
        "submitted", code=0,
    ),
    "nohup": Agent(
        "leaves a process that ignores HUP",
        "the same",
        f"bb start; nohup sleep 1000 > nohup.txt 2>&1 & {HAND_IN}",
        "submitted", code=0,
    ),
    "fork-storm": Agent(
        "forks as fast as it can and ignores TERM (here with at most thirty at once)",
        "all are frozen, then killed, until two looks find nobody",
        "", "timed_out", signal=9,
        config={"argv": ["python3", str(HERE / "breeds.py")], "policy": {"max_tries": 1, "wall_seconds": 1.5}},
    ),
    "hops": Agent(
        "forks and exits all the time, so that no pid of it is valid for long",
        "its end is seen at once; whoever came after it is killed by way of the launcher",
        "", "no_report", code=0, config={"argv": ["python3", str(HERE / "hops.py")], "policy": ONCE},
    ),
    "holds-stdout": Agent(
        "ends while its child holds stdout open",
        "its end is seen at once; the child is ended",
        "sleep 1000 & exit 3\n", "crashed", code=3,
    ),
    "floods": Agent(
        "prints 1 GiB",
        "it is never blocked; its log keeps the first quarter and the newest half of `log_cap_bytes`",
        "dd if=/dev/zero bs=1M count=1024 2>/dev/null; exit 4\n", "crashed", code=4,
        config={"policy": ONCE, "log_cap_bytes": 1 << 20},
    ),
    "no-newline": Agent(
        "prints 32 MiB without a newline to stdout and stderr",
        "the same; what is quoted of it is short",
        "head -c 33554432 /dev/zero | tr '\\0' x | tee /dev/stderr; exit 4\n", "crashed", code=4,
        config={"policy": ONCE, "log_cap_bytes": 1 << 20},
    ),
    "binary": Agent(
        "prints 8 MiB of random bytes to stdout and stderr",
        "the same; what is quoted of it is text",
        "head -c 8388608 /dev/urandom | tee /dev/stderr; exit 4\n", "crashed", code=4,
        config={"policy": ONCE, "log_cap_bytes": 1 << 20},
    ),
    "silent": Agent("ends with 0 and reports nothing", "a try that failed", "exit 0\n", "no_report", code=0),
    "stops-itself": Agent(
        "stops itself (SIGSTOP)",
        "its limit ends it: TERM cannot reach it, KILL does",
        "bb start; kill -STOP $$\n", "timed_out", signal=9, config={"policy": SHORT},
    ),
    "closes-files": Agent(
        "closes all its files",
        "its end is seen all the same", "", "crashed", code=4,
        config={"argv": ["python3", str(HERE / "closes_fds.py")], "policy": ONCE},
    ),
    "reports-after-its-end": Agent(
        "ends, and a child of it reports afterwards",
        "the report is refused and kept as evidence (`refusals`)",
        "sh -c 'trap \"trap : TERM; sleep 0.3; \\\"$0\\\" submit > late 2>&1; exit\" TERM; : > ready; while :; do sleep 0.1; done' \"$helper\" &\n"
        "bb start; while [ ! -e ready ]; do sleep 0.02; done; exit 0\n",
        "no_report", code=0, refused=1, config={"policy": ONCE, "grace_seconds": 20},
    ),
    "other-name": Agent(
        "becomes another program with another name",
        "it is known by pid and start time, not by name",
        "exec python3 -c 'import os; os.execv(\"/bin/sleep\", [\"[kworker/0:1]\", \"1000\"])'\n",
        "timed_out", signal=15, config={"policy": SHORT},
    ),
    "clears-environment": Agent(
        "clears its environment, and leaves children with an empty one",
        "they are found as the launcher's descendants",
        "env -i sleep 1000 & (env -i setsid sleep 1000 &); exec env -i sleep 1000\n",
        "timed_out", signal=15, config={"policy": SHORT},
    ),
    "set-id": Agent(
        "leaves a child that is another user's, with an empty environment and in a session of its own",
        "it is found as the launcher's descendant; where it may not be signalled, the event is `not_gone` and nothing is "
        "claimed beside it",
        f"bb start; {OTHER_USER}(env -i setsid $as sleep 1000 &); {HAND_IN}",
        "submitted", code=0,
    ),
    "kills-its-launcher": Agent(
        "kills its launcher and ends",
        "its exit status is lost, its marked processes are found and ended, and the event is `launcher_lost`",
        "sleep 1000 & setsid sleep 1000 & kill -9 $PPID; exit 0\n",
        "lost", told="launcher_lost",
    ),
}  # fmt: skip
# Nobody but a control group or a sandbox can see this one: it is no kind of the test's table, it is the limit of all.
LIMIT = (
    "kills its launcher, and leaves a process with an empty environment in a session of its own",
    "`lost`",
    "**the limit**: that process is not found; the event `launcher_lost` says so and what to look for",
)
