"""Edits as data."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecheck.attention.edits import edit_from_dict
from forecheck.attention.feed_forward import NoiseHidden, SmoothFeatures
from forecheck.attention.outputs import Ablate, Perturb, Remove
from forecheck.attention.perturb import FreezeToMean, Noise, Smooth
from forecheck.attention.positions import (
    FillPositions,
    MeanPositions,
    ShufflePositions,
    ShuffleTokens,
    ZeroPositions,
)
from forecheck.attention.replace import MODES, Replace
from forecheck.errors import UsageError

numbers = st.none() | st.lists(st.integers(0, 9), max_size=3).map(tuple)
seeds = st.integers(0, 2**31)
strengths = st.floats(0, 100)
parts = st.sampled_from(["attention", "feed-forward"])
# Classes and options; built in the tests, as the check of shapes draws random numbers, which strategies must not.
edits = st.one_of(
    st.tuples(st.just(Replace), st.sampled_from(MODES), numbers, numbers, seeds),
    st.tuples(st.just(Noise), strengths, numbers, numbers, seeds),
    st.tuples(st.just(Smooth), st.floats(0, 1), numbers, numbers),
    st.tuples(st.just(FreezeToMean), st.sampled_from(["position", "content"]), numbers, numbers),
    st.tuples(st.just(Perturb), parts, strengths, numbers, seeds),
    st.tuples(st.just(Ablate), parts, numbers),
    st.tuples(st.just(Remove), numbers),
    st.tuples(st.just(ZeroPositions)),
    st.tuples(st.just(MeanPositions)),
    st.tuples(st.just(FillPositions), st.sampled_from([0.0, 0.5])),
    st.tuples(st.just(ShufflePositions), seeds),
    st.tuples(st.just(ShuffleTokens), seeds),
    st.tuples(st.just(NoiseHidden), strengths, numbers, seeds),
    st.tuples(st.just(SmoothFeatures), st.floats(0, 1), numbers),
)


def made(described):
    kind, *options = described
    return kind(*options)


@given(edits)
def test_edits_survive_json(described):
    edit = made(described)
    assert edit_from_dict(json.loads(json.dumps(edit.to_dict()))) == edit


@given(edits)
def test_draws_differ_in_their_seed_only(described):
    edit = made(described)
    assert edit.drawn(0) == edit
    for draw in range(1, edit.draws):
        assert edit.drawn(draw).to_dict() == edit.to_dict() | {"seed": edit.seed + draw}


@given(edits, edits)
def test_labels_tell_edits_apart(one, other):
    """But for seeds, which number draws, and digits of a strength beyond those shown."""
    described = [made(each).to_dict() | {"seed": 0} for each in (one, other)]
    for each in described:
        each["strength"] = f"{each.get('strength', 0):g}"
    assert (made(one).label == made(other).label) == (described[0] == described[1])


def test_what_is_drawn_is_drawn_five_times():
    assert [edit.draws for edit in (Noise(), NoiseHidden(), Perturb(), ShufflePositions(), ShuffleTokens())] == [5] * 5
    once = (Smooth(), SmoothFeatures(), FreezeToMean(), Ablate(), Remove(), ZeroPositions())
    assert [edit.draws for edit in once] == [1] * 6


def test_an_unknown_kind_is_named():
    with pytest.raises(UsageError, match="no edit is called 'prune'"):
        edit_from_dict({"kind": "prune"})


@pytest.mark.parametrize("kind", ["noise", "smooth", "freeze", "perturb", "ablate", "remove", "shuffle-tokens"])
def test_an_unknown_option_is_named(kind):
    with pytest.raises(UsageError, match="colour"):
        edit_from_dict({"kind": kind, "colour": "red"})


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Noise, {"strength": -1.0}, "must not be negative, got -1"),
        (Noise, {"strength": float("nan")}, "must not be negative, got nan"),
        (Smooth, {"strength": 1.5}, "between 0 and 1, got 1.5"),
        (SmoothFeatures, {"strength": 1.5}, "between 0 and 1, got 1.5"),
        (NoiseHidden, {"strength": -1.0}, "must not be negative, got -1"),
        (FreezeToMean, {"keep": "time"}, "no 'time'"),
        (Perturb, {"strength": -0.1}, "from 0 up, got -0.1"),
        (Perturb, {"strength": float("inf")}, "from 0 up, got inf"),
        (Perturb, {"part": "head"}, "no part of a layer is called 'head'"),
        (Ablate, {"part": "head"}, "no part of a layer is called 'head'"),
        (Replace, {"mode": "eye"}, "no replacement mode is called 'eye'"),
    ],
)
def test_wrong_options_are_refused(kind, options, message):
    edit = object.__new__(kind)  # past the type check of the tests, which users do not run
    for name, value in (kind().to_dict() | options).items():
        if name != "kind":
            object.__setattr__(edit, name, value)
    with pytest.raises(UsageError, match=message):
        edit.__post_init__()
