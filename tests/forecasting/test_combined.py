"""The combination as a forecast, as a fit in a folder, and as what `auto` starts from."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from protocols import parted

import forecheck as fc
from forecheck.combination.combine import combine
from forecheck.combination.ragged import from_panel
from forecheck.errors import DataError, UsageError
from forecheck.forecasting.candidates import CANDIDATES, COMBINATION, FORECAST_CANDIDATES
from forecheck.forecasting.choosing import chosen_of, scaled_losses
from forecheck.forecasting.fit import run_fit
from forecheck.forecasting.forecast import make_forecast
from forecheck.forecasting.saved import load_fit, save_fit
from forecheck.trials.means import Means
from forecheck.trials.store import Store
from panels import gappy, hourly, ragged


def fit_with(means, panel, horizon, **keywords):
    protocol, rest = parted(horizon, keywords)
    return run_fit(panel, protocol, means, **rest)


@pytest.fixture
def fit(tmp_path):
    return partial(fit_with, Means(Store(tmp_path / "store")))


def by_unit(forecast, horizon, column=None):
    return np.asarray(forecast.columns[column or forecast.model]).reshape(-1, horizon)


@pytest.mark.parametrize("panel", [hourly(300), ragged((90, 60, 120)), gappy(hourly(300), 0.1)])
def test_a_forecast_is_the_combination_of_the_panel(panel, fit):
    forecast = make_forecast(fit(panel, 6, model=COMBINATION), panel, [80])
    made = combine(from_panel(panel), 6, (24, 168) if panel.name == "waves" else (7, 364))
    assert list(forecast.columns)[2:] == ["combination", "combination-lo-80", "combination-hi-80"]
    assert (by_unit(forecast, 6) == made.point).all()
    low, high = made.interval(80)
    assert (by_unit(forecast, 6, "combination-lo-80") == low).all()
    assert (by_unit(forecast, 6, "combination-hi-80") == high).all()
    assert sum(forecast.info["members"].values()) == pytest.approx(1, abs=0.01)
    assert forecast.info["origins"] == len(made.origins)


def test_two_channels_of_two_series_stand_where_their_names_say(fit):
    one = ragged((60, 80))
    panel = replace(one, values=np.concatenate([one.values, 1000 + one.values], axis=1), channels=("sold", "stock"))
    forecast = make_forecast(fit(panel, 3, model=COMBINATION), panel)
    assert list(dict.fromkeys(forecast.columns["unique_id"])) == [
        "store_0/sold",
        "store_0/stock",
        "store_1/sold",
        "store_1/stock",
    ]
    assert (by_unit(forecast, 3).mean(axis=1) > 500).tolist() == [False, True, False, True]


# Short and constant series


def five(values=(1.0, 2.0, 4.0, 3.0, 5.0)):
    return fc.load(pa.table({"year": list(range(len(values))), "y": list(values)}), time="year")


def test_auto_forecasts_series_of_five_points_by_the_combination_alone(fit):
    panel = five()
    fitted = fit(panel, 3)
    assert fitted.info["model"] == COMBINATION
    assert "the other candidates cannot be tried" in fitted.info["rule"]
    forecast = make_forecast(fitted, panel, [80])
    assert 2 < by_unit(forecast, 3).mean() < 9
    assert any("too short to try more than 1 steps ahead" in note for note in forecast.info["notes"])


def test_four_points_are_refused_by_name(fit):
    with pytest.raises(DataError, match=r'"y" of .* has 4 observed values, fewer than the 5') as caught:
        fit(five((1.0, 2.0, 3.0, 4.0)), 2)
    assert "--drop" not in str(caught.value)  # nothing would be left
    short = ragged((40, 3))
    with pytest.raises(DataError, match=r'"store_1" of stores has 3 observed values') as caught:
        fit(short, 2)
    assert "--drop store_1" in str(caught.value)


def test_constant_series_are_read_and_forecast_by_their_value_with_a_note(fit):
    table = pa.table({"step": list(range(60)), "a": [7.0] * 60, "b": [float(i % 5) for i in range(60)]})
    panel = fc.load(table, time="step")
    forecast = make_forecast(fit(panel, 4), panel, [95])
    for column in ("combination", "combination-lo-95", "combination-hi-95"):
        assert (by_unit(forecast, 4, column)[0] == 7).all()
    assert '"a": never changes, and is forecast by its value' in forecast.info["notes"]
    with pytest.raises(DataError, match=r'channel "a" is constant \(7\)'):
        fit(panel, 4, model="nlinear", lookback=4)


def test_what_stays_above_zero_and_what_is_mostly_zero_is_told(fit):
    table = pa.table({"step": list(range(40)), "a": [float(i % 7 == 0) for i in range(40)]})
    panel = fc.load(table, time="step")
    forecast = make_forecast(fit(panel, 4, model=COMBINATION), panel, [95])
    assert (by_unit(forecast, 4, "combination-lo-95") >= 0).all()
    notes = " ".join(forecast.info["notes"])
    assert "never fall below zero" in notes
    assert '"a": zero at most steps' in notes


# Choice


def test_auto_compares_all_candidates_at_the_same_origins(fit, monkeypatch):
    monkeypatch.setattr("forecheck.forecasting.choosing._REACH", np.inf)
    fitted = fit(hourly(500), 12, lookback=48)
    assert set(fitted.info["rolling_mase"]) == set(FORECAST_CANDIDATES)
    assert set(fitted.info["validation_mse"]) == set(CANDIDATES)


def test_auto_fits_one_candidate_only_where_that_is_far_behind(fit, monkeypatch):
    monkeypatch.setattr("forecheck.forecasting.choosing._REACH", 0.0)
    fitted = fit(hourly(500), 12, lookback=48)
    assert fitted.info["model"] == COMBINATION
    assert set(fitted.info["rolling_mase"]) == {COMBINATION, "nlinear"}
    assert "nlinear is so far behind that no other was fitted" in fitted.info["rule"]


def test_auto_without_origins_behind_the_validation_part_is_the_combination(fit):
    fitted = fit(ragged((60, 60)), 12, lookback=2, split="50/25/25", period=24)
    assert fitted.info["model"] == COMBINATION
    assert "no rolling origin lies behind" in fitted.info["rule"]


@pytest.mark.parametrize("keywords", [{"lookback": 250}, {"split": "1+1+1"}])
def test_what_was_asked_for_and_cannot_be_done_is_refused(keywords, fit):
    with pytest.raises((DataError, UsageError)):
        fit(hourly(300), 6, **keywords)


def losses(**scales):
    """Losses of twelve origins and ten series; all share the noise, a part of each is its own."""
    rng = np.random.default_rng(0)
    shared = rng.uniform(0.5, 1.5, (12, 10))
    return {name: scale * shared + 0.02 * rng.standard_normal((12, 10)) for name, scale in scales.items()}


@pytest.mark.parametrize(
    ("scales", "chosen"),
    [
        ({COMBINATION: 1.0, "nlinear": 0.9, "last": 1.2}, "nlinear"),
        ({COMBINATION: 1.0, "nlinear": 0.9, "last": 0.905}, "last"),  # the simplest of those that beat it
        ({COMBINATION: 1.0, "nlinear": 0.995, "last": 1.0}, COMBINATION),  # within the margin
        ({COMBINATION: 1.0, "last": 1.0}, COMBINATION),
        ({COMBINATION: 1.0}, COMBINATION),
    ],
)
def test_a_candidate_must_beat_the_combination(scales, chosen):
    assert chosen_of(losses(**scales), COMBINATION, 0.01)[0] == chosen


def test_luck_of_one_series_or_one_origin_is_not_enough():
    found = losses(**{COMBINATION: 1.0, "nlinear": 1.0})
    found["nlinear"][:, 0] -= 0.4
    assert chosen_of(found, COMBINATION, 0.01)[0] == COMBINATION
    found = losses(**{COMBINATION: 1.0, "nlinear": 1.0})
    found["nlinear"][0] -= 0.4
    assert chosen_of(found, COMBINATION, 0.01)[0] == COMBINATION
    one = {name: loss[:1, :1] for name, loss in losses(**{COMBINATION: 1.0, "nlinear": 0.5}).items()}
    assert chosen_of(one, COMBINATION, 0.01)[0] == COMBINATION


def test_losses_count_where_all_forecast():
    one, other = np.ones((2, 3, 4)), np.full((2, 3, 4), 2.0)
    other[0, 1] = np.nan
    one[1, 2, :3] = np.nan
    found = scaled_losses({"a": one, "b": other})
    for name, value in (("a", 1), ("b", 2)):
        assert np.isnan(found[name]).tolist() == [[False, True, False], [False, False, False]]
        assert (found[name][~np.isnan(found[name])] == value).all()


# Fits


def test_a_saved_combination_is_its_description_and_is_made_anew(fit, tmp_path):
    panel = hourly(300)
    fitted = fit(panel, 6, model=COMBINATION, period=12)
    save_fit(fitted, tmp_path / "kept")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["fit.json"]
    again = load_fit(tmp_path / "kept")
    one, other = make_forecast(fitted, panel, [80]), make_forecast(again, panel, [80])
    assert one.to_arrow().equals(other.to_arrow())
    assert again.info == json.loads(json.dumps(fitted.info))
    longer = hourly(340)
    expected = make_forecast(fit(longer, 6, model=COMBINATION, period=12), longer)
    assert make_forecast(again, longer).to_arrow().equals(expected.to_arrow())


def test_a_saved_combination_forecasts_new_series_but_not_another_step(fit, tmp_path):
    save_fit(fit(ragged((60, 50)), 4, model=COMBINATION), tmp_path / "kept")
    again = load_fit(tmp_path / "kept")
    more = ragged((60, 50, 70))
    assert len(make_forecast(again, more).columns["ds"]) == 12
    with pytest.raises(DataError, match="row every hour, but the model was fitted on a row every day"):
        make_forecast(again, replace(hourly(100, channels=1), channels=("y",)))


@pytest.mark.parametrize("change", [{"horizon": 0}, {"horizon": "6"}, {"period": -1}, {"horizon": None}])
def test_a_damaged_description_is_refused(change, fit, tmp_path):
    save_fit(fit(hourly(200), 6, model=COMBINATION), tmp_path / "kept")
    path = tmp_path / "kept" / "fit.json"
    described = json.loads(path.read_text())
    described["combination"] |= change
    path.write_text(json.dumps(described))
    with pytest.raises(DataError, match="does not hold a fit"):
        load_fit(tmp_path / "kept")


# Refusals


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"lookback": 20}, "--lookback has no effect on the combination"),
        ({"split": "70/10/20"}, "--split has no effect"),
        ({"refit": False}, "--no-refit has no effect"),
        ({"options": {COMBINATION: {"ridge": 1}}}, "--set has no effect"),
        ({"levels": [100]}, "a level is a percentage"),
    ],
)
def test_options_without_effect_are_refused(keywords, message, fit):
    with pytest.raises(UsageError, match=message):
        fit(hourly(200), 6, model=COMBINATION, **keywords)
