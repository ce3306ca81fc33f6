"""Tokens: minted at random, stored as hashes, masked wherever text goes out, and looked up on the board each time."""

from __future__ import annotations

import hashlib
import json

import pytest

from blackboard import tokens, verbs
from blackboard.board import Board, Tx
from blackboard.errors import Conflict, Unauthorized
from blackboard.tokens import Caller, digest, identify, mint, redact
from tests import scenes


def test_a_token_is_256_random_bits_behind_the_prefix() -> None:
    minted = {mint() for _ in range(1000)}
    assert len(minted) == 1000
    assert {(token[:4], len(token)) for token in minted} == {("bbt_", 47)}


def test_only_its_hash_is_kept() -> None:
    assert digest("bbt_x") == hashlib.sha256(b"bbt_x").digest()


def test_a_feeds_secret_has_another_hash() -> None:
    assert tokens.feed_digest("bbt_x") == hashlib.sha256(b"feed:bbt_x").digest() != digest("bbt_x")


@pytest.mark.parametrize(
    "text", ["{}", "header = {}", "{}\n{}", 'Authorization: Bearer {}"', "a{}b", "x={}&y={}", "\x1b[1m{}\x1b[0m"]
)
def test_no_token_survives_the_redactor(text: str) -> None:
    token = mint()
    told = redact(text.replace("{}", token))
    assert token not in told and token[4:16] not in told
    assert told.count("bbt_***") >= text.count("{}")


def test_a_token_cut_short_is_masked_too() -> None:
    assert redact("bbt_abcdefgh") == "bbt_***"
    assert redact("the prefix is bbt_ and nothing else") == "the prefix is bbt_ and nothing else"


async def test_an_attempts_token_names_its_attempt_and_role(board: Board) -> None:
    def story(tx: Tx) -> tuple[Caller, Caller]:
        task = scenes.post_at(tx, "review")
        scenes.claim_review(tx, task)
        return tuple(identify(tx, digest(scenes.token_of(task, number))) for number in (1, 2))  # type: ignore[return-value]

    executor, reviewer = await board.write(story)
    assert (executor.kind, executor.actor, executor.agent_id) == ("attempt", "executor:ada", "ada")
    assert (reviewer.kind, reviewer.actor, reviewer.agent_id) == ("attempt", "reviewer:eve", "eve")
    assert executor.attempt is not None and executor.attempt["outcome"] == "submitted"  # ended, and still known
    assert not executor.may("read")


async def test_standing_tokens_say_who_they_are_until_they_are_revoked(board: Board) -> None:
    agents, person = mint(), mint()
    await board.write(tokens.create, agents, kind="agent", name="ada", agent_id="ada")
    await board.write(tokens.create, person, kind="operator", name="ann", scope="operate")

    found = await board.write(identify, digest(agents))
    assert (found.kind, found.actor, found.agent_id, found.attempt) == ("agent", "agent:ada", "ada", None)
    found = await board.write(identify, digest(person))
    assert (found.kind, found.actor, found.scope, found.agent_id) == ("operator", "person:ann", "operate", None)

    assert await board.write(tokens.revoke, kind="operator", name="ann") == 1
    assert await board.write(tokens.revoke, kind="operator", name="ann") == 0
    with pytest.raises(Unauthorized):
        await board.write(identify, digest(person))
    assert (await board.write(identify, digest(agents))).kind == "agent"


@pytest.mark.parametrize(
    ("scope", "reach"),
    [("read", {"read"}), ("operate", {"read", "operate"}), ("admin", {"read", "operate", "admin"}), (None, set())],
)
def test_a_scope_includes_those_before_it(scope: str | None, reach: set[str]) -> None:
    caller = Caller("operator", "person:ann", "ann", scope=scope)
    assert {wanted for wanted in tokens.SCOPES if caller.may(wanted)} == reach


async def test_what_is_not_a_token_here_is_told_which_to_use(board: Board) -> None:
    for unknown in (mint(), "", "bbt_", "forge"):
        with pytest.raises(Unauthorized, match="curl file of your attempt"):
            await board.write(identify, digest(unknown))


async def test_a_token_is_stored_once(board: Board) -> None:
    token = mint()
    await board.write(tokens.create, token, kind="operator", name="ann", scope="read")
    with pytest.raises(Conflict):
        await board.write(tokens.create, token, kind="operator", name="mallory", scope="admin")
    row = await board.one("SELECT name, scope FROM tokens")
    assert row is not None and tuple(row) == ("ann", "read")


async def test_no_token_is_anywhere_on_the_board(board: Board) -> None:
    token = mint()

    def story(tx: Tx) -> str:
        tokens.create(tx, token, kind="operator", name="ann", scope="admin")
        task = scenes.post_at(tx, "review")
        verbs.approve(tx, task, actor="person:ann")
        return json.dumps(scenes.everything(tx), default=repr)

    told = await board.write(story)
    assert "bbt_" not in told and "ann" in told
