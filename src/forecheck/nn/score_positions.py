"""Positions that act on the scores of attention instead of on tokens."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.kernels.base import Scores
from forecheck.nn.positions import check_positions


class ScorePositions(nn.Module):
    """What positions do to the scores of one layer.

    With residual scores, a layer hands on what it has turned, but not what it has added: nothing is added twice.
    """

    def turned(self, scores: Scores) -> Scores:
        """The layer's own scores with queries and keys turned."""
        return scores

    def added(self, scores: Scores) -> Scores:
        """All scores with a matrix added."""
        return scores


class Rotary(ScorePositions):
    r"""Pairs of features of queries and keys, turned by an angle that grows with the position.

    .. math:: (q_{2i}, q_{2i+1}) \leftarrow R(p \, \theta_i) (q_{2i}, q_{2i+1}), \qquad \theta_i = 10000^{-2i/d}

    and keys likewise, so scores depend on the difference of positions only. Nothing is stored.

    Args:
        start: position of the first query; the first key is at 0.

    Source: Su et al., RoFormer (arXiv 2104.09864), section 3.2.
    """

    def __init__(self, start: int = 0) -> None:
        super().__init__()
        self.start = start

    def turned(self, scores: Scores) -> Scores:
        """Turned queries and keys."""
        return Scores(_turned(scores.q, self.start), _turned(scores.k, 0))


def _turned(x: Float[Tensor, "batch head token width"], start: int) -> Float[Tensor, "batch head token width"]:
    width, tokens = x.shape[3], x.shape[2]
    rate = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    angle = rate[:, None] * torch.arange(start, start + tokens, dtype=torch.float64)
    cos, sin = angle.cos().to(x), angle.sin().to(x)  # not every device has doubles
    # Features are rows in memory, as `SoftmaxAttention` reads them.
    even, odd = rearrange(x.mT, "b h (w pair) t -> pair b h w t", pair=2)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=3).flatten(2, 3).mT


class KeyBias(ScorePositions):
    r"""One number a head and key, added to its scores whatever the query: :math:`s_{ij} \leftarrow s_{ij} + b_{j}`.

    The matrix is of rank one, so it enters as one more feature, :math:`q' = [1, q], k' = [b, k]`.

    Attributes:
        bias: b, (key, head).
    """

    bias: Tensor

    def added(self, scores: Scores) -> Scores:
        """All scores with b added."""
        shape = scores.k.shape[:3]
        column = self.bias.T.to(scores.k.dtype).expand(shape)[..., None]
        return scores.plus(Scores(scores.q.new_ones(*scores.q.shape[:3], 1), column))


class LearnedBias(KeyBias):
    r"""A learnt b, zero at the start.

    Source: Ke et al., Curse of Attention (arXiv 2412.06061), whose toy model fails without; the remedy is ours.
    """

    def __init__(self, keys: int, heads: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.empty(keys, heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start from zeros."""
        nn.init.zeros_(self.bias)


class Recency(KeyBias):
    r"""The farther a key is from the last one, the lower its score.

    .. math:: b_j = -s_h (T - 1 - j), \qquad s_h = 2^{-8 h / H}, \; h = 1, \dots, H

    The slopes are ALiBi's and fixed: a learnt one could turn round, and is a special case of `LearnedBias`. A softmax
    under a causal mask gives ALiBi itself, whose distance is that to the query: the two differ by a number a row.

    Args:
        keys: T.
        heads: H.
        parts: score matrices a head, which have its slope.

    Source: Press et al., Train Short, Test Long (ALiBi, arXiv 2108.12409), section 3.
    """

    def __init__(self, keys: int, heads: int, parts: int) -> None:
        super().__init__()
        slopes = (2.0 ** (-8 * torch.arange(1, heads + 1) / heads)).repeat_interleave(parts)
        distance = torch.arange(keys - 1, -1, -1.0)
        self.register_buffer("bias", -distance[:, None] * slopes, persistent=False)


def score_positions(name: str, width: int, heads: int, parts: int, keys: int, start: int) -> ScorePositions | None:
    """Positions of one layer; None if those of that name are codes of tokens, or none.

    Args:
        name: one of `POSITIONS`.
        width: features of a score, that is of a head over its parts.
        heads: their number.
        parts: score matrices a head.
        keys: their number.
        start: position of the first query, from that of the first key.

    Raises:
        ValueError: if there are no such positions, or the width is odd for `rope`.
    """
    check_positions(name)
    if name == "rope":
        if width % 2:
            raise ValueError(f"rope turns pairs of features: the width of a head's scores must be even, got {width}")
        return Rotary(start)
    if name == "score-bias":
        return LearnedBias(keys, heads * parts)
    return Recency(keys, heads, parts) if name == "recency" else None
