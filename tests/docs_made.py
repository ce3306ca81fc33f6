"""The parts of the documents that are made from the code: `python tests/docs_made.py --write` rewrites them.

A document holds a part between `<!-- made:NAME -->` and `<!-- /made -->`; test_docs.py compares. Never touches what
stands outside these marks.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click

from blackboard import gates, states
from orchestrator import config_agent
from orchestrator.cli import cli
from orchestrator.doctor import file, shape, stories
from orchestrator.runners import runner
from prompts.variables import BRIEF, READY, TOOLS
from tests.docs_settings import settings
from tests.layer_rules import MAY_ALSO_IMPORT, MAY_IMPORT, ROOT
from tests.torture.corpus import CORPUS, LIMIT

WIDTH = 100  # of help texts
TOUR_BEGINS = "blackboard/slots.py"
NEXT = re.compile(r"Read next: (\S+) \(.+\)\.?\Z", re.DOTALL)
MARKED = re.compile(r"(<!-- made:([a-z-]+) -->\n).*?(<!-- /made -->)", re.DOTALL)


def documents() -> list[Path]:
    """Every Markdown file of the project."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def remade(text: str) -> str:
    """A document with its made parts made anew."""
    return MARKED.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n\n{found[3]}", text)


# --- ARCHITECTURE.md ------------------------------------------------------------------------------------------------


def layers() -> str:
    """The layer table as a drawing: an arrow is an import that is allowed."""
    arrows = [f"    {package} --> {_package(target)}" for package, may in MAY_IMPORT.items() for target in sorted(may)]
    roots = [f'    {_id(module)}["{module}"] --> {_package(t)}' for module, may in MAY_ALSO_IMPORT.items() for t in may]
    inside = [f"    {_id(module)} --> {module.split('.')[0]}" for module in MAY_ALSO_IMPORT]
    parts = [f"    {_id(t)} -.- {t.split('.')[0]}" for may in MAY_IMPORT.values() for t in sorted(may) if "." in t]
    return _mermaid(["flowchart BT", *arrows, *roots, *inside, *parts])


def _package(target: str) -> str:
    """`blackboard.states` is drawn as a part of its package, by its full name."""
    return f'{_id(target)}["{target}"]' if "." in target else target


def _id(name: str) -> str:
    return name.replace(".", "_")


def _mermaid(lines: Iterable[str]) -> str:
    return "\n".join(["```mermaid", *lines, "```"])


def diagram() -> str:
    """The state machine."""
    lines = ["stateDiagram-v2", "    [*] --> pending: post"]
    arrows: dict[tuple[str, str], list[str]] = {}
    for move in states.MOVES:
        arrows.setdefault((move.src, move.dst), []).append(move.verb)
    lines += [f"    {src} --> {dst}: {', '.join(verbs)}" for (src, dst), verbs in arrows.items()]
    lines += [f"    {state} --> [*]" for state in states.STATES if state in states.FINAL]
    return _mermaid(lines)


def moves() -> str:
    """Every arrow, who may, and what it makes of the attempt it ends."""
    return _table(
        ("verb", "from", "to", "by", "by plain SQL", "the attempt it ends is"),
        (
            (
                m.verb,
                m.src,
                m.dst,
                ", ".join(sorted(m.by)),
                "yes" if m.by_sql and m.is_default else "no",
                m.outcome or "",
            )
            for m in states.MOVES
        ),
    )


def outcomes() -> str:
    """How an attempt can end."""
    return _table(
        ("outcome", "charged", "time to settle", "meaning"),
        ((f"`{name}`", _yes(o.charged), _yes(o.settles), o.meaning) for name, o in states.OUTCOMES.items()),
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def task_gates() -> str:
    """The gates, with the sentence `why` says where one is closed."""
    found = [
        (f"`{gate.name}`", asked_of, gate.closed.replace("{", "*").replace("}", "*"))
        for asked_of, asked in (("the task", gates.TASK_GATES), ("a review", (*gates.REVIEW_GATES, gates.AUTHOR)))
        for gate in asked
    ]
    closed = {"board_paused": "everything is paused", "enabled": "the agent is disabled", "paused": "the agent is paused",
              "budget": "the agent, or all agents together, have spent their budget of the day",
              "account": "its account is paused or limited, or one attempt on it goes first",
              "presence": "the agent says, or others say of it, that it is something that is not in its `claim_when`",
              "free": "the agent has as many attempts not gone as its `max_live`",
              "room": "all agents together have as many as `tick.max_live`",
              "memory": "the memory it needs is promised to others, or not free now"}  # fmt: skip
    found += [(f"`{gate.name}`", "the agent", closed[gate.name]) for gate in gates.AGENT_GATES]
    return _table(("gate", "asked of", "closed when"), found)


def rules() -> str:
    """The invariants, as the doctor holds them."""
    asked = [*file.RULES, shape.differences, *stories.STORIES]
    found = [(rule.__name__, *(rule.__doc__ or "").split("\n")[0].partition(": ")[::2]) for rule in asked]
    return _table(
        ("invariant", "rule", "what it says"),
        ((numbers, f"`{'schema' if name == 'differences' else name}`", said) for name, numbers, said in found),
    )


def torture() -> str:
    """What agents may do, and how each of them ends."""
    found = [(kind.does, f"`{kind.outcome}`", kind.says) for kind in CORPUS.values()]
    return _table(("what your agent does", "outcome", "what becomes of it"), (*found, LIMIT))


def tour() -> str:
    """The newcomer's six files, with the first sentence of each."""
    lines = [f"{n}. [`{file}`]({file}): {first_sentence(file)}" for n, file in enumerate(tour_files(), 1)]
    return "\n".join(lines)


def tour_files() -> list[str]:
    """The files that "Read next" leads through, from the first on."""
    found = [TOUR_BEGINS]
    while (following := read_next(found[-1])) and following.endswith(".py") and following not in found:
        found.append(following)
    return found


def docstring(file: str) -> str:
    """A module's docstring."""
    return ast.get_docstring(ast.parse((ROOT / file).read_text(encoding="utf-8"))) or ""


def read_next(file: str) -> str | None:
    """Where a module's docstring leads, with its last words."""
    found = NEXT.search(docstring(file))
    return found[1] if found else None


def first_sentence(file: str) -> str:
    """The first line of a module's docstring."""
    return docstring(file).split("\n")[0]


def decisions() -> str:
    """The ADRs, by their headings."""
    files = sorted((ROOT / "docs/adr").glob("*.md"))
    return "\n".join(f"- [{_heading(file)}](docs/adr/{file.name})" for file in files)


def _heading(file: Path) -> str:
    return file.read_text(encoding="utf-8").split("\n")[0].removeprefix("# ")


# --- docs/commands.md and docs/configuration.md ---------------------------------------------------------------------


def commands() -> str:
    """Every command with its help."""
    top = click.Context(cli, info_name="orchestrator", terminal_width=WIDTH, **cli.context_settings)
    parts = [_help(cli, top)]
    for name, command in sorted(cli.commands.items()):
        context = click.Context(command, info_name=name, parent=top, terminal_width=WIDTH)
        parts.append(f"## {name}\n\n{_help(command, context)}")
    return "\n\n".join(parts)


def _help(command: click.Command, context: click.Context) -> str:
    return f"```text\n{command.get_help(context)}\n```"


def placeholders() -> str:
    """What may stand in braces in an argv."""
    return ", ".join(f"`{{{name}}}`" for name in sorted(config_agent.PLACEHOLDERS))


def inherited() -> str:
    """The daemon's variables that every agent gets."""
    return ", ".join(f"`{name}`" for name in runner.INHERITED)


def variables() -> str:
    """Every name a template may use, in three tables."""
    heads = {"ready to be printed": READY, "tools": TOOLS, "as it was written": BRIEF}
    tables = [
        _table((head, "meaning"), ((f"`{name}`", said) for name, said in part.items())) for head, part in heads.items()
    ]
    return "\n\n".join(tables)


def _table(head: tuple[str, ...], found: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(_lines([head, ("---",) * len(head), *found]))


def _lines(found: Iterable[tuple[str, ...]]) -> Iterator[str]:
    return (f"| {' | '.join(cells)} |" for cells in found)


PARTS: dict[str, Callable[[], str]] = {
    "layers": layers, "states": diagram, "moves": moves, "outcomes": outcomes, "gates": task_gates, "rules": rules,
    "tour": tour, "decisions": decisions, "commands": commands, "settings": settings, "placeholders": placeholders,
    "inherited": inherited, "variables": variables, "torture": torture,
}  # fmt: skip


def main(arguments: list[str]) -> int:
    """Tell which documents are not as the code makes them; with --write, rewrite them."""
    stale = [path for path in documents() if remade(text := path.read_text(encoding="utf-8")) != text]
    for path in stale:
        print(path.relative_to(ROOT))
        if "--write" in arguments:
            path.write_text(remade(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 1 if stale and "--write" not in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
