from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from protocols import parted

import forecheck
import forecheck as fc
from forecheck.data.frequency import Frequency
from forecheck.data.load import load
from forecheck.data.panel import Panel
from forecheck.data.windows import prepare
from forecheck.errors import DataError, UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasting.candidates import CANDIDATES
from forecheck.forecasting.forecast import run_forecast
from forecheck.forecasting.selection import simplest_unbeaten
from forecheck.trials.means import Means
from forecheck.trials.store import Store
from panels import TINY, hourly, ragged


def run_with(means, panel, horizon, **keywords):
    """`run_forecast` with keywords of the protocol or of its own."""
    protocol, rest = parted(horizon, keywords)
    return run_forecast(panel, protocol, means, **rest)


@pytest.fixture
def forecast(tmp_path):
    """`run_forecast` in this process, with a store of the test."""
    return partial(run_with, Means(Store(tmp_path / "store")))


def grid(result, panel, column=None):
    """A column of a forecast as (series, channel, horizon)."""
    values = np.asarray(result.columns[column or result.model])
    return values.reshape(len(panel.series), len(panel.channels), -1)


def two_by_two(rows=(200, 160)):
    """Two series of two channels, each in a unit of its own."""
    one = ragged(rows)
    values = np.concatenate([one.values, 1000 + 50 * one.values[::-1]], axis=1)
    return replace(one, values=values, channels=("sold", "stock"))


# Form


def test_columns_and_rows(forecast):
    panel = hourly(400)
    result = forecast(panel, 12, model="nlinear", lookback=48, levels=[80, 97.5])
    assert list(result.columns) == [
        "unique_id",
        "ds",
        "nlinear",
        "nlinear-lo-80",
        "nlinear-hi-80",
        "nlinear-lo-97.5",
        "nlinear-hi-97.5",
    ]
    assert result.columns["unique_id"] == ["c0"] * 12 + ["c1"] * 12
    assert {len(column) for column in result.columns.values()} == {24}
    assert list(forecast(panel, 12, model="nlinear", lookback=48).columns) == ["unique_id", "ds", "nlinear"]


@pytest.mark.parametrize(
    ("panel", "ids"),
    [
        (hourly(400), ["c0", "c1"]),
        (ragged(), ["store_0", "store_1", "store_2"]),
        (two_by_two(), ["store_0/sold", "store_0/stock", "store_1/sold", "store_1/stock"]),
    ],
    ids=["channels", "series", "both"],
)
def test_the_last_value_is_the_last_observation_in_its_own_unit(panel, ids, forecast):
    result = forecast(panel, 5, model="last", lookback=30)
    assert list(dict.fromkeys(result.columns["unique_id"])) == ids
    expected = np.stack([panel.values[end - 1] for end in panel.offsets[1:]])
    np.testing.assert_allclose(grid(result, panel), np.repeat(expected[:, :, None], 5, axis=2), rtol=1e-5)


def test_the_season_is_repeated_from_the_end(forecast):
    panel = hourly(400)
    result = forecast(panel, 30, model="seasonal", lookback=48)
    expected = panel.values[-24:][np.arange(30) % 24]
    np.testing.assert_allclose(grid(result, panel)[0], expected.T, rtol=1e-5)


MONTHS = np.arange("2000-01", "2020-01", dtype="datetime64[M]")


@pytest.mark.parametrize(
    ("time", "frequency", "first", "last"),
    [
        (hourly(240).time, hourly(240).frequency, "2024-01-11T00", "2024-01-11T04"),
        (MONTHS.astype("datetime64[us]"), Frequency("month"), "2020-01-01", "2020-05-01"),
        (
            (MONTHS + 1).astype("datetime64[D]").astype("datetime64[us]") - np.timedelta64(1, "D"),
            Frequency("month", month_end=True),
            "2020-01-31",
            "2020-05-31",
        ),
        (
            np.busday_offset("2024-01-01", np.arange(240)).astype("datetime64[us]"),
            Frequency("weekday"),
            "2024-12-02",
            "2024-12-06",
        ),
    ],
    ids=["hours", "months", "month ends", "weekdays"],
)
def test_stamps_go_on_where_the_data_end(time, frequency, first, last, forecast):
    panel = replace(hourly(240), time=time, frequency=frequency)
    stamps = np.asarray(forecast(panel, 5, model="last", lookback=20).columns["ds"]).reshape(2, 5)
    assert (stamps[0] == stamps[1]).all()
    assert (stamps[0, 0], stamps[0, -1]) == (np.datetime64(first, "us"), np.datetime64(last, "us"))
    assert (np.diff(np.concatenate([time[-1:], stamps[0]])) > np.timedelta64(0)).all()


def test_steps_go_on_as_whole_numbers(forecast):
    panel = replace(hourly(200), time=np.arange(100, 300), frequency=Frequency("step"))
    stamps = forecast(panel, 3, model="last", lookback=20).columns["ds"]
    assert list(stamps) == [300, 301, 302] * 2


def test_series_of_different_ends_have_their_own_stamps(forecast):
    panel = ragged((200, 160, 240))
    stamps = np.asarray(forecast(panel, 2, model="last", lookback=20).columns["ds"]).reshape(3, 2)
    day = np.timedelta64(1, "D")
    for series, end in enumerate(panel.offsets[1:]):
        assert (stamps[series] == panel.time[end - 1] + day * np.arange(1, 3)).all()


def test_frames_and_files_hold_the_same(forecast, tmp_path):
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    result = forecast(hourly(400), 6, model="rlinear", lookback=48, levels=[80])
    frame = result.to_pandas()
    assert frame["ds"].iloc[0] == pd.Timestamp("2024-01-17 16:00")
    assert result.to_polars().columns == list(result.columns)
    result.write(tmp_path / "out.csv")
    result.write(str(tmp_path / "out.PARQUET"))
    read = pd.read_csv(tmp_path / "out.csv", parse_dates=["ds"])
    assert read.equals(frame.astype({"ds": read["ds"].dtype, "unique_id": read["unique_id"].dtype}))
    assert pl.read_parquet(tmp_path / "out.PARQUET").equals(result.to_polars())
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["out.PARQUET", "out.csv"]


def test_csv_is_plain(forecast):
    lines = forecast(hourly(400), 2, model="last", lookback=48).to_csv().decode().splitlines()
    assert lines[0] == "unique_id,ds,last"
    assert lines[1].startswith("c0,2024-01-17 16:00:00,")
    panel = replace(hourly(400), channels=("a, b", 'say "c"'))
    lines = forecast(panel, 1, model="last", lookback=48).to_csv().decode().splitlines()
    assert [line.rsplit(",", 2)[0] for line in lines[1:]] == ['"a, b"', '"say ""c"""']
    panel = replace(hourly(400), time=hourly(400).time + np.timedelta64(500_000, "us"))
    assert "2024-01-17 16:00:00.500000" in forecast(panel, 1, model="last", lookback=48).to_csv().decode()


# Choice


def test_auto_without_the_combination_takes_the_simplest_that_is_not_beaten_at_rolling_origins(forecast):
    result = forecast(hourly(500), 12, lookback=48, candidates=CANDIDATES)
    losses = result.info["rolling_mase"]
    assert set(losses) == set(result.info["validation_mse"]) == set(CANDIDATES)
    assert result.model == simplest_unbeaten(losses, 0.01)
    assert "simplest within 1 %" in result.info["rule"]


def test_auto_on_a_random_walk_is_the_last_value(forecast):
    walk = np.cumsum(np.random.default_rng(0).standard_normal((3000, 1)), axis=0)
    panel = replace(hourly(3000, channels=1), values=walk)
    result = forecast(panel, 12, lookback=24, margin=0.2, candidates=CANDIDATES)
    assert result.model == "last"
    expected = prepare(panel, 24, 12)
    losses = [
        np.square(expected.test.values[o - 1] - expected.test.values[o : o + 12]).mean() for o in expected.test.origins
    ]
    assert result.info["test_mse"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_auto_leaves_out_a_season_that_does_not_fit(forecast):
    result = forecast(hourly(300), 6, lookback=20)
    assert "seasonal" not in result.info["validation_mse"]
    assert forecast(hourly(300), 6, lookback=20, period=7).info["validation_mse"]["seasonal"] > 0
    with pytest.raises(UsageError, match="seasonal repeats the last 24 steps"):
        forecast(hourly(300), 6, lookback=20, model="seasonal")


def test_a_named_model_is_taken(forecast):
    result = forecast(hourly(300), 6, model="mean", lookback=20)
    assert (result.model, result.info["rule"], list(result.info["validation_mse"])) == ("mean", "named", ["mean"])


# Fits


def by_hand(panel, windows_until, lookback, horizon):
    """Least squares of nlinear's map on all windows of the first rows, and its forecast from the end."""
    experiment = prepare(panel, lookback, horizon)
    z = experiment.test.values[:, 0]
    starts = np.arange(windows_until - lookback - horizon + 1)
    x = np.stack([z[s : s + lookback] for s in starts])
    y = np.stack([z[s + lookback : s + lookback + horizon] for s in starts])
    features = np.column_stack([x[:, :-1] - x[:, -1:], np.ones(len(x))])
    weights = np.linalg.lstsq(features, y - x[:, -1:], rcond=None)[0]
    last = z[-lookback:]
    forecast = last[-1] + np.append(last[:-1] - last[-1], 1) @ weights
    return forecast * experiment.scaler.std[0, 0] + experiment.scaler.mean[0, 0]


@pytest.mark.parametrize(("refit", "rows"), [(True, 400), (False, 280)])
def test_refits_are_on_all_rows_and_fits_on_the_training_rows(refit, rows, forecast):
    panel = hourly(400, channels=1)
    result = forecast(panel, 3, model="nlinear", lookback=6, refit=refit, options={"nlinear": {"ridge": 0}})
    assert result.info["refitted"] is refit
    np.testing.assert_allclose(grid(result, panel)[0, 0], by_hand(panel, rows, 6, 3), rtol=1e-5)


def test_a_refit_knows_what_happened_last(forecast):
    """The series begins to rise after the training part: only the refit has seen it."""
    panel = hourly(600)
    values = panel.values + np.maximum(0, np.arange(600) - 480)[:, None] * 2.0
    rising = replace(panel, values=values)
    kept = grid(forecast(rising, 12, model="nlinear", lookback=24, refit=False), rising)
    refitted = grid(forecast(rising, 12, model="nlinear", lookback=24), rising)
    truth = values[-24:].mean(axis=0) + 2.0 * (12 + 6)  # on average over the next 12 steps
    assert (refitted.mean(axis=(0, 2)) > kept.mean(axis=(0, 2)) + 1).all()
    assert np.abs(refitted.mean(axis=(0, 2)) - truth).sum() < np.abs(kept.mean(axis=(0, 2)) - truth).sum()


def test_a_refit_keeps_the_strength_that_validation_chose(forecast):
    panel = hourly(400)
    experiment = prepare(panel, 48, 12)
    first = registry.create("linear", Task(48, 12, 2, 24))
    chosen = first.fit(experiment.train, experiment.validation).details["ridge"]
    free = forecast(panel, 12, model="linear", lookback=48)
    fixed = forecast(panel, 12, model="linear", lookback=48, options={"linear": {"ridge": chosen}})
    np.testing.assert_allclose(grid(free, panel), grid(fixed, panel), rtol=1e-9)


@pytest.mark.parametrize(("model", "options"), [("patchtst", TINY), ("mean", {})])
def test_some_models_are_not_refitted(model, options, forecast):
    panel = hourly(300)
    result = forecast(panel, 12, model=model, lookback=48, options={model: options})
    assert result.info["refitted"] is False
    assert np.isfinite(grid(result, panel)).all()
    assert np.abs(grid(result, panel) - 50).max() < 30


def test_a_kept_fit_is_the_one_of_the_training_windows(forecast):
    panel = hourly(400)
    experiment = prepare(panel, 48, 12)
    model = registry.create("dlinear", Task(48, 12, 2, 24))
    model.fit(experiment.train, experiment.validation)
    y = model.predict(torch.from_numpy(experiment.test.values[None, -48:].astype(np.float32)))[0].numpy()
    expected = y * experiment.scaler.std[0] + experiment.scaler.mean[0]
    result = forecast(panel, 12, model="dlinear", lookback=48, refit=False)
    np.testing.assert_allclose(grid(result, panel)[0], expected.T, rtol=1e-5)


# Intervals


@pytest.mark.parametrize("panel", [hourly(500), ragged()], ids=["channels", "series"])
def test_intervals_hold_the_forecast_and_are_nested(panel, forecast):
    result = forecast(panel, 6, model="nlinear", lookback=30, levels=[95, 50, 80])
    middle = grid(result, panel)
    widths = []
    for level in ("50", "80", "95"):
        low, high = grid(result, panel, f"nlinear-lo-{level}"), grid(result, panel, f"nlinear-hi-{level}")
        np.testing.assert_allclose((low + high) / 2, middle, rtol=1e-9)
        widths.append(high - low)
    assert (widths[0] > 0).all()
    assert (widths[0] < widths[1]).all()
    assert (widths[1] < widths[2]).all()


def test_widths_are_order_statistics_of_the_test_residuals(forecast):
    panel = hourly(400)
    result = forecast(panel, 4, model="last", lookback=24, levels=[80])
    test = prepare(panel, 24, 4).test
    residuals = np.sort(np.abs([panel.values[o - 1] - panel.values[o : o + 4] for o in test.origins]), axis=0)
    rank = int(np.ceil(0.8 * (len(test) + 1)))
    half = (grid(result, panel, "last-hi-80") - grid(result, panel, "last-lo-80"))[0] / 2
    np.testing.assert_allclose(half, residuals[rank - 1].T, rtol=1e-4)
    assert result.info["calibration_windows"] == len(test)


@pytest.mark.parametrize("model", ["mean", "nlinear"])
def test_intervals_cover_what_they_say(model, forecast):
    """200 autoregressive series, five steps ahead: coverage is that of the level, give or take four errors."""
    rng = np.random.default_rng(1)
    series, rows, horizon = 200, 120, 5
    noise = rng.standard_normal((series, rows + horizon))
    values = np.zeros_like(noise)
    for t in range(1, rows + horizon):
        values[:, t] = 0.6 * values[:, t - 1] + noise[:, t]
    past, future = values[:, :rows].reshape(-1, 1), values[:, rows:]
    panel = Panel(
        past,
        np.arange(series + 1) * rows,
        np.tile(np.arange(rows), series),
        tuple(f"s{i}" for i in range(series)),
        ("y",),
        Frequency("step"),
    )
    result = forecast(panel, horizon, model=model, lookback=12, levels=[50, 80, 95])
    for level in (50, 80, 95):
        low, high = (grid(result, panel, f"{model}-{side}-{level}")[:, 0] for side in ("lo", "hi"))
        covered = float(((low <= future) & (future <= high)).mean())
        # Steps of one series are correlated: count them as two.
        error = np.sqrt(level / 100 * (1 - level / 100) / (2 * series))
        assert covered == pytest.approx(level / 100, abs=4 * error)


# Refusals


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"levels": [0]}, UsageError, "a level is a percentage between 0 and 100, got 0"),
        ({"levels": [80, 100]}, UsageError, "a level is a percentage between 0 and 100, got 100"),
        ({"levels": [-5]}, UsageError, "got -5"),
        ({"levels": [99]}, DataError, "a 99 % interval needs at least 99 calibration windows, but there are 55"),
        ({"margin": -0.1}, UsageError, "margin must lie between 0 and 1"),
        ({"model": "nlinaer"}, UsageError, "Did you mean nlinear"),
        ({"options": {"nlinaer": {"ridge": 0}}}, UsageError, "options are set for nlinaer"),
        ({"model": "last", "options": {"nlinear": {"ridge": 0}}}, UsageError, "options are set for nlinear"),
        ({"candidates": []}, UsageError, "models must be named"),
        ({"period": 0}, UsageError, "period must be positive"),
        ({"lookback": 0}, UsageError, "lookback, horizon and step must be positive"),
        ({"lookback": 250}, DataError, "too short"),
        ({"split": "70/20"}, UsageError, "cannot read split"),
    ],
)
def test_what_cannot_be_done_is_told_before_any_work(keywords, error, message, tmp_path):
    def never(trials, store):
        raise AssertionError("ran something")

    with pytest.raises(error, match=message):
        run_with(Means(Store(tmp_path), never), hourly(300), 6, **{"lookback": 48} | keywords)


@pytest.mark.parametrize("horizon", [0, -1])
def test_a_horizon_is_positive(horizon, forecast):
    with pytest.raises(UsageError, match=f"horizon must be positive, got {horizon}"):
        forecast(hourly(300), horizon)


def test_a_series_shorter_than_the_lookback_is_named(forecast):
    with pytest.raises(DataError, match='series "store_2" of stores has 20 rows, fewer than the lookback 30') as caught:
        forecast(ragged((200, 160, 20)), 2, model="last", lookback=30)
    assert "Give a shorter --lookback, or drop the series" in str(caught.value)
    assert len(forecast(ragged((200, 160, 20)), 2, model="last", lookback=20).columns["ds"]) == 6


# From a user's file


@pytest.fixture
def gappy(tmp_path):
    """A CSV of 400 hours with three empty cells."""
    panel = hourly(400)
    rows = [[str(stamp), *map(str, values)] for stamp, values in zip(panel.time, panel.values, strict=True)]
    for row, column in ((10, 1), (11, 1), (300, 2)):
        rows[row][column] = ""
    path = tmp_path / "gappy.csv"
    path.write_text("\n".join(",".join(row) for row in [["date", "north", "south"], *rows]) + "\n")
    return path


def test_missing_values_are_refused_with_a_remedy_and_filled_on_request(gappy, tmp_path):
    with pytest.raises(DataError, match=r'gappy\.csv has 2 missing values in column "north"') as caught:
        fc.forecast(str(gappy), horizon=6, workers=0)
    assert "--fill linear" in str(caught.value)
    panel = load(gappy, fill="linear")
    result = forecheck.forecast(panel, horizon=6, level=[80], workers=0, store=tmp_path / "store")
    assert list(dict.fromkeys(result.columns["unique_id"])) == ["north", "south"]
    assert np.isfinite(result.columns[result.model]).all()


@pytest.mark.parametrize("model", ["linear", "nlinear", "rlinear", "anchored"])
@pytest.mark.parametrize(("growth", "rows"), [(1.2, 400), (1.5, 150), (2.0, 100), (-1.3, 200)])
def test_intervals_are_no_narrower_than_the_arithmetic(model, growth, rows, tmp_path):
    """Of a series that explodes float32 keeps seven digits: calibration may see no error, and yet there is one."""
    values = growth ** np.arange(rows + 3)[:, None]
    panel = replace(hourly(rows, channels=1), values=values[:rows].astype(float), channels=("y",), name="explosive")
    made = fc.forecast(panel, horizon=3, lookback=12, model=model, level=[90], workers=0, store=tmp_path)
    low, high, middle = (np.asarray(made.columns[f"{model}{part}"]) for part in ("-lo-90", "-hi-90", ""))
    assert (low < middle).all()
    assert (middle < high).all()


def test_one_name_may_be_a_text_and_so_may_a_folder(tmp_path):
    how = {"horizon": 6, "workers": 0, "store": str(tmp_path)}
    with pytest.raises(UsageError, match="no forecaster is called 'nothing'"):
        fc.forecast(hourly(300), candidates="nothing", **how)
    with pytest.raises(UsageError, match="no check has the code 'FC4x'"):
        fc.audit(hourly(300), model="patchtst", select="FC4x", **how)
