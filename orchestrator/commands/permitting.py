"""`permission`: what agents may change beyond their own tasks: granting, denying and revoking it, the list, and why.

Changes go by whichever road is open (orchestrator/roads.py); the list and the test read the file itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from orchestrator import exits
from orchestrator.commands.frame import Call, command

if TYPE_CHECKING:
    from blackboard.permissions import Type

COLUMNS = {
    "permission": "number", "subject": "who", "effect": "may", "type": "what", "scope": "whose", "by": "by", "created_at": "granted",
    "revoked_at": "revoked",
}  # fmt: skip
TAKES = {
    "grant": ("WHO", "WHAT", "WHOSE"),
    "deny": ("WHO", "WHAT", "WHOSE"),
    "revoke": ("NUMBER",),
    "list": (),
    "test": ("AGENT", "WHAT", "TARGET"),
}


@command("permission", short_help="What agents may change: grant, deny, revoke NUMBER, list, test.")
@click.argument("what", type=click.Choice(list(TAKES)))
@click.argument("words", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="list: the revoked ones too.")
def permission(call: Call, what: str, words: tuple[str, ...], everything: bool) -> None:
    """What agents may change beyond their own tasks.

    \b
    permission grant WHO WHAT WHOSE
    permission deny WHO WHAT WHOSE
    permission revoke NUMBER
    permission list [--all]
    permission test AGENT WHAT TARGET

    WHO is agent:ID, or group:ROLE for all that have a role. WHAT is heartbeat, checklist, slots, presence, or '*'.
    WHOSE is self, agent:ID, group:ROLE, 'agent:*', 'group:*' (whoever has a role), or '*'. A deny goes before an allow, and
    what is said of an agent before what is said of its roles. `test` asks whether AGENT may, and exits with 1 if not.
    """
    takes = TAKES[what]
    if len(words) != len(takes):
        raise exits.Exit(f"say: {' '.join(('orchestrator permission', what, *takes))}", exits.USAGE)
    if everything and what != "list":
        raise exits.Exit("--all goes with: orchestrator permission list", exits.USAGE)
    if what == "list":
        _list(call, everything)
    elif what == "test":
        _test(call, words)
    elif what == "revoke":
        _revoke(call, words[0])
    else:
        _grant(call, words, "allow" if what == "grant" else "deny")


def _grant(call: Call, words: Sequence[str], effect: str) -> None:
    from pydantic import ValidationError

    from blackboard import grants
    from orchestrator import roads

    body: dict[str, Any] = {**dict(zip(("subject", "type", "scope"), words, strict=True)), "effect": effect}
    try:
        form = grants.PermissionForm.model_validate(body)
    except ValidationError as error:
        wrong = str(error.errors()[0]["loc"][0])
        raise exits.Exit(f"{body[wrong]!r} is not {_WANTED[wrong]}", exits.USAGE) from None
    said = roads.write(call.settings, "/api/permissions", body, lambda tx, caller: grants.grant(tx, caller, form))
    call.screen.answer(said, [said["next"]])


_WANTED = {
    "subject": "agent:ID or group:ROLE: say who may",
    "type": "heartbeat, checklist, slots, presence or '*': say what",
    "scope": "self, agent:ID, group:ROLE, 'agent:*', 'group:*' or '*': say whose",
}


def _revoke(call: Call, number: str) -> None:
    from blackboard import grants
    from orchestrator import roads

    if not (number.isascii() and number.isdecimal() and len(number) <= 18 and not number.startswith("0")):
        raise exits.Exit(f"{number!r} is no permission: `orchestrator permission list` numbers them", exits.NOT_FOUND)
    said = roads.write(
        call.settings,
        f"/api/permissions/{number}/revoke",
        {},
        lambda tx, caller: grants.revoke(tx, caller, int(number)),
    )
    call.screen.answer(said, [said["next"]])


def _list(call: Call, everything: bool) -> None:
    from blackboard import grants

    with call.board() as board:
        rows = grants.listed(board, everything=everything)
    columns = {key: head for key, head in COLUMNS.items() if everything or key != "revoked_at"}
    empty = "nothing is granted or denied: agents say where they stand themselves, and change nothing else"
    call.screen.table(rows, columns, empty=empty)


def _test(call: Call, words: Sequence[str]) -> None:
    from blackboard import grants, permissions

    agent, what, target = words
    if what not in permissions.TYPES:
        raise exits.Exit(f"{what!r} is not {', '.join(permissions.TYPES)}: say what", exits.USAGE)
    type: Type = what
    with call.board() as board:
        found = grants.tested(board, agent, type, target)
    whose = "its own" if agent == target else f"agent {target}'s"
    may = "may" if found["allowed"] else "may not"
    call.screen.answer(found, [f"agent {agent} {may} change {whose} {what}: {found['because']}"])
    if not found["allowed"]:
        raise SystemExit(exits.FAILED)


COMMANDS = (permission,)
