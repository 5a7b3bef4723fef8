"""Sharpness-aware minimisation: the formula on a quadratic, the same masks twice, and nothing moved for good."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from forecheck.data.windows import Windows
from forecheck.nn.dropout import Dropout
from forecheck.training.loop import train
from forecheck.training.recipe import Recipe
from forecheck.training.sharpness import ascended

CURVATURE = torch.tensor([1.0, 4.0, 0.5])


class Quadratic(nn.Module):
    """Its loss is half of sum(curvature w^2), whatever the windows."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))

    def forward(self, x):
        return x.new_zeros(len(x), 1, 1) + 0 * self.w.sum()

    def loss(self, x, y):
        return (CURVATURE * self.w.square()).sum() / 2


def windows_of(count=12):
    values = np.random.default_rng(0).normal(size=(count + 4, 1))
    return Windows(values, 4, 1, np.arange(4, 4 + count))


@pytest.mark.parametrize("rho", [0.05, 2.0])
def test_two_passes_on_a_quadratic(rho):
    model = Quadratic()
    w = model.w.detach().clone()
    train(model, windows_of(), windows_of(), Recipe(epochs=1, batch=12, lr=0.1, optimizer="sgd", momentum=0, sam=rho))
    gradient = CURVATURE * w
    there = w + rho * gradient / gradient.norm()
    torch.testing.assert_close(model.w.detach(), w - 0.1 * CURVATURE * there)


class Noisy(nn.Module):
    """Remembers every mask; normalises over the batch."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(4, 8), nn.Linear(8, 1)
        self.norm, self.dropout = nn.BatchNorm1d(8), Dropout(0.5)
        self.masks, self.moved = [], []

    def forward(self, x):
        z = self.norm(self.inner(x[..., 0]))
        dropped = self.dropout(torch.ones_like(z))
        if self.training:
            self.masks.append(dropped)
            self.moved.append(self.inner.weight.detach().clone())
        return self.outer(z * dropped)[..., None]


def test_both_passes_draw_the_same_masks_in_every_micro_batch():
    model = Noisy()
    train(model, windows_of(), windows_of(), Recipe(epochs=1, batch=6, micro_batch=3, sam=0.5))
    first, second = (model.masks[0:2], model.masks[2:4])
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(model.masks[4], first[0])  # another step, another mask
    assert torch.equal(model.moved[0], model.moved[1])
    assert not torch.equal(model.moved[1], model.moved[2])


def test_running_statistics_follow_the_first_pass_only():
    recipe = Recipe(epochs=1, batch=12, lr=1e-30, optimizer="sgd", momentum=0)
    plain, sharp = Noisy(), Noisy()
    train(plain, windows_of(), windows_of(), recipe)
    train(sharp, windows_of(), windows_of(), replace(recipe, sam=0.5))
    torch.testing.assert_close(sharp.state_dict(), plain.state_dict())
    assert sharp.norm.num_batches_tracked == 1


def test_micro_batches_make_the_same_step_as_the_whole_batch():
    class Smooth(Noisy):
        def forward(self, x):
            return self.outer(torch.tanh(self.inner(x[..., 0])))[..., None]

    whole, parts = Smooth(), Smooth()
    recipe = Recipe(epochs=2, batch=6, lr=0.1, optimizer="sgd", sam=0.5)
    train(whole, windows_of(), windows_of(), recipe)
    train(parts, windows_of(), windows_of(), replace(recipe, micro_batch=2))
    torch.testing.assert_close(parts.state_dict(), whole.state_dict(), rtol=1e-5, atol=1e-6)


def test_weights_come_back_bit_for_bit_even_after_an_error():
    model = Noisy()
    model(torch.randn(5, 4, 1)).square().sum().backward()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    distances = []

    def fail_there():
        with ascended(model, 0.3):
            distances.append(torch.cat([(p - before[name]).flatten() for name, p in model.named_parameters()]).norm())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_there()
    assert distances[0].item() == pytest.approx(0.3, rel=1e-5)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_without_a_gradient_nothing_moves():
    model = Quadratic()
    model.w.grad = torch.zeros(3)
    with ascended(model, 1.0):
        assert model.w.tolist() == [1.0, -2.0, 3.0]
