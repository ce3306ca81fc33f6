"""Real agent programs for tests: got from their registries, told of a model of ours, alone with the loopback."""
