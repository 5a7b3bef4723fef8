"""Decoders that keep keys and values: edited and seen as if they went through the whole sequence at every step."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from transformers import LlamaConfig, LlamaModel

from forecheck.attention.identity import identity_test
from forecheck.attention.replace import Replace
from forecheck.attention.sites import Subject, attach
from forecheck.errors import UsageError

L, H, W = 6, 3, 8


class Attention(nn.Module):
    def __init__(self, fused, cached):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(W, W) for _ in range(4))
        self.fused, self.cached, self.kept = fused, cached, None

    def forward(self, z):
        q, k, v = (each(z).unflatten(-1, (2, -1)).transpose(1, 2) for each in (self.q, self.k, self.v))
        if self.cached and self.kept is not None:
            k, v = (torch.cat(both, 2) for both in zip(self.kept, (k, v), strict=True))
        self.kept = k, v
        whole = q.shape[2] == k.shape[2]
        if self.fused:
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=whole)
        else:
            hidden = ~torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril(k.shape[2] - q.shape[2])
            mixed = torch.softmax((q @ k.mT).masked_fill(hidden, -torch.inf), -1) @ v
        return self.out(mixed.transpose(1, 2).flatten(2))


class Own(nn.Module):
    """A layer of somebody's own."""

    def __init__(self, fused, cached, attention=Attention):
        super().__init__()
        self.attention = attention(fused, cached)

    def begin(self):
        self.attention.kept = None

    def forward(self, z):
        return z + self.attention(z)


class Llama(nn.Module):
    """The library's decoder and its DynamicCache."""

    def __init__(self, cached):
        super().__init__()
        sizes = {"hidden_size": W, "intermediate_size": W, "num_hidden_layers": 2, "num_attention_heads": 2}
        self.body = LlamaModel(LlamaConfig(**sizes, num_key_value_heads=1, vocab_size=4, initializer_range=0.5))
        self.cached, self.kept = cached, None

    def begin(self):
        self.kept = None

    def forward(self, z):
        out = self.body(inputs_embeds=z, past_key_values=self.kept, use_cache=self.cached)
        self.kept = out.past_key_values
        return out.last_hidden_state


class Decoder(nn.Module):
    """Forecasts one step after the other."""

    def __init__(self, body, cached):
        super().__init__()
        self.embed, self.body, self.head = nn.Linear(1, W), body, nn.Linear(W, 1)
        self.cached = cached

    def forward(self, x):
        new, found = x.mT.reshape(-1, L, 1), []
        self.body.begin()
        for _ in range(H):
            found.append(self.head(self.body(self.embed(new))[:, -1:]))
            new = found[-1] if self.cached else torch.cat([new, found[-1]], 1)
        return torch.cat(found, 1).reshape(len(x), x.shape[2], H).mT


KINDS = {
    "written out": lambda cached: Own(False, cached),
    "fused": lambda cached: Own(True, cached),
    "llama": Llama,
}


def both(kind):
    """The same decoder with a cache and without."""
    made = []
    for cached in (True, False):
        torch.manual_seed(0)
        made.append(Decoder(KINDS[kind](cached), cached).eval())
    return made


def windows():
    return torch.randn(2, L, 2, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
@pytest.mark.parametrize("kind", KINDS)
def test_edits_are_those_of_the_same_decoder_without_a_cache(kind):
    x, found = windows(), []
    edits = [Replace(mode) for mode in ("identity", "shuffled")]
    for model in both(kind):
        with attach(model, x) as attached:
            if model.cached and kind != "fused":
                test = identity_test(Subject.of(model), attached, x)
                assert test.passed, test.fault
                assert not test.unreached
            found.append([attached(x)])
            for edit in (*edits, Replace("mean", heads=(1,))):
                with edit.applied(attached, x, ()) as edited:
                    found[-1].append(edited(x))
    for kept, whole in zip(*found, strict=True):
        torch.testing.assert_close(kept, whole)
    assert all((each - found[0][0]).abs().max() > 1e-4 for each in found[0][1:])


@torch.no_grad()
def test_the_pattern_of_steps_is_that_of_the_whole_sequence():
    x, seen = windows(), []
    for model in both("llama"):
        patterns = []
        with attach(model, x) as attached:
            assert [(site.queries, site.keys) for site in attached.sites] == [(L + H - 1, L + H - 1)] * 2
            attached.sites[1].observe(patterns.append)
            attached(x)
        seen.append(patterns)
        with Replace("frozen-mean").on(model, x, [x]) as edited:
            seen[-1].append(edited(x))
    for kept, whole in zip(*seen, strict=True):
        torch.testing.assert_close(kept, whole)


def test_steps_of_another_size_leave_the_identity_undefined():
    """A cache that forgets: what a step looks at is not known to end with the step itself."""

    class Forgets(Attention):
        def forward(self, z):
            if self.kept is not None:
                self.kept = tuple(each[:, :, 1 - L :] for each in self.kept)
            return super().forward(z)

    torch.manual_seed(0)
    model, x = Decoder(Own(False, True, Forgets), cached=True).eval(), windows()
    with torch.no_grad(), attach(model, x) as attached:
        test = identity_test(Subject.of(model), attached, x)
        assert test.passed, test.fault
        assert test.not_tokens
        with (
            pytest.raises(UsageError, match="identity is undefined there"),
            Replace("identity").applied(attached, x, ()),
        ):
            pass
