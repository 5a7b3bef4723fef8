import math

import numpy as np
import pytest

from forecheck.statistics.inference import compare
from forecheck.statistics.means import Mean, mean_over_seeds, with_seeds
from forecheck.statistics.planning import what_would_decide


def above_zero(mean):
    return mean.p_above(0) < 0.025


def over_seeds(mean, windows_se, spread, *, seeds=3, stretches=16.0):
    """A mean of so many seeds, with the spread of one seed and the windows' standard error."""
    return with_seeds(Mean(mean, windows_se, stretches / 2, stretches=stretches), spread**2, seeds)


def test_what_is_decided_needs_nothing():
    assert what_would_decide(over_seeds(1.0, 0.01, 0.01), above_zero).binds == "nothing"


def test_seeds_bind_where_they_spread():
    mean = over_seeds(0.02, 0.001, 0.02)
    needs = what_would_decide(mean, above_zero)
    assert needs.binds == "seeds"
    assert needs.windows is None  # no amount of windows makes three seeds agree
    assert not above_zero(mean.extended(needs.seeds - 1))
    assert above_zero(mean.extended(needs.seeds))
    assert needs.sentence == f"the spread between seeds binds: about {needs.seeds} seeds (now 3) would decide it"


def test_windows_bind_where_seeds_agree():
    mean = over_seeds(0.02, 0.015, 0.002)
    needs = what_would_decide(mean, above_zero)
    assert needs.binds == "windows"
    assert needs.seeds is None
    assert above_zero(mean.extended(windows=needs.windows))
    assert not above_zero(mean.extended(windows=needs.windows / 1.02))
    half = mean.extended(seeds=10**6).interval()[1] - mean.mean
    assert f"even with any number of seeds the interval stays ±{100 * half:.2g} %" in needs.sentence
    assert f"about {needs.windows:.1f} times the test windows (now 16 independent stretches) would" in needs.sentence


def test_the_cheaper_way_binds_and_the_other_is_told():
    needs = what_would_decide(over_seeds(0.03, 0.012, 0.012), above_zero)
    assert needs.seeds / 3 > needs.windows
    assert needs.binds == "windows"
    assert needs.sentence.endswith(f"; so would about {needs.seeds} seeds (now 3)")


def test_both_bind_where_neither_is_enough():
    mean = over_seeds(0.02, 0.03, 0.06)
    needs = what_would_decide(mean, above_zero)
    assert needs.binds == "both"
    assert not above_zero(mean.extended(50))
    assert not above_zero(mean.extended(windows=64))
    assert above_zero(mean.extended(needs.seeds, needs.windows))
    assert needs.sentence.startswith(f"seeds and test windows bind: about {needs.seeds} seeds (now 3) and about")


def test_an_effect_at_the_margin_cannot_be_decided():
    needs = what_would_decide(over_seeds(0.0001, 0.03, 0.06), above_zero)
    assert (needs.binds, needs.seeds, needs.windows) == ("effect", None, None)
    assert "not even 50 seeds and 64 times the test windows" in needs.sentence


def test_one_checkpoint_is_told_of_windows_only():
    needs = what_would_decide(Mean(0.02, 0.02, 8, window_df=8, stretches=16.0), above_zero, folds=2)
    assert needs.binds == "windows"
    assert "seeds" not in needs.sentence
    folds = math.ceil(2 * needs.windows)
    assert f"times the test windows, {folds} folds, (now 16 independent stretches of 2 folds)" in needs.sentence


def test_percentages_are_of_the_reference():
    mean = over_seeds(0.02, 0.015, 0.002)
    as_is = what_would_decide(mean, above_zero).sentence
    scaled = over_seeds(0.2, 0.15, 0.02)
    assert what_would_decide(scaled, above_zero, reference=10).sentence == as_is


def test_extended_by_nothing_is_the_mean_itself():
    mean = over_seeds(0.02, 0.01, 0.01)
    for same in (mean.extended(), mean.extended(3, 1.0)):
        assert (same.se, same.df) == pytest.approx((mean.se, mean.df))
    more = mean.extended(12, 4.0)
    assert more.se == pytest.approx(mean.se / 2)
    assert more.stretches == 64


def draw(rng, truth, spread, shared, seeds, windows):
    """Loss differences of seeds and windows that do not overlap; nested, so that more of either begins alike."""
    a = spread * rng.standard_normal((50, 1))
    b = shared * rng.standard_normal(64 * windows)
    return lambda more_seeds, factor: truth + a[: more_seeds or seeds] + b[: int(factor * windows)]


@pytest.mark.parametrize(
    ("spread", "shared", "binds"), [(0.02, 0.02, "seeds"), (0.004, 0.2, "windows"), (0.02, 0.2, "both")]
)
def test_following_the_advice_decides_about_half_of_the_questions(spread, shared, binds):
    # True effects are spread more widely than the intervals; near the margin alone no advice would do.
    rng = np.random.default_rng(0)
    asked = decided = 0
    for _ in range(400):
        rows = draw(rng, rng.uniform(-0.12, 0.12), spread, shared, 3, 160)
        (found,) = compare([rows(3, 1)], 1.0, 1, over_seeds="yes")
        if found.needs is None or found.needs.binds != binds:
            continue
        asked += 1
        seeds = found.needs.seeds if binds in {"seeds", "both"} else 3
        windows = found.needs.windows if binds in {"windows", "both"} else 1
        (again,) = compare([rows(seeds, windows)], 1.0, 1, over_seeds="yes")
        decided += again.outcome != "undecided"
    assert asked > 60
    assert decided / asked > 0.42


def test_what_compare_says_is_enough_for_the_same_mean():
    rng = np.random.default_rng(4)
    rows = 0.02 + 0.02 * rng.standard_normal((3, 1)) + 0.1 * rng.standard_normal((3, 400))
    (found,) = compare([rows], 1.0, 1, over_seeds="yes")
    assert found.outcome == "undecided"
    mean = mean_over_seeds(rows, 1)
    assert found.mean == mean
    assert mean.extended(found.needs.seeds).p_above(0.01) < 0.025
