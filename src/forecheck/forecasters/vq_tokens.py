"""Forecasting codes: a causal Transformer over the codes of patches, trained to name the next one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.forecasters.base import Task
from forecheck.forecasters.registry import register
from forecheck.forecasters.vq import VQForecaster, VQRecipe
from forecheck.nn.attention import Attention
from forecheck.nn.blocks import EncoderBlock
from forecheck.nn.causal import CausalPart
from forecheck.nn.norms import WindowNorm
from forecheck.nn.patches import Patches
from forecheck.nn.positions import LearnedPositions
from forecheck.training.recipe import Schedule

_UNKNOWN = -100  # the label that cross-entropy leaves out


@dataclass(frozen=True)
class VQTokensConfig(VQRecipe):
    """Settings and recipe; width, heads, hidden, layers and dropout are those of TOTEM's forecaster.

    Attributes:
        patch: P, steps a code; old values that fill no patch are left out.
        width: D, features a token.
        heads: attention heads.
        hidden: features of the feed-forward part.
        layers: blocks.
        dropout: rate after attention and feed-forward.
        roll_out: `greedy`, the likeliest code at every step; or `expected`, the mean over all codes.
    """

    patch: int = 16
    width: int = 64
    heads: int = 4
    hidden: int = 256
    layers: int = 4
    dropout: float = 0.0
    roll_out: Literal["greedy", "expected"] = "expected"
    lr: float = 1e-3
    schedule: Schedule = "onecycle"
    epochs: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive("patch", "width", "heads", "hidden", "layers")


class VQTokensModule(nn.Module):
    r"""The network; channels share all weights.

    With codes :math:`k_t` of the patches of the normalised window, and of its target under the same normalisation

    .. math:: \mathcal L = -\sum_t \log p(k_{t+1} | k_1 \dots k_t), \qquad
        p = \mathrm{softmax}(\mathrm{head}(\mathrm{blocks}(W e_{k_1} + p_1, \dots, W e_{k_t} + p_t)))

    Forecast patches follow one by one: D(e) of the likeliest code, or its mean :math:`\sum_k p_k D(e_k)`; the code, or
    the mean code :math:`\sum_k p_k e_k`, is what the next one is made from.
    """

    causal: Tensor

    def __init__(self, task: Task, config: VQTokensConfig) -> None:
        super().__init__()
        c = config
        self.horizon, self.greedy = task.horizon, c.roll_out == "greedy"
        self.window_norm = WindowNorm()
        self.input = Patches(task.lookback, c.patch, c.patch, padding=False)
        if self.input.tokens + task.horizon // c.patch < 2:
            raise ValueError(f"a window and its target must fill two patches, but patch is {c.patch}")
        self.ahead = -(-task.horizon // c.patch)
        self.whole = task.horizon // c.patch * c.patch  # steps of a target that fill patches
        self.tokens = self.input.tokens + self.ahead - 1  # the last code is predicted, never read
        self.autoencoder = c.autoencoder(c.patch).requires_grad_(False)
        self.embed = nn.Linear(c.vq_width, c.width)
        self.positions = LearnedPositions(self.tokens, c.width)
        # Layer norm: statistics over a batch would mix in tokens that come later.
        self.blocks = nn.ModuleList(
            EncoderBlock(Attention(c.width, c.heads), c.hidden, dropout=c.dropout, norm="layer", attention_dropouts=1)
            for _ in range(c.layers)
        )
        self.head = nn.Linear(c.width, c.vq_codes)
        self.register_buffer("causal", torch.ones(self.tokens, self.tokens, dtype=torch.bool).tril(), persistent=False)

    def patches(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "patches patch"]:
        """Patches of normalised windows."""
        return self._cut(self.window_norm(x)[0]).flatten(0, 1)

    def _cut(self, z: Tensor) -> Tensor:
        return self.input.cut(rearrange(z, "b l c -> (b c) l"))

    def logits(self, codes: Float[Tensor, "series known width"]) -> Float[Tensor, "series known code"]:
        """What every code says of the next one; the places to come are filled up, and never looked at."""
        known = codes.shape[1]
        z = self.positions(self.embed(nn.functional.pad(codes, (0, 0, 0, self.tokens - known))))
        for block in self.blocks:
            z, _ = block(z, self.causal)
        logits: Tensor = self.head(z[:, :known])
        return logits

    def causal_part(self, x: Float[Tensor, "batch lookback channel"]) -> CausalPart:
        """From the codes of a window to what each says of the next."""
        return CausalPart(self.autoencoder.code(self._cut(self.window_norm(x)[0])), self.logits)

    def loss(
        self, x: Float[Tensor, "batch lookback channel"], y: Float[Tensor, "batch horizon channel"]
    ) -> Float[Tensor, ""]:
        """Mean cross-entropy of the next code, in nats.

        A last patch of the target that is not whole is left out, and so is one with a step that was never observed,
        with all that would have to be said from its code.
        """
        z, mean, scale = self.window_norm(x)
        patches = self._cut(z)
        target = rearrange(((y - mean) / scale)[:, : self.whole], "b h c -> (b c) h")
        unseen = torch.zeros(patches.shape[:2], dtype=torch.bool, device=patches.device)
        if self.whole:
            ahead = target.unflatten(1, (-1, patches.shape[2]))
            unseen = torch.cat([unseen, torch.isnan(ahead).any(dim=2)], dim=1)
            patches = torch.cat([patches, ahead.nan_to_num()], dim=1)
        quantiser = self.autoencoder.quantiser
        index = quantiser(self.autoencoder.encoder(patches))
        logits = self.logits(quantiser.codes[index[:, :-1]])
        unknown = unseen.cumsum(dim=1)[:, 1:] > 0
        named = index[:, 1:].masked_fill(unknown, _UNKNOWN)
        return nn.functional.cross_entropy(logits.flatten(0, 1), named.flatten(), ignore_index=_UNKNOWN)

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast every channel by itself."""
        z, mean, scale = self.window_norm(x)
        table = self.autoencoder.quantiser.codes
        decoded = self.autoencoder.decoder(table)  # (code, patch)
        codes = self.autoencoder.code(self._cut(z))
        forecast = []
        for _ in range(self.ahead):
            logits = self.logits(codes)[:, -1]
            share = torch.softmax(logits, dim=-1)
            if self.greedy:
                share = nn.functional.one_hot(logits.argmax(dim=-1), len(table)).to(share.dtype)
            forecast.append(share @ decoded)
            codes = torch.cat([codes, (share @ table)[:, None]], dim=1)
        y = torch.cat(forecast, dim=1)[:, : self.horizon]
        return rearrange(y, "(b c) h -> b h c", b=x.shape[0]) * scale + mean


@register
class VQTokens(VQForecaster):
    """Codes of patches, and a decoder-only Transformer that continues them."""

    name = "vq-tokens"
    summary = "causal Transformer over codes of patches, trained by cross-entropy on the next code"
    mixes = "codes of patches of one channel, by causal attention"
    source = "Zida et al. 2025, Why Attention Fails, arXiv 2509.20942, appendix; codes: van den Oord et al. 2017"
    rank = 65
    Config = VQTokensConfig
    Module = VQTokensModule
