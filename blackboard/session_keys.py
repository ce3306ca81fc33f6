"""Session keys: which conversation of an agent a run belongs to, as typed values with one text each.

`str()` builds, `parse` reads; each text has one reading. Segments never hold `:`, are compared exactly, and are
refused rather than rewritten. Pure: the clock and the counter of a heartbeat's run are handed in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from blackboard.errors import Invalid

Scope = Literal["attempt", "task", "slot", "project", "agent"]


class Kind(StrEnum):
    """What a session is for."""

    GLOBAL = "global"
    MAIN = "main"
    DIRECT = "direct"
    GROUP = "group"
    SUBAGENT = "subagent"
    TEAM = "team"
    CRON = "cron"
    HEARTBEAT = "heartbeat"
    EXPLICIT = "explicit"
    WORK = "work"  # of this orchestrator: what its attempts run in


# What follows `agent:AGENT:`, in the order of reading. Two forms of one kind differ in their fields.
FORMS: tuple[tuple[Kind, str], ...] = (
    (Kind.HEARTBEAT, "heartbeat"),
    (Kind.HEARTBEAT, "heartbeat:{at_ms}"),
    (Kind.HEARTBEAT, "heartbeat:{at_ms}-{sequence}"),
    (Kind.SUBAGENT, "subagent:{label}"),
    (Kind.TEAM, "team:{team}:{chat}"),
    (Kind.CRON, "cron:{job}"),
    (Kind.EXPLICIT, "explicit:{session}"),
    (Kind.DIRECT, "direct:{peer}"),
    (Kind.DIRECT, "{channel}:direct:{peer}"),
    (Kind.DIRECT, "{channel}:direct:{peer}:thread:{thread}"),
    (Kind.DIRECT, "{channel}:{account}:direct:{peer}"),
    (Kind.GROUP, "{channel}:group:{group}"),
    (Kind.GROUP, "{channel}:group:{group}:topic:{topic}"),
    (Kind.WORK, "bb-{board}"),
    (Kind.WORK, "bb-{board}-t{task}"),
    (Kind.WORK, "bb-{board}-t{task}-a{attempt}"),
    (Kind.WORK, "bb-{board}-s{slot}"),
    (Kind.WORK, "bb-{board}-p-{project}"),
    (Kind.MAIN, "{name}"),
)
RESERVED = frozenset({
    "agent", "global", "unknown", "heartbeat", "subagent", "team", "cron", "explicit", "direct", "group", "thread", "topic",
})  # fmt: skip
_WORD = "[!-9;-~]{1,200}"  # printable ASCII without a blank or a colon
_NUMBER = "0|[1-9][0-9]{0,17}"
_ID = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"  # of our agents and projects
_FREE = f"(?!(?i:{'|'.join(sorted(RESERVED))})(?::|$))(?!bb-){_WORD}"  # where a word of ours would be read otherwise
PATTERNS: Mapping[str, str] = {
    **dict.fromkeys(("at_ms", "sequence", "thread", "topic", "task", "attempt", "slot"), _NUMBER),
    **dict.fromkeys(("label", "team", "chat", "job", "session", "peer", "group"), _WORD),
    **dict.fromkeys(("channel", "account", "name"), _FREE),
    "board": "[0-9a-f]{16}",
    "project": _ID,
}
_FIELD = re.compile(r"\{(\w+)\}")


def fields_of(form: str) -> tuple[str, ...]:
    """The fields of a form, in its order."""
    return tuple(_FIELD.findall(form))


def _reader(form: str) -> re.Pattern[str]:
    return re.compile(_FIELD.sub(lambda found: f"(?P<{found[1]}>{PATTERNS[found[1]]})", form), re.ASCII)


_READERS = tuple((kind, form, _reader(form)) for kind, form in FORMS)


@dataclass(frozen=True)
class SessionKey:
    """One session. `fields` are the form's, as text; Invalid when no form of the kind has these, or one is malformed."""

    kind: Kind
    agent: str
    fields: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if parse(str(self)) != self:
            raise Invalid(f"{str(self)!r} would be read as another session: no form has these words")

    def __str__(self) -> str:
        return "global" if self.kind is Kind.GLOBAL else f"agent:{self.agent}:{_rest(self.kind, dict(self.fields))}"

    def __getitem__(self, field: str) -> str:
        return dict(self.fields)[field]


def key(kind: Kind, agent: str = "", **fields: str | int) -> SessionKey:
    """Build a key: `key(Kind.CRON, "ada", job="nightly")`; Invalid says what is wrong with which word."""
    if kind is not Kind.GLOBAL:
        _checked("agent", agent, _ID)
    for name, value in fields.items():
        if name in PATTERNS:
            _checked(name, str(value), PATTERNS[name])
    form = next((form for each, form in FORMS if each is kind and set(fields_of(form)) == fields.keys()), "")
    if not form and (fields or kind is not Kind.GLOBAL):
        _no_form(kind, fields)
    return SessionKey(kind, agent, tuple((name, str(fields[name])) for name in fields_of(form)))


def _rest(kind: Kind, fields: Mapping[str, str]) -> str:
    for each, form in FORMS:
        if each is kind and set(fields_of(form)) == fields.keys():
            return form.format_map(fields)
    return _no_form(kind, fields)


def _no_form(kind: Kind, fields: Mapping[str, object]) -> str:
    known = "; ".join(", ".join(fields_of(form)) or "nothing" for each, form in FORMS if each is kind)
    raise Invalid(
        f"a {kind} session is not made of {', '.join(sorted(fields)) or 'nothing'}: it takes {known or 'nothing'}"
    )


def _checked(name: str, value: str, pattern: str) -> None:
    if re.fullmatch(pattern, value, re.ASCII) is None:
        raise Invalid(
            f"{value[:80]!r} cannot be the {name} of a session key: no colon, no blank, nothing but printable ASCII, and "
            "no word that means something else there"
        )


def parse(text: str) -> SessionKey:
    """Read a key; Invalid for anything that is not exactly one of the forms."""
    if text == "global":
        return _made(Kind.GLOBAL, "", ())
    prefix, _, beyond = text.partition(":")
    agent, _, rest = beyond.partition(":")
    if prefix != "agent" or re.fullmatch(_ID, agent, re.ASCII) is None:
        raise Invalid(f"{text[:80]!r} is no session key: one begins with agent:NAME:, the name as agents are called")
    for kind, form, reader in _READERS:
        if found := reader.fullmatch(rest):
            return _made(kind, agent, tuple((name, found[name]) for name in fields_of(form)))
    raise Invalid(f"{text[:80]!r} is no session key: nothing is called {rest[:80]!r}")


def _made(kind: Kind, agent: str, fields: tuple[tuple[str, str], ...]) -> SessionKey:
    """What was just read needs no second reading."""
    made = object.__new__(SessionKey)
    for name, value in (("kind", kind), ("agent", agent), ("fields", fields)):
        object.__setattr__(made, name, value)
    return made


def of_work(
    scope: Scope, agent: str, board: str, *, project: str, task: int, attempt: int, slot: int | None
) -> SessionKey:
    """The session an attempt runs in. `slot`: one for all tasks of a series; a task without one has its own."""
    if scope == "attempt":
        return key(Kind.WORK, agent, board=board, task=task, attempt=attempt)
    if scope == "slot" and slot is not None:
        return key(Kind.WORK, agent, board=board, slot=slot)
    if scope == "project":
        return key(Kind.WORK, agent, board=board, project=project)
    if scope == "agent":
        return key(Kind.WORK, agent, board=board)
    return key(Kind.WORK, agent, board=board, task=task)
