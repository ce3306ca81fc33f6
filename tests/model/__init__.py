"""A model for real agent programs in tests: one loopback server that speaks four dialects, without a network.

It answers the first call of a run with one call of the program's own shell tool, and every later one with a last word.
Nothing is decided but by what the request holds, and by what the test orders.
"""

from tests.model.server import Model, model
from tests.model.turns import IN, LAST_WORD, OUT, Refusal, hand_in, wait_then_hand_in

__all__ = ["IN", "LAST_WORD", "OUT", "Model", "Refusal", "hand_in", "model", "wait_then_hand_in"]
