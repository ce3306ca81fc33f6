"""What `check` says of a watch: it is asked once, as the daemon would ask it, and nothing of the answer is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Literal

from orchestrator.asking import NoAnswer
from orchestrator.config import Settings
from orchestrator.watch_asking import Asker


def looked_at(name: str, settings: Settings) -> Iterator[tuple[Literal["ok", "warn", "fail"], str]]:
    """The finding about one watch."""
    try:
        asker = Asker(settings.watches[name])
        items = asker.items(asyncio.run(asker.ask()))
    except NoAnswer as error:
        own = settings.watches[name].url.startswith(f"{settings.base_url()}/")
        yield ("warn", f"it asks this board itself: {error}; ask again while it runs") if own else ("fail", str(error))
        return
    names = ", ".join(list(items)[:5]) + (", …" if len(items) > 5 else "")
    yield "ok", f"{len(items)} items" + (f": {names}" if items else "")
