"""The contract as a page for people: rendered once, from the same document that programs get.

No script, nothing from elsewhere, every value escaped. Its one style sheet stands in it and is allowed by its hash.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from api import examples, openapi, problems
from api.endpoints import Endpoint

_HERE = Path(__file__).parent
STYLE = (_HERE / "page.css").read_text(encoding="utf-8")
# Read with the program: the page is made when it is asked for, and by then a new release may lie in this place.
_TEMPLATE = (_HERE / "page.html.j2").read_text(encoding="utf-8")
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CSP = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
GROUPS = ("For agents", "For operators", "For machines")


def rendered(table: Iterable[Endpoint], document: Mapping[str, Any]) -> str:
    """The page; `document` is the OpenAPI document of the same rows."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    sections = [_section(row, document) for row in table]
    return environment.from_string(_TEMPLATE).render(
        title=document["info"]["title"],
        about=document["info"]["description"],
        token=document["components"]["securitySchemes"]["token"]["description"],
        style=STYLE,
        groups=[(name, [each for each in sections if each["group"] == name]) for name in GROUPS],
        problems=problems.KINDS,
    )


def _section(endpoint: Endpoint, document: Mapping[str, Any]) -> dict[str, Any]:
    operation = document["paths"][endpoint.path][endpoint.method.lower()]
    body = operation.get("requestBody", {}).get("content", {})
    return {
        "id": operation["operationId"],
        "group": openapi.group(endpoint),
        "method": endpoint.method,
        "path": endpoint.path,
        "says": endpoint.says,
        "about": operation["description"].partition(". ")[2],
        "who": endpoint.who,
        "takes": list(body),
        "main": endpoint.main,
        "fields": _fields(_body(body, document), document)
        + [_parameter(each) for each in operation["parameters"] if each["in"] == "query"],
        "curl": examples.curl(endpoint),
        "success": endpoint.success,
        "gives": operation["responses"][str(endpoint.success)]["description"],
        "media": ", ".join(endpoint.media),
        "answer": _fields(_success(endpoint, operation, document), document),
        "errors": [(code, problems.KINDS[code]) for code in openapi.codes(endpoint)],
    }


def _body(content: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = content.get("application/json", {}).get("schema", {})
    return _resolved(schema, document)


def _success(endpoint: Endpoint, operation: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    schema = operation["responses"][str(endpoint.success)]["content"][endpoint.media[0]]["schema"]
    return _resolved(schema, document)


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    name = schema.get("$ref", "").removeprefix(openapi.REFS)
    found: Mapping[str, Any] = document["components"]["schemas"][name] if name else schema
    return found


def _fields(schema: Mapping[str, Any], document: Mapping[str, Any]) -> list[dict[str, str]]:
    needed = schema.get("required", ())
    return [
        {
            "name": name,
            "type": kind(field),
            "needed": "needed" if name in needed else "",
            "says": _says(field, document),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _parameter(parameter: Mapping[str, Any]) -> dict[str, str]:
    return {
        "name": parameter["name"],
        "type": kind(parameter["schema"]),
        "needed": "needed" if parameter["required"] else "",
        "says": parameter.get("description", ""),
    }


def _says(field: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    told = [str(field.get("description", ""))]
    if field.get("default") not in (None, "", [], {}):
        told.append(f"Without it: {str(field['default']).lower()}.")
    if inner := _inner(field):
        told.append("Its fields: " + ", ".join(f"`{name}`" for name in _resolved(inner, document)["properties"]) + ".")
    return " ".join(word for word in told if word)


def _inner(field: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The reference to another model that a field is, or that its items or one of its kinds are."""
    ways = [field, field.get("items", {}), *field.get("anyOf", ())]
    found = [way for way in ways if "$ref" in way and not way["$ref"].endswith("/Anything")]
    return found[0] if found else None


def kind(field: Mapping[str, Any]) -> str:
    """A field's type in a few words."""
    if "$ref" in field:
        return "anything" if str(field["$ref"]).endswith("/Anything") else "object"
    if "anyOf" in field:
        return " or ".join(kind(way) for way in field["anyOf"])
    if "enum" in field:
        return ", ".join(map(str, field["enum"]))
    if "const" in field:
        return str(field["const"]).lower()
    if field.get("type") == "array":
        return f"list of {kind(field.get('items', {}))}"
    return {"string": "text", "integer": "number", "null": "null", "boolean": "true or false"}.get(
        field.get("type", ""), str(field.get("type", "anything"))
    ) + _limits(field)


def _limits(field: Mapping[str, Any]) -> str:
    least, most = field.get("minimum", field.get("exclusiveMinimum")), field.get("maximum")
    if most is not None and least is not None:
        return f" from {least:g} to {most:g}" if most < 10**12 else f" from {least:g}"
    return f", at most {field['maxLength']:,} characters" if "maxLength" in field else ""
