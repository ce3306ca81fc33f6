"""What a working tree holds, asked of real git: everything in it, and without running what its agent named there."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator import worktrees
from tests.test_cleaning import git, new_repository

SIGNED = "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return new_repository(tmp_path / "tree")


def put_in(tree: Path, folder: Path) -> Path:
    """A repository as a submodule of the tree, all of it committed."""
    new_repository(folder)
    git(tree, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(folder), "part")
    git(tree, "commit", "-q", "-m", "a part")
    git(tree / "part", "config", "user.name", "A")
    git(tree / "part", "config", "user.email", "a@example.org")
    git(tree, "update-ref", "refs/remotes/origin/main", "HEAD")  # somebody else has it
    return tree / "part"


# --- what it names is not run -------------------------------------------------------------------------------


def by_a_filter(tree: Path, program: Path, name: str = "evil") -> None:
    git(tree, "config", f"filter.{name}.clean", f"{program}; cat")
    git(tree, "config", f"filter.{name}.required", "true")
    (tree / ".gitattributes").write_text(f"* filter={name}\n")
    (tree / "README").write_text("changed\n")


def by_a_filter_of_an_odd_name(tree: Path, program: Path) -> None:
    by_a_filter(tree, program, "a.b=c")


def by_a_filter_that_stays(tree: Path, program: Path) -> None:
    git(tree, "config", "filter.evil.process", str(program))
    (tree / ".gitattributes").write_text("* filter=evil\n")
    (tree / "README").write_text("changed\n")


def by_a_filter_of_a_submodule(tree: Path, program: Path) -> None:
    by_a_filter(put_in(tree, program.parent / "part"), program)


def by_a_monitor(tree: Path, program: Path) -> None:
    git(tree, "config", "core.fsmonitor", str(program))


def by_a_signature(tree: Path, program: Path) -> None:
    (tree / "README").write_text("changed\n")
    git(tree, "stash")
    head, _, text = git(tree, "cat-file", "commit", "refs/stash").partition("\n\n")
    commit = tree.parent / "commit"
    commit.write_text(head + SIGNED + text)
    signed = git(tree, "hash-object", "-t", "commit", "-w", str(commit)).strip()
    git(tree, "update-ref", "--create-reflog", "-m", "x", "refs/stash", signed)
    git(tree, "config", "log.showSignature", "true")
    git(tree, "config", "gpg.program", str(program))


def by_what_is_missing(tree: Path, program: Path) -> None:
    git(tree, "init", "-q", "--bare", str(tree.parent / "origin"))
    lost = git(tree, "rev-parse", "HEAD^{tree}").strip()
    (tree / ".git" / "objects" / lost[:2] / lost[2:]).unlink()
    for key, value in {
        "core.repositoryformatversion": "1", "extensions.partialClone": "origin", "remote.origin.promisor": "true",
        "remote.origin.url": str(tree.parent / "origin"), "remote.origin.uploadpack": str(program),
        "protocol.file.allow": "always",
    }.items():  # fmt: skip
        git(tree, "config", key, value)


@pytest.mark.parametrize(
    "named",
    [
        by_a_filter, by_a_filter_of_an_odd_name, by_a_filter_that_stays, by_a_filter_of_a_submodule, by_a_monitor,
        by_a_signature, by_what_is_missing,
    ],
)  # fmt: skip
def test_no_program_is_run_that_the_folder_names(tree: Path, named: Callable[[Path, Path], None]) -> None:
    ran, program = tree.parent / "ran", tree.parent / "program"
    program.write_text(f"#!/bin/sh\necho x >> {ran}\nexit 1\n")
    program.chmod(0o755)
    named(tree, program)
    ran.unlink(missing_ok=True)  # what git ran for ourselves
    try:
        said = worktrees.held(tree)
    except worktrees.GitError as error:
        said = worktrees.Held(str(error), "")
    assert not ran.exists()
    assert said is not None, "what it holds was not seen"


# --- submodules ---------------------------------------------------------------------------------------------


def test_a_submodule_with_nothing_of_its_own_holds_nothing(tree: Path, tmp_path: Path) -> None:
    put_in(tree, tmp_path / "part")
    assert worktrees.held(tree) is None


def change(part: Path) -> None:
    (part / "README").write_text("changed\n")


def add(part: Path) -> None:
    (part / "new").write_text("new\n")


def commit(part: Path) -> None:
    git(part, "commit", "-q", "--allow-empty", "-m", "mine")
    git(part.parent, "add", "part")
    git(part.parent, "commit", "-q", "-m", "with it")
    git(part.parent, "update-ref", "refs/remotes/origin/main", "HEAD")


@pytest.mark.parametrize(
    ("live", "why"),
    [
        (change, "1 files in it are changed or new and not committed"),
        (add, "1 files in it are changed or new and not committed"),
        (commit, "1 commits in it are on no other branch or remote"),
    ],
)
def test_what_only_a_submodule_holds_is_held(
    tree: Path, tmp_path: Path, live: Callable[[Path], None], why: str
) -> None:
    part = put_in(tree, tmp_path / "part")
    live(part)
    held = worktrees.held(tree)
    assert held is not None
    assert held.why == why
    assert f"git -C {part} " in held.look
    subprocess.run(held.look.split(), check=True, capture_output=True)
