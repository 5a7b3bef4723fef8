"""Transformer blocks made of the shared parts."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from forecheck.nn.attention import Attention
from forecheck.nn.dropout import Dropout
from forecheck.nn.feedforward import FeedForward
from forecheck.nn.kernels.base import Scores
from forecheck.nn.norms import NORMS


class EncoderBlock(nn.Module):
    r"""Post-norm encoder layer.

    .. math:: z' = N_1(z + D'(\mathrm{Attn}(z))), \qquad z'' = N_2(z' + D(W_2 D(\mathrm{GELU}(W_1 z'))))

    D' drops at rate 1 - (1 - p)^n for n = `attention_dropouts`: PatchTST applies dropout twice in a row after
    attention, which is one dropout at that rate in distribution, and half the random numbers.

    Source: Nie et al. 2023 (PatchTST, arXiv 2211.14730), section 3.1.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        *,
        dropout: float,
        attention_dropout: float = 0.0,
        norm: str = "batch",
        kernel: str = "softmax",
        attention_dropouts: int = 2,
        depth: int = 0,
        positions: str = "none",
        tokens: int = 0,
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"no norm is called {norm!r}; known: {', '.join(NORMS)}")
        self.attention = Attention(
            width, heads, kernel=kernel, dropout=attention_dropout, depth=depth, positions=positions, keys=tokens
        )
        self.attention_out_dropout = Dropout(1 - (1 - dropout) ** attention_dropouts)
        self.attention_norm = NORMS[norm](width)
        self.feed_forward = FeedForward(width, hidden, dropout)
        self.feed_forward_norm = NORMS[norm](width)

    def forward(
        self,
        tokens: Float[Tensor, "series token width"],
        mask: Bool[Tensor, "token token"] | None = None,
        bias: Scores | None = None,
    ) -> tuple[Float[Tensor, "series token width"], Scores | None]:
        """The next tokens, and this layer's scores for residual attention."""
        mixed, scores = self.attention(tokens, mask, bias)
        tokens = self.attention_norm(self.attention_out_dropout(mixed, tokens))
        tokens = self.feed_forward_norm(self.feed_forward(tokens, tokens))
        return tokens, scores
