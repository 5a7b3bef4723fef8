"""FC7xx: what do the attention patterns look like, and what do the layers do with the tokens?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from forecheck.auditing.check import Check, Finding
from forecheck.auditing.evidence import Evidence
from forecheck.auditing.measured import MeasuredCheck, by_head, by_layer, heat, layers_of, numbers_of, share
from forecheck.probes.patterns import COLLAPSE
from forecheck.trials.store import Result

_ALIKE = 0.99
_UNIFORM = 0.1
_PULLED = 0.6
_SAME = 0.01
_ANALYSIS = "arXiv 2509.20942, representation analysis"
_SIGNED = "its patterns have weights below 0, so their rows are no distributions over the keys"


class Representation(MeasuredCheck):
    """Patterns and tokens of the trained model, over training windows."""

    white_box = True
    measure = "representation"

    def missing(self, results: Sequence[Result]) -> Finding:
        """A finding that says why tokens could not be had."""
        reasons = [layer["tokens"].get("why_not", "") for layer in layers_of(results)]
        return self.not_applicable(next(filter(None, reasons), "the tokens could not be had"))


def _table(results: Sequence[Result], **columns: Sequence[float | None]) -> dict[str, Any]:
    """A row a layer."""
    rows = [
        [f"{i} {layer['path']}", *(values[i] for values in columns.values())]
        for i, layer in enumerate(layers_of(results))
    ]
    return {"columns": ["layer", *(name.replace("_", " ") for name in columns)], "rows": rows}


def _percent(rows: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
    return [[None if value is None else 100 * value for value in row] for row in rows]


class EffectiveRank(Representation):
    """How many directions do the tokens use?

    The effective rank of what enters and leaves every attention layer, exp of the entropy of the normalised singular
    values of the centred token matrix: all windows together, and within one window. It lies between 1 and the smaller
    side of the matrix. Few directions in a wide model say that width is spent in vain. Nothing is wrong with any value
    by itself, so this is reported, not judged; FC707 judges.
    """

    code, title, severity = "FC701", "effective rank of tokens", "info"
    source = f"Roy & Vetterli 2007; {_ANALYSIS}"

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """Ranks of all layers."""
        entering = by_layer(results, "tokens", "entering", "rank")
        if all(rank is None for rank in entering):
            return self.missing(results)
        window = by_layer(results, "tokens", "entering", "window_rank")
        leaving = by_layer(results, "tokens", "leaving", "rank")
        most = by_layer(results, "tokens", "entering", "most")
        return self.finding(
            "pass",
            f"Tokens that enter the attention layers use {numbers_of(entering)} of {numbers_of(most)} directions; "
            f"those of a single window {numbers_of(window)}.",
            table=_table(results, entering=entering, of=most, in_one_window=window, leaving=leaving),
            chart={
                "kind": "bars",
                "x": [f"layer {i}" for i in range(len(entering))],
                "series": [{"label": "all windows", "y": entering}, {"label": "one window", "y": window}],
                "x_label": "attention layer",
                "y_label": "effective rank",
            },
        )


class LayersAlike(Representation):
    """Does every layer change the tokens?

    Linear centred kernel alignment (CKA) between what enters one attention layer and the next: 1 for tokens that are
    the same up to rotation, shift and scale. From 0.99 on a layer (attention and what follows it) is said to change
    little; the bound is a convention, and CKA is dominated by the directions of largest variance. A model of one layer
    has nothing to compare.
    """

    code, title, severity = "FC702", "similarity of layers (CKA)", "info"
    advice = "Try fewer layers: those that change little are the first to go."
    source = f"Kornblith et al. 2019; {_ANALYSIS}"

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """CKA of successive layers, and all pairs as a heat map."""
        if len(layers_of(results)) < 2:
            return self.not_applicable("there is one attention layer, so none to compare it with")
        before = by_layer(results, "tokens", "cka_before")
        known = [(i, value) for i, value in enumerate(before) if value is not None]
        if not known:
            return self.missing(results)
        alike = [i - 1 for i, value in known if value >= _ALIKE]
        pairs = np.mean([result.arrays["cka"] for result in results], axis=0)
        names = [f"layer {i}" for i in range(len(before))]
        return self.finding(
            "no difference" if alike else "pass",
            f"CKA between what enters successive layers is {numbers_of([value for _, value in known])}"
            + (f"; layer {', '.join(map(str, alike))} changes little (0.99 or more)." if alike else "."),
            title=f"{len(alike)} of {len(known)} layers change little" if alike else "",
            advice=self.advice if alike else "",
            table=_table(results, to_the_layer_before=before, to_the_first=by_layer(results, "tokens", "cka_first")),
            chart={
                "kind": "heat",
                "rows": names,
                "columns": names,
                "values": [[None if np.isnan(value) else float(value) for value in row] for row in pairs],
                "unit": "",
            },
        )


class NearUniform(Representation):
    """Does attention look anywhere in particular?

    Total variation between a row of the pattern and the uniform one is the share of the weight that would have to
    move. Under 0.1 (less than a tenth) in every layer, attention is nearly the plain mean, whatever the entropy over
    the log of the keys says: that is near 1 even for patterns that look somewhere, which is why it is shown but not
    judged by. FC303 says whether the forecast cares.
    """

    code, title = "FC703", "attention near uniform"
    of_patterns = True
    advice = "See FC303: if the plain mean does as well, attention can be replaced by it."
    source = _ANALYSIS

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """Distance from uniform in all layers."""
        variation = by_layer(results, "patterns", "total_variation")
        known = [value for value in variation if value is not None]
        if not known:
            return self.not_applicable(str(layers_of(results)[0]["patterns"].get("why_not", "") or _SIGNED))
        entropy = by_layer(results, "patterns", "entropy")
        uniform = max(known) < _UNIFORM
        return self.finding(
            "fail" if uniform else "pass",
            f"On average {numbers_of(variation, share)} of the weight of a row would have to move to make it uniform; "
            f"entropy is {numbers_of(entropy)} of its maximum (by layer).",
            title="attention is nearly uniform" if uniform else "attention looks somewhere",
            severity=self.severity if uniform else "info",
            advice=self.advice if uniform else "",
            table=_table(
                results,
                entropy=entropy,
                total_variation=variation,
                weight_on_itself=by_layer(results, "patterns", "self_weight"),
                weight_on_the_last_key=by_layer(results, "patterns", "last_key_weight"),
                uniform_weight=by_layer(results, "patterns", "uniform_weight"),
            ),
            chart=heat(by_head(results, "patterns", "heads", "entropy")),
        )


class PositionAndContent(Representation):
    """Does attention depend on position or on content?

    The variance of the pattern around uniform splits exactly into what is the same for every window (position: the
    variance of the mean pattern) and what differs from window to window (content). Attention that is nearly all
    position could be a fixed matrix (FC304, FC404). A share of little variance is of little account: FC703 says how
    much there is. Series of one batch count as windows, so what differs between channels is content.
    """

    code, title, severity = "FC704", "position and content part of attention", "info"
    of_patterns = True
    advice = "Attention that is the same for every window can be a learnt matrix: see FC304 and FC404."
    source = _ANALYSIS

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """Shares of all layers; heads as a heat map."""
        content = by_layer(results, "patterns", "content_share")
        known = [value for value in content if value is not None]
        if not known:
            return self.not_applicable("the patterns do not differ from uniform, so there is nothing to split")
        fixed = max(known) < _UNIFORM
        heads = by_head(results, "patterns", "heads", "content_share")
        return self.finding(
            "no difference" if fixed else "pass",
            f"The part that depends on content makes up {numbers_of(content, share)} of the variance of the patterns "
            f"(by layer); the rest is the same for every window.",
            title="attention is nearly the same for every window" if fixed else "",
            advice=self.advice if fixed else "",
            table=_table(results, position=by_layer(results, "patterns", "position_share"), content=content),
            chart=heat(_percent(heads), "%"),
        )


class CaseOne(MeasuredCheck):
    """Does training push attention away from the token itself?

    With A the pattern and D the gradient of the squared error with respect to it, over training windows: Case 1 is
    D_ii > 0 (a step of descent on A would lower the token's weight on itself); the exact criterion for the score is
    D_ii > sum_j A_ij D_ij. At the end of training about a half is what chance gives. Above 0.6 by the exact criterion
    in some layer the pull away is called systematic. That it goes with attention that fails is a hypothesis, so this is
    reported and not held against the model.
    """

    code, title, severity = "FC705", "share of gradient Case 1", "info"
    white_box = True
    of_patterns = True
    measure = "gradient"
    source = "Ke et al., Curse of Attention, section 7.1; the exact criterion is ours"

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """Shares by both criteria."""
        case1, exact = by_layer(results, "case1"), by_layer(results, "exact")
        last = by_layer(results, "last_query", "exact")
        pulled = max((value for value in exact if value is not None), default=0.0) > _PULLED
        return self.finding(
            "pass",
            f"Case 1 holds for {numbers_of(case1, share)} of the queries (by layer), by the exact criterion for "
            f"{numbers_of(exact, share)}; for the last query for {numbers_of(last, share)}.",
            title="descent pushes attention away from the token itself" if pulled else "",
            table=_table(
                results,
                case_1=case1,
                exact=exact,
                last_query=by_layer(results, "last_query", "case1"),
                last_query_exact=last,
                weight_on_itself=by_layer(results, "self_weight"),
            ),
            chart=heat(
                [[None if v is None else 100 * v for v in row] for row in by_head(results, "heads", "exact")], "%"
            ),
        )


class EntropyCollapse(Representation):
    """Has attention collapsed onto single tokens?

    The mean entropy of a layer's rows, over the log of the number of keys, is under 0.1 (of 42 keys a row then uses
    one and a half). Collapsed attention passes little gradient, and goes with unstable training. One seed that
    collapses is enough.
    """

    code, title = "FC706", "entropy collapse"
    of_patterns = True
    advice = "Lower the learning rate, warm it up, or normalise queries and keys; compare seeds for unstable training."
    source = "Zhai et al. 2023, Stabilizing Transformer Training by Preventing Attention Entropy Collapse"

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """Layers that have collapsed in any seed."""
        lowest: list[float | None] = []
        for layer in range(len(layers_of(results))):
            values = [result.summary["layers"][layer]["patterns"].get("entropy") for result in results]
            lowest.append(min((value for value in values if value is not None), default=None))
        known = [value for value in lowest if value is not None]
        if not known:
            one = all(place.keys == 1 for place in evidence.setting.places)
            return self.not_applicable("there is one key, so its entropy says nothing" if one else _SIGNED)
        collapsed = [i for i, value in enumerate(lowest) if value is not None and value < COLLAPSE]
        return self.passed(
            not collapsed,
            f"The lowest mean entropy of a layer over all seeds is {min(known):.3g} of its maximum"
            + (f"; collapsed: layer {', '.join(map(str, collapsed))}." if collapsed else "."),
            table=_table(results, lowest_entropy=lowest),
        )


class RankCollapse(Representation):
    """Have the tokens of a window become the same?

    The share of the tokens' squared size that is not their common mean, over windows; under 0.01 on entering an
    attention layer, what distinguishes tokens is a tenth of their size, and attention can hardly tell where to look.
    """

    code, title = "FC707", "rank collapse"
    advice = "Strengthen the residual path or position codes, or use fewer layers."
    source = "Dong et al. 2021, Attention is not all you need, section 2"

    def judge(self, evidence: Evidence, results: Sequence[Result]) -> Finding:
        """Shares on entering and leaving; those on entering decide."""
        entering = by_layer(results, "tokens", "entering", "own_share")
        if all(value is None for value in entering):
            return self.missing(results)
        same = [i for i, value in enumerate(entering) if value is not None and value < _SAME]
        return self.passed(
            not same,
            f"Of the tokens that enter the attention layers {numbers_of(entering, share)} (squared size) is their own "
            f"and not common to the window"
            + (f"; nearly the same: layer {', '.join(map(str, same))}." if same else "."),
            table=_table(results, entering=entering, leaving=by_layer(results, "tokens", "leaving", "own_share")),
        )


CHECKS: tuple[Check, ...] = (
    EffectiveRank(),
    LayersAlike(),
    NearUniform(),
    PositionAndContent(),
    CaseOne(),
    EntropyCollapse(),
    RankCollapse(),
)
