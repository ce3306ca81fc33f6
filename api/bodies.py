"""Turns a request's body and query into one report: JSON, a form, or a raw body whose other fields are in the query.

All three say the same: an agent picks the one its shell cannot break. Content that cannot be read or stored is
`invalid` (422), a kind of body we do not read is `unsupported` (415). Never decides who may say it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json
from starlette.types import Receive

from api.problems import HttpError
from blackboard import tokens
from blackboard.errors import Invalid

M = TypeVar("M", bound=BaseModel)

JSON, FORM, RAW = "json", "form", "raw"
MAX_FIELDS = 1100  # of a form or query: the longest list has 1000
_INT64 = 2**63
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FORM_HINT = (
    "; curl sends a form unless told otherwise: use --data-urlencode for each field, "
    "or add -H 'Content-Type: application/json' or 'text/plain'"
)


async def receive_all(receive: Receive) -> bytes:
    """The whole body. `receive` is the guard's: it counts, and raises on a large, slow or broken one."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body
    chunks = [body]
    while message.get("more_body", False):
        message = await receive()
        chunks.append(message.get("body", b""))
    return b"".join(chunks)


def parse(model: type[M], main: str | None, headers: Mapping[bytes, bytes], query: bytes, body: bytes) -> M:
    """The report a request makes. `main` is the field a raw body fills; None where a raw body makes no sense."""
    way = way_of(headers)
    if way == FORM and body[:1] in (b"{", b"["):
        way = JSON  # curl -d '{…}' without a header: no field of ours begins like this
    if way == RAW and main is None and body:
        raise HttpError("unsupported", "this route takes JSON: add -H 'Content-Type: application/json'")
    fields = _json(body) if way == JSON else _form(body, model) if way == FORM else _raw(body, main)
    for name, value in _pairs(query, model, "query").items():
        if name in fields:
            raise Invalid(f"`{_short(name)}` is in the query and in the body: give it once")
        fields[name] = value
    return checked(model, fields, way)


def checked(model: type[M], fields: dict[str, Any], way: str) -> M:
    """The report that these fields make; Invalid with a sentence when they do not."""
    fields = {name: value for name, value in fields.items() if _counts(name, model)}
    _storable(fields, "")
    try:
        return model.model_validate(_whole(tokens.masked(fields)), strict=True)
    except ValidationError as error:
        raise _invalid(error, model, way) from None


def _counts(name: str, model: type[BaseModel]) -> bool:
    """Whether a field is looked at: any, but of a model that passes over what it does not know."""
    return model.model_config.get("extra") != "ignore" or name in model.model_fields


def in_query(model: type[BaseModel], query: bytes) -> dict[str, Any]:
    """The fields that a query gives."""
    return _pairs(query, model, "query")


def way_of(headers: Mapping[bytes, bytes]) -> str:
    """How to read the body, from its headers; 415 for what we do not read. No type at all is raw."""
    not_encoded(headers)
    return _way_of(headers.get(b"content-type", b"")[:200])


def not_encoded(headers: Mapping[bytes, bytes]) -> None:
    """415 for a body that was compressed on its way."""
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding not in (b"identity", b""):
        raise HttpError("unsupported", "send the body as it is, without Content-Encoding")


@lru_cache(maxsize=64)  # the same few types come with every request
def _way_of(content_type: bytes) -> str:
    kind, _, rest = content_type.decode("latin-1").partition(";")
    kind = kind.strip().lower()
    if not _is_utf8(rest):
        raise HttpError("unsupported", "send text in UTF-8: leave the charset out, or say charset=utf-8")
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return JSON
    if kind == "application/x-www-form-urlencoded":
        return FORM
    if kind in ("", "application/octet-stream") or kind.startswith("text/"):
        return RAW
    raise HttpError(
        "unsupported",
        "send JSON (-H 'Content-Type: application/json'), a form (--data-urlencode 'name@file'), or the file itself "
        "(--data-binary @file -H 'Content-Type: text/plain') with the other fields in the query",
        found=kind[:100],
    )


def _is_utf8(parameters: str) -> bool:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower() in ("utf-8", "utf8", "us-ascii")
    return True


def _json(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    try:
        fields = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Invalid(f"this is not JSON ({error}): a form or a raw body needs no quoting, see the contract") from None
    if not isinstance(fields, dict):
        raise Invalid('send a JSON object, like {"status": "working"}')
    json.loads(body.decode(), object_pairs_hook=_each_once, parse_int=str, parse_float=str)
    return fields


def _each_once(pairs: list[tuple[str, object]]) -> None:
    """Refuse an object that says a thing twice: readers differ about which of the two counts."""
    if len(pairs) > 1 and len({name for name, _ in pairs}) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(f"`{_short(twice)}` is twice in one object of the JSON: give it once")


def _form(body: bytes, model: type[BaseModel]) -> dict[str, Any]:
    return _pairs(body, model, "form")


def _raw(body: bytes, main: str | None) -> dict[str, Any]:
    return {main: _text(body, "body")} if body and main is not None else {}


def _text(raw: bytes, where: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise Invalid(
            f"the {where} is not UTF-8 text (byte {error.start}): write a file that is not text to your workspace "
            "and hand in its content_path"
        ) from None


def _pairs(raw: bytes, model: type[BaseModel], where: str) -> dict[str, Any]:
    """The fields of a form or query. `output.title=…` is a field inside `output`; a list field may come again."""
    if not raw:
        return {}
    text = _text(raw, where)
    if bad := _BAD_PERCENT.search(text):
        raise Invalid(f"the {where} has a bare % at character {bad.start()}: let curl write it, with --data-urlencode")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except UnicodeDecodeError:
        raise Invalid(f"the {where} is not UTF-8 text behind its %: let curl write it, with --data-urlencode") from None
    except ValueError:
        raise Invalid(f"the {where} has more than {MAX_FIELDS} fields: send JSON") from None
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if _counts(name, model):
            _put(fields, name, value, model)
    return fields


def _put(fields: dict[str, Any], name: str, value: str, model: type[BaseModel]) -> None:
    outer, dot, inner = name.partition(".")
    into = fields
    if dot:
        into = fields.setdefault(outer, {})
        if not isinstance(into, dict):
            raise Invalid(f"`{_short(outer)}` is given both as a value and by its parts: choose one")
        name = inner
    typed = _typed(value) if not dot and _says_number(model, name) else value
    if not dot and _takes_many(model, name):
        into.setdefault(name, []).append(typed)
    elif name in into:
        raise Invalid(f"`{_short(name)}` is given twice: give it once")
    else:
        into[name] = typed


def _takes_many(model: type[BaseModel], name: str) -> bool:
    field = model.model_fields.get(name)
    return field is not None and _is_many(field.annotation)


def _is_many(annotation: object) -> bool:
    """Whether it is a list, or a list where it is given."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_many(get_args(annotation)[0])
    return origin in (list, tuple) or (origin in (Union, UnionType) and any(map(_is_many, get_args(annotation))))


@lru_cache(maxsize=512)  # the same few fields come with every request
def _says_number(model: type[BaseModel], name: str) -> bool:
    """Whether a field holds a number or a truth value, so that its text is read as JSON is."""
    field = model.model_fields.get(name)
    return field is not None and not _leaves(field.annotation).isdisjoint((int, float, bool))


def _leaves(annotation: object) -> set[object]:
    """The plain types an annotation is made of; those of a mapping are left alone."""
    if get_origin(annotation) is Literal:
        return set()
    if get_origin(annotation) is Annotated:
        return _leaves(get_args(annotation)[0])
    if get_origin(annotation) in (list, tuple, Union, UnionType):
        return {leaf for part in get_args(annotation) for leaf in _leaves(part)}
    return {annotation}


def _typed(text: str) -> object:
    """A number, true or false, as JSON writes them; anything else stays text, and the model refuses it."""
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError:
        return text
    return value if isinstance(value, int | float) else text


def _whole(value: Any) -> Any:
    """The value with 24.0 as 24: to JSON, and so to the schema, they are one number."""
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _storable(value: object, where: str) -> None:
    """Refuse what JSON can say but the board cannot keep: NUL in text, numbers of more than 64 bits, infinities."""
    if isinstance(value, str):
        if "\0" in value:
            raise Invalid(f"{_named(where)} holds a NUL character: text cannot")
    elif isinstance(value, dict):
        for name, item in value.items():
            _storable(name, f"{where}.{name}")
            _storable(item, f"{where}.{name}")
    elif isinstance(value, list):
        for item in value:
            _storable(item, where)
    elif isinstance(value, int | float) and not -_INT64 <= value < _INT64:
        raise Invalid(f"{_named(where)} is a number too large to keep")


def _invalid(error: ValidationError, model: type[BaseModel], way: str) -> Invalid:
    """One sentence about the first faults, and all of them as facts; never the values themselves."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    told = [(_place(fault), _told(fault)) for fault in faults[:20]]
    sentence = "; ".join(f"{name} {problem}".strip() for name, problem in told[:3])
    if any(fault["type"] == "extra_forbidden" for fault in faults):
        sentence += f"; the fields are {', '.join(model.model_fields)}"
        sentence += _FORM_HINT if way == FORM else ""
    return Invalid(sentence, errors=[{"field": name.strip("`"), "problem": problem} for name, problem in told])


def _place(fault: ErrorDetails) -> str:
    """The field a fault is in; nothing for a rule about several, whose sentence stands alone."""
    return _named(".".join(str(part) for part in fault["loc"])) if fault["loc"] else ""


def _told(fault: ErrorDetails) -> str:
    if fault["type"] == "missing":
        return "is missing"
    if fault["type"] == "extra_forbidden":
        return "is not a field here"
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:300]


def _named(where: str) -> str:
    name = _short(where.strip("."))
    return f"`{name}`" if name else "the body"


def _short(name: str) -> str:
    return name if len(name) <= 60 else name[:57] + "…"
