"""What calendars, backends and presence say of the rest of the configuration: the agents and projects they name."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol


class Naming(Protocol):
    """A table that names agents, and perhaps a project."""

    def agents_named(self) -> Iterable[str]:
        """Every agent it names, by our name."""

    def project_named(self) -> str | None:
        """The project it names."""


def problem_of(
    key: str, tables: Mapping[str, Naming], agents: Collection[str] | None, projects: Collection[str] | None
) -> str | None:
    """What one of the tables below `key` names that is not there. None for agents or projects: they are wrong themselves."""
    for name, table in tables.items():
        for agent in table.agents_named():
            if agents is not None and agent not in agents:
                return f"{key}.{name} names the agent {agent!r}, which is not in agents"
        project = table.project_named()
        if projects is not None and project is not None and project not in projects:
            return f"{key}.{name} names the project {project!r}: projects are {', '.join(projects)}"
    return None
