"""Choosing: lookbacks from the length of the data, and the simplest model that is not beaten, on validation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

from forecheck.data.panel import Panel
from forecheck.data.scaling import scalable
from forecheck.data.splits import parse_split
from forecheck.errors import DataError
from forecheck.forecasters import registry
from forecheck.peers.find import COMBINATION, is_peer
from forecheck.trials.protocol import Protocol

_USUAL = 336


def default_lookback(panel: Panel, horizon: int, split: str | None = None) -> int:
    """The field's 336 steps, or less if the training part is short.

    At most half of what the longest training part leaves beside the horizon, so that there are at least as many
    training windows as weights a step.

    Args:
        panel: the data.
        horizon: H.
        split: notation of a split, or None for the panel's standard one.

    Raises:
        DataError: if not even one window fits.
    """
    borders = parse_split(split or panel.split, panel)
    return min(_USUAL, room_for(panel.name, horizon, int(borders.train_end.max())))


def own_lookbacks(
    panel: Panel, horizon: int, models: Iterable[str], lookback: int | None = None, split: str | None = None
) -> dict[str, int]:
    """The lookback of every model: the one that is given, or its natural one, cut to what the data allow.

    No longer than half of what the longest training part leaves beside the horizon, and than the shortest training
    part of a series that has a validation or test part, so that all models are asked about the same validation and
    test windows. Where that is shorter than the default lookback, all models have that one: they lose the same windows
    of the short series.

    Args:
        panel: the data.
        horizon: H.
        models: names of forecasters.
        lookback: of all models; None for that of each.
        split: notation of a split, or None for the panel's standard one.

    Raises:
        DataError: if not even one window fits.
        UsageError: if there is no such model.
    """
    if lookback is not None:
        return dict.fromkeys(models, lookback)
    borders = parse_split(split or panel.split, panel)
    serving = scalable(panel, borders) & (borders.test_end > borders.train_end)  # in validation or test
    longest, shortest = int(borders.train_end.max()), int(borders.train_end[serving].min(initial=len(panel.values)))
    room = room_for(panel.name, horizon, longest)
    return {name: fitting_lookback(registry.find(name).natural_lookback(horizon), room, shortest) for name in models}


def fitting_lookback(natural: int, room: int, shortest: int) -> int:
    """A model's lookback, cut to what the data allow; see `own_lookbacks`.

    Args:
        natural: what suits the model.
        room: half of what the longest training part leaves beside the horizon.
        shortest: rows of the shortest training part of a series that has a validation or test part.
    """
    shared = min(_USUAL, room)
    return shared if shortest < shared else min(natural, room, shortest)


def audit_lookback(panel: Panel, horizon: int, model: str | None, split: str | None = None) -> int:
    """One lookback for all arms of an audit: the default, or what the audited model needs beyond it.

    Args:
        panel: the data.
        horizon: H.
        model: name of the audited forecaster; None for a model that was trained elsewhere.
        split: notation of a split, or None for the panel's standard one.
    """
    shared = default_lookback(panel, horizon, split)
    return shared if model is None else max(shared, own_lookbacks(panel, horizon, [model], split=split)[model])


def with_lookback(protocol: Protocol, panel: Panel, model: str | None) -> Protocol:
    """The protocol of an audit with its own lookback, or with that of `audit_lookback`.

    Args:
        protocol: that was asked for.
        panel: the data.
        model: name of the audited forecaster; None for a model that was trained elsewhere.
    """
    if protocol.lookback is not None:
        return protocol
    return replace(protocol, lookback=audit_lookback(panel, protocol.horizon, model, protocol.split))


def room_for(name: str, horizon: int, longest: int) -> int:
    """The longest lookback that leaves as many training windows as weights a step.

    Args:
        name: of the data, for the message.
        horizon: H.
        longest: rows of the longest training part.

    Raises:
        DataError: if not even one window fits.
    """
    room = longest - horizon
    if room < 2:
        raise DataError(
            f"{name} is too short for horizon {horizon}: its training part has {longest} rows",
            "Choose a shorter horizon, or give more data.",
        )
    return max(1, room // 2)


def usable(names: Iterable[str], period: int, lookback: int) -> list[str]:
    """Those of `names` that can be run: repeating a season needs one, inside the lookback.

    Args:
        names: of forecasters.
        period: steps a season; 1 if there is none.
        lookback: of the seasonal forecaster.
    """
    return [name for name in names if name != "seasonal" or 1 < period <= lookback]


def simplest_unbeaten(losses: Mapping[str, float], margin: float) -> str:
    """The model of lowest rank whose validation loss lies within the margin of the best one.

    Args:
        losses: validation loss by model name.
        margin: relative; a model is beaten if the best is better than it by more than this share of its own loss.
    """
    best = min(losses.values())
    unbeaten = [name for name, loss in losses.items() if loss - best <= margin * loss]
    return min(unbeaten, key=_rank)


def _rank(name: str) -> tuple[float, str]:
    """Order of simplicity: forecasters of windows by their rank, then the combination, then other libraries' models."""
    if is_peer(name):
        return (math.inf, "" if name == COMBINATION else name)
    return (registry.find(name).rank, "")
