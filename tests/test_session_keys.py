"""Session keys: every form is built and read back, and nothing else is read.

The forms are those of agent gateways, so that a key can be handed over as it is; `work` is our own.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blackboard.errors import Invalid
from blackboard.session_keys import FORMS, PATTERNS, RESERVED, Kind, Scope, SessionKey, fields_of, key, of_work, parse
from tests.daemon import House

BOARD = "0123456789abcdef"

# text: what it means
READ = {
    "global": key(Kind.GLOBAL),
    "agent:ada:main": key(Kind.MAIN, "ada", name="main"),
    "agent:ada:telegram:direct:4711": key(Kind.DIRECT, "ada", channel="telegram", peer="4711"),
    "agent:ada:direct:4711": key(Kind.DIRECT, "ada", peer="4711"),
    "agent:ada:telegram:home:direct:4711": key(Kind.DIRECT, "ada", channel="telegram", account="home", peer="4711"),
    "agent:ada:telegram:direct:47:thread:9": key(Kind.DIRECT, "ada", channel="telegram", peer="47", thread=9),
    "agent:ada:telegram:group:-100123456": key(Kind.GROUP, "ada", channel="telegram", group="-100123456"),
    "agent:ada:telegram:group:-1:topic:3": key(Kind.GROUP, "ada", channel="telegram", group="-1", topic=3),
    "agent:ada:subagent:look": key(Kind.SUBAGENT, "ada", label="look"),
    "agent:ada:team:t1:c2": key(Kind.TEAM, "ada", team="t1", chat="c2"),
    "agent:ada:cron:nightly": key(Kind.CRON, "ada", job="nightly"),
    "agent:ada:heartbeat": key(Kind.HEARTBEAT, "ada"),
    "agent:ada:heartbeat:1790000000000": key(Kind.HEARTBEAT, "ada", at_ms=1790000000000),
    "agent:ada:heartbeat:1790000000000-2": key(Kind.HEARTBEAT, "ada", at_ms=1790000000000, sequence=2),
    "agent:ada:explicit:8c1f": key(Kind.EXPLICIT, "ada", session="8c1f"),
    f"agent:ada:bb-{BOARD}-t7-a2": key(Kind.WORK, "ada", board=BOARD, task=7, attempt=2),
}


@pytest.mark.parametrize("text", READ)
def test_every_form_is_read_and_built(text: str) -> None:
    assert parse(text) == READ[text]
    assert str(READ[text]) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "agent", "agent:ada", "agent:ada:", "agent::main", "agents:ada:main", "Agent:ada:main", "unknown",
        "agent:a b:main", "agent:ada:one:two", "agent:ada:cron:", "agent:ada:cron:a:b", "agent:ada:cron:agent:eve:cron:1",
        "agent:ada:telegram:direct:", "agent:ada:telegram:direct:4:thread:x", "agent:ada:telegram:direct:4:thread:07",
        "agent:ada:telegram:group:-1:topic:", "agent:ada:team:t1", "agent:ada:heartbeat:soon", "agent:ada:heartbeat:1-2-3",
        "agent:ada:Cron:nightly", "agent:ada:CRON", "agent:ada:direct", "agent:ada:main\n", "agent:ada:m\u00e4in",
        f"agent:ada:bb-{BOARD}-t7-a", "agent:ada:bb-1-t7", f"agent:ada:bb-{BOARD.upper()}-t7",
    ],
)  # fmt: skip
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse(text)


def test_a_word_with_a_colon_is_refused_and_never_read_as_another() -> None:
    for kind, name in ((Kind.CRON, "job"), (Kind.DIRECT, "peer"), (Kind.SUBAGENT, "label")):
        with pytest.raises(Invalid, match="no colon"):
            key(kind, "ada", **{name: "agent:eve:cron:1"})
    with pytest.raises(Invalid, match="agent of a session key"):
        key(Kind.CRON, "ada:cron", job="1")


def test_words_that_begin_alike_are_told_apart() -> None:
    assert parse("agent:ada:heartbeats-report").kind is Kind.MAIN
    assert parse("agent:ada:cronical").kind is Kind.MAIN


def test_two_accounts_are_two_sessions() -> None:
    one = key(Kind.DIRECT, "ada", channel="telegram", account="home", peer="1")
    two = key(Kind.DIRECT, "ada", channel="telegram", account="work", peer="1")
    assert str(one) != str(two)


def test_the_four_scopes_of_a_direct_conversation_are_four_sessions() -> None:
    made = [
        key(Kind.MAIN, "ada", name="main"),
        key(Kind.DIRECT, "ada", peer="1"),
        key(Kind.DIRECT, "ada", channel="telegram", peer="1"),
        key(Kind.DIRECT, "ada", channel="telegram", account="home", peer="1"),
    ]
    assert len({str(each) for each in made}) == 4
    assert [parse(str(each)) for each in made] == made


def test_a_kind_is_told_by_its_whole_segment() -> None:
    for kind, text in (
        (Kind.TEAM, "team:t1:c1"),
        (Kind.SUBAGENT, "subagent:x"),
        (Kind.CRON, "cron:x"),
        (Kind.HEARTBEAT, "heartbeat"),
    ):
        assert parse(f"agent:ada:{text}").kind is kind
        assert parse(f"agent:ada:x{text.partition(':')[0]}").kind is Kind.MAIN
        with pytest.raises(Invalid):
            parse(f"agent:ada:{text}:{text}")


def test_a_form_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(Invalid, match="it takes job"):
        key(Kind.CRON, "ada", label="x")
    with pytest.raises(Invalid, match="no session key"):
        SessionKey(Kind.MAIN, "ada", (("name", "cron"),))


@pytest.mark.parametrize(
    ("scope", "slot", "rest"),
    [
        ("attempt", 3, "t7-a2"), ("task", 3, "t7"), ("slot", 3, "s3"), ("slot", None, "t7"), ("project", 3, "p-team.a"),
    ],
)  # fmt: skip
def test_the_scope_says_what_is_one_session(scope: Scope, slot: int | None, rest: str) -> None:
    made = of_work(scope, "ada", BOARD, project="team.a", task=7, attempt=2, slot=slot)
    assert str(made) == f"agent:ada:bb-{BOARD}-{rest}"
    whole = of_work("agent", "ada", BOARD, project="team.a", task=7, attempt=2, slot=slot)
    assert str(whole) == f"agent:ada:bb-{BOARD}"


_FORM = st.sampled_from(FORMS)


@given(st.data(), _FORM, st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True))
def test_what_is_built_is_read_back(data: st.DataObject, form: tuple[Kind, str], agent: str) -> None:
    kind, shape = form
    fields = {
        name: data.draw(st.from_regex(f"(?a:{PATTERNS[name]})", fullmatch=True), name) for name in fields_of(shape)
    }
    made = key(kind, agent, **fields)
    assert parse(str(made)) == made
    assert made.kind is kind


@given(st.text(max_size=60) | st.lists(st.sampled_from(["agent", "ada", ":", "main", "", *RESERVED])).map("".join))
def test_whatever_is_read_is_said_the_same(text: str) -> None:
    with contextlib.suppress(Invalid):
        assert str(parse(text)) == text


def test_an_attempt_is_told_its_session_and_it_is_on_the_board(tmp_path: Path) -> None:
    house = House(tmp_path / "house")
    script = "echo $3 > key; echo hello > out.txt; bb output document T out.txt && bb submit\n"
    house.agent("keeps", script, session_scope="task")
    house.agents["keeps"]["argv"].append("{session_key}")
    try:
        house.start()
        task = house.post("keeps")
        house.reaches(task, "done")
        board = house.value("SELECT value FROM meta WHERE key = 'board_id'")
        assert (house.workspace(task) / "key").read_text() == f"agent:keeps:bb-{board}-t{task}\n"
        assert house.attempts(task)[0]["session_key"] == f"agent:keeps:bb-{board}-t{task}"
    finally:
        house.ends()
