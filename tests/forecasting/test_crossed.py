"""Cross-validation as a frame: the forecasts that a backtest scores, row by row, and errors that others find in it."""

from dataclasses import replace

import numpy as np
import pyarrow.csv
import pytest

import forecheck as fc
from forecheck.errors import DataError, UsageError
from panels import gappy, hourly, ragged

MODELS = ["last", "nlinear"]
HOW = {"horizon": 4, "lookback": 24, "workers": 0}


def mean_error(frame, model, power):
    return float((np.abs(frame[model] - frame["y"]) ** power).mean())


@pytest.mark.parametrize("refit", [None, 10])
@pytest.mark.parametrize("panel", [hourly(300), gappy(hourly(300), 0.1), ragged((200, 160, 240))], ids=str)
def test_the_frame_has_the_losses_of_the_backtest(panel, refit):
    report = fc.backtest(panel, MODELS, refit=refit, **HOW)
    frame = fc.cross_validation(panel, MODELS, refit=refit, **HOW).to_pandas()
    if panel.filled is not None:
        assert frame["y"].isna().any()
        return  # the report's mean is one of windows, some of which observed less
    for row in report.data["table"]:
        assert mean_error(frame, row["model"], 2) == pytest.approx(row["mse_real"], rel=1e-4)
        assert mean_error(frame, row["model"], 1) == pytest.approx(row["mae_real"], rel=1e-4)


def test_rows_are_what_the_panel_holds_at_their_stamps():
    panel = ragged((200, 160, 240))
    frame = fc.cross_validation(panel, ["last"], level=[80], step=3, **HOW).to_pandas()
    assert list(frame.columns) == ["unique_id", "ds", "cutoff", "y", "last", "last-lo-80", "last-hi-80"]
    assert not frame.duplicated(["unique_id", "ds", "cutoff"]).any()
    for number, name in enumerate(panel.series):
        rows, mine = panel.series_rows(number), frame[frame["unique_id"] == name]
        at = dict(zip(panel.time[rows], panel.values[rows, 0], strict=True))
        assert [at[stamp] for stamp in mine["ds"].to_numpy("datetime64[us]")] == list(mine["y"])
        np.testing.assert_allclose(
            mine["last"], [at[each] for each in mine["cutoff"].to_numpy("datetime64[us]")], rtol=1e-5
        )
    assert (frame["last-lo-80"] <= frame["last"]).all()
    assert (frame["cutoff"] < frame["ds"]).all()
    there = list(frame["unique_id"].drop_duplicates())
    assert there == [name for name in panel.series if name in there]  # short series have no test window
    assert len(there) > 1


def test_intervals_cover_about_as_much_as_they_say():
    frame = fc.cross_validation(hourly(900), ["nlinear"], level=[50, 90], **HOW).to_pandas()
    for level in (50, 90):
        inside = frame["y"].between(frame[f"nlinear-lo-{level}"], frame[f"nlinear-hi-{level}"]).mean()
        assert inside == pytest.approx(level / 100, abs=0.12)


def test_what_cannot_be_is_refused():
    with pytest.raises(DataError, match=r"99\.9"):
        fc.cross_validation(hourly(300), ["last"], level=99.9, **HOW)
    with pytest.raises(UsageError, match="level"):
        fc.cross_validation(hourly(300), ["last"], level=0.8, **HOW)
    with pytest.raises(UsageError, match="refits"):
        fc.cross_validation(hourly(300), ["last"], refit=0, **HOW)


@pytest.mark.parametrize("panel", [hourly(300), gappy(hourly(300), 0.1), ragged((160, 140, 180))], ids=str)
def test_rolling_origins_have_the_scaled_error_that_was_told(panel):
    forecast = fc.forecast(panel, horizon=5, model="combination", workers=0)
    frame = forecast.cross_validation().to_pandas()
    assert (frame["cutoff"] < frame["ds"]).all()
    assert not frame.duplicated(["unique_id", "ds", "cutoff"]).any()
    scaled, channels = [], len(panel.channels)
    for (name, cutoff), rows in frame.groupby(["unique_id", "cutoff"], sort=False):
        of, channel = divmod(forecast.names.index(name), channels)
        own = panel.series_rows(of)
        values, time = panel.values[own, channel], panel.time[own]
        at = np.searchsorted(time, rows["ds"].to_numpy("datetime64[us]"))
        known = rows["y"].notna().to_numpy()
        assert (rows["y"].to_numpy()[known] == values[at][known]).all()
        seen = values[time <= np.datetime64(cutoff)]
        scaled.append((rows["combination"] - rows["y"]).abs().mean() / np.abs(seen[24:] - seen[:-24]).mean())
    if panel.filled is None and panel.name == "waves":  # pairs with a filled value do not count in the unit
        assert np.mean(scaled) == pytest.approx(forecast.info["rolling_mase"]["combination"], rel=1e-4)


def test_a_file_of_it_can_be_read(tmp_path):
    made = fc.cross_validation(hourly(300), ["last"], **HOW)
    made.write(tmp_path / "cv.csv")
    back = pyarrow.csv.read_csv(tmp_path / "cv.csv")
    assert back.column_names == ["unique_id", "ds", "cutoff", "y", "last"]
    assert back.num_rows == len(made.columns["ds"])
    made.write(tmp_path / "cv.parquet")
    assert repr(made).startswith("<CrossValidation: last; ")
    assert made.to_polars().height == back.num_rows


def test_wide_names_stay_apart():
    panel = replace(ragged((200, 160)), channels=("sold",))
    both = replace(panel, values=np.concatenate([panel.values, 5 + panel.values], axis=1), channels=("sold", "stock"))
    frame = fc.cross_validation(both, ["last"], **HOW).to_pandas().set_index(["unique_id", "ds", "cutoff"]).sort_index()
    for name in panel.series:
        np.testing.assert_allclose(frame.loc[f"{name}/stock", "y"], 5 + frame.loc[f"{name}/sold", "y"])


def test_examples_of_a_backtest_are_windows_of_the_frame_the_worst_first():
    panel = hourly(300)
    report = fc.backtest(panel, MODELS, **HOW)
    frame = fc.cross_validation(panel, MODELS, **HOW).to_pandas()
    std = dict(zip(panel.channels, panel.values[:210].std(axis=0), strict=True))
    frame["loss"] = ((frame[report.verdict.outcome] - frame["y"]) / frame["unique_id"].map(std)) ** 2
    losses = frame.groupby(["unique_id", "cutoff"])["loss"].mean()
    examples = report.data["examples"]
    assert [each["why"] for each in examples] == ["largest errors"] * 4 + ["typical"] * 4
    found = []
    for example in examples:
        cutoff = np.datetime64(example["origin"]) - np.timedelta64(1, "h")
        rows = frame[(frame["unique_id"] == example["channel"]) & (frame["cutoff"] == cutoff)]
        np.testing.assert_allclose(rows["y"], example["truth"], rtol=1e-5)
        for model in MODELS:
            np.testing.assert_allclose(rows[model], example["forecasts"][model], rtol=1e-5)
        found.append(losses[example["channel"], cutoff])
    assert found[0] == pytest.approx(losses.max())
    assert found[:4] == sorted(found[:4], reverse=True)
    assert np.abs(np.array(found[4:]) - losses.median()).max() < np.abs(np.array(found[:4]) - losses.median()).min()
    assert fc.backtest(panel, MODELS, refit=20, **HOW).data["examples"] == []
