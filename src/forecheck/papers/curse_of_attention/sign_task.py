"""Next-step prediction split by signs: what a repetition draws, how its networks are trained, and their risks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from forecheck.papers.curse_of_attention.theory.pattern_penalty import PatternPenalty
from forecheck.papers.curse_of_attention.theory.residual_ssm import Form, ResidualSSM, Signs, residual_ssm
from forecheck.papers.curse_of_attention.theory.training import Optimizer, Trajectory, stable_step, train
from forecheck.papers.curse_of_attention.theory.two_layer import Parameters, TwoLayer, as_tensors

SETS: tuple[Signs, ...] = ("all", "consistent", "inconsistent")
"""Test sets: the training law itself (in distribution), and its parts by the signs of the last and the next step."""
STEPS = 8
"""The length of a window, d."""
VALIDATION = 1000


class Pairs(NamedTuple):
    """Windows (sample, step) and next steps (sample)."""

    x: Tensor
    y: Tensor


class Task(NamedTuple):
    """What one repetition draws; `start` is the seed of the network."""

    law: ResidualSSM
    train: Pairs
    validation: Pairs
    tests: Mapping[str, Pairs]
    start: int


def draw_task(
    form: Form, gamma: float, noise: float, seed: int, count: int, test: int, share: float | None = None
) -> Task:
    """A law with its own background direction, and its samples, all from streams of their own.

    Args:
        form, gamma, noise: of the law.
        seed: of everything.
        count: training windows.
        test: windows of each test set.
        share: of sign-inconsistent windows in training and validation; None for the unrestricted law.
    """
    first = 10 * seed  # ten streams a repetition
    law = residual_ssm(form, STEPS, gamma, noise, seed=first)
    tests = {"all": drawn(law, test, first + 3)}
    tests |= {"consistent": drawn(law, test, first + 4, 0.0), "inconsistent": drawn(law, test, first + 5, 1.0)}
    return Task(law, drawn(law, count, first + 1, share), drawn(law, VALIDATION, first + 2, share), tests, first + 6)


def drawn(law: ResidualSSM, count: int, seed: int, share: float | None = None) -> Pairs:
    """Samples of the law, or a mixture: a share of them sign-inconsistent, the others consistent.

    Args:
        law: what is sampled.
        count: windows.
        seed: of their streams.
        share: of sign-inconsistent windows, from 0 to 1; None for the unrestricted law.

    Raises:
        UsageError: if a share is given and the last step determines the sign of the next.
    """
    if share is None:
        sample = law.sample(count, seed)
        return Pairs(*as_tensors(sample.x, sample.y))
    turned = round(share * count)
    parts = []
    if turned:
        parts.append(law.sample(turned, seed, "inconsistent"))
    if turned < count:
        parts.append(law.sample(count - turned, seed, "consistent", start=turned))
    return Pairs(*as_tensors(np.concatenate([p.x for p in parts]), np.concatenate([p.y for p in parts])))


class Fit(NamedTuple):
    """The network of the optimiser that did best on the validation windows at the end of training."""

    model: TwoLayer
    choice: int
    trajectory: Trajectory
    stopped: Parameters

    def forecast(self, x: Tensor) -> Tensor:
        """At the end of training."""
        return self.model.predict(self.trajectory.end, x)

    def forecast_stopped(self, x: Tensor) -> Tensor:
        """After that of the kept steps at which the validation risk was least."""
        return self.model.predict(self.stopped, x)


def fit(
    model: TwoLayer,
    task: Task,
    optimizers: Sequence[Optimizer],
    neurons: int,
    steps: int,
    penalty: PatternPenalty | None = None,
) -> Fit:
    """Train with each optimiser and keep the best by validation; those that diverge are out.

    Args:
        model: the form of the network.
        task: what it is trained on.
        optimizers: candidates; the step of gradient descent is in units of `stable_step`.
        neurons, steps: width and length of training.
        penalty: added to the loss.

    Raises:
        ValueError: if all diverge.
    """
    start = model.initial(neurons, STEPS, task.start)
    unit = stable_step(model, start, task.train.x) if any(each.name == "gd" for each in optimizers) else 1.0
    added = None if penalty is None else lambda now: penalty.gradient(model, now, task.train.x)
    found: list[tuple[float, Fit]] = []
    failed: list[ValueError] = []
    for choice, each in enumerate(optimizers):
        scaled = replace(each, lr=each.lr * unit) if each.name == "gd" else each
        try:
            trajectory = train(model, start, *task.train, scaled, steps, keep=times(steps), penalty=added)
        except ValueError as error:
            failed.append(error)
            continue
        risks = {
            count: risk(model.predict(now, task.validation.x), task.validation)
            for count, now in trajectory.kept.items()
        }
        best = min(risks, key=lambda count: risks[count])
        found.append((risks[max(risks)], Fit(model, choice, trajectory, trajectory.kept[best])))
    if not found:
        raise failed[0]
    return min(found, key=lambda pair: pair[0])[1]


def times(steps: int) -> list[int]:
    """About two in a power of ten, up to the last step."""
    return sorted({round(10 ** (k / 2)) for k in range(12) if 10 ** (k / 2) < steps} | {steps})


def risk(forecast: Tensor, pairs: Pairs) -> float:
    """Mean squared error."""
    return float((forecast - pairs.y).square().mean())


def risks(forecast: Callable[[Tensor], Tensor], tests: Mapping[str, Pairs]) -> dict[str, float]:
    """By test set."""
    return {name: risk(forecast(pairs.x), pairs) for name, pairs in tests.items()}


def linear_risks(weights: np.ndarray, tests: Mapping[str, Pairs]) -> dict[str, float]:
    """Of a linear rule, by test set."""
    rule = torch.from_numpy(np.asarray(weights, dtype=np.float64))
    return risks(lambda x: x @ rule, tests)
