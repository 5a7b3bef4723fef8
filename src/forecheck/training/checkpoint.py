"""Checkpoints of training: tensors and metadata in one safetensors file, with a checksum of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from forecheck.files import replace_file

_SEAL = "sha256"


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, str]) -> None:
    """Write a checkpoint in one step.

    Args:
        path: of the file; it is replaced as a whole, never written in part.
        tensors: by name; copied where they share memory.
        meta: texts by name.
    """
    # safetensors refuses tensors that share memory, as scalars of an optimiser may.
    cloned = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    sealed = {**meta, _SEAL: _checksum(cloned, meta)}
    replace_file(path, lambda part: save_file(cloned, part, metadata=sealed))


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]] | None:
    """Tensors and metadata of a checkpoint; None if there is none or it is damaged."""
    try:
        with safe_open(path, "pt") as opened:
            meta: dict[str, str] = opened.metadata() or {}
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118  it is no mapping
    except (OSError, SafetensorError):
        return None
    return (tensors, meta) if meta.pop(_SEAL, "") == _checksum(tensors, meta) else None


def _checksum(tensors: Mapping[str, Tensor], meta: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(dict(meta), sort_keys=True).encode())
    for key, value in sorted(tensors.items()):
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
