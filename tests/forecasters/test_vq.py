"""PatchTST over codes: the two stages, what a forecast depends on, and what the fit reports."""

import math

import numpy as np
import pytest
import torch

from forecheck.data.windows import Windows
from forecheck.forecasters import registry
from forecheck.forecasters.base import Task
from forecheck.forecasters.patchtst import PatchTST, PatchTSTConfig
from forecheck.forecasters.vq_patchtst import VQPatchTST, VQPatchTSTConfig
from forecheck.forecasters.vq_tokens import VQTokens, VQTokensConfig

L, H, C = 24, 6, 2
TASK = Task(L, H, C)
CODES = {"vq_codes": 12, "vq_width": 4, "vq_updates": 10, "vq_batch": 64, "vq_lr": 1e-2, "vq_revive": 0.5}
TINY = CODES | {"patch": 4, "width": 8, "heads": 2, "hidden": 16, "layers": 1, "epochs": 3, "batch": 16, "lr": 3e-3}


def windows_of(count=50, seed=0):
    rng = np.random.default_rng(seed)
    steps = np.arange(count + L + H - 1)[:, None]
    values = np.sin(2 * np.pi * steps / 12 + np.arange(C)) + 0.2 * rng.normal(size=(len(steps), C))
    return Windows(values, L, H, np.arange(L, L + count))


def made(embedding, **options):
    return VQPatchTST(TASK, VQPatchTSTConfig(**(TINY | {"stride": 4, "embedding": embedding} | options)))


def tokens(**options):
    return VQTokens(TASK, VQTokensConfig(**(TINY | options)))


def fitted(forecaster, seed=0, **options):
    return forecaster, forecaster.fit(windows_of(), windows_of(20, seed=1), seed, **options)


@pytest.fixture(scope="module")
def vq():
    return fitted(made("vq"))


@pytest.fixture(scope="module")
def coder():
    return fitted(tokens(lr=1e-2, epochs=6, vq_updates=150))


def test_a_forecast_depends_on_codes_level_and_scale_alone(vq):
    forecaster, _ = vq
    module = forecaster.module
    x, _ = windows_of(seed=2).gather(slice(0, 9))
    z, mean, scale = module.window_norm(x)
    # Other noise inside the cells of the same codes: a step towards the code's own patch that changes no code.
    patches = module.embed.cut(z.transpose(1, 2).flatten(0, 1))
    index = module.autoencoder.quantiser(module.autoencoder.encoder(patches))
    by_index = module.autoencoder.quantiser.codes[index]

    class Given(torch.nn.Module):
        """A window norm that hands over nothing of the window but level and scale."""

        def forward(self, x):
            return torch.zeros_like(x), mean, scale

    expected = forecaster.predict(x)
    module.window_norm, norm = Given(), module.window_norm
    module.embed.forward, forward = lambda _: module.embed.embed(by_index), module.embed.forward
    try:
        torch.testing.assert_close(forecaster.predict(x), expected)
    finally:
        module.window_norm, module.embed.forward = norm, forward


def test_stage_two_leaves_frozen_codes_as_stage_one_made_them(vq):
    forecaster, _ = vq
    longer, _ = fitted(made("vq", epochs=1))
    tuned, _ = fitted(made("vq-tuned"))
    kept, same, moved = (each.module.autoencoder.state_dict() for each in (forecaster, longer, tuned))
    torch.testing.assert_close(same, kept, rtol=0, atol=0)
    assert not torch.equal(moved["quantiser.codes"], kept["quantiser.codes"])
    assert not torch.equal(moved["encoder.inner.weight"], kept["encoder.inner.weight"])
    assert torch.equal(moved["decoder.inner.weight"], kept["decoder.inner.weight"])


@pytest.mark.parametrize("make", [lambda: made("vq-tuned"), tokens], ids=["vq-tuned", "vq-tokens"])
def test_interrupted_and_resumed_is_the_same_run(make, tmp_path):
    whole, report = fitted(make())

    class Stopped(Exception):  # noqa: N818
        pass

    def stop(done, _):
        if done > 0.75:
            raise Stopped

    checkpoint = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stopped):
        fitted(make(), progress=stop, checkpoint=checkpoint)
    words = []
    resumed, again = fitted(make(), checkpoint=checkpoint, progress=lambda _, word: words.append(word))
    assert not any("codes" in word for word in words)
    torch.testing.assert_close(resumed.tensors(), whole.tensors(), rtol=0, atol=0)
    assert again.details["vq"] == report.details["vq"]


@pytest.mark.parametrize("embedding", ["vq", "vq-kmeans", "vq-random"])
def test_the_report_tells_how_codes_are_used(embedding):
    _, report = fitted(made(embedding, epochs=1))
    found = report.details["vq"]
    assert found["codes"] == 12
    assert 1 / 12 <= found["usage"] <= 1
    assert 1 <= found["perplexity"] <= 12 * found["usage"] + 1e-9
    assert found["reconstruction_mse"] > 0


def test_learnt_codes_restore_patches_better_than_random_ones():
    errors = {
        name: fitted(made(name, epochs=1, vq_updates=150))[1].details["vq"]["reconstruction_mse"]
        for name in ("vq", "vq-kmeans", "vq-random")
    }
    assert errors["vq"] < 0.5 * errors["vq-random"]
    assert errors["vq-kmeans"] < 0.5 * errors["vq-random"]


def test_nothing_is_learnt_beforehand_where_codes_are_random():
    assert made("vq-random").prepare() is None
    assert made("vq-kmeans").prepare() is not None


def test_the_default_embedding_is_linear_with_the_same_weights_by_name():
    assert PatchTSTConfig().embedding == "linear"
    names = {name for name, _ in PatchTST(TASK, PatchTSTConfig()).module.embed.named_parameters()}
    assert names == {"embed.weight", "embed.bias"}


def test_a_greedy_roll_out_by_hand(coder):
    forecaster, _ = coder
    greedy = tokens(roll_out="greedy")
    greedy.restore(forecaster.tensors())
    module = greedy.module
    x, _ = windows_of(seed=2).gather(slice(0, 5))
    z, mean, scale = module.window_norm(x)
    patches = z.transpose(1, 2).reshape(5 * C, L // 4, 4)
    quantiser, decoder = module.autoencoder.quantiser, module.autoencoder.decoder
    index = quantiser(module.autoencoder.encoder(patches))
    for _ in range(math.ceil(H / 4)):
        following = module.logits(quantiser.codes[index])[:, -1].argmax(dim=-1)
        index = torch.cat([index, following[:, None]], dim=1)
    y = decoder(quantiser.codes[index[:, L // 4 :]]).flatten(1)[:, :H]
    expected = y.view(5, C, H).transpose(1, 2) * scale + mean
    torch.testing.assert_close(greedy.predict(x), expected.detach())


def test_the_expected_patch_is_the_mean_over_codes(coder):
    forecaster, _ = coder
    module = forecaster.module
    x, _ = windows_of(seed=2).gather(slice(0, 5))
    z, mean, scale = module.window_norm(x)
    codes = module.autoencoder.code(z.transpose(1, 2).reshape(5 * C, L // 4, 4))
    share = torch.softmax(module.logits(codes)[:, -1], dim=-1)
    first = (share @ module.autoencoder.decoder(module.autoencoder.quantiser.codes)).view(5, C, 4).transpose(1, 2)
    torch.testing.assert_close(forecaster.predict(x)[:, :4], (first * scale + mean).detach())


def test_what_a_code_says_does_not_depend_on_later_ones(coder):
    module = coder[0].module
    codes = torch.randn(3, module.tokens, 4)
    other = torch.cat([codes[:, :4], torch.randn(3, module.tokens - 4, 4)], dim=1)
    logits, changed = module.logits(codes), module.logits(other)
    torch.testing.assert_close(changed[:, :4], logits[:, :4])
    torch.testing.assert_close(module.logits(codes[:, :4]), logits[:, :4])
    assert not torch.allclose(changed[:, 4:], logits[:, 4:])


def test_training_is_by_cross_entropy_on_whole_patches(coder):
    module = coder[0].module
    x, y = windows_of(seed=2).gather(slice(0, 5))
    z, mean, scale = module.window_norm(x)
    both = torch.cat([z, (y - mean) / scale], dim=1)[:, :28]  # of 30 steps, 28 fill seven patches
    index = module.autoencoder.quantiser(module.autoencoder.encoder(both.transpose(1, 2).reshape(5 * C, 7, 4)))
    log = torch.log_softmax(module.logits(module.autoencoder.quantiser.codes[index[:, :-1]]), dim=-1)
    expected = -log.gather(2, index[:, 1:, None]).mean()
    torch.testing.assert_close(module.loss(x, y), expected)


def test_the_coder_learns_a_wave(coder):
    forecaster, report = coder
    losses = report.details["train_loss"]
    assert losses[-1] < 0.8 * losses[0] < math.log(12)
    x, y = windows_of(seed=2).gather(slice(0, 50))
    assert (forecaster.predict(x) - y).square().mean() < 0.7 * (y - x.mean(dim=1, keepdim=True)).square().mean()


def test_impossible_settings_are_named():
    with pytest.raises(ValueError, match="must fill two patches, but patch is 24"):
        tokens(patch=24)
    with pytest.raises(ValueError, match="vq_decay must lie in"):
        VQPatchTSTConfig(vq_decay=1.0)
    with pytest.raises(ValueError, match="vq_commitment must not be negative"):
        VQTokensConfig(vq_commitment=-1.0)
    with pytest.raises(ValueError, match="vq_lr must be positive"):
        VQTokensConfig(vq_lr=0.0)
    with pytest.raises(ValueError, match="vq_codes must be positive"):
        VQTokensConfig(vq_codes=0)
    assert registry.find("vq-tokens") is VQTokens
