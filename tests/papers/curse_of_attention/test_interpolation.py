"""The grid against functions with known poles, and tables against the network itself."""

import numpy as np
import pytest
import torch
from two_layer_forms import FORMS, drawn

from forecheck.papers.curse_of_attention.theory.interpolation import Grid
from forecheck.papers.curse_of_attention.theory.tabulated import Table

SCALAR = {name: model for name, model in FORMS.items() if not model.bias}


@pytest.mark.parametrize("power", [1, 2])
def test_a_function_is_as_exact_as_its_pole_is_far(power):
    weight = torch.from_numpy(np.random.default_rng(0).uniform(-3, 3, 500))

    def runge(w):  # poles at +-0.2 i
        return (1 + (w / 0.2).square()) ** -power

    grid = Grid(0.2, 3.0)
    index, share = grid.around(weight)
    torch.testing.assert_close(share.sum(dim=0), torch.ones(500, dtype=torch.float64))
    assert (grid.nodes[index[0]] <= weight).all()
    assert (weight <= grid.nodes[index[-1]]).all()
    error = ((share * runge(grid.nodes)[index]).sum(dim=0) - runge(weight)).abs().max()
    assert float(error) < 1e-9


def test_polynomials_and_nodes_are_exact():
    grid = Grid(8.0, 2.0)  # the step is capped at 0.25
    assert grid.step == 0.25
    weight = torch.tensor([0.0, 0.25, -2.0, 2.0, 0.1, -1.99], dtype=torch.float64)
    index, share = grid.around(weight)
    for degree in range(12):
        found = (share * grid.nodes[index] ** degree).sum(dim=0)
        torch.testing.assert_close(found, weight**degree, rtol=1e-9, atol=1e-9)
    assert float(share[:, 0].max()) == pytest.approx(1, rel=1e-14)
    mass = torch.arange(6.0, dtype=torch.float64)
    masses = grid.masses(weight, mass)
    assert float((masses * grid.nodes.cos()).sum()) == pytest.approx(float((mass * weight.cos()).sum()), rel=1e-9)


@pytest.mark.parametrize("model", SCALAR.values(), ids=SCALAR.keys())
def test_tables_give_the_networks_output_and_gradient(model):
    parameters, x, y = drawn(model, neurons=300, samples=40, steps=8)
    out, gradient = model.gradient(parameters, x, y)
    table = Table(model, x, reach=0.5)  # too little at first
    found, slopes = table.gradient(parameters, y)
    assert table.grid.reach > 0.5
    assert float((found - out).norm() / out.norm()) < 1e-10
    assert set(slopes) == set(gradient)
    for name, slope in slopes.items():
        assert float((slope - gradient[name]).norm() / gradient[name].norm()) < 1e-9, name


def test_a_bias_has_no_table():
    with pytest.raises(ValueError, match="not a function of one weight"):
        Table(FORMS["bias"], torch.ones(2, 5, dtype=torch.float64))


def test_beyond_the_tables_the_network_itself_is_computed():
    model = FORMS["output"]
    parameters, x, y = drawn(model)
    parameters["weight"][3] = 1e6
    (out, gradient), (found, slopes) = model.gradient(parameters, x, y), Table(model, x).gradient(parameters, y)
    torch.testing.assert_close(found, out, rtol=0, atol=0)
    torch.testing.assert_close(slopes, gradient, rtol=0, atol=0)
