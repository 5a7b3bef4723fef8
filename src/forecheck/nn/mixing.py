"""A sublayer that mixes tokens without forming a pattern, and forms it where somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from forecheck.nn.attention import PatternEdit


class Mixing(nn.Module):
    """What the ways of mixing share whose pattern can be seen and edited, but is not formed otherwise.

    Attributes:
        edit: an intervention on the pattern, or None.
        observe: called with the raw pattern of every forward pass, or None.
        stochastic: whether rows of the raw pattern sum to one.
        across: whether the last pass looked at a memory instead of the tokens themselves.
        no_pattern: why there is no pattern; empty if there is one.
    """

    stochastic: bool = True
    across: bool = False
    no_pattern: str = ""

    def __init__(self) -> None:
        super().__init__()
        self.edit: PatternEdit | None = None
        self.observe: Callable[[Tensor], None] | None = None

    def mixed(
        self,
        raw: Callable[[], Float[Tensor, "batch head query width"]],
        weights: Callable[[], Float[Tensor, "batch head query key"]],
        allowed: Callable[[], Bool[Tensor, "query key"]],
        values: Float[Tensor, "batch head key width"],
    ) -> Float[Tensor, "batch head query width"]:
        """Values mixed as they are, or as the edit has it; what is not needed is not computed.

        Args:
            raw: gives the mixed values without an edit.
            weights: gives the raw pattern.
            allowed: gives where a query may look.
            values: what is mixed.
        """
        edit = self.edit
        needed = edit is not None and edit.needs_weights
        pattern = weights() if needed or self.observe is not None else None
        if self.observe is not None and pattern is not None:
            self.observe(pattern.detach())
        return raw() if edit is None else edit.mix(pattern if needed else None, allowed(), values)

    def whole(
        self,
        raw: Callable[[], Float[Tensor, "batch query width"]],
        own: Callable[[], Float[Tensor, "batch key width"]],
        heads: int,
        queries: int,
    ) -> Float[Tensor, "batch query width"]:
        """Values mixed where no pattern can say how: as they are, or as an edit that needs no pattern has it.

        Observers, which learn by it that the sublayer was passed, get a pattern of NaN.

        Args:
            raw: gives the mixed values without an edit.
            own: gives what every token takes from itself alone; zeros where tokens look at others.
            heads: their number.
            queries: tokens that look.

        Raises:
            ValueError: if the edit is one of patterns.
        """
        edit = self.edit
        if edit is None and self.observe is None:
            return raw()
        alone = own()[:, None]
        batch, _, keys, _ = alone.shape
        if self.observe is not None:
            self.observe(alone.new_full((), torch.nan).expand(batch, heads, queries, keys))
        if edit is None:
            return raw()
        if not edit.of_sublayer:
            raise ValueError(f"{type(edit).__name__} edits a pattern, but {self.no_pattern}")
        return edit.mix(None, everywhere(queries, keys, alone), alone)[:, 0]


def everywhere(queries: int, keys: int, like: Tensor) -> Bool[Tensor, "query key"]:
    """Every query may look at every key.

    Args:
        queries: number of query tokens.
        keys: number of key tokens.
        like: a tensor on the device to use.
    """
    return torch.ones(queries, keys, dtype=torch.bool, device=like.device)
