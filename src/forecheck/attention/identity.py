"""The identity test: an adapter is believed only after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from forecheck.attention.patterns import Identity, Mean, OneKey, PassThrough
from forecheck.attention.sites import Attached, Subject, evaluating
from forecheck.nn.attention import PatternEdit

TOLERANCE = 1e-4
"""Largest relative difference that counts as rounding."""


@dataclass(frozen=True)
class IdentityTest:
    """Largest relative differences of a forecast.

    Attributes:
        attached: between the untouched forecast and the one through the attached model, nothing edited.
        passing: between the untouched forecast and the one with every pattern taken the edited way, unchanged.
        one_token: between raw and edited forecasts when every pattern has its weight moved to one token, where all
            row-stochastic edits must equal raw. A site that says `stochastic = False` (rows of its raw patterns do not
            sum to one, as those of differential attention) has its raw weight moved in both.
    """

    attached: float
    passing: float
    one_token: float

    @property
    def worst(self) -> float:
        """The largest of the three."""
        return max(self.attached, self.passing, self.one_token)

    @property
    def passed(self) -> bool:
        """Whether all differences are rounding."""
        return self.worst < TOLERANCE


@torch.no_grad()
def identity_test(subject: Subject, attached: Attached, example: Tensor) -> IdentityTest:
    """Run the identity test on the model itself, over windows of `example`.

    The untouched forecast is taken from the subject, around the adapter.
    """
    with evaluating(subject.module):
        untouched = subject(example)
    nothing = attached(example)
    passing = _edited(attached, example, PassThrough)
    one = _edited(attached, example, _one_key)
    makers: list[Callable[[], PatternEdit]] = [lambda: OneKey(Mean())]
    if all(site.queries == site.keys for site in attached.sites):
        makers.append(lambda: OneKey(Identity()))
    differences = [_difference(_edited(attached, example, maker, _one_key), one) for maker in makers]
    return IdentityTest(_difference(nothing, untouched), _difference(passing, untouched), max(differences))


def _one_key() -> PatternEdit:
    """All raw weight at the first key."""
    return OneKey(PassThrough())


def _edited(
    attached: Attached,
    example: Tensor,
    maker: Callable[[], PatternEdit],
    otherwise: Callable[[], PatternEdit] | None = None,
) -> Tensor:
    """The forecast with an edit on all sites, or with another on those whose rows do not sum to one."""
    try:
        for site in attached.sites:
            chosen = maker if otherwise is None or getattr(site, "stochastic", True) else otherwise
            site.edit(chosen())
        return attached(example)
    finally:
        for site in attached.sites:
            site.edit(None)


def _difference(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        return float("inf")
    scale = expected.abs().max().clamp(min=torch.finfo(expected.dtype).tiny)
    return float((found - expected).abs().max() / scale)
