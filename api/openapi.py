"""The OpenAPI 3.1 document, made from the table of endpoints: nothing in it is written twice.

Pure functions: the rows in, a dict out. Says only what is so: `tests/test_api_fuzz.py` holds every word of it
against the running API.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api import media, problems
from api.endpoints import ACCOUNT, FEED, SLUG, VIRTUAL, Endpoint
from api.schemas import Problem

REFS = "#/components/schemas/"
Schema = dict[str, Any]

ABOUT = (
    "A request with a well-formed body can still be refused: by its token (401, 403), because something it names "
    "is not there (404), or by the state of the board (409). An answer may hold more fields than are named here."
)
SECURITY = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of an attempt (`executor`, `reviewer`), of an agent (`agent`), or of an operator "
        "(`read`, which `operate` includes, which `admin` includes). Without the right one: 401, or 403.",
    }
}
_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A new random text for each request: the same request sent again within 24 hours has no second effect "
    "and gets the first answer.",
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
}
_NUMBER = {"type": "integer", "minimum": 1, "maximum": 10**18 - 1}
_SLUG = {"type": "string", "pattern": f"^{SLUG}$"}
PARTS: Mapping[str, Schema] = {
    "project": _SLUG,
    "agent": _SLUG,
    "token": _SLUG,
    "watch": _SLUG,
    "account": {"type": "string", "pattern": f"^{ACCOUNT}$"},
    "virtual": {"type": "string", "pattern": f"^{VIRTUAL}$"},
    "feed": {"type": "string", "pattern": f"^{FEED}$"},
}  # any other part of a path is a number
_OF_ALL = ("bad_request", "slow", "head_too_large", "foreign", "internal", "unavailable")
_OF_THE_BOARD = ("illegal_move", "fenced", "refused", "conflict")
_HEADERS: Mapping[int, Mapping[str, Schema]] = {
    401: {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}}},
    503: {
        "Retry-After": {
            "required": True,
            "description": "Seconds.",
            "schema": {"type": "integer", "minimum": 1},
        }
    },
}


def document(table: Iterable[Endpoint], base_url: str) -> dict[str, Any]:
    """The whole document, ready for JSON."""
    rows = list(table)
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in rows:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Blackboard Orchestrator", "version": "1", "description": ABOUT},
        "servers": [{"url": base_url}],
        "paths": paths,
        "components": {"schemas": components(rows), "securitySchemes": SECURITY},
    }


def components(rows: Iterable[Endpoint]) -> dict[str, Schema]:
    """The schema of every model that a row names, and of those inside them."""
    rows = list(rows)
    asked = _schemas(row.model for row in rows if row.has_body)
    given = _schemas([*(row.answers for row in rows), Problem])
    told = {name: media.stored(schema) for name, schema in asked.items()} | {"Anything": media.ANYTHING}
    return dict(sorted((told | given).items()))


def _schemas(models: Iterable[type[BaseModel] | None]) -> dict[str, Schema]:
    pairs = [(model, "validation") for model in dict.fromkeys(models) if model is not None]
    _, found = models_json_schema(pairs, ref_template=REFS + "{model}")  # type: ignore[arg-type]
    return {name: media.plain(schema) for name, schema in found.get("$defs", {}).items()}


def operation(endpoint: Endpoint) -> dict[str, Any]:
    """One row as an operation."""
    told: dict[str, Any] = {
        "operationId": operation_id(endpoint),
        "summary": endpoint.says,
        "description": _described(endpoint),
        "tags": [group(endpoint)],
        "security": [] if "anyone" in endpoint.who else [{"token": [role]} for role in endpoint.who],
        "parameters": [*map(_part, endpoint.parts), *_query(endpoint), *([_KEY] if endpoint.has_body else [])],
        "responses": responses(endpoint),
    }
    if endpoint.has_body and (content := media.bodies(endpoint, REFS)):
        told["requestBody"] = {"required": media.needs_body(endpoint), "content": content}
    return told


def operation_id(endpoint: Endpoint) -> str:
    """The method and the fixed words of the path."""
    words = [word for word in endpoint.path.replace(".", "_").split("/") if word and not word.startswith("{")]
    return "_".join([endpoint.method.lower(), *(word for word in words if word != "api")])


def group(endpoint: Endpoint) -> str:
    """For whom a route is, in the words of the contract."""
    if "anyone" in endpoint.who:
        return "For machines"
    agents = {"executor", "reviewer", "agent"}.intersection(endpoint.who)
    return "For agents" if agents else "For operators"


def _described(endpoint: Endpoint) -> str:
    told = f"For: {', '.join(endpoint.who)}."
    if endpoint.has_body and endpoint.main and endpoint.takes is None:
        told += (
            f" The body may also be `{endpoint.main}` itself, as `text/plain`, with the other fields in the query;"
            " a form may give the fields of an object as `object.field`."
        )
    return told


def _part(name: str) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": PARTS.get(name, _NUMBER)}


def _query(endpoint: Endpoint) -> list[Schema]:
    if endpoint.has_body or endpoint.model is None:
        return []
    schema = media.flat(endpoint.model)
    needed = schema.get("required", ())
    return [
        {
            "name": name,
            "in": "query",
            "required": name in needed,
            **({"description": field.pop("description")} if "description" in field else {}),
            "schema": field,
        }
        for name, field in schema["properties"].items()
    ]


def codes(endpoint: Endpoint) -> list[str]:
    """Every error code the route may answer, in the order of the contract's table."""
    found = set(_OF_ALL)
    if endpoint.has_body:
        found |= {"too_large", "unsupported", "invalid", "key_reused"}
    if "anyone" not in endpoint.who:
        found |= {"unauthorized", "forbidden"} | set(_OF_THE_BOARD if endpoint.errors is None else endpoint.errors)
    if endpoint.parts:
        found.add("not_found")
    if endpoint.model is not None:
        found.add("invalid")
    return [code for code in problems.KINDS if code in found | set(endpoint.errors or ())]


def responses(endpoint: Endpoint) -> dict[str, Any]:
    """The success and every error, each status with the codes that come with it."""
    told: dict[str, Any] = {str(endpoint.success): _success(endpoint)}
    if endpoint.kept:
        told[str(endpoint.success)]["headers"] = {"ETag": {"required": True, "schema": {"type": "string"}}}
        told["304"] = {"description": "The one named by `If-None-Match` is still the one."}
    by_status: dict[int, list[str]] = {}
    for code in codes(endpoint):
        by_status.setdefault(problems.KINDS[code].status, []).append(code)
    for status, those in sorted(by_status.items()):
        told[str(status)] = _problem(status, those)
    return told


def _success(endpoint: Endpoint) -> dict[str, Any]:
    model = endpoint.answers
    schema: Schema = {"$ref": REFS + model.__name__} if model else {"type": "object"}
    says = (model.__doc__ or "").strip().partition("\n")[0] if model else "What was asked for."
    text: Schema = {"schema": {"type": "string"}}
    content = {kind: {"schema": schema} if kind == "application/json" else text for kind in endpoint.media}
    return {"description": says, "content": content}


def _problem(status: int, those: list[str]) -> dict[str, Any]:
    means = "; or ".join(f"`{code}`: {problems.KINDS[code].means}" for code in those)
    only = {"properties": {"code": {"enum": those}, "status": {"const": status}}}
    told: dict[str, Any] = {
        "description": means,
        "content": {problems.MEDIA_TYPE: {"schema": {"allOf": [{"$ref": REFS + "Problem"}, only]}}},
    }
    if status in _HEADERS:
        told["headers"] = dict(_HEADERS[status])
    return told
