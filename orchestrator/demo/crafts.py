"""The small true work of the demo agent: each craft reads a real file and writes a real one into the folder.

A craft is a generator: it says a line for each step, and returns what it made. It knows files and its orders, and
nothing of reporting. It raises Cannot when the work cannot be done, Ask when a person must decide.
"""

from __future__ import annotations

import csv
import hashlib
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path

from orchestrator.demo.orders import Orders
from orchestrator.demo.reporting import Handed

Work = Generator[str, None, Handed]


class Cannot(Exception):
    """The work cannot be done; the text says why. `final`: trying again would not help."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


class Ask(Exception):
    """A person must answer this, or give what `kind` says is missing."""

    def __init__(self, question: str, kind: str = "needs_input") -> None:
        super().__init__(question)
        self.kind = kind


def count_words(orders: Orders, source: Path) -> Work:
    """How many words, and which most often; a paragraph a step."""
    seen: Counter[str] = Counter()
    for number, paragraph in enumerate(_text(source).split("\n\n"), 1):
        words = _words(paragraph)
        seen.update(words)
        yield f"paragraph {number}: {len(words)} words"
    rows = [f"| {word} | {count} |" for word, count in seen.most_common(10)]
    lines = [f"# Words of {source.name}", "", "| word | times |", "|---|---|", *rows, "", f"Total: {seen.total()}"]
    _write(orders, "words.md", lines)
    return Handed("document", f"Words of {source.name}", f"{seen.total()} words, {len(seen)} different", "words.md")


def sum_column(orders: Orders, source: Path) -> Work:
    """The sum of the second column. A line that is no number ends the attempt, unless the record names it as bad."""
    known_bad = {int(number) for number in re.findall(r"line (\d+) of " + re.escape(source.name), orders.record)}
    total, used, left_out = 0.0, 0, []
    for number, row in enumerate(csv.reader(_text(source).splitlines()), 1):
        if number == 1 or number in known_bad:
            left_out += [str(number)] if number > 1 else []
            continue
        try:
            total += float(row[1])
        except (ValueError, IndexError):
            value = row[1] if len(row) > 1 else ""
            raise Cannot(f"line {number} of {source.name} is not a number: {value!r}") from None
        used += 1
        if used % 5 == 0:
            yield f"line {number}: {total:g} so far"
    note = f"left out: line {', '.join(left_out)}, which is not a number" if left_out else "no line was left out"
    _write(
        orders,
        "sum.md",
        [f"# Sum of the second column of {source.name}", "", f"Lines: {used}; {note}.", "", f"Total: {total:g}"],
    )
    return Handed("data", f"sum-of-{source.name}", f"{total:g} from {used} lines; {note}", "sum.md")


def contents(orders: Orders, source: Path) -> Work:
    """A table of contents from the headings of a Markdown file."""
    lines = [f"# Contents of {source.name}", ""]
    for number, line in enumerate(_text(source).splitlines(), 1):
        heading = re.fullmatch(r"(#+) +(.+)", line)
        if heading:
            lines.append(f"{'  ' * (len(heading[1]) - 1)}- {heading[2]} (line {number})")
            yield f"line {number}: {heading[2]}"
    _write(orders, "contents.md", lines)
    return Handed("document", f"contents-of-{source.name}", f"{len(lines) - 2} headings", "contents.md")


def report(orders: Orders, source: Path) -> Work:
    """A short report. A hasty worker: it forgets the required last line until a reviewer's remark asks for it."""
    text = _text(source)
    lines = [f"# Report on {source.name}", ""]
    for name, count in (("Lines", text.count("\n")), ("Words", len(_words(text))), ("Characters", len(text))):
        lines.append(f"- {name}: {count}")
        yield f"{name.lower()}: {count}"
    if "Total:" in orders.remark:
        lines += ["", f"Total: {len(_words(text))}"]
        yield "the remark asks for a last line with the total: done"
    _write(orders, "report.md", lines)
    return Handed("document", f"Report on {source.name}", "lines, words and characters", "report.md")


def sort_table(orders: Orders, source: Path) -> Work:
    """A table sorted by a column that a person chooses: asks first, and goes on from the answer."""
    header, *rows = csv.reader(_text(source).splitlines())
    column = next((index for index, name in enumerate(header) if name.lower() in _words(orders.answer)), None)
    if column is None:
        raise Ask(f"By which column shall I sort {source.name}: {' or '.join(header)}? One word is enough.")
    yield f"the answer says: by {header[column]}"
    rows.sort(key=lambda row: row[column])
    _write(orders, "sorted.csv", [",".join(row) for row in (header, *rows)])
    return Handed("data", f"{source.name} by {header[column]}", f"{len(rows)} rows", "sorted.csv", by_path=True)


def checksums(orders: Orders, source: Path) -> Work:
    """The SHA-256 of every file in a folder."""
    lines = []
    for path in sorted(path for path in source.iterdir() if path.is_file()):
        lines.append(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}")
        yield path.name
    _write(orders, "SHA256SUMS", lines)
    return Handed("data", "SHA256SUMS", f"{len(lines)} files", "SHA256SUMS", by_path=True)


def watch(orders: Orders, source: Path) -> Work:
    """Waits for a change that may never come, with processes of its own; after a time-out it looks only once."""
    before = _digest(source)
    if "timed_out" not in orders.record:
        yield from _wait_for_change(source, before)
    changed = "has changed" if _digest(source) != before else "did not change: waiting was stopped before"
    _write(orders, "watch.md", [f"{source.name} {changed}.", f"SHA-256: {_digest(source)}"])
    return Handed("other", f"watch-of-{source.name}", f"{source.name} {changed}", "watch.md")


def _wait_for_change(source: Path, before: str) -> Generator[str, None, None]:
    """Look again and again, beside two processes that sleep: one of them in a session of its own."""
    sleep = ["/bin/sh", "-c", "exec sleep 3600"]
    children = [subprocess.Popen(sleep, start_new_session=apart) for apart in (False, True)]  # noqa: S603  # ours
    for child in children:
        yield f"waiting with process {child.pid}"
    while _digest(source) == before:
        yield f"{source.name} has not changed"
    for child in children:
        child.terminate()
        child.wait()


CRAFTS: dict[str, Callable[[Orders, Path], Work]] = {
    "Count the words of": count_words,
    "Sum the second column of": sum_column,
    "Write a table of contents of": contents,
    "Write a report on": report,
    "Sort": sort_table,
    "Write the checksums of": checksums,
    "Watch": watch,
}


def craft(orders: Orders) -> Work:
    """The work the description asks for, as `WORDS "PATH"`. Raises Ask for what this agent has not learnt."""
    for words, work in CRAFTS.items():
        asked = re.match(re.escape(words) + r' "(.+)"', orders.description)
        if asked:
            if not Path(asked[1]).exists():
                raise Cannot(f"there is no {asked[1]}")
            return work(orders, Path(asked[1]))
    known = ", ".join(f'{words} "PATH"' for words in CRAFTS)
    raise Ask(f"I do not know how to do this. A description of mine begins with one of: {known}.", "capability")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())


def _write(orders: Orders, name: str, lines: list[str]) -> None:
    Path(orders.folder, name).write_text("\n".join(lines) + "\n", encoding="utf-8")
