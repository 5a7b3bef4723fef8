"""What is exact in a stack of linear attentions, and what is not: layers, paths, parts, superposition."""

from __future__ import annotations

from itertools import pairwise
from math import comb
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float64
from torch import Tensor

from forecheck.forecasters.base import Task
from forecheck.forecasters.lintrans import LinearTransformer, LinearTransformerBlock
from forecheck.forecasters.samovar_coefficients import layer_coefficients, mixture_row, paths_of_length
from forecheck.forecasters.samovar_explained import explain
from forecheck.nn.linear_attention import causal_linear_attention, chunked_linear_attention, masked_linear_attention
from forecheck.nn.var_attention import Coefficients, VarAttention
from forecheck.papers.experiment import Bench, Experiment
from forecheck.papers.samovar.networks import random_walks, tokens_of, untrained

TASK = Task(24, 3, 2)
"""8 patches of 3 steps: 16 tokens."""
SIZES = {"width": 8, "heads": 2}
AWAY = 0.2


def layer(bench: Bench, tokens: int, width: int, seed: int) -> dict[str, Any]:
    """A layer in its three forms against the sum over lags of matrices times observations, token by token.

    Args:
        bench: not needed.
        tokens: of the sequence.
        width: of a head; there are two.
        seed: of queries, keys and values.

    Returns:
        The largest relative difference of a form.
    """
    del bench
    generator = torch.Generator().manual_seed(seed)
    q, k, v = torch.randn(3, 1, 2, tokens, width, generator=generator, dtype=torch.float64)
    expected = torch.zeros_like(v)
    for head in range(2):
        for t in range(tokens):
            for i in range(t + 1):
                expected[0, head, t] += torch.outer(v[0, head, i], q[0, head, t]) @ k[0, head, i]
    forms = (causal_linear_attention, masked_linear_attention, chunked_linear_attention)
    return {"difference": max(_difference(form(q, k, v), expected) for form in forms)}


def stack(bench: Bench, layers: int, tokens: int, width: int, seed: int) -> dict[str, Any]:
    """Paths one by one against coefficients by recurrence, by Horner's scheme and by differentiation.

    Args:
        bench: not needed.
        layers: of the stack.
        tokens: of the sequence.
        width: of a head; there are two.
        seed: of queries, values and observations.

    Returns:
        How many `paths` there are and at how many sources their number is not the binomial coefficient (`miscounted`);
        and relative differences of the other ways.
    """
    del bench
    generator = torch.Generator().manual_seed(seed)
    q, v = torch.randn(2, layers, 1, 2, tokens, width, generator=generator, dtype=torch.float64)
    coefficients = Coefficients(q.unbind(), v.unbind())
    last = layer_coefficients(coefficients)[:, :, :, -1]
    miscounted, closed, summed, paths = 0, 0.0, 0.0, 0
    for length in range(1, layers + 1):
        found = paths_of_length(coefficients, length)
        nodes, matrices = found.nodes[0].tolist(), found.matrices()
        paths += len(nodes)
        products = torch.stack([_product(coefficients, chain) for chain in nodes], dim=2)
        closed = max(closed, _difference(matrices, products))
        sums = torch.zeros_like(last[length - 1])
        for source in range(tokens):
            ours = [number for number, chain in enumerate(nodes) if chain[-1] == source]
            miscounted += len(ours) != comb(tokens - 1 - source + length - 1, length - 1)
            sums[:, :, source] = products[:, :, ours].sum(dim=2)
        summed = max(summed, _difference(sums, last[length - 1]))
    x = torch.randn(1, 2, tokens, width, generator=generator, dtype=torch.float64, requires_grad=True)
    outputs = _stacked(coefficients, x)[:, :, -1]
    rows = [torch.autograd.grad(outputs[:, :, a].sum(), x, retain_graph=True)[0] for a in range(width)]
    mixture = last.sum(dim=0)
    mixed = torch.einsum("shjab,shjb->sha", mixture, x.detach())
    return {
        "paths": paths,
        "miscounted": miscounted,
        "closed form": closed,
        "sum of paths": summed,
        "horner": _difference(mixture_row(coefficients), mixture),
        "derivative": _difference(torch.stack(rows, dim=3), mixture),
        "output": _difference(mixed, outputs.detach()),
    }


def parts(bench: Bench, structure: str, layers: int, seed: int) -> dict[str, Any]:
    """The parts of a forecast by source token and by layer, summed, against the forecast.

    Args:
        bench: not needed.
        structure: `direct` or `inverse`, see `SAMoVARConfig`.
        layers: of the network.
        seed: of network and windows.

    Returns:
        Relative differences of the two sums.
    """
    del bench
    network = untrained("samovar", TASK, seed, AWAY, structure=structure, layers=layers, **SIZES)
    x = random_walks(8, TASK, seed)
    explained, forecast = explain(network, x, paths=0), network(x).detach()
    by_token = explained.constant + explained.parts.sum(axis=(1, 2))
    by_layer = explained.constant + explained.by_layer.sum(axis=1)
    return {
        "by token": _difference(torch.from_numpy(by_token), forecast),
        "by layer": _difference(torch.from_numpy(by_layer), forecast),
    }


@torch.no_grad()
def pictures(bench: Bench, layers: int, away: float, seed: int) -> dict[str, Any]:
    """Readings of paths in the released pictures against the coefficients of the last token that they stand for.

    Args:
        bench: not needed.
        layers: of the network.
        away: standard deviation of the noise on its weights, see `untrained`.
        seed: of network and windows.

    Returns:
        Relative differences of the readings, and the correlation of the pictures' scalars with the coefficients'
        traces.
    """
    del bench
    network = untrained("samovar", TASK, seed, away, layers=layers, **SIZES)
    assert isinstance(network.stack, VarAttention)
    coefficients = network.stack.trace(tokens_of(network, random_walks(16, TASK, seed))).coefficients
    mixture = mixture_row(coefficients)
    every = [paths_of_length(coefficients, length) for length in range(1, layers + 1)]
    without, top = torch.zeros_like(mixture), torch.zeros_like(mixture)
    for paths in every:
        nodes = paths.nodes[0]
        distinct = (nodes[:, :-1] > nodes[:, 1:]).all(dim=1)
        without.index_add_(2, nodes[distinct, -1], paths.matrices()[:, :, distinct])
        left = coefficients.v[-1][:, :, nodes[:, 1]]
        top.index_add_(2, nodes[:, -1], paths._replace(left=left).matrices())
    scalar = _scalar_row(coefficients)
    traces = mixture.diagonal(dim1=3, dim2=4).sum(dim=3)
    eye = torch.eye(mixture.shape[-1], dtype=mixture.dtype)
    return {
        "scalars on the identity": _difference(scalar[..., None, None] * eye, mixture),
        "no repeated tokens": _difference(without, mixture),
        "values of the top layer": _difference(top, mixture),
        "correlation with the trace": float(torch.corrcoef(torch.stack([scalar.flatten(), traces.flatten()]))[0, 1]),
    }


@torch.no_grad()
def superposition(bench: Bench, form: str, layers: int, seed: int) -> dict[str, Any]:
    r"""Whether a stack with its queries and values held fixed is linear in its observations.

    .. math:: \| f(a + b) - f(a) - f(b) + f(0) \| / \| f(a + b) - f(0) \|

    Args:
        bench: not needed.
        form: one of `FORMS`.
        layers: of the network.
        seed: of network and windows.
    """
    del bench
    name = "samovar" if form == "SAMoVAR" else "lintrans"
    network = untrained(name, TASK, seed, AWAY, layers=layers, **SIZES)
    tokens, other = (tokens_of(network, random_walks(8, TASK, part)) for part in (2 * seed, 2 * seed + 1))
    stacked = network.stack
    if isinstance(stacked, VarAttention):
        coefficients, heads = stacked.trace(tokens).coefficients, stacked.heads

        def f(x: Tensor) -> Tensor:
            keys = _by_head(x, heads)
            return stacked.combine(keys, _stacked(coefficients, keys))
    else:
        assert isinstance(stacked, LinearTransformer)
        blocks = stacked

        def f(x: Tensor) -> Tensor:
            return _frozen(blocks, tokens, x, mlp=form == "LinTrans", norms=form != "LinTrans without MLP and norms")

    nothing = f(torch.zeros_like(tokens))
    both = f(tokens + other)
    error = both - f(tokens) - f(other) + nothing
    return {"error": float(error.norm() / (both - nothing).norm())}


def _frozen(stack: LinearTransformer, reference: Tensor, x: Tensor, *, mlp: bool, norms: bool) -> Tensor:
    """LinTrans on `x` with the queries and values that it has on `reference`."""
    for block in stack.blocks:
        assert isinstance(block, LinearTransformerBlock)
        attention = block.attention
        u, w = (block.attention_norm(z) if norms else z for z in (reference, x))
        q, v, k, k_reference = (
            _by_head(z, attention.heads)
            for z in (attention.query(u), attention.value(u), attention.key(w), attention.key(u))
        )
        reference, x = (
            z + attention.out(causal_linear_attention(q, keys, v).transpose(1, 2).flatten(2))
            for z, keys in ((reference, k_reference), (x, k))
        )
        if mlp:
            reference, x = (block.feed_forward(block.norm(z), z) for z in (reference, x))
    return x


def _by_head(x: Tensor, heads: int) -> Tensor:
    return rearrange(x, "s t (h d) -> s h t d", h=heads)


def _product(coefficients: Coefficients, chain: list[int]) -> Tensor:
    """A path's matrix by multiplying its layers' matrices, top first."""
    width = coefficients.q[0].shape[3]
    product = torch.eye(width, dtype=coefficients.q[0].dtype)
    for level, (t, i) in zip(range(len(chain) - 2, -1, -1), pairwise(chain), strict=True):
        q, v = coefficients.q[level][:, :, t], coefficients.v[level][:, :, i]
        product = product @ torch.einsum("sha,shb->shab", v, q)
    return product


def _stacked(coefficients: Coefficients, keys: Tensor) -> Tensor:
    """Sum of the layers' outputs, each layer's being the next one's keys."""
    total = torch.zeros_like(keys)
    for q, v in zip(*coefficients, strict=True):
        keys = masked_linear_attention(q, keys, v)
        total = total + keys
    return total


def _scalar_row(coefficients: Coefficients) -> Float64[Tensor, "series head source"]:
    r"""The released "lag weights" of the last token: :math:`\sum_l \sum_{paths} \prod_m q^{(m)}_t \cdot v^{(m)}_i`."""
    total, below = torch.zeros(()), None
    for q, v in zip(*coefficients, strict=True):
        pairs = torch.matmul(q, v.mT).tril()
        below = pairs if below is None else pairs @ below
        total = total + below[:, :, -1]
    return total


def _difference(found: Tensor, expected: Tensor) -> float:
    """Relative, in the Frobenius norm."""
    return float((found - expected).norm() / expected.norm())


SEEDS = range(5)
LAYER = Experiment(
    "layer",
    layer,
    quick=[{"tokens": tokens, "width": width, "seed": 0} for tokens, width in ((16, 8), (80, 4), (30, 16))],
)
STACK = Experiment(
    "stack",
    stack,
    quick=[{"layers": layers, "tokens": 8, "width": 4, "seed": seed} for layers in (1, 2, 3, 4) for seed in range(2)],
)
PARTS = Experiment(
    "parts",
    parts,
    quick=[
        {"structure": structure, "layers": layers, "seed": seed}
        for structure in ("direct", "inverse")
        for layers in (1, 3)
        for seed in range(2)
    ],
)
PICTURES = Experiment(
    "pictures",
    pictures,
    quick=[
        {"layers": layers, "away": away, "seed": seed} for layers in (1, 2, 3) for away in (0.0, AWAY) for seed in SEEDS
    ],
)
FORMS = ("SAMoVAR", "LinTrans", "LinTrans without MLP", "LinTrans without MLP and norms")
SUPERPOSITION = Experiment(
    "superposition",
    superposition,
    quick=[{"form": form, "layers": layers, "seed": seed} for form in FORMS for layers in (1, 3) for seed in SEEDS],
)
