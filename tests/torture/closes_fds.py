#!/usr/bin/env python3
"""Closes all its files, then ends with 4."""

import os

os.closerange(0, 64)
os._exit(4)
