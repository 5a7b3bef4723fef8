"""A stage before training: run once, told as the first part of all progress, and over when it is over."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from forecheck.data.windows import Windows
from forecheck.nn.quantise.autoencoder import VQAutoencoder
from forecheck.nn.seeding import initialise
from forecheck.progress import within
from forecheck.training.loop import train
from forecheck.training.pretrain import measure_codes, pretrain
from forecheck.training.recipe import Recipe

L, H, P = 8, 3, 4
RECIPE = Recipe(epochs=4, batch=8, lr=1e-2)


class Shifted(nn.Linear):
    """A map whose shift no gradient reaches: preparation alone sets it."""

    def __init__(self):
        super().__init__(L, H)
        self.register_buffer("shift", torch.zeros(1))

    def forward(self, x):
        return super().forward((x + self.shift).mT).mT


class Preparation:
    """Sets the shift, and counts how often."""

    def __init__(self, model):
        self.model, self.runs = model, 0

    def __call__(self, windows, seed, progress):
        assert self.model.shift == 0
        self.runs += 1
        self.model.shift.fill_(len(windows) + seed / 10)
        if progress is not None:
            progress(0.5, "preparing")
            progress(1.0, "prepared")


def windows_of(count=21, seed=0):
    values = np.random.default_rng(seed).normal(size=(count + L + H - 1, 1))
    values = values + np.sin(np.arange(len(values)) / 3)[:, None]
    return Windows(values, L, H, np.arange(L, L + count))


def prepared(**options):
    model = Shifted()
    preparation = Preparation(model)
    train(model, windows_of(), windows_of(10, seed=1), RECIPE, 3, prepare=preparation, **options)
    return model, preparation


class Stopped(Exception):  # noqa: N818
    """Stands for Ctrl-C."""


@pytest.mark.parametrize("stop_at", [0.1, 0.3, 0.7])
def test_a_resumed_run_is_the_same_and_does_not_prepare_again(tmp_path, stop_at):
    whole, _ = prepared()

    def stop(done, _):
        if done >= stop_at:
            raise Stopped

    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stopped):
        prepared(checkpoint=checkpoint, progress=stop)
    assert checkpoint.exists() == (stop_at > 0.2)  # stopped in the middle, preparation starts anew
    resumed, preparation = prepared(checkpoint=checkpoint)
    assert preparation.runs == (stop_at < 0.2)
    assert whole.shift == resumed.shift == pytest.approx(21.3)
    for key, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[key], value, rtol=0, atol=0)


def test_progress_goes_through_both_stages_and_never_falls(tmp_path):
    checkpoint, progress = tmp_path / "checkpoint.safetensors", []
    prepared(checkpoint=checkpoint, progress=lambda done, word: progress.append((done, word)))
    assert progress[:2] == [(0.1, "preparing"), (0.2, "prepared")]
    fractions = [done for done, _ in progress]
    assert fractions == sorted(fractions)
    assert progress[2][0] > 0.2
    assert fractions[-1] == 1
    again = []
    prepared(checkpoint=checkpoint, progress=lambda done, _: again.append(done))
    assert again == [1.0]


def test_a_part_of_the_work():
    progress = []
    part = within(lambda done, _: progress.append(done), 0.1, 0.7)
    for step in range(8):
        part(step / 7, "")
    assert progress[0] == 0.1
    assert progress[-1] == 0.7
    assert progress == sorted(progress)
    assert within(None, 0, 1) is None


def patch(x):
    return x.transpose(1, 2).reshape(-1, P)


def coded(seed=0, width=3, updates=20, frozen=False, **options):
    autoencoder = VQAutoencoder(P, 5, width, revive=0.5)
    initialise(autoencoder, seed)
    if frozen:
        autoencoder.requires_grad_(False)
    pretrain(autoencoder, patch, windows_of(), seed, updates=updates, batch=16, lr=1e-2, **options)
    return autoencoder


def test_codes_are_the_same_bit_by_bit_whatever_was_drawn_before():
    first = coded(seed=2)
    torch.manual_seed(9)
    again, other = coded(seed=2), coded(seed=3)
    for key, value in first.state_dict().items():
        assert torch.equal(again.state_dict()[key], value)
        assert not torch.equal(other.state_dict()[key], value)


def test_learning_lowers_the_error():
    errors = [measure_codes(coded(updates=n), patch, windows_of())["reconstruction_mse"] for n in (1, 150)]
    assert errors[1] < 0.7 * errors[0]


def test_what_was_frozen_stays_frozen_and_no_gradient_is_left():
    frozen, free = coded(frozen=True), coded()
    assert not any(each.requires_grad for each in frozen.parameters())
    assert all(each.requires_grad and each.grad is None for each in free.parameters())
    torch.testing.assert_close(frozen.state_dict(), free.state_dict(), rtol=0, atol=0)


def test_codes_that_are_patches_come_from_k_means_alone():
    raw = coded(width=None)
    assert torch.equal(raw.quantiser.codes, coded(width=None, updates=1).quantiser.codes)
    rounds = [raw.quantiser.codes[i] for i in range(5)]
    assert len({tuple(each.tolist()) for each in rounds}) == 5


def test_targets_and_what_follows_are_not_looked_at():
    windows = windows_of()
    blind = Windows(windows.values.copy(), L, H, windows.origins)
    blind.values[-H:] = np.nan  # targets of the last window only: every other row is an input
    autoencoder = VQAutoencoder(P, 5, 3, revive=0.5)
    initialise(autoencoder, 0)
    pretrain(autoencoder, patch, blind, 0, updates=20, batch=16, lr=1e-2)
    torch.testing.assert_close(autoencoder.state_dict(), coded().state_dict(), rtol=0, atol=0)


def test_progress_of_the_codes():
    progress = []
    coded(updates=4, progress=lambda done, word: progress.append((done, word)))
    assert progress[0] == (0.25, "codes 1/4")
    assert [done for done, _ in progress] == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_measured_by_hand():
    autoencoder = VQAutoencoder(P, 3, None)
    far = torch.full((P,), 1e3)
    autoencoder.quantiser.codes.copy_(torch.stack([torch.zeros(P), torch.ones(P), far]))
    windows = windows_of(4)
    found = measure_codes(autoencoder, patch, windows)
    patches = patch(windows.gather(slice(0, 4))[0])
    to_zero, to_one = patches.square().sum(dim=1), (patches - 1).square().sum(dim=1)
    share = float((to_one < to_zero).float().mean())
    assert 0 < share < 1
    assert found["perplexity"] == pytest.approx(
        math.exp(-share * math.log(share) - (1 - share) * math.log(1 - share)), rel=1e-5
    )
    assert found["reconstruction_mse"] == pytest.approx(float(torch.minimum(to_zero, to_one).mean()) / P, rel=1e-5)
    assert found["usage"] == pytest.approx(2 / 3)
    assert (found["codes"], found["parameters"]) == (3, 3 * P)
