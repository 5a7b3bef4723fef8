"""Signs of percent and of money beside numbers, and weeks that are not those of ISO 8601."""

# ruff: noqa: PD011  (Panel.values is no pandas attribute)

import numpy as np
import pandas as pd
import pytest

import forecheck as fc
from forecheck.errors import DataError

DAYS = pd.date_range("2022-01-01", periods=60).astype(str)
Y = np.round(1234.5 + 100 * np.sin(np.arange(60) / 3), 1)


def read(cells, **options):
    return fc.load(pd.DataFrame({"date": DAYS, "y": list(cells)}), **options)


def continental(value):
    return f"{value:,.1f}".translate(str.maketrans(",.", ".,"))


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        (lambda v: f"{v}%", "%"),
        (lambda v: f"{v} %", "%"),
        (lambda v: f"${v:,.1f}", "$"),
        (lambda v: f"-${-v:,.1f}" if v < 0 else f"${v:,.1f}", "$"),
        (lambda v: f"{continental(v)} €", "€"),
        (lambda v: f"{continental(v)}\u00a0EUR", "EUR"),
        (lambda v: f"USD {v}", "USD"),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_one_unit_in_all_cells_is_left_out_and_told(written, unit, sign):
    panel = read(written(sign * v) for v in Y)
    np.testing.assert_allclose(panel.values[:, 0], sign * Y)
    assert f'"y" read without its {unit}' in panel.described


def test_missing_cells_stay_missing():
    cells = [f"{v}%" for v in Y]
    cells[7] = "n/a"
    with pytest.raises(DataError, match="1 missing value"):
        read(cells)
    filled = read(cells, fill="linear")
    assert filled.fills


@pytest.mark.parametrize("odd", ["12.5", "€12.5", "$12.5%", "($12.5)", "-$-12.5", "$"])
def test_units_that_differ_are_refused(odd):
    cells = [f"${v}" for v in Y]
    cells[5] = odd
    with pytest.raises(DataError, match="not a number"):
        read(cells)


def test_thousands_of_money_are_asked_about_as_without_it():
    with pytest.raises(DataError, match=r"may be 1234 or 1\.234"):
        read(["$1,234"] * 59 + ["$987"])
    panel = read(["$1,234"] * 59 + ["$987"], thousands=",")
    np.testing.assert_array_equal(panel.values[[0, -1], 0], [1234, 987])


# 52 weeks in each year, as github.com/teamalgoritma/community/issues/463 has them
def test_weeks_that_leave_out_those_of_iso_are_not_completed():
    weeks = [100 * year + week for year in (2019, 2020, 2021) for week in range(1, 53)]
    frame = pd.DataFrame({"week": weeks, "y": np.arange(156) % 52})
    with pytest.raises(DataError, match=r"row 104.*follows week 52 of 2020, which has 53"):
        fc.load(frame)
    assert len(fc.load(frame, drop=["week"]).values) == 156
    whole = frame[frame.week < 202100]
    assert str(fc.load(whole).frequency) == "week"  # nothing is known of how the last year ends


def test_a_series_that_training_sees_constant_is_forecast_all_the_same():
    frame = pd.DataFrame({"date": DAYS, "y": [0.0] * 50 + [3.0, 5, 4, 6, 5, 7, 6, 8, 7, 9]})
    with pytest.raises(DataError, match=r"(?s)is constant.*\n  Split so that.*--model combination"):
        fc.forecast(fc.load(frame), horizon=1, model="last", workers=0)
    found = fc.forecast(fc.load(frame), horizon=1, model="combination", workers=0)
    assert np.isfinite(np.asarray(found.columns["combination"], dtype=float)).all()
