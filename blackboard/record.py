"""A row of the board, read by column name: whatever the engine or a test gives."""

from __future__ import annotations

from typing import Any, Protocol


class Record(Protocol):
    """Anything with columns: `row["status"]`."""

    def __getitem__(self, column: str, /) -> Any: ...
