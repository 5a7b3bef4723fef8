"""Where jobs on a store are run: worker processes of this machine, or a Ray cluster."""

from __future__ import annotations

from typing import TypeVar

from forecheck.cluster import Ray, RayPool
from forecheck.processes import Pool, default_workers
from forecheck.trials.store import Store

J = TypeVar("J")
Workers = int | Ray | None
"""Processes; None for one a core, 0 for none; or a Ray cluster."""
AnyPool = Pool[J] | RayPool[J]


def pool_on(store: Store, module: str, workers: Workers) -> AnyPool[J]:
    """Workers on a store.

    Args:
        store: of results; of a cluster, in a folder that all its machines share, or under a URL.
        module: has `start`, and can be run as a program with the address of the store as its argument.
        workers: which.
    """
    if isinstance(workers, Ray):
        return RayPool(workers, module, store.address, shared=store.remote is None)
    return Pool(module, [store.address], workers)


def parallel(workers: Workers) -> int:
    """Jobs that are run at once."""
    if isinstance(workers, Ray):
        return workers.cores
    return default_workers() if workers is None else max(1, workers)
