"""Windows against brute force: every one exactly once, inside one series, looking back but never forward."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel
from forecheck.data.scaling import fit_scaler
from forecheck.data.splits import PARTS, origins, parse_split
from forecheck.data.windows import Windows, prepare
from forecheck.errors import DataError, UsageError
from panels import KINDS, gappy, staggered


def panel_of(lengths, channels=2, seed=0):
    """Values are noise; time counts from 0 in every series."""
    rows = sum(lengths)
    values = np.random.default_rng(seed).normal(size=(rows, channels))
    return Panel(
        values,
        np.concatenate([[0], np.cumsum(lengths)]),
        np.concatenate([np.arange(length) for length in lengths]),
        tuple(f"s{index}" for index in range(len(lengths))),
        tuple(f"c{index}" for index in range(channels)),
        Frequency("step"),
    )


many_lengths = st.lists(st.integers(20, 60), min_size=1, max_size=4)


def brute_force(panel, borders, part, lookback, horizon):
    """Origins by definition, one row at a time."""
    first, end = borders.rows(part)
    found = []
    for index in range(len(panel.series)):
        start, stop = panel.offsets[index], panel.offsets[index + 1]
        for origin in range(start, stop):
            inputs_inside = origin - lookback >= start
            targets_inside = origin >= start + first[index] and origin + horizon <= start + end[index]
            if inputs_inside and targets_inside:
                found.append(origin)
    return found


@given(many_lengths, st.integers(1, 8), st.integers(1, 4), st.sampled_from(["70/10/20", "60/20/20", "10+5+5"]))
def test_origins_are_those_of_the_definition(lengths, lookback, horizon, split):
    panel = panel_of(lengths)
    borders = parse_split(split, panel)
    for part in PARTS:
        expected = brute_force(panel, borders, part, lookback, horizon)
        if expected:
            assert origins(panel, borders, part, lookback, horizon).tolist() == expected
        else:
            with pytest.raises(DataError, match="too short"):
                origins(panel, borders, part, lookback, horizon)


@given(many_lengths, st.integers(1, 6), st.integers(1, 2), st.integers(1, 17))
def test_batches_hold_every_window_once_and_keep_the_last(lengths, lookback, horizon, size):
    panel = panel_of(lengths)
    experiment = prepare(panel, lookback, horizon, "50/25/25")
    scaled = torch.from_numpy(experiment.scaler.scale(panel).astype(np.float32))
    for part in PARTS:
        windows = experiment.part(part)
        seen = []
        for index, x, y in windows.batches(size):
            rows = windows.origins[index]
            seen += rows.tolist()
            assert len(x) == len(y) == len(rows) <= size
            for row, inputs, targets in zip(rows, x, y, strict=True):
                torch.testing.assert_close(inputs, scaled[row - lookback : row])
                torch.testing.assert_close(targets, scaled[row : row + horizon])
                series = np.searchsorted(panel.offsets, [row - lookback, row + horizon - 1], side="right")
                assert series[0] == series[1]
        assert seen == brute_force(panel, experiment.borders, part, lookback, horizon)
        assert [row for first, end in windows.runs() for row in range(first, end)] == seen


def test_targets_of_a_part_never_enter_an_earlier_part():
    experiment = prepare(panel_of([100]), 10, 5)
    assert experiment.train.origins[-1] + 5 == 70
    assert (experiment.validation.origins[0], experiment.validation.origins[-1] + 5) == (70, 80)
    assert (experiment.test.origins[0], experiment.test.origins[-1] + 5) == (80, 100)


def test_gather_by_index_equals_gather_by_slice():
    windows = prepare(panel_of([80, 50]), 8, 3).train
    for both, one in zip(windows.gather(torch.tensor([5, 6, 7])), windows.gather(slice(5, 8)), strict=True):
        torch.testing.assert_close(both, one)


def test_a_batch_is_all_that_is_materialised():
    windows = Windows(np.zeros((10_000, 3)), 96, 24, np.arange(96, 9_977))
    assert windows._strided.untyped_storage().nbytes() == 4 * 10_000 * 3
    allocated = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                allocated.append(result.untyped_storage().nbytes())
            return result

    with Watch():
        x, y = windows.gather(slice(100, 132))
    batch = 4 * 32 * 120 * 3
    assert x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()
    assert x.untyped_storage().nbytes() == batch
    shared = {windows._strided.untyped_storage().nbytes(), windows.origins.nbytes}
    assert all(size <= batch for size in allocated if size not in shared)


@given(many_lengths, st.floats(-1e3, 1e3), st.sampled_from(["70/10/20", "10+5+5"]))
def test_the_scaler_sees_training_rows_only(lengths, change, split):
    panel = panel_of(lengths)
    borders = parse_split(split, panel)
    before = fit_scaler(panel, borders)
    values = panel.values.copy()
    for offset, end, stop in zip(panel.offsets[:-1], borders.train_end, panel.offsets[1:], strict=True):
        values[offset + end : stop] += change
    after = fit_scaler(Panel(values, panel.offsets, panel.time, panel.series, panel.channels, panel.frequency), borders)
    np.testing.assert_array_equal(before.mean, after.mean)
    np.testing.assert_array_equal(before.std, after.std)


def test_the_scaler_of_a_filled_panel_sees_training_rows_only():
    panel = gappy(staggered((300, 150), (0, 101)), 0.8)
    experiment = prepare(panel, 24, 6)
    values = panel.values.copy()
    for offset, end, stop in zip(panel.offsets[:-1], experiment.borders.train_end, panel.offsets[1:], strict=True):
        values[offset + end : stop] = 1e6
    again = fit_scaler(replace(panel, values=values), experiment.borders)
    np.testing.assert_array_equal(again.mean, experiment.scaler.mean)
    np.testing.assert_array_equal(again.std, experiment.scaler.std)


@pytest.mark.parametrize("name", KINDS)
def test_every_window_that_the_clock_allows_is_there(name):
    """By the calendar of the panel, row by row, without the windows' own code."""
    panel, step = KINDS[name]
    experiment = prepare(panel, 24, 6, step=step)
    for part in PARTS:
        due = [
            row
            for row in brute_force(panel, experiment.borders, part, 24, 6)
            if np.floor(panel.calendar[row]) % step == 0
            and (panel.filled is None or not panel.filled[row : row + 6].all())
        ]
        assert experiment.part(part).origins.tolist() == due


@given(many_lengths)
def test_scaled_training_rows_have_mean_0_and_variance_1(lengths):
    panel = panel_of(lengths)
    borders = parse_split("70/10/20", panel)
    scaled = fit_scaler(panel, borders).scale(panel)
    for offset, end in zip(panel.offsets[:-1], borders.train_end, strict=True):
        np.testing.assert_allclose(scaled[offset : offset + end].mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(scaled[offset : offset + end].std(axis=0), 1)


def test_a_series_constant_in_training_is_refused_alone_and_has_no_scale_among_others():
    panel = panel_of([50])
    panel.values[:40, 1] = 3
    with pytest.raises(DataError, match=r'channel "c1" is constant \(3\) over its 35') as caught:
        prepare(panel, 4, 2)
    assert "--drop c1" in caught.value.remedy
    panel = panel_of([50, 50])
    panel.values[50:90, 1] = 3
    experiment = prepare(panel, 4, 2)
    assert experiment.scaler.known.tolist() == [True, False]
    assert '("s1")' in experiment.notes[0]


def test_splits_by_date_and_their_errors():
    panel = panel_of([10])
    dates = np.datetime64("2020-01-01", "us") + np.arange(10).astype("timedelta64[D]")
    dated = Panel(panel.values, panel.offsets, dates, panel.series, panel.channels, Frequency("us", 86_400_000_000))
    borders = parse_split("2020-01-05, 2020-01-08", dated)
    assert (borders.train_end[0], borders.validation_end[0], borders.test_end[0]) == (4, 7, 10)
    for split, words, on in [
        ("2020-01-05,2020-01-08", "has no dates", panel),
        ("2020-01-05,x", "cannot read the dates", dated),
        ("70/20/20", "sum to 110", panel),
        ("half", "cannot read split", panel),
    ]:
        with pytest.raises(UsageError, match=words):
            parse_split(split, on)
    for split, words in [("8+8+8", "10 rows"), ("2020-01-05,2020-01-05", "validation part")]:
        with pytest.raises(DataError, match=words):
            parse_split(split, dated)
