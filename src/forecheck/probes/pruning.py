"""Loss against sparsity of the parts of a trained model, each pruned by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from forecheck.attention.parts import modules_by_part
from forecheck.attention.sites import attach
from forecheck.errors import UsageError
from forecheck.probes.case import Case, Measured, batches, observed_mean, spread
from forecheck.sparsity.masks import masks
from forecheck.sparsity.prunable import Weight, prunable
from forecheck.sparsity.prune import cut

SHARES = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)
"""Of the weights of every matrix of a part that become zero."""
PARTS = ("attention", "feed-forward", "head", "embedding", "other")
_WINDOWS = 512


@torch.no_grad()
def pruning(case: Case) -> Measured:
    """Losses with the smallest weights of every matrix of one part set to zero, the other parts as they are.

    One shot and no training after it: so it is about this very model, models that were trained elsewhere can be asked
    too, and no part gains by a recipe that suits it. Every matrix loses the same share, so no threshold has to compare
    matrices of different scale.

    Returns:
        Summary: `why_not`, or `parts`, each with its name, its number of `weights` and the names of its `matrices`;
        `shares`; `windows`. Arrays: `window_index` among the test windows, `raw_loss` (window,), and `pruned_loss`
        (part, share, window).
    """
    module = case.subject.module
    if module is None:
        return {"why_not": "the model is a function, so its weights are not known"}, {}
    example, _ = case.experiment.test.gather(slice(0, 2))
    try:
        weights = prunable(module, frozen=True).weights
        with attach(case.subject, example) as attached:
            if not attached.sites:
                return {"why_not": attached.why_not}, {}
            owners = modules_by_part(attached, example)
    except UsageError as error:
        return {"why_not": f"its weights cannot be told apart by parts: {error}"}, {}
    part_of = {id(each): part for owner, part in owners.items() for each in owner.parameters()}
    parts = {
        part: [weight for weight in weights if part_of.get(id(weight.parameter), PARTS[-1]) == part] for part in PARTS
    }
    parts = {part: held for part, held in parts.items() if held}
    if "attention" not in parts:
        return {"why_not": "its attention has no weights of linear maps, so there is nothing to prune in it"}, {}
    index = spread(case.experiment.test, _WINDOWS)
    arrays = {"window_index": index, "raw_loss": _losses(case, index)}
    arrays["pruned_loss"] = torch.stack([_by_share(case, index, held) for held in parts.values()])
    described: list[dict[str, Any]] = [
        {"part": part, "weights": sum(each.size for each in held), "matrices": [each.name for each in held]}
        for part, held in parts.items()
    ]
    summary = {"parts": described, "shares": list(SHARES), "windows": len(index)}
    return summary, {name: each.numpy() for name, each in arrays.items()}


def _by_share(case: Case, index: Tensor, weights: Sequence[Weight]) -> Tensor:
    scores = {weight.name: weight.value.abs() for weight in weights}
    losses = []
    for share in SHARES:
        with cut(weights, masks(scores, share)):
            losses.append(_losses(case, index))
    return torch.stack(losses)


def _losses(case: Case, index: Tensor) -> Tensor:
    """Squared error of every window."""
    test = case.experiment.test
    found = [(case.forecaster.predict(x) - y).double().square() for x, y in batches(test, index)]
    return observed_mean(torch.cat(found), dim=(1, 2))
