"""The OpenAPI document and its page: whole, valid, of every row and nothing else, served to anyone."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from api import ApiConfig, examples, openapi, page, problems
from api.app import table
from api.endpoints import Endpoint
from tests.api_house import House, open_house
from tests.test_api_curl import Served, prepared, serving

TABLE = table(ApiConfig())
DOCUMENT = openapi.document(TABLE, "http://127.0.0.1:8083")
CONTRACT = Path(__file__).resolve().parent.parent / "docs" / "api-contract.md"
IDS = [f"{endpoint.method} {endpoint.path}" for endpoint in TABLE]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as up:
        yield up


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {(method.upper(), path): said for path, each in DOCUMENT["paths"].items() for method, said in each.items()}


def schemas(inside: object) -> list[dict[str, Any]]:
    """Every schema of the document, wherever one may stand."""
    found = []
    if isinstance(inside, dict):
        found = [inside["schema"]] if isinstance(inside.get("schema"), dict) else []
        return found + [each for value in inside.values() for each in schemas(value)]
    return [each for value in inside for each in schemas(value)] if isinstance(inside, list) else found


def test_every_row_is_in_the_document_and_nothing_else() -> None:
    assert set(operations()) == {(endpoint.method, endpoint.path) for endpoint in TABLE}
    names = [said["operationId"] for said in operations().values()]
    assert len(names) == len(set(names))


def test_the_document_is_openapi_of_3_1() -> None:
    """Its shape, by the rules of the specification: what it must have, and nothing that it does not know."""
    assert DOCUMENT["openapi"] == "3.1.0"
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    assert set(DOCUMENT) <= {"openapi", "info", "servers", "paths", "components"}
    known = {"operationId", "summary", "description", "tags", "security", "parameters", "responses", "requestBody"}
    for (_, path), said in operations().items():
        assert said.keys() <= known
        in_path = {each["name"] for each in said["parameters"] if each["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))
        assert all(each["required"] for each in said["parameters"] if each["in"] == "path")
        for status, answer in said["responses"].items():
            assert re.fullmatch("[1-5][0-9]{2}", status)
            assert answer["description"]
            assert answer.keys() <= {"description", "content", "headers"}
        for scheme in (name for each in said["security"] for name in each):
            assert scheme in DOCUMENT["components"]["securitySchemes"]


def test_every_schema_is_one_and_refers_to_what_is_there() -> None:
    every = schemas(DOCUMENT["paths"]) + list(DOCUMENT["components"]["schemas"].values())
    assert len(every) > 100
    for schema in every:
        jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]})
        assert jsonschema_rs.meta.is_valid({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


@pytest.mark.parametrize("endpoint", TABLE, ids=IDS)
def test_the_document_says_of_each_route_who_may_and_how_it_fails(endpoint: Endpoint) -> None:
    said = operations()[endpoint.method, endpoint.path]
    roles = [role for each in said["security"] for role in each["token"]]
    assert roles == ([] if "anyone" in endpoint.who else list(endpoint.who))
    assert str(endpoint.success) in said["responses"]
    assert {"401", "403"} <= said["responses"].keys() or "anyone" in endpoint.who
    told = {
        code
        for answer in said["responses"].values()
        for schema in [answer.get("content", {}).get(problems.MEDIA_TYPE, {}).get("schema")]
        if schema is not None
        for code in schema["allOf"][1]["properties"]["code"]["enum"]
    }
    assert told == set(openapi.codes(endpoint))


def test_the_bodies_of_the_document_are_those_that_validate() -> None:
    validator = jsonschema_rs.Draft202012Validator(
        {"$ref": "#/components/schemas/TaskReport", "components": DOCUMENT["components"]}
    )
    good = {"title": "T", "agent": "writer", "priority": 7.0, "due_at": "2028-02-29T09:00:00.000Z", "data": {"a": [1]}}
    assert validator.is_valid(good)
    for change in (
        {"priority": "7"},
        {"priority": True},
        {"due_at": "2026-02-29T09:00:00.000Z"},
        {"due_at": "2028-02-29T24:00:00.000Z"},
        {"title": "a\0b"},
        {"data": {"a": [{"b": 2**64}]}},
        {"role": "smith"},
        {"nonsense": 1},
    ):
        assert not validator.is_valid({**good, **change}), change


def test_the_names_that_a_caller_chooses_are_text_as_well() -> None:
    validator = jsonschema_rs.Draft202012Validator(
        {"$ref": "#/components/schemas/SlotsReport", "components": DOCUMENT["components"]}
    )
    assert validator.is_valid({"schedules": {"\u00f6": []}})
    assert not validator.is_valid({"schedules": {"a\0b": []}})


async def test_what_a_task_answers_is_named_in_full(house: House) -> None:
    """The answer's own parts are in the document: a reader need not guess."""
    attempt = await house.attempt()
    report = {"status": "review", "comment": "c", "output": {"type": "data", "title": "T", "content": "C"}}
    said = (await house.post(f"{attempt.url}/status", attempt.token, report)).json()
    assert said.keys() <= DOCUMENT["components"]["schemas"]["Reported"]["properties"].keys() | {"task"}
    told = (await house.get(f"{attempt.url}?expand=all", await house.operator("read", "r"))).json()
    validator = jsonschema_rs.Draft202012Validator(
        {"$ref": "#/components/schemas/Task", "components": DOCUMENT["components"]}
    )
    validator.validate(told)


async def test_it_is_told_by_a_program_whose_files_were_taken_away_since(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new release may be installed while a daemon runs, which is asked later, and is still of the former one."""
    monkeypatch.setattr(page, "_HERE", tmp_path / "nowhere")
    assert [(await house.client.get(path)).status_code for path in ("/docs", "/openapi.json")] == [200, 200]


@pytest.mark.parametrize(
    ("path", "kind"), [("/openapi.json", "application/json"), ("/docs", "text/html; charset=utf-8")]
)
async def test_it_is_served_to_anyone_and_kept(house: House, path: str, kind: str) -> None:
    first = await house.client.get(path)
    assert (first.status_code, first.headers["content-type"]) == (200, kind)
    assert first.headers["cache-control"] == "no-cache"
    etag = first.headers["etag"]
    again = await house.client.get(path, headers={"if-none-match": f'"other", W/{etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    other = await house.client.get(path, headers={"if-none-match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)
    foreign = await house.client.get(path, headers={"host": "evil.example"})
    assert foreign.status_code == 403


async def test_the_document_that_is_served_is_that_of_the_table(house: House) -> None:
    assert (await house.client.get("/openapi.json")).json() == DOCUMENT
    assert (await house.client.get("/api/contract")).text == (await house.client.get("/docs")).text


class Seen(HTMLParser):
    """What a page holds: its tags, its ids and links, the text of its `pre` and `h3`."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {"pre": [], "h3": [], "style": []}
        self._in: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in self.texts:
            self.texts[tag].append("")
            self._in = tag

    def handle_endtag(self, tag: str) -> None:
        self._in = None if tag == self._in else self._in

    def handle_data(self, data: str) -> None:
        if self._in is not None:
            self.texts[self._in][-1] += data


async def test_the_page_has_a_section_and_a_line_for_every_route(house: House) -> None:
    seen = Seen((await house.client.get("/docs")).text)
    named = {tuple(text.split(" ")) for text in seen.texts["h3"]}
    contract = set(re.findall(r"^### ([A-Z]+) (/\S+)$", CONTRACT.read_text(), re.MULTILINE))
    assert named == contract == {(endpoint.method, endpoint.path) for endpoint in TABLE}
    assert {examples.curl(endpoint) for endpoint in TABLE} <= set(seen.texts["pre"])
    ids = [attributes["id"] for _, attributes in seen.tags if "id" in attributes]
    links = {attributes["href"] for tag, attributes in seen.tags if tag == "a"}
    assert len(ids) == len(set(ids))
    assert links <= {f"#{name}" for name in ids} | {"/openapi.json"}


async def test_the_page_runs_nothing_and_loads_nothing(house: House) -> None:
    answer = await house.client.get("/docs")
    seen = Seen(answer.text)
    assert not {tag for tag, _ in seen.tags} & {"script", "img", "link", "iframe", "form", "object"}
    assert not [name for _, attributes in seen.tags for name in attributes if name.startswith("on") or name == "style"]
    policy = answer.headers.get_list("content-security-policy")
    assert policy == [page.CSP]
    assert "default-src 'none'" in policy[0] and "unsafe" not in policy[0]
    assert seen.texts["style"] == [page.STYLE]


def test_what_a_row_says_cannot_become_markup() -> None:
    evil = "<script>alert(1)</script> `<b>`"
    row = Endpoint("GET", "/x", TABLE[0].handler, ("anyone",), evil)
    text = page.rendered([row], openapi.document([row], "http://127.0.0.1"))
    assert "<script" not in text
    assert "<code>&lt;b&gt;</code>" in text


async def test_a_row_that_says_no_more_than_it_must_is_told_in_full() -> None:
    row = Endpoint("POST", "/api/agents/{agent}/pause", TABLE[0].handler, ("operate",), "Pause it.", TABLE[1].model)
    said = openapi.document([row], "http://127.0.0.1")["paths"][row.path]["post"]
    assert said["responses"]["200"]["content"] == {"application/json": {"schema": {"type": "object"}}}
    assert {"401", "403", "404", "409", "413", "415", "422", "503"} <= said["responses"].keys()
    assert examples.curl(row) == "curl --config $operator --data '' $base/api/agents/writer/pause"


def test_a_line_has_a_number_for_a_part_of_its_path() -> None:
    row = Endpoint(
        "GET", f"{TABLE[0].path.removesuffix('/status')}/outputs/{{output}}", TABLE[0].handler, ("read",), "It."
    )
    assert examples.curl(row) == "curl --config $operator $task/outputs/1"


def test_an_endless_answer_has_a_line_that_ends() -> None:
    row = Endpoint("GET", "/api/x", TABLE[0].handler, ("read",), "As it happens.", media=(examples.STREAM,))
    assert examples.curl(row) == "curl --config $operator --no-buffer --retry 0 --max-time 2 $base/api/x"
    said = openapi.document([row], "http://127.0.0.1")["paths"]["/api/x"]["get"]
    assert list(said["responses"]["200"]["content"]) == [examples.STREAM]


@pytest.mark.parametrize("endpoint", TABLE, ids=IDS)
async def test_each_line_of_the_page_gives_what_the_page_says(served: Served, endpoint: Endpoint) -> None:
    attempt = await prepared(served, endpoint.path)
    if "output" in endpoint.parts:
        report = {"type": "data", "title": "T", "content": "C"}
        assert (await served.house.post(f"{attempt.url}/outputs", attempt.token, report)).json()["outputs"] == [1]
    conf, operator = served.conf(attempt.token), served.conf(await served.house.operator("admin"), "operator.conf")
    for path in (conf, operator, served.folder / ".curlrc"):  # the last is read by lines without a file of their own
        with path.open("a") as file:
            file.write('\nwrite-out = "\\n%{http_code}"\n')
    names = {
        "conf": conf,
        "operator": operator,
        "base": served.base,
        "task": served.base + attempt.url,
        "HOME": served.folder,
        "feed": await served.house.feed(),
    }
    code, out, err = await served.sh("export HOME\n" + examples.curl(endpoint), attempt.workspace, **names)
    endless = examples.STREAM in endpoint.media
    assert code == (28 if endless else 0), out + err
    assert out.rpartition("\n")[2] == str(endpoint.success)
