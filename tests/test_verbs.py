"""Every verb of a task: from which states, by whom, and what it brings with it. What is expected is written by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from blackboard import attempts, claims, journal, move, tokens, verbs
from blackboard.board import Board, Tx
from blackboard.errors import BlackboardError, Conflict, Fenced, IllegalMove, Invalid, NotFound, Refused
from blackboard.policy import Policy
from tests import scenes
from tests.fake_clock import FakeClock
from tests.scenes import tried

# what is said | from | to | by | the event's verb, where it is another
TABLE = """
start   | claimed                                 | working   | executor engine
submit  | claimed working                         | review    | executor engine
block   | claimed working                         | blocked   | executor engine
fail    | claimed working                         | failed    | executor engine
retry   | claimed working                         | pending   | executor engine
release | claimed                                 | pending   | engine
release | claimed                                 | pending   | executor               | retry
release | working                                 | pending   | executor engine        | retry
approve | review reviewed                         | done      | person engine
approve | reviewed                                | done      | reviewer
reject  | review reviewed                         | pending   | person engine
reject  | reviewed                                | pending   | reviewer
unblock | blocked                                 | pending   | person engine
cancel  | pending claimed working review reviewed | cancelled | person engine
cancel  | blocked                                 | cancelled | person engine
reopen  | failed done cancelled                   | pending   | person
"""
PLACES = (*scenes.STATES, "reviewed")  # the last: in review, and a reviewer has begun to look at it
ROLES = ("executor", "reviewer", "person", "engine", "agent", "sql")
LIVE = ("claimed", "working")

# What an actor may do with a task in a state, as a refusal has to say it.
MAY = {
    ("pending", "engine"): {"claim", "block", "cancel"}, ("pending", "person"): {"cancel"},
    ("claimed", "executor"): {"start", "retry", "submit", "fail", "block"}, ("claimed", "person"): {"cancel"},
    ("claimed", "engine"): {"start", "release", "retry", "submit", "fail", "block", "cancel"},
    ("working", "executor"): {"retry", "submit", "fail", "block"}, ("working", "person"): {"cancel"},
    ("working", "engine"): {"retry", "submit", "fail", "block", "cancel"},
    ("review", "reviewer"): {"approve", "reject"}, ("review", "person"): {"approve", "reject", "cancel"},
    ("review", "engine"): {"approve", "reject", "cancel"},
    ("blocked", "person"): {"unblock", "cancel"}, ("blocked", "engine"): {"unblock", "cancel"},
    ("failed", "person"): {"reopen"}, ("done", "person"): {"reopen"}, ("cancelled", "person"): {"reopen"},
}  # fmt: skip

Said = Callable[[Tx, int, str], str]
EXECUTOR = "SELECT * FROM attempts WHERE task_id = :task AND role = 'executor' ORDER BY id DESC LIMIT 1"


def of_attempt(verb: Callable[..., str], **given: Any) -> Said:
    return lambda tx, task, actor: verb(tx, tx.one(EXECUTOR, task=task), actor=actor, **given)


def of_task(verb: Callable[..., str], **given: Any) -> Said:
    return lambda tx, task, actor: verb(tx, task, actor=actor, **given)


SAID: dict[str, Said] = {
    "start": of_attempt(verbs.start),
    "submit": of_attempt(verbs.submit, detail="made it"),
    "block": of_attempt(verbs.block, kind="needs_input", question="which?"),
    "fail": of_attempt(verbs.end_badly, outcome="failed", detail="cannot", final=True),
    "retry": of_attempt(verbs.end_badly, outcome="crashed", detail="cannot"),
    "release": of_attempt(verbs.end_badly, outcome="released"),
    "approve": of_task(verbs.approve, reason="good"),
    "reject": of_task(verbs.reject, remark="too short"),
    "unblock": of_task(verbs.unblock, answer="that one"),
    "cancel": of_task(verbs.cancel, reason="no need"),
    "reopen": of_task(verbs.reopen, reason="again"),
}
OF_ATTEMPT = ("start", "submit", "block", "fail", "retry", "release")


def allowed() -> dict[tuple[str, str, str], tuple[str, str]]:
    """(said, place, role) → (state reached, verb of the event)."""
    found = {}
    for line in TABLE.strip().splitlines():
        said, places, dst, roles, *verb = (cell.split() for cell in line.split("|"))
        for place in places:
            for role in roles:
                found[said[0], place, role] = (dst[0], verb[0][0] if verb else said[0])
    return found


ALLOWED = allowed()


def place_task(tx: Tx, place: str) -> int:
    """A task at a place; even the pending one has had an attempt, which has ended."""
    task = scenes.post_at(tx, "review" if place in ("pending", "reviewed") else place)
    if place == "pending":
        verbs.reject(tx, task, actor="person:root", remark="again")
    if place == "claimed":
        journal.add_output(tx, scenes.latest(tx, task), type="code", title="a nail", content="iron")
    if place == "reviewed":
        scenes.claim_review(tx, task)
    return task


LAST_EVENT = (
    "SELECT actor, verb, src, dst FROM events WHERE task_id = :task AND dst IS NOT NULL ORDER BY id DESC LIMIT 1"
)
NOT_ENDED = "SELECT count(*) AS n FROM attempts WHERE task_id = :task AND ended_at IS NULL"


def look(tx: Tx, task: int) -> tuple[object, ...]:
    event, live = tx.one(LAST_EVENT, task=task), tx.one(NOT_ENDED, task=task)
    assert event is not None and live is not None
    return scenes.status_of(tx, task), *event, live["n"]


@pytest.mark.parametrize("said", SAID)
async def test_every_state_and_role_moves_exactly_as_the_table_says(board: Board, said: str) -> None:
    tasks = {place: await board.write(place_task, place) for place in PLACES}
    before = await board.read(scenes.everything)
    for place in PLACES:
        for role in ROLES:
            actor = role if role == "sql" else f"{role}:ada"

            def one_try(tx: Tx, task: int = tasks[place], actor: str = actor) -> tuple[object, ...]:
                return SAID[said](tx, task, actor), *look(tx, task)

            seen = await tried(board, one_try)

            where, state = f"{said} of a task in {place} by {actor}", "review" if place == "reviewed" else place
            if (said, place, role) in ALLOWED:
                dst, verb = ALLOWED[said, place, role]
                assert seen == (dst, dst, actor, verb, state, dst, 1 if dst in LIVE else 0), where
            elif said in OF_ATTEMPT and place not in LIVE:
                assert type(seen) is Fenced, where
            elif (said, place, role) in {("approve", "review", "reviewer"), ("reject", "review", "reviewer")}:
                assert type(seen) is Refused and "needs a reviewer's attempt" in str(seen), where
            else:
                assert type(seen) is IllegalMove, where
                may = MAY.get((state, role), set())
                assert set(seen.facts["allowed"]) == may and seen.facts["found"] == state, where
                assert f"task {tasks[place]} is {state}" in seen.sentence, where
                assert all(verb in seen.sentence.partition(":")[2] for verb in may or {"nothing"}), where
    assert await board.read(scenes.everything) == before


def test_the_table_reaches_every_verb() -> None:
    assert {said for said, _, _ in ALLOWED} == set(SAID)


async def test_a_claim_is_no_move_but_an_attempt(board: Board) -> None:
    task = await board.write(scenes.post)
    refused = await tried(board, lambda tx: move.move(tx, move.get(tx, task), "claim", actor="engine:tick"))
    assert type(refused) is Refused and "INSERT into attempts" in str(refused)


@pytest.mark.parametrize("said", [name for name in SAID if name not in OF_ATTEMPT])
async def test_a_task_that_is_not_there_is_not_found(board: Board, said: str) -> None:
    seen = await tried(board, lambda tx: SAID[said](tx, 77, "person:root"))
    assert type(seen) is NotFound and "no task 77" in seen.sentence


async def test_two_who_move_one_task_at_once_cannot_both_have_moved_it(board: Board) -> None:
    """A row read before somebody else moved the task is refused, and not applied to what it has become."""

    def late(tx: Tx) -> str:
        task = move.get(tx, scenes.post_at(tx, "working"))
        verbs.cancel(tx, task["id"], actor="person:root")
        return move.move(tx, task, "submit", actor="executor:ada")

    assert type(await tried(board, late)) is IllegalMove


# --- Both ends of an attempt -----------------------------------------------------------------------------------------

ENDINGS = {
    "submit": "submitted",
    "block": "blocked",
    "fail": "failed",
    "retry": "crashed",
    "release": "released",
    "cancel": "cancelled",
}


@pytest.mark.parametrize("said", ENDINGS)
@pytest.mark.parametrize("place", LIVE)
async def test_an_attempt_ends_with_its_tasks_move_and_is_gone_only_when_proved(
    board: Board, clock: FakeClock, said: str, place: str
) -> None:
    task = await board.write(place_task, place)
    ended_at = clock.go_on(10)
    await board.write(SAID[said], task, "person:root" if said == "cancel" else "engine:monitor")

    attempt = await board.read(scenes.latest, task)
    assert (attempt["ended_at"], attempt["outcome"], attempt["gone_at"]) == (ended_at, ENDINGS[said], None)
    [stopping] = await board.read(attempts.not_gone)
    assert stopping["id"] == attempt["id"]
    if said in ("retry", "release"):  # it may be tried again, but not beside a process that may live
        refused = await tried(board, lambda tx: scenes.claim(tx, task))
        assert type(refused) is Refused and "not proved gone" in str(refused)
    gone_at = clock.go_on(5)
    assert await board.write(attempts.gone, attempt["id"], code=0)
    assert not await board.write(attempts.gone, attempt["id"], code=1)  # told already
    attempt = await board.read(scenes.latest, task)
    assert (attempt["gone_at"], attempt["exit_code"]) == (gone_at, 0)
    assert await board.read(attempts.not_gone) == []
    if said in ("retry", "release"):
        assert isinstance(await tried(board, lambda tx: scenes.claim(tx, task)), sqlite3.Row)


async def test_an_attempt_that_has_not_ended_cannot_be_gone(board: Board) -> None:
    task = await board.write(scenes.post_at, "working")
    attempt = await board.read(scenes.latest, task)
    assert not await board.write(attempts.gone, attempt["id"])
    await board.write(attempts.stopped, attempt["id"])
    attempt = await board.read(scenes.latest, task)
    assert (attempt["gone_at"], attempt["stopped_at"]) == (None, None)


LATE: dict[str, Callable[[Tx, Any], str]] = {
    "start": lambda tx, row: verbs.start(tx, row, actor="engine:monitor"),
    "submit": lambda tx, row: verbs.submit(tx, row, actor="executor:ada"),
    "block": lambda tx, row: verbs.block(tx, row, actor="engine:monitor", kind="transient", question="?"),
    "retry": lambda tx, row: verbs.end_badly(tx, row, "crashed", actor="engine:monitor"),
}


@pytest.mark.parametrize("place", ["pending", "review", "done", "failed", "blocked", "cancelled"])
@pytest.mark.parametrize("said", LATE)
async def test_a_row_read_before_the_attempt_ended_does_not_pass_the_fence(board: Board, place: str, said: str) -> None:
    """Whoever reads an attempt in one transaction and ends it in another may be late, as its agent may."""

    def late(tx: Tx) -> str:
        task = place_task(tx, place)
        return LATE[said](tx, dict(scenes.latest(tx, task)) | {"ended_at": None, "outcome": None})

    seen = await tried(board, late)
    assert type(seen) is Fenced and seen.facts["found"] == place


async def test_the_fence_says_how_the_attempt_ended(board: Board) -> None:
    task = await board.write(place_task, "cancelled")
    seen = await tried(board, lambda tx: SAID["submit"](tx, task, "executor:ada"))
    assert type(seen) is Fenced and seen.facts == {"outcome": "cancelled", "found": "cancelled"}
    assert f"attempt 1 of task {task} has ended (cancelled)" in seen.sentence


# --- Posting --------------------------------------------------------------------------------------------------------


async def test_a_task_is_posted_as_it_was_said(board: Board, clock: FakeClock) -> None:
    said = {
        "title": "Nagel 🔨 'x' \"y\" $(z)", "description": "line\nline", "task_type": "code", "priority": 9, "must_haves": "sharp",
        "due_at": "2026-02-01T00:00:00.000Z", "not_before": "2026-02-02T00:00:00.000Z", "reason": "asked for",
    }  # fmt: skip
    policy = Policy(max_tries=7, review="auto", needs_output=False)
    task = await board.write(scenes.post, data={"a": [1, None, "é"]}, policy=policy, role="smith", **said)
    row = dict((await board.all("SELECT * FROM tasks"))[0])
    assert row.items() >= (said | policy.columns()).items()
    assert (row["data"], row["agent_id"], row["role"]) == ('{"a": [1, null, "\\u00e9"]}', None, "smith")
    assert (row["status"], row["actor"], row["posted_at"], row["moved_at"]) == (
        "pending",
        "person:root",
        clock.now(),
        clock.now(),
    )
    assert await board.read(scenes.story, task) == ["person:root post"]


async def test_a_task_is_due_at_once_unless_it_says_when(board: Board, clock: FakeClock) -> None:
    await board.write(scenes.post)
    assert (await board.all("SELECT due_at FROM tasks"))[0][0] == clock.now()


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"agent": "ada", "role": "smith"}, Invalid, "exactly one of them"),
        ({"agent": None}, Invalid, "exactly one of them"),
        ({"agent": "nobody"}, NotFound, "no agent 'nobody'"),
        ({"role": "nobody"}, NotFound, "no agent with the role 'nobody'"),
        ({"project": "nowhere"}, NotFound, "no project 'nowhere'"),
        ({"parent_id": 77}, NotFound, "no task 77"),
        ({"needs": [77]}, NotFound, "no task 77"),
        ({"title": ""}, Invalid, "title"),
        ({"due_at": "tomorrow"}, Invalid, "due_at"),
        ({"due_at": "2026-02-30T00:00:00.000Z"}, Invalid, "due_at"),
        ({"due_at": "2026-19-39T29:59:69.999Z"}, Invalid, "due_at"),
        ({"not_before": "2026-13-01T00:00:00.000Z"}, Invalid, "not_before"),
        ({"policy": Policy(max_tries=0)}, Invalid, "max_tries"),
        ({"policy": Policy(review="never")}, Invalid, "review"),
    ],
)
async def test_what_cannot_be_a_task_is_refused(
    board: Board, given: dict[str, Any], error: type[BlackboardError], words: str
) -> None:
    seen = await tried(board, lambda tx: scenes.post(tx, **given))
    assert type(seen) is error and words in seen.sentence
    assert (await board.all("SELECT count(*) FROM tasks"))[0][0] == 0


# --- Tries and rejections -------------------------------------------------------------------------------------------


def ends(tx: Tx, task: int, outcome: str, **given: Any) -> str:
    """Work on a task until it ends so, and be gone; the task's state then."""
    status = verbs.end_badly(tx, scenes.work(tx, task), outcome, actor="engine:monitor", **given)
    scenes.see_off(tx, task)
    return status


async def test_charged_tries_run_out_and_the_others_do_not_count(board: Board) -> None:
    def life(tx: Tx) -> list[object]:
        task = scenes.post(tx, policy=Policy(max_tries=3))
        said: list[object] = []
        for outcome in (
            "released",
            "crashed",
            "stopped",
            "spawn_failed",
            "dry_run",
            "idle",
            "prompt_failed",
            "timed_out",
        ):
            said.append((outcome, ends(tx, task, outcome), verbs.tries(tx, task)))
        return said

    assert await board.write(life) == [
        ("released", "pending", 0), ("crashed", "pending", 1), ("stopped", "pending", 1), ("spawn_failed", "pending", 1),
        ("dry_run", "pending", 1), ("idle", "pending", 2), ("prompt_failed", "pending", 2), ("timed_out", "failed", 3),
    ]  # fmt: skip


async def test_tries_count_anew_after_a_reopening(board: Board) -> None:
    def life(tx: Tx) -> list[object]:
        task = scenes.post(tx, policy=Policy(max_tries=2))
        said = [ends(tx, task, "crashed"), ends(tx, task, "crashed"), verbs.tries(tx, task)]
        verbs.reopen(tx, task, actor="person:root")
        said += [verbs.tries(tx, task), ends(tx, task, "crashed"), verbs.tries(tx, task), ends(tx, task, "crashed")]
        verbs.reopen(tx, task, actor="person:root")
        return [*said, verbs.tries(tx, task), scenes.latest(tx, task)["number"]]

    assert await board.write(life) == ["pending", "failed", 2, 0, "pending", 1, "failed", 0, 4]


async def test_a_task_reopened_before_its_first_attempt_has_all_its_tries(board: Board) -> None:
    def life(tx: Tx) -> list[object]:
        task = scenes.post(tx, policy=Policy(max_tries=2))
        verbs.cancel(tx, task, actor="person:root")
        verbs.reopen(tx, task, actor="person:root")
        return [ends(tx, task, "crashed"), ends(tx, task, "crashed")]

    assert await board.write(life) == ["pending", "failed"]


async def test_what_was_rejected_is_no_failed_try(board: Board) -> None:
    def life(tx: Tx) -> list[object]:
        task = scenes.post(tx, policy=Policy(max_tries=1))
        for _ in range(3):
            scenes.submit(tx, task)
            verbs.reject(tx, task, actor="person:root", remark="again")
        return [verbs.tries(tx, task), scenes.status_of(tx, task)]

    assert await board.write(life) == [0, "pending"]


@pytest.mark.parametrize("most", [0, 1, 3])
async def test_after_too_many_rejections_a_person_is_asked(board: Board, most: int) -> None:
    def round_of_rejections(tx: Tx, task: int) -> list[str]:
        said = []
        while not said or said[-1] == "pending":
            scenes.submit(tx, task)
            said.append(verbs.reject(tx, task, actor="person:root", remark="again"))
        return said

    def life(tx: Tx) -> list[object]:
        task = scenes.post(tx, policy=Policy(max_rejections=most))
        said = [round_of_rejections(tx, task), move.get(tx, task)["blocked_kind"], move.get(tx, task)["reason"]]
        verbs.unblock(tx, task, actor="person:root", answer="try once more")  # counts anew
        said.append(round_of_rejections(tx, task))
        verbs.unblock(tx, task, actor="person:root", answer="and again")
        scenes.submit(tx, task)
        verbs.approve(tx, task, actor="person:root")
        verbs.reopen(tx, task, actor="person:root")  # counts anew
        return [*said, round_of_rejections(tx, task)]

    expected = ["pending"] * most + ["blocked"]
    first, kind, reason, second, third = await board.write(life)
    assert (first, second, third, kind) == (expected, expected, expected, "needs_input")
    assert f"rejected {most + 1} times, more than {most}" in str(reason)


@pytest.mark.parametrize(("said", "word"), [("reject", "remark"), ("unblock", "answer")])
@pytest.mark.parametrize("text", ["", " \n\t"])
async def test_a_person_who_sends_it_on_says_something(board: Board, said: str, word: str, text: str) -> None:
    task = await board.write(place_task, "review" if said == "reject" else "blocked")
    seen = await tried(board, lambda tx: getattr(verbs, said)(tx, task, actor="person:root", **{word: text}))
    assert type(seen) is Refused and word in seen.sentence


async def test_an_answer_stays_for_the_next_prompt_until_the_task_is_blocked_again(board: Board) -> None:
    def life(tx: Tx) -> list[object]:
        task = scenes.post_at(tx, "blocked")
        verbs.unblock(tx, task, actor="person:root", answer="ten inches")
        answers = [move.get(tx, task)["answer"]]
        attempt = scenes.work(tx, task)
        answers.append(move.get(tx, task)["answer"])
        verbs.block(tx, attempt, actor="executor:ada", kind="capability", question="no iron")
        return [
            *answers,
            move.get(tx, task)["answer"],
            move.get(tx, task)["blocked_kind"],
            move.get(tx, task)["reason"],
        ]

    assert await board.write(life) == ["ten inches", "ten inches", None, "capability", "no iron"]


async def test_the_next_try_waits_as_the_policy_says(board: Board, clock: FakeClock) -> None:
    def life(tx: Tx) -> list[object]:
        task = scenes.post(tx, policy=Policy(backoff_seconds=100))
        ends(tx, task, "crashed", exit_code=3)
        first = move.get(tx, task)["not_before"]
        ends(tx, task, "released")
        return [first, move.get(tx, task)["not_before"]]

    first, released = await board.write(life)
    assert clock.go_on(75) <= str(first) <= clock.go_on(25)
    assert released is None


async def test_how_an_attempt_ended_is_kept(board: Board) -> None:
    def life(tx: Tx) -> list[object]:
        task = scenes.post(tx)
        ends(tx, task, "killed", detail="out of memory", exit_signal=9)
        attempt = scenes.latest(tx, task)
        return [attempt[name] for name in ("outcome", "detail", "exit_code", "exit_signal")] + [
            move.get(tx, task)["reason"]
        ]

    assert await board.write(life) == ["killed", "out of memory", None, 9, "killed: out of memory"]


# --- Handing in -----------------------------------------------------------------------------------------------------


async def test_without_an_output_nothing_is_handed_in(board: Board) -> None:
    task = await board.write(scenes.post_at, "claimed")
    seen = await tried(board, lambda tx: SAID["submit"](tx, task, "executor:ada"))
    assert type(seen) is Refused and "no output yet" in seen.sentence
    free = await board.write(scenes.post_at, "claimed", policy=Policy(needs_output=False))
    assert await tried(board, lambda tx: SAID["submit"](tx, free, "executor:ada")) == "review"


async def test_a_former_attempts_output_does_not_count(board: Board) -> None:
    def life(tx: Tx) -> str:
        task = scenes.post_at(tx, "review")
        verbs.reject(tx, task, actor="person:root", remark="again")
        return verbs.submit(tx, scenes.claim(tx, task), actor="executor:ada")

    assert type(await tried(board, life)) is Refused


@pytest.mark.parametrize("state", scenes.STATES)
async def test_a_parent_is_handed_in_when_its_children_are_final(board: Board, state: str) -> None:
    def life(tx: Tx, policy: Policy) -> str:
        task = scenes.post(tx, policy=policy)
        attempt = scenes.work(tx, task)
        scenes.post_at(tx, state, parent_id=task)
        return verbs.submit(tx, attempt, actor="executor:ada")

    seen = await tried(board, lambda tx: life(tx, Policy()))
    if state in ("done", "failed", "cancelled"):
        assert seen == "review"
    else:
        assert type(seen) is Refused and "child task is not final" in seen.sentence
    assert await tried(board, lambda tx: life(tx, Policy(waits_for_children=False))) == "review"


async def test_review_auto_approves_in_the_same_transaction(board: Board) -> None:
    def life(tx: Tx) -> list[object]:
        task = scenes.post(tx, policy=Policy(review="auto"))
        after = scenes.post(tx, needs=[task])
        attempt = scenes.work(tx, task)
        return [verbs.submit(tx, attempt, actor="executor:ada"), task, after, move.get(tx, after)["deps_open"]]

    status, task, _, open_needs = await board.write(life)
    assert (status, open_needs) == ("done", 0)
    told = await board.read(scenes.story, int(str(task)))
    assert told[-3:] == ["executor:ada submit", "executor:ada ended", "engine:policy approve"]


async def test_nobody_reviews_their_own_work(board: Board) -> None:
    task = await board.write(scenes.post_at, "review")
    seen = await tried(board, lambda tx: scenes.claim_review(tx, task, "ada"))
    assert type(seen) is Refused and "their own work" in seen.sentence


async def test_a_token_names_one_attempt_for_ever(board: Board) -> None:
    first, second = await board.write(scenes.post), await board.write(scenes.post)
    await board.write(claims.claim, first, "ada", tokens.digest("bbt_x"))
    seen = await tried(board, lambda tx: claims.claim(tx, second, "ada", tokens.digest("bbt_x")))
    assert isinstance(seen, Refused | Conflict)
