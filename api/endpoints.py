"""The table of routes: what an endpoint is, what its handler is handed, and how rows become routes.

Everything that must agree with the routes (the contract, OpenAPI) is made from or tested against the rows.
Knows no endpoint by name and decides nothing about tasks.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from api import bodies
from api.hearing import Heard
from api.kept_feeds import KeptFeeds
from api.places import Places
from api.problems import HttpError
from blackboard.board import Board
from blackboard.errors import NotFound
from blackboard.gates import Room
from blackboard.people import DEFAULTS
from blackboard.policy import Policies
from blackboard.tokens import NO_FEED

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """What the composition root decides. Sizes in bytes, times in seconds."""

    public_base_url: str = "http://127.0.0.1:8083"
    project: str = "main"  # of slots that name none
    time_zone: str = "UTC"  # of slots that name none: an IANA name
    policies: Policies = DEFAULTS  # of tasks posted here
    max_body_bytes: int = 8 * 1024 * 1024  # a megabyte of text may grow sixfold when it is quoted
    max_unknown_bytes: int = 256 * 1024  # a larger body is read only when its token is known
    max_content_bytes: int = 64 * 1024 * 1024  # of a file handed in by content_path: it is read once, for its hash
    body_seconds: float = 30.0  # until a whole body has arrived
    uploads: Path | None = None  # the folder of files that were sent whole; None: beside the board
    max_upload_bytes: int = 256 * 1024 * 1024  # of such a file
    upload_seconds: float = 900.0  # until the whole of it has arrived
    calendar_open_to: frozenset[str] = (
        frozenset()
    )  # instances on this machine that speak the calendar's protocol without a token
    max_streams: int = 100  # of events, open at once
    sinks: tuple[str, ...] | None = None  # the names of those that notices may go to; None: not known
    room: Callable[[str], Room] = lambda now: Room(1)  # what bounds all agents at an instant
    fresh_write_seconds: float = 5.0  # /readyz: how old the last proof that the board can be written may be


@dataclass(frozen=True, slots=True)
class Api:
    """What the handlers work with. `ready` gives the reasons why the daemon is not ready: none means it is;
    `lateness` how late its loop is."""

    board: Board
    config: ApiConfig
    wake: Callable[[], None]
    ready: Callable[[], Sequence[str]]
    lateness: Callable[[], Mapping[str, float]] = dict
    heard: Heard = field(default_factory=Heard)
    places: Places = field(default_factory=Places)  # of event streams
    feeds: KeptFeeds = field(default_factory=KeptFeeds)
    reading_files: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))

    @property
    def uploads(self) -> Path:
        """The board's own folder of files that were sent whole."""
        return self.config.uploads or self.board.path.parent / "uploads"


class Call:
    """One request: its path's parts, its headers, and its body when somebody asks for it."""

    def __init__(self, api: Api, endpoint: Endpoint, scope: Scope, receive: Receive) -> None:
        self.api = api
        self.endpoint = endpoint
        self.scope = scope
        self.receive = receive
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.body: bytes | None = None  # what was read of it so far: evidence if it is refused

    @property
    def query(self) -> bytes:
        query: bytes = self.scope["query_string"]
        return query

    @property
    def project(self) -> str:
        """The project of the path; NotFound for text that cannot be one."""
        text: str = self.scope["path_params"]["project"]
        if _PROJECT.fullmatch(text) is None:
            raise NotFound("there is no such project: the base URL of your task is in your prompt")
        return text

    @property
    def agent(self) -> str:
        """The agent of the path; NotFound for text that cannot be one."""
        text: str = self.scope["path_params"]["agent"]
        if _PROJECT.fullmatch(text) is None:
            raise NotFound("there is no such agent: `orchestrator agents` lists them")
        return text

    @property
    def token(self) -> str:
        """The name of a token in the path; NotFound for text that cannot be one."""
        text: str = self.scope["path_params"]["token"]
        if _PROJECT.fullmatch(text) is None:
            raise NotFound("there is no such token: `orchestrator token list` names them")
        return text

    @property
    def watch(self) -> str:
        """The watch of the path; NotFound for text that cannot be one."""
        text: str = self.scope["path_params"]["watch"]
        if _PROJECT.fullmatch(text) is None:
            raise NotFound("there is no such watch: `orchestrator watches` lists them")
        return text

    @property
    def feed(self) -> str:
        """The secret of a feed in the path; NotFound for text that cannot be one, as for one that is not."""
        text: str = self.scope["path_params"]["feed"]
        if _FEED.fullmatch(text) is None:
            raise NotFound(NO_FEED)
        return text

    @property
    def account(self) -> str:
        """The account of the path; NotFound for text that cannot be one."""
        text: str = self.scope["path_params"]["account"]
        if _ACCOUNT.fullmatch(text) is None:
            raise NotFound("there is no such account: `orchestrator accounts` lists them")
        return text

    @property
    def task(self) -> int:
        """The task of the path; NotFound for anything but a plain number."""
        text: str = self.scope["path_params"]["task"]
        if _TASK.fullmatch(text) is None:
            raise NotFound("there is no such task: a task is a number, and the URL of yours is in your prompt")
        return int(text)

    @property
    def output(self) -> int:
        """The output of the path; NotFound for anything but a plain number."""
        text: str = self.scope["path_params"]["output"]
        if _TASK.fullmatch(text) is None:
            raise NotFound("there is no such output: an output is a number, listed by `?expand=outputs` of its task")
        return int(text)

    @property
    def slot(self) -> int:
        """The slot of the path; NotFound for anything but a plain number."""
        text: str = self.scope["path_params"]["slot"]
        if _TASK.fullmatch(text) is None:
            raise NotFound("there is no such slot: a slot is a number, the `id` in GET /calendar/sync")
        return int(text)

    @property
    def permission(self) -> int:
        """The permission of the path; NotFound for anything but a plain number."""
        text: str = self.scope["path_params"]["permission"]
        if _TASK.fullmatch(text) is None:
            raise NotFound("there is no such permission: one is a number, listed by `orchestrator permission list`")
        return int(text)

    @property
    def virtual(self) -> str:
        """The time of a slot that repeats, as the path names it; NotFound for text that cannot be one."""
        text: str = self.scope["path_params"]["virtual"]
        if _VIRTUAL.fullmatch(text) is None:
            raise NotFound("there is no such slot: one that repeats has a `virtual_id` in GET /calendar/sync")
        return text

    async def report(self, model: type[M]) -> M:
        """The report this request makes. Where its path leads nowhere, its body is not read."""
        for part in self.scope["path_params"]:
            getattr(self, part)
        body = self.body = await bodies.receive_all(self.receive)
        return bodies.parse(model, self.endpoint.main, self.headers, self.query, body)


SLUG = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_PROJECT = re.compile(SLUG, re.ASCII)
ACCOUNT = rf"(?:agent:)?{SLUG}"  # an agent that shares none has one of its own
_ACCOUNT = re.compile(ACCOUNT, re.ASCII)
_TASK = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)  # 18 digits always fit the board's 64 bits
VIRTUAL = r"[1-9][0-9]{0,17}-[0-9]{8}(?:T[0-9]{6}Z)?"
_VIRTUAL = re.compile(VIRTUAL, re.ASCII)
FEED = "bbt_[A-Za-z0-9_-]{43}"
_FEED = re.compile(FEED, re.ASCII)

Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row: a method on a path, who may, what it does, which report its body makes, and what it answers.

    The OpenAPI document, its page and its `curl` lines are made from the row: what only they need has a default
    that is true of any route.
    """

    method: str
    path: str
    handler: Handler
    who: tuple[str, ...]  # of executor, reviewer, agent, read, operate, admin, anyone: decided on the board, told here
    says: str
    model: type[BaseModel] | None = None  # of the body and query; of a GET the query alone
    main: str | None = None  # the field a raw body fills
    success: int = 200
    answers: type[BaseModel] | None = None  # what a success holds: an object when nothing is said
    media: tuple[str, ...] = ("application/json",)  # of a success; an event stream does not end
    kept: bool = False  # whether a success has an ETag, and is 304 when the caller has it
    errors: tuple[str, ...] | None = None  # codes of the board's own refusals; None: any of them
    takes: tuple[str, ...] | None = None  # media types of the body; None: those that `model` and `main` give
    example: Mapping[str, object] | None = None  # fields for the `curl` line; None: the required ones

    @property
    def name(self) -> str:
        """The route's short name, as refusals are counted under: its last fixed word."""
        words = [word for word in self.path.split("/") if word and not word.startswith("{")]
        return words[-1]

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the path's variable parts, in order."""
        return tuple(re.findall(r"{([a-z_]+)(?::[a-z]+)?}", self.path))

    @property
    def has_body(self) -> bool:
        """Whether a request has a body: every one that is not just a question."""
        return self.method not in ("GET", "HEAD", "DELETE")


_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def as_json(content: object) -> str:
    """JSON on one line."""
    return _JSON.encode(content)


def answer(content: object, status: int = 200) -> Response:
    """JSON on a line of its own, so that a terminal shows it well."""
    return Response(as_json(content).encode() + b"\n", status, media_type="application/json")


def router(api: Api, table: Iterable[Endpoint]) -> Router:
    """The routes of a table: one for each path, in its order, so that 405 knows every method of it."""
    by_path: dict[str, dict[str, Endpoint]] = {}
    for endpoint in table:
        by_path.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    routes = [Route(path, _Methods(api, methods)) for path, methods in by_path.items()]
    return Router(routes, redirect_slashes=False, default=_no_such_route)


class _Methods:
    """The methods of one path, as the ASGI application Starlette routes to."""

    def __init__(self, api: Api, methods: Mapping[str, Endpoint]) -> None:
        self._api = api
        self._methods = dict(methods)
        if "GET" in methods:  # the server leaves the body of a HEAD out by itself
            self._methods["HEAD"] = methods["GET"]
        self._allow = ", ".join(sorted({*self._methods, "OPTIONS"}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._methods.get(scope["method"])
        if not scope["path"].isprintable():  # a route's pattern would let a last newline pass
            await _no_such_route(scope, receive, send)
        elif endpoint is not None:
            response = await endpoint.handler(Call(self._api, endpoint, scope, receive))
            await response(scope, receive, send)
        elif scope["method"] == "OPTIONS":
            await Response(status_code=204, headers={"allow": self._allow})(scope, receive, send)
        else:
            raise HttpError("method_not_allowed", f"this route takes {self._allow}", {"allow": self._allow})


async def _no_such_route(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound("there is no such route: those of a task begin with /api/projects/{project}/tasks/{task}")
