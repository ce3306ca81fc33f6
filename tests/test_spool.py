"""The spool: what an attempt could not report is taken in by its order, once, before it is judged; and hostile spools."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from blackboard import attempts, spooled, tokens, verbs
from blackboard.board import Tx
from blackboard.errors import Invalid, Unavailable
from orchestrator import spool as spool_module
from orchestrator.config import Settings
from orchestrator.config_policy import PolicyNumbers
from orchestrator.spool import Spools, waiting
from tests.api_house import Attempt, open_house
from tests.api_house import House as ApiHouse
from tests.daemon import House, until

STATUS = {"route": "status", "report": {"status": "review"}}
OUTPUT = {"route": "outputs", "report": {"type": "data", "title": "T", "content": "C"}}

# --- What a file says -----------------------------------------------------------------------------------------------


def test_a_token_in_a_report_is_masked_as_over_http() -> None:
    token = tokens.mint()
    told = spooled.understood(json.dumps({"route": "comments", "report": {"body": f"I am {token}."}}).encode())
    assert told.report.model_dump()["body"] == "I am bbt_***."


def test_a_report_is_read_as_json_and_as_a_form() -> None:
    told = spooled.understood(json.dumps(OUTPUT).encode())
    assert (told.route, told.report.model_dump(exclude_unset=True)) == ("outputs", OUTPUT["report"])
    form = {"route": "/status", "key": "k", "form": "status=%66%61%69%6c%65%64&detail=%c3%a9&final=true"}
    told = spooled.understood(json.dumps(form).encode())
    assert told.report.model_dump(exclude_unset=True) == {"status": "failed", "detail": "é", "final": True}
    assert told.key == "k"


WRONG: list[object] = [
    b"", b"{", b"\xff", b"[" * 100_000, b"null", b"[]", {}, {"route": "status"}, {"route": "approve", "report": {}},
    {"route": "status", "report": []}, {"route": "status", "report": {"status": "x"}},
    {"route": "status", "report": {"status": "failed", "detail": "a\0b"}},
    b'{"route": "status", "report": {"status": "failed", "detail": "\\ud800"}}',
    {"route": "status", "report": {"status": "review"}, "form": ""}, {"route": "status", "form": "status=%ff"},
    {"route": "status", "form": 7}, {"route": "status", "report": {"status": "review"}, "file": "x"},
    {"route": "outputs", "report": {"type": "data", "title": "T"}, "file": 7}, {**STATUS, "token": "bbt_x"},
    {"route": "outputs", "report": {"type": "data", "title": "T"}}, {"route": ["status"], "report": {}},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=[str(n) for n in range(len(WRONG))])
def test_what_is_no_report_is_told_in_a_sentence(wrong: object) -> None:
    with pytest.raises(Invalid) as caught:
        spooled.understood(wrong if isinstance(wrong, bytes) else json.dumps(wrong).encode())
    assert len(caught.value.sentence) > 10


# --- Taking a spool in ----------------------------------------------------------------------------------------------


class Desk:
    """An attempt on a real board, with its spool and what takes it in."""

    def __init__(self, house: ApiHouse, attempt: Attempt, folder: Path) -> None:
        self.house, self.attempt = house, attempt
        self.spool = folder / "attempts" / str(attempt.id) / "spool"
        self.spool.mkdir(parents=True)
        self.settings = Settings(board=folder / "board.db", state_dir=folder, policy=PolicyNumbers(max_tries=7))
        self.spools = self.anew()

    def anew(self) -> Spools:
        """What a daemon that has just started takes it in with."""
        attempts_dir = self.settings.attempts_dir
        return Spools(self.house.board, self.settings, lambda number: attempts_dir / str(number), lambda: None)

    def put(self, name: str, told: object) -> None:
        (self.spool / name).write_bytes(told if isinstance(told, bytes) else json.dumps(told).encode())

    async def take(self, *, final: bool = True) -> int:
        return await self.spools.take(self.attempt.id, final=final)

    async def status(self) -> str:
        row = await self.house.board.one("SELECT status FROM tasks WHERE id = :id", id=self.attempt.task)
        assert row is not None
        return str(row["status"])

    async def rows(self, sql: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await self.house.board.all(sql)]

    async def codes(self) -> dict[str, str | None]:
        rows = await self.house.board.all("SELECT name, code FROM spooled ORDER BY name")
        return {row["name"]: row["code"] for row in rows}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_house(tmp_path) as house:
        yield Desk(house, await house.attempt(), tmp_path / "state")


async def test_reports_count_by_their_numbers_and_once(desk: Desk) -> None:
    desk.put("10.json", STATUS)
    desk.put("9.json", OUTPUT)
    desk.put("000002.json", {"route": "comments", "form": "body=%68%6d"})
    desk.put("1.json", {"route": "status", "report": {"status": "working"}})
    desk.put("3.part", b"{")

    assert await desk.take() == 4
    assert await desk.take() == 0

    assert await desk.status() == "review"
    assert await desk.rows("SELECT reason FROM events WHERE verb = 'spooled'") == [
        ("1.json: status",), ("000002.json: comments",), ("9.json: outputs",), ("10.json: status",)
    ]  # fmt: skip
    assert await desk.rows("SELECT author, body FROM comments") == [("executor:writer", "hm")]
    assert (waiting(desk.spool), set((await desk.codes()).values())) == ([], {None})


@pytest.mark.parametrize("crash", ["before it is applied", "after it"])
async def test_a_crash_at_any_moment_applies_nothing_twice_and_loses_nothing(
    desk: Desk, crash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.put("1.json", OUTPUT)
    desk.put("2.json", STATUS)
    with monkeypatch.context() as patched:

        def dies(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        if crash == "after it":
            patched.setattr(spool_module, "_put_aside", dies)
        else:
            patched.setattr(desk.house.board, "write", dies)
        with pytest.raises(KeyboardInterrupt):
            await desk.take()
    assert waiting(desk.spool) == ["1.json", "2.json"]

    desk.spools = desk.anew()
    await desk.take()

    assert await desk.rows("SELECT count(*) FROM outputs") == [(1,)]
    assert (await desk.status(), waiting(desk.spool)) == ("review", [])


async def test_a_report_counts_once_even_when_two_take_it_in_at_one_moment(desk: Desk) -> None:
    for number in range(20):
        desk.put(f"{number}.json", OUTPUT)
    counts = await asyncio.gather(desk.take(), desk.anew().take(desk.attempt.id, final=False), desk.take())
    assert sum(counts) == 20
    assert await desk.rows("SELECT count(*) FROM outputs") == [(20,)]


async def test_a_call_whose_answer_was_lost_is_not_done_again(desk: Desk) -> None:
    def arrived(tx: Tx) -> None:
        token = attempts.get(tx, desk.attempt.id)["token_hash"]
        tx.run(
            "INSERT INTO idempotency VALUES (:token, 'k', 'POST /x', x'00', 201, '{}', :now)", token=token, now=tx.now
        )

    await desk.house.board.write(arrived)
    desk.put("1.json", {**OUTPUT, "key": "k"})
    desk.put("2.json", {**OUTPUT, "key": "other"})
    await desk.take()
    assert await desk.rows("SELECT count(*) FROM outputs") == [(1,)]


async def test_a_refusal_is_written_down_and_the_next_goes_on(desk: Desk) -> None:
    desk.put("1.json", STATUS)  # it needs an output first
    desk.put("2.json", {"route": "status", "report": {"status": "done"}})
    desk.put("3.json", {"route": "comments", "report": {"body": "after all"}})

    assert await desk.take() == 1

    assert await desk.codes() == {"1.json": "refused", "2.json": "illegal_move", "3.json": None}
    assert await desk.rows("SELECT route, reason, count FROM refusals ORDER BY reason") == [
        ("status", "illegal_move", 1), ("status", "refused", 1)
    ]  # fmt: skip
    assert len(await desk.rows("SELECT 1 FROM events WHERE verb = 'spool_refused'")) == 2
    assert await desk.status() == "claimed"


async def test_what_an_ended_attempt_left_is_fenced(desk: Desk) -> None:
    def ends(tx: Tx) -> None:
        verbs.end_badly(tx, attempts.get(tx, desk.attempt.id), "crashed", actor="engine:monitor", detail="exit 1")

    await desk.house.board.write(ends)
    desk.put("1.json", OUTPUT)
    assert await desk.take() == 0
    assert await desk.codes() == {"1.json": "fenced"}


async def test_files_come_along_by_path_and_whole(desk: Desk) -> None:
    (desk.attempt.workspace / "deep").mkdir()
    (desk.attempt.workspace / "deep" / "f").write_bytes(b"by path")
    (desk.spool / "a.file").write_bytes(b"whole\0")
    by_path = {"type": "data", "title": "T", "content_path": "deep/f"}
    desk.put("1.json", {"route": "status", "report": {"status": "working", "outputs": [by_path]}})
    desk.put("2.json", {"route": "outputs", "report": {"type": "data", "title": "T"}, "file": "a.file"})
    outside = {"type": "data", "title": "T", "content_path": "../board.sqlite"}
    desk.put("3.json", {"route": "outputs", "report": outside})
    for number, name in enumerate(("../x", "/etc/passwd", "none", "link", ""), start=4):
        desk.put(f"{number}.json", {"route": "outputs", "report": {"type": "data", "title": "T"}, "file": name})
    (desk.spool / "link").symlink_to("/etc/passwd")

    assert await desk.take() == 2

    found = await desk.rows("SELECT kept, size FROM outputs ORDER BY id")
    assert found == [(0, 7), (1, 6)]
    kept = [path for path in desk.settings.uploads_dir.iterdir() if not path.name.startswith("arriving")]
    assert [path.read_bytes() for path in kept] == [b"whole\0"]
    assert list((await desk.codes()).values()) == [None, None, *["invalid"] * 6]


async def test_a_hostile_spool_never_blocks_and_never_leads_outside(desk: Desk, tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps(OUTPUT))
    (desk.spool / "1.json").symlink_to(secret)
    os.mkfifo(desk.spool / "2.json")
    (desk.spool / "3.json").mkdir()
    with (desk.spool / "4.json").open("wb") as huge:
        huge.truncate(spool_module.MOST_BYTES + 1)
    desk.put("5.json", b"{half")
    desk.put("6 \n\x1b[31m.json", STATUS)
    (desk.spool / os.fsdecode(b"7\xff.json")).write_text(json.dumps(STATUS))
    desk.put(".8.json", STATUS)
    (desk.spool / "9.json").write_text(json.dumps(OUTPUT))
    (desk.spool / "9.json").chmod(0)
    desk.put("99.json", OUTPUT)

    async with asyncio.timeout(20):
        applied = await desk.take()

    codes = await desk.codes()
    assert applied == (2 if os.geteuid() == 0 else 1)  # root reads what nobody may read
    assert {codes[f"{number}.json"] for number in range(1, 6)} == {"invalid"}
    assert (codes["99.json"], len(codes)) == (None, 9)
    assert all(name.isascii() and name.isprintable() for name in codes)
    assert secret.exists()
    assert await desk.take() == 0


@pytest.mark.parametrize("kind", ["link", "file", "none"])
async def test_a_spool_that_is_no_folder_is_empty(desk: Desk, tmp_path: Path, kind: str) -> None:
    desk.spool.rmdir()
    other = tmp_path / "other"
    other.mkdir()
    (other / "1.json").write_text(json.dumps(OUTPUT))
    if kind == "link":
        desk.spool.symlink_to(other)
    elif kind == "file":
        desk.spool.write_text("x")
    assert await desk.take() == 0
    assert await desk.codes() == {}


async def test_a_report_that_is_still_being_written_is_waited_for(desk: Desk) -> None:
    desk.put("1.json", json.dumps(OUTPUT).encode()[:20])
    later = time.time() + 60  # however slow this machine is, it was written just now
    os.utime(desk.spool / "1.json", (later, later))
    desk.put("2.json", STATUS)
    assert await desk.take(final=False) == 0
    assert await desk.codes() == {}
    desk.put("1.json", OUTPUT)
    assert await desk.take(final=False) == 2
    assert await desk.status() == "review"


async def test_too_many_reports_are_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "MOST_FILES", 3)
    for number in range(1, 9):
        desk.put(f"{number}.json", {"route": "heartbeat", "report": {}})
    assert await desk.take() == 3
    assert await desk.take() == 0
    assert await desk.codes() == {"1.json": None, "2.json": None, "3.json": None, "(more)": "invalid"}


async def test_a_board_that_takes_nothing_now_loses_no_report(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.put("1.json", OUTPUT)
    with monkeypatch.context() as patched:

        def full(*_: object) -> None:
            raise Unavailable("the disk is full")

        patched.setattr(spooled, "apply", full)
        with pytest.raises(Unavailable):
            await desk.take()
    assert (waiting(desk.spool), await desk.codes()) == (["1.json"], {})
    assert await desk.take() == 1


async def test_a_fault_of_ours_in_one_report_does_not_hold_the_rest_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = spooled.apply

    def breaks(tx: Tx, attempt: int, name: str, *more: object) -> bool:
        if name == "1.json":
            raise RuntimeError("a bug")
        return whole(tx, attempt, name, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(spooled, "apply", breaks)
    desk.put("1.json", OUTPUT)
    desk.put("2.json", OUTPUT)
    assert await desk.take() == 1
    assert await desk.codes() == {"1.json": "invalid", "2.json": None}


async def test_a_child_is_posted_with_the_policy_of_the_configuration(desk: Desk) -> None:
    desk.put("1.json", {"route": "children", "report": {"title": "part"}})
    assert await desk.take() == 1
    (row,) = await desk.rows("SELECT parent_id, agent_id, max_tries FROM tasks WHERE title = 'part'")
    assert row == (desk.attempt.task, "writer", 7)


# --- A whole daemon -------------------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "house")
    try:
        yield house
        house.ends()
    finally:
        house.clear()


REPORTS_ALONE = """
bb start; touch began; while [ ! -e go ]; do sleep 0.05; done
printf 'a\\0b' >picture; echo text >out.txt
bb comment first || exit 9
bb output data T out.txt || exit 9
bb upload picture --type data --title P || exit 9
bb submit 'all of it' || exit 9
touch told
"""


@pytest.mark.parametrize("ends", ["has ended", "still lives"])
def test_what_was_said_while_nobody_was_there_counts_at_the_restart(house: House, ends: str) -> None:
    house.agent(
        "alone", REPORTS_ALONE + ("sleep 1000\n" if ends == "still lives" else ""), policy={"settle_seconds": 0.2}
    )
    house.start()
    task = house.post("alone")
    until(lambda: (house.workspace(task) / "began").exists())  # it has the answer, and repeats nothing
    house.kill()
    house.let_go(task)
    until(lambda: (house.workspace(task) / "told").exists(), 120, story=lambda: house.story(task))
    if ends == "has ended":
        until(lambda: not house.left_of(task))
    (attempt,) = house.attempts(task)
    box = house.attempt_file(attempt["id"], "spool")
    assert len(waiting(box)) == 4

    house.start()
    until(lambda: house.task(task)["status"] == "done", story=lambda: house.story(task))
    house.kill()
    for file in box.glob("*.taken"):  # a crash between the commit and the file's new name
        file.rename(file.with_suffix(""))
    house.start()
    house.reaches(task, "done")

    assert house.outcomes(task) == ["submitted"]
    assert [row["size"] for row in house.rows("SELECT size FROM outputs ORDER BY id")] == [5, 3]
    assert [row["body"] for row in house.rows("SELECT body FROM comments ORDER BY id")] == ["first", "all of it"]
    names = [event["reason"] for event in house.events(task, "spooled")]
    assert names == [
        f"00000{n}.json: {route}" for n, route in enumerate(("comments", "outputs", "outputs", "status"), 1)
    ]


def test_a_program_that_writes_its_spool_by_hand_is_judged_by_what_it_left(house: House) -> None:
    house.agent(
        "plain",
        """
sleep 0.5  # the first look at its spool is over, and it ends before the next
cat >"$directory/spool/1.part" <<'E'
{"route": "outputs", "report": {"type": "data", "title": "T", "content": "C"}}
E
mv "$directory/spool/1.part" "$directory/spool/1.json"
echo '{"route": "status", "report": {"status": "review"}}' >"$directory/spool/2.part"
mv "$directory/spool/2.part" "$directory/spool/2.json"
""",
    )
    house.start()
    task = house.post("plain")
    house.reaches(task, "done")
    assert house.outcomes(task) == ["submitted"]


def test_the_spool_of_a_living_attempt_is_taken_in_while_it_works(house: House) -> None:
    house.agent(
        "works",
        """
echo '{"route": "comments", "report": {"body": "from afar"}}' >"$directory/spool/1.json"
while [ ! -e go ]; do sleep 0.05; done; echo x >f; bb output data T f; bb submit
""",
    )
    house.start()
    task = house.post("works")
    until(lambda: house.events(task, "comment"), story=lambda: house.story(task))
    house.let_go(task)
    house.reaches(task, "done")


def test_kills_while_a_long_spool_is_taken_in_apply_each_report_once(house: House) -> None:
    house.agent(
        "many", "bb start; touch began; while [ ! -e go ]; do sleep 0.05; done; exit 3\n", policy={"max_tries": 1}
    )
    house.start()
    task = house.post("many")
    until(lambda: (house.workspace(task) / "began").exists())
    (attempt,) = house.attempts(task)
    house.kill()
    box = house.attempt_file(attempt["id"], "spool")
    for number in range(1, 301):
        (box / f"{number}.json").write_text(json.dumps({"route": "comments", "report": {"body": str(number)}}))
    house.let_go(task)
    until(lambda: not house.left_of(task))

    for wanted in (1, 60, 150):
        daemon = house.launch()
        until(lambda wanted=wanted: house.value("SELECT count(*) FROM comments") >= wanted)  # type: ignore[misc]
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
        house.daemon = None
    house.start()

    house.reaches(task, "failed")
    assert [row["body"] for row in house.rows("SELECT body FROM comments ORDER BY id")] == [
        str(n) for n in range(1, 301)
    ]
    assert house.outcomes(task) == ["crashed"]
