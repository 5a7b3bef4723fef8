"""Patches, positions, norms and blocks."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from forecheck.nn.attention import Attention
from forecheck.nn.blocks import EncoderBlock
from forecheck.nn.feedforward import FeedForward
from forecheck.nn.norms import NORMS, TokenBatchNorm, WindowNorm
from forecheck.nn.patches import PatchEmbedding, patch_count
from forecheck.nn.positions import LearnedPositions


@given(st.integers(1, 40), st.data())
def test_patches_are_those_cut_by_hand(lookback, data):
    patch, stride = data.draw(st.integers(1, lookback)), data.draw(st.integers(1, 12))
    embedding = PatchEmbedding(lookback, patch, stride, 3).double()
    x = torch.arange(2 * lookback, dtype=torch.float64).view(2, lookback)
    padded = [row.tolist() + [float(row[-1])] * stride for row in x]
    cut = torch.tensor(
        [[row[start : start + patch] for start in range(0, len(row) - patch + 1, stride)] for row in padded],
        dtype=torch.float64,
    )
    assert cut.shape[1] == patch_count(lookback, patch, stride) == embedding.tokens
    torch.testing.assert_close(embedding(x), embedding.embed(cut))


def test_published_numbers_of_patches():
    assert patch_count(336, 16, 8) == 42  # PatchTST/42
    assert patch_count(512, 16, 8) == 64  # PatchTST/64


@pytest.mark.parametrize(("patch", "stride", "message"), [(0, 1, "patch"), (9, 1, "patch"), (4, 0, "stride")])
def test_impossible_patches_are_refused(patch, stride, message):
    with pytest.raises(ValueError, match=message):
        patch_count(8, patch, stride)


@given(st.integers(2, 30), st.floats(-1e3, 1e3), st.floats(1e-2, 1e3))
def test_window_norm_can_be_undone(lookback, level, spread):
    x = level + spread * torch.randn(3, lookback, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z, mean, scale = WindowNorm()(x)
    torch.testing.assert_close(z * scale + mean, x)
    torch.testing.assert_close(z.mean(dim=1), torch.zeros(3, 2, dtype=torch.float64), atol=1e-9, rtol=0)
    assert (z.square().mean(dim=1) <= 1).all()


def test_a_constant_window_stays_finite_and_keeps_its_level():
    x = torch.full((2, 7, 3), 4.5)
    z, mean, scale = WindowNorm()(x)
    assert (z == 0).all()
    torch.testing.assert_close(z * scale + mean, x)


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_token_batch_norm_is_batch_norm_over_series_and_tokens(training):
    ours, theirs = TokenBatchNorm(6), nn.BatchNorm1d(6)
    tokens = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(0)) * 3 + 2
    for module in (ours, theirs):
        module.train()
        module(tokens if module is ours else tokens.transpose(1, 2))
        module.train(training)
    a, b = tokens.clone().requires_grad_(), tokens.transpose(1, 2).clone().requires_grad_()
    torch.testing.assert_close(ours(a), theirs(b).transpose(1, 2), rtol=1e-5, atol=1e-6)
    direction = torch.randn(5, 4, 6, generator=torch.Generator().manual_seed(1))
    left = torch.autograd.grad((ours(a) * direction).sum(), [a, *ours.parameters()])
    right = torch.autograd.grad((theirs(b).transpose(1, 2) * direction).sum(), [b, *theirs.parameters()])
    torch.testing.assert_close(left[0], right[0].transpose(1, 2), rtol=1e-4, atol=1e-5)
    for mine, reference in zip(left[1:], right[1:], strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-4, atol=1e-5)
    for mine, reference in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-5, atol=1e-6)


def test_positions_are_small_and_added():
    positions = LearnedPositions(5, 4)
    assert positions.code.abs().max() <= 0.02
    torch.testing.assert_close(positions(torch.ones(2, 5, 4)), 1 + positions.code.expand(2, -1, -1))


def block(norm="layer", dropout=0.0, seed=0):
    torch.manual_seed(seed)
    return EncoderBlock(Attention(8, 2), 16, dropout=dropout, norm=norm)


@pytest.mark.parametrize("norm", list(NORMS))
def test_block_keeps_the_shape_of_tokens(norm):
    tokens, scores = block(norm)(torch.randn(3, 5, 8))
    assert tokens.shape == (3, 5, 8)
    assert scores.full().shape == (3, 2, 5, 5)
    tokens.square().sum().backward()


def test_block_is_the_post_norm_equation():
    made = block()
    made.eval()
    x = torch.randn(3, 5, 8)
    z = made.attention_norm(x + made.attention(x)[0])
    w = [module for module in made.modules() if isinstance(module, nn.Linear)][-2:]
    expected = made.feed_forward_norm(z + w[1](nn.functional.gelu(w[0](z))))
    torch.testing.assert_close(made(x)[0], expected)


@pytest.mark.parametrize("norm", list(NORMS))
def test_block_in_training_has_the_gradients_of_its_equation(norm):
    """Against autograd over plain operations, the masks taken from the block's own streams."""
    made = block(norm, dropout=0.25).double()
    drops = [module for module in made.modules() if hasattr(module, "reseed") and module.p > 0]
    assert len(drops) == 3
    x = torch.randn(3, 5, 8, dtype=torch.float64, requires_grad=True)
    for number, drop in enumerate(drops):
        drop.reseed(number)
    ours = made(x)[0]
    for number, drop in enumerate(drops):
        drop.reseed(number)
    w = [module for module in made.modules() if isinstance(module, nn.Linear)][-2:]
    z = made.attention_norm(x + drops[0](made.attention(x)[0]))
    theirs = made.feed_forward_norm(z + drops[2](w[1](drops[1](nn.functional.gelu(w[0](z))))))
    torch.testing.assert_close(ours, theirs)
    wanted = [x, *made.parameters()]
    direction = torch.randn(ours.shape, dtype=torch.float64)
    for mine, reference in zip(
        torch.autograd.grad((ours * direction).sum(), wanted),
        torch.autograd.grad((theirs * direction).sum(), wanted),
        strict=True,
    ):
        torch.testing.assert_close(mine, reference)


def test_the_dropout_after_attention_is_two_in_a_row():
    assert block(dropout=0.3).attention_out_dropout.p == pytest.approx(1 - 0.7**2, abs=1 / 512)


def test_an_unknown_norm_is_named():
    with pytest.raises(ValueError, match="no norm is called 'group'; known: batch, layer"):
        block("group")


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_feed_forward_in_pieces_is_the_two_maps(monkeypatch, dropout):
    torch.manual_seed(0)
    made = FeedForward(6, 10, dropout).double()
    tokens = torch.randn(3, 7, 6, dtype=torch.float64, requires_grad=True)
    base = torch.randn(3, 7, 6, dtype=torch.float64, requires_grad=True)
    wanted = [tokens, base, *made.parameters()]

    def seeded(forward):
        made.inner_dropout.reseed(0)
        made.outer_dropout.reseed(1)
        y = forward()
        return y, torch.autograd.grad(y.square().sum(), wanted)

    plain = seeded(
        lambda: base + made.outer_dropout(made.outer(made.inner_dropout(nn.functional.gelu(made.inner(tokens)))))
    )
    torch.testing.assert_close(seeded(lambda: made(tokens, base)), plain)
    monkeypatch.setattr("forecheck.nn.chunks._BYTES", 100)  # two tokens a piece
    torch.testing.assert_close(seeded(lambda: made(tokens, base)), plain)
