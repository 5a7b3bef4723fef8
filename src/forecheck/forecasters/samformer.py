"""SAMformer: one attention between channels around a linear map, trained for flat minima."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from forecheck.forecasters.base import Task
from forecheck.forecasters.neural import NeuralForecaster
from forecheck.forecasters.registry import register
from forecheck.nn.attention import Attention
from forecheck.nn.kernels.named import KernelName
from forecheck.nn.norms import WindowNorm
from forecheck.training.recipe import Recipe, Schedule


@dataclass(frozen=True)
class SAMformerConfig(Recipe):
    """SAMformer's settings; the network's, the lookback of 512 and rho are the official code's, the rest is ours.

    Attributes:
        width: D, features of queries, keys and values (the code's hid_dim).
        heads: attention heads; the paper has one.
        kernel: attention kernel by name; `log-sum-exp` is the control for LATST.
        sam: rho of the official ETTh1 script; its others lie between 0.5 and 0.9.
    """

    width: int = 16
    heads: int = 1
    kernel: KernelName = "softmax"
    sam: float = 0.5
    lr: float = 1e-3
    batch: int = 32
    epochs: int = 100
    patience: int = 5
    schedule: Schedule = "cosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_positive("width", "heads")


class SAMformerModule(nn.Module):
    r"""The network; channels share all weights and have no order.

    .. math:: z_c = \frac{x_c - \mu_c}{s_c}, \qquad
        \hat y_c = s_c (W (z + A(z) \, z \, W_V W_O)_c + b) + \mu_c

    with z of one row a channel and A the softmax of :math:`z W_Q (z W_K)^\top / \sqrt D` between channels. As in the
    paper, W_V is (L, D) and W_O (D, L), where the official code has one (L, L) map in the place of both; window norm
    has no affine weights, theirs has.
    """

    def __init__(self, task: Task, config: SAMformerConfig) -> None:
        super().__init__()
        self.window_norm = WindowNorm()
        self.attention = Attention(task.lookback, config.heads, kernel=config.kernel, inner=config.width)
        self.head = nn.Linear(task.lookback, task.horizon)

    def forward(self, x: Float[Tensor, "batch lookback channel"]) -> Float[Tensor, "batch horizon channel"]:
        """Forecast all channels together."""
        z, mean, scale = self.window_norm(x)
        z = z.mT  # (batch, channel, lookback)
        mixed, _ = self.attention(z)
        y: Tensor = self.head(z + mixed)
        return y.mT * scale + mean


@register
class SAMformer(NeuralForecaster):
    """A linear forecast of every channel, corrected by what other channels say; no feed-forward part."""

    name = "samformer"
    summary = "one attention between channels around a linear map, trained by sharpness-aware minimisation"
    mixes = "channels, by attention; steps of one channel, by linear maps"
    source = "Ilbert et al. 2024, SAMformer: Unlocking the Potential of Transformers, arXiv 2402.10198"
    rank = 48
    Config = SAMformerConfig
    usual_lookback = 512
    Module = SAMformerModule
