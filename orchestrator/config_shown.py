"""What of the settings may be shown: the values of environments and headers, secrets among the words of commands, and all
of an address but its host are masked.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from orchestrator.config_workspaces import HOOKS

SECRET_NAME = re.compile(r"key|token|secret|passw|credential|auth", re.IGNORECASE)
MASK = "***"


def masked(values: dict[str, Any]) -> dict[str, Any]:
    """The settings as `model_dump` gives them, fit to be shown."""
    for agent in values["agents"].values():
        agent["env"] = dict.fromkeys(agent["env"], MASK)
        agent["argv"] = _masked_words(agent["argv"])
        agent["program"]["args"] = _masked_words(agent["program"]["args"])
        agent["hooks"] |= {hook: _masked_words(agent["hooks"][hook]) for hook in HOOKS}
    for table in (*values["presence"].values(), *values["watches"].values()):
        table["token_command"] = _masked_words(table["token_command"])
    for sink in values["sinks"].values():
        sink["argv"] = _masked_words(sink["argv"])
        sink["env"] = dict.fromkeys(sink["env"], MASK)
        sink["url"] = MASK if sink["url"] is not None else None  # the address of a webhook is often a secret itself
    for watch in values["watches"].values():
        watch["headers"] = dict.fromkeys(watch["headers"], MASK)
    for kind, key in (("calendars", "url"), ("presence", "url"), ("presence", "read_url"), ("watches", "url")):
        for table in values[kind].values():
            table[key] = _host_of(table[key])
    return values


def _host_of(url: str | None) -> str | None:
    """Where an address leads; its path or its query may be as good as a password."""
    if url is None:
        return None
    found = urlsplit(url)
    return f"{found.scheme}://{found.netloc.rpartition('@')[2]}/{MASK}"


def _masked_words(argv: list[str]) -> list[str]:
    shown: list[str] = []
    hide_next = False
    for word in argv:
        flag, sign, _ = word.partition("=")
        secret = flag.startswith("-") and SECRET_NAME.search(flag) is not None
        shown.append(MASK if hide_next else f"{flag}={MASK}" if secret and sign else word)
        hide_next = secret and not sign
    return shown
