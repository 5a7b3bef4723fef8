"""How our numbers on metrics are judged."""

from __future__ import annotations

from forecheck.anomaly.harness.generators import PROPERTIES
from forecheck.papers.anomaly_metrics.experiments import BLIND, FIGURE, MONOTONE, TABLE
from forecheck.papers.claim import Estimate, Measured, Outcome, Table, Verdict, untestable
from forecheck.papers.claims import Tested, claims
from forecheck.papers.plots import bars

FEW, MANY, LIMIT = 6, 10, 55
_OWN = ("alarm", "net_event")
_CLOSE = 1e-9


def _counts(words: dict[str, dict[str, str]]) -> dict[str, int]:
    return {name: list(row.values()).count("Y") for name, row in words.items()}


def _table(words: dict[str, dict[str, str]]) -> Table:
    names = [each.name for each in PROPERTIES]
    return Table(["metric", *names], [[name, *(row[key] for key in names)] for name, row in words.items()])


def judge_none(measured: Measured) -> Outcome:
    """No published metric has all properties, and most have few."""
    words = measured["table"][0]["words"]
    counts = {name: count for name, count in _counts(words).items() if name not in _OWN}
    best = max(counts, key=lambda name: counts[name])
    few = sum(count <= FEW for count in counts.values())
    if counts[best] == len(PROPERTIES):
        verdict = Verdict.REFUTED
    else:
        verdict = Verdict.CONFIRMED if few > len(counts) / 2 else Verdict.UNEVEN
    ranked = sorted(counts, key=lambda name: -counts[name])
    return Outcome(
        verdict,
        f"Of {len(counts)} published metrics none has all twelve properties strictly; {few} have at most {FEW}, and "
        f"{best} has most, {counts[best]}. Y: strict in every draw; w: weak; a/b: percent strict / weak.",
        Estimate(counts[best]),
        _table(words),
        [
            bars(
                "Properties that hold strictly, of twelve",
                "properties",
                ranked,
                [("", [counts[name] for name in ranked])],
            )
        ],
    )


def judge_figure(measured: Measured) -> Outcome:
    """How many metrics do not prefer the timely, concise prediction."""
    rows = measured["figure"]
    names = [name for name in rows[0]["values"] if name not in _OWN]

    def blind(name: str) -> bool:
        pairs = [row["values"][name] for row in rows]
        return all(a <= b + _CLOSE * max(1.0, abs(a), abs(b)) for a, b in pairs)

    found = [name for name in names if blind(name)]
    same = [name for name in found if all(abs(a - b) <= _CLOSE for a, b in (row["values"][name] for row in rows))]
    verdict = Verdict.CONFIRMED if len(found) >= MANY else Verdict.REFUTED if len(found) < FEW else Verdict.UNEVEN
    cells = [[name, *(value for row in rows for value in row["values"][name])] for name in rows[0]["values"]]
    heads = [f"{word}, {row['length']}" for row in rows for word in ("concise", "oscillating")]
    return Outcome(
        verdict,
        f"{len(found)} of {len(names)} published metrics do not prefer the timely, concise prediction: {len(same)} "
        f"value both the same ({', '.join(same)}), the others prefer the late, oscillating one.",
        Estimate(len(found)),
        Table(["metric, anomaly's length", *heads], cells),
    )


def judge_blind(measured: Measured) -> Outcome:
    """Where the weights of ALARM end."""
    rows = measured["blind"]
    offset = max(max(row["offset"], row["coverage"]) for row in rows)
    held = offset <= LIMIT and all(row["first two differ"] for row in rows)
    return Outcome(
        Verdict.CONFIRMED if held else Verdict.REFUTED,
        f"From offset {offset} on a later hit and a longer coverage change nothing, however long the anomaly is.",
        Estimate(offset),
    )


def judge_monotone(measured: Measured) -> Outcome:
    """What lowers ALARM though it should not."""
    row = measured["monotone"][0]
    held = row["alarms lower"] > 0 and row["points lower"] > 0
    return Outcome(
        Verdict.CONFIRMED if held else Verdict.REFUTED,
        f"An alarm more in a missed anomaly lowers it in {row['alarms lower']} of {row['alarms']} cases (y = 101000, "
        f"p = 110000 has 1.5, p = 111000 has 0.75), a true point more in {row['points lower']} of {row['points']}.",
        Estimate(row["alarms lower"] / row["alarms"]),
    )


def judge_net_event(measured: Measured) -> Outcome:
    """Whether the net event score is strict in every draw."""
    words = measured["table"][0]["words"]["net_event"]
    failed = [name for name, word in words.items() if word != "Y"]
    return Outcome(
        Verdict.REFUTED if failed else Verdict.CONFIRMED,
        f"It fails {', '.join(failed)}." if failed else "It is strict in every draw of all twelve.",
        Estimate(len(words) - len(failed)),
    )


CLAIMS = claims(
    __name__,
    {
        "none": Tested(judge_none, (TABLE,)),
        "figure-1": Tested(judge_figure, (FIGURE,)),
        "larm": Tested(
            untestable("The formula of LARM and the definitions of the paper's properties were not to be had.")
        ),
        "alarm-float": Tested(judge_blind, (BLIND,)),
        "alarm-monotone": Tested(judge_monotone, (MONOTONE,)),
        "net-event": Tested(judge_net_event, (TABLE,)),
    },
    FEW=FEW,
    MANY=MANY,
    BLIND=LIMIT,
)
