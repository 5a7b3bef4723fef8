"""Schedules at their edges, and what a recipe refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.training.recipe import Recipe

SCHEDULES = ("constant", "decay", "halving", "cosine", "onecycle")


def rates(schedule, epochs=10, steps=7, lr=1.0):
    recipe = Recipe(epochs=epochs, lr=lr, schedule=schedule)
    return [recipe.rate(step, steps) for step in range(epochs * steps)]


def test_constant():
    assert set(rates("constant")) == {1.0}


def test_decay_holds_three_epochs_then_falls_a_tenth_every_epoch():
    made = rates("decay")
    assert made[:21] == [1.0] * 21
    assert made[21:28] == [0.9] * 7
    assert made[-1] == pytest.approx(0.9**7)


def test_halving_holds_two_epochs_then_halves_every_epoch():
    # Informer's loop sets lr 0.5^(e - 1) once e epochs are over, which first changes anything when e is 2.
    assert rates("halving", epochs=5, steps=3) == [rate for rate in (1.0, 1.0, 0.5, 0.25, 0.125) for _ in range(3)]


def test_cosine_falls_from_lr_to_zero():
    made = rates("cosine")
    assert made[0] == 1.0
    assert made[-1] == pytest.approx(0.0, abs=1e-12)
    assert made == sorted(made, reverse=True)
    assert sum(made) / len(made) == pytest.approx(0.5)


def test_onecycle_rises_for_three_tenths_and_falls_to_almost_nothing():
    made = rates("onecycle")
    peak = made.index(max(made))
    assert made[0] == pytest.approx(1 / 25)
    assert peak == pytest.approx(0.3 * 69, abs=1)
    assert max(made) == pytest.approx(1.0, abs=1e-2)
    assert made[-1] == pytest.approx(1 / 25e4)
    assert made[: peak + 1] == sorted(made[: peak + 1])
    assert made[peak:] == sorted(made[peak:], reverse=True)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_one_single_step_has_a_rate(schedule):
    (rate,) = rates(schedule, epochs=1, steps=1)
    assert 0 < rate <= 1


@given(st.sampled_from(SCHEDULES), st.integers(1, 20), st.integers(1, 20), st.floats(1e-6, 10))
def test_rates_lie_between_zero_and_the_peak(schedule, epochs, steps, lr):
    assert all(0 <= rate <= lr * (1 + 1e-9) for rate in rates(schedule, epochs, steps, lr))


@pytest.mark.parametrize("name", ["epochs", "batch", "patience", "train_stride", "micro_batch"])
def test_counts_must_be_positive(name):
    with pytest.raises(ValueError, match=f"{name} must be positive, got 0"):
        Recipe(**{name: 0})


@pytest.mark.parametrize("name", ["weight_decay", "sam", "correction_strength"])
def test_strengths_must_not_be_negative(name):
    with pytest.raises(ValueError, match=f"{name} must not be negative, got -1"):
        Recipe(**{name: -1.0})
    with pytest.raises(ValueError, match=f"{name} must not be negative, got nan"):
        Recipe(**{name: float("nan")})


def test_a_number_of_epochs_to_average_must_not_be_negative():
    with pytest.raises(ValueError, match="average must not be negative, got -1"):
        Recipe(average=-1)


@pytest.mark.parametrize(("name", "value"), [("momentum", 1.0), ("momentum", -0.1), ("entropy_floor", 1.1)])
def test_shares_lie_between_zero_and_one(name, value):
    with pytest.raises(ValueError, match=f"{name} must lie in .0, 1.*got {value}"):
        Recipe(**{name: value})


@pytest.mark.parametrize("lr", [0.0, -1.0, float("nan")])
def test_the_learning_rate_must_be_positive(lr):
    with pytest.raises(ValueError, match="lr must be positive"):
        Recipe(lr=lr)
