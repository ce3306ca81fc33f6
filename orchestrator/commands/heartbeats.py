"""`heartbeat`: how agents' heartbeats are set and stand, what came of them, and changing it.

Reads the file itself; writes by whichever road is open (`orchestrator.roads`). Runs nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestrator import exits
from orchestrator.commands.completing import agents as agent_names
from orchestrator.commands.frame import FILE, Call, command

if TYPE_CHECKING:
    from blackboard.board import Tx

ACTIONS = ("status", "get", "set", "toggle", "checklist", "test", "logs", "wake")
COLUMNS = {
    "agent": "agent", "on": "on", "interval_seconds": "every (s)", "active_hours": "hours", "next_run_at": "next", "last_status": "last",
    "held_by": "held by", "run_count": "runs", "suppress_count": "quiet",
}  # fmt: skip
LOG_COLUMNS = {
    "started_at": "began", "status": "status", "reason": "reason", "times": "times", "task": "task", "what": "what",
}  # fmt: skip


@command(
    "heartbeat", short_help="Agents' looks around of their own: status, get, set, toggle, checklist, test, logs, wake."
)
@click.argument("what", type=click.Choice(ACTIONS))
@click.argument("agent", required=False, shell_complete=agent_names)
@click.argument("word", required=False)
@click.option(
    "--interval",
    "interval_seconds",
    type=click.IntRange(min=300),
    metavar="SECONDS",
    help="set: from one beat to the next.",
)
@click.option("--hours", "active_hours", metavar="HH:MM-HH:MM", help="set: when it may beat; an empty word: always.")
@click.option("--zone", "time_zone", metavar="ZONE", help="set: the IANA zone of the hours.")
@click.option("--prompt", help="set: what the agent is asked, in the place of our own sentence.")
@click.option("--model", metavar="MODEL", help="set: the program's model for beats; an empty word: its usual one.")
@click.option(
    "--isolated/--shared", "isolated_session", default=None, help="set: a conversation for each beat, or one for all."
)
@click.option(
    "--light/--full", "light_context", default=None, help="set: tell only the checklist, or what is around it too."
)
@click.option("--ack-word", metavar="WORD", help='set: the word that says "nothing to tell".')
@click.option(
    "--ack-max-chars", type=click.IntRange(min=0), metavar="N", help="set: how much may stand beside that word."
)
@click.option(
    "--retries",
    "max_retries",
    type=click.IntRange(0, 10),
    metavar="N",
    help="set: how often one that failed is tried again.",
)
@click.option(
    "--wake-after/--no-wake-after", "wake_after", default=None, help="set: beat when a task of the agent has ended."
)
@click.option(
    "--sink",
    "sinks",
    multiple=True,
    metavar="NAME",
    help="set: whom it tells; may be given again. An empty word: whoever wants heartbeats.",
)
@click.option("--file", type=FILE, metavar="FILE", help="checklist: set it from this file; - is standard input.")
@click.option("--limit", type=click.IntRange(1, 1000), metavar="N", help="logs: at most so many; 20 unless said.")
def heartbeat(
    call: Call, what: str, agent: str | None, word: str | None, file: Path | None, limit: int | None, **given: Any
) -> None:
    """Agents' heartbeats: looks around of their own at their checklists.

    \b
    heartbeat status [AGENT]              how they stand
    heartbeat get AGENT                   how it is set
    heartbeat set AGENT --interval 1800   change what is given
    heartbeat toggle AGENT [on|off]       switch it
    heartbeat checklist AGENT [--file F]  show what it looks at, or set it
    heartbeat test AGENT                  the prompt, the next runs, and whether it would run now
    heartbeat logs AGENT [--limit N]      what came of it
    heartbeat wake AGENT                  beat now
    """  # fmt: skip
    wish = {name: value for name, value in given.items() if value not in (None, ())}
    _must_fit(what, agent, word, wish, file, limit)
    if what == "status" or agent is None:
        _status(call, agent)
    elif what == "get":
        _get(call, agent)
    elif what == "logs":
        _logs(call, agent, limit or 20)
    elif what == "test":
        _test(call, agent)
    elif what == "checklist" and file is None:
        _checklist(call, agent)
    else:
        _write(call, what, agent, word, wish, file)


def _must_fit(
    what: str, agent: str | None, word: str | None, wish: dict[str, Any], file: Path | None, limit: int | None
) -> None:
    """Exit for words and options that do not go with what is asked."""
    if agent is None and what != "status":
        raise exits.Exit(f"say whose: orchestrator heartbeat {what} AGENT", exits.USAGE)
    if wish and what != "set":
        raise exits.Exit("these options go with: orchestrator heartbeat set AGENT", exits.USAGE)
    if what == "set" and not wish:
        raise exits.Exit("say what is to be set: orchestrator heartbeat --help lists it", exits.USAGE)
    if file is not None and what != "checklist":
        raise exits.Exit("--file goes with: orchestrator heartbeat checklist AGENT", exits.USAGE)
    if limit is not None and what != "logs":
        raise exits.Exit("--limit goes with: orchestrator heartbeat logs AGENT", exits.USAGE)
    if word is not None and (what != "toggle" or word not in ("on", "off")):
        raise exits.Exit("the last word goes with: orchestrator heartbeat toggle AGENT on, or off", exits.USAGE)


EVERY = "SELECT * FROM heartbeats ORDER BY agent_id"


def _status(call: Call, agent: str | None) -> None:
    from blackboard import heartbeats
    from blackboard.heartbeat_callers import shown

    with call.board() as board:
        rows = (
            board.all(EVERY) if agent is None else [row for row in [heartbeats.find(board, agent)] if row is not None]
        )
    found = [shown(row["agent_id"], row) | {"on": "on" if row["enabled"] else "off"} for row in rows]
    for each in found:
        del each["checklist"], each["prompt"]
    who = "no agent has a" if agent is None else f"agent {agent} has no"
    call.screen.table(
        found,
        COLUMNS,
        empty=f"{who} heartbeat: orchestrator heartbeat set {agent or 'AGENT'} --interval 1800 makes one",
    )


def _get(call: Call, agent: str) -> None:
    from blackboard import heartbeats
    from blackboard.heartbeat_callers import sentence, shown

    with call.board() as board:
        found = shown(agent, heartbeats.find(board, agent))
    lines = [
        f"{name}: {'' if value is None else value}"
        for name, value in found.items()
        if name not in ("agent", "checklist")
    ]
    call.screen.answer(
        found, [sentence(found), *lines, "checklist:", *(f"  {line}" for line in found["checklist"].splitlines())]
    )


def _checklist(call: Call, agent: str) -> None:
    from blackboard import heartbeats

    with call.board() as board:
        row = heartbeats.find(board, agent)
    text = row["checklist"] if row is not None else ""
    call.screen.answer(
        {"agent": agent, "checklist": text},
        text.splitlines() or [f"the checklist of {agent} is empty: give it one with --file FILE"],
    )


def _logs(call: Call, agent: str, most: int) -> None:
    from blackboard import heartbeat_runs, heartbeats

    with call.board() as board:
        found = heartbeat_runs.logs(board, agent, most) if heartbeats.find(board, agent) is not None else []
    rows = [run | {"what": run["error"] or run["summary"]} for run in found]
    call.screen.table(
        rows, LOG_COLUMNS, empty=f"the heartbeat of {agent} has not beaten yet: orchestrator heartbeat test {agent}"
    )


def _test(call: Call, agent: str) -> None:
    from blackboard import heartbeats
    from blackboard.clock import SystemClock
    from blackboard.heartbeat_callers import rehearsal
    from orchestrator.heartbeat_preview import prompt
    from orchestrator.heartbeating import checklist_now
    from orchestrator.machine import room

    now = SystemClock().now()
    with call.board() as board:
        checklist = checklist_now(call.settings, heartbeats.find(board, agent))
        found = rehearsal(board, agent, now, room(call.settings, now), checklist)
        text = prompt(board, call.settings, agent, now, checklist)
    would = "it would run now" if found["would_run"] else f"it would not run now: {found['because']}"
    call.screen.answer(
        found | {"prompt": text}, [would, *(f"next: {each}" for each in found["next_runs"]), "", *text.splitlines()]
    )


def _write(call: Call, what: str, agent: str, word: str | None, wish: dict[str, Any], file: Path | None) -> None:
    from blackboard import heartbeat_callers, heartbeats
    from orchestrator import roads

    with call.board() as board:
        heartbeats.find(board, agent)  # NotFound: a name that is none would make a path that is none
    path = f"/api/agents/{agent}/heartbeat"
    if what == "wake":
        said = roads.write(
            call.settings, f"{path}/wake", {}, lambda tx, token: heartbeat_callers.wake(tx, token, agent)
        )
    elif what == "toggle":
        enabled = None if word is None else word == "on"
        said = roads.write(
            call.settings, f"{path}/toggle", {"enabled": enabled}, lambda tx, token: heartbeat_callers.toggle(tx, token, agent, enabled)
        )  # fmt: skip
    elif file is not None:
        text = _read(file)
        said = roads.write(
            call.settings, f"{path}/checklist", {"checklist": text}, lambda tx, token: heartbeat_callers.put_checklist(tx, token, agent, text)
        )  # fmt: skip
    else:
        said = _set(call, path, agent, wish)
    call.screen.answer(said, [said["next"]])


def _set(call: Call, path: str, agent: str, wish: dict[str, Any]) -> dict[str, Any]:
    from blackboard import heartbeat_callers
    from orchestrator import roads

    body = wish | ({"sinks": [each for each in wish["sinks"] if each]} if "sinks" in wish else {})

    def direct(tx: Tx, token: bytes) -> dict[str, Any]:
        return heartbeat_callers.change(tx, token, agent, body, call.settings.sinks)

    return roads.write(call.settings, path, body, direct)


def _read(file: Path) -> str:
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise exits.Exit(f"{file} cannot be read: {why}", exits.FAILED) from None


COMMANDS = (heartbeat,)
