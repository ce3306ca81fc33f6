"""Notices: which there are, whom they reach and when. The sinks here are folders; other ways have files of their own."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from blackboard import dead_letters, deliveries, notice_kinds, notice_orders, quiet_hours, tokens, verbs
from blackboard.board import Tx
from blackboard.notice_kinds import KINDS_WITHOUT_EVENTS, MEANINGS
from blackboard.policy import Policy
from orchestrator import noticing
from orchestrator.sinks import files
from tests import scenes
from tests.daemon import ROOT
from tests.fake_clock import FakeClock
from tests.notice_house import opened

OUT = '[sinks.out]\ntype = "file"\nfolder = "{here}/out"\n'


async def test_a_notice_is_a_file_of_its_own_in_a_private_folder(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, OUT, clock) as house:
        await house.post("first", agent_id="ada", data={"a": [1]})
        clock.go_on(1)
        await house.post("second", body="more\nof it", urgent=True)
        await house.tell()

        first, second = house.files()
        assert first["type"] == "notice.blocked"
        assert first["timestamp"] == "2026-01-31T09:00:00.000Z"
        assert first["data"]["notices"][0] == {
            "id": 1, "kind": "blocked", "topic": "task:1", "urgent": False, "at": "2026-01-31T09:00:00.000Z", "agent": "ada",
            "task": None, "project": None, "title": "first", "body": "", "data": {"a": [1]}, "repeated": 0,
        }  # fmt: skip
        assert second["data"]["notices"][0]["body"] == "more\nof it"
        assert first["id"] == f"msg_{house.board.board_id}_1_20260131T090001000Z"
        assert os.stat(tmp_path / "out").st_mode & 0o777 == 0o700
        assert {file.stat().st_mode & 0o777 for file in (tmp_path / "out").iterdir()} == {0o600}
        assert await house.states() == ["delivered", "delivered"]


async def test_a_folder_that_others_can_look_into_gets_nothing_until_it_is_private(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with opened(tmp_path, OUT, clock) as house:
        (tmp_path / "out").mkdir(mode=0o755)
        await house.post("first")
        await house.post("second")
        await house.tell()
        assert house.files() == []
        assert await house.events("sink_failed") == [
            f"sink_failed: sink out: others can look into {tmp_path}/out: chmod 700 {tmp_path}/out"
        ]

        (tmp_path / "out").chmod(0o700)
        clock.go_on(10)
        await house.tell()
        assert house.titles() == [["first"], ["second"]]
        assert len(await house.events("sink_back")) == 1


async def test_a_disk_that_hangs_holds_one_thread_and_tears_no_file(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, inside, entered, real = threading.Event(), threading.Event(), [], files.write

    def write(folder: Path, name: str, content: bytes) -> None:
        entered.append(name)
        inside.set()
        hangs.wait(20)
        real(folder, name, content)

    monkeypatch.setattr(files, "write", write)
    monkeypatch.setattr(noticing, "BEYOND_SECONDS", 0.0)
    async with opened(tmp_path, OUT + "timeout_seconds = 0.1\nretry_seconds = 5\n", clock) as house:
        try:
            await house.post("the roof burns")
            for _ in range(4):
                await house.tell()
                clock.go_on(3600)
            assert await asyncio.to_thread(inside.wait, 20)
            assert await house.states() == ["waiting"]
            assert len(entered) == 1, "every try took a thread of its own"
            assert (await house.events("sink_failed"))[-1].endswith("it did not take it within 0.1 s")
        finally:
            hangs.set()
        monkeypatch.setattr(noticing, "BEYOND_SECONDS", 20.0)
        await house.tell()
        assert await house.states() == ["delivered"]
        assert house.titles() == [["the roof burns"]]


async def test_a_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    async with opened(tmp_path, OUT, clock) as house:
        await house.post()
        await house.tell()
        assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_a_second_try_of_a_message_replaces_the_first(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, OUT, clock) as house:
        await house.post()
        await house.tell()
        before = house.files()
        # As a kill between the rename and the word on the board leaves it.
        await house.board.write(lambda tx: tx.run("UPDATE deliveries SET state = 'waiting', settled_at = NULL"))
        house.restart()
        await house.tell()
        assert house.files() == before
        assert await house.states() == ["delivered"]


# --- whom it reaches --------------------------------------------------------------------------------------------------


async def test_a_sink_gets_what_it_wants_and_no_more(tmp_path: Path, clock: FakeClock) -> None:
    sinks = "".join(
        f'[sinks.{name}]\ntype = "file"\nfolder = "{{here}}/{name}"\n{wants}\n'
        for name, wants in (
            ("all", ""),
            ("failures", 'kinds = ["failed"]'),
            ("adas", 'about_agents = ["ada"]'),
            ("of_q", 'about_projects = ["q"]'),
        )
    )
    async with opened(tmp_path, sinks, clock) as house:
        await house.post("a", agent_id="ada")
        await house.post("b", kind="failed", agent_id="bob")
        await house.post("c", sinks=["failures"])
        await house.tell()
        assert house.titles("all") == [["a"], ["b"]]
        assert house.titles("failures") == [["b"], ["c"]]
        assert house.titles("adas") == [["a"]]
        assert house.titles("of_q") == []


async def test_a_sink_that_nobody_knows_is_a_dead_letter_and_told_to_the_others(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with opened(tmp_path, OUT, clock) as house:
        await house.post("lost", sinks=["nowhere"])
        await house.tell()
        assert await house.states("nowhere") == ["dead"]
        await house.tell()
        assert house.titles() == [["sink nowhere has given notices up"]]


async def test_what_waits_for_a_sink_that_the_configuration_no_longer_names_is_given_up_aloud(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with opened(tmp_path, OUT + OUT.replace("out", "old") + 'quiet_hours = "00:00-23:59"\n', clock) as house:
        await house.post("one")
        await house.tell()
        assert await house.states("old") == ["waiting"]
    async with opened(tmp_path, OUT, clock) as house:
        await house.tell()
        assert await house.states("old") == ["dead"]
        assert len(await house.events("notice_dead")) == 1
        await house.tell()
        assert house.titles()[-1] == ["sink old has given notices up"]
        # And back again, when it is said and somebody takes it.
        await house.board.write(lambda tx: dead_letters.retry(tx, notice=None, sink="old", actor="person:x"))
    async with opened(tmp_path, OUT + OUT.replace("out", "old"), clock) as house:
        await house.tell()
        assert house.titles("old")[0] == ["one"]


# --- when -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sinks", ["5", "true", '"out"', "{}", "null"])
async def test_names_of_sinks_that_are_none_hold_up_no_other(tmp_path: Path, clock: FakeClock, sinks: str) -> None:
    async with opened(tmp_path, OUT, clock) as house:
        await house.post("a")
        await house.board.write(lambda tx: tx.run("UPDATE notices SET sinks = :sinks", sinks=sinks))  # by hand
        await house.post("b")
        await house.tell()
        assert house.titles() == [["a"], ["b"]]


async def test_a_time_that_a_person_wrote_holds_up_no_other(tmp_path: Path, clock: FakeClock) -> None:
    """As `datetime('now')` writes it, which is not how the board does."""
    async with opened(tmp_path, OUT, clock) as house:
        await house.post("a", kind="late")
        await house.board.write(lambda tx: tx.run("UPDATE notices SET created_at = datetime(:now)", now=tx.now))
        await house.post("b", kind="late")
        await house.noticing.post()
        await house.board.write(lambda tx: tx.run("UPDATE deliveries SET next_at = datetime(:now)", now=tx.now))
        await house.tell()
        assert await house.states() == ["delivered"] * 2
        await house.board.write(lambda tx: tx.run("UPDATE notices SET created_at = :now", now=tx.now))  # as doctor asks
        await house.board.write(lambda tx: tx.run("UPDATE deliveries SET next_at = :now", now=tx.now))


async def test_the_same_words_are_told_once_and_how_often_is_said_with_the_next(
    tmp_path: Path, clock: FakeClock
) -> None:
    async with opened(tmp_path, OUT + "dedupe_seconds = 60\n", clock) as house:
        for number in range(4):
            await house.post("again", key=f"again {number}", kind="late")
            await house.tell()
            clock.go_on(10)
        await house.post("again", body="other words", key="other", kind="late")
        clock.go_on(60)
        await house.post("again", key="at last", kind="late")
        await house.tell()

        assert await house.states() == ["delivered", "repeated", "repeated", "repeated", "delivered", "delivered"]
        assert [(n["body"], n["repeated"]) for each in house.files() for n in each["data"]["notices"]] == [
            ("", 0), ("other words", 0), ("", 3)
        ]  # fmt: skip


async def test_what_only_lasted_because_nobody_looked_is_not_told(tmp_path: Path, clock: FakeClock) -> None:
    def held(tx: Tx) -> None:
        verbs.cancel(tx, scenes.claim(tx, scenes.post(tx, project="p"))["task_id"], actor="person:x")

    async def told(title: str) -> None:
        async with asyncio.timeout(20):
            while not any(title in each[0] for each in house.titles()):
                await house.board.commits.after(house.board.commits.number)

    async with opened(tmp_path, OUT, clock) as house:
        await house.board.write(held)
        clock.go_on(86400)  # ... and a new start
        running = asyncio.create_task(house.noticing.run())
        try:
            await house.post("first", kind="late")
            await told("first")
            assert await house.board.one("SELECT 1 FROM notices WHERE kind = 'not_gone'") is None
            clock.go_on(30)
            await house.post("second", kind="late")
            await told("task 1 is held")
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_what_comes_again_after_somebody_has_acted_is_told_again(tmp_path: Path, clock: FakeClock) -> None:
    def posted(tx: Tx) -> None:
        scenes.post(tx, project="p", policy=Policy(review="human"))

    async with opened(tmp_path, OUT, clock) as house:
        await house.board.write(posted)
        await house.board.write(scenes.submit, 1)
        await house.tell()
        clock.go_on(60)
        await house.board.write(lambda tx: verbs.reject(tx, 1, actor="person:x", remark="blue"))
        await house.board.write(scenes.submit, 1)
        await house.tell()
        assert await house.states() == ["delivered", "delivered"]
        assert house.titles() == [["task 1 waits for your review: nail"]] * 2


async def test_a_key_is_one_notice(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, OUT, clock) as house:
        assert await house.post("a", key="k") == await house.post("b", key="k")
        await house.tell()
        assert house.titles() == [["a"]]


async def test_a_digest_is_one_message_that_stays_the_same_at_every_try(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, OUT + "digest_seconds = 100\n", clock) as house:
        (tmp_path / "out").write_text("in the way")
        await house.post("a")
        await house.tell()
        clock.go_on(60)
        await house.post("b")
        await house.post("now!", urgent=True)
        await house.tell()
        assert await house.states() == [
            "waiting",
            "waiting",
            "waiting",
        ]  # nothing is written: the urgent one is in the way
        (tmp_path / "out").unlink()
        clock.go_on(39)
        await house.tell()
        assert house.titles() == [["now!"]]
        (tmp_path / "out").chmod(0o755)
        clock.go_on(1)
        await house.tell()
        house.restart()
        await house.post("c")  # too late for the one that was tried
        (tmp_path / "out").chmod(0o700)
        clock.go_on(10)
        await house.tell()
        assert sorted(house.titles()) == [["a", "b"], ["now!"]]
        assert next(each for each in house.files() if each["type"] == "notice.digest")["data"]["title"] == "2 notices"
        clock.go_on(100)
        await house.tell()
        assert ["c"] in [[t for t in titles if not t.startswith("sink")] for titles in house.titles()]


async def test_quiet_hours_hold_back_what_can_wait(tmp_path: Path) -> None:
    clock = FakeClock("2026-01-31T22:30:00.000Z")
    async with opened(tmp_path, OUT + 'quiet_hours = "22:00-07:00"\ntime_zone = "Europe/Berlin"\n', clock) as house:
        await house.post("later")
        await house.post("now", urgent=True)
        await house.tell()
        assert house.titles() == [["now"]]
        clock.jump_to("2026-02-01T05:59:59.999Z")
        await house.tell()
        assert house.titles() == [["now"]]
        clock.jump_to("2026-02-01T06:00:00.000Z")
        await house.tell()
        assert sorted(house.titles()) == [["later"], ["now"]]


async def test_quiet_hours_hold_back_what_a_sink_did_not_take_before_them_too(tmp_path: Path) -> None:
    clock = FakeClock("2026-01-31T21:50:00.000Z")
    async with opened(tmp_path, OUT + 'quiet_hours = "22:00-07:00"\nretry_seconds = 600\n', clock) as house:
        (tmp_path / "out").write_text("in the way")
        await house.post("tried before")
        await house.tell()
        await house.post("behind it")
        await house.noticing.post()
        (tmp_path / "out").unlink()
        clock.jump_to("2026-01-31T22:30:00.000Z")
        await house.tell()
        assert house.titles() == []
        await house.post("now", urgent=True)
        await house.tell()
        assert house.titles() == [["now"]]
        clock.jump_to("2026-02-01T07:00:00.000Z")
        await house.tell()
        assert sorted(house.titles()) == [["behind it"], ["now"], ["tried before"]]


@pytest.mark.parametrize(
    ("hours", "now", "over"),
    [
        # Europe/Berlin: on 2026-03-29 there is no 02:00 to 03:00, on 2026-10-25 there are two.
        ("22:00-07:00", "2026-03-28T21:30:00.000Z", "2026-03-29T05:00:00.000Z"),
        ("22:00-02:30", "2026-03-28T23:00:00.000Z", "2026-03-29T01:00:00.000Z"),  # 02:30 is not: from 03:00 on
        ("02:10-02:50", "2026-03-29T00:30:00.000Z", "2026-03-29T00:30:00.000Z"),  # quiet hours that do not exist
        ("02:10-02:50", "2026-03-29T01:00:00.000Z", "2026-03-29T01:00:00.000Z"),
        ("22:00-07:00", "2026-10-24T21:00:00.000Z", "2026-10-25T06:00:00.000Z"),
        ("22:00-02:30", "2026-10-24T22:00:00.000Z", "2026-10-25T00:30:00.000Z"),  # the first 02:30
        ("22:00-02:30", "2026-10-25T01:10:00.000Z", "2026-10-25T01:30:00.000Z"),  # the clock shows 02:10 again
        ("22:00-07:00", "2026-06-10T06:00:00.000Z", "2026-06-10T06:00:00.000Z"),
        ("22:00-07:00", "2026-06-10T05:00:00.000Z", "2026-06-10T05:00:00.000Z"),  # 07:00 itself is not quiet
        ("22:00-07:00", "2026-06-10T04:59:59.999Z", "2026-06-10T05:00:00.000Z"),
        ("12:00-13:00", "2026-06-10T10:00:00.000Z", "2026-06-10T11:00:00.000Z"),
    ],
)
def test_quiet_hours_are_over_when_the_clock_on_the_wall_says_so(hours: str, now: str, over: str) -> None:
    assert quiet_hours.read(hours, "Europe/Berlin").over(now) == over


@pytest.mark.parametrize("text", ["22-7", "22:00", "", "a-b", "22:00-22:00", "22:00-25:00", "22:00:30-07:00", "1-2-3"])
def test_other_hours_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        quiet_hours.read(text, "UTC")


# --- how it is tried again --------------------------------------------------------------------------------------------


async def test_what_is_not_taken_is_tried_again_in_order_and_given_up_in_the_end(
    tmp_path: Path, clock: FakeClock
) -> None:
    text = OUT + "retry_seconds = 10\nretry_most_seconds = 40\nmax_tries = 3\n" + OUT.replace("out", "other")
    async with opened(tmp_path, text, clock) as house:
        (tmp_path / "out").write_text("in the way")
        await house.post("a")
        await house.post("b")
        await house.tell()
        house.restart()
        await house.tell()  # at once: too early
        assert await house.board.one("SELECT failures FROM deliveries WHERE sink = 'out' AND notice_id = 1") is not None
        tries = []
        for _ in range(2):
            clock.go_on(40)
            await house.tell()
            tries.append(await house.states())
        assert tries[0][:2] == ["waiting", "waiting"]
        assert tries[1][:2] == ["dead", "waiting"]
        assert len(await house.events("sink_failed")) == 1  # once, while it is the same
        assert (await house.events("notice_dead"))[0].startswith(
            "notice_dead: notice 1 at sink out: given up after 3 tries:"
        )
        await house.tell()
        said = [titles[0] for titles in house.titles("other")]
        assert said == ["a", "b", "sink out does not take notices", "sink out has given notices up"]

        (tmp_path / "out").unlink()
        count = await house.board.write(lambda tx: dead_letters.retry(tx, notice=1, sink=None, actor="person:x"))
        assert count == 1
        clock.go_on(40)
        await house.tell()
        assert house.titles() == [["a"], ["b"]]


async def test_a_clock_that_is_set_back_silences_nobody(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, OUT, clock) as house:
        (tmp_path / "out").write_text("in the way")
        await house.post("tried")
        await house.tell()
        await house.post("behind it")
        await house.noticing.post()
        (tmp_path / "out").unlink()
        clock.jump_to("2026-01-31T04:00:00.000Z")
        await house.tell()
        assert sorted(house.titles()) == [["behind it"], ["tried"]]


async def test_old_notices_go_and_what_waits_or_is_dead_stays(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, OUT + "[notices]\nkeep_days = 2\n", clock) as house:
        await house.post("told")
        await house.post("dead", sinks=["nowhere"])
        await house.tell()
        clock.go_on(3 * 86400)
        await house.post("new")
        await house.tell()
        left = await house.board.all("SELECT title FROM notices ORDER BY id")
        assert [row["title"] for row in left][:1] == ["dead"]
        assert "told" not in [row["title"] for row in left]
        assert "new" in [row["title"] for row in left]


# --- which notices there are ------------------------------------------------------------------------------------------


def test_every_kind_has_a_meaning_and_is_made_by_somebody() -> None:
    assert set(MEANINGS) == set(notice_kinds.Kind.__args__)  # type: ignore[attr-defined]
    assert set(MEANINGS) > KINDS_WITHOUT_EVENTS


def test_the_page_names_every_kind_and_every_type() -> None:
    page = (ROOT / "docs" / "notices.md").read_text(encoding="utf-8")
    kinds = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    assert kinds == list(MEANINGS)
    assert [line[5:-1] for line in page.splitlines() if line.startswith("### `")] == [
        "file", "task", "command", "openclaw", "webhook"
    ]  # fmt: skip


async def test_how_a_sink_did_is_forgotten_with_it(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, OUT, clock) as house:
        await house.post()
        await house.tell()
        assert [each["sink"] for each in await house.board.read(deliveries.standing)] == ["out"]
    async with opened(tmp_path, "", clock) as house:
        assert await house.board.read(deliveries.standing) == []


async def test_a_digest_that_is_dead_comes_back_as_the_same_message(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, OUT + "digest_seconds = 100\nmax_tries = 1\n", clock) as house:
        (tmp_path / "out").write_text("in the way")
        for title in "abc":
            await house.post(title)
        await house.tell()
        clock.go_on(100)
        await house.tell()
        assert await house.states() == ["dead"] * 3
        (tmp_path / "out").unlink()
        assert await house.board.write(lambda tx: dead_letters.retry(tx, notice=2, sink=None, actor="person:x")) == 3
        await house.tell()
        assert house.titles() == [["a", "b", "c"]]


async def test_what_a_person_dismisses_holds_up_nothing_and_is_told_nobody(tmp_path: Path, clock: FakeClock) -> None:
    """The first message is one that the sink never takes: a digest, so that all of it goes."""
    async with opened(tmp_path, OUT + "digest_seconds = 100\n" + OUT.replace("out", "other"), clock) as house:
        (tmp_path / "out").write_text("in the way")
        for title in "ab":
            await house.post(title)
        await house.tell()
        clock.go_on(100)
        await house.tell()
        await house.post("c")
        await house.tell()
        assert await house.states() == ["waiting"] * 3
        assert await house.board.write(lambda tx: dead_letters.dismiss(tx, notice=1, sink=None, actor="person:x")) == 2
        (tmp_path / "out").unlink()
        clock.go_on(100)
        await house.tell()
        assert house.titles()[0] == ["c"] and (await house.states())[:3] == ["dismissed", "dismissed", "delivered"]
        assert ["a"] in house.titles("other"), "what was told is not taken back"
        assert await house.events("notices_dismissed") == ["notices_dismissed: 2 notices for out are dismissed"]
        assert await house.board.write(lambda tx: dead_letters.dismiss(tx, notice=1, sink=None, actor="person:x")) == 0


async def test_dead_letters_of_a_sink_are_dismissed_and_go_when_they_are_old(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, OUT + "max_tries = 1\n", clock) as house:
        (tmp_path / "out").write_text("in the way")
        await house.post("a")
        await house.tell()
        (tmp_path / "out").unlink()
        assert await house.states() == ["dead"]
        count = await house.board.write(lambda tx: dead_letters.dismiss(tx, notice=None, sink="out", actor="person:x"))
        assert (count, await house.states()) == (1, ["dismissed"])
        assert await house.board.write(lambda tx: dead_letters.retry(tx, notice=1, sink=None, actor="person:x")) == 0
        clock.go_on(1)
        assert await house.board.write(lambda tx: deliveries.drop_old(tx, tx.now)) == 1


async def test_that_nothing_was_dismissed_is_said_in_true_words(tmp_path: Path, clock: FakeClock) -> None:
    """What waits for a sink goes by its notice only, and what is not on its way yet is told later."""
    async with opened(tmp_path, OUT, clock) as house:

        async def said(notice: int | None, sink: str | None) -> str:
            answer = await house.board.write(notice_orders.dismiss, tokens.digest(token), notice, sink)
            assert answer["count"] == 0
            return str(answer["next"])

        (tmp_path / "out").write_text("in the way")
        token = tokens.mint()
        await house.board.write(lambda tx: tokens.create(tx, token, kind="operator", name="root", scope="operate"))
        await house.post("a")
        assert (await said(1, None)).startswith("notice 1 is not on its way yet, and goes out once the daemon runs: ")
        await house.tell()
        assert await house.states() == ["waiting"]
        assert (await said(None, "out")).startswith("nothing of sink out is dead: ")
        assert (await said(1, "nowhere")).startswith("nothing of notice 1 at sink nowhere waits or is dead: ")


async def test_one_notice_at_two_sinks_is_not_called_two(tmp_path: Path, clock: FakeClock) -> None:
    async with opened(tmp_path, OUT + OUT.replace("out", "other"), clock) as house:
        token = tokens.mint()
        await house.board.write(lambda tx: tokens.create(tx, token, kind="operator", name="root", scope="operate"))
        await house.post("a")
        await house.noticing.post()
        said = await house.board.write(notice_orders.dismiss, tokens.digest(token), 1, None)
        assert said["count"] == 2
        assert said["next"].startswith("2 notices, counted for each sink, are told nobody any more (notice 1): ")
        assert await house.events("notices_dismissed") == [
            "notices_dismissed: 2 notices, counted for each sink, for other, out are dismissed"
        ]


async def test_history_is_not_told_and_what_comes_after_is_told_once(tmp_path: Path, clock: FakeClock) -> None:
    def fault(tx: Tx) -> None:
        tx.run("INSERT INTO events (at, verb, actor, reason) VALUES (:now, 'step_failed', 'engine:tick', 'claim: it broke')", now=tx.now)  # fmt: skip

    async with opened(tmp_path, OUT, clock) as house:
        await house.board.write(lambda tx: tx.run("DELETE FROM meta WHERE key = 'notices_event'"))
        await house.board.write(fault)
        await house.noticing.start()
        await house.tell()
        assert house.titles() == []
        for _ in range(3):
            clock.go_on(1000)
            await house.board.write(fault)
            house.restart()
            await house.noticing.start()
            await house.tell()
            await house.tell()
        assert house.titles() == [["a step of the orchestrator fails: claim"]] * 3
        assert house.files()[0]["data"]["notices"][0]["urgent"] is True
