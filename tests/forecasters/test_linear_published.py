"""Test errors on the public benchmarks under their standard splits, against known values of the closed form."""

import os

import pytest

from forecheck.data.windows import prepare
from forecheck.forecasters.base import Task
from forecheck.forecasters.linear import LinearConfig, NLinear, RLinear

pytestmark = pytest.mark.skipif("FORECHECK_DATA" not in os.environ, reason="needs the data sets in FORECHECK_DATA")

# All test windows, standardised by the training rows, lookback 336, shared weights and bias, no ridge.
PUBLISHED = {
    ("ETTh1", 96): (0.3702, 0.3915),
    ("ETTh1", 192): (0.4034, 0.4112),
    ("ETTh1", 336): (0.4277, 0.4262),
    ("ETTh1", 720): (0.4344, 0.4505),
    ("ETTh2", 96): (0.2726, None),
    ("ETTh2", 192): (0.3343, None),
    ("ETTh2", 336): (0.3588, None),
    ("ETTh2", 720): (0.3930, None),
    ("exchange_rate", 96): (0.0857, None),
    ("exchange_rate", 192): (0.1796, None),
    ("exchange_rate", 336): (0.3389, None),
    ("exchange_rate", 720): (0.9846, None),
}


def errors(forecaster, windows):
    """MSE and MAE over all windows."""
    squared = absolute = 0.0
    for _, x, y in windows.batches(256):
        difference = (forecaster.predict(x) - y).double()
        squared += float(difference.square().sum())
        absolute += float(difference.abs().sum())
    count = len(windows) * windows.horizon * windows.channels
    return squared / count, absolute / count


def fit(member, name, horizon, **options):
    from forecheck.data.load import load

    experiment = prepare(load(name), 336, horizon)
    made = member(Task(336, horizon, experiment.test.channels), LinearConfig(**options))
    return made, made.fit(experiment.train, experiment.validation), experiment


@pytest.mark.parametrize(("name", "horizon"), PUBLISHED, ids=str)
@pytest.mark.parametrize("member", [NLinear, RLinear], ids=lambda member: member.name)
def test_least_squares_on_the_benchmarks(member, name, horizon):
    made, _, experiment = fit(member, name, horizon, ridge=0.0)
    mse, mae = errors(made, experiment.test)
    expected_mse, expected_mae = PUBLISHED[name, horizon]
    assert mse == pytest.approx(expected_mse, abs=1e-4)
    assert expected_mae is None or mae == pytest.approx(expected_mae, abs=1e-4)


def test_ridge_by_validation_on_etth1():
    made, report, experiment = fit(NLinear, "ETTh1", 96)
    assert report.details["ridge"] > 0
    mse, mae = errors(made, experiment.test)
    assert mse == pytest.approx(0.3698, abs=1e-4)
    assert mae == pytest.approx(0.3913, abs=1e-4)
