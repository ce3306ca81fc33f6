"""Bodies: JSON, a form or raw bytes say the same, byte for byte; what cannot be read or kept is one sentence."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from api import bodies
from api.problems import HttpError
from blackboard.errors import Invalid


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str = ""
    content: str | None = None


class Report(BaseModel):
    model_config = ConfigDict(extra="forbid")
    status: Literal["working", "review"] = "working"
    detail: str | None = None
    final: bool = False
    priority: int = 5
    needs: list[int] = []
    data: dict[str, Any] = {}
    output: Part | None = None


AS_JSON, AS_FORM, AS_TEXT = b"application/json", b"application/x-www-form-urlencoded", b"text/plain"
HARD = 'it\'s "quoted" $(touch /tmp/x) `id` \\n real\nnewline\r\n\ttab 100% a+b&c=d;e 🎉 \u202e é ﷽ </script> {{x}} \x7f\x01'


def parse(body: bytes = b"", kind: bytes = AS_JSON, query: bytes = b"", main: str | None = "detail") -> Report:
    headers = {b"content-type": kind} if kind else {}
    return bodies.parse(Report, main, headers, query, body)


def refused(body: bytes = b"", kind: bytes = AS_JSON, query: bytes = b"", main: str | None = "detail") -> str:
    with pytest.raises(Invalid) as caught:
        parse(body, kind, query, main)
    assert "\n" not in caught.value.sentence
    return caught.value.sentence


@pytest.mark.parametrize(
    "kind",
    [
        b"application/json",
        b"application/json; charset=utf-8",
        b'Application/JSON;charset="UTF-8"',
        b"application/merge-patch+json",
        b"application/x-www-form-urlencoded",  # curl -d '{…}' without a header
    ],
)
def test_json_by_each_of_its_names(kind: bytes) -> None:
    assert parse(b'{"status": "review", "needs": [1, 2]}', kind) == Report(status="review", needs=[1, 2])


def test_a_form_names_inner_fields_with_a_dot_and_repeats_lists() -> None:
    report = parse(b"status=review&final=true&priority=7&needs=1&needs=2&output.title=T&output.content=C", AS_FORM)
    assert report == Report(status="review", final=True, priority=7, needs=[1, 2], output=Part(title="T", content="C"))


@pytest.mark.parametrize("kind", [b"text/plain", b"text/markdown;charset=UTF-8", b"application/octet-stream", b""])
def test_a_raw_body_fills_the_main_field_and_the_query_the_others(kind: bytes) -> None:
    assert parse(b"line\n", kind, b"status=review&needs=3") == Report(status="review", detail="line\n", needs=[3])


@pytest.mark.parametrize("kind", [b"", AS_JSON, AS_FORM, AS_TEXT])
def test_no_body_at_all_leaves_the_fields_to_the_query(kind: bytes) -> None:
    assert parse(b"", kind, b"status=review") == Report(status="review")


def test_hard_text_survives_each_way() -> None:
    form = f"detail={quote_plus(HARD)}".encode()
    assert parse(form, AS_FORM).detail == HARD
    assert parse(HARD.encode(), AS_TEXT).detail == HARD
    assert parse(b"", AS_TEXT, f"detail={quote(HARD)}".encode()).detail == HARD
    assert parse(Report(detail=HARD).model_dump_json().encode()).detail == HARD


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_survives_each_way(text: str) -> None:
    assert (parse(text.encode(), AS_TEXT).detail or "") == text
    assert parse(urlencode({"detail": text}).encode(), AS_FORM).detail == text
    assert parse(Report(detail=text).model_dump_json().encode()).detail == text


@given(st.binary(max_size=200), st.sampled_from([AS_JSON, AS_FORM, AS_TEXT, b""]), st.binary(max_size=60))
def test_any_bytes_are_a_report_or_one_sentence(body: bytes, kind: bytes, query: bytes) -> None:
    try:
        parse(body, kind, query)
    except Invalid as error:
        assert error.sentence


UNREADABLE = [
    b"{",
    b"[]",
    b'"text"',
    b"null",
    b"1",
    b'{"status": "working"} x',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00",
    b'{"detail": "\xff"}',
    b'{"detail": "\xed\xa0\x80"}',
    b'{"detail": "\\ud800"}',
    b'{"detail": "\\udc00 \\ud800x"}',
    b'{"detail": "\\u0000"}',
    b'{"data": {"\\u0000": 1}}',
    b'{"data": {"deep": ["\\u0000"]}}',
    b'{"priority": NaN}',
    b'{"priority": Infinity}',
    b'{"data": {"x": -Infinity}}',
    b'{"data": {"x": 1e999}}',
    b'{"priority": 9223372036854775808}',
    b'{"data": {"x": [-9223372036854775809]}}',
    b'{"priority": ' + b"9" * 5000 + b"}",
    b'{"data": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    b'{"data": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
    b"[" * 100_000,
    b'{"status": "sleeping"}',
    b'{"status": 5}',
    b'{"priority": 1.5}',
    b'{"priority": "many"}',
    b'{"needs": "1"}',
    b'{"needs": [[1]]}',
    b'{"nonsense": 1}',
    b'{"output": {"nonsense": 1}}',
    b'{"output": []}',
]


@pytest.mark.parametrize("body", UNREADABLE, ids=lambda body: repr(body[:40]))
def test_json_that_cannot_be_read_or_kept_is_one_sentence(body: bytes) -> None:
    assert len(refused(body)) < 1000


@pytest.mark.parametrize(
    "body",
    [
        b"status=review%",
        b"detail=100% done",
        b"detail=%zz",
        b"detail=%4",
        b"detail=%ff",
        b"detail=%ED%A0%80",
        b"detail=\xff",
        b"detail=%00",
        b"%00=1",
        b"nonsense=1",
        b"just text",
        b"status=review&status=working",
        b"output=x&output.title=y",
        b"output.title=y&output=x",
        b"output.title=y&output.title=z",
        b"output.a.b=1",
        b".=1",
        b"=1",
        b"priority=many",
        b"priority=" + b"9" * 5000,
        b"&".join(b"x%d=1" % n for n in range(200)),
    ],
    ids=lambda body: repr(body[:40]),
)
def test_a_form_or_query_that_cannot_be_read_is_one_sentence(body: bytes) -> None:
    assert len(refused(body, AS_FORM)) < 1000
    assert len(refused(b"", b"", body)) < 1000


@pytest.mark.parametrize("body", [b"\xff", b"ok \xed\xa0\x80", b"\x00", b"a\x00b"])
def test_a_raw_body_that_is_no_text_is_one_sentence(body: bytes) -> None:
    assert refused(body, AS_TEXT)


@pytest.mark.parametrize(("body", "kind"), [(b'{"detail": "a"}', AS_JSON), (b"detail=a", AS_FORM), (b"a", AS_TEXT)])
def test_a_field_in_the_query_and_in_the_body_is_refused(body: bytes, kind: bytes) -> None:
    assert "`detail`" in refused(body, kind, b"detail=b")


@pytest.mark.parametrize(
    "kind",
    [
        b"multipart/form-data; boundary=x",
        b"application/xml",
        b"image/png",
        b"text/plain; charset=latin-1",
        b"application",
    ],
)
def test_other_kinds_of_body_are_unsupported(kind: bytes) -> None:
    with pytest.raises(HttpError) as caught:
        parse(b"x", kind)
    assert caught.value.code == "unsupported"


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"identity, gzip"])
def test_a_compressed_body_is_unsupported(encoding: bytes) -> None:
    with pytest.raises(HttpError) as caught:
        bodies.parse(Report, "detail", {b"content-encoding": encoding}, b"", b"x")
    assert caught.value.code == "unsupported"


def test_a_raw_body_where_it_makes_no_sense_is_unsupported() -> None:
    with pytest.raises(HttpError) as caught:
        parse(b"x", AS_TEXT, main=None)
    assert caught.value.code == "unsupported"


def test_an_unknown_field_is_answered_with_the_known_ones_and_how_to_send_other_bodies() -> None:
    sentence = refused(b"# Report about things", AS_FORM)
    assert "status, detail, final" in sentence
    assert "--data-urlencode" in sentence


def test_a_wrong_value_is_named_but_not_repeated() -> None:
    with pytest.raises(Invalid) as caught:
        parse(b'{"status": "my-secret", "priority": "another-secret"}')
    assert "`status` should be 'working' or 'review'" in caught.value.sentence
    assert "secret" not in caught.value.sentence + repr(caught.value.facts)
    assert caught.value.facts["errors"] == [
        {"field": "status", "problem": "should be 'working' or 'review'"},
        {"field": "priority", "problem": "should be a valid integer"},
    ]


async def test_a_body_in_parts_is_one_body() -> None:
    parts = [b"a", b"", b"b" * 1000, b"c"]
    messages = [{"type": "http.request", "body": part, "more_body": number < 4} for number, part in enumerate(parts, 1)]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    assert await bodies.receive_all(receive) == b"".join(parts)
