"""The memory gate: what is promised, what is free, what never fits; and the machine's numbers it is asked with."""

from __future__ import annotations

from pathlib import Path

import pytest

from blackboard import claims, explaining, verbs
from blackboard.board import Board, Tx
from blackboard.gates import Memory, Room
from blackboard.sizes import from_words, in_words
from orchestrator import machine
from orchestrator.config_agent import AgentConfig
from orchestrator.runners.table import memory_of
from tests import scenes
from tests.daemon import House, until
from tests.scenes import tried
from tests.test_gates import hashes

GIB, MIB = 2**30, 2**20
QWEN = memory_of(AgentConfig(runner="qwen"))


def sized(tx: Tx, **sizes: int) -> None:
    for agent, size in sizes.items():
        tx.run("UPDATE agents SET memory_bytes = :size WHERE id = :agent", agent=agent, size=size)


def room(most: int, available: int, reserve: int = 0) -> Room:
    return Room(99, memory=Memory(most=most, available=available, reserve=reserve))


async def test_two_that_do_not_fit_together_are_claimed_one_after_the_other(board: Board) -> None:
    def life(tx: Tx) -> None:
        sized(tx, ada=QWEN, bob=QWEN)
        first, second = scenes.post(tx), scenes.post(tx, agent="bob")
        place = room(most=3 * GIB, available=9 * GIB)
        assert len(claims.claim_due(tx, hashes(9), place)) == 1
        told = explaining.why(tx, second, tx.now, place)["sentence"]
        assert told == (
            "task 2 is pending: agent bob needs 2.1 GiB of memory, and living attempts are promised 2.1 GiB of the 3 GiB "
            "for all agents"
        )
        assert not claims.held_by_memory(tx, tx.now, place), "only the board will tell when there is room"
        verbs.end_badly(tx, scenes.latest(tx, first), "crashed", actor="engine:monitor", final=True)
        scenes.see_off(tx, first)
        assert len(claims.claim_due(tx, [b"another"], place)) == 1

    assert await tried(board, life) is None


async def test_claims_of_one_transaction_share_what_is_free(board: Board) -> None:
    def life(tx: Tx) -> None:
        sized(tx, ada=GIB, bob=GIB)
        scenes.post(tx), scenes.post(tx, agent="bob")
        place = room(most=8 * GIB, available=2 * GIB, reserve=GIB // 2)
        assert len(claims.claim_due(tx, hashes(9), place)) == 1, "the first has taken one of the two that are free"

    assert await tried(board, life) is None


async def test_pressure_by_others_holds_a_start_until_it_is_over(board: Board) -> None:
    def life(tx: Tx) -> None:
        sized(tx, ada=GIB)
        task = scenes.post(tx)
        claims.promote(tx)
        pressed = room(most=8 * GIB, available=GIB, reserve=GIB // 2)
        assert claims.claim_due(tx, hashes(9), pressed) == []
        assert claims.held_by_memory(tx, tx.now, pressed), "nothing on the board will tell when it is over"
        said = explaining.why(tx, task, tx.now, pressed)["sentence"]
        assert "needs 1 GiB of memory and 512 MiB are kept in reserve, but only 1 GiB are free now" in said
        assert len(claims.claim_due(tx, hashes(9), room(most=8 * GIB, available=2 * GIB))) == 1
        assert not claims.held_by_memory(tx, tx.now, pressed), "nothing waits any more"

    assert await tried(board, life) is None


async def test_an_agent_that_never_fits_is_told_so_and_not_polled_for(board: Board) -> None:
    def life(tx: Tx) -> None:
        sized(tx, ada=9 * GIB)
        task = scenes.post(tx)
        small = room(most=8 * GIB, available=99 * GIB)
        assert claims.claim_due(tx, hashes(9), small) == []
        assert (
            "all agents together may have 8 GiB here: it never fits"
            in explaining.why(tx, task, tx.now, small)["sentence"]
        )
        assert not claims.held_by_memory(tx, tx.now, small)

    assert await tried(board, life) is None


def test_sizes_of_the_programs_we_know() -> None:
    assert memory_of(AgentConfig(argv=("x",))) == 64 * MIB
    assert memory_of(AgentConfig(argv=("x",), memory=0)) == 0
    assert memory_of(AgentConfig.model_validate({"runner": "qwen", "memory": "1.5 GiB"})) == 1536 * MIB


@pytest.mark.parametrize(("text", "size"), [("512 MiB", 512 * MIB), ("2GiB", 2 * GIB), ("1.5 GB", 1_500_000_000), ("70000", 70000)])  # fmt: skip
def test_a_size_is_read_as_written(text: str, size: int) -> None:
    assert from_words(text) == size


@pytest.mark.parametrize("text", ["much", "2 gib", "-1 MiB", "1,5 GiB", ""])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        from_words(text)


def test_a_size_is_told_with_the_unit_that_fits() -> None:
    assert [in_words(size) for size in (0, 1023, 64 * MIB, 2.4 * GIB)] == ["0 bytes", "1023 bytes", "64 MiB", "2.4 GiB"]


# --- The machine ------------------------------------------------------------------------------------------------------


def faked(root: Path, **files: str) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text("MemTotal:  16777216 kB\nMemFree: 1 kB\nMemAvailable:  8388608 kB\n")
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_machine_has_what_the_kernel_says(tmp_path: Path) -> None:
    assert machine.memory(0.5, faked(tmp_path)) == Memory(most=8 * GIB, available=8 * GIB, reserve=int(16 * GIB * 0.05))


def test_nobody_looks_with_a_share_of_nothing_or_where_the_kernel_is_silent(tmp_path: Path) -> None:
    assert machine.memory(0.0, faked(tmp_path)) is None
    assert machine.memory(0.8, tmp_path / "nothing") is None


def group(path: str, limit: str, used: str, stat: str, text: str) -> dict[str, str]:
    here = f"sys__fs__cgroup__{path}"
    return {
        "proc__self__cgroup": text,
        f"{here}__{limit}": str(4 * GIB),
        f"{here}__{used}": str(3 * GIB),
        f"{here}__memory.stat": stat,
    }


@pytest.mark.parametrize(
    "files",
    [
        group("ours", "memory.max", "memory.current", f"anon 1\ninactive_file {GIB}\n", "0::/ours\n"),
        group("memory__ours", "memory.limit_in_bytes", "memory.usage_in_bytes", f"total_inactive_file {GIB}\n", "4:memory:/ours\n0::/\n"),
        group("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", f"total_inactive_file {GIB}\n", "4:cpu,memory:/of/outside\n"),
    ],
    ids=["v2", "v1", "v1 in a container"],
)  # fmt: skip
def test_our_own_control_group_is_the_smaller_machine(tmp_path: Path, files: dict[str, str]) -> None:
    found = machine.memory(1.0, faked(tmp_path, **files))
    assert found == Memory(most=4 * GIB, available=2 * GIB, reserve=int(4 * GIB * 0.05))


def test_this_machine_is_understood() -> None:
    found = machine.memory(0.8)
    assert found is not None
    assert found.available > 0
    assert found.reserve < found.most


# --- A real daemon ----------------------------------------------------------------------------------------------------


def test_a_daemon_runs_two_that_do_not_fit_together_one_after_the_other(tmp_path: Path) -> None:
    whole = machine.memory(1.0)
    assert whole is not None
    size = 16 * MIB
    house = House(tmp_path / "house", tick={"memory_share": 1.5 * size / whole.most})
    for name in ("one", "two"):
        house.agent(name, "bb start; until [ -e go ]; do sleep 0.05; done; echo x > x; bb output document T x && bb submit\n", memory="16 MiB")  # fmt: skip
    house.agent("huge", "exit 0\n", memory="32 MiB")
    try:
        house.start()
        tasks = [house.post(name) for name in ("one", "two", "huge")]
        until(
            lambda: [house.task(task)["status"] for task in tasks] == ["working", "pending", "pending"],
            story=house.told,
        )
        waits, never = (house.call("why", str(task)).stdout for task in tasks[1:])
        assert "living attempts are promised 16 MiB of the 24 MiB for all agents" in waits
        assert "it never fits" in never
        assert "it never fits" in house.call("check").stdout
        house.let_go(tasks[0])
        house.let_go(tasks[1])
        for task in tasks[:2]:
            house.reaches(task, "done")
        (first,), (second,) = house.attempts(tasks[0]), house.attempts(tasks[1])
        assert second["claimed_at"] >= first["gone_at"]
        house.ends()
    finally:
        house.clear()
