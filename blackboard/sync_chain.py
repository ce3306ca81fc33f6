"""How far each instance is that asks for the calendar: its token, and what it knows, so that it is told the difference.

An answer's token is the next question's `since`. Each instance has a chain of its own for what its token reaches. A
token that is not the last one is answered in full, so a lost answer, a restored backup or a new day mends itself.
"""

from __future__ import annotations

import json
from typing import Any

from blackboard import agenda
from blackboard.agenda import Agenda, Day
from blackboard.board import Tx

# Chains of one reach, so that no token pushes out those of others; the one not asked for longest is forgotten.
MOST = 100

FOUND = "SELECT * FROM sync_clients WHERE instance = :instance AND reach = :reach"
PUT = """
INSERT INTO sync_clients (instance, reach, token, date, known, asked_at) VALUES (:instance, :reach, :token, :date, :known, :now)
ON CONFLICT (instance, reach) DO UPDATE SET token = excluded.token, date = excluded.date, known = excluded.known, asked_at = excluded.asked_at
"""
ASKED = "UPDATE sync_clients SET asked_at = :now WHERE instance = :instance AND reach = :reach"
FORGET = """
DELETE FROM sync_clients WHERE reach = :reach AND instance IN (
  SELECT instance FROM sync_clients WHERE reach = :reach ORDER BY asked_at DESC, instance LIMIT -1 OFFSET :most)
"""


def answer(tx: Tx, instance: str, agent: str | None, day: Day, since: str | None, token: str) -> dict[str, Any]:
    """The answer to a sync, full or the difference to the one whose token is `since`. `token`: of this one, if it says anything new.

    `agent`: the only one whose calendar the caller may see; None: everybody's.
    """
    reach = "all" if agent is None else f"agent:{agent}"
    found = agenda.of_day(tx, tx.now, day, agent=agent, overdue=True)
    row = tx.one(FOUND, instance=instance, reach=reach)
    today = day.name
    if row is not None and since == row["token"] and today == row["date"]:
        known: Agenda = json.loads(row["known"])
        if known.keys() == found.keys():
            if known == found:
                tx.run(ASKED, instance=instance, reach=reach, now=tx.now)
                return {"full": False, "diff": [], "syncToken": since, "date": today}
            _put(tx, instance, reach, token, today, found)
            return {"full": False, "diff": difference(known, found), "syncToken": token, "date": today}
    _put(tx, instance, reach, token, today, found)
    return {"full": True, "schedules": found, "syncToken": token, "date": today}


def _put(tx: Tx, instance: str, reach: str, token: str, date: str, found: Agenda) -> None:
    known = json.dumps(found, ensure_ascii=False)
    tx.run(PUT, instance=instance, reach=reach, token=token, date=date, known=known, now=tx.now)
    tx.run(FORGET, reach=reach, most=MOST)


def difference(known: Agenda, found: Agenda) -> list[dict[str, Any]]:
    """What makes one agenda of the other; both name the same agents. A field that has gone takes its record with it."""
    told: list[dict[str, Any]] = []
    for agent, records in found.items():
        before, after = _by_id(known[agent]), _by_id(records)
        for slot_id, record in before.items():
            if slot_id not in after or record.keys() - after[slot_id].keys():
                told.append({"op": "remove", "agent": agent, "slotId": slot_id})
        for slot_id, record in after.items():
            old = before.get(slot_id)
            if old is None or old.keys() - record.keys():
                told.append({"op": "add", "agent": agent, "slot": record})
            elif old != record:
                patch = {name: value for name, value in record.items() if name not in old or old[name] != value}
                told.append({"op": "update", "agent": agent, "slotId": slot_id, "patch": patch})
    return told


def _by_id(records: list[dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    return {record["id"] if record["id"] is not None else record["virtual_id"]: record for record in records}
