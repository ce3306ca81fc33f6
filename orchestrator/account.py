"""What is told to a person of a board and of a task, as lines: the values come from `blackboard.questions`.

Reads nothing and decides nothing; `--json` shows the same values whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from blackboard import checks
from blackboard.budgets import WARN_AT, Spent, amount
from blackboard.clock import seconds_between
from blackboard.sizes import in_words
from orchestrator.narration import as_line

Value = Mapping[str, Any]
ORDER = ("pending", "claimed", "working", "review", "blocked", "done", "failed", "cancelled")
LONGEST = 2000  # characters of one text; `--json` has all


def of_board(value: Value, command: str) -> Iterator[str]:
    """The lines of `status`. `command`: how a person calls this program."""
    yield f"board    {value['board']}"
    yield f"daemon   {_daemon(value['daemon'])}"
    counts = [f"{value['tasks'][state]} {state}" for state in ORDER if value["tasks"].get(state)]
    yield "tasks    " + (", ".join(counts) or 'none yet: orchestrator post "TITLE" --agent NAME')
    if value["next_due"]:
        yield f"next due {value['next_due']}"
    if value["paused"]:
        yield "paused"
        yield from (f"  {_paused(each)}" for each in value["paused"])
    if held := [each for each in value["accounts"] if each["state"] != "paused"]:
        yield "accounts"
        yield from (f"  {_held(each)}" for each in held)
    yield from _sources(value["sources"])
    if value["instances"]:
        yield "instances"
        yield from (f"  {each['name']} heard of at {each['seen_at']}" for each in value["instances"])
    yield f"agents   {'' if value['agents'] else 'none yet: add [agents.NAME] to the configuration'}".rstrip()
    yield from (f"  {_agent(agent, value['now'])}" for agent in value["agents"])
    if near := [each for each in value["budgets"] if each["share"] >= WARN_AT]:
        yield "budgets"
        yield from (f"  {_budget(each)}" for each in near)
    for each in value["sinks"]:
        if each["failing"]:
            yield f"presence of {each['failing']} of {each['agents']} agents is not taken by {each['sink']}: {_one_line(each['error'])}"
    yield from _notices(value["notices"])
    if value["running"]:
        yield "running"
        yield from (f"  {_running(attempt)}" for attempt in value["running"])
    if value["stuck"]:
        yield "waits for a person"
        yield from (line for each in value["stuck"] for line in _stuck(each, command))


def _sources(found: list[Value]) -> Iterator[str]:
    """Where slots come from: nothing while all is well with the files there are."""
    failing = [each for each in found if each["failures"]]
    if found:
        yield f"sources  {len(found)}, {sum(each['slots'] for each in found)} slots" + ("" if failing else ", all well")
    for each in failing:
        since = f"its last good answer is of {each['ok_at']}" if each["ok_at"] else "it never gave a good answer"
        yield f"  {each['name']}: {_one_line(each['error'])}; {since}"


def _notices(found: list[Value]) -> Iterator[str]:
    """Sinks that do not take what they are told, and what nobody will tell any more. Nothing while all is well."""
    for each in found:
        waiting = f"; {each['waiting']} wait" if each["waiting"] else ""
        if each["closed_at"]:
            yield f"notices to {each['sink']} are closed since {each['closed_at']}: {_one_line(each['error'])}"
        elif each["failures"]:
            yield f"notices are not taken by {each['sink']} since {each['failing_since']}: {_one_line(each['error'])}{waiting}"
        if each["dead"]:
            yield f"{each['dead']} notices to {each['sink']} are dead: orchestrator notices retry --sink {each['sink']}, or dismiss"


def _daemon(found: Value | None) -> str:
    if not found:
        return "not running"
    return f"process {found.get('pid')}, {found.get('url') or 'busy with a command or just starting'}"


def _paused(each: Value) -> str:
    what = "everything" if each["kind"] == "board" else f"{each['kind']} {each['name']}"
    return f"{what} since {each['since']} by {each['actor']}: {_one_line(each['reason'] or 'no reason given')}"


def _held(each: Value) -> str:
    """An account that its provider limits, or that one attempt tries for all."""
    if each["state"] == "tried":
        return f"{each['account']} is tried by attempt {each['canary_id']} first"
    return f"{each['account']} is limited until {each['limited_until']}: {_one_line(each['limit_reason'] or 'no reason given')}"


def standing(agent: Value, now: str) -> str:
    """Where an agent stands, with who says so and for how long where that is not the board: `busy (agent, 40 s ago)`."""
    if agent["said_at"] is None:
        return str(agent["presence"])
    ago = max(0.0, seconds_between(agent["said_at"], now))
    return f"{agent['presence']} ({agent['presence_source']}, {ago:.0f} s ago)"


def _agent(agent: Value, now: str) -> str:
    state = "paused" if agent["paused_at"] else "" if agent["enabled"] else "disabled"
    state = standing(agent, now) if agent["presence"] == "exhausted" or agent["said_at"] else state
    numbers = [
        f"{agent[name]} {name.replace('_', ' ')}"
        for name in ("ready", "waiting", "in_review", "blocked")
        if agent[name]
    ]
    return ", ".join(
        [f"{agent['agent']}: {agent['live']} of {agent['max_live']} live", *numbers, *([state] if state else [])]
    )


def _budget(each: Value) -> str:
    who = f"agent {each['agent']}" if each["agent"] else "all together"
    follows = {"warn": "it is only told", "pause": "nothing more is begun", "stop": "nothing more is begun"}[
        each["action"]
    ]
    until = "" if each["action"] == "warn" else f" until {each['until']}"
    spent = f"; {follows}{until}" if each["share"] >= 1 else ""
    return f"{who}: {each['of_budget']} today{spent}"


def _running(attempt: Value) -> str:
    return (
        f"task {attempt['task_id']} {'review' if attempt['role'] == 'reviewer' else 'attempt'} {attempt['number']} "
        f"{attempt['agent']} {attempt['phase']} "
        f"{attempt['seconds']:.0f} s  {attempt['title']}"
    )


def _stuck(each: Value, command: str) -> Iterator[str]:
    name = f"task {each['id']}  {each['title']}" if each["id"] else each["title"]
    yield f"  {name}: {_one_line(each['why'])}"
    yield f"    {each['next'].replace('orchestrator ', f'{command} ')}"


def of_task(value: Value) -> Iterator[str]:
    """The lines of `show`."""
    yield f"task {value['id']}  {value['title']}"
    yield from _facts(value)
    yield from _text("description", value["description"])
    yield from _text("must haves", value["must_haves"])
    yield from _section("checks", [*map(_check, value["checks"]), *_proof(value)])
    yield from _section("evidence", [_evidence(each) for each in value["evidence"]])
    for what, lines in (
        ("needs", [f"{each['id']} {each['status']}  {each['title']}" for each in value["needs"]]),
        ("children", [f"{each['id']} {each['status']}  {each['title']}" for each in value["children"]]),
        ("attempts", [_attempt(each) for each in value["attempts"]]),
        ("outputs", [_output(each) for each in value["outputs"]]),
        ("comments", [f"{each['author']}: {_cut(each['body'])}" for each in value["comments"]]),
        ("events", [as_line({**each, "task_id": value["id"]}) for each in value["events"]]),
    ):
        yield from _section(what, lines)


def _facts(value: Value) -> Iterator[str]:
    reason = f"   {value['verb']} by {value['actor']}" + (
        f": {_cut(_one_line(value['reason']))}" if value["reason"] else ""
    )
    kind = f" ({value['blocked_kind']})" if value["blocked_kind"] else ""
    yield f"  status      {value['status']}{kind} since {value['moved_at']}{reason}"
    yield f"  for         {value['agent_id'] or 'role ' + value['role']}, project {value['project_id']}, priority {value['priority']}"
    yield f"  due         {value['due_at']}" + (f", not before {value['not_before']}" if value["not_before"] else "")
    yield (
        f"  limits      {value['max_tries']} tries, {value['wall_seconds']:g} s in all, {value['idle_seconds']:g} s idle, "
        f"review {value['reviewer'] or value['review']}"
    )
    if spent := _spent(value):
        yield f"  spent       {spent}"
    if value["handed_over"]:
        yield f"  review      a person's: {_one_line(value['handed_over'])}"
    for each in value.get("workspaces", ()):
        yield f"  workspace   {each['path']}" + (f", branch {each['branch']}" if each["branch"] else "") + _kept(each)
    if value["parent_id"]:
        yield f"  parent      {value['parent_id']}"
    if value["answer"]:
        yield from _text("answer", value["answer"])


def _spent(value: Value) -> str:
    """What all attempts of a task have spent, against what they may."""
    spent = Spent(**value["spent"])
    usd = f" of {amount(value['task_usd'])}" if value["task_usd"] else ""
    tokens = f" of {value['task_tokens']}" if value["task_tokens"] else ""
    parts = [f"{amount(spent.usd)}{usd} USD"] if spent.usd or usd else []
    parts += [f"{spent.tokens}{tokens} tokens"] if spent.tokens or tokens else []
    return ", ".join(parts)


def _kept(workspace: Value) -> str:
    return f" ({workspace['state']}{': ' + workspace['kept'] if workspace['kept'] else ''})"


def _text(name: str, text: str) -> Iterator[str]:
    if text:
        first, *rest = _cut(text).splitlines() or [""]
        yield f"  {name:<11} {first}"
        yield from (f"{'':14}{line}" for line in rest)


def _section(what: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"  {what}"
        yield from (f"    {part}" for line in lines for part in line.splitlines())


def _attempt(each: Value) -> str:
    ended = f"{each['outcome']} at {each['ended_at']}" if each["ended_at"] else "live"
    exit_status = f", exit {each['exit_code']}" if each["exit_code"] is not None else ""
    exit_status = f", signal {each['exit_signal']}" if each["exit_signal"] is not None else exit_status
    gone = "" if each["gone_at"] or not each["ended_at"] else ", not proved gone"
    detail = f": {_cut(each['detail'], 300)}" if each["detail"] else ""
    line = f"{each['number']} {each['agent_id']} ({each['role']}) {ended}{exit_status}{gone}{detail}"
    return "\n".join([line, *(f"  {more}" for more in _program_said(each))])


def _program_said(each: Value) -> Iterator[str]:
    """What the attempt's program said of its own run, as far as it said something."""
    model = "/".join(each[name] for name in ("provider", "model") if each[name])
    tokens = [f"{each[f'{name}_tokens']} {name}" for name in ("input", "cached", "output") if each[f"{name}_tokens"]]
    cost = f"{each['cost_usd']:g} USD" if each["cost_usd"] is not None else ""
    failure = f"failure {each['failure_kind']}" if each["failure_kind"] else ""
    used = f"tokens {', '.join(tokens)}" if tokens else ""
    if said := ", ".join(
        part for part in (model, used, cost, failure, each["run_id"] and f"run {each['run_id']}") if part
    ):
        yield said
    if each["peak_rss_bytes"] is not None:
        yield f"held at most {in_words(each['peak_rss_bytes'])}, used {each['cpu_seconds']:g} s of processor time"
    if each["result"]:
        yield f"said: {_cut(_one_line(each['result']), 300)}"


def _check(what: object) -> str:
    told = checks.told(what)
    if told["problem"]:
        return f"{told['title']}: {told['problem']}"
    if told["path"]:
        return f"the file {told['path']} holds at least {told['min_bytes']} bytes"
    named = "" if told["title"] == _one_line(told["command"]) else f"{told['title']}: "
    return f"{named}{_cut(told['command'], 300)}   (at most {told['seconds']:g} s)"


_PROOF = {
    "wanted": "not verified yet",
    "passed": "verified: its {many} have passed",
    "failed": "not verified: a check has not passed",
}


def _proof(value: Value) -> Iterator[str]:
    """Whether what was handed in last is proved; a person may have accepted it without."""
    many = len(value["checks"])
    if value["proof"] == "wanted" and value["status"] == "done":
        yield "not verified: it was accepted without"
    elif value["proof"]:
        yield _PROOF[value["proof"]].format(many=f"{many} checks" if many > 1 else "check")


def _evidence(each: Value) -> str:
    how = (each["result"] or "is being run").replace("_", " ")
    how += f", exit {each['exit_code']}" if each["exit_code"] is not None else ""
    how += f", signal {each['exit_signal']}" if each["exit_signal"] is not None else ""
    size = f", {each['output_size']} bytes" if each["output_size"] else ""
    seconds = f", {seconds_between(each['started_at'], each['ended_at']):.1f} s" if each["ended_at"] else ""
    line = f"{each['id']} {each['check']}: {how}{seconds}{size}"
    output = (each["output"] or "").strip()
    return "\n".join([line, *(f"  {more}" for more in output[-600:].splitlines()[-8:])])


def _output(each: Value) -> str:
    where = "a file kept in uploads" if each["kept"] else each["content_path"] or "content kept on the board"
    return f"{each['id']} {each['type']}  {each['title']} ({each['size']} bytes, {where})" + (
        f": {_cut(each['summary'], 300)}" if each["summary"] else ""
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _cut(text: str, most: int = LONGEST) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters, all of them with --json)"
