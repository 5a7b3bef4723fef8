"""Auto-correlation against sums over steps."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.forecasters.autoformer import AutoCorrelation, correlation, pattern, rolled


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(st.integers(1, 15), st.integers(1, 4))
def test_correlation_is_the_sum_over_steps(time, width):
    q, k = draw(2, time, width), draw(2, time, width, seed=1)
    for lag in range(time):
        direct = sum(q[:, (t + lag) % time] * k[:, t] for t in range(time)).mean(dim=-1)
        torch.testing.assert_close(correlation(q, k)[:, lag], direct)


@given(st.integers(1, 15), st.integers(0, 3))
def test_rolled_is_the_sum_of_rolls_and_a_pattern(time, cut):
    v, shares = draw(2, time, 3), draw(2, time, seed=1)
    keys = max(1, time - cut)
    v[:, keys:] = 0
    for b in range(2):
        direct = sum(w * v[b].roll(-lag, dims=0) for lag, w in enumerate(shares[b]))
        torch.testing.assert_close(rolled(v, shares)[b], direct)
        torch.testing.assert_close(pattern(shares, keys)[b] @ v[b, :keys], direct)


@pytest.mark.parametrize(("queries", "keys"), [(12, None), (12, 7), (12, 20)])
def test_it_is_its_definition_step_by_step(queries, keys):
    made = AutoCorrelation(4, 1).double()
    tokens = draw(3, queries, 4)
    memory = None if keys is None else draw(3, keys, 4, seed=1)
    source = tokens if memory is None else memory
    q, k, v = made.query(tokens), torch.zeros(3, queries, 4).double(), torch.zeros(3, queries, 4).double()
    kept = min(queries, source.shape[1])
    k[:, :kept], v[:, :kept] = made.key(source)[:, :kept], made.value(source)[:, :kept]
    for b in range(3):
        found = sorted((float((q[b].roll(-lag, 0) * k[b]).sum().detach() / 4), lag) for lag in range(queries))[-2:]
        shares = torch.softmax(torch.tensor([value for value, _ in found], dtype=torch.float64), dim=0)
        direct = sum(w * v[b].roll(-lag, 0) for w, (_, lag) in zip(shares, found, strict=True))
        torch.testing.assert_close(made(tokens, memory)[b], made.out(direct))


def test_a_season_is_found_and_gradients_reach_all_weights():
    wave = torch.sin(2 * torch.pi * torch.arange(24) / 6)[None, :, None].double()
    found = correlation(wave, wave)[0].topk(4).indices
    assert set(found.tolist()) == {0, 6, 12, 18}
    made = AutoCorrelation(4, 2)
    made(torch.randn(2, 9, 4), torch.randn(2, 5, 4)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for n, p in made.named_parameters() if "weight" in n)


def test_an_impossible_factor_is_refused():
    with pytest.raises(ValueError, match="factor must be positive, got 0"):
        AutoCorrelation(4, 0)
