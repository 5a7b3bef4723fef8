"""FC312, FC604: which weights can go first, and whether stable rank tells which heads matter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from forecheck.auditing.check import Finding, Outcome, with_interval
from forecheck.auditing.evidence import Evidence
from forecheck.auditing.measured import MeasuredCheck, losses_by_time, sampled_times
from forecheck.statistics.inference import AS_FORECASTER, Comparison, compare
from forecheck.statistics.ranks import RankCorrelation, rank_correlation
from forecheck.trials.store import Result

OPTION = "prune"
_BESIDE = 0.9
"""Share at which attention is compared with every other part."""


@dataclass(frozen=True)
class _Part:
    """A part of the model, and what it costs to prune it.

    Attributes:
        name: of the part.
        weights: how many it has.
        losses: by share, seed and origin time.
        compared: with the whole model, by share.
    """

    name: str
    weights: int
    losses: Float[np.ndarray, "share seed time"]
    compared: list[Comparison]

    def spare(self, shares: Sequence[float]) -> float:
        """The largest share up to which no share makes a difference that is worse, or leaves that open."""
        free = 0.0
        for share, each in zip(shares, self.compared, strict=True):
            if each.outcome not in ("equivalent", "less"):
                break
            free = share
        return free


class PrunedParts(MeasuredCheck):
    """Which weights can go first: those of attention, of the feed-forward parts, or of the head?

    The smallest weights of every matrix of one part become zero while all other parts stay as they are, and the loss
    on test windows is compared with that of the whole model; with several seeds the spread between them enters the
    intervals. Nothing is trained after the cut, for no part: the question is about this model, it can be asked of
    models that were trained elsewhere, and no part gains by a recipe that suits it. Training under the mask wins much
    of the loss back (`forecheck prune`), so what can go here can go there, and more. P-values are adjusted over all
    parts and shares (Holm). Beside it attention is compared with every other part at 90 %. Parts differ in size: the
    table says how many weights each has. What runs before attention counts as embedding, what runs after the last
    sublayer as head.
    """

    code, title = "FC312", "which weights can go first"
    white_box = True
    option = OPTION
    measure = "pruning"
    advice = "Prune with training, which costs less: forecheck prune. Zeros alone make no forecast faster."
    source = "Han et al. 2015 (arXiv 1506.02626), section 4.1, sensitivity of layers to pruning"

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """The share that each part can lose."""
        shares = [float(each) for each in results[0].summary["shares"]]
        raw, parts, overlap = _parts(evidence, results)
        spare = {part.name: part.spare(shares) for part in parts}
        whole = [part.name for part in parts if spare[part.name] == 1]
        beside = _beside(evidence, raw, parts, shares.index(_BESIDE), overlap)
        said = ", ".join(f"{part.name} {_percent(spare[part.name])}" for part in parts)
        meaning = f"Shown to make no difference when cut alone, smallest weights first: {said}. {_ranks(beside)}"
        undecided = [c for part in parts for c in part.compared if c.outcome == "undecided"]
        outcome: Outcome = "undecided" if len(undecided) == len(parts) * len(shares) else "pass"
        return self.finding(
            outcome,
            meaning,
            title=_title(spare),
            severity="warning" if "attention" in whole else "info",
            advice=self.advice if max(spare.values()) > 0 else "",
            why=undecided[0].reason if outcome == "undecided" else "",
            table=_table(parts, shares),
            chart=_chart(parts, shares, evidence.margin),
            parts=[_described(part, shares, spare) for part in parts],
            beside=beside,
        )


def _parts(evidence: Evidence, results: Sequence[Result]) -> tuple[Float[np.ndarray, "seed time"], list[_Part], int]:
    """Losses of the whole model, the parts, and how many windows in a row share targets."""
    times, overlap = sampled_times(evidence, results)
    raw = losses_by_time((result.arrays["raw_loss"] for result in results), times)
    named = results[0].summary["parts"]
    losses = np.stack(
        [
            [
                losses_by_time((result.arrays["pruned_loss"][k, i] for result in results), times)
                for i in range(len(results[0].summary["shares"]))
            ]
            for k in range(len(named))
        ]
    )
    differences = [losses[k, i] - raw for k in range(len(losses)) for i in range(losses.shape[1])]
    found = compare(differences, float(raw.mean()), overlap, margin=evidence.margin, over_seeds="if several")
    count = losses.shape[1]
    parts = [
        _Part(each["part"], each["weights"], losses[k], found[k * count : (k + 1) * count])
        for k, each in enumerate(named)
    ]
    return raw, parts, overlap


def _beside(
    evidence: Evidence, raw: Float[np.ndarray, "seed time"], parts: Sequence[_Part], place: int, overlap: int
) -> list[dict[str, Any]]:
    """Attention cut against every other part cut, at one share, relative to the whole model's loss."""
    attention, others = parts[0], parts[1:]
    if not others:
        return []
    differences = [attention.losses[place] - other.losses[place] for other in others]
    found = compare(differences, float(raw.mean()), overlap, margin=evidence.margin, over_seeds="if several")
    return [
        {
            "part": other.name,
            "share": _BESIDE,
            "effect": c.effect,
            "interval": list(c.interval),
            "outcome": AS_FORECASTER[c.outcome],
            "said": with_interval(c),
        }
        for other, c in zip(others, found, strict=True)
    ]


_COSTS: Mapping[str, str] = {"worse": "more", "better": "less", "no difference": "as much", "undecided": "undecided"}


def _ranks(beside: Sequence[Mapping[str, Any]]) -> str:
    if not beside:
        return "There is no other part to compare it with."
    each = [f"{one['part']}: {_COSTS[one['outcome']]} ({one['said'].split(';')[0]})" for one in beside]
    return f"What attention costs at 90 %, against {', '.join(each)}; differences in % of the whole model's test MSE."


def _title(spare: Mapping[str, float]) -> str:
    """Which part can lose most."""
    most = max(spare.values())
    first = [name for name, share in spare.items() if share == most]
    if most == 0:
        return "no part is shown to lose half of its weights without a difference"
    return f"{' and '.join(first)} can go first: {_percent(most)} of the weights make no difference"


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def _table(parts: Sequence[_Part], shares: Sequence[float]) -> dict[str, Any]:
    rows = [
        [part.name, f"{part.weights:,}", _percent(share), with_interval(c).split(";")[0], AS_FORECASTER[c.outcome]]
        for part in parts
        for share, c in zip(shares, part.compared, strict=True)
    ]
    return {"columns": ["part", "weights", "zero", "effect on test MSE", "pruned is"], "rows": rows}


def _chart(parts: Sequence[_Part], shares: Sequence[float], margin: float) -> dict[str, Any]:
    """Losses relative to the whole model's, on a logarithmic axis: parts cost a little, or several times the loss."""
    x = [0.0, *(100 * share for share in shares)]
    series = [
        {
            "label": part.name,
            "x": x,
            "y": [1.0, *(1 + c.effect for c in part.compared)],
            "low": [1.0, *(max(1 + c.interval[0], 1e-3) for c in part.compared)],
            "high": [1.0, *(1 + c.interval[1] for c in part.compared)],
        }
        for part in parts
    ]
    return {
        "kind": "curves",
        "x_label": "% of the part's weights that are zero",
        "y_label": "test MSE over that of the whole model",
        "y_scale": "log",
        "series": series,
        "levels": [{"label": "margin", "value": 1 + margin}],
    }


def _described(part: _Part, shares: Sequence[float], spare: Mapping[str, float]) -> dict[str, Any]:
    points = [
        {"share": share, "effect": c.effect, "interval": list(c.interval), "outcome": AS_FORECASTER[c.outcome]}
        for share, c in zip(shares, part.compared, strict=True)
    ]
    return {"part": part.name, "weights": part.weights, "spare": spare[part.name], "points": points}


class RanksOfHeads(MeasuredCheck):
    r"""Does the stable rank of a head's matrices tell how much the forecast suffers without the head?

    The stable rank :math:`\lVert W \rVert_F^2 / \lVert W \rVert_2^2` needs no data. It is taken of the two products of
    matrices through which a head acts: :math:`W_o W_v`, what it writes, and :math:`W_q^\top W_k`, where it looks;
    single matrices could be changed into others without any change of the forecast. The effect of a head is the change
    of the loss on test windows when its pattern is zero. The two are compared by Spearman's rank correlation over the
    heads of all layers, within each seed, and put together over seeds. Effects are measured with errors, which makes
    correlations smaller than they are.
    """

    code, title = "FC604", "whether stable rank tells which heads matter"
    white_box = True
    of_patterns = True
    option = OPTION
    measure = "head_ranks"
    advice = "Choose heads to remove by the loss without them (FC601), not by stable rank."
    source = "Bao et al. 2026 (arXiv 2602.01605), which ablates heads by stable rank; Michel et al. 2019, section 3.2"

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """Both correlations."""
        del evidence
        effects = [_effects(result) for result in results]
        found = {name: _correlated(results, effects, name) for name in _PRODUCTS}
        if all(each is None for each in found.values()):
            return self.not_applicable("all heads have the same stable rank, or none changes the loss")
        telling = [name for name, each in found.items() if each is not None and _sign(each)]
        outcome: Outcome = "pass" if telling else "undecided"
        said = "; ".join(f"{words} {_written(found[name])}" for name, words in _PRODUCTS.items())
        heads = results[0].summary["heads"]
        mean = np.mean(effects, axis=0)
        tells = "tells of heads that matter" if telling else "does not tell which heads matter"
        return self.finding(
            outcome,
            f"Rank correlation of stable rank with the loss without the head, over {len(heads)} heads: {said}.",
            title=f"stable rank {tells}",
            advice="" if telling else self.advice,
            why="" if telling else "both intervals hold zero; more heads or seeds would narrow them",
            table=_heads_table(results, mean),
            correlations={name: _plain(each) for name, each in found.items()},
            heads=[each | {"effect": float(mean[k])} for k, each in enumerate(heads)],
        )


_PRODUCTS = {"value_output": "of what heads write (W_o W_v)", "query_key": "of where they look (W_q' W_k)"}


def _effects(result: Result) -> Float[np.ndarray, " head"]:
    """Relative change of the loss without each head."""
    raw = float(result.arrays["raw_loss"].mean())
    changes: Float[np.ndarray, " head"] = result.arrays["ablated_loss"].mean(axis=1) / raw - 1
    return changes


def _correlated(
    results: Sequence[Result], effects: Sequence[Float[np.ndarray, " head"]], name: str
) -> RankCorrelation | None:
    pairs = []
    for result, effect in zip(results, effects, strict=True):
        ranks = np.array([math.nan if head[name] is None else head[name] for head in result.summary["heads"]], float)
        known = np.isfinite(ranks)  # a head without weights has none
        pairs.append((ranks[known], effect[known]))
    return rank_correlation(pairs)


def _sign(c: RankCorrelation) -> bool:
    return c.interval[0] > 0 or c.interval[1] < 0


def _written(c: RankCorrelation | None) -> str:
    return "unknown" if c is None else f"{c.value:+.2f} [{c.interval[0]:+.2f}, {c.interval[1]:+.2f}]"


def _plain(c: RankCorrelation | None) -> dict[str, Any] | None:
    return None if c is None else {"value": c.value, "interval": list(c.interval), "seeds": c.seeds}


def _heads_table(results: Sequence[Result], effects: Float[np.ndarray, " head"]) -> dict[str, Any]:
    rows = []
    for k, head in enumerate(results[0].summary["heads"]):
        ranks = [[result.summary["heads"][k][name] for result in results] for name in _PRODUCTS]
        means = ["unknown" if None in each else f"{np.mean(each):.2f}" for each in ranks]
        rows.append([f"layer {head['layer']} head {head['head']}", *means, f"{100 * effects[k]:+.1f} %"])
    return {"columns": ["head", "rank of W_o W_v", "rank of W_q' W_k", "test MSE without it"], "rows": rows}


CHECKS = (PrunedParts(), RanksOfHeads())
