import pytest

from forecheck.errors import UsageError
from forecheck.statistics.sequential import spend


@pytest.mark.parametrize("looks", [(3,), (3, 5), (3, 5, 8, 12, 20)])
@pytest.mark.parametrize("alpha", [0.05, 0.1])
def test_levels_sum_to_alpha_and_the_first_has_half_of_it(looks, alpha):
    levels = spend(looks, alpha)
    assert len(levels) == len(looks)
    assert sum(levels) == pytest.approx(alpha)
    assert levels[0] >= alpha / 2
    assert len(set(levels[1:])) <= 1


@pytest.mark.parametrize(("looks", "message"), [((), "none"), ((3, 3), "3, 3"), ((5, 3), "5, 3"), ((0, 3), "0, 3")])
def test_looks_rise(looks, message):
    with pytest.raises(UsageError, match=f"looks are rising numbers of seeds, got {message}"):
        spend(looks)


def test_a_level_lies_between_zero_and_one():
    with pytest.raises(UsageError, match=r"got 1\.5"):
        spend((3, 5), 1.5)
