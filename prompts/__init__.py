"""What an agent is told, and the two small tools it is given: templates, one renderer, `curl` configuration, `bb`.

Knows the states and nothing else of the blackboard: no board, no process, no HTTP. Writes no file.

    render          a brief → the prompt of one attempt
    checking        renders every template against the samples
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
