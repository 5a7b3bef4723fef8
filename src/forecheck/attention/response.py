"""What patterns respond to: whether rows are tokens and heads are heads, measured from outside.

One token disturbed changes its row of scores, and its column. If the row and the column that change stand at the same
place, query i and key i are the same token; if not, a pattern of ones on the diagonal means nothing. Likewise a window
or a channel disturbed changes the patterns of all heads that look at it, and of no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from forecheck.attention.patterns import Identity, Mean
from forecheck.attention.sites import Attached, Site

_PLACES = 8  # stretches of time, and channels, that are disturbed one by one
_STRENGTH = 0.3
_NOTHING = 1e-6  # changes of a pattern below this are rounding
_TINY = 1e-30
_ALIKE = 0.5
_LITTLE = 1e-3
_FEWEST = 3  # tokens, to tell them apart


@torch.no_grad()
def rows_are_tokens(attached: Attached, x: Float[Tensor, "batch lookback channel"]) -> dict[int, bool]:
    r"""By layer, whether query i and key i are the same token; only of sites with as many queries as keys.

    With every other pattern the identity (or the plain mean, where that is undefined) tokens stay apart, so a stretch
    of time or a channel that is disturbed moves few of them. From the change :math:`\Delta` of log patterns

    .. math:: r_i = \mathrm{median}_j |\Delta_{ij} - m_i|, \quad c_j = \mathrm{median}_i |\Delta_{ij} - m_i|, \quad
        m_i = \mathrm{median}_j \Delta_{ij}

    tell which rows and which columns moved. The answer is yes if r and c are correlated, on average over disturbances,
    those that move few tokens first, and no if not, or if only columns move. Where no pattern moves, or there are fewer
    than three tokens, nothing is known, which counts as yes.

    Args:
        attached: the model.
        x: windows; the first two are looked at.
    """
    square = [site for site in attached.sites if site.queries == site.keys]
    x = x[:2]
    found: dict[int, bool] = {}
    if not square:
        return found
    with _kept_apart(attached):
        base = _patterns(attached, square, x)
        rows: dict[int, list[Tensor]] = {site.layer: [] for site in square}
        columns: dict[int, list[Tensor]] = {site.layer: [] for site in square}
        for disturbed in _disturbed(x):
            for layer, pattern in _patterns(attached, square, disturbed).items():
                row, column = _moved(base[layer], pattern)
                rows[layer].append(row)
                columns[layer].append(column)
    for site in square:
        moved = torch.stack(rows[site.layer]), torch.stack(columns[site.layer])
        found[site.layer] = site.keys < _FEWEST or _same_places(*moved)
    return found


def not_tokens(path: str) -> str:
    """What to say of a site whose rows are not the tokens of its columns."""
    return f"row i and column i of the pattern of {path} do not respond to the same part of a window"


def _same_places(rows: Float[Tensor, "disturbance token"], columns: Float[Tensor, "disturbance token"]) -> bool:
    if float(columns.amax()) < _NOTHING:
        return True
    if float(rows.amax()) < _LITTLE * float(columns.amax()):
        return False
    live = (rows.amax(dim=0) > _LITTLE * rows.amax()) & (columns.amax(dim=0) > _LITTLE * columns.amax())
    if int(live.sum()) < _FEWEST:  # masks hide the others
        return True
    rows, columns = rows[:, live], columns[:, live]
    r, c = (each - each.mean(dim=1, keepdim=True) for each in (rows, columns))
    alike = (r * c).sum(dim=1) / (r.norm(dim=1) * c.norm(dim=1)).clamp(min=_TINY)
    # What moves few tokens tells most; what moves none tells nothing.
    alone = (columns.amax(dim=1) / columns.mean(dim=1).clamp(min=_TINY) - 1) / (columns.shape[1] - 1)  # 1: one token
    clear = alone**4 * (columns.amax(dim=1) > _LITTLE * columns.amax())
    return float((clear * alike).sum() / clear.sum().clamp(min=_TINY)) > _ALIKE


def _moved(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """How much every row and every column of scores moved, mean over batch and heads."""
    if before.shape != after.shape:
        return torch.zeros(before.shape[2]), torch.zeros(before.shape[3])
    shown = (before > 0) & (after > 0)
    change = after.clamp(min=_TINY).log() - before.clamp(min=_TINY).log()
    if not bool((before >= 0).all()):  # differences of patterns
        shown, change = torch.ones_like(shown), after - before
    change = change.double().masked_fill(~shown, torch.nan)
    off = (change - change.nanmedian(dim=-1, keepdim=True).values).abs()
    rows, columns = off.nanmedian(dim=-1).values, off.nanmedian(dim=-2).values
    return rows.nan_to_num().mean(dim=(0, 1)).cpu(), columns.nan_to_num().mean(dim=(0, 1)).cpu()


def _disturbed(x: Tensor) -> Iterator[Tensor]:
    """Windows with a stretch of time, or a channel, changed; sums stay, for models that subtract means."""
    generator = torch.Generator().manual_seed(0)
    scale = _STRENGTH * float(x.std())
    sizes = torch.rand(x.shape[-1], generator=generator) + 0.5
    for part in torch.arange(x.shape[1]).tensor_split(min(_PLACES, x.shape[1])):
        noise = torch.randn(len(part), generator=generator)
        noise = noise - noise.mean() if len(part) > 1 else noise
        disturbed = x.clone()
        disturbed[:, part] += scale * (noise[:, None] * sizes).to(x)
        yield disturbed
    for channel in range(min(_PLACES, x.shape[-1])) if x.shape[-1] > 1 else ():
        noise = torch.randn(x.shape[1], generator=generator)
        disturbed = x.clone()
        disturbed[..., channel] += scale * (noise - noise.mean()).to(x)
        yield disturbed


@contextmanager
def _kept_apart(attached: Attached) -> Iterator[None]:
    """The identity where it is defined, the plain mean elsewhere: tokens go through apart."""
    try:
        for site in attached.sites:
            square = site.queries == site.keys and not getattr(site, "across", False)
            site.edit(Identity() if square else Mean())
        yield
    finally:
        for site in attached.sites:
            site.edit(None)


def _patterns(attached: Attached, sites: list[Site], x: Tensor) -> dict[int, Tensor]:
    """The first pattern of full size that every site forms."""
    found: dict[int, Tensor] = {}

    def keep(site: Site) -> Callable[[Tensor], None]:
        def record(weights: Tensor) -> None:
            if site.layer not in found and weights.shape[2:] == (site.queries, site.keys):
                found[site.layer] = weights.detach()

        return record

    try:
        for site in sites:
            site.observe(keep(site))
        attached(x)
    finally:
        for site in sites:
            site.observe(None)
    return {site.layer: found[site.layer] for site in sites if site.layer in found}


@torch.no_grad()
def heads_respond(attached: Attached, x: Float[Tensor, "batch lookback channel"]) -> dict[int, bool]:
    """By layer, whether all heads of a member of the batch look at the same windows and channels.

    A window, then every channel, is disturbed: of the patterns that stand side by side as heads of one member either
    all move or none. If windows or channels are taken for heads, one moves and the others do not.

    Args:
        attached: the model.
        x: windows, as many as the model is known to take.
    """
    moved = moves(attached, x)
    found = {}
    for site in attached.sites:
        seen = moved.get(site.layer)
        if site.heads == 1 or seen is None:
            found[site.layer] = True
            continue
        alive = seen.any(dim=0)  # a head that never moves tells nothing
        counts = (seen & alive).sum(dim=2)
        found[site.layer] = bool(((counts == 0) | (counts == alive.sum(dim=1))).all())
    return found


@torch.no_grad()
def moves(
    attached: Attached, x: Float[Tensor, "batch lookback channel"], channels: int = _PLACES, *, ends: bool = False
) -> dict[int, Bool[Tensor, "cause member head"]]:
    """By layer, which patterns of the batch move if the first of some windows is disturbed, or one channel of all.

    Args:
        attached: the model.
        x: windows, as many as the model is known to take.
        channels: how many, at most, are disturbed one by one.
        ends: whether the first and the last stretch of time are disturbed as well, as the first two causes.
    """
    x = at_least_two(x)
    noise = _STRENGTH * x.std() * torch.randn(x.shape, generator=torch.Generator().manual_seed(1)).to(x)
    masks = [torch.zeros_like(x) for _ in range(1 + (min(channels, x.shape[-1]) if x.shape[-1] > 1 else 0))]
    masks[0][0] = 1
    for channel, mask in enumerate(masks[1:]):
        mask[..., channel] = 1
    if ends:
        size = max(1, x.shape[1] // _PLACES)
        for part in (slice(None, size), slice(-size, None)):
            masks.insert(0, torch.zeros_like(x))
            masks[0][:, part] = 1
    base = _patterns(attached, attached.sites, x)
    found: dict[int, list[Tensor]] = {}
    for mask in masks:
        for layer, pattern in _patterns(attached, attached.sites, x + mask * noise).items():
            if layer in base and pattern.shape == base[layer].shape:
                found.setdefault(layer, []).append(_changed(base[layer], pattern).flatten(2).any(dim=2))
    return {layer: torch.stack(each).cpu() for layer, each in found.items() if len(each) == len(masks)}


def _changed(before: Tensor, after: Tensor) -> Tensor:
    """Elementwise; of sharp patterns only the small weights move, and those by their ratio."""
    both = (before > 0) & (after > 0)
    ratio = (after.clamp(min=_TINY).log() - before.clamp(min=_TINY).log()).abs()
    return ((after - before).abs() > _NOTHING) | (both & (ratio > _LITTLE))


def at_least_two(x: Tensor) -> Tensor:
    """The windows as they are, since a model may take batches of one size only; a single one twice, not quite alike."""
    if len(x) > 1:
        return x
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(2)).to(x)
    return torch.cat([x, x + _STRENGTH * x.std() * noise])
