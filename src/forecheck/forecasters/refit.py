"""Refits: a closed-form forecaster fitted on other windows, with all that was chosen on validation kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import singledispatch
from typing import Any

from forecheck.data.windows import Windows
from forecheck.forecasters.anchored import Anchored
from forecheck.forecasters.base import Forecaster
from forecheck.forecasters.gram import Gram, gram_of
from forecheck.forecasters.linear import ClosedForm
from forecheck.forecasters.linear_members import fit_members, grams_of


@singledispatch
def refitted(forecaster: Forecaster, grams: Sequence[Gram], details: Mapping[str, Any]) -> Forecaster:
    """A forecaster fitted on the windows of these Gram matrices; `forecaster` stays as it is.

    Closed forms are registered here (`refitted.register`); others raise.

    Args:
        forecaster: as it was fitted on the training windows.
        grams: as `grams` makes them, of raw standardised windows, one a group of channels; they may be sums.
        details: of the report of that fit: the strengths that validation chose.

    Raises:
        TypeError: if it is not fitted in closed form; see `can_refit`.
    """
    del grams, details
    raise TypeError(f"{forecaster.name} is not fitted in closed form")


def can_refit(forecaster: Forecaster) -> bool:
    """Whether it is fitted in closed form; what is trained, or has nothing to fit, is not."""
    return refitted.dispatch(type(forecaster)) is not refitted.dispatch(object)


def grams(forecaster: Forecaster, windows: Windows, counted: Windows | None = None) -> list[Gram]:
    """Gram matrices of windows as `refitted` takes them.

    Args:
        forecaster: what is to be refitted.
        windows: of its lookback.
        counted: windows whose Gram matrices will be added; nothing is counted twice.
    """
    if isinstance(forecaster, Anchored):
        return list(grams_of(windows, forecaster.lookbacks, counted))
    groups = forecaster.groups if isinstance(forecaster, ClosedForm) else [slice(None)]
    return [gram_of(windows, group) for group in groups]


@refitted.register(ClosedForm)
def _linear(forecaster: ClosedForm, grams: Sequence[Gram], details: Mapping[str, Any]) -> ClosedForm:
    """At the strengths that validation chose."""
    ridge = details["ridge"]
    return forecaster.refitted(grams, ridge if isinstance(ridge, list) else [ridge])


@refitted.register(Anchored)
def _anchored(forecaster: Anchored, grams: Sequence[Gram], details: Mapping[str, Any]) -> Anchored:
    """The members; their weights and the share of the last value stay, for want of windows that no member saw."""
    del details
    maps = fit_members(grams, forecaster.lookbacks, forecaster.config.ridge)
    again = Anchored(forecaster.task, forecaster.config)
    kept = forecaster.tensors()
    again.restore(kept | again.named(maps))
    return again
