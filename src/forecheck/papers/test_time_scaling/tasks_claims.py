"""Which tasks to train on, and what needs large language models."""

from __future__ import annotations

from forecheck.papers.claim import Measured, Outcome, Table, untestable
from forecheck.papers.claims import Tested, claims
from forecheck.papers.judging import holds, mean_estimate, verdict_of
from forecheck.papers.plots import bars
from forecheck.papers.test_time_scaling.selection import SELECTION


def judge_selection(measured: Measured) -> Outcome:
    """Half of the mass on hard kinds, and most of all on hard tasks of many skills."""
    rows = measured["selection"]
    held: list[bool | None] = []
    cells, masses, drawn = [], [], []
    for row in rows:
        kinds = row["kinds"]
        of_kind = {kind: [shares[i] for shares in row["shares"]] for i, kind in enumerate(kinds)}
        hard = mean_estimate(
            [sum(s for kind, s in zip(kinds, one, strict=True) if "Hard" in kind) for one in row["shares"]]
        )
        lead = mean_estimate(
            [
                a - max(b)
                for a, *b in zip(
                    of_kind["Hard-Long"], *(v for k, v in of_kind.items() if k != "Hard-Long"), strict=True
                )
            ]
        )
        held += [holds(hard, above=0.5), holds(lead, above=0.0)]
        masses.append(hard)
        means = [sum(of_kind[kind]) / len(row["shares"]) for kind in kinds]
        cells.append([row["target"], row["order"], row["each"], *means, hard.value])
        drawn.append((f"{row['target']}, {row['order']}", means))
    ranked = sorted(zip(masses, rows, strict=True), key=lambda pair: pair[0].value)
    least, most = ranked[0], ranked[-1]
    return Outcome(
        verdict_of(held),
        f"Hard kinds get {least[0].value:.0%} of the mass for the {least[1]['target']} target and {most[0].value:.0%} "
        f"for the {most[1]['target']} one (orders of skills: {least[1]['order']}, {most[1]['order']}): the programme "
        "chooses the kinds that resemble the target, hard ones if the target is hard.",
        least[0],
        Table(["target", "order of skills", "tasks a kind", *rows[0]["kinds"], "hard in all"], cells),
        [bars("Mass by kind of task", "share", rows[0]["kinds"], drawn)],
    )


CLAIMS = claims(
    __name__,
    {
        "selection": Tested(judge_selection, (SELECTION,)),
        "language-models": Tested(untestable("It needs training a language model of 7 billion parameters.")),
    },
)
