"""Heads and units that pruning has emptied are taken out of the network, if its forecasts are then the same."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from forecheck.sparsity.parts import Part, chains_of, heads_of, parts_of
from forecheck.sparsity.smaller import FewerHeads

_TOLERANCE = 1e-5
"""Of forecasts, relative to the largest, or to one; sums of fewer numbers are rounded otherwise."""


@dataclass(frozen=True, eq=False)
class Removal:
    """What was taken out of a network.

    Attributes:
        model: the smaller network; the given one if nothing could go.
        removed: by path, what it is (`heads` or `units`), and how many there were and are.
        sizes: by path, what `resize` needs to make the network smaller again, as JSON types.
        notes: what stays although it is zero, and why.
    """

    model: nn.Module
    removed: dict[str, dict[str, Any]] = field(default_factory=dict)
    sizes: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@torch.no_grad()
def remove_dead(model: nn.Module, x: Tensor) -> Removal:
    """A copy of a network without the heads and units that make no difference, checked on forecasts.

    A head whose scores a later layer adds to its own stays until that layer has lost it too.

    Args:
        model: in evaluation mode.
        x: windows on which both have to forecast the same, up to rounding.
    """
    parts = parts_of(model)
    notes = _fixed(parts.values())
    kept = _kept(model, {path: part for path, part in parts.items() if not part.fixed})
    if not kept:
        return Removal(model, notes=notes)
    sizes: dict[str, dict[str, Any]] = {
        path: {"count": max(len(each), parts[path].fewest)} for path, each in kept.items()
    }
    small = copy.deepcopy(model)
    own = parts_of(small)
    for path, each in kept.items():
        own[path].shrink(small, each)
    for path, below in _below(model, kept).items():
        attention = small.get_submodule(path)
        if isinstance(attention, FewerHeads):
            attention.below = below
            sizes.setdefault(path, {"count": attention.heads})["below"] = below
    if why := _differs(model, small, x):
        return Removal(model, notes=[f"heads or units that are zero were left in place: {why}", *notes])
    removed = {
        path: {"kind": parts[path].kind, "before": parts[path].count, "after": sizes[path]["count"]} for path in kept
    }
    return Removal(small, removed, sizes, notes)


def resize(model: nn.Module, sizes: Mapping[str, Any]) -> None:
    """Give a network the sizes of a smaller one, in place; its weights are then to be loaded.

    Args:
        model: as it was before anything was removed, or after earlier removals.
        sizes: of a `Removal`.

    Raises:
        ValueError: if the network has no such parts, or not so many of them.
    """
    parts = parts_of(model)
    for path, size in sizes.items():
        part, count = parts.get(path), size["count"]
        if part is None or part.fixed or type(count) is not int or not part.fewest <= count <= part.count:
            raise ValueError(f"{path} cannot have {count} heads or units")
        if count < part.count:
            part.shrink(model, range(count))
    for path, size in sizes.items():
        attention = model.get_submodule(path)
        if isinstance(attention, FewerHeads):
            attention.below = _checked(path, size.get("below"), attention.heads)
    for chain in chains_of(model):
        try:
            owners = heads_of(model, chain)
        except IndexError as error:
            raise ValueError(f"a layer after {chain[0]} adds scores of heads that are not there") from error
        if any(len(each) != getattr(model.get_submodule(path), "heads", 0) for path, each in owners.items()):
            raise ValueError(f"a layer after {chain[0]} has not the heads whose scores it adds")


def _fixed(parts: Iterable[Part]) -> list[str]:
    """What is zero and stays."""
    dead = Counter[tuple[str, str]]()
    for part in parts:
        if part.fixed:
            dead[part.kind, part.fixed] += int(part.dead().sum())
    return [f"{kind} that are zero and stay: {count} ({why})" for (kind, why), count in dead.items() if count]


def _kept(model: nn.Module, parts: Mapping[str, Part]) -> dict[str, list[int]]:
    """By path of a part that becomes smaller, what of it stays."""
    alive = {path: (~part.dead()).tolist() for path, part in parts.items()}
    for chain in chains_of(model):
        needed: set[int] = set()
        for path, owners in reversed(heads_of(model, chain).items()):
            mine = alive.get(path, [True] * len(owners))
            stays = [each or owner in needed for each, owner in zip(mine, owners, strict=True)]
            needed |= {owner for each, owner in zip(stays, owners, strict=True) if each}
            if path in alive:
                alive[path] = stays
    kept = {path: [place for place, each in enumerate(mine) if each] for path, mine in alive.items()}
    return {path: each for path, each in kept.items() if max(len(each), parts[path].fewest) < parts[path].count}


def _below(model: nn.Module, kept: Mapping[str, list[int]]) -> dict[str, list[int] | None]:
    """By path of a layer that adds scores, the heads of the smaller layer below it; None where they are the same."""
    found: dict[str, list[int] | None] = {}
    for chain in chains_of(model):
        if not any(path in kept for path in chain):
            continue
        last: list[int] | None = None
        for path, owners in heads_of(model, chain).items():
            mine = [owners[place] for place in kept.get(path, range(len(owners)))]
            if last is not None:
                found[path] = None if mine == last else [last.index(owner) for owner in mine]
            last = mine
    return found


def _differs(model: nn.Module, small: nn.Module, x: Tensor) -> str:
    """Why the smaller network cannot take the place of the other one; empty if it can."""
    try:
        before, after = model(x), small(x)
    except Exception as error:  # noqa: BLE001  code of somebody else's that counts on its sizes
        return f"the smaller network does not run ({type(error).__name__}: {error})"
    apart = float((after - before).abs().max()) if before.shape == after.shape else torch.inf
    if apart <= _TOLERANCE * max(1.0, float(before.abs().max())):
        return ""
    return f"the smaller network forecasts otherwise, by up to {apart:.2g}"


def _checked(path: str, below: Any, heads: int) -> list[int] | None:
    if below is None:
        return None
    if not (isinstance(below, list) and len(below) == heads and all(type(each) is int and each >= 0 for each in below)):
        raise ValueError(f"{path} has no list of the heads below it")
    return below
