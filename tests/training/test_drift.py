"""Gradient correction by drift: the sheet's formula on scalar heads, and what it must leave alone."""

import pytest
import torch
from torch import nn

from forecheck.nn.attention import Attention
from forecheck.training.drift import remove_drift, without_drift


def scalar(values):
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1)


def toy_gradient(heads=6, tokens=5, seed=0):
    """w = q k and a of f = m^-1/2 sum_r a_r <softmax(x_d w_r x), x>, and the gradients of (f - y)^2 / 2."""
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(tokens, dtype=torch.float64, generator=draw)
    q, k = (torch.randn(heads, 1, 1, dtype=torch.float64, generator=draw).requires_grad_() for _ in range(2))
    a = torch.tensor([1.0, -1.0] * (heads // 2), dtype=torch.float64)
    w = (q * k).flatten()
    w.retain_grad()
    f = (a * (torch.softmax(x[-1] * w[:, None] * x, dim=1) @ x)).sum() / heads**0.5
    (0.5 * (f - 1.0) ** 2).backward()
    return q, k, a, w.grad


@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_scalar_heads_follow_the_sheets_formula(strength):
    q, k, a, g = toy_gradient()
    corrected = g - strength * a * (a * g).mean()
    q_slope, k_slope = without_drift(q.detach(), k.detach(), q.grad, k.grad, a, strength)
    torch.testing.assert_close(q_slope.flatten(), corrected * k.detach().flatten())
    torch.testing.assert_close(k_slope.flatten(), corrected * q.detach().flatten())


def test_nothing_common_is_left_where_every_head_sees_all_features():
    draw = torch.Generator().manual_seed(1)
    q, k, product = (torch.randn(3, 4, 4, dtype=torch.float64, generator=draw) for _ in range(3))
    a = torch.tensor([0.5, -2.0, 1.0], dtype=torch.float64)
    q_slope, k_slope = without_drift(q, k, product @ k, product.mT @ q, a)
    common = torch.einsum("h,hij->ij", a, product) / a.square().sum()
    torch.testing.assert_close(q_slope, (product - a[:, None, None] * common) @ k)
    torch.testing.assert_close(k_slope, (product - a[:, None, None] * common).mT @ q)
    again = without_drift(q, k, q_slope, k_slope, a)
    torch.testing.assert_close(again, (q_slope, k_slope))


def test_the_basis_inside_a_head_does_not_matter():
    draw = torch.Generator().manual_seed(2)
    q, k, product = (torch.randn(2, 5, 5, dtype=torch.float64, generator=draw) for _ in range(3))
    q, k = q[..., :2], k[..., :2]
    turn = torch.linalg.qr(torch.randn(2, 2, 2, dtype=torch.float64, generator=draw)).Q
    a = torch.tensor([1.0, -0.7], dtype=torch.float64)
    straight = without_drift(q, k, product @ k, product.mT @ q, a)
    turned = without_drift(q @ turn, k @ turn, product @ k @ turn, product.mT @ q @ turn, a)
    torch.testing.assert_close([each @ turn for each in straight], list(turned))


def test_heads_that_hand_on_nothing_have_no_drift():
    q = torch.ones(2, 3, 1)
    slopes = without_drift(q, q, q, 2 * q, torch.zeros(2))
    torch.testing.assert_close(slopes, (q, 2 * q))


def attended(width=6, heads=3, seed=0, **options):
    torch.manual_seed(seed)
    attention = Attention(width, heads, **options).double()
    if attention.project.bias is not None:
        nn.init.normal_(attention.project.bias)
    x = torch.randn(4, 5, width, dtype=torch.float64)
    attention(x)[0].square().mean().backward()
    return attention


def test_a_layer_is_its_projections_taken_apart():
    attention = attended()
    weight, bias = attention.project.weight.detach(), attention.project.bias.detach()
    before = attention.project.weight.grad.clone(), attention.project.bias.grad.clone()

    def of_head(matrix, vector, part, head):
        rows = slice(6 * part + 2 * head, 6 * part + 2 * head + 2)
        return torch.cat([matrix[rows], vector[rows, None]], dim=1).T

    q, k = (torch.stack([of_head(weight, bias, part, head) for head in range(3)]) for part in range(2))
    slopes = [torch.stack([of_head(*before, part, head) for head in range(3)]) for part in range(2)]
    out = attention.out.weight.detach()
    a = [torch.trace(out[:, 2 * r : 2 * r + 2] @ weight[12 + 2 * r : 14 + 2 * r]) for r in range(3)]
    expected = without_drift(q, k, *slopes, torch.stack(a), 0.7)
    remove_drift(attention, 0.7)
    after = attention.project.weight.grad, attention.project.bias.grad
    got = [torch.stack([of_head(*after, part, head) for head in range(3)]) for part in range(2)]
    torch.testing.assert_close(got, list(expected))
    assert not torch.allclose(after[0][:12], before[0][:12])
    assert torch.equal(after[0][12:], before[0][12:])  # values keep theirs
    assert torch.equal(after[1][12:], before[1][12:])


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"inner": 2, "width": 4}])
def test_all_that_a_single_head_is_pushed_by_is_common(options):
    attention = attended(**{"width": 2, "heads": 1} | options)
    gradients = [each.grad for each in attention.project.parameters()]
    assert gradients[0][:4].abs().max() > 1e-3
    remove_drift(attention, 1.0)
    assert all(gradient[:4].abs().max() < 1e-12 for gradient in gradients)
    assert gradients[0][4:].abs().max() > 1e-3


def test_attention_without_a_gradient_is_left_alone():
    attention = Attention(4, 2)
    remove_drift(attention, 1.0)
    assert attention.project.weight.grad is None


def test_a_model_without_attention_is_refused():
    with pytest.raises(ValueError, match="this model has none"):
        remove_drift(nn.Linear(2, 2), 1.0)
