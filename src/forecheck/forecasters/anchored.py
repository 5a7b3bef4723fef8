"""anchored: the last value, and a stacked mean of closed-form forecasts as far as it is certain to be better."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from forecheck.data.windows import Windows
from forecheck.errors import DataError, UsageError
from forecheck.forecasters.base import FitReport, Forecaster, Task
from forecheck.forecasters.folds import Fold, expanding_folds
from forecheck.forecasters.linear_members import (
    NORMALISATIONS,
    fit_members,
    free_lookback,
    grams_of,
    has_season,
    linear_members,
    member_names,
    naive_members,
    prior_of,
)
from forecheck.forecasters.registry import register
from forecheck.forecasters.stacking import (
    balanced,
    certain_share,
    error_moments,
    mean_moments,
    stack,
    stack_without,
)
from forecheck.progress import Progress

Maps = list[Tensor]
_CUTS = (0.5, 0.75)
_MOST = 160  # windows of a series that a fold holds out
_CHUNK = 1 << 22  # numbers of all members' forecasts held at once: 32 MB
_HELD = 1 << 25  # numbers of one map a channel, 256 MB; where there would be more, members forecast one by one


@dataclass(frozen=True)
class AnchoredConfig:
    """Options of anchored.

    Attributes:
        lookbacks: lengths of the members' inputs, as far as the task's lookback reaches; the whole window if it
            reaches none.
        ridge: strength of the penalty on the members' weights, in units of the mean eigenvalue of their Gram matrix.
        shrinkage: strength of the pull towards equal weights of the linear members and none of the naive ones, in
            units of the best member's mean squared error.
        per_channel: stack every channel by itself; the members are shared either way.
        seasons: how many of the last seasons the seasonal member averages.
        level: confidence with which the stacked mean must beat the last value to replace it.
    """

    lookbacks: tuple[int, ...] | list[int] = (96, 192, 336, 512, 720, 1024, 1536)  # a list where JSON gave it
    ridge: float = 0.1
    shrinkage: float = 1.0
    per_channel: bool = True
    seasons: int = 7
    level: float = 0.95

    def __post_init__(self) -> None:
        object.__setattr__(self, "lookbacks", tuple(self.lookbacks))
        if not self.lookbacks or min(self.lookbacks) < 1 or len(set(self.lookbacks)) < len(self.lookbacks):
            raise ValueError(f"lookbacks must be positive and differ, got {self.lookbacks}")
        for name in ("ridge", "shrinkage"):
            value = getattr(self, name)
            if not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be finite and positive, got {value}")
        if self.seasons < 1:
            raise ValueError(f"seasons must be positive, got {self.seasons}")
        if not 0.5 < self.level < 1:
            raise ValueError(f"level must lie between .5 and 1, got {self.level}")


@register
class Anchored(Forecaster):
    r"""A weighted mean of linear and naive forecasts, mixed with the last value.

    .. math:: \hat y_c = (1 - a) \, x_{c,L} 1 + a \sum_k w_{ck} \, \hat y_{ck}

    Members are ridge regressions at one fixed strength without intercept, over several lookbacks and normalisations,
    each on all windows that its lookback leaves, one with nearly no ridge and an intercept, the last season, the mean
    of the last few and the last value itself. All are fitted on halves of the training part, on three quarters and on
    all of it. Their errors on what follows each (validation in the end), every fold in units of its best member's, give
    the weights w (`stacking.simplex_weights`) and the share a (`stacking.certain_share`), for which the weights come
    from the other folds. Then the members that were fitted on the whole training part forecast.

    Choosing by validation alone picks wrong where it holds few independent windows: on random walks it prefers
    members that revert to some mean. That is what the folds inside the training part, the pull towards equal
    weights of the regressions and the share are for. Where the ridge smooths too much or series drift, the one
    with nearly no ridge takes the place of the stack as far as it is certain to be better, before the share is found.

    Source: this project. Its parts: Breiman, *Stacked Regressions*, Machine Learning 1996; Zeng et al., AAAI 2023
    (the linear members); Timmermann, *Forecast Combinations*, Handbook of Economic Forecasting 2006 (equal weights).
    """

    name = "anchored"
    summary = "stacked closed-form linear forecasts, as far as they are certain to beat the last value"
    mixes = "steps of one channel, by linear maps"
    source = "this project; Breiman, Stacked Regressions, 1996; Zeng et al., AAAI 2023"
    rank = 15
    Config = AnchoredConfig

    def __init__(self, task: Task, config: Any = None) -> None:
        super().__init__(task, config)
        reached = [lookback for lookback in sorted(self.config.lookbacks) if lookback <= task.lookback]
        self.lookbacks = reached or [task.lookback]
        self.members = member_names(self.lookbacks, seasonal=has_season(task.lookback, task.period))
        self._maps: Maps | None = None
        self._weights: Float[Tensor, "channel member"] | None = None
        self._whole: Float[Tensor, "channel affine horizon"] | None = None

    @classmethod
    def room(cls, task: Task, config: Any, free: int) -> float:
        """Gram matrices of training and validation windows, and the work on them."""
        del config, free
        return 32.0 * task.lookback * (task.lookback + task.horizon)

    @property
    def _prior(self) -> Float[np.ndarray, " member"]:
        """Weights that the stack is pulled to."""
        return prior_of(self.lookbacks, seasonal=has_season(self.task.lookback, self.task.period))

    @property
    def parameters(self) -> int:
        """The members' maps and their weights."""
        maps = (len(NORMALISATIONS) * sum(self.lookbacks) + free_lookback(self.lookbacks) + 1) * self.task.horizon
        return maps + (self.task.channels if self.config.per_channel else 1) * len(self.members)

    def fit(self, train: Windows, validation: Windows, seed: int = 0, progress: Progress | None = None) -> FitReport:
        """Fit the members and their weights; `seed` changes nothing.

        `details` holds `share` (a), `freed` (of the map with nearly no ridge in place of the stack), `folds`, `members`
        (name to weight, the mean over channels, before the share), `member_mse` (name to mean squared error over the
        held windows) and `mse` (of the forecast before the share and of the last value, with weights of the other
        folds).

        Args:
            train, validation, seed, progress: as in `Forecaster.fit`.
        """
        del seed
        start = time.perf_counter()
        folds = expanding_folds(train, validation, _CUTS, _MOST, self.task.period)
        parts, maps = [], Maps()
        for number, fold in enumerate(folds):
            maps = fit_members(grams_of(fold.fit, self.lookbacks), self.lookbacks, self.config.ridge)
            parts.append(self._moments(fold.held, maps))
            if progress is not None:
                progress((number + 1) / len(folds), "folds")
        moments = np.concatenate(parts)
        number_of = np.repeat(np.arange(len(folds)), [len(part) for part in parts])
        options = {"shrinkage": self.config.shrinkage, "per_channel": self.config.per_channel, "prior": self._prior}
        alike = balanced(moments, number_of)
        weights = stack(alike, **options)
        blind = stack_without(alike, number_of, **options)
        last, *_, free = np.eye(len(self.members))
        judge = {"times": _times(folds), "horizon": folds[-1].held.overlap, "level": self.config.level}
        freed = certain_share(moments, np.broadcast_to(free, blind.shape), start=blind, **judge)
        weights, blind = (freed * free + (1 - freed) * each for each in (weights, blind))
        share = certain_share(moments, blind, **judge)
        self._maps, self._weights = maps, torch.from_numpy(share * weights + (1 - share) * last)
        self._whole = None
        loss = np.einsum("wck,wckj,wcj->", blind, np.nan_to_num(moments), blind, optimize=True)
        loss /= np.count_nonzero(~np.isnan(moments[..., 0, 0]))
        errors = mean_moments(moments, axis=(0, 1)).diagonal()
        return FitReport(
            seconds=time.perf_counter() - start,
            parameters=self.parameters,
            details={
                "share": share,
                "freed": freed,
                "folds": len(folds),
                "members": dict(zip(self.members, weights.mean(axis=0).tolist(), strict=True)),
                "member_mse": dict(zip(self.members, errors.tolist(), strict=True)),
                "mse": {"stacked": float(loss), "last value": float(errors[0])},
            },
        )

    def _moments(self, windows: Windows, maps: Maps) -> Float[np.ndarray, "window channel member member"]:
        """Mean products of the members' errors over the observed horizon, of every window and channel."""
        size = max(1, _CHUNK // (len(self.members) * windows.channels * windows.horizon))
        parts = []
        for _, x, y in windows.batches(size):
            errors = self._forecasts(x.transpose(1, 2).double(), maps) - y.transpose(1, 2).double()
            parts.append(error_moments(errors, gaps=windows.targets is not None))
        return torch.cat(parts).numpy()

    def _forecasts(
        self, x: Float[Tensor, "batch channel lookback"], maps: Maps
    ) -> Float[Tensor, "member batch channel horizon"]:
        naive = naive_members(x, self.task.horizon, self.task.period, self.config.seasons)
        return torch.cat([naive, linear_members(x, maps)])

    def predict(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """The weighted mean, in float64 whatever the type of `x`, so that a batch's rounding does not show.

        Raises:
            UsageError: if nothing was fitted yet.
        """
        maps, weights = self._fitted()
        x64 = x.transpose(1, 2).double()
        if self.task.channels * self.task.lookback * self.task.horizon > _HELD:
            return torch.einsum("kbch,ck->bhc", self._forecasts(x64, maps), weights).to(x.dtype)
        if self._whole is None:
            self._whole = self.affine_map()
        return (torch.einsum("bcl,clh->bhc", x64, self._whole[:, :-1]) + self._whole[:, -1].T).to(x.dtype)

    def affine_map(self) -> Float[Tensor, "channel affine horizon"]:
        r"""All that was fitted as one map a channel: every member is linear but one, which has an intercept.

        .. math:: \hat y_c = V_c^\top x_c + b_c, \qquad (V_c, b_c) = \sum_k w_{ck} (V_k, b_k)

        The last row is b.
        """
        maps, weights = self._fitted()
        task, config = self.task, self.config
        units = torch.eye(task.lookback, dtype=torch.float64)[:, None]  # a window for every step
        naive = naive_members(units, task.horizon, task.period, config.seasons)[:, :, 0]  # (naive, lookback, horizon)
        found = torch.einsum("ck,klh->clh", weights[:, : len(naive)], naive)
        found = torch.nn.functional.pad(found, (0, 0, 0, 1))
        *usual, free = maps
        place = len(naive)
        for group in usual:
            some = weights[:, place : place + len(group)]
            found[:, -1 - group.shape[1] : -1] += torch.einsum("cn,nlh->clh", some, group)
            place += len(group)
        found[:, -free.shape[1] :] += weights[:, -1, None, None] * free
        return found

    def _fitted(self) -> tuple[Maps, Float[Tensor, "channel member"]]:
        if self._maps is None or self._weights is None:
            raise UsageError(f"{self.name} is not fitted", "Call fit, or load a saved one.")
        return self._maps, self._weights

    def tensors(self) -> dict[str, Tensor]:
        """`weights` of the members a channel, the share applied, `map_L` of every lookback, and `map_free`, float64."""
        maps, weights = self._fitted()
        return {"weights": weights} | self.named(maps)

    def named(self, maps: Maps) -> dict[str, Tensor]:
        """Maps as `fit_members` gives them, by the names under which they are saved."""
        return dict(zip([*(f"map_{L}" for L in self.lookbacks), "map_free"], maps, strict=True))

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave.

        Raises:
            DataError: if shapes are not those of the task.
        """
        H = self.task.horizon
        free = (1, free_lookback(self.lookbacks) + 1, H)
        if "map_free" not in tensors:  # saved before there was that member
            no_map = torch.zeros(free, dtype=torch.float64)
            tensors = {**tensors, "map_free": no_map, "weights": torch.nn.functional.pad(tensors["weights"], (0, 1))}
        elif tensors["map_free"].shape == (1, free[1] - 1, H):  # saved before it had an intercept
            tensors = {**tensors, "map_free": torch.nn.functional.pad(tensors["map_free"], (0, 0, 0, 1))}
        shapes = {f"map_{L}": (len(NORMALISATIONS), L, H) for L in self.lookbacks}
        shapes["map_free"] = free
        expected = {"weights": (self.task.channels, len(self.members))} | shapes
        for key, shape in expected.items():
            found = tuple(tensors[key].shape)
            if found != shape:
                raise DataError(f"{key} of {self.name} has shape {found}, but the task needs {shape}")
        self._weights = tensors["weights"].double()
        self._maps = [tensors[key].double() for key in shapes]
        self._whole = None


def _times(folds: list[Fold]) -> Int[np.ndarray, " window"]:
    """Times of all held windows, fold after fold."""
    lengths = [0, *(int(fold.times.max()) + 1 for fold in folds)]
    return np.concatenate([fold.times + first for fold, first in zip(folds, np.cumsum(lengths), strict=False)])
