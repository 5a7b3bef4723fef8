"""The codebook: its step by hand, what it passes on as gradient, and its dead codes."""

import math

import numpy as np
import pytest
import torch

from forecheck.nn.quantise.quantiser import Quantiser, commitment_loss, perplexity, straight_through


def made(codes, counts, decay=0.75, revive=0.0):
    quantiser = Quantiser(len(codes), len(codes[0]), decay=decay, revive=revive)
    quantiser.codes.copy_(torch.tensor(codes))
    quantiser.counts.copy_(torch.tensor(counts))
    quantiser.sums.copy_(quantiser.codes * quantiser.counts[:, None])
    return quantiser


def test_a_step_of_the_running_means_by_hand():
    quantiser = made([[0.0, 0.0], [4.0, 4.0], [-9.0, 0.0]], [2.0, 4.0, 1.0])
    z = torch.tensor([[[1.0, 0.0], [3.0, 4.0]], [[0.0, 1.0], [1.0, 1.0]]])
    index = quantiser(z)
    assert index.tolist() == [[0, 1], [0, 0]]
    quantiser.update(z, index)
    # N = 3/4 N + 1/4 n, m = 3/4 m + 1/4 s
    torch.testing.assert_close(quantiser.counts, torch.tensor([2.25, 3.25, 0.75]))
    torch.testing.assert_close(quantiser.sums, torch.tensor([[0.5, 0.5], [12.75, 13.0], [-6.75, 0.0]]))
    expected = torch.tensor([[0.5 / 2.25, 0.5 / 2.25], [12.75 / 3.25, 4.0], [-9.0, 0.0]])
    torch.testing.assert_close(quantiser.codes, expected)


def test_codes_reach_the_means_of_what_they_stand_for():
    quantiser = made([[0.5], [9.0]], [1.0, 1.0], decay=0.9)
    z = torch.tensor([[1.0], [2.0], [10.0]])
    for _ in range(300):
        quantiser.update(z, quantiser(z))
    torch.testing.assert_close(quantiser.codes, torch.tensor([[1.5], [10.0]]))
    torch.testing.assert_close(quantiser.counts, torch.tensor([2.0, 1.0]))


def test_a_code_without_vectors_stays_where_it_was_if_none_is_revived():
    quantiser = made([[0.0], [50.0]], [1.0, 1.0], decay=0.0)
    for _ in range(3):
        quantiser.update(torch.ones(4, 1), quantiser(torch.ones(4, 1)))
    assert quantiser.codes.tolist() == [[1.0], [50.0]]


def test_dead_codes_move_to_vectors_of_the_batch():
    quantiser = made([[0.0], [50.0], [-50.0]], [9.0, 2.1, 9.0], decay=0.5, revive=2.0)
    z = torch.linspace(-1, 1, 12)[:, None]
    quantiser.reseed(7, 0)
    quantiser.update(z, quantiser(z))
    # By the running means 10.5, 1.05 and 4.5: only the second is dead.
    assert quantiser.codes[1] in z
    assert quantiser.counts.tolist() == [10.5, 4.0, 4.5]  # 12 vectors by 3 codes
    torch.testing.assert_close(quantiser.sums, quantiser.codes * quantiser.counts[:, None])
    assert quantiser.codes[2] == -50


def test_revival_draws_from_the_stream_of_seed_and_step():
    def revived(*entropy):
        quantiser = made([[0.0], [50.0]], [9.0, 0.0], revive=2.0)
        z = torch.linspace(-1, 1, 999)[:, None]
        quantiser.reseed(*entropy)
        quantiser.update(z, quantiser(z))
        return float(quantiser.codes[1])

    assert revived(3, 1) == revived(3, 1)
    assert len({revived(3, 1), revived(3, 2), revived(4, 1)}) == 3


def test_the_gradient_goes_straight_through():
    z, code = torch.randn(4, 3).requires_grad_(), torch.randn(4, 3).requires_grad_()
    passed = straight_through(z, code)
    torch.testing.assert_close(passed, code)
    weight = torch.randn(4, 3)
    (passed * weight).sum().backward()
    torch.testing.assert_close(z.grad, weight)
    assert code.grad is None


def test_commitment_pulls_vectors_to_their_codes_and_not_codes_to_vectors():
    z, code = torch.randn(4, 3).requires_grad_(), torch.randn(4, 3).requires_grad_()
    commitment_loss(z, code).backward()
    torch.testing.assert_close(z.grad, 2 * (z - code).detach() / 12)
    assert code.grad is None


def test_the_start_is_k_means_of_the_batches_and_repeats():
    batches = [torch.randn(40, 2, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]

    def started(seed=0):
        quantiser = Quantiser(6, 2)
        quantiser.start(batches, np.random.default_rng(seed))
        return quantiser

    first, again, other = started(), started(), started(1)
    assert torch.equal(first.codes, again.codes)
    assert not torch.equal(first.codes, other.codes)
    members = torch.bincount(first(torch.cat(batches)), minlength=6)
    torch.testing.assert_close(first.counts, members / 3)
    torch.testing.assert_close(first.sums, first.codes * first.counts[:, None])


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([5, 5, 5, 5], 4.0), ([7, 0, 0], 1.0), ([1, 3], math.exp(-0.25 * math.log(0.25) - 0.75 * math.log(0.75)))],
)
def test_perplexity_is_the_exponential_of_the_entropy(counts, expected):
    assert perplexity(torch.tensor(counts)) == pytest.approx(expected)


def test_an_impossible_decay_is_refused():
    with pytest.raises(ValueError, match="decay must lie in"):
        Quantiser(4, 2, decay=1.0)
