"""Measurements as ratios against a baseline in the same run. Not tests: nothing here fails on a slow machine."""
