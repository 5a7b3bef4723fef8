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

    Args:
        attention: Attn, which knows the width of tokens.
        hidden: features of the feed-forward part.
        dropout: p, after attention and in the feed-forward part.
        norm: one of `NORMS`.
        attention_dropouts: n.

    Raises:
        ValueError: if there is no such norm.

    Source: Nie et al. 2023 (PatchTST, arXiv 2211.14730), section 3.1.
    """

    def __init__(
        self, attention: Attention, hidden: int, *, dropout: float, norm: str = "batch", attention_dropouts: int = 2
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"no norm is called {norm!r}; known: {', '.join(NORMS)}")
        width = attention.out.out_features
        self.attention = attention
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
        """The next tokens, and this layer's scores for residual attention.

        Args:
            tokens: of every series.
            mask: True where a token may look at another one; None for everywhere.
            bias: scores of the layer below.
        """
        mixed, scores = self.attention(tokens, mask, bias)
        tokens = self.attention_norm(self.attention_out_dropout(mixed, tokens))
        tokens = self.feed_forward_norm(self.feed_forward(tokens, tokens))
        return tokens, scores
