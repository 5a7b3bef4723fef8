"""The two-layer network against its definition written out, finite differences and autograd."""

import numpy as np
import pytest
import torch
from two_layer_forms import FORMS, drawn, each_form, written_out

from forecheck.papers.curse_of_attention.theory.two_layer import TwoLayer, limits_of_last_share


@each_form
@pytest.mark.parametrize("spread", [1.0, 20.0])  # at 20 scores are in the thousands
def test_output_and_gradient_are_those_of_autograd(model, spread):
    parameters, x, y = drawn(model, spread=spread)
    leaves = {k: v.clone().requires_grad_() for k, v in parameters.items()}
    expected = written_out(model, leaves, x)
    (0.5 * (expected - y).square().sum()).backward()
    out, gradient = model.gradient(parameters, x, y)
    torch.testing.assert_close(out, expected.detach(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(model.predict(parameters, x), out, rtol=1e-12, atol=1e-12)
    assert set(gradient) == set(model.trained)
    for name, found in gradient.items():
        size = float(leaves[name].grad.norm())
        assert float((found - leaves[name].grad).norm()) <= 1e-10 * size + 1e-10, name


@each_form
def test_gradient_is_that_of_finite_differences(model):
    parameters, x, y = drawn(model, seed=1)
    _, gradient = model.gradient(parameters, x, y)

    def loss(values):
        return float(0.5 * (written_out(model, values, x) - y).square().sum())

    for name in model.trained:
        found = torch.empty_like(parameters[name])
        for place in np.ndindex(*found.shape):
            shifted = []
            for step in (1e-4, -1e-4, 2e-4, -2e-4):
                moved = parameters[name].clone()
                moved[place] += step
                shifted.append(loss(parameters | {name: moved}))
            found[place] = (8 * (shifted[0] - shifted[1]) - (shifted[2] - shifted[3])) / 12e-4
        assert float((gradient[name] - found).norm() / found.norm()) < 1e-8, name


def test_many_windows_are_taken_piece_by_piece():
    model = FORMS["all"]
    parameters, x, y = drawn(model, neurons=500, samples=40, steps=8)
    assert model.rows(parameters, x) < len(x)
    one = [model.gradient(parameters, x[i : i + 1], y[i : i + 1]) for i in range(len(x))]
    out, gradient = model.gradient(parameters, x, y)
    torch.testing.assert_close(out, torch.cat([o for o, _ in one]), rtol=1e-12, atol=1e-12)
    for name, found in gradient.items():
        torch.testing.assert_close(found, sum(g[name] for _, g in one), rtol=1e-10, atol=1e-10)


@each_form
def test_pairs_say_nothing_at_the_start(model):
    parameters = model.initial(10, 5, seed=3)
    x = drawn(model)[1]
    out = model.predict(parameters, x) - (x[:, -1] if model.skip else 0)
    assert float(out.abs().max()) < 1e-15
    assert float(parameters["output"].sum()) == 0
    assert set(parameters["output"].tolist()) == {-1.0, 1.0}
    assert {k: v.tolist() for k, v in model.initial(10, 5, seed=3).items()} == {
        k: v.tolist() for k, v in parameters.items()
    }
    with pytest.raises(ValueError, match="even number of them, got 7"):
        model.initial(7, 5)


@pytest.mark.parametrize("model", [TwoLayer(), TwoLayer(train_output=True), TwoLayer(differential=True)])
def test_without_positions_it_is_odd_and_blind_to_order(model):
    parameters, x, _ = drawn(model)
    out = model.predict(parameters, x)
    torch.testing.assert_close(model.predict(parameters, -x), -out)
    shuffled = torch.cat([x[:, torch.randperm(4, generator=torch.Generator().manual_seed(0))], x[:, 4:]], dim=1)
    torch.testing.assert_close(model.predict(parameters, shuffled), out)


@pytest.mark.parametrize("model", [FORMS["rope"], FORMS["recency"], FORMS["bias"]])
def test_with_positions_it_sees_order(model):
    parameters, x, _ = drawn(model)
    other = torch.cat([x[:, [1, 0, 2, 3]], x[:, 4:]], dim=1)
    assert float((model.predict(parameters, other) - model.predict(parameters, x)).abs().min()) > 1e-5


@each_form
def test_shares_are_means_of_patterns(model):
    parameters, x, _ = drawn(model, samples=30)
    found = model.shares(parameters, x)
    torch.testing.assert_close(found.sum(dim=0), torch.ones(6, dtype=torch.float64))
    weight, bias = parameters["weight"][2:3], parameters["bias"][:, 2:3] if model.bias else None
    one = [model.response(weight, bias, x[i : i + 1]) for i in range(len(x))]
    torch.testing.assert_close(found[:, 2], torch.stack([(r.powers / r.total)[0, :, 0] for r in one]).mean(dim=0))


def test_limits_of_the_last_steps_share():
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((200_000, 4)))
    weight = torch.tensor([-1e5, 1e5], dtype=torch.float64)
    found = TwoLayer().shares({"weight": weight}, x)[-1]
    expected = torch.tensor(limits_of_last_share(4), dtype=torch.float64)
    assert float(((found - expected).abs() / (expected / len(x)).sqrt()).max()) < 5
