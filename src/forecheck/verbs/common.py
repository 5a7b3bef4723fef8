"""What every verb is handed: data in any form, and a folder of results."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from forecheck.cluster import Ray
from forecheck.data.load import load
from forecheck.data.panel import Panel
from forecheck.devices import read_device
from forecheck.errors import UsageError
from forecheck.forecasters.base import Forecaster
from forecheck.progress import Progress
from forecheck.training.parallel import met
from forecheck.trials.engines.base import Silent, Watcher
from forecheck.trials.engines.engine import Engine
from forecheck.trials.engines.pools import Workers
from forecheck.trials.means import Means
from forecheck.trials.store import Store

Names = str | Sequence[str]
"""One column, or several."""
Options = Mapping[str, Mapping[str, Any]]
"""By forecaster, options that differ from the defaults."""
# Editors offer the names; others are refused with the names that there are.
BudgetName = Literal["quick", "standard", "full"] | str  # noqa: PYI051
Units = Literal["standardised", "real"] | str  # noqa: PYI051
Shown = bool | Progress | Watcher | None
"""How progress is shown: True for a bar, a function of the share that is done and a word, or a watcher."""


def as_panel(data: Any, beside: Mapping[str, Any] | None = None) -> Panel:
    """A panel as it is; anything else that `load` takes is read.

    Args:
        data: a panel, or what `load` takes.
        beside: known columns and others beside the channels, as `load` takes them; a panel has its own.
    """
    asked = given(beside or {})
    return data if isinstance(data, Panel) and not asked else load(data, **asked)


def several(names: str | Iterable[str]) -> list[str]:
    """One name, or several, as a list."""
    return [names] if isinstance(names, str) else list(names)


def given(beside: Mapping[str, Any]) -> dict[str, Any]:
    """What was given of columns beside the channels; a name that is empty is none that may be passed over."""
    return {name: value for name, value in beside.items() if value is not None and not _is_none(value)}


def _is_none(value: Any) -> bool:
    return isinstance(value, tuple | list) and not value


def levels(level: Any) -> tuple[float, ...]:
    """Levels in percent, of one or several.

    Raises:
        UsageError: if one is no number.
    """
    found = (level,) if isinstance(level, str) or not hasattr(level, "__iter__") else tuple(level)
    try:
        return tuple(float(each) for each in found)
    except (TypeError, ValueError):
        raise UsageError(f"levels are percentages, got {level!r}", "Write level=[80, 95].") from None


def open_store(folder: Path | str | None) -> Store:
    """A store that can be written to, which is better known before the work than after it."""
    store = Store(folder)
    remedy = "Name another folder with --store, or in the environment variable FORECHECK_HOME."
    try:
        store.root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot keep results in {store.root}: {error.strerror}", remedy) from error
    if not os.access(store.root, os.W_OK | os.X_OK):
        raise UsageError(f"cannot keep results in {store.root}: no permission to write", remedy)
    if store.remote is not None:
        store.remote.check()
    return store


@contextmanager
def watching(progress: Shown) -> Iterator[Watcher]:
    """The watcher of progress while a `with` block runs."""
    if progress is True:
        from forecheck.progress.bar import Bar

        with Bar() as bar:
            yield bar
    elif isinstance(progress, Watcher):
        yield progress
    elif callable(progress):
        from forecheck.progress.called import Called

        yield Called(progress)
    else:
        yield Silent()


@contextmanager
def means_of(
    workers: Workers,
    store: Path | str | None,
    progress: Shown,
    models: Mapping[str, Forecaster] | None = None,
    device: str = "cpu",
) -> Iterator[Means]:
    """What a verb runs its trials with; worker processes end with the `with` block.

    Args:
        workers: processes; None for one a core, 0 for none; or a Ray cluster.
        store: folder of results, or a URL; None for the user's cache.
        progress: how it is shown.
        models: by fingerprint, models that were trained elsewhere.
        device: where networks are computed, see `forecheck.devices.read_device`; one worker if that is no CPU and
            their number is not given.

    Raises:
        UsageError: if there is no such device here, or it is asked for on a cluster.
    """
    if met() is not None:  # the processes that torchrun started fit together, one trial after the other
        if workers:
            raise UsageError("--workers has no effect under torchrun", "Leave --workers or --engine out.")
        workers = 0
    device = read_device(str(device))  # of torch's own class it may be, too
    if device != "cpu":
        if isinstance(workers, Ray):
            raise UsageError("a cluster computes on CPUs", "Leave the device out, or run without --engine ray.")
        workers = 1 if workers is None else workers
    with watching(progress) as watcher, Engine(workers, watcher, models) as engine:
        yield Means(open_store(store), engine, engine.parallel, watcher, device)
