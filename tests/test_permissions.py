"""What agents may change: the order of the rows, what is remembered of them, and every road to granting and to using them."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackboard import grants, permissions, tokens
from blackboard.board import Board, Tx
from blackboard.errors import Forbidden, NotFound
from blackboard.grants import PermissionForm
from blackboard.permissions import Permission, allows, decide, explain, fits
from tests.api_house import House, open_house, problem
from tests.daemon import House as Outside

# --- The order --------------------------------------------------------------------------------------------------------

SUBJECTS = ("agent:ada", "agent:bob", "group:dev", "group:ops", "group:elsewhere")
TYPES = ("*", "heartbeat", "checklist", "slots", "presence")
SCOPES = ("*", "self", "agent:*", "group:*", "agent:ada", "agent:bob", "group:dev", "group:ops")
ROLES = {"ada": ("dev",), "bob": ("dev", "ops"), "eve": ()}


def oracle(rows: list[Permission], agent: str, type: str, target: str) -> bool:
    """The same said another way: the strictest mark of the closest rows."""
    marks: dict[str, set[str]] = {"agent": set(), "group": set()}
    for row in rows:
        kind, _, name = row.subject.partition(":")
        is_who = name == agent if kind == "agent" else name in ROLES[agent]
        is_what = row.type == type or row.type == "*"
        whose, _, of = row.scope.partition(":")
        is_whose = (
            row.scope == "*"
            or (row.scope == "self" and agent == target)
            or (whose == "agent" and of in ("*", target))
            or (whose == "group" and (of in ROLES[target] or (of == "*" and len(ROLES[target]) > 0)))
        )
        if is_who and is_what and is_whose:
            marks[kind].add(row.effect)
    for kind in ("agent", "group"):
        if marks[kind]:
            return "deny" not in marks[kind]
    return type == "presence" and agent == target


def decided(rows: list[Permission], agent: str, type: str, target: str) -> bool:
    names = [f"agent:{target}", *(f"group:{role}" for role in ROLES[target]), *(["self"] if target == agent else [])]
    return decide(rows, agent, ROLES[agent], type, names).allowed


def test_the_four_ranks_in_every_order() -> None:
    ranks = [("agent:ada", "deny"), ("agent:ada", "allow"), ("group:dev", "deny"), ("group:dev", "allow")]
    for count in range(5):
        for some in itertools.permutations(ranks, count):
            rows = [Permission(at, who, "slots", "agent:bob", effect) for at, (who, effect) in enumerate(some)]
            found = decide(rows, "ada", ["dev"], "slots", ["agent:bob"])
            first = next((rank for rank in ranks if rank in some), None)
            assert (found.by and (found.by.subject, found.by.effect)) == first
            assert found.allowed == (first is not None and first[1] == "allow")


@given(
    st.lists(st.tuples(st.sampled_from(SUBJECTS), st.sampled_from(TYPES), st.sampled_from(SCOPES), st.sampled_from(("allow", "deny"))), max_size=8),
    st.sampled_from(sorted(ROLES)), st.sampled_from(TYPES[1:]), st.sampled_from(sorted(ROLES)),
)  # fmt: skip
def test_rows_decide_as_they_are_said_to(
    drawn: list[tuple[str, str, str, str]], agent: str, type: str, target: str
) -> None:
    rows = [Permission(at, *each) for at, each in enumerate(drawn, 1)]
    assert decided(rows, agent, type, target) == oracle(rows, agent, type, target)


def test_every_single_row_means_what_it_says() -> None:
    tried = 0
    for who, what, whose, effect in itertools.product(SUBJECTS, TYPES, SCOPES, ("allow", "deny")):
        for agent, type, target in itertools.product(ROLES, TYPES[1:], ROLES):
            rows = [Permission(1, who, what, whose, effect)]
            assert decided(rows, agent, type, target) == oracle(rows, agent, type, target), (rows, agent, type, target)
            tried += 1
    assert tried == len(SUBJECTS) * len(TYPES) * len(SCOPES) * 2 * 36


@pytest.mark.parametrize(
    ("pattern", "name", "fit"),
    [
        ("*", "agent:ada", True), ("*", "", True), ("agent:*", "agent:ada", True), ("agent:*", "agent", True),
        ("agent:*", "agents:ada", False), ("agent:*", "group:ada", False), ("agent:ada", "agent:ada", True),
        ("agent:ada", "agent:ada2", False), ("agent:ad*", "agent:ada", False), ("self", "self", True), ("group:*", "group:dev", True),
        (":*", ":x", True), ("a:b:*", "a:b:c:d", True), ("a:b:*", "a:bc", False),
    ],
)  # fmt: skip
def test_a_wildcard_is_everything_or_what_stands_behind_a_prefix(pattern: str, name: str, fit: bool) -> None:
    assert fits(pattern, name) is fit


# --- The rows on the board --------------------------------------------------------------------------------------------


async def admin(board: Board) -> bytes:
    token = tokens.mint()
    await board.write(tokens.create, token, kind="operator", name="root", scope="admin")
    return tokens.digest(token)


def form(subject: str, type: str, scope: str, effect: str = "allow") -> PermissionForm:
    return PermissionForm.model_validate({"subject": subject, "type": type, "scope": scope, "effect": effect})


async def may(board: Board, agent: str, type: permissions.Type, target: str) -> bool:
    """Asked of a reader and of the writer: each sees the board by itself."""
    said = await board.read(allows, agent, type, target)
    assert await board.write(allows, agent, type, target) is said
    return said


async def test_what_is_granted_is_allowed_and_what_is_revoked_is_not(board: Board) -> None:
    caller = await admin(board)
    assert not await may(board, "ada", "slots", "bob")
    made = await board.write(grants.grant, caller, form("agent:ada", "slots", "agent:bob"))
    assert made["next"] == "permission 1: agent:ada may change slots of agent:bob"
    assert await may(board, "ada", "slots", "bob")
    assert not await may(board, "ada", "heartbeat", "bob") and not await may(board, "bob", "slots", "ada")
    turned = await board.write(grants.grant, caller, form("agent:ada", "slots", "agent:bob", "deny"))
    assert (turned["permission"], turned["changed"]) == (1, True)
    assert not await may(board, "ada", "slots", "bob")
    again = await board.write(grants.grant, caller, form("agent:ada", "slots", "agent:bob", "deny"))
    assert (again["permission"], again["changed"]) == (1, False) and again["next"].endswith(", as before")
    assert (await board.write(grants.revoke, caller, 1))["changed"] is True
    assert (await board.write(grants.revoke, caller, 1))["next"] == "permission 1 was revoked already"
    anew = await board.write(grants.grant, caller, form("agent:ada", "slots", "agent:bob"))
    assert anew["permission"] == 2 and await may(board, "ada", "slots", "bob")
    told = await board.all(
        "SELECT verb, actor, agent_id, reason FROM events WHERE verb GLOB 'permission_*' ORDER BY id"
    )
    assert [tuple(row) for row in told] == [
        ("permission_granted", "person:root", "ada", "agent:ada allow slots agent:bob"),
        ("permission_granted", "person:root", "ada", "agent:ada deny slots agent:bob"),
        ("permission_revoked", "person:root", "ada", "agent:ada deny slots agent:bob"),
        ("permission_granted", "person:root", "ada", "agent:ada allow slots agent:bob"),
    ]
    assert [row["permission"] for row in await board.read(grants.listed)] == [2]
    assert len(await board.read(lambda rows: grants.listed(rows, everything=True))) == 2


async def test_a_role_that_is_taken_away_grants_nothing_any_more(board: Board) -> None:
    caller = await admin(board)
    await board.write(lambda tx: tx.run("INSERT INTO agent_roles VALUES ('ada', 'planner'), ('bob', 'planned')"))
    await board.write(grants.grant, caller, form("group:planner", "slots", "group:planned"))
    assert await may(board, "ada", "slots", "bob") and not await may(board, "ada", "slots", "eve")
    await board.write(lambda tx: tx.run("DELETE FROM agent_roles WHERE agent_id = 'bob' AND role = 'planned'"))
    assert not await may(board, "ada", "slots", "bob")
    await board.write(lambda tx: tx.run("INSERT INTO agent_roles VALUES ('bob', 'planned')"))
    await board.write(lambda tx: tx.run("DELETE FROM agent_roles WHERE agent_id = 'ada' AND role = 'planner'"))
    assert not await may(board, "ada", "slots", "bob")


async def test_nobody_is_granted_anything_by_a_slip_of_the_pen(board: Board) -> None:
    caller = await admin(board)
    for wrong in (form("agent:adda", "slots", "*"), form("agent:ada", "slots", "agent:bobb")):
        with pytest.raises(NotFound, match="there is no agent"):
            await board.write(grants.grant, caller, wrong)
    for wrong in (form("group:nobodies", "slots", "*"), form("agent:ada", "slots", "group:nobodies")):
        with pytest.raises(NotFound, match="no agent has the role nobodies"):
            await board.write(grants.grant, caller, wrong)
    with pytest.raises(NotFound, match="there is no permission 7"):
        await board.write(grants.revoke, caller, 7)
    assert await board.all("SELECT * FROM permissions") == []


# --- What is remembered -----------------------------------------------------------------------------------------------

GRANT = "INSERT INTO permissions (subject, type, scope) VALUES ('agent:ada', 'slots', '*')"


async def test_every_change_counts_at_once_a_foreign_one_too(board: Board) -> None:
    with closing(sqlite3.connect(board.path)) as foreign:

        async def after(sql: str) -> bool:
            with foreign:
                foreign.execute(sql)
            return await may(board, "ada", "slots", "bob")

        assert not await may(board, "ada", "slots", "bob")
        assert await after(GRANT)
        for clause in ("IGNORE", "REPLACE", "FAIL", "ABORT"):
            assert not await after(f"UPDATE OR {clause} permissions SET effect = 'deny'")
            assert await after(f"UPDATE OR {clause} permissions SET effect = 'allow'")
        assert not await after("UPDATE permissions SET revoked_at = '2026-01-31T09:00:00.000Z'")
        for clause in ("IGNORE", "REPLACE", "FAIL", "ABORT"):
            assert await after(GRANT.replace("INSERT", f"INSERT OR {clause}"))
            assert not await after(
                "UPDATE permissions SET revoked_at = '2026-01-31T09:00:00.000Z' WHERE revoked_at IS NULL"
            )
    actors = {row["actor"] for row in await board.all("SELECT actor FROM events WHERE verb GLOB 'permission_*'")}
    assert actors == {"sql"}


async def test_what_is_rolled_back_is_forgotten_though_it_was_looked_at(board: Board) -> None:
    def grants_and_fails(tx: Tx, sql: str) -> None:
        tx.run(sql)
        assert allows(tx, "ada", "slots", "bob")
        raise Forbidden("and is rolled back")

    for sql in (GRANT, GRANT.replace("*", "agent:bob")):
        with pytest.raises(Forbidden):
            await board.write(grants_and_fails, sql)
        assert not await may(board, "ada", "slots", "bob")
    await board.write(lambda tx: tx.run(GRANT.replace("*", "self")))
    assert not await may(board, "ada", "slots", "bob") and await may(board, "ada", "slots", "ada")


async def test_two_boards_are_not_taken_for_one(board: Board, tmp_path: Path) -> None:
    other = await Board.open(tmp_path / "other.sqlite")
    try:
        await board.write(lambda tx: tx.run(GRANT))
        await other.write(lambda tx: tx.run(GRANT.replace("ada", "eve")))
        for _ in range(2):
            assert await may(board, "ada", "slots", "bob") and not await may(board, "eve", "slots", "bob")
            assert await may(other, "eve", "slots", "bob") and not await may(other, "ada", "slots", "bob")
    finally:
        await other.close()


async def test_rows_are_read_once_as_long_as_they_are_the_same(board: Board) -> None:
    asked: list[str] = []

    class Counting:
        def __init__(self, tx: Tx) -> None:
            self.one = tx.one
            self._tx = tx

        def all(self, sql: str, **params: object) -> list[sqlite3.Row]:
            asked.append(sql)
            return self._tx.all(sql, **params)

    await board.write(lambda tx: tx.run(GRANT))
    for _ in range(5):
        assert (await board.write(lambda tx: explain(Counting(tx), "ada", "slots", "bob"))).allowed
    assert asked.count(permissions.HOLDING) == 1


@pytest.mark.parametrize(
    ("sql", "sentence"),
    [
        ("DELETE FROM permissions", "permissions are kept"),
        ("INSERT OR REPLACE INTO permissions (id, subject, type, scope) VALUES (1, 'agent:eve', '*', '*')", "there already"),
        (GRANT.replace("INSERT", "INSERT OR REPLACE"), "there already"),
        ("UPDATE permissions SET subject = 'agent:eve'", "only the effect"),
        ("UPDATE permissions SET rowid = 9", "only the effect"),
        ("UPDATE permissions SET revoked_at = NULL WHERE id = 2", "stays so"),
        ("INSERT INTO permissions (subject, type, scope, revoked_at) VALUES ('agent:ada', '*', '*', '2026-01-31T09:00:00.000Z')", "begins as one"),
        ("INSERT INTO permissions (subject, type, scope) VALUES ('ada', '*', '*')", "CHECK"),
        ("INSERT INTO permissions (subject, type, scope) VALUES ('agent:ada', 'everything', '*')", "CHECK"),
        ("INSERT INTO permissions (subject, type, scope) VALUES ('agent:ada', '*', 'bob')", "CHECK"),
    ],
)  # fmt: skip
async def test_the_schema_keeps_the_story_of_each(board: Board, sql: str, sentence: str) -> None:
    await board.write(lambda tx: tx.run(GRANT))
    await board.write(lambda tx: tx.run(GRANT.replace("ada", "eve")))
    await board.write(lambda tx: tx.run("UPDATE permissions SET revoked_at = created_at WHERE id = 2"))
    with closing(sqlite3.connect(board.path)) as foreign, pytest.raises(sqlite3.IntegrityError, match=sentence):
        foreign.execute(sql)


# --- Over HTTP --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        await opened.task(agent="ada")
        await opened.task(agent="bob")
        yield opened


def slot(agent: str, **more: object) -> dict[str, object]:
    return {"id": 1, "agent": agent, "scheduled_at": "2026-01-31T10:00:00Z", **more}


async def granted(house: House, subject: str, type: str, scope: str, effect: str = "allow") -> int:
    body = {"subject": subject, "type": type, "scope": scope, "effect": effect}
    said = await house.post("/api/permissions", await house.operator("admin", f"root{body}"[:40]), body)
    assert said.status_code == 200, said.text
    return int(said.json()["permission"])


async def test_an_agent_plans_for_whom_it_may_and_for_nobody_else(house: House) -> None:
    ada = await house.agent_token("ada")
    for whose in ("ada", "bob"):
        told = problem(
            await house.post("/api/slots", ada, {"project": "demo", "slots": [slot(whose)]}), 403, "forbidden"
        )
        assert f"orchestrator permission grant agent:ada slots {'self' if whose == 'ada' else 'agent:bob'}" in str(
            told["detail"]
        )
    number = await granted(house, "agent:ada", "slots", "agent:bob")
    both = {"project": "demo", "slots": [slot("bob"), slot("ada")]}
    problem(await house.post("/api/slots", ada, both), 403, "forbidden")
    assert await house.board.all("SELECT * FROM slots") == []  # all of it or nothing
    answer = await house.post("/api/slots", ada, {"project": "demo", "slots": [slot("bob")]})
    assert (answer.status_code, answer.json()["added"]) == (200, 1)
    (row,) = await house.board.all("SELECT source, agent_id FROM slots")
    assert tuple(row) == ("agent:ada", "bob")
    moved = {
        "project": "demo",
        "schedules": {"bob": [{"id": 1, "scheduled_at": "2026-01-31T11:00:00Z", "status": "cancelled"}]},
    }
    assert (await house.post("/api/slots", ada, moved)).json()["changed"] == 1
    (task,) = await house.board.all("SELECT status, actor FROM tasks WHERE slot_id IS NOT NULL")
    assert tuple(task) == ("cancelled", "engine:agent:ada")
    root = await house.operator("admin", "root")
    assert (await house.post(f"/api/permissions/{number}/revoke", root, {})).json()["changed"] is True
    problem(await house.post("/api/slots", ada, {"project": "demo", "slots": [slot("bob")]}), 403, "forbidden")


async def test_what_an_agent_plans_touches_no_slots_but_its_own(house: House) -> None:
    operator, ada = await house.operator(), await house.agent_token("ada")
    assert (await house.post("/api/slots", operator, {"project": "demo", "slots": [slot("bob")]})).status_code == 200
    await granted(house, "agent:ada", "slots", "*")
    answer = await house.post("/api/slots", ada, {"project": "demo", "slots": [slot("bob", status="cancelled")]})
    assert answer.json()["added"] == 1
    rows = await house.board.all("SELECT source, status FROM slots ORDER BY id")
    assert [tuple(row) for row in rows] == [("api", "not_started"), ("agent:ada", "cancelled")]
    for source in ("mine", "file"):
        body = {"source": source, "project": "demo", "slots": [slot("bob")]}
        assert "source is for operators" in str(problem(await house.post("/api/slots", ada, body), 403, "forbidden"))
    series = {"project": "demo", "slots": [slot("bob", id=2, series="slot 1", overlap="replace")]}
    assert "series is for operators" in str(problem(await house.post("/api/slots", ada, series), 403, "forbidden"))


async def test_a_slot_for_another_agent_runs_no_command(house: House) -> None:
    ada = await house.agent_token("ada")
    await granted(house, "agent:ada", "slots", "*")
    command, file = {"checks": [{"run": "touch /tmp/x"}]}, {"checks": [{"path": "report.md"}]}
    for wish, whose, status in ((command, "bob", 403), (file, "bob", 200), (command, "ada", 200)):
        body = {"project": "demo", "slots": [slot(whose, event_data=wish)]}
        assert (await house.post("/api/slots", ada, body)).status_code == status, (wish, whose)
    by_name = {
        "project": "demo",
        "schedules": {"bob": [{"id": 9, "scheduled_at": "2026-01-31T11:00:00Z", "event_data": command}]},
    }
    assert (await house.post("/api/slots", ada, by_name)).status_code == 403
    assert [row["checks"] for row in await house.board.all("SELECT checks FROM tasks WHERE agent_id = 'bob' AND checks LIKE '%touch%'")] == []  # fmt: skip


@pytest.mark.parametrize(
    ("wish", "value"), [("review", "auto"), ("task_usd", 1e6), ("max_tries", 999), ("wall_seconds", 1e8), ("needs_output", False)]
)  # fmt: skip
async def test_what_an_agent_plans_has_the_limits_that_were_set(house: House, wish: str, value: object) -> None:
    ada, operator = await house.agent_token("ada"), await house.operator()
    await granted(house, "agent:ada", "slots", "*")
    body = {"project": "demo", "slots": [slot("ada", event_data={"title": "mine", wish: value})]}
    told = problem(await house.post("/api/slots", ada, body), 403, "forbidden")
    assert f"{wish} is for operators" in str(told["detail"])
    assert await house.board.all("SELECT * FROM slots") == []
    assert (await house.post("/api/slots", operator, body)).status_code == 200


async def test_the_token_of_an_attempt_stays_with_its_task(house: House) -> None:
    attempt = await house.attempt(agent="ada")
    await granted(house, "agent:ada", "*", "*")
    problem(
        await house.post("/api/slots", attempt.token, {"project": "demo", "slots": [slot("ada")]}), 403, "forbidden"
    )
    said = await house.post("/api/agents/bob/status", attempt.token, {"status": "busy"})
    assert "the token of an attempt is for its task" in str(problem(said, 403, "forbidden"))
    assert (await house.post("/api/agents/ada/status", attempt.token, {"status": "busy"})).status_code == 200


@pytest.mark.parametrize("path", ["/api/agents/bob/status", "/calendar/agent/status"])
async def test_an_agent_says_where_another_stands_under_its_own_name(house: House, path: str) -> None:
    ada, body = await house.agent_token("ada"), {"status": "offline"}
    if path.startswith("/calendar"):
        body["agent_id"] = "bob"
    told = problem(await house.post(path, ada, body), 403, "forbidden")
    assert "orchestrator permission grant agent:ada presence agent:bob" in str(told["detail"])
    await granted(house, "agent:ada", "presence", "agent:bob")
    assert (await house.post(path, ada, body)).status_code == 200
    (row,) = await house.board.all("SELECT agent_id, source, status, actor FROM presence_reports")
    assert tuple(row) == ("bob", "agent:ada", "offline", "agent:ada")


@pytest.mark.parametrize("path", ["/api/agents/ada/status", "/calendar/agent/status"])
async def test_a_deny_takes_even_the_own_word_away(house: House, path: str) -> None:
    ada, attempt = await house.agent_token("ada"), await house.attempt(agent="ada")
    own, more = [ada, attempt.token], {}
    if path.startswith("/calendar"):
        own, more = [ada], {"agent_id": "ada"}
    for token in own:
        assert (await house.post(path, token, {"status": "busy", **more})).status_code == 200
    number = await granted(house, "agent:ada", "presence", "self", "deny")
    for token in own:
        told = problem(await house.post(path, token, {"status": "idle", **more}), 403, "forbidden")
        assert f"permission {number} (agent:ada deny presence self) says so" in str(told["detail"])
    assert (await house.post("/api/agents/ada/status", await house.operator(), {"status": "idle"})).status_code == 200


async def test_only_an_administrator_grants(house: House) -> None:
    attempt = await house.attempt(agent="ada")
    body = {"subject": "agent:ada", "type": "*", "scope": "*"}
    others = {
        "executor": attempt.token, "agent": await house.agent_token("ada"), "read": await house.operator("read", "reader"),
        "operate": await house.operator(),
    }  # fmt: skip
    for token in others.values():
        assert (await house.post("/api/permissions", token, body)).status_code == 403
        assert (await house.post("/api/permissions/1/revoke", token, {})).status_code == 403
    assert await house.board.all("SELECT * FROM permissions") == []
    assert (await house.get("/api/permissions", others["agent"])).status_code == 403
    assert (await house.get("/api/permissions", others["read"])).json() == {"permissions": []}


async def test_whoever_asks_is_told_why(house: House) -> None:
    ada, reader = await house.agent_token("ada"), await house.operator("read", "reader")
    number = await granted(house, "agent:ada", "slots", "agent:bob")
    test = "/api/permissions/test"
    told = (await house.get(f"{test}?agent=ada&type=slots&target=bob", reader)).json()
    assert told == {
        "agent": "ada", "type": "slots", "target": "bob", "allowed": True, "permission": number,
        "because": f"permission {number} (agent:ada allow slots agent:bob) says so",
    }  # fmt: skip
    assert (await house.get(f"{test}?type=slots&target=bob", ada)).json() == told
    assert (await house.get(test, ada)).json()["allowed"] is True
    assert (await house.get(f"{test}?type=heartbeat", ada)).json()["because"] == "no permission says so"
    problem(await house.get(f"{test}?agent=bob", ada), 403, "forbidden")
    problem(await house.get(f"{test}?agent=nobody", reader), 404, "not_found")
    problem(await house.get(test, reader), 404, "not_found")
    problem(await house.get(f"{test}?agent=ada&type=everything", reader), 422, "invalid")


# --- From outside -----------------------------------------------------------------------------------------------------


def test_what_an_agent_plans_is_worked_on_also_after_a_kill_and_not_after_a_revocation(tmp_path: Path) -> None:
    house = Outside(tmp_path / "house")
    house.agent("writer", "bb start; echo done | bb output document it -; bb submit")
    house.agent("planner", "true", roles=["leads"])
    try:
        house.start()
        made = house.call("token", "new", "--agent", "planner", "--json")
        token = json.loads(made.stdout)["token"]
        now = {"agent": "writer", "scheduled_at": "2026-01-31T09:00:00Z"}

        def planned(number: int) -> int:
            return int(house.http("/api/slots", {"slots": [{"id": number, **now}]}, token=token)["tasks"][0])

        with pytest.raises(AssertionError, match="orchestrator permission grant agent:planner slots agent:writer"):
            planned(1)
        assert house.call("permission", "grant", "group:leads", "slots", "agent:writer").returncode == 0
        house.reaches(planned(1), "done")
        house.kill()
        house.start()
        house.reaches(planned(2), "done")
        assert house.call("permission", "revoke", "1").returncode == 0
        with pytest.raises(AssertionError, match="403"):
            planned(3)
        told = house.rows("SELECT actor FROM events WHERE verb = 'slot_added' ORDER BY id")
        assert [row["actor"] for row in told] == ["engine:agent:planner"] * 2
    finally:
        house.ends()
