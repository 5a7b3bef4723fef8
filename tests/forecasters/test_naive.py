"""The naive forecasters against their definitions, and the contract."""

import pytest
import torch

from forecheck.data.windows import Windows
from forecheck.errors import UsageError
from forecheck.forecasters.base import Task
from forecheck.forecasters.naive import Last, Mean, Seasonal
from forecheck.forecasters.registry import load, read_config

TASK = Task(lookback=12, horizon=7, channels=2, period=5)
ALL = pytest.mark.parametrize("forecaster", [Last, Seasonal, Mean], ids=lambda f: f.name)


@pytest.fixture
def x():
    return torch.randn(11, 12, 2, generator=torch.Generator().manual_seed(0))


def test_last_repeats_the_last_value(x):
    forecast = Last(TASK).predict(x)
    assert forecast.shape == (11, 7, 2)
    for h in range(7):
        assert torch.equal(forecast[:, h], x[:, -1])


def test_seasonal_is_the_value_a_whole_number_of_seasons_earlier(x):
    forecast = Seasonal(TASK).predict(x)
    extended = torch.cat([x, forecast], dim=1)
    assert forecast.shape == (11, 7, 2)
    assert torch.equal(extended[:, 12:], extended[:, 12 - 5 : -5])


def test_seasonal_with_period_one_is_the_last_value(x):
    task = Task(12, 7, 2)
    assert torch.equal(Seasonal(task).predict(x), Last(task).predict(x))


def test_seasonal_needs_a_whole_season():
    assert Seasonal(Task(5, 7, 2, period=5)).predict(torch.zeros(1, 5, 2)).shape == (1, 7, 2)
    with pytest.raises(UsageError, match=r"last 5 steps, but the lookback is 4"):
        Seasonal(Task(4, 7, 2, period=5))


def test_mean_is_the_mean_of_the_window(x):
    forecast = Mean(TASK).predict(x)
    assert forecast.shape == (11, 7, 2)
    torch.testing.assert_close(forecast, x.mean(dim=1, keepdim=True).expand(11, 7, 2))


@ALL
def test_contract(forecaster, x, tmp_path, rng_values):
    windows = Windows(rng_values, 12, 7, torch.arange(12, 30).numpy())
    made = forecaster(TASK)
    said = []
    report = made.fit(windows, windows, progress=lambda done, word: said.append((done, word)))
    assert report.parameters == 0
    assert said[-1][0] == 1
    whole = made.predict(x)
    assert whole.dtype == x.dtype
    assert torch.equal(torch.cat([made.predict(part) for part in x.split(3)]), whole)
    made.save(tmp_path / "saved")
    again = load(tmp_path / "saved")
    assert type(again) is forecaster
    assert again.task == TASK
    assert torch.equal(again.predict(x), whole)


@ALL
def test_there_are_no_options(forecaster):
    with pytest.raises(UsageError, match=r"no option 'ridge'\n  Options: none"):
        read_config(forecaster, {"ridge": "1"})


@pytest.fixture
def rng_values():
    return torch.randn(40, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64).numpy()
