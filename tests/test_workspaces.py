"""Where agents work: worktrees, hooks, and what a crash in the middle of either leaves. Real daemons, real git."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import House, until

WORK = "bb start\necho made >made.md\nbb output document made made.md\nbb submit\n"
COMMIT = """bb start
echo "$task" >"by-$task"; git add . && git commit -q -m "work of $task" || exit 3
touch "$here/there-$task"; while ! [ -e "$here/go" ]; do sleep 0.02; done
echo done | bb output document done -
bb submit
"""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "house")
    yield house
    house.ends()


def git(where: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(where), *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "-q", "-b", "main")
    git(repository, "config", "user.name", "A Person")
    git(repository, "config", "user.email", "person@example.org")
    (repository / "README").write_text("hello\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "begin")
    return repository


def hook(house: House, name: str, script: str) -> list[str]:
    """A hook that is a shell script with the placeholders as its arguments; in it `$here` is the house's folder."""
    program = house.folder / f"hook-{name}.sh"
    house.folder.mkdir(exist_ok=True)
    program.write_text(f"here='{house.folder}'\necho {name} $2 $4 >>\"$here/hooks\"\n{script}")
    return ["/bin/sh", str(program), "{workspace}", "{task}", "{agent}", "{outcome}"]


def ran(house: House) -> list[str]:
    file = house.folder / "hooks"
    return file.read_text().split("\n")[:-1] if file.exists() else []


def workspace(house: House) -> dict[str, object]:
    return dict(house.row("SELECT * FROM workspaces ORDER BY id DESC LIMIT 1"))


def told(house: House, *verbs: str) -> list[str]:
    rows = house.rows(
        "SELECT verb, reason FROM events WHERE verb IN (SELECT value FROM json_each(:v)) ORDER BY id",
        v=json.dumps(verbs),
    )
    return [f"{row['verb']}: {row['reason']}" if row["reason"] else row["verb"] for row in rows]


# --- worktrees ---------------------------------------------------------------------------------------------


def test_two_tasks_of_one_agent_work_at_once_each_in_its_worktree_on_its_branch(house: House, repository: Path) -> None:
    house.agent("ada", COMMIT, max_live=2, worktree={"repository": str(repository), "base": "main"})
    house.start()
    one, two = house.post("ada"), house.post("ada")
    until(
        lambda: (house.folder / f"there-{one}").exists() and (house.folder / f"there-{two}").exists(),
        story=lambda: house.story(one),
    )
    (house.folder / "go").touch()
    for task in (one, two):
        house.reaches(task, "done")
        assert git(repository, "log", "--format=%s", f"task/{task}", "--not", "main") == f"work of {task}\n"
        assert git(house.workspace(task), "branch", "--show-current").strip() == f"task/{task}"
        assert (
            f"on the branch `task/{task}`" in house.attempt_file(house.attempts(task)[0]["id"], "prompt.md").read_text()
        )
    assert git(repository, "branch", "--show-current") == "main\n"
    assert git(repository, "status", "--porcelain") == ""
    assert git(repository, "log", "--format=%s") == "begin\n"
    assert told(house, "workspace_made") == ["workspace_made", "workspace_made"]


def test_a_later_attempt_and_the_reviewer_work_where_the_first_did(house: House, repository: Path) -> None:
    seen = 'git branch --show-current >>"$here/seen"; pwd >>"$here/seen"\n'
    house.agent(
        "ada",
        f"bb start\n{seen}" + "[ -e first ] || { touch first; exit 1; }\necho x | bb output document x -\nbb submit\n",
        worktree={"repository": str(repository)},
    )
    house.agent("eva", f"{seen}bb approve - <<E\nfine\nE\n")
    house.start()
    task = house.post("ada", review="agent:eva")
    house.reaches(task, "done")
    assert house.outcomes(task) == ["crashed", "submitted", "approved"]
    assert (house.folder / "seen").read_text().split("\n")[:-1] == [f"task/{task}", str(house.workspace(task))] * 3


def test_a_branch_that_was_not_made_for_the_task_is_nobody_s_to_work_on(house: House, repository: Path) -> None:
    git(repository, "branch", "task/1")
    house.agent("ada", WORK, worktree={"repository": str(repository)}, policy={"max_tries": 1})
    house.start()
    task = house.post("ada", max_tries=1)
    until(lambda: house.outcomes(task)[:1] == ["spawn_failed"])
    assert "the branch task/1 is in" in house.attempts(task)[0]["detail"]
    assert not house.workspace(task).exists()
    git(repository, "branch", "-D", "task/1")
    house.reaches(task, "done")


# --- hooks -------------------------------------------------------------------------------------------------


def test_hooks_run_in_their_order_in_the_workspace_without_a_token(house: House) -> None:
    look = 'pwd >>"$here/where"; env >>"$here/env"; [ "$(pwd)" = "$1" ]\n'
    names = ("after_create", "before_run", "after_run", "before_remove")
    house.agent("ada", f'echo agent >>"$here/hooks"\n{WORK}', hooks={name: hook(house, name, look) for name in names})
    house.tables["workspaces"] = {"keep_done_days": 0}
    house.start()
    task = house.post("ada")
    house.reaches(task, "done")
    house.stop()
    house.start()
    until(lambda: workspace(house)["removed_at"])
    assert ran(house) == [
        f"after_create {task}",
        f"before_run {task}",
        "agent",
        f"after_run {task} submitted",
        f"before_remove {task}",
    ]
    assert set((house.folder / "where").read_text().split()) == {str(house.workspace(task))}
    assert (
        "bbt_" not in (house.folder / "env").read_text() and "BLACKBOARD_ATTEMPT=" in (house.folder / "env").read_text()
    )
    assert not house.workspace(task).exists()
    assert told(house, "workspace_made", "workspace_removed", "hook_failed") == ["workspace_made", "workspace_removed"]
