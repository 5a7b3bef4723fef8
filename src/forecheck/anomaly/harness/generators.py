"""Draws of labels with a better and a worse prediction, a generator a property."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Bool

N, APART, AWAY, FAR = 120, 14, 6, 12
"""Points; least distance of two anomalies; how far false alarms are from any; and how far is far."""
_TRIES = 10_000


@dataclass(frozen=True, eq=False)
class Draw:
    """Labels with two predictions; for invariances both should be valued the same.

    Attributes:
        y: labels.
        good: the better prediction.
        bad: the worse one.
        other: labels of the worse one where they differ, as for a shift.
    """

    y: Bool[np.ndarray, "time"]
    good: Bool[np.ndarray, "time"]
    bad: Bool[np.ndarray, "time"]
    other: Bool[np.ndarray, "time"] | None = None


@dataclass(frozen=True)
class Property:
    """What a metric may be asked to reward.

    Attributes:
        name: short.
        claim: which prediction is the better, or what must make no difference.
        draw: makes one, or None if these labels have no room for it.
        invariance: both predictions must be valued the same.
    """

    name: str
    claim: str
    draw: Callable[[np.random.Generator], Draw | None]
    invariance: bool = False


Intervals = list[tuple[int, int]]


def _anomalies(rng: np.random.Generator, many: int | None = None) -> Intervals:
    """Two or three anomalies of 6 to 14 points, at least 14 apart."""
    many = many or int(rng.integers(2, 4))
    lengths = rng.integers(6, 15, many)
    spare = N - int(lengths.sum()) - APART * (many - 1)
    before = np.sort(rng.integers(0, spare + 1, many))
    starts = before + np.concatenate(([0], np.cumsum(lengths[:-1] + APART)))
    return [(int(a), int(a + size)) for a, size in zip(starts, lengths, strict=True)]


def _marked(intervals: Intervals) -> Bool[np.ndarray, "time"]:
    found = np.zeros(N, dtype=bool)
    for low, high in intervals:
        found[low:high] = True
    return found


def _within(rng: np.random.Generator, low: int, high: int) -> tuple[int, int]:
    """A random interval in another."""
    ends = np.sort(rng.choice(high - low + 1, 2, replace=False))
    return low + int(ends[0]), low + int(ends[1])


def _room(taken: Intervals, size: int, away: int) -> Bool[np.ndarray, "place"]:
    """Where an interval may begin that keeps more than `away` from all others."""
    free = np.ones(N - size + 1, dtype=bool)
    for low, high in taken:
        free[max(low - away - size, 0) : high + away] = False
    return free


def _placed(rng: np.random.Generator, taken: Intervals, size: int, away: int) -> tuple[int, int] | None:
    places = np.flatnonzero(_room(taken, size, away))
    if not len(places):
        return None
    low = int(rng.choice(places))
    return low, low + size


@dataclass(frozen=True)
class Base:
    """A random prediction: each anomaly is hit with probability 0.6, and there is a false alarm with 0.5."""

    anomalies: Intervals
    hits: dict[int, tuple[int, int]]
    false: Intervals

    @property
    def y(self) -> Bool[np.ndarray, "time"]:
        """Labels of the draw, one a row."""
        return _marked(self.anomalies)

    def marked(self, *more: tuple[int, int]) -> Bool[np.ndarray, "time"]:
        """The prediction, with more alarms."""
        return _marked([*self.hits.values(), *self.false, *more])

    def without(self, j: int) -> Base:
        """The same without its alarm in an anomaly."""
        return Base(self.anomalies, {i: each for i, each in self.hits.items() if i != j}, self.false)

    @property
    def missed(self) -> list[int]:
        """Anomalies that are not hit."""
        return [j for j in range(len(self.anomalies)) if j not in self.hits]


def _base(rng: np.random.Generator) -> Base:
    anomalies = _anomalies(rng)
    hits = {j: _within(rng, *each) for j, each in enumerate(anomalies) if rng.random() < 0.6}
    false = _placed(rng, anomalies, int(rng.integers(1, 4)), AWAY) if rng.random() < 0.5 else None
    return Base(anomalies, hits, [false] if false else [])


def _perfect(rng: np.random.Generator) -> Draw | None:
    base = _base(rng)
    return None if (base.marked() == base.y).all() else Draw(base.y, base.y, base.marked())


def _count(rng: np.random.Generator) -> Draw | None:
    base = _base(rng)
    if not base.missed or not base.marked().any():
        return None
    j = int(rng.choice(base.missed))
    return Draw(base.y, base.marked(_within(rng, *base.anomalies[j])), base.marked())


def _extent(rng: np.random.Generator) -> Draw | None:
    base = _base(rng)
    short = [j for j, (_, high) in base.hits.items() if high < base.anomalies[j][1]]
    if not short:
        return None
    j = int(rng.choice(short))
    low, high = base.hits[j]
    return Draw(base.y, base.marked((low, int(rng.integers(high + 1, base.anomalies[j][1] + 1)))), base.marked())


def _false_count(rng: np.random.Generator) -> Draw | None:
    base = _base(rng)
    more = _placed(rng, base.anomalies, int(rng.integers(1, 4)), AWAY)
    apart = more and all(more[0] > high or more[1] < low for low, high in base.false)
    return Draw(base.y, base.marked(), base.marked(more)) if more and apart and base.hits else None


def _false_length(rng: np.random.Generator) -> Draw | None:
    base = _base(rng)
    place = _placed(rng, [*base.anomalies, *base.false], 6, AWAY)
    if not place or not base.hits:
        return None
    return Draw(base.y, base.marked((place[0], place[0] + 2)), base.marked(place))


def _early(rng: np.random.Generator) -> Draw | None:
    base = _base(rng)
    j, size = int(rng.integers(len(base.anomalies))), int(rng.integers(1, 3))
    low, high = base.anomalies[j]
    first, second = np.sort(rng.choice(np.arange(low, high - size + 1), 2, replace=False)).tolist()
    rest = base.without(j)
    return Draw(base.y, rest.marked((first, first + size)), rest.marked((second, second + size)))


def _redundant(rng: np.random.Generator) -> Draw | None:
    base = _base(rng)
    j = int(rng.integers(len(base.anomalies)))
    low, high = base.anomalies[j]
    at = int(rng.integers(low, high - 5))
    rest = base.without(j)
    return Draw(base.y, rest.marked((at, at + 4)), rest.marked((at, at + 2), (at + 4, at + 6)))


def _false_redundant(rng: np.random.Generator) -> Draw | None:
    base = _base(rng)
    place = _placed(rng, [*base.anomalies, *base.false], 6, AWAY)
    if not place or not base.hits:
        return None
    at = place[0]
    return Draw(base.y, base.marked((at, at + 4)), base.marked((at, at + 2), (at + 4, at + 6)))


def _everything(rng: np.random.Generator) -> Draw | None:
    anomalies = _anomalies(rng)
    halves = _marked([(low, low + (high - low) // 2) for low, high in anomalies])
    return Draw(_marked(anomalies), halves, np.ones(N, dtype=bool))


def _near(rng: np.random.Generator) -> Draw | None:
    base = _base(rng)
    size, gap = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    away = _placed(rng, [*base.anomalies], size, FAR)
    missed = [j for j in base.missed if base.anomalies[j][0] - gap - size >= 0]
    if not away or not missed:
        return None
    rest = Base(base.anomalies, base.hits, [])
    end = base.anomalies[int(rng.choice(missed))][0] - gap + 1
    return Draw(base.y, rest.marked((end - size, end)), rest.marked(away)) if end - size >= 0 else None


def _shift(rng: np.random.Generator) -> Draw | None:
    base = _base(rng)
    y, p = base.y, base.marked()
    if y[-2:].any() or p[-2:].any() or not p.any():
        return None
    return Draw(y, p, np.roll(p, 2), np.roll(y, 2))


def _equal(rng: np.random.Generator) -> Draw | None:
    anomalies = _anomalies(rng, 2)
    (a, b), (c, d) = anomalies
    return None if b - a == d - c else Draw(_marked(anomalies), _marked([(a, b)]), _marked([(c, d)]))


PROPERTIES = (
    Property("perf", "predicting the labels themselves beats any other prediction", _perfect),
    Property("count", "an alarm in an anomaly missed so far is a gain", _count),
    Property("extent", "an alarm prolonged inside its anomaly is a gain", _extent),
    Property("fa#", "one more false alarm is a loss", _false_count),
    Property("fa-len", "a longer false alarm is a loss", _false_length),
    Property("early", "an alarm earlier in an anomaly beats the same alarm later", _early),
    Property("redun", "one alarm of 4 points in an anomaly beats two of 2 points", _redundant),
    Property("fa-red", "one false alarm of 4 points beats two of 2 points", _false_redundant),
    Property("all+", "the first half of each anomaly beats alarms everywhere", _everything),
    Property("near", "an alarm just before a missed anomaly beats the same alarm far from any", _near),
    Property("shift", "labels and alarms shifted by two steps have the same value", _shift, invariance=True),
    Property("ev-eq", "which of two anomalies of unequal length is found makes no difference", _equal, invariance=True),
)
"""In the order of tables."""


@lru_cache(maxsize=32)
def draws(place: int, many: int, seed: int) -> tuple[Draw, ...]:
    """Draws of the property at a place of `PROPERTIES`.

    Args:
        place: of the property in `PROPERTIES`.
        many: how many draws; fewer if the generator fails too often.
        seed: of the generator, together with `place`.
    """
    rng = np.random.default_rng([seed, place])
    found: list[Draw] = []
    for _ in range(_TRIES * many):
        if len(found) == many:
            break
        if (draw := PROPERTIES[place].draw(rng)) is not None:
            found.append(draw)
    return tuple(found)
