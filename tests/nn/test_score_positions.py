"""Positions that act on scores, against explicit matrices; and what each kind lets attention tell apart."""

import pytest
import torch

from forecheck.nn.attention import Attention
from forecheck.nn.kernels.base import Scores
from forecheck.nn.kernels.named import KERNELS
from forecheck.nn.positions import POSITIONS, check_positions, sinusoidal, token_positions
from forecheck.nn.score_positions import Recency, Rotary, score_positions

KERNEL = pytest.mark.parametrize("kernel", KERNELS)
BIASES = pytest.mark.parametrize("name", ["score-bias", "recency"])
CAUSAL = torch.ones(5, 5, dtype=torch.bool).tril()


def attention(kernel="softmax", positions="none", keys=5, start=0, width=8, seed=0):
    torch.manual_seed(seed)
    made = Attention(width, 2, kernel=kernel, positions=positions, keys=keys, start=start).double()
    if positions == "score-bias":
        with torch.no_grad():
            made.positions.bias.normal_()
    return made


def tokens(count=5, width=8, seed=0):
    return torch.randn(3, count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unbiased(made):
    """The same module without what is added to scores."""
    plain = attention("softmax")
    plain.kernel, plain.positions = made.kernel, None
    plain.load_state_dict({key: value for key, value in made.state_dict().items() if "positions" not in key})
    return plain


@KERNEL
@BIASES
@pytest.mark.parametrize("mask", [None, CAUSAL], ids=["all", "causal"])
def test_biases_are_an_explicit_matrix_added_to_the_scores(kernel, name, mask):
    made, x = attention(kernel, name), tokens()
    plain = unbiased(made)
    matrix = made.positions.bias.T[None, :, None].expand(3, -1, 5, -1).double()  # (batch, head, query, key)
    below = Scores(torch.eye(5).double().expand(3, matrix.shape[1], 5, 5), matrix.mT)  # I B^T: that matrix itself
    torch.testing.assert_close(below.full(), matrix)
    torch.testing.assert_close(made(x, mask)[0], plain(x, mask, below)[0])
    assert not torch.allclose(made(x, mask)[0], plain(x, mask)[0])


@KERNEL
@BIASES
def test_biases_are_not_handed_on(kernel, name):
    """Or residual scores would add them once a layer."""
    made, x = attention(kernel, name), tokens()
    torch.testing.assert_close(made(x)[1].full(), unbiased(made)(x)[1].full())


@BIASES
def test_the_fast_path_and_the_pattern_say_the_same(name):
    made, x, seen = attention("softmax", name), tokens(), []
    fast = made(x)[0]
    made.observe = seen.append
    torch.testing.assert_close(made(x)[0], fast)
    assert seen[0].shape == (3, 2, 5, 5)


def test_a_learned_bias_starts_at_nothing_and_learns():
    made, x = Attention(8, 2, positions="score-bias", keys=5).double(), tokens()
    torch.testing.assert_close(made(x)[0], unbiased(made)(x)[0])
    (gradient,) = torch.autograd.grad(made(x)[0].square().sum(), made.positions.bias)
    assert gradient.shape == (5, 2)
    assert (gradient != 0).all()


def test_recency_is_alibi_under_a_causal_mask():
    """Distances to the last token and to the query differ by a number a row, which a softmax does not see."""
    made, x = attention("softmax", "recency"), tokens()
    slope = torch.tensor([2.0**-4, 2.0**-8], dtype=torch.float64)
    step = torch.arange(5, dtype=torch.float64)
    alibi = -slope[:, None, None] * (step[:, None] - step)
    below = Scores(torch.eye(5).double().expand(3, 2, 5, 5), alibi.mT.expand(3, -1, -1, -1))
    torch.testing.assert_close(made(x, CAUSAL)[0], unbiased(made)(x, CAUSAL, below)[0])
    torch.testing.assert_close(Recency(4, 1, 2).bias, -(2.0**-8) * torch.tensor([3.0, 2, 1, 0])[:, None].expand(4, 2))
    assert not list(made.positions.parameters())


def test_rotary_is_multiplication_by_a_unit_number():
    """Pairs as complex numbers: q_p e^{i p theta}."""
    q, k = torch.randn(2, 3, 2, 5, 6, dtype=torch.float64)
    turned = Rotary(start=7).turned(Scores(q, k))
    rate = 10000.0 ** (-torch.arange(3, dtype=torch.float64) / 3)
    for before, after, start in ((q, turned.q, 7), (k, turned.k, 0)):
        angle = torch.arange(start, start + 5, dtype=torch.float64)[:, None] * rate
        expected = torch.view_as_complex(before.unflatten(-1, (3, 2))) * torch.polar(torch.ones_like(angle), angle)
        torch.testing.assert_close(after, torch.view_as_real(expected).flatten(-2))


@KERNEL
def test_rotary_scores_depend_on_differences_only(kernel):
    """Equal tokens at all places: every diagonal of the scores is constant, and shifting the start shifts it."""
    x = tokens(1).expand(-1, 6, -1)
    scores = attention(kernel, "rope")(x)[1].full()
    for offset in range(-5, 6):
        diagonal = scores.diagonal(offset, dim1=2, dim2=3)
        torch.testing.assert_close(diagonal, diagonal[..., :1].expand_as(diagonal))
    later = attention(kernel, "rope", start=2)(x[:, :4], memory=x)[1].full()
    torch.testing.assert_close(later, scores[:, :, 2:6])
    assert not torch.allclose(scores[:, :, 0, 0], scores[:, :, 0, 3])


def test_halves_of_a_head_turn_alike():
    """The rates are those of the width of a part."""
    x = tokens(1).expand(-1, 4, -1)
    made = attention("differential-simplified", "rope")
    with torch.no_grad():  # the second half of every head's queries and keys is its first
        rows = made.project.weight.view(6, 2, 2, 8), made.project.bias.view(6, 2, 2)
        for each in rows:
            each[:4, 1] = each[:4, 0]
    scores = made(x)[1].full()
    torch.testing.assert_close(scores[:, 1::2], scores[:, ::2])


@KERNEL
@pytest.mark.parametrize("name", POSITIONS)
def test_only_positions_tell_order(kernel, name):
    """Attention over tokens with their codes: permutation equivariant without positions, not with any."""
    made, order = attention(kernel, name), torch.tensor([3, 0, 4, 1, 2])
    codes = token_positions(name, 5, 8).double()
    x = tokens()
    if name == "learned":
        torch.nn.init.normal_(codes.code)
    moved, whole = made(codes(x[:, order]))[0], made(codes(x))[0][:, order]
    assert torch.allclose(moved, whole) == (name == "none")


def test_codes_of_tokens_are_what_they_were():
    x = tokens().float()
    torch.testing.assert_close(token_positions("sinusoidal", 5, 8)(x), x + sinusoidal(5, 8))
    assert not token_positions("sinusoidal", 5, 8).state_dict()
    assert token_positions("learned", 5, 8).code.shape == (5, 8)
    for name in ("none", "rope", "score-bias", "recency"):
        assert token_positions(name, 5, 8)(x) is x
    for name in ("learned", "none", "sinusoidal"):
        assert score_positions(name, 4, 2, 1, 5, 0) is None


def test_what_cannot_be_is_named():
    with pytest.raises(ValueError, match="no positions are called 'alibi'; known: learned, none, sinusoidal, rope"):
        check_positions("alibi")
    with pytest.raises(ValueError, match="no positions are called 'alibi'"):
        Attention(8, 2, positions="alibi")
    with pytest.raises(ValueError, match=r"rope turns pairs .* must be even, got 3"):
        Attention(6, 2, positions="rope")
    with pytest.raises(ValueError, match="must be even, got 1"):
        Attention(4, 2, positions="rope", kernel="differential")
