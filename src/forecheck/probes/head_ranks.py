"""Stable rank of the matrices of every head, and what the forecast loses without the head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from forecheck.attention.head_matrices import head_matrices, stable_rank
from forecheck.attention.replace import Replace
from forecheck.attention.sites import Site, attach
from forecheck.forecasters.base import Forecaster
from forecheck.probes.case import Case, Measured, batches, numbers, observed_mean, spread
from forecheck.statistics.ranks import FEWEST

_WINDOWS = 256


@torch.no_grad()
def head_ranks(case: Case) -> Measured:
    r"""Stable ranks of :math:`W_o W_v` and :math:`W_q^\top W_k`, and losses with the pattern of a head set to zero.

    Only the products act: a head's matrices can be changed into many others that give the same forecast, and the
    products stay as they are.

    Returns:
        Summary: `why_not`, or `heads`, each with layer, head and stable ranks `value_output` and `query_key`. Arrays:
        `window_index` among the test windows, `raw_loss` (window,) and `ablated_loss` (head, window).
    """
    example, _ = case.experiment.test.gather(slice(0, 2))
    with attach(case.subject, example) as attached:
        sites = attached.sites
        if why := _why_not(sites, attached.why_not):
            return {"why_not": why}, {}
        ranks = [row for site in sites for row in _ranks(site)]
    index = spread(case.experiment.test, _WINDOWS)
    parts = list(batches(case.experiment.test, index))
    raw = _losses(case.forecaster, parts)
    ablated = []
    for row in ranks:
        edit = Replace("zero", layers=(row["layer"],), heads=(row["head"],))
        with edit.on(case.subject, example) as edited:
            ablated.append(torch.cat([_loss(edited(x), y) for x, y in parts]))
    arrays = {"window_index": index, "raw_loss": raw, "ablated_loss": torch.stack(ablated)}
    return {"heads": ranks, "windows": len(index)}, {name: each.numpy() for name, each in arrays.items()}


def _why_not(sites: list[Site], why: str) -> str:
    if not sites:
        return why
    for site in sites:
        if not getattr(site, "heads_known", True):
            return f"which patterns of {site.path} are its heads is not known"
        if head_matrices(site.module) is None:
            return f"how {site.path} lays out the matrices of its heads is not known"
    count = sum(site.heads for site in sites)
    return f"the model has {count} heads, and a rank correlation needs {FEWEST}" if count < FEWEST else ""


def _ranks(site: Site) -> list[dict[str, Any]]:
    found = head_matrices(site.module)
    assert found is not None
    written = numbers(stable_rank(found.out, found.v))
    looked = numbers(stable_rank(found.q.mT, found.k))
    return [
        {"layer": site.layer, "head": head, "value_output": written[head], "query_key": looked[head]}
        for head in range(len(written))
    ]


def _losses(forecaster: Forecaster, parts: list[tuple[Tensor, Tensor]]) -> Tensor:
    return torch.cat([_loss(forecaster.predict(x), y) for x, y in parts])


def _loss(forecast: Tensor, y: Tensor) -> Tensor:
    return observed_mean((forecast - y).double().square(), dim=(1, 2))
