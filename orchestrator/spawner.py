"""From a claim to a running program: the prompt, the attempt's directory, the launcher.

The claim is committed before anything here runs, so a crash at any line leaves an attempt that the next start
finds and judges. The token is written to one 0600 file and is nowhere else.

Read next: api/callbacks.py (the agent reports).
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from blackboard import attempts, briefs
from blackboard.board import Board, Tx
from blackboard.clock import from_text
from blackboard.move import get
from blackboard.session_keys import Kind, SessionKey, key, of_work
from blackboard.tokens import redact
from orchestrator import processes, resuming, traces
from orchestrator.config import Settings
from orchestrator.config_agent import AgentConfig
from orchestrator.config_contain import is_preset
from orchestrator.logfile import end_of
from orchestrator.processes import Identity
from orchestrator.runners.runner import Place, Run, environment, launch_plan
from orchestrator.runners.table import runner_of
from orchestrator.workspaces import NotReady, Workspaces, branch_at, place_of, planned
from orchestrator.wrapping import NoSandbox, Wrapping
from prompts import kit
from prompts.render import Prompt, PromptError, compose
from prompts.shelf import OURS

T = TypeVar("T")
P = ParamSpec("P")

THREADS = 4  # how many starts are under way at once
TAIL_BYTES = 4000  # of the former attempt's output, for the next prompt


class SpawnError(Exception):
    """The attempt could not be started. `outcome` is spawn_failed or prompt_failed; str() is the sentence."""

    def __init__(self, outcome: str, sentence: str) -> None:
        super().__init__(sentence)
        self.outcome = outcome


class Spawner:
    """Starts attempts of one board."""

    def __init__(self, board: Board, settings: Settings, base_url: str) -> None:
        self._board = board
        self._settings = settings
        self._base_url = base_url
        self.workspaces = Workspaces(board, settings)
        self._wrapping = Wrapping(settings)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="spawn")

    def close(self) -> None:
        """No further starts."""
        self._pool.shutdown(wait=True)

    def directory(self, attempt_id: int) -> Path:
        """An attempt's directory; whether it exists is another matter."""
        return self._settings.attempts_dir / str(attempt_id)

    def marker(self, attempt_id: int) -> str:
        """What every process of an attempt has in its environment."""
        return f"{self._board.board_id}:{attempt_id}"

    async def start(self, attempt_id: int, token: str) -> subprocess.Popen[bytes]:
        """Start a claimed attempt and record its launcher; SpawnError when it cannot be started."""
        prompt, brief, place, agent = await self._prepared(attempt_id, token)
        try:
            await self.workspaces.hand_over(attempt_id, brief, place, agent)
        except (NotReady, OSError) as error:
            raise SpawnError("spawn_failed", str(error)) from error
        launcher, unwrapped = await self._in_pool(self._launch, attempt_id, token, prompt, brief, place, agent)
        if unwrapped:
            await self._board.write(attempts.tell, attempt_id, "unsandboxed", unwrapped)
        identity = processes.identity(launcher.pid) or Identity(launcher.pid, 0)
        await self._board.write(
            attempts.spawned, attempt_id, pid=identity.pid, start=identity.start, boot_id=self._board.clock.boot_id(),
            data=json.dumps(_told(prompt, brief)),
        )  # fmt: skip
        return launcher

    async def rehearse(self, attempt_id: int, token: str) -> None:
        """A dry run: everything up to the prompt's file, and nothing is started."""
        prompt, _, place, _ = await self._prepared(attempt_id, token)
        await self._in_pool(_make_directory, place.directory)
        await self._in_pool(_write, place.prompt, prompt.text)

    async def _prepared(self, attempt_id: int, token: str) -> tuple[Prompt, dict[str, Any], Place, AgentConfig]:
        brief = await self._board.write(_prepare, attempt_id, self._settings, self._board.board_id)
        agent = _agent_of(self._settings, brief)
        if agent is None or not runner_of(agent).program(agent):
            raise SpawnError(
                "spawn_failed", f"agent {brief['agent']} has no program: give it argv in the configuration"
            )
        place = Place(self.directory(attempt_id), Path(brief["workspace"]))
        tail = await self._in_pool(self._tail, brief) if brief["history"] else None
        try:
            prompt = await self._in_pool(self._prompt, brief, place, agent, tail)
        except PromptError as error:
            raise SpawnError("prompt_failed", str(error)) from error
        prompt = prompt._replace(text=runner_of(agent).plain(prompt.text))
        most, size = runner_of(agent).most_prompt_bytes, len(prompt.text.encode("utf-8", "surrogateescape"))
        if most is not None and size > most:
            raise SpawnError("prompt_failed", f"the prompt has {size} bytes, and the program takes at most {most}")
        return prompt, brief, place, agent

    def _prompt(self, brief: dict[str, Any], place: Place, agent: AgentConfig, tail: str | None) -> Prompt:
        """What the agent is told. The operator's templates are read now: a change counts from the next start on."""
        return compose(
            brief, base_url=self._base_url, curl_conf=str(place.curl_conf), bb=str(place.bb),
            workspace=str(place.workspace), tail=tail, folder=self._settings.prompts.templates, reports=agent.calls_back,
            ack=_ack(brief, agent),
        )  # fmt: skip

    def _launch(
        self, attempt_id: int, token: str, prompt: Prompt, brief: dict[str, Any], place: Place, agent: AgentConfig
    ) -> tuple[subprocess.Popen[bytes], str | None]:
        """Write the attempt's files and start its launcher; why it runs without the sandbox it has. Blocking."""
        marker = self.marker(attempt_id)
        runner, run = runner_of(agent), Run(brief["agent"], agent, brief, place, self._base_url, prompt.text)
        words = runner.argv(run)
        words[0] = _program(words[0])
        env = environment(agent, os.environ, marker, runner.environment(run), run.told)
        boot = self._board.clock.boot_id()
        try:
            place.workspace.mkdir(mode=0o700, parents=True, exist_ok=True)
            traces.leave_to(place.directory, brief["claimed_at"])
            repository = Path(brief["plan"].repository) if brief["plan"] and brief["plan"].repository else None
            home, now = env.get("HOME", "/"), self._board.clock.boot()
            wrapped = self._wrapping.wrapped(agent, place, run.values, home, now, repository)
            plan = launch_plan(
                agent, wrapped.words + words, env, place, boot, brief["claimed_at"],
                stdin=runner.stdin(agent), sandboxed=is_preset(agent) and bool(wrapped.words),
            )  # fmt: skip
            _make_directory(place.spool)
            _write(place.prompt, prompt.text)
            _write(place.curl_conf, kit.curl_config(token))
            _write(
                place.bb,
                kit.bb_script(self._base_url, brief["project"], brief["task"]["id"], str(place.curl_conf)),
                0o700,
            )
            _write(place.launch, json.dumps({**plan, "ack": _ack(brief, agent), "told_from": _told(prompt, brief)}))
            return processes.launch(place.directory, marker=marker), wrapped.without
        except NoSandbox as error:
            raise SpawnError("spawn_failed", str(error)) from error
        except OSError as error:
            raise SpawnError(
                "spawn_failed", f"the attempt's files or its launcher could not be made: {error}"
            ) from error

    def _tail(self, brief: dict[str, Any]) -> str | None:
        """The end of what the former attempt printed, without tokens."""
        former = self.directory(brief["history"][-1]["attempt_id"])
        return last_words(former) or None

    async def _in_pool(self, fn: Callable[P, T], *args: P.args, **_none: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, fn, *args)


def _prepare(tx: Tx, attempt_id: int, settings: Settings, board_id: str) -> dict[str, Any]:
    """Record where the attempt works, and gather what its prompt says: one transaction."""
    if attempts.get(tx, attempt_id)["ended_at"] is not None:
        raise SpawnError("released", "it was ended before it was started")
    brief = briefs.brief(tx, attempt_id)
    agent = _agent_of(settings, brief)
    plan = planned(tx, settings, brief, agent)
    workspace = place_of(plan, brief, agent)
    session_key = str(_session(tx, brief, agent, board_id)) if agent else None
    attempts.prepared(tx, attempt_id, workspace=str(workspace), session_key=session_key)
    claimed_at = attempts.get(tx, attempt_id)["claimed_at"]
    more = {"workspace": str(workspace), "branch": branch_at(tx, plan, workspace), "plan": plan}
    brief |= more | {"claimed_at": claimed_at, "session_key": session_key}
    return brief | resuming.chosen(tx, brief, agent)


def _agent_of(settings: Settings, brief: dict[str, Any]) -> AgentConfig | None:
    """The agent as it is configured; for a heartbeat with that one's model. None: it is in the configuration no more."""
    agent = settings.agents.get(brief["agent"])
    model = brief["heartbeat"]["model"] if brief["heartbeat"] is not None else None
    return agent.with_model(model) if agent is not None and model else agent


def _session(tx: Tx, brief: dict[str, Any], agent: AgentConfig, board_id: str) -> SessionKey:
    """The conversation the attempt runs in, as the agent's session_scope or its heartbeat says."""
    if brief["heartbeat"] is not None:
        return _of_heartbeat(tx, brief, agent)
    task = get(tx, brief["task"]["id"])
    return of_work(
        agent.session_scope, agent.known_as(brief["agent"]), board_id, project=task["project_id"], task=task["id"],
        attempt=brief["attempt"], slot=task["slot_id"],
    )  # fmt: skip


def _of_heartbeat(tx: Tx, brief: dict[str, Any], agent: AgentConfig) -> SessionKey:
    """All heartbeats of the agent in one conversation, or one for each attempt: its time, and its number against a second."""
    known = agent.known_as(brief["agent"])
    if not brief["heartbeat"]["isolated_session"]:
        return key(Kind.HEARTBEAT, known)
    claimed = from_text(attempts.get(tx, brief["attempt_id"])["claimed_at"])
    return key(Kind.HEARTBEAT, known, at_ms=int(claimed.timestamp() * 1000), sequence=brief["attempt_id"])


def _ack(brief: dict[str, Any], agent: AgentConfig) -> str | None:
    """What the attempt answers that is only woken; a heartbeat and a review are told in full."""
    return agent.ack if brief["role"] == "executor" and brief["heartbeat"] is None else None


def _told(prompt: Prompt, brief: dict[str, Any]) -> dict[str, Any]:
    """The data of the event `spawned`: which templates the prompt was made from, and whose session it goes on with."""
    changed = [source.source for source in prompt.sources if source.source != OURS]
    templates = {"template": (changed or [OURS])[0], "templates": [source._asdict() for source in prompt.sources]}
    return {**templates, **brief.get("session", {})}


def _program(word: str) -> str:
    """The absolute path of a program, found in our PATH: the agent's own PATH may be another."""
    if "/" in word:
        return word
    found = shutil.which(word)
    if found is None:
        raise SpawnError("spawn_failed", f"the program {word!r} is not in PATH: install it, or give its path in argv")
    return found


def _make_directory(directory: Path) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def _write(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file of the attempt, for this user only from its first byte."""
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def last_words(directory: Path, most: int = TAIL_BYTES) -> str:
    """The end of an attempt's stderr and stdout, tokens masked."""
    parts = []
    for name in ("stdout.log", "stderr.log"):
        text = end_of(directory / name, most // 2)
        if text.strip():
            parts.append(f"{name}:\n{text.strip()}")
    return redact("\n".join(parts))


def last_line(directory: Path) -> str:
    """The last line an attempt wrote to stderr, cut and without tokens; empty when there is none."""
    lines = [line.strip() for line in end_of(directory / "stderr.log", TAIL_BYTES).splitlines() if line.strip()]
    return redact(lines[-1])[:200] if lines else ""
