"""Fourier blocks: all modes and identity weights change nothing, few modes are a projection, sums by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from forecheck.forecasters.fedformer import FEDformerConfig, FourierBlock, FourierCross, ModeMaps, Modes
from forecheck.nn.seeding import initialise


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def config(width, modes, selection, activation="tanh"):
    return FEDformerConfig(width=width, heads=2, modes=modes, selection=selection, activation=activation)


@torch.no_grad()
def make_identity(made):
    """Every linear map of a module the identity."""
    for module in made.modules():
        if isinstance(module, torch.nn.Linear):
            module.weight.copy_(torch.eye(len(module.weight)))
            module.bias.zero_()
        if isinstance(module, ModeMaps):
            module.weight.zero_()
            module.weight[..., 0] = torch.eye(module.weight.shape[2])
    return made.double()


@given(st.integers(1, 17), st.sampled_from(["random", "lowest"]))
def test_with_all_modes_and_identity_weights_a_block_is_its_input(time, selection):
    x = draw(2, time, 4)
    made = make_identity(FourierBlock(time, config(4, 64, selection)))
    assert made.modes.count == time // 2 + 1
    torch.testing.assert_close(made(x), x)


@given(st.integers(2, 17), st.integers(1, 5), st.sampled_from(["random", "lowest"]))
def test_few_modes_are_a_projection_on_sines(time, count, selection):
    """Kept frequencies stay what and where they are, the rest is gone."""
    x = draw(2, time, 4)
    made = make_identity(FourierBlock(time, config(4, count, selection)))
    y = made(x)
    torch.testing.assert_close(made(y), y)
    kept = set(made.modes.index.tolist())
    assert len(kept) == min(count, time // 2 + 1)
    steps = np.arange(time)
    for frequency in range(time // 2 + 1):
        wave = torch.from_numpy(np.exp(-2j * np.pi * frequency * steps / time))
        left, right = (torch.einsum("btd,t->bd", z.to(wave.dtype), wave) for z in (y, x))
        torch.testing.assert_close(left, right if frequency in kept else torch.zeros_like(right), rtol=1e-9, atol=1e-9)


def test_maps_are_products_a_head_and_mode():
    made = ModeMaps(6, 2, 3).double()
    x = torch.complex(draw(2, 3, 6), draw(2, 3, 6, seed=1))
    weight = torch.complex(made.weight[..., 0], made.weight[..., 1])
    for mode in range(3):
        for head in range(2):
            features = slice(3 * head, 3 * head + 3)
            torch.testing.assert_close(made(x)[:, mode, features], x[:, mode, features] @ weight[mode, head])
    assert 0 <= made.weight.min() < made.weight.max() <= 1 / 36


@pytest.mark.parametrize("activation", ["tanh", "softmax"])
def test_attention_between_frequencies_by_hand(activation):
    made = FourierCross(9, 12, config(6, 4, "random", activation)).double()
    tokens, memory = draw(2, 9, 6), draw(2, 12, 6, seed=1)
    q = torch.fft.rfft(made.query(tokens), dim=1)[:, made.modes.index]
    k = torch.fft.rfft(made.key(memory), dim=1)[:, made.memory_modes.index]
    mixed = torch.zeros(2, 4, 6, dtype=torch.complex128)
    for head in range(2):
        features = slice(3 * head, 3 * head + 3)
        scores = q[..., features] @ k[..., features].mT
        if activation == "tanh":
            pattern = scores.real.tanh() + 1j * scores.imag.tanh()
        else:
            pattern = torch.softmax(scores.abs(), dim=-1) + 0j
        mixed[..., features] = pattern @ k[..., features]
    full = torch.zeros(2, 5, 6, dtype=torch.complex128)
    full[:, made.modes.index] = made.maps(mixed)
    torch.testing.assert_close(made(tokens, memory), made.out(torch.fft.irfft(full, n=9, dim=1)))


def test_random_modes_follow_the_seed_and_lowest_do_not():
    drawn = Modes(200, 10, "random")
    seen = []
    for seed in (0, 0, 1):
        initialise(drawn, seed)
        seen.append(drawn.index.tolist())
    assert seen[0] == seen[1] != seen[2]
    assert seen[2] == sorted(set(seen[2]))
    assert Modes(200, 10, "lowest").index.tolist() == list(range(10))
    other = Modes(200, 10, "random")
    other.load_state_dict(drawn.state_dict())
    assert other.index.equal(drawn.index)


def test_gradients_reach_all_weights():
    made = FourierCross(9, 12, config(6, 4, "lowest"))
    made(torch.randn(2, 9, 6), torch.randn(2, 12, 6)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in made.parameters())


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="modes must be positive, got 0"):
        Modes(10, 0, "random")
    with pytest.raises(ValueError, match="6 is not a multiple of 4 heads"):
        ModeMaps(6, 4, 3)
