"""The demo's reviewer: reads its prompt, checks the outputs against the conditions, approves or rejects.

A program like any other that the orchestrator can start; it knows nothing but the prompt. What it cannot check it
leaves: it comments and ends with exit code 3, and after some tries a person is asked.

    python -m orchestrator.demo.critic [--pace SECONDS] < prompt.md
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from orchestrator.demo import orders
from orchestrator.demo.desk import check_of
from orchestrator.demo.reporting import Refused, Reporter, Unsent


def main(argv: Sequence[str] | None = None) -> int:
    """Review one task; the exit code."""
    parser = argparse.ArgumentParser(prog="critic", description="reviews what was handed in, as its prompt says")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds it looks at each condition")
    options = parser.parse_args(argv)
    told = orders.read(sys.stdin.read())
    reporter = Reporter(told, pause=5)
    try:
        reporter.heartbeat()
        return _review(told, reporter, options.pace)
    except Refused as refused:
        print(f"refused: {refused}", file=sys.stderr)
        return 1
    except Unsent:
        print("the API does not answer", file=sys.stderr)
        return 75


def _review(told: orders.Orders, reporter: Reporter, pace: float) -> int:
    missing = []
    for condition in [line for line in told.required.splitlines() if line.strip() not in ("", "(none)")]:
        check = check_of(condition)
        if check is None:
            reporter.comment(f"I cannot check this condition: {condition}")
            return 3
        met = any(check(content) for content in told.contents)
        print(f"{'met' if met else 'not met'}: {condition}", flush=True)
        time.sleep(pace)
        missing += [] if met else [condition]
    if missing:
        reporter.reject("Not yet: " + " ".join(missing))
    else:
        reporter.approve("It meets every condition.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
