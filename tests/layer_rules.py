"""The layers as rules: functions over `{module: its imports}` that return the sentences of what breaks them.

Reads the tree with `ast`; never imports the packages it reads. `test_layers.py` asks every rule about the real
tree, and about a small one with a planted violation.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("blackboard", "prompts", "orchestrator", "api")

# The layer table: what a package may import of the others. One word is a package with all in it, a dotted name
# that module alone.
MAY_IMPORT: dict[str, set[str]] = {
    "blackboard": set(),
    "prompts": {"blackboard.states"},
    "orchestrator": {"blackboard", "prompts"},
    "api": {"blackboard"},
}
# The composition root: the one place where api and orchestrator meet.
MAY_ALSO_IMPORT: dict[str, set[str]] = {"orchestrator.cli": {"api"}}

# The modules that may use a library, or one function of it: anybody may name sqlite3's types, few may connect.
# Naming a type under TYPE_CHECKING is no use.
ONLY_IN: dict[str, set[str]] = {
    "sqlite3.connect": {"blackboard.board", "blackboard.migrations", "orchestrator.doctor"},
    "aiosqlite": {"blackboard.board"},
    "icalendar": {"blackboard.feed_text", "orchestrator.ics_events"},
    "recurring_ical_events": {"orchestrator.ics_events"},
    "httpx": {"orchestrator.remote", "orchestrator.web"},
    "httpx2": set(),
    "jinja2": {"prompts", "api"},
    "sse_starlette": {"api"},
    "starlette": {"api"},
    "python_multipart": {"api.multipart"},
    "uvicorn": {"orchestrator"},
}

# What these may lean on beside the standard library. The checker must be independent of what it checks, the
# launcher must start in milliseconds, the lower layers must stay free of the web.
LEANS_ON: dict[str, set[str]] = {
    "orchestrator.doctor": {"orchestrator.doctor"},
    "orchestrator.launcher": set(),
    "prompts": {"blackboard", "jinja2", "prompts"},
    "blackboard": {"aiosqlite", "blackboard", "cronsim", "dateutil", "icalendar", "pydantic"},
}

# Names that say nothing about what is inside.
EMPTY_NAMES = re.compile(r"(^|_)(util|helper|common|manager|service)s?(_|$)")


@dataclass(frozen=True)
class Import:
    """One name a module imports, and where: a cycle through a function's import is still a cycle."""

    target: str
    place: Literal["module", "function", "types"] = "module"


Imports = Mapping[str, Iterable[Import]]


# --- Reading the tree ---------------------------------------------------------------------------------------------


def module_of(path: Path) -> str:
    """`blackboard/board.py` → `blackboard.board`; a package's `__init__.py` → the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(source: str, module: str, *, is_package: bool, known: set[str]) -> Iterator[Import]:
    """Every import of `source`, wherever it stands, and every use of a function that ONLY_IN watches.

    `from a import b` is `a.b` when that is a module or watched, else `a`.
    """

    def walk(node: ast.AST, place: Literal["module", "function", "types"]) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, place) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                origin = from_where(child)
                for alias in child.names:
                    inner = f"{origin}.{alias.name}"
                    yield Import(inner if inner in known or inner in ONLY_IN else origin, place)
            elif isinstance(child, ast.Attribute) and ast.unparse(child) in ONLY_IN:
                yield Import(ast.unparse(child), place)
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                yield from walk(child, "types" if place == "types" else "function")
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from walk(child, "types")
            else:
                yield from walk(child, place)

    def from_where(node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = module.split(".") if is_package else module.split(".")[:-1]
        base = package[: len(package) - node.level + 1]
        return ".".join([*base, *([node.module] if node.module else [])])

    yield from walk(ast.parse(source), "module")


def real_tree() -> dict[str, list[Import]]:
    """What every file of the four packages imports."""
    files = {module_of(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}
    return {
        module: list(
            imports_of(
                path.read_text(encoding="utf-8"), module, is_package=path.name == "__init__.py", known=set(files)
            )
        )
        for module, path in files.items()
    }


# --- The rules ----------------------------------------------------------------------------------------------------


def within(module: str, names: Iterable[str]) -> bool:
    """Is `module` one of these, or inside one of these packages?"""
    return any(module == name or module.startswith(name + ".") for name in names)


def broken_layers(tree: Imports) -> list[str]:
    """Imports from a package that the layer table does not allow."""
    said = []
    for module, imports in tree.items():
        package = module.split(".")[0]
        allowed = {package} | MAY_IMPORT[package] | MAY_ALSO_IMPORT.get(module, set())
        for found in imports:
            if found.target.split(".")[0] in PACKAGES and not within(found.target, allowed):
                said.append(f"{module} imports {found.target}")
    return said


def cycles(tree: Imports) -> list[str]:
    """Modules that reach themselves by their imports, whatever place those stand in; one line each."""
    ours = {module: sorted({found.target for found in imports} & tree.keys()) for module, imports in tree.items()}
    said = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        if module in trail:
            ring = trail[trail.index(module) :]
            first = ring.index(min(ring))
            said.add(" → ".join([*ring[first:], *ring[:first], ring[first]]))
        elif module not in done:
            for target in ours[module]:
                visit(target, (*trail, module))
            done.add(module)

    done: set[str] = set()
    for module in ours:
        visit(module, ())
    return sorted(said)


def strayed_libraries(tree: Imports) -> list[str]:
    """Uses of a library outside the modules it is kept in."""
    return [
        f"{module} imports {found.target}"
        for module, imports in tree.items()
        for found in imports
        for library, homes in ONLY_IN.items()
        if found.place != "types" and within(found.target, {library}) and not within(module, homes)
    ]


def leaning(tree: Imports) -> list[str]:
    """Imports of lean modules that are neither the standard library's nor allowed them."""
    return [
        f"{module} imports {found.target}"
        for module, imports in tree.items()
        for lean, allowed in LEANS_ON.items()
        if within(module, {lean})
        for found in imports
        if found.target.split(".")[0] not in sys.stdlib_module_names and not within(found.target, allowed)
    ]


def undeclared(tree: Imports, dependencies: Iterable[str]) -> list[str]:
    """Imports of packages that pyproject.toml does not name: they would be missing after `pip install`."""
    declared = {re.split(r"[^\w-]", requirement)[0].replace("-", "_") for requirement in dependencies}
    halves = {"pydantic_core"} if "pydantic" in declared else set()  # pydantic pins it, and names it as its own
    halves |= {name.removeprefix("python_") for name in declared}  # of python-dateutil and its like
    known = declared | halves | set(PACKAGES) | sys.stdlib_module_names
    return [
        f"{module} imports {found.target}"
        for module, imports in tree.items()
        for found in imports
        if found.target.split(".")[0] not in known
    ]


def empty_names(paths: Iterable[Path]) -> list[str]:
    """Files whose name says nothing."""
    return [str(path) for path in paths if EMPTY_NAMES.search(path.stem)]
