"""`orchestrator notices`, `check` and `status` about sinks: from outside, with a daemon and without one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator import exits
from tests.daemon import House, until

NOTHING_YET = "nobody had to be told anything yet\n"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path / "house")
    built.agent("ada", "echo 'which one?' | bb block needs_input -\n")
    built.tables["sinks.inbox"] = {"type": "file", "folder": "inbox"}
    built.tables["sinks.shell"] = {"type": "command", "argv": ["false"], "retry_seconds": 0.05, "max_tries": 2, "kinds": ["blocked", "test"]}  # fmt: skip
    yield built
    built.ends()


def said(house: House, *words: str) -> tuple[int, str]:
    done = house.call(*words)
    return done.returncode, done.stdout + done.stderr


def dead(house: House) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(house.call("notices", "--state", "dead", "--json").stdout)
    return found


def test_notices_are_listed_tried_again_and_tested(house: House) -> None:
    house.start()
    assert said(house, "notices") == (0, NOTHING_YET)
    assert said(house, "notices", "test", "inbox") == (0, "sink inbox has taken notice 1\n")
    code, words = said(house, "notices", "test", "shell")
    assert code == exits.FAILED and "false: it ended with exit 1" in words
    house.reaches(house.post("ada"), "blocked")
    until(lambda: len(dead(house)) == 2, story=house.told)
    code, words = said(house, "notices")
    assert code == 0 and "blocked (needs_input)" in words and "delivered" in words and "dead" in words
    assert "2 notices to shell are dead: orchestrator notices retry --sink shell" in house.call("status").stdout

    code, words = said(house, "notices", "retry", str(dead(house)[0]["id"]))
    assert code == 0 and words.startswith("1 dead letters of notice")
    until(lambda: len(dead(house)) == 2, story=house.told)

    house.stop()
    (house.folder / "no-more").symlink_to("/bin/true")
    house.tables["sinks.shell"]["argv"] = [str(house.folder / "no-more")]
    house.configure()
    code, words = said(house, "notices", "retry", "--sink", "shell")  # without a daemon
    assert code == 0 and words.startswith("2 dead letters of sink shell")
    code, words = said(house, "notices", "test", "shell")
    assert code == exits.TRY_AGAIN and "no daemon runs" in words
    house.start()
    until(lambda: house.value("SELECT count(*) FROM deliveries WHERE sink = 'shell' AND state = 'delivered'") == 3)
    assert dead(house) == []
    assert said(house, "notices", "--sink", "shell", "--state", "dead") == (0, "no notice is like that\n")


def test_dead_letters_are_dismissed_with_a_daemon_and_without(house: House) -> None:
    house.start()
    assert said(house, "notices", "test", "shell")[0] == exits.FAILED
    assert said(house, "notices", "test", "shell")[0] == exits.FAILED
    until(lambda: len(dead(house)) == 2, story=house.told)
    code, words = said(house, "notices", "dismiss", str(dead(house)[0]["id"]), "--sink", "shell")
    assert code == 0 and words.startswith("1 notice is told nobody any more (notice ")
    house.stop()
    code, words = said(house, "notices", "dismiss", "--sink", "shell")
    assert code == 0 and words.startswith("1 notice is told nobody any more (sink shell)")
    assert dead(house) == [] and "are dead" not in house.call("status").stdout
    assert len(json.loads(house.call("notices", "--state", "dismissed", "--json").stdout)) == 2


def test_a_test_that_is_dismissed_meanwhile_is_not_said_to_wait(house: House) -> None:
    house.tables["sinks.shell"] |= {"retry_seconds": 600}
    house.start()
    assert said(house, "notices", "test", "shell")[0] == exits.FAILED  # and holds up what comes next
    with ThreadPoolExecutor() as pool:
        tested = pool.submit(said, house, "notices", "test", "shell")
        until(lambda: house.value("SELECT count(*) FROM deliveries WHERE sink = 'shell'") == 2)
        number = house.value("SELECT max(notice_id) FROM deliveries WHERE sink = 'shell'")
        assert said(house, "notices", "dismiss", str(number))[0] == exits.OK
        code, words = tested.result()
    assert code == exits.FAILED and f"notice {number} was dismissed before sink shell" in words


CANNOT = [
    (("dismiss",), exits.USAGE, "say which: orchestrator notices dismiss ID"),
    (("dismiss", "7"), exits.NOT_FOUND, "there is no notice 7 on this board"),
    (("dismiss", "--sink", "inbox"), exits.OK, "nothing of sink inbox is dead"),
    (("retry", "7"), exits.NOT_FOUND, "there is no notice 7 on this board"),
    (("list", "7"), exits.NOT_FOUND, "there is no notice 7 on this board"),
    (("retry",), exits.USAGE, "say which"),
    (("retry", "x"), exits.USAGE, "'x' is no number of a notice"),
    (("retry", "9" * 40), exits.USAGE, "is no number of a notice"),
    (("retry", "--sink", "nowhere"), exits.NOT_FOUND, "there are inbox, shell"),
    (("test",), exits.USAGE, "say which sink"),
    (("test", "nowhere"), exits.NOT_FOUND, "there is no sink 'nowhere'"),
    (("test", "inbox", "--state", "dead"), exits.USAGE, "--state goes with"),
    (("retry", "--sink", "inbox"), exits.OK, "nothing of sink inbox is dead"),
]  # fmt: skip


def test_what_cannot_be_done_is_said(house: House) -> None:
    house.configure()
    house.call("run", "--once", "--dry-run")
    for words, code, sentence in CANNOT:
        found = said(house, "notices", *words)
        assert found[0] == code and sentence in found[1], (words, found)


def findings(house: House) -> dict[str, list[tuple[str, str]]]:
    house.configure()
    found: dict[str, list[tuple[str, str]]] = {}
    for each in json.loads(house.call("check", "--json").stdout)["findings"]:
        found.setdefault(each["what"], []).append((each["level"], each["sentence"]))
    return found


def test_check_looks_at_every_sink(house: House) -> None:
    (house.folder / "open").mkdir(mode=0o755)
    (house.folder / "in-the-way").write_text("")
    secret = house.folder / "hook.secret"
    secret.write_text("whsec_" + "A" * 40 + "\n")
    secret.chmod(0o644)
    house.tables |= {
        "sinks.open": {"type": "file", "folder": "open"},
        "sinks.file": {"type": "file", "folder": "in-the-way"},
        "sinks.long": {"type": "file", "folder": "x" * 300},
        "sinks.lost": {"type": "command", "argv": ["./nothing"], "pass_env": ["NOT_SET_HERE"]},
        "sinks.claw": {"type": "openclaw", "target": "@me", "binary": "no-such-openclaw"},
        "agents.away": {"argv": ["true"], "enabled": False, "roles": ["clerk"]},
        "sinks.desk": {"type": "task", "role": "clerk"},
        "sinks.mine": {"type": "task", "agent": "ada"},
        "sinks.hook": {"type": "webhook", "url": "https://127.0.0.1:9/", "secret_file": "hook.secret"},
    }
    found = findings(house)
    assert found["sink inbox"] == [("ok", str(house.folder / "inbox"))]
    assert found["sink open"] == [("fail", f"others can look into {house.folder}/open: chmod 700 {house.folder}/open")]
    assert found["sink file"][0][0] == "fail"
    [(level, sentence)] = found["sink long"]
    assert level == "fail" and sentence.endswith("cannot be looked at: File name too long: name another folder")
    assert [level for level, _ in found["sink lost"]] == ["warn", "fail"]
    assert "is not in PATH" in found["sink claw"][0][1]
    assert found["sink desk"][0][0] == "warn" and found["sink mine"][0][0] == "ok"
    assert [level for level, _ in found["sink hook"]] == ["fail", "warn"]
    assert "others can read its secret_file" in found["sink hook"][0][1] and "allow_private" in found["sink hook"][1][1]
    secret.chmod(0o600)
    assert findings(house)["sink hook"][0] == ("ok", "signs with 1 secret")
    assert not os.listdir(house.folder / "open")
