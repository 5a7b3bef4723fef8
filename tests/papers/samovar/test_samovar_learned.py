"""SAMoVAR's claims about trained networks: what is measured, on tiny budgets, and that judges can find either way."""

from functools import partial

import numpy as np
import pytest
import torch

from forecheck.forecasters import registry
from forecheck.papers.experiment import Bench
from forecheck.papers.in_context.theory.autoregressive import spectral_radius
from forecheck.papers.samovar import orders as orders_module
from forecheck.papers.samovar import orders_claims, real_claims, recovery, recovery_claims, size_claims
from forecheck.papers.samovar.orders import RIDGES, orders, references, task
from forecheck.papers.samovar.processes import NOISE, stable_samples
from forecheck.papers.samovar.real import LOOKBACKS
from forecheck.papers.samovar.samples import Samples, fit_samples
from forecheck.papers.samovar.size import size
from forecheck.papers.samovar.var_orders import var_orders
from forecheck.trials.store import Store


@pytest.fixture
def bench(tmp_path):
    return Bench(Store(tmp_path / "store"), lambda *_: None)


def test_stable_samples_are_stable_with_an_oracle_that_misses_the_noise_alone():
    values, oracle = stable_samples(0, 4000, (1, 2), 2, 20)
    error = np.square(oracle - values[:, -1]).mean(axis=1)
    assert abs(error.mean() - NOISE**2) < 4 * error.std() / len(error) ** 0.5
    assert np.abs(values).max() < 10
    again, _ = stable_samples(10, 6, (1, 2), 2, 20)
    np.testing.assert_array_equal(again, values[10:16])


def test_samples_are_fitted_and_scored_in_their_own_units(bench):
    values, _ = stable_samples(0, 90, (1,), 2, 9)
    samples = Samples(100 * values[:50] + 7, 100 * values[50:60] + 7, 100 * values[60:] + 7)
    options = {"width": 8, "heads": 2, "layers": 1, "epochs": 1}
    squared, fitted = fit_samples(bench, samples, "samovar", options, 0)
    assert squared.shape == (30,)
    assert len(fitted["details"]["validation_loss"]) == 1
    folder = next(bench.store.root.glob("trial/*/*/model"))
    mean, std = (
        f(np.concatenate([samples.train[0, -1:], samples.train.reshape(-1, 2)]), axis=0) for f in (np.mean, np.std)
    )
    scaled = torch.from_numpy(((samples.test - mean) / std).astype(np.float32))
    forecast = registry.load(folder).predict(scaled[:, :-1])[:, 0].double().numpy() * std + mean
    np.testing.assert_allclose(squared, np.square(forecast - samples.test[:, -1]).mean(axis=1), rtol=1e-3)
    shorter, _ = fit_samples(bench, samples, "samovar", options, 0, last=3)
    assert len(list(bench.store.root.glob("trial/*/*"))) == 2
    assert not np.allclose(shorter, squared)


def test_the_published_task_tests_on_the_whole_set_and_validates_on_stable_samples():
    made = task("published", 100, 64)
    assert (len(made.samples.train), len(made.samples.test), int((~made.stable).sum())) == (100, 2000, 1)
    train = var_orders("train")
    calm = np.flatnonzero(spectral_radius(train.coefficients) < 1)[-300:]
    np.testing.assert_array_equal(made.samples.validation, train.values[calm])
    assert calm[0] > 19_000  # and the budgets train on no more


def test_references_are_the_known_ones(bench):
    found = references(bench, data="published", lookback=64)
    known = {"oracle": 0.00242, "zero": 0.0211, "last value": 0.0754, "OLS VAR(4)": 0.00260, "OLS VAR(3)": 0.00304}
    for name, error in known.items():
        assert found["errors"][name]["all"] == pytest.approx(error, rel=3e-3), name
    assert found["ridge"] in RIDGES
    assert found["errors"]["ridge VAR(4)"]["stable"] < found["errors"]["OLS VAR(4)"]["stable"]
    zero = found["errors"]["zero"]
    assert (len(zero["squared"]), zero["unstable samples"]) == (1999, 1)
    assert np.mean(zero["squared"]) == pytest.approx(zero["stable"], rel=1e-4)


def test_networks_of_unseen_orders_are_measured(bench, monkeypatch):
    monkeypatch.setattr(orders_module, "TEST", 60)
    monkeypatch.setattr(orders_module, "HELD_OUT", 10)
    settings = {"data": "stable", "lookback": 9, "windows": 40, "epochs": 1, "seed": 0}
    for network in ("SAMoVAR", "FixedVAR", "LinTrans"):
        found = orders(bench, network=network, clipped=network != "LinTrans", **settings)
        assert len(found["squared"]) == 60
        assert found["all"] == found["stable"] == pytest.approx(np.mean(found["squared"]), rel=1e-4)


def test_excess_is_over_the_oracle_in_noise_variances(bench):
    found = size(bench, layers=1, heads=4, windows=64, seed=0)
    assert found["head width"] == 4
    # Zero misses the variance 1/(1 - phi^2) less the noise's own; phi is uniform in (0.3, 0.95) with either sign.
    phi = np.linspace(0.3, 0.95, 100_001)
    assert found["excess of zero"] == pytest.approx((1 / (1 - phi**2)).mean() - 1, abs=0.15)
    assert 0 < found["excess of OLS"] < 0.15
    assert found["excess"] > 0


def test_influences_are_counted_by_lag_and_channel():
    strength = np.zeros((2, 3, 8, 3))
    strength[0, 1, 6, 0] = strength[:, 2, 7, 1] = 1  # B by A at lag 2, C by B at lag 1
    strength[1, 1, 6, 2] = 1
    assert recovery._shares(strength.sum(axis=3)) == {"B": 1.0, "C": 1.0}
    assert recovery._shares_with_channel(strength) == {"B": 0.5, "C": 1.0}
    nodes = np.array([[[15, 15, 13, -1], [15, 12, -1, -1], [15, 14, 14, 14]]])
    assert recovery._sources(nodes)[0].argmax(axis=1).tolist() == [6, 6, 7]
    tokens = np.arange(16.0)[None, None, None]
    assert recovery._by_patch(tokens)[0, 0].tolist() == [4 * patch + 1 for patch in range(8)]
    coefficients = np.zeros((3, 3, 3))
    coefficients[1, 1, 0] = coefficients[0, 2, 1] = 0.9
    assert recovery._regression_finds(coefficients) == {"B": 1.0, "C": 1.0}
    coefficients[2, 2, 0] = -1.0
    assert recovery._regression_finds(coefficients) == {"B": 1.0, "C": 0.0}


def test_explanations_of_a_trained_network_are_measured(bench, monkeypatch):
    for name, value in {"VALIDATION": 40, "TEST": 120, "EXPLAINED": 5}.items():
        monkeypatch.setattr(recovery, name, value)
    for network in ("samovar", "lintrans"):
        found = recovery.recovery(bench, network=network, windows=150, epochs=1, seed=0)
        assert found["regression"] == {"B": 1.0, "C": 1.0}
        assert all(0 <= share <= 1 for shares in found["found"].values() for share in shares.values())
        assert all(share < 1.1 for share in found["learned"].values())
    assert ("path" in found["found"]) is False


def order_rows(errors, scatter=0.0, clipped=True):
    return [
        {"data": "published", "network": name, "clipped": clipped, "windows": 10, "epochs": 1, "seed": 0}
        | {"all": error, "stable": error}
        | {"squared": list(error + scatter * (-1.0) ** (np.arange(100) + k) * (1 + np.arange(100) / 50))}
        for k, (name, error) in enumerate(errors.items())
    ]


def reference_row(ridge=0.0025, zero=0.0029):
    errors = {"oracle": 0.0024, "ridge VAR(4)": ridge, "zero": zero}
    errors |= {"OLS VAR(4)": 0.0026, "OLS VAR(3)": 0.003, "last value": 0.006}
    wobble = 1e-6 * np.cos(np.arange(100))
    return {
        "errors": {
            name: {"all": 2 * e, "stable": e, "squared": list(e + wobble), "unstable samples": 1}
            for name, e in errors.items()
        }
    }


def measured(errors, scatter=0.0, not_clipped=None, **reference):
    rows, references_ = order_rows(errors, scatter), [reference_row(**reference)]
    both = rows + order_rows(not_clipped or errors, scatter, clipped=False)
    return {"orders": both, "references": references_, "stable orders": rows, "stable references": references_}


RANKED = {"SAMoVAR": 0.0027, "FixedVAR": 0.0041, "LinTrans": 0.005}
REVERSED = {"SAMoVAR": 0.005, "FixedVAR": 0.0041, "LinTrans": 0.0031}
MIXED = {"SAMoVAR": 0.0031, "FixedVAR": 0.0051, "LinTrans": 0.005}
NEAR = {"SAMoVAR": 0.0031, "FixedVAR": 0.0032, "LinTrans": 0.0033}


@pytest.mark.parametrize(
    ("judge", "given", "verdict"),
    [
        ("orders", measured(RANKED), "confirmed"),
        ("orders", measured(REVERSED), "refuted"),
        ("orders", measured(MIXED), "uneven"),
        ("orders", measured(RANKED, not_clipped=REVERSED), "uneven"),
        ("orders", measured(NEAR, scatter=0.01), "not testable here"),
        ("ridge", measured(RANKED), "confirmed"),
        ("ridge", measured(RANKED, ridge=0.006), "refuted"),
        ("ridge", measured(RANKED, ridge=0.003), "uneven"),
        ("zero", measured(RANKED), "confirmed"),
        ("zero", measured(RANKED, zero=0.004), "refuted"),
        ("stable", measured(RANKED), "confirmed"),
        ("stable", measured(REVERSED), "refuted"),
        ("stable", measured(RANKED, zero=0.0025), "uneven"),
    ],
)
def test_judges_of_unseen_orders(judge, given, verdict):
    outcome = getattr(orders_claims, f"judge_{judge}")(given)
    assert str(outcome.verdict) == verdict
    if outcome.table is not None:
        assert all(len(row) == len(outcome.table.columns) for row in outcome.table.rows)


def recovery_rows(path, lintrans, learned=0.8):
    rows = []
    for seed in range(3):
        shares = {
            method: {"B": path + 0.01 * seed, "C": path} for method in ("path", "coefficient", "part", "Jacobian")
        }
        others = {"Jacobian": {"B": lintrans, "C": lintrans}}
        base = {"learned": {"B": 0.0, "C": learned}, "regression": {"B": 1.0, "C": 1.0}, "seed": seed}
        rows += [base | {"network": "samovar", "found": shares}, base | {"network": "lintrans", "found": others}]
    return {"recovery": rows}


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        (recovery_rows(0.95, 0.6), "confirmed"),
        (recovery_rows(0.02, 0.9), "refuted"),
        (recovery_rows(0.05, 0.0), "refuted"),  # below chance
        (recovery_rows(0.95, 0.6, learned=0.1), "not testable here"),
    ],
)
def test_the_judge_of_recovery(rows, verdict):
    assert str(recovery_claims.judge_recovery(rows).verdict) == verdict


def size_rows(key, excesses):
    return [
        {key: value, "seed": seed, "excess": excess + 0.01 * seed, "excess of zero": 1.3, "excess of OLS": 0.1}
        for value, excess in excesses.items()
        for seed in range(3)
    ]


depths, widths = partial(size_rows, "layers"), partial(size_rows, "head width")


@pytest.mark.parametrize(
    ("judge", "given", "verdict"),
    [
        ("depth", {"depth": depths({1: 1.0, 2: 0.8, 3: 0.5, 4: 0.6})}, "confirmed"),
        ("depth", {"depth": depths({1: 0.5, 2: 0.8, 3: 0.9, 4: 1.0})}, "refuted"),
        ("depth", {"depth": depths({1: 1.0, 2: 0.3, 3: 0.5, 4: 0.6})}, "uneven"),
        ("heads", {"head width": widths({4: 0.9, 16: 0.5})}, "confirmed"),
        ("heads", {"head width": widths({4: 0.5, 16: 0.9})}, "refuted"),
        ("heads", {"head width": widths({2: 0.4, 4: 0.9, 16: 0.5})}, "uneven"),
    ],
)
def test_judges_of_size(judge, given, verdict):
    outcome = getattr(size_claims, f"judge_{judge}")(given)
    assert str(outcome.verdict) == verdict


@pytest.mark.parametrize(
    ("mse", "best", "verdict"),
    [(0.405, 4, "confirmed"), (0.48, 2, "refuted"), (0.48, 4, "not testable here")],
)
def test_the_judge_of_the_real_set(mse, best, verdict):
    rows = [
        {
            "horizon": h,
            "stride": 4,
            "epochs": 4,
            "seed": 0,
            "mse": mse,
            "mae": 0.4,
            "validation": [],
            "best epoch": best,
        }
        for h in LOOKBACKS
    ]
    assert str(real_claims.judge_real({"real": rows}).verdict) == verdict
