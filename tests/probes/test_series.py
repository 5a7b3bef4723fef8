import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from measure_cases import case

from forecheck.data.sentinels import sentinels
from forecheck.data.windows import prepare
from forecheck.probes.series import (
    difference_autocorrelation,
    near_constant,
    target_spread,
)
from panels import hourly, ragged


def test_codes_are_found_with_their_first_row():
    panel = hourly()
    panel.values[[17, 40, 41], 1] = -9999
    panel.values[100, 1] = 99999
    assert [(s.channel, s.value, s.count, s.first) for s in sentinels(panel)] == [
        ("c1", 99999.0, 1, 100),
        ("c1", -9999.0, 3, 17),
    ]


def test_a_repeated_far_value_is_found_without_being_known():
    panel = hourly()
    panel.values[[3, 5], 0] = 1234.5
    assert [(s.channel, s.value, s.count) for s in sentinels(panel)] == [("c0", 1234.5, 2)]
    panel.values[5, 0] = 50
    assert sentinels(panel) == []  # once, it is an outlier


@given(st.integers(0, 1000))
def test_heavy_tails_and_rain_are_no_codes(seed):
    rng = np.random.default_rng(seed)
    panel = hourly(400)
    panel.values[:, 0] = np.round(np.where(rng.random(400) < 0.9, 0, rng.gamma(0.5, 4, 400)), 1)
    panel.values[:, 1] = np.round(rng.standard_t(3, 400), 2)
    assert [s for s in sentinels(panel) if s.count < 2] == []
    assert not any(s.channel == "c1" for s in sentinels(panel))


def test_a_series_that_reaches_a_code_by_itself_has_none():
    panel = hourly()
    panel.values[:, 0] = np.arange(600) * 2 - 101.0
    panel.values[:, 0] = np.where(panel.values[:, 0] > 995, 999, panel.values[:, 0])
    assert sentinels(panel) == []


@pytest.mark.skipif("FORECHECK_DATA" not in os.environ, reason="real sets are not here")
def test_weather_holds_its_codes():
    import forecheck

    found = sentinels(forecheck.load("weather"))
    assert {s.value for s in found} == {-9999.0}
    assert {"wv (m/s)", "OT"} <= {s.channel for s in found}


def test_near_constant_windows_are_counted():
    panel = hourly(600)
    panel.values[:300, 1] = 7.0
    panel.values[:300:2, 0] += 1e-6
    train = prepare(panel, 48, 12).train
    shares = near_constant(train)
    constant = np.array([(o <= 300) for o in train.origins])
    np.testing.assert_allclose(shares, [0, constant.mean()])


@pytest.mark.parametrize("panel", [hourly(), ragged()], ids=["one series", "ragged"])
def test_spread_of_targets_is_that_of_brute_force(panel):
    test = prepare(panel, 24, 6).test
    y = np.stack([test.values[o : o + 6] for o in test.origins])
    last = np.stack([test.values[o - 1 : o] for o in test.origins])
    found = target_spread(test)
    assert found["last"] == pytest.approx(np.square(y - last).mean(), rel=1e-5)
    assert found["mean"] == pytest.approx(y.var(axis=(0, 1)).mean(), rel=1e-5)


def test_autocorrelation_of_differences_knows_noise_walks_and_curves():
    rng = np.random.default_rng(0)
    panel = hourly(6000, channels=3)
    panel.values[:] = np.stack(
        [rng.standard_normal(6000), rng.standard_normal(6000).cumsum(), np.sin(np.arange(6000) / 50)], axis=1
    )
    np.testing.assert_allclose(difference_autocorrelation(prepare(panel, 8, 1)), [-0.5, 0, 1], atol=0.04)


def test_differences_do_not_straddle_series():
    panel = ragged()
    experiment = prepare(panel, 24, 6)
    top = bottom = 0.0
    for s in range(3):
        z = experiment.train.values[panel.series_rows(s)][: experiment.borders.train_end[s], 0]
        d = np.diff(z) - np.diff(z).mean()
        top, bottom = top + (d[1:] * d[:-1]).sum(), bottom + (d * d).sum()
    np.testing.assert_allclose(difference_autocorrelation(experiment), [top / bottom])


def test_the_last_value_has_no_r2():
    made = case("last")
    _, x, y = next(made.experiment.test.batches(10_000))
    mse = float((made.forecaster.predict(x) - y).square().mean())
    assert 1 - mse / target_spread(made.experiment.test)["last"] == pytest.approx(0, abs=1e-6)
