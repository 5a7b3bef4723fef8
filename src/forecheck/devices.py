"""Names of what computes: which devices there are, and which one is meant."""

from __future__ import annotations

import os

from forecheck.errors import UsageError


def devices() -> list[str]:
    """What can compute here, by name; the CPU first."""
    import torch

    cuda = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


def read_device(name: str) -> str:
    """The device of a name: `auto` is the first that is no CPU, if there is one, and `cuda` is `cuda:0`.

    Args:
        name: auto, cpu, cuda, cuda:1 or mps.

    Raises:
        UsageError: if it is not here; it says which are.
    """
    if name == "cpu":  # always there, so that torch need not be asked
        return name
    there = devices()
    found = {"auto": there[1] if len(there) > 1 else "cpu", "cuda": "cuda:0"}.get(name, name)
    if found not in there:
        raise UsageError(f"there is no device {name!r} here", f"There are auto, {', '.join(there)}.")
    if kind_of(found) == "cuda":  # without it some products of matrices are not the same twice
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    return found


def kind_of(device: str) -> str:
    """What decides a result: `cuda` of `cuda:1`."""
    return device.partition(":")[0]
