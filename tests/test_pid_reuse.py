"""No stranger is ever signalled: made-up process tables with recycled pids, other sessions and faked marks.

Each table is drawn from a seed: an attempt with its tree, some of it dead, and strangers who got the free pids. The
kernel's one promise is kept: no pid is given away while a session has its number.
"""

from __future__ import annotations

import asyncio
import random
import signal
from dataclasses import dataclass

import pytest

from orchestrator import census, processes
from orchestrator.identity import Identity, Row

MARK = "board:17"
INIT = 1


@dataclass
class One:
    """A made-up process."""

    pid: int
    start: int
    parent: int
    session: int
    ours: bool
    marked: bool
    dead: bool = False

    @property
    def identity(self) -> Identity:
        return Identity(self.pid, self.start)


class Machine:
    """A made-up machine: processes by pid; who has which number is drawn."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 100
        self.all: dict[int, One] = {}
        self.free: list[int] = []
        self.fresh = iter(range(1000, 4000))
        for _ in range(self.random.randrange(4)):  # they were here before, one or the other with our mark
            self.stranger()
        self.launcher = self.born(INIT, session=0, ours=True, marked=True)
        self.agent = self.born(self.launcher.pid, session=self.launcher.pid, ours=True, marked=self.chance(0.8))
        for _ in range(self.random.randrange(12)):
            self.child(self.random.choice([one for one in self.living() if one.ours]))
        for one in [one for one in self.living() if one.ours and self.chance(0.5)]:
            self.dies(one)
        for _ in range(self.random.randrange(8)):
            self.stranger()

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def living(self) -> list[One]:
        return [one for one in self.all.values() if not one.dead]

    def born(self, parent: int, session: int, *, ours: bool, marked: bool) -> One:
        """A new process; session 0: it leads one of its own."""
        self.now += self.random.randrange(1, 5)
        held = {one.session for one in self.living()}
        usable = [pid for pid in self.free if pid not in held]
        usable = (
            usable[:1] if self.chance(0.5) else usable
        )  # the launcher's own, which matters most, is drawn more often
        pid = self.random.choice(usable) if usable and not ours else next(self.fresh)
        if pid in self.free:
            self.free.remove(pid)
        self.all[pid] = One(pid, self.now, parent, session or pid, ours, marked)
        return self.all[pid]

    def child(self, parent: One) -> None:
        session = 0 if self.chance(0.3) else parent.session
        self.born(parent.pid, session, ours=parent.ours, marked=parent.marked and self.chance(0.6))

    def stranger(self) -> None:
        strangers = [one for one in self.living() if not one.ours]
        if strangers and self.chance(0.4):
            self.child(self.random.choice(strangers))
        else:
            self.born(INIT, session=0, ours=False, marked=self.chance(0.3))

    def dies(self, one: One) -> None:
        """Its children go to the launcher, who is subreaper, and without one to init."""
        heir = self.launcher.pid if one.ours and one is not self.launcher and not self.launcher.dead else INIT
        for child in self.living():
            if child.parent == one.pid:
                child.parent = heir
        one.dead = True
        del self.all[one.pid]
        self.free.append(one.pid)

    def look(self) -> census.Census:
        found = census.Census({}, {}, {}, {})
        for one in self.living():
            found.rows[one.pid] = Row(one.start, one.parent, one.session, dead=False)
            found.children.setdefault(one.parent, []).append(one.pid)
            found.sessions.setdefault(one.session, []).append(one.pid)
            if one.marked:
                found.marked.setdefault(MARK.encode(), []).append(one.pid)
        return found

    def adopted(self) -> set[Identity]:
        """Strangers that began after the launcher with our mark in their environment, and whom they started.

        Such a mark cannot be told from our own, so it is defined: they belong to the attempt.
        """
        found = {one.pid for one in self.living() if one.marked and not one.ours and one.start > self.launcher.start}
        while more := {one.pid for one in self.living() if one.parent in found} - found:
            found |= more
        return {self.all[pid].identity for pid in found}

    def innocent(self) -> set[Identity]:
        return {one.identity for one in self.living() if not one.ours} - self.adopted()


def holds(seed: int) -> Machine:
    """What is found on the machine of this seed is all of ours that can be, and nobody else."""
    machine = Machine(seed)
    sure, doubtful = census.belonging(machine.look(), MARK, machine.launcher.identity, machine.agent.identity)
    ours = {one.identity for one in machine.living() if one.ours}
    marked = {one.identity for one in machine.living() if one.ours and one.marked}
    session = {one.identity for one in machine.living() if one.ours and one.session == machine.launcher.pid}
    assert not sure & machine.innocent(), seed
    assert not doubtful & machine.innocent(), seed
    assert marked <= sure, seed
    assert session <= sure | doubtful, seed
    assert machine.launcher.dead or ours <= sure, seed
    assert sure <= ours | machine.adopted(), seed
    return machine


def ends(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop on this machine signals nobody but those; a killed one is gone."""
    machine = Machine(seed)
    innocent = machine.innocent()
    signalled: set[Identity] = set()

    def send(one: Identity, number: int) -> bool:
        signalled.add(one)
        found = machine.all.get(one.pid)
        if found is None or found.identity != one:
            return False
        if number == signal.SIGKILL:
            machine.dies(found)
        return True

    async def look() -> census.Census:
        return machine.look()

    monkeypatch.setattr(census, "shared", look)
    monkeypatch.setattr(census, "take", machine.look)
    monkeypatch.setattr(processes, "signal_safely", send)
    monkeypatch.setattr(processes, "alive", lambda one: False)
    proved = asyncio.run(processes.stop(MARK, machine.launcher.identity, machine.agent.identity, grace=0, give_up=0.05))
    assert not signalled & innocent, seed
    if proved:
        left = {
            one.identity for one in machine.living() if one.ours and (one.marked or one.session == machine.launcher.pid)
        }
        assert not left, seed


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(processes, "POLL", 0.0005)
    monkeypatch.setattr(processes, "CALM_POLL", 0.0005)
    monkeypatch.setattr(processes, "LAUNCHER_SECONDS", 0.0)
    monkeypatch.setattr(processes, "_kill_children", lambda launcher: None)
    return monkeypatch


def test_of_two_hundred_tables_no_stranger_is_taken_for_ours_and_nobody_of_ours_is_missed() -> None:
    machines = [holds(seed) for seed in range(200)]
    assert sum(m.launcher.dead for m in machines) > 30, "launchers die in these tables"
    assert sum(m.launcher.dead and m.launcher.pid in m.all for m in machines) > 5, "and strangers get their pids"
    assert sum(any(o.marked and not o.ours and o.start < m.launcher.start for o in m.living()) for m in machines) > 20


def test_in_two_hundred_tables_a_stop_signals_no_stranger(quick: pytest.MonkeyPatch) -> None:
    for seed in range(200):
        ends(seed, quick)


@pytest.mark.long
def test_in_two_thousand_tables_a_stop_signals_no_stranger(quick: pytest.MonkeyPatch) -> None:
    for seed in range(2000):
        holds(seed)
        ends(seed, quick)
