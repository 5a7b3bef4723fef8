"""The event set of Why Attention Fails: where attention looks, what is gained, and verdicts on made-up numbers."""

import inspect

import numpy as np
import pytest
import torch

from forecheck.attention.sites import attach
from forecheck.data.synthetic import events
from forecheck.data.synthetic.event_errors import event_errors
from forecheck.data.windows import prepare
from forecheck.forecasters import registry
from forecheck.papers.claim import Verdict
from forecheck.papers.experiment import Bench
from forecheck.papers.why_attention_fails import toy, toy_claims
from forecheck.trials.store import Store

SEEDS = (0, 1, 2)
TINY = {"seed": 3, "windows": 60, "epochs": 1, "layers": 2}


@pytest.fixture
def bench(tmp_path):
    return Bench(Store(tmp_path), lambda share, word: None)


def test_marks_are_where_the_windows_peak():
    """A window without carrier and noise is not zero where an event is, and only there."""
    index = np.arange(200)
    at, without = toy.marks(index, 4, 21)
    t = events.MARGIN + index[:, None] + np.arange(events.BLOCK)
    noise = events.event_states(index, 4)[2]
    alone = events.event_windows(index, 4) - np.sin(2 * np.pi * t / events.CARRIER) - events.NOISE * noise
    patches = np.abs(alone[:, : events.LOOKBACK]).reshape(200, 21, 16).max(axis=2)
    assert patches[without.numpy()].max() < 1e-9
    # The middle of a visible event has its full height, 0.5 or more.
    assert patches[at.any(dim=0).numpy()].min() > 0.49
    assert (patches[~at.any(dim=0).numpy() & ~without.numpy()] < 1.01).all()
    assert (at.sum(dim=0) <= 1).all()
    order = at.float().argmax(dim=2)  # later events have lower ranks
    both = at[0].any(dim=1) & at[1].any(dim=1)
    assert (order[0] > order[1])[both].all()


def test_looks_are_ratios_of_weights(bench):
    trial = toy.trial_of(events.events(10, 0), 0, 1, 2, "linear", "raw", 0)
    module = toy.untrained(trial)
    index = np.arange(40)
    x = torch.from_numpy(events.event_windows(index, 0)[:, : events.LOOKBACK, None]).float()
    found = toy.looks(module, x, index, 0)
    with attach(module, x) as attached:
        seen = []
        attached.sites[1].observe(seen.append)
        with torch.no_grad():
            attached(x)
    at, without = toy.marks(index, 0, 21)
    weights = seen[0].double().numpy()
    event = [weights[w, h, q, k] for w, k in at.any(dim=0).nonzero().tolist() for h in range(4) for q in range(21)]
    other = [weights[w, h, q, k] for w, k in without.nonzero().tolist() for h in range(4) for q in range(21)]
    assert found[1]["ratio"] == pytest.approx(np.mean(event) / np.mean(other), rel=1e-6)
    assert found[1]["others"] == pytest.approx(21 * np.mean(other), rel=1e-6)
    pairs = [[], []]
    marked = at.any(dim=0)
    for w, q in marked.nonzero().tolist():
        pairs[0] += [weights[w, :, q, k].mean() for k in range(21) if marked[w, k] and k != q]
        pairs[1] += [weights[w, :, q, k].mean() for k in range(21) if without[w, k]]
    assert found[1]["from events"] == pytest.approx(np.mean(pairs[0]) / np.mean(pairs[1]), rel=1e-6)
    assert np.mean(found[1]["heads"]) == pytest.approx(found[1]["ratio"], rel=0.05)


def test_a_fit_is_scored_beside_the_references_of_its_test_windows(bench):
    found = toy.learnt(bench, **TINY, embedding="linear", arm="raw")
    index = np.arange(49, 61)
    windows = events.event_windows(index, 3)
    result = bench.store.need(toy.trial_of(events.events(60, 3), 3, 1, 2, "linear", "raw", 0))
    experiment = prepare(events.events(60, 3), events.LOOKBACK, events.HORIZON, step=events.BLOCK)
    mean, std = experiment.scaler.mean[0, 0], experiment.scaler.std[0, 0]
    x = torch.from_numpy((windows[:, : events.LOOKBACK, None] - mean) / std).float()
    y = registry.load(result.folder / "model").predict(x).numpy()[:, :, 0] * std + mean
    assert found["error"] == pytest.approx(np.square(y - windows[:, events.LOOKBACK :]).mean(), rel=1e-4)
    known = event_errors(np.arange(1, 43), index, 3)
    average, optimum = known["average event"].mean(), known["chain"].mean()
    assert found["share"] == pytest.approx((average - found["error"]) / (average - optimum))
    assert len(found["looks"]) == len(found["looks untrained"]) == 2
    assert found["edited"].keys() == {"identity", "mean"}
    without = toy.learnt(bench, **TINY, embedding="linear", arm="mean")
    assert "looks" not in without
    assert without["edited"] == {}
    assert without["error"] != found["error"]


@pytest.mark.parametrize("embedding", ["vq", "vq-tokens"])
def test_codes_tell_their_use(bench, embedding):
    found = toy.learnt(bench, **TINY | {"layers": 1}, embedding=embedding, arm="mean", updates=2)
    assert 1 <= found["codes"]["perplexity"] <= 256


@pytest.mark.parametrize(("embedding", "arm"), [("conv", "raw"), ("mlp", "fixed"), ("vq-residual", "identity")])
def test_other_embeddings_and_patterns_are_trained(bench, embedding, arm):
    found = toy.learnt(bench, **TINY | {"layers": 1}, embedding=embedding, arm=arm, updates=1)
    assert found["error"] > found["references"]["chain"]
    assert ("looks" in found) == (arm == "raw")


def test_the_other_measures_give_their_numbers(bench):
    assert toy.linear(bench, seed=0, windows=400)["share"] < 1
    known = toy.references(bench, windows=300, seed=1)["errors"]
    assert known["chain"] < known["average event"] < known["no event"]
    raw, without = (toy.recalled(bench, seed=0, windows=150, arm=arm)["error"] for arm in ("raw", "mean"))
    assert raw != without


def known_rows(last):
    errors = {"chain": 1.0, "sum over events": last, "last event": last, "average event": 9.0, "no event": 18.0}
    return {"references": [{"errors": errors | {"chain": 1.0 + 0.001 * seed}} for seed in SEEDS]}


@pytest.mark.parametrize("judge", [toy_claims.judge_data, toy_claims.judge_need])
def test_verdicts_on_references(judge):
    assert judge(known_rows(5.0)).verdict is Verdict.CONFIRMED
    assert judge(known_rows(1.01)).verdict is Verdict.REFUTED


def fits(embedding, raw, others):
    """Fits of three seeds with a little spread."""
    return [
        {"seed": seed, "embedding": embedding, "arm": arm, "share": share + 0.001 * seed * (arm == "raw")}
        | {"share of the last event": 0.8, "codes": {"perplexity": 9.0, "reconstruction_mse": 0.1}}
        | {"references": {"no event": 0.02}}
        for arm, share in {"raw": raw, **others}.items()
        for seed in SEEDS
    ]


def stacked(*ratios, share=0.7, **others):
    layer = {"by rank": [1.0] * 4, "others": 1.0, "heads": [1.0], "from events": 1.0, "variation": 0.1, "content": 0.5}
    rows = fits("linear", share, others)
    for row in rows:
        row["looks"] = [layer | {"ratio": r + 0.001 * row["seed"]} for r in ratios]
        row["looks untrained"] = [{"ratio": 1.0}] * len(ratios)
    return rows


def test_verdicts_on_what_is_learnt():
    for share, verdict in ((0.5, Verdict.CONFIRMED), (0.9, Verdict.REFUTED)):
        rows = {"retrained": fits("linear", 0.7, {}), "stacked": stacked(1.0, share=share)}
        assert toy_claims.judge_learnt(rows | {"linear": fits("linear", 0.3, {})}).verdict is verdict


@pytest.mark.parametrize(
    ("ratios", "zero", "uniform"),
    [
        ((0.1, 0.2), Verdict.CONFIRMED, Verdict.REFUTED),
        ((1.1, 0.9), Verdict.REFUTED, Verdict.CONFIRMED),
        ((0.2, 1.0), Verdict.UNEVEN, Verdict.UNEVEN),
    ],
)
def test_verdicts_on_where_attention_looks(ratios, zero, uniform):
    rows = {"stacked": stacked(*ratios, mean=0.1)}
    assert toy_claims.judge_zero(rows).verdict is zero
    assert toy_claims.judge_uniform(rows).verdict is uniform


@pytest.mark.parametrize(
    ("others", "deep", "verdict"),
    [
        ({"identity": 0.9, "mean": 0.88}, 0.69, Verdict.CONFIRMED),
        ({"identity": 0.5, "mean": 0.2}, 0.2, Verdict.REFUTED),
        ({"identity": 0.9, "mean": 0.89}, 0.2, Verdict.UNEVEN),
    ],
)
def test_verdicts_on_replaced_attention(others, deep, verdict):
    rows = {"retrained": fits("linear", 0.9, others), "stacked": stacked(1.0, mean=deep)}
    assert toy_claims.judge_retrained(rows).verdict is verdict


@pytest.mark.parametrize(
    ("identity", "mean", "verdict"),
    [(0.0, 0.0, Verdict.CONFIRMED), (0.5, 0.4, Verdict.REFUTED), (0.5, 0.0, Verdict.UNEVEN)],
)
def test_verdicts_on_edited_models(identity, mean, verdict):
    rows = {"retrained": fits("linear", 0.9, {}), "stacked": stacked(1.0)}
    for row in [*rows["retrained"], *rows["stacked"]]:
        row |= {"error": 1.0, "edited": {"identity": 1 + identity + 0.001 * row["seed"], "mean": 1 + mean}}
    assert toy_claims.judge_edited(rows).verdict is verdict


def test_verdicts_on_the_control():
    for error, verdict in ((1.5, Verdict.CONFIRMED), (1.0, Verdict.REFUTED)):
        rows = [{"seed": s, "arm": "raw", "error": 1.0 + 0.001 * s} for s in SEEDS]
        rows += [{"seed": s, "arm": "mean", "error": error} for s in SEEDS]
        assert toy_claims.judge_control({"recalled": rows}).verdict is verdict


def test_verdicts_on_embeddings():
    linear = fits("linear", 0.9, {"mean": 0.89})
    for without, verdict in ((0.88, Verdict.CONFIRMED), (0.5, Verdict.UNEVEN)):
        rows = {"retrained": linear, "embedded": fits("mlp", 0.9, {"mean": without})}
        assert toy_claims.judge_embeddings(rows).verdict is verdict
    rows = {"retrained": fits("linear", 0.9, {"mean": 0.5}), "embedded": fits("mlp", 0.9, {"mean": 0.5})}
    assert toy_claims.judge_embeddings(rows).verdict is Verdict.REFUTED


def test_verdicts_on_codes():
    linear = fits("linear", 0.7, {"mean": 0.7})
    better, worse = fits("vq", 0.9, {"mean": 0.5}), fits("vq-tokens", 0.1, {"mean": 0.1})
    cases = ((worse, Verdict.REFUTED), (better + worse, Verdict.CONFIRMED))
    for coded, verdict in cases:
        spread = [row | {"share": row["share"] + 0.01 * (row["seed"] == 1)} for row in coded]
        outcome = toy_claims.judge_codes({"retrained": linear, "coded": spread})
        assert outcome.verdict is verdict


def test_experiments_have_the_settings_that_their_measures_take():
    for claim in toy_claims.CLAIMS:
        for experiment in claim.experiments:
            for part in [*experiment.parts("quick"), *experiment.parts("full")]:
                inspect.signature(experiment.measure).bind(None, **part.settings)
    assert len({claim.id for claim in toy_claims.CLAIMS}) == len(toy_claims.CLAIMS)
