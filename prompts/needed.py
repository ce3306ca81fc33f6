"""What no prompt may leave out, whoever wrote its template: the means to report, and the word that is waited for.

Looks at rendered text only.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator


def lacking(text: str, *, reports: bool, bb: str, curl_conf: str, ack: str | None) -> Iterator[str]:
    """A sentence for each thing an agent cannot do without. `reports` False: it never calls back, so it needs none."""
    tools = (bb, curl_conf, shlex.quote(bb), shlex.quote(curl_conf))
    if reports and not any(tool in text for tool in tools):
        yield (
            "the agent is never told how to report: it names neither {{ bb }} nor {{ curl }}; "
            'add {% include "steps.md.j2" %} or commands of your own'
        )
    if ack is not None and ack not in text:
        yield f"the agent is never told to answer with {ack}: add {{{{ ack }}}}"
    if not text.strip():
        yield "the prompt is empty"
