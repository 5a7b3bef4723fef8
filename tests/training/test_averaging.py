"""Means of weights, the statistics of batch norms among them."""

import torch
from test_loop import Network
from torch import nn

from forecheck.training.averaging import WeightMean


def changed(model, seed):
    """The model with other weights and buffers."""
    torch.manual_seed(seed)
    for value in model.state_dict().values():
        value.copy_(torch.rand_like(value) + 0.5 if value.is_floating_point() else torch.tensor(seed))
    return model


def test_the_mean_is_that_of_all_steps_and_can_be_gone_on_with():
    model, mean, states = Network(norm=nn.BatchNorm1d), WeightMean(), []
    for seed in range(5):
        mean.add(changed(model, seed))
        states.append({name: value.clone() for name, value in model.state_dict().items()})
        mean = WeightMean(mean.tensors, mean.count)
    for name, value in mean.tensors.items():
        several = torch.stack([state[name] for state in states])
        expected = several.mean(dim=0) if value.is_floating_point() else several[-1]
        torch.testing.assert_close(value, expected, msg=name)


def test_what_is_gone_on_with_stays_as_it_was():
    mean = WeightMean({"a": torch.zeros(2)}, 1)
    other = WeightMean(mean.tensors, mean.count)
    other.tensors["a"] += 1
    assert (mean.tensors["a"] == 0).all()
