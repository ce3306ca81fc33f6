"""What holds an agent in: its sandbox, its limits, what it weighs; and which of these keys cannot be together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Protocol

from pydantic import BeforeValidator, Field

from orchestrator.config_types import MOST, Bytes, Part, SomeSeconds, Word

PRESETS = ("bwrap",)
SMALLEST_FILE = 64 * 1024  # bytes: a lower limit would end an agent by its own first words


def _preset(value: object) -> object:
    """The name of a preset is a list of that one word."""
    if not isinstance(value, str):
        return value
    if value not in PRESETS:
        raise ValueError(
            f'{value!r} is no preset: write "{PRESETS[0]}", or a list of words that are put before the program'
        )
    return (value,)


Wrap = Annotated[tuple[Word, ...], BeforeValidator(_preset)]


class Limits(Part):
    """What one attempt may use; a key that is not set does not limit."""

    memory_bytes: Bytes | None = Field(None, ge=1, le=2**53)  # of all its processes together
    processes: int | None = Field(None, ge=1, le=MOST)
    cpu_seconds: SomeSeconds | None = None
    file_bytes: Bytes | None = Field(None, ge=SMALLEST_FILE, le=2**53)  # of one file, its logs too
    open_files: int | None = Field(None, ge=16, le=MOST)  # of one process

    @property
    def sampled(self) -> bool:
        """Whether somebody has to look at its processes, because the kernel does not hold the limit for us."""
        return (self.memory_bytes, self.processes, self.cpu_seconds) != (None, None, None)

    @property
    def held_by_the_kernel(self) -> dict[str, int]:
        """What is set for the agent before it begins, by name."""
        held = {"file_bytes": self.file_bytes, "open_files": self.open_files}
        return {name: most for name, most in held.items() if most is not None}


class Agent(Protocol):
    """What is looked at of an agent's configuration."""

    @property
    def wrap(self) -> tuple[str, ...]: ...
    @property
    def require_sandbox(self) -> bool: ...
    @property
    def writable(self) -> tuple[Path, ...]: ...
    @property
    def hidden(self) -> tuple[Path, ...]: ...


def is_preset(agent: Agent) -> bool:
    """Whether the agent runs in a sandbox that we make, not in words of the operator's."""
    return len(agent.wrap) == 1 and agent.wrap[0] in PRESETS


def problem_of(agent: Agent) -> str | None:
    """What about these keys of an agent cannot be."""
    if agent.require_sandbox and not agent.wrap:
        return 'require_sandbox = true asks for a sandbox, and wrap names none: set wrap = "bwrap"'
    if (agent.writable or agent.hidden) and not is_preset(agent):
        return 'writable and hidden are for wrap = "bwrap": words of your own say by themselves what is seen'
    return None
