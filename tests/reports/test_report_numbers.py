import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.reports import numbers
from forecheck.reports.numbers import NOTHING


@pytest.mark.parametrize(
    ("value", "bounds", "written"),
    [
        (0.004, [-0.003, 0.011], "+0.4 % [-0.3, +1.1]"),
        (-0.0004, None, "0.0 %"),
        (0.0, [-0.01, 0.01], "0.0 % [-1.0, +1.0]"),
        (0.0004, [0.0001, 0.0007], "+0.04 % [+0.01, +0.07]"),
        (2.4, [1.9, 2.9], "+240 % [+190, +290]"),
        (12.345, None, "+1,234 %"),
        (0.01, [None, 0.02], f"+1.0 % [{NOTHING}, +2.0]"),
        (0.01, [], "+1.0 %"),
        (None, None, NOTHING),
        (math.nan, [math.nan, math.inf], NOTHING),
    ],
)
def test_an_effect_is_written_with_sign_unit_and_interval(value, bounds, written):
    assert numbers.effect(value, bounds) == written


@given(st.floats(-5, 5), st.floats(0, 0.5))
def test_a_written_effect_reads_back(value, half):
    text = numbers.effect(value, [value - half, value + half])
    number = float(text.split(" %")[0].replace(",", "")) / 100
    assert abs(number - value) <= 0.5 * 10 ** -(2 + numbers.effect_digits(value, [value - half, value + half])) + 1e-12


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([0.38, 1.292, 0.4], ["0.3800", "1.2920", "0.4000"]),
        ([12.345, None, 8.1], ["12.35", NOTHING, "8.10"]),
        ([1234.5, 123456.7], ["1,234", "123,457"]),
        ([0.0, None], ["0", NOTHING]),
        ([3e9], ["3.000e+09"]),
        ([math.nan], [NOTHING]),
        ([], []),
    ],
)
def test_losses_of_a_column_share_their_decimals(values, written):
    assert numbers.losses(values) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.09, "0.09 s"),
        (12.34, "12.3 s"),
        (59.96, "1 min 0 s"),
        (123.4, "2 min 3 s"),
        (3599.9, "1 h 0 min"),
        (None, NOTHING),
    ],
)
def test_seconds_are_written_in_units_of_their_size(value, written):
    assert numbers.seconds(value) == written


def test_the_small_forms():
    assert numbers.margin(0.01) == "±1 %"
    assert numbers.margin(0.005) == "±0.5 %"
    assert numbers.bound(0.0105) == "1.05 %"
    assert numbers.count(81728) == "81,728"
    assert numbers.p_value(0.0123) == "p = 0.012"
    assert numbers.p_value(1e-9) == "p < 0.001"
    assert numbers.p_value(None) == f"p {NOTHING}"
    assert numbers.p_values({"greater": 1e-9, "less": 0.9991, "equivalent": 0.2}) == {
        "p greater": "< 0.001",
        "p less": "0.999",
        "p equivalent": "0.200",
    }
    assert numbers.instant("2026-11-21T10:00:00+00:00") == "2026-11-21 10:00"
    assert numbers.instant("2016-07-01T00:00") == "2016-07-01 00:00"
    assert numbers.instant("2016-07-01T00:00:30") == "2016-07-01 00:00:30"
    assert numbers.instant("2016-07-01") == "2016-07-01"
    assert numbers.instant(1204) == "1204"
    assert not numbers.known(True)
