"""What the paper says of position codes that are taken away after training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from forecheck.papers.claim import Measured, Outcome
from forecheck.papers.claims import Tested, claims
from forecheck.papers.experiment import Row
from forecheck.papers.judging import verdict_of
from forecheck.papers.plots import bars, curve, curves
from forecheck.papers.settings import table
from forecheck.papers.why_attention_fails.compared import MARGIN, change, held, listed, percents, picked, values, worded
from forecheck.papers.why_attention_fails.positions import HALF, MEAN, POSITIONS, SHUFFLED, TOKENS, ZERO
from forecheck.statistics.inference import Comparison

START = 0.02 / 3**0.5
"""Root mean square of U(-0.02, 0.02), from which codes start."""


def _changes(rows: Sequence[Row]) -> dict[str, Comparison]:
    """By edit, against the raw codes."""
    raw = np.array([row["raw"] for row in rows])
    return {
        edit: change(np.array([row["losses"][edit] for row in rows]), raw, rows[0]["overlap"])
        for edit in rows[0]["losses"]
    }


def _outcome(rows: Sequence[Row], asked: Sequence[str]) -> Outcome:
    """Whether none of these edits hurts."""
    found = {data: _changes(picked(rows, data=data)) for data in values(rows, "data")}
    words = [
        f"{data}: {listed([f'{edit} {worded(changes[edit])}' for edit in asked])}" for data, changes in found.items()
    ]
    cells: list[list[Any]] = []
    for data, changes in found.items():
        for edit, c in changes.items():
            e = percents(c)
            cells.append([data, edit, e.value, e.low, e.high])
    first = next(iter(found.values()))
    size = float(np.mean([row["size"] for row in rows]))
    return Outcome(
        verdict_of([held(changes[edit], below=MARGIN) for changes in found.values() for edit in asked]),
        f"Change of test MSE, {'; '.join(words)}. Codes have a root mean square of {size:.3f}, {START:.3f} before "
        "training.",
        percents(first[asked[0]]),
        table("set | codes | change of MSE (%) | from | to", cells),
        [
            bars(
                "Change of test MSE by what becomes of position codes",
                "change (%)",
                list(first),
                [(data, [100 * c.effect for c in changes.values()]) for data, changes in found.items()],
            ),
            _cosines(rows),
        ],
    )


def _cosines(rows: Sequence[Row]) -> dict[str, Any]:
    """The paper's second picture: are codes of near patches alike?"""
    lines = []
    for data in values(rows, "data"):
        by_seed = np.array([row["cosines"] for row in picked(rows, data=data)])
        mean = by_seed.mean(axis=0)
        lines.append(
            curve(
                data, range(1, len(mean) + 1), mean.tolist(), by_seed.min(axis=0).tolist(), by_seed.max(axis=0).tolist()
            )
        )
    return curves("Likeness of two learnt codes", "distance of patches", "mean cosine", lines, levels=[("none", 0.0)])


def judge_zeroed(measured: Measured) -> Outcome:
    """What the paper says."""
    return _outcome(measured[POSITIONS.name], [ZERO])


def judge_notebook(measured: Measured) -> Outcome:
    """What its notebook does."""
    return _outcome(measured[POSITIONS.name], [HALF])


def judge_controls(measured: Measured) -> Outcome:
    """Order taken away without moving the mean, and inside the encoder alone."""
    return _outcome(measured[POSITIONS.name], [MEAN, SHUFFLED, TOKENS])


CLAIMS = claims(
    __name__,
    {
        "positions": Tested(judge_zeroed, (POSITIONS,)),
        "positions-notebook": Tested(judge_notebook, (POSITIONS,)),
        "positions-control": Tested(judge_controls, (POSITIONS,)),
    },
)
