"""Linear attention is a vector autoregression: layers, stacks, paths, and the structural matrix."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from forecheck.forecasters import samovar_coefficients
from forecheck.forecasters.samovar_coefficients import (
    layer_coefficients,
    mixture_row,
    path_count,
    paths_of_length,
    strongest_paths,
)
from forecheck.nn.linear_attention import (
    causal_linear_attention,
    chunked_linear_attention,
    masked_linear_attention,
)
from forecheck.nn.rms_norm import RMSNorm, rms_norm
from forecheck.nn.seeding import initialise
from forecheck.nn.var_attention import (
    Coefficients,
    DynamicCoefficients,
    FixedCoefficients,
    StructuralMatrix,
    VarAttention,
)

CLOSE = {"rtol": 1e-9, "atol": 1e-10}


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def cumulative(q, k, v):
    """Linear attention by running sums of outer products, as the official code computes it."""
    sums = torch.einsum("shta,shtb->shtab", k, v).cumsum(dim=2)
    return torch.einsum("shta,shtab->shtb", q, sums)


def coefficients(layers=3, series=2, heads=2, tokens=5, width=3, seed=0):
    q, v = normal(2, layers, series, heads, tokens, width, seed=seed)
    return Coefficients(q.unbind(), v.unbind())


def stacked(c, x):
    """The outputs of the layers, chained through their keys."""
    outputs = []
    for q, v in zip(*c, strict=True):
        x = cumulative(q, x, v)
        outputs.append(x)
    return torch.stack(outputs)


def test_a_layer_is_a_sum_over_lags_of_matrices_times_observations():
    q, k, v = normal(3, 2, 2, 6, 3)
    a = torch.einsum("shia,shtb->shtiab", v, q)  # A_{t,i} = v_i q_t'
    expected = torch.stack(
        [torch.einsum("shiab,shib->sha", a[:, :, t, : t + 1], k[:, :, : t + 1]) for t in range(6)], 2
    )
    torch.testing.assert_close(causal_linear_attention(q, k, v), expected, **CLOSE)


@pytest.mark.parametrize("form", [masked_linear_attention, chunked_linear_attention, causal_linear_attention])
@given(st.integers(1, 40), st.integers(1, 5), st.integers(0, 99))
def test_masked_and_chunked_are_the_cumulative_sum(form, tokens, width, seed):
    q, k, v = normal(3, 2, 2, tokens, width, seed=seed)
    expected = cumulative(q, k, v)
    if form is chunked_linear_attention:
        for size in (1, 3, tokens, 64):
            torch.testing.assert_close(chunked_linear_attention(q, k, v, size), expected, **CLOSE)
    torch.testing.assert_close(form(q, k, v), expected, **CLOSE)


@pytest.mark.parametrize("tokens", [7, 200])
def test_forms_agree_in_single_precision_and_in_their_gradients(tokens):
    inputs = [normal(2, 2, tokens, 4, seed=seed, dtype=torch.float32).requires_grad_() for seed in range(3)]
    direction = normal(2, 2, tokens, 4, seed=3, dtype=torch.float32)
    results = []
    for form in (cumulative, masked_linear_attention, chunked_linear_attention):
        out = form(*inputs)
        results.append((out.detach(), *torch.autograd.grad((out * direction).sum(), inputs)))
    for result in results[1:]:
        for mine, reference in zip(result, results[0], strict=True):
            assert float((mine - reference).abs().max() / reference.abs().max()) < 1e-5


def test_the_gradient_by_hand():
    inputs = [normal(1, 2, 5, 3, seed=seed).requires_grad_() for seed in range(3)]
    assert torch.autograd.gradcheck(masked_linear_attention, inputs)
    assert torch.autograd.gradcheck(lambda *x: chunked_linear_attention(*x, 2), inputs)


@pytest.mark.parametrize(("tokens", "width", "form"), [(64, 4, "masked"), (65, 4, "chunked"), (100, 50, "masked")])
def test_the_form_follows_from_tokens_and_width(monkeypatch, tokens, width, form):
    called = []
    for name in ("masked", "chunked"):
        monkeypatch.setattr(
            f"forecheck.nn.linear_attention.{name}_linear_attention",
            lambda q, k, v, name=name: called.append(name) or v,
        )
    x = torch.zeros(1, 1, tokens, width)
    causal_linear_attention(x, x, x)
    assert called == [form]


def test_the_recurrence_is_the_stack():
    c, x = coefficients(), normal(2, 2, 5, 3, seed=1)
    found = torch.einsum("lshtjab,shjb->lshta", layer_coefficients(c), x)
    torch.testing.assert_close(found, stacked(c, x), **CLOSE)


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_paths_are_products_of_coefficients_and_sum_to_the_layer(length):
    c = coefficients(layers=4)
    tokens = c.q[0].shape[2]
    paths = paths_of_length(c, length)
    matrices = paths.matrices()
    nodes = paths.nodes[0].tolist()
    assert len(nodes) == len({tuple(chain) for chain in nodes}) == path_count(tokens, length)
    single = torch.einsum("lshia,lshtb->lshtiab", torch.stack(c.v), torch.stack(c.q))
    for number, chain in enumerate(nodes):
        assert chain == sorted(chain, reverse=True)
        product = torch.eye(3, dtype=torch.float64).expand(2, 2, 3, 3)
        for step, (t, i) in enumerate(pairwise(chain)):
            product = product @ single[length - 1 - step, :, :, t, i]
        torch.testing.assert_close(matrices[:, :, number], product, **CLOSE)
    layer = layer_coefficients(c)[length - 1, :, :, -1]
    for source in range(tokens):
        ours = [number for number, chain in enumerate(nodes) if chain[-1] == source]
        torch.testing.assert_close(matrices[:, :, ours].sum(dim=2), layer[:, :, source], **CLOSE)


def test_the_number_of_paths_from_a_token_is_binomial():
    # T = 22, L = 3: at most 253 from one token, by the sheet's count binom(t - j + l - 1, l - 1).
    nodes = paths_of_length(coefficients(tokens=22, series=1, heads=1), 3).nodes[0]
    assert int((nodes[:, -1] == 0).sum()) == 253
    assert len(nodes) == path_count(22, 3) == 2024


def test_horners_row_is_the_recurrence_and_the_jacobian_at_frozen_queries_and_values():
    c, x = coefficients(layers=4), normal(2, 2, 5, 3, seed=1).requires_grad_()
    row = mixture_row(c)
    torch.testing.assert_close(row, layer_coefficients(c).sum(dim=0)[:, :, -1], **CLOSE)
    total = stacked(c, x).sum(dim=0)[:, :, -1]
    for output in range(3):
        (gradient,) = torch.autograd.grad(total[:, :, output].sum(), x, retain_graph=True)
        torch.testing.assert_close(row[:, :, :, output], gradient, **CLOSE)


def test_the_strongest_paths_come_first_and_all_of_them_sum_to_the_mixture():
    c = coefficients()
    many = strongest_paths(c, 10**6)
    assert many.nodes.shape == (2, sum(path_count(5, length) for length in (1, 2, 3)), 4)
    norms = many.matrices().square().sum(dim=(1, 3, 4)).sqrt()
    torch.testing.assert_close(many.norms(), norms)
    assert (norms.diff(dim=1) <= 1e-12).all()
    row = mixture_row(c)
    for series in range(2):
        nodes = many.nodes[series]
        length = (nodes >= 0).sum(dim=1) - 1
        sources = nodes.gather(1, length[:, None])[:, 0]
        for source in range(5):
            total = many.matrices()[series][:, sources == source].sum(dim=1)
            torch.testing.assert_close(total, row[series, :, source], **CLOSE)
    few = strongest_paths(c, 3)
    torch.testing.assert_close(few.norms(), many.norms()[:, :3])
    torch.testing.assert_close(few.matrices(), many.matrices()[:, :, :3])
    assert strongest_paths(c, 0).nodes.shape == (2, 0, 4)


def test_too_many_paths_are_refused(monkeypatch):
    monkeypatch.setattr(samovar_coefficients, "PATHS_AT_MOST", 34)
    with pytest.raises(ValueError, match="35 paths of 3 layers over 5 tokens"):
        strongest_paths(coefficients(), 3)
    assert strongest_paths(coefficients(), 0).nodes.shape[1] == 0


@given(st.integers(1, 6), st.integers(0, 99))
def test_triangular_solves_invert_the_structural_matrix(width, seed):
    structural = StructuralMatrix(2, width).double()
    with torch.no_grad():
        structural.factors.copy_(normal(2, width, width, seed=seed))
    rows = normal(3, 2, 4, width, seed=seed + 1)
    torch.testing.assert_close(structural.solve(structural(rows)), rows, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(structural(rows), rows @ structural.matrix(), **CLOSE)
    expected = nn.functional.softplus(structural.factors.diagonal(dim1=1, dim2=2)).prod(dim=1)
    torch.testing.assert_close(torch.linalg.det(structural.matrix()), expected, rtol=1e-6, atol=1e-9)


def test_the_structural_matrix_starts_as_the_sheet_says():
    structural = StructuralMatrix(2000, 8)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        structural.reset_parameters()
    assert structural.factors.std().item() == pytest.approx(0.084, abs=1e-3)
    matrix = structural.matrix().detach()
    assert float(matrix.diagonal(dim1=1, dim2=2).mean()) == pytest.approx(0.693, abs=0.01)
    assert float(torch.linalg.cond(matrix).median()) == pytest.approx(2.0, abs=0.2)


def stack(structure="direct", scale="none", layers=3, seed=0):
    made = VarAttention(DynamicCoefficients(8, 2, layers, scale), 8, 2, layers, 0.3, structure).double().eval()
    initialise(made, seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return made


@pytest.mark.parametrize("structure", ["direct", "inverse"])
def test_the_module_is_the_equation_of_the_sheet(structure):
    made, h = stack(structure), normal(3, 6, 8, seed=2)
    y = made(h)
    for norm, block in zip(made.norms, made.blocks, strict=True):
        h = h + block.outer(nn.functional.gelu(block.inner(norm(h))))
    flat = made.norm(h)
    x = flat.view(3, 6, 2, 4).transpose(1, 2)
    w = made.source.project.weight.view(2, 3, 8, 8)
    b = made.source.project.bias.view(2, 3, 8)
    g = made.source.gain.view(2, 3, 2, 4)

    def made_of(kind, layer):
        z = (flat @ w[kind, layer].T + b[kind, layer]).view(3, 6, 2, 4)
        return (z / (z.square().mean(dim=-1, keepdim=True) + 1e-8).sqrt() * g[kind, layer]).transpose(1, 2)

    total, keys = 0, x
    for layer in range(3):
        keys = cumulative(made_of(0, layer), keys, made_of(1, layer))
        total = total + keys
    d = made.matrix.matrix()
    expected = x + total @ d if structure == "direct" else (x + total) @ torch.linalg.inv(d)
    torch.testing.assert_close(y, expected.transpose(1, 2).reshape(3, 6, 8)[:, 1::2], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("scale", "factor"), [("root", 0.5), ("width", 0.25)])
def test_the_scale_divides_every_coefficient(scale, factor):
    h = normal(3, 6, 8, seed=2)
    plain, scaled = stack().trace(h), stack(scale=scale).trace(h)
    for level in range(3):
        torch.testing.assert_close(scaled.outputs[level], factor ** (level + 1) * plain.outputs[level])


def test_without_a_scale_outputs_grow_with_depth():
    made = VarAttention(DynamicCoefficients(64, 8, 3), 64, 8, 3, 0.0)
    initialise(made, 0)
    sizes = [float(o.detach().square().mean().sqrt()) for o in made.trace(normal(7, 22, 64).float()).outputs]
    assert sizes[2] > 3 * sizes[1] > 9 * sizes[0]  # why the scale option exists


def test_what_is_dropped_is_dropped_from_the_next_layers_keys():
    made = stack().train()
    for block in made.blocks:
        block.outer_dropout.p = block.outer_dropout.threshold = 0
    x, (q, v), outputs = made.trace(normal(3, 6, 8, seed=2))
    assert all(((o == 0).double().mean() - 0.3).abs() < 0.15 for o in outputs)
    for level, keys in enumerate([x, *outputs[:-1]]):
        whole = cumulative(q[level], keys, v[level])
        kept = outputs[level] != 0
        torch.testing.assert_close(outputs[level][kept], whole[kept] * made.dropouts[level].scale)


def test_causality_of_the_stack():
    made, h = stack(), normal(3, 8, 8, seed=2)
    changed = h.clone()
    changed[:, 4:] += 1
    torch.testing.assert_close(made(changed)[:, :2], made(h)[:, :2], **CLOSE)
    assert not torch.allclose(made(changed)[:, 2:], made(h)[:, 2:])


def test_fixed_coefficients_are_by_channel_and_do_not_see_the_data():
    source = FixedCoefficients(8, 2, 3, channels=2, tokens=4)
    a, b = source(normal(6, 4, 8).float()), source(normal(6, 4, 8, seed=1).float())
    assert a.q[0].shape == (6, 2, 4, 4)
    for layer in range(3):
        for series in range(6):  # series are windows times channels, channels innermost
            for kind, (one, other) in enumerate(zip(a, b, strict=True)):
                assert torch.equal(one[layer][series], source.values[kind, layer, series % 2])
                assert torch.equal(one[layer], other[layer])


@pytest.mark.parametrize(("dim", "gains"), [(-1, (5,)), (1, (4, 1)), (2, (3, 4, 5)), (0, (1, 5))])
def test_rms_norm_is_its_equation_and_so_is_its_gradient(dim, gains):
    x, gain = normal(3, 4, 5).requires_grad_(), normal(*gains, seed=1).requires_grad_()
    expected = x / (x.square().mean(dim=dim, keepdim=True) + 1e-3).sqrt() * gain
    torch.testing.assert_close(rms_norm(x, gain, dim, 1e-3), expected)
    assert torch.autograd.gradcheck(lambda x, gain: rms_norm(x, gain, dim, 1e-3), (x, gain))


def test_the_norm_of_zeros_is_zeros():
    assert not RMSNorm(5)(torch.zeros(2, 5)).any()


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="8 is not a multiple of 3 heads"):
        VarAttention(DynamicCoefficients(8, 3, 1), 8, 3, 1, 0.0)
