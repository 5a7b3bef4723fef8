"""Tokens of steps: circular convolution against torch's, positions against their formula."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.nn.embeddings import StepEmbedding, TimeConvolution
from forecheck.nn.positions import sinusoidal


@given(st.integers(2, 12), st.integers(1, 4), st.integers(1, 5))
def test_convolution_is_torchs_with_joined_ends(steps, inputs, outputs):
    ours = TimeConvolution(inputs, outputs).double()
    theirs = torch.nn.Conv1d(inputs, outputs, 3, padding=1, padding_mode="circular", bias=False).double()
    with torch.no_grad():
        theirs.weight.copy_(ours.weight.view(outputs, 3, inputs).transpose(1, 2))
    x = torch.randn(3, steps, inputs, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x.mT).mT)


@given(st.integers(1, 20), st.integers(1, 9))
def test_positions_are_sines_and_cosines(tokens, width):
    code = sinusoidal(tokens, width)
    assert code.shape == (tokens, width)
    for t in range(tokens):
        for i in range(width):
            angle = t / 10000 ** (2 * (i // 2) / width)
            assert code[t, i] == pytest.approx(math.cos(angle) if i % 2 else math.sin(angle), abs=1e-6)


def test_tokens_are_value_plus_position():
    made, x = StepEmbedding(2, 6, 5, dropout=0.5).eval(), torch.randn(3, 5, 2)
    torch.testing.assert_close(made(x), made.value(x) + sinusoidal(5, 6))
    assert made.train()(x).eq(0).any()
