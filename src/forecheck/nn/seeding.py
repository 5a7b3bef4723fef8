"""Random streams by module name, so that changing one module leaves the draws of all others as they were."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

from forecheck.nn.dropout import Dropout


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


def reseed_dropout(model: nn.Module, seed: int, step: int) -> None:
    """Set every dropout's stream to that of `step`: a run resumed at a step draws what the whole run drew."""
    for name, module in model.named_modules():
        if isinstance(module, Dropout):
            module.reseed(derive(seed, name), step)
