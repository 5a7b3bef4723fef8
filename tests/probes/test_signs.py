import numpy as np
import pytest
import torch
from measure_cases import case

from forecheck.probes.signs import signs
from panels import hourly


def noise(rows=4000, seed=0):
    panel = hourly(rows, channels=2)
    panel.values[:] = np.random.default_rng(seed).standard_normal(panel.values.shape)
    return panel


def test_signs_of_noise_are_inconsistent_half_of_the_time():
    summary, arrays = signs(case("last", panel=noise()))
    # Differences of white noise turn over in arccos(-1/2) / pi = 2/3 of the cases: they share their middle value.
    assert summary["level"]["share"] == pytest.approx(0.5, abs=0.03)
    assert summary["difference"]["first_step_share"] == pytest.approx(2 / 3, abs=0.04)
    assert arrays["level_share"].shape == (12,)
    assert summary["level"]["ties"] == 0


def test_shares_and_losses_are_those_of_brute_force():
    made = case("mean", horizon=5)
    summary, arrays = signs(made)
    z, errors, products = made.experiment.test.values.astype(np.float32), [], {"level": [], "difference": []}
    for o in made.experiment.test.origins:
        y, last = z[o : o + 5], z[o - 1]
        errors.append((z[o - 48 : o].mean(axis=0) - y) ** 2)
        products["level"].append(last * y)
        products["difference"].append((last - z[o - 2]) * (y - last))
    errors = np.array(errors)
    for view, listed in products.items():
        product = np.array(listed)
        np.testing.assert_allclose(arrays[f"{view}_share"], (product < 0).mean(axis=(0, 2)))
        for name, members in (("inconsistent", product < 0), ("consistent", product > 0)):
            assert summary[view]["mse"][name]["forecaster"] == pytest.approx(errors[members].mean(), rel=1e-4)
            for h in range(5):
                expected = errors[:, h][members[:, h]].mean()
                assert arrays[f"{view}_{name}_mse"][h] == pytest.approx(expected, rel=1e-4)


def test_values_that_repeat_have_no_sign():
    panel = noise(600)
    panel.values[:] = np.repeat(panel.values[::60], 60, axis=0)
    summary, _ = signs(case("last", panel=panel, lookback=8, horizon=1))
    assert summary["difference"]["ties"] > 0.9
    assert summary["level"]["ties"] == 0


def test_a_series_of_one_sign_has_an_empty_class():
    panel = noise(600)
    made = case("last", panel=panel, lookback=8, horizon=1)
    made.experiment.test.values[:] = 1 + np.abs(made.experiment.test.values)
    summary, arrays = signs(made)
    assert summary["level"]["share"] == 0
    assert summary["level"]["mse"]["inconsistent"] == {"forecaster": None, "last": None, "zero": None}
    assert np.isnan(arrays["level_inconsistent_mse"]).all()
    assert torch.isfinite(torch.tensor(summary["level"]["mse"]["consistent"]["forecaster"]))
