"""The keys of `[api]`: where agents and people reach the board, and what it takes of them."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from orchestrator.config_types import MOST, File, Part, SomeSeconds


class Api(Part):
    """Where agents and people reach the board."""

    host: str = "127.0.0.1"
    port: int = Field(8083, ge=0, le=65535)  # 0: any free one
    public_base_url: str | None = Field(None, pattern=r"^https?://[^/\s?#@]+(/[^\s?#]*)?$")
    max_body_bytes: int = Field(8 * 1024 * 1024, ge=1024, le=MOST)
    head_seconds: SomeSeconds = 10
    max_connections: int = Field(500, ge=1, le=MOST)
    max_upload_bytes: int = Field(256 * 1024 * 1024, ge=0, le=2**53)
    tls_cert: File | None = None
    tls_key: File | None = None
    allow_insecure_bind: bool = False
    calendar_open_to: list[Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[!-~]+$")]] = Field(
        default_factory=list
    )

    @field_validator("public_base_url")
    @classmethod
    def _no_slash(cls, url: str | None) -> str | None:
        try:
            urlsplit(url or "").port  # noqa: B018 - it is read only when it is asked for
        except ValueError as error:
            raise ValueError(f"is no address: {error}") from None
        return url.rstrip("/") if url else None

    @model_validator(mode="after")
    def _is_safe(self) -> Api:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together: set both or neither")
        if not self.is_loopback and not self.tls_cert and not self.allow_insecure_bind:
            raise ValueError(
                f"host {self.host} is reachable from other machines and tokens would travel in the clear: set tls_cert "
                "and tls_key, or allow_insecure_bind = true where something else encrypts"
            )
        return self

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        return self.host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", self.host) is not None

    def local_url(self, port: int | None = None) -> str:
        """The address on this machine, for the port really bound."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(self.host, self.host)  # noqa: S104
        name = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls_cert else 'http'}://{name}:{self.port if port is None else port}"
