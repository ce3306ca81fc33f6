"""The sink `openclaw`: a message goes to a chat by `openclaw message send`, run like any command of a sink.

The command and its options are those of https://docs.openclaw.ai/cli/message: `--target` and `--message` are needed,
`--channel` where more than one is configured.
"""

from __future__ import annotations

from orchestrator.sinks.commands import CommandWay
from orchestrator.sinks.message import Message, cut

MOST_BYTES = 60_000  # one argument may have 128 KiB; chats take far less, and openclaw cuts to their size


class OpenclawWay(CommandWay):
    """One chat."""

    def words(self, message: Message) -> list[str]:
        config = self._config
        words = [config.binary, "message", "send"]
        words += ["--channel", config.channel] if config.channel is not None else []
        words += ["--account", config.account] if config.account is not None else []
        return [*words, "--target", str(config.target), "--message", plain(message.text)]


def plain(text: str) -> str:
    """The text so that it is one: what begins like an option of the program, or like a command of a chat, gets a blank before it."""
    text = cut(text, MOST_BYTES)
    return f" {text}" if text.startswith(("-", "/", "!")) else text
