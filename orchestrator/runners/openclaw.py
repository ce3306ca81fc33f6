"""openclaw in its three forms: a turn through a running gateway, an embedded one (`--local`), a headless one (`exec`).

The prompt goes as a file: an argument is limited to 128 KiB, and `agent` reads no standard input. The deadline we
hand over ends before our own, so that the program can still say how it went; its clock begins later, with the first call
of the model.
"""

from __future__ import annotations

import signal

from orchestrator.config_agent import AgentConfig
from orchestrator.runners.openclaw_output import parse
from orchestrator.runners.runner import MIB, QUIET, Elsewhere, Run, Runner, Stop, graceful

MOST_MESSAGE_BYTES = 4 * 1024 * 1024  # of --message-file
GRACE = 20.0  # seconds: for a TERM to reach the gateway as an abort, with its retries
ALONE = {"OPENCLAW_NO_AUTO_UPDATE": "1", "OPENCLAW_DISABLE_BONJOUR": "1", "OPENCLAW_SKIP_CHANNELS": "1"}


def _argv(run: Run) -> list[str]:
    openclaw = run.agent.openclaw
    if openclaw.mode == "exec":
        words = [openclaw.binary, "agent", "exec", "--cwd", str(run.place.workspace)]
    else:
        words = [openclaw.binary, "agent", "--agent", run.agent.known_as(run.name)]
        words += ["--session-key", str(run.brief["session_key"])]
    words += ["--message-file", str(run.place.prompt), "--timeout", run.deadline]
    words += ["--local"] if openclaw.mode == "local" else []
    words += ["--model", openclaw.model] if openclaw.model else []
    words += ["--thinking", openclaw.thinking] if openclaw.thinking else []
    return [*words, "--json"]


def environment(agent: AgentConfig) -> dict[str, str]:
    """What every call of openclaw gets for this agent."""
    folder = agent.openclaw.state_dir
    return {**QUIET, **ALONE} | ({"OPENCLAW_STATE_DIR": str(folder)} if folder else {})


def plain(prompt: str) -> str:
    """A message that begins with `/name` or `$name` is a command or a skill to openclaw: ours is text, whatever it says."""
    return f"Your task:\n\n{prompt}" if prompt.lstrip("\ufeff \t\r\n").startswith(("/", "$")) else prompt


def _stop(agent: AgentConfig) -> Stop:
    """TERM is the only signal that ends a run elsewhere too; KILL comes late, and never first."""
    own = "grace_seconds" in agent.model_fields_set
    return Stop(signal.SIGTERM, graceful(agent).grace if own else GRACE)


def _elsewhere(agent: AgentConfig) -> Elsewhere | None:
    """A turn through the gateway runs in the gateway: KILL on our process, or a lost connection, does not end it."""
    its = agent.openclaw
    if its.mode != "gateway":
        return None
    return Elsewhere(its.probe, its.cancel, its.probe_every_seconds, its.hold_seconds, environment(agent))


def _memory(agent: AgentConfig) -> int:
    """The gateway holds its own memory, once for all."""
    return (450 if agent.openclaw.mode == "gateway" else 1500) * MIB


OPENCLAW = Runner(
    program=lambda agent: agent.openclaw.binary,
    argv=_argv,
    environment=lambda run: environment(run.agent),
    stdin=lambda _agent: False,
    stop=_stop,
    parse=parse,
    elsewhere=_elsewhere,
    memory=_memory,
    writes=lambda agent: (str(agent.openclaw.state_dir or "~/.openclaw"),),
    most_prompt_bytes=MOST_MESSAGE_BYTES,
    plain=plain,
    install="npm install -g openclaw",
)
