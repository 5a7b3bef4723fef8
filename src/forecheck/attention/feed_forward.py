"""Disturbing feed-forward parts as the paper does: noise on hidden units, and features moved towards their mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from forecheck.attention.edits import Edit
from forecheck.attention.outputs import Change, OutputEdit
from forecheck.attention.parts import Part, PartName, find_parts
from forecheck.attention.sites import Attached
from forecheck.errors import UsageError
from forecheck.nn.feedforward import FeedForward
from forecheck.nn.seeding import derive


def _where(layers: tuple[int, ...] | None) -> str:
    return "" if layers is None else f" layers {','.join(map(str, layers))}"


@dataclass(frozen=True)
class SmoothFeatures(OutputEdit):
    r"""What feed-forward parts give, moved towards one number a token: :math:`(1 - \alpha) y + \alpha \bar y`.

    The mean is over features, so at strength 1 all but one number of every token is lost; attention that is smoothed
    to the plain mean (`Smooth`) still hands on the mean of all values.

    Attributes:
        strength: alpha, from 0 (raw) to 1.
        layers: see `OutputEdit`.

    Source: arXiv 2509.20942, module perturbation: the companion of smoothed attention there.
    """

    kind = "smooth-features"
    part: ClassVar[PartName] = "feed-forward"  # type: ignore[misc]
    strength: float = 0.5
    layers: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise UsageError(f"the strength of smoothing lies between 0 and 1, got {self.strength}")

    @property
    def label(self) -> str:
        """Strength, and where."""
        return f"smooth features {self.strength:g}{_where(self.layers)}"

    def change(self, part: Part, means: Mapping[int, Tensor]) -> Change:
        """The output moved towards its mean over features."""
        return lambda y: y + self.strength * (y.mean(dim=-1, keepdim=True) - y)


@dataclass(frozen=True)
class NoiseHidden(Edit):
    r"""Noise on hidden units before the activation, relative to their spread: :math:`h + c\,\mathrm{std}(h)\,N(0, 1)`.

    The spread is over the hidden units of a token, so that c means for them what it means for attention scores in
    `Noise`.

    Attributes:
        strength: c.
        layers: of which attention layers the feed-forward parts (0-based, in forward order), None for all.
        seed: of the noise; equal seeds meet equal noise at every strength.

    Source: arXiv 2509.20942, module perturbation: the companion of noisy attention scores there.
    """

    kind = "noise-hidden"
    draws: ClassVar[int] = 5
    strength: float = 1.0
    layers: tuple[int, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.strength >= 0:
            raise UsageError(f"the strength of noise must not be negative, got {self.strength}")

    @property
    def label(self) -> str:
        """Strength, and where."""
        return f"noise hidden {self.strength:g}{_where(self.layers)}"

    @contextmanager
    def applied(self, attached: Attached, example: Tensor, calibration: Iterable[Tensor]) -> Iterator[Attached]:
        """Put noise into every chosen feed-forward part.

        Raises:
            UsageError: if a part is not one of ours, whose hidden units are known.
        """
        parts = find_parts(attached, example, "feed-forward", self.layers)
        if strange := [part.path for part in parts if not isinstance(part.module, FeedForward)]:
            raise UsageError(f"{strange[0]} is no feed-forward part of forecheck's own, whose hidden units are known")
        handles: list[RemovableHandle] = []
        try:
            handles += [part.module.register_forward_hook(self._noisy(part)) for part in parts]
            yield attached
        finally:
            for handle in handles:
                handle.remove()

    def _noisy(self, part: Part) -> Callable[[nn.Module, tuple[Any, ...], Tensor], Tensor]:
        """Gives what the part would give with noisy hidden units, from a stream of its own."""
        generator = torch.Generator().manual_seed(derive(self.seed, f"noise-hidden {part.layer}"))

        def computed_anew(module: nn.Module, args: tuple[Any, ...], _output: Tensor) -> Tensor:
            assert isinstance(module, FeedForward)
            hidden = module.inner(args[0])
            noise = torch.randn(hidden.shape, generator=generator, dtype=hidden.dtype).to(hidden.device)
            spread = hidden.std(dim=-1, keepdim=True, correction=0)
            y: Tensor = module.outer(nn.functional.gelu(hidden + self.strength * spread * noise))
            base = next(iter(args[1:2]), None)
            return y if base is None else base + y

        return computed_anew
