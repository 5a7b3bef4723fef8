"""What mixes tokens by gates, step by step, is noticed; gates of single tokens and fixed weights are not."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from forecheck.attention.beside import listed, unreached
from forecheck.attention.sites import Attached, Subject

L, H, T, W = 24, 6, 6, 8


class Mixer(nn.Module):
    """Tokens, one mixer between two linear maps, a linear head."""

    def __init__(self, mix, inner=None):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.maps, self.head = nn.Linear(L // T, W), nn.Linear(W, 4 * W), nn.Linear(T * W, H)
        self.mix, self.inner = mix, inner

    def forward(self, x):
        z = self.embed(x.mT.reshape(-1, T, L // T))
        mixed = self.mix(*self.maps(z).chunk(4, -1)) if self.inner is None else self.mix(self.inner, z)
        return self.head((z + mixed).flatten(1)).reshape(len(x), -1, H).mT


def steps(update):
    def mix(a, b, c, d):
        state, found = torch.zeros_like(b[:, 0]), []
        for t in range(T):
            state = update(state, a[:, t].sigmoid(), b[:, t])
            found.append(state * d[:, t])
        return torch.stack(found, 1) + c

    return mix


def time_last(a, b, c, d):
    a, b = a.mT, b.mT
    state, found = torch.zeros_like(b[..., 0]), []
    for t in range(T):
        state = a[..., t].sigmoid() * state + b[..., t]
        found.append(state)
    return torch.stack(found, -1).mT + c + d


def receptance(r, k, v, w):
    """RWKV's way: weights and values added up apart, arXiv 2305.13048."""
    above = below = torch.zeros_like(v[:, 0])
    found = []
    for t in range(T):
        weight = k[:, t].exp()
        above, below = 0.9 * above + weight * v[:, t], 0.9 * below + weight
        found.append(r[:, t].sigmoid() * above / below)
    return torch.stack(found, 1) + w


def attention_free(r, k, v, w):
    """AFT's way, all at once, arXiv 2105.14103."""
    weight = k.exp()
    return r.sigmoid() * (weight * v).cumsum(1) / weight.cumsum(1) + w


def of_logarithms(a, b, c, d):
    """MinGRU's way, arXiv 2410.01201."""
    kept, new = functional.logsigmoid(a), functional.logsigmoid(-a) + functional.softplus(b).log()
    total = kept.cumsum(1)
    return (total + torch.logcumsumexp(new - total, 1)).exp() + c + d


def of_products(a, b, c, d):
    kept = a.sigmoid().cumprod(1)
    return kept * (b / kept).cumsum(1) + c + d


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.map = nn.Linear(2 * W, 2 * W)

    def forward(self, x, state):
        gate, new = self.map(torch.cat([x, state], -1)).chunk(2, -1)
        return gate.sigmoid() * state + (1 - gate.sigmoid()) * new.tanh()


def step_by_step(cell, z):
    state, found = torch.zeros_like(z[:, 0]), []
    for t in range(T):
        state = cell(z[:, t], state)
        found.append(state)
    return torch.stack(found, 1)


def sequence(inner, z):
    return inner(z)[0]


def across_time(inner, z):
    return inner(z.mT).mT


GATED = {
    "scan": (steps(lambda state, gate, new: gate * state + new),),
    "in place": (steps(lambda state, gate, new: state.mul(gate).add_(new)),),
    "addcmul": (steps(lambda state, gate, new: torch.addcmul(new, gate, state)),),
    "lerp": (steps(lambda state, gate, new: torch.lerp(state, new, gate)),),
    "time last": (time_last,),
    "rwkv": (receptance,),
    "aft": (attention_free,),
    "mingru": (of_logarithms,),
    "cumprod": (of_products,),
    "gru": (sequence, nn.GRU(W, W, batch_first=True)),
    "lstm": (sequence, nn.LSTM(W, W, batch_first=True)),
    "grucell": (step_by_step, nn.GRUCell(W, W)),
    "cell": (step_by_step, Cell()),
}
SWIGLU = steps(lambda state, gate, new: functional.silu(new) * gate)
NOT_GATED = {
    "glu": (lambda a, b, c, d: a.sigmoid() * b + c + d,),
    "glu upon glu": (lambda a, b, c, d: (((a * b).sigmoid() * b).sigmoid() * c).sigmoid() * d,),
    "tokens one by one": (SWIGLU,),
    "glu, centred": (lambda a, b, c, d: a.sigmoid() * b - (a.sigmoid() * b).mean(1, keepdim=True) + c + d,),
    "standardised": (lambda a, b, c, d: (a - a.mean(1, keepdim=True)) / a.std(1, keepdim=True) * b.std() + c + d,),
    "mlp across time": (across_time, nn.Sequential(nn.Linear(T, T), nn.GELU(), nn.Linear(T, T))),
    "convolution": (across_time, nn.Conv1d(W, W, 3, padding=1)),
    "tanh": (sequence, nn.RNN(W, W, batch_first=True)),
}


def noticed(mix, inner=None):
    model = Mixer(mix, inner).eval()
    x = torch.randn(3, L, 2, generator=torch.Generator().manual_seed(0))
    return unreached(Subject.of(model), Attached("", [], model), x)


@pytest.mark.parametrize("name", GATED)
def test_a_state_that_goes_on_by_gates_is_noticed(name):
    found = noticed(*GATED[name])
    assert found
    assert len(found) <= 2, listed(found)
    assert all(place.path in ("", "inner") for place in found)


@pytest.mark.parametrize("name", NOT_GATED)
def test_what_mixes_no_tokens_by_the_window_is_not(name):
    assert not noticed(*NOT_GATED[name])


def test_a_layer_that_is_run_again_for_every_step_of_a_forecast_is_no_state():
    """A feed-forward part with gates, as in Llama, in a decoder that grows step by step."""

    class Layer(nn.Module):
        def __init__(self):
            super().__init__()
            self.gated, self.out = nn.Linear(1, 16), nn.Linear(8, 1)

        def forward(self, z):
            a, b = self.gated(z).chunk(2, -1)
            return z + self.out(functional.silu(a) * b)

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(Layer(), Layer())

        def forward(self, x):
            for _ in range(H):
                x = torch.cat([x, self.layers(x.mT[..., None])[..., -1:, 0].mT], 1)
            return x[:, -H:]

    model = Decoder().eval()
    assert not unreached(Subject.of(model), Attached("", [], model), torch.randn(3, L, 2))


def test_a_forecast_that_is_scaled_at_every_step_is_no_state():
    """As in the samplers of transformers' time-series models."""

    class Rolled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(L, L)

        def forward(self, x):
            scale = x.abs().mean(1, keepdim=True)
            for _ in range(H):
                step = self.net((x[:, -L:] / scale).mT).mT[:, -1:] * scale
                x = torch.cat([x, step], 1)
            return x[:, -H:]

    model = Rolled().eval()
    assert not unreached(Subject.of(model), Attached("", [], model), torch.randn(3, L, 2))
