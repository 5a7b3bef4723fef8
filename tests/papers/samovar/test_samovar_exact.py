"""SAMoVAR's exact claims: what is measured, and that judges can find either way."""

from pathlib import Path

import pytest
import torch

from forecheck.forecasters.base import Task
from forecheck.forecasters.samovar_coefficients import mixture_row
from forecheck.nn.var_attention import Coefficients
from forecheck.papers.experiment import Bench
from forecheck.papers.samovar import exact, exact_claims
from forecheck.papers.samovar import growth as growth_module
from forecheck.papers.samovar.growth import growth
from forecheck.papers.samovar.networks import random_walks, tokens_of, untrained
from forecheck.trials.store import Store

BENCH = Bench(Store(Path("not used")), lambda *_: None)


def test_layers_and_stacks_are_exact_to_rounding():
    assert exact.layer(BENCH, tokens=9, width=3, seed=1)["difference"] < 1e-13
    found = exact.stack(BENCH, layers=3, tokens=5, width=3, seed=1)
    assert found["miscounted"] == 0
    assert found["paths"] == 5 + 15 + 35
    assert max(found[check] for check in exact_claims.CHECKS) < 1e-12


def test_a_wrong_layer_is_noticed(monkeypatch):
    monkeypatch.setattr(exact, "masked_linear_attention", lambda q, k, v: 1.01 * (q @ k.mT).tril() @ v)
    assert exact.layer(BENCH, tokens=9, width=3, seed=1)["difference"] > 1e-3


def test_a_wrong_path_is_noticed(monkeypatch):
    real = exact.paths_of_length
    monkeypatch.setattr(exact, "paths_of_length", lambda *a: real(*a)._replace(weight=1 + real(*a).weight))
    assert exact.stack(BENCH, layers=2, tokens=5, width=3, seed=1)["closed form"] > 0.1


@pytest.mark.parametrize("structure", ["direct", "inverse"])
def test_parts_are_exact_to_rounding(structure):
    found = exact.parts(BENCH, structure=structure, layers=2, seed=3)
    assert max(found.values()) < 1e-12


def test_scalar_weights_are_sums_over_paths_and_traces_in_one_layer():
    q, v = torch.randn(2, 2, 1, 1, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    c = Coefficients(q.unbind(), v.unbind())
    found = exact._scalar_row(c)[0, 0]
    for j in range(4):
        direct = q[0, 0, 0, 3] @ v[0, 0, 0, j]
        through = sum((q[1, 0, 0, 3] @ v[1, 0, 0, i]) * (q[0, 0, 0, i] @ v[0, 0, 0, j]) for i in range(j, 4))
        torch.testing.assert_close(found[j], direct + through)
    single = Coefficients(c.q[:1], c.v[:1])
    trace = mixture_row(single).diagonal(dim1=3, dim2=4).sum(dim=3)
    torch.testing.assert_close(exact._scalar_row(single), trace)


def test_readings_are_right_where_they_must_be():
    one = exact.pictures(BENCH, layers=1, away=0.2, seed=0)
    assert one["values of the top layer"] < 1e-12
    assert one["correlation with the trace"] == pytest.approx(1)
    # With one layer a repeated token is the target alone: what is left out is its own coefficient.
    network = untrained("samovar", exact.TASK, 0, 0.2, layers=1, **exact.SIZES)
    with torch.no_grad():
        mixture = mixture_row(network.stack.trace(tokens_of(network, random_walks(16, exact.TASK, 0))).coefficients)
    assert one["no repeated tokens"] == pytest.approx(float(mixture[:, :, -1].norm() / mixture.norm()))
    three = exact.pictures(BENCH, layers=3, away=0.2, seed=0)
    assert min(three[reading] for reading in exact_claims.READINGS) > 0.05


def test_superposition_by_form():
    errors = {form: exact.superposition(BENCH, form=form, layers=2, seed=0)["error"] for form in exact.FORMS}
    assert errors["SAMoVAR"] < 1e-12
    assert errors["LinTrans without MLP and norms"] < 1e-12
    assert errors["LinTrans"] > 0.01
    assert errors["LinTrans without MLP"] > 0.01


def test_a_frozen_lintrans_on_its_own_tokens_is_lintrans():
    network = untrained("lintrans", exact.TASK, 0, 0.2, layers=2, **exact.SIZES)
    tokens = tokens_of(network, random_walks(2, exact.TASK, 0))
    found = exact._frozen(network.stack, tokens, tokens, mlp=True, norms=True)
    torch.testing.assert_close(found[:, 1::2], network.stack(tokens))


def test_growth_is_that_of_the_layers_written_out(monkeypatch):
    monkeypatch.setitem(growth_module.TASK, "ETT", (2, 16))
    found = growth(BENCH, size="ETT", scale="none", seed=0, windows=2)
    assert found["head width"] == 2
    assert found["observations"] == pytest.approx(1, abs=0.05)
    task = Task(1024, 96, 2)
    network = untrained("samovar", task, 0, width=16, heads=8, layers=3)
    with torch.no_grad():
        trace = network.stack.trace(tokens_of(network, random_walks(2, task, 0)))
    (q1, q2, _), (v1, _, _) = trace.coefficients
    x = trace.observations
    first = torch.einsum("shtd,shid,shie,ti->shte", q1, x, v1, torch.ones(22, 22, dtype=x.dtype).tril())
    assert found["outputs"][0] == pytest.approx(float(first.square().mean().sqrt()))
    rows, columns = torch.tril_indices(22, 22)
    pairs = (q2[:, :, rows] * v1[:, :, columns]).sum(dim=3)
    assert found["factors"][0] == pytest.approx(float(pairs.square().mean().sqrt()))
    scaled = growth(BENCH, size="ETT", scale="width", seed=0, windows=2)
    assert scaled["factors"][0] == pytest.approx(found["factors"][0] / 2)


def stack_row(**changed):
    checks = dict.fromkeys(exact_claims.CHECKS, 1e-15)
    return {"layers": 2, "tokens": 4, "paths": 14, "miscounted": 0} | checks | changed


def growth_row(outputs, factors, width=8, scale="none", seed=0):
    row = {"size": "ETT", "scale": scale, "seed": seed, "head width": width, "observations": 1.0, "shortcut": 0.5}
    return row | {"outputs": outputs, "factors": factors}


def superposition_rows(ordinary, aligned=1e-16):
    errors = {"SAMoVAR": aligned, "LinTrans": ordinary, exact.FORMS[2]: 0.3, exact.FORMS[3]: 1e-16}
    return [{"form": form, "layers": 3, "seed": 0, "error": error} for form, error in errors.items()]


def picture_rows(*correlations):
    readings = dict.fromkeys(exact_claims.READINGS, 0.5)
    return [
        {"layers": layers, "seed": seed, "correlation with the trace": value + 1e-4 * seed} | readings
        for layers, value in zip((1, 2, 3), (1.0, *correlations), strict=True)
        for seed in range(3)
    ]


@pytest.mark.parametrize(
    ("judge", "experiment", "rows", "verdict"),
    [
        ("layer", "layer", [{"tokens": 3, "width": 2, "difference": 1e-15}], "confirmed"),
        ("layer", "layer", [{"tokens": 3, "width": 2, "difference": 1e-3}], "refuted"),
        ("stack", "stack", [stack_row()], "confirmed"),
        ("stack", "stack", [stack_row(), stack_row(miscounted=1)], "refuted"),
        ("stack", "stack", [stack_row(), stack_row(horner=1e-4)], "refuted"),
        ("parts", "parts", [{"structure": "a", "layers": 1, "by token": 1e-15, "by layer": 0.0}], "confirmed"),
        ("parts", "parts", [{"structure": "a", "layers": 1, "by token": 1e-15, "by layer": 0.1}], "refuted"),
        ("pictures", "pictures", picture_rows(0.999, 0.998), "confirmed"),
        ("pictures", "pictures", picture_rows(0.3, 0.1), "refuted"),
        ("pictures", "pictures", picture_rows(0.999, 0.1), "uneven"),
        ("superposition", "superposition", superposition_rows(0.5), "confirmed"),
        ("superposition", "superposition", superposition_rows(1e-15), "refuted"),
        ("superposition", "superposition", superposition_rows(0.5, aligned=0.1), "refuted"),
        ("superposition", "superposition", superposition_rows(1e-4), "uneven"),
        ("growth", "growth", [growth_row([1.1, 1.2, 1.3], [1.0, 1.0])], "confirmed"),
        ("growth", "growth", [growth_row([18.0, 208.0, 2450.0], [3.0, 3.0])], "refuted"),
        ("growth", "growth", [growth_row([5.0, 25.0, 125.0], [1.0, 1.0])], "refuted"),
        (
            "growth",
            "growth",
            [growth_row([1.1, 1.2, 1.3], [1.0, 1.0]), growth_row([9.0, 99.0, 999.0], [8.0, 8.0], width=64)],
            "uneven",
        ),
    ],
)
def test_judges_go_by_their_numbers(judge, experiment, rows, verdict):
    outcome = getattr(exact_claims, f"judge_{judge}")({experiment: rows})
    assert str(outcome.verdict) == verdict
    if outcome.table is not None:
        assert all(len(row) == len(outcome.table.columns) for row in outcome.table.rows)
