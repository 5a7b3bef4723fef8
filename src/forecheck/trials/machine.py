"""What computes here: devices, threads and linear algebra, which is also tried."""

from __future__ import annotations

import os
import platform
import re
from typing import Any

import numpy as np


def describe_machine() -> dict[str, Any]:
    """System, cores, threads, devices and the libraries of linear algebra, as JSON types."""
    import torch

    built = re.search(r"BLAS_INFO=([\w-]+)", torch.__config__.show())
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {
        "system": platform.platform(terse=True),
        "architecture": platform.machine(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "usable cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "environment": {name: os.environ[name] for name in names if name in os.environ},
        "blas": {"numpy": _numpy_blas(), "torch": built[1] if built else "unknown"},
        "devices": ["cpu", *_cuda(), *(["mps"] if torch.backends.mps.is_available() else [])],
    }


def wrong_arithmetic() -> list[str]:
    """Libraries whose matrix product is wrong on this processor, which has happened.

    Whole numbers are multiplied, whose products and sums float32 and float64 hold exactly.
    """
    import torch

    draw = np.random.default_rng(0)
    a, b = draw.integers(-32, 33, (150, 170)), draw.integers(-32, 33, (170, 130))
    expected = np.einsum("ij,jk->ik", a, b)  # in whole numbers, without BLAS
    wrong = []
    for kind in (np.float32, np.float64):
        x, y = np.asarray(a, kind), np.asarray(b, kind)
        products = {"numpy": np.matmul(x, y), "torch": (torch.from_numpy(x) @ torch.from_numpy(y)).numpy()}
        wrong += [f"{library} {kind.__name__}" for library, made in products.items() if not (made == expected).all()]
    return wrong


def _numpy_blas() -> str:
    blas = np.show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    return f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip()


def _cuda() -> list[str]:
    import torch

    if not torch.cuda.is_available():
        return []
    found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    return [f"cuda:{number} {each.name}, {each.total_memory / 1e9:.0f} GB" for number, each in enumerate(found)]
