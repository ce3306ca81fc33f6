"""Sizes in bytes, as people write and read them: "512 MiB", "2.4 GiB". Pure."""

from __future__ import annotations

import re

UNITS = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
UNITS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}


def from_words(text: str) -> int:
    """The bytes that a text names; ValueError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text, re.ASCII)
    if found is None or found[2] not in UNITS:
        raise ValueError(f'{text[:80]!r} is no size: write bytes, or a text such as "512 MiB" or "2 GiB"')
    return round(float(found[1]) * UNITS[found[2]])


def in_words(size: float) -> str:
    """At most four digits and the unit that fits."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if abs(size) < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} TiB"
