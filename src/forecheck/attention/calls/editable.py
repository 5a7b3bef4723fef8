"""Attention written out, with a place where its pattern can be edited: for libraries that let it be replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from forecheck.nn.attention import PatternEdit

# Masks that are added to the scores hide by huge negative numbers, which differ between libraries. A score this far
# below the others has no weight in any floating-point type, and no learned bias is as large.
_HIDDEN = -1e4


@dataclass
class EditableSite:
    """An attention module whose mixing is done by `attend`.

    A module that is called with fewer tokens than the site has (a decoder that grows step by step) is edited as
    the upper left part of its full pattern; only passes of full size are observed. Where keys and values of steps
    before are kept (a cache), a step is edited as the next rows of that pattern, which is observed when it is whole.
    """

    path: str
    layer: int
    heads: int
    queries: int
    keys: int
    module: nn.Module | None
    projected: bool = True
    kept: bool = False
    _rows: list[Tensor] = field(default_factory=list)
    _edit: PatternEdit | None = None
    _callback: Callable[[Tensor], None] | None = None

    def edit(self, pattern: PatternEdit | None) -> None:
        """Put an edit on the pattern, or take it off."""
        self._edit = pattern.eval() if pattern is not None else None

    def observe(self, callback: Callable[[Tensor], None] | None) -> None:
        """Hand raw patterns to `callback`."""
        self._callback = callback

    @property
    def touched(self) -> bool:
        """Whether there is an edit or an observer."""
        return self._edit is not None or self._callback is not None

    def grow(self, queries: int, keys: int) -> None:
        """Take note of a pass of this size: with a cache a step adds its own keys to those before it."""
        self.kept |= self.queries == self.keys == keys - queries > 0
        queries = keys if self.kept else queries
        self.queries, self.keys = max(self.queries, queries), max(self.keys, keys)

    def attend(
        self,
        q: Float[Tensor, "batch head query width"],
        k: Float[Tensor, "batch group key width"],
        v: Float[Tensor, "batch group key width"],
        mask: Tensor | None,
        *,
        scaling: float | None = None,
        bias: Tensor | None = None,
        dropout: float = 0.0,
    ) -> tuple[Float[Tensor, "batch head query width"], Tensor | None]:
        r"""Mix values by the pattern, or by what the edit makes of it.

        .. math:: A = \mathrm{softmax}(c\, Q K^\top + B + M), \qquad \mathrm{out} = A V

        Args:
            q: queries.
            k: keys; a group of heads may share them.
            v: values, likewise.
            mask: M to be added to the scores, or True where a query may look; broadcast over batch and head.
            scaling: c, 1 / sqrt(width) if None.
            bias: B, position bias.
            dropout: probability on the pattern.

        Returns:
            What is mixed, and the raw pattern if it was needed.
        """
        groups = q.shape[1] // k.shape[1]
        if groups > 1:
            k, v = k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)
        allowed = _allowed_keys(mask, q, k)
        edit, weights = self._edit, None
        if edit is None or edit.needs_weights or self._callback is not None:
            weights = _pattern(q, k, mask, scaling, bias)
            self._observed(weights.detach())
        if edit is None or not allowed.numel():
            assert weights is not None
            return torch.matmul(nn.functional.dropout(weights, dropout), v) if dropout else torch.matmul(
                weights, v
            ), weights
        raw = weights if edit.needs_weights else None
        before = max(k.shape[2] - q.shape[2], 0) if self.kept else 0
        rows, columns = max(self.queries - q.shape[2] - before, 0), max(self.keys - k.shape[2], 0)
        if before or rows or columns:
            size = (0, columns, before, rows)
            raw = None if raw is None else nn.functional.pad(raw, size)
            allowed, v = nn.functional.pad(allowed, size), nn.functional.pad(v, (0, 0, 0, columns))
        if dropout:
            edited = edit(raw, allowed, v).expand(*v.shape[:2], -1, -1)
            mixed = torch.matmul(nn.functional.dropout(edited, dropout), v)
        else:
            mixed = edit.mix(raw, allowed, v)
        return mixed[:, :, before : before + q.shape[2]], weights

    def _observed(self, weights: Float[Tensor, "batch head query key"]) -> None:
        """Hand on a pattern of full size, put together from its rows where these come step by step."""
        if self._callback is None:
            return
        if self.kept:
            whole = weights.shape[2] == weights.shape[3]
            rows = nn.functional.pad(weights, (0, self.keys - weights.shape[3]))
            self._rows = [rows] if whole else [*self._rows, rows]
            if weights.shape[3] < self.keys:
                return
            weights, self._rows = torch.cat(self._rows, dim=2), []
        if weights.shape[2:] == (self.queries, self.keys):
            self._callback(weights)


def _allowed_keys(mask: Tensor | None, q: Tensor, k: Tensor) -> Bool[Tensor, "#batch #head query key"]:
    """What a mask lets through. A row without any key looks at all of them, as the softmax of equal scores does."""
    queries, keys = q.shape[2], k.shape[2]
    if mask is None:
        return q.new_ones(1, 1, queries, keys, dtype=torch.bool)
    shown = mask[..., :keys]
    shown = shown if shown.dtype == torch.bool else shown > _HIDDEN
    return (shown | ~shown.any(dim=-1, keepdim=True)).expand(*shown.shape[:2], queries, keys)


def _pattern(
    q: Float[Tensor, "batch head query width"],
    k: Float[Tensor, "batch head key width"],
    mask: Tensor | None,
    scaling: float | None,
    bias: Tensor | None,
) -> Float[Tensor, "batch head query key"]:
    """The raw pattern; see `EditableSite.attend` for the arguments."""
    scores = torch.matmul(q, k.mT) * (q.shape[-1] ** -0.5 if scaling is None else scaling)
    if bias is not None:
        scores = scores + bias
    if mask is not None:
        mask = mask[..., : k.shape[2]]
        # The lowest number instead of minus infinity: a row without any key is even, not NaN.
        hides = mask.dtype == torch.bool
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min) if hides else scores + mask
    return torch.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype)
