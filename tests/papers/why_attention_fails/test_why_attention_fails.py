"""Replacement, perturbation, positions and patches on real sets: what is measured, and verdicts on made-up numbers."""

import numpy as np
import pytest
import torch

from forecheck.attention.feed_forward import SmoothFeatures
from forecheck.attention.outputs import Perturb
from forecheck.data.windows import prepare
from forecheck.forecasters import registry
from forecheck.papers.catalogue import find_paper
from forecheck.papers.claim import Verdict
from forecheck.papers.experiment import Bench
from forecheck.papers.why_attention_fails import (
    arms,
    patches,
    patches_claims,
    perturbation,
    perturbation_claims,
    positions,
    positions_claims,
    replacement,
    replacement_claims,
)
from forecheck.papers.why_attention_fails.compared import held
from forecheck.statistics.metrics import loss_by_time
from forecheck.trials.store import Store

SEEDS = (0, 1, 2)
LOOKBACK = 48
NOISE = np.random.default_rng(0).normal(0, 0.001, (len(SEEDS), 400))


@pytest.fixture(scope="module", autouse=True)
def _small():
    """Windows of 48 and 12 steps, and one epoch."""
    small = {"layers": 2, "epochs": 1, "batch": 16}
    recipes = {
        ("patchtst", arms.SHORT): arms.Recipe("patchtst", small | {"patch": 8, "stride": 8}, step=2),
        ("itransformer", arms.SHORT): arms.Recipe("itransformer", small | {"width": 16, "hidden": 16}, step=2),
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arms, "LOOKBACK", LOOKBACK)
        patch.setattr(arms, "HORIZON", 12)
        for key, recipe in recipes.items():
            patch.setitem(arms.RECIPES, key, recipe)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A file with two waves and noise: two channels, 400 hours."""
    random, t = np.random.default_rng(0), np.arange(400)
    values = np.stack([np.sin(t / 4) + np.sin(t / 40), np.cos(t / 4)], 1) + 0.3 * random.normal(size=(400, 2))
    times = np.datetime64("2020-01-01T00") + t.astype("timedelta64[h]")
    path = tmp_path_factory.mktemp("data") / "waves.csv"
    path.write_text("date,a,b\n" + "".join(f"{time},{a},{b}\n" for time, (a, b) in zip(times, values, strict=True)))
    return str(path)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(Store(tmp_path_factory.mktemp("store")), lambda share, word: None)


def the_fit(bench, data, edit=None):
    trial = arms.plan(bench, data, arms.RECIPES["patchtst", arms.SHORT], 0, edit)
    arms.run(bench, trial)
    return trial, registry.load(bench.store.folder(trial) / "model")


def losses_by_hand(bench, trial, module):
    """Mean squared error of every test window in order of time, without the trials' own scoring."""
    panel = bench.store.get_panel(trial.data)
    test = prepare(panel, trial.lookback, trial.horizon, trial.split, trial.step).test
    x, y = test.gather(slice(0, len(test)))
    with torch.no_grad():
        return (module(x) - y).square().mean(dim=(1, 2)).numpy()


def test_losses_are_those_of_the_fit_that_is_kept(bench, data):
    row = replacement.replaced(bench, data=data, model="patchtst", recipe=arms.SHORT, mode="raw", seed=0)
    trial, forecaster = the_fit(bench, data)
    np.testing.assert_allclose(row["losses"], losses_by_hand(bench, trial, forecaster.module), rtol=1e-4)
    assert row["mse"] == pytest.approx(np.mean(row["losses"]), rel=1e-6)
    assert row["overlap"] == 12 // trial.step
    assert row["parameters"] == sum(each.numel() for each in forecaster.module.parameters())


@pytest.mark.parametrize("model", ["patchtst", "itransformer"])
def test_replaced_attention_is_trained_anew(bench, data, model):
    settings = {"data": data, "model": model, "recipe": arms.SHORT, "seed": 0}
    rows = {mode: replacement.replaced(bench, mode=mode, **settings) for mode in ("raw", "identity", "fixed")}
    assert len({row["mse"] for row in rows.values()}) == 3
    # A fixed matrix has weights of its own, one a head and layer.
    assert rows["fixed"]["parameters"] > rows["identity"]["parameters"] == rows["raw"]["parameters"]


def test_the_last_value_is_scored_on_the_same_windows(bench, data):
    row = replacement.references(bench, data=data, model="patchtst", recipe=arms.SHORT)
    trial, _ = the_fit(bench, data)
    last = losses_by_hand(bench, trial, lambda x: x[:, -1:].expand(-1, 12, -1))
    assert row["last"] == pytest.approx(last.mean(), rel=1e-5)
    assert 0 < row["nlinear"] != row["last"]


@pytest.mark.parametrize("part", perturbation.PARTS)
@pytest.mark.parametrize("kind", [perturbation.NOISE, perturbation.SMOOTHING, perturbation.ABLATION])
def test_disturbed_models(bench, data, part, kind):
    row = perturbation.disturbed(bench, data, "patchtst", arms.SHORT, kind, part, strengths=[0.5, 1.0], seed=0)
    assert len(row["losses"]) == len(row["changes"]) == 2
    assert row["changes"] == sorted(row["changes"])  # equal for the mean, which has no strength
    assert min(row["changes"]) > 0
    assert all(losses != row["raw"] for losses in row["losses"])


def test_disturbed_losses_by_hand(bench, data):
    row = perturbation.disturbed(
        bench, data, "patchtst", arms.SHORT, perturbation.SMOOTHING, part="feed-forward", strengths=[1.0], seed=0
    )
    trial, forecaster = the_fit(bench, data)
    with SmoothFeatures(1.0).on(forecaster.module, torch.zeros(2, LOOKBACK, 2)) as edited:
        np.testing.assert_allclose(row["losses"][-1], losses_by_hand(bench, trial, edited), rtol=1e-4)


@pytest.mark.parametrize("part", perturbation.PARTS)
def test_noise_on_outputs_changes_them_by_its_strength(bench, data, part):
    trial, _ = the_fit(bench, data)
    found = perturbation.relative_change(bench, trial, Perturb(part, 0.3), part)
    assert found == pytest.approx(0.3, rel=0.02)


def test_codes_and_their_likeness(bench, data):
    row = positions.recoded(bench, data=data, model="patchtst", recipe=arms.SHORT, seed=0)
    trial, forecaster = the_fit(bench, data)
    module = forecaster.module
    assert row["losses"].keys() == positions.EDITS.keys()
    assert len(row["cosines"]) == len(module.positions.code) - 1
    assert row["size"] == pytest.approx(module.positions.code.detach().pow(2).mean().item() ** 0.5)
    module.positions.code.data.fill_(0.5)
    np.testing.assert_allclose(row["losses"][positions.HALF], losses_by_hand(bench, trial, module), rtol=1e-4)
    module.positions.code.data.zero_()
    np.testing.assert_allclose(row["losses"][positions.ZERO], losses_by_hand(bench, trial, module), rtol=1e-4)


def test_cosines_of_rows_on_a_circle():
    angle = torch.arange(9) * 0.3
    rows = torch.stack([angle.cos(), angle.sin()], dim=1) * torch.arange(1, 10)[:, None]
    np.testing.assert_allclose(positions.cosines(rows), np.cos(0.3 * np.arange(1, 9)), rtol=1e-6)


def test_one_token_needs_no_attention(bench, data):
    settings = {"data": data, "recipe": arms.SHORT, "patch": LOOKBACK, "width": 16, "seed": 0}
    rows = [
        {**settings, "mode": mode, **patches.patched(bench, mode=mode, **settings)}
        for mode in ("raw", "identity", "mean", "zero")
    ]
    one = patches_claims.judge_single({"single-token": rows[:3]})
    assert one.verdict is Verdict.CONFIRMED
    assert patches_claims.judge_single({"single-token": rows}).verdict is Verdict.REFUTED  # zero is another network


def test_losses_follow_time():
    """Channels of a window are averaged, and windows stand in the order of their origins."""
    assert loss_by_time(np.array([[1.0, 3.0], [5.0, 5.0]]), np.array([9, 4])).tolist() == [5.0, 2.0]


def test_every_planned_part_can_be_built():
    """Settings of both budgets name recipes, modes and edits that are there."""
    paper = find_paper("why-attention-fails")
    assert len({claim.id for claim in paper.claims}) == len(paper.claims)
    experiments = {each.name: each for claim in paper.claims for each in claim.experiments}
    mine = [each for each in experiments.values() if each.measure.__module__.startswith(arms.__package__)]
    seen = 0
    for part in (part for each in mine for budget in ("quick", "full") for part in each.parts(budget)):
        if "recipe" not in part.settings:
            continue
        seen += 1
        assert (part.settings.get("model", "patchtst"), part.settings["recipe"]) in arms.RECIPES
        assert patches_claims.LOOKBACK % part.settings.get("patch", 1) == 0
        assert ("kind" in part.settings) <= (
            (part.settings.get("kind"), part.settings.get("part")) in perturbation.EDITS
        )
    assert seen > 50


# Verdicts on made-up numbers.


def made(factor, name="losses", **settings):
    """Rows of three seeds whose losses are `factor` times those of the raw model, but for noise."""
    return [{"seed": s, "overlap": 12, name: (factor + NOISE[s] * (factor != 1)).tolist(), **settings} for s in SEEDS]


def replaced(changes, model="patchtst", recipe=arms.SHORT):
    fit = {"data": "ETTh1", "model": model, "recipe": recipe, "epochs": 4}
    rows = made(1.0, mode="raw", **fit)
    for mode, factor in changes.items():
        rows += made(factor, mode=mode, **fit)
    return rows


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"identity": 0.95, "zero": 1.0, "mean": 1.005, "fixed": 0.99}, Verdict.CONFIRMED),
        ({"identity": 1.05, "zero": 1.03, "mean": 1.02, "fixed": 1.05}, Verdict.REFUTED),
        ({"identity": 1.05, "zero": 1.0, "mean": 1.0, "fixed": 1.0}, Verdict.UNEVEN),
    ],
)
@pytest.mark.parametrize("model", ["patchtst", "itransformer"])
def test_replacement_is_judged(model, changes, verdict):
    judge = next(claim.judge for claim in replacement_claims.CLAIMS if claim.id == model)
    references = [{"data": "ETTh1", "model": model, "recipe": arms.SHORT, "last": 1.3, "nlinear": 0.9}]
    found = judge({f"replaced-{model}": replaced(changes, model), f"references-{model}": references})
    assert found.verdict is verdict
    assert found.ours.value == pytest.approx(100 * (changes["identity"] - 1), abs=0.1)
    assert {len(row) for row in found.table.rows} == {len(found.table.columns)}


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"identity": 0.95, "zero": 0.96, "mean": 0.98}, Verdict.CONFIRMED),
        ({"identity": 0.95, "zero": 1.02, "mean": 0.98}, Verdict.REFUTED),
    ],
)
def test_slides_are_judged(changes, verdict):
    assert replacement_claims.judge_slides({"slides": replaced(changes)}).verdict is verdict


def test_noisy_seeds_decide_nothing():
    rows = replaced({"identity": 0.99, "zero": 0.99, "mean": 0.99})
    for row in rows:
        if row["mode"] != "raw":
            row["losses"] = (np.array(row["losses"]) + 0.1 * (row["seed"] - 1)).tolist()
    assert replacement_claims.judge_slides({"slides": rows}).verdict is Verdict.UNTESTABLE


def disturbed(kinds, attention, feed_forward):
    rows = []
    for kind in kinds:
        for part, factors in (("attention", attention), ("feed-forward", feed_forward)):
            for row in made(1.0, "raw", data="ETTh1", kind=kind, part=part):
                losses = [(factor + NOISE[row["seed"]]).tolist() for factor in factors]
                strengths = {"strengths": [1.0, 2.0], "changes": [0.1, 0.2]}
                rows.append(row | {"losses": losses} | strengths)
    return rows


@pytest.mark.parametrize(
    ("attention", "feed_forward", "verdict"),
    [
        ((1.0, 1.01), (1.2, 1.5), Verdict.CONFIRMED),
        ((1.1, 1.3), (1.2, 1.5), Verdict.REFUTED),
        ((1.0, 1.01), (1.0, 1.01), Verdict.REFUTED),
    ],
)
def test_perturbation_is_judged(attention, feed_forward, verdict):
    rows = disturbed((perturbation.NOISE, perturbation.SMOOTHING), attention, feed_forward)
    assert perturbation_claims.judge_same({"same-perturbation": rows}).verdict is verdict


def test_perturbation_may_be_uneven():
    rows = disturbed((perturbation.NOISE,), (1.0, 1.01), (1.2, 1.5))
    rows += disturbed((perturbation.SMOOTHING,), (1.2, 1.5), (1.2, 1.5))
    assert perturbation_claims.judge_same({"same-perturbation": rows}).verdict is Verdict.UNEVEN


@pytest.mark.parametrize(
    ("attention", "feed_forward", "verdict"),
    [((1.0, 1.1), (1.1, 1.2), Verdict.CONFIRMED), ((1.1, 1.2), (1.0, 1.1), Verdict.REFUTED)],
)
def test_equal_perturbation_is_judged(attention, feed_forward, verdict):
    rows = disturbed((perturbation.OUTPUT_NOISE, perturbation.ABLATION), attention, feed_forward)
    found = perturbation_claims.judge_equal({"equal-perturbation": rows})
    assert found.verdict is verdict
    assert found.ours.value == pytest.approx(100 * (feed_forward[1] - attention[1]), abs=0.1)


@pytest.mark.parametrize(
    ("factors", "zeroed", "filled", "controls"),
    [
        ((1.0, 1.0, 1.0, 1.0, 1.0), Verdict.CONFIRMED, Verdict.CONFIRMED, Verdict.CONFIRMED),
        ((1.0, 1.05, 1.05, 1.05, 1.05), Verdict.CONFIRMED, Verdict.REFUTED, Verdict.REFUTED),
        ((1.05, 1.0, 1.0, 1.0, 1.05), Verdict.REFUTED, Verdict.CONFIRMED, Verdict.UNEVEN),
    ],
)
def test_positions_are_judged(factors, zeroed, filled, controls):
    rows = [
        row
        | {
            "losses": {
                edit: (f + NOISE[row["seed"]]).tolist() for edit, f in zip(positions.EDITS, factors, strict=True)
            }
        }
        | {"cosines": [0.5, 0.1], "size": 0.02}
        for row in made(1.0, "raw", data="ETTh1", model="patchtst", recipe=arms.SHORT)
    ]
    assert positions_claims.judge_zeroed({"positions": rows}).verdict is zeroed
    assert positions_claims.judge_notebook({"positions": rows}).verdict is filled
    assert positions_claims.judge_controls({"positions": rows}).verdict is controls


@pytest.mark.parametrize(
    ("factors", "verdict"),
    [
        ((1.0, 1.005, 0.99), Verdict.CONFIRMED),
        ((1.0, 1.03, 1.05), Verdict.REFUTED),
        ((1.0, 1.0, 1.05), Verdict.UNEVEN),
    ],
)
def test_patch_lengths_are_judged(factors, verdict):
    rows = []
    shared = {"data": "ETTh1", "recipe": arms.SHORT, "mode": "raw"}
    for patch, factor in zip((16, 112, patches_claims.LOOKBACK), factors, strict=True):
        rows += made(factor, patch=patch, width=patch, parameters=100 * patch, **shared)
    rows += made(1.2, patch=patches_claims.LOOKBACK, width=16, parameters=100, **shared)
    references = [{"data": "ETTh1", "last": 1.3, "nlinear": 0.9}]
    found = patches_claims.judge_sweep({"patch-length": rows, "references-patchtst": references})
    assert found.verdict is verdict
    assert found.ours.value == pytest.approx(100 * (factors[-1] - 1), abs=0.1)
    assert [row[:3] for row in found.table.rows][1:] == [[112, 3, 112], [336, 1, 336], [336, 1, 16]]


def test_a_short_test_part_decides_nothing():
    from forecheck.papers.why_attention_fails.compared import change

    edited, raw = 1.05 + NOISE[:, :90], 1.0 + 0 * NOISE[:, :90]
    assert held(change(edited, raw, 12), below=0.01) is None
    assert held(change(edited, raw, 5), below=0.01) is False
