"""N × N: which token reaches which route of which task. The table of endpoints says who; here it is tried."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from api import ApiConfig
from api.app import table
from api.endpoints import Endpoint
from blackboard import attempts, tokens, verbs
from blackboard.board import Tx
from blackboard.tokens import SCOPES
from tests.api_house import Attempt, House, open_house


def named(endpoint: Endpoint) -> str:
    """Its method and last word; its whole path where that word is another route's too."""
    foreign = endpoint.path.startswith(
        (
            "/calendar/",
            "/monitor/",
            "/api/agents/{agent}/status",
            "/api/agents/{agent}/heartbeat",
            "/api/permissions/{permission}",
            "/api/watches/{watch}",
        )
    )
    return f"{endpoint.method} {endpoint.path if foreign else endpoint.name}"


FOR_A_TASK = [endpoint for endpoint in table(ApiConfig()) if "{task}" in endpoint.path]
BY_NAME = {named(endpoint): endpoint for endpoint in table(ApiConfig())}

# A body that is right for its route, so that only the token decides.
BODIES: dict[str, dict[str, object]] = {
    "POST status": {"status": "working"},
    "POST outputs": {"type": "data", "title": "T", "content": "C"},
    "POST comments": {"body": "hm"},
    "POST heartbeat": {},
    "POST children": {"title": "part"},
    "POST approve": {},
    "POST reject": {"detail": "again"},
    "POST answer": {"detail": "yes"},
    "POST cancel": {},
    "POST reopen": {},
    "POST recheck": {"detail": "it is installed"},
    "POST pause": {},
    "POST resume": {},
    "POST clean": {},
    "POST /api/watches/{watch}/poll": {},
    "POST /api/watches/{watch}/retry": {},
    "POST gone": {"attempt": 1, "detail": "seen"},
    "POST tasks": {"title": "T", "agent": "writer"},
    "POST slots": {"slots": []},
    "POST retry": {"sink": "office"},
    "POST dismiss": {"sink": "office"},
    "POST test": {"sink": "office"},
    "POST tokens": {"name": "new", "kind": "operator", "hash": "0" * 64},
    "POST revoke": {},
    "POST permissions": {"subject": "agent:writer", "type": "slots", "scope": "self"},
    "POST /api/permissions/{permission}/revoke": {},
    "PATCH /calendar/slots/{slot}/agent-update": {"status": "finished"},
    "PATCH /calendar/slots/virtual/{virtual}/agent-update": {"status": "finished"},
    "POST /api/agents/{agent}/status": {"status": "busy"},
    "POST /api/agents/{agent}/heartbeat": {"interval_seconds": 600},
    "POST /api/agents/{agent}/heartbeat/toggle": {"enabled": True},
    "POST /api/agents/{agent}/heartbeat/checklist": {"checklist": "look"},
    "POST /api/agents/{agent}/heartbeat/wake": {},
    "POST /calendar/agent/status": {"agent_id": "writer", "status": "busy"},
    "POST /calendar/agent/notify": {"agent_id": "writer", "message": "hm"},
    "POST /monitor/server/heartbeat": {},
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


# An operator moves a task by the seed's path too, by other words.
OPERATORS_BODIES = BODIES | {"POST status": {"status": "done"}}


async def call(
    house: House,
    endpoint: Endpoint,
    token: str | None,
    project: str,
    task: int,
    bodies: dict[str, dict[str, object]] = BODIES,
) -> httpx.Response:
    url = endpoint.path.format(
        project=project,
        agent="writer",
        account="agent:writer",
        task=task,
        output=1,
        slot=1,
        virtual="1-20260131",
        token="nobody",
        permission=1,
        watch="nothing",
        feed="bbt_" + "x" * 43,
    )
    if endpoint.name == "stream":  # the same question, without the answer that never ends
        return await house.client.head(url, headers=House._headers(token, {}))
    if endpoint.method == "GET":
        needed = "?agent_id=writer" if endpoint.path == "/calendar/agent/status" else ""
        return await house.get(url + needed, token)
    if endpoint.method == "PATCH":
        return await house.client.patch(url, json=bodies[named(endpoint)], headers=House._headers(token, {}))
    return await house.post(url, token, bodies[named(endpoint)])


async def everything(house: House) -> list[tuple[object, ...]]:
    """Every row a call could have changed, refusals and signs of life left out."""
    tables = ("tasks", "outputs", "comments", "events", "slots", "tokens", "permissions")
    return [tuple(row) for name in tables for row in await house.board.all(f"SELECT * FROM {name}")]


@dataclass
class Four:
    """Attempts on four tasks in two projects, two of them of the same agent, one a reviewer's."""

    attempts: list[tuple[str, Attempt]]


async def four(house: House) -> Four:
    first = await house.attempt(agent="writer")
    second = await house.attempt(agent="writer")
    third = await house.attempt(agent="painter", project="other")
    done = await house.attempt(agent="writer")
    report = {"status": "review", "output": BODIES["POST outputs"]}
    assert (await house.post(f"{done.url}/status", done.token, report)).status_code == 200
    await house.board.write(lambda tx: tx.run("UPDATE attempts SET gone_at = ended_at WHERE id = :id", id=done.id))
    reviewer = await house.attempt(done.task, agent="painter", role="reviewer")
    return Four([("demo", first), ("demo", second), ("other", third), ("demo", reviewer)])


async def test_each_row_of_the_table_has_its_body_here() -> None:
    posts = {name for name, endpoint in BY_NAME.items() if endpoint.has_body}
    assert posts == set(BODIES)


async def test_a_token_of_one_task_changes_and_reads_no_other(house: House) -> None:
    all_four = await four(house)
    before = await everything(house)
    tried = 0
    for _, mine in all_four.attempts:
        for project, theirs in all_four.attempts:
            for endpoint in FOR_A_TASK:
                for said_project in {project, "demo", "other"}:
                    if theirs.task == mine.task and said_project == project:
                        continue  # its own: below
                    answer = await call(house, endpoint, mine.token, said_project, theirs.task)
                    tried += 1
                    assert answer.status_code in ((403,) if theirs.task != mine.task else (403, 404)), (
                        endpoint,
                        answer.text,
                    )
                    assert theirs.token not in answer.text
    assert tried > 200
    assert await everything(house) == before


GRANTED = "INSERT INTO permissions (subject, type, scope) VALUES ('agent:writer', '*', 'self')"


@pytest.mark.parametrize("name", sorted(BY_NAME))
async def test_who_may_is_what_the_table_says(house: House, name: str) -> None:
    endpoint = BY_NAME[name]
    await house.task()  # so that task and attempt ids differ
    attempt = await house.attempt()
    await house.board.write(lambda tx: tx.run(GRANTED))  # where an agent may by permission, it has it
    held: dict[str, str | None] = {
        "executor": attempt.token,
        "read": await house.operator("read", "reader"),
        "operate": await house.operator("operate"),
        "admin": await house.operator("admin", "root"),
        "agent": await house.agent_token(),
        "unknown": "bbt_" + "x" * 43,
        "nobody": None,
    }
    for who, token in held.items():
        bodies = OPERATORS_BODIES if who in SCOPES else BODIES
        answer = await call(house, endpoint, token, "demo", attempt.task, bodies)
        reaches = "anyone" in endpoint.who or who in endpoint.who or includes(who, endpoint.who)
        if reaches:
            assert answer.status_code not in (401, 403), (who, answer.text)
        else:
            assert answer.status_code == (401 if who in ("unknown", "nobody") else 403), (who, answer.text)


def includes(scope: str, who: tuple[str, ...]) -> bool:
    """Whether an operator's scope reaches what a smaller one may."""
    return scope in SCOPES and any(need in SCOPES[: SCOPES.index(scope) + 1] for need in who)


@pytest.mark.parametrize("name", [f"{endpoint.method} {endpoint.name}" for endpoint in FOR_A_TASK])
async def test_a_reviewer_reads_comments_and_judges_and_no_more(house: House, name: str) -> None:
    project, review = (await four(house)).attempts[3]
    endpoint = BY_NAME[name]
    answer = await call(house, endpoint, review.token, project, review.task)
    reaches = "reviewer" in endpoint.who and name != "POST status"  # of the status it says only done and pending
    assert (answer.status_code not in (401, 403)) == reaches, answer.text


async def test_a_reviewers_verdict_counts_once(house: House) -> None:
    _, review = (await four(house)).attempts[3]
    verdict = {"status": "pending", "detail": "say more"}
    assert (await house.post(f"{review.url}/status", review.token, verdict)).json()["status"] == "pending"
    late = await house.post(f"{review.url}/status", review.token, {"status": "done"})
    assert (late.status_code, late.json()["code"]) == (409, "fenced")


@pytest.mark.parametrize("ending", ["review", "failed", "blocked", "cancelled", "crashed"])
async def test_the_token_of_an_ended_attempt_reaches_nothing(house: House, ending: str) -> None:
    attempt = await house.attempt()
    if ending == "cancelled":
        await house.post(f"{attempt.url}/cancel", await house.operator())
    elif ending == "crashed":
        await house.board.write(end_as_crashed, attempt.id)
    else:
        report = {"status": ending, "detail": "d", "output": BODIES["POST outputs"]}
        assert (await house.post(f"{attempt.url}/status", attempt.token, report)).status_code == 200
    before = await everything(house)
    for endpoint in FOR_A_TASK:
        answer = await call(house, endpoint, attempt.token, "demo", attempt.task)
        assert answer.status_code == (403 if endpoint.who == ("operate",) else 409), answer.text
        assert answer.json()["code"] in ("fenced", "forbidden")
    assert (await house.get("/api/events", attempt.token)).status_code == 409
    assert await everything(house) == before


def end_as_crashed(tx: Tx, attempt: int) -> None:
    verbs.end_badly(tx, attempts.get(tx, attempt), "crashed", actor="engine:monitor", detail="exit 1", exit_code=1)


async def test_the_next_attempt_does_not_revive_the_former_token(house: House) -> None:
    former = await house.attempt()
    await house.board.write(end_as_crashed, former.id)
    latter = await house.attempt(former.task)
    for endpoint in FOR_A_TASK:
        if "executor" in endpoint.who:
            assert (await call(house, endpoint, former.token, "demo", former.task)).status_code == 409
    assert (await house.post(f"{latter.url}/status", latter.token, {"status": "working"})).status_code == 200


async def test_a_parent_reads_its_child_and_writes_nothing_to_it(house: House) -> None:
    parent, stranger = await house.attempt(), await house.attempt()
    child = (await house.post(f"{parent.url}/children", parent.token, {"title": "part"})).json()["child"]
    before = await everything(house)
    for endpoint in FOR_A_TASK:
        assert (await call(house, endpoint, stranger.token, "demo", child)).status_code == 403
        answer = await call(house, endpoint, parent.token, "demo", child)
        reads = 404 if "{output}" in endpoint.path else 200  # the child has handed nothing in
        assert answer.status_code == (reads if endpoint.method == "GET" else 403)
    assert await everything(house) == before


async def test_a_revoked_token_is_unknown_at_once(house: House) -> None:
    token = await house.operator("admin", "ann")
    assert (await house.get("/api/events", token)).status_code == 200
    await house.board.write(tokens.revoke, kind="operator", name="ann")
    assert (await house.get("/api/events", token)).status_code == 401
