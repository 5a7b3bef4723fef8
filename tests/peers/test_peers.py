"""Peers in a backtest: the same windows and losses, nothing of what comes later, and what fails by name."""

import sys
import types
from typing import ClassVar

import numpy as np
import pytest

import forecheck as fc
from forecheck.combination.combine import combine
from forecheck.combination.ragged import ragged as batch_of
from forecheck.data.windows import prepare
from forecheck.errors import ForecheckError, UsageError
from forecheck.peers import find
from forecheck.peers.base import Assignment
from forecheck.peers.find import create_peer, is_peer, release_of
from panels import hourly, ragged


def module(name, **content):
    made = types.ModuleType(name)
    vars(made).update(content)
    return made


class LastOfStats:
    """As a model of statsforecast: it forecasts the last value, and notes what it was given."""

    seen: ClassVar = []

    def __init__(self, season_length=1, shift=0.0, fails=()):
        self.period, self.shift, self.fails = season_length, shift, fails

    def fit(self, y):
        if len(y) in self.fails:
            raise ValueError("no constants fit")
        self.seen.append(("fit", self.period, y.copy()))
        return self

    def forward(self, y, h):
        self.seen.append(("forward", self.period, y.copy()))
        return {"mean": np.full(h, y[-1] + self.shift)}

    def forecast(self, y, h):
        return {"mean": np.full(h, np.nan)}


class Refitted(LastOfStats):
    def forward(self, y, h):
        raise NotImplementedError

    def forecast(self, y, h):
        return {"mean": np.full(h, y[-1])}


@pytest.fixture
def statsforecast(monkeypatch):
    models = module("statsforecast.models", LastOfStats=LastOfStats, Refitted=Refitted, number=3)
    monkeypatch.setitem(sys.modules, "statsforecast", module("statsforecast", models=models, __version__="9.9"))
    monkeypatch.setitem(sys.modules, "statsforecast.models", models)
    monkeypatch.setattr(LastOfStats, "seen", [])


def backtest(panel, models, tmp_path, **options):
    given = {"horizon": 6, "workers": 0, "store": tmp_path, "lookback": 12} | options
    return fc.backtest(panel, models, **given)


def row(report, model):
    return next(each for each in report.to_dict()["table"] if each["model"] == model)


@pytest.mark.parametrize("panel", [hourly(200), ragged((120, 150, 90))], ids=["channels", "series"])
@pytest.mark.parametrize("name", ["LastOfStats", "Refitted"])
def test_a_peer_that_repeats_the_last_value_has_the_losses_of_ours(panel, name, statsforecast, tmp_path):
    report = backtest(panel, ["last", f"statsforecast:{name}"], tmp_path)
    ours, theirs = row(report, "last"), row(report, f"statsforecast:{name}")
    for key in ("mse", "mae", "mse_real", "mae_real", "validation_mse"):
        assert theirs[key] == pytest.approx(ours[key], rel=1e-5)
    assert theirs["options"] == {"release": "9.9"}
    assert theirs["lookback"] is None


def test_a_peer_is_fitted_on_the_training_rows_and_sees_no_row_after_an_origin(statsforecast, tmp_path):
    panel = ragged((120, 150, 90))
    backtest(panel, ["statsforecast:LastOfStats"], tmp_path, period=7)
    borders = prepare(panel, 12, 6).borders
    parts = [panel.values[panel.series_rows(k), 0] for k in range(3)]
    fits = [y for what, _, y in LastOfStats.seen if what == "fit"]
    assert {period for _, period, _ in LastOfStats.seen} == {7}
    assert [len(y) for y in fits] == borders.train_end.tolist()
    ends = set()
    for what, _, y in LastOfStats.seen:
        whole = next(part for part in parts if np.array_equal(part[: len(y)], y))
        if what == "forward":
            ends.add((len(whole), len(y)))
    expected = {
        (len(part), end)
        for part, first, last in zip(parts, borders.train_end, borders.test_end, strict=True)
        for end in range(first, last - 5)
    }
    within = {each for each in expected if each in ends}
    assert within == ends
    assert max(end for _, end in ends) == 150 - 6


def test_series_that_cannot_be_fitted_are_named_and_the_last_value_stands_in(statsforecast, tmp_path):
    panel = ragged((120, 150, 90))
    short = int(prepare(panel, 12, 6).borders.train_end.min())
    options = {"statsforecast:LastOfStats": {"fails": f"({short},)", "shift": 0.0}}
    report = backtest(panel, ["last", "statsforecast:LastOfStats"], tmp_path, options=options)
    notes = " ".join(report.to_dict()["protocol"]["notes"])
    assert panel.series[int(np.argmin(prepare(panel, 12, 6).borders.train_end))] in notes
    assert "ValueError: no constants fit" in notes
    assert "the last value stands in" in notes
    assert row(report, "statsforecast:LastOfStats")["mse"] == pytest.approx(row(report, "last")["mse"], rel=1e-5)
    assert "statsforecast:LastOfStats" in report.to_markdown()


def test_forecasts_that_are_not_finite_are_refused(statsforecast, monkeypatch, tmp_path):
    monkeypatch.setattr(LastOfStats, "forward", lambda self, y, h: {"mean": np.full(h, np.inf)})
    report = backtest(ragged((120, 150, 90)), ["last", "statsforecast:LastOfStats"], tmp_path)
    notes = " ".join(report.to_dict()["protocol"]["notes"])
    assert "series (a forecast is not finite): the last value stands in" in notes
    assert row(report, "statsforecast:LastOfStats")["mse"] == pytest.approx(row(report, "last")["mse"], rel=1e-5)


def test_options_and_releases_tell_trials_apart(statsforecast, tmp_path, monkeypatch):
    name = "statsforecast:LastOfStats"
    plain = backtest(hourly(200), [name], tmp_path)
    moved = backtest(hourly(200), [name], tmp_path, options={name: {"shift": "3.5"}})
    assert row(moved, name)["mae_real"] != row(plain, name)["mae_real"]
    again = backtest(hourly(200), [name], tmp_path)
    assert again.to_dict()["protocol"]["trials"] == {"total": 1, "from store": 1}
    monkeypatch.setattr(sys.modules["statsforecast"], "__version__", "10.0")
    newer = backtest(hourly(200), [name], tmp_path)
    assert newer.to_dict()["protocol"]["trials"] == {"total": 1, "from store": 0}


def test_the_combination_of_a_backtest_is_that_of_the_rows_before_each_origin(tmp_path):
    panel = hourly(150)
    report = backtest(panel, ["last", "combination"], tmp_path, step=5)
    windows = prepare(panel, 12, 6, step=5)
    scaler, errors = windows.scaler, []
    for origin in windows.test.origins:
        past = [panel.values[:origin, channel] for channel in range(panel.values.shape[1])]
        point = combine(batch_of(past), 6, (24, 168)).point.T
        errors.append((point - panel.values[origin : origin + 6]) / scaler.std[0])
    assert row(report, "combination")["mse"] == pytest.approx(float(np.square(errors).mean()), rel=1e-4)
    assert "made anew at every origin" in " ".join(report.to_dict()["protocol"]["notes"])


def test_the_advice_can_be_followed(statsforecast, tmp_path):
    theirs = backtest(hourly(200), ["statsforecast:LastOfStats"], tmp_path)
    assert theirs.verdict["advice"] == "LastOfStats of statsforecast, fitted on all rows"
    ours = backtest(hourly(100), ["combination"], tmp_path, step=10)
    assert ours.verdict["advice"].endswith("horizon=6, model='combination')")


class LastOfFrames:
    """As MLForecast and NeuralForecast: frames in, frames out, ids in any order."""

    def __init__(self, models, freq, **options):
        assert freq == 1
        self.options = options

    def fit(self, df, **_):
        assert list(df.columns) == ["unique_id", "ds", "y"]
        self.ids = df["unique_id"].nunique()

    def predict(self, h=None, new_df=None, df=None):
        import pandas as pd

        given = new_df if df is None else df
        h = h or LastOfFrames.horizon
        rows = [
            {"unique_id": name, "ds": int(part["ds"].iloc[-1]) + 1 + k, "model": part["y"].iloc[-1]}
            for name, part in given.groupby("unique_id")
            for k in range(h)
        ]
        return pd.DataFrame(rows[::-1])


def test_peers_that_take_frames_forecast_every_history(monkeypatch, tmp_path):
    LastOfFrames.horizon = 6
    transforms = module("mlforecast.target_transforms", Differences=list, LocalStandardScaler=dict)
    mlforecast = module("mlforecast", MLForecast=LastOfFrames, target_transforms=transforms, __version__="1")
    models = module("neuralforecast.models", Net=type("Net", (dict,), {}))
    neuralforecast = module("neuralforecast", NeuralForecast=LastOfFrames, models=models, __version__="1")
    for each in (mlforecast, transforms, neuralforecast, models, module("lightgbm", LGBMRegressor=dict)):
        monkeypatch.setitem(sys.modules, each.__name__, each)
    names = ["mlforecast:LGBM", "neuralforecast:Net"]
    report = backtest(ragged((120, 150, 130)), ["last", *names], tmp_path, period=4, seeds=2)
    for name in names:
        assert row(report, name)["mse"] == pytest.approx(row(report, "last")["mse"], rel=1e-5)
    assert [row(report, name)["seeds"] for name in names] == [1, 2]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gluonts:DeepAR", "no peer is called"),
        ("statsforecast:", "no peer is called"),
        (":AutoETS", "no peer is called"),
        ("statsforecast:AutoEST", "has no model 'AutoEST'"),
        ("statsforecast:number", "has no model 'number'"),
    ],
)
def test_names_that_stand_for_nothing(name, message, statsforecast, tmp_path):
    with pytest.raises(UsageError, match=message):
        backtest(hourly(200), ["last", name], tmp_path)


def test_an_option_that_there_is_not(statsforecast):
    with pytest.raises(UsageError, match="cannot be made"):
        create_peer("statsforecast:LastOfStats", Assignment(6), {"seasons": "3"})
    with pytest.raises(UsageError, match="no options"):
        create_peer("combination", Assignment(6), {"ridge": 1})


@pytest.mark.parametrize("library", ["statsforecast", "mlforecast", "neuralforecast", "chronos"])
def test_what_is_not_installed_is_refused_with_how_to_install_it(library, monkeypatch, tmp_path):
    monkeypatch.setattr(find, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=f"needs {library}") as caught:
        backtest(hourly(200), ["last", f"{library}:Model"], tmp_path)
    assert "pip install" in str(caught.value)
    assert "forecheck[peers]" in str(caught.value)


def test_a_library_that_breaks_is_named(statsforecast, monkeypatch, tmp_path):
    monkeypatch.setattr("forecheck.peers.statsforecast.StatsForecastPeer.forecast", lambda self, histories: 1 / 0)
    with pytest.raises(ForecheckError, match="statsforecast:LastOfStats fails: ZeroDivisionError"):
        backtest(hourly(200), ["last", "statsforecast:LastOfStats"], tmp_path)


def test_names_of_peers():
    assert is_peer("combination")
    assert is_peer("statsforecast:AutoETS")
    assert not is_peer("nlinear")
    assert release_of("combination") == "own"
