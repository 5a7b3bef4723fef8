"""Gradient correction by drift: what pushes the scores of all heads together is taken out of their gradients."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.attention import Attention


def without_drift(
    q: Float[Tensor, "head feature width"],
    k: Float[Tensor, "head feature width"],
    q_gradient: Float[Tensor, "head feature width"],
    k_gradient: Float[Tensor, "head feature width"],
    outputs: Float[Tensor, " head"],
    strength: float = 1.0,
) -> tuple[Float[Tensor, "head feature width"], Float[Tensor, "head feature width"]]:
    r"""Gradients of query and key projections without the heads' common drift.

    Head r scores by :math:`x^\top W_r x'` with :math:`W_r = Q_r K_r^\top`, and hands on :math:`a_r` of a value:

    .. math::
        P_r = \dot Q_r K_r^+ + (Q_r^+)^\top \dot K_r^\top (I - K_r K_r^+), \qquad
        C = \frac{\sum_s a_s P_s}{\sum_s a_s^2}, \\
        \dot Q_r \leftarrow \dot Q_r - \lambda a_r C K_r, \qquad
        \dot K_r \leftarrow \dot K_r - \lambda a_r C^\top Q_r

    A dot is the gradient, :math:`{}^+` the pseudo-inverse. :math:`P_r` is :math:`\partial L / \partial W_r` as far as
    the head's projections tell (its smallest solution): unlike the projections' own gradients it does not depend on the
    basis inside a head, in which no two heads agree. With one feature and :math:`a_r = \pm 1` this is
    :math:`g_r \leftarrow g_r - a_r \, \mathrm{mean}_s(a_s g_s)` for :math:`g_r = \partial L / \partial w_r`,
    :math:`w_r = q_r k_r`.

    Args:
        q: Q, query projections of all heads.
        k: K, key projections.
        q_gradient: gradient of the loss with respect to Q.
        k_gradient: gradient of the loss with respect to K.
        outputs: a, how much of a value each head hands on.
        strength: lambda; 1 takes the whole drift out, 0 nothing.

    Returns:
        Corrected gradients of Q and K; unchanged ones if all of a are 0.

    Source: this project; a candidate for the gradient correction that Ke et al. 2025 (arXiv 2412.06061), section 7.2,
    name without a formula. Their drift: theorem 5.2, all weights move along a.
    """
    total = outputs.square().sum()
    if total == 0:
        return q_gradient, k_gradient
    q_inverse, k_inverse = torch.linalg.pinv(q), torch.linalg.pinv(k)
    rest = k_gradient.mT - torch.matmul(torch.matmul(k_gradient.mT, k), k_inverse)
    product = torch.matmul(q_gradient, k_inverse) + torch.matmul(q_inverse.mT, rest)
    common = torch.einsum("h,hij->ij", outputs, product) / total
    back = strength * outputs[:, None, None]
    return q_gradient - back * torch.matmul(common, k), k_gradient - back * torch.matmul(common.T, q)


@torch.no_grad()
def remove_drift(model: nn.Module, strength: float) -> None:
    r"""Take the drift out of the gradients of every `Attention`, layer by layer (see `without_drift`).

    Projections include their bias, if any, as the weight of a feature that is always 1. Of head r's values
    :math:`a_r = \mathrm{tr}(W_O^r W_V^r)` is handed on, summed over features. Attention whose scores got no gradient
    is left alone.
    """
    for attention in attentions(model):
        projections: list[Tensor] = list(attention.project.parameters())  # weight, and bias if there is one
        gradients = [each.grad for each in projections if each.grad is not None]
        if len(gradients) < len(projections):
            continue
        shape = (3, attention.heads, attention.inner // attention.heads, -1)

        def parts(pieces: list[Tensor], shape: tuple[int, ...] = shape) -> Tensor:
            return torch.cat([piece.view(shape) for piece in pieces], dim=3).mT  # (q k or v, head, feature, width)

        q, k, _ = parts(projections)
        q_gradient, k_gradient, _ = parts(gradients)
        out = attention.out.weight.view(-1, *shape[1:3])
        outputs = torch.einsum("fhw,hwf->h", out, projections[0].view(shape)[2])
        corrected = torch.stack(without_drift(q, k, q_gradient, k_gradient, outputs, strength)).mT.flatten(0, 2)
        start = 0
        for gradient in gradients:  # of the weights, then of the bias
            count = gradient[0].numel()
            gradient[: 2 * attention.inner] = corrected[:, start : start + count].view(-1, *gradient.shape[1:])
            start += count


def attentions(model: nn.Module) -> list[Attention]:
    """Every `Attention` of a model.

    Raises:
        ValueError: if there is none, so that nothing could be corrected.
    """
    found = [module for module in model.modules() if isinstance(module, Attention)]
    if not found:
        raise ValueError("a correction of attention's gradient needs attention, and this model has none")
    return found
