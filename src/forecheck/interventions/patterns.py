"""What an attention pattern becomes under each replacement mode."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from forecheck.nn.attention import PatternEdit
from forecheck.nn.seeding import derive

Weights = Float[Tensor, "batch head query key"]
Allowed = Bool[Tensor, "query key"]
Values = Float[Tensor, "batch head key width"]


class PassThrough(PatternEdit):
    """The raw pattern, taken the edited way: what an adapter's identity test runs."""

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Weights:
        """The raw pattern itself."""
        assert weights is not None
        return weights


class Zero(PatternEdit):
    """A = 0: what is left of the sublayer is the bias of its output projection."""

    needs_weights = False

    def forward(
        self,
        weights: Weights | None,
        allowed: Allowed,
        like: Values,
    ) -> Float[Tensor, "1 head query key"]:
        """Zeros."""
        return like.new_zeros(1, like.shape[1], *allowed.shape)


class Identity(PatternEdit):
    """A = I: every token keeps its own value; tokens do not see each other. Needs as many queries as keys."""

    needs_weights = False

    def forward(
        self,
        weights: Weights | None,
        allowed: Allowed,
        like: Values,
    ) -> Float[Tensor, "1 head query key"]:
        """The identity matrix; a token that the mask hides from itself gets nothing."""
        queries, keys = allowed.shape
        if queries != keys:
            raise ValueError(f"identity is undefined for cross-attention ({queries} queries, {keys} keys)")
        eye = torch.eye(keys, dtype=like.dtype, device=like.device) * allowed
        return eye.expand(1, like.shape[1], -1, -1)


class Mean(PatternEdit):
    """A = allowed / (number of allowed keys): every query gets the plain mean of what it may see."""

    needs_weights = False

    def forward(
        self,
        weights: Weights | None,
        allowed: Allowed,
        like: Values,
    ) -> Float[Tensor, "1 head query key"]:
        """The masked mean; a row without any key is 0."""
        return masked_mean(allowed, like).expand(1, like.shape[1], -1, -1)


def masked_mean(allowed: Allowed, like: Tensor) -> Float[Tensor, "query key"]:
    """Row-normalised `allowed`: 1 / (number of allowed keys), 0 where a query may see nothing."""
    counts = allowed.sum(dim=-1, keepdim=True).clamp(min=1)
    return allowed.to(like.dtype) / counts


class Fixed(PatternEdit):
    """A = theta, one trainable matrix a head, the same for every input; starts as the masked mean.

    A true parameter: it is part of `model.parameters()` and learns with the rest. Not normalised, as in the paper's
    token-mixing reading.
    """

    needs_weights = False

    def __init__(self, heads: int, queries: int, keys: int) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.empty(heads, queries, keys))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start from the mean again."""
        nn.init.constant_(self.theta, 1.0 / self.theta.shape[-1])

    def forward(
        self,
        weights: Weights | None,
        allowed: Allowed,
        like: Values,
    ) -> Float[Tensor, "1 head query key"]:
        """Theta on the allowed keys; rescaled so that at the start every row is the masked mean."""
        share = masked_mean(allowed, like) * allowed.shape[1]
        return (self.theta.to(like.dtype) * share)[None]


class FrozenMean(PatternEdit):
    """A = the mean raw pattern over calibration windows: keeps what depends on position, drops what on content."""

    needs_weights = False
    pattern: Tensor

    def __init__(self, pattern: Float[Tensor, "head query key"]) -> None:
        super().__init__()
        self.register_buffer("pattern", pattern)

    def forward(
        self,
        weights: Weights | None,
        allowed: Allowed,
        like: Values,
    ) -> Float[Tensor, "1 head query key"]:
        """The frozen pattern, zero where the mask hides."""
        return (self.pattern.to(like.dtype) * allowed)[None]


class Shuffled(PatternEdit):
    """A of another window or series of the same batch: right in distribution, wrong in content.

    Members of the batch are passed round one random ring, so none keeps its own pattern; a batch of one does. While
    training, rings come from the stream that `reseed` sets; otherwise a batch of a given size always gets the same
    ring, so that a forecast repeats.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed
        self._generator = torch.Generator().manual_seed(seed)

    def reseed(self, *entropy: int) -> None:
        """Start the stream that belongs to these numbers, as `Dropout.reseed` does."""
        self._generator.manual_seed(derive(self._seed, f"{entropy}"))

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Weights:
        """The patterns, moved on by one along a random ring."""
        assert weights is not None
        if not self.training:
            self._generator.manual_seed(self._seed)
        ring = torch.randperm(len(weights), generator=self._generator)
        source = torch.empty_like(ring)
        source[ring] = ring.roll(1)
        return weights[source.to(weights.device)]


class OnHeads(PatternEdit):
    """Another edit on chosen heads only; the other heads keep their raw pattern."""

    def __init__(self, inner: PatternEdit, heads: tuple[int, ...]) -> None:
        super().__init__()
        self.inner = inner
        self.chosen = list(heads)

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Weights:
        """The raw pattern with the chosen heads replaced."""
        assert weights is not None
        edited = self.inner(weights, allowed, like)
        chosen = torch.zeros(weights.shape[1], dtype=torch.bool, device=weights.device)
        chosen[self.chosen] = True
        return torch.where(chosen[:, None, None], edited, weights)
