"""`bb` and the curl file: what is said arrives byte for byte, from anywhere, and the exit code tells the truth."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from api.multipart import FileForm
from blackboard.spooled import Spooled, understood
from orchestrator.spool import waiting
from prompts import bb_script, curl_config
from tests.recorder import NASTY, TOKEN, Kit, Recorder, recording, shell

BIG = ("é🙂'\"$(x)`\\\n" * 100_000).encode()[: 1024 * 1024 // 4 * 4 - 8].decode("utf-8", "ignore")
SHELLS = [path for path in (shutil.which("dash"), shutil.which("bash"), shutil.which("busybox")) if path]


@pytest.fixture
def server() -> Iterator[Recorder]:
    with recording() as recorder:
        yield recorder


@pytest.fixture
def kit(tmp_path: Path, server: Recorder) -> Kit:
    return Kit(tmp_path / "it's a=b" / "attempts 7", tmp_path / "work space").make(server.url)


def bb(kit: Kit, *words: str, stdin: str = "", cwd: str = "/") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [kit.bb, *words],
        input=stdin.encode("utf-8", "surrogateescape"),
        cwd=cwd,
        env={},
        capture_output=True,
        timeout=50,
    )


# --- Every word, and what it sends -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "route", "form"),
    [
        (["start"], "/status", {"status": "working"}),
        (["submit"], "/status", {"status": "review"}),
        (["submit", NASTY], "/status", {"status": "review", "comment": NASTY}),
        (["fail", NASTY], "/status", {"status": "failed", "detail": NASTY}),
        (["fail", "--final", NASTY], "/status", {"status": "failed", "detail": NASTY, "final": "true"}),
        (["block", "needs_input", NASTY], "/status", {"status": "blocked", "kind": "needs_input", "detail": NASTY}),
        (["comment", NASTY], "/comments", {"body": NASTY}),
        (["comment", "@/etc/passwd"], "/comments", {"body": "@/etc/passwd"}),
        (["comment", ""], "/comments", {"body": ""}),
        (["comment", "--final"], "/comments", {"body": "--final"}),
        (["heartbeat"], "/heartbeat", {}),
        (["heartbeat", NASTY], "/heartbeat", {"detail": NASTY}),
        (["child", "a 'title'", NASTY], "/children", {"title": "a 'title'", "description": NASTY}),
        (["child", "t", "d", "ada"], "/children", {"title": "t", "description": "d", "agent": "ada"}),
        (
            ["path", "data", "t", "/abs/x y"],
            "/outputs",
            {"type": "data", "title": "t", "content_path": "/abs/x y", "summary": ""},
        ),
    ],
)
def test_each_word_reports_byte_for_byte(
    server: Recorder, kit: Kit, words: list[str], route: str, form: dict[str, str]
) -> None:
    done = bb(kit, *words)

    assert (done.returncode, done.stdout, done.stderr) == (0, b"go on\n", b"")
    assert server.last.path == "/api/projects/demo/tasks/7" + route
    assert server.last.method == "POST"
    assert server.last.form == {name: text.encode() for name, text in form.items()}
    assert server.last.authorization == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "text", [NASTY, BIG, NASTY + "no newline at the end", "-", "\n"], ids=["nasty", "big", "open", "dash", "newline"]
)
def test_a_text_on_standard_input_arrives_byte_for_byte(server: Recorder, kit: Kit, text: str) -> None:
    for words in (["fail", "-"], ["block", "transient", "-"], ["comment", "-"], ["submit", "-"], ["child", "t", "-"]):
        assert bb(kit, *words, stdin=text).returncode == 0
        assert text.encode() in server.last.form.values()


@pytest.mark.parametrize("content", [NASTY, BIG, "x"], ids=["nasty", "big", "small"])
def test_the_content_of_a_file_or_of_standard_input_is_the_body(server: Recorder, kit: Kit, content: str) -> None:
    (kit.workspace / "-result=1.md").write_text(content, encoding="utf-8", newline="")

    from_file = bb(kit, "output", "document", NASTY, "-result=1.md", NASTY, cwd=str(kit.workspace))
    from_stdin = bb(kit, "output", "code", "t", "-", stdin=content)

    assert (from_file.returncode, from_stdin.returncode) == (0, 0)
    one, two = server.requests
    assert one.body == two.body == content.encode()
    assert one.kind == two.kind == "text/plain; charset=utf-8"
    assert one.query == {"type": "document", "title": NASTY, "summary": NASTY}
    assert two.query == {"type": "code", "title": "t", "summary": ""}


def test_a_title_on_standard_input_is_its_first_line_and_the_rest_is_the_summary(server: Recorder, kit: Kit) -> None:
    (kit.workspace / "f").write_text("content")

    bb(kit, "output", "data", "-", f"{kit.workspace}/f", stdin="it's $(a) \\title 🙂\n" + NASTY)
    bb(kit, "path", "data", "-", f"{kit.workspace}/f", stdin="only a title")
    bb(kit, "child", "-", "-", "ada", stdin="title\n" + NASTY)

    output, path, child = server.requests
    assert output.query == {"type": "data", "title": "it's $(a) \\title 🙂", "summary": NASTY}
    assert path.form["title"] == b"only a title"
    assert child.form == {"title": b"title", "description": NASTY.encode(), "agent": b"ada"}


def test_a_path_inside_the_current_folder_is_made_absolute(server: Recorder, kit: Kit) -> None:
    (kit.workspace / "f").write_text("content")

    bb(kit, "path", "data", "t", "f", cwd=str(kit.workspace))

    assert server.last.form["content_path"] == f"{kit.workspace}/f".encode()


def test_show_prints_the_whole_answer(server: Recorder, kit: Kit) -> None:
    server.answers = [(200, {"next": "x", "task": {"title": "it's"}})]

    done = bb(kit, "show")

    assert done.stdout == b'{"next": "x", "task": {"title": "it\'s"}}'
    assert (server.last.method, server.last.path, server.last.query) == (
        "GET",
        "/api/projects/demo/tasks/7",
        {"expand": "all"},
    )


# --- What it says, and its exit code -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"next": 'say "x", then\nC:\\new'}, 'say "x", then C:\\new'),
        ({"next": "é 🙂"}, "\\u00e9 \\ud83d\\ude42"),
        ('{"next":"é 🙂"}', "é 🙂"),
        ({"a": "next", "b": '"next": "false"', "next": "true"}, "true"),
        ({"task": 7}, '{"task": 7}'),
        ("", ""),
    ],
)
def test_it_prints_the_servers_sentence(server: Recorder, kit: Kit, answer: object, said: str) -> None:
    server.answers = [(200, answer)]

    assert bb(kit, "start").stdout.decode().strip() == said


@pytest.mark.parametrize(("status", "code"), [(400, 1), (401, 1), (403, 1), (404, 1), (409, 1), (413, 1), (422, 1)])
def test_a_refusal_is_exit_code_1_with_the_servers_sentence(server: Recorder, kit: Kit, status: int, code: int) -> None:
    server.answers = [(status, {"title": "No", "detail": "hand in an output first, then submit", "status": status})]

    done = bb(kit, "submit")

    assert (done.returncode, done.stdout) == (code, b"")
    assert done.stderr.decode().endswith("hand in an output first, then submit\n")


@pytest.mark.parametrize("status", [302, 408, 429, 500, 502, 503])
def test_no_good_answer_leaves_the_report_in_the_spool(server: Recorder, kit: Kit, status: int) -> None:
    server.answers = [(status, "<html>" + "x" * 100_000)]

    done = bb(kit, "submit", NASTY)

    assert done.returncode == 0
    assert b"do not repeat it" in done.stdout
    assert len(done.stderr) < 5_000
    (told,) = spooled(kit)
    assert (told.route, told.report.model_dump(exclude_unset=True)) == (
        "status",
        {"status": "review", "comment": NASTY},
    )


def spooled(kit: Kit) -> list[Spooled]:
    """What waits in the spool, by the order it will be taken in."""
    return [understood((kit.directory / "spool" / name).read_bytes()) for name in waiting(kit.directory / "spool")]


@pytest.fixture
def alone(tmp_path: Path) -> Kit:
    """A kit whose API is not there."""
    return Kit(tmp_path / "it's a=b" / "attempts 7", tmp_path / "work space").make("http://127.0.0.1:9")


def test_without_an_api_every_word_is_kept_in_its_order_byte_for_byte(alone: Kit) -> None:
    (alone.workspace / "f").write_text(NASTY, newline="")
    words: list[list[str]] = [
        ["start"], ["output", "data", "t", f"{alone.workspace}/f", NASTY], ["path", "data", NASTY, "/x y"],
        ["upload", f"{alone.workspace}/f"], ["comment", NASTY], ["heartbeat"], ["child", "t", NASTY, "ada"],
        ["fail", "--final", NASTY],
    ]  # fmt: skip
    quick = "sleep() { :; }\n"  # in turn behind those that wait: the pauses are not what is tested
    Path(alone.bb).write_text(Path(alone.bb).read_text().replace("set -u\n", f"set -u\n{quick}", 1))

    for each in words:
        done = bb(alone, *each)
        assert (done.returncode, b"is kept" in done.stdout) == (0, True), done.stderr

    told = [(each.route, each.report.model_dump(exclude_unset=True)) for each in spooled(alone)]
    assert told == [
        ("status", {"status": "working"}),
        ("outputs", {"type": "data", "title": "t", "summary": NASTY, "content": NASTY}),
        ("outputs", {"type": "data", "title": NASTY, "summary": "", "content_path": "/x y"}),
        ("outputs", {"type": "other", "title": "f", "summary": ""}),
        ("comments", {"body": NASTY}),
        ("heartbeat", {}),
        ("children", {"title": "t", "description": NASTY, "agent": "ada"}),
        ("status", {"status": "failed", "final": True, "detail": NASTY}),
    ]
    file = spooled(alone)[3].file
    assert file is not None
    assert (alone.directory / "spool" / file).read_bytes() == NASTY.encode()
    assert len({each.key for each in spooled(alone)}) == len(words)
    assert not [path for path in (alone.directory / "spool").iterdir() if path.name.startswith(".")]
    assert sorted(path.name for path in alone.directory.iterdir()) == ["bb", "curl.conf", "spool"]


def test_a_large_text_is_kept_whole(alone: Kit) -> None:
    assert bb(alone, "fail", "-", stdin=BIG).returncode == 0
    (told,) = spooled(alone)
    assert told.report.model_dump()["detail"] == BIG


def test_many_at_once_lose_no_report(alone: Kit) -> None:
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda n: bb(alone, "comment", str(n)).returncode, range(16)))
    assert codes == [0] * 16
    assert {each.report.model_dump()["body"] for each in spooled(alone)} == {str(n) for n in range(16)}


def test_behind_what_waits_in_the_spool_nothing_is_sent(server: Recorder, kit: Kit) -> None:
    server.answers = [(503, {"detail": "not just now"})]
    bb(kit, "comment", "first")
    assert bb(kit, "comment", "second").returncode == 0
    assert len(server.requests) == 1
    box = kit.directory / "spool"
    for name in waiting(box):
        (box / name).rename(box / f"{name}.taken")
    assert bb(kit, "comment", "third").stdout == b"go on\n"
    server.answers = [(503, {})]
    bb(kit, "comment", "fourth")
    assert waiting(box) == ["000003.json"]


def test_a_spool_that_cannot_be_written_is_exit_code_75(alone: Kit) -> None:
    (alone.directory / "spool").write_text("a file")
    done = bb(alone, "submit")
    assert done.returncode == 75
    assert b"run the same command again later" in done.stderr


def test_a_question_without_an_answer_is_exit_code_75(alone: Kit) -> None:
    assert bb(alone, "show").returncode == 75
    assert not (alone.directory / "spool").exists()


def test_a_file_is_sent_whole(server: Recorder, kit: Kit) -> None:
    content = bytes(range(256)) * 100
    (kit.workspace / "it's;\"a,b.png").write_bytes(content)

    words = ["--type", "data", "--title", NASTY.replace("\n", " "), "--summary", NASTY]
    assert bb(kit, "upload", "it's;\"a,b.png", *words, cwd=str(kit.workspace)).returncode == 0

    request = server.last
    assert (request.method, request.path) == ("POST", "/api/projects/demo/tasks/7/outputs")
    got = bytearray()
    form = FileForm(request.kind.encode(), got.extend)
    form.write(request.body)
    assert form.end() == {"type": "data", "title": NASTY.replace("\n", " "), "summary": NASTY}
    assert bytes(got) == content


def test_a_short_fault_is_tried_again_by_curl_and_only_the_last_answer_counts(server: Recorder, tmp_path: Path) -> None:
    kit = Kit(tmp_path / "a", tmp_path / "w").make(server.url, retry=True)
    server.answers = [(503, {"detail": "not just now", "next": "wrong " * 50}), (200, {"next": "right"})]

    done = bb(kit, "comment", NASTY)

    assert (done.returncode, done.stdout) == (0, b"right\n")
    assert [request.form["body"] for request in server.requests] == [NASTY.encode()] * 2
    first, again = (request.key for request in server.requests)
    assert first == again


def test_each_run_has_a_key_of_its_own(server: Recorder, kit: Kit) -> None:
    for _ in range(5):
        assert bb(kit, "comment", "the same").returncode == 0

    assert len({request.key for request in server.requests} - {""}) == 5


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["what"],
        ["fail"],
        ["fail", "a", "b"],
        ["block", "x"],
        ["output", "data", "t"],
        ["child", "t"],
        ["submit", "a", "b"],
        ["upload"],
        ["upload", "/etc/passwd", "--title"],
        ["upload", "/etc/passwd", "--what", "x"],
    ],
)
def test_wrong_use_is_exit_code_2_and_sends_nothing(server: Recorder, kit: Kit, words: list[str]) -> None:
    done = bb(kit, *words)

    assert (done.returncode, server.requests) == (2, [])
    assert b"usage: bb" in done.stderr


def test_a_file_that_is_not_there_is_named_and_nothing_is_sent(server: Recorder, kit: Kit) -> None:
    done = bb(kit, "output", "data", "t", "/no/such file")

    assert (done.returncode, server.requests) == (2, [])
    assert b"/no/such file" in done.stderr


def test_help_needs_no_server(kit: Kit) -> None:
    done = bb(kit, "help")

    assert (done.returncode, done.stdout[:13]) == (0, b"usage: bb sta")


# --- Where it runs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SHELLS)
def test_every_shell_runs_it_the_same(server: Recorder, kit: Kit, path: str) -> None:
    (kit.workspace / "f").write_text(NASTY)
    argv = [path, *(["sh"] if path.endswith("busybox") else []), kit.bb]

    for words in (["output", "data", "-", f"{kit.workspace}/f"], ["fail", "-"]):
        done = subprocess.run([*argv, *words], input=NASTY.encode(), cwd="/", env={}, capture_output=True, timeout=50)
        assert (done.returncode, done.stderr) == (0, b"")

    assert server.requests[0].body == server.requests[1].form["detail"] == NASTY.encode()


def test_nothing_is_left_in_the_attempts_directory(server: Recorder, kit: Kit) -> None:
    server.answers = [(200, {}), (409, {"detail": "no"})]

    for _ in range(2):
        bb(kit, "comment", "x")

    assert sorted(path.name for path in kit.directory.iterdir()) == ["bb", "curl.conf"]


def test_a_curlrc_of_the_user_changes_nothing(server: Recorder, kit: Kit, tmp_path: Path) -> None:
    (tmp_path / ".curlrc").write_text('include\noutput = "/dev/null"\n')

    done = subprocess.run([kit.bb, "start"], cwd="/", env={"HOME": str(tmp_path)}, capture_output=True, timeout=50)

    assert done.stdout == b"go on\n"


def test_no_text_and_no_token_is_among_the_arguments_of_curl(server: Recorder, kit: Kit, tmp_path: Path) -> None:
    spy = tmp_path / "bin" / "curl"
    spy.parent.mkdir()
    spy.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >>"{tmp_path}/seen"\nexec {shutil.which("curl")} "$@"\n')
    spy.chmod(0o755)
    environment = {"PATH": f"{spy.parent}:/usr/bin:/bin"}

    for words in (
        ["fail", "SECRET"],
        ["submit", "SECRET"],
        ["output", "data", "SECRET", "-", "SECRET"],
        ["upload", "/etc/passwd", "--title", "SECRET", "--summary", "SECRET"],
        ["child", "SECRET", "SECRET"],
    ):
        subprocess.run([kit.bb, *words], input=b"SECRET", env=environment, capture_output=True, check=True, timeout=50)

    seen = (tmp_path / "seen").read_text()
    assert "--config" in seen
    assert "SECRET" not in seen
    assert TOKEN not in seen


def test_nothing_of_the_text_is_executed(server: Recorder, kit: Kit, tmp_path: Path) -> None:
    trap = f"$(touch {tmp_path}/never) `touch {tmp_path}/never`'; touch {tmp_path}/never; '"

    shell(f"{kit_quoted(kit)} fail - <<'E'\n{trap}\nE\n{kit_quoted(kit)} output data - - <<'E'\n{trap}\nE\n")

    assert not (tmp_path / "never").exists()


def kit_quoted(kit: Kit) -> str:
    return "'" + kit.bb.replace("'", "'\\''") + "'"


# --- The texts themselves ----------------------------------------------------------------------------------------


def test_bb_never_holds_a_token() -> None:
    assert "bbt_" not in bb_script("http://127.0.0.1:1", "demo", 1, "/x/curl.conf")


def test_what_is_not_a_token_makes_no_curl_file() -> None:
    for wrong in ("", "x", 'bbt_a"\nurl = "http://other', "bbt_a b"):
        with pytest.raises(ValueError):
            curl_config(wrong)


def test_a_relative_curl_file_makes_no_bb() -> None:
    with pytest.raises(ValueError):
        bb_script("http://127.0.0.1:1", "demo", 1, "curl.conf")


def test_curl_itself_accepts_every_line_of_the_file(server: Recorder, kit: Kit) -> None:
    done = subprocess.run(
        ["curl", "--config", kit.curl_conf, f"{server.url}/x"],
        env={"PATH": os.defpath},
        capture_output=True,
        timeout=50,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert server.last.authorization == f"Bearer {TOKEN}"
