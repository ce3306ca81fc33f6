"""What a person says about notices: try dead letters again, tell something nobody any more, and try a sink."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from blackboard import dead_letters, notices, people
from blackboard.board import Tx
from blackboard.errors import NotFound
from blackboard.forms import Slug
from blackboard.tokens import identify

Answer = dict[str, Any]


class RetryForm(BaseModel):
    """Which dead letters: those of one notice, or all of one sink."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "anyOf": [
                {"required": ["notice"], "properties": {"notice": {"type": "integer"}}},
                {"required": ["sink"], "properties": {"sink": {"type": "string"}}},
            ]
        },
    )
    notice: Annotated[int | None, Field(ge=1, lt=2**63, description="The dead letters of this notice, ...")] = None
    sink: Annotated[Slug | None, Field(description="... or all of this sink, which is opened again; or both.")] = None

    @model_validator(mode="after")
    def _says_which(self) -> RetryForm:
        if self.notice is None and self.sink is None:
            raise ValueError("say which: notice, or sink, or both")
        return self


class DismissForm(RetryForm):
    """What nobody is to be told any more."""

    notice: Annotated[int | None, Field(ge=1, lt=2**63, description="This notice, dead or waiting, ...")] = None
    sink: Annotated[Slug | None, Field(description="... at this sink only; alone: all dead letters of this sink.")] = (
        None
    )


class TestForm(BaseModel):
    """Which sink is tried."""

    __test__ = False  # it is no test of ours
    model_config = ConfigDict(extra="forbid")
    sink: Annotated[Slug, Field(description="A sink of the configuration.")]


NOTICE = "SELECT 1 FROM notices WHERE id = :notice"
NOT_ROUTED = "SELECT 1 FROM notices WHERE id = :notice AND routed_at IS NULL"


def retry(tx: Tx, token_hash: bytes, notice: int | None, sink: str | None) -> Answer:
    """A person has dead letters tried again. NotFound for a notice that is not on the board."""
    actor, what = _person(tx, token_hash, notice, sink)
    count = dead_letters.retry(tx, notice=notice, sink=sink, actor=actor)
    told = f"{count} dead letters of {what} are tried again" if count else f"nothing of {what} is dead"
    return {"count": count, "next": f"{told}: orchestrator notices tells how they go"}


def dismiss(tx: Tx, token_hash: bytes, notice: int | None, sink: str | None) -> Answer:
    """A person wants a notice, or the dead letters of a sink, told no more. NotFound for a notice that is not on the board."""
    actor, what = _person(tx, token_hash, notice, sink)
    count = dead_letters.dismiss(tx, notice=notice, sink=sink, actor=actor)
    if count:
        each = ", counted for each sink," if sink is None else ""
        gone = "1 notice is" if count == 1 else f"{count} notices{each} are"
        said = f"{gone} told nobody any more ({what}): orchestrator notices --state dismissed lists them"
    elif notice is None:  # what waits for a sink goes by its notice only
        said = f"nothing of {what} is dead: orchestrator notices --sink {sink} tells what waits"
    elif tx.one(NOT_ROUTED, notice=notice) is not None:
        said = f"notice {notice} is not on its way yet, and goes out once the daemon runs: dismiss it then"
    else:
        said = f"nothing of {what} waits or is dead: orchestrator notices list {notice} tells how it went"
    return {"count": count, "next": said}


def _person(tx: Tx, token_hash: bytes, notice: int | None, sink: str | None) -> tuple[str, str]:
    """Who says it, who must be an operator, and what it is about, in words."""
    caller = identify(tx, token_hash)
    people.must_reach(caller, "operate")
    if notice is None:
        return caller.actor, f"sink {sink}"
    if tx.one(NOTICE, notice=notice) is None:
        raise NotFound(f"there is no notice {notice} on this board: `orchestrator notices` lists them")
    return caller.actor, f"notice {notice}" + (f" at sink {sink}" if sink else "")


def test(tx: Tx, token_hash: bytes, sink: str) -> Answer:
    """A person tries a sink: it gets a notice of its own, at once, whatever it wants otherwise."""
    caller = identify(tx, token_hash)
    people.must_reach(caller, "operate")
    made = notices.post(
        tx, key=f"test:{sink}:{tx.now}", kind="test", topic=f"sink:{sink}", title=f"a test of the sink {sink}",
        body=f"{caller.actor} asked for it. Nothing is to be done.", sinks=[sink], urgent=True,
    )  # fmt: skip
    return {"notice": made, "next": f"orchestrator notices --sink {sink} tells how it goes"}
