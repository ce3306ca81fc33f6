"""Canaries: tokens and secrets in a whole run of a real daemon, and where they are found afterwards: nowhere they should not.

Excepted by name: the attempt's `curl.conf` (its token), `stdout.log` and `stderr.log` (the agent's own words),
`launch.json` (the environment that the configuration gives an agent), the configuration and `operator.token`. All 0600.
"""

from __future__ import annotations

import http.client
import re
import stat
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from tests.daemon import House, until

HERS = "canary-of-the-operator-1b7e0c42"
ITS = "canary-of-the-agent-93ad57f1"

# What an agent can do with its token, by every road. No token is on an argument list: that would be its own doing.
SPILLS = r"""
token=$(sed -n 's/.*\(bbt_[A-Za-z0-9_-]*\).*/\1/p' "$directory/curl.conf")
echo "$token" >>"$here/tokens.txt"
env >>"$here/environments.txt"
printf 'stdout %s and half ' "$token"; printf '%s' "${token%????????????????????}"; sleep 0.2; printf '%s\n' "${token#???????????????????????????}"
printf 'stderr %s\n' "$token" >&2
bb start
printf 'a comment %s\n' "$token" | bb comment -
printf 'a beat %s' "$token" | bb heartbeat -
printf 'content %s\n' "$token" | bb output data "T" -
printf 'title %s\nsummary %s\n' "$token" "$token" >words; echo x >file; bb output document - file <words
printf 'child %s\nof %s\n' "$token" "$token" | bb child - - quick
url=$(sed -n "s/^base=//p" "$directory/bb" | tr -d "'")/api/projects/p/tasks/$task
say() { printf 'url = "%s"\n%s\n' "$1" "$2" >ask; curl -sS --config "$directory/curl.conf" --config ask >>"$here/answers.txt" 2>&1; echo >>"$here/answers.txt"; }
say "$url/status?status=$token" 'data = ""'
say "$url/comments?body=$token" 'data = ""'
say "$url/$token" 'data = ""'
say "$url/comments" "data = \"body=x&$token=y\""
say "$url/outputs" "data = \"type=data&title=T&content_path=$token\""
say "$url/status" "data = \"status=working&detail=%62bt_${token#bbt_}\""
printf '{"status": "working", "detail": "\\u0062bt_%s", "%s": 1}' "${token#bbt_}" "$token" >body
say "$url/status" 'data-binary = "@body"
header = "Content-Type: application/json"'
printf '{"body": "\\u0062bt_%s"}' "${token#bbt_}" >body
say "$url/comments" 'data-binary = "@body"
header = "Content-Type: application/json"'
say "$url?expand=$token" 'get'
head -c 5000 /dev/zero | tr '\0' x; printf '%s' "$token"; head -c 1980 /dev/zero | tr '\0' ' '
if [ ! -e second ]; then touch second; printf 'it went wrong %s' "$token" | bb fail -; exit 3; fi
until printf 'done %s' "$token" | bb submit -; do sleep 0.1; done  # it is refused until the child is done
"""
DIES = 'sed -n "s/.*\\(bbt_[A-Za-z0-9_-]*\\).*/\\1/p" "$directory/curl.conf" | tee -a "$here/tokens.txt" >&2; exit 4\n'


class Hers(House):
    """A house whose operator has a secret in her environment."""

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"MY_API_KEY": HERS}


@contextmanager
def arguments_watched() -> Iterator[set[bytes]]:
    """The argument list of every process that could be seen meanwhile, if there is anything of ours in it."""
    seen: set[bytes] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.005):
            for process in Path("/proc").iterdir():
                if process.name.isdigit():
                    with suppress(OSError):
                        words = (process / "cmdline").read_bytes()
                        if b"bbt_" in words or b"canary-of" in words:
                            seen.add(words)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def pieces(token: str) -> Iterator[bytes]:
    """Short enough to find half a token, long enough to be sure."""
    yield from (token[at : at + 16].encode() for at in range(4, len(token) - 15, 5))


def found_in(raw: bytes, canaries: list[str]) -> list[str]:
    """Which canaries have a piece in it."""
    return [canary[:8] for canary in canaries if any(piece in raw for piece in pieces(canary))]


def answers(house: House, tasks: list[int]) -> dict[str, bytes]:
    """What every command and every readable address says."""
    told: dict[str, bytes] = {}
    numbers = [str(task) for task in tasks]
    commands = [
        ["status"],
        ["tasks"],
        ["events"],
        ["events", "--json"],
        ["check"],
        ["doctor"],
        ["sql", "SELECT * FROM comments"],
    ]
    commands += [[name, number] for name in ("show", "why", "prompt", "logs") for number in numbers]
    commands += [["logs", number, "--stderr"] for number in numbers]
    for words in commands:
        done = house.call(*words)
        told[" ".join(words)] = (done.stdout + done.stderr).encode()
    operator = (house.folder / "operator.token").read_text().strip()
    paths = [
        "/healthz",
        "/readyz",
        "/openapi.json",
        "/docs",
        "/api/events?limit=500",
        f"/{operator}",
        f"/api/events?after={operator}",
    ]
    for path in [*paths, *(f"/api/projects/p/tasks/{task}?expand=all" for task in tasks)]:
        with closing(http.client.HTTPConnection("127.0.0.1", house.port, timeout=20)) as connection:
            connection.request("GET", path, headers={"Authorization": f"Bearer {operator}"})
            told[path.replace(operator, "TOKEN")] = connection.getresponse().read()
    return told


EXCEPTED = re.compile(
    r"attempts/\d+/(curl\.conf|stdout\.log|stderr\.log|launch\.json)|operator\.token|orchestrator\.toml"
    r"|workspaces/.*|tokens\.txt|environments\.txt"  # the agents' own folders, and this test's notes
)


def test_no_token_and_no_secret_is_found_where_it_should_not_be(tmp_path: Path) -> None:
    house = Hers(tmp_path)
    house.agent("spills", SPILLS, env={"AGENT_API_KEY": ITS})
    house.agent("quick", "bb start; echo x > f; bb output data T f; bb submit\n")
    house.agent("dies", DIES, policy={"max_tries": 2})
    house.start()
    try:
        with arguments_watched() as seen:
            spills, dies = house.post("spills"), house.post("dies")
            house.reaches(spills, "done")
            house.reaches(dies, "failed")
            until(lambda: house.value("SELECT count(*) FROM tasks WHERE status NOT IN ('done', 'failed')") == 0)
            told = answers(house, [spills, dies])
            told["backup"] = house.call("backup", str(tmp_path / "copy.db")).stderr.encode()
        tokens = [*(tmp_path / "tokens.txt").read_text().split(), (tmp_path / "operator.token").read_text().strip()]
        assert len(tokens) == 5
        assert all(re.fullmatch(r"bbt_[\w-]{43}", token) for token in tokens)
        canaries = [*tokens, HERS, ITS]
        for name, raw in told.items():
            assert not found_in(raw, canaries), name
        assert not [words for words in seen if found_in(words, canaries)]
        looked = _files(tmp_path, canaries)
        assert {"board.db", "copy.db", "daemon.log", "answers.txt"} <= looked
        assert b"bbt_***" in told[f"logs {spills}"]  # there was something to mask
        assert b"bbt_***" in told[f"/api/projects/p/tasks/{spills}?expand=all"]
        assert HERS not in (tmp_path / "environments.txt").read_text()
    finally:
        house.ends()
    _files(tmp_path, canaries)  # and after the daemon has closed the board


def _files(folder: Path, canaries: list[str]) -> set[str]:
    """Look into every file; the names of those looked into."""
    looked = set()
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if file.is_dir():
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, name
        if not file.is_file() or name.endswith(".sh"):
            continue
        if name.startswith(("attempts/", "operator", "board", "copy")):
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, name
        raw = file.read_bytes()
        if EXCEPTED.fullmatch(name):
            its_own = name.endswith("launch.json")
            assert HERS.encode() not in raw, name
            assert not its_own or not found_in(raw, canaries[:-1]), name
            continue
        assert not found_in(raw, canaries), name
        looked.add(name)
    return looked
