"""What a SAMoVAR forecast is made of: coefficients, additive parts, influence paths; and, apart, its Jacobian.

Two reports that must not be mixed up. The explanation splits the forecast that was made: its coefficients are made of
the same window as what they multiply, so they are no derivative. The Jacobian says how the forecast would change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from forecheck.forecasters.samovar_coefficients import mixture_row, strongest_paths
from forecheck.nn.arx import ArxNetwork
from forecheck.nn.var_attention import Coefficients, VarAttention


@dataclass(frozen=True)
class Explanation:
    r"""The exact parts of a forecast, as plain arrays, in the units of the forecast.

    .. math:: y_t = \sum_{j \le t} \Gamma_{t,j} x_j, \qquad \hat y = \sum_j \sigma r_t W \, \mathrm{diag}(g) \,
        \Gamma_{t,j} x_j + (\sigma b + \mu)

    for the last token t, with the observations x (embeddings of whole patches, not steps), the gains g and the scalar
    :math:`r_t = 1 / \mathrm{rms}(y_t)` of the last norm, and the head W, b. Tokens are ex_1, en_1, ex_2, en_2, ...

    Attributes:
        forecast: what is explained.
        constant: what no token adds: the head's bias and the window's level.
        parts: of every source patch, first its exogenous then its endogenous token; with `constant` they sum to
            `forecast`.
        by_layer: of the shortcut (first) and of every attention layer; with `constant` they sum to `forecast`.
        mixture: C_{t,j}, sum of the layers' coefficients.
        coefficients: Γ_{t,j}, with structural matrix and shortcut.
        path_nodes: the strongest temporal influence paths, tokens from the target down to the source, then -1.
        path_norms: Frobenius norm of their matrices over all heads, by which they are ordered.
        path_matrices: their matrices; over all paths to a source they sum to the mixture.
    """

    forecast: Float[np.ndarray, "batch horizon channel"]
    constant: Float[np.ndarray, "batch horizon channel"]
    parts: Float[np.ndarray, "batch patch 2 horizon channel"]
    by_layer: Float[np.ndarray, "batch source horizon channel"]
    mixture: Float[np.ndarray, "batch channel head token row column"]
    coefficients: Float[np.ndarray, "batch channel head token row column"]
    path_nodes: Int[np.ndarray, "batch channel path node"]
    path_norms: Float[np.ndarray, "batch channel path"]
    path_matrices: Float[np.ndarray, "batch channel path head row column"]


@dataclass(frozen=True)
class Jacobian:
    r"""How the forecast answers to its input, everything included.

    .. math:: J = \partial \hat y / \partial x

    Attributes:
        values: derivative of every forecast step of a channel to every input step of every channel.
    """

    values: Float[np.ndarray, "batch horizon channel lookback source"]


@torch.no_grad()
def explain(
    network: nn.Module,
    x: Float[Tensor, "batch lookback channel"],
    paths: int = 10,
    channels: Sequence[int] | None = None,
) -> Explanation:
    """The parts of the forecasts of `x`.

    Args:
        network: a SAMoVAR network.
        x: windows; memory grows with windows, channels, tokens and the cube of the head width.
        paths: how many paths to tell of every window and channel; 0 for none.
        channels: whose forecasts, None for all; they are the channels of the explanation.

    Raises:
        ValueError: if there are too many paths to order.
    """
    assert isinstance(network, ArxNetwork)
    assert isinstance(network.stack, VarAttention)
    network.eval()
    stack = network.stack
    z, mean, scale = network.normalise(x)
    chosen = list(range(x.shape[2])) if channels is None else list(channels)
    observations, coefficients, outputs = stack.trace(network.tokens(network.tokens.patches_of(z)))

    def rows(values: Tensor) -> Tensor:
        """Of the chosen channels only."""
        return rearrange(values, "(b c) ... -> b c ...", b=len(x))[:, chosen].flatten(0, 1)

    observations, outputs = rows(observations), [rows(o) for o in outputs]
    coefficients = Coefficients(*(tuple(map(rows, part)) for part in coefficients))
    mean, scale = mean[..., chosen], scale[..., chosen]

    mixture = mixture_row(coefficients)
    last = torch.zeros_like(observations)
    last[:, :, -1] = observations[:, :, -1]
    mixed = torch.einsum("shjab,shjb->shja", mixture, observations)
    sources = stack.combine(last, mixed)  # row j is Γ_{t,j} x_j
    # The columns of Γ_{t,j} are what it makes of the unit vectors.
    unit = torch.zeros_like(mixture)
    unit[:, :, -1] = torch.eye(mixture.shape[-1])
    whole = stack.combine(rearrange(unit, "s h j a b -> s j h b a"), rearrange(mixture, "s h j a b -> s j h b a"))

    tops = torch.stack([o[:, :, -1] for o in outputs], dim=2)
    shortcut, nothing = observations[:, :, -1:], torch.zeros_like(tops)
    layers = torch.cat(
        [stack.combine(shortcut, nothing[:, :, :1]), stack.combine(nothing, tops)], dim=2
    )  # (series, head, shortcut and layers, width)

    y = rearrange(sources.sum(dim=2), "s h d -> s (h d)")
    eps = network.norm.eps
    assert eps is not None
    factor = network.norm.weight * torch.rsqrt(y.square().mean(dim=1, keepdim=True) + eps)  # diag(g) r_t, a series

    def forecasts(vectors: Tensor) -> Tensor:
        """What vectors y would add to the forecast, were the last norm fixed: (batch, row, horizon, channel)."""
        steps = nn.functional.linear(rearrange(vectors, "s h j d -> s j (h d)") * factor[:, None], network.head.weight)
        return rearrange(steps, "(b c) j t -> b j t c", c=len(chosen)) * scale[:, None]

    def array(values: Tensor) -> np.ndarray:
        return rearrange(values, "(b c) ... -> b c ...", c=len(chosen)).numpy()

    found = strongest_paths(coefficients, paths)
    return Explanation(
        forecast=network(x)[..., chosen].numpy(),
        constant=(network.head.bias[:, None] * scale + mean).numpy(),
        parts=rearrange(forecasts(sources), "b (n role) t c -> b n role t c", role=2).numpy(),
        by_layer=forecasts(layers).numpy(),
        mixture=array(mixture),
        coefficients=array(rearrange(whole, "s j h b a -> s h j a b")),
        path_nodes=array(found.nodes),
        path_norms=array(found.norms()),
        path_matrices=array(found.matrices().transpose(1, 2)),
    )


def jacobian(
    network: nn.Module, x: Float[Tensor, "batch lookback channel"], channels: Sequence[int] | None = None
) -> Jacobian:
    """The Jacobian of the forecasts of `x` in some channels (None for all), one backward pass a step and channel.

    Args:
        network: a forecasting network, put into evaluation mode.
        x: windows.
        channels: whose forecasts; None for all.
    """
    network.eval()
    x = x.detach().clone().requires_grad_()
    with torch.enable_grad():
        y = network(x) if channels is None else network(x)[..., list(channels)]
        outputs = y.sum(dim=0).flatten()  # windows do not meet, so their gradients come apart by themselves
        rows = [torch.autograd.grad(one, x, retain_graph=True)[0] for one in outputs]
    values = rearrange(torch.stack(rows, dim=1), "b (t c) l s -> b t c l s", c=y.shape[2])
    return Jacobian(values.numpy())
