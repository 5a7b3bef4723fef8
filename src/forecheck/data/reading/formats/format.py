"""What a binary file format is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from forecheck.data.source import Source


@dataclass(frozen=True)
class Format:
    """A binary file format that holds one table.

    Attributes:
        name: what messages call it.
        magic: the first bytes of every such file, at most eight.
        suffixes: endings of names, in lower case, that promise this format; others may have it, too.
        read: gives the table of a file's bytes; `DataError` if they are damaged, or if the table is larger than memory.
    """

    name: str
    magic: bytes
    suffixes: tuple[str, ...]
    read: Callable[[bytes, Source], pa.Table]
