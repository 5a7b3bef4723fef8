"""Known columns of a forecast: whether they are there for it, and what is reported of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from forecheck.combination.combine import Combination
from forecheck.combination.worth import Worth
from forecheck.data.covariates import Covariates
from forecheck.data.panel import Panel
from forecheck.data.source import count, listed, stamp
from forecheck.errors import DataError, UsageError
from forecheck.forecasting.candidates import COMBINATION

_FURTHER = 1e-9


def check_ahead(panel: Panel, covariates: Covariates, horizon: int) -> None:
    """Refuse known columns that are not there for every step of the horizon (DataError).

    Args:
        panel: the data, named in messages.
        covariates: its known and static columns, and features of the calendar.
        horizon: steps that are to be forecast.

    Raises:
        UsageError: as `check_static`.
    """
    check_static(panel, covariates)
    if not covariates.known:
        return
    there = np.zeros((len(panel.series), horizon), dtype=bool)
    ahead = min(horizon, covariates.future.shape[1])
    there[:, :ahead] = ~np.isnan(covariates.future[:, :ahead]).any(axis=2)
    short = np.flatnonzero(~there.all(axis=1))
    if not len(short):
        return
    series = int(short[0])
    steps = int(there[series].sum())
    first = panel.frequency.future(panel.time[panel.offsets[series + 1] - 1], horizon)[int(there[series].argmin())]
    of = f' of series "{panel.series[series]}"' if len(panel.series) > 1 else ""
    more = f" (and {len(short) - 1:,} other series)" if len(short) > 1 else ""
    raise DataError(
        f"{listed(covariates.known)}: known for {steps} of the {horizon} steps after the end{of}{more}; the first that "
        f"is missing is {stamp(first)}",
        "Add rows with empty targets, or give them apart (--future future.csv); or forecast fewer steps. What is "
        "known up to now alone is named with --past.",
    )


def check_static(panel: Panel, covariates: Covariates) -> None:
    """Refuse static columns where no column is known for the future (UsageError)."""
    if covariates.static and not (covariates.known or covariates.calendar):
        raise UsageError(
            f"no column of {panel.name} is known for the future, so that static ones have nothing to act on",
            "Name known columns (--known price) or features of the calendar (--calendar dayofweek).",
        )


def check_asked(panel: Panel, asked: Mapping[str, Any]) -> None:
    """Refuse data without the known columns of a fit, or with others (DataError)."""
    given = {} if panel.covariates is None else panel.covariates.asked
    if given == dict(asked):
        return
    said = ", ".join(f"{part} {listed(names)}" for part, names in asked.items()) or "none"
    has = ", ".join(f"{part} {listed(names)}" for part, names in given.items()) or "none"
    written = ", ".join(f"{part}={names}" for part, names in asked.items())
    raise DataError(
        f"the fit was made with columns beside the channels: {said}; {panel.name} was read with {has}",
        f"Read it with fc.load(data, {written}), or hand the file over as it is." if asked else "Read it without them.",
    )


def check_uses(panel: Panel, model: str) -> None:
    """Refuse known columns where a model has no use for them (UsageError)."""
    if panel.covariates is not None:
        raise UsageError(
            f"{model} is of the channels alone and cannot use {_kinds(panel.covariates)} columns",
            f"Forecast with --model {COMBINATION} or auto, or leave --known, --past, --static and --calendar out.",
        )


def check_backtested(panel: Panel, models: Sequence[str]) -> None:
    """Refuse known columns that none of these models uses (UsageError)."""
    covariates = panel.covariates
    if covariates is None:
        return
    check_static(panel, covariates)
    if COMBINATION not in models:
        raise UsageError(
            f"none of the models uses {_kinds(covariates)} columns: {', '.join(models)} see the channels alone",
            f"Add {COMBINATION} to --models, or leave --known, --past, --static and --calendar out.",
        )


def _kinds(covariates: Covariates) -> str:
    """Which columns there are, in a word or two."""
    known = covariates.known or covariates.calendar or not covariates.past
    return " and ".join(["known"] * bool(known) + ["past"] * bool(covariates.past))


def worths_of(made: Combination) -> dict[str, Any]:
    """What known and past columns are worth, as JSON types; nothing of what there is not."""
    return {part: _fields_of(worth) for part, worth in made.worths.items()}


def _fields_of(worth: Worth) -> dict[str, Any]:
    fields = asdict(worth)
    return {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}


def worth_in_words(worth: Mapping[str, Any], part: str = "known") -> str:
    """The same as a sentence.

    Args:
        worth: of one part.
        part: `known` or `past`.
    """
    if worth["gain"] is None:
        return f"{part} columns are not used: {worth['why']}"
    interval = worth["interval"]
    reach = "" if interval is None else f" [{100 * interval[0]:+.1f}, {100 * interval[1]:+.1f}]"
    return (
        f"{part} columns {'are used' if worth['used'] else 'are not used'}: MASE {worth['with_them']:.3f} with and "
        f"{worth['without']:.3f} without them at rolling origins, a gain of {100 * worth['gain']:+.1f} %{reach}"
    )


def notes_on(made: Combination, panel: Panel) -> list[str]:
    """What a user should know of known and of past columns."""
    worth, covariates = made.worth, panel.covariates
    if covariates is None:
        return []
    notes = [] if made.past_worth is None else _notes_on_past(made.past_worth)
    if worth is None:
        return notes
    for name, steps in worth.leaking.items():
        when = (
            "at the same step" if steps == 0 else f"{count(abs(steps), 'step')} {'earlier' if steps > 0 else 'later'}"
        )
        notes.append(
            f'"{name}" changes as the target does {when}: is it really known for the horizon? If not, the forecast is '
            "worth nothing; leave it out"
        )
    notes += _notes_on_few(worth)
    for name, levels in covariates.unseen.items():
        notes.append(f'"{name}" is {listed(levels)} in the future and never was: nothing is known of its effect')
    for place, name in enumerate(covariates.known):
        if name in covariates.levels or name in worth.constant:
            continue
        seen, later = covariates.values[:, place], covariates.future[:, : made.point.shape[1], place]
        low, high = float(seen.min()), float(seen.max())
        room = _FURTHER * max(abs(low), abs(high), 1e-300)
        if float(np.nanmin(later)) < low - room or float(np.nanmax(later)) > high + room:
            notes.append(
                f'"{name}" goes from {np.nanmin(later):g} to {np.nanmax(later):g} in the future, beyond the {low:g} to '
                f"{high:g} that were seen; its effect is held near that edge"
            )
    return notes


def _notes_on_few(worth: Worth) -> list[str]:
    """On columns that tell nothing, or nothing of their own."""
    notes = []
    if worth.constant:
        notes.append(f"set aside, since they never change in the history: {listed(worth.constant)}")
    if worth.collinear:
        notes.append(f"{listed(worth.collinear)} tell the same as each other; their effects are shared")
    return notes


def _notes_on_past(worth: Worth) -> list[str]:
    notes = []
    for name, steps in worth.leaking.items():
        if steps < 0:
            notes.append(
                f'"{name}" changes as the target does {count(-steps, "step")} later: was it really there at its time? '
                "If not, the forecast is worth nothing; leave it out"
            )
        else:
            when = f"{count(steps, 'step')} earlier" if steps else "at the same step"
            notes.append(f'"{name}" changes as the target does {when}: it tells what the target\'s own past does')
    return [*notes, *_notes_on_few(worth)]
