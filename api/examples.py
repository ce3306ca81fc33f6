"""A ready `curl` line for every endpoint, from its row: what a person copies into a POSIX shell.

Uses the names of docs/api-contract.md: `$task`, `$base`, `$conf` of an attempt, `$operator` of a person, `$feed` of a calendar feed.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel

from api.endpoints import Endpoint

STREAM = "text/event-stream"
_TASK = "/api/projects/{project}/tasks/{task}"
_PARTS = {
    "project": "demo",
    "agent": "writer",
    "account": "agent:writer",
    "virtual": "2-20260131",
    "token": "ann",
    "watch": "tickets",
    "feed": "$feed",
}


def fields(endpoint: Endpoint) -> Mapping[str, object]:
    """The fields of the example: the row's own, or the ones that must be given."""
    if endpoint.example is not None:
        return endpoint.example
    return {} if endpoint.model is None else _needed(endpoint.model)


def _needed(model: type[BaseModel]) -> dict[str, object]:
    schema = model.model_json_schema()
    return {name: _some(schema["properties"][name]) for name in schema.get("required", ())}


def _some(field: dict[str, Any]) -> object:
    if "enum" in field:
        return field["enum"][0]
    return {"integer": 1, "number": 1, "boolean": True, "array": [], "object": {}}.get(field.get("type", ""), "text")


def curl(endpoint: Endpoint) -> str:
    """The line, several where the body is JSON."""
    given = fields(endpoint)
    start = "curl -sS" if "anyone" in endpoint.who else f"curl --config {_config(endpoint)}"
    if STREAM in endpoint.media:  # an answer without an end, looked at for two seconds
        start += " --no-buffer --retry 0 --max-time 2"
    if endpoint.method not in ("GET", "POST"):
        start += f" --request {endpoint.method}"
    if not endpoint.has_body:
        query = "?" + urlencode(given, safe=",") if given else ""
        address = _address(endpoint)
        return f'{start} "{address}{query}"' if query else f"{start} {address}"
    if not all(isinstance(value, str | int) for value in given.values()):
        text = json.dumps(given, ensure_ascii=False)
        kind = "-H 'Content-Type: application/json' --data-binary @-"
        return f"{start} {kind} {_address(endpoint)} <<'END'\n{text}\nEND"
    return " ".join([start, *map(_field, given.items()), *([] if given else ["--data ''"]), _address(endpoint)])


def _config(endpoint: Endpoint) -> str:
    return "$conf" if {"executor", "reviewer"}.intersection(endpoint.who) else "$operator"


def _address(endpoint: Endpoint) -> str:
    ours = endpoint.path.startswith(_TASK)
    path = "$task" + endpoint.path.removeprefix(_TASK) if ours else "$base" + endpoint.path
    return re.sub(r"{([a-z_]+)(?::[a-z]+)?}", lambda part: _PARTS.get(part[1], "1"), path)


def _field(pair: tuple[str, object]) -> str:
    name, value = pair
    text = json.dumps(value) if isinstance(value, bool) else str(value)
    way = "--data" if re.fullmatch(r"[A-Za-z0-9 .,_-]*", text) else "--data-urlencode"
    return f"{way} {shlex.quote(f'{name}={text}')}"
