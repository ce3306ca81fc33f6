"""The preset `bwrap`: what an agent in it sees of this machine, as the words put before its program.

Looks at the disk, changes nothing. A folder that holds a secret is shown entry by entry, as it is at the start: what
comes into it later, such as a renamed token or a new file of the board, is never seen.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator import worktrees
from orchestrator.config import Settings
from orchestrator.config_agent import AgentConfig
from orchestrator.config_sinks import folder_of
from orchestrator.runners.runner import Place
from orchestrator.runners.table import runner_of

# The system read-only; its own processes, devices, shared memory and /tmp; no rights beyond its user's. The network stays.
CAGE = (
    "--unshare-pid",
    "--unshare-ipc",
    "--cap-drop",
    "ALL",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
)
MOST_ENTRIES = 2000  # of a folder that is shown entry by entry: bwrap takes 9000 words
# In the attempt's directory, and not the agent's: what says how it went, and what is run after it.
OWN_BUT_FIXED = ("status", "launch.json", "launcher.log")
OWN_BUT_OURS = ("checks", "after_run")
GIT_BUT_FIXED = ("config", "config.worktree", "info/attributes")  # what makes git run commands; and its folder of hooks


class TooFull(ValueError):
    """A folder with secrets holds too much to be shown entry by entry; str() is the sentence."""


@dataclass(frozen=True)
class Secrets:
    """What no agent may see: `names` of each folder, given as real paths."""

    folders: Mapping[str, frozenset[str]]

    def covers(self, folder: str, name: str) -> bool:
        """Whether an entry is secret. A file's companions are too: `board.db-wal`, `board.db.lock`, its backups."""
        return any(name == secret or name.startswith((f"{secret}-", f"{secret}.")) for secret in self.folders[folder])


def secrets(settings: Settings) -> Secrets:
    """The board, the operator's token, the configuration, and what belongs to other attempts and tasks."""
    config = [settings.config_file] if settings.config_file else []
    found: dict[str, frozenset[str]] = {}
    for path in (
        settings.board, settings.token_file, *config, settings.attempts_dir, settings.uploads_dir, settings.workspaces_dir,
    ):  # fmt: skip
        folder = os.path.realpath(path.parent)
        found[folder] = found.get(folder, frozenset()) | {path.name}
    for path in _of_sinks(settings):  # beside the others; one that is elsewhere is for the agent's own `hidden`
        folder = os.path.realpath(path.parent)
        if folder in found:
            found[folder] |= {path.name}
    return Secrets(found)


def _of_sinks(settings: Settings) -> Iterator[Path]:
    """What tells of other agents, and what signs for us."""
    yield folder_of(settings.state_dir)
    for sink in settings.sinks.values():
        yield from filter(None, (sink.folder, sink.secret_file))


def cage(*, scratch_bytes: int | None = None) -> list[str]:
    """The part that is the same for every attempt; `scratch_bytes`: how much of the memory its /tmp may take."""
    size = ["--size", str(scratch_bytes)] if scratch_bytes else []
    return [*CAGE, *size, "--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108 - its own, made for it alone


def words(agent: AgentConfig, settings: Settings, place: Place, home: str, repository: Path | None = None) -> list[str]:
    """The words between `bwrap` and the agent's program; TooFull, GitError. `repository`: whose worktree the workspace is."""
    known = secrets(settings)
    work = os.path.realpath(place.workspace)
    writable = [os.path.realpath(path) for path in (*agent.writable, *own_folders(agent, home))]
    hidden = [os.path.realpath(path) for path in agent.hidden]
    shown = [folder for folder in sorted(known.folders) if not inside(folder, work) and folder != "/"]
    masked = [folder for folder in known.folders if folder not in shown]
    over = [path for path in writable if any(inside(folder, path) for folder in shown)]
    said = cage(scratch_bytes=agent.limits.memory_bytes)
    said += _bind(over)
    for folder in shown:
        said += _entries(folder, known)
    said += _bind(path for path in writable if path not in over)
    said += _hide(path for path in hidden if not inside(path, work))
    said += _git(repository) if repository is not None else []
    said += ["--bind", work, work]
    for folder in masked:
        said += _hide(str(each) for each in _secret_entries(folder, known))
    said += _hide(path for path in hidden if inside(path, work))
    said += _own(os.path.realpath(place.directory))
    for folder in shown:
        said += ["--remount-ro", folder]
    said += [] if agent.leftovers == "keep" else ["--die-with-parent"]
    return [*said, "--chdir", work, "--"]


def own_folders(agent: AgentConfig, home: str) -> list[Path]:
    """The folders that the agent's program keeps sessions and settings in."""
    return [Path(home, path[2:]) if path.startswith("~/") else Path(path) for path in runner_of(agent).writes(agent)]


def inside(path: str, folder: str) -> bool:
    """Whether a path is this folder or below it, both real."""
    return Path(path).is_relative_to(folder)


def _bind(paths: Iterable[str]) -> list[str]:
    return [word for path in paths for word in ("--bind-try", path, path)]


def _hide(paths: Iterable[str]) -> list[str]:
    """An empty folder, or an empty file, in the place of each; what does not exist needs no hiding."""
    said: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            said += ["--tmpfs", path, "--remount-ro", path]
        elif os.path.exists(path):
            said += ["--ro-bind", "/dev/null", path]
    return said


def _entries(folder: str, known: Secrets) -> list[str]:
    """An empty folder with the entries that are no secret, read-only."""
    said: list[str] = ["--tmpfs", folder]
    for entry in _scanned(folder):
        if known.covers(folder, entry.name):
            continue
        if entry.is_symlink():
            said += ["--symlink", os.readlink(entry.path), entry.path]
        else:
            said += ["--ro-bind-try", entry.path, entry.path]
    return said


def _secret_entries(folder: str, known: Secrets) -> Iterator[Path]:
    return (Path(entry.path) for entry in _scanned(folder) if known.covers(folder, entry.name))


def _scanned(folder: str) -> Sequence[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
    if len(found) > MOST_ENTRIES:
        raise TooFull(
            f"{folder} holds secrets of the board among {len(found)} files, too many to show the others to an agent: "
            "give the board (`board`, `state_dir`) a folder of its own"
        )
    return found


def _own(directory: str) -> list[str]:
    """The attempt's own directory, writable but for what says how the attempt went."""
    said = ["--bind", directory, directory, *_fixed(directory, OWN_BUT_FIXED)]
    for name in OWN_BUT_OURS:
        said += ["--tmpfs", f"{directory}/{name}", "--remount-ro", f"{directory}/{name}"]
    return said


def _git(repository: Path) -> list[str]:
    """The repository of a worktree: the agent commits to it, and never says what git runs for others. GitError."""
    git = os.path.realpath(repository / worktrees.git(repository, "rev-parse", "--git-common-dir").rstrip("\n"))
    said = ["--bind", git, git]
    for name in GIT_BUT_FIXED:  # what is not there stays an empty file: it would be made inside
        path = f"{git}/{name}"
        said += ["--ro-bind", path if os.path.exists(path) else "/dev/null", path]
    hooks = f"{git}/hooks"
    return [*said, *(_fixed(git, ["hooks"]) if os.path.isdir(hooks) else ["--tmpfs", hooks, "--remount-ro", hooks])]


def _fixed(folder: str, names: Iterable[str]) -> list[str]:
    return [word for name in names for word in ("--ro-bind-try", f"{folder}/{name}", f"{folder}/{name}")]
