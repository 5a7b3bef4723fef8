"""Progress of anything that takes long: a function that is called with how much is done."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""Called with the share that is done in [0, 1] and a short word on what is going on."""


def within(progress: Progress | None, start: float, end: float) -> Progress | None:
    """Progress of a part of some work, reported as that of the whole.

    Args:
        progress: of the whole; None if nobody is interested.
        start: share of the whole that is done when the part begins.
        end: share that is done when it ends.
    """
    return None if progress is None else lambda done, word: progress(min(end, start + done * (end - start)), word)
