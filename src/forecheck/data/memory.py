"""Whether data fit into memory."""

from __future__ import annotations

import os
from pathlib import Path

from forecheck.data.source import Source
from forecheck.errors import DataError


def available_memory() -> int | None:
    """Bytes that can be used without swapping, None if the system does not tell."""
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def check_memory(size: int, factor: int, source: Source) -> None:
    """Refuse data that cannot be held.

    Args:
        size: of the data, in bytes.
        factor: peak memory of reading them, in multiples of the size.
        source: what the message calls the data.

    Raises:
        DataError: if more is needed than is free; the message names both.
    """
    free = available_memory()
    needed = size * factor
    if free is not None and needed > free:
        raise DataError(
            f"{source.name} is too large for this machine: {_size(size)} of data need about {_size(needed)} of memory, "
            f"{_size(free)} are free",
            "Cut the file: fewer columns, or a shorter stretch of time.",
        )


def _size(number: int) -> str:
    power = min((len(str(number)) - 1) // 3, 4)
    return f"{number / 1000**power:.4g} {('bytes', 'kB', 'MB', 'GB', 'TB')[power]}"
