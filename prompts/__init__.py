"""What an agent is told, and the two small tools it is given: templates, one renderer, `curl` configuration, `bb`.

Knows the states and nothing else of the blackboard: no board, no process, no HTTP. Writes no file.

    render          a brief → the prompt of one attempt
    variables       every name a template may use, and its values
    shelf           which file a template's name stands for: the operator's or ours
    needed          what no prompt may leave out
    mistakes        a template's fault in one sentence
    checking        renders every template of ours against the samples
    overrides       the same for an operator's folder of templates
    brief           the shape of a brief
    quoting         text of others made harmless: cleaned, cut, fenced
    history         what was tried before, within bounds
    samples         the smallest and the largest brief
    kit             the text of `curl.conf` and of `bb`
    *.md.j2         the words themselves; reviewed like code
    bb.sh           the body of `bb`
"""

from prompts.checking import check
from prompts.kit import bb_script, curl_config
from prompts.render import PromptError, render

__all__ = ["PromptError", "bb_script", "check", "curl_config", "render"]
