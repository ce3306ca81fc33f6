"""Git, as far as workspaces need it: what a repository says, what a working tree holds that is nowhere else.

Blocking: a thread's work. Every call has a time limit, never asks for a password, and runs no program that the
repository itself names: whoever worked in a folder may have said there what git is to run, and we are in no sandbox.
Changes nothing but git's own note of a worktree whose folder is gone.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

SECONDS = 60.0
NO_QUESTIONS: Mapping[str, str] = {
    "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "false", "SSH_ASKPASS": "false", "SSH_ASKPASS_REQUIRE": "never",
    "GIT_OPTIONAL_LOCKS": "0", "GIT_PAGER": "cat", "GCM_INTERACTIVE": "never",
}  # fmt: skip
NO_FETCH: Mapping[str, str] = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}  # of objects that are missing
SUBMODULE = "160000 "  # the mode of its entry in the index
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "XDG_CONFIG_HOME")
IN_THE_MIDDLE = {
    "rebase-merge": "a rebase", "rebase-apply": "a rebase", "MERGE_HEAD": "a merge", "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert", "BISECT_LOG": "a bisect",
}  # fmt: skip


class GitError(Exception):
    """Git did not do it; str() is what it said."""


def git(where: Path, *words: str, config: Mapping[str, str] | None = None, seconds: float = SECONDS) -> str:
    """What `git -C where words` prints; GitError when it fails, is not there or takes too long. `config`: counts before all."""
    env = {name: os.environ[name] for name in INHERITED if name in os.environ} | {**NO_QUESTIONS, **NO_FETCH}
    env["GIT_CONFIG_COUNT"] = str(len(config or {}))
    for number, (key, value) in enumerate((config or {}).items()):
        env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    command = ["git", "-C", str(where), "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", *words]
    try:
        process = subprocess.Popen(  # noqa: S603 - a list of ours, no shell
            command, env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, text=True, errors="replace",
        )  # fmt: skip
    except OSError as error:
        raise GitError(f"git cannot be started: {error}") from None
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
        process.communicate()
        raise GitError(f"git {words[0]} took longer than {seconds:g} s") from None
    if process.returncode:
        lines = [line for line in err.splitlines() if line.strip()]
        raise GitError(lines[-1].strip() if lines else f"git {words[0]} ended with {process.returncode}")
    return out


def is_tree(path: Path) -> bool:
    """Whether a folder says that it is a git working tree."""
    return os.path.lexists(path / ".git")


def repository_problem(repository: Path) -> str | None:
    """Why a folder is no repository to make worktrees of; None when it is one."""
    if not repository.is_dir():
        return f"{repository} is not a folder"
    try:
        git(repository, "rev-parse", "--git-dir")
    except GitError as error:
        return f"{repository} is no git repository that can be used: {error}"
    return None


def has_branch(repository: Path, branch: str) -> bool:
    """Whether the repository has a branch of this name."""
    return bool(git(repository, "for-each-ref", "--format=x", f"refs/heads/{branch}").strip())


def has_commit(repository: Path, name: str) -> bool:
    """Whether a name leads to a commit."""
    try:
        git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except GitError:
        return False
    return True


def is_branch_name(branch: str) -> bool:
    """Whether git takes it for a branch."""
    try:
        git(Path("/"), "check-ref-format", f"refs/heads/{branch}")
    except GitError:
        return False
    return True


def knows(repository: Path, path: Path) -> bool:
    """Whether the repository has a worktree at this path, be its folder there or not."""
    real = os.path.realpath(path)
    lines = git(repository, "worktree", "list", "--porcelain", "-z").split("\0")
    return any(line.startswith("worktree ") and os.path.realpath(line[9:]) == real for line in lines)


def adding(repository: Path, path: Path, *, branch: str, base: str, exists: bool) -> list[str]:
    """The command that makes a worktree: on the branch as it is, or on a new one from `base`."""
    head = ["git", "-C", str(repository), "worktree", "add"]
    return [*head, str(path), branch] if exists else [*head, "--no-track", "-b", branch, str(path), base]


def forget(repository: Path, path: Path) -> None:
    """Have the repository know nothing of a worktree whose folder is gone; its branch stays."""
    if knows(repository, path) and not path.exists():
        git(repository, "worktree", "remove", "--force", "--force", str(path))


class Held(NamedTuple):
    """Why a working tree is to be kept, and the command to look at it."""

    why: str
    look: str


def held(path: Path) -> Held | None:
    """What a git working tree, or a submodule in it, holds that would be lost with its folder; None: nothing.

    Not committed, in the middle of something, on no branch; in a clone of its own also what no remote has. Ignored files
    do not count. GitError when it cannot be known.
    """
    left = [path]
    while left:
        tree = left.pop()
        if (found := _held(tree)) is not None:
            return found
        left += _submodules(tree)
    return None


def _held(path: Path) -> Held | None:
    """The same of one tree, whatever its submodules hold."""
    status = f"git -C {path} status"
    if not os.path.samefile(git(path, "rev-parse", "--show-toplevel").strip(), path):
        raise GitError("its .git leads nowhere")
    own = Path(git(path, "rev-parse", "--absolute-git-dir").strip())
    shared = Path(os.path.join(path, git(path, "rev-parse", "--git-common-dir").strip()))
    if (own / "locked").exists():
        return Held("it is locked (git worktree lock)", f"git -C {path} worktree list")
    for name, what in IN_THE_MIDDLE.items():
        if (own / name).exists():
            return Held(f"it is in the middle of {what}", status)
    # Of a submodule only which commit it is at: git would look into it with that one's own configuration.
    look = ("status", "--porcelain", "--untracked-files=all", "--ignore-submodules=dirty")
    changed = len(git(path, *look, config=_without_filters(path)).splitlines())
    if changed:
        return Held(f"{changed} files in it are changed or new and not committed", status)
    elsewhere = ["--branches", "--remotes", "--tags"]
    if os.path.samefile(own, shared):  # a clone: its branches go with it
        elsewhere = ["--remotes"]
        if git(path, "for-each-ref", "--format=x", "refs/stash").strip():
            return Held("it has a stash", f"git -C {path} stash list")
        lonely = _count(path, "--branches", "--tags", "HEAD", "--not", *elsewhere)
    else:
        lonely = _count(path, "HEAD", "--not", *elsewhere)
    if lonely:
        return Held(
            f"{lonely} commits in it are on no other branch or remote", f"git -C {path} log --oneline -{lonely}"
        )
    return None


def _without_filters(path: Path) -> dict[str, str]:
    """The settings under which git runs none of the programs that change a file's content on its way in."""
    keys = git(path, "config", "-z", "--list", "--name-only").split("\0")
    names = {key.partition(".")[2].rpartition(".")[0] for key in keys if key.startswith("filter.")} - {""}
    off = {"process": "", "clean": "", "required": "false"}
    return {f"filter.{name}.{key}": value for name in sorted(names) for key, value in off.items()}


def _submodules(path: Path) -> list[Path]:
    """The submodules of a tree that have been fetched."""
    entries = git(path, "ls-files", "--stage", "-z").split("\0")
    found = [path / entry.partition("\t")[2] for entry in entries if entry.startswith(SUBMODULE)]
    return [each for each in found if is_tree(each)]


def _count(path: Path, *words: str) -> int:
    return int(git(path, "rev-list", "--count", *words).strip())
