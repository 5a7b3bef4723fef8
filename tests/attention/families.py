"""Twelve families of attention, each with the same edit made by hand in its own forward pass."""

import torch
from torch import nn
from torch.nn import functional

L, H, C, T, W, HEADS = 24, 6, 3, 6, 16, 2


def heads(z):
    """(batch, token, width) as (batch, head, token, width)."""
    return z.unflatten(-1, (HEADS, -1)).transpose(1, 2)


def joined(z):
    return z.transpose(1, 2).flatten(-2)


class Family(nn.Module):
    """Patches, one block, a linear head; `by_hand` is "mean" or "zero" where the pattern is replaced by hand."""

    cross = False

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.head = nn.Linear(L // T, W), nn.Linear(T * W, H)
        self.code = nn.Parameter(torch.randn(T, W))
        self.q, self.k, self.v, self.out = (nn.Linear(W, W) for _ in range(4))
        self.by_hand = None
        self.build()
        self.eval()

    def build(self):
        pass

    def parts(self, z):
        return self.q(z), self.k(z), self.v(z)

    def replaced(self, v, queries=T):
        """What any pattern gives by hand: v is (..., token, width)."""
        if self.by_hand == "identity":
            return v
        mean = v.mean(-2, keepdim=True).expand(*v.shape[:-2], queries, -1)
        return mean if self.by_hand == "mean" else torch.zeros_like(mean)

    def forward(self, x):
        z = self.embed(x.mT.reshape(-1, T, L // T)) + self.code
        z = z + self.out(self.mix(z))
        return self.head(z.flatten(1)).view(len(x), x.shape[-1], H).mT


class Softmax(Family):
    def mix(self, z):
        q, k, v = map(heads, self.parts(z))
        return joined(self.replaced(v) if self.by_hand else torch.softmax(q @ k.mT, -1) @ v)


class Fused(Family):
    def mix(self, z):
        q, k, v = map(heads, self.parts(z))
        return joined(self.replaced(v) if self.by_hand else functional.scaled_dot_product_attention(q, k, v))


class Module(Family):
    def build(self):
        self.attention = nn.MultiheadAttention(W, HEADS, batch_first=True)

    def mix(self, z):
        if not self.by_hand:
            return self.attention(z, z, z, need_weights=False)[0]
        weight, bias = self.attention.in_proj_weight[2 * W :], self.attention.in_proj_bias[2 * W :]
        return self.attention.out_proj(self.replaced(functional.linear(z, weight, bias)))


class CastToScores(Family):
    """Hugging Face's way: softmax in single precision, cast to the type of the scores."""

    def mix(self, z):
        q, k, v = map(heads, self.parts(z))
        scores = q @ k.mT
        weights = functional.softmax(scores.float(), dim=-1).type_as(scores)
        return joined(self.replaced(v) if self.by_hand else weights @ v)


class ExpOverSum(Family):
    def mix(self, z):
        q, k, v = map(heads, self.parts(z))
        scores = (q @ k.mT).exp()
        return joined(self.replaced(v) if self.by_hand else (scores / scores.sum(-1, keepdim=True)) @ v)


class KeysFirst(Family):
    """A softmax over the rows of keys, turned round before the product."""

    def mix(self, z):
        q, k, v = map(heads, self.parts(z))
        return joined(self.replaced(v) if self.by_hand else torch.softmax(k @ q.mT, dim=-2).mT @ v)


class HeadsInALoop(Family):
    """One module called once a head (the Temporal Fusion Transformer)."""

    def build(self):
        self.n_head, self.one = HEADS, One()
        self.qs, self.ks = (nn.ModuleList(nn.Linear(W, 8) for _ in range(HEADS)) for _ in range(2))

    def mix(self, z):
        v = self.v(z)
        if self.by_hand:
            return self.replaced(v)
        return torch.stack([self.one(q(z), k(z), v) for q, k in zip(self.qs, self.ks, strict=True)]).mean(0)


class One(nn.Module):
    def forward(self, q, k, v):
        return torch.bmm(torch.softmax(torch.bmm(q, k.mT), -1), v)


class HeadsOnTheBatch(Family):
    """Heads outer, batch inner, as in the first TensorFlow implementations."""

    def mix(self, z):
        q, k, v = (torch.cat(each.split(W // HEADS, dim=-1)) for each in self.parts(z))
        out = self.replaced(v) if self.by_hand else torch.softmax(q @ k.mT, -1) @ v
        return torch.cat(out.split(len(z)), dim=-1)


class Differential(Family):
    """A difference of two softmaxes, whose rows sum to one half."""

    def mix(self, z):
        q, k = heads(self.q(z)), heads(self.k(z))
        weights = torch.softmax(q @ k.mT, -1)
        v = self.v(z)
        return 0.5 * self.replaced(v) if self.by_hand else (weights[:, 0] - 0.5 * weights[:, 1]) @ v


class LearntQueries(Family):
    """Tokens that are no token of the window look at those of the window."""

    cross = True

    def build(self):
        self.query = nn.Parameter(torch.randn(T, W))

    def mix(self, z):
        k, v = self.k(z), self.v(z)
        weights = torch.softmax(self.query.expand(len(z), -1, -1) @ k.mT, -1)
        return self.replaced(v) if self.by_hand else weights @ v


class Inverted(Family):
    """Channels are the tokens (iTransformer)."""

    def build(self):
        self.embed, self.head = nn.Linear(L, W), nn.Linear(W, H)

    def forward(self, x):
        z = self.embed(x.mT)
        q, k, v = map(heads, self.parts(z))
        mixed = self.replaced(v, C) if self.by_hand else torch.softmax(q @ k.mT / 2, -1) @ v
        return self.head(z + self.out(joined(mixed))).mT


class ReluNormalised(Family):
    def mix(self, z):
        q, k, v = map(heads, self.parts(z))
        weights = torch.relu(q @ k.mT) + 1e-6
        return joined(self.replaced(v) if self.by_hand else (weights / weights.sum(-1, keepdim=True)) @ v)


FAMILIES = (
    Softmax,
    Fused,
    Module,
    CastToScores,
    ExpOverSum,
    KeysFirst,
    HeadsInALoop,
    HeadsOnTheBatch,
    Differential,
    LearntQueries,
    Inverted,
    ReluNormalised,
)
