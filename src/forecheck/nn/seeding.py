"""Random streams by module name, so that changing one module leaves the draws of all others as they were."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def derive(seed: int, name: str) -> int:
    """A seed of 63 bits for the stream `name` of `seed`."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode()).digest()[:8], "big") >> 1


def initialise(model: nn.Module, seed: int) -> None:
    """Initialise every module that can (`reset_parameters`) from its own stream."""
    for name, module in model.named_modules():
        reset = getattr(module, "reset_parameters", None)
        if callable(reset):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derive(seed, name))
                reset()


def reseed(model: nn.Module, seed: int, step: int) -> None:
    """Set the stream of every module that draws (`reseed`) to that of `step`: a resumed run draws as the whole one.

    Args:
        model: whose modules draw.
        seed: of the run.
        step: about to be taken.
    """
    for name, module in model.named_modules():
        start = getattr(module, "reseed", None)
        if callable(start):
            start(derive(seed, name), step)
