"""Known columns in backtests and cross-validations: as they were at every origin, and the true ones of the horizon."""

import numpy as np
import pyarrow as pa
import pytest

import forecheck as fc
from forecheck.combination.features import raw_columns
from forecheck.combination.known import combine_known
from forecheck.combination.ragged import from_panel
from forecheck.combination.seasons import known_seasons
from forecheck.data.past import past_of
from forecheck.trials.store import Store
from panels import hourly

H, ROWS = 3, 40
MODELS = ["combination", "combination:channels", "last"]
HOW = {"horizon": H, "lookback": 10, "step": 2, "workers": 0}


@pytest.fixture(scope="module")
def panel():
    """Two shops; sales fall with the price; text, features of the calendar and facts stand beside."""
    rng = np.random.default_rng(0)
    rows = 2 * ROWS
    days = np.tile(np.datetime64("2024-01-01", "us") + np.arange(ROWS) * np.timedelta64(1, "D"), 2)
    price, promo = rng.uniform(1, 2, rows).round(2), rng.choice(["none", "half"], rows)
    sold = 50 - 6 * price + 9 * (promo == "half") + 0.5 * rng.standard_normal(rows)
    shops = {"unique_id": np.repeat(["a", "b"], ROWS), "ds": days, "y": sold, "price": price, "promo": promo}
    table = pa.table(shops | {"region": np.repeat(["north", "south"], ROWS)})
    return fc.load(table, known=["price", "promo"], static="region", calendar="weekend")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def report(panel, store):
    return fc.backtest(panel, MODELS, store=store, **HOW)


@pytest.fixture(scope="module")
def crossed(panel, store, report):
    return fc.cross_validation(panel, MODELS, level=50, store=store, **HOW).to_pandas()


def test_what_they_are_worth_is_the_difference_to_the_channels_alone(report):
    losses = {row["model"]: row["mse"] for row in report.data["table"]}
    assert losses["combination"] < 0.5 * losses["combination:channels"]
    notes = " ".join(report.data["protocol"]["notes"])
    assert "combination used them at" in notes
    assert "combination:channels, last see the channels alone" in notes
    assert report.verdict["advice"].startswith("fc.forecast(data, horizon=")  # of a frame
    assert report.verdict["advice"].endswith(
        "model='combination', known=['price', 'promo'], static=['region'], calendar=['weekend'])"
    )


def test_the_frame_has_the_losses_of_the_report(report, crossed):
    for row in report.data["table"]:
        each = (crossed["y"] - crossed[row["model"]]) ** 2
        assert each.mean() == pytest.approx(row["mse_real"], rel=1e-4)
    inside = crossed["y"].between(crossed["combination-lo-50"], crossed["combination-hi-50"])
    assert 0.1 < inside.mean() < 0.9


def test_a_forecast_is_that_of_the_panel_that_ends_there(panel, crossed):
    cutoff = crossed["cutoff"].max()
    rows = np.array([(panel.time[start:end] <= cutoff).sum() for start, end in zip(*_ends(panel), strict=True)])
    past = past_of(panel, rows, H)
    batch = from_panel(past)
    raw = raw_columns(past, past.covariates, H, batch.values.shape[1])
    made = combine_known(batch, raw, 1, H, known_seasons(panel.frequency, None))
    assert made.worth.used
    there = crossed[crossed["cutoff"] == cutoff]
    np.testing.assert_allclose(there["combination"], made.point.reshape(-1), rtol=1e-5)


def test_workers_do_not_mind_what_is_no_forecaster(tmp_path):
    report = fc.backtest(hourly(60, 1), ["combination"], horizon=2, step=4, workers=2, store=tmp_path)
    assert report.data["table"][0]["model"] == "combination"


def test_a_store_keeps_the_columns(panel, tmp_path):
    store = Store(tmp_path)
    store.put_panel(panel)
    found = store.get_panel(panel.fingerprint)
    assert found.fingerprint == panel.fingerprint
    assert found.covariates.asked == panel.covariates.asked


def test_series_of_which_nothing_is_kept_are_left_out(panel):
    past = past_of(panel, np.array([0, ROWS - 1]), 2)
    assert past.series == ("b",)
    assert past.covariates.static == {"region": ("south",)}
    np.testing.assert_array_equal(past.values, panel.values[ROWS:-1])
    np.testing.assert_array_equal(past.covariates.future[0, 0], panel.covariates.values[-1])
    assert np.isnan(past.covariates.future[0, 1]).all()


def _ends(panel):
    return panel.offsets[:-1], panel.offsets[1:]
