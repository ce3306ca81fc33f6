"""Puts the API together: the table of endpoints, the routes made from it, and the guard around them.

Opens nothing and keeps nothing: the board, `wake`, `ready` and `lateness` are handed in by the composition root.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from starlette.types import ASGIApp

from api import (
    calendar,
    callbacks,
    document,
    downloads,
    feeds,
    health,
    heartbeats,
    noticing,
    operate,
    permissions,
    presence,
    reading,
    streaming,
    tokens,
    uploads,
    watches,
)
from api.endpoints import Api, ApiConfig, Endpoint, router
from api.guard import Guard
from api.origins import Origins
from blackboard.board import Board


def table(config: ApiConfig) -> tuple[Endpoint, ...]:
    """Every endpoint there is, the hot one first."""
    rows = (
        *callbacks.ENDPOINTS,
        *reading.ENDPOINTS,
        *downloads.ENDPOINTS,
        *streaming.ENDPOINTS,
        *operate.ENDPOINTS,
        *noticing.ENDPOINTS,
        *tokens.ENDPOINTS,
        *permissions.ENDPOINTS,
        *presence.ENDPOINTS,
        *watches.ENDPOINTS,
        *heartbeats.ENDPOINTS,
        *calendar.ENDPOINTS,
        *feeds.ENDPOINTS,
        *health.endpoints(config.fresh_write_seconds),
    )
    return (*rows, *document.endpoints(rows, config.public_base_url))


def create_app(
    board: Board,
    config: ApiConfig | None = None,
    *,
    wake: Callable[[], None] = lambda: None,
    ready: Callable[[], Sequence[str]] = lambda: (),
    lateness: Callable[[], Mapping[str, float]] = dict,
) -> ASGIApp:
    """The ASGI application over an open board, to be served on that board's event loop.

    `wake()` is called after each write the tick should look at. `ready()` gives the reasons why the daemon does
    not do its work, each a few words; none means that it does. `lateness()` gives the figures of the loop that
    /healthz shows, in seconds. ValueError when the base URL is not one.
    """
    config = config or ApiConfig()
    api = Api(board, config, wake, ready, lateness)
    return Guard(
        router(api, table(config)),
        origins=Origins.of(config.public_base_url),
        of_body=lambda scope: uploads.limits(config, scope),
    )


__all__ = ["ApiConfig", "create_app", "table"]
