"""Real series of Curse of Attention: losses by sign against brute force, and verdicts on made-up numbers."""

import inspect

import numpy as np
import pytest
import torch

from forecheck.attention.sites import Subject
from forecheck.data.windows import prepare
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.patchtst import PatchTSTConfig
from forecheck.papers.claim import Verdict
from forecheck.papers.curse_of_attention import cases, cases_claims, real, real_claims
from forecheck.papers.experiment import Bench
from forecheck.probes.case import Case
from forecheck.probes.signs import signs
from forecheck.trials.store import Store
from panels import hourly

SEEDS = (0, 1, 2)


@pytest.fixture
def bench(tmp_path):
    return Bench(Store(tmp_path), lambda share, word: None)


@pytest.fixture
def panel(monkeypatch):
    panel = hourly(1400, noise=1.0)
    monkeypatch.setattr(real, "load", lambda name: panel)
    return panel


def test_losses_by_sign_are_those_of_the_measure(bench, panel):
    found = real.split(bench, "any", step=3, epochs=1, seeds=[0, 1])
    cut = prepare(panel, real.LOOKBACK, real.HORIZON, step=3)
    linear = registry.create("nlinear", Task(real.LOOKBACK, real.HORIZON, 2))
    linear.fit(cut.train, cut.validation)
    summary, arrays = signs(Case(Subject(linear.predict), linear, cut))
    assert found["windows"] == len(cut.test) <= 1024  # the measure looks at as many
    for view in ("level", "difference"):
        ours = found["views"][view]
        assert ours["share"][0] == pytest.approx(summary[view]["first_step_share"])
        for name in real.CLASSES:
            assert ours["mse"][name]["linear"] == pytest.approx(arrays[f"{view}_{name}_mse"][0], rel=1e-5)
    last = registry.create("last", Task(real.LOOKBACK, real.HORIZON, 2))
    last.fit(cut.train, cut.validation)
    _, arrays = signs(Case(Subject(last.predict), last, cut))
    assert found["views"]["level"]["mse"]["consistent"]["last"] == pytest.approx(arrays["level_consistent_mse"][0])
    assert len(found["by channel"]["gap"]) == 2


def test_normal_values_turn_over_as_often_as_their_correlation_says():
    random = np.random.default_rng(0)
    one = random.standard_normal((20_000, 2))
    other = 0.6 * one + 0.8 * random.standard_normal((20_000, 2))
    errors = {name: random.random((2, 20_000, 2)) for name in ("PatchTST", "linear")}
    found = real.by_sign(one, other, errors)
    assert found["gaussian"] == pytest.approx(np.arccos(0.6) / np.pi, abs=0.005)
    assert found["share"][0] == pytest.approx(found["gaussian"], abs=0.008)
    members = one * other < 0
    above, below = (errors[name].mean(axis=0)[members].mean() for name in ("PatchTST", "linear"))
    below = errors["linear"][0][members].mean()
    assert found["gap"]["inconsistent"][0] == pytest.approx(above / below - 1)
    assert found["mse"]["inconsistent"]["PatchTST"] == pytest.approx(above)
    others = errors["PatchTST"].mean(axis=0)[~members].mean() / errors["linear"][0][~members].mean() - 1
    assert found["excess"][0] == pytest.approx(above / below - 1 - others)


def test_intervals_of_gaps_cover():
    """19 of 20 intervals of a ratio hold it, on windows that hang together."""
    random = np.random.default_rng(1)
    inside = []
    for _ in range(200):
        base = np.abs(np.convolve(random.standard_normal(420), np.ones(5), "valid"))
        noise = np.convolve(random.standard_normal(420), np.ones(5), "valid")
        above = np.stack([0.5 * base + 0.2 * noise])
        low, high = real._ratio(above, base).interval()
        inside.append(low <= 0.5 <= high)
    assert 0.9 <= np.mean(inside) <= 0.99


def test_without_positions_the_last_token_does_not_know_the_order():
    """The paper's obstacle: a function of the last value and the set of the others."""
    options = real.RECIPE | {"positions": "none"}
    module = real.LastTokenPatchTST(Task(192, 24, 1), PatchTSTConfig(**options)).module.eval()
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((3, 192, 1))).float()
    patches = x.reshape(3, 12, 16)
    order = torch.tensor([4, 0, 7, 2, 10, 1, 9, 3, 5, 8, 6, 11])
    shuffled = patches[:, order].reshape(3, 192, 1)
    with torch.no_grad():
        torch.testing.assert_close(module(shuffled), module(x))
        usual = registry.create("patchtst", Task(192, 24, 1), options).module.eval()
        assert (usual(shuffled) - usual(x)).abs().max() > 1e-3


@pytest.mark.parametrize("name", real.VARIANTS)
def test_every_variant_is_trained(bench, panel, name):
    found = real.variant(bench, "any", step=40, epochs=1, name=name, seed=0)
    assert 0 < found["mse"] < 10
    assert len(found["last patch"]) == 2
    assert ("last" in real.VARIANTS[name].values()) == (found["parameters"] < 10_000)


def test_cases_are_those_of_the_audits_measure(bench, panel):
    found = cases.cases(bench, "any", step=40, epochs=1, seed=0)
    assert len(found["layers"]) == 2
    for layer in found["layers"]:
        assert 0 <= layer["paper"] <= 1
        assert 0 <= layer["exact"] <= 1
        assert 0.3 < layer["self"] < 3  # after one epoch patterns are near uniform, which is 1


def case_rows(exact, spread=0.01):
    return [
        {"data": "ETTh1", "epochs": epochs, "seed": seed, "windows": 9}
        | {"layers": [{"paper": 0.5, "exact": each + spread * (seed - 1), "self": 1.0} for each in exact]}
        for epochs in (1, 6)
        for seed in range(3)
    ]


@pytest.mark.parametrize(
    ("exact", "spread", "verdict"),
    [
        ((0.7, 0.8), 0.01, Verdict.CONFIRMED),
        ((0.3, 0.2), 0.01, Verdict.REFUTED),
        ((0.7, 0.2), 0.01, Verdict.UNEVEN),
        ((0.5, 0.5), 0.01, Verdict.REFUTED),
        ((0.55, 0.55), 0.01, Verdict.UNTESTABLE),
    ],
)
def test_verdicts_on_cases(exact, spread, verdict):
    outcome = cases_claims.CLAIMS[0].judge({"cases": case_rows(exact, spread)})
    assert outcome.verdict is verdict
    assert all(len(row) == len(outcome.table.columns) for row in outcome.table.rows)


def interval(value):
    return [value, value - 0.01, value + 0.01]


def split_rows(share=0.2, inconsistent=0.3, consistent=0.1, slope=1.0):
    view = {
        "share": interval(share),
        "gaussian": 0.3,
        "ties": 0.0,
        "mse": {name: {"PatchTST": 1.0, "linear": 1.0, "last": 1.0} for name in real.CLASSES},
        "gap": {"inconsistent": interval(inconsistent), "consistent": interval(consistent)},
        "excess": interval(inconsistent - consistent),
    }
    shares = [0.1, 0.2, 0.3, 0.4]
    rows = []
    for k, data in enumerate("abc"):
        gaps = [slope * each + (0.12 if i == k else 0.0) for i, each in enumerate(shares)]
        channels = {
            "inconsistent share": shares,
            "linear R2": shares,
            "autocorrelation of differences": [*shares[:3], None],
        }
        rows.append(
            {"data": data, "views": {"level": view, "difference": view}, "by channel": {"gap": gaps, **channels}}
        )
    return {"split": rows}


def test_verdicts_on_shares():
    assert real_claims.judge_share(split_rows(share=0.2)).verdict is Verdict.CONFIRMED
    assert real_claims.judge_share(split_rows(share=0.02)).verdict is Verdict.REFUTED


@pytest.mark.parametrize(
    ("inconsistent", "consistent", "verdict"),
    [
        (0.3, 0.1, Verdict.CONFIRMED),
        (0.1, 0.3, Verdict.REFUTED),
        (-0.1, -0.3, Verdict.REFUTED),
        (0.3, 0.3, Verdict.UNTESTABLE),
    ],
)
def test_verdicts_on_gaps(inconsistent, consistent, verdict):
    rows = split_rows(inconsistent=inconsistent, consistent=consistent)
    assert real_claims.judge_gap(rows).verdict is verdict
    mixed = {"split": [rows["split"][0], split_rows(inconsistent=0.3, consistent=0.1)["split"][1]]}
    expected = Verdict.CONFIRMED if verdict is Verdict.CONFIRMED else Verdict.UNEVEN
    assert real_claims.judge_gap(mixed).verdict is expected


def test_verdicts_on_traits():
    assert real_claims.judge_traits(split_rows(slope=1.0)).verdict is Verdict.CONFIRMED
    outcome = real_claims.judge_traits(split_rows(slope=-1.0))
    assert outcome.verdict is Verdict.REFUTED
    assert outcome.ours.value < 0


def variants(**ratios):
    """Fits of two sets, by variant a ratio to PatchTST's error."""
    ratios = {name: ratios.get(name.replace(" ", "_"), 1.0) for name in real.VARIANTS}
    return {
        "variant": [
            {"data": data, "name": name, "seed": seed, "parameters": 1, "last patch": [1.0, 1.0]}
            | {"mse": ratio * (1 + 0.01 * seed) * (1 + 1e-4 * seed * len(name))}
            for data in ("a", "b")
            for name, ratio in ratios.items()
            for seed in SEEDS
        ]
    }


def test_verdicts_on_remedies():
    better = variants(RoPE=0.9, recency_bias=0.9, differential=0.8)
    assert real_claims.judge_remedies(better).verdict is Verdict.CONFIRMED
    assert real_claims.judge_remedies(variants(no_positions=0.5)).verdict is Verdict.REFUTED
    assert real_claims.judge_remedies(variants(RoPE=0.9)).verdict is Verdict.UNEVEN


def test_verdicts_on_order():
    assert real_claims.judge_order(variants(neither=1.5, last_token=1.2)).verdict is Verdict.CONFIRMED
    everything = dict.fromkeys(("RoPE", "recency_bias", "differential", "no_positions", "last_token"), 1.2)
    assert real_claims.judge_order(variants(**everything, neither=0.9)).verdict is Verdict.REFUTED
    assert real_claims.judge_order(variants(neither=1.2, last_token=1.5)).verdict is Verdict.UNEVEN


def test_experiments_have_the_settings_that_their_measures_take():
    for experiment in (real.SPLIT, real.VARIANT):
        for part in [*experiment.parts("quick"), *experiment.parts("full")]:
            inspect.signature(experiment.measure).bind(None, **part.settings)
