"""LATST: attention between channels whose pattern is normalised by log-sum-exp, and a GELU perceptron after it."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from forecheck.forecasters.base import Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.registry import register
from forecheck.nn.attention import Attention
from forecheck.nn.dropout import Dropout
from forecheck.nn.feedforward import FeedForward
from forecheck.nn.kernels.named import KernelName
from forecheck.nn.norms import WindowNorm
from forecheck.training.recipe import Recipe, Schedule


@dataclass(frozen=True)
class LATSTConfig(Recipe):
    """LATST's settings; no hyper-parameter of the paper is known, so all defaults are ours, close to SAMformer's.

    Attributes:
        width: D, features of queries, keys and values.
        heads: attention heads.
        hidden: features of the perceptron.
        layers: blocks.
        dropout: rate after attention and in the perceptron.
        kernel: attention kernel by name; `softmax` is the control that differs by rounding alone.
    """

    width: int = 16
    heads: int = 1
    hidden: int = 16
    layers: int = 1
    dropout: float = 0.1
    kernel: KernelName = "log-sum-exp"
    lr: float = 1e-3
    batch: int = 32
    epochs: int = 100
    patience: int = 5
    schedule: Schedule = "cosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive("width", "heads", "hidden", "layers")


class LSEBlock(nn.Module):
    r"""Attention between channels, then a perceptron of every channel by itself.

    .. math::
        A_{ij} = \exp(s_{ij} - \mathrm{LSE}_k(s_{ik})), \quad s = z W_Q (z W_K)^\top / \sqrt D, \qquad
        u = z + D(A \, z \, W_V W_O), \qquad z' = u + D(W_2 D(\mathrm{GELU}(W_1 u)))

    A token is as wide as the window, so that what passes both shortcuts stays linear in it.

    Args:
        lookback: L, features of a token.
        config: of LATST.

    Source: LATST, log-sum-exp and GELU; shortcuts, dropout and the absence of token norms are a reconstruction.
    """

    def __init__(self, lookback: int, config: LATSTConfig) -> None:
        super().__init__()
        c = config
        self.attention = Attention(lookback, c.heads, kernel=c.kernel, inner=c.width)
        self.dropout = Dropout(c.dropout)
        self.feed_forward = FeedForward(lookback, c.hidden, c.dropout)

    def forward(self, z: Float[Tensor, "batch channel lookback"]) -> Float[Tensor, "batch channel lookback"]:
        """The next tokens."""
        mixed, _ = self.attention(z)
        u = self.dropout(mixed, z)
        return self.feed_forward(u, u)


class LATSTModule(nn.Module):
    r"""The network; channels share all weights and have no order.

    .. math:: z_c = \frac{x_c - \mu_c}{s_c}, \qquad \hat y_c = s_c \, (W \, \mathrm{blocks}(z)_c + b) + \mu_c
    """

    def __init__(self, task: Task, config: LATSTConfig) -> None:
        super().__init__()
        self.window_norm = WindowNorm()
        self.blocks = nn.Sequential(*(LSEBlock(task.lookback, config) for _ in range(config.layers)))
        self.head = nn.Linear(task.lookback, task.horizon)

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast all channels together."""
        z, mean, scale = self.window_norm(x)  # (batch, lookback, channel), twice (batch, 1, channel)
        z = self.blocks(z.mT)  # (batch, channel, lookback)
        y: Tensor = self.head(z)  # (batch, channel, horizon)
        return y.mT * scale + mean  # (batch, horizon, channel)


@register
class LATST(NeuralForecaster):
    """A small Transformer between channels, meant to train stably and to keep its pattern from collapsing.

    Known of the paper: channels are what attends, windows are normalised reversibly (RevIN), scores are normalised by
    the log-sum-exp trick, GELU is the activation, and the loss is the mean squared error. The rest is a
    reconstruction: where GELU stands, shortcuts, sizes and recipe; window norm has no affine weights. In exact
    arithmetic log-sum-exp is softmax, so a difference from `kernel=softmax` is rounding.
    """

    name = "latst"
    summary = "attention between channels, normalised by log-sum-exp, and a GELU perceptron, around a linear map"
    mixes = "channels, by attention; steps of one channel, by linear maps and a perceptron"
    source = "Liang 2024, LATST: Are Transformers Necessarily Complex for Time-Series Forecasting, arXiv 2410.23749"
    rank = 49
    Config = LATSTConfig
    usual_lookback = 512
    Module = LATSTModule
