"""Templates of the operator's own: which one counts, what is refused before a start, what is told when one breaks."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from orchestrator.cli import cli
from prompts import PromptError, samples
from prompts.brief import Brief
from prompts.overrides import Reader, check_folder
from prompts.render import compose, render
from prompts.shelf import names
from prompts.variables import BRIEF, MEANINGS, values
from tests.daemon import House, until
from tests.test_prompts import prompt

SEED = [
    "project_id",
    "task_id",
    "title",
    "description",
    "task_type",
    "priority",
    "must_haves",
    "agent_id",
    "api_host",
    "api_port",
    "current_status",
    "retry_context",
]
PATHS = {"curl_conf": "/s/curl.conf", "bb": "/s/bb", "workspace": "/w"}
ENOUGH = "{{ bb }} start\n"  # the least an agent must be told


def written(folder: Path, **files: str) -> Path:
    """A folder of templates; in a name, `__` is a slash."""
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.md.j2"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return folder


def made(folder: Path, **changes: Any) -> str:
    brief: dict[str, Any] = dict(samples.smallest())
    task = {name: changes.pop(name) for name in list(changes) if name in brief["task"]}
    brief = brief | {"agent": "ada", "project": "demo"} | changes | {"task": brief["task"] | task}
    return render(brief, base_url="http://127.0.0.1:8083", tail=None, folder=folder, **PATHS)


def problems(folder: Path, *, ada: Reader = Reader()) -> list[str]:  # noqa: B008 - frozen
    return check_folder(folder, {"ada": ada}, ["demo"])


def problem(folder: Path) -> str:
    [found] = problems(folder)
    return found


# --- which one counts ---------------------------------------------------------------------------------------------


def test_the_most_special_file_counts(tmp_path: Path) -> None:
    seen = []
    for name in ("executor", "projects__demo__executor", "agents__ada__executor"):
        written(tmp_path, **{name: f"{name} {ENOUGH}"})
        seen.append(made(tmp_path).split()[0])

    assert seen == ["executor", "projects__demo__executor", "agents__ada__executor"]
    assert made(tmp_path, agent="eve").startswith("projects__demo")
    assert made(tmp_path, agent="eve", project="other").startswith("executor")


def test_without_a_file_of_that_name_ours_counts(tmp_path: Path) -> None:
    written(tmp_path, agents__eve__executor="x " + ENOUGH)

    assert made(tmp_path).startswith("You are the agent `ada`.")


def test_a_part_can_be_stood_in_for_alone(tmp_path: Path) -> None:
    written(tmp_path, more="## Rules of this house\n")

    text = made(tmp_path)

    assert "## Rules of this house" in text
    assert "### Step 1" in text
    assert "If the API does not answer" not in text


def test_ours_can_be_extended_and_parts_included(tmp_path: Path) -> None:
    written(
        tmp_path,
        executor='{% extends "ours/executor.md.j2" %}\n{% block more %}RULES\n{{ super() }}{% endblock %}\n',
        wake='{% include "steps.md.j2" %}{{ ack }}',
    )

    text = made(tmp_path)

    assert "RULES" in text
    assert "If the API does not answer" in text
    assert problems(tmp_path) == []


def test_ours_as_it_is_and_through_a_folder_are_the_same(tmp_path: Path) -> None:
    end = r"END_[0-9a-f]{16}"
    import re

    assert re.sub(end, "", made(tmp_path, agent="a")) == re.sub(end, "", prompt()).replace(
        "/s/attempts/1/curl.conf", "/s/curl.conf"
    ).replace("/s/attempts/1/bb", "/s/bb").replace("/s/attempts/1/spool", "/s/spool").replace(
        "/s/workspaces/demo/1", "/w"
    )


def test_a_change_counts_from_the_next_rendering_on(tmp_path: Path) -> None:
    written(tmp_path, executor="one " + ENOUGH)
    first = made(tmp_path)
    written(tmp_path, executor="two " + ENOUGH)

    assert (first[:3], made(tmp_path)[:3]) == ("one", "two")


def test_which_texts_were_used_is_told(tmp_path: Path) -> None:
    written(tmp_path, projects__demo__more="x\n")

    sources = compose(
        {**samples.smallest(), "agent": "ada"}, base_url="http://h", tail=None, folder=tmp_path, **PATHS
    ).sources  # fmt: skip

    assert [(each.name, each.source) for each in sources] == [
        ("executor.md.j2", "ours"),
        ("more.md.j2", "projects/demo/more.md.j2"),
    ]
    assert all(len(each.sha256) == 64 for each in sources)


# --- variables ----------------------------------------------------------------------------------------------------


def test_the_table_of_variables_is_what_a_template_gets() -> None:
    given = values(samples.smallest(), base_url="http://h:9", tail=None, ack="", **PATHS)

    assert set(given) == set(MEANINGS)
    assert set(Brief.__annotations__) <= set(BRIEF)


def test_the_names_of_the_seed_are_there_with_their_defaults(tmp_path: Path) -> None:
    written(tmp_path, executor=ENOUGH + "".join(f"{name}={{{{ {name} }}}}\n" for name in SEED))

    text = made(tmp_path, id=7, task_type="", title="T")

    for line in (
        "project_id=demo", "task_id=7", "title=T", "description=```data\n(none)\n```", "task_type=general", "priority=5",
        "must_haves=```data\n(none)\n```", "agent_id=ada", "api_host=127.0.0.1", "api_port=8083", "current_status=claimed",
        "retry_context=\n",
    ):  # fmt: skip
        assert line in text


def test_a_retry_has_its_context_in_a_fence(tmp_path: Path) -> None:
    written(tmp_path, executor=ENOUGH + "{{ retry_context }}")

    text = made(tmp_path, history=[samples.former(1, "no ``` disk")])

    assert "````data\nAttempt 1 by a ended" in text


@pytest.mark.parametrize(("url", "port"), [("http://h", "80"), ("https://h/board", "443"), ("http://[::1]:9", "9")])
def test_the_port_of_an_address_without_one_is_its_schemes(tmp_path: Path, url: str, port: str) -> None:
    written(tmp_path, executor=ENOUGH + "<{{ api_port }}>")

    text = render(dict(samples.smallest()), base_url=url, tail=None, folder=tmp_path, **PATHS)

    assert f"<{port}>" in text


# --- what is refused before a start -------------------------------------------------------------------------------

BAD = {
    "syntax": ({"executor": "ok\n{% if %}\n"}, "executor.md.j2, line 2: "),
    "variable": ({"executor": ENOUGH + "\n{{ titel }}"}, "executor.md.j2, line 3: nobody knows 'titel'"),
    "hidden variable": ({"steps": "{% if answer %}{{ moon }}{% endif %}"}, "steps.md.j2, line 1: nobody knows 'moon'"),
    "attribute": ({"executor": ENOUGH + "{{ task.titel }}"}, "executor.md.j2, line 2: 'dict object' has no attribute"),
    "filter": ({"executor": ENOUGH + "{{ title | shout }}"}, "executor.md.j2, line 2: No filter named 'shout'"),
    "template": ({"executor": ENOUGH + '{% include "none.md.j2" %}'}, "line 2: 'none.md.j2' cannot be included"),
    "file": ({"executor": ENOUGH + '{% include "/etc/passwd" %}'}, "line 2: '/etc/passwd' cannot be included"),
    "outside": ({"executor": ENOUGH + '{% include "../secret" %}'}, "line 2: '../secret' cannot be included"),
    "late name": ({"executor": ENOUGH + "{% include title %}"}, "line 2: a name that is only known later"),
    "commands": ({"executor": "Do {{ title }}."}, "the agent is never told how to report"),
    "commands of an agent": ({"agents__ada__executor": "Do it."}, "agents/ada/executor.md.j2: the agent is never told"),
    "ack": ({"wake": ENOUGH}, "wake.md.j2: the agent is never told to answer with WAKEUP_OK"),
    "division": ({"executor": ENOUGH + "{{ 1 / 0 }}"}, "executor.md.j2, line 2: ZeroDivisionError"),
    "recursion": ({"executor": ENOUGH + '{% include "executor.md.j2" %}'}, "RecursionError"),
    "sandbox": ({"executor": ENOUGH + "{{ ''.__class__.__mro__ }}"}, "line 2: SecurityError"),
    "agent": ({"agents__eve__executor": ENOUGH}, "there is no agent eve (known: ada)"),
    "project": ({"projects__other__executor": ENOUGH}, "there is no project other (known: demo)"),
    "name": ({"executer": ENOUGH}, "there is no template of this name: known are"),
    "depth": ({"agents__executor": ENOUGH}, "no template is looked for there"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_template_is_found_with_its_place(tmp_path: Path, case: str) -> None:
    files, told = BAD[case]
    written(tmp_path, **files)

    found = problem(tmp_path)

    assert found.startswith(str(tmp_path))
    assert told in found


def test_every_sort_of_badness_has_its_own_sentence(tmp_path: Path) -> None:
    found = [problem(written(tmp_path / case, **files)).split(": ", 1)[1] for case, (files, _) in BAD.items()]

    assert len({sentence[:40] for sentence in found}) >= len(BAD) - 2  # two names, two agents without commands


def test_a_wrong_suffix_is_found_and_what_begins_with_a_dot_is_not(tmp_path: Path) -> None:
    (tmp_path / "executor.md").write_text("x")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("x")
    (tmp_path / ".executor.md.j2.swp").write_bytes(b"\xff")

    assert problem(tmp_path).startswith(f"{tmp_path}/executor.md: there is no template of this name")


def test_what_is_not_text_is_found_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "executor.md.j2").write_bytes(b"one\n\xff\n")

    assert "executor.md.j2, line 2: it is not UTF-8 (byte 4)" in problem(tmp_path)


@pytest.mark.parametrize("target", ["file", "folder"])
def test_a_link_that_leads_out_is_refused(tmp_path: Path, target: str) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "templates"
    written(outside, executor=ENOUGH)
    (folder / "agents").mkdir(parents=True)
    if target == "file":
        (folder / "executor.md.j2").symlink_to(outside / "executor.md.j2")
    else:
        (folder / "agents" / "ada").symlink_to(outside)

    found = " ".join(problems(folder))

    assert "outside of" in found or "no template is looked for there" in found
    with pytest.raises(PromptError, match="outside of"):
        made(folder)


def test_a_link_that_leads_nowhere_is_no_fall_back_on_ours(tmp_path: Path) -> None:
    (tmp_path / "executor.md.j2").symlink_to(tmp_path / "gone")

    assert "cannot be read" in problem(tmp_path)
    with pytest.raises(PromptError, match="cannot be read"):
        made(tmp_path)


def test_a_folder_that_is_not_there_is_found(tmp_path: Path) -> None:
    assert "is not a folder: make it" in problem(tmp_path / "none")


def test_an_agent_that_never_calls_back_needs_no_commands(tmp_path: Path) -> None:
    written(tmp_path, agents__ada__executor="Print the answer to {{ description }}.")

    assert problems(tmp_path, ada=Reader(reports=False)) == []
    assert len(problems(tmp_path)) == 1


def test_the_agents_own_word_is_what_its_wake_up_must_say(tmp_path: Path) -> None:
    written(tmp_path, agents__ada__wake=ENOUGH + "Say WAKEUP_OK.")

    assert problems(tmp_path) == []
    assert "to answer with DONE" in problems(tmp_path, ada=Reader(ack="DONE"))[0]


def test_a_token_in_a_template_reaches_no_prompt(tmp_path: Path) -> None:
    written(tmp_path, executor=ENOUGH + samples.TOKEN)

    assert samples.TOKEN not in made(tmp_path)


def test_every_template_of_ours_may_be_copied_and_used(tmp_path: Path) -> None:
    from prompts.shelf import HERE

    for name in names():
        (tmp_path / name).write_text((HERE / name).read_text())

    assert problems(tmp_path) == []


# --- from outside -------------------------------------------------------------------------------------------------

CONFIG = '[api]\nport = 0\n[agents.ada]\nargv = ["true"]\n[prompts]\ntemplates = "templates"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    for name in [name for name in os.environ if name.startswith("ORCH_")]:
        monkeypatch.delenv(name)
    (tmp_path / "orchestrator.toml").write_text(CONFIG)
    return tmp_path / "templates"


def test_check_and_run_refuse_a_bad_template_and_make_no_board(folder: Path) -> None:
    written(folder, executor="{{ titel }}")

    checked, ran = (CliRunner().invoke(cli, words) for words in (["check"], ["run", "--once"]))

    told = f"{folder}/executor.md.j2, line 1: nobody knows 'titel'; docs/templates.md lists the variables"
    assert told in checked.stdout
    assert (checked.exit_code, ran.exit_code) == (2, 2)
    assert ran.stderr == f"orchestrator: {told}\n"
    assert not (folder.parent / "board.db").exists()


def test_check_is_content_with_a_good_folder(folder: Path) -> None:
    written(folder, more="Be brief.\n")

    assert f"templates        {folder}" in CliRunner().invoke(cli, ["check"]).stdout


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "house", prompts={"templates": "templates"})
    yield house
    house.ends()


HAND_IN = 'bb start; grep -m1 -o "RULE [a-z]*" "$directory/prompt.md" | bb output other rule -; bb submit\n'


def test_a_daemon_uses_the_file_of_the_moment_and_tells_which(house: House) -> None:
    house.agent("ada", HAND_IN, policy={"backoff_seconds": 0.0})
    templates = written(house.folder / "templates", more="RULE one\n")
    house.start()

    first = house.post("ada")
    house.reaches(first, "done")
    written(templates, agents__ada__more="RULE two\n")
    second = house.post("ada")
    house.reaches(second, "done")

    contents = [house.value("SELECT content FROM outputs WHERE task_id = :task", task=task) for task in (first, second)]
    assert contents == ["RULE one\n", "RULE two\n"]
    told = [json.loads(house.events(task, "spawned")[0]["data"])["template"] for task in (first, second)]
    assert told == ["more.md.j2", "agents/ada/more.md.j2"]
    assert "(template=agents/ada/more.md.j2)" in house.call("show", str(second)).stdout


def test_a_file_that_went_bad_stops_the_attempt_uncharged_and_not_silently(house: House) -> None:
    house.agent("ada", HAND_IN)
    templates = written(house.folder / "templates", more="RULE one\n")
    house.start()
    written(templates, more="RULE one {{ moon }}\n")

    task = house.post("ada")
    until(lambda: house.outcomes(task)[:1] not in ([], [None]))

    attempt = house.attempts(task)[0]
    assert attempt["outcome"] == "prompt_failed"
    assert "templates/more.md.j2, line 1: 'moon' is undefined" in attempt["detail"]
    assert house.task(task)["status"] == "pending"


def test_which_file_it_was_is_known_even_when_the_daemon_died_before_it_was_told(house: House) -> None:
    house.agent("ada", HAND_IN.replace("bb submit", "until [ -e go ]; do sleep 0.02; done; bb submit"))
    written(house.folder / "templates", more="RULE one\n")
    house.start()
    task = house.post("ada")
    until(lambda: house.task(task)["status"] == "working")
    house.kill()
    with closing(sqlite3.connect(house.board)) as board, board:  # as it was a moment earlier: started, and not yet told
        board.execute("UPDATE attempts SET spawned_at = NULL")

    house.start()
    until(lambda: len(house.events(task, "spawned")) == 2)
    house.let_go(task)
    house.reaches(task, "done")

    first, again = (event["data"] for event in house.events(task, "spawned"))
    assert json.loads(first)["template"] == "more.md.j2"
    assert json.loads(again) == json.loads(first)
