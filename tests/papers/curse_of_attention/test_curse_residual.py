"""Proposition 6.3 and E12: what is measured against plain linear algebra, and the judges on made-up rows."""

import numpy as np
import pytest

from forecheck.papers.claim import Verdict
from forecheck.papers.curse_of_attention import residual, residual_claims
from forecheck.papers.experiment import Bench
from forecheck.trials.store import Store

CLAIMS = {claim.id: claim for claim in residual_claims.CLAIMS}
SEEDS = range(4)


@pytest.fixture
def bench(tmp_path):
    return Bench(Store(tmp_path), lambda share, word: None)


def verdict(name, *rows):
    claim = CLAIMS[name]
    return claim.judge({each.name: some for each, some in zip(claim.experiments, rows, strict=True)}).verdict


def test_random_features_have_the_properties_that_they_should():
    for kind in ("affine", "properties", "generic"):
        law = residual.random_features(kind, 0.3, 0.1, 1)
        np.testing.assert_allclose(np.linalg.norm(law.features, axis=1), 1)
        if kind != "generic":
            np.testing.assert_allclose(law.features[:-2] @ law.features[-2], 0, atol=1e-12)
            assert law.gamma == pytest.approx(0.3)
    assert residual.random_features("affine", 0.3, 0.1, 1).coefficients.sum() == pytest.approx(1)


@pytest.mark.parametrize("kind", ["affine", "properties", "generic"])
def test_distances_are_those_of_a_projection(bench, kind):
    row = residual.optimum(bench, kind, 0.5, 3)
    features = residual.random_features(kind, 0.5, 0.1, 3).features
    last, target = features[-2], features[-1] - features[-2]
    for name, span in (("printed", features[:-2]), ("distance", features[:-2] - last)):
        basis = np.linalg.qr(span.T)[0]
        assert row[name] == pytest.approx(np.linalg.norm(target - basis @ (basis.T @ target)), abs=1e-12)
    assert row["rank"] == row["unknowns"] == 7
    assert (row["from c"] < 1e-9) == (kind == "affine")


def test_noise_and_closed_forms_are_sampled(bench):
    row = residual.noise_risk(bench, "flat", 0.5, 0, 20_000)
    assert row["risk"] == pytest.approx(row["corrected"], rel=0.05)
    assert row["risk"] < 0.8 * row["printed"]
    found = residual.calibration(bench, "unit", 0.5, 0, 20_000)["checked"]
    assert found[0][1] == pytest.approx(1 / 3)
    assert all(abs(sampled - exact) < 5 * error for _, exact, sampled, error in found)


def test_random_features_cost_the_residual_network_only(bench):
    row = residual.generic(bench, "properties", 0.5, 0.001, 1, 2000)
    assert row["ols"] == pytest.approx(row["bayes"], rel=0.02)
    assert row["residual"] - row["bayes"] == pytest.approx(row["distance"] ** 2, rel=0.1)


def noisy(attention, linear):
    """Risks as powers of the noise, in floors at noise 0.1."""
    return [
        {"form": "unit", "noise": noise, "seed": seed, "floor": noise**2}
        | {"attention": dict.fromkeys(("all", "inconsistent"), 0.3 * noise ** (attention + 0.01 * seed))}
        | {"residual": dict.fromkeys(("all", "inconsistent"), 1.2 * noise ** (linear + 0.01 * seed))}
        for noise in (0.4, 0.1)
        for seed in SEEDS
    ]


def test_orders_in_the_noise_are_judged():
    assert verdict("E2-attains", noisy(0.1, 2)) is Verdict.CONFIRMED
    assert verdict("E2-attains", noisy(2, 2)) is Verdict.REFUTED
    assert verdict("E2-linear", noisy(2, 2)) is Verdict.CONFIRMED
    assert verdict("E2-linear", noisy(2, 1)) is Verdict.REFUTED
    other = [row | {"form": "flat"} for row in noisy(2, 2)]
    assert verdict("E2-attains", noisy(0.1, 2) + other) is Verdict.UNEVEN


def bounded(bound, risk, form="unit"):
    return [
        {"form": form, "gamma": 0.5, "share": None, "bound": bound, "floor": 1.0}
        | {"attention": {"all": risk + 0.01 * seed}}
        for seed in SEEDS
    ]


def test_the_bound_is_judged():
    assert verdict("E2-bound", bounded(20.0, 30.0), []) is Verdict.CONFIRMED
    assert verdict("E2-bound", bounded(2.0, 30.0), []) is Verdict.REFUTED
    assert verdict("E2-bound", bounded(20.0, 10.0), []) is Verdict.REFUTED
    assert verdict("E2-bound", bounded(20.0, 30.0), bounded(1.0, 30.0, "flat")) is Verdict.UNEVEN


def equations(printed=0.0, distance=0.0, affine=0.0, rank=7, total=1.0, from_c=0.0):
    return [
        {"features": "properties", "gamma": 0.5, "seed": seed, "printed": printed, "distance": distance}
        | {"affine distance": affine, "sum": total, "from c": from_c, "rank": rank, "unknowns": 7}
        for seed in SEEDS
    ]


def test_equations_are_judged():
    assert verdict("E2-printed", equations()) is Verdict.CONFIRMED
    assert verdict("E2-printed", equations(printed=0.5)) is Verdict.REFUTED
    assert verdict("E2-unique", equations()) is Verdict.CONFIRMED
    assert verdict("E2-unique", equations(distance=0.5)) is Verdict.REFUTED
    assert verdict("E2-unique", equations(rank=6)) is Verdict.REFUTED
    assert verdict("E2-unique", equations() + equations(distance=0.5)) is Verdict.UNEVEN
    assert verdict("E2-corrected", equations(distance=0.5, affine=0.5, total=2.0, from_c=3.0)) is Verdict.CONFIRMED
    assert verdict("E2-corrected", equations(distance=0.5)) is Verdict.REFUTED
    assert verdict("E2-corrected", equations(from_c=0.1)) is Verdict.REFUTED


def test_noise_and_moments_are_judged():
    def rows(risk, form="unit"):
        common = {"form": form, "gamma": 0.5, "printed": 2.0, "corrected": 1.3}
        return [common | {"risk": risk + 0.001 * seed} for seed in SEEDS]

    assert verdict("E2-noise", rows(2.0)) is Verdict.CONFIRMED
    assert verdict("E2-noise", rows(1.3)) is Verdict.REFUTED
    assert verdict("E2-noise", rows(2.0) + rows(1.3, "flat")) is Verdict.UNEVEN

    def sampled(value):
        return [{"form": "unit", "gamma": 0.5, "checked": [["share", 0.3, value, 0.01], ["other", 1.0, 1.0, 0.01]]}]

    assert verdict("E2-moments", sampled(0.31)) is Verdict.CONFIRMED
    assert verdict("E2-moments", sampled(0.4)) is Verdict.REFUTED


def generic(slope, ols=1.0, features="properties"):
    return [
        {"features": features, "noise": noise, "seed": seed, "distance": distance, "bayes": 0.1}
        | {"residual": 0.1 + slope * distance**2 + 1e-4 * seed, "ols": 0.1 * (ols + 0.001 * seed)}
        for noise in (0.1, 0.01)
        for seed, distance in enumerate((0.1, 0.4, 0.7, 0.9))
    ]


def test_what_random_features_cost_is_judged():
    assert verdict("E12", generic(1.0)) is Verdict.CONFIRMED
    assert verdict("E12", generic(0.5)) is Verdict.REFUTED
    assert verdict("E12", generic(1.0, ols=2.0)) is Verdict.REFUTED
    assert verdict("E12", generic(1.0) + generic(0.5, features="generic")) is Verdict.UNEVEN
