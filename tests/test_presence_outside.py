"""Presence from the outside: over HTTP, by the commands, and a real daemon that tells a real server."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests import api_house
from tests.api_house import open_house, problem
from tests.daemon import House, until
from tests.test_presence_sinks import Office

URL = "/api/agents/writer/status"


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[api_house.House]:
    async with open_house(tmp_path) as made:
        yield made


async def test_an_agent_says_where_it_stands_and_reads_it(api: api_house.House) -> None:
    own = await api.agent_token()
    answer = await api.post(URL, own, {"status": "busy", "expires_in": 600, "detail": "at lunch"})
    assert answer.status_code == 200 and answer.json()["source"] == "agent"
    assert len(api.wakes) == 1, "the tick looks at it"
    told = (await api.get(URL, own)).json()
    assert (told["status"], told["source"], told["claim_when"]) == ("busy", "agent", ["idle", "on_call"])
    assert "writer says that it is busy" in told["because"] and told["because"].endswith("at lunch")
    assert [(each["status"], each["detail"]) for each in told["reports"]] == [("busy", "at lunch")]
    attempt = await api.attempt()
    told = (await api.get(URL, attempt.token)).json()
    assert (told["status"], told["source"]) == ("on_call", "board"), "its own attempt is looked at first"
    raw = await api.client.post(URL, content=b"idle", headers={"authorization": f"Bearer {attempt.token}"})
    assert raw.status_code == 200 and raw.json()["status"] == "idle"


async def test_who_may_not_and_what_cannot_be(api: api_house.House) -> None:
    own, reader = await api.agent_token(), await api.operator("read")
    other = await api.agent_token("editor")
    problem(await api.post(URL, None, {"status": "busy"}), 401, "unauthorized")
    problem(await api.post(URL, other, {"status": "busy"}), 403, "forbidden")
    problem(await api.get(URL, other), 403, "forbidden")
    problem(await api.post(URL, reader, {"status": "busy"}), 403, "forbidden")
    problem(await api.post(URL, own, {"status": "dancing"}), 422, "invalid")
    problem(await api.post(URL, own, {"status": "busy", "expires_in": 0}), 422, "invalid")
    problem(await api.post(URL, own, {"status": "busy", "source": "desk"}), 403, "forbidden")
    problem(await api.post("/api/agents/nobody/status", await api.operator(), {"status": "busy"}), 404, "not_found")
    assert (await api.get(URL, reader)).json()["status"] == "idle"
    assert await api.board.all("SELECT 1 FROM presence_reports") == []


# --- with a daemon --------------------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.ends()


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.close()


WORKS = 'bb start; until [ -e "go" ]; do sleep 0.02; done; echo done | bb output document it -; bb submit'


def told(house: House) -> list[tuple[object, ...]]:
    rows = house.rows("SELECT data FROM events WHERE verb = 'presence_changed' ORDER BY id")
    data = [json.loads(row["data"]) for row in rows]
    return [(each["from"], each["to"], each["source"]) for each in data]


def test_what_is_reported_holds_work_up_until_it_expires(house: House) -> None:
    house.agent("ada", "bb start; echo done | bb output document it -; bb submit")
    house.start()
    house.http("/api/agents/ada/status", {"status": "busy", "detail": "at lunch"})
    task = house.post("ada")
    why = house.call("why", str(task)).stdout
    assert "agent ada says that it is busy, until" in why and "it gets work when idle or on_call" in why
    assert "busy (agent, " in house.call("agents").stdout and "busy (agent, " in house.call("status").stdout
    [agent] = json.loads(house.call("agents", "--json").stdout)
    assert (agent["presence"], agent["presence_source"]) == ("busy", "agent") and agent["said_at"]
    assert house.attempts(task) == []
    said = house.http("/api/agents/ada/status", {"status": "busy", "expires_in": 2})
    house.reaches(task, "done")  # nobody wakes the tick but the word's own end
    assert house.attempts(task)[0]["claimed_at"] >= said["expires_at"]
    first, second, *_ = told(house)
    assert first == (None, "busy", "agent") and second[0] == "busy" and second[2] == "board"


def test_a_server_hears_every_change_nothing_twice_and_that_the_daemon_ends(house: House, office: Office) -> None:
    house.agent("ada", WORKS, max_live=2)
    house.tables["presence.office"] = {"url": f"{office.url}/agents/{{agent}}/presence", "every_seconds": 3600}
    house.start()

    def hears(word: str) -> None:
        until(lambda: house.rows("SELECT 1 FROM presence_pushes WHERE status = :word", word=word), story=house.told)

    hears("idle")
    first, second = house.post("ada"), house.post("ada", "another")
    hears("busy")
    house.kill()
    heard = len(office.heard)
    house.start()
    until(lambda: house.attempts(second)[0]["ended_at"] is None)
    time.sleep(1.0)  # several rounds: a proof that nothing comes needs some time
    assert len(office.heard) == heard, "the restart tells nothing twice"
    house.let_go(first)
    house.reaches(first, "done")
    hears("on_call")
    house.let_go(second)
    house.reaches(second, "done")
    hears("idle")
    assert house.stop() == 0
    words = [body["status"] for _, _, _, body in office.heard]
    assert words[0] == "idle" and words[-2:] == ["idle", "offline"] and words.count("offline") == 1
    assert ("busy", "on_call", "board") in told(house)


def test_a_server_that_takes_nothing_is_seen_in_status(house: House, office: Office) -> None:
    house.agent("ada", WORKS)
    house.tables["presence.office"] = {"url": f"{office.url}/agents/{{agent}}/presence"}
    office.does = lambda path, token: 500
    house.start()
    until(lambda: house.rows("SELECT 1 FROM presence_pushes WHERE failures > 0"), story=house.told)
    assert "presence of 1 of 1 agents is not taken by office: it answers 500" in house.call("status").stdout
    [sink] = json.loads(house.call("status", "--json").stdout)["sinks"]
    assert (sink["sink"], sink["failing"], sink["error"]) == ("office", 1, "it answers 500")


def test_a_server_that_is_asked_holds_work_up(house: House, office: Office) -> None:
    house.agent("ada", "bb start; echo done | bb output document it -; bb submit")
    house.tables["presence.office"] = {"read_url": f"{office.url}/agents/{{agent}}/status", "every_seconds": 0.5}
    office.says = {"ada": {"status": "busy"}}
    office.does = lambda path, token: 200
    house.start()
    until(lambda: house.rows("SELECT 1 FROM presence_reports WHERE source = 'presence:office'"), story=house.told)
    task = house.post("ada")
    assert "presence:office says of agent ada that it is busy" in house.call("why", str(task)).stdout
    assert house.attempts(task) == []
    office.says = {"ada": {"status": "idle"}}
    house.reaches(task, "done")


def test_one_orchestrator_tells_another(house: House, tmp_path: Path) -> None:
    """The route of ours takes what we push: an operator's word, under the name that `source` gives."""
    house.agent("ada", WORKS)
    house.start()
    other = House(tmp_path / "other")
    try:
        other.agent("ada", WORKS)
        other.tables["presence.here"] = {
            "url": f"http://127.0.0.1:{house.port}/api/agents/{{agent}}/status",
            "method": "POST",
            "source": "other",
            "token_file": str(house.folder / "operator.token"),
        }
        other.start()
        until(lambda: house.rows("SELECT 1 FROM presence_reports WHERE source = 'other' AND status = 'idle'"))
        assert other.stop() == 0
        found = house.http("/api/agents/ada/status")
        assert (found["status"], found["source"]) == ("offline", "other")
    finally:
        other.clear()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('token_file = "x"', "give url, an address that is told, or read_url"),
        ('url = "https://hub/x"', "an address holds {agent}"),
        ('url = "https://hub/{agent}/{task}"', "no other braces"),
        ('url = "ftp://hub/{agent}"', "begins with https:// or http://"),
        ('url = "https://hub/{agent}"\nevery_seconds = 0', "greater than 0"),
        ('url = "https://hub/{agent}"\nagents = {bob = "b"}', "names the agent 'bob', which is not in agents"),
        ('url = "https://hub/{agent}"\nagents = {ada = "x", bob = "x"}', "two agents are called 'x' there"),
        ('url = "https://hub/{agent}"\npush = []', "is empty: name what is to be told"),
        ('url = "https://hub/{agent}"\ntoken_file = "x"\ntoken_command = ["y"]', "give one of both"),
        ('url = "https://hub/{agent}"\nidentifier = "a b"', "identifier"),
        ('url = "https://hub/{agent}"\nidentifier = "a"\nagents = {ada = "a b"}', "which cannot hold 'a b'"),
        ('read_url = "https://hub/{agent}"\nmap = {busy = "x", offline = "x"}', "map says 'x' for two words"),
    ],
)
def test_what_cannot_be_is_said_before_the_start(house: House, text: str, sentence: str) -> None:
    house.agent("ada", "true")
    house.configure()
    with house.config.open("a") as file:
        file.write(f"[presence.office]\n{text}\n")
    found = house.call("check")
    assert found.returncode == 2 and sentence in found.stdout + found.stderr
