"""Many agents at once under one real daemon, measured: how fast they begin, what they cost, and what is left of them.

Every agent says itself when it begins and ends, with its pid and CLOCK_BOOTTIME, so that what the board says can be
held against it.
"""

from __future__ import annotations

import http.client
import itertools
import json
import re
import statistics
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from blackboard.clock import SystemClock, plus, seconds_between
from tests.daemon import House, until
from tests.vitals import Vitals, pss, vitals

MEMBER = """
begin=$(awk '{print $1; exit}' /proc/uptime); echo "begin $task $attempt $$ $begin" >> "$here/agents.log"
bb start || exit 7
while [ ! -e "$here/go" ]; do sleep 0.5; done
echo "$attempt" > out.txt; bb output document T out.txt && bb submit || exit 8
echo "end $task $attempt $$ $(awk '{print $1; exit}' /proc/uptime)" >> "$here/agents.log"
"""
TOKEN = re.compile(r"bbt_[A-Za-z0-9_-]+")
POST_AT_ONCE = 50


class Crowd:
    """A house with room for so many agents, and what was measured of them."""

    def __init__(self, house: House, count: int) -> None:
        self.house, self.count = house, count
        house.tables["tick"]["max_live"] = count
        house.tables["policy"] |= {"startup_seconds": 600.0, "wall_seconds": 1800.0, "max_tries": 1}
        house.agent("member", MEMBER, max_live=count)
        self.tasks: list[int] = []
        self.found: dict[str, Any] = {"agents": count}

    def run(self) -> dict[str, Any]:
        """Have them all begin, live together and end; the figures."""
        house = self.house
        daemon = house.start().pid
        self._one_first()
        before = vitals(daemon)
        self._begin()
        self._measure_calls()
        at_peak = vitals(daemon)
        self._launchers()
        began = time.monotonic()
        (house.folder / "go").touch()
        until(self._all_gone, seconds=300, story=house.told)
        self.found["end_seconds"] = round(time.monotonic() - began, 2)
        after = until(lambda: self._calm(daemon, before), seconds=10, story=lambda: f"{before} {vitals(daemon)}")
        self._tell(before, at_peak, after)
        return self.found

    def _calm(self, daemon: int, before: Vitals) -> Vitals | None:
        """The look in which nothing is held any more; the next may meet a file that is open for a moment."""
        now = vitals(daemon)
        return now if now.files <= before.files and not now.zombies else None

    def _one_first(self) -> None:
        """What the daemon loads and opens for its first agent is not what an agent costs."""
        go = self.house.folder / "go"
        go.touch()
        self.house.reaches(self.house.post("member"), "done")
        go.unlink()

    def _begin(self) -> None:
        house = self.house
        due = plus(SystemClock().now(), max(1.0, self.count * 0.02))
        self.tasks = [house.post("member", due_at=due) for _ in range(self.count)]
        late_before = house.http("/healthz")["tick"]["worst_late_seconds"]
        until(
            lambda: self._count("started_at IS NOT NULL AND ended_at IS NULL") == self.count,
            seconds=300,
            story=house.told,
        )
        spawned = self._seconds("spawned_at", due)
        started = self._seconds("started_at", due)
        self.found |= {
            "due_to_spawned_p50_s": _rounded(statistics.median(spawned)),
            "due_to_spawned_p99_s": _rounded(_p99(spawned)),
            "due_to_started_p50_s": _rounded(statistics.median(started)),
            "due_to_started_p99_s": _rounded(_p99(started)),
            "starts_per_second": round(self.count / max(spawned), 1),
            "worst_late_before_s": late_before,
            "worst_late_begun_s": house.http("/healthz")["tick"]["worst_late_seconds"],
        }

    def _count(self, condition: str) -> int:
        return int(self.house.value(f"SELECT count(*) FROM attempts WHERE {condition}"))

    def _seconds(self, column: str, due: str) -> list[float]:
        ids = ",".join(map(str, self.tasks))
        rows = self.house.rows(f"SELECT {column} AS at FROM attempts WHERE task_id IN ({ids})")
        assert len(rows) == self.count
        return sorted(seconds_between(due, row["at"]) for row in rows)

    def _measure_calls(self, calls: int = 400) -> None:
        """An agent's heartbeats, one after the other on one connection, while all others live."""
        (attempt,) = self.house.attempts(self.tasks[0])
        token = TOKEN.search(self.house.attempt_file(attempt["id"], "curl.conf").read_text())
        assert token
        headers = {"Authorization": f"Bearer {token[0]}", "Content-Type": "application/json"}
        took = []
        with closing(http.client.HTTPConnection("127.0.0.1", self.house.port, timeout=60)) as connection:
            for _ in range(calls):
                began = time.monotonic()
                connection.request("POST", f"/api/projects/p/tasks/{self.tasks[0]}/heartbeat", "{}", headers)
                answer = connection.getresponse()
                assert answer.status == 200, answer.read()
                answer.read()
                took.append(time.monotonic() - began)
        self.found |= {
            "call_p50_ms": round(statistics.median(took) * 1000, 2),
            "call_p99_ms": round(_p99(sorted(took)) * 1000, 2),
        }

    def _launchers(self) -> None:
        """What each agent costs beside itself: its launcher, against the shell it started."""
        rows = self.house.rows("SELECT launcher_pid, agent_pid FROM attempts WHERE gone_at IS NULL")
        launchers = [pss(row["launcher_pid"]) for row in rows]
        agents = [pss(row["agent_pid"]) for row in rows]
        self.found |= {
            "launcher_rss_bytes": round(statistics.mean(vitals(row["launcher_pid"]).rss for row in rows)),
            "launcher_pss_bytes": round(statistics.mean(launchers)),
            "shell_pss_bytes": round(statistics.mean(agents)),
        }

    def _all_gone(self) -> bool:
        return (
            self._count("gone_at IS NULL") == 0
            and self.house.value("SELECT count(*) FROM tasks WHERE status <> 'done'") == 0
        )

    def _tell(self, before: Vitals, peak: Vitals, after: Vitals) -> None:
        self.found |= {
            "daemon_cpu_per_agent_ms": round((after.cpu_seconds - before.cpu_seconds) / self.count * 1000, 1),
            "daemon_rss_before_bytes": before.rss,
            "daemon_rss_per_agent_bytes": round((peak.rss - before.rss) / self.count),
            "files_before": before.files, "files_peak": peak.files, "files_after": after.files,
            "threads_before": before.threads, "threads_after": after.threads,
            "zombies_after": after.zombies,
            "worst_late_s": self.house.http("/healthz")["tick"]["worst_late_seconds"],
        }  # fmt: skip


def doubled(log: Sequence[str]) -> list[str]:
    """Tasks of which two executors lived at one moment, by what the agents wrote themselves; one line each.

    A line is `begin|end TASK ATTEMPT PID BOOT-SECONDS`. One without an end counts as alive for no longer than its
    beginning: how it ended is for others to say.
    """
    spans: dict[str, list[tuple[float, float, str]]] = {}
    begun: dict[str, float] = {}
    said = []
    for line in log:
        what, task, attempt, pid, at = line.split()
        key = f"{task} {attempt} {pid}"
        if what == "begin":
            begun[key] = float(at)
            spans.setdefault(task, []).append((float(at), float(at), key))
        else:
            spans[task] = [span for span in spans[task] if span[2] != key] + [(begun[key], float(at), key)]
    for task, found in spans.items():
        found.sort()
        said += [
            f"task {task}: {one[2]} and {other[2]}" for one, other in itertools.pairwise(found) if one[1] > other[0]
        ]
    return said


def _p99(ordered: Sequence[float]) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def _rounded(seconds: float) -> float:
    return round(seconds, 3)


def shown(found: dict[str, Any]) -> str:
    """The figures as JSON."""
    return json.dumps(found)
