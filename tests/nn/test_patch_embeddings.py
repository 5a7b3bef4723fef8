"""Embeddings that are not linear in the patch."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from forecheck.nn.patches import ConvolutionEmbedding, MLPEmbedding, patch_embedding, prime_factors


def test_the_perceptron_by_hand():
    embedding = MLPEmbedding(24, 6, 3, 5).double()
    x = torch.randn(4, 24, dtype=torch.float64)
    patches, mlp = embedding.cut(x), embedding.embed
    assert mlp.inner.weight.shape == (10, 6)
    hidden = patches @ mlp.inner.weight.T + mlp.inner.bias
    hidden = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
    expected = hidden @ mlp.outer.weight.T + mlp.outer.bias + patches @ mlp.skip.weight.T + mlp.skip.bias
    assert expected.shape == (4, embedding.tokens, 5)
    torch.testing.assert_close(embedding(x), expected)


@given(st.integers(1, 60), st.integers(1, 24), st.booleans())
def test_a_token_for_every_stride(lookback, stride, padding):
    stride = min(stride, lookback)
    embedding = ConvolutionEmbedding(lookback, stride, 4, padding=padding)
    assert embedding.tokens == (math.ceil(lookback / stride) if padding else lookback // stride)
    assert embedding(torch.randn(2, lookback)).shape == (2, embedding.tokens, 4)


def test_factor_four_is_the_encoder_of_totem():
    layers = [layer for layer in ConvolutionEmbedding(96, 4, 8).modules() if isinstance(layer, nn.Conv1d)]
    found = [(layer.kernel_size[0], layer.stride[0], layer.padding[0], layer.bias is not None) for layer in layers]
    block = [(3, 1, 1, False), (1, 1, 0, False)]
    assert found == [(4, 2, 1, True), (4, 2, 1, True), (3, 1, 1, True), *block, *block, (1, 1, 0, True)]


def test_a_token_sees_its_surroundings_alone():
    embedding = ConvolutionEmbedding(96, 4, 8).double()
    x = torch.randn(1, 96, dtype=torch.float64, requires_grad=True)
    embedding(x)[0, 12].sum().backward()
    seen = x.grad[0].nonzero().flatten()
    assert seen.min() <= 48 < 52 <= seen.max() + 1
    assert int(seen.max() - seen.min()) + 1 <= 34  # TOTEM's receptive field


def test_steps_are_added_at_the_end_or_left_out_at_the_start():
    x = torch.randn(3, 10)
    padded, cut = (ConvolutionEmbedding(10, 4, 6, padding=padding) for padding in (True, False))
    whole = ConvolutionEmbedding(12, 4, 6)
    whole.load_state_dict(padded.state_dict())
    torch.testing.assert_close(padded(x), whole(torch.cat([x, x[:, -1:], x[:, -1:]], dim=1)))
    part = ConvolutionEmbedding(8, 4, 6)
    part.load_state_dict(cut.state_dict())
    torch.testing.assert_close(cut(x), part(x[:, 2:]))


@given(st.integers(1, 500))
def test_prime_factors_multiply_to_the_number(number):
    factors = prime_factors(number)
    assert math.prod(factors) == number
    assert factors == sorted(factors)
    assert all(all(factor % other for other in range(2, factor)) for factor in factors)


@pytest.mark.parametrize("stride", [0, 11])
def test_an_impossible_stride_is_refused(stride):
    with pytest.raises(ValueError, match="stride must lie between 1 and the lookback 10"):
        ConvolutionEmbedding(10, stride, 4)


def test_an_unknown_embedding_is_refused():
    with pytest.raises(ValueError, match="no embedding of patches is called 'vq'; known: linear, mlp, conv"):
        patch_embedding("vq", 24, 6, 3, 5)
