"""Which patterns of a batch are heads: from how features were split, and by what every pattern responds to."""

from __future__ import annotations

from collections import Counter

from torch import Tensor

from forecheck.attention.calls.site import CallSite
from forecheck.attention.response import moves
from forecheck.attention.sites import Attached

_CHANNELS = 2
"""Channels that are disturbed one by one."""
_WINDOW, _FIRST_CHANNEL = 2, 3  # places among the causes, of which the first are two stretches of time


def settle_heads(sites: list[CallSite], attached: Attached, x: Tensor) -> None:
    """Say of every site how many heads it has, or that it is not known which axis is theirs.

    Heads are what the batch holds beside windows, channels and stretches of time (as local attention has them): their
    patterns stand side by side and respond to the same of all these. An axis is believed to be that of heads if that
    holds, and if features were split into as many parts on the way there or nothing else than heads can be left. Sizes
    alone say nothing: batches and channels have any size.

    Args:
        sites: as found, with the number of heads that their shapes or their modules claim.
        attached: the model with these sites.
        x: windows.
    """
    claims = {site.layer: site.heads for site in sites if not site.declared}
    if not claims:
        return
    for site in sites:
        if site.layer in claims:
            site.heads = 1
    moved = moves(attached, x, _CHANNELS, ends=True)
    for site in sites:
        if site.layer in claims:
            claim = claims[site.layer]
            members = moved[site.layer].flatten(1).T.tolist() if site.layer in moved else []
            heads = _heads([tuple(each) for each in members], claim, site.splits, x.shape[-1] == 1)
            site.heads, site.heads_known = (1, False) if heads is None else (heads, True)


def _heads(members: list[tuple[bool, ...]], claim: int, splits: frozenset[int], single: bool) -> int | None:
    """Their number; None if it is not known."""
    groups = Counter(each for each in members if any(each))
    channels = {each: each[_FIRST_CHANNEL:] for each in groups}
    apart = {each: groups[each] for each, seen in channels.items() if any(seen) and not all(seen)}
    if not groups:  # nothing moves any pattern
        return claim if claim == 1 or claim in splits else None
    size = min((apart or groups).values())
    certain = single or bool(apart)  # windows and channels are told apart, so that the rest are heads
    for heads in dict.fromkeys((claim, size)):
        if heads == 1:
            if size == 1 or not splits:
                return 1
        elif _side_by_side(members, heads) and (heads in splits or (certain and heads == size)):
            return heads
    return None


def _side_by_side(members: list[tuple[bool, ...]], heads: int) -> bool:
    """Whether every stretch of so many members responds alike; one that never moves is like any.

    Sharp patterns move by chance if a part of a window is disturbed, so that parts of windows only tell members apart
    of which one always moves and one never does.
    """
    if len(members) % heads:
        return False
    groups = [members[start : start + heads] for start in range(0, len(members), heads)]
    if any(len({each[_WINDOW:] for each in group if any(each)}) > 1 for group in groups):
        return False
    # What one window and channel has of patterns comes again for the next: that often a member shows what it moves by.
    first = next((each[_WINDOW:] for each in members if any(each)), ())
    alike = next((n for n, each in enumerate(members) if any(each) and each[_WINDOW:] != first), len(members))
    period = alike if alike % heads == 0 and len(members) % alike == 0 else heads
    for start in range(0, period, heads):
        for part in range(_WINDOW):
            places = range(start, start + heads)
            moved = [[each[part] for each in members[place::period] if any(each)] for place in places]
            if any(each and all(each) for each in moved) and any(each and not any(each) for each in moved):
                return False
    return True
