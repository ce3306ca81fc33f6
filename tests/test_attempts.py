"""What happens to an attempt beside its task's moves: each fact is recorded once, and told once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from blackboard import attempts, verbs
from blackboard.board import Board, Tx
from tests import scenes
from tests.fake_clock import START, FakeClock


async def attempt_of(board: Board, task: int) -> dict[str, object]:
    return dict(await board.read(scenes.latest, task))


async def test_the_facts_of_a_process_are_recorded_once(board: Board, clock: FakeClock) -> None:
    task = await board.write(scenes.post_at, "claimed")
    await board.write(attempts.prepared, 1, workspace="/w/1", session_key="agent:ada:main")
    await board.write(attempts.spawned, 1, pid=100, start=5, boot_id="the-boot")
    clock.go_on(1)
    await board.write(attempts.spawned, 1, pid=200, start=6, boot_id="another")
    await board.write(attempts.agent_process, 1, pid=101, start=7)
    await board.write(attempts.agent_process, 1, pid=201, start=8)
    assert (await attempt_of(board, task)).items() >= {
        "workspace": "/w/1", "session_key": "agent:ada:main", "spawned_at": START, "spawned_boot": 1000.0, "boot_id": "the-boot",
        "launcher_pid": 100, "launcher_start": 5, "agent_pid": 101, "agent_start": 7,
    }.items()  # fmt: skip
    assert (await board.read(scenes.story, task))[2:] == ["engine:monitor spawned"]


async def test_a_limit_is_warned_of_once_and_not_after_the_end(board: Board) -> None:
    task = await board.write(scenes.post_at, "working")
    for _ in range(2):
        await board.write(attempts.warned, 1, "5 s are left")
    assert [line for line in await board.read(scenes.story, task) if "warned" in line] == ["engine:monitor warned"]

    await board.write(scenes.post_at, "cancelled")
    before = await board.read(scenes.everything)
    await board.write(attempts.warned, 2, "5 s are left")
    assert await board.read(scenes.everything) == before


async def test_a_stop_is_told_once(board: Board, clock: FakeClock) -> None:
    task = await board.write(scenes.post_at, "working")
    await board.write(verbs.cancel, task, actor="person:root")
    for _ in range(2):
        await board.write(attempts.stopped, 1)
        clock.go_on(1)
    assert (await attempt_of(board, task))["stopped_at"] == START
    assert (await board.read(scenes.story, task))[-1] == "engine:monitor stopping"


@pytest.mark.parametrize(("before", "after"), [((None, None), (3, 9)), ((7, None), (7, 9)), ((None, 15), (3, 15))])
async def test_what_the_exit_was_is_not_overwritten(
    board: Board, before: tuple[int | None, int | None], after: tuple[int, int]
) -> None:
    def life(tx: Tx) -> None:
        task = scenes.post_at(tx, "working")
        code, signal = before
        verbs.end_badly(
            tx, scenes.latest(tx, task), "crashed", actor="engine:monitor", exit_code=code, exit_signal=signal
        )
        assert attempts.gone(tx, 1, code=3, signal=9)

    await board.write(life)
    attempt = await attempt_of(board, 1)
    assert (attempt["exit_code"], attempt["exit_signal"]) == after


async def test_the_living_are_told_with_their_tasks_limits(board: Board) -> None:
    for status in scenes.STATES:
        await board.write(scenes.post_at, status)
    rows = await board.read(attempts.not_gone)
    assert [(row["task_status"], row["wall_seconds"], row["project_id"]) for row in rows] == [
        ("claimed", 3600.0, "forge"), ("working", 3600.0, "forge")
    ]  # fmt: skip
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)


@pytest.mark.parametrize(
    "record",
    [
        lambda tx: attempts.spawned(tx, 77, pid=1, start=1, boot_id="b"),
        lambda tx: attempts.warned(tx, 77, "x"),
        lambda tx: attempts.stopped(tx, 77),
        lambda tx: attempts.gone(tx, 77),
        lambda tx: attempts.tell(tx, 77, "x"),
    ],
)
async def test_an_attempt_that_is_not_there_leaves_no_trace(board: Board, record: Callable[[Tx], object]) -> None:
    before = await board.read(scenes.everything)
    await board.write(record)
    assert await board.read(scenes.everything) == before
