"""Sharpness-aware minimisation: the gradient is taken where the loss is worst nearby."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from forecheck.nn.placed import doubles


@contextmanager
def ascended(model: nn.Module, rho: float) -> Iterator[None]:
    r"""The model at :math:`w + \rho g / \lVert g \rVert` for the gradient g it holds; afterwards exactly at w again.

    .. math:: w \leftarrow w - \eta \nabla L(w + \hat e), \qquad
        \hat e = \rho \, \nabla L(w) / \lVert \nabla L(w) \rVert

    Inside, gradients are to be computed anew. Buffers (running statistics, codebooks) are put back too, so that only
    the first pass moves them. Without a gradient the model stays where it is.

    Source: Foret et al. 2021 (arXiv 2010.01412), equation 3; for Transformers over series: Ilbert et al. 2024
    (SAMformer, arXiv 2402.10198).
    """
    moved = [(p, p.detach().clone(), p.grad) for p in model.parameters() if p.grad is not None]
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    squares = [float(doubles(gradient).square().sum()) for *_, gradient in moved]
    norm = sum(squares) ** 0.5
    with torch.no_grad():
        for parameter, _, gradient in moved if norm > 0 else ():
            parameter.add_(gradient, alpha=rho / norm)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, kept, _ in moved:
                parameter.copy_(kept)
            for buffer, kept in buffers:
                buffer.copy_(kept)
