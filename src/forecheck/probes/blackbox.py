"""Black box: what a forecaster uses of its window, found by changing the window alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.forecasters.base import Forecaster
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.work import USUAL_WORK, work_a_window
from forecheck.nn.seeding import derive
from forecheck.probes.case import WINDOWS, Case, Measured, number, observed_mean, spread
from forecheck.probes.surrogate import surrogate

Change = Callable[[Tensor], Tensor]

SHARES = (1 / 8, 1 / 4, 1 / 2, 3 / 4)
"""Shares of the window that truncation leaves."""
TOLERANCE = 0.01
"""A suffix is enough when its loss is within this share of the full window's."""
EQUAL = 1e-4
"""Largest relative difference of two forecasts that counts as rounding."""
_STEPS = 8  # the grid of suffixes, in eighths of the window
_DRAWS = 3  # of every shuffle
_LEVELS = (-2.0, -0.5, 0.0, 1.0, 3.0)
_CHANNELS = 8  # others' influence is looked for in so many


@torch.no_grad()
def blackbox(case: Case) -> Measured:
    """Truncation, order, channels, constants, equivariance, superposition and the linear surrogate, on test windows.

    Returns:
        Summary: one dict each, see the functions below; `windows`. Arrays: `window_index` among the test windows;
        `raw_loss` (window,), the squared error of the raw forecast; and `{change}_loss` of each truncation and shuffle
        and of the surrogate, for tests of paired differences.
    """
    test = case.experiment.test
    index = spread(test, _affordable(case.forecaster))
    x, y = test.gather(index)
    look = _Look(case, x, y)
    generator = torch.Generator().manual_seed(derive(case.seed, "blackbox"))
    arrays = {"window_index": index.numpy(), "raw_loss": look.raw_loss.numpy()}
    summary: dict[str, Any] = {"windows": len(index), "mse": number(look.raw_loss.mean())}
    for name, part in (("truncation", truncation(look)), ("order", order(look, generator))):
        summary[name], losses = part
        arrays |= losses
    summary["channels"] = channels(look, generator)
    summary["constant"] = constant(look)
    summary["equivariance"] = equivariance(look)
    summary["superposition"] = superposition(look)
    summary["surrogate"], loss = surrogate(case.forecaster, case.experiment, index)
    return summary, arrays if loss is None else arrays | {"surrogate_loss": loss.numpy()}


def _affordable(forecaster: Forecaster) -> int:
    """Windows to look at: every one is forecast some fifty times, so that fewer have to do for a large model."""
    if not isinstance(forecaster, NeuralForecaster):
        return WINDOWS
    return max(64, min(WINDOWS, round(WINDOWS * 2 * USUAL_WORK / work_a_window(forecaster))))


class _Look:
    """Windows, their raw forecasts and losses."""

    def __init__(
        self, case: Case, x: Float[Tensor, "window lookback channel"], y: Float[Tensor, "window horizon channel"]
    ) -> None:
        self.forecaster = case.forecaster
        self.x, self.y = x, y
        self.raw = self.forecast(x)
        self.raw_loss = self._loss(self.raw)

    def forecast(self, x: Float[Tensor, "window lookback channel"]) -> Float[Tensor, "window horizon channel"]:
        """The forecast, batch by batch, float64."""
        parts = torch.split(x, 64)
        return torch.cat([self.forecaster.predict(part) for part in parts]).double()

    def loss(self, change: Change) -> Float[Tensor, " window"]:
        """Squared error of every window after a change of the inputs."""
        return self._loss(self.forecast(change(self.x)))

    def _loss(self, forecast: Tensor) -> Float[Tensor, " window"]:
        return observed_mean((forecast - self.y).square(), dim=(1, 2))

    def ratio(self, loss: Tensor) -> float | None:
        """Mean loss over that of the raw windows."""
        return number(loss.mean() / self.raw_loss.mean())


Losses = dict[str, np.ndarray[Any, np.dtype[Any]]]


def truncation(look: _Look) -> tuple[dict[str, Any], Losses]:
    """The oldest part replaced, since input sizes are fixed: by the oldest value kept, or by the mean of what is kept.

    Gives for both fills the loss over the raw one at each share left, on the grid of eighths; `enough`, the
    shortest suffix (steps) from which on every longer one is within 1 % of the raw loss; and the better of both.
    """
    lookback = look.x.shape[1]
    grid = sorted({-(-lookback * step // _STEPS) for step in range(1, _STEPS + 1)})
    summary: dict[str, Any] = {"lookback": lookback, "kept": grid, "tolerance": TOLERANCE}
    losses: Losses = {}
    for fill in ("value", "mean"):
        found = {keep: look.loss(lambda x, keep=keep, fill=fill: truncated(x, keep, fill)) for keep in grid[:-1]}  # type: ignore[misc]
        found[lookback] = look.raw_loss
        ratios = [look.ratio(found[keep]) for keep in grid]
        summary[fill] = {"ratio": ratios, "enough": _enough(grid, ratios)}
        for share in SHARES:
            keep = -(-lookback * round(share * _STEPS) // _STEPS)
            losses[f"last_{share:g}_{fill}_loss"] = found[keep].numpy()
    summary["enough"] = min(summary["value"]["enough"], summary["mean"]["enough"])
    return summary, losses


def truncated(
    x: Float[Tensor, "window lookback channel"], keep: int, fill: str
) -> Float[Tensor, "window lookback channel"]:
    """The last `keep` steps behind a constant: their first value (`value`) or their mean (`mean`).

    Args:
        x: inputs.
        keep: steps that stay, from 1 to the lookback.
        fill: `value` or `mean`.
    """
    kept = x[:, x.shape[1] - keep :]
    constant = kept[:, :1] if fill == "value" else kept.mean(dim=1, keepdim=True)
    return torch.cat([constant.expand(-1, x.shape[1] - keep, -1), kept], dim=1)


def _enough(grid: list[int], ratios: list[float | None]) -> int:
    enough = grid[-1]
    for keep, ratio in zip(reversed(grid), reversed(ratios), strict=True):
        if ratio is None or ratio > 1 + TOLERANCE:
            break
        enough = keep
    return enough


def order(look: _Look, generator: torch.Generator) -> tuple[dict[str, Any], Losses]:
    """Steps of the window shuffled, the same way in all windows; losses over the raw one, mean over three draws.

    `all` steps; `but_last`, all but the last eighth; `blocks`, the order of eight blocks but not the order inside;
    `inside`, the order inside each of the blocks.
    """
    lookback = look.x.shape[1]
    block = -(-lookback // 8)
    blocks = torch.arange(lookback).split(block)  # type: ignore[no-untyped-call]

    def shuffled(steps: Tensor) -> Tensor:
        return steps[torch.randperm(len(steps), generator=generator)]

    orders: dict[str, Callable[[], Tensor]] = {
        "all": lambda: shuffled(torch.arange(lookback)),
        "but_last": lambda: torch.cat([shuffled(torch.arange(lookback - block)), torch.arange(lookback)[-block:]]),
        "blocks": lambda: torch.cat([blocks[i] for i in torch.randperm(len(blocks), generator=generator)]),
        "inside": lambda: torch.cat([shuffled(each) for each in blocks]),
    }
    summary: dict[str, Any] = {"block": block}
    losses: Losses = {}
    for name, draw in orders.items():
        drawn = [draw() for _ in range(_DRAWS)]
        loss = torch.stack([look.loss(lambda x, steps=steps: x[:, steps]) for steps in drawn]).mean(dim=0)  # type: ignore[misc]
        summary[name] = look.ratio(loss)
        losses[f"order_{name}_loss"] = loss.numpy()
    return summary, losses


def channels(look: _Look, generator: torch.Generator) -> dict[str, Any]:
    """Whether channels are told apart, and whether a channel's forecast depends on the others.

    `equivariant`: forecasts of permuted channels, put back in order, equal the raw ones. `independent`: a channel's
    forecast stays the same when all other channels come from another window; `influence` is how far it moves, over
    the spread of its forecasts (largest over at most 8 channels, evenly chosen), and `ratio` what that does to its
    loss.
    """
    count = look.x.shape[2]
    if count == 1:
        return {"why_not": "there is one channel"}
    permutation = torch.randperm(count, generator=generator)
    if bool((permutation == torch.arange(count)).all()):
        permutation = permutation.roll(1)
    back = torch.argsort(permutation)
    moved = look.forecast(look.x[:, :, permutation])[:, :, back]
    chosen = torch.unique(torch.linspace(0, count - 1, min(count, _CHANNELS)).round().long())
    other = look.x.roll(max(1, len(look.x) // 2), dims=0)
    influence, before, after = [], [], []
    for channel in chosen.tolist():
        rest = [each for each in range(count) if each != channel]
        mixed = look.x.clone()
        mixed[:, :, rest] = other[:, :, rest]
        forecast, raw, y = (z[:, :, channel] for z in (look.forecast(mixed), look.raw, look.y))
        influence.append(_relative(forecast - raw, raw - raw.mean()))
        before.append(observed_mean((raw - y).square()))
        after.append(observed_mean((forecast - y).square()))
    permuted = _largest(moved - look.raw, look.raw)
    return {
        "permuted": number(permuted),
        "equivariant": permuted < EQUAL,
        "influence": number(max(influence)),
        "independent": max(influence) < EQUAL,
        "ratio": number(observed_mean(torch.stack(after)) / observed_mean(torch.stack(before))),
    }


def constant(look: _Look) -> dict[str, Any]:
    """Windows that are constant, at several levels: is the forecast finite, constant, and at the level?

    Numbers are in standard deviations of the training rows: `wobble`, the largest distance of a forecast from its own
    mean over the horizon; `offset`, the largest distance from the level.
    """
    levels = torch.tensor(_LEVELS, dtype=look.x.dtype)
    forecast = look.forecast(levels[:, None, None] + torch.zeros_like(look.x[:1]))  # at the time of the first window
    return {
        "levels": list(_LEVELS),
        "finite": bool(torch.isfinite(forecast).all()),
        "wobble": number((forecast - forecast.mean(dim=1, keepdim=True)).abs().max()),
        "offset": number((forecast - levels.double()[:, None, None]).abs().max()),
    }


def equivariance(look: _Look) -> dict[str, Any]:
    """How far forecasts of shifted (x + 1) and scaled (2 x) windows are from shifted and scaled forecasts.

    Root mean square, over the spread of the forecasts.
    """
    spread_ = look.raw - look.raw.mean(dim=(0, 1))
    return {
        "shift": number(_relative(look.forecast(look.x + 1) - look.raw - 1, spread_)),
        "scale": number(_relative(look.forecast(2 * look.x) - 2 * look.raw, 2 * spread_)),
    }


def superposition(look: _Look) -> dict[str, Any]:
    r"""Is the effect of a change the same in every window? :math:`f(x + u) - f(x)` against :math:`f(y + u) - f(y)`.

    u is the difference of two other windows; `difference` is the root mean square of the two effects' difference over
    that of the effects: 0 for an affine forecaster, about 1.4 if the effects have nothing in common. The windows are
    a quarter of the sample apart.
    """
    if len(look.x) < 4:
        return {"why_not": "there are fewer than four windows"}
    quarter = len(look.x) // 4
    u = look.x.roll(2 * quarter, dims=0) - look.x.roll(3 * quarter, dims=0)
    here = look.forecast(look.x + u) - look.raw
    there = look.forecast(look.x.roll(quarter, dims=0) + u) - look.raw.roll(quarter, dims=0)
    return {"difference": number(_relative(here - there, torch.stack([here, there])))}


def _relative(difference: Tensor, scale: Tensor) -> float:
    """Root mean square over root mean square; 0 if nothing differs."""
    top = difference.square().mean().sqrt()
    return float(top / scale.square().mean().sqrt()) if top > 0 else 0.0


def _largest(difference: Tensor, scale: Tensor) -> float:
    """Largest over largest; 0 if nothing differs."""
    top = difference.abs().max()
    return float(top / scale.abs().max()) if top > 0 else 0.0
