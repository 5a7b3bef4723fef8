"""Representation: what the attention patterns of a trained model look like, and what its layers make of tokens."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from forecheck.attention.sites import Attached, attach
from forecheck.probes.case import Case, Measured, batch_of, batches, number, spread
from forecheck.probes.patterns import COLLAPSE, PatternSums
from forecheck.probes.tokens import Tokens, effective_rank, linear_cka, own_share, tokens_of

# Numbers of one token matrix at most; singular values of more take longer than the rest of the measure.
_TOKEN_NUMBERS = 1_000_000
_MATRICES = 128


@torch.no_grad()
def representation(case: Case) -> Measured:
    """Patterns and tokens of every attention layer, over training windows.

    Returns:
        Summary: `layers`, a list with path, `patterns` (see `patterns.PatternSums`) and `tokens` (effective rank of
        all windows' tokens together and of one window's, share of tokens that is their own, CKA with the layer before
        and with the first), or `why_not`. Arrays: `entropy_{layer}` (head, query), and `cka` (layer, layer) between
        what enters the layers, NaN where it cannot be had.
    """
    train = case.experiment.train
    index = spread(train)
    example, _ = train.gather(index[:2])
    with attach(case.subject, example) as attached:
        if not attached.sites:
            return {"why_not": attached.why_not}, {}
        sums = [PatternSums(site) for site in attached.sites]
        for site, each in zip(attached.sites, sums, strict=True):
            site.observe(each.add)
        for x, _ in batches(train, index, batch_of(attached.sites, train.channels)):
            attached(x)
        for site in attached.sites:
            site.observe(None)
        found = _tokens(case, attached, example, index)
    arrays = {f"entropy_{i}": each.entropy.numpy() for i, each in enumerate(sums) if not each.summary().get("why_not")}
    cka = _alike(found)
    layers = [
        {"path": site.path, "patterns": each.summary(), "tokens": _described(found[layer], cka[:, layer], layer)}
        for layer, (site, each) in enumerate(zip(attached.sites, sums, strict=True))
    ]
    summary = {"windows": len(index), "collapse_threshold": COLLAPSE, "layers": layers}
    return summary, arrays | {"cka": cka.numpy()}


def _tokens(case: Case, attached: Attached, example: Tensor, index: Tensor) -> list[Tokens | str]:
    """Tokens of every layer over as many of the windows as are cheap."""
    first = tokens_of(attached, case.subject.module, example)
    sizes = [each.entering.numel() // len(example) for each in first.values() if isinstance(each, Tokens)]
    count = _TOKEN_NUMBERS // max(sizes, default=_TOKEN_NUMBERS)
    count = max(2, min(count, len(index), 4 * batch_of(attached.sites, example.shape[2])))
    some = index[torch.linspace(0, len(index) - 1, min(count, len(index))).round().long()]
    found = tokens_of(attached, case.subject.module, case.experiment.train.gather(some)[0])
    return [found[layer] for layer in sorted(found)]


def _alike(found: list[Tokens | str]) -> Tensor:
    """CKA (layer, layer) of entering tokens; NaN where there are none, or not the same number of them."""
    rows = [each.entering.flatten(0, 1) if isinstance(each, Tokens) else None for each in found]
    cka = torch.full((len(rows), len(rows)), torch.nan, dtype=torch.float64)
    for i, x in enumerate(rows):
        for j, y in enumerate(rows[: i + 1]):
            if x is not None and y is not None and len(x) == len(y):
                cka[i, j] = cka[j, i] = linear_cka(x, y)
    return cka


def _described(tokens: Tokens | str, cka: Tensor, layer: int) -> dict[str, Any]:
    if isinstance(tokens, str):
        return {"why_not": tokens}
    entering, leaving = tokens
    return {
        "rows": entering.shape[0] * entering.shape[1],
        "width": entering.shape[2],
        "entering": _rank(entering),
        "leaving": None if leaving is None else _rank(leaving),
        "cka_before": number(cka[layer - 1]) if layer else None,
        "cka_first": number(cka[0]) if layer else None,
    }


def _rank(tokens: Tensor) -> dict[str, Any]:
    some = tokens[torch.linspace(0, len(tokens) - 1, min(len(tokens), _MATRICES)).round().long()]
    return {
        "rank": number(effective_rank(tokens.flatten(0, 1))),
        "window_rank": number(effective_rank(some).nanmean()),
        "most": min(tokens.shape[2], tokens.shape[0] * tokens.shape[1] - 1),
        "window_most": min(tokens.shape[2], tokens.shape[1] - 1),
        "own_share": number(own_share(tokens)),
    }
