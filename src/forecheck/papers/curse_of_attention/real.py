"""What is measured on real series: sign-inconsistent steps, losses split by them, and PatchTST with other positions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.attention.sites import attach
from forecheck.data.load import load
from forecheck.data.panel import Panel
from forecheck.data.windows import Experiment as Cut
from forecheck.data.windows import Windows, prepare
from forecheck.forecasters import registry
from forecheck.forecasters.base import Forecaster, Task, predict_all
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.patchtst import PatchTST, PatchTSTConfig
from forecheck.papers.experiment import Bench, Experiment
from forecheck.probes.series import difference_autocorrelation
from forecheck.probes.signs import VIEWS
from forecheck.statistics.inference import Mean, mean_over_seeds, mean_over_windows
from forecheck.trials.engines.inline import run_inline
from forecheck.trials.trial import Trial

LOOKBACK, HORIZON = 192, 24
PATCH = 16
SETS = ("ETTh1", "ETTh2", "weather", "exchange_rate")
CLASSES = ("inconsistent", "consistent")
VARIANTS: dict[str, dict[str, Any]] = {
    "PatchTST": {},
    "RoPE": {"positions": "rope"},
    "recency bias": {"positions": "recency"},
    "differential": {"kernel": "differential", "residual_scores": False},
    "no positions": {"positions": "none"},
    "last token": {"head": "last"},
    "neither": {"positions": "none", "head": "last"},
}
"""Of PatchTST: by what its options are called; `last token` gives its head the last patch alone."""
REMEDIES = ("RoPE", "recency bias", "differential")
RECIPE: dict[str, Any] = {
    "patch": PATCH,
    "stride": PATCH,
    "padding": False,
    "width": 16,
    "heads": 4,
    "hidden": 64,
    "layers": 2,
    "dropout": 0.1,
    "batch": 64,
    "schedule": "onecycle",
    "lr": 3e-3,
    "patience": 1000,
}
_TERMS = 16
"""Cosines of long-run variances, so that runs of a sixteenth of the test part may hang together."""
_PATTERNS = 256
Losses = Float[np.ndarray, "window channel"]


def split(bench: Bench, data: str, step: int, epochs: int, seeds: Sequence[int]) -> dict[str, Any]:
    r"""Next steps that turn over, and what PatchTST and a linear model lose on them and on the others.

    Views as in `forecheck.probes.signs`, at the first step of the horizon: `level`, :math:`x_L y_1 < 0` of standardised
    values, and `difference`, :math:`(x_L - x_{L-1}) (y_1 - x_L) < 0`; products of 0 are in neither class.

    Args:
        bench: its store holds the trials; reports progress.
        data: name of the set.
        step: rows between the origins of two windows.
        epochs: of PatchTST's training.
        seeds: of its fits.

    Returns:
        By view `share` of the inconsistent with its interval, `ties`, `gaussian`, what the share would be of normal
        values of the same correlation, :math:`\arccos(\rho) / \pi`; `mse` by class and predictor; `gap`, of PatchTST's
        loss over the linear model's, relative, by class; and `excess`, the first gap less the second. And by channel
        the gap over the whole horizon beside what the channel is like.

    Raises:
        DataError: if the set cannot be found.
    """
    panel, cut = panel_and_windows(data, step)
    bench.store.put_panel(panel)
    linear = trial_of(cut, "nlinear", {}, 0)
    fits = [trial_of(cut, "patchtst", RECIPE | {"epochs": epochs}, seed) for seed in seeds]
    for done, trial in enumerate([linear, *fits]):
        run_inline([trial], bench.store)
        bench.progress((done + 1) / (len(fits) + 1), trial.label)
    y = _targets(cut.test)
    last = torch.cat([x[:, -2:] for _, x, _ in cut.test.batches(256)])
    loaded = [registry.load(bench.store.model(trial)) for trial in fits]
    straight = registry.load(bench.store.model(linear))
    errors = {"PatchTST": np.stack([_squared(each, cut.test, y) for each in loaded])}
    errors["linear"] = _squared(straight, cut.test, y)[None]
    before, now, following = last[:, 0], last[:, 1], y[:, 0]
    found: dict[str, Any] = {"windows": len(y), "channels": panel.channels, "views": {}}
    first = {name: each[:, :, 0] for name, each in errors.items()}  # (seed, window, channel)
    first["last"] = (following - now).double().square().numpy()[None]
    first["zero"] = following.double().square().numpy()[None]
    pairs = {"level": (now, following), "difference": (now - before, following - now)}
    for view in VIEWS:
        one, other = (each.double().numpy() for each in pairs[view])
        found["views"][view] = by_sign(one, other, first)
    whole = {name: each.mean(axis=(0, 1, 2)) for name, each in errors.items()}
    turned = (pairs["difference"][0] * pairs["difference"][1] < 0).double().mean(dim=0).numpy()
    spread = (y - y.mean(dim=(0, 1))).double().square().mean(dim=(0, 1)).numpy()
    found["by channel"] = {
        "gap": _finite(whole["PatchTST"] / whole["linear"] - 1),
        "inconsistent share": _finite(turned),
        "autocorrelation of differences": _finite(difference_autocorrelation(cut)),
        "linear R2": _finite(1 - whole["linear"] / spread),
    }
    return found


def by_sign(
    one: Losses, other: Losses, errors: Mapping[str, Float[np.ndarray, "seed window channel"]]
) -> dict[str, Any]:
    """Shares, losses and gaps of pairs that turn over and of pairs that do not.

    Args:
        one: first number of every pair.
        other: second number; the sign of the product decides the class.
        errors: squared errors by predictor, `PatchTST` and the one fit of `linear` among them.

    Returns:
        What `split` gives for one view.
    """
    product = one * other
    members = {"inconsistent": product < 0, "consistent": product > 0}
    signed = (product != 0).sum(axis=1)
    share = _ratio(members["inconsistent"].sum(axis=1)[None].astype(float), signed.astype(float))
    rho = float((one * other).mean() / math.sqrt((one**2).mean() * (other**2).mean()))
    gaps, linearised = {}, []
    for name, chosen in members.items():
        straight = (errors["linear"][0] * chosen).sum(axis=1)
        above = (errors["PatchTST"] * chosen).sum(axis=2) - straight
        gaps[name] = _interval(_ratio(above, straight))
        linearised.append(_linearised(above, straight))
    return {
        "share": _interval(share),
        "ties": float((product == 0).mean()),
        "gaussian": math.acos(max(-1.0, min(1.0, rho))) / math.pi,
        "mse": {
            name: {key: float((each.mean(axis=0) * chosen).sum() / chosen.sum()) for key, each in errors.items()}
            for name, chosen in members.items()
        },
        "gap": gaps,
        "excess": _interval(_mean(linearised[0] - linearised[1])),
    }


def _linearised(
    above: Float[np.ndarray, "seed window"], below: Float[np.ndarray, " window"]
) -> Float[np.ndarray, "seed window"]:
    r"""Values whose mean is a ratio of means, and whose variance is its (delta method).

    .. math:: z_{st} = R_s + (N_{st} - R_s D_t) / \bar D, \qquad R_s = \bar N_s / \bar D
    """
    ratio = above.mean(axis=1, keepdims=True) / below.mean()
    found: Float[np.ndarray, "seed window"] = ratio + (above - ratio * below) / below.mean()
    return found


def _ratio(above: Float[np.ndarray, "seed window"], below: Float[np.ndarray, " window"]) -> Mean:
    return _mean(_linearised(above, below))


def _mean(series: Float[np.ndarray, "seed window"]) -> Mean:
    """Over windows, and over seeds if there are several."""
    overlap = max(1, series.shape[1] // (2 * _TERMS))
    return mean_over_seeds(series, overlap) if len(series) > 1 else mean_over_windows(series[0], overlap)


def _interval(found: Mean) -> list[float]:
    return [found.mean, *found.interval()]


def _finite(values: Float[np.ndarray, " channel"]) -> list[float | None]:
    return [float(value) if math.isfinite(value) else None for value in values]


def variant(bench: Bench, data: str, step: int, epochs: int, name: str, seed: int) -> dict[str, Any]:
    """PatchTST with other positions, kernel or head, trained from the start.

    Args:
        bench: its store holds the trials; reports progress.
        data: name of the set.
        step: rows between the origins of two windows.
        epochs: of training.
        name: one of `VARIANTS`.
        seed: of the fit.

    Returns:
        `mse` on test windows, and by layer the weight of the last patch times T: 1 is uniform.

    Raises:
        DataError: if the set cannot be found.
    """
    panel, cut = panel_and_windows(data, step)
    options = RECIPE | {"epochs": epochs} | VARIANTS[name]
    if options.pop("head", "flatten") == "last":
        forecaster: Forecaster = LastTokenPatchTST(
            Task(LOOKBACK, HORIZON, cut.test.channels), PatchTSTConfig(**options)
        )
        forecaster.fit(cut.train, cut.validation, seed, bench.progress)
    else:
        bench.store.put_panel(panel)
        trial = trial_of(cut, "patchtst", options, seed)
        run_inline([trial], bench.store)
        forecaster = registry.load(bench.store.model(trial))
    assert isinstance(forecaster, NeuralForecaster)
    return {
        "mse": float(_squared(forecaster, cut.test, _targets(cut.test)).mean()),
        "parameters": forecaster.parameters,
        "last patch": _last_patch(forecaster.module, cut.test),
    }


class LastTokenPatchTST(PatchTST):
    """PatchTST whose head sees the last token only, as the paper's network reads the last value's output only.

    Not known by name: it is a control of one experiment, and so not saved as a trial.
    """

    def build(self) -> nn.Module:
        """The untrained network."""
        module: Any = super().build()
        tokens, width = module.embed.tokens, self.config.width
        module.head = nn.Sequential(nn.Unflatten(1, (tokens, width)), _Last(), nn.Linear(width, self.task.horizon))
        network: nn.Module = module
        return network


class _Last(nn.Module):
    """The last token."""

    def forward(self, z: Float[Tensor, "series token width"]) -> Float[Tensor, "series width"]:
        """Of every series."""
        return z[:, -1]


@torch.no_grad()
def _last_patch(module: nn.Module, windows: Windows) -> list[float]:
    index = torch.linspace(0, len(windows) - 1, min(len(windows), _PATTERNS)).round().long()
    x, _ = windows.gather(index)
    found: list[float] = []
    with attach(module, x[:2]) as attached:
        for site in attached.sites:
            site.observe(lambda weights: found.append(float(weights[..., -1].mean()) * weights.shape[-1]))
        attached(x)
    return found


def panel_and_windows(data: str, step: int) -> tuple[Panel, Cut]:
    """A named set, cut into windows of which every `step`-th is used."""
    panel = load(data)
    return panel, prepare(panel, LOOKBACK, HORIZON, step=step)


def trial_of(cut: Cut, name: str, options: Mapping[str, Any], seed: int) -> Trial:
    """A forecaster's fit on these windows.

    Args:
        cut: the panel and its windows.
        name: of the forecaster.
        options: that differ from its defaults.
        seed: of the fit.

    Raises:
        UsageError: if there is no such forecaster or option.
    """
    config = asdict(registry.create(name, Task(LOOKBACK, HORIZON, cut.test.channels), options).config)
    return Trial(cut.panel.fingerprint, cut.split, LOOKBACK, HORIZON, name, config, step=cut.test.step, seed=seed)


def _targets(windows: Windows) -> Float[Tensor, "window horizon channel"]:
    return torch.cat([y for _, _, y in windows.batches(256)])


def _squared(
    forecaster: Forecaster, windows: Windows, y: Float[Tensor, "window horizon channel"]
) -> Float[np.ndarray, "window horizon channel"]:
    found: Float[np.ndarray, "window horizon channel"] = (
        (predict_all(forecaster, windows) - y).double().square().numpy()
    )
    return found


STEPS = {"ETTh1": 11, "ETTh2": 11, "weather": 97, "exchange_rate": 7}
"""Rows between origins: coprime to the day, so that all hours are met."""
_DENSE = {"ETTh1": 5, "ETTh2": 5, "weather": 49, "exchange_rate": 4}
SPLIT = Experiment(
    "split",
    split,
    [{"data": data, "step": step, "epochs": 6, "seeds": [0, 1, 2]} for data, step in STEPS.items()],
    [{"data": data, "step": step, "epochs": 10, "seeds": [0, 1, 2, 3]} for data, step in _DENSE.items()],
)
VARIANT = Experiment(
    "variant",
    variant,
    [
        {"data": data, "step": STEPS[data], "epochs": 6, "name": name, "seed": seed}
        for data in ("ETTh1", "ETTh2")
        for name in VARIANTS
        for seed in range(3)
    ],
    [
        {"data": data, "step": _DENSE[data], "epochs": 8, "name": name, "seed": seed}
        for data in ("ETTh1", "ETTh2", "exchange_rate")
        for name in VARIANTS
        for seed in range(4)
    ],
)
