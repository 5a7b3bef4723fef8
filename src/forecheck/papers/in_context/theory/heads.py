"""The best weights of one layer of linear self-attention, for any or a given number of heads, without training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Moments:
    r"""Second moments that decide the squared error of one layer on a set of tasks.

    A layer is linear in the products :math:`f_{jkl} = G_{jk} q_l` of Gram matrix and query.

    Args:
        second: :math:`E[f f^\top]`.
        cross: :math:`E[f y]`.
        power: :math:`E[y^2]`, of what is left to explain after the first guess.
    """

    second: Float[Tensor, "row row width row row width"]
    cross: Float[Tensor, "row row width"]
    power: float

    @classmethod
    def of(
        cls, gram: Float[Tensor, "task row row"], query: Float[Tensor, "task width"], target: Float[Tensor, " task"]
    ) -> Moments:
        """Means over tasks.

        Args:
            gram: G of every task.
            query: q, the rows that are known of it.
            target: y, less the first guess if there is one.
        """
        rows, width = gram.shape[1], query.shape[1]
        features = torch.einsum("tjk,tl->tjkl", gram, query).flatten(1)
        second = (features.mT @ features / len(gram)).view(rows, rows, width, rows, rows, width)
        cross = (features.mT @ target / len(gram)).view(rows, rows, width)
        return cls(second, cross, target.square().mean().item())

    @classmethod
    def of_weights(cls, gram: Float[Tensor, "task row row"], weights: Float[Tensor, "task width"]) -> Moments:
        r"""For targets :math:`w^\top q` with q of covariance I, independent of all else: q is integrated out."""
        flat = gram.flatten(1)
        rows, width = gram.shape[1], weights.shape[1]
        second = (flat.mT @ flat / len(gram)).view(rows, rows, 1, rows, rows, 1)
        second = second * torch.eye(width, dtype=gram.dtype).view(1, 1, width, 1, 1, width)
        cross = torch.einsum("tjk,tl->jkl", gram, weights) / len(gram)
        return cls(second, cross, weights.square().sum(1).mean().item())

    def loss(self, tensor: Float[Tensor, "row row width"]) -> float:
        r"""Mean squared error of the prediction :math:`\sum_{jkl} T_{jkl} G_{jk} q_l`."""
        flat = tensor.flatten()
        second = self.second.reshape(len(flat), len(flat))
        return (self.power - 2 * flat @ self.cross.flatten() + flat @ second @ flat).item()


def tensor_of(
    values: Float[Tensor, "head row"], key_queries: Float[Tensor, "head row width"]
) -> Float[Tensor, "row row width"]:
    r"""All that heads can do together: :math:`T = \sum_h v_h \otimes A_h`, of unfolded rank at most row."""
    return torch.einsum("hj,hkl->jkl", values, key_queries)


def relaxed_optimum(moments: Moments) -> tuple[Float[Tensor, "row row width"], float]:
    r"""The least error of any number of heads, and the tensor T that attains it.

    .. math:: T = E[f f^\top]^+ E[f y], \qquad E[y^2] - E[f y]^\top E[f f^\top]^+ E[f y]

    Attained by as many heads as rows. A Gram matrix is symmetric, so the pseudo-inverse leaves half of T to choose; it
    is made symmetric.
    """
    size = moments.cross.numel()
    inverse = torch.linalg.pinv(moments.second.reshape(size, size), hermitian=True, rtol=1e-10)
    tensor = (inverse @ moments.cross.flatten()).view_as(moments.cross)
    return tensor, moments.loss(tensor)


@dataclass(frozen=True, eq=False)
class Heads:
    """Weights of `read` and their mean squared error on the tasks they were fitted to."""

    values: Float[Tensor, "head row"]
    key_queries: Float[Tensor, "head row width"]
    loss: float


def fit_heads(
    moments: Moments,
    heads: int,
    sweeps: int = 60,
    starts: int = 3,
    seed: int = 0,
    start: Float[Tensor, "head row"] | None = None,
) -> Heads:
    r"""The best weights of H heads by alternating least squares: v given A, then A given v, both exact.

    .. math:: \min_{v, A} E \Big( y - \sum_h v_h^\top G A_h q \Big)^2

    The error never rises, but a run may end in a local minimum, so several are tried.

    Args:
        moments: of the tasks.
        heads: H; more than the rows of a prompt gain nothing.
        sweeps: a start.
        starts: random starts.
        seed: of the random starts.
        start: values v to begin with in one more run.
    """
    rows = moments.cross.shape[0]
    generator = torch.Generator().manual_seed(seed)
    dtype = moments.cross.dtype
    first = [torch.randn(heads, rows, generator=generator, dtype=dtype) for _ in range(starts)]
    runs = [_alternate(moments, v, sweeps) for v in first + ([] if start is None else [start])]
    return min(runs, key=lambda run: run.loss)


def _alternate(moments: Moments, values: Float[Tensor, "head row"], sweeps: int) -> Heads:
    key_queries = torch.empty(0)
    for _ in range(sweeps):
        values = values / values.norm(dim=1, keepdim=True)  # the scale is free between v and A
        half = torch.tensordot(values, moments.second, ([1], [0]))  # head k l J K L
        second = torch.tensordot(half, values, ([3], [1])).permute(0, 1, 2, 5, 3, 4)
        key_queries = _solve(second, torch.tensordot(values, moments.cross, ([1], [0])))
        half = torch.tensordot(key_queries, moments.second, ([1, 2], [1, 2]))  # head j J K L
        second = torch.tensordot(half, key_queries, ([3, 4], [1, 2])).permute(0, 1, 3, 2)
        values = _solve(second, torch.tensordot(key_queries, moments.cross, ([1, 2], [1, 2])))
    return Heads(values, key_queries, moments.loss(tensor_of(values, key_queries)))


def _solve(second: Tensor, cross: Tensor) -> Tensor:
    """The minimiser of a quadratic form; heads that have become alike are told apart by a ridge of rounding size."""
    matrix = second.reshape(cross.numel(), cross.numel())
    ridge = 1e-11 * matrix.diagonal().mean() * torch.eye(len(matrix), dtype=matrix.dtype)
    return torch.linalg.solve(matrix + ridge, cross.flatten()).view_as(cross)
