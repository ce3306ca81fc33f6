"""The demo agent: reads its prompt on standard input, does what it says, and reports as it says.

A program like any other that the orchestrator can start: it imports nothing of the product but its neighbours here,
and knows nothing but the prompt. Exit code 0 after a report, 1 when the API refused, 75 when it gave no answer.

    python -m orchestrator.demo.agent [--by bb|curl] [--pace SECONDS] [--pause SECONDS] < prompt.md
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from orchestrator.demo import orders, rounds
from orchestrator.demo.crafts import Ask, Cannot, Work, craft
from orchestrator.demo.reporting import Handed, Refused, Reporter, Unsent

STEPS_PER_SIGN = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Do one attempt; the exit code."""
    options = _options(argv)
    told = orders.read(sys.stdin.read())
    reporter = Reporter(told, options.by, options.pause)
    try:
        reporter.start()
        if told.checklist is None:
            _attempt(told, reporter, options.pace)
        else:
            reporter.answer("\n".join(rounds.found(told.checklist)) or None)
    except Refused as refused:
        print(f"refused: {refused}", file=sys.stderr)
        return 1
    except Unsent:
        print("the API does not answer; what I wanted to say is in UNSENT.md", file=sys.stderr)
        return 75
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="agent", description="does small true work, as its prompt says")
    parser.add_argument("--by", choices=("bb", "curl"), default="bb", help="which commands of the prompt to use")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds each step takes")
    parser.add_argument("--pause", type=float, default=30.0, help="seconds between two tries to reach the API")
    return parser.parse_args(argv)


def _attempt(told: orders.Orders, reporter: Reporter, pace: float) -> None:
    try:
        made = _work(craft(told), reporter, pace)
    except Cannot as cannot:
        reporter.fail(str(cannot), final=cannot.final)
    except Ask as ask:
        reporter.block(ask.kind, str(ask))
    else:
        if told.record:
            reporter.comment(f"I have read what was tried before. This time: {made.summary}.")
        reporter.hand_in(made)
        reporter.submit()


def _work(work: Work, reporter: Reporter, pace: float) -> Handed:
    """Do every step at the pace, with a sign of life now and then; what was made."""
    steps = 0
    while True:
        try:
            print(next(work), flush=True)
        except StopIteration as end:
            made: Handed = end.value
            return made
        steps += 1
        if steps % STEPS_PER_SIGN == 0:
            reporter.heartbeat()
        time.sleep(pace)


if __name__ == "__main__":
    sys.exit(main())
