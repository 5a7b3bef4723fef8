"""Filled values are no truth: scalers and targets leave them out, and inputs see only what was known."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.data.causal import causal
from forecheck.data.reading.frames import from_frame
from forecheck.data.windows import prepare
from forecheck.errors import DataError
from panels import gappy, hourly, ragged

NAN = float("nan")
DAYS = np.datetime64("2024-01-01", "us") + np.arange(400).astype("timedelta64[D]")
FILLS = ("linear", "last", "seasonal")


def daily(values, fill):
    return from_frame(pl.DataFrame({"date": DAYS[: len(values)], "a": values}, strict=False), fill=fill)


def holed(rows=300, share=0.3, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(rows)
    holes = rng.random(rows) < share
    holes[[0, -1]] = False
    return np.where(holes, NAN, values), holes


@pytest.mark.parametrize("fill", FILLS)
def test_the_readers_keep_what_was_filled(fill):
    values, holes = holed()
    panel = daily(values, fill)
    np.testing.assert_array_equal(panel.filled[:, 0], holes)
    assert panel.fill == fill
    assert daily(np.nan_to_num(values), fill).filled is None


def test_completed_rows_are_filled_too():
    panel = from_frame(pl.DataFrame({"date": np.delete(DAYS[:9], [3, 4]), "a": np.arange(7.0)}), fill="linear")
    assert np.flatnonzero(panel.filled[:, 0]).tolist() == [3, 4]


@pytest.mark.parametrize(
    ("fill", "values", "expected"),
    [
        ("linear", [1, NAN, NAN, 4, 5], [1, 1, 1, 4, 5]),
        ("last", [1, NAN, NAN, 4, 5], [1, 1, 1, 4, 5]),
        ("seasonal", [1, 2, 3, 4, 5, 6, 7, 8, NAN, 9], [1, 2, 3, 4, 5, 6, 7, 8, 2, 9]),
        # A season before there was none, so the last value; later the phase is known.
        ("seasonal", [1, NAN, 3, 4, 5, 6, 7, 8, 9, 10], [1, 1, 3, 4, 5, 6, 7, 8, 9, 10]),
        # Before the first observation nothing is known.
        ("seasonal", [NAN, 2, 3, 4, 5, 6, 7, 8, NAN, 9], [NAN, 2, 3, 4, 5, 6, 7, 8, 2, 9]),
    ],
)
def test_what_was_known_when(fill, values, expected):
    np.testing.assert_array_equal(causal(daily(values, fill))[:, 0], expected)


@given(st.sampled_from(FILLS), st.integers(20, 280), st.integers(0, 99))
def test_what_a_window_sees_does_not_depend_on_later_rows(fill, origin, seed):
    values, _ = holed(seed=seed)
    later = values.copy()
    later[origin:] = np.where(np.isnan(later[origin:]), 7.0, -3 * later[origin:])
    later[origin + 5 : -1 : 3] = NAN
    one, other = (causal(daily(x, fill))[:origin] for x in (values, later))
    np.testing.assert_array_equal(one, other)


def test_windows_see_the_past_and_are_asked_for_what_was_observed():
    values, holes = holed()
    values[:3] = [NAN, NAN, 1.0]
    holes[:3] = [True, True, False]
    panel = daily(values, "seasonal")
    experiment = prepare(panel, 14, 5)
    mean, std = experiment.scaler.mean[0, 0], experiment.scaler.std[0, 0]
    known = causal(panel)[:, 0]
    for part in (experiment.train, experiment.validation, experiment.test):
        x, y = part.gather(slice(None))
        for origin, inputs, targets in zip(part.origins, x.numpy()[..., 0], y.numpy()[..., 0], strict=True):
            # Before the first observation stands the training mean.
            expected = np.nan_to_num((known[origin - 14 : origin] - mean) / std)
            np.testing.assert_allclose(inputs, expected, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(np.isnan(targets), holes[origin : origin + 5])
            there = ~holes[origin : origin + 5]
            truth = (values[origin : origin + 5][there] - mean) / std
            np.testing.assert_allclose(targets[there], truth, rtol=1e-4, atol=1e-5)
        seen = [~holes[origin + h] for origin in part.origins[3:9] for h in range(5)]
        assert part.observed(slice(3, 9)).sum() == part.observed(torch.arange(3, 9)).sum() == sum(seen)


def test_the_scaler_sees_observed_values_only():
    values, holes = holed()
    panel = daily(values, "linear")
    scaler = prepare(panel, 8, 4).scaler
    there = values[:210][~holes[:210]]
    assert scaler.mean[0, 0] == pytest.approx(there.mean())
    assert scaler.std[0, 0] == pytest.approx(there.std())


def test_a_channel_without_a_value_to_scale_by_is_refused():
    panel = hourly(100)
    holes = np.zeros(panel.values.shape, dtype=bool)
    holes[:80, 1] = True
    with pytest.raises(DataError, match='channel "c1" has no value in its 70 training rows'):
        prepare(replace(panel, filled=holes), 8, 4)


def test_windows_without_any_observed_target_are_none():
    panel = hourly(200)
    holes = np.zeros(panel.values.shape, dtype=bool)
    holes[170:180] = True
    holes[165:175, 0] = True
    experiment = prepare(replace(panel, filled=holes), 8, 4)
    assert set(np.arange(160, 197)) - set(experiment.test.origins) == set(range(170, 177))
    holes[140:] = True
    with pytest.raises(DataError, match="all targets of its validation part were missing"):
        prepare(replace(panel, filled=holes), 8, 4)


@pytest.mark.parametrize("panel", [hourly(120), ragged((60, 50, 40))], ids=["one series", "ragged"])
def test_nothing_changes_where_nothing_was_filled(panel):
    windows = prepare(panel, 8, 4).train
    assert windows.targets is None
    assert causal(panel) is panel.values
    assert windows.observed(slice(0, 7)).tolist() == [7 * panel.values.shape[1]] * 4


def test_what_was_filled_is_part_of_the_fingerprint():
    panel = hourly(50)
    holes = np.zeros(panel.values.shape, dtype=bool)
    holes[3, 1] = True
    others = [replace(panel, filled=holes), replace(panel, filled=holes, fill="last"), replace(panel, filled=~holes)]
    assert len({panel.fingerprint, *(other.fingerprint for other in others)}) == 4
    assert panel.fingerprint.startswith("7ecbe7becca4f556"), "panels without fills keep their address"


def test_a_mask_of_another_shape_is_refused():
    panel = hourly(50)
    object.__setattr__(panel, "filled", np.zeros((50, 1), dtype=bool))
    with pytest.raises(DataError, match="mask of filled values does not have the shape"):
        panel.__post_init__()


def test_series_are_filled_apart():
    panel = gappy(ragged((60, 50, 40)), 0.3)
    known = causal(panel)
    for series in range(3):
        rows = panel.series_rows(series)
        one = replace(
            panel,
            values=panel.values[rows],
            filled=panel.filled[rows],
            offsets=np.array([0, rows.stop - rows.start]),
            time=panel.time[rows],
            series=(panel.series[series],),
        )
        np.testing.assert_array_equal(known[rows], causal(one))
