"""SAMformer: its equation, its symmetry, its size, its control."""

import pytest
import torch

from forecheck.attention.replace import Replace
from forecheck.attention.sites import attach
from forecheck.errors import UsageError
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.samformer import SAMformer, SAMformerConfig
from forecheck.nn.seeding import initialise

TASK = Task(24, 4, 3)


def module(**options):
    made = SAMformer(TASK, SAMformerConfig(**({"width": 6} | options))).module
    initialise(made, 0)
    return made.eval()


def windows(batch=5):
    return 3 + 2 * torch.randn(batch, 24, 3, generator=torch.Generator().manual_seed(0))


def by_hand(made, x):
    """One window at a time, channels as rows."""
    forecasts = []
    for window in x:
        mean, scale = window.mean(0), (window.var(0, unbiased=False) + 1e-5).sqrt()
        z = ((window - mean) / scale).T
        q, k, v = made.attention.project(z).chunk(3, dim=1)
        pattern = torch.softmax(q @ k.T / 6**0.5, dim=1)
        forecasts.append((made.head(z + made.attention.out(pattern @ v)) * scale[:, None] + mean[:, None]).T)
    return torch.stack(forecasts)


def test_forward_is_the_papers_equation():
    made, x = module(), windows()
    torch.testing.assert_close(made(x), by_hand(made, x))


def test_sizes_and_recipe_are_as_documented():
    made = SAMformer(Task(512, 96, 7))
    count = sum(p.numel() for p in made.module.parameters())
    assert count == (512 * 48 + 48) + (16 * 512 + 512) + (512 * 96 + 96)
    assert (made.config.sam, made.usual_lookback, made.config.kernel) == (0.5, 512, "softmax")
    with pytest.raises(UsageError, match="width must be positive"):
        registry.create("samformer", TASK, {"width": 0})


def test_without_attention_it_is_linear_in_the_window_but_for_its_norm():
    made, x = module(), windows()
    with torch.no_grad(), Replace("zero").on(made, x) as edited:
        found = edited(x)
    z, mean, scale = made.window_norm(x)
    torch.testing.assert_close(found, made.head(z.mT + made.attention.out.bias).mT * scale + mean)
    with attach(made, x) as attached:
        assert attached.describe() == "1 attention sites through the native adapter (1 heads x 3 tokens)"


def test_the_log_sum_exp_kernel_is_a_control():
    made, x = module(), windows()
    control = module(kernel="log-sum-exp")
    control.load_state_dict(made.state_dict())
    torch.testing.assert_close(control(x), made(x))
