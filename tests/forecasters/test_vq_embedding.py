"""Embeddings by codes: what each variant's tokens depend on, and what of it is trained."""

import pytest
import torch
from torch import nn

from forecheck.forecasters.vq_patchtst import RAW, VARIANTS, VQEmbedding
from forecheck.nn.quantise.autoencoder import VQAutoencoder
from forecheck.nn.seeding import initialise

L, P, S, D = 24, 6, 3, 5


def made(variant, codes=8, seed=0):
    autoencoder = VQAutoencoder(P, codes, None if variant in RAW else 4)
    embedding = VQEmbedding(variant, autoencoder, L, P, S, D)
    initialise(embedding, seed)
    return embedding


def series(count=7):
    return torch.randn(count, L, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("variant", VARIANTS)
def test_shapes_and_what_is_trained(variant):
    embedding = made(variant)
    assert embedding(series()).shape == (7, embedding.tokens, D) == (7, 8, D)
    trained = {name.split(".")[0] for name, each in embedding.named_parameters() if each.requires_grad}
    own = {"vq-residual": {"embed", "residual"}, "vq-tuned": {"embed", "autoencoder"}}
    assert trained == own.get(variant, {"embed"})
    if variant == "vq-tuned":
        assert all(each.requires_grad for each in embedding.autoencoder.encoder.parameters())
        assert not any(each.requires_grad for each in embedding.autoencoder.decoder.parameters())


@pytest.mark.parametrize("variant", ["vq", "vq-tuned", "vq-kmeans", "vq-random"])
def test_tokens_depend_on_codes_alone(variant):
    embedding, x = made(variant).eval(), series()
    index = embedding.autoencoder.quantiser(embedding.autoencoder.encoder(embedding.cut(x)))
    assert 1 < len(index.unique()) <= 8
    tokens = embedding(x)
    for code in index.unique():
        alike = tokens[index == code]
        torch.testing.assert_close(alike, alike[:1].expand_as(alike), rtol=0, atol=1e-6)
    moved = x + 1e-6
    assert torch.equal(embedding.autoencoder.quantiser(embedding.autoencoder.encoder(embedding.cut(moved))), index)
    torch.testing.assert_close(embedding(moved), tokens, rtol=0, atol=1e-6)


def test_the_residual_is_what_codes_leave():
    embedding, x = made("vq-residual").eval(), series()
    patches = embedding.cut(x)
    code = embedding.autoencoder.code(patches)
    left = patches - embedding.autoencoder(patches)
    expected = embedding.embed(code) + left @ embedding.residual.weight.T
    torch.testing.assert_close(embedding(x), expected)


def test_with_the_whole_patch_as_residual_it_is_the_linear_embedding():
    embedding, x = made("vq-residual").eval(), series()
    embedding.autoencoder.decoder = Nothing()
    nn.init.zeros_(embedding.embed.weight)
    expected = embedding.cut(x) @ embedding.residual.weight.T + embedding.embed.bias
    torch.testing.assert_close(embedding(x), expected)


class Nothing(nn.Module):
    def forward(self, code):
        return code.new_zeros(*code.shape[:-1], P)


def test_codes_that_restore_patches_leave_nothing():
    embedding, x = made("vq-residual").eval(), series(1)
    patches = embedding.cut(x)
    raw = VQEmbedding("vq-residual", VQAutoencoder(P, embedding.tokens, None), L, P, S, D).eval()
    raw.autoencoder.quantiser.codes.copy_(patches[0])
    torch.testing.assert_close(raw(x), raw.embed(patches))


def test_the_encoder_alone_is_continuous_and_ignores_the_codebook():
    embedding, x = made("vq-encoder").eval(), series()
    tokens = embedding(x)
    torch.testing.assert_close(tokens, embedding.embed(embedding.autoencoder.encoder(embedding.cut(x))))
    embedding.autoencoder.quantiser.codes.zero_()
    assert torch.equal(embedding(x), tokens)


@pytest.mark.parametrize("variant", VARIANTS)
def test_only_the_tuned_codebook_moves_in_training_and_only_it_asks_for_a_penalty(variant):
    embedding, x = made(variant), series()
    before = {name: each.clone() for name, each in embedding.named_buffers()}
    embedding.eval()(x)
    assert embedding.penalty is None
    embedding.train()(x).sum().backward()
    moved = any(not torch.equal(each, before[name]) for name, each in embedding.named_buffers())
    assert moved == (variant == "vq-tuned") == (embedding.penalty is not None)
    if variant == "vq-tuned":
        assert all(each.grad.abs().sum() > 0 for each in embedding.autoencoder.encoder.parameters())


def test_the_penalty_is_the_commitment():
    embedding, x = made("vq-tuned"), series()
    z = embedding.autoencoder.encoder(embedding.cut(x))
    expected = 0.25 * (z - embedding.autoencoder.code(embedding.cut(x))).square().mean()
    embedding.train()(x)
    torch.testing.assert_close(embedding.penalty, expected)


def test_an_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="no embedding by codes is called 'vq-none'"):
        made("vq-none")
