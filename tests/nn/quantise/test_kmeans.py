"""Nearest centres against brute force, and k-means by what defines it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.nn.quantise.kmeans import kmeans, nearest


def normal(rows, width, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, width)))


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 5), st.integers(0, 99))
def test_nearest_is_that_of_all_distances(points, centres, width, seed):
    x, c = normal(points, width, seed), normal(centres, width, seed + 1)
    distances = torch.tensor([[float((a - b).square().sum()) for b in c] for a in x])
    assert nearest(x, c).tolist() == distances.argmin(dim=1).tolist()


def test_more_points_than_a_piece_holds():
    x, c = normal(5000, 3).float(), normal(700, 3, 1).float()
    found = (x - c[nearest(x, c)]).norm(dim=1)
    torch.testing.assert_close(found, torch.cdist(x, c).min(dim=1).values, rtol=1e-3, atol=1e-3)


def test_of_equal_centres_the_first_is_taken():
    assert nearest(normal(6, 2), torch.ones(4, 2, dtype=torch.float64)).tolist() == [0] * 6


def test_separate_clusters_are_found():
    middles = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    points = (middles[:, None] + 0.1 * normal(20, 2).float()).flatten(0, 1)
    centres = kmeans(points, 4, np.random.default_rng(0))
    order = nearest(middles, centres)
    assert sorted(order.tolist()) == [0, 1, 2, 3]
    torch.testing.assert_close(centres[order], points.view(4, 20, 2).mean(dim=1))


def test_every_centre_is_the_mean_of_the_points_nearest_to_it():
    points = normal(300, 3)
    centres = kmeans(points, 8, np.random.default_rng(1), rounds=200)
    index = nearest(points, centres)
    for number, centre in enumerate(centres):
        torch.testing.assert_close(points[index == number].mean(dim=0), centre)


def test_it_repeats_and_the_seed_matters():
    points = normal(60, 3)
    first, again, other = (kmeans(points, 5, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("points", [torch.ones(7, 2), torch.tensor([[0.0, 0.0], [3.0, 4.0]])], ids=["equal", "two"])
def test_fewer_different_points_than_centres(points):
    centres = kmeans(points, 5, np.random.default_rng(0))
    assert centres.shape == (5, 2)
    torch.testing.assert_close(centres[nearest(points, centres)], points)
