"""A place where attention is computed by torch functions, and how an edit of its pattern is carried out there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from forecheck.attention.patterns import LastRows, OnHeads
from forecheck.errors import UsageError
from forecheck.nn.attention import PatternEdit

# A key whose score is this far below the best one of its row is hidden: no weight of that size can be represented,
# and the fills in use (-inf, the type's lowest number, -1e9, -1e4) all lie below.
_HIDDEN = -5e3


def allowed_keys(scores: Float[Tensor, "*lead query key"]) -> Bool[Tensor, "*rest query key"]:
    """What the mask in the scores lets through; two axes only where nothing is hidden.

    A row of -inf alone allows nothing; a row of equal finite fills is a plain mean to the softmax, and allows all.
    """
    scores = scores.detach()
    if scores.numel() == 0:
        return torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device)
    low, high = torch.aminmax(scores)
    if low - high > _HIDDEN:
        return torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device)
    return scores - scores.amax(dim=-1, keepdim=True) > _HIDDEN


@dataclass
class CallSite:
    """The attention calls of one module, or one call of a plain function; a `forecheck.attention.sites.Site`.

    Attributes:
        queries: of the first call, as `keys`; later calls may have other sizes.
        style: which kind of call it is.
        pattern: the edit, or None.
        callback: the observer, or None.
        declared: the module itself says how many heads there are.
        splits: into how many parts features were split before: one of them may be the number of heads.
        stochastic: whether rows of the raw pattern sum to one.
        divided: whether the model divides what is given by the sums of rows afterwards, as linear attention does.
        heads_known: whether it is known which patterns of a batch are heads; if not, `heads` is 1.
        across: whether queries are known to be of other tokens than keys.
        grows: calls with fewer queries than keys are further steps of one sequence, whose keys and values were kept.
        length: keys of the last call, while all calls looked at one sequence; 0 if not.
    """

    style: str
    path: str
    layer: int
    heads: int
    queries: int
    keys: int
    module: nn.Module | None
    projected: bool
    pattern: PatternEdit | None = None
    callback: Callable[[Tensor], None] | None = None
    declared: bool = False
    splits: frozenset[int] = frozenset()
    stochastic: bool = True
    divided: bool = False
    heads_known: bool = True
    across: bool = False
    grows: bool = False
    length: int = 0

    def meet(self, queries: int, keys: int) -> None:
        """Take note of the sizes of a call.

        A step with a cache adds its own keys to those before it. Where a call is of some other size, row i and column
        i are not known to be of the same token.
        """
        if queries == keys:
            self.length = keys
            return
        step = 0 < self.length == keys - queries
        self.grows, self.length = self.grows or step, keys if step else 0
        self.across = self.across or (not step and self.queries == self.keys)

    def edit(self, pattern: PatternEdit | None) -> None:
        """Put an edit on the pattern, or take it off."""
        self.pattern = None if pattern is None else pattern.eval()  # as the model is while it is attached

    def observe(self, callback: Callable[[Tensor], None] | None) -> None:
        """Hand raw patterns to `callback`."""
        self.callback = callback

    @property
    def active(self) -> bool:
        """Whether calls go another way than the model's own."""
        return self.pattern is not None or self.callback is not None

    def mix(
        self,
        raw: Callable[[], Tensor],
        weights: Callable[[], Tensor],
        allowed: Callable[[], Tensor],
        values: Float[Tensor, "batch head key width"],
        dropout: float = 0.0,
    ) -> Float[Tensor, "batch head query width"]:
        """Values mixed as the edit has it; what is not needed is not computed.

        Args:
            raw: gives the mixed values without an edit (batch, head, query, width).
            weights: gives the raw pattern (batch, head, query, key).
            allowed: gives what the mask lets through, broadcast over batch and head.
            values: what is mixed.
            dropout: rate of a dropout on the pattern that is on.
        """
        edit = self.pattern
        pattern = self._raw(weights)
        if edit is None:
            return raw()
        let = allowed()
        self._check_size(edit, let)
        step = self.grows and let.shape[-2] < let.shape[-1]
        if isinstance(edit, OnHeads) and not dropout and not step:
            return edit.replace(raw(), pattern, let, values)
        if pattern is None and isinstance(edit, OnHeads):
            pattern = weights()
        edit = LastRows(edit) if step else edit
        if dropout:
            return torch.matmul(nn.functional.dropout(edit(pattern, let, values), dropout), values)
        return edit.mix(pattern, let, values)

    def replaced(
        self, weights: Float[Tensor, "batch head query key"], allowed: Callable[[], Tensor]
    ) -> Float[Tensor, "batch head query key"]:
        """The pattern to use, where values are mixed out of reach."""
        self._raw(lambda: weights)
        if self.pattern is None:
            return weights
        let = allowed()
        self._check_size(self.pattern, let)
        edit = LastRows(self.pattern) if self.grows and let.shape[-2] < let.shape[-1] else self.pattern
        return edit(weights if edit.needs_weights else None, let, weights.mT).expand(weights.shape)

    def _raw(self, weights: Callable[[], Tensor]) -> Tensor | None:
        """The raw pattern if anybody asks for it; observers get it."""
        edit = self.pattern.inner if isinstance(self.pattern, OnHeads) else self.pattern
        needed = edit is not None and edit.needs_weights
        pattern = weights() if needed or self.callback is not None else None
        if self.callback is not None and pattern is not None:
            self.callback(pattern.detach())
        return pattern if needed else None

    def _check_size(self, edit: PatternEdit, allowed: Tensor) -> None:
        """A pattern that is stored, such as a frozen one, has one size."""
        for stored in (*edit.buffers(), *edit.parameters()):
            if stored.dim() == 3 and stored.shape[1:] != allowed.shape[-2:]:
                ours, theirs = (" x ".join(map(str, shape)) for shape in (stored.shape[1:], allowed.shape[-2:]))
                raise UsageError(
                    f"the pattern of {self.path} changes its size from call to call ({ours}, then {theirs}), "
                    "so one stored pattern cannot stand in for it",
                    "Use an edit that is defined for every size: mean, zero or shuffled.",
                )
