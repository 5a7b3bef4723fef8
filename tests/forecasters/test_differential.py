"""The Differential Transformer for series: its equation, and remedies side by side in one contract."""

import math

import pytest
import torch

from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.differential import DifferentialConfig, DifferentialTransformer
from forecheck.nn.kernels.named import KERNELS
from forecheck.nn.positions import POSITIONS
from forecheck.nn.seeding import initialise
from forecheck.testing.networks import check_export, check_gradients, check_half_precision, check_ten_steps
from forecheck.testing.subject import Subject
from panels import TINY

TASK = Task(24, 4, 3)
SMALL = {"patch": 6, "stride": 3, "width": 8, "heads": 2, "hidden": 16, "layers": 2}


def module():
    made = DifferentialTransformer(TASK, DifferentialConfig(**SMALL)).module
    initialise(made, 0)
    return made.eval()


def rms(x, gain):
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * gain


def rotated(x):
    """Two features turn as one complex number, by one radian a token."""
    angle = torch.arange(x.shape[-2], dtype=torch.float32)
    turned = torch.view_as_complex(x.contiguous()) * torch.polar(torch.ones_like(angle), angle)
    return torch.view_as_real(turned)


def by_hand(made, x):
    """One series at a time, head by head."""
    forecasts = []
    for series in x.mT.flatten(0, 1):
        mean, scale = series.mean(), (series.var(unbiased=False) + 1e-5).sqrt()
        z = (series - mean) / scale
        padded = torch.cat([z, z[-1:].expand(3)])
        z = made.embed.embed(padded.unfold(0, 6, 3))
        for depth, block in enumerate(made.blocks):
            start = 0.8 - 0.6 * math.exp(-0.3 * depth)
            kernel, attention = block.attention.kernel, block.attention
            lam = (kernel.query1 @ kernel.key1).exp() - (kernel.query2 @ kernel.key2).exp() + start
            q, k, v = (rms(z, block.attention_norm.weight) @ attention.project.weight.T).chunk(3, dim=1)
            heads = []
            for h in (0, 4):
                first, second = (
                    torch.softmax(rotated(q[:, i : i + 2]) @ rotated(k[:, i : i + 2]).T / 2**0.5, dim=1)
                    for i in (h, h + 2)
                )
                mixed = (first - lam * second) @ v[:, h : h + 4]
                heads.append(rms(mixed, kernel.norm.weight) * (1 - start))
            z = z + torch.cat(heads, dim=1) @ attention.out.weight.T
            feed = block.feed_forward
            z = z + feed.outer(torch.nn.functional.gelu(feed.inner(rms(z, block.feed_forward_norm.weight))))
        forecasts.append(made.head(rms(z, made.norm.weight).flatten()) * scale + mean)
    return torch.stack(forecasts).view(len(x), 3, 4).mT


def test_forward_is_the_paper_step_by_step():
    made = module()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        x = 3 + 2 * torch.randn(2, 24, 3, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(made(x), by_hand(made, x), rtol=1e-4, atol=1e-4)


def test_attention_has_no_biases():
    names = {name for name, _ in module().named_parameters() if "attention" in name}
    assert not [name for name in names if "bias" in name]
    assert "blocks.0.attention.kernel.query1" in names


def test_every_layer_has_its_own_start():
    starts = [block.attention.kernel.start for block in module().blocks]
    assert starts == pytest.approx([0.2, 0.8 - 0.6 * math.exp(-0.3)])


OTHERS = [{"kernel": kernel, "positions": "recency"} for kernel in KERNELS]
OTHERS += [{"kernel": "softmax", "positions": positions} for positions in POSITIONS]


@pytest.mark.parametrize("options", OTHERS, ids=lambda options: "-".join(options.values()))
@pytest.mark.parametrize("check", [check_gradients, check_half_precision, check_ten_steps])
def test_every_kernel_and_all_positions_keep_the_contract_of_networks(options, check):
    check(Subject("patchtst", {key: TINY[key] for key in TINY} | options))


@pytest.mark.parametrize("kernel", ["linear", "log-sum-exp", "differential-simplified"])
def test_every_kernel_can_be_exported(kernel):
    check_export(Subject("patchtst", TINY | {"kernel": kernel, "positions": "score-bias"}))


def test_all_take_the_same_names():
    for name in ("patchtst", "itransformer", "transformer", "differential"):
        for options in ({"kernel": "linear"}, {"positions": "rope"}):
            registry.create(name, TASK, {"width": 8, "heads": 2, "hidden": 8, "layers": 1} | options)
