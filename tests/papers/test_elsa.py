"""What is measured of pruning for the paper on ELSA, and how it is judged."""

import numpy as np
import pytest
import torch

from forecheck.papers.claim import Verdict
from forecheck.papers.elsa import claims, forecasters, regression
from forecheck.papers.elsa.memory import memory
from forecheck.papers.experiment import Bench
from forecheck.trials.store import Store


@pytest.fixture
def bench(tmp_path):
    return Bench(Store(tmp_path), lambda share, word: None)


def test_inputs_of_the_regression_are_correlated_as_asked_and_scaled():
    x, weights = regression.draw(0.5, 1)
    found = np.corrcoef(x[:, :-1].T, x[:, 1:].T).diagonal(offset=regression.INPUTS - 1)
    assert abs(found.mean() - 0.5) < 0.05
    assert abs(x.std() - 1) < 0.05
    assert np.count_nonzero(weights) == regression.SUPPORT


def test_the_end_of_a_regression_is_least_squares_on_the_support(bench):
    row = regression.regression(bench, 0.0, 1.0, "plain", 0)
    assert row["support"] == 1
    assert row["residual"] < claims.MET
    assert row["gradient"] < 0.01
    assert row["gap"] < 1


def test_a_pull_too_weak_for_the_loss_has_no_stationary_point_at_the_support(bench):
    row = regression.regression(bench, 0.0, 0.1, "plain", 0)
    assert row["gap"] > 1
    assert row["residual"] > claims.MET


def test_judges_of_the_regression():
    good = {"correlation": 0.0, "strength": 1.0, "projection": "plain", "seed": 0, "support": 1.0, "one shot": 1.0}
    good |= {"residual": 0.01, "gradient": 0.01, "gap": 0.5}
    bad = good | {"strength": 0.1, "gap": 2.0, "support": 0.9}
    aware = {"projection": "aware", "gap": 3.0}
    assert claims.judge_convex({"regression": [good, good | aware]}).verdict is Verdict.CONFIRMED
    assert claims.judge_convex({"regression": [good, bad]}).verdict is Verdict.UNEVEN
    assert claims.judge_convex({"regression": [bad]}).verdict is Verdict.REFUTED
    assert claims.judge_support({"regression": [good]}).verdict is Verdict.CONFIRMED
    assert claims.judge_support({"regression": [good, bad]}).verdict is Verdict.UNEVEN


def test_every_way_starts_at_the_same_network(bench):
    row = forecasters.pruned(bench, "nile", 8, 2, 6, 0.5, 12, 0)
    assert set(forecasters.WAYS) < set(row)
    assert set(row["residuals"]) == {"plain", "aware", "plain, low", "aware, low"}
    assert row == forecasters.pruned(bench, "nile", 8, 2, 6, 0.5, 12, 0)
    nothing_cut = forecasters.pruned(bench, "nile", 8, 2, 6, 0.0, 12, 0)
    assert nothing_cut["magnitude"] == nothing_cut["wanda"] == nothing_cut["dense"] == row["dense"]
    assert nothing_cut["magnitude, trained"] == nothing_cut["dense, trained"]


def test_the_network_forecasts_from_the_last_value():
    network = forecasters.Network(5, 3, 4)
    x = torch.randn(2, 5, 1)
    torch.testing.assert_close(network(x + 7), network(x) + 7)


def rows(seeds=3, **changes):
    base = {"dense": 1.0, "dense, trained": 1.0, "magnitude": 3.0, "wanda": 2.0, "magnitude, trained": 1.3}
    base |= {"gradual": 1.1, "plain": 1.2, "aware": 1.15, "plain, low": 1.2, "aware, low": 1.15}
    base |= {"residuals": {"plain": 0.02, "aware": 0.1, "plain, low": 0.02, "aware, low": 0.1}} | changes
    key = {"data": "co2", "width": 0, "sparsity": 0.9}
    return [
        key | {k: v if k == "residuals" else v * (1 + 0.001 * seed) for k, v in base.items()} for seed in range(seeds)
    ]


@pytest.mark.parametrize(
    ("judge", "changes", "verdict"),
    [
        (claims.judge_surrogate_free, {}, Verdict.CONFIRMED),
        (claims.judge_surrogate_free, {"plain": 2.5}, Verdict.REFUTED),
        (claims.judge_same_steps, {}, Verdict.CONFIRMED),
        (claims.judge_same_steps, {"gradual": 1.4}, Verdict.REFUTED),
        (claims.judge_aware, {}, Verdict.CONFIRMED),
        (claims.judge_aware, {"aware": 1.3}, Verdict.REFUTED),
        (claims.judge_low_memory, {}, Verdict.CONFIRMED),
        (claims.judge_low_memory, {"plain, low": 1.3}, Verdict.UNEVEN),
        (claims.judge_low_memory, {"plain, low": 1.3, "aware, low": 1.3}, Verdict.REFUTED),
        (claims.judge_met, {}, Verdict.CONFIRMED),
        (claims.judge_met, {"residuals": {"plain": 0.06, "aware": 0.1}}, Verdict.REFUTED),
    ],
)
def test_judges_of_pruned_forecasters(judge, changes, verdict):
    assert judge({"pruned": rows(**changes)}).verdict is verdict


def test_bytes_are_those_of_the_tensors(bench):
    row = memory(bench, 336, 96)
    assert row["whole"] == 20 * row["weights"]
    assert row["copies"] == 15 * row["weights"] + 4
    outcome = claims.judge_memory({"memory": [row]})
    assert outcome.verdict is Verdict.CONFIRMED
    assert 0.53 < outcome.ours.value < 0.56
    assert claims.judge_memory({"memory": [row | {"low": row["copies"]}]}).verdict is Verdict.REFUTED
