"""The ways by which a notice leaves: a task, a file, a command, openclaw, a webhook.

A way hands one message over, or says in a sentence why it could not. When it is asked, how often, and what becomes of the
notices is `orchestrator.noticing`, from the board.
"""
