"""Any torch model: sites, their order and names, over all styles."""

import pytest
import torch
from torch import nn
from torch_models import (
    HEADS,
    WIDTH,
    Autoregressive,
    Bmm,
    C,
    Einsum,
    Encoder,
    Forecaster,
    Gate,
    H,
    L,
    Matmul,
    Multihead,
    ResidualScores,
    Sdpa,
    Turned,
    example,
    seeded,
)

from forecheck.attention.adapters.calls import ADAPTER
from forecheck.attention.identity import identity_test
from forecheck.attention.patterns import Mean
from forecheck.attention.replace import Replace
from forecheck.attention.sites import Subject, attach, attach_sites
from forecheck.errors import ForecheckError, UsageError
from forecheck.testing.adapters import check_adapter

MHA, SDPA, WRITTEN = "torch.nn.MultiheadAttention", "scaled_dot_product_attention", "scores-softmax-product"
MODELS = {
    "sdpa": (lambda: Forecaster(Sdpa(), Sdpa(is_causal=True)), SDPA, ["blocks.0", "blocks.1"]),
    "einsum": (lambda: Forecaster(Einsum()), WRITTEN, ["blocks.0"]),
    "matmul": (lambda: Forecaster(Matmul(), Matmul(-1e9)), WRITTEN, ["blocks.0", "blocks.1"]),
    "bmm": (lambda: Forecaster(Bmm(), Bmm(tell=False)), WRITTEN, ["blocks.0", "blocks.1"]),
    "turned": (lambda: Forecaster(Turned()), WRITTEN, ["blocks.0"]),
    "multihead": (lambda: Forecaster(Multihead()), MHA, ["blocks.0.attention"]),
    "encoder": (
        lambda: Forecaster(Encoder()),
        MHA,
        ["blocks.0.encoder.layers.0.self_attn", "blocks.0.encoder.layers.1.self_attn"],
    ),
    "residual scores": (ResidualScores, WRITTEN, ["call 0", "call 1"]),
    "autoregressive": (lambda: Autoregressive(Matmul()), WRITTEN, ["block"]),
    "mixed": (
        lambda: Forecaster(Gate(), Encoder(1), Sdpa(), Einsum()),
        f"{MHA} + {SDPA} + {WRITTEN}",
        ["blocks.1.encoder.layers.0.self_attn", "blocks.2", "blocks.3"],
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_style_keeps_the_contract(name):
    make, style, paths = MODELS[name]
    model = seeded(make())
    check_adapter(ADAPTER, model, example(), sites=len(paths))
    with attach_sites(model, example()) as attached:  # found by itself among all adapters
        assert attached.adapter == style
        assert [site.path for site in attached.sites] == paths


def test_sizes_and_modules_are_told():
    model = seeded(Forecaster(Sdpa(), Bmm(tell=False)))
    with ADAPTER.attach(Subject.of(model), example()) as attached:
        first, second = attached.sites
        assert (first.heads, first.queries, first.keys) == (HEADS, L, L)
        assert first.module is model.blocks[0]
        assert (second.heads, second.queries, second.keys) == (HEADS, L, L)  # measured: nothing says so
        assert attached.why_not == ""
        shapes = f"{HEADS} heads x {L} tokens"
        assert attached.describe() == f"2 attention sites through the {SDPA} + {WRITTEN} adapter ({shapes})"


class Bare(nn.Module):
    """Attention alone, in a module of its own; the projection is elsewhere."""

    def forward(self, q, k, v):
        return (q @ k.mT).softmax(-1) @ v


class Around(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.project, self.feed = Bare(), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, z):
        return self.feed(self.project(self.inner(z, z, z)))


class Whole(nn.Module):
    """Attention and more in one module: its output is not that of the attention sublayer."""

    def __init__(self):
        super().__init__()
        self.project, self.feed = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, z):
        return z + self.feed(self.project((z @ z.mT).softmax(-1) @ z))


@pytest.mark.parametrize(
    ("block", "projected"),
    [(Sdpa, True), (Einsum, True), (Multihead, True), (Around, False), (Whole, False)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_module_is_projected_only_if_its_output_is_that_of_the_projection(block, projected):
    with ADAPTER.attach(Subject.of(seeded(Forecaster(block()))), example()) as attached:
        assert [site.projected for site in attached.sites] == [projected]


def test_a_plain_function_has_calls():
    model = seeded(Forecaster(Sdpa(), Einsum())).eval()
    subject = Subject(model.forward)
    with ADAPTER.attach(subject, example()) as attached:
        assert [(site.path, site.module) for site in attached.sites] == [("call 0", None), ("call 1", None)]
        with torch.no_grad():
            assert identity_test(subject, attached, example()).passed


def test_two_calls_of_one_module_are_two_sites():
    class Twice(Bare):
        def forward(self, z):
            return super().forward(z, z, z) + super().forward(z.flip(1), z, z)

    with ADAPTER.attach(Subject.of(seeded(Forecaster(Twice()))), example()) as attached:
        assert [site.path for site in attached.sites] == ["blocks.0", "blocks.0, call 1"]


def test_a_loop_calls_one_site_on_sequences_that_grow():
    model = seeded(Autoregressive(Matmul())).eval()
    sizes = []
    with attach_sites(model, example()) as attached, torch.no_grad():
        (site,) = attached.sites
        assert (site.queries, site.keys) == (L, L)
        site.observe(lambda weights: sizes.append(weights.shape[-1]))
        attached(example())
        assert sizes == [L, L + 1, L + 2]
        site.observe(None)
        with pytest.raises(UsageError, match="the pattern of block changes its size, so it has no mean"):
            Replace("frozen-mean").applied(attached, example(), [example()]).__enter__()
        from forecheck.attention.patterns import FrozenMean

        site.edit(FrozenMean(torch.full((HEADS, L, L), 1 / L)))
        with pytest.raises(UsageError, match=r"changes its size from call to call \(6 x 6, then 7 x 7\)"):
            attached(example())


class Moody(nn.Module):
    """Attends only to positive inputs: how often depends on the values."""

    def __init__(self):
        super().__init__()
        self.block = seeded(Sdpa())
        self.embed, self.head = nn.Linear(C, WIDTH), nn.Linear(WIDTH, C)

    def forward(self, x):
        z = self.embed(x)
        for _ in range(int(x[0, 0, 0])):
            z = self.block(z)
        return self.head(z)[:, :H]


def test_other_calls_than_those_of_the_example_are_refused():
    model = Moody().eval()
    with ADAPTER.attach(Subject.of(model), example().fill_(2)) as attached:
        attached(example(1).fill_(2))
        with pytest.raises(ForecheckError, match=r"makes other attention calls .* more than 2"):
            attached(example().fill_(3))
        with pytest.raises(ForecheckError, match=r"makes other attention calls .* 1 instead of 2"):
            attached(example().fill_(1))
        attached(example().fill_(2))


@pytest.mark.parametrize("content", [False, True])
def test_a_gate_is_no_site(content):
    with attach(seeded(Forecaster(Gate(content=content))), example()) as attached:
        assert attached.sites == []
        assert attached.why_not.startswith("no attention was found in Forecaster; ")


def test_a_gate_by_matrix_products_is_no_site():
    """Scores of activations, a softmax and a product, but of each token with itself only."""

    class Pick(nn.Module):
        def __init__(self):
            super().__init__()
            self.experts, self.keys = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, 3 * WIDTH)

        def forward(self, z):
            keys, experts = (f(z).unflatten(-1, (3, WIDTH)) for f in (self.keys, self.experts))
            weights = torch.einsum("btd,bted->bte", z, keys).softmax(-1)
            return torch.einsum("bte,bted->btd", weights, experts)

    with ADAPTER.attach(Subject.of(seeded(Forecaster(Pick()))), example()) as attached:
        assert attached.sites == []


def test_classification_is_no_site():
    class Classes(nn.Module):
        def forward(self, z):
            return (z @ z.mT).softmax(-1).sum(-1, keepdim=True) * z

    with ADAPTER.attach(Subject.of(seeded(Forecaster(Classes()))), example()) as attached:
        assert attached.sites == []


class Fourier(nn.Module):
    def forward(self, z):
        return torch.fft.irfft(torch.fft.rfft(z, dim=1), n=z.shape[1], dim=1)


def test_a_mixer_of_frequencies_is_named():
    with attach(seeded(Forecaster(Fourier())), example()) as attached:
        assert attached.sites == []
        assert "FFT calls were seen: it mixes tokens by frequencies" in attached.why_not


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_scripted_and_traced_models_are_refused():
    model = seeded(Forecaster(Sdpa())).eval()
    for compiled in (torch.jit.trace(model, example()), Forecaster(torch.jit.trace(Sdpa(), torch.zeros(1, L, WIDTH)))):
        with attach(compiled, example()) as attached:
            assert attached.sites == []
            assert "is scripted or traced, which hides its calls" in attached.why_not
    with pytest.raises(UsageError, match="is scripted or traced"), attach_sites(compiled, example()):
        pass


def test_a_compiled_model_is_edited_as_it_was_written():
    model = seeded(Forecaster(Sdpa(), Einsum())).eval()
    compiled = torch.compile(model, backend="eager")
    with torch.no_grad():
        plain = compiled(example())
        with Replace("mean").on(model, example()) as edited:
            expected = edited(example())
        with Replace("mean").on(Subject(compiled, compiled, ADAPTER), example()) as edited:
            torch.testing.assert_close(edited(example()), expected)
        torch.testing.assert_close(compiled(example()), plain)
    assert (plain - expected).abs().max() > 1e-3


def test_discovery_draws_no_random_numbers():
    class Sampling(Forecaster):
        def forward(self, x):
            return super().forward(x) + torch.randn(())

    model, state = seeded(Sampling(Sdpa())), torch.get_rng_state()
    with ADAPTER.attach(Subject.of(model), example()):
        assert torch.equal(torch.get_rng_state(), state)


def test_edits_learn_with_the_model():
    """With gradients on, every parameter around the pattern has one; those that only make the pattern have none."""
    model = seeded(Forecaster(Sdpa()))
    with ADAPTER.attach(Subject.of(model), example()) as attached:
        attached.sites[0].edit(Mean())
        attached(example()).square().sum().backward()
    block = model.blocks[0]
    assert block.v.weight.grad.abs().sum() > 0
    assert block.out.weight.grad.abs().sum() > 0
    assert block.q.weight.grad is None
    assert block.k.weight.grad is None


def test_it_wraps_nothing():
    assert ADAPTER.wrap(seeded(Forecaster(Sdpa())), H) is None


@torch.no_grad()
def test_shuffled_forecasts_repeat():
    model = seeded(Forecaster(Sdpa(), Multihead(), Einsum()))
    with Replace("shuffled").on(model, example()) as edited:
        assert torch.equal(edited(example()), edited(example()))
