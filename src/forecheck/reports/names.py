"""Names of files and anchors that are made of what a user calls things."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any


def plain(name: Any) -> str:
    """A name that may stand in an address and in a file's name."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", str(name))[:60].strip("-.") or "unnamed"


def distinct(names: Sequence[str]) -> list[str]:
    """Names without doubles, upper and lower case being one: some file systems do not tell them apart."""
    taken: set[str] = set()
    found = []
    for name in names:
        number, free = 1, name
        while free.lower() in taken:
            number += 1
            free = f"{name}-{number}"
        taken.add(free.lower())
        found.append(free)
    return found
