"""What `check` says of a calendar backend: whether it answers, and what it plans for whom. Changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

from blackboard import backends, synced
from blackboard.clock import to_text
from blackboard.errors import BlackboardError
from orchestrator.asking import NoAnswer
from orchestrator.backend_calls import Calls
from orchestrator.backends import backend_of
from orchestrator.config import Settings
from orchestrator.slot_check import rehearsed


def looked_at(name: str, settings: Settings) -> Iterator[tuple[Literal["ok", "warn", "fail"], str]]:
    """The findings about one backend. It is asked for everything; the daemon's own token is another one."""
    config = settings.backends[name]
    try:
        answer = synced.read(asyncio.run(Calls(config).sync(None)))
    except (NoAnswer, BlackboardError) as error:
        yield "fail", str(error)
        return
    if answer.schedules is None:
        yield "fail", "it was asked for everything and answers only with what changed"
        return
    backend = backend_of(name, config, settings)
    day = answer.day or backend.today(to_text(datetime.now(UTC)))
    schedule = backends.schedule_of(backend, answer.schedules, day)
    yield from (("warn", sentence) for sentence in asyncio.run(rehearsed(settings, schedule)))
    count = sum(len(listed) for listed in answer.schedules.values())
    how = "gives a sync token" if answer.token else "gives no sync token, so everything is asked for each time"
    yield "ok", f"{count} slots of {len(answer.schedules)} agents for {config.instance}; it {how}"
