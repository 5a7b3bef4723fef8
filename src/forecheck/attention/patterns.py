"""What an attention pattern becomes under each edit."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from forecheck.errors import UsageError
from forecheck.nn.attention import PatternEdit
from forecheck.nn.seeding import derive

Weights = Float[Tensor, "batch head query key"]
Allowed = Bool[Tensor, "*#batch_head query key"]
Values = Float[Tensor, "batch head key width"]
Mixed = Float[Tensor, "batch head query width"]
Edited = Float[Tensor, "#batch #head query key"]


class PassThrough(PatternEdit):
    """The raw pattern, taken the edited way: what an adapter's identity test runs."""

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Edited:
        """The raw pattern itself."""
        assert weights is not None
        return weights


class Zero(PatternEdit):
    """A = 0: what is left of the sublayer is the bias of its output projection."""

    needs_weights = False
    stochastic = False
    of_sublayer = True

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Edited:
        """A pattern of zeros."""
        return like.new_zeros(1, 1, *allowed.shape[-2:])

    def mix(self, weights: Weights | None, allowed: Allowed, values: Values) -> Mixed:
        """Zeros, without a product."""
        return values.new_zeros(*values.shape[:2], allowed.shape[-2], values.shape[-1])


class Identity(PatternEdit):
    """A = I: every token keeps its own value; tokens do not see each other. Needs as many queries as keys.

    Of a sublayer without a pattern every token gets what it takes from itself alone.
    """

    needs_weights = False
    of_sublayer = True

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Edited:
        """The identity matrix; a token that the mask hides from itself gets nothing."""
        return _four(_itself(allowed)[..., None] * torch.eye(allowed.shape[-1], device=like.device).to(like.dtype))

    def mix(self, weights: Weights | None, allowed: Allowed, values: Values) -> Mixed:
        """The values, without a product."""
        return values * _itself(allowed)[..., None]


def _itself(allowed: Allowed) -> Bool[Tensor, "*#batch_head query"]:
    """Whether a token may see itself."""
    queries, keys = allowed.shape[-2:]
    if queries != keys:
        raise UsageError(f"identity is undefined where {queries} queries look at {keys} keys")
    return allowed.diagonal(dim1=-2, dim2=-1)


def _four(pattern: Tensor) -> Edited:
    """A pattern with axes for batch and head, if only of size 1."""
    return pattern[(None,) * (4 - pattern.dim())]


class Mean(PatternEdit):
    """A = allowed / (number of allowed keys): every query gets the plain mean of what it may see."""

    needs_weights = False

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Edited:
        """The masked mean; a row without any key is 0."""
        return _four(masked_mean(allowed, like))


def masked_mean(allowed: Allowed, like: Tensor) -> Float[Tensor, "*#batch_head query key"]:
    """Row-normalised `allowed`: 1 / (number of allowed keys), 0 where a query may see nothing."""
    counts = allowed.sum(dim=-1, keepdim=True).clamp(min=1)
    return allowed.to(like.dtype) / counts.to(like.dtype)


class Fixed(PatternEdit):
    """A = theta, one trainable matrix a head, the same for every input; starts as the masked mean.

    A true parameter: it is part of `model.parameters()` and learns with the rest. Not normalised, as in the paper's
    token-mixing reading.

    Args:
        heads: number of matrices.
        queries: their rows.
        keys: their columns.
    """

    needs_weights = False
    stochastic = False

    def __init__(self, heads: int, queries: int, keys: int) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.empty(heads, queries, keys))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start from the mean again."""
        nn.init.constant_(self.theta, 1.0 / self.theta.shape[-1])

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Edited:
        """Theta on the allowed keys; rescaled so that at the start every row is the masked mean."""
        share = masked_mean(allowed, like) * allowed.shape[-1]
        return _four(self.theta.to(like.dtype) * share)


class FrozenMean(PatternEdit):
    """A = the mean raw pattern over calibration windows: keeps what depends on position, drops what on content."""

    needs_weights = False
    pattern: Tensor

    def __init__(self, pattern: Float[Tensor, "head query key"]) -> None:
        super().__init__()
        self.register_buffer("pattern", pattern)

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Edited:
        """The frozen pattern, zero where the mask hides."""
        return _four(self.pattern.to(like) * allowed)


class ContentOnly(PatternEdit):
    r"""What depends on content, around the plain mean: :math:`A - E[A] + \bar A`, rows still sum to one."""

    pattern: Tensor

    def __init__(self, pattern: Float[Tensor, "head query key"]) -> None:
        super().__init__()
        self.register_buffer("pattern", pattern)

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Edited:
        """The raw pattern with its mean over windows replaced by the masked mean over keys."""
        assert weights is not None
        return (weights - self.pattern.to(like)) * allowed + masked_mean(allowed, like)


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

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Edited:
        """The patterns, moved on by one along a random ring."""
        assert weights is not None
        return weights[self._source(weights)]

    def mix(self, weights: Weights | None, allowed: Allowed, values: Values) -> Mixed:
        """The same by moving the values, which are narrower than patterns, and the result back."""
        assert weights is not None
        source = self._source(weights)
        return torch.matmul(weights, values[torch.argsort(source)])[source]

    def _source(self, weights: Weights) -> Int[Tensor, " batch"]:
        """Whose pattern each member gets."""
        if not self.training:
            self._generator.manual_seed(self._seed)
        ring = torch.randperm(len(weights), generator=self._generator)
        source = torch.empty_like(ring)
        source[ring] = ring.roll(1)
        return source.to(weights.device)


class Noisy(PatternEdit):
    r"""Noise on the scores, relative to each row's own spread: :math:`s + c\,\mathrm{std}_k(s)\,N(0, 1)`.

    Scores are taken back from the pattern, :math:`s = \log A`, up to a constant a row that changes neither spread nor
    softmax. The noise of all passes comes from one stream: runs of different strength over
    the same batches meet the same noise.
    """

    def __init__(self, strength: float, seed: int) -> None:
        super().__init__()
        self.strength = strength
        self._seed = seed
        self._generator = torch.Generator().manual_seed(seed)

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Edited:
        """The pattern of the noisy scores."""
        assert weights is not None
        open_ = (weights > 0) & allowed
        scores = weights.clamp(min=torch.finfo(weights.dtype).tiny).log().masked_fill(~open_, 0.0)
        count = open_.sum(dim=-1, keepdim=True).clamp(min=1)
        mean = scores.sum(dim=-1, keepdim=True) / count
        spread = ((scores - mean).square() * open_).sum(dim=-1, keepdim=True).div(count).sqrt()
        noise = torch.randn(weights.shape, generator=self._generator, dtype=weights.dtype).to(weights.device)
        noisy = (scores + self.strength * spread * noise).masked_fill(~open_, float("-inf"))
        return torch.softmax(noisy, dim=-1).masked_fill(~open_.any(dim=-1, keepdim=True), 0.0)


class Smoothed(PatternEdit):
    r"""A moved towards the plain mean: :math:`(1 - \alpha) A + \alpha \bar A`."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Edited:
        """The smoothed pattern; rows still sum to one."""
        assert weights is not None
        return weights + self.strength * (masked_mean(allowed, like) - weights)

    def mix(self, weights: Weights | None, allowed: Allowed, values: Values) -> Mixed:
        """The mixed values moved towards their mean, which is the same without a second pattern."""
        assert weights is not None
        mean = values.mean(dim=-2, keepdim=True) if bool(allowed.all()) else masked_mean(allowed, values) @ values
        mixed = torch.matmul(weights, values)
        return mixed.lerp(mean.expand_as(mixed), self.strength)


class OnHeads(PatternEdit):
    """Another edit on chosen heads only; the other heads keep their raw pattern."""

    def __init__(self, inner: PatternEdit, heads: tuple[int, ...]) -> None:
        super().__init__()
        self.inner = inner
        self.chosen = list(heads)
        self.stochastic = inner.stochastic

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Edited:
        """The raw pattern with the chosen heads replaced."""
        assert weights is not None
        edited = self.inner(weights, allowed, like)
        chosen = torch.zeros(weights.shape[1], dtype=torch.bool, device=weights.device)
        chosen[self.chosen] = True
        return torch.where(chosen[:, None, None], edited, weights)

    def mix(self, weights: Weights | None, allowed: Allowed, values: Values) -> Mixed:
        """The raw mix, with the chosen heads mixed anew."""
        assert weights is not None
        return self.replace(torch.matmul(weights, values), weights, allowed, values)

    def replace(self, mixed: Mixed, weights: Weights | None, allowed: Allowed, values: Values) -> Mixed:
        """The chosen heads of what was mixed by the raw pattern; `weights` only if the inner edit needs them.

        Args:
            mixed: values mixed by the raw pattern, all heads.
            weights: the raw pattern; None unless the inner edit needs it.
            allowed: what the mask lets through.
            values: what is mixed.
        """
        edited = self.inner(weights if self.inner.needs_weights else None, allowed, values)
        chosen = torch.tensor(self.chosen).to(mixed.device)
        if edited.shape[1] > 1:
            edited = edited[:, chosen]
        return mixed.index_copy(1, chosen, torch.matmul(edited, values[:, chosen]))


class LastRows(PatternEdit):
    """Another edit on the last rows of a square pattern, whose other rows were edited in steps before.

    So a decoder that keeps keys and values (a cache) is edited as one that goes through the whole sequence again.
    """

    def __init__(self, inner: PatternEdit) -> None:
        super().__init__()
        self.inner = inner
        self.needs_weights, self.stochastic = inner.needs_weights, inner.stochastic

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Edited:
        """The last rows of the edited pattern."""
        queries = allowed.shape[-2]
        return self.inner(*_with_rows_before(weights, allowed), like)[..., -queries:, :]

    def mix(self, weights: Weights | None, allowed: Allowed, values: Values) -> Mixed:
        """The same, as the other edit mixes."""
        queries = allowed.shape[-2]
        return self.inner.mix(*_with_rows_before(weights, allowed), values)[..., -queries:, :]


def _with_rows_before(
    weights: Weights | None, allowed: Allowed
) -> tuple[Float[Tensor, "batch head key key"] | None, Bool[Tensor, "*#batch_head key key"]]:
    """As many rows as keys: those of steps before look nowhere."""
    queries, keys = allowed.shape[-2:]
    rows = (0, 0, keys - queries, 0)
    return None if weights is None else nn.functional.pad(weights, rows), nn.functional.pad(allowed, rows)


class OneKey(PatternEdit):
    """Another edit with all its weight moved to the first key: as if there were one token.

    All row-stochastic edits then equal the raw pattern, whatever they do to it; the identity test uses this.
    """

    def __init__(self, inner: PatternEdit) -> None:
        super().__init__()
        self.inner = inner
        self.needs_weights = inner.needs_weights

    def forward(self, weights: Weights | None, allowed: Allowed, like: Values) -> Edited:
        """Row sums in the first column."""
        edited = self.inner(weights, allowed, like)
        one = torch.zeros_like(edited)
        one[..., 0] = edited.sum(dim=-1)
        if isinstance(self.inner, Identity):  # a token that is hidden from itself has no row there to be moved
            hidden = ~_itself(allowed)
            one[..., 0] = torch.where(hidden, allowed.any(dim=-1).to(one.dtype), one[..., 0])
        return one
