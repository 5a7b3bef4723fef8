"""E1 to E3: what is measured against what is known of the law, and what the judges make of made-up rows."""

import numpy as np
import pytest
import torch

from forecheck.papers import judging
from forecheck.papers.claim import Verdict
from forecheck.papers.curse_of_attention import shift_claims, sign, sign_claims, sign_reading
from forecheck.papers.curse_of_attention.sign_task import draw_task, drawn, fit, risk, times
from forecheck.papers.curse_of_attention.theory.residual_ssm import residual_ssm
from forecheck.papers.curse_of_attention.theory.training import Optimizer, stable_step, train
from forecheck.papers.curse_of_attention.theory.two_layer import TwoLayer
from forecheck.papers.experiment import Bench
from forecheck.trials.store import Store

SMALL = {"windows": 100, "neurons": 8, "steps": 30}
SEEDS = range(4)


@pytest.fixture
def bench(tmp_path):
    return Bench(Store(tmp_path), lambda share, word: None)


def task(**settings):
    return draw_task(**({"form": "unit", "gamma": 0.5, "noise": 0.1, "seed": 0, "count": 100, "test": 200} | settings))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_mixture_has_its_share_of_differing_signs(share):
    law = residual_ssm("unit", noise=0.0)
    x, y = drawn(law, 200, 5, share)
    assert int((x[:, -1] * y < 0).sum()) == round(200 * share)


def test_sets_and_repetitions_share_no_window():
    sets = [
        pairs.x
        for seed in (0, 1)
        for one in [task(seed=seed)]
        for pairs in (one.train, one.validation, *one.tests.values())
    ]
    rows = torch.cat(sets)
    assert len(torch.unique(rows[:, 0])) == len(rows)
    start = TwoLayer().initial(8, 8, task().start)["weight"]
    assert not np.isin(start.numpy().round(9), rows.numpy().round(9)).any()


def test_the_best_by_validation_is_taken_and_those_that_diverge_are_not():
    one, slow, good, wild = task(), Optimizer("gd", 1e-6), Optimizer("gd", 1.0), Optimizer("gd", 1e9)
    model = TwoLayer(train_output=True)
    found = fit(model, one, [wild, slow, good], 8, 40)
    assert found.choice == 2
    start = model.initial(8, 8, one.start)
    step = stable_step(model, start, one.train.x)
    by_hand = train(model, start, *one.train, Optimizer("gd", step), 40).end
    torch.testing.assert_close(found.forecast(one.tests["all"].x), model.predict(by_hand, one.tests["all"].x))
    kept = [risk(model.predict(now, one.validation.x), one.validation) for now in found.trajectory.kept.values()]
    assert risk(found.forecast_stopped(one.validation.x), one.validation) == min(kept)
    with pytest.raises(ValueError, match="diverges"):
        fit(model, one, [wild], 8, 40)


def test_times_are_spread():
    assert times(1000) == [1, 3, 10, 32, 100, 316, 1000]


@pytest.mark.parametrize(("share", "form"), [(None, "unit"), (0.0, "flat"), (1.0, "unit")])
def test_risks_of_known_rules(bench, share, form):
    row = sign.split(bench, form, 0.5, 0.1, share, seed=1, factors=[1.0], **SMALL)
    for signs in ("all", "consistent", "inconsistent"):
        assert row["oracle"][signs] == pytest.approx(row["floor"], rel=0.12)
        assert row["zero"][signs] == pytest.approx(row["exact zero"][signs], rel=0.12)
        assert row["ols"][signs] < 1.5 * row["floor"]
        assert row["residual"][signs] < 1.5 * row["floor"]
        assert row["attention"][signs] > row["floor"]
    assert row["rarer"] == "inconsistent"


def test_risks_of_mixtures_lie_between_those_of_their_parts(bench):
    row = sign.test_mix(bench, "unit", 0.5, seed=0, shares=[0.0, 0.5, 1.0], **SMALL)
    low, high = row["ends"]
    assert row["attention"] == pytest.approx([low, (low + high) / 2, high], rel=0.15)
    assert max(row["residual"]) < 1.5 * row["floor"]


def made(consistent, inconsistent, *, linear=1.0, share=None, form="unit", gamma=0.5, zero=50.0, **more):
    """Rows of repetitions that differ a little; risks in floors."""
    rows = []
    for seed in SEEDS:
        wobble = 1 + 0.01 * (seed - 1.5)
        both = {"consistent": consistent * wobble, "inconsistent": inconsistent * wobble, "all": consistent * wobble}
        flat = dict.fromkeys(both, linear * (1 + 0.001 * seed))
        rows.append(
            {"form": form, "gamma": gamma, "share": share, "seed": seed, "attention": both, "stopped": both}
            | dict.fromkeys(("residual", "ols", "oracle", "persistence"), flat)
            | {"zero": {**dict.fromkeys(both, zero), "inconsistent": zero / 2}, "floor": 1.0}
            | {"rarer": "inconsistent" if gamma > 0 else "consistent"}
            | more
        )
    return rows


def verdict(claim, rows):
    (experiment,) = claim.experiments
    return claim.judge({experiment.name: rows}).verdict


CLAIMS = {claim.id: claim for claim in (*sign_claims.CLAIMS, *shift_claims.CLAIMS)}


@pytest.mark.parametrize(
    ("name", "confirmed", "refuted"),
    [
        ("E1", made(2, 30), made(30, 30)),
        ("E2", made(2, 30), made(30, 2)),
        ("E2", made(2, 30), made(30, 30, linear=2.0)),
        ("E2-gap", made(10, 10), made(30, 10)),
        ("E3-sign", made(10, 20), made(20, 10)),
        ("E3-rarer", made(10, 20) + made(20, 10, gamma=-0.5), made(20, 10) + made(10, 20, gamma=-0.5)),
        ("E3-shift", made(30, 2, share=1.0), made(30, 30, share=1.0)),
    ],
)
def test_both_verdicts_can_be_reached_and_a_mixture(name, confirmed, refuted):
    claim = CLAIMS[name]
    assert verdict(claim, confirmed) is Verdict.CONFIRMED
    assert verdict(claim, refuted) is Verdict.REFUTED
    other = "form" if name != "E3-sign" else "gamma"
    moved = [row | {other: "flat" if other == "form" else 0.7} for row in refuted]
    if name != "E3-rarer":
        assert verdict(claim, confirmed + moved) is Verdict.UNEVEN


def test_correlation_zero_has_no_rarer_sign():
    rows = made(10, 20) + made(20, 10, gamma=0.0) + made(20, 10, gamma=-0.5)
    assert verdict(CLAIMS["E3-rarer"], rows) is Verdict.CONFIRMED
    assert verdict(CLAIMS["E3-rarer"], rows[:4] + made(10, 20, gamma=-0.5)) is Verdict.UNEVEN


def test_only_training_without_shift_speaks_of_the_shift():
    rows = made(2, 30, share=0.5) + made(30, 2, share=1.0)
    assert verdict(CLAIMS["E3-shift"], rows) is Verdict.CONFIRMED


def mixes(rise, linear=0.0, form="unit"):
    shares = [0.0, 0.5, 1.0]
    return [
        {"form": form, "gamma": 0.5, "seed": seed, "shares": shares, "ends": [10.0, 10.0 + rise], "floor": 1.0}
        | {"attention": [10 + (rise + 0.1 * seed) * each for each in shares]}
        | {"residual": [1 + (linear + 0.01 * seed) * each for each in shares]}
        for seed in SEEDS
    ]


def test_slopes_are_judged():
    claim = CLAIMS["E3-mix"]
    assert verdict(claim, mixes(5.0)) is Verdict.CONFIRMED
    assert verdict(claim, mixes(-5.0)) is Verdict.REFUTED
    assert verdict(claim, mixes(5.0, linear=3.0)) is Verdict.REFUTED
    assert verdict(claim, mixes(5.0) + mixes(-5.0, form="flat")) is Verdict.UNEVEN


def test_a_wide_interval_decides_nothing():
    rows = made(10, 20)
    rows[0]["attention"] = rows[0]["attention"] | {"inconsistent": -50.0}
    assert sign_reading.fails(rows, "inconsistent") is None
    assert judging.opposite(None) is None
    assert judging.both(True, None) is None
    assert judging.both(None, False) is False
    assert verdict(CLAIMS["E3-sign"], rows) is Verdict.UNTESTABLE
