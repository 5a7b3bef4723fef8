"""ProbSparse attention against full attention, and against its definition query by query."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.forecasters.informer import ProbSparse
from forecheck.nn.attention import Attention
from forecheck.nn.kernels.softmax import softmax_attention
from forecheck.nn.seeding import initialise, reseed


def qkv(queries=7, keys=7, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((2, 3, tokens, width) for tokens in (queries, keys, keys))
    return [torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_() for shape in shapes]


def causal(tokens):
    return torch.ones(tokens, tokens, dtype=torch.bool).tril()


@pytest.mark.parametrize("masked", [False, True])
def test_with_all_queries_active_it_is_full_attention(masked):
    q, k, v = qkv()
    made, mask = ProbSparse(7, 7, factor=4), causal(7) if masked else None
    assert made.active == 7
    ours, theirs = made(q, k, v, mask), softmax_attention(q, k, v, mask)
    torch.testing.assert_close(ours.out, theirs.out)
    torch.testing.assert_close(ours.weights, theirs.weights)
    left, right = (torch.autograd.grad(result.out.square().sum(), (q, k, v)) for result in (ours, theirs))
    torch.testing.assert_close(left, right)


@given(st.integers(2, 20), st.integers(2, 20), st.integers(1, 2), st.booleans())
def test_it_is_its_definition(queries, keys, factor, masked):
    keys = queries if masked else keys
    q, k, v = qkv(queries, keys)
    made = ProbSparse(queries, keys, factor).eval()
    mask = causal(queries) if masked else torch.ones(queries, keys, dtype=torch.bool)
    out, weights = made(q, k, v, mask if masked else None)
    scores = (q @ k.mT).detach()
    for b in range(2):
        for h in range(3):
            spread = []
            for i in range(queries):
                sampled = scores[b, h, i, made.sample[i]]
                spread.append(float(sampled.max() - sampled.sum() / keys))
            active = made._most_selective(q, k)[b, h].tolist()
            assert len(set(active)) == made.active
            lazy = set(range(queries)) - set(active)
            # Where a sample is one key over and over, spreads may be equal.
            assert min(spread[i] for i in active) >= max((spread[i] for i in lazy), default=-1e9) - 1e-12
            for i in range(queries):
                row = scores[b, h, i].masked_fill(~mask[i], float("-inf")) if i in active else mask[i].log()
                torch.testing.assert_close(weights[b, h, i], torch.softmax(row.double(), dim=0))
    torch.testing.assert_close(out, weights @ v)
    torch.testing.assert_close(made(q, k, v, mask if masked else None, need_weights=False).out, out)


def test_numbers_of_active_queries_and_sampled_keys_are_the_papers():
    made = ProbSparse(96, 48, 5)
    assert (made.active, made.sample.shape) == (25, (96, 20))
    assert ProbSparse(1, 1, 5).active == 1


def test_forecasts_repeat_and_training_draws():
    made, (q, k, v) = ProbSparse(30, 30, 1), qkv(30, 30)
    initialise(made, 3)
    sample = made.sample.clone()
    initialise(made, 3)
    assert made.sample.equal(sample)
    initialise(made, 4)
    assert not made.sample.equal(sample)
    made.eval()
    assert made(q, k, v).out.equal(made(q, k, v).out)
    made.train()
    reseed(made, 0, 1)
    first, second = made(q, k, v).out, made(q, k, v).out
    assert not first.equal(second)
    reseed(made, 0, 1)
    assert made(q, k, v).out.equal(first)


def test_it_is_a_kernel_of_attention():
    attention = Attention(8, 2, kernel=ProbSparse(5, 5, factor=4))
    plain = Attention(8, 2)
    plain.load_state_dict({key: value for key, value in attention.state_dict().items() if "kernel" not in key})
    x = torch.randn(3, 5, 8)
    torch.testing.assert_close(attention(x)[0], plain(x)[0])


def test_no_active_queries_are_refused():
    with pytest.raises(ValueError, match="factor must be positive"):
        ProbSparse(7, 7, 0)
