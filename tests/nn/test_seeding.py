"""Random streams by module name."""

import torch
from torch import nn

from forecheck.nn.dropout import Dropout
from forecheck.nn.seeding import derive, initialise, reseed


def network(hidden=4):
    return nn.ModuleDict(
        {"first": nn.Linear(3, 2), "middle": nn.Linear(3, hidden), "last": nn.Linear(2, 2), "drop": Dropout(0.5)}
    )


def test_changing_one_module_leaves_the_others_as_they_were():
    small, large = network(4), network(40)
    initialise(small, 0)
    initialise(large, 0)
    for name in ("first", "last"):
        torch.testing.assert_close(small[name].weight, large[name].weight, rtol=0, atol=0)
    assert not torch.equal(small["last"].weight, small["first"].weight[:, :2])


def test_initialising_twice_gives_the_same_and_another_seed_another():
    model = network()
    initialise(model, 0)
    first = {key: value.clone() for key, value in model.state_dict().items()}
    initialise(model, 1)
    assert not torch.equal(model["first"].weight, first["first.weight"])
    initialise(model, 0)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, first[key], rtol=0, atol=0)


def test_the_global_stream_is_left_alone():
    model = network()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    initialise(model, 0)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_derived_seeds_fit_and_differ():
    seeds = {derive(seed, name) for seed in range(20) for name in ("", "a", "b.c", "0")}
    assert len(seeds) == 80
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_masks_belong_to_seed_module_and_step():
    model = network()
    x = torch.ones(200)
    reseed(model, 0, 3)
    first = model["drop"](x)
    reseed(model, 0, 3)
    torch.testing.assert_close(model["drop"](x), first, rtol=0, atol=0)
    reseed(model, 0, 4)
    assert not torch.equal(model["drop"](x), first)
