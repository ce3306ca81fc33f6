"""What an agent may say: by its own token, on its own task, while its attempt lives. Each report is one transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from blackboard import forms, move, people, reports, tokens, verbs
from blackboard.board import Board, Tx
from blackboard.content import Held
from blackboard.errors import (
    BlackboardError,
    Fenced,
    Forbidden,
    IllegalMove,
    Invalid,
    NotFound,
    Refused,
    Unauthorized,
)
from blackboard.policy import Policies, Policy
from blackboard.tokens import digest
from tests import scenes
from tests.fake_clock import FakeClock
from tests.scenes import PROJECT, status_of, token_of, tried

NAIL = {"type": "code", "title": "a nail", "content": "iron"}


def hash_of(task: int, number: int = 1) -> bytes:
    return digest(token_of(task, number))


def say(
    tx: Tx, task: int, status: str, *, number: int = 1, held: dict[str, Held] | None = None, **more: Any
) -> dict[str, Any]:
    """A status report by the token of an attempt."""
    report = forms.StatusReport(status=status, **more)  # type: ignore[arg-type]
    return reports.status(tx, hash_of(task, number), PROJECT, task, report, held)


def operator(tx: Tx, scope: str = "operate") -> bytes:
    tokens.create(tx, f"bbt_of_an_operator_{scope}", kind="operator", name="ann", scope=scope)
    return digest(f"bbt_of_an_operator_{scope}")


# --- From claimed to review ---------------------------------------------------------------------------------------------


async def test_an_agent_takes_its_task_from_claimed_to_review(board: Board) -> None:
    def life(tx: Tx) -> list[dict[str, Any]]:
        task = scenes.post_at(tx, "claimed")
        said = [say(tx, task, "working"), say(tx, task, "working")]
        said.append(reports.output(tx, hash_of(task), PROJECT, task, forms.OutputReport(**NAIL)))
        said.append(reports.heartbeat(tx, hash_of(task), PROJECT, task, forms.HeartbeatReport()))
        return [*said, say(tx, task, "review", detail="made it")]

    first, again, output, beat, last = await board.write(life)
    assert first == {"task": 1, "project": PROJECT, "status": "working", "attempt": 1,
                     "next": "do the task, hand in an output, then say review (or failed, or blocked)"}  # fmt: skip
    assert again == first | {"already": True}
    assert output == first | {"outputs": [1]} and beat == first
    assert last == first | {"status": "review", "next": "the task is review: you are finished, end your program now"}


async def test_one_report_may_carry_everything(board: Board) -> None:
    def life(tx: Tx) -> dict[str, Any]:
        task = scenes.post_at(tx, "claimed")
        return say(tx, task, "review", output=NAIL, outputs=[NAIL, NAIL], comment="all three", detail="done")

    said = await board.write(life)
    assert (said["status"], said["outputs"], said["comment"]) == ("review", [1, 2, 3], 1)
    comment = (await board.all("SELECT * FROM comments"))[0]
    assert (comment["author"], comment["body"], comment["attempt_id"]) == ("executor:ada", "all three", 1)


@pytest.mark.parametrize("content", ["", "x", "é🔨\n\0'\"$(x)`", "x" * 100_000])
async def test_content_is_kept_as_it_came_with_its_size_and_hash(board: Board, content: str) -> None:
    def life(tx: Tx) -> None:
        task = scenes.post_at(tx, "claimed")
        reports.output(tx, hash_of(task), PROJECT, task, forms.OutputReport(**NAIL | {"content": content}))

    await board.write(life)
    row = (await board.all("SELECT * FROM outputs"))[0]
    raw = content.encode()
    assert (row["content"], row["size"], row["sha256"]) == (content, len(raw), hashlib.sha256(raw).hexdigest())
    assert (row["content_path"], row["agent_id"], row["attempt_id"]) == (None, "ada", 1)


async def test_a_file_is_kept_as_it_was_measured(board: Board) -> None:
    file = {"type": "data", "title": "t", "content_path": "/w/a.txt"}

    def life(tx: Tx) -> None:
        say(tx, scenes.post_at(tx, "claimed"), "review", output=file, held={"/w/a.txt": Held("a.txt", 7, "abc")})

    await board.write(life)
    row = (await board.all("SELECT * FROM outputs"))[0]
    assert (row["content"], row["content_path"], row["size"], row["sha256"]) == (None, "a.txt", 7, "abc")
    seen = await tried(board, lambda tx: say(tx, scenes.post_at(tx, "claimed"), "working", output=file))
    assert type(seen) is Invalid and "/w/a.txt" in seen.sentence


async def test_the_first_call_is_the_start_and_every_call_a_sign_of_life(board: Board, clock: FakeClock) -> None:
    task = await board.write(scenes.post_at, "claimed")

    async def seen() -> tuple[object, ...]:
        row = await board.read(scenes.latest, task)
        return row["started_at"], row["seen_at"], row["seen_boot"]

    assert await seen() == (None, None, None)
    first = clock.go_on(1)
    await board.write(reports.heartbeat, hash_of(task), PROJECT, task, forms.HeartbeatReport(detail="still at it"))
    assert await seen() == (first, first, 1001.0)
    second = clock.go_on(1)
    await board.write(reports.comment, hash_of(task), PROJECT, task, forms.CommentReport(body="hm"))
    assert await seen() == (first, second, 1002.0)
    assert (await board.read(scenes.story, task))[-2:] == ["executor:ada heartbeat", "executor:ada comment"]


async def test_what_goes_wrong_in_a_report_takes_all_of_it_back(board: Board) -> None:
    """No output is kept of a report whose status was refused: it is all said again."""
    task = await board.write(scenes.post_at, "claimed")
    await board.write(scenes.post, parent_id=task)
    before = await board.read(scenes.everything)
    with pytest.raises(Refused, match="child task is not final"):
        await board.write(say, task, "review", output=NAIL, comment="x")
    assert await board.read(scenes.everything) == before


# --- Failed, blocked, and what is not an agent's to say --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "more", "state", "outcome"),
    [
        ("failed", {"detail": "broke"}, "pending", "failed"),
        ("failed", {"detail": "broke", "final": True}, "failed", "failed"),
        ("blocked", {"detail": "which?"}, "blocked", "blocked"),
        ("blocked", {"detail": "no iron", "kind": "capability"}, "blocked", "blocked"),
        ("review", {"output": NAIL}, "review", "submitted"),
    ],
)
@pytest.mark.parametrize("place", ["claimed", "working"])
async def test_an_agent_ends_its_attempt(
    board: Board, place: str, status: str, more: dict[str, Any], state: str, outcome: str
) -> None:
    task = await board.write(scenes.post_at, place)
    said = await board.write(say, task, status, **more)
    attempt = await board.read(scenes.latest, task)
    assert (said["status"], attempt["outcome"], attempt["detail"]) == (state, outcome, more.get("detail"))
    assert "you are finished" in said["next"] and "already" not in said
    if status == "blocked":
        assert (await board.all("SELECT blocked_kind FROM tasks"))[0][0] == more.get("kind", "needs_input")


@pytest.mark.parametrize("status", ["failed", "blocked"])
@pytest.mark.parametrize("detail", [None, ""])
async def test_failing_and_blocking_need_a_reason(board: Board, status: str, detail: str | None) -> None:
    task = await board.write(scenes.post_at, "working")
    seen = await tried(board, lambda tx: say(tx, task, status, detail=detail))
    assert type(seen) is Invalid and f"{status} needs a detail" in seen.sentence


@pytest.mark.parametrize(("status", "verb"), [("done", "approve"), ("pending", "reject"), ("cancelled", "cancel")])
async def test_a_verdict_is_not_the_executors_to_say(board: Board, status: str, verb: str) -> None:
    task = await board.write(scenes.post_at, "working")
    seen = await tried(board, lambda tx: say(tx, task, status, detail="x"))
    assert type(seen) is IllegalMove and verb in seen.sentence
    assert set(seen.facts["allowed"]) == {"retry", "submit", "fail", "block"}


# --- The fence ---------------------------------------------------------------------------------------------------------------

ENDING_REPORTS: list[dict[str, Any]] = [
    {"status": "review", "detail": "made it", "output": NAIL},
    {"status": "review"},
    {"status": "failed", "detail": "broke"},
    {"status": "failed", "detail": "broke", "final": True},
    {"status": "blocked", "detail": "which?"},
]


@pytest.mark.parametrize("report", ENDING_REPORTS, ids=json.dumps)
async def test_the_report_that_ended_an_attempt_may_be_repeated(board: Board, report: dict[str, Any]) -> None:
    """Its answer may have been lost on the way. Whatever has become of the task meanwhile, nothing changes."""
    task = await board.write(scenes.post_at, "working")
    first = await board.write(say, task, **report)
    for after in range(3):
        before = await board.read(scenes.everything)
        again = await board.write(say, task, **report)
        assert again["already"] is True and again["attempt"] == first["attempt"]
        assert await board.read(scenes.everything) == before
        if after == 0 and report["status"] == "review":
            await board.write(verbs.reject, task, actor="person:root", remark="again")
        if after == 1 and again["status"] == "pending":
            await board.write(scenes.see_off, task)
            await board.write(scenes.claim, task)


@pytest.mark.parametrize("report", ENDING_REPORTS, ids=json.dumps)
@pytest.mark.parametrize(
    "late",
    [{"status": "review", "detail": "another"}, {"status": "failed", "detail": "another"}, {"status": "blocked", "detail": "x"},
     {"status": "working"}, {"status": "done"}, {"status": "pending", "detail": "x"}, {"status": "cancelled"}],
    ids=json.dumps,
)  # fmt: skip
async def test_another_report_after_the_end_is_fenced(
    board: Board, report: dict[str, Any], late: dict[str, Any]
) -> None:
    def life(tx: Tx) -> None:
        task = scenes.post_at(tx, "working")
        say(tx, task, **report)
        before = scenes.everything(tx)
        with pytest.raises(Fenced, match="nothing it says counts any more; stop"):
            say(tx, task, **late)
        assert scenes.everything(tx) == before

    assert await tried(board, life) is None


@pytest.mark.parametrize("ending", ["cancelled", "timed_out", "released", "next attempt"])
async def test_an_ended_attempt_writes_nothing_at_all(board: Board, ending: str) -> None:
    def life(tx: Tx) -> None:
        task = scenes.post(tx)
        attempt = scenes.work(tx, task)
        if ending == "cancelled":
            verbs.cancel(tx, task, actor="person:root")
        else:
            verbs.end_badly(tx, attempt, "crashed" if ending == "next attempt" else ending, actor="engine:monitor")
        if ending == "next attempt":
            scenes.see_off(tx, task)
            scenes.work(tx, task)
        before = scenes.everything(tx)
        for name, call in CALLS.items():
            with pytest.raises(Fenced):
                call(tx, hash_of(task, 1), PROJECT, task)
            assert scenes.everything(tx) == before, name

    assert await tried(board, life) is None


async def test_what_was_refused_is_counted_with_its_last_body(board: Board, clock: FakeClock) -> None:
    task = await board.write(scenes.post_at, "cancelled")
    for body in ("first", "second", None, "x" * 100_000):
        await board.write(reports.refused, hash_of(task), "status", "fenced", body)
        clock.go_on(1)
    await board.write(reports.refused, hash_of(task), "outputs", "fenced", "other")
    await board.write(reports.refused, digest("bbt_unknown"), "status", "unauthorized", "x")
    rows = [dict(row) for row in await board.all("SELECT * FROM refusals ORDER BY route DESC")]
    assert [(row["attempt_id"], row["route"], row["reason"], row["count"]) for row in rows] == [
        (1, "status", "fenced", 4), (1, "outputs", "fenced", 1)
    ]  # fmt: skip
    assert rows[0]["body"] == "x" * 65536
    assert (rows[0]["first_at"], rows[0]["last_at"]) == ("2026-01-31T09:00:00.000Z", "2026-01-31T09:00:03.000Z")


# --- N × N -------------------------------------------------------------------------------------------------------------------

CALLS: dict[str, Callable[[Tx, bytes, str, int], object]] = {
    "working": lambda tx, token, project, task: reports.status(tx, token, project, task, forms.StatusReport(status="working")),
    "review": lambda tx, token, project, task: reports.status(tx, token, project, task, forms.StatusReport(status="review", output=forms.OutputReport(**NAIL))),
    "output": lambda tx, token, project, task: reports.output(tx, token, project, task, forms.OutputReport(**NAIL)),
    "comment": lambda tx, token, project, task: reports.comment(tx, token, project, task, forms.CommentReport(body="x")),
    "heartbeat": lambda tx, token, project, task: reports.heartbeat(tx, token, project, task, forms.HeartbeatReport(detail="x")),
    "child": lambda tx, token, project, task: reports.child(tx, token, project, task, forms.ChildReport(title="x")),
}  # fmt: skip


async def test_a_token_reaches_its_own_task_and_no_other(board: Board) -> None:
    """Every token × every task × every call; among them one agent's two tasks, a parent and its child, another project."""

    def populate(tx: Tx) -> list[tuple[int, str]]:
        tx.run("INSERT INTO projects (id) VALUES ('other')")
        made = [scenes.post(tx), scenes.post(tx), scenes.post(tx, agent="bob"), scenes.post(tx, project="other")]
        made.append(scenes.post(tx, parent_id=made[0]))
        for task in made:
            scenes.claim(tx, task, move.get(tx, task)["agent_id"])
        return [(task, move.get(tx, task)["project_id"]) for task in made]

    every = await board.write(populate)
    before = await board.read(scenes.everything)
    for holder, _ in every:
        for task, project in every:
            for name, call in CALLS.items():
                seen = await tried(board, lambda tx, h=holder, t=task, p=project, c=call: c(tx, hash_of(h), p, t))  # type: ignore[misc]
                if holder == task and name == "review" and task == every[0][0]:
                    assert type(seen) is Refused, "its child is not final"
                elif holder == task:
                    assert isinstance(seen, dict) and seen["task"] == task, name
                else:
                    assert type(seen) is Forbidden and "another task" in seen.sentence, name
            wrong = "forge" if project == "other" else "other"
            seen = await tried(board, lambda tx, h=holder, t=task, p=wrong: CALLS["working"](tx, hash_of(h), p, t))  # type: ignore[misc]
            assert type(seen) is Forbidden
    assert await board.read(scenes.everything) == before


@pytest.mark.parametrize("name", CALLS)
async def test_who_is_no_attempt_does_not_speak_for_one(board: Board, name: str) -> None:
    def life(tx: Tx) -> list[type[BaseException] | None]:
        task = scenes.post_at(tx, "working")
        tokens.create(tx, "bbt_of_the_agent", kind="agent", name="ada", agent_id="ada")
        holders = [digest("bbt_of_the_agent"), operator(tx, "read"), operator(tx, "operate"), digest("bbt_unknown")]
        seen: list[type[BaseException] | None] = []
        for holder in holders:
            try:
                CALLS[name](tx, holder, PROJECT, task)
                seen.append(None)
            except BlackboardError as error:
                seen.append(type(error))
        return seen

    agent, reader, person, unknown = await tried(board, life)
    assert (agent, reader, unknown) == (Forbidden, Forbidden, Unauthorized)
    assert person is (None if name == "comment" else Forbidden)


async def test_a_body_may_say_who_it_is_and_is_not_believed(board: Board) -> None:
    def life(tx: Tx) -> None:
        task = scenes.post_at(tx, "claimed")
        say(tx, task, "review", agent="mallory", output=NAIL | {"agent": "mallory"})
        scenes.claim_review(tx, scenes.see_off(tx, task)["task_id"])
        report = forms.CommentReport(body="x", author="person:root", agent="mallory")
        reports.comment(tx, hash_of(task, 2), PROJECT, task, report)

    await board.write(life)
    assert (await board.all("SELECT agent_id FROM outputs"))[0][0] == "ada"
    assert (await board.all("SELECT author FROM comments"))[0][0] == "reviewer:eve"
    assert "mallory" not in json.dumps(await board.read(scenes.everything), default=repr)


# --- Reviewers -----------------------------------------------------------------------------------------------------------------


def review(tx: Tx) -> int:
    task = scenes.post_at(tx, "review")
    scenes.claim_review(tx, task)
    return task


@pytest.mark.parametrize(("status", "detail", "state", "outcome"), [("done", None, "done", "approved"), ("pending", "too short", "pending", "rejected")])  # fmt: skip
async def test_a_reviewer_gives_its_verdict_once(
    board: Board, status: str, detail: str | None, state: str, outcome: str
) -> None:
    task = await board.write(review)
    said = await board.write(say, task, status, number=2, detail=detail)
    assert (said["status"], said["next"]) == (state, "your verdict is on the board: you are finished")
    attempt = await board.read(scenes.latest, task)
    assert (attempt["outcome"], attempt["gone_at"]) == (outcome, None)
    for again in ("done", "pending"):
        assert type(await tried(board, lambda tx, again=again: say(tx, task, again, number=2, detail="x"))) is Fenced  # type: ignore[misc]


@pytest.mark.parametrize("status", ["working", "review", "failed", "blocked", "cancelled"])
async def test_a_reviewer_says_nothing_else_about_the_task(board: Board, status: str) -> None:
    task = await board.write(review)
    seen = await tried(board, lambda tx: say(tx, task, status, number=2, detail="x"))
    assert type(seen) is Forbidden and "done, or pending" in seen.sentence


async def test_a_reviewer_comments_and_lives_and_makes_nothing(board: Board) -> None:
    task = await board.write(review)
    for name, expected in [("output", Forbidden), ("child", Forbidden), ("comment", dict), ("heartbeat", dict)]:
        seen = await tried(board, lambda tx, name=name: CALLS[name](tx, hash_of(task, 2), PROJECT, task))  # type: ignore[misc]
        assert isinstance(seen, expected), name
    seen = await tried(board, lambda tx: say(tx, task, "pending", number=2))
    assert type(seen) is Refused and "remark" in seen.sentence


async def test_any_other_way_out_of_the_review_fences_the_reviewer(board: Board) -> None:
    task = await board.write(review)
    await board.write(verbs.approve, task, actor="person:root")
    for call in ("comment", "heartbeat"):
        assert (
            type(await tried(board, lambda tx, call=call: CALLS[call](tx, hash_of(task, 2), PROJECT, task))) is Fenced
        )  # type: ignore[misc]
    assert type(await tried(board, lambda tx: say(tx, task, "done", number=2))) is Fenced


# --- Children ------------------------------------------------------------------------------------------------------------------


def bear(tx: Tx, task: int, policies: Policies = reports.DEFAULTS, **given: Any) -> dict[str, Any]:
    return reports.child(tx, hash_of(task), PROJECT, task, forms.ChildReport(**{"title": "a head", **given}), policies)


async def test_a_child_is_a_task_of_the_same_project_and_agent_unless_said(board: Board) -> None:
    def life(tx: Tx) -> list[dict[str, Any]]:
        task = scenes.post_at(tx, "working")
        policies = Policies(Policy(max_tries=2), {"ada": Policy(max_tries=7)})
        for given in (
            {},
            {"agent": "bob"},
            {"role": "smith"},
            {"needs": [2], "priority": 9, "due_at": "2026-02-01T00:00:00.000Z"},
        ):
            bear(tx, task, policies, **given)
        return [dict(row) for row in tx.all("SELECT * FROM tasks WHERE id > 1 ORDER BY id")]

    same, bob, role, last = await board.write(life)
    assert {child["parent_id"] for child in (same, bob, role, last)} == {1}
    assert [(child["agent_id"], child["role"], child["max_tries"]) for child in (same, bob, role)] == [
        ("ada", None, 7), ("bob", None, 2), (None, "smith", 2)
    ]  # fmt: skip
    assert (last["priority"], last["due_at"], last["deps_open"], last["actor"]) == (
        9,
        "2026-02-01T00:00:00.000Z",
        1,
        "executor:ada",
    )


async def test_a_child_of_another_agent_is_proved_by_files_and_runs_no_command(board: Board) -> None:
    """A command runs as the agent of the child: an agent in a sandbox must not reach out of it through another."""
    command, file = {"checks": [{"run": "cat /etc/passwd"}]}, {"checks": [{"path": "out.txt"}]}
    await board.write(lambda tx: scenes.post_at(tx, "working"))

    async def born(**given: Any) -> None:
        await board.write(lambda tx: bear(tx, 1, **given))

    for whose in ({"agent": "bob"}, {"role": "smith"}):
        with pytest.raises(Forbidden, match="only for a child of your own agent"):
            await born(**whose, **command)
        await born(**whose, **file)
    for whose in ({}, {"agent": "ada"}):
        await born(**whose, **command)
    assert len(await board.all("SELECT 1 FROM tasks WHERE parent_id = 1")) == 4


async def test_a_child_needs_nothing_but_its_siblings(board: Board) -> None:
    def life(tx: Tx, need: int) -> object:
        task = scenes.post_at(tx, "working")
        other = scenes.post(tx)
        bear(tx, task)
        return bear(tx, task, needs=[{1: task, 2: other, 3: 3, 77: 77}[need]])

    assert type(await tried(board, lambda tx: life(tx, 1))) is Forbidden
    assert type(await tried(board, lambda tx: life(tx, 2))) is Forbidden
    assert isinstance(await tried(board, lambda tx: life(tx, 3)), dict)
    assert type(await tried(board, lambda tx: life(tx, 77))) is NotFound


async def test_a_child_for_nobody_is_not_found(board: Board) -> None:
    task = await board.write(scenes.post_at, "working")
    assert type(await tried(board, lambda tx: bear(tx, task, agent="nobody"))) is NotFound
    assert type(await tried(board, lambda tx: bear(tx, task, agent="ada", role="smith"))) is Invalid


# --- People ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "verb", "detail", "state"),
    [
        ("review", "approve", None, "done"), ("review", "reject", "too short", "pending"), ("blocked", "answer", "ten inches", "pending"),
        ("working", "cancel", None, "cancelled"), ("failed", "reopen", "again", "pending"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("by_status", [False, True])
async def test_a_person_moves_a_task(
    board: Board, place: str, verb: str, detail: str | None, state: str, by_status: bool
) -> None:
    def life(tx: Tx) -> tuple[dict[str, Any], list[str]]:
        token, task = operator(tx), scenes.post_at(tx, place)
        if by_status:
            report = forms.StatusReport(status=state, detail=detail)  # type: ignore[arg-type]
            said = reports.status(tx, token, PROJECT, task, report)
        else:
            said = people.operate(tx, token, PROJECT, task, verb, detail)
        return said, scenes.story(tx, task)

    said, story = await tried(board, life)
    assert said == {"task": 1, "project": PROJECT, "status": state, "next": f"task 1 is {state} now"}
    assert f"person:ann {'unblock' if verb == 'answer' else verb}" in story


async def test_a_person_who_may_only_read_changes_nothing(board: Board) -> None:
    task = await board.write(scenes.post_at, "review")

    def every(tx: Tx) -> None:
        token = operator(tx, "read")
        for call in (
            lambda: people.operate(tx, token, PROJECT, task, "approve"),
            lambda: people.post_task(tx, token, PROJECT, forms.TaskReport(title="x", agent="ada")),
            lambda: people.post_slots(tx, token, {"slots": []}, project=PROJECT, time_zone="UTC"),
            lambda: reports.status(tx, token, PROJECT, task, forms.StatusReport(status="done")),
        ):
            with pytest.raises(Forbidden, match="scope operate"):
                call()

    assert await tried(board, every) is None


async def test_what_is_not_in_the_project_is_not_found(board: Board) -> None:
    def life(tx: Tx) -> None:
        token, task = operator(tx), scenes.post_at(tx, "review")
        for project, number, verb in [("other", task, "approve"), (PROJECT, 77, "approve"), (PROJECT, task, "bless")]:
            with pytest.raises(NotFound):
                people.operate(tx, token, project, number, verb, "x")
        with pytest.raises(NotFound):
            reports.comment(tx, token, "other", task, forms.CommentReport(body="x"))
        assert status_of(tx, task) == "review"

    assert await tried(board, life) is None


async def test_a_person_posts_a_task_with_its_policy(board: Board) -> None:
    def life(tx: Tx) -> dict[str, Any]:
        report = forms.TaskReport(
            title="x", role="smith", max_tries=9, needs_output=False, data={"a": 1}, review="auto"
        )
        return people.post_task(tx, operator(tx), PROJECT, report, Policies(Policy(idle_seconds=5)))

    said = await board.write(life)
    assert said.items() >= {"task": 1, "project": PROJECT, "status": "pending"}.items()
    row = dict((await board.all("SELECT * FROM tasks"))[0])
    assert (row["max_tries"], row["needs_output"], row["review"], row["idle_seconds"], row["actor"]) == (
        9,
        0,
        "auto",
        5.0,
        "person:ann",
    )


async def test_a_person_posts_slots_and_hears_which_were_refused(board: Board) -> None:
    good, bad = {"agent": "ada", "id": 1, "scheduled_at": "10:00"}, {"agent": "ada", "id": 2, "scheduled_at": "25:00"}

    def post(tx: Tx, *slots: dict[str, Any]) -> dict[str, Any]:
        return people.post_slots(tx, operator(tx), {"slots": list(slots)}, project=PROJECT, time_zone="UTC")

    said = await tried(board, lambda tx: post(tx, good, bad))
    assert (said["added"], said["tasks"], len(said["refused"])) == (1, [1], 1)
    assert "no time of a day" in said["refused"][0]["why"]
    seen = await tried(board, lambda tx: post(tx, bad))
    assert type(seen) is Refused and "no time of a day" in seen.sentence


@pytest.mark.parametrize(
    ("model", "body", "words"),
    [
        (forms.StatusReport, {"status": "finished"}, "status"),
        (forms.StatusReport, {"status": "review", "stauts": "x"}, "stauts"),
        (forms.OutputReport, {"type": "code", "title": "x"}, "exactly one of"),
        (forms.OutputReport, NAIL | {"content_path": "x"}, "exactly one of"),
        (forms.OutputReport, NAIL | {"type": "poem"}, "type"),
        (forms.OutputReport, NAIL | {"title": ""}, "title"),
        (forms.CommentReport, {"body": ""}, "body"),
        (forms.CommentReport, {"body": "\ud800"}, "unicode"),
        (forms.ChildReport, {"title": "x", "due_at": "tomorrow"}, "due_at"),
        (forms.ChildReport, {"title": "x", "due_at": "2026-02-30T00:00:00.000Z"}, "due_at"),
        (forms.ChildReport, {"title": "x", "needs": [0]}, "needs"),
        (forms.ChildReport, {"title": "x", "agent": "../x"}, "agent"),
        (forms.TaskReport, {"title": "x", "max_tries": 0}, "max_tries"),
        (forms.TaskReport, {"title": "x", "wall_seconds": float("inf")}, "wall_seconds"),
    ],
)
def test_a_form_says_which_field_is_wrong(model: type[forms.CommentReport], body: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        model.model_validate(body)
