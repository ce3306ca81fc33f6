"""Heartbeats with the real daemon and real programs, by the command line, and with kill -9 where a beat could be lost or doubled."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import exits
from tests.daemon import House, until

LOOKS = """
bb start
echo beat >> "$here/beats"
if [ -e "$here/full" ]; then bb submit 'the disk is full'; else bb submit HEARTBEAT_OK; fi
while [ -e "$here/stay" ]; do sleep 0.05; done
"""
RUNS = "SELECT status, reason, summary, task_id FROM heartbeat_runs ORDER BY id"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "house")
    made.agent("ada", LOOKS, heartbeat={"enabled": True, "checklist": "- is the disk full?"})
    made.tables["sinks.phone"] = {"type": "file", "folder": str(tmp_path / "phone")}
    made.configure()
    yield made
    (made.folder / "stay").unlink(missing_ok=True)
    made.ends()


def ok(house: House, *words: str) -> str:
    done = house.call("heartbeat", *words)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def runs(house: House) -> list[tuple[str, ...]]:
    return [tuple(row)[:3] for row in house.rows(RUNS)]


def settled(house: House, count: int) -> list[tuple[str, ...]]:
    until(lambda: sum(run[0] != "running" for run in runs(house)) >= count, story=house.told)
    return runs(house)


def beats(house: House) -> int:
    file = house.folder / "beats"
    return len(file.read_text().splitlines()) if file.exists() else 0


def test_a_beat_from_the_wake_to_the_notice(house: House) -> None:
    house.start()
    assert "due now" in ok(house, "wake", "ada")
    assert settled(house, 1) == [("suppressed", None, "HEARTBEAT_OK")]
    (house.folder / "full").touch()
    ok(house, "wake", "ada")
    assert settled(house, 2)[1] == ("ok", None, "the disk is full")

    [notice] = house.rows("SELECT title, kind FROM notices WHERE kind = 'heartbeat'")
    assert notice["title"] == "Heartbeat of ada: the disk is full"
    attempt = house.row("SELECT * FROM attempts ORDER BY id LIMIT 1")
    assert attempt["session_key"].startswith("agent:ada:heartbeat:") and attempt["session_key"].endswith("-1")
    prompt = house.attempt_file(1, "prompt.md").read_text()
    assert "- is the disk full?" in prompt and "HEARTBEAT_OK" in prompt and "no task that somebody planned" in prompt
    logs = json.loads(ok(house, "logs", "ada", "--json"))
    assert [run["status"] for run in logs] == ["ok", "suppressed"]
    assert "the disk is full" in ok(house, "logs", "ada")


def test_kill_9_between_the_post_and_the_claim_loses_and_doubles_nothing(house: House) -> None:
    house.agents["ada"]["max_live"] = 0  # posted, and never claimed
    house.start()
    ok(house, "wake", "ada")
    until(lambda: runs(house) == [("running", None, None)], story=house.told)
    house.kill()
    house.agents["ada"]["max_live"] = 1
    house.start()
    assert settled(house, 1) == [("suppressed", None, "HEARTBEAT_OK")]
    assert beats(house) == 1
    assert house.value("SELECT count(*) FROM tasks") == 1


def test_kill_9_between_the_end_and_the_settling_settles_once(house: House) -> None:
    (house.folder / "full").touch()
    (house.folder / "stay").touch()  # it has reported, and its process lives
    house.start()
    ok(house, "wake", "ada")
    until(lambda: house.rows("SELECT 1 FROM tasks WHERE status = 'done'"), story=house.told)
    house.kill()
    assert runs(house) == [("running", None, None)]
    (house.folder / "stay").unlink()
    until(lambda: not house.left())
    house.start()
    assert settled(house, 1) == [("ok", None, "the disk is full")]
    house.kill()
    house.start()
    assert len(runs(house)) == 1 == house.value("SELECT count(*) FROM notices WHERE kind = 'heartbeat'")


def test_the_same_commands_with_and_without_a_daemon(house: House) -> None:
    done = house.call("heartbeat", "status")
    assert done.returncode != 0 and "orchestrator init" in done.stderr
    house.start()
    assert json.loads(ok(house, "get", "ada", "--json"))["checklist"] == "- is the disk full?"
    house.stop()
    for _ in range(2):
        ok(
            house,
            "set",
            "ada",
            "--interval",
            "600",
            "--hours",
            "08:00-22:00",
            "--zone",
            "Europe/Berlin",
            "--sink",
            "phone",
        )
        told = json.loads(ok(house, "get", "ada", "--json"))
        assert (told["interval_seconds"], told["active_hours"], told["sinks"]) == (600, "08:00-22:00", ["phone"])
        assert "every 600 s" in ok(house, "toggle", "ada", "on")
        assert "is off" in ok(house, "toggle", "ada")
        (house.folder / "list.md").write_text("- look\n")
        ok(house, "checklist", "ada", "--file", str(house.folder / "list.md"))
        assert ok(house, "checklist", "ada") == "- look\n"
        [row] = json.loads(ok(house, "status", "--json"))
        assert (row["agent"], row["on"]) == ("ada", "off")
        ok(house, "set", "ada", "--hours", "", "--sink", "")
        told = json.loads(ok(house, "get", "ada", "--json"))
        assert (told["active_hours"], told["sinks"]) == (None, None)
        preview = ok(house, "test", "ada")
        assert "it would not run now: it is off" in preview and "- look" in preview
        refused = house.call("heartbeat", "wake", "ada")
        assert refused.returncode == exits.REFUSED and "toggle ada on" in refused.stderr
        assert house.call("heartbeat", "get", "zoe").returncode == exits.NOT_FOUND
        nowhere = house.call("heartbeat", "set", "ada", "--sink", "phone", "--sink", "fone")
        assert nowhere.returncode == exits.REFUSED
        assert "the heartbeat of ada names the sink 'fone': sinks are phone" in nowhere.stderr
        assert json.loads(ok(house, "get", "ada", "--json"))["sinks"] is None
        if house.daemon is None:
            house.start()
            assert json.loads(ok(house, "checklist", "ada", "--json"))["checklist"] == "- look\n", "what was set stays"
    assert ok(house, "logs", "ada").startswith("the heartbeat of ada has not beaten yet")


def test_words_that_are_not_utf_8_are_refused_with_and_without_a_daemon(house: House) -> None:
    house.start()
    for _ in range(2):
        for words in (["set", "ada", "--prompt", b"gr\xfc\xdfe"], ["checklist", "ada", "--file", "-"]):
            done = subprocess.run(
                [*house.command("heartbeat"), *words], input=b"- gr\xfc\xdfe\n", env=house.environment, capture_output=True
            )  # fmt: skip
            assert done.returncode == exits.USAGE
            assert done.stderr.startswith(b"orchestrator: ") and b"not UTF-8" in done.stderr
        if house.daemon is not None:
            house.stop()


@pytest.mark.parametrize(
    "words",
    [
        "get",
        "set ada",
        "toggle ada maybe",
        "get ada on",
        "wake ada --limit 3",
        "logs ada --file x",
        "get ada --interval 600",
    ],
)
def test_words_that_do_not_go_together_are_refused(house: House, words: str) -> None:
    done = house.call("heartbeat", *words.split())
    assert done.returncode == exits.USAGE and done.stderr.startswith("orchestrator: ")
