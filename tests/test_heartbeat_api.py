"""Heartbeats over HTTP: what is told and set, who may, and what is wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.endpoints import ApiConfig
from blackboard import tokens
from blackboard.board import Tx
from tests.api_house import House, open_house

PATH = "/api/agents/writer/heartbeat"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        await opened.attempt(agent="writer")  # so that there are agents
        await opened.attempt(agent="painter")
        yield opened


async def test_it_is_set_read_switched_and_woken(house: House) -> None:
    operator = await house.operator()
    before = (await house.get(PATH, operator)).json()
    assert (before["enabled"], before["interval_seconds"], before["next_run_at"]) == (False, 1800, None)
    assert (await house.get(f"{PATH}/test", operator)).json()["because"] == "it was never set"
    assert (await house.get(f"{PATH}/logs", operator)).json() == {"agent": "writer", "runs": []}

    given = {"interval_seconds": 600, "active_hours": "00:00-24:00", "time_zone": "Europe/Berlin", "sinks": ["phone"]}
    said = (await house.post(PATH, operator, given)).json()
    assert sorted(said["changed"]) == ["active_hours", "interval_seconds", "sinks", "time_zone"]
    assert (await house.post(PATH, operator, given)).json()["changed"] == []
    emptied = (await house.post(PATH, operator, {"sinks": [], "active_hours": ""})).json()
    assert (emptied["sinks"], emptied["active_hours"]) == (None, None)

    refused = await house.post(f"{PATH}/wake", operator, {})
    assert refused.status_code == 409 and "toggle writer on" in refused.json()["detail"]
    on = (await house.post(f"{PATH}/toggle", operator, {})).json()
    assert on["enabled"] and on["next_run_at"]
    off = (await house.post(f"{PATH}/toggle", operator, {"enabled": False})).json()
    assert not off["enabled"]
    await house.post(f"{PATH}/toggle", operator, {"enabled": True})
    listed = await house.post(f"{PATH}/checklist", operator, {"checklist": "- look"})
    assert listed.json()["changed"] == ["checklist"]
    assert (await house.get(f"{PATH}/checklist", operator)).json()["checklist"] == "- look"

    told = (await house.get(f"{PATH}/test", operator)).json()
    assert (told["would_run"], told["because"], len(told["next_runs"])) == (False, "the agent is at work", 5)
    assert (await house.post(f"{PATH}/wake", operator, {})).json()["woken"] is True
    assert (await house.post(f"{PATH}/wake", operator, {})).json()["woken"] is False


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"interval_seconds": 299}, 422, "300"), ({"active_hours": "9"}, 422, "HH:MM-HH:MM"), ({"time_zone": "Mars"}, 422, "IANA"),
    ({"ack_word": "two words"}, 422, "ack_word"), ({"max_retries": 11}, 422, "10"), ({"every": 1}, 422, "every"),
    ({"checklist": "x" * 65537}, 422, "65536"), ({"checklist": "ä" * 40000}, 422, "65536"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "status", "words"), WRONG, ids=lambda each: str(each)[:40])
async def test_what_cannot_be_is_refused_with_a_sentence(
    house: House, given: dict[str, Any], status: int, words: str
) -> None:
    refused = await house.post(PATH, await house.operator(), given)
    assert refused.status_code == status and words in refused.json()["detail"], refused.text


async def test_a_form_says_a_list_by_saying_its_field_again(house: House) -> None:
    headers = House._headers(await house.operator(), {"headers": {"Content-Type": "application/x-www-form-urlencoded"}})
    for body, sinks in (("sinks=phone", ["phone"]), ("sinks=phone&sinks=office", ["phone", "office"])):
        said = await house.client.post(PATH, headers=headers, content=body)
        assert said.status_code == 200, said.text
        assert said.json()["sinks"] == sinks


async def test_an_agent_that_is_none_is_not_found(house: House) -> None:
    operator = await house.operator()
    for refused in (
        await house.get("/api/agents/zoe/heartbeat", operator),
        await house.post("/api/agents/zoe/heartbeat", operator, {"enabled": True}),
        await house.post(f"{PATH}/wake", operator, {}),  # it has none yet
    ):
        assert refused.status_code == 404


async def test_an_agent_reads_its_own_and_changes_nothing_by_itself(house: House) -> None:
    own, reading = tokens.mint(), tokens.mint()

    def put(tx: Tx) -> None:
        tokens.create(tx, own, kind="agent", name="writer", agent_id="writer")
        tokens.create(tx, reading, kind="operator", name="wall", scope="read")

    await house.board.write(put)
    assert (await house.get(PATH, own)).status_code == 200
    assert (await house.get("/api/agents/painter/heartbeat", own)).status_code == 403
    for path in (PATH, f"{PATH}/toggle", f"{PATH}/wake"):
        refused = await house.post(path, own, {})
        assert refused.status_code == 403 and "operator" in refused.json()["detail"]
        assert "orchestrator permission grant agent:writer heartbeat self" in refused.json()["detail"]
    assert (await house.post(f"{PATH}/checklist", own, {"checklist": "x"})).status_code == 403
    assert (await house.get("/api/agents/painter/heartbeat/logs?limit=5", reading)).status_code == 200
    assert (await house.post(PATH, reading, {})).status_code == 403
    assert (await house.get(f"{PATH}/logs?limit=0", reading)).status_code == 422


async def test_a_sink_that_there_is_not_is_refused_to_who_may_and_not_told_to_others(tmp_path: Path) -> None:
    async with open_house(tmp_path, ApiConfig(sinks=("phone", "desk"))) as house:
        await house.attempt(agent="writer")
        own, operator = await house.agent_token(), await house.operator()
        refused = await house.post(PATH, operator, {"interval_seconds": 600, "sinks": ["phone", "fone"]})
        assert refused.status_code == 409
        assert "the heartbeat of writer names the sink 'fone': sinks are phone, desk" in refused.json()["detail"]
        assert (await house.get(PATH, operator)).json()["interval_seconds"] == 1800  # all of it or nothing
        forbidden = await house.post(PATH, own, {"sinks": ["fone"]})
        assert forbidden.status_code == 403 and "phone" not in forbidden.text
        assert (await house.post(PATH, operator, {"sinks": ["phone"]})).json()["sinks"] == ["phone"]


async def grant(house: House, type: str, scope: str, effect: str = "allow") -> None:
    sql = "INSERT INTO permissions (subject, type, scope, effect) VALUES ('agent:writer', :type, :scope, :effect)"
    await house.board.write(lambda tx: tx.run(sql, type=type, scope=scope, effect=effect))


async def test_an_agent_changes_what_it_was_granted_and_no_more(house: House) -> None:
    own, painters = await house.agent_token(), "/api/agents/painter/heartbeat"
    await grant(house, "checklist", "self")
    said = await house.post(f"{PATH}/checklist", own, {"checklist": "- the mill"})
    assert said.status_code == 200 and said.json()["checklist"] == "- the mill"
    assert (await house.post(PATH, own, {"interval_seconds": 600})).status_code == 403  # a checklist is not a heartbeat

    await grant(house, "heartbeat", "agent:*")
    await house.board.write(
        lambda tx: tx.run("UPDATE permissions SET revoked_at = :now WHERE type = 'checklist'", now=tx.now)
    )
    assert (await house.post(PATH, own, {"interval_seconds": 600})).json()["interval_seconds"] == 600
    assert (await house.post(painters, own, {"enabled": True})).status_code == 200
    assert (await house.post(PATH, own, {"interval_seconds": 900, "checklist": "- x"})).status_code == 403
    assert (await house.get(PATH, own)).json()["interval_seconds"] == 600  # all of it or nothing

    await grant(house, "heartbeat", "agent:painter", "deny")
    refused = await house.post(f"{painters}/toggle", own, {"enabled": False})
    assert refused.status_code == 403 and "permission 3" in refused.json()["detail"]
    events = await house.board.all("SELECT actor FROM events WHERE verb = 'heartbeat_set' ORDER BY id")
    assert {row["actor"] for row in events} == {"agent:writer"}


async def test_the_token_of_an_attempt_changes_no_heartbeat_whatever_its_agent_may(house: House) -> None:
    attempt = await house.attempt()
    await grant(house, "*", "*")
    for path in (PATH, f"{PATH}/toggle", f"{PATH}/wake"):
        assert (await house.post(path, attempt.token, {})).status_code == 403
    assert (await house.get(PATH, attempt.token)).status_code == 200
