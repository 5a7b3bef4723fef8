"""Segments of alarms against a rule written row by row, and that no row waits for later ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.anomaly.detection.alarms import Rule, segmented
from forecheck.errors import UsageError

OVER = st.lists(st.booleans(), max_size=40).map(lambda each: np.array(each, dtype=bool))
RULES = st.builds(Rule, st.integers(0, 3), st.integers(1, 4))


def row_by_row(over, rule):
    alarm, first = np.zeros(len(over), dtype=bool), np.full(len(over), -1)
    begun = last = raised = None
    for row in np.flatnonzero(over):
        if last is None or row - last - 1 > rule.merge:
            begun, raised = row, None
        if row - begun + 1 >= rule.least:
            raised = row if raised is None else raised
            alarm[row], first[row] = True, raised
        last = row
    return alarm, first


@given(OVER, RULES)
def test_segments_are_those_of_the_rule(over, rule):
    for found, expected in zip(segmented(over, rule), row_by_row(over, rule), strict=True):
        np.testing.assert_array_equal(found, expected)


@given(OVER, RULES, st.integers(0, 40))
def test_what_is_said_of_a_row_does_not_depend_on_later_ones(over, rule, cut):
    for whole, part in zip(segmented(over, rule), segmented(over[:cut], rule), strict=True):
        np.testing.assert_array_equal(whole[:cut], part)


@pytest.mark.parametrize("wrong", [{"merge": -1}, {"least": 0}])
def test_what_is_no_number_of_rows_is_refused(wrong):
    with pytest.raises(UsageError):
        Rule(**wrong)
