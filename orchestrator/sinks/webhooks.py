"""The sink `webhook`: a message is posted to an address, signed as Standard Webhooks says.

2xx is yes. 410 closes the sink. Everything else is tried again, after what `Retry-After` asks for. No redirect is followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from blackboard.board import Board
from blackboard.clock import from_text
from orchestrator import web
from orchestrator.asking import NoAnswer
from orchestrator.config_sinks import SinkConfig
from orchestrator.sinks import addresses, signing
from orchestrator.sinks.message import Message
from orchestrator.sinks.way import Closed, Later

MOST_WAIT = 86400.0  # seconds that a server's Retry-After may ask for


class WebhookWay:
    """One address."""

    def __init__(self, config: SinkConfig, board: Board) -> None:
        self._config = config
        self._url = str(config.url)
        self._file = config.secret_file
        self._board = board

    async def send(self, message: Message) -> None:
        found = urlsplit(self._url)
        port = found.port or (443 if found.scheme == "https" else 80)
        allowed = self._config.allow_private
        there = await addresses.resolved(str(found.hostname), port, allow_private=allowed)
        answer = await web.ask(
            "POST", self._url, headers=self._headers(message), content=message.json, seconds=self._config.timeout_seconds,
            most_bytes=0, at=there[message.tries % len(there)],
        )  # fmt: skip
        self._judge(answer)

    async def stop(self) -> None:
        """Nothing runs."""

    def _headers(self, message: Message) -> dict[str, str]:
        if self._file is None:
            raise NoAnswer("it has no secret_file")
        now = int(from_text(self._board.clock.now()).timestamp())
        signed = signing.headers(signing.secrets(self._file), message.id, now, message.json)
        return {"Content-Type": "application/json", **signed}

    def _judge(self, answer: web.Answered) -> None:
        status = answer.status
        if 200 <= status < 300:
            return
        if status == 410:
            raise Closed("it answers 410, gone for good")
        sentence = f"it answers {status}"
        if 300 <= status < 400:
            sentence += ", which leads elsewhere: name that address in url"
        if (wait := retry_after(answer.headers, self._board.clock.now())) is not None:
            raise Later(sentence, wait)
        raise NoAnswer(sentence)


def retry_after(headers: Mapping[str, str], now: str) -> float | None:
    """The seconds that a server asks for, at most a day; None when it says nothing that can be read."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MOST_WAIT)
    try:
        wait = parsedate_to_datetime(text).timestamp() - from_text(now).timestamp() if text else None
    except (ValueError, TypeError, OverflowError):
        return None
    return None if wait is None else min(max(0.0, wait), MOST_WAIT)
