"""anchored-net: a small network learns what the closed forms leave, and is kept as far as it certainly helps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from forecheck.data.windows import Windows
from forecheck.forecasters.anchored import Anchored, AnchoredConfig
from forecheck.forecasters.base import FitReport, Task
from forecheck.forecasters.folds import order_of
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.registry import register
from forecheck.forecasters.stacking import certain_share, error_moments
from forecheck.nn.attention import Attention
from forecheck.nn.blocks import EncoderBlock
from forecheck.nn.dropout import Dropout
from forecheck.nn.feedforward import FeedForward
from forecheck.nn.normal_linear import NormalLinear
from forecheck.nn.norms import WindowNorm
from forecheck.nn.patches import PatchEmbedding
from forecheck.nn.positions import LearnedPositions
from forecheck.progress import Progress, within
from forecheck.training.recipe import Recipe, Schedule

_BASE = "base."
_FIRST = 0.1  # of all progress, what the closed forms take


@dataclass(frozen=True)
class AnchoredNetConfig(Recipe):
    """Options of anchored-net.

    Attributes:
        branch: what learns the residual: `attention` (a Transformer over patches) or `mlp` (the same without mixing
            between patches before the head).
        span: steps at the end of the window that the branch sees.
        patch: steps a patch; patches do not overlap.
        width: features a token.
        heads: attention heads.
        hidden: features of the feed-forward part.
        layers: blocks.
        dropout: rate after tokens, attention and feed-forward.
        kernel: attention kernel by name.
        level: confidence with which the branch must help to be kept.
        lookbacks: of the closed forms; see `AnchoredConfig`.
    """

    branch: Literal["attention", "mlp"] = "attention"
    span: int = 336
    patch: int = 16
    width: int = 32
    heads: int = 4
    hidden: int = 64
    layers: int = 2
    dropout: float = 0.3
    kernel: str = "softmax"
    level: float = 0.95
    lookbacks: tuple[int, ...] | list[int] = AnchoredConfig.lookbacks
    epochs: int = 20
    batch: int = 128
    lr: float = 3e-4
    schedule: Schedule = "decay"
    patience: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "lookbacks", tuple(self.lookbacks))
        self.check_positive("span", "patch", "width", "heads", "hidden", "layers")
        self.closed_form()  # refuses what it refuses

    def closed_form(self) -> AnchoredConfig:
        """Options of the closed forms."""
        return AnchoredConfig(lookbacks=self.lookbacks, level=self.level)


class FeedForwardBlock(nn.Module):
    """An encoder block without its attention.

    Args:
        width: features a token.
        hidden: features between the two maps.
        dropout: rate after both.
    """

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, hidden, dropout)

    def forward(self, tokens: Float[Tensor, "series token width"]) -> tuple[Float[Tensor, "series token width"], None]:
        """The next tokens; no scores."""
        return self.norm(self.feed_forward(tokens, tokens)), None


class AnchoredNetModule(nn.Module):
    r"""The network.

    .. math:: \hat y_c = V_c^\top x_c + b_c + g \, s_c \, f\Big(\frac{x_c - \mu_c}{s_c}\Big)

    with the map V and the intercept b of the closed forms, which are not trained, and mean and spread of the last
    `span` steps.

    Attributes:
        share: g, 1 while training.
        anchor_map: V with b as its last row, (channel, lookback + 1, horizon); made from the closed forms, not saved.
    """

    share: Tensor
    anchor_map: Tensor

    def __init__(self, task: Task, config: AnchoredNetConfig) -> None:
        super().__init__()
        c = config
        self.span = min(c.span, task.lookback)
        patch = min(c.patch, self.span)
        self.window_norm = WindowNorm()
        self.embed = PatchEmbedding(self.span, patch, patch, c.width, padding=False)
        self.positions = LearnedPositions(self.embed.tokens, c.width)
        self.dropout = Dropout(c.dropout)
        self.blocks = nn.ModuleList(
            EncoderBlock(Attention(c.width, c.heads, kernel=c.kernel), c.hidden, dropout=c.dropout, norm="layer")
            if c.branch == "attention"
            else FeedForwardBlock(c.width, c.hidden, c.dropout)
            for _ in range(c.layers)
        )
        self.head = NormalLinear(self.embed.tokens * c.width, task.horizon, std=1e-3)  # starts at the closed forms
        self.register_buffer("share", torch.ones(()))
        whole = torch.zeros(task.channels, task.lookback + 1, task.horizon)
        self.register_buffer("anchor_map", whole, persistent=False)

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast every channel by itself."""
        return self.anchor(x) + (self.share * self.residual(x) if not self.training else self.residual(x))

    def anchor(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """The closed forms' forecast."""
        return torch.einsum("blc,clh->bhc", x, self.anchor_map[:, :-1]) + self.anchor_map[:, -1].T

    def residual(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """What the branch adds to it."""
        z, _, scale = self.window_norm(x[:, -self.span :])
        tokens = self.embed(z.transpose(1, 2).flatten(0, 1))  # (batch*channel, token, width)
        tokens = self.dropout(self.positions(tokens))
        for block in self.blocks:
            tokens, _ = block(tokens)
        y: Tensor = self.head(tokens.flatten(1))  # (batch*channel, horizon)
        return rearrange(y, "(b c) h -> b h c", c=x.shape[2]) * scale


@register
class AnchoredNet(NeuralForecaster):
    """The closed forms of `anchored`, and a branch that has to earn its way in.

    The branch is trained on the residual; the first half of the validation windows decides when to stop, the second,
    a horizon later, how much of the branch is kept: the largest share whose gain over the closed forms is certain
    (`stacking.certain_share`, the test that audits use), none if none is. So a branch that learns nothing costs
    nothing, and `details["share"]` says what it was worth.

    Args:
        task, config, edit: as in `NeuralForecaster`.

    Source: this project; the network is that of Nie et al. 2023 with patches that do not overlap.
    """

    name = "anchored-net"
    summary = "anchored plus a small network on its residual, as far as it is certain to help"
    mixes = "steps of one channel, by linear maps; its patches, by attention"
    source = "this project; Nie et al. 2023, arXiv 2211.14730 (the network)"
    rank = 16
    Config = AnchoredNetConfig
    Module = AnchoredNetModule

    def __init__(self, task: Task, config: Any = None, edit: Any = None) -> None:
        super().__init__(task, config, edit)
        self.base = Anchored(task, self.config.closed_form())

    @property
    def parameters(self) -> int:
        """Those of the network, and those of the closed forms."""
        return super().parameters + self.base.parameters

    def fit(
        self,
        train_windows: Windows,
        validation: Windows,
        seed: int = 0,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> FitReport:
        """Fit the closed forms, train the branch, and see how much of it to keep.

        Args:
            train_windows, validation, seed, progress, checkpoint: as in `NeuralForecaster.fit`.
        """
        base = self.base.fit(train_windows.on("cpu"), validation.on("cpu"), seed, within(progress, 0, _FIRST))
        network = self._network
        network.anchor_map.copy_(self.base.affine_map())
        network.share.fill_(1.0)
        stopping, judging = halves(validation)
        report = super().fit(train_windows, stopping, seed, within(progress, _FIRST, 1), checkpoint)
        network.share.fill_(self._share(judging))
        details = report.details | {"share": float(network.share), "closed form": base.details}
        return FitReport(report.seconds + base.seconds, self.parameters, details)

    @property
    def _network(self) -> AnchoredNetModule:
        assert isinstance(self.module, AnchoredNetModule)
        return self.module

    @torch.no_grad()
    def _share(self, windows: Windows) -> float:
        """How much of the branch to keep."""
        network = self._network
        network.eval()
        parts = []
        for _, x, y in windows.batches(64):
            anchor = network.anchor(x) - y
            errors = torch.stack([anchor, anchor + network.residual(x)]).cpu().double()
            parts.append(
                error_moments(errors.transpose(2, 3), gaps=windows.targets is not None)
            )  # (window, channel, 2, 2)
        if not parts:
            return 0.0
        moments = torch.cat(parts).numpy()
        whole = np.broadcast_to(np.array([0.0, 1.0]), moments.shape[:3])
        return certain_share(moments, whole, order_of(windows), windows.overlap, self.config.level)

    def tensors(self) -> dict[str, Tensor]:
        """Weights of the network, and those of the closed forms."""
        return super().tensors() | {_BASE + key: value for key, value in self.base.tensors().items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `tensors` gave."""
        self.base.restore({key.removeprefix(_BASE): value for key, value in tensors.items() if key.startswith(_BASE)})
        super().restore({key: value for key, value in tensors.items() if not key.startswith(_BASE)})
        self._network.anchor_map.copy_(self.base.affine_map())


def halves(windows: Windows) -> tuple[Windows, Windows]:
    """The windows of the first half of all times, and those of the second whose targets share no time with the first's.

    Where there are too few times for that the second part is empty.
    """
    order = order_of(windows)
    count = int(order.max()) + 1
    half = count // 2 or count
    first, second = order < half, order >= half + windows.overlap - 1
    return replace(windows, origins=windows.origins[first]), replace(windows, origins=windows.origins[second])
