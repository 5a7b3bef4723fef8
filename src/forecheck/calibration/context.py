"""What every part of a calibration is handed: how much to do, and with what."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from forecheck.errors import UsageError
from forecheck.trials.means import Means
from forecheck.trials.record import Key


@dataclass(frozen=True)
class Scale:
    """How much a calibration does.

    Attributes:
        name: as given on the command line.
        simulations: repetitions of simulated tests.
        bootstraps: repetitions of the bootstrap, which costs far more.
        decisions: repetitions of simulated decisions.
        negative: fresh panels of the negative control.
        real_seeds: fits on real data, 0 for none.
        splits: ways of setting three of these against three others.
        positive: data seeds of every positive control.
        events: data seeds of the event set.
        event_windows: windows of each of them.
        equivalence: panels on which equal models are compared.
        settings: repetitions of every setting of an audit.
    """

    name: str
    simulations: int
    bootstraps: int
    decisions: int
    negative: int
    real_seeds: int
    splits: int
    positive: int
    events: int
    event_windows: int
    equivalence: int
    settings: int


SCALES = {
    scale.name: scale
    for scale in (
        Scale("quick", 1000, 200, 500, 40, 6, 10, 3, 1, 10_000, 5, 200),
        Scale("full", 10_000, 1000, 4000, 200, 12, 1000, 10, 2, 12_000, 20, 3000),
    )
}


def find_scale(name: str) -> Scale:
    """A scale by name.

    Raises:
        UsageError: if there is none.
    """
    if name not in SCALES:
        raise UsageError(f"no budget is called {name!r}", f"Known: {', '.join(SCALES)}.")
    return SCALES[name]


@dataclass(frozen=True)
class Context:
    """Scale and means.

    Attributes:
        scale: how much to do.
        means: engine, and the store of all that is finished.
    """

    scale: Scale
    means: Means

    def report(self, part: str, done: int, total: int) -> None:
        """Report progress: of a part, so many repetitions of all.

        Args:
            part: name of the part.
            done: repetitions so far.
            total: repetitions in all.
        """
        self.means.watcher.part(part, done, total)

    def once(self, described: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """What is stored under a description; made and stored now if there is nothing.

        Args:
            described: everything that decides the value, as JSON types; the code of `make`'s module and of what it
                imports is added: what other code gave does not count.
            make: gives the value, as JSON types; a function of a module, or a `partial` of one.
        """
        module = (make.func if isinstance(make, partial) else make).__module__
        words = ", ".join(f"{name} {value}" for name, value in described.items() if name not in ("part", "trials"))
        key = Key.of("calibration", f"{described.get('part', '')}: {words}", described, module)
        record = self.means.store.read(key.kind, key.address)
        if record is not None:
            return record.value
        value = json.loads(json.dumps(make()))
        self.means.store.write(key, value)
        return value
