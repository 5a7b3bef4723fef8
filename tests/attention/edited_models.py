"""Tiny models for the tests of edits: our PatchTST, and foreign ones reached by hand."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from forecheck.attention.sites import Attached, Subject, attach, evaluating
from forecheck.data.windows import Windows
from forecheck.forecasters.base import Task
from forecheck.forecasters.patchtst import PatchTST, PatchTSTConfig
from forecheck.nn.attention import PatternEdit
from forecheck.nn.seeding import initialise

L, H, C = 16, 3, 2
TASK = Task(L, H, C)
TINY = {"patch": 4, "stride": 4, "width": 8, "heads": 2, "hidden": 12, "layers": 3, "epochs": 2, "batch": 8, "lr": 1e-2}


def config(**options):
    return PatchTSTConfig(**(TINY | options))


def windows_of(count=20, seed=0):
    values = np.random.default_rng(seed).normal(size=(count + L + H - 1, C)).cumsum(axis=0)
    return Windows(values / values.std(), L, H, np.arange(L, L + count))


def example():
    return windows_of().gather(slice(0, 2))[0]


def calibration():
    return [x for _, x, _ in windows_of().batches(6)]


def untrained(edit=None, seed=0, **options):
    """A forecaster with drawn weights; attention and codes are strong, so that every edit shows."""
    forecaster = PatchTST(TASK, config(**options), edit)
    initialise(forecaster.module, seed)
    with torch.no_grad():
        for block in forecaster.module.blocks:
            if hasattr(block.attention, "project"):
                block.attention.project.weight.mul_(3)
    forecaster.module.eval()
    return forecaster


def fitted(edit=None, seed=0, **options):
    forecaster = PatchTST(TASK, config(**options), edit)
    forecaster.fit(windows_of(), windows_of(seed=1), seed)
    return forecaster


def patterns(model, x):
    """Raw patterns of every layer in one forward pass."""
    with attach(model, x) as attached:
        return patterns_of(attached, x)


@torch.no_grad()
def patterns_of(attached, x):
    seen = []
    for site in attached.sites:
        site.observe(seen.append)
    attached(x)
    for site in attached.sites:
        site.observe(None)
    return seen


class Failed(Exception):  # noqa: N818
    """Anything that goes wrong inside a block."""


def traces_left(model):
    """Hooks below a model, and those for all modules."""
    everywhere = torch.nn.modules.module
    own = [hook for each in model.modules() for hook in (*each._forward_hooks, *each._forward_pre_hooks)]
    return [*own, *everywhere._global_forward_hooks, *everywhere._global_forward_pre_hooks]


class Mixing(nn.Module):
    """Explicit attention from projected queries, keys and values; what to edit is an attribute."""

    def __init__(self, heads, causal=False):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.pattern, self.observe = None, None

    def forward(self, q, k, v):
        q, k, v = (each.unflatten(-1, (self.heads, -1)).transpose(-3, -2) for each in (q, k, v))
        allowed = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool)
        allowed = allowed.tril() if self.causal else allowed
        scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(~allowed, float("-inf"))
        weights = scores.softmax(-1)
        if self.observe is not None:
            self.observe(weights)
        if self.pattern is not None:
            weights = self.pattern(weights, allowed, v)
        return (weights @ v).transpose(-3, -2).flatten(-2)


class Layer(nn.Module):
    """Projections around `Mixing`, as the benchmark libraries' AttentionLayer: gives a tuple."""

    def __init__(self, width, heads, causal):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.inner = Mixing(heads, causal)

    def forward(self, x):
        return self.out(self.inner(self.query(x), self.key(x), self.value(x))), None


class ConvolutionBlock(nn.Module):
    """Post-norm block whose feed-forward part is two convolutions of size 1."""

    def __init__(self, width, heads, hidden, causal):
        super().__init__()
        self.attention = Layer(width, heads, causal)
        self.conv1, self.conv2 = nn.Conv1d(width, hidden, 1), nn.Conv1d(hidden, width, 1)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x):
        x = self.norm1(x + self.attention(x)[0])
        y = self.conv2(torch.relu(self.conv1(x.transpose(-1, 1)))).transpose(-1, 1)
        return self.norm2(x + y)


class InlineBlock(nn.Module):
    """Pre-norm block with all maps its own, and a gated feed-forward part."""

    def __init__(self, width, heads, hidden, causal):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.inner = Mixing(heads, causal)
        self.gate, self.up = nn.Linear(width, hidden), nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x):
        z = self.norm1(x)
        x = x + self.out(self.inner(self.query(z), self.key(z), self.value(z)))
        z = self.norm2(x)
        return x + self.down(torch.tanh(self.gate(z)) * self.up(z))


class Foreign(nn.Module):
    """A forecaster with one token a time step; codes are a parameter of its own, or there are none."""

    def __init__(self, block, *, hidden=12, layers=2, width=8, heads=2, causal=False, codes=True):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Linear(C, width)
        self.W_pos = nn.Parameter(torch.randn(L, width)) if codes else None
        self.layers = nn.ModuleList([block(width, heads, hidden, causal) for _ in range(layers)])
        self.head = nn.Linear(L * width, H * C)

    def forward(self, x):
        z = self.embed(x)
        z = z if self.W_pos is None else z + self.W_pos
        for layer in self.layers:
            z = layer(z)
        return self.head(z.flatten(1)).view(len(x), H, C)


class TorchModel(nn.Module):
    """torch's own encoder, with batches first or not."""

    def __init__(self, *, norm_first=False, batch_first=True, hidden=12, layers=2):
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Linear(C, 8)
        self.batch_first = batch_first
        layer = nn.TransformerEncoderLayer(8, 2, hidden, norm_first=norm_first, batch_first=batch_first)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(L * 8, H * C)

    def forward(self, x):
        z = self.embed(x)
        z = self.encoder(z) if self.batch_first else self.encoder(z.transpose(0, 1)).transpose(0, 1)
        return self.head(z.flatten(1)).view(len(x), H, C)


@dataclass
class MixingSite:
    """A `Mixing`: its output projection lies outside."""

    path: str
    layer: int
    module: nn.Module
    queries: int = L
    keys: int = L
    heads: int = 2
    projected: bool = False

    def edit(self, pattern: PatternEdit | None):
        self.module.pattern = pattern

    def observe(self, callback):
        self.module.observe = callback


class HookSite(MixingSite):
    """A whole attention module of a library, whose pattern is out of reach; it is only seen."""

    def __init__(self, path, layer, module, queries=L, keys=None):
        super().__init__(path, layer, module, queries, queries if keys is None else keys, projected=True)
        self.handle = None

    def observe(self, callback):
        if self.handle is not None:
            self.handle.remove()
        self.handle = None
        if callback is not None:
            self.handle = self.module.register_forward_pre_hook(lambda *_: callback(torch.zeros(0)))


@contextmanager
def by_hand(model, kind, **options):
    """Attach every module of a class, in the order of registration; each is a site."""
    found = [(path, each) for path, each in model.named_modules() if isinstance(each, kind)]
    site = MixingSite if kind is Mixing else HookSite
    with evaluating(model):
        yield Attached("hand", [site(path, i, each, **options) for i, (path, each) in enumerate(found)], model)


class HandAdapter:
    """Reaches every `Mixing`."""

    name = "hand"

    def wrap(self, model, horizon):
        return None

    @contextmanager
    def attach(self, subject, example):
        with by_hand(subject.module, Mixing) as attached:
            yield attached


def subject(model):
    """A foreign model as the edits' `on` takes it."""
    return Subject(model, model, HandAdapter())
