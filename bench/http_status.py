"""Durable status calls per second over HTTP: our API against servers that open one connection per call.

All run under the same uvicorn with the same loop, in a process of their own, with synchronous=FULL and a WAL. Each
call finds the token, moves a claimed task to working, writes the event and is answered after the commit. Two
baselines: `same` does it on the same board by the same verb, fence and triggers included; `bare` on three tables
without any rule, with three plain statements. The client keeps 64 connections open and uses each token once.
Interleaved rounds; the medians of the rounds and of the ratios are printed.

    python -m bench.http_status [--rounds 5] [--calls 3000] [--connections 64]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.boards import claimed_board
from blackboard import reports
from blackboard.board import Board, Tx
from blackboard.clock import SystemClock
from blackboard.forms import StatusReport
from blackboard.tokens import digest

CLOCK = SystemClock()
PATH = "/api/projects/p/tasks/{task}/status"


# --- the two servers ---------------------------------------------------------------------------------------


def serve_ours(path: str, port: int) -> None:
    """Our API over a board, as `orchestrator run` serves it."""
    from api.app import ApiConfig, create_app

    async def main() -> None:
        board = await Board.open(Path(path))
        await _serve(create_app(board, ApiConfig(), wake=lambda: None), port)

    _run(main())


def serve_naive(path: str, port: int) -> None:
    """What one writes first: a connection per call, opened and closed."""

    async def status(request: Request) -> JSONResponse:
        token = request.headers["authorization"].removeprefix("Bearer ")
        body = await request.json()
        answer = await asyncio.to_thread(_naive_call, path, token, int(request.path_params["task"]), body["status"])
        return JSONResponse(answer)

    async def main() -> None:
        await _serve(Starlette(routes=[Route(PATH, status, methods=["POST"])]), port)

    _run(main())


def _naive_call(path: str, token: str, task: int, status: str) -> dict[str, Any]:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        found = connection.execute("SELECT task_id FROM tokens WHERE token = ?", (token,)).fetchone()
        if found is None or found[0] != task:
            connection.execute("ROLLBACK")
            return {"error": "unknown token"}
        connection.execute("UPDATE tasks SET status = ? WHERE id = ? AND status = 'claimed'", (status, task))
        connection.execute("INSERT INTO events (task_id, verb, at) VALUES (?, 'start', ?)", (task, time.time()))
        connection.execute("COMMIT")
        return {"task": task, "status": status}
    finally:
        connection.close()


def serve_same(path: str, port: int) -> None:
    """The same verb on the same board, with a connection per call."""

    async def status(request: Request) -> JSONResponse:
        token = digest(request.headers["authorization"].removeprefix("Bearer "))
        report = StatusReport.model_validate_json(await request.body())
        answer = await asyncio.to_thread(_same_call, path, token, int(request.path_params["task"]), report)
        return JSONResponse(answer)

    async def main() -> None:
        await _serve(Starlette(routes=[Route(PATH, status, methods=["POST"])]), port)

    _run(main())


def _same_call(path: str, token: bytes, task: int, report: StatusReport) -> dict[str, Any]:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute("BEGIN IMMEDIATE")
        answer = reports.status(Tx(connection, CLOCK.now(), CLOCK.boot()), token, "p", task, report)
        connection.execute("COMMIT")
        return answer
    finally:
        connection.close()


def _naive_board(path: Path, tokens: list[tuple[int, str]]) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(
        "PRAGMA journal_mode=WAL; CREATE TABLE tasks (id INTEGER PRIMARY KEY, status TEXT NOT NULL);"
        "CREATE TABLE tokens (token TEXT PRIMARY KEY, task_id INTEGER);"
        "CREATE TABLE events (id INTEGER PRIMARY KEY, task_id INTEGER, verb TEXT, at REAL);"
    )
    connection.executemany("INSERT INTO tasks VALUES (?, 'claimed')", [(task,) for task, _ in tokens])
    connection.executemany("INSERT INTO tokens VALUES (?, ?)", [(token, task) for task, token in tokens])
    connection.commit()
    connection.close()


async def _serve(app: Any, port: int) -> None:
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", access_log=False)
    await uvicorn.Server(config).serve()


def _run(main: Any) -> None:
    try:
        import uvloop

        uvloop.run(main)
    except ImportError:
        asyncio.run(main)


# --- the client --------------------------------------------------------------------------------------------


async def drive(port: int, calls: list[tuple[int, str]], connections: int) -> float:
    """Make every call once over keep-alive connections; calls per second. Every answer must be a 200."""
    queue = list(reversed(calls))
    body = b'{"status": "working"}'

    async def one_connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while queue:
            task, token = queue.pop()
            head = (
                f"POST {PATH.format(task=task)} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"a call failed: {answer!r}")
            length = next(
                int(line.split(b":")[1]) for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(one_connection() for _ in range(connections)))
    return len(calls) / (time.perf_counter() - begun)


async def _ready(port: int) -> None:
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        except OSError:
            await asyncio.sleep(0.02)
    raise SystemExit("a server did not start")


def measure(target: Any, path: Path, tokens: list[tuple[int, str]], port: int, connections: int) -> float:
    """Start one server, drive it, stop it."""
    server = multiprocessing.get_context("spawn").Process(target=target, args=(str(path), port))
    server.start()
    try:
        asyncio.run(_ready(port))
        return asyncio.run(drive(port, tokens, connections))
    finally:
        server.terminate()
        server.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--port", type=int, default=18480)
    wanted = parser.parse_args()
    found: dict[str, list[float]] = {"ours": [], "same": [], "bare": []}
    for round_number in range(wanted.rounds):
        for name, rate in one_round(wanted.calls, wanted.port, wanted.connections).items():
            found[name].append(rate)
        print(
            f"round {round_number + 1}: " + ", ".join(f"{name} {rates[-1]:.0f}/s" for name, rates in found.items()),
            file=sys.stderr,
        )
    told: dict[str, object] = {f"{name}_per_second": round(statistics.median(rates)) for name, rates in found.items()}
    for name in ("same", "bare"):
        ratios = [ours / other for ours, other in zip(found["ours"], found[name], strict=True)]
        told[f"ours_over_{name}"] = round(statistics.median(ratios), 2)
    print(json.dumps(told | {"rounds": wanted.rounds, "connections": wanted.connections}))


def one_round(calls: int, port: int, connections: int) -> dict[str, float]:
    """Each server once, on boards of its own; calls per second. The slow ones get a fifth of the calls."""
    fewer = max(200, calls // 5)
    with tempfile.TemporaryDirectory() as folder:
        board, same, bare = (Path(folder) / name for name in ("ours.db", "same.db", "bare.db"))
        tokens = asyncio.run(claimed_board(board, calls))
        same_tokens = asyncio.run(claimed_board(same, fewer))
        _naive_board(bare, tokens[:fewer])
        return {
            "ours": measure(serve_ours, board, tokens, port, connections),
            "same": measure(serve_same, same, same_tokens, port + 1, connections),
            "bare": measure(serve_naive, bare, tokens[:fewer], port + 2, connections),
        }


if __name__ == "__main__":
    main()
