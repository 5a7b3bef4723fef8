"""Disturbing whole sublayers by what they give: attention and feed-forward parts alike."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import ClassVar, get_args

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from forecheck.attention.adapters.native import native_sites
from forecheck.attention.edits import Edit
from forecheck.attention.means import mean_outputs
from forecheck.attention.parts import Part, PartName, find_parts
from forecheck.attention.sites import Attached
from forecheck.errors import UsageError
from forecheck.nn.attention import Attention
from forecheck.nn.kernels.base import Scores
from forecheck.nn.placed import doubles
from forecheck.nn.seeding import derive

Change = Callable[[Tensor], Tensor]
"""Maps the output y of a part, (..., feature), to what takes its place."""


@dataclass
class Meter:
    r"""How much an edit changed what a sublayer gives, over all passes: :math:`\|y' - y\| / \|y\|`."""

    changed: float | Tensor = 0.0
    raw: float | Tensor = 0.0

    def add(self, before: Tensor, after: Tensor) -> None:
        """Take in one pass."""
        before = before.detach()
        self.changed += doubles((after.detach() - before).square()).sum()
        self.raw += doubles(before.square()).sum()

    @property
    def relative(self) -> float:
        """The ratio of the norms; NaN before the first pass."""
        return math.sqrt(float(self.changed) / float(self.raw)) if float(self.raw) > 0 else math.nan


@dataclass(frozen=True)
class Disturbed(Attached):
    """A model whose sublayers are disturbed.

    Attributes:
        meters: by layer, how much the forecasts made so far met the edit.
    """

    meters: dict[int, Meter] = field(default_factory=dict)

    @property
    def relative_change(self) -> float:
        """Mean over the edited sublayers of the relative change of their output; NaN before the first forecast."""
        return sum(meter.relative for meter in self.meters.values()) / max(len(self.meters), 1)


class OutputEdit(Edit):
    """An edit of what sublayers give, before it is added to the residual stream.

    Attributes:
        layers: of which attention layers (0-based, in forward order), None for all.
    """

    part: PartName
    layers: tuple[int, ...] | None

    @property
    def where(self) -> str:
        """Part and layers in words."""
        return self.part + ("" if self.layers is None else f" layers {','.join(map(str, self.layers))}")

    def means(self, attached: Attached, parts: list[Part], calibration: Iterable[Tensor]) -> Mapping[int, Tensor]:
        """Mean outputs by layer, for edits that need them.

        Args:
            attached: the model.
            parts: the sublayers that the edit is put on.
            calibration: batches of training inputs.
        """
        return {}

    @abstractmethod
    def change(self, part: Part, means: Mapping[int, Tensor]) -> Change:
        """What the output of a part becomes."""

    @contextmanager
    def applied(self, attached: Attached, example: Tensor, calibration: Iterable[Tensor]) -> Iterator[Disturbed]:
        """Put the edit on every chosen part; yields what also tells how much it changed."""
        parts = find_parts(attached, example, self.part, self.layers)
        means = self.means(attached, parts, calibration)
        meters = {part.layer: Meter() for part in parts}
        handles: list[RemovableHandle] = []
        try:
            for part in parts:
                handles += part.on_output(_metered(self.change(part, means), meters[part.layer]))
            own = {each.name: getattr(attached, each.name) for each in fields(Attached)}
            yield Disturbed(**own, meters=meters)
        finally:
            for handle in handles:
                handle.remove()


def _metered(change: Change, meter: Meter) -> Change:
    def measured(y: Tensor) -> Tensor:
        changed = change(y)
        meter.add(y, changed)
        return changed

    return measured


def _check_part(part: str) -> None:
    if part not in get_args(PartName):
        raise UsageError(f"no part of a layer is called {part!r}", f"Known: {', '.join(get_args(PartName))}.")


@dataclass(frozen=True)
class Perturb(OutputEdit):
    r"""Noise on what a sublayer gives, relative to its size: :math:`y + c\,\mathrm{RMS}(y)\,N(0, 1)`.

    RMS is that of each token over its features, so every token is changed by the share c of its own norm, whatever
    part, layer or token it is: attention and feed-forward parts are disturbed alike.

    Attributes:
        part: `attention` or `feed-forward`.
        strength: c.
        layers: see `OutputEdit`.
        seed: of the noise; equal seeds meet equal noise at every strength.

    Source: arXiv 2509.20942 perturbs both parts in different ways, of different size; this is the same for both.
    """

    kind = "perturb"
    draws: ClassVar[int] = 5
    part: PartName = "attention"
    strength: float = 1.0
    layers: tuple[int, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        _check_part(self.part)
        if not 0 <= self.strength < math.inf:
            raise UsageError(f"the strength of a perturbation is a number from 0 up, got {self.strength}")

    @property
    def label(self) -> str:
        """Strength, and where."""
        return f"perturb {self.strength:g} {self.where}"

    def change(self, part: Part, means: Mapping[int, Tensor]) -> Change:
        """Noise from a stream of the part's own."""
        generator = torch.Generator().manual_seed(derive(self.seed, f"perturb {part.layer}"))

        def noisy(y: Tensor) -> Tensor:
            noise = torch.randn(y.shape, generator=generator, dtype=y.dtype).to(y.device)
            return y + self.strength * y.square().mean(dim=-1, keepdim=True).sqrt() * noise

        return noisy


@dataclass(frozen=True)
class Ablate(OutputEdit):
    r"""What a sublayer gives replaced by its mean over training windows, :math:`y_{t} \leftarrow E[y_{t}]`.

    The mean is taken for every token position t and feature by itself, on the model without the edit. What is left
    is the same for every window.

    Attributes:
        part: `attention` or `feed-forward`.
        layers: see `OutputEdit`.
    """

    kind = "ablate"
    part: PartName = "attention"
    layers: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        _check_part(self.part)

    @property
    def label(self) -> str:
        """The name of the arm in reports: which parts of which layers."""
        return f"ablate {self.where}"

    def means(self, attached: Attached, parts: list[Part], calibration: Iterable[Tensor]) -> Mapping[int, Tensor]:
        """The mean outputs of all parts."""
        return mean_outputs(attached, parts, calibration)

    def change(self, part: Part, means: Mapping[int, Tensor]) -> Change:
        """The mean over training windows in the place of the output."""
        mean, axis = means[part.layer], part.axis
        assert axis is not None

        def averaged(y: Tensor) -> Tensor:
            return mean.to(y).expand(*y.movedim(axis, -2).shape).movedim(-2, axis)

        return averaged


@dataclass(frozen=True)
class Remove(OutputEdit):
    """The attention sublayer is gone: nothing is added to the residual stream, no bias either.

    Post-hoc its output is 0. Retrained, the module is replaced by one without parameters.

    Attributes:
        layers: see `OutputEdit`.
    """

    kind = "remove"
    part: ClassVar[PartName] = "attention"  # type: ignore[misc]
    layers: tuple[int, ...] | None = None

    @property
    def label(self) -> str:
        """The name of the arm in reports: which parts of which layers."""
        return f"remove {self.where}"

    def change(self, part: Part, means: Mapping[int, Tensor]) -> Change:
        """Zeros in the place of the output."""
        return torch.zeros_like

    def install(self, module: nn.Module, example: Tensor) -> None:
        """Take the attention modules out of one of our models, parameters and all.

        Raises:
            UsageError: if there is no such layer.
        """
        sites = native_sites(module, example)
        beyond = [layer for layer in self.layers or () if not 0 <= layer < len(sites)]
        if beyond or not sites:
            there = f"attention layers 0 to {len(sites) - 1}, not {beyond[0]}" if sites else "no attention of ours"
            raise UsageError(f"the model has {there}")
        for site in sites:
            if self.layers is None or site.layer in self.layers:
                removed = NoAttention() if isinstance(site.attention, Attention) else NoMixing()
                module.set_submodule(site.path, removed)


class NoAttention(nn.Module):
    """In the place of an `Attention`: adds nothing, and hands on the scores of the layer below."""

    def forward(
        self,
        x: Float[Tensor, "batch token width"],
        mask: Bool[Tensor, "token token"] | None = None,
        bias: Scores | None = None,
        memory: Float[Tensor, "batch key width"] | None = None,
    ) -> tuple[Float[Tensor, "batch token width"], Scores | None]:
        """Zeros, and the scores that came.

        Args:
            x: tokens; only their size and type matter.
            mask: ignored.
            bias: scores of the layer before, handed on to the next.
            memory: ignored.
        """
        return torch.zeros_like(x), bias


class NoMixing(nn.Module):
    """In the place of a `Mixing`: adds nothing."""

    def forward(
        self, x: Float[Tensor, "*batch token width"], *others: Tensor | None
    ) -> Float[Tensor, "*batch token width"]:
        """Zeros of the size of `x`."""
        return torch.zeros_like(x)
