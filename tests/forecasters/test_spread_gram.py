"""Gram matrix of windows divided by their spread: against materialised windows, and where spreads vanish."""

import numpy as np
import pytest
import torch

from forecheck.data.windows import Windows, prepare
from forecheck.forecasters.spread_gram import spread_gram
from panels import hourly


def brute(windows, span):
    x, y = (part.double() for part in windows.gather(slice(None)))
    spread = x[:, -span:].std(dim=1, correction=0)  # (window, channel)
    lowest = np.quantile(spread[spread > 0].numpy(), 0.3)
    z = torch.cat([x, y], dim=1) / spread.clamp(min=lowest)[:, None]
    return z.transpose(1, 2).flatten(0, 1).numpy()


@pytest.mark.parametrize("span", [4, 20, 99])
def test_it_is_the_product_of_divided_windows(span):
    train = prepare(hourly(300), 20, 6).train
    z = brute(train, min(span, 20))
    found = spread_gram(train, span, 24)
    assert found.count == len(z)
    np.testing.assert_allclose(found.inputs, z[:, :20].T @ z[:, :20], rtol=1e-4)
    np.testing.assert_allclose(found.cross, z[:, :20].T @ z[:, 20:], rtol=1e-4)
    np.testing.assert_allclose(found.input_sum, z[:, :20].sum(axis=0), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.target_sum, z[:, 20:].sum(axis=0), rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(found.target_square, (z[:, 20:] ** 2).sum(axis=0), rtol=1e-4)


def test_of_many_windows_only_some_are_added_up():
    values = np.random.default_rng(0).standard_normal((30_000, 1))
    windows = Windows(values, 4, 1, np.arange(4, 29_999))
    found = spread_gram(windows, 4, 24)
    assert 5_000 < found.count < 12_001
    np.testing.assert_allclose(
        found.inputs / found.count, brute(windows, 4)[:, :4].T @ brute(windows, 4)[:, :4] / 29_995, atol=0.1
    )


def test_scale_of_a_stretch_does_not_count():
    """A stretch that moves a hundred times as much has no more say than the rest."""
    rng = np.random.default_rng(1)
    calm, wild = rng.standard_normal((400, 1)), 100 * rng.standard_normal((400, 1))
    found = spread_gram(Windows(np.concatenate([calm, wild]), 8, 2, np.arange(8, 798)), 8, 1)
    alone = spread_gram(Windows(calm, 8, 2, np.arange(8, 398)), 8, 1)
    assert found.inputs.trace() / found.count < 3 * alone.inputs.trace() / alone.count


def test_windows_without_any_movement():
    found = spread_gram(Windows(np.ones((50, 2)), 8, 2, np.arange(8, 48)), 8, 1)
    np.testing.assert_allclose(found.inputs, np.full((8, 8), 80.0))
