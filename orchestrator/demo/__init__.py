"""A board to watch: a built-in agent that does small true work, a desk that reviews it, and the demo's files.

Everything here is a customer of the product, not a part of it: the agent knows only its prompt, the desk only the
command line, and the board is made of a configuration and a slot file like any other.
"""
