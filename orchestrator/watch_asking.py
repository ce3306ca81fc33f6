"""One question to a watched address, and its answer: with its token, its headers and its tag. Keeps nothing."""

from __future__ import annotations

from typing import NamedTuple

from orchestrator import web
from orchestrator.asking import NoAnswer
from orchestrator.bearer import Bearer
from orchestrator.config_watches import WatchConfig
from orchestrator.watch_reading import items_of

ACCEPT = {"Accept": "application/json, */*;q=0.5"}


class Answer(NamedTuple):
    """A good answer. `body`: None where it says that nothing has changed; `tag`: what to ask with the next time."""

    body: bytes | None
    tag: str | None


class Asker:
    """Who asks one address."""

    def __init__(self, config: WatchConfig) -> None:
        self._config = config
        self._bearer = Bearer(config.token_file, config.token_command)

    async def ask(self, tag: str | None = None) -> Answer:
        """One answer; NoAnswer when there is no good one. `tag`: that of the last one."""
        answer = await self._answer({"If-None-Match": tag} if tag else {})
        if answer.status == 304 and tag:
            return Answer(None, tag)
        if answer.status != 200:
            hint = ": it does not take the token" if answer.status in (401, 403) else ""
            raise NoAnswer(f"it answers {answer.status}{hint}")
        return Answer(answer.body, web.sendable(answer.headers.get("etag")))

    def items(self, answer: Answer) -> dict[str, str]:
        """Its items by name, as canonical JSON; NoAnswer when it is not well formed."""
        return items_of(answer.body or b"", self._config)

    async def _answer(self, more: dict[str, str]) -> web.Answered:
        """One question; a second one at once when the token is refused, with what the token is by then."""
        header, number = await self._bearer.header()
        answer = await self._ask({**more, **header})
        if answer.status in (401, 403) and self._bearer.can_be_renewed:
            header, _ = await self._bearer.header(refused=number)
            answer = await self._ask({**more, **header})
        return answer

    async def _ask(self, more: dict[str, str]) -> web.Answered:
        config = self._config
        headers = {**ACCEPT, **config.headers, **more}
        return await web.ask(
            "GET", config.url, headers=headers, seconds=config.timeout_seconds, most_bytes=config.max_bytes
        )
