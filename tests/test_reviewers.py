"""Reviewer agents as real processes: each verdict, and each bad way with its defined way to a person."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from orchestrator import processes
from tests.daemon import House, until

WORKS = "bb start; echo hello > out.txt; bb output document Letter out.txt && bb submit 'made it'\n"
REVIEWERS: dict[str, tuple[str, dict[str, object]]] = {
    "approves": ('cp "$directory/prompt.md" "$here/prompt.$task"; bb heartbeat; bb approve "well done"\n', {}),
    "insists": (
        # Sends the work back until a remark of its own stands in the prompt.
        'if grep -q "write it twice" "$directory/prompt.md"; then bb approve; else bb reject "write it twice"; fi\n',
        {},
    ),
    "crashes": ("echo no eyes >&2; exit 3\n", {}),
    "says-nothing": ("exit 0\n", {}),
    "idles": ("bb heartbeat; sleep 1000\n", {}),
    "never-stirs": ("sleep 1000\n", {}),
    "ponders": ("echo $$ > reviewer; bb heartbeat; while :; do bb heartbeat; sleep 0.1; done\n", {}),
    "waits": ('echo $$ > reviewer; bb heartbeat; while [ ! -e go ]; do sleep 0.05; done\n'
              "until bb approve; do [ $? = 75 ] || exit 9; sleep 0.1; done\n", {}),
    "missing": ("", {"argv": ["/no/such/program"]}),
    "disabled": ("bb approve\n", {"enabled": False}),
    "oversteps": (
        "for say in 'bb start' 'bb output document T out.txt' 'bb submit' 'bb child X Y' 'bb fail no'; do\n"
        '$say >> said 2>&1 && echo "$say was taken" >> "$here/taken"; done\n'
        "bb comment 'I have tried'; bb show > shown && grep -q Letter shown && bb approve ok && bb approve ok > again; bb approve other; echo $? > code\n",
        {},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("reviewers") / "it's a house", tick={"max_live": 50})
    house.agent("works", WORKS, max_live=30)
    for name, (script, config) in REVIEWERS.items():
        house.agent(name, script, max_live=9, roles=["critic"] if name == "approves" else [], **config)
    try:
        house.start()
        yield house
        house.ends()
    finally:
        house.clear()


def posted(house: House, review: str, **fields: object) -> int:
    """A task whose review is asked of an agent or a role."""
    return house.post("works", review=review, backoff_seconds=0.05, **fields)


def handed_over(house: House, task: int) -> str:
    """Wait until a person must decide; the reason, which every place tells."""
    until(lambda: house.task(task)["handed_over"], story=lambda: house.story(task))
    reason = str(house.task(task)["handed_over"])
    (event,) = house.events(task, "hand_over")
    assert (event["reason"], event["actor"]) == (reason, "engine:reviews")
    stuck = house.row("SELECT * FROM v_stuck WHERE id = :task", task=task)
    assert reason in stuck["why"] and f"orchestrator approve {task}" in stuck["next"]
    for command in (("why", str(task)), ("status",), ("show", str(task))):
        said = house.call(*command).stdout
        assert reason in " ".join(said.split()), (command, said)
    assert house.operate(task, "approve") == "done"
    house.reaches(task, "done")
    return reason


def reviews(house: House, task: int) -> list[str | None]:
    return [attempt["outcome"] for attempt in house.attempts(task) if attempt["role"] == "reviewer"]


# --- Verdicts -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("review", ["agent:approves", "role:critic"])
def test_a_reviewer_approves_in_the_works_own_folder_with_a_prompt_that_shows_it(house: House, review: str) -> None:
    task = posted(house, review, must_haves="It greets.", description="Write a letter.")
    house.reaches(task, "done")
    worker, reviewer = house.attempts(task)
    assert (reviewer["role"], reviewer["agent_id"], reviewer["outcome"]) == ("reviewer", "approves", "approved")
    assert reviewer["detail"] == "well done" and reviewer["workspace"] == worker["workspace"]
    assert worker["gone_at"] <= reviewer["claimed_at"], "nothing is reviewed beside its maker"
    verbs = [event["verb"] for event in house.events(task)]
    assert [verb for verb in verbs if verb in ("submit", "claim_review", "approve")] == [
        "submit",
        "claim_review",
        "approve",
    ]
    (approved,) = house.events(task, "approve")
    assert (approved["actor"], approved["reason"]) == ("reviewer:approves", "well done")
    prompt = (house.folder / f"prompt.{task}").read_text()
    for words in ("It greets.", "Write a letter.", "Letter", "hello", "made it", f"{house.workspace(task)}"):
        assert words in prompt, words
    assert "bbt_" not in prompt


def test_a_rejected_task_is_done_again_and_reviewed_again(house: House) -> None:
    task = posted(house, "agent:insists")
    house.reaches(task, "done")
    assert house.outcomes(task) == ["submitted", "rejected", "submitted", "approved"]
    (rejected,) = house.events(task, "reject")
    assert (rejected["actor"], rejected["reason"]) == ("reviewer:insists", "write it twice")
    second = house.attempt_file(house.attempts(task)[2]["id"], "prompt.md").read_text()
    assert "reviewer's remark:\n    write it twice" in second


def test_a_reviewers_token_reads_comments_and_judges_and_does_nothing_else(house: House) -> None:
    task = posted(house, "agent:oversteps")
    house.reaches(task, "done")
    here = house.workspace(task)
    assert not (house.folder / "taken").exists(), (house.folder / "taken").read_text()
    said = (here / "said").read_text()
    assert said.count("a reviewer ") == 5 and "a reviewer hands in no outputs" in said and "no child tasks" in said
    assert "your verdict is on the board" in (here / "again").read_text(), "the same verdict again is answered"
    assert (here / "code").read_text() == "1\n", "another verdict is refused"
    assert len(house.events(task, "approve")) == 1 and len(house.events(task, "output")) == 1
    assert (
        house.value("SELECT author FROM comments WHERE task_id = :t AND author LIKE 'r%'", t=task)
        == "reviewer:oversteps"
    )


# --- Without a verdict ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reviewer", "limits", "outcome", "words"),
    [
        ("crashes", {}, "crashed", "exit code 3; its last words: no eyes"),
        ("says-nothing", {}, "no_report", "exit code 0 and reported no result"),
        ("idles", {"idle_seconds": 1}, "idle", "the limit of 1 s without a call or output is over"),
        ("never-stirs", {"startup_seconds": 1}, "no_start", "the limit of 1 s until the first sign of life is over"),
        ("ponders", {"wall_seconds": 2}, "timed_out", "the limit of 2 s in all is over"),
    ],
)  # fmt: skip
def test_after_two_reviews_without_a_verdict_a_person_decides(
    house: House, reviewer: str, limits: dict[str, object], outcome: str, words: str
) -> None:
    task = posted(house, f"agent:{reviewer}", **limits)
    reason = handed_over(house, task)
    assert reason.startswith(f"2 reviews ended without a verdict, the last one {outcome}: ") and words in reason
    assert reviews(house, task) == [outcome, outcome]
    assert [event["actor"] for event in house.events(task, "replan")] == ["engine:reviews"], "it waited in between"
    assert not house.left_of(task)


def test_a_reviewer_that_cannot_be_started_is_paused_and_the_review_waits(house: House) -> None:
    task = posted(house, "agent:missing", max_review_tries=1)
    # The wait after a failed start is ten seconds: what matters is that none of them is charged.
    until(lambda: reviews(house, task) == ["spawn_failed"], story=lambda: house.story(task))
    row = until(lambda: (found := house.task(task))["not_before"] and found, story=lambda: house.story(task))
    assert row["handed_over"] is None
    assert "it waits until" in house.call("why", str(task)).stdout
    house.operate(task, "approve")


# --- Nobody to review -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("review", "reason"),
    [
        ("agent:nobody", "its reviewer, agent nobody, is not on the board"),
        ("agent:disabled", "its reviewer, agent disabled, is disabled"),
        ("agent:works", "its reviewer, agent works, has worked on it, and nobody reviews their own work"),
        ("role:painter", "no agent has the role painter, which was to review it"),
    ],
)
def test_a_review_that_nobody_can_make_is_a_persons_at_once(house: House, review: str, reason: str) -> None:
    task = posted(house, review)
    assert handed_over(house, task) == reason
    assert house.outcomes(task) == ["submitted"]
    submit, over = house.events(task, "submit", "hand_over")
    assert over["at"] >= submit["at"]


def test_what_becomes_impossible_later_is_handed_over_then(house: House) -> None:
    until(lambda: house.value("SELECT count(*) FROM agents WHERE id = 'insists'"))
    sql(
        house,
        "UPDATE agents SET paused_at = '2026-01-01T00:00:00.000Z', pause_reason = 'lunch' WHERE id = 'never-stirs'",
    )
    task = posted(house, "agent:never-stirs")
    house.reaches(task, "review")
    assert "agent never-stirs is paused since 2026-01-01T00:00:00.000Z: lunch" in house.call("why", str(task)).stdout
    assert not house.rows("SELECT 1 FROM v_stuck WHERE id = :task", task=task)
    try:
        sql(house, "UPDATE agents SET enabled = 0 WHERE id = 'never-stirs'")
        assert handed_over(house, task) == "its reviewer, agent never-stirs, is disabled"
    finally:
        sql(house, "UPDATE agents SET enabled = 1, paused_at = NULL WHERE id = 'never-stirs'")


def test_an_operators_sql_may_ask_somebody_who_is_not_there(house: House) -> None:
    sql(house, "UPDATE agents SET paused_at = '2026-01-01T00:00:00.000Z' WHERE id = 'says-nothing'")
    task = posted(house, "agent:says-nothing")
    house.reaches(task, "review")
    sql(house, f"UPDATE tasks SET reviewer = 'role:painter' WHERE id = {task}")
    assert handed_over(house, task) == "no agent has the role painter, which was to review it"


def sql(house: House, statement: str) -> None:
    """What an operator types into a plain sqlite3 shell."""
    with closing(sqlite3.connect(house.board, isolation_level=None, timeout=10)) as connection:
        connection.execute(statement)


# --- A person may decide at any time ------------------------------------------------------------------------------------


def pid_of_reviewer(house: House, task: int) -> processes.Identity:
    file = house.workspace(task) / "reviewer"
    until(lambda: file.exists() and file.read_text().strip(), story=lambda: house.story(task))
    found = processes.identity(int(file.read_text()))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("verb", "detail", "status"), [("approve", None, "done"), ("reject", "do it again", "pending")]
)
def test_a_person_decides_while_the_reviewer_lives_and_it_is_stopped(
    house: House, verb: str, detail: str | None, status: str
) -> None:
    task = posted(house, "agent:ponders", max_rejections=0 if verb == "reject" else 3)
    reviewer = pid_of_reviewer(house, task)
    assert "is reviewed by agent ponders" in house.call("why", str(task)).stdout
    said = house.operate(task, verb, detail)
    assert said == ("blocked" if verb == "reject" else status)
    until(lambda: not processes.alive(reviewer), story=lambda: house.story(task))
    until(lambda: house.attempts(task)[1]["gone_at"], story=lambda: house.story(task))
    assert reviews(house, task) == ["cancelled"]
    assert not house.left_of(task)
    if verb == "reject":
        house.operate(task, "cancel")


def test_an_operators_sql_may_take_the_reviewer_away(house: House) -> None:
    task = posted(house, "agent:ponders")
    reviewer = pid_of_reviewer(house, task)
    sql(house, f"UPDATE tasks SET reviewer = NULL, status = 'done' WHERE id = {task}")
    until(lambda: not processes.alive(reviewer), story=lambda: house.story(task))
    house.reaches(task, "done")
    assert reviews(house, task) == ["cancelled"]
    assert len(house.events(task, "edit")) == 1


# --- A daemon that ends --------------------------------------------------------------------------------------------------


def test_a_living_reviewer_outlives_the_daemon_and_reports_to_the_next(tmp_path: Path) -> None:
    house = House(tmp_path / "house")
    house.agent("works", WORKS)
    house.agent("waits", REVIEWERS["waits"][0])
    try:
        house.start()
        task = posted(house, "agent:waits")
        reviewer = pid_of_reviewer(house, task)
        house.kill()
        assert processes.alive(reviewer)
        house.start()
        until(lambda: [e for e in house.events(task, "adopted")], story=lambda: house.story(task))
        house.let_go(task)
        house.reaches(task, "done")
        assert house.outcomes(task) == ["submitted", "approved"]
        house.ends()
    finally:
        house.clear()


def test_a_reviewer_that_ended_while_no_daemon_was_there_is_judged(tmp_path: Path) -> None:
    house = House(tmp_path / "house")
    house.agent("works", WORKS)
    house.agent("waits", "echo $$ > reviewer; bb heartbeat; while [ ! -e go ]; do sleep 0.05; done; exit 4\n")
    try:
        house.start()
        task = posted(house, "agent:waits", max_review_tries=1)
        reviewer = pid_of_reviewer(house, task)
        house.kill()
        house.let_go(task)
        until(lambda: not processes.alive(reviewer))
        house.start()
        assert "1 review ended without a verdict, the last one crashed" in handed_over(house, task)
        house.ends()
    finally:
        house.clear()


def test_a_dry_run_renders_a_review_and_gives_it_back(tmp_path: Path) -> None:
    house = House(tmp_path / "house")
    house.agent("works", WORKS)
    house.agent("approves", REVIEWERS["approves"][0], max_live=0)
    try:
        house.start()
        task = posted(house, "agent:approves")
        house.reaches(task, "review")
        assert house.stop() == 0
        house.agent("approves", REVIEWERS["approves"][0])
        house.configure()
        done = house.call("run", "--dry-run")
        assert done.returncode == 0, done.stderr
        assert (house.outcomes(task), house.task(task)["status"]) == (["submitted", "dry_run"], "review")
        prompt = house.attempt_file(house.attempts(task)[1]["id"], "prompt.md").read_text()
        assert "asks you to review it" in prompt
        house.ends()
    finally:
        house.clear()
