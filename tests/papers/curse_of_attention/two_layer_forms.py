"""Forms of the two-layer network, random parameters and windows, and the definition written out."""

import numpy as np
import pytest
import torch

from forecheck.papers.curse_of_attention.theory.two_layer import TwoLayer

FORMS = {
    "plain": TwoLayer(),
    "output": TwoLayer(train_output=True),
    "rope": TwoLayer(rope=True),
    "recency": TwoLayer(recency=0.5, skip=True),
    "bias": TwoLayer(bias=True, train_output=True),
    "differential": TwoLayer(differential=True),
    "all": TwoLayer(rope=True, recency=0.3, bias=True, differential=True, skip=True, train_output=True),
}
each_form = pytest.mark.parametrize("model", FORMS.values(), ids=FORMS.keys())


def drawn(model, neurons=6, samples=9, steps=5, spread=1.0, seed=0):
    rng = np.random.default_rng(seed)
    x, y = torch.from_numpy(rng.standard_normal((samples, steps))), torch.from_numpy(rng.standard_normal(samples))
    parameters = model.initial(neurons, steps, seed, paired=False)
    return (
        {k: v + 0.5 * torch.from_numpy(np.array(rng.standard_normal(v.shape))) for k, v in parameters.items()},
        x * spread,
        y,
    )


def written_out(model, parameters, x):
    """F by its definition, for autograd and for differences."""
    steps = x.shape[1]
    back = torch.arange(steps - 1, -1, -1, dtype=torch.float64)
    angles = torch.outer(back, 10000.0 ** (-torch.arange(0, steps, 2, dtype=torch.float64) / steps))
    turned = angles.cos().mean(dim=1) if model.rope else torch.ones(steps, dtype=torch.float64)
    total = 0
    for r in range(len(parameters["weight"])):
        for name, factor in (("weight", 1), ("second", -parameters.get("mix", torch.tensor(0.0)))):
            if name in parameters:
                scores = x[:, -1:] * parameters[name][r] * turned * x - model.recency * back
                if model.bias:
                    scores = scores + parameters["bias"][:, r]
                total = total + factor * parameters["output"][r] * (torch.softmax(scores, dim=1) * x).sum(dim=1)
    return total / len(parameters["weight"]) ** 0.5 + (x[:, -1] if model.skip else 0)
