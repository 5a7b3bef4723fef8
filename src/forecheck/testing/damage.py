"""Ways to damage the folder of a saved forecaster."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def _cut(file: str) -> Callable[[Path], bool]:
    def spoil(folder: Path) -> bool:
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content[: len(content) // 2])
        return True

    return spoil


def _remove(file: str) -> Callable[[Path], bool]:
    def spoil(folder: Path) -> bool:
        (folder / file).unlink()
        return True

    return spoil


def _describe(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], bool]:
    def spoil(folder: Path) -> bool:
        described = json.loads((folder / "forecaster.json").read_text())
        (folder / "forecaster.json").write_text(json.dumps(change(described)))
        return True

    return spoil


def _reshape(folder: Path) -> bool:
    """Weights of another task; False if there are none."""
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "weights.safetensors")
    save_file(
        {key: torch.cat([value, value]) if value.ndim else value for key, value in weights.items()},
        folder / "weights.safetensors",
    )
    return any(value.ndim for value in weights.values())


def _empty(folder: Path) -> bool:
    """No weights at all; False if there never were any."""
    from safetensors.torch import load_file, save_file

    had = bool(load_file(folder / "weights.safetensors"))
    save_file({}, folder / "weights.safetensors")
    return had


DAMAGES: dict[str, Callable[[Path], bool]] = {
    "description cut short": _cut("forecaster.json"),
    "description missing": _remove("forecaster.json"),
    "description of another forecaster": _describe(lambda described: described | {"name": "somebody else"}),
    "description without a task": _describe(lambda described: {"name": described["name"]}),
    "description that is a list": _describe(list),
    "description with an unknown option": _describe(lambda described: described | {"config": {"no_such_option": 1}}),
    "weights cut short": _cut("weights.safetensors"),
    "weights missing": _remove("weights.safetensors"),
    "weights of another shape": _reshape,
    "weights without tensors": _empty,
}
"""What can happen to a saved forecaster; each spoils a folder, or returns False where it does not apply."""
