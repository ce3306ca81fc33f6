"""What each program must be told so that it asks a model of ours: its files under HOME, its variables, its words.

This is the operator's part; everything else is what our runners do by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

OFFERED = {
    "id": "M", "name": "M", "reasoning": False, "input": ["text"], "contextWindow": 200_000, "maxTokens": 8192,
    "cost": {"input": 1, "output": 2, "cacheRead": 0, "cacheWrite": 0},
}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """Of one program. `files`: their text, by the path under HOME."""

    model: str | None = "M"
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


def _codex(url: str) -> Told:
    text = f"""model_provider = "stub"
check_for_update_on_startup = false
[model_providers.stub]
name = "stub"
base_url = "{url}/v1"
env_key = "STUB_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 1
[analytics]
enabled = false
"""
    return Told(env={"STUB_KEY": "stub"}, files={".codex/config.toml": text})


def _claude(url: str) -> Told:
    return Told("claude-sonnet-4-5", env={"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "stub"})


def _opencode(url: str) -> Told:
    offered = {"M": {"name": "M", "limit": {"context": 200_000, "output": 8192}, "cost": {"input": 1, "output": 2}}}
    options = {"baseURL": f"{url}/v1", "apiKey": "stub"}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "stub", "options": options, "models": offered}
    told = {
        "provider": {"stub": provider}, "model": "stub/M", "small_model": "stub/M", "enabled_providers": ["stub"],
        "autoupdate": False, "share": "disabled", "permission": {"*": "allow"},
    }  # fmt: skip
    return Told("stub/M", files={".config/opencode/opencode.json": json.dumps(told)})


def _gemini(url: str) -> Told:
    told = {
        "security": {"auth": {"selectedType": "gemini-api-key"}}, "general": {"enableAutoUpdate": False},
        "privacy": {"usageStatisticsEnabled": False}, "telemetry": {"enabled": False},
        "tools": {"shell": {"enableInteractiveShell": False}},
    }  # fmt: skip
    env = {"GEMINI_API_KEY": "stub", "GOOGLE_GEMINI_BASE_URL": url}
    return Told("gemini-2.5-flash", env=env, files={".gemini/settings.json": json.dumps(told)})


def _pi(url: str) -> Told:
    provider = {"baseUrl": f"{url}/v1", "api": "openai-completions", "apiKey": "stub", "models": [OFFERED]}
    text = json.dumps({"providers": {"stub": provider}})
    once = json.dumps({"retry": {"provider": {"maxRetries": 0}}})  # else it waits for as long as a rate limit says
    return Told(args=("--provider", "stub"), files={".pi/agent/models.json": text, ".pi/agent/settings.json": once})


def _qwen(url: str) -> Told:
    env = {"OPENAI_API_KEY": "stub", "OPENAI_BASE_URL": f"{url}/v1", "OPENAI_MODEL": "M"}
    text = json.dumps({"security": {"auth": {"selectedType": "openai"}}})
    return Told(env=env, files={".qwen/settings.json": text})


def _mini(url: str) -> Told:
    return Told("openai/M", env={"OPENAI_API_KEY": "stub", "OPENAI_API_BASE": f"{url}/v1"})


TOLD: Mapping[str, Callable[[str], Told]] = {
    "codex": _codex, "claude": _claude, "opencode": _opencode, "gemini": _gemini, "pi": _pi, "qwen": _qwen,
    "mini-swe-agent": _mini,
}  # fmt: skip


def agent(name: str, url: str, binary: str) -> tuple[dict[str, Any], Mapping[str, str]]:
    """The agent's table in the configuration, and the files that must lie under HOME."""
    told = TOLD[name](url)
    program = {"binary": binary, "model": told.model, "args": list(told.args)}
    return {"runner": name, "program": program, "env": dict(told.env)}, told.files
