"""Forecasting patch by patch from pairs of tokens: a channel's own patch and a mix of all channels (ARX)."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.nn.causal import CausalPart
from forecheck.nn.dropout import Dropout
from forecheck.nn.normal_linear import NormalLinear
from forecheck.nn.observed import squared_error
from forecheck.nn.rms_norm import RMSNorm

Centre = Literal["last", "window"]


class Normalised(NamedTuple):
    """A window in its own units, and what undoes them."""

    z: Float[Tensor, "batch lookback channel"]
    mean: Float[Tensor, "batch 1 channel"]
    scale: Float[Tensor, "batch 1 channel"]


def normalise(x: Float[Tensor, "batch lookback channel"], steps: int, centre: Centre = "last") -> Normalised:
    r"""A window by its last level and its spread.

    .. math:: z = (x - \mu) / \max(\sigma, 10^{-3})

    with the mean of the last `steps` steps (`last`, the official code) or of the whole window (`window`, the paper's
    appendix A.4), and the window's standard deviation (n - 1). The bound keeps a flat window from being divided by its
    rounding errors; standardised data seldom reach it.

    Args:
        x: windows.
        steps: at the end, whose mean is the level if `centre` is `last`.
        centre: `last` or `window`.
    """
    part = x[:, -steps:] if centre == "last" else x
    mean = part.mean(dim=1, keepdim=True)
    spread = (x - x.mean(dim=1, keepdim=True)).square().sum(dim=1, keepdim=True) / max(1, x.shape[1] - 1)
    scale = spread.sqrt().clamp_min(1e-3)
    return Normalised((x - mean) / scale, mean, scale)


class ArxTokens(nn.Module):
    r"""Two tokens a patch and channel: exogenous, then endogenous.

    .. math:: ex_{c,n} = N_1(W_1 (M P_n)_c), \qquad en_{c,n} = N_2(W_2 P_{n,c}), \qquad
        h = N(D(token) + position + channel)

    Patches :math:`P_n` are cut after zeros on the left that fill up the first one; M maps channels to channels at every
    step. Tokens lie as ex_1, en_1, ex_2, en_2, ..., channels in the batch.

    Args:
        lookback: L, steps of input.
        patch: steps a patch.
        channels: C.
        width: D, features a token.
        dropout: rate on tokens before their codes are added.
        exogenous: whether ex tokens hold anything but their codes.
        pairs: codes of the SAMoVAR family: one a pair of tokens, and one a role; else one a token.

    Source: Lu & Yang 2025 (SAMoVAR, arXiv 2502.07244), ARX tokenisation, by the official code.
    """

    def __init__(
        self,
        lookback: int,
        patch: int,
        channels: int,
        width: int,
        *,
        dropout: float,
        exogenous: bool = True,
        pairs: bool = True,
    ) -> None:
        super().__init__()
        self.patch, self.exogenous = patch, exogenous
        self.padding = -lookback % patch
        self.patches = (lookback + self.padding) // patch
        tokens = 2 * self.patches
        self.mix = NormalLinear(channels, channels)
        self.embed_mix, self.embed_own = NormalLinear(patch, width), NormalLinear(patch, width)
        self.mix_norm, self.own_norm = RMSNorm(width), RMSNorm(width)
        self.dropout = Dropout(dropout)
        self.position = nn.Parameter(torch.empty(self.patches if pairs else tokens, width))
        self.channel = nn.Parameter(torch.empty(channels, tokens, width))
        self.role = nn.Parameter(torch.empty(2, width)) if pairs else None
        self.channel_role = nn.Parameter(torch.empty(channels, 2, width)) if pairs else None
        self.norm = RMSNorm(width)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all codes from N(0, 0.02²)."""
        for code in self.parameters(recurse=False):
            nn.init.normal_(code, std=0.02)

    def patches_of(self, z: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch channel patch step"]:
        """Patches of every channel, oldest first."""
        return rearrange(nn.functional.pad(z, (0, 0, self.padding, 0)), "b (n s) c -> b c n s", s=self.patch)

    def codes(self) -> Float[Tensor, "channel token width"]:
        """What is added to the tokens."""
        if self.role is None or self.channel_role is None:
            return self.channel + self.position
        codes = self.channel + repeat(self.position, "n w -> (n role) w", role=2)
        return codes + (self.role + self.channel_role).repeat(1, self.patches, 1)

    def forward(self, patches: Float[Tensor, "batch channel patch step"]) -> Float[Tensor, "series token width"]:
        """Tokens of every window and channel, channels innermost."""
        own = self.own_norm(self.embed_own(patches))
        mixed = self.mix(rearrange(patches, "b c n s -> b n s c"))
        content = self.embed_mix(rearrange(mixed, "b n s c -> b c n s"))
        # Without content the norm is of zeros, which are zeros.
        context = self.mix_norm(content if self.exogenous else torch.zeros_like(content))
        tokens = rearrange([context, own], "role b c n w -> b c (n role) w")
        tokens = self.norm(self.dropout(tokens) + self.codes())
        return rearrange(tokens, "b c t w -> (b c) t w")


class ArxNetwork(nn.Module):
    r"""Tokens, a causal stack, and at every patch a forecast of the next one.

    .. math:: \hat P_{n+1} = W N(y_n) + b, \qquad \hat y = \sigma \hat P_{N+1} + \mu

    The horizon is one patch, so that the last prediction is the forecast, without rolling out.

    Args:
        tokens: makes them of patches.
        stack: maps (series, 2 patch, width) to (series, patch, width), the values at the endogenous tokens.
        centre: see `normalise`.
        next_patch: weight of the loss of the predictions before the last.
    """

    def __init__(
        self, tokens: ArxTokens, stack: nn.Module, *, centre: Centre = "last", next_patch: float = 1.0
    ) -> None:
        super().__init__()
        width = tokens.position.shape[1]
        self.tokens, self.stack = tokens, stack
        self.norm = RMSNorm(width)
        self.head = NormalLinear(width, tokens.patch)
        self.centre, self.next_patch = centre, next_patch

    def normalise(self, x: Float[Tensor, "batch lookback channel"]) -> Normalised:
        """The window in its own units."""
        return normalise(x, self.tokens.patch, self.centre)

    def predictions(
        self, patches: Float[Tensor, "batch channel patch step"]
    ) -> Float[Tensor, "batch channel patch step"]:
        """At every patch the next one, in the window's units."""
        y = self.head(self.norm(self.stack(self.tokens(patches))))
        return y.unflatten(0, patches.shape[:2])

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """The forecast."""
        z, mean, scale = self.normalise(x)
        return self.predictions(self.tokens.patches_of(z))[:, :, -1].mT * scale + mean

    def causal_part(self, x: Float[Tensor, "batch lookback channel"]) -> CausalPart:
        """From patches to next patches, in the window's units, which are made of all of it."""
        patches = self.tokens.patches_of(self.normalise(x).z)
        return CausalPart(patches.transpose(1, 2), lambda y: self.predictions(y.transpose(1, 2)).transpose(1, 2))

    def loss(
        self, x: Float[Tensor, "batch lookback channel"], y: Float[Tensor, "batch horizon channel"]
    ) -> Float[Tensor, ""]:
        r"""Mean squared error of the forecast, and of all next patches inside the window in its own units.

        .. math:: \mathrm{MSE}(\hat y, y) + w \, \mathrm{MSE}(\hat P_{2..N}, P_{2..N})

        The normalisation sees the whole window, so the second term peeks at later levels, as in the official code.
        """
        z, mean, scale = self.normalise(x)
        patches = self.tokens.patches_of(z)
        predicted = self.predictions(patches)
        loss = squared_error(predicted[:, :, -1].mT * scale + mean, y)
        if self.next_patch and patches.shape[2] > 1:
            loss = loss + self.next_patch * nn.functional.mse_loss(predicted[:, :, :-1], patches[:, :, 1:])
        return loss
