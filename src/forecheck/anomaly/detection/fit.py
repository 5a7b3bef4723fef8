"""Fitting detectors: a forecaster on the first part, spreads on the second, the threshold on the third."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.anomaly.detection.alarms import Rule
from forecheck.anomaly.detection.calibrated import rate_of
from forecheck.anomaly.detection.detector import Detector, Ground, calibrated
from forecheck.anomaly.detection.expected import (
    ForecastSource,
    MovingSource,
    Source,
    expected_of,
    step_forecasts,
)
from forecheck.anomaly.detection.naive import MOVING, moving_window
from forecheck.anomaly.detection.parts import Parts, parts_of
from forecheck.anomaly.detection.scoring import fit_scoring
from forecheck.anomaly.detection.spread import Method, spread
from forecheck.data.panel import Panel
from forecheck.data.source import listed
from forecheck.data.windows import Experiment
from forecheck.errors import DataError, UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Forecaster
from forecheck.forecasting.backtest import plan as plan_trials
from forecheck.forecasting.candidates import CANDIDATES, COMBINATION
from forecheck.forecasting.selection import own_lookbacks, simplest_unbeaten, usable
from forecheck.progress import Progress, within
from forecheck.trials.means import Means
from forecheck.trials.protocol import Protocol
from forecheck.trials.store import Result

_USUAL_LOOKBACK = 96
_TRAINING: dict[str, Any] = {"epochs": 6, "lr": 1e-3, "schedule": "onecycle", "batch": 32}
_WINDOWS_AN_EPOCH = 4096
"""Windows of one channel that the network beside is trained on, an epoch."""
NO_ATTENTION = "none"
REFERENCES = ("last", "seasonal")


@dataclass(frozen=True)
class Settings:
    """How detectors are made.

    Attributes:
        train: share of the rows of the fit.
        calibrate: share of the rows of the calibration part.
        method: how errors are standardised, `robust` or `standardised`.
        false_alarms: per 1000 steps; None for 1, or the least that the calibration part can tell.
        rule: how alarms become segments.
        attention: name of a forecaster with attention that is put beside, or `none`.
    """

    train: float = 0.5
    calibrate: float = 0.2
    method: Method = "robust"
    false_alarms: float | None = None
    rule: Rule = field(default_factory=Rule)
    attention: str = "patchtst"


@dataclass(frozen=True, eq=False)
class Fits:
    """Detectors of one panel.

    Attributes:
        panel: the data; series without a scale are left out.
        ground: scales and phases.
        parts: of the rows.
        chosen: what detects.
        others: references and, last, the forecaster with attention if there is one.
        attention: its name; empty if there is none.
        plain: what it is compared to: what detects, or the better reference if that is a network.
        forecaster: behind `chosen`.
        info: why this model, its losses, and what was set aside.
    """

    panel: Panel
    ground: Ground
    parts: Parts
    chosen: Detector
    others: tuple[Detector, ...]
    attention: str
    plain: str
    forecaster: Forecaster
    info: dict[str, Any]

    @property
    def detectors(self) -> tuple[Detector, ...]:
        """What detects, and what it is compared to."""
        return (self.chosen, *self.others)


def fit_detectors(
    panel: Panel,
    protocol: Protocol,
    settings: Settings,
    means: Means,
    *,
    model: str = "auto",
    candidates: Sequence[str] = CANDIDATES,
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Fits:
    """Fit a forecaster and calibrate it as a detector, and its references with it.

    The rows are cut in four. Weights are fitted on the first part; on the second the model is chosen and the spread of
    its errors is taken; scores of the third give the threshold; the fourth is scored. Nothing of a part is used before
    its turn, and no part sees labels.

    Args:
        panel: the data.
        protocol: horizon, lookback, period and margin; its split is not used.
        settings: shares, scores, rate and rule.
        means: engine, and the store of fits.
        model: name of a forecaster, or `auto`: the simplest whose loss on the second part is not beaten.
        candidates: what `auto` chooses from.
        options: by model, options that differ from the defaults.

    Raises:
        DataError: if the data are too short or cannot be scaled.
        UsageError: if a name, option or number is wrong.
    """
    if COMBINATION in (model, settings.attention):
        raise UsageError(
            f"{COMBINATION} is made anew of every history, and cannot score rows one by one",
            f"Take another model: auto chooses from {', '.join(CANDIDATES)}.",
        )
    parts = parts_of(panel, settings.train, settings.calibrate)
    protocol = replace(protocol, split=parts.split)
    period = protocol.season(panel)
    asked = [name for name in candidates if name != COMBINATION] if model == "auto" else [model]
    if not asked:
        raise UsageError("auto has nothing to choose from", f"Name candidates: {', '.join(CANDIDATES)}.")
    beside = [] if settings.attention == NO_ATTENTION else [settings.attention]
    with _our_words():
        own = own_lookbacks(panel, protocol.horizon, [*asked, *REFERENCES, *beside], protocol.lookback, parts.split)
    if protocol.lookback is None and beside:
        own |= {name: min(own[name], max(_USUAL_LOOKBACK, 2 * period)) for name in beside if name not in asked}
    references = usable(REFERENCES, period, own["seasonal"])
    names = list(dict.fromkeys([*(usable(asked, period, own["seasonal"]) if model == "auto" else asked)]))
    if not names:
        raise UsageError("no candidate can be fitted to these data", "Name others, with a longer --lookback.")
    wanted = list(dict.fromkeys([*names, *references, *beside]))
    with _our_words():
        experiments = {length: protocol.cut(panel, length) for length in {own[name] for name in wanted}}
    widest = experiments[max(experiments)]
    given = {key: value for key, value in (options or {}).items() if key in wanted or key not in own}
    for name in set(beside) - set(asked):
        given[name] = _short_training(name, len(widest.train) * widest.train.channels) | dict(given.get(name, {}))
    planned = plan_trials(widest, wanted, given, 1, period, own, device=means.device)
    means.store.put_panel(panel)
    means(trial for group in planned.values() for trial in group)
    results = {name: means.store.need(group[0]) for name, group in planned.items()}
    losses = {name: float(results[name].summary["validation_mse"]) for name in names}
    chosen = simplest_unbeaten(losses, protocol.margin) if model == "auto" else model
    rule = f"simplest within {100 * protocol.margin:g} % of the best validation loss" if model == "auto" else "named"
    made = _Made(panel, widest, parts, settings, period)
    shown = [chosen, *(name for name in [*references, *beside] if name != chosen)]
    sources: dict[str, Source] = {}
    for name in shown:
        sources[name] = _weighted(registry.load(results[name].folder / "model"), made)
    room = int(parts.train_end[made.known].min()) if made.known.any() else 2
    sources[MOVING] = MovingSource(moving_window(period, room))
    detectors = {}
    for number, (name, source) in enumerate(sources.items()):
        progress = _progress(means, number, len(sources))
        detectors[name] = made.detector(name, source, progress)
    rate = max(each.false_alarms for each in detectors.values())  # the same for all, so that they can be compared
    detectors = {name: replace(each, false_alarms=rate) for name, each in detectors.items()}
    kept = [name for name in (*references, MOVING, *beside) if name != chosen]
    forecaster = registry.load(results[chosen].folder / "model")
    plain = chosen
    if forecaster.trained:
        plain = min(references, key=lambda name: float(results[name].summary["validation_mse"]))
    info = made.info | _described(chosen, rule, losses, results[chosen], own[chosen], detectors[chosen])
    return Fits(
        made.panel,
        made.ground,
        made.parts,
        detectors[chosen],
        tuple(detectors[name] for name in kept),
        beside[0] if beside else "",
        plain,
        forecaster,
        info,
    )


@contextmanager
def _our_words() -> Iterator[None]:
    """Name the option that there is in advice that names `--split`."""
    try:
        yield
    except DataError as error:
        raise DataError(error.message, error.remedy.replace("--split", "--train")) from error


def _short_training(name: str, windows: int) -> dict[str, Any]:
    """Options of a network that is only put beside: it is trained in a minute or so, unless options say otherwise."""
    known = registry.defaults(registry.find(name))
    brief = _TRAINING | {"train_stride": max(1, windows // _WINDOWS_AN_EPOCH)}
    return {key: value for key, value in brief.items() if key in known}


def _progress(means: Means, number: int, total: int) -> Progress | None:
    def tell(share: float, _: str) -> None:
        means.watcher.part("calibration", (number + share) / total, 1)

    return tell


def _described(
    chosen: str, rule: str, losses: Mapping[str, float], result: Result, lookback: int, detector: Detector
) -> dict[str, Any]:
    return {
        "model": chosen,
        "rule": rule,
        "validation_mse": dict(losses),
        "test_mse": float(result.summary["mse"]),
        "lookback": lookback,
        "calibration_windows": min(len(scores) for scores in detector.calibration),
        "false_alarms": detector.false_alarms,
    }


class _Made:
    """What all detectors of a panel are made with."""

    def __init__(self, panel: Panel, experiment: Experiment, parts: Parts, settings: Settings, period: int) -> None:
        self.known = experiment.scaler.known
        self.panel, self.settings = panel.only(self.known), settings
        ends = (parts.train_end, parts.fit_end, parts.calibration_end)
        self.parts = Parts(parts.split, *(end[self.known] for end in ends))
        scaler = experiment.scaler
        kept = type(scaler)(scaler.mean[self.known], scaler.std[self.known])
        # Rows of data without times are numbered from 0 in every file: that gives no phase.
        phases = period if panel.reading.time is not None or panel.time.dtype.kind == "M" else 1
        self.ground = Ground(kept, self.panel.series, phases, self.panel.time.min())
        self.rows = self.ground.rows(self.panel)
        self.info: dict[str, Any] = {"notes": self._notes(panel, period, phases), "read": panel.described}

    def _notes(self, panel: Panel, period: int, phases: int) -> list[str]:
        notes = []
        if not self.known.all():
            left = [panel.series[index] for index in np.flatnonzero(~self.known)]
            notes.append(f"{len(left)} series have too few training rows, or constant ones: no score ({listed(left)})")
        if phases < period:
            notes.append("no time column: phases of the season are not told apart by the scores")
        return notes

    def detector(self, name: str, source: Source, progress: Progress | None) -> Detector:
        """Spreads from the second part, the threshold from the third."""
        parts, method = self.parts, self.settings.method
        fitted = expected_of(source, self.rows, parts.train_end, parts.fit_end, within(progress, 0.0, 0.4))
        errors = fitted.errors(self.rows)
        if np.isnan(errors).all():
            raise self._short(name, source, int((parts.fit_end - parts.train_end).max()), "chosen and scaled by")
        scoring = fit_scoring(self.rows, errors, len(self.ground.series), self.ground.period, method)
        later = expected_of(source, self.rows, parts.fit_end, parts.calibration_end, within(progress, 0.4, 1.0))
        scores = scoring.scores(self.rows, later.errors(self.rows))
        least = int((~np.isnan(scores)).sum(axis=0).min())
        if not least:
            raise self._short(name, source, int((parts.calibration_end - parts.fit_end).max()), "calibrated by")
        rate = rate_of(least, self.settings.false_alarms)
        return calibrated(name, source, scoring, [*scores.T], rate, self.settings.rule)

    def _short(self, name: str, source: Source, rows: int, what: str) -> DataError:
        return DataError(
            f"{name} has no forecast of a known value in the {rows} rows that it is {what}; it needs {source.context} "
            "rows before each",
            "Give more rows, a shorter --lookback or --horizon, or another --train or --calibrate.",
        )


def _weighted(forecaster: Forecaster, made: _Made) -> ForecastSource:
    """Weights of the steps ahead from the spread of their errors in the second part."""
    horizon, channels = forecaster.task.horizon, forecaster.task.channels
    source = ForecastSource(forecaster, np.full((horizon, channels), 1 / horizon))
    if horizon == 1:
        return source
    found: list[Float[np.ndarray, "row horizon channel"]] = []
    for place, (start, end) in enumerate(zip(made.rows.offsets[:-1], made.rows.offsets[1:], strict=True)):
        first, last = max(int(made.parts.train_end[place]), source.context), int(made.parts.fit_end[place])
        if first < last:
            forecasts = step_forecasts(forecaster, made.rows.values[start:end], first, last)
            found.append(made.rows.truth[start + first : start + last][:, None, :] - forecasts)
    if not found:
        return source
    errors = np.concatenate(found)
    weights = np.ones((horizon, channels))
    for channel in range(channels):
        seen = ~np.isnan(errors[:, 0, channel])
        if seen.any():
            scales = [spread(errors[seen, h, channel], made.settings.method)[1] for h in range(horizon)]
            weights[:, channel] = 1 / np.array(scales)
    return ForecastSource(forecaster, weights / weights.sum(axis=0))
