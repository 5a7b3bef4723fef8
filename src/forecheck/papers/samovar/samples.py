"""Forecasters trained on independent samples, one forecast each, through trials."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.data.panel import Panel
from forecheck.data.scaling import fit_scaler
from forecheck.data.splits import parse_split
from forecheck.data.synthetic.blocks import panel_of_blocks
from forecheck.forecasters import registry
from forecheck.papers.experiment import Bench
from forecheck.trials.run import run_trial
from forecheck.trials.store import Result
from forecheck.trials.trial import Trial


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs and, as their last step, what is to be forecast."""

    train: Float[np.ndarray, "train_sample step channel"]
    validation: Float[np.ndarray, "validation_sample step channel"]
    test: Float[np.ndarray, "test_sample step channel"]


def fit(
    bench: Bench, panel: Panel, split: str, name: str, lookback: int, options: dict[str, Any], seed: int, step: int = 1
) -> Result:
    """A forecaster of one step, trained on a panel or found in the store.

    Args:
        bench: its store holds the trial; reports progress.
        panel: the data.
        split: where its parts end, see `parse_split`.
        name: of the forecaster.
        lookback: steps of input.
        options: that differ from its defaults.
        seed: of the fit.
        step: rows between the origins of two windows.

    Raises:
        UsageError: if there is no such forecaster or option.
    """
    config = asdict(registry.read_config(registry.find(name), options))
    trial = Trial(panel.fingerprint, split, lookback, 1, name, config, step=step, seed=seed)
    if trial not in bench.store:
        bench.store.put_panel(panel)
        run_trial(trial, bench.store, bench.progress)
    return bench.store.need(trial)


def fit_samples(
    bench: Bench, samples: Samples, name: str, options: dict[str, Any], seed: int, last: int | None = None
) -> tuple[Float[np.ndarray, " test_sample"], dict[str, Any]]:
    """Squared errors of the test samples, mean over channels, in the samples' units; and what the fit said.

    Args:
        bench: its store holds the trial; reports progress.
        samples: to train on, to stop by and to test on.
        name: of the forecaster.
        options: that differ from its defaults.
        seed: of the fit.
        last: steps of input that the forecaster reads, the latest; all by default.

    Raises:
        UsageError: if there is no such forecaster or option.
    """
    parts = [samples.train, samples.validation, samples.test]
    if last is not None:
        parts = [part[:, -last - 1 :] for part in parts]
    length = parts[0].shape[1]
    # The first block gives its target alone, and to nobody.
    panel = panel_of_blocks(np.concatenate([parts[0][:1], *parts]), 1, "samples", _names(parts[0].shape[2]))
    train, validation, test = (len(part) * length for part in parts)
    split = f"{train + 1}+{validation}+{test}"
    result = fit(bench, panel, split, name, length - 1, options, seed, step=length)
    std = fit_scaler(panel, parse_split(split, panel)).std[0]
    return (result.arrays["mse"] * std**2).mean(axis=1), result.summary["fit"]


def _names(channels: int) -> tuple[str, ...]:
    return tuple("ABCDEFGH"[:channels])
