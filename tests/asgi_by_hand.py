"""Speaking ASGI by hand to an application behind the guard: headers and bodies arrive exactly as given."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.guard import Guard, Limits
from api.origins import Origins

PUBLIC = "https://board.example"
LIMIT = 1000


async def counting(scope: Scope, receive: Receive, send: Send) -> None:
    """A route that reads its body and says how long it was."""
    body = await Request(scope, receive).body()
    await PlainTextResponse(str(len(body)))(scope, receive, send)


def guarded(app: ASGIApp = counting, seconds: float = 5) -> Guard:
    return Guard(app, origins=Origins.of(PUBLIC), of_body=lambda _scope: Limits(LIMIT, seconds))


async def ask(
    app: ASGIApp,
    headers: list[tuple[str, str]],
    method: str = "POST",
    path: str = "/x",
    body: bytes = b"",
    query: bytes = b"",
) -> tuple[int, dict[str, str], bytes]:
    """Speak ASGI by hand, so that headers arrive exactly as given: twice, or not at all."""
    return await ask_in_parts(app, headers, [body], method, path, query)


async def ask_in_parts(
    app: ASGIApp,
    headers: list[tuple[str, str]],
    parts: list[bytes],
    method: str = "POST",
    path: str = "/x",
    query: bytes = b"",
) -> tuple[int, dict[str, str], bytes]:
    waiting = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, start=1)
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }
    await app(scope, receive, send)
    start = sent[0] if sent else {"status": 0, "headers": []}
    answered = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], answered, b"".join(message.get("body", b"") for message in sent[1:])
