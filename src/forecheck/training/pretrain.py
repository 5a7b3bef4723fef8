"""The stage before training: an autoencoder learns codes of training patches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from forecheck.data.windows import Windows
from forecheck.nn.placed import doubles
from forecheck.nn.quantise.autoencoder import VQAutoencoder
from forecheck.nn.quantise.quantiser import perplexity
from forecheck.nn.seeding import derive, reseed
from forecheck.progress import Progress

Patch = Callable[[Float[Tensor, "batch lookback channel"]], Float[Tensor, "patches patch"]]
"""Patches of input windows, as a model cuts and normalises them."""

_FIRST = 4
"""Batches that k-means starts from."""
_VARIETY = 8
"""Windows that a batch of patches comes from at least: those of one window are alike."""
_MEASURED = 512
"""Windows that codes are measured on."""


def pretrain(
    autoencoder: VQAutoencoder,
    patch: Patch,
    windows: Windows,
    seed: int,
    *,
    updates: int,
    batch: int,
    lr: float,
    progress: Progress | None = None,
) -> None:
    """Start the codes by k-means, then train encoder and decoder by Adam on random patches of the windows' inputs.

    The last weights are kept. Where there is no encoder (codes are patches), k-means is all.

    Args:
        autoencoder: already initialised; what it freezes stays frozen afterwards.
        patch: of the model.
        windows: training windows; their targets are not looked at.
        seed: of windows, patches, k-means and revivals.
        updates: steps of Adam.
        batch: patches a step.
        lr: learning rate, constant.
        progress: called after every step.
    """
    random = np.random.default_rng(derive(seed, "codes"))
    with torch.no_grad():
        first = [autoencoder.encoder(_patches(windows, patch, batch, random)) for _ in range(_FIRST)]
    autoencoder.quantiser.start(first, random)
    flags = {parameter: parameter.requires_grad for parameter in autoencoder.parameters()}
    if flags:
        autoencoder.requires_grad_(True)
        optimizer = torch.optim.Adam(flags, lr=lr)
        for update in range(updates):
            reseed(autoencoder, derive(seed, "revival"), update)
            optimizer.zero_grad(set_to_none=True)
            autoencoder.loss(_patches(windows, patch, batch, random)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if progress is not None:
                progress((update + 1) / updates, f"codes {update + 1}/{updates}")
        optimizer.zero_grad(set_to_none=True)
        for parameter, flag in flags.items():
            parameter.requires_grad_(flag)
    if progress is not None:
        progress(1.0, "codes")


@torch.no_grad()
def _patches(windows: Windows, patch: Patch, count: int, random: np.random.Generator) -> Tensor:
    """Random patches of random windows, at most `count`."""
    each = len(patch(windows.gather(slice(0, 1))[0]))
    index = random.choice(len(windows), size=min(len(windows), max(_VARIETY, -(-count // each))), replace=False)
    found = patch(windows.gather(torch.from_numpy(np.sort(index)))[0])
    return found[torch.from_numpy(random.permutation(len(found))[:count])]


@torch.no_grad()
def measure_codes(autoencoder: VQAutoencoder, patch: Patch, windows: Windows) -> dict[str, Any]:
    """How the codes are used by the patches of evenly spread windows.

    Args:
        autoencoder: trained.
        patch: cuts inputs into normalised patches, as the model does.
        windows: whose inputs are measured.

    Returns:
        `codes` K; `usage`, share of codes used at all; `perplexity`, see `quantiser.perplexity`; `reconstruction_mse`,
        of patches of windows normalised to variance 1; `parameters` of encoder, decoder and codebook.
    """
    index = torch.unique(torch.linspace(0, len(windows) - 1, min(len(windows), _MEASURED)).round().long())
    counts = torch.zeros(len(autoencoder.quantiser.codes), dtype=torch.int64)
    error = total = 0.0
    for part in torch.split(index, 64):
        patches = patch(windows.gather(part)[0])
        found = autoencoder.quantiser(autoencoder.encoder(patches))
        counts += torch.bincount(found, minlength=len(counts)).cpu()
        restored = autoencoder.decoder(autoencoder.quantiser.codes[found])
        error += float(doubles(restored - patches).square().sum())
        total += patches.numel()
    learnt = [*autoencoder.parameters(), autoencoder.quantiser.codes]
    return {
        "codes": len(counts),
        "usage": float((counts > 0).double().mean()),
        "perplexity": perplexity(counts),
        "reconstruction_mse": error / total,
        "parameters": sum(each.numel() for each in learnt),
    }
