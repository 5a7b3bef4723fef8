"""The part of the contract that is about trained networks: `forecheck.forecasters.neural.NeuralForecaster`."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jaxtyping
import torch
from torch import Tensor, nn

from forecheck.forecasters.neural import NeuralForecaster
from forecheck.nn.seeding import initialise, reseed
from forecheck.testing.subject import WINDOWS, Check, Subject, require
from forecheck.training.loop import training_loss
from forecheck.training.precision import computed_in

_BATCH = 32  # windows that the network is trained on
_STEPS = 10
_NONZERO = 0.9  # share of the gradients' numbers
_HALF = 0.05  # of the forecasts' root mean square: bfloat16 rounds by up to 0.4 % at every operation

_ROUGHLY = 0.1  # of the length of a gradient


def check_causality(subject: Subject) -> None:
    """Where a network claims to be causal (`causal_part`), later positions do not reach the outputs of earlier ones.

    Inputs from a position on are exchanged for noise of their own size: outputs before it stay, outputs at it change.
    """
    part = _fitted(subject).causal_part(subject.x)
    if part is None:
        return
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(part.inputs.shape, generator=generator) * part.inputs.std() + part.inputs.mean()
    positions = part.inputs.shape[1]
    with torch.no_grad():
        _fitted(subject).module.eval()
        before = part.function(part.inputs)
        for first in {1, positions // 2, positions - 1} - {0}:
            after = part.function(torch.cat([part.inputs[:, :first], noise[:, first:]], dim=1))
            require(
                torch.allclose(before[:, :first], after[:, :first], rtol=1e-4, atol=1e-5),
                f"inputs from position {first} on reach outputs before it: they change by up to "
                f"{float((before - after)[:, :first].abs().max()):.2g}",
            )
            moved = not torch.equal(before[:, first], after[:, first])
            require(moved, f"the output at position {first} does not depend on the input there: nothing was checked")


def check_gradients(subject: Subject) -> None:
    """One step's loss gives every parameter a gradient that is finite and not zero, and nearly all of its numbers."""
    module, x, y = _untrained(subject)
    module.train()
    reseed(module, 0, 0)
    training_loss(module, x, y).backward()  # type: ignore[no-untyped-call]
    gradients = {name: p.grad for name, p in module.named_parameters() if p.requires_grad}
    found = {name: gradient for name, gradient in gradients.items() if gradient is not None}
    without = [name for name in gradients if name not in found]
    require(not without, f"the loss gives no gradient to {', '.join(without)}")
    infinite = [name for name, gradient in found.items() if not torch.isfinite(gradient).all()]
    require(not infinite, f"gradients that are not finite: {', '.join(infinite)}")
    zero = [name for name, gradient in found.items() if not gradient.any()]
    require(not zero, f"gradients that are zero throughout: {', '.join(zero)}")
    share = sum(int((g != 0).sum()) for g in found.values()) / sum(g.numel() for g in found.values())
    require(share >= _NONZERO, f"only {share:.0%} of the gradients' numbers are not zero")


def check_ten_steps(subject: Subject) -> None:
    """Ten steps of Adam on one batch, at the recipe's learning rate, reduce the loss of this batch."""
    module, x, y = _untrained(subject)
    before = _loss(module, x, y)
    optimizer = torch.optim.Adam(module.parameters(), lr=subject.new().config.lr)
    for step in range(_STEPS):
        module.train()
        reseed(module, 0, step)
        optimizer.zero_grad()
        training_loss(module, x, y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    after = _loss(module, x, y)
    require(after < before, f"{_STEPS} steps take the loss from {before:.4g} to {after:.4g}")


def check_half_precision(subject: Subject) -> None:
    """In bfloat16 the network forecasts what it does in float32, up to 5 % of the forecasts' root mean square."""
    module = _fitted(subject).module
    half = copy.deepcopy(module).to(torch.bfloat16).eval()
    with torch.no_grad():
        whole, rounded = module.eval()(subject.x), half(subject.x.bfloat16())
    require(rounded.dtype == torch.bfloat16, f"a network in bfloat16 forecasts in {rounded.dtype}")
    off = float((rounded.float() - whole).square().mean().sqrt() / whole.square().mean().sqrt())
    require(off <= _HALF, f"bfloat16 changes forecasts by {off:.1%} of their root mean square")


def check_mixed_precision(subject: Subject) -> None:
    """Trained with `precision=bfloat16`, a batch has float32's loss up to 5 %, and its gradient up to 10 %."""
    module, x, y = _untrained(subject)
    module.eval()  # dropout masks would be others
    found = []
    for precision in ("float32", "bfloat16"):
        module.zero_grad()
        reseed(module, 0, 0)
        with computed_in(precision, "cpu"):
            loss = training_loss(module, x, y)
        loss.backward()  # type: ignore[no-untyped-call]
        gradient = torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])
        found.append((loss.item(), gradient))
    (whole, expected), (half, gradient) = found
    require(abs(half - whole) <= _HALF * whole, f"the loss is {half:.4g} in bfloat16, {whole:.4g} in float32")
    off = float((gradient - expected).norm() / expected.norm())
    require(off <= _ROUGHLY, f"the gradient in bfloat16 is off by {off:.0%}")


def check_export(subject: Subject) -> None:
    """`torch.export` of the network forecasts the same, for other numbers of windows than it was exported with."""
    module = _fitted(subject).module.eval()
    with torch.no_grad(), _unchecked_annotations():
        shapes = ({0: torch.export.Dim("batch", min=1)},)
        exported: Any = torch.export.export(module, (subject.x[:4],), dynamic_shapes=shapes).module()
        for batch in (1, WINDOWS):
            x = subject.x[:batch]
            off = float((exported(x) - module(x)).abs().max())
            require(off <= 1e-4, f"the exported network forecasts {batch} windows differently, by up to {off:.2g}")


NETWORK_CHECKS: tuple[Check, ...] = (
    check_causality,
    check_gradients,
    check_ten_steps,
    check_half_precision,
    check_mixed_precision,
    check_export,
)
"""What networks sign besides `FORECASTER_CHECKS`."""


def is_network(subject: Subject) -> bool:
    """Whether these checks apply."""
    return issubclass(subject.kind, NeuralForecaster)


def _fitted(subject: Subject) -> NeuralForecaster:
    assert isinstance(subject.fitted, NeuralForecaster)
    return subject.fitted


def _untrained(subject: Subject) -> tuple[nn.Module, Tensor, Tensor]:
    """The network before its first step, and a batch."""
    forecaster = subject.new()
    assert isinstance(forecaster, NeuralForecaster)
    initialise(forecaster.module, 0)
    return forecaster.module, *subject.experiment.train.gather(slice(0, _BATCH))


@contextmanager
def _unchecked_annotations() -> Iterator[None]:
    """Where tests execute annotations: the sizes that an export records are no ints."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


@torch.no_grad()
def _loss(module: nn.Module, x: Tensor, y: Tensor) -> float:
    module.eval()
    return float(training_loss(module, x, y))
