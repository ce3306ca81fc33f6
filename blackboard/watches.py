"""What watches see: an answer is compared with the snapshot on the board, and every change is kept as a row.

Snapshot, changes and the answer's time are one write: a kill between two of them is not possible, so a change is seen
once, and one that came while nobody looked is seen by the next look. Who is told, and when: blackboard/watch_pushes.py.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from blackboard import journal, sources
from blackboard.board import Tx
from blackboard.clock import plus
from blackboard.watch_diff import Change, Known, Seen, canonical, compared, urgent

KIND = "watch"  # sources that are watched are called `watch:NAME`
ENGINE = "engine:watches"


@dataclass(frozen=True)
class Watch:
    """What is to be known of a watch to take its answer in. `fingerprint`: of what makes its items what they are."""

    name: str
    target: str
    topic: str
    fingerprint: str = ""
    confirm: int = 2
    urgent_kinds: tuple[str, ...] = ()
    urgent_when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notify_on_first_run: bool = False
    idle_seconds: float = 30.0
    active_seconds: float = 5.0

    @property
    def source(self) -> str:
        """Its name among the sources."""
        return f"{KIND}:{self.name}"


ITEMS = "SELECT item, content, missing FROM watch_items WHERE watch = :watch ORDER BY item"
PUT = """
INSERT INTO watch_items (watch, item, content, missing) VALUES (:watch, :item, :content, :missing)
ON CONFLICT (watch, item) DO UPDATE SET content = excluded.content, missing = excluded.missing
"""
DROP = "DELETE FROM watch_items WHERE watch = :watch AND item = :item"
DROP_ALL = "DELETE FROM watch_items WHERE watch = :watch"
CHANGE = """
INSERT INTO watch_changes (watch, target, topic, item, kind, diff, urgent, seen_at)
VALUES (:watch, :target, :topic, :item, :kind, :diff, :urgent, :now)
"""


BEGIN = "UPDATE sources SET next_at = :before WHERE name = :name AND next_at IS NULL"


def begin(tx: Tx, watch: Watch) -> None:
    """Somebody wants it asked now, and the question that comes is his: who wants it from here on gets one of his own.

    Until it is answered its time is one before its last answer: a kill forgets nothing.
    """
    row = sources.found(tx, watch.source)
    if row is not None and row["tried_at"] is not None:
        tx.run(BEGIN, name=watch.source, before=plus(row["tried_at"], -1))


def take_in(
    tx: Tx, watch: Watch, items: Mapping[str, str], etag: str | None = None, digest: str | None = None
) -> int:  # fmt: skip
    """Bring the board up to a good answer; how many changes it has.

    `items`: canonical JSON by name, in the answer's order; `digest`: of them, if it is known already. The first answer, and the first one after the watch was
    configured to see other items, is what later ones are compared with (event `watch_baseline`).
    """
    row = sources.found(tx, watch.source)
    state: dict[str, Any] = json.loads(row["state"]) if row is not None else {}
    digest = digest or digest_of(items)
    first = "fingerprint" not in state
    if first or state["fingerprint"] != watch.fingerprint:
        seen = _baseline(tx, watch, items, first)
    elif state["digest"] == digest and not state["missing"]:
        seen = Seen([], {}, [])
    else:
        known = {row["item"]: Known(row["content"], row["missing"]) for row in tx.all(ITEMS, watch=watch.name)}
        seen = compared(known, items, watch.confirm)
    _keep(tx, watch, seen)
    missing = sum(each.missing > 0 for each in seen.put.values())
    every = watch.active_seconds if seen.changes or missing else watch.idle_seconds
    known_state = {"fingerprint": watch.fingerprint, "digest": digest, "missing": missing, **({"etag": etag} if etag else {})}  # fmt: skip
    _answered(tx, watch, known_state, every)
    return len(seen.changes)


def unchanged(tx: Tx, watch: Watch) -> None:
    """A good answer that says that nothing has changed."""
    _answered(tx, watch, sources.state_of(tx, watch.source), watch.idle_seconds)


def _answered(tx: Tx, watch: Watch, state: Mapping[str, Any], every: float) -> None:
    """It is asked again when its time has come, or at once where somebody wanted that while this question was under way."""
    row = sources.found(tx, watch.source)
    wanted = row is not None and row["next_at"] is None
    sources.answered(tx, watch.source, state=state, every=None if wanted else every)


def etag_of(state: Mapping[str, Any], watch: Watch) -> str | None:
    """What to ask with: the tag of the last answer, while that is what the snapshot says."""
    fits = state.get("fingerprint") == watch.fingerprint and not state.get("missing")
    return state.get("etag") if fits else None


def digest_of(items: Mapping[str, str]) -> str:
    """What a whole answer is recognised by."""
    return hashlib.sha256(canonical(dict(items)).encode()).hexdigest()


def _baseline(tx: Tx, watch: Watch, items: Mapping[str, str], first: bool) -> Seen:
    tx.run(DROP_ALL, watch=watch.name)
    told = first and watch.notify_on_first_run
    why = "its first answer" if first else "it is configured to see other items now"
    what = "each of them is told" if told else "later answers are compared with them"
    journal.tell(tx, "watch_baseline", actor=ENGINE, reason=f"{watch.source}: {why}, {len(items)} items: {what}")
    if told:
        return compared({}, items, watch.confirm)
    return Seen([], {item: Known(text) for item, text in items.items()}, [])


def _keep(tx: Tx, watch: Watch, seen: Seen) -> None:
    for change in seen.changes:
        tx.insert(
            CHANGE, watch=watch.name, target=watch.target, topic=watch.topic, item=change.item, kind=change.kind,
            diff=json.dumps(change.diff, ensure_ascii=False), urgent=int(urgent(change, watch.urgent_kinds, watch.urgent_when)), now=tx.now,
        )  # fmt: skip
    for item, known in seen.put.items():
        tx.run(PUT, watch=watch.name, item=item, content=known.content, missing=known.missing)
    for item in seen.dropped:
        tx.run(DROP, watch=watch.name, item=item)
    if seen.changes:
        journal.tell(tx, "watch_changed", actor=ENGINE, reason=f"{watch.source}: {_counted(seen.changes)}")


def _counted(changes: list[Change]) -> str:
    kinds = Counter(change.kind for change in changes)
    return ", ".join(f"{kinds[kind]} {kind}" for kind in ("added", "changed", "removed") if kinds[kind])


POINT = """
UPDATE watch_changes SET target = :target, topic = :topic
 WHERE watch = :watch AND state IN ('waiting', 'pushed', 'left') AND (target <> :target OR topic <> :topic)
"""
NAMES = """
SELECT DISTINCT watch FROM watch_items UNION SELECT DISTINCT watch FROM watch_changes WHERE state = 'waiting'
UNION SELECT substr(name, length(:kind) + 1) FROM sources WHERE substr(name, 1, length(:kind)) = :kind ORDER BY 1
"""
LEAVE = "UPDATE watch_changes SET state = 'left' WHERE watch = :watch AND state = 'waiting'"


def agree(tx: Tx, watches: Collection[Watch]) -> None:
    """The configuration names exactly these: what is not told yet is for whom it says now, and others are watched no more.

    What waited for one that is named no more is left, and can be read; event `watch_left`.
    """
    for watch in watches:
        tx.run(POINT, watch=watch.name, target=watch.target, topic=watch.topic)
    named = {watch.name for watch in watches}
    for row in tx.all(NAMES, kind=f"{KIND}:"):
        if (name := row["watch"]) in named:
            continue
        tx.run(DROP_ALL, watch=name)
        sources.forget(tx, f"{KIND}:{name}")
        if left := tx.run(LEAVE, watch=name):
            said = f"{KIND}:{name} is configured no more: {left} of its changes were told to nobody"
            journal.tell(tx, "watch_left", actor=ENGINE, reason=said)
