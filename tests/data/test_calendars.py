"""Features of the calendar, against pandas' own."""

import sys
import types
from datetime import date

import numpy as np
import pandas as pd
import pytest

from forecheck.data.calendars import calendar_column, check_calendar
from forecheck.data.frequency import infer_frequency
from forecheck.errors import DataError, UsageError

HOURS = pd.date_range("2023-12-28 05:00", periods=24 * 80, freq="h")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("hour", HOURS.hour),
        ("dayofweek", HOURS.day_of_week),
        ("weekend", HOURS.day_of_week >= 5),
        ("dayofmonth", HOURS.day),
        ("monthend", HOURS.is_month_end),
        ("month", HOURS.month - 1),
        ("quarter", HOURS.quarter - 1),
        ("workingdays", HOURS.day_of_week < 5),
    ],
)
def test_features_are_those_of_pandas(name, expected):
    stamps = HOURS.to_numpy().astype("datetime64[us]")
    assert (calendar_column(name, stamps, infer_frequency(stamps)) == np.asarray(expected)).all()


@pytest.mark.parametrize(
    ("freq", "back"), [("MS", False), ("ME", True), ("QS", False), ("W-FRI", True), ("W-SUN", True), ("W-MON", False)]
)
def test_working_days_of_longer_steps_are_those_of_the_days_of_the_step(freq, back):
    stamps = pd.date_range("2023-01-01", periods=30, freq=freq)
    found = calendar_column(
        "workingdays", stamps.to_numpy().astype("datetime64[us]"), infer_frequency(stamps.to_numpy())
    )
    days = pd.date_range("2022-01-01", "2032-01-01")
    for place in range(1, 29):
        first, last = (
            (stamps[place - 1] + pd.Timedelta("1D"), stamps[place])
            if back
            else (stamps[place], stamps[place + 1] - pd.Timedelta("1D"))
        )
        inside = days[(days >= first) & (days <= last)]
        assert found[place] == (inside.day_of_week < 5).sum()


@pytest.fixture
def made_up_holidays(monkeypatch):
    """A country whose holidays are the first of May and of June."""

    def country_holidays(country, subdiv=None, years=()):
        if country != "XX":
            raise NotImplementedError(f"Country {country} not available")
        found = [date(year, 5, 1) for year in years]
        return dict.fromkeys(found + ([date(year, 6, 1) for year in years] if subdiv == "N" else []), "a day")

    monkeypatch.setitem(sys.modules, "holidays", types.SimpleNamespace(country_holidays=country_holidays))


def test_holidays_of_days_and_of_weeks(made_up_holidays):
    days = np.arange("2024-04-28", "2024-06-09", dtype="datetime64[D]").astype("datetime64[us]")
    frequency = infer_frequency(days)
    assert days[calendar_column("country=xx", days, frequency) == 1].astype(str).tolist() == [
        "2024-05-01T00:00:00.000000"
    ]
    assert calendar_column("country=XX-N", days, frequency).sum() == 2
    weeks = days[::7]  # Sundays
    assert calendar_column("country=XX", weeks, infer_frequency(weeks)).tolist() == [0, 1, 0, 0, 0, 0]


def test_what_is_not_there_is_refused(made_up_holidays):
    with pytest.raises(UsageError, match="no holidays of 'YY'"):
        check_calendar(["country=YY"])
    for name in ("years", "country", "country="):
        with pytest.raises(UsageError, match="there is no calendar feature"):
            check_calendar([name])
    with pytest.raises(DataError, match="needs dates"):
        calendar_column("hour", np.arange(5), infer_frequency(np.arange(5)))


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(UsageError, match=r"need the package holidays\n.*forecheck\[calendar\]"):
        check_calendar(["country=AU"])
