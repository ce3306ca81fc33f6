"""The shape of a brief: everything `blackboard.briefs.brief` knows about an attempt that its prompt may tell.

Types only. A brief holds values, never template text, and never a token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict


class Task(TypedDict):
    """The task itself; `data` is the JSON object of the slot or the post."""

    id: int
    title: str
    description: str
    task_type: str
    priority: int
    must_haves: str
    status: str
    due_at: str
    data: Mapping[str, object]


class Check(TypedDict):
    """What is run, or looked for, when the task is handed in: `command` or `path`. `problem`: why it is neither."""

    title: str
    command: str | None
    path: str | None
    problem: str | None
    seconds: float | None
    min_bytes: int | None


class Limits(TypedDict):
    """Seconds."""

    wall_seconds: float
    idle_seconds: float
    startup_seconds: float


class Output(TypedDict, total=False):
    """An output as others see it; `content_path` only for the outputs of a task that this one needs."""

    type: str
    title: str
    summary: str
    content_path: str | None


class Former(TypedDict):
    """An attempt that has ended. `detail` is the agent's or the monitor's sentence, `remark` a reviewer's, or what a check found."""

    number: int
    agent: str
    outcome: str
    meaning: str
    detail: str | None
    exit_code: int | None
    exit_signal: int | None
    ended_at: str | None
    outputs: Sequence[Output]
    remark: str | None
    remark_of_check: bool


class HandedIn(TypedDict):
    """An output under review: its `content`, perhaps only its beginning (`cut`), or its `file`, or neither."""

    id: int
    type: str
    title: str
    summary: str
    size: int
    sha256: str
    content: str | None
    cut: bool
    file: str | None


class Work(TypedDict):
    """What a reviewer looks at: the attempt that handed in. `left_out`: how many outputs are not in the list."""

    number: int
    agent: str
    workspace: str | None
    detail: str | None
    outputs: Sequence[HandedIn]
    left_out: int


class Comment(TypedDict):
    author: str
    body: str
    created_at: str


class Relative(TypedDict, total=False):
    """A child, the parent, or a needed task; only the last has outputs."""

    id: int
    title: str
    status: str
    outputs: Sequence[Output]


class Heartbeat(TypedDict):
    """What a heartbeat is told: its checklist, what is asked in place of our own sentence, and the word for "nothing to tell".

    `light_context`: only the checklist and how to report. `model`: null: the agent's own. `ack_max_chars`: how much may stand beside the word.
    """

    checklist: str
    prompt: str
    ack_word: str
    ack_max_chars: int
    light_context: bool
    isolated_session: bool
    model: str | None


class Brief(TypedDict):
    """`history` oldest first; `question` and `answer` are those of the last block; `work` only for a reviewer,
    `heartbeat` only for a heartbeat.

    `attempt` is the number on the task, of which `reviews` before it were reviews.
    """

    project: str
    project_title: str
    task: Task
    agent: str
    role: str
    branch: str | None
    attempt: int
    attempt_id: int
    reviews: int
    max_tries: int
    max_review_tries: int
    checks: Sequence[Check]
    verified: bool
    needs_output: bool
    limits: Limits
    question: str | None
    answer: str | None
    history: Sequence[Former]
    comments: Sequence[Comment]
    children: Sequence[Relative]
    parent: Relative | None
    needs: Sequence[Relative]
    work: Work | None
    heartbeat: Heartbeat | None
