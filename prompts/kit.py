"""What an attempt's directory holds besides the prompt: the `curl` configuration and the `bb` helper, as text.

Writes no file: the spawner does, with mode 0600 and 0700. The only place besides the spawner's memory where a
token stands in clear is the text `curl_config` returns; `bb_script` never sees it.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

_TOKEN = re.compile(r"bbt_[A-Za-z0-9_-]+", re.ASCII)
_BODY = Path(__file__).with_name("bb.sh")

# fail-with-body came with release 7.76 of curl; an older one refuses the whole configuration.
_CURL = """\
# The right to report on one attempt. Keep it private; it dies with the attempt.
header = "Authorization: Bearer {token}"
silent
show-error
fail-with-body
globoff
noproxy = "127.0.0.1,localhost,::1"
connect-timeout = 5
max-time = 20
retry = 3
retry-connrefused
retry-max-time = 60
write-out = "\\n"
"""


def curl_config(token: str) -> str:
    """The `curl --config` file of one attempt. ValueError when the text is not a token: it would be a header."""
    if not _TOKEN.fullmatch(token):
        raise ValueError("this is not a token of the blackboard")
    return _CURL.format(token=token)


def bb_script(base_url: str, project: str, task: int | str, curl_conf: str) -> str:
    """The `bb` helper of one attempt. `base_url` without a slash at its end; `curl_conf` is an absolute path."""
    if not curl_conf.startswith("/"):
        raise ValueError(f"bb must work from any folder, so the path of the curl file must be absolute: {curl_conf}")
    constants = {"base": base_url.rstrip("/"), "project": project, "task": str(task), "conf": curl_conf}
    lines = [f"{name}={shlex.quote(value)}" for name, value in constants.items()]
    return "\n".join(["#!/bin/sh", *lines, "", _BODY.read_text(encoding="utf-8")])
