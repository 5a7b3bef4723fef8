"""Linear self-attention on prompts: the one formula behind regression, forecasting and iteration in context."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


def hankel(series: Float[Tensor, "batch time"], order: int) -> Float[Tensor, "batch row column"]:
    r"""The prompt of a series: its windows of p + 1 steps side by side, and a query whose label is still zero.

    .. math:: H_{ki} = x_{i+k}, \quad k = 0 \dots p, \quad i = 1 \dots n = N - p; \qquad
        h_{n+1} = (x_{N-p+1}, \dots, x_N, 0)

    Time ascends within a column; row = p + 1 and column = n + 1.

    Source: arXiv 2510.09776, code.
    """
    zero = series.new_zeros(len(series), 1)
    return torch.cat([series, zero], dim=1).unfold(1, order + 1, 1).mT


def gram(prompt: Float[Tensor, "*batch row column"]) -> Float[Tensor, "*batch row row"]:
    r"""What attention knows of the context: :math:`G = \frac1n \sum_{i \le n} h_i h_i^\top`, without the query."""
    context = prompt[..., :-1]
    return context @ context.mT / context.shape[-1]


def attend(
    prompt: Float[Tensor, "*batch row column"],
    values: Float[Tensor, "head row row"],
    key_queries: Float[Tensor, "head row row"],
) -> Float[Tensor, "*batch row column"]:
    r"""One layer of linear self-attention with its residual; the query is masked as key and value.

    .. math:: H + \frac1n \sum_h P_h H M H^\top Q_h H = H + \sum_h P_h G Q_h H, \qquad M = \mathrm{diag}(1, \dots, 1, 0)

    Linear in the number of columns. Queries are all columns, so a next layer finds a changed context.

    Args:
        prompt: H, the query last.
        values: P_h.
        key_queries: Q_h.

    Source: Ahn et al. 2023; arXiv 2510.09776, code.
    """
    mixed = torch.einsum("hij,...jk,hkl->...il", values, gram(prompt), key_queries)
    return prompt + mixed @ prompt


def softmax_attend(
    prompt: Float[Tensor, "*batch row column"],
    values: Float[Tensor, "head row row"],
    key_queries: Float[Tensor, "head row row"],
) -> Float[Tensor, "*batch row column"]:
    r"""The same layer with softmax over keys, as arXiv 2510.09776 released it.

    .. math:: H + \frac1n \sum_h P_h H M \, \mathrm{softmax}(H^\top Q_h H)

    The softmax runs over all n + 1 keys, then the query is masked and 1/n stays: weights sum to less than 1/n, n times
    less than in usual attention.

    Args:
        prompt: H, the query last.
        values: P_h.
        key_queries: Q_h.
    """
    scores = torch.einsum("...ik,hij,...jl->...hkl", prompt, key_queries, prompt)
    weights = torch.softmax(scores, dim=-2)[..., :-1, :] / (prompt.shape[-1] - 1)
    return prompt + torch.einsum("hij,...jk,...hkl->...il", values, prompt[..., :-1], weights)


def read(
    gram: Float[Tensor, "*batch row row"],
    values: Float[Tensor, "head row"],
    key_queries: Float[Tensor, "head row width"],
    query: Float[Tensor, "*batch width"],
) -> Float[Tensor, "*batch"]:
    r"""What one layer adds to the label slot of the query: the formula that the papers share.

    .. math:: \hat y = y_q + \sum_h v_h^\top G A_h e_q

    Only the last row v of a value matrix and the columns A of a key-query matrix that meet the query's known rows
    matter to the prediction. The first guess y_q is the caller's to add: zero in arXiv 2510.09776, linear in
    2512.04268; 2602.04872 and 2510.03605 put a polynomial of G before the reading.

    Args:
        gram: G.
        values: v_h.
        key_queries: A_h.
        query: e_q, the rows that are known of the query.
    """
    return torch.einsum("hj,...jk,hkl,...l->...", values, gram, key_queries, query)


def as_layer(
    values: Float[Tensor, "head row"], key_queries: Float[Tensor, "head row width"]
) -> tuple[Float[Tensor, "head row row"], Float[Tensor, "head row row"]]:
    """Weights of `read` as those of `attend`; what does not matter is zero."""
    heads, rows = values.shape
    full = values.new_zeros(2, heads, rows, rows)
    full[0, :, -1] = values
    full[1, :, :, : key_queries.shape[2]] = key_queries
    return full[0], full[1]


class LinearSelfAttention(nn.Module):
    r"""Layers of attention between prompt and prediction, to be trained.

    .. math:: \hat y = [\mathrm{attend}_L \circ \dots \circ \mathrm{attend}_1 (H)]_{p+1,\,n+1}

    No bias, norm, feed-forward, positions or head on top. n is that of the prompt at hand.

    Args:
        rows: of a prompt; the last is the label.
        layers: L.
        heads: a layer.
        softmax: `softmax_attend` instead of `attend`.
        guess: learn theta, and begin with :math:`\theta^\top x_q` in the query's label slot (from theta = 0).
        scale: standard deviation of the initial weights.
        seed: of the initial weights.

    Source: arXiv 2510.09776, code (scale 0.01, one head); with a guess arXiv 2512.04268.
    """

    def __init__(
        self,
        rows: int,
        layers: int = 1,
        heads: int = 1,
        *,
        softmax: bool = False,
        guess: bool = False,
        scale: float = 0.01,
        seed: int = 0,
    ) -> None:
        super().__init__()
        drawn = torch.randn(2, layers, heads, rows, rows, generator=torch.Generator().manual_seed(seed)) * scale
        self.values = nn.Parameter(drawn[0])
        self.key_queries = nn.Parameter(drawn[1])
        self.guess = nn.Parameter(torch.zeros(rows - 1)) if guess else None
        self.layer = softmax_attend if softmax else attend

    def forward(self, prompt: Float[Tensor, "batch row column"]) -> Float[Tensor, " batch"]:
        """The prediction: the label slot of the query after the last layer."""
        if self.guess is not None:
            slot = torch.zeros_like(prompt)
            slot[:, -1, -1] = prompt[:, :-1, -1] @ self.guess
            prompt = prompt + slot
        for values, key_queries in zip(self.values, self.key_queries, strict=True):
            prompt = self.layer(prompt, values, key_queries)
        return prompt[:, -1, -1]
