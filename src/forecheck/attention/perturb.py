"""Disturbing attention patterns by degrees, and splitting them into what depends on position and on content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from forecheck.attention.pattern_edits import AttentionEdit
from forecheck.attention.patterns import ContentOnly, FrozenMean, Noisy, Smoothed
from forecheck.attention.sites import Site
from forecheck.errors import UsageError
from forecheck.nn.attention import PatternEdit


@dataclass(frozen=True)
class Noise(AttentionEdit):
    r"""Noise before the softmax, relative to the row's own spread: :math:`s + c\,\mathrm{std}_k(s)\,N(0, 1)`.

    Attributes:
        strength: c.
        seed: of the noise; equal seeds meet equal noise at every strength.

    Source: arXiv 2509.20942, module perturbation; with residual scores the clean ones go on to the next layer.
    """

    kind = "noise"
    draws: ClassVar[int] = 5
    strength: float = 1.0
    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.strength >= 0:
            raise UsageError(f"the strength of noise must not be negative, got {self.strength}")

    @property
    def label(self) -> str:
        """Strength, and where."""
        return f"noise {self.strength:g}{self.where}"

    def pattern(self, site: Site, means: Mapping[int, Tensor]) -> PatternEdit:
        """Noise from a stream of the site's own.

        Raises:
            UsageError: if the pattern is no softmax, so that no scores can be taken back from it.
        """
        if not getattr(site, "stochastic", True):
            raise UsageError(
                f"noise before the softmax needs one, and rows of the pattern of {site.path} do not sum to 1"
            )
        return Noisy(self.strength, 1_000_003 * self.seed + site.layer)


@dataclass(frozen=True)
class Smooth(AttentionEdit):
    r"""The pattern moved towards the plain mean: :math:`(1 - \alpha) A + \alpha / T`.

    Attributes:
        strength: alpha, from 0 (raw) to 1 (mean).

    Source: arXiv 2509.20942, module perturbation (the code released with it calls 1 - alpha the strength).
    """

    kind = "smooth"
    strength: float = 0.5
    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise UsageError(f"the strength of smoothing lies between 0 and 1, got {self.strength}")

    @property
    def label(self) -> str:
        """Strength, and where."""
        return f"smooth {self.strength:g}{self.where}"

    def pattern(self, site: Site, means: Mapping[int, Tensor]) -> PatternEdit:
        """The smoothed pattern."""
        return Smoothed(self.strength)


@dataclass(frozen=True)
class FreezeToMean(AttentionEdit):
    r"""Keep only one part of the pattern, :math:`A = E[A] + (A - E[A])` over training windows.

    Attributes:
        keep: `position` keeps E[A], which is the same for every window (as `Replace("frozen-mean")`); `content` keeps
            what differs from window to window, around the plain mean.
    """

    kind = "freeze"
    keep: Literal["position", "content"] = "position"
    layers: tuple[int, ...] | None = None
    heads: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.keep not in ("position", "content"):
            raise UsageError(f"a pattern has a position and a content part, no {self.keep!r}")

    @property
    def label(self) -> str:
        """What is kept, and where."""
        return f"{self.keep} only{self.where}"

    @property
    def needs_means(self) -> bool:
        """Whether the edit needs mean patterns: E[A] is one."""
        return True

    def pattern(self, site: Site, means: Mapping[int, Tensor]) -> PatternEdit:
        """The part that is kept."""
        part = FrozenMean if self.keep == "position" else ContentOnly
        return part(means[site.layer])
