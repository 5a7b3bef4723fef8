"""LATST: its equation, and that log-sum-exp is softmax but for rounding."""

import torch
from torch import nn

from forecheck.attention.sites import attach
from forecheck.forecasters.base import Task
from forecheck.forecasters.latst import LATST, LATSTConfig
from forecheck.nn.seeding import initialise

L, H, C, D = 24, 5, 3, 4
TASK = Task(L, H, C)
SMALL = {"width": D, "hidden": 6, "layers": 2}


def module(**options):
    made = LATST(TASK, LATSTConfig(**SMALL, **options)).module.double()
    initialise(made, 0)
    return made.eval()


def windows(batch=4):
    return 3 + 2 * torch.randn(batch, L, C, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def by_hand(network, x):
    mean, scale = x.mean(dim=1, keepdim=True), (x.var(dim=1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    z = ((x - mean) / scale).mT
    for block in network.blocks:
        q, k, v = block.attention.project(z).chunk(3, dim=-1)
        scores = q @ k.mT / D**0.5
        largest = scores.amax(dim=-1, keepdim=True)
        lse = largest + (scores - largest).exp().sum(dim=-1, keepdim=True).log()
        u = z + block.attention.out((scores - lse).exp() @ v)
        z = u + block.feed_forward.outer(nn.functional.gelu(block.feed_forward.inner(u)))
    return network.head(z).mT * scale + mean


@torch.no_grad()
def test_forward_is_the_equation_step_by_step():
    network, x = module(), windows()
    torch.testing.assert_close(network(x), by_hand(network, x))


@torch.no_grad()
def test_softmax_is_the_same_forecast_but_for_rounding():
    x = windows()
    torch.testing.assert_close(module(kernel="softmax")(x), module()(x))


def test_audits_reach_attention_between_channels():
    network = module().float()
    with attach(network, windows().float()) as attached:
        assert [(site.queries, site.keys, site.heads) for site in attached.sites] == [(C, C, 1)] * 2
