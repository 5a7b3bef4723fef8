"""Encoder, codes and decoder: shapes, the loss by hand, and that training lowers it."""

import pytest
import torch

from forecheck.nn.quantise.autoencoder import VQAutoencoder
from forecheck.nn.seeding import initialise


def made(width=3, **options):
    autoencoder = VQAutoencoder(6, 8, width, **options)
    initialise(autoencoder, 0)
    return autoencoder


def patches(count=40):
    generator = torch.Generator().manual_seed(0)
    return torch.sin(torch.arange(6) * 0.7 + 6 * torch.rand(count, 1, generator=generator))


@pytest.mark.parametrize(("width", "expected"), [(3, 3), (None, 6)], ids=["encoded", "raw"])
def test_shapes(width, expected):
    autoencoder, x = made(width), patches().view(4, 10, 6)
    assert autoencoder.encoder(x).shape == (4, 10, expected)
    assert autoencoder.quantiser(autoencoder.encoder(x)).shape == (4, 10)
    assert autoencoder.code(x).shape == (4, 10, expected)
    assert autoencoder(x).shape == x.shape
    assert autoencoder.quantiser.codes.shape == (8, expected)


def test_the_decoder_mirrors_the_encoder():
    autoencoder = made()
    sizes = [(layer.in_features, layer.out_features) for layer in autoencoder.encoder.children()]
    mirrored = [(layer.in_features, layer.out_features) for layer in autoencoder.decoder.children()]
    assert sizes == [(6, 6), (6, 3), (6, 3)]
    assert mirrored == [(3, 6), (6, 6), (3, 6)]


def test_the_loss_is_reconstruction_and_commitment_by_the_codes_before_their_step():
    autoencoder, x = made(commitment=0.5), patches()
    z, code = autoencoder.encoder(x), autoencoder.code(x)
    expected = (autoencoder(x) - x).square().mean() + 0.5 * (z - code).square().mean()
    before = autoencoder.quantiser.codes.clone()
    torch.testing.assert_close(autoencoder.loss(x), expected)
    assert not torch.equal(autoencoder.quantiser.codes, before)


def test_reconstruction_reaches_the_encoder():
    autoencoder = made(commitment=0.0)
    autoencoder.loss(patches()).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in autoencoder.parameters())


def test_raw_patches_are_coded_by_the_nearest_patch():
    autoencoder, x = made(None), patches()
    nearest = torch.cdist(x, autoencoder.quantiser.codes).argmin(dim=1)
    torch.testing.assert_close(autoencoder(x), autoencoder.quantiser.codes[nearest])
    assert not [*autoencoder.parameters()]
