"""Tiny forecasters, one a style of attention: (batch, lookback, channel) to (batch, horizon, channel)."""

import math

import torch
from torch import nn
from torch.nn import functional

B, L, H, C = 4, 6, 3, 2
WIDTH, HEADS = 8, 2


def example(batch=B, seed=0):
    return torch.randn(batch, L, C, generator=torch.Generator().manual_seed(seed))


def seeded(model, seed=0):
    """Weights large enough for patterns that are not flat."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.6)
    return model


class Forecaster(nn.Module):
    """Embed every step, run the blocks with residuals, map the last state to the horizon."""

    def __init__(self, *blocks):
        super().__init__()
        self.embed = nn.Linear(C, WIDTH)
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Linear(L * WIDTH, H * C)

    def forward(self, x):
        z = self.embed(x)
        for block in self.blocks:
            z = z + block(z)
        return self.head(z.flatten(1)).view(len(x), H, C)


class Heads(nn.Module):
    """Projections around `mix`, which maps q, k, v (batch, head, token, width) to the same."""

    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def split(self, z):
        return z.view(len(z), -1, HEADS, WIDTH // HEADS).transpose(1, 2)

    def qkv(self, z):
        return self.split(self.q(z)), self.split(self.k(z)), self.split(self.v(z))

    def forward(self, z):
        mixed = self.mix(*self.qkv(z))
        return self.out(mixed.transpose(1, 2).reshape(z.shape))


class Sdpa(Heads):
    def __init__(self, **options):
        super().__init__()
        self.options = options

    def mix(self, q, k, v):
        return functional.scaled_dot_product_attention(q, k, v, **self.options)


class Einsum(Heads):
    """As the benchmark libraries write it."""

    def __init__(self, mask=None):
        super().__init__()
        self.mask, self.dropout = mask, nn.Dropout(0.1)

    def mix(self, q, k, v):
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        scores = torch.einsum("blhe,bshe->bhls", q, k)
        if self.mask is not None:
            scores.masked_fill_(self.mask, -torch.inf)
        weights = self.dropout(torch.softmax(scores / math.sqrt(q.shape[-1]), dim=-1))
        return torch.einsum("bhls,bshd->blhd", weights, v).contiguous().transpose(1, 2)


class Matmul(Heads):
    def __init__(self, fill=None):
        super().__init__()
        self.fill = fill

    def mix(self, q, k, v):
        scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
        if self.fill is not None:
            scores = scores + torch.full(scores.shape[-2:], self.fill).triu(1)
        return scores.softmax(-1).to(v.dtype) @ v


class Bmm(Heads):
    """Batch and heads on one axis; softmax as a module."""

    def __init__(self, tell=True):
        super().__init__()
        if tell:
            self.num_heads = HEADS
        self.softmax = nn.Softmax(dim=-1)

    def mix(self, q, k, v):
        q, k, v = (x.flatten(0, 1) for x in (q, k, v))
        scores = torch.baddbmm(torch.zeros(1), q, k.mT, alpha=q.shape[-1] ** -0.5)
        return torch.bmm(self.softmax(scores), v).unflatten(0, (-1, HEADS))


class Turned(Heads):
    """Values times the transposed pattern."""

    def mix(self, q, k, v):
        weights = functional.softmax((q @ k.mT).float() * q.shape[-1] ** -0.5, dim=-1)
        return (v.mT @ weights.transpose(-1, -2)).mT


class Multihead(nn.Module):
    def __init__(self, call=None, **options):
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, **({"batch_first": True} | options))
        self.call = call or {}

    def forward(self, z):
        if not self.attention.batch_first:
            z = z.transpose(0, 1)
        out, _ = self.attention(z, z, z, **self.call)
        return out if self.attention.batch_first else out.transpose(0, 1)


class Encoder(nn.Module):
    def __init__(self, layers=2):
        super().__init__()
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 12, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers)

    def forward(self, z):
        return self.encoder(z)


class ResidualScores(nn.Module):
    """Raw scores of one layer go on to the next one, as in PatchTST."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Linear(C, WIDTH)
        self.layers = nn.ModuleList([Heads(), Heads()])
        self.head = nn.Linear(L * WIDTH, H * C)

    def forward(self, x):
        z, scores = self.embed(x), None
        for layer in self.layers:
            q, k, v = layer.qkv(z)
            raw = torch.matmul(q, k.mT) / 2
            scores = raw if scores is None else raw + scores
            mixed = torch.matmul(functional.softmax(scores, dim=-1), v)
            z = z + layer.out(mixed.transpose(1, 2).reshape(z.shape))
        return self.head(z.flatten(1)).view(len(x), H, C)


class Gate(nn.Module):
    """A mixture of experts: a softmax, and a product with it, but no tokens that look at tokens."""

    def __init__(self, *, content=False):
        super().__init__()
        self.gate, self.experts, self.content = nn.Linear(WIDTH, 3), nn.Linear(WIDTH, 3 * WIDTH), content
        self.keys = nn.Parameter(torch.zeros(3, WIDTH))

    def forward(self, z):
        scores = z @ self.keys.t() if self.content else self.gate(z)
        experts = self.experts(z).unflatten(-1, (3, WIDTH))
        return torch.einsum("bte,bted->btd", scores.softmax(-1), experts)


class Autoregressive(nn.Module):
    """Predicts step by step: the same attention is called H times, on sequences that grow."""

    def __init__(self, block):
        super().__init__()
        self.embed, self.block, self.head = nn.Linear(C, WIDTH), block, nn.Linear(WIDTH, C)

    def forward(self, x):
        for _ in range(H):
            z = self.embed(x)
            x = torch.cat([x, self.head((z + self.block(z))[:, -1:])], dim=1)
        return x[:, -H:]


def heads_of(block, z, weights):
    """Oracle: the output of a `Heads` whose pattern (batch, head, query, key) is `weights`."""
    v = block.split(block.v(z))
    return block.out((weights @ v).transpose(1, 2).reshape(z.shape))


def pattern_of(block, z, allowed=None):
    """Oracle: the raw pattern of a `Heads`."""
    q, k, _ = block.qkv(z)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -torch.inf)
    return scores.softmax(-1)
