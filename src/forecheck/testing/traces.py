"""What a check compares: forecasts, and all that an adapter might have left changed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def traces(module: nn.Module | None) -> dict[str, Any]:
    """What an adapter might have left changed."""
    functions = {name: each for name, each in vars(nn.functional).items() if callable(each)}
    methods = {name: each for name, each in vars(nn.Module).items() if callable(each)}
    traces: dict[str, Any] = {"random numbers": torch.get_rng_state(), "functions of torch": functions | methods}
    if module is not None:
        traces["weights"] = {key: value.clone() for key, value in module.state_dict().items()}
        traces["hooks"] = [
            (name, len(each))
            for part in module.modules()
            for name, each in sorted(vars(part).items())
            if "hooks" in name and isinstance(each, dict)
        ]
        traces["forward methods"] = [vars(part).get("forward") for part in module.modules()]
    return traces


def same(before: Any, after: Any) -> bool:
    """Whether two sets of traces are equal, tensors to the last bit."""
    if isinstance(before, Tensor):
        return torch.equal(before, after)
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(same(value, after[key]) for key, value in before.items())
    return bool(before == after)


def difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference over the largest expected value."""
    scale = expected.abs().max().clamp(min=torch.finfo(expected.dtype).tiny)
    return float((found - expected).abs().max() / scale)


def require(held: bool, message: str) -> None:
    """An assertion that `python -O` keeps."""
    if not held:
        raise AssertionError(message)
