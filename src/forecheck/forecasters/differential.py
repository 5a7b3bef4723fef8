"""The Differential Transformer for series: over the patches of one channel, with positions in the scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from forecheck.forecasters.patchtst import PatchTST, PatchTSTConfig
from forecheck.forecasters.registry import register
from forecheck.nn.blocks import EncoderBlock, PreNormBlock
from forecheck.nn.kernels.named import KernelName
from forecheck.nn.norms import NORMS, NormName
from forecheck.nn.positions import Positions


@dataclass(frozen=True)
class DifferentialConfig(PatchTSTConfig):
    """PatchTST's settings with the Differential Transformer's block; half of PatchTST's heads, as in its paper.

    Attributes:
        norm: `rms` (the paper's), `layer` or `batch`.
        kernel: `differential` (the paper's), or any other.
        positions: `rope` (the paper's), or any other.
    """

    layer: ClassVar[type[EncoderBlock | PreNormBlock]] = PreNormBlock
    heads: int = 2
    norm: NormName = "rms"
    residual_scores: bool = False
    kernel: KernelName = "differential"
    positions: Positions = "rope"

    def last_norm(self) -> nn.Module:
        """As pre-norm layers leave tokens as they add up."""
        return NORMS[self.norm](self.width)


@register
class DifferentialTransformer(PatchTST):
    """Patches as tokens, attention by the difference of two patterns.

    The paper's, a language model: pre-norm layers with RMS norms, the differential kernel with a norm of every head,
    rotary positions, no biases in attention. Ours, for series: PatchTST's window norm, patches, flatten head and
    recipe; no causal mask; its feed-forward part with GELU, where the paper has SwiGLU.
    """

    name = "differential"
    summary = "Transformer over patches of one channel, whose attention is the difference of two patterns"
    mixes = "patches of one channel, by differential attention"
    source = "Ye et al. 2024, Differential Transformer, arXiv 2410.05258; for series: this project"
    rank = 54
    Config = DifferentialConfig
