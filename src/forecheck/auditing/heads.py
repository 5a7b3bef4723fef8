"""FC6xx: which attention heads matter to the trained model?"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from forecheck.attention.replace import Replace
from forecheck.auditing.check import Check, Finding, percent, with_interval
from forecheck.auditing.evidence import Arm, Evidence
from forecheck.auditing.measured import heat
from forecheck.auditing.setting import Request, Setting
from forecheck.statistics.inference import Comparison

_NAMED = 8  # heads named in a sentence


class Head(NamedTuple):
    """One head, with what the model loses without it."""

    layer: int
    head: int
    arm: Arm
    comparison: Comparison

    @property
    def name(self) -> str:
        """Layer and head."""
        return f"layer {self.layer} head {self.head}"


class Heads(Check):
    """Every head by itself; the others stay as they are."""

    white_box = True
    of_patterns = True
    slow = True
    source = "Michel et al. 2019, Are Sixteen Heads Really Better than One?, section 3.2; Benjamini & Hochberg 1995"

    def why_not(self, setting: Setting) -> str:
        """A single head is the whole of attention, which FC303 is about."""
        if why := super().why_not(setting):
            return why
        unknown = [place.path for place in setting.places if not place.heads_known]
        if unknown:
            return f"which patterns of {unknown[0]} are its heads is not known"
        return "" if sum(place.heads for place in setting.places) > 1 else "the model has one head: see FC303"

    def requests(self, setting: Setting) -> Sequence[Request]:
        """An arm a head."""
        return [Request("heads", edit.label, edit, posthoc=True) for *_, edit in _edits(setting)]

    def look(self, evidence: Evidence) -> Finding | None:
        """All heads that were run."""
        heads = []
        for layer, head, edit in _edits(evidence.setting):
            arm = evidence.arm("heads", edit.label)
            c = evidence.comparison(arm) if arm else None
            if arm is not None and c is not None:
                heads.append(Head(layer, head, arm, c))
        return self.judge(evidence, heads) if heads else None

    @abstractmethod
    def judge(self, evidence: Evidence, heads: Sequence[Head]) -> Finding:
        """What all heads together say."""


def _edits(setting: Setting) -> list[tuple[int, int, Replace]]:
    return [
        (place.layer, head, Replace("mean", layers=(place.layer,), heads=(head,)))
        for place in setting.places
        for head in range(place.heads)
    ]


def _names(heads: Sequence[Head]) -> str:
    more = f" and {len(heads) - _NAMED} more" if len(heads) > _NAMED else ""
    return ", ".join(head.name for head in heads[:_NAMED]) + more


def _having(heads: Sequence[Head], outcome: str) -> list[Head]:
    """Heads with this outcome, the largest effect first."""
    found = [head for head in heads if head.comparison.outcome == outcome]
    return sorted(found, key=lambda head: -abs(head.comparison.effect))


class HeadsThatMatter(Heads):
    """Which heads does the forecast suffer without?

    The pattern of each head by itself is replaced after training by the plain mean over the keys it may see, and the
    loss on all test windows compared with the raw model's. P-values are adjusted over all heads so that of the heads
    named at most one in twenty is expected to be named wrongly (Benjamini and Hochberg). Heads can stand in for each
    other: that none matters by itself does not say that all of them can go at once (FC303).
    """

    code, title = "FC601", "which heads matter"

    def judge(self, evidence: Evidence, heads: Sequence[Head]) -> Finding:
        """Heads whose replacement is worse beyond the margin."""
        matter, same = _having(heads, "greater"), _having(heads, "equivalent")
        undecided = _having(heads, "undecided")
        largest = max(heads, key=lambda head: head.comparison.effect)
        chart = heat(_effects(evidence, heads), "%")
        most = f"The largest effect has {largest.name}: test MSE changes by {with_interval(largest.comparison)}."
        if matter:
            words = f"The forecast is worse without {_names(matter)} of {len(heads)} heads. {most}"
            title = f"{len(matter)} of {len(heads)} heads matter by themselves"
            return self.finding("pass", words, title=title, chart=chart, heads=_described(heads))
        if undecided:
            words = f"No head is shown to matter by itself; {len(undecided)} of {len(heads)} are undecided. {most}"
            why = undecided[0].comparison.reason
            return self.finding("undecided", words, why=why, chart=chart, heads=_described(heads))
        return self.finding(
            "no difference",
            f"Each of {len(heads)} heads can be replaced by the plain mean without making the forecast worse "
            f"({len(same)} within the margin). {most}",
            title="no head matters by itself",
            severity="warning",
            advice="See FC303 for all heads at once; if they do not matter either, forecast with what FC202 names.",
            chart=chart,
            heads=_described(heads),
        )


def _effects(evidence: Evidence, heads: Sequence[Head]) -> list[list[float | None]]:
    """Effect of every head in percent, by layer; None for a head that was not run."""
    effects = {(head.layer, head.head): 100 * head.comparison.effect for head in heads}
    return [[effects.get((place.layer, head)) for head in range(place.heads)] for place in evidence.setting.places]


def _described(heads: Sequence[Head]) -> list[dict[str, object]]:
    return [
        {
            "layer": head.layer,
            "head": head.head,
            "effect": head.comparison.effect,
            "interval": list(head.comparison.interval),
            "outcome": head.comparison.outcome,
        }
        for head in heads
    ]


class HeadsThatHurt(Heads):
    """Are there heads that the forecast is better without?

    The same arms as FC601; named are heads whose replacement by the plain mean lowers the loss by more than the
    margin, false discovery rate 5 %. That test windows show it is no licence to remove them on the same windows: try
    it on validation, or train with fewer heads.
    """

    code, title = "FC602", "heads that hurt"
    advice = "Train with fewer heads or layers, and compare on validation windows."

    def judge(self, evidence: Evidence, heads: Sequence[Head]) -> Finding:
        """Heads whose replacement is better beyond the margin."""
        hurt = _having(heads, "less")
        if not hurt:
            lowest = min(heads, key=lambda head: head.comparison.effect)
            return self.passed(
                True,
                f"No head is shown to hurt; the lowest effect has {lowest.name}: test MSE changes by "
                f"{with_interval(lowest.comparison)}.",
            )
        return self.finding(
            "fail",
            f"The forecast is better without {_names(hurt)} of {len(heads)} heads, by up to "
            f"{percent(hurt[0].comparison.effect)}.",
            title=f"{len(hurt)} of {len(heads)} heads hurt",
            severity=self.severity,
            advice=self.advice,
            table={
                "columns": ["head", "effect on test MSE"],
                "rows": [[head.name, with_interval(head.comparison)] for head in hurt],
            },
        )


class HeadsThatCarry(Heads):
    """How few heads carry what attention does?

    The same arms as FC601, counted: heads that can be replaced one by one without a difference (equivalent within the
    margin, false discovery rate 5 %), heads that matter, heads that hurt, and heads of which neither is shown. The
    most harmful heads that make up 90 % of the sum of all harm are counted too.
    """

    code, title = "FC603", "how few heads carry it"
    advice = "Where most heads can be replaced, fewer heads cost less; train with fewer and compare (backtest)."

    def judge(self, evidence: Evidence, heads: Sequence[Head]) -> Finding:
        """Counts of all outcomes."""
        counts = {outcome: len(_having(heads, outcome)) for outcome in ("equivalent", "greater", "less", "undecided")}
        spare = counts["equivalent"] + counts["less"]
        harm = sorted((max(0.0, head.comparison.effect) for head in heads), reverse=True)
        carrying, total = 0, 0.0
        while total < 0.9 * sum(harm):
            total += harm[carrying]
            carrying += 1
        # Above a half undecided there is no saying how many can be spared.
        undecided = 2 * counts["undecided"] > len(heads)
        return self.finding(
            "undecided" if undecided else "pass",
            f"{spare} of {len(heads)} heads can be replaced one by one without making the forecast worse, "
            f"{counts['greater']} cannot, {counts['undecided']} are undecided. Heads that make up 90 % of the "
            f"summed harm: {carrying}.",
            title=f"{spare} of {len(heads)} heads can be replaced one by one",
            advice=self.advice if 2 * spare > len(heads) else "",
            why="most heads are undecided; see FC601 for their intervals" if undecided else "",
            counts=counts,
            carrying=carrying,
            table={
                "columns": ["heads", "count"],
                "rows": [
                    ["can be replaced", counts["equivalent"]],
                    ["matter", counts["greater"]],
                    ["hurt", counts["less"]],
                    ["undecided", counts["undecided"]],
                ],
            },
        )


CHECKS: tuple[Check, ...] = (HeadsThatMatter(), HeadsThatHurt(), HeadsThatCarry())
