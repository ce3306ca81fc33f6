"""Reports that an attempt left in its spool while the API was away: read, and each applied once.

Applied by the same functions as calls over HTTP, as the very attempt, in one transaction with the row that says it
counted. Never opens a file: what the report hands in by path or as a file is found before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from blackboard import attempts, journal, reports
from blackboard.board import Rows, Tx
from blackboard.content import Held
from blackboard.errors import Invalid
from blackboard.forms import ChildReport, CommentReport, HeartbeatReport, OutputReport, StatusReport, UploadReport
from blackboard.move import get
from blackboard.people import Answer
from blackboard.policy import Policies
from blackboard.tokens import masked

FORMS: Mapping[str, type[BaseModel]] = {
    "status": StatusReport, "outputs": OutputReport, "comments": CommentReport, "heartbeat": HeartbeatReport,
    "children": ChildReport,
}  # fmt: skip
HOW = 'write {"route": "status", "report": {"status": "review"}}'
_KEYS = frozenset({"route", "report", "form", "file", "key"})
SAID = 500  # characters kept of an answer


class NotJson(Invalid):
    """It is not JSON: perhaps it is still being written."""


@dataclass(frozen=True)
class Spooled:
    """One report. `file`: the name of a file beside it in the spool that is handed in; `key`: its Idempotency-Key."""

    route: str
    report: BaseModel
    file: str | None = None
    key: str | None = None

    def paths(self) -> list[str]:
        """The files of the workspace that it hands in."""
        handed_in = self.report.handed_in() if isinstance(self.report, StatusReport) else [self.report]
        outputs = [each for each in handed_in if isinstance(each, OutputReport)]
        return sorted({each.content_path for each in outputs if each.content_path is not None})


def understood(raw: bytes) -> Spooled:
    """The report that a file of the spool holds; Invalid with a sentence when it holds none."""
    try:
        told = json.loads(raw)
    except (ValueError, RecursionError):
        raise NotJson(f"it is not JSON in UTF-8: {HOW}") from None
    if not isinstance(told, dict) or not told.keys() <= _KEYS or ("report" in told) == ("form" in told):
        raise Invalid(f"it is not a report: {HOW}")
    route = str(told.get("route", "")).strip("/")
    if route not in FORMS:
        raise Invalid(f"its route is none of {', '.join(FORMS)}: {HOW}")
    fields = _fields(told)
    file, key = told.get("file"), told.get("key")
    if not (file is None or (isinstance(file, str) and route == "outputs")) or not isinstance(key, str | None):
        raise Invalid("`file` is the name of a file beside an output's report, `key` a text")
    return Spooled(route, _checked(UploadReport if file is not None else FORMS[route], fields), file, key)


def _fields(told: Mapping[str, Any]) -> dict[str, Any]:
    if "report" in told:
        fields = told["report"]
    else:
        try:
            fields = dict(parse_qsl(str(told["form"]), keep_blank_values=True, errors="strict", max_num_fields=100))
        except ValueError:
            raise Invalid("its form is not UTF-8 text behind its %") from None
    if not isinstance(fields, dict):
        raise Invalid(f"its report is not an object: {HOW}")
    if not _storable(fields):
        raise Invalid("a text in it holds a NUL character or half of a character: text cannot")
    return fields


def _storable(value: object) -> bool:
    if isinstance(value, str):
        return _encodes(value)
    if isinstance(value, dict):
        return all(_storable(each) for pair in value.items() for each in pair)
    return all(_storable(each) for each in value) if isinstance(value, list) else True


def _encodes(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _checked(model: type[BaseModel], fields: dict[str, Any]) -> BaseModel:
    try:
        return model.model_validate(masked(fields))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in fault["loc"])[:60] or "report"
        raise Invalid(f"`{where}`: {fault['msg'].removeprefix('Value error, ')[:200]}") from None


TAKEN = "SELECT name FROM spooled WHERE attempt_id = :attempt"


def taken(rows: Rows, attempt_id: int) -> set[str]:
    """The names of the reports of an attempt that are done with: applied, or refused."""
    return {row["name"] for row in rows.all(TAKEN, attempt=attempt_id)}


TAKE = """
INSERT INTO spooled (attempt_id, name, taken_at, code, said) VALUES (:attempt, :name, :now, :code, :said)
ON CONFLICT (attempt_id, name) DO NOTHING
"""
ANSWERED = "SELECT 1 FROM idempotency WHERE caller = :token AND key = :key"


def apply(
    tx: Tx,
    attempt_id: int,
    name: str,
    spooled: Spooled,
    held: Mapping[str, Held],
    file: Held | None,
    policies: Policies,
) -> bool:
    """Have a report count, once; whether it did now. `held`: what its paths hold, `file`: what it sends whole.

    Raises what the same call over HTTP would be refused with; then nothing of it counts, and `refuse` writes it down.
    """
    if not tx.run(TAKE, attempt=attempt_id, name=name, now=tx.now, code=None, said=None):
        return False
    attempt = attempts.get(tx, attempt_id)
    if spooled.key is not None and tx.one(ANSWERED, token=attempt["token_hash"], key=spooled.key) is not None:
        attempts.tell(tx, attempt_id, "spooled", f"{name}: {spooled.route}, which had arrived already")
        return True
    answer = _said(tx, attempt["token_hash"], attempt["task_id"], spooled, held, file, policies)
    tx.run(NEXT, attempt=attempt_id, name=name, said=str(answer.get("next", ""))[:SAID])
    attempts.tell(tx, attempt_id, "spooled", f"{name}: {spooled.route}")
    return True


NEXT = "UPDATE spooled SET said = :said WHERE attempt_id = :attempt AND name = :name"


def _said(
    tx: Tx,
    token: bytes,
    task_id: int,
    spooled: Spooled,
    held: Mapping[str, Held],
    file: Held | None,
    policies: Policies,
) -> Answer:
    project, report = get(tx, task_id)["project_id"], spooled.report
    match report:
        case StatusReport():
            return reports.status(tx, token, project, task_id, report, held)
        case OutputReport():
            return reports.output(tx, token, project, task_id, report, held)
        case UploadReport() if file is not None:
            return reports.upload(tx, token, project, task_id, report, file)
        case CommentReport():
            return reports.comment(tx, token, project, task_id, report)
        case HeartbeatReport():
            return reports.heartbeat(tx, token, project, task_id, report)
        case ChildReport():
            return reports.child(tx, token, project, task_id, report, policies)
    raise Invalid("its file is not there")


def refuse(tx: Tx, attempt_id: int, name: str, *, route: str, code: str, sentence: str, body: str | None) -> None:
    """Write down, once, that a report of the spool was not taken, and why; its text is kept as evidence."""
    if tx.run(TAKE, attempt=attempt_id, name=name, now=tx.now, code=code, said=sentence[:SAID]):
        journal.add_refusal(tx, attempt_id, route=route, reason=code, body=body)
        attempts.tell(tx, attempt_id, "spool_refused", f"{name}: {sentence[:SAID]}")
