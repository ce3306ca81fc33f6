"""The preset `bwrap`, with a real daemon: what an agent in it cannot see or write, and that nothing of it outlives a stop."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from blackboard.clock import seconds_between
from orchestrator import processes, wrapping
from tests.daemon import House, until

NO_SANDBOX = wrapping.tried("bwrap")
pytestmark = pytest.mark.skipif(NO_SANDBOX is not None, reason=str(NO_SANDBOX))

HAND_IN = "echo hello > out.txt; bb output document T out.txt && bb submit\n"
SETTLED = {"settle_seconds": 2.0}

# name: (the shell script, its configuration)
AGENTS: dict[str, tuple[str, dict[str, object]]] = {
    "good": (f"bb start; {HAND_IN}", {}),
    "first": (f"bb start; until [ -e go ]; do sleep 0.05; done; {HAND_IN}", {}),
    "looks": (
        "bb start\n"
        'for path in "$here/operator.token" "$here/board.db" "$here/board.db-wal" "$here/board.db.lock" "$here/orchestrator.toml" \\\n'
        '    "$here"/attempts/*/curl.conf "$here"/uploads "$here"/workspaces/p/*; do\n'
        '    case $path in */attempts/"$attempt"/*|*/workspaces/p/"$task") continue;; esac\n'
        '    if [ -e "$path" ]; then echo "saw $path"; fi\n'
        "done > seen\n"
        'mkdir -p "$directory/checks" "$directory/after_run"\n'
        'for path in "$here/new" /etc/new /usr/new "$HOME/new" "$here/attempts/new" "$directory/status" "$directory/launch.json" \\\n'
        '    "$directory/checks/new" "$directory/after_run/new"; do\n'
        '    if (echo broken > "$path") 2>/dev/null; then echo "wrote $path"; fi\n'
        "done >> seen\n"
        '(mount -o remount,rw / || umount "$here") 2>/dev/null && echo "mounted" >> seen\n'
        'if kill -0 "$(cat outside)" 2>/dev/null; then echo "reached a stranger" >> seen; fi\n'
        'echo mine > "$HOME/kept/new" && echo mine > /tmp/new && echo mine > /dev/shm/new && echo mine > "$directory/new" || echo "may not" >> seen\n'
        '[ ! -s "$HOME/secrets/key" ] || echo "saw the key" >> seen\n'
        f"{HAND_IN}",
        {},
    ),
    "exits": ("exit 7\n", {"policy": {"max_tries": 1}}),
    "polite": (
        "trap 'sleep 0.5; echo polite > polite; exit 0' TERM; bb start; while :; do sleep 0.05; done\n",
        {"grace_seconds": 20, "policy": {"max_tries": 1, "wall_seconds": 1.5}},
    ),
    "commits": (
        "bb start; echo x > made && git add made && git commit -q -m made || exit 3\n"
        "(echo x > \"$(git rev-parse --git-common-dir)/hooks/post-checkout\") 2>/dev/null && echo hooked >> bad\n"
        f"git config core.editor evil 2>/dev/null && echo configured >> bad; {HAND_IN}", {},
    ),
    "commits-aside": (
        "bb start; echo x > made && git add made && git commit -q -m made || exit 3\n"
        "(echo x > \"$(git rev-parse --git-common-dir)/hooks/post-checkout\") 2>/dev/null && echo hooked >> bad\n"
        f"git config core.editor evil 2>/dev/null && echo configured >> bad; {HAND_IN}", {},
    ),
    "plants": (
        'bb start; git=$(git rev-parse --git-common-dir); mkdir -p "$git/hooks" "$git/info" 2>/dev/null\n'
        'for name in hooks/post-checkout config.worktree info/attributes; do\n'
        '    if (echo evil > "$git/$name") 2>/dev/null; then echo "$name" >> bad; fi\n'
        f"done; echo x > made && git add made && git commit -q -m made || exit 3; {HAND_IN}", {},
    ),
    "keeps": (
        f"(sleep 1; echo finished > finished) & {HAND_IN}", {"leftovers": "keep", "policy": {"settle_seconds": 0.2}},
    ),
}  # fmt: skip
# Those that do not want to go: five times each.
CLINGERS: dict[str, tuple[str, dict[str, object]]] = {
    "hangs": ("bb start; sleep 1000 & sleep 1000 & wait\n", {"policy": {"max_tries": 1, "wall_seconds": 1}}),
    "ignores": (
        "trap '' TERM INT HUP; bb start; sh -c 'while :; do sleep 0.1; done' & while :; do sleep 0.1; done\n",
        {"policy": {"max_tries": 1, "wall_seconds": 1}},
    ),
    "leaves": (f"sleep 1000 & {HAND_IN}", {"policy": SETTLED}),
    "double-forks": (f"(sh -c 'sleep 1000 & sleep 1000 &' &); {HAND_IN}", {"policy": SETTLED}),
    "setsids": (f"(env -i setsid sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' &) & wait; {HAND_IN}", {"policy": SETTLED}),
    "kills-its-launcher": ("bb start; kill -9 $PPID; kill -9 1; sleep 1000\n", {"policy": {"max_tries": 1, "wall_seconds": 1}}),
}  # fmt: skip


def boxed(house: House, name: str, script: str, **config: object) -> None:
    house.agent(name, script, **{"wrap": "bwrap", "require_sandbox": True, **config})


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("boxes") / "it's a box", tick={"max_live": 20})
    for folder in ("kept", "secrets"):
        (house.folder / "home" / folder).mkdir(parents=True)
    (house.folder / "home/secrets/key").write_text("secret")
    env = {"HOME": str(house.folder / "home")}
    for name, (script, config) in {**AGENTS, **CLINGERS}.items():
        boxed(house, name, script, env=env, writable=["home/kept"], hidden=["home/secrets"], max_live=5, **config)
    repository = house.folder / "repository"
    repository.mkdir()
    for words in (["init", "-q", "-b", "main"], ["config", "user.name", "A"], ["config", "user.email", "a@example.org"],
                  ["commit", "-q", "--allow-empty", "-m", "begin"]):  # fmt: skip
        subprocess.run(["git", "-C", str(repository), *words], check=True)
    house.agents["commits"]["worktree"] = {"repository": str(repository)}
    bare = house.folder / "bare"  # as made from an empty template: nothing of what git runs is there yet
    subprocess.run(["git", "clone", "-q", "--template=", str(repository), str(bare)], check=True)
    for name, value in (("user.name", "A"), ("user.email", "a@example.org")):
        subprocess.run(["git", "-C", str(bare), "config", name, value], check=True)
    side = house.folder / "side"  # a worktree itself: what git has is elsewhere
    subprocess.run(["git", "-C", str(repository), "worktree", "add", "-q", "--detach", str(side)], check=True)
    house.agents["commits-aside"]["worktree"] = {"repository": str(side)}
    house.agents["plants"]["worktree"] = {"repository": str(bare)}
    house.agents["good"]["hooks"] = {"after_run": ["/bin/sh", "-c", "echo after > ../after"]}
    boxed(house, "reviewer", "cat out.txt > read; bb approve\n")
    try:
        house.start()
        yield house
        house.ends()
    finally:
        house.clear()


def test_an_agent_in_the_preset_works_and_reports(house: House) -> None:
    task = house.post("good")
    house.reaches(task, "done")
    (attempt,) = house.attempts(task)
    assert (attempt["outcome"], attempt["exit_code"]) == ("submitted", 0)
    assert attempt["peak_rss_bytes"] > 0
    assert house.events(task, "unsandboxed") == []


def test_it_sees_no_secret_of_the_board_and_writes_nowhere_else(house: House) -> None:
    other = house.post("first")
    house.reaches(other, "working")
    task = house.post("looks")
    house.workspace(task).mkdir(parents=True, exist_ok=True)
    (house.workspace(task) / "outside").write_text(str(os.getpid()))
    house.reaches(task, "done")
    assert (house.workspace(task) / "seen").read_text() == ""
    assert (house.folder / "home/kept/new").read_text() == "mine\n"
    assert not Path("/tmp/new").exists() and not Path("/dev/shm/new").exists()
    assert not (house.folder / "attempts/new").exists()
    house.let_go(other)
    house.reaches(other, "done")


def test_a_hook_is_the_operators_and_not_held_in(house: House) -> None:
    task = house.post("good")
    house.reaches(task, "done")
    assert (house.workspace(task).parent / "after").read_text() == "after\n"


@pytest.mark.parametrize("agent", ["commits", "commits-aside"])
def test_it_commits_to_its_worktree_and_not_to_what_git_runs(house: House, agent: str) -> None:
    task = house.post(agent)
    house.reaches(task, "done")
    assert not (house.workspace(task) / "bad").exists()
    log = ["git", "-C", str(house.folder / "repository"), "log", "--format=%s", f"task/{task}"]
    assert subprocess.run(log, capture_output=True, text=True, check=True).stdout == "made\nbegin\n"


def test_it_plants_nothing_where_git_would_look_for_what_to_run(house: House) -> None:
    task = house.post("plants")
    house.reaches(task, "done")
    assert not (house.workspace(task) / "bad").exists()
    found = house.folder / "bare/.git"
    assert not (found / "hooks/post-checkout").exists()
    assert [(found / name).read_text() for name in ("config.worktree", "info/attributes")] == ["", ""]
    log = ["git", "-C", str(house.folder / "bare"), "log", "--format=%s", f"task/{task}"]
    assert subprocess.run(log, capture_output=True, text=True, check=True).stdout == "made\nbegin\n"


def test_its_exit_code_comes_through(house: House) -> None:
    task = house.post("exits")
    house.reaches(task, "failed")
    (attempt,) = house.attempts(task)
    assert (attempt["outcome"], attempt["exit_code"]) == ("crashed", 7)


def test_the_graceful_signal_reaches_the_agent_inside(house: House) -> None:
    task = house.post("polite")
    house.reaches(task, "failed")
    assert (house.workspace(task) / "polite").read_text() == "polite\n"
    (attempt,) = house.attempts(task)
    assert seconds_between(attempt["stopped_at"], attempt["gone_at"]) < 10, "long before its grace was over"


def test_kept_leftovers_finish_inside(house: House) -> None:
    task = house.post("keeps")
    house.reaches(task, "done")
    assert (house.workspace(task) / "finished").exists()


def test_a_reviewer_sees_the_work_it_reviews(house: House) -> None:
    task = house.post("good", review="agent:reviewer")
    house.reaches(task, "done")
    assert house.outcomes(task) == ["submitted", "approved"]
    assert (house.workspace(task) / "read").read_text() == "hello\n"


@pytest.mark.parametrize("name", CLINGERS)
def test_nothing_of_it_is_left_five_times(house: House, name: str) -> None:
    tasks = [house.post(name) for _ in range(5)]
    for task in tasks:
        house.reaches(task, "done", "failed")
        assert house.left_of(task) == set(), house.story(task)
        assert all(attempt["gone_at"] for attempt in house.attempts(task))


def test_a_killed_launcher_takes_the_sandbox_along(house: House) -> None:
    task = house.post("first")
    house.reaches(task, "working")
    (attempt,) = house.attempts(task)
    launcher = processes.Identity(attempt["launcher_pid"], attempt["launcher_start"])
    assert processes.signal_safely(launcher, signal.SIGKILL)
    until(lambda: house.outcomes(task)[0] is not None, story=house.told)
    assert house.outcomes(task)[0] == "lost"
    until(lambda: house.attempts(task)[0]["gone_at"], story=house.told)
    house.operate(task, "cancel", "enough")
    house.reaches(task, "cancelled")


def test_a_check_is_held_in_like_its_agent(house: House) -> None:
    """What proves the work sees no more than who made it: not the operator's token, not another attempt's."""
    look = f"! cat {shlex.quote(str(house.folder / 'operator.token'))} && ! cat {shlex.quote(str(house.folder))}/attempts/*/curl.conf"
    task = house.post("good", checks=[{"run": ["sh", "-c", f"{look} && test -f out.txt && touch proved"]}])
    house.reaches(task, "done")
    (check,) = house.rows("SELECT * FROM checks WHERE task_id = :task", task=task)
    assert check["result"] == "passed", check["output"]
    assert (house.workspace(task) / "proved").exists()
