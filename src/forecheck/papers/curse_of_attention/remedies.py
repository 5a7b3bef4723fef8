"""E7: the remedies of section 7.2, and controls of ours, on the two-layer network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from forecheck.papers.curse_of_attention.sign_task import STEPS, Fit, Task, draw_task, fit, linear_risks, risk, risks
from forecheck.papers.curse_of_attention.theory import sign
from forecheck.papers.curse_of_attention.theory.pattern_penalty import PatternPenalty
from forecheck.papers.curse_of_attention.theory.residual_ssm import Form
from forecheck.papers.curse_of_attention.theory.training import Optimizer
from forecheck.papers.curse_of_attention.theory.two_layer import TwoLayer
from forecheck.papers.experiment import Bench, Experiment

TEST = 4000
TUNING = 1000
"""The repetition that chooses step sizes and strengths; none of those that are reported."""
_PLAIN = TwoLayer()
_GD = tuple(Optimizer("gd", lr) for lr in (0.25, 0.5, 1.0))
_ADAM = tuple(Optimizer("adam", lr) for lr in (0.005, 0.02, 0.05))
_DECAY = tuple(Optimizer("gd", lr, decay=decay) for lr in (0.5, 1.0) for decay in (1.0, 5.0, 20.0))
_DECOUPLED = tuple(
    Optimizer("adam", lr, decay=decay, decoupled=True) for lr in (0.005, 0.02) for decay in (0.1, 1.0, 10.0)
)
_DRIFT = tuple(Optimizer("gd", lr, drift=drift) for lr in (0.5, 1.0) for drift in (0.5, 1.0))


@dataclass(frozen=True)
class Remedy:
    """A form of the network and how it is trained.

    Attributes:
        model: the form.
        optimizers: candidates, of which the best on validation windows of `TUNING` is taken.
        penalties: added to the loss, candidates as well; none if empty.
    """

    model: TwoLayer = _PLAIN
    optimizers: tuple[Optimizer, ...] = _ADAM
    penalties: tuple[PatternPenalty, ...] = ()


def _penalties(kind: Any) -> tuple[PatternPenalty, ...]:
    return tuple(PatternPenalty(kind, strength, floor=0.8) for strength in (0.3, 30.0))


REMEDIES = {
    "none (gd)": Remedy(optimizers=_GD),
    "none (adam)": Remedy(),
    "weight decay (gd)": Remedy(optimizers=_DECAY),
    "decoupled weight decay (adam)": Remedy(optimizers=_DECOUPLED),
    "differential": Remedy(TwoLayer(differential=True)),
    "differential, trained a": Remedy(TwoLayer(differential=True, train_output=True)),
    "rope": Remedy(TwoLayer(rope=True)),
    "rope, trained a": Remedy(TwoLayer(rope=True, train_output=True)),
    "without drift (gd)": Remedy(optimizers=_DRIFT),
    "local penalty": Remedy(optimizers=_ADAM[:2], penalties=_penalties("local")),
    "entropy floor": Remedy(optimizers=_ADAM[:2], penalties=_penalties("entropy")),
    "recency": Remedy(TwoLayer(recency=0.5)),
    "recency, trained a": Remedy(TwoLayer(recency=0.5, train_output=True)),
    "trained a": Remedy(TwoLayer(train_output=True)),
    "skip": Remedy(TwoLayer(skip=True)),
    "position bias": Remedy(TwoLayer(bias=True)),
    "position bias, trained a": Remedy(TwoLayer(bias=True, train_output=True)),
    "position bias, trained a, skip": Remedy(TwoLayer(bias=True, train_output=True, skip=True)),
}


def base_of(remedy: str) -> str:
    """The untreated network of the same optimiser; of Adam itself, that of gradient descent."""
    return "none (gd)" if remedy == "none (adam)" else f"none ({REMEDIES[remedy].optimizers[0].name})"


def remedy(bench: Bench, form: Form, name: str, seeds: int, windows: int, neurons: int, steps: int) -> dict[str, Any]:
    """Risks by repetition and test set of a network with a remedy, tuned on a repetition apart.

    Args:
        bench: reports progress.
        form: of the process, whose gamma is 0.5 and noise 0.1.
        name: one of `REMEDIES`.
        seeds: repetitions, numbered from 0.
        windows: in training.
        neurons: m.
        steps: of training.

    Returns:
        `repetitions`, each with the risks of network and references, the training error and the last step's share of
        attention; the settings that were `taken`, of how many that were `tried`.
    """
    found, forms = REMEDIES[name], {"noise": 0.1, "gamma": 0.5}

    def drawn(seed: int) -> Task:
        return draw_task(form, seed=seed, count=windows, test=TEST, **forms)

    def trained(task: Task, optimizer: Optimizer, penalty: PatternPenalty | None) -> Fit:
        return fit(found.model, task, [optimizer], neurons, steps, penalty)

    tuning, tried = drawn(TUNING), []
    for optimizer in found.optimizers:
        for penalty in found.penalties or (None,):
            fitted = trained(tuning, optimizer, penalty)
            tried.append((risk(fitted.forecast(tuning.validation.x), tuning.validation), optimizer, penalty))
    _, optimizer, penalty = min(tried, key=lambda each: each[0])
    repetitions = []
    for seed in range(seeds):
        bench.progress(seed / seeds, f"repetition {seed + 1} of {seeds}")
        task = drawn(seed)
        fitted = trained(task, optimizer, penalty)
        x, y = (each.numpy() for each in task.train)
        share = fitted.model.shares(fitted.trajectory.end, task.validation.x)[-1]
        repetitions.append(
            {
                "network": risks(fitted.forecast, task.tests),
                "stopped": risks(fitted.forecast_stopped, task.tests),
                "zero": linear_risks(torch.zeros(STEPS).numpy(), task.tests),
                "residual": linear_risks(sign.fit_residual_linear(x, y), task.tests),
                "floor": task.law.linear_error,
                "train": float(fitted.trajectory.errors[-1]),
                "last share": float(share.mean()),
            }
        )
    return {"repetitions": repetitions, "taken": _described(optimizer, penalty), "tried": len(tried)}


def _described(optimizer: Optimizer, penalty: PatternPenalty | None) -> str:
    settings = [f"step {optimizer.lr:g}{' / lambda_max' if optimizer.name == 'gd' else ''}"]
    settings += [f"decay {optimizer.decay:g}"] if optimizer.decay else []
    settings += [f"drift {optimizer.drift:g}"] if optimizer.drift else []
    settings += [f"mu {penalty.strength:g}"] if penalty else []
    return ", ".join(settings)


def _parts(seeds: int, windows: int, neurons: int, steps: int) -> list[dict[str, Any]]:
    sizes = {"seeds": seeds, "windows": windows, "neurons": neurons, "steps": steps}
    return [{"form": form, "name": name, **sizes} for name in REMEDIES for form in ("unit", "flat")]


REMEDY = Experiment("remedies", remedy, quick=_parts(5, 256, 32, 500), full=_parts(8, 256, 32, 1500))
