"""The identity test: an adapter is believed only after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from forecheck.attention.beside import listed, unreached
from forecheck.attention.calls.wrapped import module_of
from forecheck.attention.patterns import Identity, Mean, OneKey, PassThrough
from forecheck.attention.response import heads_respond, rows_are_tokens
from forecheck.attention.sites import Attached, Subject, evaluating, why_no_pattern
from forecheck.nn.attention import PatternEdit

TOLERANCE = 1e-4
"""Largest relative difference that counts as rounding, in single precision."""


@dataclass(frozen=True)
class IdentityTest:
    """Largest relative differences of a forecast.

    Attributes:
        attached: between the untouched forecast and the one through the attached model, nothing edited.
        passing: between the untouched forecast and the one with every pattern taken the edited way, unchanged.
        one_token: between raw and edited forecasts when every pattern has its weight moved to one token, where all
            row-stochastic edits must equal raw. A site that says `stochastic = False` (rows of its raw patterns do not
            sum to one, as those of differential attention) has its raw weight moved in both.
        tolerance: largest difference that counts as rounding, by the type of the model's numbers.
        not_tokens: sites whose row i and column i are not of the same token, though there are as many of both: the
            identity is undefined there.
        not_heads: sites whose heads are windows or channels.
        unreached: what else mixes by weights that depend on the window, in words.
        hint: what to do if nothing changed and the forecast differs all the same.
    """

    attached: float
    passing: float
    one_token: float
    tolerance: float = TOLERANCE
    not_tokens: tuple[str, ...] = ()
    not_heads: tuple[str, ...] = ()
    unreached: str = ""
    hint: str = ""

    @property
    def worst(self) -> float:
        """The largest of the three."""
        return max(self.attached, self.passing, self.one_token)

    @property
    def passed(self) -> bool:
        """Whether all differences are rounding, and heads are heads."""
        return self.worst < self.tolerance and not self.not_heads

    @property
    def fault(self) -> str:
        """What is wrong, in words; empty if it passed."""
        if self.not_heads:
            return f"what is taken for heads of {', '.join(self.not_heads)} are windows or channels"
        for value, when in (
            (self.attached, "with nothing changed"),
            (self.passing, "with every pattern taken the edited way, unchanged,"),
            (self.one_token, "with all weight at one token, where edits must not matter,"),
        ):
            if not value < self.tolerance:
                return f"{when} the forecast differs by {value:.1e} of its size{self.hint}"
        return ""


@torch.no_grad()
def identity_test(subject: Subject, attached: Attached, example: Tensor) -> IdentityTest:
    """Run the identity test on the model itself, over windows of `example`.

    The untouched forecast is taken from the subject, around the adapter.

    Args:
        subject: the model, called without its adapter.
        attached: the same model as its adapter reached it.
        example: windows (batch, lookback, channel).
    """
    with evaluating(subject.module):
        untouched = subject(example)
    nothing = attached(example)
    passing = _edited(attached, example, PassThrough)
    one = _edited(attached, example, _one_key)
    makers: list[Callable[[], PatternEdit]] = [lambda: OneKey(Mean())]
    if all(site.queries == site.keys and not getattr(site, "across", False) for site in attached.sites):
        makers.append(lambda: OneKey(Identity()))
    differences = [_difference(_edited(attached, example, maker, _one_key), one) for maker in makers]
    native = attached.adapter == "native"  # its heads and tokens are known, and nothing but fixed weights beside them
    tokens = {site.layer: False for site in attached.sites if getattr(site, "across", False)}
    tokens = tokens if native else rows_are_tokens(attached, example) | tokens
    heads = {} if native else heads_respond(attached, example)
    return IdentityTest(
        _difference(nothing, untouched),
        _difference(passing, untouched),
        max(differences),
        _tolerance(subject),
        tuple(site.path for site in attached.sites if not tokens.get(site.layer, True)),
        tuple(site.path for site in attached.sites if not heads.get(site.layer, True)),
        listed(unreached(subject, attached, example)),
        _nested(subject),
    )


def _nested(subject: Subject) -> str:
    """The one way of torch that gives other forecasts by itself: tokens that are hidden at the end become zeros."""
    module = module_of(subject)
    for each in module.modules() if module is not None else ():
        if isinstance(each, nn.TransformerEncoder) and getattr(each, "use_nested_tensor", False):
            return " (nn.TransformerEncoder zeros hidden tokens by itself: build it with enable_nested_tensor=False)"
    return ""


def _tolerance(subject: Subject) -> float:
    """A few units of the last place of the type that the model computes in."""
    module = module_of(subject)
    types = {each.dtype for each in module.parameters() if each.is_floating_point()} if module is not None else set()
    return max([TOLERANCE, *(4 * torch.finfo(each).eps for each in types)])


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
            if why_no_pattern(site):  # only edits that do change something are defined there
                continue
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
