"""The whole: invariances, kinds of series, costs, intervals."""

import numpy as np
import pytest
from combination_series import batch, monthly, walks
from numpy.testing import assert_allclose

from forecheck.combination import maps, smoothing
from forecheck.combination.combine import combine
from forecheck.combination.origins import rolling_origins
from forecheck.combination.ragged import Ragged, from_panel, width_of
from forecheck.combination.seasons import known_seasons
from forecheck.data.frequency import Frequency
from panels import HOUR, gappy, hourly, ragged


@pytest.mark.parametrize("factor", [1e-8, 2.0**-30, 3.0, 1e12])
@pytest.mark.parametrize(("series", "seasons"), [(monthly(), (12,)), (walks(), ())], ids=["monthly", "walks"])
def test_forecasts_have_the_unit_of_their_series(series, seasons, factor):
    units = np.where(np.arange(len(series)) % 2, factor, 1.0)
    one = combine(batch(series), 6, seasons)
    other = combine(batch([unit * y for unit, y in zip(units, series, strict=True)]), 6, seasons)
    assert_allclose(other.point, one.point * units[:, None], rtol=1e-6)
    assert_allclose(other.interval(80)[1], one.interval(80)[1] * units[:, None], rtol=1e-6)


def test_forecasts_move_with_their_series():
    """Series with values below zero: nothing is multiplied."""
    series = walks()
    one, other = combine(batch(series), 5), combine(batch([y - 1000 for y in series]), 5)
    assert_allclose(other.point + 1000, one.point, rtol=1e-5, atol=1e-5)


def test_the_order_of_series_is_irrelevant_and_twice_is_the_same():
    series = monthly(6)
    one = combine(batch(series), 12, (12,))
    again, turned = combine(batch(series), 12, (12,)), combine(batch(series[::-1]), 12, (12,))
    assert (again.point == one.point).all()
    assert_allclose(turned.point[::-1], one.point, rtol=1e-6)


def test_a_season_and_a_trend_go_on():
    t = np.arange(72.0)
    y = [(50 + t + 10 * np.sin(2 * np.pi * t / 12 + k))[:60] for k in range(3)]
    truth = [(50 + t + 10 * np.sin(2 * np.pi * t / 12 + k))[60:] for k in range(3)]
    assert_allclose(combine(batch(y), 12, (12,)).point, truth, rtol=0.02)


@pytest.mark.parametrize("length", range(5, 30))
@pytest.mark.parametrize(("horizon", "seasons"), [(1, ()), (6, ()), (30, (4,)), (12, (12,))])
def test_series_from_five_points_up_have_forecasts_and_intervals(length, horizon, seasons):
    y = 10 + np.random.default_rng(length).standard_normal(length)
    made = combine(batch([y]), horizon, seasons)
    low, high = made.interval(95)
    assert np.isfinite(made.point).all()
    assert (low <= made.point).all()
    assert (made.point <= high).all()
    assert ((made.interval(50)[1] - made.point) <= (high - made.point) + 1e-12).all()
    assert abs(made.point.mean() - 10) < 10


def test_fewer_values_are_refused():
    with pytest.raises(ValueError, match="a series has 4 values, fewer than 5"):
        combine(batch([np.arange(4.0), np.arange(9.0)]), 3)


def test_a_series_that_never_changes_is_forecast_by_its_value_among_others():
    series = [*walks(4), np.full(40, 7.0), np.zeros(50)]
    made = combine(batch(series), 5)
    low, high = made.interval(95)
    for at, value in ((4, 7.0), (5, 0.0)):
        assert (made.point[at] == value).all()
        assert (low[at] == value).all()
        assert (high[at] == value).all()
    assert (made.unit[4:] == 0).all()
    alone = combine(batch([np.full(6, -3.0)]), 4)
    assert (alone.point == -3).all()


def test_intermittent_series_are_near_their_median_and_never_negative():
    rng = np.random.default_rng(0)
    series = [rng.poisson(3, 60) * (rng.random(60) < 0.25) for _ in range(40)]
    made = combine(batch(series), 6, (12,))
    assert made.mostly_zero.mean() > 0.8
    assert (made.point >= 0).all()
    assert (made.interval(95)[0] >= 0).all()
    assert np.abs(made.point - 0).mean() < 0.5


def test_wild_series_have_finite_forecasts():
    series = [
        np.exp(np.arange(40.0)),
        -np.exp(np.arange(40.0)),
        np.r_[np.zeros(39), 1e9],
        np.r_[1e9, np.zeros(39)],
        np.where(np.arange(40) % 2, 1e-300, 1e300),
        1e15 + np.arange(40.0),
        np.full(40, 5e-324) * (np.arange(40) % 3),
    ]
    made = combine(batch(series), 8, (4,))
    assert np.isfinite(made.point).all()
    assert np.isfinite(made.interval(80)).all()


def test_what_was_filled_is_no_truth():
    panel = gappy(hourly(300, channels=1), 0.1)
    made = combine(from_panel(panel), 6, (24,))
    assert np.isfinite(made.point).all()
    values = panel.values.copy()
    values[panel.filled] = 1e6  # whatever they were filled with: it is what was known before that counts
    other = combine(from_panel(type(panel)(**{**vars_of(panel), "values": values})), 6, (24,))
    assert_allclose(other.point, made.point)


def test_a_series_observed_at_every_fifth_step_changes():
    """No two neighbours were observed, and yet it is no constant."""
    truth = (np.arange(60) % 5 == 0)[None]
    values = np.repeat(np.arange(0.0, 60, 5), 5)[None]
    made = combine(Ragged(values, truth), 4)
    assert made.unit[0] == pytest.approx(55 / 59)
    assert made.point[0, -1] > 55


def vars_of(panel):
    names = ("values", "offsets", "time", "series", "channels", "frequency", "name", "split", "fills", "filled", "fill")
    return {name: getattr(panel, name) for name in names}


def test_a_batch_holds_the_end_of_every_channel_of_every_series():
    panel = ragged((30, 12, 25))
    whole = from_panel(panel)
    assert whole.lengths.tolist() == [30, 12, 25]
    for row, end, length in zip(whole.values, panel.offsets[1:], (30, 12, 25), strict=True):
        assert (row[-length:] == panel.values[end - length : end, 0]).all()
    assert width_of(panel, 45) == 15
    cut = from_panel(panel, 45)
    assert cut.lengths.tolist() == [15, 12, 15]
    two = from_panel(hourly(20))
    assert (two.values == hourly(20).values.T).all()


# Origins


@pytest.mark.parametrize("length", [4, 5, 6, 8, 12, 20, 50, 200])
@pytest.mark.parametrize("horizon", [1, 4, 24])
@pytest.mark.parametrize("period", [1, 4, 12, 52])
def test_origins_lie_inside_the_history(length, horizon, period):
    origins = rolling_origins(np.array([length]), horizon, period)
    assert len(origins) <= 12
    ends = [origin.end for origin in origins]
    assert ends == sorted(set(ends), reverse=True)
    for origin in origins:
        assert 1 <= origin.horizon <= min(horizon, origin.end)
        assert length - origin.end >= 3
    if length >= 5:
        assert origins
    if length >= 2 * period + 2 + 8 + horizon:
        assert origins[0].horizon == horizon
        assert length - ends[0] >= 2 * period + 2  # seasons are seen there as in the end


@pytest.mark.parametrize(
    ("frequency", "period", "seasons"),
    [
        (Frequency("us", HOUR), None, (24, 168)),
        (Frequency("us", HOUR // 2), None, (48, 336)),
        (Frequency("us", HOUR // 12), None, (288, 2016)),
        (Frequency("us", 24 * HOUR), None, (7, 364)),
        (Frequency("us", 7 * 24 * HOUR), None, (52,)),
        (Frequency("us", 5 * HOUR), None, ()),
        (Frequency("weekday"), None, (5, 260)),
        (Frequency("month"), None, (12,)),
        (Frequency("month", 12), None, ()),
        (Frequency("step"), None, ()),
        (Frequency("step", season=7), None, (7,)),
        (Frequency("us", HOUR), 12, (12, 24, 168)),
        (Frequency("us", HOUR), 1, ()),
        (Frequency("step"), 6, (6,)),
    ],
)
def test_seasons_of_steps_of_time(frequency, period, seasons):
    assert known_seasons(frequency, period) == seasons


# Cost


def test_every_stage_is_told_before_it_begins():
    told = []
    combine(batch(monthly(8, 60)), 6, (12,), progress=lambda share, word: told.append((share, word)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert told[0] == (0.0, "rolling origins")
    assert told[-1] == (1.0, "weights")
    assert {word for _, word in told} == {"rolling origins", "maps of single series", "weights"}


def test_the_work_grows_with_the_number_of_series(monkeypatch):
    counted = []
    smooth, sums = smoothing.smooth, maps.windows_between

    def smoothed(values, first, grid, trend):
        counted.append(values.size * len(grid))
        return smooth(values, first, grid, trend)

    def windows(*where):
        found = sums(*where)
        counted.append(len(found[0]) * where[1] ** 2)
        return found

    monkeypatch.setattr(smoothing, "smooth", smoothed)
    monkeypatch.setattr(maps, "windows_between", windows)
    work = []
    for count in (10, 40):
        counted.clear()
        combine(batch([np.sin(np.arange(60.0) / (k + 2)) for k in range(count)]), 6, (12,))
        work.append(sum(counted))
    assert work[1] == pytest.approx(4 * work[0])


# Intervals


@pytest.mark.parametrize("length", [40, 120])
def test_intervals_cover_what_they_say(length):
    """200 autoregressive series: coverage is that of the level within five points, at every step together."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((200, length + 6)) * rng.uniform(0.1, 10, (200, 1))
    values = np.zeros_like(noise)
    for t in range(1, length + 6):
        values[:, t] = 0.6 * values[:, t - 1] + noise[:, t]
    made = combine(batch(values[:, :length]), 6)
    for level in (50, 80, 95):
        low, high = made.interval(level)
        covered = ((low <= values[:, length:]) & (values[:, length:] <= high)).mean()
        assert covered == pytest.approx(level / 100, abs=0.05)


def test_widths_follow_the_series_and_do_not_shrink_with_the_horizon():
    rng = np.random.default_rng(2)
    calm, rough = np.cumsum(rng.standard_normal((2, 20, 80)), axis=2)
    rough += 6 * rng.standard_normal((20, 80))
    made = combine(batch([*calm, *rough]), 8)
    width = made.interval(80)[1] - made.point
    assert (np.diff(width, axis=1) >= -1e-9).all()
    assert np.median(width[20:]) > 2 * np.median(width[:20])


def test_a_series_that_begins_late_does_not_disturb_others():
    series = monthly(6, 90)
    late = combine(batch([*series, series[0][-6:]]), 6, (12,))
    assert np.isfinite(late.point).all()
    assert isinstance(batch(series), Ragged)
