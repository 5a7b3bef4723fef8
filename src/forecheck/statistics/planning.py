"""What would decide an open question: more seeds, more test windows, both, or nothing realistic."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from forecheck.statistics.means import Mean

Binds = Literal["nothing", "seeds", "windows", "both", "effect"]


@dataclass(frozen=True)
class Needs:
    """What keeps a question open, and how much of it would close it.

    Attributes:
        binds: `seeds`, `windows` or `both` of them keep the interval wide; `effect` lies too near the margin for any
            realistic amount of either; `nothing` if the question is decided.
        seeds: so many in all would decide it; None where they play no part or do not suffice.
        windows: so many times the present windows would decide it; likewise.
        sentence: the same in words.
    """

    binds: Binds
    seeds: int | None
    windows: float | None
    sentence: str


def what_would_decide(
    mean: Mean,
    decides: Callable[[Mean], bool],
    *,
    most_seeds: int = 50,
    most_windows: float = 64.0,
    folds: int = 1,
    reference: float = 1.0,
    level: float = 0.95,
) -> Needs:
    r"""The least amount of seeds, of windows, or of both that would decide a question if the mean stayed as it is.

    .. math:: \mathrm{SE}^2(S, f) = s_a^2 / S + \Omega / (f n)

    Where either would do, the one that has to grow by less binds. The true effect is not where the mean is, so about
    half of the questions are decided by as much as is named here, fewer if the truth lies near the margin.

    Args:
        mean: as it is now.
        decides: whether a mean with this uncertainty decides the question; must stay true as the uncertainty shrinks.
        most_seeds: what counts as realistic.
        most_windows: likewise, as a multiple of the present windows.
        folds: test parts of equal length that the windows come from now.
        reference: loss that 100 % stands for in the sentence.
        level: of the interval in the sentence.
    """
    if decides(mean):
        return Needs("nothing", None, None, "it is decided")
    seeds = _fewest_seeds(mean, decides, most_seeds)
    windows = _fewest_windows(mean, decides, most_windows)
    if seeds is not None and (windows is None or seeds / mean.seeds <= windows):
        other = f"; so would {_windows(mean, windows, folds)}" if windows is not None else ""
        sentence = f"the spread between seeds binds: about {seeds} seeds (now {mean.seeds}) would decide it{other}"
        return Needs("seeds", seeds, windows, sentence)
    if windows is not None:
        bound = ""
        if mean.seeds > 1 and seeds is None:
            low, high = mean.extended(seeds=10**6).interval(level)
            bound = f"even with any number of seeds the interval stays ±{50 * (high - low) / reference:.2g} %; "
        other = f"; so would about {seeds} seeds (now {mean.seeds})" if seeds is not None else ""
        sentence = f"the test windows bind: {bound}{_windows(mean, windows, folds)} would decide it{other}"
        return Needs("windows", seeds, windows, sentence)
    both = _fewest_of_both(mean, decides, most_seeds, most_windows)
    if both is not None:
        seeds, windows = both
        sentence = (
            f"seeds and test windows bind: about {seeds} seeds (now {mean.seeds}) and "
            f"{_windows(mean, windows, folds)} would decide it together"
        )
        return Needs("both", seeds, windows, sentence)
    seeds_too = f"{most_seeds} seeds and " if mean.seeds > 1 else ""
    return Needs(
        "effect",
        None,
        None,
        f"the effect lies so near the margin that not even {seeds_too}{most_windows:g} times the test windows would "
        "decide it",
    )


def _fewest_seeds(mean: Mean, decides: Callable[[Mean], bool], most: int, windows: float = 1.0) -> int | None:
    if mean.seeds < 2:
        return None
    counts = range(mean.seeds, most + 1)
    place = bisect_left(counts, True, key=lambda seeds: decides(mean.extended(seeds, windows)))
    return counts[place] if place < len(counts) else None


def _fewest_windows(mean: Mean, decides: Callable[[Mean], bool], most: float) -> float | None:
    """To one percent; what decides stays enough as the windows grow, so halving finds the least."""
    if not decides(mean.extended(windows=most)):
        return None
    low, high = 1.0, most
    while high / low > 1.01:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if decides(mean.extended(windows=middle)) else (middle, high)
    return high


def _fewest_of_both(
    mean: Mean, decides: Callable[[Mean], bool], most_seeds: int, most_windows: float
) -> tuple[int, float] | None:
    """The pair with the least product, which is about what it costs."""
    if mean.seeds < 2 or not decides(mean.extended(most_seeds, most_windows)):
        return None
    steps = [most_windows ** (k / 24) for k in range(25)]
    found = [(_fewest_seeds(mean, decides, most_seeds, factor), factor) for factor in steps]
    return min(((s, f) for s, f in found if s is not None), key=lambda pair: pair[0] * pair[1])


def _windows(mean: Mean, factor: float, folds: int) -> str:
    """So many times the windows, with what there is now and what that is in folds."""
    now = [f"{mean.stretches:.0f} independent stretches"] if mean.stretches else []
    more = f"about {max(1.1, factor):.1f} times the test windows"
    if folds > 1:
        now.append(f"{folds} folds")
        more += f", {math.ceil(factor * folds)} folds,"
    return more + (f" (now {' of '.join(now)})" if now else "")
