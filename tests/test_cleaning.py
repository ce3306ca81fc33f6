"""What is removed when its time has come, and everything that is against it. A hand-wound clock, real folders, real git."""

from __future__ import annotations

import asyncio
import gc
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blackboard import journal, proofs, verbs, workspaces
from blackboard.board import Board, Tx
from blackboard.checks import Check
from blackboard.content import Held
from blackboard.workspaces import Plan
from orchestrator.cleaning import Cleaner
from orchestrator.config import Settings
from orchestrator.config_loading import load
from orchestrator.removal import NotOurs, put_aside
from orchestrator.workspaces import Workspaces
from tests import scenes
from tests.fake_clock import FakeClock

DAY = 86400.0


class Yard:
    """A board, its folder of workspaces and a repository beside it."""

    def __init__(self, board: Board, clock: FakeClock, folder: Path) -> None:
        self.board, self.clock, self.folder = board, clock, folder
        self.settings = self.configured()

    def configured(self, text: str = "") -> Settings:
        file = self.folder / "orchestrator.toml"
        file.write_text(f"board = '{self.board.path}'\n[agents.ada]\nargv = ['true']\n{text}")
        self.settings = load(file, environ={})
        self.settings.attempts_dir.mkdir(exist_ok=True)
        self.settings.workspaces_dir.mkdir(exist_ok=True)
        return self.settings

    async def sweep(self) -> None:
        await Cleaner(self.board, self.settings, Workspaces(self.board, self.settings)).sweep()

    async def made(
        self, status: str = "done", *, repository: Path | None = None, agent: str | None = None
    ) -> tuple[int, Path]:
        """A workspace of a task that reached this status; its id and folder."""
        task = await self.board.write(scenes.post_at, status)
        place = self.settings.workspaces_dir / ("_agents" if agent else "p") / (agent or str(task))
        branch = f"task/{task}" if repository else None
        plan = Plan(str(place), None if agent else task, agent, "ada", str(repository) if repository else None, branch)
        if repository:
            place.parent.mkdir(exist_ok=True)
            git(repository, "worktree", "add", "-q", "-b", f"task/{task}", str(place))
        else:
            place.mkdir(parents=True)
            (place / "made.txt").write_text("work")

        def keep(tx: Tx) -> int:
            row = workspaces.want(tx, plan)
            workspaces.begun(tx, row["id"])
            workspaces.ready(tx, row["id"], 0, found=False)
            return int(row["id"])

        return await self.board.write(keep), place

    async def row(self, workspace: int) -> Any:
        return await self.board.one(workspaces.GET, id=workspace)

    async def kept(self, workspace: int) -> str:
        """Sweep when the time has long come: it is kept, for the reason given, and told once."""
        self.clock.go_on(40 * DAY)
        await self.sweep()
        self.clock.go_on(DAY)
        await self.sweep()
        row = await self.row(workspace)
        assert row["removed_at"] is None and row["removing_at"] is None
        told = await self.board.all("SELECT reason FROM events WHERE verb = 'workspace_kept'")
        assert [each["reason"] for each in told] == [row["kept"]]
        return str(row["kept"])

    async def is_removed(self, workspace: int, path: Path) -> None:
        self.clock.go_on(2 * DAY)
        await self.sweep()
        row = await self.row(workspace)
        assert row["removed_at"]
        assert not is_there(path)


@pytest.fixture
def yard(board: Board, clock: FakeClock, tmp_path: Path) -> Yard:
    return Yard(board, clock, tmp_path)


def is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


def take_away(folder: Path) -> None:
    folder.rename(folder.with_name("away"))


def git(where: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(where), *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return new_repository(tmp_path / "repository")


def new_repository(folder: Path) -> Path:
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "A Person")
    git(folder, "config", "user.email", "person@example.org")
    (folder / "README").write_text("hello\n")
    (folder / ".gitignore").write_text("built/\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "begin")
    return folder


# --- when ---------------------------------------------------------------------------------------------------


async def test_what_is_done_goes_before_what_has_failed_and_what_is_open_stays(yard: Yard) -> None:
    made = {status: await yard.made(status) for status in ("done", "failed", "cancelled", "review", "blocked")}
    gone = []
    for days in (6, 2, 20, 4):
        yard.clock.go_on(days * DAY)
        await yard.sweep()
        gone.append({status for status, (_, path) in made.items() if not path.exists()})
    assert gone == [set(), {"done", "cancelled"}, {"done", "cancelled"}, {"done", "cancelled", "failed"}]


@pytest.mark.parametrize(("days", "goes"), [("0", True), ('"never"', False)])
async def test_no_time_at_all_and_never(yard: Yard, days: str, goes: bool) -> None:
    yard.configured(f"[workspaces]\nkeep_done_days = {days}\n")
    _, path = await yard.made()
    await yard.sweep()
    yard.clock.go_on(10000 * DAY * (not goes))
    await yard.sweep()
    assert path.exists() is not goes


async def test_nothing_is_removed_while_an_attempt_is_not_gone(yard: Yard) -> None:
    _, path = await yard.made("failed")
    yard.clock.go_on(40 * DAY)
    await yard.board.write(lambda tx: scenes.claim(tx, scenes.post(tx)))
    await yard.board.write(
        lambda tx: tx.run("UPDATE attempts SET workspace = :path WHERE gone_at IS NULL", path=str(path))
    )
    await yard.sweep()
    assert path.exists()
    await yard.board.write(lambda tx: tx.run("UPDATE attempts SET workspace = '/elsewhere' WHERE gone_at IS NULL"))
    await yard.sweep()
    assert not path.exists()


async def test_nothing_is_removed_while_a_check_looks_at_it(yard: Yard) -> None:
    """It was begun; then a person cancelled the task. Until the check's processes are gone, its folder stays."""
    workspace, path = await yard.made("claimed")
    task = (await yard.row(workspace))["task_id"]
    _, shared = await yard.made(agent="bob")  # who is no longer in the configuration

    def checked(tx: Tx, where: Path) -> int:
        looked_at = scenes.post(tx, checks=[Check(run=["true"])])
        scenes.submit(tx, looked_at)
        tx.run("UPDATE attempts SET workspace = :path WHERE task_id = :task", path=str(where), task=looked_at)
        return looked_at

    await yard.board.write(lambda tx: verbs.cancel(tx, task, actor="person:root"))
    await yard.board.write(scenes.see_off, task)
    there = await yard.board.write(lambda tx: [checked(tx, path), checked(tx, shared)])
    begun = await yard.board.write(lambda tx: proofs.begin(tx, 9))
    assert len(begun) == 2
    for each in there:
        await yard.board.write(lambda tx, each=each: verbs.cancel(tx, each, actor="person:root"))
    yard.clock.go_on(40 * DAY)
    await yard.sweep()
    assert path.exists() and shared.exists()
    for check in begun:
        await yard.board.write(lambda tx, check=check: proofs.finish(tx, check, proofs.Found("interrupted")))
    yard.clock.go_on(DAY)
    await yard.sweep()
    assert not path.exists() and not shared.exists()


async def test_an_agent_s_own_goes_when_the_agent_has_left(yard: Yard) -> None:
    workspace, path = await yard.made(agent="ada")
    yard.clock.go_on(400 * DAY)
    await yard.sweep()
    assert path.exists()
    (yard.folder / "orchestrator.toml").write_text(f"board = '{yard.board.path}'\n")
    yard.settings = load(yard.folder / "orchestrator.toml", environ={})
    await yard.is_removed(workspace, path)


# --- live work ----------------------------------------------------------------------------------------------


def change(tree: Path) -> None:
    (tree / "README").write_text("changed\n")


def add(tree: Path) -> None:
    (tree / "new").write_text("new\n")


def detach(tree: Path) -> None:
    git(tree, "checkout", "-q", "--detach")
    git(tree, "commit", "-q", "--allow-empty", "-m", "lonely")


def lock(tree: Path) -> None:
    git(tree, "worktree", "lock", str(tree))


def bisect(tree: Path) -> None:
    git(tree, "bisect", "start")


@pytest.mark.parametrize(
    ("live", "why"),
    [
        (change, "1 files in it are changed or new and not committed: look at it with git -C "),
        (add, "1 files in it are changed or new"),
        (detach, "1 commits in it are on no other branch or remote: look at it with git -C "),
        (lock, "it is locked"),
        (bisect, "it is in the middle of a bisect"),
    ],
)
async def test_live_work_is_kept_and_told_once(
    yard: Yard, repository: Path, live: Callable[[Path], None], why: str
) -> None:
    workspace, tree = await yard.made(repository=repository)
    live(tree)
    assert (await yard.kept(workspace)).startswith(why)
    assert (tree / "README").exists()


async def test_a_worktree_goes_and_its_branch_stays(yard: Yard, repository: Path) -> None:
    workspace, tree = await yard.made(repository=repository)
    (tree / "work").write_text("work\n")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "work")
    (tree / "built").mkdir()
    (tree / "built" / "ignored").touch()
    yard.clock.go_on(8 * DAY)
    await yard.is_removed(workspace, tree)
    branch = f"task/{(await yard.row(workspace))['task_id']}"
    assert git(repository, "log", "-1", "--format=%s", branch) == "work\n"
    assert len(git(repository, "worktree", "list").splitlines()) == 1


async def test_what_was_kept_goes_once_it_is_committed(yard: Yard, repository: Path) -> None:
    workspace, tree = await yard.made(repository=repository)
    add(tree)
    await yard.kept(workspace)
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "now")
    await yard.is_removed(workspace, tree)


async def test_a_clone_is_kept_until_a_remote_has_its_commits(yard: Yard, repository: Path) -> None:
    workspace, path = await yard.made()
    git(path.parent, "clone", "-q", str(repository), str(path / "x"))
    for each in (path / "x").iterdir():
        each.rename(path / each.name)
    (path / "x").rmdir()
    (path / "made.txt").unlink()
    git(path, "-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-q", "--allow-empty", "-m", "mine")
    assert "1 commits in it are on no other branch or remote" in await yard.kept(workspace)
    git(path, "push", "-q", "origin", "HEAD:refs/heads/mine")
    await yard.is_removed(workspace, path)


async def test_a_worktree_whose_repository_is_gone_is_kept(yard: Yard, repository: Path) -> None:
    workspace, tree = await yard.made(repository=repository)
    take_away(repository)
    assert "is not there, and nobody knows what is committed" in await yard.kept(workspace)
    assert (tree / "README").exists()


async def test_the_file_of_an_output_that_is_only_there_is_kept(yard: Yard) -> None:
    workspace, path = await yard.made("working")
    task = (await yard.row(workspace))["task_id"]

    def hand_in(tx: Tx) -> None:
        attempt = scenes.latest(tx, task)
        tx.run("UPDATE attempts SET workspace = :path WHERE id = :id", path=str(path), id=attempt["id"])
        journal.add_output(tx, attempt, type="data", title="T", held=Held("made.txt", 4, ""))
        verbs.submit(tx, attempt, actor="executor:ada")
        scenes.see_off(tx, task)
        verbs.approve(tx, task, actor="person:root")

    await yard.board.write(hand_in)
    assert "is only in it: look at it with ls -l" in await yard.kept(workspace)
    (path / "made.txt").unlink()
    await yard.is_removed(workspace, path)


# --- where --------------------------------------------------------------------------------------------------


async def test_a_link_that_leads_outside_is_removed_and_not_followed(yard: Yard, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    workspace, path = await yard.made()
    (path / "link").symlink_to(outside)
    (path / "deep").mkdir()
    (path / "deep" / "link").symlink_to(outside / "precious")
    (path / "deep").chmod(0o500)
    yard.clock.go_on(8 * DAY)
    await yard.is_removed(workspace, path)
    assert (outside / "precious").read_text() == "x"


async def test_a_workspace_that_was_swapped_for_a_link_is_not_touched(yard: Yard, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    workspace, path = await yard.made()
    (path / "made.txt").unlink()
    path.rmdir()
    path.symlink_to(outside)
    assert "is a symbolic link or a file" in await yard.kept(workspace)
    assert (outside / "precious").exists() and path.is_symlink()


async def test_a_folder_that_is_reached_over_a_link_or_lies_outside_is_not_touched(yard: Yard, tmp_path: Path) -> None:
    workspace, path = await yard.made()
    path.parent.rename(tmp_path / "elsewhere")
    path.parent.symlink_to(tmp_path / "elsewhere")
    assert "is reached over a symbolic link" in await yard.kept(workspace)
    assert (path / "made.txt").exists()
    with pytest.raises(NotOurs, match="is not below"):
        put_aside(yard.settings.workspaces_dir, tmp_path / "elsewhere", "x")
    with pytest.raises(NotOurs, match="is not below"):
        put_aside(yard.settings.workspaces_dir, yard.settings.workspaces_dir / ".." / "elsewhere", "x")


async def test_a_mount_point_is_not_touched() -> None:
    with pytest.raises(NotOurs, match="something is mounted"):
        put_aside(Path("/"), Path("/proc"), "x")


async def test_what_is_not_on_the_list_is_not_touched(yard: Yard) -> None:
    other = yard.settings.workspaces_dir / "p" / "99"
    other.mkdir(parents=True)
    workspace, path = await yard.made()
    yard.clock.go_on(8 * DAY)
    await yard.is_removed(workspace, path)
    assert other.exists()


# --- the hook, and a crash ----------------------------------------------------------------------------------


async def test_a_hook_that_fails_keeps_the_workspace(yard: Yard) -> None:
    yard.configured("[agents.ada.hooks]\nbefore_remove = ['sh', '-c', 'echo not now; exit 4']\n")
    workspace, path = await yard.made()
    assert await yard.kept(workspace) == "before_remove: it ended with exit 4: not now"
    failed = await yard.board.all("SELECT reason FROM events WHERE verb = 'hook_failed'")
    assert len(failed) == 1
    assert path.exists()


async def test_work_that_the_hook_makes_is_live_work(yard: Yard, repository: Path) -> None:
    yard.configured("[agents.ada.hooks]\nbefore_remove = ['touch', '{workspace}/late']\n")
    workspace, tree = await yard.made(repository=repository)
    assert "1 files in it are changed or new" in await yard.kept(workspace)
    assert (tree / "late").exists()


async def test_a_removal_that_was_cut_short_is_finished(yard: Yard, repository: Path) -> None:
    workspace, tree = await yard.made(repository=repository)
    await yard.board.write(lambda tx: tx.run("UPDATE workspaces SET removing_at = :now", now=tx.now))
    put_aside(yard.settings.workspaces_dir, tree, f".removed-{workspace}")
    (yard.settings.workspaces_dir / f".removed-{workspace}" / "README").unlink()
    await yard.is_removed(workspace, tree)
    assert not [each.name for each in yard.settings.workspaces_dir.iterdir() if each.name.startswith(".removed")]
    assert len(git(repository, "worktree", "list").splitlines()) == 1


async def test_a_path_has_one_lock_for_as_long_as_somebody_has_it(yard: Yard) -> None:
    made = Workspaces(yard.board, yard.settings)
    order: list[str] = []

    async def hold(name: str) -> None:
        async with made.lock("/a"):
            order.append(f"{name} begins")
            await asyncio.sleep(0)
            gc.collect()
            order.append(f"{name} ends")

    await asyncio.gather(hold("first"), hold("second"))
    assert order == ["first begins", "first ends", "second begins", "second ends"]
    gc.collect()
    assert len(made._locks) == 0
