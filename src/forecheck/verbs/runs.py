"""`forecheck.runs`, and what removes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from forecheck.trials.runs import list_entries
from forecheck.trials.runs import prune as prune_store
from forecheck.trials.store import Store


def runs(store: Path | str | None = None) -> list[dict[str, Any]]:
    """What the store holds, by kind, the newest first.

    Args:
        store: folder of results; None for the user's cache.

    Returns:
        Of every result `kind` (trial, checkpoint, part, verdict, calibration or panel), `what` it is in words, its
        `size` in bytes, when it was `made`, its `address`, and whether the present code would use it: `used` is None if
        that cannot be said, as the module of its forecaster is not imported.
    """
    return [entry.to_dict() for entry in list_entries(Store(store))]


def prune(
    store: Path | str | None = None, *, older: float | None = None, everything: bool = False, dry_run: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """Remove from the store what the present code does not use, but nothing that another process uses.

    Args:
        store: folder of results; None for the user's cache.
        older: seconds; whatever is older goes, too.
        everything: remove all.
        dry_run: remove nothing, and say what would be removed.

    Returns:
        What was `removed` (or would be), and what is `in_use`; entries as those of `runs`.
    """
    found = prune_store(Store(store), older=older, everything=everything, dry_run=dry_run)
    return {
        "removed": [entry.to_dict() for entry in found.removed],
        "in_use": [entry.to_dict() for entry in found.in_use],
    }
