"""The body of a request as JSON Schema, once for each way of saying it: JSON, a form, raw text.

`api.bodies` reads what is described here; where the two differ, the fuzz test fails.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from api.endpoints import Endpoint

Schema = dict[str, Any]
JSON, FORM, TEXT = "application/json", "application/x-www-form-urlencoded", "text/plain"

NO_NUL = "^[^\\u0000]*$"  # text on the board holds no NUL
_MOST = 2**63 - 1
# What a field that takes any object may hold, all the way down.
_ANYTHING: Schema = {"$ref": "#/components/schemas/Anything"}
ANYTHING: Schema = {
    "description": "Any JSON, with text without NUL and numbers of at most 64 bits.",
    "anyOf": [
        {"type": ["null", "boolean"]},
        {"type": "string", "pattern": NO_NUL},
        {"type": "number", "minimum": -_MOST, "maximum": _MOST},
        {"type": "array", "items": _ANYTHING},
        {"type": "object", "propertyNames": {"pattern": NO_NUL}, "additionalProperties": _ANYTHING},
    ],
}


def plain(schema: Any) -> Any:
    """A pydantic schema without the titles it makes up: they only repeat the names."""
    if isinstance(schema, list):
        return [plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: {name: plain(each) for name, each in value.items()} if key == "properties" else plain(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }


def stored(schema: Any) -> Any:
    """A schema of what is sent, with what the board asks of any text and any object."""
    if isinstance(schema, list):
        return [stored(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    told = {
        key: {name: stored(each) for name, each in value.items()} if key == "properties" else stored(value)
        for key, value in schema.items()
    }
    if told.get("type") == "string" and not {"pattern", "enum", "const"} & told.keys():
        told["pattern"] = NO_NUL
    others = told.get("additionalProperties")
    if told.get("type") == "object" and others and "properties" not in told:  # its names are the caller's own
        told |= {"propertyNames": {"pattern": NO_NUL}, "additionalProperties": _ANYTHING if others is True else others}
    return told


def flat(model: type[BaseModel]) -> Schema:
    """What a form or a query can say: the fields that are plain values or lists of them, never null."""
    whole = stored(plain(model.model_json_schema()))
    fields = {name: _given(field) for name, field in whole["properties"].items()}
    return {**whole, "properties": {name: field for name, field in fields.items() if _simple(field)}, "$defs": {}}


def _given(field: Schema) -> Schema:
    """The field when it is given: without null, and without a default that is null."""
    ways = [way for way in field.get("anyOf", ()) if way != {"type": "null"}]
    if len(ways) == 1:
        field = {key: value for key, value in field.items() if key != "anyOf"} | ways[0]
    return {key: value for key, value in field.items() if (key, value) != ("default", None)}


def _simple(field: Schema) -> bool:
    kind = field.get("type")
    return kind in ("string", "integer", "number", "boolean") or (kind == "array" and _simple(field["items"]))


def bodies(endpoint: Endpoint, refs: str) -> dict[str, Any]:
    """The media types a route takes, each with its schema; none for a route that takes no body."""
    if endpoint.takes is not None:
        return {kind: {"schema": _other(endpoint, kind, refs)} for kind in endpoint.takes}
    if endpoint.model is None:
        return {}
    told = {JSON: {"schema": {"$ref": refs + endpoint.model.__name__}}}
    form = flat(endpoint.model)
    del form["$defs"]
    if set(form.get("required", ())) <= form["properties"].keys():
        told[FORM] = {"schema": form}
    main = endpoint.main
    # Where other fields are needed, they are in the query: OpenAPI has no words for a query that goes with one body.
    if main is not None and set(form.get("required", ())) <= {main} and "oneOf" not in form:
        least: Schema = {"minLength": 1} if main in form.get("required", ()) else {}  # an empty body says nothing
        told[TEXT] = {"schema": {**form["properties"][main], **least}}
    return told


def _other(endpoint: Endpoint, kind: str, refs: str) -> Schema:
    if endpoint.model is not None and kind == JSON:
        return {"$ref": refs + endpoint.model.__name__}
    if endpoint.model is not None and kind == FORM:
        return flat(endpoint.model)
    return {"type": "object"} if kind == "multipart/form-data" else {"type": "string"}


def needs_body(endpoint: Endpoint) -> bool:
    """Whether there is a field that must be given."""
    if endpoint.model is None:
        return endpoint.takes is not None
    schema = endpoint.model.model_json_schema()
    return bool(schema.get("required") or schema.get("anyOf"))
