"""Effects of known columns: found where they are there, left out where they are not."""

from dataclasses import replace

import numpy as np
import pytest
from combination_series import walks
from hypothesis import given, settings
from hypothesis import strategies as st

from forecheck.combination.combine import combine, origins_for
from forecheck.combination.features import columns_of, design, raw_columns
from forecheck.combination.known import combine_known
from forecheck.combination.ragged import from_panel
from forecheck.combination.regression import effects_of
from forecheck.combination.suspects import collinear, leaking
from forecheck.combination.worth import losses_of
from forecheck.data.covariates import Covariates
from forecheck.data.frequency import Frequency
from forecheck.data.panel import Panel

HORIZON = 6
DAY = 86_400_000_000


def panel_of(series, columns, names=None, future=None, levels=None, frequency=None, static=None):
    """Series of (time,) and known columns of (time + horizon, known) each."""
    lengths = [len(each) for each in series]
    unit = frequency or Frequency("us", DAY)
    first = np.datetime64("2024-01-01", "us")
    time = np.concatenate([first + (unit.count * np.arange(n)).astype("timedelta64[us]") for n in lengths])
    names = names or tuple(f"x{i}" for i in range(columns[0].shape[1]))
    past = np.concatenate([x[:n] for x, n in zip(columns, lengths, strict=True)])
    ahead = np.stack([x[n:] for x, n in zip(columns, lengths, strict=True)]) if future is None else future
    covariates = Covariates(names, past, ahead, levels or {}, static or {})
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = np.concatenate(series)[:, None]
    labels = tuple(f"s{i}" for i in range(len(series)))
    return Panel(values, offsets, time, labels, ("y",), unit, covariates=covariates)


def promoted(count=4, length=90, effect=5.0, seed=0):
    """Random walks of small steps, with an effect of a column that is one now and then; and what follows."""
    rng = np.random.default_rng(seed)
    flags = [(rng.random((length + HORIZON, 1)) < 0.3).astype(float) for _ in range(count)]
    level = [50 + 0.3 * np.cumsum(rng.standard_normal(length + HORIZON)) for _ in range(count)]
    whole = [y + effect * flag[:, 0] for y, flag in zip(level, flags, strict=True)]
    return panel_of([y[:length] for y in whole], flags), np.stack([y[length:] for y in whole])


def made_of(panel, seasons=()):
    batch = from_panel(panel)
    raw = raw_columns(panel, panel.covariates, HORIZON, batch.values.shape[1])
    return combine_known(batch, raw, 1, HORIZON, seasons), batch, raw


def test_an_effect_that_is_there_is_used_and_its_worth_is_told():
    panel, truth = promoted()
    made, batch, _ = made_of(panel)
    plain = combine(batch, HORIZON)
    assert made.worth.used
    assert made.worth.gain > 0.5
    assert made.worth.interval[0] < made.worth.gain < made.worth.interval[1] <= 1
    assert made.worth.without == pytest.approx(np.nanmean(losses_of(plain.errors, plain.errors)))
    assert made.worth.with_them == pytest.approx(np.nanmean(losses_of(made.errors, plain.errors)))
    assert np.abs(made.point - truth).mean() < 0.4 * np.abs(plain.point - truth).mean()
    low, high = made.interval(80)
    assert ((low <= truth) & (truth <= high)).mean() > 0.5
    assert (high - low).mean() < 0.5 * np.subtract(*plain.interval(80)[::-1]).mean()


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_not_used_and_leaves_the_forecast_as_it_is(seed):
    panel, _ = promoted(effect=0.0, seed=seed)
    made, batch, _ = made_of(panel)
    assert not made.worth.used
    assert (made.point == combine(batch, HORIZON).point).all()


def test_what_the_future_says_changes_the_forecast_by_the_effect():
    panel, _ = promoted()
    beside = panel.covariates
    on, off = (replace(panel, covariates=replace(beside, future=np.full((4, HORIZON, 1), v))) for v in (1.0, 0.0))
    difference = made_of(on)[0].point - made_of(off)[0].point
    assert np.allclose(difference, 5, atol=0.8)


def test_rows_after_an_origin_do_not_touch_its_errors():
    """Targets behind the first origin's horizon are not seen by its forecast."""
    panel, _ = promoted(count=2)
    batch = from_panel(panel)
    raw = raw_columns(panel, panel.covariates, HORIZON, batch.values.shape[1])
    origins = origins_for(batch, HORIZON, ())
    columns, _ = columns_of(raw)
    found = effects_of(batch, raw, columns, 1, 1, origins, each=True)
    end = origins[0].end
    later = batch.values.copy()
    later[:, -end:] += np.random.default_rng(1).standard_normal((2, end))
    scaled = effects_of(replace(batch, values=later), raw, columns, 1, 1, origins, each=True)
    # The unit is that of whole series and cancels out; the ridge is chosen over all origins.
    if scaled.ridge == found.ridge:
        shape = found.values[0][0] / np.abs(found.values[0][0]).max()
        assert np.allclose(shape, scaled.values[0][0] / np.abs(scaled.values[0][0]).max(), atol=0.05)


@settings(max_examples=6, deadline=None)
@given(st.floats(1e-3, 1e6), st.floats(-1e3, 1e3))
def test_the_forecast_follows_the_scale_of_the_series_and_of_the_columns(factor, shift):
    panel, _ = promoted(count=2, length=30)
    beside = panel.covariates
    scaled = replace(
        panel,
        values=panel.values * factor,
        covariates=replace(beside, values=beside.values * 3 + shift, future=beside.future * 3 + shift),
    )
    a, b = made_of(panel)[0], made_of(scaled)[0]
    assert b.point / factor == pytest.approx(a.point, rel=1e-4)
    assert a.worth.used == b.worth.used


def test_effects_are_those_of_least_squares():
    """One series, no noise in levels: differences regressed by numpy."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 2)).round()
    y = np.cumsum(rng.standard_normal(400 - HORIZON)) + x[: 400 - HORIZON] @ [3.0, -2.0]
    panel = panel_of([y], [x], levels=None)
    batch = from_panel(panel)
    raw = raw_columns(panel, panel.covariates, HORIZON, batch.values.shape[1])
    columns, _ = columns_of(raw)
    origins = origins_for(batch, HORIZON, ())
    effect = effects_of(batch, raw, columns, 1, 1, origins, each=False).values[-1][0]
    wide = np.nan_to_num(design(raw, columns, slice(0, 1))[0])
    beta = np.linalg.lstsq(np.diff(wide[: len(y)], axis=0), np.diff(y), rcond=None)[0]
    expected = wide @ beta
    expected -= expected[: len(y)].mean()
    assert np.corrcoef(effect, expected)[0, 1] > 0.995
    assert effect.std() == pytest.approx(expected.std(), rel=0.1)


def test_effects_differ_by_group_where_series_are_said_to_be_of_two_kinds():
    rng = np.random.default_rng(0)
    flags = [(rng.random((90 + HORIZON, 1)) < 0.3).astype(float) for _ in range(6)]
    series = [50 + 0.3 * np.cumsum(rng.standard_normal(90)) + (6, -6)[i % 2] * f[:90, 0] for i, f in enumerate(flags)]
    kinds = {"kind": tuple("ab"[i % 2] for i in range(6))}
    pooled = made_of(panel_of(series, flags))[0]
    grouped = made_of(panel_of(series, flags, static=kinds))[0]
    assert grouped.worth.used
    assert grouped.worth.with_them < 0.5 * pooled.worth.without


def test_categories_enter_one_by_one():
    rng = np.random.default_rng(0)
    kinds = [rng.integers(0, 3, (120 + HORIZON, 1)).astype(float) for _ in range(3)]
    effects = np.array([0.0, 8.0, -8.0])
    series = [40 + 0.3 * np.cumsum(rng.standard_normal(120)) + effects[k[:120, 0].astype(int)] for k in kinds]
    made = made_of(panel_of(series, kinds, levels={"x0": ("a", "b", "c")}))[0]
    assert made.worth.used
    assert made.worth.gain > 0.5


def test_hours_have_effects_by_part_of_the_day():
    rng = np.random.default_rng(0)
    n = 24 * 20
    warm = rng.standard_normal((n + HORIZON, 1))
    day = np.arange(n) % 24 >= 12
    y = 20 + np.where(day, 3.0, -3.0) * warm[:n, 0] + 0.2 * rng.standard_normal(n)
    made = made_of(panel_of([y], [warm], frequency=Frequency("us", DAY // 24)), (24, 168))[0]
    assert made.worth.used
    assert made.worth.gain > 0.4


def test_constant_and_collinear_columns_are_named():
    panel, _ = promoted()
    flags = panel.covariates
    rng = np.random.default_rng(0)
    a = rng.standard_normal((len(flags.values), 1))
    past = np.hstack([flags.values, a, 2 * a + 1, np.ones_like(a)])
    ahead = np.concatenate([flags.future, np.zeros((4, HORIZON, 1)), np.ones((4, HORIZON, 2))], axis=2)
    panel = replace(panel, covariates=Covariates(("promo", "a", "b", "one"), past, ahead))
    made = made_of(panel)[0]
    assert made.worth.constant == ("one",)
    assert made.worth.collinear == ("a", "b")
    assert made.worth.used
    assert made.worth.gain > 0.4


@pytest.mark.parametrize("shift", [0, 1, 3, -2])
def test_a_column_that_is_the_target_shifted_is_named(shift):
    rng = np.random.default_rng(0)
    n = 80
    whole = [np.cumsum(rng.standard_normal(n + 40)) for _ in range(2)]
    series = [y[20 : 20 + n] for y in whole]
    columns = [2 * y[20 - shift : 20 - shift + n + HORIZON, None] + 1 for y in whole]
    panel = panel_of(series, columns)
    batch = from_panel(panel)
    raw = raw_columns(panel, panel.covariates, HORIZON, n)
    assert leaking(batch, raw, 1) == {"x0": shift}


def test_what_is_known_long_enough_before_or_only_alike_is_no_leak():
    rng = np.random.default_rng(0)
    n = 80
    whole = [np.cumsum(rng.standard_normal(n + 40)) for _ in range(2)]
    series = [y[20 : 20 + n] for y in whole]
    old = [y[20 - HORIZON : 20 + n] for y in whole]
    noisy = [y[20 : 20 + n + HORIZON] + 0.5 * rng.standard_normal(n + HORIZON) for y in whole]
    columns = [np.stack(pair, axis=1) for pair in zip(old, noisy, strict=True)]
    panel = panel_of(series, columns)
    raw = raw_columns(panel, panel.covariates, HORIZON, n)
    assert leaking(from_panel(panel), raw, 1) == {}
    assert collinear(raw) == []


@pytest.mark.parametrize("length", [5, 6, 8, 12, 20])
def test_short_series_are_forecast(length):
    series = [each[:length] for each in walks(3, 60)]
    rng = np.random.default_rng(0)
    columns = [rng.standard_normal((len(each) + HORIZON, 1)) for each in series]
    made = made_of(panel_of(series, columns))[0]
    assert np.isfinite(made.point).all()
    assert made.worth.why


def test_ragged_constant_and_huge_series_side_by_side():
    rng = np.random.default_rng(3)
    flags = [(rng.random((n + HORIZON, 1)) < 0.3).astype(float) for n in (70, 40, 25)]
    series = [1e12 * (1 + 0.01 * rng.standard_normal(70)) + 5e11 * flags[0][:70, 0], np.full(40, 7.0), np.arange(25.0)]
    made = made_of(panel_of(series, flags))[0]
    assert np.isfinite(made.point).all()
    assert (made.point[1] == 7).all()
