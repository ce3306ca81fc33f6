"""What the API's tests stand on: a real board, attempts made by real claims, and a client for the app."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from starlette.types import ASGIApp

from api import ApiConfig, create_app
from blackboard import proofs, tokens
from blackboard.agents import put_agent
from blackboard.board import Board, Tx

BASE_URL = "http://127.0.0.1:8083"
NOW = "2026-01-31T09:00:00.000Z"
PROJECT = "demo"


def insert_agent(tx: Tx, agent: str) -> None:
    if not tx.all("SELECT 1 FROM agents WHERE id = :agent", agent=agent):
        put_agent(tx, agent, max_live=9)


def insert_task(tx: Tx, title: str, agent: str, project: str, parent: int | None) -> int:
    return tx.insert(
        "INSERT INTO tasks (project_id, agent_id, title, parent_id, actor, due_at)"
        " VALUES (:project, :agent, :title, :parent, 'person:test', :now)",
        project=project,
        agent=agent,
        title=title,
        parent=parent,
        now=NOW,
    )


def claim(tx: Tx, task: int, agent: str, token: str, role: str, workspace: str | None) -> int:
    tx.run("UPDATE tasks SET ready = 1 WHERE id = :task AND status = 'pending'", task=task)
    tx.run("UPDATE attempts SET gone_at = ended_at WHERE task_id = :task AND ended_at IS NOT NULL", task=task)
    return tx.insert(
        "INSERT INTO attempts (task_id, number, role, agent_id, token_hash, claimed_at, claimed_by, workspace)"
        " SELECT :task, coalesce(max(number), 0) + 1, :role, :agent, :hash, :now, 'engine:tick', :workspace"
        " FROM attempts WHERE task_id = :task",
        task=task,
        role=role,
        agent=agent,
        hash=tokens.digest(token),
        now=tx.now,
        workspace=workspace,
    )


def with_a_check_that_could_not_be_run(tx: Tx, task: int) -> None:
    """Of a task in review: it is a person's for that reason."""
    tx.run("UPDATE attempts SET gone_at = ended_at WHERE task_id = :task", task=task)
    tx.run("""UPDATE tasks SET checks = '[{"run":"make"}]' WHERE id = :task""", task=task)
    tx.run(proofs.BEGIN, task=task, now=tx.now)  # of this task, whatever others wait for
    (check,) = tx.all("SELECT id FROM checks WHERE task_id = :task AND ended_at IS NULL", task=task)
    proofs.finish(tx, check["id"], proofs.Found("not_run", output="no such program"))


@dataclass
class Attempt:
    """A claimed task, and the token its agent was given."""

    id: int
    task: int
    token: str
    url: str
    workspace: Path


@dataclass
class House:
    """A board with its API. `wakes` counts the calls of `wake`."""

    board: Board
    app: ASGIApp
    client: httpx.AsyncClient
    workspaces: Path
    wakes: list[None] = field(default_factory=list)

    async def task(
        self, title: str = "Write", agent: str = "writer", project: str = PROJECT, parent: int | None = None
    ) -> int:
        def fn(tx: Tx) -> int:
            tx.run("INSERT INTO projects (id) VALUES (:project) ON CONFLICT DO NOTHING", project=project)
            insert_agent(tx, agent)
            return insert_task(tx, title, agent, project, parent)

        return await self.board.write(fn)

    async def attempt(
        self,
        task: int | None = None,
        agent: str = "writer",
        role: str = "executor",
        project: str = PROJECT,
    ) -> Attempt:
        """Claim a task (a new one if none is named) for an agent."""
        number = task if task is not None else await self.task(agent=agent, project=project)
        token = tokens.mint()
        workspace = self.workspaces / str(number)
        workspace.mkdir(exist_ok=True, parents=True)
        await self.board.write(insert_agent, agent)
        attempt = await self.board.write(claim, number, agent, token, role, str(workspace))
        return Attempt(attempt, number, token, f"/api/projects/{project}/tasks/{number}", workspace)

    async def operator(self, scope: str = "operate", name: str = "ann") -> str:
        token = tokens.mint()
        await self.board.write(tokens.create, token, kind="operator", name=name, scope=scope)
        return token

    async def agent_token(self, agent: str = "writer") -> str:
        token = tokens.mint()
        await self.board.write(insert_agent, agent)
        await self.board.write(tokens.create, token, kind="agent", name=agent, agent_id=agent)
        return token

    async def feed(self, agent: str | None = None) -> str:
        """The secret of a feed, of an agent or of all."""
        secret = tokens.mint()
        kind, scope = ("agent", None) if agent else ("operator", "read")
        put = {"kind": kind, "scope": scope, "agent_id": agent, "name": f"feed:{secret[4:10]}"}
        await self.board.write(tokens.put, tokens.feed_digest(secret), **put)
        return secret

    async def post(self, url: str, token: str | None, json: object = None, **kwargs: object) -> httpx.Response:
        if json is not None:
            kwargs["json"] = json
        return await self.client.post(url, headers=self._headers(token, kwargs), **kwargs)  # type: ignore[arg-type]

    async def get(self, url: str, token: str | None, **kwargs: object) -> httpx.Response:
        return await self.client.get(url, headers=self._headers(token, kwargs), **kwargs)  # type: ignore[arg-type]

    @staticmethod
    def _headers(token: str | None, kwargs: dict[str, object]) -> dict[str, str]:
        own = kwargs.pop("headers", {})
        assert isinstance(own, dict)
        return {**own, **({"authorization": f"Bearer {token}"} if token else {})}


def problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    """The problem a response carries, after looking that it is the one expected and whole."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert isinstance(told, dict)
    assert (told["status"], told["code"]) == (status, code)
    assert told["type"] == f"urn:blackboard:problem:{code}"
    assert len(str(told["detail"])) > 10
    return told


@asynccontextmanager
async def open_house(
    path: Path, config: ApiConfig | None = None, ready: Callable[[], Sequence[str]] = lambda: ()
) -> AsyncIterator[House]:
    board = await Board.open(path / "board.sqlite")
    wakes: list[None] = []
    app = create_app(board, config or ApiConfig(), wake=lambda: wakes.append(None), ready=ready)
    try:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE_URL) as client:
            yield House(board, app, client, path / "workspaces", wakes)
    finally:
        await board.close()
