"""`token`: tokens and feed addresses that hold until they are revoked. The token is minted here and shown once.

Only its hash goes to the board, by whichever road is open. A file with the token is there before the board knows it, so
that whatever dies in between, the same command again goes on with the same token.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from blackboard.errors import BlackboardError
from orchestrator import exits
from orchestrator.commands.completing import agents as agent_names
from orchestrator.commands.frame import FILE, Call, command

if TYPE_CHECKING:
    from orchestrator.config import Settings

COLUMNS = {
    "name": "name", "kind": "kind", "agent": "agent", "scope": "may", "created_at": "made", "revoked_at": "revoked",
}  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_HELD = re.compile(r"bbt_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])", re.ASCII)
ALL = ""  # of a feed: everybody's


@command("token", short_help="Make, list and revoke tokens and calendar feeds: new, list, revoke NAME.")
@click.argument("what", type=click.Choice(["new", "list", "revoke"]))
@click.argument("name", required=False)
@click.option("--agent", help="new: a token for this agent.", shell_complete=agent_names)
@click.option("--operator", metavar="NAME", help="new: a token for this person or program.")
@click.option(
    "--may", type=click.Choice(["read", "operate", "admin"]), help="new --operator: what it may; read unless said."
)
@click.option(
    "--feed", is_flag=False, flag_value=ALL, metavar="[AGENT]", help="new: the address of a calendar feed, of one agent or of all.",
    shell_complete=agent_names,
)  # fmt: skip
@click.option("--out", type=FILE, metavar="FILE", help="new: keep it in this file, for you only, and do not show it.")
@click.option("--all", "everything", is_flag=True, help="list: the revoked ones too.")
def token(
    call: Call, what: str, name: str | None, agent: str | None, operator: str | None, may: str | None, feed: str | None,
    out: Path | None, everything: bool,
) -> None:  # fmt: skip
    """Tokens and calendar feeds that hold until they are revoked.

    \b
    token new --operator NAME [--may read|operate|admin]
    token new --agent AGENT [NAME]
    token new --feed [AGENT] [NAME]
    token list [--all]
    token revoke NAME

    A token is shown once, when it is made: the board keeps its hash. NAME tells it from others, and is that of the agent
    unless said. A feed's address opens that feed and nothing else.
    """
    if what == "new":
        if everything:
            raise exits.Exit("--all goes with: orchestrator token list", exits.USAGE)
        _new(call, _wish(name, agent, operator, may, feed), out)
        return
    if any(each is not None for each in (agent, operator, may, feed, out)):
        raise exits.Exit("--agent, --operator, --may, --feed and --out go with: orchestrator token new", exits.USAGE)
    if what == "list":
        if name is not None:
            raise exits.Exit(f"token list takes no name: to revoke it, orchestrator token revoke {name}", exits.USAGE)
        _list(call, everything)
    elif everything or name is None:
        raise exits.Exit("say which one: orchestrator token revoke NAME; token list names them", exits.USAGE)
    else:
        _revoke(call, name)


def _wish(
    name: str | None, agent: str | None, operator: str | None, may: str | None, feed: str | None
) -> dict[str, Any]:
    """What is to be made, as the board is told, but for the hash."""
    if sum(each is not None for each in (agent, operator, feed)) != 1:
        raise exits.Exit(
            "say for whom: --agent AGENT, --operator NAME or --feed [AGENT], exactly one of them", exits.USAGE
        )
    if may is not None and operator is None:
        raise exits.Exit("--may goes with --operator: an agent's token and a feed have their one right", exits.USAGE)
    if operator is not None:
        if name is not None:
            raise exits.Exit("--operator gives the name: leave the other one out", exits.USAGE)
        wish: dict[str, Any] = {"kind": "operator", "name": operator, "scope": may or "read"}
    elif agent is not None:
        wish = {"kind": "agent", "name": name or agent, "agent": agent}
    else:
        wish = {"kind": "feed", "name": name or f"feed-{feed or 'all'}", "agent": feed or None}
    for text in filter(None, (wish["name"], wish.get("agent"))):
        if _NAME.fullmatch(text) is None:
            raise exits.Exit(f"{text!r} is no name: letters, digits, dots, dashes, at most 64", exits.USAGE)
    return wish


def _new(call: Call, wish: dict[str, Any], out: Path | None) -> None:
    from blackboard import tokens

    made = out is not None and _made(out, wish, call.settings)
    secret = _held(out) if out is not None else tokens.mint()
    try:
        said = _known(call.settings, wish, secret)
    except (BlackboardError, exits.Exit) as error:
        no = isinstance(error, BlackboardError) or error.code in (exits.REFUSED, exits.NOT_FOUND, exits.USAGE)
        if made and no and out is not None:  # anything else may have been done: the file is the way to go on with it
            out.unlink()
        raise
    value = {name: said[name] for name in ("name", "kind", "agent", "scope", "new")}
    lines = [said["next"]]
    if out is not None:
        value["file"] = str(out)
        lines.append(f"in {out}, for you only")
    else:
        value["token"] = secret
        lines.append("shown once, here:" if wish["kind"] != "feed" else "its address, shown once, here:")
    if wish["kind"] == "feed" and out is None:
        value["url"] = _url(call.settings, secret)
    call.screen.answer(value, [*lines, *([] if out is not None else [value.get("url", secret)])])


def _made(file: Path, wish: dict[str, Any], settings: Settings) -> bool:
    """Have the file there, for this user only and with a new token; whether it was not there before."""
    from blackboard import tokens
    from orchestrator import operator_token

    secret = tokens.mint()
    try:
        return operator_token.made(file, _url(settings, secret) if wish["kind"] == "feed" else secret)
    except OSError as error:
        raise exits.Exit(f"{file} cannot be written: {error.strerror}") from error


def _held(file: Path) -> str:
    """The token that a file holds, alone or in an address."""
    try:
        found = _HELD.findall(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise exits.Exit(f"{file} cannot be read: {error}") from error
    if len(found) != 1:
        raise exits.Exit(f"{file} exists and holds no token: name another file, or move it away", exits.REFUSED)
    return str(found[0])


def _known(settings: Settings, wish: dict[str, Any], secret: str) -> dict[str, Any]:
    """Have its hash on the board."""
    from blackboard import standing_tokens, tokens
    from orchestrator import roads

    digest = tokens.feed_digest(secret) if wish["kind"] == "feed" else tokens.digest(secret)
    body = {**{name: value for name, value in wish.items() if value is not None}, "hash": digest.hex()}
    form = standing_tokens.TokenForm.model_validate(body)
    return roads.write(settings, "/api/tokens", body, lambda tx, caller: standing_tokens.add(tx, caller, form))


def _url(settings: Settings, secret: str) -> str:
    """Where the daemon serves a feed: at the address people are given, else at the one it listens on."""
    from blackboard.lock import holder

    base = settings.api.public_base_url or (holder(settings.board) or {}).get("url") or settings.base_url()
    return f"{base}/calendar/feed/{secret}.ics"


def _list(call: Call, everything: bool) -> None:
    from blackboard import standing_tokens

    with call.board() as board:
        rows = standing_tokens.listed(board, everything=everything)
    columns = {key: head for key, head in COLUMNS.items() if everything or key != "revoked_at"}
    call.screen.table(rows, columns, empty="there are no tokens: orchestrator token new --operator NAME")


def _revoke(call: Call, name: str) -> None:
    from blackboard import standing_tokens
    from orchestrator import roads

    if _NAME.fullmatch(name) is None:
        raise exits.Exit(f"there is no token named {name!r}: orchestrator token list names them", exits.NOT_FOUND)
    said = roads.write(
        call.settings, f"/api/tokens/{name}/revoke", {}, lambda tx, caller: standing_tokens.revoke(tx, caller, name)
    )
    call.screen.answer(said, [said["next"]])


COMMANDS = (token,)
