import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.data.windows import prepare
from forecheck.errors import DataError, UsageError
from forecheck.forecasters import registry
from forecheck.forecasting.candidates import CANDIDATES
from forecheck.forecasting.selection import audit_lookback, default_lookback, own_lookbacks, simplest_unbeaten, usable
from panels import hourly, ragged, staggered

NAMES = [forecaster.name for forecaster in registry.all_forecasters()]
RANK = {name: rank for rank, name in enumerate(NAMES)}
LOSSES = st.dictionaries(st.sampled_from(NAMES), st.floats(1e-6, 1e6), min_size=1)


@pytest.mark.parametrize(
    ("rows", "horizon", "split", "lookback"),
    [
        (5000, 96, None, 336),
        (1000, 96, None, (700 - 96) // 2),
        (100, 12, None, (70 - 12) // 2),
        (1000, 96, "50/25/25", (500 - 96) // 2),
        (1000, 24, "300+100+100", (300 - 24) // 2),
        (20, 4, None, 5),
        (10, 4, None, 1),
    ],
)
def test_the_lookback_is_336_or_half_of_what_there_is(rows, horizon, split, lookback):
    assert default_lookback(hourly(rows), horizon, split) == lookback


@given(st.integers(30, 3000), st.integers(1, 40))
def test_a_default_lookback_leaves_as_many_windows_as_weights(rows, horizon):
    panel = hourly(rows, channels=1)
    try:
        lookback = default_lookback(panel, horizon)
    except DataError:
        assert int(0.7 * rows) - horizon < 2
        return
    assert 1 <= lookback <= 336
    windows = int(np.floor(0.7 * rows)) - lookback - horizon + 1
    assert windows >= lookback


def test_the_longest_series_decides():
    panel = ragged((60, 400, 100))
    assert default_lookback(panel, 6) == (232 - 6) // 2  # with 60 and 100 rows of the others 70 % of all 560
    assert len(prepare(panel, default_lookback(panel, 6), 6).train) > 0


def test_data_too_short_for_the_horizon():
    with pytest.raises(
        DataError, match=r"waves is too short for horizon 69: its training part has 70 rows\n  Choose a"
    ):
        default_lookback(hourly(100), 69)


@pytest.mark.parametrize(
    ("losses", "margin", "chosen"),
    [
        ({"patchtst": 1.0, "nlinear": 1.005}, 0.01, "nlinear"),
        ({"patchtst": 1.0, "nlinear": 1.02}, 0.01, "patchtst"),
        ({"patchtst": 1.0, "nlinear": 1.02, "last": 1.019}, 0.02, "last"),
        ({"nlinear": 1.0, "last": 1.0}, 0.01, "last"),  # a tie goes to the simpler one, in any order
        ({"last": 1.0, "nlinear": 1.0}, 0.01, "last"),
        ({"nlinear": 4.0, "last": 5.0}, 0.2, "last"),  # better by exactly the margin of its own loss: not beaten
        ({"nlinear": 4.0, "last": 5.01}, 0.2, "nlinear"),
        ({"mean": 0.0, "last": 1e-9}, 0.01, "mean"),
        ({"mean": 0.0, "last": 0.0}, 0.01, "last"),
        ({"dlinear": 3.0}, 0.01, "dlinear"),
    ],
)
def test_the_simplest_that_is_not_beaten(losses, margin, chosen):
    assert simplest_unbeaten(losses, margin) == chosen


@given(LOSSES, st.floats(0.001, 0.5))
def test_nobody_beats_the_choice_and_nobody_simpler_is_unbeaten(losses, margin):
    chosen = simplest_unbeaten(losses, margin)
    best = min(losses.values())
    assert losses[chosen] * (1 - margin) <= best * (1 + 1e-12)
    for name, loss in losses.items():
        if RANK[name] < RANK[chosen]:
            assert loss * (1 - margin) > best * (1 - 1e-12)


@given(LOSSES, st.floats(0.001, 0.5), st.floats(1e-3, 1e3))
def test_the_choice_depends_on_ratios_not_on_order_or_unit(losses, margin, scale):
    close = [loss for loss in losses.values() if abs(loss * (1 - margin) / min(losses.values()) - 1) < 1e-9]
    if close:  # on the edge rounding decides
        return
    backwards = dict(reversed(list(losses.items())))
    assert simplest_unbeaten(backwards, margin) == simplest_unbeaten(losses, margin)
    assert simplest_unbeaten({name: scale * loss for name, loss in losses.items()}, margin) == simplest_unbeaten(
        losses, margin
    )


@given(LOSSES)
def test_a_wider_margin_never_chooses_what_is_less_simple(losses):
    chosen = [RANK[simplest_unbeaten(losses, margin)] for margin in (0.001, 0.01, 0.1, 0.5)]
    assert chosen == sorted(chosen, reverse=True)


def test_an_unknown_model_has_no_rank():
    with pytest.raises(UsageError, match="no forecaster is called 'nothing'"):
        simplest_unbeaten({"nothing": 1.0}, 0.01)


@pytest.mark.parametrize(("period", "lookback", "left"), [(24, 24, True), (24, 23, False), (1, 48, False)])
def test_a_season_must_fit_into_the_lookback(period, lookback, left):
    assert usable(["last", "seasonal", "mean"], period, lookback) == ["last", *(["seasonal"] * left), "mean"]


# Lookbacks


NATURAL = {
    "last": 336,
    "nlinear": 336,
    "anchored": 1536,
    "patchtst": 336,
    "tsmixer": 512,
    **dict.fromkeys(("itransformer", "transformer", "informer", "autoformer", "fedformer"), 96),
    **dict.fromkeys(("samovar", "lintrans", "fixedvar"), 1024),
}


def test_every_model_has_its_own_lookback_where_the_data_allow_it():
    assert own_lookbacks(hourly(5000), 96, NATURAL) == NATURAL
    assert own_lookbacks(hourly(5000), 96, NATURAL, lookback=7) == dict.fromkeys(NATURAL, 7)
    room = (1400 - 96) // 2
    assert own_lookbacks(hourly(2000), 96, NATURAL) == {name: min(natural, room) for name, natural in NATURAL.items()}


@pytest.mark.parametrize(("horizon", "lookback"), [(24, 1024), (96, 1024), (192, 2048), (336, 2048), (720, 4096)])
def test_longer_horizons_need_longer_inputs_in_the_samovar_family(horizon, lookback):
    for name in ("samovar", "lintrans", "fixedvar"):
        assert registry.find(name).natural_lookback(horizon) == lookback


@given(st.lists(st.integers(30, 600), min_size=1, max_size=4), st.integers(1, 6), st.integers(1, 3))
def test_models_of_different_lookbacks_forecast_the_same_windows(lengths, horizon, step):
    panel = ragged(tuple(lengths))
    try:
        own = own_lookbacks(panel, horizon, NATURAL)
        parts = [prepare(panel, lookback, horizon, step=step) for lookback in set(own.values())]
    except DataError:
        return
    for part in ("validation", "test"):
        (origins,) = {tuple(cut.part(part).origins) for cut in parts}
        assert origins


def test_where_a_series_is_short_all_models_have_one_lookback():
    late = staggered((400, 120), (0, 280))
    assert late.calendar[-1] == 399
    own = own_lookbacks(late, 6, NATURAL)
    assert prepare(late, 8, 6).borders.train_end.tolist() == [322, 42]
    assert set(own.values()) == {(322 - 6) // 2}
    # A series that ends before the validation part has no windows there to lose.
    assert len(set(own_lookbacks(staggered((400, 30), (0, 0)), 6, NATURAL).values())) > 1


def test_an_audit_has_one_lookback_and_no_less_than_its_model_needs():
    panel = hourly(5000)
    assert audit_lookback(panel, 96, "patchtst") == audit_lookback(panel, 96, "informer") == 336
    assert audit_lookback(panel, 96, None) == 336
    assert audit_lookback(panel, 96, "samovar") == 1024


def test_the_candidates_are_known_and_the_simplest_come_first():
    assert [name for name in NAMES if name in CANDIDATES] == list(CANDIDATES)
