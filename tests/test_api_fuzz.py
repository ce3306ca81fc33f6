"""The API against its own OpenAPI document: thousands of made-up requests, right and wrong, and every check there is.

What the document allows must be taken, what it forbids refused, and every answer be one that it names. The doctor
looks at the board afterwards, as at any board that a test leaves.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events, from_schema

from api import ApiConfig, examples, openapi
from api.app import table
from tests.fuzz_house import HELD, FuzzHouse, fuzz_house

CASES = 5_000  # of all parts together
PARTS = 4  # the routes are dealt out to so many tests, so that two processors share them
EXAMPLES = 80  # made up for each route, beside those that walk through its schema
HOURS = {"time_zone": "Europe/Berlin", "active_hours": "08:00-24:00"}
TABLE = table(ApiConfig())
# Every check of schemathesis but these: `max_response_time` would judge the machine;
# `use_after_free`, `ensure_resource_availability` and `object_level_authorization` look at what a DELETE or another
# identity does to a thing made before: nothing is deleted here, and tests/test_api_reach.py tries N × N tokens. They are
# switched on all the same and find nothing to look at.
CHECKS = {
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "positive_data_acceptance", "missing_required_header",
    "unsupported_method", "allow_header_conformance", "ignored_auth",
}  # fmt: skip


def settings(seed: int, examples: int) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "workers": 1,
            "continue-on-failure": True,
            "generation": {"deterministic": True, "max-examples": examples, "database": "none", "no-shrink": True},
            "checks": {"enabled": True},
            "phases": {"stateful": {"generation": {"max-examples": max(1, examples // 10)}}},
        }
    )


class Manner:
    """How a made-up case meets the real board: a task that is there, a token that may, names that are known.

    Most cases are helped so; a part is sent as it was made up. What was made wrong on purpose stays wrong.
    """

    def __init__(self, house: FuzzHouse, seed: int) -> None:
        self._house = house
        self._chance = random.Random(seed)
        self._who = {endpoint.path: endpoint.who for endpoint in TABLE}

    def token(self, case: Any) -> str:
        """Mostly one that may."""
        tokens = self._house.scene(case.operation.path).tokens
        able = [role for role in self._who[case.operation.path] if role in tokens]
        return tokens[self._chance.choice(able if able and self._chance.random() < 0.9 else sorted(tokens))]

    def before_call(self, case: Any) -> None:
        """Real ids for the path, where the path is not what was made wrong; known names in a good body."""
        meta = case.meta
        parts = case.path_parameters or {}
        if meta is None or not meta.is_negative_at(ParameterLocation.PATH):
            real = self._house.scene(case.operation.path).parts
            parts.update({name: real[name] for name in parts.keys() & real.keys() if self._chance.random() < 0.9})
        if "Idempotency-Key" in (case.headers or {}) and (
            meta is None or not meta.is_negative_at(ParameterLocation.HEADER)
        ):
            case.headers["Idempotency-Key"] = f"{self._chance.randrange(2**63)}"  # made-up ones come again
        if isinstance(case.body, dict) and (meta is None or meta.generation.mode.is_positive):
            self._ground(case.operation.path, case.body)

    def _ground(self, path: str, body: dict[str, Any]) -> None:
        for output in [body, body.get("output"), *(body.get("outputs") or [])]:
            # The document cannot say which files a workspace holds.
            if isinstance(output, dict) and isinstance(output.get("content_path"), str):
                output["content_path"] = HELD
        if path.endswith("/heartbeat"):  # nor which zones there are, and what makes hours
            body |= {name: known for name, known in HOURS.items() if body.get(name) is not None}
        if path.endswith("/gone") and "attempt" in body and self._chance.random() < 0.7:
            body["attempt"] = self._house.scene(path).attempt
        if path.endswith("/permissions") and {"subject", "scope"} <= body.keys() and self._chance.random() < 0.7:
            body |= {"subject": "agent:writer", "scope": self._chance.choice(("*", "self", "agent:writer"))}
        if self._chance.random() < 0.3 or not path.endswith(("/tasks", "/children", "/slots")):
            return
        for name, known in (("agent", "writer"), ("needs", []), ("parent", self._house.scene(path).parts["task"])):
            if body.get(name) is not None:
                body[name] = known
        if isinstance(body.get("slots"), list):
            slot = {"id": self._chance.randrange(50), "agent": "writer", "scheduled_at": "09:00", "event_data": {}}
            body["slots"].append(slot)

    def after_call(self, case: Any, response: Any) -> None:
        """A task that has moved is done with."""
        if case.method == "PATCH" and response.status_code < 300:
            self._house.used(case.operation.path)
        moves = case.method == "POST" and "{task}" in case.operation.path and response.status_code < 300
        if moves and response.json().get("status") not in ("claimed", "working"):
            self._house.used(case.operation.path)


@contextmanager
def mannered(schema: Any, manner: Manner) -> Iterator[None]:
    """The schema's calls are made in this manner. Hooks around a call can be registered for everybody only."""

    class Bearer:
        def get(self, case: Any, context: Any) -> str:
            return manner.token(case)

        def set(self, case: Any, data: str, context: Any) -> None:
            case.headers["Authorization"] = f"Bearer {data}"

    schema.auth(refresh_interval=None)(Bearer)

    @schemathesis.hook
    def before_call(context: Any, case: Any, kwargs: dict[str, Any]) -> None:
        manner.before_call(case)

    @schemathesis.hook
    def after_call(context: Any, case: Any, response: Any) -> None:
        manner.after_call(case, response)

    try:
        yield
    finally:
        schemathesis.hooks.unregister_all()


@dataclass
class Run:
    """What was tried, and what was wrong with it."""

    cases: int = 0
    checks: set[str] = field(default_factory=set)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def take(self, event: Any) -> None:
        if isinstance(event, events.ScenarioFinished):
            self._scenario(event.recorder)
        elif isinstance(event, events.NonFatalError):
            self.failures.append(f"{event.label}: {event.info}")
        elif isinstance(event, events.FatalError):
            self.failures.append(repr(event.exception))

    def _scenario(self, recorder: Any) -> None:
        self.cases += len(recorder.interactions)
        for interaction in recorder.interactions.values():
            if interaction.response is not None:
                self.statuses.setdefault(recorder.label, Counter())[interaction.response.status_code] += 1
        for check in (each for found in recorder.checks.values() for each in found):
            self.checks.add(check.name)
            if (failed := check.failure_info) is not None:
                self.failures.append(f"{recorder.label}: {check.name}: {failed.failure}\n{failed.code_sample[:2000]}")


def fuzzed(path: Path, routes: set[str], seed: int, examples: int) -> Run:
    run = Run()
    with fuzz_house(path) as house:
        config = settings(seed, examples)
        schema = schemathesis.openapi.from_url(f"{house.base}/openapi.json", config=config)
        schema.config.update(base_url=house.base)
        schema = schema.include(lambda context: context.operation.path in routes)
        with mannered(schema, Manner(house, seed)):
            for event in from_schema(schema).execute():
                run.take(event)
    return run


def part_of(part: int) -> set[str]:
    """Every fourth path: routes that follow one another are alike, so the parts take about as long."""
    paths = sorted({endpoint.path for endpoint in TABLE if examples.STREAM not in endpoint.media})  # it would never end
    return set(paths[part::PARTS])


def judged(run: Run, routes: set[str], cases: int) -> None:
    assert run.failures == [], "\n\n".join(run.failures[:5])
    assert run.cases >= cases
    assert run.checks >= CHECKS
    for endpoint in TABLE:  # a run that only heard "no" has tried nothing
        if endpoint.path in routes:
            heard = run.statuses[f"{endpoint.method} {endpoint.path}"]
            assert heard[endpoint.success], (endpoint.path, heard)
            refusals = {status for status in heard if status >= 400}
            known = {int(status) for status in openapi.responses(endpoint)}
            assert refusals <= known | {405}, (endpoint.path, heard)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_the_api_is_what_its_document_says(tmp_path: Path, part: int) -> None:
    judged(fuzzed(tmp_path, part_of(part), 1, EXAMPLES), part_of(part), CASES // PARTS)


@pytest.mark.long
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(PARTS))
def test_the_api_is_what_its_document_says_for_long(tmp_path: Path, part: int) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    judged(fuzzed(tmp_path, part_of(part), seed, 40 * EXAMPLES), part_of(part), 10 * CASES // PARTS)
