import json

import numpy as np
import pytest
import torch
from measure_cases import case, plain

from forecheck.probes import MEASURES
from forecheck.probes.blackbox import blackbox, truncated
from forecheck.probes.surrogate import _judged
from panels import hourly


def test_the_last_value_uses_the_last_value():
    summary, arrays = blackbox(case("last"))
    assert summary["truncation"]["enough"] == 6  # the shortest on the grid of eighths of 48
    assert summary["truncation"]["value"]["ratio"] == pytest.approx([1] * 8)
    assert summary["order"]["but_last"] == pytest.approx(1)
    assert summary["order"]["all"] != pytest.approx(1, abs=0.01)
    assert summary["channels"]["equivariant"]
    assert summary["channels"]["independent"]
    assert summary["channels"]["influence"] == 0
    assert summary["constant"] == {"levels": [-2.0, -0.5, 0.0, 1.0, 3.0], "finite": True, "wobble": 0.0, "offset": 0.0}
    assert summary["equivariance"]["shift"] < 1e-6
    assert summary["equivariance"]["scale"] == 0
    assert summary["superposition"]["difference"] < 1e-5
    assert summary["surrogate"]["shared"]["r2"] == pytest.approx(1)
    assert arrays["order_but_last_loss"] == pytest.approx(arrays["raw_loss"])


def test_the_window_mean_uses_all_of_it_in_any_order():
    summary, _ = blackbox(case("mean", panel=hourly(noise=0)))
    assert summary["truncation"]["enough"] > 24
    for name in ("all", "but_last", "blocks", "inside"):
        assert summary["order"][name] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("name", ["nlinear", "linear", "dlinear", "rlinear"])
def test_linear_models_are_linear(name):
    summary, arrays = blackbox(case(name))
    shared = summary["surrogate"]["shared"]
    assert shared["r2"] == pytest.approx(1, abs=1e-6)
    assert shared["r2_change"] == pytest.approx(1, abs=1e-6)
    assert shared["ratio"] == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(arrays["surrogate_loss"], arrays["raw_loss"], rtol=1e-3)
    assert summary["superposition"]["difference"] < 1e-5


def test_a_square_is_not_linear():
    summary, _ = blackbox(plain(lambda x: x[:, -12:].square()))
    assert summary["superposition"]["difference"] > 0.5
    assert summary["surrogate"]["shared"]["r2"] < 0.5
    assert summary["equivariance"]["scale"] > 0.1
    assert summary["constant"]["offset"] == pytest.approx(6)  # (-2)^2 against -2, 3^2 against 3
    assert summary["constant"]["wobble"] == 0


def test_r2_is_over_the_variance_and_over_the_change():
    rng = np.random.default_rng(0)
    linear, y, forecast = (rng.standard_normal((20, 4, 3)) for _ in range(3))
    x = rng.standard_normal((20, 6, 3))
    error = np.square(linear - forecast).mean()
    found = _judged(*(torch.tensor(z) for z in (linear, x, y, forecast)))
    assert found["r2"] == pytest.approx(1 - error / forecast.var(axis=(0, 1)).mean())
    assert found["r2_change"] == pytest.approx(1 - error / np.square(forecast - x[:, -1:]).mean())
    assert found["mse"] == pytest.approx(np.square(linear - y).mean())
    assert found["ratio"] == pytest.approx(np.square(linear - y).mean() / np.square(forecast - y).mean())


def test_channels_that_are_mixed_are_seen():
    summary, _ = blackbox(plain(lambda x: x[:, -12:].flip(2)))
    assert not summary["channels"]["independent"]
    assert summary["channels"]["influence"] > 0.5
    assert summary["channels"]["ratio"] != pytest.approx(1, abs=0.01)
    assert summary["channels"]["equivariant"]  # two channels: permuted means swapped
    assert summary["surrogate"]["shared"]["r2"] < 0.99
    assert summary["surrogate"]["across"]["r2"] == pytest.approx(1, abs=1e-6)


def test_channels_that_are_told_apart_are_seen():
    summary, _ = blackbox(plain(lambda x: x[:, -12:] * torch.tensor([1.0, 2.0])))
    assert not summary["channels"]["equivariant"]
    assert summary["channels"]["permuted"] > 0.1
    assert summary["channels"]["independent"]


def test_one_channel_has_no_others():
    summary, _ = blackbox(case("last", panel=hourly(channels=1)))
    assert summary["channels"] == {"why_not": "there is one channel"}
    assert "across" not in summary["surrogate"]


def test_truncated_windows_hold_what_they_should():
    x = torch.arange(8.0).reshape(1, 8, 1)
    assert truncated(x, 3, "value")[0, :, 0].tolist() == [5] * 5 + [5, 6, 7]
    assert truncated(x, 3, "mean")[0, :, 0].tolist() == [6] * 5 + [5, 6, 7]
    assert torch.equal(truncated(x, 8, "mean"), x)


def test_the_smallest_suffix_is_found():
    summary, arrays = blackbox(case("seasonal", panel=hourly(noise=0.05)))
    assert summary["truncation"]["enough"] == summary["truncation"]["value"]["enough"] == 24  # a day
    assert summary["truncation"]["value"]["ratio"][-1] == 1
    kept = summary["truncation"]["kept"].index(12)
    ratio = arrays["last_0.25_value_loss"].mean() / arrays["raw_loss"].mean()
    assert summary["truncation"]["value"]["ratio"][kept] == pytest.approx(ratio)


def test_a_forecast_that_is_not_finite_on_constants_is_told():
    def predict(x):
        return x[:, -12:] / x.std(dim=1, keepdim=True)

    summary, _ = blackbox(plain(predict))
    assert not summary["constant"]["finite"]
    assert summary["constant"]["offset"] is None
    json.dumps(summary, allow_nan=False)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("name", ["last", "nlinear", "patchtst"])
def test_measures_are_json_and_repeat(measure, name):
    summary, arrays = MEASURES[measure](case(name))
    again, arrays_again = MEASURES[measure](case(name))
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary == again
    assert arrays.keys() == arrays_again.keys()
    for key, value in arrays.items():
        np.testing.assert_array_equal(value, arrays_again[key])


@pytest.mark.parametrize("measure", MEASURES)
def test_measures_leave_no_trace(measure):
    made = case()
    x = made.experiment.test.gather(slice(0, 3))[0]
    before, torch_state, numpy_state = (
        made.forecaster.predict(x),
        torch.get_rng_state(),
        np.random.get_state()[1].copy(),  # noqa: NPY002
    )
    MEASURES[measure](made)
    assert torch.equal(made.forecaster.predict(x), before)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002
    assert all(p.grad is None for p in made.subject.module.parameters())
    assert torch.is_grad_enabled()
