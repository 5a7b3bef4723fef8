"""Curse of Attention, E8: readings against autograd and against steps that are taken, judges on made-up rows."""

from pathlib import Path

import pytest
import torch

from forecheck.papers.claim import Verdict
from forecheck.papers.curse_of_attention import matrix
from forecheck.papers.curse_of_attention.matrix_claims import CLAIMS
from forecheck.papers.experiment import Bench
from forecheck.trials.store import Store

BENCH = Bench(Store(Path("unused")), lambda share, word: None)
JUDGES = {claim.id: claim.judge for claim in CLAIMS}
READ = ("local attention", "case 1", "exact", "falls", "case tells score", "case tells attention")


@pytest.mark.parametrize("persistence", [0.7, -0.7])
def test_series_have_the_floor_that_is_told(persistence):
    generator = torch.Generator().manual_seed(0)
    x, y = matrix.series("linear", persistence, 20_000, generator)
    step = torch.linalg.lstsq(x[:, -1], y).solution
    assert float((y - x[:, -1] @ step).square().mean()) == pytest.approx(matrix.NOISE**2, rel=0.03)
    assert float(torch.linalg.matrix_norm(step - persistence * torch.eye(4), 2)) == pytest.approx(0.2, abs=0.03)
    before = torch.linalg.lstsq(x[:, -2], x[:, -1]).solution
    assert float((before - step).norm()) < 0.05


def test_series_through_tanh_are_bounded_but_for_their_noise():
    x, y = matrix.series("tanh", 0.7, 20_000, torch.Generator().manual_seed(0))
    step = torch.linalg.lstsq(x[:, -1], y).solution
    assert matrix.NOISE**2 * 0.97 < float((y - x[:, -1] @ step).square().mean()) < 0.3
    assert float(x.square().mean()) < 0.7


@pytest.mark.parametrize("every", [True, False])
def test_readings_are_those_of_steps_that_are_taken(every):
    generator = torch.Generator().manual_seed(1)
    draw = [(30, 5, 3), (3, 3), (3, 3), (30, 5, 3)]
    x, scores, values, upstream = (torch.randn(s, generator=generator, dtype=torch.float64) for s in draw)
    if not every:
        upstream[:, :-1] = 0
    found = matrix.readings(x, scores, values, upstream, every)
    falls, slips = [], []
    for one, push in zip(x, upstream, strict=True):
        leaf = scores.clone().requires_grad_()
        local = (one @ leaf @ one.T).detach().requires_grad_()
        torch.autograd.backward((push * matrix.attention(one, leaf, values)).sum())
        torch.autograd.backward((push * (torch.softmax(local, dim=-1) @ one @ values)).sum())
        before, after = (
            torch.softmax(one @ each @ one.T, dim=-1).diagonal() for each in (scores, scores - 1e-7 * leaf.grad)
        )
        asked = slice(None) if every else slice(-1, None)
        falls.append((after < before)[asked])
        slips.append((local.grad.diagonal() > 0)[asked])
    assert found["falls"] == pytest.approx(float(torch.stack(falls).double().mean()), abs=0.01)
    assert found["exact"] == pytest.approx(float(torch.stack(slips).double().mean()))
    agree = torch.stack(falls) == torch.stack(slips)
    assert found["exact tells attention"] == pytest.approx(float(agree.double().mean()), abs=0.01)


@pytest.mark.parametrize("head", ["last", "flatten"])
def test_a_training_is_measured(head):
    found = matrix.local_scores(BENCH, "linear", 0.7, head, "adam", seed=0, steps=20)
    assert len(found["times"]) == len(found["case 1"]) == len(found["local attention"])
    assert all(0 <= share <= 1 for key in READ for share in found[key])
    assert found["zero, consistent"] > found["linear, consistent"]


def rows(differ=1.0, **given):
    base = {key: [0.5, 0.5] for key in (*READ, "exact tells attention")} | given
    models = ("attention", "linear", "zero")
    risks = {f"{name}, {signs}": 1.0 for name in models for signs in ("consistent", "inconsistent")}
    return [
        {
            "kind": kind,
            "persistence": 0.7,
            "head": "last",
            "optimizer": "adam",
            "seed": seed,
            "times": [0, 1],
            "share inconsistent": 0.3,
            **{key: [at + 1e-4 * seed for at in value] for key, value in base.items()},
            **risks,
            "attention, inconsistent": differ + 1e-4 * seed,
        }
        for kind in ("linear", "tanh")
        for seed in range(3)
    ]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("E8-criterion", {"case tells score": [0.98, 0.99]}, {"case tells score": [0.8, 0.7]}),
        ("E8-share", {"case 1": [0.7, 0.6]}, {"case 1": [0.3, 0.4]}),
        ("E8-local", {"local attention": [0.08, 0.02]}, {"local attention": [0.08, 0.4]}),
        ("E8-signs", {"differ": 1.5}, {"differ": 0.8}),
    ],
)
def test_local_scores_are_judged(name, good, bad):
    judge = JUDGES[name]
    assert judge({"local scores": rows(**good)}).verdict is Verdict.CONFIRMED
    assert judge({"local scores": rows(**bad)}).verdict is Verdict.REFUTED
    mixed = [row for given, kind in ((good, "linear"), (bad, "tanh")) for row in rows(**given) if row["kind"] == kind]
    assert judge({"local scores": mixed}).verdict is Verdict.UNEVEN
