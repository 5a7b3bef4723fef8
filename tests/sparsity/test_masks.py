"""Masks hold exactly as many weights as asked for, whatever ties there are."""

from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils import prune as torch_prune

from forecheck.errors import UsageError
from forecheck.sparsity.masks import check_pattern, check_sparsity, kept, largest, masks, of_every
from forecheck.sparsity.methods import magnitudes
from forecheck.sparsity.prunable import prunable

SCORES = st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0]), min_size=1, max_size=30)


@given(SCORES, st.data())
def test_as_many_as_asked_for_and_none_larger_is_gone(scores, data):
    scores = torch.tensor(scores)
    count = data.draw(st.integers(0, len(scores)))
    mask = largest(scores, count)
    assert int(mask.sum()) == count
    if 0 < count < len(scores):
        assert scores[mask].min() >= scores[~mask].max()


@given(st.lists(st.lists(st.floats(0, 1, width=32), min_size=8, max_size=8), min_size=1, max_size=5))
def test_two_of_four(rows):
    scores = torch.tensor(rows)
    groups, mask = scores.view(-1, 4), of_every(scores, (2, 4)).view(-1, 4)
    assert (mask.sum(dim=1) == 2).all()
    for group, seen in zip(groups, mask, strict=True):
        assert group[seen].min() >= group[~seen].max()


@given(st.lists(st.floats(-2, 2, width=32), min_size=2, max_size=9), st.data())
def test_no_vector_with_as_few_entries_is_nearer_than_the_projection(values, data):
    x = torch.tensor(values, dtype=torch.float64)
    weight = torch.tensor(data.draw(st.lists(st.floats(0.1, 3), min_size=len(x), max_size=len(x))), dtype=torch.float64)
    count = data.draw(st.integers(1, len(x)))

    def distance(mask):
        return float((weight * (x - x * mask).square()).sum())

    found = distance(largest(weight * x.square(), count))
    others = combinations(range(len(x)), count)
    masked = [torch.zeros(len(x)).index_fill_(0, torch.tensor(each), 1) for each in others]
    assert found <= min(distance(mask) for mask in masked) + 1e-12


@given(st.integers(0, 40), st.integers(0, 99))
def test_the_share_is_rounded(size, percent):
    assert abs(kept(size, percent / 100) - size * (100 - percent) / 100) <= 0.5 + 1e-9


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.9])
def test_magnitude_in_a_layer_is_that_of_torch(sparsity):
    layer = torch.nn.Linear(20, 10)
    ours = masks({"weight": layer.weight.abs()}, sparsity)["weight"]
    torch_prune.l1_unstructured(layer, "weight", amount=layer.weight.numel() - kept(200, sparsity))
    assert torch.equal(ours, layer.weight_mask.bool())


def test_global_masks_compare_all_layers():
    scores = {"small": torch.full((2, 5), 0.1), "large": torch.ones(2, 5)}
    found = masks(scores, 0.5, "global")
    assert not found["small"].any()
    assert found["large"].all()
    assert int(masks(scores, 0.5, "layer")["small"].sum()) == 5


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.9])
def test_magnitude_over_all_layers_is_that_of_torch(sparsity):
    model = torch.nn.Sequential(torch.nn.Linear(20, 10), torch.nn.Linear(10, 7))
    layers = [model[0], model[1]]
    size = sum(layer.weight.numel() for layer in layers)
    weights = {str(k): layer.weight.detach() for k, layer in enumerate(layers)}
    plain = masks({name: each.abs() for name, each in weights.items()}, sparsity, "global")
    ours = masks(magnitudes(prunable(model).weights, "global"), sparsity, "global")
    for layer in layers:  # torch compares sizes as they are: ours are relative to the norm of the matrix
        copy = torch.nn.Linear(*reversed(layer.weight.shape))
        copy.weight = torch.nn.Parameter(layer.weight.detach() / layer.weight.detach().norm())
        layer.scaled = copy
    for found, owners in ((plain, layers), (ours, [layer.scaled for layer in layers])):
        torch_prune.global_unstructured(
            [(layer, "weight") for layer in owners],
            pruning_method=torch_prune.L1Unstructured,
            amount=size - kept(size, sparsity),
        )
        for mask, layer in zip(found.values(), owners, strict=True):
            assert torch.equal(mask, layer.weight_mask.bool())


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 1.5, float("nan")])
def test_what_is_no_share_is_refused(sparsity):
    with pytest.raises(UsageError, match="share"):
        check_sparsity(sparsity)


@pytest.mark.parametrize(("pattern", "said"), [((2, 4), "multiples of 4: head has 6"), ((4, 4), "0 < n < m")])
def test_patterns_that_do_not_fit_are_refused(pattern, said):
    with pytest.raises(UsageError, match=said):
        check_pattern(pattern, {"head": (3, 6)})
