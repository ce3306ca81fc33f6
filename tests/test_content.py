"""Files that agents name: measured where they are, and nothing outside the workspace, whatever is swapped meanwhile."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from blackboard import content
from blackboard.content import Held, resolve
from blackboard.errors import Invalid

SECRET = "not for agents"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A workspace with a file and a folder, beside something that is none of an agent's business."""
    workspace = tmp_path / "work space"
    (workspace / "sub").mkdir(parents=True)
    (workspace / "nail.txt").write_text("iron")
    (workspace / "sub" / "deep.txt").write_text("deep iron")
    (tmp_path / "secret").write_text(SECRET)
    (tmp_path / "work space 2").mkdir()
    (tmp_path / "work space 2" / "nail.txt").write_text(SECRET)
    return workspace


def held(path: str, text: str) -> Held:
    return Held(path, len(text), hashlib.sha256(text.encode()).hexdigest())


@pytest.mark.parametrize(
    ("named", "path", "text"),
    [
        ("nail.txt", "nail.txt", "iron"),
        ("./nail.txt", "nail.txt", "iron"),
        ("sub/deep.txt", "sub/deep.txt", "deep iron"),
        ("sub//./deep.txt", "sub/deep.txt", "deep iron"),
        ("{workspace}/sub/deep.txt", "sub/deep.txt", "deep iron"),
    ],
)
def test_a_file_of_the_workspace_is_measured(place: Path, named: str, path: str, text: str) -> None:
    assert resolve(place, named.format(workspace=place)) == held(path, text)


@pytest.mark.parametrize("name", ["a b", "nägel 🔨", "'quoted\"", "$(touch x)", "-n", "line\nline", " "])
def test_a_name_may_be_anything_a_file_can_be_called(place: Path, name: str) -> None:
    (place / name).write_text("iron")
    if name.strip():
        assert resolve(place, name) == held(name, "iron")


def links_out(place: Path) -> None:
    (place / "link").symlink_to(place.parent / "secret")


def links_within(place: Path) -> None:
    (place / "link").symlink_to("nail.txt")


def links_a_folder(place: Path) -> None:
    (place / "link").symlink_to(place.parent)


def links_nowhere(place: Path) -> None:
    (place / "link").symlink_to("nothing")


def links_itself(place: Path) -> None:
    (place / "link").symlink_to("link")


def nothing(place: Path) -> None:
    pass


def makes_a_fifo(place: Path) -> None:
    os.mkfifo(place / "pipe")


def makes_a_socket(place: Path) -> None:
    import socket

    short = tempfile.mkdtemp()  # a socket's path is at most 108 bytes
    made = socket.socket(socket.AF_UNIX)
    made.bind(f"{short}/s")
    made.close()
    os.rename(f"{short}/s", place / "socket")
    os.rmdir(short)


@pytest.mark.parametrize(
    ("make", "named", "words"),
    [
        (nothing, "", "empty or holds a NUL"),
        (nothing, " \n", "empty or holds a NUL"),
        (nothing, "nail.txt\0", "empty or holds a NUL"),
        (nothing, "\ud800", "no text"),
        (nothing, "nail\udcff", "no text"),
        (nothing, ".", "leads outside"),
        (nothing, "..", "leads outside"),
        (nothing, "../secret", "leads outside"),
        (nothing, "sub/../../secret", "leads outside"),
        (nothing, "sub/../nail.txt", "without '..'"),
        (nothing, "/etc/passwd", "outside your workspace"),
        (nothing, "//etc/passwd", "outside your workspace"),
        (nothing, "{workspace}", "leads outside"),
        (nothing, "{workspace}/../secret", "leads outside"),
        (nothing, "{workspace} 2/nail.txt", "outside your workspace"),
        (nothing, "nowhere", "No such file"),
        (nothing, "nail.txt/x", "Not a directory"),
        (nothing, "sub", "not a regular file"),
        (nothing, "x" * 300, "File name too long"),
        (links_out, "link", "symbolic links are not followed"),
        (links_within, "link", "symbolic links are not followed"),
        (links_a_folder, "link/secret", "symbolic links are not followed"),
        (links_nowhere, "link", "symbolic links are not followed"),
        (links_itself, "link", "symbolic links are not followed"),
        (makes_a_fifo, "pipe", "not a regular file"),
        (makes_a_socket, "socket", "cannot be read"),
    ],
)
def test_anything_else_is_refused_with_a_sentence(
    place: Path, make: Callable[[Path], None], named: str, words: str
) -> None:
    make(place)
    with pytest.raises(Invalid) as refusal:
        resolve(place, named.format(workspace=place))
    assert words in refusal.value.sentence
    refusal.value.sentence.encode()  # it can be told


def test_a_workspace_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        resolve(tmp_path / "gone", "nail.txt")


def test_a_file_may_be_as_large_as_the_limit_and_no_larger(place: Path) -> None:
    assert resolve(place, "nail.txt", limit=4) == held("nail.txt", "iron")
    with pytest.raises(Invalid, match="holds 4 bytes, more than the 3 that are taken"):
        resolve(place, "nail.txt", limit=3)


def test_a_large_file_is_not_read_before_it_is_refused(place: Path) -> None:
    with (place / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(Invalid, match="more than"):
        resolve(place, "sparse")


def test_a_file_that_grows_while_it_is_read_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Size and hash must be of the same bytes; and an agent that writes for ever must not keep us reading for ever."""
    real = os.fstat

    def and_then_it_grows(fd: int) -> os.stat_result:
        found = real(fd)
        if found.st_size == 4:
            (place / "nail.txt").write_text("iron and steel")
        return found

    monkeypatch.setattr(content.os, "fstat", and_then_it_grows)
    with pytest.raises(Invalid, match="changed while it was read"):
        resolve(place, "nail.txt")


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A workspace seen with the rights of somebody who is not root."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    (folder / "closed").write_text("iron")
    (folder / "closed").chmod(0)
    (folder / "shut").mkdir(0)
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    yield folder
    if was == 0:
        os.seteuid(0)
    (folder / "shut").chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.parametrize("named", ["closed", "shut/x"])
def test_what_may_not_be_read_is_told(nobody: Path, named: str) -> None:
    with pytest.raises(Invalid, match="Permission denied"):
        resolve(nobody, named)


@pytest.mark.parametrize("what", ["the file", "a folder on the way"])
def test_no_swap_of_a_link_ever_leads_outside(place: Path, what: str) -> None:
    """Another thread swaps a real thing and a link to the outside as fast as it can."""
    real, outside = (
        (place / "nail.txt", place.parent / "secret")
        if what == "the file"
        else (place / "sub", place.parent / "work space 2")
    )
    named = "swapped" if what == "the file" else "swapped/nail.txt"
    if what != "the file":
        (real / "nail.txt").write_text("iron")
    (place / "link").symlink_to(outside)
    (place / "swapped").symlink_to(outside)
    (place / "good").hardlink_to(real) if what == "the file" else real.rename(place / "good")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for way in ("good", "link"):
                os.rename(place / "swapped", place / ("link" if way == "good" else "good"))
                os.rename(place / way, place / "swapped")

    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = {"held": 0, "refused": 0}
    try:
        while min(seen.values()) < 50:
            try:
                assert resolve(place, named) == held(named, "iron")
                seen["held"] += 1
            except Invalid:
                seen["refused"] += 1
    finally:
        stop.set()
        swapper.join()


def test_nothing_is_left_open(place: Path) -> None:
    (place / "link").symlink_to("nail.txt")
    before = sorted(os.listdir("/proc/self/fd"))
    for named in ("nail.txt", "sub/deep.txt", "sub", "link", "sub/nowhere", "nail.txt/x", "../x"):
        with suppress(Invalid):
            resolve(place, named)
    assert sorted(os.listdir("/proc/self/fd")) == before
