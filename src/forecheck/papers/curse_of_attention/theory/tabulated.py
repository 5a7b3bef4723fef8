"""Outputs and gradients of the two-layer network from tables over a neuron's weight: width hardly costs.

On fixed windows a neuron is a function of its one weight, the same for all neurons. Tabulated once, it is interpolated
where the weights are, so a step costs products with the tables instead of softmaxes of every neuron on every window.
"""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor

from forecheck.nn.chunks import pieces
from forecheck.papers.curse_of_attention.theory.interpolation import Grid
from forecheck.papers.curse_of_attention.theory.two_layer import Parameters, TwoLayer

_FAR = 50.0
"""Tables do not go further: with a weight beyond, the network itself is computed."""


class Table:
    r"""The two-layer network on given windows.

    .. math:: f(x_i) \approx \sum_j \mu_i(w_j) \, c_j, \qquad c_j = \sum_r \frac{a_r}{\sqrt m} \ell_j(w_r), \qquad
        \frac{\partial L}{\partial w_r} \approx \frac{a_r}{\sqrt m} \sum_j \ell_j(w_r) \sum_i e_i \mu_i'(w_j)

    with the nodes and polynomials of a `Grid`, whose distance to the nearest pole is `TwoLayer.pole_distance`. The
    gradient is that of the function itself to the precision of the grid, not that of its interpolation.

    Args:
        model: any form without bias, whose neurons have one weight.
        x: the windows, which stay the same.
        reach: weights up to here are tabulated at first, and further ones when they come up.

    Raises:
        ValueError: if the form has a bias.

    Source: ours.
    """

    def __init__(self, model: TwoLayer, x: Float64[Tensor, "sample step"], reach: float = 6.0) -> None:
        if model.bias:
            raise ValueError("a neuron with a bias is not a function of one weight: take `TwoLayer.gradient`")
        self.model, self.x = model, x
        self._make(reach)

    def gradient(
        self, parameters: Parameters, y: Float64[Tensor, " sample"]
    ) -> tuple[Float64[Tensor, " sample"], Parameters]:
        """Forecasts f, and the gradient of the loss with respect to what is learnt, as `TwoLayer.gradient`."""
        model, scale = self.model, len(parameters["output"]) ** -0.5
        scaled = parameters["output"] * scale
        branches = [("weight", self.x.new_ones(()))]
        if model.differential:
            branches.append(("second", -parameters["mix"]))
        far = max(float(parameters[name].abs().max()) for name, _ in branches)
        if not far <= _FAR:  # nor a number at all
            return model.gradient(parameters, self.x, y)
        if far > self.grid.reach:
            self._make(2 * far)
        placed = [(name, factor, *self.grid.around(parameters[name])) for name, factor in branches]
        out = self.x[:, -1].clone() if model.skip else torch.zeros_like(y)
        found = {name: torch.zeros_like(parameters[name]) for name in model.trained}
        means = []
        for _, factor, index, share in placed:
            means.append(self.mean @ self.grid.gathered(index, share, scaled))
            out += factor * means[-1]
        error = out - y
        for (name, factor, index, share), mean in zip(placed, means, strict=True):
            found[name] += factor * scaled * (share * (error @ self.slope)[index]).sum(dim=0)
            if name == "second":
                found["mix"] -= error @ mean
            if model.train_output:
                found["output"] += factor * scale * (share * (error @ self.mean)[index]).sum(dim=0)
        return out, found

    def _make(self, reach: float) -> None:
        """Tables of weights from -reach to reach."""
        self.grid = Grid(self.model.pole_distance(self.x), reach)
        nodes = self.grid.nodes
        self.mean, self.slope = torch.empty(2, len(self.x), len(nodes), dtype=torch.float64)
        for x_, mean_, slope_ in pieces(self.model.rows({"weight": nodes}, self.x), self.x, self.mean, self.slope):
            response = self.model.response(nodes, None, x_)
            mean_.copy_(response.mean)
            slope_.copy_(response.slope)
