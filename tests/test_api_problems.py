"""Problems: one status a code, one sentence, nothing from inside."""

from __future__ import annotations

import inspect
import json

import pytest

from api import problems
from api.problems import HttpError
from blackboard import errors, tokens
from blackboard.errors import BlackboardError, IllegalMove, Invalid, NotFound, Unauthorized, Unavailable

NEVER_BY_HTTP = {"error", "bad_board"}  # the base class, and a file that no server runs on


def read(error: BlackboardError) -> dict[str, object]:
    document = json.loads(bytes(problems.answer(error).body))
    assert isinstance(document, dict)
    return document


def test_every_error_of_the_board_has_its_row() -> None:
    codes = {cls.code for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, BlackboardError)}
    assert codes - NEVER_BY_HTTP <= set(problems.KINDS)


@pytest.mark.parametrize(
    ("status", "codes"),
    [
        (401, {"unauthorized"}),
        (404, {"not_found"}),
        (409, {"illegal_move", "fenced", "refused", "conflict"}),
        (413, {"too_large"}),
        (415, {"unsupported"}),
        (422, {"invalid", "key_reused"}),
        (503, {"unavailable"}),
    ],
)
def test_each_status_has_one_meaning(status: int, codes: set[str]) -> None:
    assert {code for code, kind in problems.KINDS.items() if kind.status == status} == codes


def test_a_problem_is_whole_and_its_facts_stand_beside_it() -> None:
    answer = problems.answer(IllegalMove("hand it in first", found="claimed", allowed=["submit", "fail"]))
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert json.loads(bytes(answer.body)) == {
        "type": "urn:blackboard:problem:illegal_move",
        "title": "Not from this state",
        "status": 409,
        "code": "illegal_move",
        "detail": "hand it in first",
        "found": "claimed",
        "allowed": ["submit", "fail"],
    }


def test_a_fact_never_replaces_a_member_of_the_standard() -> None:
    document = read(Invalid("no", status=200, title="fine", detail="fine", code="fine", type="fine", instance="x"))
    assert (document["status"], document["code"], document["detail"]) == (422, "invalid", "no")


def test_a_terminal_shows_the_sentence_on_its_own_line() -> None:
    assert bytes(problems.answer(NotFound("no task 7")).body).endswith(b"}\n")


def test_no_token_leaves_by_a_sentence_or_a_fact() -> None:
    token = tokens.mint()
    body = bytes(problems.answer(Invalid(f"what is {token}", echo={"deep": [token]})).body)
    assert token.encode() not in body
    assert b"bbt_***" in body


def test_401_says_how_to_answer_it() -> None:
    assert problems.answer(Unauthorized("who?")).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(("after", "header"), [(0, "1"), (5, "5"), (0.2, "1"), (61.5, "62")])
def test_503_says_when_in_whole_seconds_and_never_at_once(after: float, header: str) -> None:
    assert problems.answer(Unavailable("later", retry_after=after)).headers["retry-after"] == header  # type: ignore[arg-type]


def test_a_code_without_a_row_is_our_mistake_and_says_nothing() -> None:
    class Odd(BlackboardError):
        code = "odd"

    document = read(Odd("a secret path", fact="a secret"))
    assert (document["status"], document["code"]) == (500, "internal")
    assert "secret" not in json.dumps(document)


def test_text_that_is_not_unicode_does_not_break_the_answer() -> None:
    assert read(Invalid("odd \ud800 text"))["status"] == 422


def test_an_http_error_brings_its_headers() -> None:
    answer = problems.answer(HttpError("method_not_allowed", "use GET", {"allow": "GET, HEAD"}))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
