"""Every check of the contract of networks can fail."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from forecheck.forecasters.neural import NeuralForecaster
from forecheck.nn.causal import CausalPart
from forecheck.testing import networks
from forecheck.testing.forecasters import FORECASTER_CHECKS, Subject, check_forecaster, checks_of
from forecheck.testing.networks import NETWORK_CHECKS
from forecheck.training.recipe import Recipe


class Running(nn.Module):
    """A linear map of the running mean of the window, which is causal."""

    def __init__(self, task):
        super().__init__()
        self.head = nn.Linear(task.lookback, task.horizon)

    def mix(self, x):
        return x.cumsum(dim=1) / torch.arange(1, x.shape[1] + 1, dtype=x.dtype)[:, None]

    def forward(self, x):
        return self.head(self.mix(x).mT).mT

    def causal_part(self, x):
        return CausalPart(x, self.mix)


@dataclass(frozen=True)
class Config(Recipe):
    epochs: int = 1
    lr: float = 0.01


class Honest(NeuralForecaster):
    """A forecaster around a network."""

    name, summary, source, rank = "honest", "a running mean, mapped", "this test", 99
    mixes = "steps of one channel"
    Config = Config
    Module = Running

    def build(self):
        return self.Module(self.task)


def test_an_honest_network_passes():
    assert checks_of(Subject(Honest)) == FORECASTER_CHECKS + NETWORK_CHECKS
    check_forecaster(Honest)


def broken(**methods):
    module = type("Module", (Running,), methods)
    return type("Broken", (Honest,), {"Module": module})


def spare(self, task):
    Running.__init__(self, task)
    self.spare = nn.Parameter(torch.ones(3))


def with_spare(factor):
    return broken(__init__=spare, forward=lambda self, x: Running.forward(self, x) + factor * self.spare.sum())


class StepsUphill(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return -gradient


def of_the_last(self, x):
    """Nearly all gradients are zero: the map sees one step of the window."""
    return self.head(torch.cat([torch.zeros_like(x[:, 1:]), x[:, -1:]], dim=1).mT).mT


def of_large_numbers(self, x):
    """What is left of two large products, which bfloat16 rounds to multiples of four."""
    return self.head((x + 1e3).mT).mT - self.head(torch.full_like(x, 1e3).mT).mT


BROKEN = [
    (networks.check_causality, broken(mix=lambda _, x: x - x.mean(dim=1, keepdim=True)), "reach outputs before it"),
    (networks.check_causality, broken(mix=lambda _, x: x.roll(1, dims=1) * torch.tensor(0)), "nothing was checked"),
    (networks.check_gradients, broken(__init__=spare), "no gradient to spare"),
    (networks.check_gradients, with_spare(0), "zero throughout: spare"),
    (networks.check_gradients, with_spare(torch.inf), "not finite: .*spare"),
    (networks.check_gradients, broken(forward=of_the_last), "of the gradients' numbers"),
    (networks.check_ten_steps, broken(forward=lambda m, x: StepsUphill.apply(Running.forward(m, x))), "take the loss"),
    (networks.check_half_precision, broken(mix=lambda _, x: (x + 1e3) - 1e3), "changes forecasts"),
    (networks.check_half_precision, broken(forward=lambda m, x: Running.forward(m, x).float()), "in torch.float32"),
    (networks.check_mixed_precision, broken(forward=of_large_numbers), "in bfloat16"),
    (
        networks.check_export,
        broken(forward=lambda m, x: Running.forward(m, x) * len(x)),
        "specialized it to be a constant",
    ),
]


@pytest.mark.parametrize(("check", "network", "message"), BROKEN)
def test_the_check_can_fail(check, network, message):
    with pytest.raises(Exception, match=message):
        check(Subject(network))


def test_every_check_is_shown_to_fail():
    assert {check for check, _, _ in BROKEN} == set(NETWORK_CHECKS)
