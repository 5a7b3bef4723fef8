"""What the paper says of attention and feed-forward parts that are disturbed after training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from forecheck.papers.claim import Measured, Outcome, Table
from forecheck.papers.claims import Tested, claims
from forecheck.papers.experiment import Row
from forecheck.papers.judging import both, verdict_of
from forecheck.papers.plots import curve, curves
from forecheck.papers.settings import table
from forecheck.papers.why_attention_fails.compared import MARGIN, change, held, percents, picked, values, worded
from forecheck.papers.why_attention_fails.perturbation import EQUAL, PARTS, SAME
from forecheck.statistics.inference import Comparison

HARDLY = 0.05
"""Relative change of test MSE below which a disturbance hardly matters; the authors' surfaces span 12 %."""


def _losses(rows: Sequence[Row], strength: int) -> np.ndarray[Any, np.dtype[Any]]:
    return np.array([row["losses"][strength] for row in rows])


def _raw(rows: Sequence[Row]) -> np.ndarray[Any, np.dtype[Any]]:
    return np.array([row["raw"] for row in rows])


def _against_raw(rows: Sequence[Row]) -> list[Comparison]:
    """By strength."""
    raw, overlap = _raw(rows), rows[0]["overlap"]
    return [change(_losses(rows, k), raw, overlap) for k in range(len(rows[0]["strengths"]))]


def _of(rows: Sequence[Row], data: str, kind: str) -> tuple[list[Row], list[Row]]:
    """Rows of the disturbed attention and of the disturbed feed-forward parts."""
    attention, feed_forward = (picked(rows, data=data, kind=kind, part=part) for part in PARTS)
    return attention, feed_forward


def _cases(rows: Sequence[Row]) -> list[tuple[str, str]]:
    return [(data, kind) for data in values(rows, "data") for kind in values(rows, "kind")]


def judge_same(measured: Measured) -> Outcome:
    """At the greatest strength of every kind: attention hardly matters, and the feed-forward part does."""
    rows = measured[SAME.name]
    verdicts, words = [], []
    for data, kind in _cases(rows):
        attention, feed_forward = (_against_raw(each)[-1] for each in _of(rows, data, kind))
        verdicts.append(both(held(attention, below=HARDLY), held(feed_forward, above=HARDLY)))
        words.append(f"{data}, {kind}: attention {worded(attention)}, feed-forward {worded(feed_forward)}")
    data, kind = _cases(rows)[0]
    strongest = [_sizes(each)[-1] for each in _of(rows, data, kind)]
    return Outcome(
        verdict_of(verdicts),
        f"Change of test MSE at the greatest strength: {'; '.join(words)}. The same {kind} changes what the sublayers "
        f"give by {100 * strongest[0]:.0f} % and {100 * strongest[1]:.0f} %.",
        percents(_against_raw(_of(rows, data, kind)[0])[-1]),
        _table(rows),
        _charts(rows),
    )


def judge_equal(measured: Measured) -> Outcome:
    """Feed-forward parts against attention, both changed by the same share of what they give."""
    rows = measured[EQUAL.name]
    verdicts, words, first = [], [], None
    for data, kind in _cases(rows):
        attention, feed_forward = _of(rows, data, kind)
        raw = float(_raw(attention).mean())
        overlap = attention[0]["overlap"]
        c = change(_losses(feed_forward, -1), _losses(attention, -1), overlap, raw)
        first = first or c
        verdicts.append(held(c, above=MARGIN))
        alone = [worded(_against_raw(each)[-1]) for each in (attention, feed_forward)]
        words.append(f"{data}, {kind}: attention {alone[0]}, feed-forward {alone[1]}, difference {worded(c)}")
    assert first is not None
    return Outcome(
        verdict_of(verdicts),
        f"Change of test MSE at the greatest strength: {'; '.join(words)}.",
        percents(first),
        _table(rows),
        _charts(rows),
    )


def _sizes(rows: Sequence[Row]) -> list[float]:
    """By strength, the relative change of what the sublayer gives."""
    return [float(each) for each in np.mean([row["changes"] for row in rows], axis=0)]


def _table(rows: Sequence[Row]) -> Table:
    cells = []
    for data, kind in _cases(rows):
        for part, of_part in zip(PARTS, _of(rows, data, kind), strict=True):
            found = zip(of_part[0]["strengths"], _against_raw(of_part), _sizes(of_part), strict=True)
            for strength, c, size in found:
                e = percents(c)
                cells.append([data, kind, part, strength, e.value, e.low, e.high, 100 * size])
    return table(
        "set | disturbance | part | strength | change of MSE (%) | from | to | change of its output (%)", cells
    )


def _charts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """A chart for every kind with several strengths."""
    drawn = []
    for data, kind in _cases(rows):
        lines = []
        for part, of_part in zip(PARTS, _of(rows, data, kind), strict=True):
            found = [percents(c) for c in _against_raw(of_part)]
            lines.append(
                curve(
                    part,
                    [0.0, *of_part[0]["strengths"]],
                    [0.0, *(e.value for e in found)],
                    [0.0, *(e.low for e in found)],
                    [0.0, *(e.high for e in found)],
                )
            )
        if len(lines[0]["x"]) > 2:
            drawn.append(curves(f"{data}: {kind}", "strength", "change of test MSE (%)", lines))
    return drawn


CLAIMS = claims(
    __name__,
    {"perturbation": Tested(judge_same, (SAME,)), "perturbation-equal": Tested(judge_equal, (EQUAL,))},
    HARDLY=HARDLY,
)
