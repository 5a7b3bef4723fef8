"""Networks are pruned to what was asked for, on, and killed runs go on to the same end."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from forecheck.errors import UsageError
from forecheck.sparsity.elsa import Elsa, Penalty
from forecheck.sparsity.masks import largest
from forecheck.sparsity.methods import METHODS, Goal
from forecheck.sparsity.prunable import prunable
from forecheck.sparsity.prune import Steps, prune_network
from forecheck.sparsity.stored import Stored

INPUTS, SUPPORT = 40, (3, 11, 29)


def linear_data(rows=256):
    """Targets that three of forty inputs make, with a little noise."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(rows, INPUTS, generator=draw)
    y = x[:, SUPPORT] @ torch.tensor([1.0, -0.7, 0.5]) + 0.05 * torch.randn(rows, generator=draw)
    return x, y[:, None]


def setting(model, rows=256):
    x, y = linear_data(rows)

    def batches(step):
        index = torch.randint(rows, (32,), generator=torch.Generator().manual_seed(step))
        return x[index], y[index]

    def loss(network, inputs, targets):
        return (network(inputs) - targets).square().mean()

    @torch.no_grad()
    def validate(network):
        return float(loss(network, x, y))

    return model, loss, batches, validate


def pruned(method, *, sparsity=0.925, steps=200, model=None, lr=0.03, checkpoint=None, batches=None, **goal):
    torch.manual_seed(0)
    model, loss, own, validate = setting(model or nn.Sequential(nn.Linear(INPUTS, 1)))
    goal = Goal(sparsity, steps=steps, interval=8, **goal)
    training = Steps(steps, lr=lr)
    return prune_network(
        model, loss, batches or own, validate, goal, method=method, training=training, checkpoint=checkpoint
    )


@pytest.mark.parametrize("projection", ["aware", "plain"])
def test_elsa_finds_the_support_of_a_sparse_regression(projection):
    found = pruned("elsa", projection=projection, penalty=Penalty(0.3))
    assert found.masks["0.weight"][0].nonzero().flatten().tolist() == list(SUPPORT)
    assert found.validation[1] < 0.02
    assert found.trace[-1]["residual"] < 0.05
    assert found.warnings == []


def test_elsa_that_has_not_converged_says_what_to_raise():
    found = pruned("elsa", lr=1e-4, steps=20)
    assert found.trace[-1]["residual"] > 0.05
    assert "Raise --lr or --steps before --lam" in found.warnings[0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("goal", [{"sparsity": 0.5}, {"sparsity": 0.9, "scope": "global"}, {"pattern": (2, 4)}])
def test_as_many_are_gone_as_asked_for(method, goal):
    goal = {"sparsity": 0.5} | goal
    model = nn.Sequential(nn.Linear(INPUTS, 12), nn.ReLU(), nn.Linear(12, 1))
    found = pruned(method, steps=20, model=model, lr=1e-3, **goal)
    zeros = sum(int((weight.value == 0).sum()) for weight in found.prunable.weights)
    assert zeros == round(goal["sparsity"] * (12 * INPUTS + 12))
    for weight in found.prunable.weights:
        assert torch.equal(weight.value != 0, found.masks[weight.name])
        assert not torch.signbit(weight.value[weight.value == 0]).any()
        if "pattern" in goal:
            assert (found.masks[weight.name].reshape(-1, 4).sum(dim=1) == 2).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("formats", [("fp32", "fp32"), ("fp8", "bf16")])
def test_a_killed_run_goes_on_to_the_same_end(method, formats, tmp_path):
    model, *_ = setting(nn.Sequential(nn.Linear(INPUTS, 6), nn.ReLU(), nn.Dropout(0.2), nn.Linear(6, 1)))
    start = {key: value.clone() for key, value in model.state_dict().items()}
    whole = pruned(method, steps=40, model=model, sparsity=0.8, formats=formats)
    expected = {key: value.clone() for key, value in model.state_dict().items()}
    model.load_state_dict(start)
    _, _, batches, _ = setting(model)

    def killed(step):
        if step == 29:
            raise KeyboardInterrupt
        return batches(step)

    path = tmp_path / "pruning"
    with pytest.raises(KeyboardInterrupt):
        pruned(method, steps=40, model=model, sparsity=0.8, formats=formats, checkpoint=path, batches=killed)
    model.load_state_dict(start)
    resumed = pruned(method, steps=40, model=model, sparsity=0.8, formats=formats, checkpoint=path)
    assert resumed.trace == whole.trace
    for key, value in model.state_dict().items():
        assert torch.equal(value, expected[key]), key


def test_the_kept_weights_are_those_of_the_best_look():
    found = pruned("gradual-magnitude", lr=0.3)
    assert found.validation[1] == min(look["validation"] for look in found.trace)


def test_the_pull_is_added_after_the_gradient_is_clipped():
    model = nn.Linear(3, 1)
    (weight,) = prunable(model).weights
    elsa = Elsa([weight], 0.5)
    before = weight.value.clone()
    model.weight.grad = torch.ones(1, 3)
    elsa.penalise(0.25)
    kept = largest(before.square(), 2)
    torch.testing.assert_close(model.weight.grad, 1 + 0.25 * (before - before * kept))


def test_projection_and_dual_by_hand():
    model = nn.Linear(4, 1)
    model.weight.data = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    (weight,) = prunable(model).weights
    elsa = Elsa([weight], 0.5, projection="aware")
    elsa.update(0.1, {"weight": torch.tensor([[100.0, 1.0, 1.0, 1.0]])})
    torch.testing.assert_close(elsa.z["weight"].value, torch.tensor([[1.0, 0.0, 0.0, 4.0]]))
    torch.testing.assert_close(elsa.u["weight"].value, torch.tensor([[0.0, 2.0, 3.0, 0.0]]))
    elsa.update(0.2, {"weight": torch.ones(1, 4)})  # u halves as lambda doubles
    torch.testing.assert_close(elsa.z["weight"].value, torch.tensor([[0.0, 0.0, 4.5, 4.0]]))
    torch.testing.assert_close(elsa.u["weight"].value, torch.tensor([[1.0, 3.0, 0.0, 0.0]]))


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20))
def test_few_bytes_are_near_and_read_back_exactly(values):
    value = torch.tensor(values)
    stored = Stored(value, "fp8")
    assert (stored.value - value).abs().max() <= 0.07 * value.abs().max()
    other = Stored(torch.zeros_like(value), "fp8")
    other.restore(**stored.tensors())
    assert torch.equal(other.value, stored.value)
    assert stored.bytes == len(values) + 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"method": "guess"}, "no method"),
        ({"sparsity": 1.0}, "share of weights"),
        ({"pattern": (2, 16)}, "multiples of 16"),
        ({"steps": 0}, "takes steps"),
        ({"lr": 0.0}, "lr must be positive"),
    ],
)
def test_bad_requests_are_refused(options, said):
    with pytest.raises(UsageError, match=said):
        pruned(options.pop("method", "elsa"), **options)


def test_a_loss_that_is_not_finite_is_named():
    _, _, batches, _ = setting(nn.Linear(INPUTS, 1))
    with pytest.raises(UsageError, match="training loss of step 3 is nan"):
        pruned("magnitude", batches=lambda step: (batches(step)[0] * (torch.nan if step == 2 else 1), batches(step)[1]))
