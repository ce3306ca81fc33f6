"""A template's fault in one sentence: the file, the line, what is wrong, what to do.

Only words about errors; renders nothing.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import TemplateNotFound, TemplateSyntaxError, UndefinedError

from prompts.shelf import HERE, SUFFIX

_TO_DO: dict[type, str] = {UndefinedError: "; docs/templates.md lists the variables"}


def sentence(error: BaseException, name: str) -> str:
    """`/dir/executor.md.j2, line 3: 'x' is undefined; …`. `name`: the template that was asked for."""
    file, line = _place(error)
    where = f"{shown(file) if file else f'prompts/{name}'}" + (f", line {line}" if line else "")
    return f"{where}: {_words(error)}"


def shown(file: str) -> str:
    """A template's file as people know it: ours by its place in the sources."""
    path = Path(file)
    return f"prompts/{path.name}" if path.parent == HERE else file


def _words(error: BaseException) -> str:
    kind = type(error).__name__
    if isinstance(error, TemplateSyntaxError | TemplateNotFound | UndefinedError):
        return f"{error.message}{_TO_DO.get(type(error), '')}"
    return f"{kind}: {error}"


def _place(error: BaseException) -> tuple[str | None, int | None]:
    """The innermost template and line that an error came from."""
    if isinstance(error, TemplateSyntaxError):
        return error.filename or error.name, error.lineno
    file, line, step = None, None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename.endswith(SUFFIX):
            file, line = step.tb_frame.f_code.co_filename, step.tb_lineno
        step = step.tb_next
    return file, line
