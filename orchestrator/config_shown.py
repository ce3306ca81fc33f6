"""What of the settings may be shown: the values of environments, and secrets among the words of commands, are masked."""

from __future__ import annotations

import re
from typing import Any

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
    for table in values["presence"].values():
        table["token_command"] = _masked_words(table["token_command"])
    return values


def _masked_words(argv: list[str]) -> list[str]:
    shown: list[str] = []
    hide_next = False
    for word in argv:
        flag, sign, _ = word.partition("=")
        secret = flag.startswith("-") and SECRET_NAME.search(flag) is not None
        shown.append(MASK if hide_next else f"{flag}={MASK}" if secret and sign else word)
        hide_next = secret and not sign
    return shown
