"""Training against torch's own optimisers and autograd, the kernel, and what is known of the first steps."""

import math

import numpy as np
import pytest
import torch
from two_layer_forms import FORMS, drawn, each_form, written_out

from forecheck.papers.curse_of_attention.theory.kernel import infinite_tangent_kernel, kernel_descent
from forecheck.papers.curse_of_attention.theory.residual_ssm import residual_ssm
from forecheck.papers.curse_of_attention.theory.training import Optimizer, asymmetry, stable_step, train
from forecheck.papers.curse_of_attention.theory.two_layer import TwoLayer, as_tensors

OPTIMIZERS = {
    "gd": (Optimizer("gd", 0.02), torch.optim.SGD, {"lr": 0.02}),
    "adam": (Optimizer("adam", 0.05), torch.optim.Adam, {"lr": 0.05}),
}


def samples(count, gamma=0.5, seed=1, signs="all"):
    drawn = residual_ssm("unit", gamma=gamma).sample(count, seed, signs)
    return as_tensors(drawn.x, drawn.y)


def by_torch(model, parameters, x, y, kind, options, decay, steps):
    leaves = {k: v.clone().requires_grad_(k in model.trained) for k, v in parameters.items()}
    decayed = [leaves[k] for k in ("weight", "second") if k in model.trained]
    other = [leaves[k] for k in model.trained if k not in ("weight", "second")]
    optimizer = kind([{"params": decayed, "weight_decay": decay}, {"params": other, "weight_decay": 0}], **options)
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * (written_out(model, leaves, x) - y).square().sum()).backward()
        optimizer.step()
    return {k: v.detach() for k, v in leaves.items()}


@each_form
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_trajectories_are_those_of_autograd(model, name):
    ours, kind, options = OPTIMIZERS[name]
    parameters, x, y = drawn(model)
    expected = by_torch(model, parameters, x, y, kind, options, 0, 12)
    for tabulated in (False,) if model.bias else (False, True):
        found = train(model, parameters, x, y, ours, 12, tabulated=tabulated)
        for key, value in found.end.items():
            torch.testing.assert_close(value, expected[key], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    ("ours", "kind", "options", "decay"),
    [
        (Optimizer("gd", 0.01, decay=0.7), torch.optim.SGD, {"lr": 0.01}, 0.7),
        (Optimizer("adam", 0.05, decay=0.7), torch.optim.Adam, {"lr": 0.05}, 0.7),
        (Optimizer("adam", 0.05, decay=0.7, decoupled=True), torch.optim.AdamW, {"lr": 0.05}, 0.7),
    ],
)
def test_decay_is_torchs_and_of_attention_weights_only(ours, kind, options, decay):
    model = FORMS["all"]
    parameters, x, y = drawn(model)
    expected = by_torch(model, parameters, x, y, kind, options, decay, 8)
    found = train(model, parameters, x, y, ours, 8).end
    for key, value in found.items():
        torch.testing.assert_close(value, expected[key], rtol=1e-9, atol=1e-9)


def test_without_its_drift_no_step_moves_weights_along_the_outputs():
    model = TwoLayer(train_output=True)
    parameters, x, y = drawn(model, neurons=20)
    found = train(model, parameters, x, y, Optimizer(lr=0.02, drift=1.0), 1).end
    move = found["weight"] - parameters["weight"]
    assert float(move @ parameters["output"]) == pytest.approx(0, abs=1e-12)
    plain = train(model, parameters, x, y, Optimizer(lr=0.02), 1).end
    torch.testing.assert_close(found["output"], plain["output"])
    along = parameters["output"] / parameters["output"].norm()
    whole = plain["weight"] - parameters["weight"]
    torch.testing.assert_close(move, whole - (whole @ along) * along)


def test_what_is_kept_and_counted():
    model, (x, y) = TwoLayer(), samples(30)
    parameters = model.initial(40, 8)
    before = {k: v.clone() for k, v in parameters.items()}
    found = train(model, parameters, x, y, Optimizer(lr=0.01), 9, keep=(1, 4, 100))
    assert list(found.kept) == [0, 1, 4, 9]
    assert len(found.errors) == 10
    for step, kept in found.kept.items():
        error = (model.predict(kept, x) - y).square().mean()
        assert float(found.errors[step]) == pytest.approx(float(error), rel=1e-9)
    assert all((before[k] == parameters[k]).all() for k in before)
    again = train(model, found.kept[4], x, y, Optimizer(lr=0.01), 5)
    torch.testing.assert_close(again.end, found.end)


def test_descent_at_the_stable_step_goes_down_and_well_above_it_diverges():
    model, (x, y) = TwoLayer(bias=True), samples(40)
    parameters = model.initial(50, 8)
    step = stable_step(model, parameters, x)
    errors = train(model, parameters, x, y, Optimizer(lr=step), 30).errors
    assert (errors.diff() < 0).all()
    plain = TwoLayer(train_output=True)
    for tabulated in (False, True):
        with pytest.raises(ValueError, match=r"training diverges: the error is (?s:.*) take a smaller one"):
            train(plain, plain.initial(50, 8), x, y, Optimizer(lr=20.0), 400, tabulated=tabulated)


def test_a_wide_network_is_descent_by_the_kernel():
    x, y = samples(24)
    other = samples(50, seed=7)[0]
    model = TwoLayer()
    kernel, cross = infinite_tangent_kernel(model, x), infinite_tangent_kernel(model, other, x)
    lr = 1 / float(torch.linalg.eigvalsh(kernel)[-1])
    expected, gaps = kernel_descent(kernel, cross, y, lr, 40), []
    for width in (256, 16384):
        end = train(model, model.initial(width, 8, seed=2), x, y, Optimizer(lr=lr), 40).end
        gaps.append(float((model.predict(end, other) - expected).norm() / expected.norm()))
    assert gaps[1] < 0.06
    assert gaps[0] > 2 * gaps[1]


@pytest.mark.parametrize(("gamma", "share"), [(0.5, 1.0), (0.9, 1.0), (-0.5, 0.0)])
def test_the_first_step_goes_along_the_outputs_or_opposite(gamma, share):
    x, y = samples(512, gamma)
    model = TwoLayer()
    start = model.initial(256, 8)
    now = train(model, start, x, y, Optimizer(lr=0.002), 1).end
    assert asymmetry(start, now).aligned == share


def test_asymmetry_counts():
    start = {
        "weight": torch.tensor([1.0, -1.0, 2.0, -2.0]).double(),
        "output": torch.tensor([1.0, 1.0, -1.0, -1.0]).double(),
    }
    now = start | {"weight": torch.tensor([1.5, -1.5, -1.0, -3.0]).double()}
    found = asymmetry(start, now)
    assert found.aligned == 0.75
    assert found.drift == pytest.approx((0.5 - 0.5 + 3 + 1) / 4)
    assert (found.positive, found.negative) == (0.5, 1.0)
    assert found.gain == pytest.approx((1.5 - 1.5 + 1 + 3) / 2)
    assert found.lazy == pytest.approx(0.5 * (1 + math.erf(1 / math.sqrt(2))))
    assert found.moved == 3


def test_weights_that_all_move_alike_have_the_lazy_shares():
    start = TwoLayer().initial(40_000, 8, seed=1)
    now = start | {"weight": start["weight"] + 0.3 * start["output"]}
    found = asymmetry(start, now)
    assert found.aligned == 1
    for share in (found.positive, found.negative):
        assert share == pytest.approx(found.lazy, abs=5 * np.sqrt(0.25 / 20_000))
