"""Autoregressions inside windows against statsmodels, and on the set of unseen orders against the known errors."""

import numpy as np
import pytest
import torch
from statsmodels.tsa.api import VAR

from forecheck.papers.samovar.var_orders import var_orders
from forecheck.papers.samovar.window_regression import fit_windows, forecast_windows


def test_coefficients_are_those_of_statsmodels():
    windows = torch.randn(3, 40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    made = fit_windows(windows, 3)
    for window, coefficients, ahead in zip(windows, made, forecast_windows(windows, made), strict=True):
        theirs = VAR(window.numpy()).fit(3, trend="n")
        np.testing.assert_allclose(coefficients, theirs.coefs, rtol=1e-8, atol=1e-12)
        np.testing.assert_allclose(ahead, theirs.forecast(window.numpy(), 1)[0], rtol=1e-8)


def test_a_ridge_is_as_many_rows_of_zeros():
    window = torch.randn(1, 20, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    x = window[0].numpy()
    lagged = np.concatenate([np.hstack([x[1:-1], x[:-2]]), np.sqrt(0.7) * np.eye(4)])
    target = np.concatenate([x[2:], np.zeros((4, 2))])
    expected = np.linalg.lstsq(lagged, target, rcond=None)[0].T
    np.testing.assert_allclose(torch.cat(list(fit_windows(window, 2, 0.7)[0]), dim=1), expected, rtol=1e-10)


@pytest.mark.parametrize(("order", "ridge", "known"), [(4, 0.1, 0.00252), (4, 0.0, 0.00260), (3, 0.0, 0.00304)])
def test_errors_on_the_set_of_unseen_orders(order, ridge, known):
    values = torch.from_numpy(var_orders("validation").values)
    forecast = forecast_windows(values[:, :-1], fit_windows(values[:, :-1], order, ridge))
    assert (forecast - values[:, -1]).square().mean().item() == pytest.approx(known, abs=6e-6)
