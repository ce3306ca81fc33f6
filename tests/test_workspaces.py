"""Where agents work: worktrees, hooks, and what a crash in the middle of either leaves. Real daemons, real git."""

from __future__ import annotations

import json
import random
import subprocess
import time
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


def test_a_workspace_whose_hook_failed_is_made_anew(house: House) -> None:
    script = 'touch half; ls | wc -l >>"$here/files"; [ -e "$here/good" ] || { touch "$here/good"; echo no disk >&2; exit 5; }\n'
    house.agent("ada", WORK, hooks={"after_create": hook(house, "after_create", script + "touch whole\n")})
    house.start()
    task = house.post("ada")
    house.reaches(task, "done")
    assert house.outcomes(task) == ["spawn_failed", "submitted"]
    assert house.attempts(task)[0]["detail"] == "after_create: it ended with exit 5: no disk"
    assert (house.folder / "files").read_text().split() == ["1", "1"]
    assert (house.workspace(task) / "whole").exists()
    assert told(house, "workspace_made", "hook_failed") == [
        "hook_failed: after_create: it ended with exit 5: no disk", "workspace_made",
    ]  # fmt: skip


def test_a_hook_ends_at_its_limit_with_everything_it_started(house: House) -> None:
    script = 'setsid sh -c \'trap "" TERM; echo $$ >"$0/child"; exec sleep 300\' "$here" & sleep 300\n'
    house.agent("ada", WORK, hooks={"before_run": hook(house, "before_run", script), "seconds": 1})
    house.start()
    task = house.post("ada", max_tries=1)
    until(lambda: house.outcomes(task)[:1] == ["spawn_failed"], story=lambda: house.story(task))
    until(lambda: house.attempts(task)[0]["gone_at"], story=lambda: house.story(task))
    assert house.attempts(task)[0]["detail"] == "before_run: it took longer than 1 s and was ended"
    assert not Path(f"/proc/{(house.folder / 'child').read_text().strip()}").exists()
    house.operate(task, "cancel")


def test_a_hook_before_the_removal_ends_with_the_daemon_and_is_run_again(house: House) -> None:
    script = 'echo $$ >>"$0/pids"; until [ -e "$0/go" ]; do sleep 0.1; done'
    house.tables["workspaces"] = {"keep_done_days": 0}
    house.agent("ada", WORK, hooks={"before_remove": ["sh", "-c", script, str(house.folder)], "seconds": 300})
    house.start()
    task = house.post("ada")
    house.reaches(task, "done")
    pids = house.folder / "pids"
    until(pids.exists, story=house.told)
    house.stop()
    assert not Path(f"/proc/{pids.read_text().strip()}").exists()
    house.start()
    until(lambda: len(pids.read_text().split()) == 2, story=house.told)
    (house.folder / "go").touch()
    until(lambda: not house.workspace(task).exists(), story=house.told)
    assert house.events(task, "hook_failed", "workspace_kept") == []


def test_a_failure_after_the_run_is_told_and_changes_nothing(house: House) -> None:
    house.agent("ada", WORK, hooks={"after_run": hook(house, "after_run", "echo full; exit 1\n")})
    house.start()
    task = house.post("ada")
    house.reaches(task, "done")
    assert told(house, "hook_failed") == ["hook_failed: after_run: it ended with exit 1: full"]
    assert house.attempt_file(1, "hooks.log").read_text() == "full\n"


# --- a kill at any moment ----------------------------------------------------------------------------------


def test_a_hook_after_the_run_that_outlived_the_daemon_runs_once(house: House) -> None:
    script = 'while ! [ -e "$here/go" ]; do sleep 0.02; done\n'
    house.agent("ada", 'echo agent >>"$here/hooks"; ' + WORK, hooks={"after_run": hook(house, "after_run", script)})
    house.agent("bob", WORK)
    house.start()
    task = house.post("ada")
    until(lambda: len(ran(house)) == 2, story=lambda: house.story(task))
    house.kill()
    house.start()
    house.reaches(house.post("bob"), "done")  # by then the former attempt was looked at, too
    assert house.attempts(task)[0]["gone_at"] is None
    (house.folder / "go").touch()
    house.reaches(task, "done")
    assert ran(house) == ["agent", f"after_run {task} submitted"]
    assert told(house, "hook_failed") == []


@pytest.mark.parametrize("killed", ["after_create", "before_run"])
def test_a_kill_during_a_hook_before_the_run_leaves_no_process_and_a_task_that_is_tried_again(
    house: House, repository: Path, killed: str
) -> None:
    script = 'touch half; [ -e "$here/go" ] || { echo $$ >"$here/pid"; sleep 300; }\n'
    house.agent("ada", WORK, hooks={killed: hook(house, killed, script)}, worktree={"repository": str(repository)})
    house.start()
    task = house.post("ada")
    until(lambda: (house.folder / "pid").exists(), story=lambda: house.story(task))
    house.kill()
    (house.folder / "go").touch()
    house.start()
    house.reaches(task, "done")
    assert house.outcomes(task) == ["released", "submitted"]
    assert not Path(f"/proc/{(house.folder / 'pid').read_text().strip()}").exists()
    assert ran(house) == [f"{killed} {task}"] * 2
    assert len(git(repository, "worktree", "list").splitlines()) == 2
    assert git(house.workspace(task), "branch", "--show-current").strip() == f"task/{task}"


def test_kills_at_any_moment_lose_nothing_and_double_nothing(house: House, repository: Path) -> None:
    names = ("after_create", "before_run", "after_run", "before_remove")
    house.agent(
        "ada", 'bb start\ngit commit -q --allow-empty -m "work of $task"\necho x | bb output document x -\nbb submit\n',
        max_live=3, worktree={"repository": str(repository)}, hooks={name: hook(house, name, "sleep 0.3\n") for name in names},
    )  # fmt: skip
    house.tables["workspaces"] = {"keep_done_days": 0}
    house.start()
    tasks = [house.post("ada") for _ in range(6)]
    moments = random.Random(4)
    for _ in range(8):
        time.sleep(moments.uniform(0.05, 1.5))
        house.kill()
        house.start()
    for task in tasks:
        house.reaches(task, "done")
        assert (
            git(repository, "log", "--format=%s", f"task/{task}", "--not", "main").splitlines().count(f"work of {task}")
            >= 1
        )
    house.kill()  # a stop would end a before_remove, and the next start run it again
    house.start()
    until(
        lambda: not house.rows("SELECT 1 FROM workspaces WHERE removed_at IS NULL"), story=lambda: house.story(tasks[0])
    )
    made = [line for line in ran(house) if line.startswith("before_remove")]
    assert sorted(made) == sorted({*made}) and len(made) == len(tasks)
    after = [line for line in ran(house) if line.startswith("after_run")]
    assert len([line for line in after if "submitted" in line]) == len(tasks)
    assert git(repository, "worktree", "list").count("\n") == 1
    assert git(repository, "status", "--porcelain") == ""
    assert house.value("SELECT count(*) FROM events WHERE verb = 'workspace_removed'") == len(tasks)


# --- from outside ------------------------------------------------------------------------------------------


def test_the_list_says_whose_each_is_and_clean_removes_what_is_over_with_a_daemon_and_without(
    house: House, repository: Path
) -> None:
    house.agent("ada", WORK, max_live=2, worktree={"repository": str(repository)})
    house.agent("bob", WORK)
    house.start()
    assert house.call("workspaces").stdout.startswith("there are no workspaces yet")
    tree, plain = house.post("ada"), house.post("bob")
    for task in (tree, plain):
        house.reaches(task, "done")
    listed = {each["task"]: each for each in json.loads(house.call("workspaces", "--json").stdout)}
    assert (listed[tree]["kind"], listed[tree]["branch"], listed[tree]["state"]) == (
        "worktree",
        f"task/{tree}",
        "ready",
    )
    assert (listed[plain]["kind"], listed[plain]["path"]) == ("folder", str(house.workspace(plain)))
    assert f"workspace   {house.workspace(tree)}, branch task/{tree} (ready)" in house.call("show", str(tree)).stdout
    assert house.call("workspaces", "clean").stdout.startswith("there is nothing to remove")
    house.stop()

    house.tables["workspaces"] = {"keep_done_days": 0}
    house.configure()
    dry = {each["task"]: each for each in json.loads(house.call("workspaces", "clean", "--dry-run", "--json").stdout)}
    assert dry[plain]["state"] == "would be removed"
    assert "1 files in it are changed or new" in dry[tree]["why"]
    assert house.workspace(plain).exists()
    cleaned = {each["task"]: each["state"] for each in json.loads(house.call("workspaces", "clean", "--json").stdout)}
    assert cleaned == {tree: "kept", plain: "removed"}
    assert not house.workspace(plain).exists()

    house.start()
    git(house.workspace(tree), "add", ".")
    git(house.workspace(tree), "commit", "-q", "-m", "now")
    assert json.loads(house.call("workspaces", "clean", "--json").stdout)[0]["state"] == "removed"
    assert json.loads(house.call("workspaces", "--json").stdout) == []
    assert len(json.loads(house.call("workspaces", "--all", "--json").stdout)) == 2
    house.operate(tree, "reopen")
    until(
        lambda: len(house.attempts(tree)) == 2 and house.task(tree)["status"] == "done", story=lambda: house.story(tree)
    )
    assert git(house.workspace(tree), "log", "-1", "--format=%s").strip() == "now"


def test_check_names_what_a_worktree_and_a_hook_lack(house: House, repository: Path) -> None:
    house.agent("ada", WORK, worktree={"repository": str(house.folder)}, hooks={"before_run": ["no-such-hook"]})
    house.agent("bob", WORK, worktree={"repository": str(repository), "base": "nowhere", "branch": "a..b"})
    house.agent("eva", WORK, worktree={"repository": str(repository)})
    house.configure()
    said = house.call("check").stdout
    assert f"{house.folder} is no git repository that can be used" in said
    assert "the program of its hook before_run, no-such-hook, is not in PATH: install it" in said
    assert f"nowhere leads to no commit of {repository}: mend worktree.base" in said
    assert "git takes no branch of the name a..b" in said
    assert f"worktrees of {repository} from HEAD" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workspace = '/x'\nworkspace_per = 'agent'", "leave it out, or leave workspace_per out"),
        ("workspace_per = 'agent'\nmax_live = 2", "set max_live = 1"),
        ("worktree = { base = 'main' }", "the table worktree needs repository"),
        ("worktree = { repository = '/r', base = '-f' }", "is no name for git"),
        ("worktree = { repository = '/r', branch = '{attempt}' }", "{attempt} is no placeholder here"),
        ("workspace_per = 'agent'\nworktree = { repository = '/r', branch = '{task}' }", "use {agent}"),
        ("hooks = { before_run = ['x', '{token}'] }", "{token} is no placeholder here"),
        ("hooks = { before_run = [''] }", "the first word is the program"),
    ],
)
def test_what_cannot_be_together_is_refused_with_what_to_do(house: House, text: str, said: str) -> None:
    house.folder.mkdir(exist_ok=True)
    house.config.write_text(f"[agents.w]\nargv = ['x']\n{text}\n")
    found = house.call("check")
    assert found.returncode == 2
    assert said in found.stderr


def test_all_tasks_of_an_agent_may_share_one_worktree(house: House, repository: Path) -> None:
    house.agent("ada", 'pwd >>"$here/where"; ' + WORK, workspace_per="agent", worktree={"repository": str(repository)})
    house.start()
    for task in (house.post("ada"), house.post("ada")):
        house.reaches(task, "done")
    place = house.folder / "workspaces" / "_agents" / "ada"
    assert (house.folder / "where").read_text().split() == [str(place)] * 2
    assert git(place, "branch", "--show-current") == "agent/ada\n"
    assert told(house, "workspace_made") == ["workspace_made"]
