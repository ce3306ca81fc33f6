"""Fingerprints: two sentences of one failure are equal, those of two failures are not."""

from __future__ import annotations

import timeit

import pytest

from blackboard.fingerprints import ALIKE, fingerprint, normalised
from blackboard.states import OUTCOMES

SAME = [
    ("the program ended with exit code 1", "the program ended with exit code 17"),
    ("HTTP 500 (request req_011CSHoEeqs5C35K2UUqR7Fy)", "HTTP 503 (request req_9Qb2xkTz81mPpL4vWw00aa)"),
    ("no route to 10.0.0.1:8083", "no route to 192.168.17.4:9001"),
    ("error 4f2e9c1b-3d5a-4e1f-9b6c-1a2b3c4d5e6f", "error 0a1b2c3d-0000-4e1f-aaaa-ffffffffffff"),
    ("commit deadbeefcafe is missing", "commit 0123456789ab is missing"),
    ("at 2026-01-31T09:00:00.000Z it broke", "at 2026-02-01 10:11:12+01:00 it broke"),
    ("cannot open /home/ada/work/7/main.py", "cannot open /srv/attempts/19/notes.txt"),
    ("cannot open C:\\work\\7\\main.py", "cannot open D:\\else\\notes.txt"),
    ("cannot open src/deep/main.py", "cannot open tests/other.py"),
    ("see https://example.org/runs/7?x=1 for more", "see http://example.com/a for more"),
    ("used bbt_0123456789abcdef0123456789abcdef0123456789abcdef", "used bbt_fedcba9876543210fedcba9876543210fedcba9876543210"),
    ("spent 0.51 of 0.5 USD", "spent 12 of 0.5 USD"),
    ("lines [1, 2, 3] are wrong", "lines [17, 4] are wrong"),
    ("It  broke\nin two", "it broke in TWO"),
    ("x" * 5000, "x" * 6000),
]  # fmt: skip
OTHER = [
    ("no such file", "no such host"),
    ("the program ended with exit code 1", "the program ended with exit code 1; its last words: no paper"),
    ("cannot open /etc/passwd: permission denied", "cannot open /etc/passwd: no such file"),
]


@pytest.mark.parametrize(("one", "another"), SAME)
def test_what_differs_from_run_to_run_makes_no_other_failure(one: str, another: str) -> None:
    assert normalised(one) == normalised(another)
    assert fingerprint("failed", None, one) == fingerprint("failed", None, another)


@pytest.mark.parametrize(("one", "another"), OTHER)
def test_another_failure_has_another_fingerprint(one: str, another: str) -> None:
    assert fingerprint("failed", None, one) != fingerprint("failed", None, another)


def test_the_outcome_and_the_kind_of_failure_count_too() -> None:
    known = {fingerprint(*how, "x") for how in (("failed", None), ("crashed", None), ("crashed", "auth"))}
    assert len(known) == 3 and all(each and len(each) == 16 for each in known)


def test_the_fingerprint_of_a_sentence_stays_what_it_is() -> None:
    """Boards hold them: a change of the rules would make old failures new ones."""
    assert (
        normalised("Attempt 7 failed: cannot read /tmp/a-1.txt (HTTP 404)")
        == "attempt # failed: cannot read # (http #)"
    )
    assert fingerprint("crashed", "auth", "exit code 1") == "c615529402668cb1"


def test_who_only_waited_has_none() -> None:
    assert OUTCOMES.keys() > ALIKE
    for outcome in OUTCOMES.keys() - ALIKE:
        assert fingerprint(outcome, None, "x") is None
    assert OUTCOMES.keys() - ALIKE == {
        "submitted", "blocked", "approved", "rejected", "cancelled", "released", "dry_run", "rate_limited", "busy", "stopped",
        "no_session", "not_authorised",
    }  # fmt: skip


def test_a_huge_sentence_takes_no_time() -> None:
    assert len(normalised("a-" * 1_000_000 + "/" * 1_000_000)) <= 1000


@pytest.mark.parametrize("piece", ["a", "a.", "a-", "abcdef01", "1", "1-", "~"])
def test_one_long_word_takes_hardly_longer_than_many_short_ones(piece: str) -> None:
    """They are looked at inside a transaction."""
    words = min(timeit.repeat(lambda: normalised("word by word " * 300), number=1, repeat=5))
    assert min(timeit.repeat(lambda: normalised(piece * 4000), number=1, repeat=5)) < 30 * words
