"""What was tried before, as one text within bounds: the context of a retry.

Newest attempts first get their room, and are shown last. Everything here was written by agents, reviewers and
programs: each text is cut, and indented under its label so that it cannot pass for another label. The result goes
into one fence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prompts.brief import Former, Output
from prompts.quoting import cut, cut_front, indent, one_line

LIMIT = 12_000  # characters, all former attempts together
_DETAIL, _REMARK, _TAIL, _OUTPUTS = 2_500, 3_000, 2_500, 2_000  # of one attempt; with its labels below LIMIT
_MARGIN = "    "
_BRIEF = 300  # the same, of an older attempt when room is short


def retold(history: Sequence[Former], tail: str | None) -> str:
    """The former attempts, oldest first. `tail` is the end of what the last one printed, None if nothing is kept."""
    parts: list[str] = []
    room = LIMIT - 100  # for the line that says what was left out
    for index, former in enumerate(reversed(history)):
        whole = _attempt(former, tail if index == 0 else None)
        part = whole if index == 0 or len(whole) <= room else _attempt_in_brief(former)
        if len(part) > room:
            left = len(history) - index
            parts.append(f"({left} earlier attempt{'s' if left > 1 else ''} left out: there was no more room)")
            break
        room -= len(part) + 2
        parts.append(part)
    return "\n\n".join(reversed(parts))


def _attempt(former: Former, tail: str | None) -> str:
    lines = [_heading(former)]
    lines += _labelled("what was said about it", former["detail"], _DETAIL)
    if former["exit_code"] is not None:
        lines.append(f"  exit code of the process: {former['exit_code']}")
    if former["exit_signal"] is not None:
        lines.append(f"  signal that ended the process: {former['exit_signal']}")
    lines += _labelled("outputs handed in", _outputs(former["outputs"]), _OUTPUTS)
    lines += _labelled(_whose_remark(former), former["remark"], _REMARK)
    lines += _labelled("the end of what it printed", tail, _TAIL, cut_front)
    return "\n".join(lines)


def _attempt_in_brief(former: Former) -> str:
    lines = [_heading(former)]
    lines += _labelled("what was said about it", former["detail"], _BRIEF)
    lines += _labelled(_whose_remark(former), former["remark"], _BRIEF)
    return "\n".join(lines)


def _whose_remark(former: Former) -> str:
    return "what the check found" if former["remark_of_check"] else "reviewer's remark"


def _heading(former: Former) -> str:
    when = f", {former['ended_at']}" if former["ended_at"] else ""
    agent, outcome = one_line(former["agent"], 100), one_line(former["outcome"], 100)
    back = f"; a {'check' if former['remark_of_check'] else 'reviewer'} sent it back" if former["remark"] else ""
    return f"Attempt {former['number']} by {agent} ended{when}: {outcome} ({one_line(former['meaning'], 100)}){back}"


def _outputs(outputs: Sequence[Output]) -> str:
    return "\n".join(f"- {one_line(o['type'], 20)}: {one_line(o['title'], 100)}{_summary(o)}" for o in outputs)


def _summary(output: Output) -> str:
    return f" ({one_line(output['summary'], 200)})" if output["summary"] else ""


def _labelled(label: str, text: str | None, limit: int, shorten: Callable[[str, int, str], str] = cut) -> list[str]:
    """A label and its text under it, cut after it was indented: a text of many short lines grows by its margin."""
    if not text or not text.strip():
        return []
    return [f"  {label}:", shorten(indent(text, _MARGIN), limit, _MARGIN)]
