"""Several series are cut at the same times, and what overlaps is counted on the calendar."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel
from forecheck.data.splits import PARTS, fold_splits, most_folds, parse_split
from forecheck.data.windows import Windows, prepare
from forecheck.errors import DataError, UsageError
from panels import HOUR, gappy, hourly, ragged, staggered

SHIFTS = st.lists(st.tuples(st.integers(30, 90), st.integers(0, 60)), min_size=2, max_size=5)


def days(number):
    return str(np.datetime64("2024-01-01") + number)


def target_times(panel, windows):
    """Calendar steps of the first and last target row of every window."""
    return panel.calendar[windows.origins], panel.calendar[windows.origins + windows.horizon - 1]


def an_hour_apart(count=24, rows=600):
    """Hourly series that start an hour after one another."""
    rng = np.random.default_rng(0)
    start = np.datetime64("2024-01-01", "us")
    hour = np.timedelta64(HOUR, "us")
    return Panel(
        rng.standard_normal((count * rows, 1)),
        rows * np.arange(count + 1),
        np.concatenate([start + hour * np.arange(s, s + rows) for s in range(count)]),
        tuple(f"s{s}" for s in range(count)),
        ("y",),
        Frequency("us", HOUR),
    )


# Splits


def test_no_series_is_trained_on_times_that_another_is_tested_on():
    """Of A (2010 to 2014) beside B (2011 to 2018) every test time of A lay inside B's training part."""
    panel = staggered((1461, 2922), (0, 365))
    experiment = prepare(panel, 30, 7)
    ends = [target_times(panel, experiment.part(part))[1].max() for part in PARTS]
    starts = [target_times(panel, experiment.part(part))[0].min() for part in PARTS]
    assert ends[0] < starts[1] <= ends[1] < starts[2]
    assert set(panel.series_of(experiment.test.origins)) == {1}
    assert experiment.notes == (
        '1 of 2 series have no test window: they end before it or are too short, and serve before it alone ("store_0")',
    )


@given(SHIFTS, st.sampled_from(["70/10/20", "50/25/25", "2024-02-10,2024-02-20", "30+10+15"]))
def test_parts_follow_one_another_in_time(shifts, split):
    panel = staggered(*zip(*shifts, strict=True))
    try:
        experiment = prepare(panel, 5, 2, split)
    except DataError:
        return
    parts = [target_times(panel, experiment.part(part)) for part in PARTS]
    for (_, last), (first, _) in pairwise(parts):
        assert last.max() < first.min()
    assert np.isfinite(np.concatenate([experiment.part(part).gather(slice(None))[0] for part in PARTS])).all()


@given(st.integers(20, 90), st.integers(2, 4), st.sampled_from(["70/10/20", "60/15/25", "33.3/33.3/33.4"]))
def test_series_with_the_same_times_are_cut_as_one_is(rows, count, split):
    one, all_of_them = (parse_split(split, ragged((rows,) * series)) for series in (1, count))
    for part in PARTS:
        for alone, together in zip(one.rows(part), all_of_them.rows(part), strict=True):
            assert together.tolist() == alone.tolist() * count


@given(SHIFTS)
def test_percents_are_those_of_all_rows(shifts):
    panel = staggered(*zip(*shifts, strict=True))
    try:
        borders = parse_split("60/20/20", panel)
    except DataError:
        return
    rows = len(panel.values)
    first, second = borders.train_end.sum(), (panel.lengths - borders.validation_end).sum()
    # At most the share, and one stamp more would be too much.
    assert first <= 0.6 * rows + 1e-6 < first + len(shifts)
    assert second <= 0.2 * rows + 1e-6 < second + len(shifts)


def test_rows_are_counted_on_the_calendar():
    panel = staggered((100, 60, 40), (0, 20, 90))
    borders = parse_split("50+20+30", panel)
    assert borders.train_end.tolist() == [50, 30, 0]
    assert borders.validation_end.tolist() == [70, 50, 0]
    assert borders.test_end.tolist() == [100, 60, 10]
    with pytest.raises(
        DataError, match=r"has 130 steps from its first stamp to its last, but split 90\+20\+21 needs 131"
    ):
        parse_split("90+20+21", panel)


def test_a_third_date_ends_the_test_part():
    panel = staggered((100, 60), (0, 20))
    borders = parse_split(f"{days(50)}, {days(60)}, {days(75)}", panel)
    assert [end.tolist() for end in (borders.train_end, borders.validation_end, borders.test_end)] == [
        [50, 30],
        [60, 40],
        [75, 55],
    ]
    with pytest.raises(UsageError, match="names 4 dates"):
        parse_split(",".join(days(n) for n in (50, 60, 70, 80)), panel)


def test_whole_numbers_split_where_time_is_whole_numbers():
    panel = replace(hourly(100), time=1000 + 5 * np.arange(100), frequency=Frequency("step", 5))
    borders = parse_split("1350,1400,1490", panel)
    assert (borders.train_end[0], borders.validation_end[0], borders.test_end[0]) == (70, 80, 98)
    with pytest.raises(UsageError, match="is by date, but waves has no dates"):
        parse_split("2024-01-01,2024-01-02", panel)


def test_a_part_may_be_empty_in_a_series_but_not_in_all():
    panel = staggered((100, 30), (0, 0))
    parse_split("70/10/20", panel)
    with pytest.raises(DataError, match="the validation part is empty under split"):
        parse_split(f"{days(50)},{days(50)}", panel)


def test_series_without_training_rows_have_no_windows_and_are_named():
    panel = staggered((200, 60, 55), (0, 150, 120))
    experiment = prepare(panel, 10, 5, f"{days(125)},{days(160)}")
    assert experiment.scaler.known.tolist() == [True, False, False]  # none, and five rows: too few
    used = np.concatenate([panel.series_of(experiment.part(part).origins) for part in PARTS])
    assert set(used) == {0}
    (note,) = experiment.notes
    assert note.startswith("2 of 3 series have no or too few training rows, or constant ones, so no scale")
    assert note.endswith('("store_1", "store_2")')
    enough = prepare(panel, 10, 5, f"{days(130)},{days(160)}")
    assert enough.scaler.known.tolist() == [True, False, True]
    assert "1 of 3 series have no training window" in enough.notes[1]


def test_notes_name_a_few_series_of_many():
    panel = staggered((200, *[20] * 8), (0, *[0] * 8))
    (note,) = prepare(panel, 10, 5).notes
    assert note.endswith('("store_1", "store_2", "store_3", "store_4", "store_5" and 3 more)')


# Steps


def test_overlap_counts_distinct_times_of_all_series():
    """24 series that start an hour apart: a step of a day from every one's own start is every hour for all."""
    panel = an_hour_apart()
    experiment = prepare(panel, 24, 24, step=24)
    assert experiment.test.overlap == 1
    assert {int(time) % 24 for time in experiment.test.times} == {0}
    first = panel.offsets[panel.series_of(experiment.test.origins)]
    own = experiment.test.origins - (experiment.test.origins - first) % 24  # as they were counted once
    assert replace(experiment.test, origins=own).overlap == 24


@given(SHIFTS, st.integers(1, 12), st.integers(1, 12))
def test_overlap_is_that_of_the_definition(shifts, horizon, step):
    panel = staggered(*zip(*shifts, strict=True))
    origins = np.concatenate([np.arange(start, end, step) for start, end in pairwise(panel.offsets)])
    windows = Windows(panel.values, 1, horizon, origins, step, calendar=panel.calendar)
    times = sorted(set(windows.times))
    counted = max(sum(start <= time < start + horizon for time in times) for start in times)
    assert windows.overlap == max(counted, -(-horizon // step))


def test_series_on_other_grids_take_turns():
    panel = staggered((60, 60), (0, 0))
    shifted = panel.time + np.repeat([0, 8 * HOUR], 60).astype("timedelta64[us]")
    windows = prepare(replace(panel, time=shifted), 4, 3).test
    assert windows.overlap == 6
    assert prepare(panel, 4, 3).test.overlap == 3


def test_origins_of_a_step_are_those_of_one_clock():
    panel = staggered((100, 80), (0, 13))
    for step in (2, 7):
        windows = prepare(panel, 5, 3, step=step).train
        assert not (panel.calendar[windows.origins] % step).any()
        assert set(panel.series_of(windows.origins)) == {0, 1}


@pytest.mark.parametrize("stride", [2, 5])
def test_strided_windows_keep_the_same_times_of_all_series(stride):
    windows = prepare(staggered((100, 80), (0, 13)), 5, 6).train
    strided = windows.strided(stride)
    assert len(set(np.unique(strided.times) % stride)) == 1
    assert strided.overlap == -(-6 // stride)
    assert set(strided.times) == set(np.unique(windows.times)[::stride])
    one = prepare(hourly(200), 5, 6).train
    np.testing.assert_array_equal(one.strided(stride).origins, one.origins[::stride])


def test_calendars_of_months_and_weekdays():
    month = Frequency("month", 1, month_end=True)
    stamps = np.array(["2024-01-31", "2024-02-29", "2025-01-31"], dtype="datetime64[us]")
    assert month.distance(stamps[0], stamps).tolist() == [0, 1, 12]
    cut = Frequency("month", 1, day=31)  # months that are too short cut the day
    assert cut.distance(stamps[0], np.array(["2024-04-30"], dtype="datetime64[us]")).tolist() == [3]
    weekday = Frequency("weekday")
    friday = np.datetime64("2024-01-05", "us")
    assert weekday.distance(friday, np.array(["2024-01-08"], dtype="datetime64[us]")).tolist() == [1]
    # Series on other days of the month keep apart and in order.
    days_ = np.array(["2024-01-01", "2024-01-15", "2024-02-01"], dtype="datetime64[us]")
    first, middle, last = Frequency("month").distance(days_[0], days_)
    assert (first, last) == (0, 1)
    assert first < middle < last


# Folds


def borders_of(panel, split):
    borders = parse_split(split, panel)
    return [end.tolist() for end in (borders.train_end, borders.validation_end, borders.test_end)]


def test_folds_move_the_whole_cut_back():
    panel = hourly(1000)
    splits = fold_splits(panel, None, 3, 24, 6)
    assert splits == ["300+100+200", "500+100+200", "70/10/20"]
    assert borders_of(panel, splits[0]) == [[300], [400], [600]]
    assert borders_of(panel, splits[2]) == [[700], [800], [1000]]
    assert fold_splits(panel, "600+100+100", 2, 24, 6) == ["500+100+100", "600+100+100"]
    assert fold_splits(panel, "60/20/20", 1, 24, 6) == ["60/20/20"]


@pytest.mark.parametrize("split", ["70/10/20", "100+40+30", f"{days(110)},{days(140)},{days(170)}"])
def test_test_parts_of_folds_of_a_panel_adjoin(split):
    panel = staggered((200, 150, 90), (0, 40, 10))
    splits = fold_splits(panel, split, 2, 5, 2)
    parts = [parse_split(each, panel) for each in splits]
    assert splits[-1] == split
    for earlier, later in pairwise(parts):
        for end, start, length in zip(earlier.test_end, later.validation_end, panel.lengths, strict=True):
            assert end == start or end == start == length
        assert (earlier.train_end <= later.train_end).all()
        assert earlier.train_end.sum() < later.train_end.sum()


def test_too_many_folds_are_refused_with_the_largest_number():
    panel = hourly(1000)
    assert most_folds(panel, None, 24, 6) == 3  # 700, 500, 300 rows; a fourth would have 100: less than 700 / 4
    with pytest.raises(UsageError, match=r"no room for 4 folds: .* at most 3 leave") as caught:
        fold_splits(panel, None, 4, 24, 6)
    assert "--folds 3" in caught.value.remedy
    assert most_folds(panel, None, 200, 6) == 2  # a fold needs 412 rows
    assert most_folds(panel, None, 400, 6) == 1
    with pytest.raises(UsageError, match="folds must be positive"):
        fold_splits(panel, None, 0, 24, 6)


@given(SHIFTS, st.integers(1, 8))
def test_every_fold_that_is_allowed_can_be_read(shifts, lookback):
    panel = staggered(*zip(*shifts, strict=True))
    try:
        most = most_folds(panel, None, lookback, 2)
    except DataError:
        return
    splits = fold_splits(panel, None, most, lookback, 2)
    assert len(splits) == most
    for split in splits:
        parse_split(split, panel)
    with pytest.raises(UsageError, match="no room"):
        fold_splits(panel, None, most + 1, lookback, 2)


def test_filled_panels_of_several_series():
    panel = gappy(staggered((200, 150), (0, 30)), 0.3)
    experiment = prepare(panel, 8, 4)
    assert experiment.test.overlap == 4
    assert experiment.test.gather(slice(None))[1].isnan().any()
